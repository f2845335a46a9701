// Content checksums: XXH3-128 as 32 lower-case hex digits. They find damage, not forgery: never use them as a
// signature.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace moelora {

/// Checksum of bytes that arrive in parts; equal to the checksum of the whole.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string hash_hex(std::span<const std::byte> bytes);
std::string hash_hex(std::string_view text);

/// Reads the file in pieces. Throws Error (kIo) naming the file where it can't be read.
std::string hash_file_hex(const std::filesystem::path& path);

}  // namespace moelora
