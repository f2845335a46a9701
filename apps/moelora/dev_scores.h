// What `eval.generate` asks for while a run trains.
#pragma once

#include "train/trainer.h"

namespace moelora::app {

/// Scores of the answers that a run generates for its dev rows, by task.
train::DevScores dev_scores();

}  // namespace moelora::app
