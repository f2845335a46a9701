// What `torch.save` pickles of a dictionary of tensors, read as data: nothing in the file is ever called.
//
// A pickle is a program for a stack machine. This one knows the opcodes that such a dictionary needs, and of the names
// that a pickle may ask for only those that describe a tensor; every other opcode or name is an error, before anything
// is made of it. Source: Python's Lib/pickletools.py (protocol 2 to 4), torch/_utils.py (`_rebuild_tensor_v2`,
// `_rebuild_parameter`).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace moelora::io {

/// A tensor as the pickle describes it: a view into one of the archive's storages.
struct PickledTensor {
  std::string dtype;             // "FloatStorage", "HalfStorage", "BFloat16Storage" or "DoubleStorage"
  std::string storage;           // its key: the archive's entry data/<key>
  int64_t storage_numel = 0;     // elements, as the pickle says
  int64_t offset = 0;            // in elements
  std::vector<int64_t> sizes;    // at most 8 dimensions, their product within storage_numel
  std::vector<int64_t> strides;  // in elements; the last element of the view lies within storage_numel
};

/// The names and tensors of a dictionary (or OrderedDict) of tensors. Throws Error (kModel) naming `where` and the
/// offset for anything else.
std::map<std::string, PickledTensor> read_pickled_tensors(std::string_view pickle, const std::string& where);

}  // namespace moelora::io
