// Decoding while tokens arrive, one at a time: gives out text as soon as later tokens cannot change it any more.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "text/tokenizer.h"

namespace moelora::text {

/// The pieces of push() and the last one of finish(), concatenated, equal Tokenizer::decode of all ids. Every piece is
/// valid UTF-8: a character whose bytes are spread over several tokens comes out whole, with the last of them. One
/// stream, one thread.
class DecodeStream {
 public:
  DecodeStream(const Tokenizer& tokenizer, DecodeOptions options);
  DecodeStream(DecodeStream&&) noexcept;
  DecodeStream& operator=(DecodeStream&&) noexcept;
  ~DecodeStream();

  /// The text that this token makes certain; often one token's text, sometimes empty.
  std::string push(int32_t id);
  /// What was held back (an unfinished character becomes U+FFFD, as in decode). The stream then starts over.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moelora::text
