//===- Import.cpp - read an ONNX model ------------------------------------===//
//
// Protobuf to onnx.node ops, one to one: constants checked against their claims before anything is allocated, model-local
// functions inlined, nodes sorted, subgraphs as regions; then types are inferred and states paired. Models are
// untrusted: whatever is wrong with one is a diagnostic.
//
//===----------------------------------------------------------------------===//
#include "lnn/Frontend/Onnx/Import.h"
#include "lnn/Frontend/Onnx/Analysis.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <google/protobuf/io/coded_stream.h>
#include <onnx/onnx_pb.h>
#include <set>

using namespace mlir;
using namespace lnn::onnx;
using lnn::onnx::NodeOp;

namespace pb = ::onnx;

static constexpr int64_t kFirstOpset = 13, kLastOpset = 28;
static constexpr unsigned kMaxDepth = 64;
static constexpr size_t kMaxNodes = 8u << 20; // behind inlining of functions

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

static Type elementType(MLIRContext *context, int32_t type) {
  auto integer = [&](unsigned width, IntegerType::SignednessSemantics s =
                                         IntegerType::Signless) -> Type {
    return IntegerType::get(context, width, s);
  };
  switch (type) {
  case pb::TensorProto::FLOAT:
    return Float32Type::get(context);
  case pb::TensorProto::DOUBLE:
    return Float64Type::get(context);
  case pb::TensorProto::FLOAT16:
    return Float16Type::get(context);
  case pb::TensorProto::BFLOAT16:
    return BFloat16Type::get(context);
  case pb::TensorProto::INT8:
    return integer(8);
  case pb::TensorProto::INT16:
    return integer(16);
  case pb::TensorProto::INT32:
    return integer(32);
  case pb::TensorProto::INT64:
    return integer(64);
  case pb::TensorProto::UINT8:
    return integer(8, IntegerType::Unsigned);
  case pb::TensorProto::UINT16:
    return integer(16, IntegerType::Unsigned);
  case pb::TensorProto::UINT32:
    return integer(32, IntegerType::Unsigned);
  case pb::TensorProto::UINT64:
    return integer(64, IntegerType::Unsigned);
  case pb::TensorProto::BOOL:
    return integer(1);
  default:
    return Type();
  }
}

static std::string typeName(int32_t type) {
  if (pb::TensorProto_DataType_IsValid(type))
    return pb::TensorProto_DataType_Name(pb::TensorProto_DataType(type));
  return "number " + std::to_string(type);
}

/// NumPy's name of an element type.
static StringRef numpyName(Type type) {
  if (isa<BFloat16Type>(type))
    return "bfloat16";
  if (auto f = dyn_cast<FloatType>(type))
    return f.getWidth() == 16 ? "float16" : f.getWidth() == 32 ? "float32" : "float64";
  auto i = cast<IntegerType>(type);
  bool isUnsigned = i.isUnsigned();
  switch (i.getWidth()) {
  case 1:
    return "bool";
  case 8:
    return isUnsigned ? "uint8" : "int8";
  case 16:
    return isUnsigned ? "uint16" : "int16";
  case 32:
    return isUnsigned ? "uint32" : "int32";
  default:
    return isUnsigned ? "uint64" : "int64";
  }
}

static size_t bytesOf(Type type) {
  return std::max(1u, type.getIntOrFloatBitWidth() / 8);
}

/// Names come from the model: made valid UTF-8 for locations and attributes.
static std::string clean(StringRef text) {
  return llvm::json::isUTF8(text) ? text.str() : llvm::json::fixUTF8(text);
}

//===----------------------------------------------------------------------===//
// The importer
//===----------------------------------------------------------------------===//

namespace {

using Attributes = llvm::StringMap<const pb::AttributeProto *>;

class Importer {
public:
  Importer(MLIRContext *context, const ImportOptions &options)
      : context(context), options(options), b(context) {}
  OwningOpRef<ModuleOp> run(StringRef bytes);

private:
  MLIRContext *context;
  const ImportOptions &options;
  OpBuilder b;
  pb::ModelProto model;
  Location modelLoc = UnknownLoc::get(context);
  llvm::StringMap<int64_t> opsets;
  std::map<std::pair<std::string, std::string>, const pb::FunctionProto *>
      functions;
  std::set<const pb::FunctionProto *> active; // being inlined
  std::vector<llvm::StringMap<Value>> scopes;
  const Attributes *functionAttributes = nullptr;
  unsigned depth = 0;
  size_t nodeCount = 0;
  Value none;
  llvm::StringMap<std::unique_ptr<llvm::MemoryBuffer>> externalFiles;

  LogicalResult error(const Twine &message, std::optional<Location> at = {}) {
    emitError(at ? *at : modelLoc) << message.str();
    return failure();
  }
  LogicalResult unsupported(const Twine &message,
                            std::optional<Location> at = {}) {
    return error("not supported: " + message, at);
  }
  Location locOf(const pb::NodeProto &node);
  static std::string describe(const pb::NodeProto &node);

  LogicalResult readOpsets();
  LogicalResult readFunctions();
  FailureOr<std::vector<char>> externalData(const pb::TensorProto &tensor,
                                            StringRef what, size_t expected);
  FailureOr<ElementsAttr> tensor(const pb::TensorProto &tensor,
                                 const Twine &what);
  FailureOr<Attribute> attribute(const pb::AttributeProto &attr,
                                 Location loc);
  FailureOr<Value> constantNode(const pb::NodeProto &node, Location loc);
  FailureOr<Value> lookup(StringRef name, const pb::NodeProto &node);
  LogicalResult define(StringRef name, Value value, Location loc);
  FailureOr<std::vector<int>> sorted(
      const google::protobuf::RepeatedPtrField<pb::NodeProto> &nodes,
      Location loc);
  LogicalResult initializers(const pb::GraphProto &graph);
  LogicalResult
  importNodes(const google::protobuf::RepeatedPtrField<pb::NodeProto> &nodes,
              const llvm::StringMap<int64_t> &opsets, Location loc);
  LogicalResult importNode(const pb::NodeProto &node,
                           const llvm::StringMap<int64_t> &opsets);
  LogicalResult inlineFunction(const pb::NodeProto &node,
                               const pb::FunctionProto &function);
  LogicalResult importSubgraph(const pb::GraphProto &graph, Region &region,
                               const llvm::StringMap<int64_t> &opsets,
                               Location loc);
  LogicalResult importMain(const pb::GraphProto &graph, ModuleOp module);
  FailureOr<RankedTensorType> inputType(const pb::ValueInfoProto &info,
                                        SmallVectorImpl<Attribute> &dims);
  LogicalResult finish(func::FuncOp function, const pb::GraphProto &graph,
                       ArrayRef<std::string> resultNames);
  LogicalResult pairStates(func::FuncOp function, Analysis &analysis,
                           ArrayRef<std::string> resultNames);
};
} // namespace

std::string Importer::describe(const pb::NodeProto &node) {
  std::string text = clean(node.op_type()) + " node";
  if (!node.name().empty())
    text += " '" + clean(node.name()) + "'";
  return text;
}

Location Importer::locOf(const pb::NodeProto &node) {
  std::string name = clean(node.name());
  if (name.empty() && node.output_size())
    name = clean(node.output(0));
  if (name.empty())
    name = clean(node.op_type());
  return NameLoc::get(b.getStringAttr(name.empty() ? "?" : name));
}

LogicalResult Importer::readOpsets() {
  for (const auto &import : model.opset_import()) {
    std::string domain =
        import.domain() == "ai.onnx" ? "" : clean(import.domain());
    opsets[domain] = import.version();
  }
  auto it = opsets.find("");
  if (it == opsets.end()) {
    if (opsets.empty() && functions.empty())
      return error("the model imports no opset (is it an ONNX model?)");
    return success();
  }
  if (it->second < kFirstOpset || it->second > kLastOpset)
    return unsupported("the model imports opset " + Twine(it->second) +
                       " of ai.onnx; opsets " + Twine(kFirstOpset) + " to " +
                       Twine(kLastOpset) +
                       " are known (onnx.version_converter converts)");
  return success();
}

LogicalResult Importer::readFunctions() {
  for (const auto &function : model.functions())
    functions[{function.domain() == "ai.onnx" ? "" : function.domain(),
               function.name()}] = &function;
  return success();
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

/// The tensor's bytes from a file beside the model. The path may not leave its folder.
FailureOr<std::vector<char>>
Importer::externalData(const pb::TensorProto &tensor, StringRef what,
                       size_t expected) {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
  for (const auto &entry : tensor.external_data()) {
    StringRef value = entry.value();
    if (entry.key() == "location")
      location = value.str();
    else if (entry.key() == "offset" && value.getAsInteger(10, offset))
      return error(what + ": its external data's offset is '" + clean(value) +
                   "'");
    else if (entry.key() == "length") {
      uint64_t n;
      if (value.getAsInteger(10, n))
        return error(what + ": its external data's length is '" +
                     clean(value) + "'");
      length = n;
    }
  }
  auto refuse = [&](const Twine &why) {
    return error(what + ": external data in '" + clean(location) + "' " + why);
  };
  if (location.empty() || StringRef(location).contains('\0') ||
      llvm::sys::path::is_absolute(location))
    return refuse("is refused: the path must be relative to the model's "
                  "folder");
  for (StringRef part : llvm::make_range(llvm::sys::path::begin(location),
                                         llvm::sys::path::end(location)))
    if (part == "..")
      return refuse("is refused: the path leaves the model's folder");
  if (options.baseDir.empty())
    return refuse("cannot be found: the model was not read from a file; give "
                  "its folder");
  llvm::SmallString<256> path(options.baseDir), real, base;
  llvm::sys::path::append(path, location);
  if (llvm::sys::fs::real_path(path, real) ||
      llvm::sys::fs::real_path(options.baseDir, base))
    return refuse("cannot be read: no such file");
  // A link may not leave the folder either.
  StringRef rest = real;
  if (!rest.consume_front(base) || !rest.starts_with("/"))
    return refuse("is refused: it lies outside of the model's folder");
  std::unique_ptr<llvm::MemoryBuffer> &file = externalFiles[real];
  if (!file) {
    auto opened = llvm::MemoryBuffer::getFile(real, /*IsText=*/false,
                                              /*RequiresNullTerminator=*/false);
    if (!opened)
      return refuse("cannot be read: " + opened.getError().message());
    file = std::move(*opened);
  }
  uint64_t size = length.value_or(expected);
  if (size != expected)
    return refuse("has " + Twine(size) + " bytes, " + Twine(expected) +
                  " were expected");
  if (offset > file->getBufferSize() || size > file->getBufferSize() - offset)
    return refuse("ends at byte " + Twine(file->getBufferSize()) + ", " +
                  Twine(size) + " bytes at " + Twine(offset) +
                  " were expected");
  const char *data = file->getBufferStart() + offset;
  return std::vector<char>(data, data + size);
}

template <typename T, typename List>
static std::vector<char> narrowed(const List &list) {
  std::vector<char> bytes(list.size() * sizeof(T));
  size_t at = 0;
  for (auto v : list) {
    T value = T(v);
    std::memcpy(bytes.data() + at, &value, sizeof(T));
    at += sizeof(T);
  }
  return bytes;
}

/// The bytes of the typed field that holds this element type.
static std::vector<char> typedField(const pb::TensorProto &t) {
  switch (t.data_type()) {
  case pb::TensorProto::FLOAT:
    return narrowed<float>(t.float_data());
  case pb::TensorProto::DOUBLE:
    return narrowed<double>(t.double_data());
  case pb::TensorProto::INT64:
    return narrowed<int64_t>(t.int64_data());
  case pb::TensorProto::UINT64:
    return narrowed<uint64_t>(t.uint64_data());
  case pb::TensorProto::UINT32:
    return narrowed<uint32_t>(t.uint64_data());
  case pb::TensorProto::INT32:
    return narrowed<int32_t>(t.int32_data());
  case pb::TensorProto::INT16:
  case pb::TensorProto::UINT16:
  case pb::TensorProto::FLOAT16:
  case pb::TensorProto::BFLOAT16:
    return narrowed<uint16_t>(t.int32_data());
  default:
    return narrowed<uint8_t>(t.int32_data());
  }
}

FailureOr<ElementsAttr> Importer::tensor(const pb::TensorProto &t,
                                         const Twine &what) {
  std::string name = what.str();
  Type element = elementType(context, t.data_type());
  if (!element)
    return unsupported(name + " has element type " + typeName(t.data_type()));
  SmallVector<int64_t> shape;
  int64_t count = 1;
  for (int64_t d : t.dims()) {
    if (d < 0)
      return error(name + " has a negative dimension, " + Twine(d));
    if (llvm::MulOverflow(count, d, count))
      return error(name + " claims more elements than can be counted");
    shape.push_back(d);
  }
  if (t.has_segment())
    return unsupported(name + " is split into segments");
  size_t width = bytesOf(element), expected;
  if (count > int64_t(1) << 40 || llvm::MulOverflow<int64_t>(count, width, count))
    return error(name + " claims 2^" + Twine(llvm::Log2_64(count)) +
                 " elements or more; the model cannot hold them");
  expected = count;
  auto type = RankedTensorType::get(shape, element);
  std::vector<char> bytes;
  ArrayRef<char> data;
  if (t.data_location() == pb::TensorProto::EXTERNAL) {
    auto external = externalData(t, name, expected);
    if (failed(external))
      return failure();
    bytes = std::move(*external);
    data = bytes;
  } else if (t.has_raw_data()) {
    data = ArrayRef<char>(t.raw_data().data(), t.raw_data().size());
  } else {
    bytes = typedField(t);
    data = bytes;
  }
  if (data.size() != expected)
    return error(name + " holds " + Twine(data.size()) + " bytes, its type " +
                 "needs " + Twine(expected));
  if (element.isInteger(1)) {
    SmallVector<bool> flags;
    for (char c : data)
      flags.push_back(c != 0);
    return cast<ElementsAttr>(
        DenseElementsAttr::get(type, ArrayRef<bool>(flags)));
  }
  if (type.getNumElements() == 0)
    return cast<ElementsAttr>(
        DenseElementsAttr::getFromRawBuffer(type, ArrayRef<char>()));
  return cast<ElementsAttr>(DenseElementsAttr::getFromRawBuffer(type, data));
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

FailureOr<Attribute> Importer::attribute(const pb::AttributeProto &attr,
                                         Location loc) {
  StringRef name = attr.name();
  switch (attr.type()) {
  case pb::AttributeProto::FLOAT:
    return Attribute(b.getF32FloatAttr(attr.f()));
  case pb::AttributeProto::INT:
    return Attribute(b.getI64IntegerAttr(attr.i()));
  case pb::AttributeProto::STRING:
    return Attribute(b.getStringAttr(clean(attr.s())));
  case pb::AttributeProto::TENSOR: {
    auto value = tensor(attr.t(), "attribute '" + clean(name) + "'");
    if (failed(value))
      return failure();
    return Attribute(*value);
  }
  case pb::AttributeProto::FLOATS:
    return Attribute(b.getDenseF32ArrayAttr(
        SmallVector<float>(attr.floats().begin(), attr.floats().end())));
  case pb::AttributeProto::INTS:
    return Attribute(b.getDenseI64ArrayAttr(
        SmallVector<int64_t>(attr.ints().begin(), attr.ints().end())));
  case pb::AttributeProto::STRINGS: {
    SmallVector<Attribute> texts;
    for (const std::string &s : attr.strings())
      texts.push_back(b.getStringAttr(clean(s)));
    return Attribute(b.getArrayAttr(texts));
  }
  default:
    return unsupported("attribute '" + clean(name) + "' is of type number " +
                           Twine(int(attr.type())),
                       loc);
  }
}

/// A Constant node's value.
FailureOr<Value> Importer::constantNode(const pb::NodeProto &node,
                                        Location loc) {
  if (node.attribute_size() != 1)
    return error(describe(node) + " has " + Twine(node.attribute_size()) +
                     " attributes, one value was expected",
                 loc);
  const pb::AttributeProto *attr = &node.attribute(0);
  if (!attr->ref_attr_name().empty()) {
    const pb::AttributeProto *given =
        functionAttributes ? functionAttributes->lookup(attr->ref_attr_name())
                           : nullptr;
    if (!given)
      return error(describe(node) + " needs the function's attribute '" +
                       clean(attr->ref_attr_name()) + "', which is not given",
                   loc);
    attr = given;
  }
  ElementsAttr value;
  Type i64 = b.getI64Type(), f32 = b.getF32Type();
  int64_t ints = attr->ints_size(), floats = attr->floats_size();
  switch (attr->type()) {
  case pb::AttributeProto::TENSOR: {
    auto read = tensor(attr->t(), describe(node));
    if (failed(read))
      return failure();
    value = *read;
    break;
  }
  case pb::AttributeProto::INT:
    value = DenseElementsAttr::get(RankedTensorType::get({}, i64),
                                   ArrayRef<int64_t>{attr->i()});
    break;
  case pb::AttributeProto::FLOAT:
    value = DenseElementsAttr::get(RankedTensorType::get({}, f32),
                                   ArrayRef<float>{attr->f()});
    break;
  case pb::AttributeProto::INTS:
    value = DenseElementsAttr::get(
        RankedTensorType::get({ints}, i64),
        ArrayRef<int64_t>(attr->ints().data(), ints));
    break;
  case pb::AttributeProto::FLOATS:
    value = DenseElementsAttr::get(
        RankedTensorType::get({floats}, f32),
        ArrayRef<float>(attr->floats().data(), floats));
    break;
  default:
    return unsupported(describe(node) + " holds '" + clean(attr->name()) +
                           "' (tensors, integers and floats are known)",
                       loc);
  }
  return arith::ConstantOp::create(b, loc, cast<TypedAttr>(value)).getResult();
}

//===----------------------------------------------------------------------===//
// Values and order
//===----------------------------------------------------------------------===//

FailureOr<Value> Importer::lookup(StringRef name, const pb::NodeProto &node) {
  if (name.empty())
    return none;
  for (auto &scope : llvm::reverse(scopes))
    if (auto it = scope.find(name); it != scope.end()) {
      if (it->second)
        return it->second;
      break; // a function's omitted input
    }
  for (auto &scope : llvm::reverse(scopes))
    if (scope.count(name))
      return none;
  return error(describe(node) + " reads '" + clean(name) +
                   "', which no node, input or initializer gives",
               locOf(node));
}

LogicalResult Importer::define(StringRef name, Value value, Location loc) {
  if (name.empty())
    return success();
  if (!scopes.back().try_emplace(name, value).second)
    return error("the value '" + clean(name) +
                     "' is given twice; a graph gives each value once",
                 loc);
  return success();
}

/// Calls f with every name that the node reads, subgraphs' free names included.
static void readNames(const pb::NodeProto &node, unsigned depth,
                      llvm::function_ref<void(StringRef)> f) {
  for (const std::string &name : node.input())
    if (!name.empty())
      f(name);
  if (depth > kMaxDepth)
    return;
  for (const auto &attr : node.attribute()) {
    if (attr.type() != pb::AttributeProto::GRAPH)
      continue;
    llvm::StringSet<> inner;
    for (const auto &input : attr.g().input())
      inner.insert(input.name());
    for (const auto &init : attr.g().initializer())
      inner.insert(init.name());
    for (const auto &n : attr.g().node())
      for (const auto &out : n.output())
        inner.insert(out);
    auto free = [&](StringRef name) {
      if (!inner.contains(name))
        f(name);
    };
    for (const auto &n : attr.g().node())
      readNames(n, depth + 1, free);
    for (const auto &out : attr.g().output())
      free(out.name());
  }
}

/// The nodes' order: as they stand where that is sorted, else sorted.
FailureOr<std::vector<int>> Importer::sorted(
    const google::protobuf::RepeatedPtrField<pb::NodeProto> &nodes,
    Location loc) {
  int n = nodes.size();
  llvm::StringMap<int> producer;
  for (int i = 0; i < n; ++i)
    for (const std::string &out : nodes[i].output())
      if (!out.empty())
        producer.try_emplace(out, i);
  std::vector<std::vector<int>> readers(n);
  std::vector<int> waiting(n, 0), order;
  bool inOrder = true;
  for (int i = 0; i < n; ++i) {
    llvm::StringSet<> seen;
    readNames(nodes[i], depth, [&](StringRef name) {
      auto it = producer.find(name);
      if (it == producer.end() || !seen.insert(name).second)
        return;
      readers[it->second].push_back(i);
      ++waiting[i];
      inOrder &= it->second < i;
    });
  }
  order.reserve(n);
  if (inOrder) {
    for (int i = 0; i < n; ++i)
      order.push_back(i);
    return order;
  }
  std::set<int> ready;
  for (int i = 0; i < n; ++i)
    if (!waiting[i])
      ready.insert(i);
  while (!ready.empty()) {
    int i = *ready.begin();
    ready.erase(ready.begin());
    order.push_back(i);
    for (int r : readers[i])
      if (--waiting[r] == 0)
        ready.insert(r);
  }
  if (int(order.size()) == n)
    return order;
  std::string names;
  int shown = 0;
  for (int i = 0; i < n; ++i)
    if (waiting[i] > 0 && shown++ < 4)
      names += (names.empty() ? "" : ", ") + describe(nodes[i]);
  return error("the graph has a cycle through " + names +
                   (shown > 4 ? ", ..." : ""),
               loc);
}

LogicalResult Importer::initializers(const pb::GraphProto &graph) {
  bool ok = true;
  if (graph.sparse_initializer_size())
    ok = succeeded(unsupported("sparse initializers"));
  for (const auto &init : graph.initializer()) {
    auto value = tensor(init, "initializer '" + clean(init.name()) + "'");
    if (failed(value)) {
      ok = false;
      continue;
    }
    Location loc = NameLoc::get(b.getStringAttr(clean(init.name())));
    Value constant = arith::ConstantOp::create(b, loc, cast<TypedAttr>(*value));
    ok &= succeeded(define(init.name(), constant, loc));
  }
  return success(ok);
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

LogicalResult Importer::importNodes(
    const google::protobuf::RepeatedPtrField<pb::NodeProto> &nodes,
    const llvm::StringMap<int64_t> &opsets, Location loc) {
  auto order = sorted(nodes, loc);
  if (failed(order))
    return failure();
  bool ok = true;
  for (int i : *order) {
    // One missing value makes every reader fail: the first report says it.
    if (failed(importNode(nodes[i], opsets))) {
      ok = false;
      for (const std::string &out : nodes[i].output())
        if (!out.empty())
          return failure();
    }
  }
  return success(ok);
}

LogicalResult
Importer::importNode(const pb::NodeProto &node,
                     const llvm::StringMap<int64_t> &opsets) {
  Location loc = locOf(node);
  if (++nodeCount > kMaxNodes)
    return error("the model has more than " + Twine(kMaxNodes) +
                 " nodes once its functions are inlined");
  std::string domain = node.domain() == "ai.onnx" ? "" : node.domain();
  if (domain.empty() && node.op_type() == "Constant") {
    if (node.output_size() != 1)
      return error(describe(node) + " must have one output", loc);
    auto value = constantNode(node, loc);
    if (failed(value))
      return failure();
    return define(node.output(0), *value, loc);
  }
  if (auto it = functions.find({domain, node.op_type()});
      it != functions.end())
    return inlineFunction(node, *it->second);
  OperationState state(loc, NodeOp::getOperationName());
  for (const std::string &name : node.input()) {
    auto value = lookup(name, node);
    if (failed(value))
      return failure();
    state.addOperands(*value);
  }
  SmallVector<NamedAttribute> attrs;
  SmallVector<Attribute> regionNames;
  SmallVector<std::pair<const pb::GraphProto *, StringRef>> bodies;
  llvm::StringSet<> seen;
  for (const auto &given : node.attribute()) {
    const pb::AttributeProto *attr = &given;
    if (!attr->ref_attr_name().empty()) {
      attr = functionAttributes
                 ? functionAttributes->lookup(attr->ref_attr_name())
                 : nullptr;
      if (!attr)
        continue; // the function's caller leaves it to the default
    }
    std::string name = clean(given.name());
    if (name.empty() || !seen.insert(name).second)
      return error(describe(node) + " has " +
                       (name.empty() ? "an attribute without a name"
                                     : "the attribute '" + name + "' twice"),
                   loc);
    if (attr->type() == pb::AttributeProto::GRAPH) {
      bodies.push_back({&attr->g(), given.name()});
      continue;
    }
    auto value = attribute(*attr, loc);
    if (failed(value))
      return failure();
    attrs.push_back(b.getNamedAttr(name, *value));
  }
  llvm::sort(bodies,
             [](auto &l, auto &r) { return l.second < r.second; });
  auto opset = opsets.find(domain);
  if (opset == opsets.end())
    return error(describe(node) + " is of domain '" + clean(domain) +
                     "', which the model does not import",
                 loc);
  state.addAttribute("op_type", b.getStringAttr(clean(node.op_type())));
  if (!domain.empty())
    state.addAttribute("domain", b.getStringAttr(clean(domain)));
  state.addAttribute("opset", b.getI64IntegerAttr(opset->second));
  state.addAttribute("node_attrs", b.getDictionaryAttr(attrs));
  for (auto &[graph, name] : bodies) {
    regionNames.push_back(b.getStringAttr(clean(name)));
    auto region = std::make_unique<Region>();
    if (failed(importSubgraph(*graph, *region, opsets, loc)))
      return failure();
    state.addRegion(std::move(region));
  }
  if (!regionNames.empty())
    state.addAttribute("region_names", b.getArrayAttr(regionNames));
  // Types are found later; what an omitted output has says so at once.
  Type later = UnrankedTensorType::get(b.getF32Type());
  for (const std::string &name : node.output())
    state.addTypes(name.empty() ? Type(b.getNoneType()) : later);
  Operation *op = b.create(state);
  for (auto [name, result] : llvm::zip(node.output(), op->getResults()))
    if (failed(define(name, result, loc)))
      return failure();
  return success();
}

LogicalResult Importer::inlineFunction(const pb::NodeProto &node,
                                       const pb::FunctionProto &function) {
  Location loc = locOf(node);
  if (!active.insert(&function).second || depth >= kMaxDepth)
    return error(describe(node) + ": function '" + clean(function.name()) +
                     "' calls itself, or functions are nested too deeply",
                 loc);
  ++depth;
  auto leave = llvm::make_scope_exit([&] {
    --depth;
    active.erase(&function);
  });
  if (node.input_size() > function.input_size() ||
      node.output_size() > function.output_size())
    return error(describe(node) + " has " + Twine(node.input_size()) +
                     " inputs and " + Twine(node.output_size()) +
                     " outputs; function '" + clean(function.name()) +
                     "' has " + Twine(function.input_size()) + " and " +
                     Twine(function.output_size()),
                 loc);
  llvm::StringMap<Value> inputs;
  for (int i = 0; i < function.input_size(); ++i) {
    Value value = none;
    if (i < node.input_size()) {
      auto found = lookup(node.input(i), node);
      if (failed(found))
        return failure();
      value = *found;
    }
    inputs[function.input(i)] = value;
  }
  Attributes attributes;
  for (const auto &attr : node.attribute()) {
    const pb::AttributeProto *given = &attr;
    if (!attr.ref_attr_name().empty() && functionAttributes)
      given = functionAttributes->lookup(attr.ref_attr_name());
    if (given)
      attributes[attr.name()] = given;
  }
  llvm::StringMap<int64_t> functionOpsets;
  for (const auto &import : function.opset_import())
    functionOpsets[import.domain() == "ai.onnx" ? "" : import.domain()] =
        import.version();
  // A function sees its inputs and nothing else.
  std::vector<llvm::StringMap<Value>> outer;
  outer.swap(scopes);
  scopes.push_back(std::move(inputs));
  const Attributes *outerAttributes = functionAttributes;
  functionAttributes = &attributes;
  LogicalResult done = importNodes(function.node(), functionOpsets, loc);
  functionAttributes = outerAttributes;
  llvm::StringMap<Value> inner = std::move(scopes.back());
  scopes.swap(outer);
  if (failed(done))
    return failure();
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty())
      continue;
    Value value = inner.lookup(function.output(i));
    if (!value)
      return error("function '" + clean(function.name()) +
                       "' gives no value for its output '" +
                       clean(function.output(i)) + "'",
                   loc);
    if (failed(define(node.output(i), value, loc)))
      return failure();
  }
  return success();
}

LogicalResult
Importer::importSubgraph(const pb::GraphProto &graph, Region &region,
                         const llvm::StringMap<int64_t> &opsets,
                         Location loc) {
  if (++depth > kMaxDepth)
    return error("subgraphs are nested more than " + Twine(kMaxDepth) +
                     " deep",
                 loc);
  auto leave = llvm::make_scope_exit([&] { --depth; });
  OpBuilder::InsertionGuard guard(b);
  Block *block = b.createBlock(&region);
  scopes.emplace_back();
  auto pop = llvm::make_scope_exit([&] { scopes.pop_back(); });
  Type later = UnrankedTensorType::get(b.getF32Type());
  for (const auto &input : graph.input())
    if (failed(define(input.name(), block->addArgument(later, loc), loc)))
      return failure();
  if (failed(initializers(graph)) ||
      failed(importNodes(graph.node(), opsets, loc)))
    return failure();
  SmallVector<Value> results;
  for (const auto &output : graph.output()) {
    pb::NodeProto reader;
    reader.set_op_type("subgraph output of");
    reader.set_name(output.name());
    auto value = lookup(output.name(), reader);
    if (failed(value))
      return failure();
    results.push_back(*value);
  }
  lnn::onnx::YieldOp::create(b, loc, results);
  return success();
}

//===----------------------------------------------------------------------===//
// The graph
//===----------------------------------------------------------------------===//

FailureOr<RankedTensorType>
Importer::inputType(const pb::ValueInfoProto &info,
                    SmallVectorImpl<Attribute> &dims) {
  std::string name = clean(info.name());
  if (!info.has_type() || !info.type().has_tensor_type())
    return unsupported("input '" + name +
                       "' is not a tensor (sequences, optionals and maps are "
                       "not known)");
  const auto &tensor = info.type().tensor_type();
  Type element = elementType(context, tensor.elem_type());
  if (!element)
    return unsupported("input '" + name + "' has element type " +
                       typeName(tensor.elem_type()));
  if (!tensor.has_shape())
    return unsupported("input '" + name +
                       "' has no shape; its rank must be known");
  SmallVector<int64_t> shape;
  for (int k = 0; k < tensor.shape().dim_size(); ++k) {
    const auto &dim = tensor.shape().dim(k);
    if (dim.has_dim_value()) {
      if (dim.dim_value() < 0 || dim.dim_value() > (int64_t(1) << 40))
        return error("input '" + name + "' has the size " +
                     Twine(dim.dim_value()) + " in dimension " + Twine(k));
      shape.push_back(dim.dim_value());
      dims.push_back(b.getI64IntegerAttr(dim.dim_value()));
      continue;
    }
    std::string symbol = clean(dim.dim_param());
    if (symbol.empty())
      symbol = name + "_dim_" + std::to_string(k);
    shape.push_back(ShapedType::kDynamic);
    dims.push_back(b.getStringAttr(symbol));
  }
  return RankedTensorType::get(shape, element);
}

static bool isTimeName(StringRef name) {
  static const llvm::StringSet<> names = {
      "dt",      "ts",         "timespan", "timespans",  "time_span",
      "delta_t", "time_delta", "elapsed",  "elapsed_time", "time_spans"};
  return names.contains(name.lower());
}

LogicalResult Importer::importMain(const pb::GraphProto &graph,
                                   ModuleOp module) {
  llvm::StringSet<> initialized;
  for (const auto &init : graph.initializer())
    initialized.insert(init.name());
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> argAttrs;
  SmallVector<std::string> names;
  bool ok = true;
  for (const auto &input : graph.input()) {
    if (initialized.contains(input.name()))
      continue; // a default that nobody is asked for: a constant
    SmallVector<Attribute> dims;
    auto type = inputType(input, dims);
    if (failed(type)) {
      ok = false;
      continue;
    }
    std::string name = clean(input.name());
    bool isTime = isTimeName(name) && isa<FloatType>(type->getElementType());
    types.push_back(*type);
    names.push_back(input.name());
    argAttrs.push_back(b.getDictionaryAttr(
        {b.getNamedAttr("lnn.name", b.getStringAttr(name)),
         b.getNamedAttr("lnn.role", b.getStringAttr(isTime ? "dt" : "input")),
         b.getNamedAttr("lnn.dims", b.getArrayAttr(dims)),
         b.getNamedAttr("lnn.dtype", b.getStringAttr(numpyName(
                                         type->getElementType())))}));
  }
  if (!ok)
    return failure();
  if (graph.output_size() == 0)
    return error("the graph has no output");
  b.setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(
      b, modelLoc, "main", b.getFunctionType(types, {}));
  for (auto [i, attrs] : llvm::enumerate(argAttrs))
    function.setArgAttrs(i, attrs);
  Block *block = function.addEntryBlock();
  b.setInsertionPointToStart(block);
  none = lnn::onnx::NoneOp::create(b, modelLoc, b.getNoneType());
  scopes.emplace_back();
  for (auto [name, argument] : llvm::zip(names, block->getArguments()))
    if (failed(define(name, argument, modelLoc)))
      return failure();
  if (failed(initializers(graph)) ||
      failed(importNodes(graph.node(), opsets, modelLoc)))
    return failure();
  SmallVector<Value> results;
  SmallVector<std::string> resultNames;
  llvm::StringSet<> seen;
  for (const auto &output : graph.output()) {
    Value value = scopes.back().lookup(output.name());
    if (!value || isa<NoneType>(value.getType())) {
      ok = succeeded(error("the graph's output '" + clean(output.name()) +
                           "' is given by no node, input or initializer"));
      continue;
    }
    if (!seen.insert(output.name()).second)
      return error("the graph's output '" + clean(output.name()) +
                   "' is listed twice");
    results.push_back(value);
    resultNames.push_back(clean(output.name()));
  }
  if (!ok)
    return failure();
  func::ReturnOp::create(b, modelLoc, results);
  function.setType(b.getFunctionType(
      types, SmallVector<Type>(ValueRange(results).getTypes())));
  // What no output needs goes, before anything is said about it.
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(block->without_terminator())))
    if (op.use_empty())
      op.erase();
  return finish(function, graph, resultNames);
}

/// Infers types, names results' sizes, pairs states.
LogicalResult Importer::finish(func::FuncOp function,
                               const pb::GraphProto &graph,
                               ArrayRef<std::string> resultNames) {
  Analysis analysis;
  if (failed(analysis.run(function)))
    return failure();
  Operation *terminator = function.getBody().front().getTerminator();
  SmallVector<Type> types(terminator->getOperandTypes());
  function.setType(b.getFunctionType(function.getArgumentTypes(), types));
  for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
    const ValueInfo &info = analysis.info(value);
    if (!info.present())
      return error("the type of output '" + resultNames[i] +
                   "' cannot be found");
    SmallVector<Attribute> dims;
    for (Dim d : info.dims)
      dims.push_back(d.isConst()
                         ? Attribute(b.getI64IntegerAttr(d.value()))
                         : Attribute(b.getStringAttr(d.str())));
    function.setResultAttr(i, "lnn.name", b.getStringAttr(resultNames[i]));
    function.setResultAttr(i, "lnn.role", b.getStringAttr("output"));
    function.setResultAttr(i, "lnn.dims", b.getArrayAttr(dims));
    function.setResultAttr(
        i, "lnn.dtype", b.getStringAttr(numpyName(info.elementType)));
  }
  return pairStates(function, analysis, resultNames);
}

/// The names that an output which replaces the state `input` may have, best first.
static SmallVector<std::string> successors(StringRef input) {
  SmallVector<std::string> names;
  names.push_back((input + "_next").str());
  if (input.ends_with("_in"))
    names.push_back((input.drop_back(3) + "_out").str());
  if (input.ends_with("0"))
    names.push_back((input.drop_back() + "n").str());
  names.push_back((input + "_out").str());
  names.push_back((input + "N").str());
  names.push_back((input + "n").str());
  if (size_t at = input.find("past"); at != StringRef::npos)
    names.push_back(
        (input.take_front(at) + "present" + input.drop_front(at + 4)).str());
  return names;
}

LogicalResult Importer::pairStates(func::FuncOp function, Analysis &analysis,
                                   ArrayRef<std::string> resultNames) {
  Operation *terminator = function.getBody().front().getTerminator();
  std::set<unsigned> taken;
  auto argumentName = [&](unsigned i) {
    return function.getArgAttrOfType<StringAttr>(i, "lnn.name").getValue();
  };
  auto same = [&](unsigned argument, unsigned result) {
    const ValueInfo &a = analysis.info(function.getArgument(argument)),
                    &r = analysis.info(terminator->getOperand(result));
    return a.elementType == r.elementType && a.dims == r.dims;
  };
  auto pair = [&](unsigned argument, unsigned result) {
    taken.insert(result);
    function.setArgAttr(argument, "lnn.role", b.getStringAttr("state"));
    function.setArgAttr(argument, "lnn.next",
                        b.getStringAttr(resultNames[result]));
    function.setResultAttr(result, "lnn.role", b.getStringAttr("state"));
    function.setResultAttr(result, "lnn.prev",
                           b.getStringAttr(argumentName(argument)));
  };
  std::set<unsigned> paired;
  for (const auto &[in, out] : options.states) {
    std::optional<unsigned> argument, result;
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      if (argumentName(i) == in)
        argument = i;
    for (auto [i, name] : llvm::enumerate(resultNames))
      if (name == out)
        result = i;
    if (!argument)
      return error("state '" + in + ":" + out + "': the model has no input '" +
                   in + "'");
    if (!result)
      return error("state '" + in + ":" + out + "': the model has no output '" +
                   out + "'");
    if (!same(*argument, *result))
      return error("state '" + in + ":" + out + "': the input is " +
                   analysis.info(function.getArgument(*argument)).str() +
                   " and the output " +
                   analysis.info(terminator->getOperand(*result)).str() +
                   "; they must be equal");
    if (taken.count(*result) || !paired.insert(*argument).second)
      return error("state '" + in + ":" + out + "' is given twice");
    pair(*argument, *result);
  }
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    if (paired.count(i) ||
        function.getArgAttrOfType<StringAttr>(i, "lnn.role") == "dt")
      continue;
    bool found = false;
    for (const std::string &name : successors(argumentName(i))) {
      for (auto [k, result] : llvm::enumerate(resultNames))
        if (!found && result == name && !taken.count(k) && same(i, k)) {
          pair(i, k);
          found = true;
        }
    }
  }
  return success();
}

OwningOpRef<ModuleOp> Importer::run(StringRef bytes) {
  modelLoc = NameLoc::get(
      b.getStringAttr(options.name.empty() ? "model" : options.name));
  if (bytes.size() > size_t(INT32_MAX)) {
    (void)error("the file has " + Twine(bytes.size()) +
                " bytes; a protobuf holds 2 GiB at most (weights belong in "
                "external data)");
    return nullptr;
  }
  google::protobuf::io::CodedInputStream stream(
      reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size());
  stream.SetRecursionLimit(256);
  stream.SetTotalBytesLimit(INT32_MAX);
  if (bytes.empty() || !model.ParseFromCodedStream(&stream) ||
      !stream.ConsumedEntireMessage()) {
    (void)error("this is not an ONNX model: the protobuf cannot be read (is "
                "the file truncated?)");
    return nullptr;
  }
  if (!model.has_graph()) {
    (void)error("this is not an ONNX model: it has no graph");
    return nullptr;
  }
  OwningOpRef<ModuleOp> module = ModuleOp::create(modelLoc);
  if (failed(readFunctions()) || failed(readOpsets()) ||
      failed(importMain(model.graph(), *module)) ||
      failed(verify(*module)))
    return nullptr;
  if (!options.name.empty())
    (*module)->setAttr("lnn.model", b.getStringAttr(options.name));
  return module;
}

OwningOpRef<ModuleOp> lnn::onnx::importModel(StringRef bytes,
                                             MLIRContext *context,
                                             const ImportOptions &options,
                                             bool *unsupported) {
  context->loadDialect<OnnxDialect, arith::ArithDialect, func::FuncDialect>();
  unsigned errors = 0, notSupported = 0;
  ScopedDiagnosticHandler handler(context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
      ++errors;
      notSupported += StringRef(diagnostic.str()).contains("not supported:");
    }
    return failure(); // on to the next handler
  });
  google::protobuf::SetLogHandler(nullptr); // its complaints go nowhere
  OwningOpRef<ModuleOp> module = Importer(context, options).run(bytes);
  if (unsupported)
    *unsupported = errors && errors == notSupported;
  return errors ? nullptr : std::move(module);
}

bool lnn::onnx::looksLikeOnnx(StringRef bytes) {
  // Text is printable; a protobuf begins with a tag of a low field (ir_version is 0x08).
  if (bytes.empty())
    return true;
  return bytes.take_front(256).contains('\0') || bytes[0] == '\x08' ||
         static_cast<unsigned char>(bytes[0]) < 9;
}
