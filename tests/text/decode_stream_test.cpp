#include "text/decode_stream.h"

#include "core/random.h"
#include "core/utf8.h"
#include "expected.h"

namespace moelora::text {
namespace {

class StreamOf : public ::testing::TestWithParam<std::string> {
 protected:
  const Tokenizer& tokenizer() { return tokenizer_of(GetParam()); }

  /// What the stream gives out for `ids`, checked on the way: every piece whole characters, the whole equal to decode.
  void expect_same_text(const std::vector<int32_t>& ids) {
    for (const bool skip : {false, true}) {
      DecodeStream stream(tokenizer(), {.skip_special_tokens = skip});
      std::string all;
      for (const int32_t id : ids) {
        const std::string piece = stream.push(id);
        ASSERT_EQ(first_invalid_utf8(piece), std::nullopt);
        all += piece;
      }
      all += stream.finish();
      ASSERT_EQ(all, tokenizer().decode(ids, {.skip_special_tokens = skip}))
          << ::testing::PrintToString(ids).substr(0, 500);
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Models, StreamOf, ::testing::ValuesIn(model_names()),
                         [](const auto& info) { return info.param; });

TEST_P(StreamOf, GivesRealTextsBack) {
  for (const OrderedJson& item : encodings_of(GetParam())) {
    if (item["ids"].size() < 20'000) expect_same_text(item["ids"]);
  }
}

TEST_P(StreamOf, GivesRandomTokensBack) {
  Random random(3, RandomStream::kData);
  const auto limit = static_cast<uint64_t>(tokenizer().id_limit());
  for (int round = 0; round < 300; ++round) {
    std::vector<int32_t> ids(1 + random.below(40));
    // Small ids are bytes and special tokens in most vocabularies; a few are in none.
    for (int32_t& id : ids) id = static_cast<int32_t>(random.below(random.below(2) == 0 ? 300 : limit + 100));
    expect_same_text(ids);
  }
}

TEST_P(StreamOf, HoldsACharacterBackUntilItIsWhole) {
  const std::string text =
      "\xF0\xA0\xAE\xB7\xF0\xA1\x83\x81";  // U+20BB7, U+210C1: bytes over several tokens in every vocabulary here
  const std::vector<int32_t> ids = tokenizer().encode("x" + text + "x", {.add_special_tokens = false});
  ASSERT_GT(ids.size(), 4U);
  expect_same_text(ids);
}

TEST_P(StreamOf, GivesWordsOutAtOnce) {
  const std::vector<int32_t> ids = tokenizer().encode("The quick brown fox jumps", {.add_special_tokens = false});
  DecodeStream stream(tokenizer(), {.skip_special_tokens = true});
  for (const int32_t id : ids) EXPECT_NE(stream.push(id), "");
  EXPECT_EQ(stream.finish(), "");
}

TEST_P(StreamOf, StartsOverAfterFinish) {
  const std::vector<int32_t> ids = tokenizer().encode("again", {.add_special_tokens = false});
  DecodeStream stream(tokenizer(), {.skip_special_tokens = true});
  std::string first, second;
  for (const int32_t id : ids) first += stream.push(id);
  first += stream.finish();
  for (const int32_t id : ids) second += stream.push(id);
  second += stream.finish();
  EXPECT_EQ(first, "again");
  EXPECT_EQ(second, "again");
}

}  // namespace
}  // namespace moelora::text
