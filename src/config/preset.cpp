#include "config/preset.h"

namespace moelora::config {
namespace {

/// arXiv 2310.18339, section 5.1.3, and where it is silent the settings of its public code.
RunConfig paper() {
  RunConfig config{.preset = Preset::kPaper};
  config.data.max_length = 1024 + 196;  // source and answer
  config.adapter.method = Method::kMoelora;
  config.adapter.rank = 16;
  config.adapter.alpha = 32;
  config.adapter.experts = 8;
  config.adapter.dropout = 0.1;
  config.adapter.targets = {"all-linear"};
  config.adapter.init_a = InitA::kNormal;
  config.adapter.gate = {.scope = GateScope::kShared, .normalise = GateNormalise::kSumOne, .embedding_size = 64};
  config.train.max_steps = 8000;
  config.train.batch_size = 64;
  config.train.learning_rate = 2e-4;
  config.train.schedule = Schedule::kLinear;
  config.train.warmup_ratio = 0;
  config.train.weight_decay = 0;
  config.train.beta1 = 0.9;
  config.train.beta2 = 0.999;
  config.train.epsilon = 1e-8;
  config.train.clip = 1;
  config.train.loss_normalisation = LossNormalisation::kToken;
  config.train.temperature = 1;
  config.eval.max_new_tokens = 196;
  return config;
}

}  // namespace

RunConfig preset_config(Preset preset) {
  return preset == Preset::kPaper ? paper() : RunConfig{};
}

}  // namespace moelora::config
