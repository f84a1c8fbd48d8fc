// RUN: lnn-opt --lnn-vectorize-loops=lanes=8 --canonicalize %s | FileCheck %s
// RUN: lnn-opt --lnn-vectorize-loops=lanes=1 --canonicalize %s | FileCheck %s --check-prefix=SCALAR
// RUN: not lnn-opt --lnn-vectorize-loops=lanes=3 %s 2>&1 | FileCheck %s --check-prefix=LANES
// LANES: lanes must be a power of two up to 64, not 3

// Outputs in the lanes, two vectors a block; the sum ascends, one fused multiply-add each.
// CHECK-LABEL: func.func @vecmat
// CHECK: %[[A0:.*]] = vector.load %[[Y:.*]][%c0]
// CHECK: %[[A1:.*]] = vector.load %[[Y]][%c8]
// CHECK: %[[SUM:.*]]:2 = scf.for %[[K:.*]] = %c0 to %c64 step %c1 iter_args(%[[P:.*]] = %[[A0]], %[[Q:.*]] = %[[A1]])
// CHECK: %[[X:.*]] = memref.load %{{.*}}[%[[K]]]
// CHECK: %[[V:.*]] = vector.broadcast %[[X]]
// CHECK: math.fma %[[V]], %{{.*}}, %[[P]] : vector<8xf32>
// CHECK: math.fma %{{.*}}, %{{.*}}, %[[Q]] : vector<8xf32>
// CHECK: vector.store %[[SUM]]#0, %[[Y]][%c0]
// CHECK: vector.store %[[SUM]]#1, %[[Y]][%c8]
// SCALAR-LABEL: func.func @vecmat
// SCALAR-NOT: vector
// SCALAR: math.fma {{.*}} : f32
// SCALAR-NOT: vector
// SCALAR: return
func.func @vecmat(%x: memref<64xf32>, %w: memref<64x16xf32>, %y: memref<16xf32>) {
  linalg.vecmat ins(%x, %w : memref<64xf32>, memref<64x16xf32>) outs(%y : memref<16xf32>)
  return
}

// 19 is two whole vectors and three lanes of a third: the others touch no memory.
// CHECK-LABEL: func.func @ragged
// CHECK: %[[MASK:.*]] = vector.constant_mask [3] : vector<8xi1>
// CHECK: vector.maskedload %{{.*}}[%c16], %[[MASK]]
// CHECK: vector.maskedstore %{{.*}}[%c16], %[[MASK]]
func.func @ragged(%x: memref<19xf32>, %y: memref<19xf32>) {
  linalg.exp ins(%x : memref<19xf32>) outs(%y : memref<19xf32>)
  return
}

// CHECK-LABEL: func.func @dynamic
// CHECK: %[[N:.*]] = memref.dim
// CHECK: %[[REST:.*]] = arith.remui %[[N]], %[[BLOCK:.*]] : index
// CHECK: %[[WHOLE:.*]] = arith.subi %[[N]], %[[REST]]
// CHECK: scf.for %{{.*}} = %c0 to %[[WHOLE]] step %[[BLOCK]]
// CHECK: scf.for %[[I:.*]] = %[[WHOLE]] to %[[N]] step %c8
// CHECK: %[[LEFT:.*]] = arith.subi %[[N]], %[[I]]
// CHECK: vector.create_mask %[[LEFT]]
func.func @dynamic(%x: memref<?xf32>, %y: memref<?xf32>) {
  linalg.exp ins(%x : memref<?xf32>) outs(%y : memref<?xf32>)
  return
}

// No parallel dimension: the sum's order forbids lanes.
// CHECK-LABEL: func.func @dot
// CHECK-NOT: vector
// CHECK: scf.for
// CHECK: math.fma {{.*}} : f32
func.func @dot(%x: memref<64xf32>, %y: memref<f32>) {
  linalg.dot ins(%x, %x : memref<64xf32>, memref<64xf32>) outs(%y : memref<f32>)
  return
}

// An index of the loop is no vector's lane value: scalar.
// CHECK-LABEL: func.func @reads_by_index
// CHECK: scf.for
// CHECK: memref.load
func.func @reads_by_index(%x: memref<64xf32>, %i: memref<64xi64>, %y: memref<64xf32>) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%i : memref<64xi64>) outs(%y : memref<64xf32>) {
  ^bb0(%at: i64, %out: f32):
    %k = arith.index_cast %at : i64 to index
    %v = memref.load %x[%k] : memref<64xf32>
    linalg.yield %v : f32
  }
  return
}

// What an accumulator starts from is loaded once, whatever the output holds.
// CHECK-LABEL: func.func @start
// CHECK-SAME: %[[B:[a-z0-9]+]]: memref<8xf32>, %[[Y:[a-z0-9]+]]: memref<2x8xf32>
// CHECK: %[[FIRST:.*]] = vector.load %[[B]][%c0]
// CHECK-NOT: vector.load %[[Y]]
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[FIRST]], %{{.*}} = %[[FIRST]])
// CHECK-NOT: vector.load %[[Y]]
// CHECK: return
// SCALAR-LABEL: func.func @start
func.func @start(%x: memref<2x3xf32>, %w: memref<3x8xf32>, %b: memref<8xf32>, %y: memref<2x8xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (j)>,
                                   affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w, %b : memref<2x3xf32>, memref<3x8xf32>, memref<8xf32>) outs(%y : memref<2x8xf32>) {
  ^bb0(%p: f32, %q: f32, %first: f32, %sum: f32):
    %before = lnn.start %sum from %first : f32
    %t = arith.mulf %p, %q : f32
    %n = arith.addf %before, %t : f32
    linalg.yield %n : f32
  }
  return
}

// Every third element: all between the first and the last lane's, in three
// vectors, the last of which ends with the last lane's.
// CHECK-LABEL: func.func @every_third
// CHECK: %[[A:.*]] = vector.load %arg0[%c0]
// CHECK: %[[B:.*]] = vector.load %arg0[%c8]
// CHECK: %[[AB:.*]] = vector.shuffle %[[A]], %[[B]] [0, 3, 6, 9, 12, 15, 0, 0]
// CHECK: %[[C:.*]] = vector.load %arg0[%c14]
// CHECK: %[[V:.*]] = vector.shuffle %[[AB]], %[[C]] [0, 1, 2, 3, 4, 5, 12, 15]
// CHECK: math.exp %[[V]]
func.func @every_third(%x: memref<22xf32>, %y: memref<8xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i * 3)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%x : memref<22xf32>) outs(%y : memref<8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %e = math.exp %a : f32
    linalg.yield %e : f32
  }
  return
}
