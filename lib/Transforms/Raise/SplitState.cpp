//===- SplitState.cpp - a state that is two side by side ------------------===//
//
// A scan's state that each step takes apart into two halves of one of its
// dimensions, and puts together again: real and imaginary parts, mostly, the
// dimension having size 2. The scan over the halves is tried beside it.
//
//===----------------------------------------------------------------------===//
#include "Cells.h"
#include "Concatenation.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace lnn::raise {
namespace {

class Halves {
public:
  explicit Halves(ScanOp scan) : scan(scan), b(scan), loc(scan.getLoc()) {}
  /// The results of the scan over halves, put together, in place of the scan's;
  /// none where it is no such scan.
  std::optional<SmallVector<Value>> split();
  ScanOp made;

private:
  ScanOp scan;
  OpBuilder b;
  Location loc;
  RankedTensorType type, half; ///< `half` without a dimension of size 1
  int64_t dim = -1, size = 0;  ///< of a half

  bool isSize(OpFoldResult extent, unsigned d, Value of);
  /// Which half of `of` a value is.
  std::optional<unsigned> halfOf(Operation *user, Value of);
  bool isTakenApart(Value value);
  SmallVector<OpFoldResult> offsets(int64_t rank, int64_t at, int64_t from) {
    SmallVector<OpFoldResult> result(rank, b.getIndexAttr(0));
    result[at] = b.getIndexAttr(from);
    return result;
  }
  SmallVector<OpFoldResult> ones(int64_t rank) {
    return SmallVector<OpFoldResult>(rank, b.getIndexAttr(1));
  }
  SmallVector<ReassociationIndices> groups() const;
  Value joined(ArrayRef<Value> halves, Value like, int64_t at);
  void replaceSlices(Value of, ArrayRef<Value> halves);
  void fill();
};
} // namespace

/// The size is that of dimension `d`.
bool Halves::isSize(OpFoldResult extent, unsigned d, Value of) {
  if (std::optional<int64_t> known = getConstantIntValue(extent))
    return *known == type.getDimSize(d);
  auto from = cast<Value>(extent).getDefiningOp<tensor::DimOp>();
  return from && from.getConstantIndex() == int64_t(d) &&
         (from.getSource() == of || from.getSource() == scan.getInits()[0]);
}

std::optional<unsigned> Halves::halfOf(Operation *user, Value of) {
  auto slice = dyn_cast<tensor::ExtractSliceOp>(user);
  if (!slice || slice.getSource() != of || !slice.hasUnitStride())
    return std::nullopt;
  std::optional<unsigned> which;
  for (auto [d, offset, extent] :
       llvm::enumerate(slice.getMixedOffsets(), slice.getMixedSizes())) {
    std::optional<int64_t> from = getConstantIntValue(offset);
    if (!from)
      return std::nullopt;
    if (int64_t(d) != dim) {
      if (*from != 0 || !isSize(extent, d, of))
        return std::nullopt;
      continue;
    }
    if ((*from != 0 && *from != size) || getConstantIntValue(extent) != size)
      return std::nullopt;
    which = *from != 0;
  }
  // With a dimension of size 1, or without it.
  RankedTensorType found = slice.getType();
  SmallVector<int64_t> whole(type.getShape());
  whole[dim] = size;
  if (found.getShape() != ArrayRef(whole) && found != half)
    return std::nullopt;
  return which;
}

/// Nothing reads it but as halves.
bool Halves::isTakenApart(Value value) {
  return llvm::all_of(value.getUsers(), [&](Operation *user) {
    return isa<YieldOp>(user) || halfOf(user, value);
  });
}

/// The whole state's dimensions by the half's.
SmallVector<ReassociationIndices> Halves::groups() const {
  SmallVector<ReassociationIndices> result;
  for (int64_t d = 0; d < type.getRank(); ++d)
    if (d != dim || result.empty())
      result.push_back({d});
    else
      result.back().push_back(d);
  // The first dimension goes with the one behind it.
  if (dim == 0 && result.size() > 1) {
    result[1].insert(result[1].begin(), 0);
    result.erase(result.begin());
  }
  return result;
}

/// The halves along dimension `at`, of `like`'s type.
Value Halves::joined(ArrayRef<Value> halves, Value like, int64_t at) {
  auto whole = cast<RankedTensorType>(like.getType());
  SmallVector<OpFoldResult> part =
      tensor::getMixedSizes(b, loc, halves.front());
  if (size == 1)
    part.insert(part.begin() + at, b.getIndexAttr(1));
  SmallVector<OpFoldResult> sizes = part;
  sizes[at] = b.getIndexAttr(2 * size);
  Value result = tensor::EmptyOp::create(b, loc, sizes, whole.getElementType());
  for (auto [i, value] : llvm::enumerate(halves))
    result = tensor::InsertSliceOp::create(
        b, loc, value, result, offsets(whole.getRank(), at, i * size), part,
        ones(whole.getRank()));
  if (result.getType() != whole)
    result = tensor::CastOp::create(b, loc, whole, result);
  return result;
}

void Halves::replaceSlices(Value of, ArrayRef<Value> halves) {
  for (Operation *user : llvm::make_early_inc_range(of.getUsers())) {
    std::optional<unsigned> which = halfOf(user, of);
    if (!which)
      continue;
    Value value = halves[*which];
    Type wanted = user->getResult(0).getType();
    b.setInsertionPoint(user);
    if (value.getType() != wanted)
      value = tensor::ExpandShapeOp::create(b, loc, wanted, value, groups());
    user->getResult(0).replaceAllUsesWith(value);
    user->erase();
  }
}

/// The made scan's body, of the copied one's ops.
void Halves::fill() {
  Block &body = made.getBody().front();
  auto yield = cast<YieldOp>(body.getTerminator());
  Value state = body.getArguments().back(), next = yield.getStates()[0];
  SmallVector<tensor::InsertSliceOp> parts = partsOf(next, dim);
  SmallVector<Value> states, nexts;
  for (unsigned i = 0; i < 2; ++i)
    states.push_back(body.addArgument(half, loc));
  for (tensor::InsertSliceOp part : parts) {
    b.setInsertionPoint(part);
    nexts.push_back(part.getSource());
    if (size == 1)
      nexts.back() = b.createOrFold<tensor::CollapseShapeOp>(
          loc, half, part.getSource(), groups());
  }
  replaceSlices(state, states);
  replaceSlices(next, nexts);
  SmallVector<Value> outputs;
  for (Value output : yield.getOutputs())
    if (output == next)
      llvm::append_range(outputs, nexts);
    else
      outputs.push_back(output);
  b.setInsertionPoint(yield);
  lnn::YieldOp::create(b, loc, outputs, nexts);
  yield->erase();
  body.eraseArgument(cast<BlockArgument>(state).getArgNumber());
}

std::optional<SmallVector<Value>> Halves::split() {
  if (scan.getInits().size() != 1)
    return std::nullopt;
  auto yield = cast<YieldOp>(scan.getBody().front().getTerminator());
  Value state = scan.getStates()[0], next = yield.getStates()[0];
  type = dyn_cast<RankedTensorType>(state.getType());
  if (!type || !formulaType(type) || type.getRank() < 2)
    return std::nullopt;
  SmallVector<tensor::InsertSliceOp> parts = partsOf(next, dim);
  if (parts.size() != 2 || type.isDynamicDim(dim))
    return std::nullopt;
  size = type.getDimSize(dim) / 2;
  if (parts[0].getSourceType().getDimSize(dim) != size ||
      parts[1].getSourceType().getDimSize(dim) != size ||
      parts[0].getSourceType() != parts[1].getSourceType())
    return std::nullopt;
  SmallVector<int64_t> shape(type.getShape());
  if (size == 1)
    shape.erase(shape.begin() + dim);
  else
    shape[dim] = size;
  half = RankedTensorType::get(shape, type.getElementType());
  if (!isTakenApart(state) || !isTakenApart(next) ||
      llvm::is_contained(yield->getOperands(), state))
    return std::nullopt;
  // The scan over halves, with a copy of the body.
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(b, loc, scan.getInits()[0]);
  sizes[dim] = b.getIndexAttr(size);
  SmallVector<Value> inits;
  for (unsigned i = 0; i < 2; ++i)
    inits.push_back(tensor::ExtractSliceOp::create(
        b, loc, half, scan.getInits()[0],
        offsets(type.getRank(), dim, i * size), sizes, ones(type.getRank())));
  SmallVector<Type> types;
  SmallVector<int64_t> outDims;
  SmallVector<bool> outReverse;
  for (unsigned o = 0; o < scan.getNumOutputs(); ++o) {
    auto all = cast<RankedTensorType>(scan.getResult(o).getType());
    int64_t time = scan.getOutDims()[o];
    bool isNext = yield.getOutputs()[o] == next;
    if (isNext) {
      int64_t at = dim + (time <= dim);
      SmallVector<int64_t> shape(all.getShape());
      if (size == 1)
        shape.erase(shape.begin() + at);
      else
        shape[at] = size;
      all = RankedTensorType::get(shape, all.getElementType());
      time -= size == 1 && time > at;
    }
    for (unsigned i = 0; i < (isNext ? 2 : 1); ++i) {
      types.push_back(all);
      outDims.push_back(time);
      outReverse.push_back(scan.getOutReverse()[o]);
    }
  }
  types.append(2, half);
  made =
      ScanOp::create(b, loc, types, scan.getLength(), scan.getInputs(), inits,
                     scan.getDims(), scan.getReverse(), outDims, outReverse);
  IRMapping mapping;
  scan.getBody().cloneInto(&made.getBody(), mapping);
  fill();
  b.setInsertionPointAfter(made);
  SmallVector<Value> results;
  unsigned at = 0;
  for (auto [o, result] : llvm::enumerate(scan.getResults())) {
    bool isState = o >= scan.getNumOutputs();
    if (!isState && yield.getOutputs()[o] != next) {
      results.push_back(made.getResult(at++));
      continue;
    }
    int64_t along = dim;
    if (!isState)
      along += scan.getOutDims()[o] <= dim;
    results.push_back(result.use_empty()
                          ? Value()
                          : joined({made.getResult(at), made.getResult(at + 1)},
                                   result, along));
    at += 2;
  }
  return results;
}

/// Erases the scan, which nothing needs, and what puts its results together.
static void eraseUnread(ScanOp scan, ArrayRef<Value> results) {
  llvm::SmallSetVector<Operation *, 8> dead;
  auto add = [&](Value value) {
    Operation *op = value ? value.getDefiningOp() : nullptr;
    if (op && op != scan && isOpTriviallyDead(op))
      dead.insert(op);
  };
  llvm::for_each(results, add);
  while (!dead.empty()) {
    Operation *op = dead.pop_back_val();
    SmallVector<Value> operands(op->getOperands());
    op->erase();
    llvm::for_each(operands, add);
  }
  if (scan->use_empty())
    scan->erase();
}

bool raiseHalves(ScanOp scan, const Report &report) {
  Halves halves(scan);
  std::optional<SmallVector<Value>> results = halves.split();
  if (!results)
    return false;
  auto exchange = [&](bool forward) {
    for (auto [before, now] : llvm::zip_equal(scan.getResults(), *results))
      if (now && forward)
        before.replaceAllUsesWith(now);
      else if (now)
        now.replaceAllUsesWith(before);
  };
  exchange(true);
  if (raiseRecurrence(halves.made, report)) {
    eraseUnread(halves.made, {});
    return true;
  }
  exchange(false);
  eraseUnread(halves.made, *results);
  return false;
}

} // namespace lnn::raise
