//===- Graph.h - an ONNX graph as value-numbered nodes ----------*- C++ -*-===//
//
// What re-rolling works on: the nodes of one block, equal ones merged, in an
// order in which an unrolled loop is periodic.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_TRANSFORMS_REROLL_GRAPH_H
#define LNN_TRANSFORMS_REROLL_GRAPH_H

#include "lnn/Dialect/Onnx/Onnx.h"
#include "lnn/Frontend/Onnx/Analysis.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/MathExtras.h"
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace lnn::reroll {

/// A value: result `res` of node `id`; or, where `res` is negative, leaf `id`
/// (an argument, a value of an outer graph, a constant).
struct Ref {
  int id = -1, res = -1;
  bool leaf() const { return res < 0; }
  bool operator==(const Ref &o) const { return id == o.id && res == o.res; }
  bool operator!=(const Ref &o) const { return !(*this == o); }
  uint64_t code() const { return uint64_t(uint32_t(id)) << 32 | uint32_t(res); }
};

/// Where an operand inside a loop's body comes from.
struct BodyRef {
  enum Kind { Internal, State, Slice, Invariant } kind = Internal;
  int id = 0, res = 0;
};

struct Body;

/// What a node does, apart from its operands. Equal labels are one.
struct Label {
  mlir::StringAttr type, domain;
  int64_t opset = 0;
  mlir::DictionaryAttr attrs;
  onnx::NodeOp original; ///< has subgraphs, which are cloned; null where none
  llvm::SmallVector<mlir::Value, 0>
      captures;               ///< of the subgraphs: operands behind the inputs
  std::shared_ptr<Body> loop; ///< of a collapsed run
  llvm::SmallVector<mlir::Type, 1> types;
  llvm::SmallVector<int, 1>
      shapes; ///< by result: equal numbers are equal types and sizes

  bool is(llvm::StringRef name) const {
    return !loop && !domain && type.getValue() == name;
  }
};

struct Node {
  int label = -1;
  llvm::SmallVector<Ref, 3> operands;
  mlir::Location loc;
  explicit Node(mlir::Location loc) : loc(loc) {}
};

struct BodyNode {
  int label;
  mlir::Location loc;
  llvm::SmallVector<BodyRef, 3> operands;
  llvm::SmallVector<int, 0> origins; ///< see Graph::origins
};

/// A collapsed run. The node's operands are the states' initial values, the
/// sliced inputs, the invariants; its results the last states, the outputs.
struct Body {
  int64_t trip = 0;
  unsigned invariants = 0;
  std::vector<BodyNode> nodes;
  llvm::SmallVector<BodyRef> next;          // by state
  llvm::SmallVector<mlir::Type> stateTypes; // by state
  llvm::SmallVector<mlir::Type> sliceTypes; // by sliced input: of one step
  llvm::SmallVector<int64_t> inAxes;        // by sliced input
  llvm::SmallVector<int64_t> inReverse;     // by sliced input
  llvm::SmallVector<BodyRef> outputs;       // stacked
  llvm::SmallVector<int64_t> outAxes;       // by output
  llvm::SmallVector<int64_t> outReverse;    // by output
  unsigned states() const { return next.size(); }
  unsigned slices() const { return sliceTypes.size(); }
};

/// Numbers of nodes by the hash of what they compute. One flat array: a graph
/// of 100,000 nodes is looked up several times over, and each step to elsewhere
/// in memory is a wait.
class NodeTable {
public:
  /// The node of that hash for which `same` holds, or `id`, which is added
  /// then.
  template <typename Same> int findOrAdd(size_t hash, int id, Same same) {
    if (2 * (count + 1) > slots.size())
      grow(std::max<size_t>(64, 2 * slots.size()));
    uint32_t tag = hash ^ hash >> 32;
    for (size_t at = tag & (slots.size() - 1);;
         at = (at + 1) & (slots.size() - 1)) {
      auto &[slotTag, slotId] = slots[at];
      if (slotId < 0) {
        slots[at] = {tag, id};
        ++count;
        return id;
      }
      if (slotTag == tag && same(slotId))
        return slotId;
    }
  }
  void clear() {
    slots.assign(slots.size(), {0, -1});
    count = 0;
  }
  void reserve(size_t nodes) {
    if (size_t size = llvm::PowerOf2Ceil(2 * nodes + 64); size > slots.size())
      grow(size);
  }

private:
  std::vector<std::pair<uint32_t, int>> slots; // number -1: free
  size_t count = 0;
  void grow(size_t size);
};

class Graph {
public:
  struct Use {
    int user, operand; ///< user -1 is the graph itself
  };

  Graph(mlir::Block &block, const onnx::Analysis *analysis)
      : block(block), context(block.getParentOp()->getContext()),
        analysis(analysis) {}

  /// Reads the block. False where it holds an op that is no part of an ONNX
  /// graph.
  bool read();
  /// Brings to one form what exporters write in several, and lays the graph
  /// out. False if it has a cycle.
  bool normalize();
  /// Writes the block anew.
  void write();
  /// Carries out replace(), merges what has become equal and lays the graph out
  /// anew. False if it has a cycle.
  bool refresh();

  // The graph. Nodes are only ever added; dead ones have position -1.
  std::vector<Node> nodes;
  std::vector<Label> labels;
  const Label &labelOf(int id) const { return labels[nodes[id].label]; }
  /// Live nodes in post-order, deepest operand first; and where each stands. A
  /// node made since the graph was laid out has the last of its operands'
  /// positions: it depends on nothing behind that.
  std::vector<int> order, position;
  std::vector<char> collapsed; ///< nodes that a loop has replaced since then
  llvm::ArrayRef<Use> usesOf(int id) const {
    return llvm::ArrayRef(uses).slice(useBegin[id],
                                      useBegin[id + 1] - useBegin[id]);
  }
  Ref usedBy(Use use) const {
    return use.user < 0 ? outputs[use.operand]
                        : nodes[use.user].operands[use.operand];
  }

  /// Where it is traced what becomes of the graph: by node, the numbers
  /// (lnn.number) of the nodes that it stands for.
  bool tracing = false;
  std::vector<llvm::SmallVector<int, 0>> origins;
  llvm::DenseMap<int, std::string> stops; ///< by loop: why it has no more steps
  void addOrigins(int to, llvm::ArrayRef<int> from);
  llvm::ArrayRef<int> originsOf(int id) const {
    return id >= 0 && id < int(origins.size()) ? origins[id]
                                               : llvm::ArrayRef<int>();
  }
  /// `Add node 'name'`, for messages.
  std::string describe(int id) const;

  mlir::Type typeOf(Ref ref) const;
  int shapeOf(Ref ref);
  mlir::ElementsAttr constantOf(Ref ref) const {
    return ref.leaf() ? leafConstants[ref.id] : mlir::ElementsAttr();
  }
  /// The one integer that a constant holds.
  std::optional<int64_t> integerOf(Ref ref) const;
  Ref resolve(Ref ref) const;
  void replace(Ref from, Ref to) { replaced[from.code()] = to; }

  // Making nodes; equal ones are made once.
  Ref constant(mlir::ElementsAttr attr);
  Ref integers(llvm::ArrayRef<int64_t> values, bool scalar = false);
  Ref make(llvm::StringRef type, llvm::ArrayRef<Ref> operands,
           mlir::Type result, int shape, mlir::Location loc,
           llvm::ArrayRef<mlir::NamedAttribute> attrs = {});
  int number(Node node);
  int intern(Label label, unsigned operands, uint64_t omitted);
  int shapeId(mlir::Type type, llvm::ArrayRef<uintptr_t> more = {});
  int freshShape(mlir::Type type);
  /// What is made here is written as this opset has it, whatever the model's.
  static constexpr int64_t opset = 18;
  mlir::MLIRContext *getContext() const { return context; }

private:
  struct KeyHash {
    size_t operator()(const std::vector<uintptr_t> &key) const {
      return llvm::hash_combine_range(key.begin(), key.end());
    }
  };
  mlir::Block &block;
  mlir::MLIRContext *context;
  const onnx::Analysis *analysis;
  llvm::SmallVector<Ref> outputs;
  std::vector<mlir::Value> leafValues; // null for a constant made here
  std::vector<mlir::ElementsAttr> leafConstants; // null where the leaf is none
  llvm::DenseMap<mlir::Value, Ref> refs;         // while reading
  llvm::DenseMap<mlir::Attribute, int> constants;
  std::unordered_map<std::vector<uintptr_t>, int, KeyHash> labelIds, shapeIds;
  std::vector<uintptr_t> labelKey;
  NodeTable numbered;
  llvm::DenseMap<mlir::Type, int> staticShapes; ///< of shapeIds
  llvm::DenseMap<uint64_t, Ref> replaced;
  std::vector<int> depth, useBegin;
  std::vector<Use> uses;

  Ref refOf(mlir::Value value);
  int shapeOfValue(mlir::Value value);
  bool readNode(onnx::NodeOp op);
  void splitToSlices(onnx::NodeOp op, Ref node);
  static size_t hashOf(const Node &node);
  bool merge();
  void layOut();
  void countUses();

  llvm::SmallVector<mlir::Value> emit(mlir::OpBuilder &b, int label,
                                      mlir::Location loc,
                                      mlir::ValueRange operands);
  llvm::SmallVector<mlir::Value> emitLoop(mlir::OpBuilder &b,
                                          const Label &label,
                                          mlir::Location loc,
                                          mlir::ValueRange operands);
};

} // namespace lnn::reroll
#endif // LNN_TRANSFORMS_REROLL_GRAPH_H
