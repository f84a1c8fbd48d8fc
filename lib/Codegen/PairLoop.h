//===- PairLoop.h - a reduction two iterations at a time --------*- C++ -*-===//
#ifndef LNN_LIB_CODEGEN_PAIRLOOP_H
#define LNN_LIB_CODEGEN_PAIRLOOP_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace lnn {

/// The one reduction of a linalg.generic on tensors, over a known number of
/// terms, two of which become one. What varies with it is an operand twice,
/// with the even and with the odd elements; the last of an odd number comes
/// behind, alone.
class PairLoop {
public:
  PairLoop(mlir::linalg::GenericOp op, mlir::RewriterBase &rewriter)
      : op(op), rewriter(rewriter) {}

  /// True where the op has such a loop, by which operands are read plainly.
  bool find();
  bool varies(mlir::OpOperand &operand) {
    return op.getMatchingIndexingMap(&operand).isFunctionOfDim(loop);
  }
  /// The dimension of an operand that the loop reads.
  unsigned dimOf(mlir::OpOperand &operand);
  /// Its elements `from` ... `from + size` along the loop.
  mlir::Value part(mlir::OpOperand &operand, int64_t from, int64_t size);
  /// The operand [..., K, ...] as [..., K / 2, 2, ...], without the last of an
  /// odd number.
  mlir::Value inPairs(mlir::OpOperand &operand);
  /// The elements of a constant one, of f32: [..., K / 2, ...] of i32, a word
  /// for two.
  mlir::Value words(mlir::OpOperand &operand, mlir::ElementsAttr elements,
                    llvm::function_ref<uint32_t(float, float)> word);

  /// An operand of its own for what both terms of a pair read at once, [..., K
  /// / 2, ...]; null for the others.
  using Joint = llvm::function_ref<mlir::Value(mlir::OpOperand &)>;
  /// The inputs of the pair's body, then the accumulators; what is yielded.
  using Body = llvm::function_ref<llvm::SmallVector<mlir::Value>(
      mlir::OpBuilder &, mlir::ValueRange)>;
  /// Makes the loop over pairs and replaces the op, or, where their number is
  /// odd, puts it in front of what is left of the op.
  mlir::linalg::GenericOp replace(Joint joint, Body body);

private:
  mlir::linalg::GenericOp op;
  mlir::RewriterBase &rewriter;
  unsigned loop = 0;
  int64_t count = 0;
};

} // namespace lnn
#endif // LNN_LIB_CODEGEN_PAIRLOOP_H
