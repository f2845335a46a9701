// What the cache gives is what a forward of the whole sequence gives, however the rows arrive.
#include "generate/kv_cache.h"

#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "generate/made_models.h"
#include "support/families.h"

namespace moelora::generate {
namespace {

class CacheParity : public ::testing::TestWithParam<std::string> {};

TEST_P(CacheParity, HiddenRowsReadInPiecesEqualThoseReadAtOnce) {
  const at::NoGradGuard no_grad;
  const adapters::Model model = base_model(GetParam());
  const testing::FixtureBatch batch(GetParam() + "/ragged");
  const std::vector<int64_t> ends = batch.cu_seqlens();
  nn::PackedAttention whole(ends);
  const at::Tensor expected = model.decoder->forward(batch.rows(), whole, nullptr);

  // Two sequences (of 19 and 40 rows) side by side, whose pieces differ in size: a prompt, single tokens, a few, a
  // prompt again.
  const std::vector<std::vector<int64_t>> steps = {{5, 17}, {1, 1}, {3, 0}, {1, 16}, {9, 6}};
  const nn::Rows rows = batch.rows();
  SequenceCache first(model.decoder->config(), 19), second(model.decoder->config(), 40);
  std::vector<int64_t> read = {0, 0};
  for (const std::vector<int64_t>& step : steps) {
    std::vector<at::Tensor> ids, positions, wanted;
    std::vector<int64_t> cu_seqlens = {0};
    for (int64_t s = 0; s < 2; ++s) {
      const int64_t begin = ends[s + 2] + read[s];
      ids.push_back(rows.ids.narrow(0, begin, step[s]));
      positions.push_back(rows.positions.narrow(0, begin, step[s]));
      wanted.push_back(expected.narrow(0, begin, step[s]));
      cu_seqlens.push_back(cu_seqlens.back() + step[s]);
      read[s] += step[s];
    }
    CachedAttention attention({&first, &second}, cu_seqlens);
    const at::Tensor hidden = model.decoder->forward({at::cat(ids), at::cat(positions)}, attention, nullptr);
    EXPECT_LT(testing::largest_difference(hidden, at::cat(wanted)), 2e-5);
  }
  EXPECT_EQ(read, (std::vector<int64_t>{19, 40}));
}

INSTANTIATE_TEST_SUITE_P(Families, CacheParity, ::testing::ValuesIn(moelora::testing::kFamilies),
                         [](const auto& info) { return info.param; });

TEST(SequenceCache, KeepsLayersApartAndRowsInOrder) {
  const nn::ModelConfig config{.layers = 2};
  SequenceCache cache(config, 5);
  const at::Tensor k0 = at::randn({5, 2, 4}), v0 = at::randn({5, 2, 4}), k1 = at::randn({3, 2, 4}),
                   v1 = at::randn({3, 2, 4});
  cache.append(0, k0.narrow(0, 0, 2), v0.narrow(0, 0, 2));
  cache.append(1, k1, v1);
  cache.append(0, k0.narrow(0, 2, 3), v0.narrow(0, 2, 3));
  EXPECT_TRUE(cache.keys(0).equal(k0));
  EXPECT_TRUE(cache.values(0).equal(v0));
  EXPECT_TRUE(cache.keys(1).equal(k1));
  EXPECT_TRUE(cache.values(1).equal(v1));
}

TEST(SequenceCache, NeverTakesMoreThanItHasRoomFor) {
  SequenceCache cache(nn::ModelConfig{.layers = 1}, 2);
  const at::Tensor rows = at::randn({3, 1, 4});
  EXPECT_THROW(cache.append(0, rows, rows), Error);
}

}  // namespace
}  // namespace moelora::generate
