// An elementwise node becomes a linalg.generic of the size that the argument has.
// RUN: lnn-opt %s --convert-onnx-to-lnn | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK-SAME:    %[[X:.*]]: tensor<?x8xf32>
// CHECK-NOT:   onnx.node
// CHECK:       tensor.empty
// CHECK:       linalg.generic {{.*}} ins(%[[X]] : tensor<?x8xf32>)
// CHECK:         math.tanh
func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %0 = onnx.node "Tanh"(%x) opset 17 : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}
