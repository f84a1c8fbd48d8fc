//===- Fixtures.h - artifacts and tensors for the runtime's tests ---------===//
#ifndef LNN_TEST_UNIT_RUNTIME_FIXTURES_H
#define LNN_TEST_UNIT_RUNTIME_FIXTURES_H

#include "lnn/runtime.h"

#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

inline std::string fixture(const std::string &name) {
  return std::string(LNN_FIXTURES) + "/" + name + ".so";
}

inline std::string readAll(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Free {
  void operator()(lnn_model *model) const { lnn_model_free(model); }
  void operator()(lnn_session *session) const { lnn_session_free(session); }
};
using Model = std::unique_ptr<lnn_model, Free>;
using Session = std::unique_ptr<lnn_session, Free>;

inline Model load(const std::string &name) {
  lnn_model *model = nullptr;
  EXPECT_EQ(lnn_model_load_file(fixture(name).c_str(), &model), LNN_OK)
      << lnn_last_error();
  return Model(model);
}

inline Session newSession(const Model &model, std::vector<lnn_size> sizes) {
  lnn_session *session = nullptr;
  EXPECT_EQ(
      lnn_session_create(model.get(), sizes.data(), sizes.size(), &session),
      LNN_OK)
      << lnn_last_error();
  return Session(session);
}

/// Dense memory and the tensor that describes it.
template <typename Element, lnn_dtype type> struct Dense {
  explicit Dense(std::vector<int64_t> dims)
      : dims(std::move(dims)), data(count()) {}
  Dense(std::vector<int64_t> dims, std::vector<Element> data)
      : dims(std::move(dims)), data(std::move(data)) {}
  size_t count() const {
    int64_t n = 1;
    for (int64_t dim : dims)
      n *= dim;
    return static_cast<size_t>(n);
  }
  lnn_tensor tensor() {
    return {data.data(), type, static_cast<int32_t>(dims.size()), dims.data(),
            nullptr};
  }
  std::vector<int64_t> dims;
  std::vector<Element> data;
};
using Floats = Dense<float, LNN_F32>;
using Longs = Dense<int64_t, LNN_I64>;
using Ints = Dense<int32_t, LNN_I32>;

/// Inputs of the cell for `time` steps of `batch` lanes, all different.
struct CellInputs {
  CellInputs(int64_t time, int64_t batch)
      : x({time, batch, 2}), h({batch, 2}), dt({time, batch, 1}),
        k({1, batch, 1}) {
    for (size_t i = 0; i < x.data.size(); ++i)
      x.data[i] = 0.25f + static_cast<float>(i);
    for (size_t i = 0; i < dt.data.size(); ++i)
      dt.data[i] = 0.5f + 0.125f * static_cast<float>(i % 7);
  }
  std::vector<lnn_tensor> all() {
    return {x.tensor(), h.tensor(), dt.tensor(), k.tensor()};
  }
  std::vector<lnn_tensor> step() { return {x.tensor(), dt.tensor()}; }
  Floats x, h, dt;
  Longs k;
};

#define EXPECT_FAILS(status, text, call)                                       \
  do {                                                                         \
    EXPECT_EQ(call, status);                                                   \
    EXPECT_NE(std::string(lnn_last_error()).find(text), std::string::npos)     \
        << lnn_last_error();                                                   \
  } while (0)

#endif
