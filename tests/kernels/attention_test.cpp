#include "kernels/attention.h"

#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <tuple>

#include "core/error.h"
#include "kernels/levels.h"
#include "support/gradcheck.h"

namespace moelora::kernels {
namespace {

using test::expect_gradients;
using test::random_tensor;
using test::relative_difference;

/// Attention of one query row at a time, from the definition, float64: q [n, Hq, D] are the last rows of k, v [len,
/// Hkv, D].
at::Tensor oracle(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionOptions& options) {
  std::vector<at::Tensor> rows;
  const int64_t group = q.size(1) / k.size(1), offset = k.size(0) - q.size(0);
  for (int64_t i = 0; i < q.size(0); ++i) {
    std::vector<at::Tensor> heads;
    const int64_t last = offset + i, first = options.window > 0 ? std::max<int64_t>(0, last - options.window + 1) : 0;
    for (int64_t h = 0; h < q.size(1); ++h) {
      const auto seen = [&](const at::Tensor& x) { return x.narrow(0, first, last - first + 1).select(1, h / group); };
      at::Tensor scores = seen(k).mul(q.select(0, i).select(0, h)).sum(1).mul(options.scale);
      if (options.softcap > 0) scores = scores.div(options.softcap).tanh().mul(options.softcap);
      heads.push_back(scores.softmax(0).unsqueeze(1).mul(seen(v)).sum(0, true));
    }
    rows.push_back(at::cat(heads, 0).unsqueeze(0));
  }
  return rows.empty() ? at::empty(q.sizes(), q.options()) : at::cat(rows, 0);
}

at::Tensor packed_oracle(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const std::vector<int64_t>& cu_seqlens, const AttentionOptions& options) {
  std::vector<at::Tensor> parts;
  for (size_t s = 0; s + 1 < cu_seqlens.size(); ++s) {
    const auto part = [&](const at::Tensor& x) {
      return x.narrow(0, cu_seqlens[s], cu_seqlens[s + 1] - cu_seqlens[s]);
    };
    parts.push_back(oracle(part(q), part(k), part(v), options));
  }
  return parts.empty() ? at::empty(q.sizes(), q.options()) : at::cat(parts, 0);
}

class AttentionTest : public EveryLevel {};

TEST_P(AttentionTest, GradientsMatchCentralDifferences) {
  const std::vector<int64_t> cu_seqlens{0, 1, 1, 8, 11};  // lengths 1, 0, 7, 3
  for (const AttentionOptions& options :
       {AttentionOptions{.scale = 0.6}, AttentionOptions{.scale = 0.9, .softcap = 2},
        AttentionOptions{.scale = 0.6, .window = 3}, AttentionOptions{.scale = 0.9, .softcap = 2, .window = 3}}) {
    expect_gradients(
        [&](const auto& in) {
          return std::vector<at::Tensor>{packed_attention(in[0], in[1], in[2], cu_seqlens, options)};
        },
        {random_tensor({11, 4, 5}, 1), random_tensor({11, 2, 5}, 2), random_tensor({11, 2, 5}, 3)});
  }
}

struct Case {
  std::vector<int64_t> lengths;
  int64_t heads, kv_heads, size;
  AttentionOptions options;
};

void expect_close_to_float64(const Case& c, at::ScalarType type) {
  std::vector<int64_t> cu_seqlens{0};
  for (const int64_t length : c.lengths) cu_seqlens.push_back(cu_seqlens.back() + length);
  const int64_t rows = cu_seqlens.back();
  // q, k and v are slices of one tensor, as a fused projection gives them.
  const at::Tensor joint = random_tensor({rows, c.heads + 2 * c.kv_heads, c.size}, 7).to(type);
  const int64_t starts[] = {0, c.heads, c.heads + c.kv_heads}, counts[] = {c.heads, c.kv_heads, c.kv_heads};
  std::vector<at::Tensor> in, wide;
  for (int i = 0; i < 3; ++i) {
    in.push_back(joint.narrow(1, starts[i], counts[i]).detach().set_requires_grad(true));
    wide.push_back(in[i].detach().to(at::kDouble).set_requires_grad(true));
  }
  const at::Tensor dout = random_tensor({rows, c.heads, c.size}, 8).to(type);
  const at::Tensor found = packed_attention(in[0], in[1], in[2], cu_seqlens, c.options);
  const at::Tensor expected = packed_oracle(wide[0], wide[1], wide[2], cu_seqlens, c.options);
  EXPECT_EQ(found.scalar_type(), type);
  // bf16: the result's own rounding (2^-9), that of the weights, and sums of a hundred such.
  const double tolerance = type == at::kBFloat16 ? 1.0 / 64 : type == at::kFloat ? 5e-6 : 1e-12;
  EXPECT_LE(relative_difference(found, expected), tolerance);
  if (rows > 0) {
    const auto gradients = torch::autograd::grad({found}, in, {dout});
    const auto exact = torch::autograd::grad({expected}, wide, {dout.to(at::kDouble)});
    for (int i = 0; i < 3; ++i)
      EXPECT_LE(relative_difference(gradients[i], exact[i]), tolerance) << "gradient of input " << i;
  }
  const at::NoGradGuard no_grad;  // the path without log-sum-exp
  EXPECT_LE(relative_difference(packed_attention(in[0], in[1], in[2], cu_seqlens, c.options), expected), tolerance);
}

TEST_P(AttentionTest, IsCloseToFloat64InEveryDtypeAndShape) {
  const std::vector<Case> cases{
      {{}, 2, 1, 16, {.scale = 0.25}},
      {{0, 0}, 2, 1, 16, {.scale = 0.25}},
      {{1}, 1, 1, 1, {.scale = 1}},
      {{1, 0, 2, 0}, 3, 3, 7, {.scale = 0.4}},
      {{5, 70, 33}, 6, 2, 24, {.scale = 0.2}},
      {{97, 130}, 2, 1, 80, {.scale = 0.11, .softcap = 5}},
      {{200}, 4, 2, 32, {.scale = 0.18, .window = 40}},
      {{300}, 1, 1, 65, {.scale = 0.12, .window = 2}},
      {{210, 17}, 2, 1, 48, {.scale = 0.15, .softcap = 3, .window = 33}},
  };
  for (const Case& c : cases) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) expect_close_to_float64(c, type);
  }
}

TEST_P(AttentionTest, LongSequencesCrossEveryBlockBoundary) {
  // Longer than the forward's key block and the backward's query block; ATen's own kernel in float64 is the oracle.
  const int64_t length = 611, heads = 2, size = 16;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    std::vector<at::Tensor> in, wide;
    for (int i = 0; i < 3; ++i) {
      in.push_back(random_tensor({length, heads, size}, 20 + i).to(type).set_requires_grad(true));
      wide.push_back(in[i].detach().to(at::kDouble).set_requires_grad(true));
    }
    const std::vector<int64_t> cu_seqlens{0, length};
    const at::Tensor dout = random_tensor({length, heads, size}, 30).to(type);
    const at::Tensor found = packed_attention(in[0], in[1], in[2], cu_seqlens, {.scale = 0.25});
    const auto batch = [](const at::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); };
    const at::Tensor expected = std::get<0>(at::_scaled_dot_product_flash_attention_for_cpu(
                                                batch(wide[0]), batch(wide[1]), batch(wide[2]), 0.0, true, {}, 0.25))
                                    .squeeze(0)
                                    .transpose(0, 1);
    const double tolerance = type == at::kBFloat16 ? 1.0 / 64 : 5e-6;
    EXPECT_LE(relative_difference(found, expected), tolerance);
    const auto gradients = torch::autograd::grad({found}, in, {dout});
    const auto exact = torch::autograd::grad({expected}, wide, {dout.to(at::kDouble)});
    for (int i = 0; i < 3; ++i)
      EXPECT_LE(relative_difference(gradients[i], exact[i]), tolerance) << "gradient of input " << i;
  }
}

TEST_P(AttentionTest, LargeScoresStayFinite) {
  const at::Tensor q = random_tensor({40, 1, 8}, 1, 100).to(at::kFloat),
                   k = random_tensor({40, 1, 8}, 2, 100).to(at::kFloat);
  const at::Tensor v = random_tensor({40, 1, 8}, 3).to(at::kFloat);
  const std::vector<int64_t> cu_seqlens{0, 40};
  const at::Tensor expected =
      packed_oracle(q.to(at::kDouble), k.to(at::kDouble), v.to(at::kDouble), cu_seqlens, {.scale = 1});
  EXPECT_LE(relative_difference(packed_attention(q, k, v, cu_seqlens, {.scale = 1}), expected), 1e-2);
}

TEST_P(AttentionTest, NanInOneSequenceReachesItsResultAndNoOther) {
  const at::Tensor q = random_tensor({10, 1, 8}, 1).to(at::kFloat), k = random_tensor({10, 1, 8}, 2).to(at::kFloat);
  const at::Tensor v = random_tensor({10, 1, 8}, 3).to(at::kFloat);
  q.mutable_data_ptr<float>()[7 * 8] = NAN;
  const at::Tensor nan = packed_attention(q, k, v, std::vector<int64_t>{0, 6, 10}, {.scale = 1}).isnan();
  EXPECT_FALSE(nan.narrow(0, 0, 6).any().item<bool>());
  EXPECT_TRUE(nan.select(0, 7).any().item<bool>());
}

TEST_P(AttentionTest, AResultIsTheSameBitsAgainAndAlone) {
  // Packing must not change a sequence's numbers: the same rows alone, or behind another sequence.
  std::vector<at::Tensor> in;
  for (int i = 0; i < 3; ++i)
    in.push_back(random_tensor({150, 2, 16}, 40 + i).to(at::kBFloat16).set_requires_grad(true));
  const std::vector<int64_t> cu_seqlens{0, 37, 150};
  const at::Tensor dout = random_tensor({150, 2, 16}, 50).to(at::kBFloat16);
  const at::Tensor packed = packed_attention(in[0], in[1], in[2], cu_seqlens, {.scale = 0.25});
  const auto gradients = torch::autograd::grad({packed}, in, {dout}, /*retain_graph=*/true);
  const auto again = torch::autograd::grad({packed}, in, {dout});
  std::vector<at::Tensor> alone;
  for (const at::Tensor& x : in) alone.push_back(x.detach().narrow(0, 37, 113).clone().set_requires_grad(true));
  const at::Tensor part = packed_attention(alone[0], alone[1], alone[2], std::vector<int64_t>{0, 113}, {.scale = 0.25});
  EXPECT_TRUE(part.equal(packed.narrow(0, 37, 113)));
  const auto alone_gradients = torch::autograd::grad({part}, alone, {dout.narrow(0, 37, 113)});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(gradients[i].equal(again[i]));
    EXPECT_LE(relative_difference(alone_gradients[i], gradients[i].narrow(0, 37, 113)), 1.0 / 128);
  }
}

TEST_P(AttentionTest, CachedQueriesAreTheLastRowsOfTheirSequence) {
  // One new token, none, a few, a whole prefill, and a chunk of one, against caches of their own lengths.
  const std::vector<std::pair<int64_t, int64_t>> sizes{{1, 50}, {0, 9}, {3, 300}, {20, 20}, {40, 111}, {1, 1}};
  for (const AttentionOptions& options :
       {AttentionOptions{.scale = 0.2}, AttentionOptions{.scale = 0.2, .softcap = 3, .window = 30}}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
      std::vector<int64_t> cu_seqlens{0};
      std::vector<at::Tensor> keys, values, expected;
      for (const auto& [queries, length] : sizes) {
        cu_seqlens.push_back(cu_seqlens.back() + queries);
        // A cache with room to spare: its first `length` rows count.
        keys.push_back(random_tensor({length + 5, 2, 20}, 100 + length).to(type).narrow(0, 0, length));
        values.push_back(random_tensor({length + 5, 2, 20}, 200 + length).to(type).narrow(0, 0, length));
      }
      const at::Tensor q = random_tensor({cu_seqlens.back(), 6, 20}, 3).to(type);
      for (size_t s = 0; s < sizes.size(); ++s) {
        expected.push_back(oracle(q.narrow(0, cu_seqlens[s], sizes[s].first).to(at::kDouble), keys[s].to(at::kDouble),
                                  values[s].to(at::kDouble), options));
      }
      const double tolerance = type == at::kBFloat16 ? 1.0 / 64 : type == at::kFloat ? 5e-6 : 1e-12;
      EXPECT_LE(relative_difference(cached_attention(q, cu_seqlens, keys, values, options), at::cat(expected, 0)),
                tolerance);
    }
  }
}

TEST(AttentionErrors, ShapesThatDoNotFitAreRefused) {
  const at::Tensor q = random_tensor({4, 3, 8}, 1), k = random_tensor({4, 2, 8}, 2);
  const std::vector<int64_t> whole{0, 4}, short_of_rows{0, 3}, descending{0, 3, 2, 4};
  EXPECT_THROW(packed_attention(q, k, k, whole, {}), Error);  // 2 doesn't divide 3
  EXPECT_THROW(packed_attention(q, q, q, short_of_rows, {}), Error);
  EXPECT_THROW(packed_attention(q, q, q, descending, {}), Error);
  const std::vector<at::Tensor> too_few{q.narrow(0, 0, 3)};
  EXPECT_THROW(cached_attention(q, whole, too_few, too_few, {}), Error);
}

MOELORA_EVERY_LEVEL(AttentionTest);

}  // namespace
}  // namespace moelora::kernels
