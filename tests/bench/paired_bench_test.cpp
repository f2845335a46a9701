#include "bench/paired_bench.h"

#include <gtest/gtest.h>

#include <cmath>

#include "bench/shapes.h"
#include "bench/workload.h"
#include "nn/random_weights.h"

namespace moelora::bench {
namespace {

TEST(PairedBench, TheBoundIsTheLeastWalshAverageThatASignedRankTestAllows) {
  // P(no coin of 5) = 1 / 32, and with the sum 1 2 / 32: the largest average is the bound.
  EXPECT_EQ(upper_bound_of_median({1, 2, 5, 4, 3}), 5);
  // Wilcoxon's table: with 6 values P(W <= 2) = 3 / 64, P(W <= 3) = 5 / 64, so the third largest of 32, 24, 20, 18, 17,
  // …
  EXPECT_EQ(upper_bound_of_median({1, 2, 4, 8, 16, 32}), 20);
  // With 10 values P(W <= 10) = 0.042, P(W <= 11) = 0.053: the 11th largest of 10, 9.5, 9, 9, 8.5, 8.5, 8, 8,
  // 8, 7.5, 7.5, …
  EXPECT_EQ(upper_bound_of_median({10, 9, 8, 7, 6, 5, 4, 3, 2, 1}), 7.5);
  EXPECT_TRUE(std::isinf(upper_bound_of_median({1, 2, 3, 4})));
  EXPECT_EQ(median({4, 1, 3}), 3);
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
}

struct Paired : testing::Test {
  Workload workload = even_workload(16, 24, 4096, 1);
  adapters::Model model;
  config::RunConfig config;

  Paired() {
    config.train.batch_size = 4;
    const nn::ModelConfig shape = bench::shape("tiny");
    nn::RandomWeights weights(1, shape.initializer_range);
    model.decoder = std::make_unique<nn::Decoder>(shape, weights, at::kFloat);
  }
};

TEST_F(Paired, BothTakeTheSameStepsAndStepsOfAllTheEpochsAreTimed) {
  config::RunConfig lora = config;
  lora.adapter.method = config::Method::kLora;
  const PairedBench bench =
      bench_pairs(model, {config, {workload.tasks}, workload.rows}, {lora, {workload.tasks}, workload.rows},
                  /*pairs=*/3, {.steps = 2, .warmup = 1});
  EXPECT_EQ(bench.ratios.size(), 3U);
  EXPECT_EQ(bench.tokens, 3 * 2 * 4 * 24);
  EXPECT_EQ(model.adapters, nullptr);
  model.decoder->for_each_projection([](std::unique_ptr<nn::Projection>& slot) {
    EXPECT_NE(dynamic_cast<nn::BaseProjection*>(slot.get()), nullptr) << "the base as it was";
  });
}

TEST_F(Paired, MoreRankCostsMore) {
  config::RunConfig wide = config;
  wide.adapter.rank = 256;
  const PairedBench bench =
      bench_pairs(model, {wide, {workload.tasks}, workload.rows}, {config, {workload.tasks}, workload.rows},
                  /*pairs=*/5, {.steps = 2, .warmup = 1});
  EXPECT_GT(median(bench.cpu_ratios), 1.1);
}

}  // namespace
}  // namespace moelora::bench
