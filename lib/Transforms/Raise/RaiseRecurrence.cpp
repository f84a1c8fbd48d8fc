//===- RaiseRecurrence.cpp - scans that are linear recurrences ------------===//
//
// A scan of one state h that becomes a h + b, elementwise, a and b being slices
// of its inputs, and that yields nothing but the states.
//
//===----------------------------------------------------------------------===//
#include "Cells.h"

using namespace mlir;

namespace lnn::raise {

/// The scan's input whose slice is read at these indices, sizes of 1 repeated;
/// none where it is something else.
static std::optional<unsigned> inputOf(ScanOp scan, F f,
                                       ArrayRef<AffineExpr> at, bool repeats) {
  auto argument =
      f->kind == Kind::Read ? dyn_cast<BlockArgument>(f->value) : nullptr;
  if (!argument || argument.getOwner() != &scan.getBody().front() ||
      argument.getArgNumber() == 0 ||
      argument.getArgNumber() > scan.getInputs().size())
    return std::nullopt;
  ArrayRef<int64_t> shape =
      cast<RankedTensorType>(f->value.getType()).getShape();
  if (shape.size() != at.size())
    return std::nullopt;
  for (auto [index, wanted, size] :
       llvm::zip_equal(f->indices.getResults(), at, shape))
    if (index != wanted && !(repeats && size == 1))
      return std::nullopt;
  return argument.getArgNumber() - 1;
}

bool raiseRecurrence(ScanOp scan, Notation &notation, const Report &report) {
  auto yield = cast<YieldOp>(scan.getBody().front().getTerminator());
  if (scan.getInits().size() != 1 || scan.getNumOutputs() == 0)
    return false;
  Value state = scan.getStates()[0], next = yield.getStates()[0];
  auto type = dyn_cast<RankedTensorType>(state.getType());
  if (!type || !formulaType(type) || type.getRank() == 0 ||
      llvm::any_of(yield.getOutputs(), [&](Value v) { return v != next; }))
    return false;
  Indices at = notation.variables(type.getShape());
  F here = notation.element(state, at);
  std::optional<SmallVector<Product>> terms =
      expandedTermsOf(notation.element(next, at));
  if (!terms || terms->size() != 2)
    return false;
  Product factor;
  factor.over.push_back(here);
  std::optional<Product> decay = quotient((*terms)[0], factor);
  bool flipped = !decay;
  if (flipped)
    decay = quotient((*terms)[1], factor);
  F a = decay ? decay->single() : nullptr, b = (*terms)[!flipped].single();
  if (!a || !b)
    return false;
  std::optional<unsigned> i = inputOf(scan, a, at, true),
                          j = inputOf(scan, b, at, false);
  if (!i || !j || scan.getDims()[*i] != scan.getDims()[*j] ||
      scan.getReverse()[*i] != scan.getReverse()[*j])
    return false;
  int64_t dim = scan.getDims()[*j];
  bool reverse = scan.getReverse()[*j];
  Value drive = scan.getInputs()[*j];
  if (dim >= std::max<int64_t>(type.getRank(), 1))
    return false; // time behind the state
  for (unsigned o = 0; o < scan.getNumOutputs(); ++o)
    if (scan.getOutDims()[o] != dim || scan.getOutReverse()[o] != reverse ||
        scan.getResult(o).getType() != drive.getType())
      return false;
  OpBuilder builder(scan);
  auto made = LinearRecurrenceOp::create(
      builder, scan.getLoc(), drive.getType(), type, scan.getInputs()[*i],
      drive, Value(), Value(), Value(), scan.getInits()[0],
      builder.getI64IntegerAttr(dim),
      reverse ? builder.getUnitAttr() : UnitAttr());
  for (unsigned o = 0; o < scan.getNumOutputs(); ++o)
    scan.getResult(o).replaceAllUsesWith(made.getStates());
  scan.getResult(scan.getNumOutputs()).replaceAllUsesWith(made.getLast());
  report.made(made, "lnn.linear_recurrence along dimension " + Twine(dim));
  return true;
}

} // namespace lnn::raise
