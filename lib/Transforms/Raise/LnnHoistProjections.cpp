//===- LnnHoistProjections.cpp - products of inputs for all steps at once -===//
//
// A product of a scan's input and a matrix is computed for all of time in front
// of the scan. Where the product is of [x, h], the part of x is, and the part
// of h starts from it.
//
//===----------------------------------------------------------------------===//
#include "Concatenation.h"
#include "Contraction.h"
#include "lnn/Transforms/Raise/Passes.h"

#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"

namespace lnn {
#define GEN_PASS_DEF_LNNHOISTPROJECTIONSPASS
#include "lnn/Transforms/Raise/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;

namespace {

/// Hoists out of one scan, which is replaced where it needs more inputs.
class Hoisting {
public:
  Hoisting(ScanOp scan, int64_t minBytes) : scan(scan), minBytes(minBytes) {}
  unsigned run();

private:
  ScanOp scan;
  int64_t minBytes;

  bool isOutside(Value value) {
    return !scan.getBody().isAncestor(value.getParentRegion());
  }
  /// A matrix that each step would read from farther than the nearest cache.
  bool isLarge(RankedTensorType matrix) const {
    return !matrix.hasStaticShape() ||
           matrix.getNumElements() * matrix.getElementTypeBitWidth() / 8 >=
               minBytes;
  }
  /// The number of the scan's input that a value is a slice of.
  std::optional<unsigned> sliceOf(Value value);
  bool splitConcatenation(linalg::LinalgOp op);
  bool hoist(linalg::LinalgOp op);
  Value startForAll(linalg::LinalgOp op, RankedTensorType type,
                    ArrayRef<OpFoldResult> sizes);
  BlockArgument addInput(Value input, bool reverse, Type slice);
};
} // namespace

std::optional<unsigned> Hoisting::sliceOf(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument || argument.getOwner() != &scan.getBody().front() ||
      argument.getArgNumber() == 0 ||
      argument.getArgNumber() > scan.getInputs().size())
    return std::nullopt;
  return argument.getArgNumber() - 1;
}

/// [x, h] W becomes h W_h accumulated on x W_x, where x is a slice of time.
bool Hoisting::splitConcatenation(linalg::LinalgOp op) {
  for (OpOperand *operand : op.getDpsInputOperands()) {
    OpOperand *other = op.getDpsInputOperand(1 - operand->getOperandNumber());
    int64_t dim = -1;
    SmallVector<tensor::InsertSliceOp> parts =
        raise::partsOf(operand->get(), dim);
    if (parts.empty() || !isOutside(other->get()))
      continue;
    auto ofTime = [&](tensor::InsertSliceOp part) {
      return sliceOf(part.getSource()).has_value() ||
             isOutside(part.getSource());
    };
    unsigned slices = llvm::count_if(parts, ofTime);
    // The loop over the dimension is a sum, and the other operand has it.
    auto loop = dyn_cast<AffineDimExpr>(
        op.getMatchingIndexingMap(operand).getResult(dim));
    if (slices == 0 || slices == parts.size() || !loop ||
        op.getIteratorTypesArray()[loop.getPosition()] !=
            utils::IteratorType::reduction)
      continue;
    std::optional<int64_t> otherDim;
    for (auto [d, expr] :
         llvm::enumerate(op.getMatchingIndexingMap(other).getResults()))
      if (expr == loop)
        otherDim = d;
    if (!otherDim || llvm::none_of(parts, [&](tensor::InsertSliceOp part) {
          auto matrix = cast<RankedTensorType>(other->get().getType());
          SmallVector<int64_t> shape(matrix.getShape());
          shape[*otherDim] = part.getSourceType().getDimSize(dim);
          return ofTime(part) &&
                 isLarge(RankedTensorType::get(shape, matrix.getElementType()));
        }))
      continue;
    OpBuilder b(op);
    Location loc = op.getLoc();
    // Those of time first, in their order.
    SmallVector<tensor::InsertSliceOp> ordered, rest;
    for (tensor::InsertSliceOp part : parts)
      (ofTime(part) ? ordered : rest).push_back(part);
    llvm::append_range(ordered, rest);
    Value sum = op.getDpsInits()[0];
    for (tensor::InsertSliceOp part : ordered) {
      OpBuilder front(scan);
      SmallVector<OpFoldResult> sizes =
          tensor::getMixedSizes(front, loc, other->get());
      SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0)),
          strides(sizes.size(), b.getIndexAttr(1));
      offsets[*otherDim] = part.getMixedOffsets()[dim];
      sizes[*otherDim] = b.getIndexAttr(part.getSourceType().getDimSize(dim));
      Value weight = tensor::ExtractSliceOp::create(front, loc, other->get(),
                                                    offsets, sizes, strides);
      SmallVector<Value> operands(op->getOperands());
      operands[operand->getOperandNumber()] = part.getSource();
      operands[other->getOperandNumber()] = weight;
      operands[2] = sum;
      Operation *copy = b.clone(*op.getOperation());
      copy->setOperands(operands);
      sum = copy->getResult(0);
    }
    op->getResult(0).replaceAllUsesWith(sum);
    op->erase();
    return true;
  }
  return false;
}

/// What the sums start from, once for each step.
Value Hoisting::startForAll(linalg::LinalgOp op, RankedTensorType type,
                            ArrayRef<OpFoldResult> sizes) {
  OpBuilder b(scan);
  Location loc = op.getLoc();
  Value init = op.getDpsInits()[0];
  Value empty = tensor::EmptyOp::create(b, loc, sizes, type.getElementType());
  if (auto fill = init.getDefiningOp<linalg::FillOp>();
      fill && isOutside(fill.getInputs()[0]))
    return linalg::FillOp::create(b, loc, fill.getInputs()[0], empty)
        .getResult(0);
  unsigned rank = type.getRank();
  SmallVector<AffineExpr> inner;
  for (unsigned d = 1; d < rank; ++d)
    inner.push_back(b.getAffineDimExpr(d));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, type, init, empty,
             {AffineMap::get(rank, 0, inner, b.getContext()),
              b.getMultiDimIdentityMap(rank)},
             iterators,
             [&](OpBuilder &at, Location, ValueRange v) {
               linalg::YieldOp::create(at, loc, v[0]);
             })
      .getResult(0);
}

BlockArgument Hoisting::addInput(Value input, bool reverse, Type slice) {
  OpBuilder b(scan);
  SmallVector<Value> inputs(scan.getInputs());
  SmallVector<int64_t> dims(scan.getDims());
  SmallVector<bool> reversed(scan.getReverse());
  inputs.push_back(input);
  dims.push_back(0);
  reversed.push_back(reverse);
  auto made = ScanOp::create(b, scan.getLoc(), scan.getResultTypes(),
                             scan.getLength(), inputs, scan.getInits(), dims,
                             reversed, scan.getOutDims(), scan.getOutReverse());
  made.getBody().takeBody(scan.getBody());
  scan.replaceAllUsesWith(made.getResults());
  scan.erase();
  scan = made;
  return scan.getBody().insertArgument(unsigned(inputs.size()), slice,
                                       scan.getLoc());
}

/// The product for all steps, and a slice of it in place of the op.
bool Hoisting::hoist(linalg::LinalgOp op) {
  if (!isOutside(op.getDpsInits()[0]))
    return false;
  std::optional<bool> reverse;
  for (Value input : op.getDpsInputs()) {
    if (isOutside(input)) {
      auto matrix = dyn_cast<RankedTensorType>(input.getType());
      if (!matrix || !isLarge(matrix))
        return false;
      continue;
    }
    std::optional<unsigned> slice = sliceOf(input);
    if (!slice || (reverse && *reverse != scan.getReverse()[*slice]))
      return false;
    reverse = scan.getReverse()[*slice];
  }
  if (!reverse)
    return false;
  OpBuilder b(scan);
  Location loc = op.getLoc();
  unsigned loops = op.getNumLoops() + 1;
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  AffineExpr time = b.getAffineDimExpr(0);
  for (OpOperand &operand : op->getOpOperands()) {
    SmallVector<AffineExpr> exprs;
    for (AffineExpr expr : op.getMatchingIndexingMap(&operand).getResults())
      exprs.push_back(expr.shiftDims(loops - 1, 1));
    Value value = operand.get();
    if (std::optional<unsigned> slice = sliceOf(value)) {
      value = scan.getInputs()[*slice];
      exprs.insert(exprs.begin() + scan.getDims()[*slice], time);
    }
    if (op.isDpsInit(&operand))
      exprs.insert(exprs.begin(), time);
    else
      inputs.push_back(value);
    maps.push_back(AffineMap::get(loops, 0, exprs, b.getContext()));
  }
  auto slice = cast<RankedTensorType>(op->getResult(0).getType());
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(b, loc, op.getDpsInits()[0]);
  sizes.insert(sizes.begin(), getAsOpFoldResult(Value(scan.getLength())));
  SmallVector<int64_t> shape;
  for (OpFoldResult size : sizes)
    shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  auto type = RankedTensorType::get(shape, slice.getElementType());
  Value start = startForAll(op, type, sizes);
  SmallVector<utils::IteratorType> iterators{utils::IteratorType::parallel};
  llvm::append_range(iterators, op.getIteratorTypesArray());
  auto whole = linalg::GenericOp::create(b, loc, TypeRange(start.getType()),
                                         inputs, start, maps, iterators);
  IRMapping mapping;
  op->getRegion(0).cloneInto(&whole.getRegion(), mapping);
  BlockArgument step = addInput(whole.getResult(0), *reverse, slice);
  op->getResult(0).replaceAllUsesWith(step);
  op->erase();
  return true;
}

unsigned Hoisting::run() {
  if (scan.getInputs().empty())
    return 0;
  moveLoopInvariantCode(scan);
  unsigned count = 0;
  bool changed = true;
  while (changed) {
    changed = false;
    for (Operation &op : scan.getBody().front()) {
      auto structured = dyn_cast<linalg::LinalgOp>(op);
      if (!structured || !raise::isSumOfProducts(structured))
        continue;
      if (splitConcatenation(structured) || hoist(structured)) {
        ++count;
        changed = true;
        break;
      }
    }
  }
  return count;
}

namespace {
struct LnnHoistProjectionsPass
    : lnn::impl::LnnHoistProjectionsPassBase<LnnHoistProjectionsPass> {
  using LnnHoistProjectionsPassBase::LnnHoistProjectionsPassBase;

  void runOnOperation() override {
    SmallVector<ScanOp> scans;
    getOperation().walk<WalkOrder::PostOrder>(
        [&](ScanOp scan) { scans.push_back(scan); });
    for (ScanOp scan : scans)
      numHoisted += Hoisting(scan, minBytes).run();
    // Parts of constant matrices.
    RewritePatternSet patterns(&getContext());
    tensor::populateFoldConstantExtractSlicePatterns(
        patterns, [](tensor::ExtractSliceOp) { return true; });
    (void)applyPatternsGreedily(getOperation(), std::move(patterns));
  }
};
} // namespace
