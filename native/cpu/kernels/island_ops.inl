// The vector loops of the elementwise interpreter: one per primitive and lane type, generated from the table.

// One struct per primitive: run() is the table's forward expression.
#define UNARY(name, kind, forward, ga) \
  struct name##Op {                    \
    template <typename V>              \
    CHAINRULE_INLINE auto run(V a) {   \
      return forward;                  \
    }                                  \
  };
#define BINARY(name, kind, forward, ga, gb) \
  struct name##Op {                         \
    template <typename V>                   \
    CHAINRULE_INLINE auto run(V a, V b) {   \
      return forward;                       \
    }                                       \
  };
#define TERNARY(name, kind, forward, ga, gb, gc) \
  struct name##Op {                              \
    template <typename C, typename V>            \
    CHAINRULE_INLINE auto run(C a, V b, V c) {   \
      return forward;                            \
    }                                            \
  };
#define CAST(name, from, to, forward) UNARY(name, from, forward, NONE)
#include "ops/elementwise.def"

struct mulAddOp {
  CHAINRULE_INLINE Float run(Float a, Float b, Float c) { return a * b + c; }
};
struct mulSubOp {
  CHAINRULE_INLINE Float run(Float a, Float b, Float c) { return a * b - c; }
};
struct subMulOp {
  CHAINRULE_INLINE Float run(Float a, Float b, Float c) { return c - a * b; }
};
struct addMulOp {
  CHAINRULE_INLINE Float run(Float a, Float b, Float c) { return (a + b) * c; }
};
struct subThenMulOp {
  CHAINRULE_INLINE Float run(Float a, Float b, Float c) { return (a - b) * c; }
};

struct mulDivOp {
  CHAINRULE_INLINE Float run(Float a, Float b, Float c) { return a * b / c; }
};
struct sqrtAddOp {
  CHAINRULE_INLINE Float run(Float a, Float b) { return sqrt(a) + b; }
};
struct lerpOp {
  CHAINRULE_INLINE Float run(Float a, Float b, Float c) { return a + (b - a) * c; }
};
struct lerpSquareOp {
  CHAINRULE_INLINE Float run(Float a, Float b, Float c) { return a + (b * b - a) * c; }
};
struct slopeMulOp {
  CHAINRULE_INLINE Float run(Float a, Float b) { return geluSlope(a) * b; }
};

template <bool streams>
CHAINRULE_INLINE void storeLanes(void* p, Float a) {
  streams ? stream(static_cast<float*>(p), a) : store(static_cast<float*>(p), a);
}
template <bool streams>
CHAINRULE_INLINE void storeLanes(void* p, Int a) {
  storeLanes<streams>(p, floatOf(a));
}
template <bool streams>
CHAINRULE_INLINE void storeLanes(void* p, Mask a) {
  storeLanes<streams>(p, toLanes(a));
}
CHAINRULE_INLINE void loadLanes(const void* p, Float& a) { a = load(static_cast<const float*>(p)); }
CHAINRULE_INLINE void loadLanes(const void* p, Int& a) { a = load(static_cast<const int32_t*>(p)); }

// n is a multiple of lanes. dst may be an operand, unless it is streamed.
using TileLoop = void (*)(void* dst, const void* a, const void* b, const void* c, int64_t n);

template <bool streams, typename Op, typename V>
static void unaryLoop(void* dst, const void* a, const void*, const void*, int64_t n) {
  for (int64_t i = 0; i < n * 4; i += lanes * 4) {
    V x;
    loadLanes(static_cast<const char*>(a) + i, x);
    storeLanes<streams>(static_cast<char*>(dst) + i, Op::run(x));
  }
}
template <bool streams, typename Op, typename V>
static void binaryLoop(void* dst, const void* a, const void* b, const void*, int64_t n) {
  for (int64_t i = 0; i < n * 4; i += lanes * 4) {
    V x, y;
    loadLanes(static_cast<const char*>(a) + i, x);
    loadLanes(static_cast<const char*>(b) + i, y);
    storeLanes<streams>(static_cast<char*>(dst) + i, Op::run(x, y));
  }
}
template <bool streams, typename Op, typename A, typename V>
static void ternaryLoop(void* dst, const void* a, const void* b, const void* c, int64_t n) {
  for (int64_t i = 0; i < n * 4; i += lanes * 4) {
    A x;
    V y, z;
    loadLanes(static_cast<const char*>(a) + i, x);
    loadLanes(static_cast<const char*>(b) + i, y);
    loadLanes(static_cast<const char*>(c) + i, z);
    storeLanes<streams>(static_cast<char*>(dst) + i, Op::run(x, y, z));
  }
}

#define LOOPS_F(loop, name, ...) loop<streams, name##Op, __VA_ARGS__ Float>,
#define LOOPS_N(loop, name, ...) loop<streams, name##Op, __VA_ARGS__ Float>, loop<streams, name##Op, __VA_ARGS__ Int>,
#define LOOPS_C(loop, name, ...) LOOPS_N(loop, name, __VA_ARGS__)
#define LOOPS_P(loop, name, ...) LOOPS_F(loop, name, __VA_ARGS__)
#define LOOPS_B(loop, name, ...) loop<streams, name##Op, __VA_ARGS__ Int>,
#define LOOPS_S(loop, name, ...) ternaryLoop<streams, name##Op, Int, Float>, ternaryLoop<streams, name##Op, Int, Int>,
#define CASTS_f32(name) unaryLoop<streams, name##Op, Float>,
#define CASTS_i32(name) unaryLoop<streams, name##Op, Int>,
#define UNARY(name, kind, forward, ga) LOOPS_##kind(unaryLoop, name)
#define BINARY(name, kind, forward, ga, gb) LOOPS_##kind(binaryLoop, name)
#define TERNARY(name, kind, forward, ga, gb, gc) LOOPS_##kind(ternaryLoop, name)
#define CAST(name, from, to, forward) CASTS_##from(name)
template <bool streams>
static constexpr TileLoop tileLoops[] = {
    nullptr,
#include "ops/elementwise.def"
    ternaryLoop<streams, mulAddOp, Float, Float>,
    ternaryLoop<streams, mulSubOp, Float, Float>,
    ternaryLoop<streams, subMulOp, Float, Float>,
    ternaryLoop<streams, addMulOp, Float, Float>,
    ternaryLoop<streams, subThenMulOp, Float, Float>,
    ternaryLoop<streams, mulDivOp, Float, Float>,
    binaryLoop<streams, sqrtAddOp, Float>,
    ternaryLoop<streams, lerpOp, Float, Float>,
    ternaryLoop<streams, lerpSquareOp, Float, Float>,
    binaryLoop<streams, slopeMulOp, Float>,
};
static_assert(sizeof tileLoops<false> / sizeof(TileLoop) == size_t(Opcode::count));
#undef LOOPS_F
#undef LOOPS_N
#undef LOOPS_C
#undef LOOPS_P
#undef LOOPS_B
#undef LOOPS_S
#undef CASTS_f32
#undef CASTS_i32

// The five codes of Adam's step as one loop, with their bits: three results of four operands, where one code after the
// other would store and load each value between them. It asks for nothing ahead: the hardware foresees four streams
// that go on from tile to tile, and requests beside its own hold them up where memory is busy.
static void adamLoop(const Island::Code* c, const void* const* source, void* mean, void* square, void* next,
                     int64_t n) {
  const auto data = [&](uint8_t reg) { return static_cast<const float*>(source[reg]); };
  const float *m = data(c[0].a), *g = data(c[0].b), *v = data(c[1].a), *w = data(c[1].b), *p = data(c[4].a);
  const float *meanShare = data(c[0].c), *squareShare = data(c[1].c), *epsilon = data(c[2].b), *rate = data(c[3].b);
  for (int64_t i = 0; i < n; i += lanes) {
    const Float newMean = lerpOp::run(load(m + i), load(g + i), load(meanShare + i));
    const Float newSquare = lerpSquareOp::run(load(v + i), load(w + i), load(squareShare + i));
    const Float root = sqrtAddOp::run(newSquare, load(epsilon + i));
    const Float result = subOp::run(load(p + i), mulDivOp::run(newMean, load(rate + i), root));
    storeLanes<false>(static_cast<float*>(mean) + i, newMean);
    storeLanes<false>(static_cast<float*>(square) + i, newSquare);
    storeLanes<false>(static_cast<float*>(next) + i, result);
  }
}
