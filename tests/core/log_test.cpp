#include "core/log.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace moelora {
namespace {

class Log : public testing::Test {
 protected:
  Log() {
    set_log_level(LogLevel::kInfo);
    set_log_sink([this](LogLevel, std::string_view line) { lines_.emplace_back(line); });
  }
  ~Log() override { set_log_sink({}); }

  std::vector<std::string> lines_;
};

TEST_F(Log, PrefixesAllButInformation) {
  log_info("read 3 rows");
  log_warn("one is empty");
  log_error("none is left");
  EXPECT_EQ(lines_, (std::vector<std::string>{"read 3 rows", "warning: one is empty", "error: none is left"}));
}

TEST_F(Log, KeepsOnlyWhatTheLevelAdmits) {
  log_debug("hidden");
  set_log_level(LogLevel::kWarn);
  log_info("hidden");
  log_warn("shown");
  set_log_level(LogLevel::kOff);
  log_error("hidden");
  EXPECT_EQ(lines_, std::vector<std::string>{"warning: shown"});
}

TEST_F(Log, LinesOfSeveralThreadsArriveWhole) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) log_info(std::string(50, static_cast<char>('a' + t)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(lines_.size(), 800u);
  for (const std::string& line : lines_) EXPECT_EQ(line, std::string(50, line[0]));
}

TEST(LogLevelNames, AreReadOrRefused) {
  EXPECT_EQ(parse_log_level("warn"), LogLevel::kWarn);
  EXPECT_EQ(parse_log_level("off"), LogLevel::kOff);
  EXPECT_EQ(parse_log_level("loud"), std::nullopt);
}

}  // namespace
}  // namespace moelora
