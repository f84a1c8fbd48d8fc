//===- Write.cpp - from a graph to onnx.node ops --------------------------===//
#include "Graph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::reroll;
using onnx::NodeOp;

static Value constantAt(OpBuilder &b, Location loc, ElementsAttr attr) {
  return arith::ConstantOp::create(b, loc, cast<TypedAttr>(attr));
}

/// Says of an op that was written which nodes it stands for.
static void noteOrigins(OpBuilder &b, ArrayRef<Value> results,
                        ArrayRef<int> origins) {
  if (origins.empty() || results.empty())
    return;
  SmallVector<int64_t> numbers(origins.begin(), origins.end());
  results[0].getDefiningOp()->setAttr("lnn.origins",
                                      b.getDenseI64ArrayAttr(numbers));
}

SmallVector<Value> Graph::emit(OpBuilder &b, int id, Location loc,
                               ValueRange operands) {
  const Label &label = labels[id];
  if (label.loop)
    return emitLoop(b, label, loc, operands);
  if (label.original) {
    unsigned inputs = operands.size() - label.captures.size();
    IRMapping mapping;
    mapping.map(label.captures, operands.drop_front(inputs));
    NodeOp original = label.original;
    Operation *copy = b.clone(*original.getOperation(), mapping);
    copy->setOperands(operands.take_front(inputs));
    return SmallVector<Value>(copy->getResults());
  }
  auto op =
      NodeOp::create(b, loc, label.types, operands, label.type, label.domain,
                     label.opset, label.attrs, ArrayAttr(), 0);
  return SmallVector<Value>(op.getOutputs());
}

/// A Scan's attributes.
static DictionaryAttr scanAttributes(OpBuilder &b, const Body &body) {
  auto list = [&](StringRef name, ArrayRef<int64_t> values) {
    return b.getNamedAttr(name, b.getDenseI64ArrayAttr(values));
  };
  return b.getDictionaryAttr(
      {b.getNamedAttr("num_scan_inputs", b.getI64IntegerAttr(body.slices())),
       list("scan_input_axes", body.inAxes),
       list("scan_input_directions", body.inReverse),
       list("scan_output_axes", body.outAxes),
       list("scan_output_directions", body.outReverse)});
}

/// A Scan where something is sliced, else a Loop.
SmallVector<Value> Graph::emitLoop(OpBuilder &b, const Label &label,
                                   Location loc, ValueRange operands) {
  std::shared_ptr<Body> body = label.loop; // emitting may move labels
  bool scan = body->slices();
  SmallVector<Value> inputs;
  if (!scan) {
    auto i64 = RankedTensorType::get({}, b.getI64Type()),
         i1 = RankedTensorType::get({}, b.getI1Type());
    inputs.push_back(constantAt(
        b, loc, DenseElementsAttr::get(i64, ArrayRef<int64_t>{body->trip})));
    inputs.push_back(
        constantAt(b, loc, DenseElementsAttr::get(i1, ArrayRef<bool>{true})));
  }
  unsigned outer = body->states() + body->slices();
  llvm::append_range(inputs, operands.take_front(outer));
  auto op = NodeOp::create(
      b, loc, label.types, inputs, b.getStringAttr(scan ? "Scan" : "Loop"),
      StringAttr(), opset,
      scan ? scanAttributes(b, *body) : b.getDictionaryAttr({}),
      b.getStrArrayAttr({"body"}), 1);
  OpBuilder::InsertionGuard guard(b);
  Block *inside = b.createBlock(&op.getBodies()[0]);
  SmallVector<Value> yielded;
  if (!scan) {
    inside->addArgument(inputs[0].getType(), loc);
    yielded.push_back(inside->addArgument(inputs[1].getType(), loc));
  }
  unsigned firstState = inside->getNumArguments();
  for (Type type : body->stateTypes)
    inside->addArgument(type, loc);
  for (Type type : body->sliceTypes)
    inside->addArgument(type, loc);
  std::vector<SmallVector<Value>> made;
  auto value = [&](const BodyRef &ref) -> Value {
    switch (ref.kind) {
    case BodyRef::Internal:
      return made[ref.id][ref.res];
    case BodyRef::State:
      return inside->getArgument(firstState + ref.id);
    case BodyRef::Slice:
      return inside->getArgument(firstState + body->states() + ref.id);
    case BodyRef::Invariant:
      return operands[outer + ref.id];
    }
    return Value();
  };
  for (const BodyNode &node : body->nodes) {
    made.push_back(emit(b, node.label, node.loc,
                        llvm::map_to_vector(node.operands, value)));
    noteOrigins(b, made.back(), node.origins);
  }
  llvm::append_range(yielded, llvm::map_range(body->next, value));
  llvm::append_range(yielded, llvm::map_range(body->outputs, value));
  onnx::YieldOp::create(b, loc, yielded);
  return SmallVector<Value>(op.getOutputs());
}

void Graph::write() {
  Operation *terminator = block.getTerminator();
  SmallVector<Operation *> old;
  for (Operation &op : block.without_terminator())
    old.push_back(&op);
  OpBuilder b(terminator);
  std::vector<SmallVector<Value>> values(nodes.size());
  auto valueOf = [&](Ref ref) -> Value {
    if (!ref.leaf())
      return values[ref.id][ref.res];
    if (!leafValues[ref.id])
      leafValues[ref.id] =
          constantAt(b, block.getParentOp()->getLoc(), leafConstants[ref.id]);
    return leafValues[ref.id];
  };
  for (int id : order) {
    values[id] = emit(b, nodes[id].label, nodes[id].loc,
                      llvm::map_to_vector(nodes[id].operands, valueOf));
    noteOrigins(b, values[id], originsOf(id));
    if (auto it = stops.find(id); it != stops.end() && !values[id].empty())
      values[id][0].getDefiningOp()->setAttr("lnn.stop",
                                             b.getStringAttr(it->second));
  }
  for (auto [q, ref] : llvm::enumerate(outputs))
    terminator->setOperand(q, valueOf(ref));
  for (Operation *op : llvm::reverse(old))
    if (op->use_empty())
      op->erase();
}
