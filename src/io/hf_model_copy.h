// A Hugging Face model directory written anew from another with some of its tensors changed: same shards, names, dtypes
// and order, every other file as it is. How a model with an adapter merged into it is exported.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/file_system.h"
#include "io/hf_model.h"

namespace moelora::io {

/// From a tensor as stored (a view of the mapped file: never write to it) to the one to be written, of the same shape
/// and dtype.
using TensorChange = std::function<at::Tensor(const at::Tensor& stored)>;

struct HfModelCopy {
  std::map<std::string, TensorChange> changes;  // by name, as HfModel::load takes it
  std::string readme;                           // README.md instead of the source's
};

/// What else makes a model directory: the names, relative to `dir` and sorted, of the top folder's visible files (the
/// tokenizer's, templates, the code of families that bring their own) and of those in `additional_chat_templates/`,
/// apart from config.json, README.md, a manifest, and weights in any form.
std::vector<std::string> files_beside_weights(const std::filesystem::path& dir);

/// Streams tensor by tensor: memory holds one tensor and what its change computes, never a shard. Copied beside the
/// weights are the top folder's visible files and `additional_chat_templates/`, apart from README.md, a manifest, and
/// weights in other forms, which would be those of the unchanged model. `dir` must not exist and appears whole or not
/// at all; config.json, without which nothing loads a directory, is written last. Throws Error(kModel) for a change of
/// a tensor that the model lacks, Error(kNumeric) where a changed tensor isn't finite in its dtype, Error(kIo), and
/// Error(kInterrupted) on a signal.
void write_hf_copy(const std::filesystem::path& dir, const HfModel& source, const HfModelCopy& copy,
                   FileSystem& file_system = FileSystem::posix());

}  // namespace moelora::io
