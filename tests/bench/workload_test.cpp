#include "bench/workload.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "bench/shapes.h"
#include "core/error.h"
#include "core/temporary_directory.h"

namespace moelora::bench {
namespace {

std::filesystem::path write(const test::TemporaryDirectory& dir, const std::string& text) {
  std::ofstream(dir.path() / "w.jsonl") << text;
  return dir.path() / "w.jsonl";
}

TEST(Workload, HasTheLengthsAndTasksOfItsFile) {
  const test::TemporaryDirectory dir;
  const Workload workload = read_workload(
      write(dir, "{\"task\": \"b\", \"prompt\": 5, \"answer\": 2}\n{\"task\": \"a\", \"prompt\": 7, \"answer\": 1}\n"),
      100, 1);
  EXPECT_THAT(workload.tasks, testing::ElementsAre("a", "b"));
  ASSERT_EQ(workload.rows->size(), 2);
  EXPECT_EQ(workload.rows->prompt(0).size(), 5u);
  EXPECT_EQ(workload.rows->answer(0).size(), 2u);
  EXPECT_EQ(workload.rows->task(0), 1);
  EXPECT_EQ(workload.rows->task(1), 0);
  for (const int32_t id : workload.rows->ids(1)) EXPECT_THAT(id, testing::AllOf(testing::Ge(0), testing::Lt(100)));
}

TEST(Workload, IsTheSameForTheSameSeedOnly) {
  const auto ids = [](uint64_t seed) {
    const Workload workload = even_workload(4, 64, 5000, seed);
    return std::vector<int32_t>(workload.rows->ids(2).begin(), workload.rows->ids(2).end());
  };
  EXPECT_EQ(ids(1), ids(1));
  EXPECT_NE(ids(1), ids(2));
}

TEST(Workload, OfOneTaskHasTheSameSamples) {
  const Workload many = even_workload(16, 32, 100, 3), one = as_one_task(many);
  EXPECT_EQ(one.tasks.size(), 1u);
  ASSERT_EQ(one.rows->size(), many.rows->size());
  for (int64_t i = 0; i < 16; ++i) {
    EXPECT_TRUE(std::ranges::equal(one.rows->ids(i), many.rows->ids(i)));
    EXPECT_EQ(one.rows->task(i), 0);
  }
}

TEST(Workload, NamesTheLineThatIsNoSample) {
  const test::TemporaryDirectory dir;
  const auto message = [&](const std::string& text) -> std::string {
    try {
      read_workload(write(dir, text), 100, 1);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(
      message("{\"task\": \"a\", \"prompt\": 5, \"answer\": 2}\n{\"task\": \"a\", \"prompt\": 0, \"answer\": 2}\n"),
      testing::HasSubstr("w.jsonl:2"));
  EXPECT_THAT(message("nonsense\n"), testing::HasSubstr("w.jsonl:1"));
  EXPECT_THAT(message(""), testing::HasSubstr("without samples"));
  EXPECT_THROW(read_workload(dir.path() / "absent.jsonl", 100, 1), Error);
}

TEST(Shape, IsThatOfThePublishedModel) {
  const nn::ModelConfig shape = bench::shape("qwen2.5-0.5b");
  EXPECT_EQ(shape.head_dim, 64);
  EXPECT_TRUE(shape.qkv_bias);
  EXPECT_TRUE(shape.tied_head);
  EXPECT_EQ(shape.vocab_size, 151936);
}

TEST(Shape, SuggestsTheNearestName) {
  try {
    bench::shape("qwen2.5-0.5");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(std::string(error.what()), testing::HasSubstr("qwen2.5-0.5b"));
  }
}

}  // namespace
}  // namespace moelora::bench
