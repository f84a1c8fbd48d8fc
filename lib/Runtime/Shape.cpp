//===- Shape.cpp - element types, sizes and strides -----------------------===//
#include "Shape.h"

#include <cstring>

namespace lnn::runtime {

size_t dtypeSize(int32_t dtype) {
  switch (dtype) {
  case LNN_U8:
  case LNN_I8:
  case LNN_BOOL:
    return 1;
  case LNN_U16:
  case LNN_I16:
  case LNN_F16:
  case LNN_BF16:
    return 2;
  case LNN_F32:
  case LNN_I32:
  case LNN_U32:
    return 4;
  case LNN_F64:
  case LNN_I64:
  case LNN_U64:
    return 8;
  default:
    return 0;
  }
}

const char *dtypeName(int32_t dtype) {
  static constexpr const char *names[] = {
      "?",      "float32", "uint8", "int8", "uint16",  "int16",
      "int32",  "int64",   "?",     "bool", "float16", "float64",
      "uint32", "uint64",  "?",     "?",    "bfloat16"};
  return dtypeSize(dtype) ? names[dtype] : "?";
}

int32_t dtypeNumber(const lnn_dtype &dtype) {
  static_assert(sizeof(lnn_dtype) == sizeof(int32_t));
  int32_t number;
  std::memcpy(&number, &dtype, sizeof number);
  return number;
}

int64_t denseBytes(int32_t dtype, const int64_t *dims, int32_t rank) {
  int64_t bytes = static_cast<int64_t>(dtypeSize(dtype));
  bool empty = false;
  for (int32_t i = 0; i < rank; ++i) {
    if (dims[i] < 0)
      return -1;
    empty |= dims[i] == 0;
  }
  if (empty)
    return 0;
  for (int32_t i = 0; i < rank; ++i)
    if (__builtin_mul_overflow(bytes, dims[i], &bytes) ||
        bytes > (int64_t(1) << 47))
      return -1;
  return bytes;
}

std::string shapeText(const int64_t *dims, int32_t rank) {
  std::string text = "[";
  for (int32_t i = 0; i < rank; ++i)
    text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + "]";
}

bool isDense(const lnn_tensor &tensor) {
  if (!tensor.strides)
    return true;
  for (int32_t i = 0; i < tensor.rank; ++i)
    if (tensor.dims[i] == 0)
      return true;
  int64_t expected = static_cast<int64_t>(dtypeSize(dtypeNumber(tensor.dtype)));
  for (int32_t i = tensor.rank - 1; i >= 0; --i) {
    if (tensor.dims[i] != 1 && tensor.strides[i] != expected)
      return false;
    expected *= tensor.dims[i];
  }
  return true;
}

Extent extentOf(const lnn_tensor &tensor) {
  int32_t dtype = dtypeNumber(tensor.dtype);
  int64_t bytes = denseBytes(dtype, tensor.dims, tensor.rank);
  if (bytes <= 0 || !tensor.data)
    return {0, 0};
  auto begin = reinterpret_cast<intptr_t>(tensor.data);
  if (!tensor.strides)
    return {begin, begin + bytes};
  intptr_t end = begin + static_cast<intptr_t>(dtypeSize(dtype));
  for (int32_t i = 0; i < tensor.rank; ++i) {
    int64_t reach = 0;
    (void)__builtin_mul_overflow(tensor.dims[i] - 1, tensor.strides[i], &reach);
    (reach < 0 ? begin : end) += reach;
  }
  return {begin, end};
}

namespace {

/// Copies elements between dense memory and a strided tensor, the last axis
/// innermost; `Element` is an unsigned of the element's size, moved through
/// memcpy because neither side need be aligned.
template <typename Element, bool toDense>
void copyStrided(const lnn_tensor &strided, char *dense) {
  int64_t position[maxRank] = {};
  int32_t rank = strided.rank;
  if (rank == 0) {
    std::memcpy(toDense ? dense : strided.data, toDense ? strided.data : dense,
                sizeof(Element));
    return;
  }
  int64_t inner = strided.dims[rank - 1], step = strided.strides[rank - 1];
  char *row = static_cast<char *>(strided.data);
  for (;;) {
    char *at = row;
    for (int64_t i = 0; i < inner; ++i, at += step, dense += sizeof(Element))
      std::memcpy(toDense ? dense : at, toDense ? at : dense, sizeof(Element));
    int32_t axis = rank - 2;
    for (; axis >= 0; --axis) {
      row += strided.strides[axis];
      if (++position[axis] < strided.dims[axis])
        break;
      row -= strided.strides[axis] * strided.dims[axis];
      position[axis] = 0;
    }
    if (axis < 0)
      return;
  }
}

template <bool toDense> void copy(const lnn_tensor &tensor, void *dense) {
  int32_t dtype = dtypeNumber(tensor.dtype);
  int64_t bytes = denseBytes(dtype, tensor.dims, tensor.rank);
  if (bytes <= 0)
    return;
  if (isDense(tensor)) {
    // A state may be set from a view of itself.
    std::memmove(toDense ? dense : tensor.data, toDense ? tensor.data : dense,
                 static_cast<size_t>(bytes));
    return;
  }
  char *flat = static_cast<char *>(dense);
  switch (dtypeSize(dtype)) {
  case 1:
    return copyStrided<uint8_t, toDense>(tensor, flat);
  case 2:
    return copyStrided<uint16_t, toDense>(tensor, flat);
  case 4:
    return copyStrided<uint32_t, toDense>(tensor, flat);
  default:
    return copyStrided<uint64_t, toDense>(tensor, flat);
  }
}

} // namespace

void pack(const lnn_tensor &from, void *to) { copy<true>(from, to); }

void unpack(const void *from, const lnn_tensor &to) {
  copy<false>(to, const_cast<void *>(from));
}

} // namespace lnn::runtime

extern "C" {
const char *lnn_dtype_name(lnn_dtype dtype) {
  return lnn::runtime::dtypeName(lnn::runtime::dtypeNumber(dtype));
}
size_t lnn_dtype_size(lnn_dtype dtype) {
  return lnn::runtime::dtypeSize(lnn::runtime::dtypeNumber(dtype));
}
}
