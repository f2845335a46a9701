#include "data/row_file.h"

#include <simdjson.h>

#include <algorithm>
#include <memory>

#include "core/utf8.h"
#include "data/formats.h"
#include "data/formats/fields.h"
#include "data/record_reader.h"

namespace moelora::data {
namespace {

constexpr size_t kMostLicences = 8;

class Reader {
 public:
  Reader(const std::filesystem::path& path, const RowFileOptions& options)
      : options_(options),
        records_(path, options.max_record_bytes),
        name_(std::make_shared<std::string>(path.string())) {
    file_.path = *name_;
    if (options.format) format_ = &format_by_name(*options.format, *name_);
    if (const auto error = parser_.allocate(1 << 16, options.max_depth)) {
      throw Error(ErrorKind::kInternal, {*name_, simdjson::error_message(error)});
    }
  }

  RowFile read() {
    while (true) {
      const RecordState state = records_.next();
      if (state == RecordState::kEnd) break;
      where_ = *name_ + ":" + std::to_string(records_.line());
      try {
        if (state == RecordState::kTooLong) {
          fail("the row is too long", "more than " + std::to_string(options_.max_record_bytes) + " bytes",
               "one JSON object a line");
        }
        if (state == RecordState::kMalformed) throw records_.problem();
        file_.rows.push_back(read_row());
      } catch (const RowProblem& problem) {
        reject(Error(ErrorKind::kData, {where_, problem.problem, problem.found, problem.expected}));
      } catch (const Error& error) {
        reject(error);
      }
    }
    if (file_.rows.empty()) {
      throw Error(ErrorKind::kData, {*name_, "the file has no rows",
                                     std::to_string(file_.bad.size()) + " malformed rows", "at least one row"});
    }
    file_.format = format_->name;
    file_.hash = records_.hash();
    return std::move(file_);
  }

 private:
  [[noreturn]] static void fail(std::string problem, std::string found, std::string expected) {
    throw RowProblem{std::move(problem), std::move(found), std::move(expected)};
  }

  void reject(const Error& error) {
    if (!options_.skip_bad) throw error;
    if (static_cast<int64_t>(file_.bad.size()) >= *options_.skip_bad) {
      ErrorDetails details = error.details();
      details.hint =
          "more malformed rows than data.max_bad allows to skip" + (details.hint.empty() ? "" : "; " + details.hint);
      throw Error(error.kind(), details);
    }
    file_.bad.push_back(error);
  }

  simdjson::dom::element parse() {
    const std::string_view text = records_.text();
    const char* const expected = records_.is_csv() ? "messages, conversations, history and answer_choices as JSON lists"
                                 : records_.is_array() ? "one JSON object an element"
                                                       : "one JSON object a line";
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
      fail("the file begins with a UTF-16 byte order mark", "UTF-16", "UTF-8");
    }
    if (const size_t zero = text.find('\0'); zero != std::string_view::npos) {
      fail("a NUL byte at byte " + std::to_string(zero) + " of the row", "", "UTF-8 text");
    }
    simdjson::dom::element element;
    const auto error = parser_.parse(text.data(), text.size(), false).get(element);
    if (!error) return element;
    if (const auto invalid = first_invalid_utf8(text)) {
      fail("invalid UTF-8 at byte " + std::to_string(*invalid) + " of the row", "", "UTF-8 text");
    }
    if (error == simdjson::DEPTH_ERROR) {
      fail("the row is nested too deeply", "", "at most " + std::to_string(options_.max_depth) + " levels");
    }
    fail(std::string("the row isn't valid JSON: ") + simdjson::error_message(error), "", expected);
  }

  /// The row with the names that its format has; valid until the next one.
  simdjson::dom::object renamed(const simdjson::dom::object& object) {
    const std::string text = rename_columns(object, *options_.columns);
    return renamed_parser_.parse(text).get_object().value();
  }

  Row read_row() {
    const simdjson::dom::element element = parse();
    if (!element.is_object()) fail("the row has the wrong type", type_of(element), "a JSON object");
    simdjson::dom::object object = as_object(element, "the row");
    if (options_.columns) object = renamed(object);
    if (format_ == nullptr) format_ = &detect_format(object, options_.group_key, options_.answers, where_);
    for (const std::string& key : format_->keys) {
      if (object[key].error() && !(answers_optional() && key == format_->answer_key)) {
        fail("the key `" + key + "` of the file's format " + format_->name + " is missing", "", "one format a file");
      }
    }
    Row row;
    row.file = name_;
    row.line = records_.line();
    format_->read(object, options_.answers, row);
    if (answers_optional() && row.is_text()) fail("the row is a text without a prompt", "", "a prompt to answer");
    if (row.answer.empty() && !answers_optional()) fail("the answer is empty", "", "text to learn");
    if (!row.is_text() && std::ranges::all_of(row.messages, [](const Message& m) { return m.content.empty(); })) {
      fail("the prompt is empty", "", "text to answer");
    }
    read_common_fields(object, options_.group_key, row);
    note_licence(object);
    return row;
  }

  bool answers_optional() const { return options_.answers == Answers::kOptional; }

  void note_licence(const simdjson::dom::object& object) {
    for (const char* key : {"license", "licence"}) {
      const std::string text = optional_string(object, key);
      if (text.empty() || licences_.size() >= kMostLicences || std::ranges::find(licences_, text) != licences_.end())
        continue;
      licences_.push_back(text);
      file_.licence += (file_.licence.empty() ? "" : "; ") + text;
    }
  }

  const RowFileOptions& options_;
  RecordReader records_;
  std::shared_ptr<const std::string> name_;
  simdjson::dom::parser parser_;
  simdjson::dom::parser renamed_parser_;
  const Format* format_ = nullptr;
  std::string where_;
  std::vector<std::string> licences_;
  RowFile file_;
};

}  // namespace

RowFile read_row_file(const std::filesystem::path& path, const RowFileOptions& options) {
  return Reader(path, options).read();
}

}  // namespace moelora::data
