#include "compare/plots.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "eval/html_text.h"

namespace moelora::compare {
namespace {

/// A picture's size, the margins around what is drawn, and the number of parts of its axes.
struct Frame {
  double width = 760, height = 300, left = 56, right = 12, top = 12, bottom = 40;
  int ticks = 5;
};
constexpr Frame kWide;
constexpr Frame kSmall{.width = 300, .height = 190, .left = 46, .right = 8, .top = 8, .bottom = 36, .ticks = 3};

/// What a shape is drawn with: filled where its style is solid, else pale with a dashed edge.
std::string fill_of(const Style& style) {
  return style.dash.empty() ? "fill=\"" + style.colour + "\""
                            : "fill=\"" + style.colour + "\" fill-opacity=\"0.3\" stroke=\"" + style.colour +
                                  "\" stroke-dasharray=\"" + style.dash + "\"";
}

std::string number(double value, const char* format = "%.1f") {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string line(double x1, double y1, double x2, double y2, const std::string& stroke) {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) +
         "\" stroke=\"" + stroke + "\"/>\n";
}

std::string text_at(double x, double y, const char* anchor, const std::string& text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\" fill=\"currentColor\">" +
         eval::html_escaped(text) + "</text>\n";
}

std::string open_svg(const Frame& frame) {
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(frame.width, "%.0f") + " " +
         number(frame.height, "%.0f") + "\" font-family=\"sans-serif\" font-size=\"11\" role=\"img\">\n";
}

struct Axis {
  double least = 0, most = 1, from = 0, to = 1;
  double at(double value) const { return from + (value - least) / (most > least ? most - least : 1) * (to - from); }
};

std::string y_axis(const Axis& y, const Frame& frame) {
  std::string out;
  for (int i = 0; i <= frame.ticks; ++i) {
    const double value = y.least + (y.most - y.least) * i / frame.ticks;
    out += line(frame.left, y.at(value), frame.width - frame.right, y.at(value), i == 0 ? "#888" : "#8884") +
           text_at(frame.left - 6, y.at(value) + 4, "end", number(value, "%.3g"));
  }
  return out;
}

}  // namespace

Style style_of(size_t series) {
  // Six of Okabe and Ito's colours and the six farthest from them and each other in Lab, the nearest of what is seen
  // with and without red-green blindness counting (Machado et al. 2009), all to be seen on black and on white.
  static const std::array<const char*, 12> palette = {"#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00",
                                                      "#5533FF", "#99CC77", "#6677FF", "#BB2233", "#FFAABB", "#446666"};
  static const std::array<const char*, 4> dashes = {"", "6 3", "2 2", "8 3 2 3"};
  return {palette[series % palette.size()], dashes[series / palette.size() % dashes.size()]};
}

std::string line_plot(const std::vector<Series>& series, const std::string& x_name, const std::string& y_name,
                      PlotSize size) {
  const Frame& frame = size == PlotSize::kWide ? kWide : kSmall;
  Axis x{.from = frame.left, .to = frame.width - frame.right}, y{.from = frame.height - frame.bottom, .to = frame.top};
  bool any = false;
  for (const Series& one : series) {
    for (const auto& [at, value] : one.points) {
      x.least = any ? std::min(x.least, at) : at;
      x.most = any ? std::max(x.most, at) : at;
      y.least = any ? std::min(y.least, value) : value;
      y.most = any ? std::max(y.most, value) : value;
      any = true;
    }
  }
  if (!any) return "";
  std::string out = open_svg(frame) + y_axis(y, frame);
  for (int i = 0; i <= frame.ticks; ++i) {
    const double value = x.least + (x.most - x.least) * i / frame.ticks;
    out += text_at(x.at(value), frame.height - frame.bottom + 15, "middle", number(value, "%.3g"));
  }
  out += text_at((frame.left + frame.width) / 2, frame.height - 8, "middle", x_name + " · " + y_name);
  for (size_t s = 0; s < series.size(); ++s) {
    if (series[s].points.empty()) continue;
    const Style style = style_of(s);
    out += "<polyline fill=\"none\" stroke-width=\"1.8\" stroke=\"" + style.colour + "\"" +
           (style.dash.empty() ? "" : " stroke-dasharray=\"" + style.dash + "\"") + " points=\"";
    for (const auto& [at, value] : series[s].points) out += number(x.at(at)) + "," + number(y.at(value)) + " ";
    out += "\"><title>" + eval::html_escaped(series[s].name) + "</title></polyline>\n";
  }
  return out + "</svg>\n";
}

std::string bar_plot(const std::vector<std::string>& groups, const std::vector<std::string>& series,
                     const std::vector<std::vector<Bar>>& bars) {
  Axis y{.most = 0, .from = kWide.height - kWide.bottom, .to = kWide.top};
  for (const std::vector<Bar>& group : bars) {
    for (const Bar& bar : group) y.most = std::max(y.most, bar.value + bar.deviation);
  }
  std::string out = open_svg(kWide) + y_axis(y, kWide);
  const double group_width = (kWide.width - kWide.left - kWide.right) / static_cast<double>(groups.size());
  const double width = 0.84 * group_width / static_cast<double>(series.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    const double left = kWide.left + group_width * (static_cast<double>(g) + 0.08);
    for (size_t s = 0; s < series.size(); ++s) {
      const Bar& bar = bars[g][s];
      const double x = left + width * static_cast<double>(s), top = y.at(bar.value);
      out += "<rect x=\"" + number(x) + "\" y=\"" + number(top) + "\" width=\"" + number(width * 0.92) +
             "\" height=\"" + number(y.from - top) + "\" " + fill_of(style_of(s)) + "><title>" +
             eval::html_escaped(series[s] + ", " + groups[g] + ": ") + number(bar.value, "%.3f") + "</title></rect>\n";
      if (bar.deviation > 0) {
        out += line(x + width * 0.46, y.at(bar.value - bar.deviation), x + width * 0.46,
                    y.at(bar.value + bar.deviation), "currentColor");
      }
    }
    out += text_at(left + 0.42 * group_width, kWide.height - kWide.bottom + 15, "middle", groups[g]);
  }
  return out + "</svg>\n";
}

std::string legend(const std::vector<std::string>& series) {
  std::string out = "<p class=\"legend\">";
  for (size_t s = 0; s < series.size(); ++s) {
    out += "<span><svg width=\"22\" height=\"12\"><rect x=\"1\" y=\"1\" width=\"20\" height=\"10\" " +
           fill_of(style_of(s)) + "/></svg>" + eval::html_escaped(series[s]) + "</span> ";
  }
  return out + "</p>\n";
}

}  // namespace moelora::compare
