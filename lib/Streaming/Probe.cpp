//===- Probe.cpp - what follows from one size of a model ------------------===//
#include "lnn/Streaming/Probe.h"

#include "mlir/IR/Diagnostics.h"

using namespace mlir;
using namespace lnn::onnx;
using namespace lnn::streaming;

namespace {
/// Gives arguments another size, and back the old one.
class Resized {
public:
  Resized(func::FuncOp function, ArrayRef<ArgumentDim> dims, int64_t size)
      : function(function) {
    Builder b(function.getContext());
    for (auto [number, axis] : dims) {
      BlockArgument argument = function.getArgument(number);
      auto type = cast<RankedTensorType>(argument.getType());
      saved.push_back(
          {number, type,
           function.getArgAttrOfType<ArrayAttr>(number, "lnn.dims")});
      SmallVector<int64_t> shape(type.getShape());
      shape[axis] = size;
      argument.setType(RankedTensorType::get(shape, type.getElementType()));
      if (ArrayAttr names = saved.back().names) {
        SmallVector<Attribute> now(names.begin(), names.end());
        now[axis] = b.getI64IntegerAttr(size);
        function.setArgAttr(number, "lnn.dims", b.getArrayAttr(now));
      }
    }
  }
  ~Resized() {
    for (Saved &old : llvm::reverse(saved)) {
      function.getArgument(old.argument).setType(old.type);
      if (old.names)
        function.setArgAttr(old.argument, "lnn.dims", old.names);
    }
  }

private:
  struct Saved {
    unsigned argument;
    RankedTensorType type;
    ArrayAttr names;
  };
  func::FuncOp function;
  SmallVector<Saved> saved;
};
} // namespace

Probe::Probe(func::FuncOp function, ArrayRef<ArgumentDim> dims, int64_t size) {
  Resized resized(function, dims, size);
  ScopedDiagnosticHandler handler(
      function.getContext(), [&](Diagnostic &diagnostic) {
        if (message.empty() &&
            diagnostic.getSeverity() == DiagnosticSeverity::Error)
          message = diagnostic.str();
        return success();
      });
  if (mlir::failed(analysis.run(function)) && message.empty())
    message = "its sizes do not fit";
}

/// The next prime: no factor of a shape divides it.
static int64_t primeAfter(int64_t n) {
  auto isPrime = [](int64_t p) {
    for (int64_t d = 2; d * d <= p; ++d)
      if (p % d == 0)
        return false;
    return true;
  };
  do
    ++n;
  while (!isPrime(n));
  return n;
}

Sensitivity::Sensitivity(func::FuncOp function, ArrayRef<ArgumentDim> dims,
                         int64_t size)
    : firstSize(size), secondSize(primeAfter(2 * size + 1000)),
      first(function, dims, firstSize), second(function, dims, secondSize) {}

/// As it is written, without the numbers of symbols that were made up.
static std::string textOf(Dim d) {
  std::string text;
  bool number = false;
  for (char c : d.str()) {
    number = c == '#' || (number && c >= '0' && c <= '9');
    if (!number)
      text += c;
  }
  return text;
}

// Each probe has dimensions of its own; what they are written as is compared.
static bool differ(Dim a, Dim b) {
  return a.isConst() && b.isConst() ? a.value() != b.value()
                                    : textOf(a) != textOf(b);
}

bool Sensitivity::varies(Value v, int64_t axis) const {
  const ValueInfo &a = at(v), &b = other(v);
  return a.present() && b.present() && axis >= 0 && axis < a.rank() &&
         axis < b.rank() && differ(a.dims[axis], b.dims[axis]);
}

SmallVector<int64_t> Sensitivity::axes(Value v) const {
  SmallVector<int64_t> result;
  for (int64_t k = 0; k < at(v).rank(); ++k)
    if (varies(v, k))
      result.push_back(k);
  return result;
}

bool Sensitivity::contentsVary(Value v) const {
  const ValueInfo &a = at(v), &b = other(v);
  if (!a.data || !b.data)
    return false;
  if (a.data->size() != b.data->size())
    return true;
  for (auto [x, y] : llvm::zip(*a.data, *b.data))
    if (differ(x, y))
      return true;
  return false;
}

std::optional<int64_t> Sensitivity::excess(Value v, int64_t axis) const {
  if (!varies(v, axis))
    return std::nullopt;
  Dim a = at(v).dims[axis], b = other(v).dims[axis];
  if (!a.isConst() || !b.isConst() ||
      a.value() - firstSize != b.value() - secondSize)
    return std::nullopt;
  return a.value() - firstSize;
}
