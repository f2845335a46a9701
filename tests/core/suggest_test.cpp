#include "core/suggest.h"

#include <gtest/gtest.h>

namespace moelora {
namespace {

const std::vector<std::string> kNames = {"rank", "alpha", "experts", "dropout", "targets", "learning_rate"};

TEST(NearestName, FindsSlipsOfTheFinger) {
  EXPECT_EQ(nearest_name("exprts", kNames), "experts");
  EXPECT_EQ(nearest_name("lerning_rat", kNames), "learning_rate");
  EXPECT_EQ(nearest_name("RANK", kNames), "rank");
  EXPECT_EQ(nearest_name("target", kNames), "targets");
  EXPECT_EQ(nearest_name("dorpout", kNames), "dropout");
}

TEST(NearestName, ProposesNothingFarAway) {
  EXPECT_EQ(nearest_name("quantization", kNames), "");
  EXPECT_EQ(nearest_name("", kNames), "");
  EXPECT_EQ(nearest_name("x", kNames), "");
  EXPECT_EQ(nearest_name("rank", {}), "");
}

TEST(DidYouMean, IsAQuestionOrNothing) {
  EXPECT_EQ(did_you_mean("alfa", kNames), "did you mean `alpha`?");
  EXPECT_EQ(did_you_mean("zzzzzz", kNames), "");
}

TEST(ListNames, CountsWhatItLeavesOut) {
  EXPECT_EQ(list_names(kNames, 2), "rank, alpha and 4 more");
  EXPECT_EQ(list_names(kNames, 6), "rank, alpha, experts, dropout, targets, learning_rate");
  EXPECT_EQ(list_names({}), "");
}

}  // namespace
}  // namespace moelora
