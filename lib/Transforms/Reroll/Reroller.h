//===- Reroller.h - unrolled loops of one block become nodes ----*- C++ -*-===//
#ifndef LNN_TRANSFORMS_REROLL_REROLLER_H
#define LNN_TRANSFORMS_REROLL_REROLLER_H

#include "Run.h"

namespace lnn::reroll {

/// Proposes where runs may be, and collapses what is found, inner loops first.
class Reroller {
public:
  Reroller(Graph &graph, int64_t maxScanned, bool remarks)
      : graph(graph), matcher(graph, maxScanned), remarks(remarks) {}
  /// Collapses until nothing is found; returns the number of loops made.
  unsigned run();
  /// What still looks periodic, and why it is no loop.
  std::vector<std::string> explainRest();
  void explain() { matcher.explaining = true; }

private:
  Graph &graph;
  Matcher matcher;
  int leastTrip = 2;
  bool remarks;
  struct Phase {
    int at = -1, failures = 0;
  };
  llvm::DenseMap<uint64_t, Phase> knownPhases; // by an interval's labels
  std::vector<int> crossing; // values that cross a cut, by phase

  struct Interval {
    int begin, end, period;
    int length() const { return end - begin; }
  };
  int labelAt(int position) const {
    return graph.nodes[graph.order[position]].label;
  }
  llvm::SmallVector<int> periods() const;
  bool round(unsigned &made);
  llvm::SmallVector<Interval> intervals(int period) const;
  unsigned search(int period);
  int searchInterval(Interval interval, unsigned &made);
  std::optional<Run> bestRun(Interval interval);
  int bestPhase(Interval interval);
  void countCrossing(Interval interval);
  void remark(const Run &run) const;
  bool isChained(Interval interval) const;
  uint64_t hashOf(Interval interval) const;
  bool isScattered(const Run &run) const;
};

} // namespace lnn::reroll
#endif // LNN_TRANSFORMS_REROLL_REROLLER_H
