//===- LoopPlan.h - which loops become lanes, blocks and accumulators -----===//
#ifndef LNN_LIB_CODEGEN_LOOPPLAN_H
#define LNN_LIB_CODEGEN_LOOPPLAN_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include <optional>

namespace lnn {

/// How one linalg.generic, on tensors or buffers, becomes loops.
struct LoopPlan {
  /// Parallel loops, outermost first, vectorDim and rowDim not among them.
  llvm::SmallVector<unsigned> outer;
  /// Parallel loops inside of the one over blocks of vectors: what they share
  /// of a large operand is then read from the nearest cache.
  llvm::SmallVector<unsigned> inside;
  /// Reduction loops, outermost first. Empty where accumulators live in memory
  /// (see `accumulates`).
  llvm::SmallVector<unsigned> reductions;
  /// The loop in the lanes, if any, its lanes, and how many vectors make a
  /// block.
  std::optional<unsigned> vectorDim;
  int64_t lanes = 1, vectors = 1;
  /// A loop of which several iterations make one block, if any.
  std::optional<unsigned> rowDim;
  int64_t rows = 1;
  /// Loops of which whole blocks of rows have been computed: see planLeftOver.
  llvm::SmallDenseSet<unsigned> left;
  /// Blocks of vectors and reductions become straight code: see sparseWeights.
  bool unrolled = false;
  /// Threads share the iterations of the outermost loop of several, or, where
  /// there is none, the blocks of vectors.
  bool parts = false;
};

/// Whether a plan's sums are so many that sharing them saves more than threads
/// take to meet; false where nobody knows before the model runs.
bool isWorthParts(mlir::linalg::GenericOp op, const LoopPlan &plan);

/// By how many elements an operand's address moves when loop `dim` advances by
/// one; none where that isn't a constant. In an operand of panels, indexed by
/// `d floordiv P` and `d mod P`, it is the step within a panel where P is a
/// multiple of `lanes`: vectors begin at multiples of their lanes.
std::optional<int64_t> addressStep(mlir::AffineMap map, mlir::ShapedType type,
                                   unsigned dim, int64_t lanes = 1);

/// True where `op` computes the same value in every lane, given which of its
/// operands do.
bool isVectorizable(mlir::Operation &op);

/// Chooses for vectors of at most `maxLanes` f32 lanes.
LoopPlan planLoops(mlir::linalg::GenericOp op, int64_t maxLanes);

/// For rows that are left over when blocks of `plan.rows` have been computed:
/// blocks along another loop in which the matrix does not vary. Where there is
/// none, for one row that is alone: it has blocks of more vectors.
LoopPlan planLeftOver(mlir::linalg::GenericOp op, LoopPlan plan);

/// The dimension that planLoops would put into lanes if the layout of the
/// operands at `free` were ours to choose.
std::optional<unsigned> chooseVectorDim(mlir::linalg::GenericOp op,
                                        int64_t maxLanes,
                                        llvm::ArrayRef<unsigned> free);

/// Where a generic op's accumulators begin with something else than what its
/// outputs hold. An array with one attribute for each output: a number, unit,
/// or, where `takeStarts` has been, an array of the one position of an input.
constexpr llvm::StringLiteral initialValues = "lnn.initial";

/// What a plan makes of an op, and what an iteration of the innermost loop
/// costs, in words.
std::string describe(mlir::linalg::GenericOp op, const LoopPlan &plan);

/// Turns each lnn.start of the body into such an attribute.
void takeStarts(mlir::linalg::GenericOp op, mlir::RewriterBase &rewriter);
/// The input that the accumulators of an output begin with, if any.
mlir::OpOperand *initialInput(mlir::linalg::GenericOp op,
                              mlir::OpOperand &output);
/// The number that they begin with; null where it isn't one.
mlir::TypedAttr initialNumber(mlir::linalg::GenericOp op,
                              mlir::OpOperand &output);

/// On an op or what it is in: the rows and vectors of a block, an array of two
/// numbers, where they are not to be chosen by cost; 0 leaves one to it.
constexpr llvm::StringLiteral blockShape = "lnn.block";

/// On a sum over packed synapses: the operands that weigh its terms, an array
/// of numbers. A vector of terms whose weights are all zero is left out;
/// operand 0 says where each synapse comes from.
constexpr llvm::StringLiteral sparseWeights = "lnn.sparse";

/// A `memref.load` of the body at the place that a synapse comes from; the
/// number of the index that is looked up, -1 for any other op.
int tableIndex(mlir::Operation &op);

/// In `memref.load %m[%i, %j]` of a body: true where the last index is the loop
/// `dim` itself, and the others don't depend on it.
bool isContiguousBodyLoad(mlir::Operation &op, unsigned dim,
                          const llvm::DenseSet<mlir::Value> &varying);

/// The values of the body that differ from lane to lane when `dim` is in the
/// lanes.
llvm::DenseSet<mlir::Value> varyingValues(mlir::linalg::GenericOp op,
                                          unsigned dim);

} // namespace lnn
#endif // LNN_LIB_CODEGEN_LOOPPLAN_H
