#include "kernels/thin_products.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <vector>

#include "kernels/tensor_args.h"

namespace moelora::kernels {
namespace {

constexpr int64_t kLeastColumns = 64;  // that a thread takes
constexpr int64_t kColumnStep = 32;    // of where a thread's columns begin

int64_t padded(int64_t factors) {
  return (factors + 15) / 16 * 16;
}

/// Whether the pass takes a wide operand and so many factors.
bool takes(const at::Tensor& wide, int64_t factors) {
  return passes().thin_products != nullptr && wide.device().is_cpu() && wide.scalar_type() == at::kBFloat16 &&
         wide.dim() == 2 && wide.stride(1) == 1 && wide.size(0) > 0 && wide.size(1) > 0 && wide.size(1) % 2 == 0 &&
         factors > 0 && factors <= kMostFactors;
}

/// pairs[p, f] = (m(2 p, f), m(2 p + 1, f)), zeros beyond the matrix: [ceil(rows / 2), padded(factors)].
std::vector<uint32_t> pairs_of(const at::Tensor& m, int64_t rows, int64_t factors, int64_t row_stride,
                               int64_t factor_stride) {
  const auto* data = static_cast<const uint16_t*>(m.const_data_ptr());
  const int64_t stride = padded(factors);
  std::vector<uint32_t> pairs(static_cast<size_t>((rows + 1) / 2 * stride));
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t f = 0; f < factors; ++f) {
      pairs[row / 2 * stride + f] |= static_cast<uint32_t>(data[row * row_stride + f * factor_stride])
                                     << (row % 2 * 16);
    }
  }
  return pairs;
}

/// Runs the pass over all columns in parallel; each thread sums a projection of its own columns, added in their order.
void run(ThinProducts p, int64_t columns, const at::Tensor* projected) {
  const int64_t parts = std::clamp<int64_t>(columns / kLeastColumns, 1, at::get_num_threads());
  const int64_t each = (columns / parts + kColumnStep - 1) / kColumnStep * kColumnStep;
  const auto size = static_cast<size_t>(projected ? p.rows * p.stride : 0);
  std::vector<std::vector<float>> sums(static_cast<size_t>(parts));
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part) {
      sums[part].resize(size);
      ThinProducts own = p;
      own.begin = part * each;
      own.end = part + 1 == parts ? columns : std::min(columns, own.begin + each);
      own.projected = sums[part].data();
      if (own.begin < own.end) passes().thin_products(own);
    }
  });
  if (!projected) return;
  Bf16* out = mutable_elements<Bf16>(*projected);
  const int64_t out_stride = projected->stride(0);
  parallel_rows(p.rows, p.factors * parts, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* sum = sums[0].data() + row * p.stride;
      for (int64_t part = 1; part < parts; ++part) {
        for (int64_t f = 0; f < p.factors; ++f) sum[f] += sums[part][row * p.stride + f];
      }
      passes_for<Bf16>().narrow(sum, p.stride, out + row * out_stride, out_stride, 1, p.factors);
    }
  });
}

ThinProducts args(const at::Tensor& wide, int64_t factors) {
  return {.x = elements<Bf16>(wide),
          .x_stride = wide.stride(0),
          .rows = wide.size(0),
          .factors = factors,
          .stride = padded(factors)};
}

}  // namespace

at::Tensor thin_project(const at::Tensor& x, const at::Tensor& w) {
  if (!takes(x, w.size(0))) return at::mm(x, w.t());
  ThinProducts p = args(x, w.size(0));
  const std::vector<uint32_t> pairs = pairs_of(w, w.size(1), w.size(0), w.stride(1), w.stride(0));
  p.w_pairs = pairs.data();
  const at::Tensor z = at::empty({x.size(0), w.size(0)}, x.options());
  run(p, x.size(1), &z);
  return z;
}

at::Tensor thin_gradient(const at::Tensor& u, const at::Tensor& x) {
  if (!takes(x, u.size(1))) return at::mm(u.t(), x).to(compute_type(x));
  ThinProducts p = args(x, u.size(1));
  const std::vector<uint32_t> pairs = pairs_of(u, u.size(0), u.size(1), u.stride(0), u.stride(1));
  p.u_pairs = pairs.data();
  const at::Tensor gradient = at::empty({u.size(1), x.size(1)}, x.options().dtype(at::kFloat));
  p.gradient = mutable_elements<float>(gradient);
  p.column_stride = 1;
  p.factor_stride = x.size(1);
  run(p, x.size(1), nullptr);
  return gradient;
}

at::Tensor thin_gradients(const at::Tensor& dy, const at::Tensor& b, const at::Tensor& u, const at::Tensor& du) {
  if (!takes(dy, b.size(0))) {
    du.copy_(at::mm(dy, b.t()));
    return at::mm(dy.t(), u).to(compute_type(dy));
  }
  require(du.stride(1) == 1 && du.scalar_type() == at::kBFloat16, "thin_gradients", "du [T, r] of dense rows", du);
  ThinProducts p = args(dy, b.size(0));
  const std::vector<uint32_t> b_pairs = pairs_of(b, b.size(1), b.size(0), b.stride(1), b.stride(0));
  const std::vector<uint32_t> u_pairs = pairs_of(u, u.size(0), u.size(1), u.stride(0), u.stride(1));
  p.w_pairs = b_pairs.data();
  p.u_pairs = u_pairs.data();
  const at::Tensor gradient = at::empty({dy.size(1), u.size(1)}, dy.options().dtype(at::kFloat));
  p.gradient = mutable_elements<float>(gradient);
  p.column_stride = u.size(1);
  p.factor_stride = 1;
  run(p, dy.size(1), &du);
  return gradient;
}

}  // namespace moelora::kernels
