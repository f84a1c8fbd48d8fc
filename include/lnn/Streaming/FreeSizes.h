//===- FreeSizes.h - sizes that an export fixed become free -----*- C++ -*-===//
#ifndef LNN_STREAMING_FREESIZES_H
#define LNN_STREAMING_FREESIZES_H

#include "lnn/Streaming/Probe.h"

namespace lnn::streaming {

/// Makes dimensions of the arguments, all of one size, the symbol `name`.
/// Reports an error naming the node that fixes the size, where one does.
mlir::LogicalResult freeSize(mlir::func::FuncOp function,
                             llvm::ArrayRef<ArgumentDim> dims,
                             llvm::StringRef name);

/// The name of an argument in the user's model.
std::string argumentName(mlir::func::FuncOp function, unsigned index);

} // namespace lnn::streaming
#endif // LNN_STREAMING_FREESIZES_H
