//===- TensorReader.cpp - constants of an ONNX model ----------------------===//
#include "TensorReader.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace lnn::onnx;

namespace pb = ::onnx;

// A sparse tensor of a few bytes may claim any size: this much becomes dense.
static constexpr int64_t kMaxDensified = int64_t(256) << 20;

//===----------------------------------------------------------------------===//
// Names and types
//===----------------------------------------------------------------------===//

std::string lnn::onnx::clean(StringRef text) {
  std::string result =
      llvm::json::isUTF8(text) ? text.str() : llvm::json::fixUTF8(text);
  for (char &c : result)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      c = '?';
  return result;
}

Type lnn::onnx::elementTypeOf(MLIRContext *context, int32_t type) {
  auto integer = [&](unsigned width, bool isUnsigned = false) -> Type {
    return IntegerType::get(context, width,
                            isUnsigned ? IntegerType::Unsigned
                                       : IntegerType::Signless);
  };
  switch (type) {
  case pb::TensorProto::FLOAT:
    return Float32Type::get(context);
  case pb::TensorProto::DOUBLE:
    return Float64Type::get(context);
  case pb::TensorProto::FLOAT16:
    return Float16Type::get(context);
  case pb::TensorProto::BFLOAT16:
    return BFloat16Type::get(context);
  case pb::TensorProto::INT8:
    return integer(8);
  case pb::TensorProto::INT16:
    return integer(16);
  case pb::TensorProto::INT32:
    return integer(32);
  case pb::TensorProto::INT64:
    return integer(64);
  case pb::TensorProto::UINT8:
    return integer(8, true);
  case pb::TensorProto::UINT16:
    return integer(16, true);
  case pb::TensorProto::UINT32:
    return integer(32, true);
  case pb::TensorProto::UINT64:
    return integer(64, true);
  case pb::TensorProto::BOOL:
    return integer(1);
  default:
    return Type();
  }
}

std::string lnn::onnx::elementTypeName(int32_t type) {
  // By number: the header that this is built with may be older than the model.
  static constexpr const char *names[] = {
      "UNDEFINED",      "FLOAT",      "UINT8",
      "INT8",           "UINT16",     "INT16",
      "INT32",          "INT64",      "STRING",
      "BOOL",           "FLOAT16",    "DOUBLE",
      "UINT32",         "UINT64",     "COMPLEX64",
      "COMPLEX128",     "BFLOAT16",   "FLOAT8E4M3FN",
      "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ",
      "UINT4",          "INT4",       "FLOAT4E2M1",
      "FLOAT8E8M0",     "UINT2",      "INT2"};
  if (type >= 0 && size_t(type) < std::size(names))
    return names[type];
  return "number " + std::to_string(type);
}

LogicalResult TensorReader::Request::error(const Twine &message) const {
  emitError(at) << what << ' ' << message.str();
  return failure();
}

LogicalResult TensorReader::Request::unsupported(const Twine &message) const {
  emitError(at) << "not supported: " << what << ' ' << message.str();
  return failure();
}

/// The shape, and how many bytes a dense tensor of it takes.
static FailureOr<int64_t>
checkedShape(const google::protobuf::RepeatedField<int64_t> &dims,
             size_t elementBytes, SmallVectorImpl<int64_t> &shape,
             llvm::function_ref<LogicalResult(const Twine &)> error) {
  if (dims.size() > kMaxRank)
    return error("has rank " + Twine(dims.size()) + ", at most " +
                 Twine(kMaxRank) + " is supported");
  int64_t bytes = elementBytes;
  bool tooMany = false;
  for (int64_t d : dims) {
    if (d < 0)
      return error("has a negative dimension, " + Twine(d));
    tooMany |= d > kMaxDim || llvm::MulOverflow(bytes, d, bytes) ||
               bytes > 8 * kMaxDim;
    shape.push_back(d);
  }
  if (tooMany) {
    std::string text;
    for (int64_t d : shape)
      text += (text.empty() ? "" : " x ") + std::to_string(d);
    return error("claims " + text + " elements; no model holds that many");
  }
  return bytes;
}

//===----------------------------------------------------------------------===//
// Files beside the model
//===----------------------------------------------------------------------===//

/// The file of that path, which may not leave the model's folder.
FailureOr<llvm::MemoryBuffer *>
TensorReader::openBeside(StringRef location, const Request &request) {
  namespace fs = llvm::sys::fs;
  namespace path = llvm::sys::path;
  auto refuse = [&](const Twine &why) {
    return request.error("lies in the file '" + clean(location) + "', which " +
                         why);
  };
  if (location.empty() || location.contains('\0') ||
      path::is_absolute(location))
    return refuse("is refused: the path must be relative to the model's "
                  "folder");
  for (StringRef part :
       llvm::make_range(path::begin(location), path::end(location)))
    if (part == "..")
      return refuse("is refused: the path leaves the model's folder");
  if (baseDir.empty())
    return refuse("cannot be found: the model was not read from a file; give "
                  "its folder");
  llvm::SmallString<256> joined(baseDir), real, base;
  path::append(joined, location);
  if (std::error_code error = fs::real_path(joined, real))
    return refuse("cannot be read: " + error.message());
  if (std::error_code error = fs::real_path(baseDir, base))
    return refuse("cannot be read: " + error.message());
  // A link may not leave the folder either.
  StringRef rest = real;
  bool inside = rest.consume_front(base) &&
                (rest.starts_with("/") || StringRef(base).ends_with("/"));
  if (!inside)
    return refuse("is refused: it lies outside of the model's folder");
  std::unique_ptr<llvm::MemoryBuffer> &file = files[real];
  if (file)
    return file.get();
  if (!fs::is_regular_file(real)) // a pipe would never end
    return refuse("is refused: it is not a regular file");
  auto opened = llvm::MemoryBuffer::getFile(real, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!opened)
    return refuse("cannot be read: " + opened.getError().message());
  file = std::move(*opened);
  return file.get();
}

FailureOr<ArrayRef<char>>
TensorReader::externalBytes(const pb::TensorProto &tensor, size_t expected,
                            const Request &request) {
  std::string location;
  uint64_t offset = 0, size = expected;
  for (const auto &entry : tensor.external_data()) {
    StringRef key = entry.key(), value = entry.value();
    if (key == "location")
      location = value.str();
    else if ((key == "offset" && value.getAsInteger(10, offset)) ||
             (key == "length" && value.getAsInteger(10, size)))
      return request.error("has external data whose " + key + " is '" +
                           clean(value) + "'");
  }
  auto file = openBeside(location, request);
  if (failed(file))
    return failure();
  auto refuse = [&](const Twine &why) {
    return request.error("lies in the file '" + clean(location) + "', " + why);
  };
  if (size != expected)
    return refuse("which holds " + Twine(size) + " bytes of it; " +
                  Twine(expected) + " were expected");
  uint64_t end = (*file)->getBufferSize();
  if (offset > end || size > end - offset)
    return refuse("which ends at byte " + Twine(end) + "; " + Twine(size) +
                  " bytes at " + Twine(offset) + " were expected");
  return ArrayRef<char>((*file)->getBufferStart() + offset, size);
}

//===----------------------------------------------------------------------===//
// Dense tensors
//===----------------------------------------------------------------------===//

template <typename T, typename List>
static std::vector<char> narrowed(const List &list) {
  std::vector<char> bytes(list.size() * sizeof(T));
  size_t at = 0;
  for (auto v : list) {
    T value = T(v);
    std::memcpy(bytes.data() + at, &value, sizeof(T));
    at += sizeof(T);
  }
  return bytes;
}

/// The bytes of the typed field that holds this element type.
static std::vector<char> typedField(const pb::TensorProto &t) {
  switch (t.data_type()) {
  case pb::TensorProto::FLOAT:
    return narrowed<float>(t.float_data());
  case pb::TensorProto::DOUBLE:
    return narrowed<double>(t.double_data());
  case pb::TensorProto::INT64:
    return narrowed<int64_t>(t.int64_data());
  case pb::TensorProto::UINT64:
    return narrowed<uint64_t>(t.uint64_data());
  case pb::TensorProto::UINT32:
    return narrowed<uint32_t>(t.uint64_data());
  case pb::TensorProto::INT32:
    return narrowed<int32_t>(t.int32_data());
  case pb::TensorProto::INT16:
  case pb::TensorProto::UINT16:
  case pb::TensorProto::FLOAT16:
  case pb::TensorProto::BFLOAT16:
    return narrowed<uint16_t>(t.int32_data());
  default:
    return narrowed<uint8_t>(t.int32_data());
  }
}

static ElementsAttr dense(RankedTensorType type, ArrayRef<char> data) {
  if (type.getNumElements() == 0)
    data = {};
  if (!type.getElementType().isInteger(1))
    return cast<ElementsAttr>(DenseElementsAttr::getFromRawBuffer(type, data));
  SmallVector<bool> flags;
  flags.reserve(data.size());
  for (char c : data)
    flags.push_back(c != 0);
  return cast<ElementsAttr>(
      DenseElementsAttr::get(type, ArrayRef<bool>(flags)));
}

FailureOr<ElementsAttr> TensorReader::readDense(pb::TensorProto &t,
                                                const Request &request) {
  Type element = elementTypeOf(context, t.data_type());
  if (!element)
    return request.unsupported("has element type " +
                               elementTypeName(t.data_type()));
  if (t.has_segment())
    return request.unsupported("is split into segments");
  SmallVector<int64_t> shape;
  size_t width = std::max(1u, element.getIntOrFloatBitWidth() / 8);
  auto expected =
      checkedShape(t.dims(), width, shape, [&](const Twine &message) {
        return request.error(message);
      });
  if (failed(expected))
    return failure();
  std::vector<char> bytes;
  ArrayRef<char> data;
  if (t.data_location() == pb::TensorProto::EXTERNAL) {
    auto external = externalBytes(t, *expected, request);
    if (failed(external))
      return failure();
    data = *external;
  } else if (t.has_raw_data()) {
    data = ArrayRef<char>(t.raw_data().data(), t.raw_data().size());
  } else {
    bytes = typedField(t);
    data = bytes;
  }
  if (data.size() != size_t(*expected))
    return request.error("holds " + Twine(data.size()) +
                         " bytes, its type needs " + Twine(*expected));
  return dense(RankedTensorType::get(shape, element), data);
}

FailureOr<ElementsAttr> TensorReader::read(pb::TensorProto &tensor,
                                           const std::string &what,
                                           Location at) {
  if (auto it = done.find(&tensor); it != done.end())
    return it->second;
  auto value = readDense(tensor, {what, at});
  if (failed(value))
    return failure();
  tensor.Clear();
  return done[&tensor] = *value;
}

//===----------------------------------------------------------------------===//
// Sparse tensors
//===----------------------------------------------------------------------===//

/// Where in the dense tensor the value stands whose indices are these; -1 where
/// that is outside.
static int64_t position(ArrayRef<int64_t> indices, ArrayRef<int64_t> shape,
                        int64_t count) {
  if (indices.size() == 1 && shape.size() != 1)
    return indices[0] >= 0 && indices[0] < count ? indices[0] : -1;
  int64_t at = 0;
  for (auto [index, size] : llvm::zip_equal(indices, shape)) {
    if (index < 0 || index >= size)
      return -1;
    at = at * size + index;
  }
  return at;
}

FailureOr<ElementsAttr> TensorReader::readSparse(pb::SparseTensorProto &t,
                                                 const Request &request) {
  auto values = readDense(*t.mutable_values(), request);
  if (failed(values))
    return failure();
  std::string what = "the indices of " + request.what;
  auto indices = readDense(*t.mutable_indices(), {what, request.at});
  if (failed(indices))
    return failure();
  auto valuesType = cast<RankedTensorType>(values->getType()),
       indexType = cast<RankedTensorType>(indices->getType());
  Type element = valuesType.getElementType();
  SmallVector<int64_t> shape;
  size_t width = std::max(1u, element.getIntOrFloatBitWidth() / 8);
  auto bytes = checkedShape(t.dims(), width, shape, [&](const Twine &message) {
    return request.error(message);
  });
  if (failed(bytes))
    return failure();
  if (*bytes > kMaxDensified)
    return request.unsupported("is sparse and has " + Twine(*bytes) +
                               " bytes when dense; at most " +
                               Twine(kMaxDensified) + " are");
  int64_t each = indexType.getRank() == 2 ? indexType.getDimSize(1) : 1;
  bool fits = valuesType.getRank() == 1 &&
              (indexType.getRank() == 1 || indexType.getRank() == 2) &&
              indexType.getElementType().isSignlessInteger(64) &&
              indexType.getDimSize(0) == valuesType.getDimSize(0) &&
              (indexType.getRank() == 1 || each == int64_t(shape.size()));
  if (!fits)
    return request.error("is sparse, and its values and indices don't fit");
  SmallVector<int64_t> flat(
      cast<DenseElementsAttr>(*indices).getValues<int64_t>());
  std::vector<char> data(*bytes, 0);
  auto from = cast<DenseElementsAttr>(*values);
  bool isBool = element.isInteger(1);
  ArrayRef<char> raw = from.getRawData();
  SmallVector<char> flags;
  if (isBool) {
    for (bool v : from.getValues<bool>())
      flags.push_back(v);
    raw = flags;
  }
  for (int64_t i = 0, n = valuesType.getDimSize(0); i < n; ++i) {
    int64_t at = position(ArrayRef<int64_t>(flat).slice(i * each, each), shape,
                          *bytes / int64_t(width));
    if (at < 0)
      return request.error("is sparse, and its index " + Twine(i) +
                           " is outside of its shape");
    bool splat = !isBool && from.isSplat();
    std::memcpy(data.data() + at * width, raw.data() + (splat ? 0 : i * width),
                width);
  }
  return dense(RankedTensorType::get(shape, element), data);
}

FailureOr<ElementsAttr> TensorReader::read(pb::SparseTensorProto &tensor,
                                           const std::string &what,
                                           Location at) {
  if (auto it = done.find(&tensor); it != done.end())
    return it->second;
  auto value = readSparse(tensor, {what, at});
  if (failed(value))
    return failure();
  tensor.Clear();
  return done[&tensor] = *value;
}
