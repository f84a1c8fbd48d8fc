//===- CarryInPlace.cpp - keep each loop-carried tensor in one buffer -----===//
#include "lnn/Transforms/Passes.h"
#include "lnn/Transforms/Sizes.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNCARRYINPLACEPASS
#include "lnn/Transforms/Passes.h.inc"

namespace {

/// True where the value is written over `argument` already, by how it is made.
bool isInPlace(Value value, Value argument) {
  if (value == argument)
    return true;
  // An inner loop that begins with it works in its buffer.
  if (auto loop = value.getDefiningOp<scf::ForOp>())
    return isInPlace(loop.getTiedLoopInit(cast<OpResult>(value))->get(),
                     argument);
  auto materialize =
      value.getDefiningOp<bufferization::MaterializeInDestinationOp>();
  return materialize && materialize.getDest() == argument;
}

struct CarryInPlacePass : impl::LnnCarryInPlacePassBase<CarryInPlacePass> {
  DimResolver resolver;

  bool sameShape(Value a, Value b, OpBuilder &builder) {
    auto type = cast<RankedTensorType>(a.getType());
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (!equalSizes(resolver.resolve(a, i, builder),
                      resolver.resolve(b, i, builder)))
        return false;
    return true;
  }

  /// Two carried tensors that begin as one empty tensor would become one
  /// buffer.
  void separateInit(OpOperand &init) {
    auto empty = init.get().getDefiningOp<tensor::EmptyOp>();
    if (!empty)
      return;
    OpBuilder builder(init.getOwner());
    init.set(bufferization::AllocTensorOp::create(
        builder, empty.getLoc(), empty.getType(), empty.getDynamicSizes()));
  }

  void materialize(OpOperand &yielded, BlockArgument argument) {
    Value value = yielded.get();
    if (!isa<RankedTensorType>(value.getType()) ||
        value.getType() != argument.getType() || isInPlace(value, argument))
      return;
    OpBuilder builder(yielded.getOwner());
    if (!sameShape(value, argument, builder))
      return;
    yielded.set(bufferization::MaterializeInDestinationOp::create(
                    builder, value.getLoc(), value, argument)
                    ->getResult(0));
  }

  void runOnOperation() override {
    getOperation()->walk([&](Operation *op) {
      if (auto loop = dyn_cast<scf::ForOp>(op)) {
        for (OpOperand &init : loop.getInitArgsMutable())
          separateInit(init);
        for (auto [i, argument] : llvm::enumerate(loop.getRegionIterArgs()))
          materialize(loop.getYieldedValuesMutable().value()[i], argument);
      } else if (auto loop = dyn_cast<scf::WhileOp>(op)) {
        for (OpOperand &init : loop.getInitsMutable())
          separateInit(init);
        carryWhile(loop);
      }
    });
  }

  /// A while loop's carried tensor is one buffer where the condition hands the
  /// argument on as it is: what is yielded is then written over the second
  /// region's argument.
  void carryWhile(scf::WhileOp loop) {
    for (auto [i, condition] :
         llvm::enumerate(loop.getConditionOp().getArgs())) {
      if (i >= loop.getBeforeArguments().size() ||
          condition != loop.getBeforeArguments()[i])
        continue;
      materialize(loop.getYieldOp()->getOpOperand(i),
                  loop.getAfterArguments()[i]);
    }
  }
};

} // namespace
} // namespace lnn
