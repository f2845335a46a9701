// How many parameters a base has and a method trains, in closed form: before any weight is loaded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "nn/layer_linears.h"
#include "nn/model_config.h"

namespace moelora::train {

/// Those of every layer.
std::vector<nn::LinearShape> linears_of(const nn::ModelConfig& shape);

/// The weights of linears_of, without biases.
int64_t linear_parameter_count(const nn::ModelConfig& shape);
int64_t base_parameter_count(const nn::ModelConfig& shape);

struct TrainedCount {
  int64_t count = 0;
  std::string formula;  // "r S + d_t (T + N) = 16 x 29184 + 64 x (8 + 8)"
  std::string letters;  // what the formula's stand for
};

/// For `tasks` tasks (a group of them is one). Throws Error (kConfig) where a target matches nothing.
TrainedCount count_trained_parameters(const config::AdapterConfig& adapter, const nn::ModelConfig& shape,
                                      int64_t tasks);

}  // namespace moelora::train
