//===- OnnxRaiseRecurrence.cpp - parallel scans become a Scan -------------===//
//
// h_t = a_t h_{t-1} + b_t may be computed in any association: Hillis-Steele,
// Blelloch, trees, chunks. Whatever the order, each partial result belongs to
// an interval of time:
//
//   A[l..r] = a_r ... a_l               A[m+1..r] A[l..m]           = A[l..r]
//   B[l..r] = h_r of a run from l, h=0  A[m+1..r] B[l..m] + B[m+1..r] = B[l..r]
//
// So the nodes behind a and b are interpreted, each tensor as one such term for
// each of its places along time, through slices, concatenations and scatters. A
// tensor with B[0..t] at every t is the recurrence, and a Scan takes its place.
//
//===----------------------------------------------------------------------===//
#include "Integers.h"
#include "lnn/Transforms/Raise/Passes.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

namespace lnn {
#define GEN_PASS_DEF_ONNXRAISERECURRENCEPASS
#include "lnn/Transforms/Raise/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;
using namespace lnn::raise;
using onnx::NodeOp;

namespace {

/// Fewer steps are left as they are.
constexpr int64_t minSteps = 4, maxSteps = 1 << 16;

/// What a tensor holds at one place along time.
struct Term {
  enum Kind { Unknown, Zero, One, Decay, State, Decayed } kind = Unknown;
  int64_t l = 0, m = 0, r = 0; ///< Decayed: A[m+1..r] B[l..m]

  bool operator==(const Term &) const = default;
  static Term decay(int64_t l, int64_t r) { return {Decay, l, 0, r}; }
  static Term state(int64_t l, int64_t r) { return {State, l, 0, r}; }
};

Term multiply(Term x, Term y) {
  if (x.kind == Term::Zero || y.kind == Term::Zero)
    return {Term::Zero};
  if (x.kind == Term::One)
    return y;
  if (y.kind == Term::One)
    return x;
  if (x.kind != Term::Decay)
    std::swap(x, y);
  if (x.kind != Term::Decay)
    return {};
  if (y.kind == Term::Decay && y.l == x.r + 1)
    std::swap(x, y);
  if (y.kind == Term::Unknown || x.l != y.r + 1)
    return {};
  if (y.kind == Term::Decay)
    return Term::decay(y.l, x.r);
  return {Term::Decayed, y.l, y.kind == Term::State ? y.r : y.m, x.r};
}

Term add(Term x, Term y) {
  if (x.kind == Term::Zero)
    return y;
  if (y.kind == Term::Zero)
    return x;
  if (x.kind != Term::Decayed)
    std::swap(x, y);
  if (x.kind != Term::Decayed || y.kind != Term::State || y.l != x.m + 1 ||
      y.r != x.r)
    return {};
  return Term::state(x.l, x.r);
}

/// A tensor as terms along one of its dimensions. Every dimension is one of the
/// state's (with time among them), or has size 1 and is none.
struct Series {
  SmallVector<int> dims; ///< of b; -1: none
  SmallVector<Term> terms;

  int time(int axis) const {
    auto it = llvm::find(dims, axis);
    return it == dims.end() ? -1 : it - dims.begin();
  }
};

RankedTensorType typeOf(Value value) {
  return dyn_cast<RankedTensorType>(value.getType());
}

/// Interprets the nodes of a block, given a and b.
class Interpreter {
public:
  Interpreter(Value b, int axis, IntegerConstants &constants)
      : axis(axis), steps(typeOf(b).getDimSize(axis)), constants(constants) {}

  int axis; ///< of time in b
  int64_t steps;
  llvm::DenseMap<Value, Series> series;

  std::optional<Series> interpret(NodeOp node) const;
  /// What a node that moves data only does to its first operand.
  std::optional<Series> move(NodeOp node, const Series &in) const;

private:
  IntegerConstants &constants;

  const Series *of(Value value) const {
    auto it = series.find(value);
    return it == series.end() ? nullptr : &it->second;
  }
  std::optional<Series> elementwise(NodeOp node) const;
  std::optional<Series> concat(NodeOp node) const;
  std::optional<Series> scatter(NodeOp node) const;
};

/// The term that all elements of a constant are.
std::optional<Term> uniform(Value value) {
  ElementsAttr attribute;
  if (!matchPattern(value, m_Constant(&attribute)) ||
      !isa<FloatType>(attribute.getElementType()))
    return std::nullopt;
  auto dense = dyn_cast<DenseElementsAttr>(attribute);
  if (!dense || !dense.isSplat())
    return std::nullopt;
  double number = dense.getSplatValue<FloatAttr>().getValueAsDouble();
  if (number == 0)
    return Term{Term::Zero};
  if (number == 1)
    return Term{Term::One};
  return std::nullopt;
}

std::optional<Series> Interpreter::move(NodeOp node, const Series &in) const {
  StringRef op = node.getOpType();
  Value from = node.getInputs()[0];
  RankedTensorType source = typeOf(from), target = typeOf(node.getOutputs()[0]);
  if (!source || !target || !source.hasStaticShape() ||
      !target.hasStaticShape() ||
      source.getElementType() != target.getElementType())
    return std::nullopt;
  ArrayRef<int64_t> old = source.getShape(), shape = target.getShape();
  Series out;
  if (op == "Identity" || (op == "Expand" && old == shape))
    return in;
  if (op == "Reshape" || op == "Unsqueeze" || op == "Squeeze") {
    if (old == shape)
      return in;
    // Dimensions in order, those of size 1 left out. One of time must not be
    // lost: it could not be told from others then.
    out.terms = in.terms;
    SmallVector<int> kept;
    SmallVector<int64_t> sizes;
    for (auto [dim, size] : llvm::zip_equal(in.dims, old))
      if (size != 1) {
        kept.push_back(dim);
        sizes.push_back(size);
      }
    unsigned next = 0;
    for (int64_t size : shape) {
      if (size != 1 && (next == sizes.size() || sizes[next] != size))
        return std::nullopt;
      out.dims.push_back(size == 1 ? -1 : kept[next++]);
    }
    if (next != sizes.size())
      return std::nullopt;
    if (op == "Reshape")
      return in.terms.size() == 1 ? std::nullopt : std::optional(out);
    // Unsqueeze and Squeeze say which: dimensions of size 1 keep what they are.
    const Integers *axes = node.getInputs().size() > 1
                               ? constants.of(node.getInputs()[1])
                               : nullptr;
    SmallVector<int64_t> given;
    if (axes)
      given.assign(axes->elements.begin(), axes->elements.end());
    else if (auto list = node.getNodeAttrs().getAs<DenseI64ArrayAttr>("axes"))
      given.assign(list.asArrayRef().begin(), list.asArrayRef().end());
    else
      return in.terms.size() == 1 ? std::nullopt : std::optional(out);
    bool adds = op == "Unsqueeze";
    unsigned rank = adds ? shape.size() : old.size();
    llvm::SmallDenseSet<int64_t> at;
    for (int64_t a : given)
      at.insert(a < 0 ? a + int64_t(rank) : a);
    out.dims.clear();
    unsigned place = 0;
    for (unsigned d = 0; d < rank; ++d) {
      if (adds)
        out.dims.push_back(at.contains(d)           ? -1
                           : place < in.dims.size() ? in.dims[place++]
                                                    : -1);
      else if (!at.contains(d))
        out.dims.push_back(in.dims[d]);
    }
    return out.dims.size() == shape.size() &&
                   (in.time(axis) < 0 || out.time(axis) >= 0)
               ? std::optional(out)
               : std::nullopt;
  }
  if (op == "Transpose") {
    auto perm = node.getNodeAttrs().getAs<DenseI64ArrayAttr>("perm");
    if (!perm || perm.size() != int64_t(in.dims.size()))
      return std::nullopt;
    out.terms = in.terms;
    for (int64_t d : perm.asArrayRef()) {
      if (d < 0 || d >= int64_t(in.dims.size()))
        return std::nullopt;
      out.dims.push_back(in.dims[d]);
    }
    return out;
  }
  if (op == "Slice") {
    auto ranges = sliceOf(node, old, constants);
    if (!ranges)
      return std::nullopt;
    out.dims = in.dims;
    for (auto [d, range] : llvm::enumerate(*ranges)) {
      if (in.dims[d] != axis) {
        if (range.count != old[d] || range.step != 1)
          return std::nullopt;
        continue;
      }
      if (in.terms.empty())
        continue; // dimensions alone are wanted
      for (int64_t i = 0; i < range.count; ++i)
        out.terms.push_back(in.terms[range.start + i * range.step]);
    }
    return out;
  }
  return std::nullopt;
}

/// Mul and Add, with NumPy's broadcasting.
std::optional<Series> Interpreter::elementwise(NodeOp node) const {
  bool product = node.getOpType() == "Mul";
  Value lhs = node.getInputs()[0], rhs = node.getInputs()[1];
  const Series *x = of(lhs), *y = of(rhs);
  auto combine = [&](Term a, Term b) {
    return product ? multiply(a, b) : add(a, b);
  };
  if (!x || !y) { // with a constant
    const Series *known = x ? x : y;
    std::optional<Term> number = uniform(x ? rhs : lhs);
    if (!known || !number ||
        typeOf(node.getOutputs()[0]) != typeOf(x ? lhs : rhs))
      return std::nullopt;
    Series out = *known;
    for (Term &term : out.terms)
      term = combine(term, *number);
    return out;
  }
  Series out;
  size_t rank = std::max(x->dims.size(), y->dims.size());
  for (size_t d = 0; d < rank; ++d) {
    auto dimOf = [&](const Series &s) {
      size_t missing = rank - s.dims.size();
      return d < missing ? -1 : s.dims[d - missing];
    };
    int a = dimOf(*x), b = dimOf(*y);
    if (a >= 0 && b >= 0 && a != b)
      return std::nullopt;
    out.dims.push_back(std::max(a, b));
  }
  size_t n = x->terms.size(), m = y->terms.size();
  if (out.time(axis) < 0 || x->time(axis) < 0 || y->time(axis) < 0 ||
      (n != m && n != 1 && m != 1))
    return std::nullopt;
  for (size_t i = 0; i < std::max(n, m); ++i)
    out.terms.push_back(
        combine(x->terms[n == 1 ? 0 : i], y->terms[m == 1 ? 0 : i]));
  return out;
}

std::optional<Series> Interpreter::concat(NodeOp node) const {
  const Series *like = nullptr;
  for (Value input : node.getInputs())
    if (const Series *s = of(input))
      like = s;
  RankedTensorType type = typeOf(node.getOutputs()[0]);
  if (!like || !type)
    return std::nullopt;
  int64_t at = integerAttribute(node, "axis", 0);
  at = at < 0 ? at + type.getRank() : at;
  if (at != like->time(axis))
    return std::nullopt;
  Series out;
  out.dims = like->dims;
  for (Value input : node.getInputs()) {
    if (const Series *s = of(input)) {
      if (s->dims != like->dims)
        return std::nullopt;
      llvm::append_range(out.terms, s->terms);
      continue;
    }
    RankedTensorType part = typeOf(input);
    std::optional<Term> number = uniform(input);
    if (!number || !part || !part.hasStaticShape() ||
        part.getRank() != type.getRank() || part.getDimSize(at) > maxSteps)
      return std::nullopt;
    out.terms.append(part.getDimSize(at), *number);
  }
  return out;
}

/// ScatterND of whole slices along time: one index tuple for each element, all
/// of it where the update is but for the time.
std::optional<Series> Interpreter::scatter(NodeOp node) const {
  if (node.getInputs().size() != 3 || node.getNodeAttrs().contains("reduction"))
    return std::nullopt;
  const Series *update = of(node.getInputs()[2]);
  const Integers *indices =
      update ? constants.of(node.getInputs()[1]) : nullptr;
  RankedTensorType type = typeOf(node.getOutputs()[0]),
                   part = typeOf(node.getInputs()[2]);
  if (!indices || !type || !part || !type.hasStaticShape() ||
      !part.hasStaticShape() || type.getRank() != part.getRank())
    return std::nullopt;
  int64_t rank = type.getRank(), time = update->time(axis),
          count = part.getNumElements();
  if (time < 0 || indices->size() != count * rank)
    return std::nullopt;
  Series out;
  out.dims = update->dims;
  if (const Series *old = of(node.getInputs()[0])) {
    if (old->dims != update->dims)
      return std::nullopt;
    out.terms = old->terms;
  } else {
    out.terms.assign(type.getDimSize(time),
                     uniform(node.getInputs()[0]).value_or(Term()));
  }
  SmallVector<int64_t> targets(part.getDimSize(time), -1);
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, at = 0;
    for (int64_t d = rank - 1; d >= 0; --d) {
      int64_t place = rest % part.getDimSize(d),
              index = indices->elements[i * rank + d];
      rest /= part.getDimSize(d);
      if (index < 0)
        index += type.getDimSize(d);
      if (d != time && index != place)
        return std::nullopt;
      if (d != time)
        continue;
      at = place;
      if (targets[at] >= 0 && targets[at] != index)
        return std::nullopt;
      targets[at] = index;
    }
  }
  for (auto [at, target] : llvm::enumerate(targets)) {
    if (target < 0 || target >= int64_t(out.terms.size()))
      return std::nullopt;
    out.terms[target] = update->terms[at];
  }
  // All of the other dimensions must have been written.
  for (int64_t d = 0; d < rank; ++d)
    if (d != time && part.getDimSize(d) != type.getDimSize(d))
      return std::nullopt;
  return out;
}

std::optional<Series> Interpreter::interpret(NodeOp node) const {
  if (node.getOutputs().size() != 1 || node.getInputs().empty() ||
      !node.getBodies().empty() || node.getDomain().value_or("") != "")
    return std::nullopt;
  StringRef op = node.getOpType();
  std::optional<Series> result;
  if (op == "Mul" || op == "Add")
    result = elementwise(node);
  else if (op == "Concat")
    result = concat(node);
  else if (op == "ScatterND")
    result = scatter(node);
  else if (const Series *in = of(node.getInputs()[0]))
    result = move(node, *in);
  // The terms are along a dimension that is there, as long as it.
  RankedTensorType type = typeOf(node.getOutputs()[0]);
  if (!result || !type || result->dims.size() != size_t(type.getRank()))
    return std::nullopt;
  int time = result->time(axis);
  return time >= 0 && type.getDimSize(time) == int64_t(result->terms.size())
             ? result
             : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Finding a and b, writing the Scan
//===----------------------------------------------------------------------===//

/// The value that a value is slices of, and the nodes in between, the value's
/// own first.
Value baseOf(Value value, SmallVectorImpl<NodeOp> &path) {
  constexpr unsigned maxPath = 16;
  while (path.size() < maxPath) {
    auto node = value.getDefiningOp<NodeOp>();
    if (!node || node.getOutputs().size() != 1 || node.getInputs().empty())
      break;
    StringRef op = node.getOpType();
    Value next;
    if (op == "Slice" || op == "Unsqueeze" || op == "Squeeze" ||
        op == "Identity" || op == "Reshape")
      next = node.getInputs()[0];
    if (op == "Concat")
      for (Value input : node.getInputs())
        if (!uniform(input))
          next = next ? Value() : input;
    if (!next)
      break;
    path.push_back(node);
    value = next;
  }
  return value;
}

/// a_t h + b_t somewhere: where both come from.
struct Candidate {
  Value a, b;
  SmallVector<int> dims; ///< of a: which of b's each is
};

class Raiser {
public:
  Raiser(Block &block, bool remarks) : block(block), remarks(remarks) {}
  unsigned run();

private:
  Block &block;
  bool remarks;
  IntegerConstants constants;

  std::optional<Candidate> candidateOf(NodeOp add, Value x, Value y,
                                       Value rest);
  bool raise(const Candidate &candidate, int axis);
  Value write(const Candidate &candidate, int axis, NodeOp at);
  llvm::DenseSet<Operation *> replaced; ///< what Scans were made of
  void noteOrigins(NodeOp scan, NodeOp last);
};

/// Where the dimensions of a path's base end up.
std::optional<SmallVector<int>> follow(const Interpreter &interpreter,
                                       ArrayRef<NodeOp> path, unsigned rank) {
  Series series;
  for (unsigned d = 0; d < rank; ++d)
    series.dims.push_back(d);
  for (NodeOp node : llvm::reverse(path)) {
    if (node.getOpType() == "Concat")
      continue; // keeps dimensions where they are
    std::optional<Series> moved = interpreter.move(node, series);
    if (!moved)
      return std::nullopt;
    series = *moved;
  }
  return series.dims;
}

/// Candidates for `x * y + rest`, y and rest of one base.
std::optional<Candidate> Raiser::candidateOf(NodeOp add, Value x, Value y,
                                             Value rest) {
  SmallVector<NodeOp> pathX, pathY, pathRest;
  Value a = baseOf(x, pathX), b = baseOf(y, pathY);
  if (a == b || baseOf(rest, pathRest) != b)
    return std::nullopt;
  RankedTensorType typeA = typeOf(a), typeB = typeOf(b);
  auto isSlice = [](NodeOp node) { return node.getOpType() == "Slice"; };
  if (!typeA || !typeB || !typeA.hasStaticShape() || !typeB.hasStaticShape() ||
      typeA.getElementType() != typeB.getElementType() ||
      !typeB.getElementType().isF32() || typeA.getRank() > typeB.getRank() ||
      !llvm::any_of(pathY, isSlice) || matchPattern(a, m_Constant()))
    return std::nullopt;
  // No time axis is known yet: slices keep dimensions, whichever they cut.
  Interpreter shapes(b, 0, constants);
  auto cut = [&](ArrayRef<NodeOp> path) {
    return llvm::to_vector(llvm::make_filter_range(
        path, [&](NodeOp node) { return !isSlice(node); }));
  };
  auto onX = follow(shapes, cut(pathX), typeA.getRank()),
       onY = follow(shapes, cut(pathY), typeB.getRank());
  if (!onX || !onY)
    return std::nullopt;
  Candidate candidate{a, b, SmallVector<int>(typeA.getRank(), -1)};
  for (size_t i = 0; i < onX->size() && i < onY->size(); ++i) {
    int p = (*onX)[onX->size() - 1 - i], q = (*onY)[onY->size() - 1 - i];
    if (p >= 0)
      candidate.dims[p] = q;
  }
  // Each of a's is one of b's, of its size or 1, in ascending order.
  int last = -1;
  for (auto [d, dim] : llvm::enumerate(candidate.dims)) {
    if (dim <= last || (typeA.getDimSize(d) != typeB.getDimSize(dim) &&
                        typeA.getDimSize(d) != 1))
      return std::nullopt;
    last = dim;
  }
  return candidate;
}

bool Raiser::raise(const Candidate &candidate, int axis) {
  RankedTensorType type = typeOf(candidate.b);
  int64_t steps = type.getDimSize(axis);
  auto timeOfA = llvm::find(candidate.dims, axis);
  if (steps < minSteps || steps > maxSteps || timeOfA == candidate.dims.end() ||
      typeOf(candidate.a).getDimSize(timeOfA - candidate.dims.begin()) != steps)
    return false;
  Interpreter interpreter(candidate.b, axis, constants);
  Series a, b;
  a.dims = candidate.dims;
  for (int64_t d = 0; d < type.getRank(); ++d)
    b.dims.push_back(d);
  for (int64_t t = 0; t < steps; ++t) {
    a.terms.push_back(Term::decay(t, t));
    b.terms.push_back(Term::state(t, t));
  }
  SmallVector<int> dims = b.dims;
  interpreter.series[candidate.a] = std::move(a);
  interpreter.series[candidate.b] = std::move(b);
  for (Operation &op : block) {
    auto node = dyn_cast<NodeOp>(op);
    if (!node || node.getOutputs().size() != 1 ||
        interpreter.series.contains(node.getOutputs()[0]))
      continue;
    std::optional<Series> series = interpreter.interpret(node);
    if (!series)
      continue;
    bool complete = series->dims == dims &&
                    node.getOutputs()[0].getType() == type &&
                    int64_t(series->terms.size()) == steps;
    for (int64_t t = 0; complete && t < steps; ++t)
      complete = series->terms[t] == Term::state(0, t);
    if (complete) {
      Value states = write(candidate, axis, node);
      node.getOutputs()[0].replaceAllUsesWith(states);
      noteOrigins(cast<NodeOp>(states.getDefiningOp()), node);
      if (remarks)
        node.emitRemark() << "linear recurrence over " << steps << " steps";
      return true;
    }
    interpreter.series[node.getOutputs()[0]] = *series;
  }
  return false;
}

/// Where nodes are numbered (lnn.number): notes on the Scan which of them
/// nothing needs any more, now that the last of them is not read.
void Raiser::noteOrigins(NodeOp scan, NodeOp last) {
  if (!last->hasAttr("lnn.number"))
    return;
  llvm::DenseSet<Operation *> dead;
  SmallVector<int64_t> numbers;
  for (Operation *op = last; op; op = op->getPrevNode()) {
    auto node = dyn_cast<NodeOp>(op);
    if (!node || (node != last && op->use_empty()) || replaced.contains(op) ||
        !llvm::all_of(op->getUsers(),
                      [&](Operation *user) { return dead.contains(user); }))
      continue;
    dead.insert(op);
    replaced.insert(op);
    if (auto number = op->getAttrOfType<IntegerAttr>("lnn.number"))
      numbers.push_back(number.getInt());
  }
  llvm::sort(numbers);
  Builder b(scan.getContext());
  scan->setAttr("lnn.origins", b.getDenseI64ArrayAttr(numbers));
  scan->setAttr("lnn.note",
                b.getStringAttr("was computed in log steps over time"));
}

/// A Scan over time in front of the node.
Value Raiser::write(const Candidate &candidate, int axis, NodeOp at) {
  OpBuilder b(at);
  Location loc = at.getLoc();
  int64_t opset = at.getOpset();
  RankedTensorType typeB = typeOf(candidate.b), typeA = typeOf(candidate.a);
  Type element = typeB.getElementType();
  auto node = [&](OpBuilder &b, StringRef op, ValueRange inputs, Type type,
                  DictionaryAttr attributes = {}) -> Value {
    return NodeOp::create(b, loc, TypeRange(type), inputs, b.getStringAttr(op),
                          StringAttr(), opset,
                          attributes ? attributes : b.getDictionaryAttr({}),
                          ArrayAttr(), 0)
        .getOutputs()[0];
  };
  // a with all of b's dimensions.
  SmallVector<int64_t> shape(typeB.getRank(), 1);
  for (auto [d, dim] : llvm::enumerate(candidate.dims))
    shape[dim] = typeA.getDimSize(d);
  Value a = candidate.a;
  if (typeA.getRank() != typeB.getRank()) {
    SmallVector<int64_t> missing;
    for (int64_t d = 0; d < typeB.getRank(); ++d)
      if (!llvm::is_contained(candidate.dims, d))
        missing.push_back(d);
    auto type = RankedTensorType::get(missing.size(), b.getI64Type());
    auto wide = RankedTensorType::get(shape, element);
    // Axes are an input since opset 13, an attribute before.
    if (opset >= 13)
      a = node(
          b, "Unsqueeze",
          {a, arith::ConstantOp::create(
                  b, loc, DenseElementsAttr::get(type, ArrayRef(missing)))},
          wide);
    else
      a = node(b, "Unsqueeze", a, wide,
               b.getDictionaryAttr(
                   b.getNamedAttr("axes", b.getDenseI64ArrayAttr(missing))));
  }
  auto without = [&](ArrayRef<int64_t> sizes) {
    SmallVector<int64_t> rest(sizes);
    rest.erase(rest.begin() + axis);
    return RankedTensorType::get(rest, element);
  };
  RankedTensorType state = without(typeB.getShape()), decay = without(shape);
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(state));
  auto list = [&](StringRef name, ArrayRef<int64_t> values) {
    return b.getNamedAttr(name, b.getDenseI64ArrayAttr(values));
  };
  DictionaryAttr attributes = b.getDictionaryAttr(
      {b.getNamedAttr("num_scan_inputs", b.getI64IntegerAttr(2)),
       list("scan_input_axes", {axis, axis}),
       list("scan_input_directions", {0, 0}), list("scan_output_axes", {axis}),
       list("scan_output_directions", {0})});
  auto scan = NodeOp::create(b, loc, TypeRange({state, typeB}),
                             ValueRange{zero, a, candidate.b},
                             b.getStringAttr("Scan"), StringAttr(), opset,
                             attributes, b.getStrArrayAttr({"body"}), 1);
  OpBuilder::InsertionGuard guard(b);
  Block *body = b.createBlock(&scan.getBodies()[0]);
  Value h = body->addArgument(state, loc), at_ = body->addArgument(decay, loc),
        bt = body->addArgument(state, loc);
  Value decayed = node(b, "Mul", {at_, h}, state),
        next = node(b, "Add", {decayed, bt}, state);
  onnx::YieldOp::create(b, loc, ValueRange{next, next});
  return scan.getOutputs()[1];
}

unsigned Raiser::run() {
  constexpr unsigned maxTries = 64;
  unsigned made = 0, tries = 0;
  llvm::DenseSet<std::pair<Value, Value>> tried;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    auto sum = dyn_cast<NodeOp>(op);
    if (!sum || sum.getOpType() != "Add" || sum.getInputs().size() != 2)
      continue;
    for (unsigned i : {0, 1}) {
      auto product = sum.getInputs()[i].getDefiningOp<NodeOp>();
      if (!product || product.getOpType() != "Mul" ||
          product.getInputs().size() != 2)
        continue;
      for (unsigned j : {0, 1}) {
        std::optional<Candidate> candidate =
            candidateOf(sum, product.getInputs()[j], product.getInputs()[1 - j],
                        sum.getInputs()[1 - i]);
        if (!candidate || tries >= maxTries ||
            !tried.insert({candidate->a, candidate->b}).second)
          continue;
        ++tries;
        for (int axis = 0; axis < int(typeOf(candidate->b).getRank()); ++axis)
          if (raise(*candidate, axis)) {
            ++made;
            break;
          }
      }
    }
  }
  if (made)
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
      if (isa<NodeOp>(op) && op.use_empty())
        op.erase();
  return made;
}

struct OnnxRaiseRecurrencePass
    : lnn::impl::OnnxRaiseRecurrencePassBase<OnnxRaiseRecurrencePass> {
  using OnnxRaiseRecurrencePassBase::OnnxRaiseRecurrencePassBase;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() ||
        function.getBody().front().getOps<NodeOp>().empty())
      return;
    numRaised += Raiser(function.getBody().front(), remarks).run();
  }
};

} // namespace
