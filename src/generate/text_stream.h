// An answer as text while its tokens arrive, ended by the first stop string in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/decode_stream.h"

namespace moelora::generate {

/// Special tokens are left out, and the lead. The pieces of push() and finish(), concatenated, are the decoded answer
/// up to the stop string that ends first in it, whatever the tokens it is spread over; no piece holds a part of one, or
/// of a character.
class TextStream {
 public:
  /// `stop`: none of them empty. `lead`: what a template has before an answer (PromptRenderer::answer_lead), no part of
  /// one that begins with it.
  TextStream(const text::Tokenizer& tokenizer, std::vector<std::string> stop, std::string lead = "");

  /// The text that this token makes certain.
  std::string push(int32_t id);
  /// What was held back; nothing may be pushed afterwards.
  std::string finish();
  /// Whether a stop string has come: what follows it is dropped.
  bool stopped() const { return stopped_; }

 private:
  std::string certain(std::string piece);
  std::string after_lead(std::string piece);

  text::DecodeStream decoder_;
  std::vector<std::string> stop_;
  std::string lead_;   // empty once the answer has begun
  std::string begun_;  // decoded, and perhaps the beginning of the lead
  std::string held_;   // decoded, and perhaps the beginning of a stop string
  bool stopped_ = false;
};

}  // namespace moelora::generate
