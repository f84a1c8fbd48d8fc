//===- RaiseRecurrence.cpp - scans that are linear recurrences ------------===//
//
// A scan of one state h that becomes a h + b, where a and b do not depend on
// the state, and that yields the states, or functions of what is read out of
// them: sums over one of the state's dimensions, of the state before or after
// the step, in the scan; or one sum behind it. The state is a matrix then, and
// what a and b are computed of outside of the scan is looked into, too. a and b
// are put together for all steps; lnn-sink-producers brings what is larger than
// what it is made of back into the loop. Two states of which each element mixes
// with the same element of the other, as a complex number's parts do, are one.
//
//===----------------------------------------------------------------------===//
#include "Cells.h"
#include "OverTime.h"

#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Transforms/Raise/Passes.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace lnn::raise {
namespace {

/// The first of the variables that sums take; and of those for the dimensions
/// of outputs that are none of the state's.
constexpr unsigned firstSum = Notation::maxVariables / 2,
                   firstOwn = firstSum / 2;

class Recurrence {
public:
  /// `matrix`: of an outer product, or none.
  Recurrence(ScanOp scan, const Report &report, bool matrix)
      : scan(scan), report(report), matrix(matrix),
        yield(cast<YieldOp>(scan.getBody().front().getTerminator())),
        type(dyn_cast<RankedTensorType>(scan.getStates()[0].getType())),
        step(scan.getContext()), whole(scan.getContext()),
        after(scan.getContext()), times(scan, whole) {
    times.reading = [this](Value v) { stopAtSmall(v, full, 0); };
    times.special = [this](F f, ArrayRef<AffineExpr> names) -> F {
      // Where outputs are put together, what stands for parts of them.
      if (replaced)
        if (F known = replaced->lookup(f))
          return known;
      if (f->kind == Kind::Read && states)
        return stateOver(f, names);
      return f->kind == Kind::Sum ? sumOverTime(f, names) : nullptr;
    };
    for (auto [state, next] :
         llvm::zip_equal(scan.getStates(), yield.getStates()))
      parts.push_back({state, next});
  }
  bool raise();

private:
  ScanOp scan;
  const Report &report;
  bool matrix;
  YieldOp yield;
  RankedTensorType type; ///< of all states
  /// Formulas of one step, of all of time, and of the next state.
  Notation step, whole, after;
  Indices at;     ///< of the state
  OverTime times; ///< its direction is that of outputs, too
  struct Factor {
    F formula;   ///< 0 where there is none
    bool inside; ///< computed in the loop
  };
  /// A state; the next one is sum_j decays[j] state_j + drive.
  struct Part {
    Value state, next;
    SmallVector<Factor, 2> decays;
    SmallVector<Product> drive;
    bool driveInside = false;
  };
  SmallVector<Part, 1> parts;
  /// A sum over the keys: of a state with a query.
  struct Read {
    F query;
    unsigned part; ///< whose state
    bool before;   ///< the state that the step starts from
    bool inside;   ///< the query is computed in the loop
  };
  SmallVector<Read> reads;
  /// An output of the scan that is read.
  struct Output {
    unsigned index = 0;
    unsigned part = 0;   ///< whose next state it is, where there is no formula
    F formula = nullptr; ///< a step's, in `after`
    llvm::SmallDenseMap<F, unsigned> sums; ///< in it: which read each is
    /// Sums in it, with what does not vary in them taken out, term by term.
    SmallVector<std::pair<F, F>> apart;
    bool ofStates = false; ///< computed of all states, behind them
    /// The state's variables for the formula's, and those of its dimensions.
    SmallVector<AffineExpr> renamed;
    Indices indices;
  };
  SmallVector<Output, 1> outputs;
  Output behind; ///< of what is read out behind the scan, the time included
  Operation *readOut = nullptr;       ///< behind the scan
  std::optional<unsigned> key, value; ///< dimensions of a matrix state
  SmallVector<unsigned> rows;         ///< its others
  F keys = nullptr, values = nullptr;

  bool lacks(const Twine &what) {
    return !matrix && report.lacks({parts[0].next, ScanOp()},
                                   "lnn.linear_recurrence", what);
  }
  bool readsState(const Notation &notation, F f) const {
    return llvm::any_of(
        parts, [&](const Part &part) { return notation.reads(f, part.state); });
  }
  bool readsNext(F f) const {
    return llvm::any_of(
        parts, [&](const Part &part) { return after.reads(f, part.next); });
  }
  Value repeated(F f, ArrayRef<AffineExpr> indices,
                 ArrayRef<OpFoldResult> sizes);
  void stopAtSmall(Value value, int64_t full, unsigned depth);
  int64_t full = 1; ///< elements of all steps' states
  F sumOverTime(F f, ArrayRef<AffineExpr> renamed);
  Value productOverTime(F lhs, F rhs, ArrayRef<AffineExpr> kept,
                        AffineExpr summed);
  Value termsOverTime(F term, ArrayRef<AffineExpr> kept, AffineExpr summed);
  Value zeros(ArrayRef<OpFoldResult> sizes, Type type);
  F stored(F f);
  F stateOver(F f, ArrayRef<AffineExpr> renamed);
  bool isOverTime(F f);
  bool isMatrixProduct(F f);
  bool findOfStates(F f, const Indices &own, RankedTensorType shaped,
                    Output &output);
  bool splitStep();
  bool split(Part &part);
  bool isWorthRaising() const;
  bool findOutputs();
  bool findOutput(unsigned index);
  bool matchSum(F f, const Indices &own, Value states,
                ArrayRef<AffineExpr> indices, Output &output);
  /// What the read of a state is of: a part and whether before the step.
  std::optional<std::pair<unsigned, bool>> stateOf(Value value) const;
  bool takeApart(F f, const Indices &own, Output &output);
  bool findSums(F f, const Indices &own, Output &output);
  bool findReadOutBehind();
  Operation *place() { return readOut ? readOut : scan.getOperation(); }
  bool isWorthTurning(unsigned k, unsigned v) const;
  void setMatrix(unsigned k, unsigned v);
  bool factor(unsigned k, unsigned v);
  bool findMatrix();
  Value tensorOf(F f, ArrayRef<AffineExpr> indices,
                 ArrayRef<OpFoldResult> sizes, bool inside);
  unsigned rowsBeforeTime();
  SmallVector<OpFoldResult> sizesOf(ArrayRef<AffineExpr> indices);
  F ordered(F f, ArrayRef<AffineExpr> order);
  Value timed(F f, unsigned dim, ArrayRef<unsigned> dims, bool broadcasts,
              bool inside);
  LinearRecurrenceOp create(ArrayRef<Value> decays, ArrayRef<Value> drives,
                            Value k, Value v, ArrayRef<Value> queries,
                            ArrayRef<Value> inits, unsigned dim);
  bool buildMatrix();
  bool buildDiagonal();
  F computedOnce(F f, ArrayRef<AffineExpr> order);
  F driveByKeys(const Part &part, ArrayRef<AffineExpr> order);
  F driveOf(const Part &part) {
    return part.drive.empty()
               ? whole.number(0, type.getElementType())
               : formulaOf(part.drive, whole, type.getElementType());
  }
  std::string inParts() const {
    return parts.size() == 1 ? ""
                             : " in " + std::to_string(parts.size()) + " parts";
  }
  LinearRecurrenceOp states; ///< where outputs are computed of all of them
  unsigned sumDepth = 0;     ///< sums around the one at hand
  /// Sizes of variables that are none of the state's.
  llvm::SmallDenseMap<unsigned, int64_t> extents;
  /// What stands for parts of a step's formula, for all of time.
  const llvm::SmallDenseMap<F, F> *replaced = nullptr;
  F outputOver(const Output &output, llvm::SmallDenseMap<F, F> &sums);
  bool replace(LinearRecurrenceOp op, ArrayRef<AffineExpr> states,
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

/// True where some part of the formula is such a one.
static bool hasPart(F formula, llvm::function_ref<bool(F)> is) {
  llvm::SmallSetVector<F, 16> parts;
  parts.insert(formula);
  for (unsigned i = 0; i < parts.size(); ++i) {
    F f = parts[i];
    if (is(f))
      return true;
    parts.insert(f->operands.begin(), f->operands.end());
  }
  return false;
}

/// A next state's element, of all states.
F Recurrence::stateOver(F f, ArrayRef<AffineExpr> renamed) {
  auto known = stateOf(f->value);
  if (!known || known->second)
    return nullptr;
  Indices indices(
      f->indices.replaceDimsAndSymbols(renamed, {}, Notation::maxVariables, 0)
          .getResults());
  indices.insert(indices.begin() + states.getDim(), time());
  return whole.element(states.getStates()[known->first], indices);
}

/// A sum of what is not of the state, computed for all of time.
F Recurrence::sumOverTime(F f, ArrayRef<AffineExpr> renamed) {
  // A variable that nothing else has.
  unsigned variable = firstSum + sumDepth;
  if (variable >= timeVariable)
    return nullptr;
  SmallVector<AffineExpr> names(renamed);
  AffineExpr summed = whole.variable(variable);
  names[f->variable] = summed;
  extents[variable] = f->extent;
  ++sumDepth;
  F term = times.of(f->operands[0], names);
  --sumDepth;
  if (!term)
    return nullptr;
  // Its dimensions lie as those of the factor that has the time.
  Product product = factorsOf(term);
  if (product.over.size() == 2)
    for (F &factor : product.over)
      factor = stored(factor);
  llvm::sort(product.over, [](F a, F b) {
    return std::pair(!a->has(timeVariable), a->id) <
           std::pair(!b->has(timeVariable), b->id);
  });
  llvm::SmallSetVector<AffineExpr, 8> kept;
  auto keep = [&](AffineExpr index) {
    if (isa<AffineDimExpr>(index) && index != summed)
      kept.insert(index);
  };
  for (F factor : product.over)
    if (factor->kind == Kind::Read)
      llvm::for_each(factor->indices.getResults(), keep);
  for (unsigned d = 0; d < Notation::maxVariables; ++d)
    if (term->has(d))
      keep(whole.variable(d));
  bool isProduct = product.coefficient == 1 && product.under.empty() &&
                   product.over.size() == 2 &&
                   llvm::all_of(product.over, [](F factor) {
                     return factor->kind == Kind::Read;
                   });
  Value total;
  if (isProduct)
    total = productOverTime(product.over[0], product.over[1],
                            kept.getArrayRef(), summed);
  else if (replaced)
    total = termsOverTime(term, kept.getArrayRef(), summed);
  if (!total)
    return nullptr;
  whole.addBarrier(total);
  return whole.element(total, kept.getArrayRef());
}

/// The formula as an element of a tensor, time first.
F Recurrence::stored(F f) {
  if (f->kind != Kind::Apply)
    return f;
  Indices own;
  if (f->has(timeVariable))
    own.push_back(time());
  for (unsigned d = 0; d < timeVariable; ++d)
    if (f->has(d))
      own.push_back(whole.variable(d));
  Value value = tensorOf(f, own, sizesOf(own), false);
  if (!value)
    return f;
  whole.addBarrier(value);
  return whole.element(value, own);
}

Value Recurrence::zeros(ArrayRef<OpFoldResult> sizes, Type type) {
  OpBuilder b(place());
  Location loc = scan.getLoc();
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(type));
  Value empty = tensor::EmptyOp::create(b, loc, sizes, type);
  return linalg::FillOp::create(b, loc, zero, empty).getResult(0);
}

/// The sum of terms that are put together first.
Value Recurrence::termsOverTime(F term, ArrayRef<AffineExpr> kept,
                                AffineExpr summed) {
  OpBuilder b(place());
  Indices indices(kept);
  indices.push_back(summed);
  Value terms =
      Materializer(whole, place()).tensor(term, indices, sizesOf(indices));
  if (!terms)
    return {};
  return linalg::ReduceOp::create(
             b, scan.getLoc(), terms, zeros(sizesOf(kept), term->type),
             int64_t(kept.size()),
             [](OpBuilder &at, Location loc, ValueRange v) {
               Value sum = arith::AddFOp::create(at, loc, v[1], v[0]);
               linalg::YieldOp::create(at, loc, sum);
             })
      .getResult(0);
}

/// The sum of products of two tensors.
Value Recurrence::productOverTime(F lhs, F rhs, ArrayRef<AffineExpr> kept,
                                  AffineExpr summed) {
  OpBuilder b(place());
  unsigned rank = kept.size();
  SmallVector<AffineExpr> loops(Notation::maxVariables, whole.zero());
  Indices own;
  for (auto [d, index] : llvm::enumerate(kept)) {
    own.push_back(b.getAffineDimExpr(d));
    loops[cast<AffineDimExpr>(index).getPosition()] = own.back();
  }
  loops[cast<AffineDimExpr>(summed).getPosition()] = b.getAffineDimExpr(rank);
  auto mapOf = [&](F f) {
    return f->indices.replaceDimsAndSymbols(loops, {}, rank + 1, 0);
  };
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  Value start = zeros(sizesOf(kept), lhs->type);
  return linalg::GenericOp::create(
             b, scan.getLoc(), start.getType(),
             ValueRange{lhs->value, rhs->value}, start,
             {mapOf(lhs), mapOf(rhs),
              AffineMap::get(rank + 1, 0, own, b.getContext())},
             iterators,
             [](OpBuilder &at, Location loc, ValueRange v) {
               Value product = arith::MulFOp::create(at, loc, v[0], v[1]);
               Value sum = arith::AddFOp::create(at, loc, v[2], product);
               linalg::YieldOp::create(at, loc, sum);
             })
      .getResult(0);
}

/// next = sum_j decay_j state_j + drive.
bool Recurrence::split(Part &part) {
  std::optional<SmallVector<Product>> terms =
      expandedTermsOf(step.element(part.next, at));
  if (!terms)
    return false;
  auto isOfState = [&](const Product &p) {
    return llvm::any_of(llvm::concat<const F>(p.over, p.under),
                        [&](F f) { return readsState(step, f); });
  };
  SmallVector<SmallVector<Product>, 2> ofState(parts.size());
  SmallVector<Product> others;
  for (const Product &term : *terms) {
    if (!isOfState(term)) {
      others.push_back(term);
      continue;
    }
    bool found = false;
    for (auto [j, from] : llvm::enumerate(parts)) {
      Product factor;
      factor.over.push_back(step.element(from.state, at));
      std::optional<Product> rest = quotient(term, factor);
      if (!rest)
        continue;
      if (isOfState(*rest))
        return false;
      ofState[j].push_back(*rest);
      found = true;
      break;
    }
    if (!found)
      return false;
  }
  if (llvm::all_of(ofState, [](const auto &terms) { return terms.empty(); }))
    return false;
  Type element = type.getElementType();
  auto forAll = [&](ArrayRef<Product> terms) -> Factor {
    if (terms.empty())
      return {whole.number(0, element), false};
    F f = formulaOf(terms, step, element);
    return {times.of(f), f->kind == Kind::Apply};
  };
  for (ArrayRef<Product> terms : ofState)
    part.decays.push_back(forAll(terms));
  Factor drive = forAll(others);
  if (!drive.formula || llvm::any_of(part.decays, [](const Factor &decay) {
        return !decay.formula;
      }))
    return lacks("a factor is neither of the inputs nor invariant");
  part.driveInside = drive.inside;
  if (!others.empty())
    part.drive = termsOf(drive.formula);
  return true;
}

/// Constant factors of state and input alone are a filter's, which is as
/// linear; but h + b is a sum. Parts that do not mix are states of their own.
bool Recurrence::isWorthRaising() const {
  if (llvm::all_of(parts, [](const Part &part) { return part.drive.empty(); }))
    return false;
  if (parts.size() == 1)
    return !parts[0].decays[0].formula->isNumber(1);
  for (auto [i, part] : llvm::enumerate(parts))
    for (auto [j, decay] : llvm::enumerate(part.decays))
      if (i != j && !decay.formula->isNumber(0))
        return true;
  return false;
}

bool Recurrence::splitStep() {
  at = step.variables(type.getShape());
  full =
      knownElements(type) * getConstantIntValue(scan.getLength()).value_or(1);
  for (Value input : scan.getInputs())
    stopAtSmall(input, full, 0);
  for (Part &part : parts)
    if (!split(part))
      return false;
  return isWorthRaising();
}

std::optional<std::pair<unsigned, bool>>
Recurrence::stateOf(Value value) const {
  for (auto [i, part] : llvm::enumerate(parts))
    if (value == part.state || value == part.next)
      return std::pair(unsigned(i), value == part.state);
  return std::nullopt;
}

/// `f` as sum_k states(.., k, ..) q(.., k), where `indices` says which
/// dimension of the states is which of the state, or the time. Without
/// `states`, those before or after the step.
bool Recurrence::matchSum(F f, const Indices &own, Value states,
                          ArrayRef<AffineExpr> indices, Output &output) {
  Product product = factorsOf(f->operands[0]), rest;
  rest.coefficient = product.coefficient;
  rest.under = product.under;
  F read = nullptr;
  for (F factor : product.over) {
    if (factor->kind == Kind::Read && !read &&
        (states ? factor->value == states : stateOf(factor->value).has_value()))
      read = factor;
    else
      rest.over.push_back(factor);
  }
  if (!read)
    return false;
  SmallVector<AffineExpr> renamed(output.renamed);
  renamed.resize(Notation::maxVariables);
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
    AffineExpr &name = renamed[dim.getPosition()];
    if (dim.getPosition() == f->variable)
      summed = ours.getPosition();
    else if (name && name != wanted)
      return false;
    name = wanted;
  }
  if (!summed || *summed == timeVariable || (key && *key != *summed) ||
      f->extent != type.getDimSize(*summed))
    return false;
  for (AffineExpr index : own)
    if (auto dim = dyn_cast<AffineDimExpr>(index);
        dim && !(seen >> dim.getPosition() & 1))
      return false;
  F q = formulaOf(rest, after, type.getElementType());
  if (readsState(after, q) || (states ? after.reads(q, states) : readsNext(q)))
    return false;
  SmallVector<AffineExpr> names(renamed);
  for (AffineExpr &name : names)
    name = name ? name : after.zero();
  F query = times.of(q, names);
  if (!query)
    return false;
  auto [part, before] = stateOf(read->value).value_or(std::pair(0u, false));
  auto *known = llvm::find_if(reads, [&](const Read &r) {
    return r.query == query && r.part == part && r.before == before;
  });
  output.sums[f] = known - reads.begin();
  if (known == reads.end())
    reads.push_back({query, part, before, q->kind == Kind::Apply});
  key = *summed;
  output.renamed = std::move(renamed);
  return true;
}

/// sum_k (q s + b) c as c sum_k q s + c sum_k b.
bool Recurrence::takeApart(F f, const Indices &own, Output &output) {
  std::optional<SmallVector<Product>> terms = expandedTermsOf(f->operands[0]);
  if (!terms)
    return false;
  F total = nullptr;
  for (const Product &term : *terms) {
    auto [inner, outer] =
        partition(term, [&](F factor) { return factor->has(f->variable); });
    if (inner.isNumber())
      return false;
    F sum = after.sum(f->variable, f->extent, formulaOf(inner, after, f->type)),
      part = sum;
    if ((readsNext(sum) || readsState(after, sum)) &&
        !matchSum(sum, own, Value(), at, output))
      return false;
    if (!outer.isNumber() || outer.coefficient != 1) {
      F by = formulaOf(outer, after, f->type);
      if (readsNext(by) || readsState(after, by))
        return false;
      part = after.binary(Function::Mul, by, sum);
    }
    total = total ? after.binary(Function::Add, total, part) : part;
  }
  if (total != f)
    output.apart.emplace_back(f, total);
  return true;
}

/// All that the formula has of the state are sums.
bool Recurrence::findSums(F f, const Indices &own, Output &output) {
  if (output.sums.contains(f) ||
      llvm::is_contained(llvm::make_first_range(output.apart), f) ||
      (!readsNext(f) && !readsState(after, f)))
    return true;
  if (f->kind == Kind::Sum)
    return takeApart(f, own, output);
  return f->kind == Kind::Apply && llvm::all_of(f->operands, [&](F operand) {
           return findSums(operand, own, output);
         });
}

/// The formula is of next states, and of what there is for all of time.
bool Recurrence::isOverTime(F f) {
  auto isOutside = [&](Value v) {
    return !scan.getBody().isAncestor(v.getParentRegion());
  };
  return !hasPart(f, [&](F part) {
    if (part->kind == Kind::Scalar)
      return !isOutside(part->value);
    if (part->kind != Kind::Read || isOutside(part->value))
      return false;
    if (auto known = stateOf(part->value))
      return known->second;
    return !llvm::is_contained(scan.getSlices(), part->value);
  });
}

/// A sum over next states, one for each row of a matrix that is the same in all
/// steps.
bool Recurrence::isMatrixProduct(F f) {
  if (f->kind != Kind::Sum)
    return false;
  uint64_t ofStates = 0;
  bool varies = hasPart(f, [&](F part) {
    if (part->kind != Kind::Read)
      return false;
    if (stateOf(part->value))
      ofStates |= part->variables;
    return llvm::is_contained(scan.getSlices(), part->value);
  });
  return !varies && ofStates != 0 && (f->variables & ~ofStates) != 0;
}

/// Products of the next states and matrices, which are one product of all of
/// them: where these are not much more than the products.
bool Recurrence::findOfStates(F f, const Indices &own, RankedTensorType shaped,
                              Output &output) {
  constexpr int64_t most = 4;
  if (matrix || !shaped.hasStaticShape() ||
      shaped.getRank() > static_cast<int64_t>(firstSum - firstOwn) ||
      int64_t(parts.size()) * knownElements(type) >
          most * knownElements(shaped) ||
      !hasPart(f, [&](F part) { return isMatrixProduct(part); }) ||
      !isOverTime(f))
    return false;
  output.sums.clear();
  output.apart.clear();
  output.ofStates = true;
  output.formula = f;
  output.renamed.clear();
  for (unsigned d = 0; d < Notation::maxVariables; ++d)
    output.renamed.push_back(whole.variable(d));
  for (auto [d, index] : llvm::enumerate(own)) {
    bool varies = isa<AffineDimExpr>(index);
    AffineExpr renamed = varies ? whole.variable(firstOwn + d) : whole.zero();
    extents[firstOwn + d] = shaped.getDimSize(d);
    output.renamed[d] = renamed;
    output.indices.push_back(renamed);
  }
  outputs.push_back(std::move(output));
  return true;
}

/// The step's output is the next state, or computed of what is read out.
bool Recurrence::findOutput(unsigned index) {
  Output output;
  output.index = index;
  Value value = yield.getOutputs()[index];
  for (auto [i, part] : llvm::enumerate(parts))
    if (value == part.next) {
      output.part = i;
      output.indices = at;
      outputs.push_back(std::move(output));
      return reads.empty();
    }
  if (outputs.size() && !outputs.front().formula)
    return false;
  auto shaped = dyn_cast<RankedTensorType>(value.getType());
  if (!shaped || !formulaType(shaped))
    return false;
  for (const Part &part : parts)
    after.addBarrier(part.next);
  Indices own = after.variables(shaped.getShape());
  F f = after.element(value, own);
  size_t before = reads.size();
  if (!findSums(f, own, output) || output.sums.empty()) {
    reads.truncate(before);
    return findOfStates(f, own, shaped, output);
  }
  for (AffineExpr &name : output.renamed)
    name = name ? name : after.zero();
  for (AffineExpr index : own)
    output.indices.push_back(index.replaceDims(output.renamed));
  output.formula = f;
  // The rest of it is of what there is for all of time.
  llvm::SmallDenseMap<F, F> sums;
  for (auto [sum, read] : output.sums)
    sums[sum] = whole.number(0, sum->type);
  bool known = outputOver(output, sums);
  outputs.push_back(std::move(output));
  return known;
}

/// Something behind the scan is all that is read of its states, and read out.
bool Recurrence::findReadOutBehind() {
  if (parts.size() != 1 || outputs.size() != 1 || !reads.empty() ||
      !scan.getResult(scan.getNumOutputs()).use_empty())
    return false;
  unsigned output = outputs[0].index;
  Value states = scan.getResult(output), at = states;
  after.addBarrier(states);
  Indices indices = this->at;
  indices.insert(indices.begin() + scan.getOutDims()[output], time());
  for (unsigned depth = 0; depth < 8 && at.hasOneUse(); ++depth) {
    Operation *op = *at.user_begin();
    if (op->getNumResults() != 1 || op->getBlock() != scan->getBlock())
      return false;
    // What it is multiplied with is taken as it is.
    for (Value operand : op->getOperands())
      if (operand != at && isa<RankedTensorType>(operand.getType()))
        if (auto by = operand.getDefiningOp();
            by && !isa<linalg::FillOp, arith::ConstantOp>(by))
          after.addBarrier(operand);
    at = op->getResult(0);
    auto structured = dyn_cast<linalg::LinalgOp>(op);
    if (!structured || structured.getNumReductionLoops() == 0)
      continue;
    auto shaped = dyn_cast<RankedTensorType>(at.getType());
    if (!shaped || !formulaType(shaped))
      return false;
    Indices own = after.variables(shaped.getShape());
    F f = after.element(at, own);
    if (!f || f->kind != Kind::Sum ||
        !matchSum(f, own, states, indices, behind))
      return false;
    for (AffineExpr &name : behind.renamed)
      name = name ? name : after.zero();
    for (AffineExpr index : own)
      behind.indices.push_back(index.replaceDims(behind.renamed));
    behind.formula = f;
    readOut = op;
    return true;
  }
  return false;
}

bool Recurrence::findOutputs() {
  for (unsigned o = 0; o < scan.getNumOutputs(); ++o) {
    if (scan.getResult(o).use_empty())
      continue;
    if (!findOutput(o))
      return lacks("an output is neither the states nor computed of sums over "
                   "one of their dimensions");
    if (times.reverse.value_or(scan.getOutReverse()[o]) !=
        scan.getOutReverse()[o])
      return lacks("inputs and outputs run in different directions");
    times.reverse = scan.getOutReverse()[o];
  }
  return true;
}

/// The drive as a product of something without `v`, and something without `k`.
bool Recurrence::factor(unsigned k, unsigned v) {
  ArrayRef<Product> drive = parts[0].drive;
  if (parts.size() != 1 || drive.size() != 1 || !isWorthTurning(k, v))
    return false;
  auto isKey = [&](F f) { return f->has(k); };
  auto [ofKey, others] = partition(drive[0], isKey);
  if (ofKey.variables() >> v & 1 || others.variables() >> k & 1 ||
      (reads.empty() && (ofKey.over.empty() || !(others.variables() >> v & 1))))
    return false;
  keys = formulaOf(ofKey, whole, type.getElementType());
  values = formulaOf(others, whole, type.getElementType());
  setMatrix(k, v);
  return keys && values;
}

/// Whether the state may be a matrix with these dimensions.
bool Recurrence::isWorthTurning(unsigned k, unsigned v) const {
  // Values go into vector lanes. Where the state has the keys there, turning it
  // must give longer vectors.
  constexpr int64_t enough = 16;
  int64_t k_ = type.getDimSize(k), v_ = type.getDimSize(v);
  return k != v && !ShapedType::isDynamic(k_) && !ShapedType::isDynamic(v_) &&
         (v > k || v_ >= std::min(k_, enough));
}

void Recurrence::setMatrix(unsigned k, unsigned v) {
  key = k;
  value = v;
  rows.clear();
  for (unsigned d = 0, e = type.getRank(); d < e; ++d)
    if (d != k && d != v)
      rows.push_back(d);
}

bool Recurrence::findMatrix() {
  unsigned rank = type.getRank();
  if (rank < 2)
    return false;
  // All states: where they lie as they are wanted.
  if (reads.empty())
    return (outputs.empty() ||
            scan.getOutDims()[outputs[0].index] <= rank - 2) &&
           factor(rank - 2, rank - 1);
  for (unsigned v = rank; v-- > 0;)
    if (type.getDimSize(v) != 1 && factor(*key, v))
      return true;
  // No outer product: the drive as it is.
  keys = values = nullptr;
  for (unsigned v = rank; v-- > 0;)
    if (type.getDimSize(v) != 1 && isWorthTurning(*key, v)) {
      setMatrix(*key, v);
      return true;
    }
  return false;
}

/// The formula for all of time. Where it was computed in the loop, that is
/// noted for lnn-sink-producers.
Value Recurrence::tensorOf(F f, ArrayRef<AffineExpr> indices,
                           ArrayRef<OpFoldResult> sizes, bool inside) {
  if (f->isNumber(0))
    return zeros(sizes, f->type);
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
    else if (dim.getPosition() >= firstOwn)
      sizes.push_back(b.getIndexAttr(extents.lookup(dim.getPosition())));
    else
      sizes.push_back(stateSizes[dim.getPosition()]);
  }
  return sizes;
}

/// The output for all of time, of these sums.
F Recurrence::outputOver(const Output &output,
                         llvm::SmallDenseMap<F, F> &sums) {
  replaced = &sums;
  auto finished = llvm::scope_exit([&] { replaced = nullptr; });
  for (auto [sum, apart] : output.apart)
    if (!(sums[sum] = times.of(apart, output.renamed)))
      return nullptr;
  return times.of(output.formula, output.renamed);
}

/// Puts the op's results in place of the scan's; the indices are those of its
/// dimensions.
bool Recurrence::replace(LinearRecurrenceOp op, ArrayRef<AffineExpr> states,
                         ArrayRef<AffineExpr> last) {
  OpBuilder b(place());
  SmallVector<std::pair<Value, Value>> pairs;
  auto add = [&](Value old, Value value) {
    if (value && value.getType() != old.getType())
      value = tensor::CastOp::create(b, scan.getLoc(), old.getType(), value);
    pairs.emplace_back(old, value);
    return value != nullptr;
  };
  auto put = [&](Value old, const Output &output, ArrayRef<AffineExpr> wanted) {
    if (output.ofStates) {
      this->states = op;
      F f = times.of(output.formula, output.renamed);
      this->states = {};
      return f && add(old, tensorOf(f, wanted, sizesOf(wanted), false));
    }
    llvm::SmallDenseMap<F, F> sums;
    for (auto [sum, read] : output.sums)
      sums[sum] = whole.element(op.getStates()[read], states);
    F f = output.formula ? outputOver(output, sums)
                         : whole.element(op.getStates()[output.part], states);
    if (!f)
      return false;
    if (f->kind == Kind::Read && f->value.getDefiningOp() == op)
      return add(old,
                 moved(place(), f->value, states, wanted, sizesOf(wanted)));
    return add(old,
               Materializer(whole, place()).tensor(f, wanted, sizesOf(wanted)));
  };
  bool made = true;
  if (readOut) {
    made = put(readOut->getResult(0), behind, behind.indices);
  } else {
    for (const Output &output : outputs) {
      SmallVector<AffineExpr> wanted(output.indices);
      wanted.insert(wanted.begin() + scan.getOutDims()[output.index], time());
      made = made && put(scan.getResult(output.index), output, wanted);
    }
    for (unsigned i = 0; i < parts.size(); ++i)
      if (Value end = scan.getResult(scan.getNumOutputs() + i);
          !end.use_empty())
        made = made &&
               add(end, moved(place(), op.getLast()[i], last, at, sizesOf(at)));
  }
  if (!made)
    return lacks("an output cannot be computed behind the loop");
  for (auto [old, value] : pairs)
    old.replaceAllUsesWith(value);
  return true;
}

/// How many of the state's rows come in front of the time, so that what is read
/// out lies as it is wanted.
unsigned Recurrence::rowsBeforeTime() {
  SmallVector<AffineExpr> order(readOut           ? behind.indices
                                : outputs.empty() ? at
                                                  : outputs[0].indices);
  if (!readOut && !outputs.empty())
    order.insert(order.begin() + scan.getOutDims()[outputs[0].index], time());
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

LinearRecurrenceOp Recurrence::create(ArrayRef<Value> decays,
                                      ArrayRef<Value> drives, Value k, Value v,
                                      ArrayRef<Value> queries,
                                      ArrayRef<Value> inits, unsigned dim) {
  OpBuilder b(place());
  SmallVector<int64_t> of;
  SmallVector<bool> before;
  for (const Read &read : reads) {
    of.push_back(read.part);
    before.push_back(read.before);
  }
  return LinearRecurrenceOp::create(
      b, scan.getLoc(), decays, drives, k, v, queries, inits,
      b.getI64IntegerAttr(dim),
      times.reverse.value_or(false) ? b.getUnitAttr() : UnitAttr(),
      llvm::is_contained(before, true) ? b.getDenseBoolArrayAttr(before)
                                       : DenseBoolArrayAttr(),
      llvm::any_of(of, [](int64_t part) { return part != 0; })
          ? b.getDenseI64ArrayAttr(of)
          : DenseI64ArrayAttr());
}

static bool isCheap(F f) {
  constexpr Function cheap[] = {Function::Add, Function::Sub, Function::Mul,
                                Function::Neg};
  return !hasPart(f, [&](F part) {
    return part->kind == Kind::Apply &&
           !llvm::is_contained(cheap, part->function);
  });
}

/// The formula with what takes long and is the same for all keys, or for all
/// values, computed once, not for each.
F Recurrence::computedOnce(F f, ArrayRef<AffineExpr> order) {
  if (isCheap(f))
    return f;
  if (f->has(*key) && f->has(*value)) {
    SmallVector<F> operands;
    for (F operand : f->operands)
      operands.push_back(computedOnce(operand, order));
    return whole.apply(f->name, f->attributes, operands);
  }
  if (!f->has(timeVariable))
    return f;
  Indices own;
  for (AffineExpr index : order)
    if (auto variable = dyn_cast<AffineDimExpr>(index);
        variable && f->has(variable.getPosition()))
      own.push_back(index);
  Value value = tensorOf(f, own, sizesOf(own), true);
  if (!value)
    return f;
  whole.addBarrier(value);
  return whole.element(value, own);
}

/// The drive, factors that have the keys apart.
F Recurrence::driveByKeys(const Part &part, ArrayRef<AffineExpr> order) {
  Type element = type.getElementType();
  F sum = nullptr;
  for (const Product &term : part.drive) {
    auto [ofKey, others] =
        partition(term, [&](F factor) { return factor->has(*key); });
    F product = formulaOf(others, whole, element);
    if (!ofKey.isNumber())
      product = whole.binary(Function::Mul, computedOnce(product, order),
                             formulaOf(ofKey, whole, element));
    sum = sum ? whole.binary(Function::Add, sum, product) : product;
  }
  return sum ? computedOnce(sum, order) : driveOf(part);
}

bool Recurrence::buildMatrix() {
  unsigned dim = rowsBeforeTime();
  SmallVector<unsigned, 2> both{*key, *value};
  auto ofMatrix = [&](F f, bool broadcasts, bool inside) {
    bool wide = f->has(*value);
    return timed(f, dim, wide ? both : ArrayRef(*key), broadcasts || wide,
                 inside);
  };
  Indices order;
  for (unsigned d : rows)
    order.push_back(at[d]);
  order.insert(order.begin() + dim, time());
  order.append({at[*key], at[*value]});
  SmallVector<Value> decays, drives, queries, inits;
  for (Part &part : parts) {
    for (Factor &decay : part.decays) {
      decay.formula = computedOnce(decay.formula, order);
      if (decay.formula->has(*value) && decay.formula->has(*key))
        decay.formula = ordered(decay.formula, order);
      decays.push_back(
          keys ? ofMatrix(decay.formula, true, decay.inside)
               : timed(decay.formula, dim, both, true, decay.inside));
    }
    if (!keys)
      drives.push_back(
          timed(driveByKeys(part, order), dim, both, false, part.driveInside));
  }
  Value k, v;
  if (keys) {
    k = timed(keys, dim, *key, false, parts[0].driveInside);
    v = timed(values, dim, *value, false, parts[0].driveInside);
  }
  for (const Read &read : reads)
    queries.push_back(ofMatrix(read.query, false, read.inside));
  if (llvm::is_contained(decays, Value()) ||
      llvm::is_contained(drives, Value()) || (keys && !(k && v)) ||
      llvm::is_contained(queries, Value()))
    return lacks("a factor is not available in front of the loop");
  Indices matrix, states;
  SmallVector<OpFoldResult> sizes;
  for (unsigned d : llvm::concat<const unsigned>(rows, both)) {
    matrix.push_back(at[d]);
    sizes.push_back(stateSizes[d]);
    if (reads.empty() || d != *key)
      states.push_back(at[d]);
  }
  states.insert(states.begin() + dim, time());
  for (Value init : scan.getInits()) {
    inits.push_back(moved(place(), init, at, matrix, sizes));
    if (!inits.back())
      return false;
  }
  LinearRecurrenceOp op = create(decays, drives, k, v, queries, inits, dim);
  if (!replace(op, states, matrix))
    return false;
  report.made(op, "lnn.linear_recurrence of a " + Twine(type.getDimSize(*key)) +
                      " x " + Twine(type.getDimSize(*value)) + " state" +
                      inParts() + " along dimension " + Twine(dim));
  return true;
}

bool Recurrence::buildDiagonal() {
  if (!reads.empty())
    return lacks("what is read out is not of an outer product, or one "
                 "of few values");
  unsigned rank = type.getRank();
  // Where a plain input or an output has the time already.
  unsigned dim = rank - 1;
  if (!outputs.empty())
    dim = scan.getOutDims()[outputs[0].index];
  else if (!scan.getInputs().empty())
    dim = scan.getDims()[0];
  dim = std::min(dim, rank - 1);
  Indices indices = at;
  indices.insert(indices.begin() + dim, time());
  SmallVector<OpFoldResult> sizes = stateSizes;
  sizes.insert(sizes.begin() + dim, length());
  SmallVector<Value> decays, drives;
  for (const Part &part : parts) {
    for (const Factor &decay : part.decays) {
      // Of size 1 where it does not vary.
      Indices own = indices;
      SmallVector<OpFoldResult> ownSizes = sizes;
      for (auto [index, size] : llvm::zip_equal(own, ownSizes))
        if (auto v = dyn_cast<AffineDimExpr>(index);
            v && v.getPosition() != timeVariable &&
            !decay.formula->has(v.getPosition())) {
          index = whole.zero();
          size = Builder(scan.getContext()).getIndexAttr(1);
        }
      decays.push_back(tensorOf(decay.formula, own, ownSizes, decay.inside));
    }
    drives.push_back(tensorOf(driveOf(part), indices, sizes, part.driveInside));
  }
  if (llvm::is_contained(decays, Value()) ||
      llvm::is_contained(drives, Value()))
    return lacks("a factor is not available in front of the loop");
  LinearRecurrenceOp op = create(decays, drives, Value(), Value(), {},
                                 SmallVector<Value>(scan.getInits()), dim);
  if (!replace(op, indices, at))
    return false;
  report.made(op, "lnn.linear_recurrence" + inParts() + " along dimension " +
                      Twine(dim));
  return true;
}

bool Recurrence::raise() {
  if (!type || !formulaType(type) || type.getRank() == 0 ||
      type.getRank() >= static_cast<int64_t>(firstOwn) ||
      llvm::any_of(parts, [&](const Part &part) {
        return part.state.getType() != type;
      }))
    return false;
  for (Notation *notation : {&step, &whole, &after})
    notation->setBudget(4096);
  OpBuilder b(scan);
  stateSizes = tensor::getMixedSizes(b, scan.getLoc(), scan.getInits()[0]);
  if (!splitStep())
    return false;
  if (!findOutputs())
    return false;
  if (!matrix)
    return buildDiagonal();
  // Without the sum behind the scan it may still be a recurrence.
  if (findReadOutBehind()) {
    if (findMatrix())
      return buildMatrix();
    readOut = nullptr;
    reads.clear();
    key.reset();
  }
  return findMatrix() && buildMatrix();
}

bool raiseRecurrence(ScanOp scan, const Report &report) {
  // Of more parts than a complex number's, mixing each with all costs more than
  // it gives. Without inputs there is no sequence: a solver's steps.
  constexpr size_t mostParts = 2;
  return !scan.getInits().empty() && scan.getInits().size() <= mostParts &&
         !scan.getInputs().empty() &&
         (Recurrence(scan, report, true).raise() ||
          Recurrence(scan, report, false).raise());
}

} // namespace lnn::raise
