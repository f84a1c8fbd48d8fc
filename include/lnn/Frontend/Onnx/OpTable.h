//===- OpTable.h - what is known of each ONNX operator -----------*- C++
//-*-===//
//
// One table says for each operator and range of opsets how its types are
// inferred (shapes symbolic, contents of small integer tensors known where they
// can be) and how it expands to linalg, tensor, arith, scf and lnn. One file
// per op family registers its entries (lib/Frontend/Onnx/Ops*.cpp).
//
//===----------------------------------------------------------------------===//
#ifndef LNN_FRONTEND_ONNX_OPTABLE_H
#define LNN_FRONTEND_ONNX_OPTABLE_H

#include "lnn/Dialect/Onnx/Onnx.h"
#include "lnn/Frontend/Onnx/Dim.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace lnn::onnx {

/// An element of a sequence: a value of the onnx-level graph, or from begin to
/// end of one of its axes.
struct SequenceElement {
  mlir::Value value;
  int64_t axis = -1; ///< -1 where it is all of the value
  Dim begin, end;
  bool squeeze = false; ///< the axis goes away
};

/// What is known of one value.
struct ValueInfo {
  mlir::Type elementType; ///< ONNX's: i1 for bool, ui8 for uint8, i64, f32,
                          ///< ...; null for an omitted value
  llvm::SmallVector<Dim> dims; ///< the shape; always ranked
  /// The contents, where they are known: of an integer or bool tensor of rank 0
  /// or 1 with at most 1,024 elements, as dimensions (a Shape's result is
  /// symbolic).
  std::optional<llvm::SmallVector<Dim>> data;
  /// The same of a tensor of rank 2 or more, in row-major order, on the way to
  /// one of rank 1 (exporters turn pads around as a matrix); empty if unknown.
  std::vector<Dim> wide;
  /// The contents of a constant.
  mlir::ElementsAttr constant;
  /// A sequence's elements; the type is theirs then, and there is no shape.
  std::optional<llvm::SmallVector<SequenceElement>> sequence;

  bool present() const { return static_cast<bool>(elementType); }
  int64_t rank() const { return dims.size(); }
  bool hasStaticShape() const;
  /// tensor<?x8xf32> for printing in messages, with symbols' names
  std::string str() const;
};

/// Typed access to a node: its name, operands and attributes.
class NodeView {
public:
  explicit NodeView(NodeOp op) : op(op) {}
  NodeOp op;
  llvm::StringRef type() const { return const_cast<NodeOp &>(op).getOpType(); }
  int64_t opset() const { return const_cast<NodeOp &>(op).getOpset(); }
  unsigned numInputs() const {
    return const_cast<NodeOp &>(op).getInputs().size();
  }
  unsigned numOutputs() const {
    return const_cast<NodeOp &>(op).getOutputs().size();
  }
  /// True where input i is there and not omitted.
  bool hasInput(unsigned i) const;
  /// True where output i is there and not omitted (the importer gives an
  /// omitted output the type none).
  bool hasOutput(unsigned i) const;
  mlir::Attribute attr(llvm::StringRef name) const;
  bool hasAttr(llvm::StringRef name) const {
    return static_cast<bool>(attr(name));
  }
  int64_t intAttr(llvm::StringRef name, int64_t otherwise) const;
  double floatAttr(llvm::StringRef name, double otherwise) const;
  llvm::StringRef strAttr(llvm::StringRef name,
                          llvm::StringRef otherwise) const;
  std::optional<llvm::SmallVector<int64_t>>
  intsAttr(llvm::StringRef name) const;
  std::optional<llvm::SmallVector<double>>
  floatsAttr(llvm::StringRef name) const;
  std::optional<llvm::SmallVector<std::string>>
  stringsAttr(llvm::StringRef name) const;
  mlir::ElementsAttr tensorAttr(llvm::StringRef name) const;
  /// The subgraph attribute of that name, or null.
  mlir::Region *bodyAttr(llvm::StringRef name) const;
  /// An error at the node: `Gemm node "fc1" (opset 17): ...`. Returns failure.
  mlir::LogicalResult error(const llvm::Twine &message) const;
  /// The same, for what is well formed but not supported (kept apart:
  /// UnsupportedError, --check-onnx).
  mlir::LogicalResult unsupported(const llvm::Twine &message) const;
};

/// Given to an entry's infer function. out(i) is to be filled.
class InferContext : public NodeView {
public:
  InferContext(NodeOp op, DimContext &dims) : NodeView(op), dims(dims) {}
  virtual ~InferContext() = default;
  DimContext &dims;
  virtual const ValueInfo &
  in(unsigned i) const = 0; ///< not present() where omitted
  virtual ValueInfo &out(unsigned i) = 0;
  /// Infers a subgraph with these arguments; results are what it yields. Values
  /// of outer graphs are known inside.
  virtual mlir::LogicalResult
  inferBody(mlir::Region &body, llvm::ArrayRef<ValueInfo> arguments,
            llvm::SmallVectorImpl<ValueInfo> &results) = 0;
  /// Info of any value already inferred (an outer value captured by a body, a
  /// body's own).
  virtual const ValueInfo &info(mlir::Value value) const = 0;
  /// Infers a node that was made to explain this one.
  virtual mlir::LogicalResult inferNode(NodeOp node) = 0;
  /// Says what such a value is, and that it is about to be erased.
  virtual void setInfo(mlir::Value value, ValueInfo info) = 0;
  virtual void forget(mlir::Value value) = 0;
  Dim c(int64_t v) { return dims.constant(v); }
  /// The contents of input i as known integers, or failure with a message that
  /// says which input must be constant.
  mlir::FailureOr<llvm::SmallVector<int64_t>> constInts(unsigned i) const;
  /// `axis` attribute or input made non-negative, checked against rank.
  mlir::FailureOr<int64_t> normalizeAxis(int64_t axis, int64_t rank) const;
  /// Numpy broadcasting of two shapes (unknown dims are taken as equal, which a
  /// run checks).
  mlir::FailureOr<llvm::SmallVector<Dim>>
  broadcast(llvm::ArrayRef<Dim> a, llvm::ArrayRef<Dim> b) const;
};

/// Given to an entry's expand function: the node's operands already converted
/// (bool and unsigned as signless integers: bool is i8 0/1), a builder at the
/// right place. Each present output must be given by setResult.
class ExpandContext : public NodeView {
public:
  ExpandContext(NodeOp op, mlir::OpBuilder &b, DimContext &dims)
      : NodeView(op), b(b), loc(op.getLoc()), dims(dims) {}
  virtual ~ExpandContext() = default;
  mlir::OpBuilder &b;
  mlir::Location loc;
  DimContext &dims;
  virtual const ValueInfo &inInfo(unsigned i) const = 0;
  virtual const ValueInfo &outInfo(unsigned i) const = 0;
  virtual const ValueInfo &
  info(mlir::Value original) const = 0; ///< of a value of the onnx-level graph
  virtual mlir::Value in(unsigned i) const = 0; ///< null where omitted
  virtual void setResult(unsigned i, mlir::Value value) = 0;
  /// Infers and expands a node that was made in this one's place.
  virtual mlir::LogicalResult expandNode(NodeOp node) = 0;
  /// The converted value of one of the onnx-level graph.
  virtual mlir::Value valueOf(mlir::Value original) = 0;
  /// Says what such a value is and becomes (null where it is converted when it
  /// is used), and that it is about to be erased.
  virtual void setInfo(mlir::Value original, ValueInfo info,
                       mlir::Value converted) = 0;
  virtual void forget(mlir::Value original) = 0;
  /// The size as attribute or as an index value. Sizes of arguments are
  /// computed once, at the function's entry.
  virtual mlir::OpFoldResult size(Dim dim) = 0;
  /// Says what a fresh symbol of infer is, once data tells.
  virtual void bind(Dim symbol, mlir::Value index) = 0;
  /// Expands a body at the builder's place; arguments are converted values of
  /// its block arguments.
  virtual mlir::LogicalResult
  expandBody(mlir::Region &body, mlir::ValueRange arguments,
             llvm::SmallVectorImpl<mlir::Value> &results) = 0;

  /// The signless type that stands for an ONNX element type (i1 -> i8, ui8 ->
  /// i8, ...).
  static mlir::Type converted(mlir::Type elementType);
  /// tensor type of the converted element type; dynamic where the dim is not
  /// constant
  mlir::RankedTensorType typeOf(const ValueInfo &info) const;
  mlir::Value index(Dim dim);               ///< size() as a value
  mlir::Value empty(const ValueInfo &info); ///< tensor.empty of info's shape
                                            ///< and converted type
  mlir::Value empty(llvm::ArrayRef<Dim> dims, mlir::Type elementType);
  mlir::Value filled(llvm::ArrayRef<Dim> dims,
                     mlir::TypedAttr value); ///< linalg.fill
  /// lnn.check that a == b with a message naming the node, where it is not
  /// known
  void checkEqual(Dim a, Dim b, const llvm::Twine &what);

  using Body = llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location,
                                              mlir::ValueRange)>;
  /// An elementwise linalg.generic with numpy broadcasting of inputs (with
  /// their infos) to the shape of `out`. Block arguments of the body are
  /// converted scalars; it returns the converted scalar result.
  mlir::Value elementwise(mlir::ValueRange inputs,
                          llvm::ArrayRef<const ValueInfo *> infos,
                          const ValueInfo &out, Body body);
};

/// One row of the table.
struct OpEntry {
  llvm::StringRef name;
  int64_t since, until; ///< opsets, inclusive; the operator's forms in between
                        ///< are told apart by NodeView::opset
  unsigned minInputs, maxInputs;
  mlir::LogicalResult (*infer)(InferContext &);
  mlir::LogicalResult (*expand)(ExpandContext &);
  llvm::StringRef domain = ""; ///< "" is ai.onnx
  bool sequences = false;      ///< operands may be sequences
};

/// The entry for an operator, or null. `known` is set where the name is there
/// but not for that opset.
const OpEntry *lookup(llvm::StringRef domain, llvm::StringRef name,
                      int64_t opset, bool *known = nullptr);

// One function per family file appends its rows.
void addElementwiseOps(std::vector<OpEntry> &table); // OpsElementwise.cpp
void addShapeOps(std::vector<OpEntry> &table); // OpsShape.cpp: Reshape, Concat,
                                               // Slice, Gather, Split, ...
void addReductionOps(
    std::vector<OpEntry>
        &table); // OpsReduction.cpp: Reduce*, Softmax, ArgMax, CumSum, norms
void addMatrixOps(
    std::vector<OpEntry> &table); // OpsMatrix.cpp: MatMul, Gemm, Einsum, ...
void addControlFlowOps(
    std::vector<OpEntry> &table); // OpsControlFlow.cpp: If, Loop, Scan
void addRecurrentOps(
    std::vector<OpEntry> &table); // OpsRecurrent.cpp: RNN, GRU, LSTM
void addPoolingOps(std::vector<OpEntry> &table);      // OpsPooling.cpp
void addResizeOps(std::vector<OpEntry> &table);       // OpsResize.cpp
void addQuantizationOps(std::vector<OpEntry> &table); // OpsQuantization.cpp
void addAttentionOps(std::vector<OpEntry> &table);    // OpsAttention.cpp
void addSignalOps(std::vector<OpEntry> &table);       // OpsSignal.cpp
void addDefinedOps(std::vector<OpEntry> &table);      // OpsDefined.cpp
void addSequenceOps(std::vector<OpEntry> &table);     // OpsSequence.cpp
void addLossOps(std::vector<OpEntry> &table);         // OpsLoss.cpp

} // namespace lnn::onnx
#endif // LNN_FRONTEND_ONNX_OPTABLE_H
