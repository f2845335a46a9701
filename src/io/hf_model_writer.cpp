#include "io/hf_model_writer.h"

#include <string>
#include <utility>
#include <vector>

#include "core/durable.h"
#include "io/json_file.h"
#include "io/mapped_file.h"

namespace moelora::io {
namespace {

void write_file(DirectoryWriter& writer, const std::string& name, const NamedTensors& tensors) {
  DurableFile file = writer.open_file(name);
  write_tensors(tensors, {{"format", "pt"}}, [&](std::span<const std::byte> bytes) { file.write(bytes); });
  file.finish();
}

/// In the given order, each as full as the bound allows; a tensor larger than the bound has a shard of its own.
std::vector<NamedTensors> into_shards(const NamedTensors& tensors, int64_t max_shard_bytes) {
  std::vector<NamedTensors> shards(1);
  int64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto size = static_cast<int64_t>(tensor.nbytes());
    if (bytes + size > max_shard_bytes && !shards.back().empty()) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().emplace_back(name, tensor);
    bytes += size;
  }
  return shards;
}

std::string five_digits(size_t number) {
  const std::string text = std::to_string(number);
  return std::string(text.size() < 5 ? 5 - text.size() : 0, '0') + text;
}

void write_shards(DirectoryWriter& writer, const std::vector<NamedTensors>& shards) {
  nlohmann::json weight_map = nlohmann::json::object();
  int64_t total_bytes = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = "model-" + five_digits(i + 1) + "-of-" + five_digits(shards.size()) + ".safetensors";
    write_file(writer, name, shards[i]);
    for (const auto& [tensor_name, tensor] : shards[i]) {
      weight_map[tensor_name] = name;
      total_bytes += static_cast<int64_t>(tensor.nbytes());
    }
  }
  const nlohmann::json index = {{"metadata", {{"total_size", total_bytes}}}, {"weight_map", weight_map}};
  writer.add_file("model.safetensors.index.json", json_text(index, "model.safetensors.index.json"));
}

}  // namespace

void write_hf_model(const std::filesystem::path& dir, const HfModelContents& contents, FileSystem& file_system) {
  DirectoryWriter writer(dir, file_system);
  writer.add_file("config.json", json_text(contents.config, "config.json"));
  if (contents.generation_config) {
    writer.add_file("generation_config.json", json_text(*contents.generation_config, "generation_config.json"));
  }
  const std::vector<NamedTensors> shards = into_shards(contents.tensors, contents.max_shard_bytes);
  if (shards.size() == 1) {
    write_file(writer, "model.safetensors", shards.front());
  } else {
    write_shards(writer, shards);
  }
  for (const std::filesystem::path& path : contents.copied_files) {
    writer.add_file(path.filename().string(), MappedFile::open(path)->bytes());
  }
  nlohmann::ordered_json fields = contents.record;
  fields["kind"] = "hf-model";
  writer.commit(std::move(fields));
}

}  // namespace moelora::io
