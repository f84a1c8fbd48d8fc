//===- Error.cpp - status names and the thread's last error ---------------===//
#include "Error.h"

#include <cstring>

namespace {
constexpr size_t capacity = 2048;
thread_local char lastError[capacity] = "";
} // namespace

void lnn::runtime::setLastError(const char *message) {
  size_t length = std::strlen(message);
  if (length >= capacity) {
    length = capacity - 4;
    std::memcpy(lastError + length, "...", 4);
  } else {
    lastError[length] = 0;
  }
  std::memcpy(lastError, message, length);
}

extern "C" {

const char *lnn_last_error(void) { return lastError; }

const char *lnn_status_name(lnn_status status) {
  switch (status) {
  case LNN_OK:
    return "LNN_OK";
  case LNN_ERR_USAGE:
    return "LNN_ERR_USAGE";
  case LNN_ERR_INPUT:
    return "LNN_ERR_INPUT";
  case LNN_ERR_LOAD:
    return "LNN_ERR_LOAD";
  case LNN_ERR_VERSION:
    return "LNN_ERR_VERSION";
  case LNN_ERR_CPU:
    return "LNN_ERR_CPU";
  case LNN_ERR_RUN:
    return "LNN_ERR_RUN";
  case LNN_ERR_MEMORY:
    return "LNN_ERR_MEMORY";
  }
  return "?";
}

const char *lnn_runtime_version(void) { return LNN_VERSION; }
}
