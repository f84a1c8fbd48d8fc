//===- Analysis.cpp - symbolic types of an onnx-level function ------------===//
#include "lnn/Frontend/Onnx/Analysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace lnn::onnx;

static const ValueInfo nothing;

const ValueInfo &Analysis::info(Value value) const {
  auto it = infos.find(value);
  return it == infos.end() ? nothing : *it->second;
}

void Analysis::setInfo(Value value, ValueInfo info) {
  std::unique_ptr<ValueInfo> &slot = infos[value];
  if (slot)
    *slot = std::move(info);
  else
    slot = std::make_unique<ValueInfo>(std::move(info));
}

ValueInfo Analysis::infoOfConstant(ElementsAttr attr) {
  ValueInfo info;
  auto type = cast<RankedTensorType>(attr.getType());
  info.elementType = type.getElementType();
  for (int64_t size : type.getShape())
    info.dims.push_back(dims.constant(size));
  info.constant = attr;
  auto dense = dyn_cast<DenseElementsAttr>(attr);
  if (dense && isa<IntegerType>(info.elementType) && type.getRank() <= 1 &&
      type.getNumElements() <= 1024) {
    info.data.emplace();
    bool isUnsigned =
        info.elementType.isInteger(1) || info.elementType.isUnsignedInteger();
    for (const APInt &v : dense.getValues<APInt>()) {
      // A uint64 beyond int64's range is no size.
      if (isUnsigned && v.getActiveBits() > 63) {
        info.data.reset();
        break;
      }
      info.data->push_back(dims.constant(isUnsigned ? int64_t(v.getZExtValue())
                                                    : v.getSExtValue()));
    }
  }
  return info;
}

namespace lnn::onnx {
class InferContextImpl : public InferContext {
public:
  InferContextImpl(Analysis &analysis, NodeOp op)
      : InferContext(op, analysis.dims), analysis(analysis),
        outs(op.getOutputs().size()) {}
  const ValueInfo &in(unsigned i) const override {
    NodeOp node = op;
    return i < node.getInputs().size() ? analysis.info(node.getInputs()[i])
                                       : nothing;
  }
  ValueInfo &out(unsigned i) override {
    static thread_local ValueInfo beyond;
    return i < outs.size() ? outs[i] : beyond;
  }
  LogicalResult inferBody(Region &body, ArrayRef<ValueInfo> arguments,
                          SmallVectorImpl<ValueInfo> &results) override {
    return analysis.inferBody(body, arguments, results);
  }
  const ValueInfo &info(Value value) const override {
    return analysis.info(value);
  }
  LogicalResult inferNode(NodeOp node) override {
    return analysis.inferOne(node);
  }
  void setInfo(Value value, ValueInfo info) override {
    analysis.setInfo(value, std::move(info));
  }
  void forget(Value value) override { analysis.forget(value); }
  Analysis &analysis;
  SmallVector<ValueInfo> outs;
};
} // namespace lnn::onnx

LogicalResult Analysis::inferBody(Region &body, ArrayRef<ValueInfo> arguments,
                                  SmallVectorImpl<ValueInfo> &results) {
  Block &block = body.front();
  if (block.getNumArguments() != arguments.size()) {
    emitError(body.getLoc())
        << "a subgraph takes " << block.getNumArguments() << " values, "
        << arguments.size() << " were given";
    return failure();
  }
  for (auto [argument, info] : llvm::zip(block.getArguments(), arguments)) {
    setInfo(argument, info);
    SmallVector<int64_t> shape;
    for (Dim d : info.dims)
      shape.push_back(d.isConst() ? d.value() : ShapedType::kDynamic);
    if (info.present())
      argument.setType(RankedTensorType::get(shape, info.elementType));
  }
  inferBlock(block);
  for (Value value : block.getTerminator()->getOperands()) {
    if (unknown.contains(value))
      return failure();
    if (info(value).sequence) {
      emitError(value.getLoc())
          << "not supported: a subgraph whose result is a sequence";
      return failure();
    }
    results.push_back(info(value));
  }
  return success();
}

SmallVector<std::string> lnn::onnx::dependsOn(Operation *op) {
  SmallVector<std::string> names;
  llvm::DenseSet<Operation *> seen{op};
  llvm::DenseSet<Value> arguments;
  SmallVector<Operation *> work{op};
  auto function = op->getParentOfType<func::FuncOp>();
  auto visit = [&](Value v) {
    if (Operation *def = v.getDefiningOp()) {
      if (seen.insert(def).second)
        work.push_back(def);
      return;
    }
    auto argument = cast<BlockArgument>(v);
    Operation *parent = argument.getOwner()->getParentOp();
    if (parent != function.getOperation()) {
      if (seen.insert(parent).second)
        work.push_back(parent);
      return;
    }
    if (!arguments.insert(v).second)
      return;
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                      "lnn.name");
    names.push_back(name ? name.str()
                         : "arg" + std::to_string(argument.getArgNumber()));
  };
  while (!work.empty()) {
    Operation *next = work.pop_back_val();
    for (Value v : next->getOperands())
      visit(v);
    next->walk([&](Operation *inner) {
      for (Value v : inner->getOperands())
        if (!next->isProperAncestor(v.getParentBlock()->getParentOp()) &&
            v.getParentBlock()->getParentOp() != next)
          visit(v);
    });
  }
  return names;
}

//===----------------------------------------------------------------------===//
// What is not known
//===----------------------------------------------------------------------===//

// As many nodes are reported one by one; of more the number is.
static constexpr unsigned kMaxReported = 200;

static std::string operatorName(NodeOp node) {
  std::string domain = node.getDomain() ? node.getDomain()->str() + "." : "";
  return domain + node.getOpType().str();
}

/// Why the operator has no row: unknown, or not in this opset; with the inputs
/// that it depends on.
void Analysis::reportMissing(NodeOp node, bool known) {
  if (++missing > kMaxReported) {
    ++beyond[operatorName(node)];
    return;
  }
  SmallVector<std::string> inputs = dependsOn(node);
  std::string depends =
      inputs.empty() ? "; it depends on constants alone"
                     : "; it depends on input" +
                           std::string(inputs.size() > 1 ? "s '" : " '") +
                           llvm::join(inputs, "', '") + "'";
  (void)NodeView(node).unsupported(
      Twine("operator ") + operatorName(node) +
      (known ? " is not known in opset " + Twine(node.getOpset()).str() +
                   " (onnx.version_converter converts)"
             : " is not known") +
      depends);
}

void Analysis::reportBeyond(func::FuncOp function) {
  for (auto &entry : beyond)
    emitError(function.getLoc())
        << "not supported: operator " << entry.getKey() << " is not known, in "
        << entry.second << " more nodes";
}

/// The node's row in the table; null where there is none, which is reported.
const OpEntry *Analysis::entryOf(NodeOp node) {
  bool known;
  const OpEntry *entry =
      lookup(node.getDomain() ? *node.getDomain() : StringRef(),
             node.getOpType(), node.getOpset(), &known);
  if (!entry)
    reportMissing(node, known);
  return entry;
}

/// Nothing is known of its results; of the nodes in its subgraphs it can still
/// be said whether there are such operators.
void Analysis::giveUp(NodeOp node) {
  anyFailed = true;
  for (Value v : node.getOutputs())
    unknown.insert(v);
  for (Region &body : node.getBodies())
    body.walk([&](NodeOp inner) {
      bool visited = llvm::any_of(inner.getOutputs(), [&](Value v) {
        return infos.contains(v) || unknown.contains(v);
      });
      if (!visited)
        (void)entryOf(inner);
      for (Value v : inner.getOutputs())
        unknown.insert(v);
    });
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

LogicalResult Analysis::checkInputs(NodeOp node, const OpEntry &entry) {
  unsigned n = node.getInputs().size();
  if (n < entry.minInputs || n > entry.maxInputs)
    return NodeView(node).error("it has " + Twine(n) + " inputs, " +
                                Twine(entry.minInputs) + " to " +
                                Twine(entry.maxInputs) + " were expected");
  for (unsigned i = 0; i < entry.minInputs && entry.name != "Loop"; ++i)
    if (isa<NoneType>(node.getInputs()[i].getType()))
      return NodeView(node).error("input " + Twine(i) + " is missing");
  for (auto [i, input] : llvm::enumerate(node.getInputs()))
    if (info(input).sequence && !entry.sequences)
      return NodeView(node).unsupported("input " + Twine(i) + " is a sequence");
  return success();
}

/// A type must be there, and be one that memory can hold.
LogicalResult Analysis::checkOutput(NodeOp node, unsigned index,
                                    const ValueInfo &out) {
  bool whole =
      out.present() && llvm::all_of(out.dims, [](Dim d) { return bool(d); });
  for (Dim d : out.dims)
    whole &= !d || !d.isConst() || d.value() >= 0;
  if (!whole)
    return NodeView(node).error("the type of output " + Twine(index) +
                                " cannot be found");
  constexpr int64_t maxElements = int64_t(1) << 40;
  constexpr unsigned maxRank = 32;
  if (out.dims.size() > maxRank)
    return NodeView(node).unsupported("output " + Twine(index) + " has rank " +
                                      Twine(out.dims.size()) + ", at most " +
                                      Twine(maxRank) + " is supported");
  int64_t elements = 1;
  for (Dim d : out.dims)
    if (d.isConst() && (llvm::MulOverflow(elements, d.value(), elements) ||
                        elements > maxElements || d.value() > maxElements))
      return NodeView(node).error("output " + Twine(index) + " would be " +
                                  out.str() + ", which no memory can hold");
  return success();
}

void Analysis::inferNode(NodeOp node) {
  if (node.getDomain() == StringRef(kBrokenDomain))
    return giveUp(node);
  const OpEntry *entry = entryOf(node);
  if (!entry || llvm::any_of(node.getInputs(),
                             [&](Value v) { return unknown.contains(v); }))
    return giveUp(node);
  InferContextImpl ctx(*this, node);
  if (failed(checkInputs(node, *entry)) || failed(entry->infer(ctx)))
    return giveUp(node);
  for (auto [i, result] : llvm::enumerate(node.getOutputs())) {
    if (isa<NoneType>(result.getType()))
      continue;
    const ValueInfo &out = ctx.outs[i];
    if (failed(checkOutput(node, i, out)))
      return giveUp(node);
    SmallVector<int64_t> shape;
    for (Dim d : out.dims)
      shape.push_back(d.isConst() ? d.value() : ShapedType::kDynamic);
    result.setType(RankedTensorType::get(shape, out.elementType));
    setInfo(result, out);
  }
}

LogicalResult Analysis::inferOne(NodeOp node) {
  inferNode(node);
  return failure(llvm::any_of(node.getOutputs(),
                              [&](Value v) { return unknown.contains(v); }));
}

void Analysis::forget(Value value) {
  infos.erase(value);
  unknown.erase(value);
}

void Analysis::inferBlock(Block &block) {
  for (Operation &op : block) {
    if (auto node = dyn_cast<NodeOp>(op)) {
      inferNode(node);
    } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
      auto attr = dyn_cast<ElementsAttr>(constant.getValue());
      if (attr && isa<RankedTensorType>(attr.getType()))
        setInfo(constant.getResult(), infoOfConstant(attr));
    }
  }
}

ValueInfo lnn::onnx::argumentInfo(func::FuncOp function, unsigned index,
                                  DimContext &dims) {
  ValueInfo info;
  auto type = dyn_cast<RankedTensorType>(function.getArgument(index).getType());
  if (!type)
    return info;
  info.elementType = type.getElementType();
  auto names = function.getArgAttrOfType<ArrayAttr>(index, "lnn.dims");
  auto name = function.getArgAttrOfType<StringAttr>(index, "lnn.name");
  std::string base = name ? name.str() : "arg" + std::to_string(index);
  for (auto [k, size] : llvm::enumerate(type.getShape())) {
    if (!ShapedType::isDynamic(size)) {
      info.dims.push_back(dims.constant(size));
      continue;
    }
    StringAttr symbol;
    if (names && k < names.size())
      symbol = dyn_cast<StringAttr>(names[k]);
    info.dims.push_back(dims.symbol(
        symbol ? symbol.str() : base + "_dim_" + std::to_string(k)));
  }
  return info;
}

LogicalResult Analysis::run(func::FuncOp function) {
  for (BlockArgument argument : function.getArguments())
    setInfo(argument, argumentInfo(function, argument.getArgNumber(), dims));
  inferBlock(function.getBody().front());
  reportBeyond(function);
  return failure(anyFailed);
}
