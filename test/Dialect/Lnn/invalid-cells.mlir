// RUN: lnn-opt %s --split-input-file --verify-diagnostics

// Weights of the right types are the text's own doing, so these are in the generic form.
func.func @ltc_c1_rank(%0: tensor<f32>, %1: tensor<?x1xf32>, %2: f32, %3: tensor<2x2xf32>, %4: tensor<2x2xf32>, %5: tensor<2x2xf32>, %6: tensor<2x2xf32>, %7: tensor<1x2xf32>, %8: tensor<1x2xf32>, %9: tensor<1x2xf32>, %10: tensor<1x2xf32>, %11: tensor<2xf32>, %12: tensor<2xf32>, %13: tensor<2xf32>) {
  // expected-error @+1 {{'state' must have a rank of at least 1, found 'tensor<f32>'}}
  %r = "lnn.ltc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13) <{epsilon = 1.0e-8 : f64, unfolds = 6 : i64}> : (tensor<f32>, tensor<?x1xf32>, f32, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<f32>
  return
}

// -----

func.func @ltc_c1_known(%0: tensor<?x2xf32>, %1: tensor<?x?xf32>, %2: f32, %3: tensor<2x2xf32>, %4: tensor<2x2xf32>, %5: tensor<2x2xf32>, %6: tensor<2x2xf32>, %7: tensor<1x2xf32>, %8: tensor<1x2xf32>, %9: tensor<1x2xf32>, %10: tensor<1x2xf32>, %11: tensor<2xf32>, %12: tensor<2xf32>, %13: tensor<2xf32>) {
  // expected-error @+1 {{the last dimension of 'input' must be known, found 'tensor<?x?xf32>'}}
  %r = "lnn.ltc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13) <{epsilon = 1.0e-8 : f64, unfolds = 6 : i64}> : (tensor<?x2xf32>, tensor<?x?xf32>, f32, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @ltc_c1_leading(%0: tensor<3x2xf32>, %1: tensor<4x1xf32>, %2: f32, %3: tensor<2x2xf32>, %4: tensor<2x2xf32>, %5: tensor<2x2xf32>, %6: tensor<2x2xf32>, %7: tensor<1x2xf32>, %8: tensor<1x2xf32>, %9: tensor<1x2xf32>, %10: tensor<1x2xf32>, %11: tensor<2xf32>, %12: tensor<2xf32>, %13: tensor<2xf32>) {
  // expected-error @+1 {{'state' and 'input' must have the same leading dimensions, found 'tensor<3x2xf32>' and 'tensor<4x1xf32>'}}
  %r = "lnn.ltc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13) <{epsilon = 1.0e-8 : f64, unfolds = 6 : i64}> : (tensor<3x2xf32>, tensor<4x1xf32>, f32, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @ltc_c1_element(%0: tensor<?x2xf32>, %1: tensor<?x1xf64>, %2: f32, %3: tensor<2x2xf32>, %4: tensor<2x2xf32>, %5: tensor<2x2xf32>, %6: tensor<2x2xf32>, %7: tensor<1x2xf32>, %8: tensor<1x2xf32>, %9: tensor<1x2xf32>, %10: tensor<1x2xf32>, %11: tensor<2xf32>, %12: tensor<2xf32>, %13: tensor<2xf32>) {
  // expected-error @+1 {{'state' and 'input' must have one element type, found 'tensor<?x2xf32>' and 'tensor<?x1xf64>'}}
  %r = "lnn.ltc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13) <{epsilon = 1.0e-8 : f64, unfolds = 6 : i64}> : (tensor<?x2xf32>, tensor<?x1xf64>, f32, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @ltc_c2(%0: tensor<?x2xf32>, %1: tensor<?x1xf32>, %2: f64, %3: tensor<2x2xf32>, %4: tensor<2x2xf32>, %5: tensor<2x2xf32>, %6: tensor<2x2xf32>, %7: tensor<1x2xf32>, %8: tensor<1x2xf32>, %9: tensor<1x2xf32>, %10: tensor<1x2xf32>, %11: tensor<2xf32>, %12: tensor<2xf32>, %13: tensor<2xf32>) {
  // expected-error @+1 {{'dt' must be 'f32' or a tensor whose dimensions are leading ones of 'tensor<?x2xf32>' or 1, found 'f64'}}
  %r = "lnn.ltc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13) <{epsilon = 1.0e-8 : f64, unfolds = 6 : i64}> : (tensor<?x2xf32>, tensor<?x1xf32>, f64, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @ltc_c3_recurrent(%0: tensor<?x2xf32>, %1: tensor<?x1xf32>, %2: f32, %3: tensor<2x2xf32>, %4: tensor<2x2xf32>, %5: tensor<2xf32>, %6: tensor<2x2xf32>, %7: tensor<1x2xf32>, %8: tensor<1x2xf32>, %9: tensor<1x2xf32>, %10: tensor<1x2xf32>, %11: tensor<2xf32>, %12: tensor<2xf32>, %13: tensor<2xf32>) {
  // expected-error @+1 {{'mu' must be [N, N], 'tensor<2x2xf32>', found 'tensor<2xf32>'}}
  %r = "lnn.ltc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13) <{epsilon = 1.0e-8 : f64, unfolds = 6 : i64}> : (tensor<?x2xf32>, tensor<?x1xf32>, f32, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2xf32>, tensor<2x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @ltc_c3_sensory(%0: tensor<?x2xf32>, %1: tensor<?x1xf32>, %2: f32, %3: tensor<2x2xf32>, %4: tensor<2x2xf32>, %5: tensor<2x2xf32>, %6: tensor<2x2xf32>, %7: tensor<1x2xf32>, %8: tensor<1x2xf32>, %9: tensor<1x2xf32>, %10: tensor<2x1xf32>, %11: tensor<2xf32>, %12: tensor<2xf32>, %13: tensor<2xf32>) {
  // expected-error @+1 {{'sensory_erev' must be [I, N], 'tensor<1x2xf32>', found 'tensor<2x1xf32>'}}
  %r = "lnn.ltc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13) <{epsilon = 1.0e-8 : f64, unfolds = 6 : i64}> : (tensor<?x2xf32>, tensor<?x1xf32>, f32, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2x1xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @ltc_c3_neurons(%0: tensor<?x2xf32>, %1: tensor<?x1xf32>, %2: f32, %3: tensor<2x2xf32>, %4: tensor<2x2xf32>, %5: tensor<2x2xf32>, %6: tensor<2x2xf32>, %7: tensor<1x2xf32>, %8: tensor<1x2xf32>, %9: tensor<1x2xf32>, %10: tensor<1x2xf32>, %11: tensor<2xf32>, %12: tensor<3xf32>, %13: tensor<2xf32>) {
  // expected-error @+1 {{'gleak' must be [N], 'tensor<2xf32>', found 'tensor<3xf32>'}}
  %r = "lnn.ltc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13) <{epsilon = 1.0e-8 : f64, unfolds = 6 : i64}> : (tensor<?x2xf32>, tensor<?x1xf32>, f32, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2xf32>, tensor<3xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @ltc_c4(%0: tensor<?x2xf32>, %1: tensor<?x1xf32>, %2: f32, %3: tensor<2x2xf32>, %4: tensor<2x2xf32>, %5: tensor<2x2xf32>, %6: tensor<2x2xf32>, %7: tensor<1x2xf32>, %8: tensor<1x2xf32>, %9: tensor<1x2xf32>, %10: tensor<1x2xf32>, %11: tensor<2xf32>, %12: tensor<2xf32>, %13: tensor<2xf32>) {
  // expected-error @+1 {{'sensory_wiring' must be 1 x 2, found 2 x 1}}
  %r = "lnn.ltc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13) <{epsilon = 1.0e-8 : f64, unfolds = 6 : i64, sensory_wiring = #lnn.wiring<2 x 1, dense>}> : (tensor<?x2xf32>, tensor<?x1xf32>, f32, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @ltc_c5(%0: tensor<?x2xf32>, %1: tensor<?x1xf32>, %2: f32, %3: tensor<2x2xf32>, %4: tensor<2x2xf32>, %5: tensor<2x2xf32>, %6: tensor<2x2xf32>, %7: tensor<1x2xf32>, %8: tensor<1x2xf32>, %9: tensor<1x2xf32>, %10: tensor<1x2xf32>, %11: tensor<2xf32>, %12: tensor<2xf32>, %13: tensor<2xf32>) {
  // expected-error @+1 {{'unfolds' must be between 1 and 65536, found 0}}
  %r = "lnn.ltc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13) <{epsilon = 1.0e-8 : f64, unfolds = 0 : i64}> : (tensor<?x2xf32>, tensor<?x1xf32>, f32, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @ltc_c5_many(%0: tensor<?x2xf32>, %1: tensor<?x1xf32>, %2: f32, %3: tensor<2x2xf32>, %4: tensor<2x2xf32>, %5: tensor<2x2xf32>, %6: tensor<2x2xf32>, %7: tensor<1x2xf32>, %8: tensor<1x2xf32>, %9: tensor<1x2xf32>, %10: tensor<1x2xf32>, %11: tensor<2xf32>, %12: tensor<2xf32>, %13: tensor<2xf32>) {
  // expected-error @+1 {{'unfolds' must be between 1 and 65536, found 65537}}
  %r = "lnn.ltc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13) <{epsilon = 1.0e-8 : f64, unfolds = 65537 : i64}> : (tensor<?x2xf32>, tensor<?x1xf32>, f32, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @ltc_c6(%0: tensor<?x2xf32>, %1: tensor<?x1xf32>, %2: f32, %3: tensor<2x2xf32>, %4: tensor<2x2xf32>, %5: tensor<2x2xf32>, %6: tensor<2x2xf32>, %7: tensor<1x2xf32>, %8: tensor<1x2xf32>, %9: tensor<1x2xf32>, %10: tensor<1x2xf32>, %11: tensor<2xf32>, %12: tensor<2xf32>, %13: tensor<2xf32>) {
  // expected-error @+1 {{'epsilon' must be finite and not negative, found -1.000000e+00 : f64}}
  %r = "lnn.ltc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13) <{epsilon = -1.0 : f64, unfolds = 6 : i64}> : (tensor<?x2xf32>, tensor<?x1xf32>, f32, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @cfc_c1(%0: tensor<?x8xf32>, %1: f32, %2: tensor<8x4xf32>, %3: tensor<4xf32>, %4: tensor<8x4xf32>, %5: tensor<5xf32>, %6: tensor<8x4xf32>, %7: tensor<4xf32>, %8: tensor<8x4xf32>, %9: tensor<4xf32>) {
  // expected-error @+1 {{'b2' must be [N], 'tensor<4xf32>', found 'tensor<5xf32>'}}
  %r = "lnn.cfc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9) <{mode = 0 : i32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0>}> : (tensor<?x8xf32>, f32, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<5xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @cfc_c1_matrix(%0: tensor<?x8xf32>, %1: f32, %2: tensor<8x4xf32>, %3: tensor<4xf32>, %4: tensor<8x4xf32>, %5: tensor<4xf32>, %6: tensor<4x8xf32>, %7: tensor<4xf32>, %8: tensor<8x4xf32>, %9: tensor<4xf32>) {
  // expected-error @+1 {{'wa' must be [F, N], 'tensor<8x4xf32>', found 'tensor<4x8xf32>'}}
  %r = "lnn.cfc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9) <{mode = 0 : i32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0>}> : (tensor<?x8xf32>, f32, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<4x8xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @cfc_c2(%0: tensor<3x8xf32>, %1: tensor<2xf32>, %2: tensor<8x4xf32>, %3: tensor<4xf32>, %4: tensor<8x4xf32>, %5: tensor<4xf32>, %6: tensor<8x4xf32>, %7: tensor<4xf32>, %8: tensor<8x4xf32>, %9: tensor<4xf32>) {
  // expected-error @+1 {{'dt' must be 'f32' or a tensor whose dimensions are leading ones of 'tensor<3x4xf32>' or 1, found 'tensor<2xf32>'}}
  %r = "lnn.cfc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9) <{mode = 0 : i32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0>}> : (tensor<3x8xf32>, tensor<2xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @cfc_c3_pure(%0: tensor<?x8xf32>, %1: f32, %2: tensor<8x4xf32>, %3: tensor<4xf32>, %4: tensor<8x4xf32>, %5: tensor<4xf32>, %6: tensor<8x4xf32>, %7: tensor<4xf32>, %8: tensor<8x4xf32>, %9: tensor<4xf32>, %10: tensor<4xf32>, %11: tensor<4xf32>) {
  // expected-error @+1 {{mode pure takes no 'w2'}}
  %r = "lnn.cfc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11) <{mode = 2 : i32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>}> : (tensor<?x8xf32>, f32, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @cfc_c3_decay(%0: tensor<?x8xf32>, %1: f32, %2: tensor<8x4xf32>, %3: tensor<4xf32>) {
  // expected-error @+1 {{mode pure needs 'w_tau'}}
  %r = "lnn.cfc"(%0, %1, %2, %3) <{mode = 2 : i32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0>}> : (tensor<?x8xf32>, f32, tensor<8x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @cfc_c3_default(%0: tensor<?x8xf32>, %1: f32, %2: tensor<8x4xf32>, %3: tensor<4xf32>, %4: tensor<8x4xf32>, %5: tensor<4xf32>, %6: tensor<8x4xf32>, %7: tensor<4xf32>, %8: tensor<8x4xf32>, %9: tensor<4xf32>, %10: tensor<4xf32>, %11: tensor<4xf32>) {
  // expected-error @+1 {{mode default takes no 'w_tau'}}
  %r = "lnn.cfc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11) <{mode = 0 : i32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1>}> : (tensor<?x8xf32>, f32, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @cfc_c4(%0: tensor<?x8xf32>, %1: f32, %2: tensor<8x4xf32>, %3: tensor<4xf32>, %4: tensor<8x4xf32>, %5: tensor<4xf32>, %6: tensor<8x4xf32>, %7: tensor<4xf32>, %8: tensor<8x4xf32>, %9: tensor<4xf32>) {
  // expected-error @+1 {{'wiring' must be 8 x 4, found 4 x 8}}
  %r = "lnn.cfc"(%0, %1, %2, %3, %4, %5, %6, %7, %8, %9) <{mode = 0 : i32, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0>, wiring = #lnn.wiring<4 x 8, dense>}> : (tensor<?x8xf32>, f32, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @trajectory_c1_known(%0: tensor<?x?x4xf32>, %1: tensor<?x4xf32>, %2: f32, %3: tensor<3xf32>) {
  // expected-error @+1 {{the last 2 dimensions of 'memory' must be known, found 'tensor<?x?x4xf32>'}}
  %r = "lnn.trajectory"(%0, %1, %2, %3)  : (tensor<?x?x4xf32>, tensor<?x4xf32>, f32, tensor<3xf32>) -> tensor<?x?x4xf32>
  return
}

// -----

func.func @trajectory_c1_sizes(%0: tensor<?x3x4xf32>, %1: tensor<?x5xf32>, %2: f32, %3: tensor<3xf32>) {
  // expected-error @+1 {{'memory' must be [..., M, N] and 'state' [..., N], found 'tensor<?x3x4xf32>' and 'tensor<?x5xf32>'}}
  %r = "lnn.trajectory"(%0, %1, %2, %3)  : (tensor<?x3x4xf32>, tensor<?x5xf32>, f32, tensor<3xf32>) -> tensor<?x3x4xf32>
  return
}

// -----

func.func @trajectory_c3(%0: tensor<?x3x4xf32>, %1: tensor<?x4xf32>, %2: f32, %3: tensor<4xf32>) {
  // expected-error @+1 {{'tau' must be [M], 'tensor<3xf32>', found 'tensor<4xf32>'}}
  %r = "lnn.trajectory"(%0, %1, %2, %3)  : (tensor<?x3x4xf32>, tensor<?x4xf32>, f32, tensor<4xf32>) -> tensor<?x3x4xf32>
  return
}

// -----

func.func @state_gate_c1(%0: tensor<?x4xf32>, %1: tensor<?x0x4xf32>, %2: tensor<4x2xf32>, %3: tensor<4x2xf32>, %4: tensor<4x4xf32>, %5: tensor<8x4xf32>, %6: tensor<4xf32>) {
  // expected-error @+1 {{'memory' must be [..., M, N] with M > 0 and N = 4 of 'state', found 'tensor<?x0x4xf32>'}}
  %r = "lnn.state_gate"(%0, %1, %2, %3, %4, %5, %6) <{operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 0, 1, 0, 1, 1>}> : (tensor<?x4xf32>, tensor<?x0x4xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x4xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @state_gate_c2_wq(%0: tensor<?x4xf32>, %1: tensor<?x3x4xf32>, %2: tensor<4x0xf32>, %3: tensor<4x2xf32>, %4: tensor<4x4xf32>, %5: tensor<8x4xf32>, %6: tensor<4xf32>) {
  // expected-error @+1 {{'wq' must be [N, D] with a known D > 0, found 'tensor<4x0xf32>'}}
  %r = "lnn.state_gate"(%0, %1, %2, %3, %4, %5, %6) <{operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 0, 1, 0, 1, 1>}> : (tensor<?x4xf32>, tensor<?x3x4xf32>, tensor<4x0xf32>, tensor<4x2xf32>, tensor<4x4xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @state_gate_c2_wk(%0: tensor<?x4xf32>, %1: tensor<?x3x4xf32>, %2: tensor<4x2xf32>, %3: tensor<2x4xf32>, %4: tensor<4x4xf32>, %5: tensor<8x4xf32>, %6: tensor<4xf32>) {
  // expected-error @+1 {{'wk' must be [N, D], 'tensor<4x2xf32>', found 'tensor<2x4xf32>'}}
  %r = "lnn.state_gate"(%0, %1, %2, %3, %4, %5, %6) <{operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 0, 1, 0, 1, 1>}> : (tensor<?x4xf32>, tensor<?x3x4xf32>, tensor<4x2xf32>, tensor<2x4xf32>, tensor<4x4xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @state_gate_c2_w(%0: tensor<?x4xf32>, %1: tensor<?x3x4xf32>, %2: tensor<4x2xf32>, %3: tensor<4x2xf32>, %4: tensor<4x4xf32>, %5: tensor<4x4xf32>, %6: tensor<4xf32>) {
  // expected-error @+1 {{'w' must be [2 N, N], 'tensor<8x4xf32>', found 'tensor<4x4xf32>'}}
  %r = "lnn.state_gate"(%0, %1, %2, %3, %4, %5, %6) <{operandSegmentSizes = array<i32: 1, 1, 1, 0, 1, 0, 1, 0, 1, 1>}> : (tensor<?x4xf32>, tensor<?x3x4xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_recurrence_c1(%0: tensor<?x?x4xf32>, %1: tensor<?x4xf32>) {
  // expected-error @+1 {{takes either 'drive', or 'keys' and 'values'}}
  %r:2 = "lnn.linear_recurrence"(%0, %1) <{dim = 1 : i64, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 1>}> : (tensor<?x?x4xf32>, tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c1_both(%0: tensor<?x?x4xf32>, %1: tensor<?x?x4xf32>, %2: tensor<?x?x4xf32>, %3: tensor<?x?x4xf32>, %4: tensor<?x4xf32>) {
  // expected-error @+1 {{takes either 'drive', or 'keys' and 'values'}}
  %r:2 = "lnn.linear_recurrence"(%0, %1, %2, %3, %4) <{dim = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 1>}> : (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c1_parts(%0: tensor<?x?x4xf32>, %1: tensor<?x4xf32>) {
  // expected-error @+1 {{has 2 'decay' and 2 'drive' for a state of 2 parts}}
  %r:4 = lnn.linear_recurrence decay %0, %0 drive %0, %0 from %1, %1 dim 1 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c1_no_part(%0: tensor<?x?x4xf32>) {
  // expected-error @+1 {{has 0 'decay' and 1 'drive' for a state of 0 parts}}
  %r = "lnn.linear_recurrence"(%0) <{dim = 1 : i64, operandSegmentSizes = array<i32: 0, 1, 0, 0, 0, 0>}> : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return
}

// -----

func.func @linear_recurrence_c1_keys_of_parts(%0: tensor<?x?x4xf32>, %1: tensor<?x4x4xf32>) {
  // expected-error @+1 {{has 4 'decay' and 0 'drive' for a state of 2 parts}}
  %r:3 = lnn.linear_recurrence decay %0, %0, %0, %0 keys %0 values %0 from %1, %1 dim 1 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x4x4xf32>, tensor<?x4x4xf32>) -> (tensor<?x?x4x4xf32>, tensor<?x4x4xf32>, tensor<?x4x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c1_of(%0: tensor<?x?x4xf32>, %1: tensor<?x4x4xf32>) {
  // expected-error @+1 {{reads part 1 of 1}}
  %r:2 = lnn.linear_recurrence decay %0 keys %0 values %0 read %0 of [1] from %1 dim 1 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x4x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c1_of_each(%0: tensor<?x?x4xf32>, %1: tensor<?x4x4xf32>) {
  // expected-error @+1 {{has 1 'read' and 2 'of'}}
  %r:2 = lnn.linear_recurrence decay %0 keys %0 values %0 read %0 of [0, 0] from %1 dim 1 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x4x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c2_parts(%0: tensor<?x?x4xf32>, %1: tensor<?x4xf32>, %2: tensor<3x4xf32>) {
  // expected-error @+1 {{needs parts of one type, found 'tensor<3x4xf32>' beside 'tensor<?x4xf32>'}}
  %r:4 = lnn.linear_recurrence decay %0, %0, %0, %0 drive %0, %0 from %1, %2 dim 1 : (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x4xf32>, tensor<3x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x4xf32>, tensor<3x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c2_element(%0: tensor<?x?x4xf64>, %1: tensor<?x?x4xf32>, %2: tensor<?x4xf32>) {
  // expected-error @+1 {{needs operands of one element type, found 'tensor<?x?x4xf64>' beside 'tensor<?x4xf32>'}}
  %r:2 = "lnn.linear_recurrence"(%0, %1, %2) <{dim = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1>}> : (tensor<?x?x4xf64>, tensor<?x?x4xf32>, tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c2_dim(%0: tensor<?x?x4xf32>, %1: tensor<?x?x4xf32>, %2: tensor<?x4xf32>) {
  // expected-error @+1 {{'dim' is 3, which isn't a time dimension of 'tensor<?x?x4xf32>'}}
  %r:2 = "lnn.linear_recurrence"(%0, %1, %2) <{dim = 3 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1>}> : (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c2_negative(%0: tensor<?x?x4xf32>, %1: tensor<?x?x4xf32>, %2: tensor<?x4xf32>) {
  // expected-error @+1 {{'dim' is -1, which isn't a time dimension of 'tensor<?x?x4xf32>'}}
  %r:2 = "lnn.linear_recurrence"(%0, %1, %2) <{dim = -1 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1>}> : (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c2_time(%0: tensor<?x7x4xf32>, %1: tensor<?x8x4xf32>, %2: tensor<?x4xf32>) {
  // expected-error @+1 {{operands have 7 and 8 time steps}}
  %r:2 = "lnn.linear_recurrence"(%0, %1, %2) <{dim = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1>}> : (tensor<?x7x4xf32>, tensor<?x8x4xf32>, tensor<?x4xf32>) -> (tensor<?x8x4xf32>, tensor<?x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c3(%0: tensor<3x?x4xf32>, %1: tensor<3x?x5xf32>, %2: tensor<3x4xf32>) {
  // expected-error @+1 {{a step of 'drive' must be 'tensor<3x4xf32>', found 'tensor<3x?x5xf32>' with time in dimension 1}}
  %r:2 = "lnn.linear_recurrence"(%0, %1, %2) <{dim = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1>}> : (tensor<3x?x4xf32>, tensor<3x?x5xf32>, tensor<3x4xf32>) -> (tensor<3x?x5xf32>, tensor<3x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c3_decay(%0: tensor<3x?x2xf32>, %1: tensor<3x?x4xf32>, %2: tensor<3x4xf32>) {
  // expected-error @+1 {{a step of 'decay' must broadcast to 'tensor<3x4xf32>', found 'tensor<3x?x2xf32>' with time in dimension 1}}
  %r:2 = "lnn.linear_recurrence"(%0, %1, %2) <{dim = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 1>}> : (tensor<3x?x2xf32>, tensor<3x?x4xf32>, tensor<3x4xf32>) -> (tensor<3x?x4xf32>, tensor<3x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c4_init(%0: tensor<?x?x1xf32>, %1: tensor<?x?x8xf32>, %2: tensor<?x?x4xf32>, %3: tensor<?x?x4xf32>) {
  // expected-error @+1 {{'init' must be [..., K, V] of known K and V, found 'tensor<?x?x4xf32>'}}
  %r:2 = "lnn.linear_recurrence"(%0, %1, %2, %3) <{dim = 1 : i64, operandSegmentSizes = array<i32: 1, 0, 1, 1, 0, 1>}> : (tensor<?x?x1xf32>, tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> (tensor<?x?x8x4xf32>, tensor<?x?x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c4_values(%0: tensor<?x?x1xf32>, %1: tensor<?x?x8xf32>, %2: tensor<?x?x5xf32>, %3: tensor<?x?x8xf32>, %4: tensor<?x8x4xf32>) {
  // expected-error @+1 {{a step of 'values' must be 'tensor<?x4xf32>', found 'tensor<?x?x5xf32>' with time in dimension 1}}
  %r:2 = "lnn.linear_recurrence"(%0, %1, %2, %3, %4) <{dim = 1 : i64, operandSegmentSizes = array<i32: 1, 0, 1, 1, 1, 1>}> : (tensor<?x?x1xf32>, tensor<?x?x8xf32>, tensor<?x?x5xf32>, tensor<?x?x8xf32>, tensor<?x8x4xf32>) -> (tensor<?x?x5xf32>, tensor<?x8x4xf32>)
  return
}

// -----

func.func @causal_conv_c1_rank(%0: tensor<4xf32>, %1: tensor<?x2x4xf32>, %2: tensor<3x4xf32>, %3: tensor<4xf32>) {
  // expected-error @+1 {{'input' must have a rank of at least 2, found 'tensor<4xf32>'}}
  %r:2 = "lnn.causal_conv"(%0, %1, %2, %3)  : (tensor<4xf32>, tensor<?x2x4xf32>, tensor<3x4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<?x2x4xf32>)
  return
}

// -----

func.func @causal_conv_c1_channels(%0: tensor<?x?x4xf32>, %1: tensor<?x2x5xf32>, %2: tensor<3x4xf32>, %3: tensor<4xf32>) {
  // expected-error @+1 {{'input' and 'state' must have as many channels, found 'tensor<?x?x4xf32>' and 'tensor<?x2x5xf32>'}}
  %r:2 = "lnn.causal_conv"(%0, %1, %2, %3)  : (tensor<?x?x4xf32>, tensor<?x2x5xf32>, tensor<3x4xf32>, tensor<4xf32>) -> (tensor<?x?x4xf32>, tensor<?x2x5xf32>)
  return
}

// -----

func.func @causal_conv_c2(%0: tensor<?x?x4xf32>, %1: tensor<?x2x4xf32>, %2: tensor<2x4xf32>, %3: tensor<4xf32>) {
  // expected-error @+1 {{'w' must be [K, C], 'tensor<3x4xf32>', found 'tensor<2x4xf32>'}}
  %r:2 = "lnn.causal_conv"(%0, %1, %2, %3)  : (tensor<?x?x4xf32>, tensor<?x2x4xf32>, tensor<2x4xf32>, tensor<4xf32>) -> (tensor<?x?x4xf32>, tensor<?x2x4xf32>)
  return
}

// -----

func.func @causal_conv_c2_bias(%0: tensor<?x?x4xf32>, %1: tensor<?x2x4xf32>, %2: tensor<3x4xf32>, %3: tensor<3xf32>) {
  // expected-error @+1 {{'b' must be [C], 'tensor<4xf32>', found 'tensor<3xf32>'}}
  %r:2 = "lnn.causal_conv"(%0, %1, %2, %3)  : (tensor<?x?x4xf32>, tensor<?x2x4xf32>, tensor<3x4xf32>, tensor<3xf32>) -> (tensor<?x?x4xf32>, tensor<?x2x4xf32>)
  return
}

// -----

func.func @ctrnn_c3(%0: tensor<?x4xf32>, %1: tensor<?x3xf32>, %2: f32, %3: tensor<4x3xf32>, %4: tensor<4x4xf32>, %5: tensor<4xf32>, %6: tensor<4xf32>) {
  // expected-error @+1 {{'w' must be [I, N], 'tensor<3x4xf32>', found 'tensor<4x3xf32>'}}
  %r = "lnn.ctrnn"(%0, %1, %2, %3, %4, %5, %6) <{method = #ode.method<euler, steps = 1>, activation = 0 : i32}> : (tensor<?x4xf32>, tensor<?x3xf32>, f32, tensor<4x3xf32>, tensor<4x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @ctrnn_c3_tau(%0: tensor<?x4xf32>, %1: tensor<?x3xf32>, %2: f32, %3: tensor<3x4xf32>, %4: tensor<4x4xf32>, %5: tensor<1xf32>, %6: tensor<4xf32>) {
  // expected-error @+1 {{'tau' must be [N], 'tensor<4xf32>', found 'tensor<1xf32>'}}
  %r = "lnn.ctrnn"(%0, %1, %2, %3, %4, %5, %6) <{method = #ode.method<euler, steps = 1>, activation = 0 : i32}> : (tensor<?x4xf32>, tensor<?x3xf32>, f32, tensor<3x4xf32>, tensor<4x4xf32>, tensor<1xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @ctrnn_c4(%0: tensor<?x4xf32>, %1: tensor<?x3xf32>, %2: f32, %3: tensor<3x4xf32>, %4: tensor<4x4xf32>, %5: tensor<4xf32>, %6: tensor<4xf32>) {
  // expected-error @+1 {{'input_wiring' must be 3 x 4, found 4 x 4}}
  %r = "lnn.ctrnn"(%0, %1, %2, %3, %4, %5, %6) <{method = #ode.method<euler, steps = 1>, activation = 0 : i32, input_wiring = #lnn.wiring<4 x 4, dense>}> : (tensor<?x4xf32>, tensor<?x3xf32>, f32, tensor<3x4xf32>, tensor<4x4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @linear_recurrence_c1_before(%0: tensor<?x?x1xf32>, %1: tensor<?x?x8xf32>, %2: tensor<?x?x4xf32>, %3: tensor<?x?x8xf32>, %4: tensor<?x8x4xf32>) {
  // expected-error @+1 {{has 1 'read' and 2 'before'}}
  %r:2 = "lnn.linear_recurrence"(%0, %1, %2, %3, %4) <{dim = 1 : i64, before = array<i1: true, false>, operandSegmentSizes = array<i32: 1, 0, 1, 1, 1, 1>}> : (tensor<?x?x1xf32>, tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x8xf32>, tensor<?x8x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x8x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c4_read(%0: tensor<?x?x8x1xf32>, %1: tensor<?x?x8x4xf32>, %2: tensor<?x?x8x5xf32>, %3: tensor<?x8x4xf32>) {
  // expected-error @+1 {{a step of 'read' must broadcast to 'tensor<?x8x4xf32>', found 'tensor<?x?x8x5xf32>' with time in dimension 1}}
  %r:2 = "lnn.linear_recurrence"(%0, %1, %2, %3) <{dim = 1 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 1, 1>}> : (tensor<?x?x8x1xf32>, tensor<?x?x8x4xf32>, tensor<?x?x8x5xf32>, tensor<?x8x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x8x4xf32>)
  return
}

// -----

func.func @linear_recurrence_c4_vector(%0: tensor<?x4xf32>, %1: tensor<?x4xf32>, %2: tensor<?x4xf32>, %3: tensor<4xf32>) {
  // expected-error @+1 {{'init' must be [..., K, V] of known K and V, found 'tensor<4xf32>'}}
  %r:2 = "lnn.linear_recurrence"(%0, %1, %2, %3) <{dim = 0 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 1, 1>}> : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?xf32>, tensor<4xf32>)
  return
}

// -----

func.func @linear_recurrence_c4_time(%0: tensor<?x8x?x1xf32>, %1: tensor<?x8x?x4xf32>, %2: tensor<?x8x?xf32>, %3: tensor<?x8x4xf32>) {
  // expected-error @+1 {{'dim' is 2; the time must be in front of the keys}}
  %r:2 = "lnn.linear_recurrence"(%0, %1, %2, %3) <{dim = 2 : i64, operandSegmentSizes = array<i32: 1, 1, 0, 0, 1, 1>}> : (tensor<?x8x?x1xf32>, tensor<?x8x?x4xf32>, tensor<?x8x?xf32>, tensor<?x8x4xf32>) -> (tensor<?x8x4xf32>, tensor<?x8x4xf32>)
  return
}

// -----

func.func @causal_conv_c1_dilation(%0: tensor<?x?x4xf32>, %1: tensor<?x3x4xf32>, %2: tensor<2x4xf32>) {
  // expected-error @+1 {{'dilation' must be 1 or more and divide the state's samples, found 2 and 3}}
  %r:2 = "lnn.causal_conv"(%0, %1, %2) <{dilation = 2 : i64}> : (tensor<?x?x4xf32>, tensor<?x3x4xf32>, tensor<2x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x3x4xf32>)
  return
}

// -----

func.func @causal_conv_no_dilation(%x: tensor<?x?x4xf32>, %s: tensor<?x3x4xf32>, %w: tensor<2x4xf32>) {
  // expected-error @+2 {{needs a dilation of 1 or more, found 0}}
  %r:2 = lnn.causal_conv %x, %s taps(%w) dilation 0 : tensor<?x?x4xf32>, tensor<?x3x4xf32>
  return
}
