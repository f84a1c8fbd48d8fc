//===- OverTime.cpp - a scan's step for all steps at once -----------------===//
#include "OverTime.h"

using namespace mlir;

namespace lnn::raise {

F OverTime::of(F f, Names names) {
  auto isOutside = [&](Value v) {
    return !scan.getBody().isAncestor(v.getParentRegion());
  };
  if (special)
    if (F known = special(f, names))
      return known;
  switch (f->kind) {
  case Kind::Number:
    return whole.number(f->number, f->type);
  case Kind::Scalar:
    return isOutside(f->value) ? whole.scalar(f->value) : nullptr;
  case Kind::Sum:
    return nullptr;
  case Kind::Apply: {
    SmallVector<F> operands;
    for (F operand : f->operands) {
      operands.push_back(of(operand, names));
      if (!operands.back())
        return nullptr;
    }
    return whole.apply(f->name, f->attributes, operands);
  }
  case Kind::Read:
    break;
  }
  Indices indices(
      f->indices.replaceDimsAndSymbols(names, {}, Notation::maxVariables, 0)
          .getResults());
  if (isOutside(f->value)) {
    if (reading)
      reading(f->value);
    return whole.element(f->value, indices);
  }
  auto slice = dyn_cast<BlockArgument>(f->value);
  if (!slice || slice.getOwner() != &scan.getBody().front() ||
      slice.getArgNumber() == 0 ||
      slice.getArgNumber() > scan.getInputs().size())
    return nullptr;
  unsigned i = slice.getArgNumber() - 1;
  if (reverse.value_or(scan.getReverse()[i]) != scan.getReverse()[i])
    return nullptr;
  reverse = scan.getReverse()[i];
  indices.insert(indices.begin() + scan.getDims()[i],
                 whole.variable(timeVariable));
  return whole.element(scan.getInputs()[i], indices);
}

F OverTime::of(F f) {
  SmallVector<AffineExpr> same;
  for (unsigned d = 0; d < Notation::maxVariables; ++d)
    same.push_back(whole.variable(d));
  return of(f, same);
}

} // namespace lnn::raise
