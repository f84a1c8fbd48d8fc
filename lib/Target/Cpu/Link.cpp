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

llvm::Error
writeFile(llvm::StringRef path,
          llvm::function_ref<llvm::Error(llvm::raw_pwrite_stream &)> write) {
  std::error_code code;
  llvm::raw_fd_ostream os(path, code, llvm::sys::fs::OF_None);
  if (!code) {
    if (llvm::Error error = write(os))
      return error;
    os.close();
    code = os.error();
    os.clear_error();
  }
  if (code)
    return llvm::createStringError("cannot write " + path + ": " +
                                   code.message());
  return llvm::Error::success();
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

llvm::Error linkSharedObject(
    llvm::ArrayRef<std::function<llvm::Error(llvm::raw_pwrite_stream &)>>
        objects,
    llvm::StringRef soname, std::vector<char> &out) {
  TemporaryFolder folder;
  if (std::error_code code = folder.create())
    return llvm::createStringError("cannot make a temporary folder: " +
                                   code.message());
  std::string output = folder.file("model.so"), name = soname.str(), messages;
  std::vector<std::string> inputs;
  for (const auto &object : objects) {
    inputs.push_back(
        folder.file("model" + std::to_string(inputs.size()) + ".o"));
    if (llvm::Error error = writeFile(inputs.back(), object))
      return error;
  }
  llvm::SmallVector<const char *> arguments{"ld.lld",
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
                                            output.c_str()};
  for (const std::string &input : inputs)
    arguments.push_back(input.c_str());
  if (!runLinker(arguments, messages))
    return llvm::createStringError("linking failed: " + messages);
  auto buffer = llvm::MemoryBuffer::getFile(output, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return llvm::createStringError("cannot read " + output + ": " +
                                   buffer.getError().message());
  out.assign((*buffer)->getBufferStart(), (*buffer)->getBufferEnd());
  return llvm::Error::success();
}

} // namespace lnn
