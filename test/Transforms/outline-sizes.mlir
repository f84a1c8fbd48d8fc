// RUN: lnn-opt --lnn-outline-sizes %s --split-input-file --verify-diagnostics | FileCheck %s

// A check on sizes leaves @main for @lnn_sizes; one on data stays, with the number of its message.
// CHECK-LABEL: func.func @main
// CHECK-SAME: lnn.messages = ["sizes must agree", "data must be positive"]
// CHECK-NOT: lnn.check {{.*}}sizes must agree
// CHECK: lnn.check %{{.*}}, "data must be positive" {number = 1 : i32}
// CHECK-LABEL: func.func @lnn_sizes
// CHECK-SAME: (%[[DIMS:.*]]: !llvm.ptr, %[[RESULTS:.*]]: !llvm.ptr, %[[SCRATCH:.*]]: !llvm.ptr) -> i32
// CHECK: llvm.getelementptr %[[DIMS]][0]
// CHECK: llvm.getelementptr %[[DIMS]][2]
// CHECK: %[[SAME:.*]] = arith.cmpi eq
// CHECK: cf.cond_br %[[SAME]], ^[[REST:.*]], ^[[FAILS:.*]]
// CHECK: ^[[FAILS]]:
// CHECK: %[[NUMBER:.*]] = arith.constant 0 : i32
// CHECK: return %[[NUMBER]]
// CHECK: ^[[REST]]:
// The first result's sizes are known; the second's depends on data.
// CHECK: llvm.getelementptr %[[RESULTS]][2]
// CHECK-NEXT: llvm.store %c-1_i64
// CHECK: llvm.store %{{.*}}, %[[SCRATCH]]
// CHECK: %[[OK:.*]] = arith.constant -1 : i32
// CHECK: return %[[OK]]
func.func @main(%x: memref<?x4xf32>, %w: memref<?xf32>) attributes {lnn.inputs = [], lnn.symbols = [], lnn.outputs = [{dims = array<i64: -1, 4>}, {dims = array<i64: -1>}]} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %n = memref.dim %x, %c0 : memref<?x4xf32>
  %m = memref.dim %w, %c0 : memref<?xf32>
  %same = arith.cmpi eq, %n, %m : index
  lnn.check %same, "sizes must agree"
  %bytes = arith.muli %n, %c64 : index
  %arena = lnn.arena %bytes : memref<?xi8>
  %y = lnn.output 0(%n) : memref<?x4xf32>
  %v = memref.load %w[%c0] : memref<?xf32>
  %i = arith.fptosi %v : f32 to i64
  %k = arith.index_cast %i : i64 to index
  %ok = arith.cmpi sgt, %k, %c0 : index
  lnn.check %ok, "data must be positive"
  %z = lnn.output 1(%k) : memref<?xf32>
  return
}

// -----

// A check under a condition is not always reached: it stays. A divisor may be zero where the copy runs.
// CHECK-LABEL: func.func @main
// CHECK: scf.if
// CHECK: lnn.check
// CHECK-LABEL: func.func @lnn_sizes
// CHECK: arith.select
// CHECK: arith.divsi
func.func @main(%x: memref<?xf32>, %p: memref<i1>) attributes {lnn.outputs = [{dims = array<i64: -1>}]} {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %n = memref.dim %x, %c0 : memref<?xf32>
  %flag = memref.load %p[] : memref<i1>
  %some = arith.cmpi sgt, %n, %c0 : index
  scf.if %flag {
    lnn.check %some, "needs elements"
  }
  %each = arith.divsi %c8, %n : index
  %y = lnn.output 0(%each) : memref<?xf32>
  return
}

// -----

// expected-error @+1 {{lnn-outline-sizes needs a @main that lnn-prepare-entry made}}
module {
  func.func @main() { return }
}
