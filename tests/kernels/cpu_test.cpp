#include "kernels/cpu.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "core/error.h"

namespace moelora::kernels {
namespace {

TEST(CpuLevels, ThePortableLevelIsAlwaysThereAndLevelsAscend) {
  const std::vector<CpuLevel> levels = supported_cpu_levels();
  ASSERT_FALSE(levels.empty());
  EXPECT_EQ(levels.front(), CpuLevel::kDefault);
  for (size_t i = 1; i < levels.size(); ++i) EXPECT_LT(levels[i - 1], levels[i]);
}

// Each in a process of its own, since the variable is read once.
TEST(CpuLevelsDeathTest, TheEnvironmentNamesTheLevel) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const CpuLevel level : supported_cpu_levels()) {
    EXPECT_EXIT(
        {
          setenv("MOELORA_CPU", std::string(cpu_level_name(level)).c_str(), 1);
          std::exit(cpu_level() == level ? 0 : 1);
        },
        testing::ExitedWithCode(0), "");
  }
}

TEST(CpuLevelsDeathTest, AnUnknownLevelIsAUsageErrorThatNamesTheNearest) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        setenv("MOELORA_CPU", "defualt", 1);
        try {
          cpu_level();
        } catch (const Error& error) {
          std::fputs(error.what(), stderr);
          std::exit(error.exit_code());
        }
      },
      testing::ExitedWithCode(2), "MOELORA_CPU.*did you mean `default`");
}

}  // namespace
}  // namespace moelora::kernels
