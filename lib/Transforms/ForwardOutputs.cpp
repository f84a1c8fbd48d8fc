//===- ForwardOutputs.cpp - compute results in the caller's buffers -------===//
#include "lnn/Transforms/Passes.h"

#include "mlir/Dialect/Bufferization/Transforms/BufferViewFlowAnalysis.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNFORWARDOUTPUTSPASS
#include "lnn/Transforms/Passes.h.inc"

namespace {

struct ForwardOutputsPass
    : impl::LnnForwardOutputsPassBase<ForwardOutputsPass> {
  void runOnOperation() override {
    if (!getOperation().getBody().hasOneBlock())
      return;
    Block &body = getOperation().getBody().front();
    SmallVector<memref::CopyOp> copies;
    for (Operation &op : body)
      if (auto copy = dyn_cast<memref::CopyOp>(op))
        if (copy.getTarget().getDefiningOp<OutputOp>() &&
            copy.getTarget().hasOneUse())
          copies.push_back(copy);
    if (copies.empty())
      return;
    BufferViewFlowAnalysis aliases(getOperation());
    for (memref::CopyOp copy : copies)
      forward(copy, aliases);
  }

  /// Buffers replaced already: an output's buffer is not forwarded to another.
  void forward(memref::CopyOp copy, BufferViewFlowAnalysis &aliases) {
    auto alloc = copy.getSource().getDefiningOp<memref::AllocOp>();
    auto output = copy.getTarget().getDefiningOp<OutputOp>();
    if (!alloc || alloc.getType() != output.getType() ||
        alloc->getBlock() != copy->getBlock() ||
        output->getBlock() != copy->getBlock() ||
        isWrittenAfter(copy, alloc.getMemref(), aliases))
      return;
    if (!moveBefore(output, alloc))
      return;
    for (Operation *user : llvm::make_early_inc_range(alloc->getUsers()))
      if (isa<memref::DeallocOp>(user))
        user->erase();
    copy.erase();
    alloc.replaceAllUsesWith(output.getBuffer());
    alloc.erase();
  }

  /// True where something behind `copy` may change or hand on the buffer; other
  /// copies of it only read.
  static bool isWrittenAfter(memref::CopyOp copy, Value buffer,
                             BufferViewFlowAnalysis &aliases) {
    for (Value alias : aliases.resolve(buffer))
      for (OpOperand &use : alias.getUses()) {
        Operation *ancestor =
            copy->getBlock()->findAncestorOpInBlock(*use.getOwner());
        if (!ancestor)
          return true;
        if (ancestor == copy || ancestor->isBeforeInBlock(copy) ||
            isa<memref::DeallocOp>(ancestor))
          continue;
        auto other = dyn_cast<memref::CopyOp>(ancestor);
        if (!other || use.getOperandNumber() != 0)
          return true;
      }
    return false;
  }

  /// Makes the output's buffer available where the allocation is.
  static bool moveBefore(OutputOp output, memref::AllocOp alloc) {
    if (output->isBeforeInBlock(alloc))
      return true;
    for (Value size : output.getSizes()) {
      Operation *def = size.getDefiningOp();
      if (def && def->getBlock() == alloc->getBlock() &&
          !def->isBeforeInBlock(alloc))
        return false;
    }
    output->moveBefore(alloc);
    return true;
  }
};

} // namespace
} // namespace lnn
