//===- Wiring.h - which synapses exist --------------------------*- C++ -*-===//
#ifndef LNN_DIALECT_LNN_WIRING_H
#define LNN_DIALECT_LNN_WIRING_H

#include "lnn/Dialect/Lnn/Lnn.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#define GET_ATTRDEF_CLASSES
#include "lnn/Dialect/Lnn/LnnAttrs.h.inc"

#endif // LNN_DIALECT_LNN_WIRING_H
