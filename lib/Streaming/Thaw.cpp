//===- Thaw.cpp - constants that a size was folded to ---------------------===//
#include "Thaw.h"

#include "lnn/Streaming/Edit.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace lnn::onnx;
using namespace lnn::streaming;

static constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

bool lnn::streaming::isElementwise(NodeOp node) {
  static const llvm::StringSet<> names = {"Abs",
                                          "Acos",
                                          "Acosh",
                                          "Add",
                                          "And",
                                          "Asin",
                                          "Asinh",
                                          "Atan",
                                          "Atanh",
                                          "BitShift",
                                          "BitwiseAnd",
                                          "BitwiseNot",
                                          "BitwiseOr",
                                          "BitwiseXor",
                                          "Cast",
                                          "CastLike",
                                          "Ceil",
                                          "Celu",
                                          "Clip",
                                          "Cos",
                                          "Cosh",
                                          "Div",
                                          "Dropout",
                                          "Elu",
                                          "Equal",
                                          "Erf",
                                          "Exp",
                                          "Floor",
                                          "Gelu",
                                          "Greater",
                                          "GreaterOrEqual",
                                          "HardSigmoid",
                                          "HardSwish",
                                          "Identity",
                                          "IsInf",
                                          "IsNaN",
                                          "LeakyRelu",
                                          "Less",
                                          "LessOrEqual",
                                          "Log",
                                          "Max",
                                          "Mean",
                                          "Min",
                                          "Mish",
                                          "Mod",
                                          "Mul",
                                          "Neg",
                                          "Not",
                                          "Or",
                                          "PRelu",
                                          "Pow",
                                          "Reciprocal",
                                          "Relu",
                                          "Round",
                                          "Selu",
                                          "Shrink",
                                          "Sigmoid",
                                          "Sign",
                                          "Sin",
                                          "Sinh",
                                          "Softplus",
                                          "Softsign",
                                          "Sqrt",
                                          "Sub",
                                          "Sum",
                                          "Swish",
                                          "Tan",
                                          "Tanh",
                                          "ThresholdedRelu",
                                          "Where",
                                          "Xor"};
  return !node.getDomainAttr() && names.contains(node.getOpType());
}

static Dim product(DimContext &dims, ArrayRef<Dim> factors) {
  Dim result = dims.constant(1);
  for (Dim d : factors)
    result = result && d ? dims.mul(result, d) : Dim();
  return result;
}

//===----------------------------------------------------------------------===//
// Faults
//===----------------------------------------------------------------------===//

/// What a literal position on an axis means where the axis may be longer: kept,
/// or counted from the end. Null where that cannot be told.
std::optional<int64_t> Thaw::bound(Value data, int64_t axis, int64_t literal,
                                   bool isEnd, bool isIndex) {
  Dim length = s.at(data).dims[axis];
  if (literal < 0 || literal >= std::numeric_limits<int32_t>::max())
    return literal;
  if (!length.isConst())
    return std::nullopt;
  int64_t n = length.value();
  if (literal >= n)
    return isEnd ? std::optional(kEnd) : std::nullopt;
  if (n == 1) // the first, or the last?
    return isIndex ? std::nullopt : std::optional(literal);
  if (n == 2 && literal == 1 && isIndex) // the second, or the last?
    return std::nullopt;
  if (literal == s.size() || literal == n - 1)
    return literal - n;
  if (2 * literal <= n)
    return literal;
  return std::nullopt;
}

/// The axes that an optional input lists; all, in order, where it is absent.
std::optional<SmallVector<int64_t>> Thaw::axesOf(unsigned input, int64_t rank) {
  SmallVector<int64_t> axes;
  if (!view.hasInput(input)) {
    for (int64_t k = 0; k < rank; ++k)
      axes.push_back(k);
    return axes;
  }
  auto given = integersOf(in(input));
  if (!given)
    return std::nullopt;
  for (int64_t axis : *given)
    axes.push_back(axis < 0 ? axis + rank : axis);
  return axes;
}

std::string Thaw::wrongBound(Value data, int64_t axis) {
  return "a constant position on dimension " + std::to_string(axis) +
         ", which is of size " + s.at(data).dims[axis].str() + " here";
}

/// True where nodes of their own read all positions of the axis, one each:
/// steps that are no loop.
bool Thaw::isReadOneByOne(Value data, int64_t axis) {
  Dim length = s.at(data).dims[axis];
  if (!length.isConst() || length.value() < 2)
    return false;
  int64_t n = length.value(), rank = s.at(data).rank();
  llvm::SmallDenseSet<int64_t> positions;
  for (Operation *user : data.getUsers()) {
    auto reader = dyn_cast<NodeOp>(user);
    if (!reader || reader.getDomainAttr() || reader.getInputs().size() < 2 ||
        reader.getInputs()[0] != data)
      continue;
    auto at = integersOf(reader.getInputs()[1]);
    if (!at || at->size() != 1)
      continue;
    int64_t first = at->front() + (at->front() < 0 ? n : 0);
    if (reader.getOpType() == "Gather") {
      int64_t along = NodeView(reader).intAttr("axis", 0);
      if (along + (along < 0 ? rank : 0) == axis)
        positions.insert(first);
    } else if (reader.getOpType() == "Slice" &&
               reader.getInputs().size() >= 4) {
      auto ends = integersOf(reader.getInputs()[2]),
           axes = integersOf(reader.getInputs()[3]);
      if (ends && axes && axes->size() == 1 &&
          axes->front() + (axes->front() < 0 ? rank : 0) == axis &&
          (ends->front() == first + 1 ||
           (first + 1 == n && ends->front() >= n)))
        positions.insert(first);
    }
  }
  return int64_t(positions.size()) == n;
}

static std::string oneByOne(int64_t n) {
  return "its " + std::to_string(n) +
         " positions are read by as many nodes, whose steps are no loop";
}

std::string Thaw::sliceFault() {
  Value data = in(0);
  auto starts = integersOf(in(1)), ends = integersOf(in(2));
  auto axes = axesOf(3, s.at(data).rank());
  if (!starts || !ends || !axes)
    return "";
  for (auto [k, axis] : llvm::enumerate(*axes))
    if (k < starts->size() && k < ends->size() && s.varies(data, axis)) {
      if (bound(data, axis, (*starts)[k], false) != (*starts)[k] ||
          bound(data, axis, (*ends)[k], true) != (*ends)[k])
        return wrongBound(data, axis);
      if (isReadOneByOne(data, axis))
        return oneByOne(s.at(data).dims[axis].value());
    }
  return "";
}

std::string Thaw::gatherFault() {
  int64_t axis = view.intAttr("axis", 0);
  axis += axis < 0 ? s.at(in(0)).rank() : 0;
  auto indices = integersOf(in(1));
  if (!indices || !s.varies(in(0), axis))
    return "";
  for (int64_t i : *indices)
    if (bound(in(0), axis, i, false, true) != i)
      return wrongBound(in(0), axis);
  if (isReadOneByOne(in(0), axis))
    return oneByOne(s.at(in(0)).dims[axis].value());
  return "";
}

std::optional<std::pair<Value, int64_t>>
lnn::streaming::indexedInLoop(NodeOp loop, const Sensitivity &s) {
  std::optional<std::pair<Value, int64_t>> found;
  loop->walk([&](NodeOp inner) {
    if (inner == loop || inner.getDomainAttr() ||
        (inner.getOpType() != "Gather" && inner.getOpType() != "Slice") ||
        inner.getInputs().size() < 2)
      return;
    Value data = inner.getInputs()[0];
    if (loop->isAncestor(data.getParentBlock()->getParentOp()) ||
        integersOf(inner.getInputs()[1]))
      return;
    for (int64_t axis : s.axes(data)) {
      int64_t read = NodeView(inner).intAttr("axis", 0);
      read += read < 0 ? s.at(data).rank() : 0;
      if (inner.getOpType() == "Slice" || read == axis)
        found = {data, axis};
    }
  });
  return found;
}

std::string Thaw::loopFault() {
  if (!view.hasInput(0) || !integersOf(in(0)) || !indexedInLoop(node, s))
    return "";
  return "its trip count is the constant " +
         std::to_string(integersOf(in(0))->front());
}

/// Steps whose positions come from a constant that is scanned.
std::string Thaw::scanFault() {
  if (!indexedInLoop(node, s))
    return "";
  int64_t count = view.intAttr("num_scan_inputs", 0);
  auto axes = node->getAttrOfType<DenseI64ArrayAttr>("scan_input_axes");
  OperandRange inputs = node.getInputs();
  for (auto [i, input] : llvm::enumerate(
           inputs.take_back(std::min<int64_t>(count, inputs.size())))) {
    int64_t axis = axes && i < axes.asArrayRef().size() ? axes[i] : 0;
    axis += axis < 0 ? s.at(input).rank() : 0;
    if (!s.varies(input, axis))
      return "its steps read positions that are constants";
  }
  return "";
}

std::string Thaw::lengthsFault() {
  int64_t time = view.intAttr("layout", 0) ? 1 : 0;
  if (!view.hasInput(4) || !integersOf(in(4)) || !s.varies(in(0), time))
    return "";
  return "its sequence_lens are constants";
}

/// With sizes that are symbols, a wrong number of elements shows when it runs.
std::string Thaw::reshapeFault() {
  DimContext &dims = s.secondProbe().dims();
  Dim before = product(dims, s.other(in(0)).dims),
      after = product(dims, s.other(node.getOutputs()[0]).dims);
  if (s.axes(in(0)).empty())
    return "";
  if (before != after)
    return "its target does not follow it";
  // A -1 elsewhere in the target would take it in.
  std::optional<int64_t> place = placeInReshape();
  if (place ? !s.varies(node.getOutputs()[0], *place) : s.size() == 1)
    return "its target leaves open what it becomes";
  return "";
}

/// True where a size goes in and none comes out although the operator does not
/// end it.
bool Thaw::losesSize() {
  static const llvm::StringSet<> ends = {"ArgMax",
                                         "ArgMin",
                                         "Gather",
                                         "GatherND",
                                         "GatherElements",
                                         "GlobalAveragePool",
                                         "GlobalMaxPool",
                                         "If",
                                         "Loop",
                                         "Scan",
                                         "Shape",
                                         "Size",
                                         "Slice",
                                         "GRU",
                                         "LSTM",
                                         "RNN",
                                         "MatMul",
                                         "Gemm",
                                         "Einsum",
                                         "TopK",
                                         "ConstantOfShape",
                                         "Range",
                                         "OneHot",
                                         "CastLike"};
  if (ends.contains(node.getOpType()) || node.getOpType().starts_with("Reduce"))
    return false;
  bool in = llvm::any_of(node.getInputs(),
                         [&](Value v) { return !s.axes(v).empty(); });
  bool out = llvm::any_of(node.getOutputs(), [&](Value v) {
    return !s.axes(v).empty() || s.contentsVary(v);
  });
  return in && !out;
}

/// Where the operand comes from that an elementwise node does not fit with.
std::string Thaw::fixedOperand() {
  if (!isElementwise(node))
    return "";
  for (Value v : node.getInputs()) {
    if (!s.axes(v).empty() || s.at(v).rank() == 0)
      continue;
    NodeOp source = v.getDefiningOp<NodeOp>();
    bool sized = llvm::any_of(
        s.at(v).dims, [](Dim d) { return d.isConst() && d.value() > 1; });
    if (sized && source)
      return "; what is fixed comes from " + source.getOpType().str() +
             " node '" + nameOf(source).str() + "'";
    if (sized && v.getDefiningOp())
      return "; what is fixed is a constant, " + s.at(v).str();
  }
  return "";
}

std::string Thaw::fault() {
  for (Value v : node.getInputs())
    if (!isa<NoneType>(v.getType()) && !s.knows(v))
      return "";
  bool fails = false;
  for (Value v : node.getOutputs()) {
    if (isa<NoneType>(v.getType()))
      continue;
    if (!s.at(v).present())
      return "";
    fails |= !s.other(v).present();
  }
  if (fails) {
    // The message names the node, which is named already.
    StringRef why = s.secondProbe().why();
    if (size_t at = why.find("): "); at != StringRef::npos)
      why = why.drop_front(at + 3);
    return "with " + std::to_string(s.otherSize()) + " in its place, " +
           why.str() + fixedOperand();
  }
  for (Value v : node.getOutputs())
    if (!isa<NoneType>(v.getType()) && s.at(v).rank() != s.other(v).rank())
      return "its result has another rank with another size; say which axes to "
             "take away";
  std::string text;
  if (is("Slice") && node.getInputs().size() >= 3)
    text = sliceFault();
  else if (is("Gather"))
    text = gatherFault();
  else if (is("Reshape"))
    text = reshapeFault();
  else if (is("Loop"))
    text = loopFault();
  else if (is("Scan"))
    text = scanFault();
  else if (isRecurrentOp())
    text = lengthsFault();
  if (text.empty() && losesSize())
    text = "its result is " + s.at(node.getOutputs()[0]).str() +
           " whatever that size is";
  return text;
}

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

/// The result's axis that the varying axis of a Reshape's input becomes, or is
/// a factor of: what comes before both, or behind both, is the same. None where
/// that is not one axis.
std::optional<int64_t> Thaw::placeInReshape() {
  SmallVector<int64_t> axes = s.axes(in(0));
  if (axes.size() != 1)
    return std::nullopt;
  DimContext &dims = s.firstProbe().dims();
  ArrayRef<Dim> from = s.at(in(0)).dims, to = s.at(node.getOutputs()[0]).dims;
  Dim before = product(dims, from.take_front(axes[0])),
      behind = product(dims, from.drop_front(axes[0] + 1));
  // Where the axis is more than the size, some other may hold it as well.
  bool joined = !from[axes[0]].isConst(s.size());
  std::optional<int64_t> place;
  int best = 0, ties = 0, possible = 0;
  for (auto [p, dim] : llvm::enumerate(to)) {
    if (dim.isConst() && dim.value() % s.size() != 0)
      continue;
    int score = (product(dims, to.take_front(p)) == before) +
                (product(dims, to.drop_front(p + 1)) == behind);
    possible += score > 0;
    ties += score == best;
    if (score > best) {
      best = score;
      ties = 0;
      place = p;
    }
  }
  return ties || (joined && possible > 1) ? std::nullopt : place;
}

/// A target that holds the size becomes one that takes it from the input.
bool Thaw::thawReshape() {
  std::optional<int64_t> place = placeInReshape();
  if (node.getInputs().size() != 2 || !place)
    return false;
  ArrayRef<Dim> source = s.at(in(0)).dims,
                target = s.at(node.getOutputs()[0]).dims;
  SmallVector<int64_t> values;
  for (auto [p, dim] : llvm::enumerate(target)) {
    if (int64_t(p) == *place)
      values.push_back(-1);
    else if (dim.isConst())
      values.push_back(dim.value());
    else if (p < source.size() && source[p] == dim &&
             !view.intAttr("allowzero", 0))
      values.push_back(0);
    else
      return false;
  }
  node->setOperand(1, integers(b, node.getLoc(), values));
  return true;
}

bool Thaw::thawExpand() {
  auto target = integersOf(in(1));
  if (!target)
    return false;
  int64_t shift = int64_t(target->size()) - s.at(in(0)).rank();
  bool changed = false;
  for (int64_t axis : s.axes(in(0)))
    if (axis + shift >= 0 && (*target)[axis + shift] == s.size()) {
      (*target)[axis + shift] = 1;
      changed = s.size() != 1;
    }
  if (changed)
    node->setOperand(1, integers(b, node.getLoc(), *target));
  return changed;
}

bool Thaw::thawSlice() {
  Value data = in(0);
  auto starts = integersOf(in(1)), ends = integersOf(in(2));
  auto axes = axesOf(3, s.at(data).rank());
  if (!starts || !ends || !axes)
    return false;
  for (auto [k, axis] : llvm::enumerate(*axes)) {
    if (k >= starts->size() || k >= ends->size() || !s.varies(data, axis))
      continue;
    auto begin = bound(data, axis, (*starts)[k], false),
         end = bound(data, axis, (*ends)[k], true);
    if (!begin || !end || isReadOneByOne(data, axis))
      return false;
    (*starts)[k] = *begin;
    (*ends)[k] = *end;
    // What a loop does not go over, its first and last steps, is read apart.
    bool scanned = llvm::all_of(node->getUsers(), [](Operation *user) {
      auto reader = dyn_cast<NodeOp>(user);
      return reader && !reader.getDomainAttr() && reader.getOpType() == "Scan";
    });
    int64_t least = std::max<int64_t>(*begin, 0) + (*end < 0 ? -*end : 0) +
                    (*begin < 0 ? -*begin : 0);
    constexpr int64_t many = 1 << 16;
    if (scanned && least > 0 && least < many)
      node->setAttr("lnn.least", b.getDenseI64ArrayAttr({axis, least}));
  }
  node->setOperand(1, integers(b, node.getLoc(), *starts));
  node->setOperand(2, integers(b, node.getLoc(), *ends));
  if (view.hasInput(3))
    node->setOperand(3, integers(b, node.getLoc(), *axes));
  if (view.hasInput(4))
    if (auto steps = integersOf(in(4)))
      node->setOperand(4, integers(b, node.getLoc(), *steps));
  return true;
}

bool Thaw::thawGather() {
  int64_t axis = view.intAttr("axis", 0);
  axis += axis < 0 ? s.at(in(0)).rank() : 0;
  auto indices = integersOf(in(1));
  auto constant = in(1).getDefiningOp<arith::ConstantOp>();
  if (!indices || !constant || isReadOneByOne(in(0), axis))
    return false;
  for (int64_t &i : *indices) {
    auto moved = bound(in(0), axis, i, false, true);
    if (!moved)
      return false;
    i = *moved;
  }
  auto type = cast<RankedTensorType>(constant.getType());
  auto i64 = RankedTensorType::get(type.getShape(), b.getI64Type());
  node->setOperand(1, arith::ConstantOp::create(
                          b, node.getLoc(),
                          DenseElementsAttr::get(i64, ArrayRef(*indices))));
  return true;
}

/// The trip count becomes the size of what the body goes through.
bool Thaw::thawLoop() {
  auto indexed = indexedInLoop(node, s);
  if (!indexed || integersOf(in(0))->front() != s.size() ||
      s.excess(indexed->first, indexed->second) != 0)
    return false;
  Location loc = node.getLoc();
  int64_t rank = s.at(indexed->first).rank();
  Value shape = streaming::node(b, loc, "Shape", {indexed->first},
                                RankedTensorType::get({rank}, b.getI64Type()));
  node->setOperand(
      0, streaming::node(b, loc, "Gather",
                         {shape, integers(b, loc, {indexed->second}, true)},
                         RankedTensorType::get({}, b.getI64Type()),
                         {b.getNamedAttr("axis", b.getI64IntegerAttr(0))}));
  return true;
}

/// Lengths that are all the whole length need not be said.
bool Thaw::thawLengths() {
  if (llvm::any_of(*integersOf(in(4)),
                   [&](int64_t n) { return n != s.size(); }))
    return false;
  node->setOperand(4, NoneOp::create(b, node.getLoc(), b.getNoneType()));
  return true;
}

/// A constant of size 1 along the axis, where it repeats itself along it.
static DenseElementsAttr oneOf(DenseElementsAttr dense, int64_t axis) {
  auto type = cast<RankedTensorType>(dense.getType());
  SmallVector<int64_t> shape(type.getShape());
  int64_t n = shape[axis], inner = 1, outer = 1;
  for (int64_t k = 0; k < type.getRank(); ++k)
    (k < axis ? outer : inner) *= k == axis ? 1 : shape[k];
  shape[axis] = 1;
  RankedTensorType narrow = type.clone(shape);
  if (dense.isSplat())
    return dense.resizeSplat(narrow);
  if (dense.getNumElements() > (1 << 22))
    return {};
  SmallVector<Attribute> all(dense.getValues<Attribute>()), kept;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      for (int64_t k = 1; k < n; ++k)
        if (all[(o * n + k) * inner + i] != all[o * n * inner + i])
          return {};
      kept.push_back(all[o * n * inner + i]);
    }
  return DenseElementsAttr::get(narrow, kept);
}

/// The value with size 1 along the axis, where it repeats itself along it; null
/// where that is not known.
Value Thaw::narrow(Value v, int64_t axis) {
  Location loc = v.getLoc();
  if (auto constant = v.getDefiningOp<arith::ConstantOp>()) {
    auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
    DenseElementsAttr one = dense ? oneOf(dense, axis) : DenseElementsAttr();
    return one ? Value(arith::ConstantOp::create(b, loc, one)) : Value();
  }
  auto source = v.getDefiningOp<NodeOp>();
  if (!source || source.getDomainAttr() ||
      (source.getOpType() != "Expand" &&
       source.getOpType() != "ConstantOfShape"))
    return {};
  bool expand = source.getOpType() == "Expand";
  auto shape = integersOf(source.getInputs()[expand ? 1 : 0]);
  if (!shape)
    return {};
  int64_t rank = s.at(v).rank(), place = axis - (rank - int64_t(shape->size()));
  if (place < 0)
    return {};
  if (expand) {
    const ValueInfo &from = s.at(source.getInputs()[0]);
    int64_t at = axis - (rank - from.rank());
    if (at >= 0 && !from.dims[at].isConst(1))
      return {};
  }
  (*shape)[place] = 1;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(source);
  auto copy = cast<NodeOp>(b.clone(*source.getOperation()));
  copy->setOperand(expand ? 1 : 0, integers(b, loc, *shape));
  b.setInsertionPoint(copy);
  copy->getOperand(expand ? 1 : 0).getDefiningOp()->moveBefore(copy);
  return copy.getOutputs()[0];
}

/// What repeats itself along the axis is broadcast along it instead.
bool Thaw::thawElementwise() {
  int64_t rank = 0;
  for (Value v : node.getInputs())
    rank = std::max(rank, s.at(v).rank());
  SmallVector<bool> varying(rank, false);
  for (Value v : node.getInputs())
    for (int64_t axis : s.axes(v))
      varying[rank - s.at(v).rank() + axis] = true;
  bool changed = false;
  for (auto [i, v] : llvm::enumerate(node.getInputs()))
    for (int64_t axis = 0; axis < s.at(v).rank(); ++axis) {
      if (!varying[rank - s.at(v).rank() + axis] || s.varies(v, axis) ||
          s.at(v).dims[axis].isConst(1))
        continue;
      Value one = narrow(v, axis);
      if (!one)
        return false;
      node->setOperand(i, one);
      changed = true;
      break; // other axes: next time
    }
  return changed;
}

bool Thaw::run() {
  b.setInsertionPoint(node);
  if (is("Reshape"))
    return thawReshape();
  if (is("Expand"))
    return thawExpand();
  if (is("Slice") && node.getInputs().size() >= 3)
    return thawSlice();
  if (is("Gather"))
    return thawGather();
  if (is("Loop"))
    return !loopFault().empty() && thawLoop();
  if (isRecurrentOp())
    return !lengthsFault().empty() && thawLengths();
  return isElementwise(node) && thawElementwise();
}
