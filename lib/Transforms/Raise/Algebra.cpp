//===- Algebra.cpp - formulas as sums of terms and products of factors ----===//
#include "Algebra.h"

using namespace mlir;

namespace lnn::raise {

/// Terms and factors beyond this are left together.
constexpr unsigned maxParts = 64;

uint64_t Product::variables() const {
  uint64_t result = 0;
  for (F f : over)
    result |= f->variables;
  for (F f : under)
    result |= f->variables;
  return result;
}

/// Takes away what is both over and under.
static void cancel(Product &product) {
  auto before = [](F a, F b) { return a->id < b->id; };
  llvm::sort(product.over, before);
  llvm::sort(product.under, before);
  SmallVector<F> over, under;
  auto o = product.over.begin(), u = product.under.begin();
  while (o != product.over.end() || u != product.under.end()) {
    if (u == product.under.end() ||
        (o != product.over.end() && before(*o, *u))) {
      over.push_back(*o++);
    } else if (o == product.over.end() || before(*u, *o)) {
      under.push_back(*u++);
    } else {
      ++o;
      ++u;
    }
  }
  product.over = std::move(over);
  product.under = std::move(under);
}

static void addFactors(F f, bool under, Product &product) {
  if (product.over.size() + product.under.size() < maxParts) {
    if (f->is(Function::Mul)) {
      addFactors(f->operands[0], under, product);
      return addFactors(f->operands[1], under, product);
    }
    if (f->is(Function::Div)) {
      addFactors(f->operands[0], under, product);
      return addFactors(f->operands[1], !under, product);
    }
    if (f->is(Function::Neg)) {
      product.coefficient = -product.coefficient;
      return addFactors(f->operands[0], under, product);
    }
    if (f->kind == Kind::Number && (!under || f->number != 0)) {
      product.coefficient = under ? product.coefficient / f->number
                                  : product.coefficient * f->number;
      return;
    }
  }
  (under ? product.under : product.over).push_back(f);
}

Product factorsOf(F formula) {
  Product product;
  addFactors(formula, false, product);
  cancel(product);
  return product;
}

static void addTerms(F f, double sign, SmallVectorImpl<Product> &terms) {
  if (terms.size() < maxParts) {
    if (f->is(Function::Add)) {
      addTerms(f->operands[0], sign, terms);
      return addTerms(f->operands[1], sign, terms);
    }
    if (f->is(Function::Sub)) {
      addTerms(f->operands[0], sign, terms);
      return addTerms(f->operands[1], -sign, terms);
    }
    if (f->is(Function::Neg))
      return addTerms(f->operands[0], -sign, terms);
  }
  Product product = factorsOf(f);
  product.coefficient *= sign;
  terms.push_back(product);
}

SmallVector<Product> termsOf(F formula) {
  SmallVector<Product> terms;
  addTerms(formula, 1, terms);
  return terms;
}

static Product times(const Product &a, const Product &b) {
  Product result = a;
  result.coefficient *= b.coefficient;
  llvm::append_range(result.over, b.over);
  llvm::append_range(result.under, b.under);
  cancel(result);
  return result;
}

/// Multiplies out; false where it gets too long.
static bool expand(const Product &product, SmallVectorImpl<Product> &result) {
  constexpr unsigned maxTerms = 32;
  const auto *sum = llvm::find_if(product.over, [](F f) {
    return f->is(Function::Add) || f->is(Function::Sub);
  });
  if (sum == product.over.end()) {
    result.push_back(product);
    return result.size() <= maxTerms;
  }
  Product rest = product;
  rest.over.erase(rest.over.begin() + (sum - product.over.begin()));
  for (const Product &term : termsOf(*sum))
    if (!expand(times(rest, term), result))
      return false;
  return true;
}

std::optional<SmallVector<Product>> expandedTermsOf(F formula) {
  SmallVector<Product> expanded, result;
  for (const Product &term : termsOf(formula))
    if (!expand(term, expanded))
      return std::nullopt;
  for (const Product &term : expanded) {
    auto same = llvm::find_if(result, [&](const Product &other) {
      return other.over == term.over && other.under == term.under;
    });
    if (same == result.end())
      result.push_back(term);
    else
      same->coefficient += term.coefficient;
  }
  llvm::erase_if(result, [](const Product &p) { return p.coefficient == 0; });
  return result;
}

/// Removes `by` from sorted `list`; false where something isn't there.
static bool removeAll(SmallVectorImpl<F> &list, ArrayRef<F> by) {
  for (F f : by) {
    auto it = llvm::find(list, f);
    if (it == list.end())
      return false;
    list.erase(it);
  }
  return true;
}

std::optional<Product> quotient(const Product &product, const Product &by) {
  Product rest = product;
  if (by.coefficient == 0 || !removeAll(rest.over, by.over) ||
      !removeAll(rest.under, by.under))
    return std::nullopt;
  rest.coefficient /= by.coefficient;
  return rest;
}

std::pair<Product, Product> partition(const Product &product,
                                      llvm::function_ref<bool(F)> wanted) {
  Product chosen, rest;
  rest.coefficient = product.coefficient;
  for (F f : product.over)
    (wanted(f) ? chosen : rest).over.push_back(f);
  for (F f : product.under)
    (wanted(f) ? chosen : rest).under.push_back(f);
  return {chosen, rest};
}

Product inverse(Product product) {
  product.coefficient = 1 / product.coefficient;
  std::swap(product.over, product.under);
  return product;
}

F formulaOf(const Product &product, Notation &notation, Type type) {
  F result = nullptr;
  for (F f : product.over)
    result = result ? notation.binary(Function::Mul, result, f) : f;
  if (!result || product.coefficient != 1) {
    F number = notation.number(product.coefficient, type);
    result = result ? notation.binary(Function::Mul, result, number) : number;
  }
  for (F f : product.under)
    result = notation.binary(Function::Div, result, f);
  return result;
}

F formulaOf(ArrayRef<Product> terms, Notation &notation, Type type) {
  F result = nullptr;
  for (const Product &term : terms) {
    F f = formulaOf(term, notation, type);
    result = result ? notation.binary(Function::Add, result, f) : f;
  }
  return result ? result : notation.number(0, type);
}

} // namespace lnn::raise
