// RUN: lnn-opt --lnn-fuse=lanes=8 --canonicalize --cse %s | FileCheck %s

#k = affine_map<(k, n) -> (k)>
#n = affine_map<(k, n) -> (n)>
#kn = affine_map<(k, n) -> (k, n)>

// sigmoid(s (x - mu)) is one fused multiply-add and a gate, w times e one weight.
// -log2(e) 2 = -2.885, 0.5 2 log2(e) = 1.4427.
// CHECK-LABEL: func.func @synapses
// CHECK-DAG: %[[SLOPE:.*]] = arith.constant dense<[{{\[}}-2.885{{.*}}, -5.770{{.*}}]]> : tensor<1x2xf32>
// CHECK-DAG: %[[OFFSET:.*]] = arith.constant dense<[{{\[}}1.4426{{.*}}, 2.885{{.*}}]]> : tensor<1x2xf32>
// CHECK-DAG: %[[WEIGHT:.*]] = arith.constant dense<[{{\[}}-3.0{{.*}}, 8.0{{.*}}]]> : tensor<1x2xf32>
// CHECK: linalg.generic
// CHECK-SAME: lnn.initial = [0.000000e+00 : f32]
// CHECK: %[[Y:.*]] = math.fma
// CHECK-NEXT: %[[G:.*]] = lnn.gate %[[Y]]
// CHECK-NEXT: %[[P:.*]] = arith.mulf %[[G]], %{{.*}}
// CHECK-NEXT: arith.addf %{{.*}}, %[[P]]
// CHECK-NEXT: linalg.yield
func.func @synapses(%x: tensor<1xf32>) -> tensor<2xf32> {
  %s = arith.constant dense<[[2.0, 4.0]]> : tensor<1x2xf32>
  %mu = arith.constant dense<0.5> : tensor<1x2xf32>
  %w = arith.constant dense<[[3.0, 4.0]]> : tensor<1x2xf32>
  %e = arith.constant dense<[[-1.0, 2.0]]> : tensor<1x2xf32>
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<2xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<2xf32>) -> tensor<2xf32>
  %y = linalg.generic {indexing_maps = [#k, #kn, #kn, #kn, #kn, #n], iterator_types = ["reduction", "parallel"]}
      ins(%x, %s, %mu, %w, %e : tensor<1xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>)
      outs(%init : tensor<2xf32>) {
  ^bb0(%xk: f32, %sk: f32, %muk: f32, %wk: f32, %ek: f32, %acc: f32):
    %d = arith.subf %xk, %muk : f32
    %z = arith.mulf %d, %sk : f32
    %g = lnn.sigmoid %z : f32
    %gw = arith.mulf %wk, %g : f32
    %gwe = arith.mulf %gw, %ek : f32
    %sum = arith.addf %acc, %gwe : f32
    linalg.yield %sum : f32
  } -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// A sigmoid that is a result of its own keeps its relative accuracy.
// CHECK-LABEL: func.func @standalone
// CHECK: lnn.sigmoid
// CHECK-NOT: lnn.gate
func.func @standalone(%x: tensor<4xf32>) -> tensor<4xf32> {
  %empty = tensor.empty() : tensor<4xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n) -> (n)>, affine_map<(n) -> (n)>], iterator_types = ["parallel"]}
      ins(%x : tensor<4xf32>) outs(%empty : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %g = lnn.sigmoid %a : f32
    linalg.yield %g : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// So does one that a maximum is taken of.
// CHECK-LABEL: func.func @not_a_sum
// CHECK: lnn.sigmoid
func.func @not_a_sum(%x: tensor<4x4xf32>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %y = linalg.generic {indexing_maps = [#kn, #n], iterator_types = ["reduction", "parallel"]}
      ins(%x : tensor<4x4xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %g = lnn.sigmoid %a : f32
    %m = arith.maximumf %acc, %g : f32
    linalg.yield %m : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// An op of constants alone is a constant.
// CHECK-LABEL: func.func @whole
// CHECK: arith.constant dense<[5.000000e-01, 2.000000e+00]>
// CHECK-NOT: linalg.generic
func.func @whole() -> tensor<2xf32> {
  %a = arith.constant dense<[1.0, 6.0]> : tensor<2xf32>
  %b = arith.constant dense<[2.0, 3.0]> : tensor<2xf32>
  %empty = tensor.empty() : tensor<2xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(n) -> (n)>, affine_map<(n) -> (n)>, affine_map<(n) -> (n)>], iterator_types = ["parallel"]}
      ins(%a, %b : tensor<2xf32>, tensor<2xf32>) outs(%empty : tensor<2xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %d = arith.divf %i, %j : f32
    linalg.yield %d : f32
  } -> tensor<2xf32>
  return %y : tensor<2xf32>
}
