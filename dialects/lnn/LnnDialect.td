// The dialect of networks: how cells, wirings, feedback and gates are put together over a sequence.
#ifndef LNN_DIALECT
#define LNN_DIALECT

include "mlir/IR/OpBase.td"

def Lnn_Dialect : Dialect {
  let name = "lnn";
  let cppNamespace = "::lnn";
  let summary = "Networks: cells, wirings, feedback and gates over a sequence";
  let hasConstantMaterializer = 1;
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
  let extraClassDeclaration = [{
    void registerAttributes();
    void registerCells();
  }];
}

class Lnn_Op<string mnemonic, list<Trait> traits = []> : Op<Lnn_Dialect, mnemonic, traits>;
#endif
