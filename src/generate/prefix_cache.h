// Keys and values of prompts that have been read, kept so that a prompt with the same beginning doesn't read it again:
// a system prompt, a task's instructions, the earlier turns of a chat.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "generate/kv_cache.h"

namespace moelora::generate {

/// Blocks of kBlock positions in a tree: a block is found by its tokens, those before it and whose they are. Tokens are
/// compared, not hashed: what one task or one adapter computed never serves another. Blocks of one beginning are held
/// once, and the sequences that use them copy them: attention reads a sequence's keys in one piece.
///
/// The least recently used block leaves first, and never before those that build on it.
class PrefixCache {
 public:
  static constexpr int64_t kBlock = 16;

  /// What keys and values depend on beside the tokens.
  struct Owner {
    std::string adapter;  // adapters::fingerprint; empty for a model without adapters
    int64_t task = 0;
    auto operator<=>(const Owner&) const = default;
  };

  /// Holds at most so many positions, in whole blocks; 0: none.
  explicit PrefixCache(int64_t most_positions) : most_blocks_(most_positions / kBlock) {}
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  bool enabled() const { return most_blocks_ > 0; }

  /// Appends to `cache`, which holds a whole number of blocks of the beginning of `tokens`, what is known of the blocks
  /// after them that end within `tokens`. Returns the positions appended.
  int64_t extend(const Owner& owner, std::span<const int32_t> tokens, SequenceCache& cache);

  /// Keeps the whole blocks of `tokens`, all of which `cache` holds.
  void keep(const Owner& owner, std::span<const int32_t> tokens, const SequenceCache& cache);

  int64_t positions() const { return static_cast<int64_t>(recent_.size()) * kBlock; }

 private:
  struct Block;
  using Tokens = std::vector<int32_t>;
  using Children = std::map<Tokens, std::list<Block>::iterator>;
  struct Block {
    at::Tensor values;         // SequenceCache::copy
    Children* home = nullptr;  // where it is entered
    Children::iterator place;
    Children children;
  };

  static Tokens tokens_of(std::span<const int32_t> tokens, int64_t block) {
    const auto part = tokens.subspan(block * kBlock, kBlock);
    return {part.begin(), part.end()};
  }
  /// The last blocks of `path` first: so that a block is never older than those that build on it.
  void touch(const std::vector<std::list<Block>::iterator>& path);
  /// Makes room for one block by dropping the oldest, unless that is in `path`. False where there is none.
  bool make_room(const std::vector<std::list<Block>::iterator>& path);

  int64_t most_blocks_;
  std::map<Owner, Children> roots_;
  std::list<Block> recent_;  // most recently used first
};

}  // namespace moelora::generate
