#include "nn/decoder.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <span>

#include "core/error.h"
#include "kernels/few_rows.h"
#include "nn/recompute.h"

namespace moelora::nn {
namespace {

/// Takes weights by name and keeps the list of all of them.
class Loader {
 public:
  Loader(WeightSource& source, at::ScalarType dtype, std::vector<WeightPtr>& all) : source_(source), dtype_(dtype), all_(all) {}

  WeightPtr weight(const std::string& name, const std::vector<int64_t>& shape) {
    all_.push_back(std::make_shared<Weight>(name, source_.load(name, shape, dtype_)));
    return all_.back();
  }

  Member linear(const std::string& path, int64_t out, int64_t in, bool bias) {
    const WeightPtr w = weight(path + ".weight", {out, in});
    return {path, std::make_shared<PlainLinear>(w, bias ? weight(path + ".bias", {out}) : nullptr)};
  }

 private:
  WeightSource& source_;
  at::ScalarType dtype_;
  std::vector<WeightPtr>& all_;
};

std::unique_ptr<Projection> group(std::vector<Member> members) { return std::make_unique<BaseProjection>(std::move(members)); }

DecoderLayer load_layer(const ModelConfig& c, int64_t index, Loader& loader) {
  const std::string prefix = "model.layers." + std::to_string(index) + ".";
  const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
  const int64_t q_size = c.heads * c.head_dim, kv_size = c.kv_heads * c.head_dim;
  DecoderLayer layer;
  layer.index = index;
  layer.input_norm = loader.weight(prefix + "input_layernorm.weight", {c.hidden_size});
  layer.qkv = group({loader.linear(attention + "q_proj", q_size, c.hidden_size, c.qkv_bias),
                     loader.linear(attention + "k_proj", kv_size, c.hidden_size, c.qkv_bias),
                     loader.linear(attention + "v_proj", kv_size, c.hidden_size, c.qkv_bias)});
  if (c.qk_norm) {
    layer.q_norm = loader.weight(attention + "q_norm.weight", {c.head_dim});
    layer.k_norm = loader.weight(attention + "k_norm.weight", {c.head_dim});
  }
  layer.o = group({loader.linear(attention + "o_proj", c.hidden_size, q_size, c.o_bias)});
  layer.post_attention_norm = loader.weight(prefix + "post_attention_layernorm.weight", {c.hidden_size});
  layer.gate_up = group({loader.linear(mlp + "gate_proj", c.intermediate_size, c.hidden_size, c.mlp_bias),
                         loader.linear(mlp + "up_proj", c.intermediate_size, c.hidden_size, c.mlp_bias)});
  layer.down = group({loader.linear(mlp + "down_proj", c.hidden_size, c.intermediate_size, c.mlp_bias)});
  return layer;
}

void check_rows(const Rows& rows, const ModelConfig& config) {
  const std::span<const int64_t> ids(rows.ids.const_data_ptr<int64_t>(), rows.ids.numel());
  const std::span<const int64_t> positions(rows.positions.const_data_ptr<int64_t>(), rows.positions.numel());
  for (const int64_t id : ids) {
    if (id < 0 || id >= config.vocab_size) {
      throw Error(ErrorKind::kData, {.where = "token ids",
                                     .problem = "token outside the model's vocabulary",
                                     .found = std::to_string(id),
                                     .expected = "0 to " + std::to_string(config.vocab_size - 1),
                                     .hint = "do tokenizer and model belong together?"});
    }
  }
  const auto largest = std::ranges::max_element(positions);
  if (largest != positions.end() && *largest >= config.max_positions) {
    throw Error(ErrorKind::kLimit, {.where = "sequence",
                                    .problem = "longer than the model's context",
                                    .found = std::to_string(*largest + 1) + " tokens",
                                    .expected = "at most " + std::to_string(config.max_positions)});
  }
}

}  // namespace

Decoder::Decoder(ModelConfig config, WeightSource& source, at::ScalarType dtype)
    : config_(std::move(config)), dtype_(dtype), rope_(config_) {
  Loader loader(source, dtype, weights_);
  embedding_ = loader.weight("model.embed_tokens.weight", {config_.vocab_size, config_.hidden_size});
  for (int64_t i = 0; i < config_.layers; ++i) layers_.push_back(load_layer(config_, i, loader));
  final_norm_ = loader.weight("model.norm.weight", {config_.hidden_size});
  head_ = config_.tied_head ? embedding_ : loader.weight("lm_head.weight", {config_.vocab_size, config_.hidden_size});
}

at::Tensor Decoder::forward(const Rows& rows, AttentionState& attention, const RowContext* context,
                            const ForwardOptions& options) const {
  check_rows(rows, config_);
  const auto [cos, sin] = rope_.at_positions(rows.positions, dtype_);
  LayerInputs inputs{.cos = cos, .sin = sin, .attention = &attention, .context = context};
  Stream stream{.residual = at::embedding(embedding_->get(), rows.ids)};
  for (const DecoderLayer& layer : layers_) {
    if (&layer == &layers_.back()) inputs.wanted_rows = options.wanted_rows;
    stream = forward_layer(layer, stream, inputs, options);
  }
  return normalise(stream, *final_norm_, config_.norm_epsilon).first;
}

Stream Decoder::forward_layer(const DecoderLayer& layer, const Stream& stream, const LayerInputs& inputs,
                              const ForwardOptions& options) const {
  if (!options.recompute || !at::GradMode::is_enabled()) return layer.forward(config_, stream, inputs);
  const size_t stream_size = stream.delta.defined() ? 2 : 1;
  std::vector<at::Tensor> tensors = {stream.residual};
  if (stream_size == 2) tensors.push_back(stream.delta);
  if (inputs.context) std::ranges::copy(inputs.context->differentiable(), std::back_inserter(tensors));
  const auto segment = [this, &layer, inputs, stream_size](const std::vector<at::Tensor>& given) -> std::vector<at::Tensor> {
    LayerInputs again = inputs;
    std::unique_ptr<RowContext> context;
    if (inputs.context) {
      context = inputs.context->with({given.begin() + stream_size, given.end()});
      again.context = context.get();
    }
    const Stream out = layer.forward(config_, {given[0], stream_size == 2 ? given[1] : at::Tensor()}, again);
    return {out.residual, out.delta};
  };
  const std::vector<at::Tensor> out = recompute(segment, tensors);
  return {out[0], out[1]};
}

at::Tensor Decoder::logits(const at::Tensor& hidden) const {
  const at::Tensor head = head_->get();
  return kernels::takes_few_rows(hidden, head) ? kernels::few_rows_linear(hidden, head, {}) : at::linear(hidden, head);
}

void Decoder::for_each_projection(const std::function<void(std::unique_ptr<Projection>&)>& visit) {
  for (DecoderLayer& layer : layers_) {
    for (std::unique_ptr<Projection>* slot : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) visit(*slot);
  }
}

void Decoder::make_trainable() {
  for (const WeightPtr& weight : weights_) weight->make_trainable();
}

}  // namespace moelora::nn
