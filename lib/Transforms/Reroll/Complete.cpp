//===- Complete.cpp - what a loop may hold, and what else it should -------===//
//
// A run becomes one node: nothing it takes from outside may depend on what it
// computes. And what each iteration's values alone are used for (an output map,
// an Unsqueeze for the Concat that collects them) belongs inside.
//
//===----------------------------------------------------------------------===//
#include "Run.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::reroll;

/// Keeps the last `trip` iterations.
bool Matcher::truncate(Run &run, int trip) {
  if (trip < 2)
    return false;
  for (Run::State &state : run.states) {
    int id = run.backward[trip][state.place];
    if (id < 0)
      return false;
    state.init = {id, state.res};
  }
  for (int i = trip; i < run.trip(); ++i)
    for (int id : run.backward[i])
      if (id >= 0 &&
          iterationOf[id] >= trip) // else a kept iteration has it too
        owner[id] = 0;
  run.backward.resize(trip);
  return true;
}

static int firstPosition(const Graph &graph, const Run &run) {
  int first = graph.order.size();
  for (auto &iteration : run.backward)
    for (int id : iteration)
      if (id >= 0)
        first = std::min(first, graph.position[id]);
  return first;
}

std::vector<char> lnn::reroll::inputPlaces(const Graph &graph, const Run &run) {
  static const llvm::StringSet<> moves = {"Gather",    "Slice",   "Squeeze",
                                          "Unsqueeze", "Reshape", "Transpose",
                                          "Flatten",   "Cast"};
  std::vector<char> result(run.places(), 1);
  for (bool changed = true; changed;) {
    changed = false;
    for (int place = 0; place < run.places(); ++place) {
      const Label &label = graph.labelOf(run.model(place));
      bool moving = !label.loop && !label.original && !label.domain &&
                    moves.contains(label.type);
      for (const OperandClass &cls : run.classes[place])
        moving &= cls.kind != OperandClass::Carried &&
                  (cls.kind != OperandClass::Internal || result[cls.id]);
      if (result[place] && !moving) {
        result[place] = 0;
        changed = true;
      }
    }
  }
  return result;
}

/// A node that computes a few integers, as those of sizes are computed.
static bool isSizeArithmetic(const Label &label) {
  static const llvm::StringSet<> arithmetic = {
      "Gather", "Slice", "Squeeze", "Unsqueeze", "Reshape", "Concat", "Cast",
      "Add",    "Sub",   "Mul",     "Div",       "Equal",   "Where"};
  auto isSmall = [](Type type) {
    auto shaped = dyn_cast<RankedTensorType>(type);
    return shaped && shaped.hasStaticShape() && shaped.getRank() <= 1 &&
           shaped.getElementType().isInteger();
  };
  return !label.loop && !label.original && !label.domain &&
         arithmetic.contains(label.type) && llvm::all_of(label.types, isSmall);
}

static bool takesSize(const Label &label) {
  return label.is("Shape") || label.is("Size");
}

std::vector<char> lnn::reroll::sizePlaces(const Graph &graph, const Run &run) {
  std::vector<char> result(run.places(), 1);
  for (bool changed = true; changed;) {
    changed = false;
    for (int place = 0; place < run.places(); ++place) {
      const Label &label = graph.labelOf(run.model(place));
      bool first = takesSize(label),
           counts =
               (first || isSizeArithmetic(label)) && run.node(0, place) >= 0;
      for (const OperandClass &cls : run.classes[place])
        counts &=
            cls.kind == OperandClass::Invariant ||
            (first && cls.kind == OperandClass::Carried) ||
            (!first && cls.kind == OperandClass::Internal && result[cls.id]);
      if (result[place] && !counts) {
        result[place] = 0;
        changed = true;
      }
    }
  }
  return result;
}

bool lnn::reroll::carriesSizes(const Graph &graph, const Run &run) {
  std::vector<char> ofSizes(run.places(), 0);
  for (bool changed = true; changed;) {
    changed = false;
    for (int place = 0; place < run.places(); ++place) {
      const Label &label = graph.labelOf(run.model(place));
      bool counts = takesSize(label);
      if (!counts && isSizeArithmetic(label))
        for (const OperandClass &cls : run.classes[place])
          counts |= cls.kind == OperandClass::Internal && ofSizes[cls.id];
      if (counts && !ofSizes[place]) {
        ofSizes[place] = 1;
        changed = true;
      }
    }
  }
  return llvm::any_of(run.states, [&](const Run::State &state) {
    return ofSizes[state.place];
  });
}

/// The latest of the run's iterations (counted backward) that the values depend
/// on. The run's nodes stand at `first` or behind it.
std::optional<int> Matcher::dependsOnRun(const Run &run, ArrayRef<Ref> values) {
  int first = firstPosition(graph, run);
  std::vector<char> input = inputPlaces(graph, run);
  std::optional<int> latest;
  llvm::DenseSet<int> seen;
  SmallVector<int> work;
  auto push = [&](Ref ref) {
    ref = graph.resolve(ref);
    if (ref.leaf() || graph.position[ref.id] < first ||
        !seen.insert(ref.id).second)
      return;
    if (inRun(ref.id) && !input[placeOf[ref.id]])
      latest =
          std::min(latest.value_or(iterationOf[ref.id]), iterationOf[ref.id]);
    else
      work.push_back(ref.id);
  };
  llvm::for_each(values, push);
  while (!work.empty())
    llvm::for_each(graph.nodes[work.pop_back_val()].operands, push);
  return latest;
}

bool Matcher::makeLegal(Run &run) {
  while (true) {
    SmallVector<Ref> outer;
    for (Run::State &state : run.states)
      outer.push_back(state.init);
    for (auto &classes : run.classes)
      for (OperandClass &cls : classes)
        if (cls.kind == OperandClass::Invariant)
          outer.push_back(cls.value);
    std::optional<int> latest = dependsOnRun(run, outer);
    if (!latest)
      return true;
    if (!truncate(run, *latest))
      return false;
  }
}

bool Matcher::complete(Run &run) {
  // A copy in another run may have replaced what this one took from outside.
  if (!makeLegal(run))
    return false;
  absorbUsers(run);
  return true;
}

//===----------------------------------------------------------------------===//
// Users
//===----------------------------------------------------------------------===//

/// Places that may be added to a run, together or not at all.
struct Matcher::Addition {
  std::vector<std::vector<int>> nodes; // by place, by iteration
  std::vector<SmallVector<OperandClass, 3>> classes;
  llvm::DenseMap<int, std::pair<int, int>> at; // node -> place, iteration
  SmallVector<Ref> invariants;
};

int Matcher::addPlace(const Run &run, Addition &addition,
                      std::vector<int> nodes) {
  int place = run.places() + addition.nodes.size();
  for (auto [i, id] : llvm::enumerate(nodes))
    if (id >= 0)
      addition.at[id] = {place, int(i)};
  addition.nodes.push_back(std::move(nodes));
  return place;
}

/// What an operand of nodes that no iteration has yet is, over all iterations.
std::optional<OperandClass> Matcher::classifyAll(const Run &run,
                                                 Addition &addition, int place,
                                                 unsigned operand,
                                                 ArrayRef<int> nodes) {
  auto refAt = [&](int i) { return graph.nodes[nodes[i]].operands[operand]; };
  auto all = [&](auto &&holds) {
    for (int i = 0, e = nodes.size(); i < e; ++i)
      if (nodes[i] >= 0 && !holds(i, refAt(i)))
        return false;
    return true;
  };
  int m = llvm::find_if(nodes, [](int id) { return id >= 0; }) - nodes.begin();
  Ref first = refAt(m);
  auto known = [&](Ref ref) {
    return !ref.leaf() && (inRun(ref.id) || addition.at.contains(ref.id));
  };
  if (all([&](int, Ref ref) { return ref == first; })) {
    if (known(first))
      return std::nullopt;
    addition.invariants.push_back(first);
    return OperandClass{OperandClass::Invariant, 0, 0, first};
  }
  const Label &label = graph.labelOf(nodes[m]);
  if (all([&](int, Ref ref) {
        ElementsAttr c = graph.constantOf(ref);
        return c && c.getType() == graph.typeOf(first) &&
               mayScan(label, operand, c.getType());
      }))
    return OperandClass{OperandClass::Scanned, 0, 0, {}};
  if (all([&](int i, Ref ref) {
        return !ref.leaf() && inRun(ref.id) && ref.res == first.res &&
               placeOf[ref.id] == placeOf[first.id] &&
               iterationOf[ref.id] == run.trip() - 1 - i;
      }))
    return OperandClass{
        OperandClass::Internal, placeOf[first.id], first.res, {}};
  for (auto [s, state] : llvm::enumerate(run.states))
    if (all([&](int i, Ref ref) {
          return ref == (i == 0 ? state.init
                                : Ref{run.node(i - 1, state.place), state.res});
        }))
      return OperandClass{OperandClass::Carried, int(s), 0, {}};
  if (first.leaf() || inRun(first.id))
    return std::nullopt;
  if (auto it = addition.at.find(first.id); it != addition.at.end()) {
    int other = it->second.first;
    if (all([&](int i, Ref ref) {
          auto at = ref.leaf() ? addition.at.end() : addition.at.find(ref.id);
          return at != addition.at.end() && at->second == std::pair(other, i) &&
                 ref.res == first.res;
        }))
      return OperandClass{OperandClass::Internal, other, first.res, {}};
    return std::nullopt;
  }
  llvm::DenseSet<int> distinct;
  if (!all([&](int, Ref ref) {
        return !ref.leaf() && !known(ref) && isFree(ref.id) &&
               ref.res == first.res && distinct.insert(ref.id).second &&
               graph.position[ref.id] >= 0 &&
               graph.nodes[ref.id].label == graph.nodes[first.id].label;
      }))
    return std::nullopt;
  std::vector<int> added(nodes.size(), -1);
  for (int i = 0, e = nodes.size(); i < e; ++i)
    if (nodes[i] >= 0)
      added[i] = refAt(i).id;
  return OperandClass{OperandClass::Internal,
                      addPlace(run, addition, std::move(added)),
                      first.res,
                      {}};
}

/// The user's like in each iteration, and what else they need, as new places.
bool Matcher::absorbUser(Run &run, int place, Graph::Use use) {
  int trip = run.trip(), missing = 0;
  const Node &model = graph.nodes[use.user];
  std::vector<int> users(trip, -1);
  llvm::DenseSet<int> taken;
  for (int i = 0; i < trip; ++i) {
    int id = run.node(i, place), best = -1;
    for (Graph::Use other :
         id < 0 ? ArrayRef<Graph::Use>() : graph.usesOf(id)) {
      if (other.user < 0 || other.operand != use.operand ||
          !isFree(other.user) || taken.contains(other.user) ||
          graph.nodes[other.user].label != model.label)
        continue;
      int equal = 0;
      for (auto [a, b] :
           llvm::zip(graph.nodes[other.user].operands, model.operands))
        equal += a == b;
      if (equal > best) {
        best = equal;
        users[i] = other.user;
      }
    }
    missing += best < 0;
    if (missing > 1 || missing >= trip - 1)
      return false;
    taken.insert(users[i]);
  }
  Addition addition;
  addPlace(run, addition, users);
  for (unsigned p = 0; p < addition.nodes.size(); ++p) {
    if (addition.nodes.size() > 64)
      return false;
    std::vector<int> nodes = addition.nodes[p];
    int some = *llvm::find_if(nodes, [](int id) { return id >= 0; });
    addition.classes.emplace_back();
    for (unsigned q = 0; q < graph.nodes[some].operands.size(); ++q) {
      std::optional<OperandClass> cls =
          classifyAll(run, addition, run.places() + p, q, nodes);
      if (!cls)
        return false;
      addition.classes[p].push_back(*cls);
    }
  }
  int before = run.places();
  for (auto &nodes : addition.nodes)
    for (int i = 0; i < trip; ++i) {
      run.backward[trip - 1 - i].push_back(nodes[i]);
      if (nodes[i] >= 0)
        enter(nodes[i], run.backward[trip - 1 - i].size() - 1, trip - 1 - i);
    }
  llvm::append_range(run.classes, addition.classes);
  if (!dependsOnRun(run, addition.invariants))
    return true;
  for (auto &nodes : addition.nodes)
    for (int id : nodes)
      if (id >= 0)
        owner[id] = 0;
  for (auto &iteration : run.backward)
    iteration.resize(before);
  run.classes.resize(before);
  return false;
}

void Matcher::absorbUsers(Run &run) {
  int middle = run.trip() / 2;
  for (int place = 0; place < run.places(); ++place) {
    int id = run.node(middle, place);
    if (id < 0)
      continue;
    for (Graph::Use use : graph.usesOf(id))
      if (use.user >= 0 && isFree(use.user))
        absorbUser(run, place, use);
  }
}
