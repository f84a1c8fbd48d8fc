//===- RecurrenceTime.cpp - a recurrence for all steps ------------------===//
//
// Formulas of all of time as tensors in front of the loop: products with
// matrices as one product, what takes long as often as it differs, the rest
// marked for lnn-sink-producers.
//
//===----------------------------------------------------------------------===//
#include "Recurrence.h"

#include "lnn/Transforms/Raise/Passes.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace lnn::raise {

bool hasPart(F formula, llvm::function_ref<bool(F)> is) {
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

} // namespace lnn::raise
