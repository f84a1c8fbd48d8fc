//===- RunTest.cpp - one call: results, strides, and what is refused ------===//
#include "Fixtures.h"

#include <cstring>
#include <thread>

namespace {

struct Run : testing::Test {
  Model model = load("cell");
  CellInputs in{3, 2};
  lnn_status run(std::vector<lnn_tensor> inputs,
                 std::vector<lnn_tensor> &outputs) {
    return lnn_run(model.get(), inputs.data(), inputs.size(), outputs.data(),
                   outputs.size());
  }
  lnn_status run(std::vector<lnn_tensor> inputs) {
    std::vector<lnn_tensor> outputs(3);
    lnn_status status = run(std::move(inputs), outputs);
    for (lnn_tensor &tensor : outputs) {
      EXPECT_TRUE(status == LNN_OK || !tensor.data);
      lnn_tensor_free(&tensor);
    }
    return status;
  }
  /// What y must be, from the equation.
  std::vector<float> reference() {
    std::vector<float> y, h = in.h.data;
    for (size_t i = 0; i < in.x.data.size(); ++i) {
      float &state = h[i % h.size()];
      state = state * 0.5f + in.x.data[i] * in.dt.data[i / 2];
      y.push_back(state);
    }
    return y;
  }
};

TEST_F(Run, AllocatesResults) {
  std::vector<lnn_tensor> out(3);
  ASSERT_EQ(run(in.all(), out), LNN_OK) << lnn_last_error();
  ASSERT_EQ(out[0].rank, 3);
  EXPECT_EQ(std::vector<int64_t>(out[0].dims, out[0].dims + 3),
            (std::vector<int64_t>{3, 2, 2}));
  const float *y = static_cast<float *>(out[0].data);
  EXPECT_EQ(std::vector<float>(y, y + 12), reference());
  EXPECT_EQ(static_cast<int64_t *>(out[2].data)[1], 3);
  for (lnn_tensor &tensor : out)
    lnn_tensor_free(&tensor);
  lnn_tensor_free(&out[0]);
}

TEST_F(Run, TakesAndGivesAnyStrides) {
  // x with its axes reversed in memory, y backwards in time and with gaps, both
  // one byte off alignment
  std::vector<char> memory(1 + 12 * 4), result(1 + 24 * 4);
  const int64_t reversed[] = {4, 12, 24};
  for (int64_t t = 0; t < 3; ++t)
    for (int64_t b = 0; b < 2; ++b)
      for (int64_t i = 0; i < 2; ++i)
        std::memcpy(&memory[1 + t * 4 + b * 12 + i * 24],
                    &in.x.data[(t * 2 + b) * 2 + i], 4);
  std::vector<lnn_tensor> inputs = in.all();
  inputs[0].data = memory.data() + 1;
  inputs[0].strides = reversed;
  const int64_t dims[] = {3, 2, 2}, strides[] = {-32, 16, 8};
  Floats hn({2, 2});
  Longs kn({1, 2, 1});
  std::vector<lnn_tensor> out = {
      {result.data() + 1 + 64, LNN_F32, 3, dims, strides},
      hn.tensor(),
      kn.tensor()};
  ASSERT_EQ(run(inputs, out), LNN_OK) << lnn_last_error();
  std::vector<float> expected = reference();
  for (int64_t t = 0; t < 3; ++t)
    for (int64_t b = 0; b < 2; ++b)
      for (int64_t i = 0; i < 2; ++i) {
        float found;
        std::memcpy(&found, &result[1 + 64 - t * 32 + b * 16 + i * 8], 4);
        EXPECT_EQ(found, expected[(t * 2 + b) * 2 + i]);
      }
  EXPECT_EQ(hn.data, std::vector<float>(expected.end() - 4, expected.end()));
}

TEST_F(Run, MayWriteOverItsInputs) {
  Floats y({3, 2, 2});
  std::vector<float> expected = reference();
  std::vector<lnn_tensor> out = {in.x.tensor(), in.h.tensor(), in.k.tensor()};
  ASSERT_EQ(run(in.all(), out), LNN_OK) << lnn_last_error();
  EXPECT_EQ(in.x.data, expected);
  EXPECT_EQ(in.k.data[0], 3);
  out = {y.tensor(), in.h.tensor(), in.h.tensor()};
  out[2] = {in.h.data.data(), LNN_I64, 3, in.k.dims.data(), nullptr};
  EXPECT_FAILS(LNN_ERR_INPUT, "'hn' and 'kn' were given the same memory",
               run(in.all(), out));
}

TEST_F(Run, EmptyTensors) {
  CellInputs none(0, 2);
  EXPECT_EQ(run(none.all()), LNN_OK) << lnn_last_error();
  CellInputs lanes(4, 0);
  EXPECT_EQ(run(lanes.all()), LNN_OK) << lnn_last_error();
}

TEST_F(Run, RefusesWrongInputs) {
  std::vector<lnn_tensor> inputs = in.all();
  inputs.pop_back();
  EXPECT_FAILS(LNN_ERR_INPUT, "takes 4 inputs (x, h, dt, k), found 3",
               run(inputs));
  inputs = in.all();
  inputs[0].dtype = LNN_F64;
  EXPECT_FAILS(LNN_ERR_INPUT, "input 'x' has dtype float64, expected float32",
               run(inputs));
  inputs[0].dtype = static_cast<lnn_dtype>(99);
  EXPECT_FAILS(LNN_ERR_INPUT, "input 'x' has dtype ?", run(inputs));
  inputs = in.all();
  inputs[1] = in.x.tensor();
  EXPECT_FAILS(LNN_ERR_INPUT,
               "input 'h' has shape [3, 2, 2], expected [batch, 2]: its rank "
               "is 3 instead of 2",
               run(inputs));
  Floats wide({3, 2, 5});
  inputs = in.all();
  inputs[0] = wide.tensor();
  EXPECT_FAILS(
      LNN_ERR_INPUT,
      "[3, 2, 5], expected [time, batch, 2]: dimension 2 is 5 instead of 2",
      run(inputs));
  Floats other({3, 2});
  inputs = in.all();
  inputs[1] = other.tensor();
  EXPECT_FAILS(LNN_ERR_INPUT,
               "input 'h' has shape [3, 2], expected [batch, 2]: batch is 3, "
               "but input 'x' has batch 2",
               run(inputs));
  inputs = in.all();
  inputs[2].data = nullptr;
  EXPECT_FAILS(LNN_ERR_INPUT, "input 'dt' has no data", run(inputs));
  const int64_t huge[] = {int64_t(1) << 40, int64_t(1) << 40, 2},
                negative[] = {-3, 2, 2};
  inputs = in.all();
  inputs[0].dims = huge;
  EXPECT_FAILS(LNN_ERR_INPUT, "no memory holds that many", run(inputs));
  inputs[0].dims = negative;
  EXPECT_FAILS(LNN_ERR_INPUT, "a size is negative", run(inputs));
  EXPECT_FAILS(LNN_ERR_USAGE, "null", lnn_run(nullptr, nullptr, 0, nullptr, 0));
}

TEST_F(Run, RefusesWrongOutputMemory) {
  Floats y({3, 2, 2}), hn({2, 2}), small({2, 2, 2});
  Longs kn({1, 2, 1});
  std::vector<lnn_tensor> out = {small.tensor(), hn.tensor(), kn.tensor()};
  EXPECT_FAILS(
      LNN_ERR_INPUT,
      "output 'y': the memory given has shape [2, 2, 2], the result [3, 2, 2]",
      run(in.all(), out));
  out = {y.tensor(), hn.tensor(), hn.tensor()};
  EXPECT_FAILS(
      LNN_ERR_INPUT,
      "output 'kn': the memory given has dtype float32, the result int64",
      run(in.all(), out));
}

TEST_F(Run, PassesOnTheModelsChecks) {
  CellInputs longer(1001, 1);
  EXPECT_FAILS(LNN_ERR_INPUT,
               "a sequence has at most 1000 steps (x [1001, 1, 2]",
               run(longer.all()));
  in.dt.data[2] = 0;
  EXPECT_FAILS(LNN_ERR_RUN, "dt must be positive", run(in.all()));
  in.dt.data[2] = 1;
  EXPECT_EQ(run(in.all()), LNN_OK);
}

TEST_F(Run, OutputDims) {
  std::vector<lnn_tensor> inputs = in.all();
  std::vector<int64_t> dims(8);
  ASSERT_EQ(lnn_output_dims(model.get(), inputs.data(), 4, dims.data(), 8),
            LNN_OK);
  EXPECT_EQ(dims, (std::vector<int64_t>{3, 2, 2, 2, 2, 1, 2, 1}));
  EXPECT_FAILS(LNN_ERR_USAGE, "room for 8",
               lnn_output_dims(model.get(), inputs.data(), 4, dims.data(), 7));
}

TEST_F(Run, OneModelManyThreads) {
  std::vector<float> expected = reference();
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int &count : wrong)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        Floats y({3, 2, 2}), hn({2, 2});
        Longs kn({1, 2, 1});
        std::vector<lnn_tensor> out = {y.tensor(), hn.tensor(), kn.tensor()};
        count += run(in.all(), out) != LNN_OK || y.data != expected;
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

TEST(RunDataDependent, SizesKnownAfterwards) {
  Model model = load("positives");
  Ints v({6}, {3, -1, 4, -1, 5, 9}), four({4}), three({3});
  lnn_tensor in = v.tensor(), out = {};
  int64_t dims[1];
  ASSERT_EQ(lnn_output_dims(model.get(), &in, 1, dims, 1), LNN_OK);
  EXPECT_EQ(dims[0], -1);
  ASSERT_EQ(lnn_run(model.get(), &in, 1, &out, 1), LNN_OK) << lnn_last_error();
  ASSERT_EQ(out.dims[0], 4);
  EXPECT_EQ(static_cast<int32_t *>(out.data)[3], 9);
  lnn_tensor_free(&out);
  out = four.tensor();
  ASSERT_EQ(lnn_run(model.get(), &in, 1, &out, 1), LNN_OK) << lnn_last_error();
  EXPECT_EQ(four.data, (std::vector<int32_t>{3, 4, 5, 9}));
  out = three.tensor();
  EXPECT_FAILS(LNN_ERR_INPUT,
               "output 'p': the memory given has shape [3], the result [4]",
               lnn_run(model.get(), &in, 1, &out, 1));
}

} // namespace
