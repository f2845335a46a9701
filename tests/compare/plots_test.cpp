// Pictures whose series can be told apart.
#include "compare/plots.h"

#include <gmock/gmock.h>

#include <cmath>
#include <set>

namespace moelora::compare {
namespace {

TEST(Plots, NoTwoOfSixteenMethodsLookAlike) {
  std::set<std::pair<std::string, std::string>> styles;
  std::vector<std::string> colours;
  for (size_t s = 0; s < 16; ++s) {
    const Style style = style_of(s);
    EXPECT_TRUE(styles.emplace(style.colour, style.dash).second) << s;
    if (style.dash.empty()) colours.push_back(style.colour);
  }
  ASSERT_GE(colours.size(), 12u) << "the headline has twelve methods";
  for (size_t a = 0; a < colours.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      double squares = 0;
      for (const size_t channel : {1, 3, 5}) {
        const int one = std::stoi(colours[a].substr(channel, 2), nullptr, 16);
        squares += std::pow(one - std::stoi(colours[b].substr(channel, 2), nullptr, 16), 2);
      }
      EXPECT_GT(std::sqrt(squares), 55) << colours[a] << " " << colours[b];
    }
  }
}

TEST(Plots, ADashedSeriesIsDashedInEveryPictureAndInTheLegend) {
  std::vector<Series> series(13);
  std::vector<std::string> names(13, "name");
  series[12].points = {{0, 1}, {1, 2}};
  const std::string dash = "stroke-dasharray=\"" + style_of(12).dash + "\"";
  EXPECT_THAT(line_plot(series, "x", "y"), ::testing::HasSubstr(dash));
  EXPECT_THAT(legend(names), ::testing::HasSubstr(dash));
  EXPECT_THAT(bar_plot({"group"}, names, {std::vector<Bar>(13)}), ::testing::HasSubstr(dash));
  EXPECT_THAT(legend({"one"}), ::testing::Not(::testing::HasSubstr("dash")));
}

}  // namespace
}  // namespace moelora::compare
