//===- SessionTest.cpp - states carried from step to step -----------------===//
#include "Fixtures.h"

#include <thread>

namespace {

std::vector<float> step(lnn_session *session, CellInputs &in) {
  std::vector<lnn_tensor> inputs = in.step();
  lnn_tensor y = {};
  EXPECT_EQ(lnn_session_step(session, inputs.data(), inputs.size(), &y, 1),
            LNN_OK)
      << lnn_last_error();
  if (!y.data)
    return {};
  const float *data = static_cast<const float *>(y.data);
  return std::vector<float>(data, data + y.dims[0] * y.dims[1] * y.dims[2]);
}

std::vector<float> stateOf(lnn_session *session) {
  lnn_tensor h = {};
  EXPECT_EQ(lnn_session_get_state(session, "h", &h), LNN_OK);
  const float *data = static_cast<const float *>(h.data);
  return std::vector<float>(data, data + h.dims[0] * h.dims[1]);
}

std::vector<int64_t> countsOf(lnn_session *session, int64_t batch) {
  Longs k({1, batch, 1});
  lnn_tensor tensor = k.tensor();
  EXPECT_EQ(lnn_session_get_state(session, "k", &tensor), LNN_OK)
      << lnn_last_error();
  return k.data;
}

struct SessionTest : testing::Test {
  Model model = load("cell");
  Session session = newSession(model, {{"batch", 3}});
  CellInputs in{1, 3};
};

TEST_F(SessionTest, StepsEqualOneRun) {
  CellInputs whole(12, 3);
  Floats y({12, 3, 2}), hn({3, 2});
  Longs kn({1, 3, 1});
  std::vector<lnn_tensor> inputs = whole.all(),
                          outputs = {y.tensor(), hn.tensor(), kn.tensor()};
  ASSERT_EQ(lnn_run(model.get(), inputs.data(), 4, outputs.data(), 3), LNN_OK);
  std::vector<float> steps;
  int64_t at = 0;
  for (int64_t n : {1, 1, 5, 2, 3}) {
    CellInputs part(n, 3);
    std::copy_n(whole.x.data.begin() + at * 6, n * 6, part.x.data.begin());
    std::copy_n(whole.dt.data.begin() + at * 3, n * 3, part.dt.data.begin());
    std::vector<float> out = step(session.get(), part);
    steps.insert(steps.end(), out.begin(), out.end());
    at += n;
  }
  EXPECT_EQ(steps, y.data);
  EXPECT_EQ(stateOf(session.get()), hn.data);
  EXPECT_EQ(countsOf(session.get(), 3), kn.data);
}

TEST_F(SessionTest, RefusesAWrongBatchAndKeepsItsStates) {
  step(session.get(), in);
  std::vector<float> before = stateOf(session.get());
  CellInputs other(1, 2);
  std::vector<lnn_tensor> inputs = other.step();
  lnn_tensor y = {};
  EXPECT_FAILS(LNN_ERR_INPUT,
               "input 'x' has shape [1, 2, 2], expected [time, batch, 2]: "
               "batch is 2, the session's batch is 3",
               lnn_session_step(session.get(), inputs.data(), 2, &y, 1));
  EXPECT_FAILS(LNN_ERR_INPUT, "takes 2 inputs (x, dt), found 1",
               lnn_session_step(session.get(), inputs.data(), 1, &y, 1));
  in.dt.data[0] = -1;
  inputs = in.step();
  EXPECT_FAILS(LNN_ERR_RUN, "dt must be positive",
               lnn_session_step(session.get(), inputs.data(), 2, &y, 1));
  EXPECT_EQ(stateOf(session.get()), before);
}

TEST_F(SessionTest, ResetsAllOrLanes) {
  std::vector<float> first = step(session.get(), in);
  std::vector<float> before = stateOf(session.get());
  const int64_t lane = 1;
  ASSERT_EQ(lnn_session_reset_lanes(session.get(), &lane, 1), LNN_OK);
  std::vector<float> after = stateOf(session.get());
  EXPECT_EQ(after, (std::vector<float>{before[0], before[1], 0, 0, before[4],
                                       before[5]}));
  EXPECT_EQ(countsOf(session.get(), 3), (std::vector<int64_t>{1, 0, 1}));
  const int64_t wrong[] = {0, 3};
  EXPECT_FAILS(LNN_ERR_INPUT, "there is no lane 3: the session's batch is 3",
               lnn_session_reset_lanes(session.get(), wrong, 2));
  EXPECT_EQ(stateOf(session.get()), after);
  ASSERT_EQ(lnn_session_reset(session.get()), LNN_OK);
  EXPECT_EQ(step(session.get(), in), first);
}

TEST_F(SessionTest, ForksGoTheirOwnWays) {
  step(session.get(), in);
  lnn_session *made = nullptr;
  ASSERT_EQ(lnn_session_fork(session.get(), &made), LNN_OK);
  Session fork(made);
  std::vector<float> expected = step(session.get(), in);
  step(session.get(), in);
  EXPECT_EQ(step(fork.get(), in), expected);
  EXPECT_EQ(countsOf(fork.get(), 3)[0], 2);
  EXPECT_EQ(countsOf(session.get(), 3)[0], 3);
}

TEST_F(SessionTest, SnapshotsAndStates) {
  step(session.get(), in);
  std::vector<char> snapshot(lnn_session_snapshot_size(session.get()));
  ASSERT_EQ(
      lnn_session_snapshot(session.get(), snapshot.data(), snapshot.size()),
      LNN_OK);
  std::vector<float> expected = step(session.get(), in);
  ASSERT_EQ(
      lnn_session_restore(session.get(), snapshot.data(), snapshot.size()),
      LNN_OK);
  EXPECT_EQ(step(session.get(), in), expected);
  EXPECT_FAILS(LNN_ERR_INPUT, "has 48 bytes, found 3",
               lnn_session_restore(session.get(), snapshot.data(), 3));
  Floats h({3, 2}, {1, 2, 3, 4, 5, 6}), wrong({2, 3});
  lnn_tensor tensor = h.tensor();
  ASSERT_EQ(lnn_session_set_state(session.get(), "h", &tensor), LNN_OK);
  EXPECT_EQ(stateOf(session.get()), h.data);
  tensor = wrong.tensor();
  EXPECT_FAILS(LNN_ERR_INPUT,
               "state 'h': the value given has shape [2, 3], expected [3, 2]",
               lnn_session_set_state(session.get(), "h", &tensor));
  EXPECT_FAILS(LNN_ERR_USAGE, "no state 'q'; there are: h, k",
               lnn_session_set_state(session.get(), "q", &tensor));
}

TEST_F(SessionTest, LastResultMayBeTheNextInput) {
  std::vector<lnn_tensor> inputs = in.step();
  lnn_tensor y = {};
  ASSERT_EQ(lnn_session_step(session.get(), inputs.data(), 2, &y, 1), LNN_OK);
  std::vector<float> first(static_cast<float *>(y.data),
                           static_cast<float *>(y.data) + 6),
      h = stateOf(session.get());
  inputs[0] = y;
  y = {};
  ASSERT_EQ(lnn_session_step(session.get(), inputs.data(), 2, &y, 1), LNN_OK)
      << lnn_last_error();
  for (size_t i = 0; i < 6; ++i)
    EXPECT_EQ(static_cast<float *>(y.data)[i],
              h[i] * 0.5f + first[i] * in.dt.data[i / 2]);
}

TEST_F(SessionTest, OutlivesTheModelsHandle) {
  model.reset();
  EXPECT_EQ(step(session.get(), in).size(), 6u);
  EXPECT_STREQ(lnn_model_name(lnn_session_model(session.get())), "cell");
}

TEST_F(SessionTest, Sizes) {
  lnn_session *made = nullptr;
  EXPECT_FAILS(LNN_ERR_INPUT, "needs the size of: batch",
               lnn_session_create(model.get(), nullptr, 0, &made));
  lnn_size bad = {"nope", 1}, negative = {"batch", -1};
  EXPECT_FAILS(LNN_ERR_INPUT,
               "no dynamic dimension 'nope'; there are: time, batch",
               lnn_session_create(model.get(), &bad, 1, &made));
  EXPECT_FAILS(LNN_ERR_INPUT, "size 'batch' is negative: -1",
               lnn_session_create(model.get(), &negative, 1, &made));
  EXPECT_EQ(made, nullptr);
  lnn_size longer = {"time", 2000}, other = {"batch", 4};
  EXPECT_FAILS(LNN_ERR_INPUT, "at most 1000 steps",
               lnn_session_reserve(session.get(), &longer, 1));
  EXPECT_FAILS(LNN_ERR_INPUT, "size 'batch' is 4, the session's is 3",
               lnn_session_reserve(session.get(), &other, 1));
  EXPECT_EQ(lnn_session_batch(session.get()), 3);
  EXPECT_EQ(step(session.get(), in).size(), 6u);
}

TEST(SessionFixedBatch, TakesItsSizesFromTheModel) {
  Model model = load("fixedbatch");
  Session session = newSession(model, {});
  EXPECT_EQ(lnn_session_batch(session.get()), 2);
  newSession(model, {{"batch", 2}});
  lnn_size wrong = {"batch", 5};
  lnn_session *made = nullptr;
  EXPECT_FAILS(LNN_ERR_INPUT,
               "batch 5 does not fit: the model fixes state 'h' to [2, 2]",
               lnn_session_create(model.get(), &wrong, 1, &made));
  CellInputs three(1, 3);
  std::vector<lnn_tensor> inputs = three.step();
  lnn_tensor y = {};
  EXPECT_FAILS(LNN_ERR_INPUT, "dimension 1 is 3 instead of 2",
               lnn_session_step(session.get(), inputs.data(), 2, &y, 1));
}

TEST(SessionStateless, IsAllowed) {
  Model model = load("positives");
  Session session = newSession(model, {});
  EXPECT_EQ(lnn_session_batch(session.get()), -1);
  Ints v({3}, {1, -2, 3});
  lnn_tensor in = v.tensor(), out = {};
  ASSERT_EQ(lnn_session_step(session.get(), &in, 1, &out, 1), LNN_OK)
      << lnn_last_error();
  EXPECT_EQ(out.dims[0], 2);
}

TEST(SessionThreads, OneEach) {
  Model model = load("cell");
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (int &count : wrong)
    threads.emplace_back([&] {
      Session mine = newSession(model, {{"batch", 2}});
      CellInputs in(1, 2);
      float expected = 0;
      for (int i = 0; i < 500; ++i) {
        expected = expected * 0.5f + in.x.data[0] * in.dt.data[0];
        count += step(mine.get(), in)[0] != expected;
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

} // namespace
