// RUN: lnn-opt %s --pass-pipeline='builtin.module(func.func(lnn-hoist-projections{min-bytes=0}),canonicalize,cse)' | FileCheck %s
// RUN: lnn-opt %s --lnn-hoist-projections | FileCheck %s --check-prefix=SMALL

// A product of the input alone, time in its second dimension, read from the end.
// CHECK-DAG: #[[X:.*]] = affine_map<(d0, d1, d2, d3) -> (d1, d0, d3)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3) -> (d3, d2)>
// CHECK-DAG: #[[Y:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
// CHECK-LABEL: @input_alone
// A matrix that stays in the nearest cache may as well be read in each step.
// SMALL-LABEL: @input_alone
// SMALL: lnn.scan
// SMALL: linalg.matmul
// SMALL: lnn.yield
// CHECK: %[[ALL:.*]] = linalg.generic {indexing_maps = [#[[X]], #[[W]], #[[Y]]], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
// CHECK-SAME: ins(%arg0, %arg1 : tensor<2x?x3xf32>, tensor<3x4xf32>)
// CHECK: lnn.scan {{.*}} over (%[[P:.*]] = %[[ALL]] dim 0 reverse) carrying (%[[H:.*]] = %arg2)
// CHECK-NEXT: %[[N:.*]] = arith.addf %[[H]], %[[P]]
// CHECK-NEXT: lnn.yield %[[N]]
func.func @input_alone(%x: tensor<2x?x3xf32>, %w: tensor<3x4xf32>, %h0: tensor<2x4xf32>, %n: index) -> (tensor<?x2x4xf32>, tensor<2x4xf32>) {
  %y:2 = lnn.scan %t of %n over (%xt = %x dim 1 reverse) carrying (%h = %h0) stacking (dim 0)
      : (tensor<2x?x3xf32>, tensor<2x4xf32>) -> (tensor<?x2x4xf32>, tensor<2x4xf32>) {
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<2x4xf32>
    %z = linalg.fill ins(%zero : f32) outs(%e : tensor<2x4xf32>) -> tensor<2x4xf32>
    %p = linalg.matmul ins(%xt, %w : tensor<2x3xf32>, tensor<3x4xf32>) outs(%z : tensor<2x4xf32>) -> tensor<2x4xf32>
    %next = arith.addf %h, %p : tensor<2x4xf32>
    lnn.yield %next : tensor<2x4xf32> carrying %next : tensor<2x4xf32>
  }
  return %y#0, %y#1 : tensor<?x2x4xf32>, tensor<2x4xf32>
}

// [x, h] W: the part of x in front of the loop, that of h on top of it.
// CHECK-LABEL: @concatenation
// CHECK: %[[ALL:.*]] = linalg.generic {{.*}} ins(%arg0, %{{.*}} : tensor<5x2x3xf32>, tensor<3x4xf32>)
// CHECK: lnn.scan {{.*}} over (%[[P:.*]] = %[[ALL]] dim 0) carrying (%[[H:.*]] = %arg2)
// CHECK-NEXT: %[[S:.*]] = linalg.matmul ins(%[[H]], %{{.*}} : tensor<2x4xf32>, tensor<4x4xf32>) outs(%[[P]] : tensor<2x4xf32>)
// CHECK-NEXT: math.tanh %[[S]]
// CHECK-NOT: insert_slice
func.func @concatenation(%x: tensor<5x2x3xf32>, %w: tensor<7x4xf32>, %h0: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %c5 = arith.constant 5 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x4xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<2x4xf32>) -> tensor<2x4xf32>
  %hn = lnn.scan %t of %c5 over (%xt = %x dim 0) carrying (%h = %h0) : (tensor<5x2x3xf32>, tensor<2x4xf32>) -> tensor<2x4xf32> {
    %xh = tensor.empty() : tensor<2x7xf32>
    %x0 = tensor.insert_slice %xt into %xh[0, 0] [2, 3] [1, 1] : tensor<2x3xf32> into tensor<2x7xf32>
    %x1 = tensor.insert_slice %h into %x0[0, 3] [2, 4] [1, 1] : tensor<2x4xf32> into tensor<2x7xf32>
    %p = linalg.matmul ins(%x1, %w : tensor<2x7xf32>, tensor<7x4xf32>) outs(%z : tensor<2x4xf32>) -> tensor<2x4xf32>
    %next = math.tanh %p : tensor<2x4xf32>
    lnn.yield carrying %next : tensor<2x4xf32>
  }
  return %hn : tensor<2x4xf32>
}

// The matrix depends on the state.
// CHECK-LABEL: @not_constant
// CHECK: lnn.scan
// CHECK: linalg.matmul
func.func @not_constant(%x: tensor<5x2x2xf32>, %h0: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %c5 = arith.constant 5 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x2xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<2x2xf32>) -> tensor<2x2xf32>
  %hn = lnn.scan %t of %c5 over (%xt = %x dim 0) carrying (%h = %h0) : (tensor<5x2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32> {
    %p = linalg.matmul ins(%xt, %h : tensor<2x2xf32>, tensor<2x2xf32>) outs(%z : tensor<2x2xf32>) -> tensor<2x2xf32>
    lnn.yield carrying %p : tensor<2x2xf32>
  }
  return %hn : tensor<2x2xf32>
}
