// What the decoder calls where a model has linears: rows in, one output for each linear that shares that input (q, k,
// v; gate, up). A group, so that whoever adapts it can serve all its members with one product. BaseProjection is the
// base model alone; adapters::AdaptedProjection wraps one.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/few_rows.h"
#include "nn/base_linear.h"
#include "nn/row_context.h"

namespace moelora::nn {

/// One linear of a group, by its Hugging Face module path ("model.layers.0.self_attn.q_proj").
struct Member {
  std::string path;
  std::shared_ptr<BaseLinear> base;

  /// The last part of the path ("q_proj").
  std::string short_name() const { return path.substr(path.rfind('.') + 1); }
};

class Projection {
 public:
  virtual ~Projection() = default;

  /// x [T, in] -> one [T, out_i] a member, in order. Differentiable. `context` may be null where nothing wraps the
  /// projection.
  virtual std::vector<at::Tensor> forward(const at::Tensor& x, const RowContext* context) const = 0;

  virtual const std::vector<Member>& members() const = 0;

  /// Takes up what became of its weights: to be called whenever they have changed.
  virtual void refresh() = 0;
};

/// The members' weights and biases, each with no adapter; empty where a member's form has products of its own for few
/// rows, or is trained.
std::vector<kernels::FewRowsLinear> few_rows_linears(const std::vector<Member>& members);

class BaseProjection : public Projection {
 public:
  explicit BaseProjection(std::vector<Member> members) : members_(std::move(members)) { refresh(); }

  std::vector<at::Tensor> forward(const at::Tensor& x, const RowContext* context) const override;
  const std::vector<Member>& members() const override { return members_; }
  void refresh() override;

 private:
  std::vector<Member> members_;
  bool trained_ = false;
  std::optional<kernels::FewRowsGroup> few_rows_;
};

}  // namespace moelora::nn
