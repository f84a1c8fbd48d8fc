// RUN: lnn-opt %s --convert-ode-to-scf --split-input-file --verify-diagnostics | FileCheck %s

// Several steps are a loop that carries the state; the step's length is computed in front of it, once.
// CHECK-LABEL: func.func @steps(
// CHECK-SAME: %[[H:.*]]: tensor<?x4xf32>, %[[DT:.*]]: f32, %[[A:.*]]: f32, %[[B:.*]]: tensor<4xf32>, %[[C:.*]]: tensor<4xf32>
func.func @steps(%h: tensor<?x4xf32>, %dt: f32, %a: f32, %b: tensor<4xf32>, %c: tensor<4xf32>) -> tensor<?x4xf32> {
  // CHECK: %[[SIX:.*]] = arith.constant 6.000000e+00 : f32
  // CHECK: %[[STEP:.*]] = arith.divf %[[DT]], %[[SIX]] : f32
  // CHECK: %[[LOOP:.*]] = scf.for %{{.*}} = %{{.*}} to %{{.*}} step %{{.*}} iter_args(%[[S:.*]] = %[[H]]) -> (tensor<?x4xf32>) {
  // CHECK-NOT: arith.divf %[[DT]]
  // CHECK: linalg.generic {{.*}} ins(%[[S]], %[[B]], %[[C]] : tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>)
  // CHECK: math.fma
  // CHECK: math.fma
  // CHECK: arith.divf
  // CHECK: scf.yield
  // CHECK: return %[[LOOP]]
  %y = ode.solve %h for %dt method <semi_implicit, steps = 6> : tensor<?x4xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<?x4xf32>):
    ode.yield_semilinear decay %a : f32 drive %b : tensor<4xf32> mass %c : tensor<4xf32>
  }
  return %y : tensor<?x4xf32>
}

// -----

// One step needs no loop; the midpoint rule evaluates the field twice and weighs the second slope alone.
// CHECK-LABEL: func.func @one_step(
// CHECK-NOT: scf.for
// CHECK-COUNT-2: math.tanh
// CHECK-NOT: math.tanh
// CHECK: return
func.func @one_step(%h: tensor<4xf32>, %dt: f32) -> tensor<4xf32> {
  %y = ode.solve %h for %dt method <midpoint, steps = 1> : tensor<4xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<4xf32>):
    %d = math.tanh %s : tensor<4xf32>
    ode.yield %d : tensor<4xf32>
  }
  return %y : tensor<4xf32>
}

// -----

func.func @adaptive(%h: tensor<4xf32>, %dt: f32) -> tensor<4xf32> {
  // expected-error @+1 {{use a fixed number of steps, <dopri5, steps = N>}}
  %y = ode.solve %h for %dt method <dopri5, rtol = 1.0e-6, atol = 1.0e-8> : tensor<4xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<4xf32>):
    ode.yield %s : tensor<4xf32>
  }
  return %y : tensor<4xf32>
}
