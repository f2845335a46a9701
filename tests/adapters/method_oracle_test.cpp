// Every method through AdapterSet, group of linears by group, against its equation evaluated expert by expert in
// float64: outputs, and the gradients of every A, B, gate, embedding, table and of x. Computed in float64 to rounding
// (but for `uniform`), and in float32 as training does.
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "adapters/adapter_set.h"
#include "support/fixture.h"
#include "support/gradcheck.h"
#include "support/methods.h"
#include "support/mixture.h"

namespace moelora::adapters {
namespace {

using moelora::testing::MethodCase;
using moelora::testing::Mixture;
using testing::load_decoder;
using testing::relative_difference;

struct Form {
  bool grouped = false;
  std::vector<std::string> targets = {"all-linear"};
  at::ScalarType dtype = at::kDouble;
};

class MethodOracle : public ::testing::TestWithParam<MethodCase> {
 protected:
  config::AdapterConfig config(const Form& form) const {
    config::AdapterConfig config{
        .rank = 8, .alpha = 20, .experts = 4, .targets = form.targets, .gate = {.embedding_size = 6}};
    GetParam().apply_to(config);
    return config;
  }

  TaskList tasks(const Form& form) const {
    TaskList tasks{.names = {"a", "b", "c", "d"}};
    if (form.grouped) tasks.groups = {0, 1, 0, 2};
    if (GetParam().own_steps) tasks.snapshots = {0, 1, 0, 1};
    return tasks;
  }

  /// float32 numbers: the same for both dtypes. Tables of the methods made of runs as those make them; lorahub's, the
  /// identity too, stands for any table.
  std::vector<NamedTensor> values(const AdapterSet& adapters, const TaskList& tasks) const {
    std::vector<NamedTensor> values;
    for (const auto& [name, master] : adapters.parameters()) {
      at::Tensor value = test::random_tensor(master.sizes().vec(), 1 + values.size(), 0.5).to(at::kFloat);
      if (name == "expert_weights" && GetParam().method == config::Method::kTaskArithmetic) value.fill_(0.3);
      if (name == "expert_weights" && GetParam().method == config::Method::kLoraPerTask) {
        value.fill_(0);
        for (int64_t t = 0; t < tasks.size(); ++t) value[t][tasks.groups.empty() ? t : tasks.groups[t]].fill_(1);
      }
      values.emplace_back(name, value);
    }
    return values;
  }

  void expect_the_equation(const Form& form) const;
};

void MethodOracle::expect_the_equation(const Form& form) const {
  const bool wide = form.dtype == at::kDouble;
  const double tolerance = wide ? 1e-12 : 5e-6;
  nn::Decoder decoder = load_decoder("qwen2/f32", form.dtype);
  AdapterSet adapters(decoder, config(form), tasks(form), /*seed=*/1);
  const std::vector<NamedTensor> given = values(adapters, tasks(form));
  adapters.load(given);
  if (wide) {
    for (const NamedTensor& master : adapters.parameters())
      testing::set_value(master, master.second.detach().to(at::kDouble));
    adapters.refresh();
  }
  const Mixture oracle(config(form), tasks(form), given);

  const std::vector<int64_t> cu_seqlens = {0, 3, 4, 9, 11, 18}, sample_tasks = {2, 0, 3, 1, 2};
  const auto rows = adapters.rows({.cu_seqlens = cu_seqlens, .tasks = sample_tasks});
  std::vector<at::Tensor> xs, oracle_xs, ys, oracle_ys, dys, oracle_dys;
  decoder.for_each_projection([&](std::unique_ptr<nn::Projection>& projection) {
    if (dynamic_cast<AdaptedProjection*>(projection.get()) == nullptr) return;
    const int64_t in = projection->members().front().base->in_features();
    const at::Tensor x = test::random_tensor({cu_seqlens.back(), in}, 100 + xs.size()).to(at::kFloat);
    xs.push_back(x.to(form.dtype, /*non_blocking=*/false, /*copy=*/true).requires_grad_(true));
    oracle_xs.push_back(x.to(at::kDouble).requires_grad_(true));
    const std::vector<at::Tensor> y = projection->forward(xs.back(), rows.get());
    std::vector<at::Tensor> without_gradient;
    {
      const at::NoGradGuard no_grad;
      without_gradient = projection->forward(xs.back().detach(), rows.get());
    }
    for (size_t i = 0; i < y.size(); ++i) {
      const nn::Member& member = projection->members()[i];
      at::Tensor expected = at::mm(oracle_xs.back(), member.base->dense_weight().to(at::kDouble).t());
      if (member.base->bias().defined()) expected = expected.add(member.base->bias().to(at::kDouble));
      std::vector<at::Tensor> updates;
      for (size_t s = 0; s < sample_tasks.size() && oracle.adapts(member.path); ++s) {
        const at::Tensor sample = oracle_xs.back().narrow(0, cu_seqlens[s], cu_seqlens[s + 1] - cu_seqlens[s]);
        updates.push_back(oracle.update(member.path, sample_tasks[s], sample));
      }
      if (!updates.empty()) {
        const at::Tensor update = at::cat(updates, 0);
        EXPECT_GT(relative_difference(expected.add(update), expected), 0.1) << member.path << " isn't adapted";
        expected = expected.add(update);
      }
      EXPECT_LT(relative_difference(y[i], expected), tolerance) << member.path;
      EXPECT_LT(relative_difference(without_gradient[i], expected), tolerance) << member.path << ", without gradient";
      ys.push_back(y[i]);
      oracle_ys.push_back(expected);
      const at::Tensor dy = test::random_tensor(y[i].sizes().vec(), 200 + ys.size()).to(at::kFloat);
      dys.push_back(dy.to(form.dtype));
      oracle_dys.push_back(dy.to(at::kDouble));
    }
  });
  torch::autograd::backward(ys, dys);
  torch::autograd::backward(oracle_ys, oracle_dys);
  for (size_t i = 0; i < xs.size(); ++i) {
    EXPECT_LT(relative_difference(xs[i].grad(), oracle_xs[i].grad()), tolerance) << "x of group " << i;
  }
  for (const auto& [name, master] : adapters.parameters()) {
    const at::Tensor expected = oracle.gradient(name);
    EXPECT_LT(relative_difference(master.grad(), expected), tolerance) << name;
    EXPECT_GT(expected.abs().max().item<double>(), 0) << name << " has no part in the outputs";
  }
}

TEST_P(MethodOracle, OutputsAndEveryGradientEqualTheEquation) {
  for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
    // Its 1 / N is a float32 tensor, which products in float64 refuse.
    if (GetParam().name == "uniform" && dtype == at::kDouble) continue;
    SCOPED_TRACE(at::toString(dtype));
    expect_the_equation({.dtype = dtype});
    expect_the_equation({.grouped = true, .targets = {"q_proj", "v_proj", "up_proj"}, .dtype = dtype});
  }
}

TEST(Methods, AreAllInTheListThatTestsGoThrough) {
  for (const config::MethodTraits& method : config::kMethods) {
    if (method.trains == config::Trains::kBase) continue;
    const bool is_there = std::ranges::any_of(moelora::testing::kMethods, [&](const MethodCase& tested) {
      return config::traits(tested.method).name == method.name;
    });
    EXPECT_TRUE(is_there) << method.name << " isn't in tests/support/methods.h";
  }
}

INSTANTIATE_TEST_SUITE_P(All, MethodOracle, ::testing::ValuesIn(moelora::testing::methods_and_own_steps()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace moelora::adapters
