#include "io/json_file.h"

#include "io/test_files.h"

namespace moelora::io {
namespace {

using testing::HasSubstr;

std::string refusal(std::string_view text) {
  return model_error([&] { parse_json_object(text, "dir/config.json"); });
}

TEST(JsonFile, HostileTextIsRefusedWithFileAndReason) {
  EXPECT_THAT(refusal(""), HasSubstr("dir/config.json: not valid JSON"));
  EXPECT_THAT(refusal("{\"a\":\n1,}"), HasSubstr("line 2"));
  EXPECT_THAT(refusal("[1]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal("{\"a\":{\"k\":1,\"k\":2}}"), HasSubstr("duplicate key `k`"));
  EXPECT_THAT(refusal(std::string("{}\0garbage", 10)), HasSubstr("NUL"));
  EXPECT_THAT(refusal("{\"a\":\"\xff\"}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{\"a\":" + std::string(100'000, '[')), HasSubstr("nested too deeply"));
  std::string braces;
  for (int i = 0; i < 100'000; ++i) braces += "{\"a\":";
  EXPECT_THAT(refusal(braces), HasSubstr("nested too deeply"));
}

TEST(JsonFile, TheSameKeyInDifferentObjectsIsFine) {
  EXPECT_EQ(parse_json_object(R"({"a":{"k":1},"b":{"k":2},"c":[{"k":3},{"k":4}]})", "f").size(), 3);
}

TEST(JsonFile, AFileAboveTheBoundIsRefused) {
  const TestDirectory directory;
  const auto path = write_text(directory / "c.json", "{\"a\": \"" + std::string(100, 'x') + "\"}");
  EXPECT_EQ(read_json_object(path).size(), 1);
  EXPECT_THAT(model_error([&] { read_json_object(path, 50); }), HasSubstr("too long"));
}

TEST(JsonFile, TextIsIndentedSortedAndValidUtf8) {
  EXPECT_EQ(json_text({{"b", 1}, {"a", nlohmann::json::object()}}, "f"), "{\n  \"a\": {},\n  \"b\": 1\n}\n");
  EXPECT_THAT(model_error([] { json_text({{"a", "\xff"}}, "f"); }), HasSubstr("UTF-8"));
}

}  // namespace
}  // namespace moelora::io
