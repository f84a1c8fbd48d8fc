//===- SplitExtrema.cpp - the largest element of all, by columns first ----===//
//
// A reduction of all dimensions to one element is scalar code. Where it takes
// the largest or the smallest, in whatever order, it goes over all dimensions
// but the last one first, whose elements are lanes, and then over what is left:
//
//   m = max over i, j of x[i, j]    becomes    c[j] = max over i of x[i, j]
//                                              m = max over j of c[j]
//
//===----------------------------------------------------------------------===//
#include "Fusion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace lnn {

namespace {
class ExtremaSplitter {
public:
  ExtremaSplitter(linalg::GenericOp op, RewriterBase &rewriter)
      : op(op), rewriter(rewriter) {}
  bool run();

private:
  bool find();
  Value forEachColumn(Value init);

  linalg::GenericOp op;
  RewriterBase &rewriter;
  SmallVector<Operation *> extrema; ///< by output
  int64_t columns = 0;
};
} // namespace

/// Each output is the largest or smallest of what does not depend on any.
bool ExtremaSplitter::find() {
  constexpr int64_t leastColumns = 16, leastRows = 4;
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  if (!op.hasPureTensorSemantics() || op.hasIndexSemantics() ||
      op.getNumParallelLoops() != 0 || extents.size() < 2)
    return false;
  columns = extents.back();
  int64_t rows = 1;
  for (int64_t extent : ArrayRef(extents).drop_back())
    rows *= ShapedType::isDynamic(extent) ? leastRows : extent;
  if (ShapedType::isDynamic(columns) || columns < leastColumns ||
      rows < leastRows)
    return false;
  for (auto [accumulator, yielded] :
       llvm::zip(op.getRegionOutputArgs(),
                 op.getRegion().front().getTerminator()->getOperands())) {
    Operation *extremum = yielded.getDefiningOp();
    if (!isa_and_present<arith::MaximumFOp, arith::MinimumFOp, arith::MaxSIOp,
                         arith::MinSIOp, arith::MaxUIOp, arith::MinUIOp>(
            extremum) ||
        !accumulator.hasOneUse() || *accumulator.user_begin() != extremum)
      return false;
    extrema.push_back(extremum);
  }
  return llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
    return op.getMatchingIndexingMap(&output).getNumResults() == 0;
  });
}

/// A tensor of one element, as one of as many as there are columns.
Value ExtremaSplitter::forEachColumn(Value init) {
  Type element = getElementTypeOrSelf(init.getType());
  Value empty = tensor::EmptyOp::create(rewriter, op.getLoc(),
                                        ArrayRef<int64_t>{columns}, element);
  return linalg::GenericOp::create(rewriter, op.getLoc(), empty.getType(), init,
                                   empty,
                                   {AffineMap::get(1, 0, rewriter.getContext()),
                                    rewriter.getMultiDimIdentityMap(1)},
                                   utils::IteratorType::parallel,
                                   [](OpBuilder &b, Location at, ValueRange v) {
                                     linalg::YieldOp::create(b, at, v[0]);
                                   })
      .getResult(0);
}

bool ExtremaSplitter::run() {
  if (!find())
    return false;
  rewriter.setInsertionPoint(op);
  Location loc = op.getLoc();
  unsigned loops = op.getNumLoops(), inputs = op.getNumDpsInputs();
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  for (AffineMap &map : MutableArrayRef(maps).drop_front(inputs))
    map = AffineMap::get(loops, 0, rewriter.getAffineDimExpr(loops - 1));
  SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();
  kinds.back() = utils::IteratorType::parallel;
  SmallVector<Value> begins;
  for (Value init : op.getOutputs())
    begins.push_back(forEachColumn(init));
  SmallVector<Type> types(ValueRange(begins).getTypes());
  auto byColumn = linalg::GenericOp::create(
      rewriter, loc, types, op.getInputs(), begins, maps, kinds);
  rewriter.cloneRegionBefore(op.getRegion(), byColumn.getRegion(),
                             byColumn.getRegion().begin());
  rewriter.setInsertionPoint(op);
  AffineMap each = rewriter.getMultiDimIdentityMap(1),
            one = AffineMap::get(1, 0, rewriter.getContext());
  SmallVector<AffineMap> ends(begins.size(), each);
  ends.append(begins.size(), one);
  rewriter.replaceOpWithNewOp<linalg::GenericOp>(
      op, op.getResultTypes(), byColumn.getResults(), op.getOutputs(), ends,
      utils::IteratorType::reduction,
      [&](OpBuilder &b, Location at, ValueRange v) {
        SmallVector<Value> results;
        for (auto [i, extremum] : llvm::enumerate(extrema)) {
          Operation *copy = b.clone(*extremum);
          copy->setOperands({v[extrema.size() + i], v[i]});
          results.push_back(copy->getResult(0));
        }
        linalg::YieldOp::create(b, at, results);
      });
  return true;
}

unsigned splitExtrema(func::FuncOp function, RewriterBase &rewriter) {
  SmallVector<linalg::GenericOp> ops;
  function.walk([&](linalg::GenericOp op) { ops.push_back(op); });
  return llvm::count_if(ops, [&](linalg::GenericOp op) {
    return ExtremaSplitter(op, rewriter).run();
  });
}

} // namespace lnn
