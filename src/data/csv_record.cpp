// RecordReader's CSV side: RFC 4180 with a header, each row handed on as a JSON object of its columns.
#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include "core/error.h"
#include "data/formats/fields.h"
#include "data/record_reader.h"

namespace moelora::data {
namespace {

constexpr size_t kMostColumns = 1000;

/// Columns whose cells hold lists, as JSON.
constexpr std::array<std::string_view, 4> kListColumns = {"messages", "conversations", "history", "answer_choices"};

bool holds_list(const std::string& column) {
  return std::ranges::find(kListColumns, column) != kListColumns.end();
}

}  // namespace

std::string_view RecordReader::escaped(const char& byte, std::span<char, 8> room) {
  const auto code = static_cast<unsigned char>(byte);
  if (byte == '"') return "\\\"";
  if (byte == '\\') return "\\\\";
  if (code >= 0x20 || code == 0) return {&byte, 1};  // a NUL stays, to be refused as one
  const int size = std::snprintf(room.data(), room.size(), "\\u%04x", code);
  return {room.data(), static_cast<size_t>(size)};
}

/// Hands every byte of the next field to `put`, without its quotes; what ended it: ',', '\n' or kEof.
template <typename Put>
int RecordReader::read_field(const Put& put) {
  if (peek() != '"') {
    while (true) {
      const int byte = get();
      if (byte == ',' || byte == '\n' || byte == kEof) return byte;
      if (byte == '\r' && (peek() == '\n' || peek() == kEof)) continue;
      put(static_cast<char>(byte));
    }
  }
  get();
  const int64_t began = current_line_;
  while (true) {
    const int byte = get();
    if (byte == kEof) {
      throw Error(ErrorKind::kData,
                  {path_.string() + ":" + std::to_string(began),
                   "the quoted field that begins here isn't closed: the file is truncated, or a `\"` within a "
                   "field isn't doubled"});
    }
    if (byte != '"') {
      put(static_cast<char>(byte));
    } else if (peek() == '"') {
      put(static_cast<char>(get()));
    } else {
      break;
    }
  }
  if (peek() == '\r') get();
  const int end = get();
  if (end == ',' || end == '\n' || end == kEof) return end;
  throw Error(ErrorKind::kData, {path_.string() + ":" + std::to_string(current_line_),
                                 "text follows the closing quote of a field", "", "`,` or the end of the line"});
}

void RecordReader::read_columns() {
  const std::string where = path_.string() + ":" + std::to_string(current_line_);
  const auto refuse = [&](std::string problem, std::string found) {
    throw Error(ErrorKind::kData, {where, std::move(problem), std::move(found), "a first line that names the columns"});
  };
  std::set<std::string> seen;
  int end = ',';
  while (end == ',') {
    std::string name;
    end = read_field([&](char byte) {
      if (name.size() < 1000) name += byte;
    });
    if (name.empty() || columns_.size() == kMostColumns)
      refuse("a column of the CSV file has no name, or there are too many", "");
    if (!seen.insert(name).second) refuse("two columns of the CSV file have one name", quoted_key(name));
    columns_.push_back(std::move(name));
  }
}

RecordState RecordReader::next_csv_row() {
  if (columns_.empty()) {
    while (peek() == '\n' || peek() == '\r') get();
    if (peek() == kEof) return RecordState::kEnd;
    read_columns();
  }
  while (peek() == '\n' || peek() == '\r') get();
  if (peek() == kEof) return RecordState::kEnd;
  line_ = current_line_;
  bool fits = append("{");
  size_t field = 0;
  int end = ',';
  std::array<char, 8> room;
  for (; end == ','; ++field) {
    const bool extra = field >= columns_.size();
    const bool list = !extra && holds_list(columns_[field]);
    if (!extra) {
      fits = fits && append(field == 0 ? "\"" : ",\"");
      for (const char byte : columns_[field]) fits = fits && append(escaped(byte, room));
      fits = fits && append(list ? "\":" : "\":\"");
    }
    const size_t before = size_;
    end = read_field([&](char byte) {
      if (!extra) fits = fits && append(list ? std::string_view(&byte, 1) : escaped(byte, room));
    });
    if (!extra && !list) fits = fits && append("\"");
    if (list && size_ == before) fits = fits && append("null");
  }
  fits = fits && append("}");
  if (field != columns_.size()) {
    problem_ = {"the row has another number of fields than the header", std::to_string(field),
                std::to_string(columns_.size())};
    return RecordState::kMalformed;
  }
  return finish(fits);
}

}  // namespace moelora::data
