// RUN: lnn-opt --lnn-fuse %s | FileCheck %s

// CHECK-LABEL: func.func @chain
// CHECK: linalg.generic
// CHECK: math.exp
// CHECK-NEXT: arith.addf
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @chain(%x: tensor<8xf32>) -> tensor<8xf32> {
  %e = tensor.empty() : tensor<8xf32>
  %a = linalg.exp ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %b = linalg.add ins(%a, %x : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  return %b : tensor<8xf32>
}

// Into a reduction, where each element is computed once.
// CHECK-LABEL: func.func @reduction
// CHECK: linalg.generic
// CHECK: math.exp
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @reduction(%x: tensor<8x4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<8x4xf32>
  %f = arith.constant dense<0.0> : tensor<4xf32>
  %a = linalg.exp ins(%x : tensor<8x4xf32>) outs(%e : tensor<8x4xf32>) -> tensor<8x4xf32>
  %b = linalg.reduce ins(%a : tensor<8x4xf32>) outs(%f : tensor<4xf32>) dimensions = [0] (%in: f32, %acc: f32) {
    %s = arith.addf %in, %acc : f32
    linalg.yield %s : f32
  }
  return %b : tensor<4xf32>
}

// The product's other dimension would compute each exp four times.
// CHECK-LABEL: func.func @would_repeat
// CHECK: math.exp
// CHECK-NEXT: linalg.yield
// CHECK: linalg.generic
// CHECK: arith.mulf
func.func @would_repeat(%x: tensor<8xf32>, %w: tensor<8x4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<8xf32>
  %f = arith.constant dense<0.0> : tensor<4xf32>
  %a = linalg.exp ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %b = linalg.vecmat ins(%a, %w : tensor<8xf32>, tensor<8x4xf32>) outs(%f : tensor<4xf32>) -> tensor<4xf32>
  return %b : tensor<4xf32>
}

// What is needed twice is computed once, and stored.
// CHECK-LABEL: func.func @two_uses
// CHECK: math.exp
// CHECK-NEXT: linalg.yield
// CHECK: arith.addf
// CHECK-NOT: math.exp
// CHECK: return
func.func @two_uses(%x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %e = tensor.empty() : tensor<8xf32>
  %a = linalg.exp ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %b = linalg.add ins(%a, %x : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  return %a, %b : tensor<8xf32>, tensor<8xf32>
}

// Two sums over one thing are one loop.
// CHECK-LABEL: func.func @siblings
// CHECK: %[[BOTH:.*]]:2 = linalg.generic
// CHECK-NOT: linalg.generic
// CHECK: return %[[BOTH]]#0, %[[BOTH]]#1
func.func @siblings(%x: tensor<8x4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %f = arith.constant dense<0.0> : tensor<4xf32>
  %b = linalg.reduce ins(%x : tensor<8x4xf32>) outs(%f : tensor<4xf32>) dimensions = [0] (%in: f32, %acc: f32) {
    %s = arith.addf %in, %acc : f32
    linalg.yield %s : f32
  }
  %c = linalg.reduce ins(%x : tensor<8x4xf32>) outs(%f : tensor<4xf32>) dimensions = [0] (%in: f32, %acc: f32) {
    %e = math.exp %in : f32
    %s = arith.addf %e, %acc : f32
    linalg.yield %s : f32
  }
  return %b, %c : tensor<4xf32>, tensor<4xf32>
}

// The second needs the first: they stay apart.
// CHECK-LABEL: func.func @not_siblings
// CHECK: linalg.generic
// CHECK: linalg.generic
func.func @not_siblings(%x: tensor<8x4xf32>) -> tensor<4xf32> {
  %f = arith.constant dense<0.0> : tensor<4xf32>
  %b = linalg.reduce ins(%x : tensor<8x4xf32>) outs(%f : tensor<4xf32>) dimensions = [0] (%in: f32, %acc: f32) {
    %s = arith.addf %in, %acc : f32
    linalg.yield %s : f32
  }
  %c = linalg.reduce ins(%x : tensor<8x4xf32>) outs(%b : tensor<4xf32>) dimensions = [0] (%in: f32, %acc: f32) {
    %e = math.exp %in : f32
    %s = arith.addf %e, %acc : f32
    linalg.yield %s : f32
  }
  return %c : tensor<4xf32>
}

// A constant matrix is transposed so that the outputs, which the lanes will be, lie side by side.
// CHECK-LABEL: func.func @packed
// CHECK: %[[W:.*]] = arith.constant dense<{{\[\[}}1.000000e+00, 5.000000e+00], [2.000000e+00, 6.000000e+00], [3.000000e+00, 7.000000e+00], [4.000000e+00, 8.000000e+00]]> : tensor<4x2xf32>
// CHECK: linalg.generic {{.*}} ins(%[[W]],
func.func @packed(%x: tensor<4xf32>) -> tensor<2xf32> {
  %w = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]> : tensor<2x4xf32>
  %f = arith.constant dense<0.0> : tensor<2xf32>
  %b = linalg.matvec ins(%w, %x : tensor<2x4xf32>, tensor<4xf32>) outs(%f : tensor<2xf32>) -> tensor<2xf32>
  return %b : tensor<2xf32>
}

// A bias for every row, and what was computed before the loop, are where the sums begin; the state is added to in place.
// CHECK-LABEL: func.func @starts
// CHECK: scf.for
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}}, %[[BIAS:.*]] : tensor<4x8xf32>, tensor<8x8xf32>, tensor<8xf32>)
// CHECK-NEXT: ^bb0(%{{.*}}: f32, %{{.*}}: f32, %[[B:.*]]: f32, %[[SUM:.*]]: f32):
// CHECK-NEXT: lnn.start %[[SUM]] from %[[B]] : f32
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<4x8xf32>, tensor<8x8xf32>, tensor<4x8xf32>)
// CHECK: lnn.start
// CHECK: linalg.generic
// CHECK-NOT: lnn.start
// CHECK: return
func.func @starts(%xs: tensor<5x4x8xf32>, %h0: tensor<4x8xf32>, %w: tensor<8x8xf32>, %bias: tensor<8xf32>) -> tensor<4x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %e = tensor.empty() : tensor<4x8xf32>
  %h = scf.for %t = %c0 to %c5 step %c1 iter_args(%h = %h0) -> tensor<4x8xf32> {
    %rows = linalg.broadcast ins(%bias : tensor<8xf32>) outs(%e : tensor<4x8xf32>) dimensions = [0]
    %a = linalg.matmul ins(%h, %w : tensor<4x8xf32>, tensor<8x8xf32>) outs(%rows : tensor<4x8xf32>) -> tensor<4x8xf32>
    %x = tensor.extract_slice %xs[%t, 0, 0] [1, 4, 8] [1, 1, 1] : tensor<5x4x8xf32> to tensor<4x8xf32>
    %b = linalg.matmul ins(%a, %w : tensor<4x8xf32>, tensor<8x8xf32>) outs(%x : tensor<4x8xf32>) -> tensor<4x8xf32>
    %n = linalg.matmul ins(%b, %w : tensor<4x8xf32>, tensor<8x8xf32>) outs(%h : tensor<4x8xf32>) -> tensor<4x8xf32>
    scf.yield %n : tensor<4x8xf32>
  }
  return %h : tensor<4x8xf32>
}

// Two matrices that few rows multiply share a loop; many rows fill the registers for each.
// CHECK-LABEL: func.func @few_rows
// CHECK: linalg.generic
// CHECK-NOT: linalg.generic
// CHECK-LABEL: func.func @many_rows
// CHECK-COUNT-2: linalg.generic
func.func @few_rows(%x: tensor<2x8xf32>, %v: tensor<8x8xf32>, %w: tensor<8x8xf32>) -> (tensor<2x8xf32>, tensor<2x8xf32>) {
  %f = arith.constant dense<0.0> : tensor<2x8xf32>
  %a = linalg.matmul ins(%x, %v : tensor<2x8xf32>, tensor<8x8xf32>) outs(%f : tensor<2x8xf32>) -> tensor<2x8xf32>
  %b = linalg.matmul ins(%x, %w : tensor<2x8xf32>, tensor<8x8xf32>) outs(%f : tensor<2x8xf32>) -> tensor<2x8xf32>
  return %a, %b : tensor<2x8xf32>, tensor<2x8xf32>
}
func.func @many_rows(%x: tensor<9x8xf32>, %v: tensor<8x8xf32>, %w: tensor<8x8xf32>) -> (tensor<9x8xf32>, tensor<9x8xf32>) {
  %f = arith.constant dense<0.0> : tensor<9x8xf32>
  %a = linalg.matmul ins(%x, %v : tensor<9x8xf32>, tensor<8x8xf32>) outs(%f : tensor<9x8xf32>) -> tensor<9x8xf32>
  %b = linalg.matmul ins(%x, %w : tensor<9x8xf32>, tensor<8x8xf32>) outs(%f : tensor<9x8xf32>) -> tensor<9x8xf32>
  return %a, %b : tensor<9x8xf32>, tensor<9x8xf32>
}
