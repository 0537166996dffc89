/* A libcuda.so.1 without a GPU, for test/runtime/{driver,faults}.test.ts. cuInit answers FAKE_CUDA_INIT, the version is
   FAKE_CUDA_VERSION, and FAKE_CUDA_DEVICES devices of compute capability FAKE_CUDA_MAJOR.0 exist.

   Every other call answers FAKE_CUDA_CALL, or, where FAKE_CUDA_STATE names a file, does what a driver does with memory of
   the host: copies and fills happen, kernels are counted but compute nothing. Work waits in its stream until somebody
   synchronizes, as late as on the slowest GPU. The file holds `struct state`, shared with the test. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { INVALID = 1, OUT_OF_MEMORY = 2, NOT_READY = 600, ILLEGAL_ADDRESS = 700 };

struct state {
  /* Outstanding. */
  int64_t allocations, bytes, hostAllocations, streams, events, modules, graphs, executables, contexts;
  /* Since the process started. */
  int64_t allocationCalls, hostAllocationCalls, workCalls, misuses;
  int64_t pending; /* copies and fills that wait in streams */
  /* Orders: allocations (of both kinds together) from this one on fail; work from this one on is an illegal address;
     streams are busy for ever; whoever waits for an event waits so many milliseconds. */
  int64_t failAllocation, failWork, busy, slow;
};
static struct state* s;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int lost;

static int number(const char* name, int otherwise) {
  const char* text = getenv(name);
  return text ? atoi(text) : otherwise;
}

int cuInit(unsigned flags) {
  (void)flags;
  const char* path = getenv("FAKE_CUDA_STATE");
  const int file = path ? open(path, O_RDWR) : -1;
  if (file >= 0) s = mmap(0, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return number("FAKE_CUDA_INIT", 0);
}
int cuDriverGetVersion(int* version) {
  *version = number("FAKE_CUDA_VERSION", 13000);
  return 0;
}
int cuGetErrorName(int result, const char** name) {
  (void)result;
  *name = "CUDA_ERROR_FAKE";
  return 0;
}
int cuGetErrorString(int result, const char** text) {
  (void)result;
  *text = "as asked";
  return 0;
}
int cuDeviceGetCount(int* count) {
  *count = number("FAKE_CUDA_DEVICES", 1);
  return 0;
}
int cuDeviceGet(int* device, int index) {
  *device = index;
  return 0;
}
int cuDeviceGetName(char* name, int length, int device) {
  (void)device;
  strncpy(name, "Fake GPU", (size_t)length);
  return 0;
}
int cuDeviceGetPCIBusId(char* id, int length, int device) {
  (void)device;
  strncpy(id, "0000:3B:00.0", (size_t)length);
  return 0;
}
/* Of libnvidia-ml.so.1, which is this file under another name. */
int nvmlInit_v2(void) { return number("FAKE_NVML_INIT", 0); }
int nvmlDeviceGetHandleByPciBusId_v2(const char* id, void** device) {
  *device = (void*)1;
  return strcmp(id, "0000:3B:00.0") ? 6 : 0;
}
int nvmlDeviceGetMemoryInfo(void* device, unsigned long long memory[3]) {
  (void)device;
  memory[0] = 1 << 30, memory[1] = 700 << 20, memory[2] = 324 << 20;
  return 0;
}
int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  (void)device;
  *bytes = (size_t)1 << 30;
  return 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? number("FAKE_CUDA_MAJOR", 8) : attribute == 16 ? 10 : attribute == 97 ? 166912 : 0;
  return 0;
}

/* What all further calls begin with: one at a time, and none after the context is lost. */
#define CALL                                          \
  if (!s) return number("FAKE_CUDA_CALL", 999);       \
  __attribute__((cleanup(leave))) int entered = 1;    \
  (void)entered;                                      \
  pthread_mutex_lock(&mutex);                         \
  if (lost) return ILLEGAL_ADDRESS;
static void leave(int* entered) {
  (void)entered;
  pthread_mutex_unlock(&mutex);
}
static int misuse(void) {
  ++s->misuses;
  return INVALID;
}

/* Memory, of the device and of the host. */
struct block {
  struct block* next;
  char* data;
  size_t bytes;
  int onHost;
};
static struct block* blocks;

static int inBlock(const void* data, size_t bytes, int onHost) {
  for (struct block* b = blocks; b; b = b->next) {
    const char* begin = data;
    if (b->onHost == onHost && begin >= b->data && begin + bytes <= b->data + b->bytes) return 1;
  }
  return 0;
}
static int allocate(void** data, size_t bytes, int onHost) {
  ++*(onHost ? &s->hostAllocationCalls : &s->allocationCalls);
  if (s->failAllocation && s->allocationCalls + s->hostAllocationCalls >= s->failAllocation) return OUT_OF_MEMORY;
  struct block* b = malloc(sizeof *b);
  *b = (struct block){blocks, aligned_alloc(256, (bytes + 255) / 256 * 256), bytes, onHost};
  memset(b->data, 0xFF, bytes);
  blocks = b;
  ++*(onHost ? &s->hostAllocations : &s->allocations);
  if (!onHost) s->bytes += (int64_t)bytes;
  *data = b->data;
  return 0;
}
static int release(void* data, int onHost) {
  for (struct block** b = &blocks; *b; b = &(*b)->next) {
    struct block* found = *b;
    if (found->data != data || found->onHost != onHost) continue;
    *b = found->next;
    --*(onHost ? &s->hostAllocations : &s->allocations);
    if (!onHost) s->bytes -= (int64_t)found->bytes;
    free(found->data);
    free(found);
    return 0;
  }
  return misuse();
}
int cuMemAlloc_v2(uint64_t* address, size_t bytes) { CALL return allocate((void**)address, bytes, 0); }
int cuMemAllocHost_v2(void** data, size_t bytes) { CALL return allocate(data, bytes, 1); }
int cuMemGetInfo_v2(size_t* available, size_t* total) {
  CALL
  *total = (size_t)1 << 30;
  *available = *total - (size_t)s->bytes;
  return 0;
}

/* Work: copies and fills, in a list for a stream or a graph. */
struct work {
  struct work* next;
  void* to;
  const void* from; /* null: a fill */
  size_t bytes;
  unsigned word;
};
struct list {
  struct work* first;
  struct work** end;
  struct list* captured; /* of a stream while it records */
  struct list* after;    /* a stream whose work comes before what is done next */
};

static void append(struct list* list, struct work work) {
  if (!list->first) list->end = &list->first;
  *list->end = malloc(sizeof work);
  **list->end = work;
  (*list->end)->next = 0;
  list->end = &(*list->end)->next;
}
static void clear(struct list* list) {
  while (list->first) {
    struct work* next = list->first->next;
    free(list->first);
    list->first = next;
  }
}
/* Somebody asks for work: here it fails where it is told to. */
static int ask(void) {
  ++s->workCalls;
  if (s->failWork && s->workCalls >= s->failWork) lost = 1;
  return lost ? ILLEGAL_ADDRESS : 0;
}
static int add(struct list* stream, struct work work) {
  if (stream->captured) {
    append(stream->captured, work);
    return 0;
  }
  if (ask()) return ILLEGAL_ADDRESS;
  append(stream, work);
  ++s->pending;
  return 0;
}
/* Memory must still be there when the work is done, which frees of the device's wait for. */
static int finish(struct list* stream) {
  int result = 0;
  if (stream->after) result = finish(stream->after);
  stream->after = 0;
  s->pending = 0;
  for (struct work* w = stream->first; w; w = w->next) {
    if (!inBlock(w->to, w->bytes, 0) && !inBlock(w->to, w->bytes, 1)) result = misuse();
    else if (w->from) memmove(w->to, w->from, w->bytes);
    else for (size_t i = 0; i < w->bytes / 4; ++i) ((unsigned*)w->to)[i] = w->word;
  }
  clear(stream);
  return result;
}
static struct list* streams[16];
static void finishAll(void) {
  for (int i = 0; i < 16; ++i) {
    if (streams[i]) finish(streams[i]);
  }
}
int cuMemFree_v2(uint64_t address) {
  CALL
  finishAll();
  return release((void*)address, 0);
}
int cuMemFreeHost(void* data) {
  CALL
  finishAll();
  return release(data, 1);
}

int cuStreamCreate(struct list** stream, unsigned flags) {
  CALL
  (void)flags;
  *stream = calloc(1, sizeof **stream);
  streams[s->streams++ % 16] = *stream;
  return 0;
}
int cuStreamDestroy_v2(struct list* stream) {
  CALL
  (void)stream;
  --s->streams;
  return 0;
}
int cuStreamSynchronize(struct list* stream) {
  CALL
  if (ask()) return ILLEGAL_ADDRESS;
  return finish(stream);
}
int cuStreamQuery(struct list* stream) {
  CALL
  return s->busy ? NOT_READY : finish(stream);
}
int cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, struct list* stream) {
  CALL
  if (!inBlock((void*)to, bytes, 0)) return misuse();
  return add(stream, (struct work){0, (void*)to, from, bytes, 0});
}
int cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, struct list* stream) {
  CALL
  if (!inBlock((void*)from, bytes, 0)) return misuse();
  /* To memory that is not pinned a copy is done at once. */
  if (inBlock(to, bytes, 1)) return add(stream, (struct work){0, to, (void*)from, bytes, 0});
  if (ask()) return ILLEGAL_ADDRESS;
  finish(stream);
  memcpy(to, (void*)from, bytes);
  return 0;
}
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, struct list* stream) {
  CALL
  if (!inBlock((void*)to, bytes, 0) || !inBlock((void*)from, bytes, 0)) return misuse();
  return add(stream, (struct work){0, (void*)to, (void*)from, bytes, 0});
}
int cuMemsetD32Async(uint64_t to, unsigned word, size_t words, struct list* stream) {
  CALL
  if (!inBlock((void*)to, words * 4, 0)) return misuse();
  return add(stream, (struct work){0, (void*)to, 0, words * 4, word});
}
int cuLaunchKernel(void* function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                   unsigned blockZ, unsigned sharedBytes, struct list* stream, void** arguments, void** extra) {
  CALL
  (void)function, (void)gridX, (void)gridY, (void)gridZ, (void)blockX, (void)blockY, (void)blockZ, (void)sharedBytes;
  (void)arguments, (void)extra;
  return stream->captured ? 0 : ask();
}

int cuStreamBeginCapture_v2(struct list* stream, int mode) {
  CALL
  (void)mode;
  if (stream->captured) return misuse();
  stream->captured = calloc(1, sizeof(struct list));
  ++s->graphs;
  return 0;
}
int cuStreamEndCapture(struct list* stream, struct list** graph) {
  CALL
  if (!stream->captured) return misuse();
  *graph = stream->captured;
  stream->captured = 0;
  return 0;
}
/* Work is done in the order in which it was asked for, whatever it waits for. */
int cuStreamGetCaptureInfo_v2(struct list* stream, int* status, uint64_t* id, void** graph, const void** nodes,
                              size_t* count) {
  CALL
  (void)id, (void)graph;
  if (!stream->captured) return misuse();
  *status = 1;
  *nodes = 0;
  *count = 0;
  return 0;
}
int cuStreamUpdateCaptureDependencies(struct list* stream, void** nodes, size_t count, unsigned flags) {
  CALL
  (void)nodes;
  return stream->captured && count == 0 && flags == 1 ? 0 : misuse();
}
int cuGraphDestroy(struct list* graph) {
  CALL
  clear(graph);
  free(graph);
  --s->graphs;
  return 0;
}
int cuGraphInstantiateWithFlags(struct list** executable, struct list* graph, unsigned long long flags) {
  CALL
  (void)flags;
  *executable = calloc(1, sizeof(struct list));
  for (struct work* w = graph->first; w; w = w->next) append(*executable, *w);
  ++s->executables;
  return 0;
}
int cuGraphExecDestroy(struct list* executable) {
  CALL
  clear(executable);
  free(executable);
  --s->executables;
  return 0;
}
int cuGraphLaunch(struct list* executable, struct list* stream) {
  CALL
  if (ask()) return ILLEGAL_ADDRESS;
  for (struct work* w = executable->first; w; w = w->next, ++s->pending) append(stream, *w);
  return 0;
}

int cuDevicePrimaryCtxRetain(void** context, int device) {
  CALL
  (void)device;
  *context = s;
  ++s->contexts;
  return 0;
}
int cuDevicePrimaryCtxRelease_v2(int device) {
  CALL
  (void)device;
  --s->contexts;
  return 0;
}
int cuCtxSetCurrent(void* context) {
  CALL
  return context == s ? 0 : misuse();
}
int cuModuleLoadData(void** module, const void* image) {
  CALL
  *module = (void*)image;
  ++s->modules;
  return 0;
}
int cuModuleUnload(void* module) {
  CALL
  (void)module;
  --s->modules;
  return 0;
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
  CALL
  (void)name;
  *function = module;
  return 0;
}
int cuFuncSetAttribute(void* function, int attribute, int value) {
  CALL
  (void)function, (void)attribute, (void)value;
  return 0;
}

/* An event knows the stream in which it was recorded last. */
int cuEventCreate(struct list*** event, unsigned flags) {
  CALL
  (void)flags;
  *event = calloc(1, sizeof(struct list*));
  ++s->events;
  return 0;
}
int cuEventDestroy_v2(struct list** event) {
  CALL
  free(event);
  --s->events;
  return 0;
}
int cuEventRecord(struct list** event, struct list* stream) {
  CALL
  *event = stream;
  return 0;
}
int cuStreamWaitEvent(struct list* stream, struct list** event, unsigned flags) {
  CALL
  (void)flags;
  if (*event != stream) stream->after = *event;
  return 0;
}
int cuEventSynchronize(struct list** event) {
  if (s) usleep((useconds_t)s->slow * 1000);
  CALL
  if (ask()) return ILLEGAL_ADDRESS;
  return *event ? finish(*event) : 0;
}
#ifndef FAKE_CUDA_OLD
int cuEventElapsedTime(float* milliseconds, struct list** from, struct list** to) {
  CALL
  (void)from, (void)to;
  *milliseconds = 1;
  return 0;
}
#endif
