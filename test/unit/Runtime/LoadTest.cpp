//===- LoadTest.cpp - loading artifacts, and what is refused --------------===//
#include "Fixtures.h"

#include <cstddef>
#include <elf.h>
#include <random>

namespace {

lnn_status loadBytes(const std::string &bytes) {
  lnn_model *model = nullptr;
  lnn_status status =
      lnn_model_load_memory(bytes.data(), bytes.size(), "m.so", &model);
  EXPECT_EQ(status == LNN_OK, model != nullptr);
  lnn_model_free(model);
  return status;
}

lnn_status loadFile(const std::string &path) {
  lnn_model *model = nullptr;
  lnn_status status = lnn_model_load_file(path.c_str(), &model);
  lnn_model_free(model);
  return status;
}

TEST(Load, Describes) {
  Model model = load("cell");
  EXPECT_STREQ(lnn_model_name(model.get()), "cell");
  EXPECT_STREQ(lnn_model_target(model.get()), "cpu");
  EXPECT_STREQ(lnn_model_hash(model.get()), "c0ffee");
  ASSERT_EQ(lnn_model_input_count(model.get()), 4u);
  ASSERT_EQ(lnn_model_output_count(model.get()), 3u);
  const lnn_tensor_info *h = lnn_model_input(model.get(), 1);
  EXPECT_STREQ(h->name, "h");
  EXPECT_EQ(h->dtype, LNN_F32);
  EXPECT_EQ(h->role, LNN_ROLE_STATE);
  EXPECT_EQ(h->pair, 1);
  ASSERT_EQ(h->rank, 2);
  EXPECT_EQ(h->dims[0], -1);
  EXPECT_STREQ(h->symbols[0], "batch");
  EXPECT_EQ(h->dims[1], 2);
  EXPECT_EQ(h->symbols[1], nullptr);
  EXPECT_EQ(lnn_model_input(model.get(), 4), nullptr);
  EXPECT_EQ(lnn_model_find_input(model.get(), "dt"), 2);
  EXPECT_EQ(lnn_model_find_output(model.get(), "kn"), 2);
  EXPECT_EQ(lnn_model_find_output(model.get(), "dt"), -1);
}

TEST(Load, FromMemorySeveralAtOnce) {
  std::string cell = readAll(fixture("cell")),
              positives = readAll(fixture("positives"));
  lnn_model *a = nullptr, *b = nullptr, *c = nullptr;
  ASSERT_EQ(lnn_model_load_memory(cell.data(), cell.size(), nullptr, &a),
            LNN_OK);
  ASSERT_EQ(
      lnn_model_load_memory(positives.data(), positives.size(), nullptr, &b),
      LNN_OK);
  EXPECT_STREQ(lnn_model_name(a), "cell");
  EXPECT_STREQ(lnn_model_name(b), "positives");
  lnn_model_free(a);
  ASSERT_EQ(
      lnn_model_load_memory(positives.data(), positives.size(), nullptr, &c),
      LNN_OK);
  EXPECT_STREQ(lnn_model_name(c), "positives");
  lnn_model_free(b);
  lnn_model_free(c);
}

TEST(Load, RefusesWhatIsNoArtifact) {
  EXPECT_FAILS(LNN_ERR_LOAD, "cannot open /no/such.so",
               loadFile("/no/such.so"));
  EXPECT_FAILS(LNN_ERR_LOAD, "not a file", loadFile("/"));
  EXPECT_FAILS(LNN_ERR_LOAD, "empty", loadBytes(""));
  EXPECT_FAILS(LNN_ERR_LOAD, "not a shared object", loadBytes("hello, world"));
  EXPECT_FAILS(LNN_ERR_LOAD, "does not export lnn_model_descriptor",
               loadFile(fixture("nosymbol")));
  EXPECT_FAILS(LNN_ERR_LOAD, "magic", loadFile(fixture("wrongmagic")));
  EXPECT_FAILS(LNN_ERR_USAGE, "null", lnn_model_load_file("x", nullptr));
}

TEST(Load, RefusesANewerVersion) {
  EXPECT_FAILS(LNN_ERR_VERSION,
               "compiled by a newer lnn: its format is version 999",
               loadFile(fixture("newer")));
}

TEST(Load, NamesTheMissingFeature) {
  EXPECT_FAILS(LNN_ERR_CPU, "needs quantum9, which this CPU lacks",
               loadFile(fixture("feature")));
}

TEST(Load, RefusesAnotherMachine) {
  std::string bytes = readAll(fixture("cell"));
  bytes[offsetof(Elf64_Ehdr, e_machine)] = EM_SPARC;
  EXPECT_FAILS(LNN_ERR_LOAD, "this machine is", loadBytes(bytes));
}

TEST(Load, RefusesATruncatedFileOfAnyLength) {
  std::string bytes = readAll(fixture("cell"));
  for (size_t length = 0; length < bytes.size(); length += 61)
    EXPECT_EQ(loadBytes(bytes.substr(0, length)), LNN_ERR_LOAD) << length;
  EXPECT_FAILS(LNN_ERR_LOAD, "truncated",
               loadBytes(bytes.substr(0, bytes.size() - 1)));
}

TEST(Load, RefusesDamagedHeaders) {
  std::string whole = readAll(fixture("cell"));
  std::mt19937 random(5);
  for (int i = 0; i < 200; ++i) {
    std::string bytes = whole;
    size_t field = offsetof(Elf64_Ehdr, e_phoff) + random() % sizeof(Elf64_Off);
    bytes[field] = static_cast<char>(bytes[field] ^ (1 + random() % 255));
    EXPECT_EQ(loadBytes(bytes), LNN_ERR_LOAD) << field;
  }
}

} // namespace
