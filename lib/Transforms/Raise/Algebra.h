//===- Algebra.h - formulas as sums of terms and products of factors ------===//
#ifndef LNN_LIB_TRANSFORMS_RAISE_ALGEBRA_H
#define LNN_LIB_TRANSFORMS_RAISE_ALGEBRA_H

#include "Formula.h"

namespace lnn::raise {

/// coefficient * over... / under..., whatever it was written as. Factors are in
/// one order, so that equal products compare equal.
struct Product {
  double coefficient = 1;
  llvm::SmallVector<F> over, under;

  bool operator==(const Product &other) const {
    return coefficient == other.coefficient && over == other.over &&
           under == other.under;
  }
  bool isNumber() const { return over.empty() && under.empty(); }
  /// The one factor, where there is no other and the coefficient is 1.
  F single() const {
    return coefficient == 1 && under.empty() && over.size() == 1 ? over[0]
                                                                 : nullptr;
  }
  uint64_t variables() const;
};

/// The factors of a formula.
Product factorsOf(F formula);
/// The terms of a formula, each as its factors.
llvm::SmallVector<Product> termsOf(F formula);
/// The terms with all products of sums multiplied out and equal ones added up;
/// none where there would be too many.
std::optional<llvm::SmallVector<Product>> expandedTermsOf(F formula);
/// What is left of a product without the factors of another; none where it
/// lacks one of them.
std::optional<Product> quotient(const Product &product, const Product &by);
/// The product with those factors only that are wanted, and the rest. The
/// coefficient goes to the rest.
std::pair<Product, Product> partition(const Product &product,
                                      llvm::function_ref<bool(F)> wanted);
/// 1 / product.
Product inverse(Product product);

/// Formulas of products and of sums; null for products of nothing but 1.
F formulaOf(const Product &product, Notation &notation, mlir::Type type);
F formulaOf(llvm::ArrayRef<Product> terms, Notation &notation, mlir::Type type);

} // namespace lnn::raise
#endif // LNN_LIB_TRANSFORMS_RAISE_ALGEBRA_H
