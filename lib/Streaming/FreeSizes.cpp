//===- FreeSizes.cpp - let sizes vary that an export fixed ----------------===//
#include "lnn/Streaming/FreeSizes.h"

#include "Thaw.h"
#include "lnn/Streaming/Edit.h"
#include "lnn/Streaming/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

namespace lnn {
#define GEN_PASS_DEF_ONNXFREESIZES
#include "lnn/Streaming/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;
using namespace lnn::onnx;
using namespace lnn::streaming;

std::string lnn::streaming::argumentName(func::FuncOp function,
                                         unsigned index) {
  auto name = function.getArgAttrOfType<StringAttr>(index, "lnn.name");
  return name ? name.str() : "arg" + std::to_string(index);
}

/// Other dimensions of that size: they may have been meant too.
static std::string othersOfThatSize(func::FuncOp function,
                                    ArrayRef<ArgumentDim> dims, int64_t size) {
  std::string text;
  for (BlockArgument argument : function.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    for (int64_t k = 0; type && k < type.getRank(); ++k) {
      unsigned number = argument.getArgNumber();
      if (type.getDimSize(k) != size ||
          llvm::is_contained(dims, ArgumentDim{number, k}))
        continue;
      text += text.empty() ? "; inputs that have this size too: " : ", ";
      text +=
          argumentName(function, number) + " in dimension " + std::to_string(k);
    }
  }
  return text;
}

/// Makes nodes follow the size until none fixes it. Reports the one that does.
static LogicalResult thawAll(func::FuncOp function, ArrayRef<ArgumentDim> dims,
                             int64_t size) {
  constexpr unsigned maxRewrites = 4096;
  for (unsigned i = 0; i < maxRewrites; ++i) {
    Sensitivity s(function, dims, size);
    if (s.firstProbe().failed())
      return function.emitError(s.firstProbe().why());
    NodeOp faulty;
    std::string fault;
    function.walk([&](NodeOp node) {
      fault = Thaw(node, s).fault();
      if (fault.empty())
        return WalkResult::advance();
      faulty = node;
      return WalkResult::interrupt();
    });
    if (!faulty)
      return s.secondProbe().failed()
                 ? function.emitError(s.secondProbe().why())
                 : success();
    if (Thaw(faulty, s).run())
      continue;
    return NodeView(faulty).unsupported(
        "it fixes the size " + Twine(size) + " of dimension " +
        Twine(dims.front().axis) + " of input '" +
        argumentName(function, dims.front().argument) +
        "', which is to vary: " + fault +
        othersOfThatSize(function, dims, size));
  }
  return function.emitError("sizes are fixed in too many places");
}

/// Names the dimensions of results as they are now.
static void nameResults(func::FuncOp function, const Analysis &analysis) {
  Builder b(function.getContext());
  Operation *terminator = function.getBody().front().getTerminator();
  for (auto [i, v] : llvm::enumerate(terminator->getOperands())) {
    const ValueInfo &info = analysis.info(v);
    if (!info.present())
      continue;
    auto name = function.getResultAttrOfType<StringAttr>(i, "lnn.name");
    SmallVector<Attribute> dims;
    for (auto [k, dim] : llvm::enumerate(info.dims)) {
      if (dim.isConst())
        dims.push_back(b.getI64IntegerAttr(dim.value()));
      else if (dim.isSymbol() && !StringRef(dim.str()).contains('#'))
        dims.push_back(b.getStringAttr(dim.str()));
      else
        dims.push_back(b.getStringAttr((name ? name.getValue() : "out") +
                                       "_dim_" + Twine(k)));
    }
    function.setResultAttr(i, "lnn.dims", b.getArrayAttr(dims));
  }
}

/// Gives the arguments their dynamic types, and everything what follows.
static LogicalResult makeDynamic(func::FuncOp function,
                                 ArrayRef<ArgumentDim> dims, StringRef name) {
  Builder b(function.getContext());
  for (auto [number, axis] : dims) {
    BlockArgument argument = function.getArgument(number);
    auto type = cast<RankedTensorType>(argument.getType());
    SmallVector<Attribute> names;
    auto old = function.getArgAttrOfType<ArrayAttr>(number, "lnn.dims");
    for (int64_t k = 0; k < type.getRank(); ++k)
      names.push_back(old && k < int64_t(old.size())
                          ? old[k]
                          : b.getI64IntegerAttr(type.getDimSize(k)));
    names[axis] = b.getStringAttr(name);
    SmallVector<int64_t> shape(type.getShape());
    shape[axis] = ShapedType::kDynamic;
    argument.setType(RankedTensorType::get(shape, type.getElementType()));
    function.setArgAttr(number, "lnn.dims", b.getArrayAttr(names));
  }
  Analysis analysis;
  if (failed(analysis.run(function)))
    return failure();
  nameResults(function, analysis);
  Block &body = function.getBody().front();
  function.setType(b.getFunctionType(
      body.getArgumentTypes(),
      SmallVector<Type>(body.getTerminator()->getOperandTypes())));
  return success();
}

LogicalResult lnn::streaming::freeSize(func::FuncOp function,
                                       ArrayRef<ArgumentDim> dims,
                                       StringRef name) {
  SmallVector<ArgumentDim> fixed;
  std::optional<int64_t> size;
  for (ArgumentDim dim : dims) {
    auto type =
        cast<RankedTensorType>(function.getArgument(dim.argument).getType());
    if (type.isDynamicDim(dim.axis))
      continue; // it varies already
    int64_t n = type.getDimSize(dim.axis);
    if (size && n != *size)
      return function.emitError("'")
             << name << "' is to be the size " << *size << " and the size " << n
             << " of dimension " << dim.axis << " of input '"
             << argumentName(function, dim.argument) << "'";
    size = n;
    fixed.push_back(dim);
  }
  if (fixed.empty())
    return success();
  if (*size < 1)
    return function.emitError("not supported: dimension ")
           << fixed.front().axis << " of input '"
           << argumentName(function, fixed.front().argument)
           << "' is to vary, but was exported with size " << *size;
  if (failed(thawAll(function, fixed, *size)))
    return failure();
  return makeDynamic(function, fixed, name);
}

/// `input:axis=name` taken apart; names may have colons.
static FailureOr<std::pair<ArgumentDim, std::string>>
parse(func::FuncOp function, StringRef text) {
  auto error = [&](const Twine &message) {
    return function.emitError("dynamic size '")
           << text << "': " << message.str();
  };
  auto [where, name] = text.rsplit('=');
  auto [input, digits] = where.rsplit(':');
  int64_t axis;
  if (name.empty() || input.empty() || digits.getAsInteger(10, axis))
    return error("input:axis=name is expected"), failure();
  for (BlockArgument argument : function.getArguments()) {
    if (argumentName(function, argument.getArgNumber()) != input)
      continue;
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    int64_t rank = type ? type.getRank() : 0;
    if (axis < -rank || axis >= rank)
      return error("the input has " + Twine(rank) + " dimensions"), failure();
    return std::make_pair(
        ArgumentDim{argument.getArgNumber(), axis < 0 ? axis + rank : axis},
        name.str());
  }
  return error("the model has no input '" + input + "'"), failure();
}

namespace {
struct OnnxFreeSizes : lnn::impl::OnnxFreeSizesBase<OnnxFreeSizes> {
  using OnnxFreeSizesBase::OnnxFreeSizesBase;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    SmallVector<std::string> wanted(sizes.begin(), sizes.end());
    if (auto given = function->getAttrOfType<ArrayAttr>("lnn.dynamic"))
      for (Attribute text : given)
        wanted.push_back(cast<StringAttr>(text).str());
    function->removeAttr("lnn.dynamic");
    if (wanted.empty() || function.isExternal())
      return;
    llvm::MapVector<StringAttr, SmallVector<ArgumentDim>> byName;
    for (StringRef text : wanted) {
      auto parsed = parse(function, text);
      if (failed(parsed))
        return signalPassFailure();
      byName[StringAttr::get(&getContext(), parsed->second)].push_back(
          parsed->first);
    }
    for (auto &[name, dims] : byName)
      if (failed(freeSize(function, dims, name.getValue())))
        return signalPassFailure();
  }
};
} // namespace
