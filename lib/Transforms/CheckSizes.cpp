//===- CheckSizes.cpp - check that sizes which meet are equal -------------===//
//
// What is computed of the arguments' sizes alone is known before a run: a
// check of it, made here, is tested by lnn_sizes before anything is read.
//
//===----------------------------------------------------------------------===//
#include "lnn/Transforms/Passes.h"
#include "lnn/Transforms/Sizes.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/DenseSet.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNCHECKSIZESPASS
#include "lnn/Transforms/Passes.h.inc"

namespace {

/// True where the operation runs in every call, but for loops without
/// iterations.
bool alwaysRuns(Operation *op, func::FuncOp func) {
  for (Operation *parent = op->getParentOp(); parent != func;
       parent = parent->getParentOp())
    if (!parent || !isa<scf::ForOp, ScanOp>(parent))
      return false;
  return true;
}

/// Where the user finds it: a node's name, or a place in the text.
std::string placeOf(Location loc) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (auto name = loc->findInstanceOf<NameLoc>())
    os << name.getName().getValue();
  else if (auto file = loc->findInstanceOf<FileLineColLoc>())
    os << "line " << file.getLine() << ", column " << file.getColumn();
  else
    os << loc;
  return text;
}

class SizeChecker {
public:
  explicit SizeChecker(func::FuncOp func)
      : func(func), end(func.getBody().front().getTerminator()),
        sizes(
            func,
            OpBuilder(&func.getBody().front(), func.getBody().front().begin()),
            [](OpBuilder &b, BlockArgument argument, int64_t dim) -> Value {
              return tensor::DimOp::create(b, argument.getLoc(), argument, dim);
            }) {}

  void run() {
    SmallVector<Operation *> ops;
    func.walk([&](Operation *op) {
      if (isa<linalg::LinalgOp, ScanOp, tensor::CastOp, tensor::ExtractSliceOp,
              tensor::InsertSliceOp>(op) &&
          alwaysRuns(op, func))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
        checkLoops(linalgOp);
      else if (auto scan = dyn_cast<ScanOp>(op))
        checkLengths(scan);
      else if (auto cast = dyn_cast<tensor::CastOp>(op))
        checkCast(cast);
      else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
        checkSlice(slice, slice.getSource());
      else if (auto slice = dyn_cast<tensor::InsertSliceOp>(op))
        checkSlice(slice, slice.getDest());
    }
  }

private:
  func::FuncOp func;
  OpBuilder end;
  SizeCloner sizes;
  DimResolver resolver;
  DenseSet<std::pair<Value, Value>> done;

  /// The size as a value at the entry; null where it depends on data.
  Value atEntry(OpFoldResult size) {
    if (!size)
      return {};
    if (std::optional<int64_t> constant = getConstantIntValue(size))
      return sizes.share(arith::ConstantIndexOp::create(
          sizes.getBuilder(), func.getLoc(), *constant));
    auto value = cast<Value>(size);
    return sizes.dependsOnSizesOnly(value) ? sizes.clone(value) : Value();
  }

  std::string nameOf(Value size) {
    auto dim = size.getDefiningOp<tensor::DimOp>();
    auto argument = dim ? dyn_cast<BlockArgument>(dim.getSource()) : nullptr;
    if (std::optional<int64_t> constant = getConstantIntValue(size))
      return std::to_string(*constant);
    if (!argument || !dim.getConstantIndex())
      return "a size that follows from the inputs'";
    unsigned number = argument.getArgNumber();
    auto name = func.getArgAttrOfType<StringAttr>(number, "lnn.name");
    return "dimension " + std::to_string(*dim.getConstantIndex()) + " of '" +
           (name ? name.str() : "arg" + std::to_string(number)) + "'";
  }

  void check(Location loc, arith::CmpIPredicate predicate, Value a, Value b,
             StringRef relation) {
    if (a == b || !done.insert({a, b}).second)
      return;
    Value holds = sizes.share(
        arith::CmpIOp::create(sizes.getBuilder(), loc, predicate, a, b));
    if (getConstantIntValue(holds) == -1 || getConstantIntValue(holds) == 1)
      return;
    CheckOp::create(end, loc, holds,
                    placeOf(loc) + ": " + nameOf(a) + " must " +
                        relation.str() + " " + nameOf(b));
  }

  void equal(Location loc, OpFoldResult a, OpFoldResult b) {
    if (equalSizes(a, b))
      return;
    Value first = atEntry(a), second = atEntry(b);
    if (first && second)
      check(loc, arith::CmpIPredicate::eq, first, second, "be equal to");
  }

  /// Operands that a loop goes over together.
  void checkLoops(linalg::LinalgOp op) {
    SmallVector<OpFoldResult> extents(op.getNumLoops());
    OpBuilder builder(op);
    for (OpOperand &operand : op->getOpOperands()) {
      auto type = dyn_cast<RankedTensorType>(operand.get().getType());
      if (!type)
        continue;
      for (auto [i, result] :
           llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults())) {
        auto dim = dyn_cast<AffineDimExpr>(result);
        if (!dim)
          continue;
        OpFoldResult &extent = extents[dim.getPosition()];
        OpFoldResult size = resolver.resolve(operand.get(), i, builder);
        if (!extent)
          extent = size;
        else if (size)
          equal(op.getLoc(), size, extent);
      }
    }
  }

  void checkLengths(ScanOp scan) {
    OpBuilder builder(scan);
    for (auto [input, dim] : llvm::zip(scan.getInputs(), scan.getDims()))
      equal(scan.getLoc(), resolver.resolve(input, dim, builder),
            scan.getLength());
  }

  void checkCast(tensor::CastOp cast) {
    auto from = dyn_cast<RankedTensorType>(cast.getSource().getType()),
         to = dyn_cast<RankedTensorType>(cast.getType());
    if (!from || !to)
      return;
    OpBuilder builder(cast);
    for (int64_t i = 0; i < to.getRank(); ++i)
      if (from.isDynamicDim(i) && !to.isDynamicDim(i))
        equal(cast.getLoc(), resolver.resolve(cast.getSource(), i, builder),
              builder.getIndexAttr(to.getDimSize(i)));
  }

  /// Slices that end behind what they are of.
  template <typename SliceT> void checkSlice(SliceT slice, Value whole) {
    OpBuilder builder(slice);
    Location loc = slice.getLoc();
    for (auto [i, offset, size, stride] :
         llvm::enumerate(slice.getMixedOffsets(), slice.getMixedSizes(),
                         slice.getMixedStrides())) {
      OpFoldResult length = resolver.resolve(whole, i, builder);
      if (getConstantIntValue(stride) != 1 || !length ||
          (isZeroInteger(offset) && equalSizes(size, length)))
        continue;
      Value first = atEntry(offset), count = first ? atEntry(size) : Value(),
            limit = count ? atEntry(length) : Value();
      if (!limit)
        continue;
      Value last = sizes.share(
          arith::AddIOp::create(sizes.getBuilder(), loc, first, count));
      check(loc, arith::CmpIPredicate::sle, last, limit, "not be more than");
    }
  }
};

struct CheckSizesPass : impl::LnnCheckSizesPassBase<CheckSizesPass> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (!func.isDeclaration() && func.getBody().hasOneBlock())
      SizeChecker(func).run();
  }
};

} // namespace
} // namespace lnn
