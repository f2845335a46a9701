// The decoder-only transformer every supported family is an instance of. It knows nothing of adapters: they wrap its
// projections from outside (adapters::attach), and what rows carry for them is an opaque RowContext.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/attention_state.h"
#include "nn/decoder_layer.h"
#include "nn/linear_form.h"
#include "nn/model_config.h"
#include "nn/recompute.h"
#include "nn/rope_table.h"
#include "nn/weight_source.h"

namespace moelora::nn {

/// The rows of one packed batch (training) or one step (generation).
struct Rows {
  at::Tensor ids;        // [T] int64
  at::Tensor positions;  // [T] int64, from 0 within each sequence
};

struct ForwardOptions {
  Recompute recompute = Recompute::kNone;
  /// [K] int64, ascending, of the rows whose hidden state is asked for (those whose next token is supervised, or is to
  /// be generated): the last layer computes nothing else after its keys and values. Undefined: all.
  at::Tensor wanted_rows;
};

/// The name under which `source` has the decoder's tensor `name`: `name`, unless its files are of before transformers
/// moved the family's modules.
std::string stored_name(const ModelConfig& config, const WeightSource& source, const std::string& name);

class Decoder {
 public:
  /// Takes every weight from `source` in `dtype` (kFloat, kBFloat16; kDouble in tests), and keeps the layers' linears
  /// in `form`: another than kPlain is quantised tensor by tensor, without all of them in memory at once, and can't be
  /// trained.
  Decoder(ModelConfig config, WeightSource& source, at::ScalarType dtype, LinearForm form = LinearForm::kPlain);

  /// Hidden rows after the last norm, [T, hidden_size], or [K, hidden_size] of the wanted ones. Throws Error (kLimit)
  /// on a position beyond the model's context and Error (kData) on a token id outside the vocabulary.
  at::Tensor forward(const Rows& rows, AttentionState& attention, const RowContext* context,
                     const ForwardOptions& options = {}) const;

  /// Logits of hidden rows, capped where the model caps them: [K, hidden_size] -> [K, vocab_size], in the compute
  /// dtype.
  at::Tensor logits(const at::Tensor& hidden) const;

  /// The head as hidden rows are multiplied with it, [vocab_size, hidden_size] in the compute dtype: the embedding
  /// where they are tied, its rows of length 1 where the model normalises them. Differentiable where trainable.
  at::Tensor head() const;

  const ModelConfig& config() const { return config_; }
  at::ScalarType dtype() const { return dtype_; }

  /// Every projection of every layer, in order; a visitor may wrap it in place.
  void for_each_projection(const std::function<void(std::unique_ptr<Projection>&)>& visit);

  /// Every weight that is kept as the files have it, once, by its Hugging Face name, in file order: all but quantised
  /// linears.
  const std::vector<WeightPtr>& weights() const { return weights_; }

  /// method: full. Every weight becomes a float32 master that requires a gradient.
  void make_trainable();

 private:
  Stream forward_layer(const DecoderLayer& layer, const Stream& stream, const LayerInputs& inputs,
                       const ForwardOptions& options) const;

  ModelConfig config_;
  at::ScalarType dtype_;
  RopeTable rope_;
  std::optional<RopeTable> local_rope_;
  WeightPtr embedding_;  // [vocab_size, hidden_size]
  std::vector<DecoderLayer> layers_;
  WeightPtr final_norm_;        // [hidden_size]
  WeightPtr head_;              // [vocab_size, hidden_size]
  at::Tensor normalised_head_;  // of a frozen head, where the model normalises it
  std::vector<WeightPtr> weights_;
};

}  // namespace moelora::nn
