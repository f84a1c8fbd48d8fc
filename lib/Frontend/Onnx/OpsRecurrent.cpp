//===- OpsRecurrent.cpp - RNN, GRU and LSTM -------------------------------===//
//
// The recurrent operators become lnn.scan around linalg, one scan a direction:
// the input projections of all steps are one matrix product in front of it, the
// recurrent product starts from them. Equations: ONNX operators RNN-14, GRU-14,
// LSTM-14.
//
//===----------------------------------------------------------------------===//
#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Frontend/Onnx/OpTable.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::onnx;

namespace {
enum class Cell { Rnn, Gru, Lstm };

/// An activation with its parameters.
struct Activation {
  std::string name; // lower case
  double alpha = 0, beta = 0;
};

/// The node's attributes, checked.
struct Recurrent {
  Cell cell;
  unsigned gates;      // 1, 3, 4
  unsigned directions; // 1, 2
  bool reverseOnly = false, batchFirst = false, linearBeforeReset = false,
       inputForget = false;
  std::optional<double> clip;
  SmallVector<Activation> activations; // per direction: f, g, h
  Dim time, batch, input, hidden;
  unsigned perDirection() const {
    return cell == Cell::Rnn ? 1 : cell == Cell::Gru ? 2 : 3;
  }
};
} // namespace

static std::optional<Activation> activationNamed(StringRef name) {
  Activation a{name.lower(), 0, 0};
  return llvm::StringSwitch<std::optional<Activation>>(a.name)
      .Cases({"relu", "tanh", "sigmoid", "softsign", "softplus"}, a)
      .Case("affine", Activation{a.name, 1, 0})
      .Case("leakyrelu", Activation{a.name, 0.01, 0})
      .Case("thresholdedrelu", Activation{a.name, 1, 0})
      .Case("scaledtanh", Activation{a.name, 1, 1})
      .Case("hardsigmoid", Activation{a.name, 0.2, 0.5})
      .Case("elu", Activation{a.name, 1, 0})
      .Default(std::nullopt);
}

static unsigned parameterCount(StringRef name) {
  return llvm::StringSwitch<unsigned>(name)
      .Cases({"affine", "scaledtanh", "hardsigmoid"}, 2)
      .Cases({"leakyrelu", "thresholdedrelu", "elu"}, 1)
      .Default(0);
}

static LogicalResult readActivations(const NodeView &node, Recurrent &r) {
  unsigned wanted = r.perDirection() * r.directions;
  SmallVector<std::string> names;
  if (auto given = node.stringsAttr("activations"))
    names.assign(given->begin(), given->end());
  else
    for (unsigned d = 0; d < r.directions; ++d) {
      if (r.cell != Cell::Rnn)
        names.push_back("Sigmoid");
      for (unsigned i = r.cell == Cell::Rnn ? 0 : 1; i < r.perDirection(); ++i)
        names.push_back("Tanh");
    }
  if (names.size() != wanted)
    return node.error("activations has " + Twine(names.size()) + " names, " +
                      Twine(wanted) + " were expected");
  auto alphas = node.floatsAttr("activation_alpha"),
       betas = node.floatsAttr("activation_beta");
  unsigned atAlpha = 0, atBeta = 0;
  for (const std::string &name : names) {
    std::optional<Activation> a = activationNamed(name);
    if (!a)
      return node.unsupported("activation '" + name +
                              "' is not one that ONNX defines");
    // The lists hold values only for the activations that take them, in order.
    unsigned count = parameterCount(a->name);
    if (count > 0 && alphas && atAlpha < alphas->size())
      a->alpha = (*alphas)[atAlpha++];
    if (count > 1 && betas && atBeta < betas->size())
      a->beta = (*betas)[atBeta++];
    r.activations.push_back(*a);
  }
  return success();
}

/// Reads attributes and sizes; infos by input.
static FailureOr<Recurrent>
readRecurrent(const NodeView &node, DimContext &dims,
              llvm::function_ref<const ValueInfo &(unsigned)> in) {
  Recurrent r;
  r.cell = node.type() == "RNN"   ? Cell::Rnn
           : node.type() == "GRU" ? Cell::Gru
                                  : Cell::Lstm;
  r.gates = r.cell == Cell::Rnn ? 1 : r.cell == Cell::Gru ? 3 : 4;
  StringRef direction = node.strAttr("direction", "forward");
  if (direction != "forward" && direction != "reverse" &&
      direction != "bidirectional")
    return node.error("direction is '" + direction +
                      "'; forward, reverse or bidirectional was expected");
  r.directions = direction == "bidirectional" ? 2 : 1;
  r.reverseOnly = direction == "reverse";
  r.batchFirst = node.intAttr("layout", 0) != 0;
  r.linearBeforeReset = node.intAttr("linear_before_reset", 0) != 0;
  r.inputForget = node.intAttr("input_forget", 0) != 0;
  if (node.hasAttr("clip"))
    r.clip = node.floatAttr("clip", 0);
  if (failed(readActivations(node, r)))
    return failure();
  for (unsigned i : {0u, 1u, 2u}) {
    if (!node.hasInput(i))
      return node.error("inputs X, W and R are needed");
    if (in(i).rank() != 3)
      return node.error("input " + Twine(i) + " must have rank 3, it is " +
                        in(i).str());
  }
  Type type = in(0).elementType;
  if (!isa<FloatType>(type))
    return node.error("X must be of a floating-point type, it is " +
                      in(0).str());
  r.time = in(0).dims[r.batchFirst ? 1 : 0];
  r.batch = in(0).dims[r.batchFirst ? 0 : 1];
  r.input = in(0).dims[2];
  r.hidden = in(2).dims[2];
  int64_t hidden = node.intAttr("hidden_size", -1);
  if (!r.hidden.isConst() || r.hidden.value() < 1 ||
      r.hidden.value() > (1 << 20))
    return node.unsupported("R's last dimension must be known, R is " +
                            in(2).str());
  if (hidden >= 0 && hidden != r.hidden.value())
    return node.error("hidden_size is " + Twine(hidden) + ", R is " +
                      in(2).str());
  int64_t H = r.hidden.value(), D = r.directions, G = r.gates;
  auto expect = [&](unsigned i, StringRef what,
                    ArrayRef<Dim> wanted) -> LogicalResult {
    if (i >= node.numInputs() || !node.hasInput(i))
      return success();
    const ValueInfo &info = in(i);
    bool same = info.rank() == int64_t(wanted.size());
    for (unsigned k = 0; same && k < wanted.size(); ++k)
      same = !info.dims[k].isConst() || !wanted[k].isConst() ||
             info.dims[k] == wanted[k];
    if (!same) {
      std::string shape;
      for (Dim d : wanted)
        shape += (shape.empty() ? "" : "x") + d.str();
      return node.error(what + " must have the shape " + shape + ", it is " +
                        info.str());
    }
    if (what != "sequence_lens" && info.elementType != type)
      return node.error(what + " is " + info.str() + ", X is " + in(0).str());
    return success();
  };
  Dim d = dims.constant(D), h = r.hidden;
  auto c = [&](int64_t v) { return dims.constant(v); };
  SmallVector<Dim> state = r.batchFirst ? SmallVector<Dim>{r.batch, d, h}
                                        : SmallVector<Dim>{d, r.batch, h};
  if (failed(expect(1, "W", {d, c(G * H), r.input})) ||
      failed(expect(2, "R", {d, c(G * H), h})) ||
      failed(expect(3, "B", {d, c(2 * G * H)})) ||
      failed(expect(4, "sequence_lens", {r.batch})) ||
      failed(expect(5, "initial_h", state)) ||
      failed(expect(6, "initial_c", state)) ||
      failed(expect(7, "P", {d, c(3 * H)})))
    return failure();
  if (node.numInputs() > 4 && node.hasInput(4) &&
      !in(4).elementType.isInteger(32))
    return node.error("sequence_lens must be int32, it is " + in(4).str());
  return r;
}

static LogicalResult inferRecurrent(InferContext &ctx) {
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.in(i); };
  FailureOr<Recurrent> r = readRecurrent(ctx, ctx.dims, in);
  if (failed(r))
    return failure();
  Dim d = ctx.c(r->directions);
  SmallVector<Dim> y = r->batchFirst
                           ? SmallVector<Dim>{r->batch, r->time, d, r->hidden}
                           : SmallVector<Dim>{r->time, d, r->batch, r->hidden};
  SmallVector<Dim> state = r->batchFirst
                               ? SmallVector<Dim>{r->batch, d, r->hidden}
                               : SmallVector<Dim>{d, r->batch, r->hidden};
  if (ctx.numOutputs() > (r->cell == Cell::Lstm ? 3u : 2u))
    return ctx.error("it has " + Twine(ctx.numOutputs()) + " outputs");
  for (unsigned i = 0; i < ctx.numOutputs(); ++i)
    if (ctx.hasOutput(i)) {
      ValueInfo &out = ctx.out(i);
      out.elementType = ctx.in(0).elementType;
      out.dims = i == 0 ? y : state;
    }
  return success();
}

//===----------------------------------------------------------------------===//
// Expansion
//===----------------------------------------------------------------------===//

namespace {
/// Builds one node's scans. All arithmetic is in `type`: f32 for the storage
/// types f16 and bf16.
class Expander {
public:
  Expander(ExpandContext &ctx, const Recurrent &r)
      : ctx(ctx), r(r), b(ctx.b), loc(ctx.loc) {
    storage = cast<FloatType>(ctx.inInfo(0).elementType);
    type = storage.getWidth() < 32 ? b.getF32Type() : storage;
    H = r.hidden.value();
  }
  LogicalResult run();

private:
  ExpandContext &ctx;
  const Recurrent &r;
  OpBuilder &b;
  Location loc;
  FloatType storage, type;
  int64_t H;

  /// What one direction's weights become: transposed, output in the contiguous
  /// dimension.
  struct Weights {
    Value input, recurrent;         // [I, G*H], [H, G*H]
    Value inputBias, recurrentBias; // [G*H], null without B
    Value peepholes;                // [3*H] or null
  };
  struct Direction {
    Value y, h, c; // [T, B, H], [B, H], [B, H]
  };

  AffineMap map(unsigned dims, ArrayRef<unsigned> results) {
    SmallVector<AffineExpr> exprs;
    for (unsigned d : results)
      exprs.push_back(b.getAffineDimExpr(d));
    return AffineMap::get(dims, 0, exprs, b.getContext());
  }
  SmallVector<OpFoldResult> sizes(ArrayRef<Dim> dims) {
    SmallVector<OpFoldResult> result;
    for (Dim d : dims)
      result.push_back(ctx.size(d));
    return result;
  }
  Dim c(int64_t v) { return ctx.dims.constant(v); }
  Value scalar(OpBuilder &at, double v) {
    return arith::ConstantOp::create(at, loc, at.getFloatAttr(type, v));
  }
  Value widen(Value tensor);
  Value narrow(Value tensor);
  Value generic(ValueRange inputs, ArrayRef<AffineMap> inputMaps,
                ValueRange inits, ArrayRef<AffineMap> initMaps, unsigned dims,
                function_ref<SmallVector<Value>(OpBuilder &, ValueRange)> body,
                SmallVectorImpl<Value> *all = nullptr);
  Value slice(Value v, ArrayRef<OpFoldResult> offsets,
              ArrayRef<OpFoldResult> sizes, RankedTensorType result);
  Value directionOf(Value v, unsigned direction);
  Value transposed(Value v);
  Value matmul(Value lhs, Value rhs, Value init);
  Value broadcastBias(Value bias, ArrayRef<Dim> rows, int64_t columns);
  Value gate(Value all, unsigned first, unsigned count, bool withTime);
  Value columns(Value matrix, unsigned first, unsigned count);
  Value activate(OpBuilder &at, const Activation &a, Value x);
  Weights weights(unsigned direction);
  Value initialState(unsigned input, unsigned direction);
  FailureOr<Direction> direction(unsigned d);
  SmallVector<Value> rnnStep(Weights &w, ArrayRef<Activation> f, Value x,
                             ValueRange states);
  SmallVector<Value> gruStep(Weights &w, ArrayRef<Activation> f, Value x,
                             ValueRange states);
  SmallVector<Value> lstmStep(Weights &w, ArrayRef<Activation> f, Value x,
                              ValueRange states);
  Value masked(Value step, Value next, Value otherwise);
  Value pack(ArrayRef<Value> parts, const ValueInfo &out, bool withTime);
};
} // namespace

Value Expander::generic(
    ValueRange inputs, ArrayRef<AffineMap> inputMaps, ValueRange inits,
    ArrayRef<AffineMap> initMaps, unsigned dims,
    function_ref<SmallVector<Value>(OpBuilder &, ValueRange)> body,
    SmallVectorImpl<Value> *all) {
  SmallVector<AffineMap> maps(inputMaps);
  llvm::append_range(maps, initMaps);
  SmallVector<utils::IteratorType> iterators(dims,
                                             utils::IteratorType::parallel);
  auto op = linalg::GenericOp::create(
      b, loc, ValueRange(inits).getTypes(), inputs, inits, maps, iterators,
      [&](OpBuilder &at, Location, ValueRange arguments) {
        linalg::YieldOp::create(at, loc, body(at, arguments));
      });
  if (all)
    all->assign(op.getResults().begin(), op.getResults().end());
  return op.getResult(0);
}

Value Expander::widen(Value tensor) {
  auto from = cast<RankedTensorType>(tensor.getType());
  if (from.getElementType() == type)
    return tensor;
  Value init = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, tensor), type);
  AffineMap id = b.getMultiDimIdentityMap(from.getRank());
  return generic(tensor, id, init, id, from.getRank(),
                 [&](OpBuilder &at, ValueRange v) -> SmallVector<Value> {
                   return {arith::ExtFOp::create(at, loc, type, v[0])};
                 });
}

Value Expander::narrow(Value tensor) {
  auto from = cast<RankedTensorType>(tensor.getType());
  if (from.getElementType() == storage)
    return tensor;
  Value init = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, tensor), storage);
  AffineMap id = b.getMultiDimIdentityMap(from.getRank());
  return generic(tensor, id, init, id, from.getRank(),
                 [&](OpBuilder &at, ValueRange v) -> SmallVector<Value> {
                   return {arith::TruncFOp::create(at, loc, storage, v[0])};
                 });
}

Value Expander::slice(Value v, ArrayRef<OpFoldResult> offsets,
                      ArrayRef<OpFoldResult> sizes, RankedTensorType result) {
  SmallVector<OpFoldResult> strides(offsets.size(), b.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(b, loc, result, v, offsets, sizes,
                                        strides);
}

/// v[direction], without its first dimension.
Value Expander::directionOf(Value v, unsigned direction) {
  auto from = cast<RankedTensorType>(v.getType());
  SmallVector<OpFoldResult> offsets(from.getRank(), b.getIndexAttr(0)),
      sizes = tensor::getMixedSizes(b, loc, v);
  offsets[0] = b.getIndexAttr(direction);
  sizes[0] = b.getIndexAttr(1);
  return slice(v, offsets, sizes,
               RankedTensorType::get(from.getShape().drop_front(),
                                     from.getElementType()));
}

/// The transpose of a matrix; of a constant, at once.
Value Expander::transposed(Value v) {
  auto from = cast<RankedTensorType>(v.getType());
  auto to = RankedTensorType::get({from.getDimSize(1), from.getDimSize(0)},
                                  from.getElementType());
  Value init = tensor::EmptyOp::create(
      b, loc,
      {tensor::getMixedSize(b, loc, v, 1), tensor::getMixedSize(b, loc, v, 0)},
      to.getElementType());
  return linalg::TransposeOp::create(b, loc, v, init, ArrayRef<int64_t>{1, 0})
      .getResult()[0];
}

/// lhs [..., K] x rhs [K, N] accumulated on init [..., N], ascending in k.
Value Expander::matmul(Value lhs, Value rhs, Value init) {
  unsigned rows = cast<RankedTensorType>(lhs.getType()).getRank() - 1;
  unsigned n = rows, k = rows + 1;
  SmallVector<unsigned> lhsDims, outDims;
  for (unsigned d = 0; d < rows; ++d) {
    lhsDims.push_back(d);
    outDims.push_back(d);
  }
  lhsDims.push_back(k);
  outDims.push_back(n);
  SmallVector<utils::IteratorType> iterators(rows + 1,
                                             utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  return linalg::GenericOp::create(
             b, loc, init.getType(), ValueRange{lhs, rhs}, ValueRange{init},
             ArrayRef<AffineMap>{map(rows + 2, lhsDims), map(rows + 2, {k, n}),
                                 map(rows + 2, outDims)},
             iterators,
             [&](OpBuilder &at, Location, ValueRange v) {
               Value product = arith::MulFOp::create(at, loc, v[0], v[1]);
               Value sum = arith::AddFOp::create(at, loc, v[2], product);
               linalg::YieldOp::create(at, loc, sum);
             })
      .getResult(0);
}

/// [rows..., columns] filled with the bias, or with zero where there is none.
Value Expander::broadcastBias(Value bias, ArrayRef<Dim> rows, int64_t columns) {
  SmallVector<Dim> shape(rows);
  shape.push_back(c(columns));
  if (!bias)
    return ctx.filled(shape, b.getFloatAttr(type, 0));
  Value init = ctx.empty(shape, type);
  unsigned rank = shape.size();
  return generic(
      bias, map(rank, {rank - 1}), init, b.getMultiDimIdentityMap(rank), rank,
      [](OpBuilder &, ValueRange v) -> SmallVector<Value> { return {v[0]}; });
}

/// Columns [first*H, (first+count)*H) of a [B, n] value.
Value Expander::gate(Value all, unsigned first, unsigned count, bool withTime) {
  auto from = cast<RankedTensorType>(all.getType());
  SmallVector<OpFoldResult> offsets(from.getRank(), b.getIndexAttr(0)),
      sizes = tensor::getMixedSizes(b, loc, all);
  offsets.back() = b.getIndexAttr(first * H);
  sizes.back() = b.getIndexAttr(count * H);
  SmallVector<int64_t> shape(from.getShape());
  shape.back() = count * H;
  return slice(all, offsets, sizes, RankedTensorType::get(shape, type));
}

Value Expander::columns(Value matrix, unsigned first, unsigned count) {
  return gate(matrix, first, count, false);
}

Value Expander::activate(OpBuilder &at, const Activation &a, Value x) {
  auto num = [&](double v) { return scalar(at, v); };
  auto binary = [&](auto tag, Value l, Value r) -> Value {
    return decltype(tag)::create(at, loc, l, r);
  };
  auto mul = [&](Value l, Value r) { return binary(arith::MulFOp(), l, r); };
  auto add = [&](Value l, Value r) { return binary(arith::AddFOp(), l, r); };
  auto greater = [&](Value l, Value r) -> Value {
    return arith::CmpFOp::create(at, loc, arith::CmpFPredicate::OGT, l, r);
  };
  auto select = [&](Value cond, Value l, Value r) -> Value {
    return arith::SelectOp::create(at, loc, cond, l, r);
  };
  if (r.clip) {
    x = binary(arith::MinimumFOp(), x, num(*r.clip));
    x = binary(arith::MaximumFOp(), x, num(-*r.clip));
  }
  if (a.name == "tanh")
    return math::TanhOp::create(at, loc, x);
  if (a.name == "sigmoid")
    return SigmoidOp::create(at, loc, x);
  if (a.name == "relu")
    return binary(arith::MaximumFOp(), x, num(0));
  if (a.name == "softplus")
    return SoftplusOp::create(at, loc, x);
  if (a.name == "softsign")
    return arith::DivFOp::create(at, loc, x,
                                 add(num(1), math::AbsFOp::create(at, loc, x)));
  if (a.name == "affine")
    return add(mul(num(a.alpha), x), num(a.beta));
  if (a.name == "leakyrelu")
    return select(greater(num(0), x), mul(num(a.alpha), x), x);
  if (a.name == "thresholdedrelu")
    return select(greater(x, num(a.alpha)), x, num(0));
  if (a.name == "scaledtanh")
    return mul(num(a.alpha),
               math::TanhOp::create(at, loc, mul(num(a.beta), x)));
  if (a.name == "hardsigmoid")
    return binary(arith::MinimumFOp(),
                  binary(arith::MaximumFOp(),
                         add(mul(num(a.alpha), x), num(a.beta)), num(0)),
                  num(1));
  // elu
  return select(greater(num(0), x),
                mul(num(a.alpha), math::ExpM1Op::create(at, loc, x)), x);
}

Expander::Weights Expander::weights(unsigned direction) {
  Weights w;
  w.input = transposed(directionOf(widen(ctx.in(1)), direction));
  w.recurrent = transposed(directionOf(widen(ctx.in(2)), direction));
  int64_t width = r.gates * H;
  if (ctx.hasInput(3)) {
    Value bias = directionOf(widen(ctx.in(3)), direction);
    auto half = [&](int64_t at) {
      return slice(bias, {b.getIndexAttr(at)}, {b.getIndexAttr(width)},
                   RankedTensorType::get({width}, type));
    };
    w.inputBias = half(0);
    w.recurrentBias = half(width);
  }
  if (ctx.hasInput(7))
    w.peepholes = directionOf(widen(ctx.in(7)), direction);
  return w;
}

Value Expander::initialState(unsigned input, unsigned direction) {
  if (!ctx.hasInput(input))
    return ctx.filled({r.batch, r.hidden}, b.getFloatAttr(type, 0));
  Value v = widen(ctx.in(input));
  if (!r.batchFirst)
    return directionOf(v, direction);
  auto from = cast<RankedTensorType>(v.getType());
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, v);
  sizes[1] = b.getIndexAttr(1);
  return slice(
      v, {b.getIndexAttr(0), b.getIndexAttr(direction), b.getIndexAttr(0)},
      sizes, RankedTensorType::get({from.getDimSize(0), H}, type));
}

SmallVector<Value> Expander::rnnStep(Weights &w, ArrayRef<Activation> f,
                                     Value x, ValueRange states) {
  Value pre = matmul(states[0], w.recurrent, x);
  AffineMap id = b.getMultiDimIdentityMap(2);
  return {generic(pre, id, ctx.empty({r.batch, r.hidden}, type), id, 2,
                  [&](OpBuilder &at, ValueRange v) -> SmallVector<Value> {
                    return {activate(at, f[0], v[0])};
                  })};
}

SmallVector<Value> Expander::gruStep(Weights &w, ArrayRef<Activation> f,
                                     Value x, ValueRange states) {
  Value h = states[0];
  AffineMap id = b.getMultiDimIdentityMap(2);
  auto empty = [&] { return ctx.empty({r.batch, r.hidden}, type); };
  Value zr = matmul(h, columns(w.recurrent, 0, 2), gate(x, 0, 2, false));
  Value z = gate(zr, 0, 1, false), reset = gate(zr, 1, 1, false),
        xh = gate(x, 2, 1, false);
  auto blend = [&](OpBuilder &at, Value zPre, Value candidate,
                   Value old) -> Value {
    Value update = activate(at, f[0], zPre);
    Value keep = arith::SubFOp::create(at, loc, scalar(at, 1), update);
    return arith::AddFOp::create(
        at, loc,
        arith::MulFOp::create(at, loc, keep, activate(at, f[1], candidate)),
        arith::MulFOp::create(at, loc, update, old));
  };
  if (r.linearBeforeReset) {
    Value bias =
        w.recurrentBias
            ? slice(w.recurrentBias, {b.getIndexAttr(2 * H)},
                    {b.getIndexAttr(H)}, RankedTensorType::get({H}, type))
            : Value();
    Value hh = matmul(h, columns(w.recurrent, 2, 1),
                      broadcastBias(bias, {r.batch}, H));
    return {generic(
        {z, reset, hh, xh, h}, SmallVector<AffineMap>(5, id), empty(), id, 2,
        [&](OpBuilder &at, ValueRange v) -> SmallVector<Value> {
          Value scaled =
              arith::MulFOp::create(at, loc, activate(at, f[0], v[1]), v[2]);
          return {blend(at, v[0], arith::AddFOp::create(at, loc, v[3], scaled),
                        v[4])};
        })};
  }
  Value rh = generic(
      {reset, h}, {id, id}, empty(), id, 2,
      [&](OpBuilder &at, ValueRange v) -> SmallVector<Value> {
        return {arith::MulFOp::create(at, loc, activate(at, f[0], v[0]), v[1])};
      });
  Value candidate = matmul(rh, columns(w.recurrent, 2, 1), xh);
  return {generic({z, candidate, h}, {id, id, id}, empty(), id, 2,
                  [&](OpBuilder &at, ValueRange v) -> SmallVector<Value> {
                    return {blend(at, v[0], v[1], v[2])};
                  })};
}

SmallVector<Value> Expander::lstmStep(Weights &w, ArrayRef<Activation> f,
                                      Value x, ValueRange states) {
  Value pre = matmul(states[0], w.recurrent, x);
  AffineMap id = b.getMultiDimIdentityMap(2);
  SmallVector<Value> inputs;
  for (unsigned g = 0; g < 4; ++g) // input, output, forget, cell
    inputs.push_back(gate(pre, g, 1, false));
  inputs.push_back(states[1]);
  SmallVector<AffineMap> maps(5, id);
  if (w.peepholes)
    for (unsigned g = 0; g < 3; ++g) { // input, output, forget
      inputs.push_back(slice(w.peepholes, {b.getIndexAttr(g * H)},
                             {b.getIndexAttr(H)},
                             RankedTensorType::get({H}, type)));
      maps.push_back(map(2, {1}));
    }
  SmallVector<Value> results;
  auto empty = [&] { return ctx.empty({r.batch, r.hidden}, type); };
  generic(
      inputs, maps, {empty(), empty()}, {id, id}, 2,
      [&](OpBuilder &at, ValueRange v) -> SmallVector<Value> {
        auto mul = [&](Value l, Value rhs) -> Value {
          return arith::MulFOp::create(at, loc, l, rhs);
        };
        auto peep = [&](Value gatePre, unsigned g, Value cell) -> Value {
          if (!w.peepholes)
            return gatePre;
          return arith::AddFOp::create(at, loc, gatePre, mul(v[5 + g], cell));
        };
        Value i = activate(at, f[0], peep(v[0], 0, v[4]));
        Value forget =
            r.inputForget
                ? arith::SubFOp::create(at, loc, scalar(at, 1), i).getResult()
                : activate(at, f[0], peep(v[2], 2, v[4]));
        Value candidate = activate(at, f[1], v[3]);
        Value cell = arith::AddFOp::create(at, loc, mul(forget, v[4]),
                                           mul(i, candidate));
        Value o = activate(at, f[0], peep(v[1], 1, cell));
        return {mul(o, activate(at, f[2], cell)), cell};
      },
      &results);
  return results;
}

/// next where step < sequence_lens[b], otherwise otherwise.
Value Expander::masked(Value step, Value next, Value otherwise) {
  AffineMap id = b.getMultiDimIdentityMap(2);
  return generic(
      {ctx.in(4), next, otherwise}, {map(2, {0}), id, id},
      ctx.empty({r.batch, r.hidden}, type), id, 2,
      [&](OpBuilder &at, ValueRange v) -> SmallVector<Value> {
        Value i = arith::IndexCastOp::create(at, loc, at.getI32Type(), step);
        Value inside =
            arith::CmpIOp::create(at, loc, arith::CmpIPredicate::slt, i, v[0]);
        return {arith::SelectOp::create(at, loc, inside, v[1], v[2])};
      });
}

FailureOr<Expander::Direction> Expander::direction(unsigned d) {
  Weights w = weights(d);
  bool reverse = r.reverseOnly || d == 1;
  ArrayRef<Activation> f =
      ArrayRef(r.activations).slice(d * r.perDirection(), r.perDirection());
  // X, time first: [T, B, I].
  Value x = widen(ctx.in(0));
  SmallVector<Dim> rows{r.time, r.batch};
  int64_t width = r.gates * H;
  Value bias = w.inputBias;
  if (bias) {
    // What is added to the recurrent product anyway is added here; GRU's last
    // gate keeps its own where it is reset.
    bool apart = r.cell == Cell::Gru && r.linearBeforeReset;
    AffineMap id = b.getMultiDimIdentityMap(1);
    Value sum = generic(
        {w.inputBias, w.recurrentBias}, {id, id}, ctx.empty({c(width)}, type),
        id, 1, [&](OpBuilder &at, ValueRange v) -> SmallVector<Value> {
          Value added = arith::AddFOp::create(at, loc, v[0], v[1]);
          if (!apart)
            return {added};
          Value at0 = linalg::IndexOp::create(at, loc, 0);
          Value gates = arith::ConstantIndexOp::create(at, loc, 2 * H);
          Value first = arith::CmpIOp::create(
              at, loc, arith::CmpIPredicate::ult, at0, gates);
          return {arith::SelectOp::create(at, loc, first, added, v[0])};
        });
    bias = sum;
  }
  if (r.batchFirst) {
    Value init = ctx.empty({r.time, r.batch, r.input}, type);
    x = linalg::TransposeOp::create(b, loc, x, init, ArrayRef<int64_t>{1, 0, 2})
            .getResult()[0];
  }
  Value projected = matmul(x, w.input, broadcastBias(bias, rows, width));

  SmallVector<Value> inits{initialState(5, d)};
  if (r.cell == Cell::Lstm)
    inits.push_back(initialState(6, d));
  auto state = cast<RankedTensorType>(inits[0].getType());
  auto yType = RankedTensorType::get(
      {r.time.isConst() ? r.time.value() : ShapedType::kDynamic,
       state.getDimSize(0), H},
      type);
  SmallVector<Type> types{yType};
  llvm::append_range(types, ValueRange(inits).getTypes());
  auto scan = ScanOp::create(b, loc, types, ctx.index(r.time), projected, inits,
                             ArrayRef<int64_t>{0}, ArrayRef<bool>{reverse},
                             ArrayRef<int64_t>{0}, ArrayRef<bool>{reverse});
  OpBuilder::InsertionGuard guard(b);
  Block *block = b.createBlock(&scan.getBody());
  Value step = block->addArgument(b.getIndexType(), loc);
  auto projectedType = cast<RankedTensorType>(projected.getType());
  Value xt = block->addArgument(
      RankedTensorType::get(projectedType.getShape().drop_front(), type), loc);
  SmallVector<Value> states;
  for (Value init : inits)
    states.push_back(block->addArgument(init.getType(), loc));
  SmallVector<Value> next = r.cell == Cell::Rnn   ? rnnStep(w, f, xt, states)
                            : r.cell == Cell::Gru ? gruStep(w, f, xt, states)
                                                  : lstmStep(w, f, xt, states);
  Value y = next[0];
  if (ctx.hasInput(4)) {
    if (reverse) { // the step's place from the front
      Value last = arith::SubIOp::create(
          b, loc, ctx.index(r.time), arith::ConstantIndexOp::create(b, loc, 1));
      step = arith::SubIOp::create(b, loc, last, step);
    }
    y = masked(step, next[0],
               ctx.filled({r.batch, r.hidden}, b.getFloatAttr(type, 0)));
    for (auto [value, old] : llvm::zip(next, states))
      value = masked(step, value, old);
  }
  for (auto [value, init] : llvm::zip(next, inits))
    if (value.getType() != init.getType())
      value = tensor::CastOp::create(b, loc, init.getType(), value);
  lnn::YieldOp::create(b, loc, y, next);
  Direction result{scan.getResult(0), scan.getResult(1), Value()};
  if (r.cell == Cell::Lstm)
    result.c = scan.getResult(2);
  return result;
}

/// Puts the directions beside each other: [T, D, B, H] or [D, B, H]; with
/// layout = 1, [B, T, D, H] or [B, D, H].
Value Expander::pack(ArrayRef<Value> parts, const ValueInfo &out,
                     bool withTime) {
  Value result = ctx.empty(out.dims, type);
  unsigned rank = out.rank();
  for (auto [d, part] : llvm::enumerate(parts)) {
    Value value = part;
    if (r.batchFirst && withTime) { // [T, B, H] -> [B, T, H]
      Value init = ctx.empty({r.batch, r.time, r.hidden}, type);
      value = linalg::TransposeOp::create(b, loc, value, init,
                                          ArrayRef<int64_t>{1, 0, 2})
                  .getResult()[0];
    }
    SmallVector<OpFoldResult> offsets(rank, b.getIndexAttr(0)),
        strides(rank, b.getIndexAttr(1)), extent = sizes(out.dims);
    unsigned axis = r.batchFirst ? (withTime ? 2 : 1) : (withTime ? 1 : 0);
    offsets[axis] = b.getIndexAttr(d);
    extent[axis] = b.getIndexAttr(1);
    SmallVector<int64_t> shape;
    for (auto [i, dim] : llvm::enumerate(out.dims))
      if (i != axis)
        shape.push_back(dim.isConst() ? dim.value() : ShapedType::kDynamic);
    auto expected = RankedTensorType::get(shape, type);
    if (value.getType() != expected)
      value = tensor::CastOp::create(b, loc, expected, value);
    result = tensor::InsertSliceOp::create(b, loc, value, result, offsets,
                                           extent, strides);
  }
  return narrow(result);
}

LogicalResult Expander::run() {
  if (ctx.hasInput(5))
    ctx.checkEqual(r.batch, ctx.inInfo(5).dims[r.batchFirst ? 0 : 1],
                   "initial_h's batch");
  if (ctx.hasInput(6))
    ctx.checkEqual(r.batch, ctx.inInfo(6).dims[r.batchFirst ? 0 : 1],
                   "initial_c's batch");
  if (ctx.hasInput(4))
    ctx.checkEqual(r.batch, ctx.inInfo(4).dims[0], "sequence_lens' size");
  SmallVector<Value> y, h, cell;
  for (unsigned d = 0; d < r.directions; ++d) {
    FailureOr<Direction> one = direction(d);
    if (failed(one))
      return failure();
    y.push_back(one->y);
    h.push_back(one->h);
    cell.push_back(one->c);
  }
  if (ctx.hasOutput(0))
    ctx.setResult(0, pack(y, ctx.outInfo(0), true));
  if (ctx.numOutputs() > 1 && ctx.hasOutput(1))
    ctx.setResult(1, pack(h, ctx.outInfo(1), false));
  if (ctx.numOutputs() > 2 && ctx.hasOutput(2))
    ctx.setResult(2, pack(cell, ctx.outInfo(2), false));
  return success();
}

static LogicalResult expandRecurrent(ExpandContext &ctx) {
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  FailureOr<Recurrent> r = readRecurrent(ctx, ctx.dims, in);
  if (failed(r))
    return failure();
  return Expander(ctx, *r).run();
}

void lnn::onnx::addRecurrentOps(std::vector<OpEntry> &table) {
  table.push_back({"RNN", 7, 28, 3, 6, inferRecurrent, expandRecurrent});
  table.push_back({"GRU", 7, 28, 3, 6, inferRecurrent, expandRecurrent});
  table.push_back({"LSTM", 7, 28, 3, 8, inferRecurrent, expandRecurrent});
}
