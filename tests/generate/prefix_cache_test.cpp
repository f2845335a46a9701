// What is kept is found again by its owner alone, memory stays within its bound, and the least recently used leaves.
#include "generate/prefix_cache.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "generate/made_models.h"

namespace moelora::generate {
namespace {

constexpr int64_t kBlock = PrefixCache::kBlock;
const PrefixCache::Owner kOwner{"adapter", 1};

/// A prompt whose blocks are spelled by numbers.
std::vector<int32_t> prompt_of(const std::vector<int32_t>& blocks) {
  std::vector<int32_t> tokens;
  for (const int32_t block : blocks) tokens.insert(tokens.end(), kBlock, block);
  return tokens;
}

class Prefixes : public ::testing::Test {
 protected:
  static SequenceCache empty() { return {nn::ModelConfig{.layers = 2}, 10 * kBlock}; }

  /// Keeps a prompt whose keys and values are `value`.
  void keep(const std::vector<int32_t>& blocks, double value, const PrefixCache::Owner& owner = kOwner) {
    SequenceCache cache = empty();
    const at::Tensor rows = at::full({std::ssize(blocks) * kBlock, 1, 4}, value);
    for (int64_t layer = 0; layer < 2; ++layer) cache.append(layer, rows, rows.neg());
    cache_.keep(owner, prompt_of(blocks), cache);
  }

  int64_t found(const std::vector<int32_t>& blocks, const PrefixCache::Owner& owner = kOwner) {
    SequenceCache cache = empty();
    const int64_t positions = cache_.extend(owner, prompt_of(blocks), cache);
    EXPECT_EQ(cache.length(), positions);
    return positions / kBlock;
  }

  PrefixCache cache_{4 * kBlock + 3};
};

TEST_F(Prefixes, WhatIsFoundIsWhatWasKept) {
  keep({1, 2}, 0.5);
  keep({1, 3}, 0.25);
  SequenceCache cache = empty();
  EXPECT_EQ(cache_.extend(kOwner, prompt_of({1, 3, 9}), cache), 2 * kBlock);
  for (int64_t layer = 0; layer < 2; ++layer) {
    EXPECT_TRUE(cache.keys(layer).narrow(0, 0, kBlock).eq(0.5).all().item<bool>()) << "one block of both";
    EXPECT_TRUE(cache.keys(layer).narrow(0, kBlock, kBlock).eq(0.25).all().item<bool>());
    EXPECT_TRUE(cache.values(layer).narrow(0, kBlock, kBlock).eq(-0.25).all().item<bool>());
  }
  EXPECT_EQ(cache_.positions(), 3 * kBlock);
}

TEST_F(Prefixes, OnlyWholeBlocksAreKeptAndFound) {
  std::vector<int32_t> tokens = prompt_of({1, 2});
  tokens.pop_back();
  SequenceCache cache = empty();
  const at::Tensor rows = at::full({std::ssize(tokens), 1, 4}, 1.0);
  for (int64_t layer = 0; layer < 2; ++layer) cache.append(layer, rows, rows);
  cache_.keep(kOwner, tokens, cache);
  EXPECT_EQ(found({1, 2}), 1);
  SequenceCache other = empty();
  EXPECT_EQ(cache_.extend(kOwner, std::span(tokens).first(kBlock - 1), other), 0);
}

TEST_F(Prefixes, AnotherTaskAndAnotherAdapterFindNothing) {
  keep({1, 2}, 1);
  EXPECT_EQ(found({1, 2}, {"adapter", 2}), 0);
  EXPECT_EQ(found({1, 2}, {"adapte", 1}), 0);
  EXPECT_EQ(found({2}), 0) << "a block is found behind those it was read behind alone";
  EXPECT_EQ(found({1, 2}), 2);
}

TEST_F(Prefixes, TheLeastRecentlyUsedLeavesAndNeverBeforeWhatBuildsOnIt) {
  keep({1, 2}, 1);
  keep({5}, 1);
  keep({6}, 1);
  EXPECT_EQ(cache_.positions(), 4 * kBlock);
  EXPECT_EQ(found({1}), 1);  // 2 is now the oldest, though 1 was used last
  keep({7}, 1);
  EXPECT_EQ(cache_.positions(), 4 * kBlock);
  EXPECT_EQ(found({1, 2}), 1);
  EXPECT_EQ(found({5}), 1);
  keep({8}, 1);
  EXPECT_EQ(found({6}), 0);
  EXPECT_EQ(found({7}) + found({5}) + found({1}), 3);
}

TEST_F(Prefixes, APromptLongerThanTheCacheIsKeptAsFarAsItGoes) {
  keep({1, 2, 3, 4, 5, 6}, 1);
  EXPECT_EQ(cache_.positions(), 4 * kBlock);
  EXPECT_EQ(found({1, 2, 3, 4, 5, 6}), 4);
}

TEST_F(Prefixes, WithoutRoomNothingIsKept) {
  PrefixCache none(kBlock - 1);
  EXPECT_FALSE(none.enabled());
  SequenceCache cache = empty();
  EXPECT_EQ(none.extend(kOwner, prompt_of({1}), cache), 0);
}

}  // namespace
}  // namespace moelora::generate
