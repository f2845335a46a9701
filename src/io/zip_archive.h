// The entries of a zip file whose parts are stored as they are: what torch.save writes. Source: PKWARE's APPNOTE, 4.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "io/mapped_file.h"

namespace moelora::io {

class ZipArchive {
 public:
  /// Reads the directory at the file's end. Throws Error (kModel) for what isn't a zip file, one that is cut off,
  /// entries that are compressed, encrypted, named twice or reach outside the file, and archives of 4 GiB and more
  /// (zip64).
  static ZipArchive open(const std::filesystem::path& path);

  const std::string& path() const { return path_; }
  size_t size() const { return file_->bytes().size(); }
  bool contains(const std::string& name) const { return entries_.contains(name); }
  /// Names in their order; paths inside the archive, which are never made files of.
  std::map<std::string, std::string_view>::const_iterator begin() const { return entries_.begin(); }
  std::map<std::string, std::string_view>::const_iterator end() const { return entries_.end(); }
  /// The bytes of one entry, a view of the mapped file, checked against its CRC-32 here. Throws Error (kModel) where
  /// there is none or the sum is another.
  std::string_view entry(const std::string& name) const;

 private:
  std::string path_;
  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, std::string_view> entries_;
  std::map<std::string, uint32_t> sums_;
};

}  // namespace moelora::io
