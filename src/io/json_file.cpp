#include "io/json_file.h"

#include <set>
#include <vector>

#include "core/error.h"
#include "io/mapped_file.h"
#include "io/quote.h"

namespace moelora::io {
namespace {

constexpr int kMaxDepth = 64;

[[noreturn]] void refuse(const std::string& where, std::string problem, std::string found = "",
                         std::string expected = "") {
  throw Error(
      ErrorKind::kModel,
      {.where = where, .problem = std::move(problem), .found = std::move(found), .expected = std::move(expected)});
}

/// Refuses while parsing, so that a hostile document is never built.
class Bounds {
 public:
  explicit Bounds(const std::string& name) : name_(name) {}

  void see(int depth, nlohmann::json::parse_event_t event, const nlohmann::json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    switch (event) {
      case Event::object_start:
      case Event::array_start:
        if (depth >= kMaxDepth) refuse(name_, "JSON is nested too deeply", "", "at most 64 levels");
        if (event == Event::object_start) keys_.emplace_back();
        break;
      case Event::object_end:
        keys_.pop_back();
        break;
      case Event::key:
        if (const auto& key = parsed.get_ref<const std::string&>(); !keys_.back().insert(key).second) {
          refuse(name_, "duplicate key " + quote_name(key));
        }
        break;
      default:
        break;
    }
  }

 private:
  const std::string& name_;
  std::vector<std::set<std::string>> keys_;
};

}  // namespace

nlohmann::json parse_json_object(std::string_view text, const std::string& name) {
  // The parser takes a NUL for the end of its input: what follows would be ignored.
  if (text.find('\0') != std::string_view::npos) refuse(name, "not valid JSON", "a NUL byte");
  Bounds bounds(name);
  nlohmann::json value;
  try {
    value = nlohmann::json::parse(text, [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
      bounds.see(depth, event, parsed);
      return true;
    });
  } catch (const nlohmann::json::exception& error) {
    std::string reason = error.what();
    if (const size_t end = reason.find("] "); end != std::string::npos) reason = reason.substr(end + 2);
    refuse(name, "not valid JSON", quote_name(reason));
  }
  if (!value.is_object()) refuse(name, "not a JSON object", value.type_name(), "an object { … }");
  return value;
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
