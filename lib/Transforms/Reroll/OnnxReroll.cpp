//===- OnnxReroll.cpp - unrolled loops of an ONNX graph become loops ------===//
//
// Exporters unroll time steps and solver steps. This pass finds runs of
// isomorphic subgraphs that are chained through carried values and replaces
// each by a Scan or Loop node, inner loops first. What it cannot prove
// isomorphic stays.
//
//===----------------------------------------------------------------------===//
#include "Reroller.h"
#include "lnn/Transforms/Passes.h"

namespace lnn {
#define GEN_PASS_DEF_ONNXREROLL
#include "lnn/Transforms/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;
using namespace lnn::reroll;

/// True where some size is not known: types alone then don't tell sizes apart.
static bool hasDynamicSizes(func::FuncOp function) {
  auto isDynamic = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && !tensor.hasStaticShape();
  };
  if (llvm::any_of(function.getArgumentTypes(), isDynamic))
    return true;
  return function
      .walk([&](Operation *op) {
        return llvm::any_of(op->getResultTypes(), isDynamic)
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

namespace {
struct OnnxReroll : lnn::impl::OnnxRerollBase<OnnxReroll> {
  using OnnxRerollBase::OnnxRerollBase;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() ||
        function.getBody().front().getOps<onnx::NodeOp>().empty())
      return;
    onnx::Analysis analysis;
    bool dynamic = hasDynamicSizes(function);
    if (dynamic && failed(analysis.run(function)))
      return signalPassFailure();
    reroll(function.getBody().front(), dynamic ? &analysis : nullptr);
  }

  /// Subgraphs first.
  void reroll(Block &block, const onnx::Analysis *analysis) {
    for (auto node : block.getOps<onnx::NodeOp>())
      for (Region &region : node.getBodies())
        if (!region.empty())
          reroll(region.front(), analysis);
    Graph graph(block, analysis);
    graph.tracing = explain;
    if (!graph.read())
      return;
    Reroller reroller(graph, maxScannedElements, remarks);
    if (explain)
      reroller.explain();
    unsigned made = reroller.run();
    loopsMade += made;
    // A graph with a cycle is no graph: it stays as it was.
    if ((!made && !explain) || !graph.refresh())
      return;
    if (explain)
      note(block.getParentOp(), reroller.explainRest());
    graph.write();
  }

  static void note(Operation *op, ArrayRef<std::string> texts) {
    op->setAttr("lnn.unrolled", Builder(op->getContext())
                                    .getStrArrayAttr(SmallVector<StringRef>(
                                        texts.begin(), texts.end())));
  }
};
} // namespace
