/* h_ij = relu(W_L ... relu(W_1 relu(a_i + b_j) + c_1) ... + c_L) over all pairs of ragged jets:
   sums over j != i of h and of its squares with their gradients, or maxima without the last ReLU,
   in single precision on one thread: see pair_reduce.py.

   Nothing of the size of the pairs is ever stored: a block of them stays in the cache, and the
   backward pass computes its activations again. Sums of weight gradients run lane by lane over
   a bounded number of blocks and from there in double precision. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    LANES = 8,
    BLOCK = 256,             /* columns (pairs) of a block; a multiple of 4 LANES */
    STRIDE = BLOCK + LANES,  /* room for a last row's whole vector; no power of two */
    CHUNK_NODES = 2048,      /* nodes gathered at a time; a larger jet makes a chunk of its own */
    FLUSH = 64,              /* blocks between two carries into double precision */
};

/* A weight matrix cut into panels of at most six rows, each stored column by column. */
struct panels {
    int64_t out, inner, count;
    float *packed;
};

static int64_t panel_rows(const struct panels *w, int64_t p) {
    return w->out / w->count + (p < w->out % w->count);
}

struct network {
    int64_t layers;         /* linear layers among pairs, after the first */
    const int64_t *widths;  /* [layers + 1] */
    int64_t moments;        /* 1: sums; 2: and sums of squares, after them */
    int linear;             /* no ReLU after the last layer */
    const float **weight, **bias;
    struct panels *forward, *backward;
};

struct segment {
    int64_t centre, neighbour; /* of the first pair, as nodes of the chunk */
    int64_t column, length;
    int64_t self; /* column of the pair (centre, centre), or -1 */
};

/* Jets gathered side by side, as [width][node], with LANES of room after each jet. */
struct chunk {
    int64_t stride;
    float *a, *b, *out, *grad, *grad_a, *grad_b;
    int64_t *best; /* as nodes of the chunk */
};

struct scratch {
    float **hidden, **grad;
    float **weight_sums, **bias_sums; /* [out][in][LANES] and [out][LANES], since the last flush */
};

#define NAME(x) x##_base
#include "_pairs_kernel.h"
#undef NAME

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HAVE_AVX2 1
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define NAME(x) x##_avx2
#include "_pairs_kernel.h"
#undef NAME
#pragma GCC pop_options
#endif

typedef void block_work(const struct network *, const struct chunk *, const struct segment *,
                        int64_t, int64_t, struct scratch *);

/* Every block of memory of a call, released together. */
struct arena {
    void *held[256];
    int count;
    int failed;
};

static void *take(struct arena *arena, int64_t items, size_t size) {
    /* Zeroed, because columns beyond a block's last pair are computed, too, and must be finite. */
    void *memory = arena->count < 256 ? calloc(items > 0 ? items : 1, size) : NULL;
    if (memory == NULL)
        arena->failed = 1;
    else
        arena->held[arena->count++] = memory;
    return memory;
}

static void release(struct arena *arena) {
    while (arena->count > 0) free(arena->held[--arena->count]);
}

static void pack(struct panels *w, struct arena *arena, const float *weight, int64_t out,
                 int64_t inner, int transposed) {
    w->out = out, w->inner = inner, w->count = (out + 5) / 6;
    float *packed = w->packed = take(arena, out * inner, sizeof(float));
    if (packed == NULL) return;
    for (int64_t p = 0, row = 0; p < w->count; row += panel_rows(w, p), p++)
        for (int64_t k = 0; k < inner; k++)
            for (int64_t r = row; r < row + panel_rows(w, p); r++)
                *packed++ = transposed ? weight[k * out + r] : weight[r * inner + k];
}

static void gather(float *to, const float *from, const int64_t *ptr, const int64_t *jets,
                   int64_t n_jets, int64_t width, int64_t stride) {
    for (int64_t jet = 0, at = 0; jet < n_jets; jet++) {
        const int64_t first = ptr[jets[jet]], n = ptr[jets[jet] + 1] - first;
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < width; k++)
                to[k * stride + at + i] = from[(first + i) * width + k];
        at += n + LANES;
    }
}

static void scatter(float *to, const float *from, const int64_t *ptr, const int64_t *jets,
                    int64_t n_jets, int64_t width, int64_t stride) {
    for (int64_t jet = 0, at = 0; jet < n_jets; jet++) {
        const int64_t first = ptr[jets[jet]], n = ptr[jets[jet] + 1] - first;
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < width; k++)
                to[(first + i) * width + k] = from[k * stride + at + i];
        at += n + LANES;
    }
}

/* The best neighbours, from nodes of the chunk to nodes of the batch. */
static void scatter_best(int64_t *to, const int64_t *from, const int64_t *ptr, const int64_t *jets,
                         int64_t n_jets, int64_t width, int64_t stride) {
    for (int64_t jet = 0, at = 0; jet < n_jets; jet++) {
        const int64_t first = ptr[jets[jet]], n = ptr[jets[jet] + 1] - first;
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < width; k++) {
                const int64_t best = from[k * stride + at + i];
                to[(first + i) * width + k] = best < 0 ? -1 : best - at + first;
            }
        at += n + LANES;
    }
}

static void flush(const struct network *net, struct scratch *scratch, double **weight_totals,
                  double **bias_totals) {
    for (int64_t l = 0; l < net->layers; l++) {
        const int64_t out = net->widths[l + 1], size = out * net->widths[l];
        for (int64_t w = 0; w < size; w++)
            for (int lane = 0; lane < LANES; lane++)
                weight_totals[l][w] += scratch->weight_sums[l][w * LANES + lane];
        for (int64_t o = 0; o < out; o++)
            for (int lane = 0; lane < LANES; lane++)
                bias_totals[l][o] += scratch->bias_sums[l][o * LANES + lane];
        memset(scratch->weight_sums[l], 0, size * LANES * sizeof(float));
        memset(scratch->bias_sums[l], 0, out * LANES * sizeof(float));
    }
}

/* Pointers as the caller hands them over. With best: maxima; with grad: gradients of the sums. */
struct call {
    const float *a, *b;
    const int64_t *ptr, *jets;
    int64_t n_jets, layers;
    const int64_t *widths;
    const int64_t *weights; /* [2 layers] addresses: weight, bias, weight, bias, ... */
    int64_t moments;
    float *out;             /* [T][moments * O] */
    int64_t *best;          /* [T][O] */
    const float *grad;      /* [T][moments * O] */
    float *grad_a, *grad_b;
    const int64_t *grad_weights; /* [2 layers] addresses */
};

static int run(const struct call *call) {
    const int back = call->grad != NULL;
    const int64_t layers = call->layers;
    const int64_t *widths = call->widths;
    const int maxima = call->best != NULL;
    const int64_t results = widths[layers] * call->moments;
    block_work *work = back ? backward_block_base : maxima ? max_block_base : sum_block_base;
#ifdef HAVE_AVX2
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        work = back ? backward_block_avx2 : maxima ? max_block_avx2 : sum_block_avx2;
#endif
    struct arena arena = {.count = 0, .failed = 0};
    int64_t widest = 0, stride = 0;
    for (int64_t l = 0; l <= layers; l++) widest = widths[l] > widest ? widths[l] : widest;
    for (int64_t jet = 0, nodes = 0; jet < call->n_jets; jet++) {
        const int64_t n = call->ptr[call->jets[jet] + 1] - call->ptr[call->jets[jet]] + LANES;
        nodes = nodes + n > CHUNK_NODES ? n : nodes + n;
        stride = nodes > stride ? nodes : stride;
    }

    struct network net = {
        .layers = layers, .widths = widths, .moments = call->moments, .linear = maxima};
    struct scratch scratch;
    net.weight = take(&arena, layers, sizeof(float *));
    net.bias = take(&arena, layers, sizeof(float *));
    net.forward = take(&arena, layers, sizeof(struct panels));
    net.backward = take(&arena, layers, sizeof(struct panels));
    scratch.hidden = take(&arena, layers + 1, sizeof(float *));
    scratch.grad = take(&arena, layers + 1, sizeof(float *));
    scratch.weight_sums = take(&arena, layers, sizeof(float *));
    scratch.bias_sums = take(&arena, layers, sizeof(float *));
    double **weight_totals = take(&arena, layers, sizeof(double *));
    double **bias_totals = take(&arena, layers, sizeof(double *));
    struct segment *segments = take(&arena, BLOCK, sizeof(struct segment));
    struct chunk chunk = {.stride = stride};
    chunk.a = take(&arena, widths[0] * stride, sizeof(float));
    chunk.b = take(&arena, widths[0] * stride, sizeof(float));
    if (back) {
        chunk.grad = take(&arena, results * stride, sizeof(float));
        chunk.grad_a = take(&arena, widths[0] * stride, sizeof(float));
        chunk.grad_b = take(&arena, widths[0] * stride, sizeof(float));
    } else {
        chunk.out = take(&arena, results * stride, sizeof(float));
    }
    if (maxima) chunk.best = take(&arena, results * stride, sizeof(int64_t));
    for (int64_t l = 0; l <= layers && !arena.failed; l++) {
        scratch.hidden[l] = take(&arena, widths[l] * STRIDE, sizeof(float));
        if (back) scratch.grad[l] = take(&arena, widths[l] * STRIDE, sizeof(float));
    }
    for (int64_t l = 0; l < layers && !arena.failed; l++) {
        const int64_t out = widths[l + 1], in = widths[l];
        net.weight[l] = (const float *)call->weights[2 * l];
        net.bias[l] = (const float *)call->weights[2 * l + 1];
        pack(&net.forward[l], &arena, net.weight[l], out, in, 0);
        if (!back) continue;
        pack(&net.backward[l], &arena, net.weight[l], in, out, 1);
        scratch.weight_sums[l] = take(&arena, out * in * LANES, sizeof(float));
        scratch.bias_sums[l] = take(&arena, out * LANES, sizeof(float));
        weight_totals[l] = take(&arena, out * in, sizeof(double));
        bias_totals[l] = take(&arena, out, sizeof(double));
    }
    if (arena.failed) {
        release(&arena);
        return -1;
    }

    int64_t blocks = 0;
    for (int64_t jet = 0; jet < call->n_jets;) {
        int64_t n_jets = 0, nodes = 0;
        while (jet + n_jets < call->n_jets) {
            const int64_t id = call->jets[jet + n_jets];
            const int64_t n = call->ptr[id + 1] - call->ptr[id] + LANES;
            if (n_jets > 0 && nodes + n > CHUNK_NODES) break;
            nodes += n, n_jets++;
        }
        const int64_t *jets = call->jets + jet;
        gather(chunk.a, call->a, call->ptr, jets, n_jets, widths[0], stride);
        gather(chunk.b, call->b, call->ptr, jets, n_jets, widths[0], stride);
        if (back) {
            gather(chunk.grad, call->grad, call->ptr, jets, n_jets, results, stride);
            memset(chunk.grad_a, 0, widths[0] * stride * sizeof(float));
            memset(chunk.grad_b, 0, widths[0] * stride * sizeof(float));
        } else {
            memset(chunk.out, 0, results * stride * sizeof(float));
            if (maxima) memset(chunk.best, -1, results * stride * sizeof(int64_t));
        }
        int64_t n_segments = 0, column = 0;
        for (int64_t k = 0, first = 0; k < n_jets; k++) {
            const int64_t n = call->ptr[jets[k] + 1] - call->ptr[jets[k]];
            for (int64_t i = 0; i < n; i++)
                for (int64_t j = 0; j < n;) {
                    const int64_t room = BLOCK - column;
                    const int64_t length = n - j < room ? n - j : room;
                    segments[n_segments++] = (struct segment){
                        .centre = first + i,
                        .neighbour = first + j,
                        .column = column,
                        .length = length,
                        .self = j <= i && i < j + length ? column + i - j : -1,
                    };
                    column += length, j += length;
                    const int last = k == n_jets - 1 && i == n - 1 && j == n;
                    if (column < BLOCK && !last) continue;
                    const int64_t whole = (column + 4 * LANES - 1) / (4 * LANES) * (4 * LANES);
                    work(&net, &chunk, segments, n_segments, whole, &scratch);
                    n_segments = column = 0;
                    if (back && ++blocks % FLUSH == 0)
                        flush(&net, &scratch, weight_totals, bias_totals);
                }
            first += n + LANES;
        }
        if (n_segments > 0) { /* the chunk's last jet is empty */
            const int64_t whole = (column + 4 * LANES - 1) / (4 * LANES) * (4 * LANES);
            work(&net, &chunk, segments, n_segments, whole, &scratch);
        }
        if (back) {
            scatter(call->grad_a, chunk.grad_a, call->ptr, jets, n_jets, widths[0], stride);
            scatter(call->grad_b, chunk.grad_b, call->ptr, jets, n_jets, widths[0], stride);
        } else {
            scatter(call->out, chunk.out, call->ptr, jets, n_jets, results, stride);
            if (maxima)
                scatter_best(call->best, chunk.best, call->ptr, jets, n_jets, results, stride);
        }
        jet += n_jets;
    }
    if (back) {
        flush(&net, &scratch, weight_totals, bias_totals);
        for (int64_t l = 0; l < layers; l++) {
            float *weight = (float *)call->grad_weights[2 * l];
            float *bias = (float *)call->grad_weights[2 * l + 1];
            for (int64_t w = 0; w < widths[l + 1] * widths[l]; w++)
                weight[w] = (float)weight_totals[l][w];
            for (int64_t o = 0; o < widths[l + 1]; o++) bias[o] = (float)bias_totals[l][o];
        }
    }
    release(&arena);
    return 0;
}

/* Addresses come as integers: the caller holds the tensors, contiguous and of the right type. */
static PyObject *py_run(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long long a, b, ptr, jets, widths, weights, out, best, grad, grad_a, grad_b,
        grad_weights;
    long long n_jets, layers, moments;
    if (!PyArg_ParseTuple(args, "KKKKLLKKLKKKKKK", &a, &b, &ptr, &jets, &n_jets, &layers, &widths,
                          &weights, &moments, &out, &best, &grad, &grad_a, &grad_b,
                          &grad_weights))
        return NULL;
    const struct call call = {
        .a = (const float *)(uintptr_t)a,
        .b = (const float *)(uintptr_t)b,
        .ptr = (const int64_t *)(uintptr_t)ptr,
        .jets = (const int64_t *)(uintptr_t)jets,
        .n_jets = n_jets,
        .layers = layers,
        .widths = (const int64_t *)(uintptr_t)widths,
        .weights = (const int64_t *)(uintptr_t)weights,
        .moments = moments,
        .out = (float *)(uintptr_t)out,
        .best = (int64_t *)(uintptr_t)best,
        .grad = (const float *)(uintptr_t)grad,
        .grad_a = (float *)(uintptr_t)grad_a,
        .grad_b = (float *)(uintptr_t)grad_b,
        .grad_weights = (const int64_t *)(uintptr_t)grad_weights,
    };
    int status;
    Py_BEGIN_ALLOW_THREADS;
    status = run(&call);
    Py_END_ALLOW_THREADS;
    if (status != 0) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"run", py_run, METH_VARARGS, "A forward or backward pass over some of the jets."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_pairs", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit__pairs(void) { return PyModule_Create(&module); }
