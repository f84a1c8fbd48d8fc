//===- LnnScanToScf.cpp - lnn.scan to scf.for -----------------------------===//
#include "lnn/Conversion/Passes.h"
#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Transforms/Sizes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

namespace lnn {
#define GEN_PASS_DEF_CONVERTLNNSCANTOSCF
#include "lnn/Conversion/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;

namespace {

class ScanLowering {
public:
  explicit ScanLowering(ScanOp scan)
      : scan(scan), b(scan), loc(scan.getLoc()), body(scan.getBody().front()),
        yield(cast<lnn::YieldOp>(body.getTerminator())) {}
  LogicalResult run();

private:
  ScanOp scan;
  OpBuilder b;
  Location loc;
  Block &body;
  lnn::YieldOp yield;
  DimResolver resolver;

  OpFoldResult outerSize(Value value, int64_t dim);
  OpFoldResult outside(Value size, unsigned depth);
  FailureOr<Value> allocateOutput(unsigned i);
  Value slice(unsigned i, Value step, Value length);
  Value insert(unsigned i, Value part, Value whole, Value step, Value length);
  Value place(Value step, Value length, bool reverse);
};

struct ConvertLnnScanToScf
    : lnn::impl::ConvertLnnScanToScfBase<ConvertLnnScanToScf> {
  void runOnOperation() override {
    SmallVector<ScanOp> scans;
    getOperation()->walk<WalkOrder::PreOrder>(
        [&](ScanOp scan) { scans.push_back(scan); });
    // Inner scans are lowered within their parents' bodies, so last.
    for (ScanOp scan : llvm::reverse(scans))
      if (failed(ScanLowering(scan).run()))
        return signalPassFailure();
  }
};
} // namespace

/// The size of a value of the body, as something that is known in front of the
/// scan; null where it is not.
OpFoldResult ScanLowering::outerSize(Value value, int64_t dim) {
  auto type = cast<RankedTensorType>(value.getType());
  if (!type.isDynamicDim(dim))
    return b.getIndexAttr(type.getDimSize(dim));
  OpBuilder inside(yield);
  // Through casts, to what is of the body itself.
  while (auto cast = value.getDefiningOp<tensor::CastOp>())
    value = cast.getSource();
  if (auto argument = dyn_cast<BlockArgument>(value);
      argument && argument.getOwner() == &body) {
    unsigned i = argument.getArgNumber() - 1, n = scan.getInputs().size();
    if (i >= n)
      return tensor::getMixedSize(b, loc, scan.getInits()[i - n], dim);
    int64_t axis = scan.getDims()[i];
    return tensor::getMixedSize(b, loc, scan.getInputs()[i],
                                dim < axis ? dim : dim + 1);
  }
  if (auto collapse = value.getDefiningOp<tensor::CollapseShapeOp>()) {
    // Of one dimension and others of size 1: that one's.
    std::optional<int64_t> only;
    unsigned real = 0;
    SmallVector<ReassociationIndices> groups =
        collapse.getReassociationIndices();
    for (int64_t d : groups[dim])
      if (collapse.getSrcType().getDimSize(d) != 1) {
        only = d;
        ++real;
      }
    if (real == 1)
      return outerSize(collapse.getSrc(), *only);
  }
  OpFoldResult size = resolver.resolve(value, dim, inside);
  auto known = dyn_cast_if_present<Value>(size);
  if (!known)
    return size;
  if (auto dimOp = known.getDefiningOp<tensor::DimOp>();
      dimOp && dimOp.getSource() == value)
    return OpFoldResult();
  return outside(known, 0);
}

/// A size that the body computes of sizes, computed in front of the scan; null
/// where it depends on more.
OpFoldResult ScanLowering::outside(Value size, unsigned depth) {
  constexpr unsigned most = 16;
  if (!scan.getBody().isAncestor(size.getParentRegion()))
    return size;
  Operation *op = size.getDefiningOp();
  if (!op || depth > most)
    return OpFoldResult();
  if (auto dimOp = dyn_cast<tensor::DimOp>(op))
    return dimOp.getConstantIndex()
               ? outerSize(dimOp.getSource(), *dimOp.getConstantIndex())
               : OpFoldResult();
  if (!isPure(op) || op->getNumRegions() || op->getNumResults() != 1)
    return OpFoldResult();
  IRMapping mapping;
  for (Value operand : op->getOperands()) {
    if (!operand.getType().isIntOrIndex())
      return OpFoldResult();
    OpFoldResult outer = outside(operand, depth + 1);
    if (!outer)
      return OpFoldResult();
    mapping.map(operand, getValueOrCreateConstantIndexOp(b, loc, outer));
  }
  return b.clone(*op, mapping)->getResult(0);
}

FailureOr<Value> ScanLowering::allocateOutput(unsigned i) {
  Value step = yield.getOutputs()[i];
  auto type = cast<RankedTensorType>(scan.getResult(i).getType());
  int64_t axis = scan.getOutDims()[i];
  SmallVector<Value> dynamic;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    if (!type.isDynamicDim(d))
      continue;
    if (d == axis) {
      dynamic.push_back(scan.getLength());
      continue;
    }
    OpFoldResult size = outerSize(step, d < axis ? d : d - 1);
    if (!size)
      return scan.emitOpError()
             << "output " << i << ": the size of dimension " << d
             << " must follow from values outside of the scan";
    dynamic.push_back(getValueOrCreateConstantIndexOp(b, loc, size));
  }
  return Value(bufferization::AllocTensorOp::create(b, loc, type, dynamic));
}

Value ScanLowering::place(Value step, Value length, bool reverse) {
  if (!reverse)
    return step;
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value last = arith::SubIOp::create(b, loc, length, one);
  return arith::SubIOp::create(b, loc, last, step);
}

Value ScanLowering::slice(unsigned i, Value step, Value length) {
  Value input = scan.getInputs()[i];
  int64_t axis = scan.getDims()[i];
  auto type = cast<RankedTensorType>(input.getType());
  SmallVector<OpFoldResult> offsets(type.getRank(), b.getIndexAttr(0)),
      strides(type.getRank(), b.getIndexAttr(1)),
      sizes = tensor::getMixedSizes(b, loc, input);
  offsets[axis] = place(step, length, scan.getReverse()[i]);
  sizes[axis] = b.getIndexAttr(1);
  return tensor::ExtractSliceOp::create(
      b, loc, cast<RankedTensorType>(body.getArgument(1 + i).getType()), input,
      offsets, sizes, strides);
}

Value ScanLowering::insert(unsigned i, Value part, Value whole, Value step,
                           Value length) {
  int64_t axis = scan.getOutDims()[i];
  auto type = cast<RankedTensorType>(whole.getType());
  SmallVector<OpFoldResult> offsets(type.getRank(), b.getIndexAttr(0)),
      strides(type.getRank(), b.getIndexAttr(1)),
      sizes = tensor::getMixedSizes(b, loc, whole);
  offsets[axis] = place(step, length, scan.getOutReverse()[i]);
  sizes[axis] = b.getIndexAttr(1);
  // The slice's type: the whole's without the axis.
  SmallVector<int64_t> shape(type.getShape());
  shape.erase(shape.begin() + axis);
  auto sliceType = RankedTensorType::get(shape, type.getElementType());
  if (part.getType() != sliceType)
    part = tensor::CastOp::create(b, loc, sliceType, part);
  return tensor::InsertSliceOp::create(b, loc, part, whole, offsets, sizes,
                                       strides);
}

LogicalResult ScanLowering::run() {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0),
        one = arith::ConstantIndexOp::create(b, loc, 1);
  SmallVector<Value> inits;
  unsigned outputs = scan.getNumOutputs();
  for (unsigned i = 0; i < outputs; ++i) {
    FailureOr<Value> whole = allocateOutput(i);
    if (failed(whole))
      return failure();
    inits.push_back(*whole);
  }
  llvm::append_range(inits, scan.getInits());
  Value length = scan.getLength();
  auto loop = scf::ForOp::create(b, loc, zero, length, one, inits);
  if (!loop.getBody()->empty()) // builders differ in whether they end the body
    loop.getBody()->getTerminator()->erase();
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value step = loop.getInductionVar();
  SmallVector<Value> arguments{step};
  for (unsigned i = 0; i < scan.getInputs().size(); ++i)
    arguments.push_back(slice(i, step, length));
  llvm::append_range(arguments, loop.getRegionIterArgs().drop_front(outputs));
  IRMapping mapping;
  for (auto [from, to] : llvm::zip_equal(body.getArguments(), arguments))
    mapping.map(from, to);
  for (Operation &op : body.without_terminator())
    b.clone(op, mapping);
  SmallVector<Value> results;
  for (unsigned i = 0; i < outputs; ++i)
    results.push_back(insert(i, mapping.lookupOrDefault(yield.getOutputs()[i]),
                             loop.getRegionIterArg(i), step, length));
  for (Value state : yield.getStates())
    results.push_back(mapping.lookupOrDefault(state));
  scf::YieldOp::create(b, loc, results);
  scan.replaceAllUsesWith(loop.getResults());
  scan.erase();
  return success();
}
