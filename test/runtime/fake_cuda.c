/* A libcuda.so.1 without a GPU, for test/runtime/driver.test.ts: every entry point is there; cuInit answers FAKE_CUDA_INIT,
   the version is FAKE_CUDA_VERSION, and FAKE_CUDA_DEVICES devices of compute capability FAKE_CUDA_MAJOR.0 exist. */
#include <stdlib.h>
#include <string.h>

static int number(const char* name, int otherwise) {
  const char* text = getenv(name);
  return text ? atoi(text) : otherwise;
}

int cuInit(unsigned flags) {
  (void)flags;
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
int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  (void)device;
  *bytes = (size_t)1 << 30;
  return 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? number("FAKE_CUDA_MAJOR", 8) : attribute == 16 ? 10 : 0;
  return 0;
}

#define FAILS(name) \
  int name(void) { return number("FAKE_CUDA_CALL", 999); }
FAILS(cuDevicePrimaryCtxRetain)
FAILS(cuDevicePrimaryCtxRelease_v2)
FAILS(cuCtxSetCurrent)
FAILS(cuModuleLoadData)
FAILS(cuModuleUnload)
FAILS(cuModuleGetFunction)
FAILS(cuFuncSetAttribute)
FAILS(cuMemAlloc_v2)
FAILS(cuMemFree_v2)
FAILS(cuMemAllocHost_v2)
FAILS(cuMemFreeHost)
FAILS(cuMemcpyHtoDAsync_v2)
FAILS(cuMemcpyDtoHAsync_v2)
FAILS(cuMemcpyDtoDAsync_v2)
FAILS(cuMemsetD32Async)
FAILS(cuStreamCreate)
FAILS(cuStreamDestroy_v2)
FAILS(cuStreamSynchronize)
FAILS(cuStreamBeginCapture_v2)
FAILS(cuStreamEndCapture)
FAILS(cuGraphInstantiateWithFlags)
FAILS(cuGraphLaunch)
FAILS(cuGraphDestroy)
FAILS(cuGraphExecDestroy)
FAILS(cuLaunchKernel)
FAILS(cuEventCreate)
FAILS(cuEventDestroy_v2)
FAILS(cuEventRecord)
FAILS(cuEventSynchronize)
#ifndef FAKE_CUDA_OLD
FAILS(cuEventElapsedTime)
#endif
