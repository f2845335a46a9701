// What a run will take, before any weight is loaded: parameters, memory, steps, time.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "train/setup.h"

namespace moelora::train {

struct Plan {
  int64_t base_parameters = 0;
  int64_t trained_parameters = 0;
  std::string trained_parameters_formula, trained_parameters_letters;  // train/parameter_count.h
  int64_t weight_bytes = 0;      // the base: in the compute dtype, its linears as they are quantised
  int64_t optimizer_bytes = 0;   // masters, gradients and both moments, float32; and the LoRAs of runs before
  int64_t activation_bytes = 0;  // what one micro-batch of train.tokens_per_batch keeps for backward
  int64_t steps = 0;
  double tokens_per_step = 0;
  double gflops = 0;        // of this machine's products with the base's linears, measured in their form
  double tokens_per_s = 0;  // of training
  double seconds = 0;       // of training alone
};

/// Parameters and memory; a group of tasks is one task. Throws Error (kConfig) where a target matches nothing or
/// experts don't divide rank.
Plan plan_model(const config::RunConfig& config, const nn::ModelConfig& shape, int64_t tasks);

struct PlanShapeOptions {
  int64_t tasks = 8;
  double supervised = 0.25;  // share of the tokens that answers have
};

/// The same with the speed, of a shape without data: steps and time stay 0. Measures the machine's products, with the
/// threads that are set.
Plan plan_shape(const config::RunConfig& config, const nn::ModelConfig& shape, const PlanShapeOptions& options);

/// The same with steps and time of the data that was read; measures the machine's products for a fraction of a second.
Plan plan_run(const RunSetup& setup);

/// train.recompute, and instead of `auto` the first of none, mlp and full whose memory by plan_model fits into what
/// this process may still take, or into its part where several begin together (a fifth left free); full where none
/// does.
config::Recompute choose_recompute(const config::RunConfig& config, const nn::ModelConfig& shape, int64_t tasks,
                                   int64_t processes = 1);

/// train.weight_layout, and instead of `auto` packed where the base's linears can be and what plan_model then counts
/// fits likewise, with train.recompute as it is; else plain.
config::WeightLayout choose_weight_layout(const config::RunConfig& config, const nn::ModelConfig& shape, int64_t tasks,
                                          int64_t processes = 1);

/// The form of a base that is evaluated and generated with: a plain one is packed for forward where that takes at most
/// half of the memory there is, and the rest is caches'.
nn::LinearForm reading_form(const config::RunConfig& config, const nn::ModelConfig& shape);

/// As the decoder knows it; `auto`, which only runs that were not prepared have, is none.
nn::Recompute layer_recompute(config::Recompute recompute);

nlohmann::ordered_json plan_json(const Plan& plan);

}  // namespace moelora::train
