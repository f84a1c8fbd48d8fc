//===- Parts.cpp - a run in parts of its batch, on several threads --------===//
#include "Parts.h"

#include "Pool.h"
#include "Shape.h"

#include <algorithm>
#include <cstring>
#include <unistd.h>

namespace lnn::runtime {

/// Below that, parts take less time than handing them out.
static constexpr int64_t leastRows = 16;
/// Vectors are whole in multiples of that many rows.
static constexpr int64_t rowsOfVectors = 8;
static constexpr int64_t mostParts = 4096;
/// Of a part where there is one thread.
static constexpr int64_t rowsAlone = 32;

static int64_t divideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Rows of a part where any number will do: as many parts as threads, or up to
/// four times as many where these have 32 rows still, so that what disturbs one
/// thread is evened out.
static int64_t chunkFor(int64_t rows, int64_t threads) {
  auto round = [](int64_t n) {
    return divideUp(n, rowsOfVectors) * rowsOfVectors;
  };
  int64_t fine = std::max<int64_t>(32, round(divideUp(rows, 4 * threads)));
  int64_t chunk = std::min(round(divideUp(rows, threads)), fine);
  return std::max(chunk, round(divideUp(rows, mostParts)));
}

/// Scratch that one thread gains nothing from splitting has at most so many
/// bytes.
static int64_t largeScratch() {
  static const long cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return (cache > 0 ? cache : 1 << 20) / 2;
}

//===- Preparing ----------------------------------------------------------===//

bool Parts::findRows(const int32_t *axes, const std::vector<size_t> &first,
                     const std::vector<int64_t> &dims) {
  for (size_t i = 0; i + 1 < first.size(); ++i) {
    if (axes[i] < 0)
      continue;
    int64_t size = dims[first[i] + static_cast<size_t>(axes[i])];
    if (rows && size != rows)
      return false;
    rows = size;
  }
  return true;
}

void Parts::findLayouts(const lnn_abi_tensor *tensors, const int32_t *axes,
                        const std::vector<size_t> &first,
                        const std::vector<int64_t> &dims,
                        std::vector<Layout> &layouts) {
  layouts.assign(first.size() - 1, {});
  for (size_t i = 0; i < layouts.size(); ++i) {
    const int64_t *sizes = dims.data() + first[i];
    int32_t rank = tensors[i].rank, axis = axes[i];
    if (axis < 0) {
      layouts[i].bytes = denseBytes(tensors[i].dtype, sizes, rank);
      continue;
    }
    layouts[i].outer = 1;
    layouts[i].bytes = static_cast<int64_t>(dtypeSize(tensors[i].dtype));
    for (int32_t k = 0; k < rank; ++k)
      if (k != axis)
        (k < axis ? layouts[i].outer : layouts[i].bytes) *= sizes[k];
  }
}

bool Parts::plan(const std::vector<int64_t> &in,
                 const std::vector<int64_t> &results) {
  const lnn_abi_rows &abi = *model.rows;
  auto isPositive = [](int64_t dim) { return dim > 0; };
  if (!std::all_of(in.begin(), in.end(), isPositive) ||
      !std::all_of(results.begin(), results.end(), isPositive))
    return false;
  rows = 0;
  if (!findRows(abi.input_axes, model.inputDims, in) ||
      !findRows(abi.output_axes, model.outputDims, results) || rows < leastRows)
    return false;
  chunk = abi.chunk ? abi.chunk
                    : (threads > 1 ? chunkFor(rows, threads) : rowsAlone);
  int64_t count = divideUp(rows, chunk);
  if (count < 2 || count > mostParts || (abi.chunk && rows % chunk))
    return false;
  parts = static_cast<uint32_t>(count);
  findLayouts(model.abi->inputs, abi.input_axes, model.inputDims, in,
              inLayouts);
  findLayouts(model.abi->outputs, abi.output_axes, model.outputDims, results,
              outLayouts);
  for (const std::vector<Layout> *layouts : {&inLayouts, &outLayouts})
    for (const Layout &layout : *layouts)
      if (layout.bytes <= 0)
        return false;
  makeWorkers();
  // The last part may be smaller.
  scratchBytes = 0;
  for (int64_t size : {chunk, rows - (count - 1) * chunk}) {
    setRows(workers[0], size);
    int64_t bytes = 0;
    if (abi.sizes(workers[0].inDims.data(), workers[0].outDims.data(),
                  &bytes) != -1 ||
        bytes < 0)
      return false;
    scratchBytes = std::max(scratchBytes, bytes);
  }
  return true;
}

void Parts::makeWorkers() {
  if (workers.size() < threads)
    workers = std::vector<Worker>(threads);
  for (Worker &worker : workers) {
    worker.inDims = inDims;
    worker.outDims = outDims;
    worker.in.resize(inLayouts.size());
    worker.out.resize(outLayouts.size());
    worker.packed.resize(inLayouts.size());
    worker.staged.resize(outLayouts.size());
  }
}

/// One thread gains what it needs not fetch from memory further away; it must
/// not have to copy for that.
bool Parts::isWorthAlone(int64_t wholeScratch) const {
  auto copies = [](const Layout &layout) { return layout.outer > 1; };
  return wholeScratch > largeScratch() && scratchBytes <= wholeScratch / 2 &&
         std::none_of(inLayouts.begin(), inLayouts.end(), copies) &&
         std::none_of(outLayouts.begin(), outLayouts.end(), copies);
}

bool Parts::prepare(const std::vector<int64_t> &newInDims,
                    const std::vector<int64_t> &newOutDims,
                    int64_t wholeScratch) {
  uint32_t wanted = model.pool ? model.pool->threads() : 1;
  if (!model.rows || (wanted < 2 && wholeScratch <= largeScratch()))
    return false;
  if (threads == wanted && inDims == newInDims && outDims == newOutDims)
    return possible;
  threads = 0; // until all is there
  possible = false;
  inDims = newInDims;
  outDims = newOutDims;
  whole = wholeScratch;
  threads = wanted;
  possible =
      plan(inDims, outDims) && (wanted > 1 || isWorthAlone(wholeScratch));
  threads = 0;
  if (possible)
    for (Worker &worker : workers) {
      worker.scratch.reserve(static_cast<size_t>(scratchBytes));
      for (size_t i = 0; i < inLayouts.size(); ++i)
        if (inLayouts[i].outer > 1)
          worker.packed[i].reserve(static_cast<size_t>(
              inLayouts[i].outer * chunk * inLayouts[i].bytes));
      for (size_t j = 0; j < outLayouts.size(); ++j)
        if (outLayouts[j].outer != 1)
          worker.staged[j].reserve(static_cast<size_t>(
              outLayouts[j].outer
                  ? outLayouts[j].outer * chunk * outLayouts[j].bytes
                  : outLayouts[j].bytes));
    }
  threads = wanted;
  return possible;
}

void Parts::prepareLike(const Parts &other) {
  if (other.threads)
    prepare(other.inDims, other.outDims, other.whole);
}

//===- Running ------------------------------------------------------------===//

void Parts::setRows(Worker &worker, int64_t count) const {
  const lnn_abi_rows &abi = *model.rows;
  for (size_t i = 0; i < inLayouts.size(); ++i)
    if (abi.input_axes[i] >= 0)
      worker
          .inDims[model.inputDims[i] + static_cast<size_t>(abi.input_axes[i])] =
          count;
}

void *Parts::allocOutput(void *, int32_t, const int64_t *) {
  return nullptr; // all of them are there
}

void *Parts::allocScratch(void *context, int64_t bytes) {
  Worker &worker = *static_cast<Worker *>(context);
  try {
    if (bytes < 0)
      throw std::bad_alloc();
    worker.extra.emplace_back().reserve(static_cast<size_t>(bytes));
    return worker.extra.back().data();
  } catch (...) { // generated code cannot be unwound
    worker.failed = noMemory;
    return nullptr;
  }
}

void Parts::recordFailure(void *context, int32_t message) {
  Worker &worker = *static_cast<Worker *>(context);
  if (worker.failed == -1)
    worker.failed = message;
}

/// The other threads have parts of the batch.
void Parts::runLoop(void *, void (*part)(void *data, int64_t i), void *data,
                    int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    part(data, i);
}

void Parts::runPart(Worker &worker, uint32_t part) {
  int64_t begin = part * chunk, count = std::min(chunk, rows - begin);
  auto blocks = [&](const Layout &layout, auto &&copy) {
    int64_t bytes = count * layout.bytes;
    for (int64_t k = 0; k < layout.outer; ++k)
      copy((k * rows + begin) * layout.bytes, k * bytes,
           static_cast<size_t>(bytes));
  };
  setRows(worker, count);
  for (size_t i = 0; i < inLayouts.size(); ++i) {
    const Layout &layout = inLayouts[i];
    auto *whole = static_cast<const char *>((*in)[i]);
    if (layout.outer > 1)
      blocks(layout, [&](int64_t from, int64_t to, size_t bytes) {
        std::memcpy(worker.packed[i].data() + to, whole + from, bytes);
      });
    worker.in[i] = layout.outer > 1    ? worker.packed[i].data()
                   : layout.outer == 1 ? whole + begin * layout.bytes
                                       : whole;
  }
  for (size_t j = 0; j < outLayouts.size(); ++j) {
    const Layout &layout = outLayouts[j];
    auto *whole = static_cast<char *>((*out)[j]);
    // A result without rows is the same in each part: the first one's stays.
    worker.out[j] = layout.outer == 1           ? whole + begin * layout.bytes
                    : layout.outer > 1 || begin ? worker.staged[j].data()
                                                : whole;
  }
  static constexpr lnn_abi_services services = {allocOutput, allocScratch,
                                                recordFailure, runLoop};
  lnn_abi_call call = {worker.in.data(),
                       worker.inDims.data(),
                       worker.out.data(),
                       worker.outDims.data(),
                       worker.scratch.data(),
                       &services,
                       &worker,
                       nullptr,
                       1};
  worker.failed = -1;
  worker.extra.clear();
  if (model.rows->run(&call) != 0 && part < worker.failedPart) {
    worker.failedPart = part;
    worker.message = worker.failed;
  }
  for (size_t j = 0; j < outLayouts.size(); ++j)
    if (outLayouts[j].outer > 1)
      blocks(outLayouts[j], [&](int64_t to, int64_t from, size_t bytes) {
        std::memcpy(static_cast<char *>((*out)[j]) + to,
                    worker.staged[j].data() + from, bytes);
      });
}

Parts::Outcome Parts::run(lnn_pool *pool, const std::vector<const void *> &from,
                          const std::vector<void *> &to, int32_t &message) {
  in = &from;
  out = &to;
  for (Worker &worker : workers)
    worker.failedPart = UINT32_MAX;
  auto body = [](void *context, uint32_t part, uint32_t worker) {
    auto &self = *static_cast<Parts *>(context);
    self.runPart(self.workers[worker], part);
  };
  if (threads < 2)
    for (uint32_t part = 0; part < parts; ++part)
      runPart(workers[0], part);
  else if (!pool->run(body, this, parts))
    return Busy;
  uint32_t first = UINT32_MAX;
  for (const Worker &worker : workers)
    if (worker.failedPart < first) {
      first = worker.failedPart;
      message = worker.message;
    }
  return first == UINT32_MAX ? Done : Failed;
}

} // namespace lnn::runtime
