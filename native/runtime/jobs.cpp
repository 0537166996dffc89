#include "runtime/jobs.h"

#include <algorithm>
#include <cstring>

#include "base/permutation.h"

namespace chainrule {
namespace {

constexpr int64_t kShared = 1 << 16;  // bytes of a column from which the team copies together

// Rows of a column in the order of `order`.
void copyRows(const std::byte* from, int64_t rowBytes, std::span<const int32_t> order, std::byte* to) {
  if (rowBytes == 4) {  // a constant size is copied without a call
    for (size_t i = 0; i < order.size(); ++i) std::memcpy(to + i * 4, from + int64_t(order[i]) * 4, 4);
  } else {
    for (size_t i = 0; i < order.size(); ++i)
      std::memcpy(to + int64_t(i) * rowBytes, from + order[i] * rowBytes, size_t(rowBytes));
  }
}

}  // namespace

bool RunJob::usesTeam() { return program->usesTeam(program->batchOf(inputs)); }

bool RunJob::step(Machine& machine) {
  const int64_t batch = program->batchOf(inputs);
  if (checkFinite) program->expectFinite(inputs);
  std::vector<const void*> in;
  std::vector<void*> out;
  for (const ArrayRef& input : inputs) in.push_back(input.data);
  for (const TensorType& type : program->outputTypes(batch)) {
    results.push_back({type, Buffer(size_t(type.bytes()))});
    out.push_back(results.back().data.data());
  }
  const int repeats = std::max(1, timedRepeats);
  for (int i = 0; i < repeats; ++i) {
    program->run(machine, {batch, in, out, rowOffset, nullptr, timedRepeats > 0});
  }
  return false;
}

EpochJob::EpochJob(std::shared_ptr<Program> program, std::shared_ptr<Dataset> dataset, EpochOptions options)
    : program_(std::move(program)), dataset_(std::move(dataset)), options_(options) {
  const EpochOptions& o = options_;
  if (o.batchSize < 1 || o.begin < 0 || o.end > dataset_->rows() || o.begin >= o.end || o.steps < 1 ||
      o.firstStep < 0 || (o.firstStep + o.steps - 1) * o.batchSize >= o.end - o.begin) {
    fail("INPUT", "the epoch's rows ", o.begin, " to ", o.end, " and steps ", o.firstStep, " to ",
         o.firstStep + o.steps, " do not fit a dataset of ", dataset_->rows(), " rows");
  }
}

int64_t EpochJob::batchAt(int64_t step) const {
  const int64_t first = (options_.firstStep + step) * options_.batchSize;
  return std::min(options_.batchSize, options_.end - options_.begin - first);
}

bool EpochJob::usesTeam() { return program_->usesTeam(batchAt(done_)); }

int64_t EpochJob::reserve(int64_t bytes) {
  const int64_t offset = stagingBytes_;
  stagingBytes_ += (bytes + 63) / 64 * 64;
  return offset;
}

void EpochJob::start() {
  started_ = true;
  program_->settle(false);  // of a job that was stopped
  std::vector<ArrayRef> one;
  for (const Column& column : dataset_->columns()) {
    one.push_back(column.array);
    one.back().dims[0] = batchAt(0);
    staged_.push_back(reserve(options_.shuffle ? column.rowBytes() * options_.batchSize : 0));
  }
  program_->batchOf(one);  // the columns fit the program's inputs
  if (options_.shuffle) {
    order_.resize(size_t(options_.end - options_.begin));
    permutation(uint32_t(options_.seed), uint32_t(options_.seed >> 32), options_.epoch, order_);
  }
  const Graph& graph = program_->graph();
  int64_t rows = 0;
  for (int64_t i = 0; i < options_.steps; ++i) rows += batchAt(i);
  const auto types = program_->outputTypes(options_.collect ? rows : options_.batchSize);
  for (size_t i = 0; i < types.size(); ++i) {
    const Shape& shape = graph.type(graph.outputs[i]).shape;
    rowwise_.push_back(!shape.empty() && shape[0].perBatch);
    if (options_.collect) {
      results.push_back({types[i], Buffer(size_t(types[i].bytes()))});
    } else {
      dropped_.push_back(reserve(types[i].bytes()));
    }
  }
}

// Pointers to a batch's rows: in the dataset itself when they lie together, else copied row by row.
std::vector<const void*> EpochJob::gather(Machine& machine, int64_t firstRow, int64_t batch) {
  std::vector<const void*> inputs;
  for (size_t i = 0; i < staged_.size(); ++i) {
    const Column& column = dataset_->columns()[i];
    const int64_t rowBytes = column.rowBytes();
    const std::byte* data = static_cast<const std::byte*>(column.array.data) + options_.begin * rowBytes;
    if (!options_.shuffle) {
      inputs.push_back(data + firstRow * rowBytes);
      continue;
    }
    std::byte* const target = staging_ + staged_[i];
    const std::span<const int32_t> order(order_.data() + firstRow, size_t(batch));
    const auto part = [&](int member) {
      const cpu::Range rows = cpu::partOf(batch, 1, member, machine.members());
      copyRows(data, rowBytes, order.subspan(size_t(rows.begin), size_t(rows.end - rows.begin)),
               target + rows.begin * rowBytes);
    };
    if (batch * rowBytes >= kShared) {
      machine.share(part);
    } else {
      copyRows(data, rowBytes, order, target);
    }
    inputs.push_back(target);
  }
  return inputs;
}

std::vector<void*> EpochJob::outputsAt(int64_t firstRow, int64_t batch) {
  std::vector<void*> outputs;
  const auto types = options_.collect ? program_->outputTypes(batch) : std::vector<TensorType>{};
  for (size_t i = 0; i < rowwise_.size(); ++i) {
    if (!options_.collect) {
      outputs.push_back(staging_ + dropped_[i]);
      continue;
    }
    const int64_t perRow = rowwise_[i] ? types[i].bytes() / batch : 0;
    outputs.push_back(results[i].data.data() + firstRow * perRow);
  }
  return outputs;
}

bool EpochJob::step(Machine& machine) {
  if (!started_) start();
  staging_ = machine.staging(stagingBytes_);
  const int64_t batch = batchAt(done_);
  const int64_t firstRow = (options_.firstStep + done_) * options_.batchSize;
  const std::vector<const void*> inputs = gather(machine, firstRow, batch);
  const std::vector<void*> outputs = outputsAt(firstRow - options_.firstStep * options_.batchSize, batch);
  const bool last = done_ + 1 == options_.steps;
  program_->run(machine, {batch, inputs, outputs, firstRow, nullptr, false, !options_.collect && !last});
  ++done_;
  if (last) program_->settle(true);
  const auto time = std::chrono::steady_clock::now();
  if (onProgress && (time - reported_ >= std::chrono::milliseconds(50))) {
    reported_ = time;
    onProgress(done_);
  }
  return done_ < options_.steps;
}

}  // namespace chainrule
