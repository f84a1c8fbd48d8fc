//===- DLPack.cpp - arrays of other libraries, without a copy -------------===//
#include "DLPack.h"

#include <utility>

namespace py = pybind11;

namespace {

//===- The specification's structures -------------------------------------===//

struct Device {
  int32_t type, number;
};

struct DataType {
  uint8_t code, bits;
  uint16_t lanes;
};

struct Tensor {
  void *data;
  Device device;
  int32_t rank;
  DataType dtype;
  int64_t *shape;
  int64_t *strides; // in elements; NULL: dense and row-major
  uint64_t byteOffset;
};

struct Managed {
  Tensor tensor;
  void *context;
  void (*deleter)(Managed *);
};

struct ManagedVersioned {
  uint32_t major, minor;
  void *context;
  void (*deleter)(ManagedVersioned *);
  uint64_t flags;
  Tensor tensor;
};

constexpr uint64_t readOnly = 1;
constexpr int32_t cpu = 1, cudaHost = 3, rocmHost = 11;

//===- Names --------------------------------------------------------------===//

/// Memory that the processor reads as its own.
bool isHost(int32_t device) {
  return device == cpu || device == cudaHost || device == rocmHost;
}

std::string deviceName(int64_t type, int64_t number) {
  const char *name = nullptr;
  switch (type) {
  case 2:
    name = "cuda";
    break;
  case 7:
    name = "vulkan";
    break;
  case 8:
    name = "metal";
    break;
  case 10:
    name = "rocm";
    break;
  case 13:
    name = "cuda (managed)";
    break;
  case 14:
    name = "oneapi";
    break;
  default:
    return "a device of DLPack's type " + std::to_string(type);
  }
  return std::string(name) + ":" + std::to_string(number);
}

enum Code { Int = 0, UInt = 1, Float = 2, BFloat = 4, Complex = 5, Bool = 6 };

/// 0 where it is none of ours.
int32_t dtypeOf(DataType type) {
  if (type.lanes != 1)
    return 0;
  switch (type.code << 8 | type.bits) {
  case Int << 8 | 8:
    return LNN_I8;
  case Int << 8 | 16:
    return LNN_I16;
  case Int << 8 | 32:
    return LNN_I32;
  case Int << 8 | 64:
    return LNN_I64;
  case UInt << 8 | 8:
    return LNN_U8;
  case UInt << 8 | 16:
    return LNN_U16;
  case UInt << 8 | 32:
    return LNN_U32;
  case UInt << 8 | 64:
    return LNN_U64;
  case Float << 8 | 16:
    return LNN_F16;
  case Float << 8 | 32:
    return LNN_F32;
  case Float << 8 | 64:
    return LNN_F64;
  case BFloat << 8 | 16:
    return LNN_BF16;
  case Bool << 8 | 8:
    return LNN_BOOL;
  default:
    return 0;
  }
}

std::string typeNameOf(DataType type) {
  if (int32_t dtype = dtypeOf(type))
    return lnn_dtype_name(static_cast<lnn_dtype>(dtype));
  if (type.code == Complex && type.lanes == 1)
    return "complex" + std::to_string(type.bits);
  return "of a type with DLPack's code " + std::to_string(type.code) + ", " +
         std::to_string(type.bits) + " bits, " + std::to_string(type.lanes) +
         " lanes";
}

//===- Python -------------------------------------------------------------===//

PyObject *interned(const char *text) {
  return PyUnicode_InternFromString(text);
}

/// What an exception says, with its class.
std::string textOf(const py::error_already_set &error) {
  return py::str(error.type().attr("__name__")).cast<std::string>() + ": " +
         py::str(error.value()).cast<std::string>();
}

/// Asks for a tensor of version 1, of libraries that know of versions.
py::object askFor(py::handle object) {
  static PyObject *names = [] {
    PyObject *tuple = PyTuple_New(1);
    PyTuple_SET_ITEM(tuple, 0, interned("max_version"));
    return tuple;
  }();
  static PyObject *version = Py_BuildValue("(ii)", 1, 0);
  static PyObject *method = interned("__dlpack__");
  py::object bound =
      py::reinterpret_steal<py::object>(PyObject_GetAttr(object.ptr(), method));
  if (!bound)
    throw py::error_already_set();
  PyObject *arguments[] = {nullptr, version};
  PyObject *made = PyObject_Vectorcall(
      bound.ptr(), arguments + 1, 0 | PY_VECTORCALL_ARGUMENTS_OFFSET, names);
  if (!made && PyErr_ExceptionMatches(PyExc_TypeError)) {
    PyErr_Clear();
    made = PyObject_CallNoArgs(bound.ptr());
  }
  if (!made)
    throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

} // namespace

Borrowed::Borrowed(Borrowed &&other) noexcept { *this = std::move(other); }

Borrowed &Borrowed::operator=(Borrowed &&other) noexcept {
  std::swap(capsule, other.capsule);
  std::swap(managed, other.managed);
  std::swap(release, other.release);
  std::swap(data, other.data);
  std::swap(dtype, other.dtype);
  std::swap(dims, other.dims);
  std::swap(strides, other.strides);
  std::swap(type, other.type);
  std::swap(writeable, other.writeable);
  return *this;
}

Borrowed::~Borrowed() {
  if (!managed || !release)
    return;
  // It may run while an exception is on its way.
  py::error_scope keep;
  release(managed);
}

bool Borrowed::canBe(py::handle object) {
  static PyObject *method = interned("__dlpack__"),
                  *device = interned("__dlpack_device__");
  // A class has the methods of its objects.
  return !PyType_Check(object.ptr()) &&
         PyObject_HasAttr(object.ptr(), method) &&
         PyObject_HasAttr(object.ptr(), device);
}

Borrowed Borrowed::from(py::handle object, std::string &error) {
  Borrowed result;
  try {
    // Elsewhere, asking for the tensor may already copy or wait.
    py::object device = object.attr("__dlpack_device__")();
    auto [type, number] = device.cast<std::pair<int64_t, int64_t>>();
    if (!isHost(static_cast<int32_t>(type))) {
      error = "is on " + deviceName(type, number) +
              "; the model runs on the CPU: move it there first";
      return result;
    }
    result.capsule = askFor(object);
    result.take(result.capsule, error);
  } catch (const py::error_already_set &raised) {
    error = "cannot be taken as DLPack (" + textOf(raised) + ")";
  } catch (const py::cast_error &) {
    error = "cannot be taken as DLPack (its __dlpack_device__ is no pair of "
            "integers)";
  }
  return result;
}

void Borrowed::take(py::handle object, std::string &error) {
  const Tensor *tensor = nullptr;
  bool versioned = PyCapsule_IsValid(object.ptr(), "dltensor_versioned");
  if (versioned) {
    auto *given = static_cast<ManagedVersioned *>(
        PyCapsule_GetPointer(object.ptr(), "dltensor_versioned"));
    if (given->major != 1) {
      error = "cannot be taken as DLPack (it is of version " +
              std::to_string(given->major) + ")";
      return;
    }
    tensor = &given->tensor;
    writeable = !(given->flags & readOnly);
    managed = given;
    release = [](void *held) {
      auto *own = static_cast<ManagedVersioned *>(held);
      if (own->deleter)
        own->deleter(own);
    };
  } else if (PyCapsule_IsValid(object.ptr(), "dltensor")) {
    auto *given =
        static_cast<Managed *>(PyCapsule_GetPointer(object.ptr(), "dltensor"));
    tensor = &given->tensor;
    managed = given;
    release = [](void *held) {
      auto *own = static_cast<Managed *>(held);
      if (own->deleter)
        own->deleter(own);
    };
  } else {
    error = "cannot be taken as DLPack (its __dlpack__ returned no capsule of "
            "a tensor)";
    return;
  }
  // From here on the tensor is ours to release, not the capsule's.
  if (PyCapsule_SetName(object.ptr(), versioned ? "used_dltensor_versioned"
                                                : "used_dltensor")) {
    managed = nullptr;
    throw py::error_already_set();
  }
  if (!isHost(tensor->device.type)) {
    error = "is on " + deviceName(tensor->device.type, tensor->device.number) +
            "; the model runs on the CPU: move it there first";
    return;
  }
  type = typeNameOf(tensor->dtype);
  dtype = dtypeOf(tensor->dtype);
  if (tensor->rank < 0 || (tensor->rank && !tensor->shape)) {
    error = "cannot be taken as DLPack (it has no valid shape)";
    return;
  }
  auto rank = static_cast<size_t>(tensor->rank);
  dims.assign(tensor->shape, tensor->shape + rank);
  strides.resize(rank);
  auto width =
      static_cast<int64_t>((tensor->dtype.bits + 7) / 8 * tensor->dtype.lanes);
  int64_t dense = width;
  for (size_t i = rank; i-- > 0;) {
    strides[i] = dense;
    if (tensor->strides)
      (void)__builtin_mul_overflow(tensor->strides[i], width, &strides[i]);
    // Of sizes that no memory holds, the runtime says so.
    (void)__builtin_mul_overflow(dense, dims[i], &dense);
  }
  if (tensor->data)
    data = static_cast<char *>(tensor->data) + tensor->byteOffset;
}
