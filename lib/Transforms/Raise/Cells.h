//===- Cells.h - the cells that formulas are raised to ----------*- C++ -*-===//
#ifndef LNN_LIB_TRANSFORMS_RAISE_CELLS_H
#define LNN_LIB_TRANSFORMS_RAISE_CELLS_H

#include "Algebra.h"
#include "Materialize.h"

#include "lnn/Dialect/Lnn/Cells.h"

namespace lnn::raise {

/// A tensor that may be a cell's next state.
struct Candidate {
  mlir::Value next;    ///< in a loop's body where there is a loop
  mutable ScanOp loop; ///< counted: its only state becomes `next`, nothing else
                       ///< flows through it

  mlir::RankedTensorType type() const {
    return llvm::cast<mlir::RankedTensorType>(next.getType());
  }
  /// How often the step is taken.
  int64_t steps() const;
  /// The op that a cell comes in front of.
  mlir::Operation *place() const;
  /// The value that the cell's result is in place of.
  mlir::Value replaced() const;
  /// The sizes of `next`, as values in front of its op. Not for loops.
  llvm::SmallVector<mlir::OpFoldResult> sizes(mlir::OpBuilder &b) const;
};

/// What a match lacked, or made: for remarks.
class Report {
public:
  explicit Report(bool enabled) : enabled(enabled) {}
  bool lacks(const Candidate &candidate, llvm::StringRef cell,
             const llvm::Twine &what) const;
  void made(mlir::Operation *cell, const llvm::Twine &what) const;

private:
  bool enabled;
};

/// What matching a candidate with any cell's equations begins with.
class CellMatch {
protected:
  CellMatch(const Candidate &candidate, Notation &notation,
            const Report &report, llvm::StringRef cell)
      : candidate(candidate), notation(notation), report(report),
        type(candidate.type()), element(formulaType(type)),
        at(notation.variables(type.getShape())), post(type.getRank() - 1),
        cell(cell) {}
  /// False, with a remark of what the cell would need.
  bool lacks(const llvm::Twine &what) {
    return report.lacks(candidate, cell, what);
  }

  const Candidate &candidate;
  Notation &notation;
  const Report &report;
  mlir::RankedTensorType type;
  mlir::Type element;
  Indices at;
  unsigned post; ///< the variable of the receiving neuron: the last

private:
  llvm::StringRef cell;
};

/// Each puts the cell in place of the candidate where the formula is its
/// equations; otherwise nothing that counts is changed.
bool raiseLtc(const Candidate &candidate, Notation &notation,
              const Report &report);

bool raiseCfc(const Candidate &candidate, Notation &notation,
              const Report &report);
bool raiseCtrnn(const Candidate &candidate, Notation &notation,
                const Report &report);
/// A scan that is nothing but h' = a h + b, and sums of h.
bool raiseRecurrence(ScanOp scan, const Report &report);
/// The same of a state that is two side by side, each of which is such a one.
bool raiseHalves(ScanOp scan, const Report &report);
/// A convolution of each channel with taps of its own, zeros in front.
bool raiseCausalConv(mlir::linalg::GenericOp op, const Report &report);
/// A scan of states that are windows of samples, as convolutions in front of
/// it, and of nothing else, or a recurrence. What is left takes the scan's
/// place.
bool raiseWindows(ScanOp &scan, const Report &report);
/// Turns a state that is a window of samples, channels first, to one with
/// channels side by side. The scan that takes the scan's place, or null.
ScanOp turnWindow(ScanOp scan, unsigned index, const Report &report);
/// What is known of a function whose steps are looked for: loops first, then
/// blocks from their ends on.
struct StepSearch {
  unsigned left; ///< how many values may still be tried as what a step adds
  llvm::SmallPtrSet<mlir::Operation *, 32> dead, ///< replaced by a solve
      parts; ///< of a step that no method makes
};
/// A state of a loop that one step of an explicit method advances.
bool raiseSolve(ScanOp scan, unsigned index, const Report &report,
                StepSearch &search);
/// A value that is one step of an explicit method behind another one.
bool raiseSolve(mlir::Value next, const Report &report, StepSearch &search);

/// sum_k weight(k, j) feature(k) + bias(j): one neuron j of a dense layer.
struct Layer {
  std::optional<unsigned> variable; ///< k
  int64_t extent = 0;
  F feature = nullptr;
  F weight = nullptr;
  llvm::SmallVector<Product> bias;

  /// Adds the layer's constant factor to weight and bias.
  void scale(double factor, Notation &notation);
  mlir::AffineExpr sender(Notation &notation) const {
    return variable ? notation.variable(*variable) : notation.zero();
  }
};
/// The layers that a sum of terms consists of, one for each sum over an index,
/// `post` being the variable of the receiving neuron. The other terms are the
/// first one's bias.
llvm::SmallVector<Layer> layersOf(llvm::ArrayRef<Product> terms, unsigned post,
                                  Notation &notation);

/// The wiring of the synapses whose product of constant factors is not zero;
/// null where all exist.
WiringAttr wiringOf(const Product &weight, llvm::ArrayRef<mlir::AffineExpr> at,
                    llvm::ArrayRef<int64_t> shape, mlir::MLIRContext *context,
                    Notation &notation, mlir::Type type);

} // namespace lnn::raise
#endif // LNN_LIB_TRANSFORMS_RAISE_CELLS_H
