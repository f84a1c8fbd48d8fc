//===- OpsGather.cpp - operators that read by index
//-------------------------===//
//
// An index of the model is checked with a message and clamped where it is used.
//
//===----------------------------------------------------------------------===//
#include "OpShapeHelpers.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

//===----------------------------------------------------------------------===//
// Gather
//===----------------------------------------------------------------------===//

LogicalResult inferGather(InferContext &ctx) {
  const ValueInfo &data = ctx.in(0), &indices = ctx.in(1);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", 0), data.rank());
  if (failed(axis) ||
      failed(requireType(ctx, 1, isIndexType, "int32 or int64")) ||
      failed(checkKnownIndices(ctx, indices, data.dims[*axis])))
    return failure();
  ValueInfo &out = ctx.out(0);
  out.elementType = data.elementType;
  out.dims.assign(data.dims.begin(), data.dims.begin() + *axis);
  out.dims.append(indices.dims);
  out.dims.append(data.dims.begin() + *axis + 1, data.dims.end());
  auto values = knownIntegers(indices);
  if (!values || !data.data || data.rank() != 1 || indices.rank() > 1)
    return success();
  SmallVector<Dim> picked;
  int64_t n = data.data->size();
  for (int64_t v : *values)
    picked.push_back((*data.data)[v < 0 ? v + n : v]);
  setData(out, std::move(picked));
  return success();
}

Value gatherElement(ExpandContext &ctx, Value data, Value indices,
                    int64_t axis) {
  const ValueInfo &from = ctx.inInfo(0), &ix = ctx.inInfo(1),
                  &out = ctx.outInfo(0);
  MLIRContext *context = ctx.b.getContext();
  SmallVector<AffineExpr> picks;
  for (int64_t d = 0; d < ix.rank(); ++d)
    picks.push_back(getAffineDimExpr(axis + d, context));
  Value size = ctx.index(from.dims[axis]);
  return generic(ctx, indices,
                 {AffineMap::get(out.rank(), 0, picks, context),
                  ctx.b.getMultiDimIdentityMap(out.rank())},
                 ctx.empty(out),
                 [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                   Value i = toIndex(b, loc, args[0], ix.elementType);
                   SmallVector<Value> at;
                   for (int64_t d = 0; d < out.rank(); ++d)
                     if (d < axis || d >= axis + ix.rank())
                       at.push_back(linalg::IndexOp::create(b, loc, d));
                   at.insert(at.begin() + axis, wrapAndClamp(b, loc, i, size));
                   return tensor::ExtractOp::create(b, loc, data, at);
                 });
}

LogicalResult expandGather(ExpandContext &ctx) {
  const ValueInfo &from = ctx.inInfo(0), &ix = ctx.inInfo(1);
  int64_t axis = ctx.intAttr("axis", 0);
  axis = axis < 0 ? axis + from.rank() : axis;
  Value data = input(ctx, 0), indices = input(ctx, 1);
  Dim size = from.dims[axis];
  checkIndices(ctx, indices, ix, size);
  bool one = llvm::all_of(ix.dims, [](Dim d) { return d.isConst(1); });
  SmallVector<OpFoldResult> offsets = zeros(ctx, from.rank());
  SmallVector<Dim> dims = from.dims;
  dims[axis] = toDim(ctx.dims, productOf(ix.dims));
  if (std::optional<int64_t> first = ascendingRun(ix)) {
    Dim start = ctx.dims.constant(*first);
    offsets[axis] =
        ctx.size(*first < 0 ? addDims(ctx.dims, size, start) : start);
  } else if (one) {
    Value scalar = tensor::ExtractOp::create(
        ctx.b, ctx.loc, reshape(ctx, indices, ix.dims, {}), ValueRange());
    offsets[axis] = wrapAndClamp(
        ctx.b, ctx.loc, toIndex(ctx.b, ctx.loc, scalar, ix.elementType),
        ctx.index(size));
  } else {
    give(ctx, 0, gatherElement(ctx, data, indices, axis));
    return success();
  }
  Value part = slice(ctx, data, offsets, dims, {});
  give(ctx, 0, reshape(ctx, part, dims, ctx.outInfo(0).dims));
  return success();
}

LogicalResult inferGatherElements(InferContext &ctx) {
  const ValueInfo &data = ctx.in(0), &indices = ctx.in(1);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", 0), data.rank());
  if (failed(axis) ||
      failed(requireType(ctx, 1, isIndexType, "int32 or int64")) ||
      failed(checkKnownIndices(ctx, indices, data.dims[*axis])))
    return failure();
  if (indices.rank() != data.rank())
    return ctx.error("data and indices must have one rank; found " +
                     data.str() + " and " + indices.str());
  for (int64_t d = 0; d < data.rank(); ++d)
    if (d != *axis && data.dims[d].isConst() && indices.dims[d].isConst() &&
        indices.dims[d].value() > data.dims[d].value())
      return ctx.error("indices' dimension " + Twine(d) +
                       " is larger than data's: " + indices.str() + " and " +
                       data.str());
  ctx.out(0).elementType = data.elementType;
  ctx.out(0).dims = indices.dims;
  return success();
}

LogicalResult expandGatherElements(ExpandContext &ctx) {
  const ValueInfo &from = ctx.inInfo(0), &ix = ctx.inInfo(1);
  int64_t axis = ctx.intAttr("axis", 0);
  axis = axis < 0 ? axis + from.rank() : axis;
  Value data = input(ctx, 0), indices = input(ctx, 1);
  checkIndices(ctx, indices, ix, from.dims[axis]);
  checkWithin(ctx, ix, from, axis);
  Value size = ctx.index(from.dims[axis]);
  AffineMap identity = ctx.b.getMultiDimIdentityMap(from.rank());
  Value out =
      generic(ctx, indices, {identity, identity}, ctx.empty(ctx.outInfo(0)),
              [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                SmallVector<Value> at;
                for (int64_t d = 0; d < from.rank(); ++d)
                  at.push_back(linalg::IndexOp::create(b, loc, d));
                at[axis] = wrapAndClamp(
                    b, loc, toIndex(b, loc, args[0], ix.elementType), size);
                return tensor::ExtractOp::create(b, loc, data, at);
              });
  give(ctx, 0, out);
  return success();
}

LogicalResult inferGatherND(InferContext &ctx) {
  int64_t batch = ctx.intAttr("batch_dims", 0), k = 0;
  if (failed(tupleLength(ctx, batch, k)))
    return failure();
  const ValueInfo &data = ctx.in(0), &indices = ctx.in(1);
  ValueInfo &out = ctx.out(0);
  out.elementType = data.elementType;
  out.dims.assign(indices.dims.begin(), indices.dims.end() - 1);
  out.dims.append(data.dims.begin() + batch + k, data.dims.end());
  return success();
}

LogicalResult expandGatherND(ExpandContext &ctx) {
  const ValueInfo &from = ctx.inInfo(0), &ix = ctx.inInfo(1),
                  &out = ctx.outInfo(0);
  int64_t batch = ctx.intAttr("batch_dims", 0), k = ix.dims.back().value();
  Value data = input(ctx, 0), indices = input(ctx, 1);
  for (int64_t d = 0; d < batch; ++d)
    ctx.checkEqual(ix.dims[d], from.dims[d], "batch dimension " + Twine(d));
  SmallVector<Value> sizes;
  for (int64_t j = 0; j < k; ++j) {
    checkColumn(ctx, indices, ix.dims, ix.elementType, j, from.dims[batch + j]);
    sizes.push_back(ctx.index(from.dims[batch + j]));
  }
  Value result = generate(
      ctx, out, [&](OpBuilder &b, Location loc, ValueRange at) -> Value {
        SmallVector<Value> tuple(at.take_front(ix.rank() - 1));
        SmallVector<Value> place(at.take_front(batch));
        for (int64_t j = 0; j < k; ++j) {
          tuple.push_back(arith::ConstantIndexOp::create(b, loc, j));
          Value i = tensor::ExtractOp::create(b, loc, indices, tuple);
          tuple.pop_back();
          place.push_back(wrapAndClamp(
              b, loc, toIndex(b, loc, i, ix.elementType), sizes[j]));
        }
        llvm::append_range(place, at.drop_front(ix.rank() - 1));
        return tensor::ExtractOp::create(b, loc, data, place);
      });
  give(ctx, 0, result);
  return success();
}

//===----------------------------------------------------------------------===//
// ReverseSequence
//===----------------------------------------------------------------------===//

LogicalResult inferReverseSequence(InferContext &ctx) {
  const ValueInfo &in = ctx.in(0), &lengths = ctx.in(1);
  int64_t batch = ctx.intAttr("batch_axis", 1),
          time = ctx.intAttr("time_axis", 0);
  if (in.rank() < 2 || batch + time != 1 || batch < 0 || time < 0)
    return ctx.error("batch_axis and time_axis must be 0 and 1 in some order "
                     "and the input of rank 2 or more; found " +
                     Twine(batch) + ", " + Twine(time) + " and " + in.str());
  if (lengths.rank() != 1 || !lengths.elementType.isInteger(64))
    return ctx.error("sequence_lens must be int64 of rank 1; found " +
                     lengths.str());
  ctx.out(0).elementType = in.elementType;
  ctx.out(0).dims = in.dims;
  return success();
}

LogicalResult expandReverseSequence(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0), &lengths = ctx.inInfo(1);
  int64_t batch = ctx.intAttr("batch_axis", 1),
          time = ctx.intAttr("time_axis", 0);
  ctx.checkEqual(lengths.dims[0], in.dims[batch], "the number of sequences");
  Value data = input(ctx, 0), lens = input(ctx, 1),
        size = ctx.index(in.dims[time]);
  Value zero = constIndex(ctx, 0), one = constIndex(ctx, 1);
  Value end = arith::AddIOp::create(ctx.b, ctx.loc, size, one);
  checkRange(ctx, lens, lengths.elementType, zero, end,
             "a sequence is longer than the time axis");
  AffineMap identity = ctx.b.getMultiDimIdentityMap(in.rank());
  AffineMap read = AffineMap::get(
      in.rank(), 0, {getAffineDimExpr(batch, ctx.b.getContext())});
  Value out = generic(
      ctx, lens, {read, identity}, ctx.empty(ctx.outInfo(0)),
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        SmallVector<Value> at;
        for (int64_t d = 0; d < in.rank(); ++d)
          at.push_back(linalg::IndexOp::create(b, loc, d));
        Value length = toIndex(b, loc, args[0], lengths.elementType);
        Value within = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                             at[time], length);
        Value mirrored = arith::SubIOp::create(
            b, loc, arith::SubIOp::create(b, loc, length, one), at[time]);
        Value source =
            arith::SelectOp::create(b, loc, within, mirrored, at[time]);
        at[time] = clampIndex(b, loc, source, size);
        return tensor::ExtractOp::create(b, loc, data, at);
      });
  give(ctx, 0, out);
  return success();
}

//===----------------------------------------------------------------------===//
// NonZero
//===----------------------------------------------------------------------===//

/// The elements of a constant, as whether they are not 0.
std::optional<SmallVector<bool>> truths(const ValueInfo &info) {
  SmallVector<bool> result;
  if (auto integers = knownIntegers(info)) {
    for (int64_t v : *integers)
      result.push_back(v != 0);
    return result;
  }
  auto dense = dyn_cast_or_null<DenseElementsAttr>(info.constant);
  if (!dense || !isa<FloatType>(dense.getElementType()))
    return std::nullopt;
  for (const APFloat &v : dense.getValues<APFloat>())
    result.push_back(!v.isZero());
  return result;
}

LogicalResult inferNonZero(InferContext &ctx) {
  const ValueInfo &in = ctx.in(0);
  auto on = truths(in);
  if (!on || !in.hasStaticShape())
    return ctx.unsupported("the size of the result depends on data: the input "
                           "must be constant");
  size_t rank = in.rank();
  SmallVector<SmallVector<int64_t>> places(rank);
  for (auto [flat, v] : llvm::enumerate(*on)) {
    int64_t rest = flat;
    for (size_t d = rank; v && d-- > 0; rest /= in.dims[d].value())
      places[d].push_back(rest % in.dims[d].value());
  }
  SmallVector<int64_t> all;
  for (ArrayRef<int64_t> row : places)
    all.append(row.begin(), row.end());
  int64_t count = llvm::count(*on, true);
  ValueInfo &out = ctx.out(0);
  out.elementType = IntegerType::get(ctx.op.getContext(), 64);
  out.dims = {ctx.c(rank), ctx.c(count)};
  out.constant = DenseElementsAttr::get(tensorType(out.dims, out.elementType),
                                        ArrayRef<int64_t>(all));
  return success();
}
LogicalResult expandNonZero(ExpandContext &ctx) {
  give(ctx, 0,
       arith::ConstantOp::create(ctx.b, ctx.loc, ctx.outInfo(0).constant));
  return success();
}

} // namespace

void addGatherOps(std::vector<OpEntry> &t) {
  t.push_back(entry<inferGather, expandGather>("Gather", 2, 2));
  t.push_back(
      entry<inferGatherElements, expandGatherElements>("GatherElements", 2, 2));
  t.push_back(entry<inferGatherND, expandGatherND>("GatherND", 2, 2));
  t.push_back(entry<inferNonZero, expandNonZero>("NonZero", 1, 1, 9));
  t.push_back(entry<inferReverseSequence, expandReverseSequence>(
      "ReverseSequence", 2, 2));
}

} // namespace lnn::onnx
