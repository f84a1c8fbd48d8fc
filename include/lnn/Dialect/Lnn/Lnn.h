//===- Lnn.h - the dialect of networks --------------------------*- C++ -*-===//
#ifndef LNN_DIALECT_LNN_LNN_H
#define LNN_DIALECT_LNN_LNN_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "lnn/Dialect/Lnn/LnnDialect.h.inc"
#define GET_OP_CLASSES
#include "lnn/Dialect/Lnn/LnnOps.h.inc"

#endif // LNN_DIALECT_LNN_LNN_H
