// RUN: lnn-opt %s --pass-pipeline='builtin.module(func.func(lnn-sink-producers))' | FileCheck %s

#all = affine_map<(t, b, d, n) -> (b, d, t, n)>
#wide = affine_map<(t, b, d, n) -> (b, d, t)>
#par = affine_map<(t, b, d, n) -> (d, n)>
// The decays of all steps are never stored; their two ops and what they read are in the loop.
// CHECK-LABEL: @decay
// CHECK-NOT: linalg.generic
// CHECK: lnn.scan {{.*}} over (%[[DT:.*]] = %arg0 dim 2) carrying
// CHECK: %[[X:.*]] = linalg.generic {{.*}} ins(%[[DT]], %arg1 : tensor<?x4xf32>, tensor<4x3xf32>) outs({{.*}} : tensor<?x4x3xf32>)
// CHECK: %[[A:.*]] = linalg.generic {{.*}} ins(%[[X]] : tensor<?x4x3xf32>)
// CHECK: linalg.mul ins(%[[A]], %{{.*}} : tensor<?x4x3xf32>, tensor<?x4x3xf32>)
func.func @decay(%dt: tensor<?x4x?xf32>, %p: tensor<4x3xf32>, %h0: tensor<?x4x3xf32>, %b: index, %n: index) -> tensor<?x4x3xf32> {
  %e = tensor.empty(%b, %n) : tensor<?x4x?x3xf32>
  %x = linalg.generic {indexing_maps = [#wide, #par, #all], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%dt, %p : tensor<?x4x?xf32>, tensor<4x3xf32>) outs(%e : tensor<?x4x?x3xf32>) {
  ^bb0(%i: f32, %j: f32, %out: f32):
    %m = arith.mulf %i, %j : f32
    linalg.yield %m : f32
  } -> tensor<?x4x?x3xf32>
  %a = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%x : tensor<?x4x?x3xf32>) outs(%e : tensor<?x4x?x3xf32>) {
  ^bb0(%i: f32, %out: f32):
    %m = math.exp %i : f32
    linalg.yield %m : f32
  } -> tensor<?x4x?x3xf32>
  %hn = lnn.scan %t of %n over (%at = %a dim 2) carrying (%h = %h0) : (tensor<?x4x?x3xf32>, tensor<?x4x3xf32>) -> tensor<?x4x3xf32> {
    %next = linalg.mul ins(%at, %h : tensor<?x4x3xf32>, tensor<?x4x3xf32>) outs(%h : tensor<?x4x3xf32>) -> tensor<?x4x3xf32>
    lnn.yield carrying %next : tensor<?x4x3xf32>
  }
  return %hn : tensor<?x4x3xf32>
}

// As large as what it is made of, and read elsewhere too: both stay.
// CHECK-LABEL: @stay
// CHECK-COUNT-2: linalg.generic
// CHECK: lnn.scan {{.*}} over (%{{.*}} = %{{.*}} dim 0, %{{.*}} = %{{.*}} dim 0)
func.func @stay(%x: tensor<8x4xf32>, %p: tensor<8x1xf32>, %h0: tensor<4xf32>) -> (tensor<4xf32>, tensor<8x4xf32>) {
  %n = arith.constant 8 : index
  %e = tensor.empty() : tensor<8x4xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(t, i) -> (t, i)>, affine_map<(t, i) -> (t, i)>], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<8x4xf32>) outs(%e : tensor<8x4xf32>) {
  ^bb0(%i: f32, %out: f32):
    %m = math.exp %i : f32
    linalg.yield %m : f32
  } -> tensor<8x4xf32>
  %b = linalg.generic {indexing_maps = [affine_map<(t, i) -> (t, 0)>, affine_map<(t, i) -> (t, i)>], iterator_types = ["parallel", "parallel"]}
      ins(%p : tensor<8x1xf32>) outs(%e : tensor<8x4xf32>) {
  ^bb0(%i: f32, %out: f32):
    %m = math.exp %i : f32
    linalg.yield %m : f32
  } -> tensor<8x4xf32>
  %hn = lnn.scan %t of %n over (%at = %a dim 0, %bt = %b dim 0) carrying (%h = %h0) : (tensor<8x4xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<4xf32> {
    %k = linalg.mul ins(%at, %h : tensor<4xf32>, tensor<4xf32>) outs(%h : tensor<4xf32>) -> tensor<4xf32>
    %next = linalg.add ins(%k, %bt : tensor<4xf32>, tensor<4xf32>) outs(%h : tensor<4xf32>) -> tensor<4xf32>
    lnn.yield carrying %next : tensor<4xf32>
  }
  return %hn, %b : tensor<4xf32>, tensor<8x4xf32>
}
