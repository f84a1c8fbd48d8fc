// RUN: lnn-opt --lnn-fuse=lanes=4 --canonicalize --cse %s | FileCheck %s

#x = affine_map<(n, k) -> (k)>
#w = affine_map<(n, k) -> (n, k)>
#y = affine_map<(n, k) -> (n)>

// A matrix whose rows are the results: transposed, then cut into panels of a block; the last is filled up with zeros.
// CHECK-DAG: #[[PANELS:.*]] = affine_map<(d0, d1) -> (d0 floordiv 20, d1, d0 mod 20)>
// CHECK-LABEL: func.func @panels
// CHECK: arith.constant dense<{{.*}}3.550000e+01, 0.000000e+00, 0.000000e+00, 0.000000e+00, 0.000000e+00]]]> : tensor<2x2x20xf32>
// CHECK: linalg.generic
// CHECK-SAME: #[[PANELS]]
func.func @panels(%x: tensor<2xf32>, %init: tensor<36xf32>) -> tensor<36xf32> {
  %w = arith.constant dense<[[0.0, 0.5], [1.0, 1.5], [2.0, 2.5], [3.0, 3.5], [4.0, 4.5], [5.0, 5.5], [6.0, 6.5], [7.0, 7.5], [8.0, 8.5], [9.0, 9.5], [10.0, 10.5], [11.0, 11.5], [12.0, 12.5], [13.0, 13.5], [14.0, 14.5], [15.0, 15.5], [16.0, 16.5], [17.0, 17.5], [18.0, 18.5], [19.0, 19.5], [20.0, 20.5], [21.0, 21.5], [22.0, 22.5], [23.0, 23.5], [24.0, 24.5], [25.0, 25.5], [26.0, 26.5], [27.0, 27.5], [28.0, 28.5], [29.0, 29.5], [30.0, 30.5], [31.0, 31.5], [32.0, 32.5], [33.0, 33.5], [34.0, 34.5], [35.0, 35.5]]> : tensor<36x2xf32>
  %y = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "reduction"]}
      ins(%x, %w : tensor<2xf32>, tensor<36x2xf32>) outs(%init : tensor<36xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<36xf32>
  return %y : tensor<36xf32>
}

// Parts of a constant that sums read are constants of their own.
// CHECK-LABEL: func.func @parts
// CHECK-DAG: arith.constant dense<{{\[}}[1.000000e+00, 2.000000e+00], [4.000000e+00, 5.000000e+00]]> : tensor<2x2xf32>
// CHECK-DAG: arith.constant dense<{{\[}}[3.000000e+00], [6.000000e+00]]> : tensor<2x1xf32>
// CHECK-NOT: tensor.extract_slice
// CHECK: return
func.func @parts(%x: tensor<?x2xf32>, %i: tensor<?x2xf32>, %j: tensor<?x1xf32>) -> (tensor<?x2xf32>, tensor<?x1xf32>) {
  %w = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %a = tensor.extract_slice %w[0, 0] [2, 2] [1, 1] : tensor<2x3xf32> to tensor<2x2xf32>
  %b = tensor.extract_slice %w[0, 2] [2, 1] [1, 1] : tensor<2x3xf32> to tensor<2x1xf32>
  %p = linalg.matmul ins(%x, %a : tensor<?x2xf32>, tensor<2x2xf32>) outs(%i : tensor<?x2xf32>) -> tensor<?x2xf32>
  %q = linalg.matmul ins(%x, %b : tensor<?x2xf32>, tensor<2x1xf32>) outs(%j : tensor<?x1xf32>) -> tensor<?x1xf32>
  return %p, %q : tensor<?x2xf32>, tensor<?x1xf32>
}

// Parts that overlap stay: together they are more than the whole. So does one whose place is not known.
// CHECK-LABEL: func.func @overlapping
// CHECK-COUNT-3: tensor.extract_slice
// CHECK: return
func.func @overlapping(%x: tensor<?x2xf32>, %i: tensor<?x2xf32>, %at: index)
    -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>) {
  %w = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %a = tensor.extract_slice %w[0, 0] [2, 2] [1, 1] : tensor<2x3xf32> to tensor<2x2xf32>
  %b = tensor.extract_slice %w[0, 1] [2, 2] [1, 1] : tensor<2x3xf32> to tensor<2x2xf32>
  %c = tensor.extract_slice %w[0, %at] [2, 2] [1, 1] : tensor<2x3xf32> to tensor<2x2xf32>
  %p = linalg.matmul ins(%x, %a : tensor<?x2xf32>, tensor<2x2xf32>) outs(%i : tensor<?x2xf32>) -> tensor<?x2xf32>
  %q = linalg.matmul ins(%x, %b : tensor<?x2xf32>, tensor<2x2xf32>) outs(%i : tensor<?x2xf32>) -> tensor<?x2xf32>
  %r = linalg.matmul ins(%x, %c : tensor<?x2xf32>, tensor<2x2xf32>) outs(%i : tensor<?x2xf32>) -> tensor<?x2xf32>
  return %p, %q, %r : tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>
}
