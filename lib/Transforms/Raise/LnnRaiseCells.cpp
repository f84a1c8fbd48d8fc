//===- LnnRaiseCells.cpp - formulas that are a cell's equations -----------===//
#include "Cells.h"
#include "lnn/Transforms/Raise/Passes.h"

#include "mlir/IR/Matchers.h"

namespace lnn {
#define GEN_PASS_DEF_LNNRAISECELLSPASS
#include "lnn/Transforms/Raise/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;
using namespace lnn::raise;

int64_t Candidate::steps() const {
  llvm::APInt length;
  if (loop && matchPattern(loop.getLength(), m_ConstantInt(&length)))
    return length.getSExtValue();
  return 1;
}

Operation *Candidate::place() const {
  return loop ? loop.getOperation() : next.getDefiningOp();
}

Value Candidate::replaced() const { return loop ? loop.getResult(0) : next; }

SmallVector<OpFoldResult> Candidate::sizes(OpBuilder &b) const {
  if (type().hasStaticShape())
    return getAsIndexOpFoldResult(b.getContext(), type().getShape());
  Operation *op = next.getDefiningOp();
  auto structured = dyn_cast<linalg::LinalgOp>(op);
  Value like = structured ? structured.getDpsInits()[0] : op->getOperand(0);
  if (auto empty = like.getDefiningOp<tensor::EmptyOp>())
    return empty.getMixedSizes();
  return tensor::getMixedSizes(b, next.getLoc(), like);
}

bool Report::lacks(const Candidate &candidate, StringRef cell,
                   const Twine &what) const {
  if (enabled)
    emitRemark(candidate.next.getLoc())
        << "not raised to " << cell << ": " << what;
  return false;
}

void Report::made(Operation *cell, const Twine &what) const {
  if (enabled)
    emitRemark(cell->getLoc()) << "raised to " << what;
}

namespace {

/// How many ops are looked into for one formula, and for all of a function.
constexpr unsigned perCandidate = 4096, perFunction = 1 << 22;
/// How many values may be tried as what a solver's step adds.
constexpr unsigned perFunctionSteps = 4096;

/// A loop of a known number of iterations that carries one state and nothing
/// else.
bool isCounted(ScanOp scan) {
  llvm::APInt length;
  return scan.getInputs().empty() && scan.getNumOutputs() == 0 &&
         scan.getInits().size() == 1 && scan.getStep().use_empty() &&
         isa<RankedTensorType>(scan.getResult(0).getType()) &&
         matchPattern(scan.getLength(), m_ConstantInt(&length)) &&
         length.isStrictlyPositive();
}

/// True in a loop that has become a cell: nothing reads its results.
bool isDead(const Candidate &candidate) {
  if (candidate.replaced().use_empty())
    return true;
  for (Operation *op = candidate.place()->getParentOp(); isa<ScanOp>(op);
       op = op->getParentOp())
    if (op->use_empty())
      return true;
  return false;
}

/// True where the op, or the body of a linalg op, contains one of that type.
template <typename... Ops> bool contains(Operation *op) {
  if (isa<Ops...>(op))
    return true;
  if (!isa<linalg::LinalgOp>(op))
    return false;
  return llvm::any_of(op->getRegion(0).front(),
                      [](Operation &inner) { return isa<Ops...>(inner); });
}

struct LnnRaiseCellsPass : lnn::impl::LnnRaiseCellsPassBase<LnnRaiseCellsPass> {
  using LnnRaiseCellsPassBase::LnnRaiseCellsPassBase;

  void runOnOperation() override {
    Notation notation(&getContext());
    Report report(remarks);
    unsigned left = perFunction;
    // Loops first, inner ones before outer ones: they have the larger cells.
    SmallVector<Candidate> candidates;
    getOperation().walk<WalkOrder::PostOrder>([&](ScanOp scan) {
      auto yield = cast<YieldOp>(scan.getBody().front().getTerminator());
      if (isCounted(scan))
        candidates.push_back({yield.getStates().front(), scan});
    });
    getOperation().walk([&](Operation *op) {
      if (op->getNumResults() == 1 &&
          contains<arith::DivFOp, arith::AddFOp, arith::SubFOp>(op))
        candidates.push_back({op->getResult(0), ScanOp()});
    });
    for (const Candidate &candidate : candidates) {
      if (!isa<RankedTensorType>(candidate.next.getType()) ||
          !formulaType(candidate.next.getType()) || left == 0 ||
          isDead(candidate))
        continue;
      unsigned budget = std::min(left, perCandidate);
      notation.setBudget(budget);
      if (raiseLtc(candidate, notation, report) ||
          raiseCfc(candidate, notation, report) ||
          raiseCtrnn(candidate, notation, report))
        ++numRaised;
      left -= budget - notation.getBudget();
    }
    SmallVector<ScanOp> scans;
    getOperation().walk([&](ScanOp scan) { scans.push_back(scan); });
    for (ScanOp &scan : scans)
      if (!scan->use_empty() &&
          (raiseWindows(scan, report) || raiseRecurrence(scan, report) ||
           raiseHalves(scan, report)))
        ++numRaised;
    SmallVector<linalg::GenericOp> generics;
    getOperation().walk([&](linalg::GenericOp op) { generics.push_back(op); });
    for (linalg::GenericOp op : generics)
      if (!op->use_empty() && raiseCausalConv(op, report))
        ++numRaised;
    for (ScanOp &scan : scans)
      for (unsigned i = 0, e = scan.getStates().size(); i < e; ++i)
        if (ScanOp turned =
                scan->use_empty() ? ScanOp() : turnWindow(scan, i, report)) {
          scan = turned;
          ++numRaised;
        }
    StepSearch search{perFunctionSteps, {}, {}};
    for (ScanOp scan : scans)
      for (unsigned i = 0, e = scan.getStates().size(); i < e; ++i)
        if (!scan->use_empty() && raiseSolve(scan, i, report, search))
          ++numRaised;
    raiseSteps(report, search);
  }

  /// Steps of solvers that are no loop's. From the end: a step's last value,
  /// not the partial sums that it is made of.
  void raiseSteps(const Report &report, StepSearch &search) {
    SmallVector<Block *> blocks{&getOperation().getBody().front()};
    getOperation().walk([&](ScanOp scan) {
      if (!scan->use_empty())
        blocks.push_back(&scan.getBody().front());
    });
    for (Block *block : blocks) {
      SmallVector<Operation *> ops;
      for (Operation &op : llvm::reverse(*block))
        if (op.getNumResults() == 1 &&
            contains<arith::AddFOp, arith::SubFOp>(&op))
          ops.push_back(&op);
      for (Operation *op : ops)
        if (!op->use_empty() && raiseSolve(op->getResult(0), report, search))
          ++numRaised;
    }
  }
};

} // namespace
