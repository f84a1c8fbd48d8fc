// RUN: lnn-opt --lnn-unify-sizes --canonicalize --cse %s | FileCheck %s

// Sizes of one name are read once, of the first argument that has it; others, and those without a name, stay apart.
// CHECK-LABEL: func.func @names
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32> {{.*}}, %{{.*}}: tensor<?x4xf32> {{.*}}, %[[Z:.*]]: tensor<?xf32> {{.*}}, %[[U:.*]]: tensor<?xf32>)
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C4:.*]] = arith.constant 4 : index
// CHECK-DAG: %[[B:.*]] = tensor.dim %[[X]], %[[C0]]
// CHECK-DAG: %[[O:.*]] = tensor.dim %[[Z]], %[[C0]]
// CHECK-DAG: %[[N:.*]] = tensor.dim %[[U]], %[[C0]]
// CHECK: return %[[B]], %[[B]], %[[O]], %[[N]], %[[C4]]
func.func @names(%x: tensor<?x4xf32> {lnn.dims = ["batch", 4]}, %h: tensor<?x4xf32> {lnn.dims = ["batch", 4]},
                 %z: tensor<?xf32> {lnn.dims = ["other"]}, %u: tensor<?xf32>) -> (index, index, index, index, index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b0 = tensor.dim %h, %c0 : tensor<?x4xf32>
  %b1 = tensor.dim %x, %c0 : tensor<?x4xf32>
  %o = tensor.dim %z, %c0 : tensor<?xf32>
  %n = tensor.dim %u, %c0 : tensor<?xf32>
  %s = tensor.dim %x, %c1 : tensor<?x4xf32>
  return %b0, %b1, %o, %n, %s : index, index, index, index, index
}

// A dimension that isn't a constant cannot be told: it stays.
// CHECK-LABEL: func.func @unknown_dimension
// CHECK: tensor.dim %{{.*}}, %{{.*}} : tensor<?x?xf32>
func.func @unknown_dimension(%x: tensor<?x?xf32> {lnn.dims = ["a", "a"]}, %i: index) -> index {
  %d = tensor.dim %x, %i : tensor<?x?xf32>
  return %d : index
}
