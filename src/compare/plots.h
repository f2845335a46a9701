// Pictures as inline SVG: lines and grouped bars. A series' colour and dashes follow its position, the same in every
// picture of a page.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace moelora::compare {

/// Another for each of the first 48 series: twelve colours, then the same with dashes.
struct Style {
  std::string colour;  // "#0072B2"
  std::string dash;    // of a stroke, "6 3"; empty: solid
};
Style style_of(size_t series);

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;  // x ascending
};
/// A picture as wide as the page, or one of several beside each other.
enum class PlotSize { kWide, kSmall };
/// Lines over a common x axis. Series without points are left out; nothing to draw: empty.
std::string line_plot(const std::vector<Series>& series, const std::string& x_name, const std::string& y_name,
                      PlotSize size = PlotSize::kWide);

struct Bar {
  double value = 0;
  double deviation = 0;  // half the length of the whisker; 0: none
};
/// Groups of bars from 0 to the largest of them; bars[group][series].
std::string bar_plot(const std::vector<std::string>& groups, const std::vector<std::string>& series,
                     const std::vector<std::vector<Bar>>& bars);

/// The colours and dashes of a page's series, by name.
std::string legend(const std::vector<std::string>& series);

}  // namespace moelora::compare
