// A Hugging Face model directory, read: where it is, its JSON files, its weights as an nn::WeightSource, its identity
// and licence.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/json_file.h"
#include "io/safetensors.h"
#include "nn/weight_source.h"

namespace moelora::io {

/// The local Hugging Face cache: HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else HF_HOME/hub, else huggingface/hub in
/// XDG_CACHE_HOME or ~/.cache.
std::filesystem::path hub_cache();

/// The directory of a model: an existing directory as it is, else `org/name` in hub_cache() (refs/main, or the only
/// snapshot where there is no such ref; `org/name@revision` for another ref or the hash of a snapshot). Nothing is
/// downloaded. Throws Error(kModel) that says where it looked, Error(kIo) where it can't look.
std::filesystem::path resolve_model(const std::string& name_or_path);

class HfModel : public nn::WeightSource {
 public:
  /// Reads the JSON files and maps every safetensors file, with all checks; reads no weights. `dir` must have
  /// config.json and either model.safetensors or model.safetensors.index.json with its shards. Throws Error(kModel)
  /// naming file and tensor, Error(kIo) where one of them can't be looked at.
  static std::shared_ptr<HfModel> open(const std::filesystem::path& dir);

  /// config.json alone, for what needs no weights (`plan`, `validate`).
  static nlohmann::json read_config(const std::filesystem::path& dir);

  const std::filesystem::path& dir() const { return dir_; }
  const nlohmann::json& config() const { return config_; }

  /// Every tensor's stored name, sorted.
  const std::vector<std::string>& names() const { return names_; }

  /// A name matches as stored, or, in a file of the bare decoder (transformers' AutoModel writes no leading "model."),
  /// without it.
  bool contains(const std::string& name) const override;
  at::Tensor load(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType dtype) override;
  /// Throws Error(kModel) where its parts don't fit together.
  std::optional<kernels::Nf4Weight> load_nf4(const std::string& name, const std::vector<int64_t>& shape) override;
  void forget(const std::string& name) override;

  /// Whether the files hold the tensor in NF4, as bitsandbytes stores it; load() dequantises it.
  bool is_nf4(const std::string& name) const;

  /// The mapped safetensors files: one model.safetensors, or the shards by name.
  const std::vector<std::shared_ptr<const SafetensorsFile>>& files() const { return files_; }

  /// What the tensor that load() takes for `name` is called in its file; nothing where there is none.
  std::optional<std::string> stored_name(const std::string& name) const;

  /// XXH3-128, 32 hex digits, over every tensor's name, dtype, shape and bytes in name order: the identity of the
  /// weights, whatever the shards. Reads all weights at memory speed, holding one tensor at a time;
  /// computed once.
  const std::string& model_hash() const;

  /// `license` of README.md's front matter (`license_name` where that is "other"), or nothing.
  const std::optional<std::string>& license() const { return license_; }

 private:
  struct Place {
    std::shared_ptr<const SafetensorsFile> file;
    std::string stored_name;
  };
  HfModel() = default;
  void add_file(const std::filesystem::path& path);
  void open_shards(const std::filesystem::path& index_path);
  /// No file where the name is unknown.
  Place find(const std::string& name) const;

  std::filesystem::path dir_;
  nlohmann::json config_;
  std::vector<std::string> names_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::unordered_map<std::string, size_t> file_index_;  // stored name -> files_
  bool bare_decoder_ = false;                           // no stored name begins with "model."
  std::optional<std::string> license_;
  mutable std::string hash_;
};

}  // namespace moelora::io
