#include "train/non_finite.h"

#include <cmath>

#include "core/error.h"
#include "core/suggest.h"

namespace moelora::train {
namespace {

/// "step 12, task `report`, data/report/train.jsonl:7"
std::string place(const RunSetup& setup, data::Split split, int64_t sample, int64_t step) {
  const data::EncodedRows& rows = split == data::Split::kTrain ? *setup.train_rows : *setup.dev_rows;
  const data::Task& task = setup.dataset.tasks[rows.task(sample)];
  const data::Row& row = task.of(split)[rows.row(sample)];
  return "step " + std::to_string(step) + ", task `" + task.name + "`, " + row.where();
}

/// A norm can overflow although every value is finite.
std::string found_in(const std::vector<std::string>& parameters) {
  return parameters.empty() ? "finite values whose norm is beyond float32"
                            : "not finite in " + list_names(parameters, 3);
}

constexpr const char* kHint = "the weights are those of the step before; lower train.learning_rate, or look at the row";

}  // namespace

void throw_non_finite_loss(const RunSetup& setup, data::Split split, const data::StepBatches& batches,
                           const NonFiniteLoss& at, int64_t step) {
  const bool training = split == data::Split::kTrain;
  throw Error(ErrorKind::kNumeric,
              {.where = place(setup, split, batches.pack_samples[at.pack][at.sequence], step),
               .problem = training ? "the loss is not finite" : "the loss on the dev row is not finite",
               .hint = training ? kHint : "lower train.learning_rate, or look at the row"});
}

void throw_non_finite_gradient(const RunSetup& setup, const data::StepBatches& batches, const StepOptions& options,
                               AdamW& optimizer, int64_t step) {
  const std::vector<std::string> parameters = optimizer.non_finite_gradients();
  for (size_t i = 0; i < batches.packs.size(); ++i) {
    for (int64_t s = 0; s < batches.packs[i].samples(); ++s) {
      const int64_t sample = batches.pack_samples[i][s];
      const data::Draw draw{.sample = sample, .key = batches.packs[i].sample_keys[s]};
      optimizer.zero_gradients();
      const data::StepBatches alone = data::pack(*setup.train_rows, {&draw, 1}, {});
      try {
        accumulate_gradients(setup.model, alone, options);
      } catch (const NonFiniteLoss& at) {  // alone it has another weight, and its products another shape
        throw_non_finite_loss(setup, data::Split::kTrain, alone, at, step);
      }
      if (std::isfinite(optimizer.gradient_norm())) continue;
      throw Error(ErrorKind::kNumeric, {.where = place(setup, data::Split::kTrain, sample, step),
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
