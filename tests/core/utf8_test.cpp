#include "core/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace moelora {
namespace {

std::string encode(uint32_t c) {
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
  if (c < 0x10000) {
    return {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
            static_cast<char>(0x80 | (c & 63))};
  }
  return {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
          static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
}

TEST(Utf8, EveryScalarValueIsValidAndEverySurrogateIsNot) {
  for (uint32_t c = 0; c < 0x110000; ++c) {
    const bool is_surrogate = c >= 0xD800 && c < 0xE000;
    ASSERT_EQ(first_invalid_utf8(encode(c)).has_value(), is_surrogate) << c;
  }
  EXPECT_TRUE(first_invalid_utf8(encode(0x110000)));
}

TEST(Utf8, EveryShortByteStringIsJudgedByDecodingIt) {
  // Oracle: a string is valid where it is a concatenation of encodings; all of one and two bytes, by hand.
  for (int a = 0; a < 256; ++a) {
    EXPECT_EQ(!first_invalid_utf8(std::string(1, static_cast<char>(a))), a < 0x80);
    for (int b = 0; b < 256; ++b) {
      const std::string text = {static_cast<char>(a), static_cast<char>(b)};
      const bool pair = a >= 0xC2 && a < 0xE0 && b >= 0x80 && b < 0xC0;
      EXPECT_EQ(!first_invalid_utf8(text), (a < 0x80 && b < 0x80) || pair) << a << ' ' << b;
    }
  }
}

TEST(Utf8, NamesTheOffsetOfTheIllFormedSequence) {
  EXPECT_EQ(first_invalid_utf8(""), std::nullopt);
  EXPECT_EQ(first_invalid_utf8("糖尿病, naïve, 😀, plain ASCII text"), std::nullopt);
  EXPECT_EQ(first_invalid_utf8("糖\xff"), 3u);
  EXPECT_EQ(first_invalid_utf8("糖\xe5\xb0"), 3u);          // cut at the end
  EXPECT_EQ(first_invalid_utf8("\xc0\xaf"), 0u);            // overlong
  EXPECT_EQ(first_invalid_utf8("a\xe0\x80\xaf"), 1u);       // overlong
  EXPECT_EQ(first_invalid_utf8("ab\xf0\x80\x80\xaf"), 2u);  // overlong
  EXPECT_EQ(first_invalid_utf8("\xf4\x90\x80\x80"), 0u);    // above U+10FFFF
  EXPECT_EQ(first_invalid_utf8(std::string(1000, 'a') + "\x80" + std::string(50, 'b')), 1000u);
}

}  // namespace
}  // namespace moelora
