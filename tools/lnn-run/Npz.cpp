//===- Npz.cpp - NumPy's files of arrays ----------------------------------===//
#include "Npz.h"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace lnn::tool {
namespace {

struct TypeName {
  const char *descr;
  lnn_dtype dtype;
};
/// NumPy's codes without the byte order; the first of a type is the one
/// written.
constexpr TypeName types[] = {
    {"f4", LNN_F32}, {"f8", LNN_F64}, {"f2", LNN_F16}, {"i1", LNN_I8},
    {"u1", LNN_U8},  {"i2", LNN_I16}, {"u2", LNN_U16}, {"i4", LNN_I32},
    {"u4", LNN_U32}, {"i8", LNN_I64}, {"u8", LNN_U64}, {"b1", LNN_BOOL},
    {"V2", LNN_BF16}};

/// The header is a Python literal: {'descr': '<f4', 'fortran_order': False,
/// 'shape': (2, 3), }.
class Header {
public:
  explicit Header(std::string text) : text(std::move(text)) {}
  lnn_dtype dtype() const;
  bool fortranOrder() const;
  std::vector<int64_t> dims() const;

private:
  std::string text;
  [[noreturn]] static void bad(const std::string &why) {
    throw std::runtime_error("not an .npy array: " + why);
  }
  /// Where the value of a key starts.
  size_t find(const char *key) const {
    size_t at = text.find("'" + std::string(key) + "'");
    if (at == text.npos || (at = text.find(':', at)) == text.npos)
      bad("its header has no " + std::string(key));
    return text.find_first_not_of(' ', at + 1);
  }
};

lnn_dtype Header::dtype() const {
  size_t at = find("descr");
  size_t end = at < text.size() && text[at] == '\'' ? text.find('\'', at + 1)
                                                    : text.npos;
  if (end == text.npos)
    bad("records are not supported");
  std::string descr = text.substr(at + 1, end - at - 1);
  if (descr.size() == 3 && descr[0] == '>' && descr[2] != '1')
    bad("big-endian elements (" + descr + ") are not supported");
  for (const TypeName &type : types)
    if (descr.size() == 3 && descr.compare(1, 2, type.descr) == 0)
      return type.dtype;
  bad("elements of type '" + descr + "' are not supported");
}

bool Header::fortranOrder() const {
  size_t at = find("fortran_order");
  return at < text.size() && text.compare(at, 4, "True") == 0;
}

std::vector<int64_t> Header::dims() const {
  size_t at = find("shape");
  if (at >= text.size() || text[at] != '(')
    bad("its header has no shape");
  std::vector<int64_t> dims;
  for (++at; at < text.size() && text[at] != ')';) {
    if (text[at] == ' ' || text[at] == ',') {
      ++at;
      continue;
    }
    int64_t value = 0;
    size_t start = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text[at] - '0', &value))
        bad("a size is too large");
    if (at == start || dims.size() == 32)
      bad("its shape makes no sense");
    dims.push_back(value);
  }
  return dims;
}

/// Elements in row-major order.
Bytes fromFortran(const Bytes &bytes, const std::vector<int64_t> &dims,
                  size_t size) {
  Bytes result(bytes.size());
  std::vector<int64_t> position(dims.size());
  std::vector<size_t> strides;
  size_t stride = size;
  for (int64_t dim : dims) {
    strides.push_back(stride);
    stride *= static_cast<size_t>(dim);
  }
  for (size_t to = 0; to < result.size(); to += size) {
    size_t from = 0;
    for (size_t axis = 0; axis < dims.size(); ++axis)
      from += static_cast<size_t>(position[axis]) * strides[axis];
    std::memcpy(result.data() + to, bytes.data() + from, size);
    for (size_t axis = dims.size();
         axis-- > 0 && ++position[axis] == dims[axis];)
      position[axis] = 0;
  }
  return result;
}

Array readNpy(const Bytes &bytes) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (bytes.size() < 12 || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0)
    throw std::runtime_error("not an .npy array");
  bool first = byte(6) == 1;
  size_t start = first ? 10 : 12, length = byte(8) | byte(9) << 8;
  if (!first)
    length |= static_cast<size_t>(byte(10)) << 16 |
              static_cast<size_t>(byte(11)) << 24;
  if (byte(6) < 1 || byte(6) > 3 || length > bytes.size() - start)
    throw std::runtime_error("not a whole .npy array");
  Header header(std::string(bytes.data() + start, length));
  Array array;
  array.dtype = header.dtype();
  array.dims = header.dims();
  uint64_t expected = lnn_dtype_size(array.dtype),
           found = bytes.size() - start - length;
  for (int64_t dim : array.dims)
    if (__builtin_mul_overflow(expected, static_cast<uint64_t>(dim), &expected))
      throw std::runtime_error("its shape " + array.shape() + " is too large");
  if (found != expected)
    throw std::runtime_error("its shape " + array.shape() + " needs " +
                             std::to_string(expected) + " bytes, found " +
                             std::to_string(found));
  array.bytes.assign(bytes.begin() + static_cast<ptrdiff_t>(start + length),
                     bytes.end());
  if (header.fortranOrder())
    array.bytes =
        fromFortran(array.bytes, array.dims, lnn_dtype_size(array.dtype));
  return array;
}

Bytes writeNpy(const Array &array) {
  std::string descr = "V2";
  for (const TypeName &type : types)
    if (type.dtype == array.dtype)
      descr = type.descr;
  std::string text =
      "{'descr': '" +
      std::string(descr[1] == '1' || descr[0] == 'V' ? "|" : "<") + descr +
      "', 'fortran_order': False, 'shape': (";
  for (int64_t dim : array.dims)
    text += std::to_string(dim) + ",";
  text += "), }";
  text.append(63 - (10 + text.size()) % 64, ' ');
  text += '\n';
  Bytes bytes{'\x93',
              'N',
              'U',
              'M',
              'P',
              'Y',
              1,
              0,
              static_cast<char>(text.size()),
              static_cast<char>(text.size() >> 8)};
  bytes.insert(bytes.end(), text.begin(), text.end());
  bytes.insert(bytes.end(), array.bytes.begin(), array.bytes.end());
  return bytes;
}

double fromHalf(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double magnitude = exponent == 31 ? (fraction ? NAN : INFINITY)
                     : exponent     ? std::ldexp(1024 + fraction, exponent - 25)
                                    : std::ldexp(fraction, -24);
  return bits & 0x8000 ? -magnitude : magnitude;
}

template <typename Element> Element load(const Bytes &bytes, size_t index) {
  Element value;
  std::memcpy(&value, bytes.data() + index * sizeof value, sizeof value);
  return value;
}

double fromBfloat(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

struct CloseFile {
  FILE *file;
  ~CloseFile() {
    if (file)
      std::fclose(file);
  }
};

Bytes readFile(const std::string &path) {
  CloseFile in{std::fopen(path.c_str(), "rb")};
  if (!in.file)
    throw std::runtime_error(std::strerror(errno));
  Bytes bytes;
  char block[1 << 16];
  while (size_t count = std::fread(block, 1, sizeof block, in.file))
    bytes.insert(bytes.end(), block, block + count);
  if (std::ferror(in.file))
    throw std::runtime_error(std::strerror(errno));
  return bytes;
}

} // namespace

double Array::value(size_t index) const {
  switch (dtype) {
  case LNN_F32:
    return load<float>(bytes, index);
  case LNN_F64:
    return load<double>(bytes, index);
  case LNN_F16:
    return fromHalf(load<uint16_t>(bytes, index));
  case LNN_BF16:
    return fromBfloat(load<uint16_t>(bytes, index));
  case LNN_I8:
    return load<int8_t>(bytes, index);
  case LNN_U8:
  case LNN_BOOL:
    return load<uint8_t>(bytes, index);
  case LNN_I16:
    return load<int16_t>(bytes, index);
  case LNN_U16:
    return load<uint16_t>(bytes, index);
  case LNN_I32:
    return load<int32_t>(bytes, index);
  case LNN_U32:
    return load<uint32_t>(bytes, index);
  case LNN_I64:
    return static_cast<double>(load<int64_t>(bytes, index));
  case LNN_U64:
    return static_cast<double>(load<uint64_t>(bytes, index));
  }
  return NAN;
}

std::string Array::shape() const {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? ", " : "") + std::to_string(dims[i]);
  return text + "]";
}

Arrays readNpz(const std::string &path) {
  try {
    Arrays arrays;
    for (auto &[name, bytes] : readZip(readFile(path))) {
      size_t dot = name.size() >= 4 ? name.size() - 4 : 0;
      std::string plain =
          name.compare(dot, 4, ".npy") == 0 ? name.substr(0, dot) : name;
      try {
        arrays[plain] = readNpy(bytes);
      } catch (const std::runtime_error &error) {
        throw std::runtime_error("array '" + plain + "': " + error.what());
      }
    }
    return arrays;
  } catch (const std::runtime_error &error) {
    throw std::runtime_error("cannot read " + path + ": " + error.what());
  }
}

void writeNpz(const std::string &path,
              const std::vector<std::pair<std::string, Array>> &arrays) {
  std::vector<std::pair<std::string, Bytes>> members;
  for (const auto &[name, array] : arrays)
    members.emplace_back(name + ".npy", writeNpy(array));
  Bytes bytes = writeZip(members);
  CloseFile out{std::fopen(path.c_str(), "wb")};
  if (!out.file ||
      std::fwrite(bytes.data(), 1, bytes.size(), out.file) != bytes.size() ||
      std::fflush(out.file) != 0)
    throw std::runtime_error("cannot write " + path + ": " +
                             std::strerror(errno));
}

} // namespace lnn::tool
