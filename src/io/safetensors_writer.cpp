#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"
#include "io/quote.h"
#include "io/safetensors.h"

namespace moelora::io {
namespace {

int64_t byte_size(const TensorInfo& tensor) {
  return std::accumulate(tensor.shape.begin(), tensor.shape.end(), dtype_bytes(tensor.dtype), std::multiplies<>());
}

/// A JSON string, escaped as serde_json escapes it.
std::string json_string(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error&) {
    throw Error(ErrorKind::kModel, {.where = "safetensors header", .problem = quote_name(text) + " isn't valid UTF-8"});
  }
}

std::string header_text(std::span<const TensorInfo> tensors, const std::vector<size_t>& order,
                        const StringMap& metadata) {
  std::string text = "{";
  const auto separate = [&text] {
    if (text.size() > 1) text += ',';
  };
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    bool first = true;
    for (const auto& [key, value] : metadata) {
      text += (first ? "" : ",") + json_string(key) + ":" + json_string(value);
      first = false;
    }
    text += "}";
  }
  int64_t offset = 0;
  for (const size_t index : order) {
    const TensorInfo& tensor = tensors[index];
    separate();
    text += json_string(tensor.name) + ":{\"dtype\":\"" + std::string(dtype_name(tensor.dtype)) + "\",\"shape\":[";
    for (size_t i = 0; i < tensor.shape.size(); ++i) text += (i == 0 ? "" : ",") + std::to_string(tensor.shape[i]);
    const int64_t end = offset + byte_size(tensor);
    text += "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(end) + "]}";
    offset = end;
  }
  return text + "}";
}

}  // namespace

SafetensorsLayout lay_out_safetensors(std::span<const TensorInfo> tensors, const StringMap& metadata) {
  SafetensorsLayout layout;
  layout.order.resize(tensors.size());
  std::iota(layout.order.begin(), layout.order.end(), size_t{0});
  std::sort(layout.order.begin(), layout.order.end(), [&](size_t left, size_t right) {
    if (tensors[left].dtype != tensors[right].dtype) return tensors[left].dtype > tensors[right].dtype;
    return tensors[left].name < tensors[right].name;
  });
  std::vector<std::string_view> names;
  for (const TensorInfo& tensor : tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end());
      twice != names.end() || (!names.empty() && std::binary_search(names.begin(), names.end(), "__metadata__"))) {
    const std::string_view name = twice != names.end() ? *twice : "__metadata__";
    throw Error(ErrorKind::kInternal,
                {.where = "safetensors writer", .problem = "the name " + quote_name(name) + " is taken"});
  }
  std::string text = header_text(tensors, layout.order, metadata);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  layout.head.resize(sizeof length);
  std::memcpy(layout.head.data(), &length, sizeof length);
  layout.head += text;
  return layout;
}

void write_safetensors(std::span<const TensorInfo> tensors, std::span<const std::span<const std::byte>> bytes,
                       const StringMap& metadata, const ByteSink& sink) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (i >= bytes.size() || static_cast<int64_t>(bytes[i].size()) != byte_size(tensors[i])) {
      throw Error(ErrorKind::kInternal,
                  {.where = "safetensors writer",
                   .problem = "the bytes of " + quote_name(tensors[i].name) + " don't fit its shape"});
    }
  }
  const SafetensorsLayout layout = lay_out_safetensors(tensors, metadata);
  sink(std::as_bytes(std::span(layout.head)));
  for (const size_t index : layout.order) sink(bytes[index]);
}

}  // namespace moelora::io
