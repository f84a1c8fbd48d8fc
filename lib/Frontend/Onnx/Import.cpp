//===- Import.cpp - read an ONNX model ------------------------------------===//
//
// Protobuf to onnx.node ops, one to one: model-local functions inlined, nodes
// sorted, subgraphs as regions; then types are inferred and states paired.
// Models are untrusted: whatever is wrong with one is a diagnostic, and what
// can be said behind a mistake is said too.
//
//===----------------------------------------------------------------------===//
#include "lnn/Frontend/Onnx/Import.h"
#include "TensorReader.h"
#include "lnn/Frontend/Onnx/Analysis.h"
#include "lnn/Frontend/Onnx/States.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSet.h"
#include <cmath>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/unknown_field_set.h>
#include <list>
#include <set>

using namespace mlir;
using namespace lnn::onnx;
using lnn::onnx::NodeOp;

namespace pb = ::onnx;

static constexpr int64_t kFirstOpset = 6, kLastOpset = 28;
static constexpr unsigned kMaxDepth = 64;
// Functions that call functions grow without bound: nodes, and bytes of nodes,
// that inlining may add.
static constexpr size_t kMaxInlinedNodes = 1u << 20;
static constexpr size_t kMaxInlinedBytes = size_t(512) << 20;
static constexpr unsigned kMaxErrors = 100;

using Nodes = google::protobuf::RepeatedPtrField<pb::NodeProto>;
using Opsets = llvm::StringMap<int64_t>;
using Attributes = llvm::StringMap<pb::AttributeProto *>;

//===----------------------------------------------------------------------===//
// What the installed protobuf header may be too old for
//===----------------------------------------------------------------------===//

/// The strings of a field that the generated class does not know.
template <typename Message>
static std::vector<std::string> unknownStrings(const Message &message,
                                               int field) {
  std::vector<std::string> texts;
  const auto &unknown = message.unknown_fields();
  for (int i = 0; i < unknown.field_count(); ++i)
    if (unknown.field(i).number() == field &&
        unknown.field(i).type() ==
            google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      texts.push_back(std::string(unknown.field(i).length_delimited()));
  return texts;
}

/// Which of several functions of one name is meant (IR version 10).
template <typename Message>
static std::string overloadOf(const Message &message, int field) {
  if constexpr (requires { message.overload(); })
    return std::string(message.overload());
  std::vector<std::string> texts = unknownStrings(message, field);
  return texts.empty() ? "" : texts.back();
}

/// A function's attributes that have defaults (IR version 9).
template <typename Function>
static std::list<pb::AttributeProto> defaultsOf(const Function &function) {
  std::list<pb::AttributeProto> result;
  if constexpr (requires { function.attribute_proto(); }) {
    for (const auto &attr : function.attribute_proto())
      result.push_back(attr);
    return result;
  }
  for (const std::string &bytes : unknownStrings(function, 11)) {
    result.emplace_back();
    if (!result.back().ParseFromString(bytes))
      result.pop_back();
  }
  return result;
}

/// The attribute's type; models of the first IR versions leave it out.
static int typeOf(const pb::AttributeProto &attr) {
  if (attr.type() != pb::AttributeProto::UNDEFINED)
    return attr.type();
  if (attr.has_f())
    return pb::AttributeProto::FLOAT;
  if (attr.has_i())
    return pb::AttributeProto::INT;
  if (attr.has_s())
    return pb::AttributeProto::STRING;
  if (attr.has_t())
    return pb::AttributeProto::TENSOR;
  if (attr.has_g())
    return pb::AttributeProto::GRAPH;
  if (attr.floats_size())
    return pb::AttributeProto::FLOATS;
  if (attr.ints_size())
    return pb::AttributeProto::INTS;
  if (attr.strings_size())
    return pb::AttributeProto::STRINGS;
  return pb::AttributeProto::UNDEFINED;
}

static std::string domainOf(StringRef domain) {
  return domain == "ai.onnx" ? "" : clean(domain);
}

/// NumPy's name of an element type.
static StringRef numpyName(Type type) {
  if (isa<BFloat16Type>(type))
    return "bfloat16";
  if (auto f = dyn_cast<FloatType>(type))
    return f.getWidth() == 16   ? "float16"
           : f.getWidth() == 32 ? "float32"
                                : "float64";
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

//===----------------------------------------------------------------------===//
// The importer
//===----------------------------------------------------------------------===//

namespace {

/// The names that one graph or function gives.
struct Scope {
  explicit Scope(Block *block) : block(block) {}
  Block *block; ///< constants stand at its head
  Operation *lastConstant = nullptr;
  llvm::StringMap<Value> values;
  /// Initializers that nobody has asked for yet.
  llvm::StringMap<pb::TensorProto *> tensors;
  llvm::StringMap<pb::SparseTensorProto *> sparse;
};

class Importer {
public:
  Importer(MLIRContext *context, const ImportOptions &options)
      : context(context), options(options), b(context),
        reader(context, options.baseDir) {}
  OwningOpRef<ModuleOp> run(StringRef bytes);

private:
  MLIRContext *context;
  const ImportOptions &options;
  llvm::StringSet<> symbols;            ///< dynamic sizes of the inputs
  llvm::StringMap<int64_t> frozenSizes; ///< those that frozen values have
  OpBuilder b;
  TensorReader reader;
  pb::ModelProto model;
  Location modelLoc = UnknownLoc::get(context);
  Opsets opsets;
  std::map<std::string, pb::FunctionProto *> functions;
  std::set<const pb::FunctionProto *> active; // being inlined
  std::vector<Scope> scopes;
  Attributes *functionAttributes = nullptr;
  std::string callers; // names of the calls that are being inlined
  unsigned depth = 0, errors = 0;
  size_t inlinedNodes = 0, inlinedBytes = 0;
  bool stop = false; // enough was said
  Value none;        // what an omitted input reads
  Value broken;      // what was reported already

  LogicalResult error(const Twine &message, std::optional<Location> at = {}) {
    emitError(at ? *at : modelLoc) << message.str();
    ++errors;
    return failure();
  }
  LogicalResult unsupported(const Twine &message,
                            std::optional<Location> at = {}) {
    return error("not supported: " + message, at);
  }
  Location named(StringRef name);
  Location locOf(const pb::NodeProto &node);
  static std::string describe(const pb::NodeProto &node);

  LogicalResult readOpsets();
  void readFunctions();
  LogicalResult checkOpset(int64_t version, const Twine &who);

  FailureOr<Attribute> attribute(pb::AttributeProto &attr, Location loc,
                                 bool operatorIsKnown);
  FailureOr<ElementsAttr> constantValue(pb::AttributeProto &attr,
                                        const std::string &what, Location loc);
  FailureOr<Value> constantNode(pb::NodeProto &node, Location loc);

  LogicalResult define(StringRef name, Value value, Location loc);
  FailureOr<Value> lookup(StringRef name, const pb::NodeProto &node);
  Value materialize(Scope &scope, StringRef name);
  FailureOr<std::vector<int>> sorted(const Nodes &nodes, Location loc);
  LogicalResult initializers(pb::GraphProto &graph);

  LogicalResult importNodes(Nodes &nodes, const Opsets &opsets, Location loc);
  LogicalResult importNode(pb::NodeProto &node, const Opsets &opsets);
  LogicalResult operands(const pb::NodeProto &node, OperationState &state);
  LogicalResult attributes(pb::NodeProto &node, const Opsets &opsets,
                           OperationState &state);
  pb::FunctionProto *functionOf(const pb::NodeProto &node);
  LogicalResult inlineFunction(pb::NodeProto &node,
                               pb::FunctionProto &function);
  LogicalResult functionInputs(const pb::NodeProto &node,
                               const pb::FunctionProto &function,
                               llvm::StringMap<Value> &inputs);
  LogicalResult importSubgraph(pb::GraphProto &graph, Region &region,
                               const Opsets &opsets, Location loc);

  const FrozenInput *frozenOf(StringRef input);
  LogicalResult readFrozen(const pb::GraphProto &graph);
  FailureOr<Value> frozenValue(const FrozenInput &frozen, RankedTensorType type,
                               ArrayRef<Attribute> dims);
  std::optional<int64_t> sizeOf(StringRef symbol);
  LogicalResult checkSizes();
  FailureOr<RankedTensorType> inputType(const pb::ValueInfoProto &info,
                                        SmallVectorImpl<Attribute> &dims);
  void addInputs(const pb::GraphProto &graph, func::FuncOp function);
  void findOutputs(const pb::GraphProto &graph, SmallVectorImpl<Value> &results,
                   SmallVectorImpl<std::string> &names);
  LogicalResult importMain(pb::GraphProto &graph, ModuleOp module);
  LogicalResult finish(func::FuncOp function, const pb::GraphProto &graph,
                       ArrayRef<std::string> resultNames);
};
} // namespace

std::string Importer::describe(const pb::NodeProto &node) {
  std::string text = clean(node.op_type()) + " node";
  if (!node.name().empty())
    text += " '" + clean(node.name()) + "'";
  return text;
}

Location Importer::named(StringRef name) {
  return NameLoc::get(b.getStringAttr(name.empty() ? "?" : name));
}

Location Importer::locOf(const pb::NodeProto &node) {
  std::string name = clean(node.name());
  if (name.empty() && node.output_size())
    name = clean(node.output(0));
  if (name.empty())
    name = clean(node.op_type());
  return named(callers + name);
}

//===----------------------------------------------------------------------===//
// Opsets and functions
//===----------------------------------------------------------------------===//

LogicalResult Importer::checkOpset(int64_t version, const Twine &who) {
  if (version >= kFirstOpset && version <= kLastOpset)
    return success();
  return unsupported(who + " imports opset " + Twine(version) +
                     " of ai.onnx; opsets " + Twine(kFirstOpset) + " to " +
                     Twine(kLastOpset) +
                     " are known (onnx.version_converter converts)");
}

LogicalResult Importer::readOpsets() {
  for (const auto &import : model.opset_import())
    opsets[domainOf(import.domain())] = import.version();
  if (opsets.empty() && functions.empty())
    return error("the model imports no opset (is it an ONNX model?)");
  auto it = opsets.find("");
  return it == opsets.end() ? success() : checkOpset(it->second, "the model");
}

static std::string functionKey(StringRef domain, StringRef name,
                               StringRef overload) {
  std::string key = domainOf(domain);
  key += '\0';
  key += name;
  key += '\0';
  key += overload;
  return key;
}

void Importer::readFunctions() {
  for (auto &function : *model.mutable_functions())
    functions[functionKey(function.domain(), function.name(),
                          overloadOf(function, 13))] = &function;
}

pb::FunctionProto *Importer::functionOf(const pb::NodeProto &node) {
  if (functions.empty())
    return nullptr;
  auto it = functions.find(
      functionKey(node.domain(), node.op_type(), overloadOf(node, 8)));
  return it == functions.end() ? nullptr : it->second;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

/// What no operator that we know has is no mistake of an operator that we don't
/// know: that one is reported as a whole.
FailureOr<Attribute> Importer::attribute(pb::AttributeProto &attr, Location loc,
                                         bool operatorIsKnown) {
  std::string what = "attribute '" + clean(attr.name()) + "'";
  switch (typeOf(attr)) {
  case pb::AttributeProto::FLOAT:
    return Attribute(b.getF32FloatAttr(attr.f()));
  case pb::AttributeProto::INT:
    return Attribute(b.getI64IntegerAttr(attr.i()));
  case pb::AttributeProto::STRING:
    return Attribute(b.getStringAttr(clean(attr.s())));
  case pb::AttributeProto::TENSOR: {
    if (!operatorIsKnown)
      return Attribute(b.getUnitAttr());
    auto value = reader.read(*attr.mutable_t(), what, loc);
    if (failed(value))
      return ++errors, failure();
    return Attribute(*value);
  }
  case pb::AttributeProto::FLOATS:
    return Attribute(b.getDenseF32ArrayAttr(
        ArrayRef<float>(attr.floats().data(), attr.floats_size())));
  case pb::AttributeProto::INTS:
    return Attribute(b.getDenseI64ArrayAttr(
        ArrayRef<int64_t>(attr.ints().data(), attr.ints_size())));
  case pb::AttributeProto::STRINGS: {
    SmallVector<Attribute> texts;
    for (const std::string &s : attr.strings())
      texts.push_back(b.getStringAttr(clean(s)));
    return Attribute(b.getArrayAttr(texts));
  }
  default:
    if (!operatorIsKnown)
      return Attribute(b.getUnitAttr());
    return unsupported(what + " is of type number " + Twine(int(attr.type())),
                       loc);
  }
}

FailureOr<ElementsAttr> Importer::constantValue(pb::AttributeProto &attr,
                                                const std::string &what,
                                                Location loc) {
  Type i64 = b.getI64Type(), f32 = b.getF32Type();
  auto vector = [](int64_t n, Type type) {
    return RankedTensorType::get({n}, type);
  };
  auto counted = [&](FailureOr<ElementsAttr> value) {
    errors += failed(value);
    return value;
  };
  switch (typeOf(attr)) {
  case pb::AttributeProto::TENSOR:
    return counted(reader.read(*attr.mutable_t(), what, loc));
  case pb::AttributeProto::SPARSE_TENSOR:
    return counted(reader.read(*attr.mutable_sparse_tensor(), what, loc));
  case pb::AttributeProto::INT:
    return cast<ElementsAttr>(DenseElementsAttr::get(
        RankedTensorType::get({}, i64), ArrayRef<int64_t>{attr.i()}));
  case pb::AttributeProto::FLOAT:
    return cast<ElementsAttr>(DenseElementsAttr::get(
        RankedTensorType::get({}, f32), ArrayRef<float>{attr.f()}));
  case pb::AttributeProto::INTS:
    return cast<ElementsAttr>(DenseElementsAttr::get(
        vector(attr.ints_size(), i64),
        ArrayRef<int64_t>(attr.ints().data(), attr.ints_size())));
  case pb::AttributeProto::FLOATS:
    return cast<ElementsAttr>(DenseElementsAttr::get(
        vector(attr.floats_size(), f32),
        ArrayRef<float>(attr.floats().data(), attr.floats_size())));
  default:
    return unsupported(what + " holds '" + clean(attr.name()) +
                           "' (tensors, integers and floats are known)",
                       loc);
  }
}

/// A Constant node's value.
FailureOr<Value> Importer::constantNode(pb::NodeProto &node, Location loc) {
  if (node.attribute_size() != 1)
    return error(describe(node) + " has " + Twine(node.attribute_size()) +
                     " attributes, one value was expected",
                 loc);
  pb::AttributeProto *attr = node.mutable_attribute(0);
  if (!attr->ref_attr_name().empty()) {
    pb::AttributeProto *given =
        functionAttributes ? functionAttributes->lookup(attr->ref_attr_name())
                           : nullptr;
    if (!given)
      return error(describe(node) + " needs the function's attribute '" +
                       clean(attr->ref_attr_name()) + "', which is not given",
                   loc);
    attr = given;
  }
  auto value = constantValue(*attr, describe(node), loc);
  if (failed(value))
    return failure();
  return arith::ConstantOp::create(b, loc, cast<TypedAttr>(*value)).getResult();
}

//===----------------------------------------------------------------------===//
// Values and order
//===----------------------------------------------------------------------===//

LogicalResult Importer::define(StringRef name, Value value, Location loc) {
  if (name.empty())
    return success();
  Scope &scope = scopes.back();
  if (!scope.tensors.contains(name) && !scope.sparse.contains(name) &&
      scope.values.try_emplace(name, value).second)
    return success();
  return error("the value '" + clean(name) +
                   "' is given twice; a graph gives each value once",
               loc);
}

/// An initializer becomes a constant when it is first read: those that nobody
/// reads cost nothing.
Value Importer::materialize(Scope &scope, StringRef name) {
  std::string what = "initializer '" + clean(name) + "'";
  Location loc = named(clean(name));
  FailureOr<ElementsAttr> value = failure();
  if (auto it = scope.tensors.find(name); it != scope.tensors.end()) {
    value = reader.read(*it->second, what, loc);
    scope.tensors.erase(it);
  } else if (auto it = scope.sparse.find(name); it != scope.sparse.end()) {
    value = reader.read(*it->second, what, loc);
    scope.sparse.erase(it);
  } else {
    return Value();
  }
  if (failed(value)) {
    ++errors;
    return scope.values[name] = broken;
  }
  OpBuilder::InsertionGuard guard(b);
  if (scope.lastConstant)
    b.setInsertionPointAfter(scope.lastConstant);
  else
    b.setInsertionPointToStart(scope.block);
  auto constant = arith::ConstantOp::create(b, loc, cast<TypedAttr>(*value));
  scope.lastConstant = constant;
  return scope.values[name] = constant;
}

FailureOr<Value> Importer::lookup(StringRef name, const pb::NodeProto &node) {
  if (name.empty())
    return none;
  for (Scope &scope : llvm::reverse(scopes)) {
    if (auto it = scope.values.find(name); it != scope.values.end())
      return it->second;
    if (Value value = materialize(scope, name))
      return value;
  }
  (void)error(describe(node) + " reads '" + clean(name) +
                  "', which no node, input or initializer gives",
              locOf(node));
  scopes.back().values[name] = broken; // said once
  return broken;
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
    if (!attr.has_g())
      continue;
    llvm::StringSet<> inner;
    for (const auto &input : attr.g().input())
      inner.insert(input.name());
    for (const auto &init : attr.g().initializer())
      inner.insert(init.name());
    for (const auto &init : attr.g().sparse_initializer())
      inner.insert(init.values().name());
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

/// Kahn's algorithm, the earliest node in the file first.
static std::vector<int>
topological(const std::vector<std::vector<int>> &readers,
            std::vector<int> &waiting) {
  std::set<int> ready;
  for (int i = 0, n = waiting.size(); i < n; ++i)
    if (!waiting[i])
      ready.insert(i);
  std::vector<int> order;
  while (!ready.empty()) {
    int i = *ready.begin();
    ready.erase(ready.begin());
    order.push_back(i);
    for (int r : readers[i])
      if (--waiting[r] == 0)
        ready.insert(r);
  }
  return order;
}

/// The nodes' order: as they stand where that is sorted, else sorted.
FailureOr<std::vector<int>> Importer::sorted(const Nodes &nodes, Location loc) {
  int n = nodes.size();
  llvm::StringMap<int> producer;
  for (int i = 0; i < n; ++i)
    for (const std::string &out : nodes[i].output())
      if (!out.empty())
        producer.try_emplace(out, i);
  std::vector<std::vector<int>> readers(n);
  std::vector<int> waiting(n, 0), order(n);
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
  for (int i = 0; i < n; ++i)
    order[i] = i;
  if (inOrder)
    return order;
  order = topological(readers, waiting);
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

LogicalResult Importer::initializers(pb::GraphProto &graph) {
  Scope &scope = scopes.back();
  bool ok = true;
  auto add = [&](auto &map, const std::string &name, auto *tensor) {
    if (name.empty())
      return; // nobody can read it
    if (scopes.size() == 1 && frozenOf(clean(name)) &&
        scope.values.contains(name))
      return; // the default of an input that has another value
    if (scope.values.contains(name) || scope.tensors.contains(name) ||
        !map.try_emplace(name, tensor).second)
      ok = succeeded(error("the value '" + clean(name) +
                           "' is given twice; a graph gives each value once"));
  };
  for (auto &init : *graph.mutable_initializer())
    add(scope.tensors, init.name(), &init);
  for (auto &init : *graph.mutable_sparse_initializer())
    add(scope.sparse, init.values().name(), &init);
  return success(ok);
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

LogicalResult Importer::importNodes(Nodes &nodes, const Opsets &opsets,
                                    Location loc) {
  auto order = sorted(nodes, loc);
  if (failed(order))
    return failure();
  for (int i : *order) {
    if (succeeded(importNode(nodes[i], opsets)))
      continue;
    if (!stop && errors > kMaxErrors) {
      stop = true;
      (void)error("too many errors");
    }
    if (stop)
      return failure();
    // The nodes behind it are looked at too.
    for (const std::string &out : nodes[i].output())
      if (!out.empty())
        scopes.back().values.try_emplace(out, broken);
  }
  return success();
}

LogicalResult Importer::operands(const pb::NodeProto &node,
                                 OperationState &state) {
  for (const std::string &name : node.input()) {
    auto value = lookup(name, node);
    if (failed(value))
      return failure();
    state.addOperands(*value);
  }
  return success();
}

/// The node's attributes, and its subgraphs as regions in their names' order.
LogicalResult Importer::attributes(pb::NodeProto &node, const Opsets &opsets,
                                   OperationState &state) {
  Location loc = state.location;
  std::string domain = domainOf(node.domain());
  auto opset = opsets.find(domain);
  if (opset == opsets.end())
    return error(describe(node) + " is of domain '" +
                     (domain.empty() ? "ai.onnx" : domain) +
                     "', which the model does not import",
                 loc);
  bool known = lnn::onnx::lookup(domain, node.op_type(), opset->second);
  SmallVector<NamedAttribute> attrs;
  std::map<std::string, pb::GraphProto *> bodies;
  llvm::StringSet<> seen;
  for (auto &given : *node.mutable_attribute()) {
    pb::AttributeProto *attr = &given;
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
    if (typeOf(*attr) == pb::AttributeProto::GRAPH) {
      bodies[name] = attr->mutable_g();
      continue;
    }
    auto value = attribute(*attr, loc, known);
    if (failed(value))
      return failure();
    attrs.push_back(b.getNamedAttr(name, *value));
  }
  state.addAttribute("op_type", b.getStringAttr(clean(node.op_type())));
  if (!domain.empty())
    state.addAttribute("domain", b.getStringAttr(domain));
  state.addAttribute("opset", b.getI64IntegerAttr(opset->second));
  state.addAttribute("node_attrs", b.getDictionaryAttr(attrs));
  SmallVector<Attribute> regionNames;
  for (auto &[name, graph] : bodies) {
    regionNames.push_back(b.getStringAttr(name));
    auto region = std::make_unique<Region>();
    if (failed(importSubgraph(*graph, *region, opsets, loc)))
      return failure();
    state.addRegion(std::move(region));
  }
  if (!regionNames.empty())
    state.addAttribute("region_names", b.getArrayAttr(regionNames));
  return success();
}

LogicalResult Importer::importNode(pb::NodeProto &node, const Opsets &opsets) {
  Location loc = locOf(node);
  if (functionAttributes) {
    inlinedBytes += node.ByteSizeLong();
    if (++inlinedNodes > kMaxInlinedNodes || inlinedBytes > kMaxInlinedBytes) {
      stop = true;
      return unsupported("the model's functions have more than " +
                         Twine(kMaxInlinedNodes) + " nodes, or " +
                         Twine(kMaxInlinedBytes) +
                         " bytes, once they are inlined");
    }
  }
  if (domainOf(node.domain()).empty() && node.op_type() == "Constant") {
    if (node.output_size() != 1)
      return error(describe(node) + " must have one output", loc);
    auto value = constantNode(node, loc);
    if (failed(value))
      return failure();
    return define(node.output(0), *value, loc);
  }
  if (pb::FunctionProto *function = functionOf(node))
    return inlineFunction(node, *function);
  OperationState state(loc, NodeOp::getOperationName());
  if (failed(operands(node, state)) || failed(attributes(node, opsets, state)))
    return failure();
  // Types are found later; what an omitted output has says so at once.
  Type later = UnrankedTensorType::get(b.getF32Type());
  for (const std::string &name : node.output())
    state.addTypes(name.empty() ? Type(b.getNoneType()) : later);
  Operation *op = b.create(state);
  bool ok = true;
  for (auto [name, result] : llvm::zip(node.output(), op->getResults()))
    ok &= succeeded(define(name, result, loc));
  return success(ok);
}

LogicalResult Importer::functionInputs(const pb::NodeProto &node,
                                       const pb::FunctionProto &function,
                                       llvm::StringMap<Value> &inputs) {
  if (node.input_size() > function.input_size() ||
      node.output_size() > function.output_size())
    return error(describe(node) + " has " + Twine(node.input_size()) +
                     " inputs and " + Twine(node.output_size()) +
                     " outputs; function '" + clean(function.name()) +
                     "' has " + Twine(function.input_size()) + " and " +
                     Twine(function.output_size()),
                 locOf(node));
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
  return success();
}

LogicalResult Importer::inlineFunction(pb::NodeProto &node,
                                       pb::FunctionProto &function) {
  Location loc = locOf(node);
  if (!active.insert(&function).second)
    return error(describe(node) + ": function '" + clean(function.name()) +
                     "' calls itself",
                 loc);
  auto finished = llvm::scope_exit([&] { active.erase(&function); });
  if (depth >= kMaxDepth)
    return error(describe(node) + ": functions and subgraphs are nested more " +
                     "than " + Twine(kMaxDepth) + " deep",
                 loc);
  Scope scope(b.getInsertionBlock());
  if (failed(functionInputs(node, function, scope.values)))
    return failure();
  // Defaults, and what the call gives; that may refer to attributes of the
  // function that the call stands in.
  std::list<pb::AttributeProto> defaults = defaultsOf(function);
  Attributes attributes;
  for (pb::AttributeProto &attr : defaults)
    attributes[attr.name()] = &attr;
  for (auto &attr : *node.mutable_attribute()) {
    pb::AttributeProto *given = &attr;
    if (!attr.ref_attr_name().empty())
      given = functionAttributes
                  ? functionAttributes->lookup(attr.ref_attr_name())
                  : nullptr;
    if (given)
      attributes[attr.name()] = given;
  }
  Opsets functionOpsets;
  for (const auto &import : function.opset_import())
    functionOpsets[domainOf(import.domain())] = import.version();
  if (auto it = functionOpsets.find(""); it != functionOpsets.end())
    if (failed(checkOpset(it->second,
                          "function '" + clean(function.name()) + "'")))
      return failure();
  // A function sees its inputs and nothing else.
  std::vector<Scope> outer;
  outer.swap(scopes);
  scopes.push_back(std::move(scope));
  std::string outerCallers = callers;
  callers = (cast<NameLoc>(loc).getName().getValue() + "/").str();
  Attributes *outerAttributes = functionAttributes;
  functionAttributes = &attributes;
  ++depth;
  LogicalResult done =
      importNodes(*function.mutable_node(), functionOpsets, loc);
  --depth;
  functionAttributes = outerAttributes;
  callers = outerCallers;
  llvm::StringMap<Value> inner = std::move(scopes.back().values);
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

/// What nothing needs goes, before anything is said about it.
static void eraseUnused(Block &block) {
  SmallVector<Operation *> ops;
  for (Operation &op : block.without_terminator())
    ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty())
      op->erase();
}

LogicalResult Importer::importSubgraph(pb::GraphProto &graph, Region &region,
                                       const Opsets &opsets, Location loc) {
  if (depth >= kMaxDepth)
    return error("functions and subgraphs are nested more than " +
                     Twine(kMaxDepth) + " deep",
                 loc);
  ++depth;
  auto leave = llvm::scope_exit([&] { --depth; });
  OpBuilder::InsertionGuard guard(b);
  Block *block = b.createBlock(&region);
  scopes.emplace_back(block);
  auto pop = llvm::scope_exit([&] { scopes.pop_back(); });
  Type later = UnrankedTensorType::get(b.getF32Type());
  for (const auto &input : graph.input())
    if (failed(define(input.name(), block->addArgument(later, loc), loc)))
      return failure();
  if (failed(initializers(graph)) ||
      failed(importNodes(*graph.mutable_node(), opsets, loc)))
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
  eraseUnused(*block);
  return success();
}

//===----------------------------------------------------------------------===//
// The graph
//===----------------------------------------------------------------------===//

/// The value that the caller gives a dynamic size.
std::optional<int64_t> Importer::sizeOf(StringRef symbol) {
  symbols.insert(symbol);
  for (const auto &[name, size] : options.sizes)
    if (name == symbol)
      return size;
  if (auto it = frozenSizes.find(symbol); it != frozenSizes.end())
    return it->second;
  return std::nullopt;
}

static std::string symbolOf(const pb::TensorShapeProto::Dimension &dim,
                            StringRef input, int place) {
  std::string symbol = clean(dim.dim_param());
  return symbol.empty() ? (input + "_dim_" + Twine(place)).str() : symbol;
}

/// Older exporters write -1 for a size that is not fixed.
static bool isFixed(const pb::TensorShapeProto::Dimension &dim) {
  return dim.has_dim_value() && dim.dim_value() != -1;
}

const FrozenInput *Importer::frozenOf(StringRef input) {
  for (const FrozenInput &frozen : options.frozen)
    if (frozen.name == input)
      return &frozen;
  return nullptr;
}

/// Fails where a value is given for what is no input, or twice. The dynamic
/// sizes that values have are all inputs' then.
LogicalResult Importer::readFrozen(const pb::GraphProto &graph) {
  std::string known;
  llvm::StringSet<> inputs, seen;
  for (const auto &input : graph.input()) {
    std::string name = clean(input.name());
    inputs.insert(name);
    known += (known.empty() ? "" : ", ") + name;
    const FrozenInput *frozen = frozenOf(name);
    const auto &shape = input.type().tensor_type().shape();
    if (!frozen || shape.dim_size() != int64_t(frozen->shape.size()))
      continue;
    for (auto [k, size] : llvm::enumerate(frozen->shape))
      if (!isFixed(shape.dim(k)))
        frozenSizes.try_emplace(symbolOf(shape.dim(k), name, k), size);
  }
  for (const FrozenInput &frozen : options.frozen) {
    if (!inputs.contains(frozen.name))
      return error("no input is called '" + clean(frozen.name) + "'; there " +
                   (known.empty() ? "are none" : "is: " + known));
    if (!seen.insert(frozen.name).second)
      return error("input '" + clean(frozen.name) + "' is given two values");
  }
  return success();
}

/// The value as an element of that type; a message where it is none.
static std::string convert(std::variant<int64_t, double> value, Type type,
                           SmallVectorImpl<APInt> &integers,
                           SmallVectorImpl<APFloat> &reals) {
  std::string text = std::visit(
      [](auto v) {
        std::string s;
        llvm::raw_string_ostream(s) << v;
        return s;
      },
      value);
  if (auto real = dyn_cast<FloatType>(type)) {
    double wide = std::visit([](auto v) { return double(v); }, value);
    APFloat narrow(wide);
    bool lost;
    narrow.convert(real.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                   &lost);
    reals.push_back(narrow);
    return narrow.isInfinity() && !std::isinf(wide) ? text : "";
  }
  auto integer = cast<IntegerType>(type);
  unsigned width = integer.getWidth();
  if (double *real = std::get_if<double>(&value)) {
    constexpr double limit = 0x1p63;
    if (!(*real >= -limit && *real < limit) || *real != std::trunc(*real))
      return text;
    value = int64_t(*real);
  }
  int64_t whole = std::get<int64_t>(value);
  bool fits = integer.isUnsigned() || width == 1
                  ? whole >= 0 && (width == 64 || llvm::isUIntN(width, whole))
                  : llvm::isIntN(width, whole);
  if (!fits)
    return text;
  integers.push_back(
      APInt(width, uint64_t(whole), /*isSigned=*/true, /*implicitTrunc=*/true));
  return "";
}

/// The constant that an input with these dimensions is.
FailureOr<Value> Importer::frozenValue(const FrozenInput &frozen,
                                       RankedTensorType type,
                                       ArrayRef<Attribute> dims) {
  std::string name = clean(frozen.name), shape;
  for (auto [k, dim] : llvm::enumerate(dims)) {
    auto symbol = dyn_cast<StringAttr>(dim);
    shape += (k ? ", " : "") +
             (symbol ? symbol.getValue().str()
                     : std::to_string(cast<IntegerAttr>(dim).getInt()));
  }
  bool isWhole = !frozen.shape.empty();
  if (isWhole && ArrayRef(frozen.shape) != type.getShape())
    return error(
        "input '" + name + "' is [" + shape + "], the value given for it is [" +
        llvm::join(
            llvm::map_range(frozen.shape,
                            [](int64_t size) { return std::to_string(size); }),
            ", ") +
        "]");
  if (!type.hasStaticShape())
    return error(
        "input '" + name + "' is [" + shape +
        "]: one value for all elements needs values of its sizes, too");
  SmallVector<APInt> integers;
  SmallVector<APFloat> reals;
  std::string wrong;
  size_t count = std::visit(
      [&](const auto &values) {
        for (auto value : values)
          if (wrong.empty())
            wrong = convert(value, type.getElementType(), integers, reals);
        return values.size();
      },
      frozen.values);
  if (!wrong.empty())
    return error("input '" + name + "' has elements of type " +
                 numpyName(type.getElementType()) + "; " + wrong + " is none");
  if (int64_t(count) != (isWhole ? type.getNumElements() : 1))
    return error("input '" + name + "' is given " + Twine(count) +
                 " values, the shape is [" + shape + "]");
  DenseElementsAttr value = isa<FloatType>(type.getElementType())
                                ? DenseElementsAttr::get(type, reals)
                                : DenseElementsAttr::get(type, integers);
  OpBuilder::InsertionGuard guard(b);
  Scope &scope = scopes.back();
  b.setInsertionPointAfter(scope.lastConstant);
  auto constant = arith::ConstantOp::create(b, named(name), value);
  scope.lastConstant = constant;
  return constant.getResult();
}

/// Fails where a size is given that no input has, or that can't be.
LogicalResult Importer::checkSizes() {
  for (const auto &[name, size] : options.sizes) {
    if (size < 0 || size > kMaxDim)
      return error("the size " + name + " can't be " + Twine(size));
    if (symbols.contains(name))
      continue;
    std::string known;
    for (StringRef symbol : symbols.keys())
      known += (known.empty() ? "" : ", ") + symbol.str();
    return error("no dynamic size is called '" + name + "'; there " +
                 (known.empty() ? "are none" : "is: " + known));
  }
  return success();
}

FailureOr<RankedTensorType>
Importer::inputType(const pb::ValueInfoProto &info,
                    SmallVectorImpl<Attribute> &dims) {
  std::string name = clean(info.name());
  if (!info.has_type() || !info.type().has_tensor_type())
    return unsupported("input '" + name +
                       "' is not a tensor (sequences, optionals and maps are "
                       "not known)");
  const auto &tensor = info.type().tensor_type();
  Type element = elementTypeOf(context, tensor.elem_type());
  if (!element)
    return unsupported("input '" + name + "' has element type " +
                       elementTypeName(tensor.elem_type()));
  if (!tensor.has_shape())
    return unsupported("input '" + name +
                       "' has no shape; its rank must be known");
  if (tensor.shape().dim_size() > kMaxRank)
    return unsupported("input '" + name + "' has rank " +
                       Twine(tensor.shape().dim_size()) + ", at most " +
                       Twine(kMaxRank) + " is supported");
  SmallVector<int64_t> shape;
  for (int k = 0; k < tensor.shape().dim_size(); ++k) {
    const auto &dim = tensor.shape().dim(k);
    if (isFixed(dim)) {
      if (dim.dim_value() < 0 || dim.dim_value() > kMaxDim)
        return error("input '" + name + "' has the size " +
                     Twine(dim.dim_value()) + " in dimension " + Twine(k));
      shape.push_back(dim.dim_value());
      dims.push_back(b.getI64IntegerAttr(dim.dim_value()));
      continue;
    }
    std::string symbol = symbolOf(dim, name, k);
    if (std::optional<int64_t> size = sizeOf(symbol)) {
      shape.push_back(*size);
      dims.push_back(b.getI64IntegerAttr(*size));
      continue;
    }
    shape.push_back(ShapedType::kDynamic);
    dims.push_back(b.getStringAttr(symbol));
  }
  return RankedTensorType::get(shape, element);
}

static bool isTimeName(StringRef name) {
  static const llvm::StringSet<> names = {
      "dt",      "ts",         "timespan", "timespans",    "time_span",
      "delta_t", "time_delta", "elapsed",  "elapsed_time", "time_spans"};
  return names.contains(name.lower());
}

/// The function's arguments: the inputs that no initializer fixes.
void Importer::addInputs(const pb::GraphProto &graph, func::FuncOp function) {
  llvm::StringSet<> initialized, seen;
  for (const auto &init : graph.initializer())
    initialized.insert(init.name());
  for (const auto &init : graph.sparse_initializer())
    initialized.insert(init.values().name());
  for (auto [position, input] : llvm::enumerate(graph.input())) {
    std::string name = clean(input.name());
    const FrozenInput *frozen = frozenOf(name);
    if (initialized.contains(input.name()) && !frozen)
      continue; // a default that nobody is asked for: a constant
    SmallVector<Attribute> dims;
    FailureOr<RankedTensorType> type = failure();
    if (name.empty())
      (void)error("input " + Twine(position) + " has no name");
    else if (!seen.insert(name).second)
      (void)error("there are two inputs '" + name + "'");
    else
      type = inputType(input, dims);
    if (failed(type)) {
      scopes.back().values.try_emplace(input.name(), broken);
      continue;
    }
    if (frozen) {
      FailureOr<Value> value = frozenValue(*frozen, *type, dims);
      (void)define(input.name(), succeeded(value) ? *value : broken, modelLoc);
      continue;
    }
    bool isTime = isTimeName(name) && isa<FloatType>(type->getElementType());
    auto attrs = b.getDictionaryAttr(
        {b.getNamedAttr("lnn.name", b.getStringAttr(name)),
         b.getNamedAttr("lnn.role", b.getStringAttr(isTime ? "dt" : "input")),
         b.getNamedAttr("lnn.dims", b.getArrayAttr(dims)),
         b.getNamedAttr("lnn.dtype",
                        b.getStringAttr(numpyName(type->getElementType())))});
    unsigned index = function.getNumArguments();
    (void)function.insertArgument(index, *type, attrs, modelLoc);
    (void)define(input.name(), function.getArgument(index), modelLoc);
  }
}

/// The values that the graph's outputs name.
void Importer::findOutputs(const pb::GraphProto &graph,
                           SmallVectorImpl<Value> &results,
                           SmallVectorImpl<std::string> &names) {
  llvm::StringSet<> seen;
  for (auto [position, output] : llvm::enumerate(graph.output())) {
    std::string name = clean(output.name());
    if (name.empty()) {
      (void)error("output " + Twine(position) + " has no name");
      continue;
    }
    if (!seen.insert(name).second) {
      (void)error("the graph's output '" + name + "' is listed twice");
      continue;
    }
    Scope &scope = scopes.back();
    Value value = scope.values.lookup(output.name());
    if (!value)
      value = materialize(scope, output.name());
    if (!value || isa<NoneType>(value.getType()))
      (void)error("the graph's output '" + name +
                  "' is given by no node, input or initializer");
    if (value && output.has_type() && !output.type().has_tensor_type() &&
        output.type().value_case() != pb::TypeProto::VALUE_NOT_SET)
      (void)unsupported("output '" + name +
                        "' is not a tensor (sequences, optionals and maps are "
                        "not known)");
    if (!value)
      continue;
    results.push_back(value);
    names.push_back(name);
  }
}

LogicalResult Importer::importMain(pb::GraphProto &graph, ModuleOp module) {
  if (graph.output_size() == 0)
    return error("the graph has no output");
  b.setInsertionPointToEnd(module.getBody());
  auto function =
      func::FuncOp::create(b, modelLoc, "main", b.getFunctionType({}, {}));
  Block *block = function.addEntryBlock();
  b.setInsertionPointToStart(block);
  none = lnn::onnx::NoneOp::create(b, modelLoc, b.getNoneType());
  broken = NodeOp::create(
               b, modelLoc, TypeRange(UnrankedTensorType::get(b.getF32Type())),
               ValueRange(), b.getStringAttr("broken"),
               b.getStringAttr(kBrokenDomain), b.getI64IntegerAttr(1),
               b.getDictionaryAttr({}), ArrayAttr(), 0)
               .getResult(0);
  scopes.emplace_back(block);
  scopes.back().lastConstant = broken.getDefiningOp();
  if (failed(readFrozen(graph)))
    return failure();
  addInputs(graph, function);
  if (failed(checkSizes()) || failed(initializers(graph)) ||
      failed(importNodes(*graph.mutable_node(), opsets, modelLoc)))
    return failure();
  SmallVector<Value> results;
  SmallVector<std::string> resultNames;
  findOutputs(graph, results, resultNames);
  func::ReturnOp::create(b, modelLoc, results);
  function.setType(
      b.getFunctionType(function.getArgumentTypes(),
                        SmallVector<Type>(ValueRange(results).getTypes())));
  eraseUnused(*block);
  return finish(function, graph, resultNames);
}

/// What the output is declared to be must be what it is.
static std::optional<std::string> contradiction(const pb::GraphProto &graph,
                                                StringRef name, Type element) {
  for (const auto &output : graph.output()) {
    if (clean(output.name()) != name || !output.type().has_tensor_type())
      continue;
    int32_t declared = output.type().tensor_type().elem_type();
    Type type = elementTypeOf(element.getContext(), declared);
    if (declared != pb::TensorProto::UNDEFINED && type != element)
      return "output '" + name.str() + "' is declared as " +
             elementTypeName(declared) + " and computed as " +
             numpyName(element).str();
  }
  return std::nullopt;
}

/// Infers types, names results' sizes, pairs states.
LogicalResult Importer::finish(func::FuncOp function,
                               const pb::GraphProto &graph,
                               ArrayRef<std::string> resultNames) {
  Analysis analysis;
  if (failed(analysis.run(function)) || errors)
    return failure();
  Operation *terminator = function.getBody().front().getTerminator();
  SmallVector<Type> types(terminator->getOperandTypes());
  function.setType(b.getFunctionType(function.getArgumentTypes(), types));
  SmallVector<ValueInfo> infos;
  for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
    const ValueInfo &info = analysis.info(value);
    if (!info.present()) {
      (void)error("the type of output '" + resultNames[i] +
                  "' cannot be found");
      continue;
    }
    if (auto text = contradiction(graph, resultNames[i], info.elementType))
      (void)error(*text);
    SmallVector<Attribute> dims;
    for (Dim d : info.dims)
      dims.push_back(d.isConst() ? Attribute(b.getI64IntegerAttr(d.value()))
                                 : Attribute(b.getStringAttr(d.str())));
    function.setResultAttr(i, "lnn.name", b.getStringAttr(resultNames[i]));
    function.setResultAttr(i, "lnn.role", b.getStringAttr("output"));
    function.setResultAttr(i, "lnn.dims", b.getArrayAttr(dims));
    function.setResultAttr(i, "lnn.dtype",
                           b.getStringAttr(numpyName(info.elementType)));
  }
  if (errors)
    return failure();
  return pairStates(function, analysis, options.states);
}

OwningOpRef<ModuleOp> Importer::run(StringRef bytes) {
  modelLoc = named(options.name.empty() ? "model" : clean(options.name));
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
  readFunctions();
  if (failed(readOpsets()) ||
      failed(importMain(*model.mutable_graph(), *module)) ||
      failed(verify(*module)))
    return nullptr;
  if (!options.name.empty())
    (*module)->setAttr("lnn.model", b.getStringAttr(clean(options.name)));
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
  // Text is printable; a protobuf begins with a tag of a low field (ir_version
  // is 0x08).
  if (bytes.empty())
    return true;
  return bytes.take_front(256).contains('\0') || bytes[0] == '\x08' ||
         static_cast<unsigned char>(bytes[0]) < 9;
}
