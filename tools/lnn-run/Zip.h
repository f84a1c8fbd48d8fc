//===- Zip.h - the members of a zip archive -------------------------------===//
#ifndef LNN_TOOLS_LNN_RUN_ZIP_H
#define LNN_TOOLS_LNN_RUN_ZIP_H

#include <string>
#include <utility>
#include <vector>

namespace lnn::tool {

using Bytes = std::vector<char>;

/// Reads all members (stored or deflated). The archive is untrusted: what does
/// not add up throws std::runtime_error.
std::vector<std::pair<std::string, Bytes>> readZip(const Bytes &archive);

/// An archive of stored members.
Bytes writeZip(const std::vector<std::pair<std::string, Bytes>> &members);

} // namespace lnn::tool

#endif
