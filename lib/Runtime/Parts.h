//===- Parts.h - a run in parts of its batch, on several threads ----------===//
#ifndef LNN_LIB_RUNTIME_PARTS_H
#define LNN_LIB_RUNTIME_PARTS_H

#include "Buffer.h"
#include "Model.h"

#include <vector>

namespace lnn::runtime {

/// Runs a model whose rows are independent on parts of its batch. Generated
/// code takes dense tensors: where rows are not the outermost dimension, each
/// thread packs its rows of an input, and copies those of a result to their
/// places. All memory is there before the threads begin.
class Parts {
public:
  enum Outcome { Done, Failed, Busy };
  static constexpr int32_t noMemory = -2;

  explicit Parts(const lnn_model &model) : model(model) {}

  /// Memory for a run of these sizes on the model's threads; false if that
  /// can't be split, or isn't worth it. One thread does parts one after the
  /// other where what a run as a whole needs, `wholeScratch` bytes, is more
  /// than caches hold. Repeated, it does nothing.
  bool prepare(const std::vector<int64_t> &inDims,
               const std::vector<int64_t> &outDims, int64_t wholeScratch);
  /// As another's last.
  void prepareLike(const Parts &other);
  /// The run that was prepared. Busy: the threads work for another call. Failed
  /// with the message of the first part that failed, or noMemory.
  Outcome run(lnn_pool *pool, const std::vector<const void *> &in,
              const std::vector<void *> &out, int32_t &message);

private:
  /// What one thread needs.
  struct Worker {
    std::vector<const void *> in;
    std::vector<void *> out;
    std::vector<int64_t> inDims, outDims;
    std::vector<Buffer> packed, staged;
    Buffer scratch;
    std::vector<Buffer> extra;
    // Of the part that it works on, and of the first that failed.
    int32_t failed = -1;
    uint32_t failedPart = UINT32_MAX;
    int32_t message = -1;
  };
  /// Where a tensor's rows lie: `outer` blocks of them, a row of `bytes`
  /// bytes. outer = 0: it has none.
  struct Layout {
    int64_t outer = 0, bytes = 0;
  };

  bool plan(const std::vector<int64_t> &inDims,
            const std::vector<int64_t> &outDims);
  void findLayouts(const lnn_abi_tensor *tensors, const int32_t *axes,
                   const std::vector<size_t> &first,
                   const std::vector<int64_t> &dims,
                   std::vector<Layout> &layouts);
  bool findRows(const int32_t *axes, const std::vector<size_t> &first,
                const std::vector<int64_t> &dims);
  void setRows(Worker &worker, int64_t count) const;
  bool isWorthAlone(int64_t wholeScratch) const;
  void makeWorkers();
  void runPart(Worker &worker, uint32_t part);
  static void *allocOutput(void *context, int32_t index, const int64_t *dims);
  static void *allocScratch(void *context, int64_t bytes);
  static void recordFailure(void *context, int32_t message);
  static void runLoop(void *context, void (*part)(void *data, int64_t i),
                      void *data, int64_t count);

  const lnn_model &model;
  // What was prepared, and for what.
  std::vector<int64_t> inDims, outDims;
  uint32_t threads = 0;
  bool possible = false;
  int64_t rows = 0, chunk = 0, whole = 0;
  uint32_t parts = 0;
  int64_t scratchBytes = 0;
  std::vector<Layout> inLayouts, outLayouts;
  std::vector<Worker> workers;
  // Of the run in progress.
  const std::vector<const void *> *in = nullptr;
  const std::vector<void *> *out = nullptr;
};

} // namespace lnn::runtime

#endif
