// Whether written files hold what the run does: they are read back as another program would, and compared by logits.
#pragma once

#include <filesystem>
#include <string>

#include "train/export.h"

namespace moelora::train {

struct ExportCheck {
  double difference = 0;  // largest |logit of the written files - logit of the run|
  double effect = 0;      // largest |logit of the run - logit of the base|
  double tolerance = 0;   // of the difference: 1e-4 of the largest logit, 2e-2 where weights were rounded to 16 bits
  bool passed() const { return difference <= tolerance; }  // false for a NaN
};

/// Computes in float32 over two sequences of random tokens, beside the weights that the adapter was merged into (a
/// run's own logits over a quantised base: merge_difference.h); the base is loaded in float32, twice one after the
/// other. Throws Error (kModel) where the written files can't be read back.
ExportCheck check_export(const OpenRun& run, const std::string& task, const std::filesystem::path& dir,
                         const ExportOptions& options);

}  // namespace moelora::train
