//===- MathX86.cpp - instructions of x86 that elementary functions use ----===//
#include "MathFunctions.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace lnn {

static int64_t lanesOf(Num x) {
  auto type = dyn_cast<VectorType>(x.v.getType());
  return type && type.getRank() == 1 ? type.getNumElements() : 1;
}

bool hasRemainder(Num x) {
  int64_t lanes = lanesOf(x);
  return x.b->avx512 && !isDouble(x) &&
         (lanes == 4 || lanes == 8 || lanes == 16);
}

/// `name` with the vectors' width; no lane is masked, and what a masked lane
/// would be is x.
static Num call(StringRef name, Num x, ArrayRef<Value> before,
                ArrayRef<Value> after) {
  Builder &b = *x.b;
  int64_t lanes = lanesOf(x);
  SmallVector<Value> operands{x.v};
  llvm::append_range(operands, before);
  operands.push_back(x.v);
  IntegerType mask = b.getIntegerType(lanes == 16 ? 16 : 8);
  operands.push_back(arith::ConstantOp::create(b, b.getIntegerAttr(mask, -1)));
  llvm::append_range(operands, after);
  std::string full =
      ("llvm.x86.avx512.mask." + name + ".ps." + Twine(lanes * 32)).str();
  auto op = LLVM::CallIntrinsicOp::create(b, x.v.getType(),
                                          b.getStringAttr(full), operands);
  return {x.b, op.getResult(0)};
}

static Value immediate(Builder &b, int64_t value) {
  return arith::ConstantOp::create(b, b.getI32IntegerAttr(value));
}

Num remainder(Num x) {
  constexpr int64_t nearest = 0, currentRounding = 4;
  SmallVector<Value> after;
  if (lanesOf(x) == 16)
    after.push_back(immediate(*x.b, currentRounding));
  return call("reduce", x, immediate(*x.b, nearest), after);
}

Num scaleBy(Num factor, Num x) {
  constexpr int64_t currentRounding = 4;
  SmallVector<Value> after;
  if (lanesOf(x) == 16)
    after.push_back(immediate(*x.b, currentRounding));
  return call("scalef", factor, x.v, after);
}

} // namespace lnn
