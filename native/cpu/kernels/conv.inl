// Convolution as a sum over segments of the window on the GEMM micro-kernel: no im2col. A row of outputs is a job: its
// runs point into the source rows, one run per row of the window (or per tap, where dilation, stride or groups break
// the row up).

struct Run {
  const float* a;
  int64_t k0, k;  // rows [k0, k0 + k) of the filter matrix
};
struct Job {
  const Run* runs;
  int64_t count;
  float* c;
  int64_t pixels;
};

// The source rows of the current block, as windows see them.
struct SourceRows {
  const ConvRows& shape;
  const float* image;
  float* slots;
  int64_t first = 0;

  // Rows [begin, end) of the image; those outside it become zeros if they are asked for.
  [[gnu::always_inline]] inline void prepare(const float* from, int64_t begin, int64_t end) {
    image = from;
    first = begin;
    if (!shape.copies) return;
    const int64_t c = shape.channels, x0 = most(0, -shape.left), x1 = least(shape.width, shape.columns - shape.left);
    for (int64_t row = begin; row < end; ++row) {
      float* to = slots + (row - begin) * shape.pitch;
      const bool inside = row >= 0 && row < shape.height && x0 < x1;
      const int64_t before = inside ? (x0 + shape.left) * c : shape.columns * c, length = inside ? (x1 - x0) * c : 0;
      fill(to, 4, 0, before);
      if (!inside) continue;
      copyWords(reinterpret_cast<int32_t*>(to + before),
                reinterpret_cast<const int32_t*>(image + (row * shape.width + x0) * c), length);
      fill(to + before + length, 4, 0, shape.columns * c - before - length);
    }
  }
  // Column -left of a row.
  [[gnu::always_inline]] inline const float* at(int64_t row) const {
    return shape.copies ? slots + (row - first) * shape.pitch : image + row * shape.pitch - shape.left * shape.channels;
  }
};

// What all jobs of a pass share.
struct JobContext {
  const float* panels;
  int64_t k, groupIn, groupOut;  // sizes of a group's matrix
  int64_t aRow, cRow;
  const float* bias;
  Activation activation;
  Segment* segments;  // room for all runs of a job
};

// Blocks of about 18 KB of a panel stay in L1 while all pixels of the jobs pass.
CHAINRULE_INLINE int64_t convBlockK(int64_t k) {
  const int64_t blocks = (k + 383) / 384;
  return (k + blocks - 1) / blocks;
}

// Pixels [begin, end) of every job, for one strip of `1 << wide` panels and one block of k.
static void runStrip(const JobContext& context, const Job* jobs, int64_t jobCount, int64_t begin, int64_t end,
                     int64_t k0, int64_t k1, int64_t aOffset, int64_t bOffset, int wide, int64_t column,
                     int64_t columns) {
  for (int64_t j = 0; j < jobCount; ++j) {
    const Job& job = jobs[j];
    if (begin >= job.pixels) continue;
    int64_t count = 0;
    for (int64_t i = 0; i < job.count; ++i) {
      const Run& run = job.runs[i];
      const int64_t from = most(run.k0, k0), to = least(run.k0 + run.k, k1);
      if (from < to) context.segments[count++] = {run.a + (from - run.k0), context.panels + from * kPanel, to - from};
    }
    TileInput in{context.segments, count, 0, bOffset, context.aRow, 1, kPanel, context.k * kPanel};
    TileOutput out{nullptr,           context.cRow, kPanel,          columns,
                   columns,           k0 > 0,       k1 == context.k, context.bias ? context.bias + column : nullptr,
                   context.activation};
    in.aOffset = aOffset + begin * context.aRow;
    out.c = job.c + begin * context.cRow + column;
    multiplyRows(RowTiles(least(job.pixels, end) - begin), tilesOfWidth(wide), in, out);
  }
}

static void runJobs(const JobContext& context, const Job* jobs, int64_t jobCount, int64_t panelBegin,
                    int64_t panelEnd) {
  constexpr int64_t span = 480;  // pixels of one row at a time
  const int64_t perGroup = panelCount(context.groupOut), blockK = most(convBlockK(context.k), 1);
  int64_t longest = 0;
  for (int64_t j = 0; j < jobCount; ++j) longest = most(longest, jobs[j].pixels);
  for (int64_t begin = 0; begin < longest; begin += span) {
    int widest = 2;
    for (int64_t j = 0; j < jobCount; ++j) {
      const int64_t pixels = least(jobs[j].pixels - begin, span);
      if (pixels > 0) widest = int(least(widest, widestTile(RowTiles(pixels).rowsOf(0))));
    }
    for (int64_t p = panelBegin; p < panelEnd;) {
      const int64_t group = p / perGroup, inGroup = p % perGroup;
      int wide = widest;
      while (p + (1 << wide) > panelEnd || inGroup + (1 << wide) > perGroup) --wide;
      const int64_t columns = inGroup + (1 << wide) == perGroup ? context.groupOut - (perGroup - 1) * kPanel : kPanel;
      for (int64_t k0 = 0;; k0 += blockK) {
        const int64_t k1 = least(context.k, k0 + blockK);
        runStrip(context, jobs, jobCount, begin, begin + span, k0, k1, group * context.groupIn, p * context.k * kPanel,
                 wide, group * context.groupOut + inGroup * kPanel, columns);
        if (k1 == context.k) break;
      }
      p += 1 << wide;
    }
  }
}

// Few channels: the whole window is one table of offsets from a pixel.
static void convNarrow(const ConvShape& s, const ConvRows& rows, const float* x, const float* panels, const float* bias,
                       Activation activation, float* y, int64_t rowBegin, int64_t rowEnd, int64_t panelBegin,
                       int64_t panelEnd, float* slots, int32_t* offsets) {
  const int64_t k = s.filterRows();
  int64_t n = 0;
  for (int64_t r = 0; r < s.kh; ++r) {
    for (int64_t c = 0; c < s.kw; ++c) {
      for (int64_t i = 0; i < s.cin; ++i)
        offsets[n++] = int32_t(r * s.dilationH * rows.pitch + c * s.dilationW * s.cin + i);
    }
  }
  SourceRows source{rows, x, slots};
  const RowTiles tilesOfRow(s.ow);
  const int widest = widestTile(tilesOfRow.rowsOf(0));
  const int64_t larger = tilesOfRow.larger, wideRows = larger * (tilesOfRow.base + 1);
  for (int64_t row = rowBegin; row < rowEnd;) {
    const int64_t image = row / s.oh, oi = row % s.oh, count = least(least(rows.block, s.oh - oi), rowEnd - row);
    const int64_t top = oi * s.strideH - s.padTop;
    source.prepare(x + image * s.h * s.w * s.cin, top, top + (count - 1) * s.strideH + (s.kh - 1) * s.dilationH + 1);
    for (int64_t p = panelBegin; p < panelEnd;) {
      int wide = widest;
      while (p + (1 << wide) > panelEnd) --wide;
      const int64_t columns =
          p + (1 << wide) == panelCount(s.cout) ? s.cout - (panelCount(s.cout) - 1) * kPanel : kPanel;
      TileOutput out{nullptr,   s.cout, kPanel, columns, columns, false, true, bias ? bias + p * kPanel : nullptr,
                     activation};
      const TileInput in{nullptr, k, 0, 0, s.strideW * s.cin, 0, kPanel, k * kPanel};
      const float* b = panels + p * k * kPanel;
      for (int64_t i = 0; i < count; ++i) {
        const float* a = source.at(top + i * s.strideH);
        out.c = y + (row + i) * s.ow * s.cout + p * kPanel;
        if (larger > 0) gathered[tilesOfRow.base][wide](a, offsets, b, in, out, larger);
        out.c += wideRows * s.cout;
        gathered[tilesOfRow.base - 1][wide](a + wideRows * in.aRow, offsets, b, in, out, tilesOfRow.count - larger);
      }
      p += 1 << wide;
    }
    row += count;
  }
}

// Scratch: source rows, then runs and jobs of a block, then segments.
struct ConvScratch {
  float* slots;
  Run* runs;
  Job* jobs;
  Segment* segments;
  [[gnu::always_inline]] inline ConvScratch(void* scratch, const ConvRows& rows, int64_t taps, int64_t jobCount) {
    char* p = static_cast<char*>(scratch);
    slots = reinterpret_cast<float*>(p);
    p += roundUp(rows.bytes(), 64);
    runs = reinterpret_cast<Run*>(p);
    p += taps * jobCount * int64_t(sizeof(Run));
    jobs = reinterpret_cast<Job*>(p);
    p += jobCount * int64_t(sizeof(Job));
    segments = reinterpret_cast<Segment*>(p);
  }
};

static void convForward(const ConvShape& s, const float* x, const float* panels, const Finish& finish, float* y,
                        int64_t rowBegin, int64_t rowEnd, int64_t panelBegin, int64_t panelEnd, void* scratch) {
  if (convIsPointwise(s)) {
    Gemm g;
    g.m = s.n * s.h * s.w, g.n = s.cout, g.k = s.cin;
    g.a = x, g.aRow = s.cin;
    g.b = panels, g.bPanel = s.cin * kPanel;
    g.c = y, g.cRow = s.cout;
    g.finish = finish;
    return gemm(g, rowBegin * s.ow, rowEnd * s.ow, panelBegin, panelEnd, scratch);
  }
  const ConvRows rows = convForwardRows(s);
  const ConvScratch memory(scratch, rows, s.kh * s.kw, rows.block);
  if (convIsNarrow(s)) {
    return convNarrow(s, rows, x, panels, finish.bias, finish.activation, y, rowBegin, rowEnd, panelBegin, panelEnd,
                      memory.slots, reinterpret_cast<int32_t*>(memory.runs));
  }
  const bool whole = s.dilationW == 1 && s.groups == 1;  // a row of the window is contiguous
  const JobContext context{panels, s.filterRows(), s.groupIn(),       s.groupOut(),   s.strideW * s.cin,
                           s.cout, finish.bias,    finish.activation, memory.segments};
  SourceRows source{rows, x, memory.slots};
  for (int64_t row = rowBegin; row < rowEnd;) {
    const int64_t image = row / s.oh, oi = row % s.oh, count = least(least(rows.block, s.oh - oi), rowEnd - row);
    const int64_t top = oi * s.strideH - s.padTop,
                  bottom = top + (count - 1) * s.strideH + (s.kh - 1) * s.dilationH + 1;
    source.prepare(x + image * s.h * s.w * s.cin, most(top, 0), least(bottom, s.h));
    Run* run = memory.runs;
    for (int64_t i = 0; i < count; ++i) {
      Job& job = memory.jobs[i];
      job = {run, 0, y + (row + i) * s.ow * s.cout, s.ow};
      for (int64_t r = 0; r < s.kh; ++r) {
        const int64_t from = top + i * s.strideH + r * s.dilationH;
        if (from < 0 || from >= s.h) continue;
        const float* a = source.at(from);
        if (whole) *run++ = {a, r * s.kw * s.cin, s.kw * s.cin};
        for (int64_t c = 0; !whole && c < s.kw; ++c)
          *run++ = {a + c * s.dilationW * s.cin, (r * s.kw + c) * s.groupIn(), s.groupIn()};
      }
      job.count = run - job.runs;
    }
    runJobs(context, memory.jobs, count, panelBegin, panelEnd);
    row += count;
  }
}

static void convPackTransposed(const ConvShape& s, const float* filter, bool fromPanels, float* out, int64_t panelBegin,
                               int64_t panelEnd) {
  // Taps in reverse, so that at stride 1 a run over dy is contiguous: out row (kh-1-r, kw-1-c, o) column i = filter row
  // (r, c, i) column o.
  const int64_t in = s.groupIn(), outs = s.groupOut(), perGroup = panelCount(in), taps = s.kh * s.kw,
                rows = s.filterRows();
  for (int64_t p = panelBegin; p < panelEnd; ++p) {
    const int64_t group = p / perGroup, first = p % perGroup * kPanel, columns = least(kPanel, in - first);
    for (int64_t tap = 0; tap < taps; ++tap) {
      float* to = out + (p * taps + tap) * outs * kPanel;
      const int64_t row = (taps - 1 - tap) * in + first;
      if (!fromPanels) {
        packPanel(filter + row * s.cout + group * outs, 1, s.cout, 0, outs, columns, to);
        continue;
      }
      for (int64_t o = 0; o < outs; o += kPanel) {
        const float* panel = filter + ((group * panelCount(outs) + o / kPanel) * rows + row) * kPanel;
        packPanel(panel, 1, kPanel, 0, least(kPanel, outs - o), columns, to + o * kPanel);
      }
    }
  }
}

static void convBackwardData(const ConvShape& s, const float* dy, const float* transposed, float* dx, int64_t rowBegin,
                             int64_t rowEnd, int64_t panelBegin, int64_t panelEnd, void* scratch) {
  if (convIsPointwise(s)) {
    Gemm g;
    g.m = s.n * s.h * s.w, g.n = s.cin, g.k = s.cout;
    g.a = dy, g.aRow = s.cout;
    g.b = transposed, g.bPanel = s.cout * kPanel;
    g.c = dx, g.cRow = s.cin;
    return gemm(g, rowBegin * s.w, rowEnd * s.w, panelBegin, panelEnd, scratch);
  }
  const ConvRows rows = convBackwardRows(s);
  const ConvScratch memory(scratch, rows, s.kh * s.kw, rows.block);
  const bool whole = s.strideW == 1 && s.dilationW == 1 && s.groups == 1;
  // Columns of one phase (column mod stride) see the same taps at consecutive places of dy.
  const JobContext context{transposed,     s.kh * s.kw * s.groupOut(), s.groupOut(), s.groupIn(),
                           s.cout,         s.strideW * s.cin,          nullptr,      Activation(),
                           memory.segments};
  SourceRows source{rows, dy, memory.slots};
  for (int64_t row = rowBegin; row < rowEnd;) {
    const int64_t image = row / s.h, i0 = row % s.h, count = least(least(rows.block, s.h - i0), rowEnd - row);
    const int64_t first = most(0, floorDiv(i0 + s.padTop - (s.kh - 1) * s.dilationH + s.strideH - 1, s.strideH));
    const int64_t last = least(s.oh - 1, floorDiv(i0 + count - 1 + s.padTop, s.strideH));
    source.prepare(dy + image * s.oh * s.ow * s.cout, first, last + 1);
    for (int64_t phase = 0; phase < s.strideW && phase < s.w; ++phase) {
      Run* run = memory.runs;
      for (int64_t i = 0; i < count; ++i) {
        Job& job = memory.jobs[i];
        job = {run, 0, dx + ((row + i) * s.w + phase) * s.cin, (s.w - phase + s.strideW - 1) / s.strideW};
        for (int64_t r = s.kh - 1; r >= 0; --r) {
          const int64_t above = i0 + i + s.padTop - r * s.dilationH;
          if (above < 0 || above % s.strideH != 0 || above / s.strideH >= s.oh) continue;
          const float* a = source.at(above / s.strideH) + rows.left * s.cout;  // column 0
          if (whole) {
            *run++ = {a + (s.padLeft - (s.kw - 1)) * s.cout, (s.kh - 1 - r) * s.kw * s.cout, s.kw * s.cout};
            continue;
          }
          for (int64_t c = s.kw - 1; c >= 0; --c) {
            const int64_t shift = phase + s.padLeft - c * s.dilationW;
            if (floorDiv(shift, s.strideW) * s.strideW != shift) continue;
            *run++ = {a + shift / s.strideW * s.cout, ((s.kh - 1 - r) * s.kw + s.kw - 1 - c) * s.groupOut(),
                      s.groupOut()};
          }
        }
        job.count = run - job.runs;
      }
      runJobs(context, memory.jobs, count, panelBegin, panelEnd);
    }
    row += count;
  }
}
