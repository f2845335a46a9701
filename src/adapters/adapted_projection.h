// A projection with stacked experts beside its frozen linears:
//
//   y_i = W_i x + b_i + (alpha / r) * ((D(x) A_i^T) ⊙ m_i) B_i^T          A_i [R, in], B_i [out_i, R], m_i [T, R] from
//   the Mixer
//
// which is the paper's  W0 x + (alpha / r) * sum_n w[t,n] B_n A_n x  with the experts' A_n stacked by rows and B_n by
// columns (R = r, m = repeat(w[t], r / N)): the cost of one LoRA of rank r, whatever N and however many tasks share the
// batch. The group's A_i stand in one matrix, so that q, k and v (gate and up) take one product. Forward and backward
// are written by hand and keep nothing of size [T, out].
//
// Dropout D draws one mask for the input of a group, shared by all experts and members: the reference draws one per
// expert, PEFT one per linear. Same expectation, fewer passes; all agree at p = 0.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "adapters/mixer.h"
#include "kernels/dropout.h"
#include "nn/projection.h"

namespace moelora::adapters {

struct ExpertOptions {
  int64_t rank = 0;          // R, over all experts
  double scale = 1;          // alpha / r
  bool normal_init = false;  // A ~ N(0, 0.01²), as the reference; else Kaiming-uniform U(±1/sqrt(in)), as PEFT
  uint64_t seed = 0;
  kernels::DropoutKey dropout;
};

/// The adapter of one linear: views of what is trained.
struct MemberAdapter {
  size_t member = 0;  // index among the group's members
  std::string path;   // "model.layers.0.self_attn.q_proj"
  at::Tensor a;       // A_i [R, in] float32, rows of the group's stack
  at::Tensor b;       // B_i [out, R] float32, a leaf
  std::shared_ptr<const Mixer> mixer;
};

class AdaptedProjection : public nn::Projection {
 public:
  /// Wraps `base`; mixers[i] weighs the experts of member i, null leaves that member as it is. B = 0 at the start.
  AdaptedProjection(std::unique_ptr<nn::Projection> base, std::vector<std::shared_ptr<const Mixer>> mixers,
                    const ExpertOptions& options, at::ScalarType compute_dtype);

  /// x [T, in] -> [T, out_i] a member. `context` is a TaskRows.
  std::vector<at::Tensor> forward(const at::Tensor& x, const nn::RowContext* context) const override;
  const std::vector<nn::Member>& members() const override { return base_->members(); }

  const std::vector<MemberAdapter>& adapters() const { return adapters_; }

  /// Masters that are trained, by name: the stack ("….q_proj+k_proj+v_proj.lora_A" [n R, in]) and each "<path>.lora_B"
  /// [out, R].
  std::vector<NamedTensor> parameters() const;

  /// Rounds the masters to the compute dtype again.
  void refresh() override;

  /// Folds one task's adapter into copies of the weights, in float32 from the pristine ones: forward then is the base's
  /// cost.
  void merge(int64_t task);
  /// Gives the wrapped projection away; nothing may be asked of this one afterwards, but to take it back.
  std::unique_ptr<nn::Projection> take_base() { return std::move(base_); }
  void give_base(std::unique_ptr<nn::Projection> base) { base_ = std::move(base); }
  /// Back to the pristine weights, which were never written.
  void restore() { merged_.clear(); }

 private:
  friend struct AdaptedGroup;

  /// m [T, n R]; [T, R] where all members have the same and no gradient is wanted; undefined: all are 1.
  at::Tensor row_weights(const TaskRows& rows, const at::Tensor& x) const;

  std::unique_ptr<nn::Projection> base_;
  ExpertOptions options_;
  at::ScalarType compute_dtype_;
  at::Tensor stack_;                                     // A of all adapted members [n R, in] float32, a leaf
  std::vector<MemberAdapter> adapters_;                  // n
  bool one_mixer_ = false;                               // whether all n have the same
  at::Tensor stack_compute_;                             // stack_ in the compute dtype
  std::vector<at::Tensor> b_rows_, b_compute_;           // B_i in that dtype: [out_i, R] and [R, out_i]
  std::optional<kernels::FewRowsGroup> few_rows_;        // the members with their adapters, for decoding
  std::vector<std::unique_ptr<nn::BaseLinear>> merged_;  // one a member while merged, else empty
};

}  // namespace moelora::adapters
