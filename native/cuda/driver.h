#pragma once

#include <cstddef>
#include <cstdint>

#include "plan/device.h"

// The functions of NVIDIA's driver that are used here, from libcuda.so.1, opened at first use. Own declarations:
// neither headers nor libraries of a toolkit are needed. Names and meanings as in the CUDA driver API's documentation.
namespace chainrule::cuda {

using CuResult = int;  // 0: success
using CuDevice = int;
using CuContext = struct CuContextRecord*;
using CuModule = struct CuModuleRecord*;
using CuFunction = struct CuFunctionRecord*;
using CuStream = struct CuStreamRecord*;
using CuEvent = struct CuEventRecord*;
using CuGraph = struct CuGraphRecord*;
using CuGraphNode = struct CuGraphNodeRecord*;
using CuGraphExec = struct CuGraphExecRecord*;
using CuPointer = uint64_t;

struct Driver {
  CuResult (*init)(unsigned flags);
  CuResult (*driverGetVersion)(int* version);
  CuResult (*getErrorName)(CuResult, const char** name);
  CuResult (*getErrorString)(CuResult, const char** text);
  CuResult (*deviceGetCount)(int* count);
  CuResult (*deviceGet)(CuDevice*, int index);
  CuResult (*deviceGetName)(char* name, int length, CuDevice);
  CuResult (*deviceGetPciBusId)(char* id, int length, CuDevice);
  CuResult (*deviceTotalMem)(size_t* bytes, CuDevice);
  CuResult (*deviceGetAttribute)(int* value, int attribute, CuDevice);
  CuResult (*devicePrimaryCtxRetain)(CuContext*, CuDevice);
  CuResult (*devicePrimaryCtxRelease)(CuDevice);
  CuResult (*ctxSetCurrent)(CuContext);
  CuResult (*moduleLoadData)(CuModule*, const void* image);
  CuResult (*moduleUnload)(CuModule);
  CuResult (*moduleGetFunction)(CuFunction*, CuModule, const char* name);
  CuResult (*funcSetAttribute)(CuFunction, int attribute, int value);
  CuResult (*memGetInfo)(size_t* free, size_t* total);
  CuResult (*memAlloc)(CuPointer*, size_t bytes);
  CuResult (*memFree)(CuPointer);
  CuResult (*memAllocHost)(void**, size_t bytes);
  CuResult (*memFreeHost)(void*);
  CuResult (*memcpyHtoDAsync)(CuPointer, const void*, size_t bytes, CuStream);
  CuResult (*memcpyDtoHAsync)(void*, CuPointer, size_t bytes, CuStream);
  CuResult (*memcpyDtoDAsync)(CuPointer, CuPointer, size_t bytes, CuStream);
  CuResult (*memsetD32Async)(CuPointer, unsigned word, size_t words, CuStream);
  CuResult (*streamCreate)(CuStream*, unsigned flags);
  CuResult (*streamDestroy)(CuStream);
  CuResult (*streamSynchronize)(CuStream);
  CuResult (*streamQuery)(CuStream);
  CuResult (*streamWaitEvent)(CuStream, CuEvent, unsigned flags);
  CuResult (*streamBeginCapture)(CuStream, int mode);
  CuResult (*streamEndCapture)(CuStream, CuGraph*);
  CuResult (*streamGetCaptureInfo)(CuStream, int* status, uint64_t* id, CuGraph*, const CuGraphNode** dependencies,
                                   size_t* count);
  CuResult (*streamUpdateCaptureDependencies)(CuStream, CuGraphNode* dependencies, size_t count, unsigned flags);
  CuResult (*graphInstantiate)(CuGraphExec*, CuGraph, unsigned long long flags);
  CuResult (*graphLaunch)(CuGraphExec, CuStream);
  CuResult (*graphDestroy)(CuGraph);
  CuResult (*graphExecDestroy)(CuGraphExec);
  CuResult (*launchKernel)(CuFunction, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
                           unsigned blockZ, unsigned sharedBytes, CuStream, void** arguments, void** extra);
  CuResult (*eventCreate)(CuEvent*, unsigned flags);
  CuResult (*eventDestroy)(CuEvent);
  CuResult (*eventRecord)(CuEvent, CuStream);
  CuResult (*eventSynchronize)(CuEvent);
  CuResult (*eventElapsedTime)(float* milliseconds, CuEvent from, CuEvent to);
};

// The driver, or why there is none. Tried once.
struct DriverState {
  Driver driver = {};
  int version = 0;  // 13000 = 13.0
  Outcome outcome;
};
const DriverState& driverState();

// "CUDA_ERROR_OUT_OF_MEMORY: out of memory", as the driver says it.
std::string errorText(const Driver& driver, CuResult result);
// What to tell a user about a failed call; codes after which the process must give up the device are DEVICE_LOST.
Outcome outcomeOf(const Driver& driver, CuResult result, const char* call);

}  // namespace chainrule::cuda
