//===- Session.cpp - states that are carried from step to step ------------===//
#include "Call.h"
#include "Error.h"
#include "Shape.h"

#include <algorithm>
#include <cstring>
#include <memory>

using namespace lnn::runtime;

namespace {

/// A state lives in one of two buffers: a step reads the one, writes the other,
/// and they change places.
struct State {
  size_t input, output;
  std::vector<int64_t> dims;
  size_t bytes = 0;
  int32_t laneAxis = -1;
  Buffer now, next;
};

} // namespace

struct lnn_session {
  lnn_session(const lnn_model &model, const lnn_size *sizes, size_t n_sizes);
  lnn_session(const lnn_session &other);
  ~lnn_session() { model.release(); }

  void reserve(const lnn_size *sizes, size_t n_sizes);
  void step(const lnn_tensor *inputs, size_t n_inputs, lnn_tensor *outputs,
            size_t n_outputs);
  const State &findState(const char *name) const;
  lnn_tensor view(const State &state) const;
  void checkFits(const State &state, const lnn_tensor &tensor,
                 const char *what) const;
  void resetLanes(const int64_t *lanes, size_t n_lanes);
  size_t snapshotSize() const;

  const lnn_model &model;
  Call call;
  std::vector<State> states;
  std::vector<size_t> inputs, outputs; // those that are no states
  std::vector<int64_t> fixed; // sizes of symbols; -1 where steps may differ
  int64_t batch = -1;

private:
  void sortTensors();
  std::vector<bool> stateSymbols() const;
  int32_t batchSymbol() const;
  int32_t symbolOf(const lnn_size &size) const;
  void fixSizes(const lnn_size *sizes, size_t n_sizes);
  void fixFixedBatch(int64_t given);
  void findLanes();
  void makeStates();
  [[noreturn]] void failCount(const char *what, size_t found,
                              const std::vector<size_t> &expected,
                              const std::vector<lnn_tensor_info> &infos) const;
};

//===- Making one ---------------------------------------------------------===//

lnn_session::lnn_session(const lnn_model &model, const lnn_size *sizes,
                         size_t n_sizes)
    : model(model), call(model), fixed(model.abi->n_symbols, -1) {
  model.retain();
  try {
    sortTensors();
    fixSizes(sizes, n_sizes);
    makeStates();
    reserve(sizes, n_sizes);
  } catch (...) { // the destructor does not run
    model.release();
    throw;
  }
}

lnn_session::lnn_session(const lnn_session &other)
    : model(other.model), call(other.model), inputs(other.inputs),
      outputs(other.outputs), fixed(other.fixed), batch(other.batch) {
  for (const State &state : other.states) {
    State &copy = states.emplace_back();
    copy.input = state.input;
    copy.output = state.output;
    copy.dims = state.dims;
    copy.bytes = state.bytes;
    copy.laneAxis = state.laneAxis;
    copy.now.reserve(state.bytes);
    copy.next.reserve(state.bytes);
    std::memcpy(copy.now.data(), state.now.data(), state.bytes);
  }
  call.reserveLike(other.call);
  model.retain();
}

void lnn_session::sortTensors() {
  for (size_t i = 0; i < model.inputs.size(); ++i) {
    if (model.inputs[i].role != LNN_ROLE_STATE) {
      inputs.push_back(i);
      continue;
    }
    State &state = states.emplace_back();
    state.input = i;
    state.output = static_cast<size_t>(model.inputs[i].pair);
  }
  for (size_t j = 0; j < model.outputs.size(); ++j)
    if (std::none_of(states.begin(), states.end(),
                     [&](const State &state) { return state.output == j; }))
      outputs.push_back(j);
}

std::vector<bool> lnn_session::stateSymbols() const {
  std::vector<bool> used(fixed.size());
  for (const State &state : states)
    for (int32_t axis = 0; axis < model.inputs[state.input].rank; ++axis)
      if (int64_t dim = model.abi->inputs[state.input].dims[axis]; dim < 0)
        used[-1 - dim] = true;
  return used;
}

/// The symbol that counts lanes, or -1.
int32_t lnn_session::batchSymbol() const {
  std::vector<bool> used = stateSymbols();
  if (int32_t named = model.findSymbol("batch"); named >= 0)
    return used[named] ? named : -1;
  if (std::count(used.begin(), used.end(), true) != 1)
    return -1;
  return static_cast<int32_t>(std::find(used.begin(), used.end(), true) -
                              used.begin());
}

/// The symbol that a caller's size is of; -1 for "batch" where all sizes of the
/// states are fixed.
int32_t lnn_session::symbolOf(const lnn_size &size) const {
  if (!size.name)
    fail(LNN_ERR_USAGE, "a size without a name");
  std::string name = size.name;
  if (size.value < 0)
    fail(LNN_ERR_INPUT,
         "size '" + name + "' is negative: " + std::to_string(size.value));
  if (int32_t symbol = model.findSymbol(size.name); symbol >= 0)
    return symbol;
  std::vector<bool> used = stateSymbols();
  if (name == "batch" && !states.empty()) {
    bool anyDynamic = std::count(used.begin(), used.end(), true) != 0;
    if (int32_t symbol = batchSymbol(); symbol >= 0 || !anyDynamic)
      return symbol;
  }
  std::string known;
  for (int32_t k = 0; k < model.abi->n_symbols; ++k)
    known += (k ? ", " : "") + std::string(model.abi->symbols[k]);
  fail(LNN_ERR_INPUT, "the model has no dynamic dimension '" + name +
                          "'; there are: " + (known.empty() ? "none" : known));
}

void lnn_session::fixSizes(const lnn_size *sizes, size_t n_sizes) {
  std::vector<bool> used = stateSymbols();
  int64_t givenBatch = -1;
  for (size_t i = 0; i < n_sizes; ++i) {
    int32_t symbol = symbolOf(sizes[i]);
    if (symbol < 0)
      givenBatch = sizes[i].value;
    else if (used[symbol])
      fixed[symbol] = sizes[i].value;
  }
  std::string missing;
  for (size_t k = 0; k < used.size(); ++k)
    if (used[k] && fixed[k] < 0)
      missing +=
          (missing.empty() ? "" : ", ") + std::string(model.abi->symbols[k]);
  if (!missing.empty())
    fail(LNN_ERR_INPUT,
         "a session of this model needs the size of: " + missing);
  if (int32_t symbol = batchSymbol(); symbol >= 0)
    batch = fixed[symbol];
  else if (std::count(used.begin(), used.end(), true) == 0)
    fixFixedBatch(givenBatch);
}

/// Lanes of a model whose states' sizes are all fixed.
void lnn_session::fixFixedBatch(int64_t given) {
  for (const State &state : states) {
    const lnn_tensor_info &info = model.inputs[state.input];
    if (given >= 0 && std::find(info.dims, info.dims + info.rank, given) ==
                          info.dims + info.rank)
      fail(LNN_ERR_INPUT, "batch " + std::to_string(given) +
                              " does not fit: the model fixes state '" +
                              info.name + "' to " +
                              shapeText(info.dims, info.rank));
    if (given < 0 && info.rank)
      given = info.dims[0];
  }
  batch = given;
}

void lnn_session::makeStates() {
  int32_t symbol = batchSymbol();
  for (State &state : states) {
    const lnn_abi_tensor &tensor = model.abi->inputs[state.input];
    for (int32_t axis = 0; axis < tensor.rank; ++axis) {
      int64_t dim = tensor.dims[axis];
      bool isLane = symbol >= 0 ? dim == -1 - symbol : dim == batch;
      if (isLane && state.laneAxis < 0)
        state.laneAxis = axis;
      state.dims.push_back(dim < 0 ? fixed[-1 - dim] : dim);
    }
    int64_t bytes = denseBytes(tensor.dtype, state.dims.data(), tensor.rank);
    if (bytes < 0)
      throw std::bad_alloc();
    state.bytes = static_cast<size_t>(bytes);
    state.now.reserve(state.bytes);
    state.next.reserve(state.bytes);
    std::memset(state.now.data(), 0, state.bytes);
  }
}

void lnn_session::reserve(const lnn_size *sizes, size_t n_sizes) {
  std::vector<int64_t> all = fixed;
  for (size_t i = 0; i < n_sizes; ++i) {
    int32_t symbol = symbolOf(sizes[i]);
    if (symbol < 0)
      continue;
    if (fixed[symbol] >= 0 && fixed[symbol] != sizes[i].value)
      fail(LNN_ERR_INPUT, "size '" + std::string(sizes[i].name) + "' is " +
                              std::to_string(sizes[i].value) +
                              ", the session's is " +
                              std::to_string(fixed[symbol]));
    all[symbol] = sizes[i].value;
  }
  bool guessed = false;
  for (size_t k = 0; k < all.size(); ++k)
    if (all[k] < 0) {
      all[k] = 1;
      guessed = true;
    }
  try {
    call.reserve(all.data(), inputs, outputs);
  } catch (const Failure &failure) {
    // A model may refuse the sizes that nobody asked for; steps will say which
    // they want.
    if (!guessed || failure.status != LNN_ERR_INPUT)
      throw;
  }
}

//===- Stepping -----------------------------------------------------------===//

void lnn_session::failCount(const char *what, size_t found,
                            const std::vector<size_t> &expected,
                            const std::vector<lnn_tensor_info> &infos) const {
  std::string names;
  for (size_t i : expected)
    names += (names.empty() ? "" : ", ") + std::string(infos[i].name);
  fail(LNN_ERR_INPUT, "a step takes " + std::to_string(expected.size()) + " " +
                          what + " (" + (names.empty() ? "none" : names) +
                          "), found " + std::to_string(found));
}

void lnn_session::step(const lnn_tensor *given, size_t n_inputs,
                       lnn_tensor *results, size_t n_outputs) {
  if (n_inputs != inputs.size())
    failCount("inputs", n_inputs, inputs, model.inputs);
  if (n_outputs != outputs.size())
    failCount("outputs", n_outputs, outputs, model.outputs);
  call.begin(fixed.data());
  for (const State &state : states)
    call.bindOwnInput(state.input, state.now.data(), state.dims.data());
  for (size_t i = 0; i < n_inputs; ++i)
    call.bindInput(inputs[i], given[i]);
  call.computeSizes();
  for (const State &state : states)
    call.bindOwnOutput(state.output, state.next.data(), state.dims.data());
  for (size_t j = 0; j < n_outputs; ++j)
    call.bindOutput(outputs[j], results[j]);
  call.run();
  for (State &state : states)
    state.now.swap(state.next);
  for (size_t j = 0; j < n_outputs; ++j)
    call.finishOutput(outputs[j], results[j]);
}

//===- States -------------------------------------------------------------===//

const State &lnn_session::findState(const char *name) const {
  std::string known;
  for (const State &state : states) {
    const char *own = model.inputs[state.input].name;
    if (name && std::strcmp(own, name) == 0)
      return state;
    known += (known.empty() ? "" : ", ") + std::string(own);
  }
  fail(LNN_ERR_USAGE, "the model has no state '" +
                          std::string(name ? name : "") +
                          "'; there are: " + (known.empty() ? "none" : known));
}

lnn_tensor lnn_session::view(const State &state) const {
  return {state.now.data(), model.inputs[state.input].dtype,
          model.inputs[state.input].rank, state.dims.data(), nullptr};
}

void lnn_session::checkFits(const State &state, const lnn_tensor &tensor,
                            const char *what) const {
  const lnn_tensor_info &info = model.inputs[state.input];
  std::string name = "state '" + std::string(info.name) + "'";
  if (dtypeNumber(tensor.dtype) != static_cast<int32_t>(info.dtype))
    fail(LNN_ERR_INPUT, name + ": the " + what + " has dtype " +
                            dtypeName(dtypeNumber(tensor.dtype)) +
                            ", expected " + dtypeName(info.dtype));
  bool shaped = tensor.rank >= 0 && tensor.rank <= maxRank &&
                (tensor.dims || !tensor.rank);
  if (!shaped || tensor.rank != info.rank ||
      !std::equal(state.dims.begin(), state.dims.end(), tensor.dims))
    fail(LNN_ERR_INPUT,
         name + ": the " + what + " has shape " +
             (shaped ? shapeText(tensor.dims, tensor.rank) : "?") +
             ", expected " + shapeText(state.dims.data(), info.rank));
  if (!tensor.data && state.bytes)
    fail(LNN_ERR_INPUT,
         name + ": the " + what + " has no data (a null pointer)");
}

void lnn_session::resetLanes(const int64_t *lanes, size_t n_lanes) {
  for (size_t i = 0; i < n_lanes; ++i)
    if (lanes[i] < 0 || lanes[i] >= batch)
      fail(LNN_ERR_INPUT,
           batch < 0 ? "the states of this model have no lanes: no dimension "
                       "of them is the batch"
                     : "there is no lane " + std::to_string(lanes[i]) +
                           ": the session's batch is " + std::to_string(batch));
  for (const State &state : states)
    if (n_lanes && state.laneAxis < 0)
      fail(LNN_ERR_INPUT,
           "state '" + std::string(model.inputs[state.input].name) + "' " +
               shapeText(state.dims.data(),
                         static_cast<int32_t>(state.dims.size())) +
               " has no lanes: no dimension of it is the batch");
  for (State &state : states) {
    if (!state.bytes || !n_lanes)
      continue;
    size_t outer = 1;
    for (int32_t axis = 0; axis < state.laneAxis; ++axis)
      outer *= static_cast<size_t>(state.dims[axis]);
    size_t lane = state.bytes / outer / static_cast<size_t>(batch);
    for (size_t block = 0; block < outer; ++block)
      for (size_t i = 0; i < n_lanes; ++i)
        std::memset(state.now.data() + (block * static_cast<size_t>(batch) +
                                        static_cast<size_t>(lanes[i])) *
                                           lane,
                    0, lane);
  }
}

size_t lnn_session::snapshotSize() const {
  size_t total = 0;
  for (const State &state : states)
    total += state.bytes;
  return total;
}

//===- The C interface ----------------------------------------------------===//

namespace {
void need(bool given, const char *function) {
  if (!given)
    fail(LNN_ERR_USAGE, std::string(function) + ": a null argument");
}
void checkSnapshot(const lnn_session &session, size_t size) {
  if (size != session.snapshotSize())
    fail(LNN_ERR_INPUT, "a snapshot of this session has " +
                            std::to_string(session.snapshotSize()) +
                            " bytes, found " + std::to_string(size));
}
} // namespace

extern "C" {

lnn_status lnn_session_create(const lnn_model *model, const lnn_size *sizes,
                              size_t n_sizes, lnn_session **session) {
  return guarded([&] {
    need(model && session && (sizes || !n_sizes), "lnn_session_create");
    *session = nullptr;
    *session = new lnn_session(*model, sizes, n_sizes);
  });
}

lnn_status lnn_session_reserve(lnn_session *session, const lnn_size *sizes,
                               size_t n_sizes) {
  return guarded([&] {
    need(session && (sizes || !n_sizes), "lnn_session_reserve");
    session->reserve(sizes, n_sizes);
  });
}

void lnn_session_free(lnn_session *session) { delete session; }

const lnn_model *lnn_session_model(const lnn_session *session) {
  return session ? &session->model : nullptr;
}

int64_t lnn_session_batch(const lnn_session *session) {
  return session ? session->batch : -1;
}

lnn_status lnn_session_step(lnn_session *session, const lnn_tensor *inputs,
                            size_t n_inputs, lnn_tensor *outputs,
                            size_t n_outputs) {
  return guarded([&] {
    need(session && (inputs || !n_inputs) && (outputs || !n_outputs),
         "lnn_session_step");
    session->step(inputs, n_inputs, outputs, n_outputs);
  });
}

lnn_status lnn_session_get_state(const lnn_session *session, const char *name,
                                 lnn_tensor *tensor) {
  return guarded([&] {
    need(session && name && tensor, "lnn_session_get_state");
    const State &state = session->findState(name);
    if (!tensor->data) {
      *tensor = session->view(state);
      return;
    }
    session->checkFits(state, *tensor, "memory given");
    unpack(state.now.data(), *tensor);
  });
}

lnn_status lnn_session_set_state(lnn_session *session, const char *name,
                                 const lnn_tensor *tensor) {
  return guarded([&] {
    need(session && name && tensor, "lnn_session_set_state");
    const State &state = session->findState(name);
    session->checkFits(state, *tensor, "value given");
    pack(*tensor, state.now.data());
  });
}

lnn_status lnn_session_reset(lnn_session *session) {
  return guarded([&] {
    need(session, "lnn_session_reset");
    for (State &state : session->states)
      std::memset(state.now.data(), 0, state.bytes);
  });
}

lnn_status lnn_session_reset_lanes(lnn_session *session, const int64_t *lanes,
                                   size_t n_lanes) {
  return guarded([&] {
    need(session && (lanes || !n_lanes), "lnn_session_reset_lanes");
    session->resetLanes(lanes, n_lanes);
  });
}

lnn_status lnn_session_fork(const lnn_session *session, lnn_session **fork) {
  return guarded([&] {
    need(session && fork, "lnn_session_fork");
    *fork = nullptr;
    *fork = new lnn_session(*session);
  });
}

size_t lnn_session_snapshot_size(const lnn_session *session) {
  return session ? session->snapshotSize() : 0;
}

lnn_status lnn_session_snapshot(const lnn_session *session, void *bytes,
                                size_t size) {
  return guarded([&] {
    need(session && (bytes || !size), "lnn_session_snapshot");
    checkSnapshot(*session, size);
    char *to = static_cast<char *>(bytes);
    for (const State &state : session->states) {
      if (state.bytes)
        std::memcpy(to, state.now.data(), state.bytes);
      to += state.bytes;
    }
  });
}

lnn_status lnn_session_restore(lnn_session *session, const void *bytes,
                               size_t size) {
  return guarded([&] {
    need(session && (bytes || !size), "lnn_session_restore");
    checkSnapshot(*session, size);
    const char *from = static_cast<const char *>(bytes);
    for (State &state : session->states) {
      if (state.bytes)
        std::memcpy(state.now.data(), from, state.bytes);
      from += state.bytes;
    }
  });
}
}
