#include "nn/decoder_layer.h"

#include <ATen/ops/index_select.h>
#include <ATen/ops/split_with_sizes.h>

#include <cmath>

#include "kernels/glu.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "nn/recompute.h"

namespace moelora::nn {
namespace {

kernels::NormOptions norm_options(const ModelConfig& config) {
  return {.epsilon = config.norm_epsilon, .unit_offset = config.unit_offset_norms};
}

struct Heads {
  at::Tensor q;  // [T, heads, head_dim]
  at::Tensor k;  // [T, kv_heads, head_dim]
  at::Tensor v;  // [T, kv_heads, head_dim]
};

/// The outputs of the qkv group, as views where the order of heads allows.
Heads heads_of(const ModelConfig& c, const std::vector<at::Tensor>& outputs) {
  const int64_t rows = outputs[0].size(0);
  std::vector<at::Tensor> parts = outputs;
  if (outputs.size() == 1 && c.fused_qkv == FusedQkv::kByKeyHead) {
    const int64_t group = c.heads / c.kv_heads;
    const at::Tensor by_key_head = outputs[0].view({rows, c.kv_heads, group + 2, c.head_dim});
    parts = at::split_with_sizes(by_key_head, {group, 1, 1}, /*dim=*/2);
    return {parts[0].reshape({rows, c.heads, c.head_dim}), parts[1].squeeze(2), parts[2].squeeze(2)};
  }
  if (outputs.size() == 1) {
    const int64_t kv = c.kv_heads * c.head_dim;
    parts = at::split_with_sizes(outputs[0], {c.heads * c.head_dim, kv, kv}, /*dim=*/1);
  }
  return {parts[0].view({rows, c.heads, c.head_dim}), parts[1].view({rows, c.kv_heads, c.head_dim}),
          parts[2].view({rows, c.kv_heads, c.head_dim})};
}

at::Tensor rotate(const RopeConfig& rope, const at::Tensor& x, const Rotation& rotation) {
  const bool pairs = rope.layout == RopeConfig::Layout::kPairs;
  return kernels::rope(x, rotation.cos, rotation.sin,
                       pairs ? kernels::RopeLayout::kPairs : kernels::RopeLayout::kHalves);
}

}  // namespace

std::pair<at::Tensor, at::Tensor> normalise(const ModelConfig& config, const Stream& stream, const Weight& norm) {
  if (!stream.delta.defined())
    return {kernels::rms_norm(stream.residual, norm.get(), norm_options(config)), stream.residual};
  return kernels::add_rms_norm(stream.delta, stream.residual, norm.get(), norm_options(config));
}

Stream DecoderLayer::forward(const ModelConfig& config, const Stream& stream, const LayerInputs& inputs) const {
  const auto [attention_input, before_attention] = normalise(config, stream, *input_norm);
  at::Tensor gathered = attention(config, attention_input, inputs), residual = before_attention;
  const RowContext* context = inputs.context;
  std::unique_ptr<RowContext> of_wanted;
  if (inputs.wanted_rows.defined()) {
    gathered = at::index_select(gathered, 0, inputs.wanted_rows);
    residual = at::index_select(residual, 0, inputs.wanted_rows);
    if (context) of_wanted = context->select(inputs.wanted_rows);
    context = of_wanted.get();
  }
  at::Tensor attended = o->forward(gathered, context)[0];
  if (attention_output_norm) attended = kernels::rms_norm(attended, attention_output_norm->get(), norm_options(config));
  const auto [mlp_input, before_mlp] = normalise(config, {residual, attended}, *mlp_norm);
  at::Tensor output;
  if (inputs.recompute_mlp && !of_wanted) {  // few rows are wanted of the last layer, and their context ends here
    output = recompute(
        [this, &config](const std::vector<at::Tensor>& given, const RowContext* again) {
          return std::vector<at::Tensor>{mlp(config, given[0], again)};
        },
        {mlp_input}, context)[0];
  } else {
    output = mlp(config, mlp_input, context);
  }
  if (mlp_output_norm) output = kernels::rms_norm(output, mlp_output_norm->get(), norm_options(config));
  return {before_mlp, output};
}

at::Tensor DecoderLayer::attention(const ModelConfig& config, const at::Tensor& x, const LayerInputs& inputs) const {
  auto [q, k, v] = heads_of(config, qkv->forward(x, inputs.context));
  if (config.qk_norm) {
    q = kernels::rms_norm(q, q_norm->get(), norm_options(config));
    k = kernels::rms_norm(k, k_norm->get(), norm_options(config));
  }
  const int64_t window = config.windows[index];
  const bool local = window > 0 && config.local_rope;
  const RopeConfig& rope = local ? *config.local_rope : config.rope;
  const Rotation& rotation = local ? inputs.local_rotation : inputs.rotation;
  q = rotate(rope, q, rotation);
  k = rotate(rope, k, rotation);
  const double divisor = config.query_scalar > 0 ? config.query_scalar : static_cast<double>(config.head_dim);
  const kernels::AttentionOptions options{
      .scale = 1.0 / std::sqrt(divisor), .softcap = config.attention_softcap, .window = window};
  return inputs.attention->attend(index, q, k, v, options).reshape({x.size(0), config.heads * config.head_dim});
}

at::Tensor DecoderLayer::mlp(const ModelConfig& config, const at::Tensor& x, const RowContext* context) const {
  std::vector<at::Tensor> parts = gate_up->forward(x, context);
  if (parts.size() == 1)
    parts = at::split_with_sizes(parts[0], {config.intermediate_size, config.intermediate_size}, /*dim=*/1);
  const bool gelu = config.activation == Activation::kGeluTanh;
  return down->forward(gelu ? kernels::geglu(parts[0], parts[1]) : kernels::swiglu(parts[0], parts[1]), context)[0];
}

}  // namespace moelora::nn
