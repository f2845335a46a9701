// An adapter by its method's equation (docs/moelora.md), in float64 and expert by expert: nothing is stacked, so that
// it shares no arrangement with AdapterSet, and gradients are autograd's.
//
//   (alpha / r) * sum_n w[t,n] B_n A_n x
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "adapters/mixer.h"
#include "adapters/task_list.h"
#include "config/method.h"
#include "core/error.h"
#include "support/adapter_layout.h"

namespace moelora::testing {

class Mixture {
 public:
  /// `masters`: names and values as AdapterSet::parameters() has them.
  Mixture(const config::AdapterConfig& config, adapters::TaskList tasks, std::span<const adapters::NamedTensor> masters)
      : config_(config), tasks_(std::move(tasks)) {
    for (const auto& [name, master] : masters) {
      const at::Tensor value = master.detach().to(at::kDouble);
      const int64_t experts = expert_count();
      if (name.ends_with(".lora_B")) {
        Experts& own = linears_[name.substr(0, name.rfind('.'))];
        for (const at::Tensor& b : value.chunk(experts, /*dim=*/1)) own.b.push_back(leaf(b));
      } else if (is_stack(name)) {
        const std::vector<std::string> paths = member_paths(name);
        const std::vector<at::Tensor> members = value.chunk(static_cast<int64_t>(paths.size()), /*dim=*/0);
        for (size_t i = 0; i < paths.size(); ++i) {
          for (const at::Tensor& a : members[i].chunk(experts, /*dim=*/0)) linears_[paths[i]].a.push_back(leaf(a));
        }
      } else {
        others_[name] = leaf(value);
      }
    }
  }

  bool adapts(const std::string& path) const { return linears_.contains(path); }

  /// x [T, in], rows of one task -> [T, out].
  at::Tensor update(const std::string& path, int64_t task, const at::Tensor& x) const {
    const Experts& experts = linears_.at(path);
    at::Tensor sum;
    for (size_t n = 0; n < experts.a.size(); ++n) {
      const at::Tensor one = at::mm(at::mm(x, experts.a[n].t()), experts.b[n].t()).mul(weight(path, task, n, x));
      sum = sum.defined() ? sum.add(one) : one;
    }
    return sum.mul(config_.alpha / static_cast<double>(config_.rank));
  }

  /// The same as a matrix [out, in], what a task adds to the linear's weight.
  at::Tensor weight_update(const std::string& path, int64_t task) const {
    const int64_t in = linears_.at(path).a.front().size(1);
    return update(path, task, at::eye(in, at::kDouble)).t();
  }

  /// The gradient of a master, in its own layout.
  at::Tensor gradient(const std::string& master) const {
    std::vector<at::Tensor> parts;
    const auto add = [&](const at::Tensor& one) {
      parts.push_back(one.grad().defined() ? one.grad() : at::zeros_like(one));
    };
    if (master.ends_with(".lora_B")) {
      for (const at::Tensor& b : linears_.at(master.substr(0, master.rfind('.'))).b) add(b);
      return at::cat(parts, /*dim=*/1);
    }
    if (is_stack(master)) {
      for (const std::string& path : member_paths(master)) {
        for (const at::Tensor& a : linears_.at(path).a) add(a);
      }
    } else {
      add(others_.at(master));
    }
    return at::cat(parts, /*dim=*/0);
  }

 private:
  struct Experts {
    std::vector<at::Tensor> a, b;  // [r / N, in] and [out, r / N] each, leaves
  };

  static at::Tensor leaf(const at::Tensor& value) { return value.clone().requires_grad_(true); }

  /// N of one set of experts.
  int64_t experts_a_step() const { return config::mixes_experts(config_.method) ? config_.experts : 1; }

  int64_t expert_count() const {
    if (config::is_made_of_runs(config_.method)) return tasks_.group_count();
    return experts_a_step() * tasks_.snapshot_count();
  }

  /// softmax(gate input), [N, d] and rows [K, d] -> expert n's of each row [K, 1], times N for `mean_one`.
  at::Tensor softmax_weight(const at::Tensor& gate, const at::Tensor& input, size_t n) const {
    at::Tensor total;
    for (int64_t each = 0; each < gate.size(0); ++each) {
      const at::Tensor one = at::mm(input, gate[each].unsqueeze(1)).exp();
      total = total.defined() ? total.add(one) : one;
    }
    const at::Tensor own = at::mm(input, gate[static_cast<int64_t>(n)].unsqueeze(1)).exp().div(total);
    return config_.gate.normalise == config::GateNormalise::kMeanOne ? own.mul(gate.size(0)) : own;
  }

  /// w[t,n] of the linear: [1, 1], or [T, 1] of a gate that sees the rows.
  at::Tensor weight(const std::string& path, int64_t task, size_t n, const at::Tensor& x) const {
    const auto expert = static_cast<int64_t>(n);
    const at::Tensor one = at::ones({1, 1}, at::kDouble);
    if (!tasks_.snapshots.empty()) {
      if (expert / experts_a_step() != tasks_.snapshots[task]) return one.mul(0);
      const std::string own = config::has_gate_per_layer(config_) ? path + "." : "";
      return others_.at(own + "expert_weights")[task][expert % experts_a_step()].view({1, 1});
    }
    switch (config_.method) {
      case config::Method::kLora:
      case config::Method::kLoraTaskPrompt:
        return one;
      case config::Method::kUniform:
        return one.div(config_.experts);
      case config::Method::kLoraPerTask:
      case config::Method::kLoraHub:
      case config::Method::kTaskArithmetic:
        return others_.at("expert_weights")[task][expert].view({1, 1});
      case config::Method::kMolora:
        return softmax_weight(others_.at(path + ".gate"), x, n);
      case config::Method::kMoelora: {
        const std::string own = config::has_gate_per_layer(config_) ? path + "." : "";
        const int64_t group = tasks_.groups.empty() ? task : tasks_.groups[task];
        return softmax_weight(others_.at(own + "gate"), others_.at("task_embedding")[group].unsqueeze(0), n);
      }
      case config::Method::kFull:
        break;
    }
    throw Error(ErrorKind::kInternal, {.where = "Mixture", .problem = "a method without adapters"});
  }

  config::AdapterConfig config_;
  adapters::TaskList tasks_;
  std::map<std::string, Experts> linears_;    // by path
  std::map<std::string, at::Tensor> others_;  // embedding, gates and tables by their masters' names, leaves
};

}  // namespace moelora::testing
