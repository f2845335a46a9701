#include "io/safetensors.h"

#include <array>
#include <utility>

#include "core/error.h"
#include "core/suggest.h"
#include "io/mapped_file.h"
#include "io/quote.h"
#include "io/safetensors_header.h"

namespace moelora::io {
namespace {

struct DtypeFacts {
  std::string_view name;
  int64_t bytes;
};

constexpr std::array<DtypeFacts, 17> kDtypes = {{{"BOOL", 1},
                                                 {"U8", 1},
                                                 {"I8", 1},
                                                 {"F8_E5M2", 1},
                                                 {"F8_E4M3", 1},
                                                 {"F8_E8M0", 1},
                                                 {"I16", 2},
                                                 {"U16", 2},
                                                 {"F16", 2},
                                                 {"BF16", 2},
                                                 {"I32", 4},
                                                 {"U32", 4},
                                                 {"F32", 4},
                                                 {"C64", 8},
                                                 {"F64", 8},
                                                 {"I64", 8},
                                                 {"U64", 8}}};
static_assert(static_cast<size_t>(Dtype::kU64) + 1 == kDtypes.size());

}  // namespace

std::string_view dtype_name(Dtype dtype) {
  return kDtypes[static_cast<size_t>(dtype)].name;
}

int64_t dtype_bytes(Dtype dtype) {
  return kDtypes[static_cast<size_t>(dtype)].bytes;
}

std::optional<Dtype> dtype_from_name(std::string_view name) {
  for (size_t i = 0; i < kDtypes.size(); ++i) {
    if (kDtypes[i].name == name) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  auto mapping = MappedFile::open(path);
  auto file = std::const_pointer_cast<SafetensorsFile>(parse(mapping->bytes(), path.string()));
  file->mapping_ = std::move(mapping);
  return file;
}

std::shared_ptr<const SafetensorsFile> SafetensorsFile::parse(std::span<const std::byte> bytes,
                                                              const std::string& name) {
  SafetensorsHeader header = read_safetensors_header(bytes, name);
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile);
  file->path_ = name;
  file->bytes_ = bytes;
  file->metadata_ = std::move(header.metadata);
  const std::span<const std::byte> data = bytes.subspan(static_cast<size_t>(header.data_begin));
  for (HeaderTensor& tensor : header.tensors) {
    const auto begin = static_cast<size_t>(tensor.begin);
    const auto size = static_cast<size_t>(tensor.end - tensor.begin);
    file->names_.push_back(tensor.info.name);
    file->tensors_.emplace(std::move(tensor.info.name),
                           StoredTensor{tensor.info.dtype, std::move(tensor.info.shape), data.subspan(begin, size)});
  }
  return file;
}

const StoredTensor* SafetensorsFile::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

const StoredTensor& SafetensorsFile::at(const std::string& name) const {
  const StoredTensor* tensor = find(name);
  if (tensor == nullptr) {
    throw Error(ErrorKind::kModel, {.where = path_,
                                    .problem = "no tensor " + quote_name(name),
                                    .found = std::to_string(names_.size()) + " tensors",
                                    .hint = did_you_mean(name, names_)});
  }
  return *tensor;
}

void SafetensorsFile::release(const std::string& name) const {
  if (mapping_) mapping_->release(at(name).bytes);
}

}  // namespace moelora::io
