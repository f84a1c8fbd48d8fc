//===- Shape.h - element types, sizes and strides -------------------------===//
#ifndef LNN_LIB_RUNTIME_SHAPE_H
#define LNN_LIB_RUNTIME_SHAPE_H

#include "lnn/runtime.h"

#include <string>

namespace lnn::runtime {

/// More than any model has; bounds what a damaged descriptor or a careless
/// caller can claim.
constexpr int32_t maxRank = 32;

/// Bytes of an element; 0 for a number that is no element type.
size_t dtypeSize(int32_t dtype);
const char *dtypeName(int32_t dtype);
/// An enumeration that a C caller filled in may hold any number.
int32_t dtypeNumber(const lnn_dtype &dtype);

/// Bytes of a dense tensor; -1 if that is negative or more than an address
/// space holds.
int64_t denseBytes(int32_t dtype, const int64_t *dims, int32_t rank);
/// "[2, 3]"
std::string shapeText(const int64_t *dims, int32_t rank);
/// Whether strides (in bytes, maybe NULL) are those of a dense row-major
/// tensor. Sizes of 1 and tensors without elements do not care.
bool isDense(const lnn_tensor &tensor);
/// The bytes that a tensor with elements reaches, from its lowest to beyond its
/// highest; {0, 0} if it has none.
struct Extent {
  intptr_t begin, end;
};
Extent extentOf(const lnn_tensor &tensor);
/// Copies a strided tensor's elements to dense memory, and back.
void pack(const lnn_tensor &from, void *to);
void unpack(const void *from, const lnn_tensor &to);

} // namespace lnn::runtime

#endif
