// What a data set holds, for a person to look at before training: formats, tasks, lengths, what would be cut, what is
// supervised.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/encode.h"
#include "data/overlap.h"
#include "data/prompt.h"

namespace moelora::data {

/// Lengths of one task's rows in one split: tokens where a tokenizer was given, else characters (code points).
struct LengthReport {
  std::string task;
  Split split = Split::kTrain;
  int64_t rows = 0;
  int64_t shortest = 0, median = 0, p90 = 0, p99 = 0, longest = 0;  // prompt and answer together
  int64_t median_answer = 0, longest_answer = 0;
  std::vector<int64_t> histogram;  // rows with length < 64, < 128, < 256, … doubling; the last bucket holds the longest
  int64_t too_long = 0;            // over max_length: what the overflow rule applies to
  int64_t answer_too_long = 0;     // answers alone over max_length: an error in training
  double supervised_share = 0;     // of the split's supervised units, this task's; 0..1
};

struct InspectReport {
  bool in_tokens = false;
  int64_t max_length = 0;
  std::vector<SourceFile> files;
  std::vector<LengthReport> lengths;  // by task, then split; only where there are rows
  std::vector<Overlap> overlaps;
  std::vector<std::string> warnings;
  std::string hash;
};

inline constexpr int64_t kFirstHistogramBucket = 64;

/// `renderer` null: lengths in characters. Nothing is cut and no row's text is kept.
InspectReport inspect(const Dataset& dataset, const PromptRenderer* renderer, int64_t threads = 0);

/// Tables for a terminal, lines at most about 110 columns wide.
std::string format_report(const InspectReport& report);

struct RenderRowOptions {
  bool colour = false;  // supervised text green; else between ⟦ and ⟧
};

/// One row as the model reads it, template and special tokens visible, the supervised part marked, cut as training
/// would cut it. Control characters other than newline and tab are escaped. Holds the row's text: only for who asked
/// for it.
std::string render_row(const Dataset& dataset, int64_t task, const Row& row, const PromptRenderer& renderer,
                       const RenderRowOptions& options);

}  // namespace moelora::data
