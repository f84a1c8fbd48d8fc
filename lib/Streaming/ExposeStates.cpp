//===- ExposeStates.cpp - states that start from zeros become arguments ---===//
#include "Locality.h"
#include "Thaw.h"
#include "lnn/Streaming/Edit.h"
#include "lnn/Streaming/FreeSizes.h"
#include "lnn/Streaming/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

namespace lnn {
#define GEN_PASS_DEF_LNNEXPOSESTATES
#include "lnn/Streaming/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;
using namespace lnn::onnx;
using namespace lnn::streaming;

//===----------------------------------------------------------------------===//
// The time axis
//===----------------------------------------------------------------------===//

/// Whether the size that varies is one that a recurrence runs along, or else
/// one that a convolution runs along that is padded in front.
enum class Drives { Nothing, Convolution, Recurrence };

/// A convolution along what varies, or a padding in front of it.
static bool looksBack(NodeOp node, const Sensitivity &s) {
  if (node.getOpType() != "Conv" && node.getOpType() != "Pad")
    return false;
  Value x = node.getInputs()[0];
  for (int64_t axis : s.axes(x)) {
    if (node.getOpType() == "Conv") {
      if (axis >= 2)
        return true;
      continue;
    }
    auto pads = node.getInputs().size() > 1 ? integersOf(node.getInputs()[1])
                                            : std::nullopt;
    if (pads && int64_t(pads->size()) == 2 * s.at(x).rank() &&
        (*pads)[axis] > 0)
      return true;
  }
  return false;
}

static Drives drives(func::FuncOp function, const Sensitivity &s) {
  Drives result = Drives::Nothing;
  for (NodeOp node : function.getBody().front().getOps<NodeOp>()) {
    if (node.getDomainAttr() || node.getInputs().empty())
      continue;
    StringRef type = node.getOpType();
    NodeView view(node);
    bool runs = false;
    if (type == "GRU" || type == "LSTM" || type == "RNN") {
      runs = s.varies(node.getInputs()[0], view.intAttr("layout", 0) ? 1 : 0);
    } else if (type == "Loop") {
      runs = s.contentsVary(node.getInputs()[0]) || indexedInLoop(node, s);
    } else if (type == "Scan") {
      auto axes = view.intsAttr("scan_input_axes");
      unsigned count = view.intAttr("num_scan_inputs", 0);
      unsigned states = node.getInputs().size() - count;
      for (unsigned i = 0; i < count; ++i) {
        int64_t axis = axes && i < axes->size() ? (*axes)[i] : 0;
        Value v = node.getInputs()[states + i];
        runs |= s.varies(v, axis < 0 ? axis + s.at(v).rank() : axis);
      }
    } else if (looksBack(node, s)) {
      result = Drives::Convolution;
    }
    if (runs)
      return Drives::Recurrence;
  }
  return result;
}

/// Dimensions of the arguments that may have one size: of one name, or one by
/// one where the size is fixed.
static SmallVector<SmallVector<ArgumentDim>> candidates(func::FuncOp function) {
  SmallVector<SmallVector<ArgumentDim>> result;
  llvm::MapVector<StringAttr, SmallVector<ArgumentDim>> named;
  for (BlockArgument argument : function.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    unsigned number = argument.getArgNumber();
    auto names = function.getArgAttrOfType<ArrayAttr>(number, "lnn.dims");
    for (int64_t k = 0; type && k < type.getRank(); ++k) {
      auto name = names && k < int64_t(names.size())
                      ? dyn_cast<StringAttr>(names[k])
                      : StringAttr();
      if (type.isDynamicDim(k) && name)
        named[name].push_back({number, k});
      else if (type.isDynamicDim(k) || type.getDimSize(k) > 1)
        result.push_back({ArgumentDim{number, k}});
    }
  }
  for (auto &[name, dims] : named)
    result.push_back(dims);
  return result;
}

/// A size to probe with where none is given.
static int64_t probeSize(func::FuncOp function, ArgumentDim dim) {
  auto type =
      cast<RankedTensorType>(function.getArgument(dim.argument).getType());
  return type.isDynamicDim(dim.axis) ? 1013 : type.getDimSize(dim.axis);
}

/// The dimensions along time. Where their size is fixed it becomes free.
static FailureOr<SmallVector<ArgumentDim>> findTime(func::FuncOp function) {
  SmallVector<ArgumentDim> recurrent, convolved;
  for (ArrayRef<ArgumentDim> dims : candidates(function)) {
    Sensitivity s(function, dims, probeSize(function, dims.front()));
    Drives kind = drives(function, s);
    if (kind == Drives::Recurrence)
      recurrent.append(dims.begin(), dims.end());
    else if (kind == Drives::Convolution)
      convolved.append(dims.begin(), dims.end());
  }
  SmallVector<ArgumentDim> time = recurrent.empty() ? convolved : recurrent;
  if (time.empty())
    return function.emitError(
               "not supported: streaming: no recurrence or convolution runs "
               "along a dimension of an input"),
           failure();
  if (failed(freeSize(function, time, "time")))
    return failure();
  return time;
}

//===----------------------------------------------------------------------===//
// Exposing
//===----------------------------------------------------------------------===//

namespace {
/// Adds arguments and results to a function.
class Exposer {
public:
  Exposer(func::FuncOp function) : function(function), b(function) {
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      taken.insert(argumentName(function, i));
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      if (auto name = function.getResultAttrOfType<StringAttr>(i, "lnn.name"))
        taken.insert(name.getValue());
  }
  LogicalResult begin() { return analysis.run(function); }
  LogicalResult expose(const Exposure &exposure);
  LogicalResult finish();

private:
  func::FuncOp function;
  OpBuilder b;
  Analysis analysis; // before anything is changed
  llvm::StringSet<> taken;
  unsigned added = 0;

  LogicalResult exposeInitial(NodeOp node, unsigned operand);
  LogicalResult exposeRecurrent(NodeOp node, unsigned operand);
  LogicalResult exposePadding(const Exposure &exposure);
  NodeOp withOutputs(NodeOp node, ArrayRef<Type> types);
  std::string unique(StringRef name);
  FailureOr<Value> addState(NodeOp node, StringRef what, const ValueInfo &info);
  void addResult(Value argument, Value next);
  llvm::DenseMap<Operation *, NodeOp> replaced;
  llvm::DenseMap<Value, Value> originals; // of values made since
  const ValueInfo &infoOf(Value v) const {
    for (auto it = originals.find(v); it != originals.end();
         it = originals.find(v))
      v = it->second;
    return analysis.info(v);
  }
  NodeOp now(NodeOp node) {
    auto it = replaced.find(node);
    return it == replaced.end() ? node : it->second;
  }
};
} // namespace

std::string Exposer::unique(StringRef name) {
  std::string result = name.str();
  for (unsigned i = 2; !taken.insert(result).second; ++i)
    result = (name + "." + Twine(i)).str();
  return result;
}

static StringRef numpyName(Type element) {
  if (element.isF64())
    return "float64";
  if (element.isF16())
    return "float16";
  if (element.isBF16())
    return "bfloat16";
  if (element.isInteger(1))
    return "bool";
  if (auto integer = dyn_cast<IntegerType>(element)) {
    bool isUnsigned = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 8:
      return isUnsigned ? "uint8" : "int8";
    case 16:
      return isUnsigned ? "uint16" : "int16";
    case 32:
      return isUnsigned ? "uint32" : "int32";
    default:
      return isUnsigned ? "uint64" : "int64";
    }
  }
  return "float32";
}

/// A new argument for a state of that type; addResult says what replaces it.
FailureOr<Value> Exposer::addState(NodeOp node, StringRef what,
                                   const ValueInfo &info) {
  SmallVector<int64_t> shape;
  SmallVector<Attribute> dims;
  for (Dim d : info.dims) {
    if (!d.isConst() && (!d.isSymbol() || StringRef(d.str()).contains('#'))) {
      (void)NodeView(node).unsupported("the size " + Twine(d.str()) +
                                       " of its state is not a size of the "
                                       "model's inputs");
      return failure();
    }
    shape.push_back(d.isConst() ? d.value() : ShapedType::kDynamic);
    dims.push_back(d.isConst() ? Attribute(b.getI64IntegerAttr(d.value()))
                               : Attribute(b.getStringAttr(d.str())));
  }
  StringRef place = nameOf(node);
  std::string base =
      place.empty() ? (node.getOpType() + Twine(added)).str() : place.str();
  ++added;
  auto attributes = b.getDictionaryAttr(
      {b.getNamedAttr("lnn.name",
                      b.getStringAttr(unique(base + "." + what.str()))),
       b.getNamedAttr("lnn.role", b.getStringAttr("state")),
       b.getNamedAttr("lnn.dims", b.getArrayAttr(dims)),
       b.getNamedAttr("lnn.dtype",
                      b.getStringAttr(numpyName(info.elementType)))});
  unsigned number = function.getNumArguments();
  if (failed(function.insertArgument(
          number, RankedTensorType::get(shape, info.elementType), attributes,
          node.getLoc())))
    return failure();
  return Value(function.getArgument(number));
}

void Exposer::addResult(Value argument, Value next) {
  unsigned in = cast<BlockArgument>(argument).getArgNumber(),
           out = function.getNumResults();
  std::string name = argumentName(function, in),
              nextName = unique(name + ".next");
  function.setArgAttr(in, "lnn.role", b.getStringAttr("state"));
  function.setArgAttr(in, "lnn.next", b.getStringAttr(nextName));
  auto attributes = b.getDictionaryAttr(
      {b.getNamedAttr("lnn.name", b.getStringAttr(nextName)),
       b.getNamedAttr("lnn.role", b.getStringAttr("state")),
       b.getNamedAttr("lnn.prev", b.getStringAttr(name)),
       b.getNamedAttr("lnn.dims",
                      function.getArgAttrOfType<ArrayAttr>(in, "lnn.dims")),
       b.getNamedAttr("lnn.dtype",
                      function.getArgAttrOfType<StringAttr>(in, "lnn.dtype"))});
  (void)function.insertResult(out, next.getType(), attributes);
  Operation *end = function.getBody().front().getTerminator();
  end->insertOperands(end->getNumOperands(), next);
}

/// A state of a Scan or a value carried by a Loop.
LogicalResult Exposer::exposeInitial(NodeOp node, unsigned operand) {
  Value init = node.getInputs()[operand];
  unsigned result = node.getOpType() == "Loop" ? operand - 2 : operand;
  Value state = init;
  if (!isa<BlockArgument>(init)) {
    FailureOr<Value> added = addState(node, "state", infoOf(init));
    if (failed(added))
      return failure();
    state = *added;
    node->setOperand(operand, state);
  }
  addResult(state, node.getOutputs()[result]);
  return success();
}

/// The node with these results; those it has already are replaced.
NodeOp Exposer::withOutputs(NodeOp node, ArrayRef<Type> types) {
  b.setInsertionPoint(node);
  SmallVector<Type> all(types);
  for (auto [i, v] : llvm::enumerate(node.getOutputs()))
    if (!isa<NoneType>(v.getType()))
      all[i] = v.getType();
  SmallVector<Value> inputs(node.getInputs());
  Value none;
  while (inputs.size() < (node.getOpType() == "LSTM" ? 7u : 6u)) {
    if (!none)
      none = NoneOp::create(b, node.getLoc(), b.getNoneType());
    inputs.push_back(none);
  }
  auto made = NodeOp::create(
      b, node.getLoc(), all, inputs, node.getOpTypeAttr(), node.getDomainAttr(),
      node.getOpset(), node.getNodeAttrsAttr(), ArrayAttr(), 0);
  for (auto [from, to] : llvm::zip(node.getOutputs(), made.getOutputs())) {
    from.replaceAllUsesWith(to);
    originals[to] = from;
  }
  replaced[node] = made;
  return made;
}

LogicalResult Exposer::exposeRecurrent(NodeOp node, unsigned operand) {
  NodeView view(node);
  bool lstm = node.getOpType() == "LSTM",
       batchFirst = view.intAttr("layout", 0);
  const ValueInfo &x = infoOf(node.getInputs()[0]),
                  &r = infoOf(node.getInputs()[2]);
  ValueInfo info;
  info.elementType = x.elementType;
  Dim one = analysis.dims.constant(1), batch = x.dims[batchFirst ? 0 : 1];
  info.dims = {batchFirst ? batch : one, batchFirst ? one : batch, r.dims[2]};
  Value state;
  if (view.hasInput(operand) && isa<BlockArgument>(node.getInputs()[operand])) {
    state = node.getInputs()[operand];
  } else {
    FailureOr<Value> added =
        addState(node, operand == 5 ? "initial_h" : "initial_c", info);
    if (failed(added))
      return failure();
    state = *added;
  }
  NodeOp made = now(node);
  if (made == node) {
    SmallVector<Type> types(lstm ? 3 : 2, state.getType());
    types[0] = b.getNoneType();
    made = withOutputs(node, types);
  }
  made->setOperand(operand, state);
  addResult(state, made.getOutputs()[operand == 5 ? 1 : 2]);
  return success();
}

/// The same attributes, but for pads along an axis of a Conv.
static DictionaryAttr withoutFrontPad(OpBuilder &b, NodeOp conv, int64_t axis) {
  SmallVector<NamedAttribute> kept;
  for (NamedAttribute attribute : conv.getNodeAttrs())
    if (attribute.getName() != "pads")
      kept.push_back(attribute);
  SmallVector<int64_t> pads(*NodeView(conv).intsAttr("pads"));
  pads[axis - 2] = 0;
  kept.push_back(b.getNamedAttr("pads", b.getDenseI64ArrayAttr(pads)));
  return b.getDictionaryAttr(kept);
}

/// What stands in front of the piece: the state, whose next value is the end of
/// both.
LogicalResult Exposer::exposePadding(const Exposure &exposure) {
  NodeOp node = exposure.node;
  int64_t axis = exposure.axis;
  Value x = node.getInputs()[exposure.operand];
  ValueInfo info = infoOf(x);
  Dim length = analysis.dims.add(info.dims[axis],
                                 analysis.dims.constant(exposure.length));
  info.dims[axis] = analysis.dims.constant(exposure.length);
  FailureOr<Value> state = addState(node, "past", info);
  if (failed(state))
    return failure();
  b.setInsertionPoint(node);
  Location loc = node.getLoc();
  SmallVector<int64_t> shape(cast<RankedTensorType>(x.getType()).getShape());
  shape[axis] = length.isConst() ? length.value() : ShapedType::kDynamic;
  auto type = RankedTensorType::get(shape, info.elementType);
  Value both =
      streaming::node(b, loc, "Concat", {*state, x}, type,
                      {b.getNamedAttr("axis", b.getI64IntegerAttr(axis))});
  addResult(*state,
            slice(b, loc, both, axis, -exposure.length,
                  std::numeric_limits<int64_t>::max(), state->getType()));
  if (node.getOpType() == "Conv") {
    node->setOperand(0, both);
    node.setNodeAttrsAttr(withoutFrontPad(b, node, axis));
    return success();
  }
  if (node.getOpType() == "Concat") {
    node.getOutputs()[0].replaceAllUsesWith(both);
    originals[both] = node.getOutputs()[0];
    return success();
  }
  // A Pad: what it pads elsewhere stays.
  SmallVector<int64_t> pads(*integersOf(node.getInputs()[1]));
  unsigned place = axis;
  if (NodeView(node).hasInput(3))
    for (auto [k, a] : llvm::enumerate(*integersOf(node.getInputs()[3])))
      if (a == axis || a + int64_t(shape.size()) == axis)
        place = k;
  pads[place] = 0;
  node->setOperand(0, both);
  node->setOperand(1, integers(b, loc, pads));
  return success();
}

LogicalResult Exposer::expose(const Exposure &exposure) {
  switch (exposure.kind) {
  case Exposure::Initial:
    return exposeInitial(exposure.node, exposure.operand);
  case Exposure::Recurrent:
    return exposeRecurrent(exposure.node, exposure.operand);
  case Exposure::Padding:
    return exposePadding(exposure);
  }
  return failure();
}

LogicalResult Exposer::finish() {
  for (auto [old, made] : replaced)
    old->erase();
  Analysis after;
  if (failed(after.run(function)))
    return failure();
  Block &body = function.getBody().front();
  function.setType(b.getFunctionType(
      body.getArgumentTypes(),
      SmallVector<Type>(body.getTerminator()->getOperandTypes())));
  return success();
}

namespace {
struct LnnExposeStates : lnn::impl::LnnExposeStatesBase<LnnExposeStates> {
  using LnnExposeStatesBase::LnnExposeStatesBase;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    bool wanted = function->hasAttr("lnn.streaming") || force;
    function->removeAttr("lnn.streaming");
    if (!wanted || function.isExternal())
      return;
    if (function.getBody().front().getOps<NodeOp>().empty()) {
      function.emitError("not supported: streaming is for models imported from "
                         "ONNX");
      return signalPassFailure();
    }
    if (failed(run(function)))
      signalPassFailure();
  }

  LogicalResult run(func::FuncOp function) {
    auto time = findTime(function);
    if (failed(time))
      return failure();
    Sensitivity s(function, *time, 1013);
    if (s.firstProbe().failed() || s.secondProbe().failed())
      return function.emitError(s.firstProbe().failed()
                                    ? s.firstProbe().why()
                                    : s.secondProbe().why());
    Locality locality(function, s);
    if (failed(locality.run()))
      return failure();
    Exposer exposer(function);
    if (failed(exposer.begin()))
      return failure();
    for (const Exposure &exposure : locality.exposures)
      if (failed(exposer.expose(exposure)))
        return failure();
    return exposer.finish();
  }
};
} // namespace
