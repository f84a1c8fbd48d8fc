//===- StartFromConstants.cpp - accumulators that begin with a constant ---===//
//
// The last thing done on tensors: from here on the outputs of such an op hold
// nothing, and the attribute is part of its meaning.
//
//===----------------------------------------------------------------------===//
#include "Fusion.h"
#include "LoopPlan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

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

static bool startFromConstants(linalg::GenericOp op, RewriterBase &rewriter) {
  SmallVector<Attribute> numbers;
  bool any = false;
  for (OpOperand &output : op.getDpsInitsMutable()) {
    TypedAttr number = uniform(output.get());
    any |= static_cast<bool>(number);
    numbers.push_back(number ? Attribute(number) : rewriter.getUnitAttr());
  }
  if (!any)
    return false;
  rewriter.setInsertionPoint(op);
  for (auto [output, number] : llvm::zip(op.getDpsInitsMutable(), numbers)) {
    if (isa<UnitAttr>(number))
      continue;
    Value empty = emptyLike(output.get(), rewriter);
    rewriter.modifyOpInPlace(op, [&] { output.set(empty); });
  }
  rewriter.modifyOpInPlace(
      op, [&] { op->setAttr(initialValues, rewriter.getArrayAttr(numbers)); });
  return true;
}

unsigned startFromConstants(func::FuncOp function, RewriterBase &rewriter) {
  unsigned changed = 0;
  function.walk([&](linalg::GenericOp op) {
    if (accumulates(op))
      changed += startFromConstants(op, rewriter);
  });
  return changed;
}

} // namespace lnn
