#include <ATen/ops/empty.h>

#include "core/error.h"
#include "kernels/levels.h"
#include "kernels/supervised_cross_entropy.h"
#include "support/gradcheck.h"

namespace moelora::kernels {
namespace {

using test::expect_gradients;
using test::max_difference;
using test::random_tensor;
using test::relative_difference;

at::Tensor random_targets(int64_t rows, int64_t classes) {
  at::Tensor targets = at::empty({rows}, at::kLong);
  Random random(9, RandomStream::kData);
  for (int64_t i = 0; i < rows; ++i)
    targets.mutable_data_ptr<int64_t>()[i] = static_cast<int64_t>(random.below(classes));
  return targets;
}

/// nll [K] in float64 out of the full logits.
at::Tensor oracle(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets, double softcap) {
  at::Tensor logits = hidden.matmul(head.t());
  if (softcap > 0) logits = logits.div(softcap).tanh().mul(softcap);
  return logits.logsumexp({1}).sub(logits.gather(1, targets.unsqueeze(1)).squeeze(1));
}

class CrossEntropyTest : public EveryLevel {};

TEST_P(CrossEntropyTest, GradientsOfHiddenAndHeadMatchCentralDifferences) {
  const at::Tensor targets = random_targets(7, 13), weights = random_tensor({7}, 3).abs();
  for (const double softcap : {0.0, 1.5}) {
    for (const int64_t chunk_bytes :
         {int64_t{1}, int64_t{3 * 13 * 8}, int64_t{1} << 20}) {  // one row, three, all at once
      expect_gradients(
          [&](const auto& in) {
            return std::vector<at::Tensor>{supervised_cross_entropy(in[0], in[1], targets, weights,
                                                                    {.softcap = softcap, .chunk_bytes = chunk_bytes})
                                               .loss};
          },
          {random_tensor({7, 5}, 1), random_tensor({13, 5}, 2)});
    }
  }
}

TEST_P(CrossEntropyTest, LossesAndGradientsAreCloseToFloat64InEveryDtypeAndShape) {
  for (const auto& [rows, width, classes] :
       std::vector<std::array<int64_t, 3>>{{1, 1, 1}, {1, 3, 2}, {9, 17, 33}, {40, 64, 5003}}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      for (const double softcap : {0.0, 4.0}) {
        at::Tensor hidden = random_tensor({rows, width}, 1).to(type).set_requires_grad(true);
        at::Tensor head = random_tensor({classes, width}, 2, 0.3).to(type).set_requires_grad(true);
        at::Tensor wide_hidden = hidden.detach().to(at::kDouble).set_requires_grad(true);
        at::Tensor wide_head = head.detach().to(at::kDouble).set_requires_grad(true);
        const at::Tensor targets = random_targets(rows, classes),
                         weights = random_tensor({rows}, 3).abs().to(at::kFloat);
        const SupervisedLoss found = supervised_cross_entropy(hidden, head, targets, weights,
                                                              {.softcap = softcap, .chunk_bytes = 7 * classes * 4});
        const at::Tensor row_loss = oracle(wide_hidden, wide_head, targets, softcap),
                         loss = row_loss.mul(weights).sum();
        EXPECT_EQ(found.loss.scalar_type(), at::kFloat);
        EXPECT_EQ(found.row_loss.scalar_type(), at::kFloat);
        EXPECT_FALSE(found.row_loss.requires_grad());
        // bf16 logits: half a unit in the last of 8 bits of values up to 16.
        const double tolerance = type == at::kBFloat16 ? 0.04 : 2e-5;
        EXPECT_LE(max_difference(found.row_loss, row_loss), tolerance);
        const auto gradients = torch::autograd::grad({found.loss.mul(3)}, {hidden, head});  // scaled in backward
        const auto exact = torch::autograd::grad({loss.mul(3)}, {wide_hidden, wide_head});
        if (classes == 1) continue;  // exactly 0 but for rounding
        for (int i = 0; i < 2; ++i)
          EXPECT_LE(relative_difference(gradients[i], exact[i]), type == at::kBFloat16 ? 0.03 : 1e-5);
      }
    }
  }
}

TEST_P(CrossEntropyTest, NoRowsGiveLossZeroAndZeroHeadGradient) {
  at::Tensor hidden = random_tensor({0, 6}, 1).to(at::kFloat).set_requires_grad(true);
  at::Tensor head = random_tensor({4, 6}, 2).to(at::kFloat).set_requires_grad(true);
  const SupervisedLoss found = supervised_cross_entropy(hidden, head, random_targets(0, 4), at::empty({0}, at::kFloat));
  EXPECT_EQ(found.loss.item<float>(), 0);
  const auto gradients = torch::autograd::grad({found.loss}, {hidden, head});
  EXPECT_EQ(gradients[1].abs().max().item<float>(), 0);
}

TEST_P(CrossEntropyTest, LogitsFarApartAndNanBehave) {
  at::Tensor hidden = random_tensor({1, 1}, 1).to(at::kFloat), head = random_tensor({600, 1}, 2).to(at::kFloat);
  hidden.fill_(1);
  head.fill_(-1e30);
  head.mutable_data_ptr<float>()[599] = 1e30f;
  at::Tensor targets = at::empty({1}, at::kLong).fill_(599), weights = at::empty({1}, at::kFloat).fill_(1);
  EXPECT_EQ(supervised_cross_entropy(hidden, head, targets, weights).loss.item<float>(), 0);
  head.mutable_data_ptr<float>()[3] = NAN;
  EXPECT_TRUE(std::isnan(supervised_cross_entropy(hidden, head, targets, weights).loss.item<float>()));
}

TEST_P(CrossEntropyTest, AFrozenHeadGetsNoGradientAndBackwardTwiceGivesTheSame) {
  at::Tensor hidden = random_tensor({5, 6}, 1).to(at::kFloat).set_requires_grad(true);
  const at::Tensor head = random_tensor({9, 6}, 2).to(at::kFloat), weights = random_tensor({5}, 3).to(at::kFloat);
  const SupervisedLoss found = supervised_cross_entropy(hidden, head, random_targets(5, 9), weights);
  const at::Tensor loss = found.loss.mul(2);
  const at::Tensor first = torch::autograd::grad({loss}, {hidden}, {}, true)[0];
  EXPECT_TRUE(first.equal(torch::autograd::grad({loss}, {hidden})[0]));
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(supervised_cross_entropy(hidden, head, random_targets(5, 9), weights).loss.requires_grad());
}

TEST(CrossEntropyErrors, ATargetOutsideTheVocabularyNamesItsRow) {
  const at::Tensor hidden = random_tensor({3, 2}, 1), head = random_tensor({4, 2}, 2), weights = random_tensor({3}, 3);
  at::Tensor targets = random_targets(3, 4);
  for (const int64_t wrong : {int64_t{4}, int64_t{-100}}) {
    targets.mutable_data_ptr<int64_t>()[2] = wrong;
    try {
      supervised_cross_entropy(hidden, head, targets, weights);
      FAIL() << "accepted target " << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      EXPECT_NE(std::string(error.what()).find("row 2"), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(std::to_string(wrong)), std::string::npos) << error.what();
    }
  }
}

MOELORA_EVERY_LEVEL(CrossEntropyTest);

}  // namespace
}  // namespace moelora::kernels
