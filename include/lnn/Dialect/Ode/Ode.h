//===- Ode.h - the dialect of dynamics --------------------------*- C++ -*-===//
#ifndef LNN_DIALECT_ODE_ODE_H
#define LNN_DIALECT_ODE_ODE_H

#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"

#include "lnn/Dialect/Ode/OdeDialect.h.inc"

#endif // LNN_DIALECT_ODE_ODE_H
