//===- Artifact.cpp - an artifact in memory, loaded and checked -----------===//
#include "Artifact.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

using namespace lnn::python;

namespace {

bool within(uint64_t offset, uint64_t size, uint64_t total) {
  return offset <= total && size <= total - offset;
}

/// The loader maps what the headers say and faults where the file is shorter:
/// so that is checked before.
std::string checkWhole(std::string_view bytes) {
  Elf64_Ehdr header;
  if (bytes.size() < SELFMAG || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0)
    return "it is no artifact: not a shared object";
  const char *truncated = "it is truncated or damaged";
  if (bytes.size() < sizeof(header))
    return truncated;
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_type != ET_DYN)
    return "it is no artifact: not a 64-bit shared object";
  uint64_t segments = header.e_phnum, sections = header.e_shnum;
  if (header.e_phentsize != sizeof(Elf64_Phdr) || segments == 0 ||
      !within(header.e_phoff, segments * sizeof(Elf64_Phdr), bytes.size()) ||
      (sections &&
       !within(header.e_shoff, sections * sizeof(Elf64_Shdr), bytes.size())))
    return truncated;
  for (uint64_t i = 0; i < segments; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, bytes.data() + header.e_phoff + i * sizeof(segment),
                sizeof(segment));
    if (!within(segment.p_offset, segment.p_filesz, bytes.size()))
      return truncated;
  }
  return "";
}

/// Whether this machine has a CPU feature, named as LLVM names it; a name that
/// isn't known is not there.
bool hasFeature(std::string_view name) {
#if defined(__x86_64__)
  __builtin_cpu_init();
#define LNN_FEATURE(NAME)                                                      \
  if (name == NAME)                                                            \
    return __builtin_cpu_supports(NAME);
  LNN_FEATURE("sse3")
  LNN_FEATURE("ssse3") LNN_FEATURE("sse4.1") LNN_FEATURE("sse4.2") LNN_FEATURE(
      "popcnt") LNN_FEATURE("avx") LNN_FEATURE("avx2") LNN_FEATURE("bmi")
      LNN_FEATURE("bmi2") LNN_FEATURE("fma") LNN_FEATURE("f16c")
          LNN_FEATURE("lzcnt") LNN_FEATURE("movbe") LNN_FEATURE("avx512f")
              LNN_FEATURE("avx512bw") LNN_FEATURE("avx512cd") LNN_FEATURE(
                  "avx512dq") LNN_FEATURE("avx512vl") LNN_FEATURE("avx512ifma")
                  LNN_FEATURE("avx512vbmi") LNN_FEATURE("avx512vbmi2")
                      LNN_FEATURE("avx512vnni") LNN_FEATURE("avx512bitalg")
                          LNN_FEATURE("avx512vpopcntdq")
                              LNN_FEATURE("avx512bf16")
                                  LNN_FEATURE("avx512fp16")
                                      LNN_FEATURE("avxvnni") LNN_FEATURE("gfni")
                                          LNN_FEATURE("vaes")
                                              LNN_FEATURE("vpclmulqdq")
#undef LNN_FEATURE
#endif
                                                  return false;
}

std::string missingFeatures(std::string_view needed) {
  std::string missing;
  while (!needed.empty()) {
    std::string_view name = needed.substr(0, needed.find(','));
    needed.remove_prefix(name.size() < needed.size() ? name.size() + 1
                                                     : needed.size());
    if (!name.empty() && !hasFeature(name))
      missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  return missing;
}

/// Whether this program can run what the descriptor describes.
std::string checkDescriptor(const lnn_abi_model *model) {
  if (!model || model->magic != LNN_ABI_MAGIC)
    return "it is no artifact: no descriptor in it";
  if (model->version != LNN_ABI_VERSION)
    return "it is of version " + std::to_string(model->version) +
           ", and this lnnc reads version " + std::to_string(LNN_ABI_VERSION) +
           ": update lnnc, or compile the model again";
  if (model->struct_bytes < sizeof(lnn_abi_model))
    return "its descriptor is incomplete";
  std::string missing = missingFeatures(model->features);
  if (!missing.empty())
    return "it was compiled for " + std::string(model->cpu) +
           " and needs CPU features that this machine lacks: " + missing +
           "; compile it for cpu=\"x86-64-v3\" or this machine";
  return "";
}

bool writeAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return false;
    bytes.remove_prefix(written);
  }
  return true;
}

} // namespace

std::unique_ptr<Artifact> Artifact::load(std::string_view bytes,
                                         std::string &error) {
  error = checkWhole(bytes);
  if (!error.empty())
    return nullptr;
  std::unique_ptr<Artifact> artifact(new Artifact);
  artifact->file = memfd_create("lnn-artifact", MFD_CLOEXEC);
  if (artifact->file < 0 || !writeAll(artifact->file, bytes)) {
    error = std::string("no memory for its code: ") + std::strerror(errno);
    return nullptr;
  }
  // The file stays open while the code is mapped: the loader knows libraries by
  // path, and would take a new file of the same number for the old one.
  std::string path = "/proc/self/fd/" + std::to_string(artifact->file);
  artifact->library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!artifact->library) {
    const char *reason = dlerror();
    error = std::string("the system cannot load it: ") +
            (reason ? reason : "no reason given");
    return nullptr;
  }
  auto describe = reinterpret_cast<lnn_model_descriptor_fn>(
      dlsym(artifact->library, LNN_ABI_SYMBOL));
  artifact->descriptor = describe ? describe() : nullptr;
  error = checkDescriptor(artifact->descriptor);
  if (!error.empty())
    return nullptr;
  return artifact;
}

Artifact::~Artifact() {
  if (library)
    dlclose(library);
  if (file >= 0)
    close(file);
}
