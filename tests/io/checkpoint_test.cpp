#include "io/checkpoint.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>

#include "core/durable.h"
#include "core/random.h"
#include "io/small_checkpoint.h"
#include "io/test_files.h"

namespace moelora::io {
namespace {

using testing::HasSubstr;

TEST(Checkpoint, ComesBackBitForBit) {
  const TestDirectory run;
  const Checkpoint written = small_checkpoint(7);
  EXPECT_EQ(save_checkpoint(run.path(), written), run / "checkpoint-7");
  expect_same(load_checkpoint(run / "checkpoint-7"), written);
}

TEST(Checkpoint, IdentityStandsInTheManifest) {
  const TestDirectory run;
  save_checkpoint(run.path(), small_checkpoint(7));
  const Manifest manifest = read_manifest(run / "checkpoint-7");
  EXPECT_EQ(manifest.fields["step"], 7);
  EXPECT_EQ(manifest.fields["identity"]["base"], "abc");
}

TEST(Checkpoint, IsNeverOverwritten) {
  const TestDirectory run;
  save_checkpoint(run.path(), small_checkpoint(7));
  Checkpoint other = small_checkpoint(7);
  other.state["cursor"] = -1;
  EXPECT_THROW(save_checkpoint(run.path(), other), Error);
  expect_same(load_checkpoint(run / "checkpoint-7"), small_checkpoint(7));
}

TEST(Checkpoint, TheNewestIsTheHighestStepNotTheLastInTheAlphabet) {
  const TestDirectory run;
  EXPECT_FALSE(newest_valid_checkpoint(run.path()).checkpoint);
  EXPECT_FALSE(newest_valid_checkpoint(run / "missing").checkpoint);
  for (const int64_t step : {9, 100, 20}) save_checkpoint(run.path(), small_checkpoint(step));
  for (const char* name :
       {"checkpoint-0200", "checkpoint-300x", "checkpoint--1", "checkpoint-", "checkpoint-99999999999999999999"}) {
    std::filesystem::create_directory(run / name);
  }
  const NewestCheckpoint newest = newest_valid_checkpoint(run.path());
  ASSERT_TRUE(newest.checkpoint);
  EXPECT_EQ(newest.checkpoint->step, 100);
  EXPECT_EQ(newest.dir, run / "checkpoint-100");
  EXPECT_TRUE(newest.bad.empty());
}

TEST(Checkpoint, ARenamedOneIsNotTakenForAnotherStep) {
  const TestDirectory run;
  save_checkpoint(run.path(), small_checkpoint(7));
  std::filesystem::rename(run / "checkpoint-7", run / "checkpoint-70");
  EXPECT_THAT(model_error([&] { load_checkpoint(run / "checkpoint-70"); }), HasSubstr("isn't this directory's"));
}

/// Changes one file of the newer of two checkpoints; the older must be found, and the complaint must name that file.
void expect_fallback(const TestDirectory& run, const std::string& file, const std::string& bytes) {
  const auto path = run.path() / "checkpoint-2" / file;
  write_text(path, bytes);
  const NewestCheckpoint newest = newest_valid_checkpoint(run.path());
  ASSERT_TRUE(newest.checkpoint);
  ASSERT_EQ(newest.checkpoint->step, 1);
  ASSERT_EQ(newest.bad.size(), 1);
  ASSERT_EQ(newest.bad[0].dir, run / "checkpoint-2");
  ASSERT_THAT(newest.bad[0].reason, HasSubstr(path.string()));
}

constexpr const char* kFiles[] = {"manifest.json", "state.json", "tensors.safetensors"};

TEST(CheckpointDamage, OneFlippedBitAtTenThousandPositionsIsFoundAndTheOlderOneTaken) {
  const TestDirectory run;
  save_checkpoint(run.path(), small_checkpoint(1));
  save_checkpoint(run.path(), small_checkpoint(2));
  Random random(1, RandomStream::kData);
  for (const char* file : kFiles) {
    const std::string good = read_text(run.path() / "checkpoint-2" / file);
    for (int i = 0; i < 3334; ++i) {
      std::string bad = good;
      const uint64_t bit = random.below(8 * bad.size());
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
      SCOPED_TRACE(testing::Message() << file << " bit " << bit);
      ASSERT_NO_FATAL_FAILURE(expect_fallback(run, file, bad));
    }
    write_text(run.path() / "checkpoint-2" / file, good);
  }
  EXPECT_EQ(newest_valid_checkpoint(run.path()).checkpoint->step, 2);
}

TEST(CheckpointDamage, EveryTruncationExtensionAndMissingFileIsFound) {
  const TestDirectory run;
  save_checkpoint(run.path(), small_checkpoint(1));
  save_checkpoint(run.path(), small_checkpoint(2));
  for (const char* file : kFiles) {
    const std::string good = read_text(run.path() / "checkpoint-2" / file);
    for (size_t size = 0; size < good.size(); size += size < 1000 || size + 1000 > good.size() ? 7 : 4096) {
      SCOPED_TRACE(testing::Message() << file << " cut to " << size);
      ASSERT_NO_FATAL_FAILURE(expect_fallback(run, file, good.substr(0, size)));
    }
    ASSERT_NO_FATAL_FAILURE(expect_fallback(run, file, good + " "));
    std::filesystem::remove(run.path() / "checkpoint-2" / file);
    EXPECT_THAT(newest_valid_checkpoint(run.path()).bad.at(0).reason, HasSubstr(file));
    write_text(run.path() / "checkpoint-2" / file, good);
  }
  EXPECT_EQ(newest_valid_checkpoint(run.path()).checkpoint->step, 2);
}

TEST(CheckpointDamage, WhereNoneVerifiesAllAreReported) {
  const TestDirectory run;
  for (const int64_t step : {1, 2}) {
    save_checkpoint(run.path(), small_checkpoint(step));
    std::filesystem::remove(checkpoint_dir(run.path(), step) / "state.json");
  }
  const NewestCheckpoint newest = newest_valid_checkpoint(run.path());
  EXPECT_FALSE(newest.checkpoint);
  ASSERT_EQ(newest.bad.size(), 2);
  EXPECT_EQ(newest.bad[0].dir, run / "checkpoint-2");
}

TEST(CheckpointDamage, WhatCantBeReadForNowIsAnErrorAndNoDamage) {
  const TestDirectory run;
  save_checkpoint(run.path(), small_checkpoint(1));
  save_checkpoint(run.path(), small_checkpoint(2));
  for (const char* file : kFiles) {
    const std::string good = read_text(run.path() / "checkpoint-2" / file);
    std::filesystem::remove(run.path() / "checkpoint-2" / file);
    std::filesystem::create_symlink(file, run.path() / "checkpoint-2" / file);  // ELOOP, as EACCES or EIO would be
    try {
      newest_valid_checkpoint(run.path());
      ADD_FAILURE() << file << ": passed over";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kIo) << error.what();
    }
    std::filesystem::remove(run.path() / "checkpoint-2" / file);
    write_text(run.path() / "checkpoint-2" / file, good);
  }
  EXPECT_EQ(newest_valid_checkpoint(run.path()).checkpoint->step, 2);
}

TEST(CheckpointDamage, WhatIsSetAsideIsKeptAndNoCheckpointAnyMore) {
  const TestDirectory run;
  for (int i = 0; i < 2; ++i) {
    save_checkpoint(run.path(), small_checkpoint(7));
    const auto aside = set_aside_checkpoint(run / "checkpoint-7");
    EXPECT_EQ(aside, run / (i == 0 ? "bad-checkpoint-7" : "bad-checkpoint-7-2"));
    EXPECT_NO_THROW(read_text(aside / "state.json"));
  }
  const NewestCheckpoint newest = newest_valid_checkpoint(run.path());
  EXPECT_FALSE(newest.checkpoint);
  EXPECT_TRUE(newest.bad.empty());
}

std::vector<int64_t> steps_left(const TestDirectory& run) {
  std::vector<int64_t> steps;
  for (int64_t step = 0; step < 20; ++step) {
    if (std::filesystem::exists(checkpoint_dir(run.path(), step))) steps.push_back(step);
  }
  return steps;
}

TEST(CheckpointPruning, KeepsTheNewestAndTheProtectedOnes) {
  const TestDirectory run;
  for (int64_t step = 1; step <= 6; ++step) save_checkpoint(run.path(), small_checkpoint(step));
  const auto removed = prune_checkpoints(run.path(), 3, {2});
  EXPECT_EQ(removed, (std::vector<std::filesystem::path>{run / "checkpoint-1", run / "checkpoint-3"}));
  EXPECT_EQ(steps_left(run), (std::vector<int64_t>{2, 4, 5, 6}));
}

TEST(CheckpointPruning, KeepsAtLeastTwo) {
  const TestDirectory run;
  for (int64_t step = 1; step <= 3; ++step) save_checkpoint(run.path(), small_checkpoint(step));
  prune_checkpoints(run.path(), 0);
  EXPECT_EQ(steps_left(run), (std::vector<int64_t>{2, 3}));
}

TEST(CheckpointPruning, ADamagedOneDoesntCountAndADamagedNewestStopsIt) {
  const TestDirectory run;
  for (int64_t step = 1; step <= 5; ++step) save_checkpoint(run.path(), small_checkpoint(step));
  std::filesystem::remove(run / "checkpoint-4/state.json");
  prune_checkpoints(run.path(), 2);
  EXPECT_EQ(steps_left(run), (std::vector<int64_t>{3, 4, 5}));
  std::filesystem::remove(run / "checkpoint-5/state.json");
  EXPECT_TRUE(prune_checkpoints(run.path(), 2).empty());
  EXPECT_EQ(steps_left(run), (std::vector<int64_t>{3, 4, 5}));
}

}  // namespace
}  // namespace moelora::io
