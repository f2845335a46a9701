#include "io/gguf_names.h"

#include <ATen/ops/arange.h>

#include <array>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/suggest.h"
#include "nn/layer_linears.h"

namespace moelora::io {
namespace {

struct Architecture {
  std::string_view family;     // config.json's model_type
  std::string_view name;       // general.architecture
  bool rotates_pairs = false;  // q and k: llama.cpp turns neighbouring dimensions, the files' order is by halves
  bool parts_qkv = false;      // one linear of the files is three of llama.cpp's
};

constexpr std::array<Architecture, 13> kArchitectures = {
    {{.family = "llama", .name = "llama", .rotates_pairs = true},
     {.family = "mistral", .name = "llama", .rotates_pairs = true},
     {.family = "qwen2", .name = "qwen2"},
     {.family = "qwen3", .name = "qwen3"},
     {.family = "gemma2", .name = "gemma2"},
     {.family = "gemma3", .name = "gemma3"},
     {.family = "gemma3_text", .name = "gemma3"},
     {.family = "phi3", .name = "phi3"},
     {.family = "glm", .name = "chatglm"},
     {.family = "glm4", .name = "glm4"},
     {.family = "chatglm", .name = "chatglm"},
     {.family = "internlm2", .name = "internlm2", .rotates_pairs = true, .parts_qkv = true},
     {.family = "baichuan", .name = "baichuan", .rotates_pairs = true, .parts_qkv = true}}};

const Architecture& architecture_of(const nn::ModelConfig& shape) {
  std::vector<std::string> known;
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.family == shape.model_type) return architecture;
    known.emplace_back(architecture.family);
  }
  throw Error(ErrorKind::kModel, {.where = "GGUF adapter",
                                  .problem = "adapters of this family aren't written as GGUF",
                                  .found = shape.model_type,
                                  .expected = list_names(known),
                                  .hint = "export it merged (`--format merged`) and convert that with llama.cpp's own "
                                          "convert_hf_to_gguf.py"});
}

/// Each head's rows, first half and second half, in turns.
at::Tensor in_turns(const at::Tensor& rows, int64_t heads) {
  return rows.reshape({heads, 2, -1}).transpose(1, 2).reshape({-1});
}

struct QkvRows {
  at::Tensor q, k, v;  // undefined: all as they are
};

/// Of q, k and v within one linear, or each of its own linear.
QkvRows qkv_rows(const nn::ModelConfig& shape, const Architecture& architecture) {
  const int64_t size = shape.head_dim, group = shape.heads / shape.kv_heads;
  const int64_t q = shape.heads * size, kv = shape.kv_heads * size;
  QkvRows rows;
  if (!architecture.parts_qkv) {
    if (!architecture.rotates_pairs) return rows;
    rows = {at::arange(q, at::kLong), at::arange(kv, at::kLong), {}};
  } else if (shape.fused_qkv == nn::FusedQkv::kByKeyHead) {
    const at::Tensor all = at::arange(q + 2 * kv, at::kLong).reshape({shape.kv_heads, group + 2, size});
    rows = {all.narrow(1, 0, group).reshape({-1}), all.narrow(1, group, 1).reshape({-1}),
            all.narrow(1, group + 1, 1).reshape({-1})};
  } else {
    const at::Tensor all = at::arange(q + 2 * kv, at::kLong);
    rows = {all.narrow(0, 0, q), all.narrow(0, q, kv), all.narrow(0, q + kv, kv)};
  }
  if (architecture.rotates_pairs) {
    rows.q = in_turns(rows.q, shape.heads);
    rows.k = in_turns(rows.k, shape.kv_heads);
  }
  return rows;
}

}  // namespace

GgufNames gguf_names(const nn::ModelConfig& shape) {
  const Architecture& architecture = architecture_of(shape);
  const QkvRows rows = qkv_rows(shape, architecture);
  GgufNames names{.architecture = std::string(architecture.name), .modules = {}};
  const auto add = [&names](const nn::LinearShape& linear, std::vector<GgufLinear> parts) {
    names.modules[linear.path] = {.out = linear.out, .in = linear.in, .parts = std::move(parts)};
  };
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    const nn::LayerLinears linears = nn::layer_linears(shape, layer);
    const std::string block = "blk." + std::to_string(layer) + ".";
    const std::vector<GgufLinear> qkv = {
        {block + "attn_q", rows.q}, {block + "attn_k", rows.k}, {block + "attn_v", rows.v}};
    if (linears.qkv.size() == qkv.size()) {
      for (size_t i = 0; i < qkv.size(); ++i) add(linears.qkv[i], {qkv[i]});
    } else {
      add(linears.qkv.front(), architecture.parts_qkv ? qkv : std::vector<GgufLinear>{{block + "attn_qkv", {}}});
    }
    add(linears.o.front(), {{block + "attn_output", {}}});
    // A linear that is both gate and up is llama.cpp's `up`, of twice the rows.
    if (linears.gate_up.size() == 2) add(linears.gate_up.front(), {{block + "ffn_gate", {}}});
    add(linears.gate_up.back(), {{block + "ffn_up", {}}});
    add(linears.down.front(), {{block + "ffn_down", {}}});
  }
  return names;
}

}  // namespace moelora::io
