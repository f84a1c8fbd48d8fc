// RUN: lnn-opt %s | lnn-opt | FileCheck %s
// RUN: lnn-opt %s --canonicalize | FileCheck %s --check-prefix=CANON

// CHECK-LABEL: @sum
// CHECK: lnn.scan %{{.*}} of %{{.*}} over (%{{.*}} = %{{.*}} dim 0 reverse) carrying (%{{.*}} = %{{.*}}) stacking (dim 0)
// CHECK: lnn.yield %{{.*}} : tensor<4xf32> carrying %{{.*}} : tensor<4xf32>
func.func @sum(%x: tensor<?x4xf32>, %h0: tensor<4xf32>, %n: index) -> (tensor<?x4xf32>, tensor<4xf32>) {
  %y, %hn = lnn.scan %t of %n over (%xt = %x dim 0 reverse) carrying (%h = %h0) stacking (dim 0)
      : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x4xf32>, tensor<4xf32>) {
    %next = arith.addf %h, %xt : tensor<4xf32>
    lnn.yield %next : tensor<4xf32> carrying %next : tensor<4xf32>
  }
  return %y, %hn : tensor<?x4xf32>, tensor<4xf32>
}

// A state that only feeds itself, an input that only it reads, and an output that nobody uses are gone.
// CANON-LABEL: @dead
// CANON: lnn.scan %{{.*}} of %{{.*}} over (%{{[^,]*}} = %{{.*}} dim 0) carrying (%{{[^,]*}} = %{{[^,]*}}) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<4xf32>
// CANON-NEXT: arith.addf
// CANON-NEXT: lnn.yield carrying
func.func @dead(%x: tensor<?x4xf32>, %z: tensor<?x4xf32>, %h0: tensor<4xf32>, %n: index) -> tensor<4xf32> {
  %y, %hn, %gn = lnn.scan %t of %n over (%xt = %x dim 0, %zt = %z dim 0) carrying (%h = %h0, %g = %h0) stacking (dim 0)
      : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>) {
    %next = arith.addf %h, %xt : tensor<4xf32>
    %other = arith.mulf %g, %zt : tensor<4xf32>
    lnn.yield %other : tensor<4xf32> carrying %next, %other : tensor<4xf32>, tensor<4xf32>
  }
  return %hn : tensor<4xf32>
}

// CANON-LABEL: @invariant
// CANON: lnn.scan %{{.*}} of %{{.*}} carrying (%[[H:.*]] = %{{.*}}) :
// CANON-NEXT: arith.addf %[[H]], %arg0
func.func @invariant(%g0: tensor<4xf32>, %h0: tensor<4xf32>, %n: index) -> (tensor<4xf32>, tensor<4xf32>) {
  %hn, %gn = lnn.scan %t of %n carrying (%h = %h0, %g = %g0) : (tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
    %next = arith.addf %h, %g : tensor<4xf32>
    lnn.yield carrying %next, %g : tensor<4xf32>, tensor<4xf32>
  }
  return %hn, %gn : tensor<4xf32>, tensor<4xf32>
}

// CANON-LABEL: @once
// CANON-NOT: lnn.scan
// CANON: tensor.extract_slice
// CANON: arith.addf
// CANON: tensor.expand_shape
func.func @once(%x: tensor<1x4xf32>, %h0: tensor<4xf32>) -> (tensor<1x4xf32>, tensor<4xf32>) {
  %n = arith.constant 1 : index
  %y, %hn = lnn.scan %t of %n over (%xt = %x dim 0) carrying (%h = %h0) stacking (dim 0)
      : (tensor<1x4xf32>, tensor<4xf32>) -> (tensor<1x4xf32>, tensor<4xf32>) {
    %next = arith.addf %h, %xt : tensor<4xf32>
    lnn.yield %next : tensor<4xf32> carrying %next : tensor<4xf32>
  }
  return %y, %hn : tensor<1x4xf32>, tensor<4xf32>
}

// An input that is one number is no input.
// CANON-LABEL: @repeated
// CANON: lnn.scan %{{.*}} of %{{.*}} carrying
// CANON: arith.addf %{{.*}}, %cst{{.*}} : tensor<4xf32>
func.func @repeated(%h0: tensor<4xf32>) -> tensor<4xf32> {
  %n = arith.constant 5 : index
  %x = arith.constant dense<2.0> : tensor<5x4xf32>
  %hn = lnn.scan %t of %n over (%xt = %x dim 0) carrying (%h = %h0) : (tensor<5x4xf32>, tensor<4xf32>) -> tensor<4xf32> {
    %next = arith.addf %h, %xt : tensor<4xf32>
    lnn.yield carrying %next : tensor<4xf32>
  }
  return %hn : tensor<4xf32>
}
