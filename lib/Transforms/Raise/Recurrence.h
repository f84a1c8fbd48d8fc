//===- Recurrence.h - scans that are linear recurrences ---------*- C++ -*-===//
#ifndef LNN_LIB_TRANSFORMS_RAISE_RECURRENCE_H
#define LNN_LIB_TRANSFORMS_RAISE_RECURRENCE_H

#include "Cells.h"
#include "OverTime.h"

#include "lnn/Dialect/Lnn/Lnn.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace lnn::raise {

/// The first of the variables that sums take; and of those for the dimensions
/// of outputs that are none of the state's.
constexpr unsigned firstSum = Notation::maxVariables / 2,
                   firstOwn = firstSum / 2;

class Recurrence {
public:
  /// `matrix`: of an outer product, or none.
  Recurrence(ScanOp scan, const Report &report, bool matrix)
      : scan(scan), report(report), matrix(matrix),
        yield(llvm::cast<YieldOp>(scan.getBody().front().getTerminator())),
        type(llvm::dyn_cast<mlir::RankedTensorType>(
            scan.getStates()[0].getType())),
        step(scan.getContext()), whole(scan.getContext()),
        after(scan.getContext()), times(scan, whole) {
    times.reading = [this](mlir::Value v) { stopAtSmall(v, full, 0); };
    times.special = [this](F f, llvm::ArrayRef<mlir::AffineExpr> names) -> F {
      // Where outputs are put together, what stands for parts of them.
      if (replaced)
        if (F known = replaced->lookup(f))
          return known;
      if (f->kind == Kind::Read && states)
        return stateOver(f, names);
      return f->kind == Kind::Sum ? sumOverTime(f, names) : nullptr;
    };
    for (auto [state, next] :
         llvm::zip_equal(scan.getStates(), yield.getStates()))
      parts.push_back({state, next});
  }
  bool raise();

private:
  ScanOp scan;
  const Report &report;
  bool matrix;
  YieldOp yield;
  mlir::RankedTensorType type; ///< of all states
  /// Formulas of one step, of all of time, and of the next state.
  Notation step, whole, after;
  Indices at;     ///< of the state
  OverTime times; ///< its direction is that of outputs, too
  struct Factor {
    F formula;   ///< 0 where there is none
    bool inside; ///< computed in the loop
  };
  /// A state; the next one is sum_j decays[j] state_j + drive.
  struct Part {
    mlir::Value state, next;
    llvm::SmallVector<Factor, 2> decays;
    llvm::SmallVector<Product> drive;
    bool driveInside = false;
  };
  llvm::SmallVector<Part, 1> parts;
  /// A sum over the keys: of a state with a query.
  struct Read {
    F query;
    unsigned part; ///< whose state
    bool before;   ///< the state that the step starts from
    bool inside;   ///< the query is computed in the loop
  };
  llvm::SmallVector<Read> reads;
  /// An output of the scan that is read.
  struct Output {
    unsigned index = 0;
    unsigned part = 0;   ///< whose next state it is, where there is no formula
    F formula = nullptr; ///< a step's, in `after`
    llvm::SmallDenseMap<F, unsigned> sums; ///< in it: which read each is
    /// Sums in it, with what does not vary in them taken out, term by term.
    llvm::SmallVector<std::pair<F, F>> apart;
    bool ofStates = false; ///< computed of all states, behind them
    /// The state's variables for the formula's, and those of its dimensions.
    llvm::SmallVector<mlir::AffineExpr> renamed;
    Indices indices;
  };
  llvm::SmallVector<Output, 1> outputs;
  Output behind; ///< of what is read out behind the scan, the time included
  mlir::Operation *readOut = nullptr; ///< behind the scan
  std::optional<unsigned> key, value; ///< dimensions of a matrix state
  llvm::SmallVector<unsigned> rows;   ///< its others
  F keys = nullptr, values = nullptr;

  bool lacks(const llvm::Twine &what) {
    return !matrix && report.lacks({parts[0].next, ScanOp()},
                                   "lnn.linear_recurrence", what);
  }
  bool readsState(const Notation &notation, F f) const {
    return llvm::any_of(
        parts, [&](const Part &part) { return notation.reads(f, part.state); });
  }
  bool readsNext(F f) const {
    return llvm::any_of(
        parts, [&](const Part &part) { return after.reads(f, part.next); });
  }
  mlir::Value repeated(F f, llvm::ArrayRef<mlir::AffineExpr> indices,
                       llvm::ArrayRef<mlir::OpFoldResult> sizes);
  void stopAtSmall(mlir::Value value, int64_t full, unsigned depth);
  int64_t full = 1; ///< elements of all steps' states
  F sumOverTime(F f, llvm::ArrayRef<mlir::AffineExpr> renamed);
  mlir::Value productOverTime(F lhs, F rhs,
                              llvm::ArrayRef<mlir::AffineExpr> kept,
                              mlir::AffineExpr summed);
  mlir::Value termsOverTime(F term, llvm::ArrayRef<mlir::AffineExpr> kept,
                            mlir::AffineExpr summed);
  mlir::Value zeros(llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::Type type);
  F stored(F f);
  F stateOver(F f, llvm::ArrayRef<mlir::AffineExpr> renamed);
  bool isOverTime(F f);
  bool isMatrixProduct(F f);
  bool findOfStates(F f, const Indices &own, mlir::RankedTensorType shaped,
                    Output &output);
  bool splitStep();
  bool split(Part &part);
  bool isWorthRaising() const;
  bool findOutputs();
  bool findOutput(unsigned index);
  bool matchSum(F f, const Indices &own, mlir::Value states,
                llvm::ArrayRef<mlir::AffineExpr> indices, Output &output);
  /// What the read of a state is of: a part and whether before the step.
  std::optional<std::pair<unsigned, bool>> stateOf(mlir::Value value) const;
  bool takeApart(F f, const Indices &own, Output &output);
  bool findSums(F f, const Indices &own, Output &output);
  bool findReadOutBehind();
  mlir::Operation *place() { return readOut ? readOut : scan.getOperation(); }
  bool isWorthTurning(unsigned k, unsigned v) const;
  void setMatrix(unsigned k, unsigned v);
  bool factor(unsigned k, unsigned v);
  bool findMatrix();
  mlir::Value tensorOf(F f, llvm::ArrayRef<mlir::AffineExpr> indices,
                       llvm::ArrayRef<mlir::OpFoldResult> sizes, bool inside);
  unsigned rowsBeforeTime();
  llvm::SmallVector<mlir::OpFoldResult>
  sizesOf(llvm::ArrayRef<mlir::AffineExpr> indices);
  F ordered(F f, llvm::ArrayRef<mlir::AffineExpr> order);
  mlir::Value timed(F f, unsigned dim, llvm::ArrayRef<unsigned> dims,
                    bool broadcasts, bool inside);
  LinearRecurrenceOp create(llvm::ArrayRef<mlir::Value> decays,
                            llvm::ArrayRef<mlir::Value> drives, mlir::Value k,
                            mlir::Value v, llvm::ArrayRef<mlir::Value> queries,
                            llvm::ArrayRef<mlir::Value> inits, unsigned dim);
  bool buildMatrix();
  bool buildDiagonal();
  F computedOnce(F f, llvm::ArrayRef<mlir::AffineExpr> order);
  F driveByKeys(const Part &part, llvm::ArrayRef<mlir::AffineExpr> order);
  F driveOf(const Part &part) {
    return part.drive.empty()
               ? whole.number(0, type.getElementType())
               : formulaOf(part.drive, whole, type.getElementType());
  }
  std::string inParts() const {
    return parts.size() == 1 ? ""
                             : " in " + std::to_string(parts.size()) + " parts";
  }
  LinearRecurrenceOp states; ///< where outputs are computed of all of them
  unsigned sumDepth = 0;     ///< sums around the one at hand
  /// Sizes of variables that are none of the state's.
  llvm::SmallDenseMap<unsigned, int64_t> extents;
  /// What stands for parts of a step's formula, for all of time.
  const llvm::SmallDenseMap<F, F> *replaced = nullptr;
  F outputOver(const Output &output, llvm::SmallDenseMap<F, F> &sums);
  bool replace(LinearRecurrenceOp op, llvm::ArrayRef<mlir::AffineExpr> states,
               llvm::ArrayRef<mlir::AffineExpr> last);
  llvm::SmallVector<mlir::OpFoldResult> stateSizes;
  mlir::AffineExpr time() const { return whole.variable(timeVariable); }
  mlir::OpFoldResult length() { return getAsOpFoldResult(scan.getLength()); }
};

/// Elements of a shape, where sizes that are not known count as 1.
int64_t knownElements(mlir::ShapedType type);
/// True where some part of the formula is such a one.
bool hasPart(F formula, llvm::function_ref<bool(F)> is);

} // namespace lnn::raise
#endif // LNN_LIB_TRANSFORMS_RAISE_RECURRENCE_H
