// RUN: lnn-opt --lnn-forward-outputs %s | FileCheck %s

// CHECK-LABEL: func.func @in_place
// CHECK: %[[Y:.*]] = lnn.output 0()
// CHECK-NEXT: linalg.exp {{.*}} outs(%[[Y]]
// CHECK-NEXT: return
func.func @in_place(%x: memref<8xf32>) {
  %y = lnn.output 0() : memref<8xf32>
  %a = memref.alloc() : memref<8xf32>
  linalg.exp ins(%x : memref<8xf32>) outs(%a : memref<8xf32>)
  memref.copy %a, %y : memref<8xf32> to memref<8xf32>
  return
}

// One buffer that is two results: one takes its place, the other is still copied.
// CHECK-LABEL: func.func @two_results
// CHECK: %[[Y:.*]] = lnn.output 0()
// CHECK: %[[Z:.*]] = lnn.output 1()
// CHECK-NOT: memref.alloc
// CHECK: linalg.exp {{.*}} outs(%[[Y]]
// CHECK-NEXT: memref.copy %[[Y]], %[[Z]]
func.func @two_results(%x: memref<8xf32>) {
  %y = lnn.output 0() : memref<8xf32>
  %z = lnn.output 1() : memref<8xf32>
  %a = memref.alloc() : memref<8xf32>
  linalg.exp ins(%x : memref<8xf32>) outs(%a : memref<8xf32>)
  memref.copy %a, %y : memref<8xf32> to memref<8xf32>
  memref.copy %a, %z : memref<8xf32> to memref<8xf32>
  return
}

// The buffer changes behind the copy.
// CHECK-LABEL: func.func @written_after
// CHECK: memref.alloc
// CHECK: memref.copy
func.func @written_after(%x: memref<8xf32>) {
  %y = lnn.output 0() : memref<8xf32>
  %a = memref.alloc() : memref<8xf32>
  linalg.exp ins(%x : memref<8xf32>) outs(%a : memref<8xf32>)
  memref.copy %a, %y : memref<8xf32> to memref<8xf32>
  linalg.exp ins(%x : memref<8xf32>) outs(%a : memref<8xf32>)
  return
}

// As above, through a view.
// CHECK-LABEL: func.func @view_written_after
// CHECK: memref.alloc
// CHECK: memref.copy
func.func @view_written_after(%x: memref<4xf32>) {
  %y = lnn.output 0() : memref<8xf32>
  %a = memref.alloc() : memref<8xf32>
  %v = memref.subview %a[0] [4] [1] : memref<8xf32> to memref<4xf32, strided<[1]>>
  memref.copy %a, %y : memref<8xf32> to memref<8xf32>
  linalg.exp ins(%x : memref<4xf32>) outs(%v : memref<4xf32, strided<[1]>>)
  return
}

// An argument is the caller's: it is copied.
// CHECK-LABEL: func.func @argument
// CHECK: memref.copy
func.func @argument(%x: memref<8xf32>) {
  %y = lnn.output 0() : memref<8xf32>
  memref.copy %x, %y : memref<8xf32> to memref<8xf32>
  return
}

// The result's size is known only behind the allocation.
// CHECK-LABEL: func.func @size_known_late
// CHECK: memref.alloc
// CHECK: memref.copy
func.func @size_known_late(%x: memref<?xf32>, %n: index) {
  %a = memref.alloc(%n) : memref<?xf32>
  linalg.exp ins(%x : memref<?xf32>) outs(%a : memref<?xf32>)
  %c0 = arith.constant 0 : index
  %m = memref.dim %a, %c0 : memref<?xf32>
  %y = lnn.output 0(%m) : memref<?xf32>
  memref.copy %a, %y : memref<?xf32> to memref<?xf32>
  return
}
