//===- Passes.h - conversions between the levels ----------------*- C++ -*-===//
#ifndef LNN_CONVERSION_PASSES_H
#define LNN_CONVERSION_PASSES_H

#include "mlir/Pass/Pass.h"

namespace lnn {
#define GEN_PASS_DECL
#include "lnn/Conversion/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lnn/Conversion/Passes.h.inc"
} // namespace lnn
#endif // LNN_CONVERSION_PASSES_H
