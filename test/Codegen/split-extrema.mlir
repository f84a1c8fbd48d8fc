// RUN: lnn-opt --lnn-fuse=lanes=16 --canonicalize --cse %s | FileCheck %s

#id = affine_map<(i, j) -> (i, j)>
#one = affine_map<(i, j) -> ()>
#row = affine_map<(i, j) -> (i)>

// CHECK-LABEL: func.func @range
// CHECK: %[[C:.*]]:2 = linalg.generic {{.*}}iterator_types = ["reduction", "parallel"]} ins(%arg0, %arg1, %arg2 : tensor<?x32xf32>, tensor<f32>, tensor<f32>) outs(%{{.*}} : tensor<32xf32>, tensor<32xf32>)
// CHECK: arith.maximumf
// CHECK: arith.minimumf
// CHECK: linalg.generic {{.*}}iterator_types = ["reduction"]} ins(%[[C]]#0, %[[C]]#1 : tensor<32xf32>, tensor<32xf32>)
// CHECK: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32, %[[MOST:.*]]: f32, %[[LEAST:.*]]: f32)
// CHECK: arith.maximumf %[[MOST]], %[[A]]
// CHECK: arith.minimumf %[[LEAST]], %[[B]]
func.func @range(%x: tensor<?x32xf32>, %a: tensor<f32>, %b: tensor<f32>) -> (tensor<f32>, tensor<f32>) {
  %r:2 = linalg.generic {indexing_maps = [#id, #one, #one], iterator_types = ["reduction", "reduction"]}
      ins(%x : tensor<?x32xf32>) outs(%a, %b : tensor<f32>, tensor<f32>) {
  ^bb0(%v: f32, %most: f32, %least: f32):
    %m = arith.maximumf %most, %v : f32
    %n = arith.minimumf %least, %v : f32
    linalg.yield %m, %n : f32, f32
  } -> (tensor<f32>, tensor<f32>)
  return %r#0, %r#1 : tensor<f32>, tensor<f32>
}

// Sums have an order.
// CHECK-LABEL: func.func @sum
// CHECK: iterator_types = ["reduction", "reduction"]
// CHECK-NOT: linalg.generic
func.func @sum(%x: tensor<?x32xf32>, %a: tensor<f32>) -> tensor<f32> {
  %r = linalg.generic {indexing_maps = [#id, #one], iterator_types = ["reduction", "reduction"]}
      ins(%x : tensor<?x32xf32>) outs(%a : tensor<f32>) {
  ^bb0(%v: f32, %s: f32):
    %m = arith.addf %s, %v : f32
    linalg.yield %m : f32
  } -> tensor<f32>
  return %r : tensor<f32>
}

// Few columns; rows of their own.
// CHECK-LABEL: func.func @others
// CHECK: iterator_types = ["reduction", "reduction"]
// CHECK: iterator_types = ["parallel", "reduction"]
// CHECK-NOT: linalg.generic
func.func @others(%x: tensor<?x8xi32>, %y: tensor<40x32xi32>, %a: tensor<i32>, %b: tensor<40xi32>) -> (tensor<i32>, tensor<40xi32>) {
  %r = linalg.generic {indexing_maps = [#id, #one], iterator_types = ["reduction", "reduction"]}
      ins(%x : tensor<?x8xi32>) outs(%a : tensor<i32>) {
  ^bb0(%v: i32, %s: i32):
    %m = arith.maxsi %s, %v : i32
    linalg.yield %m : i32
  } -> tensor<i32>
  %q = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%y : tensor<40x32xi32>) outs(%b : tensor<40xi32>) {
  ^bb0(%v: i32, %s: i32):
    %m = arith.maxsi %s, %v : i32
    linalg.yield %m : i32
  } -> tensor<40xi32>
  return %r, %q : tensor<i32>, tensor<40xi32>
}
