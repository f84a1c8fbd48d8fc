//===- OpsElementwise.cpp - operators that map element by element ---------===//
//
// Each operator is one function from scalars to a scalar; broadcasting, storage
// types (f16, bf16) and the conversion of bool are handled once, in `mapAll`.
//
//===----------------------------------------------------------------------===//
#include "OpHelpers.h"

#include "llvm/ADT/StringSwitch.h"

#include <numbers>

using namespace mlir;

namespace lnn::onnx {
namespace {

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

/// The operands of one element, and arithmetic that suits their type.
struct Scalars {
  ExpandContext &ctx;
  OpBuilder &b;
  Location loc;
  Type onnxType; ///< of the operand that decides
  Type type;     ///< what is computed in
  SmallVector<Value> x;

  bool isFloating() const { return isa<FloatType>(type); }
  bool isZext() const { return isUnsigned(onnxType); }
  unsigned width() const { return type.getIntOrFloatBitWidth(); }

  template <typename Op, typename... Args> Value make(Args &&...args) {
    return Op::create(b, loc, std::forward<Args>(args)...);
  }
  Value c(double v) { return scalar(b, loc, type, v); }
  Value attr(TypedAttr v) { return make<arith::ConstantOp>(v); }

  Value add(Value l, Value r) {
    return isFloating() ? make<arith::AddFOp>(l, r) : make<arith::AddIOp>(l, r);
  }
  Value sub(Value l, Value r) {
    return isFloating() ? make<arith::SubFOp>(l, r) : make<arith::SubIOp>(l, r);
  }
  Value mul(Value l, Value r) {
    return isFloating() ? make<arith::MulFOp>(l, r) : make<arith::MulIOp>(l, r);
  }
  Value max(Value l, Value r) {
    if (isFloating())
      return make<arith::MaximumFOp>(l, r);
    return isZext() ? make<arith::MaxUIOp>(l, r) : make<arith::MaxSIOp>(l, r);
  }
  Value min(Value l, Value r) {
    if (isFloating())
      return make<arith::MinimumFOp>(l, r);
    return isZext() ? make<arith::MinUIOp>(l, r) : make<arith::MinSIOp>(l, r);
  }
  Value select(Value cond, Value l, Value r) {
    return make<arith::SelectOp>(cond, l, r);
  }
  /// An ordered comparison, false where one is NaN; != is true there.
  Value eq(Value l, Value r) {
    return isFloating() ? make<arith::CmpFOp>(arith::CmpFPredicate::OEQ, l, r)
                        : make<arith::CmpIOp>(arith::CmpIPredicate::eq, l, r);
  }
  Value ne(Value l, Value r) {
    return isFloating() ? make<arith::CmpFOp>(arith::CmpFPredicate::UNE, l, r)
                        : make<arith::CmpIOp>(arith::CmpIPredicate::ne, l, r);
  }
  Value lt(Value l, Value r) {
    if (isFloating())
      return make<arith::CmpFOp>(arith::CmpFPredicate::OLT, l, r);
    return make<arith::CmpIOp>(
        isZext() ? arith::CmpIPredicate::ult : arith::CmpIPredicate::slt, l, r);
  }
  Value le(Value l, Value r) {
    if (isFloating())
      return make<arith::CmpFOp>(arith::CmpFPredicate::OLE, l, r);
    return make<arith::CmpIOp>(
        isZext() ? arith::CmpIPredicate::ule : arith::CmpIPredicate::sle, l, r);
  }
  /// True where an operand of a bool tensor is not 0.
  Value truth(Value v) {
    Value zero = integer(b, loc, v.getType(), 0);
    return make<arith::CmpIOp>(arith::CmpIPredicate::ne, v, zero);
  }
};

using ScalarFn = Value (*)(Scalars &);

/// Maps all present inputs; `decides` is the input whose type is computed in.
LogicalResult mapAll(ExpandContext &ctx,
                     llvm::function_ref<Value(Scalars &)> fn,
                     unsigned decides = 0) {
  SmallVector<Value> inputs;
  SmallVector<const ValueInfo *> infos;
  for (unsigned i = 0; i < ctx.numInputs(); ++i)
    if (ctx.hasInput(i)) {
      inputs.push_back(input(ctx, i));
      infos.push_back(&ctx.inInfo(i));
    }
  Type onnxType = ctx.inInfo(decides).elementType;
  Type outType = ExpandContext::converted(ctx.outInfo(0).elementType);
  Value out = ctx.elementwise(
      inputs, infos, ctx.outInfo(0),
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        Scalars s{ctx, b, loc, onnxType, computeType(onnxType), {}};
        for (Value arg : args.take_front(inputs.size()))
          s.x.push_back(widen(b, loc, arg));
        return narrow(b, loc, fn(s), outType);
      });
  give(ctx, 0, out);
  return success();
}

template <ScalarFn fn> LogicalResult expandMap(ExpandContext &ctx) {
  return mapAll(ctx, fn);
}

//===----------------------------------------------------------------------===//
// Inference
//===----------------------------------------------------------------------===//

/// One input, one output of its shape and type.
LogicalResult inferSame(InferContext &ctx) {
  ctx.out(0).elementType = ctx.in(0).elementType;
  ctx.out(0).dims = ctx.in(0).dims;
  return success();
}

void foldFloats(InferContext &ctx);

LogicalResult inferFloat(InferContext &ctx) {
  if (failed(requireType(ctx, 0, isFloat, "a float tensor")) ||
      failed(inferSame(ctx)))
    return failure();
  foldFloats(ctx);
  return success();
}

bool isNumber(Type type) { return isFloat(type) || isInt(type); }

LogicalResult inferNumber(InferContext &ctx) {
  if (failed(requireType(ctx, 0, isNumber, "a tensor of numbers")) ||
      failed(inferSame(ctx)))
    return failure();
  foldFloats(ctx);
  return success();
}

/// The broadcast shape of all inputs, which are of one element type.
LogicalResult broadcastAll(InferContext &ctx, unsigned first = 0) {
  SmallVector<Dim> dims = ctx.in(0).dims;
  for (unsigned i = 1; i < ctx.numInputs(); ++i) {
    if (!ctx.hasInput(i))
      return ctx.error("input " + Twine(i) + " is missing");
    // Before opset 7 a smaller operand could be placed at an axis.
    int64_t last = ctx.in(0).rank() - ctx.in(i).rank();
    if (ctx.opset() < 7 && ctx.intAttr("axis", last) != last)
      return ctx.unsupported("an operand broadcast at an axis that is not the "
                             "last: convert the model to opset 7 or later");
    if (i > first && failed(sameElementType(ctx, first, i)))
      return failure();
    FailureOr<SmallVector<Dim>> both = ctx.broadcast(dims, ctx.in(i).dims);
    if (failed(both))
      return failure();
    dims = *both;
  }
  ctx.out(0).dims = dims;
  ctx.out(0).elementType = ctx.in(first).elementType;
  return success();
}

using DimFn = Dim (*)(DimContext &, ArrayRef<Dim>);

/// Computes known contents element by element, with broadcasting.
void propagate(InferContext &ctx, DimFn fn) {
  size_t count = 1;
  SmallVector<const SmallVector<Dim> *> data;
  for (unsigned i = 0; i < ctx.numInputs(); ++i) {
    data.push_back(dataOf(ctx, i));
    if (!data.back() || data.back()->empty() || ctx.in(i).rank() > 1)
      return;
    count = std::max(count, data.back()->size());
  }
  SmallVector<Dim> result;
  for (size_t n = 0; n < count; ++n) {
    SmallVector<Dim> x;
    for (const SmallVector<Dim> *d : data)
      x.push_back((*d)[d->size() == 1 ? 0 : n]);
    result.push_back(fn(ctx.dims, x));
  }
  setData(ctx.out(0), std::move(result));
}

using FloatFn = double (*)(ArrayRef<double>);

/// What sizes are computed with, on the way through floats.
FloatFn floatFunction(StringRef type) {
  return llvm::StringSwitch<FloatFn>(type)
      .Case("Add", [](ArrayRef<double> x) { return x[0] + x[1]; })
      .Case("Sub", [](ArrayRef<double> x) { return x[0] - x[1]; })
      .Case("Mul", [](ArrayRef<double> x) { return x[0] * x[1]; })
      .Case("Div", [](ArrayRef<double> x) { return x[0] / x[1]; })
      .Case("Neg", [](ArrayRef<double> x) { return -x[0]; })
      .Case("Floor", [](ArrayRef<double> x) { return std::floor(x[0]); })
      .Case("Ceil", [](ArrayRef<double> x) { return std::ceil(x[0]); })
      .Case("Sqrt", [](ArrayRef<double> x) { return std::sqrt(x[0]); })
      .Case("Relu", [](ArrayRef<double> x) { return x[0] > 0 ? x[0] : 0; })
      .Case("Reciprocal", [](ArrayRef<double> x) { return 1 / x[0]; })
      .Default(nullptr);
}

/// Computes small float constants. f32 results are those of doubles, rounded,
/// which for these functions is the same.
void foldFloats(InferContext &ctx) {
  FloatFn fn = floatFunction(ctx.type());
  if (!fn || !isFloat(ctx.out(0).elementType) ||
      ctx.out(0).elementType.getIntOrFloatBitWidth() < 32)
    return;
  size_t count = 1;
  SmallVector<SmallVector<double>> inputs;
  for (unsigned i = 0; i < ctx.numInputs(); ++i) {
    auto values = knownFloats(ctx.in(i));
    if (!values || values->empty() || ctx.in(i).rank() > 1)
      return;
    count = std::max(count, values->size());
    inputs.push_back(*values);
  }
  SmallVector<double> result;
  for (size_t n = 0; n < count; ++n) {
    SmallVector<double> x;
    for (ArrayRef<double> values : inputs)
      x.push_back(values[values.size() == 1 ? 0 : n]);
    result.push_back(fn(x));
  }
  setFloats(ctx.out(0), result);
}

Dim boolDim(DimContext &dims, bool value) { return dims.constant(value); }

Dim dimAdd(DimContext &c, ArrayRef<Dim> x) { return addDims(c, x[0], x[1]); }
Dim dimSub(DimContext &c, ArrayRef<Dim> x) { return subDims(c, x[0], x[1]); }
Dim dimMul(DimContext &c, ArrayRef<Dim> x) { return mulDims(c, x[0], x[1]); }
Dim dimDiv(DimContext &c, ArrayRef<Dim> x) {
  if (!x[1].isConst() || x[1].value() == 0)
    return Dim();
  if (x[0].isConst()) {
    if (x[1].value() == -1)
      return subDims(c, c.constant(0), x[0]);
    return c.constant(x[0].value() / x[1].value());
  }
  if (auto exact = divide(productOf(x[0]), productOf(x[1])))
    return toDim(c, *exact);
  return isNonNegative(x[0]) && x[1].value() > 0 ? c.floorDiv(x[0], x[1])
                                                 : Dim();
}
Dim dimMod(DimContext &c, ArrayRef<Dim> x) {
  if (!x[1].isConst() || x[1].value() <= 0 || !isNonNegative(x[0]))
    return Dim();
  Dim quotient = dimDiv(c, x);
  return quotient ? subDims(c, x[0], mulDims(c, quotient, x[1])) : Dim();
}
Dim dimMin(DimContext &c, ArrayRef<Dim> x) {
  Dim r = x[0];
  for (Dim d : x.drop_front())
    r = minDims(c, r, d);
  return r;
}
Dim dimMax(DimContext &c, ArrayRef<Dim> x) {
  Dim r = x[0];
  for (Dim d : x.drop_front())
    r = maxDims(c, r, d);
  return r;
}
/// Less than for all sizes (1), for none (0), or null.
Dim dimLess(DimContext &c, Dim a, Dim b) {
  if (isLessOrEqual(c, b, a))
    return boolDim(c, false);
  Dim next = addDims(c, a, c.constant(1));
  return next && isLessOrEqual(c, next, b) ? boolDim(c, true) : Dim();
}
Dim dimNot(DimContext &c, Dim a) {
  return a && a.isConst() ? boolDim(c, a.value() == 0) : Dim();
}
Dim dimEqual(DimContext &c, ArrayRef<Dim> x) {
  if (x[0] == x[1])
    return boolDim(c, true);
  if (x[0].isConst() && x[1].isConst())
    return boolDim(c, false);
  Dim less = dimLess(c, x[0], x[1]), more = dimLess(c, x[1], x[0]);
  bool differ = (less && less.isConst(1)) || (more && more.isConst(1));
  return differ ? boolDim(c, false) : Dim();
}
Dim dimLt(DimContext &c, ArrayRef<Dim> x) { return dimLess(c, x[0], x[1]); }
Dim dimGt(DimContext &c, ArrayRef<Dim> x) { return dimLess(c, x[1], x[0]); }
Dim dimLe(DimContext &c, ArrayRef<Dim> x) { return dimNot(c, dimGt(c, x)); }
Dim dimGe(DimContext &c, ArrayRef<Dim> x) { return dimNot(c, dimLt(c, x)); }
Dim dimNeg(DimContext &c, ArrayRef<Dim> x) {
  return subDims(c, c.constant(0), x[0]);
}
Dim dimNotFn(DimContext &c, ArrayRef<Dim> x) { return dimNot(c, x[0]); }
Dim dimWhere(DimContext &, ArrayRef<Dim> x) {
  return x[0].isConst() ? (x[0].value() ? x[1] : x[2]) : Dim();
}
Dim dimAnd(DimContext &c, ArrayRef<Dim> x) {
  return x[0].isConst() && x[1].isConst()
             ? boolDim(c, x[0].value() && x[1].value())
             : Dim();
}
Dim dimOr(DimContext &c, ArrayRef<Dim> x) {
  return x[0].isConst() && x[1].isConst()
             ? boolDim(c, x[0].value() || x[1].value())
             : Dim();
}

template <DimFn fn> LogicalResult inferArith(InferContext &ctx) {
  if (failed(requireType(ctx, 0, isNumber, "a tensor of numbers")) ||
      failed(broadcastAll(ctx)))
    return failure();
  propagate(ctx, fn);
  foldFloats(ctx);
  return success();
}

LogicalResult inferFloatBroadcast(InferContext &ctx) {
  if (failed(requireType(ctx, 0, isFloat, "a float tensor")))
    return failure();
  return broadcastAll(ctx);
}

template <DimFn fn> LogicalResult inferCompare(InferContext &ctx) {
  if (failed(broadcastAll(ctx)))
    return failure();
  ctx.out(0).elementType = IntegerType::get(ctx.op.getContext(), 1);
  propagate(ctx, fn);
  return success();
}

template <DimFn fn> LogicalResult inferLogic(InferContext &ctx) {
  if (failed(requireType(ctx, 0, isBool, "a bool tensor")))
    return failure();
  return inferCompare<fn>(ctx);
}
Dim noDim(DimContext &, ArrayRef<Dim>) { return Dim(); }

LogicalResult inferNeg(InferContext &ctx) {
  if (failed(inferNumber(ctx)))
    return failure();
  propagate(ctx, dimNeg);
  return success();
}

LogicalResult inferBits(InferContext &ctx) {
  if (failed(requireType(ctx, 0, isInt, "an integer tensor")))
    return failure();
  return broadcastAll(ctx);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Value mapAdd(Scalars &s) { return s.add(s.x[0], s.x[1]); }
Value mapSub(Scalars &s) { return s.sub(s.x[0], s.x[1]); }
Value mapMul(Scalars &s) { return s.mul(s.x[0], s.x[1]); }

/// Truncating; by zero gives 0 and MIN / -1 wraps, so that nothing traps.
Value divideIntegers(Scalars &s, Value l, Value r) {
  Value zero = s.c(0), one = s.c(1);
  Value isZero = s.eq(r, zero);
  if (s.isZext()) {
    Value q = s.make<arith::DivUIOp>(l, s.select(isZero, one, r));
    return s.select(isZero, zero, q);
  }
  Value isMinusOne = s.eq(r, s.c(-1));
  Value odd = s.make<arith::OrIOp>(isZero, isMinusOne);
  Value q = s.make<arith::DivSIOp>(l, s.select(odd, one, r));
  q = s.select(isMinusOne, s.sub(zero, l), q);
  return s.select(isZero, zero, q);
}

Value mapDiv(Scalars &s) {
  if (s.isFloating())
    return s.make<arith::DivFOp>(s.x[0], s.x[1]);
  return divideIntegers(s, s.x[0], s.x[1]);
}

/// Truncated toward zero.
Value truncate(Scalars &s, Value v) {
  Value down = s.make<math::FloorOp>(v), up = s.make<math::CeilOp>(v);
  return s.select(s.lt(v, s.c(0)), up, down);
}

/// C's fmod by quotients: exact for |l / r| below 2^52, bounded by |r| beyond.
Value floatRemainder(Scalars &s, Value l, Value r) {
  Value rem = l;
  for (int round = 0; round < 2; ++round) {
    Value q = truncate(s, s.make<arith::DivFOp>(rem, r));
    rem = s.make<math::FmaOp>(s.make<arith::NegFOp>(q), r, rem);
  }
  // The rounded quotient may be one too large: the remainder changed its sign.
  Value magnitude = s.make<math::AbsFOp>(r);
  Value other = s.make<arith::OrIOp>(
      s.make<arith::AndIOp>(s.lt(rem, s.c(0)), s.lt(s.c(0), l)),
      s.make<arith::AndIOp>(s.lt(s.c(0), rem), s.lt(l, s.c(0))));
  Value back =
      s.select(s.lt(l, s.c(0)), s.sub(rem, magnitude), s.add(rem, magnitude));
  rem = s.select(other, back, rem);
  // 0 times an infinite divisor is not 0: what is finite stays.
  Value inf = s.attr(highest(s.type, false));
  Value stays = s.make<arith::AndIOp>(s.eq(magnitude, inf),
                                      s.lt(s.make<math::AbsFOp>(l), inf));
  return s.make<math::CopySignOp>(s.select(stays, l, rem), l);
}

/// As Python: the remainder has the divisor's sign, zeros too.
Value floorRemainder(Scalars &s, Value l, Value r) {
  Value rem = floatRemainder(s, l, r), zero = s.c(0);
  Value differ = s.make<arith::XOrIOp>(s.lt(rem, zero), s.lt(r, zero));
  Value moved = s.select(differ, s.add(rem, r), rem);
  return s.select(s.eq(rem, zero), s.make<math::CopySignOp>(zero, r), moved);
}

LogicalResult expandMod(ExpandContext &ctx) {
  bool fmod = ctx.intAttr("fmod", 0) != 0;
  return mapAll(ctx, [&](Scalars &s) -> Value {
    Value l = s.x[0], r = s.x[1];
    if (s.isFloating())
      return fmod ? floatRemainder(s, l, r) : floorRemainder(s, l, r);
    Value rem = s.sub(l, s.mul(divideIntegers(s, l, r), r));
    rem = s.select(s.eq(r, s.c(0)), s.c(0), rem);
    if (fmod || s.isZext())
      return rem;
    // As Python: the result has the divisor's sign.
    Value differ = s.lt(s.make<arith::XOrIOp>(rem, r), s.c(0));
    Value adjust = s.make<arith::AndIOp>(differ, s.ne(rem, s.c(0)));
    return s.select(adjust, s.add(rem, r), rem);
  });
}

Value mapNeg(Scalars &s) {
  return s.isFloating() ? s.make<arith::NegFOp>(s.x[0]) : s.sub(s.c(0), s.x[0]);
}
Value mapAbs(Scalars &s) {
  if (s.isFloating())
    return s.make<math::AbsFOp>(s.x[0]);
  return s.isZext() ? s.x[0] : s.max(s.x[0], s.sub(s.c(0), s.x[0]));
}
Value mapSign(Scalars &s) {
  Value x = s.x[0], zero = s.c(0);
  Value positive = s.select(s.lt(zero, x), s.c(1), zero);
  if (s.isZext())
    return positive;
  Value sign = s.select(s.lt(x, zero), s.c(-1), positive);
  return s.isFloating() ? s.select(s.ne(x, x), x, sign) : sign;
}
Value mapReciprocal(Scalars &s) {
  return s.make<arith::DivFOp>(s.c(1), s.x[0]);
}

template <typename Op> Value mapOp(Scalars &s) { return s.make<Op>(s.x[0]); }

//===----------------------------------------------------------------------===//
// Pow
//===----------------------------------------------------------------------===//

/// base^n for a small constant n, as products.
Value smallPower(Scalars &s, Value base, int64_t n) {
  Value result;
  for (; n > 0; n >>= 1) {
    if (n & 1)
      result = result ? s.mul(result, base) : base;
    if (n > 1)
      base = s.mul(base, base);
  }
  return result ? result : s.c(1);
}

/// An integer power; a negative exponent truncates the reciprocal to an
/// integer.
Value integerPower(Scalars &s, Value base, Value exponent, bool exponentZext) {
  Type type = exponent.getType();
  auto e = [&](int64_t v) { return integer(s.b, s.loc, type, v); };
  auto pred =
      exponentZext ? arith::CmpIPredicate::ugt : arith::CmpIPredicate::sgt;
  // Above 63 only the parity counts: 0, 1 and -1 alone have not overflowed.
  Value large = s.make<arith::CmpIOp>(pred, exponent, e(63));
  Value parity = s.make<arith::AndIOp>(exponent, e(1));
  Value n = s.select(large, s.make<arith::AddIOp>(parity, e(62)), exponent);
  Value result = s.c(1), square = base;
  for (int bit = 0; bit < 6; ++bit) {
    Value mask = s.make<arith::AndIOp>(n, e(int64_t(1) << bit));
    result = s.select(s.truth(mask), s.mul(result, square), result);
    if (bit < 5)
      square = s.mul(square, square);
  }
  if (exponentZext)
    return result;
  Value negative =
      s.make<arith::CmpIOp>(arith::CmpIPredicate::slt, exponent, e(0));
  Value odd = s.truth(parity);
  Value reciprocal = s.select(s.eq(base, s.c(1)), s.c(1), s.c(0));
  if (!s.isZext())
    reciprocal = s.select(s.eq(base, s.c(-1)), s.select(odd, s.c(-1), s.c(1)),
                          reciprocal);
  return s.select(negative, reciprocal, result);
}

/// A float's value in range of an integer type; NaN is 0, others saturate.
Value saturate(OpBuilder &b, Location loc, Value x, Type to, bool zext);

LogicalResult inferPow(InferContext &ctx) {
  if (failed(requireType(ctx, 0, isNumber, "a tensor of numbers")) ||
      failed(requireType(ctx, 1, isNumber, "a tensor of numbers")))
    return failure();
  auto dims = ctx.broadcast(ctx.in(0).dims, ctx.in(1).dims);
  if (failed(dims))
    return failure();
  ctx.out(0).dims = *dims;
  ctx.out(0).elementType = ctx.in(0).elementType;
  return success();
}

/// The exponent where it is one number, the same for all elements.
std::optional<double> constantExponent(const ValueInfo &info) {
  if (info.data && info.data->size() == 1 && (*info.data)[0].isConst())
    return static_cast<double>((*info.data)[0].value());
  auto dense = dyn_cast_or_null<DenseElementsAttr>(info.constant);
  if (!dense || dense.empty() || !dense.isSplat())
    return std::nullopt;
  if (isa<FloatType>(dense.getElementType())) {
    APFloat v = dense.getSplatValue<APFloat>();
    bool lost;
    v.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
    return v.convertToDouble();
  }
  auto values = integersOf(dense);
  return values ? std::optional<double>((*values)[0]) : std::nullopt;
}

Value floatPower(Scalars &s, Value x, Value y, std::optional<double> constant) {
  if (constant && *constant >= 0 && *constant <= 16 &&
      *constant == static_cast<int64_t>(*constant))
    return smallPower(s, x, static_cast<int64_t>(*constant));
  if (constant && *constant == 0.5)
    return s.make<math::SqrtOp>(x);
  if (constant && *constant == -1)
    return s.make<arith::DivFOp>(s.c(1), x);
  return s.make<math::PowFOp>(x, y);
}

LogicalResult expandPow(ExpandContext &ctx) {
  Type exponentType = ctx.inInfo(1).elementType;
  bool zext = isUnsigned(exponentType);
  std::optional<double> constant = constantExponent(ctx.inInfo(1));
  return mapAll(ctx, [&](Scalars &s) -> Value {
    Value x = s.x[0], y = s.x[1];
    if (!s.isFloating() && isa<IntegerType>(y.getType()))
      return integerPower(s, x, y, zext);
    if (!s.isFloating()) {
      // An integer base with a float exponent is computed as floats.
      Type to = s.type;
      s.type = y.getType();
      Value wide = isUnsigned(s.onnxType) ? s.make<arith::UIToFPOp>(s.type, x)
                                          : s.make<arith::SIToFPOp>(s.type, x);
      Value power = floatPower(s, wide, y, constant);
      return saturate(s.b, s.loc, power, to, s.isZext());
    }
    if (isa<IntegerType>(y.getType()))
      y = zext ? s.make<arith::UIToFPOp>(s.type, y)
               : s.make<arith::SIToFPOp>(s.type, y);
    else
      y = narrow(s.b, s.loc, y, s.type);
    return floatPower(s, x, y, constant);
  });
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

Value mapRelu(Scalars &s) { return s.max(s.x[0], s.c(0)); }
Value mapSoftsign(Scalars &s) {
  Value magnitude = s.make<math::AbsFOp>(s.x[0]);
  return s.make<arith::DivFOp>(s.x[0], s.add(s.c(1), magnitude));
}
Value mapMish(Scalars &s) {
  Value soft = s.make<lnn::SoftplusOp>(s.x[0]);
  return s.mul(s.x[0], s.make<math::TanhOp>(soft));
}
Value mapHardSwish(Scalars &s) {
  Value gate = s.add(s.mul(s.x[0], s.c(1.0 / 6)), s.c(0.5));
  return s.mul(s.x[0], s.max(s.min(gate, s.c(1)), s.c(0)));
}
Value mapPRelu(Scalars &s) {
  return s.select(s.lt(s.x[0], s.c(0)), s.mul(s.x[0], s.x[1]), s.x[0]);
}

LogicalResult expandLeakyRelu(ExpandContext &ctx) {
  double alpha = ctx.floatAttr("alpha", 0.01);
  return mapAll(ctx, [&](Scalars &s) {
    Value x = s.x[0];
    return s.select(s.lt(x, s.c(0)), s.mul(x, s.c(alpha)), x);
  });
}

/// scale * (x where positive, else alpha * (exp(x / width) - 1)).
LogicalResult expandExponential(ExpandContext &ctx, double scale, double alpha,
                                double width) {
  return mapAll(ctx, [&](Scalars &s) {
    Value x = s.x[0];
    // exp sees no large argument: the branch not taken must not overflow.
    Value low = s.min(x, s.c(0));
    if (width != 1)
      low = s.make<arith::DivFOp>(low, s.c(width));
    Value e = s.sub(s.make<math::ExpOp>(low), s.c(1));
    if (scale * alpha != 1)
      e = s.mul(e, s.c(scale * alpha));
    Value positive = scale == 1 ? x : s.mul(x, s.c(scale));
    return s.select(s.lt(s.c(0), x), positive, e);
  });
}
LogicalResult expandElu(ExpandContext &ctx) {
  return expandExponential(ctx, 1, ctx.floatAttr("alpha", 1), 1);
}
LogicalResult expandSelu(ExpandContext &ctx) {
  return expandExponential(ctx, ctx.floatAttr("gamma", 1.0507009873554805),
                           ctx.floatAttr("alpha", 1.6732632423543772), 1);
}
LogicalResult expandCelu(ExpandContext &ctx) {
  double alpha = ctx.floatAttr("alpha", 1);
  return expandExponential(ctx, 1, alpha, alpha);
}

LogicalResult expandHardSigmoid(ExpandContext &ctx) {
  double alpha = ctx.floatAttr("alpha", 0.2), beta = ctx.floatAttr("beta", 0.5);
  return mapAll(ctx, [&](Scalars &s) {
    Value v = s.add(s.mul(s.x[0], s.c(alpha)), s.c(beta));
    return s.max(s.min(v, s.c(1)), s.c(0));
  });
}

LogicalResult expandThresholdedRelu(ExpandContext &ctx) {
  double alpha = ctx.floatAttr("alpha", 1);
  return mapAll(ctx, [&](Scalars &s) {
    return s.select(s.lt(s.c(alpha), s.x[0]), s.x[0], s.c(0));
  });
}

LogicalResult expandShrink(ExpandContext &ctx) {
  double lambda = ctx.floatAttr("lambd", 0.5), bias = ctx.floatAttr("bias", 0);
  return mapAll(ctx, [&](Scalars &s) -> Value {
    Value x = s.x[0];
    if (!s.isFloating())
      return x;
    Value below = s.select(s.lt(x, s.c(-lambda)), s.add(x, s.c(bias)), s.c(0));
    return s.select(s.lt(s.c(lambda), x), s.sub(x, s.c(bias)), below);
  });
}

LogicalResult expandSwish(ExpandContext &ctx) {
  double alpha = ctx.floatAttr("alpha", 1);
  return mapAll(ctx, [&](Scalars &s) -> Value {
    if (alpha == 1)
      return s.make<lnn::SiluOp>(s.x[0]);
    Value gate = s.make<lnn::SigmoidOp>(s.mul(s.x[0], s.c(alpha)));
    return s.mul(s.x[0], gate);
  });
}

LogicalResult inferGelu(InferContext &ctx) {
  StringRef kind = ctx.strAttr("approximate", "none");
  if (kind != "none" && kind != "tanh")
    return ctx.error("approximate must be \"none\" or \"tanh\"; found \"" +
                     kind + "\"");
  return inferFloat(ctx);
}
LogicalResult expandGelu(ExpandContext &ctx) {
  bool tanh = ctx.strAttr("approximate", "none") == "tanh";
  return mapAll(ctx, [&](Scalars &s) -> Value {
    Value x = s.x[0];
    if (!tanh)
      return s.make<lnn::GeluOp>(x);
    Value cube = s.mul(s.mul(x, x), x);
    Value inner = s.add(x, s.mul(cube, s.c(0.044715)));
    inner = s.mul(inner, s.c(std::sqrt(2 * std::numbers::inv_pi)));
    Value gate = s.add(s.make<math::TanhOp>(inner), s.c(1));
    return s.mul(s.mul(x, s.c(0.5)), gate);
  });
}

//===----------------------------------------------------------------------===//
// Clip, Min, Max, Sum, Mean
//===----------------------------------------------------------------------===//

LogicalResult inferClip(InferContext &ctx) {
  if (failed(inferNumber(ctx)))
    return failure();
  for (unsigned i = 1; i < ctx.numInputs() && i < 3; ++i) {
    if (!ctx.hasInput(i))
      continue;
    if (ctx.opset() < 11)
      return ctx.error("before opset 11, min and max are attributes");
    if (failed(sameElementType(ctx, 0, i)))
      return failure();
    bool one = llvm::all_of(ctx.in(i).dims, [](Dim d) { return d.isConst(1); });
    if (!one)
      return ctx.error(Twine(i == 1 ? "min" : "max") +
                       " must be a scalar; found " + ctx.in(i).str());
  }
  return success();
}
/// Before opset 11 the bounds are attributes.
LogicalResult expandClipByAttributes(ExpandContext &ctx) {
  return mapAll(ctx, [&](Scalars &s) {
    Value x = s.x[0];
    if (ctx.hasAttr("min"))
      x = s.max(x, s.c(ctx.floatAttr("min", 0)));
    return ctx.hasAttr("max") ? s.min(x, s.c(ctx.floatAttr("max", 0))) : x;
  });
}
LogicalResult expandClip(ExpandContext &ctx) {
  if (ctx.opset() < 11)
    return expandClipByAttributes(ctx);
  // A bound of shape (1, 1) must not add to the result's rank.
  bool hasMin = ctx.hasInput(1);
  SmallVector<Value> inputs = {input(ctx, 0)};
  ValueInfo bound[2];
  SmallVector<const ValueInfo *> infos = {&ctx.inInfo(0)};
  for (unsigned i : {1u, 2u}) {
    if (!ctx.hasInput(i))
      continue;
    bound[i - 1].elementType = ctx.inInfo(i).elementType;
    inputs.push_back(reshape(ctx, input(ctx, i), ctx.inInfo(i).dims, {}));
    infos.push_back(&bound[i - 1]);
  }
  Type onnxType = ctx.inInfo(0).elementType;
  auto body = [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
    Scalars s{ctx, b, loc, onnxType, computeType(onnxType), {}};
    for (Value arg : args.take_front(inputs.size()))
      s.x.push_back(widen(b, loc, arg));
    Value x = s.x[0];
    if (hasMin)
      x = s.max(x, s.x[1]);
    if (ctx.hasInput(2))
      x = s.min(x, s.x.back());
    return narrow(b, loc, x, ExpandContext::converted(onnxType));
  };
  if (inputs.size() == 1)
    give(ctx, 0, inputs[0]);
  else
    give(ctx, 0, ctx.elementwise(inputs, infos, ctx.outInfo(0), body));
  return success();
}

Value mapSum(Scalars &s) {
  Value r = s.x[0];
  for (Value x : ArrayRef<Value>(s.x).drop_front())
    r = s.add(r, x);
  return r;
}
Value mapMean(Scalars &s) {
  return s.make<arith::DivFOp>(mapSum(s), s.c(s.x.size()));
}
Value mapMax(Scalars &s) {
  Value r = s.x[0];
  for (Value x : ArrayRef<Value>(s.x).drop_front())
    r = s.max(r, x);
  return r;
}
Value mapMin(Scalars &s) {
  Value r = s.x[0];
  for (Value x : ArrayRef<Value>(s.x).drop_front())
    r = s.min(r, x);
  return r;
}

//===----------------------------------------------------------------------===//
// Comparison, logic, bits
//===----------------------------------------------------------------------===//

Value mapEqual(Scalars &s) { return s.eq(s.x[0], s.x[1]); }
Value mapLess(Scalars &s) { return s.lt(s.x[0], s.x[1]); }
Value mapLessOrEqual(Scalars &s) { return s.le(s.x[0], s.x[1]); }
Value mapGreater(Scalars &s) { return s.lt(s.x[1], s.x[0]); }
Value mapGreaterOrEqual(Scalars &s) { return s.le(s.x[1], s.x[0]); }
Value mapAnd(Scalars &s) {
  return s.make<arith::AndIOp>(s.truth(s.x[0]), s.truth(s.x[1]));
}
Value mapOr(Scalars &s) {
  return s.make<arith::OrIOp>(s.truth(s.x[0]), s.truth(s.x[1]));
}
Value mapXor(Scalars &s) {
  return s.make<arith::XOrIOp>(s.truth(s.x[0]), s.truth(s.x[1]));
}
Value mapNot(Scalars &s) { return s.eq(s.x[0], s.c(0)); }
Value mapBitAnd(Scalars &s) { return s.make<arith::AndIOp>(s.x[0], s.x[1]); }
Value mapBitOr(Scalars &s) { return s.make<arith::OrIOp>(s.x[0], s.x[1]); }
Value mapBitXor(Scalars &s) { return s.make<arith::XOrIOp>(s.x[0], s.x[1]); }
Value mapBitNot(Scalars &s) { return s.make<arith::XOrIOp>(s.x[0], s.c(-1)); }

LogicalResult inferBitShift(InferContext &ctx) {
  StringRef direction = ctx.strAttr("direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    return ctx.error("direction must be \"LEFT\" or \"RIGHT\"; found \"" +
                     direction + "\"");
  return inferBits(ctx);
}
LogicalResult expandBitShift(ExpandContext &ctx) {
  bool left = ctx.strAttr("direction", "") == "LEFT";
  return mapAll(ctx, [&](Scalars &s) {
    // A shift by the width or more, or by less than 0, is poison in arith; in
    // ONNX only the sign is left.
    Value fits = s.make<arith::CmpIOp>(arith::CmpIPredicate::ult, s.x[1],
                                       s.c(s.width()));
    Value by = s.select(fits, s.x[1], s.c(0));
    if (left)
      return s.select(fits, s.make<arith::ShLIOp>(s.x[0], by), s.c(0));
    if (s.isZext())
      return s.select(fits, s.make<arith::ShRUIOp>(s.x[0], by), s.c(0));
    Value most = s.select(fits, by, s.c(s.width() - 1));
    return s.make<arith::ShRSIOp>(s.x[0], most);
  });
}

LogicalResult inferToBool(InferContext &ctx) {
  if (failed(inferFloat(ctx)))
    return failure();
  ctx.out(0).elementType = IntegerType::get(ctx.op.getContext(), 1);
  return success();
}
Value mapIsNaN(Scalars &s) { return s.ne(s.x[0], s.x[0]); }
LogicalResult expandIsInf(ExpandContext &ctx) {
  bool negative = ctx.intAttr("detect_negative", 1) != 0;
  bool positive = ctx.intAttr("detect_positive", 1) != 0;
  return mapAll(ctx, [&](Scalars &s) {
    Value up = s.eq(s.x[0], s.attr(highest(s.type, false)));
    Value down = s.eq(s.x[0], s.attr(lowest(s.type, false)));
    Value no = integer(s.b, s.loc, s.b.getI1Type(), 0);
    return s.make<arith::OrIOp>(negative ? down : no, positive ? up : no);
  });
}

LogicalResult inferWhere(InferContext &ctx) {
  if (failed(requireType(ctx, 0, isBool, "a bool tensor")) ||
      failed(broadcastAll(ctx, 1)))
    return failure();
  propagate(ctx, dimWhere);
  return success();
}
LogicalResult expandWhere(ExpandContext &ctx) {
  return mapAll(
      ctx, [](Scalars &s) { return s.select(s.truth(s.x[0]), s.x[1], s.x[2]); },
      1);
}

//===----------------------------------------------------------------------===//
// Cast
//===----------------------------------------------------------------------===//

Value saturate(OpBuilder &b, Location loc, Value x, Type to, bool zext) {
  Type type = x.getType();
  unsigned width = to.getIntOrFloatBitWidth();
  double top = std::ldexp(1.0, zext ? width : width - 1);
  Value low = scalar(b, loc, type, zext ? 0.0 : -top);
  Value high = scalar(b, loc, type, top);
  Value zero = scalar(b, loc, type, 0);
  auto cmp = [&](arith::CmpFPredicate p, Value l, Value r) -> Value {
    return arith::CmpFOp::create(b, loc, p, l, r);
  };
  Value below = cmp(arith::CmpFPredicate::OLT, x, low);
  Value above = cmp(arith::CmpFPredicate::OGE, x, high);
  Value inside =
      arith::AndIOp::create(b, loc, cmp(arith::CmpFPredicate::OGE, x, low),
                            cmp(arith::CmpFPredicate::OLT, x, high));
  Value safe = arith::SelectOp::create(b, loc, inside, x, zero);
  Value r = zext ? Value(arith::FPToUIOp::create(b, loc, to, safe))
                 : Value(arith::FPToSIOp::create(b, loc, to, safe));
  Value least = arith::ConstantOp::create(b, loc, lowest(to, zext));
  Value most = arith::ConstantOp::create(b, loc, highest(to, zext));
  r = arith::SelectOp::create(b, loc, below, least, r);
  return arith::SelectOp::create(b, loc, above, most, r);
}

/// One element from an ONNX type to another; never undefined.
Value castScalar(Scalars &s, Type to) {
  Value x = s.x[0];
  Type wide = computeType(to);
  if (isBool(to))
    return s.ne(x, s.c(0));
  if (isBool(s.onnxType)) {
    x = s.make<arith::ExtUIOp>(s.b.getI32Type(), s.truth(x));
    if (isa<FloatType>(wide))
      return s.make<arith::SIToFPOp>(wide, x);
    return s.make<arith::ExtUIOp>(wide, s.truth(s.x[0]));
  }
  // From f64 to a half at once, so that it is rounded once.
  if (s.isFloating() && isa<FloatType>(wide))
    return narrow(s.b, s.loc, x, s.type.isF64() ? to : wide);
  if (s.isFloating())
    return saturate(s.b, s.loc, x, wide, isUnsigned(to));
  if (isa<FloatType>(wide))
    return s.isZext() ? s.make<arith::UIToFPOp>(wide, x)
                      : s.make<arith::SIToFPOp>(wide, x);
  unsigned from = s.width(), width = wide.getIntOrFloatBitWidth();
  if (from == width)
    return x;
  if (from > width)
    return s.make<arith::TruncIOp>(wide, x);
  return s.isZext() ? s.make<arith::ExtUIOp>(wide, x)
                    : s.make<arith::ExtSIOp>(wide, x);
}

/// Contents survive a cast between integer types that hold them, and between
/// small floats and integers.
void castData(InferContext &ctx) {
  const SmallVector<Dim> *data = dataOf(ctx, 0);
  auto floats = knownFloats(ctx.in(0));
  if (floats && isFloat(ctx.out(0).elementType))
    setFloats(ctx.out(0), *floats);
  if (floats && !data && isa<IntegerType>(ctx.out(0).elementType)) {
    SmallVector<Dim> result;
    for (double v : *floats) {
      if (!(std::abs(v) < 1e15))
        return;
      bool toBool = isBool(ctx.out(0).elementType);
      result.push_back(ctx.c(toBool ? v != 0 : std::trunc(v)));
    }
    setData(ctx.out(0), std::move(result));
  }
  if (!data || isFloat(ctx.out(0).elementType))
    return;
  SmallVector<Dim> result;
  for (Dim d : *data) {
    if (isBool(ctx.out(0).elementType))
      d = dimNot(ctx.dims, dimEqual(ctx.dims, {d, ctx.c(0)}));
    result.push_back(d);
  }
  setData(ctx.out(0), std::move(result));
}

LogicalResult inferCast(InferContext &ctx) {
  int64_t to = ctx.intAttr("to", 0);
  Type type = typeOfEnum(ctx.op.getContext(), to);
  if (!type)
    return ctx.unsupported("a cast to ONNX data type " + Twine(to) +
                           " is not supported");
  if (failed(inferSame(ctx)))
    return failure();
  ctx.out(0).elementType = type;
  castData(ctx);
  return success();
}
LogicalResult inferCastLike(InferContext &ctx) {
  if (failed(inferSame(ctx)))
    return failure();
  ctx.out(0).elementType = ctx.in(1).elementType;
  castData(ctx);
  return success();
}

LogicalResult expandCast(ExpandContext &ctx) {
  const ValueInfo &from = ctx.inInfo(0), &to = ctx.outInfo(0);
  if (from.elementType == to.elementType) {
    give(ctx, 0, input(ctx, 0));
    return success();
  }
  Type outType = ExpandContext::converted(to.elementType);
  Value x = input(ctx, 0);
  Value out = ctx.elementwise(
      x, {&from}, to, [&](OpBuilder &b, Location loc, ValueRange args) {
        Type type = computeType(from.elementType);
        Scalars s{ctx, b, loc, from.elementType, type, {}};
        s.x.push_back(widen(b, loc, args[0]));
        return narrow(b, loc, castScalar(s, to.elementType), outType);
      });
  give(ctx, 0, out);
  return success();
}

//===----------------------------------------------------------------------===//
// BitCast
//===----------------------------------------------------------------------===//

LogicalResult inferBitCast(InferContext &ctx) {
  int64_t to = ctx.intAttr("to", 0);
  Type type = typeOfEnum(ctx.op.getContext(), to), from = ctx.in(0).elementType;
  if (!type)
    return ctx.unsupported("a cast to ONNX data type " + Twine(to));
  auto width = [](Type t) {
    return ExpandContext::converted(t).getIntOrFloatBitWidth();
  };
  if (width(type) != width(from))
    return ctx.error("the types must be of one width");
  if (failed(inferSame(ctx)))
    return failure();
  ctx.out(0).elementType = type;
  return success();
}
LogicalResult expandBitCast(ExpandContext &ctx) {
  Type from = ctx.inInfo(0).elementType, to = ctx.outInfo(0).elementType;
  Type outType = ExpandContext::converted(to);
  Value out = ctx.elementwise(
      input(ctx, 0), {&ctx.inInfo(0)}, ctx.outInfo(0),
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        if (isBool(to) && !isBool(from)) {
          Value zero = integer(b, loc, args[0].getType(), 0);
          Value on = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne,
                                           args[0], zero);
          return arith::ExtUIOp::create(b, loc, outType, on);
        }
        if (args[0].getType() == outType)
          return args[0];
        return arith::BitcastOp::create(b, loc, outType, args[0]);
      });
  give(ctx, 0, out);
  return success();
}

//===----------------------------------------------------------------------===//
// Identity, Dropout, Trilu
//===----------------------------------------------------------------------===//

LogicalResult inferIdentity(InferContext &ctx) {
  ctx.out(0) = ctx.in(0);
  return success();
}
LogicalResult expandIdentity(ExpandContext &ctx) {
  give(ctx, 0, input(ctx, 0));
  return success();
}

LogicalResult inferDropout(InferContext &ctx) {
  if (ctx.hasInput(2)) {
    auto training = knownIntegers(ctx.in(2));
    auto ratio = ctx.hasInput(1) ? knownFloats(ctx.in(1)) : std::nullopt;
    bool none = ratio && ratio->size() == 1 && (*ratio)[0] == 0;
    bool off = training && training->size() == 1 && (*training)[0] == 0;
    if (!off && !none)
      return ctx.unsupported(
          "training_mode must be known to be false: export for inference");
  }
  ctx.out(0) = ctx.in(0);
  if (ctx.numOutputs() > 1 && ctx.hasOutput(1)) {
    ctx.out(1).elementType = ctx.opset() < 10
                                 ? ctx.in(0).elementType
                                 : IntegerType::get(ctx.op.getContext(), 1);
    ctx.out(1).dims = ctx.in(0).dims;
  }
  return success();
}
LogicalResult expandDropout(ExpandContext &ctx) {
  give(ctx, 0, input(ctx, 0));
  if (ctx.numOutputs() > 1 && ctx.hasOutput(1)) {
    Type type = ExpandContext::converted(ctx.outInfo(1).elementType);
    give(ctx, 1, ctx.filled(ctx.outInfo(1).dims, scalarAttr(type, 1)));
  }
  return success();
}

LogicalResult inferTrilu(InferContext &ctx) {
  if (ctx.in(0).rank() < 2)
    return ctx.error("the input must have rank 2 or more; found " +
                     ctx.in(0).str());
  if (ctx.hasInput(1) &&
      llvm::any_of(ctx.in(1).dims, [](Dim d) { return !d.isConst(1); }))
    return ctx.error("k must be a scalar; found " + ctx.in(1).str());
  if (ctx.hasInput(1) && !ctx.in(1).elementType.isInteger(64))
    return ctx.error("k must be int64; found " + ctx.in(1).str());
  return inferSame(ctx);
}
LogicalResult expandTrilu(ExpandContext &ctx) {
  bool upper = ctx.intAttr("upper", 1) != 0;
  const ValueInfo &info = ctx.inInfo(0);
  Type i64 = ctx.b.getI64Type();
  Value k = integer(ctx.b, ctx.loc, i64, 0);
  if (ctx.hasInput(1))
    k = tensor::ExtractOp::create(
        ctx.b, ctx.loc, reshape(ctx, input(ctx, 1), ctx.inInfo(1).dims, {}),
        ValueRange());
  // Far diagonals are all the same; the sum of k and a row must not wrap.
  k = arith::MaxSIOp::create(ctx.b, ctx.loc, k,
                             integer(ctx.b, ctx.loc, i64, -(int64_t(1) << 40)));
  k = arith::MinSIOp::create(ctx.b, ctx.loc, k,
                             integer(ctx.b, ctx.loc, i64, int64_t(1) << 40));
  Value diagonal =
      arith::IndexCastOp::create(ctx.b, ctx.loc, ctx.b.getIndexType(), k);
  Value x = input(ctx, 0);
  Value out = ctx.elementwise(
      x, {&info}, ctx.outInfo(0),
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        Value row = linalg::IndexOp::create(b, loc, info.rank() - 2);
        Value column = linalg::IndexOp::create(b, loc, info.rank() - 1);
        Value first = arith::AddIOp::create(b, loc, row, diagonal);
        Value keep = arith::CmpIOp::create(b, loc,
                                           upper ? arith::CmpIPredicate::sge
                                                 : arith::CmpIPredicate::sle,
                                           column, first);
        Value zero = scalar(b, loc, args[0].getType(), 0);
        return arith::SelectOp::create(b, loc, keep, args[0], zero);
      });
  give(ctx, 0, out);
  return success();
}

LogicalResult inferCelu(InferContext &ctx) {
  if (ctx.floatAttr("alpha", 1) == 0)
    return ctx.error("alpha must not be 0");
  return inferFloat(ctx);
}

template <LogicalResult (*infer)(InferContext &),
          LogicalResult (*expand)(ExpandContext &)>
OpEntry row(StringRef name, unsigned minInputs, unsigned maxInputs,
            int64_t since = kFirstOpset) {
  return entry<infer, expand>(name, minInputs, maxInputs, since);
}
template <ScalarFn fn>
OpEntry floatRow(StringRef name, int64_t since = kFirstOpset) {
  return row<inferFloat, expandMap<fn>>(name, 1, 1, since);
}

void addMathOps(std::vector<OpEntry> &t) {
  t.push_back(floatRow<mapOp<math::SqrtOp>>("Sqrt"));
  t.push_back(floatRow<mapReciprocal>("Reciprocal"));
  t.push_back(floatRow<mapOp<math::ExpOp>>("Exp"));
  t.push_back(floatRow<mapOp<math::LogOp>>("Log"));
  t.push_back(floatRow<mapOp<math::FloorOp>>("Floor"));
  t.push_back(floatRow<mapOp<math::CeilOp>>("Ceil"));
  t.push_back(floatRow<mapOp<math::RoundEvenOp>>("Round"));
  t.push_back(floatRow<mapOp<math::ErfOp>>("Erf"));
  t.push_back(floatRow<mapOp<math::SinOp>>("Sin"));
  t.push_back(floatRow<mapOp<math::CosOp>>("Cos"));
  t.push_back(floatRow<mapOp<math::TanOp>>("Tan"));
  t.push_back(floatRow<mapOp<math::AsinOp>>("Asin"));
  t.push_back(floatRow<mapOp<math::AcosOp>>("Acos"));
  t.push_back(floatRow<mapOp<math::AtanOp>>("Atan"));
  t.push_back(floatRow<mapOp<math::SinhOp>>("Sinh"));
  t.push_back(floatRow<mapOp<math::CoshOp>>("Cosh"));
  t.push_back(floatRow<mapOp<math::AsinhOp>>("Asinh"));
  t.push_back(floatRow<mapOp<math::AcoshOp>>("Acosh"));
  t.push_back(floatRow<mapOp<math::AtanhOp>>("Atanh"));
  t.push_back(floatRow<mapOp<math::TanhOp>>("Tanh"));
  t.push_back(floatRow<mapOp<lnn::SigmoidOp>>("Sigmoid"));
  t.push_back(floatRow<mapOp<lnn::SoftplusOp>>("Softplus"));
  t.push_back(floatRow<mapSoftsign>("Softsign"));
  t.push_back(floatRow<mapMish>("Mish", 18));
  t.push_back(floatRow<mapHardSwish>("HardSwish", 14));
}

void addActivationOps(std::vector<OpEntry> &t) {
  t.push_back(row<inferNumber, expandMap<mapRelu>>("Relu", 1, 1));
  t.push_back(row<inferFloat, expandLeakyRelu>("LeakyRelu", 1, 1));
  t.push_back(row<inferFloat, expandElu>("Elu", 1, 1));
  t.push_back(row<inferFloat, expandSelu>("Selu", 1, 1));
  t.push_back(row<inferCelu, expandCelu>("Celu", 1, 1));
  t.push_back(row<inferFloat, expandHardSigmoid>("HardSigmoid", 1, 1));
  t.push_back(row<inferFloat, expandThresholdedRelu>("ThresholdedRelu", 1, 1));
  t.push_back(row<inferNumber, expandShrink>("Shrink", 1, 1));
  t.push_back(row<inferFloat, expandSwish>("Swish", 1, 1, 24));
  t.push_back(row<inferGelu, expandGelu>("Gelu", 1, 1, 20));
}

void addLogicOps(std::vector<OpEntry> &t) {
  t.push_back(row<inferCompare<dimEqual>, expandMap<mapEqual>>("Equal", 2, 2));
  t.push_back(row<inferCompare<dimLt>, expandMap<mapLess>>("Less", 2, 2));
  t.push_back(
      row<inferCompare<dimLe>, expandMap<mapLessOrEqual>>("LessOrEqual", 2, 2));
  t.push_back(row<inferCompare<dimGt>, expandMap<mapGreater>>("Greater", 2, 2));
  t.push_back(row<inferCompare<dimGe>, expandMap<mapGreaterOrEqual>>(
      "GreaterOrEqual", 2, 2));
  t.push_back(row<inferLogic<dimAnd>, expandMap<mapAnd>>("And", 2, 2));
  t.push_back(row<inferLogic<dimOr>, expandMap<mapOr>>("Or", 2, 2));
  t.push_back(row<inferLogic<noDim>, expandMap<mapXor>>("Xor", 2, 2));
  t.push_back(row<inferLogic<dimNotFn>, expandMap<mapNot>>("Not", 1, 1));
  t.push_back(row<inferBitShift, expandBitShift>("BitShift", 2, 2));
  t.push_back(row<inferBits, expandMap<mapBitAnd>>("BitwiseAnd", 2, 2, 18));
  t.push_back(row<inferBits, expandMap<mapBitOr>>("BitwiseOr", 2, 2, 18));
  t.push_back(row<inferBits, expandMap<mapBitXor>>("BitwiseXor", 2, 2, 18));
  t.push_back(row<inferBits, expandMap<mapBitNot>>("BitwiseNot", 1, 1, 18));
  t.push_back(row<inferToBool, expandMap<mapIsNaN>>("IsNaN", 1, 1));
  t.push_back(row<inferToBool, expandIsInf>("IsInf", 1, 1));
  t.push_back(row<inferWhere, expandWhere>("Where", 3, 3));
}

} // namespace

void addElementwiseOps(std::vector<OpEntry> &t) {
  constexpr unsigned any = 1 << 16;
  t.push_back(row<inferArith<dimAdd>, expandMap<mapAdd>>("Add", 2, 2));
  t.push_back(row<inferArith<dimSub>, expandMap<mapSub>>("Sub", 2, 2));
  t.push_back(row<inferArith<dimMul>, expandMap<mapMul>>("Mul", 2, 2));
  t.push_back(row<inferArith<dimDiv>, expandMap<mapDiv>>("Div", 2, 2));
  t.push_back(row<inferArith<dimMod>, expandMod>("Mod", 2, 2));
  t.push_back(row<inferPow, expandPow>("Pow", 2, 2));
  t.push_back(row<inferNeg, expandMap<mapNeg>>("Neg", 1, 1));
  t.push_back(row<inferNumber, expandMap<mapAbs>>("Abs", 1, 1));
  t.push_back(row<inferNumber, expandMap<mapSign>>("Sign", 1, 1));
  t.push_back(row<inferArith<dimMin>, expandMap<mapMin>>("Min", 1, any));
  t.push_back(row<inferArith<dimMax>, expandMap<mapMax>>("Max", 1, any));
  t.push_back(row<inferFloatBroadcast, expandMap<mapSum>>("Sum", 1, any));
  t.push_back(row<inferFloatBroadcast, expandMap<mapMean>>("Mean", 1, any));
  t.push_back(row<inferFloatBroadcast, expandMap<mapPRelu>>("PRelu", 2, 2));
  t.push_back(row<inferClip, expandClip>("Clip", 1, 3));
  t.push_back(row<inferCast, expandCast>("Cast", 1, 1));
  t.push_back(row<inferCastLike, expandCast>("CastLike", 2, 2, 15));
  t.push_back(row<inferBitCast, expandBitCast>("BitCast", 1, 1, 26));
  t.push_back(row<inferIdentity, expandIdentity>("Identity", 1, 1));
  t.push_back(row<inferDropout, expandDropout>("Dropout", 1, 3));
  t.push_back(row<inferTrilu, expandTrilu>("Trilu", 1, 2, 14));
  addMathOps(t);
  addActivationOps(t);
  addLogicOps(t);
}

} // namespace lnn::onnx
