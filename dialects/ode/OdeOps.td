// Operations of the ode dialect.
#ifndef ODE_OPS
#define ODE_OPS

include "ode/OdeAttrs.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/LoopLikeInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Ode_Float : AnyTypeOf<[F16, BF16, F32, F64], "f16, bf16, f32 or f64">;
def Ode_Tensor : RankedTensorOf<[F16, BF16, F32, F64]>;
def Ode_FloatOrTensor : AnyTypeOf<[Ode_Float, Ode_Tensor], "a float or a ranked tensor of floats">;

def Ode_SolveOp : Ode_Op<"solve", [AttrSizedOperandSegments, RecursiveMemoryEffects,
    DeclareOpInterfaceMethods<InferTypeOpInterface>,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>,
    DeclareOpInterfaceMethods<RegionBranchOpInterface>,
    DeclareOpInterfaceMethods<LoopLikeOpInterface>,
    DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmBlockArgumentNames"]>]> {
  let summary = "integrate a vector field";
  let description = [{
    The states at the end of an interval, given those at its beginning: the solution of `dh/dt = f(t, h)` by `method`.
    The region is `f`; its arguments are the time and the states. It ends in `ode.yield` or in
    `ode.yield_semilinear`, and may use values from outside.

    ```mlir
    // A pendulum over a time of %dt, four Runge-Kutta steps.
    func.func @pendulum(%angle: tensor<?xf32>, %speed: tensor<?xf32>, %dt: f32) -> (tensor<?xf32>, tensor<?xf32>) {
      %a, %s = ode.solve %angle, %speed for %dt method #ode.method<rk4, steps = 4> : tensor<?xf32>, tensor<?xf32>, f32 {
      ^bb0(%t: f32, %q: tensor<?xf32>, %v: tensor<?xf32>):
        %sin = math.sin %q : tensor<?xf32>
        %force = arith.negf %sin : tensor<?xf32>
        ode.yield %v, %force : tensor<?xf32>, tensor<?xf32>
      }
      return %a, %s : tensor<?xf32>, tensor<?xf32>
    }
    ```

    **Time** is either one float, common to all, or a tensor, one clock per trajectory: its dimensions are aligned with
    the *leading* dimensions of each state, and broadcast where they are 1 (`tensor<?x1xf32>` is one time for each row of a
    `tensor<?x19xf32>`). Trajectories are what has a clock of its own: with one float there is one, and adaptive
    control, events and status are per trajectory.

    **The interval** is either `for %dt`, from `start` (0 where it is not given) to `start + dt`, negative lengths included, or
    `at %times`: output times along a leading dimension, in any order. Each state's result then has that leading dimension: the state
    at each time, integrated from `start` to the first, from the first to the second, and so on. The method's `steps` are
    those of one such interval.

    ```mlir
    // The same decay observed at given times, from time 0.
    func.func @observed(%h: tensor<3xf64>, %times: tensor<?xf64>) -> tensor<?x3xf64> {
      %y = ode.solve %h at %times method #ode.method<dopri5, steps = 2> : tensor<3xf64>, tensor<?xf64> {
      ^bb0(%t: f64, %s: tensor<3xf64>):
        %dh = arith.negf %s : tensor<3xf64>
        ode.yield %dh : tensor<3xf64>
      }
      return %y : tensor<?x3xf64>
    }
    ```

    **Events** are further regions with the field's arguments, each ending in `ode.event`.

    **Status**: with `reporting`, two more results of the time's shape follow the states: a code (`i32`: 0 reached the
    end, 1 stopped by a terminal event, 2 `max_steps` reached, 3 the step underflowed, 4 a state is not finite), and
    the time that was reached.

    Runge-Kutta schemes apply to a semilinear field as `dh/dt = (-a h + b) / c`. A state's arithmetic is in its element type
    (f32 for f16 and bf16), time's in time's.

    - (C1) There is at least one state.
    - (C2) Exactly one of `dt` and `times` is given.
    - (C3) `times` has a leading dimension.
    - (C4) `start` has the type of time: that of `dt`, or of one element of `times` along its leading dimension.
    - (C5) A tensor of time has at most the rank of each state; each of its dimensions is 1 or equals the state's.
    - (C6) Each region's arguments are the time and the states, with their types.
    - (C7) The field ends in `ode.yield` with one derivative per state, of its type, or in `ode.yield_semilinear` with one
      decay and one drive per state, and either no mass or one per state, each of the state's element type and of a shape
      that broadcasts to the state's.
    - (C8) A semilinear scheme has a semilinear field.
    - (C9) An event's guard has the type of time; a jump has one new value per state, of its type.
  }];
  let arguments = (ins Variadic<Ode_Tensor>:$states, Optional<Ode_FloatOrTensor>:$dt,
      Optional<Ode_FloatOrTensor>:$start, Optional<Ode_Tensor>:$times,
      Ode_MethodAttr:$method, UnitAttr:$reporting);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$field, VariadicRegion<SizedRegion<1>>:$events);
  let builders = [
    // Over `dt` from time 0: the body gets the time and the states and creates the terminator.
    OpBuilder<(ins "mlir::ValueRange":$states, "mlir::Value":$dt, "MethodAttr":$method,
      "llvm::function_ref<void(mlir::OpBuilder &, mlir::Location, mlir::Value, mlir::ValueRange)>":$body)>
  ];
  let extraClassDeclaration = [{
    /// The type of time: that of the field's first argument.
    mlir::Type getTimeType();
    /// Does the field have the form c dh/dt = -a h + b?
    bool isSemilinear();
    unsigned getNumStates() { return getStates().size(); }
  }];
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

class Ode_TerminatorOp<string mnemonic, list<Trait> traits = []> : Ode_Op<mnemonic, [Pure, Terminator,
    HasParent<"SolveOp">, DeclareOpInterfaceMethods<RegionBranchTerminatorOpInterface>] # traits>;

def Ode_YieldOp : Ode_TerminatorOp<"yield"> {
  let summary = "the derivatives of the states";
  let description = [{
    Ends a general field, `dh/dt = f(t, h)`: one derivative for each state.

    ```mlir
    ode.yield %dh : tensor<?x19xf32>
    ```
  }];
  let arguments = (ins Variadic<Ode_Tensor>:$derivatives);
  let assemblyFormat = "$derivatives attr-dict `:` type($derivatives)";
}

def Ode_YieldSemilinearOp : Ode_TerminatorOp<"yield_semilinear", [AttrSizedOperandSegments]> {
  let summary = "a semilinear field's decays, drives and masses";
  let description = [{
    Ends a semilinear field, `c dh/dt = -a h + b` elementwise: a decay `a`, a drive `b` and, where it is not 1, a mass `c` for
    each state. Each is a float or a tensor that broadcasts to the state as in NumPy (*trailing* dimensions aligned).

    ```mlir
    ode.yield_semilinear decay %a : tensor<?x19xf32> drive %b : tensor<?x19xf32> mass %c : tensor<19xf32>
    ```
  }];
  let arguments = (ins Variadic<Ode_FloatOrTensor>:$decays, Variadic<Ode_FloatOrTensor>:$drives,
      Variadic<Ode_FloatOrTensor>:$masses);
  let builders = [OpBuilder<(ins "mlir::ValueRange":$decays, "mlir::ValueRange":$drives), [{
    build($_builder, $_state, decays, drives, mlir::ValueRange());
  }]>];
  let assemblyFormat = [{
    `decay` $decays `:` type($decays) `drive` $drives `:` type($drives) (`mass` $masses^ `:` type($masses))? attr-dict
  }];
}

def Ode_EventOp : Ode_TerminatorOp<"event"> {
  let summary = "a guard whose sign change is an event, and what happens then";
  let description = [{
    Ends an event's region. The event happens at the time at which the guard passes zero in the direction that is named:
    `rising`, `falling` or `any`. Without a jump it is terminal: the trajectory ends there, at the event's state. With
    one, the states are replaced and the trajectory goes on.

    ```mlir
    ode.event falling %height : f32                                     // stop when the height passes zero downwards
    ode.event falling %height jump %h, %v : f32, tensor<1xf32>, tensor<1xf32>      // bounce instead
    ```

    - (E1) The direction is `rising`, `falling` or `any`.
  }];
  let arguments = (ins StrAttr:$direction, Ode_FloatOrTensor:$guard, Variadic<Ode_Tensor>:$jump);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{ bool isTerminal() { return getJump().empty(); } }];
}
#endif
