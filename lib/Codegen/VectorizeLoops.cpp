//===- VectorizeLoops.cpp - linalg on buffers to loops over vectors -------===//
#include "Fusion.h"
#include "LoopEmitter.h"
#include "TileProducts.h"
#include "lnn/Codegen/Passes.h"

#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNVECTORIZELOOPSPASS
#include "lnn/Codegen/Passes.h.inc"

/// acc + a * b becomes fma(a, b, acc) where acc is an output's accumulator: one
/// rounding a term.
static void contractAccumulations(linalg::GenericOp op,
                                  RewriterBase &rewriter) {
  if (op.getNumReductionLoops() == 0)
    return;
  Operation *yield = op.getRegion().front().getTerminator();
  for (auto [argument, value] :
       llvm::zip(op.getRegionOutputArgs(), yield->getOperands())) {
    Value term = addedTerm(argument, value);
    if (!term || !(value.getType().isF32() || value.getType().isF64()))
      continue;
    auto sum = value.getDefiningOp<arith::AddFOp>();
    auto product = term.getDefiningOp<arith::MulFOp>();
    if (!product || !product->hasOneUse())
      continue;
    rewriter.setInsertionPoint(sum);
    rewriter.replaceOpWithNewOp<math::FmaOp>(sum, product.getLhs(),
                                             product.getRhs(), argument);
    rewriter.eraseOp(product);
  }
}

/// An elementwise op on whole buffers is one loop over all elements: ragged
/// inner dimensions cost nothing then.
static void flatten(linalg::GenericOp op, RewriterBase &rewriter) {
  unsigned rank = op.getNumLoops();
  if (rank < 2 || op.getNumParallelLoops() != rank || op.hasIndexSemantics())
    return;
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    AffineMap map = op.getMatchingIndexingMap(&operand);
    bool whole = type && map.isIdentity() && type.getLayout().isIdentity();
    bool scalar = map.getNumResults() == 0 && op.isDpsInput(&operand);
    if (!whole && !scalar)
      return;
  }
  rewriter.setInsertionPoint(op);
  SmallVector<ReassociationIndices> all(1);
  for (unsigned d = 0; d < rank; ++d)
    all[0].push_back(d);
  SmallVector<AffineMap> maps;
  for (OpOperand &operand : op->getOpOperands()) {
    bool whole = op.getMatchingIndexingMap(&operand).getNumResults() != 0;
    maps.push_back(whole ? rewriter.getMultiDimIdentityMap(1)
                         : AffineMap::get(1, 0, rewriter.getContext()));
    if (whole)
      operand.set(memref::CollapseShapeOp::create(rewriter, op.getLoc(),
                                                  operand.get(), all));
  }
  op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
  op.setIteratorTypesAttr(rewriter.getArrayAttr(linalg::IteratorTypeAttr::get(
      rewriter.getContext(), utils::IteratorType::parallel)));
}

/// Large contiguous copies stay one memcpy; the others become loops.
static bool isBlockCopy(memref::CopyOp copy) {
  auto from = dyn_cast<MemRefType>(copy.getSource().getType());
  auto to = dyn_cast<MemRefType>(copy.getTarget().getType());
  if (!from || !to || !from.getLayout().isIdentity() ||
      !to.getLayout().isIdentity())
    return false;
  if (!from.hasStaticShape() || !to.hasStaticShape())
    return true;
  constexpr int64_t worthACall = 2048;
  Type element = from.getElementType();
  int64_t bytes =
      from.getNumElements() *
      (element.isIntOrFloat() ? (element.getIntOrFloatBitWidth() + 7) / 8 : 8);
  return bytes > worthACall;
}

static void copyToGeneric(memref::CopyOp copy, RewriterBase &rewriter) {
  auto from = dyn_cast<MemRefType>(copy.getSource().getType());
  auto to = dyn_cast<MemRefType>(copy.getTarget().getType());
  if (!from || !to || isBlockCopy(copy))
    return;
  rewriter.setInsertionPoint(copy);
  SmallVector<AffineMap> maps(2,
                              rewriter.getMultiDimIdentityMap(from.getRank()));
  SmallVector<utils::IteratorType> kinds(from.getRank(),
                                         utils::IteratorType::parallel);
  linalg::GenericOp::create(rewriter, copy.getLoc(),
                            ValueRange{copy.getSource()},
                            ValueRange{copy.getTarget()}, maps, kinds,
                            [](OpBuilder &b, Location loc, ValueRange values) {
                              linalg::YieldOp::create(b, loc, values[0]);
                            });
  rewriter.eraseOp(copy);
}

/// What one operand of `op` holds, where the other keeps it. The reductions are
/// loops of size one.
static linalg::GenericOp copyInto(linalg::GenericOp op, OpOperand &from,
                                  OpOperand &to, RewriterBase &rewriter) {
  SmallVector<unsigned> dropped;
  op.getReductionDims(dropped);
  SmallVector<AffineExpr> dims;
  unsigned kept = 0;
  for (unsigned d = 0; d < op.getNumLoops(); ++d)
    dims.push_back(llvm::is_contained(dropped, d)
                       ? rewriter.getAffineConstantExpr(0)
                       : rewriter.getAffineDimExpr(kept++));
  SmallVector<AffineMap> maps;
  for (OpOperand *operand : {&from, &to})
    maps.push_back(op.getMatchingIndexingMap(operand).replaceDimsAndSymbols(
        dims, {}, kept, 0));
  SmallVector<utils::IteratorType> kinds(kept, utils::IteratorType::parallel);
  return linalg::GenericOp::create(
      rewriter, op.getLoc(), from.get(), to.get(), maps, kinds,
      [](OpBuilder &b, Location loc, ValueRange values) {
        linalg::YieldOp::create(b, loc, values[0]);
      });
}

namespace {
struct LnnVectorizeLoopsPass
    : impl::LnnVectorizeLoopsPassBase<LnnVectorizeLoopsPass> {
  using LnnVectorizeLoopsPassBase::LnnVectorizeLoopsPassBase;

  void runOnOperation() override {
    if (!llvm::isPowerOf2_32(lanes) || lanes > 64) {
      getOperation().emitError(
          "lnn-vectorize-loops: lanes must be a power of two up to 64, not ")
          << lanes.getValue();
      return signalPassFailure();
    }
    IRRewriter rewriter(&getContext());
    SmallVector<memref::CopyOp> copies;
    getOperation().walk([&](memref::CopyOp copy) { copies.push_back(copy); });
    for (memref::CopyOp copy : copies)
      copyToGeneric(copy, rewriter);
    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    for (linalg::LinalgOp op : ops)
      if (failed(lower(op, rewriter)))
        return signalPassFailure();
  }

  /// Accumulators in memory begin with what is stored there.
  LogicalResult storeInitialValues(linalg::GenericOp op,
                                   RewriterBase &rewriter) {
    if (!op->hasAttr(initialValues))
      return success();
    for (OpOperand &output : op.getDpsInitsMutable()) {
      rewriter.setInsertionPoint(op);
      linalg::LinalgOp start;
      if (TypedAttr number = initialNumber(op, output))
        start = linalg::FillOp::create(
            rewriter, op.getLoc(),
            Value(arith::ConstantOp::create(rewriter, op.getLoc(), number)),
            output.get());
      else if (OpOperand *input = initialInput(op, output))
        start = copyInto(op, *input, output, rewriter);
      if (start && failed(lower(start, rewriter)))
        return failure();
    }
    op->removeAttr(initialValues);
    rewriter.setInsertionPoint(op);
    return success();
  }

  /// Where parts of a fixed batch are what threads share, loops are not.
  bool sharesLoops() {
    if (!threads || getOperation().getName() == kRowsEntry)
      return false;
    auto rows = getOperation()->getParentOp()->getAttrOfType<DictionaryAttr>(
        "lnn.rows");
    auto chunk = rows ? rows.getAs<IntegerAttr>("chunk") : IntegerAttr();
    return !chunk || chunk.getInt() == 0;
  }

  LogicalResult lower(linalg::LinalgOp op, RewriterBase &rewriter) {
    if (!op.hasPureBufferSemantics())
      return op.emitError(
          "lnn-vectorize-loops needs buffers; run one-shot-bufferize first");
    auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
    if (!generic) {
      rewriter.setInsertionPoint(op);
      FailureOr<linalg::GenericOp> made =
          linalg::generalizeNamedOp(rewriter, op);
      if (failed(made))
        return op.emitError("cannot be lowered to loops");
      generic = *made;
    }
    if (isTileProduct(generic)) {
      rewriter.setInsertionPoint(generic);
      if (explain)
        generic.emitRemark() << "matrix tiles: blocks of 32 x 32, bf16";
      emitTileProduct(generic, rewriter);
      rewriter.eraseOp(generic);
      return success();
    }
    takeStarts(generic, rewriter);
    flatten(generic, rewriter);
    contractAccumulations(generic, rewriter);
    rewriter.setInsertionPoint(generic);
    LoopPlan plan = planLoops(generic, lanes);
    if (plan.reductions.empty() &&
        failed(storeInitialValues(generic, rewriter)))
      return failure();
    plan.parts = sharesLoops() && isWorthParts(generic, plan);
    ++(plan.vectorDim ? numVector : numScalar);
    if (explain &&
        generic->getParentOfType<func::FuncOp>().getName() != kRowsEntry)
      generic.emitRemark() << describe(generic, plan);
    LoopEmitter(generic, plan, rewriter).emit();
    rewriter.eraseOp(generic);
    return success();
  }
};
} // namespace

} // namespace lnn
