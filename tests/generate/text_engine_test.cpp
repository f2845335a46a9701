// Text comes whole, stop strings never show, and of labels the distribution is the model's own over their sequences.
#include "generate/text_engine.h"

#include <ATen/ops/log_softmax.h>
#include <gtest/gtest.h>

#include <map>

#include "generate/made_models.h"

namespace moelora::generate {
namespace {

text::Tokenizer tokenizer() {
  return text::Tokenizer::load(testing::fixtures_dir() + "/qwen3/f32/tokenizer.json");
}

std::vector<int32_t> encode(const std::string& text) {
  return tokenizer().encode(text, {.add_special_tokens = false});
}

/// The text before the stop string that ends first; of those that end together, the one that begins first.
std::string cut(const std::string& text, const std::vector<std::string>& stop) {
  for (size_t end = 1; end <= text.size(); ++end) {
    std::string kept = text;
    for (const std::string& one : stop) {
      if (text.substr(0, end).ends_with(one) && end - one.size() < kept.size()) kept = text.substr(0, end - one.size());
    }
    if (kept != text) return kept;
  }
  return text;
}

TEST(TextStream, IsTheTextBeforeTheFirstStopStringHoweverTokensFall) {
  const std::vector<std::string> texts = {"one two three", "aaaaab",       "naïve – 你好。再见。", "STOSTOP now",
                                          "abcabd",        "line\n\nline", "the the thesis"};
  const std::vector<std::vector<std::string>> stops = {{},         {"two"},         {"aab"},         {"。"},
                                                       {"好"},     {"STOP"},        {"abd"},         {"\n\n"},
                                                       {"thesis"}, {"ab", "aaaab"}, {"wo", "two t"}, {"ïve", "e"}};
  for (const std::string& text : texts) {
    for (const std::vector<std::string>& stop : stops) {
      const std::string expected = cut(text, stop);
      TextStream stream(tokenizer(), stop);
      std::string shown;
      for (const int32_t id : encode(text)) {
        shown += stream.push(id);
        EXPECT_TRUE(expected.starts_with(shown)) << text << ": " << shown;
        if (stream.stopped()) break;
      }
      EXPECT_EQ(stream.stopped(), expected != text);
      shown += stream.finish();
      EXPECT_EQ(shown, expected);
    }
  }
}

TEST(TextStream, WhatOnlyBeganLikeAStopStringIsShownInTheEnd) {
  TextStream stream(tokenizer(), {"STOP"});
  std::string shown;
  for (const int32_t id : encode("do not STO")) shown += stream.push(id);
  EXPECT_EQ(shown, "do not ");
  EXPECT_EQ(stream.finish(), "STO");
  EXPECT_FALSE(stream.stopped());
}

TEST(TextStream, LeavesOutTheLeadOfATemplate) {
  for (const std::string lead : {" ", "\n ", "\n\n"}) {
    for (const std::string answer : {"one two", " two", "", "\n"}) {
      TextStream stream(tokenizer(), {"STOP"}, lead);
      std::string shown;
      for (const int32_t id : encode(lead + answer)) shown += stream.push(id);
      EXPECT_EQ(shown + stream.finish(), answer);
    }
    TextStream without(tokenizer(), {}, lead);
    std::string shown;
    for (const int32_t id : encode("one")) shown += without.push(id);
    EXPECT_EQ(shown + without.finish(), "one") << "an answer that has no lead is whole";
  }
  TextStream begun(tokenizer(), {}, "\n ");
  std::string shown;
  for (const int32_t id : encode("\n")) shown += begun.push(id);
  EXPECT_EQ(shown + begun.finish(), "\n");
}

class TextEngines : public ::testing::Test {
 protected:
  static const adapters::Model& model() {
    static const adapters::Model model = moelora_model("qwen3");
    return model;
  }
  static std::map<int64_t, TextAnswer> run(TextEngine& engine, const std::vector<TextRequest>& requests) {
    for (const TextRequest& one : requests) engine.submit(one);
    std::map<int64_t, TextAnswer> answers;
    while (!engine.idle()) {
      for (TextAnswer& answer : engine.step()) answers.emplace(answer.id, std::move(answer));
    }
    return answers;
  }
};

TEST_F(TextEngines, StreamedPiecesAreTheAnswerAndAStopStringEndsIt) {
  const Request request{.id = 3, .task = 2, .prompt = made_prompt(20, 4), .max_new_tokens = 24};
  const std::vector<int32_t> tokens = continue_without_cache(model(), request);
  const std::string whole = tokenizer().decode(tokens, {.skip_special_tokens = true});
  ASSERT_GT(whole.size(), 12u);
  std::string streamed;
  TextEngine engine(model(), tokenizer(), {}, [&](int64_t, const std::string& piece) { streamed += piece; });
  const TextAnswer free = run(engine, {{.request = request}}).at(3);
  EXPECT_EQ(free.text, whole);
  EXPECT_EQ(streamed, whole);
  EXPECT_EQ(free.finish, Finish::kLength);
  for (size_t begin = 0; begin + 3 < whole.size(); ++begin) {
    // Not inside a character.
    if ((static_cast<unsigned char>(whole[begin]) & 0xC0) == 0x80 ||
        (static_cast<unsigned char>(whole[begin + 3]) & 0xC0) == 0x80)
      continue;
    const std::vector<std::string> stop = {whole.substr(begin, 3)};
    streamed.clear();
    const TextAnswer answer = run(engine, {{.request = request, .stop = stop}}).at(3);
    EXPECT_EQ(answer.text, cut(whole, stop));
    EXPECT_EQ(streamed, answer.text);
    EXPECT_EQ(answer.finish, Finish::kStop);
  }
}

TEST_F(TextEngines, LabelProbabilitiesAreThoseOfTheirWholeSequences) {
  std::vector<Label> labels;
  for (const std::string text : {"red", "redder", "green", "x", "a longer label than the others"}) {
    labels.push_back({text, encode(text)});
    labels.back().tokens.push_back(2);  // an end token
  }
  std::vector<TextRequest> requests;
  for (int64_t i = 0; i < 6; ++i)
    requests.push_back({.request = {.id = i, .task = i % 4, .prompt = made_prompt(10 + 9 * i, i)}, .labels = labels});
  requests.push_back({.request = {.id = 6, .task = 0, .prompt = made_prompt(9, 1), .max_new_tokens = 5}});

  for (const int64_t prefix : {0, 256}) {
    TextEngine engine(model(), tokenizer(), {.batch_size = 4, .tokens_per_step = 64, .prefix_cache_tokens = prefix});
    const std::map<int64_t, TextAnswer> answers = run(engine, requests);
    ASSERT_EQ(answers.size(), 7u);
    for (int64_t i = 0; i < 6; ++i) {
      std::vector<double> products;
      double sum = 0;
      for (const Label& label : labels) {
        std::vector<int64_t> ids(requests[i].request.prompt.begin(), requests[i].request.prompt.end());
        const int64_t prompt = std::ssize(ids);
        ids.insert(ids.end(), label.tokens.begin(), label.tokens.end());
        const at::Tensor logprobs = at::log_softmax(logits_alone(model(), ids, i % 4), 1);
        double product = 1;
        for (size_t t = 0; t < label.tokens.size(); ++t)
          product *= std::exp(logprobs[prompt - 1 + static_cast<int64_t>(t)][label.tokens[t]].item<double>());
        products.push_back(product);
        sum += product;
      }
      const TextAnswer& answer = answers.at(i);
      ASSERT_EQ(answer.label_probabilities.size(), labels.size());
      for (size_t k = 0; k < labels.size(); ++k)
        EXPECT_NEAR(answer.label_probabilities[k], products[k] / sum, 1e-5) << labels[k].text;
      EXPECT_EQ(answer.text, labels[std::ranges::max_element(products) - products.begin()].text);
    }
  }
}

TEST_F(TextEngines, WhatIsCancelledLeavesNothingBehind) {
  TextEngine engine(model(), tokenizer(), {.batch_size = 2, .most_waiting = 4});
  const std::vector<Label> labels = {{"a", {5, 2}}, {"b", {6, 2}}, {"c", {7, 2}}};
  const TextRequest choice{.request = {.id = 1, .prompt = made_prompt(5, 1)}, .labels = labels};
  engine.submit(choice);
  TextRequest second = choice;
  second.request.id = 2;
  EXPECT_THROW(engine.submit(second), QueueFull) << "three places beside three of four";
  EXPECT_THROW(engine.submit(choice), Error) << "the id is in use";
  EXPECT_TRUE(engine.cancel(1));
  EXPECT_FALSE(engine.cancel(1));
  EXPECT_TRUE(engine.idle());
  engine.submit(second);
  EXPECT_EQ(run(engine, {}).size(), 1u);
}

TEST_F(TextEngines, RefusesLabelsAndStopStringsThatMeanNothing) {
  TextEngine engine(model(), tokenizer(), {});
  const Request request{.id = 1, .prompt = {5}, .max_new_tokens = 1};
  EXPECT_THROW(engine.submit({.request = request, .stop = {""}}), Error);
  EXPECT_THROW(engine.submit({.request = request, .labels = {{"", {2}}}}), Error);
  EXPECT_THROW(engine.submit({.request = request, .labels = {{"a", {5, 2}}, {"a", {5, 2}}}}), Error);
  EXPECT_THROW(engine.submit({.request = request, .labels = {{"a", std::vector<int32_t>(200, 5)}}}), Error);
  EXPECT_TRUE(engine.idle());
}

}  // namespace
}  // namespace moelora::generate
