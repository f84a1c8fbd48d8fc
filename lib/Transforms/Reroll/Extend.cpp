//===- Extend.cpp - one more iteration in front of a run ------------------===//
//
// The body is walked backward from its states' next values and, in parallel,
// the graph backward from the initial values, wherever those nodes stand.
//
//===----------------------------------------------------------------------===//
#include "Run.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::reroll;

struct Matcher::Front {
  std::vector<int> nodes;                    // by place; -1 unknown, -2 constant
  SmallVector<std::optional<Ref>> inits;     // by state
  SmallVector<std::pair<int, unsigned>> nowScanned; // operands that were invariant
  SmallVector<int> work;                     // places whose operands are to be bound
};

bool Matcher::bindState(const Run &run, Front &front, int state, Ref ref) {
  std::optional<Ref> &init = front.inits[state];
  if (init)
    return *init == ref;
  if ((!ref.leaf() && inRun(ref.id)) || graph.shapeOf(ref) != graph.shapeOf(run.states[state].init))
    return false;
  init = ref;
  return true;
}

/// A constant of zeros, all bits clear.
static bool isZero(ElementsAttr attr) {
  auto dense = dyn_cast_or_null<DenseElementsAttr>(attr);
  if (!dense || !dense.isSplat())
    return false;
  if (isa<FloatType>(dense.getElementType()))
    return dense.getSplatValue<APFloat>().isPosZero();
  return isa<IntegerType>(dense.getElementType()) && dense.getSplatValue<APInt>().isZero();
}

/// An exporter may have folded what the first iteration does to a state of zeros: a place that only moves elements gives
/// zeros if and only if it reads zeros.
bool Matcher::bindConstant(const Run &run, Front &front, int place, Ref ref) {
  static const llvm::StringSet<> moves = {"Unsqueeze", "Squeeze", "Reshape", "Transpose", "Flatten", "Expand"};
  const Label &label = graph.labelOf(run.model(place));
  if (label.loop || label.original || label.domain || !moves.contains(label.type) || !isZero(graph.constantOf(ref)) ||
      graph.shapeOf(ref) != label.shapes[0] || run.classes[place].empty())
    return false;
  if (front.nodes[place] != -1)
    return front.nodes[place] == -2;
  for (auto &cls : llvm::drop_begin(run.classes[place]))
    if (cls.kind != OperandClass::Invariant)
      return false;
  front.nodes[place] = -2;
  auto zerosOf = [&](Type type) -> std::optional<Ref> {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor || !tensor.hasStaticShape())
      return std::nullopt;
    Builder b(graph.getContext());
    return graph.constant(cast<ElementsAttr>(DenseElementsAttr::get(tensor, b.getZeroAttr(tensor.getElementType()))));
  };
  const OperandClass &data = run.classes[place][0];
  if (data.kind == OperandClass::Carried) {
    std::optional<Ref> zeros = zerosOf(graph.typeOf(run.states[data.id].init));
    return zeros && bindState(run, front, data.id, *zeros);
  }
  if (data.kind != OperandClass::Internal)
    return false;
  std::optional<Ref> zeros = zerosOf(graph.labelOf(run.model(data.id)).types[data.res]);
  return zeros && bindConstant(run, front, data.id, *zeros);
}

/// The value that the place has in the iteration.
bool Matcher::bind(const Run &run, Front &front, int place, Ref ref) {
  if (ref.leaf())
    return bindConstant(run, front, place, ref);
  int &node = front.nodes[place];
  if (node != -1)
    return node == ref.id;
  if (!isFree(ref.id) || graph.nodes[ref.id].label != graph.nodes[run.model(place)].label)
    return false;
  node = ref.id;
  front.work.push_back(place);
  return true;
}

bool Matcher::bindOperands(const Run &run, Front &front, int place) {
  const Node &node = graph.nodes[front.nodes[place]];
  for (auto [q, cls] : llvm::enumerate(run.classes[place])) {
    Ref ref = node.operands[q];
    switch (cls.kind) {
    case OperandClass::Internal:
      if ((!ref.leaf() && ref.res != cls.res) || !bind(run, front, cls.id, ref))
        return false;
      break;
    case OperandClass::Carried:
      if (!bindState(run, front, cls.id, ref))
        return false;
      break;
    case OperandClass::Invariant:
      if (ref == cls.value)
        break;
      if (!areScanned(place, q, run, ref, cls.value))
        return false;
      front.nowScanned.push_back({place, q});
      break;
    case OperandClass::Scanned: {
      int model = run.model(place);
      if (!areScanned(place, q, run, ref, graph.nodes[model].operands[q]))
        return false;
      break;
    }
    }
  }
  return true;
}

bool Matcher::prepend(Run &run) {
  Front front;
  front.nodes.assign(run.places(), -1);
  front.inits.resize(run.states.size());
  for (const Run::State &state : run.states)
    if ((!state.init.leaf() && state.init.res != state.res) || !bind(run, front, state.place, state.init))
      return false;
  while (!front.work.empty())
    if (!bindOperands(run, front, front.work.pop_back_val()))
      return false;
  for (auto [state, init] : llvm::zip(run.states, front.inits))
    if (!init)
      return false;
  // At least one node must be there: zeros alone could be taken back for ever.
  if (llvm::all_of(front.nodes, [](int id) { return id < 0; }))
    return false;
  for (auto [state, init] : llvm::zip(run.states, front.inits))
    state.init = *init;
  for (auto [place, q] : front.nowScanned)
    run.classes[place][q].kind = OperandClass::Scanned;
  for (auto [place, id] : llvm::enumerate(front.nodes)) {
    id = std::max(id, -1);
    if (id >= 0)
      enter(id, place, run.trip());
  }
  run.backward.push_back(std::move(front.nodes));
  return true;
}
