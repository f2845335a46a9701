// The element-wise passes, written once over simd.h and compiled by each level file.
#pragma once

#include "kernels/simd.h"

namespace moelora::kernels {
namespace {

template <class E, bool kUnitOffset>
void rms_norm_forward_of(const E* x, const E* residual, const E* weight, E* sum, E* y, Compute<E>* rstd, int64_t rows,
                         int64_t width, double eps) {
  using C = Compute<E>;
  constexpr int64_t kStep = kLanes<C>;
  for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
    Vec<C> squares[2] = {};
    if (residual != nullptr) {
      for (int64_t i = 0; i < width; i += kStep) {
        const Vec<C> v = rounded_to<E>(load_up_to(x + i, width - i) + load_up_to(residual + i, width - i));
        store_up_to(sum + i, v, width - i);
        squares[(i / kStep) % 2] += v * v;
      }
    } else {
      for (int64_t i = 0; i < width; i += kStep) {
        const Vec<C> v = load_up_to(x + i, width - i);
        squares[(i / kStep) % 2] += v * v;
      }
    }
    const C variance = sum_of<C>(squares[0] + squares[1]) / static_cast<C>(width);
    const C inverse = 1 / static_cast<C>(__builtin_sqrt(variance + static_cast<C>(eps)));
    if (rstd != nullptr) rstd[row] = inverse;
    const E* from = residual != nullptr ? sum : x;
    for (int64_t i = 0; i < width; i += kStep) {
      const Vec<C> normed = load_up_to(from + i, width - i) * inverse, scale = load_up_to(weight + i, width - i);
      store_up_to(y + i, kUnitOffset ? normed * (1 + scale) : rounded_to<E>(normed) * scale, width - i);
    }
    if (residual != nullptr) residual += width, sum += width;
  }
}

template <class E>
void rms_norm_forward(const E* x, const E* residual, const E* weight, E* sum, E* y, Compute<E>* rstd, int64_t rows,
                      int64_t width, double eps, bool unit_offset) {
  const auto forward = unit_offset ? rms_norm_forward_of<E, true> : rms_norm_forward_of<E, false>;
  forward(x, residual, weight, sum, y, rstd, rows, width, eps);
}

// With n = x * rstd and g = dy * weight (1 + weight with a unit offset): dx = rstd * (g - n * mean(g * n)), dweight =
// sum over rows of dy * n.
template <class E>
void rms_norm_backward(const E* dy, const E* dsum, const E* x, const E* weight, const Compute<E>* rstd, E* dx,
                       Compute<E>* dweight, int64_t rows, int64_t width, bool unit_offset) {
  using C = Compute<E>;
  constexpr int64_t kStep = kLanes<C>;
  const C offset = unit_offset ? 1 : 0;
  for (int64_t row = 0; row < rows; ++row, x += width, dy += width, dx += width) {
    const C inverse = rstd[row];
    Vec<C> dots[2] = {};
    for (int64_t i = 0; i < width; i += kStep) {
      const Vec<C> d = load_up_to(dy + i, width - i), v = load_up_to(x + i, width - i);
      dots[(i / kStep) % 2] += d * (load_up_to(weight + i, width - i) + offset) * v;
      if (dweight != nullptr)
        store_up_to(dweight + i, load_up_to(dweight + i, width - i) + d * (v * inverse), width - i);
    }
    const C mean = sum_of<C>(dots[0] + dots[1]) * inverse * inverse / static_cast<C>(width);
    for (int64_t i = 0; i < width; i += kStep) {
      const Vec<C> g = load_up_to(dy + i, width - i) * (load_up_to(weight + i, width - i) + offset);
      Vec<C> d = inverse * (g - load_up_to(x + i, width - i) * mean);
      if (dsum != nullptr) d += load_up_to(dsum + i, width - i);
      store_up_to(dx + i, d, width - i);
    }
    if (dsum != nullptr) dsum += width;
  }
}

template <class E, bool kPairs>
void rope_of(const E* x, int64_t row_stride, int64_t head_stride, const Compute<E>* cos, const Compute<E>* sin, E* out,
             int64_t rows, int64_t heads, int64_t size, int64_t half, int sign) {
  using C = Compute<E>;
  constexpr int kStep = kLanes<C>;
  constexpr std::make_integer_sequence<int, kStep> kAll;
  for (int64_t row = 0; row < rows; ++row, cos += half, sin += half) {
    for (int64_t head = 0; head < heads; ++head, out += size) {
      const E* from = x + row * row_stride + head * head_stride;
      for (int64_t i = 0; i < half; i += kStep) {
        const int64_t left = half - i;
        const Vec<C> c = load_up_to(cos + i, left), s = load_up_to(sin + i, left) * static_cast<C>(sign);
        if constexpr (kPairs) {
          const bool two = 2 * left > kStep;  // vectors of x that hold these pairs
          const Vec<C> first = load_up_to(from + 2 * i, 2 * left);
          const Vec<C> second = two ? load_up_to(from + 2 * i + kStep, 2 * left - kStep) : Vec<C>{};
          const Vec<C> low = even_lanes(first, second, kAll), high = odd_lanes(first, second, kAll);
          const Vec<C> turned_low = low * c - high * s, turned_high = high * c + low * s;
          store_up_to(out + 2 * i, interleaved<0>(turned_low, turned_high, kAll), 2 * left);
          if (two)
            store_up_to(out + 2 * i + kStep, interleaved<kStep / 2>(turned_low, turned_high, kAll), 2 * left - kStep);
        } else {
          const Vec<C> low = load_up_to(from + i, left), high = load_up_to(from + half + i, left);
          store_up_to(out + i, low * c - high * s, left);
          store_up_to(out + half + i, high * c + low * s, left);
        }
      }
      if (2 * half < size)
        std::memcpy(out + 2 * half, from + 2 * half, static_cast<size_t>(size - 2 * half) * sizeof(E));
    }
  }
}

template <class E>
void rope(const E* x, int64_t row_stride, int64_t head_stride, const Compute<E>* cos, const Compute<E>* sin, E* out,
          int64_t rows, int64_t heads, int64_t size, int64_t half, int sign, bool pairs) {
  const auto turn = pairs ? rope_of<E, true> : rope_of<E, false>;
  turn(x, row_stride, head_stride, cos, sin, out, rows, heads, size, half, sign);
}

// Both activations are g * sigmoid(z(g)): z = g for silu; for gelu z = 2 sqrt(2 / pi) (g + 0.044715 g^3), since
// (1 + tanh(u)) / 2 = sigmoid(2 u).
constexpr double kGeluLinear = 1.5957691216057308;  // 2 sqrt(2 / pi)
constexpr double kGeluCubic = kGeluLinear * 0.044715;

template <class E, bool kGelu>
void glu_forward_of(const E* gate, int64_t gate_stride, const E* up, int64_t up_stride, E* y, int64_t rows,
                    int64_t width) {
  using C = Compute<E>;
  for (int64_t row = 0; row < rows; ++row, gate += gate_stride, up += up_stride, y += width) {
    for (int64_t i = 0; i < width; i += kLanes<C>) {
      const Vec<C> g = load_up_to(gate + i, width - i);
      Vec<C> z = g;
      if constexpr (kGelu) z = g * (static_cast<C>(kGeluLinear) + g * g * static_cast<C>(kGeluCubic));
      store_up_to(y + i, g / (1 + exp_of(-z)) * load_up_to(up + i, width - i), width - i);
    }
  }
}

template <class E>
void glu_forward(const E* gate, int64_t gate_stride, const E* up, int64_t up_stride, E* y, int64_t rows, int64_t width,
                 bool gelu) {
  const auto forward = gelu ? glu_forward_of<E, true> : glu_forward_of<E, false>;
  forward(gate, gate_stride, up, up_stride, y, rows, width);
}

// s = sigmoid(z): dgate = dy * up * s * (1 + g * z' * (1 - s)), dup = dy * g * s.
template <class E, bool kGelu>
void glu_backward_of(const E* dy, const E* gate, int64_t gate_stride, const E* up, int64_t up_stride, E* dgate, E* dup,
                     int64_t rows, int64_t width) {
  using C = Compute<E>;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < width; i += kLanes<C>) {
      const int64_t left = width - i;
      const Vec<C> g = load_up_to(gate + i, left), u = load_up_to(up + i, left), d = load_up_to(dy + i, left);
      Vec<C> z = g, bend = g;  // bend: g * z'
      if constexpr (kGelu) {
        // s is 0 or 1 to the last bit outside; the cubes stay finite.
        const Vec<C> near = g > 32 ? splat<C>(32) : (g < -32 ? splat<C>(-32) : g), square = near * near;
        z = near * (static_cast<C>(kGeluLinear) + square * static_cast<C>(kGeluCubic));
        bend = near * (static_cast<C>(kGeluLinear) + square * static_cast<C>(3 * kGeluCubic));
      }
      const Vec<C> s = 1 / (1 + exp_of(-z));
      store_up_to(dup + i, d * (g * s), left);
      store_up_to(dgate + i, d * u * (s + bend * s * (1 - s)), left);
    }
    gate += gate_stride, up += up_stride, dy += width, dgate += width, dup += width;
  }
}

template <class E>
void glu_backward(const E* dy, const E* gate, int64_t gate_stride, const E* up, int64_t up_stride, E* dgate, E* dup,
                  int64_t rows, int64_t width, bool gelu) {
  const auto backward = gelu ? glu_backward_of<E, true> : glu_backward_of<E, false>;
  backward(dy, gate, gate_stride, up, up_stride, dgate, dup, rows, width);
}

template <class E>
void row_scale_forward(const E* z, const Compute<E>* m, Compute<E> factor, E* y, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes<Compute<E>>) {
    store_up_to(y + i, load_up_to(z + i, count - i) * (load_up_to(m + i, count - i) * factor), count - i);
  }
}

template <class E>
void row_scale_backward(const E* dy, const E* z, const Compute<E>* m, E* dz, Compute<E>* dm, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes<Compute<E>>) {
    const Vec<Compute<E>> d = load_up_to(dy + i, count - i);
    const Vec<Compute<E>> weight = load_up_to(m + i, count - i), value = load_up_to(z + i, count - i);
    store_up_to(dz + i, d * weight, count - i);
    store_up_to(dm + i, d * value, count - i);
  }
}

template <class E>
void narrow(const Compute<E>* x, int64_t x_stride, E* y, int64_t y_stride, int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows; ++row, x += x_stride, y += y_stride) {
    for (int64_t i = 0; i < width; i += kLanes<Compute<E>>) store_up_to(y + i, load_up_to(x + i, width - i), width - i);
  }
}

typedef Vec<uint32_t> Words;
typedef Vec<uint64_t> WideWords;

struct WidePair {
  Words high, low;
};
/// The 64-bit products of 32-bit lanes with a constant, as high and low words.
MOELORA_INLINE WidePair multiply(Words x, uint32_t constant) {
  const WideWords pairs = bits_as<WideWords>(x);
#if defined(__AVX512F__)
  const __m512i factor = _mm512_set1_epi64(constant);
  const WideWords even = bits_as<WideWords>(_mm512_mul_epu32(bits_as<__m512i>(pairs), factor));
  const WideWords odd = bits_as<WideWords>(_mm512_mul_epu32(bits_as<__m512i>(pairs >> 32), factor));
#elif defined(__AVX2__)
  const __m256i factor = _mm256_set1_epi64x(constant);
  const WideWords even = bits_as<WideWords>(_mm256_mul_epu32(bits_as<__m256i>(pairs), factor));
  const WideWords odd = bits_as<WideWords>(_mm256_mul_epu32(bits_as<__m256i>(pairs >> 32), factor));
#else
  const WideWords even = (pairs & 0xffffffffu) * constant;
  const WideWords odd = (pairs >> 32) * constant;
#endif
  constexpr uint64_t kHigh = 0xffffffff00000000u;
  return {bits_as<Words>((even >> 32) | (odd & kHigh)), bits_as<Words>((even & ~kHigh) | (odd << 32))};
}

// Philox4x32-10 of kBatches times as many blocks as there are lanes (core/random.h has the scalar form; the tests hold
// them equal). Several batches at once, because one is a chain of dependent multiplications.
template <int kBatches>
MOELORA_INLINE void philox(uint32_t key0, uint32_t key1, Words (&counters)[kBatches][4]) {
  for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 4
    for (int batch = 0; batch < kBatches; ++batch) {
      Words(&counter)[4] = counters[batch];
      const WidePair a = multiply(counter[0], 0xD2511F53u), b = multiply(counter[2], 0xCD9E8D57u);
      const Words zero = b.high ^ counter[1] ^ key0, two = a.high ^ counter[3] ^ key1;
      counter[0] = zero, counter[1] = b.low, counter[2] = two, counter[3] = a.low;
    }
    key0 += 0x9E3779B9u, key1 += 0xBB67AE85u;
  }
}

template <class E>
void dropout(const E* x, const int64_t* sample_key, const int64_t* position, const DropoutRow& draw, E* y, const E* dy,
             E* dx, int64_t rows, int64_t width) {
  using C = Compute<E>;
  constexpr int kGroup = 64, kBlocks = 16,
                kBlockLanes = kLanes<uint32_t>;  // dropout.h: word j of block b is column 16 j + b
  constexpr int kBatches = 4;
  constexpr int kColumns =
      kBatches * kBlockLanes * 4 < kGroup ? kGroup : kBatches * kBlockLanes * 4;  // drawn before they are used
  for (int64_t row = 0; row < rows; ++row, x += width, y += width) {
    const uint64_t sample = static_cast<uint64_t>(sample_key[row]);
    for (int64_t begin = 0; begin < width; begin += kColumns) {
      float factors[kColumns];
      for (int first = 0; first < kColumns / 4; first += kBatches * kBlockLanes) {  // in blocks
        Words counters[kBatches][4];
#pragma GCC unroll 4
        for (int batch = 0; batch < kBatches; ++batch) {
          const uint32_t block = static_cast<uint32_t>(begin / 4 + first + batch * kBlockLanes);
          counters[batch][0] = bits_as<Words>(lane_numbers()) + block;
          counters[batch][1] = splat(static_cast<uint32_t>(position[row]));
          counters[batch][2] = splat(static_cast<uint32_t>(sample));
          counters[batch][3] = splat(static_cast<uint32_t>(sample >> 32));
        }
        philox<kBatches>(draw.key[0], draw.key[1], counters);
#pragma GCC unroll 4
        for (int batch = 0; batch < kBatches; ++batch) {
          const int block = first + batch * kBlockLanes;
          float* group = factors + block / kBlocks * kGroup + block % kBlocks;
#pragma GCC unroll 4
          for (int word = 0; word < 4; ++word) {
            store(group + word * kBlocks, counters[batch][word] < draw.threshold ? Vec<float>{} : splat(draw.scale));
          }
        }
      }
      const int64_t end = width - begin < kColumns ? width - begin : kColumns;
      for (int64_t i = 0; i < end; i += kLanes<C>) {
        Vec<C> factor;
        if constexpr (sizeof(C) == sizeof(float)) {
          factor = load(factors + i);
        } else {
          for (int lane = 0; lane < kLanes<C>; ++lane) factor[lane] = factors[i + lane];
        }
        const Vec<C> v = load_up_to(x + begin + i, end - i);
        store_up_to(y + begin + i, factor == 0 ? Vec<C>{} : v * factor, end - i);
        if (!dy) continue;
        const Vec<C> slope = load_up_to(dy + begin + i, end - i);
        const Vec<C> sum = load_up_to(dx + begin + i, end - i) + (factor == 0 ? Vec<C>{} : slope * factor);
        store_up_to(dx + begin + i, sum, end - i);
      }
    }
    if (dy) {
      dy += width;
      dx += width;
    }
  }
}

template <class E>
Compute<E> cross_entropy_row(E* logits, int64_t classes, int64_t target, Compute<E> weight, double softcap,
                             bool gradient) {
  using C = Compute<E>;
  constexpr int64_t kStep = kLanes<C>, kBlock = 32 * kStep;
  const C cap = static_cast<C>(softcap), inverse_cap = softcap > 0 ? 1 / cap : 0;
  const C lowest = -__builtin_inf();
  C block[kBlock];
  C top = lowest, total = 0;
  for (int64_t begin = 0; begin < classes;
       begin += kBlock) {  // running maximum and sum, rescaled when the maximum grows
    const int64_t count = classes - begin < kBlock ? classes - begin : kBlock;
    Vec<C> block_max = splat(lowest);
    for (int64_t i = 0; i < count; i += kStep) {
      Vec<C> v = load_up_to(logits + begin + i, count - i);
      if (softcap > 0) v = cap * tanh_of(v * inverse_cap);
      if (count - i < kStep) {
        for (int64_t lane = count - i; lane < kStep; ++lane) v[lane] = lowest;
      }
      store(block + i, v);
      block_max = max_of(block_max, v);
    }
    const C here = max_lane<C>(block_max);
    if (here > top) {
      total *= top == lowest ? C{0} : exp_of(top - here);
      top = here;
    }
    Vec<C> sums[2] = {};
    for (int64_t i = 0; i < count; i += kStep) sums[(i / kStep) % 2] += exp_of(load(block + i) - top);
    total += sum_of<C>(sums[0] + sums[1]);
  }
  C at_target = to_compute(logits[target]);
  if (softcap > 0) at_target = cap * static_cast<C>(__builtin_tanh(at_target * inverse_cap));
  const C lse = top + log_of(total);
  if (gradient) {
    const auto target_gradient = [&](C raw) {
      const C capped = softcap > 0 ? static_cast<C>(__builtin_tanh(raw * inverse_cap)) : C{0};
      return weight * (exp_of(at_target - lse) - 1) * (1 - capped * capped);
    };
    const C hit = target_gradient(to_compute(logits[target]));
    for (int64_t i = 0; i < classes; i += kStep) {
      Vec<C> v = load_up_to(logits + i, classes - i);
      if (softcap > 0) {
        const Vec<C> capped = tanh_of(v * inverse_cap);
        v = exp_of(cap * capped - lse) * weight * (1 - capped * capped);
      } else {
        v = exp_of(v - lse) * weight;
      }
      store_up_to(logits + i, v, classes - i);
    }
    Vec<C> one = {};
    one[0] = hit;
    store_part(logits + target, one, 1);
  }
  return lse - at_target;
}

}  // namespace
}  // namespace moelora::kernels
