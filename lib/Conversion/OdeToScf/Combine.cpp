//===- Combine.cpp - elementwise arithmetic on states ---------------------===//
#include "Combine.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;

namespace lnn {

Value Scalar::constant(double value) {
  return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
}
Value Scalar::add(Value x, Value y) {
  return arith::AddFOp::create(b, loc, x, y);
}
Value Scalar::sub(Value x, Value y) {
  return arith::SubFOp::create(b, loc, x, y);
}
Value Scalar::mul(Value x, Value y) {
  return arith::MulFOp::create(b, loc, x, y);
}
Value Scalar::div(Value x, Value y) {
  return arith::DivFOp::create(b, loc, x, y);
}
Value Scalar::neg(Value x) { return arith::NegFOp::create(b, loc, x); }
Value Scalar::fma(Value x, Value y, Value z) {
  return math::FmaOp::create(b, loc, x, y, z);
}
Value Scalar::exp(Value x) { return math::ExpOp::create(b, loc, x); }

Value Scalar::atMost(Value x, double most) {
  Value limit = constant(most);
  Value above =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, limit);
  return arith::SelectOp::create(b, loc, above, limit, x);
}

Value Scalar::phi(Value x) {
  // expm1 keeps the quotient accurate however small x is; only 0 / 0 is not.
  Value quotient = div(neg(math::ExpM1Op::create(b, loc, neg(x))), x);
  Value isZero =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, x, constant(0));
  return arith::SelectOp::create(b, loc, isZero, constant(1), quotient);
}

Value Scalar::convert(Value x, Type to) {
  unsigned from = x.getType().getIntOrFloatBitWidth(),
           width = to.getIntOrFloatBitWidth();
  if (x.getType() == to)
    return x;
  if (from < width)
    return arith::ExtFOp::create(b, loc, to, x);
  if (from > width)
    return arith::TruncFOp::create(b, loc, to, x);
  // f16 and bf16 meet in f32.
  return arith::TruncFOp::create(
      b, loc, to, arith::ExtFOp::create(b, loc, b.getF32Type(), x));
}

Type computeType(Type type) {
  return type.getIntOrFloatBitWidth() < 32
             ? Type(Float32Type::get(type.getContext()))
             : type;
}

/// Where an operand's element is, seen from the result's.
static AffineMap mapOf(const Operand &operand, RankedTensorType result) {
  MLIRContext *context = result.getContext();
  auto type = dyn_cast<RankedTensorType>(operand.value.getType());
  SmallVector<AffineExpr> exprs;
  unsigned rank = type ? type.getRank() : 0;
  unsigned offset =
      operand.align == Align::Leading ? 0 : result.getRank() - rank;
  for (unsigned d = 0; d < rank; ++d)
    exprs.push_back(type.getDimSize(d) == 1 &&
                            result.getDimSize(offset + d) != 1
                        ? getAffineConstantExpr(0, context)
                        : getAffineDimExpr(offset + d, context));
  return AffineMap::get(result.getRank(), 0, exprs, context);
}

Value combine(OpBuilder &b, Location loc, Type type,
              ArrayRef<OpFoldResult> sizes, ArrayRef<Operand> operands,
              function_ref<Value(Scalar &, ValueRange)> body) {
  Type element = getElementTypeOrSelf(type);
  auto compute = [&](OpBuilder &b, ValueRange elements) {
    Scalar scalar(b, loc, computeType(element));
    SmallVector<Value> converted;
    for (Value value : elements)
      converted.push_back(scalar.convert(value));
    return scalar.convert(body(scalar, converted), element);
  };
  auto tensorType = dyn_cast<RankedTensorType>(type);
  SmallVector<Value> values;
  for (const Operand &operand : operands)
    values.push_back(operand.value);
  if (!tensorType)
    return compute(b, values);

  SmallVector<Value> tensors;
  SmallVector<AffineMap> maps;
  for (auto [operand, value] : llvm::zip_equal(operands, values)) {
    if (!isa<RankedTensorType>(value.getType())) {
      // Floats are captured, and converted out here.
      value = Scalar(b, loc, computeType(element)).convert(value);
      continue;
    }
    tensors.push_back(value);
    maps.push_back(mapOf(operand, tensorType));
  }
  maps.push_back(b.getMultiDimIdentityMap(tensorType.getRank()));
  Value empty = tensor::EmptyOp::create(b, loc, sizes, element);
  SmallVector<utils::IteratorType> iterators(tensorType.getRank(),
                                             utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      b, loc, empty.getType(), tensors, empty, maps, iterators,
      [&](OpBuilder &b, Location loc, ValueRange arguments) {
        SmallVector<Value> elements;
        unsigned next = 0;
        for (Value value : values)
          elements.push_back(isa<RankedTensorType>(value.getType())
                                 ? arguments[next++]
                                 : value);
        linalg::YieldOp::create(b, loc, compute(b, elements));
      });
  Value result = generic.getResult(0);
  if (result.getType() != type)
    result = tensor::CastOp::create(b, loc, type, result);
  return result;
}

} // namespace lnn
