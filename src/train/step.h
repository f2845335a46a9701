// Loss and gradients of one optimizer step: every packed micro-batch forward and backward, gradients accumulated in the
// masters.
#pragma once

#include <cstdint>
#include <vector>

#include "adapters/model.h"
#include "data/packing.h"

namespace moelora::train {

/// Sums over supervised tokens, so that they add up over micro-batches, steps and ranks.
struct TaskLoss {
  double sum = 0;  // of the tokens' negative log-likelihoods
  int64_t tokens = 0;
  double mean() const { return tokens > 0 ? sum / static_cast<double>(tokens) : 0; }
};

struct StepLoss {
  double objective = 0;         // sum_k weights[k] * nll[k]: what is minimised
  std::vector<TaskLoss> tasks;  // [tasks]
  TaskLoss total() const;
  void add(const StepLoss& other);
};

struct StepOptions {
  bool dropout = false;
  nn::Recompute recompute = nn::Recompute::kNone;
};

/// A loss that isn't finite: which sequence of which micro-batch first had one. Thrown, and turned into an Error by who
/// knows the rows.
struct NonFiniteLoss {
  int64_t pack = 0;
  int64_t sequence = 0;
};

/// Adds the gradients of all packs to the masters'. Throws NonFiniteLoss before its pack's backward.
StepLoss accumulate_gradients(const adapters::Model& model, const data::StepBatches& batches,
                              const StepOptions& options);

/// The loss alone, without gradients or dropout. Throws NonFiniteLoss, and Error (kInterrupted) on a signal, which it
/// polls for between packs.
StepLoss loss_of(const adapters::Model& model, const data::StepBatches& batches);

/// The mean of loss_of over all tokens, and infinity where one isn't finite: what a search minimises. Throws Error
/// (kInterrupted).
double loss_or_infinity(const adapters::Model& model, const data::StepBatches& batches);

}  // namespace moelora::train
