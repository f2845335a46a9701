// The forms in which a base keeps its linears: all but kPlain are of a frozen one. Embeddings, head and norms stay in
// the compute dtype.
#pragma once

#include <cstdint>

namespace moelora::nn {

enum class LinearForm {
  kPlain,          // the compute dtype
  kPacked,         // packed_linear.h: the same, and again in the order that products read, for each direction
  kPackedForward,  // the same for forward alone
  kInt8,           // int8_linear.h: a byte a weight
  kNf4,            // nf4_linear.h: 4.127 bits a weight
};

/// Bytes of a weight [out, in] of linears in that form, where the compute dtype has `dtype_bytes`.
int64_t linear_bytes(LinearForm form, int64_t out, int64_t in, int64_t dtype_bytes);

}  // namespace moelora::nn
