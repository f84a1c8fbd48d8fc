//===- Model.h - a loaded artifact ----------------------------------------===//
#ifndef LNN_LIB_RUNTIME_MODEL_H
#define LNN_LIB_RUNTIME_MODEL_H

#include "lnn/runtime.h"

#include <array>
#include <atomic>
#include <string>
#include <vector>

namespace lnn::runtime {
class Call;
}
struct lnn_pool;

/// Immutable once loaded, but for the count of who uses it (the caller and its
/// sessions), the threads that it was given, and memory kept for calls.
struct lnn_model {
  /// Loads an artifact; throws Failure. `name` stands for it in messages.
  static lnn_model *load(const void *bytes, size_t size,
                         const std::string &name);
  void retain() const { users.fetch_add(1, std::memory_order_relaxed); }
  void release() const {
    if (users.fetch_sub(1, std::memory_order_acq_rel) == 1)
      delete this;
  }

  const lnn_abi_model *abi = nullptr;
  /// Of a model that measures itself; else null.
  const lnn_abi_profile *profile = nullptr;
  /// Of a model whose batch may be computed in parts; else null.
  const lnn_abi_rows *rows = nullptr;
  /// Whose threads compute parts of a batch; null: the caller's alone.
  lnn_pool *pool = nullptr;
  void setPool(lnn_pool *other);
  std::vector<lnn_tensor_info> inputs, outputs;
  /// Of each input and output: where its sizes start among all inputs' or all
  /// outputs'; one more entry, the total.
  std::vector<size_t> inputDims, outputDims;

  /// A call that nobody uses, with its memory, or a new one; and back.
  lnn::runtime::Call *takeCall() const;
  void keepCall(lnn::runtime::Call *call) const;

  /// "batch", or the size of a fixed dimension.
  std::string dimText(const lnn_abi_tensor &tensor, int32_t axis) const;
  std::string shapeText(const lnn_abi_tensor &tensor) const;
  /// Index of a named dimension, or -1.
  int32_t findSymbol(const char *name) const;

private:
  lnn_model() = default;
  ~lnn_model();
  lnn_model(const lnn_model &) = delete;
  lnn_model &operator=(const lnn_model &) = delete;
  void open(const void *bytes, size_t size, const std::string &name);
  void chooseVersion(const std::string &name);
  void checkDescriptor(const std::string &name) const;
  void checkProfile(const std::string &name) const;
  void checkRows(const std::string &name) const;
  void describe();
  void describe(const lnn_abi_tensor *tensors, int32_t count,
                std::vector<lnn_tensor_info> &infos,
                std::vector<size_t> &first);

  mutable std::atomic<size_t> users{1};
  mutable std::array<std::atomic<lnn::runtime::Call *>, 2> idle{};
  int file = -1;
  void *library = nullptr;
  std::vector<std::vector<int64_t>> dims;
  std::vector<std::vector<const char *>> symbols;
};

#endif
