//===- Zip.cpp - the members of a zip archive -----------------------------===//
#include "Zip.h"

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <zlib.h>

namespace lnn::tool {
namespace {

[[noreturn]] void damaged(const std::string &why) {
  throw std::runtime_error("not a whole .npz (zip) file: " + why);
}

/// Little-endian numbers at checked places.
class Reader {
public:
  explicit Reader(const Bytes &bytes) : bytes(bytes) {}
  const char *at(uint64_t offset, uint64_t length) const {
    if (offset > bytes.size() || length > bytes.size() - offset)
      damaged("it ends early");
    return bytes.data() + offset;
  }
  template <typename Number> Number number(uint64_t offset) const {
    const char *from = at(offset, sizeof(Number));
    Number value = 0;
    for (size_t i = sizeof(Number); i-- > 0;)
      value = static_cast<Number>(static_cast<uint64_t>(value) << 8 |
                                  static_cast<unsigned char>(from[i]));
    return value;
  }
  uint16_t u16(uint64_t offset) const { return number<uint16_t>(offset); }
  uint32_t u32(uint64_t offset) const { return number<uint32_t>(offset); }
  uint64_t u64(uint64_t offset) const { return number<uint64_t>(offset); }
  uint64_t size() const { return bytes.size(); }

private:
  const Bytes &bytes;
};

struct Entry {
  std::string name;
  uint16_t flags, method;
  uint32_t crc;
  uint64_t compressed, size, offset;
};

struct Directory {
  uint64_t offset, count;
};

Directory findDirectory(const Reader &zip) {
  constexpr uint64_t endBytes = 22, longestComment = 65535, locatorBytes = 20;
  if (zip.size() < endBytes)
    damaged("it has " + std::to_string(zip.size()) + " bytes");
  uint64_t last = zip.size() - endBytes,
           first = last > longestComment ? last - longestComment : 0;
  for (uint64_t at = last + 1; at-- > first;) {
    if (zip.u32(at) != 0x06054b50)
      continue;
    if (at >= locatorBytes &&
        zip.u32(at - locatorBytes) == 0x07064b50) { // zip64
      uint64_t end = zip.u64(at - locatorBytes + 8);
      if (zip.u32(end) == 0x06064b50)
        return {zip.u64(end + 48), zip.u64(end + 32)};
      damaged("the zip64 directory is missing");
    }
    return {zip.u32(at + 16), zip.u16(at + 10)};
  }
  damaged("no directory");
}

/// Sizes that do not fit 32 bits stand in an extra field, those alone and in
/// this order.
void readZip64(const Reader &zip, uint64_t at, uint64_t length, Entry &entry) {
  for (uint64_t end = at + length; at + 4 <= end;) {
    uint16_t id = zip.u16(at), bytes = zip.u16(at + 2);
    uint64_t field = at + 4, fieldEnd = field + bytes;
    for (uint64_t *value : {&entry.size, &entry.compressed, &entry.offset})
      if (id == 1 && *value == 0xffffffff && field + 8 <= fieldEnd) {
        *value = zip.u64(field);
        field += 8;
      }
    at = fieldEnd;
  }
}

Bytes inflateRaw(const char *from, const Entry &entry) {
  // Deflate makes at most 1032 bytes of one: who claims more would have us
  // allocate for nothing.
  if (entry.size / 1032 > entry.compressed + 1 || entry.size > UINT32_MAX ||
      entry.compressed > UINT32_MAX)
    damaged(entry.name + " claims " + std::to_string(entry.size) + " bytes");
  Bytes result(entry.size);
  Bytef none = 0;
  z_stream stream{};
  stream.next_in = const_cast<Bytef *>(reinterpret_cast<const Bytef *>(from));
  stream.avail_in = static_cast<uInt>(entry.compressed);
  stream.next_out =
      result.empty() ? &none : reinterpret_cast<Bytef *>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    throw std::bad_alloc();
  int status = inflate(&stream, Z_FINISH);
  uLong made = stream.total_out;
  inflateEnd(&stream);
  if (status != Z_STREAM_END || made != entry.size)
    damaged(entry.name + " does not decompress");
  return result;
}

uint32_t checksum(const Bytes &bytes) {
  uLong crc = crc32_z(0, nullptr, 0);
  return static_cast<uint32_t>(crc32_z(
      crc, reinterpret_cast<const Bytef *>(bytes.data()), bytes.size()));
}

Bytes readMember(const Reader &zip, const Entry &entry) {
  if (entry.flags & 1)
    damaged(entry.name + " is encrypted");
  if (zip.u32(entry.offset) != 0x04034b50)
    damaged(entry.name + " is not where the directory says");
  uint64_t start = entry.offset + 30 + zip.u16(entry.offset + 26) +
                   zip.u16(entry.offset + 28);
  const char *from = zip.at(start, entry.compressed);
  Bytes bytes;
  if (entry.method == 8)
    bytes = inflateRaw(from, entry);
  else if (entry.method == 0 && entry.size == entry.compressed)
    bytes.assign(from, from + entry.size);
  else
    damaged(entry.name + " is compressed by an unknown method (" +
            std::to_string(entry.method) + ")");
  if (checksum(bytes) != entry.crc)
    damaged(entry.name + " has a wrong checksum");
  return bytes;
}

void put(Bytes &to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i)
    to.push_back(static_cast<char>(value >> (8 * i)));
}

/// What a local header and a directory entry share: from the version that is
/// needed to the length of the extra field.
void putCommon(Bytes &to, const std::string &name, const Bytes &bytes) {
  put(to, 20, 2);
  put(to, 0, 2);
  put(to, 0, 2);
  put(to, 0x00210000, 4); // 1980-01-01, so that equal results make equal files
  put(to, checksum(bytes), 4);
  put(to, bytes.size(), 4);
  put(to, bytes.size(), 4);
  put(to, name.size(), 2);
  put(to, 0, 2);
}

} // namespace

std::vector<std::pair<std::string, Bytes>> readZip(const Bytes &archive) {
  Reader zip(archive);
  Directory directory = findDirectory(zip);
  std::vector<std::pair<std::string, Bytes>> members;
  uint64_t at = directory.offset;
  for (uint64_t i = 0; i < directory.count; ++i) {
    if (zip.u32(at) != 0x02014b50)
      damaged("its directory is damaged");
    uint16_t nameBytes = zip.u16(at + 28), extraBytes = zip.u16(at + 30),
             commentBytes = zip.u16(at + 32);
    const char *name = zip.at(at + 46, nameBytes);
    Entry entry{std::string(name, nameBytes),
                zip.u16(at + 8),
                zip.u16(at + 10),
                zip.u32(at + 16),
                zip.u32(at + 20),
                zip.u32(at + 24),
                zip.u32(at + 42)};
    readZip64(zip, at + 46 + nameBytes, extraBytes, entry);
    Bytes bytes = readMember(zip, entry);
    members.emplace_back(std::move(entry.name), std::move(bytes));
    at += 46 + uint64_t(nameBytes) + extraBytes + commentBytes;
  }
  return members;
}

Bytes writeZip(const std::vector<std::pair<std::string, Bytes>> &members) {
  Bytes archive, directory;
  for (const auto &[name, bytes] : members) {
    uint64_t offset = archive.size();
    if (offset + bytes.size() > UINT32_MAX || members.size() > UINT16_MAX)
      throw std::runtime_error(
          "the results are too large for one .npz file (4 GiB)");
    put(archive, 0x04034b50, 4);
    putCommon(archive, name, bytes);
    archive.insert(archive.end(), name.begin(), name.end());
    archive.insert(archive.end(), bytes.begin(), bytes.end());
    put(directory, 0x02014b50, 4);
    put(directory, 20, 2);
    putCommon(directory, name, bytes);
    put(directory, 0, 2); // comment
    put(directory, 0, 2); // disk
    put(directory, 0, 2); // internal attributes
    put(directory, 0, 4); // external attributes
    put(directory, offset, 4);
    directory.insert(directory.end(), name.begin(), name.end());
  }
  uint64_t offset = archive.size();
  archive.insert(archive.end(), directory.begin(), directory.end());
  put(archive, 0x06054b50, 4);
  put(archive, 0, 4);
  put(archive, members.size(), 2);
  put(archive, members.size(), 2);
  put(archive, directory.size(), 4);
  put(archive, offset, 4);
  put(archive, 0, 2);
  return archive;
}

} // namespace lnn::tool
