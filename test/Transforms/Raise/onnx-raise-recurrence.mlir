// RUN: lnn-opt %s --pass-pipeline='builtin.module(func.func(onnx-raise-recurrence))' | FileCheck %s

// Hillis-Steele over four steps: the decay is padded with ones, the partial results with zeros.
// CHECK-LABEL: @hillis_steele
// CHECK: %[[ZERO:.*]] = arith.constant dense<0.000000e+00> : tensor<3xf32>
// CHECK: %[[H:.*]]:2 = onnx.node "Scan"(%[[ZERO]], %arg0, %arg1)
// CHECK-SAME: num_scan_inputs = 2
// CHECK-SAME: scan_input_axes = array<i64: 0, 0>
// CHECK: ^bb0(%[[S:.*]]: tensor<3xf32>, %[[A:.*]]: tensor<3xf32>, %[[B:.*]]: tensor<3xf32>):
// CHECK-NEXT: %[[D:.*]] = onnx.node "Mul"(%[[A]], %[[S]])
// CHECK-NEXT: %[[N:.*]] = onnx.node "Add"(%[[D]], %[[B]])
// CHECK-NEXT: onnx.yield %[[N]], %[[N]]
// CHECK: return %[[H]]#1
func.func @hillis_steele(%a: tensor<4x3xf32>, %b: tensor<4x3xf32>) -> tensor<4x3xf32> {
  %zero1 = arith.constant dense<0.0> : tensor<1x3xf32>
  %zero2 = arith.constant dense<0.0> : tensor<2x3xf32>
  %one1 = arith.constant dense<1.0> : tensor<1x3xf32>
  %i0 = arith.constant dense<0> : tensor<1xi64>
  %m1 = arith.constant dense<-1> : tensor<1xi64>
  %m2 = arith.constant dense<-2> : tensor<1xi64>
  %b1s = onnx.node "Slice"(%b, %i0, %m1, %i0) opset 17 : (tensor<4x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3x3xf32>
  %b1p = onnx.node "Concat"(%zero1, %b1s) {axis = 0 : i64} opset 17 : (tensor<1x3xf32>, tensor<3x3xf32>) -> tensor<4x3xf32>
  %b1m = onnx.node "Mul"(%a, %b1p) opset 17 : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  %b1 = onnx.node "Add"(%b1m, %b) opset 17 : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  %a1s = onnx.node "Slice"(%a, %i0, %m1, %i0) opset 17 : (tensor<4x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3x3xf32>
  %a1p = onnx.node "Concat"(%one1, %a1s) {axis = 0 : i64} opset 17 : (tensor<1x3xf32>, tensor<3x3xf32>) -> tensor<4x3xf32>
  %a1 = onnx.node "Mul"(%a, %a1p) opset 17 : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  %b2s = onnx.node "Slice"(%b1, %i0, %m2, %i0) opset 17 : (tensor<4x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x3xf32>
  %b2p = onnx.node "Concat"(%zero2, %b2s) {axis = 0 : i64} opset 17 : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<4x3xf32>
  %b2m = onnx.node "Mul"(%a1, %b2p) opset 17 : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  %b2 = onnx.node "Add"(%b2m, %b1) opset 17 : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  return %b2 : tensor<4x3xf32>
}

// The second step shifts by one instead of two: no recurrence.
// CHECK-LABEL: @wrong_shift
// CHECK-NOT: "Scan"
func.func @wrong_shift(%a: tensor<4x3xf32>, %b: tensor<4x3xf32>) -> tensor<4x3xf32> {
  %zero1 = arith.constant dense<0.0> : tensor<1x3xf32>
  %one1 = arith.constant dense<1.0> : tensor<1x3xf32>
  %i0 = arith.constant dense<0> : tensor<1xi64>
  %m1 = arith.constant dense<-1> : tensor<1xi64>
  %b1s = onnx.node "Slice"(%b, %i0, %m1, %i0) opset 17 : (tensor<4x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3x3xf32>
  %b1p = onnx.node "Concat"(%zero1, %b1s) {axis = 0 : i64} opset 17 : (tensor<1x3xf32>, tensor<3x3xf32>) -> tensor<4x3xf32>
  %b1m = onnx.node "Mul"(%a, %b1p) opset 17 : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  %b1 = onnx.node "Add"(%b1m, %b) opset 17 : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  %a1s = onnx.node "Slice"(%a, %i0, %m1, %i0) opset 17 : (tensor<4x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3x3xf32>
  %a1p = onnx.node "Concat"(%one1, %a1s) {axis = 0 : i64} opset 17 : (tensor<1x3xf32>, tensor<3x3xf32>) -> tensor<4x3xf32>
  %a1 = onnx.node "Mul"(%a, %a1p) opset 17 : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  %b2s = onnx.node "Slice"(%b1, %i0, %m1, %i0) opset 17 : (tensor<4x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3x3xf32>
  %b2p = onnx.node "Concat"(%zero1, %b2s) {axis = 0 : i64} opset 17 : (tensor<1x3xf32>, tensor<3x3xf32>) -> tensor<4x3xf32>
  %b2m = onnx.node "Mul"(%a1, %b2p) opset 17 : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  %b2 = onnx.node "Add"(%b2m, %b1) opset 17 : (tensor<4x3xf32>, tensor<4x3xf32>) -> tensor<4x3xf32>
  return %b2 : tensor<4x3xf32>
}

// One decay for all channels, its dimension added; the steps one after the other, unrolled.
// CHECK-LABEL: @in_order
// CHECK: "Scan"
func.func @in_order(%a: tensor<4xf32>, %b: tensor<4x3xf32>) -> tensor<4x3xf32> {
  %i0 = arith.constant dense<0> : tensor<1xi64>
  %i1 = arith.constant dense<1> : tensor<1xi64>
  %i2 = arith.constant dense<2> : tensor<1xi64>
  %i3 = arith.constant dense<3> : tensor<1xi64>
  %i4 = arith.constant dense<4> : tensor<1xi64>
  %au = onnx.node "Unsqueeze"(%a, %i1) opset 17 : (tensor<4xf32>, tensor<1xi64>) -> tensor<4x1xf32>
  %h0 = onnx.node "Slice"(%b, %i0, %i1, %i0) opset 17 : (tensor<4x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x3xf32>
  %a1 = onnx.node "Slice"(%au, %i1, %i2, %i0) opset 17 : (tensor<4x1xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x1xf32>
  %b1 = onnx.node "Slice"(%b, %i1, %i2, %i0) opset 17 : (tensor<4x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x3xf32>
  %m1 = onnx.node "Mul"(%h0, %a1) opset 17 : (tensor<1x3xf32>, tensor<1x1xf32>) -> tensor<1x3xf32>
  %h1 = onnx.node "Add"(%b1, %m1) opset 17 : (tensor<1x3xf32>, tensor<1x3xf32>) -> tensor<1x3xf32>
  %a2 = onnx.node "Slice"(%au, %i2, %i3, %i0) opset 17 : (tensor<4x1xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x1xf32>
  %b2 = onnx.node "Slice"(%b, %i2, %i3, %i0) opset 17 : (tensor<4x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x3xf32>
  %m2 = onnx.node "Mul"(%h1, %a2) opset 17 : (tensor<1x3xf32>, tensor<1x1xf32>) -> tensor<1x3xf32>
  %h2 = onnx.node "Add"(%b2, %m2) opset 17 : (tensor<1x3xf32>, tensor<1x3xf32>) -> tensor<1x3xf32>
  %a3 = onnx.node "Slice"(%au, %i3, %i4, %i0) opset 17 : (tensor<4x1xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x1xf32>
  %b3 = onnx.node "Slice"(%b, %i3, %i4, %i0) opset 17 : (tensor<4x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x3xf32>
  %m3 = onnx.node "Mul"(%h2, %a3) opset 17 : (tensor<1x3xf32>, tensor<1x1xf32>) -> tensor<1x3xf32>
  %h3 = onnx.node "Add"(%b3, %m3) opset 17 : (tensor<1x3xf32>, tensor<1x3xf32>) -> tensor<1x3xf32>
  %h = onnx.node "Concat"(%h0, %h1, %h2, %h3) {axis = 0 : i64} opset 17 : (tensor<1x3xf32>, tensor<1x3xf32>, tensor<1x3xf32>, tensor<1x3xf32>) -> tensor<4x3xf32>
  return %h : tensor<4x3xf32>
}
