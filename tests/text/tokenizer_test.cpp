#include "text/tokenizer.h"

#include <thread>

#include "expected.h"

namespace moelora::text {
namespace {

class RealTokenizer : public ::testing::TestWithParam<std::string> {
 protected:
  const Tokenizer& tokenizer() { return tokenizer_of(GetParam()); }
  OrderedJson cases() { return encodings_of(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Models, RealTokenizer, ::testing::ValuesIn(model_names()),
                         [](const auto& info) { return info.param; });

TEST_P(RealTokenizer, EncodesAsTokenizersDoes) {
  for (const OrderedJson& item : cases()) {
    const std::string text = item["text"];
    ASSERT_EQ(tokenizer().encode(text, {.add_special_tokens = true}), item["ids"].get<std::vector<int32_t>>())
        << text.substr(0, 200);
    ASSERT_EQ(tokenizer().encode(text, {.add_special_tokens = false}), item["bare"].get<std::vector<int32_t>>())
        << text.substr(0, 200);
  }
}

TEST_P(RealTokenizer, DecodesAsTokenizersDoes) {
  for (const OrderedJson& item : cases()) {
    const auto ids = item["ids"].get<std::vector<int32_t>>();
    ASSERT_EQ(tokenizer().decode(ids, {.skip_special_tokens = false}), item["decoded"]);
    ASSERT_EQ(tokenizer().decode(ids, {.skip_special_tokens = true}), item["decoded_bare"]);
  }
}

TEST_P(RealTokenizer, EncodesABatchAsOneByOne) {
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> ids;
  for (const OrderedJson& item : cases()) {
    texts.push_back(item["text"]);
    ids.push_back(item["ids"]);
  }
  EXPECT_EQ(tokenizer().encode_batch(texts, {.add_special_tokens = true}), ids);
  EXPECT_TRUE(tokenizer().encode_batch({}, {.add_special_tokens = true}).empty());
}

TEST_P(RealTokenizer, KnowsItsVocabulary) {
  const OrderedJson facts = expected("encode_" + GetParam() + ".json");
  EXPECT_EQ(tokenizer().vocab_size(), facts["vocab_size"]);
  EXPECT_EQ(tokenizer().id_limit(), facts["id_limit"]);
  std::vector<int32_t> special;
  for (int32_t id = -1; id <= tokenizer().id_limit(); ++id) {
    if (tokenizer().is_special(id)) special.push_back(id);
  }
  EXPECT_EQ(special, facts["special"].get<std::vector<int32_t>>());
  for (const auto& [token, id] : facts["tokens"].items()) {
    EXPECT_EQ(tokenizer().token_to_id(token), id.get<int32_t>());
    EXPECT_EQ(tokenizer().id_to_token(id.get<int32_t>()), token);
  }
}

TEST_P(RealTokenizer, AnswersForTokensItDoesNotHave) {
  EXPECT_EQ(tokenizer().token_to_id("no such token at all"), std::nullopt);
  EXPECT_EQ(tokenizer().token_to_id("\xFF"), std::nullopt);
  for (const int32_t id : {-1, static_cast<int32_t>(tokenizer().id_limit()), INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(tokenizer().id_to_token(id), std::nullopt);
    EXPECT_EQ(tokenizer().decode(std::vector<int32_t>{id}, {.skip_special_tokens = false}), "");
  }
}

TEST_P(RealTokenizer, IsTheSameForManyThreadsAtOnce) {
  const OrderedJson all = cases();
  const Tokenizer copy = tokenizer();
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (const OrderedJson& item : all) {
        const std::string text = item["text"];
        if (text.size() > 5000) continue;
        if (copy.encode(text, {.add_special_tokens = true}) != item["ids"].get<std::vector<int32_t>>()) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace moelora::text
