// Between safetensors files and at::Tensor: views of the mapped file where they can be, conversions where asked.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "io/safetensors.h"

namespace moelora::io {

/// Names with their tensors, in the caller's order.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// Throws Error(kModel), naming `where`, for a dtype that no tensor here can have (U16, U32, U64, …).
at::ScalarType scalar_type(Dtype dtype, const std::string& where);
/// Throws Error(kInternal) for a scalar type that safetensors can't hold.
Dtype dtype_of(at::ScalarType type);

/// The tensor as stored, of its stored shape and dtype. A view of the mapping, which it keeps alive: never write to it.
/// Elements of four bytes or more that the file doesn't align are copied; two-byte elements at an odd address too.
/// Throws Error(kModel) with the nearest name where the file has no such tensor.
at::Tensor tensor_of(const std::shared_ptr<const SafetensorsFile>& file, const std::string& name);

/// The same as `dtype`: a view where the stored dtype is that already, else a converted copy (rounded to nearest even).
/// Throws Error(kModel) where the stored dtype isn't floating-point (f16, bf16, f32, f64) and differs from `dtype`.
at::Tensor tensor_of(const std::shared_ptr<const SafetensorsFile>& file, const std::string& name, at::ScalarType dtype);

/// Streams CPU tensors (any strides; copied one at a time where not contiguous) into `sink` as one safetensors file.
void write_tensors(const NamedTensors& tensors, const StringMap& metadata, const ByteSink& sink);

}  // namespace moelora::io
