#include "io/torch_file.h"

#include <ATen/ops/as_strided.h>
#include <ATen/ops/from_blob.h>

#include <map>

#include "core/error.h"
#include "io/pickle.h"
#include "io/quote.h"
#include "io/zip_archive.h"

namespace moelora::io {
namespace {

constexpr size_t kLargestPickle = size_t{32} << 20;

at::ScalarType type_of(const std::string& storage) {
  if (storage == "HalfStorage") return at::kHalf;
  if (storage == "BFloat16Storage") return at::kBFloat16;
  if (storage == "DoubleStorage") return at::kDouble;
  return at::kFloat;
}

/// "archive/" of "archive/data.pkl": torch names the folder after the file.
std::string folder_of(const ZipArchive& archive) {
  constexpr std::string_view kPickle = "data.pkl";
  for (const auto& [name, bytes] : archive) {
    if (name.ends_with("/data.pkl") && name.find('/') == name.size() - kPickle.size() - 1) {
      return name.substr(0, name.size() - kPickle.size());
    }
  }
  throw Error(ErrorKind::kModel,
              {.where = archive.path(), .problem = "not a file that torch.save wrote: there is no data.pkl in it"});
}

}  // namespace

NamedTensors read_torch_file(const std::filesystem::path& path) {
  const ZipArchive archive = ZipArchive::open(path);
  const std::string folder = folder_of(archive);
  if (archive.contains(folder + "byteorder") && archive.entry(folder + "byteorder") != "little") {
    throw Error(ErrorKind::kModel,
                {.where = archive.path(), .problem = "written on a big-endian machine", .expected = "little"});
  }
  const std::string_view pickle = archive.entry(folder + "data.pkl");
  if (pickle.size() > kLargestPickle) {
    throw Error(ErrorKind::kModel, {.where = archive.path(),
                                    .problem = "data.pkl is too large for a list of tensors",
                                    .found = std::to_string(pickle.size()) + " bytes"});
  }
  std::map<std::string, std::string_view> storages;
  size_t elements = 0;  // many views of one storage would fill the memory
  NamedTensors tensors;
  for (const auto& [name, described] : read_pickled_tensors(pickle, archive.path() + ", data.pkl")) {
    auto& bytes = storages[described.storage];
    if (bytes.data() == nullptr) bytes = archive.entry(folder + "data/" + described.storage);
    const at::ScalarType type = type_of(described.dtype);
    if (bytes.size() / at::elementSize(type) < static_cast<size_t>(described.storage_numel)) {
      throw Error(ErrorKind::kModel, {.where = tensor_place(archive.path(), name),
                                      .problem = "its storage has fewer bytes than the tensor says"});
    }
    if (reinterpret_cast<uintptr_t>(bytes.data()) % at::elementSize(type) != 0) {  // torch aligns to 64 bytes
      throw Error(ErrorKind::kModel,
                  {.where = tensor_place(archive.path(), name), .problem = "its bytes aren't aligned to its numbers"});
    }
    size_t own = 1;
    for (const int64_t size : described.sizes) own *= static_cast<size_t>(size);
    elements += own;
    if (elements > 4 * archive.size()) {
      throw Error(ErrorKind::kModel,
                  {.where = tensor_place(archive.path(), name), .problem = "the tensors are far larger than the file"});
    }
    const at::Tensor storage =
        at::from_blob(const_cast<char*>(bytes.data()), {described.storage_numel}, at::TensorOptions(type));
    const at::Tensor view = at::as_strided(storage, described.sizes, described.strides, described.offset);
    tensors.emplace_back(name, view.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous());
  }
  return tensors;
}

}  // namespace moelora::io
