#include "io/json_file.h"

#include "core/bounded_json.h"
#include "core/error.h"
#include "core/quote.h"
#include "io/mapped_file.h"

namespace moelora::io {
namespace {

[[noreturn]] void refuse(const std::string& where, std::string problem, std::string found = "",
                         std::string expected = "") {
  throw Error(
      ErrorKind::kModel,
      {.where = where, .problem = std::move(problem), .found = std::move(found), .expected = std::move(expected)});
}

}  // namespace

nlohmann::json parse_json_object(std::string_view text, const std::string& name) {
  return parse_bounded_json(text, name, ErrorKind::kModel);
}

nlohmann::json read_json_object(const std::filesystem::path& path, int64_t max_bytes) {
  const auto file = MappedFile::open(path);
  if (file->bytes().size() > static_cast<size_t>(max_bytes)) {
    refuse(path.string(), "the file is too long", std::to_string(file->bytes().size()) + " bytes",
           "at most " + std::to_string(max_bytes));
  }
  return parse_json_object(file->text(), path.string());
}

Error key_error(const std::string& path, const nlohmann::json& object, const std::string& key, std::string problem,
                std::string expected) {
  const auto value = object.find(key);
  const auto replace = nlohmann::json::error_handler_t::replace;
  return Error(ErrorKind::kModel,
               {.where = path + ", key `" + key + "`",
                .problem = std::move(problem),
                .found = value == object.end() ? "" : quote_name(value->dump(-1, ' ', true, replace)),
                .expected = std::move(expected)});
}

std::string json_text(const nlohmann::json& value, const std::string& name) {
  try {
    return value.dump(2) + "\n";
  } catch (const nlohmann::json::type_error&) {
    refuse(name, "a string isn't valid UTF-8");
  }
}

}  // namespace moelora::io
