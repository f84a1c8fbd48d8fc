//===- Match.cpp - the body of a run, from two neighbouring blocks --------===//
#include "Run.h"
#include "llvm/ADT/StringSwitch.h"
#include <climits>

using namespace mlir;
using namespace lnn;
using namespace lnn::reroll;

void Matcher::beginRound() {
  size_t size = graph.nodes.size();
  owner.assign(size, 0);
  placeOf.assign(size, -1);
  iterationOf.assign(size, -1);
  serial = 0;
  work = 0;
}

void Matcher::enter(int id, int place, int backward) {
  owner[id] = serial;
  placeOf[id] = place;
  iterationOf[id] = backward;
}

/// Notes why the node is not like its like; false.
bool Matcher::refuse(int node, const Twine &why) {
  if (explaining && node >= 0)
    refusal = graph.describe(node) + " " + why.str();
  return false;
}

std::string Matcher::describeOperand(Ref ref) const {
  if (!explaining)
    return "";
  if (graph.constantOf(ref)) {
    std::string text;
    llvm::raw_string_ostream(text)
        << "a constant of type " << graph.typeOf(ref);
    return text;
  }
  return ref.leaf() ? "an input" : "what " + graph.describe(ref.id) + " gives";
}

/// True where the operand may be a value that is not known at compile time: a
/// body reads a scanned constant as such.
bool Matcher::mayScan(const Label &label, unsigned operand, Type type) const {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape() ||
      tensor.getNumElements() > maxScanned || label.original)
    return false;
  if (label.loop) {
    const Body &body = *label.loop;
    unsigned first = body.states() + body.slices();
    if (operand < first)
      return true;
    for (const BodyNode &node : body.nodes)
      for (auto [q, ref] : llvm::enumerate(node.operands))
        if (ref.kind == BodyRef::Invariant && ref.id == int(operand - first) &&
            !mayScan(graph.labels[node.label], q, type))
          return false;
    return true;
  }
  if (label.domain)
    return false;
  StringRef name = label.type;
  if (isa<FloatType>(tensor.getElementType()))
    return name != "Resize" && name != "Range" && name != "Upsample";
  if (name == "Slice") // becomes a sliced input, or a Gather of scanned indices
    return (operand == 1 || operand == 2) && tensor.getNumElements() == 1;
  return llvm::StringSwitch<bool>(name)
      .Cases({"Where", "Equal", "Less", "LessOrEqual", "Greater",
              "GreaterOrEqual", "And", "Or", "Xor", "Not"},
             true)
      .Cases({"Gather", "GatherElements", "GatherND", "ScatterND",
              "ScatterElements"},
             true)
      .Default(false);
}

/// True for two constants that may be one scanned value.
bool Matcher::areScanned(int place, unsigned operand, const Run &run, Ref a,
                         Ref b) const {
  ElementsAttr x = graph.constantOf(a), y = graph.constantOf(b);
  return x && y && x.getType() == y.getType() &&
         mayScan(graph.labelOf(run.model(place)), operand, x.getType());
}

/// What an operand is that reads `a` in the first of two iterations and `b` in
/// the second. Values outside of both that may belong to the iterations get a
/// place of their own.
std::optional<OperandClass> Matcher::classify(Run &run, int place,
                                              unsigned operand, Ref a, Ref b) {
  bool aIn = !a.leaf() && inRun(a.id), bIn = !b.leaf() && inRun(b.id);
  auto refused = [&](const Twine &why) {
    (void)refuse(run.backward[0][place], why);
    return std::nullopt;
  };
  if (a == b) {
    if (aIn) // shared by both, yet computed in one
      return refused(
          "reads what a step before has computed, as that step does");
    return OperandClass{OperandClass::Invariant, 0, 0, a};
  }
  if (a.leaf() && b.leaf()) {
    if (!areScanned(place, operand, run, a, b))
      return refused("reads " + describeOperand(b) +
                     ", its like a step before " + describeOperand(a) +
                     ": too large, or of an operand that must be known, to "
                     "differ from step to step");
    return OperandClass{OperandClass::Scanned, 0, 0, {}};
  }
  if (bIn && iterationOf[b.id] == 0) {
    int at = placeOf[b.id];
    if (!aIn || run.backward[1][at] != a.id || a.res != b.res)
      return refused("reads " + describeOperand(b) +
                     ", its like a step before " + describeOperand(a));
    return OperandClass{OperandClass::Internal, at, b.res, {}};
  }
  if (bIn) {
    if (aIn || graph.shapeOf(a) != graph.shapeOf(b))
      return refused("reads " + describeOperand(b) +
                     " of the step before, its like there " +
                     describeOperand(a) +
                     (aIn ? " of its own step" : ", of another shape"));
    int at = placeOf[b.id];
    for (auto [s, state] : llvm::enumerate(run.states))
      if (state.place == at && state.res == b.res)
        return state.init == a
                   ? std::optional(
                         OperandClass{OperandClass::Carried, int(s), 0, {}})
                   : refused("reads the step before's " + describeOperand(b) +
                             ", for which there are two initial "
                             "values");
    run.states.push_back({at, b.res, a});
    return OperandClass{
        OperandClass::Carried, int(run.states.size()) - 1, 0, {}};
  }
  if (a.leaf() || b.leaf() || !isFree(a.id) || !isFree(b.id) ||
      a.res != b.res || graph.nodes[a.id].label != graph.nodes[b.id].label)
    return refused("reads " + describeOperand(b) + ", its like a step before " +
                   describeOperand(a));
  int added = run.places();
  run.backward[0].push_back(b.id);
  run.backward[1].push_back(a.id);
  enter(b.id, added, 0);
  enter(a.id, added, 1);
  return OperandClass{OperandClass::Internal, added, b.res, {}};
}

/// The blocks' nodes as two iterations.
std::optional<Run> Matcher::seed(int start, int period) {
  ++serial;
  work += period;
  Run run;
  run.backward.assign(2, std::vector<int>(period));
  for (int j = 0; j < period; ++j)
    for (int i : {0, 1}) {
      int id = graph.order[start + i * period + j];
      if (graph.collapsed[id])
        return std::nullopt;
      run.backward[1 - i][j] = id;
      enter(id, j, 1 - i);
    }
  for (int j = 0; j < run.places(); ++j) {
    if (run.places() > 2 * period + 64)
      return std::nullopt; // other parts of the graph, not these iterations'
    const Node &a = graph.nodes[run.backward[1][j]],
               &b = graph.nodes[run.backward[0][j]];
    run.classes.emplace_back();
    for (unsigned q = 0; q < a.operands.size(); ++q) {
      std::optional<OperandClass> cls =
          classify(run, j, q, a.operands[q], b.operands[q]);
      if (!cls) {
        refusalProgress = j;
        return std::nullopt;
      }
      run.classes[j].push_back(*cls);
    }
  }
  keepRecurrence(run);
  if (run.states.empty())
    return std::nullopt;
  return run;
}

/// Keeps the places that some state's next value needs, and the states that
/// they read.
void Matcher::keepRecurrence(Run &run) {
  std::vector<char> keep;
  std::vector<char> used(run.states.size(), 1);
  for (bool changed = true; changed;) {
    changed = false;
    keep.assign(run.places(), 0);
    SmallVector<int> work;
    auto visit = [&](int place) {
      if (!keep[place]) {
        keep[place] = 1;
        work.push_back(place);
      }
    };
    for (auto [s, state] : llvm::enumerate(run.states))
      if (used[s])
        visit(state.place);
    std::vector<char> read(run.states.size(), 0);
    while (!work.empty())
      for (const OperandClass &cls : run.classes[work.pop_back_val()])
        if (cls.kind == OperandClass::Internal)
          visit(cls.id);
        else if (cls.kind == OperandClass::Carried)
          read[cls.id] = 1;
    for (auto [s, was] : llvm::enumerate(used))
      if (was && !read[s]) {
        was = 0;
        changed = true;
      }
  }
  std::vector<int> newPlace(run.places(), -1), newState(run.states.size(), -1);
  Run kept;
  kept.backward.resize(2);
  for (int j = 0; j < run.places(); ++j) {
    for (int i : {0, 1})
      if (!keep[j])
        owner[run.backward[i][j]] = 0;
    if (!keep[j])
      continue;
    newPlace[j] = kept.backward[0].size();
    for (int i : {0, 1}) {
      kept.backward[i].push_back(run.backward[i][j]);
      placeOf[run.backward[i][j]] = newPlace[j];
    }
    kept.classes.push_back(run.classes[j]);
  }
  for (auto [s, state] : llvm::enumerate(run.states))
    if (used[s]) {
      newState[s] = kept.states.size();
      kept.states.push_back({newPlace[state.place], state.res, state.init});
    }
  for (auto &classes : kept.classes)
    for (OperandClass &cls : classes)
      if (cls.kind == OperandClass::Internal)
        cls.id = newPlace[cls.id];
      else if (cls.kind == OperandClass::Carried)
        cls.id = newState[cls.id];
  run = std::move(kept);
}

std::optional<Run> Matcher::find(int start, int period, int most) {
  refusal.clear();
  std::optional<Run> run = seed(start, period);
  while (run && run->trip() < most && prepend(*run))
    ;
  if (run)
    run->stop = refusal;
  if (run && most == INT_MAX)
    dropStates(*run);
  // What stands behind the last block is little: all but the last steps are
  // blocks.
  constexpr int maxAppended = 16;
  for (int i = 0; run && most == INT_MAX && i < maxAppended && append(*run);
       ++i)
    ;
  return run;
}
