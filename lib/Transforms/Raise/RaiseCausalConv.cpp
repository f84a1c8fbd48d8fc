//===- RaiseCausalConv.cpp - depthwise convolutions along time ------------===//
//
// sum_j w[c, j] x[.., c, t + D j], where x has D (K - 1) zeros in front of its
// first sample, D being the dilation, and of which the samples up to x's last
// one are read: what exporters write as a convolution of C groups that is
// padded at both ends and cut. Only where the samples come with a time's
// channels side by side, as projections make them: transposing others would
// cost more than it gives.
//
//===----------------------------------------------------------------------===//
#include "Cells.h"
#include "Contraction.h"

#include "lnn/Support/Zeros.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace lnn::raise {
namespace {

class CausalConv {
public:
  CausalConv(linalg::GenericOp op, const Report &report)
      : op(op), report(report), notation(op.getContext()),
        result(op->getResult(0)) {}
  bool raise();

private:
  linalg::GenericOp op;
  const Report &report;
  Notation notation;
  Value result;
  unsigned time = 0, tap = 0, channel = 0; ///< loops
  SmallVector<unsigned> rows;              ///< the other loops
  int64_t taps = 0, dilation = 1;
  F input = nullptr, weight = nullptr, bias = nullptr;
  Value sequence;                  ///< x itself
  SmallVector<AffineExpr> indices; ///< of x, by loop
  SmallVector<AffineExpr> wanted;  ///< of what is read
  Value read;                      ///< up to x's last sample, and biased

  bool sumsFromZero();
  int64_t past() const { return (taps - 1) * dilation; }
  bool findLoops();
  bool findSequence();
  bool findRead();
  bool liesByTime() const;
  bool build();
};
} // namespace

/// out += a * b, and out begins as zeros.
bool CausalConv::sumsFromZero() {
  if (!isSumOfProducts(op) || !formulaType(result.getType()))
    return false;
  auto fill = op.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.getInputs()[0], m_AnyZeroFloat());
}

/// A loop and what it is multiplied with.
static std::optional<std::pair<unsigned, int64_t>> scaledLoop(AffineExpr expr) {
  if (auto loop = dyn_cast<AffineDimExpr>(expr))
    return std::pair(loop.getPosition(), 1);
  auto mul = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!mul || mul.getKind() != AffineExprKind::Mul)
    return std::nullopt;
  auto loop = dyn_cast<AffineDimExpr>(mul.getLHS());
  auto by = dyn_cast<AffineConstantExpr>(mul.getRHS());
  if (!loop || !by || by.getValue() < 1)
    return std::nullopt;
  return std::pair(loop.getPosition(), by.getValue());
}

/// One loop each of time, taps and channels; the others are rows.
bool CausalConv::findLoops() {
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();
  if (op.getNumLoops() > 16)
    return false;
  auto isReduction = [&](unsigned loop) {
    return kinds[loop] == utils::IteratorType::reduction;
  };
  Indices loops;
  for (auto [d, extent] : llvm::enumerate(extents))
    loops.push_back(extent == 1 ? notation.zero() : notation.variable(d));
  auto elementOf = [&](unsigned operand) {
    AffineMap map = op.getIndexingMapsArray()[operand];
    Indices at;
    for (AffineExpr expr : map.getResults())
      at.push_back(simplifyAffineExpr(expr.replaceDims(loops),
                                      Notation::maxVariables, 0));
    return notation.element(op->getOperand(operand), at);
  };
  input = elementOf(0);
  weight = elementOf(1);
  for (F f : {input, weight})
    if (!f || f->kind != Kind::Read)
      return false;
  std::optional<std::pair<unsigned, int64_t>> first, second;
  for (AffineExpr expr : input->indices.getResults()) {
    if (isa<AffineConstantExpr, AffineDimExpr>(expr))
      continue;
    auto add = dyn_cast<AffineBinaryOpExpr>(expr);
    if (first || !add || add.getKind() != AffineExprKind::Add)
      return false;
    first = scaledLoop(add.getLHS());
    second = scaledLoop(add.getRHS());
    if (!first || !second)
      return false;
  }
  if (!first)
    return false;
  if (isReduction(first->first))
    std::swap(first, second);
  int64_t stride = first->second;
  time = first->first;
  std::tie(tap, dilation) = *second;
  if (stride != 1)
    return false;
  std::optional<unsigned> only;
  for (auto [d, extent] : llvm::enumerate(extents)) {
    if (extent == 1 || d == time || d == tap)
      continue;
    if (isReduction(d) || !input->has(d))
      return false;
    if (!weight->has(d))
      rows.push_back(d);
    else if (only)
      return false;
    else
      only = d;
  }
  if (!only || !isReduction(tap) || isReduction(time) || !weight->has(tap) ||
      weight->has(time) || ShapedType::isDynamic(extents[*only]) ||
      ShapedType::isDynamic(extents[tap]))
    return false;
  channel = *only;
  taps = extents[tap];
  return taps > 1 && extents[channel] > 1;
}

/// What is convolved is x behind zeros.
bool CausalConv::findSequence() {
  auto insert = input->value.getDefiningOp<tensor::InsertSliceOp>();
  if (!insert || !insert.hasUnitStride() || !isZeros(insert.getDest()) ||
      insert.getSourceType().getRank() != insert.getType().getRank())
    return false;
  for (auto [index, offset, size] :
       llvm::zip_equal(input->indices.getResults(), insert.getMixedOffsets(),
                       insert.getType().getShape())) {
    bool along = index.isFunctionOfDim(time);
    if (getConstantIntValue(offset) != (along ? past() : 0))
      return false;
    indices.push_back(along ? notation.variable(time) : index);
    if (isa<AffineConstantExpr>(index) && size != 1)
      return false;
  }
  // All other dimensions are whole.
  for (auto [index, a, b] :
       llvm::zip_equal(indices, insert.getSourceType().getShape(),
                       insert.getType().getShape()))
    if (!index.isFunctionOfDim(time) && a != b)
      return false;
  sequence = insert.getSource();
  return true;
}

/// What all readers of the sums read: as many as x has samples, with a bias of
/// each channel added perhaps.
bool CausalConv::findRead() {
  unsigned place = 0;
  while (!indices[place].isFunctionOfDim(time))
    ++place;
  auto source = cast<RankedTensorType>(sequence.getType());
  int64_t length = source.getDimSize(place);
  if (ShapedType::isDynamic(length))
    return false;
  Notation behind(op.getContext());
  behind.setBudget(64);
  behind.addBarrier(result);
  AffineMap out = op.getIndexingMapsArray()[2];
  Value at = result;
  for (unsigned depth = 0; depth < 8; ++depth) {
    auto type = dyn_cast<RankedTensorType>(at.getType());
    if (!type)
      return false;
    Indices own = behind.variables(type.getShape());
    F f = behind.element(at, own), here = nullptr, more = nullptr;
    for (const Product &term : termsOf(f)) {
      F single = term.single();
      if (!single)
        return false;
      if (single->kind == Kind::Read && single->value == result && !here)
        here = single;
      else if (!more)
        more = single;
      else
        return false;
    }
    if (!here || (more && behind.reads(more, result)))
      return false;
    // Its variables are our loops.
    SmallVector<AffineExpr> loops(Notation::maxVariables, behind.zero());
    std::optional<int64_t> samples;
    for (auto [index, expr] :
         llvm::zip_equal(here->indices.getResults(), out.getResults())) {
      auto dim = dyn_cast<AffineDimExpr>(index);
      auto loop = dyn_cast<AffineDimExpr>(expr);
      if (!loop || (!dim && index != behind.zero()))
        return false;
      if (!dim)
        continue;
      loops[dim.getPosition()] = expr;
      if (loop.getPosition() == time)
        samples = type.getDimSize(dim.getPosition());
    }
    if (samples == length) {
      read = at;
      for (AffineExpr index : own)
        wanted.push_back(index.replaceDims(loops));
      if (!more)
        return true;
      if (more->kind != Kind::Read && more->kind != Kind::Number)
        return false;
      if (more->kind == Kind::Number)
        bias = notation.number(more->number, more->type);
      else
        bias = notation.element(
            more->value,
            more->indices
                .replaceDimsAndSymbols(loops, {}, Notation::maxVariables, 0)
                .getResults());
      return (bias->variables & ~(uint64_t(1) << channel)) == 0;
    }
    if (!at.hasOneUse())
      return false;
    Operation *user = *at.user_begin();
    if (user->getNumResults() != 1 || user->getBlock() != op->getBlock())
      return false;
    at = user->getResult(0);
  }
  return false;
}

/// How sums lie is how they are stored.
static void stopAtSums(Value value, Notation &notation, unsigned depth) {
  Operation *op = value.getDefiningOp();
  auto structured = dyn_cast_or_null<linalg::LinalgOp>(op);
  if (!op || depth == 0 ||
      (structured && structured.getNumReductionLoops() > 0)) {
    notation.addBarrier(value);
    return;
  }
  for (Value operand : op->getOperands())
    if (isa<RankedTensorType>(operand.getType()))
      stopAtSums(operand, notation, depth - 1);
}

/// True where all that the samples are computed of has the channels behind the
/// time.
bool CausalConv::liesByTime() const {
  Notation source(result.getContext());
  source.setBudget(64);
  stopAtSums(sequence, source, 6);
  SmallVector<F> stack{source.element(sequence, indices)};
  llvm::SmallDenseSet<F> seen;
  while (!stack.empty()) {
    F f = stack.pop_back_val();
    if (!seen.insert(f).second)
      continue;
    llvm::append_range(stack, f->operands);
    if (f->kind != Kind::Read || !f->has(time) || !f->has(channel))
      continue;
    for (AffineExpr index : llvm::reverse(f->indices.getResults())) {
      if (index.isFunctionOfDim(time))
        return false;
      if (index.isFunctionOfDim(channel))
        break;
    }
  }
  return true;
}

bool CausalConv::build() {
  Operation *place = read.getDefiningOp();
  OpBuilder b(place);
  Location loc = op.getLoc();
  llvm::DenseMap<AffineExpr, OpFoldResult> sizeOf;
  for (auto [index, size] :
       llvm::zip_equal(indices, tensor::getMixedSizes(b, loc, sequence)))
    sizeOf[index] = size;
  AffineExpr t = notation.variable(time), c = notation.variable(channel);
  Indices at;
  SmallVector<OpFoldResult> sizes, stateSizes;
  for (unsigned d : rows)
    at.push_back(notation.variable(d));
  at.append({t, c});
  for (AffineExpr index : at) {
    sizes.push_back(sizeOf.lookup(index));
    stateSizes.push_back(index == t ? b.getIndexAttr(past()) : sizes.back());
  }
  Type element = getElementTypeOrSelf(result.getType());
  Materializer made(notation, place);
  Value x = moved(place, sequence, indices, at, sizes),
        w = made.tensor(weight, {notation.variable(tap), c},
                        {b.getIndexAttr(taps), sizeOf.lookup(c)}),
        v = bias ? made.tensor(bias, {c}, {sizeOf.lookup(c)}) : Value();
  if (!x || !w || (bias && !v))
    return false;
  Value empty = tensor::EmptyOp::create(b, loc, stateSizes, element);
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(element));
  Value state = linalg::FillOp::create(b, loc, zero, empty).getResult(0);
  auto conv = CausalConvOp::create(b, loc, x.getType(), state.getType(), x,
                                   state, w, v, dilation);
  SmallVector<OpFoldResult> resultSizes;
  for (AffineExpr index : wanted)
    resultSizes.push_back(isa<AffineDimExpr>(index)
                              ? sizeOf.lookup(index)
                              : OpFoldResult(b.getIndexAttr(1)));
  Value y = moved(place, conv.getResult(), at, wanted, resultSizes);
  if (!y)
    return false;
  if (y.getType() != read.getType())
    y = tensor::CastOp::create(b, loc, read.getType(), y);
  read.replaceAllUsesWith(y);
  report.made(conv, "lnn.causal_conv of " + Twine(taps) +
                        " taps along dimension " + Twine(rows.size()));
  return true;
}

bool CausalConv::raise() {
  notation.setBudget(64);
  if (!sumsFromZero() || !findLoops() || !findSequence() || !findRead())
    return false;
  if (!liesByTime())
    return report.lacks({result, ScanOp()}, "lnn.causal_conv",
                        "a channel's samples lie side by side, not a time's");
  return build();
}

bool raiseCausalConv(linalg::GenericOp op, const Report &report) {
  return op.getNumReductionLoops() > 0 && CausalConv(op, report).raise();
}

} // namespace lnn::raise
