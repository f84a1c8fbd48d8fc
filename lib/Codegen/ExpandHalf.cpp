//===- ExpandHalf.cpp - conversions of bf16 and f16 to integer arithmetic -===//
//
// Where a processor has no instruction for such a conversion, LLVM calls a
// function that a model's artifact has not.
//
//===----------------------------------------------------------------------===//
#include "lnn/Codegen/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNEXPANDHALFPASS
#include "lnn/Codegen/Passes.h.inc"

namespace {
/// Arithmetic on scalars or vectors of the shape of one.
struct Bits {
  OpBuilder &b;
  Location loc;
  Type like;

  Type with(Type element) const {
    if (auto vector = dyn_cast<VectorType>(like))
      return vector.clone(element);
    return element;
  }
  Value c(int64_t v, unsigned width = 32) const {
    Type type = with(b.getIntegerType(width));
    auto element = b.getIntegerAttr(b.getIntegerType(width), v);
    if (auto vector = dyn_cast<VectorType>(type))
      return arith::ConstantOp::create(b, loc,
                                       DenseElementsAttr::get(vector, element));
    return arith::ConstantOp::create(b, loc, element);
  }
  Value cast(Value v, Type element) const {
    return arith::BitcastOp::create(b, loc, with(element), v);
  }
  Value bits(Value v) const {
    Type element = getElementTypeOrSelf(v.getType());
    return cast(v, b.getIntegerType(element.getIntOrFloatBitWidth()));
  }
  Value real(Value v) const { return cast(v, b.getF32Type()); }
  Value widened(Value v) const {
    return arith::ExtUIOp::create(b, loc, with(b.getI32Type()), v);
  }
  Value narrowed(Value v) const {
    return arith::TruncIOp::create(b, loc, with(b.getI16Type()), v);
  }
  Value add(Value l, Value r) const {
    return arith::AddIOp::create(b, loc, l, r);
  }
  Value sub(Value l, Value r) const {
    return arith::SubIOp::create(b, loc, l, r);
  }
  Value land(Value l, Value r) const {
    return arith::AndIOp::create(b, loc, l, r);
  }
  Value lor(Value l, Value r) const {
    return arith::OrIOp::create(b, loc, l, r);
  }
  Value shl(Value l, int64_t n) const {
    return arith::ShLIOp::create(b, loc, l, c(n));
  }
  Value shr(Value l, int64_t n) const {
    return arith::ShRUIOp::create(b, loc, l, c(n));
  }
  Value above(Value l, Value r) const {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ugt, l, r);
  }
  Value equal(Value l, Value r) const {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, l, r);
  }
  Value select(Value p, Value l, Value r) const {
    return arith::SelectOp::create(b, loc, p, l, r);
  }
};
} // namespace

static Value bf16ToF32(const Bits &x, Value v) {
  return x.real(x.shl(x.widened(x.bits(v)), 16));
}

/// To nearest, ties to even; a NaN stays one.
static Value f32ToBf16(const Bits &x, Value v) {
  Value bits = x.bits(v), magnitude = x.land(bits, x.c(0x7fffffff));
  Value odd = x.land(x.shr(bits, 16), x.c(1));
  Value rounded = x.shr(x.add(bits, x.add(odd, x.c(0x7fff))), 16);
  Value nan = x.lor(x.shr(bits, 16), x.c(0x40));
  Value r = x.select(x.above(magnitude, x.c(0x7f800000)), nan, rounded);
  return x.cast(x.narrowed(r), x.b.getBF16Type());
}

static Value f16ToF32(const Bits &x, Value v) {
  Value bits = x.widened(x.bits(v));
  Value shifted = x.shl(x.land(bits, x.c(0x7fff)), 13);
  Value exponent = x.land(shifted, x.c(0x7c00 << 13));
  Value normal = x.add(shifted, x.c((127 - 15) << 23));
  Value special = x.add(normal, x.c((128 - 16) << 23)); // infinities and NaNs
  // A subnormal's mantissa counts from 2^-14, which a subtraction normalizes.
  Value one = x.real(x.add(normal, x.c(1 << 23)));
  Value subnormal =
      x.bits(arith::SubFOp::create(x.b, x.loc, one, x.real(x.c(113 << 23))));
  Value r = x.select(x.equal(exponent, x.c(0x7c00 << 13)), special,
                     x.select(x.equal(exponent, x.c(0)), subnormal, normal));
  Value sign = x.shl(x.land(bits, x.c(0x8000)), 16);
  return x.real(x.lor(r, sign));
}

/// To nearest, ties to even; a NaN stays one.
static Value f32ToF16(const Bits &x, Value v) {
  Value bits = x.bits(v), magnitude = x.land(bits, x.c(0x7fffffff));
  Value odd = x.land(x.shr(magnitude, 13), x.c(1));
  Value bias = x.sub(x.c(0xfff), x.c((127 - 15) << 23));
  Value normal = x.shr(x.add(x.add(magnitude, bias), odd), 13);
  // Adding 0.5 rounds at the place where a subnormal's mantissa ends.
  Value half = x.c(126 << 23);
  Value sum =
      arith::AddFOp::create(x.b, x.loc, x.real(magnitude), x.real(half));
  Value subnormal = x.sub(x.bits(sum), half);
  Value special =
      x.select(x.above(magnitude, x.c(0x7f800000)), x.c(0x7e00), x.c(0x7c00));
  Value r = x.select(x.above(x.c(113 << 23), magnitude), subnormal, normal);
  r = x.select(x.above(magnitude, x.c(0x47800000 - 1)), special, r);
  Value sign = x.land(x.shr(bits, 16), x.c(0x8000));
  return x.cast(x.narrowed(x.lor(r, sign)), x.b.getF16Type());
}

/// f64 to f32 so that rounding the result again is rounding once: what was cut
/// off is kept in the last bit (round to odd).
static Value f64ToOddF32(const Bits &x, Value v) {
  OpBuilder &b = x.b;
  Type f32 = x.with(b.getF32Type()), f64 = x.with(b.getF64Type());
  Value near = arith::TruncFOp::create(b, x.loc, f32, v);
  Value back = arith::ExtFOp::create(b, x.loc, f64, near);
  auto cmp = [&](arith::CmpFPredicate p, Value l, Value r) -> Value {
    return arith::CmpFOp::create(b, x.loc, p, l, r);
  };
  Value bits = x.bits(near);
  Value inexact = cmp(arith::CmpFPredicate::ONE, back, v);
  Value even = x.equal(x.land(bits, x.c(1)), x.c(0));
  // The neighbour toward v has an odd mantissa: one up or down in magnitude.
  Value zero = arith::ConstantOp::create(b, x.loc, b.getZeroAttr(f64));
  Value positive = cmp(arith::CmpFPredicate::OGT, v, zero);
  Value larger = x.select(positive, cmp(arith::CmpFPredicate::OGT, v, back),
                          cmp(arith::CmpFPredicate::OLT, v, back));
  Value moved = x.add(bits, x.select(larger, x.c(1), x.c(-1)));
  Value change = x.land(inexact, even);
  return x.real(x.select(change, moved, bits));
}

static Value expand(Operation *op, bool f16) {
  Value v = op->getOperand(0);
  Type from = getElementTypeOrSelf(v.getType()),
       to = getElementTypeOrSelf(op->getResult(0).getType());
  OpBuilder b(op);
  Bits x{b, op->getLoc(), v.getType()};
  auto chosen = [&](Type t) { return t.isBF16() || (f16 && t.isF16()); };
  if (isa<arith::ExtFOp>(op) && chosen(from)) {
    Value r = from.isBF16() ? bf16ToF32(x, v) : f16ToF32(x, v);
    return to.isF32() ? r
                      : Value(arith::ExtFOp::create(b, x.loc, x.with(to), r));
  }
  // LLVM has no instruction from f64 to either, on most processors.
  if (isa<arith::TruncFOp>(op) && (to.isBF16() || to.isF16()) && from.isF64()) {
    Value odd = f64ToOddF32(x, v);
    if (to.isBF16())
      return f32ToBf16(x, odd);
    return f16 ? f32ToF16(x, odd)
               : Value(arith::TruncFOp::create(b, x.loc, x.with(to), odd));
  }
  if (isa<arith::TruncFOp>(op) && chosen(to) && from.isF32())
    return to.isBF16() ? f32ToBf16(x, v) : f32ToF16(x, v);
  return {};
}

namespace {
struct LnnExpandHalfPass : impl::LnnExpandHalfPassBase<LnnExpandHalfPass> {
  using LnnExpandHalfPassBase::LnnExpandHalfPassBase;

  void runOnOperation() override {
    SmallVector<Operation *> conversions;
    getOperation()->walk([&](Operation *op) {
      if (isa<arith::ExtFOp, arith::TruncFOp>(op))
        conversions.push_back(op);
    });
    for (Operation *op : conversions)
      if (Value result = expand(op, f16)) {
        op->getResult(0).replaceAllUsesWith(result);
        op->erase();
      }
  }
};
} // namespace
} // namespace lnn
