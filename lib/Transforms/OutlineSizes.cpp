//===- OutlineSizes.cpp - how large results and scratch are ---------------===//
#include "lnn/Transforms/Passes.h"
#include "lnn/Transforms/Sizes.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNOUTLINESIZESPASS
#include "lnn/Transforms/Passes.h.inc"

namespace {

/// Numbers the messages of checks; equal ones share a number.
class Messages {
public:
  int32_t number(StringAttr message) {
    auto [it, fresh] = numbers.try_emplace(message, all.size());
    if (fresh)
      all.push_back(message);
    return it->second;
  }
  ArrayAttr get(MLIRContext *context) const {
    return ArrayAttr::get(context, all);
  }

private:
  DenseMap<Attribute, int32_t> numbers;
  SmallVector<Attribute> all;
};

struct OutlineSizesPass : impl::LnnOutlineSizesPassBase<OutlineSizesPass> {
  void runOnOperation() override {
    auto main = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
        getOperation(), StringAttr::get(&getContext(), "main"));
    if (!main || !main.getBody().hasOneBlock() ||
        !main->hasAttr("lnn.outputs")) {
      getOperation().emitError(
          "lnn-outline-sizes needs a @main that lnn-prepare-entry made");
      return signalPassFailure();
    }
    Messages messages;
    build(main, "lnn_sizes", messages);
    if (auto rows = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
            getOperation(), StringAttr::get(&getContext(), kRowsEntry)))
      build(rows, "lnn_sizes_rows", messages);
    main->setAttr("lnn.messages", messages.get(&getContext()));
  }

  void build(func::FuncOp main, StringRef name, Messages &messages) {
    MLIRContext *context = &getContext();
    Location loc = main.getLoc();
    OpBuilder b(context);
    b.setInsertionPointAfter(main);
    auto pointer = LLVM::LLVMPointerType::get(context);
    auto type = FunctionType::get(context, {pointer, pointer, pointer},
                                  {b.getI32Type()});
    auto func = func::FuncOp::create(b, loc, name, type);
    Block *entry = func.addEntryBlock();
    b.setInsertionPointToStart(entry);
    SmallVector<int64_t> firstDim; // of each argument, in the flat array
    int64_t total = 0;
    for (Type argument : main.getArgumentTypes()) {
      firstDim.push_back(total);
      total += cast<ShapedType>(argument).getRank();
    }
    SizeCloner sizes(main, b,
                     [&, dims = func.getArgument(0)](
                         OpBuilder &at, BlockArgument argument, int64_t dim) {
                       return loadDim(at, argument.getLoc(), dims,
                                      cast<ShapedType>(argument.getType()), dim,
                                      firstDim[argument.getArgNumber()] + dim);
                     });
    testChecks(main, sizes, messages);
    storeOutputs(main, sizes, func.getArgument(1));
    storeScratch(main, sizes, func.getArgument(2));
    OpBuilder &end = sizes.getBuilder();
    func::ReturnOp::create(end, loc, constant(end, loc, -1, 32));
  }

  static Value constant(OpBuilder &b, Location loc, int64_t value,
                        unsigned width) {
    return arith::ConstantOp::create(
        b, loc, b.getIntegerAttr(b.getIntegerType(width), value));
  }

  static Value elementPointer(OpBuilder &b, Location loc, Value base,
                              int64_t index) {
    return LLVM::GEPOp::create(
        b, loc, base.getType(), b.getI64Type(), base,
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
  }

  static Value loadDim(OpBuilder &b, Location loc, Value dims, ShapedType type,
                       int64_t dim, int64_t position) {
    if (!type.isDynamicDim(dim))
      return arith::ConstantIndexOp::create(b, loc, type.getDimSize(dim));
    Value size = LLVM::LoadOp::create(b, loc, b.getI64Type(),
                                      elementPointer(b, loc, dims, position));
    return arith::IndexCastOp::create(b, loc, b.getIndexType(), size);
  }

  /// Each check that is always reached and depends on sizes alone is tested, in
  /// order, and leaves @main; the others get their message's number.
  static void testChecks(func::FuncOp main, SizeCloner &sizes,
                         Messages &messages) {
    SmallVector<CheckOp> checks;
    main.walk([&](CheckOp check) { checks.push_back(check); });
    for (CheckOp check : checks) {
      int32_t number = messages.number(check.getMessageAttr());
      if (check->getParentOp() != main ||
          !sizes.dependsOnSizesOnly(check.getCondition())) {
        check->setAttr("number",
                       Builder(main.getContext()).getI32IntegerAttr(number));
        continue;
      }
      Value holds = sizes.clone(check.getCondition());
      OpBuilder &b = sizes.getBuilder();
      Location loc = check.getLoc();
      Region *region = b.getInsertionBlock()->getParent();
      Block *fails = new Block, *next = new Block;
      region->push_back(fails);
      region->push_back(next);
      cf::CondBranchOp::create(b, loc, holds, next, fails);
      b.setInsertionPointToStart(fails);
      func::ReturnOp::create(b, loc, constant(b, loc, number, 32));
      b.setInsertionPointToStart(next);
      check.erase();
    }
  }

  static void storeOutputs(func::FuncOp main, SizeCloner &sizes,
                           Value results) {
    DenseMap<int64_t, OutputOp> outputs;
    main.walk([&](OutputOp output) { outputs[output.getIndex()] = output; });
    OpBuilder &b = sizes.getBuilder();
    int64_t position = 0;
    for (auto [i, attribute] :
         llvm::enumerate(main->getAttrOfType<ArrayAttr>("lnn.outputs"))) {
      int64_t rank = cast<DictionaryAttr>(attribute)
                         .getAs<DenseI64ArrayAttr>("dims")
                         .size();
      OutputOp output = outputs.lookup(i);
      unsigned dynamic = 0;
      for (int64_t d = 0; d < rank; ++d, ++position) {
        Location loc = main.getLoc();
        Value value;
        auto type = output ? cast<MemRefType>(output.getBuffer().getType())
                           : MemRefType();
        if (type && !type.isDynamicDim(d))
          value = constant(b, loc, type.getDimSize(d), 64);
        else if (Value size = output ? output.getSizes()[dynamic++] : Value();
                 size && sizes.dependsOnSizesOnly(size))
          value = arith::IndexCastOp::create(b, loc, b.getI64Type(),
                                             sizes.clone(size));
        else
          value = constant(b, loc, -1, 64);
        LLVM::StoreOp::create(b, loc, value,
                              elementPointer(b, loc, results, position));
      }
    }
  }

  static void storeScratch(func::FuncOp main, SizeCloner &sizes, Value result) {
    OpBuilder &b = sizes.getBuilder();
    Location loc = main.getLoc();
    Value bytes = constant(b, loc, 0, 64);
    main.walk([&](ArenaOp arena) {
      bytes = arith::IndexCastOp::create(b, loc, b.getI64Type(),
                                         sizes.clone(arena.getBytes()));
    });
    LLVM::StoreOp::create(b, loc, bytes, result);
  }
};

} // namespace
} // namespace lnn
