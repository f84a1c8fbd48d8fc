//===- LargeConstants.h - constants that can be given back -----*- C++ -*-===//
//
// An attribute of dense elements lives as long as its context. What passes make
// of weights is kept apart when it is large: it goes when it has been used.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_TRANSFORMS_LARGECONSTANTS_H
#define LNN_TRANSFORMS_LARGECONSTANTS_H

#include "mlir/IR/BuiltinAttributes.h"
#include <vector>

namespace lnn {

/// Elements of a type of whole bytes: dense where they are few (and can be read
/// in a dump), a resource called `name` otherwise.
mlir::ElementsAttr elementsOf(mlir::RankedTensorType type,
                              std::vector<char> bytes, llvm::StringRef name);

/// Gives back what a resource holds, which nothing may look at any more. Other
/// elements stay.
void dropBlob(mlir::ElementsAttr elements);

} // namespace lnn
#endif // LNN_TRANSFORMS_LARGECONSTANTS_H
