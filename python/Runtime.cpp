//===- Runtime.cpp - lnnc._runtime: models and sessions for Python --------===//
//
// Takes a dict of NumPy arrays, checks each against the model, and runs the
// compiled code on the arrays' own memory, writing into new arrays. No LLVM
// here.
//
//===----------------------------------------------------------------------===//
#include "Artifact.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;
using lnn::python::Artifact;

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

[[noreturn]] void failInput(const std::string &message) {
  fail("InputError", message);
}

std::string str(py::handle object) {
  return py::str(object).cast<std::string>();
}

//===----------------------------------------------------------------------===//
// What a model says of its tensors
//===----------------------------------------------------------------------===//

const char *numpyName(int32_t dtype) {
  switch (dtype) {
  case LNN_F32:
    return "float32";
  case LNN_F64:
    return "float64";
  case LNN_F16:
    return "float16";
  case LNN_U8:
    return "uint8";
  case LNN_I8:
    return "int8";
  case LNN_U16:
    return "uint16";
  case LNN_I16:
    return "int16";
  case LNN_I32:
    return "int32";
  case LNN_I64:
    return "int64";
  case LNN_U32:
    return "uint32";
  case LNN_U64:
    return "uint64";
  case LNN_BOOL:
    return "bool";
  }
  return nullptr;
}

/// NumPy has no bfloat16 of its own: that of ml_dtypes where it is installed,
/// else the bits.
py::dtype numpyType(int32_t dtype) {
  if (dtype == LNN_BF16) {
    try {
      return py::dtype::from_args(
          py::module_::import("ml_dtypes").attr("bfloat16"));
    } catch (py::error_already_set &error) {
      if (!error.matches(PyExc_ImportError))
        throw;
      return py::dtype("uint16");
    }
  }
  const char *name = numpyName(dtype);
  if (!name)
    fail("LoadError", "the artifact has a tensor of element type " +
                          std::to_string(dtype) + ", which is not known");
  return py::dtype(name);
}

struct Tensor {
  explicit Tensor(const lnn_abi_tensor &abi)
      : abi(abi), name(py::reinterpret_steal<py::object>(
                      PyUnicode_InternFromString(abi.name))),
        type(numpyType(abi.dtype)), bytes(type.itemsize()) {}
  const lnn_abi_tensor &abi;
  py::object name;
  py::dtype type;
  int64_t bytes; ///< of one element
};

const char *roleName(int32_t role) {
  switch (role) {
  case LNN_ROLE_DT:
    return "dt";
  case LNN_ROLE_STATE:
    return "state";
  case LNN_ROLE_OUTPUT:
    return "output";
  }
  return "input";
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// The scratch memory of a thread, kept between calls: a model may be run by
/// many at once.
class ThreadScratch {
public:
  ~ThreadScratch() { std::free(data); }
  void *get(int64_t bytes) {
    if (bytes <= capacity)
      return data;
    std::free(data);
    capacity = (bytes + 63) / 64 * 64;
    data = std::aligned_alloc(64, capacity);
    if (!data)
      capacity = 0;
    return data;
  }
  /// What is large is not kept.
  void trim() {
    if (capacity > (int64_t(64) << 20)) {
      std::free(data);
      data = nullptr;
      capacity = 0;
    }
  }

private:
  void *data = nullptr;
  int64_t capacity = 0;
};

thread_local ThreadScratch threadScratch;

/// One run: what the compiled code is given, and what it asks for.
struct Call {
  std::vector<const void *> inputs;
  std::vector<int64_t> dims;
  std::vector<py::object> keep; ///< packed copies of inputs
  std::vector<int64_t> symbols; ///< size of each symbol, -1 while unknown
  std::vector<int32_t>
      boundBy; ///< the input that a symbol's size came from, -1 for the session
  std::vector<void *> outputs, allocated, temporaries;
  std::vector<int64_t> outputDims;
  int32_t message = -1;
  bool outOfMemory = false;
  const std::vector<Tensor> *outputTensors = nullptr;

  ~Call() {
    for (void *memory : allocated)
      std::free(memory);
    for (void *memory : temporaries)
      std::free(memory);
  }
};

/// The bytes of a dense tensor, or -1 where they are more than can be.
int64_t denseBytes(const int64_t *dims, int32_t rank, int64_t elementBytes) {
  int64_t bytes = elementBytes;
  for (int32_t i = 0; i < rank; ++i)
    if (dims[i] < 0 || __builtin_mul_overflow(bytes, dims[i], &bytes))
      return -1;
  return bytes;
}

void *allocOutput(void *context, int32_t index, const int64_t *dims) {
  Call &call = *static_cast<Call *>(context);
  const Tensor &tensor = (*call.outputTensors)[index];
  int64_t bytes = denseBytes(dims, tensor.abi.rank, tensor.bytes);
  void *memory = bytes < 0 ? nullptr : std::malloc(bytes ? bytes : 1);
  if (!memory) {
    call.outOfMemory = true;
    return nullptr;
  }
  std::free(call.allocated[index]);
  return call.allocated[index] = memory;
}

void *allocScratch(void *context, int64_t bytes) {
  Call &call = *static_cast<Call *>(context);
  void *memory = bytes < 0 || bytes > INT64_MAX - 64
                     ? nullptr
                     : std::aligned_alloc(64, (bytes + 64) / 64 * 64);
  if (!memory) {
    call.outOfMemory = true;
    return nullptr;
  }
  call.temporaries.push_back(memory);
  return memory;
}

void failCheck(void *context, int32_t message) {
  Call &call = *static_cast<Call *>(context);
  if (call.message < 0)
    call.message = message;
}

const lnn_abi_services services = {allocOutput, allocScratch, failCheck};

py::object newArray(const Tensor &tensor, const int64_t *dims) {
  auto &api = py::detail::npy_api::get();
  static_assert(sizeof(py::ssize_t) == sizeof(int64_t),
                "NumPy's sizes are 64-bit here");
  PyObject *array = api.PyArray_NewFromDescr_(
      api.PyArray_Type_, tensor.type.inc_ref().ptr(), tensor.abi.rank,
      reinterpret_cast<const py::ssize_t *>(dims), nullptr, nullptr, 0,
      nullptr);
  if (!array)
    throw py::error_already_set();
  return py::reinterpret_steal<py::object>(array);
}

void *arrayData(const py::object &array) {
  return py::detail::array_proxy(array.ptr())->data;
}

/// A loaded model, with what a call needs of it at hand.
class Model {
public:
  Model(std::string_view bytes, const std::string &file);

  const lnn_abi_model &abi() const { return artifact->model(); }
  py::dict run(const py::object &inputs);
  py::object call(const py::object &inputs);
  void setOutputsType(py::type type) { outputsType = std::move(type); }
  py::list describe(const std::vector<Tensor> &tensors,
                    const std::vector<Tensor> &others) const;
  std::vector<py::object> execute(Call &call) const;
  void begin(Call &call) const;
  void addInput(Call &call, size_t index, py::handle value) const;
  py::dict asDict(const py::object &inputs) const;
  py::object makeOutputs(std::vector<py::object> &arrays) const;
  [[noreturn]] void failUnknown(const py::dict &given, bool session) const;
  [[noreturn]] void failMissing(size_t index, const py::dict &given) const;

  std::vector<Tensor> inputs, outputs;

private:
  std::string symbolName(int64_t dim) const { return abi().symbols[-1 - dim]; }
  std::string shapeText(const Tensor &tensor) const;
  std::string sizeText(const int64_t *dims, int32_t rank) const;
  void checkDims(Call &call, size_t index, const int64_t *dims,
                 int32_t rank) const;
  [[noreturn]] void failSymbol(const Call &call, size_t index, int32_t axis,
                               const int64_t *dims) const;
  std::vector<py::object> collect(Call &call,
                                  std::vector<py::object> result) const;
  std::vector<py::object> gather(const py::object &given);

  std::unique_ptr<Artifact> artifact;
  py::object outputsType;
  size_t inputDims = 0, outputDims = 0;
};

Model::Model(std::string_view bytes, const std::string &file) {
  std::string error;
  {
    py::gil_scoped_release release;
    artifact = Artifact::load(bytes, error);
  }
  if (!artifact)
    fail("LoadError", "cannot load " +
                          (file.empty() ? std::string("the artifact") : file) +
                          ": " + error);
  const lnn_abi_model &model = abi();
  for (int32_t i = 0; i < model.n_inputs; ++i)
    inputs.emplace_back(model.inputs[i]), inputDims += model.inputs[i].rank;
  for (int32_t i = 0; i < model.n_outputs; ++i)
    outputs.emplace_back(model.outputs[i]), outputDims += model.outputs[i].rank;
}

/// (name, shape, dtype, role, pair) of each.
py::list Model::describe(const std::vector<Tensor> &tensors,
                         const std::vector<Tensor> &others) const {
  py::list result;
  for (const Tensor &tensor : tensors) {
    py::tuple shape(tensor.abi.rank);
    for (int32_t i = 0; i < tensor.abi.rank; ++i)
      shape[i] = tensor.abi.dims[i] >= 0
                     ? py::object(py::int_(tensor.abi.dims[i]))
                     : py::object(py::str(symbolName(tensor.abi.dims[i])));
    int32_t pair = tensor.abi.pair;
    py::object other = pair >= 0 && size_t(pair) < others.size()
                           ? others[pair].name
                           : py::none();
    result.append(py::make_tuple(tensor.name, shape, tensor.type,
                                 roleName(tensor.abi.role), other));
  }
  return result;
}

std::string Model::shapeText(const Tensor &tensor) const {
  std::string text = "(";
  for (int32_t i = 0; i < tensor.abi.rank; ++i)
    text += (i ? ", " : "") + (tensor.abi.dims[i] >= 0
                                   ? std::to_string(tensor.abi.dims[i])
                                   : symbolName(tensor.abi.dims[i]));
  return text + ")";
}

std::string Model::sizeText(const int64_t *dims, int32_t rank) const {
  std::string text = "(";
  for (int32_t i = 0; i < rank; ++i)
    text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + ")";
}

py::dict Model::asDict(const py::object &given) const {
  if (PyDict_Check(given.ptr()))
    return py::reinterpret_borrow<py::dict>(given);
  if (!py::hasattr(given, "keys") || !py::hasattr(given, "__getitem__"))
    failInput("inputs are arrays by name, in a dict; this is a " +
              str(py::type::of(given).attr("__name__")));
  return py::dict(given);
}

void Model::begin(Call &call) const {
  call.inputs.reserve(inputs.size());
  call.dims.reserve(inputDims);
  call.symbols.assign(abi().n_symbols, -1);
  call.boundBy.assign(abi().n_symbols, -1);
}

void Model::failMissing(size_t index, const py::dict &given) const {
  const Tensor &tensor = inputs[index];
  std::string names;
  for (auto [key, value] : given)
    names += (names.empty() ? "" : ", ") + str(py::repr(key));
  failInput("input '" + str(tensor.name) + "' (" + str(tensor.type) +
            ", shape " + shapeText(tensor) +
            ") is missing; given: " + (names.empty() ? "none" : names));
}

void Model::failUnknown(const py::dict &given, bool session) const {
  std::string unknown, known;
  for (auto [key, value] : given) {
    bool found = false;
    for (const Tensor &tensor : inputs)
      if (key.equal(tensor.name)) {
        if (session && tensor.abi.role == LNN_ROLE_STATE)
          failInput("'" + str(key) +
                    "' is a state, which the session carries: assign "
                    "session.state to change it");
        found = true;
      }
    if (!found)
      unknown += (unknown.empty() ? "" : ", ") + str(py::repr(key));
  }
  for (const Tensor &tensor : inputs)
    if (!session || tensor.abi.role != LNN_ROLE_STATE)
      known += (known.empty() ? "" : ", ") + str(tensor.name);
  failInput("no input " + unknown +
            "; the inputs are: " + (known.empty() ? "none" : known));
}

void Model::failSymbol(const Call &call, size_t index, int32_t axis,
                       const int64_t *dims) const {
  const Tensor &tensor = inputs[index];
  int64_t symbol = -1 - tensor.abi.dims[axis];
  int32_t by = call.boundBy[symbol];
  std::string where = by < 0 ? "the session's is "
                             : "input '" + str(inputs[by].name) + "' has ";
  failInput("input '" + str(tensor.name) + "' has shape " +
            sizeText(dims, tensor.abi.rank) + ": its " + abi().symbols[symbol] +
            " (dimension " + std::to_string(axis) + ") is " +
            std::to_string(dims[axis]) + ", and " + where +
            std::to_string(call.symbols[symbol]));
}

void Model::checkDims(Call &call, size_t index, const int64_t *dims,
                      int32_t rank) const {
  const Tensor &tensor = inputs[index];
  if (rank != tensor.abi.rank)
    failInput("input '" + str(tensor.name) + "' has shape " +
              sizeText(dims, rank) + ", of " + std::to_string(rank) +
              " dimensions; expected " + shapeText(tensor));
  for (int32_t i = 0; i < rank; ++i) {
    int64_t want = tensor.abi.dims[i];
    if (want >= 0) {
      if (dims[i] != want)
        failInput("input '" + str(tensor.name) + "' has shape " +
                  sizeText(dims, rank) + ": its dimension " +
                  std::to_string(i) + " is " + std::to_string(dims[i]) +
                  ", expected " + std::to_string(want) + " of " +
                  shapeText(tensor));
      continue;
    }
    int64_t &bound = call.symbols[-1 - want];
    if (bound < 0) {
      bound = dims[i];
      call.boundBy[-1 - want] = index;
    } else if (bound != dims[i])
      failSymbol(call, index, i, dims);
  }
}

/// Checks one input and notes where its elements are; those that aren't dense
/// are packed first.
void Model::addInput(Call &call, size_t index, py::handle value) const {
  const Tensor &tensor = inputs[index];
  auto &api = py::detail::npy_api::get();
  py::object array;
  if (!api.PyArray_Check_(value.ptr())) {
    if (!py::hasattr(value, "__array__") || PyType_Check(value.ptr()))
      failInput("input '" + str(tensor.name) + "' is a " +
                str(py::type::of(value).attr("__name__")) +
                "; expected a NumPy array of " + str(tensor.type) +
                " and shape " + shapeText(tensor));
    array = py::module_::import("numpy").attr("asarray")(value);
    value = array;
  }
  auto *proxy = py::detail::array_proxy(value.ptr());
  if (proxy->descr != tensor.type.ptr() &&
      !api.PyArray_EquivTypes_(proxy->descr, tensor.type.ptr()))
    failInput("input '" + str(tensor.name) + "' is " +
              str(py::handle(proxy->descr)) + "; expected " + str(tensor.type) +
              " (dtypes are not converted)");
  auto *dims = reinterpret_cast<const int64_t *>(proxy->dimensions);
  checkDims(call, index, dims, proxy->nd);
  call.dims.insert(call.dims.end(), dims, dims + proxy->nd);
  if (!(proxy->flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_)) {
    PyObject *packed = api.PyArray_NewCopy_(value.ptr(), 0); // 0 is C order
    if (!packed)
      throw py::error_already_set();
    array = py::reinterpret_steal<py::object>(packed);
    proxy = py::detail::array_proxy(packed);
  }
  call.inputs.push_back(proxy->data);
  if (array)
    call.keep.push_back(std::move(array));
}

/// Sizes, memory and the run itself, for a call whose inputs are all there.
/// Returns the outputs.
std::vector<py::object> Model::execute(Call &call) const {
  const lnn_abi_model &model = abi();
  call.outputDims.resize(outputDims);
  int64_t scratchBytes = 0;
  int32_t bad =
      model.sizes(call.dims.data(), call.outputDims.data(), &scratchBytes);
  if (bad >= 0)
    failInput(bad < model.n_messages
                  ? model.messages[bad]
                  : "the inputs' sizes do not fit the model");

  std::vector<py::object> arrays(outputs.size());
  call.outputs.assign(outputs.size(), nullptr);
  call.allocated.assign(outputs.size(), nullptr);
  call.outputTensors = &outputs;
  size_t at = 0;
  for (size_t i = 0; i < outputs.size(); at += outputs[i++].abi.rank) {
    const int64_t *dims = call.outputDims.data() + at;
    bool known = true;
    for (int32_t d = 0; d < outputs[i].abi.rank; ++d)
      known &= dims[d] >= 0;
    if (!known)
      continue;
    arrays[i] = newArray(outputs[i], dims);
    call.outputs[i] = arrayData(arrays[i]);
  }

  int32_t status = 0;
  {
    py::gil_scoped_release release;
    void *scratch =
        scratchBytes > 0 ? threadScratch.get(scratchBytes) : nullptr;
    if (scratchBytes < 0 || (scratchBytes > 0 && !scratch)) {
      call.outOfMemory = true;
    } else {
      lnn_abi_call abiCall = {call.inputs.data(),
                              call.dims.data(),
                              call.outputs.data(),
                              call.outputDims.data(),
                              scratch,
                              &services,
                              &call};
      status = model.run(&abiCall);
    }
    threadScratch.trim();
  }
  if (call.outOfMemory)
    throw std::bad_alloc();
  if (status || call.message >= 0)
    failInput(call.message >= 0 && call.message < model.n_messages
                  ? model.messages[call.message]
                  : "a check of the model failed");
  return collect(call, std::move(arrays));
}

/// The arrays that were there before the run, and those whose size it found.
std::vector<py::object> Model::collect(Call &call,
                                       std::vector<py::object> result) const {
  size_t at = 0;
  for (size_t i = 0; i < outputs.size(); at += outputs[i++].abi.rank) {
    if (result[i])
      continue;
    const int64_t *dims = call.outputDims.data() + at;
    int64_t bytes = denseBytes(dims, outputs[i].abi.rank, outputs[i].bytes);
    if (bytes < 0 || (bytes > 0 && !call.allocated[i]))
      fail("Error",
           "the model left output '" + str(outputs[i].name) + "' unset");
    result[i] = newArray(outputs[i], dims);
    if (bytes)
      std::memcpy(arrayData(result[i]), call.allocated[i], bytes);
  }
  return result;
}

std::vector<py::object> Model::gather(const py::object &given) {
  py::dict dict = asDict(given);
  Call call;
  begin(call);
  // A dict may change while an array is made of a value: what was found is
  // kept.
  for (size_t i = 0; i < inputs.size(); ++i) {
    PyObject *value = PyDict_GetItemWithError(dict.ptr(), inputs[i].name.ptr());
    if (!value) {
      if (PyErr_Occurred())
        throw py::error_already_set();
      failMissing(i, dict);
    }
    call.keep.push_back(py::reinterpret_borrow<py::object>(value));
    addInput(call, i, value);
  }
  if (size_t(PyDict_GET_SIZE(dict.ptr())) != inputs.size())
    failUnknown(dict, false);
  return execute(call);
}

py::object Model::makeOutputs(std::vector<py::object> &arrays) const {
  if (!outputsType)
    return py::cast(arrays);
  auto *type = reinterpret_cast<PyTypeObject *>(outputsType.ptr());
  PyObject *tuple = type->tp_alloc(type, arrays.size());
  if (!tuple)
    throw py::error_already_set();
  for (size_t i = 0; i < arrays.size(); ++i)
    PyTuple_SET_ITEM(tuple, i, arrays[i].release().ptr());
  return py::reinterpret_steal<py::object>(tuple);
}

py::dict Model::run(const py::object &given) {
  std::vector<py::object> arrays = gather(given);
  py::dict result;
  for (size_t i = 0; i < arrays.size(); ++i)
    if (PyDict_SetItem(result.ptr(), outputs[i].name.ptr(), arrays[i].ptr()))
      throw py::error_already_set();
  return result;
}

py::object Model::call(const py::object &given) {
  std::vector<py::object> arrays = gather(given);
  return makeOutputs(arrays);
}

//===----------------------------------------------------------------------===//
// Sessions
//===----------------------------------------------------------------------===//

/// A model and the arrays of its states, which Python code may read and write
/// between steps.
class Session {
public:
  /// With zero states, of the given sizes of the model's symbols.
  Session(std::shared_ptr<Model> model, std::vector<int64_t> symbols);

  py::object step(const py::object &given);
  py::dict arrays() const;
  std::shared_ptr<Session> fork() const;

private:
  void carry(const std::vector<py::object> &outputs);

  std::shared_ptr<Model> model;
  std::vector<int64_t> symbols;   ///< as Call::symbols
  std::vector<py::object> states; ///< one an input; null for what is no state
  std::atomic<bool> busy{false};
};

std::shared_ptr<Session>
makeSession(std::shared_ptr<Model> model,
            const std::map<std::string, int64_t> &sizes) {
  std::vector<int64_t> symbols(model->abi().n_symbols, -1);
  for (size_t i = 0; i < symbols.size(); ++i)
    if (auto given = sizes.find(model->abi().symbols[i]); given != sizes.end())
      symbols[i] = given->second;
  return std::make_shared<Session>(std::move(model), std::move(symbols));
}

Session::Session(std::shared_ptr<Model> owner, std::vector<int64_t> sizes)
    : model(std::move(owner)), symbols(std::move(sizes)) {
  states.resize(model->inputs.size());
  for (size_t i = 0; i < states.size(); ++i) {
    const Tensor &tensor = model->inputs[i];
    if (tensor.abi.role != LNN_ROLE_STATE)
      continue;
    std::vector<int64_t> dims(tensor.abi.dims,
                              tensor.abi.dims + tensor.abi.rank);
    for (int64_t &dim : dims)
      if (dim < 0 && (dim = symbols[-1 - dim]) < 0)
        failInput("state '" + str(tensor.name) +
                  "' has a dimension whose size was not given");
    int64_t bytes = denseBytes(dims.data(), tensor.abi.rank, tensor.bytes);
    if (bytes < 0)
      throw std::bad_alloc();
    states[i] = newArray(tensor, dims.data());
    std::memset(arrayData(states[i]), 0, bytes);
  }
}

/// New states, for old ones: all or, where one does not fit, none.
void Session::carry(const std::vector<py::object> &outputs) {
  for (int pass = 0; pass < 2; ++pass)
    for (size_t i = 0; i < states.size(); ++i) {
      if (!states[i] || model->inputs[i].abi.pair < 0)
        continue;
      auto *from =
          py::detail::array_proxy(outputs[model->inputs[i].abi.pair].ptr());
      auto *to = py::detail::array_proxy(states[i].ptr());
      int64_t bytes = denseBytes(reinterpret_cast<int64_t *>(to->dimensions),
                                 to->nd, model->inputs[i].bytes);
      if (pass)
        std::memcpy(to->data, from->data, bytes);
      else if (from->nd != to->nd ||
               std::memcmp(from->dimensions, to->dimensions,
                           to->nd * sizeof(int64_t)) != 0)
        failInput("the step changes the shape of state '" +
                  str(model->inputs[i].name) + "'");
    }
}

py::object Session::step(const py::object &given) {
  if (busy.exchange(true))
    fail("Error", "the session is in a step on another thread: give each "
                  "thread a session of its own");
  struct Release {
    std::atomic<bool> &busy;
    ~Release() { busy = false; }
  } release{busy};
  py::dict dict = model->asDict(given);
  Call call;
  model->begin(call);
  call.symbols = symbols;
  size_t taken = 0;
  for (size_t i = 0; i < states.size(); ++i) {
    const Tensor &tensor = model->inputs[i];
    if (states[i]) {
      model->addInput(call, i, states[i]);
      continue;
    }
    PyObject *value = PyDict_GetItemWithError(dict.ptr(), tensor.name.ptr());
    if (!value) {
      if (PyErr_Occurred())
        throw py::error_already_set();
      model->failMissing(i, dict);
    }
    ++taken;
    call.keep.push_back(py::reinterpret_borrow<py::object>(value));
    model->addInput(call, i, value);
  }
  if (size_t(PyDict_GET_SIZE(dict.ptr())) != taken)
    model->failUnknown(dict, true);
  std::vector<py::object> outputs = model->execute(call);
  carry(outputs);
  return model->makeOutputs(outputs);
}

/// The states' own memory, by input name.
py::dict Session::arrays() const {
  py::dict result;
  for (size_t i = 0; i < states.size(); ++i)
    if (states[i])
      result[model->inputs[i].name] = states[i];
  return result;
}

std::shared_ptr<Session> Session::fork() const {
  auto copy = std::make_shared<Session>(model, symbols);
  for (size_t i = 0; i < states.size(); ++i)
    if (states[i])
      std::memcpy(arrayData(copy->states[i]), arrayData(states[i]),
                  py::array(states[i]).nbytes());
  return copy;
}

} // namespace

PYBIND11_MODULE(_runtime, m) {
  m.doc() = "Runs compiled models; lnnc's Python files are its interface.";
  m.def("version", [] { return LNN_VERSION; });
  py::class_<Model, std::shared_ptr<Model>>(m, "Model")
      .def(py::init([](const py::bytes &artifact, const std::string &file) {
             return std::make_shared<Model>(std::string_view(artifact), file);
           }),
           py::arg("artifact"), py::arg("file"))
      .def("run", &Model::run)
      .def("call", &Model::call)
      .def("session", &makeSession)
      .def("set_outputs_type", &Model::setOutputsType)
      .def_property_readonly(
          "inputs",
          [](const Model &m) { return m.describe(m.inputs, m.outputs); })
      .def_property_readonly(
          "outputs",
          [](const Model &m) { return m.describe(m.outputs, m.inputs); })
      .def_property_readonly("name",
                             [](const Model &m) { return m.abi().name; })
      .def_property_readonly("target",
                             [](const Model &m) { return m.abi().target; })
      .def_property_readonly("cpu", [](const Model &m) { return m.abi().cpu; })
      .def_property_readonly("features",
                             [](const Model &m) { return m.abi().features; })
      .def_property_readonly("hash",
                             [](const Model &m) { return m.abi().hash; });
  py::class_<Session, std::shared_ptr<Session>>(m, "Session")
      .def("step", &Session::step)
      .def("arrays", &Session::arrays)
      .def("fork", &Session::fork);
}
