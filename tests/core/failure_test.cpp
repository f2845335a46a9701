// Every file-system call of a save fails once, or for good from then on: the old state or the new one, never neither.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/durable.h"
#include "core/faulty_file_system.h"
#include "core/temporary_directory.h"

namespace moelora {
namespace {

using test::FaultyFileSystem;
using test::read_file;
using test::TemporaryDirectory;

/// Works, without waiting for the disk.
FileSystem& healthy() {
  static FaultyFileSystem file_system({});
  return file_system;
}

void save(const std::filesystem::path& target, FileSystem& file_system) {
  DirectoryWriter writer(target, file_system);
  writer.add_file("adapter/weights", std::string(5000, 'w'));
  writer.add_file("state", std::string_view("state of the optimizer"));
  writer.commit({{"step", 2}});
}

/// How many calls `action` makes in an empty directory where all goes well.
int64_t calls_of(const std::function<void(const std::filesystem::path&, FileSystem&)>& action) {
  TemporaryDirectory place;
  FaultyFileSystem counting({});
  action(place.path(), counting);
  return static_cast<int64_t>(counting.calls().size());
}

void expect_old_or_new(const FaultyFileSystem::Options& options) {
  SCOPED_TRACE("call " + std::to_string(options.fail_at) + (options.for_good ? " and all after it" : ""));
  TemporaryDirectory place;
  save(place.path() / "checkpoint-1", healthy());
  FaultyFileSystem faulty(options);
  const auto target = place.path() / "checkpoint-2";
  bool failed = false;
  try {
    save(target, faulty);
  } catch (const Error& error) {
    failed = true;
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_FALSE(error.details().where.empty());
  }
  EXPECT_NO_THROW(verify_directory(place.path() / "checkpoint-1"));
  const std::string failing = faulty.calls().at(static_cast<size_t>(options.fail_at));
  // Only closing a directory that was just fsynced may fail unnoticed.
  EXPECT_TRUE(failed || failing == "close") << failing;
  if (!failed || std::filesystem::exists(target)) {
    EXPECT_NO_THROW(verify_directory(target));
  } else {
    EXPECT_NO_THROW(save(target, healthy()));
    EXPECT_NO_THROW(verify_directory(target));
  }
  std::vector<std::string> names;
  FileSystem::posix().list(place.path(), &names);
  for (const std::string& name : names) {
    if (!is_partial_name(name)) continue;
    EXPECT_TRUE(options.for_good) << "left behind: " << name;
    EXPECT_THROW(verify_directory(place.path() / name), Error);
  }
}

TEST(InjectedFailure, OfAnyCallOfASaveLeavesTheOldOrTheNewState) {
  const int64_t calls = calls_of([](const auto& place, FileSystem& files) { save(place / "x", files); });
  ASSERT_GT(calls, 20);
  for (int64_t call = 0; call < calls; ++call) {
    for (const int error_number : {ENOSPC, EIO, EACCES}) {
      for (const bool for_good : {false, true}) {
        expect_old_or_new({.fail_at = call, .error_number = error_number, .for_good = for_good});
      }
    }
  }
}

TEST(InjectedFailure, InterruptedCallsAreRepeated) {
  TemporaryDirectory place;
  for (const char* call : {"open", "write", "fsync"}) {
    FaultyFileSystem counting({});
    save(place.path() / (std::string("count-") + call), counting);
    const auto& calls = counting.calls();
    const auto index = std::find(calls.begin(), calls.end(), call) - calls.begin();
    FaultyFileSystem faulty({.fail_at = index, .error_number = EINTR});
    save(place.path() / call, faulty);
    EXPECT_NO_THROW(verify_directory(place.path() / call));
  }
}

TEST(InjectedFailure, ShortWritesAreContinued) {
  TemporaryDirectory place;
  FaultyFileSystem faulty({.most_written = 7});
  save(place.path() / "x", faulty);
  verify_directory(place.path() / "x");
  EXPECT_EQ(read_file(place.path() / "x/adapter/weights"), std::string(5000, 'w'));
}

TEST(InjectedFailure, DiskFullSaysWhichFileAndWhatToDo) {
  TemporaryDirectory place;
  FaultyFileSystem counting({});
  save(place.path() / "count", counting);
  const auto& calls = counting.calls();
  const auto first_write = std::find(calls.begin(), calls.end(), "write") - calls.begin();
  FaultyFileSystem faulty({.fail_at = first_write, .error_number = ENOSPC});
  try {
    save(place.path() / "x", faulty);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 7);
    EXPECT_THAT(error.what(), testing::HasSubstr("adapter/weights"));
    EXPECT_THAT(error.what(), testing::HasSubstr("No space left on device"));
    EXPECT_THAT(error.what(), testing::HasSubstr("free some space"));
  }
}

TEST(InjectedFailure, OfAnyCallOfAnAtomicWriteLeavesTheOldOrTheNewFile) {
  const int64_t calls =
      calls_of([](const auto& place, FileSystem& files) { write_file_atomically(place / "x", "new", 0644, files); });
  ASSERT_GE(calls, 7);
  for (int64_t call = 0; call < calls; ++call) {
    for (const bool for_good : {false, true}) {
      TemporaryDirectory place;
      const auto path = place.path() / "latest";
      write_file_atomically(path, "old");
      FaultyFileSystem faulty({.fail_at = call, .error_number = ENOSPC, .for_good = for_good});
      try {
        write_file_atomically(path, "new", 0644, faulty);
        EXPECT_EQ(read_file(path), "new");
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kIo);
        EXPECT_THAT(read_file(path), testing::AnyOf("old", "new"));
      }
    }
  }
}

TEST(InjectedFailure, OfAnyCallOfARemovalLeavesNoHalfDirectory) {
  const int64_t calls = calls_of([](const auto& place, FileSystem& files) {
    save(place / "x", healthy());
    remove_directory(place / "x", files);
  });
  ASSERT_GE(calls, 10);
  for (int64_t call = 0; call < calls; ++call) {
    TemporaryDirectory place;
    save(place.path() / "x", healthy());
    FaultyFileSystem faulty({.fail_at = call, .for_good = true});
    try {
      remove_directory(place.path() / "x", faulty);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kIo);
    }
    if (std::filesystem::exists(place.path() / "x")) {
      EXPECT_NO_THROW(verify_directory(place.path() / "x"));
    }
  }
}

}  // namespace
}  // namespace moelora
