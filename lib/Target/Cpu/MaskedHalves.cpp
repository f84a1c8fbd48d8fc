//===- MaskedHalves.cpp - masked accesses to f16 and bf16 as integers -----===//
//
// Where a processor has no masked access to elements of 16 bits, LLVM takes the
// vector apart; floats it takes apart through f32, calling a function of libgcc
// for each. Integers it moves.
//
//===----------------------------------------------------------------------===//
#include "lnn/Target/Cpu/Cpu.h"

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"

using namespace llvm;

/// The vector of as many integers, for one of halves.
static Type *integersLike(Type *type, LLVMContext &context) {
  auto *vector = dyn_cast<VectorType>(type);
  return vector && vector->getElementType()->is16bitFPTy()
             ? VectorType::get(Type::getInt16Ty(context), vector)
             : nullptr;
}

static void rewriteLoad(IntrinsicInst &load, Type *integers) {
  IRBuilder<> b(&load);
  Value *bits = b.CreateMaskedLoad(
      integers, load.getArgOperand(0), load.getParamAlign(0).valueOrOne(),
      load.getArgOperand(1), b.CreateBitCast(load.getArgOperand(2), integers));
  load.replaceAllUsesWith(b.CreateBitCast(bits, load.getType()));
  load.eraseFromParent();
}

static void rewriteStore(IntrinsicInst &store, Type *integers) {
  IRBuilder<> b(&store);
  b.CreateMaskedStore(
      b.CreateBitCast(store.getArgOperand(0), integers), store.getArgOperand(1),
      store.getParamAlign(1).valueOrOne(), store.getArgOperand(2));
  store.eraseFromParent();
}

void lnn::maskHalvesAsIntegers(Module &module) {
  SmallVector<IntrinsicInst *> found;
  for (Function &function : module)
    for (Instruction &instruction : instructions(function))
      if (auto *intrinsic = dyn_cast<IntrinsicInst>(&instruction))
        if (intrinsic->getIntrinsicID() == Intrinsic::masked_load ||
            intrinsic->getIntrinsicID() == Intrinsic::masked_store)
          found.push_back(intrinsic);
  for (IntrinsicInst *intrinsic : found) {
    bool isLoad = intrinsic->getIntrinsicID() == Intrinsic::masked_load;
    Type *type =
        isLoad ? intrinsic->getType() : intrinsic->getArgOperand(0)->getType();
    if (Type *integers = integersLike(type, module.getContext()))
      isLoad ? rewriteLoad(*intrinsic, integers)
             : rewriteStore(*intrinsic, integers);
  }
}
