// Attributes of the ode dialect: methods.
#ifndef ODE_ATTRS
#define ODE_ATTRS

include "ode/OdeDialect.td"
include "mlir/IR/AttrTypeBase.td"

def Ode_MethodAttr : AttrDef<Ode_Dialect, "Method"> {
  let mnemonic = "method";
  let summary = "a solver: its scheme and its control of the step";
  let description = [{
    A scheme with either a fixed number of equal steps or adaptive control.

    ```mlir
    #ode.method<rk4, steps = 4>
    #ode.method<semi_implicit, steps = 6>
    #ode.method<dopri5, rtol = 1.0e-6, atol = 1.0e-8, max_steps = 10000>
    ```

    Schemes are

    - explicit Runge-Kutta: `euler`, `midpoint`, `heun`, `rk4`, `rk4_38`, `bosh3`, `dopri5`, `tsit5`, `dopri8`;
    - implicit Runge-Kutta: `implicit_euler`, `implicit_midpoint`, `trapezoid`, `radau_iia3`;
    - for semilinear fields `c dh/dt = -a h + b` alone: `semi_implicit`, `h' = (c h + dt b) / (c + dt a)`, and
      `exponential_euler`, `h' = e^(-x) h + (1 - e^(-x)) / x * dt b / c` with `x = dt a / c`.

    The Runge-Kutta schemes are tables (`lib/Dialect/Ode/Tableaux.cpp`): a new one needs no code.
    In adaptive control a step is accepted where its estimated error is at most `atol + rtol * |h|`; `max_steps`
    (10000 where it is not said) bounds the steps of one trajectory.

    - (M1) The scheme is one of those above.
    - (M2) `steps` and `max_steps` are at least 1.
    - (M3) `rtol` and `atol` are finite and greater than 0.
    - (M4) Adaptive control needs a scheme with an embedded error estimate: `bosh3`, `dopri5`, `tsit5`, `dopri8`.
  }];
  let parameters = (ins StringRefParameter<"the scheme's name">:$scheme,
      "int64_t":$steps, // 0 where adaptive
      OptionalParameter<"::mlir::FloatAttr">:$rtol, OptionalParameter<"::mlir::FloatAttr">:$atol,
      "int64_t":$maxSteps); // 0 where fixed
  let builders = [
    // A fixed number of equal steps.
    AttrBuilder<(ins "llvm::StringRef":$scheme, "int64_t":$steps), [{
      return $_get($_ctxt, scheme, steps, ::mlir::FloatAttr(), ::mlir::FloatAttr(), int64_t(0));
    }]>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    bool isAdaptive() const { return bool(getRtol()); }
    /// The table of a Runge-Kutta scheme; null for the semilinear ones.
    const Tableau *getTableau() const { return lookupTableau(getScheme()); }
    bool isSemilinear() const { return isSemilinearScheme(getScheme()); }
  }];
}
#endif
