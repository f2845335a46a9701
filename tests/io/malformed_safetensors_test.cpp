// Hand-made malformed files: each is refused with the file, the tensor where there is one, and the reason.
#include <set>

#include "io/safetensors_description.h"
#include "io/test_files.h"

namespace moelora::io {
namespace {

struct Malformed {
  std::string kind;
  std::string bytes;
  std::string reason;          // part of the message
  std::string tensor = "";     // named by the message
  bool taken_by_peer = false;  // the reference library reads it: we are stricter on purpose
};

std::string length_lie(uint64_t length, std::string_view rest) {
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes.append(rest);
}

/// One tensor `w` whose description is `fields`.
std::string one(const std::string& fields, const std::string& data) {
  return safetensors_bytes("{\"w\":{" + fields + "}}", data);
}

/// Tensors `w` and `v` of one-byte elements.
std::string two(const std::string& w, const std::string& v, const std::string& data) {
  return safetensors_bytes("{\"w\":{\"dtype\":\"U8\"," + w + "},\"v\":{\"dtype\":\"U8\"," + v + "}}", data);
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

const std::string kGood = R"("dtype":"U8","shape":[2],"data_offsets":[0,2])";

std::vector<Malformed> length_kinds() {
  return {
      {"empty file", "", "too short"},
      {"seven bytes", std::string(7, '\0'), "too short"},
      {"length only, zero", std::string(8, '\0'), "doesn't begin with `{`"},
      {"length 1 without a header", length_lie(1, ""), "beyond the end"},
      {"length one too long", length_lie(3, "{}"), "beyond the end"},
      {"length one too short", length_lie(1, "{}"), "isn't valid JSON"},
      {"length above the bound", length_lie(100'000'001, "{}"), "too large"},
      {"length of 2^63", length_lie(uint64_t{1} << 63, "{}"), "too large"},
      {"length of 2^64 - 1", length_lie(UINT64_MAX, "{}"), "too large"},
      {"length of 2^64 - 8", length_lie(UINT64_MAX - 7, "{}"), "too large"},
      {"length in big-endian", std::string("\0\0\0\0\0\0\0\2{}", 10), "too large"},
      {"a pickle", "\x80\x02}q\x01(X\x05\x00\x00\x00hello", "too large"},
      {"a zip", std::string("PK\3\4\24\0\0\0\10\0\0\0", 12), "too large"},
      {"an HTML page", "<!DOCTYPE html><html></html>", "too large"},
      {"a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "too large"},
  };
}

std::vector<Malformed> json_kinds() {
  return {
      {"not JSON", safetensors_bytes("{nonsense}"), "isn't valid JSON"},
      {"header of spaces", safetensors_bytes("        "), "doesn't begin with `{`"},
      {"an array", safetensors_bytes("[]"), "doesn't begin with `{`"},
      {"a string", safetensors_bytes("\"{}\""), "doesn't begin with `{`"},
      {"null", safetensors_bytes("null"), "doesn't begin with `{`"},
      {"leading space", safetensors_bytes(" {}"), "doesn't begin with `{`", "", true},
      {"byte order mark", safetensors_bytes("\xEF\xBB\xBF{}"), "doesn't begin with `{`"},
      {"unclosed object", safetensors_bytes("{\"w\":{" + kGood + "}", "xy"), "isn't valid JSON"},
      {"unclosed string", safetensors_bytes("{\"w"), "isn't valid JSON"},
      {"text after the object", safetensors_bytes("{}{}"), "isn't valid JSON"},
      {"trailing comma", safetensors_bytes("{\"w\":{" + kGood + "},}", "xy"), "isn't valid JSON"},
      {"comment", safetensors_bytes("{/* c */}"), "isn't valid JSON"},
      {"single quotes", safetensors_bytes("{'w':{}}"), "isn't valid JSON"},
      {"padded with NUL", safetensors_bytes(std::string("{}\0\0", 4)), "NUL"},
      {"hidden after NUL", safetensors_bytes(std::string("{}\0{\"w\":1}", 10)), "NUL"},
      {"NUL in a name", safetensors_bytes(std::string("{\"w") + '\0' + "\":{" + kGood + "}}", "xy"), "NUL"},
      {"invalid UTF-8 in a name", safetensors_bytes("{\"\xff\":{" + kGood + "}}", "xy"), "UTF-8"},
      {"overlong UTF-8", safetensors_bytes("{\"\xc0\xaf\":{" + kGood + "}}", "xy"), "UTF-8"},
      {"surrogate in UTF-8", safetensors_bytes("{\"\xed\xa0\x80\":{" + kGood + "}}", "xy"), "UTF-8"},
      {"cut UTF-8", safetensors_bytes("{\"\xe5\xb1"), "UTF-8"},
      {"lone surrogate escape", safetensors_bytes("{\"\\ud800\":{" + kGood + "}}", "xy"), "isn't valid JSON"},
      {"bad escape", safetensors_bytes("{\"\\q\":{" + kGood + "}}", "xy"), "isn't valid JSON"},
      {"control character in a name", safetensors_bytes("{\"\x01\":{" + kGood + "}}", "xy"), "isn't valid JSON"},
      {"100,000 brackets", safetensors_bytes("{\"w\":" + std::string(100'000, '[')), "isn't described by an object",
       "w"},
      {"100,000 braces", safetensors_bytes(repeated("{\"w\":", 100'000)), "unknown field", "w"},
  };
}

std::vector<Malformed> structure_kinds() {
  const auto top = [](const std::string& value) { return safetensors_bytes("{\"w\":" + value + "}", "xy"); };
  return {
      {"tensor is a number", top("1"), "isn't described by an object", "w"},
      {"tensor is null", top("null"), "isn't described by an object", "w"},
      {"tensor is a string", top("\"F32\""), "isn't described by an object", "w"},
      {"tensor is true", top("true"), "isn't described by an object", "w"},
      {"tensor is an array", top(R"(["U8",[2],[0,2]])"), "isn't described by an object", "w", true},
      {"tensor is empty", top("{}"), "no `dtype`", "w"},
      {"no dtype", one(R"("shape":[2],"data_offsets":[0,2])", "xy"), "no `dtype`", "w"},
      {"no shape", one(R"("dtype":"U8","data_offsets":[0,2])", "xy"), "no `shape`", "w"},
      {"no offsets", one(R"("dtype":"U8","shape":[2])", "xy"), "no `data_offsets`", "w"},
      {"unknown field", one(kGood + R"(,"stride":[1])", "xy"), "unknown field `stride`", "w", true},
      {"duplicate dtype", one(R"("dtype":"U8",)" + kGood, "xy"), "duplicate field `dtype`", "w"},
      {"duplicate shape", one(R"("shape":[2],)" + kGood, "xy"), "duplicate field `shape`", "w"},
      {"duplicate offsets", one(kGood + R"(,"data_offsets":[0,2])", "xy"), "duplicate field `data_offsets`", "w"},
      {"duplicate tensor", safetensors_bytes("{\"w\":{" + kGood + "},\"w\":{" + kGood + "}}", "xy"),
       "duplicate tensor name", "w", true},
      {"duplicate tensor by escape", safetensors_bytes("{\"w\":{" + kGood + "},\"\\u0077\":{" + kGood + "}}", "xy"),
       "duplicate tensor name", "w", true},
      {"dtype in lower case", one(R"("dtype":"u8","shape":[2],"data_offsets":[0,2])", "xy"),
       "unknown dtype (found `u8`", "w"},
      {"unknown dtype", one(R"("dtype":"F128","shape":[2],"data_offsets":[0,2])", "xy"), "unknown dtype (found `F128`",
       "w"},
      {"dtype of four bits", one(R"("dtype":"F4","shape":[4],"data_offsets":[0,2])", "xy"), "unknown dtype (found `F4`",
       "w", true},
      {"empty dtype", one(R"("dtype":"","shape":[2],"data_offsets":[0,2])", "xy"), "unknown dtype", "w"},
      {"dtype is a number", one(R"("dtype":8,"shape":[2],"data_offsets":[0,2])", "xy"), "wrong type for `dtype`", "w"},
      {"dtype is null", one(R"("dtype":null,"shape":[2],"data_offsets":[0,2])", "xy"), "wrong type for `dtype`", "w"},
      {"shape is a number", one(R"("dtype":"U8","shape":2,"data_offsets":[0,2])", "xy"), "wrong type for `shape`", "w"},
      {"shape is an object", one(R"("dtype":"U8","shape":{},"data_offsets":[0,2])", "xy"), "wrong type for `shape`",
       "w"},
      {"shape is a string", one(R"("dtype":"U8","shape":"2","data_offsets":[0,2])", "xy"), "wrong type for `shape`",
       "w"},
      {"negative dimension", one(R"("dtype":"U8","shape":[-2],"data_offsets":[0,2])", "xy"), "a dimension isn't", "w"},
      {"minus zero", one(R"("dtype":"U8","shape":[-0],"data_offsets":[0,0])", ""), "a dimension isn't", "w"},
      {"fractional dimension", one(R"("dtype":"U8","shape":[2.0],"data_offsets":[0,2])", "xy"), "a dimension isn't",
       "w"},
      {"exponent dimension", one(R"("dtype":"U8","shape":[2e0],"data_offsets":[0,2])", "xy"), "a dimension isn't", "w"},
      {"null dimension", one(R"("dtype":"U8","shape":[null],"data_offsets":[0,2])", "xy"), "a dimension isn't", "w"},
      {"nested shape", one(R"("dtype":"U8","shape":[[2]],"data_offsets":[0,2])", "xy"), "a dimension isn't", "w"},
      {"string dimension", one(R"("dtype":"U8","shape":["2"],"data_offsets":[0,2])", "xy"), "a dimension isn't", "w"},
      {"offsets are a number", one(R"("dtype":"U8","shape":[2],"data_offsets":2)", "xy"), "wrong type", "w"},
      {"no offset", one(R"("dtype":"U8","shape":[2],"data_offsets":[])", "xy"), "needs two numbers", "w"},
      {"one offset", one(R"("dtype":"U8","shape":[2],"data_offsets":[0])", "xy"), "needs two numbers", "w"},
      {"three offsets", one(R"("dtype":"U8","shape":[2],"data_offsets":[0,2,2])", "xy"), "more than two", "w"},
      {"negative offset", one(R"("dtype":"U8","shape":[2],"data_offsets":[-2,0])", "xy"), "an offset isn't", "w"},
      {"fractional offset", one(R"("dtype":"U8","shape":[2],"data_offsets":[0,2.0])", "xy"), "an offset isn't", "w"},
      {"boolean offset", one(R"("dtype":"U8","shape":[2],"data_offsets":[false,2])", "xy"), "an offset isn't", "w"},
      {"metadata is a string", safetensors_bytes(R"({"__metadata__":"x"})"), "`__metadata__` isn't"},
      {"metadata is an array", safetensors_bytes(R"({"__metadata__":[]})"), "`__metadata__` isn't"},
      {"metadata is null", safetensors_bytes(R"({"__metadata__":null})"), "`__metadata__` isn't", "", true},
      {"metadata of numbers", safetensors_bytes(R"({"__metadata__":{"k":1}})"), "metadata key `k`"},
      {"metadata of objects", safetensors_bytes(R"({"__metadata__":{"k":{}}})"), "metadata key `k`"},
      {"metadata of null", safetensors_bytes(R"({"__metadata__":{"k":null}})"), "metadata key `k`"},
      {"duplicate metadata", safetensors_bytes(R"({"__metadata__":{},"__metadata__":{}})"), "duplicate"},
      {"duplicate metadata key", safetensors_bytes(R"({"__metadata__":{"k":"1","k":"2"}})"),
       "duplicate metadata key (found `k`", "", true},
      {"65 dimensions", one("\"dtype\":\"U8\",\"shape\":[" + repeated("1,", 64) + "1],\"data_offsets\":[0,1]", "x"),
       "too many dimensions", "w", true},
  };
}

std::vector<Malformed> range_kinds() {
  const std::string big = "4294967296";
  return {
      {"end before begin", one(R"("dtype":"U8","shape":[2],"data_offsets":[2,0])", "xy"), "end before they begin", "w"},
      {"data cut short", one(kGood, "x"), "beyond the end of the file", "w"},
      {"no data", one(kGood, ""), "beyond the end of the file", "w"},
      {"a byte too many", one(kGood, "xyz"), "bytes after the last tensor"},
      {"data without tensors", safetensors_bytes("{}", "x"), "bytes after the last tensor"},
      {"range too small", one(R"("dtype":"U8","shape":[2],"data_offsets":[0,1])", "x"), "don't have the size", "w"},
      {"range too large", one(R"("dtype":"U8","shape":[2],"data_offsets":[0,3])", "xyz"), "don't have the size", "w"},
      {"dtype too wide", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,2])", "xy"), "don't have the size", "w"},
      {"scalar of no bytes", one(R"("dtype":"U8","shape":[],"data_offsets":[0,0])", ""), "don't have the size", "w"},
      {"empty of some bytes", one(R"("dtype":"U8","shape":[0],"data_offsets":[0,2])", "xy"), "don't have the size",
       "w"},
      {"begins at one", one(R"("dtype":"U8","shape":[1],"data_offsets":[1,2])", "xy"), "gap before", "w"},
      {"gap", two(R"("shape":[1],"data_offsets":[0,1])", R"("shape":[1],"data_offsets":[2,3])", "xyz"), "gap before",
       "v"},
      {"overlap", two(R"("shape":[2],"data_offsets":[0,2])", R"("shape":[2],"data_offsets":[1,3])", "xyz"), "overlap",
       "v"},
      {"same range twice", two(R"("shape":[2],"data_offsets":[0,2])", R"("shape":[2],"data_offsets":[0,2])", "xy"),
       "overlap"},
      {"one inside the other", two(R"("shape":[3],"data_offsets":[0,3])", R"("shape":[1],"data_offsets":[1,2])", "xyz"),
       "overlap", "v"},
      {"empty inside another", two(R"("shape":[2],"data_offsets":[0,2])", R"("shape":[0],"data_offsets":[1,1])", "xy"),
       "overlap", "v"},
      {"offset of 2^63", one(R"("dtype":"U8","shape":[2],"data_offsets":[0,9223372036854775808])", "xy"), "too large",
       "w"},
      {"offset of 2^64", one(R"("dtype":"U8","shape":[2],"data_offsets":[0,18446744073709551616])", "xy"),
       "an offset isn't", "w"},
      {"offset of 2^63 - 1", one(R"("dtype":"U8","shape":[2],"data_offsets":[0,9223372036854775807])", "xy"),
       "beyond the end", "w"},
      {"offsets at the end of numbers",
       one(R"("dtype":"U8","shape":[2],"data_offsets":[9223372036854775805,9223372036854775807])", "xy"),
       "beyond the end", "w"},
      {"dimension of 2^63", one(R"("dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,2])", "xy"),
       "too large", "w"},
      {"dimension of 2^64", one(R"("dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,2])", "xy"),
       "a dimension isn't", "w"},
      {"product wraps to 0", one("\"dtype\":\"U8\",\"shape\":[" + big + "," + big + "],\"data_offsets\":[0,0]", ""),
       "overflows", "w"},
      {"product wraps to 2", one(R"("dtype":"U8","shape":[9223372036854775807,2,2],"data_offsets":[0,2])", "xy"),
       "overflows", "w"},
      {"bytes wrap", one(R"("dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0])", ""), "overflows", "w"},
      {"strides wrap behind a zero",
       one("\"dtype\":\"U8\",\"shape\":[0," + big + "," + big + "],\"data_offsets\":[0,0]", ""), "overflows", "w",
       true},
      {"a shape of a terabyte", one(R"("dtype":"F32","shape":[274877906944],"data_offsets":[0,1099511627776])", "xy"),
       "beyond the end", "w"},
  };
}

std::vector<Malformed> every_kind() {
  std::vector<Malformed> all;
  for (const auto& kinds : {length_kinds(), json_kinds(), structure_kinds(), range_kinds()}) {
    all.insert(all.end(), kinds.begin(), kinds.end());
  }
  return all;
}

TEST(MalformedSafetensors, EveryKindIsRefusedWithFileTensorAndReason) {
  const TestDirectory directory;
  const std::vector<Malformed> kinds = every_kind();
  EXPECT_GE(kinds.size(), 60);
  std::set<std::string> names;
  for (const Malformed& malformed : kinds) {
    SCOPED_TRACE(malformed.kind);
    EXPECT_TRUE(names.insert(malformed.kind).second);
    const auto path = write_text(directory / "bad.safetensors", malformed.bytes);
    const std::string message = model_error([&] { SafetensorsFile::open(path); });
    EXPECT_THAT(message, testing::StartsWith(path.string()));
    EXPECT_THAT(message, testing::HasSubstr(malformed.reason));
    EXPECT_THAT(message, testing::HasSubstr(malformed.tensor.empty() ? "" : "`" + malformed.tensor + "`"));
    EXPECT_LT(message.size(), 1000);
  }
}

TEST(MalformedSafetensors, TheReferenceLibraryRefusesThemTooWhereWeArentStricterOnPurpose) {
  std::vector<std::string> files;
  const std::vector<Malformed> kinds = every_kind();
  for (const Malformed& malformed : kinds) files.push_back(malformed.bytes);
  const std::vector<std::string> verdicts = oracle_descriptions(files);
  for (size_t i = 0; i < kinds.size(); ++i)
    EXPECT_EQ(verdicts[i] != "refused", kinds[i].taken_by_peer) << kinds[i].kind;
}

TEST(MalformedSafetensors, EveryTruncationIsRefused) {
  const std::string whole =
      two(R"("shape":[2],"data_offsets":[0,2])", R"("shape":[1,3],"data_offsets":[2,5])", "abcde");
  ASSERT_NO_THROW(SafetensorsFile::parse(bytes_of(whole), "f"));
  for (size_t size = 0; size < whole.size(); ++size) {
    SCOPED_TRACE(size);
    model_error([&] { SafetensorsFile::parse(bytes_of(whole).first(size), "f"); });
  }
}

TEST(MalformedSafetensors, MoreTensorsThanAnyModelHasAreRefused) {
  std::string header = "{";
  for (int i = 0; i <= 250'000; ++i) {
    header += (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  const std::string bytes = safetensors_bytes(header + "}");
  EXPECT_THAT(model_error([&] { SafetensorsFile::parse(bytes_of(bytes), "f"); }),
              testing::HasSubstr("too many tensors"));
}

}  // namespace
}  // namespace moelora::io
