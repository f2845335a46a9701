// A tokenizer.json: loaded, then used on a text of every kind.
#include "text/tokenizer.h"

#include "fuzz/target.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  const auto tokenizer = text::Tokenizer::from_json(input, "tokenizer.json");
  for (const bool special : {false, true}) {
    const std::vector<int32_t> ids = tokenizer.encode("The  end</s> 糖尿病 😀\n\tx=1", {.add_special_tokens = special});
    tokenizer.decode(ids, {.skip_special_tokens = special});
    for (const int32_t id : ids) {
      require(id >= 0 && id < tokenizer.id_limit(), "an id beyond the vocabulary");
      tokenizer.id_to_token(id);
    }
  }
}

}  // namespace moelora::fuzz
