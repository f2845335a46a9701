#include "bench/train_bench.h"

#include <gtest/gtest.h>

#include <numeric>

#include "bench/shapes.h"
#include "bench/workload.h"
#include "kernels/allocator.h"
#include "nn/random_weights.h"

namespace moelora::bench {
namespace {

struct Bench {
  config::RunConfig config;
  Workload workload = even_workload(64, 40, 4096, 1);
  adapters::Model model;

  Bench() {
    kernels::install_caching_allocator();
    config.train.batch_size = 4;
    config.train.dtype = config::DType::kFloat32;
    const nn::ModelConfig shape = bench::shape("tiny");
    nn::RandomWeights weights(1, shape.initializer_range);
    model.decoder = std::make_unique<nn::Decoder>(shape, weights, at::kFloat);
    model.adapters = std::make_unique<adapters::AdapterSet>(*model.decoder, config.adapter, workload.tasks, 1);
  }
};

TEST(TrainBench, CountsEveryTokenOfTheTimedStepsOnce) {
  const Bench bench;
  const TrainBench result = bench_train(bench.model, bench.workload.rows, bench.config, {.steps = 3, .warmup = 1});
  EXPECT_EQ(result.steps, 3);
  EXPECT_EQ(result.tokens, 3 * 4 * 40);
  EXPECT_GT(result.seconds, 0);
}

TEST(TrainBench, SplitsTheTimeOfTheSteps) {
  const Bench bench;
  const TrainBench result = bench_train(bench.model, bench.workload.rows, bench.config, {.steps = 4, .warmup = 1});
  const double sum = std::accumulate(result.work.begin(), result.work.end(), 0.0);
  EXPECT_NEAR(sum / result.seconds, 1, 0.1);
  for (const Work work :
       {Work::kMatrix, Work::kAttention, Work::kElementwise, Work::kAdapter, Work::kLoss, Work::kOptimizer}) {
    EXPECT_GT(result.work[static_cast<size_t>(work)], 0) << work_name(work);
  }
}

TEST(TrainBench, StepsOfEqualShapeAskTheSystemForNoTensorMemory) {
  const Bench bench;
  EXPECT_EQ(bench_train(bench.model, bench.workload.rows, bench.config, {.steps = 8, .warmup = 2}).allocations, 0);
}

TEST(TrainBench, StartsFromTheLossOfAnUntrainedModel) {
  const Bench bench;
  const TrainBench result = bench_train(bench.model, bench.workload.rows, bench.config, {.steps = 1, .warmup = 0});
  EXPECT_NEAR(result.mean_loss, std::log(4096.0), 0.3);
}

TEST(TrainBench, TimesTheProductsWhereAsked) {
  const Bench bench;
  const TrainBench result =
      bench_train(bench.model, bench.workload.rows, bench.config, {.steps = 2, .warmup = 1, .products = true});
  EXPECT_GT(result.products_seconds, 0);
  EXPECT_TRUE(train_bench_json(result).contains("of_products"));
}

}  // namespace
}  // namespace moelora::bench
