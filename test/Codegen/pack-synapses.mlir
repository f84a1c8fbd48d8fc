// RUN: lnn-opt --lnn-fuse=lanes=4 --canonicalize --cse %s | FileCheck %s
// RUN: lnn-opt --lnn-fuse=lanes=4 --canonicalize --cse --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" --lnn-vectorize-loops=lanes=4 --canonicalize %s | FileCheck %s --check-prefix=LOOPS

#k = affine_map<(k, n) -> (k)>
#n = affine_map<(k, n) -> (n)>
#kn = affine_map<(k, n) -> (k, n)>

// Of eight possible synapses of each neuron one or two exist: neuron 0 listens to 1 and 6, neuron 1 to 0, 2 to 3, 3 to 7.
// CHECK-LABEL: func.func @wiring
// CHECK-DAG: arith.constant dense<{{\[}}[1, 0, 3, 7], [6, 0, 3, 7]]> : tensor<2x4xi32>
// CHECK-DAG: arith.constant dense<{{\[}}[1.000000e+00, 3.000000e+00, 4.000000e+00, 5.000000e+00], [2.000000e+00, 0.000000e+00, 0.000000e+00, 0.000000e+00]]> : tensor<2x4xf32>
// CHECK: linalg.generic
// CHECK-SAME: lnn.sparse = array<i64: 1>
// CHECK: tensor.extract
// LOOPS-LABEL: func.func @wiring
// LOOPS-NOT: scf.for
// LOOPS: vector.shuffle %{{.*}}, %{{.*}} [1, 0, 3, 7] : vector<8xf32>, vector<8xf32>
// LOOPS: vector.shuffle %{{.*}}, %{{.*}} [6, 0, 3, 7] : vector<8xf32>, vector<8xf32>
// LOOPS-NOT: vector.shuffle
// LOOPS: return
func.func @wiring(%x: tensor<8xf32>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %w = arith.constant dense<[[0.0, 3.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0],
                             [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 5.0]]> : tensor<8x4xf32>
  %y = linalg.generic {indexing_maps = [#k, #kn, #n], iterator_types = ["reduction", "parallel"]}
      ins(%x, %w : tensor<8xf32>, tensor<8x4xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %g = lnn.gate %a : f32
    %p = arith.mulf %g, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// What is multiplied by zero may be infinite here: all of it is computed.
// CHECK-LABEL: func.func @not_a_gate
// CHECK-NOT: lnn.sparse
func.func @not_a_gate(%x: tensor<8xf32>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %w = arith.constant dense<[[0.0, 3.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0],
                             [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 5.0]]> : tensor<8x4xf32>
  %y = linalg.generic {indexing_maps = [#k, #kn, #n], iterator_types = ["reduction", "parallel"]}
      ins(%x, %w : tensor<8xf32>, tensor<8x4xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}
