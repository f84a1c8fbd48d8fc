//===- SplitRows.cpp - models whose batch may be computed in parts --------===//
//
// A dimension of the arguments counts rows if row i of every result follows
// from row i of the arguments, in the same way for all i. Proven with classes
// of dimensions: two dimensions are of one class where an operation takes the
// same index into both. What reads a dimension otherwise (a reduction, a part
// of it, its index as a number) forbids its class. A class that is not
// forbidden, holds one dimension of a value at most, and none of a constant
// whose rows differ, counts rows.
//
//===----------------------------------------------------------------------===//
#include "lnn/Transforms/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/IntEqClasses.h"

using namespace mlir;

namespace lnn {
#define GEN_PASS_DEF_LNNSPLITROWSPASS
#include "lnn/Transforms/Passes.h.inc"

namespace {

RankedTensorType tensorType(Value value) {
  return dyn_cast<RankedTensorType>(value.getType());
}

/// The classes of all dimensions of a function's tensors.
class DimClasses {
public:
  explicit DimClasses(func::FuncOp func);

  struct Rows {
    unsigned leader = 0;
    int64_t size = 0;       ///< kDynamic where calls differ
    unsigned tensors = 0;   ///< of arguments and results that have it
    bool hasResult = false; ///< some result has it
  };
  /// What the dimension counts, if it counts rows.
  std::optional<Rows> rowsOf(BlockArgument argument, int64_t axis) const;
  /// The dimension of that class, or -1.
  int64_t axisOf(Value value, unsigned leader) const;
  ArrayRef<Value> allValues() const { return values; }

private:
  /// Its size must be that of the class's rows, or a multiple of it.
  struct Extent {
    unsigned node;
    OpFoldResult size;
  };

  void add(Value value);
  void addExtent(unsigned node, OpFoldResult size) {
    extents.push_back({node, size});
    if (auto value = dyn_cast<Value>(size))
      nodesOfSize[value].push_back(node);
  }
  unsigned node(Value value, int64_t axis) const {
    return first.lookup(value) + static_cast<unsigned>(axis);
  }
  void join(Value a, int64_t i, Value b, int64_t j) {
    classes.join(node(a, i), node(b, j));
  }
  void joinAll(Value a, Value b);
  void forbid(Value value, int64_t axis) {
    if (tensorType(value))
      forbidden.push_back(node(value, axis));
  }
  void forbidAll(Value value);
  void forbidAll(Operation *op);
  void visit(Operation *op);
  void visitLinalg(linalg::LinalgOp op);
  void visitSlice(OffsetSizeAndStrideOpInterface op, Value whole, Value part,
                  const llvm::SmallBitVector &dropped);
  void visitReshape(Value whole, Value flat,
                    ArrayRef<ReassociationIndices> groups);
  void visitLoop(LoopLikeOpInterface loop);
  void visitWhile(scf::WhileOp loop);
  bool mayCount(Value size, unsigned leader, unsigned depth = 0) const;
  bool isMultiple(Value size, unsigned leader, unsigned depth = 0) const;
  bool isRowsDim(Value size, unsigned leader) const;

  func::FuncOp func;
  SmallVector<Value> values;
  DenseMap<Value, unsigned> first; ///< the node of dimension 0
  unsigned nodes = 0;
  llvm::IntEqClasses classes;
  SmallVector<unsigned> forbidden;
  SmallVector<Extent> extents;
  DenseMap<Value, SmallVector<unsigned>> nodesOfSize; ///< of `extents`
  SmallVector<unsigned> exact;    ///< read whole if their size is the rows'
  SmallVector<unsigned> products; ///< may be several times the rows
  SmallVector<tensor::DimOp> dims;
};

void DimClasses::add(Value value) {
  auto type = tensorType(value);
  if (!type)
    return;
  values.push_back(value);
  first[value] = nodes;
  nodes += type.getRank();
}

void DimClasses::joinAll(Value a, Value b) {
  auto typeA = tensorType(a), typeB = tensorType(b);
  if (!typeA || !typeB)
    return;
  if (typeA.getRank() != typeB.getRank())
    return forbidAll(a), forbidAll(b);
  for (int64_t i = 0; i < typeA.getRank(); ++i)
    join(a, i, b, i);
}

void DimClasses::forbidAll(Value value) {
  if (auto type = tensorType(value))
    for (int64_t i = 0; i < type.getRank(); ++i)
      forbid(value, i);
}

void DimClasses::forbidAll(Operation *op) {
  for (Value operand : op->getOperands())
    forbidAll(operand);
  for (Value result : op->getResults())
    forbidAll(result);
  for (Region &region : op->getRegions())
    for (Block &block : region)
      for (Value argument : block.getArguments())
        forbidAll(argument);
}

DimClasses::DimClasses(func::FuncOp func) : func(func) {
  func.walk([&](Operation *op) {
    for (Value result : op->getResults())
      add(result);
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Value argument : block.getArguments())
          add(argument);
  });
  classes.grow(nodes);
  func.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (auto structured = dyn_cast<linalg::LinalgOp>(op)) {
      visitLinalg(structured);
      return WalkResult::skip();
    }
    visit(op);
    return WalkResult::advance();
  });
}

/// Iterations along a parallel dimension are independent. The body may know
/// which one it is only to read that row of another tensor.
void DimClasses::visitLinalg(linalg::LinalgOp op) {
  unsigned loops = op.getNumLoops();
  SmallVector<bool> mixed(loops, false);
  for (auto [k, type] : llvm::enumerate(op.getIteratorTypesArray()))
    mixed[k] = type != utils::IteratorType::parallel;
  // What several iterations write is the last one's.
  for (OpOperand &init : op.getDpsInitsMutable()) {
    AffineMap map = op.getMatchingIndexingMap(&init);
    for (unsigned k = 0; k < loops; ++k)
      mixed[k] |= !map.getResultPosition(getAffineDimExpr(k, op.getContext()))
                       .has_value();
  }
  SmallVector<std::pair<unsigned, unsigned>> reads; ///< loop and dimension
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  op->getRegion(0).walk([&](Operation *inner) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      mixed[index.getDim()] =
          mixed[index.getDim()] ||
          !llvm::all_of(inner->getUsers(), llvm::IsaPred<tensor::ExtractOp>);
    } else if (auto extract = dyn_cast<tensor::ExtractOp>(inner)) {
      for (auto [i, at] : llvm::enumerate(extract.getIndices()))
        if (auto index = at.getDefiningOp<linalg::IndexOp>();
            index && extract.getTensor().getType().getDimSize(i) ==
                         ranges[index.getDim()])
          reads.push_back({index.getDim(), node(extract.getTensor(), i)});
        else
          forbid(extract.getTensor(), i);
    } else {
      forbidAll(inner);
    }
  });
  SmallVector<std::optional<unsigned>> nodeOf(loops);
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = tensorType(operand.get());
    if (!type)
      continue;
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [i, expr] : llvm::enumerate(map.getResults())) {
      if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
        std::optional<unsigned> &known = nodeOf[dim.getPosition()];
        unsigned own = node(operand.get(), i);
        if (known)
          classes.join(*known, own);
        known = own;
        continue;
      }
      if (!isa<AffineConstantExpr>(expr) || type.getDimSize(i) != 1)
        forbid(operand.get(), i);
      expr.walk([&](AffineExpr part) {
        if (auto dim = dyn_cast<AffineDimExpr>(part))
          mixed[dim.getPosition()] = true;
      });
    }
  }
  for (auto [k, read] : reads) {
    if (nodeOf[k])
      classes.join(*nodeOf[k], read);
    nodeOf[k] = read;
    if (ShapedType::isDynamic(ranges[k]))
      exact.push_back(read);
  }
  for (auto [k, known] : llvm::enumerate(nodeOf))
    if (known && mixed[k])
      forbidden.push_back(*known);
  for (auto [i, result] : llvm::enumerate(op->getResults()))
    joinAll(op.getDpsInitOperand(i)->get(), result);
}

/// A dimension is read whole or not at all.
void DimClasses::visitSlice(OffsetSizeAndStrideOpInterface op, Value whole,
                            Value part, const llvm::SmallBitVector &dropped) {
  auto type = tensorType(whole);
  SmallVector<OpFoldResult> offsets = op.getMixedOffsets(),
                            sizes = op.getMixedSizes(),
                            strides = op.getMixedStrides();
  for (int64_t i = 0, kept = 0; i < type.getRank(); ++i) {
    bool isDropped = dropped.test(i);
    int64_t axis = isDropped ? -1 : kept++;
    std::optional<int64_t> size = getConstantIntValue(sizes[i]);
    bool all = isConstantIntValue(offsets[i], 0) &&
               isConstantIntValue(strides[i], 1) && !isDropped &&
               (type.isDynamicDim(i) ? !size : size == type.getDimSize(i));
    addExtent(node(whole, i), sizes[i]);
    if (!all) {
      if (!isDropped || type.getDimSize(i) != 1)
        forbid(whole, i);
      if (!isDropped)
        forbid(part, axis);
      continue;
    }
    join(whole, i, part, axis);
    if (!size)
      exact.push_back(node(whole, i));
  }
}

/// The first dimension of a group, but for ones, is the flat one's: a row's
/// elements lie side by side.
void DimClasses::visitReshape(Value whole, Value flat,
                              ArrayRef<ReassociationIndices> groups) {
  auto type = tensorType(whole);
  for (auto [f, group] : llvm::enumerate(groups)) {
    bool found = false;
    for (int64_t i : group) {
      bool isOne = type.getDimSize(i) == 1;
      if (found || isOne)
        forbid(whole, i);
      else
        join(whole, i, flat, f);
      if (found && !isOne)
        products.push_back(node(flat, f));
      found |= !isOne;
    }
    if (!found)
      forbid(flat, f);
  }
}

void DimClasses::visitLoop(LoopLikeOpInterface loop) {
  for (BlockArgument argument : loop.getRegionIterArgs()) {
    joinAll(loop.getTiedLoopInit(argument)->get(), argument);
    joinAll(loop.getTiedLoopYieldedValue(argument)->get(), argument);
    joinAll(loop.getTiedLoopResult(argument), argument);
  }
}

void DimClasses::visitWhile(scf::WhileOp loop) {
  for (auto [i, argument] : llvm::enumerate(loop.getBeforeArguments())) {
    joinAll(loop.getInits()[i], argument);
    joinAll(loop.getYieldOp()->getOperand(i), argument);
  }
  for (auto [i, value] : llvm::enumerate(loop.getConditionOp().getArgs())) {
    joinAll(value, loop.getAfterArguments()[i]);
    joinAll(value, loop.getResult(i));
  }
}

void DimClasses::visit(Operation *op) {
  auto addExtents = [&](Value value, ArrayRef<OpFoldResult> sizes) {
    for (auto [i, size] : llvm::enumerate(sizes))
      addExtent(node(value, i), size);
  };
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    if (dim.getConstantIndex() && tensorType(dim.getSource()))
      dims.push_back(dim);
    else
      forbidAll(op);
  } else if (auto empty = dyn_cast<tensor::EmptyOp>(op)) {
    addExtents(empty, empty.getMixedSizes());
  } else if (auto alloc = dyn_cast<bufferization::AllocTensorOp>(op)) {
    if (alloc.getCopy())
      return joinAll(alloc.getCopy(), alloc.getResult());
    unsigned next = 0;
    for (int64_t i = 0; i < alloc.getType().getRank(); ++i)
      if (alloc.isDynamicDim(i))
        addExtent(node(alloc.getResult(), i), alloc.getDynamicSizes()[next++]);
  } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    visitSlice(slice, slice.getSource(), slice.getResult(),
               slice.getDroppedDims());
  } else if (auto slice = dyn_cast<tensor::InsertSliceOp>(op)) {
    visitSlice(slice, slice.getDest(), slice.getSource(),
               slice.getDroppedDims());
    joinAll(slice.getDest(), slice.getResult());
  } else if (auto reshape = dyn_cast<tensor::ExpandShapeOp>(op)) {
    visitReshape(reshape.getResult(), reshape.getSrc(),
                 reshape.getReassociationIndices());
    addExtents(reshape.getResult(), reshape.getMixedOutputShape());
  } else if (auto reshape = dyn_cast<tensor::CollapseShapeOp>(op)) {
    visitReshape(reshape.getSrc(), reshape.getResult(),
                 reshape.getReassociationIndices());
  } else if (auto cast = dyn_cast<tensor::CastOp>(op);
             cast && tensorType(cast.getSource()) &&
             tensorType(cast.getResult())) {
    joinAll(cast.getSource(), cast.getResult());
  } else if (auto loop = dyn_cast<scf::ForOp>(op)) {
    visitLoop(loop);
  } else if (auto loop = dyn_cast<scf::WhileOp>(op)) {
    visitWhile(loop);
  } else if (auto branch = dyn_cast<scf::IfOp>(op)) {
    for (auto [i, result] : llvm::enumerate(branch.getResults())) {
      joinAll(branch.thenYield().getOperand(i), result);
      joinAll(branch.elseYield().getOperand(i), result);
    }
  } else if (!isa<scf::YieldOp, scf::ConditionOp, func::ReturnOp,
                  arith::ConstantOp>(op)) {
    forbidAll(op);
  }
}

int64_t DimClasses::axisOf(Value value, unsigned leader) const {
  auto type = tensorType(value);
  for (int64_t i = 0; type && i < type.getRank(); ++i)
    if (classes.findLeader(node(value, i)) == leader)
      return i;
  return -1;
}

/// Whether this value is the number of rows, as the function reads it.
bool DimClasses::isRowsDim(Value size, unsigned leader) const {
  auto dim = size.getDefiningOp<tensor::DimOp>();
  return dim && dim.getConstantIndex() && isa<BlockArgument>(dim.getSource()) &&
         cast<BlockArgument>(dim.getSource()).getOwner() ==
             &func->getRegion(0).front() &&
         classes.findLeader(node(dim.getSource(), *dim.getConstantIndex())) ==
             leader;
}

bool DimClasses::isMultiple(Value size, unsigned leader, unsigned depth) const {
  if (isRowsDim(size, leader))
    return true;
  auto product = size.getDefiningOp<arith::MulIOp>();
  return product && depth < 8 &&
         (isMultiple(product.getLhs(), leader, depth + 1) ||
          isMultiple(product.getRhs(), leader, depth + 1));
}

/// What a size that depends on how many rows there are may be used for: as the
/// size of rows, and in checks, which the whole call has passed.
bool DimClasses::mayCount(Value size, unsigned leader, unsigned depth) const {
  auto found = nodesOfSize.find(size);
  bool isSize = found != nodesOfSize.end();
  if (depth > 16 || (isSize && llvm::any_of(found->second, [&](unsigned n) {
                       return classes.findLeader(n) != leader;
                     })))
    return false;
  return llvm::all_of(size.getUsers(), [&](Operation *user) {
    if (isa<CheckOp>(user))
      return true;
    if (isa<arith::MulIOp, arith::CmpIOp, arith::AndIOp, arith::OrIOp>(user))
      return mayCount(user->getResult(0), leader, depth + 1);
    if (auto slice = dyn_cast<OffsetSizeAndStrideOpInterface>(user))
      return isSize &&
             isa<tensor::ExtractSliceOp, tensor::InsertSliceOp>(user) &&
             !llvm::is_contained(slice.getOffsets(), size) &&
             !llvm::is_contained(slice.getStrides(), size);
    return isSize && isa<tensor::EmptyOp, bufferization::AllocTensorOp,
                         tensor::ExpandShapeOp>(user);
  });
}

std::optional<DimClasses::Rows> DimClasses::rowsOf(BlockArgument argument,
                                                   int64_t axis) const {
  Rows rows;
  rows.leader = classes.findLeader(node(argument, axis));
  rows.size = tensorType(argument).getDimSize(axis);
  bool dynamic = ShapedType::isDynamic(rows.size);
  auto isOurs = [&](unsigned n) {
    return classes.findLeader(n) == rows.leader;
  };
  if (rows.size == 0 || llvm::any_of(forbidden, isOurs))
    return std::nullopt;
  for (Value value : values) {
    auto type = tensorType(value);
    int64_t found = axisOf(value, rows.leader);
    if (found < 0)
      continue;
    for (int64_t i = found + 1; i < type.getRank(); ++i)
      if (isOurs(node(value, i)))
        return std::nullopt;
    int64_t size = type.getDimSize(found);
    if (ShapedType::isDynamic(size) != dynamic ||
        (!dynamic && size % rows.size != 0))
      return std::nullopt;
    DenseElementsAttr elements;
    if (auto constant = value.getDefiningOp<arith::ConstantOp>();
        constant &&
        (!(elements = dyn_cast<DenseElementsAttr>(constant.getValue())) ||
         !elements.isSplat()))
      return std::nullopt;
  }
  // Where rows are several of something, a part of them may look whole.
  bool isExact = dynamic && llvm::any_of(exact, isOurs);
  if (isExact && llvm::any_of(products, isOurs))
    return std::nullopt;
  for (const Extent &extent : extents)
    if (auto size = dyn_cast<Value>(extent.size);
        dynamic && isOurs(extent.node) &&
        (!size || (isExact ? !isRowsDim(size, rows.leader)
                           : !isMultiple(size, rows.leader))))
      return std::nullopt;
  for (tensor::DimOp dim : dims)
    if (isOurs(node(dim.getSource(), *dim.getConstantIndex())) &&
        (!dynamic || !isRowsDim(dim, rows.leader) ||
         !mayCount(dim, rows.leader)))
      return std::nullopt;
  auto count = [&](Value value) {
    int64_t at = axisOf(value, rows.leader);
    rows.tensors += at >= 0;
    return at < 0 || tensorType(value).getDimSize(at) == rows.size;
  };
  for (Value input : func->getRegion(0).front().getArguments())
    if (!count(input))
      return std::nullopt;
  auto ret = cast<func::ReturnOp>(func->getRegion(0).front().getTerminator());
  for (Value output : ret.getOperands()) {
    if (!count(output))
      return std::nullopt;
    rows.hasResult |= axisOf(output, rows.leader) >= 0;
  }
  return rows;
}

/// How many rows a run of a fixed batch makes; 0: it is too small, or has no
/// such divisor. Vectors are whole in multiples of 8, and a few runs for each
/// thread even out what disturbs one of them.
int64_t chunkOf(int64_t batch, int64_t least) {
  constexpr int64_t most = 32;
  int64_t limit = std::clamp(batch / 8, 2 * least, most);
  for (int64_t multiple : {8, 4, 1})
    for (int64_t rows = limit; rows >= least; --rows)
      if (rows % multiple == 0 && batch % rows == 0 && rows < batch)
        return rows;
  return 0;
}

/// Makes what has no content of its own anew for each use: one operand for two
/// dimensions would put them into one class.
void unshare(func::FuncOp func) {
  // Fills first: each of their copies is a use of what they fill.
  SmallVector<Operation *> fills, shared;
  func.walk<WalkOrder::PreOrder>([&](Operation *op) {
    DenseElementsAttr elements;
    bool isSplat = matchPattern(op, m_Constant(&elements)) &&
                   elements.isSplat() && tensorType(op->getResult(0));
    if (isa<linalg::FillOp>(op))
      fills.push_back(op);
    else if (isSplat || isa<tensor::EmptyOp>(op))
      shared.push_back(op);
  });
  fills.append(shared);
  for (Operation *op : fills)
    while (!op->use_empty() && !op->getResult(0).hasOneUse()) {
      OpBuilder b(op);
      op->getResult(0).use_begin()->set(b.clone(*op)->getResult(0));
    }
}

/// Gives every dimension of the class `to` rows for every `from`.
void retype(func::FuncOp func, const DimClasses &classes, unsigned leader,
            int64_t from, int64_t to) {
  auto scaled = [&](RankedTensorType type, int64_t axis) {
    SmallVector<int64_t> shape(type.getShape());
    shape[axis] = shape[axis] / from * to;
    return type.clone(shape);
  };
  auto sizes = [&](Value shaped, ArrayRef<int64_t> old) {
    SmallVector<int64_t> made(old);
    if (int64_t axis = classes.axisOf(shaped, leader); axis >= 0)
      made[axis] = made[axis] / from * to;
    return made;
  };
  func.walk([&](Operation *op) {
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
      slice.setStaticSizes(sizes(slice.getSource(), slice.getStaticSizes()));
    else if (auto slice = dyn_cast<tensor::InsertSliceOp>(op))
      slice.setStaticSizes(sizes(slice.getDest(), slice.getStaticSizes()));
    else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
      expand.setStaticOutputShape(
          sizes(expand.getResult(), expand.getStaticOutputShape()));
  });
  for (Value value : classes.allValues()) {
    int64_t axis = classes.axisOf(value, leader);
    if (axis < 0)
      continue;
    RankedTensorType type = scaled(tensorType(value), axis);
    if (auto constant = value.getDefiningOp<arith::ConstantOp>())
      constant.setValueAttr(
          cast<DenseElementsAttr>(constant.getValue()).resizeSplat(type));
    value.setType(type);
  }
  auto ret = cast<func::ReturnOp>(func.getBody().front().getTerminator());
  func.setType(FunctionType::get(func.getContext(),
                                 func.getBody().front().getArgumentTypes(),
                                 ret.getOperandTypes()));
  Builder b(func.getContext());
  auto describe = [&](Type type, Attribute named) -> Attribute {
    auto names = dyn_cast_or_null<ArrayAttr>(named);
    if (!names)
      return named;
    SmallVector<Attribute> dims(names.begin(), names.end());
    for (auto [dim, size] :
         llvm::zip(dims, cast<RankedTensorType>(type).getShape()))
      if (isa<IntegerAttr>(dim))
        dim = b.getI64IntegerAttr(size);
    return b.getArrayAttr(dims);
  };
  for (unsigned i = 0; i < func.getNumArguments(); ++i)
    if (Attribute named = func.getArgAttr(i, "lnn.dims"))
      func.setArgAttr(i, "lnn.dims",
                      describe(func.getArgumentTypes()[i], named));
  for (unsigned i = 0; i < func.getNumResults(); ++i)
    if (Attribute named = func.getResultAttr(i, "lnn.dims"))
      func.setResultAttr(i, "lnn.dims",
                         describe(func.getResultTypes()[i], named));
}

struct SplitRowsPass : impl::LnnSplitRowsPassBase<SplitRowsPass> {
  using LnnSplitRowsPassBase::LnnSplitRowsPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main || main.isDeclaration() || !main.getBody().hasOneBlock() ||
        module.lookupSymbol(kRowsEntry))
      return;
    for (Type type : main.getArgumentTypes())
      if (!isa<RankedTensorType>(type))
        return;
    OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
    auto copy = cast<func::FuncOp>(b.clone(*main));
    copy.setName(kRowsEntry);
    unshare(copy);
    if (!split(module, copy))
      copy.erase();
  }

  /// False where the copy isn't wanted.
  bool split(ModuleOp module, func::FuncOp copy) {
    DimClasses classes(copy);
    std::optional<DimClasses::Rows> best;
    for (BlockArgument argument : copy.getArguments())
      for (int64_t i = 0; i < tensorType(argument).getRank(); ++i) {
        auto rows = classes.rowsOf(argument, i);
        if (!rows || !rows->hasResult ||
            (best && rows->tensors <= best->tensors) ||
            (!ShapedType::isDynamic(rows->size) &&
             !chunkOf(rows->size, fewest)))
          continue;
        best = rows;
      }
    if (!best)
      return false;
    bool dynamic = ShapedType::isDynamic(best->size);
    int64_t chunk = dynamic ? 0 : chunkOf(best->size, fewest);
    SmallVector<int64_t> inputs, outputs;
    for (Value argument : copy.getArguments())
      inputs.push_back(classes.axisOf(argument, best->leader));
    auto ret = cast<func::ReturnOp>(copy.getBody().front().getTerminator());
    for (Value output : ret.getOperands())
      outputs.push_back(classes.axisOf(output, best->leader));
    if (!dynamic) {
      retype(copy, classes, best->leader, best->size, chunk);
      ScopedDiagnosticHandler quiet(module.getContext(),
                                    [](Diagnostic &) { return success(); });
      if (failed(verify(copy)))
        return false;
    }
    Builder b(module.getContext());
    module->setAttr(
        "lnn.rows",
        b.getDictionaryAttr(
            {b.getNamedAttr("chunk", b.getI64IntegerAttr(chunk)),
             b.getNamedAttr("inputs", b.getDenseI64ArrayAttr(inputs)),
             b.getNamedAttr("outputs", b.getDenseI64ArrayAttr(outputs))}));
    return !dynamic;
  }
};

} // namespace
} // namespace lnn
