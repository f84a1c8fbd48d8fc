//===- ScheduleChains.cpp - independent chains of operations side by side -===//
//
// An elementary function is a chain of a dozen operations that wait for each
// other. A processor looks ahead some hundred operations only: where one chain
// stands behind the other, it waits. Straight code is put in the order in which
// a machine would begin its operations that has all of it to choose from, two
// at a time, the longest chain first, as far as registers reach.
//
//===----------------------------------------------------------------------===//
#include "OpCosts.h"

#include "lnn/Codegen/Passes.h"
#include "llvm/ADT/BitVector.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNSCHEDULECHAINSPASS
#include "lnn/Codegen/Passes.h.inc"

/// So many of the operations that are left, in the order they came in, are
/// looked at: a bound on time, and on how far values are kept.
constexpr size_t window = 256;

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
    nodes[i].keeps = keepsRegister(*op);
  }
  live = registersFromOutside(ops, registers / 4);
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
  return longest >= shortChain && work > issueWidth;
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
    if (!definition && isVectorLike(operand) && operand.hasOneUse())
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
    if (!isFree(*ops[*next]) && ++begun == issueWidth)
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
