// RUN: lnn-opt --lnn-expand-math="pairs=1 quads=1 avx512=1" %s | FileCheck %s
// RUN: lnn-opt --lnn-expand-math %s | FileCheck %s --check-prefix=SINGLES
// RUN: lnn-opt --lnn-expand-math=quads=1 %s | FileCheck %s --check-prefix=AVX2

// CHECK-LABEL: func.func @sixteen
// CHECK: %[[X:.*]] = vector.bitcast %arg0 : vector<16xi32> to vector<32xbf16>
// CHECK: %[[W:.*]] = vector.bitcast %arg1 : vector<16xi32> to vector<32xbf16>
// CHECK: llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%arg2, %[[X]], %[[W]]) : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
// SINGLES-LABEL: func.func @sixteen
// SINGLES: %[[X0:.*]] = arith.shli %arg0
// SINGLES: %[[A0:.*]] = arith.bitcast %[[X0]] : vector<16xi32> to vector<16xf32>
// SINGLES: %[[W0:.*]] = arith.shli %arg1
// SINGLES: %[[B0:.*]] = arith.bitcast %[[W0]]
// SINGLES: %[[S:.*]] = math.fma %[[A0]], %[[B0]], %arg2 : vector<16xf32>
// SINGLES: arith.andi %arg0
// SINGLES: arith.andi %arg1
// SINGLES: math.fma %{{.*}}, %{{.*}}, %[[S]]
// SINGLES-NOT: lnn.pair_dot
func.func @sixteen(%x: vector<16xi32>, %w: vector<16xi32>, %acc: vector<16xf32>) -> vector<16xf32> {
  %0 = lnn.pair_dot %x, %w, %acc : vector<16xi32>, vector<16xf32>
  return %0 : vector<16xf32>
}

// Fewer than four lanes, and scalars, are the first ones of four.
// CHECK-LABEL: func.func @two
// CHECK: vector.shuffle %arg2, %arg2 [0, 1, 0, 0] : vector<2xf32>, vector<2xf32>
// CHECK: llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.128"
// CHECK: vector.shuffle %{{.*}}, %{{.*}} [0, 1] : vector<4xf32>, vector<4xf32>
func.func @two(%x: vector<2xi32>, %w: vector<2xi32>, %acc: vector<2xf32>) -> vector<2xf32> {
  %0 = lnn.pair_dot %x, %w, %acc : vector<2xi32>, vector<2xf32>
  return %0 : vector<2xf32>
}

// CHECK-LABEL: func.func @scalar
// CHECK: vector.broadcast %arg2 : f32 to vector<4xf32>
// CHECK: llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.128"
// CHECK: vector.extract %{{.*}}[0] : f32 from vector<4xf32>
// SINGLES-LABEL: func.func @scalar
// SINGLES-COUNT-2: math.fma {{.*}} : f32
func.func @scalar(%x: i32, %w: i32, %acc: f32) -> f32 {
  %0 = lnn.pair_dot %x, %w, %acc : i32, f32
  return %0 : f32
}

// No instruction has that many.
// CHECK-LABEL: func.func @three
// CHECK-COUNT-2: math.fma {{.*}} : vector<3xf32>
func.func @three(%x: vector<3xi32>, %w: vector<3xi32>, %acc: vector<3xf32>) -> vector<3xf32> {
  %0 = lnn.pair_dot %x, %w, %acc : vector<3xi32>, vector<3xf32>
  return %0 : vector<3xf32>
}

// VNNI has 16 lanes with AVX-512 alone.
// CHECK-LABEL: func.func @quads
// CHECK: %[[X:.*]] = vector.bitcast %arg0 : vector<16xi32> to vector<64xi8>
// CHECK: %[[W:.*]] = vector.bitcast %arg1 : vector<16xi32> to vector<64xi8>
// CHECK: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%arg2, %[[X]], %[[W]]) : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
// SINGLES-LABEL: func.func @quads
// SINGLES: %[[UP:.*]] = arith.shli %arg1
// SINGLES: %[[W0:.*]] = arith.shrsi %[[UP]]
// SINGLES: %[[DOWN:.*]] = arith.shrui %arg0
// SINGLES: %[[X0:.*]] = arith.andi %[[DOWN]]
// SINGLES: %[[P0:.*]] = arith.muli %[[X0]], %[[W0]]
// SINGLES: arith.addi %arg2, %[[P0]]
// SINGLES-COUNT-3: arith.muli
// SINGLES-NOT: lnn.quad_dot
// AVX2-LABEL: func.func @quads
// AVX2-COUNT-4: arith.muli
func.func @quads(%x: vector<16xi32>, %w: vector<16xi32>, %acc: vector<16xi32>) -> vector<16xi32> {
  %0 = lnn.quad_dot %x, %w, %acc : vector<16xi32>
  return %0 : vector<16xi32>
}

// AVX2-LABEL: func.func @quads8
// AVX2: llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.256"
func.func @quads8(%x: vector<8xi32>, %w: vector<8xi32>, %acc: vector<8xi32>) -> vector<8xi32> {
  %0 = lnn.quad_dot %x, %w, %acc : vector<8xi32>
  return %0 : vector<8xi32>
}
