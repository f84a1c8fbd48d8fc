//===- Locality.cpp - what may be computed piece by piece -----------------===//
//
// A value along time has one axis that varies with the sequence's length: it
// holds the piece, some elements in front of it (what a convolution looks back
// at) and some behind it (padding that will be cut off). Operators that keep to
// one position, or to positions at a fixed distance behind, give the same for a
// piece as for the whole.
//
//===----------------------------------------------------------------------===//
#include "Locality.h"

#include "Thaw.h"
#include "lnn/Streaming/Edit.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace lnn::onnx;
using namespace lnn::streaming;

static bool isNode(NodeOp node, StringRef type) {
  return !node.getDomainAttr() && node.getOpType() == type;
}

LogicalResult Locality::refuse(NodeOp node, const Twine &why) {
  return NodeView(node).unsupported("it cannot be computed piece by piece: " +
                                    why);
}

bool lnn::streaming::isZeros(Value v, unsigned depth) {
  if (depth > 64)
    return false;
  if (auto constant = v.getDefiningOp<arith::ConstantOp>()) {
    auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
    if (!dense || dense.getNumElements() > (1 << 20))
      return false;
    auto isZero = [](Attribute value) {
      if (auto f = dyn_cast<FloatAttr>(value))
        return f.getValue().isPosZero();
      auto i = dyn_cast<IntegerAttr>(value);
      return i && i.getValue().isZero();
    };
    if (dense.isSplat())
      return isZero(dense.getSplatValue<Attribute>());
    return llvm::all_of(dense.getValues<Attribute>(), isZero);
  }
  auto node = v.getDefiningOp<NodeOp>();
  if (!node || node.getDomainAttr())
    return false;
  StringRef type = node.getOpType();
  if (type == "ConstantOfShape") {
    auto value =
        dyn_cast_or_null<DenseElementsAttr>(NodeView(node).tensorAttr("value"));
    if (!value)
      return true;
    return value.getElementType().isF32()
               ? value.getSplatValue<APFloat>().isPosZero()
               : isa<IntegerType>(value.getElementType()) &&
                     value.getSplatValue<APInt>().isZero();
  }
  static const llvm::StringSet<> keeps = {
      "Expand", "Reshape", "Unsqueeze", "Squeeze",  "Transpose", "Slice",
      "Gather", "Tile",    "Cast",      "Identity", "Flatten"};
  if (keeps.contains(type))
    return isZeros(node.getInputs()[0], depth + 1);
  if (type == "Concat")
    return llvm::all_of(node.getInputs(),
                        [&](Value in) { return isZeros(in, depth + 1); });
  return false;
}

std::optional<Locality::Window> Locality::windowOf(Value v) const {
  SmallVector<int64_t> axes = s.axes(v);
  if (axes.size() != 1)
    return std::nullopt;
  std::optional<int64_t> excess = s.excess(v, axes.front());
  if (!excess)
    return std::nullopt;
  int64_t beyond = ahead.lookup(v);
  return Window{axes.front(), *excess - beyond, beyond};
}

/// The results are as far ahead as the operands, which must agree.
LogicalResult Locality::passOn(NodeOp node) {
  std::optional<int64_t> beyond;
  for (Value v : node.getInputs()) {
    if (s.axes(v).empty())
      continue;
    int64_t own = ahead.lookup(v);
    if (beyond && *beyond != own)
      return refuse(node, "it joins what is shifted in time");
    beyond = own;
  }
  for (Value v : node.getOutputs())
    if (beyond.value_or(0))
      ahead[v] = *beyond;
  return success();
}

/// A node that goes over some axes of one input as a whole: none of them may be
/// time.
LogicalResult Locality::local(NodeOp node, ArrayRef<int64_t> mixed,
                              unsigned input) {
  for (int64_t axis : mixed)
    if (s.varies(node.getInputs()[input], axis))
      return refuse(node, "it goes over the whole sequence");
  return passOn(node);
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

/// Time must stay an axis, with what varies faster kept; it may be joined with
/// slower axes, and taken out of them again.
LogicalResult Locality::visitReshape(NodeOp node) {
  Value in = node.getInputs()[0], out = node.getOutputs()[0];
  SmallVector<int64_t> from = s.axes(in), to = s.axes(out);
  if (from.size() != 1 || to.size() != 1)
    return refuse(node, "it takes the time axis apart");
  DimContext &dims = s.secondProbe().dims();
  auto product = [&](ArrayRef<Dim> factors) {
    Dim result = dims.constant(1);
    for (Dim d : factors)
      result = result ? dims.mul(result, d) : result;
    return result;
  };
  ArrayRef<Dim> a = s.other(in).dims, b = s.other(out).dims;
  bool before = product(a.take_front(from[0])) == product(b.take_front(to[0])),
       behind = product(a.drop_front(from[0] + 1)) ==
                product(b.drop_front(to[0] + 1));
  bool alone = s.excess(in, from[0]).has_value();
  if (!behind && !(before && alone))
    return refuse(node, "it mixes times");
  if (ahead.lookup(in) && !(before && behind))
    return refuse(node, "it joins what is padded along time");
  return passOn(node);
}

LogicalResult Locality::visitMatMul(NodeOp node) {
  int64_t ra = s.at(node.getInputs()[0]).rank(),
          rb = s.at(node.getInputs()[1]).rank();
  if (s.varies(node.getInputs()[0], ra - 1) ||
      s.varies(node.getInputs()[1], std::max<int64_t>(rb - 2, 0)))
    return refuse(node, "it sums over the whole sequence");
  if (!s.axes(node.getInputs()[0]).empty() && rb >= 1 &&
      s.varies(node.getInputs()[1], rb - 1) && rb > 1)
    return refuse(node, "it joins every time with every other");
  return passOn(node);
}

LogicalResult Locality::visitGemm(NodeOp node) {
  NodeView view(node);
  if (s.varies(node.getInputs()[0], view.intAttr("transA", 0) ? 0 : 1) ||
      s.varies(node.getInputs()[1], view.intAttr("transB", 0) ? 1 : 0))
    return refuse(node, "it sums over the whole sequence");
  if (!s.axes(node.getInputs()[0]).empty() &&
      !s.axes(node.getInputs()[1]).empty())
    return refuse(node, "it joins every time with every other");
  return passOn(node);
}

/// Each letter of an axis along time must be one and the same, and be left.
LogicalResult Locality::visitEinsum(NodeOp node) {
  std::string equation;
  for (char c : NodeView(node).strAttr("equation", ""))
    if (c != ' ')
      equation += c;
  auto [terms, result] = StringRef(equation).split("->");
  SmallVector<StringRef> inputs;
  terms.split(inputs, ',');
  char time = 0;
  for (auto [i, v] : llvm::enumerate(node.getInputs()))
    for (int64_t axis : s.axes(v)) {
      if (i >= inputs.size() || StringRef(equation).contains('.') ||
          size_t(axis) >= inputs[i].size())
        return refuse(node, "its equation is not understood");
      char letter = inputs[i][axis];
      if ((time && letter != time) || !result.contains(letter))
        return refuse(node, "it goes over the whole sequence");
      time = letter;
    }
  return passOn(node);
}

LogicalResult Locality::visitGather(NodeOp node) {
  Value data = node.getInputs()[0], indices = node.getInputs()[1];
  int64_t axis = NodeView(node).intAttr("axis", 0);
  axis += axis < 0 ? s.at(data).rank() : 0;
  if (!s.varies(data, axis)) {
    if (!s.axes(data).empty() && !s.axes(indices).empty())
      return refuse(node, "both of its inputs are along time");
    return passOn(node);
  }
  auto at = integersOf(indices);
  auto window = windowOf(data);
  if (at && window && window->ahead == 0 &&
      llvm::all_of(*at, [](int64_t i) { return i == -1; }))
    return success(); // the newest
  return refuse(node, "it reads other times than the newest");
}

/// Entry k of a list of positions on an axis: a literal, or a number of
/// elements from the end where it follows the length.
std::optional<int64_t> Locality::position(Value list, unsigned k, Value data,
                                          int64_t axis) {
  if (auto literals = integersOf(list))
    return k < literals->size() ? std::optional((*literals)[k]) : std::nullopt;
  auto read = [&](const ValueInfo &positions,
                  const ValueInfo &info) -> std::optional<int64_t> {
    if (!positions.data || k >= positions.data->size() ||
        !(*positions.data)[k].isConst() || !info.dims[axis].isConst())
      return std::nullopt;
    return (*positions.data)[k].value() - info.dims[axis].value();
  };
  auto a = read(s.at(list), s.at(data)), b = read(s.other(list), s.other(data));
  if (!a || a != b || *a > 0)
    return std::nullopt;
  return *a == 0 ? std::numeric_limits<int64_t>::max() : *a;
}

LogicalResult Locality::visitSlice(NodeOp node) {
  NodeView view(node);
  Value data = node.getInputs()[0];
  if (node.getInputs().size() < 3)
    return refuse(node, "this form of it is not understood");
  std::optional<SmallVector<int64_t>> axes, steps;
  if (view.hasInput(3))
    axes = integersOf(node.getInputs()[3]);
  if (view.hasInput(4))
    steps = integersOf(node.getInputs()[4]);
  bool touched = false;
  int64_t begin = 0, end = std::numeric_limits<int64_t>::max(), step = 1;
  auto window = windowOf(data);
  const ValueInfo &list = s.at(node.getInputs()[1]);
  unsigned count =
      list.rank() == 1 && list.dims[0].isConst() ? list.dims[0].value() : 0;
  if (axes && axes->size() < count)
    return refuse(node, "this form of it is not understood");
  for (unsigned k = 0; k < count; ++k) {
    if (view.hasInput(3) && !axes)
      return refuse(node, "its axes are not constants");
    int64_t axis = axes ? (*axes)[k] : int64_t(k);
    axis += axis < 0 ? s.at(data).rank() : 0;
    if (!s.varies(data, axis))
      continue;
    auto first = position(node.getInputs()[1], k, data, axis),
         last = position(node.getInputs()[2], k, data, axis);
    if (!first || !last || !window || (view.hasInput(4) && !steps))
      return refuse(node, "it cuts the time axis at places that are computed");
    touched = true;
    begin = *first;
    end = *last;
    step = steps && k < steps->size() ? (*steps)[k] : 1;
  }
  if (!touched)
    return passOn(node);
  bool toEnd = end >= std::numeric_limits<int32_t>::max();
  if (step == 1 && begin == -1 && toEnd && window->ahead == 0)
    return success(); // the newest
  if (step < 0)
    return refuse(node, "it turns the time axis around");
  if (step != 1 || begin < 0 || begin > window->behind || (end >= 0 && !toEnd))
    return refuse(node, "it cuts pieces out of the time axis");
  int64_t left = window->ahead + (toEnd ? 0 : end);
  Value out = node.getOutputs()[0];
  if (left > 0)
    ahead[out] = left; // else it is as old as it is long
  auto now = windowOf(out);
  if (!now || now->behind < 0)
    return refuse(node, "it cuts pieces out of the time axis");
  return success();
}

/// `length` zeros stand in front of the node's input: in pieces, what came
/// before.
LogicalResult Locality::lookBack(NodeOp node, int64_t axis, int64_t length) {
  if (nested)
    return refuse(node, "it looks back from inside of a subgraph");
  unsigned operand = isNode(node, "Concat") ? 1 : 0;
  auto window = windowOf(node.getInputs()[operand]);
  if (!window || window->axis != axis || window->behind || window->ahead)
    return refuse(node, "what it pads is padded already");
  exposures.push_back({Exposure::Padding, node, operand, axis, length});
  return success();
}

LogicalResult Locality::visitConcat(NodeOp node) {
  int64_t axis = NodeView(node).intAttr("axis", 0);
  axis += axis < 0 ? s.at(node.getOutputs()[0]).rank() : 0;
  if (llvm::none_of(node.getInputs(),
                    [&](Value v) { return s.varies(v, axis); }))
    return passOn(node);
  if (node.getInputs().size() == 2 && isZeros(node.getInputs()[0]) &&
      s.axes(node.getInputs()[0]).empty() &&
      s.at(node.getInputs()[0]).dims[axis].isConst())
    return lookBack(node, axis, s.at(node.getInputs()[0]).dims[axis].value());
  return refuse(node, "it puts sequences one behind the other");
}

LogicalResult Locality::visitPad(NodeOp node) {
  NodeView view(node);
  auto window = windowOf(node.getInputs()[0]);
  auto pads = node.getInputs().size() > 1 ? integersOf(node.getInputs()[1])
                                          : std::nullopt;
  int64_t rank = s.at(node.getInputs()[0]).rank();
  if (!pads || !window)
    return refuse(node, "its pads are not constants");
  SmallVector<int64_t> axes;
  if (view.hasInput(3)) {
    auto given = integersOf(node.getInputs()[3]);
    if (!given)
      return refuse(node, "its axes are not constants");
    for (int64_t axis : *given)
      axes.push_back(axis < 0 ? axis + rank : axis);
  } else {
    for (int64_t k = 0; k < rank; ++k)
      axes.push_back(k);
  }
  int64_t front = 0, back = 0;
  for (auto [k, axis] : llvm::enumerate(axes))
    if (axis == window->axis && k + axes.size() < pads->size()) {
      front = (*pads)[k];
      back = (*pads)[k + axes.size()];
    }
  if (front > 0 || back > 0) {
    if (view.strAttr("mode", "constant") != "constant" ||
        (view.hasInput(2) && !isZeros(node.getInputs()[2])))
      return refuse(node, "it pads the time axis with more than zeros");
  }
  if (front > 0 && failed(lookBack(node, window->axis, front)))
    return failure();
  if (window->behind + front < 0)
    return refuse(node, "it cuts the beginning of the time axis off");
  int64_t left = window->ahead + back;
  if (left > 0)
    ahead[node.getOutputs()[0]] = left;
  return success();
}

LogicalResult Locality::visitConv(NodeOp node) {
  NodeView view(node);
  auto window = windowOf(node.getInputs()[0]);
  if (!s.axes(node.getInputs()[1]).empty() || !window || window->axis == 1)
    return refuse(node, "it goes over the whole sequence");
  if (window->axis == 0)
    return passOn(node); // every time is a sample of its own
  unsigned k = window->axis - 2;
  unsigned spatial = s.at(node.getInputs()[0]).rank() - 2;
  auto entry = [&](StringRef name, unsigned at, int64_t otherwise) {
    auto list = view.intsAttr(name);
    return list && at < list->size() ? (*list)[at] : otherwise;
  };
  StringRef mode = view.strAttr("auto_pad", "NOTSET");
  Dim kernel = s.at(node.getInputs()[1]).dims[window->axis];
  if (entry("strides", k, 1) != 1 || !kernel.isConst() ||
      (mode != "NOTSET" && mode != "VALID"))
    return refuse(node, "only a stride of 1 and explicit pads along time are "
                        "supported");
  int64_t front = mode == "VALID" ? 0 : entry("pads", k, 0),
          back = mode == "VALID" ? 0 : entry("pads", k + spatial, 0);
  int64_t reach = (kernel.value() - 1) * entry("dilations", k, 1);
  if (window->behind + front < reach)
    return refuse(node, "it looks ahead: it is padded with " +
                            Twine(window->behind + front) + " in front, " +
                            Twine(reach) + " is how far a kernel of size " +
                            Twine(kernel.value()) + " reaches");
  if (front > 0 && failed(lookBack(node, window->axis, front)))
    return failure();
  if (int64_t left = window->ahead + back; left > 0)
    ahead[node.getOutputs()[0]] = left;
  return success();
}

LogicalResult Locality::visitNormalization(NodeOp node) {
  int64_t rank = s.at(node.getInputs()[0]).rank();
  // Before opset 13 what is behind the axis goes with it.
  bool old = node.getOpset() < 13 && node.getOpType().ends_with("max");
  int64_t axis = NodeView(node).intAttr("axis", old ? 1 : -1);
  axis += axis < 0 ? rank : 0;
  bool toEnd = node.getOpType().ends_with("Normalization") ||
               (node.getOpset() < 13 && node.getOpType() != "LpNormalization");
  SmallVector<int64_t> mixed;
  for (int64_t k = axis; k < (toEnd ? rank : axis + 1); ++k)
    mixed.push_back(k);
  return local(node, mixed);
}

LogicalResult Locality::visitReduction(NodeOp node) {
  NodeView view(node);
  int64_t rank = s.at(node.getInputs()[0]).rank();
  std::optional<SmallVector<int64_t>> axes = view.intsAttr("axes");
  if (!axes && view.hasInput(1))
    axes = integersOf(node.getInputs()[1]);
  if (!axes && node.getOpType().starts_with("Arg"))
    axes = SmallVector<int64_t>{view.intAttr("axis", 0)};
  SmallVector<int64_t> mixed;
  bool all = !axes || axes->empty();
  if (all && view.intAttr("noop_with_empty_axes", 0))
    return passOn(node);
  if (all)
    for (int64_t k = 0; k < rank; ++k)
      mixed.push_back(k);
  else
    for (int64_t axis : *axes)
      mixed.push_back(axis < 0 ? axis + rank : axis);
  return local(node, mixed);
}

//===----------------------------------------------------------------------===//
// Recurrences
//===----------------------------------------------------------------------===//

LogicalResult Locality::expose(Exposure exposure, Value init, StringRef what) {
  if (nested)
    return refuse(exposure.node, "it runs along time inside of a subgraph");
  if (!init || isZeros(init)) {
    exposures.push_back(exposure);
    return success();
  }
  // A state of the model already, or what is computed from one.
  SmallVector<Value> work{init};
  DenseSet<Value> seen;
  while (!work.empty()) {
    Value v = work.pop_back_val();
    if (!seen.insert(v).second)
      continue;
    if (auto argument = dyn_cast<BlockArgument>(v)) {
      if (argument.getOwner() != &function.getBody().front())
        continue;
      auto role = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                        "lnn.role");
      if (role && role.getValue() == "state")
        return success();
      if (v == init && v.hasOneUse()) {
        exposures.push_back(exposure);
        return success();
      }
      continue;
    }
    llvm::append_range(work, v.getDefiningOp()->getOperands());
  }
  return refuse(exposure.node, what + " starts from values that are neither "
                                      "zeros nor an input of its own");
}

/// True where a node of the body reads what is along time.
bool Locality::bodyReadsSequence(NodeOp node, NodeOp &reader) {
  return node
      ->walk([&](NodeOp inner) {
        if (inner == node || llvm::none_of(inner.getInputs(), [&](Value v) {
              return isAlongTime(v);
            }))
          return WalkResult::advance();
        reader = inner;
        return WalkResult::interrupt();
      })
      .wasInterrupted();
}

LogicalResult Locality::visitScan(NodeOp node) {
  NodeView view(node);
  unsigned count = view.intAttr("num_scan_inputs", 0);
  unsigned states = node.getInputs().size() - count;
  auto listed = [&](StringRef name, unsigned i) -> int64_t {
    auto list = view.intsAttr(name);
    return list && i < list->size() ? (*list)[i] : 0;
  };
  bool overTime = false;
  for (unsigned i = 0; i < count; ++i) {
    Value v = node.getInputs()[states + i];
    int64_t axis = listed("scan_input_axes", i);
    axis += axis < 0 ? s.at(v).rank() : 0;
    overTime |= s.varies(v, axis);
  }
  if (!overTime)
    return visitBodies(node);
  for (unsigned i = 0; i < count; ++i) {
    if (listed("scan_input_directions", i))
      return refuse(node, "it runs backward in time");
    auto window = windowOf(node.getInputs()[states + i]);
    if (!window || window->behind || window->ahead)
      return refuse(node, "it goes over what is padded along time");
  }
  for (unsigned i = 0; i < node.getOutputs().size() - states; ++i)
    if (listed("scan_output_directions", i))
      return refuse(node, "its output runs backward in time");
  NodeOp reader;
  if (bodyReadsSequence(node, reader))
    return refuse(reader, "it reads the whole sequence in each step");
  for (unsigned i = 0; i < states; ++i)
    if (failed(expose({Exposure::Initial, node, i}, node.getInputs()[i],
                      "state " + std::to_string(i))))
      return failure();
  return success();
}

/// True where the value is the iteration number, in whatever shape.
static bool isIteration(Value v, Value iteration) {
  while (auto node = v.getDefiningOp<NodeOp>()) {
    if (!isNode(node, "Unsqueeze") && !isNode(node, "Identity") &&
        !isNode(node, "Reshape") && !isNode(node, "Squeeze"))
      break;
    v = node.getInputs()[0];
  }
  return v == iteration;
}

/// True where a Loop's condition is always true.
static bool goesOn(NodeOp loop, const Sensitivity &s) {
  auto isTrue = [&](Value v) {
    const ValueInfo &info = s.at(v);
    return info.data && info.data->size() == 1 && info.data->front().isConst(1);
  };
  if (NodeView(loop).hasInput(1) && !isTrue(loop.getInputs()[1]))
    return false;
  Block &body = loop.getBodies().front().front();
  Value next = body.getTerminator()->getOperand(0);
  while (auto node = next.getDefiningOp<NodeOp>()) {
    if (!isNode(node, "Identity"))
      break;
    next = node.getInputs()[0];
  }
  return next == body.getArgument(1) || isTrue(next);
}

/// A Loop of as many iterations as there are times: what is along time may be
/// read at the iteration's place.
LogicalResult Locality::visitTimeLoop(NodeOp node) {
  Block &body = node.getBodies().front().front();
  Value iteration = body.getArgument(0);
  if (!goesOn(node, s))
    return refuse(node, "its condition may end it");
  if (!s.at(node.getInputs()[0]).data ||
      !s.at(node.getInputs()[0]).data->front().isConst(s.size()))
    return refuse(node, "its trip count is not the length of the sequence");
  SmallVector<NodeOp> indexing;
  bool refused = false;
  node->walk([&](NodeOp inner) {
    if (inner == node || refused)
      return;
    for (auto [i, v] : llvm::enumerate(inner.getInputs())) {
      bool reads = isNode(inner, "Gather") && inner.getInputs().size() == 2;
      int64_t axis = NodeView(inner).intAttr("axis", 0);
      if (reads && axis < 0)
        axis += s.at(inner.getInputs()[0]).rank();
      reads = reads && isIteration(inner.getInputs()[1], iteration) &&
              s.axes(inner.getInputs()[0]) == SmallVector<int64_t>{axis};
      bool passes = isIteration(v, iteration) &&
                    isIteration(inner.getOutputs()[0], iteration);
      if ((isAlongTime(v) || isIteration(v, iteration)) && !reads && !passes) {
        (void)refuse(inner, isAlongTime(v)
                                ? "it reads the whole sequence in each step"
                                : "it computes with the number of the step");
        refused = true;
        return;
      }
    }
  });
  if (refused)
    return failure();
  for (unsigned k = 2; k < node.getInputs().size(); ++k) {
    Value init = node.getInputs()[k], last = node.getOutputs()[k - 2];
    if (SmallVector<int64_t> axes = s.axes(last); !axes.empty()) {
      // It grows by a piece in each step.
      if (axes.size() != 1 || !s.at(init).dims[axes.front()].isConst(0))
        return refuse(node, "carried value " + Twine(k - 2) +
                                " is along time itself");
      continue;
    }
    if (failed(expose({Exposure::Initial, node, k}, init,
                      "carried value " + std::to_string(k - 2))))
      return failure();
  }
  return success();
}

LogicalResult Locality::visitLoop(NodeOp node) {
  if (node.getInputs().size() >= 2 && s.contentsVary(node.getInputs()[0]))
    return visitTimeLoop(node);
  return visitBodies(node);
}

/// Subgraphs that do not go along time: each iteration does the same to every
/// time.
LogicalResult Locality::visitBodies(NodeOp node) {
  bool padded = false;
  node->walk([&](Operation *op) {
    for (Value v : op->getOperands())
      padded |= ahead.lookup(v) != 0;
  });
  if (padded)
    return refuse(node, "it goes over what is padded along time");
  bool outer = std::exchange(nested, true);
  for (Region &region : node.getBodies())
    if (failed(visitBlock(region.front())))
      return failure();
  nested = outer;
  return success();
}

LogicalResult Locality::visitRecurrent(NodeOp node) {
  NodeView view(node);
  bool batchFirst = view.intAttr("layout", 0);
  Value x = node.getInputs()[0];
  if (s.axes(x).empty())
    return success();
  auto window = windowOf(x);
  if (!window || window->axis != (batchFirst ? 1 : 0))
    return refuse(node, "time is not the axis that it runs along");
  if (window->behind || window->ahead)
    return refuse(node, "it goes over what is padded along time");
  if (view.hasInput(4))
    return refuse(node, "it has sequence_lens");
  for (unsigned i : {5u, 6u}) {
    if (i == 6 && node.getOpType() != "LSTM")
      continue;
    Exposure exposure{Exposure::Recurrent, node, i};
    Value init = view.hasInput(i) ? node.getInputs()[i] : Value();
    if (failed(expose(exposure, init, i == 5 ? "initial_h" : "initial_c")))
      return failure();
  }
  return success();
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

/// Operators whose input at this place is a size, not a number to compute with.
static bool takesSize(NodeOp node, unsigned input) {
  StringRef type = node.getOpType();
  return ((type == "Reshape" || type == "Expand" || type == "Tile") &&
          input == 1) ||
         (type == "Slice" && (input == 1 || input == 2)) ||
         (type == "ConstantOfShape" && input == 0);
}

LogicalResult Locality::visitNodeAlongTime(NodeOp node) {
  static const llvm::StringSet<> anywhere = {
      "Transpose",      "Unsqueeze",        "Squeeze", "Expand",
      "Shape",          "ConstantOfShape",  "Size",    "BatchNormalization",
      "QuantizeLinear", "DequantizeLinear", "OneHot"};
  static const llvm::StringSet<> normalizations = {
      "Softmax",          "LogSoftmax",
      "Hardmax",          "TopK",
      "LpNormalization",  "LayerNormalization",
      "RMSNormalization", "SimplifiedLayerNormalization"};
  StringRef type = node.getOpType();
  if (isElementwise(node) || (!node.getDomainAttr() && anywhere.contains(type)))
    return passOn(node);
  if (node.getDomainAttr())
    return refuse(node, "it is not known to keep to one time");
  if (normalizations.contains(type))
    return visitNormalization(node);
  if (type.starts_with("Reduce") || type == "ArgMax" || type == "ArgMin")
    return visitReduction(node);
  if (type == "Split") {
    int64_t axis = NodeView(node).intAttr("axis", 0);
    return local(node,
                 {axis < 0 ? axis + s.at(node.getInputs()[0]).rank() : axis});
  }
  if (type == "Reshape" || type == "Flatten")
    return visitReshape(node);
  if (type == "MatMul")
    return visitMatMul(node);
  if (type == "Gemm")
    return visitGemm(node);
  if (type == "Einsum")
    return visitEinsum(node);
  if (type == "Gather")
    return visitGather(node);
  if (type == "Slice")
    return visitSlice(node);
  if (type == "Concat")
    return visitConcat(node);
  if (type == "Pad")
    return visitPad(node);
  if (type == "Conv")
    return visitConv(node);
  return refuse(node, "it is not known to keep to one time");
}

LogicalResult Locality::visit(NodeOp node) {
  for (Value v : node.getInputs())
    if (!isa<NoneType>(v.getType()) && !s.knows(v))
      return node.emitError(s.secondProbe().failed() ? s.secondProbe().why()
                                                     : s.firstProbe().why());
  if (isNode(node, "Scan"))
    return visitScan(node);
  if (isNode(node, "Loop"))
    return visitLoop(node);
  if (isNode(node, "If")) {
    if (isAlongTime(node.getInputs()[0]))
      return refuse(node, "its condition is along time");
    return visitBodies(node);
  }
  if (isNode(node, "GRU") || isNode(node, "LSTM") || isNode(node, "RNN"))
    return visitRecurrent(node);
  bool along = false, sizes = false;
  for (auto [i, v] : llvm::enumerate(node.getInputs())) {
    along |= !s.axes(v).empty();
    sizes |= s.contentsVary(v) && !takesSize(node, i);
  }
  if (sizes) {
    // Arithmetic of sizes stays such, and ends where a size is taken.
    for (Value v : node.getOutputs())
      if (!s.at(v).data || !s.axes(v).empty())
        return refuse(node, "it computes with the length of the sequence");
    return success();
  }
  if (!along)
    return success();
  for (Value v : node.getOutputs())
    if (s.axes(v).size() > 1)
      return refuse(node, "it joins every time with every other");
  return visitNodeAlongTime(node);
}

LogicalResult Locality::visitBlock(Block &block) {
  for (NodeOp node : block.getOps<NodeOp>())
    if (failed(visit(node)))
      return failure();
  return success();
}

/// Results along time must be what the piece is, no more.
LogicalResult Locality::finish() {
  Operation *end = function.getBody().front().getTerminator();
  for (auto [i, v] : llvm::enumerate(end->getOperands())) {
    auto window = windowOf(v);
    if (window && (window->behind || window->ahead)) {
      auto name = function.getResultAttrOfType<StringAttr>(i, "lnn.name");
      return function.emitError("not supported: output '")
             << (name ? name.getValue() : StringRef("?"))
             << "' is longer than the sequence; it cannot be computed piece by "
                "piece";
    }
  }
  return success();
}

/// What runs backward in time is what a user wants to hear of first.
LogicalResult Locality::refuseBackward() {
  for (NodeOp node : function.getBody().front().getOps<NodeOp>()) {
    NodeView view(node);
    if (isNode(node, "GRU") || isNode(node, "LSTM") || isNode(node, "RNN")) {
      StringRef direction = view.strAttr("direction", "forward");
      if (direction != "forward" && !s.axes(node.getInputs()[0]).empty())
        return refuse(node, "its direction is '" + direction + "'");
    }
    if (!isNode(node, "Slice") || !view.hasInput(3) || !view.hasInput(4))
      continue;
    auto axes = integersOf(node.getInputs()[3]),
         steps = integersOf(node.getInputs()[4]);
    if (!axes || !steps || axes->size() != steps->size())
      continue;
    Value data = node.getInputs()[0];
    for (auto [axis, step] : llvm::zip(*axes, *steps))
      if (step < 0 &&
          s.varies(data, axis < 0 ? axis + s.at(data).rank() : axis))
        return refuse(node, "it turns the time axis around");
  }
  return success();
}

LogicalResult Locality::run() {
  if (failed(refuseBackward()))
    return failure();
  if (failed(visitBlock(function.getBody().front())))
    return failure();
  return finish();
}
