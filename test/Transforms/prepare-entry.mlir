// RUN: lnn-opt --lnn-prepare-entry --cse %s --split-input-file | FileCheck %s

// Results go to the caller's buffers, whose sizes are read at the entry; the signature is recorded.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32> {bufferization.writable = false}, %[[H:.*]]: tensor<?x2xf32> {bufferization.writable = false}, %{{.*}}: tensor<3xi8> {bufferization.writable = false}) attributes
// CHECK-SAME: lnn.inputs = [{dims = array<i64: -1, 4>, dtype = 1 : i32, name = "x", pair = -1 : i32, role = 0 : i32},
// CHECK-SAME: {dims = array<i64: -1, 2>, dtype = 1 : i32, name = "h", pair = 1 : i32, role = 2 : i32},
// CHECK-SAME: {dims = array<i64: 3>, dtype = 2 : i32, name = "arg2", pair = -1 : i32, role = 0 : i32}]
// CHECK-SAME: lnn.outputs = [{dims = array<i64: -1, 4>, dtype = 1 : i32, name = "y", pair = -1 : i32, role = 3 : i32},
// CHECK-SAME: {dims = array<i64: -1, 2>, dtype = 1 : i32, name = "hn", pair = 1 : i32, role = 2 : i32}]
// CHECK-SAME: lnn.symbols = ["batch"]
// CHECK: %[[B:.*]] = tensor.dim %[[X]]
// CHECK: %[[Y:.*]] = lnn.output 0(%[[B]]) : memref<?x4xf32>
// CHECK: bufferization.materialize_in_destination %[[X]] in restrict writable %[[Y]]
// CHECK: %[[HN:.*]] = lnn.output 1(%[[B]]) : memref<?x2xf32>
// CHECK: bufferization.materialize_in_destination %[[H]] in restrict writable %[[HN]]
// CHECK: return
func.func @main(%x: tensor<?x4xf32> {lnn.name = "x", lnn.role = "input", lnn.dims = ["batch", 4]},
                %h: tensor<?x2xf32> {lnn.name = "h", lnn.role = "state", lnn.next = "hn", lnn.dims = ["batch", 2]},
                %k: tensor<3xi8> {lnn.dtype = "uint8"})
    -> (tensor<?x4xf32> {lnn.name = "y", lnn.dims = ["batch", 4]}, tensor<?x2xf32> {lnn.name = "hn", lnn.dims = ["batch", 2]}) {
  return %x, %h : tensor<?x4xf32>, tensor<?x2xf32>
}

// -----

// A size that depends on data is known where it is computed: the buffer is asked for there.
// CHECK-LABEL: func.func @main
// CHECK: %[[V:.*]] = tensor.extract
// CHECK: %[[N:.*]] = arith.index_cast %[[V]]
// CHECK: lnn.output 0(%[[N]])
func.func @main(%x: tensor<4xi64>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %v = tensor.extract %x[%c0] : tensor<4xi64>
  %n = arith.index_cast %v : i64 to index
  %e = tensor.empty(%n) : tensor<?xf32>
  return %e : tensor<?xf32>
}
