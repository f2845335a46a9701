// What our own directories (checkpoint, artefact) share on reading: the manifest is verified and vouches for every file
// that is used.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string_view>

#include "core/durable.h"
#include "io/tensor_file.h"

namespace moelora::io {

/// Verifies the directory; its manifest must have `kind` and name every one of `files`. Throws Error(kModel).
Manifest verify_manifested(const std::filesystem::path& dir, std::string_view kind,
                           std::initializer_list<std::string_view> files);

/// Every tensor of a safetensors file, as views, sorted by name.
NamedTensors read_all_tensors(const std::filesystem::path& path);

}  // namespace moelora::io
