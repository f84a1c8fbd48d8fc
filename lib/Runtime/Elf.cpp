//===- Elf.cpp - is this a whole shared object for this machine? ----------===//
#include "Elf.h"

#include <cstdint>
#include <cstring>
#include <elf.h>

namespace lnn::runtime {
namespace {

#if defined(__x86_64__)
constexpr uint16_t hostMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t hostMachine = EM_AARCH64;
#elif defined(__riscv)
constexpr uint16_t hostMachine = EM_RISCV;
#else
#error "the runtime does not know this processor"
#endif

std::string machineName(uint16_t machine) {
  switch (machine) {
  case EM_X86_64:
    return "x86-64";
  case EM_386:
    return "32-bit x86";
  case EM_AARCH64:
    return "AArch64";
  case EM_ARM:
    return "32-bit Arm";
  case EM_RISCV:
    return "RISC-V";
  default:
    return "ELF machine " + std::to_string(machine);
  }
}

class Image {
public:
  Image(const unsigned char *bytes, size_t size) : bytes(bytes), size(size) {}
  std::string check();

private:
  const unsigned char *bytes;
  size_t size;
  Elf64_Ehdr header{};

  bool inside(uint64_t offset, uint64_t length) const {
    return offset <= size && length <= size - offset;
  }
  std::string truncated() const {
    return "it is truncated: it ends after " + std::to_string(size) + " bytes";
  }
  std::string checkIdentity();
  std::string checkSegments();
};

std::string Image::checkIdentity() {
  if (size == 0)
    return "it is empty";
  if (size < SELFMAG || std::memcmp(bytes, ELFMAG, SELFMAG) != 0)
    return "it is not a shared object (ELF)";
  if (size < sizeof header)
    return truncated();
  std::memcpy(&header, bytes, sizeof header);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB)
    return "it is for another machine: not 64-bit little-endian";
  if (header.e_machine != hostMachine)
    return "it is for " + machineName(header.e_machine) +
           ", and this machine is " + machineName(hostMachine);
  if (header.e_type != ET_DYN)
    return header.e_type == ET_REL
               ? "it is an object file, not a linked shared object"
               : "it is not a shared object";
  return "";
}

std::string Image::checkSegments() {
  if (header.e_phnum == 0 || header.e_phentsize != sizeof(Elf64_Phdr))
    return "it is damaged: no program headers";
  if (!inside(header.e_phoff, uint64_t(header.e_phnum) * sizeof(Elf64_Phdr)))
    return truncated();
  bool dynamic = false;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, bytes + header.e_phoff + i * sizeof segment,
                sizeof segment);
    if (segment.p_type == PT_LOAD || segment.p_type == PT_DYNAMIC ||
        segment.p_type == PT_NOTE) {
      if (!inside(segment.p_offset, segment.p_filesz))
        return truncated();
      if (segment.p_filesz > segment.p_memsz)
        return "it is damaged: a segment is larger in the file than in memory";
    }
    dynamic |= segment.p_type == PT_DYNAMIC;
  }
  return dynamic ? "" : "it is damaged: no dynamic section";
}

std::string Image::check() {
  if (std::string error = checkIdentity(); !error.empty())
    return error;
  if (std::string error = checkSegments(); !error.empty())
    return error;
  // Linkers write the section headers last: where they are whole, so is the
  // file.
  if (header.e_shnum &&
      !inside(header.e_shoff, uint64_t(header.e_shnum) * header.e_shentsize))
    return truncated();
  return "";
}

} // namespace

std::string checkSharedObject(const unsigned char *bytes, size_t size) {
  return Image(bytes, size).check();
}

} // namespace lnn::runtime
