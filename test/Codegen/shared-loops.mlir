// RUN: lnn-opt --lnn-vectorize-loops="lanes=16 threads=1" --split-input-file %s | FileCheck %s
// RUN: lnn-opt --lnn-vectorize-loops=lanes=16 --split-input-file %s | FileCheck %s --check-prefix=ALONE
// RUN: lnn-opt --lnn-vectorize-loops="lanes=16 threads=1 explain=1" %s -o /dev/null --split-input-file 2>&1 | FileCheck %s --check-prefix=SAYS

// Blocks of a large sum: each thread has as many that lie side by side.
// CHECK-LABEL: func.func @blocks
// CHECK: %[[THREADS:.*]] = lnn.threads
// CHECK: %[[PARTS:.*]] = arith.minui %[[THREADS]], %[[BLOCKS:.*]] : index
// CHECK: scf.parallel (%[[P:.*]]) = (%{{.*}}) to (%[[PARTS]]) step (%{{.*}}) {
// CHECK: %[[ALL:.*]] = arith.muli %[[P]], %[[BLOCKS]]
// CHECK: %[[FROM:.*]] = arith.divui %[[ALL]], %[[PARTS]]
// CHECK: %[[TO:.*]] = arith.divui %{{.*}}, %[[PARTS]]
// CHECK: scf.for %[[B:.*]] = %[[FROM]] to %[[TO]] step
// CHECK: %[[N:.*]] = affine.apply #{{.*}}(%[[B]])
// CHECK: vector.load %{{.*}}[%{{.*}}, %[[N]]]
// CHECK: scf.for
// CHECK: math.fma
// CHECK: } {lnn.shared}
// ALONE-LABEL: func.func @blocks
// ALONE-NOT: scf.parallel
// ALONE-NOT: lnn.threads
// SAYS: remark: shared between threads; 16 lanes out of 512
func.func @blocks(%x: memref<1x512xf32>, %w: memref<512x512xf32>, %y: memref<1x512xf32>) {
  linalg.matmul ins(%x, %w : memref<1x512xf32>, memref<512x512xf32>) outs(%y : memref<1x512xf32>)
  return
}

// The smaller block at the end is one of them.
// CHECK-LABEL: func.func @ragged
// CHECK: scf.parallel
// CHECK: scf.for
// CHECK: arith.cmpi ult
// CHECK: scf.if
// CHECK: } else {
// CHECK: vector.maskedload
func.func @ragged(%x: memref<1x512xf32>, %w: memref<512x523xf32>, %y: memref<1x523xf32>) {
  linalg.matmul ins(%x, %w : memref<1x512xf32>, memref<512x523xf32>) outs(%y : memref<1x523xf32>)
  return
}

// Threads take longer to meet than that takes.
// CHECK-LABEL: func.func @small
// CHECK-NOT: scf.parallel
func.func @small(%x: memref<1x256xf32>, %w: memref<256x256xf32>, %y: memref<1x256xf32>) {
  linalg.matmul ins(%x, %w : memref<1x256xf32>, memref<256x256xf32>) outs(%y : memref<1x256xf32>)
  return
}

// How many there are, nobody knows before the model runs.
// CHECK-LABEL: func.func @unknown
// CHECK-NOT: scf.parallel
func.func @unknown(%x: memref<?x64xf32>, %w: memref<64x64xf32>, %y: memref<?x64xf32>) {
  linalg.matmul ins(%x, %w : memref<?x64xf32>, memref<64x64xf32>) outs(%y : memref<?x64xf32>)
  return
}

// A part of the batch is one thread's.
// CHECK-LABEL: func.func @main_rows
// CHECK-NOT: scf.parallel
func.func @main_rows(%x: memref<1x512xf32>, %w: memref<512x512xf32>, %y: memref<1x512xf32>) {
  linalg.matmul ins(%x, %w : memref<1x512xf32>, memref<512x512xf32>) outs(%y : memref<1x512xf32>)
  return
}

// A loop around all blocks is shared instead of them.
// CHECK-LABEL: func.func @matrices
// CHECK: scf.parallel
// CHECK: scf.for
// CHECK: scf.for
// CHECK: scf.for
// CHECK: math.fma
// SAYS: remark: shared between threads; 16 lanes out of 64; loops of 9
func.func @matrices(%x: memref<9x64x64xf32>, %w: memref<9x64x64xf32>, %y: memref<9x64x64xf32>) {
  linalg.batch_matmul ins(%x, %w : memref<9x64x64xf32>, memref<9x64x64xf32>) outs(%y : memref<9x64x64xf32>)
  return
}

// -----

// Where threads have parts of a fixed batch.
// CHECK-LABEL: func.func @main
// CHECK-NOT: scf.parallel
module attributes {lnn.rows = {chunk = 8 : i64}} {
func.func @main(%x: memref<1x512xf32>, %w: memref<512x512xf32>, %y: memref<1x512xf32>) {
  linalg.matmul ins(%x, %w : memref<1x512xf32>, memref<512x512xf32>) outs(%y : memref<1x512xf32>)
  return
}
}

// -----

// Where calls say how many rows there are, they may be few.
// CHECK-LABEL: func.func @main
// CHECK: scf.parallel
module attributes {lnn.rows = {chunk = 0 : i64}} {
func.func @main(%x: memref<1x512xf32>, %w: memref<512x512xf32>, %y: memref<1x512xf32>) {
  linalg.matmul ins(%x, %w : memref<1x512xf32>, memref<512x512xf32>) outs(%y : memref<1x512xf32>)
  return
}
}
