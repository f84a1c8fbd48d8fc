// RUN: lnn-opt --lnn-vectorize-loops="lanes=16 explain" --verify-diagnostics %s

// A matrix that the nearest memory does not hold: more rows share a vector of
// it than arithmetic alone would ask for.
func.func @far(%x: memref<32x256xf32>, %w: memref<256x256xf32>, %y: memref<32x256xf32>) {
  // expected-remark @+1 {{blocks of 4 rows out of 32 x 4 vectors}}
  linalg.matmul ins(%x, %w : memref<32x256xf32>, memref<256x256xf32>) outs(%y : memref<32x256xf32>)
  return
}

func.func @near(%x: memref<32x16xf32>, %w: memref<16x256xf32>, %y: memref<32x256xf32>) {
  // expected-remark @+1 {{blocks of 2 rows out of 32 x 8 vectors}}
  linalg.matmul ins(%x, %w : memref<32x16xf32>, memref<16x256xf32>) outs(%y : memref<32x256xf32>)
  return
}
