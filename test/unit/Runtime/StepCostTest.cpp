//===- StepCostTest.cpp - a step takes no lock, system call or memory -----===//
//
// The header's promise. This program has its own malloc and mutexes, which
// count; and steps run in a process that the kernel kills at the first system
// call.
//
//===----------------------------------------------------------------------===//
#include "Fixtures.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNTED extern "C" __attribute__((visibility("default")))

static std::atomic<long> allocations, locks;

extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);
}

COUNTED void *malloc(size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
COUNTED void *calloc(size_t count, size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
COUNTED void *realloc(void *memory, size_t size) {
  ++allocations;
  return __libc_realloc(memory, size);
}
COUNTED void *aligned_alloc(size_t alignment, size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
}
COUNTED void free(void *memory) {
  ++allocations;
  __libc_free(memory);
}
COUNTED int pthread_mutex_lock(pthread_mutex_t *mutex) {
  using Lock = int (*)(pthread_mutex_t *);
  static const Lock lock =
      reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  ++locks;
  return lock(mutex);
}

namespace {

/// From here on every system call but the one that ends the process kills it.
bool forbidSystemCalls() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  sock_fprog filter = {sizeof program / sizeof *program, program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

struct StepCost : testing::Test {
  Model model = load("cell");
  Session session = newSession(model, {{"batch", 4}, {"time", 8}});
  CellInputs one{1, 4}, eight{8, 4};
  Floats y{{8, 4, 2}};

  /// Steps of different sizes, inputs in order and strided, results in the
  /// session's memory and in the caller's.
  int stepManyWays() {
    const int64_t strides[] = {8, 8,
                               4}; // every time step the same row: not dense
    lnn_tensor dense[] = {one.x.tensor(), one.dt.tensor()},
               strided[] = {eight.x.tensor(), eight.dt.tensor()};
    strided[0].strides = strides;
    int failures = 0;
    for (int i = 0; i < 5000; ++i) {
      lnn_tensor own = {}, given = y.tensor();
      failures += lnn_session_step(session.get(), dense, 2, &own, 1) != LNN_OK;
      failures +=
          lnn_session_step(session.get(), strided, 2, &given, 1) != LNN_OK;
    }
    return failures;
  }
};

TEST_F(StepCost, NoMemoryAndNoLock) {
  long allocationsBefore = allocations, locksBefore = locks;
  int failures = stepManyWays();
  long allocationsAfter = allocations, locksAfter = locks;
  EXPECT_EQ(failures, 0) << lnn_last_error();
  EXPECT_EQ(allocationsAfter, allocationsBefore);
  EXPECT_EQ(locksAfter, locksBefore);
  EXPECT_GT(allocationsBefore, 0) << "the counters do not count";
}

/// With a pool, but for waking who sleeps.
TEST_F(StepCost, NoMemoryAndNoLockOnThreads) {
  Model split = load("rows");
  ASSERT_EQ(lnn_model_set_threads(split.get(), 2), LNN_OK);
  session = newSession(split, {{"batch", 64}, {"time", 8}});
  one = CellInputs(1, 64), eight = CellInputs(8, 64), y = Floats({8, 64, 2});
  int failures = stepManyWays(); // a size that is not the reserved one
  long allocationsBefore = allocations, locksBefore = locks;
  failures += stepManyWays();
  long allocationsAfter = allocations, locksAfter = locks;
  EXPECT_EQ(failures, 0) << lnn_last_error();
  EXPECT_EQ(allocationsAfter, allocationsBefore);
  EXPECT_EQ(locksAfter, locksBefore);
}

/// lnn_run keeps its memory in the model.
TEST_F(StepCost, NoMemoryAndNoLockInCalls) {
  Floats hn({4, 2});
  Longs kn({1, 4, 1});
  std::vector<lnn_tensor> in = eight.all(),
                          out = {y.tensor(), hn.tensor(), kn.tensor()};
  auto run = [&] {
    return lnn_run(model.get(), in.data(), in.size(), out.data(), out.size());
  };
  ASSERT_EQ(run(), LNN_OK) << lnn_last_error();
  long allocationsBefore = allocations, locksBefore = locks;
  lnn_status status = run();
  long allocationsAfter = allocations, locksAfter = locks;
  EXPECT_EQ(status, LNN_OK);
  EXPECT_EQ(allocationsAfter, allocationsBefore);
  EXPECT_EQ(locksAfter, locksBefore);
}

TEST_F(StepCost, NoSystemCall) {
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!forbidSystemCalls())
      _exit(77);
    _exit(stepManyWays() == 0 ? 0 : 1);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    GTEST_SKIP() << "the kernel has no seccomp filters";
  ASSERT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status)
                                 << ": a step made a system call";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

//===- Time ---------------------------------------------------------------===//

/// The 99th percentile over the median.
double tailOf(std::vector<double> &times) {
  std::sort(times.begin(), times.end());
  return times[times.size() * 99 / 100] / times[times.size() / 2];
}

/// Arithmetic that takes as long as a few steps, and one time only.
uint64_t work(uint64_t x) {
  for (int i = 0; i < 128; ++i)
    x = x * 6364136223846793005u + 1442695040888963407u;
  return x;
}

/// How steps are distributed: the 99th percentile is close to the median, as
/// nothing in a step depends on what happened before. Others use the machine
/// too: one quiet run of many is enough.
TEST_F(StepCost, StepsTakeOneTime) {
  using Clock = std::chrono::steady_clock;
  lnn_tensor dense[] = {eight.x.tensor(), eight.dt.tensor()};
  std::vector<double> times(20000), others(times.size());
  // Of the times in which the machine itself was even: plain arithmetic in turn
  // with the steps says when.
  double best = 1e9;
  int even = 0;
  volatile uint64_t sink = 1;
  for (int attempt = 0; attempt < 50 && best > 1.5; ++attempt) {
    for (size_t k = 0; k < times.size(); ++k) {
      lnn_tensor own = {};
      Clock::time_point start = Clock::now();
      for (int i = 0; i < 4; ++i) // of the same order as the clock
        ASSERT_EQ(lnn_session_step(session.get(), dense, 2, &own, 1), LNN_OK);
      Clock::time_point middle = Clock::now();
      sink = work(sink);
      times[k] = std::chrono::duration<double>(middle - start).count();
      others[k] = std::chrono::duration<double>(Clock::now() - middle).count();
    }
    double tail = tailOf(times), machine = tailOf(others);
    if (machine <= 1.2 || tail <= 1.5) {
      best = std::min(best, tail);
      ++even;
    }
  }
  if (even < 25 && best > 1.5)
    GTEST_SKIP() << "the machine is too uneven to tell";
  std::printf("99th percentile over median: %.3f\n", best);
  EXPECT_LE(best, 1.5);
}

//===- Any model ----------------------------------------------------------===//

/// LNN_STEP_MODEL names a compiled model with states: its steps are held to the
/// same, with sizes of 1 and inputs of 1.
TEST(StepCostOfModel, NoSystemCallAndNoMemory) {
  const char *path = std::getenv("LNN_STEP_MODEL");
  if (!path)
    GTEST_SKIP() << "LNN_STEP_MODEL is not set";
  lnn_model *loaded = nullptr;
  ASSERT_EQ(lnn_model_load_file(path, &loaded), LNN_OK) << lnn_last_error();
  Model model(loaded);
  std::vector<std::vector<int64_t>> dims;
  std::vector<std::vector<char>> memory;
  std::vector<lnn_tensor> inputs;
  std::vector<lnn_size> sizes;
  for (size_t i = 0; i < lnn_model_input_count(loaded); ++i) {
    const lnn_tensor_info *info = lnn_model_input(loaded, i);
    std::vector<int64_t> &own = dims.emplace_back();
    size_t count = 1;
    for (int32_t k = 0; k < info->rank; ++k) {
      own.push_back(info->dims[k] < 0 ? 1 : info->dims[k]);
      count *= static_cast<size_t>(own.back());
      if (info->symbols[k])
        sizes.push_back({info->symbols[k], 1});
    }
    memory.emplace_back(count * lnn_dtype_size(info->dtype));
    if (info->dtype == LNN_F32)
      for (size_t k = 0; k < count; ++k)
        reinterpret_cast<float *>(memory.back().data())[k] = 1.0f;
    if (info->role != LNN_ROLE_STATE)
      inputs.push_back(
          {memory.back().data(), info->dtype, info->rank, own.data(), nullptr});
  }
  size_t outputs = 0;
  for (size_t j = 0; j < lnn_model_output_count(loaded); ++j)
    outputs += lnn_model_output(loaded, j)->role != LNN_ROLE_STATE;
  ASSERT_LT(inputs.size(), lnn_model_input_count(loaded)) << "no states";
  Session session = newSession(model, sizes);
  std::vector<lnn_tensor> results(outputs);
  auto steps = [&](int count) {
    int failures = 0;
    for (int i = 0; i < count; ++i) {
      std::fill(results.begin(), results.end(), lnn_tensor{});
      failures += lnn_session_step(session.get(), inputs.data(), inputs.size(),
                                   results.data(), results.size()) != LNN_OK;
    }
    return failures;
  };
  long allocationsBefore = allocations, locksBefore = locks;
  int failures = steps(100);
  long allocationsAfter = allocations, locksAfter = locks;
  ASSERT_EQ(failures, 0) << lnn_last_error();
  EXPECT_EQ(allocationsAfter, allocationsBefore);
  EXPECT_EQ(locksAfter, locksBefore);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!forbidSystemCalls())
      _exit(77);
    _exit(steps(10000) == 0 ? 0 : 1);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    GTEST_SKIP() << "the kernel has no seccomp filters";
  ASSERT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status)
                                 << ": a step made a system call";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(StepCost, TheFilterKills) {
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!forbidSystemCalls())
      _exit(77);
    syscall(SYS_getppid);
    _exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    GTEST_SKIP() << "the kernel has no seccomp filters";
  EXPECT_TRUE(WIFSIGNALED(status));
}

} // namespace
