//===- ProfileReport.cpp - a profile as a table and as a picture ----------===//
#include "Peaks.h"
#include "Profile.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace lnn::runtime {
namespace {

__attribute__((format(printf, 1, 2))) std::string print(const char *format,
                                                        ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  return line;
}

double perCall(const lnn_profile &profile, double value) {
  return profile.calls ? value / static_cast<double>(profile.calls) : 0;
}

double part(double of, double whole) { return whole > 0 ? of / whole : 0; }

/// "12.3k": three digits and a unit.
std::string shortNumber(double value) {
  const char *units[] = {"", "k", "M", "G", "T"};
  size_t unit = 0;
  for (; value >= 999.5 && unit < 4; ++unit)
    value /= 1000;
  const char *format = unit == 0 || value >= 99.95 ? "%.0f%s" : "%.1f%s";
  char text[32];
  std::snprintf(text, sizeof text, format, value, units[unit]);
  return text;
}

/// What all regions that lie in no other took.
double topSeconds(const std::vector<lnn_region> &regions) {
  double seconds = 0;
  for (const lnn_region &region : regions)
    seconds += region.depth ? 0 : region.seconds;
  return seconds;
}

std::string peaksLine() {
  const Peaks &found = peaks();
  return print("peaks of one core, measured: %.1f G operations/s on f32; "
               "%.0f GB/s in L1, %.0f in L2, %.1f in memory\n",
               found.operations / 1e9, found.l1 / 1e9, found.l2 / 1e9,
               found.memory / 1e9);
}

std::string textLine(const std::string &name, const char *kind, double entries,
                     double micros, double whole, const std::string &rest) {
  return print("%-44.44s %-5s %9.1f %10.3f %5.1f%%", name.c_str(), kind,
               entries, micros, 100 * part(micros, whole)) +
         rest + "\n";
}

} // namespace

std::string textReport(const lnn_profile &profile) {
  std::vector<lnn_region> regions = profile.regions();
  double whole = 1e6 * perCall(profile, profile.seconds);
  std::string text =
      print("%-44s %-5s %9s %10s %6s %10s %9s %7s %7s %7s\n",
            "region (of the model's node)", "kind", "entries", "us", "part",
            "operations", "bytes", "Gop/s", "GB/s", "of peak");
  int64_t idle = 0;
  for (const lnn_region &region : regions) {
    if (!region.entries) { // what is behind a condition
      ++idle;
      continue;
    }
    double micros = 1e6 * perCall(profile, region.seconds);
    std::string rest;
    if (region.operations > 0 || region.bytes > 0)
      rest = print(" %10s %9s %7.2f %7.2f %6.1f%%",
                   shortNumber(perCall(profile, region.operations)).c_str(),
                   shortNumber(perCall(profile, region.bytes)).c_str(),
                   part(region.operations, region.seconds) / 1e9,
                   part(region.bytes, region.seconds) / 1e9,
                   100 * part(region.least_seconds, region.seconds));
    text +=
        textLine(std::string(2 * region.depth, ' ') + region.name, region.kind,
                 perCall(profile, static_cast<double>(region.entries)), micros,
                 whole, rest);
  }
  double between = profile.seconds - topSeconds(regions);
  text += textLine("(between regions, and the call itself)", "", 1,
                   1e6 * perCall(profile, between), whole, "");
  text += textLine("call", "", 1, whole, whole, "");
  if (idle)
    text += print("%lld regions did not run; ", static_cast<long long>(idle));
  text += print("means of the %lld of %lld calls that were not disturbed; ",
                static_cast<long long>(profile.calls),
                static_cast<long long>(profile.runs));
  return text + peaksLine();
}

//===- The picture --------------------------------------------------------===//

namespace {

std::string escape(const std::string &text) {
  std::string result;
  for (char c : text) {
    switch (c) {
    case '&':
      result += "&amp;";
      break;
    case '<':
      result += "&lt;";
      break;
    case '>':
      result += "&gt;";
      break;
    case '"':
      result += "&quot;";
      break;
    default: // XML has no control characters
      result += static_cast<unsigned char>(c) < 32 ? ' ' : c;
    }
  }
  return result;
}

/// The end of a text, of so many bytes at most: what tells the nodes of one
/// module apart. Cut between characters of UTF-8.
std::string endOf(const std::string &text, size_t length) {
  if (text.size() <= length)
    return text;
  size_t from = text.size() - length;
  while (from < text.size() &&
         (static_cast<unsigned char>(text[from]) & 0xc0) == 0x80)
    ++from;
  return "…" + text.substr(from);
}

/// From red, far from the peak, over yellow to green.
std::string color(double ofPeak) {
  double near = std::min(1.0, std::max(0.0, ofPeak));
  int red = static_cast<int>(235 - 105 * std::max(0.0, 2 * near - 1));
  int green = static_cast<int>(130 + 90 * std::min(1.0, 2 * near));
  return print("#%02x%02x78", red, green);
}

constexpr double width = 1200, rowHeight = 22, top = 30;

std::string box(double x, double w, int row, const std::string &label,
                const std::string &title, const std::string &fill) {
  double y = top + row * rowHeight;
  std::string svg =
      print("<g><rect x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"%.0f\" "
            "fill=\"%s\" stroke=\"white\" stroke-width=\"0.5\"/>",
            x, y, std::max(w, 0.2), rowHeight - 1, fill.c_str()) +
      "<title>" + escape(title) + "</title>";
  if (w > 24)
    svg += print("<text x=\"%.2f\" y=\"%.0f\">", x + 4, y + 15) +
           escape(endOf(label, static_cast<size_t>((w - 8) / 6.7))) + "</text>";
  return svg + "</g>\n";
}

} // namespace

/// The whole call above, the regions below, those inside of others below them;
/// as wide as they took time, coloured by how near they come to the peak.
std::string svgReport(const lnn_profile &profile) {
  std::vector<lnn_region> regions = profile.regions();
  double scale = part(width, profile.seconds);
  int depth = 0;
  for (const lnn_region &region : regions)
    depth = std::max(depth, region.depth + 1);
  std::string name = profile.model->abi->name;
  std::string svg = print(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
      "font-family=\"monospace\" font-size=\"11\">\n",
      width, top + (depth + 1) * rowHeight + 24);
  double micros = 1e6 * perCall(profile, profile.seconds);
  svg += "<text x=\"4\" y=\"18\">" +
         escape(endOf(name, 80) +
                print(": %.3f us a call, mean of %lld calls", micros,
                      static_cast<long long>(profile.calls))) +
         "</text>\n" + box(0, width, 0, "call", name, "#dddddd");
  std::vector<double> left(regions.size()), next(regions.size());
  double nextTop = 0;
  for (size_t i = 0; i < regions.size(); ++i) {
    const lnn_region &region = regions[i];
    if (!region.entries)
      continue;
    double &at = region.parent < 0 ? nextTop : next[region.parent];
    left[i] = next[i] = at;
    double w = region.seconds * scale,
           ofPeak = part(region.least_seconds, region.seconds);
    at += w;
    std::string title =
        std::string(region.nodes[0] ? region.nodes : region.name) +
        print("\n%s: %.3f us a call (%.1f%%), %.1f entries\n", region.kind,
              1e6 * perCall(profile, region.seconds),
              100 * part(region.seconds, profile.seconds),
              perCall(profile, static_cast<double>(region.entries))) +
        print("%s operations, %s bytes, %.1f%% of the peak",
              shortNumber(perCall(profile, region.operations)).c_str(),
              shortNumber(perCall(profile, region.bytes)).c_str(),
              100 * ofPeak);
    svg += box(left[i], w, region.depth + 1, region.name, title,
               region.least_seconds > 0 ? color(ofPeak) : "#cccccc");
  }
  svg +=
      print("<text x=\"4\" y=\"%.0f\">", top + (depth + 1) * rowHeight + 16) +
      escape("green: at the machine's peak; red: far from it; grey: not "
             "counted. " +
             peaksLine()) +
      "</text>\n</svg>\n";
  return svg;
}

} // namespace lnn::runtime
