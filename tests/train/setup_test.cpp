// What a resumed run must agree with, and what it may not care about.
#include "train/setup.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "made_run.h"

namespace moelora::train {
namespace {

using moelora::testing::MadeRun;

TEST(Identity, NamesWhatDiffers) {
  const Identity own{.base = "1", .tokenizer = "2", .chat_template = "3", .data = "4", .config = "5"};
  own.require_same(own.to_json(), "checkpoint-1");
  for (const char* part : {"base", "tokenizer", "template", "data", "config"}) {
    nlohmann::json stored = own.to_json();
    stored[part] = "other";
    try {
      own.require_same(stored, "checkpoint-1");
      ADD_FAILURE() << part << " wasn't compared";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kConfig);
      EXPECT_THAT(error.what(), ::testing::AllOf(::testing::HasSubstr("checkpoint-1"), ::testing::HasSubstr(std::string("its ") + part),
                                                 ::testing::HasSubstr("other")));
    }
    stored.erase(part);
    EXPECT_THROW(own.require_same(stored, "checkpoint-1"), Error) << part;
  }
}

Identity identity_of(const config::RunConfig& config) { return prepare_data(config).identity; }

TEST(Identity, IsThatOfWhatIsComputedNotOfWhereItLies) {
  MadeRun made, elsewhere;
  const nlohmann::json own = identity_of(made.config).to_json();
  elsewhere.config.train.log_every = 3;
  elsewhere.config.checkpoint.keep = 5;
  EXPECT_EQ(identity_of(elsewhere.config).to_json(), own);
  elsewhere.config.train.seed = 7;
  EXPECT_NE(identity_of(elsewhere.config).to_json()["config"], own["config"]);
  test::write_file(made.directory.path() / "data/echo/train.jsonl", "{\"input\": \"a\", \"target\": \"b\"}\n");
  EXPECT_NE(identity_of(made.config).to_json()["data"], own["data"]);
}

TEST(PrepareData, KnowsTheTasksThatCanBeBest) {
  MadeRun made;
  std::filesystem::remove(made.directory.path() / "data/echo/dev.jsonl");
  made.config.eval.best = "colour";
  prepare_data(made.config);
  made.config.eval.best = "echo";
  EXPECT_THROW(prepare_data(made.config), Error);
  std::filesystem::remove(made.directory.path() / "data/colour/dev.jsonl");
  prepare_data(made.config);  // nothing is evaluated
}

}  // namespace
}  // namespace moelora::train
