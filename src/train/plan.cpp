#include "train/plan.h"

#include <ATen/ops/ones.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "config/method.h"
#include "core/memory.h"
#include "data/training_stream.h"
#include "nn/int8_linear.h"
#include "nn/layer_linears.h"
#include "nn/nf4_linear.h"
#include "nn/packed_linear.h"
#include "train/machine.h"
#include "train/parameter_count.h"
#include "train/trainer.h"

namespace moelora::train {
namespace {

int64_t mlp_parameters(const nn::ModelConfig& shape) {
  return 3 * shape.hidden_size * shape.intermediate_size * shape.layers;
}

/// Whether what a run keeps in memory is there for each of the processes, with a fifth left free.
bool fits(const Plan& plan, int64_t processes) {
  const auto usable = static_cast<double>(available_memory_bytes() / processes) * 0.8;
  return static_cast<double>(plan.weight_bytes + plan.optimizer_bytes + plan.activation_bytes) <= usable;
}

/// GFLOP/s of a product of the run's own shape with a weight in that form, the best of a few.
double measure_gflops(const config::RunConfig& config, const nn::ModelConfig& shape, nn::LinearForm form) {
  constexpr int64_t kMostRows = 1024;  // more don't change the rate
  const at::ScalarType dtype = compute_dtype(config.train.dtype);
  const at::Tensor x = at::ones({std::min(config.train.tokens_per_batch, kMostRows), shape.hidden_size}, dtype);
  const at::Tensor w = at::ones({shape.intermediate_size, shape.hidden_size}, dtype);
  std::unique_ptr<nn::BaseLinear> linear;
  switch (form) {
    case nn::LinearForm::kPlain:
      linear = std::make_unique<nn::PlainLinear>(std::make_shared<nn::Weight>("plan", w), nullptr);
      break;
    case nn::LinearForm::kPacked:
    case nn::LinearForm::kPackedForward:
      linear = std::make_unique<nn::PackedLinear>(
          std::make_unique<nn::PlainLinear>(std::make_shared<nn::Weight>("plan", w), nullptr),
          nn::PackedLinear::Directions::kForward);
      break;
    case nn::LinearForm::kInt8:
      linear = std::make_unique<nn::Int8Linear>("plan", w, at::Tensor());
      break;
    case nn::LinearForm::kNf4:
      linear = std::make_unique<nn::Nf4Linear>(kernels::quantize_nf4(w, "plan"), at::Tensor(), dtype);
      break;
  }
  const double work = 2e-9 * static_cast<double>(x.size(0)) * static_cast<double>(w.numel());
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    linear->forward(x);
    best = std::max(best, work / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

/// Share of the products' speed that a whole step with a plain base reaches.
constexpr double kStepEfficiency = 0.7;

/// Measures, with the threads that are set.
void estimate_speed(const config::RunConfig& config, const nn::ModelConfig& shape, double supervised, Plan& plan) {
  const nn::LinearForm form = training_form(config);
  const double plain = measure_gflops(config, shape, nn::LinearForm::kPlain);
  plan.gflops = form == nn::LinearForm::kPlain ? plain : measure_gflops(config, shape, form);
  const double passes =
      config::trains_base(config.adapter.method) ? 6 : 4;  // forward 2, input gradient 2, weight gradient 2
  double again = 0;                                        // products of forward that backward computes once more
  switch (layer_recompute(config.train.recompute)) {
    case nn::Recompute::kFull:
      again = static_cast<double>(linear_parameter_count(shape));
      break;
    case nn::Recompute::kMlp:
      again = static_cast<double>(mlp_parameters(shape));
      break;
    case nn::Recompute::kNone:
      break;
  }
  const double linears = passes * static_cast<double>(linear_parameter_count(shape)) + 2 * again;
  const double head = passes * static_cast<double>(shape.vocab_size * shape.hidden_size) * supervised;
  // What isn't a product of the base takes as long whatever the base's form.
  const double others = (1 / kStepEfficiency - 1) * (linears + head) / plain;
  plan.tokens_per_s = 1e9 / (linears / plan.gflops + head / plain + others);
}

struct EpochTokens {
  double all = 0, supervised = 0;
};

/// As an epoch draws its rows: of each task as many as its share says, of the mean length.
EpochTokens tokens_of_epoch(const data::EncodedRows& rows, const data::Sampler& sampler) {
  const std::vector<double> draws = sampler.expected_draws();
  EpochTokens epoch;
  for (size_t t = 0; t < draws.size(); ++t) {
    const data::TaskTokens& task = rows.stats()[t];
    if (task.samples == 0) continue;
    const double times = draws[t] / static_cast<double>(task.samples);
    epoch.all += times * static_cast<double>(task.prompt_tokens + task.answer_tokens);
    epoch.supervised += times * static_cast<double>(task.answer_tokens);
  }
  return epoch;
}

}  // namespace

Plan plan_shape(const config::RunConfig& config, const nn::ModelConfig& shape, const PlanShapeOptions& options) {
  Plan plan = plan_model(config, shape, options.tasks);
  estimate_speed(config, shape, options.supervised, plan);
  return plan;
}

Plan plan_model(const config::RunConfig& config, const nn::ModelConfig& shape, int64_t tasks) {
  const config::AdapterConfig& adapter = config.adapter;
  Plan plan;
  plan.base_parameters = base_parameter_count(shape);
  TrainedCount trained = count_trained_parameters(adapter, shape, tasks);
  plan.trained_parameters = trained.count;
  plan.trained_parameters_formula = std::move(trained.formula);
  plan.trained_parameters_letters = std::move(trained.letters);
  const int64_t bytes = compute_dtype(config.train.dtype) == at::kFloat ? 4 : 2;
  plan.weight_bytes = (plan.base_parameters - linear_parameter_count(shape)) * bytes;
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    for (const nn::LinearShape& linear : nn::layer_linears(shape, layer).all()) {
      plan.weight_bytes += nn::linear_bytes(training_form(config), linear.out, linear.in, bytes);
    }
  }
  // Runs that follow one another: each leaves its LoRA.
  const int64_t runs = config::is_made_of_runs(adapter.method) ? tasks : 1;
  plan.optimizer_bytes = plan.trained_parameters / runs * 16 + (runs > 1 ? plan.trained_parameters * 4 : 0);
  // Kept for backward, a row and layer: norms' inputs and outputs, q, k, v before and after rotation, attention's
  // result, the MLP's gate, up and product.
  const int64_t q = shape.heads * shape.head_dim, kv = shape.kv_heads * shape.head_dim;
  const int64_t row = 4 * shape.hidden_size + 3 * q + 4 * kv + 3 * shape.intermediate_size;
  int64_t kept = row * shape.layers;
  const nn::Recompute recompute = layer_recompute(config.train.recompute);
  if (recompute == nn::Recompute::kFull) kept = 2 * shape.hidden_size * shape.layers + row;
  if (recompute == nn::Recompute::kMlp) kept -= 3 * shape.intermediate_size * (shape.layers - 1);
  plan.activation_bytes = config.train.tokens_per_batch * kept * bytes;
  return plan;
}

nn::Recompute layer_recompute(config::Recompute recompute) {
  if (recompute == config::Recompute::kMlp) return nn::Recompute::kMlp;
  return recompute == config::Recompute::kFull ? nn::Recompute::kFull : nn::Recompute::kNone;
}

config::Recompute choose_recompute(const config::RunConfig& config, const nn::ModelConfig& shape, int64_t tasks,
                                   int64_t processes) {
  if (config.train.recompute != config::Recompute::kAuto) return config.train.recompute;
  config::RunConfig tried = config;
  for (const config::Recompute candidate : {config::Recompute::kNone, config::Recompute::kMlp}) {
    tried.train.recompute = candidate;
    if (fits(plan_model(tried, shape, tasks), processes)) return candidate;
  }
  return config::Recompute::kFull;
}

nn::LinearForm reading_form(const config::RunConfig& config, const nn::ModelConfig& shape) {
  const nn::LinearForm form = linear_form(config.quantization);
  if (form != nn::LinearForm::kPlain || !nn::PackedLinear::takes(compute_dtype(config.train.dtype))) return form;
  const int64_t dtype_bytes = compute_dtype(config.train.dtype) == at::kFloat ? 4 : 2;
  int64_t bytes = (base_parameter_count(shape) - linear_parameter_count(shape)) * dtype_bytes;
  for (const nn::LinearShape& linear : linears_of(shape))
    bytes += nn::linear_bytes(nn::LinearForm::kPackedForward, linear.out, linear.in, dtype_bytes);
  return 2 * bytes <= available_memory_bytes() ? nn::LinearForm::kPackedForward : form;
}

config::WeightLayout choose_weight_layout(const config::RunConfig& config, const nn::ModelConfig& shape, int64_t tasks,
                                          int64_t processes) {
  if (config.train.weight_layout != config::WeightLayout::kAuto) return config.train.weight_layout;
  config::RunConfig packed = config;
  packed.train.weight_layout = config::WeightLayout::kPacked;
  const bool can =
      training_form(packed) == nn::LinearForm::kPacked && nn::PackedLinear::takes(compute_dtype(config.train.dtype));
  return can && fits(plan_model(packed, shape, tasks), processes) ? config::WeightLayout::kPacked
                                                                  : config::WeightLayout::kPlain;
}

Plan plan_run(const RunSetup& setup) {
  const config::RunConfig& config = setup.config;
  Plan plan = plan_model(config, setup.base.shape, setup.groups().count());
  const data::Sampler sampler(*setup.train_rows, data::sampler_options(config.train, setup.dataset));
  const EpochTokens epoch = tokens_of_epoch(*setup.train_rows, sampler);
  plan.steps = total_steps(config.train, sampler.steps_per_epoch());
  plan.tokens_per_step = epoch.all / static_cast<double>(sampler.steps_per_epoch());
  use_threads(config.train);
  estimate_speed(config, setup.base.shape, epoch.supervised / std::max(1.0, epoch.all), plan);
  plan.seconds = plan.tokens_per_step * static_cast<double>(plan.steps) / plan.tokens_per_s;
  return plan;
}

nlohmann::ordered_json plan_json(const Plan& plan) {
  return {{"base_parameters", plan.base_parameters},
          {"trained_parameters", plan.trained_parameters},
          {"trained_parameters_formula", plan.trained_parameters_formula},
          {"weight_bytes", plan.weight_bytes},
          {"optimizer_bytes", plan.optimizer_bytes},
          {"activation_bytes", plan.activation_bytes},
          {"steps", plan.steps},
          {"tokens_per_step", plan.tokens_per_step},
          {"gflops", plan.gflops},
          {"tokens_per_s", plan.tokens_per_s},
          {"seconds", plan.seconds}};
}

}  // namespace moelora::train
