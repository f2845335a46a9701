#include "train/parameter_count.h"

#include <algorithm>
#include <iterator>

#include "adapters/targets.h"
#include "config/method.h"

namespace moelora::train {
namespace {

/// What the formulas sum over the adapted linears.
struct AdaptedLinears {
  int64_t count = 0;       // L
  int64_t in = 0;          // I
  int64_t in_and_out = 0;  // S
};

constexpr const char* kAdapterLetters =
    "S: in + out, I: in, both summed over the L adapted linears; r: rank, N: experts, d_t: gate.embedding_size, T: "
    "tasks";
constexpr const char* kBaseLetters =
    "V: vocabulary, d: hidden size (V d: the embedding, and a head that isn't tied to it); W: the linears and their "
    "biases, n: the norms";

struct BaseParameters {
  int64_t embeddings = 0;  // all entries, and those of a head that isn't tied
  int64_t linears = 0;     // with biases
  int64_t norms = 0;

  int64_t all() const { return embeddings + linears + norms; }
};

BaseParameters base_parameters(const nn::ModelConfig& c) {
  BaseParameters base{.embeddings = (c.tied_head ? 1 : 2) * c.vocab_size * c.hidden_size, .norms = c.hidden_size};
  for (const nn::LinearShape& linear : linears_of(c)) base.linears += linear.out * (linear.in + (linear.bias ? 1 : 0));
  const int64_t norms = 2 + (c.names.attention_output_norm.empty() ? 0 : 1) + (c.names.mlp_output_norm.empty() ? 0 : 1);
  base.norms += c.layers * (norms * c.hidden_size + (c.qk_norm ? 2 * c.head_dim : 0));
  return base;
}

AdaptedLinears adapted_linears(const config::AdapterConfig& adapter, const nn::ModelConfig& shape) {
  const std::vector<nn::LinearShape> all = linears_of(shape);
  std::vector<std::string> paths;
  for (const nn::LinearShape& linear : all) paths.push_back(linear.path);
  const std::vector<bool> targeted = adapters::match_targets(adapter.targets, paths);
  AdaptedLinears adapted;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!targeted[i]) continue;
    ++adapted.count;
    adapted.in += all[i].in;
    adapted.in_and_out += all[i].in + all[i].out;
  }
  return adapted;
}

}  // namespace

std::vector<nn::LinearShape> linears_of(const nn::ModelConfig& shape) {
  std::vector<nn::LinearShape> every;
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    std::ranges::move(nn::layer_linears(shape, layer).all(), std::back_inserter(every));
  }
  return every;
}

int64_t linear_parameter_count(const nn::ModelConfig& shape) {
  int64_t count = 0;
  for (const nn::LinearShape& linear : linears_of(shape)) count += linear.out * linear.in;
  return count;
}

int64_t base_parameter_count(const nn::ModelConfig& shape) {
  return base_parameters(shape).all();
}

TrainedCount count_trained_parameters(const config::AdapterConfig& adapter, const nn::ModelConfig& shape,
                                      int64_t tasks) {
  const auto text = [](int64_t number) { return std::to_string(number); };
  if (config::trains_base(adapter.method)) {
    const BaseParameters base = base_parameters(shape);
    return {base.all(),
            std::string(shape.tied_head ? "V d" : "2 V d") + " + W + n = " + (shape.tied_head ? "" : "2 x ") +
                text(shape.vocab_size) + " x " + text(shape.hidden_size) + " + " + text(base.linears) + " + " +
                text(base.norms),
            kBaseLetters};
  }
  const AdaptedLinears linears = adapted_linears(adapter, shape);
  TrainedCount trained{adapter.rank * linears.in_and_out, {}, kAdapterLetters};
  std::string letters = "r S", numbers = text(adapter.rank) + " x " + text(linears.in_and_out);
  if (config::is_made_of_runs(adapter.method)) {
    trained.count *= tasks;
    letters = "T " + letters;
    numbers = text(tasks) + " x " + numbers;
  }
  switch (config::traits(adapter.method).gate) {
    case config::GateSees::kNothing:
      break;
    case config::GateSees::kTask: {
      const bool shared = !config::has_gate_per_layer(adapter);
      const int64_t gates = shared ? 1 : linears.count;
      trained.count += adapter.gate.embedding_size * (tasks + gates * adapter.experts);
      letters += shared ? " + d_t (T + N)" : " + d_t (T + L N)";
      numbers += " + " + text(adapter.gate.embedding_size) + " x (" + text(tasks) + " + " +
                 (shared ? "" : text(gates) + " x ") + text(adapter.experts) + ")";
      break;
    }
    case config::GateSees::kRow:
      trained.count += adapter.experts * linears.in;
      letters += " + N I";
      numbers += " + " + text(adapter.experts) + " x " + text(linears.in);
      break;
  }
  trained.formula = letters + " = " + numbers;
  return trained;
}

}  // namespace moelora::train
