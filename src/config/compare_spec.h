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

/// One key in several values, for every method.
struct Sweep {
  std::string key;  // "adapter.rank"
  std::vector<std::string> values;
};

struct CompareSpec {
  std::filesystem::path config;        // of all runs; relative to the spec's file
  std::filesystem::path output;        // runs; relative to the working directory
  std::filesystem::path results;       // one small file a finished run; relative to the spec's file
  std::vector<CompareMethod> methods;  // in the order of the tables
  std::string reference;               // the method that the others are compared with
  std::vector<uint64_t> seeds;
  std::vector<std::string> learning_rates;  // the grid, the same for every method; empty: each method's own
  std::vector<Sweep> sweeps;
  int64_t test_rows = 0;     // at most so many a task; 0: all
  int64_t resamples = 2000;  // of the bootstrap
};

/// Throws ErrorList (kConfig) with every mistake of the spec, and load_config's for each run that it describes.
CompareSpec load_compare_spec(const std::filesystem::path& path);
CompareSpec parse_compare_spec(std::string_view yaml_text, const std::filesystem::path& file_name);

}  // namespace moelora::config
