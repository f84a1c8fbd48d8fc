//===- States.cpp - which output replaces which input ---------------------===//
#include "lnn/Frontend/Onnx/States.h"

#include "mlir/IR/Builders.h"
#include <set>

using namespace mlir;
using namespace lnn::onnx;

/// The names that an output which replaces the state `input` may have, best
/// first.
static SmallVector<std::string> successors(StringRef input) {
  SmallVector<std::string> names;
  names.push_back((input + "_next").str());
  if (input.ends_with("_in"))
    names.push_back((input.drop_back(3) + "_out").str());
  if (input.ends_with("0"))
    names.push_back((input.drop_back() + "n").str());
  names.push_back((input + "_out").str());
  names.push_back((input + "N").str());
  // `xn` may as well be a normalized x: only what is called as states are.
  if (input == "h" || input == "c" || input == "s")
    names.push_back((input + "n").str());
  if (size_t at = input.find("past"); at != StringRef::npos)
    names.push_back(
        (input.take_front(at) + "present" + input.drop_front(at + 4)).str());
  return names;
}

namespace {
/// One function's inputs and outputs, and the pairs found so far.
class Pairing {
public:
  Pairing(func::FuncOp function, const Analysis &analysis)
      : function(function), analysis(analysis), b(function.getContext()),
        terminator(function.getBody().front().getTerminator()) {}
  LogicalResult give(StringRef in, StringRef out);
  void guess();

private:
  func::FuncOp function;
  const Analysis &analysis;
  Builder b;
  Operation *terminator;
  std::set<unsigned> pairedInputs, pairedOutputs;

  StringRef inputName(unsigned i) {
    return function.getArgAttrOfType<StringAttr>(i, "lnn.name").getValue();
  }
  StringRef outputName(unsigned i) {
    return function.getResultAttrOfType<StringAttr>(i, "lnn.name").getValue();
  }
  const ValueInfo &input(unsigned i) {
    return analysis.info(function.getArgument(i));
  }
  const ValueInfo &output(unsigned i) {
    return analysis.info(terminator->getOperand(i));
  }
  bool equalTypes(unsigned in, unsigned out) {
    return input(in).elementType == output(out).elementType &&
           input(in).dims == output(out).dims;
  }
  void pair(unsigned in, unsigned out);
};
} // namespace

void Pairing::pair(unsigned in, unsigned out) {
  pairedInputs.insert(in);
  pairedOutputs.insert(out);
  function.setArgAttr(in, "lnn.role", b.getStringAttr("state"));
  function.setArgAttr(in, "lnn.next", b.getStringAttr(outputName(out)));
  function.setResultAttr(out, "lnn.role", b.getStringAttr("state"));
  function.setResultAttr(out, "lnn.prev", b.getStringAttr(inputName(in)));
}

LogicalResult Pairing::give(StringRef in, StringRef out) {
  auto error = [&](const Twine &message) {
    return emitError(function.getLoc())
           << "state '" << in << ":" << out << "'" << message.str();
  };
  std::optional<unsigned> argument, result;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (inputName(i) == in)
      argument = i;
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    if (outputName(i) == out)
      result = i;
  if (!argument)
    return error(": the model has no input '" + in + "'");
  if (!result)
    return error(": the model has no output '" + out + "'");
  if (!equalTypes(*argument, *result))
    return error(": the input is " + input(*argument).str() +
                 " and the output " + output(*result).str() +
                 "; they must be equal");
  if (pairedInputs.count(*argument) || pairedOutputs.count(*result))
    return error(" is given twice");
  pair(*argument, *result);
  return success();
}

void Pairing::guess() {
  llvm::StringMap<unsigned> outputs;
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    outputs[outputName(i)] = i;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    if (pairedInputs.count(i) ||
        function.getArgAttrOfType<StringAttr>(i, "lnn.role") == "dt")
      continue;
    for (const std::string &name : successors(inputName(i))) {
      auto it = outputs.find(name);
      if (it == outputs.end() || pairedOutputs.count(it->second) ||
          !equalTypes(i, it->second))
        continue;
      pair(i, it->second);
      break;
    }
  }
}

LogicalResult lnn::onnx::pairStates(
    func::FuncOp function, const Analysis &analysis,
    const std::vector<std::pair<std::string, std::string>> &given) {
  Pairing pairing(function, analysis);
  bool ok = true;
  for (const auto &[in, out] : given)
    ok &= succeeded(pairing.give(in, out));
  pairing.guess();
  return success(ok);
}
