//===- Call.h - one run of a model: checked tensors and their memory ------===//
#ifndef LNN_LIB_RUNTIME_CALL_H
#define LNN_LIB_RUNTIME_CALL_H

#include "Buffer.h"
#include "Model.h"
#include "Parts.h"

#include <chrono>
#include <vector>

namespace lnn::runtime {

/// What a run needs, kept from run to run so that repeating one of the same
/// sizes allocates nothing. The order is: begin, bind every input,
/// computeSizes, bind every output, run, then finishOutput for those that the
/// caller gave.
class Call {
public:
  explicit Call(const lnn_model &model);

  /// Forgets the last run. `fixed` are sizes of symbols that hold already, -1
  /// where none, or NULL.
  void begin(const int64_t *fixed);
  /// Checks a tensor of the caller against the model and what was bound before
  /// it; throws Failure.
  void bindInput(size_t index, const lnn_tensor &tensor, bool needsData = true);
  /// An input in memory of ours: dense, of these sizes.
  void bindOwnInput(size_t index, const void *data, const int64_t *dims);
  void computeSizes();
  void bindOutput(size_t index, const lnn_tensor &tensor);
  /// The result is to be written here, dense and of these sizes.
  void bindOwnOutput(size_t index, void *data, const int64_t *dims);
  /// Where a model that measures itself adds to its regions' figures in the
  /// next runs; NULL: nowhere.
  void measureInto(lnn_abi_figures *place) { figures = place; }
  void run();
  /// Completes a caller's tensor after a run: fills it in, or copies to its
  /// strides.
  void finishOutput(size_t index, lnn_tensor &tensor);
  /// Makes an output that finishOutput filled in the caller's own.
  void giveAway(size_t index) { owned[index].take(); }

  /// Memory for a run with these sizes of symbols, all of them known. Copies of
  /// inputs that are bound as own are not reserved.
  void reserve(const int64_t *symbolSizes, const std::vector<size_t> &inputs,
               const std::vector<size_t> &outputs);
  /// As much memory as another call has.
  void reserveLike(const Call &other);

  const int64_t *outputDims(size_t index) const {
    return outDims.data() + model.outputDims[index];
  }
  const std::vector<int64_t> &allOutputDims() const { return outDims; }

private:
  static constexpr int32_t unbound = -2, bySession = -1;

  /// Where an output goes. `data` NULL: memory of this call's.
  struct Target {
    void *data;
    const int64_t *dims; // of `data`; NULL where there is none
    bool staged; // written to memory of this call's and copied to the caller's
                 // afterwards
  };

  void checkShape(size_t index, const lnn_tensor &tensor);
  void checkSymbol(size_t index, const lnn_tensor &tensor, int32_t axis);
  [[noreturn]] void failShape(size_t index, const lnn_tensor &tensor,
                              const std::string &why) const;
  std::string inputShapes() const;
  void checkOutput(size_t index, const lnn_tensor &tensor) const;
  void separate();
  bool runParts();
  void checkOutputsApart() const;
  /// Memory of this call's for an output of these sizes, with room for the
  /// sizes behind it.
  char *own(size_t index, const int64_t *dims);
  int64_t outputBytes(size_t index, const int64_t *dims) const;
  int64_t *ownDims(size_t index) const;
  [[noreturn]] void failRun() const;

  static void *allocOutput(void *context, int32_t index, const int64_t *dims);
  static void *allocScratch(void *context, int64_t bytes);
  static void recordFailure(void *context, int32_t message);
  static void runLoop(void *context, void (*part)(void *data, int64_t i),
                      void *data, int64_t count);

  const lnn_model &model;
  std::vector<int64_t> symbolSizes;
  std::vector<int32_t>
      symbolSources; // the input that said the size, or unbound, or bySession
  std::vector<const void *> in;
  std::vector<lnn_tensor>
      given; // the caller's inputs; without data for those of ours
  std::vector<int64_t> inDims, outDims, sizedFor, sizedOutDims;
  bool sized = false;
  int64_t scratchBytes = 0;
  std::vector<void *> out;
  std::vector<Target> targets;
  std::vector<Buffer> packed, owned;
  Buffer scratch;
  Parts parts; ///< for runs on several threads
  /// Of the last loop that found the model's threads asleep.
  std::chrono::steady_clock::time_point loopEnd;
  std::chrono::steady_clock::duration loopTime{};
  std::vector<Buffer> extraScratch;
  int32_t failed = -1; // the first check that did not hold
  lnn_abi_figures *figures = nullptr;
  bool outOfMemory = false; // an allocation in the run failed
  int32_t misfit = -1; // an output whose size, known in the run only, is not
                       // that of its memory
};

/// A call's memory that the model keeps between calls.
class Lease {
public:
  explicit Lease(const lnn_model &model)
      : model(model), call(model.takeCall()) {}
  ~Lease() { model.keepCall(call); }
  Lease(const Lease &) = delete;
  Lease &operator=(const Lease &) = delete;
  Call *operator->() const { return call; }

private:
  const lnn_model &model;
  Call *call;
};

/// lnn_run, which throws; figures are for a model that measures itself.
void runOnce(const lnn_model *model, const lnn_tensor *inputs, size_t n_inputs,
             lnn_tensor *outputs, size_t n_outputs, lnn_abi_figures *figures);

} // namespace lnn::runtime

#endif
