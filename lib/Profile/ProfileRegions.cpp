//===- ProfileRegions.cpp - measure the regions of a function -------------===//
#include "Work.h"
#include "lnn/Dialect/Lnn/Profile.h"
#include "lnn/Profile/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNPROFILEREGIONSPASS
#include "lnn/Profile/Passes.h.inc"

namespace {

using Names = llvm::SetVector<StringRef>;

/// Names of the nodes in a location, as the importer put them there; places in
/// a text have none.
void collectNames(Location loc, Names &names) {
  if (auto name = dyn_cast<NameLoc>(loc))
    names.insert(name.getName().getValue());
  else if (auto fused = dyn_cast<FusedLoc>(loc))
    for (Location part : fused.getLocations())
      collectNames(part, names);
  else if (auto call = dyn_cast<CallSiteLoc>(loc))
    collectNames(call.getCallee(), names);
}

/// The node that gave the operation its name, then those of its payload. Other
/// names of the operation's own location are of what it was fused from: weights
/// among them.
void collectNodes(Operation *op, Names &names) {
  Names own;
  collectNames(op->getLoc(), own);
  if (!own.empty())
    names.insert(own.front());
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    for (Operation &payload : linalgOp.getBlock()->without_terminator())
      collectNames(payload.getLoc(), names);
}

/// What an operation is to a profile.
enum class Role { None, Copy, Work, Nest };

bool hasRegions(Operation *op) {
  return isa<scf::SCFDialect>(op->getDialect()) && op->getNumRegions() != 0;
}

Role roleOf(Operation *op) {
  if (isa<memref::CopyOp, linalg::FillOp>(op))
    return Role::Copy;
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    if (generic.getBlock()->without_terminator().empty())
      return Role::Copy; // a transposition, a broadcast, a fill
  if (isa<linalg::LinalgOp>(op))
    return Role::Work;
  return hasRegions(op) ? Role::Nest : Role::None;
}

StringRef kindOf(Operation *op) {
  if (isa<scf::IfOp, scf::IndexSwitchOp>(op))
    return "if";
  if (hasRegions(op))
    return "loop";
  if (roleOf(op) == Role::Copy)
    return "copy";
  auto linalgOp = cast<linalg::LinalgOp>(op);
  return linalgOp.getNumReductionLoops() ? "sum" : "map";
}

/// Puts regions around what a function does.
class Profiler {
public:
  explicit Profiler(MLIRContext *context) : b(context) {}
  void visit(Block &block, int64_t parent);
  ArrayAttr regions() { return b.getArrayAttr(infos); }

private:
  int64_t describe(ArrayRef<Operation *> ops, int64_t parent);
  /// One region around these operations of one block, the last of which gives
  /// it its name.
  int64_t measure(ArrayRef<Operation *> ops, int64_t parent);

  OpBuilder b;
  SmallVector<Attribute> infos;
};

int64_t Profiler::describe(ArrayRef<Operation *> ops, int64_t parent) {
  Names names;
  for (Operation *op : llvm::reverse(ops))
    collectNodes(op, names);
  StringRef kind = kindOf(ops.back());
  StringRef name = names.empty() ? kind : names.front();
  infos.push_back(b.getDictionaryAttr({
      b.getNamedAttr("name", b.getStringAttr(name)),
      b.getNamedAttr("kind", b.getStringAttr(kind)),
      b.getNamedAttr("nodes", b.getStringAttr(llvm::join(names, "\n"))),
      b.getNamedAttr("parent", b.getI64IntegerAttr(parent)),
  }));
  return static_cast<int64_t>(infos.size()) - 1;
}

int64_t Profiler::measure(ArrayRef<Operation *> ops, int64_t parent) {
  int64_t number = describe(ops, parent);
  Location loc = ops.back()->getLoc();
  b.setInsertionPoint(ops.front());
  Value start = EnterRegionOp::create(b, loc, b.getI64Type());
  b.setInsertionPointAfter(ops.back());
  Work work = countWork(b, loc, ops);
  LeaveRegionOp::create(b, loc, b.getI64IntegerAttr(number), start,
                        work.operations, work.bytes);
  return number;
}

void Profiler::visit(Block &block, int64_t parent) {
  SmallVector<Operation *> pending; // copies, which belong to what follows
  auto flush = [&] {
    if (!pending.empty())
      measure(pending, parent);
    pending.clear();
  };
  SmallVector<Operation *> all;
  for (Operation &op : block.without_terminator())
    all.push_back(&op);
  for (Operation *op : all) {
    Role role = roleOf(op);
    if (role == Role::None)
      continue;
    if (role == Role::Nest)
      flush();
    pending.push_back(op);
    if (role == Role::Copy)
      continue;
    int64_t number = measure(pending, parent);
    pending.clear();
    if (role == Role::Nest)
      for (Region &region : op->getRegions())
        for (Block &nested : region)
          visit(nested, number);
  }
  flush();
}

struct ProfileRegionsPass
    : impl::LnnProfileRegionsPassBase<ProfileRegionsPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isDeclaration())
      return;
    Profiler profiler(&getContext());
    for (Block &block : function.getBody())
      profiler.visit(block, -1);
    function->setAttr("lnn.regions", profiler.regions());
  }
};

} // namespace
} // namespace lnn
