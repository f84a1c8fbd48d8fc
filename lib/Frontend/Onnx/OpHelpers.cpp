//===- OpHelpers.cpp - what the operator families share -------------------===//
//
// Dimensions first, then inference, then builders of tensor operations.
//
//===----------------------------------------------------------------------===//
#include "OpHelpers.h"

#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace lnn::onnx {

Type computeType(Type onnxType) {
  if (onnxType.isF16() || onnxType.isBF16())
    return Float32Type::get(onnxType.getContext());
  return ExpandContext::converted(onnxType);
}

Type typeOfEnum(MLIRContext *context, int64_t value) {
  auto integer = [&](unsigned width, bool isUnsigned) -> Type {
    return IntegerType::get(context, width,
                            isUnsigned ? IntegerType::Unsigned
                                       : IntegerType::Signless);
  };
  switch (value) {
  case 1:
    return Float32Type::get(context);
  case 2:
    return integer(8, true);
  case 3:
    return integer(8, false);
  case 4:
    return integer(16, true);
  case 5:
    return integer(16, false);
  case 6:
    return integer(32, false);
  case 7:
    return integer(64, false);
  case 9:
    return integer(1, false);
  case 10:
    return Float16Type::get(context);
  case 11:
    return Float64Type::get(context);
  case 12:
    return integer(32, true);
  case 13:
    return integer(64, true);
  case 16:
    return BFloat16Type::get(context);
  default:
    return {};
  }
}

//===----------------------------------------------------------------------===//
// Dimensions
//===----------------------------------------------------------------------===//

static void addFactor(Product &p, const DimNode *node) {
  SmallVector<const DimNode *> todo = {node};
  if (!node) { // a size that is not known
    p.overflow = true;
    return;
  }
  while (!todo.empty()) {
    const DimNode *n = todo.pop_back_val();
    if (n->kind == DimNode::Constant)
      p.overflow |= llvm::MulOverflow(p.coefficient, n->value, p.coefficient);
    else if (n->kind == DimNode::Mul)
      todo.append({n->lhs, n->rhs});
    else
      p.factors.push_back(n);
    // A product of many sizes is none that anyone meant.
    if (p.factors.size() + todo.size() > 256) {
      p.overflow = true;
      return;
    }
  }
}

Product productOf(ArrayRef<Dim> dims) {
  Product p;
  for (Dim dim : dims)
    addFactor(p, dim.get());
  llvm::sort(p.factors,
             [](const DimNode *a, const DimNode *b) { return a->id < b->id; });
  return p;
}

Dim toDim(DimContext &dims, const Product &product) {
  Dim d = dims.constant(product.coefficient);
  for (const DimNode *factor : product.factors)
    d = dims.mul(d, Dim(factor));
  return d;
}

std::optional<Product> divide(const Product &a, const Product &b) {
  if (a.overflow || b.overflow || b.coefficient == 0 ||
      a.coefficient % b.coefficient != 0)
    return std::nullopt;
  Product q = a;
  q.coefficient = a.coefficient / b.coefficient;
  for (const DimNode *factor : b.factors) {
    auto *it = llvm::find(q.factors, factor);
    if (it == q.factors.end())
      return std::nullopt;
    q.factors.erase(it);
  }
  return q;
}

static bool isNonNegative(const DimNode *n, unsigned depth) {
  if (depth == 0)
    return false;
  switch (n->kind) {
  case DimNode::Constant:
    return n->value >= 0;
  case DimNode::Symbol:
    return true;
  case DimNode::Max:
    return isNonNegative(n->lhs, depth - 1) || isNonNegative(n->rhs, depth - 1);
  default:
    return isNonNegative(n->lhs, depth - 1) && isNonNegative(n->rhs, depth - 1);
  }
}

bool isNonNegative(Dim dim) { return dim && isNonNegative(dim.get(), 16); }

bool isLessOrEqual(DimContext &dims, Dim a, Dim b) {
  if (a == b)
    return true;
  if (a.isConst() && b.isConst())
    return a.value() <= b.value();
  const DimNode *n = a.get();
  if (n->kind == DimNode::Min && (n->lhs == b.get() || n->rhs == b.get()))
    return true;
  return isNonNegative(subDims(dims, b, a));
}

Dim addDims(DimContext &dims, Dim a, Dim b) {
  int64_t r;
  if (!a || !b)
    return Dim();
  if (a.isConst() && b.isConst())
    return llvm::AddOverflow(a.value(), b.value(), r) ? Dim()
                                                      : dims.constant(r);
  return dims.add(a, b);
}

Dim subDims(DimContext &dims, Dim a, Dim b) {
  int64_t r;
  if (!a || !b)
    return Dim();
  if (a.isConst() && b.isConst())
    return llvm::SubOverflow(a.value(), b.value(), r) ? Dim()
                                                      : dims.constant(r);
  return dims.sub(a, b);
}

Dim mulDims(DimContext &dims, Dim a, Dim b) {
  int64_t r;
  if (!a || !b)
    return Dim();
  if (a.isConst() && b.isConst())
    return llvm::MulOverflow(a.value(), b.value(), r) ? Dim()
                                                      : dims.constant(r);
  return dims.mul(a, b);
}

Dim minDims(DimContext &dims, Dim a, Dim b) {
  if (isLessOrEqual(dims, a, b))
    return a;
  return isLessOrEqual(dims, b, a) ? b : dims.min(a, b);
}

Dim maxDims(DimContext &dims, Dim a, Dim b) {
  if (isLessOrEqual(dims, a, b))
    return b;
  return isLessOrEqual(dims, b, a) ? a : dims.max(a, b);
}

//===----------------------------------------------------------------------===//
// Inference
//===----------------------------------------------------------------------===//

const SmallVector<Dim> *dataOf(InferContext &ctx, unsigned i) {
  const ValueInfo &info = ctx.in(i);
  return info.present() && info.data ? &*info.data : nullptr;
}

void setData(ValueInfo &info, SmallVector<Dim> data) {
  bool kept = isBool(info.elementType) || info.elementType.isInteger(64) ||
              info.elementType.isInteger(32);
  if (!kept || info.rank() > 1 || data.size() > 1024 ||
      llvm::any_of(data, [](Dim d) { return !d; }))
    return;
  if (info.rank() == 1 && !info.dims[0].isConst(data.size()))
    return;
  // A narrow integer that would wrap is left to the run.
  if (info.elementType.isInteger(32))
    for (Dim d : data)
      if (d.isConst() && !llvm::isInt<32>(d.value()))
        return;
  info.data = std::move(data);
}

std::optional<SmallVector<Dim>> contentsOf(InferContext &ctx, unsigned i) {
  const ValueInfo &info = ctx.in(i);
  if (!info.present())
    return std::nullopt;
  if (info.data)
    return info.data;
  if (!info.wide.empty())
    return llvm::to_vector(info.wide);
  if (!info.constant || info.constant.getNumElements() > 1024)
    return std::nullopt;
  std::optional<SmallVector<int64_t>> integers = integersOf(info.constant);
  if (!integers)
    return std::nullopt;
  return llvm::map_to_vector(*integers, [&](int64_t v) { return ctx.c(v); });
}

void setContents(ValueInfo &info, SmallVector<Dim> contents) {
  if (info.rank() <= 1)
    return setData(info, std::move(contents));
  if (!info.elementType.isInteger(64) || contents.size() > 1024)
    return;
  uint64_t elements = 1;
  for (Dim d : info.dims) {
    if (!d.isConst() || d.value() > 1024)
      return;
    elements *= d.value();
    if (elements > 1024)
      return;
  }
  if (elements == contents.size())
    info.wide.assign(contents.begin(), contents.end());
}

std::optional<SmallVector<int64_t>> integersOf(ElementsAttr constant) {
  auto dense = dyn_cast_or_null<DenseElementsAttr>(constant);
  if (!dense || !isa<IntegerType>(dense.getElementType()))
    return std::nullopt;
  bool zext = isUnsigned(dense.getElementType());
  SmallVector<int64_t> result;
  for (APInt v : dense.getValues<APInt>())
    result.push_back(zext ? static_cast<int64_t>(v.getZExtValue())
                          : v.getSExtValue());
  return result;
}

std::optional<SmallVector<int64_t>> knownIntegers(const ValueInfo &info) {
  if (!info.present())
    return std::nullopt;
  if (info.data) {
    SmallVector<int64_t> result;
    for (Dim d : *info.data) {
      if (!d.isConst())
        return std::nullopt;
      result.push_back(d.value());
    }
    return result;
  }
  return integersOf(info.constant);
}

std::optional<SmallVector<double>> knownFloats(const ValueInfo &info) {
  constexpr int64_t most = 64;
  SmallVector<double> result;
  if (auto integers = knownIntegers(info)) {
    if (integers->size() > most)
      return std::nullopt;
    llvm::append_range(result, *integers);
    return result;
  }
  auto dense = dyn_cast_or_null<DenseElementsAttr>(info.constant);
  if (!dense || !isa<FloatType>(dense.getElementType()) ||
      dense.getNumElements() > most)
    return std::nullopt;
  for (APFloat v : dense.getValues<APFloat>()) {
    bool lost;
    v.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
    result.push_back(v.convertToDouble());
  }
  return result;
}

void setFloats(ValueInfo &info, ArrayRef<double> values) {
  auto type = dyn_cast<FloatType>(info.elementType);
  if (!type || !info.hasStaticShape())
    return;
  RankedTensorType shape = tensorType(info.dims, type);
  if (shape.getNumElements() != static_cast<int64_t>(values.size()))
    return;
  SmallVector<APFloat> elements;
  for (double v : values) {
    bool lost;
    elements.emplace_back(v).convert(type.getFloatSemantics(),
                                     APFloat::rmNearestTiesToEven, &lost);
  }
  info.constant = DenseElementsAttr::get(shape, elements);
}

LogicalResult sameElementType(InferContext &ctx, unsigned i, unsigned j) {
  Type a = ctx.in(i).elementType, b = ctx.in(j).elementType;
  if (a == b)
    return success();
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "inputs " << i << " and " << j << " must have one element type; found "
     << a << " and " << b;
  return ctx.error(text);
}

LogicalResult requireType(InferContext &ctx, unsigned i, bool (*allowed)(Type),
                          StringRef what) {
  Type type = ctx.in(i).elementType;
  if (allowed(type))
    return success();
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "input " << i << " must be " << what << "; found " << type;
  return ctx.error(text);
}

LogicalResult checkOutputs(InferContext &ctx) {
  for (unsigned i = 0; i < ctx.numOutputs(); ++i) {
    if (!ctx.hasOutput(i))
      continue;
    if (ctx.out(i).rank() > 32)
      return ctx.unsupported("output " + Twine(i) + " has rank " +
                             Twine(ctx.out(i).rank()) + "; at most 32 is");
    int64_t count = 1;
    bool overflow = false;
    for (Dim d : ctx.out(i).dims) {
      if (!d)
        return ctx.unsupported("the size of output " + Twine(i) +
                               " is not known from the sizes of the inputs");
      if (!d.isConst())
        continue;
      if (d.value() < 0)
        return ctx.error("output " + Twine(i) + " has a negative size, " +
                         Twine(d.value()));
      if (d.value() > 0)
        overflow |= llvm::MulOverflow(count, d.value(), count);
    }
    if (overflow || count > (int64_t(1) << 36))
      return ctx.error("output " + Twine(i) +
                       " would have more elements than memory can hold: " +
                       ctx.out(i).str());
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

TypedAttr scalarAttr(Type type, double value) {
  if (isa<FloatType>(type))
    return FloatAttr::get(type, value);
  return IntegerAttr::get(type, static_cast<int64_t>(value));
}

Value scalar(OpBuilder &b, Location loc, Type type, double value) {
  return arith::ConstantOp::create(b, loc, scalarAttr(type, value));
}

Value integer(OpBuilder &b, Location loc, Type type, int64_t value) {
  return arith::ConstantOp::create(b, loc, IntegerAttr::get(type, value));
}

TypedAttr lowest(Type type, bool isUnsigned) {
  if (auto f = dyn_cast<FloatType>(type))
    return FloatAttr::get(type, APFloat::getInf(f.getFloatSemantics(), true));
  unsigned width = type.getIntOrFloatBitWidth();
  return IntegerAttr::get(type, isUnsigned ? APInt::getMinValue(width)
                                           : APInt::getSignedMinValue(width));
}

TypedAttr highest(Type type, bool isUnsigned) {
  if (auto f = dyn_cast<FloatType>(type))
    return FloatAttr::get(type, APFloat::getInf(f.getFloatSemantics()));
  unsigned width = type.getIntOrFloatBitWidth();
  return IntegerAttr::get(type, isUnsigned ? APInt::getMaxValue(width)
                                           : APInt::getSignedMaxValue(width));
}

Value widen(OpBuilder &b, Location loc, Value value) {
  Type type = value.getType();
  if (!type.isF16() && !type.isBF16())
    return value;
  return arith::ExtFOp::create(b, loc, b.getF32Type(), value);
}

Value narrow(OpBuilder &b, Location loc, Value value, Type type) {
  if (value.getType() == type)
    return value;
  if (isa<FloatType>(type)) {
    if (type.getIntOrFloatBitWidth() > value.getType().getIntOrFloatBitWidth())
      return arith::ExtFOp::create(b, loc, type, value);
    return arith::TruncFOp::create(b, loc, type, value);
  }
  if (type.getIntOrFloatBitWidth() > value.getType().getIntOrFloatBitWidth())
    return arith::ExtUIOp::create(b, loc, type, value);
  return arith::TruncIOp::create(b, loc, type, value);
}

Value toIndex(OpBuilder &b, Location loc, Value value, Type onnxType) {
  if (isUnsigned(onnxType))
    return arith::IndexCastUIOp::create(b, loc, b.getIndexType(), value);
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), value);
}

Value wrapAndClamp(OpBuilder &b, Location loc, Value index, Value size) {
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value negative =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, index, zero);
  Value shifted = arith::AddIOp::create(b, loc, index, size);
  Value wrapped = arith::SelectOp::create(b, loc, negative, shifted, index);
  Value last = arith::SubIOp::create(b, loc, size, one);
  Value clamped = arith::MinSIOp::create(b, loc, wrapped, last);
  return arith::MaxSIOp::create(b, loc, clamped, zero);
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

RankedTensorType tensorType(ArrayRef<Dim> dims, Type element) {
  SmallVector<int64_t> shape;
  for (Dim d : dims)
    shape.push_back(d.isConst() ? d.value() : ShapedType::kDynamic);
  return RankedTensorType::get(shape, element);
}

SmallVector<OpFoldResult> sizesOf(ExpandContext &ctx, ArrayRef<Dim> dims) {
  SmallVector<OpFoldResult> sizes;
  for (Dim d : dims)
    sizes.push_back(ctx.size(d));
  return sizes;
}

SmallVector<OpFoldResult> zeros(ExpandContext &ctx, int64_t n) {
  return SmallVector<OpFoldResult>(n, ctx.b.getIndexAttr(0));
}

Value castTo(ExpandContext &ctx, Value value, RankedTensorType type) {
  if (value.getType() == type)
    return value;
  return tensor::CastOp::create(ctx.b, ctx.loc, type, value);
}

Value input(ExpandContext &ctx, unsigned i) {
  return castTo(ctx, ctx.in(i), ctx.typeOf(ctx.inInfo(i)));
}

void give(ExpandContext &ctx, unsigned i, Value value) {
  if (ctx.hasOutput(i))
    ctx.setResult(i, castTo(ctx, value, ctx.typeOf(ctx.outInfo(i))));
}

ElementsAttr constantOf(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  return constant ? dyn_cast<ElementsAttr>(constant.getValue())
                  : ElementsAttr();
}

/// The same bytes under another static shape, or null.
static ElementsAttr reshapeConstant(ElementsAttr constant,
                                    RankedTensorType type) {
  if (auto dense = dyn_cast<DenseElementsAttr>(constant))
    return dense.reshape(type);
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(constant))
    return DenseResourceElementsAttr::get(type, resource.getRawHandle());
  return {};
}

namespace {
/// Dimensions [from0, from1) hold as many elements as [to0, to1).
struct Group {
  size_t from0, from1, to0, to1;
};
} // namespace

/// The finest grouping in which each group's products are known to agree.
static SmallVector<Group> groupDims(ArrayRef<Dim> from, ArrayRef<Dim> to) {
  SmallVector<Group> groups;
  size_t i = 0, j = 0;
  while (i < from.size() && j < to.size()) {
    bool found = false;
    for (size_t span = 2; !found && span <= from.size() - i + to.size() - j;
         ++span)
      for (size_t k = 1; !found && k < span; ++k) {
        size_t l = span - k;
        if (i + k > from.size() || j + l > to.size())
          continue;
        if (productOf(from.slice(i, k)) == productOf(to.slice(j, l))) {
          groups.push_back({i, i + k, j, j + l});
          i += k, j += l;
          found = true;
        }
      }
    if (!found)
      break;
  }
  if (i == from.size() && j == to.size())
    return groups;
  // What is left (ones, or sizes only a run can compare) joins one group.
  bool ones = i == from.size() || j == to.size();
  if (ones && !groups.empty()) {
    groups.back().from1 = from.size();
    groups.back().to1 = to.size();
  } else {
    groups.push_back({i, from.size(), j, to.size()});
  }
  return groups;
}

static RankedTensorType midType(ArrayRef<Group> groups, ArrayRef<Dim> dims,
                                bool ofFrom, Type element) {
  SmallVector<int64_t> shape;
  for (const Group &g : groups) {
    size_t begin = ofFrom ? g.from0 : g.to0, end = ofFrom ? g.from1 : g.to1;
    Product p = productOf(dims.slice(begin, end - begin));
    bool dynamic = llvm::any_of(dims.slice(begin, end - begin),
                                [](Dim d) { return !d.isConst(); });
    shape.push_back(dynamic ? ShapedType::kDynamic : p.coefficient);
  }
  return RankedTensorType::get(shape, element);
}

/// A tensor of one element to or from rank 0.
static Value reshapeScalar(ExpandContext &ctx, Value value, ArrayRef<Dim> from,
                           ArrayRef<Dim> to) {
  Type element = cast<RankedTensorType>(value.getType()).getElementType();
  int64_t rank = std::max(from.size(), to.size());
  auto ones = RankedTensorType::get(SmallVector<int64_t>(rank, 1), element);
  auto none = RankedTensorType::get({}, element);
  SmallVector<ReassociationIndices> nothing;
  if (to.empty())
    return tensor::CollapseShapeOp::create(ctx.b, ctx.loc, none,
                                           castTo(ctx, value, ones), nothing);
  SmallVector<OpFoldResult> sizes(rank, ctx.b.getIndexAttr(1));
  Value expanded = tensor::ExpandShapeOp::create(ctx.b, ctx.loc, ones, value,
                                                 nothing, sizes);
  return castTo(ctx, expanded, tensorType(to, element));
}

Value reshape(ExpandContext &ctx, Value value, ArrayRef<Dim> from,
              ArrayRef<Dim> to) {
  if (from == to)
    return value;
  Type element = cast<RankedTensorType>(value.getType()).getElementType();
  RankedTensorType toType = tensorType(to, element);
  value = castTo(ctx, value, tensorType(from, element));
  if (ElementsAttr constant = constantOf(value))
    if (toType.hasStaticShape() &&
        toType.getNumElements() == constant.getNumElements())
      if (ElementsAttr moved = reshapeConstant(constant, toType))
        return arith::ConstantOp::create(ctx.b, ctx.loc,
                                         cast<TypedAttr>(moved));
  // Of nothing, only the shape is left: products of 0 tell no groups apart.
  if (productOf(to).coefficient == 0)
    return ctx.empty(to, element);
  if (from.empty() || to.empty())
    return from.empty() && to.empty() ? value
                                      : reshapeScalar(ctx, value, from, to);
  SmallVector<Group> groups = groupDims(from, to);
  SmallVector<ReassociationIndices> fromGroups, toGroups;
  for (const Group &g : groups) {
    fromGroups.push_back(
        llvm::to_vector<2>(llvm::seq<int64_t>(g.from0, g.from1)));
    toGroups.push_back(llvm::to_vector<2>(llvm::seq<int64_t>(g.to0, g.to1)));
  }
  if (groups.size() != from.size())
    value = tensor::CollapseShapeOp::create(
        ctx.b, ctx.loc, midType(groups, from, true, element), value,
        fromGroups);
  value = castTo(ctx, value, midType(groups, to, false, element));
  if (groups.size() != to.size())
    value = tensor::ExpandShapeOp::create(ctx.b, ctx.loc, toType, value,
                                          toGroups, sizesOf(ctx, to));
  return value;
}

/// A constant's bytes with dimensions permuted, or null where it is too odd.
static DenseElementsAttr transposeConstant(ElementsAttr constant,
                                           ArrayRef<int64_t> perm) {
  auto type = cast<RankedTensorType>(constant.getType());
  unsigned bits = type.getElementType().getIntOrFloatBitWidth();
  if (bits % 8 != 0)
    return {};
  SmallVector<int64_t> shape;
  for (int64_t p : perm)
    shape.push_back(type.getDimSize(p));
  auto to = RankedTensorType::get(shape, type.getElementType());
  ArrayRef<char> bytes;
  if (auto dense = dyn_cast<DenseElementsAttr>(constant)) {
    if (dense.isSplat())
      return dense.resizeSplat(to);
    bytes = dense.getRawData();
  } else if (auto resource = dyn_cast<DenseResourceElementsAttr>(constant)) {
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      bytes = blob->getData();
  }
  size_t width = bits / 8, count = type.getNumElements();
  if (bytes.size() != width * count)
    return {};
  SmallVector<int64_t> strides(perm.size(), 1), step, at(perm.size(), 0);
  for (int64_t i = perm.size() - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * type.getDimSize(i + 1);
  for (int64_t p : perm)
    step.push_back(strides[p]);
  std::vector<char> out(bytes.size());
  int64_t source = 0;
  for (size_t n = 0; n < count; ++n) {
    std::copy_n(bytes.data() + source * width, width, out.data() + n * width);
    for (int64_t d = perm.size() - 1; d >= 0; --d) {
      source += step[d];
      if (++at[d] < shape[d])
        break;
      source -= step[d] * shape[d];
      at[d] = 0;
    }
  }
  return DenseElementsAttr::getFromRawBuffer(to, out);
}

Value transpose(ExpandContext &ctx, Value value, ArrayRef<Dim> from,
                ArrayRef<int64_t> perm) {
  if (llvm::equal(perm, llvm::seq<int64_t>(0, perm.size())))
    return value;
  SmallVector<Dim> to;
  SmallVector<int64_t> moved;
  for (int64_t p : perm) {
    to.push_back(from[p]);
    if (!from[p].isConst(1))
      moved.push_back(p);
  }
  if (ElementsAttr constant = constantOf(value))
    if (DenseElementsAttr out = transposeConstant(constant, perm))
      return arith::ConstantOp::create(ctx.b, ctx.loc, out);
  if (llvm::is_sorted(moved))
    return reshape(ctx, value, from, to);
  Type element = cast<RankedTensorType>(value.getType()).getElementType();
  return linalg::TransposeOp::create(ctx.b, ctx.loc, value,
                                     ctx.empty(to, element), perm)
      ->getResult(0);
}

/// Offsets of nothing are 0: the verifiers refuse one at the end.
static SmallVector<OpFoldResult> startOfEmpty(ExpandContext &ctx,
                                              ArrayRef<OpFoldResult> offsets,
                                              ArrayRef<Dim> sizes) {
  SmallVector<OpFoldResult> result(offsets);
  for (auto [offset, size] : llvm::zip(result, sizes))
    if (size.isConst(0))
      offset = ctx.b.getIndexAttr(0);
  return result;
}

static bool isEmpty(ArrayRef<Dim> sizes) {
  return llvm::any_of(sizes, [](Dim d) { return d.isConst(0); });
}

Value slice(ExpandContext &ctx, Value value, ArrayRef<OpFoldResult> offsets,
            ArrayRef<Dim> sizes, ArrayRef<int64_t> steps) {
  if (isEmpty(sizes)) // no offset is within an empty dimension
    return ctx.empty(sizes,
                     cast<RankedTensorType>(value.getType()).getElementType());
  SmallVector<OpFoldResult> strides;
  for (int64_t s : steps)
    strides.push_back(ctx.b.getIndexAttr(s));
  if (strides.empty())
    strides.assign(sizes.size(), ctx.b.getIndexAttr(1));
  Type element = cast<RankedTensorType>(value.getType()).getElementType();
  Value part = tensor::ExtractSliceOp::create(ctx.b, ctx.loc, value,
                                              startOfEmpty(ctx, offsets, sizes),
                                              sizesOf(ctx, sizes), strides);
  return castTo(ctx, part, tensorType(sizes, element));
}

Value insert(ExpandContext &ctx, Value part, Value whole,
             ArrayRef<OpFoldResult> offsets, ArrayRef<Dim> sizes) {
  if (isEmpty(sizes))
    return whole;
  SmallVector<OpFoldResult> strides(sizes.size(), ctx.b.getIndexAttr(1));
  Type element = cast<RankedTensorType>(part.getType()).getElementType();
  part = castTo(ctx, part, tensorType(sizes, element));
  return tensor::InsertSliceOp::create(ctx.b, ctx.loc, part, whole,
                                       startOfEmpty(ctx, offsets, sizes),
                                       sizesOf(ctx, sizes), strides);
}

Value generic(ExpandContext &ctx, ValueRange inputs, ArrayRef<AffineMap> maps,
              Value init, Body body) {
  AffineMap outMap = maps.back();
  SmallVector<utils::IteratorType> iterators(outMap.getNumDims(),
                                             utils::IteratorType::reduction);
  for (AffineExpr e : outMap.getResults())
    if (auto dim = dyn_cast<AffineDimExpr>(e))
      iterators[dim.getPosition()] = utils::IteratorType::parallel;
  auto op = linalg::GenericOp::create(
      ctx.b, ctx.loc, TypeRange(init.getType()), inputs, ValueRange(init), maps,
      iterators, [&](OpBuilder &b, Location loc, ValueRange args) {
        linalg::YieldOp::create(b, loc, body(b, loc, args));
      });
  return op.getResult(0);
}

AffineMap broadcastMap(ExpandContext &ctx, ArrayRef<Dim> from,
                       ArrayRef<Dim> to) {
  MLIRContext *context = ctx.b.getContext();
  SmallVector<AffineExpr> reads;
  size_t shift = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) {
    Dim have = from[i], want = to[i + shift];
    if (have.isConst(1) && !want.isConst(1)) {
      reads.push_back(getAffineConstantExpr(0, context));
      continue;
    }
    if (have != want)
      ctx.checkEqual(have, want, "a dimension to broadcast");
    reads.push_back(getAffineDimExpr(i + shift, context));
  }
  return AffineMap::get(to.size(), 0, reads, context);
}

AffineMap droppedMap(MLIRContext *context, ArrayRef<bool> mask) {
  SmallVector<AffineExpr> reads;
  for (auto [i, dropped] : llvm::enumerate(mask))
    if (!dropped)
      reads.push_back(getAffineDimExpr(i, context));
  return AffineMap::get(mask.size(), 0, reads, context);
}

Value generate(ExpandContext &ctx, const ValueInfo &info, Body body) {
  AffineMap map = ctx.b.getMultiDimIdentityMap(info.rank());
  return generic(ctx, {}, {map}, ctx.empty(info),
                 [&](OpBuilder &b, Location loc, ValueRange) {
                   SmallVector<Value> at;
                   for (int64_t d = 0; d < info.rank(); ++d)
                     at.push_back(linalg::IndexOp::create(b, loc, d));
                   return body(b, loc, at);
                 });
}

void check(ExpandContext &ctx, Value condition, const Twine &what) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << ctx.type();
  if (auto name = dyn_cast<NameLoc>(ctx.op.getLoc()))
    os << " node \"" << name.getName().getValue() << '"';
  os << ": " << what;
  lnn::CheckOp::create(ctx.b, ctx.loc, condition, ctx.b.getStringAttr(text));
}

void checkRange(ExpandContext &ctx, Value tensor, Type onnxType, Value low,
                Value high, const Twine &what) {
  auto type = cast<RankedTensorType>(tensor.getType());
  Type i8 = ctx.b.getI8Type();
  Value init = ctx.filled({}, ctx.b.getIntegerAttr(i8, 1));
  int64_t rank = type.getRank();
  AffineMap none = AffineMap::get(rank, 0, {}, ctx.b.getContext());
  Value all = generic(
      ctx, tensor, {ctx.b.getMultiDimIdentityMap(rank), none}, init,
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        Value i = toIndex(b, loc, args[0], onnxType);
        Value above =
            arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, i, low);
        Value below =
            arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, i, high);
        Value in = arith::AndIOp::create(b, loc, above, below);
        return arith::AndIOp::create(
            b, loc, arith::ExtUIOp::create(b, loc, i8, in), args[1]);
      });
  Value flag = tensor::ExtractOp::create(ctx.b, ctx.loc, all, ValueRange());
  Value zero = integer(ctx.b, ctx.loc, i8, 0);
  check(ctx,
        arith::CmpIOp::create(ctx.b, ctx.loc, arith::CmpIPredicate::ne, flag,
                              zero),
        what);
}

bool giveKnown(ExpandContext &ctx) {
  for (unsigned i = 0; i < ctx.numOutputs(); ++i)
    if (ctx.hasOutput(i) && !ctx.outInfo(i).data)
      return false;
  OpBuilder &b = ctx.b;
  for (unsigned i = 0; i < ctx.numOutputs(); ++i) {
    if (!ctx.hasOutput(i))
      continue;
    const ValueInfo &info = ctx.outInfo(i);
    RankedTensorType type = ctx.typeOf(info);
    Type element = type.getElementType();
    bool constant = llvm::all_of(*info.data, [](Dim d) { return d.isConst(); });
    if (constant && type.hasStaticShape()) {
      SmallVector<APInt> values;
      for (Dim d : *info.data)
        values.push_back(APInt(element.getIntOrFloatBitWidth(), d.value(), true,
                               /*implicitTrunc=*/true));
      ctx.setResult(i, arith::ConstantOp::create(
                           b, ctx.loc, DenseElementsAttr::get(type, values)));
      continue;
    }
    SmallVector<Value> elements;
    for (Dim d : *info.data)
      elements.push_back(
          arith::IndexCastOp::create(b, ctx.loc, element, ctx.index(d)));
    ctx.setResult(i,
                  tensor::FromElementsOp::create(b, ctx.loc, type, elements));
  }
  return true;
}

} // namespace lnn::onnx
