// Decoding's path through a projection: few rows, base and adapters in one loop, against the method's equation in
// float64 and against the path that training takes.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "adapters/adapted_projection.h"
#include "support/gradcheck.h"

namespace moelora::adapters {
namespace {

using test::max_difference;
using test::next_random_tensor;

constexpr int64_t kIn = 96, kRank = 8, kExperts = 2;
constexpr double kScale = 2;

struct FewRowsProjection : ::testing::TestWithParam<at::ScalarType> {
  FewRowsProjection() {
    const auto linear = [&](const std::string& path, int64_t out) {
      const auto of = [&](const std::string& name, std::vector<int64_t> sizes) {
        return std::make_shared<nn::Weight>(path + name, next_random_tensor(std::move(sizes), GetParam()));
      };
      return nn::Member{path, std::make_shared<nn::PlainLinear>(of(".weight", {out, kIn}), of(".bias", {out}))};
    };
    const auto mixer = std::make_shared<UniformMixer>(kRank, kExperts);
    projection =
        std::make_unique<AdaptedProjection>(std::make_unique<nn::BaseProjection>(std::vector{
                                                linear("q_proj", 70), linear("k_proj", 5), linear("v_proj", 33)}),
                                            std::vector<std::shared_ptr<const Mixer>>{mixer, nullptr, mixer},
                                            ExpertOptions{.rank = kRank, .scale = kScale, .seed = 3}, GetParam());
    change_b();
  }

  void change_b() {
    const at::NoGradGuard no_grad;
    for (const MemberAdapter& adapter : projection->adapters()) {
      at::Tensor b = adapter.b;
      b.copy_(next_random_tensor(b.sizes().vec(), at::kFloat));
    }
    projection->refresh();
  }

  std::vector<at::Tensor> decoded(const at::Tensor& x) const {
    const at::NoGradGuard no_grad;
    return projection->forward(x, &rows);
  }

  /// In float64, from the masters as the compute dtype has them.
  std::vector<at::Tensor> expected(const at::Tensor& x) const {
    const auto wide = [](const at::Tensor& value) { return value.detach().to(GetParam()).to(at::kDouble); };
    std::vector<at::Tensor> y;
    for (const nn::Member& member : projection->members()) {
      y.push_back(at::linear(wide(x), wide(member.base->dense_weight()), wide(member.base->bias())));
    }
    for (const MemberAdapter& adapter : projection->adapters()) {
      const at::Tensor z = at::linear(wide(x), wide(adapter.a));
      y[adapter.member].add_(at::linear(z.mul(kScale / kExperts), wide(adapter.b)));
    }
    return y;
  }

  const std::vector<int64_t> cu_seqlens = {0, 2, 5}, tasks = {1, 0};
  const TaskRows rows{PackedTasks{.cu_seqlens = cu_seqlens, .tasks = tasks}};
  std::unique_ptr<AdaptedProjection> projection;
};

TEST_P(FewRowsProjection, EqualsTheEquationAlsoAfterTheAdaptersHaveChanged) {
  const at::Tensor x = next_random_tensor({5, kIn}, GetParam());
  const double tolerance = GetParam() == at::kBFloat16 ? 0.3 : 1e-4;  // of values up to some 60
  for (int i = 0; i < 2; ++i, change_b()) {
    const std::vector<at::Tensor> y = decoded(x), wanted = expected(x);
    ASSERT_EQ(y.size(), 3u);
    for (size_t m = 0; m < 3; ++m) EXPECT_LE(max_difference(y[m], wanted[m]), tolerance) << m;
  }
}

TEST_P(FewRowsProjection, HasTheBitsOfThePathThatGradientsTake) {
  const at::Tensor x = next_random_tensor({5, kIn}, GetParam());
  const std::vector<at::Tensor> y = decoded(x), trained = projection->forward(x.detach().requires_grad_(true), &rows);
  for (size_t m = 0; m < 3; ++m) {
    EXPECT_TRUE(trained[m].requires_grad());
    EXPECT_TRUE(trained[m].equal(y[m])) << m;
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes, FewRowsProjection, ::testing::Values(at::kBFloat16, at::kFloat));

}  // namespace
}  // namespace moelora::adapters
