//===- RecurrenceBuild.cpp - the op in a scan's place -------------------===//
//
// Its operands as they are read best: a matrix state with values side by side,
// or states as they are; and what the scan yielded, of its results.
//
//===----------------------------------------------------------------------===//
#include "Recurrence.h"

#include "llvm/ADT/ScopeExit.h"

using namespace mlir;

namespace lnn::raise {

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

} // namespace lnn::raise
