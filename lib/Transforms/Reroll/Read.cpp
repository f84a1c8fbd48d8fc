//===- Read.cpp - from onnx.node ops to a graph ---------------------------===//
#include "Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::reroll;
using onnx::NodeOp;

Ref Graph::refOf(Value value) {
  auto [it, isNew] = refs.try_emplace(value, Ref());
  if (isNew) {
    it->second = {int(leafValues.size()), -1};
    leafValues.push_back(value);
    leafConstants.push_back(ElementsAttr());
  }
  return it->second;
}

bool Graph::read() {
  size_t size = block.getOperations().size(); // counts them
  nodes.reserve(size);
  position.reserve(size);
  collapsed.reserve(size);
  numbered.reserve(size);
  refs.reserve(size);
  for (Operation &op : block) {
    if (auto constantOp = dyn_cast<arith::ConstantOp>(op)) {
      auto attr = dyn_cast<ElementsAttr>(constantOp.getValue());
      if (!attr)
        return false;
      Ref ref = refs[constantOp.getResult()] = constant(attr);
      if (!leafValues[ref.id])
        leafValues[ref.id] = constantOp.getResult();
    } else if (isa<onnx::NoneOp>(op)) {
      refOf(op.getResult(0));
    } else if (op.hasTrait<OpTrait::IsTerminator>()) {
      for (Value v : op.getOperands())
        outputs.push_back(refOf(v));
    } else if (auto node = dyn_cast<NodeOp>(op)) {
      if (!readNode(node))
        return false;
    } else {
      return false;
    }
  }
  return true;
}

/// The values from outside that an op's regions read.
static SmallVector<Value, 0> capturedValues(NodeOp op) {
  llvm::SetVector<Value> captured;
  for (Region &region : op.getBodies())
    region.walk([&](Operation *inner) {
      for (Value v : inner->getOperands())
        if (!op->isAncestor(v.getParentBlock()->getParentOp()))
          captured.insert(v);
    });
  return SmallVector<Value, 0>(captured.begin(), captured.end());
}

bool Graph::readNode(NodeOp op) {
  ValueRange inputs = op.getInputs();
  if (op.getOpType() == "Identity" && !op.getDomainAttr() &&
      inputs.size() == 1 && op.getOutputs().size() == 1) {
    refs[op.getOutputs()[0]] = refOf(inputs[0]);
    return true;
  }
  Label label;
  label.type = op.getOpTypeAttr();
  label.domain = op.getDomainAttr();
  label.opset = op.getOpset();
  label.attrs = op.getNodeAttrsAttr();
  Node node(op.getLoc());
  uint64_t omitted = 0;
  for (auto [i, v] : llvm::enumerate(inputs)) {
    node.operands.push_back(refOf(v));
    if (isa<NoneType>(v.getType()))
      omitted |= uint64_t(1) << (i % 64);
  }
  if (!op.getBodies().empty()) {
    label.original = op;
    label.captures = capturedValues(op);
    for (Value v : label.captures)
      node.operands.push_back(refOf(v));
  }
  for (Value v : op.getOutputs()) {
    label.types.push_back(v.getType());
    label.shapes.push_back(shapeOfValue(v));
  }
  node.label = intern(std::move(label), node.operands.size(), omitted);
  int id = number(std::move(node));
  if (auto number = op->getAttrOfType<IntegerAttr>("lnn.number"))
    addOrigins(id, int(number.getInt()));
  for (auto [i, result] : llvm::enumerate(op.getOutputs()))
    refs[result] = {id, int(i)};
  if (op.getOpType() == "Split" && !op.getDomainAttr())
    splitToSlices(op, {id, 0});
  return true;
}

/// A Split into parts of size 1 is how some exporters write x[:, 0], x[:, 1],
/// ...: it becomes Slices, which are matched.
void Graph::splitToSlices(NodeOp op, Ref node) {
  auto data = dyn_cast<RankedTensorType>(op.getInputs()[0].getType());
  auto axisAttr = op.getNodeAttrs().getAs<IntegerAttr>("axis");
  int64_t axis = axisAttr ? axisAttr.getInt() : 0;
  if (!data || op.getOutputs().size() < 3)
    return;
  axis += axis < 0 ? data.getRank() : 0;
  if (axis < 0 || axis >= data.getRank())
    return;
  for (Value v : op.getOutputs()) {
    auto part = dyn_cast<RankedTensorType>(v.getType());
    if (!part || part.getRank() != data.getRank() || part.getDimSize(axis) != 1)
      return;
  }
  Ref whole = nodes[node.id].operands[0];
  for (auto [k, v] : llvm::enumerate(op.getOutputs())) {
    int64_t at = k;
    refs[v] = make(
        "Slice", {whole, integers({at}), integers({at + 1}), integers({axis})},
        v.getType(), shapeOfValue(v), op.getLoc());
    addOrigins(refs[v].id, originsOf(node.id));
  }
}
