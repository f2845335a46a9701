#include "train/non_finite.h"

#include <cmath>

#include "core/error.h"
#include "core/suggest.h"

namespace moelora::train {
namespace {

/// "step 12, task `report`, data/report/train.jsonl:7"
std::string place(const RunSetup& setup, int64_t sample, int64_t step) {
  const data::Task& task = setup.dataset.tasks[setup.train_rows->task(sample)];
  const data::Row& row = task.of(data::Split::kTrain)[setup.train_rows->row(sample)];
  return "step " + std::to_string(step) + ", task `" + task.name + "`, " + row.where();
}

/// A norm can overflow although every value is finite.
std::string found_in(const std::vector<std::string>& parameters) {
  return parameters.empty() ? "finite values whose norm is beyond float32" : "not finite in " + list_names(parameters, 3);
}

constexpr const char* kHint = "the weights are those of the step before; lower train.learning_rate, or look at the row";

}  // namespace

void throw_non_finite_loss(const RunSetup& setup, const data::StepBatches& batches, const NonFiniteLoss& at, int64_t step) {
  throw Error(ErrorKind::kNumeric, {.where = place(setup, batches.pack_samples[at.pack][at.sequence], step),
                                    .problem = "the loss is not finite",
                                    .hint = kHint});
}

void throw_non_finite_gradient(const RunSetup& setup, const data::StepBatches& batches, const StepOptions& options, AdamW& optimizer,
                               int64_t step) {
  const std::vector<std::string> parameters = optimizer.non_finite_gradients();
  for (size_t i = 0; i < batches.packs.size(); ++i) {
    for (int64_t s = 0; s < batches.packs[i].samples(); ++s) {
      const int64_t sample = batches.pack_samples[i][s];
      const data::Draw draw{.sample = sample, .key = batches.packs[i].sample_keys[s]};
      optimizer.zero_gradients();
      accumulate_gradients(setup.model, data::pack(*setup.train_rows, {&draw, 1}, {}), options);
      if (std::isfinite(optimizer.gradient_norm())) continue;
      throw Error(ErrorKind::kNumeric, {.where = place(setup, sample, step),
                                        .problem = "the gradient is not finite",
                                        .found = found_in(parameters),
                                        .hint = kHint});
    }
  }
  throw Error(ErrorKind::kNumeric, {.where = "step " + std::to_string(step),
                                    .problem = "the sum of the samples' gradients is not finite",
                                    .found = found_in(parameters),
                                    .hint = kHint});
}

}  // namespace moelora::train
