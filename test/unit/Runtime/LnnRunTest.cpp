//===- LnnRunTest.cpp - the tool lnn-run: what it prints and its exit codes
//===//
#include "Fixtures.h"
#include "Npz.h"

#include <cstdio>
#include <cstring>
#include <sys/wait.h>

using namespace lnn::tool;

namespace {

struct LnnRun : testing::Test {
  std::string file = testing::TempDir() + "lnn-run-test.npz",
              result = testing::TempDir() + "lnn-run-out.npz", output;
  ~LnnRun() override {
    std::remove(file.c_str());
    std::remove(result.c_str());
  }

  int run(const std::string &arguments) {
    output.clear();
    FILE *pipe =
        popen((std::string(LNN_RUN) + " " + arguments + " 2>&1").c_str(), "r");
    char block[4096];
    while (size_t count = pipe ? std::fread(block, 1, sizeof block, pipe) : 0)
      output.append(block, count);
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  bool says(const std::string &text) const {
    return output.find(text) != std::string::npos;
  }

  static Array array(Floats &floats) {
    Array made{LNN_F32, floats.dims, Bytes(floats.data.size() * 4)};
    std::memcpy(made.bytes.data(), floats.data.data(), made.bytes.size());
    return made;
  }
  static Array array(Longs &longs) {
    Array made{LNN_I64, longs.dims, Bytes(longs.data.size() * 8)};
    std::memcpy(made.bytes.data(), longs.data.data(), made.bytes.size());
    return made;
  }
  /// Two sets, the second of other sizes.
  std::vector<std::pair<std::string, Array>> references() {
    std::vector<std::pair<std::string, Array>> all;
    Model model = load("cell");
    for (int64_t set = 0; set < 2; ++set) {
      CellInputs in(1 + set, 2);
      Floats y({1 + set, 2, 2}), hn({2, 2});
      Longs kn({1, 2, 1});
      std::vector<lnn_tensor> inputs = in.all(),
                              outputs = {y.tensor(), hn.tensor(), kn.tensor()};
      EXPECT_EQ(lnn_run(model.get(), inputs.data(), 4, outputs.data(), 3),
                LNN_OK);
      std::string a = "in" + std::to_string(set) + ".",
                  b = "out" + std::to_string(set) + ".";
      all.insert(all.end(), {{a + "x", array(in.x)},
                             {a + "h", array(in.h)},
                             {a + "dt", array(in.dt)},
                             {a + "k", array(in.k)}});
      all.insert(
          all.end(),
          {{b + "y", array(y)}, {b + "hn", array(hn)}, {b + "kn", array(kn)}});
    }
    return all;
  }
};

TEST_F(LnnRun, VerifiesEverySet) {
  auto all = references();
  writeNpz(file, all);
  EXPECT_EQ(run(fixture("cell") + " --verify " + file + " --atol 0 --rtol=0"),
            0)
      << output;
  EXPECT_TRUE(says("2 of 2 sets agree")) << output;
  float wrong = 1e6f;
  std::memcpy(all[11].second.bytes.data(), &wrong, 4); // out1.y
  writeNpz(file, all);
  EXPECT_EQ(run(fixture("cell") + " --verify " + file), 1) << output;
  EXPECT_TRUE(says("1 of 2 sets agree")) << output;
  EXPECT_TRUE(says("element 0 is")) << output;
}

TEST_F(LnnRun, AWrongTypeShapeOrNameDoesNotAgree) {
  auto all = references();
  all[4].second.dtype = LNN_I32;
  writeNpz(file, all);
  EXPECT_EQ(run(fixture("cell") + " --verify " + file), 1);
  EXPECT_TRUE(says("dtype is float32, the reference's int32")) << output;
  all = references();
  all[4].second.dims = {2, 1, 2};
  writeNpz(file, all);
  EXPECT_EQ(run(fixture("cell") + " --verify " + file), 1);
  EXPECT_TRUE(says("shape is [1, 2, 2], the reference's [2, 1, 2]")) << output;
  all = references();
  all[4].first = "out0.z";
  writeNpz(file, all);
  EXPECT_EQ(run(fixture("cell") + " --verify " + file), 1);
  EXPECT_TRUE(says("no array 'out0.y'") && says("no output 'z'")) << output;
}

TEST_F(LnnRun, RunsAndWrites) {
  auto all = references();
  writeNpz(file, all);
  EXPECT_EQ(run(fixture("cell") + " --inputs " + file + " --outputs " + result +
                " --bench 10"),
            0)
      << output;
  EXPECT_TRUE(says("run   10 calls") && says("step  10 calls") && says("p99.9"))
      << output;
  Arrays written = readNpz(result);
  EXPECT_EQ(written["y"].bytes, all[4].second.bytes);
  EXPECT_EQ(run(fixture("cell") + " --describe"), 0);
  EXPECT_TRUE(says("[time, batch, 2]") && says("state, replaced by 'hn'"))
      << output;
  EXPECT_EQ(run(fixture("cell") + " --bench 5 --size batch=7"), 0) << output;
}

TEST_F(LnnRun, ExitCodes) {
  EXPECT_EQ(run("--help"), 0);
  EXPECT_TRUE(says("OVERVIEW")) << output;
  EXPECT_EQ(run(""), 2);
  EXPECT_EQ(run("--nope"), 2);
  EXPECT_EQ(run(fixture("cell") + " --bench many"), 2);
  EXPECT_EQ(run("/no/such.so"), 3);
  EXPECT_EQ(run(fixture("newer")), 3);
  EXPECT_EQ(run(fixture("cell") + " --inputs /no/such.npz"), 4);
  EXPECT_TRUE(says("cannot read /no/such.npz")) << output;
  auto all = references();
  all.erase(all.begin());
  writeNpz(file, all);
  EXPECT_EQ(run(fixture("cell") + " --verify " + file), 4);
  EXPECT_TRUE(says("no array 'in0.x'")) << output;
  all = references();
  std::fill(all[2].second.bytes.begin(), all[2].second.bytes.end(), 0); // dt
  writeNpz(file, all);
  EXPECT_EQ(run(fixture("cell") + " --verify " + file), 5);
  EXPECT_TRUE(says("dt must be positive")) << output;
}

} // namespace
