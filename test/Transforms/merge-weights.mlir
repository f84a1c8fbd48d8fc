// RUN: lnn-opt --lnn-merge-weights %s --split-input-file | FileCheck %s

// Constants share a blob, each at a multiple of 64; equal ones, and splats, are written out once.
// CHECK: memref.global "private" constant @lnn_weights : memref<128xi8> = dense<"0x0000803F000000400000404000008040{{0+}}070000000000000007{{0+}}"> {alignment = 64 : i64}
// CHECK-NOT: @a
// CHECK: memref.global "private" @mutable
// CHECK-LABEL: func.func @f
// CHECK: memref.view %{{.*}}[%c0{{.*}}][] : memref<128xi8> to memref<4xf32>
// CHECK: memref.view %{{.*}}[%c0{{.*}}][] : memref<128xi8> to memref<4xf32>
// CHECK: memref.view %{{.*}}[%c64{{.*}}][] : memref<128xi8> to memref<2xi64>
// CHECK: memref.get_global @mutable
memref.global "private" constant @a : memref<4xf32> = dense<[1.0, 2.0, 3.0, 4.0]>
memref.global "private" constant @same : memref<4xf32> = dense<[1.0, 2.0, 3.0, 4.0]>
memref.global "private" constant @b : memref<2xi64> = dense<7>
memref.global "private" @mutable : memref<2xi64> = dense<7>
func.func @f() -> (memref<4xf32>, memref<4xf32>, memref<2xi64>, memref<2xi64>) {
  %a = memref.get_global @a : memref<4xf32>
  %s = memref.get_global @same : memref<4xf32>
  %b = memref.get_global @b : memref<2xi64>
  %m = memref.get_global @mutable : memref<2xi64>
  return %a, %s, %b, %m : memref<4xf32>, memref<4xf32>, memref<2xi64>, memref<2xi64>
}

// -----

// Booleans take a byte each; halves, two.
// CHECK: @lnn_weights : memref<128xi8> = dense<"0x010001{{0+}}003C00C0{{0+}}">
memref.global "private" constant @bools : memref<3xi1> = dense<[true, false, true]>
memref.global "private" constant @halves : memref<2xf16> = dense<[1.0, -2.0]>

// -----

// Nothing to merge: no blob.
// CHECK-LABEL: func.func @none
// CHECK-NOT: lnn_weights
memref.global "private" constant @unknown : memref<4xf32>
func.func @none() {
  return
}
