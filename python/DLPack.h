//===- DLPack.h - arrays of other libraries, without a copy -----*- C++ -*-===//
//
// What `__dlpack__` of an object returns is a capsule around a tensor of the
// DLPack specification (version 1, and the unversioned form before it).
//
//===----------------------------------------------------------------------===//
#ifndef LNN_PYTHON_DLPACK_H
#define LNN_PYTHON_DLPACK_H

#include "lnn/runtime.h"

#include <pybind11/pybind11.h>
#include <string>
#include <vector>

/// A tensor borrowed from another library for as long as this object lives.
/// The interpreter's lock is needed to make one and to destroy it.
class Borrowed {
public:
  Borrowed() = default;
  Borrowed(Borrowed &&other) noexcept;
  Borrowed &operator=(Borrowed &&other) noexcept;
  ~Borrowed();

  /// Whether an object says that it can be borrowed.
  static bool canBe(pybind11::handle object);
  /// Asks the object. What is wrong with it is `error`, which is empty if
  /// nothing is. Python's exceptions of its methods are told there too.
  static Borrowed from(pybind11::handle object, std::string &error);

  /// Sizes and strides are this object's.
  lnn_tensor tensor() const {
    return {data, static_cast<lnn_dtype>(dtype),
            static_cast<int32_t>(dims.size()), dims.data(), strides.data()};
  }
  /// Its element type in words, one that no model has too.
  const std::string &typeName() const { return type; }
  /// Whether it may be written to, as far as its library says.
  bool isWriteable() const { return writeable; }

private:
  void take(pybind11::handle capsule, std::string &error);

  pybind11::object capsule; ///< not needed, but keeps what the tensor is of
  void *managed = nullptr;
  void (*release)(void *) = nullptr;
  void *data = nullptr;
  int32_t dtype = 0; ///< 0: none of ours
  std::vector<int64_t> dims, strides;
  std::string type;
  bool writeable = false;
};

#endif
