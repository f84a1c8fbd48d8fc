// RUN: lnn-opt --onnx-free-sizes --split-input-file --verify-diagnostics %s | FileCheck %s

// What follows the size follows it: the target of a Reshape, a constant that repeats itself.

// CHECK-LABEL: func.func @reshape
// CHECK-SAME:    %[[X:.*]]: tensor<1x?x8xf32> {lnn.dims = [1, "time", 8], lnn.name = "x"}
// CHECK-SAME:    -> (tensor<?x8xf32> {lnn.dims = ["time", 8], lnn.name = "y"})
// CHECK-NOT:   lnn.dynamic
// CHECK:       %[[SHAPE:.*]] = arith.constant dense<[-1, 8]> : tensor<2xi64>
// CHECK:       %[[FLAT:.*]] = onnx.node "Reshape"(%[[X]], %[[SHAPE]])
// CHECK:       %[[ROW:.*]] = arith.constant dense<5.000000e-01> : tensor<1x8xf32>
// CHECK:       onnx.node "Add"(%[[FLAT]], %[[ROW]])
func.func @reshape(%x: tensor<1x16x8xf32> {lnn.name = "x"}) -> (tensor<16x8xf32> {lnn.name = "y"})
    attributes {lnn.dynamic = ["x:1=time"]} {
  %shape = arith.constant dense<[16, 8]> : tensor<2xi64>
  %rows = arith.constant dense<0.5> : tensor<16x8xf32>
  %0 = onnx.node "Reshape"(%x, %shape) {} opset 17 : (tensor<1x16x8xf32>, tensor<2xi64>) -> tensor<16x8xf32>
  %1 = onnx.node "Add"(%0, %rows) {} opset 17 : (tensor<16x8xf32>, tensor<16x8xf32>) -> tensor<16x8xf32>
  return %1 : tensor<16x8xf32>
}

// -----

// What is cut off of a padded length is counted from the end.

// CHECK-LABEL: func.func @slice
// CHECK:       %[[END:.*]] = arith.constant dense<-3> : tensor<1xi64>
// CHECK:       onnx.node "Slice"(%{{.*}}, %{{.*}}, %[[END]],
func.func @slice(%x: tensor<1x4x16xf32> {lnn.name = "x"}, %w: tensor<4x1x4xf32> {lnn.name = "w"})
    -> (tensor<1x4x16xf32> {lnn.name = "y"}) attributes {lnn.dynamic = ["x:2=time"]} {
  %zero = arith.constant dense<0> : tensor<1xi64>
  %end = arith.constant dense<16> : tensor<1xi64>
  %axis = arith.constant dense<2> : tensor<1xi64>
  %0 = onnx.node "Conv"(%x, %w) {group = 4 : i64, pads = array<i64: 3, 3>} opset 17 : (tensor<1x4x16xf32>, tensor<4x1x4xf32>) -> tensor<1x4x19xf32>
  %1 = onnx.node "Slice"(%0, %zero, %end, %axis) {} opset 17 : (tensor<1x4x19xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x4x16xf32>
  return %1 : tensor<1x4x16xf32>
}

// -----

// The node that fixes the size is named.

func.func @fixed(%x: tensor<1x16x8xf32> {lnn.name = "x"}, %p: tensor<16x8xf32>) -> tensor<1x16x8xf32>
    attributes {lnn.dynamic = ["x:1=time"]} {
  // expected-error @unknown {{Add node 'positions' (opset 17): not supported: it fixes the size 16 of dimension 1 of input 'x'}}
  %0 = onnx.node "Add"(%x, %p) {} opset 17 : (tensor<1x16x8xf32>, tensor<16x8xf32>) -> tensor<1x16x8xf32> loc("positions")
  return %0 : tensor<1x16x8xf32>
}

// -----

// expected-error @+1 {{dynamic size 'y:1=time': the model has no input 'y'}}
func.func @unknown(%x: tensor<1x16xf32> {lnn.name = "x"}) -> tensor<1x16xf32> attributes {lnn.dynamic = ["y:1=time"]} {
  %0 = onnx.node "Neg"(%x) {} opset 17 : (tensor<1x16xf32>) -> tensor<1x16xf32>
  return %0 : tensor<1x16xf32>
}
