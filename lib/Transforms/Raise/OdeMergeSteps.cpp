//===- OdeMergeSteps.cpp - a scan of solver steps becomes one solve -------===//
//
// A scan that does nothing but integrate one state, over durations that are
// known, is one ode.solve: to the end where they are equal and only the last
// state is read, at output times where each step's is. So are equal solves that
// follow each other.
//
//===----------------------------------------------------------------------===//
#include "Materialize.h"
#include "lnn/Transforms/Raise/Passes.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"

namespace lnn {
#define GEN_PASS_DEF_ODEMERGESTEPSPASS
#include "lnn/Transforms/Raise/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;

namespace {

constexpr int64_t maxSteps = 65536;

/// The solve that is all that a scan's body does.
class Merge {
public:
  explicit Merge(ScanOp scan)
      : scan(scan), body(scan.getBody().front()),
        yield(cast<YieldOp>(body.getTerminator())) {}
  bool run();

private:
  ScanOp scan;
  Block &body;
  YieldOp yield;
  ode::SolveOp solve;
  int64_t count = 0;
  SmallVector<double> durations; ///< of the steps

  bool isStep();
  bool findDurations();
  bool isOutput(unsigned i);
  std::optional<SmallVector<double>> times() const;
  Value solveAt(OpBuilder &b, ArrayRef<double> times);
  void replaceOutput(OpBuilder &b, unsigned i, Value states);
  bool mergeLast();
};
} // namespace

/// The solve's duration is a constant, or the step's slice of one.
bool Merge::findDurations() {
  FloatAttr same;
  if (matchPattern(solve.getDt(), m_Constant(&same))) {
    durations.assign(count, same.getValueAsDouble());
    return scan.getInputs().empty();
  }
  auto extract = solve.getDt().getDefiningOp<tensor::ExtractOp>();
  if (!extract || scan.getInputs().size() != 1 ||
      extract.getTensor() != scan.getSlices()[0] || scan.getReverse()[0])
    return false;
  std::optional<SmallVector<double>> values =
      raise::constantElements(scan.getInputs()[0]);
  if (!values || int64_t(values->size()) != count)
    return false;
  durations = std::move(*values);
  return true;
}

/// The scan integrates its state, by a solve that only the state is new to.
bool Merge::isStep() {
  std::optional<int64_t> length = getConstantIntValue(scan.getLength());
  if (!length || *length < 1 || *length > maxSteps ||
      scan.getInits().size() != 1)
    return false;
  moveLoopInvariantCode(scan);
  count = *length;
  solve = yield.getStates()[0].getDefiningOp<ode::SolveOp>();
  if (!solve || solve->getBlock() != &body || solve.getNumStates() != 1 ||
      solve.getStates()[0] != scan.getStates()[0] || !solve.getDt() ||
      solve.getStart() || solve.getReporting() || !solve.getEvents().empty() ||
      solve.getMethod().isAdaptive() ||
      !solve.getField().getArgument(0).use_empty() || !findDurations())
    return false;
  bool inside = false;
  solve.getField().walk([&](Operation *op) {
    for (Value operand : op->getOperands())
      inside |= scan.getBody().isAncestor(operand.getParentRegion()) &&
                !solve.getField().isAncestor(operand.getParentRegion());
  });
  return !inside;
}

/// The output is the state after the step, maybe with dimensions of size 1
/// more, stacked in front.
bool Merge::isOutput(unsigned i) {
  if (scan.getOutDims()[i] != 0 || scan.getOutReverse()[i])
    return false;
  Value value = yield.getOutputs()[i];
  if (value == solve.getResult(0))
    return true;
  auto expand = value.getDefiningOp<tensor::ExpandShapeOp>();
  if (!expand || expand.getSrc() != solve.getResult(0))
    return false;
  for (const ReassociationIndices &group : expand.getReassociationIndices())
    if (llvm::count_if(group, [&](int64_t d) {
          return expand.getResultType().getDimSize(d) != 1;
        }) > 1)
      return false;
  return !expand.getReassociationIndices().empty();
}

/// When each step ends, in f64; none where their differences are not exactly
/// the duration that each step has.
std::optional<SmallVector<double>> Merge::times() const {
  SmallVector<double> result;
  double before = 0;
  for (double duration : durations) {
    double now = before + duration;
    if (!std::isfinite(now) || now - before != duration)
      return std::nullopt;
    result.push_back(before = now);
  }
  return result;
}

/// The same solve at all of these times.
Value Merge::solveAt(OpBuilder &b, ArrayRef<double> times) {
  Location loc = solve.getLoc();
  auto type = RankedTensorType::get({int64_t(times.size())}, b.getF64Type());
  Value at =
      arith::ConstantOp::create(b, loc, DenseElementsAttr::get(type, times));
  auto state = cast<RankedTensorType>(solve.getResult(0).getType());
  SmallVector<int64_t> shape(state.getShape());
  shape.insert(shape.begin(), count);
  auto whole = ode::SolveOp::create(
      b, loc, TypeRange{RankedTensorType::get(shape, state.getElementType())},
      scan.getInits(), Value(), Value(), at, solve.getMethod(), UnitAttr(), 0);
  whole.getField().takeBody(solve.getField());
  whole.getField().getArgument(0).setType(b.getF64Type());
  return whole.getResult(0);
}

void Merge::replaceOutput(OpBuilder &b, unsigned i, Value states) {
  auto expand = yield.getOutputs()[i].getDefiningOp<tensor::ExpandShapeOp>();
  Location loc = solve.getLoc();
  auto type = cast<RankedTensorType>(scan.getResult(i).getType());
  if (expand) {
    SmallVector<ReassociationIndices> groups{{0}};
    SmallVector<OpFoldResult> sizes(type.getRank(), b.getIndexAttr(1)),
        from = tensor::getMixedSizes(b, loc, states);
    sizes[0] = from[0];
    for (auto [d, group] : llvm::enumerate(expand.getReassociationIndices())) {
      groups.emplace_back();
      for (int64_t place : group) {
        groups.back().push_back(place + 1);
        if (expand.getResultType().getDimSize(place) != 1)
          sizes[place + 1] = from[d + 1];
      }
    }
    SmallVector<int64_t> shape(expand.getResultType().getShape());
    shape.insert(shape.begin(), count);
    states = tensor::ExpandShapeOp::create(
        b, loc, RankedTensorType::get(shape, type.getElementType()), states,
        groups, sizes);
  }
  if (states.getType() != type)
    states = tensor::CastOp::create(b, loc, type, states);
  scan.getResult(i).replaceAllUsesWith(states);
}

/// `count` durations of that many steps each as one; none where a step of it
/// would not have exactly the length that they have.
static std::optional<double> total(double dt, int64_t steps, int64_t count,
                                   bool narrow) {
  double whole = dt * double(count);
  whole = narrow ? double(float(whole)) : whole;
  double again = whole / double(steps * count), once = dt / double(steps);
  if (steps * count > maxSteps ||
      (narrow ? float(again) != float(once) : again != once))
    return std::nullopt;
  return whole;
}

/// Only the last state is read: one interval of so many times the steps.
bool Merge::mergeLast() {
  std::optional<double> whole =
      total(durations.front(), solve.getMethod().getSteps(), count,
            solve.getDt().getType().isF32());
  if (!whole || !llvm::all_equal(durations))
    return false;
  OpBuilder b(scan);
  int64_t steps = solve.getMethod().getSteps() * count;
  Value length = arith::ConstantOp::create(
      b, solve.getLoc(), b.getFloatAttr(solve.getDt().getType(), *whole));
  solve->moveBefore(scan);
  solve.getStatesMutable()[0].set(scan.getInits()[0]);
  solve.getDtMutable()[0].set(length);
  solve.setMethodAttr(ode::MethodAttr::get(
      b.getContext(), solve.getMethod().getScheme(), steps));
  scan.getResult(scan.getNumOutputs()).replaceAllUsesWith(solve.getResult(0));
  scan.erase();
  return true;
}

bool Merge::run() {
  if (!isStep())
    return false;
  bool read = false;
  for (unsigned i = 0; i < scan.getNumOutputs(); ++i) {
    if (scan.getResult(i).use_empty())
      continue;
    read = true;
    if (!isOutput(i))
      return false;
  }
  if (!read)
    return mergeLast();
  std::optional<SmallVector<double>> at = times();
  if (!at)
    return false;
  OpBuilder b(scan);
  Value states = solveAt(b, *at);
  for (unsigned i = 0; i < scan.getNumOutputs(); ++i)
    if (!scan.getResult(i).use_empty())
      replaceOutput(b, i, states);
  Value last = scan.getResult(scan.getNumOutputs());
  if (!last.use_empty()) {
    auto type = cast<RankedTensorType>(last.getType());
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(b, scan.getLoc(), states);
    SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0)),
        strides(sizes.size(), b.getIndexAttr(1));
    offsets[0] = b.getIndexAttr(count - 1);
    sizes[0] = b.getIndexAttr(1);
    last.replaceAllUsesWith(tensor::ExtractSliceOp::create(
        b, scan.getLoc(), type, states, offsets, sizes, strides));
  }
  scan.erase();
  return true;
}

/// A solve of one state over a known duration, its field the same at all times.
static std::optional<double> durationOf(ode::SolveOp solve) {
  FloatAttr dt;
  if (solve.getNumStates() != 1 || !solve.getDt() || solve.getStart() ||
      solve.getReporting() || !solve.getEvents().empty() ||
      solve.getMethod().isAdaptive() ||
      !solve.getField().getArgument(0).use_empty() ||
      !matchPattern(solve.getDt(), m_Constant(&dt)))
    return std::nullopt;
  return dt.getValueAsDouble();
}

/// Equal solves, each all that reads the one before, are one: how many, or 0.
/// `last` ends them, the others are gone.
static int64_t mergeChain(ode::SolveOp last,
                          llvm::SmallPtrSetImpl<Operation *> &gone) {
  std::optional<double> dt = durationOf(last);
  if (!dt)
    return 0;
  SmallVector<ode::SolveOp> chain{last};
  while (true) {
    auto before = chain.back().getStates()[0].getDefiningOp<ode::SolveOp>();
    if (!before || before->getBlock() != last->getBlock() ||
        !before->hasOneUse() || durationOf(before) != dt ||
        before.getMethod() != last.getMethod() ||
        before.getDt().getType() != last.getDt().getType() ||
        !OperationEquivalence::isRegionEquivalentTo(
            &before.getField(), &last.getField(),
            OperationEquivalence::IgnoreLocations))
      break;
    chain.push_back(before);
  }
  int64_t count = chain.size(), steps = last.getMethod().getSteps();
  std::optional<double> whole =
      total(*dt, steps, count, last.getDt().getType().isF32());
  if (count == 1 || !whole)
    return 0;
  OpBuilder b(last);
  last.getDtMutable()[0].set(arith::ConstantOp::create(
      b, last.getLoc(), b.getFloatAttr(last.getDt().getType(), *whole)));
  last.setMethodAttr(ode::MethodAttr::get(
      b.getContext(), last.getMethod().getScheme(), steps * count));
  last.getStatesMutable()[0].set(chain.back().getStates()[0]);
  for (ode::SolveOp solve : ArrayRef(chain).drop_front()) {
    gone.insert(solve);
    solve.erase();
  }
  return count;
}

namespace {
struct OdeMergeStepsPass : lnn::impl::OdeMergeStepsPassBase<OdeMergeStepsPass> {
  using OdeMergeStepsPassBase::OdeMergeStepsPassBase;

  void runOnOperation() override {
    SmallVector<ScanOp> scans;
    getOperation().walk<WalkOrder::PostOrder>(
        [&](ScanOp scan) { scans.push_back(scan); });
    for (ScanOp scan : scans) {
      Location loc = scan.getLoc();
      int64_t count = getConstantIntValue(scan.getLength()).value_or(0);
      if (!Merge(scan).run())
        continue;
      ++numMerged;
      if (remarks)
        emitRemark(loc) << "raised to one ode.solve of " << count
                        << " intervals";
    }
    // From the end: what is merged is in front of what ends it.
    SmallVector<ode::SolveOp> solves;
    getOperation().walk([&](ode::SolveOp solve) { solves.push_back(solve); });
    llvm::SmallPtrSet<Operation *, 8> gone;
    for (ode::SolveOp solve : llvm::reverse(solves)) {
      if (gone.contains(solve))
        continue;
      int64_t count = mergeChain(solve, gone);
      if (count == 0)
        continue;
      ++numMerged;
      if (remarks)
        emitRemark(solve.getLoc())
            << "raised to one ode.solve of " << count << " intervals";
    }
  }
};
} // namespace
