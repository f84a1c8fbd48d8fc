// RUN: lnn-opt --lnn-split-rows %s | FileCheck %s
// RUN: lnn-opt --lnn-split-rows=fewest=16 %s | FileCheck %s --check-prefix=WHOLE

// 24 rows have parts of 8, and none of 16 or more.
// CHECK: lnn.rows = {chunk = 8 : i64
// WHOLE-NOT: lnn.rows
func.func @main(%x: tensor<24x8xf32>, %w: tensor<8x4xf32>) -> tensor<24x4xf32> {
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<24x4xf32>
  %filled = linalg.fill ins(%zero : f32) outs(%empty : tensor<24x4xf32>) -> tensor<24x4xf32>
  %y = linalg.matmul ins(%x, %w : tensor<24x8xf32>, tensor<8x4xf32>) outs(%filled : tensor<24x4xf32>) -> tensor<24x4xf32>
  return %y : tensor<24x4xf32>
}
