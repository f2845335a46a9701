#include "io/safetensors_header.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "core/utf8.h"
#include "io/quote.h"

namespace moelora::io {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the format is little-endian and tensors are mapped as they are");

constexpr int64_t kLengthBytes = 8;
constexpr std::string_view kMetadataKey = "__metadata__";

[[noreturn]] void refuse(std::string where, std::string problem, std::string found = "", std::string expected = "") {
  throw Error(ErrorKind::kModel, {.where = std::move(where),
                                  .problem = std::move(problem),
                                  .found = std::move(found),
                                  .expected = std::move(expected)});
}

/// Follows the JSON event by event and accepts only the shape of a header, so that its depth is bounded by the grammar
/// and nothing but the tensors themselves is ever built.
class HeaderHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderHandler(const std::string& name) : name_(name) {}

  std::vector<HeaderTensor> tensors;
  StringMap metadata;

  bool null() override { wrong_value("null"); }
  bool boolean(bool) override { wrong_value("a boolean"); }
  bool number_float(number_float_t, const string_t& text) override { wrong_value("the number " + quote_name(text)); }
  // Called only for numbers with a minus sign.
  bool number_integer(number_integer_t) override { wrong_value("a negative number"); }
  bool binary(binary_t&) override { wrong_value("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kShape && place_ != Place::kOffsets) wrong_value("the number " + std::to_string(value));
    if (value > static_cast<number_unsigned_t>(INT64_MAX)) {
      refuse(here(), std::string(place_ == Place::kShape ? "a dimension" : "an offset") + " is too large",
             std::to_string(value));
    }
    const auto number = static_cast<int64_t>(value);
    if (place_ == Place::kShape) {
      std::vector<int64_t>& shape = tensors.back().info.shape;
      if (std::ssize(shape) == kMaxRank) {
        refuse(here(), "too many dimensions", "", "at most " + std::to_string(kMaxRank));
      }
      shape.push_back(number);
    } else {
      if (offsets_seen_ == 2) refuse(here(), "`data_offsets` has more than two numbers");
      (offsets_seen_ == 0 ? tensors.back().begin : tensors.back().end) = number;
      ++offsets_seen_;
    }
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      metadata[key_] = value;
      return true;
    }
    if (place_ != Place::kTensor || key_ != "dtype") wrong_value("a string");
    const auto dtype = dtype_from_name(value);
    if (!dtype) refuse(here(), "unknown dtype", quote_name(value), "F32, BF16, F16, I64, …");
    tensors.back().info.dtype = *dtype;
    return true;
  }

  bool start_object(size_t) override {
    if (place_ == Place::kOutside) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop && key_ == kMetadataKey) {
      place_ = Place::kMetadata;
    } else if (place_ == Place::kTop) {
      if (std::ssize(tensors) == kMaxTensors) {
        refuse(name_, "too many tensors", "", "at most " + std::to_string(kMaxTensors));
      }
      tensors.emplace_back().info.name = key_;
      fields_.clear();
      offsets_seen_ = 0;
      place_ = Place::kTensor;
    } else {
      wrong_value("an object");
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      for (const char* field : {"dtype", "shape", "data_offsets"}) {
        if (std::find(fields_.begin(), fields_.end(), field) == fields_.end()) {
          refuse(here(), std::string("no `") + field + "` field");
        }
      }
    }
    place_ = place_ == Place::kTop ? Place::kDone : Place::kTop;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != Place::kTensor || (key_ != "shape" && key_ != "data_offsets")) wrong_value("an array");
    place_ = key_ == "shape" ? Place::kShape : Place::kOffsets;
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kOffsets && offsets_seen_ != 2) {
      refuse(here(), "`data_offsets` needs two numbers", std::to_string(offsets_seen_));
    }
    place_ = Place::kTensor;
    return true;
  }

  bool key(string_t& key) override {
    if (place_ == Place::kTop && !names_.insert(key).second) refuse(name_, "duplicate tensor name", quote_name(key));
    if (place_ == Place::kMetadata && metadata.contains(key)) refuse(name_, "duplicate metadata key", quote_name(key));
    if (place_ == Place::kTensor) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") {
        refuse(here(), "unknown field " + quote_name(key), "", "dtype, shape, data_offsets");
      }
      if (std::find(fields_.begin(), fields_.end(), key) != fields_.end()) {
        refuse(here(), "duplicate field " + quote_name(key));
      }
      fields_.push_back(key);
    }
    key_ = std::move(key);
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    std::string reason = error.what();
    if (const size_t end = reason.find("] "); end != std::string::npos) reason = reason.substr(end + 2);
    refuse(name_, "the header isn't valid JSON at byte " + std::to_string(position) + " of the header",
           quote_name(reason));
  }

 private:
  enum class Place { kOutside, kTop, kMetadata, kTensor, kShape, kOffsets, kDone };

  bool in_tensor() const { return place_ == Place::kTensor || place_ == Place::kShape || place_ == Place::kOffsets; }
  std::string here() const { return in_tensor() ? tensor_place(name_, tensors.back().info.name) : name_; }

  [[noreturn]] void wrong_value(std::string found) const {
    switch (place_) {
      case Place::kOutside:
        refuse(name_, "the header isn't a JSON object", std::move(found));
      case Place::kTop:
        if (key_ == kMetadataKey) refuse(name_, "`__metadata__` isn't an object of strings", std::move(found));
        refuse(tensor_place(name_, key_), "a tensor isn't described by an object", std::move(found));
      case Place::kMetadata:
        refuse(name_, "the value of metadata key " + quote_name(key_) + " isn't a string", std::move(found));
      case Place::kTensor:
        refuse(here(), "wrong type for `" + key_ + "`", std::move(found), key_ == "dtype" ? "a string" : "an array");
      case Place::kShape:
        refuse(here(), "a dimension isn't a whole number", std::move(found));
      default:
        refuse(here(), "an offset isn't a whole number", std::move(found));
    }
  }

  const std::string& name_;
  Place place_ = Place::kOutside;
  std::string key_;
  std::unordered_set<std::string> names_;
  std::vector<std::string> fields_;
  int offsets_seen_ = 0;
};

/// Bytes of one tensor; refuses a product that overflows, counted without the zeros so that strides are safe as well.
int64_t checked_bytes(const TensorInfo& info, const std::string& name) {
  int64_t nonzero = dtype_bytes(info.dtype);
  bool empty = false;
  for (const int64_t dimension : info.shape) {
    if (dimension == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(nonzero, dimension, &nonzero)) {
      refuse(tensor_place(name, info.name), "the shape's size overflows");
    }
  }
  return empty ? 0 : nonzero;
}

std::string range_text(const HeaderTensor& tensor) {
  return "[" + std::to_string(tensor.begin) + ", " + std::to_string(tensor.end) + "]";
}

/// Every tensor's range has the size of its shape, and the ranges cover the data exactly.
void check_ranges(std::vector<HeaderTensor>& tensors, int64_t data_bytes, const std::string& name) {
  for (const HeaderTensor& tensor : tensors) {
    const int64_t bytes = checked_bytes(tensor.info, name);
    if (tensor.end < tensor.begin) {
      refuse(tensor_place(name, tensor.info.name), "`data_offsets` end before they begin", range_text(tensor));
    }
    if (tensor.end > data_bytes) {
      refuse(tensor_place(name, tensor.info.name), "its data reach beyond the end of the file (cut short?)",
             range_text(tensor), "at most " + std::to_string(data_bytes));
    }
    if (tensor.end - tensor.begin != bytes) {
      refuse(tensor_place(name, tensor.info.name), "`data_offsets` don't have the size of dtype and shape",
             std::to_string(tensor.end - tensor.begin) + " bytes", std::to_string(bytes));
    }
  }
  std::sort(tensors.begin(), tensors.end(), [](const HeaderTensor& left, const HeaderTensor& right) {
    return std::tie(left.begin, left.end, left.info.name) < std::tie(right.begin, right.end, right.info.name);
  });
  int64_t covered = 0;
  for (const HeaderTensor& tensor : tensors) {
    if (tensor.begin != covered) {
      const bool overlaps = tensor.begin < covered;
      refuse(tensor_place(name, tensor.info.name),
             overlaps ? "its data overlap another tensor's" : "there is a gap before its data", range_text(tensor),
             "a beginning at " + std::to_string(covered));
    }
    covered = tensor.end;
  }
  if (covered != data_bytes) {
    refuse(name, "there are bytes after the last tensor", std::to_string(data_bytes - covered) + " bytes");
  }
}

}  // namespace

SafetensorsHeader read_safetensors_header(std::span<const std::byte> file, const std::string& name) {
  const auto file_bytes = static_cast<int64_t>(file.size());
  if (file_bytes < kLengthBytes) {
    refuse(name, "too short for a safetensors file", std::to_string(file_bytes) + " bytes", "at least 8");
  }
  uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  if (length > static_cast<uint64_t>(kMaxHeaderBytes)) {
    refuse(name, "the header's length is too large (is this a safetensors file?)", std::to_string(length),
           "at most " + std::to_string(kMaxHeaderBytes));
  }
  const auto header_bytes = static_cast<int64_t>(length);
  if (header_bytes > file_bytes - kLengthBytes) {
    refuse(name, "the header reaches beyond the end of the file (cut short?)", std::to_string(length) + " bytes",
           "at most " + std::to_string(file_bytes - kLengthBytes));
  }
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, static_cast<size_t>(length));
  if (text.empty() || text.front() != '{') {
    refuse(name, "the header doesn't begin with `{`", quote_name(text.substr(0, 16)));
  }
  if (const auto bad = first_invalid_utf8(text)) {
    refuse(name, "the header isn't valid UTF-8 at byte " + std::to_string(*bad) + " of the header");
  }
  // The JSON parser takes a NUL for the end of its input: what follows would be ignored.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    refuse(name, "the header has a NUL at byte " + std::to_string(nul) + " of the header");
  }

  HeaderHandler handler(name);
  nlohmann::json::sax_parse(text, &handler);
  SafetensorsHeader header{.data_begin = kLengthBytes + header_bytes,
                           .tensors = std::move(handler.tensors),
                           .metadata = std::move(handler.metadata)};
  check_ranges(header.tensors, file_bytes - header.data_begin, name);
  return header;
}

}  // namespace moelora::io
