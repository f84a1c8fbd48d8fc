//===- PrepareEntry.cpp - turn results into the caller's buffers ----------===//
#include "lnn/Transforms/Passes.h"
#include "lnn/Transforms/Sizes.h"
#include "lnn/runtime/artifact_abi.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNPREPAREENTRYPASS
#include "lnn/Transforms/Passes.h.inc"

namespace {

std::optional<int32_t> dtypeOfName(StringRef name) {
  int32_t dtype = llvm::StringSwitch<int32_t>(name)
                      .Case("float32", LNN_F32)
                      .Case("uint8", LNN_U8)
                      .Case("int8", LNN_I8)
                      .Case("uint16", LNN_U16)
                      .Case("int16", LNN_I16)
                      .Case("int32", LNN_I32)
                      .Case("int64", LNN_I64)
                      .Case("bool", LNN_BOOL)
                      .Case("float16", LNN_F16)
                      .Case("float64", LNN_F64)
                      .Case("uint32", LNN_U32)
                      .Case("uint64", LNN_U64)
                      .Case("bfloat16", LNN_BF16)
                      .Default(0);
  return dtype ? std::optional(dtype) : std::nullopt;
}

std::optional<int32_t> dtypeOfType(Type type) {
  if (type.isF32())
    return LNN_F32;
  if (type.isF64())
    return LNN_F64;
  if (type.isF16())
    return LNN_F16;
  if (type.isBF16())
    return LNN_BF16;
  if (type.isInteger(1))
    return LNN_BOOL;
  if (type.isInteger(8))
    return LNN_I8;
  if (type.isInteger(16))
    return LNN_I16;
  if (type.isInteger(32))
    return LNN_I32;
  if (type.isInteger(64))
    return LNN_I64;
  return std::nullopt;
}

unsigned bytesOf(int32_t dtype) {
  switch (dtype) {
  case LNN_F64:
  case LNN_I64:
  case LNN_U64:
    return 8;
  case LNN_F32:
  case LNN_I32:
  case LNN_U32:
    return 4;
  case LNN_F16:
  case LNN_BF16:
  case LNN_I16:
  case LNN_U16:
    return 2;
  default:
    return 1;
  }
}

int32_t roleOfName(StringRef name, int32_t otherwise) {
  return llvm::StringSwitch<int32_t>(name)
      .Case("input", LNN_ROLE_INPUT)
      .Case("dt", LNN_ROLE_DT)
      .Case("state", LNN_ROLE_STATE)
      .Case("output", LNN_ROLE_OUTPUT)
      .Default(otherwise);
}

/// What the border has to say of one argument or result.
struct Border {
  std::string name, partner;
  int32_t dtype = 0, role = 0, pair = -1;
  SmallVector<int64_t> dims;
  Type type;
};

/// Collects the signature from the attributes of the function.
class Signature {
public:
  explicit Signature(func::FuncOp func) : func(func) {}
  LogicalResult read();
  void write();

private:
  LogicalResult readOne(Type type, DictionaryAttr attributes, bool isArgument,
                        unsigned number);
  LogicalResult pairStates();
  int64_t symbol(StringRef name);
  ArrayAttr describe(ArrayRef<Border> borders);
  func::FuncOp func;
  SmallVector<Border> inputs, outputs;
  SmallVector<std::string> symbols;
  llvm::StringMap<int64_t> symbolNumbers;
};

int64_t Signature::symbol(StringRef name) {
  auto [it, fresh] = symbolNumbers.try_emplace(name, symbols.size());
  if (fresh)
    symbols.push_back(name.str());
  return -1 - it->second;
}

LogicalResult Signature::readOne(Type type, DictionaryAttr attributes,
                                 bool isArgument, unsigned number) {
  const char *kind = isArgument ? "argument" : "result";
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.getEncoding())
    return func.emitError()
           << kind << " #" << number << " of @main is of type " << type
           << "; only tensors of known rank cross the border";
  Border border;
  border.type = type;
  auto text = [&](StringRef key) -> StringRef {
    auto attribute =
        attributes ? attributes.getAs<StringAttr>(key) : StringAttr();
    return attribute ? attribute.getValue() : StringRef();
  };
  border.name = text("lnn.name").str();
  if (border.name.empty())
    border.name = (isArgument ? "arg" : "out") + std::to_string(number);
  border.partner = text(isArgument ? "lnn.next" : "lnn.prev").str();
  border.role = roleOfName(text("lnn.role"),
                           isArgument ? LNN_ROLE_INPUT : LNN_ROLE_OUTPUT);
  StringRef dtypeName = text("lnn.dtype");
  std::optional<int32_t> natural = dtypeOfType(tensor.getElementType());
  std::optional<int32_t> dtype =
      dtypeName.empty() ? natural : dtypeOfName(dtypeName);
  if (!dtype || !natural || bytesOf(*dtype) != bytesOf(*natural))
    return func.emitError()
           << kind << " '" << border.name << "' has elements of type "
           << tensor.getElementType()
           << (dtypeName.empty() ? Twine("")
                                 : " said to be '" + dtypeName + "'")
           << ", which cannot cross the border; use f32, f64, f16, bf16 or "
              "integers of 8 to 64 bits";
  border.dtype = *dtype;
  auto names =
      attributes ? attributes.getAs<ArrayAttr>("lnn.dims") : ArrayAttr();
  for (int64_t i = 0; i < tensor.getRank(); ++i) {
    if (!tensor.isDynamicDim(i)) {
      border.dims.push_back(tensor.getDimSize(i));
      continue;
    }
    Attribute given = names && i < static_cast<int64_t>(names.size())
                          ? names[i]
                          : Attribute();
    auto name = dyn_cast_or_null<StringAttr>(given);
    auto fixed = dyn_cast_or_null<IntegerAttr>(given);
    if (fixed && fixed.getInt() >= 0)
      border.dims.push_back(fixed.getInt());
    else
      border.dims.push_back(symbol(
          name && !name.empty() ? name.getValue().str()
                                : border.name + "_dim" + std::to_string(i)));
  }
  (isArgument ? inputs : outputs).push_back(std::move(border));
  return success();
}

LogicalResult Signature::pairStates() {
  for (auto [i, input] : llvm::enumerate(inputs)) {
    for (auto [j, output] : llvm::enumerate(outputs))
      if ((!input.partner.empty() && input.partner == output.name) ||
          (!output.partner.empty() && output.partner == input.name)) {
        if (cast<ShapedType>(input.type).getElementType() !=
                cast<ShapedType>(output.type).getElementType() ||
            input.dtype != output.dtype ||
            input.dims.size() != output.dims.size())
          return func.emitError()
                 << "state '" << input.name << "' is of type " << input.type
                 << ", but result '" << output.name
                 << "' that is to replace it is of type " << output.type;
        input.pair = j;
        output.pair = i;
        input.role = output.role = LNN_ROLE_STATE;
      }
    if (!input.partner.empty() && input.pair < 0)
      return func.emitError()
             << "state '" << input.name << "' is to be replaced by result '"
             << input.partner << "', but there is no such result";
  }
  return success();
}

LogicalResult Signature::read() {
  for (auto [i, type] : llvm::enumerate(func.getArgumentTypes()))
    if (failed(readOne(type, func.getArgAttrDict(i), true, i)))
      return failure();
  for (auto [i, type] : llvm::enumerate(func.getResultTypes()))
    if (failed(readOne(type, func.getResultAttrDict(i), false, i)))
      return failure();
  return pairStates();
}

ArrayAttr Signature::describe(ArrayRef<Border> borders) {
  Builder b(func.getContext());
  SmallVector<Attribute> all;
  for (const Border &border : borders)
    all.push_back(b.getDictionaryAttr(
        {b.getNamedAttr("name", b.getStringAttr(border.name)),
         b.getNamedAttr("dtype", b.getI32IntegerAttr(border.dtype)),
         b.getNamedAttr("role", b.getI32IntegerAttr(border.role)),
         b.getNamedAttr("pair", b.getI32IntegerAttr(border.pair)),
         b.getNamedAttr("dims", b.getDenseI64ArrayAttr(border.dims))}));
  return b.getArrayAttr(all);
}

void Signature::write() {
  Builder b(func.getContext());
  func->setAttr("lnn.inputs", describe(inputs));
  func->setAttr("lnn.outputs", describe(outputs));
  SmallVector<Attribute> names;
  for (const std::string &name : symbols)
    names.push_back(b.getStringAttr(name));
  func->setAttr("lnn.symbols", b.getArrayAttr(names));
}

struct PrepareEntryPass : impl::LnnPrepareEntryPassBase<PrepareEntryPass> {
  void runOnOperation() override {
    auto func = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
        getOperation(), StringAttr::get(&getContext(), "main"));
    if (!func || func.isDeclaration()) {
      getOperation().emitError("the module has no function @main; that is what "
                               "a model is compiled from");
      return signalPassFailure();
    }
    if (!func.getBody().hasOneBlock()) {
      func.emitError(
          "@main has more than one block; write its control flow with scf");
      return signalPassFailure();
    }
    if (failed(prepare(func)))
      return signalPassFailure();
    auto rows = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
        getOperation(), StringAttr::get(&getContext(), kRowsEntry));
    if (rows && failed(prepare(rows)))
      return signalPassFailure();
  }

  static LogicalResult prepare(func::FuncOp func) {
    Signature signature(func);
    if (failed(signature.read()))
      return failure();
    materializeResults(func);
    rewriteAttributes(func);
    signature.write();
    return success();
  }

  static void materializeResults(func::FuncOp func) {
    Block &body = func.getBody().front();
    auto ret = cast<func::ReturnOp>(body.getTerminator());
    OpBuilder entry(&body, body.begin());
    SizeCloner sizes(
        func, entry,
        [](OpBuilder &b, BlockArgument argument, int64_t dim) -> Value {
          return tensor::DimOp::create(b, argument.getLoc(), argument, dim);
        });
    DimResolver resolver;
    OpBuilder builder(ret);
    for (auto [i, result] : llvm::enumerate(ret.getOperands())) {
      auto type = cast<RankedTensorType>(result.getType());
      SmallVector<Value> dynamic;
      bool early = true;
      for (int64_t d = 0; d < type.getRank(); ++d) {
        if (!type.isDynamicDim(d))
          continue;
        OpFoldResult size = resolver.resolve(result, d, builder);
        Value value =
            size ? getValueOrCreateConstantIndexOp(builder, ret.getLoc(), size)
                 : tensor::DimOp::create(builder, ret.getLoc(), result, d)
                       .getResult();
        early &= sizes.dependsOnSizesOnly(value);
        dynamic.push_back(value);
      }
      if (early)
        for (Value &value : dynamic)
          value = sizes.clone(value);
      else
        for (auto [k, value] : llvm::enumerate(dynamic))
          value = availableAt(builder, ret, result, value, k);
      auto memref = MemRefType::get(type.getShape(), type.getElementType());
      Value buffer = OutputOp::create(early ? sizes.getBuilder() : builder,
                                      ret.getLoc(), memref, i, dynamic);
      bufferization::MaterializeInDestinationOp::create(
          builder, ret.getLoc(), TypeRange(), result, buffer,
          /*restrict=*/true, /*writable=*/true);
    }
    ret->setOperands({});
  }

  /// A resolved size may be defined inside a loop that made the result; outside
  /// it is read from the result itself.
  static Value availableAt(OpBuilder &builder, Operation *end, Value result,
                           Value size, unsigned number) {
    Operation *def = size.getDefiningOp();
    if (def && def->getBlock() == end->getBlock())
      return size;
    auto type = cast<RankedTensorType>(result.getType());
    for (int64_t d = 0; d < type.getRank(); ++d)
      if (type.isDynamicDim(d) && number-- == 0)
        return tensor::DimOp::create(builder, end->getLoc(), result, d);
    return size;
  }

  static void rewriteAttributes(func::FuncOp func) {
    MLIRContext *context = func.getContext();
    func.removeResAttrsAttr();
    func.setType(FunctionType::get(context, func.getArgumentTypes(), {}));
    Builder b(context);
    DictionaryAttr readOnly = b.getDictionaryAttr(
        b.getNamedAttr("bufferization.writable", b.getBoolAttr(false)));
    for (unsigned i = 0; i < func.getNumArguments(); ++i)
      func.setArgAttrs(i, readOnly);
  }
};

} // namespace
} // namespace lnn
