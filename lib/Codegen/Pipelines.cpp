//===- Pipelines.cpp - the order of the code generation passes ------------===//
#include "lnn/Codegen/Passes.h"

#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace lnn {

void buildFusionPipeline(OpPassManager &pm, unsigned lanes,
                         llvm::StringRef weights,
                         const ProductFeatures &products) {
  LnnFusePassOptions options;
  options.lanes = lanes;
  options.weights = weights.str();
  options.tiles = products.tiles;
  options.pairs = products.pairs;
  options.quads = products.quads;
  pm.addNestedPass<func::FuncOp>(createLnnFusePass(options));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

/// f16 and bf16 are stored, f32 computes.
static void addHalfTypes(OpPassManager &pm) {
  pm.addPass(math::createMathExtendToSupportedTypes());
  arith::ArithEmulateUnsupportedFloatsOptions emulate;
  emulate.sourceTypeStrs = {"bf16", "f16"};
  emulate.targetTypeStr = "f32";
  pm.addPass(arith::createArithEmulateUnsupportedFloats(emulate));
}

void buildVectorPipeline(OpPassManager &pm, unsigned lanes,
                         const MathFeatures &features, bool explain,
                         bool threads) {
  LnnVectorizeLoopsPassOptions options;
  options.lanes = lanes;
  options.explain = explain;
  options.threads = threads;
  pm.addNestedPass<func::FuncOp>(createLnnVectorizeLoopsPass(options));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  addHalfTypes(pm);
  LnnExpandMathPassOptions math;
  math.avx512 = features.avx512;
  math.fast = features.fast;
  math.pairs = features.pairs;
  math.quads = features.quads;
  pm.addPass(createLnnExpandMathPass(math));
  LnnExpandHalfPassOptions half;
  half.f16 = !features.half;
  pm.addPass(createLnnExpandHalfPass(half));
  pm.addPass(createCSEPass());
  pm.addPass(createLoopInvariantCodeMotionPass());
  pm.addPass(createCanonicalizerPass());
  LnnScheduleChainsPassOptions schedule;
  schedule.registers = features.avx512 ? 24 : 16;
  pm.addPass(createLnnScheduleChainsPass(schedule));
  LnnPipelineLoopsPassOptions pipeline;
  pipeline.registers = features.avx512 ? 32 : 16;
  pm.addPass(createLnnPipelineLoopsPass(pipeline));
}

} // namespace lnn
