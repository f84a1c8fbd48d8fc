// RUN: lnn-opt --lnn-vectorize-loops="lanes=8 explain=true" %s 2>%t | FileCheck %s
// RUN: FileCheck %s --input-file=%t --check-prefix=SAYS

#x = affine_map<(t, b, n, k) -> (t, b, k)>
#w = affine_map<(t, b, n, k) -> (k, n)>
#y = affine_map<(t, b, n, k) -> (t, b, n)>

// How many rows there are is not known, in two loops. What is no whole block along the inner one is computed in blocks along the outer one, and
// one row that is alone in blocks of more vectors.
// SAYS: blocks of [[R:[2-9]]] rows out of ? x {{[0-9]}} vectors (left over: [[R]] out of ? x {{[0-9]}}, one alone x 8)
// CHECK-LABEL: func.func @two_unknown
// CHECK: %[[B:.*]] = memref.dim %{{.*}}, %c1
// CHECK: %[[REST:.*]] = arith.remui %[[B]],
// CHECK: %[[WHOLE:.*]] = arith.subi %[[B]], %[[REST]]
// CHECK: %[[SOME:.*]] = arith.cmpi ugt, %[[WHOLE]],
// CHECK: scf.if %[[SOME]]
// Blocks along b for each t.
// CHECK: scf.for
// CHECK: scf.for %[[T:.*]] = %c0{{.*}} to %[[TIMES:dim[_0-9]*]] step
// CHECK: scf.for
// CHECK: scf.for {{.*}} iter_args
// CHECK: %[[SEVERAL:.*]] = arith.cmpi ugt, %[[TIMES]],
// CHECK: scf.if %[[SEVERAL]]
// Blocks along t for the b that are left, or t one by one and eight vectors.
// CHECK: scf.for
// CHECK: scf.for {{.*}} = %[[WHOLE]] to %[[B]] step
// CHECK: scf.for {{.*}} iter_args
// CHECK: else
// CHECK: scf.for {{.*}} = %[[WHOLE]] to %[[B]] step
// CHECK: scf.for {{.*}} to %[[TIMES]] step
// CHECK: scf.for {{.*}} iter_args({{.*}}) -> (vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>)
// CHECK: return
func.func @two_unknown(%x: memref<?x?x32xf32>, %w: memref<32x64xf32>, %y: memref<?x?x64xf32>) {
  linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<?x?x32xf32>, memref<32x64xf32>) outs(%y : memref<?x?x64xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  }
  return
}

// Rows are those whose number is known, where there are enough.
// SAYS: rows out of 12 x {{[0-9]}} vectors; sums
// CHECK-LABEL: func.func @one_known
// CHECK-NOT: scf.if
// CHECK: return
func.func @one_known(%x: memref<12x?x32xf32>, %w: memref<32x64xf32>, %y: memref<12x?x64xf32>) {
  linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<12x?x32xf32>, memref<32x64xf32>) outs(%y : memref<12x?x64xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  }
  return
}
