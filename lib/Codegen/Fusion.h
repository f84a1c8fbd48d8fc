//===- Fusion.h - the parts of lnn-fuse that are not upstream's -----------===//
#ifndef LNN_LIB_CODEGEN_FUSION_H
#define LNN_LIB_CODEGEN_FUSION_H

#include "lnn/Dialect/Lnn/Lnn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/PatternMatch.h"

namespace lnn {

/// The elements of a constant tensor of f32 or f64; null for any other value.
mlir::DenseElementsAttr floatConstant(mlir::Value value);

/// Merges reductions over the same loops that read a value in common. Returns
/// how many disappeared.
unsigned mergeSiblings(mlir::func::FuncOp function,
                       mlir::RewriterBase &rewriter);

/// Makes reductions of all dimensions to a largest or smallest element ones of
/// columns, and then of these. Returns how many.
unsigned splitExtrema(mlir::func::FuncOp function,
                      mlir::RewriterBase &rewriter);

/// Computes what depends on constant operands alone, and regroups sums and
/// products so that more does. Returns how many parameters were folded.
unsigned foldParameters(mlir::func::FuncOp function,
                        mlir::RewriterBase &rewriter);

/// Makes sums of gates, of which most have weights of zero, sums over those
/// that exist. Returns how many.
unsigned packSynapses(mlir::func::FuncOp function, mlir::RewriterBase &rewriter,
                      int64_t lanes);

/// Of sums of weighted gates, makes two terms one with one division. Returns
/// how many sums.
unsigned pairGates(mlir::func::FuncOp function, mlir::RewriterBase &rewriter);

/// What `sum` adds to `accumulator`; null where it is no such sum.
mlir::Value addedTerm(mlir::Value accumulator, mlir::Value sum);
/// True where `sum` is `accumulator` and a gate times a weight.
bool findGatedTerm(mlir::Value accumulator, mlir::Value sum, GateOp &gate,
                   mlir::Value &weight);
/// Of synapses, so few that only those which exist are computed. Such sums are
/// never paired, whatever else the target makes of them.
bool isMostlyZero(int64_t nonzero, int64_t all);

/// How constant matrices are stored.
enum class WeightType { F32, BF16, Int8 };
std::optional<WeightType> weightTypeOf(llvm::StringRef name);
/// Rounded to nearest, ties to even; the largest number for what is beyond it,
/// zero for what would be denormal.
uint16_t toBF16(float value);
/// Makes sums of products with constant matrices ones of pairs of bf16
/// (lnn.pair_dot). Returns how many.
unsigned makePairProducts(mlir::func::FuncOp function,
                          mlir::RewriterBase &rewriter);
/// Makes sums of products of 8-bit integers with constants ones of four each
/// (lnn.quad_dot), with the same results. Returns how many.
unsigned makeQuadProducts(mlir::func::FuncOp function,
                          mlir::RewriterBase &rewriter);
/// Stores the constant matrices of sums of products in fewer bytes. Returns how
/// many.
unsigned narrowWeights(mlir::func::FuncOp function,
                       mlir::RewriterBase &rewriter, WeightType type);

/// Constant elements that can be read and moved: of whole bytes and not all
/// equal; null for any other value.
mlir::ElementsAttr packable(mlir::Value value);
llvm::ArrayRef<char> bytesOf(mlir::ElementsAttr elements);
/// Those of f32.
llvm::ArrayRef<float> valuesOf(mlir::ElementsAttr elements);
/// A constant matrix of finite f32 that a reduction and one other loop or more
/// read; null for any other operand.
mlir::ElementsAttr constantMatrix(mlir::linalg::GenericOp op,
                                  mlir::OpOperand &operand);

/// Elements `from` ... `from + size` of a packable constant along one
/// dimension.
mlir::Value constantPart(mlir::OpBuilder &b, mlir::Location loc,
                         mlir::ElementsAttr elements, unsigned dim,
                         int64_t from, int64_t size);
/// Parts of a constant that sums read become constants of their own, which can
/// be packed. Returns how many.
unsigned cutConstants(mlir::func::FuncOp function,
                      mlir::RewriterBase &rewriter);

/// Transposes constant operands so that the loop which goes into lanes is their
/// last dimension, and cuts matrices into panels as wide as a block of vectors
/// of `lanes`. Returns how many.
unsigned packConstants(mlir::func::FuncOp function,
                       mlir::RewriterBase &rewriter, int64_t lanes);

/// Reductions whose outputs begin as fills get the fill's value as an attribute
/// and an output whose contents don't matter: nothing is stored only to be read
/// once. Returns how many.
unsigned startFromConstants(mlir::func::FuncOp function,
                            mlir::RewriterBase &rewriter);

} // namespace lnn
#endif // LNN_LIB_CODEGEN_FUSION_H
