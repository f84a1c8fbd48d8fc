//===- MathBuilder.h - arithmetic written as expressions ------------------===//
//
// Elementary functions are written once, as C++ expressions over `Num` (a float
// or a vector of floats) and `Int` (as many integers of the same width), which
// emit arith operations. Nothing is contracted or reassociated: the operations
// written are the operations computed, in f32 or f64, whatever the number of
// lanes.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_LIB_CODEGEN_MATHBUILDER_H
#define LNN_LIB_CODEGEN_MATHBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"

namespace lnn {

/// What makes the operations, and for which instructions beyond those that
/// every processor has.
struct Builder : mlir::ImplicitLocOpBuilder {
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;
  bool avx512 = false; ///< AVX-512 F, VL and DQ
};

/// A value of one kind, and the builder that its operations are made with.
template <class Kind> struct Expr {
  Builder *b;
  mlir::Value v;
};
struct FloatKind;
struct IntKind;
struct BoolKind;
using Num = Expr<FloatKind>;
using Int = Expr<IntKind>;
using Bool = Expr<BoolKind>;

inline mlir::Type withElement(mlir::Type type, mlir::Type element) {
  if (auto shaped = llvm::dyn_cast<mlir::ShapedType>(type))
    return shaped.clone(element);
  return element;
}

inline mlir::Value splat(Builder &b, mlir::Type type, mlir::TypedAttr value) {
  if (auto shaped = llvm::dyn_cast<mlir::ShapedType>(type))
    return mlir::arith::ConstantOp::create(
        b, mlir::DenseElementsAttr::get(shaped, value));
  return mlir::arith::ConstantOp::create(b, value);
}

/// A constant as wide as `like`.
inline Num num(Num like, double value) {
  mlir::Type type = like.v.getType();
  return {like.b,
          splat(*like.b, type,
                like.b->getFloatAttr(mlir::getElementTypeOrSelf(type), value))};
}
inline Int num(Int like, int64_t value) {
  mlir::Type type = like.v.getType();
  return {like.b, splat(*like.b, type,
                        like.b->getIntegerAttr(mlir::getElementTypeOrSelf(type),
                                               value))};
}

#define LNN_BINARY(OPERATOR, TYPE, OP)                                         \
  inline TYPE operator OPERATOR(TYPE x, TYPE y) {                              \
    return {x.b, mlir::arith::OP::create(*x.b, x.v, y.v)};                     \
  }
LNN_BINARY(+, Num, AddFOp)
LNN_BINARY(-, Num, SubFOp)
LNN_BINARY(*, Num, MulFOp)
LNN_BINARY(/, Num, DivFOp)
LNN_BINARY(+, Int, AddIOp)
LNN_BINARY(-, Int, SubIOp)
LNN_BINARY(&, Int, AndIOp)
LNN_BINARY(|, Int, OrIOp)
LNN_BINARY(^, Int, XOrIOp)
LNN_BINARY(<<, Int, ShLIOp)
LNN_BINARY(>>, Int, ShRSIOp)
LNN_BINARY(&, Bool, AndIOp)
LNN_BINARY(|, Bool, OrIOp)
#undef LNN_BINARY

inline Num operator+(Num x, double y) { return x + num(x, y); }
inline Num operator-(Num x, double y) { return x - num(x, y); }
inline Num operator-(double x, Num y) { return num(y, x) - y; }
inline Num operator*(Num x, double y) { return x * num(x, y); }
inline Num operator/(Num x, double y) { return x / num(x, y); }
inline Num operator/(double x, Num y) { return num(y, x) / y; }
inline Num operator-(Num x) {
  return {x.b, mlir::arith::NegFOp::create(*x.b, x.v)};
}
inline Int operator+(Int x, int64_t y) { return x + num(x, y); }
inline Int operator-(Int x, int64_t y) { return x - num(x, y); }
inline Int operator&(Int x, int64_t y) { return x & num(x, y); }
inline Int operator<<(Int x, int64_t y) { return x << num(x, y); }
inline Int operator>>(Int x, int64_t y) { return x >> num(x, y); }

inline Num fma(Num x, Num y, Num z) {
  return {x.b, mlir::math::FmaOp::create(*x.b, x.v, y.v, z.v)};
}
inline Num fma(Num x, double y, Num z) { return fma(x, num(x, y), z); }
inline Num fma(Num x, Num y, double z) { return fma(x, y, num(x, z)); }
inline Num fma(Num x, double y, double z) {
  return fma(x, num(x, y), num(x, z));
}
inline Num abs(Num x) { return {x.b, mlir::math::AbsFOp::create(*x.b, x.v)}; }
inline Num sqrt(Num x) { return {x.b, mlir::math::SqrtOp::create(*x.b, x.v)}; }
inline Num floor(Num x) {
  return {x.b, mlir::math::FloorOp::create(*x.b, x.v)};
}
/// The magnitude of x with the sign of y.
inline Num copySign(Num x, Num y) {
  return {x.b, mlir::math::CopySignOp::create(*x.b, x.v, y.v)};
}

inline Bool compare(mlir::arith::CmpFPredicate predicate, Num x, Num y) {
  return {x.b, mlir::arith::CmpFOp::create(*x.b, predicate, x.v, y.v)};
}
/// Comparisons are false where an operand is NaN, but `!=`.
inline Bool operator<(Num x, Num y) {
  return compare(mlir::arith::CmpFPredicate::OLT, x, y);
}
inline Bool operator>(Num x, Num y) {
  return compare(mlir::arith::CmpFPredicate::OGT, x, y);
}
inline Bool operator==(Num x, Num y) {
  return compare(mlir::arith::CmpFPredicate::OEQ, x, y);
}
inline Bool operator!=(Num x, Num y) {
  return compare(mlir::arith::CmpFPredicate::UNE, x, y);
}
inline Bool operator<(Num x, double y) { return x < num(x, y); }
inline Bool operator>(Num x, double y) { return x > num(x, y); }
inline Bool operator==(Num x, double y) { return x == num(x, y); }
inline Bool operator!=(Num x, double y) { return x != num(x, y); }
inline Bool isNaN(Num x) { return x != x; }
inline Bool operator!=(Int x, Int y) {
  return {x.b, mlir::arith::CmpIOp::create(*x.b, mlir::arith::CmpIPredicate::ne,
                                           x.v, y.v)};
}
inline Bool operator!=(Int x, int64_t y) { return x != num(x, y); }

template <class Kind>
Expr<Kind> select(Bool condition, Expr<Kind> x, Expr<Kind> y) {
  return {x.b, mlir::arith::SelectOp::create(*x.b, condition.v, x.v, y.v)};
}
inline Num select(Bool condition, double x, Num y) {
  return select(condition, num(y, x), y);
}
inline Num select(Bool condition, Num x, double y) {
  return select(condition, x, num(x, y));
}
/// x where it is NaN; one instruction on most machines.
inline Num atMost(Num x, double limit) { return select(x > limit, limit, x); }
inline Num atLeast(Num x, double limit) { return select(x < limit, limit, x); }

inline bool isDouble(Num x) {
  return mlir::getElementTypeOrSelf(x.v.getType()).isF64();
}
/// The bits of a float as an integer, and back.
inline Int bits(Num x) {
  mlir::Type type =
      withElement(x.v.getType(), x.b->getIntegerType(isDouble(x) ? 64 : 32));
  return {x.b, mlir::arith::BitcastOp::create(*x.b, type, x.v)};
}
inline Num fromBits(Int x, Num like) {
  return {x.b, mlir::arith::BitcastOp::create(*x.b, like.v.getType(), x.v)};
}
inline Num toFloat(Int x, Num like) {
  return {x.b, mlir::arith::SIToFPOp::create(*x.b, like.v.getType(), x.v)};
}
inline Num toDouble(Num x) {
  return {x.b, mlir::arith::ExtFOp::create(
                   *x.b, withElement(x.v.getType(), x.b->getF64Type()), x.v)};
}
inline Num toSingle(Num x) {
  return {x.b, mlir::arith::TruncFOp::create(
                   *x.b, withElement(x.v.getType(), x.b->getF32Type()), x.v)};
}

/// Horner's rule, the highest degree first, one fma a degree.
inline Num polynomial(Num x, llvm::ArrayRef<double> coefficients) {
  Num result = num(x, coefficients.front());
  for (double c : coefficients.drop_front())
    result = fma(result, x, c);
  return result;
}

} // namespace lnn
#endif // LNN_LIB_CODEGEN_MATHBUILDER_H
