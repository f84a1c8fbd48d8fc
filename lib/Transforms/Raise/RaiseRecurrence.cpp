//===- RaiseRecurrence.cpp - scans that are linear recurrences ------------===//
//
// A scan of one state h that becomes a h + b, where a and b do not depend on
// the state, and that yields the states, or functions of what is read out of
// them: sums over one of the state's dimensions, of the state before or after
// the step, in the scan; or one sum behind it. The state is a matrix then, and
// what a and b are computed of outside of the scan is looked into, too. a and b
// are put together for all steps; lnn-sink-producers brings what is larger than
// what it is made of back into the loop. Two states of which each element mixes
// with the same element of the other, as a complex number's parts do, are one.
//
//===----------------------------------------------------------------------===//
#include "Recurrence.h"

using namespace mlir;

namespace lnn::raise {

int64_t knownElements(ShapedType type) {
  int64_t count = 1;
  for (int64_t size : type.getShape())
    count *= ShapedType::isDynamic(size) ? 1 : size;
  return count;
}

/// What is smaller than all steps' states together is computed as it stands,
/// not again for each element of the state.
void Recurrence::stopAtSmall(Value value, int64_t full, unsigned depth) {
  if (!matrix) {
    whole.addBarrier(value);
    return;
  }
  Operation *op = value.getDefiningOp();
  auto shaped = dyn_cast<RankedTensorType>(value.getType());
  if (!op || !shaped || depth > 64)
    return;
  // A part has other sizes than the whole: it is what a loop goes over.
  if (isa<tensor::ExtractSliceOp>(op)) {
    whole.addBarrier(value);
    return;
  }
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(op))
    return stopAtSmall(op->getOperand(0), full, depth + 1);
  auto structured = dyn_cast<linalg::LinalgOp>(op);
  bool elementwise =
      structured ? structured.getNumLoops() == structured.getNumParallelLoops()
                 : OpTrait::hasElementwiseMappableTraits(op);
  if (!elementwise || knownElements(shaped) < full) {
    whole.addBarrier(value);
    return;
  }
  for (Value operand : op->getOperands())
    stopAtSmall(operand, full, depth + 1);
}

/// next = sum_j decay_j state_j + drive.
bool Recurrence::split(Part &part) {
  std::optional<SmallVector<Product>> terms =
      expandedTermsOf(step.element(part.next, at));
  if (!terms)
    return false;
  auto isOfState = [&](const Product &p) {
    return llvm::any_of(llvm::concat<const F>(p.over, p.under),
                        [&](F f) { return readsState(step, f); });
  };
  SmallVector<SmallVector<Product>, 2> ofState(parts.size());
  SmallVector<Product> others;
  for (const Product &term : *terms) {
    if (!isOfState(term)) {
      others.push_back(term);
      continue;
    }
    bool found = false;
    for (auto [j, from] : llvm::enumerate(parts)) {
      Product factor;
      factor.over.push_back(step.element(from.state, at));
      std::optional<Product> rest = quotient(term, factor);
      if (!rest)
        continue;
      if (isOfState(*rest))
        return false;
      ofState[j].push_back(*rest);
      found = true;
      break;
    }
    if (!found)
      return false;
  }
  if (llvm::all_of(ofState, [](const auto &terms) { return terms.empty(); }))
    return false;
  Type element = type.getElementType();
  auto forAll = [&](ArrayRef<Product> terms) -> Factor {
    if (terms.empty())
      return {whole.number(0, element), false};
    F f = formulaOf(terms, step, element);
    return {times.of(f), f->kind == Kind::Apply};
  };
  for (ArrayRef<Product> terms : ofState)
    part.decays.push_back(forAll(terms));
  Factor drive = forAll(others);
  if (!drive.formula || llvm::any_of(part.decays, [](const Factor &decay) {
        return !decay.formula;
      }))
    return lacks("a factor is neither of the inputs nor invariant");
  part.driveInside = drive.inside;
  if (!others.empty())
    part.drive = termsOf(drive.formula);
  return true;
}

/// Constant factors of state and input alone are a filter's, which is as
/// linear; but h + b is a sum. Parts that do not mix are states of their own.
bool Recurrence::isWorthRaising() const {
  if (llvm::all_of(parts, [](const Part &part) { return part.drive.empty(); }))
    return false;
  if (parts.size() == 1)
    return !parts[0].decays[0].formula->isNumber(1);
  for (auto [i, part] : llvm::enumerate(parts))
    for (auto [j, decay] : llvm::enumerate(part.decays))
      if (i != j && !decay.formula->isNumber(0))
        return true;
  return false;
}

bool Recurrence::splitStep() {
  at = step.variables(type.getShape());
  full =
      knownElements(type) * getConstantIntValue(scan.getLength()).value_or(1);
  for (Value input : scan.getInputs())
    stopAtSmall(input, full, 0);
  for (Part &part : parts)
    if (!split(part))
      return false;
  return isWorthRaising();
}

/// The drive as a product of something without `v`, and something without `k`.
bool Recurrence::factor(unsigned k, unsigned v) {
  ArrayRef<Product> drive = parts[0].drive;
  if (parts.size() != 1 || drive.size() != 1 || !isWorthTurning(k, v))
    return false;
  auto isKey = [&](F f) { return f->has(k); };
  auto [ofKey, others] = partition(drive[0], isKey);
  if (ofKey.variables() >> v & 1 || others.variables() >> k & 1 ||
      (reads.empty() && (ofKey.over.empty() || !(others.variables() >> v & 1))))
    return false;
  keys = formulaOf(ofKey, whole, type.getElementType());
  values = formulaOf(others, whole, type.getElementType());
  setMatrix(k, v);
  return keys && values;
}

/// Whether the state may be a matrix with these dimensions.
bool Recurrence::isWorthTurning(unsigned k, unsigned v) const {
  // Values go into vector lanes. Where the state has the keys there, turning it
  // must give longer vectors.
  constexpr int64_t enough = 16;
  int64_t k_ = type.getDimSize(k), v_ = type.getDimSize(v);
  return k != v && !ShapedType::isDynamic(k_) && !ShapedType::isDynamic(v_) &&
         (v > k || v_ >= std::min(k_, enough));
}

void Recurrence::setMatrix(unsigned k, unsigned v) {
  key = k;
  value = v;
  rows.clear();
  for (unsigned d = 0, e = type.getRank(); d < e; ++d)
    if (d != k && d != v)
      rows.push_back(d);
}

bool Recurrence::findMatrix() {
  unsigned rank = type.getRank();
  if (rank < 2)
    return false;
  // All states: where they lie as they are wanted.
  if (reads.empty())
    return (outputs.empty() ||
            scan.getOutDims()[outputs[0].index] <= rank - 2) &&
           factor(rank - 2, rank - 1);
  for (unsigned v = rank; v-- > 0;)
    if (type.getDimSize(v) != 1 && factor(*key, v))
      return true;
  // No outer product: the drive as it is.
  keys = values = nullptr;
  for (unsigned v = rank; v-- > 0;)
    if (type.getDimSize(v) != 1 && isWorthTurning(*key, v)) {
      setMatrix(*key, v);
      return true;
    }
  return false;
}

bool Recurrence::raise() {
  if (!type || !formulaType(type) || type.getRank() == 0 ||
      type.getRank() >= static_cast<int64_t>(firstOwn) ||
      llvm::any_of(parts, [&](const Part &part) {
        return part.state.getType() != type;
      }))
    return false;
  for (Notation *notation : {&step, &whole, &after})
    notation->setBudget(4096);
  OpBuilder b(scan);
  stateSizes = tensor::getMixedSizes(b, scan.getLoc(), scan.getInits()[0]);
  if (!splitStep())
    return false;
  if (!findOutputs())
    return false;
  if (!matrix)
    return buildDiagonal();
  // Without the sum behind the scan it may still be a recurrence.
  if (findReadOutBehind()) {
    if (findMatrix())
      return buildMatrix();
    readOut = nullptr;
    reads.clear();
    key.reset();
  }
  return findMatrix() && buildMatrix();
}

bool raiseRecurrence(ScanOp scan, const Report &report) {
  // Of more parts than a complex number's, mixing each with all costs more than
  // it gives. Without inputs there is no sequence: a solver's steps.
  constexpr size_t mostParts = 2;
  return !scan.getInits().empty() && scan.getInits().size() <= mostParts &&
         !scan.getInputs().empty() &&
         (Recurrence(scan, report, true).raise() ||
          Recurrence(scan, report, false).raise());
}

} // namespace lnn::raise
