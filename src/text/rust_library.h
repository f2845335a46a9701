// What the sources of this folder share to call the Rust library: owned buffers, statuses turned into errors. Internal
// to src/text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "moelora_text.h"

namespace moelora::text::internal {

/// A buffer the Rust library gave out; released when destroyed.
class Bytes {
 public:
  Bytes() = default;
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  ~Bytes();

  MoeloraBytes* out() { return &bytes_; }
  std::string str() const { return bytes_.size == 0 ? std::string() : std::string(bytes_.data, bytes_.size); }

 private:
  MoeloraBytes bytes_{nullptr, 0, 0};
};

class Ids {
 public:
  Ids() = default;
  Ids(const Ids&) = delete;
  Ids& operator=(const Ids&) = delete;
  ~Ids();

  MoeloraIds* out() { return &ids_; }
  const int32_t* begin() const { return ids_.data; }
  const int32_t* end() const { return ids_.data + ids_.size; }
  std::vector<int32_t> vector() const {
    return ids_.size == 0 ? std::vector<int32_t>() : std::vector<int32_t>(begin(), end());
  }

 private:
  MoeloraIds ids_{nullptr, 0, 0};
};

inline MoeloraSlice slice(std::string_view text) {
  return {text.data(), text.size()};
}

/// The kind that a status means where the caller knows nothing better.
ErrorKind kind_of(MoeloraStatus status);

}  // namespace moelora::text::internal
