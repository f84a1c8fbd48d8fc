//===- Fuse.cpp - fuse elementwise work into its consumers, on tensors ----===//
#include "lnn/Codegen/Passes.h"

#include "Fusion.h"
#include "LoopPlan.h"
#include "TileProducts.h"
#include "lnn/Dialect/Lnn/Lnn.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNFUSEPASS
#include "lnn/Codegen/Passes.h.inc"

/// A body that only moves data: broadcasts, transposes, copies, constants.
static bool onlyMoves(linalg::GenericOp op) {
  return llvm::hasSingleElement(op.getRegion().front());
}

/// How many ops a fused body may have: a limit on what one loop keeps in
/// registers.
constexpr int64_t maxBodyOps = 200;

/// Loops of the consumer that the producer does not have: its work would be
/// repeated once an iteration.
static bool repeatsWork(OpOperand &use, linalg::GenericOp producer) {
  auto consumer = cast<linalg::GenericOp>(use.getOwner());
  AffineMap map = consumer.getMatchingIndexingMap(&use);
  SmallVector<int64_t> extents = consumer.getStaticLoopRanges();
  for (auto [d, extent] : llvm::enumerate(extents))
    if (!map.isFunctionOfDim(d) && extent != 1)
      return true;
  return false;
}

static bool shouldFuse(OpOperand *use) {
  auto producer = use->get().getDefiningOp<linalg::GenericOp>();
  auto consumer = dyn_cast<linalg::GenericOp>(use->getOwner());
  if (!producer || !consumer || producer->getBlock() != consumer->getBlock())
    return false;
  if (onlyMoves(producer))
    return true;
  auto size = [](linalg::GenericOp op) {
    return op.getRegion().front().getOperations().size();
  };
  if (size(producer) + size(consumer) > maxBodyOps)
    return false;
  // Uses by two operands of one consumer become one once duplicate operands are
  // folded.
  return producer->hasOneUse() && !repeatsWork(*use, producer);
}

namespace {
struct LnnFusePass : impl::LnnFusePassBase<LnnFusePass> {
  using LnnFusePassBase::LnnFusePassBase;

  void runOnOperation() override {
    if (failed(simplify()))
      return signalPassFailure();
    IRRewriter rewriter(&getContext());
    cutConstants(getOperation(), rewriter);
    unsigned merged = mergeSiblings(getOperation(), rewriter);
    numMerged += merged;
    unsigned split = splitExtrema(getOperation(), rewriter);
    if (merged + split && failed(simplify()))
      return signalPassFailure();
    // What is folded can be what keeps others from being constants.
    constexpr int maxRounds = 4;
    for (int round = 0; round < maxRounds; ++round) {
      unsigned folded = foldParameters(getOperation(), rewriter);
      numFolded += folded;
      if (!folded)
        break;
      if (failed(simplify()))
        return signalPassFailure();
    }
    numSparse += packSynapses(getOperation(), rewriter, lanes);
    numPaired += pairGates(getOperation(), rewriter);
    std::optional<WeightType> stored = weightTypeOf(weights);
    if (!stored) {
      getOperation().emitError(
          "lnn-fuse: weights must be f32, bf16 or int8, not '")
          << weights.getValue() << "'";
      return signalPassFailure();
    }
    if (tiles) {
      unsigned made = makeTileProducts(getOperation(), rewriter);
      numTiles += made;
      if (made && failed(simplify()))
        return signalPassFailure();
    }
    if (quads) {
      unsigned made = makeQuadProducts(getOperation(), rewriter);
      numQuads += made;
      if (made && failed(simplify()))
        return signalPassFailure();
    }
    if (pairs)
      numPairs += makePairProducts(getOperation(), rewriter);
    numNarrowed += narrowWeights(getOperation(), rewriter, *stored);
    numPacked += packConstants(getOperation(), rewriter, lanes);
    startFromConstants(getOperation(), rewriter);
  }

  LogicalResult simplify() {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    linalg::populateLinalgNamedOpsGeneralizationPatterns(patterns);
    linalg::populateElementwiseOpsFusionPatterns(patterns, shouldFuse);
    linalg::populateFoldReshapeOpsByExpansionPatterns(
        patterns, [](OpOperand *use) {
          Operation *producer = use->get().getDefiningOp();
          return producer && producer->hasOneUse();
        });
    linalg::populateEraseUnusedOperandsAndResultsPatterns(patterns);
    linalg::populateConstantFoldLinalgOperations(
        patterns, [](OpOperand *) { return true; });
    linalg::GenericOp::getCanonicalizationPatterns(patterns, context);
    linalg::FillOp::getCanonicalizationPatterns(patterns, context);
    tensor::ExpandShapeOp::getCanonicalizationPatterns(patterns, context);
    tensor::CollapseShapeOp::getCanonicalizationPatterns(patterns, context);
    tensor::EmptyOp::getCanonicalizationPatterns(patterns, context);
    tensor::populateFoldTensorEmptyPatterns(patterns);
    context->getLoadedDialect<linalg::LinalgDialect>()
        ->getCanonicalizationPatterns(patterns);
    GreedyRewriteConfig config;
    config.setUseTopDownTraversal(true).setMaxIterations(8);
    // Not converging within these rounds leaves valid IR: fusion is an
    // optimization.
    (void)applyPatternsGreedily(getOperation(), std::move(patterns), config);
    return success();
  }
};
} // namespace

} // namespace lnn
