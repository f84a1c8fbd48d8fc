// RUN: lnn-opt %s | lnn-opt | FileCheck %s
// RUN: lnn-opt %s --mlir-print-op-generic | lnn-opt | FileCheck %s

// CHECK-LABEL: func.func @two_states
func.func @two_states(%angle: tensor<?xf32>, %speed: tensor<?xf32>, %dt: f32) -> (tensor<?xf32>, tensor<?xf32>) {
  // CHECK: %{{.*}}:2 = ode.solve %{{.*}}, %{{.*}} for %{{.*}} method <rk4, steps = 4> : tensor<?xf32>, tensor<?xf32>, f32 {
  // CHECK-NEXT: ^bb0(%[[T:.*]]: f32, %[[Q:.*]]: tensor<?xf32>, %[[V:.*]]: tensor<?xf32>):
  %a, %s = ode.solve %angle, %speed for %dt method <rk4, steps = 4> : tensor<?xf32>, tensor<?xf32>, f32 {
  ^bb0(%t: f32, %q: tensor<?xf32>, %v: tensor<?xf32>):
    %sin = math.sin %q : tensor<?xf32>
    %force = arith.negf %sin : tensor<?xf32>
    // CHECK: ode.yield %[[V]], %{{.*}} : tensor<?xf32>, tensor<?xf32>
    ode.yield %v, %force : tensor<?xf32>, tensor<?xf32>
  }
  return %a, %s : tensor<?xf32>, tensor<?xf32>
}

// CHECK-LABEL: func.func @per_sample
func.func @per_sample(%h: tensor<?x19xf32>, %dt: tensor<?x1xf32>, %t0: tensor<?x1xf32>, %a: tensor<?x19xf32>, %b: tensor<19xf32>,
                      %c: f32) -> tensor<?x19xf32> {
  // CHECK: ode.solve %{{.*}} for %{{.*}} from %{{.*}} method <semi_implicit, steps = 6> : tensor<?x19xf32>, tensor<?x1xf32> {
  %next = ode.solve %h for %dt from %t0 method <semi_implicit, steps = 6> : tensor<?x19xf32>, tensor<?x1xf32> {
  ^bb0(%t: tensor<?x1xf32>, %s: tensor<?x19xf32>):
    // CHECK: ode.yield_semilinear decay %{{.*}} : tensor<?x19xf32> drive %{{.*}} : tensor<19xf32> mass %{{.*}} : f32
    ode.yield_semilinear decay %a : tensor<?x19xf32> drive %b : tensor<19xf32> mass %c : f32
  }
  return %next : tensor<?x19xf32>
}

// CHECK-LABEL: func.func @without_mass
func.func @without_mass(%h: tensor<4xf64>, %k: tensor<2x4xf64>, %dt: f64, %a: f64) -> (tensor<4xf64>, tensor<2x4xf64>) {
  %next:2 = ode.solve %h, %k for %dt method <exponential_euler, steps = 1> : tensor<4xf64>, tensor<2x4xf64>, f64 {
  ^bb0(%t: f64, %s: tensor<4xf64>, %r: tensor<2x4xf64>):
    // CHECK: ode.yield_semilinear decay %{{.*}}, %{{.*}} : f64, tensor<4xf64> drive %{{.*}}, %{{.*}} : f64, tensor<2x4xf64>{{$}}
    ode.yield_semilinear decay %a, %s : f64, tensor<4xf64> drive %t, %r : f64, tensor<2x4xf64>
  }
  return %next#0, %next#1 : tensor<4xf64>, tensor<2x4xf64>
}

// CHECK-LABEL: func.func @events
func.func @events(%height: tensor<1xf64>, %speed: tensor<1xf64>, %times: tensor<10xf64>, %t0: f64) -> (tensor<10x1xf64>, i32, f64) {
  // CHECK: %{{.*}}:4 = ode.solve %{{.*}}, %{{.*}} at %{{.*}} from %{{.*}} method <dopri5, rtol = 1.0e-6, atol = 1.0e-8, max_steps = 500> reporting : tensor<1xf64>, tensor<1xf64>, tensor<10xf64> {
  %x, %v, %status, %reached = ode.solve %height, %speed at %times from %t0
      method <dopri5, rtol = 1.0e-6, atol = 1.0e-8, max_steps = 500> reporting : tensor<1xf64>, tensor<1xf64>, tensor<10xf64> {
  ^bb0(%t: f64, %h: tensor<1xf64>, %w: tensor<1xf64>):
    %g = arith.constant dense<-9.81> : tensor<1xf64>
    ode.yield %w, %g : tensor<1xf64>, tensor<1xf64>
  // CHECK: } event {
  } event {
  ^bb0(%t: f64, %h: tensor<1xf64>, %w: tensor<1xf64>):
    %c0 = arith.constant 0 : index
    %guard = tensor.extract %h[%c0] : tensor<1xf64>
    %up = arith.negf %w : tensor<1xf64>
    // CHECK: ode.event falling %{{.*}} jump %{{.*}}, %{{.*}} : f64, tensor<1xf64>, tensor<1xf64>
    ode.event falling %guard jump %h, %up : f64, tensor<1xf64>, tensor<1xf64>
  } event {
  ^bb0(%t: f64, %h: tensor<1xf64>, %w: tensor<1xf64>):
    // CHECK: ode.event any %{{.*}} : f64
    ode.event any %t : f64
  // CHECK: } attributes {note = "kept"}
  } attributes {note = "kept"}
  return %x, %status, %reached : tensor<10x1xf64>, i32, f64
}

// One grid of output times for each trajectory; status for each.
// CHECK-LABEL: func.func @grid_per_sample
func.func @grid_per_sample(%h: tensor<?x3xf32>, %times: tensor<5x?x1xf32>) -> (tensor<5x?x3xf32>, tensor<?x1xi32>, tensor<?x1xf32>) {
  %y, %status, %reached = ode.solve %h at %times method <euler, steps = 1> reporting : tensor<?x3xf32>, tensor<5x?x1xf32> {
  ^bb0(%t: tensor<?x1xf32>, %s: tensor<?x3xf32>):
    ode.yield %s : tensor<?x3xf32>
  }
  return %y, %status, %reached : tensor<5x?x3xf32>, tensor<?x1xi32>, tensor<?x1xf32>
}

// Every scheme, and how tolerances are written.
// CHECK-LABEL: func.func private @methods
func.func private @methods() attributes {
  // CHECK-SAME: #ode.method<euler, steps = 1>
  a = #ode.method<euler, steps = 1>, b = #ode.method<midpoint, steps = 2>, c = #ode.method<heun, steps = 3>,
  d = #ode.method<rk4_38, steps = 1>, e = #ode.method<bosh3, steps = 1>, f = #ode.method<tsit5, steps = 1>,
  g = #ode.method<dopri8, steps = 1>, h = #ode.method<implicit_euler, steps = 1>, i = #ode.method<implicit_midpoint, steps = 1>,
  // CHECK-SAME: #ode.method<trapezoid, steps = 1>
  // CHECK-SAME: #ode.method<radau_iia3, steps = 1>
  j = #ode.method<trapezoid, steps = 1>, k = #ode.method<radau_iia3, steps = 1>,
  // CHECK-SAME: #ode.method<bosh3, rtol = 1.0e-3, atol = 1.5e-10, max_steps = 10000>
  l = #ode.method<bosh3, atol = 1.5e-10, rtol = 0.001>,
  // CHECK-SAME: #ode.method<dopri8, rtol = 1.0e0, atol = 3.333333333333333e-1, max_steps = 1>
  m = #ode.method<dopri8, rtol = 1.0, atol = 0.33333333333333333, max_steps = 1>
}
