//===- Explain.cpp - what became of a user's graph ------------------------===//
#include "lnn/Explain/Explain.h"

#include "lnn/Conversion/Passes.h"
#include "lnn/Dialect/Onnx/Onnx.h"
#include "lnn/Frontend/Onnx/OpTable.h"
#include "lnn/Streaming/Passes.h"
#include "lnn/Transforms/Passes.h"
#include "lnn/Transforms/Raise/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::onnx;
using namespace lnn::explain;

static std::string nameOf(Location loc) {
  auto name = dyn_cast<NameLoc>(loc);
  return name ? name.getName().str() : "";
}

namespace {
/// Reads the regions of a function that was re-rolled.
class Reader {
public:
  Reader(func::FuncOp function, Explanation &explanation)
      : function(function), explanation(explanation) {}
  void read();

private:
  func::FuncOp function;
  Explanation &explanation;

  void readBlock(Block &block, std::vector<Part> &regions);
  std::optional<Part> readNode(NodeOp node);
  void readScan(NodeOp node, Part &region);
  void readLoop(NodeOp node, Part &region);
  void readRecurrent(NodeOp node, Part &region);
  void readState(Value init, Value last, Part &region);
  void countBody(NodeOp node, Part &region);
  std::string sourceOf(Value v);
  std::string resultOf(Value v);
};
} // namespace

/// What a value is in the user's terms.
std::string Reader::sourceOf(Value v) {
  if (auto argument = dyn_cast<BlockArgument>(v)) {
    if (argument.getOwner() != &function.getBody().front())
      return "the outer step";
    auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                      "lnn.name");
    return name ? name.str() : "an input";
  }
  if (auto constant = v.getDefiningOp<arith::ConstantOp>()) {
    auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
    bool zeros = dense && dense.isSplat() &&
                 isa<FloatType>(dense.getElementType()) &&
                 dense.getSplatValue<APFloat>().isZero();
    return zeros ? "zeros" : "a constant";
  }
  if (isa<NoneType>(v.getType()))
    return "zeros";
  Operation *op = v.getDefiningOp();
  auto node = dyn_cast<NodeOp>(op);
  return (node ? node.getOpType().str() + " " : std::string()) + "'" +
         nameOf(op->getLoc()) + "'";
}

/// The model's output that the value is, or "".
std::string Reader::resultOf(Value v) {
  for (OpOperand &use : v.getUses())
    if (isa<func::ReturnOp>(use.getOwner()))
      if (auto name = function.getResultAttrOfType<StringAttr>(
              use.getOperandNumber(), "lnn.name"))
        return name.str();
  return "";
}

static std::string typeText(Value v) {
  std::string text;
  llvm::raw_string_ostream(text) << v.getType();
  return text;
}

void Reader::readState(Value init, Value last, Part &region) {
  std::string text = "state " + typeText(last) + ", from " + sourceOf(init);
  if (std::string result = resultOf(last); !result.empty())
    text += ", its last value is " + result;
  region.lines.push_back(text);
}

/// How many nodes of which kind a step has.
void Reader::countBody(NodeOp node, Part &region) {
  llvm::MapVector<StringRef, unsigned> kinds;
  unsigned count = 0;
  for (NodeOp inner : node.getBodies().front().front().getOps<NodeOp>()) {
    if (inner->use_empty())
      continue;
    ++kinds[inner.getOpType()];
    ++count;
  }
  std::vector<std::string> parts;
  for (auto [kind, n] : kinds)
    parts.push_back((n > 1 ? std::to_string(n) + " " : "") + kind.str());
  region.lines.push_back("each step: " + std::to_string(count) +
                         " nodes: " + llvm::join(parts, ", "));
}

static std::string lengthText(Value v, int64_t axis) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  if (!type || axis < 0 || axis >= type.getRank() || type.isDynamicDim(axis))
    return "as many as there are";
  return std::to_string(type.getDimSize(axis));
}

void Reader::readScan(NodeOp node, Part &region) {
  NodeView view(node);
  unsigned count = view.intAttr("num_scan_inputs", 0),
           states = node.getInputs().size() - count;
  auto listed = [&](StringRef name, unsigned i) -> int64_t {
    auto list = view.intsAttr(name);
    return list && i < list->size() ? (*list)[i] : 0;
  };
  std::vector<std::string> along;
  for (unsigned i = 0; i < count; ++i) {
    Value v = node.getInputs()[states + i];
    int64_t axis = listed("scan_input_axes", i);
    if (i == 0)
      region.title = "Scan over time, " + lengthText(v, axis) + " steps";
    along.push_back(sourceOf(v) + " (dimension " + std::to_string(axis) +
                    (listed("scan_input_directions", i) ? ", backward" : "") +
                    ")");
  }
  region.lines.push_back("goes along " + llvm::join(along, ", "));
  for (unsigned i = 0; i < states; ++i)
    readState(node.getInputs()[i], node.getOutputs()[i], region);
  for (unsigned i = states; i < node.getOutputs().size(); ++i) {
    Value out = node.getOutputs()[i];
    std::string result = resultOf(out);
    region.lines.push_back(
        "collects " + (result.empty() ? typeText(out) : result) +
        " along dimension " +
        std::to_string(listed("scan_output_axes", i - states)));
  }
  countBody(node, region);
}

void Reader::readLoop(NodeOp node, Part &region) {
  std::string times = "a number of";
  if (auto constant = node.getInputs()[0].getDefiningOp<arith::ConstantOp>())
    if (auto dense = dyn_cast<DenseIntElementsAttr>(constant.getValue());
        dense && dense.getNumElements() == 1)
      times = std::to_string((*dense.value_begin<APInt>()).getSExtValue());
  region.title = "Loop of " + times + " iterations";
  for (unsigned k = 2; k < node.getInputs().size(); ++k)
    readState(node.getInputs()[k], node.getOutputs()[k - 2], region);
  countBody(node, region);
}

void Reader::readRecurrent(NodeOp node, Part &region) {
  NodeView view(node);
  bool batchFirst = view.intAttr("layout", 0);
  region.kind = Part::Recurrent;
  region.title = node.getOpType().str() + " over time, " +
                 lengthText(node.getInputs()[0], batchFirst ? 1 : 0) +
                 " steps, " + view.strAttr("direction", "forward").str();
  region.lines.push_back("goes along " + sourceOf(node.getInputs()[0]) +
                         " (dimension " + (batchFirst ? "1)" : "0)"));
  for (unsigned i : {5u, 6u})
    if (i == 5 || node.getOpType() == "LSTM")
      region.lines.push_back(
          "state from " +
          (view.hasInput(i) ? sourceOf(node.getInputs()[i]) : "zeros"));
}

std::optional<Part> Reader::readNode(NodeOp node) {
  if (node.getDomainAttr())
    return std::nullopt;
  Part region;
  StringRef type = node.getOpType();
  if (type == "Scan")
    readScan(node, region);
  else if (type == "Loop")
    readLoop(node, region);
  else if (type == "GRU" || type == "LSTM" || type == "RNN")
    readRecurrent(node, region);
  else
    return std::nullopt;
  // A loop of the user's own has nodes in it; one that was made here has all
  // that it stands for itself.
  auto own = node->getAttrOfType<DenseI64ArrayAttr>("lnn.origins");
  bool made = own && own.size() > 1;
  node->walk([&](NodeOp inner) {
    if (made && inner != node)
      return;
    if (auto origins = inner->getAttrOfType<DenseI64ArrayAttr>("lnn.origins"))
      llvm::append_range(region.nodes, origins.asArrayRef());
  });
  llvm::sort(region.nodes);
  region.nodes.erase(llvm::unique(region.nodes), region.nodes.end());
  if (auto note = node->getAttrOfType<StringAttr>("lnn.note"))
    region.lines.insert(region.lines.begin(), note.str());
  if (auto stop = node->getAttrOfType<StringAttr>("lnn.stop"))
    region.stop = stop.str();
  for (mlir::Region &body : node.getBodies())
    readBlock(body.front(), region.inner);
  return region;
}

void Reader::readBlock(Block &block, std::vector<Part> &regions) {
  for (NodeOp node : block.getOps<NodeOp>())
    if (auto region = readNode(node))
      regions.push_back(std::move(*region));
}

void Reader::read() {
  readBlock(function.getBody().front(), explanation.regions);
  if (auto texts = function->getAttrOfType<ArrayAttr>("lnn.unrolled"))
    for (Attribute text : texts)
      explanation.unrolled.push_back(cast<StringAttr>(text).str());
}

/// The innermost part that has the node, or null.
static Part *partOf(std::vector<Part> &parts, int node) {
  for (Part &part : parts) {
    if (Part *inner = partOf(part.inner, node))
      return inner;
    if (llvm::is_contained(part.nodes, node))
      return &part;
  }
  return nullptr;
}

namespace {
/// What raising remarked, by the node that it remarked on.
struct Remark {
  std::string node, text;
};
} // namespace

/// Raises the model and puts what is remarked into the parts.
static void raise(ModuleOp module, Explanation &explanation) {
  std::vector<Remark> remarks;
  {
    ScopedDiagnosticHandler handler(
        module.getContext(), [&](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == DiagnosticSeverity::Remark)
            remarks.push_back(
                {nameOf(diagnostic.getLocation()), diagnostic.str()});
          return success();
        });
    PassManager pm(module.getContext());
    pm.addNestedPass<func::FuncOp>(createOnnxFreeSizes());
    pm.addNestedPass<func::FuncOp>(createLnnExposeStates());
    pm.addPass(createConvertOnnxToLnn());
    pm.addPass(createCanonicalizerPass());
    pm.addPass(createCSEPass());
    RaiseOptions options;
    options.remarks = true;
    buildRaisePipeline(pm, options);
    if (failed(pm.run(module)))
      explanation.lacks.push_back("nothing is raised: some of the model is not "
                                  "supported, see --check-onnx");
  }
  llvm::StringMap<int> numbers;
  for (auto [i, node] : llvm::enumerate(explanation.nodes))
    numbers.try_emplace(node.name, i);
  for (const Remark &remark : remarks) {
    auto it = numbers.find(remark.node);
    Part *part =
        it == numbers.end() ? nullptr : partOf(explanation.regions, it->second);
    bool made = StringRef(remark.text).starts_with("raised");
    std::vector<std::string> &list =
        part ? (made ? part->cells : part->lacks)
             : (made ? explanation.cells : explanation.lacks);
    std::string text = remark.text + ", at node '" + remark.node + "'";
    constexpr size_t most = 8;
    if (!llvm::is_contained(list, text) && list.size() < most)
      list.push_back(text);
  }
}

FailureOr<Explanation> lnn::explain::explain(ModuleOp module) {
  auto function = module.lookupSymbol<func::FuncOp>("main");
  if (!function || function.isExternal())
    return module.emitError("there is no @main"), failure();
  Explanation explanation;
  auto name = module->getAttrOfType<StringAttr>("lnn.model");
  explanation.model = name ? name.str() : "model";
  Builder b(module.getContext());
  function.walk<WalkOrder::PreOrder>([&](NodeOp node) {
    node->setAttr("lnn.number", b.getI64IntegerAttr(explanation.nodes.size()));
    explanation.nodes.push_back(
        {node.getOpType().str(), nameOf(node.getLoc())});
  });
  PassManager pm(module.getContext());
  pm.addNestedPass<func::FuncOp>(createOnnxRaiseRecurrencePass());
  OnnxRerollOptions options;
  options.explain = true;
  pm.addNestedPass<func::FuncOp>(createOnnxReroll(options));
  if (failed(pm.run(module)))
    return failure();
  Reader(function, explanation).read();
  raise(module, explanation);
  return explanation;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

static std::string label(const Explanation &e, int node) {
  return e.nodes[node].type + " '" + e.nodes[node].name + "'";
}

/// `352 nodes, Gather 'a' to Concat 'b'`.
static std::string rangeText(const Explanation &e, ArrayRef<int> nodes) {
  if (nodes.empty())
    return "";
  std::string text = std::to_string(nodes.size()) +
                     (nodes.size() == 1 ? " node, " : " nodes, ") +
                     label(e, nodes.front());
  if (nodes.size() > 1)
    text += " to " + label(e, nodes.back());
  return text;
}

static void printRegion(const Explanation &e, const Part &region,
                        unsigned depth, raw_ostream &os) {
  os.indent(2 * depth) << region.title;
  if (std::string range = rangeText(e, region.nodes); !range.empty())
    os << " <- " << range;
  os << "\n";
  for (const std::string &line : region.lines)
    os.indent(2 * depth + 2) << line << "\n";
  if (!region.stop.empty())
    os.indent(2 * depth + 2)
        << "no step more in front: " << region.stop << "\n";
  for (const auto &list : {region.cells, region.lacks})
    for (const std::string &text : list)
      os.indent(2 * depth + 2) << text << "\n";
  for (const Part &inner : region.inner)
    printRegion(e, inner, depth + 1, os);
}

/// The nodes that are in no region.
static std::vector<int> others(const Explanation &e) {
  std::vector<char> taken(e.nodes.size(), 0);
  for (const Part &region : e.regions)
    for (int node : region.nodes)
      if (node >= 0 && node < int(taken.size()))
        taken[node] = 1;
  std::vector<int> result;
  for (auto [i, t] : llvm::enumerate(taken))
    if (!t)
      result.push_back(i);
  return result;
}

void lnn::explain::printText(const Explanation &e, raw_ostream &os) {
  os << e.model << ": " << e.nodes.size() << " nodes\n";
  for (const Part &region : e.regions)
    printRegion(e, region, 1, os);
  std::vector<int> rest = others(e);
  os << "  " << rest.size() << " nodes stay as they are";
  llvm::MapVector<StringRef, unsigned> kinds;
  for (int node : rest)
    ++kinds[e.nodes[node].type];
  const char *separator = ": ";
  for (auto [kind, n] : kinds) {
    os << separator << (n > 1 ? std::to_string(n) + " " : "") << kind;
    separator = ", ";
  }
  os << "\n";
  for (const auto &list : {e.cells, e.lacks})
    for (const std::string &text : list)
      os << "  " << text << "\n";
  if (!e.unrolled.empty())
    os << "  looks periodic and is no loop:\n";
  for (const std::string &text : e.unrolled)
    os << "    " << text << "\n";
}
