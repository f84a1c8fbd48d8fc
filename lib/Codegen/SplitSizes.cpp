//===- SplitSizes.cpp - memref.expand_shape into several dynamic sizes ----===//
//
// expand-strided-metadata computes one dynamic size of a group from the others
// and fails on two; the sizes are operands, which say all that is needed.
//
//===----------------------------------------------------------------------===//
#include "lnn/Codegen/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNSPLITSIZESPASS
#include "lnn/Codegen/Passes.h.inc"

static bool hasSeveralDynamic(memref::ExpandShapeOp op) {
  ArrayRef<int64_t> shape = op.getResultType().getShape();
  return llvm::any_of(op.getReassociationIndices(), [&](const auto &group) {
    return llvm::count_if(group, [&](int64_t d) {
             return ShapedType::isDynamic(shape[d]);
           }) > 1;
  });
}

static Value valueOf(OpBuilder &b, Location loc, OpFoldResult v) {
  if (auto value = dyn_cast<Value>(v))
    return value;
  return arith::ConstantIndexOp::create(
      b, loc, cast<IntegerAttr>(cast<Attribute>(v)).getInt());
}

/// A reinterpret_cast with strides computed from the sizes.
static void split(memref::ExpandShapeOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  auto source = memref::ExtractStridedMetadataOp::create(b, loc, op.getSrc());
  SmallVector<OpFoldResult> sizes = op.getMixedOutputShape();
  SmallVector<OpFoldResult> strides(sizes.size());
  auto [known, offset] = op.getResultType().getStridesAndOffset();
  for (auto [group, stride] : llvm::zip(op.getReassociationIndices(),
                                        source.getConstifiedMixedStrides())) {
    OpFoldResult next = stride;
    for (int64_t d : llvm::reverse(group)) {
      if (!ShapedType::isDynamic(known[d]))
        next = b.getIndexAttr(known[d]);
      strides[d] = next;
      next = arith::MulIOp::create(b, loc, valueOf(b, loc, next),
                                   valueOf(b, loc, sizes[d]))
                 .getResult();
    }
  }
  Value result = memref::ReinterpretCastOp::create(
      b, loc, op.getResultType(), source.getBaseBuffer(),
      source.getConstifiedMixedOffset(), sizes, strides);
  op.getResult().replaceAllUsesWith(result);
  op.erase();
}

namespace {
struct LnnSplitSizesPass : impl::LnnSplitSizesPassBase<LnnSplitSizesPass> {
  void runOnOperation() override {
    SmallVector<memref::ExpandShapeOp> found;
    getOperation()->walk([&](memref::ExpandShapeOp op) {
      if (hasSeveralDynamic(op))
        found.push_back(op);
    });
    for (memref::ExpandShapeOp op : found)
      split(op);
  }
};
} // namespace
} // namespace lnn
