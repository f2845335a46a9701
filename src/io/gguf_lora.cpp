#include "io/gguf_lora.h"

#include <ATen/ops/empty.h>

#include <cstring>
#include <map>
#include <utility>

#include "core/durable.h"
#include "core/error.h"
#include "io/gguf.h"
#include "io/gguf_names.h"
#include "io/mapped_file.h"
#include "io/quote.h"

namespace moelora::io {
namespace {

constexpr std::string_view kSuffixA = ".weight.lora_a", kSuffixB = ".weight.lora_b";
constexpr std::string_view kArchitectureKey = "general.architecture", kAlphaKey = "adapter.lora.alpha";

[[noreturn]] void refuse(const std::string& where, std::string problem, std::string found = "",
                         std::string expected = "") {
  throw Error(
      ErrorKind::kModel,
      {.where = where, .problem = std::move(problem), .found = std::move(found), .expected = std::move(expected)});
}

GgufTensor gguf_tensor(std::string name, const at::Tensor& matrix) {
  return {.name = std::move(name),
          .ne = {matrix.size(1), matrix.size(0)},
          .data = {static_cast<const std::byte*>(matrix.const_data_ptr()), matrix.nbytes()}};
}

at::Tensor matrix_of(const GgufTensor& tensor, const std::string& where) {
  if (tensor.ne.size() != 2) refuse(where, "not a matrix");
  at::Tensor matrix = at::empty({tensor.ne[1], tensor.ne[0]}, at::kFloat);
  std::memcpy(matrix.mutable_data_ptr(), tensor.data.data(), tensor.data.size());
  return matrix;
}

/// The rows of `b` that a linear of llama.cpp's has, in its order.
at::Tensor part_of(const at::Tensor& b, const GgufLinear& linear) {
  return linear.rows.defined() ? b.index_select(0, linear.rows) : b.contiguous();
}

/// What a file says of one linear of the base, perhaps in several tensors.
class Gathered {
 public:
  Gathered(std::string where, const GgufModule& module)
      : where_(std::move(where)), module_(module), a_(module.parts.size()), b_(module.parts.size()) {}

  void set(size_t part, bool is_a, at::Tensor matrix) { (is_a ? a_ : b_)[part] = std::move(matrix); }

  /// With rows in the order of the base's files.
  LoraPair pair() const {
    for (size_t i = 0; i < a_.size(); ++i) {
      const GgufLinear& part = module_.parts[i];
      if (!a_[i].defined() || !b_[i].defined())
        refuse(where_, "one of lora_a and lora_b of " + part.name + " is missing");
      const int64_t rows = part.rows.defined() ? part.rows.size(0) : module_.out;
      require_sizes(part.name + ".lora_a", a_[i], {a_[i].size(0), module_.in});
      require_sizes(part.name + ".lora_b", b_[i], {rows, a_[i].size(0)});
      if (!a_[i].equal(a_[0])) refuse(where_, "its parts don't have one lora_a");
    }
    if (!module_.parts.front().rows.defined()) return {a_[0], b_[0]};
    at::Tensor b = at::empty({module_.out, a_[0].size(0)}, at::kFloat);
    for (size_t i = 0; i < b_.size(); ++i) b.index_copy_(0, module_.parts[i].rows, b_[i]);
    return {a_[0], b};
  }

 private:
  void require_sizes(const std::string& name, const at::Tensor& matrix, std::vector<int64_t> sizes) const {
    if (matrix.sizes() == at::IntArrayRef(sizes)) return;
    const auto text = [](at::IntArrayRef list) { return std::to_string(list[0]) + " x " + std::to_string(list[1]); };
    refuse(where_, name + " has other sizes than the model's linear", text(matrix.sizes()), text(sizes));
  }

  std::string where_;
  const GgufModule& module_;
  std::vector<at::Tensor> a_, b_;  // by part
};

}  // namespace

void write_gguf_lora(const std::filesystem::path& dir, const PeftAdapter& adapter, const nn::ModelConfig& shape,
                     const std::string& task, FileSystem& file_system) {
  const GgufNames names = gguf_names(shape);
  GgufFile file;
  file.keys = {{std::string(kArchitectureKey), names.architecture},
               {"general.type", "adapter"},
               {"general.name", task},
               {"adapter.type", "lora"},
               {std::string(kAlphaKey), static_cast<float>(adapter.r)},
               {"adapter.lora.task_name", task}};
  std::vector<at::Tensor> held;  // what file.tensors point into
  for (const auto& [module, pair] : adapter.modules) {
    const auto known = names.modules.find(module);
    if (known == names.modules.end())
      refuse("GGUF adapter, module " + quote_name(module), "llama.cpp has no name for it");
    for (const GgufLinear& linear : known->second.parts) {
      held.push_back(pair.a.contiguous());
      file.tensors.push_back(gguf_tensor(linear.name + std::string(kSuffixA), held.back()));
      held.push_back(part_of(pair.b, linear));
      file.tensors.push_back(gguf_tensor(linear.name + std::string(kSuffixB), held.back()));
    }
  }
  DirectoryWriter writer(dir, file_system);
  writer.add_file("README.md", adapter.readme);
  DurableFile out = writer.open_file(kGgufLoraFile);
  write_gguf(file, [&](std::span<const std::byte> bytes) { out.write(bytes); });
  out.finish();
  writer.commit({{"kind", "gguf-adapter"}});
}

PeftAdapter read_gguf_lora(const std::filesystem::path& dir, const nn::ModelConfig& shape) {
  const std::string path = (dir / kGgufLoraFile).string();
  const auto mapped = MappedFile::open(path);
  const GgufFile file = parse_gguf(mapped->bytes(), path);
  const GgufNames names = gguf_names(shape);
  const auto key = [&](std::string_view name) {
    const auto value = file.keys.find(std::string(name));
    if (value == file.keys.end()) refuse(path, "the key `" + std::string(name) + "` is missing");
    return value->second;
  };
  if (key(kArchitectureKey) != GgufValue(names.architecture)) {
    refuse(path, "written for another architecture than the base's", "", names.architecture);
  }
  const GgufValue alpha = key(kAlphaKey);
  if (!std::holds_alternative<float>(alpha)) refuse(path, "`" + std::string(kAlphaKey) + "` isn't a number");

  std::map<std::string, std::pair<std::string, size_t>> places;  // llama.cpp's name -> module, part of it
  for (const auto& [path_of_module, module] : names.modules) {
    for (size_t i = 0; i < module.parts.size(); ++i) places[module.parts[i].name] = {path_of_module, i};
  }
  std::map<std::string, Gathered> gathered;  // by module
  PeftAdapter adapter;
  for (const GgufTensor& tensor : file.tensors) {
    const std::string where = tensor_place(path, tensor.name);
    const bool is_a = tensor.name.ends_with(kSuffixA);
    if (!is_a && !tensor.name.ends_with(kSuffixB)) refuse(where, "not a tensor of a LoRA adapter");
    const auto place = places.find(tensor.name.substr(0, tensor.name.size() - kSuffixA.size()));
    if (place == places.end()) refuse(where, "no linear of this architecture has that name");
    const auto& [module, part] = place->second;
    at::Tensor matrix = matrix_of(tensor, where);
    if (is_a && adapter.r == 0) adapter.r = matrix.size(0);
    if (is_a && matrix.size(0) != adapter.r) refuse(where, "its rank isn't the file's");
    const auto entry = gathered.try_emplace(module, path + ", module " + quote_name(module), names.modules.at(module));
    entry.first->second.set(part, is_a, std::move(matrix));
  }
  for (const auto& [module, tensors] : gathered) {
    LoraPair pair = tensors.pair();
    pair.b.mul_(std::get<float>(alpha) / static_cast<double>(adapter.r));
    adapter.modules[module] = std::move(pair);
  }
  return adapter;
}

}  // namespace moelora::io
