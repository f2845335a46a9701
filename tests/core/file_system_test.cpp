#include "core/file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/temporary_directory.h"

namespace moelora {
namespace {

TEST(StatusOf, TellsNothingThereFromWhatCantBeLookedAt) {
  const test::TemporaryDirectory place;
  test::write_file(place.path() / "file", "x");
  std::filesystem::create_symlink("loop", place.path() / "loop");
  EXPECT_TRUE(std::filesystem::is_regular_file(status_of(place.path() / "file")));
  EXPECT_TRUE(std::filesystem::is_directory(status_of(place.path())));
  EXPECT_FALSE(std::filesystem::exists(status_of(place.path() / "none")));
  EXPECT_FALSE(std::filesystem::exists(status_of(place.path() / "file/below")));
  try {
    status_of(place.path() / "loop");
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("loop"), testing::HasSubstr("can't look at")));
  }
}

TEST(WithoutSlash, LeavesTheNameOfADirectoryAtTheEnd) {
  EXPECT_EQ(without_slash("a/b/"), "a/b");
  EXPECT_EQ(without_slash("a/./b"), "a/b");
  EXPECT_EQ(without_slash("a/b/c/../"), "a/b");
}

}  // namespace
}  // namespace moelora
