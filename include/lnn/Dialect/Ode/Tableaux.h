//===- Tableaux.h - Runge-Kutta methods as data -----------------*- C++ -*-===//
#ifndef LNN_DIALECT_ODE_TABLEAUX_H
#define LNN_DIALECT_ODE_TABLEAUX_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <vector>

namespace lnn::ode {

/// A Butcher tableau: k_i = f(t + c_i dt, h + dt sum_j a_ij k_j),
/// h' = h + dt sum_i b_i k_i.
struct Tableau {
  llvm::StringLiteral name;
  unsigned order;
  std::vector<double> c;
  /// One row a stage; what a row leaves out at its end is zero.
  std::vector<std::vector<double>> a;
  std::vector<double> b;
  /// The weights of a second solution, of an order lower, whose difference
  /// from the first estimates the error; empty where there is none.
  unsigned embeddedOrder = 0;
  std::vector<double> embedded = {};

  unsigned stages() const { return b.size(); }
  bool hasErrorEstimate() const { return !embedded.empty(); }
  double coefficient(unsigned i, unsigned j) const {
    return j < a[i].size() ? a[i][j] : 0.0;
  }
  /// Does every stage depend on those before it alone?
  bool isExplicit() const;
};

/// Every Runge-Kutta method there is.
llvm::ArrayRef<Tableau> allTableaux();

/// The one of that name, or null.
const Tableau *lookupTableau(llvm::StringRef name);

/// Methods that are not Runge-Kutta: they take c dh/dt = -a h + b apart.
llvm::ArrayRef<llvm::StringLiteral> semilinearSchemes();
bool isSemilinearScheme(llvm::StringRef name);

} // namespace lnn::ode
#endif // LNN_DIALECT_ODE_TABLEAUX_H
