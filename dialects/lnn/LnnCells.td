// Cells of the lnn dialect: one step of a network's parts, and the recurrences and convolutions along time.
#ifndef LNN_CELLS
#define LNN_CELLS

include "lnn/LnnAttrs.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

// Everything but time is a tensor: weights [pre, post] (the receiving neuron contiguous), states [..., N], inputs [..., I]; the leading
// dimensions are batch.
def Lnn_Tensor : RankedTensorOf<[F16, BF16, F32, F64]>;
def Lnn_Duration : AnyTypeOf<[F16, BF16, F32, F64, Lnn_Tensor]>;

class Lnn_CellOp<string mnemonic, list<Trait> traits = []>
    : Lnn_Op<mnemonic, [Pure, DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>] # traits> {
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Cells
//===----------------------------------------------------------------------===//

def Lnn_LtcOp : Lnn_CellOp<"ltc", [AllTypesMatch<["state", "result"]>]> {
  let summary = "liquid time-constant cell: one step of length dt";
  let description = [{
    A neuron is a leaky capacitor that synapses charge toward their reversal potentials:

        cm dh/dt = gleak (vleak - h) + sum_i w_ij s(sigma_ij (h_i - mu_ij)) (erev_ij - h)
                                     + sum_k w'_kj s(sigma'_kj (x_k - mu'_kj)) (erev'_kj - h)

    with `s` the logistic function, `i` over the neurons and `k` over the inputs. Integrated by `unfolds` fused semi-implicit steps of
    d = dt / unfolds:

        h' = (cm/d h + gleak vleak + sum w s erev) / (cm/d + gleak + sum w s + epsilon)

    Conductances (`w`, `cm`, `gleak`) are what the equations say, already positive: softplus and the maps of inputs and outputs are
    outside. `wired` says which synapses exist; without it all do. Sources: Hasani et al. 2021, Liquid Time-constant Networks; ncps' LTCCell.

    ```mlir
    func.func @step(%h: tensor<?x2xf32>, %x: tensor<?x1xf32>, %dt: f32, %w: tensor<2x2xf32>, %s: tensor<2x2xf32>, %m: tensor<2x2xf32>,
                    %e: tensor<2x2xf32>, %w1: tensor<1x2xf32>, %s1: tensor<1x2xf32>, %m1: tensor<1x2xf32>, %e1: tensor<1x2xf32>,
                    %cm: tensor<2xf32>, %gleak: tensor<2xf32>, %vleak: tensor<2xf32>) -> tensor<?x2xf32> {
      %next = lnn.ltc %h, %x for %dt unfolds 6
          recurrent(%w, %s, %m, %e wired <2 x 2, {0: [1]}>) sensory(%w1, %s1, %m1, %e1) neurons(%cm, %gleak, %vleak)
          : tensor<?x2xf32>, tensor<?x1xf32>, f32
      return %next : tensor<?x2xf32>
    }
    ```

    Constraints:
    * (C1) `state` [..., N] and `input` [..., I] have the same leading dimensions and element type; N and I are known.
    * (C2) `dt` is a scalar, or a tensor whose dimensions are the state's leading ones or 1, of the state's element type.
    * (C3) recurrent tensors are [N, N], sensory ones [I, N], the neurons' [N].
    * (C4) `wiring` is N x N, `sensory_wiring` I x N.
    * (C5) 1 <= `unfolds` <= 65536.
    * (C6) `epsilon` is finite and not negative.
  }];
  let arguments = (ins Lnn_Tensor:$state, Lnn_Tensor:$input, Lnn_Duration:$dt,
      Lnn_Tensor:$w, Lnn_Tensor:$sigma, Lnn_Tensor:$mu, Lnn_Tensor:$erev,
      Lnn_Tensor:$sensory_w, Lnn_Tensor:$sensory_sigma, Lnn_Tensor:$sensory_mu, Lnn_Tensor:$sensory_erev,
      Lnn_Tensor:$cm, Lnn_Tensor:$gleak, Lnn_Tensor:$vleak,
      I64Attr:$unfolds, DefaultValuedAttr<F64Attr, "1e-8">:$epsilon,
      OptionalAttr<Lnn_WiringAttr>:$wiring, OptionalAttr<Lnn_WiringAttr>:$sensory_wiring);
  let results = (outs Lnn_Tensor:$result);
  let assemblyFormat = [{
    $state `,` $input `for` $dt `unfolds` $unfolds
    `recurrent` `(` $w `,` $sigma `,` $mu `,` $erev (`wired` $wiring^)? `)`
    `sensory` `(` $sensory_w `,` $sensory_sigma `,` $sensory_mu `,` $sensory_erev (`wired` $sensory_wiring^)? `)`
    `neurons` `(` $cm `,` $gleak `,` $vleak `)` attr-dict `:` type($state) `,` type($input) `,` type($dt)
    custom<LtcTypes>(ref(type($state)), ref(type($input)), type($w), type($sigma), type($mu), type($erev),
                     type($sensory_w), type($sensory_sigma), type($sensory_mu), type($sensory_erev),
                     type($cm), type($gleak), type($vleak))
  }];
  let hasCanonicalizer = 1;
}

def Lnn_CfcOp : Lnn_CellOp<"cfc", [AttrSizedOperandSegments, DeclareOpInterfaceMethods<InferTypeOpInterface>]> {
  let summary = "closed-form continuous-time head over a feature";
  let description = [{
    The closed form of a liquid cell, over the feature `f` of a backbone (which has seen input and state):

        ff1 = W1 f + b1,  ff2 = W2 f + b2,  t = s((Wa f + ba) dt + (Wb f + bb))
        default: h' = tanh(ff1) (1 - t) + t tanh(ff2)
        no_gate: h' = tanh(ff1) + t tanh(ff2)
        pure:    h' = -A exp(-dt (|w_tau| + |ff1|)) ff1 + A

    `wired` masks W1 and W2, as ncps does. Sources: Hasani et al. 2022, Closed-form Continuous-time Neural Networks; ncps' CfCCell.

    ```mlir
    func.func @head(%f: tensor<?x8xf32>, %ts: tensor<?x1xf32>, %w1: tensor<8x4xf32>, %b1: tensor<4xf32>, %w2: tensor<8x4xf32>,
                    %b2: tensor<4xf32>, %wa: tensor<8x4xf32>, %ba: tensor<4xf32>, %wb: tensor<8x4xf32>, %bb: tensor<4xf32>) -> tensor<?x4xf32> {
      %next = lnn.cfc %f for %ts mode default ff1(%w1, %b1) ff2(%w2, %b2) time_a(%wa, %ba) time_b(%wb, %bb)
          : tensor<?x8xf32>, tensor<?x1xf32> -> tensor<?x4xf32>
      return %next : tensor<?x4xf32>
    }
    ```

    Constraints:
    * (C1) `feature` is [..., F], F known; weights are [F, N], biases, `w_tau` and `a` [N], all of its element type.
    * (C2) `dt` is a scalar, or a tensor whose dimensions are leading ones of [..., N] or 1.
    * (C3) default and no_gate take ff2, time_a and time_b, and no tau; pure takes tau and none of them.
    * (C4) `wiring` is F x N.
  }];
  let arguments = (ins Lnn_Tensor:$feature, Lnn_Duration:$dt, Lnn_Tensor:$w1, Lnn_Tensor:$b1,
      Optional<Lnn_Tensor>:$w2, Optional<Lnn_Tensor>:$b2, Optional<Lnn_Tensor>:$wa, Optional<Lnn_Tensor>:$ba,
      Optional<Lnn_Tensor>:$wb, Optional<Lnn_Tensor>:$bb, Optional<Lnn_Tensor>:$w_tau, Optional<Lnn_Tensor>:$a,
      Lnn_CfcMode:$mode, OptionalAttr<Lnn_WiringAttr>:$wiring);
  let results = (outs Lnn_Tensor:$result);
  let assemblyFormat = [{
    $feature `for` $dt `mode` $mode `ff1` `(` $w1 `,` $b1 `)` (`ff2` `(` $w2^ `,` $b2 `)`)?
    (`time_a` `(` $wa^ `,` $ba `)`)? (`time_b` `(` $wb^ `,` $bb `)`)? (`tau` `(` $w_tau^ `,` $a `)`)? (`wired` $wiring^)?
    attr-dict `:` type($feature) `,` type($dt) `->` type($result)
    custom<CfcTypes>(ref(type($feature)), ref(type($result)), ref($w2), ref($wa), ref($wb), ref($w_tau), type($w1), type($b1),
                     type($w2), type($b2), type($wa), type($ba), type($wb), type($bb), type($w_tau), type($a))
  }];
  let hasCanonicalizer = 1;
}

def Lnn_CtrnnOp : Lnn_CellOp<"ctrnn", [AllTypesMatch<["state", "result"]>]> {
  let summary = "leaky rate neurons: one step of length dt";
  let description = [{
        tau dh/dt = -h + act(W u + R h + b)

    integrated by `method`, an `#ode.method`, over `dt`; u is constant meanwhile. Source: Beer 1995, continuous-time recurrent networks.

    ```mlir
    func.func @step(%h: tensor<?x4xf32>, %u: tensor<?x3xf32>, %dt: f32, %w: tensor<3x4xf32>, %r: tensor<4x4xf32>, %tau: tensor<4xf32>,
                    %b: tensor<4xf32>) -> tensor<?x4xf32> {
      %next = lnn.ctrnn %h, %u for %dt method #ode.method<euler, steps = 4> activation tanh input(%w) recurrent(%r) neurons(%tau, %b)
          : tensor<?x4xf32>, tensor<?x3xf32>, f32
      return %next : tensor<?x4xf32>
    }
    ```

    Constraints:
    * (C1) `state` [..., N] and `input` [..., I] have the same leading dimensions and element type; N and I are known.
    * (C2) `dt` is a scalar, or a tensor whose dimensions are the state's leading ones or 1.
    * (C3) `w` is [I, N], `r` [N, N], `tau` and `b` [N].
    * (C4) `wiring` is N x N, `input_wiring` I x N.
    * (C5) `method` is an `#ode.method`.
  }];
  let arguments = (ins Lnn_Tensor:$state, Lnn_Tensor:$input, Lnn_Duration:$dt, Lnn_Tensor:$w, Lnn_Tensor:$r,
      Lnn_Tensor:$tau, Lnn_Tensor:$b, AnyAttr:$method, Lnn_Activation:$activation,
      OptionalAttr<Lnn_WiringAttr>:$wiring, OptionalAttr<Lnn_WiringAttr>:$input_wiring);
  let results = (outs Lnn_Tensor:$result);
  let assemblyFormat = [{
    $state `,` $input `for` $dt `method` $method `activation` $activation `input` `(` $w (`wired` $input_wiring^)? `)`
    `recurrent` `(` $r (`wired` $wiring^)? `)` `neurons` `(` $tau `,` $b `)`
    attr-dict `:` type($state) `,` type($input) `,` type($dt)
    custom<CtrnnTypes>(ref(type($state)), ref(type($input)), type($w), type($r), type($tau), type($b))
  }];
  let hasCanonicalizer = 1;
}

//===----------------------------------------------------------------------===//
// Feedback and awareness
//===----------------------------------------------------------------------===//

def Lnn_FeedbackOp : Lnn_CellOp<"feedback", [AllTypesMatch<["input", "result"]>]> {
  let summary = "linear feedback from the state into the input space";
  let description = [{
        u = x + F h

    ```mlir
    func.func @closed(%x: tensor<?x3xf32>, %h: tensor<?x4xf32>, %f: tensor<4x3xf32>) -> tensor<?x3xf32> {
      %u = lnn.feedback %x, %h through %f : tensor<?x3xf32>, tensor<?x4xf32>
      return %u : tensor<?x3xf32>
    }
    ```

    Constraints:
    * (C1) `input` [..., I] and `state` [..., N] have the same leading dimensions and element type; N and I are known.
    * (C2) `f` is [N, I]; (C3) `wiring` is N x I.
  }];
  let arguments = (ins Lnn_Tensor:$input, Lnn_Tensor:$state, Lnn_Tensor:$f, OptionalAttr<Lnn_WiringAttr>:$wiring);
  let results = (outs Lnn_Tensor:$result);
  let assemblyFormat = [{
    $input `,` $state `through` $f (`wired` $wiring^)? attr-dict `:` type($input) `,` type($state)
    custom<FeedbackTypes>(ref(type($input)), ref(type($state)), type($f))
  }];
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Lnn_TrajectoryOp : Lnn_CellOp<"trajectory", [AllTypesMatch<["memory", "result"]>]> {
  let summary = "compressed memory of the state's trajectory: one step of length dt";
  let description = [{
    Slot k of M follows the state with its own time constant:

        m_k' = e^(-dt / tau_k) m_k + (1 - e^(-dt / tau_k)) h

    ```mlir
    func.func @remember(%m: tensor<?x3x4xf32>, %h: tensor<?x4xf32>, %dt: f32, %tau: tensor<3xf32>) -> tensor<?x3x4xf32> {
      %next = lnn.trajectory %m, %h for %dt tau(%tau) : tensor<?x3x4xf32>, tensor<?x4xf32>, f32
      return %next : tensor<?x3x4xf32>
    }
    ```

    Constraints:
    * (C1) `memory` is [..., M, N], `state` [..., N], of the same leading dimensions and element type; M and N are known.
    * (C2) `dt` is a scalar, or a tensor whose dimensions are the state's leading ones or 1.
    * (C3) `tau` is [M].
  }];
  let arguments = (ins Lnn_Tensor:$memory, Lnn_Tensor:$state, Lnn_Duration:$dt, Lnn_Tensor:$tau);
  let results = (outs Lnn_Tensor:$result);
  let assemblyFormat = [{
    $memory `,` $state `for` $dt `tau` `(` $tau `)` attr-dict `:` type($memory) `,` type($state) `,` type($dt)
    custom<TrajectoryTypes>(ref(type($memory)), type($tau))
  }];
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Lnn_StateGateOp : Lnn_CellOp<"state_gate", [AttrSizedOperandSegments, AllTypesMatch<["state", "result"]>]> {
  let summary = "state-aware gate: attention of the state over its own trajectory memory";
  let description = [{
    The state asks the slots of its memory, not tokens, and a gate mixes the answer in:

        q = Wq h + bq,  K_k = Wk m_k + bk,  V_k = Wv m_k + bv
        c = softmax_k(q . K_k / sqrt(D)) V,  g = s(W [h, c] + b),  h' = g h + (1 - g) c

    ```mlir
    func.func @aware(%h: tensor<?x4xf32>, %m: tensor<?x3x4xf32>, %wq: tensor<4x2xf32>, %wk: tensor<4x2xf32>, %wv: tensor<4x4xf32>,
                     %w: tensor<8x4xf32>, %b: tensor<4xf32>) -> tensor<?x4xf32> {
      %next = lnn.state_gate %h over %m query(%wq) key(%wk) value(%wv) gate(%w, %b)
          : tensor<?x4xf32>, tensor<?x3x4xf32>, tensor<4x2xf32>
      return %next : tensor<?x4xf32>
    }
    ```

    Constraints:
    * (C1) `state` is [..., N], `memory` [..., M, N], of the same leading dimensions and element type; M > 0 and N are known.
    * (C2) `wq` and `wk` are [N, D], D > 0, `wv` [N, N], `w` [2 N, N], `b` [N]; biases, where given, are [D], [D], [N].
  }];
  let arguments = (ins Lnn_Tensor:$state, Lnn_Tensor:$memory, Lnn_Tensor:$wq, Optional<Lnn_Tensor>:$bq,
      Lnn_Tensor:$wk, Optional<Lnn_Tensor>:$bk, Lnn_Tensor:$wv, Optional<Lnn_Tensor>:$bv, Lnn_Tensor:$w, Lnn_Tensor:$b);
  let results = (outs Lnn_Tensor:$result);
  let assemblyFormat = [{
    $state `over` $memory `query` `(` $wq (`,` $bq^)? `)` `key` `(` $wk (`,` $bk^)? `)` `value` `(` $wv (`,` $bv^)? `)`
    `gate` `(` $w `,` $b `)` attr-dict `:` type($state) `,` type($memory) `,` type($wq)
    custom<StateGateTypes>(ref(type($state)), ref(type($wq)), ref($bq), ref($bk), ref($bv), type($bq), type($wk), type($bk),
                           type($wv), type($bv), type($w), type($b))
  }];
}

//===----------------------------------------------------------------------===//
// Along time
//===----------------------------------------------------------------------===//

def Lnn_LinearRecurrenceOp : Lnn_CellOp<"linear_recurrence",
    [AttrSizedOperandSegments, DeclareOpInterfaceMethods<InferTypeOpInterface>]> {
  let summary = "linear recurrence along time";
  let description = [{
    Diagonal: `h_t = a_t * h_{t-1} + b_t`, elementwise. With a matrix state, updated by outer products and read by a query:

        S_t = a_t * S_{t-1} + k_t v_t^T,   y_t = S_t^T q_t

    The results are every state (with `read`, every y_t of each query) along dimension `dim`, and the last state. A query whose `before` is
    true reads the state that the step starts from, `y_t = S_{t-1}^T q_t`. Where the drive is no outer product, it is given as it is; so is
    a query that is another one for each value. Associative in time, so that later passes may run it in parallel; lowered as it stands it is
    computed in order. `reverse` runs from the last step to the first. Sources: S4, S4D, S5, Mamba and Mamba-2, RWKV, fast weights.

    The state may consist of n parts that mix, each element with the same element of the others:

        h_i,t = a_i0,t * h_0,t-1 + a_i1,t * h_1,t-1 + ... + b_i,t

    The decays are given row by row, a_00, a_01, ..., the drives and first states in order; results are every state of each part, then the
    last ones. A query reads the part that `of` says, or the first one. So a complex diagonal is two parts, real and imaginary, of decays
    `a_re, -a_im, a_im, a_re`; an oscillator is two others. A decay or drive that is nothing but zeros is no term. Sources: S4D, S5 and LRU with complex
    diagonals; LinOSS.

    ```mlir
    func.func @diagonal(%a: tensor<?x?x4xf32>, %b: tensor<?x?x4xf32>, %h0: tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4xf32>) {
      %h, %hn = lnn.linear_recurrence decay %a drive %b from %h0 dim 1
          : (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x4xf32>) -> (tensor<?x?x4xf32>, tensor<?x4xf32>)
      return %h, %hn : tensor<?x?x4xf32>, tensor<?x4xf32>
    }
    func.func @matrix(%a: tensor<?x?x1xf32>, %k: tensor<?x?x8xf32>, %v: tensor<?x?x4xf32>, %q: tensor<?x?x8xf32>, %s0: tensor<?x8x4xf32>)
        -> (tensor<?x?x4xf32>, tensor<?x8x4xf32>) {
      %y, %sn = lnn.linear_recurrence decay %a keys %k values %v read %q from %s0 dim 1
          : (tensor<?x?x1xf32>, tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x8xf32>, tensor<?x8x4xf32>)
          -> (tensor<?x?x4xf32>, tensor<?x8x4xf32>)
      return %y, %sn : tensor<?x?x4xf32>, tensor<?x8x4xf32>
    }
    func.func @complex(%re: tensor<?x4xf32>, %im: tensor<?x4xf32>, %neg: tensor<?x4xf32>, %u: tensor<?x4xf32>, %v: tensor<?x4xf32>,
        %h0: tensor<4xf32>, %g0: tensor<4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
      %r:4 = lnn.linear_recurrence decay %re, %neg, %im, %re drive %u, %v from %h0, %g0 dim 0
          : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>,
             tensor<4xf32>, tensor<4xf32>)
          -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xf32>, tensor<4xf32>)
      return %r#0, %r#1 : tensor<?x4xf32>, tensor<?x4xf32>
    }
    ```

    Constraints:
    * (C1) either a `drive` for each part, or `keys` and `values` of the only one; n * n decays for n parts; `before` and `of`, where they are
      given, have an entry for each `read`, those of `of` from 0 to n - 1.
    * (C2) all element types are equal, and the types of all `init`; `dim` is a dimension of the drive (keys, values) before its last, or its
      only one.
    * (C3) diagonal: `drive` without `dim` has the shape of `init`; `decay` has the drive's rank, dimensions 1 where it broadcasts.
    * (C4) matrix: with `keys` or `read`, `init` is [..., K, V], and the time is in front of K; `keys` is [..., K] and `values` [..., V] with
      the time dimension added; `read`, and `decay` with `keys`, are [..., K] or [..., K, V] with it, dimensions 1 where they broadcast
      (but not the time).
  }];
  let arguments = (ins Variadic<Lnn_Tensor>:$decay, Variadic<Lnn_Tensor>:$drive, Optional<Lnn_Tensor>:$keys,
      Optional<Lnn_Tensor>:$values, Variadic<Lnn_Tensor>:$read, Variadic<Lnn_Tensor>:$init, I64Attr:$dim, UnitAttr:$reverse,
      OptionalAttr<DenseBoolArrayAttr>:$before, OptionalAttr<DenseI64ArrayAttr>:$of);
  let results = (outs Variadic<Lnn_Tensor>:$results);
  let assemblyFormat = [{
    `decay` $decay (`drive` $drive^)? (`keys` $keys^ `values` $values)? (`read` $read^ (`of` $of^)? (`before` $before^)?)?
    `from` $init `dim` $dim (`reverse` $reverse^)? attr-dict `:` functional-type(operands, results)
  }];
  let extraClassDeclaration = [{
    /// How many parts the state has.
    unsigned getNumParts() { return getInit().size(); }
    /// Every state, or what is read out; the last states.
    ::mlir::ResultRange getStates() { return getResults().drop_back(getNumParts()); }
    ::mlir::ResultRange getLast() { return getResults().take_back(getNumParts()); }
    /// The part that a query reads, and whether it does before the step.
    unsigned partOf(unsigned read) { return getOf() ? (*getOf())[read] : 0; }
    bool isBefore(unsigned read) { return getBefore() && (*getBefore())[read]; }
  }];
}

def Lnn_CausalConvOp : Lnn_CellOp<"causal_conv",
    [AllTypesMatch<["input", "result"]>, AllTypesMatch<["state", "next"]>]> {
  let summary = "depthwise short causal convolution with a rolling state";
  let description = [{
    Each channel is filtered by its own K taps; the K - 1 samples in front of the first are the state:

        y_t = b + sum_j w_j x_{t - (K - 1) + j},  j = 0 .. K - 1

    With a `dilation` D, taps are D samples apart, and D (K - 1) of them are the state. The second result holds the last samples, for the next
    chunk. Sources: Mamba, LFM2; temporal convolutional networks.

    ```mlir
    func.func @conv(%x: tensor<?x?x4xf32>, %s: tensor<?x2x4xf32>, %w: tensor<3x4xf32>, %b: tensor<4xf32>)
        -> (tensor<?x?x4xf32>, tensor<?x2x4xf32>) {
      %y, %next = lnn.causal_conv %x, %s taps(%w, %b) : tensor<?x?x4xf32>, tensor<?x2x4xf32>
      return %y, %next : tensor<?x?x4xf32>, tensor<?x2x4xf32>
    }
    ```

    Constraints:
    * (C1) `input` is [..., T, C], `state` [..., D (K - 1), C], of the same leading dimensions and element type; C and K are known, K > 0, D > 0.
    * (C2) `w` is [K, C], `b`, where given, [C].
  }];
  let arguments = (ins Lnn_Tensor:$input, Lnn_Tensor:$state, Lnn_Tensor:$w, Optional<Lnn_Tensor>:$b,
      DefaultValuedOptionalAttr<I64Attr, "1">:$dilation);
  let results = (outs Lnn_Tensor:$result, Lnn_Tensor:$next);
  let assemblyFormat = [{
    $input `,` $state `taps` `(` $w (`,` $b^)? `)` (`dilation` $dilation^)? attr-dict `:` type($input) `,` type($state)
    custom<CausalConvTypes>(ref(type($state)), ref($b), ref($dilation), type($w), type($b))
  }];
}
#endif
