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
  if (checkFinite) program->expectFinite(inputs, machine);
  std::vector<const void*> in;
  for (const ArrayRef& input : inputs) in.push_back(input.data);
  if (outputs.empty()) {
    for (const TensorType& type : program->outputTypes(batch)) {
      results.push_back({type, Buffer(size_t(type.bytes()))});
      outputs.push_back(results.back().data.data());
    }
  }
  const int repeats = std::max(1, timedRepeats);
  for (int i = 0; i < repeats; ++i) {
    program->run(machine, {batch, in, outputs, rowOffset, nullptr, timedRepeats > 0});
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

bool EpochJob::usesTeam() {
  if (!started_ && options_.again && program_->device() && dataset_->keptOnDevice(*program_->device()).empty() &&
      dataset_->bytes() >= Machine::kCopiedByAll) {
    return true;  // the dataset goes over
  }
  return onDevice_.empty() && program_->usesTeam(batchAt(done_));
}

int64_t EpochJob::reserve(int64_t bytes) {
  const int64_t offset = stagingBytes_;
  stagingBytes_ += (bytes + 63) / 64 * 64;
  return offset;
}

void EpochJob::start(Machine& machine) {
  started_ = true;
  program_->settle(false);  // of a job that was stopped
  std::vector<ArrayRef> one;
  for (const Column& column : dataset_->columns()) {
    one.push_back(column.array);
    one.back().dims[0] = batchAt(0);
    const bool copied = options_.shuffle && !program_->device();
    staged_.push_back(reserve(copied ? column.rowBytes() * options_.batchSize : 0));
  }
  program_->batchOf(one);  // the columns fit the program's inputs
  if (OpenDevice* const device = program_->device())
    onDevice_ = options_.again ? dataset_->onDevice(*device, machine) : dataset_->keptOnDevice(*device);
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

void EpochJob::gatherColumn(Machine& machine, const Column& column, int64_t firstRow, int64_t batch,
                            std::byte* to) const {
  const int64_t rowBytes = column.rowBytes();
  const std::byte* data = static_cast<const std::byte*>(column.array.data) + options_.begin * rowBytes;
  if (!options_.shuffle) return machine.copy(to, data + firstRow * rowBytes, batch * rowBytes);
  const std::span<const int32_t> numbers(order_.data() + firstRow, size_t(batch));
  if (batch * rowBytes < kShared) return copyRows(data, rowBytes, numbers, to);
  machine.share([&](int member) {
    const cpu::Range rows = cpu::partOf(batch, 1, member, machine.members());
    copyRows(data, rowBytes, numbers.subspan(size_t(rows.begin), size_t(rows.end - rows.begin)),
             to + rows.begin * rowBytes);
  });
}

// Pointers to a batch's rows: in the dataset itself when they lie together, else copied row by row.
std::vector<const void*> EpochJob::gather(Machine& machine, int64_t firstRow, int64_t batch) {
  std::vector<const void*> inputs;
  for (size_t i = 0; i < staged_.size(); ++i) {
    const Column& column = dataset_->columns()[i];
    if (!options_.shuffle) {
      const int64_t row = options_.begin + firstRow;
      inputs.push_back(static_cast<const std::byte*>(column.array.data) + row * column.rowBytes());
      continue;
    }
    gatherColumn(machine, column, firstRow, batch, staging_ + staged_[i]);
    inputs.push_back(staging_ + staged_[i]);
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

void EpochJob::runOnDevice(Machine& machine, int64_t firstRow, Program::Request request) {
  if (!onDevice_.empty()) {
    numbers_.resize(size_t(request.batch));
    for (int64_t i = 0; i < request.batch; ++i) {
      const int64_t row = firstRow + i;
      numbers_[size_t(i)] = int32_t(options_.begin + (options_.shuffle ? order_[size_t(row)] : row));
    }
    const DevicePlan::Rows rows{onDevice_, numbers_};
    request.rows = &rows;
    try {
      return program_->run(machine, request);
    } catch (const Error& error) {
      if (error.code() != "DEVICE_OOM") throw;
      // The dataset took what weights and plans need.
      onDevice_ = {};
      dataset_->leaveDevice();
      request.rows = nullptr;
    }
  }
  // Straight into the memory from which they go over.
  const DevicePlan::Fill fill = [&](std::span<std::byte* const> to) {
    for (size_t i = 0; i < to.size(); ++i)
      gatherColumn(machine, dataset_->columns()[i], firstRow, request.batch, to[i]);
  };
  request.fill = &fill;
  program_->run(machine, request);
}

bool EpochJob::step(Machine& machine) {
  if (!started_) start(machine);
  staging_ = machine.staging(stagingBytes_);
  const int64_t batch = batchAt(done_);
  const int64_t firstRow = (options_.firstStep + done_) * options_.batchSize;
  const std::vector<void*> outputs = outputsAt(firstRow - options_.firstStep * options_.batchSize, batch);
  const bool last = done_ + 1 == options_.steps;
  Program::Request request;
  request.batch = batch;
  request.outputs = outputs;
  request.rowOffset = firstRow;
  request.detached = !last && !options_.collect;  // what a result lacks must reach whoever asked for it
  if (program_->device()) {
    if (!options_.collect) request.outputs = {};
    runOnDevice(machine, firstRow, request);
  } else {
    const std::vector<const void*> inputs = gather(machine, firstRow, batch);
    request.inputs = inputs;
    program_->run(machine, request);
  }
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
