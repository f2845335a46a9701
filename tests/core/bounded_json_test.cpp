#include "core/bounded_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moelora {
namespace {

using testing::HasSubstr;

/// An object with `levels` objects and arrays around its innermost.
std::string nested(int levels) {
  return "{\"a\":" + std::string(levels - 1, '[') + std::string(levels - 1, ']') + "}";
}

/// Of what is thrown: the kind, and the message.
std::pair<ErrorKind, std::string> refusal(std::string_view text, ErrorKind kind) {
  try {
    parse_bounded_json(text, "dir/info.json", kind);
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {ErrorKind::kInternal, "nothing was thrown"};
}

TEST(BoundedJson, ReadsSixtyFourLevelsAndRefusesOneMore) {
  EXPECT_EQ(parse_bounded_json(nested(64), "f", ErrorKind::kModel).size(), 1u);
  EXPECT_THAT(refusal(nested(65), ErrorKind::kModel).second, HasSubstr("dir/info.json: JSON is nested too deeply"));
  std::string objects;
  for (int i = 0; i < 65; ++i) objects += "{\"a\":";
  EXPECT_THAT(refusal(objects, ErrorKind::kModel).second, HasSubstr("nested too deeply"));
  std::string beside = "{\"a\":[";
  for (int i = 0; i < 100; ++i) beside += "[],{},";
  EXPECT_EQ(parse_bounded_json(beside + "0]}", "f", ErrorKind::kModel).at("a").size(), 201u);
}

TEST(BoundedJson, RefusesWithTheKindItIsGiven) {
  for (const ErrorKind kind : {ErrorKind::kModel, ErrorKind::kData}) {
    for (const std::string& text : {std::string("{"), std::string("[1]"), std::string("{\"a\": 1, \"a\": 2}"),
                                    std::string("{}\0{}", 5), nested(1000)}) {
      EXPECT_EQ(refusal(text, kind).first, kind) << text.substr(0, 40);
    }
  }
}

TEST(BoundedJson, TakesTheLastOfDuplicatesWhereAsked) {
  const nlohmann::json value = parse_bounded_json(R"({"a": 1, "b": {"c": 2, "c": 3}, "a": 4})", "f", ErrorKind::kModel,
                                                  DuplicateKeys::kLastCounts);
  EXPECT_EQ(value.dump(), R"({"a":4,"b":{"c":3}})");
}

TEST(BoundedJson, KeepsTheOrderOfKeysWhereAsked) {
  const std::string text = R"({"b":1,"a":{"d":2,"c":[true,null,-3,0.5,"x"]}})";
  EXPECT_EQ(parse_bounded_json<nlohmann::ordered_json>(text, "f", ErrorKind::kModel).dump(), text);
}

}  // namespace
}  // namespace moelora
