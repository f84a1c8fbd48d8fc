//===- LowerEntry.cpp - make @main the entry point that a run calls -------===//
#include "lnn/Dialect/Lnn/Profile.h"
#include "lnn/Target/Cpu/Cpu.h"
#include "lnn/Transforms/Passes.h"
#include "lnn/runtime/artifact_abi.h"

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNLOWERENTRYPASS
#include "lnn/Target/Cpu/Passes.h.inc"

namespace {

/// Fields of lnn_abi_call and of lnn_abi_services, in order; all are pointers,
/// or as wide.
enum CallField {
  Inputs,
  Dims,
  Outputs,
  OutputDims,
  Scratch,
  Services,
  Context,
  Figures,
  Threads
};
enum ServiceField { AllocOutput, AllocScratch, Fail, RunParts };

/// Rewrites one function.
class EntryLowering {
public:
  EntryLowering(func::FuncOp main)
      : main(main), b(main.getContext()), converter(main.getContext()),
        pointer(LLVM::LLVMPointerType::get(main.getContext())),
        loc(main.getLoc()) {}
  LogicalResult run();

private:
  func::FuncOp main;
  OpBuilder b;
  LLVMTypeConverter converter;
  Type pointer;
  Location loc;
  Value call;
  Value unwanted; ///< figures that nobody asked for
  SmallVector<int64_t> firstOutputDim;

  Value i64(int64_t value) {
    return LLVM::ConstantOp::create(b, loc, b.getI64Type(),
                                    b.getI64IntegerAttr(value));
  }
  Value i32(int32_t value) {
    return LLVM::ConstantOp::create(b, loc, b.getI32Type(),
                                    b.getI32IntegerAttr(value));
  }
  Value element(Value base, Type type, int64_t index) {
    return LLVM::GEPOp::create(
        b, loc, pointer, type, base,
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
  }
  Value loadPointer(Value base, int64_t index) {
    return LLVM::LoadOp::create(b, loc, pointer, element(base, pointer, index));
  }
  Value isNull(Value value) {
    Value null = LLVM::ZeroOp::create(b, loc, pointer);
    return LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::eq, value, null);
  }
  Value service(ServiceField field) {
    return loadPointer(loadPointer(call, Services), field);
  }
  Value callService(ServiceField field, ArrayRef<Value> arguments,
                    ArrayRef<Type> types, Type result) {
    SmallVector<Value> operands{service(field), loadPointer(call, Context)};
    operands.append(arguments.begin(), arguments.end());
    SmallVector<Type> all{pointer};
    all.append(types.begin(), types.end());
    auto type = LLVM::LLVMFunctionType::get(
        result ? result : LLVM::LLVMVoidType::get(b.getContext()), all);
    auto made = LLVM::CallOp::create(b, loc, type, operands);
    return result ? made.getResult() : Value();
  }
  /// The same in LLVM's types, or out of them.
  Value asType(Value value, Type type) {
    if (value.getType() == type)
      return value;
    return UnrealizedConversionCastOp::create(b, loc, type, value).getResult(0);
  }
  /// Its type says all but where it is.
  static bool isPointer(MemRefType type) {
    return type.hasStaticShape() && type.getLayout().isIdentity();
  }
  /// What the parts of a loop are handed of a value of this type.
  Type sharedAs(Type type) {
    auto buffer = dyn_cast<MemRefType>(type);
    return buffer && isPointer(buffer) ? pointer : converter.convertType(type);
  }
  Value toI64(Value index) {
    return arith::IndexCastOp::create(b, loc, b.getI64Type(), index);
  }

  Value asBuffer(MemRefType type, Value data, ArrayRef<Value> sizes);
  SmallVector<Value> allSizes(MemRefType type, ValueRange dynamic);
  Value bytesOf(MemRefType type, ArrayRef<Value> sizes);
  void lowerArguments();
  void lowerOutput(OutputOp op);
  void lowerArena(ArenaOp op);
  void lowerScratch(ScratchOp op);
  void lowerCheck(CheckOp op);
  void lowerEnter(EnterRegionOp op);
  void lowerLeave(LeaveRegionOp op);
  void lowerThreads(ThreadsOp op);
  LogicalResult lowerRunParts(RunPartsOp op);
  void lowerPart(func::FuncOp part, Type record);
  void releaseTiles();
  void endRunIf(Value condition);
};

/// A memref of identity layout over `data`; sizes are i64.
Value EntryLowering::asBuffer(MemRefType type, Value data,
                              ArrayRef<Value> sizes) {
  Type structType = converter.convertType(type);
  auto descriptor = MemRefDescriptor::poison(b, loc, structType);
  descriptor.setAllocatedPtr(b, loc, data);
  descriptor.setAlignedPtr(b, loc, data);
  descriptor.setOffset(b, loc, i64(0));
  Value stride = i64(1);
  for (int64_t i = type.getRank() - 1; i >= 0; --i) {
    descriptor.setSize(b, loc, i, sizes[i]);
    descriptor.setStride(b, loc, i, stride);
    if (i)
      stride = LLVM::MulOp::create(b, loc, stride, sizes[i]);
  }
  Value whole = descriptor;
  return UnrealizedConversionCastOp::create(b, loc, type, whole).getResult(0);
}

/// Every size as i64; `dynamic` are the index values of the dynamic ones.
SmallVector<Value> EntryLowering::allSizes(MemRefType type,
                                           ValueRange dynamic) {
  SmallVector<Value> sizes;
  unsigned next = 0;
  for (int64_t size : type.getShape())
    sizes.push_back(ShapedType::isDynamic(size) ? toI64(dynamic[next++])
                                                : i64(size));
  return sizes;
}

/// Sizes may be data: a product that no 64 bits hold gives -1, which no
/// allocator fulfils.
Value EntryLowering::bytesOf(MemRefType type, ArrayRef<Value> sizes) {
  Value bytes = i64(DataLayout::closest(main)
                        .getTypeSize(type.getElementType())
                        .getFixedValue());
  Value tooMany;
  Type pair = LLVM::LLVMStructType::getLiteral(b.getContext(),
                                               {b.getI64Type(), b.getI1Type()});
  for (Value size : sizes) {
    Value product = LLVM::SMulWithOverflowOp::create(b, loc, pair, bytes, size);
    bytes = LLVM::ExtractValueOp::create(b, loc, product, 0);
    Value over = LLVM::ExtractValueOp::create(b, loc, product, 1);
    tooMany = tooMany ? LLVM::OrOp::create(b, loc, tooMany, over) : over;
  }
  return tooMany ? LLVM::SelectOp::create(b, loc, tooMany, i64(-1), bytes)
                 : bytes;
}

void EntryLowering::lowerArguments() {
  Block &entry = main.getBody().front();
  SmallVector<BlockArgument> arguments(entry.getArguments());
  call = entry.addArgument(pointer, loc);
  b.setInsertionPointToStart(&entry);
  if (main->hasAttr("lnn.regions"))
    unwanted = LLVM::AllocaOp::create(b, loc, pointer, b.getI64Type(), i32(4));
  Value inputs = loadPointer(call, Inputs), dims = loadPointer(call, Dims);
  int64_t position = 0;
  for (auto [number, argument] : llvm::enumerate(arguments)) {
    auto type = cast<MemRefType>(argument.getType());
    SmallVector<Value> sizes;
    for (int64_t i = 0; i < type.getRank(); ++i, ++position)
      sizes.push_back(type.isDynamicDim(i)
                          ? Value(LLVM::LoadOp::create(
                                b, loc, b.getI64Type(),
                                element(dims, b.getI64Type(), position)))
                          : i64(type.getDimSize(i)));
    argument.replaceAllUsesWith(
        asBuffer(type, loadPointer(inputs, number), sizes));
  }
  entry.eraseArguments(0, arguments.size());
}

/// Splits the block here: where the condition holds the run ends with status 1.
void EntryLowering::endRunIf(Value condition) {
  Block *before = b.getInsertionBlock();
  Block *rest = before->splitBlock(b.getInsertionPoint());
  Block *leave = b.createBlock(rest);
  func::ReturnOp::create(b, loc, i32(1));
  b.setInsertionPointToEnd(before);
  cf::CondBranchOp::create(b, loc, condition, leave, rest);
  b.setInsertionPointToStart(rest);
}

void EntryLowering::lowerOutput(OutputOp op) {
  b.setInsertionPoint(op);
  loc = op.getLoc();
  auto type = cast<MemRefType>(op.getBuffer().getType());
  SmallVector<Value> sizes = allSizes(type, op.getSizes());
  // One that is negative is for a check to tell of, which may come later.
  for (auto [i, size] : llvm::enumerate(sizes))
    if (type.isDynamicDim(i))
      size = arith::MaxSIOp::create(b, loc, size, i64(0));
  int64_t index = op.getIndex();
  Value dims = element(loadPointer(call, OutputDims), b.getI64Type(),
                       firstOutputDim[index]);
  for (auto [i, size] : llvm::enumerate(sizes))
    LLVM::StoreOp::create(b, loc, size, element(dims, b.getI64Type(), i));
  Value slot = element(loadPointer(call, Outputs), pointer, index);
  Value given = LLVM::LoadOp::create(b, loc, pointer, slot);
  Value missing = isNull(given);

  Block *before = b.getInsertionBlock();
  Block *rest = before->splitBlock(b.getInsertionPoint());
  Value data = rest->addArgument(pointer, loc);
  Block *ask = b.createBlock(rest);
  Value asked = callService(AllocOutput, {i32(index), dims},
                            {b.getI32Type(), pointer}, pointer);
  LLVM::StoreOp::create(b, loc, asked, slot);
  Value some = LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::ne,
                                    bytesOf(type, sizes), i64(0));
  endRunIf(LLVM::AndOp::create(b, loc, isNull(asked), some));
  cf::BranchOp::create(b, loc, rest, asked);
  b.setInsertionPointToEnd(before);
  cf::CondBranchOp::create(b, loc, missing, ask, ValueRange(), rest,
                           ValueRange(given));
  b.setInsertionPoint(op);
  op.replaceAllUsesWith(asBuffer(type, data, sizes));
  op->erase();
}

void EntryLowering::lowerArena(ArenaOp op) {
  b.setInsertionPoint(op);
  loc = op.getLoc();
  Value buffer = asBuffer(cast<MemRefType>(op.getBuffer().getType()),
                          loadPointer(call, Scratch), {toI64(op.getBytes())});
  op.replaceAllUsesWith(buffer);
  op->erase();
}

void EntryLowering::lowerScratch(ScratchOp op) {
  b.setInsertionPoint(op);
  loc = op.getLoc();
  auto type = cast<MemRefType>(op.getBuffer().getType());
  SmallVector<Value> sizes = allSizes(type, op.getSizes());
  Value bytes = bytesOf(type, sizes);
  Value data = callService(AllocScratch, {bytes}, {b.getI64Type()}, pointer);
  Value some =
      LLVM::ICmpOp::create(b, loc, LLVM::ICmpPredicate::ne, bytes, i64(0));
  endRunIf(LLVM::AndOp::create(b, loc, isNull(data), some));
  op.replaceAllUsesWith(asBuffer(type, data, sizes));
  op->erase();
}

void EntryLowering::lowerCheck(CheckOp op) {
  b.setInsertionPoint(op);
  loc = op.getLoc();
  auto number = op->getAttrOfType<IntegerAttr>("number");
  Block *before = b.getInsertionBlock();
  Block *rest = before->splitBlock(op);
  Block *fails = b.createBlock(rest);
  callService(Fail, {i32(number ? number.getInt() : 0)}, {b.getI32Type()},
              Type());
  // What follows may rely on it: sizes that it would compute may be negative.
  func::ReturnOp::create(b, loc, i32(1));
  b.setInsertionPointToEnd(before);
  cf::CondBranchOp::create(b, loc, op.getCondition(), rest, fails);
  op->erase();
}

/// The machine's clock. x86 has its counter of cycles; elsewhere that is often
/// not for users to read, and the steady one is.
static Value readClock(OpBuilder &b, Location loc, bool x86) {
  StringRef name = x86 ? "llvm.readcyclecounter" : "llvm.readsteadycounter";
  return LLVM::CallIntrinsicOp::create(b, loc, b.getI64Type(),
                                       b.getStringAttr(name), ValueRange())
      .getResult(0);
}

static bool isX86(Operation *op) {
  auto triple =
      op->getParentOfType<ModuleOp>()->getAttrOfType<StringAttr>("lnn.triple");
  return !triple || triple.getValue().starts_with("x86");
}

void EntryLowering::lowerEnter(EnterRegionOp op) {
  b.setInsertionPoint(op);
  op.replaceAllUsesWith(readClock(b, op.getLoc(), isX86(main)));
  op->erase();
}

void EntryLowering::lowerLeave(LeaveRegionOp op) {
  static_assert(sizeof(lnn_abi_figures) == 4 * sizeof(int64_t));
  b.setInsertionPoint(op);
  loc = op.getLoc();
  Value now = readClock(b, loc, isX86(main));
  Value ticks = LLVM::SubOp::create(b, loc, now, op.getStart());
  Value figures = loadPointer(call, Figures);
  Type record = LLVM::LLVMArrayType::get(b.getI64Type(), 4);
  Value own = element(figures, record, op.getNumber());
  Value place = LLVM::SelectOp::create(b, loc, isNull(figures), unwanted, own);
  Value added[] = {i64(1), ticks, toI64(op.getOperations()),
                   toI64(op.getBytes())};
  for (auto [i, value] : llvm::enumerate(added)) {
    Value at = element(place, b.getI64Type(), i);
    Value before = LLVM::LoadOp::create(b, loc, b.getI64Type(), at);
    LLVM::StoreOp::create(b, loc, LLVM::AddOp::create(b, loc, before, value),
                          at);
  }
  op->erase();
}

void EntryLowering::lowerThreads(ThreadsOp op) {
  b.setInsertionPoint(op);
  loc = op.getLoc();
  Type wide = b.getI64Type();
  Value threads =
      LLVM::LoadOp::create(b, loc, wide, element(call, wide, Threads));
  Value some = LLVM::SMaxOp::create(b, loc, threads, i64(1));
  op.replaceAllUsesWith(
      arith::IndexCastOp::create(b, loc, b.getIndexType(), some).getResult());
  op->erase();
}

/// A function of an index and values becomes one of a pointer to these, and the
/// index.
void EntryLowering::lowerPart(func::FuncOp part, Type record) {
  Block &entry = part.getBody().front();
  SmallVector<BlockArgument> arguments(entry.getArguments());
  Value data = entry.addArgument(pointer, loc),
        number = entry.addArgument(b.getI64Type(), loc);
  b.setInsertionPointToStart(&entry);
  arguments[0].replaceAllUsesWith(
      arith::IndexCastOp::create(b, loc, b.getIndexType(), number).getResult());
  for (auto [i, argument] :
       llvm::enumerate(MutableArrayRef(arguments).drop_front())) {
    Value at = LLVM::GEPOp::create(b, loc, pointer, record, data,
                                   ArrayRef<LLVM::GEPArg>{0, int32_t(i)});
    Type type = argument.getType();
    Value loaded = LLVM::LoadOp::create(b, loc, sharedAs(type), at);
    auto buffer = dyn_cast<MemRefType>(type);
    argument.replaceAllUsesWith(
        buffer && isPointer(buffer)
            ? asBuffer(buffer, loaded, allSizes(buffer, {}))
            : asType(loaded, type));
  }
  entry.eraseArguments(0, arguments.size());
  part.setType(b.getFunctionType({pointer, b.getI64Type()}, {}));
  // One copy for both ways that it is called.
  part->setAttr("passthrough", b.getStrArrayAttr({"noinline"}));
  part->setAttr("llvm.linkage", LLVM::LinkageAttr::get(
                                    b.getContext(), LLVM::Linkage::Internal));
}

LogicalResult EntryLowering::lowerRunParts(RunPartsOp op) {
  loc = op.getLoc();
  auto part = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
      op, op.getCalleeAttr());
  SmallVector<Type> expected{b.getIndexType()}, types;
  llvm::append_range(expected, op.getShared().getTypes());
  for (Type type : op.getShared().getTypes())
    types.push_back(sharedAs(type));
  if (!part || part.isDeclaration() || part.getNumResults() != 0 ||
      part.getArgumentTypes() != ArrayRef<Type>(expected) ||
      llvm::is_contained(types, Type()))
    return op.emitError("'") << op.getCallee()
                             << "' is no function of an index and the operands "
                                "that returns nothing";
  auto record = LLVM::LLVMStructType::getLiteral(b.getContext(), types);
  lowerPart(part, record);
  b.setInsertionPointToStart(&main.getBody().front());
  Value data = LLVM::AllocaOp::create(b, loc, pointer, record, i32(1));
  b.setInsertionPoint(op);
  for (auto [i, value] : llvm::enumerate(op.getShared())) {
    Value at = LLVM::GEPOp::create(b, loc, pointer, record, data,
                                   ArrayRef<LLVM::GEPArg>{0, int32_t(i)});
    Value stored = asType(value, converter.convertType(value.getType()));
    auto buffer = dyn_cast<MemRefType>(value.getType());
    if (buffer && isPointer(buffer))
      stored = MemRefDescriptor(stored).alignedPtr(b, loc);
    LLVM::StoreOp::create(b, loc, stored, at);
  }
  Value count = toI64(op.getCount());
  auto is = [&](LLVM::ICmpPredicate predicate) -> Value {
    return LLVM::ICmpOp::create(b, loc, predicate, count, i64(1));
  };
  Value several = is(LLVM::ICmpPredicate::sgt);
  Block *before = b.getInsertionBlock();
  Block *rest = before->splitBlock(op);
  Block *few = b.createBlock(rest);
  Value one = is(LLVM::ICmpPredicate::eq);
  Block *alone = b.createBlock(rest);
  func::CallOp::create(b, loc, part, ValueRange{data, i64(0)});
  cf::BranchOp::create(b, loc, rest);
  Block *together = b.createBlock(rest);
  Value function =
      func::ConstantOp::create(b, loc, part.getFunctionType(), op.getCallee());
  callService(RunParts, {asType(function, pointer), data, count},
              {pointer, pointer, b.getI64Type()}, Type());
  cf::BranchOp::create(b, loc, rest);
  b.setInsertionPointToEnd(few);
  cf::CondBranchOp::create(b, loc, one, alone, rest);
  b.setInsertionPointToEnd(before);
  cf::CondBranchOp::create(b, loc, several, together, few);
  op->erase();
  return success();
}

/// Tiles that stay configured cost the system 8 KB to save whenever it changes
/// threads, and keep the processor from its deepest sleep.
void EntryLowering::releaseTiles() {
  bool uses = false;
  SmallVector<func::ReturnOp> ends;
  main.walk([&](Operation *op) {
    uses |= isa<amx::AMXDialect>(op->getDialect());
    if (auto end = dyn_cast<func::ReturnOp>(op))
      ends.push_back(end);
  });
  for (func::ReturnOp end : ends) {
    if (!uses)
      return;
    b.setInsertionPoint(end);
    LLVM::CallIntrinsicOp::create(
        b, end.getLoc(), b.getStringAttr("llvm.x86.tilerelease"), ValueRange());
  }
}

LogicalResult EntryLowering::run() {
  for (Type type : main.getArgumentTypes())
    if (auto memref = dyn_cast<MemRefType>(type);
        !memref || !memref.getLayout().isIdentity())
      return main.emitError(
                 "lnn-lower-entry needs arguments of identity layout, found ")
             << type;
  int64_t position = 0;
  for (Attribute output : main->getAttrOfType<ArrayAttr>("lnn.outputs")) {
    firstOutputDim.push_back(position);
    position +=
        cast<DictionaryAttr>(output).getAs<DenseI64ArrayAttr>("dims").size();
  }
  lowerArguments();
  SmallVector<Operation *> ops;
  main.walk([&](Operation *op) {
    if (isa<OutputOp, ArenaOp, ScratchOp, CheckOp, EnterRegionOp, LeaveRegionOp,
            ThreadsOp, RunPartsOp, func::ReturnOp>(op))
      ops.push_back(op);
  });
  for (Operation *op : ops) {
    if (auto output = dyn_cast<OutputOp>(op)) {
      if (output.getIndex() >= firstOutputDim.size())
        return op->emitError("there is no result ") << output.getIndex();
      lowerOutput(output);
    } else if (auto arena = dyn_cast<ArenaOp>(op)) {
      lowerArena(arena);
    } else if (auto scratch = dyn_cast<ScratchOp>(op)) {
      lowerScratch(scratch);
    } else if (auto check = dyn_cast<CheckOp>(op)) {
      lowerCheck(check);
    } else if (auto enter = dyn_cast<EnterRegionOp>(op)) {
      lowerEnter(enter);
    } else if (auto leave = dyn_cast<LeaveRegionOp>(op)) {
      lowerLeave(leave);
    } else if (auto threads = dyn_cast<ThreadsOp>(op)) {
      lowerThreads(threads);
    } else if (auto parts = dyn_cast<RunPartsOp>(op)) {
      if (failed(lowerRunParts(parts)))
        return failure();
      main->getParentOp()->setAttr("lnn.threads", b.getUnitAttr());
    } else {
      b.setInsertionPoint(op);
      loc = op->getLoc();
      op->setOperands(i32(0));
    }
  }
  releaseTiles();
  main.setType(b.getFunctionType({pointer}, {b.getI32Type()}));
  return success();
}

struct LowerEntryPass : impl::LnnLowerEntryPassBase<LowerEntryPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main || !main->hasAttr("lnn.outputs") ||
        !main->hasAttr("lnn.messages")) {
      module.emitError(
          "lnn-lower-entry needs a @main that lnn-outline-sizes has seen");
      return signalPassFailure();
    }
    if (failed(EntryLowering(main).run()))
      return signalPassFailure();
    if (auto rows = module.lookupSymbol<func::FuncOp>(kRowsEntry)) {
      if (failed(EntryLowering(rows).run()))
        return signalPassFailure();
      for (StringRef key : {"lnn.inputs", "lnn.outputs", "lnn.symbols"})
        rows->removeAttr(key);
      rows.removeArgAttrsAttr();
      rows.setName("lnn_run_rows");
    }
    for (StringRef key :
         {"lnn.inputs", "lnn.outputs", "lnn.symbols", "lnn.messages"}) {
      module->setAttr(key, main->getAttr(key));
      main->removeAttr(key);
    }
    if (Attribute regions = main->removeAttr("lnn.regions"))
      module->setAttr("lnn.regions", regions);
    main.removeArgAttrsAttr();
    main.setName("lnn_run");
  }
};

} // namespace
} // namespace lnn
