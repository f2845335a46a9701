#include "io/zip_archive.h"

#include <zlib.h>

#include <algorithm>

#include "core/error.h"
#include "io/quote.h"

namespace moelora::io {
namespace {

constexpr std::string_view kEnd = "PK\x05\x06";
constexpr std::string_view kCentral = "PK\x01\x02";
constexpr std::string_view kLocal = "PK\x03\x04";
constexpr size_t kEndSize = 22, kCentralSize = 46, kLocalSize = 30;
constexpr size_t kLongestComment = 65535;

/// Little-endian.
uint64_t number(std::string_view bytes, size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  return value;
}

}  // namespace

ZipArchive ZipArchive::open(const std::filesystem::path& path) {
  ZipArchive archive;
  archive.path_ = path.string();
  archive.file_ = MappedFile::open(path);
  const std::string_view file = archive.file_->text();
  const auto fail = [&](std::string problem, std::string found = {}) -> Error {
    return Error(ErrorKind::kModel, {.where = archive.path_,
                                     .problem = std::move(problem),
                                     .found = std::move(found),
                                     .expected = "a zip file of stored parts, as torch.save writes it"});
  };
  const std::string_view tail = file.substr(file.size() - std::min(file.size(), kEndSize + kLongestComment));
  const size_t found = tail.rfind(kEnd);
  if (found == std::string_view::npos || tail.size() - found < kEndSize)
    throw fail("not a zip file, or its end is missing");
  const std::string_view end = tail.substr(found);
  const size_t end_at = file.size() - end.size();
  const uint64_t count = number(end, 10, 2), size = number(end, 12, 4), start = number(end, 16, 4);
  if (count == 0xFFFF || size == 0xFFFFFFFF || start == 0xFFFFFFFF) throw fail("an archive of 4 GiB or more");
  if (start > end_at || size > end_at - start) throw fail("its directory lies outside the file");

  std::string_view directory = file.substr(start, size);
  for (uint64_t i = 0; i < count; ++i) {
    if (directory.size() < kCentralSize || !directory.starts_with(kCentral)) throw fail("its directory is damaged");
    const uint64_t flags = number(directory, 8, 2), method = number(directory, 10, 2);
    const uint64_t stored = number(directory, 20, 4), whole = number(directory, 24, 4);
    const size_t name_size = number(directory, 28, 2);
    const size_t record = kCentralSize + name_size + number(directory, 30, 2) + number(directory, 32, 2);
    if (directory.size() < record) throw fail("its directory is damaged");
    const std::string name(directory.substr(kCentralSize, name_size));
    if (method != 0 || stored != whole) throw fail("a compressed part", quote_name(name));
    if ((flags & 1) != 0) throw fail("an encrypted part", quote_name(name));
    const uint64_t at = number(directory, 42, 4);
    if (at > start || start - at < kLocalSize || !file.substr(at).starts_with(kLocal)) {
      throw fail("a part that lies outside the file", quote_name(name));
    }
    const uint64_t begin = at + kLocalSize + number(file, at + 26, 2) + number(file, at + 28, 2);
    if (begin > start || stored > start - begin) throw fail("a part that lies outside the file", quote_name(name));
    if (!archive.entries_.emplace(name, file.substr(begin, stored)).second)
      throw fail("a part twice", quote_name(name));
    archive.sums_[name] = static_cast<uint32_t>(number(directory, 16, 4));
    directory.remove_prefix(record);
  }
  return archive;
}

std::string_view ZipArchive::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    throw Error(ErrorKind::kModel, {.where = path_, .problem = "the archive has no part " + quote_name(name)});
  }
  const std::string_view bytes = found->second;
  if (crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) != sums_.at(name)) {
    throw Error(ErrorKind::kModel,
                {.where = path_, .problem = "part " + quote_name(name) + " is damaged: another CRC-32"});
  }
  return bytes;
}

}  // namespace moelora::io
