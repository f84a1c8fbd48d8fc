//===- HoistWindow.cpp - convolutions that scans compute step by step -----===//
//
// A scan's state that is the last samples of something that no state decides
// is known in front of the scan: what is summed up of it in each step is one
// lnn.causal_conv of all samples, which the first state comes in front of.
// Where that leaves no state, what the scan computes element by element is
// computed for all of time; where it leaves a recurrence, that is raised.
// Otherwise the scan stays as it is.
//
//===----------------------------------------------------------------------===//
#include "OverTime.h"
#include "Window.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace lnn::raise {

namespace {
/// Formulas of a scan's step and of all of time, of tensors as they are.
struct Steps {
  Notation step, whole;
  OverTime times;
  explicit Steps(ScanOp scan)
      : step(scan.getContext()), whole(scan.getContext()), times(scan, whole) {
    step.setBudget(256);
    whole.setBudget(256);
    for (Value input : scan.getInputs())
      whole.addBarrier(input);
    times.reading = [this](Value value) { whole.addBarrier(value); };
  }
};
} // namespace

/// The tensor in front of the scan.
static Value tensorOf(ScanOp scan, Notation &whole, F f,
                      ArrayRef<AffineExpr> indices,
                      ArrayRef<OpFoldResult> sizes) {
  if (f->kind == Kind::Read)
    return moved(scan, f->value, f->indices.getResults(), indices, sizes);
  return Materializer(whole, scan).tensor(f, indices, sizes);
}

/// The samples [rows, time, channel]; null where a state decides them, or they
/// come from the last to the first.
Value Window::samplesOverTime(ArrayRef<AffineExpr> indices,
                              ArrayRef<OpFoldResult> sizes) {
  Steps steps(scan);
  auto &[step, whole, times] = steps;
  F f = times.of(step.element(
      sample,
      step.variables(cast<RankedTensorType>(sample.getType()).getShape())));
  if (!f || !f->has(timeVariable) || times.reverse.value_or(true))
    return {};
  return tensorOf(scan, whole, f, indices, sizes);
}

/// The last state, [rows, samples, channel]: of the first one and all samples.
Value Window::lastOf(OpBuilder &b, Value first, Value samples, int64_t time) {
  Location loc = scan.getLoc();
  SmallVector<OpFoldResult> past = tensor::getMixedSizes(b, loc, first),
                            now = tensor::getMixedSizes(b, loc, samples),
                            zeros(rank(), b.getIndexAttr(0)),
                            ones(rank(), b.getIndexAttr(1)), all = now,
                            behind = zeros, end = zeros;
  end[time] = now[time];
  behind[time] = past[time];
  if (std::optional<int64_t> steps = getConstantIntValue(now[time]))
    all[time] = b.getIndexAttr(*steps + type.getDimSize(along));
  else
    all[time] = arith::AddIOp::create(
                    b, loc, getValueOrCreateConstantIndexOp(b, loc, now[time]),
                    getValueOrCreateConstantIndexOp(b, loc, past[time]))
                    .getResult();
  Value joined = tensor::EmptyOp::create(b, loc, all, type.getElementType());
  joined =
      tensor::InsertSliceOp::create(b, loc, first, joined, zeros, past, ones);
  joined =
      tensor::InsertSliceOp::create(b, loc, samples, joined, behind, now, ones);
  return tensor::ExtractSliceOp::create(
      b, loc, cast<RankedTensorType>(first.getType()), joined, end, past, ones);
}

/// The scan without the state, reading the sums' slices along dimension `dim`.
ScanOp Window::rebuild(ArrayRef<Value> inputs, int64_t dim, Value last) {
  OpBuilder b(scan);
  unsigned place = scan.getNumOutputs() + index,
           before = scan.getInputs().size();
  SmallVector<Value> allInputs(scan.getInputs()), inits(scan.getInits());
  SmallVector<int64_t> dims(scan.getDims());
  SmallVector<bool> reverse(scan.getReverse());
  SmallVector<Type> types(scan->getResultTypes());
  llvm::append_range(allInputs, inputs);
  dims.append(inputs.size(), dim);
  reverse.append(inputs.size(), false);
  inits.erase(inits.begin() + index);
  types.erase(types.begin() + place);
  auto made = ScanOp::create(b, scan.getLoc(), types, scan.getLength(),
                             allInputs, inits, dims, reverse, scan.getOutDims(),
                             scan.getOutReverse());
  made.getBody().takeBody(scan.getBody());
  for (auto [i, result] : llvm::enumerate(scan.getResults()))
    if (i != place)
      result.replaceAllUsesWith(made.getResult(i - (i > place)));
    else if (last)
      result.replaceAllUsesWith(last);
  scan.erase();
  scan = made;
  Block &body = scan.getBody().front();
  for (auto [i, sum] : llvm::enumerate(sums)) {
    Value slice = body.insertArgument(
        1 + before + i,
        ScanOp::sliceType(cast<RankedTensorType>(inputs[i].getType()), dim),
        scan.getLoc());
    ArrayRef<AffineExpr> at = sum.read->indices.getResults();
    SmallVector<AffineExpr> from;
    for (int64_t d : order(sum.channel))
      if (d != along)
        from.push_back(at[d]);
    SmallVector<OpFoldResult> sizes = getAsIndexOpFoldResult(
        b.getContext(), cast<RankedTensorType>(sum.value.getType()).getShape());
    sum.value.replaceAllUsesWith(
        moved(sum.value.getDefiningOp(), slice, from, sum.own, sizes));
  }
  yield.getStatesMutable().erase(index);
  eraseOld();
  body.eraseArgument(cast<BlockArgument>(state).getArgNumber());
  return scan;
}

/// The window's dimensions as a convolution has them: rows, samples, channel.
SmallVector<int64_t> Window::order(int64_t channel) const {
  SmallVector<int64_t> result;
  for (int64_t d = 0; d < rank(); ++d)
    if (d != along && d != channel)
      result.push_back(d);
  result.append({along, channel});
  return result;
}

ScanOp Window::hoist() {
  if (!findWindow() || taps() < 2 || !findSums())
    return {};
  int64_t channel = sums.front().channel, time = rank() - 2;
  for (const Sum &sum : sums) {
    uint64_t own = 0;
    for (AffineExpr index : sum.own)
      if (auto variable = dyn_cast<AffineDimExpr>(index))
        own |= uint64_t(1) << variable.getPosition();
    // The state before the step has no more than the samples before it.
    if (sum.channel != channel || (own & ~sum.read->variables) != 0 ||
        sum.read->value != window)
      return {};
  }
  OpBuilder b(scan);
  Location loc = scan.getLoc();
  Indices lies = notation.variables(type.getShape()), at;
  SmallVector<OpFoldResult> stateSizes = getAsIndexOpFoldResult(
                                b.getContext(), type.getShape()),
                            sizes;
  for (int64_t d : order(channel)) {
    at.push_back(lies[d]);
    sizes.push_back(stateSizes[d]);
  }
  SmallVector<AffineExpr> sampled(at);
  SmallVector<OpFoldResult> all = sizes;
  sampled[time] = notation.variable(timeVariable);
  all[time] = getAsOpFoldResult(scan.getLength());
  Value samples = samplesOverTime(sampled, all),
        first = samples ? moved(scan, scan.getInits()[index], lies, at, sizes)
                        : Value();
  if (!first)
    return {};
  Value past = first;
  if (!keepsOldest) {
    SmallVector<OpFoldResult> offsets(rank(), b.getIndexAttr(0)),
        rest = sizes, ones(rank(), b.getIndexAttr(1));
    offsets[time] = b.getIndexAttr(1);
    rest[time] = b.getIndexAttr(taps() - 1);
    past = tensor::ExtractSliceOp::create(b, loc, first, offsets, rest, ones);
  }
  SmallVector<Value> results;
  Value next;
  for (const Sum &sum : sums) {
    ArrayRef<AffineExpr> read = sum.read->indices.getResults();
    Value weight = Materializer(notation, scan)
                       .tensor(sum.weight, {read[along], read[channel]},
                               ArrayRef{taps(), type.getDimSize(channel)});
    if (!weight)
      return {};
    auto conv = CausalConvOp::create(b, loc, samples.getType(), past.getType(),
                                     samples, past, weight, Value(), 1);
    results.push_back(conv.getResult());
    next = conv.getNext();
  }
  Value last;
  if (!scan.getResult(scan.getNumOutputs() + index).use_empty())
    last = moved(scan, keepsOldest ? next : lastOf(b, first, samples, time), at,
                 lies, stateSizes);
  report.made(results.front().getDefiningOp(),
              "lnn.causal_conv of " + Twine(taps()) + " taps along dimension " +
                  Twine(time));
  return rebuild(results, time, last);
}

/// Computes for all of time what a scan without states does by elements.
static void hoistOutputs(ScanOp scan) {
  if (!scan.getStates().empty())
    return;
  auto yield = cast<YieldOp>(scan.getBody().front().getTerminator());
  Steps steps(scan);
  auto &[step, whole, times] = steps;
  for (auto [o, value] : llvm::enumerate(yield.getOutputs())) {
    Value old = scan.getResult(o);
    auto shaped = cast<RankedTensorType>(value.getType());
    if (old.use_empty() || !formulaType(shaped) || !shaped.hasStaticShape())
      continue;
    SmallVector<AffineExpr> indices = step.variables(shaped.getShape());
    times.reverse = scan.getOutReverse()[o];
    F f = times.of(step.element(value, indices));
    if (!f || !f->has(timeVariable))
      continue;
    SmallVector<OpFoldResult> sizes =
        getAsIndexOpFoldResult(scan.getContext(), shaped.getShape());
    int64_t dim = scan.getOutDims()[o];
    indices.insert(indices.begin() + dim, whole.variable(timeVariable));
    sizes.insert(sizes.begin() + dim, getAsOpFoldResult(scan.getLength()));
    Value all = tensorOf(scan, whole, f, indices, sizes);
    if (!all)
      continue;
    OpBuilder b(scan);
    if (all.getType() != old.getType())
      all = tensor::CastOp::create(b, scan.getLoc(), old.getType(), all);
    old.replaceAllUsesWith(all);
  }
}

/// Takes the windows out, and raises what is left.
static bool takeOut(ScanOp &scan, const Report &report) {
  for (unsigned i = 0; i < scan.getStates().size();)
    if (ScanOp rest = Window(scan, i, report).hoist())
      scan = rest;
    else
      ++i;
  hoistOutputs(scan);
  return scan->use_empty() || raiseRecurrence(scan, report) ||
         raiseHalves(scan, report);
}

bool raiseWindows(ScanOp &scan, const Report &report) {
  if (llvm::none_of(
          llvm::seq<unsigned>(0, scan.getStates().size()),
          [&](unsigned i) { return Window(scan, i, report).findWindow(); }))
    return false;
  // A scan that stays has its window at hand: a copy is tried first. Something
  // must read the copy's results.
  OpBuilder b(scan);
  auto copy = cast<ScanOp>(b.clone(*scan));
  SmallVector<Operation *> readers;
  for (auto [result, original] :
       llvm::zip_equal(copy.getResults(), scan.getResults()))
    if (!original.use_empty())
      readers.push_back(UnrealizedConversionCastOp::create(
          b, scan.getLoc(), result.getType(), result));
  bool gone = takeOut(copy, Report(false));
  for (Operation *reader : readers)
    reader->erase();
  if (copy->use_empty())
    copy->erase();
  return gone && takeOut(scan, report);
}

} // namespace lnn::raise
