// A tokenizer_config.json, beside a small tokenizer.json.
#include <string>
#include <vector>

#include "fuzz/target.h"
#include "text/assets.h"
#include "text/tokenizer_trainer.h"

namespace moelora::fuzz {

void read_input(std::string_view input) {
  static const bool tokenizer_written = [] {
    const std::vector<std::string> texts = {"plain text, a plainer text and the plainest"};
    write_file("tokenizer.json",
               text::train_byte_level_bpe(texts, {.vocab_size = 270, .special_tokens = {"<s>", "</s>"}}));
    return true;
  }();
  require(tokenizer_written, "no tokenizer");
  write_file("tokenizer_config.json", input);
  const text::TextAssets assets = text::load_text_assets(directory());
  for (const auto* token : {&assets.bos, &assets.eos, &assets.pad, &assets.unk}) {
    require(!*token || ((*token)->id >= 0 && (*token)->id < assets.tokenizer.id_limit()),
            "a special token beyond the vocabulary");
  }
}

}  // namespace moelora::fuzz
