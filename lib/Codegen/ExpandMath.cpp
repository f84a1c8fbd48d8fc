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
  Num (*fast)(Num) = nullptr; ///< of f32, where less precision is asked for
};
} // namespace

static const Expansion *lookup(Operation *op) {
  static const llvm::StringMap<Expansion> table = {
      {"lnn.sigmoid", {sigmoid, nullptr, true, fastSigmoid}},
      {"lnn.gate", {gate, nullptr, true, fastGate}},
      {"lnn.gate_denominator",
       {gateDenominator, nullptr, true, fastGateDenominator}},
      {"lnn.softplus", {softplus, nullptr, true}},
      {"lnn.silu", {silu, nullptr, true, fastSilu}},
      {"lnn.gelu", {gelu}},
      {"math.exp", {exp, nullptr, true, fastExp}},
      {"math.expm1", {expm1, nullptr, true}},
      {"math.log", {log, nullptr, true}},
      {"math.log1p", {log1p, nullptr, true}},
      {"math.tanh", {tanh, nullptr, true, fastTanh}},
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

static void expand(Operation *op, const Expansion &expansion, bool avx512,
                   bool fast) {
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
  fast &= expansion.fast && computed.isF32();
  Value result =
      (fast ? expansion.fast(arguments[0]) : apply(expansion, arguments)).v;
  if (isHalf(element))
    result = convert(b, result, single);
  op->getResult(0).replaceAllUsesWith(convert(b, result, element));
  op->erase();
}

/// A selection of halves, of which LLVM makes one of floats, as one of
/// integers.
static void expandSelect(arith::SelectOp op) {
  Builder b(op->getLoc(), op);
  Type type = op.getType(), integer = withElement(type, b.getI16Type());
  Value bits = arith::SelectOp::create(
      b, op.getCondition(),
      arith::BitcastOp::create(b, integer, op.getTrueValue()),
      arith::BitcastOp::create(b, integer, op.getFalseValue()));
  op.replaceAllUsesWith(arith::BitcastOp::create(b, type, bits).getResult());
  op.erase();
}

/// An instruction on words and sums that there is for 4, 8 and 16 lanes; fewer
/// are the first ones of 4. It takes the words' parts of `part`.
static Value dotInstruction(Builder &b, StringRef name, Type part, Value lhs,
                            Value rhs, Value accumulator) {
  auto type = dyn_cast<VectorType>(accumulator.getType());
  int64_t lanes = type ? type.getNumElements() : 1,
          width = std::max<int64_t>(lanes, 4);
  SmallVector<Value> wide;
  for (Value value : {lhs, rhs, accumulator}) {
    if (!type)
      value = vector::BroadcastOp::create(
          b, VectorType::get({width}, value.getType()), value);
    else if (lanes < width)
      value = vector::ShuffleOp::create(b, value, value,
                                        ArrayRef<int64_t>{0, lanes - 1, 0, 0});
    wide.push_back(value);
  }
  auto parts =
      VectorType::get({width * 32 / part.getIntOrFloatBitWidth()}, part);
  for (Value &words : MutableArrayRef(wide).take_front(2))
    words = vector::BitCastOp::create(b, parts, words);
  std::string full = (name + "." + Twine(width * 32)).str();
  Value sum =
      LLVM::CallIntrinsicOp::create(b, wide[2].getType(), b.getStringAttr(full),
                                    ValueRange{wide[2], wide[0], wide[1]})
          .getResult(0);
  if (!type)
    return vector::ExtractOp::create(b, sum, 0);
  auto first = llvm::to_vector(llvm::seq<int64_t>(0, lanes));
  return lanes < width ? Value(vector::ShuffleOp::create(b, sum, sum, first))
                       : sum;
}

/// Two multiply-adds, the first of each pair first.
static Value pairDotOfSingles(Builder &b, ArrayRef<Value> operands) {
  Type type = operands[2].getType(), words = operands[0].getType();
  auto constant = [&](int64_t value) {
    return splat(b, words, b.getI32IntegerAttr(int32_t(value)));
  };
  Value sum = operands[2];
  for (bool second : {false, true}) {
    Value factors[2];
    for (auto [factor, word] : llvm::zip(factors, operands)) {
      Value bits =
          second ? Value(arith::AndIOp::create(b, word, constant(0xffff0000)))
                 : Value(arith::ShLIOp::create(b, word, constant(16)));
      factor = arith::BitcastOp::create(b, type, bits);
    }
    sum = math::FmaOp::create(b, factors[0], factors[1], sum);
  }
  return sum;
}

/// Four products, one after the other.
static Value quadDotOfIntegers(Builder &b, Value lhs, Value rhs, Value sum) {
  Type type = sum.getType();
  auto constant = [&](int32_t value) {
    return splat(b, type, b.getI32IntegerAttr(value));
  };
  for (int32_t which = 0; which < 4; ++which) {
    // The signed one's sign is that of all that is above it.
    Value up = arith::ShLIOp::create(b, rhs, constant(24 - 8 * which)),
          w = arith::ShRSIOp::create(b, up, constant(24)),
          down = arith::ShRUIOp::create(b, lhs, constant(8 * which)),
          x = arith::AndIOp::create(b, down, constant(255));
    sum = arith::AddIOp::create(b, sum, arith::MulIOp::create(b, x, w));
  }
  return sum;
}

/// Of at most `most` lanes, by an instruction.
static bool hasInstruction(Type type, int64_t most) {
  auto vector = dyn_cast<VectorType>(type);
  return !vector || (vector.getRank() == 1 && !vector.isScalable() &&
                     llvm::isPowerOf2_64(vector.getNumElements()) &&
                     vector.getNumElements() <= most);
}

static void expandPairDot(PairDotOp op, bool instruction) {
  Builder b(op->getLoc(), op);
  Value x = op.getLhs(), w = op.getRhs(), sum = op.getAccumulator();
  op.replaceAllUsesWith(instruction && hasInstruction(op.getType(), 16)
                            ? dotInstruction(b, "llvm.x86.avx512bf16.dpbf16ps",
                                             b.getBF16Type(), x, w, sum)
                            : pairDotOfSingles(b, {x, w, sum}));
  op.erase();
}

/// VNNI without AVX-512 has 8 lanes.
static void expandQuadDot(QuadDotOp op, bool instruction, bool avx512) {
  Builder b(op->getLoc(), op);
  Value x = op.getLhs(), w = op.getRhs(), sum = op.getAccumulator();
  op.replaceAllUsesWith(instruction &&
                                hasInstruction(op.getType(), avx512 ? 16 : 8)
                            ? dotInstruction(b, "llvm.x86.avx512.vpdpbusd",
                                             b.getI8Type(), x, w, sum)
                            : quadDotOfIntegers(b, x, w, sum));
  op.erase();
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
      expand(op, *expansion, avx512, fast);
    SmallVector<arith::SelectOp> selections;
    getOperation()->walk([&](Operation *op) {
      // The LLVM dialect has no such flags on conversions.
      if (isa<arith::TruncFOp, arith::ExtFOp>(op))
        op->removeAttr("fastmath");
      auto select = dyn_cast<arith::SelectOp>(op);
      if (select && !isa<TensorType, MemRefType>(select.getType()) &&
          isHalf(getElementTypeOrSelf(select.getType())))
        selections.push_back(select);
    });
    for (arith::SelectOp op : selections)
      expandSelect(op);
    getOperation()->walk([&](PairDotOp op) { expandPairDot(op, pairs); });
    getOperation()->walk(
        [&](QuadDotOp op) { expandQuadDot(op, quads, avx512); });
  }
};
} // namespace
} // namespace lnn
