//===- Error.h - failures inside the runtime and how they leave it --------===//
//
// Inside, what goes wrong is thrown as a Failure; at the C border `guarded`
// turns it into a status and this thread's message.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_LIB_RUNTIME_ERROR_H
#define LNN_LIB_RUNTIME_ERROR_H

#include "lnn/runtime.h"

#include <new>
#include <string>

namespace lnn::runtime {

struct Failure {
  lnn_status status;
  std::string message;
};

/// Keeps the message for lnn_last_error; cuts it where it is very long.
/// Allocates nothing.
void setLastError(const char *message);

[[noreturn]] inline void fail(lnn_status status, std::string message) {
  throw Failure{status, std::move(message)};
}

/// Runs the body of a function of the C interface.
template <typename Body> lnn_status guarded(Body &&body) noexcept {
  try {
    body();
    return LNN_OK;
  } catch (const Failure &failure) {
    setLastError(failure.message.c_str());
    return failure.status;
  } catch (const std::bad_alloc &) {
    setLastError("out of memory");
    return LNN_ERR_MEMORY;
  } catch (...) {
    // What is left is a container's refusal of an absurd size.
    setLastError("out of memory: a size is too large");
    return LNN_ERR_MEMORY;
  }
}

} // namespace lnn::runtime

#endif
