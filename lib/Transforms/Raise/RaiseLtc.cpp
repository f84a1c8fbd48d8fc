//===- RaiseLtc.cpp - fused semi-implicit steps of a liquid cell ----------===//
//
// A liquid cell's step is a quotient N / D of
//
//   N = c h + sum_i w s(sigma (h_i - mu)) e + sum_k w' s(...) e' + g v
//   D = c   + sum_i w s(sigma (h_i - mu))   + sum_k w' s(...)    + g + epsilon
//
// where c = cm unfolds / dt. N and D are matched as sums of products, in any
// order: each sum of D is one of N without its factor e, and c is what the
// state is multiplied with in N.
//
//===----------------------------------------------------------------------===//
#include "Cells.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <cmath>

using namespace mlir;

namespace lnn::raise {
namespace {

/// sum_k of a product with a sigmoid: k runs over what the synapses come from.
struct Synapses {
  std::optional<unsigned> variable; ///< none where there is one only
  int64_t extent = 1;
  Product conductance; ///< with its sigmoid
  F sigmoid = nullptr;
  Product reversal, weight, sigma;
  F mu = nullptr, input = nullptr; ///< no input: the state
};

class Ltc : CellMatch {
public:
  Ltc(const Candidate &candidate, Notation &notation, const Report &report)
      : CellMatch(candidate, notation, report, "lnn.ltc") {}
  bool raise();

private:
  Value state; ///< as the formula reads it
  SmallVector<Synapses, 2> groups;
  SmallVector<Product> numerator, denominator; ///< without sums
  SmallVector<Synapses, 2> driving;            ///< the sums of N
  Product mass;                                ///< c
  F cm = nullptr, dt = nullptr, gleak = nullptr, vleak = nullptr;
  double epsilon = 0;

  bool readsState(F f) { return notation.reads(f, state); }
  bool readsState(const Product &product) {
    return llvm::any_of(product.over, [&](F f) { return readsState(f); }) ||
           llvm::any_of(product.under, [&](F f) { return readsState(f); });
  }
  bool dependsOnRows(uint64_t variables) const {
    return variables & ((uint64_t(1) << post) - 1);
  }
  bool dependsOnRows(const Product &product) const {
    return dependsOnRows(product.variables());
  }
  bool split(F quotient);
  bool findState();
  bool pairSums();
  bool splitArgument(Synapses &synapses);
  bool splitInput(Synapses &synapses, F difference);
  bool splitLeak();
  bool leakOfConstants(ArrayRef<Product> leak, ArrayRef<Product> drive);
  bool splitTime();
  Value weight(Materializer &made, const Synapses &synapses, F formula);
  bool build();
};
} // namespace

/// A product with a sigmoid, or the sum of such products over one index.
static std::optional<Synapses> synapsesOf(const Product &term) {
  Synapses synapses;
  Product body = term;
  if (term.over.size() == 1 && term.under.empty() &&
      term.over[0]->kind == Kind::Sum) {
    F sum = term.over[0];
    synapses.variable = sum->variable;
    synapses.extent = sum->extent;
    body = factorsOf(sum->operands[0]);
    body.coefficient *= term.coefficient;
  }
  for (F f : body.over)
    if (f->is(Function::Sigmoid)) {
      if (synapses.sigmoid)
        return std::nullopt;
      synapses.sigmoid = f;
    }
  if (!synapses.sigmoid)
    return std::nullopt;
  synapses.conductance = body;
  return synapses;
}

/// N and D, their sums apart from their other terms.
bool Ltc::split(F quotient) {
  Product product = factorsOf(quotient);
  if (product.coefficient != 1 || product.over.size() != 1 ||
      product.under.size() != 1 || !product.over[0]->is(Function::Add) ||
      !product.under[0]->is(Function::Add))
    return false; // anything at all
  for (const Product &term : termsOf(product.under[0]))
    if (std::optional<Synapses> synapses = synapsesOf(term))
      groups.push_back(*synapses);
    else
      denominator.push_back(term);
  for (const Product &term : termsOf(product.over[0]))
    if (std::optional<Synapses> synapses = synapsesOf(term))
      driving.push_back(*synapses);
    else
      numerator.push_back(term);
  return !groups.empty() && !driving.empty();
}

/// The state is read by a sigmoid, and multiplied with c in N.
bool Ltc::findState() {
  AffineMap identity =
      AffineMap::get(Notation::maxVariables, 0, at, type.getContext());
  for (auto [i, term] : llvm::enumerate(numerator))
    for (F f : term.over) {
      if (f->kind != Kind::Read || f->value.getType() != type ||
          f->indices != identity)
        continue;
      bool synaptic = llvm::any_of(groups, [&](const Synapses &synapses) {
        return notation.reads(synapses.sigmoid, f->value);
      });
      Value wanted =
          candidate.loop ? Value(candidate.loop.getStates().front()) : f->value;
      if (!synaptic || f->value != wanted)
        continue;
      state = f->value;
      Product factor;
      factor.over.push_back(f);
      mass = *quotient(term, factor);
      numerator.erase(numerator.begin() + i);
      return !readsState(mass) ||
             lacks("the state's factor depends on the state");
    }
  return lacks("no term of the numerator is the state and a factor");
}

/// Each sum of D is one of N without the reversal potential.
bool Ltc::pairSums() {
  for (Synapses &synapses : groups) {
    auto found = llvm::find_if(driving, [&](const Synapses &other) {
      return other.variable == synapses.variable &&
             other.extent == synapses.extent &&
             quotient(other.conductance, synapses.conductance);
    });
    if (found == driving.end())
      return lacks("a sum of the denominator is no part of one of the "
                   "numerator");
    synapses.reversal = *quotient(found->conductance, synapses.conductance);
    driving.erase(found);
    if (!splitArgument(synapses))
      return false;
    Product sigmoid;
    sigmoid.over.push_back(synapses.sigmoid);
    synapses.weight = *quotient(synapses.conductance, sigmoid);
    for (const Product &weight :
         {synapses.weight, synapses.reversal, synapses.sigma})
      if (readsState(weight) || dependsOnRows(weight))
        return lacks("a synapse's weight depends on the state or the sample");
    if (readsState(synapses.mu) || dependsOnRows(synapses.mu->variables))
      return lacks("a synapse's mu depends on the state or the sample");
  }
  if (!driving.empty())
    return lacks("a sum of the numerator is not in the denominator");
  if (groups.front().input)
    std::swap(groups.front(), groups.back());
  if (groups.front().input || (groups.size() > 1 && !groups[1].input))
    return lacks("there must be one sum over the neurons");
  if (groups.size() > 2)
    return lacks("there must be one sum over the inputs");
  if (groups.front().extent != type.getDimSize(post))
    return lacks("the sum over the neurons must be over all of them");
  return true;
}

/// sigma (h - mu), or sigma (x - mu).
bool Ltc::splitArgument(Synapses &synapses) {
  Product argument = factorsOf(synapses.sigmoid->operands[0]);
  F difference = nullptr;
  bool recurrent = readsState(synapses.sigmoid);
  for (F f : argument.over) {
    bool wanted =
        recurrent
            ? readsState(f)
            : llvm::any_of(termsOf(f), [&](const Product &term) {
                return !term.isNumber() && !(term.variables() >> post & 1);
              });
    if (!wanted)
      continue;
    if (difference && recurrent)
      return lacks("the state is multiplied with itself");
    if (!difference || f->is(Function::Sub) || f->is(Function::Add))
      difference = f;
  }
  if (!difference)
    return lacks("a sigmoid has neither state nor input");
  Product factor;
  factor.over.push_back(difference);
  synapses.sigma = *quotient(argument, factor);
  if (!recurrent)
    return splitInput(synapses, difference);
  // The neurons that send are along the sum's index.
  SmallVector<AffineExpr> sender(at);
  sender.back() = synapses.variable ? notation.variable(*synapses.variable)
                                    : notation.zero();
  F sending = notation.element(state, sender);
  SmallVector<Product> rest;
  bool found = false;
  for (Product term : termsOf(difference)) {
    if (!readsState(term)) {
      term.coefficient = -term.coefficient;
      rest.push_back(term);
      continue;
    }
    Product pre;
    pre.over.push_back(sending);
    std::optional<Product> slope = quotient(term, pre);
    if (found || !slope || readsState(*slope))
      return lacks("a sigmoid's argument must be sigma (h - mu)");
    found = true;
    if (slope->isNumber() && slope->coefficient == 1)
      continue;
    if (llvm::any_of(termsOf(difference),
                     [&](const Product &other) { return !readsState(other); }))
      return lacks("a sigmoid's argument must be sigma (h - mu), found a "
                   "factor of h alone");
    // sigma h: the factors are sigma's.
    synapses.sigma.coefficient *= slope->coefficient;
    llvm::append_range(synapses.sigma.over, slope->over);
    llvm::append_range(synapses.sigma.under, slope->under);
  }
  synapses.mu = formulaOf(rest, notation, element);
  return true;
}

/// x - mu: mu depends on the receiving neuron, x doesn't.
bool Ltc::splitInput(Synapses &synapses, F difference) {
  auto receives = [&](F f) { return f->has(post); };
  if (difference->is(Function::Sub) && !receives(difference->operands[0]) &&
      receives(difference->operands[1])) {
    synapses.input = difference->operands[0];
    synapses.mu = difference->operands[1];
    return true;
  }
  SmallVector<Product> input, mu;
  for (Product term : termsOf(difference)) {
    if (!(term.variables() >> post & 1)) {
      input.push_back(term);
      continue;
    }
    term.coefficient = -term.coefficient;
    mu.push_back(term);
  }
  synapses.input =
      mu.empty() ? difference : formulaOf(input, notation, element);
  synapses.mu = formulaOf(mu, notation, element);
  return true;
}

/// g v and g + epsilon.
bool Ltc::splitLeak() {
  SmallVector<Product> leak;
  bool found = false;
  double numbers = 0;
  for (const Product &term : denominator) {
    if (!found && term == mass) {
      found = true;
      continue;
    }
    if (readsState(term) || dependsOnRows(term))
      return lacks("a term of the denominator depends on the state or the "
                   "sample");
    if (term.isNumber())
      numbers += term.coefficient;
    else
      leak.push_back(term);
  }
  for (const Product &term : numerator)
    if (readsState(term) || dependsOnRows(term))
      return lacks("a term of the numerator depends on the state or the "
                   "sample");
  if (!found) {
    // Folded into another constant.
    Product minus = mass;
    minus.coefficient = -minus.coefficient;
    leak.push_back(minus);
  }
  if (found && numbers >= 0 && std::isfinite(numbers)) {
    epsilon = numbers;
  } else {
    Product number;
    number.coefficient = numbers;
    leak.push_back(number);
  }
  if (found && leak.size() == 1 && numerator.size() == 1)
    if (std::optional<Product> potential = quotient(numerator[0], leak[0])) {
      gleak = formulaOf(leak[0], notation, element);
      vleak = formulaOf(*potential, notation, element);
      return true;
    }
  if (found && leak.empty() && numerator.empty()) {
    gleak = vleak = notation.number(0, element);
    return true;
  }
  return leakOfConstants(leak, numerator);
}

/// g and v of sums that are constants.
bool Ltc::leakOfConstants(ArrayRef<Product> leak, ArrayRef<Product> drive) {
  AffineExpr j = at.back();
  int64_t n = type.getDimSize(post);
  auto conductance = evaluate(formulaOf(leak, notation, element), j, n);
  auto current = evaluate(formulaOf(drive, notation, element), j, n);
  if (!conductance || !current)
    return lacks("the leak is not a product with the denominator's, nor "
                 "constant");
  SmallVector<double> potential;
  for (auto [g, b] : llvm::zip_equal(*conductance, *current)) {
    if (g == 0 && b != 0)
      return lacks("a neuron has a current and no leak");
    potential.push_back(g == 0 ? 0 : b / g);
  }
  OpBuilder b(candidate.place());
  auto constant = [&](ArrayRef<double> values) {
    return notation.element(constantTensor(b, candidate.next.getLoc(),
                                           RankedTensorType::get(n, element),
                                           values),
                            j);
  };
  gleak = constant(*conductance);
  vleak = constant(potential);
  return true;
}

/// c = cm unfolds / dt: what depends on the neuron is cm.
bool Ltc::splitTime() {
  auto [time, rest] = partition(mass, [&](F f) { return !f->has(post); });
  double steps = candidate.steps();
  if (dependsOnRows(rest))
    return lacks("a capacitance depends on the sample");
  if (time.isNumber()) {
    cm = formulaOf(rest, notation, element);
    dt = notation.number(steps, element);
    return true;
  }
  double scale = steps / rest.coefficient;
  if (!std::isfinite(scale) || scale <= 0)
    return lacks("the state's factor is not positive");
  rest.coefficient = 1;
  cm = formulaOf(rest, notation, element);
  Product duration = inverse(time);
  duration.coefficient = scale;
  dt = formulaOf(duration, notation, element);
  return true;
}

Value Ltc::weight(Materializer &made, const Synapses &synapses, F formula) {
  AffineExpr pre = synapses.variable ? notation.variable(*synapses.variable)
                                     : notation.zero();
  return made.tensor(formula, {pre, at.back()},
                     ArrayRef<int64_t>{synapses.extent, type.getDimSize(post)});
}

WiringAttr wiringOf(const Product &weight, ArrayRef<AffineExpr> at,
                    ArrayRef<int64_t> shape, MLIRContext *context,
                    Notation &notation, Type type) {
  int64_t places = shape[0] * shape[1];
  if (places > WiringAttr::maxPlaces)
    return {};
  SmallVector<bool> exists(places, true);
  bool all = true;
  for (F factor : weight.over)
    if (auto values = evaluate(factor, at, shape))
      for (auto [i, value] : llvm::enumerate(*values))
        if (value == 0)
          all = exists[i] = false;
  if (all)
    return {};
  return WiringAttr::get(
      context, shape[0], shape[1],
      [&](int64_t i, int64_t j) { return exists[i * shape[1] + j]; });
}

bool Ltc::build() {
  Materializer made(notation, candidate.place());
  OpBuilder b(candidate.place());
  Location loc = candidate.next.getLoc();
  int64_t n = type.getDimSize(post);
  Value start = candidate.loop ? candidate.loop.getInits().front() : state;
  SmallVector<OpFoldResult> rows = tensor::getMixedSizes(b, loc, start);
  auto last = [&](int64_t size) {
    SmallVector<OpFoldResult> sizes(rows);
    sizes.back() = b.getIndexAttr(size);
    return sizes;
  };
  Value duration;
  if (dt->variables) {
    Indices index(at);
    index.back() = notation.zero();
    duration = made.tensor(dt, index, last(1));
  } else {
    duration = made.scalar(dt);
  }
  SmallVector<Value> weights[2];
  WiringAttr wirings[2];
  for (auto [g, synapses] : llvm::enumerate(groups)) {
    AffineExpr pre = synapses.variable ? notation.variable(*synapses.variable)
                                       : notation.zero();
    for (F f : {formulaOf(synapses.weight, notation, element),
                formulaOf(synapses.sigma, notation, element), synapses.mu,
                formulaOf(synapses.reversal, notation, element)})
      weights[g].push_back(weight(made, synapses, f));
    wirings[g] =
        wiringOf(synapses.weight, {pre, at.back()}, {synapses.extent, n},
                 b.getContext(), notation, element);
  }
  Value input;
  if (groups.size() > 1) {
    Indices index(at);
    index.back() = groups[1].variable ? notation.variable(*groups[1].variable)
                                      : notation.zero();
    input = made.tensor(groups[1].input, index, last(groups[1].extent));
  } else {
    input = tensor::EmptyOp::create(b, loc, last(0), element);
    for (unsigned i = 0; i < 4; ++i)
      weights[1].push_back(
          constantTensor(b, loc, RankedTensorType::get({0, n}, element), {}));
  }
  SmallVector<Value> neurons;
  for (F f : {cm, gleak, vleak})
    neurons.push_back(made.tensor(f, at.back(), n));
  SmallVector<Value> all{duration, input};
  for (const auto &values : {weights[0], weights[1], neurons})
    llvm::append_range(all, values);
  if (llvm::is_contained(all, Value()))
    return lacks("an operand is not available outside of the loop");
  auto cell = LtcOp::create(b, loc, type, start, input, duration, weights[0][0],
                            weights[0][1], weights[0][2], weights[0][3],
                            weights[1][0], weights[1][1], weights[1][2],
                            weights[1][3], neurons[0], neurons[1], neurons[2],
                            b.getI64IntegerAttr(candidate.steps()),
                            b.getF64FloatAttr(epsilon), wirings[0], wirings[1]);
  candidate.replaced().replaceAllUsesWith(cell.getResult());
  report.made(cell, "lnn.ltc of " + Twine(n) + " neurons and " +
                        Twine(groups.size() > 1 ? groups[1].extent : 0) +
                        " inputs, unfolds = " + Twine(candidate.steps()));
  return true;
}

bool Ltc::raise() {
  int64_t n = type.getDimSize(post);
  F next = notation.element(candidate.next, at);
  if (n < 2 || !split(next))
    return false;
  if (candidate.steps() > 65536)
    return lacks("more than 65536 unfolds");
  return findState() && pairSums() && splitLeak() && splitTime() && build();
}

bool raiseLtc(const Candidate &candidate, Notation &notation,
              const Report &report) {
  return candidate.type().getRank() > 0 &&
         Ltc(candidate, notation, report).raise();
}

} // namespace lnn::raise
