// Fills a PassSet with this translation unit's instances of the passes.
#pragma once

#include "kernels/attention_backward.h"
#include "kernels/attention_forward.h"
#include "kernels/few_rows_impl.h"
#include "kernels/int8_impl.h"
#include "kernels/nf4_impl.h"
#include "kernels/passes_impl.h"
#include "kernels/thin_products_impl.h"

namespace moelora::kernels {
namespace {

template <class E>
constexpr Passes<E> make_passes() {
  using Forward = AttentionForward<typename MultiplyOf<E>::type>;
  using Backward = AttentionBackward<typename MultiplyOf<E>::type>;
  return {
      .rms_norm_forward = rms_norm_forward<E>,
      .rms_norm_backward = rms_norm_backward<E>,
      .rope = rope<E>,
      .glu_forward = glu_forward<E>,
      .glu_backward = glu_backward<E>,
      .row_scale_forward = row_scale_forward<E>,
      .row_scale_backward = row_scale_backward<E>,
      .dropout = dropout<E>,
      .cross_entropy_row = cross_entropy_row<E>,
      .attention_packed_bytes = Forward::packed_bytes,
      .attention_pack = Forward::pack,
      .attention_forward = Forward::forward,
      .attention_forward_scratch_bytes = Forward::forward_scratch_bytes,
      .attention_backward = Backward::backward,
      .attention_backward_scratch_bytes = Backward::backward_scratch_bytes,
      .attention_padded_size = Backward::padded,
      .attention_padded_rows = Backward::padded_rows,
      .few_rows = few_rows<E>,
      .few_rows_add = few_rows_add<E>,
      .nf4_dequantize = nf4_dequantize<E>,
      .narrow = narrow<E>,
  };
}

template <class E>
constexpr Int8Passes<E> make_int8_passes() {
  return {.quantize_rows = quantize_rows<E>, .scale_sums = scale_sums<E>};
}

constexpr PassSet make_pass_set() {
  return {make_passes<float>(),      make_passes<Bf16>(),      make_passes<double>(),
          make_int8_passes<float>(), make_int8_passes<Bf16>(), int8_few_rows, kThinPass};
}

}  // namespace
}  // namespace moelora::kernels
