#include "runtime/variable.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "base/bfloat16.h"
#include "base/panels.h"

namespace chainrule {
namespace {

std::mutex& registryMutex() {
  static std::mutex* mutex = new std::mutex;  // leaked: workers may outlive static destruction
  return *mutex;
}

std::map<int64_t, std::weak_ptr<Variable>>& registry() {
  static auto* map = new std::map<int64_t, std::weak_ptr<Variable>>;
  return *map;
}

size_t paddedBytes(const Variable& variable) { return size_t((variable.bytes() + 63) / 64 * 64); }

// visit(byte in the panels, byte in row-major order, bytes) for each run of a matrix that is in one piece in both.
template <typename Visit>
void eachPanelRun(DType type, const Dims& dims, Visit visit) {
  const int64_t columns = dims.back(), rows = columns == 0 ? 0 : elementCount(dims) / columns;
  const int64_t bytes = byteSize(type), run = panelGroup(type) > 1 ? 1 : 16;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; column += run) {
      visit(panelIndex(type, rows, row, column) * bytes, (row * columns + column) * bytes,
            std::min(run, columns - column) * bytes);
    }
  }
}

}  // namespace

std::byte* VariableStorage::onHost() {
  if (newest_) download();
  return buffer_.data();
}

void VariableStorage::download() {
  const std::lock_guard guard(mutex_);
  OpenDevice* const device = newest_;
  if (!device) return;
  for (const Mirror& mirror : mirrors_) {
    if (mirror.device == device) device->download(buffer_.data(), mirror.memory.data(), int64_t(buffer_.size()));
  }
  newest_ = nullptr;
}

std::byte* VariableStorage::onDevice(OpenDevice& device) {
  const Mirror* const last = last_.load(std::memory_order_acquire);
  if (last && last->device == &device &&
      last->written.load(std::memory_order_acquire) == written_.load(std::memory_order_acquire)) {
    return last->memory.data();
  }
  onHost();
  const std::lock_guard guard(mutex_);
  auto mirror = std::find_if(mirrors_.begin(), mirrors_.end(), [&](const Mirror& m) { return m.device == &device; });
  if (mirror == mirrors_.end()) mirror = mirrors_.emplace(mirror, device);
  if (mirror->written != written_) {
    if (!mirror->memory.data()) mirror->memory = DeviceMemory(device, int64_t(buffer_.size()));
    device.upload(mirror->memory.data(), buffer_.data(), int64_t(buffer_.size()));
    mirror->written = written_.load();
  }
  last_ = &*mirror;
  return mirror->memory.data();
}

void VariableStorage::wroteOnDevice(OpenDevice& device) {
  wroteOnHost();
  for (Mirror& mirror : mirrors_) {
    if (mirror.device == &device) {
      mirror.written = written_.load();
      last_ = &mirror;
    } else {
      mirror.memory = DeviceMemory();
    }
  }
  newest_ = &device;
}

void VariableStorage::forgetNewest() {
  newest_ = nullptr;
  ++written_;
}

Variable::Variable(std::string name, DType dtype, Dims dims, double fill)
    : name(std::move(name)), dtype(dtype), dims(dims), domain_(std::make_shared<LockDomain>()) {
  storage_ = std::make_shared<VariableStorage>(paddedBytes(*this));
  if (fill == 0) return;
  const int64_t count = elementCount(dims);
  if (dtype == DType::f32) std::fill_n(reinterpret_cast<float*>(data()), count, float(fill));
  if (dtype == DType::i32) std::fill_n(reinterpret_cast<int32_t*>(data()), count, int32_t(fill));
  if (dtype == DType::u32) std::fill_n(reinterpret_cast<uint32_t*>(data()), count, uint32_t(fill));
  if (dtype == DType::bf16) std::fill_n(reinterpret_cast<uint16_t*>(data()), count, roundToBfloat16(float(fill)));
  if (byteSize(dtype) == 1) std::fill_n(reinterpret_cast<uint8_t*>(data()), count, uint8_t(fill));
}

std::byte* Variable::data() const {
  try {
    return storage_->onHost() + offset_;
  } catch (const Error& error) {
    if (error.code() != "DEVICE_LOST") throw;
    const OpenDevice* const newest = storage_->newest();
    if (!newest || newest == domain_->forgotten) {  // null: another reader was here
      if (newest) storage_->forgetNewest();
      return storage_->address() + offset_;
    }
    fail("DEVICE_LOST", "the newest values of \"", name, "\" were on ", newest->device->description().id,
         ", which this process has lost, and are gone with it. Give the model weights again (loadWeights, setWeights), "
         "which also sets what goes with them back to its last state outside of the GPU, or load a checkpoint");
  }
}

std::byte* Variable::dataToWrite() {
  OpenDevice* const newest = storage_->newest();
  if (newest && newest->lost()) {
    // A state of its own is given up alone, weights that an optimizer keeps together with all that belongs to them.
    if (storage_->size() == paddedBytes(*this)) {
      storage_->forgetNewest();
    } else {
      domain_->forgotten = newest;
    }
  }
  return data();
}

void Variable::fixLayout(Layout layout) {
  if (layoutFixed_ && layout != layout_) fail("INTERNAL", "variable \"", name, "\" already has another layout");
  convert(layout);
  layoutFixed_ = true;
}

void Variable::unpack() {
  convert(Layout::rowMajor);
  layoutFixed_ = true;
}

void Variable::convert(Layout layout) {
  if (layout == layout_) return;
  Buffer rows{size_t(elementCount(dims) * byteSize(dtype))};
  read(rows.data());
  layout_ = layout;
  storage_ = std::make_shared<VariableStorage>(paddedBytes(*this));
  offset_ = 0;
  write(rows.data());
}

void Variable::read(std::byte* rowMajor) const {
  if (layout_ == Layout::rowMajor) {
    std::memcpy(rowMajor, data(), size_t(bytes()));
    return;
  }
  const std::byte* panels = data();
  eachPanelRun(dtype, dims, [&](int64_t panel, int64_t row, int64_t bytes) {
    std::memcpy(rowMajor + row, panels + panel, size_t(bytes));
  });
}

void Variable::write(const std::byte* rowMajor) {
  if (layout_ == Layout::rowMajor) {
    std::memcpy(dataToWrite(), rowMajor, size_t(bytes()));
  } else {
    std::byte* panels = dataToWrite();
    eachPanelRun(dtype, dims, [&](int64_t panel, int64_t row, int64_t bytes) {
      std::memcpy(panels + panel, rowMajor + row, size_t(bytes));
    });
  }
  touch();
}

void Variable::compact() {
  if (storage_->size() == paddedBytes(*this)) return;
  const auto own = std::make_shared<VariableStorage>(paddedBytes(*this));
  std::memcpy(own->address(), data(), size_t(bytes()));
  storage_ = own;
  offset_ = 0;
}

std::shared_ptr<LockDomain> Variable::domain() const {
  const std::lock_guard guard(registryMutex());
  return domain_;
}

std::shared_ptr<LockDomain> joinDomains(std::span<const std::shared_ptr<Variable>> variables) {
  if (variables.empty()) return std::make_shared<LockDomain>();
  // One joiner at a time; it takes the old domains one after the other while it moves their variables. A runner that
  // waited for an old domain sees after locking that its variable moved on, and follows.
  static std::mutex* joining = new std::mutex;
  const std::lock_guard guard(*joining);
  const std::shared_ptr<LockDomain> target = variables[0]->domain();
  for (const auto& variable : variables) {
    const std::shared_ptr<LockDomain> old = variable->domain();
    if (old == target) continue;
    const std::unique_lock wait(old->mutex);
    const std::lock_guard registryGuard(registryMutex());
    variable->domain_ = target;
    if (old->forgotten) target->forgotten = old->forgotten.load();
  }
  return target;
}

std::unique_lock<std::shared_mutex> lockExclusive(const Variable& variable) {
  for (;;) {
    const std::shared_ptr<LockDomain> domain = variable.domain();
    std::unique_lock lock(domain->mutex);
    if (variable.domain() == domain) return lock;
  }
}

bool isContiguous(std::span<const std::shared_ptr<Variable>> variables) {
  const std::byte* next = variables[0]->storage_->address() + variables[0]->offset_;
  for (const auto& variable : variables) {
    if (variable->storage_->address() + variable->offset_ != next) return false;
    next += paddedBytes(*variable);
  }
  return true;
}

void makeContiguous(std::span<const std::shared_ptr<Variable>> variables) {
  size_t total = 0;
  for (const auto& variable : variables) total += paddedBytes(*variable);
  const auto storage = std::make_shared<VariableStorage>(total);
  int64_t offset = 0;
  for (const auto& variable : variables) {
    std::memcpy(storage->address() + offset, variable->data(), size_t(variable->bytes()));
    variable->storage_ = storage;
    variable->offset_ = offset;
    offset += int64_t(paddedBytes(*variable));
  }
}

int64_t shareVariable(const std::shared_ptr<Variable>& variable) {
  static int64_t next = 1;
  const std::lock_guard guard(registryMutex());
  for (auto entry = registry().begin(); entry != registry().end();) {
    if (entry->second.lock() == variable) return entry->first;
    entry = entry->second.expired() ? registry().erase(entry) : std::next(entry);
  }
  registry()[next] = variable;
  return next++;
}

std::shared_ptr<Variable> attachVariable(int64_t token) {
  const std::lock_guard guard(registryMutex());
  const auto found = registry().find(token);
  const std::shared_ptr<Variable> variable = found == registry().end() ? nullptr : found->second.lock();
  if (!variable)
    fail("VALUE", "no variable is shared under ", token, ": keep the sharing worker's handle alive until attach");
  return variable;
}

}  // namespace chainrule
