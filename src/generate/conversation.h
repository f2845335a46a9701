// Turns of a person and the model, each read with all before it; the prefix cache makes that cheap.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "generate/row_requests.h"

namespace moelora::generate {

struct Reply {
  std::string text;
  bool interrupted = false;   // keep_on said so
  bool out_of_room = false;   // max_new_tokens or the context ended it, not the model
  int64_t prompt_tokens = 0;  // of the whole conversation
  int64_t cached_tokens = 0;  // of them, not read again
};

struct ConversationOptions {
  std::string task;
  std::string system;  // empty: as the run was trained
  EngineOptions engine;
};

class Conversation {
 public:
  /// The model, the renderer and the requests must outlive this.
  Conversation(const adapters::Model& model, const data::PromptRenderer& renderer, const RowRequests& requests,
               ConversationOptions options);

  /// Says `text` and returns the answer, each piece of which is handed over as it comes; keep_on is asked between
  /// tokens. An interrupted answer stays in the conversation as far as it came. Throws Error (kLimit) where the
  /// context is full; then nothing was said. At most as many tokens are written as there is room for.
  Reply say(const std::string& text, const std::function<void(const std::string&)>& on_text,
            const std::function<bool()>& keep_on);

  /// Forgets all turns.
  void reset() { turns_.clear(); }
  /// Another task answers from now on, with the turns so far. The caller has checked its name.
  void set_task(std::string task) { options_.task = std::move(task); }
  const std::string& task() const { return options_.task; }

 private:
  TextRequest next_request(const std::string& text) const;

  int64_t context_;       // tokens that a conversation can have: the model's, or as many as the cache may hold
  int64_t most_context_;  // the model's
  const RowRequests& requests_;
  ConversationOptions options_;
  std::vector<data::Message> turns_;
  int64_t replies_ = 0;
  std::function<void(const std::string&)> on_text_;
  TextEngine engine_;
};

}  // namespace moelora::generate
