//===- PlanMemory.cpp - place every temporary in one arena ----------------===//
#include "lnn/Transforms/Passes.h"
#include "lnn/Transforms/Sizes.h"

#include "mlir/Dialect/Bufferization/Transforms/BufferViewFlowAnalysis.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/DataLayoutInterfaces.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "llvm/ADT/MapVector.h"
#include <map>
#include <queue>
#include <set>

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNPLANMEMORYPASS
#include "lnn/Transforms/Passes.h.inc"

static constexpr int64_t alignment = 64;

namespace {

/// An allocation and the operations, by their number in pre-order, between
/// which it is alive.
struct Interval {
  memref::AllocOp alloc;
  int64_t begin = 0, end = 0;
  int64_t bytes = 0;   ///< of a static one
  int64_t offset = -1; ///< where a static one lies
};

/// First operation and last nested operation of each operation, in pre-order.
class Numbering {
public:
  explicit Numbering(Operation *root) { number(root); }
  int64_t first(Operation *op) const { return numbers.lookup(op).first; }
  int64_t last(Operation *op) const { return numbers.lookup(op).second; }

private:
  void number(Operation *op) {
    int64_t begin = next++;
    for (Region &region : op->getRegions())
      for (Operation &nested : region.getOps())
        number(&nested);
    numbers[op] = {begin, next - 1};
  }
  int64_t next = 0;
  DenseMap<Operation *, std::pair<int64_t, int64_t>> numbers;
};

/// Memory in use along a line: takes the smallest hole that is large enough, or
/// grows.
class FreeList {
public:
  int64_t take(int64_t bytes) {
    auto hole = bySize.lower_bound({bytes, 0});
    if (hole != bySize.end()) {
      auto [size, offset] = *hole;
      remove(offset);
      if (size > bytes)
        insert(offset + bytes, size - bytes);
      return offset;
    }
    int64_t offset = top;
    if (!byOffset.empty()) {
      auto last = std::prev(byOffset.end());
      if (last->first + last->second == top) { // grow a hole at the end
        offset = last->first;
        remove(offset);
      }
    }
    top = std::max(top, offset + bytes);
    return offset;
  }
  void give(int64_t offset, int64_t bytes) {
    auto next = byOffset.lower_bound(offset);
    if (next != byOffset.end() && next->first == offset + bytes) {
      bytes += next->second;
      remove(next->first);
    }
    auto before = byOffset.lower_bound(offset);
    if (before != byOffset.begin() &&
        (--before)->first + before->second == offset) {
      offset = before->first;
      bytes += before->second;
      remove(offset);
    }
    insert(offset, bytes);
  }
  int64_t extent() const { return top; }

private:
  void insert(int64_t offset, int64_t bytes) {
    byOffset[offset] = bytes;
    bySize.insert({bytes, offset});
  }
  void remove(int64_t offset) {
    bySize.erase({byOffset[offset], offset});
    byOffset.erase(offset);
  }
  std::map<int64_t, int64_t> byOffset;
  std::set<std::pair<int64_t, int64_t>> bySize;
  int64_t top = 0;
};

/// Calls `place` in order of beginning, and `leave` for each interval that
/// ended before that.
template <typename Place, typename Leave>
void sweep(MutableArrayRef<Interval *> intervals, Place place, Leave leave) {
  llvm::sort(intervals, [](Interval *a, Interval *b) {
    return a->begin < b->begin;
  }); // no two begin at one operation
  auto later = [](Interval *a, Interval *b) { return a->end > b->end; };
  std::priority_queue<Interval *, std::vector<Interval *>, decltype(later)>
      alive(later);
  for (Interval *interval : intervals) {
    while (!alive.empty() && alive.top()->end < interval->begin) {
      leave(*alive.top());
      alive.pop();
    }
    place(*interval);
    alive.push(interval);
  }
}

struct PlanMemoryPass : impl::LnnPlanMemoryPassBase<PlanMemoryPass> {
  void runOnOperation() override {
    func::FuncOp func = getOperation();
    if (func.isDeclaration())
      return;
    if (failed(checkInput(func)))
      return signalPassFailure();
    SmallVector<Interval> intervals = findIntervals(func);
    plan(func, intervals);
  }

  static LogicalResult checkInput(func::FuncOp func) {
    WalkResult result = func.walk([&](Operation *op) {
      for (Region &region : op->getRegions())
        if (!region.empty() && !region.hasOneBlock())
          return op->emitError("memory is planned for structured control flow; "
                               "this has a region of several blocks"),
                 WalkResult::interrupt();
      if (auto alloc = dyn_cast<memref::AllocOp>(op))
        if (!alloc.getType().getLayout().isIdentity() ||
            !alloc.getSymbolOperands().empty())
          return op->emitError("memory is planned for buffers of identity "
                               "layout; this is ")
                     << alloc.getType(),
                 WalkResult::interrupt();
      return WalkResult::advance();
    });
    return failure(result.wasInterrupted());
  }

  /// Removes deallocations and unused buffers, turns what outlives an iteration
  /// to scratch, and says when the rest is alive.
  SmallVector<Interval> findIntervals(func::FuncOp func) {
    SmallVector<memref::AllocOp> allocs;
    func.walk([&](Operation *op) {
      if (isa<memref::DeallocOp>(op))
        op->erase();
      else if (auto alloc = dyn_cast<memref::AllocOp>(op))
        allocs.push_back(alloc);
    });
    BufferViewFlowAnalysis flow(func);
    Numbering numbering(func);
    SmallVector<Interval> intervals;
    SmallVector<memref::AllocOp> escaping;
    for (memref::AllocOp alloc : allocs) {
      if (alloc->use_empty())
        continue;
      auto aliases = flow.resolve(alloc.getMemref());
      if (outlivesIteration(alloc, aliases)) {
        escaping.push_back(alloc);
        continue;
      }
      Interval interval;
      interval.alloc = alloc;
      interval.begin = interval.end = numbering.first(alloc);
      for (Value alias : aliases)
        for (Operation *user : alias.getUsers())
          extend(interval, user, numbering);
      intervals.push_back(interval);
    }
    for (memref::AllocOp alloc : allocs)
      if (alloc->use_empty())
        alloc->erase();
    for (memref::AllocOp alloc : escaping)
      makeScratch(alloc);
    return intervals;
  }

  /// A use in a nested region keeps the buffer alive to the end of what holds
  /// that region: it may be a loop.
  static void extend(Interval &interval, Operation *user,
                     const Numbering &numbering) {
    Region *home = interval.alloc->getParentRegion();
    while (!home->isAncestor(user->getParentRegion()))
      home = home->getParentRegion();
    while (user->getParentRegion() != home)
      user = user->getParentOp();
    interval.end = std::max(interval.end, numbering.last(user));
  }

  /// True where an alias is an argument of the body, or a result, of a loop
  /// around the allocation: the next iteration would write over it.
  template <typename Aliases>
  static bool outlivesIteration(memref::AllocOp alloc, const Aliases &aliases) {
    for (Operation *parent = alloc->getParentOp(); parent;
         parent = parent->getParentOp()) {
      if (!isa<LoopLikeOpInterface>(parent))
        continue;
      for (Value alias : aliases)
        if (alias.getDefiningOp() == parent ||
            (isa<BlockArgument>(alias) &&
             alias.getParentRegion()->getParentOp() == parent))
          return true;
    }
    return false;
  }

  void makeScratch(memref::AllocOp alloc) {
    OpBuilder builder(alloc);
    auto scratch = ScratchOp::create(builder, alloc.getLoc(), alloc.getType(),
                                     alloc.getDynamicSizes());
    alloc.replaceAllUsesWith(scratch.getBuffer());
    alloc->erase();
    ++numScratch;
  }

  static int64_t aligned(int64_t bytes) {
    return llvm::alignTo(std::max<int64_t>(bytes, 1), alignment);
  }

  /// The product of the static sizes and the element's bytes; -1 where that
  /// overflows.
  static int64_t staticFactor(memref::AllocOp alloc) {
    MemRefType type = alloc.getType();
    int64_t bytes = DataLayout::closest(alloc)
                        .getTypeSize(type.getElementType())
                        .getFixedValue();
    for (int64_t size : type.getShape())
      if (!ShapedType::isDynamic(size) && llvm::MulOverflow(bytes, size, bytes))
        return -1;
    return bytes > (int64_t(1) << 56) ? -1 : bytes;
  }

  void plan(func::FuncOp func, MutableArrayRef<Interval> intervals) {
    Block &body = func.getBody().front();
    SizeCloner sizes(
        func, OpBuilder(&body, body.begin()),
        [](OpBuilder &b, BlockArgument argument, int64_t dim) -> Value {
          return memref::DimOp::create(b, argument.getLoc(), argument, dim);
        });
    SmallVector<Interval *> fixed;
    llvm::MapVector<Value, SmallVector<Interval *>>
        classes; // by the value of their bytes
    for (Interval &interval : intervals) {
      int64_t factor = staticFactor(interval.alloc);
      if (factor < 0) {
        interval.alloc.emitError("a temporary of type ")
            << interval.alloc.getType() << " is larger than memory";
        return signalPassFailure();
      }
      if (interval.alloc.getDynamicSizes().empty()) {
        interval.bytes = aligned(factor);
        fixed.push_back(&interval);
      } else if (llvm::all_of(interval.alloc.getDynamicSizes(),
                              [&](Value size) {
                                return sizes.dependsOnSizesOnly(size);
                              })) {
        classes[dynamicBytes(sizes, interval.alloc, factor)].push_back(
            &interval);
      } else {
        makeScratch(interval.alloc);
      }
    }
    if (fixed.empty() && classes.empty())
      return;
    placeAll(func, fixed, classes, sizes);
  }

  static Value constant(SizeCloner &sizes, Location loc, int64_t value) {
    return sizes.share(
        arith::ConstantIndexOp::create(sizes.getBuilder(), loc, value));
  }

  /// ((size * size * ... * factor) + 63) & -64, none of the sizes negative.
  static Value dynamicBytes(SizeCloner &sizes, memref::AllocOp alloc,
                            int64_t factor) {
    OpBuilder &b = sizes.getBuilder();
    Location loc = alloc.getLoc();
    Value bytes = constant(sizes, loc, factor);
    Value zero = constant(sizes, loc, 0);
    for (Value size : alloc.getDynamicSizes()) {
      Value positive =
          sizes.share(arith::MaxSIOp::create(b, loc, sizes.clone(size), zero));
      bytes = sizes.share(arith::MulIOp::create(b, loc, bytes, positive));
    }
    bytes = sizes.share(arith::AddIOp::create(
        b, loc, bytes, constant(sizes, loc, alignment - 1)));
    return sizes.share(
        arith::AndIOp::create(b, loc, bytes, constant(sizes, loc, -alignment)));
  }

  void placeAll(func::FuncOp func, MutableArrayRef<Interval *> fixed,
                llvm::MapVector<Value, SmallVector<Interval *>> &classes,
                SizeCloner &sizes) {
    FreeList memory;
    sweep(
        fixed, [&](Interval &i) { i.offset = memory.take(i.bytes); },
        [&](Interval &i) { memory.give(i.offset, i.bytes); });
    staticBytes += memory.extent();
    Location loc = func.getLoc();
    OpBuilder &b = sizes.getBuilder();
    Value end = constant(sizes, loc, memory.extent());
    SmallVector<std::pair<Interval *, Value>> placed;
    for (Interval *interval : fixed)
      placed.push_back({interval, constant(sizes, loc, interval->offset)});
    for (auto &[bytes, members] : classes) {
      SmallVector<Value> slots;
      SmallVector<unsigned> free;
      DenseMap<Interval *, unsigned> slotOf;
      sweep(
          members,
          [&](Interval &i) {
            if (free.empty()) {
              free.push_back(slots.size());
              slots.push_back(end);
              end = sizes.share(arith::AddIOp::create(b, loc, end, bytes));
            }
            slotOf[&i] = free.pop_back_val();
          },
          [&](Interval &i) { free.push_back(slotOf[&i]); });
      for (Interval *interval : members)
        placed.push_back({interval, slots[slotOf[interval]]});
    }
    Value arena = ArenaOp::create(
        b, loc, MemRefType::get({ShapedType::kDynamic}, b.getI8Type()), end);
    for (auto [interval, offset] : placed) {
      memref::AllocOp alloc = interval->alloc;
      OpBuilder builder(alloc);
      Value view =
          memref::ViewOp::create(builder, alloc.getLoc(), alloc.getType(),
                                 arena, offset, alloc.getDynamicSizes());
      alloc.replaceAllUsesWith(view);
      alloc->erase();
      ++numPlanned;
    }
  }
};

} // namespace
} // namespace lnn
