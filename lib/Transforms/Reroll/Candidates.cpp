//===- Candidates.cpp - where a graph looks periodic ----------------------===//
//
// Distances between nodes of equal label give periods; for each, the intervals
// in which labels repeat; for each of those, the cut between iterations. What
// is proposed here the matcher verifies.
//
//===----------------------------------------------------------------------===//
#include "Reroller.h"
#include <climits>
#include <map>

using namespace mlir;
using namespace lnn;
using namespace lnn::reroll;

/// Too small to be a loop: every chain of two like nodes would be one.
static bool worthwhile(int period, int trip, int least) {
  return trip >= least && (trip - 1) * period >= 6 &&
         (trip >= 3 || period >= 8);
}

/// Counts the distances between positions of equal keys, as many of each key as
/// a body may hold.
static void countDistances(ArrayRef<uint64_t> keys, std::vector<int> &count) {
  constexpr int depth = 4;
  llvm::DenseMap<uint64_t, std::array<int, depth>> last;
  for (int i = 0, e = keys.size(); i < e; ++i) {
    auto &seen =
        last.try_emplace(keys[i], std::array<int, depth>{-1, -1, -1, -1})
            .first->second;
    for (int at : seen)
      if (at >= 0)
        ++count[i - at];
    std::rotate(seen.begin(), seen.end() - 1, seen.end());
    seen[0] = i;
  }
}

/// Distances between like nodes that are frequent enough, ascending. Like are
/// those of equal label; and, as a large body has many of each label, those
/// behind equal sequences of labels.
SmallVector<int> Reroller::periods() const {
  constexpr unsigned sequences[] = {1, 12, 48};
  int n = graph.order.size();
  std::vector<char> frequent(n + 1, 0);
  std::vector<int> count;
  std::vector<uint64_t> keys(n);
  for (unsigned length : sequences) {
    // Rolling: what is `length` back leaves the sum.
    constexpr uint64_t base = 0x9e3779b97f4a7c15;
    uint64_t power = 1, hash = 0;
    for (unsigned i = 0; i < length; ++i)
      power *= base;
    for (int i = 0; i < n; ++i) {
      hash = hash * base + labelAt(i) + 1;
      if (i >= int(length))
        hash -= power * (labelAt(i - length) + 1);
      keys[i] = hash & (uint64_t(1) << 62) - 1; // two keys are the map's own
    }
    count.assign(n + 1, 0);
    countDistances(ArrayRef(keys).drop_front(std::min<int>(n, length - 1)),
                   count);
    for (auto [period, found] : llvm::enumerate(count))
      if (period && found >= std::min<int>(period, 16))
        frequent[period] = 1;
  }
  SmallVector<int> result;
  for (int period = 1; period <= n; ++period)
    if (frequent[period])
      result.push_back(period);
  return result;
}

/// True where a run is too short for a loop in time and each iteration's values
/// are read by nodes of their own, or two by one that adds them up, as the
/// stages of a solver's step are: a loop would stack what is taken apart again,
/// and hide the step.
bool Reroller::isScattered(const Run &run) const {
  constexpr int maxStages = 4;
  const StringRef arithmetic[] = {"Add", "Sub", "Mul", "Div"};
  auto isArithmetic = [&](int id) {
    return id >= 0 && llvm::any_of(arithmetic, [&](StringRef name) {
             return graph.labelOf(id).is(name);
           });
  };
  if (run.trip() > maxStages)
    return false;
  for (int place = 0; place < run.places(); ++place) {
    SmallVector<int> before, now; // readers; -1 is the graph itself
    for (int iteration = 0; iteration < run.trip(); ++iteration) {
      int id = run.node(iteration, place);
      now.clear();
      if (id >= 0)
        for (Graph::Use use : graph.usesOf(id))
          if (use.user < 0 || !matcher.inRun(use.user))
            now.push_back(use.user);
      if (!before.empty() && !now.empty() && llvm::none_of(now, [&](int id) {
            return !isArithmetic(id) && llvm::is_contained(before, id);
          }))
        return true;
      if (!now.empty())
        before = now;
    }
  }
  return false;
}

uint64_t Reroller::hashOf(Interval interval) const {
  llvm::hash_code hash = llvm::hash_value(interval.period);
  for (int i = interval.begin; i < interval.begin + interval.period;
       ++i) // the rest repeats them
    hash = llvm::hash_combine(hash, labelAt(i));
  return hash;
}

/// Counts the values that cross a cut near the middle of the interval, by the
/// cut's phase.
void Reroller::countCrossing(Interval interval) {
  int period = interval.period, trip = interval.length() / period;
  int middle = interval.begin + (trip > 2 ? trip / 2 : 1) * period;
  crossing.assign(period + 1, 0);
  for (int i = std::max(0, middle - period);
       i < std::min<int>(graph.order.size(), middle + period); ++i) {
    int lastUse = -1;
    for (Graph::Use use : graph.usesOf(graph.order[i]))
      if (use.user >= 0 && graph.position[use.user] < interval.end)
        lastUse = std::max(lastUse, graph.position[use.user]);
    int low = std::max(i + 1, middle),
        high = std::min(lastUse, middle + period - 1);
    if (low <= high) {
      ++crossing[low - middle];
      --crossing[high - middle + 1];
    }
  }
  for (int i = 1; i < period; ++i)
    crossing[i] += crossing[i - 1];
}

/// The place to cut at: where most iterations are found, then the fewest
/// states; -1 where none is.
int Reroller::bestPhase(Interval interval) {
  int period = interval.period, maxTries = std::clamp(4096 / period, 16, 64);
  countCrossing(interval);
  SmallVector<int> phases = llvm::to_vector(llvm::seq(0, period));
  llvm::sort(phases, [&](int a, int b) {
    return std::pair(crossing[a], a) < std::pair(crossing[b], b);
  });
  int best = -1;
  std::pair<int, int> bestRank;
  if (int(phases.size()) > maxTries)
    phases.resize(maxTries);
  for (int phase : phases) {
    int start = interval.begin + phase,
        blocks = (interval.end - start) / period;
    if (blocks < 2)
      continue;
    // What the front gains is found with the first blocks alone.
    std::optional<Run> run;
    int first = 0;
    for (; !run && first < std::min(blocks - 1, 2); ++first)
      run = matcher.find(start + first * period, period, 8 + first);
    int gained = run ? run->trip() - 1 - first : -first;
    // The last block may only look like the others.
    if (!run || blocks > 2) {
      std::optional<Run> last =
          matcher.find(start + (blocks - 2) * period, period, 2);
      gained -= !last;
      if (!run)
        run = std::move(last);
    }
    if (!run)
      continue;
    std::pair<int, int> rank{blocks + gained, -int(run->states.size())};
    if (best < 0 || rank > bestRank) {
      best = phase;
      bestRank = rank;
    }
  }
  return best;
}

/// The run at the end of the interval.
std::optional<Run> Reroller::bestRun(Interval interval) {
  constexpr int maxFailures = 3;
  Phase &phase = knownPhases[hashOf(interval)];
  if (phase.at < 0 && phase.failures < maxFailures) {
    phase.at = bestPhase(interval);
    phase.failures += phase.at < 0;
  }
  int period = interval.period,
      blocks = (interval.length() - phase.at) / period;
  // The last block may only look like the others.
  std::optional<Run> run;
  for (int last = blocks;
       phase.at >= 0 && !run && last >= 2 && last > blocks - 2; --last)
    run = matcher.find(interval.begin + phase.at + (last - 2) * period, period,
                       INT_MAX);
  return run;
}

/// True where some node at the interval's end reads another one there: without
/// that, nothing is handed on.
bool Reroller::isChained(Interval interval) const {
  int from = interval.end - 2 * interval.period;
  for (int i = from; i < interval.end; ++i)
    for (Ref ref : graph.nodes[graph.order[i]].operands)
      if (!ref.leaf() && graph.position[ref.id] >= from)
        return true;
  return false;
}

void Reroller::remark(const Run &run) const {
  emitRemark(graph.nodes[run.model(run.states[0].place)].loc)
      << "a loop of " << run.trip() << " iterations, " << run.places()
      << " nodes, " << run.states.size() << " states";
}

/// Collapses what is found in the interval; returns how much of its end is
/// done.
int Reroller::searchInterval(Interval interval, unsigned &made) {
  constexpr int maxMultiple = 8;
  for (int m = 1;
       m <= maxMultiple && 2 * m * interval.period <= interval.length(); ++m) {
    Interval wider{interval.begin, interval.end, m * interval.period};
    std::optional<Run> run = bestRun(wider);
    if (!run || !matcher.complete(*run) ||
        !worthwhile(run->places(), run->trip(), leastTrip) || isScattered(*run))
      continue;
    int first = interval.end;
    for (auto &iteration : run->backward)
      for (int id : iteration)
        if (id >= 0 && graph.position[id] >= interval.begin)
          first = std::min(first, graph.position[id]);
    if (!collapse(graph, *run, [&](int id) { return matcher.inRun(id); }))
      continue;
    ++made;
    if (remarks)
      remark(*run);
    return std::max(first, interval.begin);
  }
  // Nothing at its end: the rest may have a run.
  return interval.end - interval.period;
}

/// Where labels repeat at that distance, long enough for a loop.
SmallVector<Reroller::Interval> Reroller::intervals(int period) const {
  SmallVector<Interval> result;
  int n = graph.order.size();
  for (int i = 0; i + period < n;) {
    int begin = i;
    while (i + period < n && labelAt(i) == labelAt(i + period))
      ++i;
    Interval interval{begin, i + period, period};
    if (worthwhile(period, interval.length() / period, 2) &&
        isChained(interval))
      result.push_back(interval);
    i = std::max(i, begin + 1);
  }
  return result;
}

unsigned Reroller::search(int period) {
  unsigned made = 0;
  // What is tried is bounded by the graph's size, whatever it looks like; and
  // no period that leads nowhere takes all of it.
  constexpr int maxTries = 64, share = 4;
  const int64_t allWork = 64 * int64_t(graph.order.size()) + (1 << 16),
                maxWork =
                    std::min(allWork, matcher.workDone() + allWork / share);
  // The last first: a run grows to the front, where it may take in the end of
  // the interval before.
  SmallVector<Interval> found = intervals(period);
  for (Interval interval : llvm::reverse(found))
    for (int tries = 0; tries < maxTries && matcher.workDone() < maxWork &&
                        worthwhile(period, interval.length() / period, 2);
         ++tries)
      interval.end = searchInterval(interval, made);
  return made;
}

std::vector<std::string> Reroller::explainRest() {
  constexpr unsigned maxReported = 8, maxPhases = 64;
  std::vector<Interval> found;
  matcher.beginRound();
  for (int period : periods())
    llvm::append_range(found, intervals(period));
  llvm::sort(found, [](const Interval &a, const Interval &b) {
    return std::tuple(-a.length(), a.period, a.begin) <
           std::tuple(-b.length(), b.period, b.begin);
  });
  std::vector<std::string> texts;
  std::vector<Interval> told;
  for (Interval interval : found) {
    if (texts.size() == maxReported)
      break;
    if (llvm::any_of(told, [&](const Interval &other) {
          return interval.begin < other.end && other.begin < interval.end;
        }))
      continue;
    // Of all places to cut at, the one where most of a block is like the next.
    std::string why;
    int progress = -1, blocks = interval.length() / interval.period;
    for (int phase = 0; phase < std::min<int>(interval.period, maxPhases);
         ++phase) {
      int start = interval.begin + phase + (blocks - 2) * interval.period;
      if (start + 2 * interval.period > interval.end)
        break;
      matcher.refusalProgress = interval.period;
      bool matches =
          matcher.find(start, interval.period, 2) && matcher.refusal.empty();
      if (!matches && matcher.refusalProgress > progress &&
          !matcher.refusal.empty()) {
        progress = matcher.refusalProgress;
        why = matcher.refusal;
      }
    }
    told.push_back(interval);
    texts.push_back(
        "from " + graph.describe(graph.order[interval.begin]) + " to " +
        graph.describe(graph.order[interval.end - 1]) + ", " +
        std::to_string(interval.period) + " nodes repeat " +
        std::to_string(blocks) + " times: " +
        (why.empty() ? "nothing is handed on from one to the next" : why));
  }
  return texts;
}

bool Reroller::round(unsigned &made) {
  matcher.beginRound();
  knownPhases.clear();
  SmallVector<int> candidates = periods();
  // Two blocks alike may be so by accident: they wait until nothing longer is
  // found, and the larger they are the less.
  for (int least : {3, 2}) {
    leastTrip = least;
    if (least == 2)
      std::reverse(candidates.begin(), candidates.end());
    for (int period : candidates)
      if (unsigned found = search(period)) {
        made += found;
        return true;
      }
  }
  return false;
}

unsigned Reroller::run() {
  unsigned made = 0;
  for (bool valid = graph.normalize(); valid && round(made);
       valid = graph.refresh())
    ;
  return made;
}
