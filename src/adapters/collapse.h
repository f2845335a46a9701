// From a mixture to one task's ordinary adapter, exactly: no decomposition, no growth of rank.
//
//   A_t = A,   B_t = s * B ⊙ repeat(w[t], r / N)      so that  W0 + B_t A_t  is the weight that task t is computed with
//
// Columns that a task has no use for by construction (Mixer::task_columns) are left out of both.
// The scale and the gate are baked into B: whoever loads it uses alpha = rank. Every export goes through here.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace moelora::adapters {

struct MemberAdapter;

/// A plain LoRA of one linear for one task.
struct CollapsedLinear {
  std::string path;  // "model.layers.0.self_attn.q_proj"
  at::Tensor a;      // [n, in] float32, n at most R
  at::Tensor b;      // [out, n] float32, scale and gate baked in
};

/// `scale` is alpha / r. A task's index must be valid: AdapterSet checks names.
CollapsedLinear collapse(const MemberAdapter& adapter, double scale, int64_t task);

/// pristine + B A, computed in float32 and rounded once to pristine's dtype. pristine [out, in]; a new tensor.
at::Tensor merged_weight(const at::Tensor& pristine, const CollapsedLinear& adapter);

}  // namespace moelora::adapters
