//===- CpuFeatures.h - what this processor can do -------------------------===//
#ifndef LNN_LIB_RUNTIME_CPUFEATURES_H
#define LNN_LIB_RUNTIME_CPUFEATURES_H

#include <string>
#include <string_view>

namespace lnn::runtime {

/// Whether this CPU and its operating system have a feature, named as LLVM
/// does. No to a name it does not know.
bool hasCpuFeature(std::string_view name);

/// Of a comma-separated list, what this machine lacks: "avx512f, gfni"; "" if
/// nothing.
std::string missingCpuFeatures(std::string_view list);

} // namespace lnn::runtime

#endif
