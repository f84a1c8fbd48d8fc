// RUN: lnn-opt --lnn-plan-memory %s | FileCheck %s

// The third lives where the first did, which is dead by then.
// CHECK-LABEL: func.func @reuse
// CHECK-DAG: %[[ALL:.*]] = arith.constant 128 : index
// CHECK-DAG: %[[FIRST:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[SECOND:.*]] = arith.constant 64 : index
// CHECK: %[[ARENA:.*]] = lnn.arena %[[ALL]]
// CHECK: memref.view %[[ARENA]][%[[FIRST]]][]
// CHECK: memref.view %[[ARENA]][%[[SECOND]]][]
// CHECK: memref.view %[[ARENA]][%[[FIRST]]][]
// CHECK-NOT: memref.alloc
func.func @reuse(%x: memref<16xf32>, %y: memref<16xf32>) {
  %a = memref.alloc() : memref<16xf32>
  linalg.exp ins(%x : memref<16xf32>) outs(%a : memref<16xf32>)
  %b = memref.alloc() : memref<16xf32>
  linalg.exp ins(%a : memref<16xf32>) outs(%b : memref<16xf32>)
  %c = memref.alloc() : memref<16xf32>
  linalg.exp ins(%b : memref<16xf32>) outs(%c : memref<16xf32>)
  linalg.exp ins(%c : memref<16xf32>) outs(%y : memref<16xf32>)
  return
}

// What is used in a loop is alive in all of it: nothing made in the loop may lie over it.
// CHECK-LABEL: func.func @alive_through_a_loop
// CHECK: lnn.arena %c128
func.func @alive_through_a_loop(%x: memref<16xf32>, %y: memref<16xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.alloc() : memref<16xf32>
  linalg.exp ins(%x : memref<16xf32>) outs(%a : memref<16xf32>)
  scf.for %i = %c0 to %n step %c1 {
    linalg.add ins(%a, %y : memref<16xf32>, memref<16xf32>) outs(%y : memref<16xf32>)
    %b = memref.alloc() : memref<16xf32>
    linalg.exp ins(%x : memref<16xf32>) outs(%b : memref<16xf32>)
    linalg.exp ins(%b : memref<16xf32>) outs(%y : memref<16xf32>)
  }
  return
}

// A use through a view keeps the buffer.
// CHECK-LABEL: func.func @alive_through_a_view
// CHECK: lnn.arena %c128
func.func @alive_through_a_view(%x: memref<16xf32>, %y: memref<16xf32>) {
  %a = memref.alloc() : memref<16xf32>
  %v = memref.subview %a[0] [16] [1] : memref<16xf32> to memref<16xf32, strided<[1]>>
  linalg.exp ins(%x : memref<16xf32>) outs(%a : memref<16xf32>)
  %b = memref.alloc() : memref<16xf32>
  linalg.exp ins(%x : memref<16xf32>) outs(%b : memref<16xf32>)
  linalg.add ins(%v, %b : memref<16xf32, strided<[1]>>, memref<16xf32>) outs(%y : memref<16xf32>)
  return
}

// Sizes of arguments: the arena's is computed at the entry, in whole lines of 64 bytes, of no less than nothing.
// CHECK-LABEL: func.func @dynamic
// CHECK: %[[N:.*]] = memref.dim
// CHECK: %[[POSITIVE:.*]] = arith.maxsi %[[N]]
// CHECK: %[[BYTES:.*]] = arith.muli %[[POSITIVE]], %c4
// CHECK: %[[UP:.*]] = arith.addi %[[BYTES]], %c63
// CHECK: %[[ALIGNED:.*]] = arith.andi %[[UP]], %c-64
// CHECK: lnn.arena %[[ALIGNED]]
func.func @dynamic(%x: memref<?xf32>, %y: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?xf32>
  %a = memref.alloc(%n) : memref<?xf32>
  linalg.exp ins(%x : memref<?xf32>) outs(%a : memref<?xf32>)
  linalg.exp ins(%a : memref<?xf32>) outs(%y : memref<?xf32>)
  return
}

// Sizes that depend on data.
// CHECK-LABEL: func.func @data
// CHECK-NOT: lnn.arena
// CHECK: lnn.scratch(%{{.*}}) : memref<?xf32>
func.func @data(%x: memref<1xi64>, %y: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %v = memref.load %x[%c0] : memref<1xi64>
  %n = arith.index_cast %v : i64 to index
  %a = memref.alloc(%n) : memref<?xf32>
  memref.copy %a, %y : memref<?xf32> to memref<?xf32>
  return
}

// CHECK-LABEL: func.func @nothing_to_plan
// CHECK-NEXT: return
func.func @nothing_to_plan(%x: memref<4xf32>) {
  return
}
