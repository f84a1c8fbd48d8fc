//===- TensorReader.h - constants of an ONNX model --------------*- C++ -*-===//
//
// Internal to the importer: protobuf tensors, dense, sparse or in files beside
// the model, to elements attributes.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_FRONTEND_ONNX_TENSORREADER_H
#define LNN_FRONTEND_ONNX_TENSORREADER_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>
#include <onnx/onnx_pb.h>
#include <string>

namespace lnn::onnx {

/// Bounds on what a model may claim: beyond them sizes are no sizes.
constexpr int64_t kMaxDim = int64_t(1) << 40;
constexpr int kMaxRank = 32;

/// ONNX's element type as ours; null where it is not supported.
mlir::Type elementTypeOf(mlir::MLIRContext *context, int32_t type);
/// What an element type number is called in messages.
std::string elementTypeName(int32_t type);
/// Names come from the model: made valid UTF-8 without control characters.
std::string clean(llvm::StringRef text);

/// Reads tensors. What a tensor claims is checked before anything is allocated
/// for it; each is read once, and its bytes are released from the protobuf
/// then, so that a model is never held twice.
class TensorReader {
public:
  TensorReader(mlir::MLIRContext *context, std::string baseDir)
      : context(context), baseDir(std::move(baseDir)) {}

  /// Reports what is wrong at `at`, naming the tensor `what`.
  mlir::FailureOr<mlir::ElementsAttr>
  read(::onnx::TensorProto &tensor, const std::string &what, mlir::Location at);
  /// The same with the values that are not given filled in as zeros.
  mlir::FailureOr<mlir::ElementsAttr> read(::onnx::SparseTensorProto &tensor,
                                           const std::string &what,
                                           mlir::Location at);

private:
  struct Request {
    const std::string &what;
    mlir::Location at;
    mlir::LogicalResult error(const llvm::Twine &message) const;
    mlir::LogicalResult unsupported(const llvm::Twine &message) const;
  };
  mlir::FailureOr<mlir::ElementsAttr> readDense(::onnx::TensorProto &tensor,
                                                const Request &request);
  mlir::FailureOr<mlir::ElementsAttr>
  readSparse(::onnx::SparseTensorProto &tensor, const Request &request);
  mlir::FailureOr<llvm::ArrayRef<char>>
  externalBytes(const ::onnx::TensorProto &tensor, size_t expected,
                const Request &request);
  mlir::FailureOr<llvm::MemoryBuffer *> openBeside(llvm::StringRef location,
                                                   const Request &request);

  mlir::MLIRContext *context;
  std::string baseDir;
  llvm::DenseMap<const void *, mlir::ElementsAttr> done;
  llvm::StringMap<std::unique_ptr<llvm::MemoryBuffer>> files;
};

} // namespace lnn::onnx
#endif // LNN_FRONTEND_ONNX_TENSORREADER_H
