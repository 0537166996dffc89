// Writing a row, and past the caches if it is part of a result that is larger than they are: a store would read the
// line that it fills, and push out others for one that is gone before it is read.

// y[i] = row.at(i, count) for the `count` lanes from i on, in order. Streams whole cache lines; the caller has the
// fence.
template <typename Row>
CHAINRULE_INLINE void writeRow(float* y, int64_t n, bool streams, Row& row) {
  int64_t i = 0;
  if (streams) {
    const int64_t head = least(n, -(reinterpret_cast<intptr_t>(y) / 4) & 15), whole = n - (n - head) % 16;
    for (; i < head; i += lanes) {
      const int count = int(least(lanes, head - i));
      storeSome(y + i, row.at(i, count), count);
    }
    for (i = head; i < whole; i += lanes) stream(y + i, row.at(i, lanes));
  }
  for (; i + lanes <= n; i += lanes) store(y + i, row.at(i, lanes));
  const int rest = int(n - i);
  if (rest >= lanes) __builtin_unreachable();
  if (rest > 0) storePartial(y + i, row.at(i, rest), rest);
}

// body(streams) with a constant, and the fence: short rows would ask for each again.
template <typename Body>
CHAINRULE_INLINE void streamIf(bool streams, Body body) {
  if (!streams) return body(Constant<false>{});
  body(Constant<true>{});
  fence();
}

// Asks for the line of p, which holds element i, once for all vectors in it.
CHAINRULE_INLINE void fetchLine(const float* p, int64_t i) {
  if (lanes == 16 || i % 16 < 8) __builtin_prefetch(p);
}
