//===- UnifySizes.cpp - read each named size of the arguments once --------===//
#include "lnn/Transforms/Passes.h"
#include "lnn/Transforms/Sizes.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNUNIFYSIZESPASS
#include "lnn/Transforms/Passes.h.inc"

namespace {

struct UnifySizesPass : impl::LnnUnifySizesPassBase<UnifySizesPass> {
  /// Sizes in loops, of states above all, are those of what came in: reads of
  /// them depend on no iteration then.
  void readFromArguments(func::FuncOp func) {
    SmallVector<tensor::DimOp> dims;
    func.walk([&](tensor::DimOp dim) {
      auto argument = dyn_cast<BlockArgument>(dim.getSource());
      bool isFunctions = argument && argument.getOwner()->isEntryBlock() &&
                         argument.getOwner()->getParentOp() == func;
      if (!isFunctions && dim.getConstantIndex())
        dims.push_back(dim);
    });
    DimResolver resolver;
    for (tensor::DimOp dim : dims) {
      OpBuilder b(dim);
      OpFoldResult size =
          resolver.resolve(dim.getSource(), *dim.getConstantIndex(), b);
      auto value = dyn_cast_if_present<Value>(size);
      if (!size || value == dim.getResult() ||
          (value && value.getDefiningOp<tensor::DimOp>() &&
           value.getDefiningOp<tensor::DimOp>().getSource() == dim.getSource()))
        continue;
      dim.replaceAllUsesWith(
          getValueOrCreateConstantIndexOp(b, dim.getLoc(), size));
    }
  }

  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isDeclaration())
      return;
    readFromArguments(func);
    Block &body = func.getBody().front();
    OpBuilder entry(&body, body.begin());
    DenseMap<std::pair<Value, int64_t>, Value> sizes;
    SmallVector<tensor::DimOp> dims;
    for (BlockArgument argument : func.getArguments())
      for (Operation *user : argument.getUsers())
        if (auto dim = dyn_cast<tensor::DimOp>(user);
            dim && dim.getConstantIndex())
          dims.push_back(dim);
    for (tensor::DimOp dim : dims) {
      auto argument = cast<BlockArgument>(dim.getSource());
      int64_t index = *dim.getConstantIndex();
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      if (!type || index < 0 || index >= type.getRank() ||
          !type.isDynamicDim(index))
        continue;
      auto [first, position] = firstOfThatSize(func, argument, index);
      Value &size = sizes[{first, position}];
      if (!size)
        size = tensor::DimOp::create(entry, first.getLoc(), first, position);
      dim.replaceAllUsesWith(size);
      dim.erase();
    }
  }
};

} // namespace
} // namespace lnn
