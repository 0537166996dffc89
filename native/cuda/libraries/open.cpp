#include "cuda/libraries/open.h"

#include <dlfcn.h>
#include <glob.h>
#include <link.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace chainrule::cuda {
namespace {

// Files of this name in a folder or, where it is one of Python's site-packages, in its nvidia/*/lib.
std::vector<std::string> filesNamed(const char* name, std::string_view folders) {
  std::vector<std::string> files;
  while (!folders.empty()) {
    const size_t end = folders.find(':');
    const std::string folder(folders.substr(0, end));
    folders = end == std::string_view::npos ? std::string_view() : folders.substr(end + 1);
    if (folder.empty()) continue;
    if (const std::string file = folder + "/" + name; access(file.c_str(), R_OK) == 0) files.push_back(file);
    glob_t found = {};
    if (glob((folder + "/nvidia/*/lib/" + name).c_str(), 0, nullptr, &found) == 0) {
      files.insert(files.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);  // sorted
    }
    globfree(&found);
  }
  return files;
}

}  // namespace

OpenedLibrary openVendorLibrary(std::span<const char* const> names, LibraryMemory memory) {
  const char* const variable = std::getenv("CHAINRULE_CUDA_LIBS");
  const std::string_view folders = variable ? variable : "";
  if (folders == "none") return {nullptr, "", "turned off by CHAINRULE_CUDA_LIBS=none"};
  OpenedLibrary result;
  std::string sought;
  const auto attempt = [&](const std::string& file) {
    void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
      const char* const error = dlerror();
      // A name that the system does not find is no news.
      if (result.reason.empty() && file.front() == '/') result.reason = std::string("could not be loaded: ") + error;
      return false;
    }
    const bool onHost = dlsym(handle, "chainruleComputesOnHost") != nullptr;
    if (onHost != (memory == LibraryMemory::host)) {
      if (result.reason.empty())
        result.reason = file + (onHost ? " is for the emulated device only" : " needs a GPU: the device is emulated");
      dlclose(handle);
      return false;
    }
    link_map* map = nullptr;
    result = {handle, dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 ? map->l_name : file, ""};
    return true;
  };
  for (const char* name : names) {
    for (const std::string& file : filesNamed(name, folders)) {
      if (attempt(file)) return result;
    }
  }
  for (const char* name : names) {
    // What needs a GPU would look for one as soon as it is loaded.
    if (memory == LibraryMemory::device && attempt(name)) return result;
    sought += (sought.empty() ? "" : " or ") + std::string(name);
  }
  if (result.reason.empty())
    result.reason =
        "not found: no " + sought + (folders.empty() ? "; CHAINRULE_CUDA_LIBS names folders to look in" : "");
  return result;
}

void VendorLibrary::failCall(const char* library, const char* call, int status, const char* name) const {
  fail("DEVICE", call, ": ", name ? name : std::to_string(status).c_str(), " (", library, " ", version, ", ", path,
       "). CHAINRULE_CUDA_LIBS=none does without NVIDIA's libraries");
}

std::string versionText(size_t version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

void* LibraryWorkspace::in(void* scratch) const {
  if (bytes == 0) return nullptr;
  const uintptr_t from = reinterpret_cast<uintptr_t>(scratch);
  return reinterpret_cast<void*>((from + kAlignment - 1) / kAlignment * kAlignment);
}

void* Symbols::address(const char* name) {
  void* const found = dlsym(library_, name);
  if (!found && !missing_) missing_ = name;
  return found;
}

}  // namespace chainrule::cuda
