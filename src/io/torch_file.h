// A dictionary of tensors as torch.save writes it (`adapter_model.bin`, `pytorch_model.bin`), read without executing
// anything in it (io/pickle.h). Only the zip format, torch's since 1.6.
#pragma once

#include <filesystem>

#include "io/tensor_file.h"

namespace moelora::io {

/// Sorted by name, float32 copies; f16, bf16 and f64 are converted. Throws Error (kModel) naming file and tensor for
/// anything but a dictionary of floating-point tensors, and where a part is missing, damaged or too short.
NamedTensors read_torch_file(const std::filesystem::path& path);

}  // namespace moelora::io
