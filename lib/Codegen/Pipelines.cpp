//===- Pipelines.cpp - the order of the code generation passes ------------===//
#include "lnn/Codegen/Passes.h"

#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace lnn {

void buildFusionPipeline(OpPassManager &pm, unsigned lanes) {
  LnnFusePassOptions options;
  options.lanes = lanes;
  pm.addNestedPass<func::FuncOp>(createLnnFusePass(options));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

void buildVectorPipeline(OpPassManager &pm, unsigned lanes, bool hasHalf) {
  LnnVectorizeLoopsPassOptions options;
  options.lanes = lanes;
  pm.addNestedPass<func::FuncOp>(createLnnVectorizeLoopsPass(options));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createLnnExpandMathPass());
  LnnExpandHalfPassOptions half;
  half.f16 = !hasHalf;
  pm.addPass(createLnnExpandHalfPass(half));
  pm.addPass(createCSEPass());
  pm.addPass(createLoopInvariantCodeMotionPass());
  pm.addPass(createCanonicalizerPass());
}

} // namespace lnn
