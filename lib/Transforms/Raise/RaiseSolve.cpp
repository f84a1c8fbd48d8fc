//===- RaiseSolve.cpp - explicit Runge-Kutta steps ------------------------===//
//
// A value becomes h' = h + dt sum_i b_i k_i, where each k_i is the same
// computation f of h + dt sum_j a_ij k_j: a loop's state, or a value anywhere.
// The copies of f are found by walking two of them in step, down to where one
// reads h; the coefficients are then those of sums over h and the stages, and a
// tableau if one has them.
//
//===----------------------------------------------------------------------===//
#include "Cells.h"

#include "lnn/Dialect/Ode/Ode.h"
#include "lnn/Dialect/Ode/Tableaux.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/OperationSupport.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"
#include <cmath>

using namespace mlir;

namespace lnn::raise {
namespace {

/// One evaluation of the field.
struct Stage {
  Value input, output;
};

class Solve {
public:
  /// Of a loop's state.
  Solve(ScanOp scan, unsigned index, StepSearch &search, const Report &report)
      : scan(scan), index(index), report(report), search(search),
        state(scan.getStates()[index]),
        next(cast<YieldOp>(scan.getBody().front().getTerminator())
                 .getStates()[index]) {}
  /// Of a value that becomes another one, by arithmetic on those in `cone`.
  Solve(Value state, Value next, const llvm::SetVector<Value> &cone,
        StepSearch &search, const Report &report)
      : report(report), cone(&cone), search(search), state(state), next(next) {}
  bool raise();

private:
  ScanOp scan; ///< null where there is none
  unsigned index = 0;
  const Report &report;
  const llvm::SetVector<Value> *cone = nullptr;
  StepSearch &search;
  Value state;
  Value next;
  SmallVector<Operation *> dependent; ///< ops that depend on h, and h' on them
  llvm::DenseSet<Value> depends;
  SmallVector<Stage> stages;
  /// dt's factors, and dt's number.
  std::optional<Product> time;
  double length = 0;
  SmallVector<double> b;
  SmallVector<SmallVector<double>> a;

  bool collect();
  bool isCopy(Value first, Value other, llvm::DenseMap<Value, Value> &pairs,
              Value &input, unsigned &budget) const;
  bool findStages(Value first);
  bool linear(Value of, Notation &notation, SmallVectorImpl<double> &weights);
  bool coefficients(Notation &notation);
  StringRef tableau() const;
  bool isWhole() const;
  bool mixesElements() const;
  bool isCounted() const;
  Value fieldAt(OpBuilder &at, Value argument) const;
  bool build(StringRef scheme, Notation &notation);
};

constexpr unsigned maxStages = 13, maxOps = 2048;
} // namespace

/// What an op reads, in its regions too.
static llvm::SetVector<Value> readsOf(Operation *op) {
  llvm::SetVector<Value> reads;
  reads.insert(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), reads);
  return reads;
}

/// The ops between the state and the next one, in order.
bool Solve::collect() {
  Operation *last = next.getDefiningOp(), *first = state.getDefiningOp();
  if (!last || state.getParentBlock() != last->getBlock())
    return false;
  SmallVector<Operation *> stack{last}, found;
  llvm::SmallPtrSet<Operation *, 32> seen{last};
  while (!stack.empty()) {
    Operation *op = stack.pop_back_val();
    found.push_back(op);
    if (found.size() > maxOps)
      return false;
    for (Value operand : readsOf(op))
      if (Operation *by = operand.getDefiningOp();
          by && by->getBlock() == last->getBlock() &&
          (!first || first->isBeforeInBlock(by)) && seen.insert(by).second)
        stack.push_back(by);
  }
  llvm::sort(found,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  depends.insert(state);
  for (Operation *op : found)
    if (llvm::any_of(readsOf(op),
                     [&](Value v) { return depends.contains(v); })) {
      dependent.push_back(op);
      depends.insert_range(op->getResults());
    }
  return depends.contains(next) && next != state;
}

/// `other` is computed from `input` as `first` is from the state.
bool Solve::isCopy(Value first, Value other,
                   llvm::DenseMap<Value, Value> &pairs, Value &input,
                   unsigned &budget) const {
  if (budget == 0)
    return false;
  --budget;
  if (first == state) {
    if (input && input != other)
      return false;
    input = other;
    return other.getType() == state.getType();
  }
  if (!depends.contains(first))
    return first == other;
  auto [it, fresh] = pairs.try_emplace(first, other);
  if (!fresh)
    return it->second == other;
  auto a = dyn_cast<OpResult>(first), b = dyn_cast<OpResult>(other);
  if (!a || !b || a.getResultNumber() != b.getResultNumber())
    return false;
  Operation *x = a.getOwner(), *y = b.getOwner();
  if (x->getBlock() != y->getBlock() || !isPure(x) ||
      x->getNumOperands() != y->getNumOperands() ||
      !OperationEquivalence::isEquivalentTo(
          x, y, OperationEquivalence::ignoreValueEquivalence, nullptr,
          OperationEquivalence::IgnoreLocations))
    return false;
  // What regions read of the surroundings must not be of the state.
  llvm::SetVector<Value> ours, theirs;
  getUsedValuesDefinedAbove(x->getRegions(), ours);
  getUsedValuesDefinedAbove(y->getRegions(), theirs);
  if (ours.getArrayRef() != theirs.getArrayRef() ||
      llvm::any_of(ours, [&](Value v) { return depends.contains(v); }))
    return false;
  for (auto [p, q] : llvm::zip_equal(x->getOperands(), y->getOperands()))
    if (!isCopy(p, q, pairs, input, budget))
      return false;
  return true;
}

/// All evaluations of what `first` is of the state.
bool Solve::findStages(Value first) {
  stages.assign(1, {state, first});
  auto number = cast<OpResult>(first).getResultNumber();
  OperationName name = first.getDefiningOp()->getName();
  for (Operation *op : dependent) {
    if (op->getName() != name || op == first.getDefiningOp() ||
        op->getNumResults() <= number)
      continue;
    llvm::DenseMap<Value, Value> pairs;
    Value input;
    unsigned budget = 1024;
    if (isCopy(first, op->getResult(number), pairs, input, budget) && input)
      stages.push_back({input, op->getResult(number)});
    if (stages.size() > maxStages)
      return false;
  }
  return true;
}

/// `of` is h + sum_i weight_i time stage_i.
bool Solve::linear(Value of, Notation &notation,
                   SmallVectorImpl<double> &weights) {
  weights.assign(stages.size(), 0);
  auto type = cast<RankedTensorType>(state.getType());
  Indices at = notation.variables(type.getShape());
  unsigned post = type.getRank() - 1;
  std::optional<SmallVector<Product>> terms =
      expandedTermsOf(notation.element(of, at));
  if (!terms)
    return false;
  bool hasState = false;
  F here = notation.element(state, at);
  for (const Product &term : *terms) {
    if (term.single() == here) {
      hasState = true;
      continue;
    }
    auto [stage, rest] = partition(term, [&](F f) {
      return f->kind == Kind::Read && depends.contains(f->value);
    });
    const auto *found = llvm::find_if(stages, [&](const Stage &s) {
      return stage.over.size() == 1 && stage.under.empty() &&
             notation.element(s.output, at) == stage.over[0];
    });
    Product duration = rest;
    duration.coefficient = 1;
    if (found == stages.end() || (duration.variables() >> post & 1) ||
        (time && !(*time == duration)))
      return false;
    time = duration;
    weights[found - stages.begin()] += rest.coefficient;
  }
  return hasState;
}

/// Of all stages' inputs, and of the next state. Their sum there is dt's
/// number.
bool Solve::coefficients(Notation &notation) {
  if (!linear(next, notation, b))
    return false;
  length = 0;
  for (double weight : b)
    length += weight;
  if (!std::isfinite(length) || length == 0)
    return false;
  a.clear();
  for (auto [i, stage] : llvm::enumerate(stages)) {
    a.emplace_back();
    if (stage.input == state) {
      a.back().assign(stages.size(), 0);
      continue;
    }
    if (!linear(stage.input, notation, a.back()))
      return false;
    for (auto [j, weight] : llvm::enumerate(a.back())) {
      weight /= length;
      if (j >= i && weight != 0)
        return false;
    }
  }
  for (double &weight : b)
    weight /= length;
  return true;
}

/// The explicit method with these coefficients; empty if there is none.
StringRef Solve::tableau() const {
  constexpr double tolerance = 1e-5;
  for (const ode::Tableau &known : ode::allTableaux()) {
    if (known.stages() != b.size() || !known.isExplicit())
      continue;
    bool same = true;
    for (unsigned i = 0; i < known.stages(); ++i) {
      same &= std::fabs(known.b[i] - b[i]) <= tolerance;
      for (unsigned j = 0; j < i; ++j)
        same &= std::fabs(known.coefficient(i, j) - a[i][j]) <= tolerance;
    }
    if (same)
      return known.name;
  }
  return {};
}

/// Nothing but the state flows through the loop.
bool Solve::isCounted() const {
  ScanOp loop = scan;
  return loop && loop.getInputs().empty() && loop.getNumOutputs() == 0 &&
         loop.getInits().size() == 1 && loop.getStep().use_empty() &&
         getConstantIntValue(loop.getLength()).value_or(0) > 0;
}

/// The field at another state: clones of what depends on it; of all that is in
/// the body where that stays behind.
Value Solve::fieldAt(OpBuilder &at, Value argument) const {
  bool whole = isCounted();
  SmallVector<Value> stack{stages[0].output};
  Block *body = stages[0].output.getDefiningOp()->getBlock();
  llvm::DenseSet<Operation *> all;
  while (!stack.empty()) {
    Value value = stack.pop_back_val();
    Operation *op = value.getDefiningOp();
    if (value == state || !op || op->getBlock() != body ||
        (!whole && !depends.contains(value)) || !all.insert(op).second)
      continue;
    llvm::append_range(stack, readsOf(op));
  }
  IRMapping mapping;
  mapping.map(state, argument);
  if (whole) {
    for (Operation &op : *body)
      if (all.contains(&op))
        at.clone(op, mapping);
  } else {
    for (Operation *op : dependent)
      if (all.contains(op))
        at.clone(*op, mapping);
  }
  return mapping.lookup(stages[0].output);
}

bool Solve::build(StringRef scheme, Notation &notation) {
  bool counted = isCounted();
  Candidate candidate{next, counted ? scan : ScanOp()};
  Operation *place = counted ? scan.getOperation() : next.getDefiningOp();
  Product duration = time ? *time : Product();
  duration.coefficient = length * candidate.steps();
  auto type = cast<RankedTensorType>(state.getType());
  F dt = formulaOf(duration, notation, formulaType(type));
  // What the field reads must be there where the solve is.
  OpBuilder b(place);
  Location loc = next.getLoc();
  Materializer made(notation, place);
  Value start = counted ? scan.getInits()[index] : state, length;
  if (dt->variables) {
    Indices at = notation.variables(type.getShape());
    at.back() = notation.zero();
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, start);
    sizes.back() = b.getIndexAttr(1);
    length = made.tensor(dt, at, sizes);
  } else {
    length = made.scalar(dt);
  }
  if (!length)
    return report.lacks(candidate, "ode.solve",
                        "the step's length is not available");
  auto method = ode::MethodAttr::get(b.getContext(), scheme, candidate.steps());
  auto solve = ode::SolveOp::create(
      b, loc, start, length, method,
      [&](OpBuilder &at, Location, Value, ValueRange states) {
        Value derivative = fieldAt(at, states[0]);
        ode::YieldOp::create(at, loc, derivative);
      });
  candidate.replaced().replaceAllUsesWith(solve.getResult(0));
  if (cone)
    search.dead.insert(dependent.begin(), dependent.end());
  report.made(solve, "ode.solve by " + scheme +
                         ", steps = " + Twine(candidate.steps()));
  return true;
}

bool Solve::raise() {
  auto type = dyn_cast<RankedTensorType>(state.getType());
  if (!type || !formulaType(type) || type.getRank() == 0 || !collect() ||
      (cone && !isWhole()))
    return false;
  unsigned tries = 0;
  for (Operation *op : dependent) {
    for (OpResult first : op->getResults()) {
      if (first.getType() != type || first == next || !isPure(op))
        continue;
      if (++tries > 64 || (cone && search.left == 0) || !findStages(first))
        return false;
      if (cone && llvm::none_of(stages, [&](const Stage &stage) {
            return cone->contains(stage.output);
          }))
        continue;
      if (cone)
        --search.left;
      Notation notation(op->getContext());
      notation.setBudget(4096);
      notation.addBarrier(state);
      for (const Stage &stage : stages)
        notation.addBarrier(stage.output);
      time.reset();
      if (!coefficients(notation))
        continue;
      // A residual connection is no step of a solver.
      if (stages.size() == 1 && length == 1 && (!time || time->isNumber()))
        continue;
      // x + c f(x) of each element by itself is any function, as GELU has it.
      if (cone && stages.size() == 1 && !mixesElements())
        continue;
      if (StringRef scheme = tableau(); !scheme.empty())
        return build(scheme, notation);
      search.parts.insert(dependent.begin(), dependent.end());
      return report.lacks({next, ScanOp()}, "ode.solve",
                          "no tableau has the coefficients of " +
                              Twine(stages.size()) + " stages");
    }
  }
  return false;
}

/// Nothing else reads what is between the state and the next one.
bool Solve::isWhole() const {
  llvm::SmallPtrSet<Operation *, 32> between(dependent.begin(),
                                             dependent.end());
  Operation *last = next.getDefiningOp();
  Block *block = last->getBlock();
  return llvm::all_of(dependent, [&](Operation *op) {
    return op == last || llvm::all_of(op->getUsers(), [&](Operation *user) {
             Operation *at = block->findAncestorOpInBlock(*user);
             return between.contains(at) || search.dead.contains(at);
           });
  });
}

/// An element of the next state depends on several of the state.
bool Solve::mixesElements() const {
  return llvm::any_of(dependent, [](Operation *op) {
    auto structured = dyn_cast<linalg::LinalgOp>(op);
    return structured ? structured.getNumReductionLoops() > 0
                      : !OpTrait::hasElementwiseMappableTraits(op);
  });
}

bool raiseSolve(ScanOp scan, unsigned index, const Report &report,
                StepSearch &search) {
  return Solve(scan, index, search, report).raise();
}

/// Sums, differences and products of elements, and quotients.
static bool isArithmetic(Operation *op) {
  auto is = [](Operation *of) {
    return isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp,
               arith::NegFOp>(of);
  };
  auto structured = dyn_cast<linalg::LinalgOp>(op);
  if (!structured)
    return is(op);
  return structured.getNumReductionLoops() == 0 && op->getNumResults() == 1 &&
         llvm::all_of(structured.getBlock()->without_terminator(),
                      [&](Operation &inner) { return is(&inner); });
}

/// The values that `next` is computed of by arithmetic alone, itself left out,
/// those of arithmetic among them; they have its type.
static llvm::SetVector<Value> coneOf(Value next) {
  constexpr unsigned enough = 64;
  llvm::SetVector<Value> cone;
  SmallVector<Value> stack{next};
  while (!stack.empty() && cone.size() < enough) {
    Operation *op = stack.pop_back_val().getDefiningOp();
    if (!op || op->getBlock() != next.getParentBlock() || !isArithmetic(op))
      continue;
    auto structured = dyn_cast<linalg::LinalgOp>(op);
    for (Value operand : structured
                             ? SmallVector<Value>(structured.getDpsInputs())
                             : SmallVector<Value>(op->getOperands()))
      if (operand.getType() == next.getType() && cone.insert(operand))
        stack.push_back(operand);
  }
  return cone;
}

bool raiseSolve(Value next, const Report &report, StepSearch &search) {
  Operation *op = next.getDefiningOp();
  if (search.dead.contains(op) || search.parts.contains(op) ||
      !isArithmetic(op))
    return false;
  llvm::SetVector<Value> cone = coneOf(next);
  // What a step starts from is read by its field, too. The nearest first: of
  // several steps, that is the last.
  SmallVector<Value> states;
  for (Value value : cone)
    if (value.getParentBlock() == op->getBlock() && !value.hasOneUse())
      states.push_back(value);
  llvm::sort(states, [](Value a, Value b) {
    Operation *x = a.getDefiningOp(), *y = b.getDefiningOp();
    if (x && y && x != y)
      return y->isBeforeInBlock(x);
    auto place = [](Value v) {
      auto argument = dyn_cast<BlockArgument>(v);
      return argument ? -1 - int64_t(argument.getArgNumber())
                      : int64_t(cast<OpResult>(v).getResultNumber());
    };
    return place(a) > place(b);
  });
  constexpr unsigned tries = 16;
  for (Value state : ArrayRef(states).take_front(tries)) {
    if (Solve(state, next, cone, search, report).raise())
      return true;
  }
  return false;
}

} // namespace lnn::raise
