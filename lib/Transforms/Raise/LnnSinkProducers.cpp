//===- LnnSinkProducers.cpp - what is larger than its parts, step by step -===//
//
// A scan's input that is computed element by element of tensors that have fewer
// elements is computed in the scan, from their slices: what is stored for all
// of time is what it is made of.
//
//===----------------------------------------------------------------------===//
#include "lnn/Transforms/Raise/Passes.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace lnn {
#define GEN_PASS_DEF_LNNSINKPRODUCERSPASS
#include "lnn/Transforms/Raise/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;

namespace {

/// Elements of one step, where sizes that are not known count as 1.
double elements(Value value, std::optional<int64_t> without = std::nullopt) {
  double count = 1;
  for (auto [d, size] :
       llvm::enumerate(cast<ShapedType>(value.getType()).getShape()))
    if (!ShapedType::isDynamic(size) && static_cast<int64_t>(d) != without)
      count *= size;
  return count;
}

/// Sinks what one scan's inputs are computed of.
class Sinking {
public:
  explicit Sinking(ScanOp scan) : scan(scan) {}
  unsigned run();

private:
  ScanOp scan;

  std::optional<unsigned> timeLoop(linalg::GenericOp op, int64_t dim);
  bool collect(Value value, int64_t dim, SetVector<Operation *> &chain,
               double &parts);
  bool sink(unsigned input);
};
} // namespace

/// The place in a map's results of a loop that it has by itself, once; -1 where
/// it does not have the loop; none where it has it otherwise.
static std::optional<int64_t> placeOf(AffineMap map, unsigned loop) {
  int64_t place = -1;
  for (auto [d, expr] : llvm::enumerate(map.getResults())) {
    if (!expr.isFunctionOfDim(loop))
      continue;
    if (!isa<AffineDimExpr>(expr) || place >= 0)
      return std::nullopt;
    place = d;
  }
  return place;
}

/// The op computes element by element and has one loop for dimension `dim` of
/// its result, which each operand has by itself or not at all.
std::optional<unsigned> Sinking::timeLoop(linalg::GenericOp op, int64_t dim) {
  if (!op || !op.hasPureTensorSemantics() || op->getNumResults() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops() || op.hasIndexSemantics() ||
      op.getNumDpsInputs() == 0)
    return std::nullopt;
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  auto loop = dyn_cast<AffineDimExpr>(map.getResult(dim));
  if (!map.isProjectedPermutation() || !loop ||
      !op.getMatchingBlockArgument(op.getDpsInitOperand(0)).use_empty())
    return std::nullopt;
  for (OpOperand &operand : op->getOpOperands()) {
    std::optional<int64_t> place =
        placeOf(op.getMatchingIndexingMap(&operand), loop.getPosition());
    if (!place || !isa<RankedTensorType>(operand.get().getType()))
      return std::nullopt;
  }
  bool pure = true;
  op.getRegion().walk([&](Operation *inner) {
    for (Value operand : inner->getOperands())
      pure &= op.getRegion().isAncestor(operand.getParentRegion()) ||
              operand.getDefiningOp<arith::ConstantOp>();
    pure &= isPure(inner);
  });
  return pure ? std::optional(loop.getPosition()) : std::nullopt;
}

/// The ops that the value is computed by element by element, for nothing else;
/// and how many elements of a step they read.
bool Sinking::collect(Value value, int64_t dim, SetVector<Operation *> &chain,
                      double &parts) {
  constexpr unsigned most = 32;
  auto op = value.getDefiningOp<linalg::GenericOp>();
  std::optional<unsigned> loop =
      op && op->hasOneUse() ? timeLoop(op, dim) : std::nullopt;
  if (!loop || chain.size() >= most) {
    parts += elements(value, dim);
    return false;
  }
  for (OpOperand *operand : op.getDpsInputOperands())
    if (int64_t place = *placeOf(op.getMatchingIndexingMap(operand), *loop);
        place >= 0)
      collect(operand->get(), place, chain, parts);
  chain.insert(op);
  return true;
}

bool Sinking::sink(unsigned input) {
  Value value = scan.getInputs()[input];
  int64_t dim = scan.getDims()[input];
  SetVector<Operation *> chain;
  double parts = 0;
  if (!collect(value, dim, chain, parts) ||
      (!value.getDefiningOp()->hasAttr(sinkAttribute) &&
       elements(value, dim) < 2 * std::max(parts, 1.0)))
    return false;
  // The last op of the chain: its operands are inputs then, and looked at next.
  auto op = cast<linalg::GenericOp>(value.getDefiningOp());
  unsigned loop = *timeLoop(op, dim);
  Block &body = scan.getBody().front();
  BlockArgument old = scan.getSlices()[input];
  bool reverse = scan.getReverse()[input];
  Location loc = op.getLoc();
  SmallVector<Value> inputs(scan.getInputs()), operands;
  SmallVector<int64_t> dims(scan.getDims());
  SmallVector<bool> reverses(scan.getReverse());
  SmallVector<AffineMap> maps;
  MLIRContext *context = scan.getContext();
  auto slicedMap = [&](AffineMap map, int64_t place) {
    SmallVector<AffineExpr> results(map.getResults());
    if (place >= 0)
      results.erase(results.begin() + place);
    SmallVector<AffineExpr> renamed;
    for (unsigned d = 0; d < map.getNumDims(); ++d)
      renamed.push_back(getAffineDimExpr(d > loop ? d - 1 : d, context));
    return AffineMap::get(map.getNumDims() - 1, 0, results, context)
        .replaceDimsAndSymbols(renamed, {}, map.getNumDims() - 1, 0);
  };
  // A step without the time needs more than nothing.
  if (op.getNumLoops() < 2)
    return false;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    int64_t place = *placeOf(map, loop);
    maps.push_back(slicedMap(map, place));
    if (place < 0) {
      operands.push_back(operand->get());
      continue;
    }
    unsigned at = inputs.size();
    inputs.push_back(operand->get());
    dims.push_back(place);
    reverses.push_back(reverse);
    operands.push_back(body.insertArgument(
        1 + at,
        ScanOp::sliceType(cast<RankedTensorType>(operand->get().getType()),
                          place),
        loc));
  }
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  maps.push_back(slicedMap(out, dim));
  OpBuilder b(&body, body.begin());
  auto type = cast<RankedTensorType>(old.getType());
  OpBuilder outside(scan);
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(outside, loc, op.getDpsInits()[0]);
  sizes.erase(sizes.begin() + dim);
  Value empty = tensor::EmptyOp::create(b, loc, sizes, type.getElementType());
  if (empty.getType() != type)
    empty = tensor::CastOp::create(b, loc, type, empty);
  SmallVector<utils::IteratorType> iterators(op.getNumLoops() - 1,
                                             utils::IteratorType::parallel);
  auto inside = linalg::GenericOp::create(b, loc, TypeRange{type}, operands,
                                          ValueRange{empty}, maps, iterators);
  IRMapping mapping;
  op.getRegion().cloneInto(&inside.getRegion(), mapping);
  old.replaceAllUsesWith(inside.getResult(0));
  // Without the old input.
  body.eraseArgument(1 + input);
  inputs.erase(inputs.begin() + input);
  dims.erase(dims.begin() + input);
  reverses.erase(reverses.begin() + input);
  auto fresh = ScanOp::create(
      outside, scan.getLoc(), scan->getResultTypes(), scan.getLength(), inputs,
      scan.getInits(), dims, reverses, scan.getOutDims(), scan.getOutReverse());
  fresh.getBody().takeBody(scan.getBody());
  scan->replaceAllUsesWith(fresh->getResults());
  scan->erase();
  scan = fresh;
  if (op->use_empty())
    op->erase();
  return true;
}

unsigned Sinking::run() {
  unsigned count = 0;
  constexpr unsigned most = 256;
  for (unsigned i = 0; i < scan.getInputs().size() && count < most;) {
    if (!sink(i)) {
      ++i;
      continue;
    }
    ++count;
    i = 0;
  }
  return count;
}

namespace {
struct LnnSinkProducersPass
    : lnn::impl::LnnSinkProducersPassBase<LnnSinkProducersPass> {
  void runOnOperation() override {
    SmallVector<ScanOp> scans;
    getOperation().walk([&](ScanOp scan) { scans.push_back(scan); });
    for (ScanOp scan : scans)
      numSunk += Sinking(scan).run();
  }
};
} // namespace
