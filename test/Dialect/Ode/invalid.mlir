// RUN: lnn-opt %s --split-input-file --verify-diagnostics

// The parser's own: lengths of lists of types, and what a method is made of.
func.func @types(%h: tensor<3xf32>, %dt: f32) {
  // expected-error @+1 {{expected 2 types, those of the states and that of the interval, not 1}}
  %y = ode.solve %h for %dt method <rk4, steps = 4> : tensor<3xf32> {
  }
}

// -----

// expected-error @+1 {{there is no scheme 'rk5'; there is: euler, midpoint, heun, rk4, rk4_38, bosh3, dopri5, tsit5, dopri8, implicit_euler, implicit_midpoint, trapezoid, radau_iia3, semi_implicit, exponential_euler}}
func.func private @method_m1() attributes {m = #ode.method<rk5, steps = 4>}

// -----

// expected-error @+1 {{steps must be at least 1, not 0}}
func.func private @method_m2() attributes {m = #ode.method<rk4, steps = 0>}

// -----

// expected-error @+1 {{max_steps must be at least 1, not -3}}
func.func private @method_m2_max_steps() attributes {m = #ode.method<dopri5, rtol = 1.0, atol = 1.0, max_steps = -3>}

// -----

// expected-error @+1 {{rtol must be finite and greater than 0, not 0.0e0}}
func.func private @method_m3() attributes {m = #ode.method<dopri5, rtol = 0.0, atol = 1.0e-8>}

// -----

// expected-error @+1 {{atol must be finite and greater than 0, not -1.0e-8}}
func.func private @method_m3_atol() attributes {m = #ode.method<dopri5, rtol = 1.0e-6, atol = -1.0e-8>}

// -----

// expected-error @+1 {{'rk4' has no embedded error estimate to control the step by; use steps = N, or one of bosh3, dopri5, tsit5, dopri8}}
func.func private @method_m4() attributes {m = #ode.method<rk4, rtol = 1.0e-6, atol = 1.0e-8>}

// -----

// expected-error @+1 {{'semi_implicit' has no embedded error estimate}}
func.func private @method_m4_semilinear() attributes {m = #ode.method<semi_implicit, rtol = 1.0e-6, atol = 1.0e-8>}

// -----

// expected-error @+1 {{expected steps = N, or rtol and atol}}
func.func private @method_nothing() attributes {m = #ode.method<rk4>}

// -----

// expected-error @+1 {{either steps or rtol and atol, not both}}
func.func private @method_both() attributes {m = #ode.method<dopri5, steps = 2, rtol = 1.0, atol = 1.0>}

// -----

// expected-error @+1 {{rtol and atol are given together or not at all}}
func.func private @method_half() attributes {m = #ode.method<dopri5, rtol = 1.0e-6>}

// -----

// expected-error @+1 {{steps is given twice}}
func.func private @method_twice() attributes {m = #ode.method<rk4, steps = 1, steps = 2>}

// -----

// expected-error @+1 {{expected steps, rtol, atol or max_steps, not 'tolerance'}}
func.func private @method_key() attributes {m = #ode.method<rk4, tolerance = 1>}

// -----

// expected-error @+1 {{max_steps belongs to adaptive control}}
func.func private @method_fixed_max_steps() attributes {m = #ode.method<rk4, steps = 4, max_steps = 1>}

// -----

func.func @solve_c1(%dt: f32) {
  // expected-error @+1 {{needs at least one state}}
  "ode.solve"(%dt) <{method = #ode.method<rk4, steps = 4>, operandSegmentSizes = array<i32: 0, 1, 0, 0>}> ({
  ^bb0(%t: f32):
    "ode.yield"() : () -> ()
  }) : (f32) -> ()
  return
}

// -----

func.func @solve_c2(%h: tensor<3xf32>) {
  // expected-error @+1 {{needs either an interval (for) or output times (at), and has neither}}
  %y = "ode.solve"(%h) <{method = #ode.method<rk4, steps = 4>, operandSegmentSizes = array<i32: 1, 0, 0, 0>}> ({
  ^bb0(%t: f32, %s: tensor<3xf32>):
    ode.yield %s : tensor<3xf32>
  }) : (tensor<3xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @solve_c3(%h: tensor<3xf32>, %times: tensor<f32>) {
  // expected-error @+1 {{the output times need a leading dimension, and are 'tensor<f32>'}}
  %y = ode.solve %h at %times method <rk4, steps = 4> : tensor<3xf32>, tensor<f32> {
  ^bb0(%t: f32, %s: tensor<3xf32>):
    ode.yield %s : tensor<3xf32>
  }
  return
}

// -----

func.func @solve_c4(%h: tensor<3xf32>, %dt: f32, %t0: f64) {
  // expected-error @+1 {{the start must be of the time's type 'f32', not 'f64'}}
  %y = "ode.solve"(%h, %dt, %t0) <{method = #ode.method<rk4, steps = 4>, operandSegmentSizes = array<i32: 1, 1, 1, 0>}> ({
  ^bb0(%t: f32, %s: tensor<3xf32>):
    ode.yield %s : tensor<3xf32>
  }) : (tensor<3xf32>, f32, f64) -> tensor<3xf32>
  return
}

// -----

func.func @solve_c5(%h: tensor<4x3xf32>, %dt: tensor<3xf32>) {
  // expected-error @+1 {{time of type 'tensor<3xf32>' does not broadcast to the leading dimensions of state 0, 'tensor<4x3xf32>'}}
  %y = ode.solve %h for %dt method <rk4, steps = 4> : tensor<4x3xf32>, tensor<3xf32> {
  ^bb0(%t: tensor<3xf32>, %s: tensor<4x3xf32>):
    ode.yield %s : tensor<4x3xf32>
  }
  return
}

// -----

func.func @solve_c5_rank(%h: tensor<4x1xf32>, %k: tensor<4xf32>, %dt: tensor<4x1xf32>) {
  // expected-error @+1 {{time of type 'tensor<4x1xf32>' does not broadcast to the leading dimensions of state 1, 'tensor<4xf32>'}}
  %y:2 = ode.solve %h, %k for %dt method <rk4, steps = 4> : tensor<4x1xf32>, tensor<4xf32>, tensor<4x1xf32> {
  ^bb0(%t: tensor<4x1xf32>, %s: tensor<4x1xf32>, %r: tensor<4xf32>):
    ode.yield %s, %r : tensor<4x1xf32>, tensor<4xf32>
  }
  return
}

// -----

func.func @solve_c6(%h: tensor<3xf32>, %dt: f32) {
  // expected-error @+1 {{the field must have 2 arguments, the time and the states, not 1}}
  %y = ode.solve %h for %dt method <rk4, steps = 4> : tensor<3xf32>, f32 {
  ^bb0(%s: tensor<3xf32>):
    ode.yield %s : tensor<3xf32>
  }
  return
}

// -----

func.func @solve_c6_type(%h: tensor<3xf32>, %dt: f32) {
  // expected-error @+1 {{the field's argument 0 must be 'f32', not 'f64'}}
  %y = ode.solve %h for %dt method <rk4, steps = 4> : tensor<3xf32>, f32 {
  ^bb0(%t: f64, %s: tensor<3xf32>):
    ode.yield %s : tensor<3xf32>
  }
  return
}

// -----

func.func @solve_c6_event(%h: tensor<3xf32>, %dt: f32) {
  // expected-error @+1 {{event 0's argument 1 must be 'tensor<3xf32>', not 'tensor<4xf32>'}}
  %y = ode.solve %h for %dt method <rk4, steps = 4> : tensor<3xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3xf32>):
    ode.yield %s : tensor<3xf32>
  } event {
  ^bb0(%t: f32, %s: tensor<4xf32>):
    ode.event any %t : f32
  }
  return
}

// -----

func.func @solve_c7(%h: tensor<3xf32>, %dt: f32) {
  %y = ode.solve %h for %dt method <rk4, steps = 4> : tensor<3xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3xf32>):
    // expected-error @+1 {{needs one derivative for each of the 1 states, not 2}}
    ode.yield %s, %s : tensor<3xf32>, tensor<3xf32>
  }
  return
}

// -----

func.func @solve_c7_type(%h: tensor<3xf32>, %dt: f32, %dh: tensor<4xf32>) {
  %y = ode.solve %h for %dt method <rk4, steps = 4> : tensor<3xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3xf32>):
    // expected-error @+1 {{derivative 0 must be of the state's type 'tensor<3xf32>', not 'tensor<4xf32>'}}
    ode.yield %dh : tensor<4xf32>
  }
  return
}

// -----

func.func @solve_c7_end(%h: tensor<3xf32>, %dt: f32) {
  // expected-error @+1 {{the field must end in ode.yield or ode.yield_semilinear, not ode.event}}
  %y = ode.solve %h for %dt method <rk4, steps = 4> : tensor<3xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3xf32>):
    ode.event any %t : f32
  }
  return
}

// -----

func.func @solve_c7_drive(%h: tensor<2x3xf32>, %dt: f32, %b: tensor<2xf32>) {
  %y = ode.solve %h for %dt method <semi_implicit, steps = 4> : tensor<2x3xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<2x3xf32>):
    // expected-error @+1 {{drive 0 of type 'tensor<2xf32>' does not broadcast to the state's 'tensor<2x3xf32>'}}
    ode.yield_semilinear decay %s : tensor<2x3xf32> drive %b : tensor<2xf32>
  }
  return
}

// -----

func.func @solve_c7_element(%h: tensor<3xf32>, %dt: f32, %a: f64) {
  %y = ode.solve %h for %dt method <semi_implicit, steps = 4> : tensor<3xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3xf32>):
    // expected-error @+1 {{decay 0 of type 'f64' does not broadcast to the state's 'tensor<3xf32>'}}
    ode.yield_semilinear decay %a : f64 drive %s : tensor<3xf32>
  }
  return
}

// -----

func.func @solve_c7_mass(%h: tensor<3xf32>, %dt: f32) {
  %y:2 = ode.solve %h, %h for %dt method <semi_implicit, steps = 4> : tensor<3xf32>, tensor<3xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3xf32>, %r: tensor<3xf32>):
    // expected-error @+1 {{needs one mass for each of the 2 states, not 1}}
    ode.yield_semilinear decay %t, %t : f32, f32 drive %t, %t : f32, f32 mass %t : f32
  }
  return
}

// -----

func.func @solve_c8(%h: tensor<3xf32>, %dt: f32) {
  // expected-error @+1 {{the scheme 'exponential_euler' needs a semilinear field: end it in ode.yield_semilinear, or use a Runge-Kutta scheme}}
  %y = ode.solve %h for %dt method <exponential_euler, steps = 4> : tensor<3xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<3xf32>):
    ode.yield %s : tensor<3xf32>
  }
  return
}

// -----

func.func @solve_c9(%h: tensor<4xf32>, %dt: tensor<4xf32>, %g: f32) {
  %y = ode.solve %h for %dt method <rk4, steps = 4> : tensor<4xf32>, tensor<4xf32> {
  ^bb0(%t: tensor<4xf32>, %s: tensor<4xf32>):
    ode.yield %s : tensor<4xf32>
  } event {
  ^bb0(%t: tensor<4xf32>, %s: tensor<4xf32>):
    // expected-error @+1 {{the guard must be of the time's type 'tensor<4xf32>', not 'f32'}}
    ode.event any %g : f32
  }
  return
}

// -----

func.func @solve_c9_jump(%h: tensor<4xf32>, %dt: f32) {
  %y = ode.solve %h for %dt method <rk4, steps = 4> : tensor<4xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<4xf32>):
    ode.yield %s : tensor<4xf32>
  } event {
  ^bb0(%t: f32, %s: tensor<4xf32>):
    // expected-error @+1 {{needs a new value for each of the 1 states, not 2}}
    ode.event any %t jump %s, %s : f32, tensor<4xf32>, tensor<4xf32>
  }
  return
}

// -----

func.func @solve_c9_end(%h: tensor<4xf32>, %dt: f32) {
  // expected-error @+1 {{an event's region must end in ode.event, not ode.yield}}
  %y = ode.solve %h for %dt method <rk4, steps = 4> : tensor<4xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<4xf32>):
    ode.yield %s : tensor<4xf32>
  } event {
  ^bb0(%t: f32, %s: tensor<4xf32>):
    ode.yield %s : tensor<4xf32>
  }
  return
}

// -----

func.func @event_e1(%h: tensor<4xf32>, %dt: f32) {
  %y = ode.solve %h for %dt method <rk4, steps = 4> : tensor<4xf32>, f32 {
  ^bb0(%t: f32, %s: tensor<4xf32>):
    ode.yield %s : tensor<4xf32>
  } event {
  ^bb0(%t: f32, %s: tensor<4xf32>):
    // expected-error @+1 {{the direction must be rising, falling or any, not up}}
    ode.event up %t : f32
  }
  return
}

// -----

// The type of the result follows from the operands.
func.func @inferred(%h: tensor<3xf32>, %dt: f32) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{are incompatible with return type(s) of operation}}
  %y = "ode.solve"(%h, %dt) <{method = #ode.method<rk4, steps = 4>, operandSegmentSizes = array<i32: 1, 1, 0, 0>}> ({
  ^bb0(%t: f32, %s: tensor<3xf32>):
    ode.yield %s : tensor<3xf32>
  }) : (tensor<3xf32>, f32) -> tensor<4xf32>
  return
}
