// The elementwise interpreter: a fused program runs tile by tile, one short vector loop per op, everything in L1.

static void splat(int32_t* dst, int32_t bits, int64_t n) {  // n is rounded up to whole vectors
  for (int64_t i = 0; i < n; i += lanes) store(dst + i, Int(bits));
}
static void repeat(int32_t* dst, int32_t bits, int64_t n) {  // exactly n: what lies behind may be filled already
  const int64_t whole = n / lanes * lanes;
  splat(dst, bits, whole);
  for (int64_t i = whole; i < n; ++i) dst[i] = bits;
}
static void copyWords(int32_t* dst, const int32_t* src, int64_t n) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(dst + i, load(src + i));
  for (; i < n; ++i) dst[i] = src[i];
}
static void widenBytes(int32_t* dst, const uint8_t* src, int64_t n) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(dst + i, loadBytes(src + i));
  for (; i < n; ++i) dst[i] = src[i];
}
// What a lane holds of an element in memory: a byte's number, a bfloat16 as the float that it is.
CHAINRULE_INLINE int32_t laneOf(int32_t element) { return element; }
CHAINRULE_INLINE int32_t laneOf(uint8_t element) { return element; }
CHAINRULE_INLINE int32_t laneOf(uint16_t element) { return int32_t(uint32_t(element) << 16); }
static void widenHalves(int32_t* dst, const uint16_t* src, int64_t n) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(dst + i, shiftLeft<16>(loadHalves(src + i)));
  for (; i < n; ++i) dst[i] = laneOf(src[i]);
}
CHAINRULE_INLINE void widenRun(int32_t* dst, const int32_t* src, int64_t n) { copyWords(dst, src, n); }
CHAINRULE_INLINE void widenRun(int32_t* dst, const uint8_t* src, int64_t n) { widenBytes(dst, src, n); }
CHAINRULE_INLINE void widenRun(int32_t* dst, const uint16_t* src, int64_t n) { widenHalves(dst, src, n); }

// Elements [start, start + n) of a strided input, run by run along the last axis.
template <typename T>
static void expandStrided(int32_t* dst, const T* src, const Island& island, const int64_t* strides, int64_t start,
                          int64_t n) {
  int64_t index[kIslandRank];
  const int last = island.rank - 1;
  int64_t offset = 0, rest = start;
  for (int axis = last; axis >= 0; --axis) {
    index[axis] = rest % island.dims[axis];
    rest /= island.dims[axis];
    offset += index[axis] * strides[axis];
  }
  const int64_t stride = strides[last];
  for (;;) {
    const int64_t left = island.dims[last] - index[last], run = left < n ? left : n;
    if (stride == 1) {
      widenRun(dst, src + offset, run);
    } else if (stride == 0) {
      repeat(dst, laneOf(src[offset]), run);
    } else {
      for (int64_t i = 0; i < run; ++i) dst[i] = laneOf(src[offset + i * stride]);
    }
    dst += run;
    n -= run;
    if (n == 0) return;
    offset += (run - island.dims[last]) * stride;
    index[last] = 0;
    for (int axis = last - 1; axis >= 0; --axis) {
      offset += strides[axis];
      if (++index[axis] < island.dims[axis]) break;
      offset -= strides[axis] * island.dims[axis];
      index[axis] = 0;
    }
  }
}

// n elements of an input that repeats every `period` elements: one period, then copies of what is there already.
template <typename T>
static void expandPeriodic(int32_t* dst, const T* src, int64_t period, int64_t start, int64_t n) {
  const int64_t phase = start % period;
  int64_t done = period - phase < n ? period - phase : n;
  widenRun(dst, src + phase, done);
  if (done < n) {
    const int64_t wrap = phase < n - done ? phase : n - done;
    widenRun(dst + done, src, wrap);
    done += wrap;
  }
  for (int64_t whole = done; done < n;) {
    const int64_t run = whole < n - done ? whole : n - done;
    copyWords(dst + done, dst, run);
    done += run;
    whole += run;
  }
}

struct Words {
  const float* from;
  [[gnu::always_inline]] inline Float at(int64_t i, int count) const { return loadSome(from + i, count); }
};

struct IslandRun {
  // The arrays stay unset: clearing them would cost more than a small program.
  IslandRun(const Island& island, const void* const* inputs, void* const* outputs, void* scratch)
      : island(island), inputs(inputs), outputs(outputs), scratch(static_cast<int32_t*>(scratch)) {}

  const Island& island;
  const void* const* inputs;
  void* const* outputs;
  int32_t* scratch;
  int64_t filled[kIslandInputs];  // elements of the expanded tile that are valid for `phase`
  int64_t phase[kIslandInputs];
  int8_t direct[kIslandInstructions];  // the output that the code writes in place, or -1
  bool streamed[kIslandOutputs];
  const void* source[256];
  struct Stream {
    const char* data;
    int64_t size;   // bytes of an element
    int64_t share;  // lines of the next tile asked for at a time
  };
  Stream streams[kIslandInputs + kIslandOutputs];  // what is walked in step with the elements
  int streamCount = 0;
};

CHAINRULE_INLINE int32_t* tileOf(IslandRun& run, int reg) {
  return run.scratch + int64_t(run.island.tileOf[reg]) * kIslandTile;
}
CHAINRULE_INLINE bool isWide(DType type) { return type != DType::u8 && type != DType::boolean && type != DType::bf16; }

template <typename T>
static void prepareInput(IslandRun& run, int i, const T* base, int64_t start, int64_t n, bool tail) {
  const Island& island = run.island;
  const IslandInput& input = island.inputs[i];
  int32_t* tile = tileOf(run, i);
  run.source[i] = tile;
  switch (island.access[i]) {
    case Island::Access::scalar:
      return;  // splat once per run
    case Island::Access::inPlace:
      if (sizeof(T) == 4 && !tail)
        run.source[i] = base + start;
      else
        widenRun(tile, base + start, n);
      return;
    case Island::Access::periodic:
      if (sizeof(T) == 4 && island.rowWise && !tail) {
        run.source[i] = base + start % island.period[i];
      } else if (start % island.period[i] != run.phase[i] || n > run.filled[i]) {
        expandPeriodic(tile, base, island.period[i], start, n);
        run.phase[i] = start % island.period[i];
        run.filled[i] = n;
      }
      return;
    case Island::Access::general: {
      if (!island.rowWise) return expandStrided(tile, base, island, input.strides, start, n);
      const int last = island.rank - 1;
      int64_t rest = start / island.dims[last], offset = 0;
      const int64_t row = rest;
      for (int axis = last - 1; axis >= 0; --axis) {
        offset += rest % island.dims[axis] * input.strides[axis];
        rest /= island.dims[axis];
      }
      if (input.strides[last] == 0) {  // a column: one value per row
        if (row != run.phase[i] || n > run.filled[i]) {
          splat(tile, laneOf(base[offset]), n);
          run.phase[i] = row;
          run.filled[i] = n;
        }
      } else if (sizeof(T) == 4 && input.strides[last] == 1 && !tail) {
        run.source[i] = base + offset + start % island.dims[last];
      } else {
        expandStrided(tile, base, island, input.strides, start, n);
      }
      return;
    }
  }
}

constexpr int64_t kFar = 1 << 15;  // elements; several streams of them hardly lie in a core's own cache

// Each loop of a tile walks other streams, too short for the hardware to foresee them: lines of the next tile are asked
// for between the loops. All at once would have the arithmetic wait for them, as a core keeps few requests.
CHAINRULE_INLINE void fetchAhead(const IslandRun& run, int64_t start, int64_t n, int part) {
  for (int i = 0; i < run.streamCount; ++i) {
    const IslandRun::Stream& stream = run.streams[i];
    const int64_t lines = (n * stream.size + 63) / 64, last = least(lines, (part + 1) * stream.share);
    const char* next = stream.data + (start + n) * stream.size;
    for (int64_t line = part * stream.share; line < last; ++line) __builtin_prefetch(next + line * 64);
  }
}

// The n elements from start on. tail: n < lanes, nothing may be read or written in place.
static void runTile(IslandRun& run, int64_t start, int64_t n, bool tail) {
  const Island& island = run.island;
  for (int i = 0; i < island.inputCount; ++i) {
    const DType dtype = island.inputs[i].dtype;
    if (isWide(dtype))
      prepareInput(run, i, static_cast<const int32_t*>(run.inputs[i]), start, n, tail);
    else if (dtype == DType::bf16)
      prepareInput(run, i, static_cast<const uint16_t*>(run.inputs[i]), start, n, tail);
    else
      prepareInput(run, i, static_cast<const uint8_t*>(run.inputs[i]), start, n, tail);
  }
  const int64_t whole = tail ? lanes : n;
  const auto place = [&](int i) __attribute__((always_inline)) {
    const int output = tail ? -1 : run.direct[i];
    int32_t* const there = output < 0 ? nullptr : static_cast<int32_t*>(run.outputs[output]) + start;
    const bool fits = there && !(run.streamed[output] && reinterpret_cast<uintptr_t>(there) % 64);
    return fits ? there : tileOf(run, island.code[i].dst);
  };
  const IslandRunPlace* next = island.runs;
  for (int i = 0; i < island.codeCount; ++i) {
    if (next < island.runs + island.runCount && next->first == i) {
      const int count = islandRuns[next->pattern].count;
      const float* source[kRunSources];
      const float* ahead[kRunSources + kRunCodes];
      float* dst[kRunCodes];
      int streams = 0;
      for (int s = 0; s < kRunSources; ++s) {
        source[s] = static_cast<const float*>(run.source[next->sources[s]]);
        if (run.streamCount > 0 && next->streams >> s & 1) ahead[streams++] = source[s];
      }
      for (int k = 0; k < count; ++k) {
        const bool stored = next->stores >> k & 1;
        dst[k] = stored ? reinterpret_cast<float*>(place(i + k)) : nullptr;
        if (!stored) continue;
        run.source[island.code[i + k].dst] = dst[k];
        if (run.streamCount > 0 && run.direct[i + k] >= 0) ahead[streams++] = dst[k];
      }
      runLoops[next->pattern](source, dst, whole, ahead, streams);
      i += count - 1;
      ++next;
      continue;
    }
    const Island::Code code = island.code[i];
    void* const dst = place(i);
    if (i == island.adam) {
      void *const square = place(i + 1), *const next = place(i + 4);
      adamLoop(&island.code[i], run.source, dst, square, next, whole);
      run.source[code.dst] = dst;
      run.source[island.code[i + 1].dst] = square;
      run.source[island.code[i + 4].dst] = next;
      i += kAdamCodes - 1;
      continue;
    }
    if (run.streamCount > 0) fetchAhead(run, start, n, i);
    run.source[code.dst] = dst;
    const bool streams = run.direct[i] >= 0 && run.streamed[run.direct[i]] && dst != tileOf(run, code.dst);
    const TileLoop loop = streams ? tileLoops<true>[int(code.op)] : tileLoops<false>[int(code.op)];
    loop(dst, run.source[code.a], run.source[code.b], run.source[code.c], whole);
  }
  for (int i = 0; i < island.outputCount; ++i) {
    const int32_t* from = static_cast<const int32_t*>(run.source[island.outputRegister[i]]);
    const DType dtype = island.outputs[i].dtype;
    if (isWide(dtype)) {
      int32_t* to = static_cast<int32_t*>(run.outputs[i]) + start;
      Words words{reinterpret_cast<const float*>(from)};
      if (from != to) writeRow(reinterpret_cast<float*>(to), n, run.streamed[i], words);
      continue;
    }
    int64_t k = 0;
    if (dtype == DType::bf16) {
      uint16_t* to = static_cast<uint16_t*>(run.outputs[i]) + start;
      for (; k + lanes <= n; k += lanes) storeHalves(to + k, shiftRightLogical<16>(load(from + k)));
      for (; k < n; ++k) to[k] = uint16_t(uint32_t(from[k]) >> 16);
      continue;
    }
    uint8_t* to = static_cast<uint8_t*>(run.outputs[i]) + start;
    for (; k + lanes <= n; k += lanes) {
      const Int value = load(from + k);
      storeBytes(to + k, dtype == DType::boolean ? toLanes(value != Int(0)) : value);
    }
    for (; k < n; ++k) to[k] = dtype == DType::boolean ? from[k] != 0 : uint8_t(from[k]);
  }
}

// Which outputs go past the caches: not into the memory of an input, whose lines are there. Of the others, which may be
// written as they are computed: not those that share memory with an input that is still to be read.
static void choosePlaces(IslandRun& run) {
  const Island& island = run.island;
  for (int i = 0; i < island.codeCount; ++i) run.direct[i] = -1;
  for (int i = 0; i < island.outputCount; ++i) {
    const int code = island.outputCode[i];
    const bool wide = isWide(island.outputs[i].dtype);
    bool direct = wide && code >= 0 && run.direct[code] < 0;
    run.streamed[i] = wide && island.streams;
    for (int k = 0; k < island.inputCount; ++k) {
      if (run.inputs[k] != run.outputs[i]) continue;
      direct &= island.lastRead[k] <= code;
      run.streamed[i] = false;
    }
    if (direct && !(run.streamed[i] && island.outputRead[i])) run.direct[code] = int8_t(i);
  }
}

static void findStreams(IslandRun& run) {
  const Island& island = run.island;
  if (island.elements < kFar || island.codeCount <= 1) return;  // one long loop is foreseen
  const auto add = [&](const void* data, DType dtype) __attribute__((always_inline)) {
    for (int i = 0; i < run.streamCount; ++i) {
      if (run.streams[i].data == data) return;
    }
    const int64_t size = byteSize(dtype), lines = (island.tile * size + 63) / 64;
    run.streams[run.streamCount++] = {static_cast<const char*>(data), size,
                                      (lines + island.codeCount - 1) / island.codeCount};
  };
  for (int i = 0; i < island.inputCount; ++i) {
    if (island.access[i] == Island::Access::inPlace) add(run.inputs[i], island.inputs[i].dtype);
  }
  for (int i = 0; i < island.outputCount; ++i) {
    if (!run.streamed[i]) add(run.outputs[i], island.outputs[i].dtype);
  }
}

static void island(const Island& island, const void* const* inputs, void* const* outputs, int64_t begin, int64_t end,
                   void* scratch) {
  if (begin >= end) return;
  IslandRun run(island, inputs, outputs, scratch);
  const int64_t longest = end - begin < island.tile ? end - begin : island.tile;
  for (int i = 0; i < island.inputCount; ++i) {
    run.phase[i] = -1;
    if (island.access[i] != Island::Access::scalar) continue;
    const DType dtype = island.inputs[i].dtype;
    splat(tileOf(run, i),
          isWide(dtype)          ? *static_cast<const int32_t*>(inputs[i])
          : dtype == DType::bf16 ? laneOf(*static_cast<const uint16_t*>(inputs[i]))
                                 : *static_cast<const uint8_t*>(inputs[i]),
          longest);
  }
  for (int i = 0; i < island.constantCount; ++i) {
    const int reg = island.inputCount + i;
    splat(tileOf(run, reg), int32_t(island.constants[i]), longest);
    run.source[reg] = tileOf(run, reg);
  }
  choosePlaces(run);
  findStreams(run);
  const int64_t inner = island.dims[island.rank - 1];
  for (int64_t start = begin; start < end;) {
    int64_t n = end - start < island.tile ? end - start : island.tile;
    if (island.rowWise) {
      const int64_t left = inner - start % inner;
      if (left < n) n = left;
    }
    const int64_t whole = n / lanes * lanes;
    if (whole > 0) runTile(run, start, whole, false);
    if (whole < n) runTile(run, start + whole, n - whole, true);
    start += n;
  }
  if (island.streams) fence();
}
