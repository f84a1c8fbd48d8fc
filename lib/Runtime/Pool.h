//===- Pool.h - threads that wait for parts of calls ----------------------===//
//
// One job at a time: the caller publishes it, takes part in it, and waits for
// those items only that a worker has begun. A worker that does not wake in time
// costs nothing but its help. Publishing and taking items are atomic operations
// on memory that is there: no lock, no allocation. A system call is made where
// workers have gone to sleep, or the caller has to wait for one long.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_LIB_RUNTIME_POOL_H
#define LNN_LIB_RUNTIME_POOL_H

#include "lnn/runtime.h"

#include <atomic>
#include <cstdint>
#include <pthread.h>
#include <vector>

struct lnn_pool {
  using Body = void (*)(void *context, uint32_t item, uint32_t worker);

  /// Starts the threads, one less than asked for: the caller is one. Throws
  /// Failure.
  static lnn_pool *create(int32_t threads);
  void retain() { users.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (users.fetch_sub(1, std::memory_order_acq_rel) == 1)
      delete this;
  }

  uint32_t threads() const { return count; }
  /// How many can meet within a microsecond: where there are more threads than
  /// processors, one.
  uint32_t threadsAtOnce() const {
    return mayWaitBusily.load(std::memory_order_relaxed) ? count : 1;
  }
  /// Whether a job would have to wake some of them, which is a system call.
  bool sleeps() const { return sleeping.load(std::memory_order_relaxed) != 0; }
  /// Calls body(context, item, worker) for each item below `items` (65535 at
  /// most), on this thread, which is worker 0, and others. Returns once all are
  /// done; false, and nothing done, where the pool works for another caller.
  bool run(Body body, void *context, uint32_t items);

private:
  explicit lnn_pool(uint32_t count) : count(count) {}
  ~lnn_pool();
  lnn_pool(const lnn_pool &) = delete;
  lnn_pool &operator=(const lnn_pool &) = delete;

  bool start();
  bool restart(uint32_t now);
  void stopThreads();
  static void *enter(void *argument);
  void serve(uint32_t worker);
  uint32_t awaitSignal(uint32_t seen);
  void work(uint32_t worker);
  void awaitItems(uint32_t items);

  /// What a thread is started with.
  struct Start {
    lnn_pool *pool;
    uint32_t worker;
  };

  const uint32_t count;
  std::atomic<int32_t> users{1};
  std::vector<pthread_t> handles;
  std::vector<Start> starts;
  /// The process's count of forks when the threads were started; they are not
  /// in a child.
  std::atomic<uint32_t> generation{0};
  /// As there is a processor for each thread.
  std::atomic<bool> mayWaitBusily{true};

  alignas(64) std::atomic<bool> busy{false};
  uint32_t epoch = 0; ///< the caller's, while busy
  /// The job: valid while items of it are being worked on.
  std::atomic<Body> body{nullptr};
  std::atomic<void *> context{nullptr};
  std::atomic<uint64_t> rounding{0};
  /// epoch << 32 | items << 16 | next item
  alignas(64) std::atomic<uint64_t> ticket{0};
  /// The epoch, for workers to wait for.
  alignas(64) std::atomic<uint32_t> signal{0};
  std::atomic<uint32_t> sleeping{0};
  std::atomic<bool> stopping{false};
  alignas(64) std::atomic<uint32_t> finished{0};
  std::atomic<uint32_t> callerSleeps{0};
};

#endif
