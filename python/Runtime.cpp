//===- Runtime.cpp - lnnc._runtime: models and sessions for Python --------===//
//
// Takes a dict of NumPy arrays, and runs the compiled code on the arrays' own
// memory, writing into new arrays. What can be wrong with names and dtypes is
// told here, the rest by the runtime. No LLVM here.
//
//===----------------------------------------------------------------------===//
#include "lnn/runtime.h"

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

/// The value given for an input, as an array of the input's dtype.
py::object asInput(const Tensor &tensor, py::handle value) {
  auto &api = py::detail::npy_api::get();
  py::object array = py::reinterpret_borrow<py::object>(value);
  if (!api.PyArray_Check_(value.ptr())) {
    if (!py::hasattr(value, "__array__") || PyType_Check(value.ptr()))
      fail("InputError", "input '" + str(tensor.name) + "' is a " +
                             str(py::type::of(value).attr("__name__")) +
                             "; expected a NumPy array of " + str(tensor.type) +
                             " and shape " + str(tensor.shape()));
    array = py::module_::import("numpy").attr("asarray")(value);
  }
  auto *descr = py::detail::array_proxy(array.ptr())->descr;
  if (descr != tensor.type.ptr() &&
      !api.PyArray_EquivTypes_(descr, tensor.type.ptr()))
    fail("InputError", "input '" + str(tensor.name) + "' is " +
                           str(py::handle(descr)) + "; expected " +
                           str(tensor.type) + " (dtypes are not converted)");
  return array;
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
  std::vector<py::object> arrays;
  std::vector<lnn_tensor> tensors;
};

class Model {
public:
  Model(const py::bytes &artifact, const std::string &file);
  ~Model() { lnn_model_free(handle); }
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;

  py::dict run(const py::object &given, const py::object &out) const;
  py::object call(const py::object &given, const py::object &out) const;
  /// The caller's array for each output, null where there is none.
  std::vector<py::object> destinations(const py::object &out) const;
  /// Runs a model that measures itself: (calls, seconds, regions, table,
  /// picture).
  py::tuple profile(const py::object &given, int64_t calls) const;
  /// The inputs by name; those of a session's step are all but the states.
  Inputs gather(const py::object &given, bool session) const;
  py::object makeOutputs(std::vector<py::object> arrays) const;

  lnn_model *handle = nullptr;
  std::vector<Tensor> inputs, outputs;
  py::object outputsType; ///< a class made by lnnc._outputs.make_type

private:
  std::vector<py::object> execute(const Inputs &given,
                                  std::vector<py::object> arrays) const;
  /// Puts arrays where the sizes of an output are told by these inputs, and
  /// returns all outputs as the runtime takes them; it allocates the others.
  std::vector<lnn_tensor> makeRoom(const Inputs &given,
                                   std::vector<py::object> &arrays) const;
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
  }
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
  result.arrays.reserve(inputs.size());
  result.tensors.reserve(inputs.size());
  for (const Tensor &tensor : inputs) {
    if (session && tensor.isState())
      continue;
    PyObject *value = PyDict_GetItemWithError(dict.ptr(), tensor.name.ptr());
    if (!value && PyErr_Occurred())
      throw py::error_already_set();
    if (!value)
      failMissing(tensor, dict);
    result.arrays.push_back(asInput(tensor, value));
    result.tensors.push_back(view(tensor, result.arrays.back()));
  }
  if (size_t(PyDict_GET_SIZE(dict.ptr())) != result.arrays.size())
    failUnknown(dict, session);
  return result;
}

std::vector<py::object> Model::destinations(const py::object &out) const {
  std::vector<py::object> arrays(outputs.size());
  if (out.is_none())
    return arrays;
  if (!PyDict_Check(out.ptr()))
    fail("InputError", "out is a dict of arrays by name; this is a " +
                           str(py::type::of(out).attr("__name__")));
  auto dict = py::reinterpret_borrow<py::dict>(out);
  size_t found = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    PyObject *value =
        PyDict_GetItemWithError(dict.ptr(), outputs[i].name.ptr());
    if (!value && PyErr_Occurred())
      throw py::error_already_set();
    if (!value)
      continue;
    ++found;
    auto &api = py::detail::npy_api::get();
    bool isArray = api.PyArray_Check_(value);
    auto *proxy = isArray ? py::detail::array_proxy(value) : nullptr;
    if (!isArray ||
        (proxy->descr != outputs[i].type.ptr() &&
         !api.PyArray_EquivTypes_(proxy->descr, outputs[i].type.ptr())) ||
        !(proxy->flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_))
      fail("InputError", "out['" + str(outputs[i].name) +
                             "'] must be a writeable NumPy array of " +
                             str(outputs[i].type) + " and shape " +
                             str(outputs[i].shape()));
    arrays[i] = py::reinterpret_borrow<py::object>(value);
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
  return arrays;
}

std::vector<lnn_tensor> Model::makeRoom(const Inputs &given,
                                        std::vector<py::object> &arrays) const {
  std::vector<int64_t> dims(outputRanks);
  check(lnn_output_dims(handle, given.tensors.data(), given.tensors.size(),
                        dims.data(), dims.size()));
  std::vector<lnn_tensor> tensors(outputs.size());
  const int64_t *at = dims.data();
  for (size_t i = 0; i < outputs.size(); at += outputs[i++].info.rank) {
    bool known = true;
    for (int32_t d = 0; d < outputs[i].info.rank; ++d)
      known &= at[d] >= 0;
    if (!known && !arrays[i])
      continue;
    if (!arrays[i])
      arrays[i] = newArray(outputs[i], at);
    tensors[i] = view(outputs[i], arrays[i]);
  }
  return tensors;
}

/// Outputs of known size are written where they stay; the runtime allocates the
/// others, which are copied. `arrays` are the caller's, where there are any.
std::vector<py::object> Model::execute(const Inputs &given,
                                       std::vector<py::object> arrays) const {
  std::vector<lnn_tensor> tensors = makeRoom(given, arrays);
  lnn_status status;
  {
    py::gil_scoped_release release;
    status = lnn_run(handle, given.tensors.data(), given.tensors.size(),
                     tensors.data(), tensors.size());
  }
  check(status);
  struct Release {
    std::vector<lnn_tensor> &tensors;
    const std::vector<bool> ours;
    ~Release() {
      for (size_t i = 0; i < tensors.size(); ++i)
        if (!ours[i])
          lnn_tensor_free(&tensors[i]);
    }
  };
  std::vector<bool> ours;
  for (const py::object &array : arrays)
    ours.push_back(bool(array));
  Release release{tensors, std::move(ours)};
  for (size_t i = 0; i < arrays.size(); ++i)
    if (!arrays[i])
      arrays[i] = copyOf(outputs[i], tensors[i]);
  return arrays;
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
  std::vector<py::object> arrays(outputs.size());
  std::vector<lnn_tensor> out = makeRoom(in, arrays);
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
        for (size_t k = 0; k < arrays.size(); ++k)
          if (!arrays[k])
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
  void checkState(const Tensor &tensor, const py::object &array) const;

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
void Session::checkState(const Tensor &tensor, const py::object &array) const {
  lnn_tensor own = {};
  check(lnn_session_get_state(handle, tensor.info.name, &own));
  auto *proxy = py::detail::array_proxy(array.ptr());
  if (proxy->nd != own.rank ||
      !std::equal(own.dims, own.dims + own.rank, proxy->dimensions))
    fail("InputError", "out['" + str(model->outputs[tensor.info.pair].name) +
                           "'] has shape " + str(array.attr("shape")) +
                           ", which is not the state's");
}

py::object Session::step(const py::object &given, const py::object &out) {
  Inputs inputs = model->gather(given, true);
  std::vector<py::object> arrays = model->destinations(out);
  Use use(*this);
  std::vector<bool> isState(model->outputs.size());
  for (const Tensor &tensor : model->inputs)
    if (tensor.isState()) {
      isState[tensor.info.pair] = true;
      if (arrays[tensor.info.pair])
        checkState(tensor, arrays[tensor.info.pair]);
    }
  std::vector<lnn_tensor> results(
      std::count(isState.begin(), isState.end(), false));
  size_t next = 0;
  for (size_t i = 0; i < arrays.size(); ++i)
    if (!isState[i]) {
      if (arrays[i])
        results[next] = view(model->outputs[i], arrays[i]);
      ++next;
    }
  lnn_status status;
  {
    py::gil_scoped_release release;
    status =
        lnn_session_step(handle, inputs.tensors.data(), inputs.tensors.size(),
                         results.data(), results.size());
  }
  check(status);
  next = 0;
  for (size_t i = 0; i < arrays.size(); ++i)
    if (!isState[i]) {
      if (!arrays[i])
        arrays[i] = copyOf(model->outputs[i], results[next]);
      ++next;
    }
  for (const Tensor &tensor : model->inputs)
    if (tensor.isState()) {
      py::object &array = arrays[tensor.info.pair];
      py::object now = stateArray(tensor);
      if (!array)
        array = now;
      else
        array.attr("__setitem__")(py::ellipsis(), now);
    }
  return model->makeOutputs(std::move(arrays));
}

py::dict Session::getState() {
  Use use(*this);
  py::dict result;
  for (const Tensor &tensor : model->inputs)
    if (tensor.isState())
      result[tensor.name] = stateArray(tensor);
  return result;
}

/// Sets the states that are given: all of them or, where one does not fit,
/// none.
void Session::setState(const py::dict &values) {
  std::vector<std::pair<const Tensor *, py::object>> arrays;
  for (const Tensor &tensor : model->inputs)
    if (tensor.isState() && values.contains(tensor.name))
      arrays.emplace_back(&tensor, asInput(tensor, values[tensor.name]));
  Use use(*this);
  std::vector<char> before(lnn_session_snapshot_size(handle));
  check(lnn_session_snapshot(handle, before.data(), before.size()));
  for (const auto &[tensor, array] : arrays) {
    lnn_tensor value = view(*tensor, array);
    lnn_status status =
        lnn_session_set_state(handle, tensor->info.name, &value);
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
  py::class_<Model, std::shared_ptr<Model>> model(m, "Model");
  model
      .def(py::init<const py::bytes &, const std::string &>(),
           py::arg("artifact"), py::arg("file"))
      .def("run", &Model::run)
      .def("call", &Model::call)
      .def("profile", &Model::profile)
      .def("session", &Session::make)
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
