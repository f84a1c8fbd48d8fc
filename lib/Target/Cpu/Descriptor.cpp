//===- Descriptor.cpp - what an artifact says of itself -------------------===//
//
// The constant of lnn/runtime/artifact_abi.h, made from the module's
// attributes.
//
//===----------------------------------------------------------------------===//
#include "lnn/Target/Cpu/Cpu.h"
#include "lnn/runtime/artifact_abi.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SHA256.h"

using namespace mlir;

namespace lnn {
namespace {

/// Builds constants of one LLVM module.
class DescriptorBuilder {
public:
  DescriptorBuilder(ModuleOp source, llvm::Module &module,
                    const CpuTarget &target)
      : source(source), module(module), target(target),
        context(module.getContext()),
        pointer(llvm::PointerType::getUnqual(context)),
        i32Type(llvm::Type::getInt32Ty(context)) {}
  void build();
  std::string required() const;

private:
  ModuleOp source;
  llvm::Module &module;
  const CpuTarget &target;
  llvm::LLVMContext &context;
  llvm::PointerType *pointer;
  llvm::Type *i32Type;

  llvm::Constant *i32(int64_t value) {
    return llvm::ConstantInt::getSigned(i32Type, value);
  }
  llvm::Constant *global(llvm::Constant *value, const llvm::Twine &name) {
    return new llvm::GlobalVariable(
        module, value->getType(), /*isConstant=*/true,
        llvm::GlobalValue::PrivateLinkage, value, name);
  }
  llvm::Constant *text(StringRef value) {
    return global(llvm::ConstantDataArray::getString(context, value),
                  "lnn_text");
  }
  llvm::Constant *array(llvm::Type *type, ArrayRef<llvm::Constant *> values,
                        const llvm::Twine &name) {
    if (values.empty())
      return llvm::ConstantPointerNull::get(pointer);
    return global(llvm::ConstantArray::get(
                      llvm::ArrayType::get(type, values.size()), values),
                  name);
  }
  StringRef attribute(StringRef name, StringRef otherwise = "") {
    auto value = source->getAttrOfType<StringAttr>(name);
    return value ? value.getValue() : otherwise;
  }
  ArrayRef<Attribute> list(StringRef name) {
    auto value = source->getAttrOfType<ArrayAttr>(name);
    return value ? value.getValue() : ArrayRef<Attribute>();
  }
  llvm::Constant *texts(StringRef name);
  llvm::Constant *tensors(StringRef name);
  std::string hash();
  /// Exports a function that returns a constant.
  void exportGetter(StringRef symbol, llvm::Constant *value);
  void buildProfile(ArrayRef<Attribute> regions);
  void buildRows(DictionaryAttr rows);
  /// A function of the module, which the descriptor alone refers to.
  llvm::Constant *function(StringRef symbol) {
    llvm::Function *f = module.getFunction(symbol);
    f->setLinkage(llvm::GlobalValue::InternalLinkage);
    return f;
  }
};

llvm::Constant *DescriptorBuilder::texts(StringRef name) {
  SmallVector<llvm::Constant *> values;
  for (Attribute value : list(name))
    values.push_back(text(cast<StringAttr>(value).getValue()));
  return array(pointer, values, name);
}

/// An array of lnn_abi_tensor.
llvm::Constant *DescriptorBuilder::tensors(StringRef name) {
  auto *type = llvm::StructType::get(
      context, {pointer, i32Type, i32Type, i32Type, i32Type, pointer});
  SmallVector<llvm::Constant *> values;
  for (Attribute value : list(name)) {
    auto entry = cast<DictionaryAttr>(value);
    ArrayRef<int64_t> dims =
        entry.getAs<DenseI64ArrayAttr>("dims").asArrayRef();
    auto number = [&](StringRef key) {
      return i32(entry.getAs<IntegerAttr>(key).getInt());
    };
    SmallVector<llvm::Constant *> sizes;
    for (int64_t dim : dims)
      sizes.push_back(
          llvm::ConstantInt::getSigned(llvm::Type::getInt64Ty(context), dim));
    values.push_back(llvm::ConstantStruct::get(
        type,
        {text(entry.getAs<StringAttr>("name").getValue()), number("dtype"),
         i32(dims.size()), number("role"), number("pair"),
         array(llvm::Type::getInt64Ty(context), sizes, "lnn_dims")}));
  }
  return array(type, values, name);
}

/// The hash that the compiler was given of its input, or one of the module as
/// it is now.
std::string DescriptorBuilder::hash() {
  if (StringRef given = attribute("lnn.hash"); !given.empty())
    return given.str();
  std::string printed;
  llvm::raw_string_ostream os(printed);
  source->print(os);
  return llvm::toHex(llvm::SHA256::hash(llvm::arrayRefFromStringRef(printed)),
                     /*LowerCase=*/true);
}

void DescriptorBuilder::exportGetter(StringRef symbol, llvm::Constant *value) {
  std::string name = symbol.str();
  if (auto version = source->getAttrOfType<IntegerAttr>("lnn.version"))
    name += "_" + std::to_string(version.getInt());
  auto *get =
      llvm::Function::Create(llvm::FunctionType::get(pointer, false),
                             llvm::GlobalValue::ExternalLinkage, name, module);
  llvm::IRBuilder<> builder(llvm::BasicBlock::Create(context, "", get));
  builder.CreateRet(value);
}

/// An lnn_abi_profile.
void DescriptorBuilder::buildProfile(ArrayRef<Attribute> regions) {
  auto *type = llvm::StructType::get(
      context, {pointer, pointer, pointer, i32Type, i32Type});
  SmallVector<llvm::Constant *> values;
  for (Attribute value : regions) {
    auto entry = cast<DictionaryAttr>(value);
    auto string = [&](StringRef key) {
      return text(entry.getAs<StringAttr>(key).getValue());
    };
    values.push_back(llvm::ConstantStruct::get(
        type, {string("name"), string("nodes"), string("kind"),
               i32(entry.getAs<IntegerAttr>("parent").getInt()), i32(0)}));
  }
  llvm::Constant *fields[] = {i32(sizeof(lnn_abi_profile)), i32(values.size()),
                              array(type, values, "lnn_regions")};
  exportGetter(
      LNN_ABI_PROFILE_SYMBOL,
      global(llvm::ConstantStruct::getAnon(context, fields), "lnn_profile"));
}

/// Tiles are asked for of the system: only by code that has them.
std::string DescriptorBuilder::required() const {
  std::string names = target.required();
  for (const llvm::Function &function : module)
    if (function.getName().starts_with("llvm.x86.tdpbf16ps"))
      return names + ",amx-tile,amx-bf16";
  return names;
}

/// An lnn_abi_rows.
void DescriptorBuilder::buildRows(DictionaryAttr rows) {
  int64_t chunk = rows.getAs<IntegerAttr>("chunk").getInt();
  auto axes = [&](StringRef key) {
    SmallVector<llvm::Constant *> values;
    for (int64_t axis : rows.getAs<DenseI64ArrayAttr>(key).asArrayRef())
      values.push_back(i32(axis));
    return array(i32Type, values, "lnn_axes");
  };
  llvm::Constant *fields[] = {i32(sizeof(lnn_abi_rows)),
                              i32(chunk),
                              axes("inputs"),
                              axes("outputs"),
                              function(chunk ? "lnn_sizes_rows" : "lnn_sizes"),
                              function(chunk ? "lnn_run_rows" : "lnn_run")};
  exportGetter(
      LNN_ABI_ROWS_SYMBOL,
      global(llvm::ConstantStruct::getAnon(context, fields), "lnn_rows"));
}

void DescriptorBuilder::build() {
  StringRef name = attribute("lnn.name");
  if (name.empty())
    name = source.getName().value_or("model");
  auto count = [&](StringRef key) { return i32(list(key).size()); };
  llvm::Constant *fields[] = {
      i32(LNN_ABI_MAGIC),
      i32(source->hasAttr("lnn.threads") ? LNN_ABI_VERSION : 1),
      i32(sizeof(lnn_abi_model)),
      i32(0),
      text(name),
      text("cpu"),
      text(target.triple),
      text(target.cpu),
      text(required()),
      text(hash()),
      text("lnn " LNN_VERSION),
      count("lnn.inputs"),
      count("lnn.outputs"),
      count("lnn.symbols"),
      count("lnn.messages"),
      tensors("lnn.inputs"),
      tensors("lnn.outputs"),
      texts("lnn.symbols"),
      texts("lnn.messages"),
      function("lnn_sizes"),
      function("lnn_run")};
  llvm::Constant *model =
      global(llvm::ConstantStruct::getAnon(context, fields), "lnn_model");
  exportGetter(LNN_ABI_SYMBOL, model);
  if (source->hasAttr("lnn.regions"))
    buildProfile(list("lnn.regions"));
  if (auto rows = source->getAttrOfType<DictionaryAttr>("lnn.rows"))
    buildRows(rows);
}

} // namespace

void addDescriptor(ModuleOp source, llvm::Module &module,
                   const CpuTarget &target) {
  DescriptorBuilder(source, module, target).build();
}

} // namespace lnn
