//===- Svg.cpp - a picture of what became of a user's graph ---------------===//
#include "lnn/Explain/Explain.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"

using namespace lnn::explain;
using llvm::raw_ostream;
using llvm::StringRef;

namespace {
constexpr int kCell = 8, kColumns = 40, kMargin = 16, kLine = 16;
constexpr int kGraphWidth = kColumns * kCell, kBoxLeft = kGraphWidth + 96;
constexpr unsigned kMaxCells = 20000;
const char *const kColors[] = {"#4e79a7", "#f28e2b", "#59a14f", "#b07aa1",
                               "#e15759", "#76b7b2", "#edc948", "#9c755f"};

/// Draws into a stream; boxes first say how high they are.
class Drawing {
public:
  Drawing(const Explanation &e, raw_ostream &os) : e(e), os(os) {}
  void draw();

private:
  const Explanation &e;
  raw_ostream &os;

  static const char *colorOf(unsigned region) {
    return kColors[region % std::size(kColors)];
  }
  static int heightOf(const Part &region);
  int graphHeight() const {
    unsigned cells = std::min<unsigned>(e.nodes.size(), kMaxCells);
    return int((cells + kColumns - 1) / kColumns) * kCell;
  }
  void text(int x, int y, StringRef what, StringRef style = "");
  void drawGraph(int top);
  void drawBox(const Part &region, int x, int y, int width, const char *color);
};
} // namespace

static void escape(raw_ostream &os, StringRef text) {
  for (char c : text) {
    switch (c) {
    case '<':
      os << "&lt;";
      break;
    case '>':
      os << "&gt;";
      break;
    case '&':
      os << "&amp;";
      break;
    case '"':
      os << "&quot;";
      break;
    default:
      // Control characters are not XML.
      os << (static_cast<unsigned char>(c) < 32 ? ' ' : c);
    }
  }
}

static StringRef shortened(StringRef text) {
  constexpr size_t most = 110;
  if (text.size() <= most)
    return text;
  size_t end = most;
  while (end && (text[end] & 0xc0) == 0x80) // not inside of a character
    --end;
  return text.take_front(end);
}

int Drawing::heightOf(const Part &region) {
  int height =
      2 * kLine + (region.stop.empty() ? 0 : kLine) +
      int(region.lines.size() + region.cells.size() + region.lacks.size()) *
          kLine;
  for (const Part &inner : region.inner)
    height += heightOf(inner) + kLine / 2;
  return height;
}

void Drawing::text(int x, int y, StringRef what, StringRef style) {
  os << "<text x=\"" << x << "\" y=\"" << y << "\" " << style << ">";
  escape(os, shortened(what));
  os << "</text>\n";
}

/// A square for each of the user's nodes, in their order, in its region's
/// color.
void Drawing::drawGraph(int top) {
  std::vector<int> regionOf(e.nodes.size(), -1);
  for (auto [r, region] : llvm::enumerate(e.regions))
    for (int node : region.nodes)
      if (node >= 0 && node < int(regionOf.size()))
        regionOf[node] = r;
  for (unsigned i = 0; i < std::min<unsigned>(e.nodes.size(), kMaxCells); ++i) {
    os << "<rect x=\"" << kMargin + int(i % kColumns) * kCell << "\" y=\""
       << top + int(i / kColumns) * kCell << "\" width=\"" << kCell - 1
       << "\" height=\"" << kCell - 1 << "\" fill=\""
       << (regionOf[i] < 0 ? "#c8c8c8" : colorOf(regionOf[i])) << "\"><title>";
    escape(os, e.nodes[i].type + " " + e.nodes[i].name);
    os << "</title></rect>\n";
  }
}

void Drawing::drawBox(const Part &region, int x, int y, int width,
                      const char *color) {
  os << "<rect x=\"" << x << "\" y=\"" << y << "\" width=\"" << width
     << "\" height=\"" << heightOf(region) << "\" rx=\"6\" fill=\"" << color
     << "\" fill-opacity=\"0.12\" stroke=\"" << color << "\"/>\n";
  int line = y + kLine + 4;
  std::string title = region.title;
  if (!region.nodes.empty())
    title += "  (" + std::to_string(region.nodes.size()) + " nodes)";
  text(x + 10, line, title, "font-weight=\"bold\"");
  for (const std::string &what : region.lines)
    text(x + 10, line += kLine, what);
  if (!region.stop.empty())
    text(x + 10, line += kLine, "no step more in front: " + region.stop,
         "fill=\"#a00\"");
  for (const std::string &what : region.cells)
    text(x + 10, line += kLine, what, "fill=\"#060\" font-weight=\"bold\"");
  for (const std::string &what : region.lacks)
    text(x + 10, line += kLine, what, "fill=\"#a00\"");
  line += kLine / 2;
  for (const Part &inner : region.inner) {
    drawBox(inner, x + 16, line, width - 32, color);
    line += heightOf(inner) + kLine / 2;
  }
}

void Drawing::draw() {
  constexpr int width = kBoxLeft + 860, boxWidth = 840, top = 3 * kLine;
  int right = top;
  for (const Part &region : e.regions)
    right += heightOf(region) + kLine;
  right += int(e.unrolled.size() + e.cells.size() + e.lacks.size() + 1) * kLine;
  int height = std::max(right, top + graphHeight()) + kMargin;
  os << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << width
     << "\" height=\"" << height << "\" viewBox=\"0 0 " << width << " "
     << height << "\" font-family=\"sans-serif\" font-size=\"12\">\n"
     << "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  text(kMargin, kLine + 8,
       e.model + ": " + std::to_string(e.nodes.size()) + " nodes",
       "font-size=\"15\" font-weight=\"bold\"");
  text(kBoxLeft, kLine + 8, "what they became",
       "font-size=\"15\" font-weight=\"bold\"");
  drawGraph(top);
  int y = top;
  for (auto [r, region] : llvm::enumerate(e.regions)) {
    int middle = top + std::min(graphHeight(), right - top) / 2;
    if (!region.nodes.empty())
      middle = top + int(std::min<unsigned>(
                             region.nodes[region.nodes.size() / 2], kMaxCells) /
                         kColumns) *
                         kCell;
    int at = y + heightOf(region) / 2;
    os << "<path d=\"M" << kMargin + kGraphWidth + 4 << " " << middle << " C "
       << kBoxLeft - 40 << " " << middle << ", " << kBoxLeft - 40 << " " << at
       << ", " << kBoxLeft - 4 << " " << at << "\" fill=\"none\" stroke=\""
       << colorOf(r) << "\" stroke-width=\"2\"/>\n";
    drawBox(region, kBoxLeft, y, boxWidth, colorOf(r));
    y += heightOf(region) + kLine;
  }
  for (const auto &list : {e.cells, e.lacks})
    for (const std::string &what : list)
      text(kBoxLeft, y += kLine, what);
  for (const std::string &what : e.unrolled)
    text(kBoxLeft, y += kLine, "no loop: " + what, "fill=\"#a00\"");
  os << "</svg>\n";
}

void lnn::explain::printSvg(const Explanation &explanation, raw_ostream &os) {
  Drawing(explanation, os).draw();
}
