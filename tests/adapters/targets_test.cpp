#include "adapters/targets.h"

#include <gmock/gmock.h>

#include "core/error.h"

namespace moelora::adapters {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<std::string> kPaths = {"model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj",
                                         "model.layers.1.self_attn.q_proj"};

TEST(MatchTargets, AllLinearMatchesEverything) {
  EXPECT_THAT(match_targets({"all-linear"}, kPaths), ElementsAre(true, true, true));
}

TEST(MatchTargets, NamesMatchWholeTrailingParts) {
  EXPECT_THAT(match_targets({"q_proj"}, kPaths), ElementsAre(true, false, true));
  EXPECT_THAT(match_targets({"self_attn.q_proj", "up_proj"}, kPaths), ElementsAre(true, true, true));
  EXPECT_THROW(match_targets({"proj"}, kPaths), Error);
}

TEST(MatchTargets, PatternsMatchTheFullPath) {
  EXPECT_THAT(match_targets({"*.layers.1.*"}, kPaths), ElementsAre(false, false, true));
  EXPECT_THAT(match_targets({"model.layers.[0].*_proj"}, kPaths), ElementsAre(true, true, false));
}

TEST(MatchTargets, ATargetThatMatchesNothingNamesTheNearest) {
  try {
    match_targets({"q_proj", "up_porj"}, kPaths);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_THAT(error.what(), HasSubstr("found up_porj"));
    EXPECT_THAT(error.what(), HasSubstr("did you mean `up_proj`?"));
  }
}

}  // namespace
}  // namespace moelora::adapters
