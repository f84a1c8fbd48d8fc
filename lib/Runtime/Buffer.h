//===- Buffer.h - memory that grows and is kept ---------------------------===//
#ifndef LNN_LIB_RUNTIME_BUFFER_H
#define LNN_LIB_RUNTIME_BUFFER_H

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

namespace lnn::runtime {

/// Memory aligned to 64 bytes. Growing drops the contents.
class Buffer {
public:
  Buffer() = default;
  Buffer(Buffer &&other) noexcept { swap(other); }
  Buffer &operator=(Buffer &&other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() { std::free(memory); }

  void reserve(size_t bytes) {
    if (bytes <= size && memory)
      return;
    size_t rounded = (bytes + alignment) / alignment *
                     alignment; // at least one block: never NULL
    if (rounded < bytes)
      throw std::bad_alloc();
    void *fresh = std::aligned_alloc(alignment, rounded);
    if (!fresh)
      throw std::bad_alloc();
    std::free(memory);
    memory = static_cast<char *>(fresh);
    size = rounded;
  }
  char *data() const { return memory; }
  size_t capacity() const { return size; }
  /// Gives the memory to the caller, to be released by free.
  char *take() {
    size = 0;
    return std::exchange(memory, nullptr);
  }
  void swap(Buffer &other) noexcept {
    std::swap(memory, other.memory);
    std::swap(size, other.size);
  }

private:
  static constexpr size_t alignment = 64;
  char *memory = nullptr;
  size_t size = 0;
};

} // namespace lnn::runtime

#endif
