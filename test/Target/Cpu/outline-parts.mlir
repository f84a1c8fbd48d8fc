// RUN: lnn-opt --lnn-outline-parts %s | FileCheck %s

memref.global "private" constant @w : memref<4xf32> = dense<2.0>

// CHECK-LABEL: func.func @shared
// CHECK: lnn.run_parts @lnn_part_0(%arg2, %arg0) in %arg1 : f32, memref<4xf32>
// CHECK-NEXT: return
func.func @shared(%x: memref<4xf32>, %n: index, %a: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %w = memref.get_global @w : memref<4xf32>
  scf.parallel (%p) = (%c0) to (%n) step (%c1) {
    %v = memref.load %w[%c3] : memref<4xf32>
    %s = arith.addf %v, %a : f32
    memref.store %s, %x[%p] : memref<4xf32>
    scf.reduce
  } {lnn.shared}
  return
}

// Nobody asked for it; and one that does not begin with 0 cannot be.
// CHECK-LABEL: func.func @others
// CHECK: scf.parallel
// CHECK: scf.parallel
// CHECK: lnn.shared
func.func @others(%x: memref<4xf32>, %n: index, %a: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%p) = (%c0) to (%n) step (%c1) {
    memref.store %a, %x[%p] : memref<4xf32>
    scf.reduce
  }
  scf.parallel (%p) = (%c1) to (%n) step (%c1) {
    memref.store %a, %x[%p] : memref<4xf32>
    scf.reduce
  } {lnn.shared}
  return
}

// What is read from around is handed over, but for constants and addresses of globals.
// CHECK: func.func private @lnn_part_0(%[[P:.*]]: index, %[[A:.*]]: f32, %[[X:.*]]: memref<4xf32>)
// CHECK-DAG: %[[W:.*]] = memref.get_global @w
// CHECK-DAG: %[[C3:.*]] = arith.constant 3 : index
// CHECK: %[[V:.*]] = memref.load %[[W]][%[[C3]]]
// CHECK: %[[S:.*]] = arith.addf %[[V]], %[[A]]
// CHECK: memref.store %[[S]], %[[X]][%[[P]]]
// CHECK: return
// CHECK-NOT: func.func
