//===- RaiseSolve.cpp - explicit Runge-Kutta steps ------------------------===//
//
// A state of a loop becomes h' = h + dt sum_i b_i k_i, where each k_i is the
// same computation f of h + dt sum_j a_ij k_j. The copies of f are found by
// walking two of them in step, down to where one reads h; the coefficients are
// then those of sums over h and the stages, and a tableau if one has them.
//
//===----------------------------------------------------------------------===//
#include "Cells.h"

#include "lnn/Dialect/Ode/Ode.h"
#include "lnn/Dialect/Ode/Tableaux.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/OperationSupport.h"
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
  Solve(ScanOp scan, unsigned index, const Report &report)
      : scan(scan), index(index), report(report),
        state(scan.getStates()[index]),
        yield(cast<YieldOp>(scan.getBody().front().getTerminator())),
        next(yield.getStates()[index]) {}
  bool raise();

private:
  ScanOp scan;
  unsigned index;
  const Report &report;
  Value state;
  YieldOp yield;
  Value next;
  SmallVector<Operation *> dependent; ///< ops of the body that depend on h
  llvm::DenseSet<Value> depends;
  SmallVector<Stage> stages;
  /// dt's factors, and dt's number.
  std::optional<Product> time;
  double length = 0;
  SmallVector<double> b;
  SmallVector<SmallVector<double>> a;

  void collect();
  bool isCopy(Value first, Value other, llvm::DenseMap<Value, Value> &pairs,
              Value &input, unsigned &budget) const;
  bool findStages(Value first);
  bool linear(Value of, Notation &notation, SmallVectorImpl<double> &weights);
  bool coefficients(Notation &notation);
  StringRef tableau() const;
  bool isCounted() const;
  Value fieldAt(OpBuilder &at, Value argument) const;
  bool build(StringRef scheme, Notation &notation);
};

constexpr unsigned maxStages = 13;
} // namespace

/// The ops of the body that depend on the state, in order.
void Solve::collect() {
  depends.insert(state);
  for (Operation &op : scan.getBody().front().without_terminator())
    if (llvm::any_of(op.getOperands(),
                     [&](Value v) { return depends.contains(v); })) {
      dependent.push_back(&op);
      depends.insert_range(op.getResults());
    }
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
  return loop.getInputs().empty() && loop.getNumOutputs() == 0 &&
         loop.getInits().size() == 1 && loop.getStep().use_empty() &&
         getConstantIntValue(loop.getLength()).value_or(0) > 0;
}

/// The field at another state: clones of what is in the body.
Value Solve::fieldAt(OpBuilder &at, Value argument) const {
  llvm::SetVector<Operation *> needed;
  SmallVector<Value> stack{stages[0].output};
  Block *body = stages[0].output.getDefiningOp()->getBlock();
  llvm::DenseSet<Operation *> all;
  while (!stack.empty()) {
    Value value = stack.pop_back_val();
    Operation *op = value.getDefiningOp();
    if (value == state || !op || op->getBlock() != body ||
        !all.insert(op).second)
      continue;
    llvm::append_range(stack, op->getOperands());
    op->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (operand.getParentBlock() == body)
          stack.push_back(operand);
    });
  }
  IRMapping mapping;
  mapping.map(state, argument);
  for (Operation &op : *body)
    if (all.contains(&op))
      at.clone(op, mapping);
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
  report.made(solve, "ode.solve by " + scheme +
                         ", steps = " + Twine(candidate.steps()));
  return true;
}

bool Solve::raise() {
  auto type = dyn_cast<RankedTensorType>(state.getType());
  if (!type || !formulaType(type) || type.getRank() == 0)
    return false;
  collect();
  if (!depends.contains(next) || next == state || dependent.size() > 2048)
    return false;
  unsigned tries = 0;
  for (Operation *op : dependent) {
    for (OpResult first : op->getResults()) {
      if (first.getType() != type || first == next || !isPure(op))
        continue;
      if (++tries > 64 || !findStages(first))
        return false;
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
      if (StringRef scheme = tableau(); !scheme.empty())
        return build(scheme, notation);
      return report.lacks({next, ScanOp()}, "ode.solve",
                          "no tableau has the coefficients of " +
                              Twine(stages.size()) + " stages");
    }
  }
  return false;
}

bool raiseSolve(ScanOp scan, unsigned index, const Report &report) {
  return Solve(scan, index, report).raise();
}

} // namespace lnn::raise
