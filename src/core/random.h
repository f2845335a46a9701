// Counter-based random numbers: every draw is a pure function of (seed, stream, counter), so order, packing, thread
// count and resumption never change it. Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC'11).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace moelora {

/// What a draw is for; part of its key, so that two uses never share numbers. Values are stored in no file but must not
/// change: they decide the bits of a seeded run.
enum class RandomStream : uint32_t {
  kInit = 1,  // parameter initialisation
  kDropout = 2,
  kOrder = 3,      // shuffling rows, sampling tasks
  kSampling = 4,   // generated tokens
  kData = 5,       // tests, synthetic workloads
  kSearch = 6,     // searches without gradients
  kBootstrap = 7,  // resampling of results
};

/// One block of four draws. key: two words, counter: four words.
inline std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 2> key, std::array<uint32_t, 4> counter) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// A reproducible sequence of draws named by (seed, stream, a, b): e.g. a = epoch, b = task. Copyable; the n-th draw is
/// the same whenever it is made.
class Random {
 public:
  Random(uint64_t seed, RandomStream stream, uint64_t a = 0, uint32_t b = 0)
      : key_{static_cast<uint32_t>(seed),
             static_cast<uint32_t>(seed >> 32) ^ (static_cast<uint32_t>(stream) * 0x85EBCA6Bu)},
        a_{static_cast<uint32_t>(a), static_cast<uint32_t>(a >> 32) ^ (b * 0xC2B2AE35u)} {}

  uint32_t next_u32() {
    const uint64_t block = index_ / 4;
    const unsigned lane = index_++ % 4;
    if (lane == 0)
      block_ = philox4x32(key_, {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), a_[0], a_[1]});
    return block_[lane];
  }
  uint64_t next_u64() {
    const uint64_t high = next_u32();
    return high << 32 | next_u32();
  }
  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }
  /// Uniform in [0, bound), without modulo bias. bound > 0.
  uint64_t below(uint64_t bound) {
    while (true) {
      const unsigned __int128 product = static_cast<unsigned __int128>(next_u64()) * bound;
      if (static_cast<uint64_t>(product) >= (-bound) % bound) return static_cast<uint64_t>(product >> 64);
    }
  }
  /// Standard normal (Box-Muller, one of the pair).
  double normal();

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 2> a_;
  std::array<uint32_t, 4> block_{};
  uint64_t index_ = 0;
};

/// A draw key from a name (a tensor's, say): FNV-1a, 64 bits.
constexpr uint64_t name_key(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

/// Fisher-Yates over any random-access container, from `random`.
template <typename Container>
void shuffle(Container& items, Random& random) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.below(i)]);
}

}  // namespace moelora
