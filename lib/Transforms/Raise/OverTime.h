//===- OverTime.h - a scan's step for all steps at once ---------*- C++ -*-===//
#ifndef LNN_LIB_TRANSFORMS_RAISE_OVERTIME_H
#define LNN_LIB_TRANSFORMS_RAISE_OVERTIME_H

#include "Formula.h"

#include "lnn/Dialect/Lnn/Lnn.h"

namespace lnn::raise {

/// The variable of time.
constexpr unsigned timeVariable = Notation::maxVariables - 1;

/// Makes formulas of a scan's step ones of all of time, in another notation:
/// slices are their inputs' elements at that time.
class OverTime {
public:
  using Names = llvm::ArrayRef<mlir::AffineExpr>;
  OverTime(ScanOp scan, Notation &whole) : scan(scan), whole(whole) {}

  /// The formula, its variables renamed; null where it is of what only the body
  /// has, or of inputs that run in different directions.
  F of(F f, Names names);
  F of(F f);

  /// What a part of the formula is for all of time; null where nothing special.
  std::function<F(F, Names)> special;
  /// Called with each tensor from outside before it is read.
  std::function<void(mlir::Value)> reading;
  /// The direction of all inputs so far.
  std::optional<bool> reverse;

private:
  ScanOp scan;
  Notation &whole;
};

} // namespace lnn::raise
#endif // LNN_LIB_TRANSFORMS_RAISE_OVERTIME_H
