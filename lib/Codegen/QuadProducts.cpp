//===- QuadProducts.cpp - products of integers, four at a time ------------===//
//
// (x - z) W of integers, with x of 8 bits and W a constant whose elements fit
// into 8, for processors that multiply four such pairs and add all four to a
// sum of 32 bits in one instruction. Four neighbours of the sum share a word:
//
//   acc[m, n] += sum over k of quad_dot(x'[m, k], w'[k, n])
//   result[m, n] = acc[m, n] - z * sum over k of W[k, n]
//
// Sums are modulo 2^32, so that the result is the same. x is unsigned for the
// instruction: where it is signed, 128 is added to it, and to z.
//
//===----------------------------------------------------------------------===//
#include "Fusion.h"
#include "lnn/Transforms/LargeConstants.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include <cstring>

using namespace mlir;

namespace lnn {

/// With fewer terms or columns, making words takes as long as is gained.
constexpr int64_t fewest = 16;

namespace {

/// Elementwise, of one result that is indexed by the loops as they are.
bool isElementwise(linalg::GenericOp op) {
  return op && op.hasPureTensorSemantics() && op.getNumDpsInits() == 1 &&
         op.getNumParallelLoops() == op.getNumLoops() &&
         !op.hasIndexSemantics() &&
         op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity();
}

/// The integer that an element of a constant tensor is, as its bits.
int64_t elementAt(ElementsAttr elements, int64_t index) {
  if (auto dense = dyn_cast<DenseElementsAttr>(elements);
      dense && dense.isSplat())
    index = 0;
  int64_t bytes = elements.getElementType().getIntOrFloatBitWidth() / 8;
  ArrayRef<char> raw = bytesOf(elements);
  uint64_t value = 0;
  std::memcpy(&value, raw.data() + index * bytes, bytes);
  return int64_t(value);
}

ElementsAttr integers(Value value) {
  ElementsAttr elements;
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  if (constant)
    elements = dyn_cast<ElementsAttr>(constant.getValue());
  if (!isa_and_present<DenseElementsAttr, DenseResourceElementsAttr>(elements))
    return {};
  auto type = dyn_cast<IntegerType>(elements.getElementType());
  return type && type.getWidth() % 8 == 0 && type.getWidth() <= 64
             ? elements
             : ElementsAttr();
}

/// Elements of integers that constants say, each of them the same function of
/// theirs: conversions and differences. None where one is beyond 8 bits.
class ConstantIntegers {
public:
  explicit ConstantIntegers(linalg::GenericOp op) : op(op) {}
  std::optional<std::vector<int8_t>> evaluate();

private:
  std::optional<int64_t> valueOf(Value value, ArrayRef<int64_t> at);
  linalg::GenericOp op;
};

std::optional<int64_t> ConstantIntegers::valueOf(Value value,
                                                 ArrayRef<int64_t> at) {
  auto width = [](Value v) { return v.getType().getIntOrFloatBitWidth(); };
  APInt number;
  if (matchPattern(value, m_ConstantInt(&number)))
    return number.getSExtValue();
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (argument.getOwner() != &op.getRegion().front() ||
        argument.getArgNumber() >= unsigned(op.getNumDpsInputs()))
      return std::nullopt;
    OpOperand *input = op.getDpsInputOperand(argument.getArgNumber());
    ElementsAttr elements = integers(input->get());
    AffineMap map = op.getMatchingIndexingMap(input);
    if (!elements || !map.isProjectedPermutation())
      return std::nullopt;
    int64_t index = 0;
    for (auto [expr, extent] :
         llvm::zip(map.getResults(), elements.getShapedType().getShape()))
      index = index * extent + at[cast<AffineDimExpr>(expr).getPosition()];
    return llvm::SignExtend64(elementAt(elements, index), width(value));
  }
  Operation *inner = value.getDefiningOp();
  if (auto wide = dyn_cast_or_null<arith::ExtSIOp>(inner))
    return valueOf(wide.getIn(), at);
  if (auto wide = dyn_cast_or_null<arith::ExtUIOp>(inner)) {
    std::optional<int64_t> v = valueOf(wide.getIn(), at);
    if (v)
      *v &= llvm::maskTrailingOnes<uint64_t>(width(wide.getIn()));
    return v;
  }
  if (auto difference = dyn_cast_or_null<arith::SubIOp>(inner)) {
    std::optional<int64_t> l = valueOf(difference.getLhs(), at),
                           r = valueOf(difference.getRhs(), at);
    if (l && r)
      return llvm::SignExtend64(uint64_t(*l) - uint64_t(*r), width(value));
  }
  return std::nullopt;
}

std::optional<std::vector<int8_t>> ConstantIntegers::evaluate() {
  SmallVector<int64_t> extents = op.getStaticLoopRanges(),
                       at(extents.size(), 0);
  int64_t count = ShapedType::getNumElements(extents);
  Value result = op.getRegion().front().getTerminator()->getOperand(0);
  std::vector<int8_t> values;
  values.reserve(count);
  for (int64_t i = 0; i < count; ++i) {
    std::optional<int64_t> value = valueOf(result, at);
    if (!value || !llvm::isInt<8>(*value))
      return std::nullopt;
    values.push_back(int8_t(*value));
    for (int64_t d = extents.size(); d-- > 0 && ++at[d] == extents[d];)
      at[d] = 0;
  }
  return values;
}

class QuadDotMaker {
public:
  QuadDotMaker(linalg::GenericOp op, RewriterBase &rewriter)
      : op(op), rewriter(rewriter), loc(op.getLoc()) {}
  bool run();

private:
  bool find();
  bool findWeights(OpOperand &operand);
  bool findBytes(OpOperand &operand);
  bool isUniform(Value value);
  unsigned dimOf(OpOperand &operand) {
    return *op.getMatchingIndexingMap(&operand).getResultPosition(
        rewriter.getAffineDimExpr(reduction));
  }
  Value bytesOfX();
  Value zeroPoint();
  Value wordsOfX();
  Value wordsOfWeights();
  Value sumsOfWeights(AffineMap &map);
  Value corrected(Value sums);

  linalg::GenericOp op;
  RewriterBase &rewriter;
  Location loc;
  unsigned reduction = 0;
  OpOperand *x = nullptr, *w = nullptr;
  std::vector<int8_t> weights;
  linalg::GenericOp source; ///< what x is made by
  Value byte, zero;         ///< of its body; zero may be null
  bool isSigned = false;
};
} // namespace

/// All elements known, and within 8 bits.
bool QuadDotMaker::findWeights(OpOperand &operand) {
  Value value = operand.get();
  auto made = value.getDefiningOp<linalg::GenericOp>();
  if (ElementsAttr elements = integers(value)) {
    for (int64_t i = 0; i < elements.getNumElements(); ++i) {
      int64_t element = llvm::SignExtend64<32>(elementAt(elements, i));
      if (!llvm::isInt<8>(element))
        return false;
      weights.push_back(int8_t(element));
    }
  } else if (isElementwise(made) &&
             llvm::none_of(made.getStaticLoopRanges(), ShapedType::isDynamic) &&
             llvm::all_of(made.getInputs(),
                          [](Value input) { return bool(integers(input)); })) {
    if (auto values = ConstantIntegers(made).evaluate())
      weights = std::move(*values);
  }
  return !weights.empty();
}

/// The same for all elements, and computed out of values that are.
bool QuadDotMaker::isUniform(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (argument.getOwner() != &source.getRegion().front())
      return true;
    return argument.getArgNumber() < unsigned(source.getNumDpsInputs()) &&
           source.getMatchingIndexingMap(
                     source.getDpsInputOperand(argument.getArgNumber()))
                   .getNumResults() == 0;
  }
  Operation *inner = value.getDefiningOp();
  if (inner->getBlock() != &source.getRegion().front())
    return true;
  return isMemoryEffectFree(inner) && inner->getNumRegions() == 0 &&
         llvm::all_of(inner->getOperands(),
                      [&](Value operand) { return isUniform(operand); });
}

/// A value of 8 bits, widened, less perhaps a zero point that all share.
bool QuadDotMaker::findBytes(OpOperand &operand) {
  source = operand.get().getDefiningOp<linalg::GenericOp>();
  if (!isElementwise(source))
    return false;
  Value value = source.getRegion().front().getTerminator()->getOperand(0);
  if (auto difference = value.getDefiningOp<arith::SubIOp>()) {
    value = difference.getLhs();
    zero = difference.getRhs();
    if (!isUniform(zero))
      return false;
  }
  if (auto wide = value.getDefiningOp<arith::ExtSIOp>()) {
    isSigned = true;
    byte = wide.getIn();
  } else if (auto wide = value.getDefiningOp<arith::ExtUIOp>()) {
    byte = wide.getIn();
  }
  return byte && byte.getType().isInteger(8) &&
         byte.getParentBlock() == &source.getRegion().front();
}

bool QuadDotMaker::find() {
  if (op.getNumReductionLoops() != 1 || op.hasIndexSemantics() ||
      !op.hasPureTensorSemantics() || op.getNumDpsInits() != 1 ||
      op.getNumDpsInputs() != 2)
    return false;
  Block &body = op.getRegion().front();
  Value accumulator = op.getRegionOutputArgs()[0];
  auto sum = body.getTerminator()->getOperand(0).getDefiningOp<arith::AddIOp>();
  if (!sum || !sum.getType().isInteger(32))
    return false;
  Value term = sum.getLhs() == accumulator   ? sum.getRhs()
               : sum.getRhs() == accumulator ? sum.getLhs()
                                             : Value();
  auto product = term ? term.getDefiningOp<arith::MulIOp>() : arith::MulIOp();
  auto isInput = [&](Value value, unsigned i) {
    return value == body.getArgument(i);
  };
  if (!product ||
      !((isInput(product.getLhs(), 0) && isInput(product.getRhs(), 1)) ||
        (isInput(product.getLhs(), 1) && isInput(product.getRhs(), 0))))
    return false;
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  reduction = reductions[0];
  int64_t terms = op.getStaticLoopRanges()[reduction];
  if (ShapedType::isDynamic(terms) || terms < fewest || terms % 4)
    return false;
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (!map.isProjectedPermutation() ||
        map.isFunctionOfDim(reduction) != op.isDpsInput(&operand))
      return false;
  }
  x = op.getDpsInputOperand(0), w = op.getDpsInputOperand(1);
  if (!findWeights(*w)) {
    std::swap(x, w);
    weights.clear();
    if (!findWeights(*w))
      return false;
  }
  // The correction is indexed as the output is.
  AffineMap map = op.getMatchingIndexingMap(w),
            to = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  for (AffineExpr expr : map.getResults())
    if (expr != rewriter.getAffineDimExpr(reduction) &&
        !to.getResultPosition(expr))
      return false;
  return int64_t(weights.size()) >= fewest * terms && findBytes(*x);
}

/// What x is made of, before it was widened.
Value QuadDotMaker::bytesOfX() {
  if (auto argument = dyn_cast<BlockArgument>(byte))
    if (argument.getArgNumber() < unsigned(source.getNumDpsInputs())) {
      OpOperand *input = source.getDpsInputOperand(argument.getArgNumber());
      if (source.getMatchingIndexingMap(input).isIdentity())
        return input->get();
    }
  Value empty = tensor::EmptyOp::create(
      rewriter, loc, tensor::getMixedSizes(rewriter, loc, x->get()),
      rewriter.getI8Type());
  SmallVector<Value> inputs(source.getInputs());
  return linalg::GenericOp::create(
             rewriter, loc, empty.getType(), inputs, empty,
             source.getIndexingMapsArray(), source.getIteratorTypesArray(),
             [&](OpBuilder &b, Location at, ValueRange v) {
               IRMapping mapping;
               mapping.map(
                   source.getRegion().front().getArguments().drop_back(),
                   v.drop_back());
               for (Operation &inner :
                    source.getRegion().front().without_terminator())
                 b.clone(inner, mapping);
               linalg::YieldOp::create(b, at, mapping.lookup(byte));
             })
      .getResult(0);
}

/// A tensor of rank 0: the zero point of x as the instruction reads it; null
/// where that is zero.
Value QuadDotMaker::zeroPoint() {
  if (!zero && !isSigned)
    return {};
  SmallVector<Value> inputs;
  SmallVector<BlockArgument> arguments;
  for (OpOperand *input : source.getDpsInputOperands())
    if (source.getMatchingIndexingMap(input).getNumResults() == 0) {
      inputs.push_back(input->get());
      arguments.push_back(
          source.getRegion().front().getArgument(input->getOperandNumber()));
    }
  Value empty = tensor::EmptyOp::create(rewriter, loc, ArrayRef<OpFoldResult>(),
                                        rewriter.getI32Type());
  SmallVector<AffineMap> maps(inputs.size() + 1,
                              AffineMap::get(rewriter.getContext()));
  return linalg::GenericOp::create(
             rewriter, loc, empty.getType(), inputs, empty, maps,
             ArrayRef<utils::IteratorType>(),
             [&](OpBuilder &b, Location at, ValueRange v) {
               Value result;
               if (zero) {
                 IRMapping mapping;
                 for (auto [argument, value] : llvm::zip(arguments, v))
                   mapping.map(argument, value);
                 for (Operation &inner :
                      source.getRegion().front().without_terminator())
                   if (llvm::all_of(inner.getResults(), [&](Value value) {
                         return isUniform(value);
                       }))
                     b.clone(inner, mapping);
                 result = mapping.lookupOrDefault(zero);
               }
               if (isSigned) {
                 Value offset =
                     arith::ConstantOp::create(b, at, b.getI32IntegerAttr(128));
                 result =
                     result
                         ? Value(arith::AddIOp::create(b, at, result, offset))
                         : offset;
               }
               linalg::YieldOp::create(b, at, result);
             })
      .getResult(0);
}

/// A word for each four of x's bytes, unsigned, the first the lowest.
Value QuadDotMaker::wordsOfX() {
  Value bytes = bytesOfX();
  auto type = cast<RankedTensorType>(bytes.getType());
  unsigned dim = dimOf(*x);
  SmallVector<int64_t> shape(type.getShape());
  int64_t terms = shape[dim];
  shape[dim] = 4;
  shape.insert(shape.begin() + dim, terms / 4);
  SmallVector<ReassociationIndices> groups;
  int64_t next = 0;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    groups.push_back({next++});
    if (d == dim)
      groups.back().push_back(next++);
  }
  Value quads = tensor::ExpandShapeOp::create(
      rewriter, loc, RankedTensorType::get(shape, rewriter.getI8Type()), bytes,
      groups);
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, quads);
  sizes.erase(sizes.begin() + dim + 1);
  Value empty =
      tensor::EmptyOp::create(rewriter, loc, sizes, rewriter.getI32Type());
  AffineMap id = rewriter.getMultiDimIdentityMap(sizes.size());
  SmallVector<AffineMap> maps;
  for (int64_t which = 0; which < 4; ++which) {
    SmallVector<AffineExpr> results(id.getResults());
    results.insert(results.begin() + dim + 1,
                   rewriter.getAffineConstantExpr(which));
    maps.push_back(
        AffineMap::get(id.getNumDims(), 0, results, rewriter.getContext()));
  }
  maps.push_back(id);
  return linalg::GenericOp::create(
             rewriter, loc, empty.getType(), SmallVector<Value>(4, quads),
             empty, maps,
             SmallVector<utils::IteratorType>(sizes.size(),
                                              utils::IteratorType::parallel),
             [&](OpBuilder &b, Location at, ValueRange v) {
               auto constant = [&](uint32_t value) -> Value {
                 return arith::ConstantOp::create(
                     b, at, b.getI32IntegerAttr(int32_t(value)));
               };
               Value word;
               for (auto [which, part] : llvm::enumerate(v.drop_back())) {
                 Value wide =
                     arith::ExtUIOp::create(b, at, b.getI32Type(), part);
                 if (which)
                   wide =
                       arith::ShLIOp::create(b, at, wide, constant(8 * which));
                 word = word ? Value(arith::OrIOp::create(b, at, word, wide))
                             : wide;
               }
               if (isSigned)
                 word =
                     arith::XOrIOp::create(b, at, word, constant(0x80808080));
               linalg::YieldOp::create(b, at, word);
             })
      .getResult(0);
}

Value QuadDotMaker::wordsOfWeights() {
  auto type = cast<RankedTensorType>(w->get().getType());
  SmallVector<int64_t> shape(type.getShape());
  unsigned dim = dimOf(*w);
  int64_t inner =
              ShapedType::getNumElements(type.getShape().drop_front(dim + 1)),
          outer = ShapedType::getNumElements(type.getShape().take_front(dim)),
          terms = shape[dim];
  std::vector<char> bytes(weights.size());
  size_t next = 0;
  for (int64_t i = 0; i < outer; ++i)
    for (int64_t k = 0; k < terms; k += 4)
      for (int64_t j = 0; j < inner; ++j)
        for (int64_t which = 0; which < 4; ++which)
          bytes[next++] = char(weights[(i * terms + k + which) * inner + j]);
  shape[dim] = terms / 4;
  auto words = RankedTensorType::get(shape, rewriter.getI32Type());
  return arith::ConstantOp::create(
      rewriter, loc, words,
      cast<TypedAttr>(elementsOf(words, std::move(bytes), "lnn_quads")));
}

/// The weights' sums over the terms; how the output's indices index them.
Value QuadDotMaker::sumsOfWeights(AffineMap &map) {
  auto type = cast<RankedTensorType>(w->get().getType());
  unsigned dim = dimOf(*w);
  int64_t inner =
              ShapedType::getNumElements(type.getShape().drop_front(dim + 1)),
          terms = type.getDimSize(dim);
  SmallVector<int32_t> sums(weights.size() / terms, 0);
  for (auto [i, weight] : llvm::enumerate(weights))
    sums[int64_t(i) / (terms * inner) * inner + int64_t(i) % inner] +=
        int32_t(weight);
  SmallVector<int64_t> shape(type.getShape());
  shape.erase(shape.begin() + dim);
  OpOperand *init = op.getDpsInitOperand(0);
  AffineMap to = op.getMatchingIndexingMap(init);
  SmallVector<AffineExpr> results;
  for (auto [i, expr] :
       llvm::enumerate(op.getMatchingIndexingMap(w).getResults()))
    if (i != dim)
      results.push_back(rewriter.getAffineDimExpr(*to.getResultPosition(expr)));
  map = AffineMap::get(to.getNumResults(), 0, results, rewriter.getContext());
  return arith::ConstantOp::create(
      rewriter, loc,
      DenseElementsAttr::get(
          RankedTensorType::get(shape, rewriter.getI32Type()),
          ArrayRef<int32_t>(sums)));
}

Value QuadDotMaker::corrected(Value sums) {
  Value point = zeroPoint();
  if (!point)
    return sums;
  AffineMap map;
  Value columns = sumsOfWeights(map);
  int64_t rank = cast<RankedTensorType>(sums.getType()).getRank();
  AffineMap id = rewriter.getMultiDimIdentityMap(rank);
  Value empty = tensor::EmptyOp::create(
      rewriter, loc, tensor::getMixedSizes(rewriter, loc, sums),
      rewriter.getI32Type());
  return linalg::GenericOp::create(
             rewriter, loc, sums.getType(), ValueRange{sums, point, columns},
             empty,
             {id, AffineMap::get(rank, 0, rewriter.getContext()), map, id},
             SmallVector<utils::IteratorType>(rank,
                                              utils::IteratorType::parallel),
             [](OpBuilder &b, Location at, ValueRange v) {
               Value off = arith::MulIOp::create(b, at, v[1], v[2]);
               Value right = arith::SubIOp::create(b, at, v[0], off);
               linalg::YieldOp::create(b, at, right);
             })
      .getResult(0);
}

bool QuadDotMaker::run() {
  if (!find())
    return false;
  rewriter.setInsertionPoint(op);
  Value sums = linalg::GenericOp::create(
                   rewriter, loc, op.getResultTypes(),
                   ValueRange{wordsOfX(), wordsOfWeights()}, op.getOutputs(),
                   {op.getMatchingIndexingMap(x), op.getMatchingIndexingMap(w),
                    op.getMatchingIndexingMap(op.getDpsInitOperand(0))},
                   op.getIteratorTypesArray(),
                   [](OpBuilder &b, Location at, ValueRange v) {
                     Value next = QuadDotOp::create(b, at, v[2].getType(), v[0],
                                                    v[1], v[2]);
                     linalg::YieldOp::create(b, at, next);
                   })
                   .getResult(0);
  rewriter.replaceOp(op, corrected(sums));
  return true;
}

unsigned makeQuadProducts(func::FuncOp function, RewriterBase &rewriter) {
  SmallVector<linalg::GenericOp> ops;
  function.walk([&](linalg::GenericOp op) { ops.push_back(op); });
  return llvm::count_if(ops, [&](linalg::GenericOp op) {
    return QuadDotMaker(op, rewriter).run();
  });
}

} // namespace lnn
