//===- ExpandMath.cpp - elementary functions to polynomials ---------------===//
#include "lnn/Codegen/Passes.h"

#include "MathFunctions.h"
#include "lnn/Dialect/Lnn/Lnn.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNEXPANDMATHPASS
#include "lnn/Codegen/Passes.h.inc"

namespace {
/// How an op is computed: by a function of one or two arguments, in f32 where
/// that has a version of its own.
struct Expansion {
  Num (*unary)(Num) = nullptr;
  Num (*binary)(Num, Num) = nullptr;
  bool inSingle = false;
};
} // namespace

static const Expansion *lookup(Operation *op) {
  static const llvm::StringMap<Expansion> table = {
      {"lnn.sigmoid", {sigmoid, nullptr, true}},
      {"lnn.gate", {gate, nullptr, true}},
      {"lnn.softplus", {softplus, nullptr, true}},
      {"lnn.silu", {silu, nullptr, true}},
      {"lnn.gelu", {gelu}},
      {"math.exp", {exp, nullptr, true}},
      {"math.expm1", {expm1, nullptr, true}},
      {"math.log", {log, nullptr, true}},
      {"math.log1p", {log1p, nullptr, true}},
      {"math.tanh", {tanh, nullptr, true}},
      {"math.erf", {erf, nullptr, true}},
      {"math.rsqrt", {rsqrt, nullptr, true}},
      {"math.erfc", {erfc}},
      {"math.exp2", {exp2}},
      {"math.log2", {log2}},
      {"math.log10", {log10}},
      {"math.sin", {sin}},
      {"math.cos", {cos}},
      {"math.tan", {tan}},
      {"math.asin", {asin}},
      {"math.acos", {acos}},
      {"math.atan", {atan}},
      {"math.atan2", {nullptr, atan2}},
      {"math.sinh", {sinh}},
      {"math.cosh", {cosh}},
      {"math.asinh", {asinh}},
      {"math.acosh", {acosh}},
      {"math.atanh", {atanh}},
      {"math.cbrt", {cbrt}},
      {"math.powf", {nullptr, pow}},
  };
  auto found = table.find(op->getName().getStringRef());
  return found == table.end() ? nullptr : &found->second;
}

static Num apply(const Expansion &expansion, ArrayRef<Num> arguments) {
  return expansion.unary ? expansion.unary(arguments[0])
                         : expansion.binary(arguments[0], arguments[1]);
}

static bool isHalf(Type type) { return type.isF16() || type.isBF16(); }

/// Converts between formats; the element type of `like` says to which.
static Value convert(Builder &b, Value value, Type element) {
  Type from = getElementTypeOrSelf(value.getType()),
       to = withElement(value.getType(), element);
  if (from == element)
    return value;
  if (from.getIntOrFloatBitWidth() < element.getIntOrFloatBitWidth())
    return arith::ExtFOp::create(b, to, value);
  return arith::TruncFOp::create(b, to, value);
}

static void expand(Operation *op, const Expansion &expansion, bool avx512) {
  Builder b(op->getLoc(), op);
  b.avx512 = avx512;
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  Type single = b.getF32Type(),
       computed =
           element.isF64() || !expansion.inSingle ? b.getF64Type() : single;
  SmallVector<Num> arguments;
  for (Value operand : op->getOperands()) {
    Value value = isHalf(element) ? convert(b, operand, single) : operand;
    arguments.push_back({&b, convert(b, value, computed)});
  }
  Value result = apply(expansion, arguments).v;
  if (isHalf(element))
    result = convert(b, result, single);
  op->getResult(0).replaceAllUsesWith(convert(b, result, element));
  op->erase();
}

/// f32 to bf16 in integers, to the nearest, ties to even: the processors that
/// lack it would call a function of libgcc.
static Value toBFloat16(Builder &b, Value value) {
  Type wide = withElement(value.getType(), b.getI32Type()),
       half = withElement(value.getType(), b.getI16Type());
  Int x{&b, arith::BitcastOp::create(b, wide, value)};
  auto shift = [&](Int v) {
    return Int{&b, arith::ShRUIOp::create(b, v.v, num(v, 16).v)};
  };
  Int rounded = shift(x + 0x7fff + (shift(x) & 1));
  Int quiet = shift(x | num(x, 0x400000)); // a NaN stays one
  Int result = select(isNaN(Num{&b, value}), quiet, rounded);
  Value narrow = arith::TruncIOp::create(b, half, result.v);
  return arith::BitcastOp::create(
      b, withElement(value.getType(), b.getBF16Type()), narrow);
}

/// bf16 to f32: its bits are the upper half.
static Value fromBFloat16(Builder &b, Value value) {
  Type type = value.getType(), half = withElement(type, b.getI16Type()),
       wide = withElement(type, b.getI32Type());
  Value bits =
      arith::ExtUIOp::create(b, wide, arith::BitcastOp::create(b, half, value));
  return fromBits(Int{&b, bits} << 16,
                  Num{&b, splat(b, withElement(type, b.getF32Type()),
                                b.getF32FloatAttr(0))})
      .v;
}

/// Conversions of bf16 and selections of halves, as operations on integers.
static void expandHalf(Operation *op) {
  Builder b(op->getLoc(), op);
  Type type = op->getResult(0).getType();
  Value result;
  if (auto truncate = dyn_cast<arith::TruncFOp>(op)) {
    result = toBFloat16(b, convert(b, truncate.getIn(), b.getF32Type()));
  } else if (auto extend = dyn_cast<arith::ExtFOp>(op)) {
    result =
        convert(b, fromBFloat16(b, extend.getIn()), getElementTypeOrSelf(type));
  } else {
    auto choice = cast<arith::SelectOp>(op);
    Type integer = withElement(type, b.getI16Type());
    Value bits = arith::SelectOp::create(
        b, choice.getCondition(),
        arith::BitcastOp::create(b, integer, choice.getTrueValue()),
        arith::BitcastOp::create(b, integer, choice.getFalseValue()));
    result = arith::BitcastOp::create(b, type, bits);
  }
  op->getResult(0).replaceAllUsesWith(result);
  op->erase();
}

static bool isHalfToExpand(Operation *op) {
  if (!isa<arith::TruncFOp, arith::ExtFOp, arith::SelectOp>(op))
    return false;
  Type type = op->getResult(0).getType(), element = getElementTypeOrSelf(type);
  if (isa<TensorType, MemRefType>(type))
    return false;
  if (isa<arith::ExtFOp>(op))
    return getElementTypeOrSelf(op->getOperand(0).getType()).isBF16();
  return isa<arith::SelectOp>(op) ? isHalf(element) : element.isBF16();
}

namespace {
struct LnnExpandMathPass : impl::LnnExpandMathPassBase<LnnExpandMathPass> {
  using LnnExpandMathPassBase::LnnExpandMathPassBase;

  void runOnOperation() override {
    SmallVector<std::pair<Operation *, const Expansion *>> found;
    getOperation()->walk([&](Operation *op) {
      if (op->getNumResults() != 1)
        return;
      Type element = getElementTypeOrSelf(op->getResult(0).getType());
      if (!element.isF32() && !element.isF64() && !isHalf(element))
        return;
      if (const Expansion *expansion = lookup(op))
        found.emplace_back(op, expansion);
    });
    for (auto [op, expansion] : found)
      expand(op, *expansion, avx512);
    SmallVector<Operation *> halves;
    getOperation()->walk([&](Operation *op) {
      // The LLVM dialect has no such flags on conversions.
      if (isa<arith::TruncFOp, arith::ExtFOp>(op))
        op->removeAttr("fastmath");
      if (isHalfToExpand(op))
        halves.push_back(op);
    });
    for (Operation *op : halves)
      expandHalf(op);
  }
};
} // namespace
} // namespace lnn
