//===- OpHelpers.h - what the operator families share -----------*- C++ -*-===//
//
// Small builders over ExpandContext (reshapes, transposes, slices, reductions
// with explicit maps) and facts about symbolic dimensions.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_LIB_FRONTEND_ONNX_OPHELPERS_H
#define LNN_LIB_FRONTEND_ONNX_OPHELPERS_H

#include "lnn/Dialect/Lnn/Lnn.h"
#include "lnn/Frontend/Onnx/OpTable.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace lnn::onnx {

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

inline bool isBool(mlir::Type type) { return type.isInteger(1); }
inline bool isFloat(mlir::Type type) {
  return mlir::isa<mlir::FloatType>(type);
}
/// An integer of ONNX's, bool not among them.
inline bool isInt(mlir::Type type) {
  return mlir::isa<mlir::IntegerType>(type) && !isBool(type);
}
/// Zero-extended where widened: unsigned integers and bool.
inline bool isUnsigned(mlir::Type type) {
  return isBool(type) || type.isUnsignedInteger();
}
/// What arithmetic on an ONNX type is done in: f16 and bf16 only store.
mlir::Type computeType(mlir::Type onnxType);
/// TensorProto.DataType as an element type; null where there is none for it.
mlir::Type typeOfEnum(mlir::MLIRContext *context, int64_t value);

//===----------------------------------------------------------------------===//
// Dimensions
//===----------------------------------------------------------------------===//

/// A product as a coefficient and sorted factors that are not products.
struct Product {
  int64_t coefficient = 1;
  llvm::SmallVector<const DimNode *> factors;
  bool overflow = false;
  bool operator==(const Product &o) const {
    return !overflow && !o.overflow && coefficient == o.coefficient &&
           (coefficient == 0 || factors == o.factors);
  }
};
Product productOf(llvm::ArrayRef<Dim> dims);
Dim toDim(DimContext &dims, const Product &product);
/// a / b where every factor of b is one of a; nothing otherwise.
std::optional<Product> divide(const Product &a, const Product &b);
/// True where the dimension cannot be negative, sizes being none of them.
bool isNonNegative(Dim dim);
/// True where a <= b for all sizes.
bool isLessOrEqual(DimContext &dims, Dim a, Dim b);
/// Arithmetic that gives null where constants overflow.
Dim addDims(DimContext &dims, Dim a, Dim b);
Dim subDims(DimContext &dims, Dim a, Dim b);
Dim mulDims(DimContext &dims, Dim a, Dim b);
/// min and max that know that sizes are not negative.
Dim minDims(DimContext &dims, Dim a, Dim b);
Dim maxDims(DimContext &dims, Dim a, Dim b);

//===----------------------------------------------------------------------===//
// Inference
//===----------------------------------------------------------------------===//

/// The contents of input i as dimensions, where they are known.
const llvm::SmallVector<Dim> *dataOf(InferContext &ctx, unsigned i);
/// Gives `data` to an integer or bool tensor of rank 0 or 1; drops it where it
/// would not fit or one element is null.
void setData(ValueInfo &info, llvm::SmallVector<Dim> data);
/// The contents of input i whatever its rank, where they are known: see
/// ValueInfo::data and ValueInfo::wide.
std::optional<llvm::SmallVector<Dim>> contentsOf(InferContext &ctx, unsigned i);
void setContents(ValueInfo &info, llvm::SmallVector<Dim> contents);
/// The elements of an integer constant of any rank.
std::optional<llvm::SmallVector<int64_t>>
integersOf(mlir::ElementsAttr constant);
/// The contents of input i as integers, of a constant of any rank or known
/// data.
std::optional<llvm::SmallVector<int64_t>> knownIntegers(const ValueInfo &info);
/// The contents of a small constant of numbers.
std::optional<llvm::SmallVector<double>> knownFloats(const ValueInfo &info);
/// Says that a float tensor is that constant; dropped where it has another
/// size.
void setFloats(ValueInfo &info, llvm::ArrayRef<double> values);
/// Says that two inputs' element types differ.
mlir::LogicalResult sameElementType(InferContext &ctx, unsigned i, unsigned j);
/// An error where the element type is none that `allowed` takes.
mlir::LogicalResult requireType(InferContext &ctx, unsigned i,
                                bool (*allowed)(mlir::Type),
                                llvm::StringRef what);
/// Shapes no run could hold: negative sizes and products that overflow.
mlir::LogicalResult checkOutputs(InferContext &ctx);

/// Runs an infer function and checks what it found.
template <mlir::LogicalResult (*fn)(InferContext &)>
mlir::LogicalResult checked(InferContext &ctx) {
  if (failed(fn(ctx)))
    return mlir::failure();
  return checkOutputs(ctx);
}

//===----------------------------------------------------------------------===//
// Expansion
//===----------------------------------------------------------------------===//

/// An integer or float constant of a signless type.
mlir::Value scalar(mlir::OpBuilder &b, mlir::Location loc, mlir::Type type,
                   double value);
mlir::Value integer(mlir::OpBuilder &b, mlir::Location loc, mlir::Type type,
                    int64_t value);
mlir::TypedAttr scalarAttr(mlir::Type type, double value);
/// The element that a maximum (or minimum) begins with.
mlir::TypedAttr lowest(mlir::Type type, bool isUnsigned);
mlir::TypedAttr highest(mlir::Type type, bool isUnsigned);
/// f16 and bf16 to f32; anything else stays.
mlir::Value widen(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value);
/// To a converted element type: f32 to a storage type, i1 to i8.
mlir::Value narrow(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value,
                   mlir::Type type);
/// An integer scalar of ONNX's type as an index, sign-extended or not.
mlir::Value toIndex(mlir::OpBuilder &b, mlir::Location loc, mlir::Value value,
                    mlir::Type onnxType);

mlir::RankedTensorType tensorType(llvm::ArrayRef<Dim> dims, mlir::Type element);
llvm::SmallVector<mlir::OpFoldResult> sizesOf(ExpandContext &ctx,
                                              llvm::ArrayRef<Dim> dims);
mlir::Value castTo(ExpandContext &ctx, mlir::Value value,
                   mlir::RankedTensorType type);
/// Operand i with the type that is inferred for it.
mlir::Value input(ExpandContext &ctx, unsigned i);
/// setResult with the type that is inferred for it; nothing where omitted.
void give(ExpandContext &ctx, unsigned i, mlir::Value value);
/// The contents of a value made by arith.constant, or null.
mlir::ElementsAttr constantOf(mlir::Value value);

/// The same elements in another shape (of as many elements, which the caller
/// has checked). No copy.
mlir::Value reshape(ExpandContext &ctx, mlir::Value value,
                    llvm::ArrayRef<Dim> from, llvm::ArrayRef<Dim> to);
mlir::Value transpose(ExpandContext &ctx, mlir::Value value,
                      llvm::ArrayRef<Dim> from, llvm::ArrayRef<int64_t> perm);
/// A contiguous or strided part of the same rank.
mlir::Value slice(ExpandContext &ctx, mlir::Value value,
                  llvm::ArrayRef<mlir::OpFoldResult> offsets,
                  llvm::ArrayRef<Dim> sizes, llvm::ArrayRef<int64_t> steps);
/// `part` written over `whole` at the offsets; ranks are the same.
mlir::Value insert(ExpandContext &ctx, mlir::Value part, mlir::Value whole,
                   llvm::ArrayRef<mlir::OpFoldResult> offsets,
                   llvm::ArrayRef<Dim> sizes);
llvm::SmallVector<mlir::OpFoldResult> zeros(ExpandContext &ctx, int64_t n);

using Body = ExpandContext::Body;
/// linalg.generic with one result; maps are of the inputs, then the result's.
/// Dimensions that the result's map leaves out are reduced, ascending.
mlir::Value generic(ExpandContext &ctx, mlir::ValueRange inputs,
                    llvm::ArrayRef<mlir::AffineMap> maps, mlir::Value init,
                    Body body);
/// Reads a tensor of shape `from` broadcast to `to`, as numpy does; a run
/// checks sizes that are not known to agree.
mlir::AffineMap broadcastMap(ExpandContext &ctx, llvm::ArrayRef<Dim> from,
                             llvm::ArrayRef<Dim> to);
/// Reads the dimensions of `rank` that the mask does not mark.
mlir::AffineMap droppedMap(mlir::MLIRContext *context,
                           llvm::ArrayRef<bool> mask);
/// A tensor computed from its coordinates; the body gets them as indices.
mlir::Value generate(ExpandContext &ctx, const ValueInfo &info, Body body);
/// lnn.check with a message that names the node.
void check(ExpandContext &ctx, mlir::Value condition, const llvm::Twine &what);
/// Checks that all elements of an integer tensor lie in [low, high); one check.
void checkRange(ExpandContext &ctx, mlir::Value tensor, mlir::Type onnxType,
                mlir::Value low, mlir::Value high, const llvm::Twine &what);
/// index wrapped once where negative and clamped to [0, size).
mlir::Value wrapAndClamp(mlir::OpBuilder &b, mlir::Location loc,
                         mlir::Value index, mlir::Value size);
/// Gives outputs whose contents are known; false where one's are not.
bool giveKnown(ExpandContext &ctx);

/// Runs an expand function unless the result is known without.
template <mlir::LogicalResult (*fn)(ExpandContext &)>
mlir::LogicalResult orKnown(ExpandContext &ctx) {
  if (giveKnown(ctx))
    return mlir::success();
  return fn(ctx);
}

constexpr int64_t kFirstOpset = 6, kLastOpset = 28;

/// A row of the table whose functions are checked and which is not expanded
/// where its results are known.
template <mlir::LogicalResult (*infer)(InferContext &),
          mlir::LogicalResult (*expand)(ExpandContext &)>
OpEntry entry(llvm::StringRef name, unsigned minInputs, unsigned maxInputs,
              int64_t since = kFirstOpset, int64_t until = kLastOpset) {
  return {name,      since,          until,           minInputs,
          maxInputs, checked<infer>, orKnown<expand>, ""};
}

} // namespace lnn::onnx
#endif // LNN_LIB_FRONTEND_ONNX_OPHELPERS_H
