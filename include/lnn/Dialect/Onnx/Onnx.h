//===- Onnx.h - the import-level dialect ------------------------*- C++ -*-===//
#ifndef LNN_DIALECT_ONNX_ONNX_H
#define LNN_DIALECT_ONNX_ONNX_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "lnn/Dialect/Onnx/OnnxDialect.h.inc"
#define GET_OP_CLASSES
#include "lnn/Dialect/Onnx/OnnxOps.h.inc"

#endif // LNN_DIALECT_ONNX_ONNX_H
