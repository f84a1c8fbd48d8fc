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

/// Elements `from` ... `from + size` of a constant along one dimension.
static Value partOf(Value value, ElementsAttr elements, unsigned dim,
                    int64_t from, int64_t size, OpBuilder &b) {
  ShapedType type = elements.getShapedType();
  int64_t inner = type.getElementTypeBitWidth() / 8, outer = 1;
  for (int64_t extent : type.getShape().drop_front(dim + 1))
    inner *= extent;
  for (int64_t extent : type.getShape().take_front(dim))
    outer *= extent;
  ArrayRef<char> bytes = bytesOf(elements);
  std::vector<char> result;
  for (int64_t i = 0; i < outer; ++i) {
    ArrayRef<char> rows =
        bytes.slice((i * type.getDimSize(dim) + from) * inner, size * inner);
    result.insert(result.end(), rows.begin(), rows.end());
  }
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] = size;
  auto partType = RankedTensorType::get(shape, type.getElementType());
  return arith::ConstantOp::create(
      b, value.getLoc(), partType,
      cast<TypedAttr>(elementsOf(partType, std::move(result), "lnn_part")));
}

Value PairLoop::part(OpOperand &operand, int64_t from, int64_t size) {
  Value value = operand.get();
  if (from == 0 && size == count)
    return value;
  unsigned dim = dimOf(operand);
  if (ElementsAttr known = packable(value))
    return partOf(value, known, dim, from, size, rewriter);
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(rewriter, op.getLoc(), value);
  SmallVector<OpFoldResult> offsets(sizes.size(), rewriter.getIndexAttr(0)),
      strides(sizes.size(), rewriter.getIndexAttr(1));
  offsets[dim] = rewriter.getIndexAttr(from);
  sizes[dim] = rewriter.getIndexAttr(size);
  return tensor::ExtractSliceOp::create(rewriter, op.getLoc(), value, offsets,
                                        sizes, strides);
}

/// [..., K, ...] as [..., K / 2, 2, ...].
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
