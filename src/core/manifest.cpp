#include "core/manifest.h"

#include <cerrno>
#include <fstream>
#include <set>

#include "core/bounded_json.h"
#include "core/utf8.h"

namespace moelora {
namespace {

constexpr std::string_view kChecksumKey = ",\n  \"manifest_xxh3_128\": \"";
constexpr std::string_view kTail = "\"\n}\n";
constexpr size_t kHashDigits = 32;
constexpr int64_t kLargestManifest = 64 << 20;
constexpr size_t kLongestName = 1024;

std::string checked_text(std::string body) {
  const std::string hash = hash_hex(body);
  return body.append(kChecksumKey).append(hash).append(kTail);
}

Error damaged(const std::filesystem::path& path, std::string problem, std::string found = {},
              std::string expected = {}) {
  return Error(ErrorKind::kModel, {.where = path.string(),
                                   .problem = std::move(problem),
                                   .found = std::move(found),
                                   .expected = std::move(expected)});
}

std::string read_bounded(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(status_of(path))) {
    throw damaged(path, "there is no such file, so the directory was never completely written");
  }
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path, error));
  if (error) throw io_error(path, "read", error.value());
  if (size > kLargestManifest) throw damaged(path, "too large for a manifest", std::to_string(size) + " bytes");
  std::string text(static_cast<size_t>(size), '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file) throw io_error(path, "open", errno);
  errno = 0;
  file.read(text.data(), size);
  if (file.bad()) throw io_error(path, "read", errno == 0 ? EIO : errno);
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

/// At most 100 bytes of `name`, in ASCII.
std::string shown(const std::string& name) {
  using Json = nlohmann::json;
  return Json(name.substr(0, 100)).dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

int64_t integer_of(const nlohmann::ordered_json& object, const char* key, const std::filesystem::path& path) {
  const nlohmann::ordered_json& value = object.at(key);
  if (!value.is_number_integer())
    throw damaged(path, "`" + std::string(key) + "` is not an integer", value.type_name());
  return value.get<int64_t>();
}

Manifest manifest_of(const nlohmann::ordered_json& json, const std::filesystem::path& path) {
  const int64_t version = integer_of(json, "format_version", path);
  if (version != kManifestFormatVersion) {
    throw damaged(path, "written in another format version", std::to_string(version),
                  std::to_string(kManifestFormatVersion));
  }
  Manifest manifest;
  std::set<std::string> names;
  for (const auto& [name, entry] : json.at("files").items()) {
    if (!is_safe_file_name(name) || !names.insert(name).second) {
      throw damaged(path, "names a file it can't hold", shown(name));
    }
    const std::string hash = entry.at("xxh3_128").get<std::string>();
    if (hash.size() != kHashDigits) throw damaged(path, "`xxh3_128` is not a checksum", shown(hash));
    manifest.files.push_back({name, integer_of(entry, "size", path), hash});
  }
  manifest.fields = json.at("fields");
  if (!manifest.fields.is_object()) throw damaged(path, "`fields` is not an object");
  return manifest;
}

}  // namespace

bool is_safe_file_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestName || name == kManifestName || first_invalid_utf8(name)) return false;
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '\\') return false;
  }
  for (size_t start = 0; start <= name.size();) {
    const size_t end = std::min(name.find('/', start), name.size());
    const std::string_view part = name.substr(start, end - start);
    if (part.empty() || part == "." || part == "..") return false;
    start = end + 1;
  }
  return true;
}

std::string manifest_text(const Manifest& manifest) {
  auto files = nlohmann::ordered_json::object();
  for (const FileRecord& file : manifest.files) {
    files[file.name] = {{"size", file.size}, {"xxh3_128", file.xxh3_128}};
  }
  const nlohmann::ordered_json json = {
      {"format_version", kManifestFormatVersion}, {"files", files}, {"fields", manifest.fields}};
  std::string text = json.dump(2);
  text.resize(text.size() - std::string_view("\n}").size());
  return checked_text(std::move(text));
}

Manifest read_manifest(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kManifestName;
  if (is_partial_name(without_slash(directory).filename().string())) {
    throw damaged(directory, "left unfinished by a killed process");
  }

  const std::string text = read_bounded(path);
  const size_t tail = kChecksumKey.size() + kHashDigits + kTail.size();
  if (text.size() < tail || checked_text(text.substr(0, text.size() - tail)) != text) {
    throw damaged(path, "damaged: it doesn't match its own checksum");
  }
  try {
    return manifest_of(parse_bounded_json<nlohmann::ordered_json>(text, path.string(), ErrorKind::kModel), path);
  } catch (const nlohmann::json::exception& error) {
    throw damaged(path, "not a manifest", error.what());  // its own words, and keys that stand here
  }
}

Manifest verify_directory(const std::filesystem::path& directory) {
  Manifest manifest = read_manifest(directory);
  for (const FileRecord& file : manifest.files) {
    const std::filesystem::path path = directory / file.name;
    std::error_code error;
    if (!std::filesystem::is_regular_file(status_of(path))) {
      throw damaged(path, "missing, though the manifest names it");
    }
    const auto size = static_cast<int64_t>(std::filesystem::file_size(path, error));
    if (error) throw io_error(path, "read", error.value());
    if (size != file.size) {
      throw damaged(path, "damaged: its size is not the manifest's", std::to_string(size) + " bytes",
                    std::to_string(file.size));
    }
    if (const std::string hash = hash_file_hex(path); hash != file.xxh3_128) {
      throw damaged(path, "damaged: its checksum is not the manifest's", hash, file.xxh3_128);
    }
  }
  return manifest;
}

}  // namespace moelora
