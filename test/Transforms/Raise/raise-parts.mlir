// RUN: lnn-opt --pass-pipeline='builtin.module(func.func(lnn-raise-cells{remarks=1}),canonicalize,cse)' --split-input-file --verify-diagnostics %s | FileCheck %s
// Two states that mix element by element are one recurrence's parts. Products with
// matrices leave the loop.

// A rotation: re' = a re - w im + x, im' = a im + w re.
// CHECK-LABEL: @complex
// CHECK-SAME: (%[[A:.*]]: tensor<16x8xf32>, %[[W:.*]]: tensor<16x8xf32>, %[[X:.*]]: tensor<16x8xf32>, %[[G:.*]]: tensor<8xf32>, %[[H:.*]]: tensor<8xf32>)
// CHECK: %[[N:.*]] = linalg.generic {{.*}} ins(%[[W]]
// CHECK: %[[ZERO:.*]] = linalg.fill
// CHECK: %[[R:.*]]:4 = lnn.linear_recurrence decay %[[A]], %[[N]], %[[W]], %[[A]] drive %[[X]], %[[ZERO]] from %[[G]], %[[H]] dim 0
// CHECK: return %[[R]]#1, %[[R]]#0, %[[R]]#3
func.func @complex(%a: tensor<16x8xf32>, %w: tensor<16x8xf32>, %x: tensor<16x8xf32>, %re0: tensor<8xf32>, %im0: tensor<8xf32>)
    -> (tensor<16x8xf32>, tensor<16x8xf32>, tensor<8xf32>) {
  %c16 = arith.constant 16 : index
  // expected-remark @+1 {{raised to lnn.linear_recurrence in 2 parts along dimension 0}}
  %r:4 = lnn.scan %t of %c16 over (%at = %a dim 0, %wt = %w dim 0, %xt = %x dim 0) carrying (%re = %re0, %im = %im0) stacking (dim 0, dim 0)
      : (tensor<16x8xf32>, tensor<16x8xf32>, tensor<16x8xf32>, tensor<8xf32>, tensor<8xf32>)
      -> (tensor<16x8xf32>, tensor<16x8xf32>, tensor<8xf32>, tensor<8xf32>) {
    %0 = arith.mulf %at, %re : tensor<8xf32>
    %1 = arith.mulf %wt, %im : tensor<8xf32>
    %2 = arith.subf %0, %1 : tensor<8xf32>
    %u = arith.addf %2, %xt : tensor<8xf32>
    %3 = arith.mulf %at, %im : tensor<8xf32>
    %4 = arith.mulf %wt, %re : tensor<8xf32>
    %v = arith.addf %3, %4 : tensor<8xf32>
    lnn.yield %v, %u : tensor<8xf32>, tensor<8xf32> carrying %u, %v : tensor<8xf32>, tensor<8xf32>
  }
  return %r#0, %r#1, %r#3 : tensor<16x8xf32>, tensor<16x8xf32>, tensor<8xf32>
}

// -----

#row = affine_map<(c, k) -> (c, k)>
#sum = affine_map<(c, k) -> (c)>
// What is read out, the real part: the sum of one query of each part, with the
// state turned so that channels lie side by side.
// CHECK-LABEL: @read_out
// CHECK: %[[R:.*]]:4 = lnn.linear_recurrence decay %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} drive %{{.*}}, %{{.*}} read %{{.*}}, %{{.*}} of [0, 1] from %{{.*}}, %{{.*}} dim 0 : {{.*}} -> (tensor<16x8xf32>, tensor<16x8xf32>, tensor<3x8xf32>, tensor<3x8xf32>)
// CHECK: linalg.generic {{.*}} ins(%[[R]]#{{[01]}}, %[[R]]#{{[01]}}
func.func @read_out(%re0: tensor<8x3xf32>, %im0: tensor<8x3xf32>, %a: tensor<8x3xf32>, %w: tensor<8x3xf32>, %x: tensor<16x8x3xf32>,
    %c: tensor<8x3xf32>, %d: tensor<8x3xf32>) -> tensor<16x8xf32> {
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %ev = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%ev : tensor<8xf32>) -> tensor<8xf32>
  // expected-remark @+1 {{raised to lnn.linear_recurrence of a 3 x 8 state in 2 parts along dimension 0}}
  %r:3 = lnn.scan %t of %c16 over (%xt = %x dim 0) carrying (%re = %re0, %im = %im0) stacking (dim 0)
      : (tensor<16x8x3xf32>, tensor<8x3xf32>, tensor<8x3xf32>) -> (tensor<16x8xf32>, tensor<8x3xf32>, tensor<8x3xf32>) {
    %0 = arith.mulf %a, %re : tensor<8x3xf32>
    %1 = arith.mulf %w, %im : tensor<8x3xf32>
    %2 = arith.subf %0, %1 : tensor<8x3xf32>
    %u = arith.addf %2, %xt : tensor<8x3xf32>
    %3 = arith.mulf %a, %im : tensor<8x3xf32>
    %4 = arith.mulf %w, %re : tensor<8x3xf32>
    %v = arith.addf %3, %4 : tensor<8x3xf32>
    %5 = arith.mulf %c, %u : tensor<8x3xf32>
    %6 = arith.mulf %d, %v : tensor<8x3xf32>
    %7 = arith.subf %5, %6 : tensor<8x3xf32>
    %y = linalg.generic {indexing_maps = [#row, #sum], iterator_types = ["parallel", "reduction"]}
        ins(%7 : tensor<8x3xf32>) outs(%z : tensor<8xf32>) {
    ^bb0(%i: f32, %out: f32):
      %q = arith.addf %out, %i : f32
      linalg.yield %q : f32
    } -> tensor<8xf32>
    lnn.yield %y : tensor<8xf32> carrying %u, %v : tensor<8x3xf32>, tensor<8x3xf32>
  }
  return %r#0 : tensor<16x8xf32>
}

// -----

// The coefficient is of the state.
// CHECK-LABEL: @nonlinear
// CHECK-NOT: lnn.linear_recurrence
func.func @nonlinear(%x: tensor<16x8xf32>, %re0: tensor<8xf32>, %im0: tensor<8xf32>) -> tensor<16x8xf32> {
  %c16 = arith.constant 16 : index
  %r:3 = lnn.scan %t of %c16 over (%xt = %x dim 0) carrying (%re = %re0, %im = %im0) stacking (dim 0)
      : (tensor<16x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<16x8xf32>, tensor<8xf32>, tensor<8xf32>) {
    %0 = arith.mulf %xt, %re : tensor<8xf32>
    %1 = arith.mulf %re, %im : tensor<8xf32>
    %u = arith.subf %0, %1 : tensor<8xf32>
    %2 = arith.mulf %xt, %im : tensor<8xf32>
    %v = arith.addf %2, %xt : tensor<8xf32>
    lnn.yield %u : tensor<8xf32> carrying %u, %v : tensor<8xf32>, tensor<8xf32>
  }
  return %r#0 : tensor<16x8xf32>
}

// -----

// Three that mix; states that do not mix; and states of different shapes.
// CHECK-LABEL: @three
// CHECK-NOT: lnn.linear_recurrence
func.func @three(%x: tensor<16x8xf32>, %h0: tensor<8xf32>, %w: tensor<8xf32>) -> tensor<16x8xf32> {
  %c16 = arith.constant 16 : index
  %r:4 = lnn.scan %t of %c16 over (%xt = %x dim 0) carrying (%p = %h0, %q = %h0, %s = %h0) stacking (dim 0)
      : (tensor<16x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<16x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) {
    %0 = arith.mulf %w, %q : tensor<8xf32>
    %u = arith.addf %0, %xt : tensor<8xf32>
    %v = arith.mulf %w, %s : tensor<8xf32>
    %1 = arith.mulf %w, %p : tensor<8xf32>
    lnn.yield %u : tensor<8xf32> carrying %u, %v, %1 : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
  }
  return %r#0 : tensor<16x8xf32>
}
// CHECK-LABEL: @apart
// CHECK-NOT: lnn.linear_recurrence
func.func @apart(%x: tensor<16x8xf32>, %h0: tensor<8xf32>, %w: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %c16 = arith.constant 16 : index
  %r:2 = lnn.scan %t of %c16 over (%xt = %x dim 0) carrying (%p = %h0, %q = %h0)
      : (tensor<16x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
    %0 = arith.mulf %w, %p : tensor<8xf32>
    %u = arith.addf %0, %xt : tensor<8xf32>
    %1 = arith.mulf %w, %q : tensor<8xf32>
    %v = arith.subf %1, %xt : tensor<8xf32>
    lnn.yield carrying %u, %v : tensor<8xf32>, tensor<8xf32>
  }
  return %r#0, %r#1 : tensor<8xf32>, tensor<8xf32>
}
// CHECK-LABEL: @shapes
// CHECK-NOT: lnn.linear_recurrence
func.func @shapes(%x: tensor<16x8xf32>, %h0: tensor<8xf32>, %g0: tensor<1x8xf32>, %w: tensor<8xf32>) -> tensor<8xf32> {
  %c16 = arith.constant 16 : index
  %r:2 = lnn.scan %t of %c16 over (%xt = %x dim 0) carrying (%p = %h0, %g = %g0)
      : (tensor<16x8xf32>, tensor<8xf32>, tensor<1x8xf32>) -> (tensor<8xf32>, tensor<1x8xf32>) {
    %q = tensor.collapse_shape %g [[0, 1]] : tensor<1x8xf32> into tensor<8xf32>
    %0 = arith.mulf %w, %q : tensor<8xf32>
    %u = arith.addf %0, %xt : tensor<8xf32>
    %1 = arith.mulf %w, %p : tensor<8xf32>
    %v = tensor.expand_shape %1 [[0, 1]] output_shape [1, 8] : tensor<8xf32> into tensor<1x8xf32>
    lnn.yield carrying %u, %v : tensor<8xf32>, tensor<1x8xf32>
  }
  return %r#0 : tensor<8xf32>
}

// -----

#x = affine_map<(n, k) -> (k)>
#w = affine_map<(n, k) -> (k, n)>
#y = affine_map<(n, k) -> (n)>
// A product of the input, and one of the states: of all steps each. Time comes
// first, as it does in what is multiplied.
// CHECK-LABEL: @products
// CHECK: %[[B:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]} ins(%arg0, %arg1 : tensor<16x4xf32>, tensor<4x8xf32>) outs(%{{.*}} : tensor<16x8xf32>)
// CHECK: %[[R:.*]]:2 = lnn.linear_recurrence decay %{{.*}} drive %[[B]] from %arg3 dim 0
// CHECK: %[[Y:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[R]]#0, %arg2 : tensor<16x8xf32>, tensor<8x4xf32>) outs(%{{.*}} : tensor<16x4xf32>)
// CHECK: %[[Z:.*]] = linalg.generic {{.*}} ins(%[[Y]] : tensor<16x4xf32>)
// CHECK: math.tanh
// CHECK: return %[[Z]]
func.func @products(%x: tensor<16x4xf32>, %b: tensor<4x8xf32>, %c: tensor<8x4xf32>, %h0: tensor<8xf32>, %a: tensor<8xf32>) -> tensor<16x4xf32> {
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %e8 = tensor.empty() : tensor<8xf32>
  %z8 = linalg.fill ins(%zero : f32) outs(%e8 : tensor<8xf32>) -> tensor<8xf32>
  %e4 = tensor.empty() : tensor<4xf32>
  %z4 = linalg.fill ins(%zero : f32) outs(%e4 : tensor<4xf32>) -> tensor<4xf32>
  // expected-remark @+1 {{raised to lnn.linear_recurrence along dimension 0}}
  %r:2 = lnn.scan %t of %c16 over (%xt = %x dim 0) carrying (%h = %h0) stacking (dim 0)
      : (tensor<16x4xf32>, tensor<8xf32>) -> (tensor<16x4xf32>, tensor<8xf32>) {
    %bx = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "reduction"]}
        ins(%xt, %b : tensor<4xf32>, tensor<4x8xf32>) outs(%z8 : tensor<8xf32>) {
    ^bb0(%i: f32, %j: f32, %out: f32):
      %p = arith.mulf %i, %j : f32
      %q = arith.addf %out, %p : f32
      linalg.yield %q : f32
    } -> tensor<8xf32>
    %ah = arith.mulf %a, %h : tensor<8xf32>
    %next = arith.addf %ah, %bx : tensor<8xf32>
    %ch = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "reduction"]}
        ins(%next, %c : tensor<8xf32>, tensor<8x4xf32>) outs(%z4 : tensor<4xf32>) {
    ^bb0(%i: f32, %j: f32, %out: f32):
      %p = arith.mulf %i, %j : f32
      %q = arith.addf %out, %p : f32
      linalg.yield %q : f32
    } -> tensor<4xf32>
    %y = math.tanh %ch : tensor<4xf32>
    lnn.yield %y : tensor<4xf32> carrying %next : tensor<8xf32>
  }
  return %r#0 : tensor<16x4xf32>
}
