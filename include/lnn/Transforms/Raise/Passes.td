// Passes that raise what exporters flattened: formulas become cells, solves and recurrences again.
#ifndef LNN_TRANSFORMS_RAISE_PASSES
#define LNN_TRANSFORMS_RAISE_PASSES

include "mlir/Pass/PassBase.td"

def LnnRaiseCellsPass : Pass<"lnn-raise-cells", "::mlir::func::FuncOp"> {
  let summary = "turn formulas that are a cell's equations into the cell";
  let description = [{
    Reads what is computed as formulas in index notation: one element of a tensor in terms of indices, sums over indices and elements of
    other tensors, whatever ops, broadcasts and reshapes it was written with. Where the formula is a known cell's, up to the order
    of terms and factors, the cell takes its place:

    - `lnn.ltc`: `h' = (c h + g v + sum w s(sigma (h - mu)) e + ...) / (c + g + sum w s(...) + ...)`, the state of a loop of `unfolds`
      iterations or one step alone. Factors of constants are multiplied out; where their product is zero, there is no synapse, and the cell is `wired`.

    Parameters that are functions of constants are computed. A formula that fits no cell stays as it is. A raised
    cell adds up in the order that its lowering says, so results differ from those without raising by rounding.

    ```mlir
    %h6 = lnn.scan %i of %c6 carrying (%h = %h0) : (tensor<?x19xf32>) -> tensor<?x19xf32> {
      ... // linalg: (cm_t * h + gleak * vleak + sum(...)) / (cm_t + gleak + sum(...) + 1e-8)
    }
    // becomes
    %h6 = lnn.ltc %h0, %x for %dt unfolds 6 recurrent(...) sensory(...) neurons(...) : ...
    ```
  }];
  let options = [Option<"remarks", "remarks", "bool", "false",
    "say of each formula that nearly is a cell's what it lacks, and of each cell what it is">];
  let statistics = [Statistic<"numRaised", "raised", "cells made">];
  let dependentDialects = ["::lnn::LnnDialect", "::lnn::ode::OdeDialect", "::mlir::arith::ArithDialect",
      "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}
#endif
