//===- Work.h - operations and bytes of structured operations ---*- C++ -*-===//
#ifndef LNN_LIB_PROFILE_WORK_H
#define LNN_LIB_PROFILE_WORK_H

#include "mlir/IR/Builders.h"

namespace lnn {

/// What one execution takes, as `index` values.
struct Work {
  mlir::Value operations, bytes;
};

/// Sums what these operations take, with code at the builder's place, which
/// they dominate. Only linalg operations and copies count.
Work countWork(mlir::OpBuilder &b, mlir::Location loc,
               mlir::ArrayRef<mlir::Operation *> ops);

} // namespace lnn
#endif // LNN_LIB_PROFILE_WORK_H
