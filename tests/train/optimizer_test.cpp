// AdamW against its equations (Loshchilov and Hutter, 2019, algorithm 2) in float64.
#include "train/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "support/gradcheck.h"

namespace moelora::train {
namespace {

at::Tensor leaf(std::vector<int64_t> shape, uint64_t seed) {
  return test::random_tensor(std::move(shape), seed).to(at::kFloat).set_requires_grad(true);
}

void set_gradient(at::Tensor parameter, uint64_t seed) {
  parameter.mutable_grad() = test::random_tensor(parameter.sizes().vec(), seed).to(at::kFloat);
}

struct Reference {
  std::vector<double> value, m, v;
  explicit Reference(const at::Tensor& start) : m(start.numel()), v(start.numel()) {
    const at::Tensor flat = start.detach().contiguous();
    value.assign(flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel());
  }
  void step(const at::Tensor& gradient, int64_t t, double rate, const AdamWOptions& o) {
    const float* g = gradient.const_data_ptr<float>();
    for (size_t i = 0; i < value.size(); ++i) {
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g[i];
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g[i] * g[i];
      const double m_hat = m[i] / (1 - std::pow(o.beta1, t)), v_hat = v[i] / (1 - std::pow(o.beta2, t));
      value[i] -= rate * (m_hat / (std::sqrt(v_hat) + o.epsilon) + o.weight_decay * value[i]);
    }
  }
};

TEST(AdamW, FollowsItsEquationsOverManyStepsWithDecayAndChangingRates) {
  const AdamWOptions options{.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6, .weight_decay = 0.1};
  std::vector<at::Tensor> leaves = {leaf({3, 5}, 1), leaf({7}, 2)};
  std::vector<Reference> references(leaves.begin(), leaves.end());
  AdamW optimizer({{"a", leaves[0]}, {"b", leaves[1]}}, options);
  for (int64_t t = 1; t <= 30; ++t) {
    const double rate = 0.02 / static_cast<double>(t);
    for (size_t i = 0; i < leaves.size(); ++i) {
      set_gradient(leaves[i], 100 * i + t);
      references[i].step(leaves[i].grad(), t, rate, options);
    }
    optimizer.step(rate);
  }
  EXPECT_EQ(optimizer.steps_taken(), 30);
  for (size_t i = 0; i < leaves.size(); ++i) {
    for (size_t k = 0; k < references[i].value.size(); ++k) {
      EXPECT_NEAR(leaves[i].const_data_ptr<float>()[k], references[i].value[k], 2e-6);
    }
  }
}

TEST(AdamW, LeavesAParameterWithoutAGradientAlone) {
  const at::Tensor used = leaf({4}, 1), unused = leaf({4}, 2);
  const at::Tensor before = unused.detach().clone();
  AdamW optimizer({{"used", used}, {"unused", unused}}, {.weight_decay = 0.5});
  set_gradient(used, 3);
  optimizer.step(0.1);
  EXPECT_TRUE(unused.equal(before));
}

TEST(AdamW, TakesItsNormOverAllGradientsAndScalesThem) {
  const at::Tensor a = leaf({2}, 1), b = leaf({1}, 2);
  at::Tensor mutable_a = a, mutable_b = b;
  mutable_a.mutable_grad() = at::full({2}, 2.0, at::kFloat);
  mutable_b.mutable_grad() = at::full({1}, 1.0, at::kFloat);
  AdamW optimizer({{"a", a}, {"b", b}}, {});
  EXPECT_NEAR(optimizer.gradient_norm(), 3.0, 1e-6);
  optimizer.scale_gradients(0.5);
  EXPECT_NEAR(optimizer.gradient_norm(), 1.5, 1e-6);
  optimizer.zero_gradients();
  EXPECT_EQ(optimizer.gradient_norm(), 0.0);
}

TEST(AdamW, NamesTheParametersWhoseGradientIsNotFinite) {
  at::Tensor a = leaf({2}, 1), b = leaf({2}, 2);
  AdamW optimizer({{"good", a}, {"bad", b}}, {});
  set_gradient(a, 3);
  b.mutable_grad() = at::full({2}, std::numeric_limits<float>::infinity(), at::kFloat);
  EXPECT_THAT(optimizer.non_finite_gradients(), ::testing::ElementsAre("bad"));
  EXPECT_FALSE(std::isfinite(optimizer.gradient_norm()));
}

TEST(AdamW, GoesOnFromItsStateToTheBit) {
  const at::Tensor whole = leaf({6}, 1), halves = leaf({6}, 1);
  AdamW one({{"p", whole}}, {}), first({{"p", halves}}, {});
  for (int t = 1; t <= 6; ++t) {
    set_gradient(whole, t);
    one.step(0.01);
  }
  for (int t = 1; t <= 3; ++t) {
    set_gradient(halves, t);
    first.step(0.01);
  }
  AdamW second({{"p", halves}}, {});
  second.load_state(first.state(), first.steps_taken());
  for (int t = 4; t <= 6; ++t) {
    set_gradient(halves, t);
    second.step(0.01);
  }
  EXPECT_TRUE(whole.equal(halves));
}

TEST(AdamW, NamesWhatIsMissingOrMisshapenInAState) {
  AdamW own({{"p", leaf({6}, 1)}}, {}), other({{"q", leaf({6}, 1)}}, {}), smaller({{"p", leaf({5}, 1)}}, {});
  for (const AdamW* from : {&other, &smaller}) {
    try {
      own.load_state(from->state(), 1);
      ADD_FAILURE() << "a wrong state was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kModel);
      EXPECT_THAT(error.what(), ::testing::HasSubstr("exp_avg.p"));
    }
  }
  EXPECT_EQ(own.steps_taken(), 0);
}

}  // namespace
}  // namespace moelora::train
