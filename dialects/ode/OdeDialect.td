// The dialect of dynamics: how a state changes between two instants.
#ifndef ODE_DIALECT
#define ODE_DIALECT

include "mlir/IR/OpBase.td"

def Ode_Dialect : Dialect {
  let name = "ode";
  let cppNamespace = "::lnn::ode";
  let summary = "Dynamics: how a state changes between two instants";
  let description = [{
    A solve integrates a vector field from one instant to another. The field is a region, the method an attribute; how
    steps become loops is nobody's business but `convert-ode-to-scf`'s. The dialect knows nothing of neural networks.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = "void registerAttributes();";
}

class Ode_Op<string mnemonic, list<Trait> traits = []> : Op<Ode_Dialect, mnemonic, traits>;
#endif
