// RUN: lnn-opt %s --lnn-split-sizes --split-input-file | FileCheck %s
// RUN: lnn-opt %s --lnn-split-sizes --expand-strided-metadata --split-input-file | FileCheck %s --check-prefix=META

// CHECK-LABEL: func @two
// CHECK-SAME: %[[X:.*]]: memref<?x4xf32>, %[[A:.*]]: index, %[[B:.*]]: index
// CHECK: %[[BASE:.*]], %{{.*}}, %{{.*}}:2, %{{.*}}:2 = memref.extract_strided_metadata %[[X]]
// CHECK: %[[STRIDE:.*]] = arith.muli %{{.*}}, %[[B]]
// CHECK: memref.reinterpret_cast %[[BASE]] to offset: [0], sizes: [%[[A]], %[[B]], 4], strides: [%[[STRIDE]], 4, 1]
// META-LABEL: func @two
// META-NOT: expand_shape
func.func @two(%x: memref<?x4xf32>, %a: index, %b: index) -> memref<?x?x4xf32> {
  %y = memref.expand_shape %x [[0, 1], [2]] output_shape [%a, %b, 4] : memref<?x4xf32> into memref<?x?x4xf32>
  return %y : memref<?x?x4xf32>
}

// -----

// One dynamic size in a group is left alone.
// CHECK-LABEL: func @one
// CHECK: memref.expand_shape
// CHECK-NOT: reinterpret_cast
func.func @one(%x: memref<?xf32>, %a: index) -> memref<?x4xf32> {
  %y = memref.expand_shape %x [[0, 1]] output_shape [%a, 4] : memref<?xf32> into memref<?x4xf32>
  return %y : memref<?x4xf32>
}
