// Metrics and the naive Bayes baseline against scikit-learn, rouge-score and rouge-chinese, on random answers:
// tests/eval/oracle.py recomputes from the structures that the answers were written from, never from our parsing.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/random.h"
#include "eval/baselines.h"
#include "eval/metric.h"

namespace moelora::eval {
namespace {

using Json = nlohmann::json;

constexpr const char* kPython = ".deps/venv/bin/python";

Random random_for(uint64_t which) {
  return Random(11, RandomStream::kData, which);
}

void expect_agreement(const Json& cases) {
  ASSERT_TRUE(std::filesystem::exists(kPython)) << "the tests' Python is missing: run scripts/bootstrap";
  const auto path =
      std::filesystem::path(::testing::TempDir()) /
      ("moelora_oracle_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) + ".json");
  std::ofstream(path) << cases.dump();
  const std::string command = std::string(kPython) + " tests/eval/oracle.py '" + path.string() + "' 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string output;
  for (char buffer[4096]; const size_t read = fread(buffer, 1, sizeof buffer, pipe);) output.append(buffer, read);
  const int status = pclose(pipe);
  std::filesystem::remove(path);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << output;
}

Json summary(const MetricResult& result) {
  Json out = {{"score", result.score}, {"precision", result.precision}, {"recall", result.recall}};
  out["columns"] = result.confusion_columns;
  out["confusion"] = result.confusion;
  out["classes"] = Json::array();
  for (const ClassScore& one : result.classes) {
    out["classes"].push_back(
        {{"precision", one.precision}, {"recall", one.recall}, {"f1", one.f1}, {"support", one.support}});
  }
  return out;
}

using Item = std::vector<std::string>;

// Writes items in the order given: one answer text.
using Writer = std::string (*)(const std::vector<Item>& items);

std::string join(const std::vector<Item>& items, const char* separator, std::string (*write)(const Item&)) {
  std::string text;
  for (const Item& item : items) text += (text.empty() ? "" : separator) + write(item);
  return text.empty() ? "none" : text;
}

std::string write_set(const std::vector<Item>& items) {
  return join(items, "; ", [](const Item& item) { return item[0] + " " + item[1]; });
}
std::string write_triples(const std::vector<Item>& items) {
  return join(items, "\n", [](const Item& item) { return "(" + item[0] + " | " + item[1] + " | " + item[2] + ")"; });
}
std::string write_events(const std::vector<Item>& items) {
  return join(items, "\n",
              [](const Item& item) { return "kind: " + item[1] + "; site: " + item[0] + "; side: " + item[2]; });
}
std::string write_pairs(const std::vector<Item>& items) {
  return join(items, "\n", [](const Item& item) { return item[0] + " " + item[2] + ": " + item[1]; });
}
std::string write_chinese_set(const std::vector<Item>& items) {
  std::string text;
  for (const Item& item : items) text += (text.empty() ? "" : "，") + item[0] + item[1];
  return text.empty() ? "没有对应的标准化实体" : text;
}
std::string write_chinese_triples(const std::vector<Item>& items) {
  std::string text;
  for (const Item& item : items)
    text += "具有" + item[1] + "关系的头尾实体对如下：头实体为" + item[0] + "，尾实体为" + item[2] + "。\n";
  return text.empty() ? "具有甲关系的头尾实体对如下：" : text;
}
std::string write_chinese_events(const std::vector<Item>& items) {
  std::string text = "上述句子中的临床发现事件如下：";
  for (const Item& item : items)
    text += "\n主体词：" + item[0] + "；发生状态：" + item[1] + "；描述词：" + item[2] + "；解剖部位：";
  return text;
}
std::string write_chinese_pairs(const std::vector<Item>& items) {
  std::string text = "上述对话中临床发现实体以及其阴阳性判别如下：";
  for (const Item& item : items) text += "\n" + item[0] + item[2] + "：" + item[1];
  return text;
}

std::vector<Item> random_items(const std::vector<std::string>& words, Random& random) {
  std::vector<Item> items;
  for (uint64_t count = random.below(5); count > 0; --count) {
    items.push_back({words[random.below(3)], words[3 + random.below(2)], words[5 + random.below(2)]});
  }
  return items;
}

Json as_sets(const std::vector<Item>& items, bool two_parts) {
  std::set<std::string> distinct;
  for (const Item& item : items) distinct.insert(item[0] + "/" + item[1] + (two_parts ? "" : "/" + item[2]));
  return distinct;
}

TEST(Oracle, MicroF1OfEveryKindAgreesWithScikitLearn) {
  const std::vector<std::string> english = {"femur", "skull (base)", "rib", "open", "closed", "left", "right"};
  const std::vector<std::string> chinese = {"胫骨", "颅底", "肋骨", "开放", "闭合", "左", "右"};
  struct Kind {
    const char* metric;
    Writer write;
    bool is_chinese;
    bool two_parts;
  };
  Json cases = Json::array();
  for (const Kind& kind :
       {Kind{"micro_f1_set", write_set, false, true}, Kind{"micro_f1_triples", write_triples, false, false},
        Kind{"micro_f1_events", write_events, false, false}, Kind{"micro_f1_pairs", write_pairs, false, false},
        Kind{"micro_f1_set", write_chinese_set, true, true},
        Kind{"micro_f1_triples", write_chinese_triples, true, false},
        Kind{"micro_f1_events", write_chinese_events, true, false},
        Kind{"micro_f1_pairs", write_chinese_pairs, true, false}}) {
    Random random = random_for(cases.size());
    const auto metric = make_metric(kind.metric, {});
    Json gold = Json::array(), answers = Json::array();
    for (int i = 0; i < 300; ++i) {
      const auto& words = kind.is_chinese ? chinese : english;
      const std::vector<Item> expected = random_items(words, random), given = random_items(words, random);
      metric->add({std::to_string(i), "", kind.write(expected), {}}, kind.write(given));
      gold.push_back(as_sets(expected, kind.two_parts));
      answers.push_back(as_sets(given, kind.two_parts));
    }
    cases.push_back({{"check", "items"},
                     {"name", std::string(kind.metric) + (kind.is_chinese ? " promptcblue" : "")},
                     {"gold", gold},
                     {"answers", answers},
                     {"ours", summary(metric->result())}});
  }
  expect_agreement(cases);
}

TEST(Oracle, ClassificationAgreesWithScikitLearn) {
  const std::vector<std::string> labels = {"ear", "eye", "blood", "skin", "never gold", "never at all"};
  Json cases = Json::array();
  for (const char* name : {"macro_f1", "accuracy"}) {
    MetricOptions options;
    options.labels = labels;
    const auto metric = make_metric(name, options);
    Random random = random_for(50);
    Json gold = Json::array(), answers = Json::array();
    for (int i = 0; i < 500; ++i) {
      const std::string expected = labels[random.below(4)];
      std::string given = labels[random.below(5)];
      if (random.below(3) == 0) given = expected;
      if (random.below(10) == 0) given = "nose";
      if (random.below(10) == 0) given = "";
      metric->add({std::to_string(i), "", expected, {}}, given);
      gold.push_back(expected);
      answers.push_back(given);
    }
    cases.push_back({{"check", "labels"},
                     {"metric", name},
                     {"labels", labels},
                     {"gold", gold},
                     {"answers", answers},
                     {"ours", summary(metric->result())}});
  }
  expect_agreement(cases);
}

TEST(Oracle, RougeLAgreesWithRougeScoreAndRougeChinese) {
  const std::vector<std::string> english = {"fracture", "of",        "the",      "Left", "femur,",
                                            "(closed)", "non-union", "S72.001A", "it's", "2nd"};
  const std::vector<std::string> chinese = {"咳", "嗽",   "，", "发热", "38.5", "CRP",
                                            "。", "肺炎", "（", "待查", "）",   "；"};
  Json cases = Json::array();
  for (const bool is_chinese : {false, true}) {
    const auto metric = make_metric("rouge_l", {});
    Random random = random_for(60 + is_chinese);
    const auto text = [&](uint64_t length) {
      const auto& words = is_chinese ? chinese : english;
      std::string out = is_chinese ? "诊" : "note";
      for (uint64_t i = 0; i < length; ++i)
        out += (is_chinese && random.below(4) > 0 ? "" : " ") + words[random.below(words.size())];
      return out;
    };
    Json gold = Json::array(), answers = Json::array(), rows = Json::array();
    for (int i = 0; i < 120; ++i) {
      const std::string expected = text(random.below(90)), given = text(random.below(150));
      rows.push_back(metric->add({std::to_string(i), "", expected, {}}, given).score);
      gold.push_back(expected);
      answers.push_back(given);
    }
    cases.push_back({{"check", "rouge"},
                     {"unit", is_chinese ? "character" : "word"},
                     {"gold", gold},
                     {"answers", answers},
                     {"ours", {{"score", metric->result().score}, {"rows", rows}}}});
  }
  expect_agreement(cases);
}

TEST(Oracle, NaiveBayesAgreesWithScikitLearn) {
  const std::vector<std::string> labels = {"skin", "bone", "eye", "ear"};
  Random random = random_for(70);
  const auto rows = [&](int count, bool with_choices) {
    std::vector<EvalRow> all;
    for (int i = 0; i < count; ++i) {
      const uint64_t label = std::min(random.below(4), random.below(4));  // unequal classes
      EvalRow row{std::to_string(i), "", labels[label], {}};
      for (uint64_t n = 1 + random.below(12); n > 0; --n)
        row.prompt += "word" + std::to_string(4 * label + random.below(25)) + ", ";
      if (with_choices && i % 2 == 0) row.choices = {labels[random.below(4)], labels[random.below(4)]};
      if (i % 5 == 0) row.prompt += "unseen" + std::to_string(i);
      all.push_back(std::move(row));
    }
    return all;
  };
  const std::vector<EvalRow> train = rows(40, false), test = rows(1000, true);
  Json one = {{"check", "bayes"}, {"ours", baseline_answers("bayes", train, test)}};
  for (const EvalRow& row : train) {
    one["train_prompts"].push_back(row.prompt);
    one["train_gold"].push_back(row.gold);
  }
  for (const EvalRow& row : test) {
    one["test_prompts"].push_back(row.prompt);
    one["choices"].push_back(row.choices);
  }
  expect_agreement(Json::array({one}));
}

}  // namespace
}  // namespace moelora::eval
