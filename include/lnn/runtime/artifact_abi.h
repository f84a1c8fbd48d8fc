/*===- artifact_abi.h - what a compiled artifact exports ----------*- C -*-===*
 * The border between generated code and the runtime that loads it. An artifact
 * is a shared object that exports a function, `lnn_model_descriptor`, which
 * returns a pointer to an `lnn_abi_model`. Compiled for several processors, it
 * exports one more for each but the first, `lnn_model_descriptor_1` and so on:
 * the same model, whose `features` differ. C99, no dependencies.
 *
 * Tensors cross as pointers to dense row-major elements of their type, with no
 * alignment assumed; the runtime packs whatever is strided. Booleans are bytes,
 * 0 or 1. A tensor with no elements may be NULL.
 *===----------------------------------------------------------------------===*/
#ifndef LNN_RUNTIME_ARTIFACT_ABI_H
#define LNN_RUNTIME_ARTIFACT_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LNN_ABI_MAGIC 0x314e4e4cu /* "LNN1" */
/* The newest; an artifact says 2 whose code uses `run_parts`, else 1. */
#define LNN_ABI_VERSION 2u
#define LNN_ABI_SYMBOL "lnn_model_descriptor"

/* Element types, numbered as ONNX numbers them. */
typedef enum lnn_dtype {
  LNN_F32 = 1,
  LNN_U8 = 2,
  LNN_I8 = 3,
  LNN_U16 = 4,
  LNN_I16 = 5,
  LNN_I32 = 6,
  LNN_I64 = 7,
  LNN_BOOL = 9,
  LNN_F16 = 10,
  LNN_F64 = 11,
  LNN_U32 = 12,
  LNN_U64 = 13,
  LNN_BF16 = 16
} lnn_dtype;

typedef enum lnn_role {
  LNN_ROLE_INPUT = 0,
  LNN_ROLE_DT = 1,
  LNN_ROLE_STATE = 2,
  LNN_ROLE_OUTPUT = 3
} lnn_role;

/* One argument or result. dims[i] >= 0 is a fixed size; dims[i] = -1 - k is the
 * k-th name of `symbols`. An argument's dimensions that share a symbol must be
 * equal in a call; the runtime checks that. A result's symbol may be one no
 * argument has: its size is known from `sizes` or when the run ends. */
typedef struct lnn_abi_tensor {
  const char *name; /* UTF-8 */
  int32_t dtype, rank, role;
  int32_t pair; /* of a state argument: the result that replaces it; of such a
                   result: the argument; else -1 */
  const int64_t *dims;
} lnn_abi_tensor;

/* Runtime services that a run may call; `context` is the call's. */
typedef struct lnn_abi_services {
  /* Memory for result `index`, whose size was not known before the run; NULL
   * ends the run. */
  void *(*alloc_output)(void *context, int32_t index, const int64_t *dims);
  /* Scratch whose size depends on data, alive until the run ends. */
  void *(*alloc_scratch)(void *context, int64_t bytes);
  /* check `message` (an index into lnn_abi_model.messages) does not hold; the
   * run goes on and then returns 1 */
  void (*fail)(void *context, int32_t message);
  /* Since version 2. Calls part(data, i) for each i below `count`, in any order
   * and on several threads at once, and returns when all have returned. */
  void (*run_parts)(void *context, void (*part)(void *data, int64_t i),
                    void *data, int64_t count);
} lnn_abi_services;

typedef struct lnn_abi_call {
  const void *const *inputs; /* n_inputs pointers */
  const int64_t *dims;       /* every input's dimensions, one after the other */
  void **outputs; /* n_outputs pointers; NULL where alloc_output is to be asked;
                     set by the run then */
  int64_t *output_dims; /* every output's dimensions, one after the other;
                           written by the run */
  void *scratch;        /* as many bytes as `sizes` said, aligned to 64 */
  const lnn_abi_services *services;
  void *context;
  /* Where a model that measures itself adds its figures: one for each region;
   * NULL where nobody wants them. Others don't look at it. */
  struct lnn_abi_figures *figures;
  /* Since version 2: the threads that `run_parts` has; 1 or less: it need not
   * be called. */
  int64_t threads;
} lnn_abi_call;

typedef struct lnn_abi_model {
  uint32_t magic, version;
  uint32_t struct_bytes; /* sizeof(lnn_abi_model) when it was compiled: later
                            versions append */
  uint32_t reserved;
  const char *name;     /* the model's */
  const char *target;   /* "cpu" */
  const char *triple;   /* "x86_64-pc-linux-gnu" */
  const char *cpu;      /* "znver4" */
  const char *features; /* what the code needs, names as in LLVM, comma
                           separated: "avx2,fma" */
  const char *hash;     /* of the source and the options, hexadecimal */
  const char *producer; /* "lnn 0.1.0" */
  int32_t n_inputs, n_outputs, n_symbols, n_messages;
  const lnn_abi_tensor *inputs, *outputs;
  const char *const *symbols;
  const char *const *messages;
  /* From the inputs' dimensions: every output's dimensions (-1 where it depends
   * on data) and the bytes of scratch that a run needs. Returns -1, or the
   * index of the message of the first check on sizes that does not hold. Pure:
   * calls nothing. */
  int32_t (*sizes)(const int64_t *dims, int64_t *output_dims,
                   int64_t *scratch_bytes);
  /* Runs the model once; `sizes` must have returned -1 for these dimensions.
   * Returns 0; 1 where a check failed. Thread-safe: all it writes is reached
   * through `call`. */
  int32_t (*run)(lnn_abi_call *call);
} lnn_abi_model;

typedef const lnn_abi_model *(*lnn_model_descriptor_fn)(void);

/* A model compiled to measure itself exports a second function,
 * `lnn_profile_descriptor`, which describes its regions. */
#define LNN_ABI_PROFILE_SYMBOL "lnn_profile_descriptor"

/* A part of the model that is measured. */
typedef struct lnn_abi_region {
  const char *name;  /* of the node that it came from */
  const char *nodes; /* all nodes, one a line */
  const char *kind;  /* "sum", "map", "copy", "loop" or "if" */
  int32_t parent;    /* the region that it lies in, of a lower number; or -1 */
  int32_t reserved;
} lnn_abi_region;

/* What passes through a region took, all together. */
typedef struct lnn_abi_figures {
  int64_t entries;
  int64_t ticks; /* of the machine's time stamp counter; regions inside count
                    here too */
  int64_t operations, bytes; /* of the region alone, not of those inside */
} lnn_abi_figures;

typedef struct lnn_abi_profile {
  uint32_t struct_bytes; /* sizeof(lnn_abi_profile) when it was compiled */
  int32_t n_regions;
  const lnn_abi_region *regions;
} lnn_abi_profile;

typedef const lnn_abi_profile *(*lnn_profile_descriptor_fn)(void);

/* A model whose batch may be computed in parts exports a third function,
 * `lnn_rows_descriptor`. Row i of each result that has rows follows from row i
 * of the inputs, in the same way for all i; results without rows follow from
 * none. So a run on rows [i, i + n) of all that have rows, and on the others as
 * they are, makes rows [i, i + n) of the results, with the same bits. */
#define LNN_ABI_ROWS_SYMBOL "lnn_rows_descriptor"

typedef struct lnn_abi_rows {
  uint32_t struct_bytes; /* sizeof(lnn_abi_rows) when it was compiled */
  /* How many rows a run makes: a divisor of the model's fixed number of them;
   * 0: any, where calls say how many there are. */
  int32_t chunk;
  /* Of each input and output: the dimension that counts rows, or -1. */
  const int32_t *input_axes, *output_axes;
  /* As those of lnn_abi_model, for that many rows. */
  int32_t (*sizes)(const int64_t *dims, int64_t *output_dims,
                   int64_t *scratch_bytes);
  int32_t (*run)(lnn_abi_call *call);
} lnn_abi_rows;

typedef const lnn_abi_rows *(*lnn_rows_descriptor_fn)(void);

#ifdef __cplusplus
}
#endif
#endif
