//===- Runtime.cpp - lnnc._runtime: models and sessions for Python --------===//
//
// Takes a dict of arrays, NumPy's or such that speak DLPack, and runs the
// compiled code on the arrays' own memory, writing into new arrays. What can be
// wrong with names and dtypes is told here, the rest by the runtime. No LLVM
// here.
//
//===----------------------------------------------------------------------===//
#include "lnn/runtime.h"
#include "DLPack.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;

namespace {

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

/// Throws a class of lnnc._errors. Not on any fast path.
[[noreturn]] void fail(const char *kind, const std::string &message) {
  py::object type = py::module_::import("lnnc._errors").attr(kind);
  py::object text = py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(message.data(), message.size(), "replace"));
  PyErr_SetObject(type.ptr(), text.ptr());
  throw py::error_already_set();
}

/// Throws what the runtime says, where it says that something is wrong.
void check(lnn_status status) {
  switch (status) {
  case LNN_OK:
    return;
  case LNN_ERR_MEMORY:
    PyErr_SetString(PyExc_MemoryError, lnn_last_error());
    throw py::error_already_set();
  case LNN_ERR_LOAD:
  case LNN_ERR_VERSION:
  case LNN_ERR_CPU:
    fail("LoadError", lnn_last_error());
  default:
    fail("InputError", lnn_last_error());
  }
}

std::string str(py::handle object) {
  return py::str(object).cast<std::string>();
}

//===----------------------------------------------------------------------===//
// What a model says of its tensors
//===----------------------------------------------------------------------===//

/// NumPy has no bfloat16 of its own: that of ml_dtypes where it is installed,
/// else the bits.
py::dtype numpyType(lnn_dtype dtype) {
  if (dtype != LNN_BF16)
    return py::dtype(std::string(lnn_dtype_name(dtype)));
  try {
    return py::dtype::from_args(
        py::module_::import("ml_dtypes").attr("bfloat16"));
  } catch (py::error_already_set &error) {
    if (!error.matches(PyExc_ImportError))
      throw;
    return py::dtype("uint16");
  }
}

/// An input or output, and the Python objects that a call needs of it.
struct Tensor {
  explicit Tensor(const lnn_tensor_info &info)
      : info(info), name(py::reinterpret_steal<py::object>(
                        PyUnicode_InternFromString(info.name))),
        type(numpyType(info.dtype)) {}
  const lnn_tensor_info &info;
  py::object name;
  py::dtype type;

  bool isState() const { return info.role == LNN_ROLE_STATE; }
  /// Sizes, and names of dynamic dimensions.
  py::tuple shape() const {
    py::tuple result(info.rank);
    for (int32_t i = 0; i < info.rank; ++i)
      result[i] = info.dims[i] >= 0 ? py::object(py::int_(info.dims[i]))
                                    : py::object(py::str(info.symbols[i]));
    return result;
  }
};

const char *roleName(lnn_role role) {
  switch (role) {
  case LNN_ROLE_DT:
    return "dt";
  case LNN_ROLE_STATE:
    return "state";
  case LNN_ROLE_OUTPUT:
    return "output";
  case LNN_ROLE_INPUT:
    break;
  }
  return "input";
}

/// (name, shape, dtype, role, pair) of each.
py::list describe(const std::vector<Tensor> &tensors,
                  const std::vector<Tensor> &others) {
  py::list result;
  for (const Tensor &tensor : tensors) {
    int32_t pair = tensor.info.pair;
    py::object other = pair >= 0 && size_t(pair) < others.size()
                           ? others[pair].name
                           : py::none();
    result.append(py::make_tuple(tensor.name, tensor.shape(), tensor.type,
                                 roleName(tensor.info.role), other));
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Arrays
//===----------------------------------------------------------------------===//

static_assert(sizeof(py::ssize_t) == sizeof(int64_t), "sizes are 64-bit");

py::object newArray(const Tensor &tensor, const int64_t *dims) {
  auto &api = py::detail::npy_api::get();
  py::dtype type = tensor.type;
  PyObject *array = api.PyArray_NewFromDescr_(
      api.PyArray_Type_, type.release().ptr(), tensor.info.rank,
      reinterpret_cast<const py::ssize_t *>(dims), nullptr, nullptr, 0,
      nullptr);
  if (!array)
    throw py::error_already_set();
  return py::reinterpret_steal<py::object>(array);
}

/// An array's memory, as the runtime takes it.
lnn_tensor view(const Tensor &tensor, const py::object &array) {
  auto *proxy = py::detail::array_proxy(array.ptr());
  return {proxy->data, tensor.info.dtype, proxy->nd,
          reinterpret_cast<const int64_t *>(proxy->dimensions),
          reinterpret_cast<const int64_t *>(proxy->strides)};
}

/// A new array of what lies in memory that the runtime owns.
py::object copyOf(const Tensor &tensor, const lnn_tensor &from) {
  py::object array = newArray(tensor, from.dims);
  size_t bytes = lnn_dtype_size(from.dtype);
  for (int32_t i = 0; i < from.rank; ++i)
    bytes *= from.dims[i];
  if (bytes)
    std::memcpy(py::detail::array_proxy(array.ptr())->data, from.data, bytes);
  return array;
}

/// A model whose bfloat16 NumPy has no name for takes the bits.
bool isOf(const Tensor &tensor, lnn_dtype dtype) {
  return dtype == tensor.info.dtype ||
         (tensor.info.dtype == LNN_BF16 && dtype == LNN_U16 &&
          tensor.type.kind() == 'u');
}

/// What is used of an array while the runtime works on its memory.
struct Held {
  py::object array; ///< NumPy's
  Borrowed other;   ///< or another library's
};

[[noreturn]] void failType(const Tensor &tensor, const std::string &found) {
  fail("InputError", "input '" + str(tensor.name) + "' is " + found +
                         "; expected " + str(tensor.type) +
                         " (dtypes are not converted)");
}

/// The value given for an input, which must have the input's dtype.
lnn_tensor asInput(const Tensor &tensor, py::handle value, Held &held) {
  auto &api = py::detail::npy_api::get();
  held.array = py::reinterpret_borrow<py::object>(value);
  if (!api.PyArray_Check_(value.ptr())) {
    if (Borrowed::canBe(value)) {
      std::string error;
      held.other = Borrowed::from(value, error);
      if (!error.empty())
        fail("InputError", "input '" + str(tensor.name) + "' " + error);
      lnn_tensor view = held.other.tensor();
      if (!isOf(tensor, view.dtype))
        failType(tensor, held.other.typeName());
      view.dtype = tensor.info.dtype;
      return view;
    }
    if (!py::hasattr(value, "__array__") || PyType_Check(value.ptr()))
      fail("InputError", "input '" + str(tensor.name) + "' is a " +
                             str(py::type::of(value).attr("__name__")) +
                             "; expected a NumPy array of " + str(tensor.type) +
                             " and shape " + str(tensor.shape()));
    held.array = py::module_::import("numpy").attr("asarray")(value);
  }
  auto *descr = py::detail::array_proxy(held.array.ptr())->descr;
  if (descr != tensor.type.ptr() &&
      !api.PyArray_EquivTypes_(descr, tensor.type.ptr()))
    failType(tensor, str(py::handle(descr)));
  return view(tensor, held.array);
}

py::dict asDict(const py::object &given) {
  if (PyDict_Check(given.ptr()))
    return py::reinterpret_borrow<py::dict>(given);
  if (!py::hasattr(given, "keys") || !py::hasattr(given, "__getitem__"))
    fail("InputError", "inputs are arrays by name, in a dict; this is a " +
                           str(py::type::of(given).attr("__name__")));
  return py::dict(given);
}

//===----------------------------------------------------------------------===//
// Models
//===----------------------------------------------------------------------===//

/// The arrays of a call, and the same as the runtime takes them.
struct Inputs {
  std::vector<Held> held;
  std::vector<lnn_tensor> tensors;
};

/// Where a caller wants the outputs: its own object for each, null where there
/// is none, and its memory.
struct Destinations {
  explicit Destinations(size_t count) : objects(count), tensors(count) {}
  std::vector<py::object> objects;
  std::vector<lnn_tensor> tensors;
  std::vector<Borrowed> borrowed;
};

/// Threads that models share.
class Pool {
public:
  explicit Pool(int32_t threads) { check(lnn_pool_create(threads, &handle)); }
  ~Pool() { lnn_pool_free(handle); }
  Pool(const Pool &) = delete;
  Pool &operator=(const Pool &) = delete;
  lnn_pool *handle = nullptr;
};

class Model {
public:
  Model(const py::bytes &artifact, const std::string &file);
  ~Model() { lnn_model_free(handle); }
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;

  void setThreads(int32_t threads);
  py::dict run(const py::object &given, const py::object &out) const;
  py::object call(const py::object &given, const py::object &out) const;
  /// Of the caller's dict, or None.
  Destinations destinations(const py::object &out) const;
  lnn_tensor asOutput(const Tensor &tensor, py::handle value,
                      Destinations &found) const;
  /// Runs a model that measures itself: (calls, seconds, regions, table,
  /// picture).
  py::tuple profile(const py::object &given, int64_t calls) const;
  /// The inputs by name; those of a session's step are all but the states.
  Inputs gather(const py::object &given, bool session) const;
  py::object makeOutputs(std::vector<py::object> arrays) const;

  lnn_model *handle = nullptr;
  std::vector<Tensor> inputs, outputs;
  std::vector<const Tensor *> states; ///< of the inputs
  std::vector<size_t> results;        ///< the outputs that replace no state
  py::object outputsType; ///< a class made by lnnc._outputs.make_type

private:
  std::vector<py::object> execute(const Inputs &given, Destinations out) const;
  /// Makes arrays for outputs whose sizes are told by these inputs; the runtime
  /// allocates the others.
  void makeRoom(const Inputs &given, Destinations &out) const;
  [[noreturn]] void failMissing(const Tensor &tensor,
                                const py::dict &given) const;
  [[noreturn]] void failUnknown(const py::dict &given, bool session) const;

  size_t outputRanks = 0;
};

Model::Model(const py::bytes &artifact, const std::string &file) {
  std::string_view bytes = artifact;
  lnn_status status;
  {
    py::gil_scoped_release release;
    status =
        lnn_model_load_memory(bytes.data(), bytes.size(),
                              file.empty() ? nullptr : file.c_str(), &handle);
  }
  check(status);
  for (size_t i = 0; i < lnn_model_input_count(handle); ++i)
    inputs.emplace_back(*lnn_model_input(handle, i));
  for (size_t i = 0; i < lnn_model_output_count(handle); ++i) {
    outputs.emplace_back(*lnn_model_output(handle, i));
    outputRanks += outputs.back().info.rank;
    if (!outputs.back().isState())
      results.push_back(i);
  }
  for (const Tensor &tensor : inputs)
    if (tensor.isState())
      states.push_back(&tensor);
}

void Model::setThreads(int32_t threads) {
  py::gil_scoped_release release;
  lnn_status status = lnn_model_set_threads(handle, threads);
  if (status == LNN_OK)
    return;
  py::gil_scoped_acquire acquire;
  check(status);
}

void Model::failMissing(const Tensor &tensor, const py::dict &given) const {
  std::string names;
  for (auto [key, value] : given)
    names += (names.empty() ? "" : ", ") + str(py::repr(key));
  fail("InputError",
       "input '" + str(tensor.name) + "' (" + str(tensor.type) + ", shape " +
           str(tensor.shape()) +
           ") is missing; given: " + (names.empty() ? "none" : names));
}

void Model::failUnknown(const py::dict &given, bool session) const {
  std::string unknown, known;
  for (const Tensor &tensor : inputs) {
    if (!session || !tensor.isState())
      known += (known.empty() ? "" : ", ") + str(tensor.name);
    else if (given.contains(tensor.name))
      fail("InputError", "'" + str(tensor.name) +
                             "' is a state, which the session carries: assign "
                             "session.state to change it");
  }
  for (auto [key, value] : given) {
    bool found = false;
    for (const Tensor &tensor : inputs)
      found |= key.equal(tensor.name);
    if (!found)
      unknown += (unknown.empty() ? "" : ", ") + str(py::repr(key));
  }
  fail("InputError", "no input " + unknown + "; the inputs are: " +
                         (known.empty() ? "none" : known));
}

Inputs Model::gather(const py::object &given, bool session) const {
  py::dict dict = asDict(given);
  Inputs result;
  result.held.reserve(inputs.size());
  result.tensors.reserve(inputs.size());
  for (const Tensor &tensor : inputs) {
    if (session && tensor.isState())
      continue;
    PyObject *value = PyDict_GetItemWithError(dict.ptr(), tensor.name.ptr());
    if (!value && PyErr_Occurred())
      throw py::error_already_set();
    if (!value)
      failMissing(tensor, dict);
    result.tensors.push_back(
        asInput(tensor, value, result.held.emplace_back()));
  }
  if (size_t(PyDict_GET_SIZE(dict.ptr())) != result.held.size())
    failUnknown(dict, session);
  return result;
}

/// A writeable array of the output's dtype.
lnn_tensor Model::asOutput(const Tensor &tensor, py::handle value,
                           Destinations &found) const {
  auto &api = py::detail::npy_api::get();
  if (api.PyArray_Check_(value.ptr())) {
    auto *proxy = py::detail::array_proxy(value.ptr());
    if ((proxy->descr == tensor.type.ptr() ||
         api.PyArray_EquivTypes_(proxy->descr, tensor.type.ptr())) &&
        (proxy->flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_))
      return view(tensor, py::reinterpret_borrow<py::object>(value));
  } else if (Borrowed::canBe(value)) {
    std::string error;
    Borrowed other = Borrowed::from(value, error);
    if (!error.empty())
      fail("InputError", "out['" + str(tensor.name) + "'] " + error);
    if (isOf(tensor, other.tensor().dtype) && other.isWriteable()) {
      found.borrowed.push_back(std::move(other));
      lnn_tensor view = found.borrowed.back().tensor();
      view.dtype = tensor.info.dtype;
      return view;
    }
  }
  fail("InputError",
       "out['" + str(tensor.name) + "'] must be a writeable NumPy array of " +
           str(tensor.type) + " and shape " + str(tensor.shape()) +
           ", or an array that DLPack 1 says is so");
}

Destinations Model::destinations(const py::object &out) const {
  Destinations result(outputs.size());
  if (out.is_none())
    return result;
  if (!PyDict_Check(out.ptr()))
    fail("InputError", "out is a dict of arrays by name; this is a " +
                           str(py::type::of(out).attr("__name__")));
  auto dict = py::reinterpret_borrow<py::dict>(out);
  result.borrowed.reserve(outputs.size());
  size_t found = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    PyObject *value =
        PyDict_GetItemWithError(dict.ptr(), outputs[i].name.ptr());
    if (!value && PyErr_Occurred())
      throw py::error_already_set();
    if (!value)
      continue;
    ++found;
    result.tensors[i] = asOutput(outputs[i], value, result);
    result.objects[i] = py::reinterpret_borrow<py::object>(value);
  }
  if (found != size_t(PyDict_GET_SIZE(dict.ptr()))) {
    std::string known;
    for (const Tensor &tensor : outputs)
      known += (known.empty() ? "" : ", ") + str(tensor.name);
    for (auto [key, value] : dict)
      if (std::none_of(outputs.begin(), outputs.end(), [&](const Tensor &t) {
            return py::reinterpret_borrow<py::object>(key).equal(t.name);
          }))
        fail("InputError", "out: no output " + str(py::repr(key)) +
                               "; the outputs are: " + known);
  }
  return result;
}

void Model::makeRoom(const Inputs &given, Destinations &out) const {
  std::vector<int64_t> dims(outputRanks);
  check(lnn_output_dims(handle, given.tensors.data(), given.tensors.size(),
                        dims.data(), dims.size()));
  const int64_t *at = dims.data();
  for (size_t i = 0; i < outputs.size(); at += outputs[i++].info.rank) {
    if (out.objects[i] || std::any_of(at, at + outputs[i].info.rank,
                                      [](int64_t dim) { return dim < 0; }))
      continue;
    out.objects[i] = newArray(outputs[i], at);
    out.tensors[i] = view(outputs[i], out.objects[i]);
  }
}

/// Outputs of known size are written where they stay; the runtime allocates the
/// others, which are copied.
std::vector<py::object> Model::execute(const Inputs &given,
                                       Destinations out) const {
  makeRoom(given, out);
  lnn_status status;
  {
    py::gil_scoped_release release;
    status = lnn_run(handle, given.tensors.data(), given.tensors.size(),
                     out.tensors.data(), out.tensors.size());
  }
  check(status);
  struct Release {
    lnn_tensor &tensor;
    ~Release() { lnn_tensor_free(&tensor); }
  };
  for (size_t i = 0; i < outputs.size(); ++i)
    if (!out.objects[i]) {
      Release release{out.tensors[i]};
      out.objects[i] = copyOf(outputs[i], out.tensors[i]);
    }
  return std::move(out.objects);
}

/// An lnnc.Outputs of the arrays: a tuple of a class that knows the names.
py::object Model::makeOutputs(std::vector<py::object> arrays) const {
  auto *type = reinterpret_cast<PyTypeObject *>(outputsType.ptr());
  PyObject *tuple =
      type->tp_alloc(type, static_cast<py::ssize_t>(arrays.size()));
  if (!tuple)
    throw py::error_already_set();
  for (size_t i = 0; i < arrays.size(); ++i)
    PyTuple_SET_ITEM(tuple, i, arrays[i].release().ptr());
  return py::reinterpret_steal<py::object>(tuple);
}

py::dict Model::run(const py::object &given, const py::object &out) const {
  std::vector<py::object> arrays =
      execute(gather(given, false), destinations(out));
  py::dict result;
  for (size_t i = 0; i < arrays.size(); ++i)
    if (PyDict_SetItem(result.ptr(), outputs[i].name.ptr(), arrays[i].ptr()))
      throw py::error_already_set();
  return result;
}

py::object Model::call(const py::object &given, const py::object &out) const {
  return makeOutputs(execute(gather(given, false), destinations(out)));
}

py::tuple Model::profile(const py::object &given, int64_t calls) const {
  Inputs in = gather(given, false);
  Destinations room(outputs.size());
  makeRoom(in, room);
  std::vector<lnn_tensor> &out = room.tensors;
  using Owner = std::unique_ptr<lnn_profile, decltype(&lnn_profile_free)>;
  auto measure = [&](int64_t count) {
    lnn_profile *made = nullptr;
    check(lnn_profile_create(handle, &made));
    Owner owner(made, &lnn_profile_free);
    lnn_status status = LNN_OK;
    {
      py::gil_scoped_release release;
      for (int64_t i = 0; i < count && status == LNN_OK; ++i) {
        status = lnn_profile_run(made, in.tensors.data(), in.tensors.size(),
                                 out.data(), out.size());
        for (size_t k = 0; k < out.size(); ++k)
          if (!room.objects[k])
            lnn_tensor_free(&out[k]);
      }
    }
    check(status);
    return owner;
  };
  measure(std::min<int64_t>(calls, 5)); // to warm up
  Owner done = measure(calls);
  py::list regions;
  for (size_t i = 0; i < lnn_profile_region_count(done.get()); ++i) {
    lnn_region r;
    check(lnn_profile_region(done.get(), i, &r));
    regions.append(py::make_tuple(r.name, r.kind, r.nodes, r.parent, r.depth,
                                  r.entries, r.seconds, r.operations, r.bytes,
                                  r.least_seconds));
  }
  py::str reports[2];
  for (int i : {0, 1}) {
    const char *text = nullptr;
    check(lnn_profile_report(done.get(), i ? "svg" : "text", &text));
    reports[i] = py::reinterpret_steal<py::str>(
        PyUnicode_DecodeUTF8(text, std::strlen(text), "replace"));
  }
  return py::make_tuple(lnn_profile_calls(done.get()),
                        lnn_profile_seconds(done.get()), regions, reports[0],
                        reports[1]);
}

//===----------------------------------------------------------------------===//
// Sessions
//===----------------------------------------------------------------------===//

class Session {
public:
  Session(std::shared_ptr<Model> model, lnn_session *handle)
      : model(std::move(model)), handle(handle) {}
  ~Session() { lnn_session_free(handle); }
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;
  static std::shared_ptr<Session>
  make(std::shared_ptr<Model> model,
       const std::vector<std::pair<std::string, int64_t>> &sizes);

  py::object step(const py::object &given, const py::object &out);
  py::dict getState();
  void setState(const py::dict &values);
  void reset(const std::optional<std::vector<int64_t>> &lanes);
  std::shared_ptr<Session> fork();

private:
  /// A session belongs to one thread at a time; who doesn't keep to it is told.
  class Use {
  public:
    explicit Use(Session &session) : busy(session.busy) {
      if (busy.exchange(true))
        fail("Error", "the session is in use by another thread: give each "
                      "thread a session of its own");
    }
    ~Use() { busy = false; }

  private:
    std::atomic<bool> &busy;
  };
  py::object stateArray(const Tensor &tensor) const;
  void checkState(const Tensor &tensor, const lnn_tensor &given) const;

  std::shared_ptr<Model> model;
  lnn_session *handle;
  std::atomic<bool> busy{false};
};

std::shared_ptr<Session>
Session::make(std::shared_ptr<Model> model,
              const std::vector<std::pair<std::string, int64_t>> &sizes) {
  std::vector<lnn_size> named;
  for (const auto &[name, size] : sizes)
    named.push_back({name.c_str(), size});
  lnn_session *handle = nullptr;
  check(lnn_session_create(model->handle, named.data(), named.size(), &handle));
  return std::make_shared<Session>(std::move(model), handle);
}

/// A copy of a state.
py::object Session::stateArray(const Tensor &tensor) const {
  lnn_tensor own = {};
  check(lnn_session_get_state(handle, tensor.info.name, &own));
  return copyOf(tensor, own);
}

/// Refuses an array that a state does not fit into.
void Session::checkState(const Tensor &tensor, const lnn_tensor &given) const {
  lnn_tensor own = {};
  check(lnn_session_get_state(handle, tensor.info.name, &own));
  if (given.rank == own.rank &&
      std::equal(own.dims, own.dims + own.rank, given.dims))
    return;
  std::string shape;
  for (int32_t i = 0; i < given.rank; ++i)
    shape += (i ? ", " : "") + std::to_string(given.dims[i]);
  fail("InputError", "out['" + str(model->outputs[tensor.info.pair].name) +
                         "'] has shape [" + shape +
                         "], which is not the state's");
}

py::object Session::step(const py::object &given, const py::object &out) {
  Inputs inputs = model->gather(given, true);
  Destinations to = model->destinations(out);
  Use use(*this);
  for (const Tensor *state : model->states)
    if (to.objects[state->info.pair])
      checkState(*state, to.tensors[state->info.pair]);
  std::vector<lnn_tensor> results;
  results.reserve(model->results.size());
  for (size_t i : model->results)
    results.push_back(to.tensors[i]);
  lnn_status status;
  {
    py::gil_scoped_release release;
    status =
        lnn_session_step(handle, inputs.tensors.data(), inputs.tensors.size(),
                         results.data(), results.size());
  }
  check(status);
  for (size_t k = 0; k < results.size(); ++k)
    if (py::object &array = to.objects[model->results[k]]; !array)
      array = copyOf(model->outputs[model->results[k]], results[k]);
  for (const Tensor *state : model->states) {
    py::object &array = to.objects[state->info.pair];
    if (array)
      check(lnn_session_get_state(handle, state->info.name,
                                  &to.tensors[state->info.pair]));
    else
      array = stateArray(*state);
  }
  return model->makeOutputs(std::move(to.objects));
}

py::dict Session::getState() {
  Use use(*this);
  py::dict result;
  for (const Tensor *state : model->states)
    result[state->name] = stateArray(*state);
  return result;
}

/// Sets the states that are given: all of them or, where one does not fit,
/// none.
void Session::setState(const py::dict &values) {
  struct Value {
    const Tensor *tensor;
    Held held;
    lnn_tensor view;
  };
  std::vector<Value> given;
  for (const Tensor *state : model->states)
    if (values.contains(state->name)) {
      Value &value = given.emplace_back();
      value.tensor = state;
      value.view = asInput(*state, values[state->name], value.held);
    }
  Use use(*this);
  std::vector<char> before(lnn_session_snapshot_size(handle));
  check(lnn_session_snapshot(handle, before.data(), before.size()));
  for (const Value &value : given) {
    lnn_status status =
        lnn_session_set_state(handle, value.tensor->info.name, &value.view);
    if (status == LNN_OK)
      continue;
    (void)lnn_session_restore(handle, before.data(), before.size());
    check(status);
  }
}

void Session::reset(const std::optional<std::vector<int64_t>> &lanes) {
  Use use(*this);
  check(lanes ? lnn_session_reset_lanes(handle, lanes->data(), lanes->size())
              : lnn_session_reset(handle));
}

std::shared_ptr<Session> Session::fork() {
  Use use(*this);
  lnn_session *copy = nullptr;
  check(lnn_session_fork(handle, &copy));
  return std::make_shared<Session>(model, copy);
}

} // namespace

PYBIND11_MODULE(_runtime, m) {
  m.doc() = "Runs compiled models; lnnc's Python files are its interface.";
  m.def("version", &lnn_runtime_version);
  py::class_<Pool, std::shared_ptr<Pool>>(m, "Pool")
      .def(py::init<int32_t>())
      .def_property_readonly("threads", [](const Pool &pool) {
        return lnn_pool_threads(pool.handle);
      });
  py::class_<Model, std::shared_ptr<Model>> model(m, "Model");
  model
      .def(py::init<const py::bytes &, const std::string &>(),
           py::arg("artifact"), py::arg("file"))
      .def("run", &Model::run)
      .def("call", &Model::call)
      .def("profile", &Model::profile)
      .def("session", &Session::make)
      .def("set_threads", &Model::setThreads)
      .def("set_pool",
           [](Model &m, const Pool &pool) {
             check(lnn_model_set_pool(m.handle, pool.handle));
           })
      .def_property_readonly(
          "threads", [](const Model &m) { return lnn_model_threads(m.handle); })
      .def_property_readonly(
          "has_rows",
          [](const Model &m) { return lnn_model_has_rows(m.handle) != 0; })
      .def("set_outputs_type",
           [](Model &m, py::type type) { m.outputsType = std::move(type); })
      .def_property_readonly(
          "inputs",
          [](const Model &m) { return describe(m.inputs, m.outputs); })
      .def_property_readonly("outputs", [](const Model &m) {
        return describe(m.outputs, m.inputs);
      });
  for (auto [name, get] : {std::pair("name", &lnn_model_name),
                           std::pair("target", &lnn_model_target),
                           std::pair("cpu", &lnn_model_cpu),
                           std::pair("features", &lnn_model_features),
                           std::pair("hash", &lnn_model_hash)})
    model.def_property_readonly(
        name, [get = get](const Model &m) { return get(m.handle); });
  py::class_<Session, std::shared_ptr<Session>>(m, "Session")
      .def("step", &Session::step)
      .def("get_state", &Session::getState)
      .def("set_state", &Session::setState)
      .def("reset", &Session::reset)
      .def("fork", &Session::fork);
}
