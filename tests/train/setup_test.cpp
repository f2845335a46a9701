// What a resumed run must agree with, and what it may not care about.
#include "train/setup.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "made_run.h"
#include "train/dev_evaluation.h"

namespace moelora::train {
namespace {

using moelora::testing::MadeRun;

TEST(Identity, NamesWhatDiffers) {
  const Identity own{.base = "1",
                     .shape = "6",
                     .tokenizer = "2",
                     .special_tokens = "7",
                     .chat_template = "3",
                     .data = "4",
                     .config = "5"};
  own.require_same(own.to_json(), "checkpoint-1");
  for (const char* part : {"base", "shape", "tokenizer", "special tokens", "template", "data", "config"}) {
    nlohmann::json stored = own.to_json();
    stored[part] = "other";
    try {
      own.require_same(stored, "checkpoint-1");
      ADD_FAILURE() << part << " wasn't compared";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kConfig);
      EXPECT_THAT(error.what(),
                  ::testing::AllOf(::testing::HasSubstr("checkpoint-1"),
                                   ::testing::HasSubstr(std::string("its ") + part), ::testing::HasSubstr("other")));
    }
    stored.erase(part);
    EXPECT_THROW(own.require_same(stored, "checkpoint-1"), Error) << part;
  }
}

Identity identity_of(const config::RunConfig& config) {
  return prepare_data(config).identity;
}

TEST(Identity, IsThatOfWhatIsComputedNotOfWhereItLies) {
  MadeRun made, elsewhere;
  const nlohmann::json own = identity_of(made.config).to_json();
  elsewhere.config.train.log_every = 3;
  elsewhere.config.checkpoint.keep = 5;
  elsewhere.config.train.conflict_every = 5;
  EXPECT_EQ(identity_of(elsewhere.config).to_json(), own);
  elsewhere.config.train.seed = 7;
  EXPECT_NE(identity_of(elsewhere.config).to_json()["config"], own["config"]);
  test::write_file(made.directory.path() / "data/echo/train.jsonl", "{\"input\": \"a\", \"target\": \"b\"}\n");
  EXPECT_NE(identity_of(made.config).to_json()["data"], own["data"]);
}

/// Every message of what prepare_data throws; empty where it throws nothing.
std::string problems_of(const config::RunConfig& config) {
  try {
    prepare_data(config);
  } catch (const ErrorList& list) {
    std::string text;
    for (const Error& error : list.errors()) text += std::string(error.what()) + "\n";
    return text;
  }
  return "";
}

TEST(PrepareData, NamesEveryMistakeBetweenConfigurationDataAndModelAtOnce) {
  MadeRun made;
  made.config.tasks["colour"].metric = "macro_f2";
  made.config.tasks["echo"].metric = "rouge_x";
  made.config.adapter.targets = {"q_prj"};
  made.config.eval.best = "color";
  EXPECT_THAT(problems_of(made.config),
              ::testing::AllOf(::testing::HasSubstr("tasks.colour.metric: unknown metric `macro_f2`"),
                               ::testing::HasSubstr("tasks.echo.metric: unknown metric `rouge_x`"),
                               ::testing::HasSubstr("q_prj"), ::testing::HasSubstr("did you mean `colour`?")));
}

TEST(PrepareData, RefusesRowsBeyondTheModelsContextByFileAndLine) {
  MadeRun made;
  made.config.data.max_length = 400;
  test::write_file(
      made.directory.path() / "data/echo/train.jsonl",
      "{\"input\": \"a\", \"target\": \"b\"}\n{\"input\": \"" + std::string(200, '~') + "\", \"target\": \"b\"}\n");
  EXPECT_THAT(
      problems_of(made.config),
      ::testing::AllOf(::testing::HasSubstr("echo/train.jsonl:2: the row is longer than the model's context"),
                       ::testing::HasSubstr("at most 129"), ::testing::Not(::testing::HasSubstr("train.jsonl:1"))));
}

TEST(PrepareData, RefusesTokensThatTheModelDoesNotHaveByFileAndLine) {
  MadeRun made;
  const std::filesystem::path model = made.copy_model();
  nlohmann::json config = nlohmann::json::parse(test::read_file(model / "config.json"));
  config["vocab_size"] = 40;
  test::write_file(model / "config.json", config.dump());
  EXPECT_THAT(problems_of(made.config),
              ::testing::AllOf(::testing::HasSubstr("colour/train.jsonl:1: the row has a token that the model doesn't"),
                               ::testing::HasSubstr("less than 40")));
}

TEST(PrepareData, RefusesWhatCanNotBeScoredWhereDevAnswersAreGenerated) {
  MadeRun made;  // its rows have no task_type
  EXPECT_EQ(problems_of(made.config), "");
  made.config.eval.generate = true;
  EXPECT_THAT(problems_of(made.config),
              ::testing::AllOf(::testing::HasSubstr("tasks.colour.metric: no metric is known"),
                               ::testing::HasSubstr("tasks.echo.metric: no metric is known")));
  made.config.tasks["colour"].metric = "exact_match";
  made.config.tasks["echo"].metric = "micro_f1_events";
  EXPECT_THAT(problems_of(made.config), ::testing::HasSubstr("echo/dev.jsonl:1"));
}

TEST(PrepareData, RefusesAMethodOfDevRowsWithoutThem) {
  MadeRun made;
  std::filesystem::remove(made.directory.path() / "data/echo/dev.jsonl");
  for (const auto method : {config::Method::kLoraHub, config::Method::kTaskArithmetic}) {
    made.config.adapter.method = method;
    EXPECT_THAT(problems_of(made.config), ::testing::AllOf(::testing::HasSubstr("no dev rows that fit of echo"),
                                                           ::testing::HasSubstr("lora_per_task")));
  }
  made.config.tasks["colour"].group = made.config.tasks["echo"].group = "pair";  // the group has some
  EXPECT_EQ(problems_of(made.config), "");
}

TEST(PrepareData, RefusesAStartOfWhatIsNotOneAdapter) {
  MadeRun made, start;
  const RunSetup finished = start.setup();
  write_artefact(finished, 1);
  made.config.adapter.start = start.config.output;
  for (const auto method : {config::Method::kFull, config::Method::kLoraPerTask}) {
    made.config.adapter.method = method;
    EXPECT_THAT(problems_of(made.config), ::testing::HasSubstr("adapter.start: "));
  }
}

TEST(EvaluateOnDev, LeavesATaskWithoutLossOutOfTheMean) {
  MadeRun made;
  made.config.tasks["echo"].overflow = config::Overflow::kDrop;
  test::write_file(made.directory.path() / "data/echo/dev.jsonl",
                   "{\"input\": \"" + std::string(200, '~') + "\", \"target\": \"b\"}\n");
  const RunSetup setup = made.setup();
  const DevEvaluation dev = evaluate_on_dev(
      setup,
      [](const RunSetup&) {
        return std::map<std::string, double>{{"colour", 0.5}, {"echo", 0.25}};
      },
      1);
  EXPECT_FALSE(dev.tasks["echo"].contains("loss"));
  EXPECT_EQ(dev.tasks["mean"]["loss"], dev.tasks["colour"]["loss"]);
  EXPECT_EQ(dev.tasks["mean"]["score"], 0.375);
}

TEST(PrepareData, WarnsOfTestRowsThatCanNotBeScored) {
  MadeRun made;
  test::write_file(made.directory.path() / "data/echo/test.jsonl", "{\"input\": \"test\", \"target\": \"b\"}\n");
  EXPECT_THAT(prepare_data(made.config).dataset.warnings,
              ::testing::Contains(::testing::HasSubstr("--metric echo=METRIC")));
}

TEST(PrepareData, DoesNotTakeATaskWhoseDevRowsAreAllDroppedForTheBest) {
  MadeRun made;
  made.config.tasks["echo"].overflow = config::Overflow::kDrop;
  test::write_file(made.directory.path() / "data/echo/dev.jsonl",
                   "{\"input\": \"" + std::string(200, '~') + "\", \"target\": \"b\"}\n");
  made.config.eval.best = "echo";
  EXPECT_THAT(problems_of(made.config), ::testing::HasSubstr("eval.best: no task of that name has dev rows that fit"));
}

TEST(Identity, FollowsWhatConfigJsonAndTheSpecialTokensSay) {
  MadeRun made;
  const std::filesystem::path model = made.copy_model();
  const nlohmann::json own = identity_of(made.config).to_json();
  nlohmann::json config = nlohmann::json::parse(test::read_file(model / "config.json"));
  config["transformers_version"] = "other";
  test::write_file(model / "config.json", config.dump());
  EXPECT_EQ(identity_of(made.config).to_json(), own);
  config["rms_norm_eps"] = 0.5;
  test::write_file(model / "config.json", config.dump());
  EXPECT_NE(identity_of(made.config).to_json()["shape"], own["shape"]);
  nlohmann::json tokens = nlohmann::json::parse(test::read_file(model / "tokenizer_config.json"));
  tokens["pad_token"] = tokens["eos_token"];
  tokens["unk_token"] = tokens["eos_token"];
  test::write_file(model / "tokenizer_config.json", tokens.dump());
  EXPECT_NE(identity_of(made.config).to_json()["special tokens"], own["special tokens"]);
}

TEST(Identity, FollowsHowTheConfigurationHasTextsEncoded) {
  MadeRun made;
  const std::filesystem::path model = made.copy_model();
  const nlohmann::json own = identity_of(made.config).to_json();
  nlohmann::json tokens = nlohmann::json::parse(test::read_file(model / "tokenizer_config.json"));
  tokens["split_special_tokens"] = true;
  test::write_file(model / "tokenizer_config.json", tokens.dump());
  EXPECT_NE(identity_of(made.config).to_json()["special tokens"], own["special tokens"]);
}

TEST(PrepareData, KnowsTheTasksThatCanBeBest) {
  MadeRun made;
  std::filesystem::remove(made.directory.path() / "data/echo/dev.jsonl");
  made.config.eval.best = "colour";
  prepare_data(made.config);
  made.config.eval.best = "echo";
  EXPECT_THROW(prepare_data(made.config), ErrorList);
  std::filesystem::remove(made.directory.path() / "data/colour/dev.jsonl");
  prepare_data(made.config);  // nothing is evaluated
}

TEST(PrepareData, TrainsANestedModelOnlyWithAdapters) {
  MadeRun made("gemma3/f32");
  made.config.adapter.method = config::Method::kFull;
  try {
    prepare_data(made.config);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kModel);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("gemma3"));
  }
}

}  // namespace
}  // namespace moelora::train
