#include "data/dataset_info.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/bounded_json.h"
#include "core/file_system.h"
#include "core/suggest.h"
#include "data/formats/fields.h"

namespace moelora::data {
namespace {

using nlohmann::json;

constexpr size_t kMostBytes = 16 << 20;
constexpr std::array<std::string_view, 6> kOwnKeys = {"instruction", "input",   "output",
                                                      "system",      "history", "conversations"};

class InfoReader {
 public:
  explicit InfoReader(const std::filesystem::path& path) : path_(path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw io_error(path, "open", errno);
    std::string text(kMostBytes + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(file.gcount()));
    if (text.size() > kMostBytes) refuse("", "the file is too large", "", "at most 16 MiB");
    info_ = parse_bounded_json(text, path.string(), ErrorKind::kData);
  }

  std::vector<InfoEntry> read(const std::string& name) {
    std::vector<InfoEntry> entries;
    if (!name.empty()) {
      std::vector<std::string> names;
      for (const auto& [key, value] : info_.items()) names.push_back(key);
      if (!info_.contains(name)) {
        throw Error(ErrorKind::kConfig, {path_.string(), "no data set `" + name + "` in it", "",
                                         "one of " + list_names(names, 12), did_you_mean(name, names)});
      }
      entries.push_back(read_entry(name, info_[name]));
    } else {
      for (const auto& [key, value] : info_.items()) {
        if (value.is_object() && value.contains("file_name")) entries.push_back(read_entry(key, value));
      }
      if (entries.empty()) refuse("", "no data set in it is a local file", "", "an entry with `file_name`");
    }
    return entries;
  }

 private:
  [[noreturn]] void refuse(const std::string& key, std::string problem, std::string found = "",
                           std::string expected = "", std::string hint = "") const {
    throw Error(ErrorKind::kData, {path_.string() + (key.empty() ? "" : ": " + quoted_key(key)), std::move(problem),
                                   std::move(found), std::move(expected), std::move(hint)});
  }

  std::string text(const json& object, const std::string& place, const char* key, const std::string& fallback) const {
    const auto value = object.find(key);
    if (value == object.end() || value->is_null()) return fallback;
    if (!value->is_string()) refuse(place + "." + key, "the key has the wrong type", value->type_name(), "a string");
    return value->get<std::string>();
  }

  void known_keys(const json& object, const std::string& place, const std::vector<std::string>& known) const {
    if (!object.is_object()) refuse(place, "the entry has the wrong type", object.type_name(), "an object");
    for (const auto& [key, value] : object.items()) {
      if (std::ranges::find(known, key) != known.end() || value.is_null() || value == json(false)) continue;
      refuse(place + "." + key, "the key isn't read here", "", "only " + list_names(known, 12),
             did_you_mean(key, known));
    }
  }

  InfoEntry read_entry(const std::string& name, const json& entry) const {
    if (entry.is_object() && !entry.contains("file_name")) {
      refuse(name, "the data set isn't a local file, and nothing is downloaded", "", "`file_name`");
    }
    // A hub's address beside file_name is where LLaMA-Factory would take the same data from.
    known_keys(entry, name,
               {"file_name", "formatting", "columns", "tags", "hf_hub_url", "ms_hub_url", "om_hub_url", "file_sha1"});
    const std::filesystem::path file = text(entry, name, "file_name", "");
    const bool leads_out =
        file.empty() || file.is_absolute() || std::ranges::any_of(file, [](const auto& part) { return part == ".."; });
    if (leads_out)
      refuse(name + ".file_name", "not a file below the folder of dataset_info.json", quoted_key(file.string()));
    InfoEntry result{.name = name, .path = path_.parent_path() / file, .columns = {}};
    const std::filesystem::file_status status = status_of(result.path);
    if (!std::filesystem::is_regular_file(status)) {
      refuse(name + ".file_name",
             std::filesystem::is_directory(status) ? "it is a folder, which isn't read here" : "the file doesn't exist",
             result.path.string(), "one data file", "name its files as sources of their own");
    }
    const std::string formatting = text(entry, name, "formatting", "alpaca");
    if (formatting != "alpaca" && formatting != "sharegpt") {
      refuse(name + ".formatting", "the formatting isn't read here", quoted_key(formatting), "alpaca or sharegpt");
    }
    result.columns.format = formatting;
    const json columns = entry.value("columns", json::object());
    const json tags = entry.value("tags", json::object());
    if (formatting == "alpaca") {
      known_keys(columns, name + ".columns", {"prompt", "query", "response", "system", "history"});
      known_keys(tags, name + ".tags", {});
      add(result, columns, name, "prompt", "instruction", "instruction");
      add(result, columns, name, "query", "input", "input");
      add(result, columns, name, "response", "output", "output");
      add(result, columns, name, "history", "", "history");
    } else {
      known_keys(columns, name + ".columns", {"messages", "system"});
      known_keys(tags, name + ".tags", {"role_tag", "content_tag", "user_tag", "assistant_tag", "system_tag"});
      add(result, columns, name, "messages", "conversations", "conversations");
      const std::string place = name + ".tags";
      result.columns.role_tag = text(tags, place, "role_tag", "from");
      result.columns.content_tag = text(tags, place, "content_tag", "value");
      result.columns.roles = {{text(tags, place, "user_tag", "human"), "human"},
                              {text(tags, place, "assistant_tag", "gpt"), "gpt"},
                              {text(tags, place, "system_tag", "system"), "system"}};
    }
    add(result, columns, name, "system", "", "system");
    return result;
  }

  /// The column that LLaMA-Factory calls `theirs`, by default `fallback`, is our key `ours`.
  void add(InfoEntry& entry, const json& columns, const std::string& name, const char* theirs,
           const std::string& fallback, const std::string& ours) const {
    const std::string column = text(columns, name + ".columns", theirs, fallback);
    if (column.empty()) return;
    if (!entry.columns.columns.emplace(column, ours).second) {
      refuse(name + ".columns." + theirs, "one column stands for two things", quoted_key(column));
    }
  }

  std::filesystem::path path_;
  json info_;
};

std::string renamed_messages(const simdjson::dom::element& messages, const ColumnMap& map) {
  simdjson::dom::array list;
  if (messages.get(list)) throw RowProblem{"the messages have the wrong type", type_of(messages), "an array"};
  std::string text = "[";
  int64_t index = 0;
  for (const simdjson::dom::element element : list) {
    const std::string place = "message " + std::to_string(index);
    const simdjson::dom::object message = as_object(element, place);
    const std::string role = require_string(message, map.role_tag);
    const auto known = map.roles.find(role);
    const auto content = message[map.content_tag];
    if (content.error()) throw RowProblem{place + " has no " + quoted_key(map.content_tag), "", "a string"};
    text += (index++ == 0 ? "{\"from\":" : ",{\"from\":") +
            json(known == map.roles.end() ? "unknown: " + role : known->second).dump() +
            ",\"value\":" + simdjson::minify(content.value_unsafe()) + "}";
  }
  return text + "]";
}

}  // namespace

std::vector<InfoEntry> read_dataset_info(const std::filesystem::path& path, const std::string& name) {
  return InfoReader(path).read(name);
}

std::string describe(const ColumnMap& map) {
  return json({{"format", map.format},
               {"columns", map.columns},
               {"role_tag", map.role_tag},
               {"content_tag", map.content_tag},
               {"roles", map.roles}})
      .dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
}

std::string rename_columns(const simdjson::dom::object& row, const ColumnMap& map) {
  std::string text = "{";
  for (const auto field : row) {
    const std::string key(field.key);
    const auto column = map.columns.find(key);
    if (column == map.columns.end() && std::ranges::find(kOwnKeys, key) != kOwnKeys.end()) continue;
    const std::string& name = column == map.columns.end() ? key : column->second;
    text += (text.size() > 1 ? "," : "") + json(name).dump() + ":";
    text += name == "conversations" ? renamed_messages(field.value, map) : simdjson::minify(field.value);
  }
  return text + "}";
}

}  // namespace moelora::data
