//===- SolveCanonicalize.cpp - folding of ode.solve -----------------------===//
#include "lnn/Dialect/Ode/Ode.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace lnn::ode;

/// A solve of length zero ends where it begins.
LogicalResult SolveOp::fold(FoldAdaptor adaptor,
                            SmallVectorImpl<OpFoldResult> &results) {
  if (getTimes() || getReporting() || !getEvents().empty())
    return failure();
  Attribute dt = adaptor.getDt();
  if (!dt || !matchPattern(dt, m_AnyZeroFloat()))
    return failure();
  llvm::append_range(results, getStates());
  return success();
}

/// Is one state's course independent of how many others there are, and of when
/// the trajectory ends? Adaptive control measures the error of them all.
static bool hasIndependentSteps(SolveOp op) {
  return !op.getMethod().isAdaptive() && op.getEvents().empty() &&
         !op.getReporting();
}

namespace {

/// The float that a tensor holds everywhere, where it is known.
struct Splat {
  Value scalar;
  FloatAttr constant;

  static std::optional<Splat> of(Value value) {
    if (auto splat = value.getDefiningOp<tensor::SplatOp>())
      return Splat{splat.getInput(), {}};
    DenseFPElementsAttr elements;
    if (matchPattern(value, m_Constant(&elements)) && elements.isSplat())
      return Splat{{}, elements.getSplatValue<FloatAttr>()};
    return std::nullopt;
  }
  Value materialize(OpBuilder &b, Location loc) const {
    return scalar ? scalar : arith::ConstantOp::create(b, loc, constant);
  }
};

/// A time that is the same for all trajectories is one float.
struct ShareClock : OpRewritePattern<SolveOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SolveOp op,
                                PatternRewriter &rewriter) const override {
    auto type = dyn_cast<RankedTensorType>(op.getTimeType());
    if (!op.getDt() || !type || !hasIndependentSteps(op))
      return failure();
    BlockArgument time = op.getField().getArgument(0);
    if (!time.use_empty() && !type.hasStaticShape())
      return failure();
    std::optional<Splat> dt = Splat::of(op.getDt()), start;
    if (!dt || (op.getStart() && !(start = Splat::of(op.getStart()))))
      return failure();
    Location loc = op.getLoc();
    rewriter.modifyOpInPlace(op, [&] {
      op.getDtMutable().assign(dt->materialize(rewriter, loc));
      if (start)
        op.getStartMutable().assign(start->materialize(rewriter, loc));
    });
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToStart(&op.getField().front());
    rewriter.modifyOpInPlace(op, [&] { time.setType(type.getElementType()); });
    if (!time.use_empty()) {
      auto splat = tensor::SplatOp::create(rewriter, loc, time, type);
      rewriter.replaceAllUsesExcept(time, splat.getResult(), splat);
    }
    return success();
  }
};

/// States that don't move are values, and those that nothing depends on aren't
/// computed.
struct DropStates : OpRewritePattern<SolveOp> {
  using OpRewritePattern::OpRewritePattern;

  static bool isConstant(SolveOp op, unsigned state) {
    if (op.getTimes()) // its result is a row for each time
      return false;
    Operation *end = op.getField().front().getTerminator();
    auto isZero = [](Value value) {
      return matchPattern(value, m_AnyZeroFloat());
    };
    if (auto yield = dyn_cast<YieldOp>(end))
      return isZero(yield.getDerivatives()[state]);
    auto yield = cast<YieldSemilinearOp>(end);
    return isZero(yield.getDecays()[state]) && isZero(yield.getDrives()[state]);
  }

  /// The states that a used result depends on.
  static SmallVector<bool> findLive(SolveOp op) {
    Block &body = op.getField().front();
    unsigned n = op.getNumStates();
    SmallVector<bool> live(n);
    SmallVector<Value> worklist;
    DenseSet<Operation *> seen;
    auto useOperands = [&](Operation *user) {
      if (seen.insert(user).second)
        user->walk([&](Operation *nested) {
          llvm::append_range(worklist, nested->getOperands());
        });
    };
    auto markLive = [&](unsigned state) {
      if (live[state])
        return;
      live[state] = true;
      // A terminator's operands are groups of one value a state.
      auto operands = body.getTerminator()->getOperands();
      for (unsigned i = state; i < operands.size(); i += n)
        worklist.push_back(operands[i]);
    };
    for (unsigned i = 0; i < n; ++i)
      if (!op.getResult(i).use_empty())
        markLive(i);
    for (Operation &inner : body.without_terminator())
      if (!isMemoryEffectFree(&inner))
        useOperands(&inner);
    while (!worklist.empty()) {
      Value value = worklist.pop_back_val();
      if (auto argument = dyn_cast<BlockArgument>(value)) {
        if (argument.getOwner() == &body && argument.getArgNumber())
          markLive(argument.getArgNumber() - 1);
      } else if (Operation *def =
                     body.findAncestorOpInBlock(*value.getDefiningOp())) {
        useOperands(def);
      }
    }
    return live;
  }

  LogicalResult matchAndRewrite(SolveOp op,
                                PatternRewriter &rewriter) const override {
    if (!hasIndependentSteps(op))
      return failure();
    unsigned n = op.getNumStates();
    SmallVector<bool> live = findLive(op);
    llvm::BitVector drop(n);
    for (unsigned i = 0; i < n; ++i)
      if (!live[i] || isConstant(op, i))
        drop.set(i);
    if (drop.none())
      return failure();
    if (drop.all() && !isMemoryEffectFree(op))
      return failure();
    if (drop.all())
      return rewriter.replaceOp(op, op.getStates()), success();

    Block &body = op.getField().front();
    Operation *end = body.getTerminator();
    SmallVector<Value> states, replacements(n);
    SmallVector<Type> types;
    llvm::BitVector arguments(n + 1), yielded(end->getNumOperands());
    for (unsigned i = 0; i < n; ++i) {
      if (drop[i]) {
        rewriter.replaceAllUsesWith(body.getArgument(1 + i), op.getStates()[i]);
        replacements[i] = op.getStates()[i];
        arguments.set(1 + i);
        for (unsigned j = i; j < yielded.size(); j += n)
          yielded.set(j);
        continue;
      }
      states.push_back(op.getStates()[i]);
      types.push_back(op.getResult(i).getType());
    }
    rewriter.modifyOpInPlace(end, [&] { eraseOperands(end, yielded, n); });
    rewriter.modifyOpInPlace(op, [&] { body.eraseArguments(arguments); });
    auto smaller = SolveOp::create(rewriter, op.getLoc(), types, states,
                                   op.getDt(), op.getStart(), op.getTimes(),
                                   op.getMethodAttr(), op.getReportingAttr(),
                                   /*eventsCount=*/0);
    smaller->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    rewriter.inlineRegionBefore(op.getField(), smaller.getField(),
                                smaller.getField().end());
    unsigned next = 0;
    for (unsigned i = 0; i < n; ++i)
      if (!drop[i])
        replacements[i] = smaller.getResult(next++);
    // A dropped state's result of output times is unused, and of another type.
    for (auto [result, value] : llvm::zip_equal(op.getResults(), replacements))
      if (!result.use_empty())
        rewriter.replaceAllUsesWith(result, value);
    rewriter.eraseOp(op);
    return success();
  }

  /// Group by group, for the sizes of the groups to follow.
  static void eraseOperands(Operation *end, const llvm::BitVector &erased,
                            unsigned n) {
    auto erase = [&](MutableOperandRange range, unsigned group) {
      for (unsigned i = range.size(); i-- > 0;)
        if (erased[group * n + i])
          range.erase(i);
    };
    if (auto yield = dyn_cast<YieldOp>(end))
      return erase(yield.getDerivativesMutable(), 0);
    auto yield = cast<YieldSemilinearOp>(end);
    erase(yield.getMassesMutable(), 2);
    erase(yield.getDrivesMutable(), 1);
    erase(yield.getDecaysMutable(), 0);
  }
};

} // namespace

void SolveOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                          MLIRContext *context) {
  patterns.add<ShareClock, DropStates>(context);
}
