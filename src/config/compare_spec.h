// The file that `moelora compare` reads: which methods, seeds, learning rates and sweeps stand beside each other.
// docs/compare.md has every key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.h"

namespace moelora::config {

/// What one method changes of the configuration that all share, as load_config takes overrides.
struct CompareMethod {
  std::string name;
  std::vector<std::string> overrides;  // "adapter.method=lora"
};

/// One choice of a sweep.
struct SweepPoint {
  std::string name;                    // "adapter.rank=4", or its own: "r = 4"
  std::vector<std::string> overrides;  // "adapter.rank=4"
};

/// A dimension of the sweep: one key in several values, or all points with names. Every method runs with each.
using Sweep = std::vector<SweepPoint>;

struct CompareSpec {
  std::filesystem::path config;        // of all runs; relative to the spec's file
  std::filesystem::path output;        // runs; relative to the working directory
  std::filesystem::path results;       // one small file a finished run; relative to the spec's file
  std::vector<std::string> shared;     // what every method changes of `config`, before its own overrides
  std::vector<CompareMethod> methods;  // in the order of the tables
  std::string reference;               // the method that the others are compared with
  std::vector<uint64_t> seeds;
  std::vector<std::string> learning_rates;   // the grid, the same for every method; empty: each method's own
  std::vector<std::filesystem::path> rates;  // comparisons with a grid that chose them; relative to the spec's file
  std::vector<Sweep> sweeps;
  int64_t test_rows = 0;     // at most so many a task; 0: all
  int64_t resamples = 2000;  // of the bootstrap
};

/// `overrides` are "seeds=[1, 2]", of a whole key of the file, and "shared.train.epochs=1"; paths in them are relative
/// to the working directory. Throws ErrorList (kConfig) with every mistake of the spec; what only a whole configuration
/// shows, load_config finds.
CompareSpec load_compare_spec(const std::filesystem::path& path, const std::vector<std::string>& overrides = {});
CompareSpec parse_compare_spec(std::string_view yaml_text, const std::filesystem::path& file_name,
                               const std::vector<std::string>& overrides = {});

}  // namespace moelora::config
