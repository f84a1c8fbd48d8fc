//===- OnnxToLnn.cpp - expand onnx.node -----------------------------------===//
//
// The driver: infers symbolic sizes, then calls each node's expand function in
// order. What an operator becomes stands in the operator table
// (lib/Frontend/Onnx).
//
//===----------------------------------------------------------------------===//
#include "lnn/Conversion/Passes.h"
#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Frontend/Onnx/Analysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace lnn {
#define GEN_PASS_DEF_CONVERTONNXTOLNN
#include "lnn/Conversion/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;
using namespace lnn::onnx;

namespace {

/// The state of one function's conversion.
class Converter {
public:
  Converter(func::FuncOp function)
      : function(function), b(function.getContext()) {}
  LogicalResult run();

private:
  friend class ExpandContextImpl;
  func::FuncOp function;
  OpBuilder b;
  Analysis analysis;
  DenseMap<Value, Value> converted;
  DenseMap<const DimNode *, Value> atEntry; // sizes computed at the entry
  DenseMap<const DimNode *, Value> bound;   // symbols that data gave
  Operation *entry = nullptr;               // sizes go in front of it
  bool missingSize = false, anyFailed = false;

  void argumentSizes();
  bool isKnownAtEntry(Dim dim);
  OpFoldResult size(Dim dim, Location loc);
  Value build(OpBuilder &at, Dim dim, Location loc);
  Value convertConstant(arith::ConstantOp constant);
  Value valueOf(Value original);
  LogicalResult expandBlock(Block &block);
  LogicalResult expandNode(NodeOp node);
  void standIn(NodeOp node);
};

class ExpandContextImpl : public ExpandContext {
public:
  ExpandContextImpl(Converter &converter, NodeOp op)
      : ExpandContext(op, converter.b, converter.analysis.dims),
        converter(converter) {}
  const ValueInfo &inInfo(unsigned i) const override {
    static const ValueInfo none;
    NodeOp node = op;
    return i < node.getInputs().size()
               ? converter.analysis.info(node.getInputs()[i])
               : none;
  }
  const ValueInfo &outInfo(unsigned i) const override {
    NodeOp node = op;
    return converter.analysis.info(node.getOutputs()[i]);
  }
  const ValueInfo &info(Value original) const override {
    return converter.analysis.info(original);
  }
  Value in(unsigned i) const override {
    NodeOp node = op;
    return hasInput(i) ? converter.valueOf(node.getInputs()[i]) : Value();
  }
  void setResult(unsigned i, Value value) override {
    converter.converted[op.getOutputs()[i]] = value;
  }
  LogicalResult expandNode(NodeOp node) override {
    if (failed(converter.analysis.inferOne(node)))
      return failure();
    return converter.expandNode(node);
  }
  Value valueOf(Value original) override { return converter.valueOf(original); }
  void setInfo(Value original, ValueInfo info, Value value) override {
    converter.analysis.setInfo(original, std::move(info));
    if (value)
      converter.converted[original] = value;
  }
  void forget(Value original) override {
    converter.analysis.forget(original);
    converter.converted.erase(original);
  }
  OpFoldResult size(Dim dim) override { return converter.size(dim, loc); }
  void bind(Dim symbol, Value index) override {
    converter.bound[symbol.get()] = index;
  }
  LogicalResult expandBody(Region &body, ValueRange arguments,
                           SmallVectorImpl<Value> &results) override {
    Block &block = body.front();
    for (auto [from, to] : llvm::zip_equal(block.getArguments(), arguments))
      converter.converted[from] = to;
    if (failed(converter.expandBlock(block)))
      return failure();
    for (Value v : block.getTerminator()->getOperands())
      results.push_back(converter.valueOf(v));
    return success();
  }

private:
  Converter &converter;
};

struct ConvertOnnxToLnn : lnn::impl::ConvertOnnxToLnnBase<ConvertOnnxToLnn> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      bool any = llvm::any_of(function.getBody().front(), [](Operation &op) {
        return isa<NodeOp, onnx::NoneOp>(op);
      });
      // An imported function without nodes may still have types to convert.
      any |= llvm::any_of(function.getArgumentTypes(), [](Type type) {
        auto tensor = dyn_cast<RankedTensorType>(type);
        return tensor && ExpandContext::converted(tensor.getElementType()) !=
                             tensor.getElementType();
      });
      if (any && failed(Converter(function).run()))
        return signalPassFailure();
    }
  }
};
} // namespace

static RankedTensorType convertedType(const ValueInfo &info) {
  SmallVector<int64_t> shape;
  for (Dim d : info.dims)
    shape.push_back(d.isConst() ? d.value() : ShapedType::kDynamic);
  return RankedTensorType::get(shape,
                               ExpandContext::converted(info.elementType));
}

/// The symbols that the arguments' sizes are.
void Converter::argumentSizes() {
  b.setInsertionPoint(entry);
  for (BlockArgument argument : function.getArguments())
    for (auto [k, dim] : llvm::enumerate(analysis.info(argument).dims))
      if (dim.isSymbol() && !atEntry.contains(dim.get()))
        atEntry[dim.get()] =
            tensor::DimOp::create(b, function.getLoc(), argument, k);
}

bool Converter::isKnownAtEntry(Dim dim) {
  const DimNode *node = dim.get();
  if (node->kind == DimNode::Constant || atEntry.contains(node))
    return true;
  return node->kind != DimNode::Symbol && isKnownAtEntry(Dim(node->lhs)) &&
         isKnownAtEntry(Dim(node->rhs));
}

Value Converter::build(OpBuilder &at, Dim dim, Location loc) {
  const DimNode *node = dim.get();
  if (auto it = atEntry.find(node); it != atEntry.end())
    return it->second;
  // A size that a subgraph found is not known outside of it.
  if (auto it = bound.find(node);
      it != bound.end() &&
      it->second.getParentRegion()->isAncestor(at.getBlock()->getParent()))
    return it->second;
  if (node->kind == DimNode::Constant)
    return arith::ConstantIndexOp::create(at, loc, node->value);
  if (node->kind == DimNode::Symbol) {
    if (!missingSize && !anyFailed) // what follows from one error is none
      emitError(loc) << "not supported: the size " << dim.str()
                     << " is not known before the data is";
    missingSize = true;
    return arith::ConstantIndexOp::create(at, loc, 1);
  }
  Value lhs = build(at, Dim(node->lhs), loc),
        rhs = build(at, Dim(node->rhs), loc);
  switch (node->kind) {
  case DimNode::Add:
    return arith::AddIOp::create(at, loc, lhs, rhs);
  case DimNode::Mul:
    return arith::MulIOp::create(at, loc, lhs, rhs);
  case DimNode::FloorDiv: {
    if (!Dim(node->rhs).isConst()) {
      // A divisor of zero would trap; what it divides is empty then.
      Value zero = arith::ConstantIndexOp::create(at, loc, 0),
            one = arith::ConstantIndexOp::create(at, loc, 1);
      Value isZero =
          arith::CmpIOp::create(at, loc, arith::CmpIPredicate::eq, rhs, zero);
      rhs = arith::SelectOp::create(at, loc, isZero, one, rhs);
    }
    return arith::FloorDivSIOp::create(at, loc, lhs, rhs);
  }
  case DimNode::Min:
    return arith::MinSIOp::create(at, loc, lhs, rhs);
  default:
    return arith::MaxSIOp::create(at, loc, lhs, rhs);
  }
}

OpFoldResult Converter::size(Dim dim, Location loc) {
  if (dim.isConst())
    return b.getIndexAttr(dim.value());
  if (!isKnownAtEntry(dim))
    return build(b, dim, loc);
  if (auto it = atEntry.find(dim.get()); it != atEntry.end())
    return it->second;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(entry);
  Value value = build(b, dim, function.getLoc());
  atEntry[dim.get()] = value;
  return value;
}

Value Converter::convertConstant(arith::ConstantOp constant) {
  auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (!dense || !isa<RankedTensorType>(dense.getType()))
    return constant.getResult();
  auto type = cast<RankedTensorType>(dense.getType());
  Type element = ExpandContext::converted(type.getElementType());
  if (element == type.getElementType())
    return constant.getResult();
  auto to = RankedTensorType::get(type.getShape(), element);
  DenseElementsAttr converted;
  if (type.getElementType().isInteger(1)) {
    SmallVector<int8_t> bytes;
    for (bool v : dense.getValues<bool>())
      bytes.push_back(v);
    converted = DenseElementsAttr::get(to, ArrayRef<int8_t>(bytes));
  } else {
    converted = dense.bitcast(element);
  }
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(entry);
  return arith::ConstantOp::create(b, constant.getLoc(), converted);
}

Value Converter::valueOf(Value original) {
  if (auto it = converted.find(original); it != converted.end())
    return it->second;
  if (auto constant = original.getDefiningOp<arith::ConstantOp>()) {
    // A constant in a subgraph moves to the entry, where everything can see it.
    if (constant->getBlock() != &function.getBody().front())
      constant->moveBefore(entry);
    Value value = convertConstant(constant);
    return converted[original] = value;
  }
  return original;
}

LogicalResult Converter::expandNode(NodeOp node) {
  const OpEntry *row =
      lookup(node.getDomain() ? *node.getDomain() : StringRef(),
             node.getOpType(), node.getOpset());
  ExpandContextImpl ctx(*this, node);
  if (failed(row->expand(ctx)) || missingSize)
    return failure();
  for (auto [i, result] : llvm::enumerate(node.getOutputs()))
    if (!isa<NoneType>(result.getType()) && !converted.contains(result))
      return ctx.error("its expansion gives no value for output " + Twine(i));
  return success();
}

/// Values in the place of a node's that was not expanded, so that the nodes
/// behind it are looked at too. The conversion has failed; they never run.
void Converter::standIn(NodeOp node) {
  for (Value result : node.getOutputs())
    if (!isa<NoneType>(result.getType()))
      converted[result] =
          UnrealizedConversionCastOp::create(
              b, node.getLoc(), convertedType(analysis.info(result)),
              ValueRange())
              .getResult(0);
}

LogicalResult Converter::expandBlock(Block &block) {
  SmallVector<NodeOp> nodes(block.getOps<NodeOp>());
  for (NodeOp node : nodes)
    if (failed(expandNode(node))) {
      anyFailed = true;
      missingSize = false;
      standIn(node);
    }
  return success();
}

LogicalResult Converter::run() {
  if (failed(analysis.run(function)))
    return failure();
  Block &block = function.getBody().front();
  b.setInsertionPointToStart(&block);
  entry = onnx::NoneOp::create(b, function.getLoc(), b.getNoneType());
  for (BlockArgument argument : block.getArguments())
    if (auto type = dyn_cast<RankedTensorType>(argument.getType()))
      argument.setType(RankedTensorType::get(
          type.getShape(), ExpandContext::converted(type.getElementType())));
  argumentSizes();
  Operation *terminator = block.getTerminator();
  SmallVector<Operation *> old;
  for (Operation &op : llvm::make_early_inc_range(
           llvm::make_range(entry->getIterator(), block.end())))
    if (isa<NodeOp, onnx::NoneOp>(op))
      old.push_back(&op);
    else if (isa<arith::ConstantOp>(op) && entry->isBeforeInBlock(&op))
      op.moveBefore(entry);
  b.setInsertionPoint(terminator);
  if (failed(expandBlock(block)) || anyFailed)
    return failure();
  for (OpOperand &operand : terminator->getOpOperands()) {
    const ValueInfo &info = analysis.info(operand.get());
    Value value = valueOf(operand.get());
    if (info.present() && isa<RankedTensorType>(value.getType())) {
      RankedTensorType to = convertedType(info);
      if (to != value.getType())
        value = tensor::CastOp::create(b, terminator->getLoc(), to, value);
    }
    operand.set(value);
  }
  for (Operation *op : llvm::reverse(old)) {
    op->dropAllUses();
    op->erase();
  }
  function.setType(
      b.getFunctionType(block.getArgumentTypes(),
                        SmallVector<Type>(terminator->getOperandTypes())));
  return success();
}
