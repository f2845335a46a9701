// A save that is stopped, or whose disk fails, at each of its file calls: the old checkpoint or the new one loads,
// never neither.
#include <cerrno>

#include "io/checkpoint.h"
#include "io/small_checkpoint.h"
#include "io/test_files.h"

namespace moelora::io {
namespace {

/// What happens at call number `at`, and after it.
struct Fault {
  int at = 0;
  int error = EIO;
  bool stays = false;       // every later call fails too: the process is dead, nothing is cleaned up
  bool half_write = false;  // a failing write has written half
};

class FaultyFileSystem : public FileSystem {
 public:
  explicit FaultyFileSystem(Fault fault) : fault_(fault) {}

  int calls() const { return calls_; }

  int open(const std::filesystem::path& path, int flags, mode_t mode) override {
    return fails() ? -fault_.error : real_.open(path, flags, mode);
  }
  ssize_t read(int descriptor, void* bytes, size_t size) override {
    return fails() ? -fault_.error : real_.read(descriptor, bytes, size);
  }
  ssize_t write(int descriptor, const void* bytes, size_t size) override {
    if (!fails()) return real_.write(descriptor, bytes, size);
    if (fault_.half_write) real_.write(descriptor, bytes, size / 2);
    return -fault_.error;
  }
  int truncate(int descriptor, int64_t size) override {
    return fails() ? -fault_.error : real_.truncate(descriptor, size);
  }
  int fsync(int descriptor) override { return fails() ? -fault_.error : real_.fsync(descriptor); }
  int close(int descriptor) override {
    const bool failed = fails();
    const int result = real_.close(descriptor);  // always, or the test would run out of descriptors
    return failed ? -fault_.error : result;
  }
  int make_directory(const std::filesystem::path& path, mode_t mode) override {
    return fails() ? -fault_.error : real_.make_directory(path, mode);
  }
  int rename_over(const std::filesystem::path& from, const std::filesystem::path& to) override {
    return fails() ? -fault_.error : real_.rename_over(from, to);
  }
  int rename_new(const std::filesystem::path& from, const std::filesystem::path& to) override {
    return fails() ? -fault_.error : real_.rename_new(from, to);
  }
  int remove(const std::filesystem::path& path) override { return fails() ? -fault_.error : real_.remove(path); }
  int list(const std::filesystem::path& path, std::vector<std::string>* names) override {
    return fails() ? -fault_.error : real_.list(path, names);
  }
  int lock(int descriptor) override { return fails() ? -fault_.error : real_.lock(descriptor); }

 private:
  bool fails() {
    ++calls_;
    return calls_ == fault_.at || (fault_.stays && calls_ > fault_.at);
  }

  FileSystem& real_ = FileSystem::posix();
  Fault fault_;
  int calls_ = 0;
};

int calls_of_a_save() {
  const TestDirectory run;
  FaultyFileSystem counting({});
  save_checkpoint(run.path(), small_checkpoint(2), counting);
  return counting.calls();
}

/// Step 1 is there; step 2 is saved under the fault. Returns whether the save threw.
bool save_under(const TestDirectory& run, const Fault& fault) {
  save_checkpoint(run.path(), small_checkpoint(1));
  FaultyFileSystem faulty(fault);
  try {
    save_checkpoint(run.path(), small_checkpoint(2), faulty);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo) << error.what();
    return true;
  }
  return false;
}

void expect_old_or_new(const TestDirectory& run) {
  expect_same(load_checkpoint(run / "checkpoint-1"), small_checkpoint(1));
  const NewestCheckpoint newest = newest_valid_checkpoint(run.path());
  ASSERT_TRUE(newest.checkpoint);
  expect_same(*newest.checkpoint, small_checkpoint(newest.checkpoint->step));
  EXPECT_TRUE(newest.bad.empty()) << newest.bad.front().reason;  // no half is ever visible under a checkpoint's name
}

TEST(CheckpointCrash, StoppedAtAnyCallTheOldOrTheNewOneLoads) {
  const int calls = calls_of_a_save();
  ASSERT_GT(calls, 10);
  for (const bool half_write : {false, true}) {
    for (int at = 1; at <= calls; ++at) {
      SCOPED_TRACE(testing::Message() << "call " << at << " of " << calls);
      const TestDirectory run;
      save_under(run, {.at = at, .stays = true, .half_write = half_write});
      expect_old_or_new(run);
      // The next process goes on: the same step can be saved, or is there.
      if (!std::filesystem::exists(run / "checkpoint-2")) save_checkpoint(run.path(), small_checkpoint(2));
      expect_same(load_checkpoint(run / "checkpoint-2"), small_checkpoint(2));
    }
  }
}

TEST(CheckpointCrash, ADiskErrorAtAnyCallIsReportedAndTheOldOneIntact) {
  const int calls = calls_of_a_save();
  for (const int error : {EIO, ENOSPC, EDQUOT, EROFS}) {
    for (int at = 1; at <= calls; ++at) {
      SCOPED_TRACE(testing::Message() << "error " << error << " at call " << at << " of " << calls);
      const TestDirectory run;
      const bool threw = save_under(run, {.at = at, .error = error, .half_write = true});
      expect_old_or_new(run);
      EXPECT_TRUE(threw || std::filesystem::exists(run / "checkpoint-2"));
    }
  }
}

TEST(CheckpointCrash, PruningStoppedAtAnyCallLeavesTheNewestTwo) {
  for (int at = 1; at <= 60; ++at) {
    SCOPED_TRACE(at);
    const TestDirectory run;
    for (int64_t step = 1; step <= 4; ++step) save_checkpoint(run.path(), small_checkpoint(step));
    FaultyFileSystem faulty({.at = at, .stays = true});
    try {
      prune_checkpoints(run.path(), 2, {}, faulty);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kIo);
    }
    const NewestCheckpoint newest = newest_valid_checkpoint(run.path());
    ASSERT_TRUE(newest.checkpoint);
    EXPECT_EQ(newest.checkpoint->step, 4);
    EXPECT_NO_THROW(load_checkpoint(run / "checkpoint-3"));
    for (const int64_t step : {1, 2}) {  // whole or gone
      const auto dir = checkpoint_dir(run.path(), step);
      if (std::filesystem::exists(dir)) {
        EXPECT_NO_THROW(load_checkpoint(dir));
      }
    }
  }
}

}  // namespace
}  // namespace moelora::io
