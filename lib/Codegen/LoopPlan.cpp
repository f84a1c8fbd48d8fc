//===- LoopPlan.cpp - which loops become lanes, blocks and accumulators ---===//
#include "LoopPlan.h"

#include "lnn/Dialect/Lnn/Lnn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace lnn {

/// Strides of a buffer, or of the row-major buffer that a tensor would get.
/// None where the layout isn't strided.
static std::optional<SmallVector<int64_t>> stridesOf(ShapedType type) {
  SmallVector<int64_t> strides;
  if (auto memref = dyn_cast<MemRefType>(type)) {
    int64_t offset;
    if (failed(memref.getStridesAndOffset(strides, offset)))
      return std::nullopt;
    return strides;
  }
  strides.resize(type.getRank());
  int64_t stride = 1;
  for (int64_t i = type.getRank(); i-- > 0;) {
    strides[i] = stride;
    if (stride != ShapedType::kDynamic)
      stride = type.isDynamicDim(i) ? ShapedType::kDynamic
                                    : stride * type.getDimSize(i);
  }
  return strides;
}

/// By how much `expr` grows when loop `dim` advances by one within a panel;
/// none where that isn't a constant.
static std::optional<int64_t> stepOf(AffineExpr expr, unsigned dim,
                                     unsigned numDims, int64_t lanes) {
  if (!expr.isFunctionOfDim(dim))
    return 0;
  if (auto binary = dyn_cast<AffineBinaryOpExpr>(expr)) {
    auto panel = dyn_cast<AffineConstantExpr>(binary.getRHS());
    if (panel && isa<AffineDimExpr>(binary.getLHS()) &&
        panel.getValue() % lanes == 0 && lanes > 1) {
      if (expr.getKind() == AffineExprKind::Mod)
        return 1;
      if (expr.getKind() == AffineExprKind::FloorDiv)
        return 0;
    }
  }
  MLIRContext *context = expr.getContext();
  AffineExpr d = getAffineDimExpr(dim, context);
  AffineExpr delta =
      simplifyAffineExpr(expr.replace(d, d + 1) - expr, numDims, 0);
  auto constant = dyn_cast<AffineConstantExpr>(delta);
  return constant ? std::optional<int64_t>(constant.getValue()) : std::nullopt;
}

std::optional<int64_t> addressStep(AffineMap map, ShapedType type, unsigned dim,
                                   int64_t lanes) {
  std::optional<SmallVector<int64_t>> strides = stridesOf(type);
  int64_t total = 0;
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    std::optional<int64_t> step = stepOf(expr, dim, map.getNumDims(), lanes);
    if (!step)
      return std::nullopt;
    if (*step == 0)
      continue;
    if (!strides || (*strides)[i] == ShapedType::kDynamic)
      return std::nullopt;
    total += *step * (*strides)[i];
  }
  return total;
}

static Attribute initialOf(linalg::GenericOp op, OpOperand &output) {
  auto values = op->getAttrOfType<ArrayAttr>(initialValues);
  return values ? values[output.getOperandNumber() - op.getNumDpsInputs()]
                : Attribute();
}

void takeStarts(linalg::GenericOp op, RewriterBase &rewriter) {
  SmallVector<StartOp> starts(op.getRegion().front().getOps<StartOp>());
  if (starts.empty())
    return;
  SmallVector<Attribute> values(op.getNumDpsInits(), rewriter.getUnitAttr());
  if (auto known = op->getAttrOfType<ArrayAttr>(initialValues))
    values.assign(known.begin(), known.end());
  for (StartOp start : starts) {
    auto accumulator = cast<BlockArgument>(start.getAccumulator()),
         value = cast<BlockArgument>(start.getValue());
    values[accumulator.getArgNumber() - op.getNumDpsInputs()] =
        rewriter.getDenseI64ArrayAttr(int64_t(value.getArgNumber()));
    rewriter.replaceOp(start, accumulator);
  }
  op->setAttr(initialValues, rewriter.getArrayAttr(values));
}

OpOperand *initialInput(linalg::GenericOp op, OpOperand &output) {
  auto position = dyn_cast_or_null<DenseI64ArrayAttr>(initialOf(op, output));
  return position ? op.getDpsInputOperand(position[0]) : nullptr;
}

TypedAttr initialNumber(linalg::GenericOp op, OpOperand &output) {
  return initialInput(op, output)
             ? TypedAttr()
             : dyn_cast_or_null<TypedAttr>(initialOf(op, output));
}

static bool isVectorElement(Type type) {
  return type.isIndex() ||
         (type.isIntOrFloat() && type.getIntOrFloatBitWidth() <= 64 &&
          (type.isF16() || type.isBF16() || type.isF32() || type.isF64() ||
           type.isInteger()));
}

bool isVectorizable(Operation &op) {
  // Integer division traps, and lanes that a mask excludes hold zeros.
  if (isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp,
          arith::CeilDivSIOp, arith::CeilDivUIOp, arith::FloorDivSIOp>(op))
    return false;
  if (!OpTrait::hasElementwiseMappableTraits(&op) || op.getNumRegions() != 0)
    return false;
  return llvm::all_of(op.getOperandTypes(), isVectorElement) &&
         llvm::all_of(op.getResultTypes(), isVectorElement);
}

bool isContiguousBodyLoad(Operation &op, unsigned dim,
                          const DenseSet<Value> &varying) {
  auto load = dyn_cast<memref::LoadOp>(op);
  if (!load || load.getIndices().empty() ||
      load.getMemRefType().getElementType().isInteger(1) ||
      !load.getMemRefType().isLastDimUnitStride())
    return false;
  auto index = load.getIndices().back().getDefiningOp<linalg::IndexOp>();
  return index && index.getDim() == dim &&
         llvm::none_of(load.getIndices().drop_back(),
                       [&](Value v) { return varying.contains(v); });
}

DenseSet<Value> varyingValues(linalg::GenericOp op, unsigned dim) {
  DenseSet<Value> varying;
  Block &body = op.getRegion().front();
  for (auto [argument, map] :
       llvm::zip(body.getArguments(), op.getIndexingMapsArray()))
    if (map.isFunctionOfDim(dim))
      varying.insert(argument);
  for (Operation &inner : body) {
    auto index = dyn_cast<linalg::IndexOp>(inner);
    bool differs = index ? index.getDim() == dim : false;
    inner.walk([&](Operation *nested) {
      differs |= llvm::any_of(nested->getOperands(),
                              [&](Value v) { return varying.contains(v); });
      if (auto nestedIndex = dyn_cast<linalg::IndexOp>(nested))
        differs |= nestedIndex.getDim() == dim;
    });
    if (differs)
      varying.insert_range(inner.getResults());
  }
  return varying;
}

int tableIndex(Operation &op) {
  auto load = dyn_cast<memref::LoadOp>(op);
  auto generic = dyn_cast_or_null<linalg::GenericOp>(op.getParentOp());
  if (!load || !generic || !generic->hasAttr(sparseWeights) ||
      generic.getNumReductionLoops() != 1 ||
      !generic->getOperand(0).getDefiningOp<memref::GetGlobalOp>())
    return -1;
  for (auto [i, index] : llvm::enumerate(load.getIndices())) {
    auto cast = index.getDefiningOp<arith::IndexCastOp>();
    if (cast && cast.getIn() == generic.getRegion().front().getArgument(0))
      return i;
  }
  return -1;
}

/// True where the body can be computed on vectors with `dim` in the lanes.
static bool bodyAllows(linalg::GenericOp op, unsigned dim) {
  DenseSet<Value> varying = varyingValues(op, dim);
  for (Operation &inner : op.getRegion().front().without_terminator()) {
    if (isa<linalg::IndexOp>(inner) || isVectorizable(inner) ||
        isContiguousBodyLoad(inner, dim, varying) || tableIndex(inner) >= 0)
      continue;
    // What is the same in every lane stays scalar.
    bool uniform = llvm::none_of(inner.getResults(),
                                 [&](Value v) { return varying.contains(v); });
    if (!uniform || inner.getNumRegions() != 0 || inner.getNumResults() == 0)
      return false;
  }
  return true;
}

static bool isCostly(Operation &op) {
  if (op.getDialect() && isa<LnnDialect>(op.getDialect()))
    return !isa<PairDotOp, QuadDotOp>(op);
  return isa<math::MathDialect>(op.getDialect()) &&
         !isa<math::FmaOp, math::AbsFOp, math::AbsIOp, math::FloorOp,
              math::CeilOp, math::CopySignOp, math::TruncOp>(op);
}

namespace {
/// What a plan costs, in scalar operations, roughly.
class CostModel {
public:
  CostModel(linalg::GenericOp op, ArrayRef<unsigned> free)
      : op(op), free(free) {
    extents = op.getStaticLoopRanges();
    bodyCost = 1;
    for (Operation &inner : op.getRegion().front().without_terminator())
      bodyCost += isCostly(inner) ? 20 : 1;
    for (auto [d, kind] : llvm::enumerate(op.getIteratorTypesArray()))
      if (kind == utils::IteratorType::reduction)
        terms *= double(ShapedType::isDynamic(extents[d])
                            ? many
                            : std::max<int64_t>(extents[d], 1));
  }

  double scalar() const {
    return iterations(std::nullopt, 1) *
           (bodyCost + 0.5 * op->getNumOperands());
  }

  double vector(unsigned dim, int64_t lanes) {
    double each = bodyCost;
    for (OpOperand &operand : op->getOpOperands())
      each += loadCost(operand, dim, lanes);
    return iterations(dim, lanes) * each;
  }

private:
  static constexpr int64_t many = 64;

  /// Where an extent is known only when the model runs, it may be one: lanes
  /// are of no use then.
  double iterations(std::optional<unsigned> dim, int64_t lanes) const {
    double count = 1;
    for (auto [d, extent] : llvm::enumerate(extents)) {
      bool inLanes = dim && d == *dim;
      if (!ShapedType::isDynamic(extent))
        count *= double(inLanes ? llvm::divideCeil(extent, lanes) : extent);
      else
        count *= inLanes ? 0.75 * llvm::divideCeil(many, lanes) + 0.25 * many
                         : double(many);
    }
    return count;
  }

  double loadCost(OpOperand &operand, unsigned dim, int64_t lanes) {
    auto type = dyn_cast<ShapedType>(operand.get().getType());
    if (!type || llvm::is_contained(free, operand.getOperandNumber()))
      return 0.5;
    std::optional<int64_t> step =
        addressStep(op.getMatchingIndexingMap(&operand), type, dim, lanes);
    if (step && (*step == 0 || *step == 1))
      return 0.5;
    // Stores lane by lane cost more where the vector is masked. A sum is stored
    // once; but the rows of a block share what they load, not what they store,
    // and its blocks are small.
    if (op.isDpsInit(&operand)) {
      double each = 3.0 * lanes;
      return terms > 1 ? std::clamp(3 * each / terms, 4.0, each) : each;
    }
    // A few vectors, shuffled.
    if (step && *step > 1 && *step <= 4 && lanes >= 4)
      return double(*step);
    return 1.5 * lanes;
  }

  linalg::GenericOp op;
  ArrayRef<unsigned> free;
  SmallVector<int64_t> extents;
  double bodyCost;
  double terms = 1; ///< of a sum
};
} // namespace

/// True where each output element is written by one iteration of the parallel
/// loops, so that accumulators can be values.
static bool outputsAreInjective(linalg::GenericOp op) {
  for (OpOperand &output : op.getDpsInitsMutable()) {
    AffineMap map = op.getMatchingIndexingMap(&output);
    llvm::SmallBitVector seen(map.getNumDims());
    for (AffineExpr expr : map.getResults()) {
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        seen.set(dim.getPosition());
      else if (!isa<AffineConstantExpr>(expr))
        return false;
    }
    for (auto [d, kind] : llvm::enumerate(op.getIteratorTypesArray()))
      if (seen.test(d) != (kind == utils::IteratorType::parallel))
        return false;
  }
  return true;
}

static bool elementsAllowVectors(linalg::GenericOp op) {
  return llvm::all_of(op->getOperandTypes(), [](Type type) {
    auto shaped = dyn_cast<ShapedType>(type);
    Type element = shaped ? shaped.getElementType() : type;
    // A vector of i1 is packed bits, a buffer of them is bytes.
    return isVectorElement(element) && !(shaped && element.isInteger(1));
  });
}

/// `maxLanes` counts f32: results of 64 bits get half as many.
static int64_t lanesOf(linalg::GenericOp op, int64_t maxLanes) {
  for (OpOperand &output : op.getDpsInitsMutable()) {
    Type element = getElementTypeOrSelf(output.get().getType());
    if (element.isIndex() || element.getIntOrFloatBitWidth() > 32)
      return std::max<int64_t>(1, maxLanes / 2);
  }
  return maxLanes;
}

static int64_t lanesFor(int64_t extent, int64_t maxLanes) {
  if (ShapedType::isDynamic(extent))
    return maxLanes;
  return std::min<int64_t>(maxLanes,
                           llvm::PowerOf2Ceil(std::max<int64_t>(extent, 1)));
}

std::optional<unsigned> chooseVectorDim(linalg::GenericOp op, int64_t maxLanes,
                                        ArrayRef<unsigned> free) {
  if (maxLanes < 2 || !outputsAreInjective(op) || !elementsAllowVectors(op))
    return std::nullopt;
  maxLanes = lanesOf(op, maxLanes);
  CostModel cost(op, free);
  std::optional<unsigned> best;
  double bestCost = cost.scalar();
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  for (unsigned d = op.getNumLoops(); d-- > 0;) {
    if (op.getIteratorTypesArray()[d] != utils::IteratorType::parallel)
      continue;
    int64_t lanes = lanesFor(extents[d], maxLanes);
    double here = lanes > 1 ? cost.vector(d, lanes) : bestCost;
    if (here < bestCost && bodyAllows(op, d))
      best = d, bestCost = here;
  }
  return best;
}

/// An operand that each of the lanes and of the reductions reads another
/// element of, and that does not vary in loop `d`: a matrix that rows share.
static bool sharesMatrix(linalg::GenericOp op, const LoopPlan &plan,
                         unsigned d) {
  bool shared = false;
  for (OpOperand *input : op.getDpsInputOperands()) {
    AffineMap map = op.getMatchingIndexingMap(input);
    bool reduced = llvm::any_of(
        plan.reductions, [&](unsigned r) { return map.isFunctionOfDim(r); });
    if (!reduced || (plan.vectorDim && !map.isFunctionOfDim(*plan.vectorDim)))
      continue;
    if (map.isFunctionOfDim(d))
      return false;
    shared = true;
  }
  return shared;
}

/// Parallel loops in which no matrix varies go inside of the blocks of vectors.
static void planInside(linalg::GenericOp op, LoopPlan &plan) {
  if (!plan.vectorDim || plan.reductions.empty())
    return;
  SmallVector<unsigned> outer;
  for (unsigned d : plan.outer)
    (sharesMatrix(op, plan, d) ? plan.inside : outer).push_back(d);
  plan.outer = outer;
}

/// What an iteration of the reductions costs over all blocks, in cycles: two
/// multiply-adds or two loads in one, and no less than an accumulator's
/// latency. `far`: what rows share comes from the second level of memory, three
/// vectors in four cycles.
static double blockCost(int64_t rows, int64_t vectors, int64_t inits,
                        int64_t rowExtent, int64_t vectorExtent, bool far) {
  rows = std::min(rows, rowExtent);
  double work = std::max(
      {rows * vectors * inits / 2.0, (vectors * inits + rows) / 2.0, 4.0});
  if (far)
    work = std::max(work, vectors * inits * 4.0 / 3);
  return (work + 0.5) * llvm::divideCeil(rowExtent, rows) *
         llvm::divideCeil(vectorExtent, vectors);
}

/// Whether a vector of an output is stored lane by lane.
static bool isScattered(linalg::GenericOp op, const LoopPlan &plan) {
  return plan.vectorDim &&
         llvm::any_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
           return addressStep(op.getMatchingIndexingMap(&output),
                              cast<ShapedType>(output.get().getType()),
                              *plan.vectorDim, plan.lanes) != 1;
         });
}

/// Rows and vectors of a block as asked for; 0 where nothing is.
static std::pair<int64_t, int64_t> askedBlock(Operation *op) {
  for (; op; op = op->getParentOp())
    if (auto asked = op->getAttrOfType<DenseI64ArrayAttr>(blockShape);
        asked && asked.size() == 2)
      return {asked[0], asked[1]};
  return {0, 0};
}

/// Rows and vectors of a block. Where the number of rows is known only when the
/// model runs, these are for many: what is left over has a plan of its own.
static void planBlock(linalg::GenericOp op, LoopPlan &plan, int64_t rowExtent,
                      int64_t registers) {
  constexpr int64_t many = 64;
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  int64_t lanesExtent = plan.vectorDim ? extents[*plan.vectorDim] : 1;
  int64_t inits = op.getNumDpsInits();
  int64_t vectorExtent = ShapedType::isDynamic(lanesExtent)
                             ? 4
                             : llvm::divideCeil(lanesExtent, plan.lanes);
  bool dynamic = ShapedType::isDynamic(rowExtent);
  if (dynamic)
    rowExtent = many;
  // What a block of rows reads again and again, if it is more than the nearest
  // memory holds.
  constexpr int64_t near = 32 << 10;
  int64_t shared = sizeof(float) * vectorExtent * plan.lanes;
  for (unsigned d : plan.reductions)
    shared *= ShapedType::isDynamic(extents[d]) ? 1 : extents[d];
  bool far = rowExtent > 1 && shared > near;
  double best = 0;
  int64_t bestRows = 1, bestVectors = 1;
  // Each of a block's scattered elements is a store in the code.
  constexpr int64_t mostStores = 128;
  int64_t stores = isScattered(op, plan) ? plan.lanes * inits : 0;
  // Batches of unknown size are most often powers of two.
  for (int64_t rows = 1; rows <= std::min<int64_t>(rowExtent, 8);
       dynamic ? rows *= 2 : ++rows)
    for (int64_t vectors = 1; vectors <= std::min<int64_t>(vectorExtent, 8);
         ++vectors) {
      // Accumulators, what the rows share, and one value of a row.
      int64_t live = rows * vectors * inits + (rows > 1 ? vectors * inits : 0);
      if ((live + 1 > registers || rows * vectors * stores > mostStores) &&
          rows * vectors > 1)
        continue;
      double cost =
          blockCost(rows, vectors, inits, rowExtent, vectorExtent, far);
      if (best == 0 || cost < best * 0.999)
        best = cost, bestRows = rows, bestVectors = vectors;
    }
  auto [askedRows, askedVectors] = askedBlock(op);
  plan.rows = askedRows ? std::min(askedRows, rowExtent) : bestRows;
  if (plan.vectorDim)
    plan.vectors =
        askedVectors ? std::min(askedVectors, vectorExtent) : bestVectors;
}

/// Takes a loop for rows out of `loops`: one in which something that varies
/// with the lanes does not vary, of known length if it can be had. Its extent,
/// 1 where there is none.
static int64_t takeRows(linalg::GenericOp op, LoopPlan &plan,
                        SmallVectorImpl<unsigned> &loops) {
  constexpr int64_t enough = 4;
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  std::optional<unsigned> best;
  for (unsigned d : llvm::reverse(loops)) {
    bool shared = llvm::any_of(op.getDpsInputOperands(), [&](OpOperand *input) {
      AffineMap map = op.getMatchingIndexingMap(input);
      return !map.isFunctionOfDim(d) &&
             (!plan.vectorDim || map.isFunctionOfDim(*plan.vectorDim));
    });
    if (!shared || extents[d] == 1)
      continue;
    if (!best || (ShapedType::isDynamic(extents[*best]) &&
                  !ShapedType::isDynamic(extents[d]) && extents[d] >= enough))
      best = d;
  }
  if (!best)
    return 1;
  plan.rowDim = *best;
  llvm::erase(loops, *best);
  return extents[*best];
}

/// Several rows share what they load. Polynomials need the registers for
/// themselves.
static void planRows(linalg::GenericOp op, LoopPlan &plan, int64_t registers) {
  int64_t extent = takeRows(op, plan, plan.inside);
  if (!plan.rowDim)
    extent = takeRows(op, plan, plan.outer);
  planBlock(op, plan, extent, registers);
  if (plan.rows == 1 && plan.rowDim) {
    plan.inside.push_back(*plan.rowDim);
    plan.rowDim.reset();
  }
}

LoopPlan planLeftOver(linalg::GenericOp op, LoopPlan plan) {
  unsigned rows = *plan.rowDim;
  plan.rowDim.reset();
  // Stores of single lanes are so much code that more of it does not pay.
  bool scattered = isScattered(op, plan);
  for (unsigned d : llvm::reverse(plan.inside))
    if (!scattered && !plan.left.contains(d) &&
        op.getStaticLoopRanges()[d] != 1 && sharesMatrix(op, plan, d)) {
      plan.rowDim = d;
      llvm::erase(plan.inside, d);
      break;
    }
  plan.left.insert(rows);
  plan.inside.push_back(rows);
  if (plan.rowDim)
    return plan;
  plan.rows = 1;
  if (!plan.vectorDim || askedBlock(op).second)
    return plan;
  int64_t extent = op.getStaticLoopRanges()[*plan.vectorDim];
  if (ShapedType::isDynamic(extent))
    return plan;
  int64_t inits = op.getNumDpsInits(),
          vectors = llvm::divideCeil(extent, plan.lanes);
  auto costOf = [&](int64_t v) {
    return blockCost(1, v, inits, 1, vectors, /*far=*/false);
  };
  for (int64_t v = 1; v <= std::min<int64_t>(vectors, 8 / inits); ++v)
    if (costOf(v) < costOf(plan.vectors) * 0.999)
      plan.vectors = v;
  return plan;
}

LoopPlan planLoops(linalg::GenericOp op, int64_t maxLanes) {
  LoopPlan plan;
  bool accumulates = outputsAreInjective(op);
  plan.vectorDim = chooseVectorDim(op, maxLanes, {});
  for (auto [d, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    if (accumulates && kind != utils::IteratorType::parallel)
      plan.reductions.push_back(d);
    else if (plan.vectorDim != d)
      plan.outer.push_back(d);
  }
  bool costly = llvm::any_of(op.getRegion().front(), isCostly);
  if (plan.vectorDim) {
    int64_t extent = op.getStaticLoopRanges()[*plan.vectorDim];
    plan.lanes = lanesFor(extent, lanesOf(op, maxLanes));
    int64_t most = costly ? (maxLanes >= 16 ? 2 : 1) : 4;
    if (int64_t asked = askedBlock(op).second)
      most = asked;
    plan.vectors =
        ShapedType::isDynamic(extent)
            ? std::min<int64_t>(most, 4)
            : std::min<int64_t>(most, llvm::divideCeil(extent, plan.lanes));
  }
  if (op->hasAttr(sparseWeights) && plan.vectorDim &&
      plan.reductions.size() == 1) {
    plan.unrolled = true;
    plan.vectors = 1;
    return plan;
  }
  planInside(op, plan);
  if (!plan.reductions.empty() && !costly)
    planRows(op, plan, maxLanes >= 16 ? 32 : 16);
  return plan;
}

bool isWorthParts(linalg::GenericOp op, const LoopPlan &plan) {
  constexpr int64_t leastSums = 192 << 10; // multiply-adds
  if (plan.reductions.empty() || plan.unrolled)
    return false;
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  auto known = [&](unsigned d) {
    return ShapedType::isDynamic(extents[d]) ? 1 : extents[d];
  };
  const unsigned *outermost =
      llvm::find_if(plan.outer, [&](unsigned d) { return extents[d] != 1; });
  int64_t units = 1;
  if (outermost != plan.outer.end())
    units = known(*outermost);
  else if (plan.vectorDim)
    units = llvm::divideCeil(known(*plan.vectorDim), plan.lanes * plan.vectors);
  int64_t sums = op.getNumDpsInits();
  for (unsigned d = 0; d < extents.size(); ++d)
    sums *= known(d);
  return units > 1 && sums >= leastSums;
}

/// Why no loop went into lanes.
static StringRef whyScalar(linalg::GenericOp op) {
  if (!outputsAreInjective(op))
    return "an element of an output is written by several iterations";
  if (!elementsAllowVectors(op))
    return "there are no vectors of such elements";
  for (unsigned d = 0; d < op.getNumLoops(); ++d)
    if (op.getIteratorTypesArray()[d] == utils::IteratorType::parallel &&
        op.getStaticLoopRanges()[d] != 1)
      return bodyAllows(op, d) ? "scalars cost less"
                               : "an operation of the body is of scalars only";
  return "there is one element";
}

std::string describe(linalg::GenericOp op, const LoopPlan &plan) {
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  auto extent = [&](unsigned d) {
    return ShapedType::isDynamic(extents[d]) ? std::string("?")
                                             : std::to_string(extents[d]);
  };
  std::string text;
  llvm::raw_string_ostream os(text);
  auto list = [&](StringRef what, ArrayRef<unsigned> dims) {
    if (!dims.empty())
      os << what
         << llvm::join(
                llvm::map_range(dims, [&](unsigned d) { return extent(d); }),
                " x ");
  };
  if (plan.parts)
    os << "shared between threads; ";
  if (!plan.vectorDim) {
    os << "scalar loops: " << whyScalar(op);
    list("; loops of ", plan.outer);
    list("; sums over ", plan.reductions);
    return text;
  }
  os << plan.lanes << " lanes out of " << extent(*plan.vectorDim);
  if (plan.unrolled)
    os << ", synapses in straight code";
  list("; loops of ", plan.outer);
  list("; within a block's panel, of ", plan.inside);
  int64_t sums = plan.rows * plan.vectors * op.getNumDpsInits();
  os << "; blocks of ";
  if (plan.rowDim)
    os << plan.rows << " rows out of " << extent(*plan.rowDim) << " x ";
  os << plan.vectors << (plan.vectors == 1 ? " vector" : " vectors");
  SmallVector<std::string> left;
  for (LoopPlan rest = plan;
       rest.rowDim && ShapedType::isDynamic(extents[*rest.rowDim]);) {
    rest = planLeftOver(op, rest);
    std::string rows = rest.rowDim ? std::to_string(rest.rows) + " out of " +
                                         extent(*rest.rowDim)
                                   : "one alone";
    left.push_back(rows + " x " + std::to_string(rest.vectors));
  }
  if (!left.empty())
    os << " (left over: " << llvm::join(left, ", ") << ")";
  if (plan.reductions.empty())
    return text;
  list("; sums over ", plan.reductions);
  os << " in " << sums << (sums == 1 ? " accumulator" : " accumulators");
  if (llvm::any_of(op.getRegion().front(), isCostly))
    return text + ", elementary functions inside: as many as have registers";
  // As blockCost counts.
  int64_t loads = plan.vectors * op.getNumDpsInits() + plan.rows;
  StringRef bound = std::max(sums, loads) < 8 ? "latency"
                    : sums >= loads           ? "arithmetic"
                                              : "loads";
  os << "; an iteration: " << sums << " multiply-adds, " << loads
     << " loads, bound by " << bound;
  return text;
}

} // namespace lnn
