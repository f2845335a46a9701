#include "nn/decoder.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "core/error.h"
#include "kernels/few_rows.h"
#include "nn/int8_linear.h"
#include "nn/layer_linears.h"
#include "nn/nf4_linear.h"
#include "nn/packed_linear.h"

namespace moelora::nn {
namespace {

/// Takes weights by name and keeps the list of all of them.
class Loader {
 public:
  Loader(const ModelConfig& config, WeightSource& source, at::ScalarType dtype, LinearForm form,
         std::vector<WeightPtr>& all)
      : config_(config), source_(source), dtype_(dtype), form_(form), all_(all) {}

  WeightPtr weight(const std::string& name, const std::vector<int64_t>& shape) {
    all_.push_back(std::make_shared<Weight>(name, load(name, shape)));
    return all_.back();
  }

  /// A norm's weight, null where the family has no such norm.
  WeightPtr norm(const std::string& prefix, const std::string& name, int64_t size) {
    return name.empty() ? nullptr : weight(prefix + name + ".weight", {size});
  }

  std::unique_ptr<Projection> group(const std::vector<LinearShape>& shapes) {
    std::vector<Member> members;
    for (const LinearShape& shape : shapes) {
      members.push_back({shape.path, linear(shape)});
    }
    return std::make_unique<BaseProjection>(std::move(members));
  }

 private:
  at::Tensor load(const std::string& name, const std::vector<int64_t>& shape) {
    return source_.load(stored_name(config_, source_, name), shape, dtype_);
  }

  std::shared_ptr<BaseLinear> linear(const LinearShape& shape) {
    const std::string name = shape.path + ".weight";
    if (form_ == LinearForm::kPlain) {
      const WeightPtr w = weight(name, {shape.out, shape.in});
      return std::make_shared<PlainLinear>(w, shape.bias ? weight(shape.path + ".bias", {shape.out}) : nullptr);
    }
    if (form_ == LinearForm::kPacked || form_ == LinearForm::kPackedForward) {
      const WeightPtr w = weight(name, {shape.out, shape.in});
      auto packed = std::make_shared<PackedLinear>(
          std::make_unique<PlainLinear>(w, shape.bias ? weight(shape.path + ".bias", {shape.out}) : nullptr),
          form_ == LinearForm::kPacked ? PackedLinear::Directions::kBoth : PackedLinear::Directions::kForward);
      source_.forget(stored_name(config_, source_, name));
      return packed;
    }
    const at::Tensor bias = shape.bias ? weight(shape.path + ".bias", {shape.out})->get() : at::Tensor();
    if (form_ == LinearForm::kNf4) {
      if (auto stored = source_.load_nf4(stored_name(config_, source_, name), {shape.out, shape.in})) {
        return std::make_shared<Nf4Linear>(*std::move(stored), bias, dtype_);
      }
    }
    const at::Tensor dense = load(name, {shape.out, shape.in});
    std::shared_ptr<BaseLinear> linear;
    if (form_ == LinearForm::kInt8) {
      linear = std::make_shared<Int8Linear>(name, dense, bias);
    } else {
      linear = std::make_shared<Nf4Linear>(kernels::quantize_nf4(dense, name), bias, dtype_);
    }
    source_.forget(stored_name(config_, source_, name));
    return linear;
  }

  const ModelConfig& config_;
  WeightSource& source_;
  at::ScalarType dtype_;
  LinearForm form_;
  std::vector<WeightPtr>& all_;
};

DecoderLayer load_layer(const ModelConfig& c, int64_t index, Loader& loader) {
  const std::string prefix = c.names.layers + "." + std::to_string(index) + ".";
  const LayerLinears linears = layer_linears(c, index);
  DecoderLayer layer;
  layer.index = index;
  layer.input_norm = loader.norm(prefix, c.names.input_norm, c.hidden_size);
  layer.qkv = loader.group(linears.qkv);
  if (c.qk_norm) {
    layer.q_norm = loader.norm(prefix, c.names.q_norm, c.head_dim);
    layer.k_norm = loader.norm(prefix, c.names.k_norm, c.head_dim);
  }
  layer.o = loader.group(linears.o);
  layer.attention_output_norm = loader.norm(prefix, c.names.attention_output_norm, c.hidden_size);
  layer.mlp_norm = loader.norm(prefix, c.names.mlp_norm, c.hidden_size);
  layer.gate_up = loader.group(linears.gate_up);
  layer.down = loader.group(linears.down);
  layer.mlp_output_norm = loader.norm(prefix, c.names.mlp_output_norm, c.hidden_size);
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

/// Rows divided by their length.
at::Tensor with_rows_of_length_one(const at::Tensor& matrix) {
  return matrix.div(at::linalg_vector_norm(matrix, 2, /*dim=*/1, /*keepdim=*/true).clamp_min(1e-12));
}

}  // namespace

std::string stored_name(const ModelConfig& config, const WeightSource& source, const std::string& name) {
  if (source.contains(name)) return name;
  for (const StoredPrefix& prefix : config.stored_prefixes) {
    if (!name.starts_with(prefix.module)) continue;
    const std::string stored = prefix.file + name.substr(prefix.module.size());
    if (source.contains(stored)) return stored;
  }
  return name;
}

Decoder::Decoder(ModelConfig config, WeightSource& source, at::ScalarType dtype, LinearForm form)
    : config_(std::move(config)), dtype_(dtype), rope_(config_.rope, config_.head_dim) {
  if (config_.local_rope) local_rope_.emplace(*config_.local_rope, config_.head_dim);
  Loader loader(config_, source, dtype, form, weights_);
  embedding_ = loader.weight(config_.names.embedding + ".weight", {config_.vocab_size, config_.hidden_size});
  for (int64_t i = 0; i < config_.layers; ++i) layers_.push_back(load_layer(config_, i, loader));
  final_norm_ = loader.norm("", config_.names.final_norm, config_.hidden_size);
  head_ = config_.tied_head ? embedding_
                            : loader.weight(config_.names.head + ".weight", {config_.vocab_size, config_.hidden_size});
  if (config_.normalised_head) normalised_head_ = with_rows_of_length_one(head_->get());
}

at::Tensor Decoder::forward(const Rows& rows, AttentionState& attention, const RowContext* context,
                            const ForwardOptions& options) const {
  check_rows(rows, config_);
  LayerInputs inputs{
      .rotation = rope_.at_positions(rows.positions, dtype_), .attention = &attention, .context = context};
  if (local_rope_) inputs.local_rotation = local_rope_->at_positions(rows.positions, dtype_);
  Stream stream{.residual = at::embedding(embedding_->get(), rows.ids)};
  if (config_.scaled_embedding) {  // by the root as the compute dtype has it
    stream.residual =
        stream.residual.mul(at::scalar_tensor(std::sqrt(static_cast<double>(config_.hidden_size)), dtype_));
  }
  for (const DecoderLayer& layer : layers_) {
    if (&layer == &layers_.back()) inputs.wanted_rows = options.wanted_rows;
    stream = forward_layer(layer, stream, inputs, options);
  }
  return normalise(config_, stream, *final_norm_).first;
}

Stream Decoder::forward_layer(const DecoderLayer& layer, const Stream& stream, const LayerInputs& inputs,
                              const ForwardOptions& options) const {
  if (options.recompute != Recompute::kFull || !at::GradMode::is_enabled()) {
    LayerInputs own = inputs;
    own.recompute_mlp = options.recompute == Recompute::kMlp && at::GradMode::is_enabled();
    return layer.forward(config_, stream, own);
  }
  std::vector<at::Tensor> tensors = {stream.residual};
  if (stream.delta.defined()) tensors.push_back(stream.delta);
  const std::vector<at::Tensor> out = recompute(
      [this, &layer, inputs](const std::vector<at::Tensor>& given, const RowContext* context) {
        LayerInputs again = inputs;
        again.context = context;
        const Stream after = layer.forward(config_, {given[0], given.size() == 2 ? given[1] : at::Tensor()}, again);
        return std::vector<at::Tensor>{after.residual, after.delta};
      },
      tensors, inputs.context);
  return {out[0], out[1]};
}

at::Tensor Decoder::head() const {
  if (!config_.normalised_head) return head_->get();
  return head_->trainable() ? with_rows_of_length_one(head_->get()) : normalised_head_;
}

at::Tensor Decoder::logits(const at::Tensor& hidden) const {
  const at::Tensor matrix = head();
  const at::Tensor logits = kernels::takes_few_rows(hidden, matrix) ? kernels::few_rows_linear(hidden, matrix, {})
                                                                    : at::linear(hidden, matrix);
  const double cap = config_.logit_softcap;
  return cap > 0 ? logits.to(dtype_ == at::kDouble ? at::kDouble : at::kFloat).div(cap).tanh().mul(cap).to(dtype_)
                 : logits;
}

void Decoder::for_each_projection(const std::function<void(std::unique_ptr<Projection>&)>& visit) {
  for (DecoderLayer& layer : layers_) {
    for (std::unique_ptr<Projection>* slot : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) visit(*slot);
  }
}

void Decoder::make_trainable() {
  for (const WeightPtr& weight : weights_) weight->make_trainable();
  for_each_projection([](std::unique_ptr<Projection>& projection) { projection->refresh(); });
  normalised_head_.reset();
}

}  // namespace moelora::nn
