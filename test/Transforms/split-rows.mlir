// RUN: lnn-opt %s --lnn-split-rows --split-input-file | FileCheck %s

// A fixed batch: a copy for a part of it. The weights, whose size is the
// batch's, stay whole, and so does the empty tensor that they are copied into.
// CHECK: module attributes {lnn.rows = {chunk = 16 : i64, inputs = array<i64: 0, 1>, outputs = array<i64: 0, 1>}}
module {
// CHECK: func.func @main(%{{.*}}: tensor<64x8xf32>
func.func @main(%x: tensor<64x8xf32> {lnn.dims = [64, 8]}, %r: tensor<3x64x8xf32> {lnn.dims = [3, 64, 8]})
    -> (tensor<64x64xf32> {lnn.dims = [64, 64]}, tensor<3x64x8xf32>) {
  %w = arith.constant dense_resource<w> : tensor<8x64xf32>
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %y = linalg.matmul ins(%x, %w : tensor<64x8xf32>, tensor<8x64xf32>) outs(%f : tensor<64x64xf32>) -> tensor<64x64xf32>
  %s = tensor.extract_slice %r[1, 0, 0] [1, 64, 8] [1, 1, 1] : tensor<3x64x8xf32> to tensor<64x8xf32>
  %e8 = tensor.empty() : tensor<64x8xf32>
  %d = linalg.add ins(%x, %s : tensor<64x8xf32>, tensor<64x8xf32>) outs(%e8 : tensor<64x8xf32>) -> tensor<64x8xf32>
  %t = tensor.insert_slice %d into %r[2, 0, 0] [1, 64, 8] [1, 1, 1] : tensor<64x8xf32> into tensor<3x64x8xf32>
  return %y, %t : tensor<64x64xf32>, tensor<3x64x8xf32>
}
// CHECK: func.func @main_rows(%{{.*}}: tensor<16x8xf32> {lnn.dims = [16, 8]}, %{{.*}}: tensor<3x16x8xf32> {lnn.dims = [3, 16, 8]})
// CHECK-SAME: -> (tensor<16x64xf32> {lnn.dims = [16, 64]}, tensor<3x16x8xf32>)
// CHECK: linalg.matmul ins(%{{.*}}, %{{.*}} : tensor<16x8xf32>, tensor<8x64xf32>) outs(%{{.*}} : tensor<16x64xf32>)
// CHECK: tensor.extract_slice %{{.*}}[1, 0, 0] [1, 16, 8] [1, 1, 1] : tensor<3x16x8xf32> to tensor<16x8xf32>
// CHECK: tensor.insert_slice %{{.*}}[2, 0, 0] [1, 16, 8] [1, 1, 1] : tensor<16x8xf32> into tensor<3x16x8xf32>
}

{-#
  dialect_resources: {
    builtin: {
      w: "0x04000000"
    }
  }
#-}

// -----

// Loops, reshapes and broadcasts keep rows apart; the flat dimension of batch
// and time is in the order of the batch.
// CHECK: lnn.rows = {chunk = 16 : i64, inputs = array<i64: 0, -1>, outputs = array<i64: 0, -1>}
// CHECK: func.func @main_rows(%{{.*}}: tensor<16x4x6xf32>, %{{.*}}: tensor<6xf32>)
// CHECK: tensor.collapse_shape %{{.*}} {{\[}}[0, 1], [2]] : tensor<16x4x6xf32> into tensor<64x6xf32>
// CHECK: tensor.expand_shape {{.*}} output_shape [16, 4, 6] : tensor<64x6xf32> into tensor<16x4x6xf32>
// CHECK: scf.for {{.*}} -> (tensor<16x6xf32>)
module {
func.func @main(%x: tensor<48x4x6xf32>, %b: tensor<6xf32>) -> (tensor<48x6xf32>, tensor<6xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %h0 = arith.constant dense<0.0> : tensor<48x6xf32>
  %flat = tensor.collapse_shape %x [[0, 1], [2]] : tensor<48x4x6xf32> into tensor<192x6xf32>
  %e = tensor.empty() : tensor<192x6xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%flat, %b : tensor<192x6xf32>, tensor<6xf32>) outs(%e : tensor<192x6xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %j = linalg.index 1 : index
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> tensor<192x6xf32>
  %back = tensor.expand_shape %s [[0, 1], [2]] output_shape [48, 4, 6] : tensor<192x6xf32> into tensor<48x4x6xf32>
  %h = scf.for %t = %c0 to %c4 step %c1 iter_args(%a = %h0) -> tensor<48x6xf32> {
    %xt = tensor.extract_slice %back[0, %t, 0] [48, 1, 6] [1, 1, 1] : tensor<48x4x6xf32> to tensor<48x6xf32>
    %eh = tensor.empty() : tensor<48x6xf32>
    %n = linalg.add ins(%a, %xt : tensor<48x6xf32>, tensor<48x6xf32>) outs(%eh : tensor<48x6xf32>) -> tensor<48x6xf32>
    scf.yield %n : tensor<48x6xf32>
  }
  return %h, %b : tensor<48x6xf32>, tensor<6xf32>
}
}

// -----

// Any number of rows: @main itself takes a part.
// CHECK: lnn.rows = {chunk = 0 : i64, inputs = array<i64: 1>, outputs = array<i64: 0>}
// CHECK: func.func @main(
// CHECK-NOT: @main_rows
module {
func.func @main(%x: tensor<4x?xf32>) -> tensor<?x4xf32> {
  %c1 = arith.constant 1 : index
  %n = tensor.dim %x, %c1 : tensor<4x?xf32>
  %e = tensor.empty(%n) : tensor<?x4xf32>
  %y = linalg.transpose ins(%x : tensor<4x?xf32>) outs(%e : tensor<?x4xf32>) permutation = [1, 0]
  return %y : tensor<?x4xf32>
}
}

// -----

// A row reads the same row of another tensor, at a time that is data.
// CHECK: lnn.rows = {chunk = 8 : i64, inputs = array<i64: 1, 0>, outputs = array<i64: 0>}
// CHECK: func.func @main_rows(%{{.*}}: tensor<5x8xf32>, %{{.*}}: tensor<8xi32>)
module {
func.func @main(%x: tensor<5x16xf32>, %t: tensor<16xi32>) -> tensor<16xf32> {
  %e = tensor.empty() : tensor<16xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%t : tensor<16xi32>) outs(%e : tensor<16xf32>) {
  ^bb0(%p: i32, %o: f32):
    %i = linalg.index 0 : index
    %when = arith.index_cast %p : i32 to index
    %r = tensor.extract %x[%when, %i] : tensor<5x16xf32>
    linalg.yield %r : f32
  } -> tensor<16xf32>
  return %y : tensor<16xf32>
}
}

// -----

// None of these. A reduction over the rows:
// CHECK-NOT: lnn.rows
// CHECK-NOT: @main_rows
module {
func.func @main(%x: tensor<64x4xf32>) -> tensor<64x4xf32> {
  %z = arith.constant dense<0.0> : tensor<4xf32>
  %s = linalg.reduce ins(%x : tensor<64x4xf32>) outs(%z : tensor<4xf32>) dimensions = [0] (%a: f32, %b: f32) {
    %r = arith.addf %a, %b : f32
    linalg.yield %r : f32
  }
  %e = tensor.empty() : tensor<64x4xf32>
  %y = linalg.broadcast ins(%s : tensor<4xf32>) outs(%e : tensor<64x4xf32>) dimensions = [0]
  %e2 = tensor.empty() : tensor<64x4xf32>
  %w = linalg.sub ins(%x, %y : tensor<64x4xf32>, tensor<64x4xf32>) outs(%e2 : tensor<64x4xf32>) -> tensor<64x4xf32>
  return %w : tensor<64x4xf32>
}
}

// -----

// A row's number:
module {
func.func @main(%x: tensor<64xf32>) -> tensor<64xf32> {
  %e = tensor.empty() : tensor<64xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : tensor<64xf32>) outs(%e : tensor<64xf32>) {
  ^bb0(%p: f32, %o: f32):
    %i = linalg.index 0 : index
    %n = arith.index_cast %i : index to i32
    %f = arith.sitofp %n : i32 to f32
    %r = arith.addf %p, %f : f32
    linalg.yield %r : f32
  } -> tensor<64xf32>
  return %y : tensor<64xf32>
}
}

// -----

// Another row's element:
module {
func.func @main(%x: tensor<64xf32>, %t: tensor<64xi32>) -> tensor<64xf32> {
  %e = tensor.empty() : tensor<64xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%t : tensor<64xi32>) outs(%e : tensor<64xf32>) {
  ^bb0(%p: i32, %o: f32):
    %j = arith.index_cast %p : i32 to index
    %r = tensor.extract %x[%j] : tensor<64xf32>
    linalg.yield %r : f32
  } -> tensor<64xf32>
  %e2 = tensor.empty() : tensor<64xf32>
  %w = linalg.add ins(%y, %x : tensor<64xf32>, tensor<64xf32>) outs(%e2 : tensor<64xf32>) -> tensor<64xf32>
  return %w : tensor<64xf32>
}
}

// -----

// The first rows of something longer:
module {
func.func @main(%x: tensor<128xf32>) -> tensor<64xf32> {
  %e = tensor.empty() : tensor<64xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>], iterator_types = ["parallel"]} outs(%e : tensor<64xf32>) {
  ^bb0(%o: f32):
    %i = linalg.index 0 : index
    %r = tensor.extract %x[%i] : tensor<128xf32>
    linalg.yield %r : f32
  } -> tensor<64xf32>
  return %y : tensor<64xf32>
}
}

// -----

// The last row that is written stays:
module {
func.func @main(%x: tensor<64xf32>) -> tensor<1xf32> {
  %e = tensor.empty() : tensor<1xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i)>],
      iterator_types = ["parallel", "parallel"]} ins(%x : tensor<64xf32>) outs(%e : tensor<1xf32>) {
  ^bb0(%p: f32, %o: f32):
    linalg.yield %p : f32
  } -> tensor<1xf32>
  return %y : tensor<1xf32>
}
}

// -----

// A constant whose rows differ:
module {
func.func @main(%x: tensor<16xf32>) -> tensor<16xf32> {
  %c = arith.constant dense<[0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.]> : tensor<16xf32>
  %e = tensor.empty() : tensor<16xf32>
  %y = linalg.add ins(%x, %c : tensor<16xf32>, tensor<16xf32>) outs(%e : tensor<16xf32>) -> tensor<16xf32>
  return %y : tensor<16xf32>
}
}

// -----

// One row of all, for all:
module {
func.func @main(%x: tensor<64xf32>) -> tensor<64xf32> {
  %one = tensor.extract_slice %x[3] [1] [1] : tensor<64xf32> to tensor<1xf32>
  %e = tensor.empty() : tensor<64xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (0)>, affine_map<(i) -> (i)>],
      iterator_types = ["parallel"]} ins(%x, %one : tensor<64xf32>, tensor<1xf32>) outs(%e : tensor<64xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.addf %p, %q : f32
    linalg.yield %r : f32
  } -> tensor<64xf32>
  return %y : tensor<64xf32>
}
}

// -----

// The neighbour's row:
module {
func.func @main(%x: tensor<65xf32>) -> tensor<64xf32> {
  %a = tensor.extract_slice %x[0] [64] [1] : tensor<65xf32> to tensor<64xf32>
  %b = tensor.extract_slice %x[1] [64] [1] : tensor<65xf32> to tensor<64xf32>
  %e = tensor.empty() : tensor<64xf32>
  %y = linalg.add ins(%a, %b : tensor<64xf32>, tensor<64xf32>) outs(%e : tensor<64xf32>) -> tensor<64xf32>
  return %y : tensor<64xf32>
}
}

// -----

// A flat dimension in the order of time, which is not the rows':
module {
func.func @main(%x: tensor<4x48xf32>) -> tensor<48x4xf32> {
  %flat = tensor.collapse_shape %x [[0, 1]] : tensor<4x48xf32> into tensor<192xf32>
  %y = tensor.expand_shape %flat [[0, 1]] output_shape [48, 4] : tensor<192xf32> into tensor<48x4xf32>
  return %y : tensor<48x4xf32>
}
}

// -----

// A loop that goes on as long as some row says:
module {
func.func @main(%x: tensor<64xf32>) -> tensor<64xf32> {
  %c0 = arith.constant 0 : index
  %one = arith.constant 1.0 : f32
  %y = scf.while (%a = %x) : (tensor<64xf32>) -> tensor<64xf32> {
    %v = tensor.extract %a[%c0] : tensor<64xf32>
    %more = arith.cmpf olt, %v, %one : f32
    scf.condition(%more) %a : tensor<64xf32>
  } do {
  ^bb0(%a: tensor<64xf32>):
    %e = tensor.empty() : tensor<64xf32>
    %n = linalg.add ins(%a, %a : tensor<64xf32>, tensor<64xf32>) outs(%e : tensor<64xf32>) -> tensor<64xf32>
    scf.yield %n : tensor<64xf32>
  }
  return %y : tensor<64xf32>
}
}

// -----

// How many rows there are, as a number:
module {
func.func @main(%x: tensor<?xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %i = arith.index_cast %n : index to i32
  %f = arith.sitofp %i : i32 to f32
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%p: f32, %o: f32):
    %r = arith.divf %p, %f : f32
    linalg.yield %r : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}
}

// -----

// A part of something else, of as many as there are rows:
module {
func.func @main(%x: tensor<?xf32>, %w: tensor<?xf32>) -> (tensor<?xf32>, tensor<4xf32>) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %p = tensor.extract_slice %w[%n] [4] [1] : tensor<?xf32> to tensor<4xf32>
  return %x, %p : tensor<?xf32>, tensor<4xf32>
}
}

// -----

// Seen twice in one tensor:
module {
func.func @main(%x: tensor<64xf32>) -> tensor<64x64xf32> {
  %e = tensor.empty() : tensor<64x64xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]} ins(%x, %x : tensor<64xf32>, tensor<64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %r = arith.mulf %p, %q : f32
    linalg.yield %r : f32
  } -> tensor<64x64xf32>
  return %y : tensor<64x64xf32>
}
}

// -----

// None at all:
module {
func.func @main(%x: tensor<0x4xf32>) -> tensor<0x4xf32> {
  return %x : tensor<0x4xf32>
}
}

// -----

// Too few, and a number without a divisor:
module {
func.func @main(%x: tensor<15xf32>, %y: tensor<37xf32>) -> (tensor<15xf32>, tensor<37xf32>) {
  return %x, %y : tensor<15xf32>, tensor<37xf32>
}
}
