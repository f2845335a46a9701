#include "core/hash.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/temporary_directory.h"

namespace moelora {
namespace {

TEST(Hash, EqualsThePublishedValuesOfXxh3) {
  EXPECT_EQ(hash_hex(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hash_hex("a"), "a96faf705af16834e6c632b61e964e1f");
}

TEST(Hash, InPartsAndOfAFileEqualsThatOfTheWhole) {
  test::TemporaryDirectory place;
  std::string text;
  for (int i = 0; i < 400000; ++i) text += std::to_string(i);
  const std::string whole = hash_hex(text);
  for (const size_t part : {1000u, 4096u, 1000003u}) {
    Hasher hasher;
    for (size_t start = 0; start < text.size(); start += part)
      hasher.update(std::string_view(text).substr(start, part));
    EXPECT_EQ(hasher.hex(), whole);
  }
  test::write_file(place.path() / "x", text);
  EXPECT_EQ(hash_file_hex(place.path() / "x"), whole);
}

TEST(Hash, OfAMissingFileNamesIt) {
  try {
    hash_file_hex("no/such/file");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_EQ(error.details().where, "no/such/file");
  }
  EXPECT_THROW(hash_file_hex("."), Error);
}

}  // namespace
}  // namespace moelora
