//===- TileProducts.cpp - products on a processor's matrix tiles ----------===//
//
// x W, with x rounded to bf16 and W a constant of bf16, by AMX. On tensors, a
// product becomes one of padded matrices,
//
//   p[m, n] = sum over k, h of x'[m, k, h] w'[n floordiv 16, k, n mod 16, h]
//
// with two neighbours of the sum side by side, as the instructions want them;
// what the sum began with is added behind. On buffers it becomes loops over
// blocks of 32 x 32, four tiles; the last block of rows overlaps the one before
// it and stores the same again.
//
//===----------------------------------------------------------------------===//
#include "TileProducts.h"

#include "Fusion.h"
#include "LoopPlan.h"
#include "lnn/Transforms/LargeConstants.h"

#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include <cmath>

using namespace mlir;

namespace lnn {

/// Rows and columns of a tile of f32, the pairs in a row of a tile of bf16, and
/// rows and columns of a block.
constexpr int64_t tile = 16, block = 32;

namespace {
/// acc[rows..., n] += x[rows..., k] w[k, n], for each output another w.
class TileMaker {
public:
  TileMaker(linalg::GenericOp op, RewriterBase &rewriter)
      : op(op), rewriter(rewriter), loc(op.getLoc()) {}
  bool run();

private:
  bool find();
  OpOperand *matrixOf(unsigned output);
  bool findRows();
  Value paddedRows();
  Value packed(OpOperand &weights);
  Value product(Value x, Value w, unsigned output);

  linalg::GenericOp op;
  RewriterBase &rewriter;
  Location loc;
  unsigned reduction = 0, column = 0; ///< loops
  SmallVector<unsigned> rows;
  OpOperand *x = nullptr;
  SmallVector<OpOperand *> matrices; ///< by output
  OpFoldResult paddedExtent;
};
} // namespace

/// The operand that an output is the sum of products of x and; null where it is
/// something else.
OpOperand *TileMaker::matrixOf(unsigned output) {
  Block &body = op.getRegion().front();
  Value accumulator = op.getRegionOutputArgs()[output];
  Value term = addedTerm(accumulator, body.getTerminator()->getOperand(output));
  auto product = term ? term.getDefiningOp<arith::MulFOp>() : arith::MulFOp();
  if (!product || !accumulator.hasOneUse())
    return nullptr;
  OpOperand *factors[2];
  for (auto [factor, value] :
       llvm::zip(factors, std::array{product.getLhs(), product.getRhs()})) {
    auto argument = dyn_cast<BlockArgument>(value);
    if (!argument || argument.getOwner() != &body ||
        argument.getArgNumber() >= unsigned(op.getNumDpsInputs()))
      return nullptr;
    factor = op.getDpsInputOperand(argument.getArgNumber());
  }
  if (packable(factors[0]->get()))
    std::swap(factors[0], factors[1]);
  if (!packable(factors[1]->get()) || (x && x != factors[0]))
    return nullptr;
  x = factors[0];
  return factors[1];
}

/// x has the loops over rows as its dimensions, in any order, then the sum's.
bool TileMaker::findRows() {
  AffineMap map = op.getMatchingIndexingMap(x);
  if (!map.isProjectedPermutation() ||
      map.getNumResults() != op.getNumLoops() - 1 ||
      map.isFunctionOfDim(column) ||
      map.getResults().back() != rewriter.getAffineDimExpr(reduction))
    return false;
  for (AffineExpr expr : map.getResults().drop_back())
    rows.push_back(cast<AffineDimExpr>(expr).getPosition());
  return !rows.empty();
}

bool TileMaker::find() {
  if (op.getNumReductionLoops() != 1 || op.hasIndexSemantics() ||
      !op.hasPureTensorSemantics() || op->hasAttr(sparseWeights))
    return false;
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  reduction = reductions[0];
  for (unsigned output = 0; output < op.getNumDpsInits(); ++output) {
    OpOperand *w = matrixOf(output);
    if (!w)
      return false;
    AffineMap map = op.getMatchingIndexingMap(w);
    ElementsAttr elements = packable(w->get());
    if (!elements.getElementType().isF32() ||
        !llvm::all_of(valuesOf(elements),
                      [](float w) { return std::isfinite(w); }) ||
        map.getNumResults() != 2 || !map.isProjectedPermutation() ||
        !map.isFunctionOfDim(reduction))
      return false;
    unsigned other = map.getDimPosition(0) == reduction ? map.getDimPosition(1)
                                                        : map.getDimPosition(0);
    if (output > 0 && other != column)
      return false;
    column = other;
    matrices.push_back(w);
  }
  if (!findRows())
    return false;
  // Fewer rows than a tile has leave most of it idle.
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  int64_t count = 1;
  for (unsigned d : rows) {
    if (ShapedType::isDynamic(extents[d])) {
      count = ShapedType::kDynamic;
      break;
    }
    count *= extents[d];
  }
  if ((count != ShapedType::kDynamic && count < tile) ||
      extents[reduction] < tile || extents[column] < tile)
    return false;
  if (!isa<RankedTensorType>(x->get().getType()) ||
      !getElementTypeOrSelf(x->get()).isF32())
    return false;
  return llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
    AffineMap map = op.getMatchingIndexingMap(&output);
    return getElementTypeOrSelf(output.get()).isF32() &&
           map.isProjectedPermutation() &&
           map.getNumResults() == rows.size() + 1;
  });
}

/// x as [rows or more, k / 2, 2] in bf16; k filled up with zeros.
Value TileMaker::paddedRows() {
  Value value = x->get();
  int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
  if (rank > 2) {
    SmallVector<ReassociationIndices> groups(2);
    for (int64_t d = 0; d + 1 < rank; ++d)
      groups[0].push_back(d);
    groups[1].push_back(rank - 1);
    value = tensor::CollapseShapeOp::create(rewriter, loc, value, groups);
  }
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, value);
  if (std::optional<int64_t> count = getConstantIntValue(sizes[0])) {
    paddedExtent = rewriter.getIndexAttr(std::max(*count, block));
  } else {
    Value least = arith::ConstantIndexOp::create(rewriter, loc, block);
    paddedExtent =
        arith::MaxUIOp::create(rewriter, loc, cast<Value>(sizes[0]), least)
            .getResult();
  }
  int64_t k = op.getStaticLoopRanges()[reduction],
          padded = llvm::alignTo(k, block);
  Type narrow = rewriter.getBF16Type();
  Value all = tensor::EmptyOp::create(
      rewriter, loc, {paddedExtent, rewriter.getIndexAttr(padded)}, narrow);
  if (padded != k) {
    Value zero =
        arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(narrow));
    all = linalg::FillOp::create(rewriter, loc, zero, all).getResult(0);
  }
  SmallVector<OpFoldResult> zeros(2, rewriter.getIndexAttr(0)),
      ones(2, rewriter.getIndexAttr(1));
  Value place =
      tensor::ExtractSliceOp::create(rewriter, loc, all, zeros, sizes, ones);
  AffineMap id = rewriter.getMultiDimIdentityMap(2);
  Value rounded =
      linalg::GenericOp::create(
          rewriter, loc, place.getType(), value, place, {id, id},
          SmallVector<utils::IteratorType>(2, utils::IteratorType::parallel),
          [&](OpBuilder &b, Location at, ValueRange v) {
            Value half = arith::TruncFOp::create(b, at, narrow, v[0]);
            linalg::YieldOp::create(b, at, half);
          })
          .getResult(0);
  all = tensor::InsertSliceOp::create(rewriter, loc, rounded, all, zeros, sizes,
                                      ones);
  SmallVector<ReassociationIndices> groups{{0}, {1, 2}};
  SmallVector<OpFoldResult> shape{paddedExtent,
                                  rewriter.getIndexAttr(padded / 2),
                                  rewriter.getIndexAttr(2)};
  int64_t extent =
      getConstantIntValue(paddedExtent).value_or(ShapedType::kDynamic);
  return tensor::ExpandShapeOp::create(
      rewriter, loc, RankedTensorType::get({extent, padded / 2, 2}, narrow),
      all, groups, shape);
}

/// w as [n / 16, k / 2, 16, 2], filled up with zeros.
Value TileMaker::packed(OpOperand &weights) {
  ElementsAttr elements = packable(weights.get());
  ArrayRef<float> values = valuesOf(elements);
  AffineMap map = op.getMatchingIndexingMap(&weights);
  bool columnsFirst = map.getDimPosition(0) != reduction;
  SmallVector<int64_t> extents = op.getStaticLoopRanges();
  int64_t k = extents[reduction], n = extents[column],
          pairs = llvm::alignTo(k, block) / 2,
          columns = llvm::alignTo(n, block);
  std::vector<char> result(columns * pairs * 2 * sizeof(uint16_t));
  auto *words = reinterpret_cast<uint16_t *>(result.data());
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float w = columnsFirst ? values[j * k + i] : values[i * n + j];
      words[((j / tile * pairs + i / 2) * tile + j % tile) * 2 + i % 2] =
          toBF16(w);
    }
  auto type = RankedTensorType::get({columns / tile, pairs, tile, 2},
                                    rewriter.getBF16Type());
  return arith::ConstantOp::create(
      rewriter, loc, type,
      cast<TypedAttr>(elementsOf(type, std::move(result), "lnn_tiles")));
}

/// What the output began with, and the product.
Value TileMaker::product(Value rowsOfX, Value w, unsigned output) {
  OpBuilder &b = rewriter;
  int64_t n = op.getStaticLoopRanges()[column],
          columns = llvm::alignTo(n, block);
  Value empty = tensor::EmptyOp::create(
      rewriter, loc, {paddedExtent, rewriter.getIndexAttr(columns)},
      rewriter.getF32Type());
  Value zero =
      arith::ConstantOp::create(rewriter, loc, rewriter.getF32FloatAttr(0));
  Value zeros = linalg::FillOp::create(rewriter, loc, zero, empty).getResult(0);
  AffineExpr i = b.getAffineDimExpr(0), j = b.getAffineDimExpr(1),
             k = b.getAffineDimExpr(2), h = b.getAffineDimExpr(3);
  MLIRContext *context = b.getContext();
  SmallVector<AffineMap> maps{
      AffineMap::get(4, 0, {i, k, h}, context),
      AffineMap::get(4, 0, {j.floorDiv(tile), k, j % tile, h}, context),
      AffineMap::get(4, 0, {i, j}, context)};
  using utils::IteratorType;
  auto made = linalg::GenericOp::create(
      rewriter, loc, zeros.getType(), ValueRange{rowsOfX, w}, zeros, maps,
      {IteratorType::parallel, IteratorType::parallel, IteratorType::reduction,
       IteratorType::reduction},
      [&](OpBuilder &in, Location at, ValueRange v) {
        Type wide = in.getF32Type();
        Value product = arith::MulFOp::create(
            in, at, arith::ExtFOp::create(in, at, wide, v[0]),
            arith::ExtFOp::create(in, at, wide, v[1]));
        Value sum = arith::AddFOp::create(in, at, v[2], product);
        linalg::YieldOp::create(in, at, sum);
      });
  made->setAttr(tileProduct, rewriter.getUnitAttr());
  // The rows that there are, with all of their dimensions again.
  SmallVector<OpFoldResult> shape =
      tensor::getMixedSizes(rewriter, loc, x->get());
  shape.back() = rewriter.getIndexAttr(n);
  OpFoldResult count = shape[0];
  for (size_t d = 1; d + 1 < shape.size(); ++d)
    count = affine::makeComposedFoldedAffineApply(
        rewriter, loc, b.getAffineSymbolExpr(0) * b.getAffineSymbolExpr(1),
        {count, shape[d]});
  SmallVector<OpFoldResult> offsets(2, rewriter.getIndexAttr(0)),
      steps(2, rewriter.getIndexAttr(1)), part{count, rewriter.getIndexAttr(n)};
  Value result = tensor::ExtractSliceOp::create(
      rewriter, loc, made.getResult(0), offsets, part, steps);
  if (rows.size() > 1) {
    SmallVector<ReassociationIndices> groups(2);
    for (size_t d = 0; d < rows.size(); ++d)
      groups[0].push_back(d);
    groups[1].push_back(rows.size());
    SmallVector<int64_t> known;
    for (OpFoldResult size : shape)
      known.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
    result = tensor::ExpandShapeOp::create(
        rewriter, loc, RankedTensorType::get(known, b.getF32Type()), result,
        groups, shape);
  }
  OpOperand *init = op.getDpsInitOperand(output);
  auto type = cast<RankedTensorType>(init->get().getType());
  AffineMap to = op.getMatchingIndexingMap(init),
            id = rewriter.getMultiDimIdentityMap(type.getRank());
  SmallVector<AffineExpr> from;
  for (unsigned d : rows)
    from.push_back(
        b.getAffineDimExpr(*to.getResultPosition(b.getAffineDimExpr(d))));
  from.push_back(
      b.getAffineDimExpr(*to.getResultPosition(b.getAffineDimExpr(column))));
  Value sums = tensor::EmptyOp::create(
      rewriter, loc, tensor::getMixedSizes(rewriter, loc, init->get()),
      b.getF32Type());
  return linalg::GenericOp::create(
             rewriter, loc, type, ValueRange{init->get(), result}, sums,
             {id, AffineMap::get(type.getRank(), 0, from, context), id},
             SmallVector<IteratorType>(type.getRank(), IteratorType::parallel),
             [](OpBuilder &in, Location at, ValueRange v) {
               Value sum = arith::AddFOp::create(in, at, v[0], v[1]);
               linalg::YieldOp::create(in, at, sum);
             })
      .getResult(0);
}

bool TileMaker::run() {
  if (!find())
    return false;
  rewriter.setInsertionPoint(op);
  Value rowsOfX = paddedRows();
  SmallVector<Value> results;
  for (auto [output, weights] : llvm::enumerate(matrices))
    results.push_back(product(rowsOfX, packed(*weights), output));
  rewriter.replaceOp(op, results);
  return true;
}

unsigned makeTileProducts(func::FuncOp function, RewriterBase &rewriter) {
  SmallVector<linalg::GenericOp> ops;
  function.walk([&](linalg::GenericOp op) { ops.push_back(op); });
  unsigned made = 0;
  for (linalg::GenericOp op : ops)
    made += TileMaker(op, rewriter).run();
  return made;
}

//===----------------------------------------------------------------------===//
// On buffers
//===----------------------------------------------------------------------===//

bool isTileProduct(linalg::GenericOp op) {
  return op->hasAttr(tileProduct) && op.getNumDpsInputs() == 2 &&
         op.getNumDpsInits() == 1 && op.getNumLoops() == 4 &&
         llvm::all_of(op.getOperandTypes(), [](Type type) {
           auto memref = dyn_cast<MemRefType>(type);
           return memref && memref.getLayout().isIdentity();
         });
}

namespace {
/// One block of 32 x 32: its matrices, and where it is.
struct TileBlock {
  ImplicitLocOpBuilder &b;
  Value x, w, out;
  Value rows[2], panels[2], columns[2];

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value plus(Value a, int64_t offset) {
    return arith::AddIOp::create(b, a, index(offset));
  }
  /// Adds the products of `count` tiles from the k-th pair on, to zero or to
  /// what is stored. Tiles are no values of a loop: all of it is straight code.
  void add(Value k, int64_t count, bool fromZero) {
    auto narrow = amx::TileType::get({tile, 2 * tile}, b.getBF16Type()),
         wide = amx::TileType::get({tile, tile}, b.getF32Type());
    Value sums[4];
    for (int i = 0; i < 4; ++i)
      sums[i] = fromZero
                    ? Value(amx::TileZeroOp::create(b, wide))
                    : Value(amx::TileLoadOp::create(
                          b, wide, out, ValueRange{rows[i / 2], columns[i % 2]},
                          Value()));
    for (int64_t step = 0; step < count; ++step) {
      Value pair = plus(k, step * tile), zero = index(0),
            at = arith::MulIOp::create(b, pair, index(2));
      Value a[2], c[2];
      for (int i = 0; i < 2; ++i) {
        a[i] = amx::TileLoadOp::create(b, narrow, x, ValueRange{rows[i], at},
                                       Value());
        c[i] = amx::TileLoadOp::create(
            b, narrow, w, ValueRange{panels[i], pair, zero}, Value());
      }
      for (int i = 0; i < 4; ++i)
        sums[i] = amx::TileMulFOp::create(b, wide, a[i / 2], c[i % 2], sums[i]);
    }
    for (int i = 0; i < 4; ++i)
      amx::TileStoreOp::create(b, out, ValueRange{rows[i / 2], columns[i % 2]},
                               sums[i]);
  }
};
} // namespace

void emitTileProduct(linalg::GenericOp op, RewriterBase &rewriter) {
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  TileBlock at{
      b,
      memref::CollapseShapeOp::create(
          b, op.getInputs()[0], SmallVector<ReassociationIndices>{{0}, {1, 2}}),
      memref::CollapseShapeOp::create(
          b, op.getInputs()[1],
          SmallVector<ReassociationIndices>{{0}, {1}, {2, 3}}),
      op.getOutputs()[0],
      {},
      {},
      {}};
  int64_t steps = cast<MemRefType>(at.w.getType()).getDimSize(1) / tile,
          columns = cast<MemRefType>(at.out.getType()).getDimSize(1);
  Value rows = getValueOrCreateConstantIndexOp(
      b, b.getLoc(), memref::getMixedSize(b, b.getLoc(), at.out, 0));
  Value lastRow = arith::SubIOp::create(b, rows, at.index(block));
  auto panels =
      scf::ForOp::create(b, at.index(0), at.index(columns / tile), at.index(2));
  b.setInsertionPointToStart(panels.getBody());
  at.panels[0] = panels.getInductionVar();
  at.panels[1] = at.plus(at.panels[0], 1);
  for (int i = 0; i < 2; ++i)
    at.columns[i] = arith::MulIOp::create(b, at.panels[i], at.index(tile));
  auto blocks = scf::ForOp::create(b, at.index(0), rows, at.index(block));
  b.setInsertionPointToStart(blocks.getBody());
  at.rows[0] = arith::MinUIOp::create(b, blocks.getInductionVar(), lastRow);
  at.rows[1] = at.plus(at.rows[0], tile);
  constexpr int64_t most = 32; // steps in one piece of code
  at.add(at.index(0), std::min(steps, most), /*fromZero=*/true);
  int64_t whole = steps / most * most;
  if (whole > most) {
    auto more =
        scf::ForOp::create(b, at.index(most * tile), at.index(whole * tile),
                           at.index(most * tile));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(more.getBody());
    at.add(more.getInductionVar(), most, /*fromZero=*/false);
  }
  if (steps > most && steps > whole)
    at.add(at.index(whole * tile), steps - whole, /*fromZero=*/false);
}

} // namespace lnn
