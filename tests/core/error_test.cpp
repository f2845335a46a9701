#include "core/error.h"

#include <gtest/gtest.h>

namespace moelora {
namespace {

TEST(Error, SaysWhereWhatFoundExpectedAndHintOnOneLine) {
  const Error error(ErrorKind::kConfig, {"run.yaml:3:5", "wrong type", "`abc`", "a number", "remove the quotes"});
  EXPECT_STREQ(error.what(), "run.yaml:3:5: wrong type (found `abc`; expected a number); remove the quotes");
  EXPECT_STREQ(Error(ErrorKind::kIo, {.problem = "x"}).what(), "x");
  EXPECT_STREQ(Error(ErrorKind::kIo, {.where = "f", .problem = "x", .found = "1"}).what(), "f: x (found 1)");
  EXPECT_STREQ(Error(ErrorKind::kIo, {.problem = "x", .expected = "2"}).what(), "x (expected 2)");
}

TEST(Error, HasTheExitCodesThatScriptsRelyOn) {
  const std::pair<ErrorKind, int> codes[] = {
      {ErrorKind::kInternal, 1}, {ErrorKind::kUsage, 2},       {ErrorKind::kConfig, 3}, {ErrorKind::kData, 4},
      {ErrorKind::kModel, 5},    {ErrorKind::kNumeric, 6},     {ErrorKind::kIo, 7},     {ErrorKind::kPeer, 8},
      {ErrorKind::kLimit, 9},    {ErrorKind::kInterrupted, 75}};
  for (const auto& [kind, code] : codes) EXPECT_EQ(Error(kind, {.problem = "x"}).exit_code(), code);
}

TEST(ErrorList, GivesOneLineForEach) {
  const ErrorList list({Error(ErrorKind::kConfig, {.problem = "one"}), Error(ErrorKind::kConfig, {.problem = "two"})});
  EXPECT_STREQ(list.what(), "one\ntwo");
  EXPECT_EQ(list.exit_code(), 3);
}

}  // namespace
}  // namespace moelora
