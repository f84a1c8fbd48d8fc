//===- Pipeline.cpp - the order of the raising passes ---------------------===//
#include "lnn/Transforms/Raise/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace lnn {

static void addCleanup(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

void buildRaisePipeline(OpPassManager &pm, const RaiseOptions &options) {
  LnnRaiseCellsPassOptions raise;
  raise.remarks = options.remarks;
  pm.addNestedPass<func::FuncOp>(createLnnRaiseCellsPass(raise));
  addCleanup(pm);
  if (options.foldFeedback) {
    pm.addNestedPass<func::FuncOp>(createLnnFoldFeedbackPass());
    addCleanup(pm);
  }
  pm.addNestedPass<func::FuncOp>(createLnnMergeStepsPass());
  OdeMergeStepsPassOptions merge;
  merge.remarks = options.remarks;
  pm.addNestedPass<func::FuncOp>(createOdeMergeStepsPass(merge));
  addCleanup(pm);
}

void registerRaisePipeline() {
  PassPipelineRegistration<RaiseOptions>(
      "lnn-raise-pipeline",
      "turn formulas into cells, solves and recurrences, and simplify these",
      buildRaisePipeline);
}

} // namespace lnn
