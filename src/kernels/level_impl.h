// Fills a PassSet with this translation unit's instances of the passes.
#pragma once

#include "kernels/attention_impl.h"
#include "kernels/passes_impl.h"

namespace moelora::kernels {
namespace {

template <class E>
constexpr Passes<E> make_passes() {
  using A = Attention<typename MultiplyOf<E>::type>;
  return {
      .rms_norm_forward = rms_norm_forward<E>,
      .rms_norm_backward = rms_norm_backward<E>,
      .rope = rope<E>,
      .swiglu_forward = swiglu_forward<E>,
      .swiglu_backward = swiglu_backward<E>,
      .row_scale_forward = row_scale_forward<E>,
      .row_scale_backward = row_scale_backward<E>,
      .dropout = dropout<E>,
      .cross_entropy_row = cross_entropy_row<E>,
      .attention_packed_bytes = A::packed_bytes,
      .attention_pack = A::pack,
      .attention_forward = A::forward,
      .attention_forward_scratch_bytes = A::forward_scratch_bytes,
      .attention_backward = A::backward,
      .attention_backward_scratch_bytes = A::backward_scratch_bytes,
      .attention_padded_size = A::padded,
      .attention_padded_rows = A::padded_rows,
      .narrow = narrow<E>,
  };
}

constexpr PassSet make_pass_set() {
  return {make_passes<float>(), make_passes<Bf16>(), make_passes<double>()};
}

}  // namespace
}  // namespace moelora::kernels
