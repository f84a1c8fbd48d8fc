//===- OpsEinsum.cpp - Einstein sums --------------------------------------===//
//
// An equation is contracted from left to right, two operands at a time; a label
// is summed over as soon as no later operand nor the result has it.
//
//===----------------------------------------------------------------------===//
#include "OpContraction.h"

using namespace mlir;

namespace lnn::onnx {
namespace {

using InfoFn = llvm::function_ref<const ValueInfo &(unsigned)>;
using Labels = SmallVector<int>;

/// Labels of "..." are numbered from the right, below all letters.
constexpr int kEllipsis = -1000;

struct Equation {
  SmallVector<Labels> inputs;
  Labels output;
  std::map<int, Dim> sizes;
};

bool isEllipsis(int label) { return label < 0; }

/// The labels of one operand (of `rank`) or, without a rank, of the result.
LogicalResult parseTerm(NodeView &node, StringRef term,
                        std::optional<int64_t> rank, int64_t ellipsisRank,
                        Labels &labels) {
  StringRef whole = term;
  int64_t letters = llvm::count_if(term, llvm::isAlpha);
  int64_t dots = rank ? *rank - letters : ellipsisRank;
  bool seen = false;
  while (!term.empty()) {
    if (!seen && term.consume_front("...")) {
      seen = true;
      for (int64_t i = dots; i > 0; --i)
        labels.push_back(kEllipsis + static_cast<int>(dots - i) -
                         static_cast<int>(dots));
      continue;
    }
    if (!llvm::isAlpha(term.front()))
      return node.error("cannot read \"" + whole + "\" in the equation");
    labels.push_back(term.front());
    term = term.drop_front();
  }
  bool fits = dots >= 0 && (seen || dots == 0 || !rank);
  return fits
             ? success()
             : node.error("\"" + whole + "\" does not fit an operand of rank " +
                          Twine(*rank));
}

/// Each label's size: a size of 1 is broadcast.
LogicalResult unifySizes(NodeView &node, ArrayRef<Dim> dims, Equation &eq,
                         ArrayRef<int> labels) {
  for (auto [label, dim] : llvm::zip(labels, dims)) {
    Dim &size = eq.sizes[label];
    if (!size || size.isConst(1))
      size = dim;
    else if (dim.isConst() && size.isConst() && dim != size && !dim.isConst(1))
      return node.error("a label has the sizes " + size.str() + " and " +
                        dim.str());
    else if (dim.isConst() && !dim.isConst(1))
      size = dim;
  }
  return success();
}

LogicalResult parseOutput(NodeView &node, bool isExplicit, StringRef text,
                          int64_t ellipsisRank, Equation &eq) {
  if (isExplicit) {
    if (failed(parseTerm(node, text, std::nullopt, ellipsisRank, eq.output)))
      return failure();
  } else {
    // Labels that occur once, in order; the ellipsis before them.
    std::map<int, int> counts;
    for (const Labels &labels : eq.inputs)
      for (int label : labels)
        ++counts[label];
    for (auto [label, count] : counts)
      if (count == 1 || isEllipsis(label))
        eq.output.push_back(label);
  }
  for (size_t i = 0; i < eq.output.size(); ++i)
    if (!eq.sizes.count(eq.output[i]) ||
        llvm::is_contained(ArrayRef(eq.output).take_front(i), eq.output[i]))
      return node.error("a label of the result must occur there once and in an "
                        "operand");
  return success();
}

LogicalResult parseEquation(NodeView &node, InfoFn in, Equation &eq) {
  std::string text;
  for (char c : node.strAttr("equation", ""))
    if (!llvm::isSpace(c))
      text += c;
  auto [left, right] = StringRef(text).split("->");
  bool isExplicit = StringRef(text).contains("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != node.numInputs())
    return node.error("the equation \"" + text + "\" has " +
                      Twine(terms.size()) + " operands, the node " +
                      Twine(node.numInputs()));
  int64_t ellipsisRank = 0;
  for (auto [i, term] : llvm::enumerate(terms)) {
    const ValueInfo &info = in(i);
    eq.inputs.emplace_back();
    if (failed(parseTerm(node, term, info.rank(), 0, eq.inputs.back())) ||
        failed(unifySizes(node, info.dims, eq, eq.inputs.back())))
      return failure();
    ellipsisRank = std::max<int64_t>(
        ellipsisRank, llvm::count_if(eq.inputs.back(), isEllipsis));
  }
  return parseOutput(node, isExplicit, right, ellipsisRank, eq);
}

LogicalResult inferEinsum(InferContext &ctx) {
  for (unsigned i = 0; i < ctx.numInputs(); ++i) {
    if (!ctx.hasInput(i))
      return ctx.error("input " + Twine(i) + " is missing");
    if (failed(sameElementType(ctx, 0, i)))
      return failure();
  }
  if (failed(requireType(ctx, 0, isProductType,
                         "a tensor of floats, int32 or int64")))
    return failure();
  Equation eq;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.in(i); };
  if (failed(parseEquation(ctx, in, eq)))
    return failure();
  ctx.out(0).elementType = ctx.in(0).elementType;
  for (int label : eq.output)
    ctx.out(0).dims.push_back(eq.sizes[label]);
  return success();
}

/// A tensor with one label a dimension.
struct Operand {
  Value value;
  Labels labels;
};

SmallVector<Dim> sizesOfLabels(Equation &eq, ArrayRef<int> labels) {
  SmallVector<Dim> dims;
  for (int label : labels)
    dims.push_back(eq.sizes[label]);
  return dims;
}

/// Reads an operand within loops over `loops`.
AffineMap mapOf(ExpandContext &ctx, ArrayRef<int> loops, ArrayRef<int> labels) {
  MLIRContext *context = ctx.b.getContext();
  SmallVector<AffineExpr> reads;
  for (int label : labels)
    reads.push_back(
        getAffineDimExpr(llvm::find(loops, label) - loops.begin(), context));
  return AffineMap::get(loops.size(), 0, reads, context);
}

/// The operand without dimensions that are broadcast; sizes are checked.
Operand prepare(ExpandContext &ctx, Equation &eq, unsigned i) {
  Operand op;
  ArrayRef<Dim> dims = ctx.inInfo(i).dims;
  SmallVector<Dim> left;
  for (auto [label, dim] : llvm::zip(eq.inputs[i], dims)) {
    Dim size = eq.sizes[label];
    if (dim.isConst(1) && !size.isConst(1))
      continue;
    if (dim != size)
      ctx.checkEqual(dim, size, "the sizes of a label");
    left.push_back(dim);
    op.labels.push_back(label);
  }
  op.value = reshape(ctx, input(ctx, i), dims, left);
  return op;
}

/// Sums over what `out` leaves out, takes diagonals and orders dimensions.
Value reduceOne(ExpandContext &ctx, Equation &eq, const Operand &op,
                ArrayRef<int> out, Type type) {
  if (ArrayRef<int>(op.labels) == out)
    return op.value;
  Labels loops(out);
  for (int label : op.labels)
    if (!llvm::is_contained(loops, label))
      loops.push_back(label);
  bool sums = loops.size() != out.size();
  SmallVector<Dim> dims = sizesOfLabels(eq, out);
  Value init =
      sums ? ctx.filled(dims, scalarAttr(type, 0)) : ctx.empty(dims, type);
  return generic(ctx, op.value,
                 {mapOf(ctx, loops, op.labels), mapOf(ctx, loops, out)}, init,
                 [&](OpBuilder &b, Location loc, ValueRange a) -> Value {
                   Value v = widen(b, loc, a[0]);
                   if (!sums)
                     return v;
                   if (isa<FloatType>(type))
                     return arith::AddFOp::create(b, loc, a[1], v);
                   return arith::AddIOp::create(b, loc, a[1], v);
                 });
}

Operand contractTwo(ExpandContext &ctx, Equation &eq, const Operand &l,
                    const Operand &r, ArrayRef<int> out, Type type) {
  Labels loops(out);
  for (const Operand *op : {&l, &r})
    for (int label : op->labels)
      if (!llvm::is_contained(loops, label))
        loops.push_back(label);
  Value v = contract(ctx, l.value, r.value,
                     {mapOf(ctx, loops, l.labels), mapOf(ctx, loops, r.labels),
                      mapOf(ctx, loops, out)},
                     sizesOfLabels(eq, out), type);
  return {v, Labels(out)};
}

/// Labels of the two that the result or an operand from `next` on needs.
Labels neededLabels(const Equation &eq, const Operand &l, const Operand &r,
                    size_t next) {
  Labels out;
  for (const Operand *op : {&l, &r})
    for (int label : op->labels) {
      bool needed = llvm::is_contained(eq.output, label);
      for (size_t i = next; !needed && i < eq.inputs.size(); ++i)
        needed = llvm::is_contained(eq.inputs[i], label);
      if (needed && !llvm::is_contained(out, label))
        out.push_back(label);
    }
  return out;
}

LogicalResult expandEinsum(ExpandContext &ctx) {
  Equation eq;
  auto in = [&](unsigned i) -> const ValueInfo & { return ctx.inInfo(i); };
  if (failed(parseEquation(ctx, in, eq)))
    return failure();
  Type type = computeType(ctx.outInfo(0).elementType);
  Type stored = ExpandContext::converted(ctx.outInfo(0).elementType);
  Operand acc = prepare(ctx, eq, 0);
  size_t n = ctx.numInputs();
  for (size_t i = 1; i < n; ++i) {
    Operand next = prepare(ctx, eq, i);
    Labels out = i + 1 == n ? eq.output : neededLabels(eq, acc, next, i + 1);
    // A size that only a broadcast dimension had is in neither operand.
    llvm::erase_if(out, [&](int label) {
      return !llvm::is_contained(acc.labels, label) &&
             !llvm::is_contained(next.labels, label);
    });
    acc = contractTwo(ctx, eq, acc, next, out, type);
  }
  Value v = n == 1 ? reduceOne(ctx, eq, acc, eq.output, type) : acc.value;
  give(ctx, 0, store(ctx, v, ctx.outInfo(0).dims, stored));
  return success();
}

} // namespace

void addEinsumOp(std::vector<OpEntry> &t) {
  t.push_back(entry<inferEinsum, expandEinsum>("Einsum", 1, 64, 12));
}

} // namespace lnn::onnx
