#include "data/formats.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/suggest.h"
#include "data/formats/fields.h"
#include "data/formats/readers.h"

namespace moelora::data {
namespace {

constexpr std::array<std::string_view, 3> kTaskKeys = {"task", "task_dataset", "channel"};
constexpr std::array<std::string_view, 2> kIdKeys = {"id", "sample_id"};
constexpr std::array<std::string_view, 9> kCommonKeys = {
    "task", "task_dataset", "channel", "id", "sample_id", "task_type", "answer_choices", "license", "licence"};

std::string describe(const Format& format) {
  std::string text = format.name + " (";
  for (size_t i = 0; i < format.keys.size(); ++i) text += (i ? ", " : "") + format.keys[i];
  return text + ")";
}

std::string list_formats() {
  std::string text;
  for (const Format& format : formats()) text += (text.empty() ? "" : ", ") + describe(format);
  return text;
}

std::string list_keys(const simdjson::dom::object& object) {
  std::string text;
  size_t count = 0;
  for (const auto field : object) {
    if (++count > 12) continue;
    text += (text.empty() ? "" : ", ") + quoted_key(field.key);
  }
  if (count > 12) text += " and " + std::to_string(count - 12) + " more";
  return text.empty() ? "no keys" : "the keys " + text;
}

/// A key of the row that looks like a slip for a key of a format.
std::string key_hint(const simdjson::dom::object& object) {
  std::vector<std::string> known;
  for (const Format& format : formats()) known.insert(known.end(), format.keys.begin(), format.keys.end());
  for (const auto field : object) {
    if (std::ranges::find(known, field.key) != known.end() || field.key.size() < 3) continue;
    if (std::ranges::find(kCommonKeys, field.key) != kCommonKeys.end()) continue;
    const std::string near = nearest_name(field.key, known);
    if (!near.empty()) return quoted_key(field.key) + ": did you mean `" + near + "`?";
  }
  return "";
}

bool only_text_and_common(const simdjson::dom::object& object, std::string_view group_key) {
  for (const auto field : object) {
    if (field.key == "text" || (!group_key.empty() && field.key == group_key)) continue;
    if (std::ranges::find(kCommonKeys, field.key) == kCommonKeys.end()) return false;
  }
  return true;
}

}  // namespace

std::span<const Format> formats() {
  static const std::array<Format, 6> kFormats = {{
      {"promptcblue", {"input", "target"}, "target", read_promptcblue},
      {"alpaca", {"instruction", "output"}, "output", read_alpaca},
      {"messages", {"messages"}, "", read_messages},
      {"sharegpt", {"conversations"}, "", read_sharegpt},
      {"completion", {"prompt", "completion"}, "completion", read_completion},
      {"text", {"text"}, "", read_text},
  }};
  return kFormats;
}

const Format& format_by_name(std::string_view name, std::string_view where) {
  std::vector<std::string> names;
  for (const Format& format : formats()) {
    if (format.name == name) return format;
    names.push_back(format.name);
  }
  throw Error(ErrorKind::kConfig, {std::string(where), "unknown data format " + quoted_key(name), "", list_names(names),
                                   did_you_mean(name, names)});
}

bool Format::fits(const simdjson::dom::object& object, Answers answers) const {
  return std::ranges::all_of(keys, [&](const std::string& key) {
    return (answers == Answers::kOptional && key == answer_key) || !object[key].error();
  });
}

const Format& detect_format(const simdjson::dom::object& object, std::string_view group_key, Answers answers,
                            std::string_view where) {
  std::vector<const Format*> fitting;
  bool text_with_more = false;
  for (const Format& format : formats()) {
    if (!format.fits(object, answers)) continue;
    // Without their answers' keys these two look alike: an `input` beside an `instruction` is alpaca's.
    if (format.name == "promptcblue" && !object["instruction"].error() && object["target"].error()) continue;
    if (format.name == "text" && !only_text_and_common(object, group_key)) {
      text_with_more = true;
      continue;
    }
    fitting.push_back(&format);
  }
  if (fitting.size() == 1) return *fitting.front();
  if (fitting.empty()) {
    throw Error(ErrorKind::kData,
                {std::string(where), "the row fits no format", list_keys(object), "one of " + list_formats(),
                 text_with_more ? "if `text` alone is what should be learned, say `format: text`" : key_hint(object)});
  }
  std::string names;
  for (const Format* format : fitting) names += (names.empty() ? "" : " and ") + describe(*format);
  throw Error(ErrorKind::kData, {std::string(where), "the row fits more than one format: " + names, list_keys(object),
                                 "one format", "name it with the source's `format:`"});
}

void read_common_fields(const simdjson::dom::object& object, std::string_view group_key, Row& row) {
  for (const std::string_view key : kTaskKeys) {
    if (!row.task.empty()) break;
    row.task = optional_string(object, key);
  }
  for (const std::string_view key : kIdKeys) {
    if (!row.id.empty()) break;
    row.id = optional_name(object, key).value_or("");
  }
  row.task_type = optional_string(object, "task_type");
  if (!group_key.empty()) {
    std::optional<std::string> group = optional_name(object, group_key);
    if (!group || group->empty()) {
      throw RowProblem{"the group field " + quoted_key(group_key) + " (data.group) is missing", "",
                       "a string or an integer"};
    }
    row.group = std::move(*group);
  }
  const auto choices = object["answer_choices"];
  if (choices.error() || choices.value_unsafe().is_null()) return;
  for (const simdjson::dom::element choice : require_array(object, "answer_choices")) {
    std::string_view text;
    if (choice.get(text)) throw RowProblem{"`answer_choices` holds a wrong type", type_of(choice), "strings"};
    row.answer_choices.emplace_back(text);
  }
}

}  // namespace moelora::data
