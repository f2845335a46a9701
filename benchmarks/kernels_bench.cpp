// Each kernel at the sizes of Qwen2.5-0.5B: GB/s of what it must read and write, GFLOP/s of what it must multiply,
// beside the machine's own limits (a copy, a GEMM) and ATen's attention. Run: build/<preset>/benchmarks/kernels_bench
// --benchmark_min_time=0.2
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <benchmark/benchmark.h>
#include <torch/csrc/autograd/autograd.h>

#include <tuple>
#include <vector>

#include "kernels/attention.h"
#include "kernels/dropout.h"
#include "kernels/few_rows.h"
#include "kernels/glu.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/supervised_cross_entropy.h"

namespace moelora::kernels {
namespace {

using benchmark::Counter;

constexpr int64_t kHidden = 896, kInner = 4864, kHeads = 14, kKvHeads = 2, kHeadSize = 64, kVocabulary = 151936,
                  kRows = 1024;

at::ScalarType dtype(const benchmark::State& state) {
  return state.range(0) != 0 ? at::kBFloat16 : at::kFloat;
}
at::Tensor leaf(std::vector<int64_t> sizes, at::ScalarType type) {
  return at::randn(sizes, at::kFloat).to(type).set_requires_grad(true);
}
void report_bytes(benchmark::State& state, double bytes) {
  state.counters["GB/s"] = Counter(bytes * 1e-9, Counter::kIsIterationInvariantRate);
}
void report_flops(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] = Counter(flops * 1e-9, Counter::kIsIterationInvariantRate);
}
void backward(const at::Tensor& y, const std::vector<at::Tensor>& inputs, const at::Tensor& dy) {
  benchmark::DoNotOptimize(torch::autograd::grad({y}, inputs, {dy}));
}

void copy_limit(benchmark::State& state) {
  const at::Tensor from = at::zeros({kRows * kInner * 8}, dtype(state)),
                   to = at::zeros({kRows * kInner * 8}, dtype(state));
  for (auto _ : state) to.copy_(from);
  report_bytes(state, 2.0 * from.nbytes());
}
void gemm_limit(benchmark::State& state) {
  const at::Tensor x = leaf({kRows, kHidden}, dtype(state)).detach(),
                   w = leaf({kInner, kHidden}, dtype(state)).detach();
  for (auto _ : state) benchmark::DoNotOptimize(at::mm(x, w.t()));
  report_flops(state, 2.0 * kRows * kHidden * kInner);
}

void add_rms_norm_both_ways(benchmark::State& state) {
  const at::Tensor x = leaf({kRows, kHidden}, dtype(state)), residual = leaf({kRows, kHidden}, dtype(state));
  const at::Tensor weight = leaf({kHidden}, dtype(state)).detach(), dy = leaf({kRows, kHidden}, dtype(state)).detach();
  for (auto _ : state) {
    const auto [y, sum] = add_rms_norm(x, residual, weight, {1e-6});
    benchmark::DoNotOptimize(torch::autograd::grad({y, sum}, {x, residual}, {dy, dy}));
  }
  report_bytes(state, 8.0 * x.nbytes());  // reads x, residual; writes y, sum; backward reads dy, dsum, sum, writes dx
}
void rope_both_ways(benchmark::State& state) {
  const at::Tensor x = leaf({kRows, kHeads, kHeadSize}, dtype(state)),
                   angle = at::randn({kRows, kHeadSize / 2}, at::kFloat);
  const at::Tensor cos = angle.cos(), sin = angle.sin(), dy = leaf({kRows, kHeads, kHeadSize}, dtype(state)).detach();
  for (auto _ : state) backward(rope(x, cos, sin), {x}, dy);
  report_bytes(state, 4.0 * x.nbytes());
}
void swiglu_both_ways(benchmark::State& state) {
  const at::Tensor gate = leaf({kRows, kInner}, dtype(state)), up = leaf({kRows, kInner}, dtype(state));
  const at::Tensor dy = leaf({kRows, kInner}, dtype(state)).detach();
  for (auto _ : state) backward(swiglu(gate, up), {gate, up}, dy);
  report_bytes(state, 8.0 * gate.nbytes());
}
void dropout_forward(benchmark::State& state) {
  const at::Tensor x = leaf({kRows, kHidden}, dtype(state)).detach(), row = at::arange(kRows, at::kLong);
  for (auto _ : state) benchmark::DoNotOptimize(counter_dropout_raw(x, {.p = 0.1, .seed = 1, .module = 1}, row, row));
  report_bytes(state, 2.0 * x.nbytes());
}

struct Sequences {
  std::vector<int64_t> cu_seqlens{0};
  double products = 0;  // query-key pairs seen
};
Sequences sequences_of(int64_t length) {
  Sequences result;
  for (int64_t begin = 0; begin < kRows; begin += length) result.cu_seqlens.push_back(begin + length);
  result.products = static_cast<double>(kRows / length) * static_cast<double>(length * (length + 1)) / 2;
  return result;
}
void attention(benchmark::State& state) {  // range(1): length; range(2): with backward
  const Sequences sequences = sequences_of(state.range(1));
  std::vector<at::Tensor> in;
  for (const int64_t heads : {kHeads, kKvHeads, kKvHeads}) in.push_back(leaf({kRows, heads, kHeadSize}, dtype(state)));
  const at::Tensor dout = leaf({kRows, kHeads, kHeadSize}, dtype(state)).detach();
  for (auto _ : state) {
    const at::Tensor out = packed_attention(in[0], in[1], in[2], sequences.cu_seqlens, {.scale = 0.125});
    if (state.range(2) != 0) backward(out, in, dout);
  }
  report_flops(state, (state.range(2) != 0 ? 14 : 4) * sequences.products * kHeads * kHeadSize);
}
void attention_of_aten(benchmark::State& state) {
  const Sequences sequences = sequences_of(state.range(1));
  std::vector<at::Tensor> in;
  for (const int64_t heads : {kHeads, kKvHeads, kKvHeads}) in.push_back(leaf({kRows, heads, kHeadSize}, dtype(state)));
  const at::Tensor dout = leaf({kRows, kHeads, kHeadSize}, dtype(state)).detach();
  for (auto _ : state) {
    for (size_t s = 0; s + 1 < sequences.cu_seqlens.size(); ++s) {
      const auto part = [&](const at::Tensor& x) {
        return x.narrow(0, sequences.cu_seqlens[s], state.range(1)).transpose(0, 1).unsqueeze(0);
      };
      const at::Tensor out = std::get<0>(
          at::_scaled_dot_product_flash_attention_for_cpu(part(in[0]), part(in[1]), part(in[2]), 0.0, true, {}, 0.125));
      if (state.range(2) != 0) backward(out, in, part(dout));
    }
  }
  report_flops(state, (state.range(2) != 0 ? 14 : 4) * sequences.products * kHeads * kHeadSize);
}
void decode_attention(benchmark::State& state) {  // range(1): cached positions; eight sequences, one new row each
  std::vector<at::Tensor> keys, values;
  std::vector<int64_t> cu_seqlens{0};
  for (int64_t s = 0; s < 8; ++s) {
    keys.push_back(leaf({state.range(1), kKvHeads, kHeadSize}, dtype(state)).detach());
    values.push_back(leaf({state.range(1), kKvHeads, kHeadSize}, dtype(state)).detach());
    cu_seqlens.push_back(s + 1);
  }
  const at::Tensor q = leaf({8, kHeads, kHeadSize}, dtype(state)).detach();
  for (auto _ : state) benchmark::DoNotOptimize(cached_attention(q, cu_seqlens, keys, values, {.scale = 0.125}));
  report_bytes(state, 16.0 * keys[0].nbytes());
}

void few_rows(benchmark::State& state) {  // range(1): rows; range(2): in; weights that no cache holds
  const int64_t in = state.range(2), out = 200'000'000 / in;
  const at::Tensor x = leaf({state.range(1), in}, dtype(state)).detach(), w = at::zeros({out, in}, dtype(state));
  for (auto _ : state) benchmark::DoNotOptimize(few_rows_linear(x, w, {}));
  report_bytes(state, w.nbytes());
}

void cross_entropy(benchmark::State& state) {  // range(1): supervised rows; range(2): with the gradient
  const at::Tensor hidden = leaf({state.range(1), kHidden}, dtype(state));
  const at::Tensor head = at::randn({kVocabulary, kHidden}, at::kFloat).mul(0.02).to(dtype(state));
  const at::Tensor targets = at::arange(state.range(1), at::kLong), weights = at::randn({state.range(1)}, at::kFloat);
  for (auto _ : state) {
    const at::AutoGradMode mode(state.range(2) != 0);
    benchmark::DoNotOptimize(supervised_cross_entropy(hidden, head, targets, weights).loss);
  }
  report_flops(state, (state.range(2) != 0 ? 4.0 : 2.0) * static_cast<double>(state.range(1)) * kVocabulary * kHidden);
}
void cross_entropy_products(benchmark::State& state) {  // the two products alone
  const at::Tensor hidden = leaf({state.range(1), kHidden}, dtype(state)).detach();
  const at::Tensor head = at::randn({kVocabulary, kHidden}, at::kFloat).mul(0.02).to(dtype(state));
  at::Tensor logits = at::empty({state.range(1), kVocabulary}, dtype(state)), dhidden = at::empty_like(hidden);
  for (auto _ : state) {
    at::mm_out(logits, hidden, head.t());
    at::mm_out(dhidden, logits, head);
  }
  report_flops(state, 4.0 * static_cast<double>(state.range(1)) * kVocabulary * kHidden);
}

#define MOELORA_BENCH(name) BENCHMARK(name)->UseRealTime()->Unit(benchmark::kMicrosecond)
#define MOELORA_BOTH_DTYPES(name) MOELORA_BENCH(name)->ArgName("bf16")->Arg(1)->Arg(0)

MOELORA_BOTH_DTYPES(copy_limit);
MOELORA_BOTH_DTYPES(gemm_limit);
MOELORA_BOTH_DTYPES(add_rms_norm_both_ways);
MOELORA_BOTH_DTYPES(rope_both_ways);
MOELORA_BOTH_DTYPES(swiglu_both_ways);
MOELORA_BOTH_DTYPES(dropout_forward);
MOELORA_BENCH(attention)->ArgNames({"bf16", "length", "backward"})->ArgsProduct({{1, 0}, {128, 512, 1024}, {0, 1}});
MOELORA_BENCH(attention_of_aten)
    ->ArgNames({"bf16", "length", "backward"})
    ->ArgsProduct({{1, 0}, {128, 512, 1024}, {0, 1}});
MOELORA_BENCH(decode_attention)->ArgNames({"bf16", "cached"})->ArgsProduct({{1, 0}, {512, 4096}});
MOELORA_BENCH(few_rows)->ArgNames({"bf16", "rows", "in"})->ArgsProduct({{1, 0}, {1, 8}, {kHidden, kInner}});
MOELORA_BENCH(cross_entropy)
    ->ArgNames({"bf16", "rows", "gradient"})
    ->ArgsProduct({{1, 0}, {64, 256}, {1}})
    ->Args({1, 256, 0});
MOELORA_BENCH(cross_entropy_products)->ArgNames({"bf16", "rows"})->ArgsProduct({{1, 0}, {64, 256}});

}  // namespace
}  // namespace moelora::kernels
