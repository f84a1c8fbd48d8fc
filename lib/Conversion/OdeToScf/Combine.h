//===- Combine.h - elementwise arithmetic on states -------------*- C++ -*-===//
#ifndef LNN_LIB_CONVERSION_ODETOSCF_COMBINE_H
#define LNN_LIB_CONVERSION_ODETOSCF_COMBINE_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace lnn {

/// How an operand's dimensions meet those of the result.
enum class Align { Leading, Trailing };

/// An operand of an elementwise combination: a float, or a tensor that
/// broadcasts to the result.
struct Operand {
  mlir::Value value;
  Align align = Align::Trailing;
};

/// Scalar arithmetic within a combination's body. Values are of the type that
/// the result's elements are computed in.
class Scalar {
public:
  Scalar(mlir::OpBuilder &b, mlir::Location loc, mlir::Type type)
      : b(b), loc(loc), type(type) {}

  mlir::Value constant(double value);
  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value div(mlir::Value x, mlir::Value y);
  mlir::Value neg(mlir::Value x);
  /// x * y + z, rounded once.
  mlir::Value fma(mlir::Value x, mlir::Value y, mlir::Value z);
  mlir::Value exp(mlir::Value x);
  /// min(x, most); NaN where x is.
  mlir::Value atMost(mlir::Value x, double most);
  /// (1 - e^-x) / x, 1 at 0.
  mlir::Value phi(mlir::Value x);
  /// A float of any width in this one.
  mlir::Value convert(mlir::Value x, mlir::Type to);
  mlir::Value convert(mlir::Value x) { return convert(x, type); }
  mlir::Type getType() const { return type; }

private:
  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Type type;
};

/// The type that arithmetic on elements of `type` is done in.
mlir::Type computeType(mlir::Type type);

/// One linalg.generic over a tensor of `type` and `sizes`: its elements are
/// what `body` makes of the operands' elements. For a float type, the
/// arithmetic alone.
mlir::Value
combine(mlir::OpBuilder &b, mlir::Location loc, mlir::Type type,
        llvm::ArrayRef<mlir::OpFoldResult> sizes,
        llvm::ArrayRef<Operand> operands,
        llvm::function_ref<mlir::Value(Scalar &, mlir::ValueRange)> body);

} // namespace lnn
#endif // LNN_LIB_CONVERSION_ODETOSCF_COMBINE_H
