#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/durable.h"
#include "core/faulty_file_system.h"
#include "core/temporary_directory.h"

namespace moelora {
namespace {

using test::FaultyFileSystem;
using test::read_file;
using test::TemporaryDirectory;
using test::write_file;

TEST(AppendLog, GrowsAcrossOpenings) {
  TemporaryDirectory place;
  const auto path = place.path() / "metrics.jsonl";
  AppendLog(path).append("{\"step\": 1}");
  AppendLog log(path);
  log.append("{\"step\": 2}");
  log.sync();
  EXPECT_EQ(read_file(path), "{\"step\": 1}\n{\"step\": 2}\n");
  EXPECT_EQ(log.size(), 24);
}

TEST(AppendLog, DropsATornLastLineOfAnyLength) {
  TemporaryDirectory place;
  const auto path = place.path() / "metrics.jsonl";
  for (const size_t torn : {1u, 100u, 65530u, 65536u, 200000u}) {
    for (const std::string& whole : {std::string(), std::string("one\n"), std::string(70000, 'x') + "\n"}) {
      write_file(path, whole + std::string(torn, 't'));
      AppendLog log(path);
      EXPECT_EQ(log.size(), static_cast<int64_t>(whole.size()));
      log.append("next");
      EXPECT_EQ(read_file(path), whole + "next\n");
    }
  }
}

TEST(AppendLog, RewindsToARecordedSizeButNotBeyondTheEnd) {
  TemporaryDirectory place;
  const auto path = place.path() / "metrics.jsonl";
  AppendLog log(path);
  log.append("one");
  const int64_t recorded = log.size();
  log.append("two");
  log.rewind_to(recorded);
  log.append("again");
  EXPECT_EQ(read_file(path), "one\nagain\n");
  EXPECT_THROW(log.rewind_to(1000), Error);
}

TEST(AppendLog, EndsWithAWholeLineAfterADiskFull) {
  TemporaryDirectory place;
  const auto path = place.path() / "metrics.jsonl";
  // Calls: open, read (end of file), then one byte a write.
  FaultyFileSystem faulty({.fail_at = 2 + 5 + 3, .error_number = ENOSPC, .most_written = 1});
  AppendLog log(path, faulty);
  log.append("line");  // 5 writes
  EXPECT_THROW(log.append("longer line"), Error);
  EXPECT_EQ(read_file(path), "line\n");
  log.append("after");
  EXPECT_EQ(read_file(path), "line\nafter\n");
}

}  // namespace
}  // namespace moelora
