// A comparison as its single runs: each method, sweep value, learning rate and seed is one configuration.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/compare_spec.h"
#include "train/identity.h"

namespace moelora::compare {

/// A column of the table: a method with one choice of the swept values.
struct Variant {
  std::string name;    // "lora", "lora, adapter.rank=4", "lora, r = 4"
  std::string method;  // of the spec
  std::vector<std::string> overrides;
  bool reference = false;  // the one that others with the same swept values are compared with
  std::string sweep;       // "adapter.rank=4", "r = 4"; empty without sweep
};
std::vector<Variant> variants(const config::CompareSpec& spec);

/// Whether `one` is compared with it, or is it.
inline bool is_reference_of(const Variant& reference, const Variant& one) {
  return reference.reference && reference.sweep == one.sweep;
}

/// What all runs share and a result depends on, besides its configuration.
struct Surroundings {
  std::string code;
  train::Identity run;  // without `config`, which is each run's own
};

/// One run. `learning_rate` empty: the configuration's own.
struct Cell {
  Variant variant;
  std::string learning_rate;
  uint64_t seed = 0;
  config::RunConfig config;
  std::string key;          // 32 hex digits, of `identity`
  nlohmann::json identity;  // that of the run, with code and number of test rows
};

/// Throws ErrorList (kConfig) for a configuration that no run can have.
Cell make_cell(const config::CompareSpec& spec, const Variant& variant, const std::string& learning_rate, uint64_t seed,
               const Surroundings& surroundings);

}  // namespace moelora::compare
