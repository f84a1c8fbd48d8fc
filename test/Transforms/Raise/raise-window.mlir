// RUN: lnn-opt --pass-pipeline='builtin.module(func.func(lnn-raise-cells{remarks=1}),canonicalize,cse)' --split-input-file --verify-diagnostics %s | FileCheck %s
// Windows of samples that no state decides are convolutions in front of the scan.

#row = affine_map<(c, k) -> (c, k)>
#sum = affine_map<(c, k) -> (c)>
// Nothing is left; the length is not known. What the step does with a sum is
// done for all of time.
// CHECK-LABEL: @alone
// CHECK-NOT: lnn.scan
// CHECK: %[[X:.*]] = linalg.generic {{.*}} ins(%arg1 : tensor<?x8xf32>)
// CHECK: math.exp
// CHECK: %[[S:.*]] = linalg.generic {{.*}} ins(%arg0 : tensor<8x3xf32>) outs(%{{.*}} : tensor<3x8xf32>)
// CHECK: %[[Y:.*]], %[[N:.*]] = lnn.causal_conv %[[X]], %[[S]] taps(%{{.*}}) : tensor<?x8xf32>, tensor<3x8xf32>
// CHECK-DAG: linalg.generic {{.*}} ins(%[[N]] : tensor<3x8xf32>) outs(%{{.*}} : tensor<8x3xf32>)
// CHECK-DAG: linalg.generic {{.*}} ins(%[[Y]] : tensor<?x8xf32>)
// CHECK-NOT: lnn.scan
func.func @alone(%s0: tensor<8x3xf32>, %x: tensor<?x8xf32>, %w: tensor<8x4xf32>, %n: index) -> (tensor<?x8xf32>, tensor<8x3xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x4xf32>
  %ev = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%ev : tensor<8xf32>) -> tensor<8xf32>
  // expected-remark @+1 {{raised to lnn.causal_conv of 4 taps along dimension 0}}
  %r:2 = lnn.scan %t of %n over (%xt = %x dim 0) carrying (%s = %s0) stacking (dim 0)
      : (tensor<?x8xf32>, tensor<8x3xf32>) -> (tensor<?x8xf32>, tensor<8x3xf32>) {
    %xe = math.exp %xt : tensor<8xf32>
    %x1 = tensor.expand_shape %xe [[0, 1]] output_shape [8, 1] : tensor<8xf32> into tensor<8x1xf32>
    %a = tensor.insert_slice %s into %e[0, 0] [8, 3] [1, 1] : tensor<8x3xf32> into tensor<8x4xf32>
    %b = tensor.insert_slice %x1 into %a[0, 3] [8, 1] [1, 1] : tensor<8x1xf32> into tensor<8x4xf32>
    %y = linalg.generic {indexing_maps = [#row, #row, #sum], iterator_types = ["parallel", "reduction"]}
        ins(%b, %w : tensor<8x4xf32>, tensor<8x4xf32>) outs(%z : tensor<8xf32>) {
    ^bb0(%i: f32, %j: f32, %out: f32):
      %p = arith.mulf %i, %j : f32
      %q = arith.addf %out, %p : f32
      linalg.yield %q : f32
    } -> tensor<8xf32>
    %next = tensor.extract_slice %b[0, 1] [8, 3] [1, 1] : tensor<8x4xf32> to tensor<8x3xf32>
    %th = math.tanh %y : tensor<8xf32>
    lnn.yield %th : tensor<8xf32> carrying %next : tensor<8x3xf32>
  }
  return %r#0, %r#1 : tensor<?x8xf32>, tensor<8x3xf32>
}

// -----

#row = affine_map<(k, c) -> (k, c)>
#sum = affine_map<(k, c) -> (c)>
// Samples one behind another, all four of them the state, of which the oldest
// is not read; what is left is a recurrence.
// CHECK-LABEL: @recurrence
// CHECK-NOT: lnn.scan
// CHECK: %[[S:.*]] = tensor.extract_slice %arg0[1, 0] [3, 8] [1, 1]
// CHECK: %[[Y:.*]], %{{.*}} = lnn.causal_conv %arg1, %[[S]] taps(%arg2) : tensor<16x8xf32>, tensor<3x8xf32>
// CHECK: lnn.linear_recurrence decay %{{.*}} drive %[[Y]] from %arg3 dim 0
// CHECK-NOT: lnn.scan
func.func @recurrence(%s0: tensor<4x8xf32>, %x: tensor<16x8xf32>, %w: tensor<4x8xf32>, %h0: tensor<8xf32>, %decay: tensor<8xf32>)
    -> (tensor<16x8xf32>, tensor<4x8xf32>) {
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x8xf32>
  %ev = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%ev : tensor<8xf32>) -> tensor<8xf32>
  // expected-remark @+2 {{raised to lnn.causal_conv of 4 taps along dimension 0}}
  // expected-remark @+1 {{raised to lnn.linear_recurrence along dimension 0}}
  %r:3 = lnn.scan %t of %c16 over (%xt = %x dim 0) carrying (%s = %s0, %h = %h0) stacking (dim 0)
      : (tensor<16x8xf32>, tensor<4x8xf32>, tensor<8xf32>) -> (tensor<16x8xf32>, tensor<4x8xf32>, tensor<8xf32>) {
    %kept = tensor.extract_slice %s[1, 0] [3, 8] [1, 1] : tensor<4x8xf32> to tensor<3x8xf32>
    %x1 = tensor.expand_shape %xt [[0, 1]] output_shape [1, 8] : tensor<8xf32> into tensor<1x8xf32>
    %a = tensor.insert_slice %kept into %e[0, 0] [3, 8] [1, 1] : tensor<3x8xf32> into tensor<4x8xf32>
    %b = tensor.insert_slice %x1 into %a[3, 0] [1, 8] [1, 1] : tensor<1x8xf32> into tensor<4x8xf32>
    %y = linalg.generic {indexing_maps = [#row, #row, #sum], iterator_types = ["reduction", "parallel"]}
        ins(%b, %w : tensor<4x8xf32>, tensor<4x8xf32>) outs(%z : tensor<8xf32>) {
    ^bb0(%i: f32, %j: f32, %out: f32):
      %p = arith.mulf %i, %j : f32
      %q = arith.addf %out, %p : f32
      linalg.yield %q : f32
    } -> tensor<8xf32>
    %m = arith.mulf %decay, %h : tensor<8xf32>
    %hn = arith.addf %m, %y : tensor<8xf32>
    lnn.yield %hn : tensor<8xf32> carrying %b, %hn : tensor<4x8xf32>, tensor<8xf32>
  }
  return %r#0, %r#1 : tensor<16x8xf32>, tensor<4x8xf32>
}

// -----

#row = affine_map<(c, k) -> (c, k)>
#sum = affine_map<(c, k) -> (c)>
// From the last sample to the first; then a scan that stays for its other state.
// CHECK-LABEL: @backward
// CHECK-NOT: lnn.causal_conv
func.func @backward(%s0: tensor<8x3xf32>, %x: tensor<16x8xf32>, %w: tensor<8x4xf32>) -> tensor<16x8xf32> {
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x4xf32>
  %ev = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%ev : tensor<8xf32>) -> tensor<8xf32>
  // expected-remark @+1 {{raised to a window of 4 samples, 8 channels side by side}}
  %r:2 = lnn.scan %t of %c16 over (%xt = %x dim 0 reverse) carrying (%s = %s0) stacking (dim 0 reverse)
      : (tensor<16x8xf32>, tensor<8x3xf32>) -> (tensor<16x8xf32>, tensor<8x3xf32>) {
    %x1 = tensor.expand_shape %xt [[0, 1]] output_shape [8, 1] : tensor<8xf32> into tensor<8x1xf32>
    %a = tensor.insert_slice %s into %e[0, 0] [8, 3] [1, 1] : tensor<8x3xf32> into tensor<8x4xf32>
    %b = tensor.insert_slice %x1 into %a[0, 3] [8, 1] [1, 1] : tensor<8x1xf32> into tensor<8x4xf32>
    %y = linalg.generic {indexing_maps = [#row, #row, #sum], iterator_types = ["parallel", "reduction"]}
        ins(%b, %w : tensor<8x4xf32>, tensor<8x4xf32>) outs(%z : tensor<8xf32>) {
    ^bb0(%i: f32, %j: f32, %out: f32):
      %p = arith.mulf %i, %j : f32
      %q = arith.addf %out, %p : f32
      linalg.yield %q : f32
    } -> tensor<8xf32>
    %next = tensor.extract_slice %b[0, 1] [8, 3] [1, 1] : tensor<8x4xf32> to tensor<8x3xf32>
    lnn.yield %y : tensor<8xf32> carrying %next : tensor<8x3xf32>
  }
  return %r#0 : tensor<16x8xf32>
}
// CHECK-LABEL: @stays
// CHECK-NOT: lnn.causal_conv
func.func @stays(%s0: tensor<8x3xf32>, %x: tensor<16x8xf32>, %w: tensor<8x4xf32>, %h0: tensor<8xf32>) -> tensor<16x8xf32> {
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x4xf32>
  %ev = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%ev : tensor<8xf32>) -> tensor<8xf32>
  // expected-remark @+1 {{raised to a window of 4 samples, 8 channels side by side}}
  %r:3 = lnn.scan %t of %c16 over (%xt = %x dim 0) carrying (%s = %s0, %h = %h0) stacking (dim 0)
      : (tensor<16x8xf32>, tensor<8x3xf32>, tensor<8xf32>) -> (tensor<16x8xf32>, tensor<8x3xf32>, tensor<8xf32>) {
    %x1 = tensor.expand_shape %xt [[0, 1]] output_shape [8, 1] : tensor<8xf32> into tensor<8x1xf32>
    %a = tensor.insert_slice %s into %e[0, 0] [8, 3] [1, 1] : tensor<8x3xf32> into tensor<8x4xf32>
    %b = tensor.insert_slice %x1 into %a[0, 3] [8, 1] [1, 1] : tensor<8x1xf32> into tensor<8x4xf32>
    %y = linalg.generic {indexing_maps = [#row, #row, #sum], iterator_types = ["parallel", "reduction"]}
        ins(%b, %w : tensor<8x4xf32>, tensor<8x4xf32>) outs(%z : tensor<8xf32>) {
    ^bb0(%i: f32, %j: f32, %out: f32):
      %p = arith.mulf %i, %j : f32
      %q = arith.addf %out, %p : f32
      linalg.yield %q : f32
    } -> tensor<8xf32>
    %next = tensor.extract_slice %b[0, 1] [8, 3] [1, 1] : tensor<8x4xf32> to tensor<8x3xf32>
    %sum = arith.addf %h, %y : tensor<8xf32>
    %hn = math.tanh %sum : tensor<8xf32>
    lnn.yield %hn : tensor<8xf32> carrying %next, %hn : tensor<8x3xf32>, tensor<8xf32>
  }
  return %r#0 : tensor<16x8xf32>
}
