//===- Pipeline.cpp - from models to the LLVM dialect ---------------------===//
#include "lnn/Codegen/Passes.h"
#include "lnn/Conversion/Passes.h"
#include "lnn/Profile/Passes.h"
#include "lnn/Streaming/Passes.h"
#include "lnn/Target/Cpu/Cpu.h"
#include "lnn/Transforms/Passes.h"
#include "lnn/Transforms/Raise/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace lnn {

static void addCleanup(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

/// Calls go away; elementwise operations on tensors, as users write them,
/// become loops; sizes that must agree are checked.
static void buildCheckStage(OpPassManager &pm) {
  pm.addPass(createInlinerPass());
  pm.addPass(createSymbolDCEPass());
  pm.addNestedPass<func::FuncOp>(createConvertElementwiseToLinalgPass());
  pm.addNestedPass<func::FuncOp>(createLnnUnifySizesPass());
  pm.addNestedPass<func::FuncOp>(createLnnCheckSizesPass());
}

/// Everything down to upstream's dialects on tensors, @main alone.
static void buildTensorStage(OpPassManager &pm,
                             const CpuPipelineOptions &options, unsigned lanes,
                             const ProductFeatures &features) {
  if (options.raise)
    pm.addNestedPass<func::FuncOp>(createOnnxRaiseRecurrencePass());
  if (options.reroll)
    pm.addNestedPass<func::FuncOp>(createOnnxReroll());
  // What a function's attributes ask for (lnn.dynamic, lnn.streaming).
  pm.addNestedPass<func::FuncOp>(createOnnxFreeSizes());
  pm.addNestedPass<func::FuncOp>(createLnnExposeStates());
  pm.addPass(createConvertOnnxToLnn());
  addCleanup(pm);
  if (options.raise) {
    RaiseOptions raise;
    raise.foldFeedback = options.foldFeedback;
    buildRaisePipeline(pm, raise);
  }
  pm.addPass(createConvertLnnToOde());
  if (options.raise) {
    pm.addNestedPass<func::FuncOp>(createLnnHoistProjectionsPass());
    pm.addNestedPass<func::FuncOp>(createLnnSinkProducersPass());
  }
  pm.addPass(createConvertOdeToScf());
  buildCheckStage(pm);
  pm.addPass(createConvertLnnScanToScf());
  pm.addPass(createInlinerPass());
  pm.addPass(createSymbolDCEPass());
  pm.addNestedPass<func::FuncOp>(createLnnUnifySizesPass());
  addCleanup(pm);
  bool narrow = options.products == "bf16";
  if (options.split && !options.profile) {
    // Parts of fewer rows than a tile has would not be computed on tiles.
    LnnSplitRowsPassOptions split;
    if (narrow && features.tiles)
      split.fewest = 16;
    pm.addPass(createLnnSplitRowsPass(split));
  }
  ProductFeatures products = features;
  products.tiles &= narrow;
  products.pairs &= narrow;
  std::string weights = options.weights;
  buildFusionPipeline(pm, lanes, narrow && weights == "f32" ? "bf16" : weights,
                      products);
}

/// Tensors to buffers: states in place, results in the caller's memory.
static void buildBufferStage(OpPassManager &pm) {
  pm.addPass(createLnnCarryInPlacePass());
  pm.addPass(createLnnPrepareEntryPass());
  addCleanup(pm);
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  options.allowReturnAllocsFromLoops = true;
  options.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(options));
  addCleanup(pm);
  pm.addNestedPass<func::FuncOp>(createLnnForwardOutputsPass());
}

static void buildLoopStage(OpPassManager &pm, unsigned lanes,
                           const MathFeatures &features, bool explain,
                           bool threads) {
  buildVectorPipeline(pm, lanes, features, explain, threads);
  pm.addNestedPass<func::FuncOp>(createLnnPlanMemoryPass());
  pm.addPass(createLnnOutlineSizesPass());
  pm.addPass(createLnnMergeWeightsPass());
  addCleanup(pm);
}

static void buildLLVMStage(OpPassManager &pm) {
  pm.addPass(createConvertVectorToSCFPass());
  pm.addPass(createLnnSplitSizesPass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createLnnOutlinePartsPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createLnnLowerEntryPass());
  ConvertVectorToLLVMPassOptions vectors;
  vectors.amx = true;
  pm.addPass(createConvertVectorToLLVMPass(vectors));
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

void buildCpuPipeline(OpPassManager &pm, const CpuPipelineOptions &options) {
  LnnAttachCpuPassOptions attach;
  attach.triple = options.triple;
  attach.cpu = options.cpu;
  attach.features = options.features;
  attach.block.assign(options.block.begin(), options.block.end());
  pm.addPass(createLnnAttachCpuPass(attach));
  unsigned lanes = options.lanes;
  MathFeatures math;
  ProductFeatures products;
  llvm::Expected<CpuTarget> target =
      CpuTarget::get(options.triple, options.cpu, options.features);
  if (target) {
    lanes = lanes ? lanes : target->lanes();
    // Where there are tiles, pairs take as long as f32 does.
    products.tiles = target->hasTiles();
    products.pairs = target->hasPairs() && !products.tiles;
    math = {target->hasAvx512(), target->convertsHalf()};
    math.pairs = target->hasPairs();
    math.quads = products.quads = target->hasQuads();
  } else {
    llvm::consumeError(target.takeError()); // lnn-attach-cpu reports it
  }
  math.fast = options.fastMath;
  lanes = std::max(lanes, 1u);
  buildTensorStage(pm, options, lanes, products);
  buildBufferStage(pm);
  if (options.profile)
    pm.addNestedPass<func::FuncOp>(createLnnProfileRegionsPass());
  buildLoopStage(pm, lanes, math, options.explainCodegen,
                 options.split && !options.profile);
  buildLLVMStage(pm);
}

void registerCpuPipeline() {
  PassPipelineRegistration<CpuPipelineOptions>(
      "lnn-cpu-pipeline",
      "lower a model, at any level, to the LLVM dialect for a CPU",
      buildCpuPipeline);
}

} // namespace lnn
