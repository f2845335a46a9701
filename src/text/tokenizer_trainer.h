// Training a byte-level BPE tokenizer of our own (the demo's base model has one).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moelora::text {

struct BpeTrainingOptions {
  /// Size wanted, special tokens and the 256 bytes included; fewer come out where the texts run out of pairs.
  int64_t vocab_size = 0;
  /// Get the first ids, in this order.
  std::vector<std::string> special_tokens;
  /// A pair seen less often is not merged.
  int64_t min_frequency = 2;
};

/// The contents of a tokenizer.json: NFC, Qwen's way of splitting words, byte-level BPE. Any text encodes and decodes
/// losslessly (up to NFC). The same texts and options give the same bytes. Throws Error(kConfig) for impossible
/// options, Error(kData) for invalid UTF-8, with the index of the text.
std::string train_byte_level_bpe(std::span<const std::string> texts, const BpeTrainingOptions& options);

}  // namespace moelora::text
