// A SentencePiece model: loaded, then used on a text of every kind.
#include "fuzz/target.h"
#include "text/tokenizer.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  const auto tokenizer = text::Tokenizer::from_sentencepiece(input, "tokenizer.model");
  const std::vector<int32_t> ids = tokenizer.encode("The  end</s> 糖尿病 😀 ①\n\tx=1", {.add_special_tokens = true});
  tokenizer.decode(ids, {.skip_special_tokens = false});
  for (const int32_t id : ids) {
    require(id >= 0 && id < tokenizer.id_limit(), "an id beyond the vocabulary");
    tokenizer.id_to_token(id);
  }
}

}  // namespace moelora::fuzz
