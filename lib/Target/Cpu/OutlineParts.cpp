//===- OutlineParts.cpp - functions of loops that threads share -----------===//
#include "lnn/Target/Cpu/Cpu.h"
#include "lnn/Transforms/Passes.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNOUTLINEPARTSPASS
#include "lnn/Target/Cpu/Passes.h.inc"

namespace {

/// One loop, from 0 by ones, that yields nothing.
bool canOutline(scf::ParallelOp loop) {
  return loop->hasAttr(sharedLoop) && loop.getNumLoops() == 1 &&
         loop.getNumReductions() == 0 &&
         isConstantIntValue(loop.getLowerBound()[0], 0) &&
         isConstantIntValue(loop.getStep()[0], 1);
}

/// What costs nothing to have again.
bool isFree(Operation *op) {
  return op && (op->hasTrait<OpTrait::ConstantLike>() ||
                isa<memref::GetGlobalOp>(op));
}

struct OutlinePartsPass : impl::LnnOutlinePartsPassBase<OutlinePartsPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    SmallVector<scf::ParallelOp> loops;
    getOperation().walk([&](scf::ParallelOp loop) {
      if (canOutline(loop))
        loops.push_back(loop);
    });
    for (auto [number, loop] : llvm::enumerate(loops))
      outline(loop, "lnn_part_" + std::to_string(number), symbols);
  }

  void outline(scf::ParallelOp loop, const std::string &name,
               SymbolTable &symbols) {
    llvm::SetVector<Value> used;
    getUsedValuesDefinedAbove(loop.getRegion(), used);
    SmallVector<Value> captured;
    for (Value value : used)
      if (!isFree(value.getDefiningOp()))
        captured.push_back(value);

    OpBuilder b(loop);
    SmallVector<Type> types{b.getIndexType()};
    llvm::append_range(types, ValueRange(captured).getTypes());
    auto func =
        func::FuncOp::create(loop.getLoc(), name, b.getFunctionType(types, {}));
    func.setPrivate();
    symbols.insert(func);
    RunPartsOp::create(b, loop.getLoc(), func.getName(), captured,
                       loop.getUpperBound()[0]);

    Block *entry = func.addEntryBlock();
    b.setInsertionPointToStart(entry);
    IRMapping mapping;
    mapping.map(captured, entry->getArguments().drop_front());
    mapping.map(loop.getInductionVars()[0], entry->getArgument(0));
    for (Value value : used)
      if (isFree(value.getDefiningOp()))
        b.clone(*value.getDefiningOp(), mapping);
    for (Operation &op : loop.getBody()->without_terminator())
      b.clone(op, mapping);
    func::ReturnOp::create(b, loop.getLoc());
    loop.erase();
  }
};

} // namespace
} // namespace lnn
