//===- PairGates.cpp - one division for two gates -------------------------===//
//
// In a sum of weighted gates, each a quotient, two terms share a division:
//
//   w / (1 + 2^x) + v / (1 + 2^y) = (w b + v a) / (a b)
//
// with a and b what the gates divide by. A division keeps a processor's divider
// busy for as long as ten to twenty multiply-adds; three multiplications and a
// limit on each exponent, which keeps a b finite, take the place of one. The
// sum has half as many terms, each with an error of 2.4e-7 (|w| + |v|) at most.
//
// Which sums: those over a known number of terms whose weights are constants,
// most of them not zero. That does not depend on the target, as the bits of a
// result must not.
//
//===----------------------------------------------------------------------===//
#include "Fusion.h"
#include "LoopPlan.h"
#include "PairLoop.h"
#include "lnn/Dialect/Lnn/Lnn.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"
#include <cmath>

using namespace mlir;

namespace lnn {

namespace {
class GatePairer {
public:
  GatePairer(linalg::GenericOp op, RewriterBase &rewriter)
      : op(op), pairs(op, rewriter), body(op.getRegion().front()) {}
  bool run();

private:
  bool findTerms();
  bool isDense();
  SmallVector<Value> bodyOfPair(OpBuilder &b, ValueRange arguments);

  /// What an output adds up.
  struct Term {
    GateOp gate;
    Value weight;
  };
  linalg::GenericOp op;
  PairLoop pairs;
  Block &body;
  SmallVector<Term> terms; ///< by output
};
} // namespace

Value addedTerm(Value accumulator, Value sum) {
  auto add = sum.getDefiningOp<arith::AddFOp>();
  if (!add || (add.getLhs() != accumulator && add.getRhs() != accumulator))
    return {};
  return add.getLhs() == accumulator ? add.getRhs() : add.getLhs();
}

bool findGatedTerm(Value accumulator, Value sum, GateOp &gate, Value &weight) {
  Value term = addedTerm(accumulator, sum);
  auto product = term ? term.getDefiningOp<arith::MulFOp>() : arith::MulFOp();
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

/// Weights are constants, of which most are not zero (else only those synapses
/// count that exist), and small enough for a product with a denominator.
bool GatePairer::isDense() {
  constexpr double largest = 0x1p60; // times 2^62
  for (const Term &term : terms) {
    auto argument = dyn_cast<BlockArgument>(term.weight);
    DenseElementsAttr weights;
    if (argument && argument.getOwner() == &body &&
        argument.getArgNumber() < unsigned(op.getNumDpsInputs()))
      weights = floatConstant(op->getOperand(argument.getArgNumber()));
    if (!weights ||
        !llvm::all_of(weights.getValues<APFloat>(), [](const APFloat &w) {
          return std::fabs(w.convertToDouble()) <= largest; // no NaN is
        }))
      return false;
    int64_t nonzero =
        llvm::count_if(weights.getValues<APFloat>(),
                       [](const APFloat &w) { return !w.isZero(); });
    if (isMostlyZero(nonzero, weights.getNumElements()))
      return false;
  }
  return true;
}

/// The body for two terms at once. Inputs that vary with the loop come twice.
SmallVector<Value> GatePairer::bodyOfPair(OpBuilder &b, ValueRange arguments) {
  Location loc = op.getLoc();
  IRMapping mappings[2];
  unsigned next = 0;
  for (OpOperand *input : op.getDpsInputOperands()) {
    BlockArgument argument = body.getArgument(input->getOperandNumber());
    bool twice = pairs.varies(*input);
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
  return sums;
}

bool GatePairer::run() {
  if (op->hasAttr(sparseWeights) || !pairs.find() || !findTerms() || !isDense())
    return false;
  pairs.replace([](OpOperand &) { return Value(); },
                [&](OpBuilder &b, ValueRange arguments) {
                  return bodyOfPair(b, arguments);
                });
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
