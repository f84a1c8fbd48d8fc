//===- ProfileTest.cpp - what a model that measures itself is asked -------===//
#include "Fixtures.h"

namespace {

struct FreeProfile {
  void operator()(lnn_profile *profile) const { lnn_profile_free(profile); }
};

struct Profile : testing::Test {
  Model model = load("measured");
  std::unique_ptr<lnn_profile, FreeProfile> profile = create();

  std::unique_ptr<lnn_profile, FreeProfile> create() {
    lnn_profile *made = nullptr;
    EXPECT_EQ(lnn_profile_create(model.get(), &made), LNN_OK)
        << lnn_last_error();
    return std::unique_ptr<lnn_profile, FreeProfile>(made);
  }
  void run(float value) {
    Dense<float, LNN_F32> x({1}, {value}), y({1});
    lnn_tensor in = x.tensor(), out = y.tensor();
    ASSERT_EQ(lnn_profile_run(profile.get(), &in, 1, &out, 1), LNN_OK)
        << lnn_last_error();
    EXPECT_EQ(y.data[0], value);
  }
  lnn_region region(size_t index) {
    lnn_region result = {};
    EXPECT_EQ(lnn_profile_region(profile.get(), index, &result), LNN_OK);
    return result;
  }
  std::string report(const char *format) {
    const char *text = nullptr;
    EXPECT_EQ(lnn_profile_report(profile.get(), format, &text), LNN_OK)
        << lnn_last_error();
    return text ? text : "";
  }
};

TEST_F(Profile, CountsWhatTheModelSays) {
  run(0);
  EXPECT_EQ(lnn_profile_region_count(profile.get()), 2u);
  lnn_region loop = region(0), product = region(1);
  EXPECT_STREQ(loop.name, "/Scan");
  EXPECT_STREQ(product.nodes, "/fc/<MatMul>\n/fc/Add");
  EXPECT_EQ(loop.entries, 1);
  EXPECT_EQ(product.entries, 2);
  EXPECT_EQ(product.parent, 0);
  EXPECT_EQ(product.depth, 1);
  // What lies in the loop is the loop's too.
  EXPECT_EQ(loop.operations, 2000);
  EXPECT_EQ(loop.bytes, 400);
  EXPECT_EQ(loop.least_seconds, product.least_seconds);
  EXPECT_GT(product.least_seconds, 0);
  EXPECT_NEAR(product.seconds, loop.seconds * 0.6, 1e-12);
  EXPECT_LE(loop.seconds, lnn_profile_seconds(profile.get()));
}

TEST_F(Profile, LeavesOutWhatWasDisturbed) {
  run(3000);
  for (int i = 0; i < 5; ++i)
    run(100);
  EXPECT_EQ(lnn_profile_runs(profile.get()), 6);
  int64_t calls = lnn_profile_calls(profile.get());
  EXPECT_TRUE(calls >= 1 && calls <= 5) << calls;
  EXPECT_EQ(region(1).entries, 2 * calls);
  run(3000);
  EXPECT_EQ(lnn_profile_calls(profile.get()), calls);
}

TEST_F(Profile, KeepsCallsOfDifferentWork) {
  run(-1);
  run(3000);
  run(0);
  EXPECT_EQ(lnn_profile_calls(profile.get()), 3);
  EXPECT_EQ(region(0).operations, 5000);
}

TEST_F(Profile, Reports) {
  run(0);
  EXPECT_NE(report("text").find("  /fc/<MatMul>"), std::string::npos);
  std::string svg = report("svg");
  EXPECT_EQ(svg.find("<MatMul>"), std::string::npos) << "escaped";
  EXPECT_NE(svg.find("&lt;MatMul&gt;"), std::string::npos);
  const char *text = nullptr;
  EXPECT_EQ(lnn_profile_report(profile.get(), "pdf", &text), LNN_ERR_USAGE);
  lnn_region none;
  EXPECT_EQ(lnn_profile_region(profile.get(), 2, &none), LNN_ERR_USAGE);
}

TEST_F(Profile, OfNothingHasNoTimes) {
  EXPECT_EQ(region(0).seconds, 0);
  EXPECT_NE(report("text").find("0 of 0 calls"), std::string::npos);
  EXPECT_NE(report("svg").find("</svg>"), std::string::npos);
}

TEST_F(Profile, NeedsAModelThatMeasuresItself) {
  Model cell = load("cell");
  lnn_profile *made = nullptr;
  EXPECT_EQ(lnn_profile_create(cell.get(), &made), LNN_ERR_USAGE);
  EXPECT_EQ(made, nullptr);
  EXPECT_NE(std::string(lnn_last_error()).find("lnnc --profile"),
            std::string::npos);
}

TEST_F(Profile, PlainRunsOfAMeasuredModelWantNoFigures) {
  Dense<float, LNN_F32> x({1}, {0}), y({1});
  lnn_tensor in = x.tensor(), out = y.tensor();
  EXPECT_EQ(lnn_run(model.get(), &in, 1, &out, 1), LNN_OK);
  EXPECT_EQ(lnn_profile_runs(profile.get()), 0);
}

TEST(ProfileLoad, RefusesARegionInsideOfALaterOne) {
  lnn_model *model = nullptr;
  EXPECT_EQ(lnn_model_load_file(fixture("badregion").c_str(), &model),
            LNN_ERR_LOAD);
  EXPECT_NE(std::string(lnn_last_error()).find("region"), std::string::npos);
}

} // namespace
