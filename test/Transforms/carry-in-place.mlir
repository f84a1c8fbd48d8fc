// RUN: lnn-opt --lnn-carry-in-place %s | FileCheck %s

// What is yielded is written over what was carried.
// CHECK-LABEL: func.func @for
// CHECK: scf.for {{.*}} iter_args(%[[S:.*]] = %{{.*}})
// CHECK: %[[NEXT:.*]] = linalg.exp
// CHECK: %[[IN:.*]] = bufferization.materialize_in_destination %[[NEXT]] in %[[S]]
// CHECK: scf.yield %[[IN]]
func.func @for(%x: tensor<8xf32>, %n: index) -> tensor<8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %h = scf.for %i = %c0 to %n step %c1 iter_args(%s = %x) -> tensor<8xf32> {
    %e = tensor.empty() : tensor<8xf32>
    %next = linalg.exp ins(%s : tensor<8xf32>) outs(%e : tensor<8xf32>) -> tensor<8xf32>
    scf.yield %next : tensor<8xf32>
  }
  return %h : tensor<8xf32>
}

// CHECK-LABEL: func.func @while
// CHECK: ^bb0(%{{.*}}: index, %[[S:.*]]: tensor<8xf32>)
// CHECK: %[[NEXT:.*]] = linalg.exp
// CHECK: %[[IN:.*]] = bufferization.materialize_in_destination %[[NEXT]] in %[[S]]
// CHECK: scf.yield %{{.*}}, %[[IN]]
func.func @while(%x: tensor<8xf32>, %n: index) -> tensor<8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r:2 = scf.while (%i = %c0, %s = %x) : (index, tensor<8xf32>) -> (index, tensor<8xf32>) {
    %more = arith.cmpi slt, %i, %n : index
    scf.condition(%more) %i, %s : index, tensor<8xf32>
  } do {
  ^bb0(%i: index, %s: tensor<8xf32>):
    %e = tensor.empty() : tensor<8xf32>
    %next = linalg.exp ins(%s : tensor<8xf32>) outs(%e : tensor<8xf32>) -> tensor<8xf32>
    %j = arith.addi %i, %c1 : index
    scf.yield %j, %next : index, tensor<8xf32>
  }
  return %r#1 : tensor<8xf32>
}

// One empty tensor, two carried ones: each gets a buffer of its own. What is yielded as it came needs nothing.
// CHECK-LABEL: func.func @shared_empty
// CHECK: %[[A:.*]] = bufferization.alloc_tensor
// CHECK: %[[B:.*]] = bufferization.alloc_tensor
// CHECK: scf.for {{.*}} iter_args(%[[S:.*]] = %[[A]], %[[T:.*]] = %[[B]])
// CHECK: scf.yield %{{.*}}, %[[T]]
func.func @shared_empty(%n: index) -> (tensor<8xf32>, tensor<8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %f = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  %h:2 = scf.for %i = %c0 to %n step %c1 iter_args(%s = %e, %t = %e) -> (tensor<8xf32>, tensor<8xf32>) {
    %next = linalg.fill ins(%f : f32) outs(%s : tensor<8xf32>) -> tensor<8xf32>
    scf.yield %next, %t : tensor<8xf32>, tensor<8xf32>
  }
  return %h#0, %h#1 : tensor<8xf32>, tensor<8xf32>
}

// A tensor that grows has no buffer to stay in.
// CHECK-LABEL: func.func @growing
// CHECK-NOT: materialize_in_destination
// CHECK: return
func.func @growing(%x: tensor<?xf32>, %n: index) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %f = arith.constant 0.0 : f32
  %h = scf.for %i = %c0 to %n step %c1 iter_args(%s = %x) -> tensor<?xf32> {
    %d = tensor.dim %s, %c0 : tensor<?xf32>
    %d1 = arith.addi %d, %c1 : index
    %e = tensor.empty(%d1) : tensor<?xf32>
    %next = linalg.fill ins(%f : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
    scf.yield %next : tensor<?xf32>
  }
  return %h : tensor<?xf32>
}
