// RUN: lnn-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: @no_feedback
// CHECK-NEXT: return %arg0
func.func @no_feedback(%x: tensor<?x3xf32>, %h: tensor<?x4xf32>) -> tensor<?x3xf32> {
  %f = arith.constant dense<0.0> : tensor<4x3xf32>
  %u = lnn.feedback %x, %h through %f : tensor<?x3xf32>, tensor<?x4xf32>
  return %u : tensor<?x3xf32>
}

// CHECK-LABEL: @unwired_feedback
// CHECK-NEXT: return %arg0
func.func @unwired_feedback(%x: tensor<?x3xf32>, %h: tensor<?x4xf32>, %f: tensor<4x3xf32>) -> tensor<?x3xf32> {
  %u = lnn.feedback %x, %h through %f wired <4 x 3, {}> : tensor<?x3xf32>, tensor<?x4xf32>
  return %u : tensor<?x3xf32>
}

// CHECK-LABEL: @dense_wiring
// CHECK-NOT: wired
// CHECK: return
func.func @dense_wiring(%x: tensor<?x3xf32>, %h: tensor<?x4xf32>, %f: tensor<4x3xf32>) -> tensor<?x3xf32> {
  %u = lnn.feedback %x, %h through %f wired <4 x 3, dense> : tensor<?x3xf32>, tensor<?x4xf32>
  return %u : tensor<?x3xf32>
}

// CHECK-LABEL: @no_time
// CHECK-NEXT: return %arg0
func.func @no_time(%m: tensor<?x2x4xf32>, %h: tensor<?x4xf32>, %tau: tensor<2xf32>) -> tensor<?x2x4xf32> {
  %dt = arith.constant 0.0 : f32
  %next = lnn.trajectory %m, %h for %dt tau(%tau) : tensor<?x2x4xf32>, tensor<?x4xf32>, f32
  return %next : tensor<?x2x4xf32>
}

// CHECK-LABEL: @constant_duration
// CHECK: lnn.trajectory %{{.*}}, %{{.*}} for %cst{{.*}} f32
func.func @constant_duration(%m: tensor<3x2x4xf32>, %h: tensor<3x4xf32>, %tau: tensor<2xf32>) -> tensor<3x2x4xf32> {
  %dt = arith.constant dense<0.5> : tensor<3x1xf32>
  %next = lnn.trajectory %m, %h for %dt tau(%tau) : tensor<3x2x4xf32>, tensor<3x4xf32>, tensor<3x1xf32>
  return %next : tensor<3x2x4xf32>
}

// CHECK-LABEL: @activations
// CHECK: arith.constant 5.000000e-01 : f32
// CHECK-NEXT: return
func.func @activations() -> f32 {
  %zero = arith.constant 0.0 : f32
  %half = lnn.sigmoid %zero : f32
  return %half : f32
}
