//===- MergeSiblings.cpp - one loop nest for reductions that share input --===//
//
// The numerator and the denominator of a liquid cell are two sums over one
// large elementwise value. As one op with two results they let fusion put that
// value's computation inside, where it is never stored. Gates that multiply one
// input by several matrices become one op with several accumulators, which hide
// each other's latency; not where rows of a batch do, which want the registers
// and the nearest cache for one matrix.
//
//===----------------------------------------------------------------------===//
#include "Fusion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;

namespace lnn {

constexpr unsigned maxResults =
    4; // more accumulators than that leave registers

static bool isConstant(Value value) {
  return matchPattern(value, m_Constant());
}

/// True where `first` and `second` have the same loops, given that they share
/// `value`.
static bool sameLoops(linalg::GenericOp first, linalg::GenericOp second,
                      OpOperand &use) {
  if (first.getIteratorTypesArray() != second.getIteratorTypesArray())
    return false;
  AffineMap map = second.getMatchingIndexingMap(&use);
  bool shared =
      llvm::any_of(first.getDpsInputOperands(), [&](OpOperand *other) {
        return other->get() == use.get() &&
               first.getMatchingIndexingMap(other) == map;
      });
  if (!shared)
    return false;
  SmallVector<int64_t> mine = first.getStaticLoopRanges(),
                       other = second.getStaticLoopRanges();
  for (unsigned d = 0; d < first.getNumLoops(); ++d)
    if (mine[d] != other[d] ||
        (ShapedType::isDynamic(mine[d]) && !map.isFunctionOfDim(d)))
      return false;
  return true;
}

/// Rows that share a matrix are enough to hide latency from.
constexpr int64_t manyRows = 8;

/// True where `use` is of rows that are multiplied by a matrix, and they are
/// many.
static bool hasManyRows(linalg::GenericOp op, OpOperand &use) {
  AffineMap map = op.getMatchingIndexingMap(&use);
  bool everywhere = true;
  int64_t rows = 1;
  for (auto [d, extent] : llvm::enumerate(op.getStaticLoopRanges()))
    if (op.getIteratorTypesArray()[d] == utils::IteratorType::parallel) {
      if (!map.isFunctionOfDim(d))
        everywhere = false;
      else if (!ShapedType::isDynamic(extent))
        rows = std::min(rows * extent, manyRows);
    }
  return !everywhere && rows >= manyRows;
}

static linalg::GenericOp merge(linalg::GenericOp first,
                               linalg::GenericOp second,
                               RewriterBase &rewriter) {
  SmallVector<Value> inputs(first.getInputs()), outputs(first.getOutputs());
  llvm::append_range(inputs, second.getInputs());
  llvm::append_range(outputs, second.getOutputs());
  SmallVector<AffineMap> maps, firstMaps = first.getIndexingMapsArray(),
                               secondMaps = second.getIndexingMapsArray();
  unsigned firstInputs = first.getInputs().size(),
           secondInputs = second.getInputs().size();
  llvm::append_range(maps, ArrayRef(firstMaps).take_front(firstInputs));
  llvm::append_range(maps, ArrayRef(secondMaps).take_front(secondInputs));
  llvm::append_range(maps, ArrayRef(firstMaps).drop_front(firstInputs));
  llvm::append_range(maps, ArrayRef(secondMaps).drop_front(secondInputs));
  rewriter.setInsertionPoint(first);
  unsigned firstOutputs = first.getOutputs().size();
  auto body = [&](OpBuilder &b, Location, ValueRange arguments) {
    IRMapping mapping;
    SmallVector<Value> results;
    auto copy = [&](linalg::GenericOp from, unsigned input, unsigned output) {
      Block &block = from.getRegion().front();
      unsigned inputs = from.getInputs().size();
      mapping.map(block.getArguments().take_front(inputs),
                  arguments.slice(input, inputs));
      mapping.map(block.getArguments().drop_front(inputs),
                  arguments.slice(output, from.getOutputs().size()));
      for (Operation &op : block.without_terminator())
        b.clone(op, mapping);
      for (Value value : block.getTerminator()->getOperands())
        results.push_back(mapping.lookupOrDefault(value));
    };
    copy(first, 0, firstInputs + secondInputs);
    copy(second, firstInputs, firstInputs + secondInputs + firstOutputs);
    linalg::YieldOp::create(b, first.getLoc(), results);
  };
  auto merged = linalg::GenericOp::create(
      rewriter, rewriter.getFusedLoc({first.getLoc(), second.getLoc()}),
      ValueRange(outputs).getTypes(), inputs, outputs, maps,
      first.getIteratorTypesArray(), body);
  rewriter.replaceOp(first, merged.getResults().take_front(firstOutputs));
  rewriter.replaceOp(second, merged.getResults().drop_front(firstOutputs));
  return merged;
}

static bool mayMerge(linalg::GenericOp op) {
  return op.hasPureTensorSemantics() && op.getNumReductionLoops() > 0;
}

/// The merged op, or null where `second` cannot come first.
static linalg::GenericOp tryMerge(linalg::GenericOp first,
                                  linalg::GenericOp second,
                                  RewriterBase &rewriter) {
  if (first.getNumDpsInits() + second.getNumDpsInits() > maxResults)
    return {};
  bool related =
      llvm::any_of(second.getDpsInputOperands(), [&](OpOperand *use) {
        return !isConstant(use->get()) && sameLoops(first, second, *use) &&
               !hasManyRows(second, *use);
      });
  if (!related || failed(moveOperationDependencies(rewriter, second, first)))
    return {};
  return merge(first, second, rewriter);
}

static unsigned mergeIn(Block &block, RewriterBase &rewriter) {
  unsigned merged = 0;
  // By input value: the last reduction that reads it, which may have been made
  // by merging.
  DenseMap<Value, linalg::GenericOp> readers;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto generic = dyn_cast<linalg::GenericOp>(op);
    if (!generic || !mayMerge(generic))
      continue;
    linalg::GenericOp result = generic;
    SmallVector<Value> inputs(generic.getInputs());
    for (Value input : inputs) {
      linalg::GenericOp first = readers.lookup(input);
      if (!first)
        continue;
      SmallVector<Value> firstInputs(first.getInputs());
      if (linalg::GenericOp made = tryMerge(first, generic, rewriter)) {
        for (Value known : firstInputs)
          readers[known] = made;
        result = made;
        ++merged;
        break;
      }
    }
    for (Value input : inputs)
      if (!isConstant(input))
        readers[input] = result;
  }
  return merged;
}

unsigned mergeSiblings(func::FuncOp function, RewriterBase &rewriter) {
  SmallVector<Block *> blocks;
  function.walk([&](Block *block) {
    if (!isa<linalg::LinalgOp>(block->getParentOp()))
      blocks.push_back(block);
  });
  unsigned merged = 0;
  for (Block *block : blocks)
    merged += mergeIn(*block, rewriter);
  return merged;
}

} // namespace lnn
