//===- Roles.cpp - what function arguments and results are to a session ---===//
//
// Arguments and results carry lnn.name, lnn.role, lnn.dims, lnn.dtype; a state
// argument names the result that replaces it in lnn.next, and that result may
// name the argument in lnn.prev.
//
//===----------------------------------------------------------------------===//
#include "lnn/Dialect/Lnn/Lnn.h"

#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace lnn;

namespace {
/// One argument or result of a function.
struct Port {
  mutable FunctionOpInterface function;
  bool isArgument;
  unsigned number;

  Type type() const {
    return isArgument ? function.getArgumentTypes()[number]
                      : function.getResultTypes()[number];
  }
  template <typename AttrT> AttrT get(StringRef key) const {
    return isArgument
               ? function.getArgAttrOfType<AttrT>(number, key)
               : dyn_cast_or_null<AttrT>(function.getResultAttr(number, key));
  }
  /// Its name: given, or as the border calls it.
  std::string name() const {
    if (auto given = get<StringAttr>("lnn.name"); given && !given.empty())
      return given.str();
    return (isArgument ? "arg" : "out") + std::to_string(number);
  }
  InFlightDiagnostic error() const {
    return function.emitError()
           << (isArgument ? "argument" : "result") << " #" << number << " ('"
           << name() << "') of @" << function.getName() << ": ";
  }
};
} // namespace

static LogicalResult verifyText(const Port &port, NamedAttribute attribute) {
  if (auto text = dyn_cast<StringAttr>(attribute.getValue());
      text && !text.empty())
    return success();
  return port.error() << attribute.getName()
                      << " must be a string that isn't empty, found "
                      << attribute.getValue();
}

static LogicalResult verifyName(const Port &port, NamedAttribute attribute) {
  if (failed(verifyText(port, attribute)))
    return failure();
  for (unsigned i = 0; i < port.number; ++i)
    if (Port{port.function, port.isArgument, i}.name() == port.name())
      return port.error() << (port.isArgument ? "argument" : "result") << " #"
                          << i << " has the same lnn.name";
  return success();
}

static LogicalResult verifyRole(const Port &port, NamedAttribute attribute) {
  if (failed(verifyText(port, attribute)))
    return failure();
  StringRef role = cast<StringAttr>(attribute.getValue()).getValue();
  bool known = port.isArgument
                   ? role == "input" || role == "dt" || role == "state"
                   : role == "output" || role == "state";
  if (known)
    return success();
  return port.error() << "lnn.role is '" << role << "'; "
                      << (port.isArgument ? "input, dt or state"
                                          : "output or state")
                      << " was expected";
}

/// The port on the other side that has this name, if any.
static std::optional<Port> partnerOf(const Port &port, StringRef name) {
  unsigned count = port.isArgument ? port.function.getNumResults()
                                   : port.function.getNumArguments();
  for (unsigned i = 0; i < count; ++i)
    if (Port other{port.function, !port.isArgument, i}; other.name() == name)
      return other;
  return std::nullopt;
}

/// lnn.next of an argument, lnn.prev of a result.
static LogicalResult verifyPartner(const Port &port, NamedAttribute attribute) {
  if (failed(verifyText(port, attribute)))
    return failure();
  StringRef name = cast<StringAttr>(attribute.getValue()).getValue();
  std::optional<Port> other = partnerOf(port, name);
  if (!other) {
    if (port.isArgument)
      return port.error() << "state '" << port.name()
                          << "' is to be replaced by result '" << name
                          << "', but there is no such result";
    return port.error() << "it is to replace state '" << name
                        << "', but there is no such argument";
  }
  auto a = dyn_cast<RankedTensorType>(port.type()),
       b = dyn_cast<RankedTensorType>(other->type());
  if (!a || !b || a.getElementType() != b.getElementType() ||
      failed(verifyCompatibleShape(a, b)))
    return port.error() << "it is of type " << port.type() << ", but "
                        << (port.isArgument ? "result" : "argument") << " '"
                        << name << "', its "
                        << (port.isArgument ? "next" : "previous")
                        << " value, is of type " << other->type();
  return success();
}

static LogicalResult verifyDims(const Port &port, NamedAttribute attribute) {
  auto names = dyn_cast<ArrayAttr>(attribute.getValue());
  auto type = dyn_cast<RankedTensorType>(port.type());
  if (!names || !type || static_cast<int64_t>(names.size()) != type.getRank())
    return port.error() << "lnn.dims must have one entry for each dimension of "
                        << port.type() << ", found " << attribute.getValue();
  for (auto [i, entry] : llvm::enumerate(names)) {
    auto size = dyn_cast<IntegerAttr>(entry);
    if (!isa<StringAttr>(entry) &&
        !(size && size.getValue().isSignedIntN(64) && size.getInt() >= 0))
      return port.error() << "lnn.dims[" << i
                          << "] must be a name or a size, found " << entry;
    if (size && !type.isDynamicDim(i) && size.getInt() != type.getDimSize(i))
      return port.error() << "lnn.dims[" << i << "] is " << size.getInt()
                          << ", but its type is " << type;
  }
  return success();
}

static LogicalResult verifyPort(Operation *op, bool isArgument, unsigned number,
                                NamedAttribute attribute) {
  StringRef key = attribute.getName();
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function)
    return op->emitOpError()
           << "has " << key
           << " on an argument or result, which belongs on those of functions";
  Port port{function, isArgument, number};
  if (key == "lnn.name")
    return verifyName(port, attribute);
  if (key == "lnn.role")
    return verifyRole(port, attribute);
  if (key == "lnn.dims")
    return verifyDims(port, attribute);
  if (key == "lnn.dtype")
    return verifyText(port, attribute);
  if (key == (isArgument ? "lnn.next" : "lnn.prev"))
    return verifyPartner(port, attribute);
  return port.error() << "unknown attribute " << key
                      << "; lnn.name, lnn.role, lnn.dims, lnn.dtype or "
                      << (isArgument ? "lnn.next" : "lnn.prev")
                      << " was expected";
}

LogicalResult LnnDialect::verifyRegionArgAttribute(Operation *op,
                                                   unsigned region,
                                                   unsigned argument,
                                                   NamedAttribute attribute) {
  return verifyPort(op, true, argument, attribute);
}

LogicalResult LnnDialect::verifyRegionResultAttribute(
    Operation *op, unsigned region, unsigned result, NamedAttribute attribute) {
  return verifyPort(op, false, result, attribute);
}

LogicalResult LnnDialect::verifyOperationAttribute(Operation *op,
                                                   NamedAttribute attribute) {
  StringRef key = attribute.getName();
  if (key == "lnn.role" || key == "lnn.next" || key == "lnn.prev" ||
      key == "lnn.dims")
    return op->emitOpError()
           << "has " << key
           << ", which belongs on a function's argument or result";
  return success();
}
