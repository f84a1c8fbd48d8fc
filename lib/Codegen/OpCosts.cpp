//===- OpCosts.cpp - what operations on vectors cost, and which may move --===//
#include "OpCosts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace lnn {

bool isVectorLike(Value value) {
  return isa<VectorType, FloatType>(value.getType());
}

/// Intrinsics that compute and nothing else.
static bool isArithmetic(LLVM::CallIntrinsicOp op) {
  return op.getIntrin().starts_with("llvm.x86.avx512.mask.") ||
         op.getIntrin().starts_with("llvm.x86.avx512.vpdpbusd.") ||
         op.getIntrin().starts_with("llvm.x86.avx512bf16.");
}

bool canMove(Operation &op) {
  if (op.getNumRegions() != 0)
    return false;
  if (auto intrinsic = dyn_cast<LLVM::CallIntrinsicOp>(op))
    return isArithmetic(intrinsic);
  return isMemoryEffectFree(&op) || hasSingleEffect<MemoryEffects::Read>(&op);
}

int64_t latencyOf(Operation &op) {
  if (op.getNumResults() == 0 || !isVectorLike(op.getResult(0)))
    return 0;
  return llvm::TypeSwitch<Operation *, int64_t>(&op)
      .Case<arith::DivFOp, math::SqrtOp>([](auto) { return 16; })
      .Case<arith::ConstantOp>([](auto) { return 0; })
      .Case<arith::AndIOp, arith::OrIOp, arith::XOrIOp, arith::AddIOp,
            arith::SubIOp, arith::ShLIOp, arith::ShRUIOp, arith::ShRSIOp,
            arith::SelectOp, arith::NegFOp>([](auto) { return 1; })
      .Case<arith::BitcastOp>([](auto) { return 0; })
      .Default([](auto) { return 4; });
}

/// A comparison of which a selection makes a minimum or maximum.
static bool isPartOfSelection(Operation &op) {
  return isa<arith::CmpFOp>(op) && op.hasOneUse() &&
         isa<arith::SelectOp>(*op.user_begin());
}

bool isFree(Operation &op) {
  return op.getNumResults() == 0 || !isVectorLike(op.getResult(0)) ||
         isa<arith::ConstantOp, arith::BitcastOp, vector::BroadcastOp,
             LLVM::ConstantOp>(op) ||
         isPartOfSelection(op) || hasSingleEffect<MemoryEffects::Read>(&op);
}

bool keepsRegister(Operation &op) {
  return llvm::any_of(op.getResults(), isVectorLike) &&
         !isa<arith::ConstantOp>(op) && !isPartOfSelection(op) &&
         !hasSingleEffect<MemoryEffects::Read>(&op);
}

int64_t registersFromOutside(ArrayRef<Operation *> ops, int64_t mostConstants) {
  llvm::SmallPtrSet<Operation *, 32> inside(ops.begin(), ops.end());
  llvm::SmallDenseSet<Value> outside, constants;
  for (Operation *op : ops)
    for (Value operand : op->getOperands()) {
      if (!isVectorLike(operand) || inside.contains(operand.getDefiningOp()))
        continue;
      (matchPattern(operand, m_Constant()) ? constants : outside)
          .insert(operand);
    }
  return outside.size() + std::min<int64_t>(constants.size(), mostConstants);
}

} // namespace lnn
