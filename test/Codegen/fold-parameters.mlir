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

// So does one that an accumulator, or data, is multiplied with: small factors would lose their digits.
// CHECK-LABEL: func.func @product
// CHECK: lnn.sigmoid
// CHECK-NOT: lnn.gate
func.func @product(%x: tensor<4x4xf32>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %y = linalg.generic {indexing_maps = [#kn, #n], iterator_types = ["reduction", "parallel"]}
      ins(%x : tensor<4x4xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %g = lnn.sigmoid %a : f32
    %p = arith.mulf %acc, %g : f32
    linalg.yield %p : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// CHECK-LABEL: func.func @weighted_by_data
// CHECK: lnn.sigmoid
// CHECK-NOT: lnn.gate
func.func @weighted_by_data(%x: tensor<4x4xf32>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %y = linalg.generic {indexing_maps = [#kn, #n], iterator_types = ["reduction", "parallel"]}
      ins(%x : tensor<4x4xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %g = lnn.sigmoid %a : f32
    %p = arith.mulf %a, %g : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// A chain of squares has 2^40 factors: it stays as it is, soon.
// CHECK-LABEL: func.func @squares
// CHECK-COUNT-40: arith.mulf
// CHECK-NOT: arith.mulf
func.func @squares(%x: tensor<4x4xf32>, %init: tensor<4xf32>) -> tensor<4xf32> {
  %y = linalg.generic {indexing_maps = [#kn, #n], iterator_types = ["reduction", "parallel"]}
      ins(%x : tensor<4x4xf32>) outs(%init : tensor<4xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %v1 = arith.mulf %a, %a : f32
    %v2 = arith.mulf %v1, %v1 : f32
    %v3 = arith.mulf %v2, %v2 : f32
    %v4 = arith.mulf %v3, %v3 : f32
    %v5 = arith.mulf %v4, %v4 : f32
    %v6 = arith.mulf %v5, %v5 : f32
    %v7 = arith.mulf %v6, %v6 : f32
    %v8 = arith.mulf %v7, %v7 : f32
    %v9 = arith.mulf %v8, %v8 : f32
    %v10 = arith.mulf %v9, %v9 : f32
    %v11 = arith.mulf %v10, %v10 : f32
    %v12 = arith.mulf %v11, %v11 : f32
    %v13 = arith.mulf %v12, %v12 : f32
    %v14 = arith.mulf %v13, %v13 : f32
    %v15 = arith.mulf %v14, %v14 : f32
    %v16 = arith.mulf %v15, %v15 : f32
    %v17 = arith.mulf %v16, %v16 : f32
    %v18 = arith.mulf %v17, %v17 : f32
    %v19 = arith.mulf %v18, %v18 : f32
    %v20 = arith.mulf %v19, %v19 : f32
    %v21 = arith.mulf %v20, %v20 : f32
    %v22 = arith.mulf %v21, %v21 : f32
    %v23 = arith.mulf %v22, %v22 : f32
    %v24 = arith.mulf %v23, %v23 : f32
    %v25 = arith.mulf %v24, %v24 : f32
    %v26 = arith.mulf %v25, %v25 : f32
    %v27 = arith.mulf %v26, %v26 : f32
    %v28 = arith.mulf %v27, %v27 : f32
    %v29 = arith.mulf %v28, %v28 : f32
    %v30 = arith.mulf %v29, %v29 : f32
    %v31 = arith.mulf %v30, %v30 : f32
    %v32 = arith.mulf %v31, %v31 : f32
    %v33 = arith.mulf %v32, %v32 : f32
    %v34 = arith.mulf %v33, %v33 : f32
    %v35 = arith.mulf %v34, %v34 : f32
    %v36 = arith.mulf %v35, %v35 : f32
    %v37 = arith.mulf %v36, %v36 : f32
    %v38 = arith.mulf %v37, %v37 : f32
    %v39 = arith.mulf %v38, %v38 : f32
    %v40 = arith.mulf %v39, %v39 : f32
    %s = arith.addf %acc, %v40 : f32
    linalg.yield %s : f32
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
