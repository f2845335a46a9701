// The small files of finished runs: <results>/<key>.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compare/cells.h"
#include "compare/result.h"

namespace moelora::compare {

class ResultStore {
 public:
  explicit ResultStore(std::filesystem::path dir) : dir_(std::move(dir)) {}

  /// Nothing where the run has no result, or none with test rows where those are asked for; one that diverged has no
  /// more to give. Throws Error (kModel) for a file that isn't a result.
  std::optional<Result> find(const Cell& cell, bool with_test);
  void keep(const Result& result);

  /// How many results there are of each code. Files that aren't results are left out: another comparison's report may
  /// stand there.
  std::map<std::string, int64_t> codes() const;
  /// The one of those that begins like this. Throws Error (kUsage) where none or several do.
  std::string code_of(const std::string& beginning) const;
  /// "92de1b27… (12 results)", without those of one code.
  std::vector<std::string> list_codes(const std::string& without = "") const;

 private:
  std::filesystem::path file_of(const std::string& key) const { return dir_ / (key + ".json"); }

  std::filesystem::path dir_;
  std::map<std::string, Result> known_;  // by key: files that were read, or written, once
};

}  // namespace moelora::compare
