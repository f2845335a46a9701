// What a comparison keeps in a run's directory and reads from there, besides what training leaves.
#pragma once

#include <chrono>
#include <filesystem>

#include "compare/result.h"
#include "eval/evaluator.h"

namespace moelora::compare {

/// Adds the seconds it lives to a number in a file, however it ends, so that a run that was cut keeps what it took.
class Stopwatch {
 public:
  explicit Stopwatch(std::filesystem::path file);
  ~Stopwatch();
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  double seconds() const;

 private:
  std::filesystem::path file_;
  double before_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Scores, and of each test row what it adds to them. Rows of one group have one number, in whichever tasks they stand.
void record_test(const eval::Evaluation& evaluation, Result& result);

/// Loss curves out of a run's metrics.jsonl; of a run that is made of several there are each task's, of its LoRA.
void read_curves(const std::filesystem::path& run, Result& result);

}  // namespace moelora::compare
