//===- Materialize.cpp - formulas back to tensors -------------------------===//
#include "Materialize.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

using namespace mlir;

namespace lnn::raise {

/// The value is defined in front of the op, or around it.
bool Materializer::isAvailable(Value value) const {
  DominanceInfo dominance;
  return dominance.properlyDominates(value, before);
}

Value Materializer::existing(F formula, ArrayRef<AffineExpr> indices,
                             RankedTensorType type) const {
  for (const Notation::Source &source : notation.sources(formula))
    if (source.tensor.getType() == type &&
        source.indices.getResults() == indices && isAvailable(source.tensor))
      return source.tensor;
  return {};
}

bool Materializer::collect(F formula, Leaves &leaves) const {
  SmallVector<F> stack{formula};
  llvm::SmallDenseSet<F> seen;
  while (!stack.empty()) {
    F f = stack.pop_back_val();
    if (!seen.insert(f).second || f->kind == Kind::Number)
      continue;
    if (f->kind == Kind::Apply) {
      llvm::append_range(stack, f->operands);
      continue;
    }
    leaves.formulas.push_back(f);
    if (f->kind == Kind::Scalar) {
      if (!isAvailable(f->value))
        return false;
      leaves.reads.push_back({f->value, AffineMap()});
      continue;
    }
    auto source =
        llvm::find_if(notation.sources(f), [&](const Notation::Source &source) {
          return isAvailable(source.tensor);
        });
    if (source != notation.sources(f).end())
      leaves.reads.push_back(*source);
    else if (f->kind == Kind::Read && isAvailable(f->value))
      leaves.reads.push_back({f->value, f->indices});
    else
      return false;
  }
  return true;
}

/// The outermost place that has all leaves.
Operation *Materializer::placeFor(const Leaves &leaves,
                                  ArrayRef<OpFoldResult> sizes) const {
  Operation *place = before;
  auto isOutside = [&](Value value, Operation *loop) {
    return !loop->isAncestor(value.getParentBlock()->getParentOp());
  };
  while (isa<LoopLikeOpInterface>(place->getParentOp())) {
    Operation *loop = place->getParentOp();
    for (const Notation::Source &read : leaves.reads)
      if (!isOutside(read.tensor, loop))
        return place;
    for (OpFoldResult size : sizes)
      if (auto value = dyn_cast<Value>(size); value && !isOutside(value, loop))
        return place;
    place = loop;
  }
  return place;
}

Value Materializer::build(OpBuilder &b, F f, DenseMap<F, Value> &values) {
  if (Value known = values.lookup(f))
    return known;
  Value result;
  if (f->kind == Kind::Number) {
    result =
        arith::ConstantOp::create(b, loc, b.getFloatAttr(f->type, f->number));
  } else {
    OperationState state(loc, f->name);
    for (F operand : f->operands)
      state.operands.push_back(build(b, operand, values));
    state.addTypes(f->type);
    if (f->attributes)
      state.addAttributes(f->attributes.getValue());
    result = b.create(state)->getResult(0);
  }
  return values[f] = result;
}

Value Materializer::tensor(F formula, ArrayRef<AffineExpr> indices,
                           ArrayRef<int64_t> shape) {
  OpBuilder b(before);
  return tensor(formula, indices,
                getAsIndexOpFoldResult(b.getContext(), shape));
}

Value Materializer::tensor(F formula, ArrayRef<AffineExpr> indices,
                           ArrayRef<OpFoldResult> sizes) {
  SmallVector<int64_t> shape;
  for (OpFoldResult size : sizes)
    shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  auto type = RankedTensorType::get(shape, formula->type);
  // What is constant is computed now, even if there is code for it.
  Value value = existing(formula, indices, type);
  if (!value || formula->kind != Kind::Read)
    if (std::optional<SmallVector<double>> values =
            evaluate(formula, indices, shape)) {
      OpBuilder b(placeFor({}, {}));
      return constantTensor(b, loc, type, *values);
    }
  if (value)
    return value;
  Leaves leaves;
  if (!collect(formula, leaves))
    return {};
  OpBuilder b(placeFor(leaves, sizes));
  // One loop a dimension; the formula's variables are the loops that it has.
  unsigned rank = shape.size();
  SmallVector<AffineExpr> loops(Notation::maxVariables, notation.zero());
  uint64_t bound = 0;
  for (auto [d, index] : llvm::enumerate(indices))
    if (auto dim = dyn_cast<AffineDimExpr>(index)) {
      loops[dim.getPosition()] = b.getAffineDimExpr(d);
      bound |= uint64_t(1) << dim.getPosition();
    }
  if (formula->variables & ~bound)
    return {};
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (const Notation::Source &read : leaves.reads)
    if (read.indices) {
      inputs.push_back(read.tensor);
      maps.push_back(read.indices.replaceDimsAndSymbols(loops, {}, rank, 0));
    }
  maps.push_back(b.getMultiDimIdentityMap(rank));
  Value init = tensor::EmptyOp::create(b, loc, sizes, formula->type);
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto body = [&](OpBuilder &at, Location, ValueRange arguments) {
    DenseMap<F, Value> values;
    unsigned next = 0;
    for (auto [f, read] : llvm::zip_equal(leaves.formulas, leaves.reads))
      values[f] = read.indices ? arguments[next++] : read.tensor;
    linalg::YieldOp::create(at, loc, build(at, formula, values));
  };
  return linalg::GenericOp::create(b, loc, type, inputs, init, maps, iterators,
                                   body)
      .getResult(0);
}

Value Materializer::scalar(F formula) {
  Leaves leaves;
  if (formula->variables || !collect(formula, leaves))
    return {};
  OpBuilder b(placeFor(leaves, {}));
  DenseMap<F, Value> values;
  for (auto [f, read] : llvm::zip_equal(leaves.formulas, leaves.reads)) {
    if (!read.indices) {
      values[f] = read.tensor;
      continue;
    }
    SmallVector<Value> at;
    for (AffineExpr index : read.indices.getResults()) {
      auto constant = dyn_cast<AffineConstantExpr>(index);
      if (!constant)
        return {};
      at.push_back(arith::ConstantIndexOp::create(b, loc, constant.getValue()));
    }
    values[f] = tensor::ExtractOp::create(b, loc, read.tensor, at);
  }
  return build(b, formula, values);
}

Value reshaped(Operation *before, Value source, ArrayRef<AffineExpr> from,
               ArrayRef<AffineExpr> to, ArrayRef<OpFoldResult> sizes) {
  OpBuilder b(before);
  Location loc = before->getLoc();
  auto shaped = cast<RankedTensorType>(source.getType());
  auto real = [](ArrayRef<AffineExpr> indices) {
    SmallVector<AffineExpr> result;
    for (AffineExpr index : indices)
      if (isa<AffineDimExpr>(index))
        result.push_back(index);
    return result;
  };
  SmallVector<AffineExpr> order = real(from);
  if (order != real(to) || order.empty())
    return {};
  for (auto [index, size] : llvm::zip_equal(from, shaped.getShape()))
    if (!isa<AffineDimExpr>(index) && size != 1)
      return {};
  SmallVector<int64_t> shape;
  for (OpFoldResult size : sizes)
    shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  auto target = RankedTensorType::get(shape, shaped.getElementType());
  if (llvm::equal(from, to))
    return shaped == target
               ? source
               : tensor::CastOp::create(b, loc, target, source).getResult();
  // All units away, then others in.
  auto groups = [&](ArrayRef<AffineExpr> indices) {
    SmallVector<ReassociationIndices> result(order.size());
    unsigned group = 0;
    bool begun = false;
    for (auto [d, index] : llvm::enumerate(indices)) {
      if (isa<AffineDimExpr>(index)) {
        if (begun)
          ++group;
        begun = true;
      }
      result[group].push_back(d);
    }
    return result;
  };
  if (order.size() != from.size())
    source = tensor::CollapseShapeOp::create(b, loc, source, groups(from));
  if (order.size() == to.size()) {
    if (source.getType() != target)
      source = tensor::CastOp::create(b, loc, target, source);
    return source;
  }
  return tensor::ExpandShapeOp::create(b, loc, target, source, groups(to),
                                       sizes);
}

Value moved(Operation *before, Value source, ArrayRef<AffineExpr> from,
            ArrayRef<AffineExpr> to, ArrayRef<OpFoldResult> sizes) {
  if (Value view = reshaped(before, source, from, to, sizes))
    return view;
  Notation notation(before->getContext());
  notation.addBarrier(source);
  Materializer copy(notation, before);
  return copy.tensor(notation.element(source, from), to, sizes);
}

} // namespace lnn::raise
