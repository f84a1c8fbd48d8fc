//===- OpsLoss.cpp - losses over class scores -----------------------------===//
#include "OpCompose.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

/// The mean, the sum or all of the losses; a mean is weighted as they are.
Value reduced(Composer &g, Value loss, Value weights) {
  StringRef reduction = g.strAttr("reduction", "mean");
  if (reduction == "none")
    return loss;
  auto sum = [&](Value v) {
    return g.node("ReduceSum", {v}, {g.attr("keepdims", int64_t(0))});
  };
  if (reduction == "sum")
    return sum(loss);
  if (reduction == "mean")
    return g.div(sum(loss), sum(weights));
  (void)g.error("reduction \"" + reduction + "\" is unknown");
  return {};
}

/// -scores[n, target, ...] * weight[target], nothing for targets to ignore.
LogicalResult negativeLogLikelihood(Composer &g, Value scores) {
  const ValueInfo &x = g.inInfo(0), &t = g.inInfo(1);
  if (!isFloat(x.elementType) || x.rank() < 2 || t.rank() != x.rank() - 1 ||
      !(t.elementType.isInteger(32) || t.elementType.isInteger(64)))
    return g.error("scores must be floats (batch, classes, ...) and targets "
                   "int32 or int64 (batch, ...); found " +
                   x.str() + " and " + t.str());
  Value target = g.in(1), ignored;
  Type type = x.elementType, index = t.elementType;
  if (g.hasAttr("ignore_index")) {
    Value which = g.number(g.intAttr("ignore_index", 0), index);
    ignored = g.node("Equal", {target, which});
    target = g.node("Where", {ignored, g.number(0, index), target});
  }
  Value weights = g.hasInput(2) ? g.node("Gather", {g.in(2), target})
                                : g.expand(g.number(1, type), t.dims);
  if (ignored)
    weights = g.node("Where", {ignored, g.number(0, type), weights});
  Value picked = g.node("GatherElements", {scores, g.unsqueeze(target, {1})},
                        {g.attr("axis", int64_t(1))});
  picked = g.node("Squeeze", {picked, g.integers({1})});
  Value loss = g.node("Neg", {g.mul(picked, weights)});
  Value y = reduced(g, loss, weights);
  g.give(0, y);
  return success(y || !g.ok());
}

LogicalResult nllLoss(Composer &g) { return negativeLogLikelihood(g, g.in(0)); }

LogicalResult softmaxCrossEntropy(Composer &g) {
  Value logs = g.node("LogSoftmax", {g.in(0)}, {g.attr("axis", int64_t(1))});
  g.give(1, logs);
  return negativeLogLikelihood(g, logs);
}

} // namespace

void addLossOps(std::vector<OpEntry> &t) {
  t.push_back(composed<nllLoss>("NegativeLogLikelihoodLoss", 2, 3, 12));
  t.push_back(
      composed<softmaxCrossEntropy>("SoftmaxCrossEntropyLoss", 2, 3, 12));
}

} // namespace lnn::onnx
