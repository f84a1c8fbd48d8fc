//===- OpsControlFlow.cpp - If, Loop and Scan -----------------------------===//
//
// Subgraph operators. Scan, and Loop with a trip count that is known before it
// runs, become lnn.scan; any other Loop becomes scf.while; If becomes scf.if. A
// Loop that grows a value by Concat appends to a preallocated scan output.
//
//===----------------------------------------------------------------------===//
#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Frontend/Onnx/OpTable.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::onnx;

//===----------------------------------------------------------------------===//
// Shared
//===----------------------------------------------------------------------===//

/// What stays true of a value that a loop carries: its type, not its contents.
static ValueInfo withoutContents(const ValueInfo &info) {
  ValueInfo result = info;
  result.data.reset();
  result.constant = nullptr;
  return result;
}

static Value truncToBool(OpBuilder &b, Location loc, Value i8) {
  Value zero = arith::ConstantOp::create(b, loc, b.getI8IntegerAttr(0));
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, i8, zero);
}

/// The one element of a tensor of rank 0, or of rank 1 and size 1.
static Value onlyElement(OpBuilder &b, Location loc, Value tensor) {
  SmallVector<Value> zeros(cast<RankedTensorType>(tensor.getType()).getRank(),
                           arith::ConstantIndexOp::create(b, loc, 0));
  return tensor::ExtractOp::create(b, loc, tensor, zeros);
}

static Value castTo(OpBuilder &b, Location loc, Value v, Type type) {
  return v.getType() == type ? v : tensor::CastOp::create(b, loc, type, v);
}

/// True where info describes a single element.
static bool isSingle(const ValueInfo &info) {
  return llvm::all_of(info.dims, [](Dim d) { return d.isConst(1); });
}

static onnx::YieldOp yieldOf(Region &body) {
  return cast<onnx::YieldOp>(body.front().getTerminator());
}

/// Follows Identity nodes to what they pass on.
static Value lookThrough(Value v) {
  while (auto node = v.getDefiningOp<NodeOp>()) {
    if (node.getOpType() != "Identity" || node.getInputs().size() != 1)
      break;
    v = node.getInputs()[0];
  }
  return v;
}

static std::string dimsText(const ValueInfo &info) { return info.str(); }

//===----------------------------------------------------------------------===//
// If
//===----------------------------------------------------------------------===//

/// The branch that a condition known at compile time selects, or null.
static Region *knownBranch(const NodeView &node, const ValueInfo &condition) {
  if (!condition.data || condition.data->size() != 1 ||
      !condition.data->front().isConst())
    return nullptr;
  return node.bodyAttr(condition.data->front().value() ? "then_branch"
                                                       : "else_branch");
}

static LogicalResult inferIf(InferContext &ctx) {
  Region *thenBody = ctx.bodyAttr("then_branch"),
         *elseBody = ctx.bodyAttr("else_branch");
  if (!thenBody || !elseBody)
    return ctx.error("then_branch and else_branch are both needed");
  const ValueInfo &condition = ctx.in(0);
  if (!condition.elementType.isInteger(1) || !isSingle(condition))
    return ctx.error("the condition must be one bool, it is " +
                     dimsText(condition));
  if (Region *body = knownBranch(ctx, condition)) {
    SmallVector<ValueInfo> results;
    if (failed(ctx.inferBody(*body, {}, results)))
      return failure();
    if (results.size() != ctx.numOutputs())
      return ctx.error("a branch yields " + Twine(results.size()) +
                       " values, the node has " + Twine(ctx.numOutputs()) +
                       " outputs");
    for (auto [i, info] : llvm::enumerate(results))
      ctx.out(i) = info;
    return success();
  }
  SmallVector<ValueInfo> a, b;
  if (failed(ctx.inferBody(*thenBody, {}, a)) ||
      failed(ctx.inferBody(*elseBody, {}, b)))
    return failure();
  if (a.size() != b.size() || a.size() != ctx.numOutputs())
    return ctx.error("the branches yield " + Twine(a.size()) + " and " +
                     Twine(b.size()) + " values, the node has " +
                     Twine(ctx.numOutputs()) + " outputs");
  for (unsigned i = 0; i < a.size(); ++i) {
    if (!a[i].present() || !b[i].present())
      return ctx.error("a branch yields nothing for output " + Twine(i));
    if (a[i].elementType != b[i].elementType)
      return ctx.error("output " + Twine(i) + " is " + a[i].str() +
                       " in then_branch and " + b[i].str() + " in else_branch");
    if (a[i].rank() != b[i].rank())
      return ctx.unsupported("output " + Twine(i) + " is " + a[i].str() +
                             " in then_branch and " + b[i].str() +
                             " in else_branch: ranks must agree");
    ValueInfo &out = ctx.out(i);
    out = withoutContents(a[i]);
    for (auto [dim, other] : llvm::zip(out.dims, b[i].dims))
      if (dim != other)
        dim = ctx.dims.fresh("if");
  }
  return success();
}

static LogicalResult expandIf(ExpandContext &ctx) {
  OpBuilder &b = ctx.b;
  Location loc = ctx.loc;
  if (Region *body = knownBranch(ctx, ctx.inInfo(0))) {
    SmallVector<Value> results;
    if (failed(ctx.expandBody(*body, {}, results)))
      return failure();
    for (auto [i, value] : llvm::enumerate(results))
      ctx.setResult(i, value);
    return success();
  }
  Value condition = truncToBool(b, loc, onlyElement(b, loc, ctx.in(0)));
  SmallVector<Type> types;
  for (unsigned i = 0; i < ctx.numOutputs(); ++i)
    types.push_back(ctx.typeOf(ctx.outInfo(i)));
  auto ifOp = scf::IfOp::create(b, loc, types, condition, /*withElse=*/true);
  auto branch = [&](StringRef name, Block *block) -> LogicalResult {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(block);
    SmallVector<Value> results;
    if (failed(ctx.expandBody(*ctx.bodyAttr(name), {}, results)))
      return failure();
    for (auto [value, type] : llvm::zip(results, types))
      value = castTo(b, loc, value, type);
    scf::YieldOp::create(b, loc, results);
    return success();
  };
  if (failed(branch("then_branch", ifOp.thenBlock())) ||
      failed(branch("else_branch", ifOp.elseBlock())))
    return failure();
  for (auto [i, value] : llvm::enumerate(ifOp.getResults())) {
    const ValueInfo &info = ctx.outInfo(i);
    Region *body = ctx.bodyAttr("then_branch");
    const ValueInfo &first = ctx.info(yieldOf(*body).getValues()[i]);
    for (auto [k, dim] : llvm::enumerate(info.dims))
      if (dim != first.dims[k])
        ctx.bind(dim, tensor::DimOp::create(b, loc, value, k));
    ctx.setResult(i, value);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Loop
//===----------------------------------------------------------------------===//

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
  std::optional<Dim> trip;  // the number of iterations, where known before
  std::optional<Dim> bound; // M, where it is known as a size
  bool endless = false;     // no M
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
  parts.endless = !m;
  if (m && m->data && m->data->size() == 1)
    parts.bound = m->data->front();
  bool startsTrue =
      !condition || (condition->data && condition->data->size() == 1 &&
                     condition->data->front().isConst(1));
  if (m && alwaysContinues(*parts.body, infoOf, startsTrue) && parts.bound)
    parts.trip = parts.bound;
  return parts;
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
  bool grows = llvm::any_of(growth, [](auto &g) { return g.has_value(); });
  if (!parts->trip && (parts->scanned || grows)) {
    if (grows)
      return ctx.unsupported("a value grows by Concat in a loop whose trip "
                             "count is not known before it starts");
    if (!parts->bound ||
        (parts->bound->isConst() && parts->bound->value() > (1 << 24)))
      return ctx.unsupported("its scan outputs need a bound on the trip count "
                             "that is known before it starts (input M)");
  }
  Dim count = parts->trip ? ctx.dims.max(*parts->trip, ctx.c(0)) : Dim();
  if (parts->trip && !parts->trip->isConst())
    count = *parts->trip;
  if (parts->scanned && !parts->trip)
    count = ctx.dims.fresh("iterations");
  for (unsigned k = 0; k < carried; ++k) {
    ValueInfo &out = ctx.out(k);
    out = withoutContents(results[1 + k]);
    if (growth[k]) {
      const ValueInfo &x = ctx.info(growth[k]->appended);
      int64_t axis = growth[k]->axis;
      if (x.rank() <= axis)
        return ctx.error("Concat in its body appends " + x.str());
      out.dims = x.dims;
      out.dims[axis] = ctx.dims.add(ctx.in(2 + k).dims[axis],
                                    ctx.dims.mul(count, x.dims[axis]));
    }
  }
  for (unsigned k = 0; k < parts->scanned; ++k) {
    ValueInfo &out = ctx.out(carried + k);
    out = withoutContents(results[1 + carried + k]);
    if (!out.present())
      return ctx.error("its body yields nothing for scan output " + Twine(k));
    out.dims.insert(out.dims.begin(), count);
  }
  return success();
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
static Value tripCount(ExpandContext &ctx, Dim trip) {
  OpBuilder &b = ctx.b;
  Value count = ctx.index(trip);
  if (trip.isConst())
    return count;
  Value zero = arith::ConstantIndexOp::create(b, ctx.loc, 0);
  Value ok =
      arith::CmpIOp::create(b, ctx.loc, arith::CmpIPredicate::sge, count, zero);
  std::string name;
  llvm::raw_string_ostream(name)
      << "Loop: the trip count M must not be negative";
  CheckOp::create(b, ctx.loc, ok, name);
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

static LogicalResult expandCounted(ExpandContext &ctx, LoopParts &parts) {
  OpBuilder &b = ctx.b;
  Location loc = ctx.loc;
  Value trip = tripCount(ctx, *parts.trip);
  SmallVector<Value> inits;
  SmallVector<Type> types;
  SmallVector<int64_t> outDims;
  // Outputs: grown values, then scan outputs.
  auto stacked = [&](const ValueInfo &step, int64_t axis) {
    SmallVector<int64_t> shape;
    for (Dim d : step.dims)
      shape.push_back(d.isConst() ? d.value() : ShapedType::kDynamic);
    shape.insert(shape.begin() + axis, parts.trip->isConst()
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
    // The Concat must not be expanded: what it appends is the output.
    SmallVector<Value> yielded(yields.begin(), yields.end());
    auto terminator = cast<onnx::YieldOp>(parts.body->front().getTerminator());
    for (unsigned k = 0; k < parts.carried; ++k)
      if (parts.growth[k])
        terminator.getValuesMutable()[1 + k].assign(parts.growth[k]->appended);
    for (auto &growth : parts.growth)
      if (growth && growth->concat->use_empty())
        growth->concat.erase();
    SmallVector<Value> results;
    if (failed(ctx.expandBody(*parts.body, arguments, results)))
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

static LogicalResult expandWhile(ExpandContext &ctx, LoopParts &parts) {
  OpBuilder &b = ctx.b;
  Location loc = ctx.loc;
  auto yields = yieldOf(*parts.body).getValues();
  Value zero = arith::ConstantIndexOp::create(b, loc, 0),
        one = arith::ConstantIndexOp::create(b, loc, 1);
  Value bound;
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
  // Carried: step, condition, values, preallocated scan outputs.
  SmallVector<Value> inits{zero, start};
  for (unsigned k = 0; k < parts.carried; ++k) {
    Value init = castTo(b, loc, ctx.in(2 + k),
                        ctx.typeOf(withoutContents(ctx.inInfo(2 + k))));
    auto copy = bufferization::AllocTensorOp::create(
        b, loc, cast<RankedTensorType>(init.getType()), ValueRange(), init);
    inits.push_back(copy);
  }
  for (unsigned k = 0; k < parts.scanned; ++k) {
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
  SmallVector<Type> types(ValueRange(inits).getTypes());
  auto loop = scf::WhileOp::create(b, loc, types, inits);
  SmallVector<Location> locs(types.size(), loc);
  OpBuilder::InsertionGuard guard(b);
  Block *before = b.createBlock(&loop.getBefore(), {}, types, locs);
  Value goOn = before->getArgument(1);
  if (bound) {
    Value within = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                         before->getArgument(0), bound);
    goOn = arith::AndIOp::create(b, loc, goOn, within);
  }
  scf::ConditionOp::create(b, loc, goOn, before->getArguments());

  Block *after = b.createBlock(&loop.getAfter(), {}, types, locs);
  SmallVector<Value> arguments{iterationTensor(b, loc, after->getArgument(0)),
                               trueTensor(b, loc)};
  for (unsigned k = 0; k < parts.carried; ++k)
    arguments.push_back(after->getArgument(2 + k));
  SmallVector<Value> results;
  if (failed(ctx.expandBody(*parts.body, arguments, results)))
    return failure();
  SmallVector<Value> next{
      arith::AddIOp::create(b, loc, after->getArgument(0), one),
      truncToBool(b, loc, onlyElement(b, loc, results[0]))};
  for (unsigned k = 0; k < parts.scanned; ++k) {
    Value whole = after->getArgument(2 + parts.carried + k);
    auto type = cast<RankedTensorType>(whole.getType());
    const ValueInfo &step = ctx.info(yields[1 + parts.carried + k]);
    SmallVector<OpFoldResult> offsets(type.getRank(), b.getIndexAttr(0)),
        strides(type.getRank(), b.getIndexAttr(1)), sizes{b.getIndexAttr(1)};
    offsets[0] = after->getArgument(0);
    for (Dim d : step.dims)
      sizes.push_back(ctx.size(d));
    Value part = castTo(b, loc, results[1 + parts.carried + k],
                        RankedTensorType::get(type.getShape().drop_front(),
                                              type.getElementType()));
    results[1 + parts.carried + k] = tensor::InsertSliceOp::create(
        b, loc, part, whole, offsets, sizes, strides);
  }
  // What is carried is updated in place, last: the body may read every old
  // value.
  for (unsigned k = 0; k < parts.carried; ++k) {
    Value old = after->getArgument(2 + k);
    Value value = castTo(b, loc, results[1 + k], old.getType());
    next.push_back(bufferization::MaterializeInDestinationOp::create(
                       b, loc, TypeRange(old.getType()), value, old)
                       .getResult());
  }
  for (unsigned k = 0; k < parts.scanned; ++k)
    next.push_back(results[1 + parts.carried + k]);
  scf::YieldOp::create(b, loc, next);

  b.setInsertionPointAfter(loop);
  for (unsigned k = 0; k < parts.carried; ++k)
    ctx.setResult(k, loop.getResult(2 + k));
  for (unsigned k = 0; k < parts.scanned; ++k) {
    Value whole = loop.getResult(2 + parts.carried + k);
    const ValueInfo &out = ctx.outInfo(parts.carried + k);
    if (k == 0)
      ctx.bind(out.dims[0], loop.getResult(0));
    SmallVector<OpFoldResult> offsets(out.rank(), b.getIndexAttr(0)),
        strides(out.rank(), b.getIndexAttr(1)), sizes;
    sizes.push_back(loop.getResult(0));
    for (Dim d : ArrayRef(out.dims).drop_front())
      sizes.push_back(ctx.size(d));
    ctx.setResult(parts.carried + k,
                  tensor::ExtractSliceOp::create(b, loc, ctx.typeOf(out), whole,
                                                 offsets, sizes, strides));
  }
  return success();
}

static LogicalResult expandLoop(ExpandContext &ctx) {
  const ValueInfo *m = ctx.hasInput(0) ? &ctx.inInfo(0) : nullptr;
  const ValueInfo *condition = ctx.hasInput(1) ? &ctx.inInfo(1) : nullptr;
  FailureOr<LoopParts> parts = takeApart(
      ctx, m, condition, [&](unsigned k) { return ctx.inInfo(2 + k).rank(); },
      [&](Value v) -> const ValueInfo & { return ctx.info(v); });
  if (failed(parts))
    return failure();
  return parts->trip ? expandCounted(ctx, *parts) : expandWhile(ctx, *parts);
}

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

namespace {
struct ScanParts {
  Region *body = nullptr;
  unsigned states = 0, inputs = 0, outputs = 0;
  SmallVector<int64_t> inAxes, outAxes; // not negative
  SmallVector<bool> inReverse, outReverse;
};
} // namespace

/// One of Scan's axes or directions lists, with its default where it is absent.
static FailureOr<SmallVector<int64_t>>
scanList(const NodeView &node, StringRef name, unsigned count) {
  SmallVector<int64_t> list(count, 0);
  if (auto given = node.intsAttr(name)) {
    if (given->size() != count)
      return node.error(name + " has " + Twine(given->size()) + " entries, " +
                        Twine(count) + " were expected");
    list = *given;
  }
  return list;
}

static FailureOr<ScanParts>
takeScanApart(const NodeView &node,
              llvm::function_ref<int64_t(unsigned)> inputRank) {
  ScanParts parts;
  parts.body = node.bodyAttr("body");
  int64_t count = node.intAttr("num_scan_inputs", -1);
  if (!parts.body || parts.body->empty() || count < 0 ||
      count > node.numInputs())
    return node.error("a body and num_scan_inputs between 0 and the number "
                      "of inputs are needed");
  parts.inputs = count;
  parts.states = node.numInputs() - count;
  unsigned yields = yieldOf(*parts.body).getValues().size();
  if (parts.body->front().getNumArguments() != node.numInputs() ||
      yields < parts.states || yields != node.numOutputs())
    return node.error(
        "its body takes " + Twine(parts.body->front().getNumArguments()) +
        " values and yields " + Twine(yields) + "; " + Twine(node.numInputs()) +
        " and " + Twine(node.numOutputs()) + " were expected");
  parts.outputs = yields - parts.states;
  auto inAxes = scanList(node, "scan_input_axes", parts.inputs),
       inDirs = scanList(node, "scan_input_directions", parts.inputs),
       outAxes = scanList(node, "scan_output_axes", parts.outputs),
       outDirs = scanList(node, "scan_output_directions", parts.outputs);
  if (failed(inAxes) || failed(inDirs) || failed(outAxes) || failed(outDirs))
    return failure();
  for (auto [i, axis] : llvm::enumerate(*inAxes)) {
    int64_t rank = inputRank(i);
    if (axis < -rank || axis >= rank)
      return node.error("scan_input_axes[" + Twine(i) + "] is " + Twine(axis) +
                        ", the input's rank is " + Twine(rank));
    parts.inAxes.push_back(axis < 0 ? axis + rank : axis);
  }
  parts.outAxes = *outAxes;
  for (int64_t d : *inDirs)
    parts.inReverse.push_back(d != 0);
  for (int64_t d : *outDirs)
    parts.outReverse.push_back(d != 0);
  return parts;
}

static LogicalResult inferScan(InferContext &ctx) {
  for (unsigned i = 0; i < ctx.numInputs(); ++i)
    if (!ctx.hasInput(i))
      return ctx.error("input " + Twine(i) + " is missing");
  int64_t count = ctx.intAttr("num_scan_inputs", 0);
  unsigned states = std::max<int64_t>(0, int64_t(ctx.numInputs()) - count);
  FailureOr<ScanParts> parts =
      takeScanApart(ctx, [&](unsigned i) { return ctx.in(states + i).rank(); });
  if (failed(parts))
    return failure();
  if (!parts->inputs)
    return ctx.error("at least one scan input is needed");
  SmallVector<ValueInfo> arguments;
  for (unsigned i = 0; i < parts->states; ++i)
    arguments.push_back(withoutContents(ctx.in(i)));
  Dim length = ctx.in(states).dims[parts->inAxes[0]];
  for (unsigned i = 0; i < parts->inputs; ++i) {
    ValueInfo slice = withoutContents(ctx.in(states + i));
    Dim other = slice.dims[parts->inAxes[i]];
    if (other.isConst() && length.isConst() && other != length)
      return ctx.error("scan inputs have " + Twine(length.value()) + " and " +
                       Twine(other.value()) + " steps");
    if (other.isConst())
      length = other;
    slice.dims.erase(slice.dims.begin() + parts->inAxes[i]);
    arguments.push_back(slice);
  }
  SmallVector<ValueInfo> results;
  if (failed(ctx.inferBody(*parts->body, arguments, results)))
    return failure();
  for (unsigned i = 0; i < results.size(); ++i) {
    ValueInfo &out = ctx.out(i);
    out = withoutContents(results[i]);
    if (!out.present())
      return ctx.error("its body yields nothing for output " + Twine(i));
    if (i < parts->states) {
      const ValueInfo &before = arguments[i];
      if (before.elementType != out.elementType)
        return ctx.error("state " + Twine(i) + " starts as " + before.str() +
                         " and its body yields " + out.str());
      if (before.dims != out.dims)
        return ctx.unsupported("state " + Twine(i) +
                               " changes its shape from " + before.str() +
                               " to " + out.str());
      continue;
    }
    int64_t axis = parts->outAxes[i - parts->states], rank = out.rank() + 1;
    if (axis < -rank || axis >= rank)
      return ctx.error("scan_output_axes[" + Twine(i - parts->states) +
                       "] is " + Twine(axis) + ", the output's rank is " +
                       Twine(rank));
    out.dims.insert(out.dims.begin() + (axis < 0 ? axis + rank : axis), length);
  }
  return success();
}

static LogicalResult expandScan(ExpandContext &ctx) {
  OpBuilder &b = ctx.b;
  Location loc = ctx.loc;
  int64_t count = ctx.intAttr("num_scan_inputs", 0);
  unsigned states = ctx.numInputs() - count;
  FailureOr<ScanParts> parts = takeScanApart(
      ctx, [&](unsigned i) { return ctx.inInfo(states + i).rank(); });
  if (failed(parts))
    return failure();
  Dim length = ctx.inInfo(states).dims[parts->inAxes[0]];
  for (unsigned i = 1; i < parts->inputs; ++i) {
    Dim other = ctx.inInfo(states + i).dims[parts->inAxes[i]];
    ctx.checkEqual(length, other, "the scan inputs' number of steps");
    if (other.isConst())
      length = other;
  }
  SmallVector<Value> inits, inputs;
  SmallVector<Type> types;
  for (unsigned i = 0; i < parts->outputs; ++i)
    types.push_back(ctx.typeOf(ctx.outInfo(parts->states + i)));
  for (unsigned i = 0; i < parts->states; ++i) {
    inits.push_back(
        castTo(b, loc, ctx.in(i), ctx.typeOf(withoutContents(ctx.inInfo(i)))));
    types.push_back(inits.back().getType());
  }
  for (unsigned i = 0; i < parts->inputs; ++i)
    inputs.push_back(ctx.in(states + i));
  SmallVector<int64_t> outDims;
  for (unsigned i = 0; i < parts->outputs; ++i) {
    int64_t axis = parts->outAxes[i];
    outDims.push_back(axis < 0 ? axis + ctx.outInfo(parts->states + i).rank()
                               : axis);
  }
  auto scan = ScanOp::create(b, loc, types, ctx.index(length), inputs, inits,
                             parts->inAxes, parts->inReverse, outDims,
                             parts->outReverse);
  {
    OpBuilder::InsertionGuard guard(b);
    Block *block = b.createBlock(&scan.getBody());
    block->addArgument(b.getIndexType(), loc);
    SmallVector<Value> slices, arguments;
    for (unsigned i = 0; i < parts->inputs; ++i) {
      auto type = cast<RankedTensorType>(inputs[i].getType());
      SmallVector<int64_t> shape(type.getShape());
      shape.erase(shape.begin() + parts->inAxes[i]);
      slices.push_back(block->addArgument(
          RankedTensorType::get(shape, type.getElementType()), loc));
    }
    for (Value init : inits)
      arguments.push_back(block->addArgument(init.getType(), loc));
    llvm::append_range(arguments, slices);
    SmallVector<Value> results;
    if (failed(ctx.expandBody(*parts->body, arguments, results)))
      return failure();
    for (unsigned i = 0; i < parts->states; ++i)
      results[i] = castTo(b, loc, results[i], inits[i].getType());
    ArrayRef<Value> all(results);
    lnn::YieldOp::create(b, loc, all.drop_front(parts->states),
                         all.take_front(parts->states));
  }
  for (unsigned i = 0; i < parts->states; ++i)
    ctx.setResult(i, scan.getResult(parts->outputs + i));
  for (unsigned i = 0; i < parts->outputs; ++i)
    ctx.setResult(parts->states + i, scan.getResult(i));
  return success();
}

void lnn::onnx::addControlFlowOps(std::vector<OpEntry> &table) {
  table.push_back({"If", 1, 28, 1, 1, inferIf, expandIf});
  table.push_back({"Loop", 1, 28, 2, 1u << 16, inferLoop, expandLoop});
  table.push_back({"Scan", 9, 28, 1, 1u << 16, inferScan, expandScan});
}
