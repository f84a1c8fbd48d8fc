// RUN: lnn-opt %s --split-input-file --verify-diagnostics

func.func @feedback_c2(%x: tensor<?x3xf32>, %h: tensor<?x4xf32>, %f: tensor<3x4xf32>) -> tensor<?x3xf32> {
  // expected-error @+1 {{'f' must be [N, I], 'tensor<4x3xf32>', found 'tensor<3x4xf32>'}}
  %u = "lnn.feedback"(%x, %h, %f) : (tensor<?x3xf32>, tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<?x3xf32>
  return %u : tensor<?x3xf32>
}

// -----

func.func @feedback_c3(%x: tensor<?x3xf32>, %h: tensor<?x4xf32>, %f: tensor<4x3xf32>) -> tensor<?x3xf32> {
  // expected-error @+1 {{'wiring' must be 4 x 3, found 3 x 4}}
  %u = lnn.feedback %x, %h through %f wired <3 x 4, {}> : tensor<?x3xf32>, tensor<?x4xf32>
  return %u : tensor<?x3xf32>
}

// -----

func.func @trajectory_c2(%m: tensor<5x3x4xf32>, %h: tensor<5x4xf32>, %dt: tensor<2x1xf32>, %tau: tensor<3xf32>) -> tensor<5x3x4xf32> {
  // expected-error @+1 {{'dt' must be 'f32' or a tensor whose dimensions are leading ones of 'tensor<5x4xf32>' or 1, found 'tensor<2x1xf32>'}}
  %next = lnn.trajectory %m, %h for %dt tau(%tau) : tensor<5x3x4xf32>, tensor<5x4xf32>, tensor<2x1xf32>
  return %next : tensor<5x3x4xf32>
}

// -----

func.func @cfc_c3(%f: tensor<?x8xf32>, %ts: f32, %w1: tensor<8x4xf32>, %b1: tensor<4xf32>) -> tensor<?x4xf32> {
  // expected-error @+1 {{mode default needs 'w2'}}
  %next = lnn.cfc %f for %ts mode default ff1(%w1, %b1) : tensor<?x8xf32>, f32 -> tensor<?x4xf32>
  return %next : tensor<?x4xf32>
}

// -----

// expected-error @+1 {{state 'h' is to be replaced by result 'hn', but there is no such result}}
func.func @role_next(%h: tensor<?x4xf32> {lnn.name = "h", lnn.role = "state", lnn.next = "hn"}) -> (tensor<?x4xf32> {lnn.name = "y"}) {
  return %h : tensor<?x4xf32>
}

// -----

// expected-error @+1 {{argument #0 ('h') of @role: lnn.role is 'stat'; input, dt or state was expected}}
func.func @role(%h: tensor<?x4xf32> {lnn.name = "h", lnn.role = "stat"}) {
  return
}

// -----

// expected-error @+1 {{receivers must be ascending and below 4}}
func.func private @wiring() attributes {a = #lnn.wiring<4 x 4, {0: [4]}>}

// -----

// expected-error @+1 {{a wiring has two sizes, pre x post, and at most 268435456 synapses}}
func.func private @wiring_size() attributes {a = #lnn.wiring<999999999 x 4, {}>}

// -----

func.func @scan_c1(%x: tensor<3x4xf32>, %h0: tensor<4xf32>) -> tensor<4xf32> {
  %n = arith.constant 2 : index
  // expected-error @+1 {{input 0 has 3 steps, 2 were expected}}
  %hn = lnn.scan %t of %n over (%xt = %x dim 0) carrying (%h = %h0) : (tensor<3x4xf32>, tensor<4xf32>) -> tensor<4xf32> {
    lnn.yield carrying %xt : tensor<4xf32>
  }
  return %hn : tensor<4xf32>
}

// -----

func.func @pairs_of_one_shape(%x: vector<4xi32>, %w: vector<4xi32>, %sum: vector<8xf32>) -> vector<8xf32> {
  // expected-error @+1 {{all non-scalar operands/results must have the same shape and base type}}
  %next = lnn.pair_dot %x, %w, %sum : vector<4xi32>, vector<8xf32>
  return %next : vector<8xf32>
}
