//===- ScheduleChains.cpp - independent chains of operations side by side -===//
//
// An elementary function is a chain of a dozen operations that wait for each
// other. A processor looks ahead some hundred operations only: where one chain
// stands behind the other, it waits. Straight code is put in the order in which
// a machine would begin its operations that has all of it to choose from, two
// at a time, the longest chain first, as far as registers reach.
//
//===----------------------------------------------------------------------===//
#include "lnn/Codegen/Passes.h"

#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNSCHEDULECHAINSPASS
#include "lnn/Codegen/Passes.h.inc"

/// Operations that begin in one cycle.
constexpr int64_t width = 2;
/// So many of the operations that are left, in the order they came in, are
/// looked at: a bound on time, and on how far values are kept.
constexpr size_t window = 256;

static bool isVector(Value value) {
  return isa<VectorType>(value.getType()) || isa<FloatType>(value.getType());
}

/// Intrinsics that compute and nothing else.
static bool isArithmetic(LLVM::CallIntrinsicOp op) {
  return op.getIntrin().starts_with("llvm.x86.avx512.mask.") ||
         op.getIntrin().starts_with("llvm.x86.avx512.vpdpbusd.") ||
         op.getIntrin().starts_with("llvm.x86.avx512bf16.");
}

static bool canMove(Operation &op) {
  if (op.getNumRegions() != 0)
    return false;
  if (auto intrinsic = dyn_cast<LLVM::CallIntrinsicOp>(op))
    return isArithmetic(intrinsic);
  return isMemoryEffectFree(&op) || hasSingleEffect<MemoryEffects::Read>(&op);
}

/// Cycles until a result can be used.
static int64_t latencyOf(Operation &op) {
  if (op.getNumResults() == 0 || !isVector(op.getResult(0)))
    return 0;
  return llvm::TypeSwitch<Operation *, int64_t>(&op)
      .Case<arith::DivFOp, math::SqrtOp>([](auto) { return 16; })
      .Case<arith::ConstantOp>([](auto) { return 0; })
      .Case<arith::AndIOp, arith::OrIOp, arith::XOrIOp, arith::AddIOp,
            arith::SubIOp, arith::ShLIOp, arith::ShRUIOp, arith::ShRSIOp,
            arith::SelectOp, arith::NegFOp>([](auto) { return 1; })
      .Case<arith::BitcastOp>([](auto) { return 0; })
      .Default([](auto) { return 4; });
}

/// What a processor does in no time, or beside the arithmetic: addresses, loads
/// that become operands.
static bool isFree(Operation &op) {
  return op.getNumResults() == 0 || !isVector(op.getResult(0)) ||
         isa<arith::ConstantOp, arith::BitcastOp, vector::BroadcastOp,
             LLVM::ConstantOp>(op) ||
         hasSingleEffect<MemoryEffects::Read>(&op);
}

namespace {
/// A run of operations that may change places.
class Segment {
public:
  Segment(ArrayRef<Operation *> ops, int64_t registers)
      : ops(ops), registers(registers) {}
  /// True where the order changed.
  bool schedule();

private:
  struct Node {
    SmallVector<unsigned, 2> users;
    unsigned waitsFor = 0; ///< operands not computed yet
    unsigned uses = 0;     ///< of its result, not computed yet
    int64_t height = 0;    ///< cycles from its start to the end of all
    int64_t ready = 0;     ///< the cycle from which its operands are there
    bool keeps = false;    ///< its result is in a register until its last use
  };
  void build();
  std::optional<unsigned> choose(size_t first);
  bool isBoundByLatency() const;
  int64_t pressureOf(unsigned i) const;
  void place(unsigned i);

  ArrayRef<Operation *> ops;
  int64_t registers, live = 0, cycle = 0, begun = 0;
  SmallVector<Node> nodes;
  llvm::DenseMap<Operation *, unsigned> numbers;
  SmallVector<Operation *> order;
  llvm::BitVector placed;
};
} // namespace

void Segment::build() {
  nodes.resize(ops.size());
  for (auto [i, op] : llvm::enumerate(ops))
    numbers[op] = i;
  for (auto [i, op] : llvm::enumerate(ops)) {
    for (Value operand :
         llvm::SmallDenseSet<Value>(op->operand_begin(), op->operand_end())) {
      auto found = operand.getDefiningOp()
                       ? numbers.find(operand.getDefiningOp())
                       : numbers.end();
      if (found == numbers.end())
        continue;
      nodes[found->second].users.push_back(i);
      ++nodes[i].waitsFor;
    }
    for (Value result : op->getResults())
      nodes[i].keeps |= isVector(result) && !isa<arith::ConstantOp>(op) &&
                        !hasSingleEffect<MemoryEffects::Read>(op);
  }
  // What comes from outside is in registers all the time, constants as far as
  // they do not take too many.
  llvm::SmallDenseSet<Value> outside, constants;
  for (Operation *op : ops)
    for (Value operand : op->getOperands()) {
      if (!isVector(operand) || (operand.getDefiningOp() &&
                                 numbers.contains(operand.getDefiningOp())))
        continue;
      (matchPattern(operand, m_Constant()) ? constants : outside)
          .insert(operand);
    }
  live = outside.size() + std::min<int64_t>(constants.size(), registers / 4);
  for (size_t i = ops.size(); i-- > 0;) {
    nodes[i].uses = nodes[i].users.size();
    for (unsigned user : nodes[i].users)
      nodes[i].height = std::max(nodes[i].height, nodes[user].height);
    nodes[i].height += latencyOf(*ops[i]);
  }
}

/// True where waiting for results takes longer than all the work.
bool Segment::isBoundByLatency() const {
  int64_t work = 0, longest = 0;
  for (auto [node, op] : llvm::zip(nodes, ops)) {
    work += !isFree(*op);
    longest = std::max(longest, node.height);
  }
  constexpr int64_t chain = 24; // shorter ones overlap as they are
  return longest >= chain && work > width;
}

/// By how many registers more are in use once `i` has been computed.
int64_t Segment::pressureOf(unsigned i) const {
  int64_t change = nodes[i].keeps && nodes[i].uses > 0;
  llvm::SmallDenseSet<Operation *> seen;
  for (Value operand : ops[i]->getOperands()) {
    Operation *definition = operand.getDefiningOp();
    auto found = definition ? numbers.find(definition) : numbers.end();
    if (found != numbers.end() && seen.insert(definition).second &&
        nodes[found->second].keeps && nodes[found->second].uses == 1)
      --change;
    // An accumulator's next value takes its place.
    if (!definition && isVector(operand) && operand.hasOneUse())
      --change;
  }
  return change;
}

void Segment::place(unsigned i) {
  live += pressureOf(i);
  order.push_back(ops[i]);
  placed.set(i);
  llvm::SmallDenseSet<Operation *> seen;
  for (Value operand : ops[i]->getOperands()) {
    Operation *definition = operand.getDefiningOp();
    auto found = definition ? numbers.find(definition) : numbers.end();
    if (found != numbers.end() && seen.insert(definition).second)
      --nodes[found->second].uses;
  }
  for (unsigned user : nodes[i].users) {
    --nodes[user].waitsFor;
    nodes[user].ready = std::max(nodes[user].ready, cycle + latencyOf(*ops[i]));
  }
}

/// The operation to begin with now; none where all those that could wait for an
/// operand: `cycle` is then when the first has it.
std::optional<unsigned> Segment::choose(size_t first) {
  std::optional<unsigned> best, fallback;
  int64_t soonest = std::numeric_limits<int64_t>::max();
  size_t seen = 0;
  for (size_t i = first; i < ops.size() && seen < window; ++i) {
    if (placed.test(i))
      continue;
    ++seen;
    const Node &node = nodes[i];
    if (node.waitsFor != 0)
      continue;
    if (!fallback)
      fallback = i;
    int64_t change = pressureOf(i);
    if (change > 0 && live + change > registers)
      continue;
    soonest = std::min(soonest, node.ready);
    if (node.ready <= cycle && (!best || node.height > nodes[*best].height))
      best = i;
  }
  if (best)
    return best;
  // Where no register is left: the order that it came in, which ends a chain.
  if (soonest == std::numeric_limits<int64_t>::max())
    return fallback;
  cycle = soonest;
  begun = 0;
  return std::nullopt;
}

bool Segment::schedule() {
  build();
  if (!isBoundByLatency())
    return false;
  placed.resize(ops.size());
  Operation *end = ops.back()->getNextNode();
  for (size_t first = 0; order.size() < ops.size();) {
    while (placed.test(first))
      ++first;
    std::optional<unsigned> next = choose(first);
    if (!next)
      continue;
    place(*next);
    if (!isFree(*ops[*next]) && ++begun == width)
      ++cycle, begun = 0;
  }
  if (llvm::equal(order, ops))
    return false;
  for (Operation *op : order)
    op->moveBefore(end);
  return true;
}

namespace {
struct LnnScheduleChainsPass
    : impl::LnnScheduleChainsPassBase<LnnScheduleChainsPass> {
  using LnnScheduleChainsPassBase::LnnScheduleChainsPassBase;

  void runOnOperation() override {
    getOperation()->walk([&](Block *block) {
      SmallVector<Operation *> run;
      auto end = [&] {
        if (run.size() > 1 && Segment(run, registers).schedule())
          ++numScheduled;
        run.clear();
      };
      for (Operation &op : llvm::make_early_inc_range(*block)) {
        if (canMove(op) && !op.hasTrait<OpTrait::IsTerminator>())
          run.push_back(&op);
        else
          end();
      }
      end();
    });
  }
};
} // namespace
} // namespace lnn
