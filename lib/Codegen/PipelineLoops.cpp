//===- PipelineLoops.cpp - iterations that overlap ------------------------===//
//
// Software pipelining: an innermost loop whose iteration is a long chain begins
// the next iterations before the first has ended, in the program's order, so
// that a processor need not look ahead for them. The order is that of a modulo
// schedule: operations begin as soon as their operands are there and the cycle,
// counted modulo the interval between two iterations, is not taken yet. The
// interval is the shortest for which there are enough registers.
//
//===----------------------------------------------------------------------===//
#include "OpCosts.h"

#include "lnn/Codegen/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNPIPELINELOOPSPASS
#include "lnn/Codegen/Passes.h.inc"

/// Loops with more operations are left: their iterations fill what a processor
/// looks ahead, and searching a schedule takes time.
constexpr size_t mostOps = 512;

namespace {
class ModuloSchedule {
public:
  ModuloSchedule(scf::ForOp loop, int64_t registers);
  /// Finds a schedule; false where there is none, or none that is worth it.
  bool find();
  std::vector<std::pair<Operation *, unsigned>> stages();
  unsigned numStages() const { return most + 1; }

private:
  bool place(int64_t interval);
  void delay(int64_t interval);
  void placeFree();
  void sort(int64_t interval);
  bool keepsOrderOfCarried();
  bool hasRegisters();

  scf::ForOp loop;
  int64_t registers;
  SmallVector<Operation *> ops;
  llvm::DenseMap<Operation *, unsigned> numbers;
  SmallVector<SmallVector<unsigned, 2>> operands, users;
  SmallVector<int64_t> height; ///< cycles from an operation's start to the end
  SmallVector<int64_t> time;   ///< when it begins; before all: free, unplaced
  SmallVector<int64_t> begun;  ///< operations in a cycle of the interval
  /// In the loop's order, and how many orders of the loop after the first.
  SmallVector<unsigned> order, position, stage;
  unsigned most = 0;
  static constexpr int64_t unplaced = -1;
};
} // namespace

ModuloSchedule::ModuloSchedule(scf::ForOp loop, int64_t registers)
    : loop(loop), registers(registers) {
  for (Operation &op : loop.getBody()->without_terminator()) {
    numbers[&op] = ops.size();
    ops.push_back(&op);
  }
  operands.resize(ops.size());
  users.resize(ops.size());
  for (auto [i, op] : llvm::enumerate(ops))
    for (Value operand : op->getOperands()) {
      auto found = numbers.find(operand.getDefiningOp());
      if (found == numbers.end() ||
          llvm::is_contained(operands[i], found->second))
        continue;
      operands[i].push_back(found->second);
      users[found->second].push_back(i);
    }
  height.resize(ops.size());
  for (size_t i = ops.size(); i-- > 0;) {
    for (unsigned user : users[i])
      height[i] = std::max(height[i], height[user]);
    height[i] += latencyOf(*ops[i]);
  }
}

/// Gives every operation its time, those that delay most first.
bool ModuloSchedule::place(int64_t interval) {
  time.assign(ops.size(), unplaced);
  begun.assign(interval, 0);
  SmallVector<int64_t> there(ops.size(), 0); // when results can be used
  SmallVector<unsigned> waitsFor, ready;
  for (auto [i, read] : llvm::enumerate(operands)) {
    waitsFor.push_back(read.size());
    if (read.empty())
      ready.push_back(i);
  }
  while (!ready.empty()) {
    auto *next = llvm::max_element(ready, [&](unsigned a, unsigned b) {
      return std::pair(height[a], -int64_t(a)) <
             std::pair(height[b], -int64_t(b));
    });
    unsigned i = *next;
    ready.erase(next);
    for (unsigned user : users[i])
      if (--waitsFor[user] == 0)
        ready.push_back(user);
    int64_t start = 0;
    for (unsigned operand : operands[i])
      start = std::max(start, there[operand]);
    there[i] = start;
    if (isFree(*ops[i]))
      continue;
    int64_t at = start;
    while (begun[at % interval] == issueWidth)
      if (++at - start == interval)
        return false;
    ++begun[at % interval];
    time[i] = at;
    there[i] = at + latencyOf(*ops[i]);
  }
  return true;
}

/// Begins later what no other value waits for in a register, or what is itself
/// in one for longer than an interval.
void ModuloSchedule::delay(int64_t interval) {
  SmallVector<unsigned> latestFirst;
  for (size_t i = 0; i < ops.size(); ++i)
    if (time[i] != unplaced && !users[i].empty())
      latestFirst.push_back(i);
  llvm::stable_sort(latestFirst,
                    [&](unsigned a, unsigned b) { return time[a] > time[b]; });
  for (unsigned i : latestFirst) {
    int64_t first = std::numeric_limits<int64_t>::max(), last = 0;
    bool direct = true;
    for (unsigned user : users[i]) {
      direct &= time[user] != unplaced;
      first = std::min(first, time[user]);
      last = std::max(last, time[user]);
    }
    auto keepsOperand = [&](unsigned operand) {
      return keepsRegister(*ops[operand]) &&
             llvm::all_of(users[operand],
                          [&](unsigned user) { return time[user] <= time[i]; });
    };
    int64_t kept = llvm::count_if(operands[i], keepsOperand);
    if (!direct || kept > 1)
      continue;
    int64_t from = time[i], to = first - latencyOf(*ops[i]);
    if (kept == 1)
      to = last - from < interval ? from : std::min(to, last - interval + 1);
    for (; to > from && begun[to % interval] == issueWidth; --to)
      ;
    if (to <= from)
      continue;
    --begun[from % interval];
    ++begun[to % interval];
    time[i] = to;
  }
}

/// What is free stands where it is first needed.
void ModuloSchedule::placeFree() {
  for (size_t i = ops.size(); i-- > 0;) {
    if (time[i] != unplaced)
      continue;
    int64_t first = std::numeric_limits<int64_t>::max();
    for (unsigned user : users[i])
      first = std::min(first, time[user]);
    time[i] = users[i].empty() ? 0 : first;
  }
}

void ModuloSchedule::sort(int64_t interval) {
  order.resize(ops.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::stable_sort(order, [&](unsigned a, unsigned b) {
    return std::pair(time[a] % interval, -time[a]) <
           std::pair(time[b] % interval, -time[b]);
  });
  position.resize(ops.size());
  stage.resize(ops.size());
  most = 0;
  for (auto [at, i] : llvm::enumerate(order)) {
    position[i] = at;
    stage[i] = time[i] / interval;
    most = std::max(most, stage[i]);
  }
}

/// What an iteration hands to the next is there in time.
bool ModuloSchedule::keepsOrderOfCarried() {
  for (auto [arg, next] :
       llvm::zip(loop.getRegionIterArgs(), loop.getYieldedValues())) {
    auto found = numbers.find(next.getDefiningOp());
    if (found == numbers.end())
      return false;
    unsigned writer = found->second;
    for (Operation *user : arg.getUsers()) {
      auto reader = numbers.find(user);
      // Not the loop's end, which would hand on the last but one.
      if (reader == numbers.end() || stage[reader->second] != stage[writer] ||
          position[reader->second] > position[writer])
        return false;
    }
  }
  return true;
}

bool ModuloSchedule::hasRegisters() {
  int64_t length = ops.size();
  int64_t always = registersFromOutside(ops, registers / 2);
  SmallVector<int64_t> live(length, always);
  for (size_t i = 0; i < ops.size(); ++i) {
    int64_t from = stage[i] * length + position[i], to = from;
    bool stages = false;
    for (unsigned user : users[i]) {
      to = std::max<int64_t>(to, stage[user] * length + position[user]);
      stages |= stage[user] != stage[i];
    }
    // It would have to move to another register before it is computed again.
    if (stages && to - from >= length)
      return false;
    if (!keepsRegister(*ops[i]) &&
        !(stages && isVectorLike(ops[i]->getResult(0))))
      continue;
    // An accumulator's next value takes its place.
    if (llvm::any_of(ops[i]->getUsers(), [&](Operation *user) {
          return user == loop.getBody()->getTerminator();
        }))
      continue;
    for (int64_t at = from; at < to; ++at)
      if (++live[at % length] > registers)
        return false;
  }
  return true;
}

bool ModuloSchedule::find() {
  if (ops.size() > mostOps)
    return false;
  int64_t work =
      llvm::count_if(ops, [](Operation *op) { return !isFree(*op); });
  int64_t longest = ops.empty() ? 0 : *llvm::max_element(height);
  int64_t least = llvm::divideCeil(work, issueWidth);
  // Of short iterations a processor sees the next ones itself.
  constexpr int64_t little = 8;
  if (longest < shortChain || work < little)
    return false;
  // Less than two at a time are not worth their registers.
  for (int64_t interval = least; interval <= longest / 2; ++interval) {
    if (!place(interval))
      continue;
    delay(interval);
    placeFree();
    sort(interval);
    if (most > 0 && keepsOrderOfCarried() && hasRegisters())
      return true;
  }
  return false;
}

std::vector<std::pair<Operation *, unsigned>> ModuloSchedule::stages() {
  std::vector<std::pair<Operation *, unsigned>> result;
  for (unsigned i : order)
    result.emplace_back(ops[i], stage[i]);
  return result;
}

/// True for a loop that only computes its results, the same number of times.
static bool isCandidate(scf::ForOp loop) {
  return loop.getNumResults() != 0 &&
         llvm::all_of(loop.getBody()->without_terminator(), canMove) &&
         llvm::all_of(loop.getRegionIterArgs(),
                      [](Value arg) { return isVectorLike(arg); });
}

namespace {
struct LnnPipelineLoopsPass
    : impl::LnnPipelineLoopsPassBase<LnnPipelineLoopsPass> {
  using LnnPipelineLoopsPassBase::LnnPipelineLoopsPassBase;

  void runOnOperation() override {
    SmallVector<scf::ForOp> loops;
    getOperation()->walk([&](scf::ForOp loop) {
      if (isCandidate(loop))
        loops.push_back(loop);
    });
    IRRewriter rewriter(&getContext());
    for (scf::ForOp loop : loops) {
      std::optional<APInt> trips = loop.getStaticTripCount();
      ModuloSchedule schedule(loop, registers);
      // Beginning and end of the overlap are to be the exception.
      if (!trips || !schedule.find() || trips->ult(2 * schedule.numStages()))
        continue;
      scf::PipeliningOption options;
      options.getScheduleFn =
          [&](scf::ForOp, std::vector<std::pair<Operation *, unsigned>> &to) {
            to = schedule.stages();
          };
      rewriter.setInsertionPoint(loop);
      if (succeeded(scf::pipelineForLoop(rewriter, loop, options)))
        ++numPipelined;
    }
  }
};
} // namespace
} // namespace lnn
