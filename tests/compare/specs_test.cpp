// The comparisons that are shipped: each can be read, each run of each has a valid configuration, and each asks what it
// says it asks.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "compare/cells.h"
#include "config/load.h"
#include "core/temporary_directory.h"
#include "io/json_file.h"

namespace moelora::compare {
namespace {

namespace fs = std::filesystem;

const fs::path kExamples = "examples";

/// Every run that the spec can come to, with any learning rate of its grid.
std::vector<Cell> cells_of(const config::CompareSpec& spec) {
  std::vector<std::string> rates = spec.learning_rates;
  if (rates.empty()) rates.emplace_back();
  std::vector<Cell> cells;
  for (const Variant& variant : variants(spec)) {
    for (const std::string& rate : rates) {
      for (const uint64_t seed : spec.seeds) cells.push_back(make_cell(spec, variant, rate, seed, {}));
    }
  }
  return cells;
}

std::vector<Cell> cells_of(const std::string& file) {
  return cells_of(config::load_compare_spec(kExamples / file));
}

TEST(ShippedSpecs, DescribeAsManyDifferentRunsAsIntended) {
  const std::map<std::string, size_t> runs = {
      {"icd10/compare.yaml", 12 * 5},
      {"icd10/quantization.yaml", 3},
      {"icd10/rates.yaml", 9 * 7},
      {"icd10/rates_full.yaml", 5},
      {"icd10/sweep_embedding.yaml", 4 * 2},
      {"icd10/sweep_experts.yaml", 5 * 2},
      {"icd10/sweep_rank.yaml", 2 * 6 * 2},
      {"icd10/sweep_rare.yaml", 3 * 4 * 2},
      {"synthetic/compare_conflict.yaml", 9 * 3 * 5},
      {"synthetic/compare_negative.yaml", 9 * 3 * 5},
      {"synthetic/compare_positive.yaml", 9 * 3 * 5},
  };
  for (const auto& [file, count] : runs) {
    std::set<std::string> keys;
    for (const Cell& cell : cells_of(file)) {
      keys.insert(cell.key);
      const bool on_any_processor = cell.config.train.dtype == config::DType::kBFloat16;
      EXPECT_TRUE(on_any_processor || file == "icd10/quantization.yaml") << file << ": its results are carried";
    }
    EXPECT_EQ(keys.size(), count) << file;
  }
  for (const std::string folder : {"icd10", "synthetic"}) {
    for (const fs::directory_entry& entry : fs::directory_iterator(kExamples / folder)) {
      const std::string name = entry.path().filename();
      const bool is_spec = name.ends_with(".yaml") &&
                           (name.starts_with("compare") || name.starts_with("rates") || name.starts_with("sweep_"));
      EXPECT_EQ(is_spec && !runs.contains(folder + "/" + name), false) << "a spec without a number of runs: " << name;
    }
  }
}

TEST(ShippedSpecs, HoldEveryPointOfASweepAgainstOneReference) {
  for (const std::string file : {"icd10/sweep_rank.yaml", "icd10/sweep_rare.yaml"}) {
    std::map<std::string, int> references;
    for (const Variant& variant : variants(config::load_compare_spec(kExamples / file)))
      references[variant.sweep] += variant.reference;
    EXPECT_EQ(references.size(), file.ends_with("rank.yaml") ? 6u : 4u);
    for (const auto& [point, count] : references) EXPECT_EQ(count, 1) << file << " " << point;
  }
}

TEST(ShippedSpecs, SweepTheRankWithItsAlphaAndItsExperts) {
  std::set<int64_t> ranks;
  for (const Cell& cell : cells_of("icd10/sweep_rank.yaml")) {
    const config::AdapterConfig& adapter = cell.config.adapter;
    ranks.insert(adapter.rank);
    EXPECT_EQ(adapter.alpha, 2.0 * static_cast<double>(adapter.rank));
    EXPECT_EQ(adapter.experts, std::min<int64_t>(8, adapter.rank));
    EXPECT_EQ(cell.config.train.epochs, 1);
  }
  EXPECT_THAT(ranks, ::testing::ElementsAre(2, 4, 8, 16, 32, 64));
}

TEST(ShippedSpecs, SweepTheRowsOfOneTaskUpToAllThatThereAre) {
  std::set<int64_t> capped;
  size_t whole = 0;
  for (const Cell& cell : cells_of("icd10/sweep_rare.yaml")) {
    const auto event = cell.config.tasks.find("event");
    if (event == cell.config.tasks.end()) {
      ++whole;
    } else {
      capped.insert(event->second.max_rows.value());
    }
  }
  EXPECT_THAT(capped, ::testing::ElementsAre(50, 200, 1000));
  EXPECT_EQ(whole, 3u * 2u);
}

TEST(ShippedSpecs, SweepTheRowsOfOneTaskByTheConfigurationOfTheHeadlineAndMoreRows) {
  const config::RunConfig base = config::load_config(kExamples / "icd10/moelora.yaml");
  config::RunConfig more = config::load_config(kExamples / "icd10/more_events.yaml");
  ASSERT_EQ(more.data.sources.size(), 2u);
  more.data.sources.pop_back();
  more.output = base.output;
  EXPECT_EQ(config::to_yaml(more), config::to_yaml(base));
}

TEST(ShippedSpecs, TakeTheLearningRatesThatTheSearchFound) {
  // Of the trials' results: the best on the dev rows of each method of rates.yaml and rates_full.yaml.
  std::map<std::string, std::pair<double, double>> best;  // method: score, rate
  const config::CompareSpec rates = config::load_compare_spec(kExamples / "icd10/rates.yaml");
  for (const fs::directory_entry& entry : fs::directory_iterator(rates.results)) {
    const nlohmann::json result = io::read_json_object(entry.path());
    if (result.at("seed") != rates.seeds.front() || result.at("dev").is_null()) continue;
    EXPECT_TRUE(result.at("dev_is_score").get<bool>());
    std::string method = result.at("variant");
    method = method.substr(0, method.find(", train.epochs="));
    best[method] = std::max(best[method],
                            {result.at("dev").get<double>(), std::stod(result.at("learning_rate").get<std::string>())});
  }
  EXPECT_EQ(best.size(), 10u);
  for (const Cell& cell : cells_of("icd10/compare.yaml")) {
    const std::string& name = cell.variant.name;
    const bool of_tasks_loras = name == "lorahub" || name == "task arithmetic";
    const auto found = best.find(of_tasks_loras ? "lora per task, r" : name);
    ASSERT_NE(found, best.end()) << name;
    EXPECT_EQ(cell.config.train.learning_rate, found->second.second) << name;
  }
}

TEST(ShippedSpecs, OfTheDocumentationAreValid) {
  const std::string docs = test::read_file("docs/compare.md");
  const size_t start = docs.find("```yaml\n") + 8;
  const std::string yaml = docs.substr(start, docs.find("```", start) - start);
  const config::CompareSpec spec = config::parse_compare_spec(yaml, kExamples / "icd10/compare.yaml");
  EXPECT_EQ(cells_of(spec).size(), spec.methods.size() * 2 * spec.seeds.size() * spec.learning_rates.size());
}

}  // namespace
}  // namespace moelora::compare
