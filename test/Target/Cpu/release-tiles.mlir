// RUN: lnn-opt --lnn-lower-entry %s --split-input-file | FileCheck %s

// Tiles are given back wherever a run ends.
// CHECK-LABEL: func.func @lnn_run
// CHECK: llvm.call_intrinsic "llvm.x86.tilerelease"() : () -> ()
// CHECK-NEXT: return
// CHECK: amx.tile_store
// CHECK: llvm.call_intrinsic "llvm.x86.tilerelease"() : () -> ()
// CHECK-NEXT: return
module {
  func.func @main(%n: memref<1xi64>) attributes {lnn.inputs = [], lnn.symbols = [], lnn.messages = [], lnn.outputs = []} {
    %c0 = arith.constant 0 : index
    %size = memref.load %n[%c0] : memref<1xi64>
    %rows = arith.index_cast %size : i64 to index
    %y = lnn.scratch(%rows) : memref<?x16xf32>
    %t = amx.tile_zero : !amx.tile<16x16xf32>
    amx.tile_store %y[%c0, %c0], %t : memref<?x16xf32>, !amx.tile<16x16xf32>
    return
  }
}

// -----

// CHECK-LABEL: func.func @lnn_run
// CHECK-NOT: tilerelease
module {
  func.func @main(%x: memref<4xf32>) attributes {lnn.inputs = [], lnn.symbols = [], lnn.messages = [], lnn.outputs = []} {
    return
  }
}
