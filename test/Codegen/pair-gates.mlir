// RUN: lnn-opt --lnn-fuse=lanes=4 --canonicalize --cse %s | FileCheck %s

#k = affine_map<(k, n) -> (k)>
#n = affine_map<(k, n) -> (n)>
#kn = affine_map<(k, n) -> (k, n)>

// CHECK-DAG: #[[FIRST:.*]] = affine_map<(d0, d1) -> (d0, 0)>
// CHECK-DAG: #[[SECOND:.*]] = affine_map<(d0, d1) -> (d0, 1)>
// CHECK-DAG: #[[W0:.*]] = affine_map<(d0, d1) -> (d0, 0, d1)>
// CHECK-DAG: #[[W1:.*]] = affine_map<(d0, d1) -> (d0, 1, d1)>

// Two sums over one gate share its division.
// CHECK-LABEL: func.func @two_sums
// CHECK: %[[X:.*]] = tensor.expand_shape %{{.*}} {{\[\[}}0, 1]] output_shape [2, 2]
// CHECK: linalg.generic
// CHECK-SAME: #[[FIRST]], #[[SECOND]]
// CHECK: ^bb0(%[[X0:.*]]: f32, %[[X1:.*]]: f32, %[[W0V:.*]]: f32, %[[W1V:.*]]: f32, %[[E0:.*]]: f32, %[[E1:.*]]: f32, %[[ACC:.*]]: f32, %[[BCC:.*]]: f32)
// CHECK-NEXT: %[[A:.*]] = lnn.gate_denominator %[[X0]]
// CHECK-NEXT: %[[B:.*]] = lnn.gate_denominator %[[X1]]
// CHECK-NEXT: %[[AB:.*]] = arith.mulf %[[A]], %[[B]]
// CHECK-NEXT: %[[R:.*]] = arith.divf %{{.*}}, %[[AB]]
// CHECK-NEXT: %[[P:.*]] = arith.mulf %[[W0V]], %[[B]]
// CHECK-NEXT: %[[Q:.*]] = math.fma %[[W1V]], %[[A]], %[[P]]
// CHECK-NEXT: %[[T:.*]] = arith.mulf %[[Q]], %[[R]]
// CHECK-NEXT: %[[SUM:.*]] = arith.addf %[[ACC]], %[[T]]
// CHECK-NEXT: %[[S:.*]] = arith.mulf %[[E0]], %[[B]]
// CHECK-NEXT: %[[U:.*]] = math.fma %[[E1]], %[[A]], %[[S]]
// CHECK-NEXT: %[[V:.*]] = arith.mulf %[[U]], %[[R]]
// CHECK-NEXT: %[[TOTAL:.*]] = arith.addf %[[BCC]], %[[V]]
// CHECK-NEXT: linalg.yield %[[SUM]], %[[TOTAL]]
// CHECK-NOT: lnn.gate
// CHECK: return
func.func @two_sums(%x: tensor<4xf32>, %init: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %w = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]> : tensor<4x4xf32>
  %e = arith.constant dense<[[2.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 9.0]]> : tensor<4x4xf32>
  %y:2 = linalg.generic {indexing_maps = [#k, #kn, #kn, #n, #n], iterator_types = ["reduction", "parallel"]}
      ins(%x, %w, %e : tensor<4xf32>, tensor<4x4xf32>, tensor<4x4xf32>) outs(%init, %init : tensor<4xf32>, tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %acc: f32, %bcc: f32):
    %g = lnn.gate %a : f32
    %p = arith.mulf %g, %b : f32
    %s = arith.addf %acc, %p : f32
    %q = arith.mulf %g, %c : f32
    %t = arith.addf %bcc, %q : f32
    linalg.yield %s, %t : f32, f32
  } -> (tensor<4xf32>, tensor<4xf32>)
  return %y#0, %y#1 : tensor<4xf32>, tensor<4xf32>
}

// The last of an odd number comes after the pairs, alone.
// CHECK-LABEL: func.func @odd
// CHECK: tensor.extract_slice %{{.*}}[0] [4] [1]
// CHECK: tensor.expand_shape
// CHECK: %[[PAIRS:.*]] = linalg.generic
// CHECK: lnn.gate_denominator
// CHECK: lnn.gate_denominator
// CHECK: %[[LAST:.*]] = tensor.extract_slice %{{.*}}[4] [1] [1]
// CHECK: linalg.generic
// CHECK-SAME: ins(%[[LAST]]
// CHECK-SAME: outs(%[[PAIRS]]
// CHECK: lnn.gate %
func.func @odd(%x: tensor<5xf32>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %w = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0], [1.0, 3.0, 5.0, 7.0]]> : tensor<5x4xf32>
  %y = linalg.generic {indexing_maps = [#k, #kn, #n], iterator_types = ["reduction", "parallel"]}
      ins(%x, %w : tensor<5xf32>, tensor<5x4xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %g = lnn.gate %a : f32
    %p = arith.mulf %g, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// Most weights are zero: only those synapses count that exist, whatever the lanes.
// CHECK-LABEL: func.func @sparse
// CHECK-NOT: gate_denominator
// CHECK: return
func.func @sparse(%x: tensor<4xf32>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %w = arith.constant dense<[[0.0, 3.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0]]> : tensor<4x4xf32>
  %y = linalg.generic {indexing_maps = [#k, #kn, #n], iterator_types = ["reduction", "parallel"]}
      ins(%x, %w : tensor<4xf32>, tensor<4x4xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %g = lnn.gate %a : f32
    %p = arith.mulf %g, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// A product of gates is no weighted gate.
// CHECK-LABEL: func.func @product
// CHECK-NOT: gate_denominator
// CHECK: return
func.func @product(%x: tensor<4xf32>, %w: tensor<4x4xf32>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %y = linalg.generic {indexing_maps = [#k, #kn, #n], iterator_types = ["reduction", "parallel"]}
      ins(%x, %w : tensor<4xf32>, tensor<4x4xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %g = lnn.gate %a : f32
    %h = lnn.gate %b : f32
    %p = arith.mulf %g, %h : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// A weight that might overflow with a denominator, and weights that are not known.
// CHECK-LABEL: func.func @large
// CHECK-NOT: gate_denominator
// CHECK: return
func.func @large(%x: tensor<2xf32>, %v: tensor<2x2xf32>, %init: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %w = arith.constant dense<[[1.0, 2.0], [3.0, 2.0e18]]> : tensor<2x2xf32>
  %y = linalg.generic {indexing_maps = [#k, #kn, #n], iterator_types = ["reduction", "parallel"]}
      ins(%x, %w : tensor<2xf32>, tensor<2x2xf32>) outs(%init : tensor<2xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %g = lnn.gate %a : f32
    %p = arith.mulf %g, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<2xf32>
  %z = linalg.generic {indexing_maps = [#k, #kn, #n], iterator_types = ["reduction", "parallel"]}
      ins(%x, %v : tensor<2xf32>, tensor<2x2xf32>) outs(%init : tensor<2xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %g = lnn.gate %a : f32
    %p = arith.mulf %g, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<2xf32>
  return %y, %z : tensor<2xf32>, tensor<2xf32>
}
