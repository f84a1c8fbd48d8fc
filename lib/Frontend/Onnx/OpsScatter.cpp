//===- OpsScatter.cpp - operators that write by index
//-----------------------===//
//
// Updates are made one after the other, in the order of the indices.
//
//===----------------------------------------------------------------------===//
#include "OpShapeHelpers.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

//===----------------------------------------------------------------------===//
// ScatterND, ScatterElements
//===----------------------------------------------------------------------===//

LogicalResult checkReduction(InferContext &ctx) {
  StringRef kind = ctx.strAttr("reduction", "none");
  if (kind == "none" || kind == "add" || kind == "mul" || kind == "max" ||
      kind == "min")
    return sameElementType(ctx, 0, 2);
  return ctx.error("reduction \"" + kind + "\" is unknown");
}

Value combine(OpBuilder &b, Location loc, StringRef kind, bool zext, Value old,
              Value update) {
  Type stored = old.getType();
  if (kind == "none")
    return update;
  Value l = widen(b, loc, old), r = widen(b, loc, update), v;
  bool fp = isa<FloatType>(l.getType());
  if (kind == "add")
    v = fp ? Value(arith::AddFOp::create(b, loc, l, r))
           : Value(arith::AddIOp::create(b, loc, l, r));
  else if (kind == "mul")
    v = fp ? Value(arith::MulFOp::create(b, loc, l, r))
           : Value(arith::MulIOp::create(b, loc, l, r));
  else if (kind == "max")
    v = fp     ? Value(arith::MaximumFOp::create(b, loc, l, r))
        : zext ? Value(arith::MaxUIOp::create(b, loc, l, r))
               : Value(arith::MaxSIOp::create(b, loc, l, r));
  else
    v = fp     ? Value(arith::MinimumFOp::create(b, loc, l, r))
        : zext ? Value(arith::MinUIOp::create(b, loc, l, r))
               : Value(arith::MinSIOp::create(b, loc, l, r));
  return narrow(b, loc, v, stored);
}

LogicalResult inferScatterND(InferContext &ctx) {
  int64_t k = 0;
  if (failed(tupleLength(ctx, 0, k)) || failed(checkReduction(ctx)))
    return failure();
  const ValueInfo &data = ctx.in(0), &indices = ctx.in(1), &updates = ctx.in(2);
  SmallVector<Dim> want(indices.dims.begin(), indices.dims.end() - 1);
  want.append(data.dims.begin() + k, data.dims.end());
  bool fits = want.size() == updates.dims.size();
  for (size_t d = 0; fits && d < want.size(); ++d)
    fits = want[d] == updates.dims[d] || !want[d].isConst() ||
           !updates.dims[d].isConst();
  if (!fits)
    return ctx.error("updates " + updates.str() + " do not fit data " +
                     data.str() + " at indices " + indices.str());
  // Columns of constant tuples are known to be in range, or known not to be.
  if (auto values = knownIntegers(indices))
    for (size_t i = 0; i < values->size(); ++i) {
      Dim size = data.dims[i % k];
      if (size.isConst() &&
          ((*values)[i] < -size.value() || (*values)[i] >= size.value()))
        return ctx.error("index " + Twine((*values)[i]) +
                         " is outside a dimension of size " + size.str());
    }
  ctx.out(0).elementType = data.elementType;
  ctx.out(0).dims = data.dims;
  return success();
}

/// Constant indices i, i+1, ... of one dimension: a slice is written over.
bool scatterRun(ExpandContext &ctx, ArrayRef<Dim> updateDims, int64_t k) {
  const ValueInfo &data = ctx.inInfo(0), &ix = ctx.inInfo(1);
  std::optional<int64_t> first = ascendingRun(ix);
  if (k != 1 || !first || *first < 0 || !data.dims[0].isConst() ||
      ctx.strAttr("reduction", "none") != "none")
    return false;
  Value updates = reshape(ctx, input(ctx, 2), ctx.inInfo(2).dims, updateDims);
  SmallVector<OpFoldResult> offsets = zeros(ctx, data.rank());
  offsets[0] = ctx.b.getIndexAttr(*first);
  give(ctx, 0, insert(ctx, updates, input(ctx, 0), offsets, updateDims));
  return true;
}

/// One update after the other, in the order of the indices.
Value scatterLoop(ExpandContext &ctx, Value indices, Value updates,
                  ArrayRef<Dim> updateDims, int64_t k) {
  const ValueInfo &data = ctx.inInfo(0), &ix = ctx.inInfo(1);
  StringRef kind = ctx.strAttr("reduction", "none");
  bool zext = isUnsigned(data.elementType);
  SmallVector<Value> sizes;
  for (int64_t j = 0; j < k; ++j)
    sizes.push_back(ctx.index(data.dims[j]));
  SmallVector<Dim> part(data.dims);
  for (int64_t j = 0; j < k; ++j)
    part[j] = ctx.dims.constant(1);
  SmallVector<Dim> row(updateDims);
  row[0] = ctx.dims.constant(1);
  Value count = ctx.index(updateDims[0]);
  // Sizes are computed outside of the loop.
  sizesOf(ctx, part);
  auto loop = scf::ForOp::create(ctx.b, ctx.loc, constIndex(ctx, 0), count,
                                 constIndex(ctx, 1), input(ctx, 0));
  OpBuilder::InsertionGuard guard(ctx.b);
  ctx.b.setInsertionPointToStart(loop.getBody());
  Value n = loop.getInductionVar(), state = loop.getRegionIterArg(0);
  SmallVector<OpFoldResult> place = zeros(ctx, data.rank());
  for (int64_t j = 0; j < k; ++j) {
    Value i = tensor::ExtractOp::create(ctx.b, ctx.loc, indices,
                                        ValueRange{n, constIndex(ctx, j)});
    place[j] = wrapAndClamp(
        ctx.b, ctx.loc, toIndex(ctx.b, ctx.loc, i, ix.elementType), sizes[j]);
  }
  SmallVector<OpFoldResult> from = zeros(ctx, row.size());
  from[0] = n;
  Value update = reshape(ctx, slice(ctx, updates, from, row, {}), row, part);
  if (kind != "none") {
    AffineMap identity = ctx.b.getMultiDimIdentityMap(data.rank());
    Value old = slice(ctx, state, place, part, {});
    Type element = cast<RankedTensorType>(update.getType()).getElementType();
    update = generic(ctx, {old, update}, {identity, identity, identity},
                     ctx.empty(part, element),
                     [&](OpBuilder &b, Location loc, ValueRange args) {
                       return combine(b, loc, kind, zext, args[0], args[1]);
                     });
  }
  state = insert(ctx, update, state, place, part);
  scf::YieldOp::create(ctx.b, ctx.loc, state);
  return loop.getResult(0);
}

LogicalResult expandScatterND(ExpandContext &ctx) {
  const ValueInfo &data = ctx.inInfo(0), &ix = ctx.inInfo(1);
  int64_t k = ix.dims.back().value();
  Dim count = toDim(ctx.dims, productOf(ArrayRef(ix.dims).drop_back()));
  SmallVector<Dim> tuples = {count, ix.dims.back()}, updateDims = {count};
  updateDims.append(data.dims.begin() + k, data.dims.end());
  SmallVector<Dim> want(ix.dims.begin(), ix.dims.end() - 1);
  want.append(data.dims.begin() + k, data.dims.end());
  for (size_t d = 0; d < want.size(); ++d)
    ctx.checkEqual(ctx.inInfo(2).dims[d], want[d],
                   "dimension " + Twine(d) + " of updates");
  if (scatterRun(ctx, updateDims, k))
    return success();
  Value indices = reshape(ctx, input(ctx, 1), ix.dims, tuples);
  Value updates = reshape(ctx, input(ctx, 2), want, updateDims);
  for (int64_t j = 0; j < k; ++j)
    checkColumn(ctx, indices, tuples, ix.elementType, j, data.dims[j]);
  give(ctx, 0, scatterLoop(ctx, indices, updates, updateDims, k));
  return success();
}

LogicalResult inferScatterElements(InferContext &ctx) {
  const ValueInfo &data = ctx.in(0), &indices = ctx.in(1), &updates = ctx.in(2);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", 0), data.rank());
  if (failed(axis) ||
      failed(requireType(ctx, 1, isIndexType, "int32 or int64")) ||
      failed(checkReduction(ctx)) ||
      failed(checkKnownIndices(ctx, indices, data.dims[*axis])))
    return failure();
  if (indices.rank() != data.rank() || updates.rank() != data.rank())
    return ctx.error("data, indices and updates must have one rank; found " +
                     data.str() + ", " + indices.str() + " and " +
                     updates.str());
  for (int64_t d = 0; d < data.rank(); ++d) {
    bool differ = updates.dims[d].isConst() && indices.dims[d].isConst() &&
                  updates.dims[d] != indices.dims[d];
    bool larger = d != *axis && data.dims[d].isConst() &&
                  indices.dims[d].isConst() &&
                  indices.dims[d].value() > data.dims[d].value();
    if (differ || larger)
      return ctx.error("indices " + indices.str() + " and updates " +
                       updates.str() + " do not fit data " + data.str());
  }
  ctx.out(0).elementType = data.elementType;
  ctx.out(0).dims = data.dims;
  return success();
}

/// Loops over all coordinates of `dims`; the body maps a state to the next.
Value forEach(ExpandContext &ctx, ArrayRef<Dim> dims, Value state,
              SmallVector<Value> &at,
              llvm::function_ref<Value(ValueRange, Value)> body) {
  if (at.size() == dims.size())
    return body(at, state);
  Value count = ctx.index(dims[at.size()]);
  auto loop = scf::ForOp::create(ctx.b, ctx.loc, constIndex(ctx, 0), count,
                                 constIndex(ctx, 1), state);
  OpBuilder::InsertionGuard guard(ctx.b);
  ctx.b.setInsertionPointToStart(loop.getBody());
  at.push_back(loop.getInductionVar());
  Value next = forEach(ctx, dims, loop.getRegionIterArg(0), at, body);
  at.pop_back();
  scf::YieldOp::create(ctx.b, ctx.loc, next);
  return loop.getResult(0);
}

LogicalResult expandScatterElements(ExpandContext &ctx) {
  const ValueInfo &data = ctx.inInfo(0), &ix = ctx.inInfo(1);
  int64_t axis = ctx.intAttr("axis", 0);
  axis = axis < 0 ? axis + data.rank() : axis;
  StringRef kind = ctx.strAttr("reduction", "none");
  bool zext = isUnsigned(data.elementType);
  Value indices = input(ctx, 1), updates = input(ctx, 2);
  for (int64_t d = 0; d < data.rank(); ++d)
    ctx.checkEqual(ctx.inInfo(2).dims[d], ix.dims[d],
                   "dimension " + Twine(d) + " of updates");
  checkIndices(ctx, indices, ix, data.dims[axis]);
  checkWithin(ctx, ix, data, axis);
  Value size = ctx.index(data.dims[axis]);
  SmallVector<Value> at;
  Value result = forEach(
      ctx, ix.dims, input(ctx, 0), at, [&](ValueRange place, Value state) {
        OpBuilder &b = ctx.b;
        Value i = tensor::ExtractOp::create(b, ctx.loc, indices, place);
        Value update = tensor::ExtractOp::create(b, ctx.loc, updates, place);
        SmallVector<Value> to(place);
        to[axis] = wrapAndClamp(b, ctx.loc,
                                toIndex(b, ctx.loc, i, ix.elementType), size);
        if (kind != "none") {
          Value old = tensor::ExtractOp::create(b, ctx.loc, state, to);
          update = combine(b, ctx.loc, kind, zext, old, update);
        }
        return Value(tensor::InsertOp::create(b, ctx.loc, update, state, to));
      });
  give(ctx, 0, result);
  return success();
}

//===----------------------------------------------------------------------===//
// TensorScatter
//===----------------------------------------------------------------------===//

FailureOr<int64_t> cacheAxis(NodeView &node, int64_t rank) {
  int64_t given = node.intAttr("axis", -2),
          axis = given + (given < 0 ? rank : 0);
  if (axis < 1 || axis >= rank)
    return node.error("axis " + Twine(given) +
                      " must be one of the cache's, not the batch's");
  return axis;
}

LogicalResult inferTensorScatter(InferContext &ctx) {
  const ValueInfo &past = ctx.in(0), &update = ctx.in(1);
  FailureOr<int64_t> axis = cacheAxis(ctx, past.rank());
  StringRef mode = ctx.strAttr("mode", "linear");
  if (failed(axis) || failed(sameElementType(ctx, 0, 1)))
    return failure();
  if (mode != "linear" && mode != "circular")
    return ctx.error("mode \"" + mode + "\" is unknown");
  bool fits = update.rank() == past.rank();
  for (int64_t d = 0; fits && d < past.rank(); ++d) {
    Dim a = past.dims[d], b = update.dims[d];
    if (a.isConst() && b.isConst())
      fits = d == *axis ? b.value() <= a.value() : a == b;
  }
  if (!fits)
    return ctx.error("the update " + update.str() + " does not fit the cache " +
                     past.str());
  if (ctx.hasInput(2) &&
      (ctx.in(2).rank() != 1 || !ctx.in(2).elementType.isInteger(64)))
    return ctx.error("write_indices must be int64 (batch,); found " +
                     ctx.in(2).str());
  ctx.out(0).elementType = past.elementType;
  ctx.out(0).dims = past.dims;
  return success();
}

LogicalResult expandTensorScatter(ExpandContext &ctx) {
  const ValueInfo &past = ctx.inInfo(0), &update = ctx.inInfo(1);
  int64_t axis = *cacheAxis(ctx, past.rank());
  bool circular = ctx.strAttr("mode", "linear") == "circular";
  for (int64_t d = 0; d < past.rank(); ++d)
    if (d != axis)
      ctx.checkEqual(update.dims[d], past.dims[d], "dimension " + Twine(d));
  Value size = ctx.index(past.dims[axis]),
        length = ctx.index(update.dims[axis]);
  Value cache = input(ctx, 0), part = input(ctx, 1), starts;
  Value zero = constIndex(ctx, 0), one = constIndex(ctx, 1);
  check(ctx, cmpi(ctx, arith::CmpIPredicate::sgt, length, zero),
        "the update must not be empty");
  Value room = arith::SubIOp::create(ctx.b, ctx.loc, size, length);
  check(ctx, cmpi(ctx, arith::CmpIPredicate::sge, room, zero),
        "the update must not be longer than the cache");
  if (ctx.hasInput(2)) {
    ctx.checkEqual(ctx.inInfo(2).dims[0], past.dims[0], "the batch");
    starts = input(ctx, 2);
    Value low = circular ? arith::SubIOp::create(ctx.b, ctx.loc, zero, size)
                         : Value(zero);
    Value high = circular
                     ? constIndex(ctx, int64_t(1) << 40)
                     : Value(arith::AddIOp::create(ctx.b, ctx.loc, room, one));
    checkRange(ctx, starts, ctx.inInfo(2).elementType, low, high,
               "a write index is outside the cache");
  }
  Value out = generate(
      ctx, past, [&](OpBuilder &b, Location loc, ValueRange at) -> Value {
        Value start = zero;
        if (starts)
          start =
              toIndex(b, loc, tensor::ExtractOp::create(b, loc, starts, at[0]),
                      ctx.inInfo(2).elementType);
        Value i = arith::SubIOp::create(b, loc, at[axis], start);
        if (circular) {
          Value safe = arith::MaxSIOp::create(b, loc, size, one);
          i = arith::RemSIOp::create(b, loc, i, safe);
          Value wrapped = arith::AddIOp::create(b, loc, i, safe);
          Value below =
              arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, i, zero);
          i = arith::SelectOp::create(b, loc, below, wrapped, i);
        }
        // Unsigned, what lies before the first is behind the last too.
        Value hit =
            arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, i, length);
        SmallVector<Value> place(at);
        place[axis] = clampIndex(b, loc, i, length);
        Value now = tensor::ExtractOp::create(b, loc, part, place);
        Value before = tensor::ExtractOp::create(b, loc, cache, at);
        return arith::SelectOp::create(b, loc, hit, now, before);
      });
  give(ctx, 0, out);
  return success();
}

} // namespace

void addScatterOps(std::vector<OpEntry> &t) {
  t.push_back(entry<inferScatterND, expandScatterND>("ScatterND", 3, 3));
  t.push_back(entry<inferScatterElements, expandScatterElements>(
      "ScatterElements", 3, 3));
  t.push_back(
      entry<inferScatterElements, expandScatterElements>("Scatter", 3, 3));
  t.push_back(entry<inferTensorScatter, expandTensorScatter>("TensorScatter", 2,
                                                             3, 24));
}

} // namespace lnn::onnx
