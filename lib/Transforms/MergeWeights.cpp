//===- MergeWeights.cpp - put all constants in one aligned blob -----------===//
#include "lnn/Transforms/Passes.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNMERGEWEIGHTSPASS
#include "lnn/Transforms/Passes.h.inc"

namespace {

constexpr StringLiteral blobName = "lnn_weights";
constexpr size_t alignment = 64;

/// Appends the little-endian bytes of the elements; false for kinds of elements
/// that have none.
bool appendBytes(ElementsAttr elements, std::string &bytes) {
  auto type = cast<ShapedType>(elements.getType());
  Type element = type.getElementType();
  if (!element.isIntOrFloat())
    return false;
  unsigned width = element.getIntOrFloatBitWidth();
  if (width != 1 && width != 8 && width != 16 && width != 32 && width != 64)
    return false;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(elements)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    size_t wanted = static_cast<size_t>(type.getNumElements()) * width / 8;
    if (!blob || width == 1 || blob->getData().size() != wanted)
      return false;
    bytes.append(blob->getData().data(), wanted);
    return true;
  }
  auto dense = dyn_cast<DenseElementsAttr>(elements);
  if (!dense)
    return false;
  if (!dense.isSplat() && width != 1) {
    ArrayRef<char> raw = dense.getRawData();
    bytes.append(raw.data(), raw.size());
    return true;
  }
  auto append = [&](const APInt &value) {
    uint64_t bits = value.getZExtValue();
    bytes.append(reinterpret_cast<const char *>(&bits),
                 std::max(width / 8, 1u));
  };
  if (isa<FloatType>(element))
    for (const APFloat &value : dense.getValues<APFloat>())
      append(value.bitcastToAPInt());
  else
    for (const APInt &value : dense.getValues<APInt>())
      append(value);
  return true;
}

struct MergeWeightsPass : impl::LnnMergeWeightsPassBase<MergeWeightsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    DenseMap<StringAttr, int64_t> offsets;
    std::string blob;
    llvm::StringMap<int64_t> known;
    SmallVector<memref::GlobalOp> merged;
    for (auto global : module.getOps<memref::GlobalOp>()) {
      auto value = dyn_cast_or_null<ElementsAttr>(
          global.getInitialValue().value_or(Attribute()));
      std::string bytes;
      if (!global.getConstant() || !value || global.getName() == blobName ||
          !global.getType().getLayout().isIdentity() ||
          !appendBytes(value, bytes))
        continue;
      auto [it, fresh] = known.try_emplace(bytes, blob.size());
      if (fresh) {
        blob += bytes;
        blob.resize(llvm::alignTo(blob.size(), alignment));
      }
      offsets[global.getSymNameAttr()] = it->second;
      merged.push_back(global);
    }
    if (merged.empty())
      return;
    makeBlob(module, blob);
    rewriteUses(module, offsets, blob.size());
    for (memref::GlobalOp global : merged)
      global.erase();
  }

  static MemRefType blobType(MLIRContext *context, int64_t bytes) {
    return MemRefType::get({bytes}, IntegerType::get(context, 8));
  }

  static void makeBlob(ModuleOp module, StringRef blob) {
    OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
    auto type = RankedTensorType::get({static_cast<int64_t>(blob.size())},
                                      b.getI8Type());
    auto value = DenseElementsAttr::getFromRawBuffer(
        type, ArrayRef<char>(blob.data(), blob.size()));
    memref::GlobalOp::create(
        b, module.getLoc(), b.getStringAttr(blobName),
        b.getStringAttr("private"),
        TypeAttr::get(blobType(b.getContext(), blob.size())), value,
        b.getUnitAttr(), b.getI64IntegerAttr(alignment));
  }

  static void rewriteUses(ModuleOp module,
                          const DenseMap<StringAttr, int64_t> &offsets,
                          int64_t bytes) {
    module.walk([&](memref::GetGlobalOp get) {
      auto it = offsets.find(get.getNameAttr().getAttr());
      if (it == offsets.end())
        return;
      OpBuilder b(get);
      Location loc = get.getLoc();
      Value base = memref::GetGlobalOp::create(
          b, loc, blobType(b.getContext(), bytes), blobName);
      Value offset = arith::ConstantIndexOp::create(b, loc, it->second);
      get.replaceAllUsesWith(memref::ViewOp::create(b, loc, get.getType(), base,
                                                    offset, ValueRange())
                                 .getResult());
      get.erase();
    });
  }
};

} // namespace
} // namespace lnn
