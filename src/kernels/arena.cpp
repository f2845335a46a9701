#include "kernels/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>

namespace moelora::kernels {
namespace {

constexpr size_t kGranule = size_t{64} << 10;
constexpr size_t kLargePage = size_t{2} << 20;
constexpr size_t kLeastReserved = size_t{1} << 30;

size_t rounded(size_t bytes) {
  return (bytes + kGranule - 1) / kGranule * kGranule;
}

}  // namespace

Arena::Arena(size_t most_bytes) {
  for (size_t bytes = most_bytes; bytes >= std::min(most_bytes, kLeastReserved); bytes /= 2) {
    // Readable from the start: pages are given when they are touched, and MAP_NORESERVE promises none before.
    void* range = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) continue;
    base_ = static_cast<char*>(range);
    reserved_ = bytes;
    madvise(base_, reserved_, MADV_HUGEPAGE);  // where the system has none, nothing changes
    madvise(base_, reserved_, MADV_DONTDUMP);
    break;
  }
  if (base_ == nullptr) return;
  const size_t skip = (kLargePage - reinterpret_cast<uintptr_t>(base_) % kLargePage) % kLargePage;
  insert_free(base_ + skip, (reserved_ - skip) / kGranule * kGranule, State::kClean);
}

Arena::~Arena() {
  if (base_ != nullptr) munmap(base_, reserved_);
}

void Arena::remove_free(Blocks::iterator block) {
  free_of(block->second.state).erase({block->second.bytes, block->first});
  blocks_.erase(block);
}

void Arena::insert_free(char* at, size_t bytes, State state) {
  const auto next = blocks_.find(at + bytes);
  if (next != blocks_.end() && next->second.state == state) {
    bytes += next->second.bytes;
    remove_free(next);
  }
  const auto after = blocks_.lower_bound(at);
  if (after != blocks_.begin()) {
    const auto previous = std::prev(after);
    if (previous->second.state == state && previous->first + previous->second.bytes == at) {
      at = previous->first;
      bytes += previous->second.bytes;
      remove_free(previous);
    }
  }
  blocks_[at] = {bytes, state};
  free_of(state).insert({bytes, at});
}

char* Arena::take_from(FreeBlocks& blocks, size_t bytes) {
  const auto fit = blocks.lower_bound({bytes, nullptr});
  if (fit == blocks.end()) return nullptr;
  const auto [size, at] = *fit;
  const auto block = blocks_.find(at);
  const State state = block->second.state;
  remove_free(block);
  blocks_[at] = {bytes, State::kUsed};
  if (size > bytes) insert_free(at + bytes, size - bytes, state);
  return at;
}

void* Arena::take(size_t bytes) {
  bytes = rounded(bytes);
  char* at = take_from(touched_, bytes);
  if (at == nullptr) {
    at = take_from(clean_, bytes);
    if (at == nullptr) return nullptr;
    held_ += static_cast<int64_t>(bytes);
    ++grown_;
  }
  in_use_ += static_cast<int64_t>(bytes);
  return at;
}

int64_t Arena::held_after(size_t bytes) const {
  const bool fits = touched_.lower_bound({rounded(bytes), nullptr}) != touched_.end();
  return held_ + (fits ? 0 : static_cast<int64_t>(rounded(bytes)));
}

void Arena::give_back(void* data) {
  const auto block = blocks_.find(static_cast<char*>(data));
  const size_t bytes = block->second.bytes;
  in_use_ -= static_cast<int64_t>(bytes);
  blocks_.erase(block);
  insert_free(static_cast<char*>(data), bytes, State::kTouched);
}

void Arena::trim(int64_t most_bytes) {
  while (held_ > most_bytes && !touched_.empty()) {
    const auto [size, at] = *touched_.rbegin();
    const size_t part = std::min(size, rounded(static_cast<size_t>(held_ - most_bytes)));
    char* end_part = at + (size - part);  // its end, so that what stays is joined with what lies before
    remove_free(blocks_.find(at));
    if (size > part) insert_free(at, size - part, State::kTouched);
    madvise(end_part, part, MADV_DONTNEED);
    held_ -= static_cast<int64_t>(part);
    insert_free(end_part, part, State::kClean);
  }
}

}  // namespace moelora::kernels
