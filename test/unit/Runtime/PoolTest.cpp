//===- PoolTest.cpp - calls on several threads ----------------------------===//
#include "Fixtures.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <set>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

struct FreePool {
  void operator()(lnn_pool *pool) const { lnn_pool_free(pool); }
};
using Pool = std::unique_ptr<lnn_pool, FreePool>;

Pool newPool(int32_t threads) {
  lnn_pool *pool = nullptr;
  EXPECT_EQ(lnn_pool_create(threads, &pool), LNN_OK) << lnn_last_error();
  return Pool(pool);
}

std::set<std::string> threadsNow() {
  std::set<std::string> ids;
  for (const auto &entry :
       std::filesystem::directory_iterator("/proc/self/task"))
    ids.insert(entry.path().filename());
  return ids;
}

/// Results of the cell, and a run into them.
struct CellOutputs {
  CellOutputs(int64_t time, int64_t batch)
      : y({time, batch, 2}), hn({batch, 2}), kn({1, batch, 1}) {}
  lnn_status run(const Model &model, CellInputs &inputs) {
    std::vector<lnn_tensor> in = inputs.all(),
                            out = {y.tensor(), hn.tensor(), kn.tensor()};
    std::vector<bool> ours;
    for (const lnn_tensor &tensor : out)
      ours.push_back(tensor.data);
    lnn_status status =
        lnn_run(model.get(), in.data(), in.size(), out.data(), out.size());
    for (size_t i = 0; i < out.size(); ++i)
      if (!ours[i]) // it has no elements
        lnn_tensor_free(&out[i]);
    return status;
  }
  bool operator==(const CellOutputs &other) const {
    return y.data == other.y.data && hn.data == other.hn.data &&
           kn.data == other.kn.data;
  }
  Floats y, hn;
  Longs kn;
};

void expectSameBits(const std::string &name, int64_t time, int64_t batch) {
  Model alone = load(name);
  CellInputs inputs(time, batch);
  for (size_t i = 0; i < inputs.k.data.size(); ++i)
    inputs.k.data[i] = static_cast<int64_t>(i);
  CellOutputs expected(time, batch);
  ASSERT_EQ(expected.run(alone, inputs), LNN_OK) << lnn_last_error();
  for (int32_t threads : {1, 2, 3, 5}) {
    Model model = load(name);
    ASSERT_EQ(lnn_model_set_threads(model.get(), threads), LNN_OK)
        << lnn_last_error();
    EXPECT_EQ(lnn_model_threads(model.get()), threads);
    for (int repeat = 0; repeat < 3; ++repeat) {
      CellOutputs found(time, batch);
      ASSERT_EQ(found.run(model, inputs), LNN_OK) << lnn_last_error();
      EXPECT_TRUE(found == expected)
          << threads << " threads, batch " << batch << ", time " << time;
    }
  }
}

TEST(Pool, TheBitsDoNotDependOnTheThreads) {
  for (int64_t batch : {0, 1, 2, 15, 16, 17, 33, 100, 257, 1000})
    for (int64_t time : {0, 1, 5})
      expectSameBits("rows", time, batch);
  expectSameBits("fixedrows", 3, 48);
}

/// What fixtures/parts.c says: for each row, how many its part had.
std::vector<float> rowsOfParts(const Model &model, int64_t rows) {
  Floats x({rows}), y({rows}), n({1});
  std::fill(x.data.begin(), x.data.end(), 1.0f);
  lnn_tensor in = x.tensor(), out[] = {y.tensor(), n.tensor()};
  EXPECT_EQ(lnn_run(model.get(), &in, 1, out, 2), LNN_OK) << lnn_last_error();
  EXPECT_EQ(n.data[0], y.data[0]) << "the sum of another part";
  return y.data;
}

TEST(Pool, PartsAreOfEightRowsAndTheFirstSaysWhatHasNoRows) {
  Model model = load("parts");
  EXPECT_EQ(lnn_model_has_rows(model.get()), 1);
  EXPECT_EQ(lnn_model_has_rows(load("cell").get()), 0);
  EXPECT_EQ(lnn_model_threads(model.get()), 1);
  auto run = [&](int64_t rows) { return rowsOfParts(model, rows); };
  EXPECT_EQ(run(100)[0], 100);
  ASSERT_EQ(lnn_model_set_threads(model.get(), 3), LNN_OK);
  EXPECT_EQ(run(15)[0], 15);
  EXPECT_EQ(run(20), std::vector<float>({8, 8, 8, 8, 8, 8, 8, 8, 8, 8,
                                         8, 8, 8, 8, 8, 8, 4, 4, 4, 4}));
  std::vector<float> many = run(1000);
  EXPECT_EQ(many[0], 88);
  EXPECT_EQ(many[999], 1000 % 88);
  ASSERT_EQ(lnn_model_set_pool(model.get(), nullptr), LNN_OK);
  EXPECT_EQ(run(100)[0], 100);
}

TEST(Pool, OneThreadHasPartsWhereAllRowsNeedMoreThanCachesHold) {
  Model model = load("largeparts");
  std::set<std::string> before = threadsNow();
  auto run = [&](int64_t rows) { return rowsOfParts(model, rows); };
  // As a whole: few rows, and those that a part would be half of, or more.
  EXPECT_EQ(run(15)[0], 15);
  EXPECT_EQ(run(33)[0], 33);
  std::vector<float> many = run(1000);
  EXPECT_EQ(many[0], 32);
  EXPECT_EQ(many[999], 1000 % 32);
  EXPECT_EQ(run(15)[0], 15);
  EXPECT_EQ(threadsNow(), before);
}

/// What fixtures/loop.c computes; returns how many threads it was told of.
float expectLoop(const Model &model, int64_t count, int64_t partOf = 0) {
  Floats x({count}), y({count}), n({1});
  for (size_t i = 0; i < x.data.size(); ++i)
    x.data[i] = 0.5f * static_cast<float>(i % 11);
  lnn_tensor in = x.tensor(), out[] = {y.tensor(), n.tensor()};
  EXPECT_EQ(lnn_run(model.get(), &in, 1, out, 2), LNN_OK) << lnn_last_error();
  for (size_t i = 0; i < x.data.size(); ++i) {
    size_t at = partOf ? i % static_cast<size_t>(partOf) : i;
    EXPECT_EQ(y.data[i], x.data[i] + static_cast<float>(at)) << i;
  }
  return n.data[0];
}

TEST(Pool, LoopsAreSharedWhereAProcessorIsThereForEachThread) {
  Model model = load("loop");
  EXPECT_EQ(expectLoop(model, 3), 1);
  unsigned processors = std::thread::hardware_concurrency();
  for (unsigned threads : {1u, 2u, 3u, 5u, processors + 1}) {
    ASSERT_EQ(lnn_model_set_threads(model.get(), int32_t(threads)), LNN_OK);
    // As many parts as threads, fewer, more, and more than a pool counts.
    for (int64_t count : {1, 2, 3, 7, 100, 65535, 65536, 70000})
      EXPECT_EQ(expectLoop(model, count),
                threads <= processors ? float(threads) : 1);
  }
}

TEST(Pool, LoopsFindThreadsAsleepAndAwake) {
  Model model = load("loop");
  ASSERT_EQ(lnn_model_set_threads(model.get(), 2), LNN_OK);
  for (int i = 0; i < 20; ++i) {
    // Twice as long as threads look out, every second time.
    if (i % 2)
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    expectLoop(model, 2 + i);
  }
}

TEST(Pool, APartOfTheBatchSharesNoLoops) {
  Model model = load("looprows");
  ASSERT_EQ(lnn_model_set_threads(model.get(), 2), LNN_OK);
  EXPECT_EQ(expectLoop(model, 32, /*partOf=*/16), 1);
}

TEST(Pool, LoopsOfSeveralCallersOfOnePool) {
  Pool pool = newPool(2);
  Model model = load("loop");
  ASSERT_EQ(lnn_model_set_pool(model.get(), pool.get()), LNN_OK);
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 200; ++repeat)
        expectLoop(model, 2 + repeat % 50);
    });
  for (std::thread &caller : callers)
    caller.join();
}

TEST(Pool, StartsThreadsOnlyWhereAskedFor) {
  std::set<std::string> before = threadsNow();
  Model model = load("rows");
  ASSERT_EQ(lnn_model_set_threads(model.get(), 1), LNN_OK);
  EXPECT_EQ(threadsNow(), before);
  ASSERT_EQ(lnn_model_set_threads(model.get(), 4), LNN_OK);
  EXPECT_EQ(threadsNow().size(), before.size() + 3);
  Session session = newSession(model, {{"batch", 32}});
  model.reset(); // the session uses them
  EXPECT_EQ(threadsNow().size(), before.size() + 3);
  session.reset();
  EXPECT_EQ(threadsNow(), before);
}

TEST(Pool, RefusesNumbersThatMakeNoSense) {
  lnn_pool *pool = nullptr;
  for (int32_t threads : {0, -1, 1025})
    EXPECT_FAILS(LNN_ERR_USAGE, "1 to 1024 threads",
                 lnn_pool_create(threads, &pool));
  EXPECT_EQ(pool, nullptr);
  Model model = load("rows");
  EXPECT_FAILS(LNN_ERR_USAGE, "threads", lnn_model_set_threads(model.get(), 0));
  EXPECT_EQ(lnn_model_set_threads(nullptr, 2), LNN_ERR_USAGE);
  EXPECT_EQ(lnn_model_set_pool(nullptr, nullptr), LNN_ERR_USAGE);
  EXPECT_EQ(lnn_pool_create(2, nullptr), LNN_ERR_USAGE);
  EXPECT_EQ(lnn_pool_threads(nullptr), 0);
  EXPECT_EQ(lnn_model_threads(nullptr), 1);
  lnn_pool_free(nullptr);
}

TEST(Pool, RefusesRowsThatMakeNoSense) {
  for (const char *name : {"badrows", "badchunk"}) {
    lnn_model *model = nullptr;
    EXPECT_FAILS(LNN_ERR_LOAD, "the rows of its batch",
                 lnn_model_load_file(fixture(name).c_str(), &model));
  }
}

TEST(Pool, AFailureInAPartIsTheCalls) {
  for (const char *name : {"rows", "fixedrows"}) {
    Model model = load(name);
    ASSERT_EQ(lnn_model_set_threads(model.get(), 3), LNN_OK);
    CellInputs inputs(2, 48);
    CellOutputs outputs(2, 48);
    inputs.dt.data[40] = 0;
    EXPECT_FAILS(LNN_ERR_RUN, "dt must be positive",
                 outputs.run(model, inputs));
    inputs.dt.data[40] = 1;
    EXPECT_EQ(outputs.run(model, inputs), LNN_OK);
  }
}

TEST(Pool, SessionsStepOnIt) {
  Model alone = load("rows"), shared = load("rows");
  ASSERT_EQ(lnn_model_set_threads(shared.get(), 3), LNN_OK);
  Session a = newSession(alone, {{"batch", 50}, {"time", 2}}),
          b = newSession(shared, {{"batch", 50}, {"time", 2}});
  CellInputs inputs(2, 50);
  Floats ya({2, 50, 2}), yb({2, 50, 2});
  const int64_t lane = 7;
  for (int i = 0; i < 20; ++i) {
    std::vector<lnn_tensor> in = inputs.step();
    lnn_tensor outA = ya.tensor(), outB = yb.tensor();
    ASSERT_EQ(lnn_session_step(a.get(), in.data(), 2, &outA, 1), LNN_OK);
    ASSERT_EQ(lnn_session_step(b.get(), in.data(), 2, &outB, 1), LNN_OK);
    ASSERT_EQ(ya.data, yb.data) << i;
    if (i == 10)
      for (Session *session : {&a, &b})
        lnn_session_reset_lanes(session->get(), &lane, 1);
  }
  lnn_session *made = nullptr;
  ASSERT_EQ(lnn_session_fork(b.get(), &made), LNN_OK);
  Session fork(made);
  std::vector<lnn_tensor> in = inputs.step();
  lnn_tensor outA = ya.tensor(), outB = yb.tensor();
  ASSERT_EQ(lnn_session_step(a.get(), in.data(), 2, &outA, 1), LNN_OK);
  ASSERT_EQ(lnn_session_step(fork.get(), in.data(), 2, &outB, 1), LNN_OK);
  EXPECT_EQ(ya.data, yb.data);
}

/// Strided inputs and results, a result over an input, results of the call's.
TEST(Pool, MemoryOfAnyKind) {
  Model alone = load("rows"), shared = load("rows");
  ASSERT_EQ(lnn_model_set_threads(shared.get(), 2), LNN_OK);
  constexpr int64_t time = 2, batch = 40;
  CellInputs inputs(time, batch);
  const int64_t repeated[] = {0, 8, 4}, apart[] = {batch * 24, 24, 8};
  auto run = [&](const Model &model) {
    std::vector<float> memory(time * batch * 6), state = inputs.h.data;
    std::vector<lnn_tensor> in = inputs.all();
    in[0].strides = repeated;
    in[1].data = state.data();
    lnn_tensor y = {memory.data(), LNN_F32, 3, inputs.x.dims.data(), apart},
               hn = in[1], out[] = {y, hn, {}};
    EXPECT_EQ(lnn_run(model.get(), in.data(), 4, out, 3), LNN_OK)
        << lnn_last_error();
    const auto *k = static_cast<const int64_t *>(out[2].data);
    for (int64_t i = 0; i < batch; ++i)
      memory.push_back(static_cast<float>(k[i]));
    lnn_tensor_free(&out[2]);
    memory.insert(memory.end(), state.begin(), state.end());
    return memory;
  };
  EXPECT_EQ(run(shared), run(alone));
}

TEST(Pool, ManyCallersShareIt) {
  Pool pool = newPool(3);
  EXPECT_EQ(lnn_pool_threads(pool.get()), 3);
  Model models[] = {load("rows"), load("fixedrows")};
  for (Model &model : models)
    ASSERT_EQ(lnn_model_set_pool(model.get(), pool.get()), LNN_OK);
  pool.reset(); // the models keep it
  CellInputs inputs(3, 48);
  CellOutputs expected(3, 48);
  ASSERT_EQ(expected.run(load("cell"), inputs), LNN_OK);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&, i] {
      for (int repeat = 0; repeat < 500; ++repeat) {
        CellOutputs found(3, 48);
        wrong += found.run(models[(i + repeat) % 2], inputs) != LNN_OK ||
                 !(found == expected);
      }
    });
  for (std::thread &caller : callers)
    caller.join();
  EXPECT_EQ(wrong, 0);
}

/// Workers that went to sleep wake up, and ones that were never needed end.
TEST(Pool, SleepsAndWakes) {
  Model model = load("rows");
  CellInputs inputs(3, 48);
  CellOutputs expected(3, 48);
  ASSERT_EQ(expected.run(model, inputs), LNN_OK);
  for (int repeat = 0; repeat < 20; ++repeat) {
    ASSERT_EQ(lnn_model_set_threads(model.get(), 2 + repeat % 4), LNN_OK);
    for (int i = 0; i < repeat % 3; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      CellOutputs found(3, 48);
      ASSERT_EQ(found.run(model, inputs), LNN_OK);
      ASSERT_TRUE(found == expected);
    }
  }
}

// ThreadSanitizer has no threads in a child of a process that had some.
#ifndef __SANITIZE_THREAD__
TEST(Pool, AChildStartsItsOwn) {
  Model model = load("rows");
  ASSERT_EQ(lnn_model_set_threads(model.get(), 3), LNN_OK);
  CellInputs inputs(3, 48);
  CellOutputs expected(3, 48);
  ASSERT_EQ(expected.run(model, inputs), LNN_OK);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (threadsNow().size() != 1)
      _exit(2);
    CellOutputs found(3, 48);
    if (found.run(model, inputs) != LNN_OK || !(found == expected))
      _exit(3);
    if (threadsNow().size() != 3)
      _exit(4);
    model.reset();
    _exit(threadsNow().size() == 1 ? 0 : 5);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  pid_t unused = fork();
  if (unused == 0) {
    model.reset(); // of threads that are not in this process
    _exit(0);
  }
  while (waitpid(unused, &status, 0) < 0 && errno == EINTR)
    ;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CellOutputs found(3, 48);
  ASSERT_EQ(found.run(model, inputs), LNN_OK);
  EXPECT_TRUE(found == expected);
}
#endif

} // namespace
