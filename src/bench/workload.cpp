#include "bench/workload.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/random.h"

namespace moelora::bench {
namespace {

struct Sample {
  std::string task;
  int64_t prompt = 0, answer = 0;
};

Workload draw(const std::vector<Sample>& samples, int64_t vocab_size, uint64_t seed) {
  Workload workload;
  for (const Sample& sample : samples) workload.tasks.push_back(sample.task);
  std::ranges::sort(workload.tasks);
  workload.tasks.erase(std::unique(workload.tasks.begin(), workload.tasks.end()), workload.tasks.end());

  auto rows = std::make_shared<data::EncodedRows>(static_cast<int64_t>(workload.tasks.size()));
  std::vector<int32_t> prompt, answer;
  for (size_t i = 0; i < samples.size(); ++i) {
    Random random(seed, RandomStream::kData, i);
    const auto fill = [&](std::vector<int32_t>& ids, int64_t count) {
      ids.resize(count);
      for (int32_t& id : ids) id = static_cast<int32_t>(random.below(vocab_size));
    };
    fill(prompt, samples[i].prompt);
    fill(answer, samples[i].answer);
    rows->append(std::ranges::lower_bound(workload.tasks, samples[i].task) - workload.tasks.begin(),
                 static_cast<int64_t>(i), prompt, answer);
  }
  workload.rows = std::move(rows);
  return workload;
}

Sample parse(const std::string& line, const std::string& where) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  const auto positive = [&](const char* key) {
    return json.contains(key) && json[key].is_number_integer() && json[key] > 0;
  };
  if (!json.is_object() || !json.contains("task") || !json["task"].is_string() || !positive("prompt") ||
      !positive("answer")) {
    throw Error(ErrorKind::kData, {.where = where,
                                   .problem = "not a sample of a workload",
                                   .expected = R"({"task": NAME, "prompt": TOKENS, "answer": TOKENS}, both above 0)"});
  }
  return {json["task"], json["prompt"], json["answer"]};
}

}  // namespace

Workload read_workload(const std::filesystem::path& path, int64_t vocab_size, uint64_t seed) {
  std::ifstream file(path);
  if (!file) throw Error(ErrorKind::kData, {.where = path.string(), .problem = "can't be read"});
  std::vector<Sample> samples;
  int64_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (!line.empty()) samples.push_back(parse(line, path.string() + ":" + std::to_string(number)));
  }
  if (samples.empty()) throw Error(ErrorKind::kData, {.where = path.string(), .problem = "a workload without samples"});
  return draw(samples, vocab_size, seed);
}

Workload even_workload(int64_t samples, int64_t tokens, int64_t vocab_size, uint64_t seed) {
  std::vector<Sample> even;
  for (int64_t i = 0; i < samples; ++i) {
    const int64_t answer = std::max<int64_t>(1, tokens / 8);
    even.push_back({"task" + std::to_string(i % 8), std::max<int64_t>(1, tokens - answer), answer});
  }
  return draw(even, vocab_size, seed);
}

Workload as_one_task(const Workload& workload) {
  auto rows = std::make_shared<data::EncodedRows>(1);
  for (int64_t i = 0; i < workload.rows->size(); ++i)
    rows->append(0, i, workload.rows->prompt(i), workload.rows->answer(i));
  return {{workload.tasks.front()}, std::move(rows)};
}

}  // namespace moelora::bench
