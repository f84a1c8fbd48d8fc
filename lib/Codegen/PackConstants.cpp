//===- PackConstants.cpp - constants in the order that vectors read them --===//
//
// The loop in the lanes becomes a constant's last dimension. A matrix wider
// than a block of vectors is cut into panels of that width, each contiguous, so
// that a block reads it from the first byte to the last:
//
//   w[k, n]   becomes   w[n floordiv P, k, n mod P]
//
// The last panel is filled up with zeros.
//
//===----------------------------------------------------------------------===//
#include "Fusion.h"
#include "LoopPlan.h"
#include "lnn/Transforms/LargeConstants.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace lnn {

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

/// Rows of `columns` elements, cut into panels of `panel` columns.
static std::vector<char> cutIntoPanels(ArrayRef<char> source, int64_t rows,
                                       int64_t columns, int64_t panel,
                                       int64_t width) {
  int64_t panels = llvm::divideCeil(columns, panel);
  std::vector<char> result(panels * rows * panel * width);
  for (int64_t p = 0; p < panels; ++p) {
    int64_t wide = std::min(panel, columns - p * panel);
    for (int64_t row = 0; row < rows; ++row)
      std::copy_n(source.data() + (row * columns + p * panel) * width,
                  wide * width,
                  result.data() + (p * rows + row) * panel * width);
  }
  return result;
}

ElementsAttr packable(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  auto elements =
      constant ? dyn_cast<ElementsAttr>(constant.getValue()) : ElementsAttr();
  if (!isa_and_present<DenseElementsAttr, DenseResourceElementsAttr>(
          elements) ||
      elements.isSplat() || elements.getNumElements() == 0 ||
      !elements.getElementType().isIntOrFloat() ||
      elements.getElementType().getIntOrFloatBitWidth() % 8 != 0)
    return {};
  return elements;
}

ArrayRef<char> bytesOf(ElementsAttr elements) {
  if (auto dense = dyn_cast<DenseElementsAttr>(elements))
    return dense.getRawData();
  return cast<DenseResourceElementsAttr>(elements)
      .getRawHandle()
      .getBlob()
      ->getData();
}

Value constantPart(OpBuilder &b, Location loc, ElementsAttr elements,
                   unsigned dim, int64_t from, int64_t size) {
  ShapedType type = elements.getShapedType();
  int64_t inner = type.getElementTypeBitWidth() / 8, outer = 1;
  for (int64_t extent : type.getShape().drop_front(dim + 1))
    inner *= extent;
  for (int64_t extent : type.getShape().take_front(dim))
    outer *= extent;
  ArrayRef<char> bytes = bytesOf(elements);
  std::vector<char> result;
  result.reserve(outer * size * inner);
  for (int64_t i = 0; i < outer; ++i) {
    ArrayRef<char> rows =
        bytes.slice((i * type.getDimSize(dim) + from) * inner, size * inner);
    result.insert(result.end(), rows.begin(), rows.end());
  }
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] = size;
  auto partType = RankedTensorType::get(shape, type.getElementType());
  return arith::ConstantOp::create(
      b, loc, partType,
      cast<TypedAttr>(elementsOf(partType, std::move(result), "lnn_part")));
}

/// A part of a constant, known in all dimensions but one to be whole.
static bool isPartOfConstant(tensor::ExtractSliceOp slice) {
  ElementsAttr elements = packable(slice.getSource());
  if (!elements || slice.getType().getRank() != slice.getSourceType().getRank())
    return false;
  unsigned cut = 0;
  for (auto [offset, size, stride, extent] :
       llvm::zip(slice.getStaticOffsets(), slice.getStaticSizes(),
                 slice.getStaticStrides(), slice.getSourceType().getShape())) {
    if (ShapedType::isDynamic(offset) || ShapedType::isDynamic(size) ||
        stride != 1 || size == 0)
      return false;
    cut += size != extent;
  }
  return cut == 1;
}

unsigned cutConstants(func::FuncOp function, RewriterBase &rewriter) {
  // By constant: the parts that sums read.
  llvm::MapVector<Value, SmallVector<tensor::ExtractSliceOp>> parts;
  function.walk([&](tensor::ExtractSliceOp slice) {
    bool summed = llvm::any_of(slice->getUsers(), [](Operation *user) {
      auto op = dyn_cast<linalg::GenericOp>(user);
      return op && op.getNumReductionLoops() != 0;
    });
    if (summed && isPartOfConstant(slice))
      parts[slice.getSource()].push_back(slice);
  });
  unsigned made = 0;
  for (auto &[source, slices] : parts) {
    // Parts that overlap would take more memory than the whole.
    int64_t elements = 0;
    for (tensor::ExtractSliceOp slice : slices)
      elements += slice.getType().getNumElements();
    if (elements > cast<RankedTensorType>(source.getType()).getNumElements())
      continue;
    for (tensor::ExtractSliceOp slice : slices) {
      unsigned dim = 0;
      while (slice.getStaticSize(dim) == slice.getSourceType().getDimSize(dim))
        ++dim;
      rewriter.setInsertionPointAfterValue(source);
      rewriter.replaceOp(slice, constantPart(rewriter, slice.getLoc(),
                                             packable(source), dim,
                                             slice.getStaticOffset(dim),
                                             slice.getStaticSize(dim)));
      ++made;
    }
  }
  return made;
}

/// Each dimension is read by one loop, another for each, or at one place.
static bool isPlain(AffineMap map) {
  llvm::SmallBitVector seen(map.getNumDims());
  for (AffineExpr expr : map.getResults()) {
    if (isa<AffineConstantExpr>(expr))
      continue;
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim || seen.test(dim.getPosition()))
      return false;
    seen.set(dim.getPosition());
  }
  return true;
}

namespace {
class ConstantPacker {
public:
  ConstantPacker(RewriterBase &rewriter, int64_t lanes)
      : rewriter(rewriter), lanes(lanes) {}
  unsigned pack(linalg::GenericOp op);

private:
  unsigned transposeOperands(linalg::GenericOp op, ArrayRef<unsigned> constants,
                             unsigned dim);
  unsigned makePanels(linalg::GenericOp op, ArrayRef<unsigned> constants,
                      unsigned dim);
  Value inPanels(Value value, ElementsAttr elements, int64_t panel);
  Value transposed(Value value, ElementsAttr elements, ArrayRef<int64_t> order);

  RewriterBase &rewriter;
  int64_t lanes;
  DenseMap<std::pair<Value, int64_t>, Value>
      done; ///< by constant and the dimension that became the last
  DenseMap<std::pair<Value, int64_t>, Value> panels; ///< by constant and width
};
} // namespace

Value ConstantPacker::transposed(Value value, ElementsAttr elements,
                                 ArrayRef<int64_t> order) {
  Value &known = done[{value, order.back()}];
  if (known)
    return known;
  ShapedType type = elements.getShapedType();
  SmallVector<int64_t> shape;
  for (int64_t i : order)
    shape.push_back(type.getDimSize(i));
  int64_t width = type.getElementTypeBitWidth() / 8;
  auto packedType = RankedTensorType::get(shape, type.getElementType());
  std::vector<char> data =
      transpose(bytesOf(elements), type.getShape(), order, width);
  auto packed =
      cast<TypedAttr>(elementsOf(packedType, std::move(data), "lnn_packed"));
  rewriter.setInsertionPointAfterValue(value);
  known =
      arith::ConstantOp::create(rewriter, value.getLoc(), packedType, packed);
  return known;
}

unsigned ConstantPacker::pack(linalg::GenericOp op) {
  if (op->hasAttr(sparseWeights))
    return 0;
  SmallVector<unsigned> constants;
  for (OpOperand *input : op.getDpsInputOperands())
    if (packable(input->get()) && isPlain(op.getMatchingIndexingMap(input)))
      constants.push_back(input->getOperandNumber());
  if (constants.empty())
    return 0;
  std::optional<unsigned> dim = chooseVectorDim(op, lanes, constants);
  if (!dim)
    return 0;
  unsigned packed = transposeOperands(op, constants, *dim);
  return packed + makePanels(op, constants, *dim);
}

unsigned ConstantPacker::transposeOperands(linalg::GenericOp op,
                                           ArrayRef<unsigned> constants,
                                           unsigned dim) {
  unsigned packed = 0;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  for (unsigned number : constants) {
    OpOperand &operand = op->getOpOperand(number);
    std::optional<unsigned> position =
        maps[number].getResultPosition(rewriter.getAffineDimExpr(dim));
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

Value ConstantPacker::inPanels(Value value, ElementsAttr elements,
                               int64_t panel) {
  Value &known = panels[{value, panel}];
  if (known)
    return known;
  ShapedType type = elements.getShapedType();
  int64_t columns = type.getShape().back(),
          rows = type.getNumElements() / columns,
          width = type.getElementTypeBitWidth() / 8;
  SmallVector<int64_t> shape{int64_t(llvm::divideCeil(columns, panel))};
  llvm::append_range(shape, type.getShape().drop_back());
  shape.push_back(panel);
  auto packedType = RankedTensorType::get(shape, type.getElementType());
  std::vector<char> data =
      cutIntoPanels(bytesOf(elements), rows, columns, panel, width);
  rewriter.setInsertionPointAfterValue(value);
  known = arith::ConstantOp::create(
      rewriter, value.getLoc(), packedType,
      cast<TypedAttr>(elementsOf(packedType, std::move(data), "lnn_packed")));
  return known;
}

unsigned ConstantPacker::makePanels(linalg::GenericOp op,
                                    ArrayRef<unsigned> constants,
                                    unsigned dim) {
  if (op.getNumReductionLoops() == 0)
    return 0;
  LoopPlan plan = planLoops(op, lanes);
  int64_t panel = plan.lanes * plan.vectors;
  if (plan.vectorDim != dim || plan.lanes < 2)
    return 0;
  unsigned packed = 0;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  for (unsigned number : constants) {
    OpOperand &operand = op->getOpOperand(number);
    AffineMap map = maps[number];
    ElementsAttr elements = packable(operand.get());
    bool reduced = llvm::any_of(
        plan.reductions, [&](unsigned r) { return map.isFunctionOfDim(r); });
    AffineExpr lane = rewriter.getAffineDimExpr(dim);
    if (!reduced || map.getResults().back() != lane ||
        elements.getShapedType().getShape().back() <= panel)
      continue;
    SmallVector<AffineExpr> results{lane.floorDiv(panel)};
    llvm::append_range(results, map.getResults().drop_back());
    results.push_back(lane % panel);
    Value value = inPanels(operand.get(), elements, panel);
    rewriter.modifyOpInPlace(op, [&] { operand.set(value); });
    maps[number] =
        AffineMap::get(map.getNumDims(), 0, results, rewriter.getContext());
    ++packed;
  }
  rewriter.modifyOpInPlace(op, [&] {
    op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
  });
  return packed;
}

unsigned packConstants(func::FuncOp function, RewriterBase &rewriter,
                       int64_t lanes) {
  ConstantPacker packer(rewriter, lanes);
  unsigned packed = 0;
  function.walk([&](linalg::GenericOp op) {
    if (op.hasPureTensorSemantics())
      packed += packer.pack(op);
  });
  return packed;
}

} // namespace lnn
