//===- Call.cpp - one run of a model: checked tensors and their memory ----===//
#include "Call.h"

#include "Error.h"
#include "Pool.h"
#include "Shape.h"

#include <algorithm>
#include <cstring>

namespace lnn::runtime {

Call::Call(const lnn_model &model)
    : model(model), symbolSizes(model.abi->n_symbols),
      symbolSources(model.abi->n_symbols), in(model.inputs.size()),
      given(model.inputs.size()), inDims(model.inputDims.back()),
      outDims(model.outputDims.back()), sizedFor(model.inputDims.back()),
      sizedOutDims(model.outputDims.back()), out(model.outputs.size()),
      targets(model.outputs.size()), packed(model.inputs.size()),
      owned(model.outputs.size()), parts(model) {}

void Call::begin(const int64_t *fixed) {
  for (size_t k = 0; k < symbolSizes.size(); ++k) {
    bool known = fixed && fixed[k] >= 0;
    symbolSizes[k] = known ? fixed[k] : -1;
    symbolSources[k] = known ? bySession : unbound;
  }
  std::fill(targets.begin(), targets.end(), Target{nullptr, nullptr, false});
  std::fill(out.begin(), out.end(), nullptr);
  extraScratch.clear();
  failed = misfit = -1;
  outOfMemory = false;
}

//===- Inputs -------------------------------------------------------------===//

void Call::failShape(size_t index, const lnn_tensor &tensor,
                     const std::string &why) const {
  const lnn_abi_tensor &expected = model.abi->inputs[index];
  fail(LNN_ERR_INPUT, "input '" + std::string(expected.name) + "' has shape " +
                          shapeText(tensor.dims, tensor.rank) + ", expected " +
                          model.shapeText(expected) + ": " + why);
}

void Call::checkSymbol(size_t index, const lnn_tensor &tensor, int32_t axis) {
  int64_t symbol = -1 - model.abi->inputs[index].dims[axis],
          size = tensor.dims[axis];
  if (symbolSources[symbol] == unbound) {
    symbolSizes[symbol] = size;
    symbolSources[symbol] = static_cast<int32_t>(index);
    return;
  }
  if (symbolSizes[symbol] == size)
    return;
  std::string name = model.abi->symbols[symbol],
              other = std::to_string(symbolSizes[symbol]);
  std::string found = name + " is " + std::to_string(size);
  if (symbolSources[symbol] == bySession)
    failShape(index, tensor,
              found + ", the session's " + name + " is " + other);
  if (symbolSources[symbol] == static_cast<int32_t>(index))
    failShape(index, tensor,
              found + " in dimension " + std::to_string(axis) + ", but " +
                  other + " before");
  failShape(index, tensor,
            found + ", but input '" + model.inputs[symbolSources[symbol]].name +
                "' has " + name + " " + other);
}

/// Messages are put together only where something is wrong: what holds in every
/// step must not allocate.
void Call::checkShape(size_t index, const lnn_tensor &tensor) {
  const lnn_abi_tensor &expected = model.abi->inputs[index];
  auto name = [&] { return std::string("input '") + expected.name + "'"; };
  if (dtypeNumber(tensor.dtype) != expected.dtype)
    fail(LNN_ERR_INPUT, name() + " has dtype " +
                            dtypeName(dtypeNumber(tensor.dtype)) +
                            ", expected " + dtypeName(expected.dtype));
  if (tensor.rank < 0 || tensor.rank > maxRank || (tensor.rank && !tensor.dims))
    fail(LNN_ERR_INPUT, name() + " has no valid shape (rank " +
                            std::to_string(tensor.rank) + "), expected " +
                            model.shapeText(expected));
  if (tensor.rank != expected.rank)
    failShape(index, tensor,
              "its rank is " + std::to_string(tensor.rank) + " instead of " +
                  std::to_string(expected.rank));
  for (int32_t axis = 0; axis < tensor.rank; ++axis) {
    if (tensor.dims[axis] < 0)
      failShape(index, tensor, "a size is negative");
    if (expected.dims[axis] < 0)
      checkSymbol(index, tensor, axis);
    else if (tensor.dims[axis] != expected.dims[axis])
      failShape(index, tensor,
                "dimension " + std::to_string(axis) + " is " +
                    std::to_string(tensor.dims[axis]) + " instead of " +
                    std::to_string(expected.dims[axis]));
  }
}

void Call::bindInput(size_t index, const lnn_tensor &tensor, bool needsData) {
  checkShape(index, tensor);
  const lnn_abi_tensor &expected = model.abi->inputs[index];
  int64_t bytes = denseBytes(expected.dtype, tensor.dims, tensor.rank);
  if (bytes < 0)
    failShape(index, tensor, "no memory holds that many elements");
  if (needsData && bytes > 0 && !tensor.data)
    fail(LNN_ERR_INPUT, "input '" + std::string(expected.name) +
                            "' has no data (a null pointer)");
  std::copy_n(tensor.dims, tensor.rank, inDims.data() + model.inputDims[index]);
  given[index] = tensor;
  in[index] = tensor.data;
}

void Call::bindOwnInput(size_t index, const void *data, const int64_t *dims) {
  const lnn_abi_tensor &expected = model.abi->inputs[index];
  std::copy_n(dims, expected.rank, inDims.data() + model.inputDims[index]);
  given[index] = {nullptr, static_cast<lnn_dtype>(expected.dtype),
                  expected.rank, dims, nullptr};
  in[index] = data;
}

//===- Sizes --------------------------------------------------------------===//

std::string Call::inputShapes() const {
  std::string text;
  for (size_t i = 0; i < model.inputs.size(); ++i)
    text += (i ? ", " : "") + std::string(model.inputs[i].name) + " " +
            shapeText(inDims.data() + model.inputDims[i], model.inputs[i].rank);
  return text;
}

void Call::computeSizes() {
  if (sized && inDims == sizedFor) {
    outDims = sizedOutDims;
    return;
  }
  sized = false;
  int32_t message =
      model.abi->sizes(inDims.data(), outDims.data(), &scratchBytes);
  if (message != -1) {
    bool known = message >= 0 && message < model.abi->n_messages;
    fail(LNN_ERR_INPUT,
         std::string("the model refuses these sizes: ") +
             (known ? model.abi->messages[message] : "no reason given") + " (" +
             inputShapes() + ")");
  }
  if (scratchBytes < 0)
    fail(LNN_ERR_MEMORY,
         "a run of these sizes needs more memory than there can be (" +
             inputShapes() + ")");
  sizedFor = inDims;
  sizedOutDims = outDims;
  sized = true;
}

int64_t Call::outputBytes(size_t index, const int64_t *dims) const {
  return denseBytes(model.abi->outputs[index].dtype, dims,
                    model.outputs[index].rank);
}

void Call::reserve(const int64_t *sizes, const std::vector<size_t> &inputs,
                   const std::vector<size_t> &outputs) {
  begin(sizes);
  for (size_t i = 0; i < model.inputs.size(); ++i)
    for (int32_t axis = 0; axis < model.inputs[i].rank; ++axis) {
      int64_t dim = model.abi->inputs[i].dims[axis];
      inDims[model.inputDims[i] + axis] = dim < 0 ? sizes[-1 - dim] : dim;
    }
  computeSizes();
  scratch.reserve(scratchBytes);
  parts.prepare(inDims, outDims, scratchBytes);
  for (size_t i : inputs) {
    int64_t bytes =
        denseBytes(model.abi->inputs[i].dtype,
                   inDims.data() + model.inputDims[i], model.inputs[i].rank);
    if (bytes < 0)
      throw std::bad_alloc();
    packed[i].reserve(bytes);
  }
  for (size_t j : outputs)
    if (outputBytes(j, outputDims(j)) >= 0)
      own(j, outputDims(j));
}

void Call::reserveLike(const Call &other) {
  scratch.reserve(other.scratch.capacity());
  parts.prepareLike(other.parts);
  for (size_t i = 0; i < packed.size(); ++i)
    packed[i].reserve(other.packed[i].capacity());
  for (size_t j = 0; j < owned.size(); ++j)
    owned[j].reserve(other.owned[j].capacity());
}

//===- Outputs ------------------------------------------------------------===//

/// Behind the elements stand the sizes, so that one block of memory is the
/// whole tensor.
char *Call::own(size_t index, const int64_t *dims) {
  int64_t bytes = outputBytes(index, dims);
  if (bytes < 0)
    throw std::bad_alloc();
  size_t rank = model.outputs[index].rank,
         padded = (static_cast<size_t>(bytes) + 7) / 8 * 8;
  owned[index].reserve(padded + rank * sizeof(int64_t));
  return owned[index].data();
}

int64_t *Call::ownDims(size_t index) const {
  size_t padded =
      (static_cast<size_t>(outputBytes(index, outputDims(index))) + 7) / 8 * 8;
  return reinterpret_cast<int64_t *>(owned[index].data() + padded);
}

void Call::checkOutput(size_t index, const lnn_tensor &tensor) const {
  const lnn_abi_tensor &expected = model.abi->outputs[index];
  const int64_t *dims = outputDims(index);
  bool fits = dtypeNumber(tensor.dtype) == expected.dtype &&
              tensor.rank == expected.rank && (tensor.dims || !tensor.rank);
  for (int32_t axis = 0; fits && axis < tensor.rank; ++axis)
    fits = dims[axis] < 0 ? tensor.dims[axis] >= 0
                          : tensor.dims[axis] == dims[axis];
  if (fits)
    return;
  std::string name = "output '" + std::string(expected.name) + "'";
  if (dtypeNumber(tensor.dtype) != expected.dtype)
    fail(LNN_ERR_INPUT, name + ": the memory given has dtype " +
                            dtypeName(dtypeNumber(tensor.dtype)) +
                            ", the result " + dtypeName(expected.dtype));
  bool shaped = tensor.rank >= 0 && tensor.rank <= maxRank &&
                (tensor.dims || !tensor.rank);
  fail(LNN_ERR_INPUT, name + ": the memory given has shape " +
                          (shaped ? shapeText(tensor.dims, tensor.rank) : "?") +
                          ", the result " + shapeText(dims, expected.rank));
}

void Call::bindOutput(size_t index, const lnn_tensor &tensor) {
  const int64_t *dims = outputDims(index);
  bool known = std::all_of(dims, dims + model.outputs[index].rank,
                           [](int64_t dim) { return dim >= 0; });
  if (!tensor.data) {
    out[index] = known ? own(index, dims) : nullptr;
    return;
  }
  checkOutput(index, tensor);
  bool direct = known && isDense(tensor);
  targets[index] = {tensor.data, tensor.dims, !direct};
  out[index] = direct ? tensor.data : known ? own(index, dims) : nullptr;
}

void Call::bindOwnOutput(size_t index, void *data, const int64_t *dims) {
  const int64_t *result = outputDims(index);
  int32_t rank = model.outputs[index].rank;
  bool known = true;
  for (int32_t axis = 0; axis < rank; ++axis) {
    known &= result[axis] >= 0;
    if (result[axis] >= 0 && result[axis] != dims[axis])
      fail(LNN_ERR_INPUT,
           "state '" +
               std::string(model.inputs[model.outputs[index].pair].name) +
               "' would change its shape from " + shapeText(dims, rank) +
               " to " + shapeText(result, rank) + " in this step");
  }
  targets[index] = {data, dims, false};
  out[index] = known ? data : nullptr;
}

//===- Running ------------------------------------------------------------===//

namespace {
bool overlap(Extent a, Extent b) { return a.begin < b.end && b.begin < a.end; }
Extent extentOf(const Buffer &buffer) {
  auto begin = reinterpret_cast<intptr_t>(buffer.data());
  return {begin, begin + static_cast<intptr_t>(buffer.capacity())};
}
} // namespace

/// Gives the run dense inputs that no output is written over.
void Call::separate() {
  for (size_t i = 0; i < given.size(); ++i) {
    const lnn_tensor &tensor = given[i];
    if (!tensor.data)
      continue;
    bool copy = !isDense(tensor);
    Extent extent = runtime::extentOf(tensor);
    for (size_t j = 0; j < out.size() && !copy; ++j) {
      auto begin = reinterpret_cast<intptr_t>(out[j]);
      int64_t bytes = out[j] ? outputBytes(j, outputDims(j)) : 0;
      copy = (bytes > 0 && overlap(extent, {begin, begin + bytes})) ||
             overlap(extent, extentOf(owned[j]));
    }
    if (!copy)
      continue;
    packed[i].reserve(
        denseBytes(model.abi->inputs[i].dtype, tensor.dims, tensor.rank));
    pack(tensor, packed[i].data());
    in[i] = packed[i].data();
  }
}

void Call::checkOutputsApart() const {
  for (size_t j = 0; j < out.size(); ++j)
    for (size_t k = 0; k < j; ++k) {
      if (!targets[j].data || !targets[k].data)
        continue;
      auto extent = [&](size_t index) -> Extent {
        auto begin = reinterpret_cast<intptr_t>(targets[index].data);
        return {begin, begin + std::max<int64_t>(
                                   0, outputBytes(index, targets[index].dims))};
      };
      if (!targets[j].staged && !targets[k].staged &&
          overlap(extent(j), extent(k)))
        fail(LNN_ERR_INPUT, "outputs '" + std::string(model.outputs[k].name) +
                                "' and '" + model.outputs[j].name +
                                "' were given the same memory");
    }
}

void *Call::allocOutput(void *context, int32_t index, const int64_t *dims) {
  Call &call = *static_cast<Call *>(context);
  if (index < 0 || static_cast<size_t>(index) >= call.out.size())
    return nullptr;
  int32_t rank = call.model.outputs[index].rank;
  std::copy_n(dims, rank, call.outDims.data() + call.model.outputDims[index]);
  const Target &target = call.targets[index];
  if (target.data && !std::equal(dims, dims + rank, target.dims)) {
    call.misfit = index;
    return nullptr;
  }
  if (target.data && !target.staged)
    return target.data;
  try {
    return call.own(static_cast<size_t>(index), dims);
  } catch (...) { // generated code cannot be unwound
    call.outOfMemory = true;
    return nullptr;
  }
}

void *Call::allocScratch(void *context, int64_t bytes) {
  Call &call = *static_cast<Call *>(context);
  try {
    if (bytes < 0)
      throw std::bad_alloc();
    call.extraScratch.emplace_back().reserve(static_cast<size_t>(bytes));
    return call.extraScratch.back().data();
  } catch (...) { // generated code cannot be unwound
    call.outOfMemory = true;
    return nullptr;
  }
}

void Call::recordFailure(void *context, int32_t message) {
  Call &call = *static_cast<Call *>(context);
  if (call.failed < 0)
    call.failed = message;
}

/// Parts of a loop on the model's threads, or here where they work for another
/// call. Threads that sleep are woken where loops follow one another, or take
/// long: waking them takes as long as a small loop.
void Call::runLoop(void *context, void (*part)(void *data, int64_t i),
                   void *data, int64_t count) {
  using namespace std::chrono_literals;
  using Clock = std::chrono::steady_clock;
  struct Loop {
    void (*part)(void *data, int64_t i);
    void *data;
  } loop{part, data};
  auto body = [](void *of, uint32_t i, uint32_t) {
    auto *loop = static_cast<Loop *>(of);
    loop->part(loop->data, i);
  };
  Call &call = *static_cast<Call *>(context);
  lnn_pool *pool = call.model.pool;
  constexpr int64_t most = UINT16_MAX; // of a pool's items
  bool shared = pool && count > 1 && count <= most,
       asleep = shared && pool->sleeps();
  Clock::time_point begin;
  if (asleep) {
    begin = Clock::now();
    shared = begin - call.loopEnd < 50us || call.loopTime > 40us;
  }
  if (!shared || !pool->run(body, &loop, static_cast<uint32_t>(count)))
    for (int64_t i = 0; i < count; ++i)
      part(data, i);
  if (asleep) {
    call.loopEnd = Clock::now();
    call.loopTime = call.loopEnd - begin;
  }
}

void Call::failRun() const {
  if (misfit >= 0)
    fail(LNN_ERR_INPUT,
         "output '" + std::string(model.outputs[misfit].name) +
             "': the memory given has shape " +
             shapeText(targets[misfit].dims, model.outputs[misfit].rank) +
             ", the result " +
             shapeText(outputDims(misfit), model.outputs[misfit].rank));
  if (outOfMemory)
    fail(LNN_ERR_MEMORY, "out of memory in a run (" + inputShapes() + ")");
  bool known = failed >= 0 && failed < model.abi->n_messages;
  fail(LNN_ERR_RUN, known ? model.abi->messages[failed]
                          : "the model failed and did not say why");
}

/// In parts, on the model's threads; false, and nothing done, where it has none
/// to help and parts alone are no help either, or the batch cannot be split.
bool Call::runParts() {
  if (!model.rows || figures || !parts.prepare(inDims, outDims, scratchBytes))
    return false;
  int32_t message = -1;
  switch (parts.run(model.pool, in, out, message)) {
  case Parts::Busy:
    return false;
  case Parts::Failed:
    failed = message;
    outOfMemory = message == Parts::noMemory;
    failRun();
  case Parts::Done:
    break;
  }
  return true;
}

void Call::run() {
  checkOutputsApart();
  separate();
  if (runParts())
    return;
  scratch.reserve(static_cast<size_t>(scratchBytes));
  static constexpr lnn_abi_services services = {allocOutput, allocScratch,
                                                recordFailure, runLoop};
  lnn_abi_call call = {in.data(),
                       inDims.data(),
                       out.data(),
                       outDims.data(),
                       scratch.data(),
                       &services,
                       this,
                       figures,
                       model.pool ? model.pool->threadsAtOnce() : 1};
  if (model.abi->run(&call) != 0)
    failRun();
}

void Call::finishOutput(size_t index, lnn_tensor &tensor) {
  int32_t rank = model.outputs[index].rank;
  if (targets[index].data) {
    if (targets[index].staged)
      unpack(out[index], tensor);
    return;
  }
  int64_t *dims = ownDims(index);
  std::copy_n(outputDims(index), rank, dims);
  tensor = {owned[index].data(),
            static_cast<lnn_dtype>(model.abi->outputs[index].dtype), rank, dims,
            nullptr};
}

} // namespace lnn::runtime

//===- The C interface ----------------------------------------------------===//

using namespace lnn::runtime;

namespace {

std::string listNames(const std::vector<lnn_tensor_info> &tensors) {
  std::string text;
  for (const lnn_tensor_info &tensor : tensors)
    text += (text.empty() ? "" : ", ") + std::string(tensor.name);
  return text.empty() ? "none" : text;
}

void checkCounts(const lnn_model *model, const lnn_tensor *inputs,
                 size_t n_inputs, const char *function) {
  if (!model || (!inputs && n_inputs))
    fail(LNN_ERR_USAGE, std::string(function) + ": a null argument");
  if (n_inputs != model->inputs.size())
    fail(LNN_ERR_INPUT, "the model takes " +
                            std::to_string(model->inputs.size()) + " inputs (" +
                            listNames(model->inputs) + "), found " +
                            std::to_string(n_inputs));
}

} // namespace

void lnn::runtime::runOnce(const lnn_model *model, const lnn_tensor *inputs,
                           size_t n_inputs, lnn_tensor *outputs,
                           size_t n_outputs, lnn_abi_figures *figures) {
  checkCounts(model, inputs, n_inputs, "lnn_run");
  if (!outputs && n_outputs)
    fail(LNN_ERR_USAGE, "lnn_run: a null argument");
  if (n_outputs != model->outputs.size())
    fail(LNN_ERR_INPUT, "the model has " +
                            std::to_string(model->outputs.size()) +
                            " outputs (" + listNames(model->outputs) +
                            "), found room for " + std::to_string(n_outputs));
  Lease call(*model);
  call->begin(nullptr);
  for (size_t i = 0; i < n_inputs; ++i)
    call->bindInput(i, inputs[i]);
  call->computeSizes();
  for (size_t j = 0; j < n_outputs; ++j)
    call->bindOutput(j, outputs[j]);
  call->measureInto(figures);
  call->run();
  for (size_t j = 0; j < n_outputs; ++j) {
    bool allocated = !outputs[j].data;
    call->finishOutput(j, outputs[j]);
    if (allocated)
      call->giveAway(j);
  }
}

extern "C" {

lnn_status lnn_output_dims(const lnn_model *model, const lnn_tensor *inputs,
                           size_t n_inputs, int64_t *dims, size_t capacity) {
  return guarded([&] {
    checkCounts(model, inputs, n_inputs, "lnn_output_dims");
    if (capacity < model->outputDims.back() || (!dims && capacity))
      fail(LNN_ERR_USAGE, "lnn_output_dims: room for " +
                              std::to_string(model->outputDims.back()) +
                              " sizes is needed");
    Lease call(*model);
    call->begin(nullptr);
    for (size_t i = 0; i < n_inputs; ++i)
      call->bindInput(i, inputs[i], /*needsData=*/false);
    call->computeSizes();
    std::copy(call->allOutputDims().begin(), call->allOutputDims().end(), dims);
  });
}

lnn_status lnn_run(const lnn_model *model, const lnn_tensor *inputs,
                   size_t n_inputs, lnn_tensor *outputs, size_t n_outputs) {
  return guarded(
      [&] { runOnce(model, inputs, n_inputs, outputs, n_outputs, nullptr); });
}

void lnn_tensor_free(lnn_tensor *tensor) {
  if (!tensor)
    return;
  std::free(tensor->data);
  tensor->data = nullptr;
  tensor->dims = tensor->strides = nullptr;
  tensor->rank = 0;
}
}
