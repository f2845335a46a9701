#include "core/durable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/temporary_directory.h"

namespace moelora {
namespace {

using test::read_file;
using test::TemporaryDirectory;
using test::write_file;
using testing::HasSubstr;

ErrorDetails error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.details();
  }
  return {.problem = "no error"};
}

std::vector<std::string> names_in(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  FileSystem::posix().list(directory, &names);
  return names;
}

TEST(DirectoryWriter, CommitsFilesAndFieldsThatVerify) {
  TemporaryDirectory place;
  const auto target = place.path() / "deep/er/checkpoint-1";
  {
    DirectoryWriter writer(target);
    writer.add_file("weights.bin", std::string(100000, 'w'));
    writer.add_file("tasks/a.json", std::string_view("{}"));
    writer.add_file("empty", std::string_view());
    DurableFile parts = writer.open_file("parts");
    parts.write("one ");
    parts.write("two");
    parts.finish();
    writer.commit({{"step", 7}});
  }
  const Manifest manifest = verify_directory(target);
  EXPECT_EQ(manifest.fields.at("step"), 7);
  ASSERT_EQ(manifest.files.size(), 4u);
  EXPECT_EQ(manifest.files[3].name, "parts");
  EXPECT_EQ(manifest.files[3].size, 7);
  EXPECT_EQ(manifest.files[3].xxh3_128, hash_hex("one two"));
  EXPECT_EQ(read_file(target / "parts"), "one two");
  EXPECT_EQ(names_in(target.parent_path()), std::vector<std::string>{"checkpoint-1"});
}

TEST(DirectoryWriter, LeavesNothingWithoutCommit) {
  TemporaryDirectory place;
  {
    DirectoryWriter writer(place.path() / "x");
    writer.add_file("a/b/c", std::string_view("bytes"));
    DurableFile open = writer.open_file("d");
    open.write("more");
  }
  EXPECT_TRUE(names_in(place.path()).empty());
}

TEST(DirectoryWriter, NeverOverwrites) {
  TemporaryDirectory place;
  const auto target = place.path() / "x";
  DirectoryWriter late(target);
  late.add_file("a", std::string_view("late"));
  {
    DirectoryWriter writer(target);
    writer.add_file("a", std::string_view("first"));
    writer.commit();
  }
  EXPECT_THAT(error_of([&] { DirectoryWriter writer(target); }).problem, HasSubstr("already exists"));
  const ErrorDetails details = error_of([&] { late.commit(); });
  EXPECT_EQ(details.where, target.string());
  EXPECT_THAT(details.problem, HasSubstr("already exists"));
  verify_directory(target);
  EXPECT_EQ(read_file(target / "a"), "first");
  EXPECT_EQ(names_in(place.path()), std::vector<std::string>{"x"});
}

TEST(DirectoryWriter, RefusesAnEmptyDirectoryAndAFileInItsPlace) {
  TemporaryDirectory place;
  std::filesystem::create_directory(place.path() / "empty");
  write_file(place.path() / "file", "x");
  EXPECT_THAT(error_of([&] { DirectoryWriter writer(place.path() / "empty"); }).problem, HasSubstr("already exists"));
  EXPECT_THAT(error_of([&] { DirectoryWriter writer(place.path() / "file/"); }).problem, HasSubstr("already exists"));
}

TEST(DirectoryWriter, RefusesNamesThatLeaveTheDirectory) {
  TemporaryDirectory place;
  DirectoryWriter writer(place.path() / "x");
  for (const char* name :
       {"", "/etc/x", "../x", "a/../../x", "a//b", "a/", ".", "manifest.json", "a\\b", "a\nb", "\xff"}) {
    EXPECT_THROW(writer.open_file(name), std::logic_error) << name;
  }
  writer.add_file("same", std::string_view("1"));
  EXPECT_THROW(writer.add_file("same", std::string_view("2")), std::logic_error);
}

TEST(DirectoryWriter, RefusesToCommitAnUnfinishedFile) {
  TemporaryDirectory place;
  DirectoryWriter writer(place.path() / "x");
  DurableFile file = writer.open_file("a");
  EXPECT_THROW(writer.commit(), std::logic_error);
}

TEST(DirectoryWriter, NamesAnUnwritableParent) {
  if (::geteuid() == 0) {
    // Root may write anywhere but in what is no real directory.
    const ErrorDetails details = error_of([] { DirectoryWriter writer("/proc/moelora/x"); });
    EXPECT_EQ(details.where, "/proc/moelora");
    return;
  }
  TemporaryDirectory place;
  std::filesystem::permissions(place.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  const ErrorDetails details = error_of([&] { DirectoryWriter writer(place.path() / "x"); });
  EXPECT_EQ(details.where, (place.path() / "x").string());
  EXPECT_THAT(details.hint, HasSubstr("permissions"));
  std::filesystem::permissions(place.path(), std::filesystem::perms::owner_all);
}

TEST(RemoveDirectory, RemovesAllOfItAndFollowsNoLink) {
  TemporaryDirectory place;
  std::filesystem::create_directories(place.path() / "x/a/b");
  write_file(place.path() / "kept", "kept");
  std::filesystem::create_symlink(place.path() / "kept", place.path() / "x/link");
  std::filesystem::create_directory(place.path() / "kept_too");
  write_file(place.path() / "kept_too/file", "kept");
  std::filesystem::create_directory_symlink(place.path() / "kept_too", place.path() / "x/a/link");
  remove_directory(place.path() / "x/");
  EXPECT_EQ(names_in(place.path()), (std::vector<std::string>{"kept", "kept_too"}));
  EXPECT_EQ(read_file(place.path() / "kept_too/file"), "kept");
}

TEST(PartialNames, AreSkippedAndSweptButOnlyThey) {
  TemporaryDirectory place;
  std::filesystem::create_directory(place.path() / ".x.partial-12-0");
  write_file(place.path() / ".x.partial-12-0/file", "torn");
  write_file(place.path() / ".y.partial-12-1", "torn");
  std::filesystem::create_directory(place.path() / "checkpoint-1");
  write_file(place.path() / "x.partial-1", "a user's");
  remove_partial_directories(place.path());
  EXPECT_EQ(names_in(place.path()), (std::vector<std::string>{"checkpoint-1", "x.partial-1"}));
}

TEST(WriteFileAtomically, ReplacesAndSetsTheMode) {
  TemporaryDirectory place;
  const auto path = place.path() / "predictions.jsonl";
  write_file_atomically(path, "old", 0600);
  write_file_atomically(path, "new and longer", 0600);
  EXPECT_EQ(read_file(path), "new and longer");
  struct stat status = {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(names_in(place.path()).size(), 1u);
}

}  // namespace
}  // namespace moelora
