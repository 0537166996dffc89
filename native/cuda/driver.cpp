#include "cuda/driver.h"

#include <dlfcn.h>

#include <algorithm>
#include <iterator>

namespace chainrule::cuda {
namespace {

constexpr int kOldestDriver = 12000;  // of the code that is embedded

const char* why(CuResult result) {
  switch (result) {
    case 34:
      return "the libcuda.so.1 found is a stub of a toolkit: remove it from the library path";
    case 35:
      return "the driver is older than this library needs: install driver 525 or newer";
    case 46:
      return "another process has the GPU for itself";
    case 100:
      return "the driver sees no GPU: check nvidia-smi, CUDA_VISIBLE_DEVICES and the container's --gpus option";
    case 101:
      return "CUDA_VISIBLE_DEVICES names a GPU that is not there";
    case 803:
      return "kernel module and libcuda.so.1 are of different versions: restart the machine after a driver update";
    case 804:
      return "the container's forward-compatible libcuda.so.1 does not fit this GPU";
    case 999:
      return "the driver failed to start: check nvidia-smi and the permissions of /dev/nvidia*";
    default:
      return "";
  }
}

void open(DriverState& state) {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    state.outcome = {"DEVICE", "no NVIDIA driver is installed (no libcuda.so.1)"};
    return;
  }
  const char* missing = nullptr;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (!function && !missing) missing = name;
  };
  Driver& d = state.driver;
  find(d.init, "cuInit");
  find(d.driverGetVersion, "cuDriverGetVersion");
  find(d.getErrorName, "cuGetErrorName");
  find(d.getErrorString, "cuGetErrorString");
  find(d.deviceGetCount, "cuDeviceGetCount");
  find(d.deviceGet, "cuDeviceGet");
  find(d.deviceGetName, "cuDeviceGetName");
  find(d.deviceGetPciBusId, "cuDeviceGetPCIBusId");
  find(d.deviceTotalMem, "cuDeviceTotalMem_v2");
  find(d.deviceGetAttribute, "cuDeviceGetAttribute");
  find(d.devicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain");
  find(d.devicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2");
  find(d.ctxSetCurrent, "cuCtxSetCurrent");
  find(d.moduleLoadData, "cuModuleLoadData");
  find(d.moduleUnload, "cuModuleUnload");
  find(d.moduleGetFunction, "cuModuleGetFunction");
  find(d.funcSetAttribute, "cuFuncSetAttribute");
  find(d.memGetInfo, "cuMemGetInfo_v2");
  find(d.memAlloc, "cuMemAlloc_v2");
  find(d.memFree, "cuMemFree_v2");
  find(d.memAllocHost, "cuMemAllocHost_v2");
  find(d.memFreeHost, "cuMemFreeHost");
  find(d.memcpyHtoDAsync, "cuMemcpyHtoDAsync_v2");
  find(d.memcpyDtoHAsync, "cuMemcpyDtoHAsync_v2");
  find(d.memcpyDtoDAsync, "cuMemcpyDtoDAsync_v2");
  find(d.memsetD32Async, "cuMemsetD32Async");
  find(d.streamCreate, "cuStreamCreate");
  find(d.streamDestroy, "cuStreamDestroy_v2");
  find(d.streamSynchronize, "cuStreamSynchronize");
  find(d.streamQuery, "cuStreamQuery");
  find(d.streamWaitEvent, "cuStreamWaitEvent");
  find(d.streamBeginCapture, "cuStreamBeginCapture_v2");
  find(d.streamEndCapture, "cuStreamEndCapture");
  find(d.streamGetCaptureInfo, "cuStreamGetCaptureInfo_v2");
  find(d.streamUpdateCaptureDependencies, "cuStreamUpdateCaptureDependencies");
  find(d.graphInstantiate, "cuGraphInstantiateWithFlags");
  find(d.graphLaunch, "cuGraphLaunch");
  find(d.graphDestroy, "cuGraphDestroy");
  find(d.graphExecDestroy, "cuGraphExecDestroy");
  find(d.launchKernel, "cuLaunchKernel");
  find(d.eventCreate, "cuEventCreate");
  find(d.eventDestroy, "cuEventDestroy_v2");
  find(d.eventRecord, "cuEventRecord");
  find(d.eventSynchronize, "cuEventSynchronize");
  find(d.eventElapsedTime, "cuEventElapsedTime");
  if (missing) {
    state.outcome = {"DEVICE", std::string("the NVIDIA driver is too old (no ") + missing +
                                   " in libcuda.so.1): install driver 525 or newer"};
    return;
  }
  if (const CuResult result = d.init(0)) {
    state.outcome = outcomeOf(d, result, "cuInit");
    return;
  }
  d.driverGetVersion(&state.version);
  if (state.version < kOldestDriver) {
    state.outcome = {"DEVICE", "the NVIDIA driver supports CUDA " + std::to_string(state.version / 1000) + "." +
                                   std::to_string(state.version % 1000 / 10) +
                                   ", this library needs 12.0: install driver 525 or newer"};
  }
}

}  // namespace

const DriverState& driverState() {
  static const DriverState* const state = [] {
    auto* fresh = new DriverState;
    open(*fresh);
    return fresh;
  }();
  return *state;
}

std::string errorText(const Driver& driver, CuResult result) {
  const char *name = nullptr, *text = nullptr;
  driver.getErrorName(result, &name);
  driver.getErrorString(result, &text);
  return (name ? std::string(name) : "error " + std::to_string(result)) + (text ? std::string(" (") + text + ")" : "");
}

Outcome outcomeOf(const Driver& driver, CuResult result, const char* call) {
  if (result == 0) return {};
  const std::string text = std::string(call) + ": " + errorText(driver, result);
  if (result == 2) {
    return {"DEVICE_OOM",
            text + ". Use a smaller batch, compile with memoryBudget, or free memory of this and other processes"};
  }
  // After these the context is lost, whatever the next call is (CUDA driver API, CUresult).
  constexpr CuResult sticky[] = {214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719};
  if (std::find(std::begin(sticky), std::end(sticky), result) != std::end(sticky)) {
    return {"DEVICE_LOST",
            text + ". This process has lost the GPU: models on the CPU go on working, start a new process for the GPU"};
  }
  const std::string cause = why(result);
  return {"DEVICE", cause.empty() ? text : cause + " (" + text + ")"};
}

}  // namespace chainrule::cuda
