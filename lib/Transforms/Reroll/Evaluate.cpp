//===- Evaluate.cpp - values of small constant expressions ----------------===//
//
// In double precision: to recognize constants that an exporter computed, not
// to compute any.
//
//===----------------------------------------------------------------------===//
#include "Evaluate.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>

using namespace mlir;
using namespace lnn;
using namespace lnn::reroll;

static int64_t count(ArrayRef<int64_t> shape) {
  int64_t n = 1;
  for (int64_t size : shape)
    n *= size;
  return n;
}

std::optional<Values> lnn::reroll::valuesOf(ElementsAttr attr, int64_t most) {
  auto dense = dyn_cast_or_null<DenseElementsAttr>(attr);
  if (!dense || dense.getNumElements() > most)
    return std::nullopt;
  Values values;
  values.shape.assign(dense.getType().getShape().begin(),
                      dense.getType().getShape().end());
  values.elements.reserve(dense.getNumElements());
  if (isa<FloatType>(dense.getElementType())) {
    for (const APFloat &v : dense.getValues<APFloat>())
      values.elements.push_back(v.convertToDouble());
    return values;
  }
  if (!isa<IntegerType>(dense.getElementType()))
    return std::nullopt;
  for (const APInt &v : dense.getValues<APInt>())
    values.elements.push_back(double(v.getSExtValue()));
  return values;
}

/// An element's index in a tensor that is broadcast to `shape`, from its index
/// there.
static int64_t broadcastIndex(ArrayRef<int64_t> from, ArrayRef<int64_t> shape,
                              int64_t index) {
  int64_t result = 0, stride = 1;
  for (int64_t d = shape.size() - 1, k = int64_t(from.size()) - 1; d >= 0;
       --d, --k) {
    int64_t at = index % shape[d];
    index /= shape[d];
    if (k < 0)
      continue;
    result += from[k] == 1 ? 0 : at * stride;
    stride *= from[k];
  }
  return result;
}

using Binary = double (*)(double, double);
using Unary = double (*)(double);

static Binary binary(StringRef name) {
  return llvm::StringSwitch<Binary>(name)
      .Case("Add", [](double a, double b) { return a + b; })
      .Case("Sub", [](double a, double b) { return a - b; })
      .Case("Mul", [](double a, double b) { return a * b; })
      .Case("Div", [](double a, double b) { return a / b; })
      .Default(nullptr);
}

static Unary unary(StringRef name) {
  return llvm::StringSwitch<Unary>(name)
      .Case("Sigmoid", [](double a) { return 1 / (1 + std::exp(-a)); })
      .Case("Tanh", [](double a) { return std::tanh(a); })
      .Case("Exp", [](double a) { return std::exp(a); })
      .Case("Neg", [](double a) { return -a; })
      .Case("Softplus",
            [](double a) {
              return std::log1p(std::exp(-std::fabs(a))) + std::max(a, 0.0);
            })
      .Default(nullptr);
}

/// Sums over the axes that operand 1 names.
static std::optional<Values>
reduceSum(const Label &label, ArrayRef<Values> operands, Values result) {
  if (operands.size() != 2 || operands[1].elements.empty())
    return std::nullopt;
  const Values &data = operands[0];
  int64_t rank = data.shape.size();
  SmallVector<char> reduced(rank, 0);
  for (double axis : operands[1].elements) {
    int64_t d = int64_t(axis) + (axis < 0 ? rank : 0);
    if (d < 0 || d >= rank)
      return std::nullopt;
    reduced[d] = 1;
  }
  for (int64_t i = 0, n = data.elements.size(); i < n; ++i) {
    int64_t rest = i, at = 0, stride = 1;
    for (int64_t d = rank - 1; d >= 0; --d) {
      int64_t k = rest % data.shape[d];
      rest /= data.shape[d];
      if (reduced[d])
        continue;
      at += k * stride;
      stride *= data.shape[d];
    }
    result.elements[at] += data.elements[i];
  }
  return result;
}

std::optional<Values> lnn::reroll::evaluate(const Label &label,
                                            ArrayRef<Values> operands) {
  auto type = label.types.size() == 1
                  ? dyn_cast<RankedTensorType>(label.types[0])
                  : RankedTensorType();
  if (!type || !type.hasStaticShape() || !type.getElementType().isF32() ||
      label.loop || label.original || label.domain || operands.empty())
    return std::nullopt;
  Values result;
  result.shape.assign(type.getShape().begin(), type.getShape().end());
  result.elements.assign(type.getNumElements(), 0);
  StringRef name = label.type;
  if (name == "Unsqueeze" || name == "Squeeze" || name == "Reshape" ||
      name == "Flatten") {
    result.elements = operands[0].elements;
    return int64_t(result.elements.size()) == count(result.shape)
               ? std::optional(result)
               : std::nullopt;
  }
  if (name == "ReduceSum")
    return reduceSum(label, operands, std::move(result));
  if (Unary f = unary(name)) {
    for (auto [to, from] :
         llvm::zip_equal(result.elements, operands[0].elements))
      to = f(from);
    return result;
  }
  if (Binary f = binary(name); f && operands.size() == 2) {
    for (int64_t i = 0, n = result.elements.size(); i < n; ++i)
      result.elements[i] =
          f(operands[0]
                .elements[broadcastIndex(operands[0].shape, result.shape, i)],
            operands[1]
                .elements[broadcastIndex(operands[1].shape, result.shape, i)]);
    return result;
  }
  return std::nullopt;
}
