//===- UnifySizes.cpp - read each named size of the arguments once --------===//
#include "lnn/Transforms/Passes.h"
#include "lnn/Transforms/Sizes.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNUNIFYSIZESPASS
#include "lnn/Transforms/Passes.h.inc"

namespace {

struct UnifySizesPass : impl::LnnUnifySizesPassBase<UnifySizesPass> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isDeclaration())
      return;
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
