//===- RaiseRecurrence.cpp - scans that are linear recurrences ------------===//
//
// A scan of one state h that becomes a h + b, where a and b do not depend on
// the state, and that yields the states or what is read out of them: a sum over
// one of the state's dimensions, in the scan or behind it. Where b is an outer
// product, the state is a matrix; then what a and b are computed of outside of
// the scan is looked into, too. a and b are put together for all steps;
// lnn-sink-producers brings what is larger than what it is made of back into
// the loop.
//
//===----------------------------------------------------------------------===//
#include "Cells.h"

#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Transforms/Raise/Passes.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace lnn::raise {
namespace {

/// The variable of time, and the first of those that sums take.
constexpr unsigned timeVariable = Notation::maxVariables - 1,
                   firstSum = Notation::maxVariables / 2;

class Recurrence {
public:
  /// `matrix`: of an outer product, or none.
  Recurrence(ScanOp scan, const Report &report, bool matrix)
      : scan(scan), report(report), matrix(matrix),
        yield(cast<YieldOp>(scan.getBody().front().getTerminator())),
        state(scan.getStates()[0]), next(yield.getStates()[0]),
        type(dyn_cast<RankedTensorType>(state.getType())),
        step(scan.getContext()), whole(scan.getContext()),
        after(scan.getContext()) {}
  bool raise();

private:
  ScanOp scan;
  const Report &report;
  bool matrix;
  YieldOp yield;
  Value state, next;
  RankedTensorType type;
  /// Formulas of one step, of all of time, and of the next state.
  Notation step, whole, after;
  Indices at;                  ///< of the state
  std::optional<bool> reverse; ///< of all that the recurrence reads and yields
  F decay = nullptr;
  SmallVector<Product> drive;
  /// Whether they, and what reads the state out, are computed in the loop.
  bool decayInside = false, driveInside = false, queryInside = false;
  /// The outputs that are read; and the sum that they are, or null where they
  /// are the states themselves.
  SmallVector<unsigned> outputs;
  F query = nullptr;
  /// Of a step's output, or of all that is read out behind the scan.
  SmallVector<AffineExpr> outputIndices;
  Operation *readOut = nullptr;       ///< behind the scan
  std::optional<unsigned> key, value; ///< dimensions of a matrix state
  SmallVector<unsigned> rows;         ///< its others
  F keys = nullptr, values = nullptr;

  bool lacks(const Twine &what) {
    return !matrix &&
           report.lacks({next, ScanOp()}, "lnn.linear_recurrence", what);
  }
  Value repeated(F f, ArrayRef<AffineExpr> indices,
                 ArrayRef<OpFoldResult> sizes);
  void stopAtSmall(Value value, int64_t full, unsigned depth);
  int64_t full = 1; ///< elements of all steps' states
  F overTime(F f, ArrayRef<AffineExpr> renamed);
  bool splitStep();
  bool findOutputs();
  bool findReadOut(unsigned output);
  bool matchReadOut(Value result, Value states, ArrayRef<AffineExpr> indices);
  bool findReadOutBehind();
  Operation *place() { return readOut ? readOut : scan.getOperation(); }
  bool factor(unsigned k, unsigned v);
  bool findMatrix();
  Value tensorOf(F f, ArrayRef<AffineExpr> indices,
                 ArrayRef<OpFoldResult> sizes, bool inside);
  unsigned rowsBeforeTime();
  SmallVector<OpFoldResult> sizesOf(ArrayRef<AffineExpr> indices);
  F ordered(F f, ArrayRef<AffineExpr> order);
  Value timed(F f, unsigned dim, ArrayRef<unsigned> dims, bool broadcasts,
              bool inside);
  bool buildMatrix();
  bool buildDiagonal();
  void replace(LinearRecurrenceOp op, ArrayRef<AffineExpr> states,
               ArrayRef<AffineExpr> last);
  SmallVector<OpFoldResult> stateSizes;
  AffineExpr time() const { return whole.variable(timeVariable); }
  OpFoldResult length() { return getAsOpFoldResult(scan.getLength()); }
};
} // namespace

static int64_t knownElements(ShapedType type) {
  int64_t count = 1;
  for (int64_t size : type.getShape())
    count *= ShapedType::isDynamic(size) ? 1 : size;
  return count;
}

/// What is smaller than all steps' states together is computed as it stands,
/// not again for each element of the state.
void Recurrence::stopAtSmall(Value value, int64_t full, unsigned depth) {
  if (!matrix) {
    whole.addBarrier(value);
    return;
  }
  Operation *op = value.getDefiningOp();
  auto shaped = dyn_cast<RankedTensorType>(value.getType());
  if (!op || !shaped || depth > 64)
    return;
  // A part has other sizes than the whole: it is what a loop goes over.
  if (isa<tensor::ExtractSliceOp>(op)) {
    whole.addBarrier(value);
    return;
  }
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(op))
    return stopAtSmall(op->getOperand(0), full, depth + 1);
  auto structured = dyn_cast<linalg::LinalgOp>(op);
  bool elementwise =
      structured ? structured.getNumLoops() == structured.getNumParallelLoops()
                 : OpTrait::hasElementwiseMappableTraits(op);
  if (!elementwise || knownElements(shaped) < full) {
    whole.addBarrier(value);
    return;
  }
  for (Value operand : op->getOperands())
    stopAtSmall(operand, full, depth + 1);
}

/// A step's formula as one of all steps; null where it is of what only the body
/// has.
F Recurrence::overTime(F f, ArrayRef<AffineExpr> renamed) {
  auto isOutside = [&](Value v) {
    return !scan.getBody().isAncestor(v.getParentRegion());
  };
  switch (f->kind) {
  case Kind::Number:
    return whole.number(f->number, f->type);
  case Kind::Scalar:
    return isOutside(f->value) ? whole.scalar(f->value) : nullptr;
  case Kind::Sum:
    return nullptr;
  case Kind::Apply: {
    SmallVector<F> operands;
    for (F operand : f->operands) {
      operands.push_back(overTime(operand, renamed));
      if (!operands.back())
        return nullptr;
    }
    return whole.apply(f->name, f->attributes, operands);
  }
  case Kind::Read:
    break;
  }
  Indices indices(
      f->indices.replaceDimsAndSymbols(renamed, {}, Notation::maxVariables, 0)
          .getResults());
  if (isOutside(f->value)) {
    stopAtSmall(f->value, full, 0);
    return whole.element(f->value, indices);
  }
  auto slice = dyn_cast<BlockArgument>(f->value);
  if (!slice || slice.getOwner() != &scan.getBody().front() ||
      slice.getArgNumber() == 0 ||
      slice.getArgNumber() > scan.getInputs().size())
    return nullptr;
  unsigned i = slice.getArgNumber() - 1;
  if (reverse.value_or(scan.getReverse()[i]) != scan.getReverse()[i])
    return nullptr;
  reverse = scan.getReverse()[i];
  indices.insert(indices.begin() + scan.getDims()[i], time());
  return whole.element(scan.getInputs()[i], indices);
}

static SmallVector<AffineExpr> sameVariables(const Notation &notation) {
  SmallVector<AffineExpr> result;
  for (unsigned d = 0; d < Notation::maxVariables; ++d)
    result.push_back(notation.variable(d));
  return result;
}

/// h' = decay h + drive.
bool Recurrence::splitStep() {
  at = step.variables(type.getShape());
  F here = step.element(state, at);
  std::optional<SmallVector<Product>> terms =
      expandedTermsOf(step.element(next, at));
  if (!terms)
    return false;
  Product factor;
  factor.over.push_back(here);
  SmallVector<Product> ofState, others;
  auto readsState = [&](const Product &p) {
    return llvm::any_of(llvm::concat<const F>(p.over, p.under),
                        [&](F f) { return step.reads(f, state); });
  };
  for (const Product &term : *terms) {
    if (!readsState(term)) {
      others.push_back(term);
      continue;
    }
    std::optional<Product> rest = quotient(term, factor);
    if (!rest || readsState(*rest))
      return false;
    ofState.push_back(*rest);
  }
  if (ofState.empty() || others.empty())
    return false;
  // Constant factors of state and input alone are a filter's, which is as
  // linear; but h + b is a sum.
  if (ofState.size() == 1 && ofState[0].isNumber() &&
      ofState[0].coefficient == 1)
    return false;
  full =
      knownElements(type) * getConstantIntValue(scan.getLength()).value_or(1);
  for (Value input : scan.getInputs())
    stopAtSmall(input, full, 0);
  SmallVector<AffineExpr> same = sameVariables(step);
  F a = formulaOf(ofState, step, type.getElementType()),
    b = formulaOf(others, step, type.getElementType());
  decayInside = a->kind == Kind::Apply;
  driveInside = b->kind == Kind::Apply;
  decay = overTime(a, same);
  F all = overTime(b, same);
  if (!decay || !all)
    return lacks("a factor is neither of the inputs nor invariant");
  drive = termsOf(all);
  return true;
}

/// `result` as sum_k states(.., k, ..) q(.., k), where `indices` says which
/// dimension of the states is which of the state, or the time.
bool Recurrence::matchReadOut(Value result, Value states,
                              ArrayRef<AffineExpr> indices) {
  auto shaped = dyn_cast<RankedTensorType>(result.getType());
  if (!shaped || !formulaType(shaped))
    return false;
  Indices own = after.variables(shaped.getShape());
  F f = after.element(result, own), read = nullptr;
  if (!f || f->kind != Kind::Sum)
    return false;
  Product product = factorsOf(f->operands[0]), rest;
  rest.coefficient = product.coefficient;
  rest.under = product.under;
  for (F factor : product.over) {
    if (factor->kind == Kind::Read && factor->value == states && !read)
      read = factor;
    else
      rest.over.push_back(factor);
  }
  if (!read)
    return false;
  SmallVector<AffineExpr> renamed(Notation::maxVariables, after.zero());
  uint64_t seen = 0;
  std::optional<unsigned> summed;
  for (auto [found, wanted] :
       llvm::zip_equal(read->indices.getResults(), indices)) {
    auto dim = dyn_cast<AffineDimExpr>(found);
    auto ours = dyn_cast<AffineDimExpr>(wanted);
    if (!dim && !ours)
      continue;
    if (!dim || !ours || seen >> dim.getPosition() & 1)
      return false;
    seen |= uint64_t(1) << dim.getPosition();
    renamed[dim.getPosition()] = wanted;
    if (dim.getPosition() == f->variable)
      summed = ours.getPosition();
  }
  if (!summed || *summed == timeVariable ||
      f->extent != type.getDimSize(*summed))
    return false;
  for (AffineExpr index : own)
    if (auto dim = dyn_cast<AffineDimExpr>(index);
        dim && !(seen >> dim.getPosition() & 1))
      return false;
  F q = formulaOf(rest, after, type.getElementType());
  if (after.reads(q, states) || after.reads(q, state))
    return false;
  query = overTime(q, renamed);
  queryInside = q->kind == Kind::Apply;
  if (!query)
    return false;
  key = *summed;
  outputIndices.clear();
  for (AffineExpr index : own)
    outputIndices.push_back(index.replaceDims(renamed));
  return true;
}

/// The step's output is the next state, or read out of it.
bool Recurrence::findReadOut(unsigned output) {
  Value step = yield.getOutputs()[output];
  if (step == next)
    return !query;
  after.addBarrier(next);
  return outputs.empty() && matchReadOut(step, next, at);
}

/// Something behind the scan is all that is read of its states, and read out.
bool Recurrence::findReadOutBehind() {
  if (outputs.size() != 1 || query ||
      !scan.getResult(scan.getNumOutputs()).use_empty())
    return false;
  Value states = scan.getResult(outputs[0]), at = states;
  after.addBarrier(states);
  Indices indices = this->at;
  indices.insert(indices.begin() + scan.getOutDims()[outputs[0]], time());
  for (unsigned depth = 0; depth < 8 && at.hasOneUse(); ++depth) {
    Operation *op = *at.user_begin();
    if (op->getNumResults() != 1 || op->getBlock() != scan->getBlock())
      return false;
    // What it is multiplied with is taken as it is.
    for (Value operand : op->getOperands())
      if (operand != at && isa<RankedTensorType>(operand.getType()))
        if (auto by = operand.getDefiningOp();
            !by || !isa<linalg::FillOp, arith::ConstantOp>(by))
          after.addBarrier(operand);
    at = op->getResult(0);
    auto structured = dyn_cast<linalg::LinalgOp>(op);
    if (!structured || structured.getNumReductionLoops() == 0)
      continue;
    if (!matchReadOut(at, states, indices))
      return false;
    readOut = op;
    return true;
  }
  return false;
}

bool Recurrence::findOutputs() {
  for (unsigned o = 0; o < scan.getNumOutputs(); ++o) {
    if (scan.getResult(o).use_empty())
      continue;
    if (!findReadOut(o))
      return lacks("an output is neither the states nor a sum over one of "
                   "their dimensions");
    if (reverse.value_or(scan.getOutReverse()[o]) != scan.getOutReverse()[o])
      return lacks("inputs and outputs run in different directions");
    reverse = scan.getOutReverse()[o];
    outputs.push_back(o);
  }
  if (!query)
    outputIndices = at;
  return true;
}

/// The drive as a product of something without `v`, and something without `k`.
bool Recurrence::factor(unsigned k, unsigned v) {
  if (drive.size() != 1 || k == v ||
      ShapedType::isDynamic(type.getDimSize(k)) ||
      ShapedType::isDynamic(type.getDimSize(v)) || (query && query->has(v)))
    return false;
  // Values go into vector lanes. Where the state has the keys there, turning it
  // must give longer vectors.
  constexpr int64_t enough = 16;
  if (v < k &&
      type.getDimSize(v) < std::min<int64_t>(type.getDimSize(k), enough))
    return false;
  auto isKey = [&](F f) { return f->has(k); };
  auto [ofKey, others] = partition(drive[0], isKey);
  if (ofKey.variables() >> v & 1 || others.variables() >> k & 1 ||
      (!query && (ofKey.over.empty() || !(others.variables() >> v & 1))))
    return false;
  keys = formulaOf(ofKey, whole, type.getElementType());
  values = formulaOf(others, whole, type.getElementType());
  key = k;
  value = v;
  rows.clear();
  for (unsigned d = 0, e = type.getRank(); d < e; ++d)
    if (d != k && d != v)
      rows.push_back(d);
  return keys && values;
}

bool Recurrence::findMatrix() {
  unsigned rank = type.getRank();
  if (rank < 2)
    return false;
  // All states: where they lie as they are wanted.
  if (!query)
    return (outputs.empty() || scan.getOutDims()[outputs[0]] <= rank - 2) &&
           factor(rank - 2, rank - 1);
  for (unsigned v = rank; v-- > 0;)
    if (type.getDimSize(v) != 1 && factor(*key, v))
      return true;
  return false;
}

/// The formula for all of time. Where it was computed in the loop, that is
/// noted for lnn-sink-producers.
Value Recurrence::tensorOf(F f, ArrayRef<AffineExpr> indices,
                           ArrayRef<OpFoldResult> sizes, bool inside) {
  if (!f->has(timeVariable))
    return repeated(f, indices, sizes);
  if (f->kind == Kind::Read)
    for (Notation::Source source : whole.sources(f))
      if (!scan.getBody().isAncestor(source.tensor.getParentRegion()))
        if (Value view = reshaped(place(), source.tensor,
                                  source.indices.getResults(), indices, sizes))
          return view;
  Materializer made(whole, place());
  Value value = made.tensor(f, indices, sizes);
  if (value && inside && value.use_empty())
    if (auto fresh = value.getDefiningOp<linalg::GenericOp>())
      fresh->setAttr(sinkAttribute, UnitAttr::get(scan.getContext()));
  return value;
}

/// The same in all steps.
Value Recurrence::repeated(F f, ArrayRef<AffineExpr> indices,
                           ArrayRef<OpFoldResult> sizes) {
  Indices own;
  SmallVector<OpFoldResult> ownSizes;
  for (auto [index, size] : llvm::zip_equal(indices, sizes))
    if (index != time()) {
      own.push_back(index);
      ownSizes.push_back(size);
    }
  Materializer made(whole, place());
  Value once = made.tensor(f, own, ownSizes);
  if (!once)
    return {};
  OpBuilder b(place());
  unsigned rank = indices.size();
  SmallVector<AffineExpr> loops;
  for (unsigned d = 0; d < rank; ++d)
    if (indices[d] != time())
      loops.push_back(b.getAffineDimExpr(d));
  Value empty = tensor::EmptyOp::create(b, scan.getLoc(), sizes, f->type);
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, scan.getLoc(), empty.getType(), once, empty,
             {AffineMap::get(rank, 0, loops, b.getContext()),
              b.getMultiDimIdentityMap(rank)},
             iterators,
             [](OpBuilder &at, Location loc, ValueRange v) {
               linalg::YieldOp::create(at, loc, v[0]);
             })
      .getResult(0);
}

/// The sizes of a tensor with these indices.
SmallVector<OpFoldResult> Recurrence::sizesOf(ArrayRef<AffineExpr> indices) {
  Builder b(scan.getContext());
  SmallVector<OpFoldResult> sizes;
  for (AffineExpr index : indices) {
    auto dim = dyn_cast<AffineDimExpr>(index);
    if (!dim)
      sizes.push_back(b.getIndexAttr(1));
    else if (dim.getPosition() == timeVariable)
      sizes.push_back(length());
    else
      sizes.push_back(stateSizes[dim.getPosition()]);
  }
  return sizes;
}

/// Puts the op's results in place of the scan's; the indices are those of its
/// dimensions.
void Recurrence::replace(LinearRecurrenceOp op, ArrayRef<AffineExpr> states,
                         ArrayRef<AffineExpr> last) {
  OpBuilder b(place());
  auto put = [&](Value old, Value from, ArrayRef<AffineExpr> own,
                 ArrayRef<AffineExpr> wanted) {
    auto shaped = cast<RankedTensorType>(old.getType());
    Value value = moved(place(), from, own, wanted, sizesOf(wanted));
    if (value.getType() != shaped)
      value = tensor::CastOp::create(b, scan.getLoc(), shaped, value);
    old.replaceAllUsesWith(value);
  };
  if (readOut)
    return put(readOut->getResult(0), op.getStates(), states, outputIndices);
  for (unsigned o : outputs) {
    SmallVector<AffineExpr> wanted(outputIndices);
    wanted.insert(wanted.begin() + scan.getOutDims()[o], time());
    put(scan.getResult(o), op.getStates(), states, wanted);
  }
  if (Value end = scan.getResult(scan.getNumOutputs()); !end.use_empty())
    put(end, op.getLast(), last, at);
}

/// How many of the state's rows come in front of the time, so that what is read
/// out lies as it is wanted.
unsigned Recurrence::rowsBeforeTime() {
  SmallVector<AffineExpr> order(outputIndices);
  if (!readOut && !outputs.empty())
    order.insert(order.begin() + scan.getOutDims()[outputs[0]], time());
  const auto *now = llvm::find(order, time());
  unsigned count = 0;
  for (unsigned d : rows)
    count += !isa<AffineDimExpr>(at[d]) || llvm::find(order, at[d]) < now;
  return count;
}

/// A tensor of the rows with the time among them, then `dims`; of size 1 where
/// the formula does not vary and that may be.
Value Recurrence::timed(F f, unsigned dim, ArrayRef<unsigned> dims,
                        bool broadcasts, bool inside) {
  Builder b(scan.getContext());
  Indices indices;
  SmallVector<OpFoldResult> sizes;
  for (unsigned d : llvm::concat<const unsigned>(rows, dims)) {
    bool one = broadcasts && !f->has(d);
    indices.push_back(one ? whole.zero() : at[d]);
    sizes.push_back(one ? b.getIndexAttr(1) : stateSizes[d]);
  }
  indices.insert(indices.begin() + dim, time());
  sizes.insert(sizes.begin() + dim, length());
  return tensorOf(f, indices, sizes, inside);
}

/// The formula of tensors that lie in that order: each is read many times in a
/// step, and once here.
F Recurrence::ordered(F f, ArrayRef<AffineExpr> order) {
  if (f->kind == Kind::Apply) {
    SmallVector<F> operands;
    for (F operand : f->operands)
      operands.push_back(ordered(operand, order));
    return whole.apply(f->name, f->attributes, operands);
  }
  if (f->kind != Kind::Read)
    return f;
  Indices wanted, found;
  for (AffineExpr index : order)
    if (isa<AffineDimExpr>(index) &&
        llvm::is_contained(f->indices.getResults(), index))
      wanted.push_back(index);
  for (AffineExpr index : f->indices.getResults())
    if (isa<AffineDimExpr>(index))
      found.push_back(index);
    else if (!isa<AffineConstantExpr>(index))
      return f;
  if (found == wanted || found.size() != wanted.size())
    return f;
  Value value = moved(place(), f->value, f->indices.getResults(), wanted,
                      sizesOf(wanted));
  if (!value)
    return f;
  whole.addBarrier(value);
  return whole.element(value, wanted);
}

bool Recurrence::buildMatrix() {
  OpBuilder b(place());
  unsigned dim = rowsBeforeTime();
  if (decay->has(*value) && decay->has(*key)) {
    Indices order;
    for (unsigned d : rows)
      order.push_back(at[d]);
    order.insert(order.begin() + dim, time());
    order.append({at[*key], at[*value]});
    decay = ordered(decay, order);
  }
  SmallVector<unsigned, 2> both{*key, *value};
  Value a = timed(decay, dim, decay->has(*value) ? both : ArrayRef(*key), true,
                  decayInside),
        k = timed(keys, dim, *key, false, driveInside),
        v = timed(values, dim, *value, false, driveInside),
        q = query ? timed(query, dim, *key, false, queryInside) : Value();
  if (!a || !k || !v || (query && !q))
    return lacks("a factor is not available in front of the loop");
  Indices matrix, states;
  SmallVector<OpFoldResult> sizes;
  for (unsigned d : llvm::concat<const unsigned>(rows, both)) {
    matrix.push_back(at[d]);
    sizes.push_back(stateSizes[d]);
    if (!query || d != *key)
      states.push_back(at[d]);
  }
  states.insert(states.begin() + dim, time());
  Value init = moved(place(), scan.getInits()[0], at, matrix, sizes);
  if (!init)
    return false;
  auto op = LinearRecurrenceOp::create(
      b, scan.getLoc(), a, Value(), k, v, q, init, b.getI64IntegerAttr(dim),
      reverse.value_or(false) ? b.getUnitAttr() : UnitAttr());
  replace(op, states, matrix);
  report.made(op, "lnn.linear_recurrence of a " + Twine(type.getDimSize(*key)) +
                      " x " + Twine(type.getDimSize(*value)) +
                      " state along dimension " + Twine(dim));
  return true;
}

bool Recurrence::buildDiagonal() {
  if (query)
    return lacks("what is read out is not of an outer product, or one "
                 "of few values");
  OpBuilder b(scan);
  unsigned rank = type.getRank();
  // Where a plain input or an output has the time already.
  unsigned dim = rank - 1;
  if (!outputs.empty())
    dim = scan.getOutDims()[outputs[0]];
  else if (!scan.getInputs().empty())
    dim = scan.getDims()[0];
  dim = std::min(dim, rank - 1);
  Indices indices = at;
  indices.insert(indices.begin() + dim, time());
  SmallVector<OpFoldResult> sizes = stateSizes;
  sizes.insert(sizes.begin() + dim, length());
  F all = formulaOf(drive, whole, type.getElementType());
  Value given = tensorOf(all, indices, sizes, driveInside);
  Indices states = indices;
  for (auto [index, size] : llvm::zip_equal(indices, sizes))
    if (auto v = dyn_cast<AffineDimExpr>(index);
        v && v.getPosition() != timeVariable && !decay->has(v.getPosition())) {
      index = whole.zero();
      size = b.getIndexAttr(1);
    }
  Value a = tensorOf(decay, indices, sizes, decayInside);
  if (!given || !a)
    return lacks("a factor is not available in front of the loop");
  auto op = LinearRecurrenceOp::create(
      b, scan.getLoc(), a, given, Value(), Value(), Value(), scan.getInits()[0],
      b.getI64IntegerAttr(dim),
      reverse.value_or(false) ? b.getUnitAttr() : UnitAttr());
  replace(op, states, at);
  report.made(op, "lnn.linear_recurrence along dimension " + Twine(dim));
  return true;
}

bool Recurrence::raise() {
  if (!type || !formulaType(type) || type.getRank() == 0 ||
      type.getRank() >= static_cast<int64_t>(firstSum))
    return false;
  for (Notation *notation : {&step, &whole, &after})
    notation->setBudget(4096);
  if (!splitStep() || !findOutputs())
    return false;
  OpBuilder b(scan);
  stateSizes = tensor::getMixedSizes(b, scan.getLoc(), scan.getInits()[0]);
  if (!matrix)
    return buildDiagonal();
  // Without the sum behind the scan it may still be a recurrence.
  if (findReadOutBehind()) {
    if (findMatrix())
      return buildMatrix();
    readOut = nullptr;
    query = nullptr;
    outputIndices = at;
  }
  return findMatrix() && buildMatrix();
}

bool raiseRecurrence(ScanOp scan, const Report &report) {
  // Without inputs there is no sequence: a solver's steps.
  return scan.getInits().size() == 1 && !scan.getInputs().empty() &&
         (Recurrence(scan, report, true).raise() ||
          Recurrence(scan, report, false).raise());
}

} // namespace lnn::raise
