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
      iterations or one step alone. Where a weight's constant factors have a zero there is no synapse, and the cell is `wired`.
    - `lnn.cfc` in its three modes: `tanh(ff1) (1 - t) + t tanh(ff2)`, `tanh(ff1) + t tanh(ff2)`, `a - a e^(-dt (|w| + |ff1|)) ff1`.
    - `lnn.ctrnn`: Euler steps `h' = h + r (act(W u + R h + b) - h)`, with an `lnn.feedback` where `u = x + F h`.
    - `lnn.linear_recurrence`: a scan of nothing but `h' = a h + b`, where a and b do not depend on the state, that yields its states, or
      functions of sums `sum_k h[.., k, ..] q[k]` of the state before or after the step; or has one such sum behind it. The functions are
      computed behind it. The state is a matrix then, and b an outer product where it is one. Two states, or two halves of one, of which
      each element mixes with the other's are a recurrence in parts: `h_0' = a_00 h_0 + a_01 h_1 + b_0`, a complex number's real and imaginary.
      Products with matrices, of inputs in a and b, or of the next states in outputs, are ones of all steps.
    - `lnn.causal_conv`: a depthwise convolution of a sequence with D (K - 1) zeros in front of it, its channels contiguous, cut to its length.
      So is a scan's state that is a window of samples, of which nothing but such sums are read, where the samples do not depend on
      states, and no scan stays. In one that stays it becomes [.., K, C] where it was [.., C, K].
    - `ode.solve`: a value h, a loop's state or any other, that becomes `h + dt sum b_i k_i`, where each `k_i` is one computation of `h + dt
      sum a_ij k_j`, and an explicit Runge-Kutta tableau has these coefficients. `h + f(h)` is a residual connection, and none.

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

def OnnxRaiseRecurrencePass : Pass<"onnx-raise-recurrence", "::mlir::func::FuncOp"> {
  let summary = "turn parallel scans of linear recurrences into Scan nodes";
  let description = [{
    `h_t = a_t h_{t-1} + b_t` is associative, and models compute it in log steps (Hillis-Steele, Blelloch), in chunks or otherwise, which
    an exporter writes out for one length. Each tensor behind `a` and `b` is interpreted as products and partial results over
    intervals of time; one that holds the result from the first step on at every place is replaced by a Scan. Sums are in
    the order of time then, so results differ by rounding.

    ```mlir
    %b1 = a[1:] * b[:-1] + b[1:] ...; %b2 = a1[2:] * b1[:-2] + b1[2:] ...; // log2(T) such steps
    // becomes
    %hn, %h = onnx.node "Scan"(%zero, %a, %b) bodies ["body"] { h = a_t * h + b_t }
    ```
  }];
  let options = [Option<"remarks", "remarks", "bool", "false", "say of each recurrence how many steps it has">];
  let statistics = [Statistic<"numRaised", "raised", "Scans made">];
  let dependentDialects = ["::lnn::onnx::OnnxDialect", "::mlir::arith::ArithDialect"];
}

def LnnHoistProjectionsPass : Pass<"lnn-hoist-projections", "::mlir::func::FuncOp"> {
  let summary = "multiply inputs by their matrices for all steps at once";
  let description = [{
    A product of a scan's input and a matrix from outside becomes one product over all of time in front of the scan, which then
    reads its slices. Where what is multiplied is a concatenation of inputs and states, the inputs' part is hoisted, and
    the states' part is accumulated on it. Sums stay in their order, but for inputs that are concatenated behind states.
    What is saved is reading the matrix in each step, so one that stays in the nearest cache is left: storing its products and loading
    them again would cost more.

    ```mlir
    lnn.scan ... over (%xt = %x dim 0) ... { %p = linalg.matmul ins(%xt, %w) outs(%zero) ... }
    // becomes
    %all = linalg.generic ... ins(%x, %w) outs(%zeros) {...} // time is a loop like others
    lnn.scan ... over (%p = %all dim 0) ... { ... }
    ```
  }];
  let options = [Option<"minBytes", "min-bytes", "int64_t", "16384", "the smallest matrix whose products are hoisted">];
  let statistics = [Statistic<"numHoisted", "hoisted", "products that left a loop or were parted">];
  let dependentDialects = ["::lnn::LnnDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def LnnFoldFeedbackPass : Pass<"lnn-fold-feedback", "::mlir::func::FuncOp"> {
  let summary = "compose constant feedback into recurrent matrices";
  let description = [{
    The input of an `lnn.ctrnn` that takes one Euler step is `lnn.feedback` of the same state, all matrices being constants:
    `W (x + F h) + R h = W x + (F W + R) h`, which is the same in real arithmetic, and one product less. The new
    matrix is computed in double and rounded once.

    ```mlir
    %u = lnn.feedback %x, %h through %f : ...
    %next = lnn.ctrnn %h, %u for %dt method #ode.method<euler, steps = 1> activation tanh input(%w) recurrent(%r) neurons(%tau, %b) : ...
    // becomes
    %next = lnn.ctrnn %h, %x for %dt ... input(%w) recurrent(%r_and_f_w) ...
    ```
  }];
  let statistics = [Statistic<"numFolded", "folded", "feedbacks that are gone">];
  let dependentDialects = ["::lnn::LnnDialect", "::lnn::ode::OdeDialect", "::mlir::arith::ArithDialect"];
}

def LnnMergeStepsPass : Pass<"lnn-merge-steps", "::mlir::func::FuncOp"> {
  let summary = "make steps of one cell one cell of more steps";
  let description = [{
    Cells that follow each other with the same parameters and steps of the same length, and a counted loop around one cell, become one
    `lnn.ltc` or `lnn.ctrnn` of as many steps.

    ```mlir
    %h4 = lnn.scan %i of %c4 carrying (%h = %h0) : ... { %next = lnn.ctrnn %h, %u for %d method #ode.method<euler, steps = 1> ... }
    // becomes
    %h4 = lnn.ctrnn %h0, %u for %dt method #ode.method<euler, steps = 4> ... // dt = 4 d
    ```
  }];
  let statistics = [Statistic<"numMerged", "merged", "loops and steps that are gone">];
  let dependentDialects = ["::lnn::LnnDialect", "::lnn::ode::OdeDialect", "::mlir::arith::ArithDialect",
      "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def OdeMergeStepsPass : Pass<"ode-merge-steps", "::mlir::func::FuncOp"> {
  let summary = "make a scan or a chain of solver steps one solve";
  let description = [{
    A scan that does nothing but integrate its state by one `ode.solve` over a known duration, its field being the same in all steps, is
    one `ode.solve`: over the whole time with as many steps where only the last state is read, `at` the times when the
    steps end where each state is. The times are in f64, and their differences must be the duration exactly, so that each step is what it was.
    Equal solves that follow each other are one, too, where the whole duration is divided into steps of exactly that length.

    ```mlir
    %y, %hn = lnn.scan %i of %c8 carrying (%h = %h0) stacking (dim 0) : ... {
      %next = ode.solve %h for %c0.1 method <rk4, steps = 1> : tensor<3x4xf32>, f32 {...}
      lnn.yield %next : tensor<3x4xf32> carrying %next : tensor<3x4xf32>
    }
    // becomes
    %y = ode.solve %h0 at dense<[0.1, 0.2, ...]> method <rk4, steps = 1> : tensor<3x4xf32>, tensor<8xf64> {...}
    ```
  }];
  let options = [Option<"remarks", "remarks", "bool", "false", "say of each scan that is gone how many steps it had">];
  let statistics = [Statistic<"numMerged", "merged", "scans that are gone">];
  let dependentDialects = ["::lnn::ode::OdeDialect", "::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
}

def LnnSinkProducersPass : Pass<"lnn-sink-producers", "::mlir::func::FuncOp"> {
  let summary = "compute in a scan what is larger than what it is made of";
  let description = [{
    A scan's input that is computed element by element, for the scan alone, of tensors that have at most half as many elements is
    computed in the scan, from their slices; so is what raising took out of the scan (`lnn.sink`). So the decay `exp(dt A)` of a Mamba, [time, channels, states], is never stored: `dt`, [time,
    channels], is.

    ```mlir
    %a = linalg.generic ... ins(%dt, %A : tensor<?x64x1xf32>, tensor<64x16xf32>) ... {exp(dt * A)} -> tensor<?x64x16xf32>
    lnn.scan ... over (%at = %a dim 0) ...
    // becomes
    lnn.scan ... over (%dtt = %dt dim 0) ... { %at = linalg.generic ... ins(%dtt, %A : tensor<64x1xf32>, tensor<64x16xf32>) ... }
    ```
  }];
  let statistics = [Statistic<"numSunk", "sunk", "ops that are in a loop now">];
  let dependentDialects = ["::lnn::LnnDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}
#endif
