//===- OpShapeHelpers.cpp - what operators that move elements share -------===//
#include "OpShapeHelpers.h"

using namespace mlir;

namespace lnn::onnx {

Value cmpi(ExpandContext &ctx, arith::CmpIPredicate p, Value l, Value r) {
  return arith::CmpIOp::create(ctx.b, ctx.loc, p, l, r);
}
Value constIndex(ExpandContext &ctx, int64_t v) {
  return arith::ConstantIndexOp::create(ctx.b, ctx.loc, v);
}

void checkNonNegative(ExpandContext &ctx, ArrayRef<Dim> dims) {
  for (Dim d : dims)
    if (!isNonNegative(d))
      check(ctx,
            cmpi(ctx, arith::CmpIPredicate::sge, ctx.index(d),
                 constIndex(ctx, 0)),
            "the size " + d.str() + " must not be negative");
}

LogicalResult maskOf(NodeView &node, ArrayRef<int64_t> axes, int64_t rank,
                     SmallVector<bool> &mask) {
  mask.assign(rank, false);
  for (int64_t axis : axes) {
    if (axis < -rank || axis >= rank)
      return node.error("axis " + Twine(axis) + " is outside [-" + Twine(rank) +
                        ", " + Twine(rank - 1) + "]");
    if (mask[axis < 0 ? axis + rank : axis])
      return node.error("axis " + Twine(axis) + " is given twice");
    mask[axis < 0 ? axis + rank : axis] = true;
  }
  return success();
}

LogicalResult axesMask(NodeView &node, const ValueInfo &axes, int64_t rank,
                       SmallVector<bool> &mask) {
  std::optional<SmallVector<int64_t>> values = knownIntegers(axes);
  if (!values)
    return node.unsupported("the axes (input 1) must be constant");
  return maskOf(node, *values, rank, mask);
}

LogicalResult checkKnownIndices(InferContext &ctx, const ValueInfo &indices,
                                Dim size) {
  std::optional<SmallVector<int64_t>> values = knownIntegers(indices);
  if (!values || !size.isConst())
    return success();
  for (int64_t v : *values)
    if (v < -size.value() || v >= size.value())
      return ctx.error("index " + Twine(v) +
                       " is outside a dimension of size " +
                       Twine(size.value()));
  return success();
}

void checkIndices(ExpandContext &ctx, Value tensor, const ValueInfo &indices,
                  Dim size) {
  Value high = ctx.index(size);
  if (auto values = knownIntegers(indices)) {
    if (size.isConst() || values->empty())
      return;
    int64_t least = 0;
    for (int64_t v : *values)
      least = std::max(least, v < 0 ? (v == INT64_MIN ? INT64_MAX : -v)
                                    : (v == INT64_MAX ? v : v + 1));
    check(ctx,
          cmpi(ctx, arith::CmpIPredicate::sge, high, constIndex(ctx, least)),
          "an index is outside the dimension, which must be at least " +
              Twine(least));
    return;
  }
  // Nothing can be clamped into an empty dimension.
  if (!size.isConst() || size.isConst(0))
    check(ctx, cmpi(ctx, arith::CmpIPredicate::sgt, high, constIndex(ctx, 0)),
          "a dimension that is indexed must not be empty");
  Value low = arith::SubIOp::create(ctx.b, ctx.loc, constIndex(ctx, 0), high);
  checkRange(ctx, tensor, indices.elementType, low, high,
             "an index is outside the dimension of the data");
}

std::optional<int64_t> ascendingRun(const ValueInfo &indices) {
  auto values = knownIntegers(indices);
  if (!values || values->empty())
    return std::nullopt;
  int64_t first = values->front(), n = values->size();
  if (first < 0 && first + n > 0)
    return std::nullopt;
  for (int64_t i = 0; i < n; ++i)
    if ((*values)[i] != first + i)
      return std::nullopt;
  return first;
}

void checkWithin(ExpandContext &ctx, const ValueInfo &part,
                 const ValueInfo &whole, int64_t axis) {
  for (int64_t d = 0; d < whole.rank(); ++d)
    if (d != axis && !isLessOrEqual(ctx.dims, part.dims[d], whole.dims[d]))
      check(ctx,
            cmpi(ctx, arith::CmpIPredicate::sle, ctx.index(part.dims[d]),
                 ctx.index(whole.dims[d])),
            "indices' dimension " + Twine(d) + " must not be above data's");
}

LogicalResult tupleLength(InferContext &ctx, int64_t batch, int64_t &k) {
  const ValueInfo &data = ctx.in(0), &indices = ctx.in(1);
  if (failed(requireType(ctx, 1, isIndexType, "int32 or int64")))
    return failure();
  if (indices.rank() < 1 || !indices.dims.back().isConst())
    return ctx.unsupported("indices' last dimension must be constant; found " +
                           indices.str());
  k = indices.dims.back().value();
  if (batch < 0 || k < 0 || batch >= indices.rank() || batch > data.rank() ||
      k > data.rank() - batch)
    return ctx.error("index tuples of length " + Twine(k) +
                     " do not fit data " + data.str());
  return success();
}

void checkColumn(ExpandContext &ctx, Value indices, ArrayRef<Dim> dims,
                 Type onnxType, int64_t j, Dim size) {
  SmallVector<OpFoldResult> offsets = zeros(ctx, dims.size());
  offsets.back() = ctx.b.getIndexAttr(j);
  SmallVector<Dim> column(dims);
  column.back() = ctx.dims.constant(1);
  ValueInfo info;
  info.elementType = onnxType;
  info.dims = column;
  checkIndices(ctx, slice(ctx, indices, offsets, column, {}), info, size);
}

Value clampIndex(OpBuilder &b, Location loc, Value at, Value size) {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value last = arith::SubIOp::create(b, loc, size, one);
  return arith::MaxSIOp::create(b, loc,
                                arith::MinSIOp::create(b, loc, at, last), zero);
}

Dim steps(DimContext &c, Dim span, int64_t step) {
  return !span || step == 1 ? span : c.ceilDiv(span, c.constant(step));
}

std::optional<double> numberOf(const ValueInfo &info) {
  if (auto values = knownIntegers(info))
    return values->size() == 1 ? std::optional<double>((*values)[0])
                               : std::nullopt;
  auto dense = dyn_cast_or_null<DenseElementsAttr>(info.constant);
  if (!dense || dense.getNumElements() != 1 ||
      !isa<FloatType>(dense.getElementType()))
    return std::nullopt;
  APFloat v = *dense.getValues<APFloat>().begin();
  bool lost;
  v.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
  return v.convertToDouble();
}

TypedAttr elementOf(ElementsAttr constant, Type converted) {
  auto dense = dyn_cast<DenseElementsAttr>(constant);
  if (!dense)
    return {};
  if (isa<FloatType>(converted))
    return FloatAttr::get(converted, *dense.getValues<APFloat>().begin());
  APInt v = *dense.getValues<APInt>().begin();
  unsigned width = converted.getIntOrFloatBitWidth();
  return IntegerAttr::get(converted, v.zextOrTrunc(width));
}

} // namespace lnn::onnx
