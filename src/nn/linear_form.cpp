#include "nn/linear_form.h"

#include "kernels/nf4_levels.h"

namespace moelora::nn {

int64_t linear_bytes(LinearForm form, int64_t out, int64_t in, int64_t dtype_bytes) {
  switch (form) {
    case LinearForm::kPlain:
      break;
    case LinearForm::kPacked:
      return 3 * out * in * dtype_bytes;
    case LinearForm::kPackedForward:
      return 2 * out * in * dtype_bytes;
    case LinearForm::kInt8:
      return out * in + 8 * out;  // a scale and a sum of each channel
    case LinearForm::kNf4: {
      using kernels::kNf4Block, kernels::kNf4ScaleBlock;
      const int64_t blocks = (out * in + kNf4Block - 1) / kNf4Block;
      return (out * in + 1) / 2 + blocks + 4 * ((blocks + kNf4ScaleBlock - 1) / kNf4ScaleBlock);
    }
  }
  return out * in * dtype_bytes;
}

}  // namespace moelora::nn
