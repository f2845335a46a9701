#include "core/bounded_json.h"

#include <set>
#include <utility>
#include <vector>

#include "core/quote.h"

namespace moelora {
namespace {

constexpr int kMaxDepth = 64;

/// Follows the JSON event by event, so that nothing is built of what is refused.
class Bounds : public nlohmann::json_sax<nlohmann::json> {
 public:
  Bounds(const std::string& name, ErrorKind kind, DuplicateKeys duplicates)
      : name_(name), kind_(kind), duplicates_(duplicates) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }

  bool start_object(size_t) override {
    enter();
    keys_.emplace_back();
    return true;
  }
  bool end_object() override {
    --depth_;
    keys_.pop_back();
    return true;
  }
  bool start_array(size_t) override {
    enter();
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }

  bool key(string_t& key) override {
    const bool is_new = keys_.back().insert(key).second;
    if (!is_new && duplicates_ == DuplicateKeys::kRefused) refuse("duplicate key " + quote_name(key));
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
    std::string reason = error.what();
    if (const size_t end = reason.find("] "); end != std::string::npos) reason = reason.substr(end + 2);
    refuse("not valid JSON", quote_name(reason));
  }

  [[noreturn]] void refuse(std::string problem, std::string found = "", std::string expected = "") const {
    throw Error(
        kind_,
        {.where = name_, .problem = std::move(problem), .found = std::move(found), .expected = std::move(expected)});
  }

 private:
  void enter() {
    if (++depth_ > kMaxDepth) {
      refuse("JSON is nested too deeply", "", "at most " + std::to_string(kMaxDepth) + " levels");
    }
  }

  const std::string& name_;
  ErrorKind kind_;
  DuplicateKeys duplicates_;
  int depth_ = 0;
  std::vector<std::set<std::string>> keys_;  // of each open object
};

}  // namespace

template <typename Json>
Json parse_bounded_json(std::string_view text, const std::string& name, ErrorKind kind, DuplicateKeys duplicates) {
  Bounds bounds(name, kind, duplicates);
  // The parser takes a NUL for the end of its input: what follows would be ignored.
  if (text.find('\0') != std::string_view::npos) bounds.refuse("not valid JSON", "a NUL byte");
  nlohmann::json::sax_parse(text, &bounds);
  Json value = Json::parse(text);
  if (!value.is_object()) bounds.refuse("not a JSON object", value.type_name(), "an object { … }");
  return value;
}

template nlohmann::json parse_bounded_json<nlohmann::json>(std::string_view, const std::string&, ErrorKind,
                                                           DuplicateKeys);
template nlohmann::ordered_json parse_bounded_json<nlohmann::ordered_json>(std::string_view, const std::string&,
                                                                           ErrorKind, DuplicateKeys);

}  // namespace moelora
