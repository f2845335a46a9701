// What the tests of whole comparisons run: two small tasks with test rows, and a configuration that all methods share.
#pragma once

#include <filesystem>
#include <string>

#include "config/load.h"
#include "train/made_run.h"

namespace moelora::testing {

struct MadeComparison : MadeRun {
  MadeComparison() {
    config.train.max_steps = 4;
    config.adapter.search_steps = 5;
    config.eval.max_new_tokens = 2;
    for (const std::string task : {"colour", "echo"}) {
      std::string rows;
      for (int i = 0; i < 4; ++i)
        rows += "{\"input\": \"test " + task + std::to_string(i) + "\", \"target\": \"red\"}\n";
      test::write_file(directory.path() / "data" / task / "test.jsonl", rows);
      config.tasks[task].metric = "rouge_l";
    }
  }

  /// Writes run.yaml, which a specification names.
  void write_config() const { test::write_file(directory.path() / "run.yaml", config::to_yaml(config)); }
};

}  // namespace moelora::testing
