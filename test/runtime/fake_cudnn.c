/* A libcudnn.so.9 that convolves in the host's memory, for test/ops/cuda_libraries.test.ts: the calls that Chainrule
   makes, refused where the real library would refuse them. Each convolution is a line of FAKE_CUDNN_LOG.
   FAKE_CUDNN_VERSION: what it says it is. FAKE_CUDNN_CREATE, _WORKSPACE, _CONVOLUTION: the status those calls answer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, BAD_PARAM = 2000 };
enum { FLOAT = 0, NHWC = 1, CROSS_CORRELATION = 1, DEFAULT_MATH = 0, FMA_MATH = 3, RELU = 1, IDENTITY = 5 };

typedef struct {
  int n, c, h, w;
} Tensor;
typedef struct {
  int k, c, h, w;
} Filter;
typedef struct {
  int pad[2], stride[2], dilation[2], math, groups;
} Convolution;
typedef struct {
  int mode;
} Activation;

static const uint64_t mark = 0x6368616972756c65;

const int chainruleComputesOnHost = 1;

static size_t number(const char* name, size_t otherwise) {
  const char* text = getenv(name);
  return text ? (size_t)atoll(text) : otherwise;
}

int cudnnCreate(void** handle) {
  *handle = (void*)&mark;
  return (int)number("FAKE_CUDNN_CREATE", 0);
}
int cudnnDestroy(void* handle) { return handle == &mark ? SUCCESS : BAD_PARAM; }
int cudnnSetStream(void* handle, void* stream) { return handle == &mark && !stream ? SUCCESS : BAD_PARAM; }
size_t cudnnGetVersion(void) { return number("FAKE_CUDNN_VERSION", 91301); }
const char* cudnnGetErrorString(int status) {
  (void)status;
  return "FAKE_CUDNN_STATUS";
}

#define LIFE(Type, name)                            \
  int cudnnCreate##name##Descriptor(Type** made) {  \
    *made = calloc(1, sizeof(Type));                \
    return SUCCESS;                                 \
  }                                                 \
  int cudnnDestroy##name##Descriptor(Type* made) {  \
    free(made);                                     \
    return SUCCESS;                                 \
  }
LIFE(Tensor, Tensor)
LIFE(Filter, Filter)
LIFE(Convolution, Convolution)
LIFE(Activation, Activation)

int cudnnSetTensor4dDescriptor(Tensor* tensor, int format, int type, int n, int c, int h, int w) {
  if (format != NHWC || type != FLOAT || n < 1 || c < 1 || h < 1 || w < 1) return BAD_PARAM;
  *tensor = (Tensor){n, c, h, w};
  return SUCCESS;
}
int cudnnSetFilter4dDescriptor(Filter* filter, int type, int format, int k, int c, int h, int w) {
  if (format != NHWC || type != FLOAT || k < 1 || c < 1 || h < 1 || w < 1) return BAD_PARAM;
  *filter = (Filter){k, c, h, w};
  return SUCCESS;
}
int cudnnSetConvolution2dDescriptor(Convolution* convolution, int padH, int padW, int strideH, int strideW,
                                    int dilationH, int dilationW, int mode, int type) {
  if (padH < 0 || padW < 0 || strideH < 1 || strideW < 1 || dilationH < 1 || dilationW < 1 ||
      mode != CROSS_CORRELATION || type != FLOAT)
    return BAD_PARAM;
  *convolution = (Convolution){{padH, padW}, {strideH, strideW}, {dilationH, dilationW}, DEFAULT_MATH, 1};
  return SUCCESS;
}
int cudnnSetConvolutionMathType(Convolution* convolution, int math) {
  convolution->math = math;
  return math == DEFAULT_MATH || math == FMA_MATH ? SUCCESS : BAD_PARAM;
}
int cudnnSetConvolutionGroupCount(Convolution* convolution, int groups) {
  convolution->groups = groups;
  return groups > 0 ? SUCCESS : BAD_PARAM;
}
int cudnnSetActivationDescriptor(Activation* activation, int mode, int nan, double ceiling) {
  activation->mode = mode;
  return (mode == RELU || mode == IDENTITY) && nan == 0 && ceiling == 0 ? SUCCESS : BAD_PARAM;
}

static int sizeAfter(int in, int taps, int pad, int stride, int dilation) {
  return (in + 2 * pad - ((taps - 1) * dilation + 1)) / stride + 1;
}
static int isConsistent(const Tensor* x, const Filter* w, const Convolution* c, const Tensor* y) {
  return x->n == y->n && x->c == w->c * c->groups && y->c == w->k && w->k % c->groups == 0 &&
         y->h == sizeAfter(x->h, w->h, c->pad[0], c->stride[0], c->dilation[0]) &&
         y->w == sizeAfter(x->w, w->w, c->pad[1], c->stride[1], c->dilation[1]);
}

static size_t workspaceOf(const Filter* w) { return w->h % 2 ? 1000 : 0; }
static int workspace(void* handle, const Tensor* x, const Filter* w, const Convolution* c, const Tensor* y,
                     int algorithm, size_t* bytes) {
  const int status = (int)number("FAKE_CUDNN_WORKSPACE", 0);
  if (status) return status;
  if (handle != &mark || algorithm != 1 || !isConsistent(x, w, c, y)) return BAD_PARAM;
  *bytes = workspaceOf(w);
  return SUCCESS;
}
int cudnnGetConvolutionForwardWorkspaceSize(void* handle, Tensor* x, Filter* w, Convolution* c, Tensor* y,
                                            int algorithm, size_t* bytes) {
  return workspace(handle, x, w, c, y, algorithm, bytes);
}
int cudnnGetConvolutionBackwardDataWorkspaceSize(void* handle, Filter* w, Tensor* y, Convolution* c, Tensor* x,
                                                 int algorithm, size_t* bytes) {
  return workspace(handle, x, w, c, y, algorithm, bytes);
}
int cudnnGetConvolutionBackwardFilterWorkspaceSize(void* handle, Tensor* x, Tensor* y, Convolution* c, Filter* w,
                                                   int algorithm, size_t* bytes) {
  return workspace(handle, x, w, c, y, algorithm, bytes);
}

static float rounded(float value, int math) {
  uint32_t bits;
  if (math == FMA_MATH) return value;
  memcpy(&bits, &value, 4);
  if ((bits >> 23 & 255) != 255) bits = (bits + 0x1000) & ~UINT32_C(0x1FFF);
  memcpy(&value, &bits, 4);
  return value;
}

/* Adds up all products x * w -> y; the array of the role that is computed is `sums`. */
static int convolve(const char* name, void* handle, const Tensor* x, const float* X, const Filter* w, const float* W,
                    const Convolution* c, const Tensor* y, const float* Y, int algorithm, void* space, size_t bytes,
                    double* sums, const char* epilogue) {
  const int status = (int)number("FAKE_CUDNN_CONVOLUTION", 0);
  if (status) return status;
  if (handle != &mark || algorithm != 1 || !isConsistent(x, w, c, y) || bytes < workspaceOf(w)) return BAD_PARAM;
  if (bytes && (!space || (uintptr_t)space % 256)) return BAD_PARAM;
  if ((uintptr_t)X % 16 || (uintptr_t)W % 16 || (uintptr_t)Y % 16) return BAD_PARAM;
  memset(space, 0xFF, bytes);
  for (int n = 0; n < y->n; ++n)
    for (int oh = 0; oh < y->h; ++oh)
      for (int ow = 0; ow < y->w; ++ow)
        for (int k = 0; k < w->k; ++k)
          for (int r = 0; r < w->h; ++r)
            for (int s = 0; s < w->w; ++s) {
              const int h = oh * c->stride[0] - c->pad[0] + r * c->dilation[0];
              const int v = ow * c->stride[1] - c->pad[1] + s * c->dilation[1];
              if (h < 0 || h >= x->h || v < 0 || v >= x->w) continue;
              const int group = k / (w->k / c->groups);
              for (int i = 0; i < w->c; ++i) {
                const size_t atX = (((size_t)n * x->h + h) * x->w + v) * x->c + group * w->c + i;
                const size_t atW = (((size_t)k * w->h + r) * w->w + s) * w->c + i;
                const size_t atY = (((size_t)n * y->h + oh) * y->w + ow) * y->c + k;
                if (*name == 'f') sums[atY] += (double)rounded(X[atX], c->math) * rounded(W[atW], c->math);
                if (*name == 'd') sums[atX] += (double)rounded(Y[atY], c->math) * rounded(W[atW], c->math);
                if (*name == 'w') sums[atW] += (double)rounded(X[atX], c->math) * rounded(Y[atY], c->math);
              }
            }
  const char* const path = getenv("FAKE_CUDNN_LOG");
  FILE* const file = path ? fopen(path, "a") : NULL;
  if (file) {
    fprintf(file, "%s %s%s\n", c->math == FMA_MATH ? "f32" : "tf32", name, epilogue);
    fclose(file);
  }
  return SUCCESS;
}

static int forward(void* handle, const float* alpha, Tensor* x, const float* X, Filter* w, const float* W,
                   Convolution* c, int algorithm, void* space, size_t bytes, const float* bias, int relu, Tensor* y,
                   float* Y) {
  const size_t count = (size_t)y->n * y->h * y->w * y->c;
  double* const sums = calloc(count, sizeof(double));
  const int status = convolve("forward", handle, x, X, w, W, c, y, Y, algorithm, space, bytes, sums,
                              relu ? " bias relu" : bias ? " bias" : "");
  for (size_t i = 0; status == SUCCESS && i < count; ++i) {
    float value = *alpha * (float)sums[i];
    if (bias) value += bias[i % (size_t)y->c];
    Y[i] = relu && !(value > 0) ? 0 : value;
  }
  free(sums);
  return status;
}
int cudnnConvolutionForward(void* handle, const float* alpha, Tensor* x, const float* X, Filter* w, const float* W,
                            Convolution* c, int algorithm, void* space, size_t bytes, const float* beta, Tensor* y,
                            float* Y) {
  if (*beta != 0) return BAD_PARAM;
  return forward(handle, alpha, x, X, w, W, c, algorithm, space, bytes, NULL, 0, y, Y);
}
int cudnnConvolutionBiasActivationForward(void* handle, const float* alpha, Tensor* x, const float* X, Filter* w,
                                          const float* W, Convolution* c, int algorithm, void* space, size_t bytes,
                                          const float* alpha2, Tensor* z, const float* Z, Tensor* b, const float* B,
                                          Activation* activation, Tensor* y, float* Y) {
  if (*alpha2 != 0 || memcmp(z, y, sizeof *z) || !Z || b->c != y->c || b->n * b->h * b->w != 1) return BAD_PARAM;
  return forward(handle, alpha, x, X, w, W, c, algorithm, space, bytes, B, activation->mode == RELU, y, Y);
}
int cudnnConvolutionBackwardData(void* handle, const float* alpha, Filter* w, const float* W, Tensor* y, const float* Y,
                                 Convolution* c, int algorithm, void* space, size_t bytes, const float* beta, Tensor* x,
                                 float* X) {
  const size_t count = (size_t)x->n * x->h * x->w * x->c;
  double* const sums = calloc(count, sizeof(double));
  const int status =
      *beta != 0 ? BAD_PARAM : convolve("data", handle, x, X, w, W, c, y, Y, algorithm, space, bytes, sums, "");
  for (size_t i = 0; status == SUCCESS && i < count; ++i) X[i] = *alpha * (float)sums[i];
  free(sums);
  return status;
}
int cudnnConvolutionBackwardFilter(void* handle, const float* alpha, Tensor* x, const float* X, Tensor* y,
                                   const float* Y, Convolution* c, int algorithm, void* space, size_t bytes,
                                   const float* beta, Filter* w, float* W) {
  const size_t count = (size_t)w->k * w->c * w->h * w->w;
  double* const sums = calloc(count, sizeof(double));
  const int status =
      *beta != 0 ? BAD_PARAM : convolve("weights", handle, x, X, w, W, c, y, Y, algorithm, space, bytes, sums, "");
  for (size_t i = 0; status == SUCCESS && i < count; ++i) W[i] = *alpha * (float)sums[i];
  free(sums);
  return status;
}
