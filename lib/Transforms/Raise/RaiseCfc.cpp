//===- RaiseCfc.cpp - closed-form continuous-time heads -------------------===//
//
// With ff1 and ff2 dense layers of one feature, and
// t = s((Wa f + ba) dt + (Wb f + bb)), multiplied out:
//
//   default: tanh(ff1) - t tanh(ff1) + t tanh(ff2)
//   no_gate: tanh(ff1) + t tanh(ff2)
//   pure:    a - a e^(-dt (|w_tau| + |ff1|)) ff1
//
//===----------------------------------------------------------------------===//
#include "Cells.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace lnn::raise {
namespace {

class Cfc : CellMatch {
public:
  Cfc(const Candidate &candidate, Notation &notation, const Report &report)
      : CellMatch(candidate, notation, report, "lnn.cfc") {}
  bool raise();

private:
  CfcMode mode = CfcMode::Default;
  Layer ff1, ff2, timeA, timeB;
  F dt = nullptr, tau = nullptr, asymptote = nullptr;

  bool layer(F formula, Layer &into, StringRef name);
  bool checkLayer(const Layer &layer, StringRef name);
  bool gated(ArrayRef<Product> terms);
  bool gate(F t);
  bool pure(ArrayRef<Product> terms);
  bool decay(F exponent, F first);
  bool isNegative(const Product &product, F of);
  WiringAttr wiring();
  bool build();
};
} // namespace

bool Cfc::checkLayer(const Layer &layer, StringRef name) {
  uint64_t rows = (uint64_t(1) << post) - 1;
  for (const Product &term : layer.bias)
    if (term.variables() & rows)
      return lacks(name + " has a bias that depends on the sample");
  if (layer.weight->variables & rows)
    return lacks(name + " has a weight that depends on the sample");
  if (ff1.feature &&
      (layer.feature != ff1.feature || layer.variable != ff1.variable ||
       layer.extent != ff1.extent))
    return lacks(name + " has another feature than ff1");
  return true;
}

/// The formula is one dense layer of the feature.
bool Cfc::layer(F formula, Layer &into, StringRef name) {
  SmallVector<Layer> layers = layersOf(termsOf(formula), post, notation);
  if (layers.size() != 1)
    return lacks(name + " is not a dense layer");
  if (!checkLayer(layers.front(), name))
    return false;
  into = layers.front();
  return true;
}

/// (Wa f + ba) dt + (Wb f + bb) in a sigmoid.
bool Cfc::gate(F t) {
  SmallVector<Product> a, b;
  std::optional<Product> time;
  double scale = 1;
  for (const Product &term : termsOf(t->operands[0])) {
    auto [duration, rest] = partition(term, [&](F f) { return !f->has(post); });
    if (duration.isNumber()) {
      b.push_back(rest);
      continue;
    }
    if (time && !(*time == duration))
      return lacks("the gate has more than one duration");
    if (rest.over.size() == 1 && rest.under.empty()) {
      // The parenthesis keeps its number.
      if (!a.empty())
        return lacks("the gate is not (Wa f + ba) dt + Wb f + bb");
      a = termsOf(rest.over[0]);
      scale = rest.coefficient;
    } else {
      return lacks("the gate is not (Wa f + ba) dt + Wb f + bb");
    }
    time = duration;
  }
  if (time) {
    dt = formulaOf(*time, notation, element);
  } else {
    // A duration that is a number is the coefficient of a parenthesis, and gone
    // where it is 1: the first layer is taken for time_a then.
    auto first = llvm::find_if(b, [&](const Product &term) {
      return term.over.size() == 1 && term.under.empty() &&
             term.coefficient != 1 && term.over[0]->kind != Kind::Read;
    });
    if (first == b.end())
      first = llvm::find_if(b, [](const Product &term) {
        return term.single() && term.single()->kind == Kind::Sum;
      });
    if (first == b.end())
      return lacks("the gate has no layer");
    double duration = first->coefficient;
    a = termsOf(first->over[0]);
    if (duration == 1)
      a.assign(1, *first);
    b.erase(first);
    dt = notation.number(duration, element);
  }
  for (auto [terms, into, name] :
       {std::tuple(&a, &timeA, "time_a"), std::tuple(&b, &timeB, "time_b")}) {
    SmallVector<Layer> layers = layersOf(*terms, post, notation);
    if (layers.size() != 1)
      return lacks(Twine(name) + " is not a dense layer");
    if (!checkLayer(layers.front(), name))
      return false;
    *into = layers.front();
  }
  timeA.scale(scale, notation);
  return true;
}

/// default and no_gate.
bool Cfc::gated(ArrayRef<Product> terms) {
  F first = nullptr, second = nullptr, t = nullptr;
  bool negated = false;
  auto isPair = [](const Product &term) {
    return term.over.size() == 2 && term.under.empty();
  };
  for (const Product &term : terms)
    if (F f = term.single())
      first = f;
  if (!first || !first->is(Function::Tanh))
    return false;
  for (const Product &term : terms) {
    if (term.single())
      continue;
    if (!isPair(term))
      return false;
    bool flipped = !term.over[0]->is(Function::Sigmoid);
    F sigmoid = term.over[flipped], other = term.over[!flipped];
    if (!sigmoid->is(Function::Sigmoid) || (t && t != sigmoid))
      return false;
    t = sigmoid;
    if (other == first && term.coefficient == -1)
      negated = true;
    else if (other->is(Function::Tanh) && term.coefficient == 1 && !second)
      second = other;
    else
      return false;
  }
  if (!second || terms.size() != (negated ? 3 : 2))
    return false;
  mode = negated ? CfcMode::Default : CfcMode::NoGate;
  return layer(first->operands[0], ff1, "ff1") &&
         layer(second->operands[0], ff2, "ff2") && gate(t);
}

/// The product is -of, as it is written or as constants say.
bool Cfc::isNegative(const Product &product, F of) {
  Product other = factorsOf(of);
  other.coefficient = -other.coefficient;
  if (product == other)
    return true;
  int64_t n = type.getDimSize(post);
  auto a = evaluate(formulaOf(product, notation, element), at.back(), n),
       b = evaluate(of, at.back(), n);
  if (!a || !b)
    return false;
  return llvm::all_of(llvm::zip_equal(*a, *b), [](auto pair) {
    return std::get<0>(pair) == -std::get<1>(pair);
  });
}

/// -dt (|w_tau| + |ff1|)
bool Cfc::decay(F exponent, F first) {
  Product product = factorsOf(exponent);
  auto [time, rest] = partition(product, [&](F f) { return !f->has(post); });
  if (rest.over.size() != 1 || !rest.under.empty() || !(rest.coefficient < 0))
    return lacks("the exponent is not -dt (|w_tau| + |ff1|)");
  SmallVector<Product> rates;
  bool found = false;
  for (const Product &term : termsOf(rest.over[0])) {
    F f = term.single();
    if (f && f->is(Function::Abs) && f->operands[0] == first && !found)
      found = true;
    else
      rates.push_back(term);
  }
  if (!found || rates.size() != 1)
    return lacks("the exponent is not -dt (|w_tau| + |ff1|)");
  tau = formulaOf(rates, notation, element);
  if (tau->is(Function::Abs)) {
    tau = tau->operands[0];
  } else {
    auto values = evaluate(tau, at.back(), type.getDimSize(post));
    if (!values || !llvm::all_of(*values, [](double x) { return x >= 0; }))
      return lacks("a rate beside |ff1| is not a magnitude");
  }
  time.coefficient = -rest.coefficient;
  dt = formulaOf(time, notation, element);
  return true;
}

bool Cfc::pure(ArrayRef<Product> terms) {
  if (terms.size() != 2)
    return false;
  auto expOf = [](const Product &term) -> F {
    const auto *it =
        llvm::find_if(term.over, [](F f) { return f->is(Function::Exp); });
    return it == term.over.end() ? nullptr : *it;
  };
  bool flipped = expOf(terms[0]);
  const Product &constant = terms[flipped], &product = terms[!flipped];
  F exponential = expOf(product);
  if (!exponential || expOf(constant) ||
      (constant.variables() & ((uint64_t(1) << post) - 1)))
    return false;
  asymptote = formulaOf(constant, notation, element);
  for (F f : product.over) {
    if (!f->is(Function::Add) && f->kind != Kind::Sum)
      continue;
    Product both;
    both.over = {exponential, f};
    std::optional<Product> rest = quotient(product, both);
    if (!rest || !isNegative(*rest, asymptote))
      continue;
    mode = CfcMode::Pure;
    return layer(f, ff1, "ff1") && decay(exponential->operands[0], f);
  }
  return lacks("a decayed term is not -a e^x ff1");
}

/// Synapses that neither branch has.
WiringAttr Cfc::wiring() {
  SmallVector<int64_t> shape{ff1.extent, type.getDimSize(post)};
  if (shape[0] * shape[1] > WiringAttr::maxPlaces)
    return {};
  Indices index{ff1.sender(notation), at.back()};
  auto w1 = evaluate(ff1.weight, index, shape);
  auto w2 = ff2.weight ? evaluate(ff2.weight, index, shape) : w1;
  if (!w1 || !w2)
    return {};
  auto exists = [&](int64_t i, int64_t j) {
    int64_t place = i * shape[1] + j;
    return (*w1)[place] != 0 || (*w2)[place] != 0;
  };
  auto wiring = WiringAttr::get(type.getContext(), shape[0], shape[1], exists);
  return wiring.isDense() ? WiringAttr() : wiring;
}

bool Cfc::build() {
  Materializer made(notation, candidate.place());
  OpBuilder b(candidate.place());
  Location loc = candidate.next.getLoc();
  int64_t n = type.getDimSize(post), f = ff1.extent;
  Indices featureAt(at);
  featureAt.back() = ff1.sender(notation);
  SmallVector<OpFoldResult> sizes = candidate.sizes(b);
  sizes.back() = b.getIndexAttr(f);
  Value feature = made.tensor(ff1.feature, featureAt, sizes);
  Value duration;
  if (dt->variables) {
    Indices index(at);
    index.back() = notation.zero();
    sizes.back() = b.getIndexAttr(1);
    duration = made.tensor(dt, index, sizes);
  } else {
    duration = made.scalar(dt);
  }
  SmallVector<Value> operands{feature, duration};
  auto vector = [&](F formula) { return made.tensor(formula, at.back(), n); };
  for (const Layer *layer : {&ff1, &ff2, &timeA, &timeB}) {
    if (!layer->weight) {
      operands.append(2, Value());
      continue;
    }
    operands.push_back(made.tensor(layer->weight,
                                   {layer->sender(notation), at.back()},
                                   ArrayRef<int64_t>{f, n}));
    operands.push_back(vector(formulaOf(layer->bias, notation, element)));
    if (!operands.back() || !operands[operands.size() - 2])
      return lacks("an operand is not available");
  }
  operands.push_back(tau ? vector(tau) : Value());
  operands.push_back(asymptote ? vector(asymptote) : Value());
  if (!feature || !duration || (tau && !operands[10]) ||
      (asymptote && !operands[11]))
    return lacks("an operand is not available");
  auto cell = CfcOp::create(b, loc, type, feature, duration, operands[2],
                            operands[3], operands[4], operands[5], operands[6],
                            operands[7], operands[8], operands[9], operands[10],
                            operands[11], mode, wiring());
  candidate.replaced().replaceAllUsesWith(cell.getResult());
  report.made(cell, "lnn.cfc of " + Twine(n) + " neurons, mode " +
                        stringifyCfcMode(mode));
  return true;
}

bool Cfc::raise() {
  if (candidate.loop || type.getDimSize(post) < 2)
    return false;
  F next = notation.element(candidate.next, at);
  if (!next->is(Function::Add) && !next->is(Function::Sub))
    return false;
  if (pure(termsOf(next)))
    return build();
  std::optional<SmallVector<Product>> terms = expandedTermsOf(next);
  return terms && terms->size() <= 3 && gated(*terms) && build();
}

bool raiseCfc(const Candidate &candidate, Notation &notation,
              const Report &report) {
  return candidate.type().getRank() > 0 &&
         Cfc(candidate, notation, report).raise();
}

} // namespace lnn::raise
