//===- StartFromConstants.cpp - what accumulators begin with --------------===//
//
// A constant, or a tensor that would be copied into the output first: the bias
// of every row, what was computed before the loop. The last thing done on
// tensors: from here on the outputs of such an op hold nothing, and the
// attribute is part of its meaning.
//
//===----------------------------------------------------------------------===//
#include "Fusion.h"
#include "LoopPlan.h"
#include "lnn/Dialect/Lnn/Lnn.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

using namespace mlir;

namespace lnn {

/// The number that every element of `value` is; null where they differ.
static TypedAttr uniform(Value value) {
  if (auto fill = value.getDefiningOp<linalg::FillOp>()) {
    TypedAttr number;
    matchPattern(fill.getInputs()[0], m_Constant(&number));
    return number;
  }
  // What generalization makes of a fill.
  if (auto generic = value.getDefiningOp<linalg::GenericOp>()) {
    Block &body = generic.getRegion().front();
    if (!llvm::hasSingleElement(body) || generic.getNumDpsInits() != 1)
      return {};
    Value yielded = body.getTerminator()->getOperand(0);
    if (auto argument = dyn_cast<BlockArgument>(yielded);
        argument && argument.getOwner() == &body &&
        argument.getArgNumber() < generic.getNumDpsInputs())
      yielded = generic.getInputs()[argument.getArgNumber()];
    TypedAttr number;
    if (!isa<ShapedType>(yielded.getType()))
      matchPattern(yielded, m_Constant(&number));
    return number;
  }
  DenseElementsAttr elements;
  if (matchPattern(value, m_Constant(&elements)) && elements.isSplat())
    return elements.getSplatValue<TypedAttr>();
  return {};
}

/// A tensor of that shape that holds nothing, known without the fill.
static Value emptyLike(Value filled, RewriterBase &rewriter) {
  Location loc = filled.getLoc();
  auto type = cast<RankedTensorType>(filled.getType());
  Value destination = filled;
  if (auto op = filled.getDefiningOp<linalg::LinalgOp>())
    destination = op.getDpsInits()[0];
  SmallVector<OpFoldResult> sizes;
  if (auto empty = destination.getDefiningOp<tensor::EmptyOp>())
    sizes = empty.getMixedSizes();
  else
    sizes = tensor::getMixedSizes(rewriter, loc, destination);
  return tensor::EmptyOp::create(rewriter, loc, sizes, type.getElementType());
}

/// Canonicalization erases an op on buffers that reads an empty one: its
/// outputs must have been filled.
static bool readsNothing(linalg::GenericOp op) {
  return llvm::any_of(op->getOperandTypes(), [](Type type) {
    auto shaped = dyn_cast<RankedTensorType>(type);
    return shaped && llvm::is_contained(shaped.getShape(), 0);
  });
}

/// Where all results of the reduction are written by it alone, so that each
/// accumulator is read once at its beginning.
static bool accumulates(linalg::GenericOp op) {
  return !readsNothing(op) && op.hasPureTensorSemantics() &&
         op.getNumReductionLoops() > 0 &&
         llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
           AffineMap map = op.getMatchingIndexingMap(&output);
           if (!map.isProjectedPermutation())
             return false;
           for (auto [d, kind] : llvm::enumerate(op.getIteratorTypesArray()))
             if (map.isFunctionOfDim(d) !=
                 (kind == utils::IteratorType::parallel))
               return false;
           return true;
         });
}

namespace {
/// A tensor, and where in it the elements of an output begin.
struct Source {
  Value value;
  AffineMap map; ///< of the op's loops
};
} // namespace

/// What an output holds before, if it lies somewhere that stays as it is: then
/// it would be copied.
static std::optional<Source> sourceOf(linalg::GenericOp op, OpOperand &output) {
  AffineMap map = op.getMatchingIndexingMap(&output);
  Value value = output.get();
  if (auto move = value.getDefiningOp<linalg::GenericOp>()) {
    Block &body = move.getRegion().front();
    auto argument =
        dyn_cast<BlockArgument>(body.getTerminator()->getOperand(0));
    if (llvm::hasSingleElement(body) && move.getNumDpsInputs() == 1 &&
        move.getNumDpsInits() == 1 && argument &&
        argument.getArgNumber() == 0 &&
        isa<RankedTensorType>(move.getInputs()[0].getType()) &&
        move.getNumReductionLoops() == 0 &&
        move.getIndexingMapsArray()[1].isIdentity() &&
        move.getIndexingMapsArray()[0].isProjectedPermutation())
      return Source{move.getInputs()[0],
                    move.getIndexingMapsArray()[0].compose(map)};
  }
  Value whole = value;
  while (auto slice = whole.getDefiningOp<tensor::ExtractSliceOp>())
    whole = slice.getSource();
  // In a loop around the op, and not made anew in each iteration.
  Region *region = whole.getParentRegion();
  bool outside = region != op->getParentRegion() &&
                 isa<LoopLikeOpInterface>(op->getParentOp()) &&
                 region->isProperAncestor(op->getParentRegion());
  if (!outside || whole.getDefiningOp<tensor::EmptyOp>())
    return std::nullopt;
  return Source{value, map};
}

namespace {
struct Start {
  unsigned output;
  Source source;
};
} // namespace

/// `op` with more inputs, from which outputs start.
static linalg::GenericOp withStarts(linalg::GenericOp op,
                                    ArrayRef<Start> starts,
                                    RewriterBase &rewriter) {
  SmallVector<Value> inputs(op.getInputs());
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  for (const Start &start : starts) {
    maps.insert(maps.begin() + inputs.size(), start.source.map);
    inputs.push_back(start.source.value);
  }
  auto made = linalg::GenericOp::create(
      rewriter, op.getLoc(), op.getResultTypes(), inputs, op.getOutputs(), maps,
      op.getIteratorTypesArray());
  made->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  unsigned position = op.getNumDpsInputs();
  rewriter.inlineRegionBefore(op.getRegion(), made.getRegion(),
                              made.getRegion().begin());
  Block &body = made.getRegion().front();
  for (const Start &start : starts)
    body.insertArgument(position++,
                        getElementTypeOrSelf(start.source.value.getType()),
                        op.getLoc());
  rewriter.setInsertionPointToStart(&body);
  position = op.getNumDpsInputs();
  for (const Start &start : starts) {
    BlockArgument accumulator = made.getRegionOutputArgs()[start.output];
    auto begin = StartOp::create(rewriter, op.getLoc(), accumulator,
                                 body.getArgument(position++));
    rewriter.replaceAllUsesExcept(accumulator, begin, begin);
  }
  rewriter.replaceOp(op, made.getResults());
  return made;
}

static bool startFromElsewhere(linalg::GenericOp op, RewriterBase &rewriter) {
  SmallVector<Attribute> numbers;
  SmallVector<Start> starts;
  bool any = false;
  for (auto [i, output] : llvm::enumerate(op.getDpsInitsMutable())) {
    TypedAttr number = uniform(output.get());
    any |= static_cast<bool>(number);
    numbers.push_back(number ? Attribute(number) : rewriter.getUnitAttr());
    if (!number)
      if (std::optional<Source> source = sourceOf(op, output))
        starts.push_back({unsigned(i), *source});
  }
  if (!any && starts.empty())
    return false;
  rewriter.setInsertionPoint(op);
  for (auto [i, output] : llvm::enumerate(op.getDpsInitsMutable())) {
    bool elsewhere = llvm::any_of(
        starts, [&](const Start &start) { return start.output == i; });
    if (isa<UnitAttr>(numbers[i]) && !elsewhere)
      continue;
    Value empty = emptyLike(output.get(), rewriter);
    rewriter.modifyOpInPlace(op, [&] { output.set(empty); });
  }
  if (any)
    rewriter.modifyOpInPlace(op, [&] {
      op->setAttr(initialValues, rewriter.getArrayAttr(numbers));
    });
  if (!starts.empty())
    withStarts(op, starts, rewriter);
  return true;
}

unsigned startFromConstants(func::FuncOp function, RewriterBase &rewriter) {
  SmallVector<linalg::GenericOp> ops;
  function.walk([&](linalg::GenericOp op) { ops.push_back(op); });
  unsigned changed = 0;
  for (linalg::GenericOp op : ops)
    if (accumulates(op))
      changed += startFromElsewhere(op, rewriter);
  return changed;
}

} // namespace lnn
