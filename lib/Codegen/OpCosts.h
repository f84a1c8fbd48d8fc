//===- OpCosts.h - what operations on vectors cost, and which may move ----===//
//
// Of straight code after elementary functions have been expanded: what the
// passes that put operations into another order know of a processor.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_LIB_CODEGEN_OPCOSTS_H
#define LNN_LIB_CODEGEN_OPCOSTS_H

#include "mlir/IR/Operation.h"

namespace lnn {

/// Operations that begin in one cycle.
constexpr int64_t issueWidth = 2;
/// Cycles of a chain below which chains overlap as they are.
constexpr int64_t shortChain = 24;

/// A float or a vector.
bool isVectorLike(mlir::Value value);

/// An operation without regions that writes nothing.
bool canMove(mlir::Operation &op);

/// Cycles until a result can be used.
int64_t latencyOf(mlir::Operation &op);

/// What a processor does in no time, or beside the arithmetic: addresses, loads
/// that become operands, comparisons that become a minimum with a selection.
bool isFree(mlir::Operation &op);

/// True where a result is in a register until its last use.
bool keepsRegister(mlir::Operation &op);

/// Registers taken all the time by what `ops` read that is computed elsewhere:
/// constants as far as they are no more than `constants`, since more of them
/// are read from memory.
int64_t registersFromOutside(llvm::ArrayRef<mlir::Operation *> ops,
                             int64_t constants);

} // namespace lnn

#endif // LNN_LIB_CODEGEN_OPCOSTS_H
