#include "kernels/dropout.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>

#include "core/error.h"
#include "core/random.h"
#include "kernels/levels.h"
#include "support/gradcheck.h"

namespace moelora::kernels {
namespace {

using test::expect_gradients;
using test::max_difference;
using test::random_tensor;

at::Tensor numbers(std::vector<int64_t> values) {
  at::Tensor x = at::arange(static_cast<int64_t>(values.size()), at::kLong);
  std::copy(values.begin(), values.end(), x.mutable_data_ptr<int64_t>());
  return x;
}

/// Whether the element is kept, from core's scalar generator and the header's definition of the draw.
bool kept(const DropoutKey& key, int64_t sample, int64_t position, int64_t column) {
  const std::array<uint32_t, 2> words{
      static_cast<uint32_t>(key.seed) ^ (key.module * 0x9E3779B1u),
      static_cast<uint32_t>(key.seed >> 32) ^ (static_cast<uint32_t>(RandomStream::kDropout) * 0x85EBCA6Bu)};
  const auto block =
      philox4x32(words, {static_cast<uint32_t>(column / 64 * 16 + column % 16), static_cast<uint32_t>(position),
                         static_cast<uint32_t>(sample), static_cast<uint32_t>(static_cast<uint64_t>(sample) >> 32)});
  return block[column % 64 / 16] >= key.p * 4294967296.0;
}

class DropoutTest : public EveryLevel {};

TEST_P(DropoutTest, EveryElementFollowsTheDefinedDraw) {
  const DropoutKey key{.p = 0.3, .seed = 0x123456789abcdefull, .module = 17};
  const std::vector<int64_t> samples{0, 5, (int64_t{1} << 40) + 3}, positions{0, 12, 4000};
  for (const int64_t width : {1, 15, 64, 65, 200}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
      const at::Tensor y =
          counter_dropout(at::ones({3, width}, type), key, numbers(samples), numbers(positions)).to(at::kDouble);
      for (int64_t row = 0; row < 3; ++row) {
        for (int64_t column = 0; column < width; ++column) {
          const double expected = kept(key, samples[row], positions[row], column) ? 1 / 0.7 : 0;
          ASSERT_NEAR(y.const_data_ptr<double>()[row * width + column], expected, type == at::kBFloat16 ? 0.006 : 1e-6);
        }
      }
    }
  }
}

TEST_P(DropoutTest, GradientAppliesTheSameMask) {
  const DropoutKey key{.p = 0.4, .seed = 3, .module = 2};
  expect_gradients(
      [&](const auto& in) {
        return std::vector<at::Tensor>{counter_dropout(in[0], key, numbers({4, 4, 9}), numbers({0, 1, 0}))};
      },
      {random_tensor({3, 70}, 1)});
}

TEST_P(DropoutTest, OneDrawServesBothSidesOfABackward) {
  const DropoutKey key{.p = 0.4, .seed = 3, .module = 2};
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kBFloat16}) {
    for (const int64_t width : {1, 63, 300}) {
      const at::Tensor x = random_tensor({3, width}, 1).to(type), dy = random_tensor({3, width}, 2).to(type);
      const at::Tensor dx = random_tensor({3, width}, 3).to(type), samples = numbers({4, 4, 9});
      const at::Tensor positions = numbers({0, 1, 0});
      const at::Tensor expected =
          dx.to(at::kDouble).add(counter_dropout_raw(dy.to(at::kDouble), key, samples, positions));
      const at::Tensor y = counter_dropout_backward(x, dy, dx, key, samples, positions);
      EXPECT_TRUE(y.equal(counter_dropout_raw(x, key, samples, positions)));
      EXPECT_LT(max_difference(dx.to(at::kDouble), expected),
                type == at::kBFloat16 ? 0.02 : (type == at::kFloat ? 1e-6 : 1e-7));
    }
  }
  EXPECT_THROW(counter_dropout_backward(random_tensor({2, 4}, 1), random_tensor({2, 3}, 1), random_tensor({2, 4}, 1),
                                        key, numbers({1, 2}), numbers({0, 0})),
               Error);
}

TEST_P(DropoutTest, PackingDoesNotChangeARow) {
  const DropoutKey key{.p = 0.5, .seed = 3, .module = 2};
  const at::Tensor x = random_tensor({3, 33}, 1);
  const at::Tensor together = counter_dropout(x, key, numbers({7, 7, 8}), numbers({0, 1, 0}));
  const at::Tensor alone = counter_dropout(x.narrow(0, 1, 1), key, numbers({7}), numbers({1}));
  EXPECT_TRUE(alone.equal(together.narrow(0, 1, 1)));
}

TEST_P(DropoutTest, TheShareDroppedIsPAndDiffersBySeedModuleSampleAndPosition) {
  const int64_t rows = 64, width = 1024;
  const at::Tensor x = at::ones({rows, width}, at::kFloat), position = at::arange(rows, at::kLong);
  const at::Tensor sample = at::arange(rows, at::kLong).div(8, "floor");
  const DropoutKey key{.p = 0.1, .seed = 11, .module = 1};
  const at::Tensor base = counter_dropout(x, key, sample, position);
  // 65,536 draws: five standard deviations of the mean are 0.0059.
  EXPECT_NEAR(base.eq(0).to(at::kDouble).mean().item<double>(), 0.1, 0.0059);
  const std::vector<at::Tensor> others{counter_dropout(x, {.p = 0.1, .seed = 12, .module = 1}, sample, position),
                                       counter_dropout(x, {.p = 0.1, .seed = 11, .module = 2}, sample, position),
                                       counter_dropout(x, key, sample.add(100), position),
                                       counter_dropout(x, key, sample, position.add(100))};
  for (const at::Tensor& other : others) {  // independent masks agree on being dropped in 0.01 of the places
    EXPECT_NEAR(base.eq(0).logical_and(other.eq(0)).to(at::kDouble).mean().item<double>(), 0.01, 0.002);
  }
}

TEST_P(DropoutTest, EmptyAndNonFiniteInputsAndPZero) {
  const DropoutKey key{.p = 0.5, .seed = 3, .module = 2};
  EXPECT_EQ(counter_dropout(random_tensor({0, 5}, 1), key, numbers({}), numbers({})).size(0), 0);
  const at::Tensor infinite = at::ones({1, 64}, at::kFloat).mul(INFINITY);
  EXPECT_FALSE(counter_dropout(infinite, key, numbers({1}), numbers({1})).isnan().any().item<bool>());
  const at::Tensor x = random_tensor({2, 5}, 1);
  EXPECT_TRUE(counter_dropout(x, {}, numbers({1, 2}), numbers({0, 0})).is_same(x));
}

TEST(DropoutErrors, AProbabilityOutOfRangeIsRefused) {
  const at::Tensor x = random_tensor({1, 4}, 1);
  for (const double p : {1.0, -0.1, std::nan("")}) {
    EXPECT_THROW(counter_dropout(x, {.p = p, .seed = 1, .module = 0}, numbers({1}), numbers({1})), Error);
  }
}

MOELORA_EVERY_LEVEL(DropoutTest);

}  // namespace
}  // namespace moelora::kernels
