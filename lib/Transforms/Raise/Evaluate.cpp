//===- Evaluate.cpp - formulas of constants -------------------------------===//
#include "Materialize.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include <cmath>

using namespace mlir;

namespace lnn::raise {

/// More elements than that are not computed while compiling.
constexpr int64_t maxElements = int64_t(1) << 24;

std::optional<SmallVector<double>> constantElements(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  Attribute attribute;
  if (!type || !formulaType(type) || !type.hasStaticShape() ||
      type.getNumElements() > maxElements ||
      !matchPattern(value, m_Constant(&attribute)))
    return std::nullopt;
  SmallVector<double> result;
  size_t count = type.getNumElements();
  if (auto dense = dyn_cast<DenseElementsAttr>(attribute)) {
    result.reserve(count);
    for (const APFloat &element : dense.getValues<APFloat>())
      result.push_back(element.convertToDouble());
    return result;
  }
  auto resource = dyn_cast<DenseResourceElementsAttr>(attribute);
  AsmResourceBlob *blob =
      resource ? resource.getRawHandle().getBlob() : nullptr;
  bool isFloat = type.getElementType().isF32();
  if (!blob || blob->getData().size() != count * (isFloat ? 4 : 8))
    return std::nullopt;
  result.resize(count);
  const char *data = blob->getData().data();
  for (size_t i = 0; i < count; ++i) {
    if (isFloat) {
      float element;
      std::memcpy(&element, data + 4 * i, 4);
      result[i] = element;
    } else {
      std::memcpy(&result[i], data + 8 * i, 8);
    }
  }
  return result;
}

namespace {
using Values = std::shared_ptr<SmallVector<double>>;

/// Evaluates each formula once, over the whole index space.
class Evaluator {
public:
  Evaluator(ArrayRef<AffineExpr> indices, ArrayRef<int64_t> shape)
      : shape(shape) {
    for (AffineExpr index : indices) {
      auto dim = dyn_cast<AffineDimExpr>(index);
      axes.push_back(dim ? std::optional<unsigned>(dim.getPosition())
                         : std::nullopt);
    }
    count = 1;
    for (int64_t size : shape)
      count *= size;
  }

  Values evaluate(F f) {
    if (count > maxElements)
      return nullptr;
    auto it = known.find(f);
    if (it != known.end())
      return it->second;
    Values values = compute(f);
    known[f] = values;
    return values;
  }

private:
  SmallVector<std::optional<unsigned>> axes;
  SmallVector<int64_t> shape;
  int64_t count;
  llvm::DenseMap<F, Values> known;

  Values compute(F f);
  Values gather(F f);
};
} // namespace

/// The elements that a constant tensor is read at.
Values Evaluator::gather(F f) {
  std::optional<SmallVector<double>> elements = constantElements(f->value);
  if (!elements)
    return nullptr;
  ArrayRef<int64_t> from =
      cast<RankedTensorType>(f->value.getType()).getShape();
  // The place in the tensor is an affine function of the point.
  int64_t offset = 0, stride = 1;
  SmallVector<int64_t> strides(shape.size(), 0), reach(shape.size(), 0);
  for (int64_t d = from.size() - 1; d >= 0; stride *= from[d], --d) {
    AffineExpr index = f->indices.getResult(d);
    int64_t constant = 0;
    if (auto sum = dyn_cast<AffineBinaryOpExpr>(index)) {
      auto rhs = dyn_cast<AffineConstantExpr>(sum.getRHS());
      if (sum.getKind() != AffineExprKind::Add || !rhs)
        return nullptr;
      constant = rhs.getValue();
      index = sum.getLHS();
    }
    if (auto fixed = dyn_cast<AffineConstantExpr>(index)) {
      constant += fixed.getValue();
    } else {
      auto dim = dyn_cast<AffineDimExpr>(index);
      auto axis =
          dim ? llvm::find(axes, std::optional(dim.getPosition())) : axes.end();
      if (axis == axes.end())
        return nullptr;
      size_t a = axis - axes.begin();
      if (constant < 0 || constant + shape[a] > from[d])
        return nullptr;
      strides[a] += stride;
    }
    if (constant < 0 || constant >= std::max<int64_t>(from[d], 1))
      return nullptr;
    offset += constant * stride;
  }
  auto values = std::make_shared<SmallVector<double>>(count);
  SmallVector<int64_t> point(shape.size(), 0);
  int64_t place = offset;
  for (int64_t i = 0; i < count; ++i) {
    (*values)[i] = (*elements)[place];
    for (int64_t d = shape.size() - 1; d >= 0; --d) {
      place += strides[d];
      if (++point[d] < shape[d])
        break;
      place -= strides[d] * shape[d];
      point[d] = 0;
    }
  }
  return values;
}

using Unary = double (*)(double);

static Unary unaryOf(F f) {
  switch (f->function) {
  case Function::Neg:
    return [](double x) { return -x; };
  case Function::Abs:
    return [](double x) { return std::fabs(x); };
  case Function::Exp:
    return [](double x) { return std::exp(x); };
  case Function::Tanh:
    return [](double x) { return std::tanh(x); };
  case Function::Sigmoid:
    return [](double x) { return 1 / (1 + std::exp(-x)); };
  default:
    break;
  }
  StringRef name = f->name.getStringRef();
  if (name == "lnn.softplus")
    return [](double x) {
      return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
    };
  if (name == "math.log")
    return [](double x) { return std::log(x); };
  if (name == "math.sqrt")
    return [](double x) { return std::sqrt(x); };
  return nullptr;
}

Values Evaluator::compute(F f) {
  auto values = std::make_shared<SmallVector<double>>();
  bool isFloat = f->type.isF32();
  auto rounded = [&](double x) {
    return isFloat ? static_cast<double>(static_cast<float>(x)) : x;
  };
  switch (f->kind) {
  case Kind::Number:
    values->assign(count, f->number);
    return values;
  case Kind::Read:
    return gather(f);
  case Kind::Scalar:
  case Kind::Sum:
    return nullptr;
  case Kind::Apply:
    break;
  }
  SmallVector<Values> operands;
  for (F operand : f->operands) {
    operands.push_back(evaluate(operand));
    if (!operands.back())
      return nullptr;
  }
  values->resize(count);
  auto binary = [&](auto function) {
    for (int64_t i = 0; i < count; ++i)
      (*values)[i] = rounded(function((*operands[0])[i], (*operands[1])[i]));
    return values;
  };
  switch (f->function) {
  case Function::Add:
    return binary([](double x, double y) { return x + y; });
  case Function::Sub:
    return binary([](double x, double y) { return x - y; });
  case Function::Mul:
    return binary([](double x, double y) { return x * y; });
  case Function::Div:
    return binary([](double x, double y) { return x / y; });
  default:
    break;
  }
  Unary function = unaryOf(f);
  if (!function || operands.size() != 1)
    return nullptr;
  for (int64_t i = 0; i < count; ++i)
    (*values)[i] = rounded(function((*operands[0])[i]));
  return values;
}

std::optional<SmallVector<double>>
evaluate(F formula, ArrayRef<AffineExpr> indices, ArrayRef<int64_t> shape) {
  if (llvm::any_of(shape, ShapedType::isDynamic))
    return std::nullopt;
  Values values = Evaluator(indices, shape).evaluate(formula);
  return values ? std::optional(*values) : std::nullopt;
}

Value constantTensor(OpBuilder &b, Location loc, RankedTensorType type,
                     ArrayRef<double> values) {
  DenseElementsAttr attribute;
  if (type.getElementType().isF32()) {
    SmallVector<float> narrow(values.begin(), values.end());
    attribute = DenseElementsAttr::get(type, ArrayRef<float>(narrow));
  } else {
    attribute = DenseElementsAttr::get(type, values);
  }
  return arith::ConstantOp::create(b, loc, attribute);
}

} // namespace lnn::raise
