//===- Collapse.cpp - a run becomes one node ------------------------------===//
#include "Run.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::reroll;

static RankedTensorType without(RankedTensorType type, int64_t axis) {
  SmallVector<int64_t> shape(type.getShape());
  shape.erase(shape.begin() + axis);
  return RankedTensorType::get(shape, type.getElementType());
}

static RankedTensorType with(RankedTensorType type, int64_t axis,
                             int64_t size) {
  SmallVector<int64_t> shape(type.getShape());
  shape.insert(shape.begin() + axis, size);
  return RankedTensorType::get(shape, type.getElementType());
}

/// All the constants as one, along a new first axis.
static ElementsAttr stack(ArrayRef<DenseElementsAttr> parts) {
  auto type = cast<RankedTensorType>(parts[0].getType());
  SmallVector<Attribute> values;
  for (DenseElementsAttr part : parts)
    llvm::append_range(values, part.getValues<Attribute>());
  return cast<ElementsAttr>(
      DenseElementsAttr::get(with(type, 0, parts.size()), values));
}

namespace {

/// A place that takes one slice of one outer tensor in each iteration, at
/// indices start, start + step, ...
struct RunningSlice {
  Ref data;
  int64_t axis = 0, start = 0, step = 0;
  bool keepsAxis = false; // the slice has the axis, of size 1
};

/// A value that the rest of the graph reads in other ways than as a last state.
struct Output {
  int place, res;
  int64_t axis = 0;
  bool reverse = false;
  int joiner = -1;    // the Concat that takes all iterations' values in order,
  unsigned first = 0; // from this operand on
};

class Collapser {
public:
  Collapser(Graph &graph, const Run &run, llvm::function_ref<bool(int)> inRun)
      : graph(graph), run(run), inRun(inRun), body(std::make_shared<Body>()),
        trip(run.trip()) {}
  bool rewrite();

private:
  Graph &graph;
  const Run &run;
  llvm::function_ref<bool(int)> inRun;
  std::shared_ptr<Body> body;
  int trip;
  SmallVector<Ref> slices, invariants;
  llvm::DenseMap<uint64_t, int> invariantIndex;
  llvm::DenseMap<std::pair<uint64_t, int64_t>, BodyRef> sliceIndex;
  std::vector<std::optional<BodyRef>> built; // by place
  SmallVector<Output> outputs;
  std::vector<char> input, size;               // by place
  SmallVector<std::pair<int, Ref>> lastStates; // state, value that it replaces
  int64_t extracted = 0; // values that are read one by one

  const Label &labelAt(int place) const {
    return graph.labelOf(run.model(place));
  }
  Location locAt(int place) const { return graph.nodes[run.model(place)].loc; }
  Ref operandAt(int iteration, int place, unsigned q) const {
    int id = run.node(iteration, place);
    return id < 0 ? Ref() : graph.nodes[id].operands[q];
  }
  int64_t worth() const { return int64_t(trip - 1) * run.places(); }

  // What the graph reads.
  void findOutputs();
  void findOutput(int place, int res);
  bool joins(Output &out, int joiner) const;
  bool isUsed(Graph::Use use, int res) const {
    return (use.user < 0 || !inRun(use.user)) && graph.usedBy(use).res == res;
  }
  // The body.
  BodyRef invariant(Ref ref);
  BodyRef slice(Ref data, int64_t axis, bool reverse);
  std::optional<BodyRef> scanned(int place, unsigned q);
  std::optional<SmallVector<Ref>> constantsOf(int place, unsigned q) const;
  std::optional<RunningSlice> runningSlice(int place) const;
  std::optional<SmallVector<int64_t>> integersOf(int place, unsigned q) const;
  bool buildSlice(int place, const RunningSlice &slice);
  bool buildGatherOfSlice(int place);
  bool build(int root);
  bool buildPlace(int place);
  std::optional<BodyRef> operand(int place, unsigned q);
  BodyRef valueOf(int place, int res) const;
  std::optional<BodyRef> squeezed(const Output &out) const;
  // The node.
  bool buildBody();
  int makeNode();
  void trace(int id);
  void replaceOutput(const Output &out, Ref stacked, bool isSqueezed);
  Ref joined(const Output &out, Ref stacked, bool isSqueezed);
};
} // namespace

//===----------------------------------------------------------------------===//
// What the rest of the graph reads
//===----------------------------------------------------------------------===//

/// True where the joiner takes the values of all iterations in order, each
/// once.
bool Collapser::joins(Output &out, int joiner) const {
  const Node &node = graph.nodes[joiner];
  const Label &label = graph.labelOf(joiner);
  auto type = dyn_cast<RankedTensorType>(labelAt(out.place).types[out.res]);
  if (!label.is("Concat") || graph.collapsed[joiner] || !type ||
      int(node.operands.size()) < trip)
    return false;
  auto axisAttr = label.attrs.getAs<IntegerAttr>("axis");
  out.axis = axisAttr ? axisAttr.getInt() : 0;
  out.axis += out.axis < 0 ? type.getRank() : 0;
  if (out.axis < 0 || out.axis >= type.getRank() || type.isDynamicDim(out.axis))
    return false;
  if (type.getDimSize(out.axis) != 1 && !type.hasStaticShape())
    return false;
  auto value = [&](int i) { return Ref{run.node(i, out.place), out.res}; };
  for (int i = 0; i < trip; ++i)
    if (run.node(i, out.place) < 0 || llvm::count(node.operands, value(i)) != 1)
      return false;
  Ref first = value(0), last = value(trip - 1);
  auto begin = llvm::find_if(
      node.operands, [&](Ref ref) { return ref == first || ref == last; });
  out.first = begin - node.operands.begin();
  out.reverse = *begin == last;
  if (out.first + trip > node.operands.size())
    return false;
  for (int i = 0; i < trip; ++i)
    if (node.operands[out.first + i] != value(out.reverse ? trip - 1 - i : i))
      return false;
  out.joiner = joiner;
  return true;
}

void Collapser::findOutput(int place, int res) {
  int joiner = -1, single = 0;
  int last = run.node(trip - 1, place);
  // The one Concat that the middle iteration's value goes to, if there is one,
  // may be the one for all.
  int middle = run.node(trip / 2, place);
  for (Graph::Use use :
       middle < 0 ? ArrayRef<Graph::Use>() : graph.usesOf(middle))
    if (joiner < 0 && use.user >= 0 && isUsed(use, res) &&
        graph.labelOf(use.user).is("Concat"))
      joiner = use.user;
  Output out{place, res};
  if (joiner >= 0 && !joins(out, joiner))
    out = Output{place, res};
  bool lastUsed = false;
  for (int i = 0; i < trip; ++i) {
    int id = run.node(i, place);
    bool used = false;
    for (Graph::Use use : id < 0 ? ArrayRef<Graph::Use>() : graph.usesOf(id))
      used |= isUsed(use, res) && (out.joiner < 0 || use.user != out.joiner);
    if (id >= 0 && id == last && i == trip - 1)
      lastUsed = used;
    else
      single += used;
  }
  for (auto [s, state] : llvm::enumerate(run.states))
    if (lastUsed && state.place == place && state.res == res) {
      lastStates.push_back({int(s), Ref{last, res}});
      lastUsed = false;
    }
  single += lastUsed;
  if (!single && out.joiner < 0)
    return;
  extracted += single;
  outputs.push_back(out);
}

void Collapser::findOutputs() {
  input = inputPlaces(graph, run);
  size = sizePlaces(graph, run);
  for (int place = 0; place < run.places(); ++place)
    for (unsigned res = 0;
         !input[place] && !size[place] && res < labelAt(place).types.size();
         ++res)
      findOutput(place, res);
}

//===----------------------------------------------------------------------===//
// The body
//===----------------------------------------------------------------------===//

BodyRef Collapser::invariant(Ref old) {
  Ref ref = graph.resolve(old);
  auto [it, isNew] = invariantIndex.try_emplace(ref.code(), invariants.size());
  if (isNew)
    invariants.push_back(ref);
  return {BodyRef::Invariant, it->second, 0};
}

/// The step's slice of the outer tensor; the same for all that slice it alike.
BodyRef Collapser::slice(Ref data, int64_t axis, bool reverse) {
  auto [it, isNew] = sliceIndex.try_emplace({data.code(), axis * 2 + reverse});
  if (isNew) {
    it->second = {BodyRef::Slice, int(slices.size()), 0};
    slices.push_back(data);
    body->inAxes.push_back(axis);
    body->inReverse.push_back(reverse);
    body->sliceTypes.push_back(
        without(cast<RankedTensorType>(graph.typeOf(data)), axis));
  }
  return it->second;
}

/// A scanned operand's constant in each iteration. Where the node is missing
/// nothing reads it: any will do.
std::optional<SmallVector<Ref>> Collapser::constantsOf(int place,
                                                       unsigned q) const {
  SmallVector<Ref> refs(trip);
  Ref some;
  for (int i = 0; i < trip; ++i) {
    refs[i] = operandAt(i, place, q);
    if (refs[i].id >= 0)
      some = refs[i];
  }
  if (some.id < 0)
    return std::nullopt;
  for (Ref &ref : refs)
    ref = ref.id < 0 ? some : ref;
  return refs;
}

std::optional<BodyRef> Collapser::scanned(int place, unsigned q) {
  std::optional<SmallVector<Ref>> refs = constantsOf(place, q);
  if (!refs)
    return std::nullopt;
  if (llvm::all_equal(*refs))
    return invariant(refs->front());
  SmallVector<DenseElementsAttr> parts;
  for (Ref ref : *refs) {
    auto dense = dyn_cast_or_null<DenseElementsAttr>(graph.constantOf(ref));
    if (!dense)
      return std::nullopt;
    parts.push_back(dense);
  }
  return slice(graph.constant(stack(parts)), 0, false);
}

/// A scanned or invariant operand's one integer in each iteration.
std::optional<SmallVector<int64_t>> Collapser::integersOf(int place,
                                                          unsigned q) const {
  const OperandClass &cls = run.classes[place][q];
  SmallVector<int64_t> values;
  if (cls.kind != OperandClass::Invariant && cls.kind != OperandClass::Scanned)
    return std::nullopt;
  for (int i = 0; i < trip; ++i) {
    Ref ref = cls.kind == OperandClass::Invariant ? cls.value
                                                  : operandAt(i, place, q);
    // A missing first or last one goes on as its neighbours do.
    std::optional<int64_t> value =
        ref.id < 0 ? std::optional<int64_t>(INT64_MIN) : graph.integerOf(ref);
    if (!value)
      return std::nullopt;
    values.push_back(*value);
  }
  if (trip > 3 && values[0] == INT64_MIN)
    values[0] = 2 * values[1] - values[2];
  if (trip > 3 && values[trip - 1] == INT64_MIN)
    values[trip - 1] = 2 * values[trip - 2] - values[trip - 3];
  if (llvm::is_contained(values, INT64_MIN))
    return std::nullopt;
  return values;
}

std::optional<RunningSlice> Collapser::runningSlice(int place) const {
  const Label &label = labelAt(place);
  auto &classes = run.classes[place];
  bool gather = label.is("Gather") && classes.size() == 2,
       slicing = label.is("Slice") && classes.size() >= 3;
  if ((!gather && !slicing) || classes[0].kind != OperandClass::Invariant ||
      classes[1].kind != OperandClass::Scanned)
    return std::nullopt;
  auto type = dyn_cast<RankedTensorType>(graph.typeOf(classes[0].value));
  if (!type)
    return std::nullopt;
  RunningSlice slice;
  slice.data = graph.resolve(classes[0].value);
  std::optional<SmallVector<int64_t>> at = integersOf(place, 1);
  if (!at)
    return std::nullopt;
  if (gather) {
    auto axis = label.attrs.getAs<IntegerAttr>("axis");
    slice.axis = axis ? axis.getInt() : 0;
    int64_t rank =
        cast<RankedTensorType>(label.types[0]).getRank() - type.getRank() + 1;
    if (rank > 1)
      return std::nullopt;
    slice.keepsAxis = rank == 1;
  } else {
    auto to = integersOf(place, 2),
         axis = classes.size() > 3 ? integersOf(place, 3)
                                   : SmallVector<int64_t>(trip, 0),
         stride = classes.size() > 4 ? integersOf(place, 4)
                                     : SmallVector<int64_t>(trip, 1);
    if (!to || !axis || !stride || !llvm::all_equal(*axis) ||
        (*stride)[0] != 1 || !llvm::all_equal(*stride))
      return std::nullopt;
    slice.axis = (*axis)[0];
    for (auto [a, b] : llvm::zip(*at, *to))
      if (b != a + 1 && !(a == -1 && b >= INT64_MAX / 2))
        return std::nullopt;
    slice.keepsAxis = true;
  }
  slice.axis += slice.axis < 0 ? type.getRank() : 0;
  if (slice.axis < 0 || slice.axis >= type.getRank() ||
      type.isDynamicDim(slice.axis))
    return std::nullopt;
  int64_t size = type.getDimSize(slice.axis);
  for (int64_t &i : *at) {
    i += i < 0 ? size : 0;
    if (i < 0 || i >= size)
      return std::nullopt;
  }
  slice.start = (*at)[0];
  slice.step = (*at)[1] - (*at)[0];
  for (int i = 1; i < trip; ++i)
    if (slice.step == 0 || (*at)[i] - (*at)[i - 1] != slice.step)
      return std::nullopt;
  return slice;
}

bool Collapser::buildSlice(int place, const RunningSlice &running) {
  auto type = cast<RankedTensorType>(graph.typeOf(running.data));
  Ref data = running.data;
  int64_t last = running.start + running.step * (trip - 1);
  int64_t low = std::min(running.start, last),
          high = std::max(running.start, last), stride = std::abs(running.step);
  if (trip != type.getDimSize(running.axis)) {
    SmallVector<int64_t> shape(type.getShape());
    shape[running.axis] = trip;
    auto part = RankedTensorType::get(shape, type.getElementType());
    data =
        graph.make("Slice",
                   {data, graph.integers({low}), graph.integers({high + 1}),
                    graph.integers({running.axis}), graph.integers({stride})},
                   part, graph.freshShape(part), locAt(place));
  }
  BodyRef ref = slice(data, running.axis, running.step < 0);
  if (running.keepsAxis) {
    Ref axes = graph.integers({running.axis});
    Label label;
    label.type = StringAttr::get(graph.getContext(), "Unsqueeze");
    label.opset = graph.opset;
    label.attrs = DictionaryAttr::get(graph.getContext());
    label.types = labelAt(place).types;
    label.shapes = labelAt(place).shapes;
    Location loc = locAt(place);
    BodyRef axesRef = invariant(axes);
    body->nodes.push_back(
        {graph.intern(std::move(label), 2, 0), loc, {ref, axesRef}});
    ref = {BodyRef::Internal, int(body->nodes.size()) - 1, 0};
  }
  built[place] = ref;
  return true;
}

/// A Slice at indices that are no progression is a Gather of them.
bool Collapser::buildGatherOfSlice(int place) {
  auto &classes = run.classes[place];
  auto from = integersOf(place, 1), to = integersOf(place, 2);
  auto axis = classes.size() > 3 ? integersOf(place, 3)
                                 : SmallVector<int64_t>(trip, 0),
       stride = classes.size() > 4 ? integersOf(place, 4)
                                   : SmallVector<int64_t>(trip, 1);
  const OperandClass &data = classes[0];
  auto result = dyn_cast<RankedTensorType>(labelAt(place).types[0]);
  if (!from || !to || !axis || !stride || !result || !llvm::all_equal(*axis) ||
      !llvm::all_equal(*stride) || (*stride)[0] < 1)
    return false;
  Type dataType = data.kind == OperandClass::Invariant
                      ? graph.typeOf(data.value)
                  : data.kind == OperandClass::Carried
                      ? graph.typeOf(run.states[data.id].init)
                      : labelAt(data.id).types[data.res];
  auto type = dyn_cast<RankedTensorType>(dataType);
  int64_t at = (*axis)[0] < 0 ? (*axis)[0] + result.getRank() : (*axis)[0];
  if (!type || at < 0 || at >= type.getRank() || type.isDynamicDim(at) ||
      result.isDynamicDim(at))
    return false;
  int64_t size = type.getDimSize(at), length = result.getDimSize(at);
  SmallVector<int64_t> indices;
  for (int64_t start : *from) {
    start =
        std::min(std::max<int64_t>(start < 0 ? start + size : start, 0), size);
    for (int64_t k = 0; k < length; ++k) {
      indices.push_back(start + k * (*stride)[0]);
      if (indices.back() >= size)
        return false;
    }
  }
  Type i64 = IntegerType::get(graph.getContext(), 64);
  auto attr = DenseElementsAttr::get(RankedTensorType::get({trip, length}, i64),
                                     ArrayRef<int64_t>(indices));
  std::optional<BodyRef> whole = operand(place, 0);
  if (!whole)
    return false;
  BodyRef index = slice(graph.constant(cast<ElementsAttr>(attr)), 0, false);
  Label label;
  label.type = StringAttr::get(graph.getContext(), "Gather");
  label.opset = graph.opset;
  label.attrs = DictionaryAttr::get(
      graph.getContext(),
      NamedAttribute(StringAttr::get(graph.getContext(), "axis"),
                     IntegerAttr::get(i64, at)));
  label.types = labelAt(place).types;
  label.shapes = labelAt(place).shapes;
  Location loc = locAt(place);
  body->nodes.push_back(
      {graph.intern(std::move(label), 2, 0), loc, {*whole, index}});
  built[place] = BodyRef{BodyRef::Internal, int(body->nodes.size()) - 1, 0};
  return true;
}

BodyRef Collapser::valueOf(int place, int res) const {
  BodyRef ref = *built[place];
  if (ref.kind == BodyRef::Internal && res)
    ref.res = res;
  return ref;
}

std::optional<BodyRef> Collapser::operand(int place, unsigned q) {
  const OperandClass &cls = run.classes[place][q];
  switch (cls.kind) {
  case OperandClass::Internal:
    return valueOf(cls.id, cls.res);
  case OperandClass::Carried:
    return BodyRef{BodyRef::State, cls.id, 0};
  case OperandClass::Invariant:
    return invariant(cls.value);
  case OperandClass::Scanned:
    return scanned(place, q);
  }
  return std::nullopt;
}

/// Appends the place's node to the body; its operands are there.
bool Collapser::buildPlace(int place) {
  if (std::optional<RunningSlice> running = runningSlice(place))
    return buildSlice(place, *running);
  auto &classes = run.classes[place];
  if (labelAt(place).is("Slice"))
    for (unsigned q = 1; q < classes.size(); ++q)
      if (classes[q].kind == OperandClass::Scanned)
        return buildGatherOfSlice(place);
  BodyNode node{graph.nodes[run.model(place)].label, locAt(place), {}};
  for (unsigned q = 0; q < classes.size(); ++q) {
    std::optional<BodyRef> ref = operand(place, q);
    if (!ref)
      return false;
    node.operands.push_back(*ref);
  }
  if (graph.tracing)
    for (int i = 0; i < trip; ++i)
      llvm::append_range(node.origins, graph.originsOf(run.node(i, place)));
  body->nodes.push_back(std::move(node));
  built[place] = BodyRef{BodyRef::Internal, int(body->nodes.size()) - 1, 0};
  return true;
}

/// Builds a place and all that it needs, operands left to right: an order that
/// equal bodies share.
bool Collapser::build(int root) {
  SmallVector<std::pair<int, unsigned>> stack{{root, 0}};
  while (!stack.empty()) {
    auto &[place, next] = stack.back();
    if (built[place]) {
      stack.pop_back();
      continue;
    }
    if (next == run.classes[place].size()) {
      int done = place;
      stack.pop_back();
      if (!buildPlace(done))
        return false;
      continue;
    }
    const OperandClass &cls = run.classes[place][next++];
    if (cls.kind == OperandClass::Internal && !built[cls.id])
      stack.push_back({cls.id, 0});
  }
  return true;
}

/// Where the output is an Unsqueeze at the axis along which it is joined: what
/// it takes.
std::optional<BodyRef> Collapser::squeezed(const Output &out) const {
  const Label &label = labelAt(out.place);
  if (out.joiner < 0 || !label.is("Unsqueeze") ||
      run.classes[out.place].size() != 2)
    return std::nullopt;
  auto axes = integersOf(out.place, 1);
  int64_t rank = cast<RankedTensorType>(label.types[0]).getRank();
  if (!axes || !llvm::all_equal(*axes) ||
      (*axes)[0] + ((*axes)[0] < 0 ? rank : 0) != out.axis)
    return std::nullopt;
  const OperandClass &data = run.classes[out.place][0];
  if (data.kind == OperandClass::Internal)
    return valueOf(data.id, data.res);
  if (data.kind == OperandClass::Carried)
    return BodyRef{BodyRef::State, data.id, 0};
  return std::nullopt;
}

bool Collapser::buildBody() {
  body->trip = trip;
  built.resize(run.places());
  for (const Run::State &state : run.states)
    if (!build(state.place))
      return false;
  for (const Output &out : outputs)
    if (!build(out.place))
      return false;
  for (const Run::State &state : run.states) {
    body->next.push_back(valueOf(state.place, state.res));
    body->stateTypes.push_back(graph.typeOf(state.init));
  }
  body->invariants = invariants.size();
  return true;
}

//===----------------------------------------------------------------------===//
// The node
//===----------------------------------------------------------------------===//

int Collapser::makeNode() {
  Label label;
  label.opset = graph.opset;
  label.attrs = DictionaryAttr::get(graph.getContext());
  bool scan = body->slices();
  Node node(locAt(run.states[0].place));
  for (const Run::State &state : run.states) {
    node.operands.push_back(graph.resolve(state.init));
    label.types.push_back(graph.typeOf(state.init));
    label.shapes.push_back(graph.shapeOf(state.init));
  }
  llvm::append_range(node.operands, slices);
  llvm::append_range(node.operands, invariants);
  for (const Output &out : outputs) {
    std::optional<BodyRef> inner = squeezed(out);
    auto type = cast<RankedTensorType>(labelAt(out.place).types[out.res]);
    int shape = labelAt(out.place).shapes[out.res];
    if (inner)
      type = without(type, out.axis);
    // A Loop stacks along the first axis, forward.
    int64_t axis = scan ? out.axis : 0;
    auto stacked = with(type, axis, trip);
    body->outputs.push_back(inner ? *inner : valueOf(out.place, out.res));
    body->outAxes.push_back(axis);
    body->outReverse.push_back(scan && out.reverse);
    label.types.push_back(stacked);
    label.shapes.push_back(
        stacked.hasStaticShape()
            ? graph.shapeId(stacked)
            : graph.shapeId(stacked, {uintptr_t(shape), uintptr_t(axis),
                                      uintptr_t(bool(inner))}));
  }
  label.loop = body;
  node.label = graph.intern(std::move(label), node.operands.size(), 0);
  return graph.number(std::move(node));
}

/// What the Concat of all iterations' values gave, from the stacked output.
Ref Collapser::joined(const Output &out, Ref stacked, bool isSqueezed) {
  MLIRContext *context = graph.getContext();
  Location loc = graph.nodes[out.joiner].loc;
  auto step = cast<RankedTensorType>(labelAt(out.place).types[out.res]);
  SmallVector<int64_t> shape(step.getShape());
  shape[out.axis] *= trip;
  auto type = RankedTensorType::get(shape, step.getElementType());
  int shapeId = int(graph.nodes[out.joiner].operands.size()) == trip
                    ? graph.labelOf(out.joiner).shapes[0]
                    : graph.freshShape(type);
  bool scan = body->slices();
  auto current = cast<RankedTensorType>(graph.typeOf(stacked));
  if (!scan && out.reverse)
    stacked =
        graph.make("Slice",
                   {stacked, graph.integers({-1}), graph.integers({INT64_MIN}),
                    graph.integers({0}), graph.integers({-1})},
                   current, graph.freshShape(current), loc);
  if (!scan && out.axis) {
    SmallVector<int64_t> order =
        llvm::to_vector(llvm::seq<int64_t>(1, current.getRank()));
    order.insert(order.begin() + out.axis, 0);
    SmallVector<int64_t> moved = llvm::map_to_vector(
        order, [&](int64_t d) { return current.getDimSize(d); });
    current = RankedTensorType::get(moved, current.getElementType());
    stacked =
        graph.make("Transpose", {stacked}, current,
                   isSqueezed ? shapeId : graph.freshShape(current), loc,
                   NamedAttribute(StringAttr::get(context, "perm"),
                                  DenseI64ArrayAttr::get(context, order)));
  }
  if (isSqueezed)
    return stacked;
  if (step.getDimSize(out.axis) == 1)
    return graph.make("Squeeze", {stacked, graph.integers({out.axis + 1})},
                      type, shapeId, loc);
  return graph.make("Reshape", {stacked, graph.integers(shape)}, type, shapeId,
                    loc);
}

void Collapser::replaceOutput(const Output &out, Ref stacked, bool isSqueezed) {
  MLIRContext *context = graph.getContext();
  Type i64 = IntegerType::get(context, 64);
  bool scan = body->slices();
  if (out.joiner >= 0) {
    Ref whole = joined(out, stacked, isSqueezed);
    // Another run's values may have been joined in it already.
    int at = graph.resolve({out.joiner, 0}).id;
    const Node &joiner = graph.nodes[at];
    if (int(joiner.operands.size()) > trip) {
      SmallVector<Ref> operands(joiner.operands.begin(), joiner.operands.end());
      Ref first{run.node(out.reverse ? trip - 1 : 0, out.place), out.res};
      auto begin = llvm::find(operands, first);
      *begin = whole;
      operands.erase(begin + 1, begin + trip);
      const Label label = graph.labelOf(at);
      whole = graph.make("Concat", operands, label.types[0], label.shapes[0],
                         joiner.loc, llvm::to_vector(label.attrs.getValue()));
    }
    graph.replace({at, 0}, whole);
  }
  for (int i = 0; i < trip; ++i) {
    int id = run.node(i, out.place);
    bool used = false;
    for (Graph::Use use : id < 0 ? ArrayRef<Graph::Use>() : graph.usesOf(id))
      used |=
          isUsed(use, out.res) && (out.joiner < 0 || use.user != out.joiner);
    if (!used || graph.resolve({id, out.res}) != Ref{id, out.res})
      continue;
    int64_t axis = scan ? out.axis : 0,
            at = scan && out.reverse ? trip - 1 - i : i;
    const Label label = labelAt(out.place);
    Location loc = graph.nodes[id].loc;
    Type type = label.types[out.res];
    if (isSqueezed)
      type = without(cast<RankedTensorType>(type), out.axis);
    Ref one = graph.make(
        "Gather", {stacked, graph.integers({at}, true)}, type,
        isSqueezed ? graph.freshShape(type) : label.shapes[out.res], loc,
        NamedAttribute(StringAttr::get(context, "axis"),
                       IntegerAttr::get(i64, axis)));
    if (isSqueezed)
      one = graph.make("Unsqueeze", {one, graph.integers({out.axis})},
                       label.types[out.res], label.shapes[out.res], loc);
    graph.replace({id, out.res}, one);
  }
}

/// Notes what the loop stands for, and why it is no longer.
void Collapser::trace(int id) {
  if (!graph.tracing)
    return;
  SmallVector<int> all;
  for (auto &iteration : run.backward)
    for (int node : iteration)
      llvm::append_range(all, graph.originsOf(node));
  for (const Output &out : outputs)
    llvm::append_range(all, graph.originsOf(out.joiner));
  graph.addOrigins(id, all);
  if (!run.stop.empty())
    graph.stops[id] = run.stop;
}

bool Collapser::rewrite() {
  if (carriesSizes(graph, run))
    return false;
  findOutputs();
  // Values read one by one take a node each.
  if (extracted > 2 && (trip < 5 || worth() < 4 * extracted))
    return false;
  for (const Output &out : outputs)
    if (!isa<RankedTensorType>(labelAt(out.place).types[out.res]))
      return false;
  if (!buildBody())
    return false;
  int id = makeNode();
  trace(id);
  for (auto [state, value] : lastStates)
    graph.replace(value, {id, state});
  for (auto [k, out] : llvm::enumerate(outputs))
    replaceOutput(out, {id, int(run.states.size() + k)},
                  squeezed(out).has_value());
  for (int i = 0; i < trip; ++i)
    for (int place = 0; place < run.places(); ++place) {
      int node = run.node(i, place);
      if (node < 0 || input[place] || (size[place] && i == 0))
        continue;
      graph.collapsed[node] = 1;
      for (unsigned res = 0; size[place] && res < labelAt(place).types.size();
           ++res)
        graph.replace({node, int(res)}, {run.node(0, place), int(res)});
    }
  return true;
}

bool lnn::reroll::collapse(Graph &graph, const Run &run,
                           llvm::function_ref<bool(int)> inRun) {
  return Collapser(graph, run, inRun).rewrite();
}
