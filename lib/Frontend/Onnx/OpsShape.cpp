//===- OpsShape.cpp - operators that give elements another shape
//------------===//
//
// Nothing is computed: reshapes, transposes, concatenations and splits.
//
//===----------------------------------------------------------------------===//
#include "OpShapeHelpers.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

Type i64(InferContext &ctx) {
  return IntegerType::get(ctx.op.getContext(), 64);
}

//===----------------------------------------------------------------------===//
// Shape, Size
//===----------------------------------------------------------------------===//

LogicalResult inferShape(InferContext &ctx) {
  int64_t rank = ctx.in(0).rank();
  auto clamp = [&](int64_t v) {
    return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank);
  };
  int64_t start = clamp(std::max<int64_t>(ctx.intAttr("start", 0), -rank));
  int64_t end = clamp(std::max<int64_t>(ctx.intAttr("end", rank), -rank - 1));
  if (ctx.intAttr("end", rank) < -rank)
    end = 0;
  SmallVector<Dim> data;
  for (int64_t i = start; i < end; ++i)
    data.push_back(ctx.in(0).dims[i]);
  ctx.out(0).elementType = i64(ctx);
  ctx.out(0).dims = {ctx.c(data.size())};
  setData(ctx.out(0), std::move(data));
  return success();
}

LogicalResult inferSize(InferContext &ctx) {
  Product p = productOf(ctx.in(0).dims);
  if (p.overflow)
    return ctx.error("the number of elements overflows");
  ctx.out(0).elementType = i64(ctx);
  ctx.out(0).dims = {};
  setData(ctx.out(0), {toDim(ctx.dims, p)});
  return success();
}

/// Shape's and Size's results are known, which giveKnown has used.
LogicalResult expandNever(ExpandContext &ctx) {
  return ctx.unsupported("the result is too large to compute");
}

//===----------------------------------------------------------------------===//
// Reshape, Flatten, Squeeze, Unsqueeze
//===----------------------------------------------------------------------===//

/// The same elements in another shape: contents stay known.
LogicalResult moveInfo(InferContext &ctx, SmallVector<Dim> dims) {
  Product from = productOf(ctx.in(0).dims), to = productOf(dims);
  if (from.overflow || to.overflow)
    return ctx.error("the number of elements overflows");
  if (from.factors.empty() && to.factors.empty() && !(from == to))
    return ctx.error("cannot take " + ctx.in(0).str() + " of " +
                     Twine(from.coefficient) + " elements to a shape of " +
                     Twine(to.coefficient));
  ValueInfo &out = ctx.out(0);
  out.elementType = ctx.in(0).elementType;
  out.dims = std::move(dims);
  if (auto contents = contentsOf(ctx, 0))
    setContents(out, *contents);
  if (auto floats = knownFloats(ctx.in(0)))
    setFloats(out, *floats);
  return success();
}

LogicalResult expandReshape(ExpandContext &ctx) {
  const ValueInfo &from = ctx.inInfo(0), &to = ctx.outInfo(0);
  checkNonNegative(ctx, to.dims);
  Product have = productOf(from.dims), want = productOf(to.dims);
  if (!(have == want))
    ctx.checkEqual(toDim(ctx.dims, have), toDim(ctx.dims, want),
                   "the number of elements before and after");
  give(ctx, 0, reshape(ctx, input(ctx, 0), from.dims, to.dims));
  return success();
}

/// The requested sizes with 0 (copy) resolved; `rest` is the place of -1.
LogicalResult requestedSizes(InferContext &ctx, SmallVector<Dim> &dims,
                             std::optional<size_t> &rest) {
  bool zeroCopies = ctx.intAttr("allowzero", 0) == 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i].isConst(0) && zeroCopies) {
      if (i >= ctx.in(0).dims.size())
        return ctx.error("shape[" + Twine(i) +
                         "] is 0 (copy), but input 0 is " + ctx.in(0).str());
      dims[i] = ctx.in(0).dims[i];
    } else if (dims[i].isConst(-1)) {
      if (rest)
        return ctx.error("shape holds -1 twice");
      rest = i;
    } else if (dims[i].isConst() && dims[i].value() < 0) {
      return ctx.error("shape[" + Twine(i) + "] is " + Twine(dims[i].value()));
    }
  }
  return success();
}

LogicalResult inferReshape(InferContext &ctx) {
  const SmallVector<Dim> *shape = dataOf(ctx, 1);
  if (!shape)
    return ctx.unsupported("the shape (input 1) must be known from constants "
                           "and the sizes of inputs");
  SmallVector<Dim> dims = *shape;
  std::optional<size_t> rest;
  if (failed(requestedSizes(ctx, dims, rest)))
    return failure();
  if (rest) {
    dims[*rest] = ctx.c(1);
    Product all = productOf(ctx.in(0).dims), others = productOf(dims);
    if (all.overflow || others.overflow || others.coefficient == 0)
      return ctx.error("-1 in shape cannot be resolved for " + ctx.in(0).str());
    if (std::optional<Product> exact = divide(all, others))
      dims[*rest] = toDim(ctx.dims, *exact);
    else if (all.factors.empty() && others.factors.empty())
      return ctx.error(ctx.in(0).str() + " has " + Twine(all.coefficient) +
                       " elements, which " + Twine(others.coefficient) +
                       " does not divide");
    else
      dims[*rest] =
          ctx.dims.floorDiv(toDim(ctx.dims, all), toDim(ctx.dims, others));
  }
  return moveInfo(ctx, std::move(dims));
}

LogicalResult inferFlatten(InferContext &ctx) {
  ArrayRef<Dim> dims = ctx.in(0).dims;
  int64_t rank = dims.size(), axis = ctx.intAttr("axis", 1);
  if (axis < -rank || axis > rank)
    return ctx.error("axis " + Twine(axis) + " is outside [-" + Twine(rank) +
                     ", " + Twine(rank) + "]");
  if (axis < 0)
    axis += rank;
  Product left = productOf(dims.take_front(axis)),
          right = productOf(dims.drop_front(axis));
  if (left.overflow || right.overflow)
    return ctx.error("the number of elements overflows");
  return moveInfo(ctx, {toDim(ctx.dims, left), toDim(ctx.dims, right)});
}

LogicalResult squeezeMask(NodeView &node, InfoFn in, SmallVector<bool> &mask) {
  ArrayRef<Dim> dims = in(0).dims;
  if (auto axes = node.intsAttr("axes")) // before opset 13
    return maskOf(node, *axes, dims.size(), mask);
  if (node.hasInput(1))
    return axesMask(node, in(1), dims.size(), mask);
  for (Dim d : dims) {
    if (!d.isConst())
      return node.unsupported(
          "without axes, all sizes must be constant; found " + in(0).str());
    mask.push_back(d.isConst(1));
  }
  return success();
}

LogicalResult inferSqueeze(InferContext &ctx) {
  SmallVector<bool> mask;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.in(i); };
  if (failed(squeezeMask(ctx, in, mask)))
    return failure();
  SmallVector<Dim> dims;
  for (auto [dim, gone] : llvm::zip(ctx.in(0).dims, mask)) {
    if (!gone)
      dims.push_back(dim);
    else if (dim.isConst() && !dim.isConst(1))
      return ctx.error("cannot squeeze a dimension of size " +
                       Twine(dim.value()) + " of " + ctx.in(0).str());
  }
  return moveInfo(ctx, std::move(dims));
}

LogicalResult expandSqueeze(ExpandContext &ctx) {
  SmallVector<bool> mask;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(squeezeMask(ctx, in, mask)))
    return failure();
  SmallVector<Dim> from = ctx.inInfo(0).dims;
  for (auto [i, gone] : llvm::enumerate(mask))
    if (gone && !from[i].isConst(1)) {
      Dim one = ctx.dims.constant(1);
      ctx.checkEqual(from[i], one, "a dimension to squeeze");
      from[i] = one;
    }
  give(ctx, 0, reshape(ctx, input(ctx, 0), from, ctx.outInfo(0).dims));
  return success();
}

LogicalResult inferUnsqueeze(InferContext &ctx) {
  std::optional<SmallVector<int64_t>> axes = ctx.intsAttr("axes");
  if (!axes && ctx.hasInput(1))
    axes = knownIntegers(ctx.in(1));
  if (!axes)
    return ctx.unsupported("the axes (input 1) must be constant");
  SmallVector<bool> mask;
  if (failed(maskOf(ctx, *axes, ctx.in(0).rank() + axes->size(), mask)))
    return failure();
  SmallVector<Dim> dims;
  size_t next = 0;
  for (bool added : mask)
    dims.push_back(added ? ctx.c(1) : ctx.in(0).dims[next++]);
  return moveInfo(ctx, std::move(dims));
}

//===----------------------------------------------------------------------===//
// Transpose
//===----------------------------------------------------------------------===//

LogicalResult permutation(NodeView &node, int64_t rank,
                          SmallVector<int64_t> &perm) {
  std::optional<SmallVector<int64_t>> given = node.intsAttr("perm");
  for (int64_t i = rank - 1; !given && i >= 0; --i)
    perm.push_back(i);
  if (!given)
    return success();
  perm = *given;
  SmallVector<bool> seen(rank, false);
  bool valid = static_cast<int64_t>(perm.size()) == rank;
  for (int64_t p : perm) {
    valid = valid && p >= 0 && p < rank && !seen[p];
    if (valid)
      seen[p] = true;
  }
  return valid ? success()
               : node.error("perm must be a permutation of " + Twine(rank) +
                            " dimensions");
}

/// Row-major contents of these sizes, which are constants, in another order of
/// dimensions.
SmallVector<Dim> permuted(ArrayRef<Dim> contents, ArrayRef<Dim> dims,
                          ArrayRef<int64_t> perm) {
  SmallVector<int64_t> strides(dims.size(), 1), at(dims.size(), 0);
  for (size_t d = dims.size(); d-- > 1;)
    strides[d - 1] = strides[d] * dims[d].value();
  SmallVector<Dim> result;
  while (result.size() < contents.size()) {
    int64_t from = 0;
    for (auto [i, p] : llvm::enumerate(perm))
      from += at[i] * strides[p];
    result.push_back(contents[from]);
    for (size_t i = perm.size(); i-- > 0;) {
      if (++at[i] < dims[perm[i]].value())
        break;
      at[i] = 0;
    }
  }
  return result;
}

LogicalResult inferTranspose(InferContext &ctx) {
  SmallVector<int64_t> perm;
  if (failed(permutation(ctx, ctx.in(0).rank(), perm)))
    return failure();
  ctx.out(0).elementType = ctx.in(0).elementType;
  for (int64_t p : perm)
    ctx.out(0).dims.push_back(ctx.in(0).dims[p]);
  if (auto contents = contentsOf(ctx, 0))
    setContents(ctx.out(0), permuted(*contents, ctx.in(0).dims, perm));
  return success();
}

LogicalResult expandTranspose(ExpandContext &ctx) {
  SmallVector<int64_t> perm;
  if (failed(permutation(ctx, ctx.inInfo(0).rank(), perm)))
    return failure();
  give(ctx, 0, transpose(ctx, input(ctx, 0), ctx.inInfo(0).dims, perm));
  return success();
}

//===----------------------------------------------------------------------===//
// Concat, Split
//===----------------------------------------------------------------------===//

LogicalResult inferConcat(InferContext &ctx) {
  const ValueInfo &first = ctx.in(0);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", 0), first.rank());
  if (failed(axis))
    return failure();
  SmallVector<Dim> dims = first.dims, data;
  bool known = true;
  for (unsigned i = 0; i < ctx.numInputs(); ++i) {
    const ValueInfo &in = ctx.in(i);
    if (!in.present() || in.rank() != first.rank())
      return ctx.error("input " + Twine(i) + " must have rank " +
                       Twine(first.rank()));
    if (failed(sameElementType(ctx, 0, i)))
      return failure();
    for (int64_t d = 0; i > 0 && d < in.rank(); ++d) {
      if (d == *axis)
        dims[d] = addDims(ctx.dims, dims[d], in.dims[d]);
      else if (!dims[d].isConst())
        dims[d] = in.dims[d].isConst() ? in.dims[d] : dims[d];
      else if (in.dims[d].isConst() && in.dims[d] != dims[d])
        return ctx.error("dimension " + Twine(d) + " of input " + Twine(i) +
                         " is " + in.dims[d].str() + ", of input 0 " +
                         dims[d].str());
    }
    known = known && in.data && in.rank() == 1;
    if (known)
      data.append(*in.data);
  }
  ctx.out(0).elementType = first.elementType;
  ctx.out(0).dims = dims;
  if (known)
    setData(ctx.out(0), std::move(data));
  SmallVector<double> floats;
  for (unsigned i = 0; i < ctx.numInputs() && first.rank() == 1; ++i) {
    auto values = knownFloats(ctx.in(i));
    if (!values)
      return success();
    llvm::append_range(floats, *values);
  }
  setFloats(ctx.out(0), floats);
  return success();
}

LogicalResult expandConcat(ExpandContext &ctx) {
  const ValueInfo &out = ctx.outInfo(0);
  int64_t axis = ctx.intAttr("axis", 0);
  axis = axis < 0 ? axis + out.rank() : axis;
  if (ctx.numInputs() == 1) {
    give(ctx, 0, input(ctx, 0));
    return success();
  }
  Value whole = ctx.empty(out);
  Dim offset = ctx.dims.constant(0);
  for (unsigned i = 0; i < ctx.numInputs(); ++i) {
    SmallVector<Dim> dims = ctx.inInfo(i).dims;
    for (int64_t d = 0; d < out.rank(); ++d)
      if (d != axis && dims[d] != out.dims[d]) {
        ctx.checkEqual(dims[d], out.dims[d],
                       "dimension " + Twine(d) + " of input " + Twine(i));
        dims[d] = out.dims[d];
      }
    SmallVector<OpFoldResult> offsets = zeros(ctx, out.rank());
    offsets[axis] = ctx.size(offset);
    whole = insert(ctx, input(ctx, i), whole, offsets, dims);
    offset = addDims(ctx.dims, offset, dims[axis]);
  }
  give(ctx, 0, whole);
  return success();
}

LogicalResult splitSizes(InferContext &ctx, Dim whole,
                         SmallVector<Dim> &sizes) {
  int64_t n = ctx.numOutputs();
  auto attr = ctx.intsAttr("split"); // before opset 13
  if (attr || ctx.hasInput(1)) {
    const SmallVector<Dim> *given = attr ? nullptr : dataOf(ctx, 1);
    if (!attr && !given)
      return ctx.unsupported("the sizes (input 1) must be constant");
    for (int64_t v : attr.value_or(SmallVector<int64_t>()))
      sizes.push_back(ctx.c(v));
    if (given)
      sizes = *given;
    Dim sum = ctx.c(0);
    for (Dim d : sizes) {
      if (d.isConst() && d.value() < 0)
        return ctx.error("a part's size is " + Twine(d.value()));
      sum = addDims(ctx.dims, sum, d);
    }
    if (static_cast<int64_t>(sizes.size()) != n || !sum)
      return ctx.error(Twine(sizes.size()) + " sizes for " + Twine(n) +
                       " outputs");
    if (sum.isConst() && whole.isConst() && sum != whole)
      return ctx.error("the sizes add up to " + sum.str() +
                       ", the dimension is " + whole.str());
    return success();
  }
  if (ctx.hasAttr("num_outputs") && ctx.intAttr("num_outputs", n) != n)
    return ctx.error("num_outputs is " + Twine(ctx.intAttr("num_outputs", n)) +
                     ", but the node has " + Twine(n) + " outputs");
  Dim chunk = ctx.dims.ceilDiv(whole, ctx.c(n));
  Dim rest = subDims(ctx.dims, whole, mulDims(ctx.dims, chunk, ctx.c(n - 1)));
  if (!rest || (rest.isConst() && rest.value() < 0))
    return ctx.error("cannot split " + whole.str() + " into " + Twine(n) +
                     " parts");
  sizes.assign(n, chunk);
  sizes.back() = rest;
  return success();
}

LogicalResult inferSplit(InferContext &ctx) {
  const ValueInfo &in = ctx.in(0);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", 0), in.rank());
  SmallVector<Dim> sizes;
  if (failed(axis) || failed(splitSizes(ctx, in.dims[*axis], sizes)))
    return failure();
  size_t at = 0;
  bool known = in.data.has_value();
  for (unsigned i = 0; i < ctx.numOutputs(); ++i) {
    if (ctx.hasOutput(i)) {
      ValueInfo &out = ctx.out(i);
      out.elementType = in.elementType;
      out.dims = in.dims;
      out.dims[*axis] = sizes[i];
    }
    known =
        known && sizes[i].isConst() && at + sizes[i].value() <= in.data->size();
    if (!known)
      continue;
    if (ctx.hasOutput(i))
      setData(ctx.out(i),
              llvm::to_vector(ArrayRef(*in.data).slice(at, sizes[i].value())));
    at += sizes[i].value();
  }
  return success();
}

LogicalResult expandSplit(ExpandContext &ctx) {
  const ValueInfo &in = ctx.inInfo(0);
  int64_t axis = ctx.intAttr("axis", 0);
  axis = axis < 0 ? axis + in.rank() : axis;
  bool allPresent = true;
  Value whole = input(ctx, 0);
  Dim offset = ctx.dims.constant(0);
  for (unsigned i = 0; i < ctx.numOutputs(); ++i) {
    // Where an output is omitted its size is known only from the sizes' input.
    if (!ctx.hasOutput(i)) {
      const ValueInfo *sizes = ctx.hasInput(1) ? &ctx.inInfo(1) : nullptr;
      auto attr = ctx.intsAttr("split");
      Dim n = ctx.dims.constant(ctx.numOutputs());
      Dim size = attr    ? ctx.dims.constant((*attr)[i])
                 : sizes ? (*sizes->data)[i]
                         : ctx.dims.ceilDiv(in.dims[axis], n);
      offset = addDims(ctx.dims, offset, size);
      allPresent = false;
      continue;
    }
    const SmallVector<Dim> &dims = ctx.outInfo(i).dims;
    checkNonNegative(ctx, dims);
    SmallVector<OpFoldResult> offsets = zeros(ctx, in.rank());
    offsets[axis] = ctx.size(offset);
    give(ctx, i, slice(ctx, whole, offsets, dims, {}));
    offset = addDims(ctx.dims, offset, dims[axis]);
  }
  if (allPresent)
    ctx.checkEqual(offset, in.dims[axis], "the sum of the parts' sizes");
  return success();
}

//===----------------------------------------------------------------------===//
// DepthToSpace, SpaceToDepth
//===----------------------------------------------------------------------===//

LogicalResult inferSpaceDepth(InferContext &ctx) {
  const ValueInfo &in = ctx.in(0);
  int64_t block = ctx.intAttr("blocksize", 0);
  if (in.rank() != 4 || block < 1 || block > 4096)
    return ctx.error("blocksize must be positive and the input of rank 4; "
                     "found " +
                     Twine(block) + " and " + in.str());
  bool toSpace = ctx.type() == "DepthToSpace";
  Dim b = ctx.c(block), area = ctx.c(block * block);
  SmallVector<Dim> dims = in.dims;
  auto quotient = [&](Dim x, Dim y) -> FailureOr<Dim> {
    auto exact = divide(productOf(x), productOf(y));
    if (!exact)
      return ctx.error(x.str() + " is not a multiple of " + y.str());
    return toDim(ctx.dims, *exact);
  };
  for (int64_t d : {1, 2, 3}) {
    bool divides = (d == 1) == toSpace;
    Dim by = d == 1 ? area : b;
    FailureOr<Dim> r =
        divides ? quotient(dims[d], by) : mulDims(ctx.dims, dims[d], by);
    if (failed(r))
      return failure();
    dims[d] = *r;
  }
  StringRef mode = ctx.strAttr("mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    return ctx.error("mode must be \"DCR\" or \"CRD\"; found \"" + mode + "\"");
  ctx.out(0).elementType = in.elementType;
  ctx.out(0).dims = dims;
  return success();
}

LogicalResult expandSpaceDepth(ExpandContext &ctx) {
  const SmallVector<Dim> &in = ctx.inInfo(0).dims, &out = ctx.outInfo(0).dims;
  Dim b = ctx.dims.constant(ctx.intAttr("blocksize", 1));
  SmallVector<Dim> split;
  SmallVector<int64_t> perm;
  if (ctx.type() == "SpaceToDepth") {
    split = {in[0], in[1], out[2], b, out[3], b};
    perm = {0, 3, 5, 1, 2, 4};
    if (ctx.strAttr("mode", "DCR") == "CRD")
      perm = {0, 1, 3, 5, 2, 4};
  } else if (ctx.strAttr("mode", "DCR") == "DCR") {
    split = {in[0], b, b, out[1], in[2], in[3]};
    perm = {0, 3, 4, 1, 5, 2};
  } else {
    split = {in[0], out[1], b, b, in[2], in[3]};
    perm = {0, 1, 4, 2, 5, 3};
  }
  SmallVector<Dim> moved;
  for (int64_t p : perm)
    moved.push_back(split[p]);
  Value v = reshape(ctx, input(ctx, 0), in, split);
  v = transpose(ctx, v, split, perm);
  give(ctx, 0, reshape(ctx, v, moved, out));
  return success();
}

} // namespace

void addShapeOps(std::vector<OpEntry> &t) {
  t.push_back(entry<inferShape, expandNever>("Shape", 1, 1));
  t.push_back(entry<inferSize, expandNever>("Size", 1, 1));
  t.push_back(entry<inferReshape, expandReshape>("Reshape", 2, 2));
  t.push_back(entry<inferFlatten, expandReshape>("Flatten", 1, 1));
  t.push_back(entry<inferSqueeze, expandSqueeze>("Squeeze", 1, 2));
  t.push_back(entry<inferUnsqueeze, expandReshape>("Unsqueeze", 1, 2));
  t.push_back(entry<inferTranspose, expandTranspose>("Transpose", 1, 1));
  t.push_back(entry<inferConcat, expandConcat>("Concat", 1, 1 << 16));
  t.push_back(entry<inferSplit, expandSplit>("Split", 1, 2));
  t.push_back(entry<inferSpaceDepth, expandSpaceDepth>("DepthToSpace", 1, 1));
  t.push_back(entry<inferSpaceDepth, expandSpaceDepth>("SpaceToDepth", 1, 1));
  addSliceOps(t);
  addGatherOps(t);
  addScatterOps(t);
  addRepeatOps(t);
  addGeneratorOps(t);
}

} // namespace lnn::onnx
