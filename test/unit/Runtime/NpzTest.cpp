//===- NpzTest.cpp - reading and writing NumPy's files --------------------===//
#include "Npz.h"

#include <cmath>
#include <cstdio>
#include <gtest/gtest.h>
#include <random>
#include <stdexcept>

using namespace lnn::tool;

namespace {

std::string temporary(const std::string &name) {
  return testing::TempDir() + "lnn-npz-test-" + name;
}

Bytes bytesOf(const std::string &path) {
  Bytes bytes;
  FILE *in = std::fopen(path.c_str(), "rb");
  for (int c; in && (c = std::fgetc(in)) != EOF;)
    bytes.push_back(static_cast<char>(c));
  if (in)
    std::fclose(in);
  return bytes;
}

void writeBytes(const std::string &path, const Bytes &bytes) {
  FILE *out = std::fopen(path.c_str(), "wb");
  ASSERT_NE(out, nullptr);
  if (!bytes.empty())
    std::fwrite(bytes.data(), 1, bytes.size(), out);
  std::fclose(out);
}

Bytes npy(const std::string &header, const Bytes &data) {
  Bytes bytes{
      '\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, static_cast<char>(header.size()),
      0};
  bytes.insert(bytes.end(), header.begin(), header.end());
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

Arrays readMembers(const std::vector<std::pair<std::string, Bytes>> &members) {
  std::string path = temporary("members.npz");
  writeBytes(path, writeZip(members));
  Arrays arrays = readNpz(path);
  std::remove(path.c_str());
  return arrays;
}

TEST(Npz, RoundTripOfEveryType) {
  std::vector<std::pair<std::string, Array>> arrays;
  for (lnn_dtype dtype :
       {LNN_F32, LNN_F64, LNN_F16, LNN_BF16, LNN_I8, LNN_U8, LNN_I16, LNN_U16,
        LNN_I32, LNN_U32, LNN_I64, LNN_U64, LNN_BOOL}) {
    Array array{dtype, {2, 3}, Bytes(6 * lnn_dtype_size(dtype))};
    for (size_t i = 0; i < array.bytes.size(); ++i)
      array.bytes[i] = static_cast<char>(i);
    arrays.emplace_back(lnn_dtype_name(dtype), array);
  }
  arrays.push_back({"scalar", {LNN_F32, {}, Bytes(4)}});
  arrays.push_back({"empty", {LNN_F32, {0, 5}, {}}});
  std::string path = temporary("types.npz");
  writeNpz(path, arrays);
  Arrays back = readNpz(path);
  std::remove(path.c_str());
  ASSERT_EQ(back.size(), arrays.size());
  for (const auto &[name, array] : arrays) {
    EXPECT_EQ(back[name].dtype, array.dtype) << name;
    EXPECT_EQ(back[name].dims, array.dims) << name;
    EXPECT_EQ(back[name].bytes, array.bytes) << name;
  }
}

TEST(Npz, Values) {
  auto half = [](uint16_t bits) {
    return Array{
        LNN_F16, {1}, {static_cast<char>(bits), static_cast<char>(bits >> 8)}}
        .value(0);
  };
  EXPECT_EQ(half(0x3c00), 1.0);
  EXPECT_EQ(half(0xc500), -5.0);
  EXPECT_EQ(half(0x0001), std::ldexp(1, -24));
  EXPECT_EQ(half(0x7bff), 65504.0);
  EXPECT_TRUE(std::isinf(half(0x7c00)));
  EXPECT_TRUE(std::isnan(half(0x7e00)));
  Array bfloat{LNN_BF16, {1}, {'\x40', '\x40'}};
  EXPECT_EQ(bfloat.value(0), 3.0);
}

TEST(Npz, FortranOrder) {
  Arrays arrays = readMembers(
      {{"a.npy",
        npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n",
            {1, 4, 2, 5, 3, 6})}});
  EXPECT_EQ(arrays["a"].bytes, (Bytes{1, 2, 3, 4, 5, 6}));
}

TEST(Npz, RefusesWhatItCannotRead) {
  auto fails = [](const std::string &header, const Bytes &data,
                  const std::string &text) {
    try {
      readMembers({{"a.npy", npy(header, data)}});
      ADD_FAILURE() << "read " << header;
    } catch (const std::runtime_error &error) {
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos)
          << error.what();
    }
  };
  fails("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", Bytes(4),
        "big-endian");
  fails("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", Bytes(8),
        "'<c8' are not supported");
  fails("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
        Bytes(4), "records");
  fails("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", Bytes(4),
        "needs 12 bytes, found 4");
  fails("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, "
        "1099511627776), }",
        {}, "too large");
  fails("{'descr': '<f4', 'fortran_order': False, 'shape': "
        "(99999999999999999999,), }",
        {}, "too large");
  fails("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", {},
        "no sense");
  fails("{'descr': '<f4'}", {}, "no shape");
  fails("", Bytes(4), "no descr");
}

TEST(Npz, DamagedArchivesAreRefusedOrReadNeverWorse) {
  Array array{LNN_F32, {4, 4}, Bytes(64, 'x')};
  std::string path = temporary("damaged.npz");
  writeNpz(path, {{"a", array}, {"b", array}});
  Bytes whole = bytesOf(path);
  auto attempt = [&](const Bytes &bytes) {
    writeBytes(path, bytes);
    try {
      readNpz(path);
      return true;
    } catch (const std::runtime_error &error) {
      EXPECT_NE(std::string(error.what()).find(path), std::string::npos);
      return false;
    }
  };
  for (size_t length = 0; length < whole.size(); length += 7)
    EXPECT_FALSE(attempt(
        Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(length))))
        << length;
  std::mt19937 random(3);
  for (int i = 0; i < 500; ++i) {
    Bytes bytes = whole;
    for (unsigned n = 1 + random() % 4; n-- > 0;)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    attempt(bytes);
  }
  std::remove(path.c_str());
}

} // namespace
