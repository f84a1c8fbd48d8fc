//===- Artifact.h - an artifact in memory, loaded and checked ---*- C++ -*-===//
//
// Its code stays mapped as long as the object lives.
//
//===----------------------------------------------------------------------===//
#ifndef LNN_PYTHON_ARTIFACT_H
#define LNN_PYTHON_ARTIFACT_H

#include "lnn/runtime/artifact_abi.h"

#include <memory>
#include <string>
#include <string_view>

namespace lnn::python {

class Artifact {
public:
  /// Loads a shared object from memory. Null, with the reason in `error`, if it
  /// is none of ours, damaged, newer than this, or needs a CPU feature that
  /// this machine lacks.
  static std::unique_ptr<Artifact> load(std::string_view bytes,
                                        std::string &error);
  ~Artifact();
  Artifact(const Artifact &) = delete;
  Artifact &operator=(const Artifact &) = delete;

  const lnn_abi_model &model() const { return *descriptor; }

private:
  Artifact() = default;
  int file = -1;
  void *library = nullptr;
  const lnn_abi_model *descriptor = nullptr;
};

} // namespace lnn::python
#endif // LNN_PYTHON_ARTIFACT_H
