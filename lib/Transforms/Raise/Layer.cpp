//===- Layer.cpp - dense layers in formulas -------------------------------===//
#include "Cells.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace lnn::raise {

/// Reads nothing but constants.
static bool isConstant(F formula) {
  SmallVector<F> stack{formula};
  llvm::SmallDenseSet<F> seen;
  while (!stack.empty()) {
    F f = stack.pop_back_val();
    if (!seen.insert(f).second)
      continue;
    if (f->value && !matchPattern(f->value, m_Constant()))
      return false;
    llvm::append_range(stack, f->operands);
  }
  return true;
}

/// Parts a product into what depends on the receiving neuron, with constants,
/// and what doesn't: weight and feature. The parts are as they were written.
static std::pair<F, F> partWeight(F f, unsigned post, Notation &notation) {
  auto join = [&](F a, F b) {
    return !a ? b : !b ? a : notation.binary(Function::Mul, a, b);
  };
  if (!f->has(post) && !isConstant(f))
    return {nullptr, f};
  if (f->has(post) && f->is(Function::Mul)) {
    auto [w0, x0] = partWeight(f->operands[0], post, notation);
    auto [w1, x1] = partWeight(f->operands[1], post, notation);
    return {join(w0, w1), join(x0, x1)};
  }
  return {f, nullptr};
}

SmallVector<Layer> layersOf(ArrayRef<Product> terms, unsigned post,
                            Notation &notation) {
  SmallVector<Layer> layers;
  SmallVector<Product> bias;
  for (const Product &term : terms) {
    if (term.over.size() != 1 || !term.under.empty() ||
        term.over[0]->kind != Kind::Sum) {
      bias.push_back(term);
      continue;
    }
    F sum = term.over[0];
    auto [weight, feature] = partWeight(sum->operands[0], post, notation);
    if (!weight || !feature || !weight->has(post) || feature->has(post))
      return {};
    Layer layer;
    layer.variable = sum->variable;
    layer.extent = sum->extent;
    layer.weight = weight;
    layer.feature = feature;
    if (term.coefficient != 1)
      layer.weight =
          notation.binary(Function::Mul, weight,
                          notation.number(term.coefficient, weight->type));
    layers.push_back(layer);
  }
  if (!layers.empty())
    layers.front().bias = bias;
  return layers;
}

void Layer::scale(double factor, Notation &notation) {
  if (factor == 1)
    return;
  weight = notation.binary(Function::Mul, weight,
                           notation.number(factor, weight->type));
  for (Product &term : bias)
    term.coefficient *= factor;
}

} // namespace lnn::raise
