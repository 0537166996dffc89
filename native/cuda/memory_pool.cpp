#include "cuda/memory_pool.h"

#include <iterator>

namespace chainrule::cuda {
namespace {

constexpr int64_t kUnit = 256;  // what a kernel may count on as alignment
constexpr int64_t kSmall = 1 << 20, kPiece = 2 << 20;

int64_t roundUp(int64_t bytes, int64_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

std::string MemoryPool::askedText(int64_t bytes) const {
  return "out of memory on " + source_.name + ": " + std::to_string(bytes) + " bytes asked, " + std::to_string(used_) +
         " in use by this process";
}

Outcome MemoryPool::allocate(int64_t bytes, void*& memory) {
  const int64_t size = source_.pools ? roundUp(bytes, kUnit) : bytes;
  std::byte* block = takeFree(size);
  if (!block && resting_) {
    wakeResting();
    block = takeFree(size);
  }
  if (!block) {
    if (Outcome outcome = grow(size); outcome.failed()) return outcome;
    block = takeFree(size);
  }
  memory = block;
  used_ += blocks_.at(block).bytes;
  return {};
}

// The smallest block that fits. What remains of a small one is another block.
std::byte* MemoryPool::takeFree(int64_t bytes) {
  const auto found = free_.lower_bound({bytes, nullptr});
  if (found == free_.end()) return nullptr;
  const auto [size, address] = *found;
  const bool small = bytes <= kSmall && source_.pools;
  // A large piece stays whole: a small block in it would keep all of it from going back.
  if (size > roundUp(small ? kPiece : bytes + bytes / 4, kPiece)) return nullptr;
  free_.erase(found);
  Block& block = blocks_.at(address);
  block.state = State::used;
  if (small && size > bytes) {
    block.bytes = bytes;
    blocks_[address + bytes] = {size - bytes, block.piece, State::free};
    free_.insert({size - bytes, address + bytes});
  }
  return address;
}

Outcome MemoryPool::grow(int64_t bytes) {
  const int64_t piece = !source_.pools ? bytes : bytes <= kSmall ? kPiece : roundUp(bytes, kPiece);
  Outcome outcome = takePiece(piece, bytes);
  if (outcome.code != "DEVICE_OOM") return outcome;
  trim();
  return takePiece(bytes, bytes);
}

Outcome MemoryPool::takePiece(int64_t bytes, int64_t asked) {
  if (limit_ > 0 && bytes > limit_ - held_) {
    return {"DEVICE_OOM", askedText(asked) + ", which may take " + std::to_string(limit_) +
                              " (setDeviceMemoryLimit or CHAINRULE_CUDA_MEMORY_LIMIT). Use a smaller batch, compile "
                              "with memoryBudget, or raise the limit"};
  }
  void* memory = nullptr;
  const Outcome outcome = source_.take(bytes, memory);
  if (outcome.code == "DEVICE_OOM") return {outcome.code, askedText(asked) + ". " + outcome.message};
  if (outcome.failed()) return outcome;
  std::byte* const piece = static_cast<std::byte*>(memory);
  pieces_[piece] = bytes;
  held_ += bytes;
  blocks_[piece] = {bytes, piece, State::free};
  free_.insert({bytes, piece});
  return {};
}

void MemoryPool::release(void* memory) {
  const auto block = blocks_.find(static_cast<std::byte*>(memory));
  used_ -= block->second.bytes;
  block->second.state = State::resting;
  resting_ = true;
  if (!source_.pools) wakeResting();
}

// Joins the block with the free ones before and after it in its piece.
void MemoryPool::free(Blocks::iterator block) {
  block->second.state = State::free;
  const auto joins = [&](Blocks::iterator other) {
    return other->second.state == State::free && other->second.piece == block->second.piece;
  };
  if (const auto next = std::next(block); next != blocks_.end() && joins(next)) {
    free_.erase({next->second.bytes, next->first});
    block->second.bytes += next->second.bytes;
    blocks_.erase(next);
  }
  if (block != blocks_.begin() && joins(std::prev(block))) {
    const auto before = std::prev(block);
    free_.erase({before->second.bytes, before->first});
    before->second.bytes += block->second.bytes;
    blocks_.erase(block);
    block = before;
  }
  free_.insert({block->second.bytes, block->first});
  if (!source_.pools) givePiece(block->first);
}

void MemoryPool::wakeResting() {
  source_.settle();
  resting_ = false;
  for (auto block = blocks_.begin(); block != blocks_.end();) {
    const auto next = std::next(block);
    if (block->second.state == State::resting) {
      // Freeing joins it with what follows, so the walk begins behind that.
      std::byte* const end = block->first + block->second.bytes;
      free(block);
      block = blocks_.lower_bound(end);
    } else {
      block = next;
    }
  }
}

void MemoryPool::trim() {
  wakeResting();
  for (auto piece = pieces_.begin(); piece != pieces_.end();) {
    const auto [address, bytes] = *piece++;
    const Block& block = blocks_.at(address);
    if (block.state == State::free && block.bytes == bytes) givePiece(address);
  }
}

void MemoryPool::givePiece(std::byte* piece) {
  const auto found = pieces_.find(piece);
  free_.erase({found->second, piece});
  blocks_.erase(piece);
  held_ -= found->second;
  pieces_.erase(found);
  source_.give(piece);
}

}  // namespace chainrule::cuda
