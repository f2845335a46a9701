#include "train/merge_difference.h"

#include <ATen/core/grad_mode.h>

#include "eval/evaluator.h"
#include "io/hf_model.h"
#include "train/export_probe.h"

namespace moelora::train {
namespace {

ScoreDifference scored(const adapters::Model& model, const OpenRun& run, const std::string& task,
                       const data::Dataset& dataset, int64_t rows) {
  eval::EvaluateOptions options{.eval = run.saved.config.eval, .tasks = {task}};
  options.eval.rows = rows;
  const eval::Evaluation evaluation = eval::evaluate(model, dataset, data::Split::kDev, *run.renderer, options);
  const eval::TaskReport& report = evaluation.report.tasks.front();
  return {.metric = report.result.metric,
          .rows = static_cast<int64_t>(report.rows.size()),
          .run = report.result.score,
          .written = report.result.score};
}

}  // namespace

LogitDifference merged_logits(const OpenRun& run, const std::string& task, const std::filesystem::path& dir) {
  const at::NoGradGuard no_grad;
  const Probe probe = make_probe(run.base.shape);
  at::Tensor before, trained;
  {
    const auto base = io::HfModel::open(run.base.dir);
    nn::Decoder decoder(run.base.shape, *base, at::kFloat, linear_form(run.saved.config.quantization));
    before = probe_logits(decoder, probe, nullptr);
    trained = adapted_logits(run, decoder, probe, run.task_index(task));
  }
  const at::Tensor written = directory_logits(dir, probe);
  return {.largest = largest_difference(written, trained),
          .mean = written.sub(trained).abs().mean().item<double>(),
          .effect = largest_difference(trained, before)};
}

ScoreDifference merged_score(const OpenRun& run, const std::string& task, const std::filesystem::path& dir,
                             const data::Dataset& dataset, int64_t rows) {
  ScoreDifference difference;
  {
    adapters::Model model{
        .decoder = load_base(run.base, run.saved.config, linear_form(run.saved.config.quantization)).decoder,
        .adapters = nullptr};
    model.adapters = attach_saved(*model.decoder, run.saved);
    difference = scored(model, run, task, dataset, rows);
  }
  config::RunConfig plain = run.saved.config;
  plain.quantization = config::Quantization::kNone;
  const adapters::Model merged{
      .decoder = load_base(read_base_files(dir.string()), plain, nn::LinearForm::kPlain).decoder, .adapters = nullptr};
  difference.written = scored(merged, run, task, dataset, rows).written;
  return difference;
}

}  // namespace moelora::train
