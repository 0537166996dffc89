/* A libcublasLt.so.13 that multiplies in the host's memory, for test/ops/cuda_libraries.test.ts: the calls that Chainrule
   makes, refused where the real library would refuse them. Each product is a line of FAKE_CUBLASLT_LOG. Of three algorithms
   all do the same; the log names the second and the third.
   FAKE_CUBLASLT_VERSION: what it says it is. FAKE_CUBLASLT_CREATE, _HEURISTIC, _CHECK, _MATMUL: the status those calls answer.
   FAKE_CUBLASLT_SLOW, _REFUSED: the number, from 1, of an algorithm that takes 20 ms, of one that is refused when it is called. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALGORITHMS = 3 };
enum { SUCCESS = 0, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum { FLOAT = 0, BFLOAT16 = 14, COMPUTE_32F = 68, COMPUTE_TF32 = 77 };

typedef struct {
  int type;
  uint64_t rows, columns;
  int64_t leading, stride;
  int32_t batch;
} Layout;
typedef struct {
  int compute;
  int32_t transposeA, transposeB;
  uint32_t epilogue;
  const void* bias; /* of the result's type */
} Product;
typedef struct {
  uint64_t workspace;
  uint32_t reduction, alignment[4];
} Preference;
typedef struct {
  uint64_t m, n, k, workspace, check, number, unused[2];
} Algorithm;
typedef struct {
  Algorithm algorithm;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
} Found;

static const uint64_t mark = 0x6368616972756c65;

const int chainruleComputesOnHost = 1;

static size_t number(const char* name, size_t otherwise) {
  const char* text = getenv(name);
  return text ? (size_t)atoll(text) : otherwise;
}

int cublasLtCreate(void** handle) {
  *handle = (void*)&mark;
  return (int)number("FAKE_CUBLASLT_CREATE", 0);
}
int cublasLtDestroy(void* handle) { return handle == &mark ? SUCCESS : INVALID_VALUE; }
size_t cublasLtGetVersion(void) { return number("FAKE_CUBLASLT_VERSION", 130102); }
const char* cublasLtGetStatusName(int status) { return status == NOT_SUPPORTED ? "FAKE_NOT_SUPPORTED" : "FAKE_STATUS"; }

int cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
  *layout = malloc(sizeof(Layout));
  **layout = (Layout){type, rows, columns, leading, 0, 1};
  return SUCCESS;
}
int cublasLtMatrixLayoutDestroy(Layout* layout) {
  free(layout);
  return SUCCESS;
}
static int set(void* to, size_t size, const void* value, size_t bytes) {
  if (size != bytes) return INVALID_VALUE;
  memcpy(to, value, bytes);
  return SUCCESS;
}
int cublasLtMatrixLayoutSetAttribute(Layout* layout, int attribute, const void* value, size_t bytes) {
  if (attribute == 5) return set(&layout->batch, 4, value, bytes);
  if (attribute == 6) return set(&layout->stride, 8, value, bytes);
  return INVALID_VALUE;
}

int cublasLtMatmulDescCreate(Product** product, int compute, int scale) {
  if (scale != FLOAT || (compute != COMPUTE_32F && compute != COMPUTE_TF32)) return INVALID_VALUE;
  *product = malloc(sizeof(Product));
  **product = (Product){compute, 0, 0, 1, NULL};
  return SUCCESS;
}
int cublasLtMatmulDescDestroy(Product* product) {
  free(product);
  return SUCCESS;
}
int cublasLtMatmulDescSetAttribute(Product* product, int attribute, const void* value, size_t bytes) {
  switch (attribute) {
    case 3:
      return set(&product->transposeA, 4, value, bytes);
    case 4:
      return set(&product->transposeB, 4, value, bytes);
    case 7:
      return set(&product->epilogue, 4, value, bytes);
    case 8:
      return set(&product->bias, 8, value, bytes);
  }
  return INVALID_VALUE;
}

int cublasLtMatmulPreferenceCreate(Preference** preference) {
  *preference = malloc(sizeof(Preference));
  **preference = (Preference){0, 7, {256, 256, 256, 256}};
  return SUCCESS;
}
int cublasLtMatmulPreferenceDestroy(Preference* preference) {
  free(preference);
  return SUCCESS;
}
int cublasLtMatmulPreferenceSetAttribute(Preference* preference, int attribute, const void* value, size_t bytes) {
  if (attribute == 1) return set(&preference->workspace, 8, value, bytes);
  if (attribute == 3) return set(&preference->reduction, 4, value, bytes);
  if (attribute >= 5 && attribute <= 8) return set(&preference->alignment[attribute - 5], 4, value, bytes);
  return INVALID_VALUE;
}

static int fits(const Layout* layout, uint64_t rows, uint64_t columns) {
  return layout->rows == rows && layout->columns == columns && layout->leading >= (int64_t)rows;
}
static int isConsistent(const Product* p, const Layout* a, const Layout* b, const Layout* c, const Layout* d) {
  const uint64_t m = d->rows, n = d->columns, k = p->transposeA ? a->rows : a->columns;
  if (!m || !n || !k || !(p->transposeA ? fits(a, k, m) : fits(a, m, k)) || !fits(d, m, n) || !fits(c, m, n)) return 0;
  if (!(p->transposeB ? fits(b, n, k) : fits(b, k, n))) return 0;
  if (a->batch != d->batch || b->batch != d->batch || c->batch != d->batch) return 0;
  if (a->type != b->type || c->type != d->type || (d->type != FLOAT && d->type != a->type)) return 0;
  if (p->compute == COMPUTE_TF32 && a->type != FLOAT) return 0;
  if (p->epilogue == 0 || p->epilogue > 6 || p->epilogue == 3 || p->epilogue == 5) return 0;
  return !(p->epilogue & 4) || p->bias;
}

int cublasLtMatmulAlgoGetHeuristic(void* handle, Product* p, Layout* a, Layout* b, Layout* c, Layout* d,
                                   Preference* preference, int requested, Found* found, int* count) {
  *count = 0;
  const int status = (int)number("FAKE_CUBLASLT_HEURISTIC", 0);
  if (status) return status;
  if (handle != &mark || requested < 1 || !isConsistent(p, a, b, c, d)) return INVALID_VALUE;
  if (preference->reduction & 1) return NOT_SUPPORTED; /* sums in an order that may change */
  for (int i = 0; i < 4; ++i) {
    if (preference->alignment[i] != 16) return NOT_SUPPORTED;
  }
  const uint64_t k = p->transposeA ? a->rows : a->columns;
  for (; *count < requested && *count < ALGORITHMS; ++*count) {
    const size_t workspace = k % 2 ? 0 : 1000 * (1 + (size_t)*count);
    if (workspace > preference->workspace) return NOT_SUPPORTED;
    const Algorithm algorithm = {d->rows, d->columns, k, workspace, mark, 1 + (uint64_t)*count, {0}};
    found[*count] = (Found){.algorithm = algorithm, .workspace = workspace, .state = SUCCESS};
  }
  return SUCCESS;
}
static int isFor(const Algorithm* algorithm, uint64_t m, uint64_t n, uint64_t k) {
  return algorithm->check == mark && algorithm->m == m && algorithm->n == n && algorithm->k == k &&
         algorithm->number >= 1 && algorithm->number <= ALGORITHMS;
}
int cublasLtMatmulAlgoCheck(void* handle, Product* p, Layout* a, Layout* b, Layout* c, Layout* d,
                            const Algorithm* algorithm, Found* found) {
  const int status = (int)number("FAKE_CUBLASLT_CHECK", 0);
  if (status) return status;
  if (handle != &mark || !isConsistent(p, a, b, c, d)) return INVALID_VALUE;
  if (!isFor(algorithm, d->rows, d->columns, p->transposeA ? a->rows : a->columns)) return NOT_SUPPORTED;
  *found = (Found){.workspace = algorithm->workspace, .state = SUCCESS};
  return SUCCESS;
}

static float tf32(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  if ((bits >> 23 & 255) != 255) bits = (bits + 0x1000) & ~UINT32_C(0x1FFF);
  memcpy(&value, &bits, 4);
  return value;
}
static float element(const void* data, int type, int compute, int64_t at) {
  if (type == FLOAT) return compute == COMPUTE_TF32 ? tf32(((const float*)data)[at]) : ((const float*)data)[at];
  const uint32_t bits = (uint32_t)((const uint16_t*)data)[at] << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static void store(void* data, int type, int64_t at, float value) {
  if (type == FLOAT) {
    ((float*)data)[at] = value;
    return;
  }
  uint32_t bits;
  memcpy(&bits, &value, 4);
  ((uint16_t*)data)[at] = (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static void record(const Product* p, const Layout* a, const Layout* d, uint64_t k, float beta, uint64_t algorithm) {
  const char* const path = getenv("FAKE_CUBLASLT_LOG");
  FILE* const file = path ? fopen(path, "a") : NULL;
  if (!file) return;
  fprintf(file, "%s %s%s %dx[%d,%d,%d]%s%s%s%s", a->type == BFLOAT16 ? "bf16" : p->compute == COMPUTE_TF32 ? "tf32" : "f32",
          p->transposeA ? "T" : "N", p->transposeB ? "T" : "N", (int)d->batch, (int)d->rows, (int)d->columns, (int)k,
          p->epilogue & 4 ? " bias" : "", p->epilogue & 2 ? " relu" : "", d->type == BFLOAT16 ? " rounded" : "", beta != 0 ? " accumulate" : "");
  if (algorithm > 1) fprintf(file, " by algorithm %d", (int)algorithm);
  fputc('\n', file);
  fclose(file);
}

int cublasLtMatmul(void* handle, Product* p, const float* alpha, const void* A, Layout* a, const void* B, Layout* b,
                   const float* beta, const void* C, Layout* c, void* D, Layout* d, const Algorithm* algorithm,
                   void* workspace, size_t workspaceBytes, void* stream) {
  const int status = (int)number("FAKE_CUBLASLT_MATMUL", 0);
  if (status) return status;
  const uint64_t m = d->rows, n = d->columns, k = p->transposeA ? a->rows : a->columns;
  if (handle != &mark || stream || !isConsistent(p, a, b, c, d) || !isFor(algorithm, m, n, k) ||
      workspaceBytes < algorithm->workspace)
    return INVALID_VALUE;
  if (algorithm->number == number("FAKE_CUBLASLT_REFUSED", 0)) return NOT_SUPPORTED;
  if (algorithm->number == number("FAKE_CUBLASLT_SLOW", 0)) usleep(20000);
  if (workspaceBytes && (!workspace || (uintptr_t)workspace % 256)) return INVALID_VALUE;
  const void* const pointers[] = {A, B, C, D, p->epilogue & 4 ? p->bias : NULL};
  for (int i = 0; i < 5; ++i) {
    if ((uintptr_t)pointers[i] % 16) return INVALID_VALUE;
  }
  memset(workspace, 0xFF, workspaceBytes);
  for (int32_t z = 0; z < d->batch; ++z) {
    for (uint64_t column = 0; column < n; ++column) {
      for (uint64_t row = 0; row < m; ++row) {
        double sum = 0;
        for (uint64_t i = 0; i < k; ++i) {
          const int64_t atA = z * a->stride + (int64_t)(p->transposeA ? i + row * a->leading : row + i * a->leading);
          const int64_t atB = z * b->stride + (int64_t)(p->transposeB ? column + i * b->leading : i + column * b->leading);
          sum += (double)element(A, a->type, p->compute, atA) * element(B, b->type, p->compute, atB);
        }
        const int64_t at = z * d->stride + (int64_t)(row + column * d->leading);
        float value = *alpha * (float)sum;
        if (*beta != 0) value += *beta * element(C, c->type, COMPUTE_32F, z * c->stride + (int64_t)(row + column * c->leading));
        if (p->epilogue & 4) value += element(p->bias, d->type, COMPUTE_32F, (int64_t)row);
        if (p->epilogue & 2) value = value < 0 ? 0 : value;
        store(D, d->type, at, value);
      }
    }
  }
  record(p, a, d, k, *beta, algorithm->number);
  return SUCCESS;
}
