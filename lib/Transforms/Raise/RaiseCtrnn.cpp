//===- RaiseCtrnn.cpp - Euler steps of leaky rate neurons -----------------===//
//
//   h' = h + r (act(W u + R h + b) - h),  r = dt / (steps tau)
//
// multiplied out: h, - r h and r act(...). Where the input is x + F h, the cell
// has a linear feedback in front.
//
//===----------------------------------------------------------------------===//
#include "Cells.h"

#include "lnn/Dialect/Ode/Ode.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cmath>

using namespace mlir;

namespace lnn::raise {
namespace {

class Ctrnn : CellMatch {
public:
  Ctrnn(const Candidate &candidate, Notation &notation, const Report &report)
      : CellMatch(candidate, notation, report, "lnn.ctrnn") {}
  bool raise();

private:
  Value state;
  Product rate; ///< r
  F argument = nullptr, dt = nullptr, tau = nullptr;
  Activation activation = Activation::Tanh;
  std::optional<Layer> recurrent, input, feedback;
  SmallVector<Product> bias;

  uint64_t rowMask() const { return (uint64_t(1) << post) - 1; }
  bool findParts(ArrayRef<Product> terms);
  bool sumsToOne(SmallVector<Product> leak);
  bool splitArgument();
  bool splitFeedback();
  bool splitRate();
  Value inputOf(Materializer &made, Value start);
  bool build();
};
} // namespace

static std::optional<Activation> activationOf(F f) {
  if (f->kind != Kind::Apply)
    return std::nullopt;
  if (f->is(Function::Tanh))
    return Activation::Tanh;
  if (f->is(Function::Sigmoid))
    return Activation::Sigmoid;
  StringRef name = f->name.getStringRef();
  if (name == "lnn.softplus")
    return Activation::Softplus;
  if ((name == "arith.maximumf" || name == "arith.maxnumf") &&
      f->operands[1]->isNumber(0))
    return Activation::Relu;
  return std::nullopt;
}

/// The state, and the one activation that reads it.
bool Ctrnn::findParts(ArrayRef<Product> terms) {
  const Product *active = nullptr;
  F act = nullptr;
  for (const Product &term : terms)
    for (F f : term.over)
      if (activationOf(f)) {
        if (active)
          return false;
        active = &term;
        act = f;
      }
  if (!active)
    return false;
  AffineMap identity =
      AffineMap::get(Notation::maxVariables, 0, at, type.getContext());
  F here = nullptr;
  for (const Product &term : terms)
    for (F f : term.over)
      if (&term != active && f->kind == Kind::Read && f->indices == identity &&
          f->value.getType() == type && notation.reads(act, f->value))
        here = f;
  if (!here ||
      (candidate.loop && here->value != candidate.loop.getStates().front()))
    return false;
  state = here->value;
  argument = act->operands[0];
  activation = *activationOf(act);
  Product factor, actFactor;
  factor.over.push_back(here);
  actFactor.over.push_back(act);
  rate = *quotient(*active, actFactor);
  SmallVector<Product> leak{rate};
  for (const Product &term : terms) {
    if (&term == active)
      continue;
    std::optional<Product> rest = quotient(term, factor);
    if (!rest)
      return lacks("a term has neither the state nor its activation");
    leak.push_back(*rest);
  }
  for (const Product &term : leak)
    for (F f : term.over)
      if (notation.reads(f, state))
        return lacks("the rate depends on the state");
  return sumsToOne(leak);
}

/// What the state and the activation are weighted with adds up to 1.
bool Ctrnn::sumsToOne(SmallVector<Product> leak) {
  constexpr double tolerance = 1e-6;
  SmallVector<Product> rest;
  double total = 0;
  for (const Product &term : leak) {
    if (term.isNumber()) {
      total += term.coefficient;
      continue;
    }
    auto same = llvm::find_if(rest, [&](const Product &other) {
      return other.over == term.over && other.under == term.under;
    });
    if (same == rest.end())
      rest.push_back(term);
    else
      same->coefficient += term.coefficient;
  }
  llvm::erase_if(rest, [](const Product &p) { return p.coefficient == 0; });
  if (rest.empty())
    return std::fabs(total - 1) <= tolerance ||
           lacks("the weights of state and activation don't add up to 1");
  Product number;
  number.coefficient = total;
  rest.push_back(number);
  auto values = evaluate(formulaOf(rest, notation, element), at.back(),
                         type.getDimSize(post));
  return (values && llvm::all_of(*values,
                                 [](double x) {
                                   return std::fabs(x - 1) <= tolerance;
                                 })) ||
         lacks("the weights of state and activation don't add up to 1");
}

/// W u + R h + b
bool Ctrnn::splitArgument() {
  SmallVector<Layer> layers = layersOf(termsOf(argument), post, notation);
  if (layers.empty())
    return lacks("the activation's argument is not a sum of dense layers");
  bias = layers.front().bias;
  for (const Layer &layer : layers) {
    if (notation.reads(layer.weight, state) ||
        (layer.weight->variables & rowMask()))
      return lacks("a weight depends on the state or the sample");
    SmallVector<AffineExpr> sender(at);
    sender.back() = layer.sender(notation);
    if (layer.feature == notation.element(state, sender) && !recurrent)
      recurrent = layer;
    else if (!input)
      input = layer;
    else
      return lacks("there must be one layer of the state and one of the input");
  }
  for (const Product &term : bias)
    if ((term.variables() & rowMask()) ||
        notation.reads(formulaOf(term, notation, element), state))
      return lacks("a bias depends on the state or the sample");
  if (input && notation.reads(input->feature, state))
    return splitFeedback();
  return recurrent || lacks("no layer of the state");
}

/// The input is x + F h.
bool Ctrnn::splitFeedback() {
  if (!input->variable)
    return lacks("the input depends on the state");
  SmallVector<Product> outer;
  SmallVector<Product> inner;
  for (const Product &term : termsOf(input->feature)) {
    bool reads = notation.reads(formulaOf(term, notation, element), state);
    (reads ? inner : outer).push_back(term);
  }
  SmallVector<Layer> layers = layersOf(inner, *input->variable, notation);
  if (layers.size() != 1 || inner.size() != 1 || outer.empty())
    return lacks("the input depends on the state, and is not x + F h");
  SmallVector<AffineExpr> sender(at);
  sender.back() = layers[0].sender(notation);
  if (layers[0].feature != notation.element(state, sender) ||
      notation.reads(layers[0].weight, state) ||
      (layers[0].weight->variables & rowMask()))
    return lacks("the input depends on the state, and is not x + F h");
  if (candidate.loop)
    return false; // as a step in the loop
  feedback = layers[0];
  input->feature = formulaOf(outer, notation, element);
  return true;
}

/// r = dt / (steps tau): what depends on the neuron is tau.
bool Ctrnn::splitRate() {
  auto [time, rest] = partition(rate, [&](F f) { return !f->has(post); });
  if (rest.variables() & rowMask())
    return lacks("a time constant depends on the sample");
  double scale = rest.coefficient * candidate.steps();
  if (!std::isfinite(scale) || scale <= 0)
    return lacks("the rate is not positive");
  rest.coefficient = 1;
  time.coefficient = scale;
  dt = formulaOf(time, notation, element);
  tau = formulaOf(inverse(rest), notation, element);
  return true;
}

/// u, with the feedback where there is one.
Value Ctrnn::inputOf(Materializer &made, Value start) {
  OpBuilder b(candidate.place());
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(b, candidate.next.getLoc(), start);
  sizes.back() = b.getIndexAttr(input ? input->extent : 0);
  if (!input)
    return tensor::EmptyOp::create(b, candidate.next.getLoc(), sizes, element);
  Indices index(at);
  index.back() = input->sender(notation);
  Value u = made.tensor(input->feature, index, sizes);
  if (!u || !feedback)
    return u;
  Value f = made.tensor(
      feedback->weight, {feedback->sender(notation), input->sender(notation)},
      ArrayRef<int64_t>{type.getDimSize(post), input->extent});
  return f ? FeedbackOp::create(b, candidate.next.getLoc(), u.getType(), u,
                                start, f, WiringAttr())
                 .getResult()
           : Value();
}

bool Ctrnn::build() {
  Materializer made(notation, candidate.place());
  OpBuilder b(candidate.place());
  Location loc = candidate.next.getLoc();
  int64_t n = type.getDimSize(post);
  Value start = candidate.loop ? candidate.loop.getInits().front() : state;
  Value u = inputOf(made, start), duration;
  if (dt->variables) {
    Indices index(at);
    index.back() = notation.zero();
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, start);
    sizes.back() = b.getIndexAttr(1);
    duration = made.tensor(dt, index, sizes);
  } else {
    duration = made.scalar(dt);
  }
  // Without a layer: no synapse.
  auto weights = [&](const std::optional<Layer> &layer, int64_t pre,
                     WiringAttr &wiring) -> Value {
    SmallVector<int64_t> shape{pre, n};
    if (!layer) {
      wiring = WiringAttr::get(b.getContext(), pre, n,
                               [](int64_t, int64_t) { return false; });
      return arith::ConstantOp::create(
          b, loc, b.getZeroAttr(RankedTensorType::get(shape, element)));
    }
    Indices index{layer->sender(notation), at.back()};
    wiring = wiringOf(factorsOf(layer->weight), index, shape, b.getContext(),
                      notation, element);
    return made.tensor(layer->weight, index, shape);
  };
  WiringAttr wiring, inputWiring;
  Value r = weights(recurrent, n, wiring),
        w = weights(input, input ? input->extent : 0, inputWiring);
  Value taus = made.tensor(tau, at.back(), n),
        biases = made.tensor(formulaOf(bias, notation, element), at.back(), n);
  if (!u || !duration || !r || !w || !taus || !biases)
    return lacks("an operand is not available outside of the loop");
  auto method =
      ode::MethodAttr::get(b.getContext(), "euler", candidate.steps());
  auto cell = CtrnnOp::create(b, loc, type, start, u, duration, w, r, taus,
                              biases, method, activation, wiring, inputWiring);
  candidate.replaced().replaceAllUsesWith(cell.getResult());
  report.made(cell, "lnn.ctrnn of " + Twine(n) + " neurons, " +
                        Twine(candidate.steps()) + " Euler steps" +
                        (feedback ? ", with feedback" : ""));
  return true;
}

bool Ctrnn::raise() {
  F next = notation.element(candidate.next, at);
  if (type.getDimSize(post) < 2 || next->kind != Kind::Apply)
    return false;
  std::optional<SmallVector<Product>> terms = expandedTermsOf(next);
  return terms && terms->size() >= 2 && terms->size() <= 4 &&
         findParts(*terms) && splitArgument() && splitRate() && build();
}

bool raiseCtrnn(const Candidate &candidate, Notation &notation,
                const Report &report) {
  return candidate.type().getRank() > 0 &&
         Ctrnn(candidate, notation, report).raise();
}

} // namespace lnn::raise
