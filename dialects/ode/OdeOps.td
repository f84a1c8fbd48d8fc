// The dialect of dynamics: how a state changes between two instants.
#ifndef ODE_OPS
#define ODE_OPS

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Ode_Dialect : Dialect {
  let name = "ode";
  let cppNamespace = "::lnn::ode";
  let summary = "Dynamics: how a state changes between two instants";
}

class Ode_Op<string mnemonic, list<Trait> traits = []> : Op<Ode_Dialect, mnemonic, traits>;
#endif
