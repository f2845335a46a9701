#include "kernels/allocator.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <new>
#include <thread>
#include <vector>

namespace moelora::kernels {
namespace {

class Allocator : public testing::Test {
 protected:
  void SetUp() override { install_caching_allocator(); }
};

TEST_F(Allocator, GivesABlockAgainToTheNextTensorOfItsSize) {
  void* first = at::empty({777, 1000}, at::kFloat).mutable_data_ptr();
  const int64_t before = allocator_counts().from_system;
  for (int i = 0; i < 20; ++i) EXPECT_EQ(at::empty({777, 1000}, at::kFloat).mutable_data_ptr(), first);
  EXPECT_EQ(allocator_counts().from_system, before);
}

TEST_F(Allocator, FitsSlightlySmallerTensorsIntoAKeptBlock) {
  at::empty({1000, 1000}, at::kFloat);
  const int64_t before = allocator_counts().from_system;
  at::empty({990, 1000}, at::kFloat);
  EXPECT_EQ(allocator_counts().from_system, before);
}

TEST_F(Allocator, LargeTensorsOfOtherSizesTakeThePlaceOfEarlierOnes) {
  const auto step = [](int64_t rows) {
    std::vector<at::Tensor> kept;
    for (int layer = 0; layer < 20; ++layer) {
      kept.push_back(at::empty({rows, 1000}, at::kFloat));
      at::empty({rows, 3000}, at::kFloat);
    }
  };
  step(1000);
  const int64_t before = allocator_counts().from_system;
  for (const int64_t rows : {990, 700, 873, 1000, 512, 951}) step(rows);
  EXPECT_LE(allocator_counts().from_system, before + 3);
}

TEST_F(Allocator, AlignsDataForTheWidestVectors) {
  for (const int64_t size : {1, 3, 100, 5000, 300'000, 3'000'001}) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(at::empty({size}, at::kFloat).data_ptr()) % 64, 0u) << size;
  }
}

TEST_F(Allocator, NeverGivesLivingTensorsTheSameMemory) {
  std::vector<at::Tensor> tensors;
  for (int i = 0; i < 200; ++i) tensors.push_back(at::full({1 + 37 * i}, i, at::kInt));
  for (int i = 0; i < 200; i += 2) tensors[i].reset();
  for (int i = 0; i < 200; i += 2) tensors[i] = at::full({1 + 37 * i}, i, at::kInt);
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(tensors[i].eq(i).all().item<bool>()) << i;
}

TEST_F(Allocator, KeepsWhatIsHeldNearTheMostThatWasEverInUse) {
  const int64_t mib = 1 << 20;
  const int64_t start = allocator_counts().bytes_in_use;
  for (int64_t size = 8; size <= 512; size += size / 2) at::empty({size * mib}, at::kByte);
  const AllocatorCounts counts = allocator_counts();
  EXPECT_EQ(counts.bytes_in_use, start);
  EXPECT_LE(counts.bytes_held, start + 512 * mib * 9 / 8 * 9 / 8 + 64 * mib);
}

TEST_F(Allocator, RefusesWhatTheMachineDoesNotHave) {
  const AllocatorCounts before = allocator_counts();
  EXPECT_THROW(at::empty({int64_t{1} << 41}, at::kByte), std::bad_alloc);  // 2 TiB
  EXPECT_EQ(allocator_counts().bytes_in_use, before.bytes_in_use);
  EXPECT_EQ(allocator_counts().bytes_held, before.bytes_held);
}

TEST_F(Allocator, ServesSeveralThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t, &wrong] {
      for (int i = 0; i < 2000; ++i) {
        const at::Tensor x = at::full({64 + i % 100}, t, at::kInt);
        wrong[t] += static_cast<int>(x[63].item<int>() != t);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST_F(Allocator, AnEmptyTensorTakesNoMemory) {
  const AllocatorCounts before = allocator_counts();
  EXPECT_EQ(at::empty({0, 5}, at::kFloat).numel(), 0);
  EXPECT_EQ(allocator_counts().bytes_in_use, before.bytes_in_use);
}

}  // namespace
}  // namespace moelora::kernels
