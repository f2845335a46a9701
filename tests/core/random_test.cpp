#include "core/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace moelora {
namespace {

TEST(Philox, EqualsTheKnownAnswersOfRandom123) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0}, {0, 0, 0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, OfOneNameGivesOneSequence) {
  Random first(7, RandomStream::kOrder, 3, 1);
  std::vector<uint32_t> draws;
  for (int i = 0; i < 9; ++i) draws.push_back(first.next_u32());
  Random copy(7, RandomStream::kOrder, 3, 1);
  for (const uint32_t draw : draws) EXPECT_EQ(copy.next_u32(), draw);
}

TEST(Random, OfDifferentNamesSharesNoDraws) {
  std::set<uint64_t> seen;
  int64_t made = 0;
  for (const uint64_t seed : {0ull, 1ull, 42ull, 1ull << 32}) {
    for (const auto stream : {RandomStream::kInit, RandomStream::kDropout, RandomStream::kOrder}) {
      for (const uint64_t a : {0ull, 1ull, 1ull << 40}) {
        for (const uint32_t b : {0u, 1u, 8u}) {
          Random random(seed, stream, a, b);
          for (int i = 0; i < 8; ++i, ++made) seen.insert(random.next_u64());
        }
      }
    }
  }
  EXPECT_EQ(static_cast<int64_t>(seen.size()), made);
}

TEST(Random, BelowIsUniformWithinFourSigma) {
  Random random(1, RandomStream::kData);
  constexpr int kDraws = 70000;
  std::vector<int> counts(7);
  for (int i = 0; i < kDraws; ++i) ++counts[random.below(7)];
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 7.0, 4 * std::sqrt(kDraws * (1 / 7.0) * (6 / 7.0)));
  EXPECT_EQ(random.below(1), 0u);
}

TEST(Random, NormalHasTheMomentsOfANormal) {
  Random random(2, RandomStream::kInit);
  constexpr int kDraws = 100000;
  double sum = 0, squares = 0, fourths = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
    fourths += x * x * x * x;
  }
  const double deviation = 1 / std::sqrt(kDraws);
  EXPECT_NEAR(sum / kDraws, 0, 4 * deviation);
  EXPECT_NEAR(squares / kDraws, 1, 4 * std::sqrt(2.0) * deviation);
  EXPECT_NEAR(fourths / kDraws, 3, 4 * std::sqrt(96.0) * deviation);
}

TEST(Shuffle, IsAPermutationThatDependsOnTheSeedAlone) {
  std::vector<int> items(1000), again(1000), other(1000);
  for (int i = 0; i < 1000; ++i) items[i] = again[i] = other[i] = i;
  Random a(1, RandomStream::kOrder), b(1, RandomStream::kOrder), c(2, RandomStream::kOrder);
  shuffle(items, a);
  shuffle(again, b);
  shuffle(other, c);
  EXPECT_EQ(items, again);
  EXPECT_NE(items, other);
  EXPECT_EQ(std::set<int>(items.begin(), items.end()).size(), 1000u);
}

}  // namespace
}  // namespace moelora
