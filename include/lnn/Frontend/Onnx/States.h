//===- States.h - which output replaces which input -------------*- C++ -*-===//
#ifndef LNN_FRONTEND_ONNX_STATES_H
#define LNN_FRONTEND_ONNX_STATES_H

#include "lnn/Frontend/Onnx/Analysis.h"
#include <string>
#include <utility>
#include <vector>

namespace lnn::onnx {

/// Marks an input and the output that replaces it in the next call as a state:
/// the pairs in `given` (input, output), and those that their names say, where
/// both are of one type.
mlir::LogicalResult
pairStates(mlir::func::FuncOp function, const Analysis &analysis,
           const std::vector<std::pair<std::string, std::string>> &given);

} // namespace lnn::onnx
#endif // LNN_FRONTEND_ONNX_STATES_H
