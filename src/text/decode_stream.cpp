#include "text/decode_stream.h"

#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer_backend.h"

namespace moelora::text {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

}  // namespace

/// The window holds the tokens of the last piece, which give the decoder its context (a leading space is dropped only
/// at the start of a text), and those after it. Decoding it, less `given`, is what has not been given out yet.
///
/// What later tokens can still change:
/// - the last character where it is U+FFFD: perhaps the beginning of a character whose other bytes are to come. Earlier
///   ones are certain: UTF-8 decoding replaces each ill-formed sequence by itself;
/// - a run of byte-fallback tokens (<0xE4> …), as a whole: `tokenizers` decodes it to its characters if all of it is
///   valid, else to one U+FFFD a byte. So a run is given out with the token that ends it.
struct DecodeStream::State {
  Tokenizer tokenizer;
  DecodeOptions options;
  std::vector<int32_t> window;
  size_t context = 0;  // tokens of the window that have been given out
  std::string given;   // decode(window) begins with this, which has been given out

  std::string decode() const { return tokenizer.decode(window, options); }
  bool decodes_to_nothing(int32_t id) const {
    return (options.skip_special_tokens && tokenizer.is_special(id)) || !tokenizer.id_to_token(id);
  }
  bool may_continue_bytes(int32_t id) const { return tokenizer.backend_->is_byte(id); }
};

DecodeStream::DecodeStream(const Tokenizer& tokenizer, DecodeOptions options)
    : state_(std::make_unique<State>(State{.tokenizer = tokenizer, .options = options})) {}
DecodeStream::DecodeStream(DecodeStream&&) noexcept = default;
DecodeStream& DecodeStream::operator=(DecodeStream&&) noexcept = default;
DecodeStream::~DecodeStream() = default;

std::string DecodeStream::push(int32_t id) {
  State& state = *state_;
  if (state.decodes_to_nothing(id)) return {};
  state.window.push_back(id);
  if (state.may_continue_bytes(id)) return {};
  std::string text = state.decode();
  std::string_view certain = text;
  const bool open = certain.ends_with(kReplacement);
  if (open) certain.remove_suffix(kReplacement.size());
  if (certain.size() <= state.given.size() || !certain.starts_with(state.given)) return {};
  std::string piece(certain.substr(state.given.size()));
  if (open) {
    state.given += piece;
    return piece;
  }
  const auto begin = state.window.begin() + static_cast<std::ptrdiff_t>(state.context);
  const std::vector<int32_t> last(begin, state.window.end());
  std::string shorter = state.tokenizer.decode(last, state.options);
  if (shorter.empty()) {
    // A blank that the decoder drops at the beginning of a text, as it would that of the next token.
    state.given = std::move(text);
  } else {
    state.window = last;
    state.given = std::move(shorter);
  }
  state.context = state.window.size();
  return piece;
}

std::string DecodeStream::finish() {
  State& state = *state_;
  std::string text = state.decode();
  std::string piece = text.starts_with(state.given) ? text.substr(state.given.size()) : std::string();
  state.window.clear();
  state.context = 0;
  state.given.clear();
  return piece;
}

}  // namespace moelora::text
