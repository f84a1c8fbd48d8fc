//===- OnnxReroll.cpp - unrolled loops of an ONNX graph become loops ------===//
//
// Exporters unroll time steps and solver steps. This pass finds runs of
// isomorphic subgraphs that are chained through carried values and replaces
// each by a Scan or Loop node, inner loops first. What it cannot prove
// isomorphic stays.
//
// The graph is a list of value-numbered nodes. Each round lays them out in
// post-order from the last output, where an unrolled loop is periodic; proposes
// periods from the distances between equal labels; verifies candidates operand
// by operand; extends them to the front; and collapses them to one node, which
// the next round may find repeated.
//
//===----------------------------------------------------------------------===//
#include "lnn/Dialect/Onnx/Onnx.h"
#include "lnn/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"
#include <map>

namespace lnn {
#define GEN_PASS_DEF_ONNXREROLL
#include "lnn/Transforms/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;
using onnx::NodeOp;

namespace {

/// A value of the graph: result `res` of node `id`, or leaf `id` (an argument,
/// an outer value, a constant).
struct Ref {
  bool leaf = true;
  int id = -1, res = 0;
  bool operator==(const Ref &o) const {
    return leaf == o.leaf && id == o.id && res == o.res;
  }
  bool operator!=(const Ref &o) const { return !(*this == o); }
  bool operator<(const Ref &o) const {
    return std::tie(leaf, id, res) < std::tie(o.leaf, o.id, o.res);
  }
  static Ref node(int id, int res = 0) { return {false, id, res}; }
};

/// Where an operand inside a loop's body comes from.
struct BodyRef {
  enum Kind { Internal, State, Slice, Invariant } kind;
  int id = 0, res = 0;
};

/// What a node does, apart from its operands.
struct Desc {
  StringAttr type, domain;
  int64_t opset = 0;
  DictionaryAttr attrs;
  mutable NodeOp original; // its regions are cloned; null for nodes made here without
                   // regions
};

struct Body;

struct Node {
  int label = -1;
  Desc desc;
  std::shared_ptr<Body> loop; // set for a collapsed run
  SmallVector<Ref, 4> operands;
  SmallVector<Type, 1> types;
  Location loc;
  explicit Node(Location loc) : loc(loc) {}
};

struct BodyNode {
  Node node; // its operands are unused
  SmallVector<BodyRef, 4> operands;
};

/// A collapsed run: operands are initial states, then sliced inputs, then
/// invariants.
struct Body {
  int64_t trip = 0;
  unsigned states = 0, slices = 0, invariants = 0;
  std::vector<BodyNode> nodes;
  SmallVector<BodyRef> next;                             // by state
  SmallVector<BodyRef> outputs;                          // stacked
  SmallVector<int64_t> outAxes;                          // by output
  SmallVector<bool> outReverse;                          // by output
  SmallVector<int64_t> inAxes;                           // by sliced input
  SmallVector<bool> inReverse;                           // by sliced input
  SmallVector<Type> stateTypes, sliceTypes, outputTypes; // outputs: of one step
};

/// An operand of the run's body, over all iterations.
struct OperandClass {
  enum Kind { Internal, Carried, Invariant, Scanned } kind;
  int id = 0, res = 0; // Internal: place and result; Carried: state
  Ref invariant;
  std::vector<Ref> scanned; // by iteration
};

/// A verified run: iterations[i][j] is the node at place j of iteration i, or
/// -1 where it is missing and not needed.
struct Run {
  int period = 0;
  std::vector<std::vector<int>> iterations;
  std::vector<SmallVector<OperandClass, 4>> classes; // by place
  struct State {
    int place, res;
    Ref init;
  };
  std::vector<State> states;
  int trip() const { return iterations.size(); }
};

class Reroller {
public:
  Reroller(Block &block, int64_t maxScannedElements)
      : block(block), context(block.getParentOp()->getContext()),
        maxScanned(maxScannedElements) {}
  /// Reads the block. False where it holds something this pass doesn't know.
  bool read();
  /// Collapses until nothing is found; returns the number of loops made.
  unsigned reroll();
  /// Writes the block anew.
  void write();

private:
  Block &block;
  MLIRContext *context;
  int64_t maxScanned;
  std::vector<Node> nodes;
  std::vector<Value> leafValues;       // by leaf; null for a constant made here
  std::vector<ElementsAttr> leafConst; // by leaf; null where it is no constant
  DenseMap<Value, Ref> refs;
  DenseMap<Attribute, int> constants;
  std::map<std::vector<uintptr_t>, int> labels;
  std::map<std::pair<int, std::vector<Ref>>, int> numbered;
  SmallVector<Ref> outputs;
  std::map<Ref, Ref> replaced; // by collapses of this round

  // One round's view.
  std::vector<int> order, position; // position is -1 where dead
  std::vector<std::vector<std::pair<int, int>>>
      uses; // (user, operand); user -1 is an output

  Ref constant(ElementsAttr attr);
  Ref number(Node node);
  int labelOf(const Node &node);
  void layOut();
  void renumber();
  Ref current(Ref ref) const {
    for (auto it = replaced.find(ref); it != replaced.end();
         it = replaced.find(ref))
      ref = it->second;
    return ref;
  }
  SmallVector<int> periods();
  std::optional<Run> bestRun(int begin, int end, int period);
  std::optional<Run> verify(int start, int period, int trip);
  void extendFront(Run &run);
  bool prependOne(Run &run);
  bool legal(const Run &run);
  bool collapse(const Run &run);
  ElementsAttr constOf(Ref ref) const {
    return ref.leaf ? leafConst[ref.id] : ElementsAttr();
  }
  std::optional<int64_t> oneInt(Ref ref) const;
  Ref ints(ArrayRef<int64_t> values, bool scalar = false);
  Node make(StringRef type, ArrayRef<Ref> operands, Type result, Location loc,
            ArrayRef<NamedAttribute> attrs = {});
  Type typeOf(Ref ref) const {
    return ref.leaf ? (leafConst[ref.id] ? leafConst[ref.id].getType()
                                         : leafValues[ref.id].getType())
                    : nodes[ref.id].types[ref.res];
  }
  void replaceUses(Ref from, Ref to, llvm::function_ref<bool(int user)> where);
  int64_t opset = 0;

  SmallVector<Value> emitNode(OpBuilder &b, const Node &node,
                              ValueRange operands);
  SmallVector<Value> emitLoop(OpBuilder &b, const Node &node,
                              ValueRange operands);
};
} // namespace

//===----------------------------------------------------------------------===//
// Reading, numbering
//===----------------------------------------------------------------------===//

Ref Reroller::constant(ElementsAttr attr) {
  auto [it, isNew] = constants.try_emplace(attr, leafConst.size());
  if (isNew) {
    leafConst.push_back(attr);
    leafValues.push_back(Value());
  }
  return {true, it->second, 0};
}

int Reroller::labelOf(const Node &node) {
  std::vector<uintptr_t> key;
  auto add = [&](const void *p) { key.push_back(uintptr_t(p)); };
  for (Type type : node.types)
    add(type.getAsOpaquePointer());
  key.push_back(node.operands.size());
  // An omitted operand is part of what the node does.
  for (Ref ref : node.operands)
    key.push_back(isa<NoneType>(typeOf(ref)));
  if (!node.loop) {
    add(node.desc.type.getAsOpaquePointer());
    add(node.desc.domain.getAsOpaquePointer());
    add(node.desc.attrs.getAsOpaquePointer());
    key.push_back(node.desc.opset);
    if (node.desc.original && !node.desc.original.getBodies().empty())
      add(node.desc.original.getOperation()); // subgraphs are not compared
  } else {
    const Body &body = *node.loop;
    auto ref = [&](const BodyRef &r) {
      key.insert(key.end(),
                 {uintptr_t(r.kind), uintptr_t(r.id), uintptr_t(r.res)});
    };
    key.insert(key.end(), {uintptr_t(body.trip), body.states, body.slices,
                           body.invariants, body.nodes.size()});
    for (const BodyNode &inner : body.nodes) {
      key.push_back(inner.node.label);
      for (const BodyRef &r : inner.operands)
        ref(r);
    }
    for (const BodyRef &r : body.next)
      ref(r);
    for (const BodyRef &r : body.outputs)
      ref(r);
    for (auto list : {&body.outAxes, &body.inAxes})
      key.insert(key.end(), list->begin(), list->end());
    for (auto list : {&body.outReverse, &body.inReverse})
      key.insert(key.end(), list->begin(), list->end());
  }
  return labels.try_emplace(key, labels.size()).first->second;
}

/// The node, or the one there is that computes the same.
Ref Reroller::number(Node node) {
  node.label = labelOf(node);
  std::pair<int, std::vector<Ref>> key{
      node.label, {node.operands.begin(), node.operands.end()}};
  auto [it, isNew] = numbered.try_emplace(key, nodes.size());
  if (isNew)
    nodes.push_back(std::move(node));
  return Ref::node(it->second);
}

bool Reroller::read() {
  auto refOf = [&](Value v) -> Ref {
    auto [it, isNew] = refs.try_emplace(v, Ref());
    if (isNew) {
      it->second = Ref{true, int(leafValues.size()), 0};
      leafValues.push_back(v);
      leafConst.push_back(ElementsAttr());
    }
    return it->second;
  };
  for (Operation &op : block) {
    if (auto cst = dyn_cast<arith::ConstantOp>(op)) {
      auto attr = dyn_cast<ElementsAttr>(cst.getValue());
      if (!attr)
        return false;
      refs[cst.getResult()] = constant(attr);
      continue;
    }
    if (isa<onnx::NoneOp>(op)) {
      refOf(op.getResult(0));
      continue;
    }
    if (op.hasTrait<OpTrait::IsTerminator>()) {
      for (Value v : op.getOperands())
        outputs.push_back(refOf(v));
      continue;
    }
    auto nodeOp = dyn_cast<NodeOp>(op);
    if (!nodeOp)
      return false;
    if (nodeOp.getOpType() == "Identity" && nodeOp.getInputs().size() == 1 &&
        nodeOp.getInputs()[0].getType() == nodeOp.getOutputs()[0].getType()) {
      refs[nodeOp.getOutputs()[0]] = refOf(nodeOp.getInputs()[0]);
      continue;
    }
    Node node(op.getLoc());
    node.desc = {nodeOp.getOpTypeAttr(), nodeOp.getDomainAttr(),
                 int64_t(nodeOp.getOpset()), nodeOp.getNodeAttrsAttr(), nodeOp};
    if (!nodeOp.getDomainAttr())
      opset = std::max<int64_t>(opset, nodeOp.getOpset());
    for (Value v : nodeOp.getInputs())
      node.operands.push_back(refOf(v));
    llvm::append_range(node.types, nodeOp.getResultTypes());
    // What a subgraph captures must be known here by its value.
    for (Region &region : nodeOp.getBodies()) {
      bool captures = false;
      region.walk([&](Operation *inner) {
        for (Value v : inner->getOperands())
          captures |= v.getParentBlock() == &block && v.getDefiningOp() &&
                      !isa<arith::ConstantOp>(v.getDefiningOp());
      });
      if (captures)
        return false;
    }
    Ref ref = number(std::move(node));
    for (auto [i, result] : llvm::enumerate(nodeOp.getOutputs()))
      refs[result] = Ref::node(ref.id, i);
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Layout and candidates
//===----------------------------------------------------------------------===//

/// Post-order from the outputs, the last one first; operands left to right.
void Reroller::layOut() {
  order.clear();
  position.assign(nodes.size(), -1);
  uses.assign(nodes.size(), {});
  std::vector<char> seen(nodes.size(), 0);
  std::vector<std::pair<int, unsigned>> stack;
  for (Ref output : llvm::reverse(outputs)) {
    if (output.leaf || seen[output.id])
      continue;
    stack.push_back({output.id, 0});
    seen[output.id] = 1;
    while (!stack.empty()) {
      auto &[id, next] = stack.back();
      if (next < nodes[id].operands.size()) {
        Ref ref = nodes[id].operands[next++];
        if (!ref.leaf && !seen[ref.id]) {
          seen[ref.id] = 1;
          stack.push_back({ref.id, 0});
        }
        continue;
      }
      position[id] = order.size();
      order.push_back(id);
      stack.pop_back();
    }
  }
  for (int id : order)
    for (auto [q, ref] : llvm::enumerate(nodes[id].operands))
      if (!ref.leaf)
        uses[ref.id].push_back({id, int(q)});
  for (auto [q, ref] : llvm::enumerate(outputs))
    if (!ref.leaf)
      uses[ref.id].push_back({-1, int(q)});
}

/// Distances between neighbours of equal label that are frequent enough,
/// ascending.
SmallVector<int> Reroller::periods() {
  std::map<int, int> last, count;
  for (int i = 0, e = order.size(); i < e; ++i) {
    int label = nodes[order[i]].label;
    auto [it, isNew] = last.try_emplace(label, i);
    if (!isNew) {
      ++count[i - it->second];
      it->second = i;
    }
  }
  SmallVector<int> result;
  for (auto [period, n] : count)
    if (n >= std::min(period, 16))
      result.push_back(period);
  return result;
}

static bool worthwhile(int period, int trip) {
  return trip >= 2 && (trip - 1) * period >= 6 && (trip >= 3 || period >= 8);
}

/// The best way to cut the label-periodic interval [begin, end) into
/// iterations.
std::optional<Run> Reroller::bestRun(int begin, int end, int period) {
  int length = end - begin, trip = length / period;
  // Values that cross a cut in the middle of the interval, by the cut's phase.
  int middle = begin + (trip / 2 - (trip > 2 ? 0 : 1)) * period;
  std::vector<int> crossing(period + 1, 0);
  int from = std::max(0, middle - period);
  for (int i = from; i < std::min<int>(order.size(), middle + period); ++i) {
    int lastUse = -1;
    for (auto [user, q] : uses[order[i]])
      if (user >= 0 && position[user] < end)
        lastUse = std::max(lastUse, position[user]);
    int lo = std::max(i + 1, middle),
        hi = std::min(lastUse, middle + period - 1);
    if (lo <= hi) {
      ++crossing[lo - middle];
      --crossing[hi - middle + 1];
    }
  }
  for (int i = 1; i < period; ++i)
    crossing[i] += crossing[i - 1];
  SmallVector<int> phases = llvm::to_vector(llvm::seq(0, period));
  llvm::stable_sort(phases,
                    [&](int a, int b) { return crossing[a] < crossing[b]; });
  std::optional<Run> best;
  int tries = 0;
  for (int phase : phases) {
    int start = begin + phase;
    int k = (end - start) / period;
    if (!worthwhile(period, k) || ++tries > 24)
      continue;
    std::optional<Run> run = verify(start, period, k);
    // A first or last iteration that differs is left out.
    if (!run && worthwhile(period, k - 1)) {
      run = verify(start + period, period, k - 1);
      if (!run)
        run = verify(start, period, k - 1);
    }
    if (!run)
      continue;
    extendFront(*run);
    if (!legal(*run))
      continue;
    auto rank = [](const Run &r) {
      return std::make_pair(r.trip(), -int(r.states.size()));
    };
    if (!best || rank(*run) > rank(*best))
      best = std::move(run);
  }
  return best;
}

/// Compares `trip` blocks of `period` nodes operand by operand.
std::optional<Run> Reroller::verify(int start, int period, int trip) {
  Run run;
  run.period = period;
  run.iterations.assign(trip, std::vector<int>(period));
  for (int i = 0; i < trip; ++i)
    for (int j = 0; j < period; ++j)
      run.iterations[i][j] = order[start + i * period + j];
  int end = start + trip * period;
  std::map<std::pair<int, int>, int> stateOf;
  run.classes.resize(period);
  for (int j = 0; j < period; ++j) {
    const Node &first = nodes[run.iterations[0][j]];
    for (int i = 1; i < trip; ++i)
      if (nodes[run.iterations[i][j]].label != first.label)
        return std::nullopt;
    for (unsigned q = 0; q < first.operands.size(); ++q) {
      auto at = [&](int i) { return nodes[run.iterations[i][j]].operands[q]; };
      auto placeOf = [&](Ref ref) { return ref.leaf ? -1 : position[ref.id]; };
      auto all = [&](int from, auto &&holds) {
        for (int i = from; i < trip; ++i)
          if (!holds(i))
            return false;
        return true;
      };
      OperandClass cls;
      Ref second = at(1);
      int place = placeOf(second);
      bool inside = !second.leaf && place >= start && place < end;
      if (all(1, [&](int i) { return at(i) == at(0); })) {
        if (inside || (placeOf(at(0)) >= start && placeOf(at(0)) < end))
          return std::nullopt; // shared by all, yet computed inside
        cls.kind = OperandClass::Invariant;
        cls.invariant = at(0);
      } else if (inside && place >= start + period && all(0, [&](int i) {
                   return !at(i).leaf && at(i).res == second.res &&
                          placeOf(at(i)) == place + (i - 1) * period;
                 })) {
        cls.kind = OperandClass::Internal;
        cls.id = place - start - period;
        cls.res = second.res;
        if (cls.id >= j)
          return std::nullopt;
      } else if (inside && place < start + period &&
                 all(
                     1,
                     [&](int i) {
                       return !at(i).leaf && at(i).res == second.res &&
                              placeOf(at(i)) == place + (i - 1) * period;
                     })) {
        Ref init = at(0);
        int initPlace = placeOf(init);
        if (initPlace >= start && initPlace < end)
          return std::nullopt;
        auto [it, isNew] =
            stateOf.try_emplace({place - start, second.res}, run.states.size());
        if (isNew)
          run.states.push_back({place - start, second.res, init});
        else if (run.states[it->second].init != init)
          return std::nullopt;
        if (typeOf(init) !=
            nodes[run.iterations[0][place - start]].types[second.res])
          return std::nullopt;
        cls.kind = OperandClass::Carried;
        cls.id = it->second;
      } else if (all(0, [&](int i) {
                   ElementsAttr c = constOf(at(i));
                   return c && c.getType() == constOf(at(0)).getType() &&
                          c.getNumElements() <= maxScanned;
                 })) {
        cls.kind = OperandClass::Scanned;
        for (int i = 0; i < trip; ++i)
          cls.scanned.push_back(at(i));
      } else {
        return std::nullopt;
      }
      run.classes[j].push_back(cls);
    }
  }
  if (run.states.empty())
    return std::nullopt;
  return run;
}

//===----------------------------------------------------------------------===//
// Extension and legality
//===----------------------------------------------------------------------===//

/// Matches one more iteration in front of the run: backward from the initial
/// values, then forward for what only outputs read.
bool Reroller::prependOne(Run &run) {
  int period = run.period;
  std::vector<int> match(period, -1);
  std::vector<std::optional<Ref>> init(run.states.size());
  std::map<std::pair<int, int>, Ref> scanned;
  DenseMap<int, int> inRun;
  for (auto &iteration : run.iterations)
    for (int id : iteration)
      if (id >= 0)
        inRun[id] = 1;
  SmallVector<int> work;
  auto bind = [&](int place, int id) {
    if (match[place] >= 0)
      return match[place] == id;
    if (inRun.count(id) ||
        nodes[id].label != nodes[run.iterations.back()[place]].label)
      return false;
    match[place] = id;
    work.push_back(place);
    return true;
  };
  auto bindState = [&](int state, Ref ref) {
    if (init[state])
      return *init[state] == ref;
    if (typeOf(ref) != typeOf(run.states[state].init))
      return false;
    init[state] = ref;
    return true;
  };
  auto operandsAgree = [&](int place, int id) {
    for (auto [q, cls] : llvm::enumerate(run.classes[place])) {
      Ref ref = nodes[id].operands[q];
      switch (cls.kind) {
      case OperandClass::Internal:
        if (ref.leaf || ref.res != cls.res || !bind(cls.id, ref.id))
          return false;
        break;
      case OperandClass::Carried:
        if (!bindState(cls.id, ref))
          return false;
        break;
      case OperandClass::Invariant:
        if (ref != cls.invariant)
          return false;
        break;
      case OperandClass::Scanned: {
        ElementsAttr c = constOf(ref);
        if (!c || c.getType() != constOf(cls.scanned[0]).getType())
          return false;
        scanned[{place, int(q)}] = ref;
        break;
      }
      }
    }
    return true;
  };
  auto drain = [&] {
    while (!work.empty()) {
      int place = work.pop_back_val();
      if (!operandsAgree(place, match[place]))
        return false;
    }
    return true;
  };
  for (auto &state : run.states) {
    if (state.init.leaf || state.init.res != state.res ||
        !bind(state.place, state.init.id))
      return false;
  }
  if (!drain())
    return false;
  for (auto &i : init)
    if (!i)
      return false;
  // What only outputs read: found through its operands. Missing is fine, it is
  // dead there.
  for (int place = 0; place < period; ++place) {
    if (match[place] >= 0)
      continue;
    int model = run.iterations.back()[place];
    std::vector<std::optional<Ref>> wanted;
    Ref via;
    for (auto &cls : run.classes[place]) {
      std::optional<Ref> ref;
      if (cls.kind == OperandClass::Internal && match[cls.id] >= 0)
        ref = Ref::node(match[cls.id], cls.res);
      else if (cls.kind == OperandClass::Carried)
        ref = *init[cls.id];
      else if (cls.kind == OperandClass::Invariant)
        ref = cls.invariant;
      if (ref && !ref->leaf && cls.kind != OperandClass::Invariant)
        via = *ref;
      wanted.push_back(ref);
    }
    if (via.leaf)
      continue;
    for (auto [user, q] : uses[via.id]) {
      if (user < 0 || nodes[user].label != nodes[model].label ||
          inRun.count(user))
        continue;
      bool same = true;
      for (auto [w, have] : llvm::zip(wanted, nodes[user].operands))
        same &= !w || *w == have;
      if (!same)
        continue;
      match[place] = user;
      if (operandsAgree(place, user) && drain())
        break;
      return false;
    }
  }
  // A missing node that a matched one needs would have been bound; scanned
  // constants of a missing one repeat.
  run.iterations.insert(run.iterations.begin(), match);
  for (int place = 0; place < period; ++place)
    for (auto [q, cls] : llvm::enumerate(run.classes[place]))
      if (cls.kind == OperandClass::Scanned) {
        auto it = scanned.find({place, int(q)});
        cls.scanned.insert(cls.scanned.begin(),
                           it != scanned.end() ? it->second : cls.scanned[0]);
      }
  for (auto [state, i] : llvm::zip(run.states, init))
    state.init = *i;
  return true;
}

void Reroller::extendFront(Run &run) {
  for (int guard = 0; guard < 1 << 20; ++guard) {
    Run trial = run;
    if (!prependOne(trial) || !legal(trial))
      return;
    run = std::move(trial);
  }
}

/// Nothing that the loop takes from outside may depend on what it computes.
bool Reroller::legal(const Run &run) {
  DenseMap<int, int> inRun;
  int first = order.size();
  for (auto &iteration : run.iterations)
    for (int id : iteration)
      if (id >= 0) {
        inRun[id] = 1;
        first = std::min(first, position[id]);
      }
  DenseMap<int, int> seen;
  SmallVector<int> work;
  auto push = [&](Ref ref) {
    if (!ref.leaf && position[ref.id] >= first &&
        seen.try_emplace(ref.id, 1).second)
      work.push_back(ref.id);
  };
  for (auto &state : run.states)
    push(state.init);
  for (auto &classes : run.classes)
    for (auto &cls : classes)
      if (cls.kind == OperandClass::Invariant)
        push(cls.invariant);
  while (!work.empty()) {
    int id = work.pop_back_val();
    if (inRun.count(id))
      return false;
    for (Ref ref : nodes[id].operands)
      push(ref);
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Collapse
//===----------------------------------------------------------------------===//

std::optional<int64_t> Reroller::oneInt(Ref ref) const {
  ElementsAttr attr = constOf(ref);
  if (!attr || attr.getNumElements() != 1 ||
      !attr.getElementType().isInteger(64))
    return std::nullopt;
  auto dense = dyn_cast<DenseElementsAttr>(attr);
  return dense ? std::optional((*dense.value_begin<APInt>()).getSExtValue())
               : std::nullopt;
}

Ref Reroller::ints(ArrayRef<int64_t> values, bool scalar) {
  Type i64 = IntegerType::get(context, 64);
  auto type = scalar ? RankedTensorType::get({}, i64)
                     : RankedTensorType::get({int64_t(values.size())}, i64);
  return constant(cast<ElementsAttr>(DenseElementsAttr::get(type, values)));
}

Node Reroller::make(StringRef type, ArrayRef<Ref> operands, Type result,
                    Location loc, ArrayRef<NamedAttribute> attrs) {
  Node node(loc);
  node.desc = {StringAttr::get(context, type), StringAttr(), opset,
               DictionaryAttr::get(context, attrs), NodeOp()};
  node.operands.assign(operands.begin(), operands.end());
  node.types.push_back(result);
  return node;
}

static RankedTensorType without(RankedTensorType type, int64_t axis) {
  SmallVector<int64_t> shape(type.getShape());
  shape.erase(shape.begin() + axis);
  return RankedTensorType::get(shape, type.getElementType());
}

static RankedTensorType with(RankedTensorType type, int64_t axis,
                             int64_t size) {
  SmallVector<int64_t> shape(type.getShape());
  shape.insert(shape.begin() + axis, size);
  return RankedTensorType::get(shape, type.getElementType());
}

namespace {
/// A body place that is a slice at a running index of one outer tensor.
struct RunningSlice {
  Ref data;
  int64_t axis = 0, first = 0, step = 0; // step is 1 or -1
  bool keepsAxis = false;
};
} // namespace

/// All the constants as one, along a new first axis.
static ElementsAttr stack(ArrayRef<DenseElementsAttr> parts) {
  auto type = cast<RankedTensorType>(parts[0].getType());
  SmallVector<Attribute> values;
  for (DenseElementsAttr part : parts)
    llvm::append_range(values, part.getValues<Attribute>());
  return cast<ElementsAttr>(
      DenseElementsAttr::get(with(type, 0, parts.size()), values));
}

bool Reroller::collapse(const Run &run) {
  int period = run.period, trip = run.trip();
  auto body = std::make_shared<Body>();
  body->trip = trip;
  Location loc = nodes[run.iterations.back()[0]].loc;
  SmallVector<Ref> sliceOperands, invariants;
  std::map<Ref, int> invariantIndex;
  auto invariant = [&](Ref old) -> BodyRef {
    Ref ref = current(old);
    auto [it, isNew] = invariantIndex.try_emplace(ref, invariants.size());
    if (isNew)
      invariants.push_back(ref);
    return {BodyRef::Invariant, it->second, 0};
  };
  auto addSlice = [&](Ref data, int64_t axis, bool reverse) -> BodyRef {
    sliceOperands.push_back(data);
    body->inAxes.push_back(axis);
    body->inReverse.push_back(reverse);
    body->sliceTypes.push_back(
        without(cast<RankedTensorType>(typeOf(data)), axis));
    return {BodyRef::Slice, int(sliceOperands.size()) - 1, 0};
  };
  auto progression =
      [&](const OperandClass &cls,
          int64_t size) -> std::optional<std::pair<int64_t, int64_t>> {
    SmallVector<int64_t> at;
    for (Ref ref : cls.scanned) {
      std::optional<int64_t> i = oneInt(ref);
      if (!i)
        return std::nullopt;
      at.push_back(*i < 0 ? *i + size : *i);
    }
    int64_t step = at[1] - at[0];
    if (step != 1 && step != -1)
      return std::nullopt;
    for (int i = 1; i < trip; ++i)
      if (at[i] - at[i - 1] != step)
        return std::nullopt;
    int64_t lo = std::min(at.front(), at.back()),
            hi = std::max(at.front(), at.back());
    if (lo < 0 || hi >= size)
      return std::nullopt;
    return std::make_pair(at[0], step);
  };
  auto runningSlice = [&](int j) -> std::optional<RunningSlice> {
    const Node &node = nodes[run.iterations.back()[j]];
    auto &classes = run.classes[j];
    if (node.loop || node.desc.domain || classes.empty() ||
        classes[0].kind != OperandClass::Invariant)
      return std::nullopt;
    auto type = dyn_cast<RankedTensorType>(typeOf(classes[0].invariant));
    if (!type)
      return std::nullopt;
    RunningSlice slice;
    slice.data = current(classes[0].invariant);
    const OperandClass *index = nullptr;
    if (node.desc.type == "Gather" && classes.size() == 2) {
      index = &classes[1];
      auto axis = node.desc.attrs.getAs<IntegerAttr>("axis");
      slice.axis = axis ? axis.getInt() : 0;
      if (index->kind != OperandClass::Scanned)
        return std::nullopt;
      int64_t rank = constOf(index->scanned[0]).getShapedType().getRank();
      if (rank > 1)
        return std::nullopt;
      slice.keepsAxis = rank == 1;
    } else if (node.desc.type == "Slice" && classes.size() >= 4) {
      index = &classes[1];
      auto axis = classes[3].kind == OperandClass::Invariant
                      ? oneInt(classes[3].invariant)
                      : std::nullopt;
      auto stride = classes.size() < 5 ? std::optional<int64_t>(1)
                    : classes[4].kind == OperandClass::Invariant
                        ? oneInt(classes[4].invariant)
                        : std::nullopt;
      if (!axis || stride != 1 || index->kind != OperandClass::Scanned ||
          classes[2].kind != OperandClass::Scanned)
        return std::nullopt;
      slice.axis = *axis;
      for (auto [from, to] : llvm::zip(index->scanned, classes[2].scanned)) {
        auto a = oneInt(from), b = oneInt(to);
        if (!a || !b || *b != *a + 1 || *a < 0)
          return std::nullopt;
      }
      slice.keepsAxis = true;
    } else {
      return std::nullopt;
    }
    if (slice.axis < 0)
      slice.axis += type.getRank();
    if (slice.axis < 0 || slice.axis >= type.getRank() ||
        type.isDynamicDim(slice.axis))
      return std::nullopt;
    auto range = progression(*index, type.getDimSize(slice.axis));
    if (!range)
      return std::nullopt;
    std::tie(slice.first, slice.step) = *range;
    return slice;
  };

  // The body, place by place.
  std::vector<BodyRef> placeRef(period);
  auto resolve = [&](const OperandClass &cls) -> std::optional<BodyRef> {
    switch (cls.kind) {
    case OperandClass::Internal: {
      BodyRef ref = placeRef[cls.id];
      if (ref.kind == BodyRef::Internal)
        ref.res = cls.res;
      return ref;
    }
    case OperandClass::Carried:
      return BodyRef{BodyRef::State, cls.id, 0};
    case OperandClass::Invariant:
      return invariant(cls.invariant);
    case OperandClass::Scanned: {
      SmallVector<DenseElementsAttr> parts;
      for (Ref ref : cls.scanned) {
        auto dense = dyn_cast<DenseElementsAttr>(constOf(ref));
        if (!dense)
          return std::nullopt;
        parts.push_back(dense);
      }
      return addSlice(constant(stack(parts)), 0, false);
    }
    }
    return std::nullopt;
  };
  for (int j = 0; j < period; ++j) {
    const Node model = nodes[run.iterations.back()[j]];
    if (std::optional<RunningSlice> slice = runningSlice(j)) {
      auto type = cast<RankedTensorType>(typeOf(slice->data));
      Ref data = slice->data;
      int64_t lo =
          std::min(slice->first, slice->first + slice->step * (trip - 1));
      if (trip != type.getDimSize(slice->axis)) {
        SmallVector<int64_t> shape(type.getShape());
        shape[slice->axis] = trip;
        data = number(make(
            "Slice", {data, ints({lo}), ints({lo + trip}), ints({slice->axis})},
            RankedTensorType::get(shape, type.getElementType()), model.loc));
      }
      BodyRef ref = addSlice(data, slice->axis, slice->step < 0);
      if (slice->keepsAxis) {
        Ref axes = ints({slice->axis});
        Node unsqueeze =
            make("Unsqueeze", {data, axes}, model.types[0], model.loc);
        unsqueeze.label = labelOf(unsqueeze);
        body->nodes.push_back({unsqueeze, {ref, invariant(axes)}});
        ref = {BodyRef::Internal, int(body->nodes.size()) - 1, 0};
      }
      placeRef[j] = ref;
      continue;
    }
    BodyNode inner{model, {}};
    for (auto &cls : run.classes[j]) {
      std::optional<BodyRef> ref = resolve(cls);
      if (!ref)
        return false;
      inner.operands.push_back(*ref);
    }
    body->nodes.push_back(std::move(inner));
    placeRef[j] = {BodyRef::Internal, int(body->nodes.size()) - 1, 0};
  }
  auto bodyValue = [&](int place, int res) {
    BodyRef ref = placeRef[place];
    if (ref.kind == BodyRef::Internal)
      ref.res = res;
    return ref;
  };
  for (auto &state : run.states) {
    body->next.push_back(bodyValue(state.place, state.res));
    body->stateTypes.push_back(typeOf(state.init));
  }

  // What the rest of the graph reads of it.
  DenseMap<int, int> inRun;
  for (auto &iteration : run.iterations)
    for (int id : iteration)
      if (id >= 0)
        inRun[id] = 1;
  struct Output {
    int place, res;
    int64_t axis = 0;
    bool reverse = false;
    int joiner = -1; // the Concat that takes all steps, in order
  };
  std::vector<Output> outs;
  SmallVector<std::pair<int, int>> lastOnly; // (place, res) of states
  for (int j = 0; j < period; ++j)
    for (unsigned res = 0; res < nodes[run.iterations.back()[j]].types.size();
         ++res) {
      bool last = false, earlier = false;
      int joiner = -1;
      bool oneJoiner = true;
      for (int i = 0; i < trip; ++i) {
        int id = run.iterations[i][j];
        if (id < 0)
          continue;
        for (auto [user, q] : uses[id]) {
          if (user >= 0 && inRun.count(user))
            continue;
          Ref used = user < 0 ? outputs[q] : nodes[user].operands[q];
          if (used.res != int(res))
            continue;
          (i == trip - 1 ? last : earlier) = true;
          if (user < 0 || (joiner >= 0 && joiner != user))
            oneJoiner = false;
          else
            joiner = user;
        }
      }
      bool isState = llvm::any_of(run.states, [&](auto &s) {
        return s.place == j && s.res == int(res);
      });
      if (!last && !earlier)
        continue;
      if (!earlier && isState) {
        lastOnly.push_back({j, int(res)});
        continue;
      }
      for (int i = 0; i < trip; ++i)
        if (run.iterations[i][j] < 0 && (last || earlier))
          joiner = -1, oneJoiner = false;
      auto type = dyn_cast<RankedTensorType>(
          nodes[run.iterations.back()[j]].types[res]);
      if (!type)
        return false;
      Output out{j, int(res)};
      if (oneJoiner && joiner >= 0 && !nodes[joiner].loop &&
          nodes[joiner].desc.type == "Concat" && !nodes[joiner].desc.domain &&
          int(nodes[joiner].operands.size()) == trip) {
        auto axisAttr = nodes[joiner].desc.attrs.getAs<IntegerAttr>("axis");
        int64_t axis = axisAttr ? axisAttr.getInt() : 0;
        if (axis < 0)
          axis += type.getRank();
        bool forward = true, backward = true;
        for (int i = 0; i < trip; ++i) {
          Ref mine = Ref::node(run.iterations[i][j], res);
          forward &= nodes[joiner].operands[i] == mine;
          backward &= nodes[joiner].operands[trip - 1 - i] == mine;
        }
        if ((forward || backward) && axis >= 0 && axis < type.getRank() &&
            type.getDimSize(axis) == 1) {
          out.axis = axis;
          out.reverse = !forward;
          out.joiner = joiner;
        }
      }
      outs.push_back(out);
    }
  bool needsScan = !sliceOperands.empty();
  for (Output &out : outs) {
    // A counted Loop stacks along axis 0, forward, only.
    if (!needsScan && (out.axis != 0 || out.reverse))
      out.axis = 0, out.reverse = false, out.joiner = -1;
    body->outputs.push_back(bodyValue(out.place, out.res));
    body->outAxes.push_back(out.axis);
    body->outReverse.push_back(out.reverse);
    body->outputTypes.push_back(
        nodes[run.iterations.back()[out.place]].types[out.res]);
  }
  body->states = run.states.size();
  body->slices = sliceOperands.size();
  body->invariants = invariants.size();

  Node loop(loc);
  loop.loop = body;
  loop.desc.opset = opset;
  for (auto &state : run.states)
    loop.operands.push_back(current(state.init));
  llvm::append_range(loop.operands, sliceOperands);
  llvm::append_range(loop.operands, invariants);
  llvm::append_range(loop.types, body->stateTypes);
  for (auto [i, out] : llvm::enumerate(outs))
    loop.types.push_back(
        with(cast<RankedTensorType>(body->outputTypes[i]), out.axis, trip));
  Ref result = number(std::move(loop));

  auto outside = [&](int user) { return user < 0 || !inRun.count(user); };
  for (auto [place, res] : lastOnly)
    for (auto [s, state] : llvm::enumerate(run.states))
      if (state.place == place && state.res == res)
        replaceUses(Ref::node(run.iterations.back()[place], res),
                    Ref::node(result.id, s), outside);
  for (auto [k, out] : llvm::enumerate(outs)) {
    Ref stacked = Ref::node(result.id, run.states.size() + k);
    if (out.joiner >= 0) {
      Ref axes = ints({out.axis + 1});
      Ref joined =
          number(make("Squeeze", {stacked, axes}, nodes[out.joiner].types[0],
                      nodes[out.joiner].loc));
      replaceUses(Ref::node(out.joiner), joined, [](int) { return true; });
      continue;
    }
    for (int i = 0; i < trip; ++i) {
      int id = run.iterations[i][out.place];
      if (id < 0 ||
          llvm::none_of(uses[id], [&](auto use) { return outside(use.first); }))
        continue;
      int64_t at = out.reverse ? trip - 1 - i : i;
      Ref one = number(
          make("Gather", {stacked, ints({at}, true)}, body->outputTypes[k], loc,
               NamedAttribute(
                   StringAttr::get(context, "axis"),
                   IntegerAttr::get(IntegerType::get(context, 64), out.axis))));
      replaceUses(Ref::node(id, out.res), one, outside);
    }
  }
  return true;
}

void Reroller::replaceUses(Ref from, Ref to,
                           llvm::function_ref<bool(int user)> where) {
  for (auto [user, q] : uses[from.id]) {
    if (!where(user))
      continue;
    Ref &ref = user < 0 ? outputs[q] : nodes[user].operands[q];
    if (ref == from)
      ref = to;
  }
  replaced[from] = to;
}

/// Merges nodes that have become equal; the graph is in order behind layOut.
void Reroller::renumber() {
  numbered.clear();
  std::vector<int> same(nodes.size(), -1);
  auto map = [&](Ref &ref) {
    if (!ref.leaf)
      ref.id = same[ref.id];
  };
  for (int id : order) {
    for (Ref &ref : nodes[id].operands)
      map(ref);
    std::pair<int, std::vector<Ref>> key{
        nodes[id].label,
        {nodes[id].operands.begin(), nodes[id].operands.end()}};
    same[id] = numbered.try_emplace(key, id).first->second;
  }
  for (Ref &ref : outputs)
    map(ref);
  replaced.clear();
  layOut();
}

unsigned Reroller::reroll() {
  unsigned made = 0;
  for (bool changed = true; changed;) {
    changed = false;
    layOut();
    renumber();
    for (int period : periods()) {
      int n = order.size();
      std::vector<Run> runs;
      for (int i = 0; i + period < n;) {
        int begin = i;
        while (i + period < n &&
               nodes[order[i]].label == nodes[order[i + period]].label)
          ++i;
        int end = i + period;
        if (i > begin && worthwhile(period, (end - begin) / period))
          if (std::optional<Run> run = bestRun(begin, end, period))
            runs.push_back(std::move(*run));
        if (i == begin)
          ++i;
      }
      // Runs of one period may share nodes only by accident; the later one
      // waits for the next round.
      DenseMap<int, int> taken;
      unsigned before = made;
      for (Run &run : runs) {
        bool overlap = false;
        for (auto &iteration : run.iterations)
          for (int id : iteration)
            overlap |= id >= 0 && taken.count(id);
        if (overlap)
          continue;
        for (auto &iteration : run.iterations)
          for (int id : iteration)
            if (id >= 0)
              taken[id] = 1;
        if (collapse(run)) {
          ++made;
          uses.resize(nodes.size());
          position.resize(nodes.size(), int(order.size()));
        }
      }
      if (made != before) {
        changed = true;
        break;
      }
    }
  }
  return made;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

static Value constantOf(OpBuilder &b, Location loc, ElementsAttr attr) {
  return arith::ConstantOp::create(b, loc, cast<TypedAttr>(attr));
}

SmallVector<Value> Reroller::emitNode(OpBuilder &b, const Node &node,
                                      ValueRange operands) {
  if (node.loop)
    return emitLoop(b, node, operands);
  if (node.desc.original && !node.desc.original.getBodies().empty()) {
    Operation *copy = b.clone(*node.desc.original.getOperation());
    copy->setOperands(operands);
    return SmallVector<Value>(copy->getResults());
  }
  auto op = NodeOp::create(b, node.loc, node.types, operands, node.desc.type,
                           node.desc.domain, node.desc.opset, node.desc.attrs,
                           ArrayAttr(), 0);
  return SmallVector<Value>(op.getOutputs());
}

SmallVector<Value> Reroller::emitLoop(OpBuilder &b, const Node &node,
                                      ValueRange operands) {
  const Body &body = *node.loop;
  bool scan = body.slices > 0;
  Location loc = node.loc;
  SmallVector<Value> inputs;
  if (!scan) {
    auto i64 = RankedTensorType::get({}, b.getI64Type());
    auto i1 = RankedTensorType::get({}, b.getI1Type());
    inputs.push_back(constantOf(
        b, loc, DenseElementsAttr::get(i64, ArrayRef<int64_t>{body.trip})));
    inputs.push_back(
        constantOf(b, loc, DenseElementsAttr::get(i1, ArrayRef<bool>{true})));
  }
  llvm::append_range(inputs, operands.take_front(body.states + body.slices));
  SmallVector<NamedAttribute> attrs;
  if (scan) {
    auto list = [&](StringRef name, ArrayRef<int64_t> values) {
      attrs.push_back(b.getNamedAttr(name, b.getDenseI64ArrayAttr(values)));
    };
    auto flags = [&](StringRef name, ArrayRef<bool> values) {
      list(name, SmallVector<int64_t>(values.begin(), values.end()));
    };
    attrs.push_back(
        b.getNamedAttr("num_scan_inputs", b.getI64IntegerAttr(body.slices)));
    list("scan_input_axes", body.inAxes);
    flags("scan_input_directions", body.inReverse);
    list("scan_output_axes", body.outAxes);
    flags("scan_output_directions", body.outReverse);
  }
  auto op = NodeOp::create(b, loc, node.types, inputs,
                           b.getStringAttr(scan ? "Scan" : "Loop"),
                           StringAttr(), opset, b.getDictionaryAttr(attrs),
                           b.getStrArrayAttr({"body"}), 1);
  OpBuilder::InsertionGuard guard(b);
  Block *block = b.createBlock(&op.getBodies()[0]);
  SmallVector<Value> states, slices, yielded;
  if (!scan) {
    block->addArgument(inputs[0].getType(), loc);
    yielded.push_back(block->addArgument(inputs[1].getType(), loc));
  }
  for (Type type : body.stateTypes)
    states.push_back(block->addArgument(type, loc));
  for (Type type : body.sliceTypes)
    slices.push_back(block->addArgument(type, loc));
  std::vector<SmallVector<Value>> made;
  auto value = [&](const BodyRef &ref) -> Value {
    switch (ref.kind) {
    case BodyRef::Internal:
      return made[ref.id][ref.res];
    case BodyRef::State:
      return states[ref.id];
    case BodyRef::Slice:
      return slices[ref.id];
    case BodyRef::Invariant:
      return operands[body.states + body.slices + ref.id];
    }
    return Value();
  };
  for (const BodyNode &inner : body.nodes) {
    SmallVector<Value> arguments;
    for (const BodyRef &ref : inner.operands)
      arguments.push_back(value(ref));
    made.push_back(emitNode(b, inner.node, arguments));
  }
  for (const BodyRef &ref : body.next)
    yielded.push_back(value(ref));
  for (const BodyRef &ref : body.outputs)
    yielded.push_back(value(ref));
  onnx::YieldOp::create(b, loc, yielded);
  return SmallVector<Value>(op.getOutputs());
}

void Reroller::write() {
  layOut();
  Operation *terminator = block.getTerminator();
  SmallVector<Operation *> old;
  for (Operation &op : block.without_terminator())
    old.push_back(&op);
  OpBuilder b(terminator);
  std::vector<SmallVector<Value>> values(nodes.size());
  auto valueOf = [&](Ref ref) -> Value {
    if (!ref.leaf)
      return values[ref.id][ref.res];
    if (!leafValues[ref.id])
      leafValues[ref.id] = constantOf(b, b.getUnknownLoc(), leafConst[ref.id]);
    return leafValues[ref.id];
  };
  for (int id : order) {
    SmallVector<Value> operands;
    for (Ref ref : nodes[id].operands)
      operands.push_back(valueOf(ref));
    values[id] = emitNode(b, nodes[id], operands);
  }
  for (auto [q, ref] : llvm::enumerate(outputs))
    terminator->setOperand(q, valueOf(ref));
  for (Operation *op : llvm::reverse(old))
    if (op->use_empty())
      op->erase();
}

namespace {
struct OnnxReroll : lnn::impl::OnnxRerollBase<OnnxReroll> {
  using OnnxRerollBase::OnnxRerollBase;
  void runOnOperation() override {
    for (Block &block : getOperation().getBody()) {
      Reroller reroller(block, maxScannedElements);
      if (!reroller.read())
        continue;
      unsigned made = reroller.reroll();
      loopsMade += made;
      if (made)
        reroller.write();
    }
  }
};
} // namespace
