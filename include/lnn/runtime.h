/*===- runtime.h - load and run compiled models -----------------*- C -*-===*
 * The public interface of liblnn_runtime: C99, no dependency but the C library.
 * A model comes from the compiler as one file, an artifact; this library loads
 * it, describes it, runs it, and carries its states from step to step.
 *
 * Threads: a model is immutable and may be used by any number of threads at
 * once. A session belongs to one thread at a time. The library starts threads
 * only where a pool is made (see "Threads").
 *
 * Trust: AN ARTIFACT IS NATIVE CODE. Loading one runs it, with all the rights
 * of the process, like any shared library. Damaged files and files of other
 * machines or versions are refused with a message; a file made to do harm is
 * not recognized. Load only what you trust.
 *
 * Errors: what can fail returns an lnn_status; lnn_last_error() then says in
 * words what was wrong.
 *
 * Time: after lnn_session_create, a step whose sizes were reserved (see there)
 * takes no lock, makes no system call and allocates nothing. So does lnn_run
 * from its second call of the same sizes on, into memory of the caller's, as
 * long as not more than two threads call a model at once: a model keeps that
 * many calls' memory. With a pool there is one exception, said there.
 *===----------------------------------------------------------------------===*/
#ifndef LNN_RUNTIME_H
#define LNN_RUNTIME_H

#include "lnn/runtime/artifact_abi.h" /* lnn_dtype, lnn_role */

#include <stddef.h>
#include <stdint.h>

/* The library hides all but these. */
#define LNN_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lnn_status {
  LNN_OK = 0,
  LNN_ERR_USAGE = 1, /* a call that no input could make right: a null handle, an
                        unknown name or index */
  LNN_ERR_INPUT = 2, /* a tensor or a size does not fit the model, or fails one
                        of the model's own checks on sizes */
  LNN_ERR_LOAD = 3,  /* the file cannot be read, is damaged, or is no artifact
                        for this machine */
  LNN_ERR_VERSION = 4, /* the artifact was compiled by a newer version */
  LNN_ERR_CPU = 5, /* the artifact needs CPU features that this machine lacks */
  LNN_ERR_RUN = 6, /* a check of the model failed while it ran: the values, not
                      the sizes, are to blame */
  LNN_ERR_MEMORY = 7 /* not enough memory */
} lnn_status;

typedef struct lnn_model lnn_model;
typedef struct lnn_session lnn_session;
typedef struct lnn_profile lnn_profile;
typedef struct lnn_pool lnn_pool;

/* An array that the caller describes. */
typedef struct lnn_tensor {
  void *data; /* of any alignment; inputs are only read */
  lnn_dtype dtype;
  int32_t rank;
  const int64_t *dims;    /* `rank` sizes; may be NULL for rank 0 */
  const int64_t *strides; /* `rank` distances in BYTES, of any sign; NULL: dense
                             and row-major */
} lnn_tensor;

/* What a model says of one input or output. All pointers live as long as the
 * model. */
typedef struct lnn_tensor_info {
  const char *name;
  lnn_dtype dtype;
  lnn_role role;
  int32_t pair; /* of a state input: the index of the output that replaces it;
                   of that output: the input's; else -1 */
  int32_t rank;
  const int64_t *dims;        /* -1: a size that varies from call to call */
  const char *const *symbols; /* the name of each such dimension, NULL for fixed
                                 ones; equal names have equal sizes */
} lnn_tensor_info;

/* The size of a named dimension. */
typedef struct lnn_size {
  const char *name;
  int64_t value;
} lnn_size;

/*===- General
 * --------------------------------------------------------------===*/

/* What went wrong in this thread's last call that failed; "" if none did. Valid
 * until this thread's next failure. */
LNN_API const char *lnn_last_error(void);
LNN_API const char *lnn_status_name(lnn_status status); /* "LNN_ERR_INPUT" */
LNN_API const char *
lnn_dtype_name(lnn_dtype dtype); /* NumPy's name: "float32"; "?" for none */
LNN_API size_t
lnn_dtype_size(lnn_dtype dtype); /* bytes of an element; 0 for none */
LNN_API const char *lnn_runtime_version(void); /* "0.1.0" */

/*===- Models
 * ---------------------------------------------------------------===*/

/* Loads an artifact. The file is read whole: it may be replaced or removed
 * afterwards. */
LNN_API lnn_status lnn_model_load_file(const char *path, lnn_model **model);
/* As above, from memory, which is copied. `name` stands for the artifact in
 * messages; may be NULL. */
LNN_API lnn_status lnn_model_load_memory(const void *bytes, size_t size,
                                         const char *name, lnn_model **model);
/* Gives the model back. Its sessions stay valid: the code is unloaded with the
 * last of them. NULL is ignored. */
LNN_API void lnn_model_free(lnn_model *model);

LNN_API const char *lnn_model_name(const lnn_model *model);
LNN_API const char *lnn_model_target(const lnn_model *model); /* "cpu" */
LNN_API const char *
lnn_model_triple(const lnn_model *model); /* "x86_64-pc-linux-gnu" */
LNN_API const char *lnn_model_cpu(const lnn_model *model); /* "znver4" */
LNN_API const char *
lnn_model_features(const lnn_model *model); /* what it needs: "avx2,fma" */
LNN_API const char *lnn_model_hash(
    const lnn_model *model); /* of the source and the options, hexadecimal */
LNN_API const char *
lnn_model_producer(const lnn_model *model); /* "lnn 0.1.0" */

LNN_API size_t lnn_model_input_count(const lnn_model *model);
LNN_API size_t lnn_model_output_count(const lnn_model *model);
/* NULL if there is no such input or output. */
LNN_API const lnn_tensor_info *lnn_model_input(const lnn_model *model,
                                               size_t index);
LNN_API const lnn_tensor_info *lnn_model_output(const lnn_model *model,
                                                size_t index);
/* The index of that name, or -1. */
LNN_API int32_t lnn_model_find_input(const lnn_model *model, const char *name);
LNN_API int32_t lnn_model_find_output(const lnn_model *model, const char *name);

/*===- Threads
 * --------------------------------------------------------------===*/

/* A call on several threads. The compiler proves of most models that the rows
 * of a batch are independent (lnn_model_has_rows): no operation reads across
 * them. Parts of the batch of such a model, 8 rows at least, are then computed
 * by the threads of a pool, the caller among them. The bits are the same for
 * any number of threads. Of other models and smaller batches they share the
 * columns of wide layers, if there is a processor for each. Calls that find the
 * pool at work for another run on the caller's thread alone.
 *
 * A pool's threads wait: for the next call, busily for 50 us where there is a
 * processor for each, then asleep. Waking them takes a system call, which is
 * the exception to what is said of time above. A call never waits for a thread
 * that has not begun with a part. Threads have all signals blocked, and round
 * and treat denormals as the caller's does. After a fork, the child's first
 * call starts them anew. */

/* Starts threads-1 threads, for up to 1024 in all. LNN_ERR_MEMORY where the
 * system does not allow so many. */
LNN_API lnn_status lnn_pool_create(int32_t threads, lnn_pool **pool);
/* Gives the pool back. Its threads end with the last model that uses it. NULL
 * is ignored. */
LNN_API void lnn_pool_free(lnn_pool *pool);
LNN_API int32_t lnn_pool_threads(const lnn_pool *pool);
/* Lets the model's calls and sessions run on a pool, which other models may
 * use too; NULL: on the caller's thread, as at first. Not while the model is in
 * use. */
LNN_API lnn_status lnn_model_set_pool(lnn_model *model, lnn_pool *pool);
/* Gives the model a pool of its own; 1: none. Not while the model is in use. */
LNN_API lnn_status lnn_model_set_threads(lnn_model *model, int32_t threads);
LNN_API int32_t lnn_model_threads(const lnn_model *model); /* at least 1 */
/* 1 if the rows of the model's batch are independent, so that threads can share
 * the work; else 0. */
LNN_API int32_t lnn_model_has_rows(const lnn_model *model);

/*===- One call
 * -------------------------------------------------------------===*/

/* The sizes of all outputs, one output's after the other's, for inputs of these
 * types and sizes (their data are not looked at). `dims` has room for
 * `capacity` sizes: the sum of the outputs' ranks is needed. -1: depends on the
 * inputs' values. */
LNN_API lnn_status lnn_output_dims(const lnn_model *model,
                                   const lnn_tensor *inputs, size_t n_inputs,
                                   int64_t *dims, size_t capacity);

/* Runs the model once: all inputs, states included, and all outputs, both in
 * the model's order. An output whose data is NULL is allocated: the call fills
 * in the tensor, which lnn_tensor_free releases. Otherwise the result is
 * written to data, and dtype, rank and dims must be the result's. Outputs must
 * not overlap one another; an input that an output is written over is copied
 * first. If the call fails, nothing is allocated and the contents of given
 * outputs are undefined. */
LNN_API lnn_status lnn_run(const lnn_model *model, const lnn_tensor *inputs,
                           size_t n_inputs, lnn_tensor *outputs,
                           size_t n_outputs);
/* Releases what lnn_run allocated and clears the tensor; a cleared one is
 * ignored. */
LNN_API void lnn_tensor_free(lnn_tensor *tensor);

/*===- Sessions
 * -------------------------------------------------------------===*/

/* A session holds the model's states and all the memory that a step needs.
 * States start at zero.
 *
 * `sizes` names the sizes of dynamic dimensions. Those that states have are
 * fixed for the session and must be given. The others say how large a step may
 * be before it has to allocate: a step is reserved for these sizes, and for 1
 * where none is given. A larger step works and enlarges the reserve, once.
 *
 * Lanes. The batch of a session is the size called "batch". Where no state has
 * a dimension of that name, "batch" means the only dynamic dimension of the
 * states, if there is one; and where their sizes are all fixed, the size given
 * as "batch", which states must have, or else the first size of the first
 * state. A state's lane axis is its first dimension that is that dimension (or,
 * all fixed, of that size). */
LNN_API lnn_status lnn_session_create(const lnn_model *model,
                                      const lnn_size *sizes, size_t n_sizes,
                                      lnn_session **session);
/* Reserves memory for steps of these sizes, 1 where none is given. What was
 * reserved before stays so. */
LNN_API lnn_status lnn_session_reserve(lnn_session *session,
                                       const lnn_size *sizes, size_t n_sizes);
LNN_API void lnn_session_free(lnn_session *session);
LNN_API const lnn_model *lnn_session_model(const lnn_session *session);
/* How many lanes there are; -1 where the states have none. */
LNN_API int64_t lnn_session_batch(const lnn_session *session);

/* Runs the model on the next inputs, and the states move on. `inputs` and
 * `outputs` are the model's in its order, WITHOUT the states. An output whose
 * data is NULL is filled in with the session's own memory, valid until the next
 * call on this session; otherwise the result is written to data, as by lnn_run.
 * If it fails, the states are as before. With the sizes that were reserved, and
 * outputs whose sizes do not depend on values: no lock, no system call, no
 * allocation. */
LNN_API lnn_status lnn_session_step(lnn_session *session,
                                    const lnn_tensor *inputs, size_t n_inputs,
                                    lnn_tensor *outputs, size_t n_outputs);

/* A state, by its input's name. Where data is NULL, the tensor is filled in
 * with the session's own memory, to be read until the next call on this
 * session; otherwise the state is copied to data, and dtype, rank and dims must
 * be the state's. */
LNN_API lnn_status lnn_session_get_state(const lnn_session *session,
                                         const char *name, lnn_tensor *tensor);
LNN_API lnn_status lnn_session_set_state(lnn_session *session, const char *name,
                                         const lnn_tensor *tensor);
/* Sets all states to zero. */
LNN_API lnn_status lnn_session_reset(lnn_session *session);
/* Sets these lanes of all states to zero; the others are not touched. */
LNN_API lnn_status lnn_session_reset_lanes(lnn_session *session,
                                           const int64_t *lanes,
                                           size_t n_lanes);
/* A new session with equal states and reserve, which goes its own way. */
LNN_API lnn_status lnn_session_fork(const lnn_session *session,
                                    lnn_session **fork);
/* All states as bytes: how many, a copy of them, and back again. A snapshot is
 * for sessions of the same model and sizes. */
LNN_API size_t lnn_session_snapshot_size(const lnn_session *session);
LNN_API lnn_status lnn_session_snapshot(const lnn_session *session, void *bytes,
                                        size_t size);
LNN_API lnn_status lnn_session_restore(lnn_session *session, const void *bytes,
                                       size_t size);

/*===- Profiles
 * -------------------------------------------------------------===*/

/* A part of a model, and what all profiled calls together spent in it. What
 * lies in it counts too. */
typedef struct lnn_region {
  const char *name;  /* of the node that it came from */
  const char *nodes; /* all nodes that it came from, one a line */
  const char *kind;  /* "sum" (reductions, matrix products), "map"
                        (elementwise), "copy", "loop" or "if" */
  int32_t parent;  /* the region that it lies in, or -1; always a lower index */
  int32_t depth;   /* of how many regions it is a part */
  int64_t entries; /* how often it ran */
  double seconds;
  double operations;    /* on numbers in floating point: a fused multiply-add is
                           two, a function (exp, tanh, ...) counts as 20 */
  double bytes;         /* read and written, each element once in an entry */
  double least_seconds; /* what they would take at this machine's measured
                           peaks, of one core */
} lnn_region;

/* Peaks of one core of this machine, measured when the first one is asked for:
 * operations on f32 a second; bytes read, or read and written, a second in each
 * level of memory. */
typedef struct lnn_peaks {
  double operations, l1, l2, memory;
} lnn_peaks;

/* Starts a profile of a model that was compiled to measure itself (lnnc
 * --profile); of others it fails with LNN_ERR_USAGE. It belongs to one thread
 * at a time. */
LNN_API lnn_status lnn_profile_create(const lnn_model *model,
                                      lnn_profile **profile);
LNN_API void lnn_profile_free(lnn_profile *profile);
/* As lnn_run, and adds to the profile. While all calls do the same work, those
 * that take more than 1.3 times as long as the fastest don't count: the machine
 * was busy. */
LNN_API lnn_status lnn_profile_run(lnn_profile *profile,
                                   const lnn_tensor *inputs, size_t n_inputs,
                                   lnn_tensor *outputs, size_t n_outputs);
/* How often lnn_profile_run ran; how many of these count, and how long they
 * took in all. */
LNN_API int64_t lnn_profile_runs(const lnn_profile *profile);
LNN_API int64_t lnn_profile_calls(const lnn_profile *profile);
LNN_API double lnn_profile_seconds(const lnn_profile *profile);
LNN_API size_t lnn_profile_region_count(const lnn_profile *profile);
LNN_API lnn_status lnn_profile_region(const lnn_profile *profile, size_t index,
                                      lnn_region *region);
LNN_API lnn_status lnn_profile_peaks(lnn_peaks *peaks);
/* The profile as a table ("text") or a picture ("svg"): a string that is valid
 * until the next report of this profile. */
LNN_API lnn_status lnn_profile_report(lnn_profile *profile, const char *format,
                                      const char **report);

#ifdef __cplusplus
}
#endif
#endif
