//===- LnnMergeSteps.cpp - steps of one cell become one of more steps -----===//
#include "Algebra.h"
#include "Materialize.h"
#include "lnn/Dialect/Lnn/Cells.h"
#include "lnn/Transforms/Raise/Passes.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"

namespace lnn {
#define GEN_PASS_DEF_LNNMERGESTEPSPASS
#include "lnn/Transforms/Raise/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;
using namespace lnn::raise;

namespace {

constexpr int64_t maxSteps = 65536;

/// A cell that takes equal steps of autonomous dynamics.
struct Cell {
  Operation *op;

  static std::optional<Cell> of(Operation *op) {
    if (isa_and_nonnull<LtcOp>(op))
      return Cell{op};
    auto ctrnn = dyn_cast_or_null<CtrnnOp>(op);
    auto method = ctrnn ? dyn_cast<ode::MethodAttr>(ctrnn.getMethod())
                        : ode::MethodAttr();
    return method && !method.isAdaptive() ? std::optional(Cell{op})
                                          : std::nullopt;
  }
  int64_t steps() const {
    if (auto ltc = dyn_cast<LtcOp>(op))
      return ltc.getUnfolds();
    return cast<ode::MethodAttr>(cast<CtrnnOp>(op).getMethod()).getSteps();
  }
  OpOperand &state() const { return op->getOpOperand(0); }
  OpOperand &dt() const { return op->getOpOperand(2); }
  /// The attributes without the number of steps.
  DictionaryAttr attributes() const {
    NamedAttrList list(op->getAttrDictionary());
    list.erase("unfolds");
    if (auto ctrnn = dyn_cast<CtrnnOp>(op)) {
      auto method = cast<ode::MethodAttr>(ctrnn.getMethod());
      list.set("method",
               ode::MethodAttr::get(op->getContext(), method.getScheme(), 1));
    }
    return list.getDictionary(op->getContext());
  }
  void setSteps(int64_t steps) const {
    if (auto ltc = dyn_cast<LtcOp>(op))
      return ltc.setUnfolds(steps);
    auto ctrnn = cast<CtrnnOp>(op);
    auto method = cast<ode::MethodAttr>(ctrnn.getMethod());
    ctrnn.setMethodAttr(
        ode::MethodAttr::get(op->getContext(), method.getScheme(), steps));
  }
};

/// A duration in index notation.
F formulaOf(Value dt, Notation &notation) {
  notation.setBudget(64);
  return isa<RankedTensorType>(dt.getType()) ? notation.element(dt)
                                             : notation.scalar(dt);
}

/// Gives the cell that many steps and a duration that many times as long as
/// `dt` is for `of` steps.
bool lengthen(Cell cell, const Product &dt, int64_t of, int64_t steps,
              Notation &notation) {
  Value old = cell.dt().get();
  Materializer made(notation, cell.op);
  Product longer = dt;
  longer.coefficient *= static_cast<double>(steps) / of;
  F formula = formulaOf(longer, notation, formulaType(old.getType()));
  OpBuilder b(cell.op);
  auto type = dyn_cast<RankedTensorType>(old.getType());
  Value value =
      type ? made.tensor(formula, notation.variables(type.getShape()),
                         tensor::getMixedSizes(b, cell.op->getLoc(), old))
           : made.scalar(formula);
  if (!value)
    return false;
  cell.dt().set(value);
  cell.setSteps(steps);
  return true;
}

/// cell(cell(h)) with the same parameters and steps of the same length.
bool mergeChain(Cell second) {
  std::optional<Cell> first = Cell::of(second.state().get().getDefiningOp());
  if (!first)
    return false;
  // The state's sizes are those of the state before.
  for (Operation *user : llvm::make_early_inc_range(first->op->getUsers()))
    if (auto dim = dyn_cast<tensor::DimOp>(user))
      dim.getSourceMutable().assign(first->state().get());
  if (first->op->getName() != second.op->getName() || !first->op->hasOneUse() ||
      first->attributes() != second.attributes() ||
      first->op->getBlock() != second.op->getBlock())
    return false;
  int64_t steps = first->steps() + second.steps();
  for (auto [i, a, b] :
       llvm::enumerate(first->op->getOperands(), second.op->getOperands()))
    if (i != 0 && i != 2 && a != b)
      return false;
  if (steps > maxSteps ||
      first->dt().get().getType() != second.dt().get().getType())
    return false;
  Notation notation(second.op->getContext());
  Product a = factorsOf(formulaOf(first->dt().get(), notation)),
          b = factorsOf(formulaOf(second.dt().get(), notation));
  a.coefficient /= first->steps();
  b.coefficient /= second.steps();
  if (!(a == b) || !lengthen(second, a, 1, steps, notation))
    return false;
  second.state().set(first->state().get());
  first->op->erase();
  return true;
}

/// A counted loop around one cell.
bool mergeLoop(ScanOp scan) {
  std::optional<int64_t> count = getConstantIntValue(scan.getLength());
  if (!count || *count < 1 || !scan.getInputs().empty() ||
      scan.getNumOutputs() || scan.getInits().size() != 1)
    return false;
  moveLoopInvariantCode(scan);
  Block &body = scan.getBody().front();
  Value next = cast<YieldOp>(body.getTerminator()).getStates()[0];
  std::optional<Cell> cell = Cell::of(next.getDefiningOp());
  if (!cell || cell->op->getBlock() != &body ||
      cell->state().get() != scan.getStates()[0] ||
      cell->steps() * *count > maxSteps)
    return false;
  for (OpOperand &operand : cell->op->getOpOperands())
    if (operand.getOperandNumber() != 0 &&
        scan.getBody().isAncestor(operand.get().getParentRegion()))
      return false;
  Notation notation(scan.getContext());
  Product dt = factorsOf(formulaOf(cell->dt().get(), notation));
  cell->op->moveBefore(scan);
  cell->state().set(scan.getInits()[0]);
  if (!lengthen(*cell, dt, cell->steps(), cell->steps() * *count, notation)) {
    // As it was.
    cell->op->moveBefore(&body, std::prev(body.end()));
    cell->state().set(scan.getStates()[0]);
    return false;
  }
  scan.getResult(0).replaceAllUsesWith(next);
  scan.erase();
  return true;
}

struct LnnMergeStepsPass : lnn::impl::LnnMergeStepsPassBase<LnnMergeStepsPass> {
  void runOnOperation() override {
    SmallVector<Operation *> cells;
    getOperation().walk([&](Operation *op) {
      if (Cell::of(op))
        cells.push_back(op);
    });
    // Each with the one in front of it, which is gone then.
    for (Operation *op : cells)
      numMerged += mergeChain(*Cell::of(op));
    SmallVector<ScanOp> scans;
    getOperation().walk<WalkOrder::PostOrder>(
        [&](ScanOp scan) { scans.push_back(scan); });
    for (ScanOp scan : scans)
      numMerged += mergeLoop(scan);
  }
};

} // namespace
