//===- FoldParameters.cpp - parameters in the form that loops want them ---===//
//
// Inside a loop over synapses everything that depends on parameters alone is
// computed now, and sums and products are regrouped so that more of it does:
//
//   sigmoid(s (v - mu)) in a sum   gate(fma(v, -s log2 e, s mu log2 e))
//   acc + (g w) e                  fma(g, w e, acc)
//
// What is folded is computed in double and rounded once.
//
//===----------------------------------------------------------------------===//
#include "Fusion.h"
#include "lnn/Dialect/Lnn/Lnn.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;

namespace lnn {

/// A folded parameter may be this much larger than what it is made of.
constexpr int64_t maxGrowth = 4, alwaysSmall = 4096;
/// Products of more factors are not regrouped.
constexpr size_t mostFactors = 8;

DenseElementsAttr floatConstant(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  auto elements = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                           : DenseElementsAttr();
  if (!elements ||
      !(elements.getElementType().isF32() || elements.getElementType().isF64()))
    return {};
  return elements;
}

/// What an op computes of its operands, in double; none where it isn't known.
static std::optional<double> evaluate(Operation *op, ArrayRef<double> x) {
  return llvm::TypeSwitch<Operation *, std::optional<double>>(op)
      .Case([&](arith::AddFOp) { return x[0] + x[1]; })
      .Case([&](arith::SubFOp) { return x[0] - x[1]; })
      .Case([&](arith::MulFOp) { return x[0] * x[1]; })
      .Case([&](arith::DivFOp) { return x[0] / x[1]; })
      .Case([&](arith::NegFOp) { return -x[0]; })
      .Case([&](math::FmaOp) { return std::fma(x[0], x[1], x[2]); })
      .Case([&](math::AbsFOp) { return std::fabs(x[0]); })
      .Case([&](math::SqrtOp) { return std::sqrt(x[0]); })
      .Case([&](math::ExpOp) { return std::exp(x[0]); })
      .Case([&](math::LogOp) { return std::log(x[0]); })
      .Case([&](math::TanhOp) { return std::tanh(x[0]); })
      .Case([&](SigmoidOp) { return 1 / (1 + std::exp(-x[0])); })
      .Case([&](SoftplusOp) {
        return std::fmax(x[0], 0.0) + std::log1p(std::exp(-std::fabs(x[0])));
      })
      .Default([](Operation *) { return std::nullopt; });
}

static bool canEvaluate(Operation *op) {
  if (op->getNumResults() != 1)
    return false;
  Type type = op->getResult(0).getType();
  if (!type.isF32() && !type.isF64())
    return false;
  SmallVector<double> ones(op->getNumOperands(), 1.0);
  return evaluate(op, ones).has_value();
}

namespace {
/// z = scale * x + offset, where scale and offset are parameters; null for 1
/// and 0.
struct Affine {
  Value x, scale, offset;
};

class ParameterFolder {
public:
  ParameterFolder(linalg::GenericOp op, RewriterBase &rewriter)
      : op(op), rewriter(rewriter), body(op.getRegion().front()) {}
  unsigned run();

private:
  bool isParameter(Value value);
  bool isGated(Value value, DenseSet<Value> &seen);
  Affine decompose(Value value);
  Value multiply(Value a, Value b);
  void regroupGates();
  void regroupTerms();
  bool collectFactors(Value value, SmallVectorImpl<Value> &parameters,
                      SmallVectorImpl<Value> &others);

  void leaves(Value value, llvm::SetVector<unsigned> &operands,
              DenseSet<Value> &seen);
  using Values = DenseMap<Value, std::vector<double>>;
  void compute(Value value, ArrayRef<unsigned> dims, int64_t count,
               Values &values);
  void gather(OpOperand &operand, ArrayRef<unsigned> dims,
              std::vector<double> &result);
  Value fold(Value value, AffineMap &map);
  Value constant(Value value, ArrayRef<unsigned> dims);
  bool foldWhole();
  unsigned hoist();

  linalg::GenericOp op;
  RewriterBase &rewriter;
  Block &body;
  DenseMap<Value, bool> known;
};
} // namespace

bool ParameterFolder::isParameter(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (argument.getOwner() != &body)
      return false;
    OpOperand *operand = op.getMatchingOpOperand(argument);
    return op.isDpsInput(operand) && floatConstant(operand->get()) &&
           op.getMatchingIndexingMap(operand).isProjectedPermutation();
  }
  Operation *definition = value.getDefiningOp();
  if (auto constant = dyn_cast<arith::ConstantOp>(definition))
    return isa<FloatAttr>(constant.getValue());
  if (definition->getBlock() != &body)
    return false;
  auto found = known.find(value);
  if (found != known.end())
    return found->second;
  bool result = canEvaluate(definition) &&
                llvm::all_of(definition->getOperands(), [&](Value operand) {
                  return isParameter(operand);
                });
  return known[value] = result;
}

/// True where a value ends in sums only, weighted by parameters: an absolute
/// error is what counts then. In a product with anything else, an accumulator
/// among it, a relative error would.
bool ParameterFolder::isGated(Value value, DenseSet<Value> &seen) {
  if (!seen.insert(value).second)
    return true;
  for (Operation *user : value.getUsers()) {
    if (isa<linalg::YieldOp>(user))
      continue;
    bool weighs = isa<arith::MulFOp>(user) &&
                  isParameter(user->getOperand(user->getOperand(0) == value));
    if (!weighs && !isa<arith::AddFOp, arith::SubFOp, arith::NegFOp>(user))
      return false;
    if (!isGated(user->getResult(0), seen))
      return false;
  }
  return true;
}

Value ParameterFolder::multiply(Value a, Value b) {
  if (!a || !b)
    return a ? a : b;
  return arith::MulFOp::create(rewriter, op.getLoc(), a, b);
}

Affine ParameterFolder::decompose(Value value) {
  Operation *definition = value.getDefiningOp();
  if (!definition || definition->getBlock() != &body)
    return {value, {}, {}};
  Location loc = op.getLoc();
  auto at = [&](unsigned i) { return definition->getOperand(i); };
  auto negate = [&](Value v) -> Value {
    return arith::NegFOp::create(rewriter, loc, v);
  };
  auto negated = [&](Affine form) -> Affine {
    Value minusOne = arith::ConstantOp::create(
        rewriter, loc, rewriter.getFloatAttr(value.getType(), -1));
    return {form.x, form.scale ? negate(form.scale) : minusOne,
            form.offset ? negate(form.offset) : Value()};
  };
  auto shifted = [&](Affine form, Value by) -> Affine {
    form.offset =
        form.offset
            ? arith::AddFOp::create(rewriter, loc, form.offset, by).getResult()
            : by;
    return form;
  };
  if (isa<arith::NegFOp>(definition))
    return negated(decompose(at(0)));
  if (isa<arith::AddFOp>(definition)) {
    if (isParameter(at(1)))
      return shifted(decompose(at(0)), at(1));
    if (isParameter(at(0)))
      return shifted(decompose(at(1)), at(0));
  }
  if (isa<arith::SubFOp>(definition)) {
    if (isParameter(at(1)))
      return shifted(decompose(at(0)), negate(at(1)));
    if (isParameter(at(0)))
      return shifted(negated(decompose(at(1))), at(0));
  }
  if (isa<arith::MulFOp>(definition) &&
      (isParameter(at(0)) || isParameter(at(1)))) {
    bool first = isParameter(at(0));
    Affine form = decompose(at(first ? 1 : 0));
    Value by = at(first ? 0 : 1);
    return {form.x, multiply(form.scale, by),
            form.offset ? multiply(form.offset, by) : Value()};
  }
  return {value, {}, {}};
}

void ParameterFolder::regroupGates() {
  SmallVector<SigmoidOp> gates;
  for (auto sigmoid : body.getOps<SigmoidOp>()) {
    DenseSet<Value> seen;
    if (sigmoid.getType().isF32() && !isParameter(sigmoid.getOperand()) &&
        isGated(sigmoid, seen))
      gates.push_back(sigmoid);
  }
  for (SigmoidOp sigmoid : gates) {
    rewriter.setInsertionPoint(sigmoid);
    Location loc = sigmoid.getLoc();
    Affine form = decompose(sigmoid.getOperand());
    Value base = arith::ConstantOp::create(
        rewriter, loc, rewriter.getF32FloatAttr(-1.44269504f));
    Value scale = multiply(form.scale, base);
    Value exponent;
    if (form.offset)
      exponent = math::FmaOp::create(rewriter, loc, form.x, scale,
                                     multiply(form.offset, base));
    else
      exponent = arith::MulFOp::create(rewriter, loc, form.x, scale);
    rewriter.replaceOpWithNewOp<GateOp>(sigmoid, exponent);
  }
}

/// The factors of a product. False where there is nothing to regroup, or more
/// than a cell's formula has: squares of squares have no end of them.
bool ParameterFolder::collectFactors(Value value,
                                     SmallVectorImpl<Value> &parameters,
                                     SmallVectorImpl<Value> &others) {
  if (parameters.size() + others.size() > mostFactors)
    return false;
  if (isParameter(value)) {
    parameters.push_back(value);
    return true;
  }
  auto product = value.getDefiningOp<arith::MulFOp>();
  if (!product || product->getBlock() != &body) {
    others.push_back(value);
    return false;
  }
  bool left = collectFactors(product.getLhs(), parameters, others);
  bool right = collectFactors(product.getRhs(), parameters, others);
  return left || right;
}

void ParameterFolder::regroupTerms() {
  auto yield = cast<linalg::YieldOp>(body.getTerminator());
  for (auto [argument, value] :
       llvm::zip(op.getRegionOutputArgs(), yield.getOperands())) {
    Value term = addedTerm(argument, value);
    if (!term)
      continue;
    auto sum = value.getDefiningOp<arith::AddFOp>();
    SmallVector<Value> parameters, others;
    if (!collectFactors(term, parameters, others) || others.empty() ||
        parameters.size() + others.size() < 3 ||
        parameters.size() + others.size() > mostFactors)
      continue;
    rewriter.setInsertionPoint(sum);
    Value weight, rest;
    for (Value parameter : parameters)
      weight = multiply(weight, parameter);
    for (Value other : others)
      rest = multiply(rest, other);
    Value product = multiply(rest, weight);
    rewriter.modifyOpInPlace(sum, [&] {
      sum.getLhsMutable().assign(argument);
      sum.getRhsMutable().assign(product);
    });
  }
}

/// The numbers of the operands that a parameter is made of.
void ParameterFolder::leaves(Value value, llvm::SetVector<unsigned> &operands,
                             DenseSet<Value> &seen) {
  if (!seen.insert(value).second)
    return;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    operands.insert(op.getMatchingOpOperand(argument)->getOperandNumber());
    return;
  }
  Operation *definition = value.getDefiningOp();
  if (definition->getBlock() == &body)
    for (Value operand : definition->getOperands())
      leaves(operand, operands, seen);
}

/// Adds the parameter's values over the loops `dims`, the last one fastest.
void ParameterFolder::compute(Value value, ArrayRef<unsigned> dims,
                              int64_t count, Values &values) {
  if (values.contains(value))
    return;
  std::vector<double> result(count);
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    gather(*op.getMatchingOpOperand(argument), dims, result);
  } else if (auto constant = value.getDefiningOp<arith::ConstantOp>()) {
    double number = cast<FloatAttr>(constant.getValue()).getValueAsDouble();
    std::fill(result.begin(), result.end(), number);
  } else {
    Operation *definition = value.getDefiningOp();
    for (Value operand : definition->getOperands())
      compute(operand, dims, count, values);
    SmallVector<double> x(definition->getNumOperands());
    for (int64_t i = 0; i < count; ++i) {
      for (auto [k, operand] : llvm::enumerate(definition->getOperands()))
        x[k] = values.find(operand)->second[i];
      result[i] = *evaluate(definition, x);
    }
  }
  values[value] = std::move(result);
}

/// A constant operand's elements over the loops `dims`.
void ParameterFolder::gather(OpOperand &operand, ArrayRef<unsigned> dims,
                             std::vector<double> &result) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  DenseElementsAttr elements = floatConstant(operand.get());
  std::vector<double> flat;
  if (elements.getElementType().isF32())
    llvm::append_range(flat, elements.getValues<float>());
  else
    llvm::append_range(flat, elements.getValues<double>());
  SmallVector<int64_t> extents = op.getStaticLoopRanges(),
                       strides(extents.size(), 0);
  int64_t stride = 1;
  ArrayRef<int64_t> shape = elements.getType().getShape();
  for (int64_t i = map.getNumResults(); i-- > 0; stride *= shape[i])
    if (auto dim = dyn_cast<AffineDimExpr>(map.getResult(i)))
      strides[dim.getPosition()] = stride;
  for (size_t i = 0; i < result.size(); ++i) {
    int64_t rest = i, from = 0;
    for (unsigned d : llvm::reverse(dims)) {
      from += rest % extents[d] * strides[d];
      rest /= extents[d];
    }
    result[i] = flat[from];
  }
}

/// A constant of the parameter's values, read by `map`; null where it would be
/// too large.
Value ParameterFolder::fold(Value value, AffineMap &map) {
  llvm::SetVector<unsigned> operands;
  DenseSet<Value> seen;
  leaves(value, operands, seen);
  llvm::SmallBitVector used(op.getNumLoops());
  int64_t largest = 0;
  for (unsigned number : operands) {
    OpOperand &operand = op->getOpOperand(number);
    AffineMap operandMap = op.getMatchingIndexingMap(&operand);
    for (unsigned d = 0; d < op.getNumLoops(); ++d)
      if (operandMap.isFunctionOfDim(d))
        used.set(d);
    largest = std::max(largest, floatConstant(operand.get()).getNumElements());
  }
  SmallVector<unsigned> dims;
  SmallVector<int64_t> shape;
  SmallVector<AffineExpr> results;
  int64_t count = 1;
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  for (unsigned d : used.set_bits()) {
    if (ShapedType::isDynamic(extents[d]))
      return {};
    dims.push_back(d);
    shape.push_back(extents[d]);
    results.push_back(rewriter.getAffineDimExpr(d));
    count *= extents[d];
    if (count > std::max(maxGrowth * largest, alwaysSmall))
      return {};
  }
  map = AffineMap::get(op.getNumLoops(), 0, results, rewriter.getContext());
  return constant(value, dims);
}

/// The parameter's values over these loops, as a tensor.
Value ParameterFolder::constant(Value value, ArrayRef<unsigned> dims) {
  SmallVector<int64_t> shape, extents = op.getStaticLoopRanges();
  int64_t count = 1;
  for (unsigned d : dims)
    shape.push_back(extents[d]), count *= extents[d];
  auto type = RankedTensorType::get(shape, value.getType());
  Values computed;
  compute(value, dims, count, computed);
  const std::vector<double> &values = computed.find(value)->second;
  DenseElementsAttr elements;
  if (value.getType().isF32())
    elements = DenseElementsAttr::get(type, ArrayRef<float>(SmallVector<float>(
                                                values.begin(), values.end())));
  else
    elements = DenseElementsAttr::get(type, ArrayRef<double>(values));
  rewriter.setInsertionPoint(op);
  return arith::ConstantOp::create(rewriter, op.getLoc(), type, elements);
}

/// An elementwise op of parameters alone is a constant.
bool ParameterFolder::foldWhole() {
  constexpr int64_t most = 1 << 18;
  if (op.getNumResults() != 1 || op.getNumReductionLoops() > 0 ||
      op.getNumDpsInputs() == 0)
    return false;
  AffineMap map = op.getIndexingMapsArray().back();
  Value yielded = body.getTerminator()->getOperand(0);
  auto type = dyn_cast<RankedTensorType>(op.getResult(0).getType());
  if (!type || !type.hasStaticShape() || type.getNumElements() > most ||
      !map.isPermutation() || !isParameter(yielded) ||
      llvm::hasSingleElement(body))
    return false;
  SmallVector<unsigned> dims;
  for (AffineExpr expr : map.getResults())
    dims.push_back(cast<AffineDimExpr>(expr).getPosition());
  rewriter.replaceOp(op, constant(yielded, dims));
  return true;
}

/// Makes operands of the parameters that are computed in the body.
unsigned ParameterFolder::hoist() {
  llvm::SetVector<Value> found;
  for (Operation &inner : body)
    for (Value operand : inner.getOperands())
      if (Operation *definition = operand.getDefiningOp();
          definition && definition->getBlock() == &body &&
          isParameter(operand) &&
          !(inner.getNumResults() == 1 && isParameter(inner.getResult(0))))
        found.insert(operand);
  SmallVector<Value> inputs(op.getInputs());
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  unsigned folded = 0;
  for (Value value : found) {
    AffineMap map;
    Value constant = fold(value, map);
    if (!constant)
      continue;
    BlockArgument argument =
        body.insertArgument(inputs.size(), value.getType(), op.getLoc());
    maps.insert(maps.begin() + inputs.size(), map);
    inputs.push_back(constant);
    // The op and its body stay in step: what is folded next looks at both.
    op.getInputsMutable().append(constant);
    op.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
    rewriter.replaceAllUsesWith(value, argument);
    ++folded;
  }
  return folded;
}

unsigned ParameterFolder::run() {
  if (op.hasIndexSemantics())
    return 0;
  if (foldWhole())
    return 1;
  if (op.getNumReductionLoops() > 0) {
    regroupGates();
    known.clear();
    regroupTerms();
    known.clear();
  }
  return hoist();
}

unsigned foldParameters(func::FuncOp function, RewriterBase &rewriter) {
  SmallVector<linalg::GenericOp> ops;
  function.walk([&](linalg::GenericOp op) {
    if (op.hasPureTensorSemantics())
      ops.push_back(op);
  });
  unsigned folded = 0;
  for (linalg::GenericOp op : ops)
    folded += ParameterFolder(op, rewriter).run();
  return folded;
}

} // namespace lnn
