//===- Solve.cpp - ode.solve and its terminators --------------------------===//
#include "lnn/Dialect/Ode/Ode.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace lnn::ode;

#define GET_OP_CLASSES
#include "lnn/Dialect/Ode/OdeOps.cpp.inc"

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

/// One element of a tensor along its leading dimension; a float where nothing
/// is left.
static Type dropLeading(RankedTensorType type) {
  if (type.getRank() <= 1)
    return type.getElementType();
  return RankedTensorType::get(type.getShape().drop_front(),
                               type.getElementType());
}

static Type timeType(Value dt, Value times) {
  return dt ? dt.getType()
            : dropLeading(cast<RankedTensorType>(times.getType()));
}

Type SolveOp::getTimeType() { return timeType(getDt(), getTimes()); }

bool SolveOp::isSemilinear() {
  return isa<YieldSemilinearOp>(getField().front().getTerminator());
}

/// A type of the same shape, scalar or tensor, with other elements.
static Type withElement(Type type, Type element) {
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor.clone(element);
  return element;
}

/// What the types follow from: one of interval and output times.
static LogicalResult verifyTimes(std::optional<Location> location, Value dt,
                                 Value times) {
  if (bool(dt) == bool(times)) // c2
    return emitOptionalError(location,
                             "'ode.solve' op needs either an interval "
                             "(for) or output times (at), ",
                             dt ? "not both" : "and has neither");
  if (times && !cast<RankedTensorType>(times.getType()).getRank()) // c3
    return emitOptionalError(location,
                             "'ode.solve' op the output times need a leading "
                             "dimension, and are ",
                             times.getType());
  return success();
}

LogicalResult SolveOp::inferReturnTypes(
    MLIRContext *context, std::optional<Location> location, ValueRange operands,
    DictionaryAttr attributes, OpaqueProperties properties, RegionRange regions,
    SmallVectorImpl<Type> &types) {
  SolveOpAdaptor adaptor(operands, attributes, properties, regions);
  Value dt = adaptor.getDt(), times = adaptor.getTimes();
  if (failed(verifyTimes(location, dt, times)))
    return failure();
  for (Value state : adaptor.getStates()) {
    auto type = cast<RankedTensorType>(state.getType());
    if (times) {
      SmallVector<int64_t> shape{
          cast<RankedTensorType>(times.getType()).getDimSize(0)};
      llvm::append_range(shape, type.getShape());
      type = type.clone(shape);
    }
    types.push_back(type);
  }
  if (adaptor.getReporting()) {
    Type time = timeType(dt, times);
    types.push_back(withElement(time, IntegerType::get(context, 32)));
    types.push_back(time);
  }
  return success();
}

LogicalResult SolveOp::reifyResultShapes(OpBuilder &b,
                                         ReifiedRankedShapedTypeDims &shapes) {
  Location loc = getLoc();
  for (Value state : getStates()) {
    SmallVector<OpFoldResult> shape;
    if (getTimes())
      shape.push_back(tensor::getMixedSize(b, loc, getTimes(), 0));
    llvm::append_range(shape, tensor::getMixedSizes(b, loc, state));
    shapes.push_back(shape);
  }
  if (!getReporting())
    return success();
  SmallVector<OpFoldResult> clock;
  if (isa<RankedTensorType>(getTimeType())) {
    Value source = getDt() ? getDt() : getTimes();
    clock = tensor::getMixedSizes(b, loc, source);
    if (getTimes())
      clock.erase(clock.begin());
  }
  shapes.append(2, clock);
  return success();
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

// The field runs any number of times, with states that the method makes up: no
// value is forwarded along an edge.
void SolveOp::getSuccessorRegions(RegionBranchPoint,
                                  SmallVectorImpl<RegionSuccessor> &regions) {
  for (Region &region : (*this)->getRegions())
    regions.push_back(RegionSuccessor(&region));
  regions.push_back(
      RegionSuccessor(getOperation(), (*this)->getResults().take_front(0)));
}

SmallVector<Region *> SolveOp::getLoopRegions() {
  SmallVector<Region *> regions;
  for (Region &region : (*this)->getRegions())
    regions.push_back(&region);
  return regions;
}

MutableOperandRange YieldOp::getMutableSuccessorOperands(RegionSuccessor) {
  return MutableOperandRange(getOperation(), 0, 0);
}
MutableOperandRange
YieldSemilinearOp::getMutableSuccessorOperands(RegionSuccessor) {
  return MutableOperandRange(getOperation(), 0, 0);
}
MutableOperandRange EventOp::getMutableSuccessorOperands(RegionSuccessor) {
  return MutableOperandRange(getOperation(), 0, 0);
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

void SolveOp::build(
    OpBuilder &b, OperationState &state, ValueRange states, Value dt,
    MethodAttr method,
    function_ref<void(OpBuilder &, Location, Value, ValueRange)> body) {
  state.addOperands(states);
  state.addOperands(dt);
  auto &properties = state.getOrAddProperties<Properties>();
  properties.operandSegmentSizes = {int(states.size()), 1, 0, 0};
  properties.method = method;
  state.addTypes(states.getTypes());
  Region *field = state.addRegion();
  OpBuilder::InsertionGuard guard(b);
  SmallVector<Type> types{dt.getType()};
  llvm::append_range(types, states.getTypes());
  Block *block = b.createBlock(
      field, {}, types, SmallVector<Location>(types.size(), state.location));
  if (body)
    body(b, state.location, block->getArgument(0),
         block->getArguments().drop_front());
}

void SolveOp::getAsmBlockArgumentNames(Region &region,
                                       OpAsmSetValueNameFn setName) {
  if (region.empty() || !region.getNumArguments())
    return;
  setName(region.getArgument(0), "t");
  for (BlockArgument state : region.getArguments().drop_front())
    setName(state, "h");
}

//===----------------------------------------------------------------------===//
// Assembly
//===----------------------------------------------------------------------===//

// %h1 = ode.solve %h0 for %dt from %t0 method <...> reporting : types
//   { field } event { ... } attributes {...}
// The types are the states', then that of dt or times; start has the time's.
ParseResult SolveOp::parse(OpAsmParser &parser, OperationState &result) {
  using Operand = OpAsmParser::UnresolvedOperand;
  SmallVector<Operand> states;
  Operand interval, start;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOperandList(states))
    return failure();
  bool grid = succeeded(parser.parseOptionalKeyword("at"));
  if (!grid && parser.parseKeyword("for"))
    return failure();
  if (parser.parseOperand(interval))
    return failure();
  bool from = succeeded(parser.parseOptionalKeyword("from"));
  if (from && parser.parseOperand(start))
    return failure();
  MethodAttr method;
  auto &properties = result.getOrAddProperties<Properties>();
  // Written without its prefix: the general parser would take the colon behind
  // it for the attribute's.
  if (parser.parseKeyword("method") ||
      !(method =
            dyn_cast_or_null<MethodAttr>(MethodAttr::parse(parser, Type()))))
    return failure();
  properties.method = method;
  if (succeeded(parser.parseOptionalKeyword("reporting")))
    properties.reporting = parser.getBuilder().getUnitAttr();
  SmallVector<Type> types;
  SMLoc typeLoc = parser.getCurrentLocation();
  if (parser.parseColonTypeList(types))
    return failure();
  if (types.size() != states.size() + 1)
    return parser.emitError(typeLoc)
           << "expected " << states.size() + 1
           << " types, those of the states and that of "
           << (grid ? "the output times" : "the interval") << ", not "
           << types.size();
  Type time = types.back();
  if (grid) {
    auto tensor = dyn_cast<RankedTensorType>(time);
    if (!tensor)
      return parser.emitError(typeLoc)
             << "the output times must be a ranked tensor, not " << time;
    time = dropLeading(tensor);
  }
  // Operands in the order of their segments: states, dt, start, times.
  if (parser.resolveOperands(states, ArrayRef(types).drop_back(), loc,
                             result.operands))
    return failure();
  if (!grid && parser.resolveOperand(interval, types.back(), result.operands))
    return failure();
  if (from && parser.resolveOperand(start, time, result.operands))
    return failure();
  if (grid && parser.resolveOperand(interval, types.back(), result.operands))
    return failure();
  properties.operandSegmentSizes = {int(states.size()), !grid, from, grid};
  if (parser.parseRegion(*result.addRegion()))
    return failure();
  while (succeeded(parser.parseOptionalKeyword("event")))
    if (parser.parseRegion(*result.addRegion()))
      return failure();
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();
  SmallVector<Type> results;
  if (failed(inferReturnTypes(
          parser.getContext(), parser.getEncodedSourceLoc(loc), result.operands,
          result.attributes.getDictionary(parser.getContext()),
          result.getRawProperties(), result.regions, results)))
    return failure();
  result.addTypes(results);
  return success();
}

void SolveOp::print(OpAsmPrinter &p) {
  p << ' ' << getStates() << (getDt() ? " for " : " at ")
    << (getDt() ? getDt() : getTimes());
  if (getStart())
    p << " from " << getStart();
  p << " method ";
  getMethod().print(p);
  if (getReporting())
    p << " reporting";
  p << " : ";
  llvm::interleaveComma(getStates().getTypes(), p);
  if (!getStates().empty())
    p << ", ";
  p << (getDt() ? getDt() : getTimes()).getType() << ' ';
  p.printRegion(getField());
  for (Region &event : getEvents()) {
    p << " event ";
    p.printRegion(event);
  }
  p.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {getMethodAttrName(), getReportingAttrName(), "operandSegmentSizes"});
}

ParseResult EventOp::parse(OpAsmParser &parser, OperationState &result) {
  using Operand = OpAsmParser::UnresolvedOperand;
  StringRef direction;
  SmallVector<Operand> operands(1);
  SmallVector<Type> types;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&direction) || parser.parseOperand(operands[0]))
    return failure();
  result.getOrAddProperties<Properties>().direction =
      parser.getBuilder().getStringAttr(direction);
  if (succeeded(parser.parseOptionalKeyword("jump"))) {
    SmallVector<Operand> jump;
    if (parser.parseOperandList(jump))
      return failure();
    llvm::append_range(operands, jump);
  }
  return failure(parser.parseOptionalAttrDict(result.attributes) ||
                 parser.parseColonTypeList(types) ||
                 parser.resolveOperands(operands, types, loc, result.operands));
}

void EventOp::print(OpAsmPrinter &p) {
  p << ' ' << getDirection() << ' ' << getGuard();
  if (!getJump().empty())
    p << " jump " << getJump();
  p.printOptionalAttrDict((*this)->getAttrs(), {getDirectionAttrName()});
  p << " : ";
  llvm::interleaveComma((*this)->getOperandTypes(), p);
}

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

/// Does `part` broadcast to the state as NumPy does it?
static bool broadcastsTo(Type part, RankedTensorType state) {
  auto tensor = dyn_cast<RankedTensorType>(part);
  if (!tensor)
    return true;
  int64_t rank = tensor.getRank(), offset = state.getRank() - rank;
  if (offset < 0)
    return false;
  for (int64_t d = 0; d < rank; ++d) {
    int64_t a = tensor.getDimSize(d), b = state.getDimSize(offset + d);
    if (a != 1 && a != b && !ShapedType::isDynamic(a) &&
        !ShapedType::isDynamic(b))
      return false;
  }
  return true;
}

static LogicalResult verifyClock(SolveOp op) {
  auto time = dyn_cast<RankedTensorType>(op.getTimeType());
  if (!time)
    return success();
  for (auto [i, type] : llvm::enumerate(op.getStates().getTypes())) {
    auto state = cast<RankedTensorType>(type);
    bool fits = time.getRank() <= state.getRank();
    for (int64_t d = 0; fits && d < time.getRank(); ++d) {
      int64_t a = time.getDimSize(d), b = state.getDimSize(d);
      fits = a == 1 || a == b || ShapedType::isDynamic(a) ||
             ShapedType::isDynamic(b);
    }
    if (!fits)
      return op.emitOpError() << "time of type " << time
                              << " does not broadcast to the leading "
                                 "dimensions of state "
                              << i << ", " << state;
  }
  return success();
}

static LogicalResult verifyArguments(SolveOp op, Region &region,
                                     const Twine &name) {
  SmallVector<Type> expected{op.getTimeType()};
  llvm::append_range(expected, op.getStates().getTypes());
  auto found = region.getArgumentTypes();
  if (found.size() != expected.size())
    return op.emitOpError()
           << name << " must have " << expected.size()
           << " arguments, the time and the states, not " << found.size();
  for (auto [i, want, got] : llvm::enumerate(expected, found))
    if (want != got)
      return op.emitOpError() << name << "'s argument " << i << " must be "
                              << want << ", not " << got;
  return success();
}

LogicalResult SolveOp::verify() {
  if (getStates().empty()) // c1
    return emitOpError("needs at least one state");
  // Types are inferred only after this.
  if (failed(verifyTimes(getLoc(), getDt(), getTimes())))
    return failure();
  if (getStart() && getStart().getType() != getTimeType()) // c4
    return emitOpError() << "the start must be of the time's type "
                         << getTimeType() << ", not " << getStart().getType();
  return verifyClock(*this); // c5
}

static LogicalResult verifySemilinear(SolveOp op, YieldSemilinearOp yield) {
  unsigned n = op.getNumStates();
  auto check = [&](StringRef what, OperandRange values) -> LogicalResult {
    if (values.size() != n)
      return yield.emitOpError() << "needs one " << what << " for each of the "
                                 << n << " states, not " << values.size();
    for (auto [i, value] : llvm::enumerate(values)) {
      auto state = cast<RankedTensorType>(op.getStates()[i].getType());
      if (getElementTypeOrSelf(value.getType()) != state.getElementType() ||
          !broadcastsTo(value.getType(), state))
        return yield.emitOpError()
               << what << " " << i << " of type " << value.getType()
               << " does not broadcast to the state's " << state;
    }
    return success();
  };
  if (failed(check("decay", yield.getDecays())) ||
      failed(check("drive", yield.getDrives())))
    return failure();
  return yield.getMasses().empty() ? success()
                                   : check("mass", yield.getMasses());
}

static LogicalResult verifyField(SolveOp op) {
  Operation *end = op.getField().front().getTerminator();
  MethodAttr method = op.getMethod();
  if (auto yield = dyn_cast<YieldSemilinearOp>(end))
    return verifySemilinear(op, yield); // c7
  auto yield = dyn_cast<YieldOp>(end);
  if (!yield) // c7
    return op.emitOpError() << "the field must end in ode.yield or "
                               "ode.yield_semilinear, not "
                            << end->getName();
  if (yield.getDerivatives().size() != op.getNumStates()) // c7
    return yield.emitOpError()
           << "needs one derivative for each of the " << op.getNumStates()
           << " states, not " << yield.getDerivatives().size();
  for (auto [i, value] : llvm::enumerate(yield.getDerivatives()))
    if (value.getType() != op.getStates()[i].getType()) // c7
      return yield.emitOpError()
             << "derivative " << i << " must be of the state's type "
             << op.getStates()[i].getType() << ", not " << value.getType();
  if (method.isSemilinear()) // c8
    return op.emitOpError()
           << "the scheme '" << method.getScheme()
           << "' needs a semilinear field: end it in ode.yield_semilinear, or "
              "use a Runge-Kutta scheme";
  return success();
}

static LogicalResult verifyEvent(SolveOp op, Region &region) {
  auto event = dyn_cast<EventOp>(region.front().getTerminator());
  if (!event) // c9
    return op.emitOpError() << "an event's region must end in ode.event, not "
                            << region.front().getTerminator()->getName();
  if (event.getGuard().getType() != op.getTimeType()) // c9
    return event.emitOpError()
           << "the guard must be of the time's type " << op.getTimeType()
           << ", not " << event.getGuard().getType();
  if (event.isTerminal())
    return success();
  if (event.getJump().size() != op.getNumStates()) // c9
    return event.emitOpError()
           << "needs a new value for each of the " << op.getNumStates()
           << " states, not " << event.getJump().size();
  for (auto [i, value] : llvm::enumerate(event.getJump()))
    if (value.getType() != op.getStates()[i].getType()) // c9
      return event.emitOpError()
             << "new value " << i << " must be of the state's type "
             << op.getStates()[i].getType() << ", not " << value.getType();
  return success();
}

LogicalResult SolveOp::verifyRegions() {
  if (failed(verifyArguments(*this, getField(), "the field")) || // c6
      failed(verifyField(*this)))
    return failure();
  for (auto [i, event] : llvm::enumerate(getEvents()))
    if (failed(verifyArguments(*this, event, "event " + Twine(i))) || // c6
        failed(verifyEvent(*this, event)))
      return failure();
  return success();
}

LogicalResult EventOp::verify() {
  StringRef direction = getDirection();
  if (direction != "rising" && direction != "falling" && direction != "any")
    return emitOpError() << "the direction must be rising, falling or any, not "
                         << direction; // e1
  return success();
}
