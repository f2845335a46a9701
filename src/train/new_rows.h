// The labelled rows of a task that a finished run doesn't know, read as the run reads its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "data/dataset.h"
#include "data/packing.h"
#include "train/open_run.h"

namespace moelora::train {

struct NewRows {
  data::StepBatches batches;  // the training rows, all of one step, of task `index`
  std::vector<data::SourceFile> files;
  std::string task_type;                     // of the rows; empty where they have none
  std::optional<config::DataSource> source;  // to be added to the run's; nothing where those give the rows already,
                                             // which `data.tasks` left out
};

/// `data` is a file or a directory of splits; what `run`'s configuration says of `task` holds. Throws Error (kData)
/// for rows that can't be read and where none fits, and Error (kUsage) for a file that the run has for another task.
NewRows read_new_rows(const OpenRun& run, const std::filesystem::path& data, const std::string& task, int64_t index);

}  // namespace moelora::train
