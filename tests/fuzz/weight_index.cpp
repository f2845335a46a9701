// A model.safetensors.index.json beside its two shards.
#include <memory>
#include <span>

#include "fuzz/target.h"
#include "io/hf_model.h"

namespace moelora::fuzz {
namespace {

void write_shard(const std::string& file, const std::string& tensor) {
  const std::vector<io::TensorInfo> tensors = {{tensor, io::Dtype::kF32, {2}}};
  const std::vector<std::byte> data(8);
  const std::vector<std::span<const std::byte>> bytes = {data};
  std::string text;
  io::write_safetensors(tensors, bytes, {}, [&text](std::span<const std::byte> part) {
    text.append(reinterpret_cast<const char*>(part.data()), part.size());
  });
  write_file(file, text);
}

}  // namespace

void read_input(std::string_view input) {
  static const bool shards_written = [] {
    write_file("config.json", "{}");
    write_shard("a.safetensors", "model.a");
    write_shard("b.safetensors", "model.b");
    return true;
  }();
  require(shards_written, "no shards");
  write_file("model.safetensors.index.json", input);
  const auto model = io::HfModel::open(directory());
  for (const std::string& name : model->names()) require(model->contains(name), "a name without a tensor");
}

}  // namespace moelora::fuzz
