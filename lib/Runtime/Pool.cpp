//===- Pool.cpp - threads that wait for parts of calls --------------------===//
#include "Pool.h"

#include "Error.h"
#include "Model.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstring>
#include <linux/futex.h>
#include <mutex>
#include <sched.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace lnn::runtime;

namespace {

/// How long a worker looks out for the next job before it sleeps, and a caller
/// for the last item.
constexpr std::chrono::microseconds patience{50};

/// More would be a mistake: it bounds memory and the numbers in a ticket.
constexpr int32_t mostThreads = 1024;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// Sleeps while the word is `value`; wakes for no reason at times.
void sleepWhile(std::atomic<uint32_t> &word, uint32_t value) {
  static_assert(sizeof word == sizeof(uint32_t));
  ::syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAIT_PRIVATE,
            value, nullptr, nullptr, 0);
}

void wake(std::atomic<uint32_t> &word, int most) {
  ::syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAKE_PRIVATE,
            most, nullptr, nullptr, 0);
}

/// Whether the condition came true before patience ended.
template <typename Condition> bool waitBusily(Condition &&condition) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point end = Clock::now() + patience;
  do {
    for (int i = 0; i < 64; ++i) {
      if (condition())
        return true;
      relax();
    }
  } while (Clock::now() < end);
  return false;
}

/// How this thread rounds and treats denormals. A worker does as the caller
/// does: results must not depend on which of them computes.
uint64_t getRounding() {
#if defined(__x86_64__)
  return _mm_getcsr();
#elif defined(__aarch64__)
  uint64_t value;
  __asm__ volatile("mrs %0, fpcr" : "=r"(value));
  return value;
#else
  return 0;
#endif
}

void setRounding([[maybe_unused]] uint64_t value) {
#if defined(__x86_64__)
  constexpr uint64_t flags = 0x3f; // of what happened so far: the thread's own
  if ((getRounding() ^ value) & ~flags)
    _mm_setcsr(static_cast<unsigned>(value & ~flags));
#elif defined(__aarch64__)
  if (getRounding() != value)
    __asm__ volatile("msr fpcr, %0" ::"r"(value));
#endif
}

/// How often this process is a child's child: threads are not inherited.
std::atomic<uint32_t> forks{0};

void countForks() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::pthread_atfork(nullptr, nullptr,
                     [] { forks.fetch_add(1, std::memory_order_relaxed); });
  });
}

uint32_t processors() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    return static_cast<uint32_t>(CPU_COUNT(&set));
  return UINT_MAX; // more of them than the set has room for
}

constexpr uint64_t makeTicket(uint32_t epoch, uint32_t items) {
  return uint64_t(epoch) << 32 | uint64_t(items) << 16;
}
uint32_t itemsOf(uint64_t ticket) { return (ticket >> 16) & 0xffff; }
uint32_t nextOf(uint64_t ticket) { return ticket & 0xffff; }

} // namespace

//===- Starting and ending ------------------------------------------------===//

lnn_pool *lnn_pool::create(int32_t threads) {
  if (threads < 1 || threads > mostThreads)
    fail(LNN_ERR_USAGE, "a pool has 1 to " + std::to_string(mostThreads) +
                            " threads, found " + std::to_string(threads));
  countForks();
  auto *pool = new lnn_pool(static_cast<uint32_t>(threads));
  pool->handles.reserve(pool->count);
  pool->starts.reserve(pool->count);
  pool->generation = forks.load(std::memory_order_relaxed);
  if (!pool->start()) {
    std::string error = std::strerror(errno);
    pool->release();
    fail(LNN_ERR_MEMORY,
         "cannot start " + std::to_string(threads - 1) + " threads: " + error);
  }
  return pool;
}

/// False where not all threads could be started; those that were have ended.
bool lnn_pool::start() {
  mayWaitBusily = count <= processors();
  // Signals are for threads that the program knows of.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  for (uint32_t worker = 1; worker < count; ++worker)
    starts.push_back({this, worker});
  int error = 0;
  for (Start &start : starts) {
    pthread_t thread;
    error = ::pthread_create(&thread, nullptr, enter, &start);
    if (error)
      break;
    ::pthread_setname_np(thread, "lnn-worker");
    handles.push_back(thread);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error)
    stopThreads();
  errno = error;
  return !error;
}

void lnn_pool::stopThreads() {
  stopping.store(true, std::memory_order_seq_cst);
  signal.fetch_add(1, std::memory_order_seq_cst);
  wake(signal, INT_MAX);
  for (pthread_t thread : handles)
    ::pthread_join(thread, nullptr);
  handles.clear();
  starts.clear();
}

lnn_pool::~lnn_pool() {
  // In a child of the process that started them there are none to end.
  if (generation.load(std::memory_order_relaxed) ==
      forks.load(std::memory_order_relaxed))
    stopThreads();
}

/// In a child: the threads are started again, by who comes first.
bool lnn_pool::restart(uint32_t now) {
  uint32_t before = generation.load(std::memory_order_acquire);
  constexpr uint32_t starting = UINT_MAX;
  if (before == now)
    return true;
  if (before == starting || !generation.compare_exchange_strong(
                                before, starting, std::memory_order_acq_rel))
    return false;
  handles.clear();
  starts.clear();
  sleeping = 0;
  callerSleeps = 0;
  ticket = 0;
  busy = false; // whoever used the pool is not in this process
  stopping = false;
  bool started = start();
  // Where they cannot be started, the next call tries again.
  generation.store(started ? now : now - 1, std::memory_order_release);
  return started;
}

//===- Working ------------------------------------------------------------===//

void *lnn_pool::enter(void *argument) {
  auto *start = static_cast<Start *>(argument);
  start->pool->serve(start->worker);
  return nullptr;
}

void lnn_pool::serve(uint32_t worker) {
  for (uint32_t seen = 0;;) {
    seen = awaitSignal(seen);
    if (stopping.load(std::memory_order_acquire))
      return;
    work(worker);
  }
}

uint32_t lnn_pool::awaitSignal(uint32_t seen) {
  uint32_t now;
  auto changed = [&] {
    now = signal.load(std::memory_order_acquire);
    return now != seen;
  };
  if (changed() || (mayWaitBusily && waitBusily(changed)))
    return now;
  // Whoever publishes a job sees that this thread sleeps, or this thread sees
  // the job: both write one and then read the other, in one order for all.
  sleeping.fetch_add(1, std::memory_order_seq_cst);
  while (signal.load(std::memory_order_seq_cst) == seen)
    sleepWhile(signal, seen);
  sleeping.fetch_sub(1, std::memory_order_relaxed);
  return signal.load(std::memory_order_acquire);
}

/// Takes items as long as there are some. Between taking one and reporting it
/// done, the job is that of the ticket: its caller waits.
void lnn_pool::work(uint32_t worker) {
  uint64_t now = ticket.load(std::memory_order_acquire);
  while (nextOf(now) < itemsOf(now)) {
    if (!ticket.compare_exchange_weak(now, now + 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire))
      continue;
    if (worker)
      setRounding(rounding.load(std::memory_order_relaxed));
    body.load(std::memory_order_relaxed)(
        context.load(std::memory_order_relaxed), nextOf(now), worker);
    uint32_t done = finished.fetch_add(1, std::memory_order_seq_cst) + 1;
    if (done == itemsOf(now) && callerSleeps.load(std::memory_order_seq_cst))
      wake(finished, 1);
    now = ticket.load(std::memory_order_acquire);
  }
}

void lnn_pool::awaitItems(uint32_t items) {
  auto done = [&] { return finished.load(std::memory_order_acquire) == items; };
  if (done() || (mayWaitBusily && waitBusily(done)))
    return;
  callerSleeps.store(1, std::memory_order_seq_cst);
  for (uint32_t now; (now = finished.load(std::memory_order_seq_cst)) != items;)
    sleepWhile(finished, now);
  callerSleeps.store(0, std::memory_order_relaxed);
}

bool lnn_pool::run(Body newBody, void *newContext, uint32_t items) {
  uint32_t now = forks.load(std::memory_order_relaxed);
  if (generation.load(std::memory_order_acquire) != now && !restart(now))
    return false;
  if (busy.load(std::memory_order_relaxed) ||
      busy.exchange(true, std::memory_order_acquire))
    return false;
  body.store(newBody, std::memory_order_relaxed);
  context.store(newContext, std::memory_order_relaxed);
  rounding.store(getRounding(), std::memory_order_relaxed);
  finished.store(0, std::memory_order_relaxed);
  ++epoch;
  ticket.store(makeTicket(epoch, items), std::memory_order_release);
  signal.fetch_add(1, std::memory_order_seq_cst);
  if (uint32_t asleep = sleeping.load(std::memory_order_seq_cst))
    wake(signal, static_cast<int>(std::min(asleep, items - 1)));
  work(0);
  awaitItems(items);
  busy.store(false, std::memory_order_release);
  return true;
}

//===- The C interface ----------------------------------------------------===//

extern "C" {

lnn_status lnn_pool_create(int32_t threads, lnn_pool **pool) {
  return guarded([&] {
    if (!pool)
      fail(LNN_ERR_USAGE, "lnn_pool_create: a null argument");
    *pool = nullptr;
    *pool = lnn_pool::create(threads);
  });
}

void lnn_pool_free(lnn_pool *pool) {
  if (pool)
    pool->release();
}

int32_t lnn_pool_threads(const lnn_pool *pool) {
  return pool ? static_cast<int32_t>(pool->threads()) : 0;
}

lnn_status lnn_model_set_pool(lnn_model *model, lnn_pool *pool) {
  return guarded([&] {
    if (!model)
      fail(LNN_ERR_USAGE, "lnn_model_set_pool: a null argument");
    model->setPool(pool);
  });
}

lnn_status lnn_model_set_threads(lnn_model *model, int32_t threads) {
  return guarded([&] {
    if (!model)
      fail(LNN_ERR_USAGE, "lnn_model_set_threads: a null argument");
    lnn_pool *pool = lnn_pool::create(threads);
    model->setPool(threads > 1 ? pool : nullptr);
    pool->release();
  });
}

int32_t lnn_model_threads(const lnn_model *model) {
  return model && model->pool ? static_cast<int32_t>(model->pool->threads())
                              : 1;
}

int32_t lnn_model_has_rows(const lnn_model *model) {
  return model && model->rows;
}
}
