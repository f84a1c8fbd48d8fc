//===- LargeConstants.cpp - constants that can be given back --------------===//
#include "lnn/Transforms/LargeConstants.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;

namespace lnn {

/// Bytes up to which elements are an attribute.
static constexpr size_t kMaxDense = 1 << 20;

ElementsAttr elementsOf(RankedTensorType type, std::vector<char> bytes,
                        StringRef name) {
  if (bytes.size() <= kMaxDense)
    return cast<ElementsAttr>(DenseElementsAttr::getFromRawBuffer(type, bytes));
  auto *held = new std::vector<char>(std::move(bytes));
  AsmResourceBlob blob(
      ArrayRef<char>(*held), alignof(std::max_align_t),
      [held](void *, size_t, size_t) { delete held; }, /*dataIsMutable=*/false);
  return cast<ElementsAttr>(
      DenseResourceElementsAttr::get(type, name, std::move(blob)));
}

void dropBlob(ElementsAttr elements) {
  auto resource = dyn_cast<DenseResourceElementsAttr>(elements);
  if (!resource)
    return;
  DenseResourceElementsHandle handle = resource.getRawHandle();
  auto &manager =
      DenseResourceElementsHandle::getManagerInterface(elements.getContext())
          .getBlobManager();
  manager.update(handle.getKey(), AsmResourceBlob());
}

} // namespace lnn
