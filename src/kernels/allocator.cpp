#include "kernels/allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "core/memory.h"
#include "kernels/arena.h"

namespace moelora::kernels {
namespace {

constexpr size_t kAlignment = 64;               // of the data; the header of a small block takes as much
constexpr size_t kLarge = size_t{256} << 10;    // from here on a block comes from the arena
constexpr size_t kAddresses = size_t{1} << 42;  // 4 TiB of them, of the 128 TiB that a process has
constexpr int64_t kLeastKept = int64_t{64} << 20;
constexpr int64_t kLeastChecked = int64_t{256} << 20;  // smaller requests aren't worth asking the system

/// Before the data of every small block.
struct Header {
  size_t bytes;  // of the whole block
};

/// Small sizes come in eight steps an octave: at most an eighth is given away, and blocks of nearly equal batches fit
/// one another.
size_t block_bytes(size_t data_bytes) {
  const size_t bytes = std::max<size_t>(data_bytes + kAlignment, 512);
  const size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}

class CachingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    const c10::Device device(c10::DeviceType::CPU);
    if (bytes == 0) return {nullptr, nullptr, &release, device};
    const std::lock_guard lock(mutex_);
    void* data = bytes >= kLarge ? take_large(bytes) : take_small(block_bytes(bytes));
    return {data, data, &release, device};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }

  AllocatorCounts counts() {
    const std::lock_guard lock(mutex_);
    return {.from_system = small_.from_system + arena_.grown(),
            .reused = small_.reused + large_taken_ - arena_.grown(),
            .bytes_held = small_.bytes_held + arena_.bytes_held(),
            .bytes_in_use = small_.bytes_in_use + arena_.bytes_in_use()};
  }

  static CachingAllocator& instance() {
    static auto* allocator = new CachingAllocator;  // outlives every tensor, those of other statics too
    return *allocator;
  }

 private:
  static void release(void* data) {
    if (data != nullptr) instance().give_back(data);
  }

  /// Before more is held than the bound allows, unused pages go back to the system.
  void* take_large(size_t bytes) {
    const int64_t more = arena_.held_after(bytes) - arena_.bytes_held();
    const int64_t most_in_use = std::max(most_in_use_, arena_.bytes_in_use() + static_cast<int64_t>(bytes));
    if (more > 0) arena_.trim(most_in_use + std::max(kLeastKept, most_in_use / 8) - more);
    // Addresses are promised without memory behind them: what the machine can't give is refused here, and not by a
    // kernel that kills the process when it touches the pages.
    if (more >= kLeastChecked && more > available_memory_bytes()) throw std::bad_alloc();
    void* data = arena_.take(bytes);
    if (data == nullptr) return take_small(block_bytes(bytes));  // a process that may reserve no more addresses
    most_in_use_ = most_in_use;
    ++large_taken_;
    return data;
  }

  void* take_small(size_t bytes) {
    for (auto free = free_.lower_bound(bytes); free != free_.end() && free->first <= bytes + bytes / 4; ++free) {
      if (free->second.empty()) continue;
      void* data = free->second.back();
      free->second.pop_back();
      small_.bytes_in_use += static_cast<int64_t>(free->first);
      ++small_.reused;
      return data;
    }
    void* block = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    if (block == nullptr) throw std::bad_alloc();
    ++small_.from_system;
    small_.bytes_in_use += static_cast<int64_t>(bytes);
    small_.bytes_held += static_cast<int64_t>(bytes);
    new (block) Header{bytes};
    return static_cast<char*>(block) + kAlignment;
  }

  void give_back(void* data) {
    const std::lock_guard lock(mutex_);
    if (arena_.holds(data)) return arena_.give_back(data);
    const size_t bytes = reinterpret_cast<Header*>(static_cast<char*>(data) - kAlignment)->bytes;
    small_.bytes_in_use -= static_cast<int64_t>(bytes);
    free_[bytes].push_back(data);
  }

  std::mutex mutex_;
  Arena arena_{kAddresses};
  std::map<size_t, std::vector<void*>> free_;  // small blocks' data by block size
  AllocatorCounts small_;
  int64_t large_taken_ = 0;
  int64_t most_in_use_ = 0;  // of the arena
};

bool installed = false;

}  // namespace

void install_caching_allocator() {
  if (installed) return;
  installed = true;
  c10::SetCPUAllocator(&CachingAllocator::instance(), /*priority=*/1);
}

AllocatorCounts allocator_counts() {
  return installed ? CachingAllocator::instance().counts() : AllocatorCounts{};
}

}  // namespace moelora::kernels
