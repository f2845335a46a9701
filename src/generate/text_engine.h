// Generation as its users see it: text as it becomes certain, stop strings, answers chosen from labels. What the
// command line uses, and a server would.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "generate/engine.h"
#include "generate/text_stream.h"

namespace moelora::generate {

/// An answer that may be chosen, with its tokens up to and including its end token: PromptRenderer::answer_ids.
struct Label {
  std::string text;
  std::vector<int32_t> tokens;
};

struct TextRequest {
  Request request;                // its id at least 0
  std::vector<std::string> stop;  // end the answer and are not part of it
  std::string lead;               // PromptRenderer::answer_lead
  std::vector<Label> labels;      // not empty: the answer is the most probable of these; sampling and stop don't matter
};

enum class Finish {
  kStop,    // an end token, a stop string, or a label
  kLength,  // max_new_tokens
};

struct TextAnswer {
  int64_t id = 0;
  std::string text;
  Finish finish = Finish::kStop;
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  std::vector<int32_t> tokens;              // as written: of a stop string too, not the end token
  std::vector<TokenLogprobs> logprobs;      // where asked for: of tokens and the end token
  std::vector<double> label_probabilities;  // in the labels' order, sum 1; empty where there were none
};

/// exp of each, divided by their sum: what is left of a distribution over all answers when only these can be.
std::vector<double> normalised(const std::vector<double>& log_probabilities);

class TextEngine {
 public:
  /// `on_text`: each piece of an answer as it becomes certain; none for answers that are chosen from labels. Must not
  /// call the engine. `tokenizer` must outlive this; options.on_token is not the caller's.
  TextEngine(const adapters::Model& model, const text::Tokenizer& tokenizer, EngineOptions options,
             std::function<void(int64_t id, const std::string& piece)> on_text = {});

  /// As Engine::check, of the request and of each label; also Error (kUsage) for an empty stop string, an empty label
  /// and labels that are the same.
  void check(const TextRequest& request) const;
  /// As Engine::submit. A label takes a place in the queue each.
  void submit(TextRequest request);
  /// Throws what Engine::step does; nothing may be asked of this afterwards.
  std::vector<TextAnswer> step();
  bool cancel(int64_t id);

  bool idle() const { return engine_.idle(); }
  const EngineCounts& counts() const { return engine_.counts(); }

 private:
  struct Written {
    TextStream stream;
    std::string text;
  };
  struct Choice {
    std::vector<Label> labels;
    std::vector<double> log_probabilities;
    int64_t first_part = 0;  // engine's ids: first_part, first_part - 1 …
    int64_t unfinished = 0;
  };

  bool on_token(int64_t id, int32_t token);
  TextAnswer finish_written(Completion completion);
  void note_part(const Completion& completion, std::vector<TextAnswer>& answers);

  text::Tokenizer tokenizer_;
  std::function<void(int64_t, const std::string&)> on_text_;
  std::map<int64_t, Written> written_;
  std::map<int64_t, Choice> choices_;
  std::map<int64_t, std::pair<int64_t, size_t>> parts_;  // engine's id below 0 -> request's id, label
  int64_t next_part_ = -1;
  Engine engine_;
};

}  // namespace moelora::generate
