//===- PairProducts.cpp - products of pairs of bf16 -----------------------===//
//
// x W, with x and the constant W rounded to bf16, for processors that multiply
// two pairs and add both products to a sum of f32 in one instruction. Two
// neighbours of the sum share a word:
//
//   acc[m, n] += sum over k of pair_dot(x'[m, k], w'[k, n])
//   x'[m, k] = (x[m, 2 k], x[m, 2 k + 1]),  w' likewise
//
// x is rounded once, into a tensor of words, which all columns read. The last
// of an odd number of terms is added behind, in f32.
//
//===----------------------------------------------------------------------===//
#include "Fusion.h"
#include "PairLoop.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace lnn {

/// With fewer terms or columns, rounding x takes as long as is gained.
constexpr int64_t fewest = 16;

namespace {
class PairDotMaker {
public:
  PairDotMaker(linalg::GenericOp op, RewriterBase &rewriter)
      : op(op), rewriter(rewriter), pairs(op, rewriter) {}
  bool run();

private:
  bool find();
  OpOperand *inputOf(Value value);
  bool isWorthIt(OpOperand &matrix);
  Value rounded(OpOperand &operand);

  /// What an output is the sum of products of: the operands' numbers.
  struct Product {
    unsigned x, w;
  };
  linalg::GenericOp op;
  RewriterBase &rewriter;
  PairLoop pairs;
  SmallVector<Product> products; ///< by output
  DenseMap<OpOperand *, ElementsAttr> matrices;
};
} // namespace

/// The input that a value of the body is an element of; null where it is
/// something else.
OpOperand *PairDotMaker::inputOf(Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument || argument.getOwner() != &op.getRegion().front() ||
      argument.getArgNumber() >= unsigned(op.getNumDpsInputs()))
    return nullptr;
  return op.getDpsInputOperand(argument.getArgNumber());
}

/// Many terms, and many sums that share an x. The time of one row alone is that
/// of the matrix's bytes, where the nearest memory does not hold them: that it
/// is stored as bf16 is all that helps then.
bool PairDotMaker::isWorthIt(OpOperand &matrix) {
  constexpr int64_t near = 32 << 10;
  int64_t terms = 1, columns = 1;
  bool oneRow = true;
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  AffineMap map = op.getMatchingIndexingMap(&matrix);
  for (auto [d, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    if (map.isFunctionOfDim(d))
      (kind == utils::IteratorType::reduction ? terms : columns) *= extents[d];
    else
      oneRow &= extents[d] == 1;
  }
  bool far = terms * columns * int64_t(sizeof(uint16_t)) > near;
  return terms >= fewest && columns >= fewest && !(oneRow && far);
}

bool PairDotMaker::find() {
  if (!pairs.find())
    return false;
  Block &body = op.getRegion().front();
  for (auto [accumulator, yielded] : llvm::zip(
           op.getRegionOutputArgs(), body.getTerminator()->getOperands())) {
    Value term = addedTerm(accumulator, yielded);
    auto product = term ? term.getDefiningOp<arith::MulFOp>() : arith::MulFOp();
    if (!product || !accumulator.hasOneUse())
      return false;
    OpOperand *x = inputOf(product.getLhs()), *w = inputOf(product.getRhs());
    if (!x || !w)
      return false;
    if (packable(x->get()))
      std::swap(x, w);
    ElementsAttr elements = constantMatrix(op, *w);
    auto type = dyn_cast<RankedTensorType>(x->get().getType());
    if (!elements || !isWorthIt(*w) || !type ||
        !type.getElementType().isF32() || packable(x->get()) ||
        !pairs.varies(*x))
      return false;
    products.push_back({x->getOperandNumber(), w->getOperandNumber()});
    matrices[w] = elements;
  }
  return true;
}

/// A word for each pair of x's elements.
Value PairDotMaker::rounded(OpOperand &operand) {
  Value value = pairs.inPairs(operand);
  Location loc = op.getLoc();
  int64_t pairDim = pairs.dimOf(operand) + 1;
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, value);
  sizes.erase(sizes.begin() + pairDim);
  Value empty =
      tensor::EmptyOp::create(rewriter, loc, sizes, rewriter.getI32Type());
  AffineMap id = rewriter.getMultiDimIdentityMap(sizes.size());
  SmallVector<AffineMap> maps;
  for (int64_t which : {0, 1}) {
    SmallVector<AffineExpr> results(id.getResults());
    results.insert(results.begin() + pairDim,
                   rewriter.getAffineConstantExpr(which));
    maps.push_back(
        AffineMap::get(id.getNumDims(), 0, results, rewriter.getContext()));
  }
  maps.push_back(id);
  return linalg::GenericOp::create(
             rewriter, loc, empty.getType(), ValueRange{value, value}, empty,
             maps,
             SmallVector<utils::IteratorType>(sizes.size(),
                                              utils::IteratorType::parallel),
             [](OpBuilder &b, Location at, ValueRange v) {
               Value halves[2];
               for (auto [half, x] : llvm::zip(halves, v)) {
                 half = arith::TruncFOp::create(b, at, b.getBF16Type(), x);
                 half = arith::BitcastOp::create(b, at, b.getI16Type(), half);
                 half = arith::ExtUIOp::create(b, at, b.getI32Type(), half);
               }
               Value bits =
                   arith::ConstantOp::create(b, at, b.getI32IntegerAttr(16));
               Value second = arith::ShLIOp::create(b, at, halves[1], bits);
               Value word = arith::OrIOp::create(b, at, halves[0], second);
               linalg::YieldOp::create(b, at, word);
             })
      .getResult(0);
}

bool PairDotMaker::run() {
  if (!find())
    return false;
  SmallVector<unsigned> numbers; // of what a pair's body is given
  pairs.replace(
      [&](OpOperand &input) {
        numbers.push_back(input.getOperandNumber());
        if (ElementsAttr elements = matrices.lookup(&input))
          return pairs.words(input, elements, [](float first, float second) {
            return uint32_t(toBF16(second)) << 16 | toBF16(first);
          });
        return rounded(input);
      },
      [&](OpBuilder &b, ValueRange arguments) {
        auto at = [&](unsigned number) {
          return arguments[llvm::find(numbers, number) - numbers.begin()];
        };
        SmallVector<Value> sums;
        for (auto [product, sum] :
             llvm::zip(products, arguments.drop_front(numbers.size())))
          sums.push_back(PairDotOp::create(b, op.getLoc(), sum.getType(),
                                           at(product.x), at(product.w), sum));
        return sums;
      });
  return true;
}

unsigned makePairProducts(func::FuncOp function, RewriterBase &rewriter) {
  SmallVector<linalg::GenericOp> ops;
  function.walk([&](linalg::GenericOp op) { ops.push_back(op); });
  return llvm::count_if(ops, [&](linalg::GenericOp op) {
    return PairDotMaker(op, rewriter).run();
  });
}

} // namespace lnn
