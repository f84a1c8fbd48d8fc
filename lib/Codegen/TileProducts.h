//===- TileProducts.h - products on a processor's matrix tiles --*- C++ -*-===//
#ifndef LNN_LIB_CODEGEN_TILEPRODUCTS_H
#define LNN_LIB_CODEGEN_TILEPRODUCTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace lnn {

/// On a linalg.generic of the form that TileProducts.cpp makes: its outputs
/// begin with zeros, whatever they hold.
constexpr llvm::StringLiteral tileProduct = "lnn.tiles";

/// Makes such ops of products with constant matrices. Returns how many
/// products there were.
unsigned makeTileProducts(mlir::func::FuncOp function,
                          mlir::RewriterBase &rewriter);
/// True for such an op on plain buffers.
bool isTileProduct(mlir::linalg::GenericOp op);
/// Emits the loops of one, on buffers.
void emitTileProduct(mlir::linalg::GenericOp op, mlir::RewriterBase &rewriter);

} // namespace lnn
#endif // LNN_LIB_CODEGEN_TILEPRODUCTS_H
