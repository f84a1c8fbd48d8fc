//===- TableauxTest.cpp - Runge-Kutta tables against the order conditions -===//
#include "lnn/Dialect/Ode/Tableaux.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <set>

using namespace lnn::ode;

namespace {

/// A rooted tree, as the sorted list of what hangs from its root.
struct Tree {
  std::vector<Tree> children;
  bool operator<(const Tree &other) const { return children < other.children; }
  unsigned size() const {
    unsigned n = 1;
    for (const Tree &child : children)
      n += child.size();
    return n;
  }
  /// gamma of Butcher's theory: the product of the sizes of all subtrees.
  double density() const {
    double product = size();
    for (const Tree &child : children)
      product *= child.density();
    return product;
  }
};

/// The trees made of `tree` by hanging one more leaf somewhere.
void grow(const Tree &tree, std::set<Tree> &grown) {
  auto add = [&](Tree larger) {
    std::sort(larger.children.begin(), larger.children.end());
    grown.insert(larger);
  };
  Tree leaf = tree;
  leaf.children.emplace_back();
  add(leaf);
  for (size_t i = 0; i < tree.children.size(); ++i) {
    std::set<Tree> inner;
    grow(tree.children[i], inner);
    for (const Tree &child : inner) {
      Tree larger = tree;
      larger.children[i] = child;
      add(larger);
    }
  }
}

std::vector<std::set<Tree>> treesUpTo(unsigned order) {
  std::vector<std::set<Tree>> trees(order + 1);
  trees[1].insert(Tree());
  for (unsigned n = 2; n <= order; ++n)
    for (const Tree &tree : trees[n - 1])
      grow(tree, trees[n]);
  return trees;
}

/// For each stage, the product over the children of sum_j a_ij Phi_j(child).
std::vector<double> stageWeights(const Tableau &t, const Tree &tree) {
  std::vector<double> product(t.stages(), 1.0);
  for (const Tree &child : tree.children) {
    std::vector<double> inner = stageWeights(t, child);
    for (unsigned i = 0; i < t.stages(); ++i) {
      double sum = 0;
      for (unsigned j = 0; j < t.stages(); ++j)
        sum += t.coefficient(i, j) * inner[j];
      product[i] *= sum;
    }
  }
  return product;
}

/// The largest defect of sum_i b_i Phi_i(tree) = 1 / gamma(tree) over the trees
/// of one size.
double defect(const Tableau &t, const std::vector<double> &b,
              const std::set<Tree> &trees) {
  double worst = 0;
  for (const Tree &tree : trees) {
    std::vector<double> phi = stageWeights(t, tree);
    double sum = 0;
    for (unsigned i = 0; i < t.stages(); ++i)
      sum += b[i] * phi[i];
    worst = std::max(worst, std::abs(sum - 1 / tree.density()));
  }
  return worst;
}

/// What rounding leaves: the sums are of terms of up to a few hundreds.
constexpr double rounding = 2e-13;

} // namespace

TEST(Tableaux, NumbersOfTrees) {
  auto trees = treesUpTo(9);
  const size_t known[] = {0, 1, 1, 2, 4, 9, 20, 48, 115, 286};
  for (unsigned n = 1; n <= 9; ++n)
    EXPECT_EQ(trees[n].size(), known[n]) << n;
}

TEST(Tableaux, Shapes) {
  std::set<std::string> names;
  for (const Tableau &t : allTableaux()) {
    SCOPED_TRACE(t.name.str());
    EXPECT_TRUE(names.insert(t.name.str()).second);
    EXPECT_EQ(lookupTableau(t.name), &t);
    EXPECT_FALSE(isSemilinearScheme(t.name));
    EXPECT_EQ(t.c.size(), t.stages());
    EXPECT_EQ(t.a.size(), t.stages());
    for (const auto &row : t.a)
      EXPECT_LE(row.size(), t.stages());
    EXPECT_EQ(t.hasErrorEstimate(), t.embeddedOrder != 0);
    if (t.hasErrorEstimate())
      EXPECT_EQ(t.embedded.size(), t.stages());
  }
  EXPECT_EQ(lookupTableau("rk5"), nullptr);
}

TEST(Tableaux, RowSums) {
  for (const Tableau &t : allTableaux())
    for (unsigned i = 0; i < t.stages(); ++i) {
      double sum = 0;
      for (unsigned j = 0; j < t.stages(); ++j)
        sum += t.coefficient(i, j);
      EXPECT_NEAR(sum, t.c[i], 2e-14) << t.name.str() << " row " << i;
    }
}

/// Each method is of its order, and of no higher one.
TEST(Tableaux, OrderConditions) {
  auto trees = treesUpTo(9);
  for (const Tableau &t : allTableaux()) {
    for (unsigned n = 1; n <= t.order; ++n)
      EXPECT_LE(defect(t, t.b, trees[n]), rounding)
          << t.name.str() << " order " << n;
    EXPECT_GE(defect(t, t.b, trees[t.order + 1]), 1e-7) << t.name.str();
    if (!t.hasErrorEstimate())
      continue;
    for (unsigned n = 1; n <= t.embeddedOrder; ++n)
      EXPECT_LE(defect(t, t.embedded, trees[n]), rounding)
          << t.name.str() << " embedded, order " << n;
    EXPECT_GE(defect(t, t.embedded, trees[t.embeddedOrder + 1]), 1e-7)
        << t.name.str() << " embedded";
  }
}

TEST(Tableaux, Explicit) {
  const std::set<std::string> implicit = {"implicit_euler", "implicit_midpoint",
                                          "trapezoid", "radau_iia3"};
  for (const Tableau &t : allTableaux())
    EXPECT_EQ(t.isExplicit(), !implicit.count(t.name.str())) << t.name.str();
}
