/* step.c - load a compiled model and feed it a stream, in C99.
 *
 *   cc step.c -o step -llnn_runtime && ./step model.so
 *
 * Every input gets the value 0.5; dynamic dimensions get the size 1. */
#include "lnn/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { max_inputs = 16, max_sizes = 64, steps = 5 };

static int fail(const char *what, lnn_status status) {
  fprintf(stderr, "%s: %s: %s\n", what, lnn_status_name(status),
          lnn_last_error());
  return 1;
}

static void print_tensor_info(const lnn_tensor_info *info) {
  printf("  %s %s [", info->name, lnn_dtype_name(info->dtype));
  for (int32_t i = 0; i < info->rank; ++i) {
    if (info->symbols[i])
      printf("%s%s", i ? ", " : "", info->symbols[i]);
    else
      printf("%s%lld", i ? ", " : "", (long long)info->dims[i]);
  }
  printf("]%s\n", info->role == LNN_ROLE_STATE ? " state" : "");
}

/* Makes an input of ones and halves for one step; its data are the caller's to
 * free. */
static int make_input(const lnn_tensor_info *info, int64_t *dims,
                      lnn_tensor *input) {
  size_t count = 1;
  for (int32_t i = 0; i < info->rank; ++i) {
    dims[i] = info->dims[i] < 0 ? 1 : info->dims[i];
    count *= (size_t)dims[i];
  }
  input->data = calloc(count ? count : 1, lnn_dtype_size(info->dtype));
  if (!input->data)
    return 0;
  if (info->dtype == LNN_F32)
    for (size_t i = 0; i < count; ++i)
      ((float *)input->data)[i] = 0.5f;
  input->dtype = info->dtype;
  input->rank = info->rank;
  input->dims = dims;
  input->strides = NULL;
  return 1;
}

static int stream(lnn_session *session, const lnn_tensor *inputs,
                  size_t n_inputs) {
  const lnn_model *model = lnn_session_model(session);
  lnn_tensor outputs[max_inputs];
  const lnn_tensor_info *infos[max_inputs];
  size_t n_outputs = 0;
  for (size_t i = 0; i < lnn_model_output_count(model); ++i) {
    const lnn_tensor_info *info = lnn_model_output(model, i);
    if (info->pair >= 0)
      continue; /* the session keeps it */
    if (n_outputs == max_inputs)
      return 1;
    infos[n_outputs++] = info;
  }
  for (int step = 0; step < steps; ++step) {
    memset(outputs, 0, sizeof outputs); /* no data: the results are to be in the
                                           session's memory */
    lnn_status status =
        lnn_session_step(session, inputs, n_inputs, outputs, n_outputs);
    if (status != LNN_OK)
      return fail("step", status);
    for (size_t i = 0; i < n_outputs; ++i)
      if (outputs[i].dtype == LNN_F32)
        printf("step %d: %s[0] = %g\n", step, infos[i]->name,
               (double)((const float *)outputs[i].data)[0]);
  }
  return 0;
}

static int use(const lnn_model *model) {
  lnn_tensor inputs[max_inputs];
  int64_t dims[max_inputs][32];
  lnn_size sizes[max_sizes];
  size_t n_inputs = 0, n_sizes = 0;
  int result = 1;
  printf("%s, by %s, for %s\n", lnn_model_name(model),
         lnn_model_producer(model), lnn_model_cpu(model));
  for (size_t i = 0; i < lnn_model_input_count(model); ++i) {
    const lnn_tensor_info *info = lnn_model_input(model, i);
    print_tensor_info(info);
    for (int32_t axis = 0; axis < info->rank; ++axis)
      if (info->symbols[axis] && n_sizes < max_sizes) {
        sizes[n_sizes].name = info->symbols[axis];
        sizes[n_sizes++].value = 1;
      }
    if (info->role != LNN_ROLE_STATE && n_inputs < max_inputs &&
        make_input(info, dims[n_inputs], &inputs[n_inputs]))
      ++n_inputs;
  }
  lnn_session *session;
  lnn_status status = lnn_session_create(model, sizes, n_sizes, &session);
  if (status == LNN_OK)
    result = stream(session, inputs, n_inputs);
  else
    fail("session", status);
  lnn_session_free(session);
  for (size_t i = 0; i < n_inputs; ++i)
    free(inputs[i].data);
  return result;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: step model.so\n");
    return 2;
  }
  lnn_model *model;
  lnn_status status = lnn_model_load_file(argv[1], &model);
  if (status != LNN_OK)
    return fail("load", status);
  int result = use(model);
  lnn_model_free(model);
  return result;
}
