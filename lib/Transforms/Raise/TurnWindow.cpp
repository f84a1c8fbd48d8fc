//===- TurnWindow.cpp - windows of samples with channels contiguous -------===//
//
// A scan's state that is the last samples of each channel, [.., C, K], which a
// step shifts by one, and of which, before or behind that, it reads nothing but
// sums of products along time: a causal convolution, step by step. The state is
// turned to [.., K, C], so that channels lie side by side and go into vector
// lanes.
//
//===----------------------------------------------------------------------===//
#include "Concatenation.h"
#include "Window.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace lnn::raise {

/// `of` is `from` without what is oldest.
bool Window::isShift(Value of, Value from) {
  auto slice = of.getDefiningOp<tensor::ExtractSliceOp>();
  if (!slice || slice.getSource() != from || !slice.hasUnitStride() ||
      slice.getType().getRank() != rank())
    return false;
  RankedTensorType whole = slice.getSourceType(), part = slice.getType();
  for (auto [d, offset] : llvm::enumerate(slice.getMixedOffsets())) {
    bool shifted = int64_t(d) == along;
    if (getConstantIntValue(offset) != int64_t(shifted) ||
        part.getDimSize(d) != whole.getDimSize(d) - shifted)
      return false;
  }
  return true;
}

bool Window::findWindow() {
  if (!type || !formulaType(type) || rank() < 2 || !type.hasStaticShape() ||
      rank() > 8)
    return false;
  auto last = next.getDefiningOp<tensor::ExtractSliceOp>();
  window = last ? last.getSource() : next;
  SmallVector<tensor::InsertSliceOp> parts = partsOf(window, along);
  if (parts.size() != 2 || parts[1].getSourceType().getDimSize(along) != 1)
    return false;
  keepsOldest = last && isShift(next, window);
  if (last && !keepsOldest)
    return false;
  sample = parts[1].getSource();
  Value kept = parts[0].getSource();
  if (keepsOldest)
    return kept == state && state.hasOneUse() && next.hasOneUse();
  return kept.hasOneUse() && isShift(kept, state);
}

/// What a reader of the window leads to is a sum of products.
bool Window::findSum(Operation *user) {
  for (unsigned depth = 0; depth < 4; ++depth) {
    if (user->getNumResults() != 1 || user->getBlock() != yield->getBlock())
      return false;
    Value value = user->getResult(0);
    auto shaped = dyn_cast<RankedTensorType>(value.getType());
    if (!shaped || !shaped.hasStaticShape() || !formulaType(shaped))
      return false;
    Sum sum{value, nullptr, nullptr, 0, notation.variables(shaped.getShape())};
    F f = notation.element(value, sum.own);
    if (f && f->kind == Kind::Sum) {
      Product product = factorsOf(f->operands[0]), rest = product;
      rest.over.clear();
      for (F factor : product.over) {
        if (factor->kind == Kind::Read && isWindow(factor->value) && !sum.read)
          sum.read = factor;
        else
          rest.over.push_back(factor);
      }
      sum.weight = formulaOf(rest, notation, type.getElementType());
      sum.tap = f->variable;
      if (!sum.read || f->extent != taps())
        return false;
      ArrayRef<AffineExpr> at = sum.read->indices.getResults();
      AffineExpr tap = notation.variable(sum.tap);
      if (at[along] != tap)
        return false;
      for (AffineExpr expr : at)
        if (!isa<AffineDimExpr>(expr) && expr != notation.zero())
          return false;
      // The channel is what the weight varies by, but for the tap; the last
      // dimension where it is one for all.
      uint64_t others = sum.weight->variables & ~(uint64_t(1) << sum.tap);
      sum.channel = along == rank() - 1 ? rank() - 2 : rank() - 1;
      if (others != 0) {
        AffineExpr variable = notation.variable(llvm::countr_zero(others));
        auto *found = llvm::find(at, variable);
        if ((others & (others - 1)) != 0 || found == at.end())
          return false;
        sum.channel = found - at.begin();
      }
      sums.push_back(sum);
      return true;
    }
    if (!value.hasOneUse())
      return false;
    user = *value.user_begin();
  }
  return false;
}

bool Window::findSums() {
  notation.setBudget(256);
  notation.addBarrier(window);
  SmallVector<Operation *> users(window.getUsers());
  if (keepsOldest)
    llvm::erase(users, next.getDefiningOp());
  else
    for (Operation *user : state.getUsers())
      if (user == yield || !isShift(user->getResult(0), state))
        users.push_back(user);
  for (Operation *user : users)
    if (user != yield && !findSum(user))
      return false;
  return !sums.empty() && llvm::count(yield->getOperands(), next) == 1 &&
         !llvm::is_contained(yield->getOperands(), state);
}

/// The value with its last two dimensions in the other order.
Value Window::turned(Operation *before, Value value) {
  auto shaped = cast<RankedTensorType>(value.getType());
  SmallVector<AffineExpr> from;
  SmallVector<OpFoldResult> sizes;
  Builder b(value.getContext());
  for (auto [d, size] : llvm::enumerate(shaped.getShape())) {
    from.push_back(size == 1 ? notation.zero() : notation.variable(d));
    sizes.push_back(b.getIndexAttr(size));
  }
  std::swap(sizes[rank() - 2], sizes[rank() - 1]);
  return moved(before, value, from, turned(from), sizes);
}

Value Window::sumOf(OpBuilder &b, const Sum &sum, Value window, Value weight) {
  Location loc = sum.value.getLoc();
  auto shaped = cast<RankedTensorType>(sum.value.getType());
  unsigned loops = shaped.getRank();
  // Its dimensions' loops, then the taps'.
  SmallVector<AffineExpr> renamed(Notation::maxVariables, notation.zero());
  for (auto [d, index] : llvm::enumerate(sum.own))
    if (auto variable = dyn_cast<AffineDimExpr>(index))
      renamed[variable.getPosition()] = b.getAffineDimExpr(d);
  renamed[sum.tap] = b.getAffineDimExpr(loops);
  auto mapOf = [&](ArrayRef<AffineExpr> indices) {
    SmallVector<AffineExpr> exprs;
    for (AffineExpr index : indices)
      exprs.push_back(index.replaceDims(renamed));
    return AffineMap::get(loops + 1, 0, exprs, b.getContext());
  };
  ArrayRef<AffineExpr> at = sum.read->indices.getResults();
  SmallVector<AffineExpr> own;
  for (unsigned d = 0; d < loops; ++d)
    own.push_back(b.getAffineDimExpr(d));
  SmallVector<utils::IteratorType> iterators(loops,
                                             utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  Value empty = tensor::EmptyOp::create(b, loc, shaped.getShape(),
                                        shaped.getElementType());
  Value zero =
      arith::ConstantOp::create(b, loc, b.getZeroAttr(shaped.getElementType()));
  Value start = linalg::FillOp::create(b, loc, zero, empty).getResult(0);
  return linalg::GenericOp::create(
             b, loc, shaped, ValueRange{window, weight}, start,
             {mapOf(turned(at)), mapOf({at.back(), at[rank() - 2]}),
              AffineMap::get(loops + 1, 0, own, b.getContext())},
             iterators,
             [](OpBuilder &in, Location at, ValueRange v) {
               Value product = arith::MulFOp::create(in, at, v[0], v[1]);
               Value total = arith::AddFOp::create(in, at, v[2], product);
               linalg::YieldOp::create(in, at, total);
             })
      .getResult(0);
}

/// What only the old state led to.
void Window::eraseOld() {
  Block &body = scan.getBody().front();
  llvm::SmallPtrSet<Value, 16> ofState{state};
  SmallVector<Operation *> old;
  for (Operation &op : body)
    if (llvm::any_of(op.getOperands(),
                     [&](Value v) { return ofState.contains(v); })) {
      ofState.insert(op.result_begin(), op.result_end());
      old.push_back(&op);
    }
  for (Operation *op : llvm::reverse(old))
    if (op->use_empty() && op != yield)
      op->erase();
}

ScanOp Window::turn() {
  constexpr int64_t enough = 4; // turning the first and last state costs, too
  if (getConstantIntValue(scan.getLength()).value_or(enough) < enough ||
      !findWindow() || along != rank() - 1 || type.getDimSize(rank() - 2) == 1)
    return {};
  if (!findSums()) {
    report.lacks({next, ScanOp()}, "a window of channels",
                 "it is read by more than sums of products");
    return {};
  }
  if (llvm::any_of(sums,
                   [&](const Sum &sum) { return sum.channel != rank() - 2; }))
    return {};
  OpBuilder b(scan);
  auto shape = cast<RankedTensorType>(window.getType()).getShape();
  int64_t channels = shape[rank() - 2], taps = shape.back();
  SmallVector<Value> weights;
  for (const Sum &sum : sums) {
    ArrayRef<AffineExpr> at = sum.read->indices.getResults();
    weights.push_back(Materializer(notation, scan)
                          .tensor(sum.weight, {at.back(), at[rank() - 2]},
                                  ArrayRef{taps, channels}));
    if (!weights.back())
      return {};
  }
  Value init = turned(scan, scan.getInits()[index]);
  if (!init)
    return {};
  // The body with another state.
  SmallVector<Value> inits(scan.getInits());
  inits[index] = init;
  SmallVector<Type> types(scan->getResultTypes());
  types[scan.getNumOutputs() + index] = init.getType();
  auto made =
      ScanOp::create(b, scan.getLoc(), types, scan.getLength(),
                     scan.getInputs(), inits, scan.getDims(), scan.getReverse(),
                     scan.getOutDims(), scan.getOutReverse());
  made.getBody().takeBody(scan.getBody());
  for (auto [i, results] :
       llvm::enumerate(llvm::zip_equal(scan.getResults(), made.getResults()))) {
    auto [before, now] = results;
    before.replaceAllUsesWith(
        i == scan.getNumOutputs() + index ? turned(scan, now) : now);
  }
  scan.erase();
  scan = made;
  Block &body = scan.getBody().front();
  unsigned place = cast<BlockArgument>(state).getArgNumber();
  Value now = body.insertArgument(place, init.getType(), scan.getLoc());
  b.setInsertionPoint(window.getDefiningOp());
  Operation *at = window.getDefiningOp();
  Location loc = at->getLoc();
  Type element = type.getElementType();
  SmallVector<int64_t> whole(shape);
  std::swap(whole[rank() - 2], whole[rank() - 1]);
  SmallVector<int64_t> part(whole), one(whole);
  part[rank() - 2] = taps - 1;
  one[rank() - 2] = 1;
  SmallVector<OpFoldResult> zeros(rank(), b.getIndexAttr(0)),
      ones(rank(), b.getIndexAttr(1));
  auto sizesOf = [&](ArrayRef<int64_t> sizes) {
    return getAsIndexOpFoldResult(b.getContext(), sizes);
  };
  SmallVector<OpFoldResult> behind = zeros, second = zeros;
  behind[rank() - 2] = b.getIndexAttr(taps - 1);
  second[rank() - 2] = b.getIndexAttr(1);
  auto shifted = [&](Value of) {
    return tensor::ExtractSliceOp::create(b, loc,
                                          RankedTensorType::get(part, element),
                                          of, second, sizesOf(part), ones);
  };
  Value kept = keepsOldest ? now : shifted(now).getResult();
  Value empty = tensor::EmptyOp::create(b, loc, whole, element);
  Value joined = tensor::InsertSliceOp::create(b, loc, kept, empty, zeros,
                                               sizesOf(part), ones);
  joined = tensor::InsertSliceOp::create(b, loc, turned(at, sample), joined,
                                         behind, sizesOf(one), ones);
  Value after = keepsOldest ? shifted(joined).getResult() : joined;
  for (auto [sum, weight] : llvm::zip_equal(sums, weights)) {
    b.setInsertionPoint(sum.value.getDefiningOp());
    sum.value.replaceAllUsesWith(
        sumOf(b, sum, sum.read->value == state ? now : joined, weight));
  }
  yield->replaceUsesOfWith(next, after);
  eraseOld();
  body.eraseArgument(place + 1);
  report.made(scan, "a window of " + Twine(taps) + " samples, " +
                        Twine(channels) + " channels side by side");
  return scan;
}

ScanOp turnWindow(ScanOp scan, unsigned index, const Report &report) {
  return Window(scan, index, report).turn();
}

} // namespace lnn::raise
