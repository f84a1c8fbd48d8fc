// RUN: lnn-opt %s | lnn-opt | FileCheck %s
// RUN: lnn-opt %s --mlir-print-op-generic | lnn-opt | FileCheck %s

// CHECK-LABEL: func.func @node
// CHECK: %[[NONE:.*]] = onnx.none
// CHECK: onnx.node "ReduceSum"(%arg0, %arg1) {keepdims = 0 : i64} opset 17 : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2xf32>
// CHECK: onnx.node "Clip"(%{{.*}}, %[[NONE]], %{{.*}}) opset 13 : (tensor<2xf32>, none, tensor<f32>) -> tensor<2xf32>
// CHECK: onnx.node "Foo"() domain "com.example" opset 1 : () -> ()
// CHECK: onnx.node "Later"(%{{.*}}) opset 17 : (tensor<2xf32>) -> tensor<*xf32>
func.func @node(%x: tensor<2x3xf32>, %axes: tensor<1xi64>, %max: tensor<f32>) -> tensor<2xf32> {
  %none = onnx.none
  %0 = onnx.node "ReduceSum"(%x, %axes) {keepdims = 0 : i64} opset 17 : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2xf32>
  %1 = onnx.node "Clip"(%0, %none, %max) opset 13 : (tensor<2xf32>, none, tensor<f32>) -> tensor<2xf32>
  onnx.node "Foo"() domain "com.example" opset 1 : () -> ()
  %2 = onnx.node "Later"(%1) opset 17 : (tensor<2xf32>) -> tensor<*xf32>
  return %1 : tensor<2xf32>
}

// CHECK-LABEL: func.func @subgraphs
// CHECK: onnx.node "If"(%arg0) opset 17 bodies ["else_branch", "then_branch"] {
// CHECK: onnx.yield %{{.*}} : tensor<2xf32>
// CHECK: } {
// CHECK: onnx.yield %{{.*}} : tensor<2xf32>
// CHECK: } : (tensor<i1>) -> tensor<2xf32>
func.func @subgraphs(%c: tensor<i1>, %x: tensor<2xf32>) -> tensor<2xf32> {
  %0 = onnx.node "If"(%c) opset 17 bodies ["else_branch", "then_branch"] {
    onnx.yield %x : tensor<2xf32>
  } {
    %1 = onnx.node "Neg"(%x) opset 17 : (tensor<2xf32>) -> tensor<2xf32>
    onnx.yield %1 : tensor<2xf32>
  } : (tensor<i1>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}
