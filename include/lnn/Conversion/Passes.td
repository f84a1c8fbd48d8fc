// Conversions between the levels.
#ifndef LNN_CONVERSION_PASSES
#define LNN_CONVERSION_PASSES

include "mlir/Pass/PassBase.td"

def ConvertOnnxToLnn : Pass<"convert-onnx-to-lnn", "::mlir::ModuleOp"> {
  let summary = "expand onnx.node to linalg, tensor, arith, math, scf and lnn";
  let description = [{
    Infers the symbolic sizes of every value of each function of `onnx.node` ops, then expands each node as the operator
    table says. Booleans become `i8` (0 or 1) and unsigned integers signless ones, in signatures too; `lnn.dtype` keeps
    what they were. Sizes come from `tensor.dim` of the function's arguments.

    ```mlir
    func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
      %0 = onnx.node "Tanh"(%x) opset 17 : (tensor<?x8xf32>) -> tensor<?x8xf32>
      return %0 : tensor<?x8xf32>
    }
    // becomes a linalg.generic of math.tanh over a tensor.empty of %x's size
    ```
  }];
  let dependentDialects = ["::lnn::LnnDialect", "::mlir::arith::ArithDialect",
      "::mlir::bufferization::BufferizationDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
      "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

def ConvertLnnToOde : Pass<"convert-lnn-to-ode"> {
  let summary = "lower cells to dynamics and linalg";
  let description = [{
    `lnn.ltc` and `lnn.ctrnn` become `ode.solve`: a semilinear field, by fused semi-implicit steps or by the method that is
    named. `lnn.linear_recurrence` becomes an `lnn.scan`; the others become linalg. What doesn't depend on the state is
    computed in front of the solve; weights are zero where a wiring has no synapse, and a wiring without any is not
    computed at all. f16 and bf16 are computed in f32.

    ```mlir
    %next = lnn.ctrnn %h, %u for %dt method #ode.method<euler, steps = 4> activation tanh input(%w) recurrent(%r) neurons(%tau, %b)
    // becomes W u + b, and
    %next = ode.solve %h for %dt method <euler, steps = 4> : tensor<?x4xf32>, f32 {
    ^bb0(%t: f32, %s: tensor<?x4xf32>):
      // R s accumulated on W u + b, then tanh
      ode.yield_semilinear decay %one : f32 drive %act : tensor<?x4xf32> mass %tau : tensor<4xf32>
    }
    ```
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
      "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect", "::lnn::LnnDialect", "::lnn::ode::OdeDialect"];
}

def ConvertLnnScanToScf : Pass<"convert-lnn-scan-to-scf"> {
  let summary = "lower lnn.scan to scf.for";
  let description = [{
    A scan becomes an `scf.for` over its steps: inputs are sliced, outputs inserted into tensors that are allocated in
    front of the loop and carried, states carried in buffers of their own. All new states are computed before the first
    old one is overwritten. The size of an output's dynamic dimension must follow from values outside of the scan.

    ```mlir
    %y, %hn = lnn.scan %n over (%x : tensor<?x4xf32>) carrying (%h : tensor<4xf32>) ...
    // becomes scf.for %t = %c0 to %n step %c1 iter_args(%all = ..., %state = ...)
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::bufferization::BufferizationDialect",
      "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

def ConvertOdeToScf : Pass<"convert-ode-to-scf"> {
  let summary = "lower ode.solve to loops over steps";
  let description = [{
    A solve with a fixed number of steps becomes an `scf.for` that carries the states; with one step, no loop. The field's body is
    copied once for each stage that the method needs. A combination of stages is one `linalg.generic` for each state, its
    sum in ascending order of the stages, a fused multiply-add each. The step `dt / steps` is computed in front of the loop, in time's
    type. Output times are a loop around it that writes rows into a tensor allocated in front.

    Every explicit tableau and both semilinear schemes are lowered. Adaptive control, implicit schemes, events and status are
    refused.

    ```mlir
    %h1 = ode.solve %h0 for %dt method <euler, steps = 4> : tensor<8xf32>, f32 { ... }
    // becomes
    %step = arith.divf %dt, %cst_4 : f32
    %h1 = scf.for %i = %c0 to %c4 step %c1 iter_args(%h = %h0) -> (tensor<8xf32>) {
      ...                                                    // the field at %h
      %next = linalg.generic ... ins(%h, %k) outs(...) {...} // fma(%step, %k, %h)
      scf.yield %next : tensor<8xf32>
    }
    ```
  }];
  let dependentDialects = ["::lnn::LnnDialect", "::mlir::arith::ArithDialect",
      "::mlir::bufferization::BufferizationDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
      "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}
#endif
