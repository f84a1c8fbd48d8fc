//===- NarrowWeights.cpp - constant matrices in fewer bytes ---------------===//
//
// A product with one row reads each weight once: its time is that of the bytes.
// A constant matrix whose elements are only multiplied and added up is stored
// as
//
//   bf16   two that are multiplied one after the other in 32 bits: w[2 k, n],
//          rounded to nearest, in the lower half; the float that all 32 bits
//          are is w[2 k + 1, n], the upper half being the one that comes
//          nearest
//   int8   q[k, n] = w[k, n] / s[n] rounded likewise, s[n] a 127th of the
//          largest |w[k, n]|; the sum over q is scaled by s[n] once, in f32
//
// and widened where it is loaded. Products and sums are of f32, in the order
// that they had.
//
//===----------------------------------------------------------------------===//
#include "Fusion.h"
#include "LoopPlan.h"
#include "PairLoop.h"
#include "lnn/Transforms/LargeConstants.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/StringSwitch.h"
#include <algorithm>
#include <cmath>
#include <limits>

using namespace mlir;

namespace lnn {

/// Smaller ones gain nothing, and are as likely a filter's taps as a matrix.
constexpr int64_t fewest = 256;

/// The argument's only use: a factor of a term that is added to an accumulator
/// of the body. The number of that output; none otherwise.
static std::optional<unsigned> addedTo(linalg::GenericOp op,
                                       BlockArgument weight) {
  if (!weight.hasOneUse())
    return std::nullopt;
  auto product = dyn_cast<arith::MulFOp>(*weight.user_begin());
  if (!product || !product->hasOneUse())
    return std::nullopt;
  Operation *yield = op.getRegion().front().getTerminator();
  for (auto [number, accumulator] : llvm::enumerate(op.getRegionOutputArgs()))
    if (accumulator.hasOneUse() && yield->getOperand(number).hasOneUse() &&
        addedTerm(accumulator, yield->getOperand(number)) ==
            product.getResult())
      return number;
  return std::nullopt;
}

ArrayRef<float> valuesOf(ElementsAttr elements) {
  ArrayRef<char> bytes = bytesOf(elements);
  return {reinterpret_cast<const float *>(bytes.data()),
          bytes.size() / sizeof(float)};
}

ElementsAttr constantMatrix(linalg::GenericOp op, OpOperand &operand) {
  ElementsAttr elements = packable(operand.get());
  AffineMap map = op.getMatchingIndexingMap(&operand);
  if (!elements || !elements.getElementType().isF32() ||
      elements.getNumElements() < fewest || !map.isProjectedPermutation())
    return {};
  bool reduced = false, others = false;
  for (auto [d, kind] : llvm::enumerate(op.getIteratorTypesArray()))
    if (map.isFunctionOfDim(d))
      (kind == utils::IteratorType::reduction ? reduced : others) = true;
  bool finite = llvm::all_of(valuesOf(elements),
                             [](float w) { return std::isfinite(w); });
  return reduced && others && finite ? elements : ElementsAttr();
}

uint16_t toBF16(float value) {
  if (std::fabs(value) < std::numeric_limits<float>::min())
    return 0;
  APFloat narrow(value);
  bool lost;
  narrow.convert(APFloat::BFloat(), APFloat::rmNearestTiesToEven, &lost);
  if (narrow.isInfinity())
    narrow = APFloat::getLargest(APFloat::BFloat(), narrow.isNegative());
  return uint16_t(narrow.bitcastToAPInt().getZExtValue());
}

/// Two weights in 32 bits: the first the lower half, the second all of it.
/// Where only the second is zero it becomes the least normal number: processors
/// take long over denormals.
static uint32_t inOneWord(float first, float second) {
  constexpr uint32_t leastNormal = 0x0080;
  uint32_t lower = toBF16(first), upper = llvm::bit_cast<uint32_t>(second),
           sign = upper >> 31 << 15, best = 0;
  if (lower == 0 && std::fabs(second) < std::numeric_limits<float>::min())
    return 0;
  upper = upper >> 16 & 0x7fff;
  float nearest = std::numeric_limits<float>::infinity();
  for (uint32_t candidate : {upper, upper + 1, upper - 1}) {
    candidate = std::clamp<uint32_t>(candidate, leastNormal, 0x7f7f) | sign;
    uint32_t word = candidate << 16 | lower;
    float off = std::fabs(llvm::bit_cast<float>(word) - second);
    if (off < nearest)
      nearest = off, best = word;
  }
  return best;
}

namespace {
class Narrower {
public:
  Narrower(linalg::GenericOp op, RewriterBase &rewriter)
      : op(op), rewriter(rewriter), pairs(op, rewriter) {}
  unsigned run(WeightType type);

private:
  void store(OpOperand &operand, ElementsAttr elements, Type narrow,
             std::vector<char> bytes);
  bool canScale(OpOperand &operand, unsigned output);
  void scale(unsigned output, ArrayRef<float> scales, AffineMap map);
  unsigned inPairs();
  SmallVector<Value> bodyOfPair(OpBuilder &b, ValueRange arguments);
  bool toInt8(OpOperand &operand, ElementsAttr elements, unsigned output);

  linalg::GenericOp op;
  RewriterBase &rewriter;
  PairLoop pairs;
  DenseMap<OpOperand *, ElementsAttr> matrices;
};
} // namespace

/// The operand becomes these elements, widened in the body.
void Narrower::store(OpOperand &operand, ElementsAttr elements, Type narrow,
                     std::vector<char> bytes) {
  BlockArgument argument =
      op.getRegion().front().getArgument(operand.getOperandNumber());
  Type wide = argument.getType();
  rewriter.setInsertionPoint(op);
  auto type =
      RankedTensorType::get(elements.getShapedType().getShape(), narrow);
  operand.set(arith::ConstantOp::create(
      rewriter, op.getLoc(), type,
      cast<TypedAttr>(elementsOf(type, std::move(bytes), "lnn_narrow"))));
  argument.setType(narrow);
  rewriter.setInsertionPointToStart(&op.getRegion().front());
  Value widened =
      arith::SIToFPOp::create(rewriter, op.getLoc(), wide, argument);
  rewriter.replaceAllUsesExcept(argument, widened, widened.getDefiningOp());
}

/// The other dimensions than the reductions', by which a matrix has a scale of
/// its own, must be the output's too.
bool Narrower::canScale(OpOperand &operand, unsigned output) {
  AffineMap map = op.getMatchingIndexingMap(&operand),
            to = op.getMatchingIndexingMap(op.getDpsInitOperand(output));
  if (!to.isProjectedPermutation())
    return false;
  for (auto [d, kind] : llvm::enumerate(op.getIteratorTypesArray()))
    if (kind != utils::IteratorType::reduction && map.isFunctionOfDim(d) &&
        !to.isFunctionOfDim(d))
      return false;
  return true;
}

/// output = what it began with + scale * the sum, which now begins with zero.
void Narrower::scale(unsigned output, ArrayRef<float> scales, AffineMap map) {
  OpOperand *init = op.getDpsInitOperand(output);
  Value before = init->get();
  auto type = cast<RankedTensorType>(before.getType());
  Location loc = op.getLoc();
  rewriter.setInsertionPoint(op);
  Value empty = tensor::EmptyOp::create(
      rewriter, loc, tensor::getMixedSizes(rewriter, loc, before),
      type.getElementType());
  Value zero =
      arith::ConstantOp::create(rewriter, loc, rewriter.getF32FloatAttr(0));
  init->set(linalg::FillOp::create(rewriter, loc, zero, empty).getResult(0));
  // The loops of the output, in its order.
  AffineMap to = op.getMatchingIndexingMap(init);
  SmallVector<AffineExpr> results;
  SmallVector<int64_t> shape;
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  for (AffineExpr expr : map.getResults()) {
    unsigned d = cast<AffineDimExpr>(expr).getPosition();
    std::optional<unsigned> at = to.getResultPosition(expr);
    if (!at)
      continue;
    results.push_back(rewriter.getAffineDimExpr(*at));
    shape.push_back(extents[d]);
  }
  unsigned rank = type.getRank();
  Value factors = arith::ConstantOp::create(
      rewriter, loc,
      DenseElementsAttr::get(
          RankedTensorType::get(shape, rewriter.getF32Type()), scales));
  rewriter.setInsertionPointAfter(op);
  AffineMap identity = rewriter.getMultiDimIdentityMap(rank);
  Value sum = op.getResult(output);
  auto scaled = linalg::GenericOp::create(
      rewriter, loc, type, ValueRange{sum, factors, before}, ValueRange{empty},
      {identity, AffineMap::get(rank, 0, results, rewriter.getContext()),
       identity, identity},
      SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
      [](OpBuilder &b, Location at, ValueRange v) {
        Value product = arith::MulFOp::create(b, at, v[0], v[1]);
        Value result = arith::AddFOp::create(b, at, v[2], product);
        linalg::YieldOp::create(b, at, result);
      });
  rewriter.replaceAllUsesExcept(sum, scaled.getResult(0), scaled);
}

bool Narrower::toInt8(OpOperand &operand, ElementsAttr elements,
                      unsigned output) {
  if (!canScale(operand, output))
    return false;
  AffineMap map = op.getMatchingIndexingMap(&operand);
  ArrayRef<int64_t> shape = elements.getShapedType().getShape();
  // Where each element's scale is: its index without the reductions'.
  SmallVector<int64_t> strides(shape.size(), 0);
  int64_t count = 1;
  for (int64_t i = shape.size(); i-- > 0;) {
    unsigned d = cast<AffineDimExpr>(map.getResult(i)).getPosition();
    if (op.getIteratorTypesArray()[d] == utils::IteratorType::reduction)
      continue;
    strides[i] = count;
    count *= shape[i];
  }
  auto placeOf = [&](int64_t index) {
    int64_t place = 0;
    for (int64_t i = shape.size(); i-- > 0;) {
      place += index % shape[i] * strides[i];
      index /= shape[i];
    }
    return place;
  };
  std::vector<float> scales(count, 0);
  ArrayRef<float> values = valuesOf(elements);
  for (auto [i, w] : llvm::enumerate(values))
    scales[placeOf(i)] = std::max(scales[placeOf(i)], std::fabs(w));
  // A column of zeros, or nearly, is one of zeros.
  for (float &s : scales)
    s = s / 127 < std::numeric_limits<float>::min() ? 1 : s / 127;
  std::vector<char> narrow;
  for (auto [i, w] : llvm::enumerate(values))
    narrow.push_back(char(std::lrint(double(w) / scales[placeOf(i)])));
  store(operand, elements, rewriter.getI8Type(), std::move(narrow));
  scale(output, scales, map);
  return true;
}

/// The body for two terms, which are added one after the other.
SmallVector<Value> Narrower::bodyOfPair(OpBuilder &b, ValueRange arguments) {
  Location loc = op.getLoc();
  Block &body = op.getRegion().front();
  IRMapping mappings[2];
  unsigned next = 0;
  for (OpOperand *input : op.getDpsInputOperands()) {
    BlockArgument argument = body.getArgument(input->getOperandNumber());
    Value first = arguments[next++], second = first;
    if (matrices.contains(input)) {
      Value half = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(16));
      Value lower = arith::ShLIOp::create(b, loc, first, half);
      second = arith::BitcastOp::create(b, loc, argument.getType(), first);
      first = arith::BitcastOp::create(b, loc, argument.getType(), lower);
    } else if (pairs.varies(*input)) {
      second = arguments[next++];
    }
    mappings[0].map(argument, first);
    mappings[1].map(argument, second);
  }
  SmallVector<Value> sums(arguments.drop_front(next));
  for (IRMapping &mapping : mappings) {
    mapping.map(op.getRegionOutputArgs(), sums);
    for (Operation &inner : body.without_terminator())
      b.clone(inner, mapping);
    for (auto [sum, accumulator, yielded] :
         llvm::zip(sums, op.getRegionOutputArgs(),
                   body.getTerminator()->getOperands())) {
      // One rounding a term.
      auto product =
          addedTerm(accumulator, yielded).getDefiningOp<arith::MulFOp>();
      sum =
          math::FmaOp::create(b, loc, mapping.lookupOrDefault(product.getLhs()),
                              mapping.lookupOrDefault(product.getRhs()), sum);
    }
  }
  return sums;
}

/// Every output must be a sum of products.
unsigned Narrower::inPairs() {
  Block &body = op.getRegion().front();
  for (auto [accumulator, yielded] : llvm::zip(
           op.getRegionOutputArgs(), body.getTerminator()->getOperands())) {
    Value term = addedTerm(accumulator, yielded);
    if (!term || !term.getDefiningOp<arith::MulFOp>() ||
        !yielded.getType().isF32() || !accumulator.hasOneUse())
      return 0;
  }
  if (!pairs.find())
    return 0;
  for (OpOperand *input : op.getDpsInputOperands())
    if (ElementsAttr elements = constantMatrix(op, *input))
      if (addedTo(op, body.getArgument(input->getOperandNumber())))
        matrices[input] = elements;
  if (matrices.empty())
    return 0;
  unsigned narrowed = matrices.size();
  pairs.replace(
      [&](OpOperand &input) {
        ElementsAttr elements = matrices.lookup(&input);
        return elements ? pairs.words(input, elements, inOneWord) : Value();
      },
      [&](OpBuilder &b, ValueRange arguments) {
        return bodyOfPair(b, arguments);
      });
  return narrowed;
}

unsigned Narrower::run(WeightType type) {
  if (op.getNumReductionLoops() == 0 || op->hasAttr(sparseWeights))
    return 0;
  if (type == WeightType::BF16)
    return inPairs();
  // A term of a sum that is scaled must be the only one.
  llvm::SmallBitVector scaled(op.getNumDpsInits());
  unsigned narrowed = 0;
  for (OpOperand *input : op.getDpsInputOperands()) {
    ElementsAttr elements = constantMatrix(op, *input);
    std::optional<unsigned> output =
        elements ? addedTo(op, op.getRegion().front().getArgument(
                                   input->getOperandNumber()))
                 : std::nullopt;
    if (!output || scaled.test(*output))
      continue;
    if (!toInt8(*input, elements, *output))
      continue;
    scaled.set(*output);
    ++narrowed;
  }
  return narrowed;
}

unsigned narrowWeights(func::FuncOp function, RewriterBase &rewriter,
                       WeightType type) {
  SmallVector<linalg::GenericOp> ops;
  if (type != WeightType::F32)
    function.walk([&](linalg::GenericOp op) {
      if (op.hasPureTensorSemantics())
        ops.push_back(op);
    });
  unsigned narrowed = 0;
  for (linalg::GenericOp op : ops)
    narrowed += Narrower(op, rewriter).run(type);
  return narrowed;
}

std::optional<WeightType> weightTypeOf(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<WeightType>>(name)
      .Case("f32", WeightType::F32)
      .Case("bf16", WeightType::BF16)
      .Case("int8", WeightType::Int8)
      .Default(std::nullopt);
}

} // namespace lnn
