//===- Integers.cpp - integer constants of an ONNX graph ------------------===//
#include "Integers.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using lnn::onnx::NodeOp;

namespace lnn::raise {

constexpr int64_t maxElements = 1 << 20;
constexpr unsigned maxDepth = 128;

static std::optional<int64_t> countOf(ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t size : shape)
    if (size < 0 || (size > 0 && count > maxElements / size))
      return std::nullopt;
    else
      count *= size;
  return count;
}

int64_t integerAttribute(NodeOp node, StringRef name, int64_t otherwise) {
  auto value = node.getNodeAttrs().getAs<IntegerAttr>(name);
  return value ? value.getInt() : otherwise;
}

const Integers *IntegerConstants::of(Value value) {
  auto [it, fresh] = known.try_emplace(value, nullptr);
  if (!fresh)
    return it->second.get();
  if (depth >= maxDepth)
    return nullptr;
  ++depth;
  std::unique_ptr<Integers> made = compute(value);
  --depth;
  return (known[value] = std::move(made)).get();
}

static std::unique_ptr<Integers> ofElements(ElementsAttr attribute) {
  auto dense = dyn_cast_or_null<DenseElementsAttr>(attribute);
  if (!dense || !isa<IntegerType>(dense.getElementType()) ||
      dense.getNumElements() > maxElements)
    return nullptr;
  auto result = std::make_unique<Integers>();
  llvm::append_range(result->shape, dense.getType().getShape());
  bool isBool = dense.getElementType().isInteger(1);
  for (const APInt &v : dense.getValues<APInt>())
    result->elements.push_back(isBool ? v.getZExtValue() : v.getSExtValue());
  return result;
}

std::unique_ptr<Integers> IntegerConstants::compute(Value value) {
  ElementsAttr attribute;
  if (matchPattern(value, m_Constant(&attribute)))
    return ofElements(attribute);
  auto node = value.getDefiningOp<NodeOp>();
  if (!node || node.getNumResults() != 1)
    return nullptr;
  std::unique_ptr<Integers> result = computeNode(node);
  std::optional<int64_t> count = result ? countOf(result->shape) : std::nullopt;
  return count && *count == result->size() ? std::move(result) : nullptr;
}

/// Calls with the place in each operand, for every element of the broadcast.
static bool forEachBroadcast(ArrayRef<const Integers *> operands,
                             SmallVectorImpl<int64_t> &shape,
                             llvm::function_ref<void(ArrayRef<int64_t>)> body) {
  size_t rank = shape.size();
  for (const Integers *operand : operands)
    rank = std::max(rank, operand->shape.size());
  shape.insert(shape.begin(), rank - shape.size(), 1);
  for (const Integers *operand : operands)
    for (size_t d = 0; d < operand->shape.size(); ++d) {
      int64_t &size = shape[rank - operand->shape.size() + d];
      if (size == 1)
        size = operand->shape[d];
      else if (operand->shape[d] != 1 && operand->shape[d] != size)
        return false;
    }
  std::optional<int64_t> count = countOf(shape);
  if (!count)
    return false;
  SmallVector<int64_t> places(operands.size());
  for (int64_t i = 0; i < *count; ++i) {
    for (auto [n, operand] : llvm::enumerate(operands)) {
      int64_t rest = i, stride = 1, place = 0;
      for (int64_t d = rank - 1, k = int64_t(operand->shape.size()) - 1;
           d >= 0 && k >= 0; --d, --k) {
        int64_t at = rest % shape[d];
        rest /= shape[d];
        place += operand->shape[k] == 1 ? 0 : at * stride;
        stride *= operand->shape[k];
      }
      places[n] = place;
    }
    body(places);
  }
  return true;
}

static std::unique_ptr<Integers>
elementwise(ArrayRef<const Integers *> operands,
            llvm::function_ref<int64_t(ArrayRef<int64_t>)> function) {
  auto result = std::make_unique<Integers>();
  SmallVector<int64_t> values(operands.size());
  bool fits =
      forEachBroadcast(operands, result->shape, [&](ArrayRef<int64_t> places) {
        for (auto [n, place] : llvm::enumerate(places))
          values[n] = operands[n]->elements[place];
        result->elements.push_back(function(values));
      });
  return fits ? std::move(result) : nullptr;
}

static int64_t wrapping(uint64_t value) { return static_cast<int64_t>(value); }

static std::unique_ptr<Integers> concat(ArrayRef<const Integers *> operands,
                                        int64_t axis) {
  size_t rank = operands.front()->shape.size();
  axis = axis < 0 ? axis + int64_t(rank) : axis;
  if (axis < 0 || axis >= int64_t(rank))
    return nullptr;
  auto result = std::make_unique<Integers>();
  result->shape = operands.front()->shape;
  result->shape[axis] = 0;
  int64_t outer = 1;
  for (int64_t d = 0; d < axis; ++d)
    outer *= result->shape[d];
  for (const Integers *operand : operands) {
    if (operand->shape.size() != rank)
      return nullptr;
    result->shape[axis] += operand->shape[axis];
    for (size_t d = 0; d < rank; ++d)
      if (int64_t(d) != axis && operand->shape[d] != result->shape[d])
        return nullptr;
  }
  for (int64_t i = 0; i < outer; ++i)
    for (const Integers *operand : operands) {
      int64_t block = outer ? operand->size() / outer : 0;
      auto from = operand->elements.begin() + i * block;
      result->elements.insert(result->elements.end(), from, from + block);
    }
  return result;
}

std::optional<SmallVector<SliceRange>>
sliceOf(NodeOp node, ArrayRef<int64_t> shape, IntegerConstants &constants) {
  unsigned inputs = node.getInputs().size();
  if (inputs < 3 || llvm::any_of(shape, ShapedType::isDynamic))
    return std::nullopt;
  const Integers *parts[4] = {nullptr, nullptr, nullptr, nullptr};
  for (unsigned i = 1; i < std::min(inputs, 5u); ++i) {
    Value input = node.getInputs()[i];
    if (isa<NoneType>(input.getType()))
      continue;
    parts[i - 1] = constants.of(input);
    if (!parts[i - 1])
      return std::nullopt;
  }
  auto [starts, ends, axes, steps] = parts;
  if (!starts || !ends || starts->size() != ends->size() ||
      (axes && axes->size() != starts->size()) ||
      (steps && steps->size() != starts->size()))
    return std::nullopt;
  SmallVector<SliceRange> result;
  for (int64_t size : shape)
    result.push_back({0, 1, size});
  for (int64_t i = 0; i < starts->size(); ++i) {
    int64_t axis = axes ? axes->elements[i] : i,
            step = steps ? steps->elements[i] : 1;
    axis = axis < 0 ? axis + int64_t(shape.size()) : axis;
    if (axis < 0 || axis >= int64_t(shape.size()) || step < 1)
      return std::nullopt;
    auto place = [&](int64_t at) {
      at = at < 0 ? at + shape[axis] : at;
      return std::clamp<int64_t>(at, 0, shape[axis]);
    };
    int64_t from = place(starts->elements[i]), to = place(ends->elements[i]);
    result[axis] = {from, step, to > from ? (to - from + step - 1) / step : 0};
  }
  return result;
}

static std::unique_ptr<Integers> slice(const Integers &from,
                                       ArrayRef<SliceRange> ranges) {
  auto result = std::make_unique<Integers>();
  int64_t count = 1;
  for (const SliceRange &range : ranges) {
    result->shape.push_back(range.count);
    count *= range.count;
  }
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, place = 0, stride = 1;
    for (int64_t d = ranges.size() - 1; d >= 0; --d) {
      place +=
          (ranges[d].start + rest % ranges[d].count * ranges[d].step) * stride;
      rest /= ranges[d].count;
      stride *= from.shape[d];
    }
    result->elements.push_back(from.elements[place]);
  }
  return result;
}

/// A shape that is not computed from elements: the types say it.
static std::unique_ptr<Integers> reshaped(const Integers &from, NodeOp node) {
  auto type = dyn_cast<RankedTensorType>(node.getOutputs()[0].getType());
  if (!type || !type.hasStaticShape())
    return nullptr;
  auto result = std::make_unique<Integers>(from);
  result->shape.assign(type.getShape().begin(), type.getShape().end());
  return result;
}

std::unique_ptr<Integers> IntegerConstants::computeNode(NodeOp node) {
  StringRef op = node.getOpType();
  if (op == "Shape") {
    auto type = dyn_cast<RankedTensorType>(node.getInputs()[0].getType());
    if (!type || !type.hasStaticShape() ||
        node.getNodeAttrs().contains("start") ||
        node.getNodeAttrs().contains("end"))
      return nullptr;
    auto result = std::make_unique<Integers>();
    result->shape.push_back(type.getRank());
    result->elements.assign(type.getShape().begin(), type.getShape().end());
    return result;
  }
  auto type = dyn_cast<RankedTensorType>(node.getOutputs()[0].getType());
  if (!type || !isa<IntegerType>(type.getElementType()))
    return nullptr;
  if (op == "Slice") {
    const Integers *from = of(node.getInputs()[0]);
    auto ranges = from ? sliceOf(node, from->shape, *this) : std::nullopt;
    return ranges ? slice(*from, *ranges) : nullptr;
  }
  if (op == "ConstantOfShape") {
    const Integers *shape = of(node.getInputs()[0]);
    std::unique_ptr<Integers> value =
        ofElements(node.getNodeAttrs().getAs<ElementsAttr>("value"));
    std::optional<int64_t> count =
        shape ? countOf(shape->elements) : std::nullopt;
    if (!count || !value || value->size() != 1)
      return nullptr;
    auto result = std::make_unique<Integers>();
    llvm::append_range(result->shape, shape->elements);
    result->elements.assign(*count, value->elements[0]);
    return result;
  }
  SmallVector<const Integers *> operands;
  for (Value input : node.getInputs()) {
    operands.push_back(of(input));
    if (!operands.back())
      return nullptr;
  }
  if (operands.empty())
    return nullptr;
  if (op == "Reshape" || op == "Unsqueeze" || op == "Squeeze" ||
      op == "Identity" || op == "Flatten")
    return reshaped(*operands[0], node);
  if (op == "Concat")
    return concat(operands, integerAttribute(node, "axis", 0));
  if (op == "Where" && operands.size() == 3)
    return elementwise(operands,
                       [](ArrayRef<int64_t> v) { return v[0] ? v[1] : v[2]; });
  if (op == "Expand" && operands.size() == 2) {
    Integers shape;
    llvm::append_range(shape.shape, operands[1]->elements);
    std::optional<int64_t> count = countOf(shape.shape);
    if (!count)
      return nullptr;
    shape.elements.assign(*count, 0);
    return elementwise({operands[0], &shape},
                       [](ArrayRef<int64_t> v) { return v[0]; });
  }
  if (operands.size() != 2)
    return nullptr;
  if (op == "Add")
    return elementwise(operands, [](ArrayRef<int64_t> v) {
      return wrapping(uint64_t(v[0]) + uint64_t(v[1]));
    });
  if (op == "Sub")
    return elementwise(operands, [](ArrayRef<int64_t> v) {
      return wrapping(uint64_t(v[0]) - uint64_t(v[1]));
    });
  if (op == "Mul")
    return elementwise(operands, [](ArrayRef<int64_t> v) {
      return wrapping(uint64_t(v[0]) * uint64_t(v[1]));
    });
  if (op == "Equal")
    return elementwise(
        operands, [](ArrayRef<int64_t> v) -> int64_t { return v[0] == v[1]; });
  return nullptr;
}

} // namespace lnn::raise
