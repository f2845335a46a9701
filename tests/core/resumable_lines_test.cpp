// Lines are never lost, repeated or mixed with others', and the target is whole or absent.
#include "core/resumable_lines.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "core/error.h"
#include "core/temporary_directory.h"
#include "support/error_kind.h"

namespace moelora {
namespace {

using test::read_file;
using test::TemporaryDirectory;
using testing::kind_of;

class Lines : public ::testing::Test {
 protected:
  TemporaryDirectory dir_;
  std::filesystem::path target_ = dir_.path() / "out.jsonl";
};

TEST_F(Lines, TheTargetAppearsWholeAndForItsOwnerAlone) {
  {
    ResumableLines lines(target_, "a1");
    lines.append("one");
    EXPECT_FALSE(std::filesystem::exists(target_));
    lines.append("two");
    lines.finish();
  }
  EXPECT_EQ(read_file(target_), "one\ntwo\n");
  struct stat status = {};
  ASSERT_EQ(::stat(target_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_.path()), {}), 1);
}

TEST_F(Lines, WhatWasWrittenIsKeptAndATornLineIsNot) {
  ResumableLines(target_, "a1").append("one");
  std::ofstream(target_.string() + ".a1.part", std::ios::app) << "tor";
  ResumableLines lines(target_, "a1");
  EXPECT_EQ(lines.lines(), 1);
  lines.append("two");
  lines.finish();
  EXPECT_EQ(read_file(target_), "one\ntwo\n");
}

TEST_F(Lines, NothingOfAnotherIdentityIsContinuedAndNothingOverwritten) {
  ResumableLines(target_, "a1").append("one");
  EXPECT_EQ(kind_of([&] { ResumableLines(target_, "b2"); }), ErrorKind::kIo);
  ResumableLines(dir_.path() / "out", "b2").append("another target, whose name this one's begins with");
  ResumableLines(target_, "a1").finish();
  EXPECT_EQ(kind_of([&] { ResumableLines(target_, "a1"); }), ErrorKind::kIo);
  EXPECT_EQ(read_file(target_), "one\n");
}

TEST_F(Lines, OneProcessWritesAtATime) {
  ResumableLines lines(target_, "a1");
  EXPECT_EQ(kind_of([&] { ResumableLines(target_, "a1"); }), ErrorKind::kIo);
}

TEST_F(Lines, AMissingDirectoryIsAnError) {
  EXPECT_EQ(kind_of([&] { ResumableLines(dir_.path() / "absent/out.jsonl", "a1"); }), ErrorKind::kIo);
}

}  // namespace
}  // namespace moelora
