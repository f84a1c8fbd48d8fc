//===- Cells.cpp - types and verifiers of cells ---------------------------===//
#include "lnn/Dialect/Lnn/Cells.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/TypeUtilities.h"
#include <cmath>

using namespace mlir;
using namespace lnn;

#include "lnn/Dialect/Lnn/LnnEnums.cpp.inc"

using Operand = std::optional<OpAsmParser::UnresolvedOperand>;

//===----------------------------------------------------------------------===//
// Weights' types, which the text leaves out: they follow from the others
//===----------------------------------------------------------------------===//

/// The last size of a tensor; dynamic where it has none.
static int64_t lastSize(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() > 0 ? tensor.getShape().back()
                                        : ShapedType::kDynamic;
}

/// The constraint every weight's type is inferred under.
static ParseResult needSizes(OpAsmParser &parser, ArrayRef<Type> types) {
  for (Type type : types)
    if (ShapedType::isDynamic(lastSize(type)))
      return parser.emitError(parser.getCurrentLocation())
             << "needs tensors whose last dimension is known, found " << type;
  return success();
}

static Type weight(Type like, ArrayRef<int64_t> shape) {
  return RankedTensorType::get(shape,
                               cast<RankedTensorType>(like).getElementType());
}

static ParseResult parseLtcTypes(OpAsmParser &parser, Type state, Type input,
                                 Type &w, Type &sigma, Type &mu, Type &erev,
                                 Type &sw, Type &ssigma, Type &smu, Type &serev,
                                 Type &cm, Type &gleak, Type &vleak) {
  if (needSizes(parser, {state, input}))
    return failure();
  int64_t n = lastSize(state), i = lastSize(input);
  w = sigma = mu = erev = weight(state, {n, n});
  sw = ssigma = smu = serev = weight(state, {i, n});
  cm = gleak = vleak = weight(state, {n});
  return success();
}
static void printLtcTypes(OpAsmPrinter &, Operation *, Type, Type, Type, Type,
                          Type, Type, Type, Type, Type, Type, Type, Type,
                          Type) {}

static ParseResult parseCfcTypes(OpAsmParser &parser, Type feature, Type result,
                                 const Operand &hasW2, const Operand &hasWa,
                                 const Operand &hasWb, const Operand &hasTau,
                                 Type &w1, Type &b1, Type &w2, Type &b2,
                                 Type &wa, Type &ba, Type &wb, Type &bb,
                                 Type &tau, Type &a) {
  if (needSizes(parser, {feature, result}))
    return failure();
  Type matrix = weight(feature, {lastSize(feature), lastSize(result)}),
       vector = weight(feature, {lastSize(result)});
  w1 = matrix;
  b1 = vector;
  if (hasW2) {
    w2 = matrix;
    b2 = vector;
  }
  if (hasWa) {
    wa = matrix;
    ba = vector;
  }
  if (hasWb) {
    wb = matrix;
    bb = vector;
  }
  if (hasTau)
    tau = a = vector;
  return success();
}
static void printCfcTypes(OpAsmPrinter &, Operation *, Type, Type, Value, Value,
                          Value, Value, Type, Type, Type, Type, Type, Type,
                          Type, Type, Type, Type) {}

static ParseResult parseCtrnnTypes(OpAsmParser &parser, Type state, Type input,
                                   Type &w, Type &r, Type &tau, Type &b) {
  if (needSizes(parser, {state, input}))
    return failure();
  int64_t n = lastSize(state);
  w = weight(state, {lastSize(input), n});
  r = weight(state, {n, n});
  tau = b = weight(state, {n});
  return success();
}
static void printCtrnnTypes(OpAsmPrinter &, Operation *, Type, Type, Type, Type,
                            Type, Type) {}

static ParseResult parseFeedbackTypes(OpAsmParser &parser, Type input,
                                      Type state, Type &f) {
  if (needSizes(parser, {state, input}))
    return failure();
  f = weight(input, {lastSize(state), lastSize(input)});
  return success();
}
static void printFeedbackTypes(OpAsmPrinter &, Operation *, Type, Type, Type) {}

static ParseResult parseTrajectoryTypes(OpAsmParser &parser, Type memory,
                                        Type &tau) {
  auto type = dyn_cast<RankedTensorType>(memory);
  if (!type || type.getRank() < 2 || type.isDynamicDim(type.getRank() - 2))
    return parser.emitError(parser.getCurrentLocation())
           << "needs a memory [..., M, N] of known M, found " << memory;
  tau = weight(memory, {type.getDimSize(type.getRank() - 2)});
  return success();
}
static void printTrajectoryTypes(OpAsmPrinter &, Operation *, Type, Type) {}

static ParseResult parseStateGateTypes(OpAsmParser &parser, Type state, Type wq,
                                       const Operand &hasBq,
                                       const Operand &hasBk,
                                       const Operand &hasBv, Type &bq, Type &wk,
                                       Type &bk, Type &wv, Type &bv, Type &w,
                                       Type &b) {
  if (needSizes(parser, {state, wq}))
    return failure();
  int64_t n = lastSize(state), d = lastSize(wq);
  wk = wq;
  wv = weight(state, {n, n});
  w = weight(state, {2 * n, n});
  b = weight(state, {n});
  if (hasBq)
    bq = weight(state, {d});
  if (hasBk)
    bk = weight(state, {d});
  if (hasBv)
    bv = weight(state, {n});
  return success();
}
static void printStateGateTypes(OpAsmPrinter &, Operation *, Type, Type, Value,
                                Value, Value, Type, Type, Type, Type, Type,
                                Type, Type) {}

static ParseResult parseCausalConvTypes(OpAsmParser &parser, Type state,
                                        const Operand &hasB,
                                        IntegerAttr dilation, Type &w,
                                        Type &b) {
  auto type = dyn_cast<RankedTensorType>(state);
  int64_t d = dilation ? dilation.getInt() : 1;
  if (d < 1)
    return parser.emitError(parser.getCurrentLocation())
           << "needs a dilation of 1 or more, found " << d;
  if (!type || type.getRank() < 2 || type.isDynamicDim(type.getRank() - 2) ||
      type.isDynamicDim(type.getRank() - 1))
    return parser.emitError(parser.getCurrentLocation())
           << "needs a state [..., K - 1, C] of known K and C, found " << state;
  int64_t c = type.getShape().back();
  w = weight(state, {type.getDimSize(type.getRank() - 2) / d + 1, c});
  if (hasB)
    b = weight(state, {c});
  return success();
}
static void printCausalConvTypes(OpAsmPrinter &, Operation *, Type, Value,
                                 IntegerAttr, Type, Type) {}

#define GET_OP_CLASSES
#include "lnn/Dialect/Lnn/LnnCells.cpp.inc"

void LnnDialect::registerCells() {
  addOperations<
#define GET_OP_LIST
#include "lnn/Dialect/Lnn/LnnCells.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Constraints that cells have in common
//===----------------------------------------------------------------------===//

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}
static int64_t lastSize(Value value) { return lastSize(value.getType()); }
static int64_t sizeFromEnd(Value value, int64_t i) {
  return typeOf(value).getDimSize(typeOf(value).getRank() - 1 - i);
}

/// `name` has a rank of at least `rank`, and its last `known` sizes are known.
static LogicalResult checkTail(Operation *op, Value value, StringRef name,
                               int64_t rank, int64_t known) {
  RankedTensorType type = typeOf(value);
  if (type.getRank() < rank)
    return op->emitOpError() << "'" << name << "' must have a rank of at least "
                             << rank << ", found " << type;
  for (int64_t i = 0; i < known; ++i)
    if (type.isDynamicDim(type.getRank() - 1 - i))
      return op->emitOpError()
             << "the last "
             << (known > 1 ? Twine(known) + " dimensions" : Twine("dimension"))
             << " of '" << name << "' must be known, found " << type;
  return success();
}

/// Two values have the same element type and agree in what is in front of their
/// last dimensions.
static LogicalResult checkLeading(Operation *op, Value a, StringRef aName,
                                  int64_t aTail, Value b, StringRef bName,
                                  int64_t bTail) {
  RankedTensorType at = typeOf(a), bt = typeOf(b);
  if (at.getElementType() != bt.getElementType())
    return op->emitOpError()
           << "'" << aName << "' and '" << bName
           << "' must have one element type, found " << at << " and " << bt;
  if (at.getRank() - aTail != bt.getRank() - bTail ||
      failed(verifyCompatibleShape(at.getShape().drop_back(aTail),
                                   bt.getShape().drop_back(bTail))))
    return op->emitOpError()
           << "'" << aName << "' and '" << bName
           << "' must have the same leading dimensions, found " << at << " and "
           << bt;
  return success();
}

/// A weight has exactly this shape; `how` says it in the op's letters. Values
/// that aren't given pass.
static LogicalResult checkWeight(Operation *op, Value value, StringRef name,
                                 ArrayRef<int64_t> shape, Type elementType,
                                 StringRef how) {
  if (!value)
    return success();
  Type wanted = RankedTensorType::get(shape, elementType);
  if (value.getType() == wanted)
    return success();
  return op->emitOpError() << "'" << name << "' must be " << how << ", "
                           << wanted << ", found " << value.getType();
}

static LogicalResult checkWiring(Operation *op, WiringAttr wiring,
                                 StringRef name, int64_t pre, int64_t post) {
  if (!wiring || (wiring.getPre() == pre && wiring.getPost() == post))
    return success();
  return op->emitOpError() << "'" << name << "' must be " << pre << " x "
                           << post << ", found " << wiring.getPre() << " x "
                           << wiring.getPost();
}

/// dt is a scalar, or one for each of the leading dimensions of a tensor of
/// this shape.
static LogicalResult checkDuration(Operation *op, Value dt,
                                   ArrayRef<int64_t> shape, Type elementType) {
  if (dt.getType() == elementType)
    return success();
  auto type = dyn_cast<RankedTensorType>(dt.getType());
  bool ok = type && type.getElementType() == elementType &&
            type.getRank() <= static_cast<int64_t>(shape.size());
  if (ok)
    for (auto [from, size] : llvm::zip(type.getShape(), shape))
      ok &= from == 1 || from == size || ShapedType::isDynamic(from) ||
            ShapedType::isDynamic(size);
  if (ok)
    return success();
  return op->emitOpError()
         << "'dt' must be " << elementType
         << " or a tensor whose dimensions are leading ones of "
         << RankedTensorType::get(shape, elementType) << " or 1, found "
         << dt.getType();
}

/// The sizes of a value are the sizes of the result.
static LogicalResult reifyAs(OpBuilder &b, Location loc, ArrayRef<Value> like,
                             ReifiedRankedShapedTypeDims &shapes) {
  for (Value value : like)
    shapes.push_back(tensor::getMixedSizes(b, loc, value));
  return success();
}

//===----------------------------------------------------------------------===//
// lnn.ltc
//===----------------------------------------------------------------------===//

LogicalResult LtcOp::verify() {
  Operation *op = getOperation();
  // C1
  if (failed(checkTail(op, getState(), "state", 1, 1)) ||
      failed(checkTail(op, getInput(), "input", 1, 1)) ||
      failed(checkLeading(op, getState(), "state", 1, getInput(), "input", 1)))
    return failure();
  Type type = typeOf(getState()).getElementType();
  int64_t n = lastSize(getState()), i = lastSize(getInput());
  // C2
  if (failed(checkDuration(op, getDt(), typeOf(getState()).getShape(), type)))
    return failure();
  // C3
  const std::pair<Value, StringRef> recurrent[] = {{getW(), "w"},
                                                   {getSigma(), "sigma"},
                                                   {getMu(), "mu"},
                                                   {getErev(), "erev"}};
  for (auto [value, name] : recurrent)
    if (failed(checkWeight(op, value, name, {n, n}, type, "[N, N]")))
      return failure();
  const std::pair<Value, StringRef> sensory[] = {
      {getSensoryW(), "sensory_w"},
      {getSensorySigma(), "sensory_sigma"},
      {getSensoryMu(), "sensory_mu"},
      {getSensoryErev(), "sensory_erev"}};
  for (auto [value, name] : sensory)
    if (failed(checkWeight(op, value, name, {i, n}, type, "[I, N]")))
      return failure();
  const std::pair<Value, StringRef> neurons[] = {
      {getCm(), "cm"}, {getGleak(), "gleak"}, {getVleak(), "vleak"}};
  for (auto [value, name] : neurons)
    if (failed(checkWeight(op, value, name, {n}, type, "[N]")))
      return failure();
  // C4
  if (failed(checkWiring(op, getWiringAttr(), "wiring", n, n)) ||
      failed(checkWiring(op, getSensoryWiringAttr(), "sensory_wiring", i, n)))
    return failure();
  // C5
  if (getUnfolds() < 1 || getUnfolds() > 65536)
    return emitOpError() << "'unfolds' must be between 1 and 65536, found "
                         << static_cast<int64_t>(getUnfolds());
  // C6
  if (getEpsilon().isNegative() || !getEpsilon().isFinite())
    return emitOpError() << "'epsilon' must be finite and not negative, found "
                         << getEpsilonAttr();
  return success();
}

LogicalResult LtcOp::reifyResultShapes(OpBuilder &b,
                                       ReifiedRankedShapedTypeDims &shapes) {
  return reifyAs(b, getLoc(), {getState()}, shapes);
}

//===----------------------------------------------------------------------===//
// lnn.cfc
//===----------------------------------------------------------------------===//

/// The feature's leading dimensions with the neurons in place of the last.
static SmallVector<int64_t> cfcShape(RankedTensorType feature, Type w1) {
  SmallVector<int64_t> shape(feature.getShape());
  shape.back() = lastSize(w1);
  return shape;
}

LogicalResult
CfcOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                        ValueRange operands, DictionaryAttr attributes,
                        OpaqueProperties properties, RegionRange regions,
                        SmallVectorImpl<Type> &types) {
  CfcOp::Adaptor adaptor(operands, attributes, properties, regions);
  auto feature = dyn_cast<RankedTensorType>(adaptor.getFeature().getType());
  if (!feature || feature.getRank() < 1)
    return emitOptionalError(location,
                             "'feature' must have a rank of at least 1, found ",
                             adaptor.getFeature().getType());
  types.push_back(RankedTensorType::get(
      cfcShape(feature, adaptor.getW1().getType()), feature.getElementType()));
  return success();
}

LogicalResult CfcOp::verify() {
  Operation *op = getOperation();
  if (failed(checkTail(op, getFeature(), "feature", 1, 1)))
    return failure();
  Type type = typeOf(getFeature()).getElementType();
  int64_t f = lastSize(getFeature()), n = lastSize(getW1());
  if (ShapedType::isDynamic(n))
    return emitOpError() << "'w1' must be [F, N] of known sizes, found "
                         << getW1().getType();
  // C1
  const std::pair<Value, StringRef> matrices[] = {
      {getW1(), "w1"}, {getW2(), "w2"}, {getWa(), "wa"}, {getWb(), "wb"}};
  for (auto [value, name] : matrices)
    if (failed(checkWeight(op, value, name, {f, n}, type, "[F, N]")))
      return failure();
  const std::pair<Value, StringRef> vectors[] = {
      {getB1(), "b1"}, {getB2(), "b2"},      {getBa(), "ba"},
      {getBb(), "bb"}, {getWTau(), "w_tau"}, {getA(), "a"}};
  for (auto [value, name] : vectors)
    if (failed(checkWeight(op, value, name, {n}, type, "[N]")))
      return failure();
  // C2
  if (failed(checkDuration(op, getDt(),
                           cfcShape(typeOf(getFeature()), getW1().getType()),
                           type)))
    return failure();
  // C3
  bool pure = getMode() == CfcMode::Pure;
  const std::pair<Value, StringRef> gated[] = {
      {getW2(), "w2"}, {getB2(), "b2"}, {getWa(), "wa"},
      {getBa(), "ba"}, {getWb(), "wb"}, {getBb(), "bb"}};
  for (auto [value, name] : gated)
    if (static_cast<bool>(value) == pure)
      return emitOpError() << "mode " << stringifyCfcMode(getMode())
                           << (pure ? " takes no '" : " needs '") << name
                           << "'";
  const std::pair<Value, StringRef> decaying[] = {{getWTau(), "w_tau"},
                                                  {getA(), "a"}};
  for (auto [value, name] : decaying)
    if (static_cast<bool>(value) != pure)
      return emitOpError() << "mode " << stringifyCfcMode(getMode())
                           << (pure ? " needs '" : " takes no '") << name
                           << "'";
  // C4
  return checkWiring(op, getWiringAttr(), "wiring", f, n);
}

LogicalResult CfcOp::reifyResultShapes(OpBuilder &b,
                                       ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(tensor::getMixedSizes(b, getLoc(), getFeature()));
  shapes.back().back() = b.getIndexAttr(lastSize(getW1()));
  return success();
}

//===----------------------------------------------------------------------===//
// lnn.ctrnn
//===----------------------------------------------------------------------===//

LogicalResult CtrnnOp::verify() {
  Operation *op = getOperation();
  // C1
  if (failed(checkTail(op, getState(), "state", 1, 1)) ||
      failed(checkTail(op, getInput(), "input", 1, 1)) ||
      failed(checkLeading(op, getState(), "state", 1, getInput(), "input", 1)))
    return failure();
  Type type = typeOf(getState()).getElementType();
  int64_t n = lastSize(getState()), i = lastSize(getInput());
  // C2, C3, C4
  if (failed(checkDuration(op, getDt(), typeOf(getState()).getShape(), type)) ||
      failed(checkWeight(op, getW(), "w", {i, n}, type, "[I, N]")) ||
      failed(checkWeight(op, getR(), "r", {n, n}, type, "[N, N]")) ||
      failed(checkWeight(op, getTau(), "tau", {n}, type, "[N]")) ||
      failed(checkWeight(op, getB(), "b", {n}, type, "[N]")) ||
      failed(checkWiring(op, getWiringAttr(), "wiring", n, n)))
    return failure();
  return checkWiring(op, getInputWiringAttr(), "input_wiring", i, n);
}

LogicalResult CtrnnOp::reifyResultShapes(OpBuilder &b,
                                         ReifiedRankedShapedTypeDims &shapes) {
  return reifyAs(b, getLoc(), {getState()}, shapes);
}

//===----------------------------------------------------------------------===//
// lnn.feedback
//===----------------------------------------------------------------------===//

LogicalResult FeedbackOp::verify() {
  Operation *op = getOperation();
  // C1
  if (failed(checkTail(op, getInput(), "input", 1, 1)) ||
      failed(checkTail(op, getState(), "state", 1, 1)) ||
      failed(checkLeading(op, getInput(), "input", 1, getState(), "state", 1)))
    return failure();
  int64_t n = lastSize(getState()), i = lastSize(getInput());
  // C2, C3
  if (failed(checkWeight(op, getF(), "f", {n, i},
                         typeOf(getInput()).getElementType(), "[N, I]")))
    return failure();
  return checkWiring(op, getWiringAttr(), "wiring", n, i);
}

LogicalResult
FeedbackOp::reifyResultShapes(OpBuilder &b,
                              ReifiedRankedShapedTypeDims &shapes) {
  return reifyAs(b, getLoc(), {getInput()}, shapes);
}

//===----------------------------------------------------------------------===//
// lnn.trajectory
//===----------------------------------------------------------------------===//

LogicalResult TrajectoryOp::verify() {
  Operation *op = getOperation();
  // C1
  if (failed(checkTail(op, getState(), "state", 1, 1)) ||
      failed(checkTail(op, getMemory(), "memory", 2, 2)) ||
      failed(
          checkLeading(op, getMemory(), "memory", 2, getState(), "state", 1)))
    return failure();
  if (lastSize(getMemory()) != lastSize(getState()))
    return emitOpError()
           << "'memory' must be [..., M, N] and 'state' [..., N], found "
           << getMemory().getType() << " and " << getState().getType();
  Type type = typeOf(getState()).getElementType();
  // C2, C3
  if (failed(checkDuration(op, getDt(), typeOf(getState()).getShape(), type)))
    return failure();
  return checkWeight(op, getTau(), "tau", {sizeFromEnd(getMemory(), 1)}, type,
                     "[M]");
}

LogicalResult
TrajectoryOp::reifyResultShapes(OpBuilder &b,
                                ReifiedRankedShapedTypeDims &shapes) {
  return reifyAs(b, getLoc(), {getMemory()}, shapes);
}

//===----------------------------------------------------------------------===//
// lnn.state_gate
//===----------------------------------------------------------------------===//

LogicalResult StateGateOp::verify() {
  Operation *op = getOperation();
  // C1
  if (failed(checkTail(op, getState(), "state", 1, 1)) ||
      failed(checkTail(op, getMemory(), "memory", 2, 2)) ||
      failed(
          checkLeading(op, getState(), "state", 1, getMemory(), "memory", 2)))
    return failure();
  int64_t n = lastSize(getState()), d = lastSize(getWq());
  if (lastSize(getMemory()) != n || sizeFromEnd(getMemory(), 1) < 1)
    return emitOpError() << "'memory' must be [..., M, N] with M > 0 and N = "
                         << n << " of 'state', found " << getMemory().getType();
  // C2
  if (ShapedType::isDynamic(d) || d < 1)
    return emitOpError() << "'wq' must be [N, D] with a known D > 0, found "
                         << getWq().getType();
  Type type = typeOf(getState()).getElementType();
  if (failed(checkWeight(op, getWq(), "wq", {n, d}, type, "[N, D]")) ||
      failed(checkWeight(op, getBq(), "bq", {d}, type, "[D]")) ||
      failed(checkWeight(op, getWk(), "wk", {n, d}, type, "[N, D]")) ||
      failed(checkWeight(op, getBk(), "bk", {d}, type, "[D]")) ||
      failed(checkWeight(op, getWv(), "wv", {n, n}, type, "[N, N]")) ||
      failed(checkWeight(op, getBv(), "bv", {n}, type, "[N]")) ||
      failed(checkWeight(op, getW(), "w", {2 * n, n}, type, "[2 N, N]")))
    return failure();
  return checkWeight(op, getB(), "b", {n}, type, "[N]");
}

LogicalResult
StateGateOp::reifyResultShapes(OpBuilder &b,
                               ReifiedRankedShapedTypeDims &shapes) {
  return reifyAs(b, getLoc(), {getState()}, shapes);
}

//===----------------------------------------------------------------------===//
// lnn.linear_recurrence
//===----------------------------------------------------------------------===//

/// The shape without its dimension `dim`.
static SmallVector<int64_t> without(ArrayRef<int64_t> shape, int64_t dim) {
  SmallVector<int64_t> rest(shape);
  rest.erase(rest.begin() + dim);
  return rest;
}

LogicalResult LinearRecurrenceOp::inferReturnTypes(
    MLIRContext *, std::optional<Location> location, ValueRange operands,
    DictionaryAttr attributes, OpaqueProperties properties, RegionRange regions,
    SmallVectorImpl<Type> &types) {
  LinearRecurrenceOp::Adaptor adaptor(operands, attributes, properties,
                                      regions);
  size_t reads = adaptor.getRead().size();
  if (!adaptor.getDrive().empty() && reads) {
    auto drive = cast<RankedTensorType>(adaptor.getDrive()[0].getType());
    if (drive.getRank() < 3)
      return emitOptionalError(location, "reads out of matrices alone"); // C4
    types.assign(reads, RankedTensorType::get(
                            without(drive.getShape(), drive.getRank() - 2),
                            drive.getElementType()));
  } else if (!adaptor.getDrive().empty()) {
    llvm::append_range(types, adaptor.getDrive().getTypes());
  } else if (adaptor.getKeys() && adaptor.getValues() && reads) {
    types.assign(reads, adaptor.getValues().getType());
  } else if (adaptor.getKeys() && adaptor.getValues()) {
    auto keys = cast<RankedTensorType>(adaptor.getKeys().getType());
    SmallVector<int64_t> shape(keys.getShape());
    shape.push_back(lastSize(adaptor.getValues().getType()));
    types.push_back(RankedTensorType::get(shape, keys.getElementType()));
  } else {
    return emitOptionalError(location,
                             "needs either a drive, or keys and values"); // C1
  }
  llvm::append_range(types, adaptor.getInit().getTypes());
  return success();
}

/// `value` with its time dimension left out has the shape `wanted`; sizes of 1
/// may stand for any where it broadcasts.
static LogicalResult checkStep(LinearRecurrenceOp op, Value value,
                               StringRef name, ArrayRef<int64_t> wanted,
                               bool broadcasts) {
  RankedTensorType type = typeOf(value);
  int64_t dim = op.getDim();
  bool ok = type.getRank() == static_cast<int64_t>(wanted.size()) + 1;
  if (ok)
    for (auto [found, size] :
         llvm::zip_equal(without(type.getShape(), dim), wanted))
      ok &= found == size || ShapedType::isDynamic(found) ||
            ShapedType::isDynamic(size) || (broadcasts && found == 1);
  if (ok)
    return success();
  return op.emitOpError() << "a step of '" << name << "' must "
                          << (broadcasts ? "broadcast to " : "be ")
                          << RankedTensorType::get(wanted,
                                                   type.getElementType())
                          << ", found " << type << " with time in dimension "
                          << dim;
}

LogicalResult LinearRecurrenceOp::verify() {
  // C1
  bool driven = !getDrive().empty();
  if (driven == static_cast<bool>(getKeys()) ||
      static_cast<bool>(getKeys()) != static_cast<bool>(getValues()))
    return emitOpError() << "takes either 'drive', or 'keys' and 'values'";
  unsigned parts = getNumParts();
  if (parts == 0 || getDecay().size() != parts * parts ||
      getDrive().size() != (driven ? parts : 0) || (!driven && parts != 1))
    return emitOpError() << "has " << getDecay().size() << " 'decay' and "
                         << getDrive().size() << " 'drive' for a state of "
                         << parts << " parts";
  if (getBefore() && getBefore()->size() != getRead().size())
    return emitOpError() << "has " << getRead().size() << " 'read' and "
                         << getBefore()->size() << " 'before'";
  if (getOf() && getOf()->size() != getRead().size())
    return emitOpError() << "has " << getRead().size() << " 'read' and "
                         << getOf()->size() << " 'of'";
  for (int64_t part : getOf().value_or(ArrayRef<int64_t>()))
    if (part < 0 || part >= static_cast<int64_t>(parts))
      return emitOpError() << "reads part " << part << " of " << parts;
  // C2
  RankedTensorType first = typeOf(getInit()[0]);
  for (Value init : getInit())
    if (init.getType() != first)
      return emitOpError() << "needs parts of one type, found "
                           << init.getType() << " beside " << first;
  for (Value operand : getOperands())
    if (typeOf(operand).getElementType() != first.getElementType())
      return emitOpError() << "needs operands of one element type, found "
                           << typeOf(operand) << " beside " << first;
  RankedTensorType steps = typeOf(driven ? getDrive()[0] : getKeys());
  int64_t dim = getDim(), time;
  if (dim < 0 ||
      dim >= std::max<int64_t>(steps.getRank() - (driven ? 0 : 1), 0))
    return emitOpError() << "'dim' is " << dim
                         << ", which isn't a time dimension of " << steps;
  ArrayRef<int64_t> init = first.getShape();
  SmallVector<Value> timed(getDecay());
  if (driven) {
    // C3
    for (Value drive : getDrive())
      if (failed(checkStep(*this, drive, "drive", init, false)))
        return failure();
    for (Value decay : getDecay())
      if (failed(checkStep(*this, decay, "decay", init, true)))
        return failure();
    llvm::append_range(timed, getDrive());
  }
  if (getKeys() || !getRead().empty()) {
    // C4
    if (init.size() < 2 || first.isDynamicDim(init.size() - 1) ||
        first.isDynamicDim(init.size() - 2))
      return emitOpError()
             << "'init' must be [..., K, V] of known K and V, found " << first;
    if (dim > static_cast<int64_t>(init.size()) - 2)
      return emitOpError() << "'dim' is " << dim
                           << "; the time must be in front of the keys, found "
                           << steps;
    SmallVector<int64_t> key(init.drop_back()),
        value = without(init, init.size() - 2);
    auto checkPerKey = [&](Value operand, StringRef name) {
      bool perKey =
          typeOf(operand).getRank() == static_cast<int64_t>(init.size());
      return checkStep(*this, operand, name,
                       perKey ? ArrayRef<int64_t>(key) : init, true);
    };
    if (getKeys()) {
      if (failed(checkStep(*this, getKeys(), "keys", key, false)) ||
          failed(checkStep(*this, getValues(), "values", value, false)) ||
          failed(checkPerKey(getDecay()[0], "decay")))
        return failure();
      timed.append({getKeys(), getValues()});
    }
    for (Value read : getRead()) {
      if (failed(checkPerKey(read, "read")))
        return failure();
      timed.push_back(read);
    }
  }
  time = ShapedType::kDynamic;
  for (Value value : timed) {
    int64_t size = typeOf(value).getDimSize(dim);
    if (ShapedType::isDynamic(size))
      continue;
    if (!ShapedType::isDynamic(time) && size != time)
      return emitOpError() << "operands have " << time << " and " << size
                           << " time steps";
    time = size;
  }
  return success();
}

LogicalResult
LinearRecurrenceOp::reifyResultShapes(OpBuilder &b,
                                      ReifiedRankedShapedTypeDims &shapes) {
  SmallVector<OpFoldResult> states =
      tensor::getMixedSizes(b, getLoc(), getKeys() ? getKeys() : getDrive()[0]);
  if (getKeys())
    states.push_back(b.getIndexAttr(lastSize(getInit()[0])));
  if (!getRead().empty())
    states.erase(states.end() - 2);
  shapes.assign(getStates().size(), states);
  shapes.append(getNumParts(),
                tensor::getMixedSizes(b, getLoc(), getInit()[0]));
  return success();
}

//===----------------------------------------------------------------------===//
// lnn.causal_conv
//===----------------------------------------------------------------------===//

LogicalResult CausalConvOp::verify() {
  Operation *op = getOperation();
  // C1
  if (failed(checkTail(op, getInput(), "input", 2, 1)) ||
      failed(checkTail(op, getState(), "state", 2, 2)) ||
      failed(checkLeading(op, getInput(), "input", 2, getState(), "state", 2)))
    return failure();
  int64_t c = lastSize(getInput());
  if (lastSize(getState()) != c)
    return emitOpError()
           << "'input' and 'state' must have as many channels, found "
           << getInput().getType() << " and " << getState().getType();
  int64_t past = sizeFromEnd(getState(), 1), d = getDilation();
  if (d < 1 || past % d != 0)
    return emitOpError() << "'dilation' must be 1 or more and divide the "
                            "state's samples, found "
                         << d << " and " << past;
  // C2
  Type type = typeOf(getInput()).getElementType();
  if (failed(checkWeight(op, getW(), "w", {past / d + 1, c}, type, "[K, C]")))
    return failure();
  return checkWeight(op, getB(), "b", {c}, type, "[C]");
}

LogicalResult
CausalConvOp::reifyResultShapes(OpBuilder &b,
                                ReifiedRankedShapedTypeDims &shapes) {
  return reifyAs(b, getLoc(), {getInput(), getState()}, shapes);
}
