//===- LoopEmitter.h - loops over vectors for one linalg.generic ----------===//
#ifndef LNN_LIB_CODEGEN_LOOPEMITTER_H
#define LNN_LIB_CODEGEN_LOOPEMITTER_H

#include "LoopPlan.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace lnn {

/// Emits the loops of one linalg.generic on buffers, as a plan says. A block is
/// `rows` x `vectors` points, a point being one scalar or vector of results.
class LoopEmitter {
public:
  LoopEmitter(mlir::linalg::GenericOp op, const LoopPlan &plan,
              mlir::OpBuilder &builder);
  void emit();

private:
  /// The extent of one block, and where its last vector ends.
  struct BlockShape {
    int64_t rows = 1, vectors = 1;
    mlir::Value mask;      ///< of the last vector; null where it is whole
    int64_t lastLanes = 0; ///< lanes of the last vector, where known
  };
  using Body =
      llvm::function_ref<void(mlir::Value iv, int64_t count, bool last)>;

  mlir::Value index(int64_t value);
  mlir::Value extent(unsigned dim);
  mlir::Value start(unsigned dim);
  mlir::Value add(mlir::Value a, int64_t offset);

  void emitNest();
  void emitOuter(unsigned level);
  void emitParts(mlir::Value units, int64_t step, mlir::Value backwards,
                 llvm::function_ref<void(mlir::Value)> inner);
  void emitVectors();
  mlir::Value turnsBack(int64_t blocks);
  void emitInside(unsigned level, const BlockShape &shape);
  void emitRows(BlockShape shape);
  void emitBlock(const BlockShape &shape);
  mlir::Value initial(mlir::OpOperand &output, int64_t row, int64_t vector);
  llvm::SmallVector<mlir::Value>
  emitReductions(unsigned level, llvm::ArrayRef<mlir::Value> accumulators);
  llvm::SmallVector<mlir::Value>
  emitSynapses(llvm::ArrayRef<mlir::Value> accumulators);
  bool hasSynapse(int64_t f);
  mlir::Value emitTableLoad(mlir::memref::LoadOp load, int table,
                            mlir::IRMapping &mapping);
  mlir::Value loadRow(mlir::Value memref, mlir::ValueRange at, unsigned dim);
  llvm::SmallVector<mlir::Value>
  emitPoints(llvm::ArrayRef<mlir::Value> accumulators);
  llvm::SmallVector<mlir::Value>
  emitPoint(int64_t row, int64_t vector,
            llvm::ArrayRef<mlir::Value> accumulators);
  void emitBodyOp(mlir::Operation &op, int64_t row, int64_t vector,
                  mlir::IRMapping &mapping);
  mlir::Value emitIndex(unsigned dim, int64_t row, int64_t vector);

  void loadOperandsAt(int level);
  int levelOf(mlir::AffineMap map) const;
  llvm::SmallVector<mlir::Value> indices(mlir::AffineMap map, int64_t row,
                                         int64_t vector,
                                         mlir::Value vectorIv = {});
  mlir::Value maskOf(int64_t vector) const;
  mlir::Value load(mlir::OpOperand &operand, int64_t row, int64_t vector);
  mlir::Value gather(mlir::OpOperand &operand, int64_t row, int64_t vector);
  mlir::Value loadStrided(mlir::OpOperand &operand, int64_t row,
                          int64_t vector);
  mlir::Value loadVector(mlir::Value memref, mlir::ValueRange at,
                         int64_t vector);
  void store(mlir::OpOperand &operand, int64_t row, int64_t vector,
             mlir::Value value);
  void scatter(mlir::OpOperand &operand, int64_t row, int64_t vector,
               mlir::Value value);
  bool isContiguous(mlir::OpOperand &operand);
  mlir::VectorType vectorOf(mlir::Type element) const {
    return mlir::VectorType::get({plan.lanes}, element);
  }
  mlir::Value toVector(mlir::Value value);
  bool dependsOnLanes(mlir::AffineMap map) const {
    return plan.vectorDim && map.isFunctionOfDim(*plan.vectorDim);
  }

  mlir::linalg::GenericOp op;
  LoopPlan plan;
  bool toShare = false; ///< the loop that threads share is still to come
  mlir::ImplicitLocOpBuilder b;
  mlir::Block &body;
  llvm::SmallVector<mlir::Range, 4> ranges;
  llvm::SmallVector<mlir::Value> from; ///< where loops begin; null for 0
  std::optional<unsigned> single; ///< a loop of which one iteration is left
  int64_t fewestRows = 1; ///< of a block, where nobody knows how many there are
  llvm::SmallVector<mlir::Value> ivs; ///< the first point's, by loop
  llvm::DenseSet<mlir::Value> varying;
  BlockShape block;
  /// Rows that synapses come from: by the load that they stand for.
  llvm::DenseMap<mlir::Operation *, mlir::Value> tableRows;
  /// Inputs loaded for the points of this block: (operand, row, vector).
  llvm::DenseMap<std::tuple<unsigned, int64_t, int64_t>, mlir::Value> loaded;
};

} // namespace lnn
#endif // LNN_LIB_CODEGEN_LOOPEMITTER_H
