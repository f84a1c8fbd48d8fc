// RUN: lnn-opt --lnn-vectorize-loops=lanes=8 %s | FileCheck %s

#x = affine_map<(n, k) -> (k)>
#w = affine_map<(n, k) -> (n floordiv 32, k, n mod 32)>
#y = affine_map<(n, k) -> (n)>

memref.global "private" constant @large : memref<4x128x32xf32> = dense<1.0>
memref.global "private" constant @small : memref<4x16x32xf32> = dense<1.0>

// A matrix that is more than the nearest memory holds is read backwards in every second iteration.
// CHECK-LABEL: func.func @large_matrix
// CHECK: scf.for %[[T:.*]] = %{{.*}} to %{{.*}} step
// CHECK: %[[BIT:.*]] = arith.andi %[[T]], %{{.*}} : index
// CHECK: %[[ODD:.*]] = arith.cmpi ne, %[[BIT]], %{{.*}} : index
// CHECK: scf.for %[[N:.*]] = %{{.*}} to %{{.*}} step
// CHECK: %[[BACK:.*]] = arith.subi %{{.*}}, %[[N]] : index
// CHECK: arith.select %[[ODD]], %[[BACK]], %[[N]] : index
func.func @large_matrix(%x: memref<128xf32>, %y: memref<128xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %w = memref.get_global @large : memref<4x128x32xf32>
  scf.for %t = %c0 to %c9 step %c1 {
    linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "reduction"]}
        ins(%x, %w : memref<128xf32>, memref<4x128x32xf32>) outs(%y : memref<128xf32>) {
    ^bb0(%a: f32, %b: f32, %acc: f32):
      %p = arith.mulf %a, %b : f32
      %s = arith.addf %acc, %p : f32
      linalg.yield %s : f32
    }
  }
  return
}

// CHECK-LABEL: func.func @small_matrix
// CHECK-NOT: arith.select
// CHECK: return
func.func @small_matrix(%x: memref<16xf32>, %y: memref<128xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %w = memref.get_global @small : memref<4x16x32xf32>
  scf.for %t = %c0 to %c9 step %c1 {
    linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "reduction"]}
        ins(%x, %w : memref<16xf32>, memref<4x16x32xf32>) outs(%y : memref<128xf32>) {
    ^bb0(%a: f32, %b: f32, %acc: f32):
      %p = arith.mulf %a, %b : f32
      %s = arith.addf %acc, %p : f32
      linalg.yield %s : f32
    }
  }
  return
}
