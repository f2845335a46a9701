#include "kernels/allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace moelora::kernels {
namespace {

constexpr size_t kAlignment = 64;  // of the data; the header takes as much
constexpr size_t kMapped =
    size_t{1} << 20;  // from here on a block is a mapping of its own, in large pages where there are any
constexpr size_t kLeastKept = size_t{64} << 20;

/// Before the data of every block.
struct Header {
  size_t bytes;  // of the whole block
};

/// Sizes come in eight steps an octave: at most an eighth is given away, and blocks of nearly equal batches fit one
/// another.
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
    void* data = take(block_bytes(bytes));
    return {data, data, &release, device};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }

  AllocatorCounts counts() {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

  static CachingAllocator& instance() {
    static auto* allocator = new CachingAllocator;  // outlives every tensor, those of other statics too
    return *allocator;
  }

 private:
  static void release(void* data) {
    if (data != nullptr) instance().give_back(data);
  }

  void* take(size_t bytes) {
    const std::lock_guard lock(mutex_);
    for (auto free = free_.lower_bound(bytes); free != free_.end() && free->first <= bytes + bytes / 4; ++free) {
      if (free->second.empty()) continue;
      void* data = free->second.back();
      free->second.pop_back();
      counts_.bytes_in_use += static_cast<int64_t>(free->first);
      most_in_use_ = std::max(most_in_use_, counts_.bytes_in_use);
      ++counts_.reused;
      return data;
    }
    counts_.bytes_in_use += static_cast<int64_t>(bytes);
    most_in_use_ = std::max(most_in_use_, counts_.bytes_in_use);
    trim(static_cast<int64_t>(bytes));
    void* block = bytes >= kMapped ? map(bytes)
                                   : std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    if (block == nullptr) throw std::bad_alloc();
    ++counts_.from_system;
    counts_.bytes_held += static_cast<int64_t>(bytes);
    new (block) Header{bytes};
    return static_cast<char*>(block) + kAlignment;
  }

  static void* map(size_t bytes) {
    void* block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return nullptr;
    madvise(block, bytes, MADV_HUGEPAGE);  // where the system has none, nothing changes
    return block;
  }

  void give_back(void* data) {
    const std::lock_guard lock(mutex_);
    const size_t bytes = reinterpret_cast<Header*>(static_cast<char*>(data) - kAlignment)->bytes;
    counts_.bytes_in_use -= static_cast<int64_t>(bytes);
    free_[bytes].push_back(data);
  }

  /// Called before `more` bytes are asked of the system: gives back unused blocks, the largest first, as far as the
  /// bound wants.
  void trim(int64_t more) {
    const int64_t most_held = most_in_use_ + std::max<int64_t>(kLeastKept, most_in_use_ / 8);
    for (auto size = free_.rbegin(); size != free_.rend(); ++size) {
      while (!size->second.empty() && counts_.bytes_held + more > most_held) {
        void* block = static_cast<char*>(size->second.back()) - kAlignment;
        size->second.pop_back();
        counts_.bytes_held -= static_cast<int64_t>(size->first);
        if (size->first >= kMapped) {
          munmap(block, size->first);
        } else {
          std::free(block);
        }
      }
    }
  }

  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;  // data pointers by block size
  AllocatorCounts counts_;
  int64_t most_in_use_ = 0;
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
