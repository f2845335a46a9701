#include "io/tensor_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstdint>
#include <cstring>
#include <span>

#include "core/error.h"
#include "io/quote.h"

namespace moelora::io {
namespace {

bool is_aligned(const void* address, int64_t bytes) {
  return reinterpret_cast<uintptr_t>(address) % bytes == 0;
}

bool converts(at::ScalarType type) {
  return type == at::kFloat || type == at::kBFloat16 || type == at::kHalf || type == at::kDouble;
}

}  // namespace

at::ScalarType scalar_type(Dtype dtype, const std::string& where) {
  switch (dtype) {
    case Dtype::kBool:
      return at::kBool;
    case Dtype::kU8:
      return at::kByte;
    case Dtype::kI8:
      return at::kChar;
    case Dtype::kF8E5M2:
      return at::kFloat8_e5m2;
    case Dtype::kF8E4M3:
      return at::kFloat8_e4m3fn;
    case Dtype::kI16:
      return at::kShort;
    case Dtype::kF16:
      return at::kHalf;
    case Dtype::kBF16:
      return at::kBFloat16;
    case Dtype::kI32:
      return at::kInt;
    case Dtype::kF32:
      return at::kFloat;
    case Dtype::kF64:
      return at::kDouble;
    case Dtype::kI64:
      return at::kLong;
    default:
      throw Error(ErrorKind::kModel, {.where = where,
                                      .problem = "its dtype isn't supported",
                                      .found = std::string(dtype_name(dtype)),
                                      .expected = "F32, BF16, F16, F64, I64, I32, I16, I8, U8, BOOL"});
  }
}

Dtype dtype_of(at::ScalarType type) {
  for (int i = 0; i <= static_cast<int>(Dtype::kU64); ++i) {
    const auto dtype = static_cast<Dtype>(i);
    if (dtype == Dtype::kF8E8M0 || dtype == Dtype::kU16 || dtype == Dtype::kU32 || dtype == Dtype::kC64 ||
        dtype == Dtype::kU64) {
      continue;
    }
    if (scalar_type(dtype, "") == type) return dtype;
  }
  throw Error(
      ErrorKind::kInternal,
      {.where = "safetensors writer", .problem = "a tensor's dtype isn't supported", .found = c10::toString(type)});
}

at::Tensor tensor_of(const std::shared_ptr<const SafetensorsFile>& file, const std::string& name) {
  const StoredTensor& stored = file->at(name);
  const at::ScalarType type = scalar_type(stored.dtype, tensor_place(file->path(), name));
  const at::TensorOptions options = at::TensorOptions().dtype(type);
  if (stored.bytes.empty()) return at::empty(stored.shape, options);
  if (!is_aligned(stored.bytes.data(), dtype_bytes(stored.dtype))) {
    at::Tensor copy = at::empty(stored.shape, options);
    std::memcpy(copy.mutable_data_ptr(), stored.bytes.data(), stored.bytes.size());
    return copy;
  }
  // from_blob takes a pointer to mutable memory; the mapping is read-only, and the contract says so.
  void* address = const_cast<std::byte*>(stored.bytes.data());
  return at::from_blob(
      address, stored.shape, [file](void*) {}, options);
}

at::Tensor tensor_of(const std::shared_ptr<const SafetensorsFile>& file, const std::string& name,
                     at::ScalarType dtype) {
  at::Tensor tensor = tensor_of(file, name);
  if (tensor.scalar_type() == dtype) return tensor;
  if (!converts(tensor.scalar_type()) || !converts(dtype)) {
    throw Error(ErrorKind::kModel, {.where = tensor_place(file->path(), name),
                                    .problem = "its dtype can't be used here",
                                    .found = std::string(dtype_name(file->at(name).dtype)),
                                    .expected = "F32, BF16 or F16"});
  }
  return tensor.to(dtype);
}

void write_tensors(const NamedTensors& tensors, const StringMap& metadata, const ByteSink& sink) {
  std::vector<TensorInfo> infos;
  infos.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors)
    infos.push_back({name, dtype_of(tensor.scalar_type()), tensor.sizes().vec()});
  const SafetensorsLayout layout = lay_out_safetensors(infos, metadata);
  sink(std::as_bytes(std::span(layout.head)));
  for (const size_t index : layout.order) {
    const at::Tensor whole = tensors[index].second.detach().cpu().contiguous();
    sink({static_cast<const std::byte*>(whole.const_data_ptr()), whole.nbytes()});
  }
}

}  // namespace moelora::io
