// RUN: lnn-opt %s --canonicalize | FileCheck %s
// RUN: lnn-opt %s --loop-invariant-code-motion | FileCheck %s --check-prefix=LICM
// RUN: lnn-opt %s --resolve-ranked-shaped-type-result-dims | FileCheck %s --check-prefix=SIZES

// CHECK-LABEL: func.func @zero_length
// CHECK-SAME: (%[[H:.*]]: tensor<?xf32>)
func.func @zero_length(%h: tensor<?xf32>) -> tensor<?xf32> {
  %dt = arith.constant 0.0 : f32
  %y = ode.solve %h for %dt method #ode.method<rk4, steps = 4> : tensor<?xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<?xf32>):
    ode.yield %s : tensor<?xf32>
  }
  // CHECK-NEXT: return %[[H]]
  return %y : tensor<?xf32>
}

// CHECK-LABEL: func.func @zero_length_per_sample
// CHECK-SAME: (%[[H:.*]]: tensor<4x2xf32>)
func.func @zero_length_per_sample(%h: tensor<4x2xf32>) -> tensor<4x2xf32> {
  %dt = arith.constant dense<0.0> : tensor<4x1xf32>
  %y = ode.solve %h for %dt method #ode.method<dopri5, rtol = 1.0e-3, atol = 1.0e-3> : tensor<4x2xf32>, tensor<4x1xf32> {
  ^bb0(%t: tensor<4x1xf32>, %s: tensor<4x2xf32>):
    ode.yield %s : tensor<4x2xf32>
  }
  // CHECK-NEXT: return %[[H]]
  return %y : tensor<4x2xf32>
}

// What is reported is not known before the run.
// CHECK-LABEL: func.func @zero_length_reporting
func.func @zero_length_reporting(%h: tensor<?xf32>) -> (tensor<?xf32>, i32) {
  %dt = arith.constant 0.0 : f32
  // CHECK: ode.solve
  %y, %status, %reached = ode.solve %h for %dt method #ode.method<rk4, steps = 4> reporting : tensor<?xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<?xf32>):
    ode.yield %s : tensor<?xf32>
  }
  return %y, %status : tensor<?xf32>, i32
}

// CHECK-LABEL: func.func @splat_constant
func.func @splat_constant(%h: tensor<4x2xf32>) -> tensor<4x2xf32> {
  // CHECK: %[[DT:.*]] = arith.constant 5.000000e-01 : f32
  %dt = arith.constant dense<0.5> : tensor<4x1xf32>
  // CHECK: ode.solve %{{.*}} for %[[DT]] method {{.*}} : tensor<4x2xf32>, f32 {
  %y = ode.solve %h for %dt method #ode.method<rk4, steps = 4> : tensor<4x2xf32>, tensor<4x1xf32> {
  // CHECK-NEXT: ^bb0(%{{.*}}: f32,
  ^bb0(%t: tensor<4x1xf32>, %s: tensor<4x2xf32>):
    ode.yield %s : tensor<4x2xf32>
  }
  return %y : tensor<4x2xf32>
}

// The field still sees a time for each trajectory.
// CHECK-LABEL: func.func @splat_time_is_used
// CHECK-SAME: (%{{.*}}: tensor<4xf32>, %[[DT:.*]]: f32, %[[T0:.*]]: f32)
func.func @splat_time_is_used(%h: tensor<4xf32>, %dt: f32, %t0: f32) -> tensor<4xf32> {
  %splat = tensor.splat %dt : tensor<4xf32>
  %start = tensor.splat %t0 : tensor<4xf32>
  // CHECK: ode.solve %{{.*}} for %[[DT]] from %[[T0]] method {{.*}} : tensor<4xf32>, f32 {
  %y = ode.solve %h for %splat from %start method #ode.method<rk4, steps = 4> : tensor<4xf32>, tensor<4xf32> {
  // CHECK-NEXT: ^bb0(%[[T:.*]]: f32,
  ^bb0(%t: tensor<4xf32>, %s: tensor<4xf32>):
    // CHECK: %[[ALL:.*]] = tensor.splat %[[T]] : tensor<4xf32>
    // CHECK: ode.yield %[[ALL]]
    ode.yield %t : tensor<4xf32>
  }
  return %y : tensor<4xf32>
}

// Adaptive control chooses steps for each trajectory: the clocks stay apart.
// CHECK-LABEL: func.func @splat_adaptive
func.func @splat_adaptive(%h: tensor<4xf32>, %dt: f32) -> tensor<4xf32> {
  %splat = tensor.splat %dt : tensor<4xf32>
  // CHECK: ode.solve {{.*}} : tensor<4xf32>, tensor<4xf32> {
  %y = ode.solve %h for %splat method #ode.method<dopri5, rtol = 1.0e-3, atol = 1.0e-3> : tensor<4xf32>, tensor<4xf32> {
  ^bb0(%t: tensor<4xf32>, %s: tensor<4xf32>):
    ode.yield %s : tensor<4xf32>
  }
  return %y : tensor<4xf32>
}

// CHECK-LABEL: func.func @constant_state
// CHECK-SAME: (%[[H:.*]]: tensor<3xf32>, %[[K:.*]]: tensor<3xf32>, %{{.*}}: f32)
func.func @constant_state(%h: tensor<3xf32>, %k: tensor<3xf32>, %dt: f32) -> (tensor<3xf32>, tensor<3xf32>) {
  %zero = arith.constant dense<0.0> : tensor<3xf32>
  // CHECK: %[[Y:.*]] = ode.solve %[[H]] for
  %y:2 = ode.solve %h, %k for %dt method #ode.method<rk4, steps = 4> : tensor<3xf32>, tensor<3xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3xf32>, %r: tensor<3xf32>):
    // CHECK: %[[DH:.*]] = arith.mulf %{{.*}}, %[[K]]
    %dh = arith.mulf %s, %r : tensor<3xf32>
    // CHECK: ode.yield %[[DH]] : tensor<3xf32>
    ode.yield %dh, %zero : tensor<3xf32>, tensor<3xf32>
  }
  // CHECK: return %[[Y]], %[[K]]
  return %y#0, %y#1 : tensor<3xf32>, tensor<3xf32>
}

// CHECK-LABEL: func.func @all_states_constant
// CHECK-SAME: (%[[H:.*]]: tensor<3xf32>,
func.func @all_states_constant(%h: tensor<3xf32>, %dt: f32, %c: f32) -> tensor<3xf32> {
  %zero = arith.constant 0.0 : f32
  %y = ode.solve %h for %dt method #ode.method<semi_implicit, steps = 4> : tensor<3xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3xf32>):
    ode.yield_semilinear decay %zero : f32 drive %zero : f32 mass %c : f32
  }
  // CHECK-NEXT: return %[[H]]
  return %y : tensor<3xf32>
}

// The middle one of three states is read by nobody; the last only by the first.
// CHECK-LABEL: func.func @unused_state
// CHECK-SAME: (%[[H:.*]]: tensor<3xf32>, %[[K:.*]]: tensor<3xf32>, %[[L:.*]]: tensor<3xf32>,
func.func @unused_state(%h: tensor<3xf32>, %k: tensor<3xf32>, %l: tensor<3xf32>, %dt: f32, %c: f32) -> tensor<3xf32> {
  // CHECK: ode.solve %[[H]], %[[L]] for
  %y:3 = ode.solve %h, %k, %l for %dt method #ode.method<semi_implicit, steps = 4> : tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, f32 {
  // CHECK-NEXT: ^bb0(%{{.*}}: f32, %[[S:.*]]: tensor<3xf32>, %[[Q:.*]]: tensor<3xf32>):
  ^bb0(%t: f32, %s: tensor<3xf32>, %r: tensor<3xf32>, %q: tensor<3xf32>):
    // CHECK-NEXT: ode.yield_semilinear decay %[[Q]], %[[Q]] : tensor<3xf32>, tensor<3xf32> drive %[[S]], %[[Q]] : tensor<3xf32>, tensor<3xf32> mass %{{.*}}, %{{.*}} : f32, f32
    ode.yield_semilinear decay %q, %r, %q : tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
      drive %s, %s, %q : tensor<3xf32>, tensor<3xf32>, tensor<3xf32> mass %c, %c, %c : f32, f32, f32
  }
  return %y#0 : tensor<3xf32>
}

// CHECK-LABEL: func.func @unused_state_at_times
// CHECK-SAME: (%[[H:.*]]: tensor<3xf32>,
func.func @unused_state_at_times(%h: tensor<3xf32>, %k: tensor<2xf32>, %times: tensor<?xf32>) -> tensor<?x3xf32> {
  // CHECK: ode.solve %[[H]] at
  %y:2 = ode.solve %h, %k at %times method #ode.method<rk4, steps = 4> : tensor<3xf32>, tensor<2xf32>, tensor<?xf32> {
  ^bb0(%t: f32, %s: tensor<3xf32>, %r: tensor<2xf32>):
    ode.yield %s, %r : tensor<3xf32>, tensor<2xf32>
  }
  return %y#0 : tensor<?x3xf32>
}

// Its error counts in the choice of the step.
// CHECK-LABEL: func.func @unused_state_adaptive
func.func @unused_state_adaptive(%h: tensor<3xf32>, %k: tensor<3xf32>, %dt: f32) -> tensor<3xf32> {
  // CHECK: ode.solve %{{.*}}, %{{.*}} for
  %y:2 = ode.solve %h, %k for %dt method #ode.method<dopri5, rtol = 1.0e-3, atol = 1.0e-3> : tensor<3xf32>, tensor<3xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3xf32>, %r: tensor<3xf32>):
    ode.yield %s, %r : tensor<3xf32>, tensor<3xf32>
  }
  return %y#0 : tensor<3xf32>
}

// CHECK-LABEL: func.func @unused_solve
func.func @unused_solve(%h: tensor<3xf32>, %dt: f32) {
  // CHECK-NEXT: return
  %y = ode.solve %h for %dt method #ode.method<rk4, steps = 4> : tensor<3xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3xf32>):
    ode.yield %s : tensor<3xf32>
  }
  return
}

// Sizes of results are those of the states and of the grid.
// SIZES-LABEL: func.func @sizes
// SIZES-SAME: (%[[H:.*]]: tensor<?x3xf32>, %[[TIMES:.*]]: tensor<?xf32>)
func.func @sizes(%h: tensor<?x3xf32>, %times: tensor<?xf32>) -> (index, index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = ode.solve %h at %times method #ode.method<rk4, steps = 4> : tensor<?x3xf32>, tensor<?xf32> {
  ^bb0(%t: f32, %s: tensor<?x3xf32>):
    ode.yield %s : tensor<?x3xf32>
  }
  // SIZES-DAG: %[[N:.*]] = tensor.dim %[[TIMES]], %{{.*}}
  // SIZES-DAG: %[[B:.*]] = tensor.dim %[[H]], %{{.*}}
  // SIZES: return %[[N]], %[[B]]
  %n = tensor.dim %y, %c0 : tensor<?x?x3xf32>
  %b = tensor.dim %y, %c1 : tensor<?x?x3xf32>
  return %n, %b : index, index
}

// What does not depend on the state leaves the field.
// LICM-LABEL: func.func @invariant
func.func @invariant(%h: tensor<3xf32>, %x: tensor<3xf32>, %dt: f32) -> tensor<3xf32> {
  // LICM: math.exp
  // LICM: ode.solve
  %y = ode.solve %h for %dt method #ode.method<rk4, steps = 4> : tensor<3xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3xf32>):
    %e = math.exp %x : tensor<3xf32>
    %dh = arith.mulf %e, %s : tensor<3xf32>
    ode.yield %dh : tensor<3xf32>
  }
  return %y : tensor<3xf32>
}
