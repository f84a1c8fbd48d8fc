// RUN: lnn-opt --lnn-expose-states --split-input-file --verify-diagnostics %s | FileCheck %s

// A Scan over time that starts from zeros: its state becomes an argument, its last value a result.

// CHECK-LABEL: func.func @scan
// CHECK-SAME:    %[[X:.*]]: tensor<?x4xf32>
// CHECK-SAME:    %[[H:.*]]: tensor<4xf32> {lnn.dims = [4], lnn.dtype = "float32", lnn.name = "cell.state", lnn.next = "cell.state.next", lnn.role = "state"}
// CHECK-SAME:    tensor<4xf32> {lnn.dims = [4], lnn.dtype = "float32", lnn.name = "cell.state.next", lnn.prev = "cell.state", lnn.role = "state"}
// CHECK:       %[[R:.*]]:2 = onnx.node "Scan"(%[[H]], %[[X]])
// CHECK:       return %[[R]]#1, %[[R]]#0
func.func @scan(%x: tensor<?x4xf32> {lnn.name = "x", lnn.dims = ["time", 4]}) -> (tensor<?x4xf32> {lnn.name = "y"})
    attributes {lnn.streaming} {
  %zeros = arith.constant dense<0.0> : tensor<4xf32>
  %0:2 = onnx.node "Scan"(%zeros, %x) {num_scan_inputs = 1 : i64} opset 17 bodies ["body"] {
  ^bb0(%h: tensor<4xf32>, %xt: tensor<4xf32>):
    %1 = onnx.node "Add"(%h, %xt) {} opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    onnx.yield %1, %1 : tensor<4xf32>, tensor<4xf32>
  } : (tensor<4xf32>, tensor<?x4xf32>) -> (tensor<4xf32>, tensor<?x4xf32>) loc("cell")
  return %0#1 : tensor<?x4xf32>
}

// -----

// What a convolution looks back at stands in front of the piece instead of zeros.

// CHECK-LABEL: func.func @conv
// CHECK-SAME:    %[[X:[a-z0-9]*]]: tensor<1x4x?xf32>
// CHECK-SAME:    %[[PAST:[a-z0-9]*]]: tensor<1x4x2xf32> {{.*}}lnn.role = "state"
// CHECK:       %[[BOTH:.*]] = onnx.node "Concat"(%[[PAST]], %[[X]]) {axis = 2 : i64}
// CHECK:       %[[NEXT:.*]] = onnx.node "Slice"(%[[BOTH]],
// CHECK:       %[[Y:.*]] = onnx.node "Conv"(%[[BOTH]], %{{.*}}) {{.*}}pads = array<i64: 0, 0>
// CHECK:       return %[[Y]], %[[NEXT]]
func.func @conv(%x: tensor<1x4x?xf32> {lnn.name = "x", lnn.dims = [1, 4, "time"]}) -> (tensor<1x4x?xf32> {lnn.name = "y"})
    attributes {lnn.streaming} {
  %w = arith.constant dense<0.25> : tensor<4x1x3xf32>
  %0 = onnx.node "Conv"(%x, %w) {group = 4 : i64, pads = array<i64: 2, 0>} opset 17 : (tensor<1x4x?xf32>, tensor<4x1x3xf32>) -> tensor<1x4x?xf32>
  return %0 : tensor<1x4x?xf32>
}

// -----

// What runs backward cannot be computed piece by piece.

func.func @backward(%x: tensor<?x4xf32> {lnn.name = "x", lnn.dims = ["time", 4]}) -> (tensor<?x4xf32> {lnn.name = "y"})
    attributes {lnn.streaming} {
  %zeros = arith.constant dense<0.0> : tensor<4xf32>
  // expected-error @unknown {{Scan node 'cell' (opset 17): not supported: it cannot be computed piece by piece: it runs backward in time}}
  %0:2 = onnx.node "Scan"(%zeros, %x) {num_scan_inputs = 1 : i64, scan_input_directions = array<i64: 1>} opset 17 bodies ["body"] {
  ^bb0(%h: tensor<4xf32>, %xt: tensor<4xf32>):
    %1 = onnx.node "Add"(%h, %xt) {} opset 17 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    onnx.yield %1, %1 : tensor<4xf32>, tensor<4xf32>
  } : (tensor<4xf32>, tensor<?x4xf32>) -> (tensor<4xf32>, tensor<?x4xf32>) loc("cell")
  return %0#1 : tensor<?x4xf32>
}

// -----

// expected-error @+1 {{streaming: no recurrence or convolution runs along a dimension of an input}}
func.func @none(%x: tensor<?x4xf32> {lnn.name = "x", lnn.dims = ["time", 4]}) -> tensor<?x4xf32> attributes {lnn.streaming} {
  %0 = onnx.node "Neg"(%x) {} opset 17 : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
