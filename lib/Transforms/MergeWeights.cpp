//===- MergeWeights.cpp - put all constants in one aligned blob -----------===//
#include "lnn/Transforms/Passes.h"

#include "lnn/Transforms/LargeConstants.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/Support/xxhash.h"
#include <map>

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNMERGEWEIGHTSPASS
#include "lnn/Transforms/Passes.h.inc"

namespace {

constexpr StringLiteral blobName = "lnn_weights";
constexpr size_t alignment = 64;

/// The little-endian bytes of the elements, in `made` where they don't lie
/// somewhere already; nothing for kinds of elements that have none.
std::optional<ArrayRef<char>> bytesOf(ElementsAttr elements,
                                      SmallVectorImpl<char> &made) {
  auto type = cast<ShapedType>(elements.getType());
  Type element = type.getElementType();
  if (!element.isIntOrFloat())
    return std::nullopt;
  unsigned width = element.getIntOrFloatBitWidth();
  if (width != 1 && width != 8 && width != 16 && width != 32 && width != 64)
    return std::nullopt;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(elements)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    size_t wanted = static_cast<size_t>(type.getNumElements()) * width / 8;
    if (!blob || width == 1 || blob->getData().size() != wanted)
      return std::nullopt;
    return blob->getData();
  }
  auto dense = dyn_cast<DenseElementsAttr>(elements);
  if (!dense)
    return std::nullopt;
  if (!dense.isSplat() && width != 1)
    return dense.getRawData();
  auto append = [&](const APInt &value) {
    uint64_t bits = value.getZExtValue();
    auto *from = reinterpret_cast<const char *>(&bits);
    made.append(from, from + std::max(width / 8, 1u));
  };
  if (isa<FloatType>(element))
    for (const APFloat &value : dense.getValues<APFloat>())
      append(value.bitcastToAPInt());
  else
    for (const APInt &value : dense.getValues<APInt>())
      append(value);
  return ArrayRef<char>(made);
}

/// The bytes of all constants, each once and aligned. Large ones are given back
/// as soon as they are here: a model's weights should not be there often.
class Blob {
public:
  explicit Blob(size_t room) { bytes.reserve(room); }

  int64_t add(ArrayRef<char> data) {
    StringRef text(data.data(), data.size());
    auto [first, last] = known.equal_range(llvm::xxh3_64bits(text));
    for (auto it = first; it != last; ++it)
      if (StringRef(bytes.data() + it->second, bytes.size() - it->second)
              .starts_with(text) &&
          sizes[it->second] == data.size())
        return it->second;
    int64_t at = bytes.size();
    known.emplace(llvm::xxh3_64bits(text), at);
    sizes[at] = data.size();
    bytes.insert(bytes.end(), data.begin(), data.end());
    bytes.resize(llvm::alignTo(bytes.size(), alignment));
    return at;
  }

  std::vector<char> bytes;

private:
  std::multimap<uint64_t, int64_t> known; ///< offsets by a hash
  std::map<int64_t, size_t> sizes;        ///< by offset
};

struct MergeWeightsPass : impl::LnnMergeWeightsPassBase<MergeWeightsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    DenseMap<StringAttr, int64_t> offsets;
    SmallVector<memref::GlobalOp> merged;
    Blob blob(roomFor(module));
    for (auto global : module.getOps<memref::GlobalOp>()) {
      ElementsAttr value = mergeable(global);
      SmallVector<char, 0> made;
      std::optional<ArrayRef<char>> bytes;
      if (!value || !(bytes = bytesOf(value, made)))
        continue;
      offsets[global.getSymNameAttr()] = blob.add(*bytes);
      global.removeInitialValueAttr();
      dropBlob(value);
      merged.push_back(global);
    }
    if (merged.empty())
      return;
    int64_t size = blob.bytes.size();
    makeBlob(module, std::move(blob.bytes));
    rewriteUses(module, offsets, size);
    for (memref::GlobalOp global : merged)
      global.erase();
  }

  static ElementsAttr mergeable(memref::GlobalOp global) {
    auto value = dyn_cast_or_null<ElementsAttr>(
        global.getInitialValue().value_or(Attribute()));
    if (!global.getConstant() || global.getName() == blobName ||
        !global.getType().getLayout().isIdentity())
      return {};
    return value;
  }

  static size_t roomFor(ModuleOp module) {
    size_t room = 0;
    for (auto global : module.getOps<memref::GlobalOp>())
      if (ElementsAttr value = mergeable(global);
          value && value.getElementType().isIntOrFloat())
        room += llvm::alignTo(
            value.getNumElements() *
                llvm::divideCeil(value.getElementType().getIntOrFloatBitWidth(),
                                 8),
            alignment);
    return room;
  }

  static MemRefType blobType(MLIRContext *context, int64_t bytes) {
    return MemRefType::get({bytes}, IntegerType::get(context, 8));
  }

  static void makeBlob(ModuleOp module, std::vector<char> blob) {
    OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
    int64_t size = blob.size();
    auto type = RankedTensorType::get({size}, b.getI8Type());
    memref::GlobalOp::create(b, module.getLoc(), b.getStringAttr(blobName),
                             b.getStringAttr("private"),
                             TypeAttr::get(blobType(b.getContext(), size)),
                             elementsOf(type, std::move(blob), blobName),
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
