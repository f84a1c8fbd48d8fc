//===- Ode.h - the dialect of dynamics --------------------------*- C++ -*-===//
#ifndef LNN_DIALECT_ODE_ODE_H
#define LNN_DIALECT_ODE_ODE_H

#include "lnn/Dialect/Ode/Tableaux.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "lnn/Dialect/Ode/OdeDialect.h.inc"
#define GET_ATTRDEF_CLASSES
#include "lnn/Dialect/Ode/OdeAttrs.h.inc"
#define GET_OP_CLASSES
#include "lnn/Dialect/Ode/OdeOps.h.inc"

#endif // LNN_DIALECT_ODE_ODE_H
