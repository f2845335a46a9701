// A request that has joined the batch. Internal to the engine.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "generate/engine.h"

namespace moelora::generate {

/// Tokens that follow the prompt at most.
inline int64_t answer_tokens(const Request& request) {
  return request.scored.empty() ? request.max_new_tokens : std::ssize(request.scored);
}

/// Positions whose keys and values it comes to hold: the last token of the answer is never read.
inline int64_t positions_of(const Request& request) {
  return std::ssize(request.prompt) + answer_tokens(request) - 1;
}

struct Engine::Sequence {
  Sequence(Request given, const nn::ModelConfig& config)
      : request(std::move(given)), input(request.prompt), cache(config, positions_of(request)) {
    if (!request.scored.empty()) input.insert(input.end(), request.scored.begin(), request.scored.end() - 1);
    if (request.sampling.repetition_penalty != 1) {
      seen = request.prompt;
      std::ranges::sort(seen);
      seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    }
  }

  bool scores() const { return !request.scored.empty(); }
  bool writes() const { return !written.empty(); }
  /// Rows to be read before the next token can be written.
  std::span<const int32_t> unread() const {
    return writes() ? std::span(written).last(1) : std::span(input).subspan(read);
  }
  /// The first position whose logits are asked for.
  int64_t first_answering() const { return scores() ? std::ssize(request.prompt) - 1 : std::ssize(input) - 1; }

  void write(int32_t token) {
    written.push_back(token);
    if (request.sampling.repetition_penalty == 1) return;
    const auto place = std::ranges::lower_bound(seen, token);
    if (place == seen.end() || *place != token) seen.insert(place, token);
  }

  Request request;
  std::vector<int32_t> input;  // the prompt, and what is read of the tokens scored
  SequenceCache cache;
  int64_t read = 0;  // positions in the cache
  int64_t cached_tokens = 0;
  std::vector<int32_t> written;
  std::vector<int32_t> seen;  // tokens of prompt and answer, ascending, where they are penalised
  std::vector<TokenLogprobs> logprobs;
  bool stopped = false;
  bool finished = false;
};

/// The rows of one forward.
struct Engine::Step {
  struct Answering {
    Sequence* sequence;
    int64_t rows;  // of those wanted, the next ones
  };
  std::vector<SequenceCache*> caches;
  std::vector<int64_t> ids, positions, cu_seqlens = {0}, tasks, wanted;
  std::vector<Answering> answering;
  std::vector<Sequence*> reading;  // whose prompts are read
};

}  // namespace moelora::generate
