// RUN: lnn-opt --lnn-profile-regions --split-input-file %s | FileCheck %s

// A product: two operations for each term; its operands once, the accumulators read and written. The fill before it belongs to it.
// CHECK-LABEL: func.func @product
// CHECK-SAME: lnn.regions = [{kind = "sum", name = "/fc/MatMul", nodes = "/fc/MatMul\0A/fc/Init", parent = -1 : i64}]
// CHECK: %[[START:.*]] = lnn.enter_region
// CHECK-NEXT: linalg.fill
// CHECK-NEXT: linalg.matmul
// 2 * 4 * 2 * 8 operations; 4 * (4 * 8 + 8 * 2 + 2 * 4 * 2) bytes and 32 of the fill
// CHECK-DAG: %[[OPS:.*]] = arith.constant 128 : index
// CHECK-DAG: %[[BYTES:.*]] = arith.constant 288 : index
// CHECK: lnn.leave_region 0 since %[[START]] counting %[[OPS]] operations, %[[BYTES]] bytes
func.func @product(%a: memref<4x8xf32>, %b: memref<8x2xf32>, %c: memref<4x2xf32>, %zero: f32) {
  linalg.fill ins(%zero : f32) outs(%c : memref<4x2xf32>) loc("/fc/Init")
  linalg.matmul ins(%a, %b : memref<4x8xf32>, memref<8x2xf32>) outs(%c : memref<4x2xf32>) loc("/fc/MatMul")
  return
}

// -----

// Sizes that vary are multiplied in the run; a function counts as 20; nodes of the payload are named, weights are not.
// CHECK-LABEL: func.func @elementwise
// CHECK-SAME: kind = "map", name = "/Mul", nodes = "/Mul\0A/Tanh"
// CHECK: lnn.enter_region
// CHECK: %[[N:.*]] = memref.dim %arg0
// CHECK: %[[OPS:.*]] = arith.muli %{{.*}}, %[[N]]
// CHECK: %[[BYTES:.*]] = arith.muli %{{.*}}, %[[N]]
// CHECK: lnn.leave_region 0 since %{{.*}} counting %{{.*}} operations
func.func @elementwise(%x: memref<?xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.tanh %in : f32 loc("/Tanh")
    %1 = arith.mulf %0, %in : f32 loc("/Mul")
    linalg.yield %1 : f32 loc("/Mul")
  } loc(fused["/Mul", "fc.weight"])
  return
}

// -----

// What lies in a loop is a region in the loop's; a conditional is one; a loop of loads and stores alone has none inside.
// CHECK-LABEL: func.func @nested
// CHECK-SAME: {kind = "loop", name = "/Scan", nodes = "/Scan", parent = -1 : i64}
// CHECK-SAME: {kind = "if", name = "/If", nodes = "/If", parent = 0 : i64}
// CHECK-SAME: {kind = "copy", name = "/Copy", nodes = "/Copy", parent = 1 : i64}
// CHECK-SAME: {kind = "loop", name = "loop", nodes = "", parent = 0 : i64}]
// CHECK: lnn.enter_region
// CHECK-NEXT: scf.for
// CHECK-NEXT: lnn.enter_region
// CHECK-NEXT: scf.if
// CHECK-NEXT: lnn.enter_region
// CHECK-NEXT: memref.copy
// CHECK: lnn.leave_region 2
// CHECK-NEXT: }
// CHECK: lnn.leave_region 1
// CHECK-NEXT: lnn.enter_region
// CHECK-NEXT: scf.for
// CHECK-NEXT: memref.load
// CHECK-NEXT: memref.store
// CHECK-NEXT: }
// CHECK: lnn.leave_region 3
// CHECK: lnn.leave_region 0
func.func @nested(%a: memref<4xf32>, %b: memref<4xf32>, %n: index, %c: i1) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %t = %c0 to %n step %c1 {
    scf.if %c {
      memref.copy %a, %b : memref<4xf32> to memref<4xf32> loc("/Copy")
    } loc("/If")
    scf.for %i = %c0 to %n step %c1 {
      %v = memref.load %a[%i] : memref<4xf32>
      memref.store %v, %b[%i] : memref<4xf32>
    }
  } loc("/Scan")
  return
}
