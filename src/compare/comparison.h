// A whole comparison: what its tables, pictures and tests are made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compare/cells.h"
#include "compare/result.h"

namespace moelora::compare {

/// One learning rate that a variant was tried with, on the dev rows, with the first seed.
struct Trial {
  std::string learning_rate;
  double dev = 0;
  bool diverged = false;  // worse than any `dev`, of which there is none
};

/// A run that a variant's row can't be without, and whose loss wasn't finite.
struct Divergence {
  std::string variant;
  uint64_t seed = 0;
  std::string learning_rates;  // its own, or all of the grid
  std::string problem;
};

/// A variant's runs, as the tables show them.
struct VariantResults {
  Variant variant;
  std::vector<Trial> trials;  // in the order of the grid; empty without one
  std::string learning_rate;  // the best of them, or the configuration's
  bool at_edge = false;       // the best is the lowest or highest of several: the grid should be wider
  std::vector<Result> seeds;  // in the order of the spec
};

/// The learning rates that variants were tried with, on the dev rows, with one seed.
struct RateSearch {
  std::string file;  // of the comparison that tried them; empty: this one
  std::string code;  // of the sources that made the results
  uint64_t seed = 0;
  bool dev_is_score = false;  // higher is better; else a loss
  std::vector<std::string> learning_rates;
  std::vector<VariantResults> variants;  // without seeds
};

struct Comparison {
  config::CompareSpec spec;
  Surroundings surroundings;
  std::vector<RateSearch> searches;  // its own grid, or those that it names
  std::vector<VariantResults> variants;
  std::vector<Divergence> diverged;  // of a report alone: a comparison ends with them as its error
  int64_t computed = 0;              // runs of this process
  int64_t known = 0;                 // results that stood there already
  int64_t missing = 0;               // runs without a result or untested, where only what is known is reported
};

}  // namespace moelora::compare
