//===- Onnx.cpp - the import-level dialect --------------------------------===//
#include "lnn/Dialect/Onnx/Onnx.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace lnn::onnx;

#include "lnn/Dialect/Onnx/OnnxDialect.cpp.inc"
#define GET_OP_CLASSES
#include "lnn/Dialect/Onnx/OnnxOps.cpp.inc"

void OnnxDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "lnn/Dialect/Onnx/OnnxOps.cpp.inc"
      >();
}

// onnx.node "Type"(%a, %b) {attr = value} [domain "d"] opset N
//     [bodies ["body"] {region} ...] : (types) -> types
void NodeOp::print(OpAsmPrinter &p) {
  p << ' ';
  p.printAttribute(getOpTypeAttr());
  p << '(';
  p.printOperands(getInputs());
  p << ')';
  if (!getNodeAttrs().empty()) {
    p << ' ';
    p.printAttribute(getNodeAttrsAttr());
  }
  if (getDomainAttr()) {
    p << " domain ";
    p.printAttribute(getDomainAttr());
  }
  p << " opset " << getOpset();
  if (!getBodies().empty()) {
    p << " bodies ";
    p.printAttribute(getRegionNamesAttr());
    for (Region &region : getBodies()) {
      p << ' ';
      p.printRegion(region);
    }
  }
  p.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(),
      {"op_type", "domain", "opset", "node_attrs", "region_names"});
  p << " : ";
  p.printFunctionalType(*this);
}

ParseResult NodeOp::parse(OpAsmParser &parser, OperationState &result) {
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  StringAttr opType, domain;
  int64_t opset = 0;
  Builder &b = parser.getBuilder();
  if (parser.parseAttribute(opType) ||
      parser.parseOperandList(operands, OpAsmParser::Delimiter::Paren))
    return failure();
  DictionaryAttr attributes = b.getDictionaryAttr({});
  OptionalParseResult dict = parser.parseOptionalAttribute(attributes);
  if (dict.has_value() && failed(*dict))
    return failure();
  result.addAttribute("op_type", opType);
  result.addAttribute("node_attrs", attributes);
  if (succeeded(parser.parseOptionalKeyword("domain"))) {
    if (parser.parseAttribute(domain))
      return failure();
    result.addAttribute("domain", domain);
  }
  if (parser.parseKeyword("opset") || parser.parseInteger(opset))
    return failure();
  result.addAttribute("opset", b.getI64IntegerAttr(opset));
  if (succeeded(parser.parseOptionalKeyword("bodies"))) {
    ArrayAttr names;
    if (parser.parseAttribute(names))
      return failure();
    result.addAttribute("region_names", names);
    for (unsigned i = 0; i < names.size(); ++i)
      if (parser.parseRegion(*result.addRegion()))
        return failure();
  }
  FunctionType type;
  if (parser.parseOptionalAttrDictWithKeyword(result.attributes) ||
      parser.parseColonType(type) ||
      parser.resolveOperands(operands, type.getInputs(),
                             parser.getCurrentLocation(), result.operands))
    return failure();
  result.addTypes(type.getResults());
  return success();
}

LogicalResult NodeOp::verify() {
  // C1
  if (getOpType().empty())
    return emitOpError("needs an op_type that isn't empty");
  // C2
  for (auto [i, type] : llvm::enumerate(getInputs().getTypes()))
    if (!isa<TensorType, NoneType>(type))
      return emitOpError() << "input " << i
                           << " must be a tensor or none, found " << type;
  for (auto [i, type] : llvm::enumerate(getOutputs().getTypes()))
    if (!isa<TensorType, NoneType>(type))
      return emitOpError() << "output " << i
                           << " must be a tensor or none, found " << type;
  // C3
  ArrayAttr names = getRegionNamesAttr();
  size_t count = names ? names.size() : 0;
  if (count != getBodies().size())
    return emitOpError() << "has " << getBodies().size() << " bodies, but "
                         << count << " region_names";
  for (size_t i = 0; i < count; ++i)
    if (auto name = dyn_cast<StringAttr>(names[i]); !name || name.empty())
      return emitOpError() << "region_names[" << i
                           << "] must be a string that isn't empty, found "
                           << names[i];
  return success();
}

LogicalResult NodeOp::verifyRegions() {
  for (auto [i, region] : llvm::enumerate(getBodies())) {
    if (!region.hasOneBlock())
      return emitOpError() << "body " << i << " must be one block, found "
                           << region.getBlocks().size();
    if (region.front().empty() || !isa<YieldOp>(region.front().back()))
      return emitOpError() << "body " << i << " must end in onnx.yield";
    for (auto [k, type] : llvm::enumerate(region.getArgumentTypes()))
      if (!isa<TensorType, NoneType>(type))
        return emitOpError() << "argument " << k << " of body " << i
                             << " must be a tensor, found " << type;
  }
  return success();
}
