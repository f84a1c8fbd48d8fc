//===- Extend.cpp - one more iteration at an end of a run -----------------===//
//
// The body is walked backward from its states' next values and, in parallel,
// the graph backward from the initial values, wherever those nodes stand.
//
//===----------------------------------------------------------------------===//
#include "Run.h"
#include <cmath>

using namespace mlir;
using namespace lnn;
using namespace lnn::reroll;

struct Matcher::Front {
  std::vector<int> nodes;                // by place; -1 unknown, -2 constant
  SmallVector<std::optional<Ref>> inits; // by state
  SmallVector<std::pair<int, unsigned>>
      nowScanned;                     // operands that were invariant
  llvm::DenseMap<int, Ref> constants; // of places that are constant
  SmallVector<int> work;              // places whose operands are to be bound
};

bool Matcher::bindState(const Run &run, Front &front, int state, Ref ref) {
  std::optional<Ref> &init = front.inits[state];
  int first = run.backward.back()[run.states[state].place];
  if (init)
    return *init == ref ||
           refuse(first, "would begin from both " + describeOperand(*init) +
                             " and " + describeOperand(ref));
  if (graph.shapeOf(ref) != graph.shapeOf(run.states[state].init))
    return refuse(first, "would begin from " + describeOperand(ref) +
                             ", of another shape");
  init = ref;
  return true;
}

/// The values that a place has in an iteration whose states are zeros, where
/// they follow from constants; `states` gets the states that it reads.
std::optional<Values> Matcher::valueAtZero(const Run &run, int place,
                                           SmallVectorImpl<int> &states,
                                           int depth) {
  const Label &label = graph.labelOf(run.model(place));
  if (depth == 0 || run.classes[place].size() > 4)
    return std::nullopt;
  SmallVector<Values> operands;
  for (const OperandClass &cls : run.classes[place]) {
    std::optional<Values> value;
    if (cls.kind == OperandClass::Internal && cls.res == 0) {
      value = valueAtZero(run, cls.id, states, depth - 1);
    } else if (cls.kind == OperandClass::Carried) {
      value = valuesOf(zerosLike(run.states[cls.id].init), maxFolded);
      states.push_back(cls.id);
    } else if (cls.kind == OperandClass::Invariant) {
      value = valueOf(cls.value, depth - 1);
    }
    if (!value)
      return std::nullopt;
    operands.push_back(std::move(*value));
  }
  return evaluate(label, operands);
}

/// The values of what depends on constants alone.
std::optional<Values> Matcher::valueOf(Ref ref, int depth) {
  if (ref.leaf())
    return valuesOf(graph.constantOf(ref), maxFolded);
  if (depth == 0 || ref.res != 0)
    return std::nullopt;
  SmallVector<Values> operands;
  for (Ref operand : graph.nodes[ref.id].operands) {
    std::optional<Values> value = valueOf(operand, depth - 1);
    if (!value)
      return std::nullopt;
    operands.push_back(std::move(*value));
  }
  return evaluate(graph.labelOf(ref.id), operands);
}

/// A constant of zeros of the value's type, or null.
ElementsAttr Matcher::zerosLike(Ref ref) {
  auto type = dyn_cast<RankedTensorType>(graph.typeOf(ref));
  if (!type || !type.hasStaticShape() || !isa<FloatType>(type.getElementType()))
    return ElementsAttr();
  return DenseElementsAttr::get(
      type, Builder(graph.getContext()).getZeroAttr(type.getElementType()));
}

/// True where an exporter may have folded these values to the constant: equal
/// but for the rounding of float32.
static bool isFolded(const Values &values, const Values &constant) {
  if (values.elements.size() != constant.elements.size())
    return false;
  double scale = 0;
  for (double v : constant.elements)
    scale = std::max(scale, std::fabs(v));
  for (auto [v, c] : llvm::zip(values.elements, constant.elements))
    if (!(std::fabs(v - c) <= 5e-7 * scale))
      return false;
  return true;
}

/// An exporter may have folded what the first iteration computes from states of
/// zeros. Where it is a constant that these give, the iteration is like the
/// others, and computes it.
bool Matcher::bindConstant(const Run &run, Front &front, int place, Ref ref) {
  if (front.nodes[place] != -1)
    return front.nodes[place] == -2 && front.constants.lookup(place) == ref;
  std::optional<Values> constant = valuesOf(graph.constantOf(ref), maxFolded);
  if (!constant ||
      graph.shapeOf(ref) != graph.labelOf(run.model(place)).shapes[0])
    return false;
  SmallVector<int> states;
  std::optional<Values> values = valueAtZero(run, place, states, 32);
  if (!values || states.empty() || !isFolded(*values, *constant))
    return false;
  for (int state : states)
    if (!bindState(run, front, state,
                   graph.constant(zerosLike(run.states[state].init))))
      return false;
  front.nodes[place] = -2;
  front.constants[place] = ref;
  return true;
}

/// The value that the place has in the iteration.
bool Matcher::bind(const Run &run, Front &front, int place, Ref ref) {
  int &node = front.nodes[place];
  int like = run.model(place);
  auto differs = [&] {
    // What a loop begins with is what it is.
    bool begins = llvm::any_of(run.states, [&](const Run::State &state) {
      return state.place == place && state.init == ref;
    });
    return !begins && refuse(like, "has " + describeOperand(ref) +
                                       " in its place in a step before");
  };
  if (ref.leaf())
    return bindConstant(run, front, place, ref) || differs();
  if (node != -1)
    return node == ref.id ||
           refuse(like, "has both " + describeOperand({node, 0}) + " and " +
                            describeOperand(ref) +
                            " in its place in a step before");
  // Two iterations may have the same node at one place: equal ones were merged.
  bool shared = inRun(ref.id) && placeOf[ref.id] == place;
  if ((!isFree(ref.id) && !shared) ||
      graph.nodes[ref.id].label != graph.nodes[like].label)
    return differs();
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
        return refuse(front.nodes[place], "reads " + describeOperand(ref) +
                                              " where all later steps read " +
                                              describeOperand(cls.value));
      front.nowScanned.push_back({place, q});
      break;
    case OperandClass::Scanned: {
      int model = run.model(place);
      if (!areScanned(place, q, run, ref, graph.nodes[model].operands[q]))
        return refuse(front.nodes[place],
                      "reads " + describeOperand(ref) + ", not a constant");
      break;
    }
    }
  }
  return true;
}

/// Binds an iteration whose states' next values are `roots`. False where there
/// is none.
bool Matcher::bindIteration(const Run &run, Front &front, ArrayRef<Ref> roots) {
  work += run.places();
  front.nodes.assign(run.places(), -1);
  front.inits.resize(run.states.size());
  for (auto [state, root] : llvm::zip(run.states, roots))
    if ((!root.leaf() && root.res != state.res) ||
        !bind(run, front, state.place, root))
      return false;
  while (!front.work.empty())
    if (!bindOperands(run, front, front.work.pop_back_val()))
      return false;
  if (!llvm::all_of(front.inits, [](auto &init) { return init.has_value(); }))
    return false;
  // At least one node must be there: zeros alone could be taken back for ever.
  return llvm::any_of(front.nodes, [](int id) { return id >= 0; });
}

bool Matcher::prepend(Run &run) {
  Front front;
  SmallVector<Ref> roots = llvm::map_to_vector(
      run.states, [](const Run::State &state) { return state.init; });
  if (!bindIteration(run, front, roots))
    return false;
  for (std::optional<Ref> &init : front.inits)
    if (!init->leaf() && inRun(init->id))
      return false;
  for (auto [state, init] : llvm::zip(run.states, front.inits))
    state.init = *init;
  for (auto [place, q] : front.nowScanned)
    run.classes[place][q].kind = OperandClass::Scanned;
  for (auto [place, id] : llvm::enumerate(front.nodes)) {
    id = std::max(id, -1);
    if (id >= 0 && !inRun(id))
      enter(id, place, run.trip());
  }
  run.backward.push_back(std::move(front.nodes));
  return true;
}

/// The places and operands that lead from a state to the next value of one, by
/// the shortest way.
SmallVector<std::pair<int, unsigned>> Matcher::wayThrough(const Run &run,
                                                          int from, int to) {
  int goal = run.states[to].place;
  std::vector<std::pair<int, unsigned>> via(
      run.places(), {-2, 0}); // the place before, operand
  SmallVector<int> queue;
  auto reach = [&](int place, int before, unsigned operand) {
    if (via[place].first != -2)
      return;
    via[place] = {before, operand};
    queue.push_back(place);
  };
  auto users = [&](auto &&isRead, int before) {
    for (int place = 0; place < run.places(); ++place)
      for (auto [q, cls] : llvm::enumerate(run.classes[place]))
        if (isRead(cls))
          reach(place, before, q);
  };
  users(
      [&](const OperandClass &cls) {
        return cls.kind == OperandClass::Carried && cls.id == from;
      },
      -1);
  for (unsigned i = 0; i < queue.size() && via[goal].first == -2; ++i)
    users(
        [&, at = queue[i]](const OperandClass &cls) {
          return cls.kind == OperandClass::Internal && cls.id == at;
        },
        queue[i]);
  SmallVector<std::pair<int, unsigned>> way;
  if (via[goal].first == -2)
    return way;
  for (int place = goal; place >= 0; place = via[place].first)
    way.push_back({place, via[place].second});
  std::reverse(way.begin(), way.end());
  return way;
}

/// Nodes that may be the next value of state `to` in the iteration behind the
/// last.
SmallVector<Ref> Matcher::nextValues(const Run &run, int to) {
  SmallVector<Ref> found;
  for (unsigned from = 0; from < run.states.size() && found.empty(); ++from) {
    SmallVector<std::pair<int, unsigned>> way = wayThrough(run, from, to);
    const Run::State &state = run.states[from];
    SmallVector<std::pair<int, unsigned>> stack; // node, steps of the way done
    if (!way.empty() && run.backward[0][state.place] >= 0)
      stack.push_back({run.backward[0][state.place], 0});
    for (int guard = 0; !stack.empty() && guard < 64; ++guard) {
      auto [id, done] = stack.pop_back_val();
      if (done == way.size()) {
        found.push_back({id, run.states[to].res});
        continue;
      }
      auto [place, operand] = way[done];
      for (Graph::Use use : graph.usesOf(id))
        if (use.user >= 0 && use.operand == int(operand) && isFree(use.user) &&
            graph.nodes[use.user].label == graph.nodes[run.model(place)].label)
          stack.push_back({use.user, done + 1});
    }
  }
  return found;
}

/// One more iteration behind the run.
bool Matcher::append(Run &run) {
  SmallVector<Ref> roots;
  for (unsigned state = 0; state < run.states.size(); ++state) {
    SmallVector<Ref> candidates = nextValues(run, state);
    if (candidates.size() != 1)
      return false; // none, or no telling which
    roots.push_back(candidates[0]);
  }
  Front front;
  if (!bindIteration(run, front, roots))
    return false;
  for (auto [state, init] : llvm::zip(run.states, front.inits))
    if (*init != Ref{run.backward[0][state.place], state.res})
      return false;
  for (auto [place, q] : front.nowScanned)
    run.classes[place][q].kind = OperandClass::Scanned;
  for (int i = run.trip() - 1; i >= 0; --i)
    for (int id : run.backward[i])
      if (id >= 0 && iterationOf[id] == i)
        ++iterationOf[id];
  for (auto [place, id] : llvm::enumerate(front.nodes))
    if (id >= 0)
      enter(id, place, 0);
  run.backward.insert(run.backward.begin(), std::move(front.nodes));
  return true;
}
