// The fixture of tests that run whole comparisons.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "config/compare_spec.h"
#include "made_comparison.h"

namespace moelora::compare {

class Compared : public ::testing::Test {
 protected:
  Compared() {
    made_.config.train.learning_rate = 0.02;
    made_.write_config();
  }

  config::CompareSpec spec(const std::string& rest) const {
    const std::string dir = made_.directory.path().string();
    return config::parse_compare_spec("config: run.yaml\noutput: " + dir + "/compare\nresults: results\n" + rest,
                                      dir + "/compare.yaml");
  }

  testing::MadeComparison made_;
};

}  // namespace moelora::compare
