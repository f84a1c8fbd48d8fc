//===- Graph.cpp - labels, value numbers and order of an ONNX graph -------===//
#include "Graph.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::reroll;

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Type Graph::typeOf(Ref ref) const {
  if (!ref.leaf())
    return labelOf(ref.id).types[ref.res];
  return leafConstants[ref.id] ? leafConstants[ref.id].getType()
                               : leafValues[ref.id].getType();
}

int Graph::shapeId(Type type, ArrayRef<uintptr_t> more) {
  if (more.empty()) {
    auto [it, isNew] = staticShapes.try_emplace(type, 0);
    if (!isNew)
      return it->second;
    return it->second = shapeIds
                            .try_emplace({uintptr_t(type.getAsOpaquePointer())},
                                         shapeIds.size())
                            .first->second;
  }
  std::vector<uintptr_t> key{uintptr_t(type.getAsOpaquePointer())};
  key.insert(key.end(), more.begin(), more.end());
  return shapeIds.try_emplace(std::move(key), shapeIds.size()).first->second;
}

int Graph::freshShape(Type type) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  if (!ranked || ranked.hasStaticShape())
    return shapeId(type);
  return shapeId(type, {uintptr_t(-1), uintptr_t(shapeIds.size())});
}

/// Equal types are equal shapes only where all sizes are known: else the
/// analysis tells sizes apart.
int Graph::shapeOfValue(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || type.hasStaticShape())
    return shapeId(value.getType());
  if (!analysis || !analysis->info(value).present())
    return freshShape(type);
  SmallVector<uintptr_t> sizes;
  for (onnx::Dim dim : analysis->info(value).dims)
    sizes.push_back(uintptr_t(dim.get()));
  return shapeId(type, sizes);
}

int Graph::shapeOf(Ref ref) {
  if (!ref.leaf())
    return labelOf(ref.id).shapes[ref.res];
  return leafConstants[ref.id] ? shapeId(typeOf(ref))
                               : shapeOfValue(leafValues[ref.id]);
}

std::optional<int64_t> Graph::integerOf(Ref ref) const {
  auto dense = dyn_cast_or_null<DenseElementsAttr>(constantOf(ref));
  if (!dense || dense.getNumElements() != 1 ||
      !dense.getElementType().isSignlessInteger() ||
      dense.getElementType().getIntOrFloatBitWidth() < 32)
    return std::nullopt;
  return (*dense.value_begin<APInt>()).getSExtValue();
}

Ref Graph::resolve(Ref ref) const {
  for (auto it = replaced.find(ref.code()); it != replaced.end();
       it = replaced.find(ref.code()))
    ref = it->second;
  return ref;
}

//===----------------------------------------------------------------------===//
// Making
//===----------------------------------------------------------------------===//

Ref Graph::constant(ElementsAttr attr) {
  auto [it, isNew] = constants.try_emplace(attr, leafConstants.size());
  if (isNew) {
    leafConstants.push_back(attr);
    leafValues.push_back(Value());
  }
  return {it->second, -1};
}

Ref Graph::integers(ArrayRef<int64_t> values, bool scalar) {
  Type i64 = IntegerType::get(context, 64);
  auto type = scalar ? RankedTensorType::get({}, i64)
                     : RankedTensorType::get({int64_t(values.size())}, i64);
  return constant(cast<ElementsAttr>(DenseElementsAttr::get(type, values)));
}

static void append(std::vector<uintptr_t> &key, const Body &body) {
  auto add = [&](ArrayRef<BodyRef> list) {
    for (const BodyRef &r : list)
      key.insert(key.end(),
                 {uintptr_t(r.kind), uintptr_t(r.id), uintptr_t(r.res)});
  };
  key.insert(key.end(),
             {uintptr_t(body.trip), body.states(), body.slices(),
              body.invariants, body.nodes.size(), body.outputs.size()});
  for (const BodyNode &node : body.nodes) {
    key.push_back(node.label);
    add(node.operands);
  }
  add(body.next);
  add(body.outputs);
  for (auto list :
       {&body.outAxes, &body.outReverse, &body.inAxes, &body.inReverse})
    key.insert(key.end(), list->begin(), list->end());
}

/// The label's number; `omitted` has a bit for each operand that is left out.
int Graph::intern(Label label, unsigned operands, uint64_t omitted) {
  std::vector<uintptr_t> &key = labelKey; // kept: most labels are known
  key.assign({operands, uintptr_t(omitted)});
  auto add = [&](const void *p) { key.push_back(uintptr_t(p)); };
  for (auto [type, shape] : llvm::zip(label.types, label.shapes)) {
    add(type.getAsOpaquePointer());
    key.push_back(shape);
  }
  add(label.type.getAsOpaquePointer());
  add(label.domain.getAsOpaquePointer());
  add(label.attrs.getAsOpaquePointer());
  key.push_back(label.opset);
  if (label.original)
    add(label.original.getOperation()); // subgraphs are not compared
  if (label.loop)
    append(key, *label.loop);
  auto [it, isNew] = labelIds.try_emplace(key, labels.size());
  if (isNew)
    labels.push_back(std::move(label));
  return it->second;
}

void NodeTable::grow(size_t size) {
  std::vector<std::pair<uint32_t, int>> old = std::move(slots);
  slots.assign(size, {0, -1});
  for (auto [tag, id] : old) {
    if (id < 0)
      continue;
    size_t at = tag & (size - 1);
    while (slots[at].second >= 0)
      at = (at + 1) & (size - 1);
    slots[at] = {tag, id};
  }
}

size_t Graph::hashOf(const Node &node) {
  auto mix = [](uint64_t x) { // the finalizer of MurmurHash3
    x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
    return x ^ x >> 33;
  };
  uint64_t hash = mix(node.label + 1);
  for (Ref ref : node.operands)
    hash = mix(hash + ref.code());
  return hash;
}

/// The node's number, or that of the one there is that computes the same.
int Graph::number(Node node) {
  int fresh = nodes.size(),
      id = numbered.findOrAdd(hashOf(node), fresh, [&](int other) {
        return nodes[other].label == node.label &&
               nodes[other].operands == node.operands;
      });
  if (id != fresh)
    return id;
  position.resize(nodes.size(), -1);
  int last = -1;
  for (Ref ref : node.operands)
    if (!ref.leaf())
      last = std::max(last, position[ref.id]);
  position.push_back(last);
  collapsed.push_back(0);
  nodes.push_back(std::move(node));
  return fresh;
}

void Graph::addOrigins(int to, ArrayRef<int> from) {
  if (!tracing || from.empty())
    return;
  SmallVector<int, 0> all(from); // before it moves
  if (int(origins.size()) <= to)
    origins.resize(to + 1);
  llvm::append_range(all, origins[to]);
  llvm::sort(all);
  all.erase(llvm::unique(all), all.end());
  origins[to] = std::move(all);
}

std::string Graph::describe(int id) const {
  const Label &label = labelOf(id);
  std::string text;
  if (label.loop)
    text = "the loop of " + std::to_string(label.loop->trip) + " iterations";
  else
    text = label.type.str() + " node";
  if (auto name = dyn_cast<NameLoc>(nodes[id].loc))
    text += (label.loop ? " that begins with '" : " '") + name.getName().str() +
            "'";
  return text;
}

Ref Graph::make(StringRef type, ArrayRef<Ref> operands, Type result, int shape,
                Location loc, ArrayRef<NamedAttribute> attrs) {
  Label label;
  label.type = StringAttr::get(context, type);
  label.opset = opset;
  label.attrs = DictionaryAttr::get(context, attrs);
  label.types.push_back(result);
  label.shapes.push_back(shape);
  Node node(loc);
  node.label = intern(std::move(label), operands.size(), 0);
  node.operands.assign(operands.begin(), operands.end());
  return {number(std::move(node)), 0};
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

bool Graph::refresh() {
  if (!merge())
    return false;
  layOut();
  countUses();
  collapsed.assign(nodes.size(), 0);
  return true;
}

/// Carries out the replacements and merges equal nodes, operands first. False
/// if the graph has a cycle.
bool Graph::merge() {
  enum State : char { New, Open, Done };
  std::vector<State> state(nodes.size(), New);
  std::vector<int> same(nodes.size(), -1);
  depth.assign(nodes.size(), 0);
  numbered.clear();
  std::vector<std::pair<int, unsigned>> stack;
  auto finish = [&](int id) {
    Node &node = nodes[id];
    for (Ref &ref : node.operands)
      if (!ref.leaf()) {
        ref.id = same[ref.id];
        depth[id] = std::max(depth[id], depth[ref.id] + 1);
      }
    state[id] = Done;
    same[id] = numbered.findOrAdd(hashOf(node), id, [&](int other) {
      return nodes[other].label == node.label &&
             nodes[other].operands == node.operands;
    });
    if (same[id] != id)
      addOrigins(same[id], originsOf(id));
  };
  for (Ref &output : outputs) {
    output = resolve(output);
    if (output.leaf())
      continue;
    if (state[output.id] == New) {
      state[output.id] = Open;
      stack.push_back({output.id, 0});
    }
    while (!stack.empty()) {
      auto &[id, next] = stack.back();
      if (next == nodes[id].operands.size()) {
        finish(id);
        stack.pop_back();
        continue;
      }
      Ref &ref = nodes[id].operands[next++];
      ref = resolve(ref);
      if (ref.leaf() || state[ref.id] == Done)
        continue;
      if (state[ref.id] == Open)
        return false;
      state[ref.id] = Open;
      stack.push_back({ref.id, 0});
    }
    output.id = same[output.id];
  }
  replaced.clear();
  return true;
}

/// Post-order from the outputs, the last first, of each node's operands the
/// deepest first: what a step takes from the step before it is descended into
/// before anything else, so that each step is one block.
void Graph::layOut() {
  order.clear();
  position.assign(nodes.size(), -1);
  std::vector<char> seen(nodes.size(), 0);
  std::vector<int> pending; // children not visited, the deepest last
  struct Frame {
    int id;
    size_t base;
  };
  std::vector<Frame> stack;
  auto open = [&](int id) {
    seen[id] = 1;
    SmallVector<std::pair<int, int>> children; // depth, place from behind
    ArrayRef<Ref> operands = nodes[id].operands;
    for (auto [q, ref] : llvm::enumerate(operands))
      if (!ref.leaf() && !seen[ref.id])
        children.push_back({depth[ref.id], -int(q)});
    llvm::sort(children);
    stack.push_back({id, pending.size()});
    for (auto [_, place] : children)
      pending.push_back(operands[-place].id);
  };
  for (Ref output : llvm::reverse(outputs)) {
    if (output.leaf() || seen[output.id])
      continue;
    open(output.id);
    while (!stack.empty()) {
      Frame frame = stack.back();
      if (pending.size() > frame.base) {
        int child = pending.back();
        pending.pop_back();
        if (!seen[child])
          open(child);
        continue;
      }
      position[frame.id] = order.size();
      order.push_back(frame.id);
      stack.pop_back();
    }
  }
}

void Graph::countUses() {
  useBegin.assign(nodes.size() + 1, 0);
  auto all = [&](auto &&f) {
    for (int id : order)
      for (auto [q, ref] : llvm::enumerate(nodes[id].operands))
        if (!ref.leaf())
          f(ref.id, Use{id, int(q)});
    for (auto [q, ref] : llvm::enumerate(outputs))
      if (!ref.leaf())
        f(ref.id, Use{-1, int(q)});
  };
  all([&](int id, Use) { ++useBegin[id + 1]; });
  for (size_t i = 1; i < useBegin.size(); ++i)
    useBegin[i] += useBegin[i - 1];
  uses.resize(useBegin.back());
  std::vector<int> next(useBegin.begin(), useBegin.end() - 1);
  all([&](int id, Use use) { uses[next[id]++] = use; });
}
