//===- Sizes.cpp - sizes as functions of the arguments' sizes -------------===//
#include "lnn/Transforms/Sizes.h"

#include "lnn/Dialect/Lnn/Lnn.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

using namespace mlir;

namespace lnn {

/// How far a computation is followed. Sizes are short sums and products; the
/// bound keeps hostile input off the stack.
static constexpr unsigned maxDepth = 200;

namespace {
/// A `dim` of the tensor or the buffer dialect, taken apart.
struct DimOfShape {
  Value shaped;
  std::optional<int64_t> index;
  explicit operator bool() const { return static_cast<bool>(shaped); }
};
} // namespace

static DimOfShape matchDim(Operation *op) {
  if (auto dim = dyn_cast<memref::DimOp>(op))
    return {dim.getSource(), dim.getConstantIndex()};
  if (auto dim = dyn_cast<tensor::DimOp>(op))
    return {dim.getSource(), dim.getConstantIndex()};
  return {};
}

/// The operand that is the size of dimension `index` of a buffer made by an
/// operation with one operand a dynamic size.
static Value dynamicSizeOperand(Value buffer, int64_t index) {
  auto type = dyn_cast<MemRefType>(buffer.getType());
  Operation *op = buffer.getDefiningOp();
  if (!type || !op || index < 0 || index >= type.getRank() ||
      !type.isDynamicDim(index))
    return {};
  ValueRange sizes;
  if (auto alloc = dyn_cast<memref::AllocOp>(op))
    sizes = alloc.getDynamicSizes();
  else if (auto alloca = dyn_cast<memref::AllocaOp>(op))
    sizes = alloca.getDynamicSizes();
  else if (auto output = dyn_cast<OutputOp>(op))
    sizes = output.getSizes();
  else if (auto view = dyn_cast<memref::ViewOp>(op))
    sizes = view.getSizes();
  unsigned position = type.getDynamicDimIndex(index);
  return position < sizes.size() ? sizes[position] : Value();
}

/// Computations that may be repeated elsewhere: scalar, without regions and
/// effects. Division is one of them: its copy is guarded.
static bool isScalarArithmetic(Operation *op) {
  if (op->getNumRegions() || op->getNumResults() != 1 ||
      !op->getResult(0).getType().isIntOrIndexOrFloat())
    return false;
  if (isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp,
          arith::CeilDivSIOp, arith::CeilDivUIOp, arith::FloorDivSIOp>(op))
    return true;
  return isa<arith::ArithDialect, affine::AffineDialect>(op->getDialect()) &&
         isPure(op);
}

bool SizeCloner::dependsOnSizesOnly(Value value) { return compute(value, 0); }

bool SizeCloner::compute(Value value, unsigned depth) {
  if (auto it = known.find(value); it != known.end())
    return it->second;
  if (depth > maxDepth)
    return false;
  bool result = false;
  if (Operation *op = value.getDefiningOp()) {
    if (DimOfShape dim = matchDim(op)) {
      auto argument = dyn_cast<BlockArgument>(dim.shaped);
      if (dim.index && argument &&
          argument.getOwner() == &func.getBody().front())
        result = *dim.index >= 0 &&
                 *dim.index < cast<ShapedType>(argument.getType()).getRank();
      else if (Value size = dim.index
                                ? dynamicSizeOperand(dim.shaped, *dim.index)
                                : Value())
        result = compute(size, depth + 1);
    } else if (isScalarArithmetic(op)) {
      result = llvm::all_of(op->getOperands(), [&](Value operand) {
        return compute(operand, depth + 1);
      });
    }
  }
  known[value] = result;
  return result;
}

/// A division's copy runs where the original might not have: a zero divisor
/// must not trap.
static void guardDivisor(OpBuilder &builder, Operation *op) {
  if (!isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp,
           arith::CeilDivSIOp, arith::CeilDivUIOp, arith::FloorDivSIOp>(op))
    return;
  Value divisor = op->getOperand(1);
  if (matchPattern(divisor, m_Constant()) && !matchPattern(divisor, m_Zero()))
    return;
  Location loc = op->getLoc();
  Type type = divisor.getType();
  Value zero =
      arith::ConstantOp::create(builder, loc, builder.getIntegerAttr(type, 0));
  Value one =
      arith::ConstantOp::create(builder, loc, builder.getIntegerAttr(type, 1));
  Value bad = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                    divisor, zero);
  op->setOperand(1, arith::SelectOp::create(builder, loc, bad, one, divisor));
}

Value SizeCloner::clone(Value value) {
  if (auto it = copies.find(value); it != copies.end())
    return it->second;
  Operation *op = value.getDefiningOp();
  Value copy;
  if (DimOfShape dim = matchDim(op)) {
    if (auto argument = dyn_cast<BlockArgument>(dim.shaped)) {
      copy = dimOf(builder, argument, *dim.index);
      if (Operation *made = copy.getDefiningOp())
        copy = share(made);
    } else {
      copy = clone(dynamicSizeOperand(dim.shaped, *dim.index));
    }
  } else {
    IRMapping mapping;
    for (Value operand : op->getOperands())
      mapping.map(operand, clone(operand));
    Operation *made = op->clone(mapping);
    guardDivisor(builder, made);
    builder.insert(made);
    copy = share(made);
  }
  copies[value] = copy;
  return copy;
}

Value SizeCloner::share(Operation *op) {
  SmallVector<Value> folded;
  if (succeeded(builder.tryFold(op, folded)) && folded.size() == 1) {
    op->erase();
    return folded.front();
  }
  size_t hash = OperationEquivalence::computeHash(
      op, OperationEquivalence::directHashValue,
      OperationEquivalence::ignoreHashValue,
      OperationEquivalence::IgnoreLocations);
  for (Operation *other : made[hash])
    if (OperationEquivalence::isEquivalentTo(
            op, other, OperationEquivalence::IgnoreLocations)) {
      op->erase();
      return other->getResult(0);
    }
  made[hash].push_back(op);
  return op->getResult(0);
}

//===----------------------------------------------------------------------===//
// Equality
//===----------------------------------------------------------------------===//

bool equalSizes(OpFoldResult a, OpFoldResult b, unsigned depth) {
  if (!a || !b || depth > 16)
    return false;
  if (a == b)
    return true;
  std::optional<int64_t> ca = getConstantIntValue(a),
                         cb = getConstantIntValue(b);
  if (ca || cb)
    return ca == cb;
  auto va = dyn_cast<Value>(a), vb = dyn_cast<Value>(b);
  if (!va || !vb)
    return false;
  Operation *oa = va.getDefiningOp(), *ob = vb.getDefiningOp();
  if (!oa || !ob || oa->getName() != ob->getName() ||
      oa->getNumOperands() != ob->getNumOperands() || oa->getNumRegions() ||
      oa->getAttrDictionary() != ob->getAttrDictionary() ||
      !isMemoryEffectFree(oa) ||
      cast<OpResult>(va).getResultNumber() !=
          cast<OpResult>(vb).getResultNumber())
    return false;
  for (auto [x, y] : llvm::zip(oa->getOperands(), ob->getOperands()))
    if (!equalSizes(x, y, depth + 1))
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Dimensions of tensors
//===----------------------------------------------------------------------===//

OpFoldResult DimResolver::resolve(Value tensor, int64_t dim,
                                  OpBuilder &builder) {
  auto type = dyn_cast<RankedTensorType>(tensor.getType());
  if (!type || dim < 0 || dim >= type.getRank())
    return {};
  if (!type.isDynamicDim(dim))
    return builder.getIndexAttr(type.getDimSize(dim));
  auto key = std::make_pair(tensor, dim);
  if (auto it = cache.find(key); it != cache.end())
    return it->second;
  if (depth > maxDepth)
    return {};
  ++depth;
  OpFoldResult result = compute(tensor, dim, builder);
  // What a loop's body sees has its size from outside.
  if (auto size = dyn_cast_if_present<Value>(result))
    if (auto dimOp = size.getDefiningOp<tensor::DimOp>();
        dimOp && dimOp.getConstantIndex())
      if (auto argument = dyn_cast<BlockArgument>(dimOp.getSource());
          argument && argument != tensor &&
          isa<ScanOp, scf::ForOp>(argument.getOwner()->getParentOp()))
        if (OpFoldResult outer =
                resolve(argument, *dimOp.getConstantIndex(), builder))
          result = outer;
  --depth;
  cache[key] = result;
  return result;
}

OpFoldResult DimResolver::resolveLoopArgument(Value init, Value yielded,
                                              Value argument, int64_t dim,
                                              OpBuilder &builder) {
  OpFoldResult first = resolve(init, dim, builder);
  if (!first)
    return {};
  // Assume that an iteration keeps the size, and see whether what it yields
  // then has it. What was concluded from a wrong assumption must not stay.
  auto saved = cache;
  cache[{argument, dim}] = first;
  if (equalSizes(resolve(yielded, dim, builder), first))
    return first;
  cache = std::move(saved);
  return {};
}

static OpFoldResult sizeOfSlice(tensor::ExtractSliceOp slice, int64_t dim) {
  llvm::SmallBitVector dropped = slice.getDroppedDims();
  SmallVector<OpFoldResult> sizes = slice.getMixedSizes();
  for (int64_t i = 0, kept = 0, e = sizes.size(); i < e; ++i)
    if (!dropped.test(i) && kept++ == dim)
      return sizes[i];
  return {};
}

std::pair<BlockArgument, int64_t>
firstOfThatSize(func::FuncOp func, BlockArgument argument, int64_t dim) {
  auto nameOf = [&](unsigned number, int64_t index) {
    auto names = func.getArgAttrOfType<ArrayAttr>(number, "lnn.dims");
    return names && index < static_cast<int64_t>(names.size())
               ? dyn_cast<StringAttr>(names[index])
               : StringAttr();
  };
  if (StringAttr name = nameOf(argument.getArgNumber(), dim))
    for (BlockArgument other : func.getArguments())
      if (auto type = dyn_cast<RankedTensorType>(other.getType()))
        for (int64_t i = 0; i < type.getRank(); ++i)
          if (type.isDynamicDim(i) && nameOf(other.getArgNumber(), i) == name)
            return {other, i};
  return {argument, dim};
}

OpFoldResult DimResolver::compute(Value tensor, int64_t dim,
                                  OpBuilder &builder) {
  if (auto argument = dyn_cast<BlockArgument>(tensor)) {
    Operation *parent = argument.getOwner()->getParentOp();
    if (auto loop = dyn_cast<scf::ForOp>(parent)) {
      OpOperand *init = loop.getTiedLoopInit(argument);
      OpOperand *yielded = loop.getTiedLoopYieldedValue(argument);
      return init && yielded ? resolveLoopArgument(init->get(), yielded->get(),
                                                   argument, dim, builder)
                             : OpFoldResult();
    }
    if (auto loop = dyn_cast<scf::WhileOp>(parent)) {
      unsigned i = argument.getArgNumber();
      if (argument.getOwner() == loop.getBeforeBody())
        return resolveLoopArgument(loop.getInits()[i],
                                   loop.getYieldOp().getOperand(i), argument,
                                   dim, builder);
      return resolve(loop.getConditionOp().getArgs()[i], dim, builder);
    }
    if (auto scan = dyn_cast<ScanOp>(parent)) {
      unsigned i = argument.getArgNumber(), inputs = scan.getInputs().size();
      if (i > inputs)
        return resolve(scan.getInits()[i - 1 - inputs], dim, builder);
      int64_t axis = scan.getDims()[i - 1];
      return resolve(scan.getInputs()[i - 1], dim < axis ? dim : dim + 1,
                     builder);
    }
    if (auto func = dyn_cast<func::FuncOp>(parent);
        func && argument.getOwner()->isEntryBlock()) {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(argument.getOwner());
      auto [first, index] = firstOfThatSize(func, argument, dim);
      return tensor::DimOp::create(builder, tensor.getLoc(), first, index)
          .getResult();
    }
    return {};
  }
  Operation *op = tensor.getDefiningOp();
  unsigned number = cast<OpResult>(tensor).getResultNumber();
  if (auto empty = dyn_cast<tensor::EmptyOp>(op))
    return empty.getMixedSizes()[dim];
  if (auto alloc = dyn_cast<bufferization::AllocTensorOp>(op))
    return alloc.getCopy() ? resolve(alloc.getCopy(), dim, builder)
                           : OpFoldResult(alloc.getDynamicSize(builder, dim));
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return resolve(cast.getSource(), dim, builder);
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return sizeOfSlice(slice, dim);
  if (auto insert = dyn_cast<tensor::InsertOp>(op))
    return resolve(insert.getDest(), dim, builder);
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return expand.getMixedOutputShape()[dim];
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    // One dimension, but for ones.
    std::optional<int64_t> other;
    ReassociationIndices group = collapse.getReassociationIndices()[dim];
    for (int64_t i : group) {
      if (collapse.getSrcType().getDimSize(i) == 1)
        continue;
      if (other)
        return {};
      other = i;
    }
    return other ? resolve(collapse.getSrc(), *other, builder) : OpFoldResult();
  }
  if (auto select = dyn_cast<arith::SelectOp>(op)) {
    OpFoldResult a = resolve(select.getTrueValue(), dim, builder);
    return equalSizes(a, resolve(select.getFalseValue(), dim, builder))
               ? a
               : OpFoldResult();
  }
  if (auto loop = dyn_cast<scf::ForOp>(op)) {
    BlockArgument argument = loop.getRegionIterArg(number);
    return resolve(argument, dim, builder);
  }
  if (auto loop = dyn_cast<scf::WhileOp>(op))
    return resolve(loop.getConditionOp().getArgs()[number], dim, builder);
  if (auto branch = dyn_cast<scf::IfOp>(op)) {
    OpFoldResult a =
        resolve(branch.thenYield().getOperand(number), dim, builder);
    return equalSizes(
               a, resolve(branch.elseYield().getOperand(number), dim, builder))
               ? a
               : OpFoldResult();
  }
  if (auto destination = dyn_cast<DestinationStyleOpInterface>(op))
    return resolve(destination.getTiedOpOperand(op->getResult(number))->get(),
                   dim, builder);
  return {};
}

} // namespace lnn
