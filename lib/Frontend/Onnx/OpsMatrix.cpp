//===- OpsMatrix.cpp - products of matrices and tensors -------------------===//
//
// All are contractions whose sums ascend over the reduction index. f16 and bf16
// operands are widened where they are multiplied, sums are f32.
//
//===----------------------------------------------------------------------===//
#include "OpContraction.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

//===----------------------------------------------------------------------===//
// MatMul
//===----------------------------------------------------------------------===//

LogicalResult contractedSizes(InferContext &ctx, Dim l, Dim r) {
  if (l == r || !l.isConst() || !r.isConst())
    return success();
  return ctx.error("the contracted sizes differ: " + l.str() + " and " +
                   r.str() + " of " + ctx.in(0).str() + " and " +
                   ctx.in(1).str());
}

LogicalResult inferMatMul(InferContext &ctx) {
  const ValueInfo &l = ctx.in(0), &r = ctx.in(1);
  if (failed(requireType(ctx, 0, isProductType,
                         "a tensor of floats, int32 or int64")) ||
      failed(sameElementType(ctx, 0, 1)))
    return failure();
  if (l.rank() == 0 || r.rank() == 0)
    return ctx.error("operands must have rank 1 or more; found " + l.str() +
                     " and " + r.str());
  ArrayRef<Dim> a = l.dims, b = r.dims;
  Dim k = a.back(), k2 = b.size() == 1 ? b[0] : b[b.size() - 2];
  if (failed(contractedSizes(ctx, k, k2)))
    return failure();
  ValueInfo &out = ctx.out(0);
  out.elementType = l.elementType;
  FailureOr<SmallVector<Dim>> batch =
      ctx.broadcast(a.size() > 2 ? a.drop_back(2) : ArrayRef<Dim>(),
                    b.size() > 2 ? b.drop_back(2) : ArrayRef<Dim>());
  if (failed(batch))
    return failure();
  out.dims = *batch;
  if (a.size() > 1)
    out.dims.push_back(a[a.size() - 2]);
  if (b.size() > 1)
    out.dims.push_back(b.back());
  return success();
}

/// Map of an operand over (batch..., m, n, k): its own batch, then `last`.
AffineMap matMulMap(ExpandContext &ctx, ArrayRef<Dim> operandBatch,
                    ArrayRef<Dim> batch, int64_t dims, ArrayRef<int64_t> last) {
  MLIRContext *context = ctx.b.getContext();
  SmallVector<AffineExpr> reads;
  if (!operandBatch.empty())
    llvm::append_range(reads,
                       broadcastMap(ctx, operandBatch, batch).getResults());
  for (int64_t d : last)
    reads.push_back(getAffineDimExpr(d, context));
  return AffineMap::get(dims, 0, reads, context);
}

Value matMulGeneric(ExpandContext &ctx, Value l, Value r, Type type) {
  const ValueInfo &a = ctx.inInfo(0), &c = ctx.inInfo(1), &out = ctx.outInfo(0);
  bool hasM = a.rank() > 1, hasN = c.rank() > 1;
  ArrayRef<Dim> batch = ArrayRef(out.dims).drop_back(hasM + hasN);
  int64_t next = batch.size(), m = next, n = m + hasM, k = n + hasN;
  int64_t dims = k + 1;
  SmallVector<int64_t> lastA, lastB, lastOut;
  if (hasM)
    lastA.push_back(m), lastOut.push_back(m);
  lastA.push_back(k);
  lastB.push_back(k);
  if (hasN)
    lastB.push_back(n), lastOut.push_back(n);
  ArrayRef<Dim> aBatch = ArrayRef(a.dims).drop_back(hasM ? 2 : 1);
  ArrayRef<Dim> bBatch = ArrayRef(c.dims).drop_back(hasN ? 2 : 1);
  SmallVector<AffineMap> maps = {matMulMap(ctx, aBatch, batch, dims, lastA),
                                 matMulMap(ctx, bBatch, batch, dims, lastB),
                                 matMulMap(ctx, batch, batch, dims, lastOut)};
  return contract(ctx, l, r, maps, out.dims, type);
}

LogicalResult expandMatMul(ExpandContext &ctx) {
  const ValueInfo &a = ctx.inInfo(0), &c = ctx.inInfo(1), &out = ctx.outInfo(0);
  Type stored = ExpandContext::converted(out.elementType);
  Type type = computeType(out.elementType);
  Value l = input(ctx, 0), r = input(ctx, 1);
  Dim k = a.dims.back(), k2 = c.rank() == 1 ? c.dims[0] : c.dims[c.rank() - 2];
  if (k != k2)
    ctx.checkEqual(k, k2, "the contracted size");
  Value v;
  if (a.rank() == 2 && c.rank() == 2 && type == stored) {
    Value zero = ctx.filled(out.dims, scalarAttr(type, 0));
    v = linalg::MatmulOp::create(ctx.b, ctx.loc, ValueRange{l, r},
                                 ValueRange{zero})
            .getResult(0);
  } else {
    v = matMulGeneric(ctx, l, r, type);
  }
  give(ctx, 0, store(ctx, v, out.dims, stored));
  return success();
}

//===----------------------------------------------------------------------===//
// Gemm
//===----------------------------------------------------------------------===//

LogicalResult inferGemm(InferContext &ctx) {
  const ValueInfo &a = ctx.in(0), &b = ctx.in(1);
  if (failed(requireType(ctx, 0, isProductType,
                         "a tensor of floats, int32 or int64")) ||
      failed(sameElementType(ctx, 0, 1)))
    return failure();
  if (a.rank() != 2 || b.rank() != 2)
    return ctx.error("A and B must have rank 2; found " + a.str() + " and " +
                     b.str());
  bool ta = ctx.intAttr("transA", 0) != 0, tb = ctx.intAttr("transB", 0) != 0;
  if (failed(contractedSizes(ctx, a.dims[ta ? 0 : 1], b.dims[tb ? 1 : 0])))
    return failure();
  ValueInfo &out = ctx.out(0);
  out.elementType = a.elementType;
  out.dims = {a.dims[ta ? 1 : 0], b.dims[tb ? 0 : 1]};
  if (!ctx.hasInput(2))
    return success();
  if (failed(sameElementType(ctx, 0, 2)))
    return failure();
  const ValueInfo &c = ctx.in(2);
  bool fits = c.rank() <= 2;
  for (int64_t d = 0; fits && d < c.rank(); ++d) {
    Dim have = c.dims[d], want = out.dims[d + 2 - c.rank()];
    fits =
        have == want || have.isConst(1) || !have.isConst() || !want.isConst();
  }
  return fits ? success()
              : ctx.error("C " + c.str() + " cannot be broadcast to " +
                          out.str());
}

/// alpha * product + beta * C, each factor only where it is not 1.
Value gemmEpilogue(ExpandContext &ctx, Value product, Type type) {
  const ValueInfo &out = ctx.outInfo(0);
  double alpha = ctx.floatAttr("alpha", 1), beta = ctx.floatAttr("beta", 1);
  bool hasC = ctx.hasInput(2) && beta != 0;
  Type stored = ExpandContext::converted(out.elementType);
  if (!hasC && alpha == 1)
    return store(ctx, product, out.dims, stored);
  AffineMap identity = ctx.b.getMultiDimIdentityMap(2);
  SmallVector<Value> inputs = {product};
  SmallVector<AffineMap> maps = {identity};
  if (hasC) {
    inputs.push_back(input(ctx, 2));
    maps.push_back(broadcastMap(ctx, ctx.inInfo(2).dims, out.dims));
  }
  maps.push_back(identity);
  auto times = [&](OpBuilder &b, Location loc, Value v, double by) -> Value {
    if (by == 1)
      return v;
    Value factor = scalar(b, loc, type, by);
    return isa<FloatType>(type)
               ? Value(arith::MulFOp::create(b, loc, v, factor))
               : Value(arith::MulIOp::create(b, loc, v, factor));
  };
  return generic(ctx, inputs, maps, ctx.empty(out),
                 [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
                   Value v = times(b, loc, args[0], alpha);
                   if (!hasC)
                     return narrow(b, loc, v, stored);
                   Value c = times(b, loc, widen(b, loc, args[1]), beta);
                   v = isa<FloatType>(type)
                           ? Value(arith::AddFOp::create(b, loc, v, c))
                           : Value(arith::AddIOp::create(b, loc, v, c));
                   return narrow(b, loc, v, stored);
                 });
}

LogicalResult expandGemm(ExpandContext &ctx) {
  const ValueInfo &a = ctx.inInfo(0), &c = ctx.inInfo(1), &out = ctx.outInfo(0);
  bool ta = ctx.intAttr("transA", 0) != 0, tb = ctx.intAttr("transB", 0) != 0;
  Type type = computeType(out.elementType);
  Value l = input(ctx, 0), r = input(ctx, 1);
  Dim k = a.dims[ta ? 0 : 1], k2 = c.dims[tb ? 1 : 0];
  if (k != k2)
    ctx.checkEqual(k, k2, "the contracted size");
  // Constants are turned now, so that the output's axis is the contiguous one.
  if (tb && constantOf(r)) {
    r = transpose(ctx, r, c.dims, {1, 0});
    tb = false;
  }
  Value product;
  if (!ta && !tb && type == ExpandContext::converted(out.elementType)) {
    Value zero = ctx.filled(out.dims, scalarAttr(type, 0));
    product = linalg::MatmulOp::create(ctx.b, ctx.loc, ValueRange{l, r},
                                       ValueRange{zero})
                  .getResult(0);
  } else {
    AffineExpr m, n, p;
    MLIRContext *context = ctx.b.getContext();
    bindDims(context, m, n, p);
    auto map = [&](AffineExpr x, AffineExpr y) {
      return AffineMap::get(3, 0, {x, y}, context);
    };
    product = contract(
        ctx, l, r,
        {ta ? map(p, m) : map(m, p), tb ? map(n, p) : map(p, n), map(m, n)},
        out.dims, type);
  }
  give(ctx, 0, gemmEpilogue(ctx, product, type));
  return success();
}

template <LogicalResult (*infer)(InferContext &),
          LogicalResult (*expand)(ExpandContext &)>
OpEntry row(StringRef name, unsigned minInputs, unsigned maxInputs) {
  return entry<infer, expand>(name, minInputs, maxInputs);
}

} // namespace

void addMatrixOps(std::vector<OpEntry> &t) {
  t.push_back(row<inferMatMul, expandMatMul>("MatMul", 2, 2));
  t.push_back(row<inferGemm, expandGemm>("Gemm", 2, 3));
  addEinsumOp(t);
  addConvolutionOps(t);
}

} // namespace lnn::onnx
