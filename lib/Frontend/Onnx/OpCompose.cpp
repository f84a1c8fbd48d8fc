//===- OpCompose.cpp - operators written as other operators ---------------===//
#include "OpCompose.h"

using namespace mlir;

namespace lnn::onnx {

/// The opset whose forms definitions are written in.
static constexpr int64_t kComposedOpset = 24;

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

OpBuilder Composer::builder() const {
  NodeOp node = op;
  OpBuilder b(node.getContext());
  if (body)
    b.setInsertionPointToEnd(body);
  else
    b.setInsertionPoint(node);
  return b;
}

Value Composer::in(unsigned i) const {
  NodeOp node = op;
  return hasInput(i) ? node.getInputs()[i] : Value();
}

Dim Composer::dim(Value value, int64_t i) const {
  const ValueInfo &known = info(value);
  i = i < 0 ? i + known.rank() : i;
  return i >= 0 && i < known.rank() ? known.dims[i] : Dim();
}

Composer::Values Composer::nodes(StringRef type, ArrayRef<Value> inputs,
                                 ArrayRef<NamedAttribute> attrs,
                                 unsigned results) {
  OpBuilder b = builder();
  Values operands;
  Value none;
  for (Value v : inputs) {
    if (!v && !none) {
      none = NoneOp::create(b, op.getLoc(), b.getNoneType());
      made.push_back(none.getDefiningOp());
    }
    operands.push_back(v ? v : none);
  }
  if (anyFailed)
    return Values(results);
  SmallVector<Type> types(results, UnrankedTensorType::get(b.getF32Type()));
  OperationState state(op.getLoc(), NodeOp::getOperationName());
  state.addOperands(operands);
  state.addTypes(types);
  state.addAttribute("op_type", b.getStringAttr(type));
  state.addAttribute("opset", b.getI64IntegerAttr(kComposedOpset));
  state.addAttribute("node_attrs", b.getDictionaryAttr(attrs));
  return enter(mlir::cast<NodeOp>(b.create(state)));
}

/// Nodes of a body are taken with it.
Composer::Values Composer::enter(NodeOp node) {
  if (!body) {
    made.push_back(node);
    anyFailed |= failed(take(node));
  }
  if (anyFailed)
    return Values(node.getOutputs().size());
  return Values(node.getOutputs().begin(), node.getOutputs().end());
}

Composer::Values Composer::scan(ArrayRef<Value> states, ArrayRef<Value> inputs,
                                int64_t axis,
                                llvm::function_ref<Values(ValueRange)> step) {
  Values operands(states);
  llvm::append_range(operands, inputs);
  if (anyFailed || llvm::is_contained(operands, Value()))
    return Values(states.size() + 1);
  OpBuilder b = builder();
  Type later = UnrankedTensorType::get(b.getF32Type());
  OperationState state(op.getLoc(), NodeOp::getOperationName());
  Region *region = state.addRegion();
  Block *block = b.createBlock(region);
  for (Value v : operands)
    block->addArgument(later, v.getLoc());
  body = block;
  Values results = step(block->getArguments());
  body = nullptr;
  b.setInsertionPointToEnd(block);
  YieldOp::create(b, op.getLoc(), results);
  b = builder();
  unsigned outputs = results.size() - states.size();
  state.addOperands(operands);
  state.addTypes(SmallVector<Type>(results.size(), later));
  state.addAttribute("op_type", b.getStringAttr("Scan"));
  state.addAttribute("opset", b.getI64IntegerAttr(kComposedOpset));
  state.addAttribute("region_names", b.getStrArrayAttr({"body"}));
  SmallVector<int64_t> axes(inputs.size(), axis), outAxes(outputs, axis);
  state.addAttribute(
      "node_attrs",
      b.getDictionaryAttr(
          {attr("num_scan_inputs", static_cast<int64_t>(inputs.size())),
           attr("scan_input_axes", axes), attr("scan_output_axes", outAxes)}));
  return enter(mlir::cast<NodeOp>(b.create(state)));
}

Value Composer::node(StringRef type, ArrayRef<Value> inputs,
                     ArrayRef<NamedAttribute> attrs) {
  return nodes(type, inputs, attrs, 1).front();
}

NamedAttribute Composer::attr(StringRef name, int64_t value) {
  return builder().getNamedAttr(name, builder().getI64IntegerAttr(value));
}
NamedAttribute Composer::attr(StringRef name, double value) {
  return builder().getNamedAttr(name, builder().getF32FloatAttr(value));
}
NamedAttribute Composer::attr(StringRef name, StringRef value) {
  return builder().getNamedAttr(name, builder().getStringAttr(value));
}
NamedAttribute Composer::attr(StringRef name, ArrayRef<int64_t> value) {
  return builder().getNamedAttr(name, builder().getDenseI64ArrayAttr(value));
}

void Composer::copyAttr(StringRef name,
                        SmallVectorImpl<NamedAttribute> &attrs) {
  if (Attribute value = NodeView::attr(name))
    attrs.push_back(builder().getNamedAttr(name, value));
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

ValueInfo Composer::infoOf(DenseElementsAttr value) {
  ValueInfo info;
  auto type = mlir::cast<RankedTensorType>(value.getType());
  info.elementType = type.getElementType();
  for (int64_t size : type.getShape())
    info.dims.push_back(dims.constant(size));
  info.constant = value;
  if (auto values = integersOf(value)) {
    SmallVector<Dim> data;
    for (int64_t v : *values)
      data.push_back(dims.constant(v));
    setData(info, std::move(data));
  }
  return info;
}

Value Composer::constant(DenseElementsAttr value) {
  OpBuilder b = builder();
  Value result = arith::ConstantOp::create(b, op.getLoc(), value);
  if (!body)
    made.push_back(result.getDefiningOp());
  know(result, value);
  return result;
}

Value Composer::number(double value, Type elementType) {
  if (!elementType)
    return {};
  auto type = RankedTensorType::get({}, elementType);
  if (auto f = dyn_cast<FloatType>(elementType)) {
    APFloat v(value);
    bool lost;
    v.convert(f.getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
    return constant(DenseElementsAttr::get(type, v));
  }
  APInt v(elementType.getIntOrFloatBitWidth(), static_cast<int64_t>(value),
          true, /*implicitTrunc=*/true);
  return constant(DenseElementsAttr::get(type, v));
}

Value Composer::integers(ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                    builder().getI64Type());
  return constant(DenseElementsAttr::get(type, values));
}

Value Composer::integer(int64_t value) {
  auto type = RankedTensorType::get({}, builder().getI64Type());
  return constant(DenseElementsAttr::get(type, value));
}

//===----------------------------------------------------------------------===//
// Short forms
//===----------------------------------------------------------------------===//

Value Composer::cast(Value a, Type elementType) {
  if (!ok() || type(a) == elementType)
    return a;
  // CastLike takes any type there is a constant of.
  return node("CastLike", {a, number(0, elementType)});
}
Value Composer::reshape(Value a, ArrayRef<Dim> to) {
  if (!ok() || llvm::is_contained(to, Dim()))
    return {};
  return node("Reshape", {a, sizes(to)}, {attr("allowzero", int64_t(1))});
}
Value Composer::transpose(Value a, ArrayRef<int64_t> perm) {
  return node("Transpose", {a}, {attr("perm", perm)});
}
Value Composer::unsqueeze(Value a, ArrayRef<int64_t> axes) {
  return node("Unsqueeze", {a, integers(axes)});
}
Value Composer::concat(ArrayRef<Value> parts, int64_t axis) {
  return node("Concat", parts, {attr("axis", axis)});
}
Value Composer::slice(Value a, int64_t axis, Dim begin, Dim end) {
  if (!ok() || !begin || !end)
    return {};
  return node("Slice", {a, sizes({begin}), sizes({end}), integers({axis})});
}
Value Composer::reduce(StringRef type, Value a, ArrayRef<int64_t> axes,
                       bool keep) {
  return node(type, {a, integers(axes)}, {attr("keepdims", int64_t(keep))});
}
Value Composer::expand(Value a, ArrayRef<Dim> to) {
  if (!ok() || llvm::is_contained(to, Dim()))
    return {};
  return node("Expand", {a, sizes(to)});
}

void Composer::erase(llvm::function_ref<void(Value)> forget) {
  for (Operation *made : llvm::reverse(made)) {
    if (!made->use_empty())
      continue;
    made->walk([&](Operation *inner) {
      for (Value result : inner->getResults())
        forget(result);
      for (Region &region : inner->getRegions())
        for (Value argument : region.getArguments())
          forget(argument);
    });
    made->erase();
  }
  made.clear();
}

//===----------------------------------------------------------------------===//
// Inference
//===----------------------------------------------------------------------===//

namespace {
class InferComposer : public Composer {
public:
  InferComposer(InferContext &ctx) : Composer(ctx.op, ctx.dims), ctx(ctx) {}
  ~InferComposer() override {
    erase([&](Value v) { ctx.forget(v); });
  }
  const ValueInfo &info(Value value) const override {
    static const ValueInfo none;
    return value ? ctx.info(value) : none;
  }
  Value sizes(ArrayRef<Dim> values) override {
    ValueInfo info;
    info.elementType = builder().getI64Type();
    info.dims = {dims.constant(values.size())};
    setData(info, SmallVector<Dim>(values));
    OpBuilder b = builder();
    auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                      info.elementType);
    auto stand = UnrealizedConversionCastOp::create(
        b, op.getLoc(), TypeRange(type), ValueRange());
    made.push_back(stand);
    ctx.setInfo(stand.getResult(0), std::move(info));
    return stand.getResult(0);
  }
  void give(unsigned i, Value value) override {
    if (value && hasOutput(i))
      ctx.out(i) = ctx.info(value);
  }

protected:
  LogicalResult take(NodeOp node) override { return ctx.inferNode(node); }
  void know(Value constant, DenseElementsAttr value) override {
    ctx.setInfo(constant, infoOf(value));
  }

private:
  InferContext &ctx;
};

class ExpandComposer : public Composer {
public:
  ExpandComposer(ExpandContext &ctx) : Composer(ctx.op, ctx.dims), ctx(ctx) {}
  ~ExpandComposer() override {
    erase([&](Value v) { ctx.forget(v); });
  }
  const ValueInfo &info(Value value) const override {
    static const ValueInfo none;
    return value ? ctx.info(value) : none;
  }
  Value sizes(ArrayRef<Dim> values) override {
    ValueInfo info;
    info.elementType = ctx.b.getI64Type();
    info.dims = {dims.constant(values.size())};
    setData(info, SmallVector<Dim>(values));
    auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                      info.elementType);
    SmallVector<Value> elements;
    for (Dim d : values)
      elements.push_back(arith::IndexCastOp::create(
          ctx.b, ctx.loc, info.elementType, ctx.index(d)));
    Value converted =
        tensor::FromElementsOp::create(ctx.b, ctx.loc, type, elements);
    OpBuilder b = builder();
    auto stand = UnrealizedConversionCastOp::create(
        b, op.getLoc(), TypeRange(type), ValueRange());
    made.push_back(stand);
    ctx.setInfo(stand.getResult(0), std::move(info), converted);
    return stand.getResult(0);
  }
  void give(unsigned i, Value value) override {
    if (value && hasOutput(i))
      lnn::onnx::give(ctx, i, ctx.valueOf(value));
  }

protected:
  LogicalResult take(NodeOp node) override { return ctx.expandNode(node); }
  void know(Value constant, DenseElementsAttr value) override {
    ctx.setInfo(constant, infoOf(value), Value());
  }

private:
  ExpandContext &ctx;
};
} // namespace

LogicalResult inferComposed(InferContext &ctx, ComposeFn fn) {
  InferComposer composer(ctx);
  return success(succeeded(fn(composer)) && composer.ok());
}

LogicalResult expandComposed(ExpandContext &ctx, ComposeFn fn) {
  ExpandComposer composer(ctx);
  return success(succeeded(fn(composer)) && composer.ok());
}

} // namespace lnn::onnx
