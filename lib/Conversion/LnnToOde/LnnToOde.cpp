//===- LnnToOde.cpp - cells to dynamics and linalg ------------------------===//
//
// Cells that are dynamics become ode.solve, recurrences become lnn.scan, the
// rest linalg. What does not depend on the state is computed in front of the
// solve. Every sum is one reduction, ascending over its index.
//
//===----------------------------------------------------------------------===//
#include "lnn/Conversion/Passes.h"
#include "lnn/Dialect/Lnn/Cells.h"
#include "lnn/Dialect/Ode/Ode.h"
#include "lnn/Support/Zeros.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

namespace lnn {
#define GEN_PASS_DEF_CONVERTLNNTOODE
#include "lnn/Conversion/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;

namespace {
using Sizes = SmallVector<OpFoldResult>;
/// An operand of a linalg.generic and how the loops read it.
struct Read {
  Value value;
  AffineMap map;
};

SmallVector<unsigned> upTo(unsigned count) {
  return llvm::to_vector(llvm::seq<unsigned>(0, count));
}

RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Builds what one cell becomes. A tensor's leading dimensions are its `rows`.
class Lowering {
public:
  explicit Lowering(Operation *op) : b(op), loc(op->getLoc()) {}

  SmallVector<Value> lower(LtcOp op);
  SmallVector<Value> lower(CfcOp op);
  SmallVector<Value> lower(CtrnnOp op);
  SmallVector<Value> lower(FeedbackOp op);
  SmallVector<Value> lower(TrajectoryOp op);
  SmallVector<Value> lower(StateGateOp op);
  SmallVector<Value> lower(LinearRecurrenceOp op);
  SmallVector<Value> lower(CausalConvOp op);

  Value cast(Value value, Type elementType);

private:
  OpBuilder b;
  Location loc;

  using Body = function_ref<SmallVector<Value>(OpBuilder &, ValueRange)>;

  /// The map of `loops` loops to those in `dims`.
  AffineMap map(unsigned loops, ArrayRef<unsigned> dims) {
    SmallVector<AffineExpr> exprs;
    for (unsigned d : dims)
      exprs.push_back(b.getAffineDimExpr(d));
    return AffineMap::get(loops, 0, exprs, b.getContext());
  }
  /// The loops 0 .. rows-1, then those in `dims`.
  AffineMap rowMap(unsigned loops, unsigned rows, ArrayRef<unsigned> dims) {
    SmallVector<unsigned> all = upTo(rows);
    llvm::append_range(all, dims);
    return map(loops, all);
  }
  /// Reads a tensor by the loops in `dims`; sizes of 1 broadcast.
  Read broadcast(Value value, unsigned loops, ArrayRef<unsigned> dims) {
    SmallVector<AffineExpr> exprs;
    for (auto [size, d] : llvm::zip(typeOf(value).getShape(), dims))
      exprs.push_back(size == 1 ? b.getAffineConstantExpr(0)
                                : b.getAffineDimExpr(d));
    return {value, AffineMap::get(loops, 0, exprs, b.getContext())};
  }

  Value empty(const Sizes &sizes, Type elementType) {
    return tensor::EmptyOp::create(b, loc, sizes, elementType);
  }
  Value constant(OpBuilder &at, Type type, double value) {
    return arith::ConstantOp::create(at, loc, at.getFloatAttr(type, value));
  }
  Sizes sizesOf(Value value) { return tensor::getMixedSizes(b, loc, value); }
  Sizes withLast(Sizes sizes, int64_t last) {
    sizes.back() = b.getIndexAttr(last);
    return sizes;
  }
  SmallVector<Value> generic(ArrayRef<Read> ins, ArrayRef<Read> outs,
                             unsigned parallel, unsigned reductions, Body body);
  /// One result of these sizes, computed elementwise.
  Value elementwise(ArrayRef<Read> ins, const Sizes &sizes, Type type,
                    function_ref<Value(OpBuilder &, ValueRange)> body);
  Value matmul(Value lhs, Value rhs, Value init);
  Value broadcastRow(Value vector, const Sizes &sizes, Type type);
  Value masked(Value weight, std::optional<WiringAttr> wiring);
  bool isAbsent(std::optional<WiringAttr> wiring) {
    return wiring && wiring->isEmpty();
  }
  std::pair<Value, Value> synapses(Value pre, ArrayRef<Value> weights,
                                   std::optional<WiringAttr> wiring,
                                   Value numerator, Value denominator);
  Value slice(Value value, const Sizes &offsets, const Sizes &sizes);
  Value duration(OpBuilder &at, Value dt, ValueRange arguments) {
    return isa<RankedTensorType>(dt.getType()) ? arguments.back() : dt;
  }
  void readDuration(SmallVectorImpl<Read> &ins, Value dt, unsigned loops) {
    if (!isa<RankedTensorType>(dt.getType()))
      return;
    SmallVector<unsigned> dims = upTo(loops);
    ins.push_back(broadcast(dt, loops, dims));
  }
  Value foldTime(Value a, Value b, Value dt);
  Value blend(OpBuilder &at, CfcMode mode, Value ff1, Value ff2, Value x);
  void checkSteps(LinearRecurrenceOp op, Value value, StringRef name,
                  Value steps);
  Value diagonalStep(ArrayRef<Value> decays, Value drive, ValueRange states);
  Value matrixStep(Value a, Value k, Value v, Value s);
  Value readOut(Value s, Value q);
};
} // namespace

SmallVector<Value> Lowering::generic(ArrayRef<Read> ins, ArrayRef<Read> outs,
                                     unsigned parallel, unsigned reductions,
                                     Body body) {
  SmallVector<Value> inputs, inits;
  SmallVector<AffineMap> maps;
  for (const Read &in : ins) {
    inputs.push_back(in.value);
    maps.push_back(in.map);
  }
  for (const Read &out : outs) {
    inits.push_back(out.value);
    maps.push_back(out.map);
  }
  SmallVector<utils::IteratorType> iterators(parallel,
                                             utils::IteratorType::parallel);
  iterators.append(reductions, utils::IteratorType::reduction);
  auto op = linalg::GenericOp::create(
      b, loc, ValueRange(inits).getTypes(), inputs, inits, maps, iterators,
      [&](OpBuilder &at, Location, ValueRange arguments) {
        linalg::YieldOp::create(at, loc, body(at, arguments));
      });
  return SmallVector<Value>(op.getResults());
}

Value Lowering::elementwise(ArrayRef<Read> ins, const Sizes &sizes, Type type,
                            function_ref<Value(OpBuilder &, ValueRange)> body) {
  unsigned rank = sizes.size();
  return generic(
      ins, Read{empty(sizes, type), b.getMultiDimIdentityMap(rank)}, rank, 0,
      [&](OpBuilder &at, ValueRange arguments) -> SmallVector<Value> {
        return {body(at, arguments.drop_back())};
      })[0];
}

/// The value in another float type: f16 and bf16 are storage, f32 computes.
Value Lowering::cast(Value value, Type elementType) {
  auto convert = [&](OpBuilder &at, Value v) -> Value {
    if (v.getType().getIntOrFloatBitWidth() <
        elementType.getIntOrFloatBitWidth())
      return arith::ExtFOp::create(at, loc, elementType, v);
    return arith::TruncFOp::create(at, loc, elementType, v);
  };
  if (getElementTypeOrSelf(value) == elementType)
    return value;
  if (!isa<RankedTensorType>(value.getType()))
    return convert(b, value);
  unsigned rank = typeOf(value).getRank();
  return elementwise(
      Read{value, b.getMultiDimIdentityMap(rank)}, sizesOf(value), elementType,
      [&](OpBuilder &at, ValueRange v) { return convert(at, v[0]); });
}

/// lhs [rows..., K] x rhs [K, N] accumulated on init [rows..., N], ascending in
/// k.
Value Lowering::matmul(Value lhs, Value rhs, Value init) {
  unsigned rows = typeOf(lhs).getRank() - 1, n = rows, k = rows + 1;
  return generic(
      {{lhs, rowMap(rows + 2, rows, {k})}, {rhs, map(rows + 2, {k, n})}},
      Read{init, rowMap(rows + 2, rows, {n})}, rows + 1, 1,
      [&](OpBuilder &at, ValueRange v) -> SmallVector<Value> {
        Value product = arith::MulFOp::create(at, loc, v[0], v[1]);
        return {arith::AddFOp::create(at, loc, v[2], product)};
      })[0];
}

/// A vector, or zeros where there is none, in each row.
Value Lowering::broadcastRow(Value vector, const Sizes &sizes, Type type) {
  if (!vector)
    return linalg::FillOp::create(b, loc, constant(b, type, 0),
                                  empty(sizes, type))
        .getResult(0);
  unsigned rank = sizes.size();
  return elementwise(Read{vector, map(rank, {rank - 1})}, sizes, type,
                     [](OpBuilder &, ValueRange v) { return v[0]; });
}

/// A weight with zeros where there is no synapse, whatever it holds there.
Value Lowering::masked(Value weight, std::optional<WiringAttr> wiring) {
  if (!wiring || wiring->isDense())
    return weight;
  RankedTensorType type = typeOf(weight);
  int64_t post = type.getDimSize(1);
  auto constantOp = weight.getDefiningOp<arith::ConstantOp>();
  if (auto known = constantOp
                       ? dyn_cast<DenseElementsAttr>(constantOp.getValue())
                       : DenseElementsAttr()) {
    APFloat zero = APFloat::getZero(
        ::cast<FloatType>(type.getElementType()).getFloatSemantics());
    SmallVector<APFloat> values;
    int64_t place = 0;
    for (const APFloat &value : known.getValues<APFloat>()) {
      values.push_back(wiring->exists(place / post, place % post) ? value
                                                                  : zero);
      ++place;
    }
    return arith::ConstantOp::create(b, loc,
                                     DenseElementsAttr::get(type, values));
  }
  // Beside the weight's definition, which is outside of the loops that read it.
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointAfterValue(weight);
  Value mask =
      arith::ConstantOp::create(b, loc, wiring->toMask(type.getElementType()));
  AffineMap id = b.getMultiDimIdentityMap(2);
  return elementwise(
      {{weight, id}, {mask, id}}, sizesOf(weight), type.getElementType(),
      [&](OpBuilder &at, ValueRange v) -> Value {
        Value zero = constant(at, type.getElementType(), 0);
        Value exists = arith::CmpFOp::create(at, loc, arith::CmpFPredicate::ONE,
                                             v[1], zero);
        return arith::SelectOp::create(at, loc, exists, v[0], zero);
      });
}

Value Lowering::slice(Value value, const Sizes &offsets, const Sizes &sizes) {
  Sizes strides(offsets.size(), b.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(b, loc, value, offsets, sizes, strides);
}

static Value activate(OpBuilder &b, Location loc, Activation activation,
                      Value x) {
  switch (activation) {
  case Activation::Identity:
    return x;
  case Activation::Tanh:
    return math::TanhOp::create(b, loc, x);
  case Activation::Sigmoid:
    return SigmoidOp::create(b, loc, x.getType(), x);
  case Activation::Relu: {
    Value zero =
        arith::ConstantOp::create(b, loc, b.getFloatAttr(x.getType(), 0));
    return arith::MaximumFOp::create(b, loc, x, zero);
  }
  case Activation::Softplus:
    return SoftplusOp::create(b, loc, x.getType(), x);
  case Activation::Silu:
    return SiluOp::create(b, loc, x.getType(), x);
  case Activation::Gelu:
    return GeluOp::create(b, loc, x.getType(), x);
  }
  llvm_unreachable("an activation");
}

static Value mul(OpBuilder &b, Value x, Value y) {
  return arith::MulFOp::create(b, x.getLoc(), x, y);
}
static Value add(OpBuilder &b, Value x, Value y) {
  return arith::AddFOp::create(b, x.getLoc(), x, y);
}
static Value sub(OpBuilder &b, Value x, Value y) {
  return arith::SubFOp::create(b, x.getLoc(), x, y);
}

//===----------------------------------------------------------------------===//
// Dynamics
//===----------------------------------------------------------------------===//

/// Adds sum_i w s(sigma (pre_i - mu)) erev to the numerator, the same without
/// erev to the denominator.
std::pair<Value, Value> Lowering::synapses(Value pre, ArrayRef<Value> weights,
                                           std::optional<WiringAttr> wiring,
                                           Value numerator, Value denominator) {
  if (isAbsent(wiring) || typeOf(pre).getShape().back() == 0)
    return {numerator, denominator};
  unsigned rows = typeOf(pre).getRank() - 1, j = rows, i = rows + 1,
           loops = rows + 2;
  SmallVector<Read> ins{{pre, rowMap(loops, rows, {i})}};
  for (Value weight : weights)
    ins.push_back({weight, map(loops, {i, j})});
  AffineMap out = rowMap(loops, rows, {j});
  SmallVector<Value> sums =
      generic(ins, {{numerator, out}, {denominator, out}}, rows + 1, 1,
              [&](OpBuilder &at, ValueRange v) -> SmallVector<Value> {
                Value w = v[1], sigma = v[2], mu = v[3], erev = v[4];
                Value x = mul(at, sub(at, v[0], mu), sigma);
                Value conductance =
                    mul(at, SigmoidOp::create(at, loc, x.getType(), x), w);
                return {add(at, v[5], mul(at, conductance, erev)),
                        add(at, v[6], conductance)};
              });
  return {sums[0], sums[1]};
}

SmallVector<Value> Lowering::lower(LtcOp op) {
  Value h = op.getState();
  Type type = typeOf(h).getElementType();
  unsigned rank = typeOf(h).getRank();
  auto maskedAll = [&](std::initializer_list<Value> weights,
                       std::optional<WiringAttr> wiring) {
    SmallVector<Value> result;
    for (Value weight : weights)
      result.push_back(isAbsent(wiring) ? weight : masked(weight, wiring));
    return result;
  };
  SmallVector<Value> recurrent = maskedAll(
      {op.getW(), op.getSigma(), op.getMu(), op.getErev()}, op.getWiring());
  SmallVector<Value> sensory =
      maskedAll({op.getSensoryW(), op.getSensorySigma(), op.getSensoryMu(),
                 op.getSensoryErev()},
                op.getSensoryWiring());
  // gleak vleak and gleak + epsilon, where the sums start.
  AffineMap row = map(rank, {rank - 1}), id = b.getMultiDimIdentityMap(rank);
  Sizes sizes = sizesOf(h);
  SmallVector<Value> leak =
      generic({{op.getGleak(), row}, {op.getVleak(), row}},
              {{empty(sizes, type), id}, {empty(sizes, type), id}}, rank, 0,
              [&](OpBuilder &at, ValueRange v) -> SmallVector<Value> {
                Value epsilon =
                    constant(at, type, op.getEpsilon().convertToDouble());
                return {mul(at, v[0], v[1]), add(at, v[0], epsilon)};
              });
  auto [drive, decay] =
      synapses(op.getInput(), sensory, op.getSensoryWiring(), leak[0], leak[1]);
  auto method =
      ode::MethodAttr::get(b.getContext(), "semi_implicit", op.getUnfolds());
  auto solve = ode::SolveOp::create(
      b, loc, h, op.getDt(), method,
      [&, drive = drive, decay = decay](OpBuilder &at, Location, Value,
                                        ValueRange states) {
        OpBuilder::InsertionGuard guard(b);
        b.restoreInsertionPoint(at.saveInsertionPoint());
        auto [num, den] =
            synapses(states[0], recurrent, op.getWiring(), drive, decay);
        ode::YieldSemilinearOp::create(b, loc, den, num, op.getCm());
      });
  return {solve.getResult(0)};
}

SmallVector<Value> Lowering::lower(CtrnnOp op) {
  Value h = op.getState();
  Type type = typeOf(h).getElementType();
  Value input = broadcastRow(op.getB(), sizesOf(h), type);
  if (!isAbsent(op.getInputWiring()))
    input =
        matmul(op.getInput(), masked(op.getW(), op.getInputWiring()), input);
  Value r =
      isAbsent(op.getWiring()) ? Value() : masked(op.getR(), op.getWiring());
  Value one = constant(b, type, 1);
  auto solve = ode::SolveOp::create(
      b, loc, h, op.getDt(), ::cast<ode::MethodAttr>(op.getMethod()),
      [&](OpBuilder &at, Location, Value, ValueRange states) {
        OpBuilder::InsertionGuard guard(b);
        b.restoreInsertionPoint(at.saveInsertionPoint());
        Value sum = r ? matmul(states[0], r, input) : input;
        AffineMap id = b.getMultiDimIdentityMap(typeOf(sum).getRank());
        Value drive =
            elementwise(Read{sum, id}, sizesOf(sum), type,
                        [&](OpBuilder &in, ValueRange v) {
                          return activate(in, loc, op.getActivation(), v[0]);
                        });
        ode::YieldSemilinearOp::create(b, loc, one, drive, op.getTau());
      });
  return {solve.getResult(0)};
}

//===----------------------------------------------------------------------===//
// Closed forms
//===----------------------------------------------------------------------===//

/// The elements of a constant of f32 or f64, in double.
static std::optional<std::vector<double>> numbersOf(Value value) {
  DenseElementsAttr elements;
  if (!value || !matchPattern(value, m_Constant(&elements)))
    return std::nullopt;
  std::vector<double> result;
  if (elements.getElementType().isF32())
    llvm::append_range(result, elements.getValues<float>());
  else if (elements.getElementType().isF64())
    llvm::append_range(result, elements.getValues<double>());
  else
    return std::nullopt;
  return result;
}

/// a dt + b, where all three are constants and it is finite, rounded once; null
/// otherwise.
Value Lowering::foldTime(Value a, Value b, Value dt) {
  FloatAttr time;
  std::optional<std::vector<double>> first = numbersOf(a),
                                     second = numbersOf(b);
  if (!first || !second || !matchPattern(dt, m_Constant(&time)))
    return {};
  SmallVector<Attribute> sums;
  auto type = typeOf(a);
  for (auto [x, y] : llvm::zip_equal(*first, *second)) {
    auto sum = FloatAttr::get(type.getElementType(),
                              std::fma(x, time.getValueAsDouble(), y));
    // Infinities of different signs would meet in the layer's sum.
    if (!sum.getValue().isFinite())
      return {};
    sums.push_back(sum);
  }
  return arith::ConstantOp::create(this->b, loc,
                                   DenseElementsAttr::get(type, sums));
}

/// The head's value, of what is in its tanhs and in its sigmoid.
Value Lowering::blend(OpBuilder &at, CfcMode mode, Value ff1, Value ff2,
                      Value x) {
  Value t = SigmoidOp::create(at, loc, x.getType(), x);
  Value h1 = math::TanhOp::create(at, loc, ff1),
        h2 = math::TanhOp::create(at, loc, ff2);
  Value second = mul(at, t, h2);
  if (mode == CfcMode::NoGate)
    return add(at, h1, second);
  Value rest = sub(at, constant(at, x.getType(), 1), t);
  return add(at, mul(at, h1, rest), second);
}

SmallVector<Value> Lowering::lower(CfcOp op) {
  Value f = op.getFeature(), dt = op.getDt();
  Type type = typeOf(f).getElementType();
  unsigned rank = typeOf(f).getRank();
  Sizes sizes = withLast(sizesOf(f), typeOf(op.getW1()).getDimSize(1));
  auto linear = [&](Value w, Value bias, std::optional<WiringAttr> wiring) {
    Value init = broadcastRow(bias, sizes, type);
    return isAbsent(wiring) ? init : matmul(f, masked(w, wiring), init);
  };
  AffineMap id = b.getMultiDimIdentityMap(rank), row = map(rank, {rank - 1});
  Value ff1 = linear(op.getW1(), op.getB1(), op.getWiring());
  if (op.getMode() == CfcMode::Pure) {
    SmallVector<Read> ins{{ff1, id}, {op.getWTau(), row}, {op.getA(), row}};
    readDuration(ins, dt, rank);
    return {elementwise(
        ins, sizes, type, [&](OpBuilder &at, ValueRange v) -> Value {
          Value rate = add(at, math::AbsFOp::create(at, loc, v[1]),
                           math::AbsFOp::create(at, loc, v[0]));
          Value exponent = arith::NegFOp::create(
              at, loc, mul(at, duration(at, dt, v), rate));
          Value decayed = mul(
              at, mul(at, v[2], math::ExpOp::create(at, loc, exponent)), v[0]);
          return sub(at, v[2], decayed);
        })};
  }
  Value ff2 = linear(op.getW2(), op.getB2(), op.getWiring());
  // For a dt that is known, (Wa f + ba) dt + (Wb f + bb) is one layer.
  Value w = foldTime(op.getWa(), op.getWb(), dt),
        bias = foldTime(op.getBa(), op.getBb(), dt);
  if (w && bias) {
    Value x = linear(w, bias, std::nullopt);
    return {elementwise({{ff1, id}, {ff2, id}, {x, id}}, sizes, type,
                        [&](OpBuilder &at, ValueRange v) {
                          return blend(at, op.getMode(), v[0], v[1], v[2]);
                        })};
  }
  Value ta = linear(op.getWa(), op.getBa(), std::nullopt),
        tb = linear(op.getWb(), op.getBb(), std::nullopt);
  SmallVector<Read> ins{{ff1, id}, {ff2, id}, {ta, id}, {tb, id}};
  readDuration(ins, dt, rank);
  return {
      elementwise(ins, sizes, type, [&](OpBuilder &at, ValueRange v) -> Value {
        Value x = add(at, mul(at, v[2], duration(at, dt, v)), v[3]);
        return blend(at, op.getMode(), v[0], v[1], x);
      })};
}

SmallVector<Value> Lowering::lower(FeedbackOp op) {
  return {
      matmul(op.getState(), masked(op.getF(), op.getWiring()), op.getInput())};
}

SmallVector<Value> Lowering::lower(TrajectoryOp op) {
  Value m = op.getMemory(), h = op.getState(), dt = op.getDt();
  Type type = typeOf(m).getElementType();
  unsigned rank = typeOf(m).getRank(), rows = rank - 2;
  // e^(-dt / tau) of each slot, and of each row and neuron where they have
  // their own dt.
  auto dtType = dyn_cast<RankedTensorType>(dt.getType());
  bool perNeuron = dtType && dtType.getRank() > static_cast<int64_t>(rows) &&
                   dtType.getShape().back() != 1;
  Sizes sizes = sizesOf(m);
  SmallVector<unsigned> dims; // the memory's dimensions that the decay has
  if (dtType)
    dims = upTo(rows);
  dims.push_back(rows);
  if (perNeuron)
    dims.push_back(rows + 1);
  Sizes decaySizes;
  for (unsigned d : dims)
    decaySizes.push_back(sizes[d]);
  unsigned loops = dims.size(), slot = dtType ? rows : 0;
  SmallVector<Read> ins{{op.getTau(), map(loops, {slot})}};
  if (dtType) {
    SmallVector<unsigned> from = upTo(rows);
    from.push_back(perNeuron ? rows + 1 : 0);
    ins.push_back(broadcast(dt, loops, from));
  }
  Value decay = elementwise(
      ins, decaySizes, type, [&](OpBuilder &at, ValueRange v) -> Value {
        Value x = arith::DivFOp::create(at, loc, duration(at, dt, v), v[0]);
        return math::ExpOp::create(at, loc, arith::NegFOp::create(at, loc, x));
      });
  SmallVector<Read> reads{{m, b.getMultiDimIdentityMap(rank)},
                          {h, rowMap(rank, rows, {rows + 1})},
                          {decay, map(rank, dims)}};
  return {elementwise(
      reads, sizes, type, [&](OpBuilder &at, ValueRange v) -> Value {
        Value rest = sub(at, constant(at, type, 1), v[2]);
        return add(at, mul(at, v[2], v[0]), mul(at, rest, v[1]));
      })};
}

SmallVector<Value> Lowering::lower(StateGateOp op) {
  Value h = op.getState(), m = op.getMemory();
  Type type = typeOf(h).getElementType();
  unsigned rows = typeOf(h).getRank() - 1;
  int64_t n = typeOf(h).getShape().back(), d = typeOf(op.getWq()).getDimSize(1);
  Sizes memory = sizesOf(m), slots = memory, states = sizesOf(h), one(states);
  slots.pop_back();
  one.pop_back();
  Value q = matmul(h, op.getWq(),
                   broadcastRow(op.getBq(), withLast(states, d), type));
  Value k = matmul(m, op.getWk(),
                   broadcastRow(op.getBk(), withLast(memory, d), type));
  Value v = matmul(m, op.getWv(), broadcastRow(op.getBv(), memory, type));
  auto filled = [&](const Sizes &sizes, double value) -> Value {
    return linalg::FillOp::create(b, loc, constant(b, type, value),
                                  empty(sizes, type))
        .getResult(0);
  };
  // q . K over loops (rows, slot, d).
  Value scores =
      generic({{q, rowMap(rows + 2, rows, {rows + 1})},
               {k, b.getMultiDimIdentityMap(rows + 2)}},
              Read{filled(slots, 0), rowMap(rows + 2, rows, {rows})}, rows + 1,
              1, [&](OpBuilder &at, ValueRange x) -> SmallVector<Value> {
                return {add(at, x[2], mul(at, x[0], x[1]))};
              })[0];
  AffineMap slotId = b.getMultiDimIdentityMap(rows + 1),
            ofRow = rowMap(rows + 1, rows, {});
  Value greatest =
      generic(Read{scores, slotId}, Read{filled(one, -INFINITY), ofRow}, rows,
              1, [&](OpBuilder &at, ValueRange x) -> SmallVector<Value> {
                return {arith::MaximumFOp::create(at, loc, x[1], x[0])};
              })[0];
  Value exps = elementwise(
      {{scores, slotId}, {greatest, ofRow}}, slots, type,
      [&](OpBuilder &at, ValueRange x) -> Value {
        Value scaled =
            mul(at, sub(at, x[0], x[1]),
                constant(at, type, 1 / std::sqrt(static_cast<double>(d))));
        return math::ExpOp::create(at, loc, scaled);
      });
  Value total =
      generic(Read{exps, slotId}, Read{filled(one, 0), ofRow}, rows, 1,
              [&](OpBuilder &at, ValueRange x) -> SmallVector<Value> {
                return {add(at, x[1], x[0])};
              })[0];
  Value weights =
      elementwise({{exps, slotId}, {total, ofRow}}, slots, type,
                  [&](OpBuilder &at, ValueRange x) -> Value {
                    return arith::DivFOp::create(at, loc, x[0], x[1]);
                  });
  // weights . V over loops (rows, neuron, slot).
  Value c =
      generic({{weights, rowMap(rows + 2, rows, {rows + 1})},
               {v, rowMap(rows + 2, rows, {rows + 1, rows})}},
              Read{filled(states, 0), rowMap(rows + 2, rows, {rows})}, rows + 1,
              1, [&](OpBuilder &at, ValueRange x) -> SmallVector<Value> {
                return {add(at, x[2], mul(at, x[0], x[1]))};
              })[0];
  // W [h, c] + b: the rows of W that read h, then those that read c.
  OpFoldResult zero = b.getIndexAttr(0), size = b.getIndexAttr(n);
  Value gate = matmul(h, slice(op.getW(), {zero, zero}, {size, size}),
                      broadcastRow(op.getB(), states, type));
  gate = matmul(c, slice(op.getW(), {size, zero}, {size, size}), gate);
  AffineMap id = b.getMultiDimIdentityMap(rows + 1);
  return {elementwise({{gate, id}, {h, id}, {c, id}}, states, type,
                      [&](OpBuilder &at, ValueRange x) -> Value {
                        Value g = SigmoidOp::create(at, loc, type, x[0]);
                        return add(
                            at, mul(at, g, x[1]),
                            mul(at, sub(at, constant(at, type, 1), g), x[2]));
                      })};
}

//===----------------------------------------------------------------------===//
// Along time
//===----------------------------------------------------------------------===//

/// Operands of a different length would be read out of bounds.
void Lowering::checkSteps(LinearRecurrenceOp op, Value value, StringRef name,
                          Value steps) {
  RankedTensorType type = typeOf(value);
  if (!type.isDynamicDim(op.getDim()) &&
      getConstantIntValue(steps) == type.getDimSize(op.getDim()))
    return;
  Value found = getValueOrCreateConstantIndexOp(
      b, loc, tensor::getMixedSize(b, loc, value, op.getDim()));
  Value same =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, found, steps);
  CheckOp::create(b, loc, same,
                  b.getStringAttr("lnn.linear_recurrence: '" + name +
                                  "' has another number of steps"));
}

/// sum_j decays[j] states[j] + drive, without what is null.
Value Lowering::diagonalStep(ArrayRef<Value> decays, Value drive,
                             ValueRange states) {
  RankedTensorType type = typeOf(states[0]);
  unsigned rank = type.getRank();
  SmallVector<unsigned> dims = upTo(rank);
  AffineMap id = b.getMultiDimIdentityMap(rank);
  SmallVector<Read> ins;
  for (auto [decay, state] : llvm::zip_equal(decays, states))
    if (decay)
      ins.append({broadcast(decay, rank, dims), {state, id}});
  size_t factors = ins.size();
  if (drive)
    ins.push_back({drive, id});
  return elementwise(ins, sizesOf(states[0]), type.getElementType(),
                     [&](OpBuilder &at, ValueRange v) {
                       Value sum = drive ? v[factors] : Value();
                       for (size_t i = factors; i > 0; i -= 2) {
                         Value product = mul(at, v[i - 2], v[i - 1]);
                         sum = sum ? add(at, product, sum) : product;
                       }
                       return sum ? sum
                                  : constant(at, type.getElementType(), 0);
                     });
}

Value Lowering::matrixStep(Value a, Value k, Value v, Value s) {
  unsigned rank = typeOf(s).getRank(), rows = rank - 2;
  SmallVector<unsigned> dims = upTo(rank); // (rows, key, value)
  return elementwise({broadcast(a, rank, dims),
                      {k, rowMap(rank, rows, {rows})},
                      {v, rowMap(rank, rows, {rows + 1})},
                      {s, b.getMultiDimIdentityMap(rank)}},
                     sizesOf(s), typeOf(s).getElementType(),
                     [&](OpBuilder &at, ValueRange x) {
                       return add(at, mul(at, x[0], x[3]), mul(at, x[1], x[2]));
                     });
}

/// sum_k s[.., k, ..] q[.., k(, ..)]
Value Lowering::readOut(Value s, Value q) {
  unsigned rank = typeOf(s).getRank(), rows = rank - 2;
  Sizes sizes = sizesOf(s);
  sizes.erase(sizes.begin() + rows);
  Value zeros = broadcastRow({}, sizes, typeOf(s).getElementType());
  // Loops (rows, value, key).
  SmallVector<unsigned> dims = upTo(rows);
  dims.append({rows + 1, rows});
  return generic({{s, map(rank, dims)}, broadcast(q, rank, dims)},
                 Read{zeros, rowMap(rank, rows, {rows})}, rows + 1, 1,
                 [&](OpBuilder &at, ValueRange x) -> SmallVector<Value> {
                   return {add(at, x[2], mul(at, x[0], x[1]))};
                 })[0];
}

SmallVector<Value> Lowering::lower(LinearRecurrenceOp op) {
  int64_t dim = op.getDim();
  unsigned parts = op.getNumParts();
  Value like = op.getKeys() ? op.getKeys() : op.getDrive()[0];
  Value steps = getValueOrCreateConstantIndexOp(
      b, loc, tensor::getMixedSize(b, loc, like, dim));
  // The same decay may be several parts'; zeros are no terms.
  llvm::SmallSetVector<Value, 8> inputs;
  auto take = [&](ValueRange values, StringRef name, bool zeros = true) {
    for (Value value : values) {
      if (value != like && !inputs.contains(value))
        checkSteps(op, value, name, steps);
      if (zeros || !isZeros(value))
        inputs.insert(value);
    }
  };
  take(op.getDecay(), "decay", parts == 1);
  take(op.getDrive(), "drive", parts == 1);
  if (op.getKeys()) {
    take(op.getKeys(), "keys");
    take(op.getValues(), "values");
  }
  take(op.getRead(), "read");
  size_t outputs = op.getStates().size();
  auto scan =
      ScanOp::create(b, loc, op->getResultTypes(), steps, inputs.getArrayRef(),
                     op.getInit(), SmallVector<int64_t>(inputs.size(), dim),
                     SmallVector<bool>(inputs.size(), op.getReverse()),
                     SmallVector<int64_t>(outputs, dim),
                     SmallVector<bool>(outputs, op.getReverse()));
  OpBuilder::InsertionGuard guard(b);
  Block *body = b.createBlock(&scan.getBody());
  body->addArgument(b.getIndexType(), loc);
  llvm::SmallDenseMap<Value, Value> at; // its slice; none of zeros
  for (Value input : inputs)
    at[input] = body->addArgument(ScanOp::sliceType(typeOf(input), dim), loc);
  SmallVector<Value> states, nexts;
  for (Value init : op.getInit())
    states.push_back(body->addArgument(init.getType(), loc));
  // What reads the state comes before what may overwrite it.
  SmallVector<Value> results(op.getRead().size());
  auto readAll = [&](bool before, ArrayRef<Value> from) {
    for (auto [i, query] : llvm::enumerate(op.getRead()))
      if (op.isBefore(i) == before)
        results[i] = readOut(from[op.partOf(i)], at.lookup(query));
  };
  readAll(true, states);
  for (unsigned i = 0; i < parts; ++i) {
    if (op.getKeys()) {
      nexts.push_back(matrixStep(at[op.getDecay()[0]], at[op.getKeys()],
                                 at[op.getValues()], states[0]));
      break;
    }
    SmallVector<Value> decays;
    for (Value decay : op.getDecay().slice(i * parts, parts))
      decays.push_back(at.lookup(decay));
    nexts.push_back(diagonalStep(decays, at.lookup(op.getDrive()[i]), states));
  }
  readAll(false, nexts);
  if (results.empty())
    results = nexts;
  for (auto [next, state] : llvm::zip_equal(nexts, states))
    if (next.getType() != state.getType())
      next = tensor::CastOp::create(b, loc, state.getType(), next);
  lnn::YieldOp::create(b, loc, results, nexts);
  return SmallVector<Value>(scan.getResults());
}

SmallVector<Value> Lowering::lower(CausalConvOp op) {
  Value x = op.getInput(), state = op.getState(), w = op.getW();
  Type type = typeOf(x).getElementType();
  unsigned rank = typeOf(x).getRank(), rows = rank - 2, t = rows, c = rows + 1,
           j = rows + 2;
  int64_t past = typeOf(state).getDimSize(rows);
  Sizes sizes = sizesOf(x), all = sizes, zeros(rank, b.getIndexAttr(0)),
        ones(rank, b.getIndexAttr(1));
  // The state, then the input: sample t of the result reads from place t on.
  AffineExpr d = b.getAffineDimExpr(0);
  all[t] = affine::makeComposedFoldedAffineApply(b, loc, d + past, {sizes[t]});
  Value padded = x;
  if (past > 0) {
    padded = tensor::InsertSliceOp::create(b, loc, state, empty(all, type),
                                           zeros, sizesOf(state), ones);
    Sizes behind = zeros;
    behind[t] = b.getIndexAttr(past);
    padded =
        tensor::InsertSliceOp::create(b, loc, x, padded, behind, sizes, ones);
  }
  SmallVector<AffineExpr> window;
  for (unsigned i = 0; i < rank; ++i)
    window.push_back(b.getAffineDimExpr(i) +
                     (i == t ? b.getAffineDimExpr(j) * op.getDilation()
                             : b.getAffineConstantExpr(0)));
  Value init = broadcastRow(op.getB(), sizes, type);
  Value y =
      generic({{padded, AffineMap::get(rank + 1, 0, window, b.getContext())},
               {w, map(rank + 1, {j, c})}},
              Read{init, rowMap(rank + 1, rows, {t, c})}, rank, 1,
              [&](OpBuilder &at, ValueRange v) -> SmallVector<Value> {
                return {add(at, v[2], mul(at, v[0], v[1]))};
              })[0];
  if (past == 0)
    return {y, state};
  Sizes offsets = zeros;
  offsets[t] = sizes[t];
  return {y, slice(padded, offsets, sizesOf(state))};
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct ConvertLnnToOde : lnn::impl::ConvertLnnToOdeBase<ConvertLnnToOde> {
  void runOnOperation() override {
    SmallVector<Operation *> cells;
    getOperation()->walk([&](Operation *op) {
      if (isa<LtcOp, CfcOp, CtrnnOp, FeedbackOp, TrajectoryOp, StateGateOp,
              LinearRecurrenceOp, CausalConvOp>(op))
        cells.push_back(op);
    });
    for (Operation *op : cells) {
      if (auto ctrnn = dyn_cast<CtrnnOp>(op);
          ctrnn && !isa<ode::MethodAttr>(ctrnn.getMethod())) {
        ctrnn.emitOpError()
            << "'method' must be an #ode.method, found " << ctrnn.getMethod();
        return signalPassFailure();
      }
      replace(op);
    }
  }

  static SmallVector<Value> lower(Operation *op) {
    Lowering lowering(op);
    return TypeSwitch<Operation *, SmallVector<Value>>(op)
        .Case<LtcOp, CfcOp, CtrnnOp, FeedbackOp, TrajectoryOp, StateGateOp,
              LinearRecurrenceOp, CausalConvOp>(
            [&](auto cell) { return lowering.lower(cell); });
  }

  static void replace(Operation *op) {
    Type storage = getElementTypeOrSelf(op->getResultTypes().front());
    bool narrow = storage.getIntOrFloatBitWidth() < 32;
    Lowering around(op);
    if (narrow) {
      Type wide = Float32Type::get(op->getContext());
      for (OpOperand &operand : op->getOpOperands())
        operand.set(around.cast(operand.get(), wide));
      for (Value result : op->getResults())
        result.setType(::cast<RankedTensorType>(result.getType()).clone(wide));
    }
    SmallVector<Value> values = lower(op);
    OpBuilder b(op);
    for (auto [result, value] : llvm::zip_equal(op->getResults(), values)) {
      if (value.getType() != result.getType())
        value =
            tensor::CastOp::create(b, op->getLoc(), result.getType(), value);
      if (narrow)
        value = around.cast(value, storage);
      result.replaceAllUsesWith(value);
    }
    op->erase();
  }
};
} // namespace
