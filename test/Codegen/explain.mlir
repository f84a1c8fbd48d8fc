// RUN: lnn-opt --lnn-vectorize-loops="lanes=8 explain" --verify-diagnostics %s

func.func @product(%x: memref<64x32xf32>, %w: memref<32x48xf32>, %y: memref<64x48xf32>) {
  // expected-remark @+1 {{8 lanes out of 48; blocks of 4 rows out of 64 x 3 vectors; sums over 32 in 12 accumulators; an iteration: 12 multiply-adds, 7 loads, bound by arithmetic}}
  linalg.matmul ins(%x, %w : memref<64x32xf32>, memref<32x48xf32>) outs(%y : memref<64x48xf32>)
  return
}

func.func @one_row(%x: memref<32xf32>, %w: memref<32x16xf32>, %y: memref<16xf32>) {
  // expected-remark @+1 {{8 lanes out of 16; blocks of 2 vectors; sums over 32 in 2 accumulators; an iteration: 2 multiply-adds, 3 loads, bound by latency}}
  linalg.vecmat ins(%x, %w : memref<32xf32>, memref<32x16xf32>) outs(%y : memref<16xf32>)
  return
}

func.func @functions(%x: memref<?x4xf32>, %y: memref<?x4xf32>) {
  // expected-remark @+1 {{8 lanes out of ?; blocks of 1 vector}}
  linalg.exp ins(%x : memref<?x4xf32>) outs(%y : memref<?x4xf32>)
  return
}

func.func @sum(%x: memref<32xf32>, %y: memref<f32>) {
  // expected-remark @+1 {{scalar loops: there is one element; sums over 32}}
  linalg.reduce ins(%x : memref<32xf32>) outs(%y : memref<f32>) dimensions = [0] (%a: f32, %b: f32) {
    %c = arith.addf %a, %b : f32
    linalg.yield %c : f32
  }
  return
}

// A sum stores once what it loads in each iteration: lanes that are scattered in the output, rather than in an input.
func.func @channels_first(%x: memref<100x64xf32>, %w: memref<64x32xf32>, %y: memref<32x100xf32>) {
  // expected-remark @+1 {{8 lanes out of 32; blocks of 5 rows out of 100 x 2 vectors}}
  linalg.generic {indexing_maps = [affine_map<(c, t, k) -> (t, k)>, affine_map<(c, t, k) -> (k, c)>, affine_map<(c, t, k) -> (c, t)>],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<100x64xf32>, memref<64x32xf32>) outs(%y : memref<32x100xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %o, %p : f32
    linalg.yield %q : f32
  }
  return
}

// How many there are is not known, and what is left over has blocks of its own. Channels are 32.
func.func @unknown_time(%x: memref<64x?xf32>, %w: memref<64x32xf32>, %y: memref<32x?xf32>) {
  // expected-remark @+1 {{8 lanes out of 32; blocks of 2 rows out of ? x 4 vectors (left over: one alone x 4)}}
  linalg.generic {indexing_maps = [affine_map<(c, t, k) -> (k, t)>, affine_map<(c, t, k) -> (k, c)>, affine_map<(c, t, k) -> (c, t)>],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<64x?xf32>, memref<64x32xf32>) outs(%y : memref<32x?xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %o, %p : f32
    linalg.yield %q : f32
  }
  return
}
