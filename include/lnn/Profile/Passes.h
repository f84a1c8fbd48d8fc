//===- Passes.h - measuring what a run spends its time on -------*- C++ -*-===//
#ifndef LNN_PROFILE_PASSES_H
#define LNN_PROFILE_PASSES_H

#include "lnn/Dialect/Lnn/Lnn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"

namespace lnn {
#define GEN_PASS_DECL
#include "lnn/Profile/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "lnn/Profile/Passes.h.inc"
} // namespace lnn
#endif // LNN_PROFILE_PASSES_H
