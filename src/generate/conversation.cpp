#include "generate/conversation.h"

#include <algorithm>

#include "core/error.h"

namespace moelora::generate {

namespace {

int64_t room_of(int64_t context, int64_t cache_tokens) {
  return cache_tokens > 0 ? std::min(context, cache_tokens) : context;
}

}  // namespace

Conversation::Conversation(const adapters::Model& model, const data::PromptRenderer& renderer,
                           const RowRequests& requests, ConversationOptions options)
    : context_(room_of(model.decoder->config().max_positions, options.engine.cache_tokens)),
      most_context_(model.decoder->config().max_positions),
      requests_(requests),
      options_(std::move(options)),
      engine_(model, renderer.tokenizer(), options_.engine,
              [this](int64_t, const std::string& piece) { on_text_(piece); }) {}

TextRequest Conversation::next_request(const std::string& text) const {
  data::Row row{.task = options_.task, .messages = turns_};
  if (!options_.system.empty()) row.messages.insert(row.messages.begin(), {"system", options_.system});
  row.messages.push_back({"user", text});
  TextRequest request = requests_.of(row);
  request.request.id = replies_;
  request.request.where = "conversation";
  const int64_t prompt = std::ssize(request.request.prompt), room = context_ - prompt;
  if (room < 1) {
    throw Error(ErrorKind::kLimit,
                {.where = "conversation",
                 .problem = context_ < most_context_ ? "the cache is full" : "the model's context is full",
                 .found = std::to_string(prompt) + " tokens with what was just said",
                 .expected = "less than " + std::to_string(context_),
                 .hint = "/reset begins a new conversation; nothing is cut silently"});
  }
  request.request.max_new_tokens = std::min(request.request.max_new_tokens, room);
  return request;
}

Reply Conversation::say(const std::string& text, const std::function<void(const std::string&)>& on_text,
                        const std::function<bool()>& keep_on) {
  Reply reply;
  on_text_ = [&](const std::string& piece) {
    reply.text += piece;
    on_text(piece);
  };
  engine_.submit(next_request(text));
  const int64_t id = replies_++;
  std::vector<TextAnswer> answers;
  while (answers.empty() && !reply.interrupted) {
    answers = engine_.step();
    reply.interrupted = answers.empty() && !keep_on();
  }
  if (reply.interrupted) {
    engine_.cancel(id);
  } else {
    reply.out_of_room = answers[0].finish == Finish::kLength;
    reply.prompt_tokens = answers[0].prompt_tokens;
    reply.cached_tokens = answers[0].cached_tokens;
  }
  turns_.push_back({"user", text});
  turns_.push_back({"assistant", reply.text});
  return reply;
}

}  // namespace moelora::generate
