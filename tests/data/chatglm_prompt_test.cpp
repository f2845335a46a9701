// Prompts and answers of ChatGLM2 and 3 with their own kind of tokenizer: the ids that their published tokenizers and
// training scripts make (tests/text/sentencepiece_models.py).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "data/prompt.h"
#include "support/fixtures_dir.h"

namespace moelora::data {
namespace {

using Ids = std::vector<int32_t>;

class ChatGlmPrompt : public ::testing::TestWithParam<std::string> {
 protected:
  ChatGlmPrompt()
      : directory_(testing::fixtures_dir() + "/text/sentencepiece/" + GetParam()),
        expected_(nlohmann::json::parse(std::ifstream(directory_ + "/expected.json"))),
        renderer_(text::load_text_assets(directory_), {}) {}

  std::string directory_;
  nlohmann::json expected_;
  PromptRenderer renderer_;
};

INSTANTIATE_TEST_SUITE_P(Versions, ChatGlmPrompt, ::testing::Values("chatglm2", "chatglm3", "chatglm3_template"),
                         [](const auto& info) { return info.param; });

TEST_P(ChatGlmPrompt, HasThePublishedIds) {
  ASSERT_TRUE(renderer_.uses_chat_template());
  int compared = 0;
  for (const nlohmann::json& chat : expected_["chats"]) {
    std::vector<Message> messages;
    for (const nlohmann::json& message : chat["messages"]) messages.push_back({message["role"], message["content"]});
    // Their template puts the blank of an empty content, which their code doesn't.
    if (GetParam() == "chatglm3_template" && messages[0].content.empty()) continue;
    EXPECT_EQ(renderer_.prompt_ids(messages, ""), chat["ids"].get<Ids>()) << chat["messages"].dump();
    ++compared;
  }
  EXPECT_GE(compared, 3);
}

TEST_P(ChatGlmPrompt, AnswersHaveThePublishedIdsAndComeBackWithoutWhatGoesBeforeThem) {
  for (const nlohmann::json& answer : expected_["answers"]) {
    const Ids ids = renderer_.answer_ids(answer["text"].get<std::string>());
    EXPECT_EQ(ids, answer["ids"].get<Ids>()) << answer["text"];
    EXPECT_EQ(renderer_.answer_text(ids), answer["text"].get<std::string>());
  }
  EXPECT_EQ(renderer_.stop_ids().size(), 1u);
}

}  // namespace
}  // namespace moelora::data
