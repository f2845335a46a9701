// After training, one task of a mixture is a plain LoRA, exactly: by its logits over the base, and by its matrices
// against the mixture's own, summed expert by expert in float64. Of every method that has a collapse.
#include <gtest/gtest.h>

#include <set>

#include "made_run.h"
#include "support/adapted_logits.h"
#include "support/methods.h"
#include "support/mixture.h"
#include "train/open_run.h"
#include "train/trainer.h"

namespace moelora::train {
namespace {

using moelora::testing::FixtureBatch;
using moelora::testing::largest_difference;
using moelora::testing::logits_of_task;
using moelora::testing::MethodCase;

constexpr double kTolerance = 1e-5;  // of logits of order 1, absolute

std::vector<MethodCase> collapsing() {
  std::vector<MethodCase> all = moelora::testing::methods_and_own_steps();
  std::erase_if(all, [](const MethodCase& method) { return !method.collapses(); });
  return all;
}

class Collapse : public ::testing::TestWithParam<MethodCase> {};

TEST_P(Collapse, OfATrainedRunIsTheMixtureForEveryTask) {
  moelora::testing::MadeRun made;
  GetParam().apply_to(made.config.adapter);
  made.config.adapter.search_steps = 12;
  made.config.train.max_steps = 6;
  made.config.train.learning_rate = 0.02;
  made.config.eval.every_steps = 2;
  DevScores scores;
  if (GetParam().own_steps) {
    made.config.eval.best = config::kBestPerTask;
    scores = [evaluation = 0](const RunSetup&) mutable {  // `colour` is best at the first, `echo` at the last
      ++evaluation;
      return std::map<std::string, double>{{"colour", 1.0 / evaluation}, {"echo", 0.1 * evaluation}};
    };
  }
  RunSetup setup = made.setup();
  train(setup, {.quiet = true, .dev_scores = scores});
  const OpenRun run = open_run(made.config.output);
  const std::vector<int64_t> steps = run.saved.task_steps();
  EXPECT_EQ(std::set(steps.begin(), steps.end()).size(), GetParam().own_steps ? 2u : 1u);

  const adapters::AdapterSet& adapters = *run.model.adapters;
  const moelora::testing::Mixture mixture(run.saved.config.adapter, run.saved.task_list(), adapters.parameters());
  const FixtureBatch batch("qwen3/ragged");
  nn::Decoder base = moelora::testing::load_decoder("qwen3/f32", at::kFloat);
  at::Tensor base_logits;
  {
    const at::NoGradGuard no_grad;
    nn::PackedAttention attention(batch.cu_seqlens());
    base_logits = base.logits(base.forward(batch.rows(), attention, nullptr));
  }
  ASSERT_LT(base_logits.abs().max().item<double>(), 10) << "the tolerance is absolute";
  for (const std::string& name : adapters.tasks()) {
    SCOPED_TRACE(name);
    const int64_t task = adapters.task_index(name);
    const at::Tensor mixed = logits_of_task(*run.model.decoder, adapters, batch, task);
    const std::vector<adapters::CollapsedLinear> linears = adapters.collapse(task);
    adapters::AdapterSet plain = moelora::testing::attach_collapsed(base, linears);
    const double difference = largest_difference(logits_of_task(base, plain, batch, 0), mixed);
    plain.detach(base);
    EXPECT_LE(difference, kTolerance);
    EXPECT_GT(largest_difference(base_logits, mixed), 100 * kTolerance) << "the adapter does nothing";

    EXPECT_EQ(linears.size(), 7u * base.config().layers);
    double update = 0;  // the largest of the linears' differences, by the linear's norm
    for (const adapters::CollapsedLinear& linear : linears) {
      const at::Tensor found = linear.b.to(at::kDouble).mm(linear.a.to(at::kDouble));
      const at::Tensor expected = mixture.weight_update(linear.path, task);
      EXPECT_GT(expected.norm().item<double>(), 0) << linear.path;
      update = std::max(update, moelora::testing::relative_difference(found, expected));
    }
    EXPECT_LT(update, 3e-7) << "B_t A_t, of the mixture's own";
  }
}

INSTANTIATE_TEST_SUITE_P(All, Collapse, ::testing::ValuesIn(collapsing()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace moelora::train
