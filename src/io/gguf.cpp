#include "io/gguf.h"

#include <array>
#include <bit>
#include <cstring>
#include <set>

#include "core/error.h"
#include "core/utf8.h"
#include "io/quote.h"

namespace moelora::io {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "GGUF";
constexpr uint32_t kVersion = 3;
constexpr size_t kAlignment = 32;
constexpr uint32_t kFloat32Value = 6, kStringValue = 8;  // gguf_type
constexpr uint32_t kFloat32Tensor = 0;                   // ggml_type
constexpr size_t kMostDimensions = 4;
constexpr size_t kMostNameBytes = 63;  // GGML_MAX_NAME, without its final NUL

size_t padded(size_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

template <typename Number>
void put(std::string& out, Number number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void put(std::string& out, const std::string& text) {
  put(out, uint64_t{text.size()});
  out += text;
}

class Parser {
 public:
  Parser(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  GgufFile parse() {
    if (text(kMagic.size()) != kMagic) refuse(name_, "not a GGUF file", "", "it to begin with GGUF");
    const auto version = number<uint32_t>();
    if (version != kVersion)
      refuse(name_, "of another GGUF version", std::to_string(version), std::to_string(kVersion));
    const auto tensors = number<uint64_t>();
    const auto keys = number<uint64_t>();
    GgufFile file;
    // Every entry takes bytes, so that lying counts end at the end of the file.
    for (uint64_t i = 0; i < keys; ++i) read_key(file);
    std::set<std::string> names;
    std::vector<uint64_t> offsets;
    for (uint64_t i = 0; i < tensors; ++i) {
      offsets.push_back(read_tensor(file));
      if (!names.insert(file.tensors.back().name).second) refuse(place(file.tensors.back()), "it is there twice");
    }
    place_data(file, offsets);
    return file;
  }

 private:
  [[noreturn]] static void refuse(const std::string& where, std::string problem, std::string found = "",
                                  std::string expected = "") {
    throw Error(
        ErrorKind::kModel,
        {.where = where, .problem = std::move(problem), .found = std::move(found), .expected = std::move(expected)});
  }

  std::string place(const GgufTensor& tensor) const { return tensor_place(name_, tensor.name); }

  std::string_view text(uint64_t size) {
    if (size > bytes_.size() - position_) {
      refuse(name_, "the file is cut short, or a length in it is wrong", "",
             std::to_string(size) + " bytes at byte " + std::to_string(position_));
    }
    const std::string_view part(reinterpret_cast<const char*>(bytes_.data()) + position_, size);
    position_ += size;
    return part;
  }

  template <typename Number>
  Number number() {
    Number value;
    std::memcpy(&value, text(sizeof value).data(), sizeof value);
    return value;
  }

  std::string string(size_t most) {
    const auto size = number<uint64_t>();
    const std::string_view value = text(size);
    if (size > most)
      refuse(name_, "a name is too long", std::to_string(size) + " bytes", "at most " + std::to_string(most));
    if (first_invalid_utf8(value)) refuse(name_, quote_name(value) + " isn't valid UTF-8");
    return std::string(value);
  }

  void read_key(GgufFile& file) {
    const std::string key = string(65535);
    const auto type = number<uint32_t>();
    GgufValue value;
    if (type == kStringValue) {
      value = string(bytes_.size());
    } else if (type == kFloat32Value) {
      value = number<float>();
    } else {
      refuse(name_ + ", key " + quote_name(key), "its type isn't read here", std::to_string(type),
             "a string or a float32");
    }
    if (!file.keys.emplace(key, std::move(value)).second)
      refuse(name_ + ", key " + quote_name(key), "it is there twice");
  }

  /// Its offset in the data.
  uint64_t read_tensor(GgufFile& file) {
    GgufTensor tensor{.name = string(kMostNameBytes), .ne = {}, .data = {}};
    const auto dimensions = number<uint32_t>();
    if (dimensions < 1 || dimensions > kMostDimensions) {
      refuse(place(tensor), "its number of dimensions is wrong", std::to_string(dimensions), "1 to 4");
    }
    for (uint32_t i = 0; i < dimensions; ++i) tensor.ne.push_back(number<int64_t>());
    const auto type = number<uint32_t>();
    if (type != kFloat32Tensor) refuse(place(tensor), "its type isn't read here", std::to_string(type), "F32");
    file.tensors.push_back(std::move(tensor));
    return number<uint64_t>();
  }

  void place_data(GgufFile& file, const std::vector<uint64_t>& offsets) {
    size_t begin = padded(position_);
    for (size_t i = 0; i < file.tensors.size(); ++i) {
      GgufTensor& tensor = file.tensors[i];
      uint64_t size = sizeof(float);
      for (const int64_t length : tensor.ne) {
        if (length < 1 || size > bytes_.size() / static_cast<uint64_t>(length)) {
          refuse(place(tensor), "its sizes don't fit the file");
        }
        size *= static_cast<uint64_t>(length);
      }
      // As ggml does it: tensors follow one another without gaps.
      if (begin > bytes_.size() || size > bytes_.size() - begin) refuse(place(tensor), "the file is cut short");
      if (offsets[i] != begin - padded(position_))
        refuse(place(tensor), "its offset doesn't follow the tensor before it");
      tensor.data = bytes_.subspan(begin, size);
      begin = padded(begin + size);
    }
    if (begin != padded(bytes_.size()) || file.tensors.empty())
      refuse(name_, "its tensors aren't all that the file holds");
  }

  std::span<const std::byte> bytes_;
  const std::string& name_;
  size_t position_ = 0;
};

}  // namespace

void write_gguf(const GgufFile& file, const std::function<void(std::span<const std::byte>)>& sink) {
  std::string head(kMagic);
  put(head, kVersion);
  put(head, uint64_t{file.tensors.size()});
  put(head, uint64_t{file.keys.size()});
  for (const auto& [key, value] : file.keys) {
    put(head, key);
    if (const auto* text = std::get_if<std::string>(&value)) {
      put(head, kStringValue);
      put(head, *text);
    } else {
      put(head, kFloat32Value);
      put(head, std::get<float>(value));
    }
  }
  uint64_t offset = 0;
  for (const GgufTensor& tensor : file.tensors) {
    size_t size = sizeof(float);
    put(head, tensor.name);
    put(head, static_cast<uint32_t>(tensor.ne.size()));
    for (const int64_t length : tensor.ne) {
      put(head, length);
      size *= length;
    }
    if (size != tensor.data.size() || tensor.name.size() > kMostNameBytes || tensor.ne.size() > kMostDimensions) {
      throw Error(ErrorKind::kInternal, {.where = "GGUF writer, tensor " + quote_name(tensor.name),
                                         .problem = "its name, sizes or data can't be written"});
    }
    put(head, kFloat32Tensor);
    put(head, offset);
    offset += padded(size);
  }
  head.resize(padded(head.size()));
  sink(std::as_bytes(std::span(head)));
  constexpr std::array<std::byte, kAlignment> kZeros{};
  for (const GgufTensor& tensor : file.tensors) {
    sink(tensor.data);
    sink(std::span(kZeros).first(padded(tensor.data.size()) - tensor.data.size()));
  }
}

GgufFile parse_gguf(std::span<const std::byte> bytes, const std::string& name) {
  return Parser(bytes, name).parse();
}

}  // namespace moelora::io
