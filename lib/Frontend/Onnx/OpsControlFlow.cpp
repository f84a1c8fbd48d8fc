//===- OpsControlFlow.cpp - If and Scan -----------------------------------===//
//
// If becomes scf.if, Scan lnn.scan. Loop is in OpsLoop.cpp.
//
//===----------------------------------------------------------------------===//
#include "ControlFlow.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::onnx;

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
                     condition.str());
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
  addLoopOp(table);
  table.push_back({"Scan", 9, 28, 1, 1u << 16, inferScan, expandScan});
}
