// RUN: lnn-opt %s --split-input-file --verify-diagnostics

func.func @parse_types(%x: tensor<?x4xf32>, %h0: tensor<4xf32>, %n: index) {
  // expected-error @+2 {{expected types of 1 inputs and 1 states, found 1 types}}
  %hn = lnn.scan %t of %n over (%xt = %x dim 0) carrying (%h = %h0)
      : (tensor<?x4xf32>) -> tensor<4xf32> {
    lnn.yield carrying %h : tensor<4xf32>
  }
  return
}

// -----

func.func @parse_dim(%x: tensor<?x4xf32>, %h0: tensor<4xf32>, %n: index) {
  // expected-error @+2 {{input 0 has no dimension 2, it is 'tensor<?x4xf32>'}}
  %hn = lnn.scan %t of %n over (%xt = %x dim 2) carrying (%h = %h0)
      : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<4xf32> {
    lnn.yield carrying %h : tensor<4xf32>
  }
  return
}

// -----

func.func @c1_counts(%x: tensor<?x4xf32>, %n: index) {
  // expected-error @+1 {{has 1 inputs, but dims for 2 and reverse for 1}}
  "lnn.scan"(%n, %x) <{dims = array<i64: 0, 0>, reverse = array<i1: false>, out_dims = array<i64>, out_reverse = array<i1>, operandSegmentSizes = array<i32: 1, 1, 0>}> ({
  ^bb0(%t: index, %xt: tensor<4xf32>):
    lnn.yield
  }) : (index, tensor<?x4xf32>) -> ()
  return
}

// -----

func.func @c1_results(%n: index) {
  // expected-error @+1 {{has 0 results for 1 outputs (1 directions) and 0 states}}
  "lnn.scan"(%n) <{dims = array<i64>, reverse = array<i1>, out_dims = array<i64: 0>, out_reverse = array<i1: false>, operandSegmentSizes = array<i32: 1, 0, 0>}> ({
  ^bb0(%t: index):
    lnn.yield
  }) : (index) -> ()
  return
}

// -----

func.func @c1_length(%h0: tensor<4xf32>) {
  %n = arith.constant -1 : index
  // expected-error @+1 {{'length' is -1; it must not be negative}}
  %hn = lnn.scan %t of %n carrying (%h = %h0) : (tensor<4xf32>) -> tensor<4xf32> {
    lnn.yield carrying %h : tensor<4xf32>
  }
  return
}

// -----

func.func @c1_negative_dim(%x: tensor<?x4xf32>, %n: index) {
  // expected-error @+1 {{input 0 has no dimension -1, it is 'tensor<?x4xf32>'}}
  "lnn.scan"(%n, %x) <{dims = array<i64: -1>, reverse = array<i1: false>, out_dims = array<i64>, out_reverse = array<i1>, operandSegmentSizes = array<i32: 1, 1, 0>}> ({
  ^bb0(%t: index, %xt: tensor<4xf32>):
    lnn.yield
  }) : (index, tensor<?x4xf32>) -> ()
  return
}

// -----

func.func @c1_steps(%x: tensor<3x4xf32>, %z: tensor<2x4xf32>, %n: index) {
  // expected-error @+1 {{input 1 has 2 steps, 3 were expected}}
  lnn.scan %t of %n over (%xt = %x dim 0, %zt = %z dim 0) : (tensor<3x4xf32>, tensor<2x4xf32>) -> () {
    lnn.yield
  }
  return
}

// -----

func.func @c1_output(%h0: tensor<4xf32>, %n: index) {
  // expected-error @+1 {{output 0 has no dimension 2, it is 'tensor<?x4xf32>'}}
  %y = "lnn.scan"(%n) <{dims = array<i64>, reverse = array<i1>, out_dims = array<i64: 2>, out_reverse = array<i1: false>, operandSegmentSizes = array<i32: 1, 0, 0>}> ({
  ^bb0(%t: index):
    lnn.yield %h0 : tensor<4xf32>
  }) : (index) -> tensor<?x4xf32>
  return
}

// -----

func.func @c2_count(%n: index) {
  // expected-error @+1 {{its body takes 0 arguments, 1 were expected}}
  "lnn.scan"(%n) <{dims = array<i64>, reverse = array<i1>, out_dims = array<i64>, out_reverse = array<i1>, operandSegmentSizes = array<i32: 1, 0, 0>}> ({
    lnn.yield
  }) : (index) -> ()
  return
}

// -----

func.func @c2_type(%x: tensor<?x4xf32>, %n: index) {
  // expected-error @+1 {{argument 1 of its body must be 'tensor<4xf32>', found 'tensor<?x4xf32>'}}
  "lnn.scan"(%n, %x) <{dims = array<i64: 0>, reverse = array<i1: false>, out_dims = array<i64>, out_reverse = array<i1>, operandSegmentSizes = array<i32: 1, 1, 0>}> ({
  ^bb0(%t: index, %xt: tensor<?x4xf32>):
    lnn.yield
  }) : (index, tensor<?x4xf32>) -> ()
  return
}

// -----

func.func @c3_state(%h0: tensor<4xf32>, %n: index) {
  // expected-error @+1 {{state 0 starts as 'tensor<4xf32>', but its last value is 'tensor<5xf32>'}}
  %hn = lnn.scan %t of %n carrying (%h = %h0) : (tensor<4xf32>) -> tensor<5xf32> {
    lnn.yield carrying %h : tensor<4xf32>
  }
  return
}

// -----

func.func @c3_yield_counts(%h0: tensor<4xf32>, %n: index) {
  %hn = lnn.scan %t of %n carrying (%h = %h0) : (tensor<4xf32>) -> tensor<4xf32> {
    // expected-error @+1 {{yields 1 outputs and 1 states, 0 and 1 were expected}}
    lnn.yield %h : tensor<4xf32> carrying %h : tensor<4xf32>
  }
  return
}

// -----

func.func @c3_yield_states(%h0: tensor<4xf32>, %n: index) {
  // expected-error @+1 {{region branch point has 0 operands, but region successor needs 1 inputs}}
  %hn = lnn.scan %t of %n carrying (%h = %h0) : (tensor<4xf32>) -> tensor<4xf32> {
    // expected-note @+1 {{region branch point}}
    lnn.yield
  }
  return
}

// -----

func.func @c3_yield_output(%h0: tensor<4xf32>, %n: index) {
  %y = lnn.scan %t of %n stacking (dim 0) : () -> tensor<?x5xf32> {
    // expected-error @+1 {{output 0 must be 'tensor<5xf32>', found 'tensor<4xf32>'}}
    lnn.yield %h0 : tensor<4xf32>
  }
  return
}

// -----

func.func @c3_yield_state(%h0: tensor<4xf32>, %g: tensor<5xf32>, %n: index) {
  // expected-error @+1 {{0-th region iter_arg and 0-th yielded value have different type: 'tensor<4xf32>' != 'tensor<5xf32>'}}
  %hn = lnn.scan %t of %n carrying (%h = %h0) : (tensor<4xf32>) -> tensor<4xf32> {
    lnn.yield carrying %g : tensor<5xf32>
  }
  return
}

// -----

func.func @yield_elsewhere() {
  // expected-error @+1 {{expects parent op 'lnn.scan'}}
  lnn.yield
}
