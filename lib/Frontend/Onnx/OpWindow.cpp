//===- OpWindow.cpp - windows that slide over dimensions ------------------===//
#include "OpWindow.h"

using namespace mlir;

namespace lnn::onnx {

LogicalResult listAttr(NodeView &node, StringRef name, size_t n, int64_t least,
                       int64_t otherwise, SmallVector<int64_t> &values) {
  values.assign(n, otherwise);
  if (auto given = node.intsAttr(name))
    values = *given;
  bool valid = values.size() == n && llvm::all_of(values, [&](int64_t v) {
                 return v >= least && v <= (1 << 20);
               });
  return valid ? success()
               : node.error(name + " must be " + Twine(n) +
                            " numbers of at least " + Twine(least));
}

FailureOr<StringRef> autoPad(NodeView &node) {
  StringRef mode = node.strAttr("auto_pad", "NOTSET");
  if (mode != "NOTSET" && mode != "VALID" && mode != "SAME_UPPER" &&
      mode != "SAME_LOWER")
    return node.error("auto_pad \"" + mode + "\" is unknown");
  return mode;
}

LogicalResult windowShape(NodeView &node, size_t n, ArrayRef<Dim> kernel,
                          Window &w) {
  if (failed(listAttr(node, "strides", n, 1, 1, w.strides)) ||
      failed(listAttr(node, "dilations", n, 1, 1, w.dilations)))
    return failure();
  auto given = node.intsAttr("kernel_shape");
  if (kernel.empty() && !given)
    return node.error("kernel_shape is missing");
  if (given && failed(listAttr(node, "kernel_shape", n, 1, 1, w.kernel)))
    return failure();
  if (kernel.empty())
    return success();
  w.kernel.clear();
  for (size_t i = 0; i < n; ++i) {
    Dim size = kernel[i];
    if (!size.isConst() || size.value() < 1 || size.value() > (1 << 20))
      return node.unsupported("the kernel's sizes must be constant and "
                              "positive; found " +
                              size.str());
    if (given && (*given)[i] != size.value())
      return node.error("kernel_shape does not agree with the kernel: " +
                        Twine((*given)[i]) + " and " + size.str());
    w.kernel.push_back(size.value());
  }
  return success();
}

/// The padding before and after one dimension and the result's size along it.
static void placeWindow(DimContext &c, StringRef autoPad, Dim size,
                        const Window &w, size_t i, Dim &before, Dim &after,
                        Dim &out) {
  int64_t stride = w.strides[i];
  Dim zero = c.constant(0), by = c.constant(stride), one = c.constant(1);
  Dim extent = c.constant(w.extent(i));
  if (autoPad == "VALID")
    before = after = zero;
  if (autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER") {
    out = stride == 1 ? size : c.ceilDiv(size, by);
    Dim reach = addDims(c, mulDims(c, subDims(c, out, one), by), extent);
    Dim total = maxDims(c, subDims(c, reach, size), zero);
    Dim half = c.floorDiv(total, c.constant(2)), rest = subDims(c, total, half);
    before = autoPad == "SAME_UPPER" ? half : rest;
    after = autoPad == "SAME_UPPER" ? rest : half;
    return;
  }
  Dim span = addDims(c, addDims(c, size, before), after);
  span = subDims(c, span, extent);
  if (!w.ceil || stride == 1) {
    out = addDims(c, stride == 1 ? span : c.floorDiv(span, by), one);
    return;
  }
  // A window that would begin behind the input is none.
  out = addDims(c, c.ceilDiv(span, by), one);
  Dim begins = c.ceilDiv(addDims(c, size, before), by);
  out = minDims(c, out, begins);
}

LogicalResult placeWindows(NodeView &node, DimContext &c, ArrayRef<Dim> in,
                           Window &w) {
  size_t n = in.size();
  FailureOr<StringRef> mode = autoPad(node);
  SmallVector<int64_t> pads;
  if (failed(mode) || failed(listAttr(node, "pads", 2 * n, 0, 0, pads)))
    return failure();
  for (size_t i = 0; i < n; ++i) {
    Dim before = c.constant(pads[i]), after = c.constant(pads[n + i]), out;
    placeWindow(c, *mode, in[i], w, i, before, after, out);
    if (out && out.isConst() && out.value() < 0)
      out = c.constant(0);
    w.before.push_back(before);
    w.after.push_back(after);
    w.out.push_back(out);
    Dim reach = after;
    if (w.ceil && out) {
      Dim last =
          mulDims(c, subDims(c, out, c.constant(1)), c.constant(w.strides[i]));
      Dim end = addDims(c, last, c.constant(w.extent(i)));
      reach = maxDims(c, after, subDims(c, subDims(c, end, in[i]), before));
    }
    w.reach.push_back(reach);
  }
  return success();
}

Value padWindow(ExpandContext &ctx, Value x, const Window &w,
                SmallVector<Dim> &dims, TypedAttr value) {
  bool none = true;
  SmallVector<Dim> from = dims;
  SmallVector<OpFoldResult> offsets = zeros(ctx, dims.size());
  for (size_t i = 0; i < w.before.size(); ++i) {
    none &= w.before[i].isConst(0) && w.reach[i].isConst(0);
    offsets[i + 2] = ctx.size(w.before[i]);
    dims[i + 2] = addDims(ctx.dims, addDims(ctx.dims, dims[i + 2], w.before[i]),
                          w.reach[i]);
  }
  if (none)
    return x;
  return insert(ctx, x, ctx.filled(dims, value), offsets, from);
}

void checkWindows(ExpandContext &ctx, const Window &w) {
  for (Dim d : w.out)
    if (!isNonNegative(d))
      check(ctx,
            arith::CmpIOp::create(
                ctx.b, ctx.loc, arith::CmpIPredicate::sge, ctx.index(d),
                arith::ConstantIndexOp::create(ctx.b, ctx.loc, 0)),
            "the input must not be smaller than the kernel");
}

} // namespace lnn::onnx
