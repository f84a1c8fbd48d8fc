//===- Normalize.cpp - one form for what exporters write in several -------===//
//
// A result that is collected step by step, by ScatterND of one row at a time or
// by Concat with what there is so far, becomes one Concat of all parts. Shapes
// that are known become constants, so that no step reads what it collects.
//
//===----------------------------------------------------------------------===//
#include "Graph.h"

using namespace mlir;
using namespace lnn;
using namespace lnn::reroll;

/// The constant that a Shape node of a static tensor is.
static bool foldShape(Graph &graph, int id) {
  const Label &label = graph.labelOf(id);
  if (!label.is("Shape") || graph.nodes[id].operands.size() != 1)
    return false;
  auto type =
      dyn_cast<RankedTensorType>(graph.typeOf(graph.nodes[id].operands[0]));
  if (!type || !type.hasStaticShape() || !label.attrs.empty())
    return false;
  graph.replace({id, 0}, graph.integers(type.getShape()));
  return true;
}

static bool hasOneUse(const Graph &graph, Ref ref) {
  return !ref.leaf() && graph.usesOf(ref.id).size() == 1;
}

/// The first axis' index that a ScatterND writes, where it writes one whole
/// row.
static std::optional<int64_t> rowOf(const Graph &graph, int id) {
  const Label &label = graph.labelOf(id);
  if (!label.is("ScatterND") || graph.nodes[id].operands.size() != 3)
    return std::nullopt;
  auto reduction = label.attrs.getAs<StringAttr>("reduction");
  auto type = dyn_cast<RankedTensorType>(label.types[0]);
  Ref index = graph.nodes[id].operands[1], update = graph.nodes[id].operands[2];
  auto indexType = dyn_cast<RankedTensorType>(graph.typeOf(index));
  auto updateType = dyn_cast<RankedTensorType>(graph.typeOf(update));
  std::optional<int64_t> row = graph.integerOf(index);
  if ((reduction && reduction.getValue() != "none") || !type ||
      !type.hasStaticShape() || !indexType || !row ||
      indexType.getShape() != ArrayRef<int64_t>{1, 1} || !updateType ||
      updateType.getRank() != type.getRank() || updateType.getDimSize(0) != 1 ||
      updateType.getShape().drop_front() != type.getShape().drop_front())
    return std::nullopt;
  if (*row < 0)
    *row += type.getDimSize(0);
  return *row >= 0 && *row < type.getDimSize(0) ? row : std::nullopt;
}

/// True where the node's value goes on to another such node alone: the chain's
/// end is elsewhere.
static bool isInnerLink(const Graph &graph, int id,
                        llvm::function_ref<bool(int)> isLink) {
  ArrayRef<Graph::Use> uses = graph.usesOf(id);
  return uses.size() == 1 && uses[0].user >= 0 && uses[0].operand == 0 &&
         isLink(uses[0].user);
}

/// A chain of ScatterND that ends here, as a Concat of rows.
static bool scatterToConcat(Graph &graph, int end) {
  auto isLink = [&](int id) { return rowOf(graph, id).has_value(); };
  if (!isLink(end) || isInnerLink(graph, end, isLink))
    return false;
  auto type = cast<RankedTensorType>(graph.labelOf(end).types[0]);
  std::vector<Ref> rows(type.getDimSize(0));
  Ref at{end, 0};
  int links = 0;
  for (; !at.leaf() && isLink(at.id) && (at.id == end || hasOneUse(graph, at));
       ++links) {
    Ref &row = rows[*rowOf(graph, at.id)];
    if (row.id < 0) // a later write wins
      row = graph.nodes[at.id].operands[2];
    at = graph.nodes[at.id].operands[0];
  }
  if (links < 3)
    return false;
  Location loc = graph.nodes[end].loc;
  SmallVector<Ref> parts;
  for (int64_t i = 0, n = rows.size(); i < n;) {
    int64_t to = i;
    for (; to < n && rows[to].id < 0; ++to)
      ;
    if (to == i) {
      parts.push_back(rows[i++]);
      continue;
    }
    SmallVector<int64_t> shape(type.getShape());
    shape[0] = to - i;
    auto part = RankedTensorType::get(shape, type.getElementType());
    parts.push_back(graph.make(
        "Slice",
        {at, graph.integers({i}), graph.integers({to}), graph.integers({0})},
        part, graph.shapeId(part), loc));
    i = to;
  }
  MLIRContext *context = graph.getContext();
  NamedAttribute axis(StringAttr::get(context, "axis"),
                      IntegerAttr::get(IntegerType::get(context, 64), 0));
  Ref whole = graph.make("Concat", parts, type, graph.shapeId(type), loc, axis);
  graph.replace({end, 0}, whole);
  return true;
}

/// A chain of Concats along one axis that ends here, as one.
static bool flattenConcat(Graph &graph, int end) {
  if (!graph.labelOf(end).is("Concat"))
    return false;
  Attribute attrs = graph.labelOf(end).attrs;
  auto isLink = [&](int id) {
    return graph.labelOf(id).is("Concat") && graph.labelOf(id).attrs == attrs;
  };
  if (isInnerLink(graph, end, isLink))
    return false;
  SmallVector<Ref> reversed;
  Ref at{end, 0};
  int links = 0;
  for (; !at.leaf() && isLink(at.id) && (at.id == end || hasOneUse(graph, at));
       ++links) {
    ArrayRef<Ref> operands = graph.nodes[at.id].operands;
    llvm::append_range(reversed, llvm::reverse(operands.drop_front()));
    at = operands[0];
  }
  if (links < 2)
    return false;
  reversed.push_back(at);
  SmallVector<Ref> operands(reversed.rbegin(), reversed.rend());
  const Label label = graph.labelOf(end);
  Location loc = graph.nodes[end].loc;
  graph.replace({end, 0},
                graph.make("Concat", operands, label.types[0], label.shapes[0],
                           loc, llvm::to_vector(label.attrs.getValue())));
  return true;
}

bool Graph::normalize() {
  if (!refresh())
    return false;
  // Shapes first: they read what is collected.
  bool changed = false;
  for (int id : order)
    changed |= foldShape(*this, id);
  if (changed && !refresh())
    return false;
  changed = false;
  for (size_t i = 0, n = order.size(); i < n; ++i)
    changed |=
        scatterToConcat(*this, order[i]) || flattenConcat(*this, order[i]);
  return !changed || refresh();
}
