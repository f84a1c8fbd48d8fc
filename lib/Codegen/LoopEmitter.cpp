//===- LoopEmitter.cpp - loops over vectors for one linalg.generic --------===//
//
// Loops: outer parallel ones, then blocks of vectors, then parallel ones that
// share what the block reads, then blocks of rows, then the reductions with the
// accumulators as carried values. Every input is loaded
// at the outermost reduction loop that it does not vary in; the block's inputs
// are all loaded before its outputs are stored, so an output that is an input's
// buffer, read at the same index, is safe.
//
//===----------------------------------------------------------------------===//
#include "LoopEmitter.h"

#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Transforms/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace lnn {

LoopEmitter::LoopEmitter(linalg::GenericOp op, const LoopPlan &plan,
                         OpBuilder &builder)
    : op(op), plan(plan), b(op.getLoc(), builder), body(op.getRegion().front()),
      ivs(op.getNumLoops()) {
  if (plan.vectorDim)
    varying = varyingValues(op, *plan.vectorDim);
}

Value LoopEmitter::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, value);
}

Value LoopEmitter::extent(unsigned dim) {
  return getValueOrCreateConstantIndexOp(b, b.getLoc(), ranges[dim].size);
}

Value LoopEmitter::add(Value a, int64_t offset) {
  if (offset == 0)
    return a;
  if (std::optional<int64_t> constant = getConstantIntValue(a))
    return index(*constant + offset);
  return arith::AddIOp::create(b, a, index(offset));
}

Value LoopEmitter::start(unsigned dim) {
  return from[dim] ? from[dim] : index(0);
}

void LoopEmitter::emit() {
  ranges =
      cast<linalg::LinalgOp>(op.getOperation()).createLoopRanges(b, b.getLoc());
  from.resize(op.getNumLoops());
  emitNest();
}

/// Where nobody knows how many rows there are: whole blocks, if there are any,
/// and what is left over in loops along another dimension. Where there is no
/// other, all rows, but for one that is alone.
void LoopEmitter::emitNest() {
  if (!plan.rowDim || getConstantIntValue(extent(*plan.rowDim))) {
    emitOuter(0);
    return;
  }
  unsigned rows = *plan.rowDim;
  LoopPlan rest = planLeftOver(op, plan);
  Value all = extent(rows), whole = all;
  if (rest.rowDim)
    whole = arith::SubIOp::create(
        b, all, arith::RemUIOp::create(b, all, index(plan.rows)));
  fewestRows = rest.rowDim ? plan.rows : 1;
  Value several = arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, whole,
                                        index(rest.rowDim ? 0 : 1));
  auto branch = scf::IfOp::create(b, several, /*withElseRegion=*/!rest.rowDim);
  OpFoldResult size = ranges[rows].size;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    ranges[rows].size = whole;
    emitOuter(0);
  }
  ranges[rows].size = size;
  plan = rest;
  if (rest.rowDim) {
    from[rows] = whole;
    emitNest();
    return;
  }
  single = rows;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.elseBlock());
  emitOuter(0);
}

/// A loop over `dim` that calls `inner` with its induction variable; no loop
/// where there is one iteration.
static void forEach(ImplicitLocOpBuilder &b, Value from, Value to, int64_t step,
                    llvm::function_ref<void(Value)> inner) {
  std::optional<int64_t> first = getConstantIntValue(from),
                         end = getConstantIntValue(to);
  if (first && end && *first >= *end)
    return;
  if (first && end && *first + step >= *end) {
    inner(from);
    return;
  }
  auto loop =
      scf::ForOp::create(b, from, to, arith::ConstantIndexOp::create(b, step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  inner(loop.getInductionVar());
}

void LoopEmitter::emitOuter(unsigned level) {
  if (level == 0)
    toShare = plan.parts;
  if (level == plan.outer.size()) {
    emitVectors();
    return;
  }
  unsigned dim = plan.outer[level];
  auto inner = [&](Value iv) {
    ivs[dim] = iv;
    emitOuter(level + 1);
  };
  if (toShare && op.getStaticLoopRanges()[dim] != 1)
    emitParts(extent(dim), 1, {}, inner);
  else
    forEach(b, index(0), extent(dim), 1, inner);
}

/// Calls `inner` with each multiple of `step` below `units * step`: each thread
/// has as many that lie side by side, the last ones first where it goes
/// backwards.
void LoopEmitter::emitParts(Value units, int64_t step, Value backwards,
                            llvm::function_ref<void(Value)> inner) {
  toShare = false;
  Value parts =
      arith::MinUIOp::create(b, ThreadsOp::create(b, b.getIndexType()), units);
  auto loop = scf::ParallelOp::create(b, index(0), parts, index(1));
  loop->setAttr(sharedLoop, b.getUnitAttr());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value part = loop.getInductionVars()[0];
  auto begin = [&](Value number) -> Value {
    Value all = arith::MulIOp::create(b, number, units);
    return arith::DivUIOp::create(b, all, parts);
  };
  Value from = begin(part), to = begin(add(part, 1));
  forEach(b, from, to, 1, [&](Value unit) {
    if (backwards) {
      Value last = arith::SubIOp::create(b, to, index(1));
      Value back =
          arith::SubIOp::create(b, arith::AddIOp::create(b, from, last), unit);
      unit = arith::SelectOp::create(b, backwards, back, unit);
    }
    inner(affine::makeComposedAffineApply(
        b, b.getLoc(), b.getAffineDimExpr(0) * step, {unit}));
  });
}

/// Blocks that read more constants than the nearest memory holds, in a loop
/// that does so again and again: every second time they go backwards, so that
/// what was read last is read first. True where it is such a time; null where
/// there is no such loop, or rows share what a block reads.
Value LoopEmitter::turnsBack(int64_t blocks) {
  auto again = dyn_cast<scf::ForOp>(op->getParentOp());
  auto isOne = [&](unsigned d) {
    return op.getStaticLoopRanges()[d] == 1 || d == single;
  };
  if (blocks < 2 || !again || plan.reductions.empty() || plan.rowDim ||
      !llvm::all_of(plan.outer, isOne) || !llvm::all_of(plan.inside, isOne))
    return {};
  constexpr int64_t near = 32 << 10;
  int64_t bytes = 0;
  for (OpOperand *input : op.getDpsInputOperands()) {
    auto type = dyn_cast<MemRefType>(input->get().getType());
    if (type && type.hasStaticShape() && type.getElementType().isIntOrFloat() &&
        dependsOnLanes(op.getMatchingIndexingMap(input)) &&
        input->get().getDefiningOp<memref::GetGlobalOp>())
      bytes += type.getNumElements() *
               llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  }
  if (bytes <= near)
    return {};
  Value one = index(1), zero = index(0);
  Value last = arith::AndIOp::create(b, again.getInductionVar(), one);
  return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, last, zero);
}

void LoopEmitter::emitVectors() {
  BlockShape shape;
  if (!plan.vectorDim) {
    emitInside(0, shape);
    return;
  }
  unsigned dim = *plan.vectorDim;
  int64_t perBlock = plan.lanes * plan.vectors;
  Value end = extent(dim), wholeEnd;
  std::optional<int64_t> size = getConstantIntValue(end);
  if (size)
    wholeEnd = index(*size - *size % perBlock);
  else
    wholeEnd = arith::SubIOp::create(
        b, end, arith::RemUIOp::create(b, end, index(perBlock)));
  auto whole = [&](Value iv) {
    ivs[dim] = iv;
    shape.vectors = plan.vectors;
    emitInside(0, shape);
  };
  auto rest = [&](int64_t all) {
    int64_t left = all % perBlock;
    if (left == 0)
      return;
    ivs[dim] = wholeEnd;
    shape.vectors = llvm::divideCeil(left, plan.lanes);
    shape.lastLanes = left % plan.lanes;
    if (shape.lastLanes)
      shape.mask = vector::ConstantMaskOp::create(
          b, vectorOf(b.getI1Type()), ArrayRef<int64_t>{shape.lastLanes});
    emitInside(0, shape);
  };
  if (toShare && size) {
    // The smaller block at the end, if any, is one of those that are shared.
    int64_t blocks = llvm::divideCeil(*size, perBlock);
    Value odd = turnsBack(*size / perBlock);
    emitParts(index(blocks), perBlock, odd, [&](Value iv) {
      if (*size % perBlock == 0)
        return whole(iv);
      Value isWhole =
          arith::CmpIOp::create(b, arith::CmpIPredicate::ult, iv, wholeEnd);
      auto either = scf::IfOp::create(b, isWhole, /*withElseRegion=*/true);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(either.thenBlock());
      whole(iv);
      b.setInsertionPointToStart(either.elseBlock());
      rest(*size);
    });
    return;
  }
  if (plan.unrolled && size)
    for (int64_t at = 0; at + perBlock <= *size; at += perBlock)
      whole(index(at));
  else if (Value odd = turnsBack(size.value_or(0) / perBlock))
    forEach(b, index(0), wholeEnd, perBlock, [&](Value iv) {
      Value back = arith::SubIOp::create(
          b, index(*size - *size % perBlock - perBlock), iv);
      whole(arith::SelectOp::create(b, odd, back, iv));
    });
  else
    forEach(b, index(0), wholeEnd, perBlock, whole);
  if (size)
    return rest(*size);
  forEach(b, wholeEnd, end, plan.lanes, [&](Value iv) {
    ivs[dim] = iv;
    shape.vectors = 1;
    shape.mask = vector::CreateMaskOp::create(
        b, vectorOf(b.getI1Type()),
        ValueRange{arith::SubIOp::create(b, end, iv)});
    emitInside(0, shape);
  });
}

void LoopEmitter::emitInside(unsigned level, const BlockShape &shape) {
  if (level == plan.inside.size()) {
    emitRows(shape);
    return;
  }
  unsigned dim = plan.inside[level];
  forEach(b, start(dim), extent(dim), 1, [&](Value iv) {
    ivs[dim] = iv;
    emitInside(level + 1, shape);
  });
}

void LoopEmitter::emitRows(BlockShape shape) {
  if (!plan.rowDim) {
    emitBlock(shape);
    return;
  }
  unsigned dim = *plan.rowDim;
  Value end = extent(dim), at = index(0);
  std::optional<int64_t> size = getConstantIntValue(end);
  // The rows left over: one block where their number is known, by twos and ones
  // otherwise.
  SmallVector<int64_t> counts{plan.rows};
  if (size && *size % plan.rows)
    counts.push_back(*size % plan.rows);
  for (int64_t count : {2, 1})
    if (!size && fewestRows <= count && count < plan.rows)
      counts.push_back(count);
  for (int64_t count : counts) {
    Value to;
    if (std::optional<int64_t> first = getConstantIntValue(at); first && size)
      to = index(*first + (*size - *first) / count * count);
    else
      to = arith::SubIOp::create(
          b, end,
          arith::RemUIOp::create(b, arith::SubIOp::create(b, end, at),
                                 index(count)));
    forEach(b, at, to, count, [&](Value iv) {
      ivs[dim] = iv;
      shape.rows = count;
      emitBlock(shape);
    });
    at = to;
  }
}

void LoopEmitter::emitBlock(const BlockShape &shape) {
  block = shape;
  loaded.clear();
  tableRows.clear();
  loadOperandsAt(-1);
  SmallVector<Value> accumulators;
  for (OpOperand &output : op.getDpsInitsMutable())
    for (int64_t row = 0; row < block.rows; ++row)
      for (int64_t vector = 0; vector < block.vectors; ++vector)
        accumulators.push_back(initial(output, row, vector));
  SmallVector<Value> results = emitReductions(0, accumulators);
  unsigned next = 0;
  for (OpOperand &output : op.getDpsInitsMutable())
    for (int64_t row = 0; row < block.rows; ++row)
      for (int64_t vector = 0; vector < block.vectors; ++vector)
        store(output, row, vector, results[next++]);
}

/// What an accumulator begins with; null where nothing reads it.
Value LoopEmitter::initial(OpOperand &output, int64_t row, int64_t vector) {
  if (plan.reductions.empty() && !op.payloadUsesValueFromOperand(&output))
    return {};
  TypedAttr number = initialNumber(op, output);
  OpOperand *input = initialInput(op, output);
  if (!number && !input)
    return load(output, row, vector);
  Value value = number ? Value(arith::ConstantOp::create(b, number))
                       : load(*input, row, vector);
  return dependsOnLanes(op.getMatchingIndexingMap(&output)) ? toVector(value)
                                                            : value;
}

SmallVector<Value> LoopEmitter::emitReductions(unsigned level,
                                               ArrayRef<Value> accumulators) {
  if (level == plan.reductions.size())
    return emitPoints(accumulators);
  if (plan.unrolled)
    return emitSynapses(accumulators);
  unsigned dim = plan.reductions[level];
  Value end = extent(dim);
  if (getConstantIntValue(end) == 1) {
    ivs[dim] = index(0);
    loadOperandsAt(level);
    return emitReductions(level + 1, accumulators);
  }
  auto loop = scf::ForOp::create(b, index(0), end, index(1), accumulators);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  ivs[dim] = loop.getInductionVar();
  // In the innermost loop each is loaded where it is wanted.
  if (level + 1 < plan.reductions.size())
    loadOperandsAt(level);
  SmallVector<Value> carried(loop.getRegionIterArgs());
  SmallVector<Value> results = emitReductions(level + 1, carried);
  scf::YieldOp::create(b, results);
  return llvm::to_vector(ValueRange(loop.getResults()));
}

/// The elements of an operand that is a constant buffer; null where it isn't.
static DenseElementsAttr elementsOf(Value memref) {
  auto get = memref.getDefiningOp<memref::GetGlobalOp>();
  auto global = get ? SymbolTable::lookupNearestSymbolFrom<memref::GlobalOp>(
                          get, get.getNameAttr())
                    : memref::GlobalOp();
  if (!global || !global.getConstant() || !global.getInitialValue())
    return {};
  return dyn_cast<DenseElementsAttr>(*global.getInitialValue());
}

/// True where some lane of the block has an f-th synapse.
bool LoopEmitter::hasSynapse(int64_t f) {
  std::optional<int64_t> begin = getConstantIntValue(ivs[*plan.vectorDim]);
  for (int64_t number :
       op->getAttrOfType<DenseI64ArrayAttr>(sparseWeights).asArrayRef()) {
    DenseElementsAttr weights = elementsOf(op->getOperand(number));
    if (!weights || !begin)
      return true;
    int64_t columns = weights.getType().getDimSize(1);
    auto values = weights.value_begin<APFloat>();
    for (int64_t n = *begin; n < std::min(columns, *begin + plan.lanes); ++n)
      if (!(*(values + (f * columns + n))).isZero())
        return true;
  }
  return false;
}

/// The sum over packed synapses, as straight code.
SmallVector<Value> LoopEmitter::emitSynapses(ArrayRef<Value> accumulators) {
  unsigned dim = plan.reductions[0];
  SmallVector<Value> results(accumulators);
  int64_t fanIn = op.getStaticLoopRanges()[dim];
  auto before = loaded;
  for (int64_t f = 0; f < fanIn; ++f) {
    if (!hasSynapse(f))
      continue;
    ivs[dim] = index(f);
    loaded = before;
    loadOperandsAt(0);
    results = emitPoints(results);
  }
  return results;
}

/// A row of a buffer as one vector, along a dimension behind which all others
/// are of size one; null where it isn't contiguous.
Value LoopEmitter::loadRow(Value memref, ValueRange at, unsigned dim) {
  auto type = cast<MemRefType>(memref.getType());
  if (type.isDynamicDim(dim) || type.getElementType().isInteger(1))
    return {};
  for (int64_t d = dim + 1; d < type.getRank(); ++d)
    if (type.getDimSize(d) != 1)
      return {};
  if (dim + 1 < unsigned(type.getRank())) {
    SmallVector<ReassociationIndices> groups;
    for (int64_t d = 0; d <= dim; ++d)
      groups.push_back({d});
    for (int64_t d = dim + 1; d < type.getRank(); ++d)
      groups.back().push_back(d);
    if (!memref::CollapseShapeOp::isGuaranteedCollapsible(type, groups))
      return {};
    memref = memref::CollapseShapeOp::create(b, memref, groups);
    type = cast<MemRefType>(memref.getType());
  }
  if (!type.isLastDimUnitStride())
    return {};
  SmallVector<Value> begin(at.take_front(dim));
  begin.push_back(index(0));
  auto row = VectorType::get({type.getDimSize(dim)}, type.getElementType());
  return vector::LoadOp::create(b, row, memref, begin);
}

/// What the lanes' synapses come from: elements of one row, in an order that is
/// known now.
Value LoopEmitter::emitTableLoad(memref::LoadOp load, int table,
                                 IRMapping &mapping) {
  DenseElementsAttr places = elementsOf(op->getOperand(0));
  std::optional<int64_t> f = getConstantIntValue(ivs[plan.reductions[0]]),
                         begin = getConstantIntValue(ivs[*plan.vectorDim]);
  if (!places || !f || !begin)
    return {};
  int64_t columns = places.getType().getDimSize(1);
  SmallVector<int64_t> from;
  for (int64_t lane = 0; lane < plan.lanes; ++lane) {
    int64_t n = std::min(*begin + lane, columns - 1);
    from.push_back(*(places.value_begin<int32_t>() + (*f * columns + n)));
  }
  Value memref = mapping.lookupOrDefault(load.getMemRef());
  SmallVector<Value> at;
  for (auto [i, place] : llvm::enumerate(load.getIndices()))
    at.push_back(int(i) == table ? Value() : mapping.lookupOrDefault(place));
  auto [known, isNew] = tableRows.try_emplace(load);
  if (isNew)
    known->second = loadRow(memref, at, table);
  if (Value row = known->second)
    return vector::ShuffleOp::create(b, row, row, from);
  SmallVector<Value> elements;
  for (int64_t place : from) {
    at[table] = index(place);
    elements.push_back(memref::LoadOp::create(b, memref, at));
  }
  return vector::FromElementsOp::create(b, vectorOf(elements[0].getType()),
                                        elements);
}

SmallVector<Value> LoopEmitter::emitPoints(ArrayRef<Value> accumulators) {
  int64_t points = block.rows * block.vectors;
  SmallVector<Value> results(accumulators.size());
  auto emit = [&](int64_t row, int64_t vector) {
    int64_t point = row * block.vectors + vector;
    SmallVector<Value> mine;
    for (unsigned output = 0; output < op.getNumDpsInits(); ++output)
      mine.push_back(accumulators[output * points + point]);
    SmallVector<Value> values = emitPoint(row, vector, mine);
    for (unsigned output = 0; output < op.getNumDpsInits(); ++output)
      results[output * points + point] = values[output];
  };
  // What a block shares by rows or by vectors is in registers meanwhile: the
  // fewer of them.
  if (block.rows < block.vectors * op.getNumDpsInits()) {
    for (int64_t vector = 0; vector < block.vectors; ++vector)
      for (int64_t row = 0; row < block.rows; ++row)
        emit(row, vector);
  } else {
    for (int64_t row = 0; row < block.rows; ++row)
      for (int64_t vector = 0; vector < block.vectors; ++vector)
        emit(row, vector);
  }
  return results;
}

SmallVector<Value> LoopEmitter::emitPoint(int64_t row, int64_t vector,
                                          ArrayRef<Value> accumulators) {
  IRMapping mapping;
  for (OpOperand *input : op.getDpsInputOperands())
    if (op.payloadUsesValueFromOperand(input))
      mapping.map(body.getArgument(input->getOperandNumber()),
                  load(*input, row, vector));
  for (auto [argument, value] :
       llvm::zip(op.getRegionOutputArgs(), accumulators))
    if (value)
      mapping.map(argument, value);
  for (Operation &inner : body.without_terminator())
    emitBodyOp(inner, row, vector, mapping);
  SmallVector<Value> results;
  for (auto [operand, output] : llvm::zip(body.getTerminator()->getOperands(),
                                          op.getDpsInitsMutable())) {
    Value value = mapping.lookupOrDefault(operand);
    results.push_back(dependsOnLanes(op.getMatchingIndexingMap(&output))
                          ? toVector(value)
                          : value);
  }
  return results;
}

void LoopEmitter::emitBodyOp(Operation &inner, int64_t row, int64_t vector,
                             IRMapping &mapping) {
  if (auto indexOp = dyn_cast<linalg::IndexOp>(inner)) {
    mapping.map(indexOp.getResult(), emitIndex(indexOp.getDim(), row, vector));
    return;
  }
  bool differs = llvm::any_of(inner.getResults(),
                              [&](Value v) { return varying.contains(v); });
  if (differs && plan.vectorDim &&
      isContiguousBodyLoad(inner, *plan.vectorDim, varying)) {
    auto load = cast<memref::LoadOp>(inner);
    SmallVector<Value> at;
    for (Value i : load.getIndices().drop_back())
      at.push_back(mapping.lookupOrDefault(i));
    at.push_back(add(ivs[*plan.vectorDim], vector * plan.lanes));
    mapping.map(
        load.getResult(),
        loadVector(mapping.lookupOrDefault(load.getMemRef()), at, vector));
    return;
  }
  if (int table = differs && plan.unrolled ? tableIndex(inner) : -1; table >= 0)
    if (Value value =
            emitTableLoad(cast<memref::LoadOp>(inner), table, mapping)) {
      mapping.map(inner.getResult(0), value);
      return;
    }
  if (!differs) {
    Operation *copy = b.clone(inner, mapping);
    // linalg.index deep inside a region, which only scalar loops meet
    copy->walk([&](linalg::IndexOp nested) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(nested);
      nested.replaceAllUsesWith(emitIndex(nested.getDim(), row, vector));
      nested.erase();
    });
    return;
  }
  IRMapping vectors;
  for (Value operand : inner.getOperands())
    vectors.map(operand, toVector(mapping.lookupOrDefault(operand)));
  Operation *copy = inner.clone(vectors);
  for (OpResult result : copy->getResults())
    result.setType(vectorOf(result.getType()));
  b.insert(copy);
  mapping.map(inner.getResults(), copy->getResults());
}

Value LoopEmitter::emitIndex(unsigned dim, int64_t row, int64_t vector) {
  if (plan.vectorDim != dim)
    return add(ivs[dim], plan.rowDim == dim ? row : 0);
  Value first = add(ivs[dim], vector * plan.lanes);
  Value step = vector::StepOp::create(b, vectorOf(b.getIndexType()));
  return arith::AddIOp::create(b, toVector(first), step);
}

Value LoopEmitter::toVector(Value value) {
  if (isa<VectorType>(value.getType()))
    return value;
  return vector::BroadcastOp::create(b, vectorOf(value.getType()), value);
}

/// The innermost reduction loop that a map varies in; -1 where in none.
int LoopEmitter::levelOf(AffineMap map) const {
  for (int level = plan.reductions.size(); level-- > 0;)
    if (map.isFunctionOfDim(plan.reductions[level]))
      return level;
  return -1;
}

void LoopEmitter::loadOperandsAt(int level) {
  // Those loaded for an earlier block's loop, or in an outer one of another
  // block, are gone or still right.
  for (OpOperand *input : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(input);
    if (levelOf(map) != level || !op.payloadUsesValueFromOperand(input))
      continue;
    bool byRow = plan.rowDim && map.isFunctionOfDim(*plan.rowDim);
    for (int64_t row = 0; row < (byRow ? block.rows : 1); ++row)
      for (int64_t vector = 0;
           vector < (dependsOnLanes(map) ? block.vectors : 1); ++vector)
        load(*input, row, vector);
  }
}

SmallVector<Value> LoopEmitter::indices(AffineMap map, int64_t row,
                                        int64_t vector, Value vectorIv) {
  SmallVector<OpFoldResult> dims;
  SmallVector<AffineExpr> moved;
  for (auto [d, iv] : llvm::enumerate(ivs)) {
    moved.push_back(b.getAffineDimExpr(d));
    if (!map.isFunctionOfDim(d)) {
      dims.push_back(b.getIndexAttr(0));
      continue;
    }
    Value at = iv;
    if (plan.vectorDim == d && !vectorIv && plan.parts) {
      // Where a block begins is a multiple of its size: said to the map, all
      // its vectors are in one panel.
      moved.back() = moved.back() + vector * plan.lanes;
    } else if (plan.vectorDim == d) {
      at = vectorIv ? vectorIv : add(at, vector * plan.lanes);
    } else if (plan.rowDim == d) {
      at = add(at, row);
    }
    dims.push_back(getAsOpFoldResult(at));
  }
  SmallVector<Value> result;
  for (AffineExpr expr : map.getResults()) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    AffineExpr here = expr.replaceDims(moved);
    OpFoldResult at =
        dim && here == expr
            ? dims[dim.getPosition()]
            : affine::makeComposedFoldedAffineApply(b, b.getLoc(), here, dims);
    result.push_back(getValueOrCreateConstantIndexOp(b, b.getLoc(), at));
  }
  return result;
}

Value LoopEmitter::maskOf(int64_t vector) const {
  return vector + 1 == block.vectors ? block.mask : Value();
}

bool LoopEmitter::isContiguous(OpOperand &operand) {
  auto type = cast<MemRefType>(operand.get().getType());
  return addressStep(op.getMatchingIndexingMap(&operand), type, *plan.vectorDim,
                     plan.lanes) == 1 &&
         type.isLastDimUnitStride();
}

Value LoopEmitter::loadVector(Value memref, ValueRange at, int64_t vector) {
  VectorType type =
      vectorOf(cast<MemRefType>(memref.getType()).getElementType());
  Value mask = maskOf(vector);
  if (!mask)
    return vector::LoadOp::create(b, type, memref, at);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
  return vector::MaskedLoadOp::create(b, type, memref, at, mask, zero);
}

Value LoopEmitter::load(OpOperand &operand, int64_t row, int64_t vector) {
  if (!isa<MemRefType>(operand.get().getType()))
    return operand.get();
  AffineMap map = op.getMatchingIndexingMap(&operand);
  if (!plan.rowDim || !map.isFunctionOfDim(*plan.rowDim))
    row = 0;
  if (!dependsOnLanes(map))
    vector = 0;
  bool isInput = op.isDpsInput(&operand);
  auto key = std::make_tuple(operand.getOperandNumber(), row, vector);
  if (isInput)
    if (Value known = loaded.lookup(key)) {
      // Still in scope: a value of an enclosing block.
      if (known.getParentRegion()->isAncestor(
              b.getInsertionBlock()->getParent()))
        return known;
    }
  Value value;
  if (!dependsOnLanes(map))
    value = memref::LoadOp::create(b, operand.get(), indices(map, row, vector));
  else if (isContiguous(operand))
    value = loadVector(operand.get(), indices(map, row, vector), vector);
  else if (value = loadStrided(operand, row, vector); !value)
    value = gather(operand, row, vector);
  if (isInput)
    loaded[key] = value;
  return value;
}

/// Every second element of a row, or every third or fourth: all between the
/// first and the last lane's are loaded, as few vectors. Null where the lanes
/// lie otherwise.
Value LoopEmitter::loadStrided(OpOperand &operand, int64_t row,
                               int64_t vector) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  auto type = cast<MemRefType>(operand.get().getType());
  std::optional<int64_t> step =
      addressStep(map, type, *plan.vectorDim, plan.lanes);
  if (!step || *step < 2 || *step > 4 || plan.lanes < 4 || maskOf(vector) ||
      !type.isLastDimUnitStride() || type.getElementType().isInteger(1) ||
      llvm::any_of(
          map.getResults().drop_back(),
          [&](AffineExpr expr) {
            return expr.isFunctionOfDim(*plan.vectorDim);
          }))
    return {};
  SmallVector<Value> at = indices(map, row, vector);
  Value first = at.back(), result;
  VectorType lanes = vectorOf(type.getElementType());
  for (int64_t part = 0; part < *step; ++part) {
    // The last one ends with the last lane's element.
    int64_t begin = std::min(part * plan.lanes, (plan.lanes - 1) * (*step - 1));
    at.back() = add(first, begin);
    Value loaded = vector::LoadOp::create(b, lanes, operand.get(), at);
    if (!result) {
      result = loaded;
      continue;
    }
    SmallVector<int64_t> from;
    for (int64_t lane = 0; lane < plan.lanes; ++lane) {
      int64_t place = lane * *step;
      bool isHere = place >= part * plan.lanes && place < begin + plan.lanes;
      from.push_back(isHere               ? plan.lanes + place - begin
                     : part > 1           ? lane
                     : place < plan.lanes ? place
                                          : 0);
    }
    result = vector::ShuffleOp::create(b, result, loaded, from);
  }
  return result;
}

/// Lane by lane; lanes that the mask excludes read the last element that
/// exists.
Value LoopEmitter::gather(OpOperand &operand, int64_t row, int64_t vector) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  Value first = add(ivs[*plan.vectorDim], vector * plan.lanes), last;
  SmallVector<Value> elements;
  for (int64_t lane = 0; lane < plan.lanes; ++lane) {
    Value at = add(first, lane);
    if (maskOf(vector) && block.lastLanes == 0) {
      if (!last)
        last = arith::SubIOp::create(b, extent(*plan.vectorDim), index(1));
      at = arith::MinUIOp::create(b, at, last);
    } else if (maskOf(vector) && lane >= block.lastLanes) {
      elements.push_back(elements.back());
      continue;
    }
    elements.push_back(memref::LoadOp::create(b, operand.get(),
                                              indices(map, row, vector, at)));
  }
  return vector::FromElementsOp::create(b, vectorOf(elements.front().getType()),
                                        elements);
}

void LoopEmitter::store(OpOperand &operand, int64_t row, int64_t vector,
                        Value value) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  if (!dependsOnLanes(map)) {
    memref::StoreOp::create(b, value, operand.get(), indices(map, row, vector));
    return;
  }
  if (!isContiguous(operand)) {
    scatter(operand, row, vector, value);
    return;
  }
  SmallVector<Value> at = indices(map, row, vector);
  if (Value mask = maskOf(vector))
    vector::MaskedStoreOp::create(b, operand.get(), at, mask, value);
  else
    vector::StoreOp::create(b, value, operand.get(), at);
}

void LoopEmitter::scatter(OpOperand &operand, int64_t row, int64_t vector,
                          Value value) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  Value first = add(ivs[*plan.vectorDim], vector * plan.lanes);
  bool masked = static_cast<bool>(maskOf(vector));
  int64_t lanes = masked && block.lastLanes ? block.lastLanes : plan.lanes;
  for (int64_t lane = 0; lane < lanes; ++lane) {
    Value at = add(first, lane);
    Value element = vector::ExtractOp::create(b, value, lane);
    OpBuilder::InsertionGuard guard(b);
    if (masked && !block.lastLanes) {
      Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, at,
                                           extent(*plan.vectorDim));
      b.setInsertionPointToStart(scf::IfOp::create(b, exists).thenBlock());
    }
    memref::StoreOp::create(b, element, operand.get(),
                            indices(map, row, vector, at));
  }
}

} // namespace lnn
