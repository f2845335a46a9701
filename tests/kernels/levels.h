// Tests that run once per instruction-set level of this processor.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "kernels/cpu.h"

namespace moelora::kernels {

class EveryLevel : public testing::TestWithParam<CpuLevel> {
 protected:
  void SetUp() override {
    before_ = cpu_level();
    set_cpu_level(GetParam());
  }
  void TearDown() override { set_cpu_level(before_); }

 private:
  CpuLevel before_ = CpuLevel::kDefault;
};

inline std::string level_test_name(const testing::TestParamInfo<CpuLevel>& info) {
  return std::string(cpu_level_name(info.param));
}

#define MOELORA_EVERY_LEVEL(suite) \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(supported_cpu_levels()), level_test_name)

}  // namespace moelora::kernels
