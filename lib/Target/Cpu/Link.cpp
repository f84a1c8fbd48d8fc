//===- Link.cpp - link a shared object in this process --------------------===//
#include "lnn/Target/Cpu/Cpu.h"

#include "lld/Common/Driver.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

namespace lnn {
namespace {

/// A folder that goes away with what is in it.
class TemporaryFolder {
public:
  std::error_code create() {
    return llvm::sys::fs::createUniqueDirectory("lnn-link", path);
  }
  ~TemporaryFolder() {
    if (!path.empty())
      llvm::sys::fs::remove_directories(path);
  }
  std::string file(llvm::StringRef name) const {
    llvm::SmallString<128> full(path);
    llvm::sys::path::append(full, name);
    return std::string(full);
  }

private:
  llvm::SmallString<128> path;
};

std::error_code writeFile(llvm::StringRef path, llvm::ArrayRef<char> bytes) {
  std::error_code code;
  llvm::raw_fd_ostream os(path, code, llvm::sys::fs::OF_None);
  if (code)
    return code;
  os.write(bytes.data(), bytes.size());
  os.close();
  code = os.error();
  os.clear_error();
  return code;
}

/// lld keeps its state in globals: one link at a time, and none after one that
/// crashed.
bool runLinker(llvm::ArrayRef<const char *> arguments, std::string &messages) {
  static std::mutex mutex;
  static bool usable = true;
  std::lock_guard<std::mutex> lock(mutex);
  if (!usable) {
    messages = "an earlier link crashed the linker; start a new process";
    return false;
  }
  llvm::raw_string_ostream os(messages);
  lld::Result result =
      lld::lldMain(arguments, os, os, {{lld::Gnu, &lld::elf::link}});
  usable = result.canRunAgain;
  return result.retCode == 0;
}

} // namespace

bool linkSharedObject(llvm::ArrayRef<char> object, llvm::StringRef soname,
                      std::vector<char> &out, std::string &error) {
  TemporaryFolder folder;
  if (std::error_code code = folder.create()) {
    error = "cannot make a temporary folder: " + code.message();
    return false;
  }
  std::string input = folder.file("model.o"), output = folder.file("model.so"),
              name = soname.str();
  if (std::error_code code = writeFile(input, object)) {
    error = "cannot write " + input + ": " + code.message();
    return false;
  }
  const char *arguments[] = {"ld.lld",
                             "-shared",
                             "--threads=1",
                             "--hash-style=gnu",
                             "--gc-sections",
                             "--strip-debug",
                             "--build-id=none",
                             "-z",
                             "relro",
                             "-z",
                             "now",
                             "-z",
                             "noexecstack",
                             "-soname",
                             name.c_str(),
                             "-o",
                             output.c_str(),
                             input.c_str()};
  if (!runLinker(arguments, error))
    return false;
  auto buffer = llvm::MemoryBuffer::getFile(output, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer) {
    error = "cannot read " + output + ": " + buffer.getError().message();
    return false;
  }
  out.assign((*buffer)->getBufferStart(), (*buffer)->getBufferEnd());
  return true;
}

} // namespace lnn
