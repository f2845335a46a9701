// Power failures at every call: what reached the disk is the old state or the new one.
#include <gtest/gtest.h>

#include "core/crash_file_system.h"
#include "core/durable.h"

namespace moelora {
namespace {

using test::CrashFileSystem;
using test::TemporaryDirectory;
using test::Unsynced;

constexpr Unsynced kAllKinds[] = {Unsynced::kLost, Unsynced::kNamesKept, Unsynced::kUpperNamesKept,
                                  Unsynced::kLowerNamesKept, Unsynced::kAllKept};

void save(const std::filesystem::path& target, int step, FileSystem& file_system) {
  DirectoryWriter writer(target, file_system);
  writer.add_file("adapter/weights", std::string(3000, static_cast<char>('a' + step)));
  writer.add_file("state", std::string_view("state"));
  writer.commit({{"step", step}});
}

/// Checks every directory a reader would look at; the steps of those there.
std::vector<int> steps_after(const CrashFileSystem& disk, Unsynced unsynced) {
  TemporaryDirectory restored;
  disk.restore(restored.path(), unsynced);
  std::vector<int> steps;
  for (const auto& entry : std::filesystem::directory_iterator(restored.path())) {
    if (is_partial_name(entry.path().filename().string())) continue;
    steps.push_back(verify_directory(entry.path()).fields.at("step"));
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

/// Saves step 1, then step 2, then removes step 1, each committed before the next; returns how many of the three were
/// finished.
int run_until_failure(const std::filesystem::path& root, CrashFileSystem& disk) {
  int finished = 0;
  try {
    save(root / "checkpoint-1", 1, disk);
    ++finished;
    save(root / "checkpoint-2", 2, disk);
    ++finished;
    remove_directory(root / "checkpoint-1", disk);
    ++finished;
  } catch (const Error&) {
  }
  return finished;
}

TEST(PowerFailure, AtAnyCallLeavesEveryFinishedCheckpointAndNoHalfOne) {
  int64_t calls = 0;
  {
    TemporaryDirectory place;
    CrashFileSystem disk(place.path(), -1);
    ASSERT_EQ(run_until_failure(place.path(), disk), 3);
    calls = disk.calls();
    EXPECT_EQ(steps_after(disk, Unsynced::kAllKept), std::vector<int>{2});
  }
  ASSERT_GT(calls, 50);
  for (int64_t call = 0; call < calls; ++call) {
    TemporaryDirectory place;
    CrashFileSystem disk(place.path(), call);
    const int finished = run_until_failure(place.path(), disk);
    for (const Unsynced unsynced : kAllKinds) {
      SCOPED_TRACE("call " + std::to_string(call) + ", kind " + std::to_string(static_cast<int>(unsynced)));
      const std::vector<int> steps = steps_after(disk, unsynced);
      const bool has_first = std::count(steps.begin(), steps.end(), 1) == 1;
      const bool has_second = std::count(steps.begin(), steps.end(), 2) == 1;
      EXPECT_TRUE(finished != 1 || has_first);
      EXPECT_TRUE(finished < 2 || has_second);
    }
  }
}

TEST(PowerFailure, AtAnyCallOfAnAtomicWriteLeavesTheOldOrTheNewFile) {
  int64_t calls = 0;
  for (int64_t call = -1; call < calls; ++call) {  // the first time all goes well
    TemporaryDirectory place;
    CrashFileSystem disk(place.path(), -1);
    write_file_atomically(place.path() / "latest", "old", 0644, disk);
    const int64_t before = disk.calls();
    bool finished = false;
    try {
      if (call >= 0) disk.fail_at_call(before + call);
      write_file_atomically(place.path() / "latest", "new", 0644, disk);
      finished = true;
    } catch (const Error&) {
    }
    if (call < 0) calls = disk.calls() - before;
    for (const Unsynced unsynced : kAllKinds) {
      TemporaryDirectory restored;
      disk.restore(restored.path(), unsynced);
      const std::string text = test::read_file(restored.path() / "latest");
      EXPECT_TRUE(text == "new" || (!finished && text == "old")) << "call " << call << ": \"" << text << '"';
    }
  }
  EXPECT_GE(calls, 7);
}

}  // namespace
}  // namespace moelora
