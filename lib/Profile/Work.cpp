//===- Work.cpp - operations and bytes of structured operations -----------===//
#include "Work.h"

#include "lnn/Dialect/Lnn/Lnn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace lnn {
namespace {

/// About what exp, tanh and their like are expanded to.
constexpr int64_t operationsOfFunction = 20;

/// A sum of products of sizes, of which those known now are one number.
class Total {
public:
  Total(OpBuilder &b, Location loc) : b(b), loc(loc) {}

  void add(int64_t factor, ArrayRef<OpFoldResult> sizes) {
    SmallVector<Value> unknown;
    for (OpFoldResult size : sizes) {
      if (auto known = getConstantIntValue(size))
        factor *= *known; // a product beyond 64 bits never runs to its end
      else
        unknown.push_back(cast<Value>(size));
    }
    if (unknown.empty() || !factor) {
      known += factor;
      return;
    }
    Value product = constant(factor);
    for (Value size : unknown)
      product = arith::MulIOp::create(b, loc, product, size);
    rest = rest ? arith::AddIOp::create(b, loc, rest, product) : product;
  }
  Value value() {
    Value sum = constant(known);
    return rest ? arith::AddIOp::create(b, loc, sum, rest) : sum;
  }

private:
  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }
  OpBuilder &b;
  Location loc;
  int64_t known = 0;
  Value rest;
};

int64_t bytesOf(Type type) {
  Type element = getElementTypeOrSelf(type);
  int64_t bits = element.isIndex()        ? 64
                 : element.isIntOrFloat() ? element.getIntOrFloatBitWidth()
                                          : 0;
  int64_t lanes = 1;
  if (auto vector = dyn_cast<VectorType>(element)) {
    bits = getElementTypeOrSelf(vector).getIntOrFloatBitWidth();
    lanes = vector.getNumElements();
  }
  return (bits + 7) / 8 * lanes;
}

SmallVector<OpFoldResult> shapeOf(OpBuilder &b, Location loc, Value buffer) {
  return memref::getMixedSizes(b, loc, buffer);
}

/// Of one scalar (or vector) operation in a payload.
int64_t operationsOf(Operation &op) {
  if (op.getNumResults() != 1 ||
      !isa<FloatType>(getElementTypeOrSelf(op.getResult(0).getType())))
    return 0;
  int64_t lanes = 1;
  if (auto vector = dyn_cast<VectorType>(op.getResult(0).getType()))
    lanes = vector.getNumElements();
  if (isa<math::FmaOp>(op))
    return 2 * lanes;
  if (isa<PairDotOp>(op))
    return 4 * lanes;
  if (isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp,
          arith::RemFOp, arith::NegFOp, arith::MaximumFOp, arith::MinimumFOp,
          arith::MaxNumFOp, arith::MinNumFOp, math::AbsFOp, math::SqrtOp,
          math::FloorOp, math::CeilOp, math::RoundOp, math::RoundEvenOp,
          math::TruncOp, math::CopySignOp>(op))
    return lanes;
  bool activation = isa<LnnDialect>(op.getDialect()) &&
                    op.getNumOperands() == 1 &&
                    op.hasTrait<OpTrait::Elementwise>();
  bool function = isa<math::MathDialect>(op.getDialect()) || activation;
  return function ? operationsOfFunction * lanes : 0;
}

/// The sizes of its loops, each that of an operand's dimension; empty where one
/// of them is no operand's.
std::optional<SmallVector<OpFoldResult>> loopSizes(OpBuilder &b, Location loc,
                                                   linalg::LinalgOp op) {
  SmallVector<OpFoldResult> sizes(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [i, result] : llvm::enumerate(map.getResults()))
      if (auto dim = dyn_cast<AffineDimExpr>(result);
          dim && !sizes[dim.getPosition()])
        sizes[dim.getPosition()] =
            memref::getMixedSize(b, loc, operand.get(), i);
  }
  if (llvm::any_of(sizes, [](OpFoldResult size) { return !size; }))
    return std::nullopt;
  return sizes;
}

class Counter {
public:
  Counter(OpBuilder &b, Location loc)
      : b(b), loc(loc), operations(b, loc), bytes(b, loc) {}
  void count(linalg::LinalgOp op);
  void count(memref::CopyOp op) {
    bytes.add(2 * bytesOf(op.getSource().getType()),
              shapeOf(b, loc, op.getSource()));
  }
  Work work() { return {operations.value(), bytes.value()}; }

private:
  /// The elements of an operand that the loops reach.
  void countOperand(linalg::LinalgOp op, OpOperand &operand,
                    ArrayRef<OpFoldResult> sizes, int64_t times);
  OpBuilder &b;
  Location loc;
  Total operations, bytes;
};

void Counter::countOperand(linalg::LinalgOp op, OpOperand &operand,
                           ArrayRef<OpFoldResult> sizes, int64_t times) {
  if (!isa<MemRefType>(operand.get().getType()))
    return;
  int64_t element = times * bytesOf(operand.get().getType());
  SmallVector<OpFoldResult> reached;
  for (AffineExpr result : op.getMatchingIndexingMap(&operand).getResults()) {
    if (auto dim = dyn_cast<AffineDimExpr>(result))
      reached.push_back(sizes[dim.getPosition()]);
    else if (!isa<AffineConstantExpr>(result)) // all of it, windows and panels
      return bytes.add(element, shapeOf(b, loc, operand.get()));
  }
  bytes.add(element, reached);
}

void Counter::count(linalg::LinalgOp op) {
  auto sizes = loopSizes(b, loc, op);
  if (!sizes)
    return;
  int64_t each = 0, loaded = 0;
  op.getBlock()->walk([&](Operation *payload) {
    each += operationsOf(*payload);
    if (auto load = dyn_cast<memref::LoadOp>(payload))
      loaded += bytesOf(load.getType());
  });
  operations.add(each, *sizes);
  bytes.add(loaded, *sizes);
  for (OpOperand &operand : op->getOpOperands()) {
    bool read = op.payloadUsesValueFromOperand(&operand),
         written = op.isDpsInit(&operand);
    countOperand(op, operand, *sizes, int64_t(read) + written);
  }
}

} // namespace

Work countWork(OpBuilder &b, Location loc, ArrayRef<Operation *> ops) {
  Counter counter(b, loc);
  for (Operation *op : ops) {
    if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
      counter.count(linalgOp);
    else if (auto copy = dyn_cast<memref::CopyOp>(op))
      counter.count(copy);
  }
  return counter.work();
}

} // namespace lnn
