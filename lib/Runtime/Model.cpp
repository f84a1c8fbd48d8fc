//===- Model.cpp - loading and describing artifacts -----------------------===//
#include "Model.h"

#include "Call.h"
#include "CpuFeatures.h"
#include "Elf.h"
#include "Error.h"
#include "Pool.h"
#include "Shape.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <memory>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace lnn::runtime;

namespace {

std::string systemError() { return std::strerror(errno); }

/// Closes a file descriptor.
struct File {
  int fd;
  ~File() {
    if (fd >= 0)
      ::close(fd);
  }
};

std::vector<char> readFile(const char *path) {
  File file{::open(path, O_RDONLY | O_CLOEXEC)};
  struct stat status;
  if (file.fd < 0 || ::fstat(file.fd, &status) != 0)
    fail(LNN_ERR_LOAD,
         std::string("cannot open ") + path + ": " + systemError());
  if (!S_ISREG(status.st_mode))
    fail(LNN_ERR_LOAD,
         std::string("cannot load ") + path + ": it is not a file");
  std::vector<char> bytes(static_cast<size_t>(status.st_size));
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t count = ::read(file.fd, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      fail(LNN_ERR_LOAD,
           std::string("cannot read ") + path + ": " + systemError());
    if (count == 0)
      break;
    done += static_cast<size_t>(count);
  }
  bytes.resize(done);
  return bytes;
}

/// Whether an index into the other side's tensors names a tensor that names
/// this one back.
bool isPaired(const lnn_abi_tensor *others, int32_t count, int32_t pair,
              int32_t self) {
  return pair >= 0 && pair < count && others[pair].pair == self;
}

bool isTensor(const lnn_abi_tensor &tensor, int32_t symbols) {
  if (!tensor.name || !dtypeSize(tensor.dtype) || tensor.rank < 0 ||
      tensor.rank > maxRank || (tensor.rank && !tensor.dims) ||
      tensor.role < LNN_ROLE_INPUT || tensor.role > LNN_ROLE_OUTPUT)
    return false;
  for (int32_t i = 0; i < tensor.rank; ++i)
    if (tensor.dims[i] < -int64_t(symbols))
      return false;
  return true;
}

bool areTensors(const lnn_abi_model &abi, const lnn_abi_tensor *tensors,
                int32_t count) {
  if (count < 0 || (count && !tensors))
    return false;
  for (int32_t i = 0; i < count; ++i)
    if (!isTensor(tensors[i], abi.n_symbols))
      return false;
  return true;
}

bool areTexts(const char *const *texts, int32_t count) {
  if (count < 0 || (count && !texts))
    return false;
  for (int32_t i = 0; i < count; ++i)
    if (!texts[i])
      return false;
  return true;
}

/// State inputs and the outputs that replace them name each other and are of
/// one type.
bool arePaired(const lnn_abi_model &abi) {
  for (int32_t i = 0; i < abi.n_inputs; ++i) {
    const lnn_abi_tensor &input = abi.inputs[i];
    if (input.role != LNN_ROLE_STATE)
      continue;
    if (!isPaired(abi.outputs, abi.n_outputs, input.pair, i))
      return false;
    const lnn_abi_tensor &output = abi.outputs[input.pair];
    if (output.dtype != input.dtype || output.rank != input.rank)
      return false;
  }
  for (int32_t i = 0; i < abi.n_outputs; ++i)
    if (abi.outputs[i].pair != -1 &&
        !isPaired(abi.inputs, abi.n_inputs, abi.outputs[i].pair, i))
      return false;
  return true;
}

} // namespace

lnn_model::~lnn_model() {
  for (std::atomic<Call *> &call : idle)
    delete call.load();
  if (pool)
    pool->release();
  if (library)
    ::dlclose(library);
  if (file >= 0)
    ::close(file);
}

void lnn_model::setPool(lnn_pool *other) {
  if (other)
    other->retain();
  if (pool)
    pool->release();
  pool = other;
}

Call *lnn_model::takeCall() const {
  for (std::atomic<Call *> &place : idle)
    if (place.load(std::memory_order_relaxed))
      if (Call *call = place.exchange(nullptr, std::memory_order_acquire))
        return call;
  return new Call(*this);
}

void lnn_model::keepCall(Call *call) const {
  for (std::atomic<Call *> &place : idle) {
    Call *none = nullptr;
    if (place.compare_exchange_strong(none, call, std::memory_order_release,
                                      std::memory_order_relaxed))
      return;
  }
  delete call;
}

lnn_model *lnn_model::load(const void *bytes, size_t size,
                           const std::string &name) {
  if (std::string error =
          checkSharedObject(static_cast<const unsigned char *>(bytes), size);
      !error.empty())
    fail(LNN_ERR_LOAD, "cannot load " + name + ": " + error);
  struct Release {
    void operator()(lnn_model *model) const { model->release(); }
  };
  std::unique_ptr<lnn_model, Release> model(new lnn_model);
  model->open(bytes, size, name);
  model->chooseVersion(name);
  model->checkDescriptor(name);
  model->checkProfile(name);
  model->checkRows(name);
  model->describe();
  return model.release();
}

/// Maps the code from an anonymous file, so that nothing that happens to the
/// original can change or crash the model. The descriptor stays open as long as
/// the model lives: the loader knows libraries by path, and a number used again
/// would give it the earlier model.
void lnn_model::open(const void *bytes, size_t size, const std::string &name) {
  file = ::memfd_create("lnn-model", MFD_CLOEXEC);
  if (file < 0)
    fail(LNN_ERR_LOAD,
         "cannot load " + name + ": memfd_create: " + systemError());
  for (size_t done = 0; done < size;) {
    ssize_t count =
        ::write(file, static_cast<const char *>(bytes) + done, size - done);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      fail(errno == ENOSPC || errno == ENOMEM ? LNN_ERR_MEMORY : LNN_ERR_LOAD,
           "cannot load " + name + ": " + systemError());
    done += static_cast<size_t>(count);
  }
  std::string path = "/proc/self/fd/" + std::to_string(file);
  library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *error = ::dlerror();
    std::string text = error ? error : "no reason given";
    if (size_t at = text.find(path); at != text.npos)
      text.erase(at, path.size() + 2);
    fail(LNN_ERR_LOAD,
         "cannot load " + name + ": the dynamic loader refused it: " + text);
  }
}

void lnn_model::checkProfile(const std::string &name) const {
  if (!profile)
    return;
  bool valid = profile->struct_bytes >= sizeof *profile &&
               profile->n_regions >= 0 &&
               (profile->regions || !profile->n_regions);
  for (int32_t i = 0; valid && i < profile->n_regions; ++i) {
    const lnn_abi_region &region = profile->regions[i];
    valid = region.name && region.nodes && region.kind && region.parent >= -1 &&
            region.parent < i;
  }
  if (!valid)
    fail(LNN_ERR_LOAD, "cannot load " + name +
                           ": its descriptor is damaged (a region makes no "
                           "sense)");
}

/// Each tensor has rows in a dimension of its own, and all as many: one size,
/// a multiple of the chunk's, or sizes that calls say.
static bool haveRows(const lnn_abi_tensor *tensors, int32_t count,
                     const int32_t *axes, int32_t chunk, int64_t &rows) {
  if (!axes && count)
    return false;
  for (int32_t i = 0; i < count; ++i) {
    if (axes[i] < -1 || axes[i] >= tensors[i].rank)
      return false;
    if (axes[i] < 0)
      continue;
    int64_t size = tensors[i].dims[axes[i]];
    if (chunk ? size < chunk || size % chunk || (rows && size != rows)
              : size >= 0)
      return false;
    rows = size;
  }
  return true;
}

void lnn_model::checkRows(const std::string &name) const {
  if (!rows)
    return;
  int64_t size = 0;
  if (rows->struct_bytes < sizeof *rows || rows->chunk < 0 || !rows->sizes ||
      !rows->run ||
      !haveRows(abi->inputs, abi->n_inputs, rows->input_axes, rows->chunk,
                size) ||
      !haveRows(abi->outputs, abi->n_outputs, rows->output_axes, rows->chunk,
                size))
    fail(LNN_ERR_LOAD, "cannot load " + name +
                           ": its descriptor is damaged (the rows of its "
                           "batch make no sense)");
}

/// Fails where no descriptor is there, or where what may be read of one isn't
/// known.
static void checkHeader(const lnn_abi_model *abi, const std::string &prefix) {
  if (!abi || abi->magic != LNN_ABI_MAGIC)
    fail(LNN_ERR_LOAD,
         prefix + "its descriptor is damaged (wrong magic number)");
  if (abi->version > LNN_ABI_VERSION)
    fail(LNN_ERR_VERSION,
         prefix + "it was compiled by a newer lnn: its format is version " +
             std::to_string(abi->version) +
             ", and this runtime (" LNN_VERSION ") reads up to version " +
             std::to_string(LNN_ABI_VERSION) +
             "; update the runtime, or compile the model again");
  if (abi->version == 0 || abi->struct_bytes < sizeof *abi)
    fail(LNN_ERR_LOAD, prefix + "its descriptor is damaged (version " +
                           std::to_string(abi->version) + ", " +
                           std::to_string(abi->struct_bytes) + " bytes)");
  for (const char *text : {abi->name, abi->target, abi->triple, abi->cpu,
                           abi->features, abi->hash, abi->producer})
    if (!text)
      fail(LNN_ERR_LOAD,
           prefix + "its descriptor is damaged (a name is missing)");
}

/// Of the versions of the model, takes the one that needs the most features of
/// those that this processor has.
void lnn_model::chooseVersion(const std::string &name) {
  std::string prefix = "cannot load " + name + ": ", refused;
  std::ptrdiff_t most = -1;
  for (int i = 0;; ++i) {
    std::string suffix = i > 0 ? "_" + std::to_string(i) : "";
    auto function = reinterpret_cast<lnn_model_descriptor_fn>(
        ::dlsym(library, (LNN_ABI_SYMBOL + suffix).c_str()));
    if (!function && i > 0)
      break;
    if (!function)
      fail(LNN_ERR_LOAD, prefix + "it is a shared object but no lnn model: it "
                                  "does not export " LNN_ABI_SYMBOL);
    const lnn_abi_model *version = function();
    checkHeader(version, prefix);
    std::string_view features = version->features;
    if (std::string missing = missingCpuFeatures(features); !missing.empty()) {
      refused += (refused.empty() ? "it was compiled for " : ", and for ") +
                 std::string(version->cpu) + " and needs " + missing;
      continue;
    }
    std::ptrdiff_t count =
        features.empty()
            ? 0
            : 1 + std::count(features.begin(), features.end(), ',');
    if (count <= most)
      continue;
    most = count, abi = version;
    auto profiled = reinterpret_cast<lnn_profile_descriptor_fn>(
        ::dlsym(library, (LNN_ABI_PROFILE_SYMBOL + suffix).c_str()));
    profile = profiled ? profiled() : nullptr;
    auto split = reinterpret_cast<lnn_rows_descriptor_fn>(
        ::dlsym(library, (LNN_ABI_ROWS_SYMBOL + suffix).c_str()));
    rows = split ? split() : nullptr;
  }
  if (!abi)
    fail(LNN_ERR_CPU, prefix + refused +
                          ", which this CPU lacks; compile the model on this "
                          "machine or for a lesser CPU");
}

void lnn_model::checkDescriptor(const std::string &name) const {
  std::string prefix = "cannot load " + name + ": ";
  if (!abi->sizes || !abi->run || !areTexts(abi->symbols, abi->n_symbols) ||
      !areTexts(abi->messages, abi->n_messages) ||
      !areTensors(*abi, abi->inputs, abi->n_inputs) ||
      !areTensors(*abi, abi->outputs, abi->n_outputs))
    fail(LNN_ERR_LOAD, prefix + "its descriptor is damaged (an input, output "
                                "or entry point makes no sense)");
  if (!arePaired(*abi))
    fail(LNN_ERR_LOAD, prefix + "its descriptor is damaged (a state has no "
                                "output that replaces it)");
}

void lnn_model::describe() {
  describe(abi->inputs, abi->n_inputs, inputs, inputDims);
  describe(abi->outputs, abi->n_outputs, outputs, outputDims);
}

void lnn_model::describe(const lnn_abi_tensor *tensors, int32_t count,
                         std::vector<lnn_tensor_info> &infos,
                         std::vector<size_t> &first) {
  size_t total = 0;
  for (int32_t i = 0; i < count; ++i) {
    const lnn_abi_tensor &tensor = tensors[i];
    std::vector<int64_t> &sizes = dims.emplace_back();
    std::vector<const char *> &names = symbols.emplace_back();
    for (int32_t axis = 0; axis < tensor.rank; ++axis) {
      int64_t dim = tensor.dims[axis];
      sizes.push_back(dim < 0 ? -1 : dim);
      names.push_back(dim < 0 ? abi->symbols[-1 - dim] : nullptr);
    }
    infos.push_back({tensor.name, static_cast<lnn_dtype>(tensor.dtype),
                     static_cast<lnn_role>(tensor.role), tensor.pair,
                     tensor.rank, sizes.data(), names.data()});
    first.push_back(total);
    total += static_cast<size_t>(tensor.rank);
  }
  first.push_back(total);
}

std::string lnn_model::dimText(const lnn_abi_tensor &tensor,
                               int32_t axis) const {
  int64_t dim = tensor.dims[axis];
  return dim < 0 ? abi->symbols[-1 - dim] : std::to_string(dim);
}

std::string lnn_model::shapeText(const lnn_abi_tensor &tensor) const {
  std::string text = "[";
  for (int32_t i = 0; i < tensor.rank; ++i)
    text += (i ? ", " : "") + dimText(tensor, i);
  return text + "]";
}

int32_t lnn_model::findSymbol(const char *name) const {
  for (int32_t i = 0; i < abi->n_symbols; ++i)
    if (std::strcmp(abi->symbols[i], name) == 0)
      return i;
  return -1;
}

namespace {
int32_t find(const std::vector<lnn_tensor_info> &tensors, const char *name) {
  for (size_t i = 0; name && i < tensors.size(); ++i)
    if (std::strcmp(tensors[i].name, name) == 0)
      return static_cast<int32_t>(i);
  return -1;
}
} // namespace

extern "C" {

lnn_status lnn_model_load_file(const char *path, lnn_model **model) {
  return guarded([&] {
    if (!path || !model)
      fail(LNN_ERR_USAGE, "lnn_model_load_file: a null argument");
    *model = nullptr;
    std::vector<char> bytes = readFile(path);
    *model = lnn_model::load(bytes.data(), bytes.size(), path);
  });
}

lnn_status lnn_model_load_memory(const void *bytes, size_t size,
                                 const char *name, lnn_model **model) {
  return guarded([&] {
    if ((!bytes && size) || !model)
      fail(LNN_ERR_USAGE, "lnn_model_load_memory: a null argument");
    *model = nullptr;
    *model =
        lnn_model::load(bytes, size, name && *name ? name : "the artifact");
  });
}

void lnn_model_free(lnn_model *model) {
  if (model)
    model->release();
}

const char *lnn_model_name(const lnn_model *model) {
  return model ? model->abi->name : "";
}
const char *lnn_model_target(const lnn_model *model) {
  return model ? model->abi->target : "";
}
const char *lnn_model_triple(const lnn_model *model) {
  return model ? model->abi->triple : "";
}
const char *lnn_model_cpu(const lnn_model *model) {
  return model ? model->abi->cpu : "";
}
const char *lnn_model_features(const lnn_model *model) {
  return model ? model->abi->features : "";
}
const char *lnn_model_hash(const lnn_model *model) {
  return model ? model->abi->hash : "";
}
const char *lnn_model_producer(const lnn_model *model) {
  return model ? model->abi->producer : "";
}

size_t lnn_model_input_count(const lnn_model *model) {
  return model ? model->inputs.size() : 0;
}
size_t lnn_model_output_count(const lnn_model *model) {
  return model ? model->outputs.size() : 0;
}
const lnn_tensor_info *lnn_model_input(const lnn_model *model, size_t index) {
  return index < lnn_model_input_count(model) ? &model->inputs[index] : nullptr;
}
const lnn_tensor_info *lnn_model_output(const lnn_model *model, size_t index) {
  return index < lnn_model_output_count(model) ? &model->outputs[index]
                                               : nullptr;
}
int32_t lnn_model_find_input(const lnn_model *model, const char *name) {
  return model ? find(model->inputs, name) : -1;
}
int32_t lnn_model_find_output(const lnn_model *model, const char *name) {
  return model ? find(model->outputs, name) : -1;
}
}
