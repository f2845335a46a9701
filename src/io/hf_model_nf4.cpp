// Weights that bitsandbytes stored in NF4 (transformers' load_in_4bit, saved): for a weight `w`, the codes under its
// own name, `w.absmax` (uint8 with `w.nested_absmax` and `w.nested_quant_map` where scales are quantised too, else
// float32), `w.quant_map`, and JSON in the bytes of `w.quant_state.bitsandbytes__nf4`.
#include <cmath>
#include <string>
#include <string_view>

#include "core/error.h"
#include "io/hf_model.h"
#include "io/json_file.h"
#include "io/quote.h"
#include "io/tensor_file.h"
#include "kernels/nf4_levels.h"

namespace moelora::io {
namespace {

using kernels::kNf4Block;
using kernels::kNf4ScaleBlock;

[[noreturn]] void refuse(const std::string& where, const std::string& problem, const std::string& found,
                         const std::string& expected) {
  throw Error(ErrorKind::kModel, {.where = where, .problem = problem, .found = found, .expected = expected});
}

std::string shape_of(const at::Tensor& tensor) {
  std::string text = "[";
  for (const int64_t size : tensor.sizes()) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

/// `object[key]` as a T; refuses another type.
template <class T>
T field(const nlohmann::json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  try {
    if (found != object.end()) return found->get<T>();
  } catch (const nlohmann::json::exception&) {
  }
  refuse(where, "its quantisation isn't described", found == object.end() ? "nothing" : found->dump(),
         "`" + std::string(key) + "`");
}

}  // namespace

bool HfModel::is_nf4(const std::string& name) const {
  return find(name + ".quant_state.bitsandbytes__nf4").file != nullptr;
}

std::optional<kernels::Nf4Weight> HfModel::load_nf4(const std::string& name, const std::vector<int64_t>& shape) {
  if (!is_nf4(name)) return std::nullopt;
  const Place place = find(name);
  if (place.file == nullptr) refuse(dir_.string(), "no tensor " + quote_name(name), "its quantisation alone", "codes");
  const std::string where = tensor_place(place.file->path(), place.stored_name);
  const auto part = [&](const char* ending, at::ScalarType dtype, int64_t count) {
    const Place found = find(name + ending);
    if (found.file == nullptr) refuse(where, "a part of it is missing", "", quote_name(name + ending));
    at::Tensor tensor = tensor_of(found.file, found.stored_name);
    if (tensor.scalar_type() != dtype || tensor.numel() != count) {
      refuse(tensor_place(found.file->path(), found.stored_name), "it doesn't fit its weight",
             std::string(at::toString(tensor.scalar_type())) + " " + shape_of(tensor),
             std::string(at::toString(dtype)) + " of " + std::to_string(count));
    }
    return tensor.flatten();
  };

  const Place state = find(name + ".quant_state.bitsandbytes__nf4");
  const std::span<const std::byte> bytes = state.file->at(state.stored_name).bytes;
  const nlohmann::json description =
      parse_json_object({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, where);
  const auto require = [&](bool holds, const char* key, const std::string& expected) {
    if (!holds) refuse(where, "a quantisation that isn't supported", key + (": " + description[key].dump()), expected);
  };
  require(field<std::string>(description, "quant_type", where) == "nf4", "quant_type", "nf4");
  require(field<int64_t>(description, "blocksize", where) == kNf4Block, "blocksize", std::to_string(kNf4Block));
  require(field<std::vector<int64_t>>(description, "shape", where) == shape, "shape",
          "what config.json says: " + nlohmann::json(shape).dump());
  require(shape.size() == 2, "shape", "that of a matrix");

  kernels::Nf4Weight weight{.out = shape.at(0), .in = shape.at(1)};
  const int64_t blocks = weight.blocks();
  weight.codes = part("", at::kByte, (weight.out * weight.in + 1) / 2);
  if (!part(".quant_map", at::kFloat, 16).equal(kernels::nf4_levels())) {
    refuse(where, "a quantisation that isn't supported", "other levels", "those of NF4");
  }
  const bool nested = find(name + ".nested_absmax").file != nullptr;
  weight.scales = part(".absmax", nested ? at::kByte : at::kFloat, blocks);
  if (nested) {
    require(field<int64_t>(description, "nested_blocksize", where) == kNf4ScaleBlock, "nested_blocksize",
            std::to_string(kNf4ScaleBlock));
    weight.nested_scales = part(".nested_absmax", at::kFloat, (blocks + kNf4ScaleBlock - 1) / kNf4ScaleBlock);
    weight.scale_levels = part(".nested_quant_map", at::kFloat, 256);
    weight.offset = static_cast<float>(field<double>(description, "nested_offset", where));
  }
  const at::Tensor numbers = nested ? weight.nested_scales.sum().add(weight.scale_levels.sum()) : weight.scales.sum();
  if (!std::isfinite(numbers.item<float>() + weight.offset)) {
    refuse(where, "scales that aren't finite", "", "finite scales");
  }
  return weight;
}

}  // namespace moelora::io
