//===- SolveCanonicalize.cpp - folding of ode.solve -----------------------===//
#include "lnn/Dialect/Ode/Ode.h"

#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace lnn::ode;

LogicalResult SolveOp::fold(FoldAdaptor adaptor,
                            SmallVectorImpl<OpFoldResult> &results) {
  return failure();
}

void SolveOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                          MLIRContext *context) {}
