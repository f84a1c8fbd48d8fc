//===- LnnFoldFeedback.cpp - constant feedback into recurrent matrices ----===//
//
// W (x + F h) + R h = W x + (F W + R) h: in real arithmetic the same, without
// the detour over the input space. (Weights are [pre, post].)
//
//===----------------------------------------------------------------------===//
#include "Materialize.h"
#include "lnn/Dialect/Lnn/Cells.h"
#include "lnn/Transforms/Raise/Passes.h"

namespace lnn {
#define GEN_PASS_DEF_LNNFOLDFEEDBACKPASS
#include "lnn/Transforms/Raise/Passes.h.inc"
} // namespace lnn

using namespace mlir;
using namespace lnn;
using namespace lnn::raise;

namespace {

/// A constant matrix, zero where there is no synapse.
std::optional<SmallVector<double>> matrix(Value value,
                                          std::optional<WiringAttr> wiring) {
  std::optional<SmallVector<double>> elements = constantElements(value);
  if (elements && wiring)
    for (int64_t i = 0, place = 0; i < wiring->getPre(); ++i)
      for (int64_t j = 0; j < wiring->getPost(); ++j, ++place)
        if (!wiring->exists(i, j))
          (*elements)[place] = 0;
  return elements;
}

/// One Euler step reads the feedback's state; more steps, or stages, would read
/// states that the feedback doesn't see.
bool isOneStep(CtrnnOp op) {
  auto method = dyn_cast<ode::MethodAttr>(op.getMethod());
  return method && method.getScheme() == "euler" && method.getSteps() == 1;
}

bool fold(CtrnnOp op) {
  auto feedback = op.getInput().getDefiningOp<FeedbackOp>();
  if (!feedback || feedback.getState() != op.getState() || !isOneStep(op))
    return false;
  auto w = matrix(op.getW(), op.getInputWiring()),
       r = matrix(op.getR(), op.getWiring()),
       f = matrix(feedback.getF(), feedback.getWiring());
  if (!w || !r || !f)
    return false;
  auto type = cast<RankedTensorType>(op.getR().getType());
  int64_t n = type.getDimSize(0),
          inputs = cast<RankedTensorType>(op.getW().getType()).getDimSize(0);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < inputs; ++k)
      for (int64_t j = 0; j < n; ++j)
        (*r)[i * n + j] += (*f)[i * inputs + k] * (*w)[k * n + j];
  OpBuilder b(op);
  auto wiring =
      WiringAttr::get(op.getContext(), n, n, [&](int64_t i, int64_t j) {
        return (*r)[i * n + j] != 0;
      });
  op.getRMutable().assign(constantTensor(b, op.getLoc(), type, *r));
  op.setWiringAttr(wiring.isDense() ? WiringAttr() : wiring);
  op.getInputMutable().assign(feedback.getInput());
  return true;
}

struct LnnFoldFeedbackPass
    : lnn::impl::LnnFoldFeedbackPassBase<LnnFoldFeedbackPass> {
  void runOnOperation() override {
    getOperation().walk([&](CtrnnOp op) { numFolded += fold(op); });
  }
};

} // namespace
