//===- CpuFeatures.cpp - what this processor can do -----------------------===//
#include "CpuFeatures.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__linux__)
#include <sys/auxv.h>
#endif

namespace lnn::runtime {

#if defined(__x86_64__)
namespace {

enum Register { Eax, Ebx, Ecx, Edx };
/// What the operating system must save for the feature to be usable, as bits of
/// XCR0.
enum Saved : uint64_t { None = 0, Avx = 0x6, Avx512 = 0xe6, Tiles = 0x60000 };

struct Feature {
  std::string_view name;
  uint32_t leaf, subleaf;
  Register reg;
  unsigned bit;
  Saved saved;
};

constexpr Feature features[] = {
    {"sse2", 1, 0, Edx, 26, None},
    {"sse3", 1, 0, Ecx, 0, None},
    {"pclmul", 1, 0, Ecx, 1, None},
    {"ssse3", 1, 0, Ecx, 9, None},
    {"fma", 1, 0, Ecx, 12, Avx},
    {"sse4.1", 1, 0, Ecx, 19, None},
    {"sse4.2", 1, 0, Ecx, 20, None},
    {"movbe", 1, 0, Ecx, 22, None},
    {"popcnt", 1, 0, Ecx, 23, None},
    {"aes", 1, 0, Ecx, 25, None},
    {"avx", 1, 0, Ecx, 28, Avx},
    {"f16c", 1, 0, Ecx, 29, Avx},
    {"bmi", 7, 0, Ebx, 3, None},
    {"avx2", 7, 0, Ebx, 5, Avx},
    {"bmi2", 7, 0, Ebx, 8, None},
    {"avx512f", 7, 0, Ebx, 16, Avx512},
    {"avx512dq", 7, 0, Ebx, 17, Avx512},
    {"avx512ifma", 7, 0, Ebx, 21, Avx512},
    {"avx512cd", 7, 0, Ebx, 28, Avx512},
    {"avx512bw", 7, 0, Ebx, 30, Avx512},
    {"avx512vl", 7, 0, Ebx, 31, Avx512},
    {"avx512vbmi", 7, 0, Ecx, 1, Avx512},
    {"avx512vbmi2", 7, 0, Ecx, 6, Avx512},
    {"gfni", 7, 0, Ecx, 8, None},
    {"vaes", 7, 0, Ecx, 9, Avx},
    {"vpclmulqdq", 7, 0, Ecx, 10, Avx},
    {"avx512vnni", 7, 0, Ecx, 11, Avx512},
    {"avx512bitalg", 7, 0, Ecx, 12, Avx512},
    {"avx512vpopcntdq", 7, 0, Ecx, 14, Avx512},
    {"avx512fp16", 7, 0, Edx, 23, Avx512},
    {"avxvnni", 7, 1, Eax, 4, Avx},
    {"avx512bf16", 7, 1, Eax, 5, Avx512},
    {"amx-bf16", 7, 0, Edx, 22, Tiles},
    {"amx-tile", 7, 0, Edx, 24, Tiles},
    {"lzcnt", 0x80000001, 0, Ecx, 5, None},
};

uint64_t savedByTheSystem() {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27))) // OSXSAVE
    return 0;
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

/// Linux lets a process use tiles that asks for them.
bool mayUseTiles() {
#ifdef __linux__
  constexpr long requestPermission = 0x1023, tileData = 18;
  static const bool granted =
      syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
  return granted;
#else
  return false;
#endif
}

} // namespace

bool hasCpuFeature(std::string_view name) {
  for (const Feature &feature : features) {
    if (feature.name != name)
      continue;
    uint32_t regs[4];
    // A CPU that has leaf 7 but not a subleaf answers zeros.
    if (!__get_cpuid_count(feature.leaf, feature.subleaf, &regs[Eax],
                           &regs[Ebx], &regs[Ecx], &regs[Edx]))
      return false;
    return (regs[feature.reg] >> feature.bit & 1) &&
           (savedByTheSystem() & feature.saved) == feature.saved &&
           (feature.saved != Tiles || mayUseTiles());
  }
  return false;
}

#elif defined(__aarch64__) && defined(__linux__)
namespace {

struct Feature {
  std::string_view name;
  unsigned long type;
  unsigned bit;
};

/// Bits of the kernel's HWCAP words, which never change.
constexpr Feature features[] = {
    {"fp-armv8", AT_HWCAP, 0},  {"neon", AT_HWCAP, 1},
    {"aes", AT_HWCAP, 3},       {"sha2", AT_HWCAP, 6},
    {"crc", AT_HWCAP, 7},       {"lse", AT_HWCAP, 8},
    {"fullfp16", AT_HWCAP, 10}, {"rdm", AT_HWCAP, 12},
    {"jsconv", AT_HWCAP, 13},   {"complxnum", AT_HWCAP, 14},
    {"rcpc", AT_HWCAP, 15},     {"sha3", AT_HWCAP, 17},
    {"dotprod", AT_HWCAP, 20},  {"sve", AT_HWCAP, 22},
    {"fp16fml", AT_HWCAP, 23},  {"sve2", AT_HWCAP2, 1},
    {"i8mm", AT_HWCAP2, 13},    {"bf16", AT_HWCAP2, 14},
};

} // namespace

bool hasCpuFeature(std::string_view name) {
  for (const Feature &feature : features)
    if (feature.name == name)
      return getauxval(feature.type) >> feature.bit & 1;
  return false;
}

#else

bool hasCpuFeature(std::string_view) { return false; }

#endif

std::string missingCpuFeatures(std::string_view list) {
  std::string missing;
  while (!list.empty()) {
    size_t comma = list.find(',');
    std::string_view name = list.substr(0, comma);
    list = comma == list.npos ? std::string_view() : list.substr(comma + 1);
    if (!name.empty() && name[0] == '+')
      name.remove_prefix(1);
    if (!name.empty() && name[0] != '-' && !hasCpuFeature(name))
      missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  return missing;
}

} // namespace lnn::runtime
