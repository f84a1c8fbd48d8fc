//===- Import.h - read an ONNX model ------------------------------*- C++
//-*-===//
#ifndef LNN_FRONTEND_ONNX_IMPORT_H
#define LNN_FRONTEND_ONNX_IMPORT_H

#include "lnn/Frontend/Onnx/Frozen.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <string>
#include <utility>
#include <vector>

namespace lnn::onnx {

struct ImportOptions {
  std::string baseDir; ///< folder of external data; they may not leave it
  std::string name;    ///< the model's; used in locations
  std::vector<std::pair<std::string, std::string>> states; ///< input -> output
  /// Dynamic sizes of the inputs, by name, that get a value.
  std::vector<std::pair<std::string, int64_t>> sizes;
  std::vector<FrozenInput> frozen; ///< inputs that become constants
};

/// Reads a serialized ModelProto to a module with one function, `main`, of
/// onnx.node ops with inferred types. Arguments carry lnn.name, lnn.role,
/// lnn.dims (names and sizes), lnn.dtype, and for a state lnn.next (the
/// result's name); results carry lnn.name, lnn.role, lnn.dims, lnn.dtype.
/// Problems are diagnostics, all that can be found in one go; null then.
/// `unsupported` is set where the only errors were of things not supported.
mlir::OwningOpRef<mlir::ModuleOp> importModel(llvm::StringRef bytes,
                                              mlir::MLIRContext *context,
                                              const ImportOptions &options,
                                              bool *unsupported = nullptr);

/// True where the bytes look like an ONNX protobuf rather than text.
bool looksLikeOnnx(llvm::StringRef bytes);

/// Registers --import-onnx and --check-onnx with mlir-translate's registry.
void registerTranslations();

} // namespace lnn::onnx
#endif // LNN_FRONTEND_ONNX_IMPORT_H
