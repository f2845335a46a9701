#include "data/record_reader.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "data/file_name.h"

namespace moelora::data {
namespace {

constexpr size_t kChunkBytes = 1 << 18;

bool is_space(int byte) {
  return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

}  // namespace

RecordReader::RecordReader(const std::filesystem::path& path, int64_t max_record_bytes)
    : path_(path), max_record_bytes_(max_record_bytes), bytes_(open_bytes(path)) {
  const RowSyntax syntax = parse_data_file_name(path).syntax;
  if (syntax == RowSyntax::kParquet) {
    throw Error(ErrorKind::kData,
                {path.string(), "Parquet isn't read", "", "JSON Lines or CSV, which may be compressed (.gz, .zst)",
                 "with pandas: read_parquet(\"" + path.filename().string() + "\").to_json(\"" + path.stem().string() +
                     ".jsonl\", orient=\"records\", lines=True, force_ascii=False)"});
  }
  csv_ = syntax == RowSyntax::kCsv;
  buffer_.resize(kChunkBytes);
}

void RecordReader::fill() {
  if (position_ < filled_ || ended_) return;
  filled_ = bytes_->read(buffer_);
  position_ = 0;
  if (filled_ == 0) ended_ = true;
}

int RecordReader::peek() {
  fill();
  return ended_ ? kEof : static_cast<unsigned char>(buffer_[position_]);
}

int RecordReader::get() {
  const int byte = peek();
  if (byte == kEof) return byte;
  ++position_;
  if (byte == '\n') ++current_line_;
  return byte;
}

void RecordReader::skip_space() {
  while (is_space(peek())) get();
}

bool RecordReader::append(std::string_view bytes) {
  if (size_ + bytes.size() > static_cast<size_t>(max_record_bytes_)) return false;
  if (size_ + bytes.size() > record_.size()) record_.resize(std::max(size_ + bytes.size(), 2 * record_.size()));
  std::memcpy(record_.data() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
  return true;
}

bool RecordReader::append_byte() {
  const char byte = static_cast<char>(get());
  return append({&byte, 1});
}

RecordState RecordReader::finish(bool fits) {
  if (!fits) return RecordState::kTooLong;
  if (record_.size() < size_ + simdjson::SIMDJSON_PADDING) record_.resize(size_ + simdjson::SIMDJSON_PADDING);
  return RecordState::kRecord;
}

RecordState RecordReader::next() {
  if (!started_) {
    started_ = true;
    fill();
    if (std::string_view(buffer_.data(), filled_).starts_with("\xEF\xBB\xBF")) position_ = 3;
    if (!csv_ && (peek() == '[' || is_space(peek()))) {
      skip_space();
      array_ = peek() == '[';
      if (array_) get();
    }
  }
  size_ = 0;
  if (csv_) return next_csv_row();
  return array_ ? next_element() : next_line();
}

RecordState RecordReader::next_line() {
  skip_space();
  if (peek() == kEof) return RecordState::kEnd;
  line_ = current_line_;
  bool fits = true;
  bool line_ended = false;
  while (!line_ended && peek() != kEof) {
    const std::string_view rest(buffer_.data() + position_, filled_ - position_);
    const size_t length = std::min(rest.find('\n'), rest.size());
    fits = append(rest.substr(0, length)) && fits;
    position_ += length;
    line_ended = length < rest.size();
    if (line_ended) get();
  }
  while (size_ > 0 && is_space(static_cast<unsigned char>(record_[size_ - 1]))) --size_;
  return finish(fits);
}

RecordState RecordReader::next_element() {
  if (elements_ < 0) return RecordState::kEnd;
  skip_space();
  if (peek() == ']' && elements_ == 0) get(), elements_ = -1;
  if (elements_ > 0) {
    const int byte = get();
    if (byte == ']') {
      elements_ = -1;
    } else if (byte != ',') {
      broken_array(byte == kEof ? "the array isn't closed: the file is truncated"
                                : "`,` or `]` is missing after an element of the array",
                   current_line_);
    }
  }
  skip_space();
  if (elements_ < 0) {
    if (peek() != kEof) broken_array("something follows the end of the array", current_line_);
    return RecordState::kEnd;
  }
  ++elements_;
  line_ = current_line_;
  if (peek() == kEof) broken_array("the array isn't closed: the file is truncated", line_);
  if (peek() == ',' || peek() == ']') broken_array("an element of the array is missing", line_);

  bool fits = true;
  bool in_string = false;
  int64_t depth = 0;
  while (true) {
    const int byte = peek();
    if (byte == kEof) broken_array("the element that begins here isn't closed: the file is truncated", line_);
    if (!in_string && depth == 0 && (byte == ',' || byte == ']' || is_space(byte))) break;
    fits = append_byte() && fits;
    if (in_string) {
      if (byte == '\\') {
        if (peek() != kEof) fits = append_byte() && fits;
      } else if (byte == '"') {
        in_string = false;
      }
    } else if (byte == '"') {
      in_string = true;
    } else if (byte == '{' || byte == '[') {
      ++depth;
    } else if (byte == '}' || byte == ']') {
      --depth;
      if (depth <= 0) break;
    }
  }
  return finish(fits);
}

void RecordReader::broken_array(const std::string& problem, int64_t line) const {
  throw Error(ErrorKind::kData,
              {path_.string() + ":" + std::to_string(line), problem, "", "one JSON array of objects, or JSON Lines"});
}

}  // namespace moelora::data
