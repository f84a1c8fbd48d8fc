//===- OdeToScf.cpp - ode.solve to loops over steps -----------------------===//
#include "Combine.h"
#include "lnn/Conversion/Passes.h"
#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Dialect/Ode/Ode.h"
#include "lnn/Transforms/Sizes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

namespace lnn {
#define GEN_PASS_DEF_CONVERTODETOSCF
#include "lnn/Conversion/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;
using namespace lnn::ode;

namespace {

using Sizes = SmallVector<OpFoldResult>;

class SolveLowering {
public:
  explicit SolveLowering(SolveOp solve)
      : solve(solve), method(solve.getMethod()), b(solve), loc(solve.getLoc()),
        body(solve.getField().front()), timeType(solve.getTimeType()),
        usesTime(!body.getArgument(0).use_empty()) {}
  LogicalResult run();

private:
  SolveOp solve;
  MethodAttr method;
  OpBuilder b;
  Location loc;
  Block &body;
  Type timeType;
  bool usesTime;
  /// Sizes of the states and of a tensor of time, from in front of the solve.
  SmallVector<Sizes> stateSizes;
  Sizes timeSizes;

  /// What the loop over steps holds constant: the step itself, and the same as
  /// an operand of each state's arithmetic.
  struct Step {
    Value time;
    SmallVector<Operand> operands;
  };

  LogicalResult checkSupported();
  void findSizes();
  void checkClock(Value clock, unsigned leading);

  Value time(ArrayRef<Operand> operands,
             function_ref<Value(Scalar &, ValueRange)> arithmetic) {
    return combine(b, loc, timeType, timeSizes, operands, arithmetic);
  }
  Value startTime();
  Value timeOfStep(Value start, const Step &step, Value index);
  Step makeStep(Value dt);

  SmallVector<Value> evaluate(Value time, ValueRange states);
  SmallVector<Value> derivatives(Value time, ValueRange states);
  SmallVector<Value> advance(ValueRange states, const Step &step,
                             ArrayRef<double> weights,
                             ArrayRef<SmallVector<Value>> stages);
  SmallVector<Value> explicitStep(Value time, const Step &step,
                                  ValueRange states);
  SmallVector<Value> semilinearStep(Value time, const Step &step,
                                    ValueRange states);
  SmallVector<Value> oneStep(Value time, const Step &step, ValueRange states);
  SmallVector<Value> interval(Value start, Value dt, ValueRange states);
  std::optional<SmallVector<float>> knownDurations();
  SmallVector<Value> grid();
};

struct ConvertOdeToScf : lnn::impl::ConvertOdeToScfBase<ConvertOdeToScf> {
  void runOnOperation() override {
    // A solve within a field comes before the solve around it, which copies it.
    SmallVector<SolveOp> solves;
    getOperation()->walk([&](SolveOp solve) { solves.push_back(solve); });
    bool failedOnce = false;
    for (SolveOp solve : solves)
      failedOnce |= failed(SolveLowering(solve).run());
    if (failedOnce)
      signalPassFailure();
  }
};
} // namespace

LogicalResult SolveLowering::checkSupported() {
  StringRef scheme = method.getScheme();
  if (method.isAdaptive())
    return solve.emitOpError()
           << "adaptive control (" << method
           << ") cannot be lowered yet; use a fixed number of steps, "
              "<"
           << scheme << ", steps = N>";
  const Tableau *tableau = method.getTableau();
  if (tableau && !tableau->isExplicit())
    return solve.emitOpError()
           << "the implicit scheme '" << scheme
           << "' cannot be lowered yet; use an explicit one (rk4, dopri5), or "
              "semi_implicit with a semilinear field";
  if (!solve.getEvents().empty())
    return solve.emitOpError()
           << "events cannot be lowered yet; this solve has "
           << solve.getEvents().size();
  if (solve.getReporting())
    return solve.emitOpError() << "reporting a status cannot be lowered yet; "
                                  "with a fixed number of steps the end is "
                                  "always reached: leave it out";
  return success();
}

/// The program must not read past the end of a clock that is too short.
void SolveLowering::checkClock(Value clock, unsigned leading) {
  auto type = cast<RankedTensorType>(clock.getType());
  DimResolver resolver;
  for (int64_t d = leading; d < type.getRank(); ++d) {
    if (type.getDimSize(d) == 1)
      continue;
    for (auto [i, state] : llvm::enumerate(solve.getStates())) {
      auto stateType = cast<RankedTensorType>(state.getType());
      int64_t at = d - leading;
      if (!type.isDynamicDim(d) && !stateType.isDynamicDim(at))
        continue;
      OpFoldResult a = resolver.resolve(clock, d, b),
                   c = resolver.resolve(state, at, b);
      if (a && c && equalSizes(a, c))
        continue;
      auto size = [&](Value of, int64_t dim) {
        return getValueOrCreateConstantIndexOp(
            b, loc, tensor::getMixedSize(b, loc, of, dim));
      };
      Value equal = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                          size(clock, d), size(state, at));
      std::string message = "ode.solve: dimension " + std::to_string(at) +
                            " of the time must equal that of state " +
                            std::to_string(i);
      CheckOp::create(b, loc, equal, b.getStringAttr(message));
    }
  }
}

void SolveLowering::findSizes() {
  for (Value state : solve.getStates())
    stateSizes.push_back(tensor::getMixedSizes(b, loc, state));
  if (!isa<RankedTensorType>(timeType))
    return;
  Value clock = solve.getDt() ? solve.getDt() : solve.getTimes();
  unsigned leading = solve.getDt() ? 0 : 1;
  timeSizes = tensor::getMixedSizes(b, loc, clock);
  timeSizes.erase(timeSizes.begin(), timeSizes.begin() + leading);
  checkClock(clock, leading);
  if (solve.getStart())
    checkClock(solve.getStart(), 0);
}

Value SolveLowering::startTime() {
  if (solve.getStart())
    return solve.getStart();
  return time({}, [](Scalar &s, ValueRange) { return s.constant(0); });
}

/// start + index * step: no rounding error adds up.
Value SolveLowering::timeOfStep(Value start, const Step &step, Value index) {
  Type type = computeType(getElementTypeOrSelf(timeType));
  Value number = arith::SIToFPOp::create(
      b, loc, type, arith::IndexCastOp::create(b, loc, b.getI64Type(), index));
  return time({{number}, {step.time}, {start}},
              [](Scalar &s, ValueRange v) { return s.fma(v[0], v[1], v[2]); });
}

SolveLowering::Step SolveLowering::makeStep(Value dt) {
  Step step{dt, {}};
  int64_t count = method.getSteps();
  if (count > 1)
    step.time = time({{dt}}, [&](Scalar &s, ValueRange v) {
      return s.div(v[0], s.constant(count));
    });
  // Times that long make no difference to a semi-implicit step, but
  // (c h + dt b) / (c + dt a) overflows.
  constexpr double forever = 0x1p96;
  if (method.getScheme() == "semi_implicit")
    step.time = time({{step.time}}, [&](Scalar &s, ValueRange v) {
      return s.atMost(v[0], forever);
    });
  for (Value state : solve.getStates()) {
    Type element = computeType(getElementTypeOrSelf(state.getType()));
    Value value = step.time;
    if (!isa<RankedTensorType>(timeType))
      value = Scalar(b, loc, element).convert(value);
    step.operands.push_back({value, Align::Leading});
  }
  return step;
}

/// The field's terminator's operands at a time and states.
SmallVector<Value> SolveLowering::evaluate(Value time, ValueRange states) {
  IRMapping mapping;
  if (time)
    mapping.map(body.getArgument(0), time);
  mapping.map(body.getArguments().drop_front(), states);
  for (Operation &op : body.without_terminator())
    b.clone(op, mapping);
  SmallVector<Value> results;
  for (Value value : body.getTerminator()->getOperands())
    results.push_back(mapping.lookupOrDefault(value));
  return results;
}

SmallVector<Value> SolveLowering::derivatives(Value time, ValueRange states) {
  SmallVector<Value> parts = evaluate(time, states);
  unsigned n = solve.getNumStates();
  if (!solve.isSemilinear())
    return parts;
  bool hasMass = parts.size() > 2 * n;
  SmallVector<Value> results;
  for (unsigned i = 0; i < n; ++i) {
    SmallVector<Operand> operands{{states[i]}, {parts[i]}, {parts[n + i]}};
    if (hasMass)
      operands.push_back({parts[2 * n + i]});
    results.push_back(combine(b, loc, states[i].getType(), stateSizes[i],
                              operands, [&](Scalar &s, ValueRange v) {
                                Value slope = s.fma(s.neg(v[1]), v[0], v[2]);
                                return hasMass ? s.div(slope, v[3]) : slope;
                              }));
  }
  return results;
}

/// h + dt * sum_j weights_j stages_j, the sum in ascending order.
SmallVector<Value> SolveLowering::advance(ValueRange states, const Step &step,
                                          ArrayRef<double> weights,
                                          ArrayRef<SmallVector<Value>> stages) {
  SmallVector<double> factors;
  for (double weight : weights)
    if (weight != 0)
      factors.push_back(weight);
  if (factors.empty())
    return SmallVector<Value>(states);
  SmallVector<Value> results;
  for (auto [i, state] : llvm::enumerate(states)) {
    SmallVector<Operand> operands{{state}, step.operands[i]};
    for (auto [weight, stage] : llvm::zip(weights, stages))
      if (weight != 0)
        operands.push_back({stage[i]});
    results.push_back(combine(
        b, loc, state.getType(), stateSizes[i], operands,
        [&](Scalar &s, ValueRange v) {
          Value sum;
          for (auto [factor, stage] : llvm::zip_equal(factors, v.drop_front(2)))
            if (!sum)
              sum = factor == 1 ? stage : s.mul(s.constant(factor), stage);
            else
              sum = s.fma(s.constant(factor), stage, sum);
          return s.fma(v[1], sum, v[0]);
        }));
  }
  return results;
}

/// The stages that the new state depends on: a pair's last one often serves the
/// error estimate alone.
static SmallVector<bool> neededStages(const Tableau &tableau) {
  SmallVector<bool> needed(tableau.stages());
  for (unsigned i = tableau.stages(); i-- > 0;) {
    needed[i] = tableau.b[i] != 0;
    for (unsigned later = i + 1; later < tableau.stages(); ++later)
      needed[i] =
          needed[i] || (needed[later] && tableau.coefficient(later, i) != 0);
  }
  return needed;
}

SmallVector<Value> SolveLowering::explicitStep(Value start, const Step &step,
                                               ValueRange states) {
  const Tableau &tableau = *method.getTableau();
  SmallVector<bool> needed = neededStages(tableau);
  SmallVector<SmallVector<Value>> stages(tableau.stages());
  for (unsigned i = 0; i < tableau.stages(); ++i) {
    if (!needed[i])
      continue;
    SmallVector<Value> at = advance(states, step, tableau.a[i], stages);
    Value t = start;
    if (double c = tableau.c[i]; t && c != 0)
      t = time({{step.time}, {start}}, [&](Scalar &s, ValueRange v) {
        return s.fma(s.constant(c), v[0], v[1]);
      });
    stages[i] = derivatives(t, at);
  }
  return advance(states, step, tableau.b, stages);
}

/// h' = (c h + dt b) / (c + dt a): a step of length 0 leaves h as it is, which
/// (c/dt h + b) / (c/dt + a) does not.
static Value semiImplicit(Scalar &s, Value h, Value dt, Value a, Value b,
                          Value c) {
  Value mass = c ? c : s.constant(1);
  return s.div(s.fma(dt, b, c ? s.mul(c, h) : h), s.fma(dt, a, mass));
}

/// h' = e^-x h + phi(x) dt b / c, x = dt a / c.
static Value exponentialEuler(Scalar &s, Value h, Value dt, Value a, Value b,
                              Value c) {
  Value rate = c ? s.div(dt, c) : dt;
  Value x = s.mul(rate, a);
  Value gain = s.mul(s.phi(x), rate);
  return s.fma(s.exp(s.neg(x)), h, s.mul(gain, b));
}

SmallVector<Value> SolveLowering::semilinearStep(Value time, const Step &step,
                                                 ValueRange states) {
  SmallVector<Value> parts = evaluate(time, states), results;
  unsigned n = solve.getNumStates();
  bool hasMass = parts.size() > 2 * n;
  auto *formula =
      method.getScheme() == "semi_implicit" ? semiImplicit : exponentialEuler;
  for (unsigned i = 0; i < n; ++i) {
    SmallVector<Operand> operands{
        {states[i]}, step.operands[i], {parts[i]}, {parts[n + i]}};
    if (hasMass)
      operands.push_back({parts[2 * n + i]});
    results.push_back(combine(b, loc, states[i].getType(), stateSizes[i],
                              operands, [&](Scalar &s, ValueRange v) {
                                return formula(s, v[0], v[1], v[2], v[3],
                                               hasMass ? v[4] : Value());
                              }));
  }
  return results;
}

SmallVector<Value> SolveLowering::oneStep(Value time, const Step &step,
                                          ValueRange states) {
  return method.isSemilinear() ? semilinearStep(time, step, states)
                               : explicitStep(time, step, states);
}

SmallVector<Value> SolveLowering::interval(Value start, Value dt,
                                           ValueRange states) {
  Step step = makeStep(dt);
  if (method.getSteps() == 1)
    return oneStep(start, step, states);
  Value zero = arith::ConstantIndexOp::create(b, loc, 0),
        one = arith::ConstantIndexOp::create(b, loc, 1),
        count = arith::ConstantIndexOp::create(b, loc, method.getSteps());
  OpBuilder::InsertionGuard guard(b);
  auto loop = scf::ForOp::create(
      b, loc, zero, count, one, states,
      [&](OpBuilder &inner, Location, Value index, ValueRange current) {
        b.restoreInsertionPoint(inner.saveInsertionPoint());
        Value t = start ? timeOfStep(start, step, index) : Value();
        scf::YieldOp::create(b, loc, oneStep(t, step, current));
      });
  return SmallVector<Value>(loop.getResults());
}

/// A row along a tensor's leading dimension.
static Value extractRow(OpBuilder &b, Location loc, Value tensor, Value index,
                        Type type) {
  auto source = cast<RankedTensorType>(tensor.getType());
  auto row = dyn_cast<RankedTensorType>(type);
  if (!row)
    return tensor::ExtractOp::create(b, loc, tensor, index);
  SmallVector<OpFoldResult> offsets(source.getRank(), b.getIndexAttr(0)),
      strides(source.getRank(), b.getIndexAttr(1)),
      sizes = tensor::getMixedSizes(b, loc, tensor);
  offsets[0] = index;
  sizes[0] = b.getIndexAttr(1);
  return tensor::ExtractSliceOp::create(b, loc, row, tensor, offsets, sizes,
                                        strides);
}

static Value insertRow(OpBuilder &b, Location loc, Value row, Value tensor,
                       Value index, ArrayRef<OpFoldResult> rowSizes) {
  unsigned rank = rowSizes.size() + 1;
  SmallVector<OpFoldResult> offsets(rank, b.getIndexAttr(0)),
      strides(rank, b.getIndexAttr(1)), sizes{b.getIndexAttr(1)};
  offsets[0] = index;
  llvm::append_range(sizes, rowSizes);
  return tensor::InsertSliceOp::create(b, loc, row, tensor, offsets, sizes,
                                       strides);
}

/// How long each interval is, as f32, where that is known exactly and nothing
/// else asks for the time: a processor without f64 needs none then.
std::optional<SmallVector<float>> SolveLowering::knownDurations() {
  DenseFPElementsAttr times;
  if (usesTime || solve.getStart() || method.getSteps() != 1 ||
      isa<RankedTensorType>(timeType) ||
      !matchPattern(solve.getTimes(), m_Constant(&times)) ||
      llvm::any_of(solve.getStates(), [](Value state) {
        return !computeType(getElementTypeOrSelf(state.getType())).isF32();
      }))
    return std::nullopt;
  SmallVector<float> result;
  bool narrow = getElementTypeOrSelf(timeType).isF32();
  double from = 0;
  for (const APFloat &time : times.getValues<APFloat>()) {
    double to = time.convertToDouble(), duration = to - from;
    float rounded = duration;
    // In f32 the difference is rounded anyway.
    if (!narrow && double(rounded) != duration)
      return std::nullopt;
    result.push_back(narrow ? float(to) - float(from) : rounded);
    from = to;
  }
  return result;
}

/// Carries the tensors of all outputs, the states and, where it is needed, the
/// last output time from one output time to the next.
SmallVector<Value> SolveLowering::grid() {
  Value times = solve.getTimes();
  unsigned n = solve.getNumStates();
  Value zero = arith::ConstantIndexOp::create(b, loc, 0),
        one = arith::ConstantIndexOp::create(b, loc, 1),
        count = getValueOrCreateConstantIndexOp(
            b, loc, tensor::getMixedSize(b, loc, times, 0));
  SmallVector<Value> inits;
  for (unsigned i = 0; i < n; ++i) {
    auto type = cast<RankedTensorType>(solve.getResult(i).getType());
    SmallVector<Value> dynamic;
    for (int64_t d = 0; d < type.getRank(); ++d)
      if (type.isDynamicDim(d))
        dynamic.push_back(d ? cast<Value>(stateSizes[i][d - 1]) : count);
    inits.push_back(
        bufferization::AllocTensorOp::create(b, loc, type, dynamic));
  }
  llvm::append_range(inits, solve.getStates());
  std::optional<SmallVector<float>> durations = knownDurations();
  Value known;
  if (durations && !durations->empty() && llvm::all_equal(*durations))
    known = arith::ConstantOp::create(b, loc,
                                      b.getF32FloatAttr(durations->front()));
  else if (durations)
    known = arith::ConstantOp::create(
        b, loc,
        DenseElementsAttr::get(
            RankedTensorType::get({int64_t(durations->size())}, b.getF32Type()),
            ArrayRef<float>(*durations)));
  else
    inits.push_back(startTime());
  OpBuilder::InsertionGuard guard(b);
  auto loop = scf::ForOp::create(
      b, loc, zero, count, one, inits,
      [&](OpBuilder &inner, Location, Value index, ValueRange carried) {
        b.restoreInsertionPoint(inner.saveInsertionPoint());
        Value from, to, dt = known;
        if (known && isa<RankedTensorType>(known.getType()))
          dt = tensor::ExtractOp::create(b, loc, known, index);
        if (!known) {
          from = carried.back();
          to = extractRow(b, loc, times, index, timeType);
          dt = time({{to}, {from}},
                    [](Scalar &s, ValueRange v) { return s.sub(v[0], v[1]); });
        }
        SmallVector<Value> next =
            interval(usesTime ? from : Value(), dt, carried.slice(n, n));
        SmallVector<Value> yielded;
        for (unsigned i = 0; i < n; ++i)
          yielded.push_back(
              insertRow(b, loc, next[i], carried[i], index, stateSizes[i]));
        llvm::append_range(yielded, next);
        if (to)
          yielded.push_back(to);
        scf::YieldOp::create(b, loc, yielded);
      });
  return SmallVector<Value>(loop.getResults().take_front(n));
}

LogicalResult SolveLowering::run() {
  if (failed(checkSupported()))
    return failure();
  findSizes();
  SmallVector<Value> results = solve.getTimes()
                                   ? grid()
                                   : interval(usesTime ? startTime() : Value(),
                                              solve.getDt(), solve.getStates());
  solve.replaceAllUsesWith(results);
  solve.erase();
  return success();
}
