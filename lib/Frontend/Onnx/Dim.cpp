//===- Dim.cpp - symbolic dimensions --------------------------------------===//
#include "lnn/Frontend/Onnx/Dim.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace lnn::onnx;

// An expression is a graph in memory and a tree for all who read it: doubling
// it again and again would never end.
static constexpr unsigned kMaxWeight = 1024;

std::string Dim::str() const {
  if (!node)
    return "?";
  auto binary = [&](const char *op) {
    return "(" + Dim(node->lhs).str() + op + Dim(node->rhs).str() + ")";
  };
  switch (node->kind) {
  case DimNode::Constant:
    return std::to_string(node->value);
  case DimNode::Symbol:
    return node->name;
  case DimNode::Add:
    return binary(" + ");
  case DimNode::Mul:
    return binary(" * ");
  case DimNode::FloorDiv:
    return binary(" / ");
  case DimNode::Min:
    return "min" + binary(", ");
  case DimNode::Max:
    return "max" + binary(", ");
  }
  return "?";
}

Dim DimContext::make(DimNode node) {
  if (node.lhs)
    node.weight = 1 + node.lhs->weight + node.rhs->weight;
  if (node.weight > kMaxWeight)
    return Dim();
  auto key = std::make_tuple(int(node.kind), node.value, node.name, node.lhs,
                             node.rhs);
  auto it = interned.find(key);
  if (it != interned.end())
    return Dim(it->second);
  node.id = nodes.size();
  nodes.push_back(std::move(node));
  interned.emplace(key, &nodes.back());
  return Dim(&nodes.back());
}

Dim DimContext::constant(int64_t value) {
  DimNode node{DimNode::Constant};
  node.value = value;
  return make(node);
}

Dim DimContext::symbol(llvm::StringRef name) {
  DimNode node{DimNode::Symbol};
  node.name = name.str();
  return make(node);
}

Dim DimContext::fresh(llvm::StringRef hint) {
  size_t before = nodes.size();
  Dim result;
  do // a model may have a symbol of that name
    result = symbol((hint + "#" + llvm::Twine(freshCount++)).str());
  while (nodes.size() == before);
  return result;
}

/// Takes x apart into a factor that is not constant and a constant one.
static std::pair<Dim, int64_t> splitFactor(Dim d) {
  if (d.get()->kind == DimNode::Mul && Dim(d.get()->rhs).isConst())
    return {Dim(d.get()->lhs), d.get()->rhs->value};
  return {d, 1};
}

/// The sum as a list of (term, coefficient) behind which a constant follows: a
/// canonical form for sums. False where a number overflows.
static bool collect(Dim d, std::map<unsigned, std::pair<Dim, int64_t>> &terms,
                    int64_t &addend) {
  if (d.isConst())
    return !llvm::AddOverflow(addend, d.value(), addend);
  if (d.get()->kind == DimNode::Add)
    return collect(Dim(d.get()->lhs), terms, addend) &&
           collect(Dim(d.get()->rhs), terms, addend);
  auto [term, factor] = splitFactor(d);
  auto &entry = terms.try_emplace(term.get()->id, term, 0).first->second;
  return !llvm::AddOverflow(entry.second, factor, entry.second);
}

Dim DimContext::add(Dim a, Dim b) {
  if (!a || !b)
    return Dim();
  std::map<unsigned, std::pair<Dim, int64_t>> terms;
  int64_t addend = 0;
  if (!collect(a, terms, addend) || !collect(b, terms, addend))
    return Dim();
  Dim sum;
  for (auto &[id, entry] : terms) {
    if (entry.second == 0)
      continue;
    Dim term = mul(entry.first, constant(entry.second));
    if (!term)
      return Dim();
    if (!sum) {
      sum = term;
      continue;
    }
    DimNode node{DimNode::Add};
    node.lhs = sum.get();
    node.rhs = term.get();
    sum = make(node);
    if (!sum)
      return Dim();
  }
  if (!sum)
    return constant(addend);
  if (addend == 0)
    return sum;
  DimNode node{DimNode::Add};
  node.lhs = sum.get();
  node.rhs = constant(addend).get();
  return make(node);
}

Dim DimContext::sub(Dim a, Dim b) {
  return a && b ? add(a, mul(b, constant(-1))) : Dim();
}

Dim DimContext::mul(Dim a, Dim b) {
  if (!a || !b)
    return Dim();
  if (a.isConst() && b.isConst()) {
    int64_t product;
    if (llvm::MulOverflow(a.value(), b.value(), product))
      return Dim();
    return constant(product);
  }
  if (a.isConst())
    std::swap(a, b);
  if (b.isConst(0))
    return b;
  if (b.isConst(1))
    return a;
  if (b.isConst()) {
    auto [inner, factor] = splitFactor(a);
    int64_t product;
    if (llvm::MulOverflow(factor, b.value(), product))
      return Dim();
    if (factor != 1)
      return mul(inner, constant(product));
    if (a.get()->kind ==
        DimNode::Add) // distributes, so that sums stay canonical
      return add(mul(Dim(a.get()->lhs), b), mul(Dim(a.get()->rhs), b));
  } else {
    // Constant factors go to the right end.
    auto [x, fx] = splitFactor(a);
    auto [y, fy] = splitFactor(b);
    if (fx != 1 || fy != 1)
      return mul(mul(x, y), mul(constant(fx), constant(fy)));
    if (a.get()->id > b.get()->id)
      std::swap(a, b);
  }
  DimNode node{DimNode::Mul};
  node.lhs = a.get();
  node.rhs = b.get();
  return make(node);
}

Dim DimContext::floorDiv(Dim a, Dim b) {
  if (!a || !b || b.isConst(0))
    return Dim();
  if (b.isConst(1))
    return a;
  if (a == b)
    return constant(1);
  if (a.isConst() && b.isConst(-1)) // the least number has no negative
    return sub(constant(0), a);
  if (a.isConst() && b.isConst())
    return constant(llvm::divideFloorSigned(a.value(), b.value()));
  if (b.isConst()) {
    auto [inner, factor] = splitFactor(a);
    if (b.value() != -1 && factor % b.value() == 0)
      return mul(inner, constant(factor / b.value()));
  }
  if (a.get()->kind == DimNode::Mul) {
    if (Dim(a.get()->lhs) == b)
      return Dim(a.get()->rhs);
    if (Dim(a.get()->rhs) == b)
      return Dim(a.get()->lhs);
  }
  DimNode node{DimNode::FloorDiv};
  node.lhs = a.get();
  node.rhs = b.get();
  return make(node);
}

Dim DimContext::ceilDiv(Dim a, Dim b) {
  if (!a || !b)
    return Dim();
  return floorDiv(add(a, sub(b, constant(1))), b);
}

Dim DimContext::min(Dim a, Dim b) {
  if (!a || !b)
    return Dim();
  if (a.isConst() && b.isConst())
    return a.value() <= b.value() ? a : b;
  if (Dim difference = sub(a, b); difference.isConst())
    return difference.value() <= 0 ? a : b;
  if (a.get()->id > b.get()->id)
    std::swap(a, b);
  DimNode node{DimNode::Min};
  node.lhs = a.get();
  node.rhs = b.get();
  return make(node);
}

Dim DimContext::max(Dim a, Dim b) {
  if (!a || !b)
    return Dim();
  if (a.isConst() && b.isConst())
    return a.value() >= b.value() ? a : b;
  if (Dim difference = sub(a, b); difference.isConst())
    return difference.value() >= 0 ? a : b;
  if (a.get()->id > b.get()->id)
    std::swap(a, b);
  DimNode node{DimNode::Max};
  node.lhs = a.get();
  node.rhs = b.get();
  return make(node);
}
