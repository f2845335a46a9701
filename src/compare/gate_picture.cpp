#include "compare/gate_picture.h"

#include <algorithm>
#include <cstdio>

#include "compare/plots.h"
#include "eval/html_text.h"

namespace moelora::compare {
namespace {

constexpr int kCell = 44, kRow = 28, kLabels = 190, kTitle = 34, kGap = 22;

std::string label_at(int x, int y, const std::string& anchor, const std::string& colour, const std::string& text) {
  return "<text x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) + "\" text-anchor=\"" + anchor +
         "\" fill=\"" + colour + "\">" + eval::html_escaped(text) + "</text>\n";
}

/// White to blue as the weight goes from 0 to the gate's largest.
std::string weight_cell(int x, int y, float weight, float largest) {
  const float share = largest > 0 ? weight / largest : 0;
  char fill[32], value[16];
  std::snprintf(fill, sizeof fill, "rgb(%d,%d,%d)", static_cast<int>(247 - 239 * share),
                static_cast<int>(251 - 203 * share), static_cast<int>(255 - 148 * share));
  std::snprintf(value, sizeof value, "%.2f", weight);
  return "<rect x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) + "\" width=\"" + std::to_string(kCell - 2) +
         "\" height=\"" + std::to_string(kRow - 2) + "\" fill=\"" + fill + "\"/>\n" +
         label_at(x + kCell / 2 - 1, y + kRow / 2 + 4, "middle", share > 0.5f ? "white" : "black", value);
}

}  // namespace

std::string gate_svg(const std::vector<std::string>& tasks, const std::vector<adapters::GateTable>& gates) {
  const int experts = gates.empty() ? 0 : static_cast<int>(gates[0].weights[0].size());
  const int block = kTitle + kRow + kRow * static_cast<int>(tasks.size()) + kGap;
  const int width = kLabels + kCell * experts + 20, height = 10 + block * static_cast<int>(gates.size());
  std::string svg =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + std::to_string(width) + "\" height=\"" +
      std::to_string(height) +
      "\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  int y = 10;
  for (const adapters::GateTable& gate : gates) {
    svg += label_at(10, y + 18, "start", "black", "gate: " + gate.name);
    float largest = 0;
    for (const std::vector<float>& row : gate.weights) largest = std::max(largest, *std::ranges::max_element(row));
    for (int n = 0; n < experts; ++n) {
      svg += label_at(kLabels + n * kCell + kCell / 2, y + kTitle + 16, "middle", "black", std::to_string(n + 1));
    }
    for (size_t t = 0; t < tasks.size(); ++t) {
      const int top = y + kTitle + kRow + kRow * static_cast<int>(t);
      svg += label_at(kLabels - 8, top + kRow / 2 + 4, "end", "black", tasks[t]);
      for (int n = 0; n < experts; ++n) svg += weight_cell(kLabels + n * kCell, top, gate.weights[t][n], largest);
    }
    y += block;
  }
  return svg + "</svg>\n";
}

}  // namespace moelora::compare
