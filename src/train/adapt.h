// A task that a finished MOELoRA run doesn't know, without training the adapter: the experts and the gate stay, the
// task gets an embedding. What the gate makes of it is a row of N weights like any other task's, so the task collapses
// into a plain LoRA as all do, and a further training (`adapter.start`) begins where the search ended.
// train/new_task.h has the maths.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace moelora::train {

struct AdaptOptions {
  std::string task;  // the new task's name
  std::filesystem::path
      data;  // its labelled rows: a file, or a directory of splits of which the training rows are read
  /// Empty: search on the rows. Else what is declared: "uniform" (E = 0), "nearest" (the known task of the lowest loss
  /// on the rows), a known task's name, or N positive numbers separated by commas.
  std::string weights;
  bool gradient = true;        // search by Adam through the N logits; else without gradients (train/evolution.h)
  int64_t steps = 60;          // of the search: gradients from each start, or evaluations
  double learning_rate = 0.1;  // of the gradient's search
  std::filesystem::path to;    // the new run, which must not exist
  std::string base;            // the base model, where it isn't where it was
  /// What isn't derived from its rows: "tasks.<task>.prompt=…", and so metric, labels, overflow, max_new_tokens,
  /// max_rows.
  std::vector<std::string> overrides;
};

struct AdaptResult {
  std::vector<double> weights;           // [N], sum 1
  std::string start;                     // where the search began, or what was declared
  std::map<std::string, double> losses;  // on the rows: of uniform weights and of each known task's; empty without rows
  std::optional<double> loss;            // of the result on the rows
};

/// Writes `to`: a finished run (adapter/, config.yaml) of the run's tasks and the new one, and adapt.json with the
/// result. Throws Error (kUsage) for a name the run knows already, weights that can't be read or another key; Error
/// (kModel) for a run of another method than `moelora`, or, where gates are per layer, for anything but `uniform`,
/// `nearest` and a task's name; Error (kData), Error (kIo).
AdaptResult adapt(const std::filesystem::path& run, const AdaptOptions& options);

}  // namespace moelora::train
