// RUN: lnn-opt --lnn-vectorize-loops="lanes=4 explain=1" %s -o %t 2>&1 | FileCheck %s


// The block is as asked for; one of 0 is chosen by cost; more than there is is what there is.
// CHECK: blocks of 3 rows out of 12 x 2 vectors
// CHECK: blocks of 2 rows out of 12 x {{[3-8]}} vectors
// CHECK: blocks of 12 rows out of 12 x 5 vectors
module {
  func.func @asked(%x: memref<12x8xf32>, %w: memref<8x20xf32>, %y: memref<12x20xf32>) attributes {lnn.block = array<i64: 3, 2>} {
    linalg.matmul ins(%x, %w : memref<12x8xf32>, memref<8x20xf32>) outs(%y : memref<12x20xf32>)
    return
  }
  func.func @rows(%x: memref<12x8xf32>, %w: memref<8x20xf32>, %y: memref<12x20xf32>) attributes {lnn.block = array<i64: 2, 0>} {
    linalg.matmul ins(%x, %w : memref<12x8xf32>, memref<8x20xf32>) outs(%y : memref<12x20xf32>)
    return
  }
  func.func @all(%x: memref<12x8xf32>, %w: memref<8x20xf32>, %y: memref<12x20xf32>) attributes {lnn.block = array<i64: 16, 16>} {
    linalg.matmul ins(%x, %w : memref<12x8xf32>, memref<8x20xf32>) outs(%y : memref<12x20xf32>)
    return
  }
}
