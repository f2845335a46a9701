// What has to hold of a SentencePiece model (a serialized ModelProto of sentencepiece_model.proto) before the library
// is given it: it trusts the files that it reads. Internal to src/text.
#pragma once

#include <string>
#include <string_view>

namespace moelora::text::internal {

/// Checks the message's structure, the pieces' texts and scores, and that no path through a normalisation table leads
/// out of it. Throws Error(kModel), naming `name`, for what is cut short, not such a model, or would not be safe to
/// use.
void check_sentencepiece_model(std::string_view contents, const std::string& name);

}  // namespace moelora::text::internal
