// RUN: lnn-opt --lnn-schedule-chains %s | FileCheck %s
// RUN: lnn-opt --lnn-schedule-chains=registers=3 %s | FileCheck %s --check-prefix=FEW

// Two chains of which each operation waits for the one before it go on together; with few registers, one after the other.
// CHECK-LABEL: func.func @chains
// CHECK-SAME: (%[[X:[a-z0-9]*]]: vector<8xf32>, %[[Y:[a-z0-9]*]]: vector<8xf32>
// CHECK: math.fma %[[X]]
// CHECK-NEXT: math.fma %[[Y]]
// CHECK: %[[D:[0-9]*]] = arith.divf
// CHECK-NEXT: %[[E:[0-9]*]] = arith.divf
// CHECK-NEXT: arith.addf %[[D]]
// CHECK-NEXT: arith.addf %[[E]]
// FEW-LABEL: func.func @chains
// FEW: arith.divf
// FEW: arith.addf
// FEW: arith.divf
func.func @chains(%x: vector<8xf32>, %y: vector<8xf32>, %c: vector<8xf32>) -> (vector<8xf32>, vector<8xf32>) {
  %x0 = math.fma %x, %c, %x : vector<8xf32>
  %x1 = math.fma %x0, %c, %c : vector<8xf32>
  %x2 = math.fma %x1, %c, %c : vector<8xf32>
  %x3 = arith.divf %c, %x2 : vector<8xf32>
  %x4 = arith.addf %x3, %c : vector<8xf32>
  %y0 = math.fma %y, %c, %y : vector<8xf32>
  %y1 = math.fma %y0, %c, %c : vector<8xf32>
  %y2 = math.fma %y1, %c, %c : vector<8xf32>
  %y3 = arith.divf %c, %y2 : vector<8xf32>
  %y4 = arith.addf %y3, %c : vector<8xf32>
  return %x4, %y4 : vector<8xf32>, vector<8xf32>
}

// Nothing passes a store, and what is short stays as it is.
// CHECK-LABEL: func.func @store
// CHECK: memref.load
// CHECK-NEXT: arith.addf
// CHECK-NEXT: memref.store
// CHECK-NEXT: memref.load
// CHECK-NEXT: arith.addf
// CHECK-NEXT: memref.store
func.func @store(%m: memref<2xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.load %m[%c0] : memref<2xf32>
  %b = arith.addf %a, %a : f32
  memref.store %b, %m[%c0] : memref<2xf32>
  %d = memref.load %m[%c1] : memref<2xf32>
  %e = arith.addf %d, %d : f32
  memref.store %e, %m[%c1] : memref<2xf32>
  return
}
