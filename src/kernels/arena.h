// One range of addresses from which large tensors take their memory: split and joined again, so that batches of other
// lengths find the pages of those before them. Pages that were touched stay until the bound asks for them back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace moelora::kernels {

class Arena {
 public:
  /// Reserves addresses, no memory. `most_bytes` at once in use; less where the process may not reserve as much.
  explicit Arena(size_t most_bytes);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// A block of at least `bytes` > 0, 64 KiB aligned; null where addresses or memory are used up.
  void* take(size_t bytes);
  void give_back(void* data);
  /// Whether it lies in the arena, in use or not.
  bool holds(const void* data) const {
    return static_cast<const char*>(data) >= base_ && static_cast<const char*>(data) < base_ + reserved_;
  }
  /// Returns pages of unused blocks to the system, the largest first, until at most `most_bytes` are held.
  void trim(int64_t most_bytes);

  int64_t bytes_held() const { return held_; }  // of blocks whose pages may be touched, in use or not
  int64_t bytes_in_use() const { return in_use_; }
  int64_t grown() const { return grown_; }  // how often take() had to touch new pages
  /// What take(bytes) would hold afterwards: the same where a kept block fits.
  int64_t held_after(size_t bytes) const;

 private:
  enum class State { kUsed, kTouched, kClean };  // clean: not touched since the system gave its pages
  struct Block {
    size_t bytes;
    State state;
  };
  using Blocks = std::map<char*, Block>;
  using FreeBlocks = std::set<std::pair<size_t, char*>>;  // by size, then address

  FreeBlocks& free_of(State state) { return state == State::kTouched ? touched_ : clean_; }
  void insert_free(char* at, size_t bytes, State state);  // joined with neighbours of its state
  void remove_free(Blocks::iterator block);
  char* take_from(FreeBlocks& blocks, size_t bytes);  // the smallest that fits, cut to size; null without one

  char* base_ = nullptr;
  size_t reserved_ = 0;
  Blocks blocks_;
  FreeBlocks touched_, clean_;
  int64_t held_ = 0, in_use_ = 0, grown_ = 0;
};

}  // namespace moelora::kernels
