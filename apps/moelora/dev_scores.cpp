#include "dev_scores.h"

#include "eval/evaluator.h"

namespace moelora::app {

train::DevScores dev_scores() {
  return [](const train::RunSetup& run) {
    const eval::EvaluateOptions evaluate{.eval = run.config.eval, .seed = run.config.train.seed};
    return eval::task_scores(eval::evaluate(run.model, run.dataset, data::Split::kDev, *run.renderer, evaluate).report);
  };
}

}  // namespace moelora::app
