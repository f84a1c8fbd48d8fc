//===- PairLoop.cpp - a reduction two iterations at a time ----------------===//
#include "PairLoop.h"

#include "Fusion.h"
#include "lnn/Transforms/LargeConstants.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace lnn {

bool PairLoop::find() {
  if (op.getNumReductionLoops() != 1 || op.hasIndexSemantics() ||
      !op.hasPureTensorSemantics())
    return false;
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  loop = reductions.front();
  count = op.getStaticLoopRanges()[loop];
  if (ShapedType::isDynamic(count) || count < 2)
    return false;
  for (OpOperand *input : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(input);
    int uses = llvm::count_if(map.getResults(), [&](AffineExpr expr) {
      return expr.isFunctionOfDim(loop);
    });
    if (uses > 1 ||
        (uses == 1 && !map.getResultPosition(rewriter.getAffineDimExpr(loop))))
      return false;
  }
  return true;
}

unsigned PairLoop::dimOf(OpOperand &operand) {
  return *op.getMatchingIndexingMap(&operand).getResultPosition(
      rewriter.getAffineDimExpr(loop));
}

Value PairLoop::part(OpOperand &operand, int64_t from, int64_t size) {
  Value value = operand.get();
  if (from == 0 && size == count)
    return value;
  unsigned dim = dimOf(operand);
  if (ElementsAttr known = packable(value))
    return constantPart(rewriter, value.getLoc(), known, dim, from, size);
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(rewriter, op.getLoc(), value);
  SmallVector<OpFoldResult> offsets(sizes.size(), rewriter.getIndexAttr(0)),
      strides(sizes.size(), rewriter.getIndexAttr(1));
  offsets[dim] = rewriter.getIndexAttr(from);
  sizes[dim] = rewriter.getIndexAttr(size);
  return tensor::ExtractSliceOp::create(rewriter, op.getLoc(), value, offsets,
                                        sizes, strides);
}

Value PairLoop::inPairs(OpOperand &operand) {
  Value value = part(operand, 0, count / 2 * 2);
  auto type = cast<RankedTensorType>(value.getType());
  unsigned dim = dimOf(operand);
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] = 2;
  shape.insert(shape.begin() + dim, count / 2);
  auto paired = RankedTensorType::get(shape, type.getElementType());
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  if (auto known = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                            : DenseElementsAttr())
    return arith::ConstantOp::create(rewriter, op.getLoc(), paired,
                                     known.reshape(paired));
  SmallVector<ReassociationIndices> groups;
  int64_t next = 0;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    groups.push_back({next++});
    if (d == dim)
      groups.back().push_back(next++);
  }
  return tensor::ExpandShapeOp::create(rewriter, op.getLoc(), paired, value,
                                       groups);
}

Value PairLoop::words(OpOperand &operand, ElementsAttr elements,
                      llvm::function_ref<uint32_t(float, float)> word) {
  SmallVector<int64_t> shape(elements.getShapedType().getShape());
  unsigned dim = dimOf(operand);
  int64_t inner = 1, outer = 1, terms = shape[dim];
  for (int64_t extent : ArrayRef<int64_t>(shape).drop_front(dim + 1))
    inner *= extent;
  for (int64_t extent : ArrayRef<int64_t>(shape).take_front(dim))
    outer *= extent;
  ArrayRef<float> values = valuesOf(elements);
  std::vector<char> bytes(outer * (terms / 2) * inner * sizeof(uint32_t));
  auto *next = reinterpret_cast<uint32_t *>(bytes.data());
  for (int64_t i = 0; i < outer; ++i)
    for (int64_t k = 0; k + 1 < terms; k += 2)
      for (int64_t j = 0; j < inner; ++j) {
        int64_t at = (i * terms + k) * inner + j;
        *next++ = word(values[at], values[at + inner]);
      }
  shape[dim] = terms / 2;
  auto type = RankedTensorType::get(shape, rewriter.getI32Type());
  return arith::ConstantOp::create(
      rewriter, op.getLoc(), type,
      cast<TypedAttr>(elementsOf(type, std::move(bytes), "lnn_narrow")));
}

linalg::GenericOp PairLoop::replace(Joint joint, Body body) {
  rewriter.setInsertionPoint(op);
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (OpOperand *input : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(input);
    Value value = varies(*input) ? joint(*input) : input->get();
    if (value) {
      inputs.push_back(value);
      maps.push_back(map);
      continue;
    }
    value = inPairs(*input);
    for (int64_t which : {0, 1}) {
      SmallVector<AffineExpr> results(map.getResults());
      results.insert(results.begin() + dimOf(*input) + 1,
                     rewriter.getAffineConstantExpr(which));
      inputs.push_back(value);
      maps.push_back(
          AffineMap::get(map.getNumDims(), 0, results, rewriter.getContext()));
    }
  }
  for (OpOperand &output : op.getDpsInitsMutable())
    maps.push_back(op.getMatchingIndexingMap(&output));
  auto made = linalg::GenericOp::create(
      rewriter, op.getLoc(), op.getResultTypes(), inputs, op.getOutputs(), maps,
      op.getIteratorTypesArray(),
      [&](OpBuilder &b, Location loc, ValueRange v) {
        linalg::YieldOp::create(b, loc, body(b, v));
      });
  // What the pairs no longer need.
  Block &pair = made.getRegion().front();
  for (Operation &inner : llvm::make_early_inc_range(llvm::reverse(pair)))
    if (isOpTriviallyDead(&inner))
      rewriter.eraseOp(&inner);
  if (count % 2 == 0) {
    rewriter.replaceOp(op, made.getResults());
    return made;
  }
  for (OpOperand *input : op.getDpsInputOperands())
    if (varies(*input))
      input->set(part(*input, count - 1, 1));
  for (auto [output, result] :
       llvm::zip(op.getDpsInitsMutable(), made.getResults()))
    output.set(result);
  return made;
}

} // namespace lnn
