#include "kernels/arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace moelora::kernels {
namespace {

constexpr size_t kMib = size_t{1} << 20;

TEST(Arena, GivesAnOtherSizeThePagesOfABlockThatIsFree) {
  Arena arena(64 * kMib);
  void* first = arena.take(10 * kMib);
  void* second = arena.take(10 * kMib);
  ASSERT_NE(second, nullptr);
  const int64_t grown = arena.grown();
  arena.give_back(first);
  arena.give_back(second);
  void* joined = arena.take(17 * kMib);  // both, joined again
  EXPECT_EQ(joined, first);
  EXPECT_EQ(arena.grown(), grown);
  arena.give_back(joined);
  for (size_t size = 1; size <= 5; ++size) arena.take(size * kMib);
  EXPECT_EQ(arena.grown(), grown);
  EXPECT_EQ(arena.bytes_held(), static_cast<int64_t>(20 * kMib));
}

TEST(Arena, ReturnsPagesAndTheyComeBackAsZeros) {
  Arena arena(64 * kMib);
  void* block = arena.take(8 * kMib);
  std::memset(block, 7, 8 * kMib);
  arena.give_back(block);
  arena.trim(0);
  EXPECT_EQ(arena.bytes_held(), 0);
  auto* again = static_cast<unsigned char*>(arena.take(8 * kMib));
  for (size_t i = 0; i < 8 * kMib; i += 4096) ASSERT_EQ(again[i], 0) << i;
}

TEST(Arena, TrimLeavesWhatIsInUse) {
  Arena arena(64 * kMib);
  auto* used = static_cast<unsigned char*>(arena.take(4 * kMib));
  std::memset(used, 3, 4 * kMib);
  arena.give_back(arena.take(20 * kMib));
  arena.trim(static_cast<int64_t>(6 * kMib));
  EXPECT_EQ(arena.bytes_held(), static_cast<int64_t>(6 * kMib));
  EXPECT_EQ(arena.bytes_in_use(), static_cast<int64_t>(4 * kMib));
  for (size_t i = 0; i < 4 * kMib; i += 4096) ASSERT_EQ(used[i], 3) << i;
}

TEST(Arena, GivesNothingBeyondItsAddresses) {
  Arena arena(8 * kMib);
  EXPECT_EQ(arena.take(9 * kMib), nullptr);
  EXPECT_EQ(arena.bytes_in_use(), 0);
  EXPECT_NE(arena.take(3 * kMib), nullptr);
}

TEST(Arena, NeverGivesTheSameByteTwiceAndAccountsForAll) {
  Arena arena(512 * kMib);
  std::mt19937 random(1);
  struct Taken {
    unsigned char* data;
    size_t bytes;
    unsigned char mark;
  };
  std::vector<Taken> taken;
  int64_t in_use = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (taken.size() < 40 && random() % 2 == 0) {
      const size_t bytes = (1 + random() % 64) << 16;
      auto* data = static_cast<unsigned char*>(arena.take(bytes));
      ASSERT_NE(data, nullptr);
      ASSERT_EQ(reinterpret_cast<uintptr_t>(data) % 64, 0u);
      ASSERT_TRUE(arena.holds(data));
      const auto mark = static_cast<unsigned char>(random());
      data[0] = data[bytes / 2] = data[bytes - 1] = mark;
      taken.push_back({data, bytes, mark});
      in_use += static_cast<int64_t>(bytes);
    } else if (!taken.empty()) {
      std::swap(taken[random() % taken.size()], taken.back());
      const Taken& last = taken.back();
      ASSERT_EQ(last.data[0], last.mark);
      ASSERT_EQ(last.data[last.bytes / 2], last.mark);
      ASSERT_EQ(last.data[last.bytes - 1], last.mark);
      arena.give_back(last.data);
      in_use -= static_cast<int64_t>(last.bytes);
      taken.pop_back();
    }
    if (i % 1000 == 0) arena.trim(in_use);
    ASSERT_EQ(arena.bytes_in_use(), in_use);
    ASSERT_GE(arena.bytes_held(), in_use);
  }
  for (const Taken& one : taken) arena.give_back(one.data);
  EXPECT_EQ(arena.bytes_in_use(), 0);
  arena.trim(0);
  EXPECT_EQ(arena.bytes_held(), 0);
  EXPECT_NE(arena.take(500 * kMib), nullptr);  // all of it is one piece again
}

}  // namespace
}  // namespace moelora::kernels
