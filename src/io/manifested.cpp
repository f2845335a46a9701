#include "io/manifested.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "io/quote.h"

namespace moelora::io {

Manifest verify_manifested(const std::filesystem::path& dir, std::string_view kind,
                           std::initializer_list<std::string_view> files) {
  Manifest manifest = verify_directory(dir);
  const std::string where = (dir / kManifestName).string();
  const auto found = manifest.fields.find("kind");
  if (found == manifest.fields.end() || !found->is_string() || found->get_ref<const std::string&>() != kind) {
    throw Error(ErrorKind::kModel, {.where = where,
                                    .problem = "the directory is of another kind",
                                    .found = found != manifest.fields.end() && found->is_string()
                                                 ? quote_name(found->get_ref<const std::string&>())
                                                 : "no `kind`",
                                    .expected = quote_name(kind)});
  }
  for (const std::string_view file : files) {
    const auto is_file = [&](const FileRecord& record) { return record.name == file; };
    if (std::none_of(manifest.files.begin(), manifest.files.end(), is_file)) {
      throw Error(ErrorKind::kModel, {.where = where, .problem = "it doesn't vouch for " + quote_name(file)});
    }
  }
  return manifest;
}

NamedTensors read_all_tensors(const std::filesystem::path& path) {
  const auto file = SafetensorsFile::open(path);
  NamedTensors tensors;
  for (const std::string& name : file->names()) tensors.emplace_back(name, tensor_of(file, name));
  std::sort(tensors.begin(), tensors.end(),
            [](const auto& left, const auto& right) { return left.first < right.first; });
  return tensors;
}

}  // namespace moelora::io
