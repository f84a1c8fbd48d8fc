//===- Activations.cpp - folding of the activations on constants ----------===//
#include "lnn/Dialect/Lnn/Lnn.h"

#include "mlir/Dialect/CommonFolders.h"
#include <cmath>

using namespace mlir;
using namespace lnn;

/// The function of a constant, computed in double and rounded once to its type.
static OpFoldResult foldUnary(ArrayRef<Attribute> operands,
                              double (*function)(double)) {
  return constFoldUnaryOp<FloatAttr, FloatAttr::ValueType, void>(
      operands, [&](const APFloat &x) -> std::optional<APFloat> {
        const llvm::fltSemantics &type = x.getSemantics();
        if (APFloat::semanticsPrecision(type) > 53)
          return std::nullopt;
        bool inexact;
        APFloat wide = x;
        wide.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                     &inexact);
        APFloat result(function(wide.convertToDouble()));
        result.convert(type, APFloat::rmNearestTiesToEven, &inexact);
        return result;
      });
}

static double sigmoidOf(double x) { return 1 / (1 + std::exp(-x)); }

OpFoldResult SigmoidOp::fold(FoldAdaptor adaptor) {
  return foldUnary(adaptor.getOperands(), sigmoidOf);
}

OpFoldResult SoftplusOp::fold(FoldAdaptor adaptor) {
  return foldUnary(adaptor.getOperands(), [](double x) {
    return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
  });
}

OpFoldResult SiluOp::fold(FoldAdaptor adaptor) {
  // x / (1 + inf) at minus infinity is a NaN; the limit is zero.
  return foldUnary(adaptor.getOperands(), [](double x) {
    return x == -INFINITY ? -0.0 : x * sigmoidOf(x);
  });
}

OpFoldResult GeluOp::fold(FoldAdaptor adaptor) {
  return foldUnary(adaptor.getOperands(), [](double x) {
    return x == -INFINITY ? -0.0 : 0.5 * x * std::erfc(-x / std::sqrt(2.0));
  });
}

OpFoldResult GateOp::fold(FoldAdaptor adaptor) {
  return foldUnary(adaptor.getOperands(),
                   [](double x) { return 1 / (1 + std::exp2(x)); });
}

OpFoldResult GateDenominatorOp::fold(FoldAdaptor adaptor) {
  return foldUnary(adaptor.getOperands(),
                   [](double x) { return 1 + std::exp2(x > 62 ? 62 : x); });
}
