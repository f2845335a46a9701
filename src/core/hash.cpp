#include "core/hash.h"

#include <xxhash.h>

#include <cerrno>
#include <fstream>
#include <vector>

#include "core/file_system.h"

namespace moelora {
namespace {

std::string hex_of(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;  // big-endian: the same text on every machine
  XXH128_canonicalFromHash(&canonical, hash);
  std::string text;
  for (const unsigned char byte : canonical.digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

}  // namespace

struct Hasher::State {
  XXH3_state_t* xxh3 = XXH3_createState();  // aligned as the library needs it
  State() { XXH3_128bits_reset(xxh3); }
  ~State() { XXH3_freeState(xxh3); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) {
  if (!bytes.empty()) XXH3_128bits_update(state_->xxh3, bytes.data(), bytes.size());
}

std::string Hasher::hex() const {
  return hex_of(XXH3_128bits_digest(state_->xxh3));
}

std::string hash_hex(std::span<const std::byte> bytes) {
  return hex_of(XXH3_128bits(bytes.data(), bytes.size()));
}
std::string hash_hex(std::string_view text) {
  return hash_hex(std::as_bytes(std::span(text)));
}

std::string hash_file_hex(const std::filesystem::path& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) throw io_error(path, "open", errno);
  std::vector<char> buffer(1 << 20);
  Hasher hasher;
  while (true) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    const auto count = static_cast<size_t>(file.gcount());
    hasher.update(std::string_view(buffer.data(), count));
    if (file.bad() || (file.fail() && !file.eof())) throw io_error(path, "read", errno == 0 ? EIO : errno);
    if (file.eof()) return hasher.hex();
  }
}

}  // namespace moelora
