//===- OpTable.cpp - the operators' table and what its entries use --------===//
#include "lnn/Frontend/Onnx/OpTable.h"
#include "lnn/Dialect/Lnn/Lnn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::onnx;

//===----------------------------------------------------------------------===//
// ValueInfo
//===----------------------------------------------------------------------===//

bool ValueInfo::hasStaticShape() const {
  return llvm::all_of(dims, [](Dim d) { return d.isConst(); });
}

std::string ValueInfo::str() const {
  if (!present())
    return "nothing";
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "tensor<";
  for (Dim d : dims)
    os << d.str() << "x";
  os << elementType << ">";
  return text;
}

//===----------------------------------------------------------------------===//
// NodeView
//===----------------------------------------------------------------------===//

bool NodeView::hasInput(unsigned i) const {
  NodeOp node = op;
  return i < node.getInputs().size() &&
         !isa<NoneType>(node.getInputs()[i].getType());
}

bool NodeView::hasOutput(unsigned i) const {
  NodeOp node = op;
  return i < node.getOutputs().size() &&
         !isa<NoneType>(node.getOutputs()[i].getType());
}

Attribute NodeView::attr(StringRef name) const {
  NodeOp node = op;
  return node.getNodeAttrs().get(name);
}

int64_t NodeView::intAttr(StringRef name, int64_t otherwise) const {
  auto value = dyn_cast_or_null<IntegerAttr>(attr(name));
  return value ? value.getValue().getSExtValue() : otherwise;
}

double NodeView::floatAttr(StringRef name, double otherwise) const {
  auto value = dyn_cast_or_null<FloatAttr>(attr(name));
  return value ? value.getValueAsDouble() : otherwise;
}

StringRef NodeView::strAttr(StringRef name, StringRef otherwise) const {
  auto value = dyn_cast_or_null<StringAttr>(attr(name));
  return value ? value.getValue() : otherwise;
}

std::optional<SmallVector<int64_t>> NodeView::intsAttr(StringRef name) const {
  if (auto list = dyn_cast_or_null<DenseI64ArrayAttr>(attr(name)))
    return SmallVector<int64_t>(list.asArrayRef());
  return std::nullopt;
}

std::optional<SmallVector<double>> NodeView::floatsAttr(StringRef name) const {
  auto list = dyn_cast_or_null<DenseF32ArrayAttr>(attr(name));
  if (!list)
    return std::nullopt;
  return SmallVector<double>(list.asArrayRef().begin(),
                             list.asArrayRef().end());
}

std::optional<SmallVector<std::string>>
NodeView::stringsAttr(StringRef name) const {
  auto list = dyn_cast_or_null<ArrayAttr>(attr(name));
  if (!list)
    return std::nullopt;
  SmallVector<std::string> result;
  for (Attribute a : list)
    if (auto text = dyn_cast<StringAttr>(a))
      result.push_back(text.str());
  return result;
}

ElementsAttr NodeView::tensorAttr(StringRef name) const {
  return dyn_cast_or_null<ElementsAttr>(attr(name));
}

Region *NodeView::bodyAttr(StringRef name) const {
  NodeOp node = op;
  if (!node.getRegionNames())
    return nullptr;
  for (auto [i, a] : llvm::enumerate(*node.getRegionNames()))
    if (auto text = dyn_cast<StringAttr>(a);
        text && text.getValue() == name && i < node.getBodies().size())
      return &node.getBodies()[i];
  return nullptr;
}

/// `Gemm node 'fc1' (opset 17): `, with the domain where it is not ONNX's own.
static std::string prefixOf(const NodeView &view) {
  NodeOp node = view.op;
  std::string text;
  llvm::raw_string_ostream os(text);
  if (node.getDomainAttr())
    os << *node.getDomain() << ".";
  os << node.getOpType() << " node";
  if (auto name = dyn_cast<NameLoc>(node.getLoc()))
    os << " '" << name.getName().getValue() << "'";
  os << " (opset " << node.getOpset() << "): ";
  return text;
}

LogicalResult NodeView::error(const Twine &message) const {
  NodeOp node = op;
  emitError(node.getLoc()) << prefixOf(*this) << message.str();
  return failure();
}

LogicalResult NodeView::unsupported(const Twine &message) const {
  NodeOp node = op;
  emitError(node.getLoc()) << prefixOf(*this)
                           << "not supported: " << message.str();
  return failure();
}

//===----------------------------------------------------------------------===//
// InferContext
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<int64_t>> InferContext::constInts(unsigned i) const {
  const ValueInfo &info = in(i);
  SmallVector<int64_t> result;
  if (info.data)
    for (Dim d : *info.data) {
      if (!d.isConst())
        return unsupported("input " + Twine(i) +
                           " must be constant, it depends on " + d.str());
      result.push_back(d.value());
    }
  else
    return unsupported("input " + Twine(i) + " must be constant");
  return result;
}

FailureOr<int64_t> InferContext::normalizeAxis(int64_t axis,
                                               int64_t rank) const {
  if (axis < -rank || axis >= rank)
    return error("axis " + Twine(axis) + " is outside of [" + Twine(-rank) +
                 ", " + Twine(rank) + ")");
  return axis < 0 ? axis + rank : axis;
}

FailureOr<SmallVector<Dim>> InferContext::broadcast(ArrayRef<Dim> a,
                                                    ArrayRef<Dim> b) const {
  if (a.size() < b.size())
    std::swap(a, b);
  SmallVector<Dim> result(a.begin(), a.end());
  size_t shift = a.size() - b.size();
  for (auto [i, other] : llvm::enumerate(b)) {
    Dim &dim = result[shift + i];
    if (dim == other || other.isConst(1))
      continue;
    if (dim.isConst(1) || (!dim.isConst() && other.isConst()))
      dim = other;
    else if (dim.isConst() && other.isConst())
      return error("the shapes don't broadcast: " + dim.str() + " against " +
                   other.str() + " in dimension " + Twine(shift + i));
  }
  return result;
}

//===----------------------------------------------------------------------===//
// ExpandContext
//===----------------------------------------------------------------------===//

Type ExpandContext::converted(Type elementType) {
  auto integer = dyn_cast<IntegerType>(elementType);
  if (!integer)
    return elementType;
  return IntegerType::get(elementType.getContext(),
                          std::max(8u, integer.getWidth()));
}

static RankedTensorType tensorOf(ArrayRef<Dim> dims, Type element) {
  SmallVector<int64_t> shape;
  for (Dim d : dims)
    shape.push_back(d.isConst() ? d.value() : ShapedType::kDynamic);
  return RankedTensorType::get(shape, element);
}

RankedTensorType ExpandContext::typeOf(const ValueInfo &info) const {
  return tensorOf(info.dims, converted(info.elementType));
}

Value ExpandContext::index(Dim dim) {
  OpFoldResult folded = size(dim);
  if (auto value = dyn_cast<Value>(folded))
    return value;
  return arith::ConstantIndexOp::create(
      b, loc, cast<IntegerAttr>(cast<Attribute>(folded)).getInt());
}

Value ExpandContext::empty(const ValueInfo &info) {
  return empty(info.dims, converted(info.elementType));
}

Value ExpandContext::empty(ArrayRef<Dim> shape, Type elementType) {
  SmallVector<OpFoldResult> sizes;
  for (Dim d : shape)
    sizes.push_back(size(d));
  return tensor::EmptyOp::create(b, loc, sizes, elementType);
}

Value ExpandContext::filled(ArrayRef<Dim> shape, TypedAttr value) {
  Value scalar = arith::ConstantOp::create(b, loc, value);
  return linalg::FillOp::create(b, loc, scalar, empty(shape, value.getType()))
      .getResult(0);
}

void ExpandContext::checkEqual(Dim a, Dim c, const Twine &what) {
  if (a == c || (a.isConst() && c.isConst()))
    return;
  Value same = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, index(a),
                                     index(c));
  std::string message =
      prefixOf(*this) + what.str() + ": " + a.str() + " must equal " + c.str();
  CheckOp::create(b, loc, same, message);
}

Value ExpandContext::elementwise(ValueRange inputs,
                                 ArrayRef<const ValueInfo *> infos,
                                 const ValueInfo &out, Body body) {
  unsigned rank = out.rank();
  SmallVector<AffineMap> maps;
  for (const ValueInfo *info : infos) {
    SmallVector<AffineExpr> exprs;
    unsigned shift = rank - info->rank();
    for (auto [i, dim] : llvm::enumerate(info->dims)) {
      Dim wanted = out.dims[shift + i];
      if (dim.isConst(1) && !wanted.isConst(1)) {
        exprs.push_back(b.getAffineConstantExpr(0));
        continue;
      }
      checkEqual(dim, wanted, "sizes of dimension " + Twine(shift + i));
      exprs.push_back(b.getAffineDimExpr(shift + i));
    }
    maps.push_back(AffineMap::get(rank, 0, exprs, b.getContext()));
  }
  maps.push_back(b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  Value init = empty(out);
  return linalg::GenericOp::create(
             b, loc, TypeRange(init.getType()), inputs, ValueRange(init), maps,
             iterators,
             [&](OpBuilder &at, Location l, ValueRange arguments) {
               linalg::YieldOp::create(at, l,
                                       body(at, l, arguments.drop_back()));
             })
      .getResult(0);
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

static const llvm::StringMap<std::vector<OpEntry>> &table() {
  static const llvm::StringMap<std::vector<OpEntry>> map = [] {
    std::vector<OpEntry> rows;
    addElementwiseOps(rows);
    addShapeOps(rows);
    addReductionOps(rows);
    addMatrixOps(rows);
    addControlFlowOps(rows);
    addRecurrentOps(rows);
    addPoolingOps(rows);
    addResizeOps(rows);
    addQuantizationOps(rows);
    addAttentionOps(rows);
    addSignalOps(rows);
    addDefinedOps(rows);
    addLossOps(rows);
    addSequenceOps(rows);
    llvm::StringMap<std::vector<OpEntry>> result;
    for (OpEntry &row : rows)
      result[row.name].push_back(row);
    return result;
  }();
  return map;
}

const OpEntry *lnn::onnx::lookup(StringRef domain, StringRef name,
                                 int64_t opset, bool *known) {
  auto it = table().find(name);
  if (known)
    *known = false;
  if (it == table().end())
    return nullptr;
  for (const OpEntry &row : it->second) {
    if (row.domain != domain)
      continue;
    if (known)
      *known = true;
    if (opset >= row.since && opset <= row.until)
      return &row;
  }
  return nullptr;
}
