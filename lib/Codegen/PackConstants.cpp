//===- PackConstants.cpp - constants in the order that vectors read them --===//
#include "Fusion.h"
#include "LoopPlan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;

namespace lnn {

/// The widest vectors that any target has: which loop goes into the lanes
/// hardly depends on it.
constexpr int64_t lanes = 16;

/// Elements of `source` (row-major, `shape`) with dimensions permuted: result
/// dimension i is source dimension order[i].
static std::vector<char> transpose(ArrayRef<char> source,
                                   ArrayRef<int64_t> shape,
                                   ArrayRef<int64_t> order, int64_t width) {
  int64_t rank = shape.size();
  SmallVector<int64_t> strides(rank, 1), extents(rank), steps(rank),
      at(rank, 0);
  for (int64_t i = rank - 1; i-- > 0;)
    strides[i] = strides[i + 1] * shape[i + 1];
  for (int64_t i = 0; i < rank; ++i)
    extents[i] = shape[order[i]], steps[i] = strides[order[i]] * width;
  std::vector<char> result(source.size());
  int64_t from = 0;
  for (size_t to = 0; to < result.size(); to += width) {
    std::copy_n(source.data() + from, width, result.data() + to);
    for (int64_t i = rank; i-- > 0;) {
      from += steps[i];
      if (++at[i] < extents[i])
        break;
      from -= steps[i] * extents[i];
      at[i] = 0;
    }
  }
  return result;
}

/// A constant whose elements we can move, of whole bytes and not all equal.
static DenseElementsAttr packable(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  auto elements = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                           : DenseElementsAttr();
  if (!elements || elements.isSplat() || elements.getNumElements() == 0 ||
      !elements.getElementType().isIntOrFloat() ||
      elements.getElementType().getIntOrFloatBitWidth() % 8 != 0)
    return {};
  return elements;
}

namespace {
class ConstantPacker {
public:
  explicit ConstantPacker(RewriterBase &rewriter) : rewriter(rewriter) {}
  unsigned pack(linalg::GenericOp op);

private:
  Value transposed(Value value, DenseElementsAttr elements,
                   ArrayRef<int64_t> order);

  RewriterBase &rewriter;
  DenseMap<std::pair<Value, int64_t>, Value>
      done; ///< by constant and the dimension that became the last
};
} // namespace

Value ConstantPacker::transposed(Value value, DenseElementsAttr elements,
                                 ArrayRef<int64_t> order) {
  Value &known = done[{value, order.back()}];
  if (known)
    return known;
  ShapedType type = elements.getType();
  SmallVector<int64_t> shape;
  for (int64_t i : order)
    shape.push_back(type.getDimSize(i));
  int64_t width = type.getElementTypeBitWidth() / 8;
  auto packedType = RankedTensorType::get(shape, type.getElementType());
  std::vector<char> data =
      transpose(elements.getRawData(), type.getShape(), order, width);
  auto packed = DenseElementsAttr::getFromRawBuffer(packedType, data);
  rewriter.setInsertionPointAfterValue(value);
  known =
      arith::ConstantOp::create(rewriter, value.getLoc(), packedType, packed);
  return known;
}

unsigned ConstantPacker::pack(linalg::GenericOp op) {
  SmallVector<unsigned> constants;
  for (OpOperand *input : op.getDpsInputOperands())
    if (packable(input->get()) &&
        op.getMatchingIndexingMap(input).isProjectedPermutation())
      constants.push_back(input->getOperandNumber());
  if (constants.empty())
    return 0;
  std::optional<unsigned> dim = chooseVectorDim(op, lanes, constants);
  if (!dim)
    return 0;
  unsigned packed = 0;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  for (unsigned number : constants) {
    OpOperand &operand = op->getOpOperand(number);
    std::optional<unsigned> position =
        maps[number].getResultPosition(rewriter.getAffineDimExpr(*dim));
    if (!position || *position + 1 == maps[number].getNumResults())
      continue;
    SmallVector<int64_t> order;
    SmallVector<AffineExpr> results;
    for (unsigned i = 0; i < maps[number].getNumResults(); ++i)
      if (i != *position)
        order.push_back(i), results.push_back(maps[number].getResult(i));
    order.push_back(*position),
        results.push_back(maps[number].getResult(*position));
    Value value = transposed(operand.get(), packable(operand.get()), order);
    rewriter.modifyOpInPlace(op, [&] { operand.set(value); });
    maps[number] = AffineMap::get(maps[number].getNumDims(), 0, results,
                                  rewriter.getContext());
    ++packed;
  }
  rewriter.modifyOpInPlace(op, [&] {
    op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
  });
  return packed;
}

unsigned packConstants(func::FuncOp function, RewriterBase &rewriter) {
  ConstantPacker packer(rewriter);
  unsigned packed = 0;
  function.walk([&](linalg::GenericOp op) {
    if (op.hasPureTensorSemantics())
      packed += packer.pack(op);
  });
  return packed;
}

} // namespace lnn
