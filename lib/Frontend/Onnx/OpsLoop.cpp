//===- OpsLoop.cpp - Loop -------------------------------------------------===//
//
// A Loop whose trip count is known before it runs becomes lnn.scan; one that
// its condition ends becomes scf.while. A Loop that grows a value by Concat
// appends to a preallocated scan output.
//
//===----------------------------------------------------------------------===//
#include "ControlFlow.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::onnx;

namespace {
/// A carried value v that the body replaces by Concat(v, x) and uses for
/// nothing else.
struct Growth {
  NodeOp concat;
  Value appended;
  int64_t axis = 0;
};

/// A Loop node taken apart.
struct LoopParts {
  Region *body = nullptr;
  unsigned carried = 0, scanned = 0;         // carried values, scan outputs
  SmallVector<std::optional<Growth>> growth; // by carried value
  bool counted = false;         // M iterations, whatever the body computes
  std::optional<Dim> trip;      // so many, where M is known as a size
  std::optional<int64_t> bound; // M, where it is a constant

  bool grows() const {
    return llvm::any_of(growth, [](auto &g) { return g.has_value(); });
  }
  /// True where the number of iterations decides a result's size.
  bool sizesDepend() const { return scanned || grows(); }
  /// True where results are made for as many iterations as M allows, although
  /// the condition may end the loop before.
  bool madeForBound() const { return bound && *bound <= 4096 && !grows(); }
};
} // namespace

static std::optional<Growth> matchGrowth(Region &body, unsigned k,
                                         int64_t rank) {
  BlockArgument arg = body.front().getArgument(2 + k);
  Value next = lookThrough(yieldOf(body).getValues()[1 + k]);
  auto concat = next.getDefiningOp<NodeOp>();
  if (!concat || concat.getOpType() != "Concat" || concat.getDomainAttr() ||
      concat.getInputs().size() != 2 || !arg.hasOneUse() ||
      concat.getInputs()[0] != arg || concat->getParentRegion() != &body)
    return std::nullopt;
  // The grown value itself may be read by nothing but the yield (through
  // Identity).
  SmallVector<Value> passed{next};
  while (!passed.empty()) {
    for (OpOperand &use : passed.pop_back_val().getUses()) {
      if (use.getOwner() == body.front().getTerminator()) {
        if (use.getOperandNumber() != 1 + k)
          return std::nullopt;
        continue;
      }
      auto node = dyn_cast<NodeOp>(use.getOwner());
      if (!node || node.getOpType() != "Identity")
        return std::nullopt;
      passed.push_back(node.getOutputs()[0]);
    }
  }
  Growth growth{concat, concat.getInputs()[1], 0};
  growth.axis = NodeView(concat).intAttr("axis", 0);
  if (growth.axis < 0)
    growth.axis += rank;
  if (growth.axis < 0 || growth.axis >= rank)
    return std::nullopt;
  return growth;
}

/// True where the loop goes on whatever the body computes.
static bool alwaysContinues(Region &body,
                            llvm::function_ref<const ValueInfo &(Value)> infoOf,
                            bool startsTrue) {
  Value next = lookThrough(yieldOf(body).getValues()[0]);
  if (next == body.front().getArgument(1))
    return startsTrue;
  const ValueInfo &info = infoOf(next);
  return startsTrue && info.data && info.data->size() == 1 &&
         info.data->front().isConst(1);
}

/// Takes the node apart; M and the condition are read from their infos.
static FailureOr<LoopParts>
takeApart(const NodeView &node, const ValueInfo *m, const ValueInfo *condition,
          llvm::function_ref<int64_t(unsigned)> rankOf,
          llvm::function_ref<const ValueInfo &(Value)> infoOf) {
  LoopParts parts;
  parts.body = node.bodyAttr("body");
  if (!parts.body || parts.body->empty())
    return node.error("it has no body");
  Block &block = parts.body->front();
  parts.carried = node.numInputs() > 2 ? node.numInputs() - 2 : 0;
  unsigned yields = yieldOf(*parts.body).getValues().size();
  if (block.getNumArguments() != parts.carried + 2)
    return node.error("its body takes " + Twine(block.getNumArguments()) +
                      " values, " + Twine(parts.carried + 2) +
                      " were expected (iteration, condition and " +
                      Twine(parts.carried) + " carried)");
  if (yields < parts.carried + 1 || yields - 1 != node.numOutputs())
    return node.error("its body yields " + Twine(yields) + " values, " +
                      Twine(node.numOutputs() + 1) + " were expected");
  parts.scanned = yields - 1 - parts.carried;
  for (unsigned k = 0; k < parts.carried; ++k)
    parts.growth.push_back(matchGrowth(*parts.body, k, rankOf(k)));
  std::optional<Dim> size;
  if (m && m->data && m->data->size() == 1)
    size = m->data->front();
  if (size)
    parts.bound = size->maybe();
  bool startsTrue =
      !condition || (condition->data && condition->data->size() == 1 &&
                     condition->data->front().isConst(1));
  parts.counted = alwaysContinues(*parts.body, infoOf, startsTrue);
  if (parts.counted && !m)
    return node.error("it never ends: its condition is always true, and it has "
                      "no trip count M");
  if (parts.counted)
    parts.trip = size;
  return parts;
}

/// The results' infos, from those of what the body yields.
static LogicalResult inferResults(InferContext &ctx, const LoopParts &parts,
                                  ArrayRef<ValueInfo> yielded) {
  Dim count;
  if (parts.trip)
    count = parts.trip->isConst() ? ctx.dims.max(*parts.trip, ctx.c(0))
                                  : *parts.trip;
  else if (parts.scanned)
    count = ctx.dims.fresh("iterations");
  for (unsigned k = 0; k < parts.carried; ++k) {
    ValueInfo &out = ctx.out(k);
    out = withoutContents(yielded[1 + k]);
    if (!parts.growth[k])
      continue;
    const ValueInfo &x = ctx.info(parts.growth[k]->appended);
    int64_t axis = parts.growth[k]->axis;
    if (x.rank() <= axis)
      return ctx.error("Concat in its body appends " + x.str());
    out.dims = x.dims;
    out.dims[axis] = parts.trip
                         ? ctx.dims.add(ctx.in(2 + k).dims[axis],
                                        ctx.dims.mul(count, x.dims[axis]))
                         : ctx.dims.fresh("grown");
  }
  for (unsigned k = 0; k < parts.scanned; ++k) {
    ValueInfo &out = ctx.out(parts.carried + k);
    out = withoutContents(yielded[1 + parts.carried + k]);
    if (!out.present())
      return ctx.error("its body yields nothing for scan output " + Twine(k));
    out.dims.insert(out.dims.begin(), count);
  }
  return success();
}

static LogicalResult inferLoop(InferContext &ctx) {
  if (ctx.numInputs() < 2)
    return ctx.error("M and the condition are inputs 0 and 1 (empty names "
                     "where absent)");
  const ValueInfo *m = ctx.hasInput(0) ? &ctx.in(0) : nullptr;
  const ValueInfo *condition = ctx.hasInput(1) ? &ctx.in(1) : nullptr;
  if (m && (!m->elementType.isInteger(64) || !isSingle(*m)))
    return ctx.error("M must be one int64, it is " + m->str());
  if (condition &&
      (!condition->elementType.isInteger(1) || !isSingle(*condition)))
    return ctx.error("the condition must be one bool, it is " +
                     condition->str());
  if (m && m->data && m->data->front().isConst() &&
      m->data->front().value() < 0)
    return ctx.error("its trip count M is " + Twine(m->data->front().value()) +
                     "; it must not be negative");
  for (unsigned i = 2; i < ctx.numInputs(); ++i)
    if (!ctx.hasInput(i))
      return ctx.error("carried value " + Twine(i - 2) +
                       " has no initial value");
  auto rankOf = [&](unsigned k) { return ctx.in(2 + k).rank(); };

  // First guess: what is carried keeps the type it starts with; a value that
  // grows gets an unknown size.
  ValueInfo iteration, flag;
  Builder b(ctx.op.getContext());
  iteration.elementType = b.getI64Type();
  flag.elementType = b.getI1Type();
  Region *body = ctx.bodyAttr("body");
  if (!body || body->empty())
    return ctx.error("it has no body");
  unsigned carried = ctx.numInputs() - 2;
  if (body->front().getNumArguments() != carried + 2 ||
      yieldOf(*body).getValues().size() < carried + 1)
    return takeApart(ctx, m, condition, rankOf,
                     [&](Value v) -> const ValueInfo & { return ctx.info(v); });
  SmallVector<ValueInfo> arguments{iteration, flag};
  SmallVector<std::optional<Growth>> growth;
  for (unsigned k = 0; k < carried; ++k) {
    arguments.push_back(withoutContents(ctx.in(2 + k)));
    growth.push_back(matchGrowth(*body, k, rankOf(k)));
    if (growth.back())
      arguments.back().dims[growth.back()->axis] = ctx.dims.fresh("grown");
  }
  SmallVector<ValueInfo> results;
  if (failed(ctx.inferBody(*body, arguments, results)))
    return failure();
  FailureOr<LoopParts> parts =
      takeApart(ctx, m, condition, rankOf,
                [&](Value v) -> const ValueInfo & { return ctx.info(v); });
  if (failed(parts))
    return failure();
  if (!results[0].present() || !results[0].elementType.isInteger(1))
    return ctx.error("its body's first result must be a bool");
  for (unsigned k = 0; k < carried; ++k) {
    const ValueInfo &before = arguments[2 + k], &after = results[1 + k];
    if (!after.present() || before.elementType != after.elementType)
      return ctx.error("carried value " + Twine(k) + " starts as " +
                       before.str() + " and its body yields " + after.str());
    if (growth[k])
      continue;
    if (before.dims != after.dims)
      return ctx.unsupported(
          "carried value " + Twine(k) + " changes its shape from " +
          before.str() + " to " + after.str() +
          " (only growing by one Concat that nothing else reads is supported)");
  }
  return inferResults(ctx, *parts, results);
}

/// A loop's iteration number as the rank-0 tensor that ONNX bodies read.
static Value iterationTensor(OpBuilder &b, Location loc, Value index) {
  Value i64 = arith::IndexCastOp::create(b, loc, b.getI64Type(), index);
  return tensor::FromElementsOp::create(
      b, loc, RankedTensorType::get({}, b.getI64Type()), i64);
}

static Value trueTensor(OpBuilder &b, Location loc) {
  return arith::ConstantOp::create(
      b, loc,
      DenseElementsAttr::get(RankedTensorType::get({}, b.getI8Type()),
                             ArrayRef<int8_t>{1}));
}

/// M as an index that is not negative; checked where it is not known.
static Value tripCount(ExpandContext &ctx, const LoopParts &parts) {
  OpBuilder &b = ctx.b;
  if (parts.trip && parts.trip->isConst())
    return ctx.index(*parts.trip);
  Value count = parts.trip ? ctx.index(*parts.trip)
                           : Value(arith::IndexCastOp::create(
                                 b, ctx.loc, b.getIndexType(),
                                 onlyElement(b, ctx.loc, ctx.in(0))));
  Value zero = arith::ConstantIndexOp::create(b, ctx.loc, 0);
  Value ok =
      arith::CmpIOp::create(b, ctx.loc, arith::CmpIPredicate::sge, count, zero);
  CheckOp::create(b, ctx.loc, ok,
                  "Loop: the trip count M must not be negative");
  return arith::MaxSIOp::create(b, ctx.loc, count, zero);
}

/// Concat(initial, grown) along axis; initial is often empty.
static Value prepend(ExpandContext &ctx, Value initial,
                     const ValueInfo &initialInfo, Value grown,
                     const ValueInfo &out, int64_t axis) {
  if (initialInfo.dims[axis].isConst(0))
    return castTo(ctx.b, ctx.loc, grown, ctx.typeOf(out));
  OpBuilder &b = ctx.b;
  Value result = ctx.empty(out);
  auto insert = [&](Value part, ArrayRef<Dim> dims, OpFoldResult at) {
    SmallVector<OpFoldResult> offsets(out.rank(), b.getIndexAttr(0)),
        strides(out.rank(), b.getIndexAttr(1)), sizes;
    for (Dim d : dims)
      sizes.push_back(ctx.size(d));
    offsets[axis] = at;
    SmallVector<int64_t> shape;
    for (Dim d : dims)
      shape.push_back(d.isConst() ? d.value() : ShapedType::kDynamic);
    auto type = RankedTensorType::get(
        shape, cast<RankedTensorType>(result.getType()).getElementType());
    result = tensor::InsertSliceOp::create(b, ctx.loc,
                                           castTo(b, ctx.loc, part, type),
                                           result, offsets, sizes, strides);
  };
  SmallVector<Dim> rest(out.dims);
  rest[axis] = ctx.dims.sub(out.dims[axis], initialInfo.dims[axis]);
  SmallVector<Dim> first(rest);
  first[axis] = initialInfo.dims[axis];
  insert(initial, first, b.getIndexAttr(0));
  insert(grown, rest, ctx.size(first[axis]));
  return result;
}

/// Says what the results' sizes are that inferLoop did not know.
static void bindSizes(ExpandContext &ctx, const LoopParts &parts, Value trip) {
  OpBuilder &b = ctx.b;
  for (unsigned k = 0; k < parts.carried; ++k) {
    if (!parts.growth[k])
      continue;
    int64_t axis = parts.growth[k]->axis;
    Value step = ctx.index(ctx.info(parts.growth[k]->appended).dims[axis]);
    Value grown = arith::MulIOp::create(b, ctx.loc, trip, step);
    Value start = ctx.index(ctx.inInfo(2 + k).dims[axis]);
    ctx.bind(ctx.outInfo(k).dims[axis],
             arith::AddIOp::create(b, ctx.loc, start, grown));
  }
  for (unsigned k = 0; k < parts.scanned; ++k)
    ctx.bind(ctx.outInfo(parts.carried + k).dims[0], trip);
}

/// The body's size of a value that grows is that of what stands for it.
static void bindGrown(ExpandContext &ctx, const LoopParts &parts) {
  Block &block = parts.body->front();
  for (auto [k, growth] : llvm::enumerate(parts.growth))
    if (growth)
      ctx.bind(ctx.info(block.getArgument(2 + k)).dims[growth->axis],
               ctx.index(ctx.inInfo(2 + k).dims[growth->axis]));
}

/// Expands the body; of a value that grows it yields what is appended. The
/// Concat is dead code then.
static LogicalResult expandAppending(ExpandContext &ctx, const LoopParts &parts,
                                     ArrayRef<Value> arguments,
                                     SmallVectorImpl<Value> &results) {
  bindGrown(ctx, parts);
  onnx::YieldOp yield = yieldOf(*parts.body);
  SmallVector<Value> before(yield.getValues());
  for (auto [k, growth] : llvm::enumerate(parts.growth))
    if (growth)
      yield->setOperand(1 + k, growth->appended);
  LogicalResult result = ctx.expandBody(*parts.body, arguments, results);
  // The body may be expanded again, where a loop around it is.
  yield->setOperands(before);
  return result;
}

/// As lnn.scan of `trip` iterations.
static LogicalResult expandCounted(ExpandContext &ctx, LoopParts &parts,
                                   Value trip) {
  OpBuilder &b = ctx.b;
  Location loc = ctx.loc;
  SmallVector<Value> inits;
  SmallVector<Type> types;
  SmallVector<int64_t> outDims;
  // Outputs: grown values, then scan outputs.
  auto stacked = [&](const ValueInfo &step, int64_t axis) {
    SmallVector<int64_t> shape;
    for (Dim d : step.dims)
      shape.push_back(d.isConst() ? d.value() : ShapedType::kDynamic);
    shape.insert(shape.begin() + axis, parts.trip && parts.trip->isConst()
                                           ? parts.trip->value()
                                           : ShapedType::kDynamic);
    types.push_back(RankedTensorType::get(
        shape, ExpandContext::converted(step.elementType)));
    outDims.push_back(axis);
  };
  auto yields = yieldOf(*parts.body).getValues();
  for (auto &growth : parts.growth)
    if (growth)
      stacked(ctx.info(growth->appended), growth->axis);
  for (unsigned k = 0; k < parts.scanned; ++k)
    stacked(ctx.info(yields[1 + parts.carried + k]), 0);
  unsigned outputs = outDims.size();
  for (unsigned k = 0; k < parts.carried; ++k)
    if (!parts.growth[k]) {
      Type type = ctx.typeOf(withoutContents(ctx.inInfo(2 + k)));
      inits.push_back(castTo(b, loc, ctx.in(2 + k), type));
      types.push_back(type);
    }
  SmallVector<bool> reverse(outputs, false);
  auto scan =
      ScanOp::create(b, loc, types, trip, ValueRange(), inits,
                     ArrayRef<int64_t>{}, ArrayRef<bool>{}, outDims, reverse);
  {
    OpBuilder::InsertionGuard guard(b);
    Block *block = b.createBlock(&scan.getBody());
    SmallVector<Value> arguments;
    Value step = block->addArgument(b.getIndexType(), loc);
    arguments.push_back(iterationTensor(b, loc, step));
    arguments.push_back(trueTensor(b, loc));
    // A grown value is read by its Concat alone, whose result nothing reads
    // here: an empty tensor stands for it.
    for (unsigned k = 0, at = 0; k < parts.carried; ++k)
      if (parts.growth[k])
        arguments.push_back(castTo(
            b, loc, ctx.in(2 + k),
            ctx.typeOf(ctx.info(parts.body->front().getArgument(2 + k)))));
      else
        arguments.push_back(block->addArgument(inits[at++].getType(), loc));
    SmallVector<Value> results;
    if (failed(expandAppending(ctx, parts, arguments, results)))
      return failure();
    SmallVector<Value> outs, states;
    for (unsigned k = 0; k < parts.carried; ++k)
      if (parts.growth[k])
        outs.push_back(results[1 + k]);
      else
        states.push_back(
            castTo(b, loc, results[1 + k], inits[states.size()].getType()));
    for (unsigned k = 0; k < parts.scanned; ++k)
      outs.push_back(results[1 + parts.carried + k]);
    lnn::YieldOp::create(b, loc, outs, states);
  }
  if (!parts.trip)
    bindSizes(ctx, parts, trip);
  unsigned out = 0, state = outputs;
  for (unsigned k = 0; k < parts.carried; ++k) {
    if (!parts.growth[k]) {
      ctx.setResult(k, scan.getResult(state++));
      continue;
    }
    // [..., trip, e, ...] -> [..., trip * e, ...]
    Value value = scan.getResult(out++);
    int64_t axis = parts.growth[k]->axis;
    auto type = cast<RankedTensorType>(value.getType());
    SmallVector<ReassociationIndices> groups;
    for (int64_t d = 0; d < type.getRank(); ++d) {
      if (d == axis + 1)
        groups.back().push_back(d);
      else
        groups.push_back({d});
    }
    value = tensor::CollapseShapeOp::create(b, loc, value, groups);
    ctx.setResult(k, prepend(ctx, ctx.in(2 + k), ctx.inInfo(2 + k), value,
                             ctx.outInfo(k), axis));
  }
  for (unsigned k = 0; k < parts.scanned; ++k)
    ctx.setResult(parts.carried + k, scan.getResult(out++));
  return success();
}

namespace {
/// Builds scf.while. It carries the iteration number, the condition, those of
/// the carried values that are kept (the body sees the others as they start),
/// and scan outputs, preallocated for M iterations, where they are wanted.
class WhileBuilder {
public:
  WhileBuilder(ExpandContext &ctx, const LoopParts &parts,
               SmallVector<bool> keep, bool withOutputs)
      : ctx(ctx), parts(parts), keep(std::move(keep)),
        outputs(withOutputs ? parts.scanned : 0), b(ctx.b), loc(ctx.loc),
        yields(yieldOf(*parts.body).getValues()) {}
  FailureOr<scf::WhileOp> build();

private:
  ExpandContext &ctx;
  const LoopParts &parts;
  SmallVector<bool> keep;
  unsigned outputs;
  OpBuilder &b;
  Location loc;
  SmallVector<Value> yields; // at the onnx level
  Value bound, zero;
  SmallVector<Value> inits;

  void bounds();
  void initialValues();
  void buildCondition(scf::WhileOp loop);
  LogicalResult buildBody(scf::WhileOp loop);
  Value store(Value part, Value whole, Value step, unsigned k);
};
} // namespace

/// M, and whether the first iteration runs.
void WhileBuilder::bounds() {
  zero = arith::ConstantIndexOp::create(b, loc, 0);
  if (ctx.hasInput(0)) {
    Value m = onlyElement(b, loc, ctx.in(0));
    bound = arith::IndexCastOp::create(b, loc, b.getIndexType(), m);
    Value ok =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, bound, zero);
    CheckOp::create(b, loc, ok, "Loop: the trip count M must not be negative");
  }
  Value start = ctx.hasInput(1)
                    ? truncToBool(b, loc, onlyElement(b, loc, ctx.in(1)))
                    : arith::ConstantIntOp::create(b, loc, 1, 1).getResult();
  inits = {zero, start};
}

void WhileBuilder::initialValues() {
  for (unsigned k = 0; k < parts.carried; ++k) {
    if (!keep[k])
      continue;
    Value init = castTo(b, loc, ctx.in(2 + k),
                        ctx.typeOf(withoutContents(ctx.inInfo(2 + k))));
    inits.push_back(bufferization::AllocTensorOp::create(
        b, loc, cast<RankedTensorType>(init.getType()), ValueRange(), init));
  }
  for (unsigned k = 0; k < outputs; ++k) {
    const ValueInfo &step = ctx.info(yields[1 + parts.carried + k]);
    SmallVector<int64_t> shape{ShapedType::kDynamic};
    SmallVector<Value> sizes{arith::MaxSIOp::create(b, loc, bound, zero)};
    for (Dim d : step.dims) {
      shape.push_back(d.isConst() ? d.value() : ShapedType::kDynamic);
      if (!d.isConst())
        sizes.push_back(ctx.index(d));
    }
    auto type = RankedTensorType::get(
        shape, ExpandContext::converted(step.elementType));
    inits.push_back(bufferization::AllocTensorOp::create(b, loc, type, sizes));
  }
}

void WhileBuilder::buildCondition(scf::WhileOp loop) {
  SmallVector<Type> types(loop.getResultTypes());
  SmallVector<Location> locs(types.size(), loc);
  Block *before = b.createBlock(&loop.getBefore(), {}, types, locs);
  Value goOn = before->getArgument(1);
  if (bound) {
    Value within = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                         before->getArgument(0), bound);
    goOn = arith::AndIOp::create(b, loc, goOn, within);
  }
  scf::ConditionOp::create(b, loc, goOn, before->getArguments());
}

/// Puts scan output k of one iteration in its place.
Value WhileBuilder::store(Value part, Value whole, Value step, unsigned k) {
  auto type = cast<RankedTensorType>(whole.getType());
  SmallVector<OpFoldResult> offsets(type.getRank(), b.getIndexAttr(0)),
      strides(type.getRank(), b.getIndexAttr(1)), sizes{b.getIndexAttr(1)};
  offsets[0] = step;
  for (Dim d : ctx.info(yields[1 + parts.carried + k]).dims)
    sizes.push_back(ctx.size(d));
  part = castTo(b, loc, part,
                RankedTensorType::get(type.getShape().drop_front(),
                                      type.getElementType()));
  return tensor::InsertSliceOp::create(b, loc, part, whole, offsets, sizes,
                                       strides);
}

LogicalResult WhileBuilder::buildBody(scf::WhileOp loop) {
  SmallVector<Type> types(loop.getResultTypes());
  SmallVector<Location> locs(types.size(), loc);
  Block *after = b.createBlock(&loop.getAfter(), {}, types, locs);
  Value step = after->getArgument(0);
  SmallVector<Value> arguments{iterationTensor(b, loc, step),
                               trueTensor(b, loc)};
  unsigned at = 2;
  for (unsigned k = 0; k < parts.carried; ++k)
    arguments.push_back(
        keep[k] ? Value(after->getArgument(at++))
                : castTo(b, loc, ctx.in(2 + k),
                         ctx.typeOf(ctx.info(
                             parts.body->front().getArgument(2 + k)))));
  SmallVector<Value> results;
  if (failed(expandAppending(ctx, parts, arguments, results)))
    return failure();
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  SmallVector<Value> next{arith::AddIOp::create(b, loc, step, one),
                          truncToBool(b, loc, onlyElement(b, loc, results[0]))};
  SmallVector<Value> stored;
  for (unsigned k = 0; k < outputs; ++k)
    stored.push_back(store(results[1 + parts.carried + k],
                           after->getArgument(at + k), step, k));
  at = 2;
  for (unsigned k = 0; k < parts.carried; ++k) {
    if (!keep[k])
      continue;
    Value old = after->getArgument(at++);
    next.push_back(castTo(b, loc, results[1 + k], old.getType()));
  }
  llvm::append_range(next, stored);
  scf::YieldOp::create(b, loc, next);
  return success();
}

FailureOr<scf::WhileOp> WhileBuilder::build() {
  bounds();
  initialValues();
  auto loop = scf::WhileOp::create(
      b, loc, SmallVector<Type>(ValueRange(inits).getTypes()), inits);
  OpBuilder::InsertionGuard guard(b);
  buildCondition(loop);
  if (failed(buildBody(loop)))
    return failure();
  return loop;
}

static LogicalResult expandWhile(ExpandContext &ctx, LoopParts &parts) {
  OpBuilder &b = ctx.b;
  Location loc = ctx.loc;
  FailureOr<scf::WhileOp> loop =
      WhileBuilder(ctx, parts, SmallVector<bool>(parts.carried, true),
                   /*withOutputs=*/true)
          .build();
  if (failed(loop))
    return failure();
  for (unsigned k = 0; k < parts.carried; ++k)
    ctx.setResult(k, loop->getResult(2 + k));
  for (unsigned k = 0; k < parts.scanned; ++k) {
    Value whole = loop->getResult(2 + parts.carried + k);
    const ValueInfo &out = ctx.outInfo(parts.carried + k);
    if (k == 0)
      ctx.bind(out.dims[0], loop->getResult(0));
    SmallVector<OpFoldResult> offsets(out.rank(), b.getIndexAttr(0)),
        strides(out.rank(), b.getIndexAttr(1)), sizes;
    sizes.push_back(loop->getResult(0));
    for (Dim d : ArrayRef(out.dims).drop_front())
      sizes.push_back(ctx.size(d));
    ctx.setResult(parts.carried + k,
                  tensor::ExtractSliceOp::create(b, loc, ctx.typeOf(out), whole,
                                                 offsets, sizes, strides));
  }
  return success();
}

/// Which carried values the condition depends on, over any number of
/// iterations.
static SmallVector<bool> neededByCondition(const LoopParts &parts) {
  Block &block = parts.body->front();
  auto yields = yieldOf(*parts.body).getValues();
  SmallVector<bool> needed(parts.carried, false);
  DenseSet<Value> seen;
  SmallVector<Value> work{yields[0]};
  while (!work.empty()) {
    Value v = work.pop_back_val();
    if (!seen.insert(v).second)
      continue;
    if (auto argument = dyn_cast<BlockArgument>(v)) {
      unsigned number = argument.getArgNumber();
      if (argument.getOwner() == &block && number >= 2) {
        needed[number - 2] = true;
        work.push_back(yields[number - 1]);
      }
      continue;
    }
    v.getDefiningOp()->walk(
        [&](Operation *op) { llvm::append_range(work, op->getOperands()); });
  }
  return needed;
}

/// How often a loop iterates that its condition ends: what the condition
/// depends on is run once for that alone. Everything else in the body is dead
/// code there.
static FailureOr<Value> countIterations(ExpandContext &ctx,
                                        const LoopParts &parts) {
  FailureOr<scf::WhileOp> loop =
      WhileBuilder(ctx, parts, neededByCondition(parts), /*withOutputs=*/false)
          .build();
  if (failed(loop))
    return failure();
  // Checks are made where the loop really runs. Here they would keep alive what
  // they check, and see values that are not carried as they start.
  loop->getAfter().walk([](CheckOp check) { check.erase(); });
  return loop->getResult(0);
}

static LogicalResult expandLoop(ExpandContext &ctx) {
  const ValueInfo *m = ctx.hasInput(0) ? &ctx.inInfo(0) : nullptr;
  const ValueInfo *condition = ctx.hasInput(1) ? &ctx.inInfo(1) : nullptr;
  FailureOr<LoopParts> parts = takeApart(
      ctx, m, condition, [&](unsigned k) { return ctx.inInfo(2 + k).rank(); },
      [&](Value v) -> const ValueInfo & { return ctx.info(v); });
  if (failed(parts))
    return failure();
  if (parts->counted)
    return expandCounted(ctx, *parts, tripCount(ctx, *parts));
  if (!parts->sizesDepend() || parts->madeForBound())
    return expandWhile(ctx, *parts);
  FailureOr<Value> trip = countIterations(ctx, *parts);
  return failed(trip) ? failure() : expandCounted(ctx, *parts, *trip);
}

void lnn::onnx::addLoopOp(std::vector<OpEntry> &table) {
  table.push_back({"Loop", 1, 28, 2, 1u << 16, inferLoop, expandLoop});
}
