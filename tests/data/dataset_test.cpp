#include "data/dataset.h"

#include <gmock/gmock.h>

#include "data/made_files.h"
#include "data/overlap.h"

namespace moelora::data {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Datasets : public MadeFiles {
 protected:
  Dataset load(const std::string& path, const DatasetRequest& request = {}) {
    return load_dataset(config(path), tasks_, request);
  }

  config::DataConfig config(const std::string& path) {
    config::DataConfig config = config_;
    if (config.sources.empty()) config.sources = {{.path = (root_ / path).string()}};
    return config;
  }

  std::string failure(const std::string& path, const DatasetRequest& request = {}) {
    return thrown([&] { load(path, request); });
  }

  config::DataConfig config_;
  std::map<std::string, config::TaskConfig> tasks_;
};

TEST_F(Datasets, ADirectoryOfTasksNeedsNoConfiguration) {
  write("d/b/train.jsonl", qa("1", "x") + qa("2", "y"));
  write("d/b/test.jsonl", qa("3", "z"));
  write("d/a/train.jsonl", qa("4", "x"));
  write("d/a/dev.jsonl", qa("5", "x"));
  write("d/a/test.json", "[" + qa("6", "x") + "]");
  write("d/README.md", "about");
  write("d/pictures/x.png", "");
  const Dataset dataset = load("d");
  EXPECT_THAT(dataset.task_names(), ElementsAre("a", "b"));
  EXPECT_EQ(dataset.tasks[1].of(Split::kTrain).size(), 2u);
  EXPECT_EQ(dataset.tasks[1].of(Split::kDev).size(), 0u);
  EXPECT_EQ(dataset.tasks[0].of(Split::kTest)[0].messages[0].content, "6");
  EXPECT_EQ(dataset.rows(Split::kTest), 2);
  EXPECT_EQ(dataset.task_index("b"), 1);
  EXPECT_THAT(dataset.warnings, ElementsAre(AllOf(HasSubstr("task b"), HasSubstr("no dev rows"))));
  EXPECT_EQ(dataset.files.size(), 5u);
}

TEST_F(Datasets, TheSourceNamesTheTaskBeforeTheRowAndTheRowBeforeTheDirectory) {
  write("d/train.jsonl", qa("1", "x", R"("task": "own")") + qa("2", "y"));
  const Dataset own = load("d");
  EXPECT_THAT(own.task_names(), ElementsAre("d", "own"));
  EXPECT_THAT(own.warnings, Contains(AllOf(HasSubstr("train.jsonl:1"), HasSubstr("`own`"),
                                           HasSubstr("not `d`, its folder or file"))));
  config_.sources = {{.path = (root_ / "d").string(), .task = "given"}};
  EXPECT_THAT(load("").task_names(), ElementsAre("given"));
}

TEST_F(Datasets, TasksAndSplitsComeTogetherFromSeveralSources) {
  const std::string train = write("one/rows-a.jsonl", qa("1", "x", R"("task": "t")"));
  const std::string test = write("two/rows-b.jsonl", qa("2", "x", R"("task": "t")"));
  config_.sources = {{.path = train, .split = "train"}, {.path = test, .split = "test"}};
  const Dataset dataset = load("");
  EXPECT_THAT(dataset.task_names(), ElementsAre("t"));
  EXPECT_EQ(dataset.tasks[0].of(Split::kTrain).size(), 1u);
  EXPECT_EQ(dataset.tasks[0].of(Split::kTest).size(), 1u);
}

TEST_F(Datasets, OnlyRequestedSplitsAreOpened) {
  write("d/t/train.jsonl", "{broken");
  write("d/t/test.jsonl", qa("1", "x"));
  const Dataset dataset = load("d", {.splits = {Split::kTest}, .required = {Split::kTest}});
  EXPECT_EQ(dataset.rows(Split::kTest), 1);
}

TEST_F(Datasets, TheHashFollowsContentsAndNotThePlace) {
  write("d/t/train.jsonl", qa("1", "x"));
  write("e/t/train.jsonl", qa("1", "x"));
  write("f/t/train.jsonl", qa("1", "y"));
  write("g/u/train.jsonl", qa("1", "x"));
  EXPECT_EQ(load("d").hash, load("e").hash);
  EXPECT_NE(load("d").hash, load("f").hash);
  EXPECT_NE(load("d").hash, load("g").hash) << "the directory gives the rows their task";
}

TEST_F(Datasets, TheHashFollowsTheOrderOfATasksSources) {
  const std::string one = write("one.jsonl", qa("1", "x", R"("task": "t")")),
                    two = write("two.jsonl", qa("2", "x", R"("task": "t")"));
  config_.sources = {{.path = one, .split = "train"}, {.path = two, .split = "train"}};
  const Dataset forward = load("");
  std::swap(config_.sources[0], config_.sources[1]);
  const Dataset backward = load("");
  EXPECT_NE(forward.hash, backward.hash) << "the rows come in another order, so the run is another";
}

TEST_F(Datasets, SettingsOfATaskWithoutRowsMayBeAllowed) {
  write("d/alpha/train.jsonl", qa("1", "x"));
  tasks_["beta"];
  EXPECT_THAT(load("d", {.allow_unused_settings = true}).task_names(), ElementsAre("alpha"));
}

TEST_F(Datasets, LicencesOfRowsAndOfTheDirectoryAreRecorded) {
  write("d/LICENSE", "\n# Public domain\nmore\n");
  write("d/t/train.jsonl", qa("1", "x"));
  write("d/u/train.jsonl", qa("2", "x", R"("license": "CC-BY-NC")"));
  const Dataset dataset = load("d");
  EXPECT_EQ(dataset.files[0].licence, "Public domain");
  EXPECT_EQ(dataset.files[1].licence, "CC-BY-NC");
}

TEST_F(Datasets, MaxRowsKeepsEvenlySpacedTrainingRows) {
  std::string rows;
  for (int i = 0; i < 10; ++i) rows += qa(std::to_string(i), "x");
  write("d/t/train.jsonl", rows);
  write("d/t/test.jsonl", rows);
  tasks_["t"].max_rows = 4;
  const Dataset dataset = load("d");
  std::vector<std::string> kept;
  for (const Row& row : dataset.tasks[0].of(Split::kTrain)) kept.push_back(row.messages[0].content);
  EXPECT_THAT(kept, ElementsAre("0", "2", "5", "7"));
  EXPECT_EQ(dataset.rows(Split::kTest), 10);
}

TEST_F(Datasets, SkippedRowsShareOneCapOverAllFiles) {
  write("d/t/train.jsonl", qa("1", "x") + "{bad\n{bad\n");
  write("d/u/train.jsonl", qa("1", "x") + "{bad\n");
  config_.skip_bad = true;
  config_.max_bad = 3;
  const Dataset dataset = load("d");
  EXPECT_EQ(dataset.files[0].bad_rows, 2);
  EXPECT_THAT(dataset.warnings, Contains(HasSubstr("skipped 2 malformed rows")));
  config_.max_bad = 2;
  EXPECT_THAT(failure("d"), AllOf(HasSubstr("u/train.jsonl:2"), HasSubstr("data.max_bad")));
  config_.skip_bad = false;
  EXPECT_THAT(failure("d"), AllOf(HasSubstr("t/train.jsonl:2"), testing::Not(HasSubstr("data.max_bad"))));
}

TEST_F(Datasets, EveryProblemIsReportedAtOnce) {
  write("d/t/train.jsonl", "{bad\n");
  write("d/u/train.jsonl", qa("1", "x") + qa("2", ""));
  write("d/v/trian.jsonl", qa("1", "x"));
  EXPECT_THAT(failure("d"), AllOf(HasSubstr("t/train.jsonl:1"), HasSubstr("u/train.jsonl:2"),
                                  HasSubstr("did you mean `train.jsonl`?")));
}

TEST_F(Datasets, WrongSourcesAreNamedWithWhatWasExpected) {
  EXPECT_THAT(failure("absent"), AllOf(HasSubstr("absent"), HasSubstr("doesn't exist")));
  write("none/readme", "");
  EXPECT_THAT(failure("none"), AllOf(HasSubstr("no split files"), HasSubstr("train.jsonl, dev.jsonl, test.jsonl")));
  write("twice/train.jsonl", qa("1", "x"));
  write("twice/train.json", "[" + qa("1", "x") + "]");
  EXPECT_THAT(failure("twice"),
              AllOf(HasSubstr("several files for the split train"), HasSubstr("train.json and train.jsonl")));
  write("both/train.jsonl", qa("1", "x"));
  write("both/t/train.jsonl", qa("1", "x"));
  EXPECT_THAT(failure("both"), HasSubstr("both split files and task directories"));
  write("rows.jsonl", qa("1", "x"));
  EXPECT_THAT(failure("rows.jsonl"), AllOf(HasSubstr("which split"), HasSubstr("`split:`")));
  write("solo/train.jsonl", qa("1", "x"));
  EXPECT_THAT(failure("solo/train.jsonl"),
              AllOf(HasSubstr("train.jsonl:1"), HasSubstr("names no task"), HasSubstr("`task:`")));
  config_.sources = {{.path = (root_ / "solo").string(), .task = "x"},
                     {.path = (root_ / "solo/train.jsonl").string(), .task = "y"}};
  EXPECT_THAT(failure(""), HasSubstr("named by two data sources"));
}

TEST_F(Datasets, ASourceThatCantBeLookedAtIsNotSaidToBeMissing) {
  std::filesystem::create_symlink("loop", root_ / "loop");
  write("d/t/train.jsonl", "{bad\n");
  config_.sources = {{.path = (root_ / "loop").string()}, {.path = (root_ / "d").string()}};
  EXPECT_THAT(failure(""), AllOf(HasSubstr("loop: can't look at"), HasSubstr("t/train.jsonl:1")));
}

TEST_F(Datasets, ASourcesSplitLosesNoRowsSilently) {
  write("more/test.jsonl", qa("1", "x"));
  config_.sources = {{.path = (root_ / "more").string(), .task = "x", .split = "train"}};
  EXPECT_THAT(failure(""), AllOf(HasSubstr("more"), HasSubstr("no files of the source's split")));
  write("tasks/alpha/train.jsonl", qa("1", "x"));
  write("tasks/beta/train.jsonl", qa("2", "x"));
  write("tasks/sample.jsonl", qa("3", "x"));
  config_.sources = {{.path = (root_ / "tasks").string(), .split = "train"}};
  const Dataset dataset = load_dataset(config_, {}, {});
  EXPECT_THAT(dataset.task_names(), ElementsAre("alpha", "beta"));
  EXPECT_THAT(dataset.warnings, testing::Contains(HasSubstr("sample.jsonl")));
}

TEST_F(Datasets, MissingSplitsAndUnknownTasksAreErrors) {
  write("d/alpha/train.jsonl", qa("1", "x"));
  write("d/beta/test.jsonl", qa("1", "x"));
  tasks_["aplha"];
  EXPECT_THAT(failure("d"), AllOf(HasSubstr("tasks.aplha"), HasSubstr("did you mean `alpha`?"), HasSubstr("task beta"),
                                  HasSubstr("no train rows"), HasSubstr("1 test rows")));
  EXPECT_THAT(failure("d", {.splits = {Split::kDev}, .required = {}}), HasSubstr("no dev rows"));
}

TEST_F(Datasets, TaskNamesCannotLeadOutOfADirectory) {
  for (const char* name : {"mean", "../x", "a/b", ".hidden", "-rf", "a b", "a:b", "a\\\\b"}) {
    write("d/train.jsonl", qa("1", "x", std::string(R"("task": ")") + name + "\""));
    EXPECT_THAT(failure("d"), AllOf(HasSubstr("train.jsonl:1"), HasSubstr("task's name"))) << name;
  }
}

TEST_F(Datasets, AnUnknownTaskIsNeverADefault) {
  write("d/alpha/train.jsonl", qa("1", "x"));
  const Dataset dataset = load("d");
  EXPECT_THAT(thrown([&] { dataset.task_index("alpah"); }),
              AllOf(HasSubstr("unknown task `alpah`"), HasSubstr("did you mean `alpha`?")));
}

class OverlapTest : public Datasets {};

TEST_F(OverlapTest, RowsSharedByTrainAndTestOfAnyTwoTasksAreFound) {
  write("d/a/train.jsonl", qa("shared", "x") + qa("own", "x") + qa("twice", "x"));
  write("d/a/test.jsonl", qa("twice", "another answer") + qa("twice", "x") + qa("new", "x"));
  write("d/b/train.jsonl", qa("only train", "x"));
  write("d/b/test.jsonl", qa("only test", "x") + qa("shared", "y"));
  const std::vector<Overlap> overlaps = find_overlap(load("d"));
  ASSERT_EQ(overlaps.size(), 2u);
  EXPECT_EQ(overlaps[0].train_task + overlaps[0].test_task, "aa");
  EXPECT_EQ(overlaps[0].count, 1);
  EXPECT_EQ(overlaps[1].train_task + overlaps[1].test_task, "ab");
  EXPECT_EQ(overlaps[1].count, 1);
  EXPECT_THAT(overlaps[1].test_where, HasSubstr("b/test.jsonl:2"));
  EXPECT_THAT(overlaps[1].train_where, HasSubstr("a/train.jsonl:1"));
}

TEST_F(OverlapTest, GroupsSharedAcrossTasksAreFound) {
  write("d/a/train.jsonl", qa("1", "x", R"("patient": 7)") + qa("2", "x", R"("patient": 8)"));
  write("d/b/train.jsonl", qa("3", "x", R"("patient": 9)"));
  write("d/b/test.jsonl", qa("4", "x", R"("patient": "8")"));
  config_.group = "patient";
  const std::vector<Overlap> overlaps = find_overlap(load("d"));
  ASSERT_EQ(overlaps.size(), 1u);
  EXPECT_EQ(overlaps[0].kind, OverlapKind::kGroup);
  EXPECT_EQ(overlaps[0].train_task + overlaps[0].test_task, "ab");
}

TEST_F(OverlapTest, IsAnErrorUnlessAllowed) {
  write("d/a/train.jsonl", qa("SECRET", "x"));
  write("d/a/test.jsonl", qa("SECRET", "x"));
  EXPECT_THAT(thrown([&] { check_overlap(load("d")); }),
              AllOf(HasSubstr("1 row of the test set of `a`"), HasSubstr("data.allow_overlap"),
                    testing::Not(HasSubstr("SECRET"))));
  config_.allow_overlap = true;
  EXPECT_EQ(check_overlap(load("d")).size(), 1u);
}

TEST_F(OverlapTest, DisjointSetsHaveNone) {
  write("d/a/train.jsonl", qa("1", "x"));
  write("d/a/test.jsonl", qa("2", "x"));
  EXPECT_THAT(check_overlap(load("d")), IsEmpty());
}

}  // namespace
}  // namespace moelora::data
