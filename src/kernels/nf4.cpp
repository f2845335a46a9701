#include "kernels/nf4.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <span>
#include <vector>

#include "core/error.h"
#include "kernels/few_rows.h"
#include "kernels/nf4_levels.h"
#include "kernels/tensor_args.h"

namespace moelora::kernels {
namespace {

constexpr int64_t kTile = 16;  // weight rows that are dequantised at a time for few rows of x

/// What the eight bits of a scale stand for: a sign, zeros that say the power of ten, and a fraction with the bits that
/// are left (Dettmers et al., arXiv 2110.02861, section 2.2), ascending.
const at::Tensor& dynamic_levels() {
  static const at::Tensor levels = [] {
    std::vector<float> values = {0, 1};
    for (int exponent = 0; exponent < 7; ++exponent) {
      const at::Tensor bounds = at::linspace(0.1, 1, (1 << exponent) + 1, at::kFloat);
      const float* bound = bounds.const_data_ptr<float>();
      const auto power = static_cast<float>(std::pow(10.0, exponent - 6));
      for (int i = 0; i < 1 << exponent; ++i) {
        const float mean = (bound[i] + bound[i + 1]) / 2;
        values.push_back(power * mean);
        values.push_back(-power * mean);
      }
    }
    std::ranges::sort(values);
    return at::tensor(values, at::kFloat);
  }();
  return levels;
}

float number(float x) {
  return x;
}
float number(double x) {
  return static_cast<float>(x);
}
float number(Bf16 x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
}

/// Half-way points between ascending levels.
std::vector<float> bounds_of(std::span<const float> levels) {
  std::vector<float> bounds;
  for (size_t i = 0; i + 1 < levels.size(); ++i) bounds.push_back((levels[i] + levels[i + 1]) / 2);
  return bounds;
}

/// The code of the level nearest to each of a block's values times the inverse of their largest magnitude, which is
/// returned.
template <class Value, class Write>
float quantize_block(int64_t count, std::span<const float> bounds, const Value& value, const Write& write) {
  float largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float magnitude = std::abs(value(i));
    if (magnitude > largest || std::isnan(magnitude)) largest = magnitude;
  }
  const float inverse = 1 / std::max(largest, 1e-38f);
  for (int64_t i = 0; i < count; ++i) {
    const float scaled = std::clamp(value(i) * inverse, -1.0f, 1.0f);
    write(i, static_cast<uint8_t>(std::ranges::lower_bound(bounds, scaled) - bounds.begin()));
  }
  return largest;
}

/// Quantises weight.scales, which are float32, and keeps what they become.
void quantize_scales(Nf4Weight& weight) {
  const at::Tensor exact = weight.scales;
  const int64_t blocks = exact.numel(), groups = (blocks + kNf4ScaleBlock - 1) / kNf4ScaleBlock;
  weight.offset = exact.mean().item<float>();
  const at::Tensor centred = exact.sub(weight.offset);
  weight.scale_levels = dynamic_levels();
  weight.scales = at::empty({blocks}, at::kByte);
  weight.nested_scales = at::empty({groups}, at::kFloat);
  const std::vector<float> bounds = bounds_of({weight.scale_levels.const_data_ptr<float>(), 256});
  const float* from = centred.const_data_ptr<float>();
  uint8_t* to = weight.scales.mutable_data_ptr<uint8_t>();
  float* nested = weight.nested_scales.mutable_data_ptr<float>();
  for (int64_t group = 0; group < groups; ++group) {
    const int64_t begin = group * kNf4ScaleBlock, count = std::min(kNf4ScaleBlock, blocks - begin);
    nested[group] = quantize_block(
        count, bounds, [&](int64_t i) { return from[begin + i]; },
        [&](int64_t i, uint8_t code) { to[begin + i] = code; });
  }
}

/// Scales of blocks [begin, end) as numbers.
void scales_of(const Nf4Weight& weight, int64_t begin, int64_t end, float* to) {
  if (!weight.nested_scales.defined()) {
    std::copy_n(weight.scales.const_data_ptr<float>() + begin, end - begin, to);
    return;
  }
  const uint8_t* codes = weight.scales.const_data_ptr<uint8_t>();
  const float* levels = weight.scale_levels.const_data_ptr<float>();
  const float* nested = weight.nested_scales.const_data_ptr<float>();
  for (int64_t block = begin; block < end; ++block) {
    const float product = levels[codes[block]] * nested[block / kNf4ScaleBlock];  // rounded before the sum
    *to++ = product + weight.offset;
  }
}

/// Rows [begin, end) of the weight.
template <class E>
void dequantize_rows(const Nf4Weight& weight, int64_t begin, int64_t end, E* to) {
  int64_t first = begin * weight.in;
  const int64_t last = end * weight.in;
  std::array<float, kNf4ScaleBlock> scales;
  std::array<E, kNf4Block> block;
  const uint8_t* codes = weight.codes.const_data_ptr<uint8_t>();
  if (const int64_t within = first % kNf4Block; within != 0) {  // a row that begins inside a block
    scales_of(weight, first / kNf4Block, first / kNf4Block + 1, scales.data());
    const int64_t whole = std::min(kNf4Block, weight.out * weight.in - (first - within));
    passes_for<E>().nf4_dequantize(codes + (first - within) / 2, scales.data(), block.data(), whole);
    const int64_t count = std::min(whole - within, last - first);
    std::copy_n(block.data() + within, count, to);
    first += count;
    to += count;
  }
  while (first < last) {
    const int64_t count = std::min(kNf4ScaleBlock * kNf4Block, last - first);
    scales_of(weight, first / kNf4Block, (first + count + kNf4Block - 1) / kNf4Block, scales.data());
    passes_for<E>().nf4_dequantize(codes + first / 2, scales.data(), to, count);
    first += count;
    to += count;
  }
}

/// f.template operator()<E>() for the dtypes that NF4 is computed in.
template <class F>
void with_dtype(at::ScalarType dtype, const F& f) {
  if (dtype == at::kBFloat16) {
    f.template operator()<Bf16>();
  } else if (dtype == at::kFloat) {
    f.template operator()<float>();
  } else {
    f.template operator()<double>();
  }
}

}  // namespace

const at::Tensor& nf4_levels() {
  static const at::Tensor levels = at::tensor(at::ArrayRef<float>(kNf4Levels), at::kFloat);
  return levels;
}

int64_t Nf4Weight::bytes() const {
  int64_t total = 0;
  for (const at::Tensor* tensor : {&codes, &scales, &nested_scales}) {
    if (tensor->defined()) total += static_cast<int64_t>(tensor->nbytes());
  }
  return total;
}

Nf4Weight quantize_nf4(const at::Tensor& weight, const std::string& name) {
  Nf4Weight result{.out = weight.size(0), .in = weight.size(1)};
  const int64_t count = weight.numel(), blocks = result.blocks();
  result.codes = at::empty({(count + 1) / 2}, at::kByte);
  result.scales = at::empty({blocks}, at::kFloat);
  const std::vector<float> bounds = bounds_of(kNf4Levels);
  const at::Tensor rows = weight.contiguous();
  uint8_t* codes = result.codes.mutable_data_ptr<uint8_t>();
  float* scales = result.scales.mutable_data_ptr<float>();
  with_element(rows, [&]<class E>() {
    const E* from = elements<E>(rows);
    at::parallel_for(0, blocks, 256, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        const int64_t first = block * kNf4Block;
        const auto value = [&](int64_t i) { return number(from[first + i]); };
        const auto write = [&](int64_t i, uint8_t code) {
          uint8_t& pair = codes[(first + i) / 2];
          pair = i % 2 == 0 ? static_cast<uint8_t>(code << 4) : static_cast<uint8_t>(pair | code);
        };
        scales[block] = quantize_block(std::min(kNf4Block, count - first), bounds, value, write);
      }
    });
  });
  if (!std::isfinite(result.scales.sum().item<float>())) {
    throw Error(ErrorKind::kModel, {.where = name,
                                    .problem = "can't be quantised",
                                    .found = "numbers that aren't finite",
                                    .expected = "finite weights"});
  }
  quantize_scales(result);
  return result;
}

at::Tensor dequantize(const Nf4Weight& weight, at::ScalarType dtype) {
  const at::Tensor dense = at::empty({weight.out, weight.in}, dtype);
  with_dtype(dtype, [&]<class E>() {
    E* to = mutable_elements<E>(dense);
    parallel_rows(weight.out, weight.in,
                  [&](int64_t begin, int64_t end) { dequantize_rows<E>(weight, begin, end, to + begin * weight.in); });
  });
  return dense;
}

at::Tensor nf4_few_rows_linear(const at::Tensor& x, const Nf4Weight& weight, const at::Tensor& bias) {
  require(has_passes(x) && x.dim() == 2 && x.size(0) <= kFewRows && x.size(1) == weight.in && x.stride(1) == 1,
          "nf4_few_rows_linear", "x [T <= 8, in]", x);
  const int64_t tiles = (weight.out + kTile - 1) / kTile;
  const at::Tensor y = at::empty({x.size(0), weight.out}, x.options());
  with_element(x, [&]<class E>() {
    at::parallel_for(0, tiles, 1, [&](int64_t first, int64_t last) {
      thread_local Scratch scratch;
      E* tile = static_cast<E*>(scratch.get(kTile * weight.in * static_cast<int64_t>(sizeof(E))));
      for (int64_t begin = first * kTile; begin < std::min(last * kTile, weight.out); begin += kTile) {
        const int64_t end = std::min(begin + kTile, weight.out);
        dequantize_rows<E>(weight, begin, end, tile);
        passes_for<E>().few_rows({elements<E>(x), x.stride(0), tile, weight.in, weight.in}, {}, x.size(0),
                                 bias.defined() ? elements<E>(bias) + begin : nullptr, mutable_elements<E>(y) + begin,
                                 y.stride(0), end - begin);
      }
    });
  });
  return y;
}

}  // namespace moelora::kernels
