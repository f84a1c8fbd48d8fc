// RUN: lnn-opt --lnn-unify-sizes --lnn-check-sizes --canonicalize %s | FileCheck %s

// CHECK-LABEL: func.func @meet
// CHECK-SAME: (%[[A:.*]]: tensor<?xf32>, %[[B:.*]]: tensor<?xf32>
// CHECK-DAG: %[[N:.*]] = tensor.dim %[[A]]
// CHECK-DAG: %[[M:.*]] = tensor.dim %[[B]]
// CHECK: %[[SAME:.*]] = arith.cmpi eq, %[[M]], %[[N]]
// CHECK: linalg.add
// CHECK: lnn.check %[[SAME]], "line {{[0-9]+}}, column 8: dimension 0 of 'b' must be equal to dimension 0 of 'arg0'"
func.func @meet(%a: tensor<?xf32>, %b: tensor<?xf32> {lnn.name = "b"}) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %a, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.add ins(%a, %b : tensor<?xf32>, tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// One name, one size: the runtime has checked it.
// CHECK-LABEL: func.func @named
// CHECK-NOT: lnn.check
// CHECK: return
func.func @named(%a: tensor<?xf32> {lnn.dims = ["n"]}, %b: tensor<?xf32> {lnn.dims = ["n"]}) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %b, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.add ins(%a, %b : tensor<?xf32>, tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// In a loop, and of what a loop carries.
// CHECK-LABEL: func.func @in_a_loop
// CHECK: arith.cmpi eq
// CHECK: scf.for
// CHECK-NOT: lnn.check
// CHECK: scf.yield
// CHECK: }
// CHECK: lnn.check
func.func @in_a_loop(%a: tensor<?xf32>, %b: tensor<?xf32>, %k: tensor<index>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %times = tensor.extract %k[] : tensor<index>
  %y = scf.for %i = %c0 to %times step %c1 iter_args(%s = %a) -> tensor<?xf32> {
    %next = linalg.add ins(%s, %b : tensor<?xf32>, tensor<?xf32>) outs(%s : tensor<?xf32>) -> tensor<?xf32>
    scf.yield %next : tensor<?xf32>
  }
  return %y : tensor<?xf32>
}

// Not always reached: whether the sizes must agree is not known.
// CHECK-LABEL: func.func @under_a_condition
// CHECK-NOT: lnn.check
// CHECK: return
func.func @under_a_condition(%a: tensor<?xf32>, %b: tensor<?xf32>, %c: tensor<i1>) -> tensor<?xf32> {
  %flag = tensor.extract %c[] : tensor<i1>
  %y = scf.if %flag -> tensor<?xf32> {
    %sum = linalg.add ins(%a, %b : tensor<?xf32>, tensor<?xf32>) outs(%a : tensor<?xf32>) -> tensor<?xf32>
    scf.yield %sum : tensor<?xf32>
  } else {
    scf.yield %a : tensor<?xf32>
  }
  return %y : tensor<?xf32>
}

// Inputs of a scan have its length; its body is looked at as well.
// CHECK-LABEL: func.func @scan
// CHECK-DAG: lnn.check %{{.*}}, "{{.*}}: dimension 0 of 'arg1' must be equal to dimension 0 of 'arg0'"
// CHECK-DAG: lnn.check %{{.*}}, "{{.*}}: dimension 1 of 'arg0' must be equal to dimension 0 of 'arg2'"
func.func @scan(%x: tensor<?x?xf32>, %z: tensor<?x4xf32>, %h0: tensor<?xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x?xf32>
  %hn = lnn.scan %t of %n over (%xt = %x dim 0, %zt = %z dim 0) carrying (%h = %h0)
      : (tensor<?x?xf32>, tensor<?x4xf32>, tensor<?xf32>) -> tensor<?xf32> {
    %next = linalg.add ins(%h, %xt : tensor<?xf32>, tensor<?xf32>) outs(%h : tensor<?xf32>) -> tensor<?xf32>
    lnn.yield carrying %next : tensor<?xf32>
  }
  return %hn : tensor<?xf32>
}

// CHECK-LABEL: func.func @cast
// CHECK: lnn.check %{{.*}}, "{{.*}}: dimension 0 of 'arg0' must be equal to 4"
func.func @cast(%a: tensor<?xf32>) -> tensor<4xf32> {
  %y = tensor.cast %a : tensor<?xf32> to tensor<4xf32>
  return %y : tensor<4xf32>
}

// A slice lies within its tensor; one of all of it does.
// CHECK-LABEL: func.func @slices
// CHECK: arith.cmpi sle
// CHECK: lnn.check
// CHECK-NOT: lnn.check
// CHECK: return
func.func @slices(%a: tensor<?xf32>, %b: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %a, %c0 : tensor<?xf32>
  %m = tensor.dim %b, %c0 : tensor<?xf32>
  %y = tensor.extract_slice %a[0] [%m] [1] : tensor<?xf32> to tensor<?xf32>
  %z = tensor.extract_slice %a[0] [%n] [1] : tensor<?xf32> to tensor<?xf32>
  return %y, %z : tensor<?xf32>, tensor<?xf32>
}
