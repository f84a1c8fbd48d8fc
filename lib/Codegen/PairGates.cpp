//===- PairGates.cpp - one division for two gates -------------------------===//
//
// In a sum of weighted gates, each a quotient, two terms share a division:
//
//   w / (1 + 2^x) + v / (1 + 2^y) = (w b + v a) / (a b)
//
// with a and b what the gates divide by. A division takes a processor's divider
// as long as five multiply-adds or more; what is added here is one. The sum has
// half as many terms, and rounds as often.
//
// Which sums: those over a known number of terms most of whose weights are not
// zero. That does not depend on the target, as the bits of a result must not.
//
//===----------------------------------------------------------------------===//
#include "Fusion.h"
#include "LoopPlan.h"
#include "lnn/Dialect/Lnn/Lnn.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace lnn {

namespace {
class GatePairer {
public:
  GatePairer(linalg::GenericOp op, RewriterBase &rewriter)
      : op(op), rewriter(rewriter), body(op.getRegion().front()) {}
  bool run();

private:
  bool findTerms();
  bool findLoop();
  bool dependsOnLoop(AffineMap map) const { return map.isFunctionOfDim(loop); }
  Value part(OpOperand &operand, int64_t from, int64_t count);
  Value inPairs(OpOperand &operand);
  Value pairs(Value init);
  void bodyOfPair(OpBuilder &b, ValueRange arguments);

  /// What an output adds up.
  struct Term {
    GateOp gate;
    Value weight;
  };
  linalg::GenericOp op;
  RewriterBase &rewriter;
  Block &body;
  SmallVector<Term> terms; ///< by output
  unsigned loop = 0;
  int64_t count = 0;
};
} // namespace

bool findGatedTerm(Value accumulator, Value sum, GateOp &gate, Value &weight) {
  auto add = sum.getDefiningOp<arith::AddFOp>();
  if (!add || (add.getLhs() != accumulator && add.getRhs() != accumulator))
    return false;
  Value term = add.getLhs() == accumulator ? add.getRhs() : add.getLhs();
  auto product = term.getDefiningOp<arith::MulFOp>();
  if (!product)
    return false;
  gate = product.getLhs().getDefiningOp<GateOp>();
  weight = product.getRhs();
  if (!gate) {
    gate = product.getRhs().getDefiningOp<GateOp>();
    weight = product.getLhs();
  }
  return static_cast<bool>(gate);
}

bool isMostlyZero(int64_t nonzero, int64_t all) {
  return double(nonzero) <= 0.7 * double(all);
}

/// Each output must be a sum of f32 gates with a weight, and its accumulator
/// have no other use.
bool GatePairer::findTerms() {
  for (auto [argument, value] : llvm::zip(
           op.getRegionOutputArgs(), body.getTerminator()->getOperands())) {
    Term term;
    if (!findGatedTerm(argument, value, term.gate, term.weight) ||
        !argument.hasOneUse() || !term.gate.getType().isF32() ||
        term.weight.getDefiningOp<GateOp>())
      return false;
    terms.push_back(term);
  }
  return !terms.empty();
}

/// One reduction over a known size, by which operands are read plainly.
bool GatePairer::findLoop() {
  if (op.getNumReductionLoops() != 1 || op.hasIndexSemantics())
    return false;
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  loop = reductions.front();
  count = op.getStaticLoopRanges()[loop];
  if (ShapedType::isDynamic(count) || count < 2)
    return false;
  for (OpOperand *input : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(input);
    if (dependsOnLoop(map) &&
        !map.getResultPosition(rewriter.getAffineDimExpr(loop)))
      return false;
    int uses = llvm::count_if(map.getResults(), [&](AffineExpr expr) {
      return expr.isFunctionOfDim(loop);
    });
    if (uses > 1)
      return false;
  }
  // Where most weights are zero, only those synapses count that exist.
  for (const Term &term : terms) {
    auto argument = dyn_cast<BlockArgument>(term.weight);
    DenseElementsAttr weights;
    if (argument && argument.getOwner() == &body &&
        argument.getArgNumber() < unsigned(op.getNumDpsInputs()))
      weights = floatConstant(op->getOperand(argument.getArgNumber()));
    if (!weights)
      continue;
    int64_t nonzero =
        llvm::count_if(weights.getValues<APFloat>(),
                       [](const APFloat &w) { return !w.isZero(); });
    if (isMostlyZero(nonzero, weights.getNumElements()))
      return false;
  }
  return true;
}

/// Elements `from` .. `from + count` of an operand along the loop.
Value GatePairer::part(OpOperand &operand, int64_t from, int64_t size) {
  Value value = operand.get();
  if (from == 0 && size == count)
    return value;
  unsigned dim = *op.getMatchingIndexingMap(&operand).getResultPosition(
      rewriter.getAffineDimExpr(loop));
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(rewriter, op.getLoc(), value);
  SmallVector<OpFoldResult> offsets(sizes.size(), rewriter.getIndexAttr(0)),
      strides(sizes.size(), rewriter.getIndexAttr(1));
  offsets[dim] = rewriter.getIndexAttr(from);
  sizes[dim] = rewriter.getIndexAttr(size);
  DenseElementsAttr known = floatConstant(value);
  auto slice = tensor::ExtractSliceOp::create(rewriter, op.getLoc(), value,
                                              offsets, sizes, strides);
  if (!known)
    return slice;
  // A constant's part is a constant.
  ArrayRef<int64_t> shape = known.getType().getShape();
  int64_t inner = 1;
  for (int64_t extent : shape.drop_front(dim + 1))
    inner *= extent;
  SmallVector<Attribute> elements;
  int64_t place = 0;
  for (Attribute element : known.getValues<Attribute>()) {
    int64_t at = place++ / inner % shape[dim];
    if (at >= from && at < from + size)
      elements.push_back(element);
  }
  auto type = cast<RankedTensorType>(slice.getType());
  rewriter.eraseOp(slice);
  return arith::ConstantOp::create(rewriter, op.getLoc(), type,
                                   DenseElementsAttr::get(type, elements));
}

/// [..., K, ...] as [..., K / 2, 2, ...].
Value GatePairer::inPairs(OpOperand &operand) {
  Value value = part(operand, 0, count / 2 * 2);
  auto type = cast<RankedTensorType>(value.getType());
  unsigned dim = *op.getMatchingIndexingMap(&operand).getResultPosition(
      rewriter.getAffineDimExpr(loop));
  SmallVector<int64_t> shape(type.getShape());
  shape[dim] = 2;
  shape.insert(shape.begin() + dim, count / 2);
  auto paired = RankedTensorType::get(shape, type.getElementType());
  if (DenseElementsAttr known = floatConstant(value))
    return arith::ConstantOp::create(rewriter, op.getLoc(), paired,
                                     known.reshape(paired));
  SmallVector<ReassociationIndices> groups;
  int64_t next = 0;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    groups.push_back({next++});
    if (d == dim)
      groups.back().push_back(next++);
  }
  return tensor::ExpandShapeOp::create(rewriter, op.getLoc(), paired, value,
                                       groups);
}

/// The body for two terms at once. Inputs that vary with the loop come twice.
void GatePairer::bodyOfPair(OpBuilder &b, ValueRange arguments) {
  Location loc = op.getLoc();
  IRMapping mappings[2];
  unsigned next = 0;
  for (OpOperand *input : op.getDpsInputOperands()) {
    BlockArgument argument = body.getArgument(input->getOperandNumber());
    bool twice = dependsOnLoop(op.getMatchingIndexingMap(input));
    mappings[0].map(argument, arguments[next]);
    mappings[1].map(argument, arguments[next + twice]);
    next += 1 + twice;
  }
  DenseMap<Operation *, std::pair<Value, Value>> denominators;
  for (IRMapping &mapping : mappings) {
    mapping.map(op.getRegionOutputArgs(), arguments.drop_front(next));
    for (Operation &inner : body.without_terminator()) {
      auto gate = dyn_cast<GateOp>(inner);
      bool isTerm = gate && llvm::any_of(terms, [&](const Term &term) {
                      return term.gate == gate;
                    });
      if (!isTerm) {
        b.clone(inner, mapping);
        continue;
      }
      Value x = mapping.lookup(gate.getOperand());
      Value by = GateDenominatorOp::create(b, loc, x.getType(), x);
      auto &pair = denominators[gate];
      (&mapping == &mappings[0] ? pair.first : pair.second) = by;
      // Other uses of it, and those that disappear below.
      mapping.map(gate.getResult(), b.clone(inner, mapping)->getResult(0));
    }
  }
  DenseMap<Operation *, Value> reciprocals;
  SmallVector<Value> sums;
  for (auto [term, accumulator] :
       llvm::zip(terms, arguments.drop_front(next))) {
    auto [first, second] = denominators.lookup(term.gate);
    Value &reciprocal = reciprocals[term.gate];
    if (!reciprocal) {
      Value one =
          arith::ConstantOp::create(b, loc, b.getFloatAttr(first.getType(), 1));
      reciprocal = arith::DivFOp::create(
          b, loc, one, arith::MulFOp::create(b, loc, first, second));
    }
    Value product = arith::MulFOp::create(
        b, loc, mappings[0].lookupOrDefault(term.weight), second);
    Value numerator = math::FmaOp::create(
        b, loc, mappings[1].lookupOrDefault(term.weight), first, product);
    sums.push_back(arith::AddFOp::create(
        b, loc, accumulator,
        arith::MulFOp::create(b, loc, numerator, reciprocal)));
  }
  linalg::YieldOp::create(b, loc, sums);
}

bool GatePairer::run() {
  if (op->hasAttr(sparseWeights) || !op.hasPureTensorSemantics() ||
      !findTerms() || !findLoop())
    return false;
  rewriter.setInsertionPoint(op);
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (OpOperand *input : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(input);
    if (!dependsOnLoop(map)) {
      inputs.push_back(input->get());
      maps.push_back(map);
      continue;
    }
    Value value = inPairs(*input);
    unsigned dim = *map.getResultPosition(rewriter.getAffineDimExpr(loop));
    for (int64_t which : {0, 1}) {
      SmallVector<AffineExpr> results(map.getResults());
      results.insert(results.begin() + dim + 1,
                     rewriter.getAffineConstantExpr(which));
      inputs.push_back(value);
      maps.push_back(
          AffineMap::get(map.getNumDims(), 0, results, rewriter.getContext()));
    }
  }
  for (OpOperand &output : op.getDpsInitsMutable())
    maps.push_back(op.getMatchingIndexingMap(&output));
  auto made = linalg::GenericOp::create(
      rewriter, op.getLoc(), op.getResultTypes(), inputs, op.getOutputs(), maps,
      op.getIteratorTypesArray(),
      [&](OpBuilder &b, Location, ValueRange v) { bodyOfPair(b, v); });
  // What the pairs' terms no longer need.
  Block &pair = made.getRegion().front();
  for (Operation &inner : llvm::make_early_inc_range(llvm::reverse(pair)))
    if (isOpTriviallyDead(&inner))
      rewriter.eraseOp(&inner);
  if (count % 2 == 0) {
    rewriter.replaceOp(op, made.getResults());
    return true;
  }
  // The last one alone.
  for (OpOperand *input : op.getDpsInputOperands())
    if (dependsOnLoop(op.getMatchingIndexingMap(input)))
      input->set(part(*input, count - 1, 1));
  for (auto [output, result] :
       llvm::zip(op.getDpsInitsMutable(), made.getResults()))
    output.set(result);
  return true;
}

unsigned pairGates(func::FuncOp function, RewriterBase &rewriter) {
  SmallVector<linalg::GenericOp> ops;
  function.walk([&](linalg::GenericOp op) { ops.push_back(op); });
  unsigned paired = 0;
  for (linalg::GenericOp op : ops)
    paired += GatePairer(op, rewriter).run();
  return paired;
}

} // namespace lnn
