//===- OpsSequence.cpp - lists of tensors whose length is known -----------===//
//
// A sequence is no value of the compiled code: its elements are values, or
// parts of them, of the graph, and an operator that takes one out uses that
// value.
//
//===----------------------------------------------------------------------===//
#include "OpCompose.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

using Sequence = SmallVector<SequenceElement>;

/// A sequence's type stands for that of its elements.
void giveSequence(InferContext &ctx, Sequence elements, Type elementType) {
  ctx.out(0).elementType = elementType;
  ctx.out(0).dims = {};
  ctx.out(0).sequence = std::move(elements);
}

/// Nothing reads a sequence.
LogicalResult expandSequence(ExpandContext &ctx) {
  ctx.setResult(0, ctx.empty(ctx.outInfo(0)));
  return success();
}

LogicalResult requireSequence(NodeView &node, const ValueInfo &info) {
  if (info.sequence)
    return success();
  return node.error("input 0 must be a sequence; found " + info.str());
}

/// A constant position in [-n, n) or, to insert, [-n, n].
FailureOr<int64_t> positionOf(NodeView &node, const ValueInfo &info, int64_t n,
                              bool insert) {
  auto values = knownIntegers(info);
  if (!values || values->size() != 1)
    return node.unsupported("the position must be constant");
  int64_t given = (*values)[0], at = given < 0 ? given + n : given;
  if (at < 0 || at >= n + insert)
    return node.error("position " + Twine(given) + " of a sequence of " +
                      Twine(n));
  return at;
}

LogicalResult inferEmpty(InferContext &ctx) {
  int64_t dtype = ctx.intAttr("dtype", 1);
  Type type = typeOfEnum(ctx.op.getContext(), dtype);
  if (!type)
    return ctx.unsupported("ONNX data type " + Twine(dtype));
  giveSequence(ctx, {}, type);
  return success();
}

LogicalResult inferConstruct(InferContext &ctx) {
  Sequence elements;
  for (unsigned i = 0; i < ctx.numInputs(); ++i) {
    if (!ctx.hasInput(i))
      return ctx.error("input " + Twine(i) + " is missing");
    if (failed(sameElementType(ctx, 0, i)))
      return failure();
    elements.push_back({ctx.op.getInputs()[i]});
  }
  giveSequence(ctx, std::move(elements), ctx.in(0).elementType);
  return success();
}

LogicalResult inferInsert(InferContext &ctx) {
  if (failed(requireSequence(ctx, ctx.in(0))))
    return failure();
  Sequence elements = *ctx.in(0).sequence;
  if (ctx.in(1).sequence)
    return ctx.error("input 1 must be a tensor");
  if (failed(sameElementType(ctx, 0, 1)))
    return failure();
  int64_t at = elements.size();
  if (ctx.hasInput(2)) {
    auto given = positionOf(ctx, ctx.in(2), at, true);
    if (failed(given))
      return failure();
    at = *given;
  }
  elements.insert(elements.begin() + at,
                  SequenceElement{ctx.op.getInputs()[1]});
  giveSequence(ctx, std::move(elements), ctx.in(0).elementType);
  return success();
}

LogicalResult inferErase(InferContext &ctx) {
  if (failed(requireSequence(ctx, ctx.in(0))))
    return failure();
  Sequence elements = *ctx.in(0).sequence;
  if (elements.empty())
    return ctx.error("the sequence is empty");
  int64_t at = elements.size() - 1;
  if (ctx.hasInput(1)) {
    auto given = positionOf(ctx, ctx.in(1), elements.size(), false);
    if (failed(given))
      return failure();
    at = *given;
  }
  elements.erase(elements.begin() + at);
  giveSequence(ctx, std::move(elements), ctx.in(0).elementType);
  return success();
}

/// The parts' sizes: those of `split`, or of equal parts with a rest.
FailureOr<SmallVector<Dim>> partSizes(InferContext &ctx, Dim whole) {
  bool list = ctx.hasInput(1) && ctx.in(1).rank() == 1;
  if (list) {
    const SmallVector<Dim> *sizes = dataOf(ctx, 1);
    if (!sizes)
      return ctx.unsupported("the sizes (input 1) must be known from constants "
                             "and the sizes of inputs");
    return *sizes;
  }
  int64_t size = 1;
  if (ctx.hasInput(1)) {
    auto values = knownIntegers(ctx.in(1));
    if (!values || values->size() != 1)
      return ctx.unsupported("the size (input 1) must be constant");
    size = (*values)[0];
  }
  if (size < 1)
    return ctx.error("a part's size is " + Twine(size));
  if (!whole.isConst())
    return ctx.unsupported("parts of a dimension that is not constant");
  if (whole.value() > 65536)
    return ctx.unsupported("a sequence of " + Twine(whole.value()));
  SmallVector<Dim> sizes;
  for (int64_t at = 0; at < whole.value(); at += size)
    sizes.push_back(ctx.c(std::min(size, whole.value() - at)));
  return sizes;
}

LogicalResult inferSplitTo(InferContext &ctx) {
  const ValueInfo &in = ctx.in(0);
  FailureOr<int64_t> axis =
      ctx.normalizeAxis(ctx.intAttr("axis", 0), in.rank());
  if (failed(axis))
    return failure();
  Dim whole = in.dims[*axis], begin = ctx.c(0);
  FailureOr<SmallVector<Dim>> sizes = partSizes(ctx, whole);
  if (failed(sizes))
    return failure();
  bool squeeze = !ctx.hasInput(1) && ctx.intAttr("keepdims", 1) == 0;
  Sequence elements;
  for (Dim size : *sizes) {
    Dim end = addDims(ctx.dims, begin, size);
    if (!end || (size.isConst() && size.value() < 0))
      return ctx.error("a part's size is " + size.str());
    elements.push_back({ctx.op.getInputs()[0], *axis, begin, end, squeeze});
    begin = end;
  }
  if (begin.isConst() && whole.isConst() && begin != whole)
    return ctx.error("the sizes add up to " + begin.str() +
                     ", the dimension is " + whole.str());
  giveSequence(ctx, std::move(elements), in.elementType);
  return success();
}

LogicalResult inferLength(InferContext &ctx) {
  if (failed(requireSequence(ctx, ctx.in(0))))
    return failure();
  ctx.out(0).elementType = IntegerType::get(ctx.op.getContext(), 64);
  ctx.out(0).dims = {};
  setData(ctx.out(0), {ctx.c(ctx.in(0).sequence->size())});
  return success();
}

//===----------------------------------------------------------------------===//
// What takes elements out
//===----------------------------------------------------------------------===//

Value element(Composer &g, const SequenceElement &e) {
  if (e.axis < 0)
    return e.value;
  Value part = g.slice(e.value, e.axis, e.begin, e.end);
  return e.squeeze ? g.node("Squeeze", {part, g.integers({e.axis})}) : part;
}

LogicalResult sequenceAt(Composer &g) {
  if (failed(requireSequence(g, g.inInfo(0))))
    return failure();
  const Sequence &elements = *g.inInfo(0).sequence;
  auto at = positionOf(g, g.inInfo(1), elements.size(), false);
  if (failed(at))
    return failure();
  g.give(0, element(g, elements[*at]));
  return success();
}

LogicalResult concatFromSequence(Composer &g) {
  if (failed(requireSequence(g, g.inInfo(0))))
    return failure();
  const Sequence &elements = *g.inInfo(0).sequence;
  if (elements.empty())
    return g.error("the sequence is empty");
  int64_t axis = g.intAttr("axis", 0);
  bool stack = g.intAttr("new_axis", 0) != 0;
  Composer::Values parts;
  for (const SequenceElement &e : elements) {
    Value v = element(g, e);
    parts.push_back(stack ? g.unsqueeze(v, {axis}) : v);
  }
  g.give(0, g.concat(parts, axis));
  return success();
}

OpEntry ofSequences(OpEntry entry) {
  entry.sequences = true;
  return entry;
}

} // namespace

void addSequenceOps(std::vector<OpEntry> &t) {
  constexpr unsigned any = 1 << 16;
  t.push_back(ofSequences(
      entry<inferEmpty, expandSequence>("SequenceEmpty", 0, 0, 11)));
  t.push_back(
      entry<inferConstruct, expandSequence>("SequenceConstruct", 1, any, 11));
  t.push_back(ofSequences(
      entry<inferInsert, expandSequence>("SequenceInsert", 2, 3, 11)));
  t.push_back(ofSequences(
      entry<inferErase, expandSequence>("SequenceErase", 1, 2, 11)));
  t.push_back(entry<inferSplitTo, expandSequence>("SplitToSequence", 1, 2, 11));
  t.push_back(ofSequences(
      entry<inferLength, expandSequence>("SequenceLength", 1, 1, 11)));
  t.push_back(ofSequences(composed<sequenceAt>("SequenceAt", 2, 2, 11)));
  t.push_back(ofSequences(
      composed<concatFromSequence>("ConcatFromSequence", 1, 1, 11)));
}

} // namespace lnn::onnx
