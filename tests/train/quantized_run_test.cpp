// Runs over a base in fewer bits: opened in another form, and merged into either sort of weights. The oracle of a model
// merged onto the dequantised weights is the run itself, which computes with the quantised ones and the adapter apart.
#include <gmock/gmock.h>

#include "core/error.h"
#include "eval/evaluator.h"
#include "io/hf_model.h"
#include "made_run.h"
#include "support/fixture.h"
#include "train/export.h"
#include "train/export_check.h"
#include "train/export_probe.h"
#include "train/merge_difference.h"
#include "train/model_card.h"

namespace moelora::train {
namespace {

using moelora::testing::largest_difference;
using moelora::testing::MadeRun;

/// Some linears are adapted and others are not.
struct QuantizedMadeRun : MadeRun {
  QuantizedMadeRun(const std::string& model, config::Quantization form) : MadeRun(model) {
    config.quantization = form;
    config.adapter.targets = {"o_proj", "down_proj"};
  }
};

void finish(const MadeRun& made) {
  const RunSetup setup = made.setup();
  moelora::testing::randomise(setup, 0.2);
  write_artefact(setup, 1);
}

/// Of the run as it is opened, through its quantised linears.
at::Tensor run_logits(const OpenRun& run, const std::string& task) {
  const at::NoGradGuard no_grad;
  const Probe probe = make_probe(run.base.shape);
  const std::vector<int64_t> tasks(probe.bounds.size() - 1, run.task_index(task));
  const auto rows = run.model.rows({.cu_seqlens = probe.bounds, .tasks = tasks, .sample_keys = {}, .positions = {}});
  return probe_logits(*run.model.decoder, probe, rows.get());
}

at::Tensor merged_model_logits(const OpenRun& run, const std::filesystem::path& dir) {
  const at::NoGradGuard no_grad;
  return directory_logits(dir, make_probe(run.base.shape));
}

class QuantizedRun : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Families, QuantizedRun, ::testing::Values("qwen2", "phi3", "gemma3"),
                         [](const auto& info) { return info.param; });

TEST_P(QuantizedRun, MergedOntoWhatItWasTrainedWithComputesTheSame) {
  const QuantizedMadeRun made(GetParam() + "/f32", config::Quantization::kNf4);
  finish(made);
  const OpenRun run = open_run(made.config.output);
  const at::Tensor trained = run_logits(run, "echo");
  const double scale = std::max(1.0, trained.abs().max().item<double>());
  const std::filesystem::path same = made.directory.path() / "same", other = made.directory.path() / "other";
  const ExportOptions onto{.format = ExportFormat::kMerged, .onto = MergeOnto::kDequantised};
  export_task(run, "echo", same, onto);
  export_task(run, "echo", other, {.format = ExportFormat::kMerged});
  const double exact = largest_difference(merged_model_logits(run, same), trained);
  const double original = largest_difference(merged_model_logits(run, other), trained);
  EXPECT_LT(exact, 1e-4 * scale);
  EXPECT_GT(original, 100 * exact);

  EXPECT_TRUE(check_export(run, "echo", same, onto).passed());
  EXPECT_FALSE(check_export(run, "echo", same, {.format = ExportFormat::kMerged}).passed());
  EXPECT_TRUE(check_export(run, "echo", other, {.format = ExportFormat::kMerged}).passed());
  EXPECT_NEAR(merged_logits(run, "echo", same).largest, exact, 1e-4 * scale);
  const LogitDifference difference = merged_logits(run, "echo", other);
  EXPECT_NEAR(difference.largest, original, 1e-4 * scale);
  EXPECT_GT(difference.effect, difference.mean);
  EXPECT_LT(difference.mean, difference.largest);
}

TEST(QuantizedRuns, MergedFromInt8DifferByTheActivationsRounding) {
  const QuantizedMadeRun made("qwen2/f32", config::Quantization::kInt8);
  finish(made);
  const OpenRun run = open_run(made.config.output);
  const std::filesystem::path dir = made.directory.path() / "merged";
  const ExportOptions onto{.format = ExportFormat::kMerged, .onto = MergeOnto::kDequantised};
  export_task(run, "echo", dir, onto);
  EXPECT_TRUE(check_export(run, "echo", dir, onto).passed()) << "the weights are those of the run";
  const LogitDifference difference = merged_logits(run, "echo", dir);
  EXPECT_GT(difference.largest, 0);
  EXPECT_LT(difference.largest, 0.05 * difference.effect);
}

TEST(QuantizedRuns, AreMergedIntoTheBasesOwnDtype) {
  QuantizedMadeRun made("qwen2/bf16", config::Quantization::kNf4);
  finish(made);
  const OpenRun run = open_run(made.config.output);
  const std::filesystem::path dir = made.directory.path() / "merged";
  const ExportOptions onto{.format = ExportFormat::kMerged, .onto = MergeOnto::kDequantised};
  export_task(run, "echo", dir, onto);
  EXPECT_TRUE(check_export(run, "echo", dir, onto).passed());
  const auto merged = io::HfModel::open(dir);
  for (const std::string& name : merged->names()) EXPECT_EQ(merged->files()[0]->at(name).dtype, io::Dtype::kBF16);
  EXPECT_THAT(model_card(run, "echo", onto), ::testing::HasSubstr("rounded to nf4 and dequantised"));
  EXPECT_THAT(model_card(run, "echo", {}), ::testing::HasSubstr("quantised to nf4"));
}

TEST(QuantizedRuns, AreScoredBesideTheirMergedModel) {
  QuantizedMadeRun made("qwen2/f32", config::Quantization::kNf4);
  made.config.tasks["echo"].metric = "rouge_l";
  made.config.eval.max_new_tokens = 8;
  finish(made);
  const OpenRun run = open_run(made.config.output);
  const std::filesystem::path dir = made.directory.path() / "merged";
  export_task(run, "echo", dir, {.format = ExportFormat::kMerged, .onto = MergeOnto::kDequantised});
  const data::Dataset dataset = data::load_dataset(made.config.data, made.config.tasks);
  const ScoreDifference all = merged_score(run, "echo", dir, dataset, /*rows=*/100);
  EXPECT_EQ(all.metric, "rouge_l");
  EXPECT_EQ(all.rows, 3);
  const auto evaluated = eval::evaluate(run.model, dataset, data::Split::kDev, *run.renderer,
                                        {.eval = run.saved.config.eval, .tasks = {"echo"}});
  EXPECT_EQ(all.run, eval::task_scores(evaluated.report).at("echo"));
  EXPECT_EQ(all.written, all.run) << "the same model, whose greedy answers are the same";
  EXPECT_EQ(merged_score(run, "echo", dir, dataset, /*rows=*/2).rows, 2);
}

TEST(QuantizedRuns, OpenInTheirOwnFormAndInAnotherWhenTold) {
  const QuantizedMadeRun made("qwen2/f32", config::Quantization::kNf4);
  finish(made);
  QuantizedMadeRun plain("qwen2/f32", config::Quantization::kNone);
  finish(plain);  // the same adapter, by the same seed
  const at::Tensor own = run_logits(open_run(made.config.output), "echo");
  const at::Tensor unquantised = run_logits(open_run(plain.config.output), "echo");
  EXPECT_GT(largest_difference(own, unquantised), 1e-3);
  const OpenRun told = open_run(made.config.output, {.quantization = config::Quantization::kNone});
  EXPECT_EQ(told.saved.config.quantization, config::Quantization::kNone);
  EXPECT_TRUE(run_logits(told, "echo").equal(unquantised));
  EXPECT_TRUE(
      run_logits(open_run(plain.config.output, {.quantization = config::Quantization::kNf4}), "echo").equal(own));
}

TEST(QuantizedRuns, RefuseAnotherBaseUnlessTold) {
  const QuantizedMadeRun made("qwen2/f32", config::Quantization::kNf4);
  finish(made);
  const std::string other = moelora::testing::fixtures_dir() + "/qwen2/bf16";
  try {
    open_run(made.config.output, {.base = other});
    ADD_FAILURE() << "another base was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    EXPECT_THAT(error.what(), ::testing::AllOf(::testing::HasSubstr("hash of its weights"),
                                               ::testing::HasSubstr("--other-base accepts another")));
  }
  EXPECT_EQ(open_run(made.config.output, {.base = other, .other_base = true}).saved.config.model, other);
}

}  // namespace
}  // namespace moelora::train
