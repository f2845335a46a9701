#include "nn/decoder_layer.h"

#include <ATen/ops/index_select.h>

#include <cmath>

#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"

namespace moelora::nn {

std::pair<at::Tensor, at::Tensor> normalise(const Stream& stream, const Weight& norm, double epsilon) {
  if (!stream.delta.defined()) return {kernels::rms_norm(stream.residual, norm.get(), epsilon), stream.residual};
  return kernels::add_rms_norm(stream.delta, stream.residual, norm.get(), epsilon);
}

Stream DecoderLayer::forward(const ModelConfig& config, const Stream& stream, const LayerInputs& inputs) const {
  const auto [attention_input, before_attention] = normalise(stream, *input_norm, config.norm_epsilon);
  at::Tensor gathered = attention(config, attention_input, inputs), residual = before_attention;
  const RowContext* context = inputs.context;
  std::unique_ptr<RowContext> of_wanted;
  if (inputs.wanted_rows.defined()) {
    gathered = at::index_select(gathered, 0, inputs.wanted_rows);
    residual = at::index_select(residual, 0, inputs.wanted_rows);
    if (context) of_wanted = context->select(inputs.wanted_rows);
    context = of_wanted.get();
  }
  const Stream middle{residual, o->forward(gathered, context)[0]};
  const auto [mlp_input, before_mlp] = normalise(middle, *post_attention_norm, config.norm_epsilon);
  return {before_mlp, mlp(mlp_input, context)};
}

at::Tensor DecoderLayer::attention(const ModelConfig& config, const at::Tensor& x, const LayerInputs& inputs) const {
  const int64_t rows = x.size(0);
  const std::vector<at::Tensor> outputs = qkv->forward(x, inputs.context);
  at::Tensor q = outputs[0].view({rows, config.heads, config.head_dim});
  at::Tensor k = outputs[1].view({rows, config.kv_heads, config.head_dim});
  const at::Tensor v = outputs[2].view({rows, config.kv_heads, config.head_dim});
  if (config.qk_norm) {
    q = kernels::rms_norm(q, q_norm->get(), config.norm_epsilon);
    k = kernels::rms_norm(k, k_norm->get(), config.norm_epsilon);
  }
  q = kernels::rope(q, inputs.cos, inputs.sin);
  k = kernels::rope(k, inputs.cos, inputs.sin);
  const kernels::AttentionOptions options{.scale = 1.0 / std::sqrt(static_cast<double>(config.head_dim)),
                                          .window = config.windows[index]};
  return inputs.attention->attend(index, q, k, v, options).reshape({rows, config.heads * config.head_dim});
}

at::Tensor DecoderLayer::mlp(const at::Tensor& x, const RowContext* context) const {
  const std::vector<at::Tensor> gate_and_up = gate_up->forward(x, context);
  return down->forward(kernels::swiglu(gate_and_up[0], gate_and_up[1]), context)[0];
}

}  // namespace moelora::nn
