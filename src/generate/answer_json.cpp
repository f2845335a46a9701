#include "generate/answer_json.h"

namespace moelora::generate {
namespace {

using Json = nlohmann::ordered_json;

/// A token by itself: a part of a character is U+FFFD.
Json token_json(const TokenLogprob& token, const text::Tokenizer& tokenizer) {
  return {{"token", tokenizer.decode(std::span(&token.token, 1), {.skip_special_tokens = false})},
          {"id", token.token},
          {"logprob", token.logprob}};
}

Json logprobs_json(const std::vector<TokenLogprobs>& logprobs, const text::Tokenizer& tokenizer) {
  Json tokens = Json::array();
  for (const TokenLogprobs& one : logprobs) {
    Json token = token_json(one.chosen, tokenizer);
    for (const TokenLogprob& top : one.top) token["top"].push_back(token_json(top, tokenizer));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace

nlohmann::ordered_json answer_json(const data::Row& row, const TextRequest& request, const RowAnswer& answer,
                                   const text::Tokenizer& tokenizer) {
  const TextAnswer& text = answer.answer;
  Json json = {{"line", row.line}};
  if (!row.id.empty()) json["id"] = row.id;
  json["task"] = row.task;
  json["sample"] = answer.sample;
  json["answer"] = text.text;
  json["finish_reason"] = text.finish == Finish::kStop ? "stop" : "length";
  json["prompt_tokens"] = text.prompt_tokens;
  json["new_tokens"] = text.tokens.size();
  for (size_t i = 0; i < text.label_probabilities.size(); ++i)
    json["labels"][request.labels[i].text] = text.label_probabilities[i];
  if (request.request.logprobs >= 0 && request.labels.empty())
    json["logprobs"] = logprobs_json(text.logprobs, tokenizer);
  return json;
}

}  // namespace moelora::generate
