#include "io/hf_model.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/file_system.h"
#include "core/hash.h"
#include "core/suggest.h"
#include "io/quote.h"
#include "io/tensor_file.h"

namespace moelora::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kModelPrefix = "model.";

[[noreturn]] void refuse(const std::string& where, std::string problem, std::string found = "",
                         std::string expected = "", std::string hint = "") {
  throw Error(ErrorKind::kModel, {.where = where,
                                  .problem = std::move(problem),
                                  .found = std::move(found),
                                  .expected = std::move(expected),
                                  .hint = std::move(hint)});
}

/// A file beside the index, never one elsewhere.
bool is_shard_name(const std::string& name) {
  return name.ends_with(".safetensors") && name.front() != '.' &&
         name.find_first_of(std::string("/\\\0", 3)) == name.npos;
}

/// The index's weight_map, checked: tensor name -> shard's file name.
std::map<std::string, std::string> read_weight_map(const fs::path& index_path) {
  const nlohmann::json index = read_json_object(index_path);
  const auto found = index.find("weight_map");
  if (found == index.end() || !found->is_object() || found->empty()) {
    refuse(index_path.string(), "no `weight_map`", "", "an object {tensor: file}");
  }
  std::map<std::string, std::string> weight_map;
  for (const auto& [tensor, shard] : found->items()) {
    if (!shard.is_string()) {
      refuse(tensor_place(index_path.string(), tensor), "its file isn't a string", shard.type_name());
    }
    const auto& file = shard.get_ref<const std::string&>();
    if (!is_shard_name(file)) {
      refuse(tensor_place(index_path.string(), tensor), "not the name of a safetensors file in the same directory",
             quote_name(file), "model-00001-of-00002.safetensors, say");
    }
    weight_map.emplace(tensor, file);
  }
  return weight_map;
}

/// The scalar of a top-level `key:` line in YAML front matter, or the first item of its list; "" where there is none.
std::string front_matter_value(std::istream& readme, const std::string& key) {
  constexpr int kMostLines = 1000;
  const auto trimmed = [](std::string text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '"' || c == '\''; };
    while (!text.empty() && blank(text.back())) text.pop_back();
    return text.substr(
        std::min(text.size(), static_cast<size_t>(std::find_if_not(text.begin(), text.end(), blank) - text.begin())));
  };
  std::string line;
  if (!std::getline(readme, line) || trimmed(line) != "---") return "";
  bool in_key = false;
  for (int i = 0; i < kMostLines && std::getline(readme, line) && trimmed(line) != "---"; ++i) {
    const std::string text = trimmed(line);
    if (in_key && text.starts_with("- ")) return trimmed(text.substr(2));
    if (!text.empty()) in_key = false;
    if (!line.starts_with(key + ":")) continue;
    const std::string value = trimmed(line.substr(key.size() + 1));
    if (!value.empty()) return value;
    in_key = true;
  }
  return "";
}

std::optional<std::string> read_license(const fs::path& dir) {
  const auto value = [&](const std::string& key) {
    std::ifstream readme(dir / "README.md");
    return front_matter_value(readme, key);
  };
  std::string license = value("license");
  if (license == "other") {
    if (const std::string name = value("license_name"); !name.empty()) license = name;
  }
  return license.empty() ? std::nullopt : std::optional(license);
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace

nlohmann::json HfModel::read_config(const fs::path& dir) {
  return read_json_object(dir / "config.json");
}

std::shared_ptr<HfModel> HfModel::open(const fs::path& dir) {
  std::shared_ptr<HfModel> model(new HfModel);
  model->dir_ = dir;
  model->config_ = read_config(dir);
  // transformers prefers the single file where both are there.
  if (fs::exists(status_of(dir / "model.safetensors"))) {
    model->add_file(dir / "model.safetensors");
  } else if (fs::exists(status_of(dir / "model.safetensors.index.json"))) {
    model->open_shards(dir / "model.safetensors.index.json");
  } else {
    std::error_code error;
    const bool pickled =
        fs::exists(dir / "pytorch_model.bin", error) || fs::exists(dir / "pytorch_model.bin.index.json", error);
    refuse(dir.string(), "no weights", pickled ? "pytorch_model.bin, which is never read (pickle runs code)" : "",
           "model.safetensors or model.safetensors.index.json",
           pickled ? "convert it with transformers' save_pretrained" : "");
  }
  std::sort(model->names_.begin(), model->names_.end());
  model->bare_decoder_ = std::none_of(model->names_.begin(), model->names_.end(),
                                      [](const std::string& name) { return name.starts_with(kModelPrefix); });
  model->license_ = read_license(dir);
  return model;
}

void HfModel::add_file(const fs::path& path) {
  files_.push_back(SafetensorsFile::open(path));
  for (const std::string& name : files_.back()->names()) {
    const auto [other, is_new] = file_index_.emplace(name, files_.size() - 1);
    if (!is_new) refuse(tensor_place(path.string(), name), "it is in another shard too", files_[other->second]->path());
    names_.push_back(name);
  }
}

void HfModel::open_shards(const fs::path& index_path) {
  const std::map<std::string, std::string> weight_map = read_weight_map(index_path);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : weight_map) shards.insert(shard);
  for (const std::string& shard : shards) {
    std::error_code error;
    if (!fs::exists(dir_ / shard, error)) {
      refuse(index_path.string(), "the shard " + quote_name(shard) + " is missing", "", "",
             "was the download interrupted?");
    }
    add_file(dir_ / shard);
  }
  for (const auto& [tensor, shard] : weight_map) {
    const auto found = file_index_.find(tensor);
    if (found == file_index_.end()) {
      refuse(tensor_place(index_path.string(), tensor), "no shard holds it", "", "in " + quote_name(shard));
    }
    const fs::path actual = fs::path(files_[found->second]->path()).filename();
    if (actual != shard) {
      refuse(tensor_place(index_path.string(), tensor), "it is in another shard than the index says",
             quote_name(actual.string()), quote_name(shard));
    }
  }
}

HfModel::Place HfModel::find(const std::string& name) const {
  auto found = file_index_.find(name);
  if (found == file_index_.end() && bare_decoder_ && name.starts_with(kModelPrefix)) {
    found = file_index_.find(name.substr(kModelPrefix.size()));
  }
  if (found == file_index_.end()) return {};
  return {files_[found->second], found->first};
}

std::optional<std::string> HfModel::stored_name(const std::string& name) const {
  const Place place = find(name);
  return place.file == nullptr ? std::nullopt : std::optional(place.stored_name);
}

bool HfModel::contains(const std::string& name) const {
  return find(name).file != nullptr;
}

at::Tensor HfModel::load(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType dtype) {
  const Place place = find(name);
  if (place.file == nullptr) {
    const std::string where = files_.size() == 1 ? files_.front()->path() : dir_.string();
    refuse(where, "no tensor " + quote_name(name), "", "", did_you_mean(name, names_));
  }
  if (const auto quantised = load_nf4(name, shape)) return kernels::dequantize(*quantised, dtype);
  const StoredTensor& stored = place.file->at(place.stored_name);
  if (stored.shape != shape) {
    refuse(tensor_place(place.file->path(), place.stored_name), "its shape doesn't fit config.json",
           shape_text(stored.shape), shape_text(shape));
  }
  return tensor_of(place.file, place.stored_name, dtype);
}

void HfModel::forget(const std::string& name) {
  if (const Place place = find(name); place.file != nullptr) place.file->release(place.stored_name);
}

const std::string& HfModel::model_hash() const {
  if (!hash_.empty()) return hash_;
  Hasher hasher;
  for (const std::string& name : names_) {
    const SafetensorsFile& file = *files_[file_index_.at(name)];
    const StoredTensor& tensor = file.at(name);
    // Lengths before contents, so that no two models give the same stream of bytes.
    hasher.update(std::to_string(name.size()) + ":" + name + ":" + std::string(dtype_name(tensor.dtype)) +
                  shape_text(tensor.shape));
    hasher.update(tensor.bytes);
    file.release(name);
  }
  hash_ = hasher.hex();
  return hash_;
}

}  // namespace moelora::io
