#include "text/tokenizer_trainer.h"

#include "expected.h"
#include "text/tokenizer.h"

namespace moelora::text {
namespace {

/// The texts of the encoding tests, long ones aside.
std::vector<std::string> corpus() {
  std::vector<std::string> texts;
  for (const OrderedJson& item : encodings_of("qwen3")) {
    const std::string text = item["text"];
    if (text.size() < 10'000) texts.push_back(text);
  }
  return texts;
}

BpeTrainingOptions options() {
  return {.vocab_size = 600, .special_tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}, .min_frequency = 2};
}

TEST(TokenizerTrainer, MakesATokenizerOfTheSizeAsked) {
  const Tokenizer tokenizer = Tokenizer::from_json(train_byte_level_bpe(corpus(), options()), "trained");
  EXPECT_EQ(tokenizer.vocab_size(), 600);
  EXPECT_EQ(tokenizer.id_limit(), 600);
  EXPECT_EQ(tokenizer.token_to_id("<|endoftext|>"), 0);
  EXPECT_EQ(tokenizer.token_to_id("<|im_end|>"), 2);
  EXPECT_TRUE(tokenizer.is_special(2));
  EXPECT_FALSE(tokenizer.is_special(3));
}

TEST(TokenizerTrainer, LosesNothing) {
  const Tokenizer tokenizer =
      Tokenizer::from_json(train_byte_level_bpe(std::vector<std::string>{"only ascii here"}, options()), "trained");
  for (const std::string text :
       {"你好，世界 🤗\n\t x  y\r\n", "only ascii here", "", "\x01\x7F <|im_end|> \xF0\x9F\x8F\xB3"}) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, {.add_special_tokens = true}), {.skip_special_tokens = false}),
              text);
  }
}

TEST(TokenizerTrainer, LearnsWhatIsFrequent) {
  const std::vector<std::string> texts(20, "hypertension with hypertension and hypertension");
  const Tokenizer tokenizer = Tokenizer::from_json(train_byte_level_bpe(texts, options()), "trained");
  EXPECT_EQ(tokenizer.encode(" hypertension", {.add_special_tokens = false}).size(), 1U);
}

TEST(TokenizerTrainer, GivesTheSameBytesEachTime) {
  const std::vector<std::string> texts = corpus();
  const std::string first = train_byte_level_bpe(texts, options());
  for (int round = 0; round < 3; ++round) EXPECT_EQ(train_byte_level_bpe(texts, options()), first);
}

TEST(TokenizerTrainer, CutsWordsAsQwenDoes) {
  // Every pair of the texts merged, so that a token is a word: then the cuts are Qwen's.
  const std::vector<std::string> texts(3, "It's 2,048 patients' notes:\n\n  don't  stop!\t他们说 naïve");
  const Tokenizer trained = Tokenizer::from_json(train_byte_level_bpe(texts, {.vocab_size = 2000}), "trained");
  std::vector<std::string> words;
  for (const int32_t id : trained.encode(texts[0], {.add_special_tokens = false})) {
    words.push_back(trained.decode(std::vector<int32_t>{id}, {.skip_special_tokens = false}));
  }
  EXPECT_THAT(words, ::testing::ElementsAre("It", "'s", " ", "2", ",", "0", "4", "8", " patients", "'", " notes",
                                            ":\n\n", " ", " don", "'t", " ", " stop", "!", "\t他们说", " naïve"));
}

TEST(TokenizerTrainer, RefusesWhatCannotBe) {
  const std::vector<std::string> texts = {"a"};
  EXPECT_EQ(thrown_by([&] { train_byte_level_bpe(texts, {.vocab_size = 255}); }).kind(), ErrorKind::kConfig);
  EXPECT_THAT(thrown_by([&] {
                train_byte_level_bpe(texts, {.vocab_size = 257, .special_tokens = {"<a>", "<b>"}});
              }),
              says("258", "257"));
  EXPECT_THAT(thrown_by([&] {
                train_byte_level_bpe(texts, {.vocab_size = 300, .special_tokens = {"<a>", "<a>"}});
              }),
              says("`<a>` twice"));
  EXPECT_THAT(thrown_by([&] { train_byte_level_bpe(texts, {.vocab_size = 300, .special_tokens = {""}}); }),
              says("empty"));
  EXPECT_THAT(thrown_by([&] { train_byte_level_bpe(texts, {.vocab_size = 300, .min_frequency = 0}); }),
              says("min_frequency"));
  const Error error = thrown_by([&] {
    train_byte_level_bpe(std::vector<std::string>{"a", "b\xFF"}, {.vocab_size = 300});
  });
  EXPECT_EQ(error.kind(), ErrorKind::kData);
  EXPECT_THAT(error, says("text 1", "byte 1"));
}

}  // namespace
}  // namespace moelora::text
