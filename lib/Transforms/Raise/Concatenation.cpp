//===- Concatenation.cpp - tensors put together of slices -----------------===//
#include "Concatenation.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

SmallVector<tensor::InsertSliceOp> lnn::raise::partsOf(Value value,
                                                       int64_t &dim) {
  SmallVector<tensor::InsertSliceOp> parts;
  auto insert = value.getDefiningOp<tensor::InsertSliceOp>();
  while (insert) {
    parts.push_back(insert);
    if (insert.getDest().getDefiningOp<tensor::EmptyOp>())
      break;
    insert = insert.getDest().getDefiningOp<tensor::InsertSliceOp>();
    if (insert && !insert->hasOneUse())
      return {};
  }
  if (!insert || parts.size() < 2)
    return {};
  std::reverse(parts.begin(), parts.end());
  dim = -1;
  int64_t next = 0;
  for (tensor::InsertSliceOp part : parts) {
    RankedTensorType source = part.getSourceType(), whole = part.getType();
    if (source.getRank() != whole.getRank() || !part.hasUnitStride())
      return {};
    for (int64_t d = 0; d < whole.getRank(); ++d) {
      if (source.getDimSize(d) == whole.getDimSize(d))
        continue;
      if (dim >= 0 && dim != d)
        return {};
      dim = d;
    }
  }
  if (dim < 0)
    return {};
  for (tensor::InsertSliceOp part : parts) {
    for (auto [d, offset] : llvm::enumerate(part.getMixedOffsets()))
      if (getConstantIntValue(offset) != (int64_t(d) == dim ? next : 0))
        return {};
    int64_t size = part.getSourceType().getDimSize(dim);
    if (ShapedType::isDynamic(size))
      return {};
    next += size;
  }
  return next == parts.front().getType().getDimSize(dim)
             ? parts
             : SmallVector<tensor::InsertSliceOp>();
}
