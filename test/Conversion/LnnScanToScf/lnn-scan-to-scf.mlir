// RUN: lnn-opt --convert-lnn-scan-to-scf --canonicalize --split-input-file --verify-diagnostics %s | FileCheck %s

// Slices and outputs from the end; the states and the stacked output are carried.
// CHECK-LABEL: func.func @reverse
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32>, %[[H0:.*]]: tensor<4xf32>, %[[N:.*]]: index)
// CHECK: %[[ALL:.*]] = bufferization.alloc_tensor(%[[N]]) : tensor<?x4xf32>
// CHECK: scf.for %[[T:.*]] = %c0 to %[[N]] step %c1 iter_args(%[[Y:.*]] = %[[ALL]], %[[H:.*]] = %[[H0]])
// CHECK: %[[LAST:.*]] = arith.subi %[[N]], %c1
// CHECK: %[[AT:.*]] = arith.subi %[[LAST]], %[[T]]
// CHECK: %[[XT:.*]] = tensor.extract_slice %[[X]][%[[AT]], 0] [1, 4] [1, 1]
// CHECK: %[[NEXT:.*]] = arith.addf %[[H]], %[[XT]]
// CHECK: %[[IN:.*]] = tensor.insert_slice %[[NEXT]] into %[[Y]][%{{.*}}, 0] [1, 4] [1, 1]
// CHECK: scf.yield %[[IN]], %[[NEXT]]
func.func @reverse(%x: tensor<?x4xf32>, %h0: tensor<4xf32>, %n: index) -> (tensor<?x4xf32>, tensor<4xf32>) {
  %y, %hn = lnn.scan %t of %n over (%xt = %x dim 0 reverse) carrying (%h = %h0) stacking (dim 0 reverse)
      : (tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x4xf32>, tensor<4xf32>) {
    %next = arith.addf %h, %xt : tensor<4xf32>
    lnn.yield %next : tensor<4xf32> carrying %next : tensor<4xf32>
  }
  return %y, %hn : tensor<?x4xf32>, tensor<4xf32>
}

// -----

// Time in the middle, and a batch whose size is the state's.
// CHECK-LABEL: func.func @batch
// CHECK-SAME: (%[[X:.*]]: tensor<?x?x4xf32>, %[[H0:.*]]: tensor<?x4xf32>, %[[N:.*]]: index)
// CHECK: %[[B:.*]] = tensor.dim %[[H0]], %c0
// CHECK: bufferization.alloc_tensor(%[[B]], %[[N]]) : tensor<?x?x4xf32>
// CHECK: scf.for %[[T:.*]] = %c0
// CHECK: tensor.extract_slice %[[X]][0, %[[T]], 0] [%{{.*}}, 1, 4] [1, 1, 1]
// CHECK: tensor.insert_slice %{{.*}}[0, %[[T]], 0]
func.func @batch(%x: tensor<?x?x4xf32>, %h0: tensor<?x4xf32>, %n: index) -> tensor<?x?x4xf32> {
  %y, %hn = lnn.scan %t of %n over (%xt = %x dim 1) carrying (%h = %h0) stacking (dim 1)
      : (tensor<?x?x4xf32>, tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4xf32>) {
    %next = arith.addf %h, %xt : tensor<?x4xf32>
    lnn.yield %h : tensor<?x4xf32> carrying %next : tensor<?x4xf32>
  }
  return %y : tensor<?x?x4xf32>
}

// -----

// A scan in a scan.
// CHECK-LABEL: func.func @nested
// CHECK: scf.for
// CHECK: scf.for
// CHECK-NOT: lnn.scan
func.func @nested(%x: tensor<?x4xf32>, %h0: tensor<4xf32>, %n: index, %m: index) -> tensor<4xf32> {
  %hn = lnn.scan %t of %n over (%xt = %x dim 0) carrying (%h = %h0) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<4xf32> {
    %inner = lnn.scan %u of %m carrying (%g = %h) : (tensor<4xf32>) -> tensor<4xf32> {
      %next = arith.addf %g, %xt : tensor<4xf32>
      lnn.yield carrying %next : tensor<4xf32>
    }
    lnn.yield carrying %inner : tensor<4xf32>
  }
  return %hn : tensor<4xf32>
}

// -----

// How large the stacked output is must be known before the first step.
func.func @unknown(%n: index, %v: tensor<3xindex>) -> tensor<?x?xf32> {
  // expected-error @+1 {{output 0: the size of dimension 1 must follow from values outside of the scan}}
  %y = lnn.scan %t of %n stacking (dim 0) : () -> tensor<?x?xf32> {
    %k = tensor.extract %v[%t] : tensor<3xindex>
    %e = tensor.empty(%k) : tensor<?xf32>
    lnn.yield %e : tensor<?xf32>
  }
  return %y : tensor<?x?xf32>
}
