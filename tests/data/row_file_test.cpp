// Hostile and odd files: what is accepted, what is rejected and where the message points.
#include "data/row_file.h"

#include <gmock/gmock.h>

#include "core/hash.h"
#include "data/made_files.h"

namespace moelora::data {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using namespace std::string_literals;

class RowFiles : public MadeFiles {
 protected:
  RowFile read(std::string_view contents, const RowFileOptions& options = {}) {
    return read_row_file(write("x.jsonl", contents), options);
  }

  std::vector<int64_t> lines(const RowFile& file) {
    std::vector<int64_t> lines;
    for (const Row& row : file.rows) lines.push_back(row.line);
    return lines;
  }
};

TEST_F(RowFiles, OddButValidFilesAreReadWhole) {
  const std::string a = R"({"input": "a", "target": "b"})";
  const std::string c = R"({"input": "c\u0000\ud83d\ude00", "target": "d"})";
  const std::vector<std::pair<std::string, std::string>> files = {
      {"plain", a + "\n" + c + "\n"},
      {"no final newline", a + "\n" + c},
      {"byte order mark", "\xEF\xBB\xBF" + a + "\n" + c + "\n"},
      {"CRLF", a + "\r\n" + c + "\r\n"},
      {"blank lines", "\n\n" + a + "\n  \n\t\n" + c + "\n\n"},
      {"array", "[" + a + "," + c + "]"},
      {"array over lines", "\xEF\xBB\xBF \n[\n  " + a + ",\n\n  " + c + "\n]\n"},
  };
  for (const auto& [name, contents] : files) {
    const RowFile file = read(contents);
    ASSERT_EQ(file.rows.size(), 2u) << name;
    EXPECT_EQ(file.rows[0].messages[0].content, "a") << name;
    EXPECT_EQ(file.rows[1].messages[0].content, "c\0\xF0\x9F\x98\x80"s) << name;
    EXPECT_EQ(file.rows[1].answer, "d") << name;
    EXPECT_EQ(file.hash, hash_hex(contents)) << name;
  }
}

TEST_F(RowFiles, LinesAreCountedThroughBlanksAndArrays) {
  EXPECT_THAT(lines(read("\n" + qa("a", "b") + "\n\n" + qa("c", "d"))), testing::ElementsAre(2, 5));
  EXPECT_THAT(lines(read("[\n" + qa("a", "b") + ",\n" + qa("c", "d") + "]")), testing::ElementsAre(2, 4));
}

TEST_F(RowFiles, ArrayElementsMayHoldBracketsAndEscapedQuotes) {
  const RowFile file =
      read(R"([{"input": "]}\"[{,", "target": "\\"}, {"input": "x", "target": "y", "z": [[{}], {"k": []}]}])");
  ASSERT_EQ(file.rows.size(), 2u);
  EXPECT_EQ(file.rows[0].messages[0].content, "]}\"[{,");
  EXPECT_EQ(file.rows[0].answer, "\\");
}

TEST_F(RowFiles, RowsAcrossReadBuffersAreWhole) {
  std::string contents;
  std::vector<size_t> sizes;
  for (size_t size = 1; size < 700000; size = size * 3 + 1) {
    contents += qa(std::string(size, 'x'), "y");
    sizes.push_back(size);
  }
  const RowFile file = read(contents);
  ASSERT_EQ(file.rows.size(), sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) EXPECT_EQ(file.rows[i].messages[0].content.size(), sizes[i]);
  std::string array = "[" + contents + "]";
  for (size_t at = array.find("}\n{"); at != std::string::npos; at = array.find("}\n{", at))
    array.replace(at, 3, "},{");
  EXPECT_EQ(read(array).rows.size(), sizes.size());
}

struct Hostile {
  const char* name;
  std::string contents;
  int line;  // that the message names; 0: the file alone
  std::vector<std::string> says;
};

// googletest's name. NOLINTNEXTLINE(readability-identifier-naming)
void PrintTo(const Hostile& file, std::ostream* out) {
  *out << file.name;
}

class HostileFiles : public RowFiles, public testing::WithParamInterface<Hostile> {};

TEST_P(HostileFiles, AreRejectedWithFileAndLine) {
  const Hostile& hostile = GetParam();
  const std::string path = write("x.jsonl", hostile.contents);
  try {
    read_row_file(path, {.max_record_bytes = 4096, .max_depth = 16});
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_EQ(error.details().where, hostile.line ? path + ":" + std::to_string(hostile.line) : path);
    for (const std::string& part : hostile.says) EXPECT_THAT(error.what(), HasSubstr(part));
    EXPECT_THAT(error.what(), testing::Not(HasSubstr("SECRET")));
  }
}

const std::string kGood = qa("a", "b");

INSTANTIATE_TEST_SUITE_P(
    RowFiles, HostileFiles,
    testing::Values(
        Hostile{"empty", "", 0, {"no rows"}}, Hostile{"blank", "\n \n\r\n", 0, {"no rows"}},
        Hostile{"only_mark", "\xEF\xBB\xBF", 0, {"no rows"}}, Hostile{"empty_array", "[ ]", 0, {"no rows"}},
        Hostile{"bad_utf8", kGood + qa("SECRET\xFF", "b"), 2, {"invalid UTF-8 at byte 17"}},
        Hostile{"overlong", kGood + qa("\xC0\xAF", "b"), 2, {"invalid UTF-8"}},
        Hostile{"surrogate_bytes", kGood + qa("\xED\xA0\x80", "b"), 2, {"invalid UTF-8"}},
        Hostile{"cut_character", kGood + "{\"input\": \"\xE4\xBD", 2, {}},
        Hostile{"lone_surrogate", kGood + qa("\\ud800", "b"), 2, {"valid JSON"}},
        Hostile{"nul", kGood + "{\"input\": \"a\0\", \"target\": \"SECRET\"}\n"s, 2, {"NUL byte at byte 12"}},
        Hostile{"nul_file", std::string(100, '\0'), 1, {"NUL byte at byte 0"}},
        Hostile{"utf16", "\xFF\xFE{\0\"\0"s, 1, {"UTF-16"}}, Hostile{"utf16_big", "\xFE\xFF\0{"s, 1, {"UTF-16"}},
        Hostile{"control", kGood + qa("a\x01", "b"), 2, {"valid JSON"}},
        Hostile{"truncated", kGood + R"({"input": "SECRET", "tar)", 2, {"valid JSON", "one JSON object a line"}},
        Hostile{"pretty_printed", "{\n  \"input\": \"a\",\n  \"target\": \"b\"\n}\n", 1, {"one JSON object a line"}},
        Hostile{"two_on_a_line",
                kGood + R"({"input": "a", "target": "b"} {"input": "c", "target": "d"})",
                2,
                {"valid JSON"}},
        Hostile{"trailing_comma", kGood + R"({"input": "a", "target": "b"},)", 2, {"valid JSON"}},
        Hostile{"single_quotes", "{'input': 'SECRET'}", 1, {"valid JSON"}},
        Hostile{"key_twice",
                kGood + R"({"input": "a", "target": "SECRET", "target": "b"})",
                2,
                {"the row has the key `target` twice"}},
        Hostile{"nan", R"({"input": "a", "target": "b", "x": NaN})", 1, {}},
        Hostile{"csv", "input,target\nSECRET,b\n", 1, {"valid JSON"}},
        Hostile{"gzip", "\x1f\x8b\x08\0\0"s, 1, {"NUL byte"}},
        Hostile{"long_line", kGood + qa(std::string(5000, 'x'), "b"), 2, {"too long", "4096 bytes"}},
        Hostile{"deep",
                kGood + R"({"input": "a", "target": "b", "x": )" + std::string(40, '[') + std::string(40, ']') + "}",
                2,
                {"nested too deeply"}},
        Hostile{"very_deep", std::string(3000, '['), 1, {"truncated"}},
        Hostile{"array_open", "[" + kGood + ",\n" + kGood, 4, {"the file is truncated"}},
        Hostile{"array_half", "[\n" + kGood + ",\n{\"input\": \"SECRET", 4, {"isn't closed", "truncated"}},
        Hostile{"array_no_comma", "[" + kGood + kGood + "]", 2, {"`,` or `]` is missing"}},
        Hostile{"array_two_commas", "[" + kGood + ",," + kGood + "]", 2, {"an element of the array is missing"}},
        Hostile{"array_last_comma", "[" + kGood + ",]", 2, {"an element of the array is missing"}},
        Hostile{"array_then_more", "[" + kGood + "]\n" + kGood, 3, {"something follows the end"}},
        Hostile{"array_of_text", R"(["SECRET"])", 1, {"a string", "a JSON object"}},
        Hostile{"array_long", "[" + kGood + "," + qa(std::string(5000, 'x'), "b") + "]", 2, {"too long"}}),
    [](const testing::TestParamInfo<Hostile>& info) { return info.param.name; });

TEST_F(RowFiles, SkippedRowsAreCountedAndTheRestIsRead) {
  const RowFile file = read(kGood + "{bad\n" + qa("c\xFF", "d") + qa(std::string(500, 'x'), "y") + kGood,
                            {.skip_bad = 3, .max_record_bytes = 300});
  EXPECT_THAT(lines(file), testing::ElementsAre(1, 5));
  ASSERT_EQ(file.bad.size(), 3u);
  EXPECT_THAT(file.bad[0].what(), HasSubstr("x.jsonl:2"));
  EXPECT_THAT(file.bad[1].what(), HasSubstr("x.jsonl:3"));
  EXPECT_THAT(file.bad[2].what(), HasSubstr("x.jsonl:4"));
}

TEST_F(RowFiles, SkippingHasACap) {
  const std::string contents = kGood + "{bad\n{bad\n{bad\n";
  EXPECT_THAT(thrown([&] { read(contents, {.skip_bad = 2}); }),
              AllOf(HasSubstr("x.jsonl:4"), HasSubstr("data.max_bad")));
  EXPECT_THAT(thrown([&] { read(contents, {.skip_bad = 0}); }),
              AllOf(HasSubstr("x.jsonl:2"), HasSubstr("data.max_bad")));
}

TEST_F(RowFiles, AFileOfBadRowsAloneHasNoRows) {
  EXPECT_THAT(thrown([&] { read("{bad\n{bad\n", {.skip_bad = 9}); }),
              AllOf(HasSubstr("no rows"), HasSubstr("2 malformed rows")));
}

TEST_F(RowFiles, AFileThatCannotBeReadIsAnIoError) {
  for (const std::string& path : {(root_ / "absent.jsonl").string(), root_.string()}) {
    try {
      read_row_file(path, {});
      FAIL() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kIo);
      EXPECT_THAT(error.what(), HasSubstr(path));
    }
  }
}

}  // namespace
}  // namespace moelora::data
