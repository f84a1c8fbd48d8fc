//===- Elf.h - is this a whole shared object for this machine? ------------===//
#ifndef LNN_LIB_RUNTIME_ELF_H
#define LNN_LIB_RUNTIME_ELF_H

#include <cstddef>
#include <string>

namespace lnn::runtime {

/// Why the dynamic loader must not be given these bytes; "" if it may. The
/// loader maps what the headers claim: a file that ends early would be a SIGBUS
/// there instead of an error.
std::string checkSharedObject(const unsigned char *bytes, size_t size);

} // namespace lnn::runtime

#endif
