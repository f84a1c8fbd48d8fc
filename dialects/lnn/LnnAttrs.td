// Attributes of the lnn dialect: wirings, and the choices that cells offer.
#ifndef LNN_ATTRS
#define LNN_ATTRS

include "lnn/LnnDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Lnn_WiringAttr : AttrDef<Lnn_Dialect, "Wiring"> {
  let mnemonic = "wiring";
  let genMnemonicAlias = 1;
  let summary = "which synapses exist between two groups of neurons";
  let description = [{
    A constant relation between `pre` sending and `post` receiving neurons. Written as the receivers of each sender, a run of three or
    more as `first to last`; senders without synapses are left out, and `dense` says that all synapses exist. Absent synapses are not
    computed: the weights at their places are never read.

    ```mlir
    #motor = #lnn.wiring<32 x 19, {0: [1, 4], 3: [7 to 12]}>
    #full = #lnn.wiring<64 x 64, dense>
    #none = #lnn.wiring<4 x 4, {}>
    ```
  }];
  let parameters = (ins "int64_t":$pre, "int64_t":$post, ArrayRefParameter<"uint64_t", "bits, row by row">:$words);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// More than this many places are refused: attributes come from untrusted text.
    static constexpr int64_t maxPlaces = int64_t(1) << 28;
    /// The wiring in which the synapse from i to j exists where `exists(i, j)`.
    static WiringAttr get(::mlir::MLIRContext *context, int64_t pre, int64_t post,
                          ::llvm::function_ref<bool(int64_t, int64_t)> exists);
    /// The wiring of a matrix: a synapse exists where the element isn't zero. Null unless it is a matrix of numbers of at
    /// most `maxPlaces` elements.
    static WiringAttr fromMask(::mlir::DenseElementsAttr mask);
    /// The matrix of zeros and ones of that element type.
    ::mlir::DenseElementsAttr toMask(::mlir::Type elementType) const;
    bool exists(int64_t i, int64_t j) const {
      uint64_t bit = static_cast<uint64_t>(i) * getPost() + j;
      return getWords()[bit / 64] >> (bit % 64) & 1;
    }
    /// How many synapses exist.
    int64_t count() const;
    bool isDense() const { return count() == getPre() * getPost(); }
    bool isEmpty() const { return count() == 0; }
  }];
}

def Lnn_CfcMode : I32EnumAttr<"CfcMode", "how a closed-form cell joins its two branches", [
    I32EnumAttrCase<"Default", 0, "default">, I32EnumAttrCase<"NoGate", 1, "no_gate">,
    I32EnumAttrCase<"Pure", 2, "pure">]> {
  let cppNamespace = "::lnn";
}

def Lnn_Activation : I32EnumAttr<"Activation", "an elementwise function", [
    I32EnumAttrCase<"Identity", 0, "identity">, I32EnumAttrCase<"Tanh", 1, "tanh">,
    I32EnumAttrCase<"Sigmoid", 2, "sigmoid">, I32EnumAttrCase<"Relu", 3, "relu">,
    I32EnumAttrCase<"Softplus", 4, "softplus">, I32EnumAttrCase<"Silu", 5, "silu">,
    I32EnumAttrCase<"Gelu", 6, "gelu">]> {
  let cppNamespace = "::lnn";
}
#endif
