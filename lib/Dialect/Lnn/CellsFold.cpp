//===- CellsFold.cpp - folders and canonicalizations of cells -------------===//
#include "lnn/Dialect/Lnn/Cells.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace lnn;

/// True for a constant of which all elements are zero.
static bool isZero(Attribute value) {
  if (auto scalar = dyn_cast_or_null<FloatAttr>(value))
    return scalar.getValue().isZero();
  auto elements = dyn_cast_or_null<DenseElementsAttr>(value);
  if (!elements || !isa<FloatType>(elements.getElementType()))
    return false;
  if (elements.isSplat())
    return elements.getSplatValue<APFloat>().isZero();
  return llvm::all_of(elements.getValues<APFloat>(),
                      [](const APFloat &v) { return v.isZero(); });
}

/// The value of a constant, where it is one.
static DenseElementsAttr constantOf(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  return constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                  : DenseElementsAttr();
}

OpFoldResult FeedbackOp::fold(FoldAdaptor adaptor) {
  // u = x + 0 h
  if (isZero(adaptor.getF()) || (getWiring() && getWiring()->isEmpty()))
    return getInput();
  return {};
}

OpFoldResult TrajectoryOp::fold(FoldAdaptor adaptor) {
  // Nothing is remembered in no time.
  if (isZero(adaptor.getDt()))
    return getMemory();
  return {};
}

namespace {
/// The scalar that a duration tensor repeats, if that can be seen.
static Value repeatedScalar(Value dt, PatternRewriter &rewriter) {
  if (DenseElementsAttr elements = constantOf(dt);
      elements && elements.isSplat() && elements.getNumElements() > 0)
    return arith::ConstantOp::create(rewriter, dt.getLoc(),
                                     elements.getSplatValue<FloatAttr>());
  if (auto splat = dt.getDefiningOp<tensor::SplatOp>())
    return splat.getInput();
  if (auto from = dt.getDefiningOp<tensor::FromElementsOp>();
      from && from.getElements().size() == 1)
    return from.getElements().front();
  if (auto fill = dt.getDefiningOp<linalg::FillOp>())
    return fill.getInputs().front();
  return {};
}

/// One duration for all of the batch is a scalar.
template <typename OpT> struct ScalarDuration : OpRewritePattern<OpT> {
  using OpRewritePattern<OpT>::OpRewritePattern;
  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    if (!isa<RankedTensorType>(op.getDt().getType()))
      return failure();
    Value scalar = repeatedScalar(op.getDt(), rewriter);
    if (!scalar ||
        scalar.getType() !=
            cast<RankedTensorType>(op.getDt().getType()).getElementType())
      return failure();
    rewriter.modifyOpInPlace(op, [&] { op.getDtMutable().assign(scalar); });
    return success();
  }
};

/// A wiring in which all synapses exist says nothing.
template <typename OpT> struct DropDenseWiring : OpRewritePattern<OpT> {
  using OpRewritePattern<OpT>::OpRewritePattern;
  LogicalResult matchAndRewrite(OpT op,
                                PatternRewriter &rewriter) const override {
    bool changed = false;
    for (StringRef name : {"wiring", "sensory_wiring", "input_wiring"}) {
      auto wiring = dyn_cast_or_null<WiringAttr>(
          op->getInherentAttr(name).value_or(Attribute()));
      if (!wiring || !wiring.isDense() || wiring.isEmpty())
        continue;
      rewriter.modifyOpInPlace(op, [&] { op->removeAttr(name); });
      changed = true;
    }
    return success(changed);
  }
};

/// Weights of a wiring without synapses are not read: zeros stand for them, so
/// that the real ones can go.
static bool dropWeights(Operation *op, std::optional<WiringAttr> wiring,
                        ArrayRef<OpOperand *> weights,
                        PatternRewriter &rewriter) {
  bool changed = false;
  if (!wiring || !wiring->isEmpty())
    return false;
  for (OpOperand *weight : weights) {
    if (DenseElementsAttr known = constantOf(weight->get());
        known && known.isSplat())
      continue;
    auto type = cast<RankedTensorType>(weight->get().getType());
    Value zero = arith::ConstantOp::create(rewriter, op->getLoc(),
                                           rewriter.getZeroAttr(type));
    rewriter.modifyOpInPlace(op, [&] { weight->set(zero); });
    changed = true;
  }
  return changed;
}

struct DropLtcSynapses : OpRewritePattern<LtcOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(LtcOp op,
                                PatternRewriter &rewriter) const override {
    bool changed = dropWeights(op, op.getWiring(),
                               {&op.getWMutable(), &op.getSigmaMutable(),
                                &op.getMuMutable(), &op.getErevMutable()},
                               rewriter);
    changed |=
        dropWeights(op, op.getSensoryWiring(),
                    {&op.getSensoryWMutable(), &op.getSensorySigmaMutable(),
                     &op.getSensoryMuMutable(), &op.getSensoryErevMutable()},
                    rewriter);
    return success(changed);
  }
};

struct DropCtrnnSynapses : OpRewritePattern<CtrnnOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CtrnnOp op,
                                PatternRewriter &rewriter) const override {
    bool changed =
        dropWeights(op, op.getWiring(), {&op.getRMutable()}, rewriter);
    changed |=
        dropWeights(op, op.getInputWiring(), {&op.getWMutable()}, rewriter);
    return success(changed);
  }
};
} // namespace

void LtcOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                        MLIRContext *context) {
  patterns.add<ScalarDuration<LtcOp>, DropDenseWiring<LtcOp>, DropLtcSynapses>(
      context);
}
void CfcOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                        MLIRContext *context) {
  patterns.add<ScalarDuration<CfcOp>, DropDenseWiring<CfcOp>>(context);
}
void CtrnnOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                          MLIRContext *context) {
  patterns.add<ScalarDuration<CtrnnOp>, DropDenseWiring<CtrnnOp>,
               DropCtrnnSynapses>(context);
}
void FeedbackOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                             MLIRContext *context) {
  patterns.add<DropDenseWiring<FeedbackOp>>(context);
}
void TrajectoryOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                               MLIRContext *context) {
  patterns.add<ScalarDuration<TrajectoryOp>>(context);
}
