#include "io/gguf_lora.h"

#include <ATen/ops/empty.h>

#include <array>
#include <cstring>
#include <utility>

#include "core/durable.h"
#include "core/error.h"
#include "core/suggest.h"
#include "io/gguf.h"
#include "io/mapped_file.h"
#include "io/quote.h"

namespace moelora::io {
namespace {

struct Architecture {
  std::string_view family;  // config.json's model_type
  std::string_view name;    // general.architecture
  bool permutes = false;    // rows of q and k: llama.cpp rotates neighbouring dimensions, Hugging Face halves
};

constexpr std::array<Architecture, 4> kArchitectures = {
    {{"llama", "llama", true}, {"mistral", "llama", true}, {"qwen2", "qwen2"}, {"qwen3", "qwen3"}}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kModules = {{{"self_attn.q_proj", "attn_q"},
                                                                                    {"self_attn.k_proj", "attn_k"},
                                                                                    {"self_attn.v_proj", "attn_v"},
                                                                                    {"self_attn.o_proj", "attn_output"},
                                                                                    {"mlp.gate_proj", "ffn_gate"},
                                                                                    {"mlp.up_proj", "ffn_up"},
                                                                                    {"mlp.down_proj", "ffn_down"}}};
constexpr std::string_view kLayers = "model.layers.", kBlocks = "blk.";
constexpr std::string_view kSuffixA = ".weight.lora_a", kSuffixB = ".weight.lora_b";
constexpr std::string_view kArchitectureKey = "general.architecture", kAlphaKey = "adapter.lora.alpha";

[[noreturn]] void refuse(const std::string& where, std::string problem, std::string found = "",
                         std::string expected = "") {
  throw Error(
      ErrorKind::kModel,
      {.where = where, .problem = std::move(problem), .found = std::move(found), .expected = std::move(expected)});
}

const Architecture& architecture_of(const nn::ModelConfig& shape) {
  std::vector<std::string> known;
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.family == shape.model_type) return architecture;
    known.emplace_back(architecture.family);
  }
  refuse("GGUF adapter", "adapters of this family aren't written as GGUF", shape.model_type, list_names(known));
}

/// "model.layers.3.mlp.up_proj" -> "blk.3.ffn_up", or the other way round; "" where it is no linear of a block.
std::string renamed(const std::string& name, bool to_gguf) {
  const std::string_view prefix = to_gguf ? kLayers : kBlocks;
  const size_t dot = name.find('.', prefix.size());
  if (!name.starts_with(prefix) || dot == std::string::npos) return "";
  for (const auto& [theirs, gguf] : kModules) {
    if (name.substr(dot + 1) != (to_gguf ? theirs : gguf)) continue;
    const std::string number = name.substr(prefix.size(), dot - prefix.size());
    return std::string(to_gguf ? kBlocks : kLayers) + number + "." + std::string(to_gguf ? gguf : theirs);
  }
  return "";
}

/// Heads of a linear whose rows are permuted, else 0.
int64_t permuted_heads(const std::string& module, const nn::ModelConfig& shape) {
  if (!architecture_of(shape).permutes) return 0;
  if (module.ends_with(".q_proj")) return shape.heads;
  return module.ends_with(".k_proj") ? shape.kv_heads : 0;
}

/// Each head's rows, first half and second half, interleaved.
at::Tensor interleave(const at::Tensor& b, int64_t heads) {
  return b.reshape({heads, 2, b.size(0) / heads / 2, b.size(1)}).transpose(1, 2).reshape(b.sizes()).contiguous();
}

at::Tensor undo_interleave(const at::Tensor& b, int64_t heads) {
  return b.reshape({heads, b.size(0) / heads / 2, 2, b.size(1)}).transpose(1, 2).reshape(b.sizes()).contiguous();
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

}  // namespace

void write_gguf_lora(const std::filesystem::path& dir, const PeftAdapter& adapter, const nn::ModelConfig& shape,
                     const std::string& task, FileSystem& file_system) {
  GgufFile file;
  file.keys = {{std::string(kArchitectureKey), std::string(architecture_of(shape).name)},
               {"general.type", "adapter"},
               {"general.name", task},
               {"adapter.type", "lora"},
               {std::string(kAlphaKey), static_cast<float>(adapter.r)},
               {"adapter.lora.task_name", task}};
  std::vector<at::Tensor> held;  // what file.tensors point into
  for (const auto& [module, pair] : adapter.modules) {
    const std::string name = renamed(module, true);
    if (name.empty()) refuse("GGUF adapter, module " + quote_name(module), "llama.cpp has no name for it");
    const int64_t heads = permuted_heads(module, shape);
    held.push_back(pair.a.contiguous());
    file.tensors.push_back(gguf_tensor(name + std::string(kSuffixA), held.back()));
    held.push_back(heads > 0 ? interleave(pair.b, heads) : pair.b.contiguous());
    file.tensors.push_back(gguf_tensor(name + std::string(kSuffixB), held.back()));
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
  const auto key = [&](std::string_view name) {
    const auto value = file.keys.find(std::string(name));
    if (value == file.keys.end()) refuse(path, "the key `" + std::string(name) + "` is missing");
    return value->second;
  };
  if (key(kArchitectureKey) != GgufValue(std::string(architecture_of(shape).name))) {
    refuse(path, "written for another architecture than the base's", "", std::string(architecture_of(shape).name));
  }
  const GgufValue alpha = key(kAlphaKey);
  if (!std::holds_alternative<float>(alpha)) refuse(path, "`" + std::string(kAlphaKey) + "` isn't a number");

  PeftAdapter adapter;
  for (const GgufTensor& tensor : file.tensors) {
    const std::string where = tensor_place(path, tensor.name);
    const bool is_a = tensor.name.ends_with(kSuffixA);
    if (!is_a && !tensor.name.ends_with(kSuffixB)) refuse(where, "not a tensor of a LoRA adapter");
    const std::string module = renamed(tensor.name.substr(0, tensor.name.size() - kSuffixA.size()), false);
    if (module.empty()) refuse(where, "no linear of this architecture has that name");
    LoraPair& pair = adapter.modules[module];
    if (is_a) {
      pair.a = matrix_of(tensor, where);
      continue;
    }
    const int64_t heads = permuted_heads(module, shape);
    const at::Tensor b = matrix_of(tensor, where);
    if (heads > 0 && b.size(0) % (2 * heads) != 0) refuse(where, "its rows don't fit the model's heads");
    pair.b = heads > 0 ? undo_interleave(b, heads) : b;
  }
  for (auto& [module, pair] : adapter.modules) {
    const std::string where = path + ", module " + quote_name(module);
    if (!pair.a.defined() || !pair.b.defined()) refuse(where, "one of lora_a and lora_b is missing");
    if (adapter.r == 0) adapter.r = pair.a.size(0);
    if (pair.a.size(0) != adapter.r || pair.b.size(1) != adapter.r) refuse(where, "its rank isn't the file's");
    pair.b.mul_(std::get<float>(alpha) / static_cast<double>(adapter.r));
  }
  return adapter;
}

}  // namespace moelora::io
