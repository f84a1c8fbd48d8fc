//===- RecurrenceOutputs.cpp - what a recurrence yields -----------------===//
//
// The next states, functions of sums over a dimension of the states, or of
// products of the next states and matrices: what is computed behind the loop,
// of what the recurrence gives.
//
//===----------------------------------------------------------------------===//
#include "Recurrence.h"

using namespace mlir;

namespace lnn::raise {

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

} // namespace lnn::raise
