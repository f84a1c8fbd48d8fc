// Passes on the import level that make what an export fixed a matter of the call: sizes, and states.
#ifndef LNN_STREAMING_PASSES
#define LNN_STREAMING_PASSES

include "mlir/Pass/PassBase.td"

def OnnxFreeSizes : Pass<"onnx-free-sizes", "::mlir::func::FuncOp"> {
  let summary = "let sizes vary that an export fixed";
  let description = [{
    Exports made by tracing have the sizes of the example's inputs everywhere: in the inputs' types, and in constants that
    shapes were folded to. For each size asked for, `input:axis=name` (as an option, or in the function's attribute
    `lnn.dynamic`), the argument's dimension becomes dynamic and named, and constants that follow from it follow it: the
    target of a Reshape or Expand, the end of a Slice, the trip count of a Loop, a constant that repeats itself along the
    dimension. Axes named alike must have one size.

    What follows from a size is found by inferring all shapes with it and with another one. A node that contradicts the
    other size, or that loses it, is reported by its name; nothing is guessed. Two readings are conventions: a bound or
    trip count that equals the size is the size, and an index of one less is the last.

    ```mlir
    func.func @main(%x: tensor<1x16x8xf32> {lnn.name = "x"}) -> tensor<16x8xf32> attributes {lnn.dynamic = ["x:1=time"]} {
      %shape = arith.constant dense<[16, 8]> : tensor<2xi64>
      %0 = onnx.node "Reshape"(%x, %shape) {} opset 17 : (tensor<1x16x8xf32>, tensor<2xi64>) -> tensor<16x8xf32>
    // becomes
    func.func @main(%x: tensor<1x?x8xf32> {lnn.dims = [1, "time", 8], lnn.name = "x"}) -> tensor<?x8xf32> {
      %shape = arith.constant dense<[-1, 8]> : tensor<2xi64>
      %0 = onnx.node "Reshape"(%x, %shape) {} opset 17 : (tensor<1x?x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
    ```

    Run it behind `onnx-reroll`: what is unrolled fixes the number of steps.
  }];
  let options = [ListOption<"sizes", "sizes", "std::string", "input:axis=name, more of them separated by commas">];
  let dependentDialects = ["::lnn::onnx::OnnxDialect", "::mlir::arith::ArithDialect"];
}

def LnnExposeStates : Pass<"lnn-expose-states", "::mlir::func::FuncOp"> {
  let summary = "make recurrent states that start from zeros arguments and results";
  let description = [{
    A model that was exported for whole sequences starts its recurrences from zeros. Where the function has the attribute
    `lnn.streaming`, each such state becomes an argument, with the result that replaces it, so that a session steps the
    model through a sequence in pieces of any length, with the same results: the states of GRU, LSTM, RNN, of a Scan over
    time, of a Loop over time, and what a causal convolution looks back at (its padding in front).

    The time axis is the one that recurrences run along (convolutions that look back, where there are none); where the
    export fixed its length it becomes free, as by `onnx-free-sizes`. Every node on the way from it to the results must give
    the same result for a piece as for the whole. What looks ahead or at the whole sequence (a reverse direction, attention,
    a mean over time) is refused by the node's name.
  }];
  let options = [Option<"force", "force", "bool", "false", "as if the function had lnn.streaming">];
  let dependentDialects = ["::lnn::onnx::OnnxDialect", "::mlir::arith::ArithDialect"];
}
#endif
