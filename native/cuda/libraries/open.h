#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

// NVIDIA's libraries where they are installed. Nothing of them is linked, and no header is needed.
namespace chainrule::cuda {

// Where kernels of a library find their operands: no library may be given to the wrong kind of device.
enum class LibraryMemory { device, host };

// `handle` or, in one line, why there is none.
struct OpenedLibrary {
  void* handle = nullptr;
  std::string path, reason;
};

// The first of the names that is there: in the folders of CHAINRULE_CUDA_LIBS (and their nvidia/*/lib, as pip
// installs), then where the system looks. "none" in that variable finds nothing. A library that computes in the host's
// memory, as the emulated grid needs it, says so by the symbol chainruleComputesOnHost.
OpenedLibrary openVendorLibrary(std::span<const char* const> names, LibraryMemory memory);

// A library as far as all are alike. Its functions are there if `reason` is empty; else that says in one line why it is
// not used.
struct VendorLibrary {
  std::string version, path, reason;

 protected:
  // Throws what a failed call has to say; `status` may have a name.
  [[noreturn]] void failCall(const char* library, const char* call, int status, const char* name) const;
};
// "13.1.0", as NVIDIA's libraries number them since version 9.
std::string versionText(size_t version);

// Scratch of a call: a plan places it anywhere, calls want it aligned.
struct LibraryWorkspace {
  size_t bytes = 0;

  int64_t scratchBytes() const { return bytes > 0 ? int64_t(bytes + kAlignment) : 0; }
  void* in(void* scratch) const;  // null where none is needed

 private:
  static constexpr size_t kAlignment = 256;
};

// Fills pointers to functions of a library; `missing` names the first that it lacks.
class Symbols {
 public:
  explicit Symbols(void* library) : library_(library) {}
  template <typename Function>
  void find(Function& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<Function>>(address(name));
  }
  const char* missing() const { return missing_; }

 private:
  void* address(const char* name);

  void* library_;
  const char* missing_ = nullptr;
};

}  // namespace chainrule::cuda
