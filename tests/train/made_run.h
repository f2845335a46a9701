// A small run over the fixture models: rows of two tasks on the disk, the configuration for them, and the model
// attached.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "adapters/collapse.h"
#include "core/random.h"
#include "core/temporary_directory.h"
#include "support/fixtures_dir.h"
#include "train/finish.h"
#include "train/setup.h"

namespace moelora::testing {

/// Rows `{"input": …, "target": …}` of tasks `colour` and `echo`, answers of different lengths.
inline void write_rows(const std::filesystem::path& data) {
  for (const std::string task : {"colour", "echo"}) {
    std::filesystem::create_directories(data / task);
    for (const std::string split : {"train", "dev"}) {
      std::string rows;
      for (int i = 0; i < (split == "train" ? 12 : 3); ++i) {
        const std::string number = std::to_string(i);
        rows += R"({"input": ")" + split + " " + task + " " + number + R"(", "target": ")" +
                (task == "colour" ? (i % 2 == 0 ? "red" : "green") : "answer " + std::string(i, 'x')) + "\"}\n";
      }
      test::write_file(data / task / (split + ".jsonl"), rows);
    }
  }
}

struct MadeRun {
  /// `model` is a directory of the fixtures, "qwen3/f32".
  explicit MadeRun(const std::string& model = "qwen3/f32") {
    write_rows(directory.path() / "data");
    config.model = fixtures_dir() + "/" + model;
    config.output = (directory.path() / "out").string();
    config.data.sources = {{.path = (directory.path() / "data").string()}};
    config.data.max_length = 80;
    config.adapter.rank = 4;
    config.adapter.experts = 2;
    config.adapter.alpha = 8;
    config.adapter.gate.embedding_size = 4;
    config.train.max_steps = 2;
    config.train.batch_size = 8;
    config.train.tokens_per_batch = 4096;
    config.train.dtype = config::DType::kFloat32;
    config.train.threads = 1;
  }

  train::RunSetup setup() const {
    train::RunSetup setup = train::prepare_data(config);
    train::load_model(setup);
    return setup;
  }

  /// The model's files become a copy of the fixture's, which a test may change.
  std::filesystem::path copy_model() {
    const std::filesystem::path copy = directory.path() / "model";
    std::filesystem::copy(config.model, copy, std::filesystem::copy_options::recursive);
    config.model = copy.string();
    return copy;
  }

  test::TemporaryDirectory directory;
  config::RunConfig config;
};

/// Copies of the trained masters, by name.
inline std::vector<train::NamedTensor> snapshot(const train::RunSetup& setup) {
  std::vector<train::NamedTensor> copies;
  for (const auto& [name, master] : train::trained_parameters(setup.model))
    copies.emplace_back(name, master.detach().clone());
  return copies;
}

/// Every master ~ N(0, deviation²), B among them: an adapter that changes the model.
inline void randomise(const train::RunSetup& setup, double deviation = 0.1) {
  Random random(7, RandomStream::kData);
  std::vector<train::NamedTensor> values = snapshot(setup);
  for (auto& [name, value] : values) {
    float* data = value.mutable_data_ptr<float>();
    for (int64_t i = 0; i < value.numel(); ++i) data[i] = static_cast<float>(deviation * random.normal());
  }
  train::load_parameters(setup.model, values);
}

inline void expect_same_tensors(const std::vector<train::NamedTensor>& a, const std::vector<train::NamedTensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].first, b[i].first);
    EXPECT_TRUE(a[i].second.equal(b[i].second)) << a[i].first;
  }
}

/// Linear by linear, bit for bit.
inline void expect_same_update(const std::vector<adapters::CollapsedLinear>& a,
                               const std::vector<adapters::CollapsedLinear>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].path, b[i].path);
    EXPECT_TRUE(a[i].a.equal(b[i].a)) << a[i].path;
    EXPECT_TRUE(a[i].b.equal(b[i].b)) << a[i].path;
  }
}

/// metrics.jsonl without what depends on the clock.
inline std::vector<nlohmann::json> metrics(const std::filesystem::path& run) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(run / "metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    lines.push_back(nlohmann::json::parse(line));
    lines.back().erase("time");
  }
  return lines;
}

}  // namespace moelora::testing
