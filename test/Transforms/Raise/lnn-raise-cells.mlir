// RUN: lnn-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(lnn-raise-cells{remarks=1}),canonicalize,cse)' --verify-diagnostics | FileCheck %s

#kj = affine_map<(b, j, k) -> (k, j)>
#bk = affine_map<(b, j, k) -> (b, k)>
#bj3 = affine_map<(b, j, k) -> (b, j)>
#bj = affine_map<(b, j) -> (b, j)>
#j = affine_map<(b, j) -> (j)>
#b0 = affine_map<(b, j) -> (b, 0)>

// CHECK: #wiring = #lnn.wiring<3 x 3, {0: [1], 1: [2], 2: [0, 1]}>
// A step alone: terms in another order than ncps', the leak's sum folded, a mask with zeros, no input.
// CHECK-LABEL: @ltc_step
// CHECK: lnn.ltc %arg0, %{{.*}} for %arg1 unfolds 1 recurrent(%{{.*}}, %arg2, %arg3, %arg4 wired #wiring)
// CHECK-NOT: lnn.sigmoid
func.func @ltc_step(%h: tensor<?x3xf32>, %dt: tensor<?x1xf32>, %sigma: tensor<3x3xf32>, %mu: tensor<3x3xf32>, %erev: tensor<3x3xf32>,
                    %cm: tensor<3xf32>, %gleak: tensor<3xf32>, %vleak: tensor<3xf32>) -> tensor<?x3xf32> {
  %zero = arith.constant 0.0 : f32
  %eps = arith.constant 1.0e-8 : f32
  %c0 = arith.constant 0 : index
  %w = arith.constant dense<[[0.5, 1.0, 0.25], [1.0, 0.5, 2.0], [4.0, 0.125, 1.0]]> : tensor<3x3xf32>
  %mask = arith.constant dense<[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]> : tensor<3x3xf32>
  %n = tensor.dim %h, %c0 : tensor<?x3xf32>
  %e = tensor.empty(%n) : tensor<?x3xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x3xf32>) -> tensor<?x3xf32>
  %s:2 = linalg.generic {indexing_maps = [#bk, #kj, #kj, #kj, #kj, #kj, #bj3, #bj3], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%h, %sigma, %mu, %w, %mask, %erev : tensor<?x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>)
      outs(%f, %f : tensor<?x3xf32>, tensor<?x3xf32>) {
  ^bb0(%x: f32, %si: f32, %m: f32, %wi: f32, %ma: f32, %er: f32, %num: f32, %den: f32):
    %d = arith.subf %x, %m : f32
    %a = arith.mulf %d, %si : f32
    %g = lnn.sigmoid %a : f32
    %mw = arith.mulf %ma, %wi : f32
    %c = arith.mulf %mw, %g : f32
    %r = arith.mulf %er, %c : f32
    %n1 = arith.addf %r, %num : f32
    %d1 = arith.addf %c, %den : f32
    linalg.yield %n1, %d1 : f32, f32
  } -> (tensor<?x3xf32>, tensor<?x3xf32>)
  // expected-remark @+1 {{raised to lnn.ltc of 3 neurons and 0 inputs, unfolds = 1}}
  %next = linalg.generic {indexing_maps = [#bj, #b0, #bj, #bj, #j, #j, #j, #bj], iterator_types = ["parallel", "parallel"]}
      ins(%h, %dt, %s#0, %s#1, %cm, %gleak, %vleak : tensor<?x3xf32>, tensor<?x1xf32>, tensor<?x3xf32>, tensor<?x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
      outs(%e : tensor<?x3xf32>) {
  ^bb0(%x: f32, %t: f32, %num: f32, %den: f32, %c: f32, %g: f32, %v: f32, %out: f32):
    %ct = arith.divf %c, %t : f32
    %gv = arith.mulf %v, %g : f32
    %n0 = arith.addf %num, %gv : f32
    %ch = arith.mulf %x, %ct : f32
    %n1 = arith.addf %n0, %ch : f32
    %d0 = arith.addf %den, %eps : f32
    %d1 = arith.addf %d0, %g : f32
    %d2 = arith.addf %ct, %d1 : f32
    %q = arith.divf %n1, %d2 : f32
    linalg.yield %q : f32
  } -> tensor<?x3xf32>
  return %next : tensor<?x3xf32>
}

// -----

#kj = affine_map<(b, j, k) -> (k, j)>
#bk = affine_map<(b, j, k) -> (b, k)>
#bj3 = affine_map<(b, j, k) -> (b, j)>
#bj = affine_map<(b, j) -> (b, j)>
#j = affine_map<(b, j) -> (j)>

// The denominator's weights are not the numerator's: no liquid cell.
// CHECK-LABEL: @other_weights
// CHECK-NOT: lnn.ltc
// CHECK: lnn.sigmoid
// CHECK-NOT: lnn.ltc
func.func @other_weights(%h: tensor<2x3xf32>, %w: tensor<3x3xf32>, %w2: tensor<3x3xf32>, %e: tensor<3x3xf32>, %cm: tensor<3xf32>) -> tensor<2x3xf32> {
  %zero = arith.constant 0.0 : f32
  %o = tensor.empty() : tensor<2x3xf32>
  %f = linalg.fill ins(%zero : f32) outs(%o : tensor<2x3xf32>) -> tensor<2x3xf32>
  %s:2 = linalg.generic {indexing_maps = [#bk, #kj, #kj, #kj, #bj3, #bj3], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%h, %w, %w2, %e : tensor<2x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>, tensor<3x3xf32>) outs(%f, %f : tensor<2x3xf32>, tensor<2x3xf32>) {
  ^bb0(%x: f32, %wi: f32, %wj: f32, %er: f32, %num: f32, %den: f32):
    %g = lnn.sigmoid %x : f32
    %c = arith.mulf %wi, %g : f32
    %c2 = arith.mulf %wj, %g : f32
    %r = arith.mulf %er, %c : f32
    %n1 = arith.addf %r, %num : f32
    %d1 = arith.addf %c2, %den : f32
    linalg.yield %n1, %d1 : f32, f32
  } -> (tensor<2x3xf32>, tensor<2x3xf32>)
  // expected-remark @+1 {{not raised to lnn.ltc: a sum of the denominator is no part of one of the numerator}}
  %next = linalg.generic {indexing_maps = [#bj, #bj, #bj, #j, #bj], iterator_types = ["parallel", "parallel"]}
      ins(%h, %s#0, %s#1, %cm : tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>, tensor<3xf32>) outs(%o : tensor<2x3xf32>) {
  ^bb0(%x: f32, %num: f32, %den: f32, %c: f32, %out: f32):
    %ch = arith.mulf %x, %c : f32
    %n1 = arith.addf %num, %ch : f32
    %d1 = arith.addf %den, %c : f32
    %q = arith.divf %n1, %d1 : f32
    linalg.yield %q : f32
  } -> tensor<2x3xf32>
  return %next : tensor<2x3xf32>
}

// -----

// A closed form written as h1 + t (h2 - h1), with one duration for all; the layers' products on tensors.
// CHECK-LABEL: @cfc_factored
// CHECK: %[[DT:.*]] = tensor.extract %arg1[]
// CHECK: lnn.cfc %arg0 for %[[DT]] mode default ff1(%arg2, %{{.*}}) ff2(%arg3, %{{.*}}) time_a(%arg4, %{{.*}}) time_b(%arg5, %{{.*}})
func.func @cfc_factored(%f: tensor<2x8xf32>, %dt: tensor<f32>, %w1: tensor<8x4xf32>, %w2: tensor<8x4xf32>, %wa: tensor<8x4xf32>, %wb: tensor<8x4xf32>)
    -> tensor<2x4xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x4xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<2x4xf32>) -> tensor<2x4xf32>
  %ff1 = linalg.matmul ins(%f, %w1 : tensor<2x8xf32>, tensor<8x4xf32>) outs(%z : tensor<2x4xf32>) -> tensor<2x4xf32>
  %ff2 = linalg.matmul ins(%f, %w2 : tensor<2x8xf32>, tensor<8x4xf32>) outs(%z : tensor<2x4xf32>) -> tensor<2x4xf32>
  %ta = linalg.matmul ins(%f, %wa : tensor<2x8xf32>, tensor<8x4xf32>) outs(%z : tensor<2x4xf32>) -> tensor<2x4xf32>
  %tb = linalg.matmul ins(%f, %wb : tensor<2x8xf32>, tensor<8x4xf32>) outs(%z : tensor<2x4xf32>) -> tensor<2x4xf32>
  %scaled = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> ()>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%ta, %dt : tensor<2x4xf32>, tensor<f32>) outs(%e : tensor<2x4xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %m = arith.mulf %a, %b : f32
    linalg.yield %m : f32
  } -> tensor<2x4xf32>
  %gate = arith.addf %scaled, %tb : tensor<2x4xf32>
  %t = lnn.sigmoid %gate : tensor<2x4xf32>
  %h1 = math.tanh %ff1 : tensor<2x4xf32>
  %h2 = math.tanh %ff2 : tensor<2x4xf32>
  %d = arith.subf %h2, %h1 : tensor<2x4xf32>
  %td = arith.mulf %t, %d : tensor<2x4xf32>
  // expected-remark @+1 {{raised to lnn.cfc of 4 neurons, mode default}}
  %next = arith.addf %h1, %td : tensor<2x4xf32>
  return %next : tensor<2x4xf32>
}

// -----

// A counted loop of leaky steps, weights of state and activation folded to 0.75 and 0.25.
// CHECK-LABEL: @leaky
// CHECK-SAME: (%[[H0:.*]]: tensor<2x4xf32>, %[[R:.*]]: tensor<4x4xf32>)
// CHECK: lnn.ctrnn %[[H0]], %{{.*}} for %{{.*}} method #ode.method<euler, steps = 5> activation tanh input(%{{.*}}) recurrent(%[[R]])
// CHECK-NOT: lnn.scan
func.func @leaky(%h0: tensor<2x4xf32>, %r: tensor<4x4xf32>) -> tensor<2x4xf32> {
  %c5 = arith.constant 5 : index
  %zero = arith.constant 0.0 : f32
  %keep = arith.constant dense<0.75> : tensor<2x4xf32>
  %take = arith.constant dense<0.25> : tensor<2x4xf32>
  %e = tensor.empty() : tensor<2x4xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<2x4xf32>) -> tensor<2x4xf32>
  %h5 = lnn.scan %i of %c5 carrying (%h = %h0) : (tensor<2x4xf32>) -> tensor<2x4xf32> {
    %s = linalg.matmul ins(%h, %r : tensor<2x4xf32>, tensor<4x4xf32>) outs(%z : tensor<2x4xf32>) -> tensor<2x4xf32>
    %a = math.tanh %s : tensor<2x4xf32>
    %old = arith.mulf %keep, %h : tensor<2x4xf32>
    %new = arith.mulf %take, %a : tensor<2x4xf32>
    // expected-remark @+1 {{raised to lnn.ctrnn of 4 neurons, 5 Euler steps}}
    %next = arith.addf %old, %new : tensor<2x4xf32>
    lnn.yield carrying %next : tensor<2x4xf32>
  }
  return %h5 : tensor<2x4xf32>
}

// -----

// Weights of state and activation that don't add up to 1.
// CHECK-LABEL: @not_leaky
// CHECK-NOT: lnn.ctrnn
// CHECK: lnn.scan
func.func @not_leaky(%h0: tensor<2x4xf32>, %r: tensor<4x4xf32>) -> tensor<2x4xf32> {
  %c5 = arith.constant 5 : index
  %zero = arith.constant 0.0 : f32
  %keep = arith.constant dense<0.75> : tensor<2x4xf32>
  %take = arith.constant dense<0.5> : tensor<2x4xf32>
  %e = tensor.empty() : tensor<2x4xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<2x4xf32>) -> tensor<2x4xf32>
  %h5 = lnn.scan %i of %c5 carrying (%h = %h0) : (tensor<2x4xf32>) -> tensor<2x4xf32> {
    %s = linalg.matmul ins(%h, %r : tensor<2x4xf32>, tensor<4x4xf32>) outs(%z : tensor<2x4xf32>) -> tensor<2x4xf32>
    %a = math.tanh %s : tensor<2x4xf32>
    %old = arith.mulf %keep, %h : tensor<2x4xf32>
    %new = arith.mulf %take, %a : tensor<2x4xf32>
    // expected-remark @+1 {{not raised to lnn.ctrnn: the weights of state and activation don't add up to 1}}
    %next = arith.addf %old, %new : tensor<2x4xf32>
    lnn.yield carrying %next : tensor<2x4xf32>
  }
  return %h5 : tensor<2x4xf32>
}

// -----

// Heun's method over a field without parameters, the step's length a number.
// CHECK-LABEL: @heun
// CHECK: %[[DT:.*]] = arith.constant 1.000000e+00 : f32
// CHECK: ode.solve %arg0 for %[[DT]] method <heun, steps = 10>
// CHECK-NEXT: ^bb0(%{{.*}}: f32, %[[S:.*]]: tensor<3xf32>):
// CHECK-NEXT: %[[K:.*]] = math.sin %[[S]]
// CHECK-NEXT: ode.yield %[[K]]
// CHECK-NOT: lnn.scan
func.func @heun(%h0: tensor<3xf32>) -> tensor<3xf32> {
  %c10 = arith.constant 10 : index
  %dt = arith.constant dense<0.1> : tensor<3xf32>
  %half = arith.constant dense<0.05> : tensor<3xf32>
  %h1 = lnn.scan %i of %c10 carrying (%h = %h0) : (tensor<3xf32>) -> tensor<3xf32> {
    %k1 = math.sin %h : tensor<3xf32>
    %d1 = arith.mulf %dt, %k1 : tensor<3xf32>
    %x = arith.addf %h, %d1 : tensor<3xf32>
    %k2 = math.sin %x : tensor<3xf32>
    %k = arith.addf %k1, %k2 : tensor<3xf32>
    %d = arith.mulf %half, %k : tensor<3xf32>
    // expected-remark @+1 {{raised to ode.solve by heun, steps = 10}}
    %next = arith.addf %h, %d : tensor<3xf32>
    lnn.yield carrying %next : tensor<3xf32>
  }
  return %h1 : tensor<3xf32>
}

// -----

// Two stages of no known method.
// CHECK-LABEL: @no_method
// CHECK-NOT: ode.solve
func.func @no_method(%h0: tensor<3xf32>) -> tensor<3xf32> {
  %c10 = arith.constant 10 : index
  %dt = arith.constant dense<0.1> : tensor<3xf32>
  %h1 = lnn.scan %i of %c10 carrying (%h = %h0) : (tensor<3xf32>) -> tensor<3xf32> {
    %k1 = math.sin %h : tensor<3xf32>
    %d1 = arith.mulf %dt, %k1 : tensor<3xf32>
    %x = arith.addf %h, %d1 : tensor<3xf32>
    %k2 = math.sin %x : tensor<3xf32>
    %k = arith.addf %k1, %k2 : tensor<3xf32>
    %d = arith.mulf %dt, %k : tensor<3xf32>
    // expected-remark @+1 {{not raised to ode.solve: no tableau has the coefficients of 2 stages}}
    %next = arith.addf %h, %d : tensor<3xf32>
    lnn.yield carrying %next : tensor<3xf32>
  }
  return %h1 : tensor<3xf32>
}

// -----

// A scan that is nothing but h' = a h + b, one decay for all of a row.
// CHECK-LABEL: @recurrence
// CHECK-NEXT: %[[R:.*]]:2 = lnn.linear_recurrence decay %arg0 drive %arg1 from %arg2 dim 1
// CHECK-NEXT: return %[[R]]#0, %[[R]]#1
func.func @recurrence(%a: tensor<2x8x1xf32>, %b: tensor<2x8x4xf32>, %h0: tensor<2x4xf32>) -> (tensor<2x8x4xf32>, tensor<2x4xf32>) {
  %c8 = arith.constant 8 : index
  %e = tensor.empty() : tensor<2x4xf32>
  // expected-remark @+1 {{raised to lnn.linear_recurrence along dimension 1}}
  %h:2 = lnn.scan %t of %c8 over (%at = %a dim 1, %bt = %b dim 1) carrying (%s = %h0) stacking (dim 1)
      : (tensor<2x8x1xf32>, tensor<2x8x4xf32>, tensor<2x4xf32>) -> (tensor<2x8x4xf32>, tensor<2x4xf32>) {
    %next = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, 0)>, affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
                            iterator_types = ["parallel", "parallel"]}
        ins(%at, %bt, %s : tensor<2x1xf32>, tensor<2x4xf32>, tensor<2x4xf32>) outs(%e : tensor<2x4xf32>) {
    ^bb0(%ai: f32, %bi: f32, %si: f32, %out: f32):
      %m = arith.mulf %si, %ai : f32
      %n = arith.addf %bi, %m : f32
      linalg.yield %n : f32
    } -> tensor<2x4xf32>
    lnn.yield %next : tensor<2x4xf32> carrying %next : tensor<2x4xf32>
  }
  return %h#0, %h#1 : tensor<2x8x4xf32>, tensor<2x4xf32>
}

// -----

// The classic method of four stages.
// CHECK-LABEL: @rk4
// CHECK: ode.solve %arg0 for %{{.*}} method <rk4, steps = 10>
// CHECK-NOT: lnn.scan
func.func @rk4(%h0: tensor<3xf32>) -> tensor<3xf32> {
  %c10 = arith.constant 10 : index
  %dt = arith.constant dense<0.12> : tensor<3xf32>
  %half = arith.constant dense<0.06> : tensor<3xf32>
  %sixth = arith.constant dense<0.02> : tensor<3xf32>
  %two = arith.constant dense<2.0> : tensor<3xf32>
  %h1 = lnn.scan %i of %c10 carrying (%h = %h0) : (tensor<3xf32>) -> tensor<3xf32> {
    %k1 = math.sin %h : tensor<3xf32>
    %d1 = arith.mulf %half, %k1 : tensor<3xf32>
    %x1 = arith.addf %h, %d1 : tensor<3xf32>
    %k2 = math.sin %x1 : tensor<3xf32>
    %d2 = arith.mulf %half, %k2 : tensor<3xf32>
    %x2 = arith.addf %h, %d2 : tensor<3xf32>
    %k3 = math.sin %x2 : tensor<3xf32>
    %d3 = arith.mulf %dt, %k3 : tensor<3xf32>
    %x3 = arith.addf %h, %d3 : tensor<3xf32>
    %k4 = math.sin %x3 : tensor<3xf32>
    %k23 = arith.addf %k2, %k3 : tensor<3xf32>
    %k23x2 = arith.mulf %two, %k23 : tensor<3xf32>
    %k14 = arith.addf %k1, %k4 : tensor<3xf32>
    %k = arith.addf %k14, %k23x2 : tensor<3xf32>
    %d = arith.mulf %sixth, %k : tensor<3xf32>
    // expected-remark @+1 {{raised to ode.solve by rk4, steps = 10}}
    %next = arith.addf %h, %d : tensor<3xf32>
    lnn.yield carrying %next : tensor<3xf32>
  }
  return %h1 : tensor<3xf32>
}

// -----

#hbd = affine_map<(b, d, n) -> (b, d, n)>
#out = affine_map<(b, d, n) -> (b, d)>
#key = affine_map<(b, d, n) -> (b, n)>
#val = affine_map<(b, d, n) -> (b, d)>
// The state [d, n] is read out over n: keys [n], values [d], and the decay turned.
// CHECK-LABEL: @matrix_state
// CHECK: %[[A:.*]] = linalg.generic {{.*}} outs({{.*}} : tensor<1x5x3x8xf32>)
// CHECK: lnn.linear_recurrence decay %[[A]] keys %arg1 values %{{.*}} read %arg3 from %{{.*}} dim 1
// CHECK-SAME: tensor<2x5x3xf32>, tensor<2x5x8xf32>, tensor<2x5x3xf32>, tensor<2x3x8xf32>) -> (tensor<2x5x8xf32>, tensor<2x3x8xf32>)
// CHECK-NOT: lnn.scan
func.func @matrix_state(%a: tensor<8x3xf32>, %k: tensor<2x5x3xf32>, %v: tensor<2x5x8xf32>, %q: tensor<2x5x3xf32>, %h0: tensor<2x8x3xf32>)
    -> tensor<2x5x8xf32> {
  %n = arith.constant 5 : index
  %zero = arith.constant 0.0 : f32
  // expected-remark @+1 {{raised to lnn.linear_recurrence of a 3 x 8 state along dimension 1}}
  %y, %hn = lnn.scan %t of %n over (%kt = %k dim 1, %vt = %v dim 1, %qt = %q dim 1) carrying (%h = %h0) stacking (dim 1)
      : (tensor<2x5x3xf32>, tensor<2x5x8xf32>, tensor<2x5x3xf32>, tensor<2x8x3xf32>) -> (tensor<2x5x8xf32>, tensor<2x8x3xf32>) {
    %e = tensor.empty() : tensor<2x8x3xf32>
    %next = linalg.generic {indexing_maps = [affine_map<(b, d, n) -> (d, n)>, #key, #val, #hbd, #hbd], iterator_types = ["parallel", "parallel", "parallel"]}
        ins(%a, %kt, %vt, %h : tensor<8x3xf32>, tensor<2x3xf32>, tensor<2x8xf32>, tensor<2x8x3xf32>) outs(%e : tensor<2x8x3xf32>) {
    ^bb0(%ai: f32, %ki: f32, %vi: f32, %hi: f32, %o: f32):
      %kept = arith.mulf %ai, %hi : f32
      %new = arith.mulf %ki, %vi : f32
      %sum = arith.addf %kept, %new : f32
      linalg.yield %sum : f32
    } -> tensor<2x8x3xf32>
    %f = tensor.empty() : tensor<2x8xf32>
    %zeros = linalg.fill ins(%zero : f32) outs(%f : tensor<2x8xf32>) -> tensor<2x8xf32>
    %yt = linalg.generic {indexing_maps = [#hbd, #key, #out], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%next, %qt : tensor<2x8x3xf32>, tensor<2x3xf32>) outs(%zeros : tensor<2x8xf32>) {
    ^bb0(%hi: f32, %qi: f32, %o: f32):
      %m = arith.mulf %hi, %qi : f32
      %s = arith.addf %o, %m : f32
      linalg.yield %s : f32
    } -> tensor<2x8xf32>
    lnn.yield %yt : tensor<2x8xf32> carrying %next : tensor<2x8x3xf32>
  }
  return %y : tensor<2x5x8xf32>
}

// -----

// Gates that the scan computes are computed in it again, once it is a scan.
// CHECK-LABEL: @gated
// CHECK-COUNT-2: linalg.generic {{.*}} attrs = {lnn.sink}
// CHECK: lnn.linear_recurrence decay %{{.*}} drive %{{.*}} from %arg2 dim 0
func.func @gated(%x: tensor<?x4xf32>, %z: tensor<?x4xf32>, %h0: tensor<4xf32>, %n: index) -> tensor<?x4xf32> {
  %one = arith.constant dense<1.0> : tensor<4xf32>
  // expected-remark @+1 {{raised to lnn.linear_recurrence along dimension 0}}
  %y, %hn = lnn.scan %t of %n over (%xt = %x dim 0, %zt = %z dim 0) carrying (%h = %h0) stacking (dim 0)
      : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>) -> (tensor<?x4xf32>, tensor<4xf32>) {
    %keep = arith.subf %one, %zt : tensor<4xf32>
    %kept = arith.mulf %keep, %h : tensor<4xf32>
    %new = arith.mulf %zt, %xt : tensor<4xf32>
    %next = arith.addf %kept, %new : tensor<4xf32>
    lnn.yield %next : tensor<4xf32> carrying %next : tensor<4xf32>
  }
  return %y : tensor<?x4xf32>
}

// -----

// The state before the step is yielded.
// CHECK-LABEL: @before
// CHECK-NOT: lnn.linear_recurrence
func.func @before(%a: tensor<5x4xf32>, %b: tensor<5x4xf32>, %h0: tensor<4xf32>) -> tensor<5x4xf32> {
  %n = arith.constant 5 : index
  %y, %hn = lnn.scan %t of %n over (%at = %a dim 0, %bt = %b dim 0) carrying (%h = %h0) stacking (dim 0)
      : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<4xf32>) -> (tensor<5x4xf32>, tensor<4xf32>) {
    %kept = arith.mulf %at, %h : tensor<4xf32>
    // expected-remark @+1 {{not raised to lnn.linear_recurrence: an output is neither the states nor computed of sums over one of their dimensions}}
    %next = arith.addf %kept, %bt : tensor<4xf32>
    lnn.yield %h : tensor<4xf32> carrying %next : tensor<4xf32>
  }
  return %y : tensor<5x4xf32>
}

// -----

#in = affine_map<(b, c, t, j) -> (b, c, t + j)>
#w = affine_map<(b, c, t, j) -> (c, j)>
#y = affine_map<(b, c, t, j) -> (b, c, t)>
// CHECK-LABEL: @causal_conv
// CHECK: lnn.causal_conv %{{.*}}, %{{.*}} taps(%{{.*}}) : tensor<2x9x4xf32>, tensor<2x2x4xf32>
func.func @causal_conv(%x: tensor<2x9x4xf32>, %w: tensor<4x3xf32>) -> tensor<2x4x9xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x4x9xf32>
  %xt = linalg.transpose ins(%x : tensor<2x9x4xf32>) outs(%e : tensor<2x4x9xf32>) permutation = [0, 2, 1]
  %p = tensor.empty() : tensor<2x4x11xf32>
  %z = linalg.fill ins(%zero : f32) outs(%p : tensor<2x4x11xf32>) -> tensor<2x4x11xf32>
  %padded = tensor.insert_slice %xt into %z[0, 0, 2] [2, 4, 9] [1, 1, 1] : tensor<2x4x9xf32> into tensor<2x4x11xf32>
  %start = linalg.fill ins(%zero : f32) outs(%e : tensor<2x4x9xf32>) -> tensor<2x4x9xf32>
  // expected-remark @+1 {{raised to lnn.causal_conv of 3 taps along dimension 1}}
  %r = linalg.generic {indexing_maps = [#in, #w, #y], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%padded, %w : tensor<2x4x11xf32>, tensor<4x3xf32>) outs(%start : tensor<2x4x9xf32>) {
  ^bb0(%xi: f32, %wi: f32, %o: f32):
    %m = arith.mulf %xi, %wi : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<2x4x9xf32>
  return %r : tensor<2x4x9xf32>
}

// -----

// One step, in no loop, of a value in the middle; what the field reads stays.
// CHECK-LABEL: @one_step
// CHECK-DAG: %[[DT:.*]] = arith.constant 1.000000e-01 : f32
// CHECK-DAG: %[[H:.*]] = math.sqrt %arg0
// CHECK-DAG: %[[U:.*]] = math.tanh %arg1
// CHECK: %[[Y:.*]] = ode.solve %[[H]] for %[[DT]] method <heun, steps = 1>
// CHECK-NEXT: ^bb0(%{{.*}}: f32, %[[S:.*]]: tensor<3xf32>):
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[S]], %[[U]]
// CHECK-NEXT: %[[K:.*]] = math.sin %[[M]]
// CHECK-NEXT: ode.yield %[[K]]
// CHECK: %[[R:.*]] = math.log %[[Y]]
// CHECK-NEXT: return %[[R]]
func.func @one_step(%x: tensor<3xf32>, %v: tensor<3xf32>) -> tensor<3xf32> {
  %dt = arith.constant dense<0.1> : tensor<3xf32>
  %half = arith.constant dense<0.05> : tensor<3xf32>
  %h = math.sqrt %x : tensor<3xf32>
  %u = math.tanh %v : tensor<3xf32>
  %m1 = arith.mulf %h, %u : tensor<3xf32>
  %k1 = math.sin %m1 : tensor<3xf32>
  %d1 = arith.mulf %dt, %k1 : tensor<3xf32>
  %z = arith.addf %h, %d1 : tensor<3xf32>
  %m2 = arith.mulf %z, %u : tensor<3xf32>
  %k2 = math.sin %m2 : tensor<3xf32>
  %k = arith.addf %k1, %k2 : tensor<3xf32>
  %d = arith.mulf %half, %k : tensor<3xf32>
  // expected-remark @+1 {{raised to ode.solve by heun, steps = 1}}
  %next = arith.addf %h, %d : tensor<3xf32>
  %y = math.log %next : tensor<3xf32>
  return %y : tensor<3xf32>
}

// -----

// The second stage starts elsewhere; then a stage is read by something else,
// too; then x + c f(x) of each element.
// CHECK-LABEL: @no_step
// CHECK-NOT: ode.solve
func.func @no_step(%h: tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) {
  %dt = arith.constant dense<0.1> : tensor<3xf32>
  %half = arith.constant dense<0.05> : tensor<3xf32>
  %k1 = math.sin %h : tensor<3xf32>
  %d1 = arith.mulf %half, %k1 : tensor<3xf32>
  %z = arith.addf %h, %d1 : tensor<3xf32>
  %k2 = math.sin %z : tensor<3xf32>
  %k = arith.addf %k1, %k2 : tensor<3xf32>
  %d = arith.mulf %half, %k : tensor<3xf32>
  // expected-remark @+1 {{not raised to ode.solve: no tableau has the coefficients of 2 stages}}
  %a = arith.addf %h, %d : tensor<3xf32>
  %l1 = math.cos %h : tensor<3xf32>
  %e1 = arith.mulf %dt, %l1 : tensor<3xf32>
  %w = arith.addf %h, %e1 : tensor<3xf32>
  %l2 = math.cos %w : tensor<3xf32>
  %l = arith.addf %l1, %l2 : tensor<3xf32>
  %e = arith.mulf %half, %l : tensor<3xf32>
  %b = arith.addf %h, %e : tensor<3xf32>
  %n = math.sqrt %h : tensor<3xf32>
  %f = arith.mulf %dt, %n : tensor<3xf32>
  %c = arith.addf %h, %f : tensor<3xf32>
  return %a, %b, %l1, %c : tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
}

// -----

#row = affine_map<(c, k) -> (c, k)>
#sum = affine_map<(c, k) -> (c)>
// A window of the last three samples and the step's, which the sums before
// decide: channels go last.
// CHECK-LABEL: @window
// CHECK: %[[S:.*]] = linalg.generic {{.*}} ins(%arg0 : tensor<8x3xf32>) outs(%{{.*}} : tensor<3x8xf32>)
// CHECK: lnn.scan {{.*}} carrying (%[[H:.*]] = %[[S]], {{.*}} tensor<3x8xf32>
// CHECK-DAG: %[[E:.*]] = tensor.expand_shape %{{.*}} : tensor<8xf32> into tensor<1x8xf32>
// CHECK-DAG: %[[A:.*]] = tensor.insert_slice %[[H]] into %{{.*}}[0, 0] [3, 8] [1, 1]
// CHECK: %[[W:.*]] = tensor.insert_slice %[[E]] into %[[A]][3, 0] [1, 8] [1, 1]
// CHECK: %[[N:.*]] = tensor.extract_slice %[[W]][1, 0] [3, 8] [1, 1]
// CHECK: %[[Y:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%[[W]], %{{.*}} : tensor<4x8xf32>, tensor<4x8xf32>)
// CHECK: lnn.yield %[[Y]] : tensor<8xf32> carrying %[[N]], %[[Y]]
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<8x3xf32>)
func.func @window(%s0: tensor<8x3xf32>, %x: tensor<16x8xf32>, %w: tensor<8x4xf32>, %y0: tensor<8xf32>) -> (tensor<16x8xf32>, tensor<8x3xf32>) {
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x4xf32>
  %ev = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%ev : tensor<8xf32>) -> tensor<8xf32>
  // expected-remark @+1 {{raised to a window of 4 samples, 8 channels side by side}}
  %r:3 = lnn.scan %t of %c16 over (%xt = %x dim 0) carrying (%s = %s0, %before = %y0) stacking (dim 0)
      : (tensor<16x8xf32>, tensor<8x3xf32>, tensor<8xf32>) -> (tensor<16x8xf32>, tensor<8x3xf32>, tensor<8xf32>) {
    %fed = arith.mulf %xt, %before : tensor<8xf32>
    %x1 = tensor.expand_shape %fed [[0, 1]] output_shape [8, 1] : tensor<8xf32> into tensor<8x1xf32>
    %a = tensor.insert_slice %s into %e[0, 0] [8, 3] [1, 1] : tensor<8x3xf32> into tensor<8x4xf32>
    %b = tensor.insert_slice %x1 into %a[0, 3] [8, 1] [1, 1] : tensor<8x1xf32> into tensor<8x4xf32>
    %y = linalg.generic {indexing_maps = [#row, #row, #sum], iterator_types = ["parallel", "reduction"]}
        ins(%b, %w : tensor<8x4xf32>, tensor<8x4xf32>) outs(%z : tensor<8xf32>) {
    ^bb0(%i: f32, %j: f32, %out: f32):
      %p = arith.mulf %i, %j : f32
      %q = arith.addf %out, %p : f32
      linalg.yield %q : f32
    } -> tensor<8xf32>
    %n = tensor.extract_slice %b[0, 1] [8, 3] [1, 1] : tensor<8x4xf32> to tensor<8x3xf32>
    lnn.yield %y : tensor<8xf32> carrying %n, %y : tensor<8x3xf32>, tensor<8xf32>
  }
  return %r#0, %r#1 : tensor<16x8xf32>, tensor<8x3xf32>
}

// -----

#row = affine_map<(c, k) -> (c, k)>
#sum = affine_map<(c, k) -> (c)>
#all = affine_map<(c) -> (c)>
// The state before the step is read with one query, that behind it with
// another; what they are used for is computed behind the loop.
// CHECK-LABEL: @two_reads
// CHECK: %[[R:.*]]:3 = lnn.linear_recurrence decay %{{.*}} drive %{{.*}} read %{{.*}}, %{{.*}} before [true, false] from %{{.*}} dim 0
// CHECK: %[[Y:.*]] = linalg.generic {{.*}} ins(%[[R]]#1, %[[R]]#0
// CHECK: math.tanh
// CHECK: return %[[Y]]
func.func @two_reads(%s0: tensor<8x3xf32>, %a: tensor<16x8x3xf32>, %b: tensor<16x8x3xf32>, %w: tensor<8x3xf32>, %v: tensor<8x3xf32>) -> tensor<16x8xf32> {
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x3xf32>
  %ev = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%ev : tensor<8xf32>) -> tensor<8xf32>
  // expected-remark @+1 {{raised to lnn.linear_recurrence of a 3 x 8 state along dimension 0}}
  %r:2 = lnn.scan %t of %c16 over (%at = %a dim 0, %bt = %b dim 0) carrying (%s = %s0) stacking (dim 0)
      : (tensor<16x8x3xf32>, tensor<16x8x3xf32>, tensor<8x3xf32>) -> (tensor<16x8xf32>, tensor<8x3xf32>) {
    %m = arith.mulf %at, %s : tensor<8x3xf32>
    %n = arith.addf %m, %bt : tensor<8x3xf32>
    %y0 = linalg.generic {indexing_maps = [#row, #row, #sum], iterator_types = ["parallel", "reduction"]}
        ins(%s, %w : tensor<8x3xf32>, tensor<8x3xf32>) outs(%z : tensor<8xf32>) {
    ^bb0(%i: f32, %j: f32, %out: f32):
      %p = arith.mulf %i, %j : f32
      %q = arith.addf %out, %p : f32
      linalg.yield %q : f32
    } -> tensor<8xf32>
    %y1 = linalg.generic {indexing_maps = [#row, #row, #sum], iterator_types = ["parallel", "reduction"]}
        ins(%n, %v : tensor<8x3xf32>, tensor<8x3xf32>) outs(%z : tensor<8xf32>) {
    ^bb0(%i: f32, %j: f32, %out: f32):
      %p = arith.mulf %i, %j : f32
      %q = arith.addf %out, %p : f32
      linalg.yield %q : f32
    } -> tensor<8xf32>
    %th = math.tanh %y1 : tensor<8xf32>
    %y = arith.mulf %y0, %th : tensor<8xf32>
    lnn.yield %y : tensor<8xf32> carrying %n : tensor<8x3xf32>
  }
  return %r#0 : tensor<16x8xf32>
}
