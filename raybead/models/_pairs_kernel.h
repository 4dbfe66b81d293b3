/* The pair kernel, compiled once for each instruction set: NAME(x) gives the names their suffix.

   Pairs are columns. All pairs (i, j) of a chunk of jets are counted through, jet by jet and row
   by row, and cut into blocks of BLOCK columns whatever the sizes of the jets; a block's
   activations lie as [width][column], so each layer is a small matrix product with the columns
   along the SIMD lanes, and a block never leaves the cache. A segment is the part of one row
   (one centre i, consecutive neighbours j) that lies in a block. */

typedef float NAME(vec) __attribute__((vector_size(32), aligned(4), may_alias));
typedef int NAME(mask) __attribute__((vector_size(32), aligned(4), may_alias));
#define V NAME(vec)
#define M NAME(mask)

static inline V NAME(load)(const float *from) { return *(const V *)from; }
static inline void NAME(store)(float *to, V value) { *(V *)to = value; }
/* Comparisons are written so that a NaN passes through, as in torch. */
static inline V NAME(relu)(V x) { return (V)((M)x & ~(x < 0.0f)); }
static inline V NAME(gated)(V x, V gate) { return (V)((M)x & ~(gate <= 0.0f)); }
static inline V NAME(first)(V x, int64_t lanes) {
    static const int32_t on[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return (V)((M)x & *(const M *)(on + LANES - lanes));
}
static inline float NAME(total)(V x) {
    return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

/* out[rows][columns] = epilogue(panel' in), for `rows` rows and `wide` vectors of columns. */
static inline __attribute__((always_inline)) void NAME(product_tile)(
    const int rows, const int wide, const int linear, int64_t inner, const float *panel,
    const float *in, float *out, const float *bias, const float *gate) {
    V sum[6][4];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < wide; v++) sum[r][v] = (bias ? bias[r] : 0.0f) - (V){0};
    for (int64_t k = 0; k < inner; k++) {
        V column[4];
#pragma GCC unroll 4
        for (int v = 0; v < wide; v++) column[v] = NAME(load)(in + k * STRIDE + v * LANES);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (int v = 0; v < wide; v++) sum[r][v] += panel[k * rows + r] * column[v];
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < wide; v++) {
            const int64_t at = r * STRIDE + v * LANES;
            if (gate) sum[r][v] = NAME(gated)(sum[r][v], NAME(load)(gate + at));
            if (!gate && !linear) sum[r][v] = NAME(relu)(sum[r][v]);
            NAME(store)(out + at, sum[r][v]);
        }
}

/* A whole product. With a bias: relu(W in + bias), or without ReLU if linear. With a gate: (W in)
   where gate > 0. */
static void NAME(product)(const struct panels *w, int64_t columns, const float *in, float *out,
                          const float *bias, const float *gate, int linear) {
#define TILE(r, v)                                                                              \
    case r:                                                                                     \
        for (int64_t c = from; c < to; c += v * LANES) {                                        \
            if (gate)                                                                           \
                NAME(product_tile)(r, v, 0, w->inner, panel, in + c, out + row * STRIDE + c, 0, \
                                   gate + row * STRIDE + c);                                    \
            else if (linear)                                                                    \
                NAME(product_tile)(r, v, 1, w->inner, panel, in + c, out + row * STRIDE + c,    \
                                   bias + row, 0);                                              \
            else                                                                                \
                NAME(product_tile)(r, v, 0, w->inner, panel, in + c, out + row * STRIDE + c,    \
                                   bias + row, 0);                                              \
        }                                                                                       \
        break;
    for (int64_t from = 0; from < columns; from += 4 * LANES) {
        const int64_t to = from + 4 * LANES;
        const float *panel = w->packed;
        for (int64_t p = 0, row = 0; p < w->count; p++) {
            const int64_t rows = panel_rows(w, p);
            switch (rows) {
                TILE(1, 4)
                TILE(2, 4)
                TILE(3, 4)
                TILE(4, 2)
                TILE(5, 2)
                TILE(6, 2)
            }
            panel += rows * w->inner;
            row += rows;
        }
    }
#undef TILE
}

/* sums[rows][cols] (a vector each) += g[rows][:] h[cols][:] over the columns of a block. */
static inline __attribute__((always_inline)) void NAME(outer_tile)(
    const int rows, const int cols, int64_t columns, const float *g, const float *h, float *sums,
    int64_t width) {
    V sum[3][4];
#pragma GCC unroll 3
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) sum[r][c] = NAME(load)(sums + (r * width + c) * LANES);
    for (int64_t at = 0; at < columns; at += LANES) {
        V left[3];
#pragma GCC unroll 3
        for (int r = 0; r < rows; r++) left[r] = NAME(load)(g + r * STRIDE + at);
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) {
            const V right = NAME(load)(h + c * STRIDE + at);
#pragma GCC unroll 3
            for (int r = 0; r < rows; r++) sum[r][c] += left[r] * right;
        }
    }
#pragma GCC unroll 3
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int c = 0; c < cols; c++) NAME(store)(sums + (r * width + c) * LANES, sum[r][c]);
}

/* Gradients of one layer's weights [out][in] and biases, kept lane by lane. */
static void NAME(outer)(int64_t out, int64_t in, int64_t columns, const float *g, const float *h,
                        float *weight_sums, float *bias_sums) {
#define TILE(r, c)                                                                              \
    case r * 8 + c:                                                                             \
        NAME(outer_tile)(r, c, columns, g + o * STRIDE, h + k * STRIDE,                         \
                         weight_sums + (o * in + k) * LANES, in);                               \
        break;
    for (int64_t o = 0; o < out; o += 3)
        for (int64_t k = 0; k < in; k += 4) {
            const int64_t rows = out - o < 3 ? out - o : 3, cols = in - k < 4 ? in - k : 4;
            switch (rows * 8 + cols) {
                TILE(1, 1) TILE(1, 2) TILE(1, 3) TILE(1, 4)
                TILE(2, 1) TILE(2, 2) TILE(2, 3) TILE(2, 4)
                TILE(3, 1) TILE(3, 2) TILE(3, 3) TILE(3, 4)
            }
        }
#undef TILE
    for (int64_t o = 0; o < out; o++) {
        V sum = NAME(load)(bias_sums + o * LANES);
        for (int64_t at = 0; at < columns; at += LANES) sum += NAME(load)(g + o * STRIDE + at);
        NAME(store)(bias_sums + o * LANES, sum);
    }
}

/* hidden[0] = relu(a_i + b_j), then the layers; the last without ReLU if linear. Rows end in whole
   vectors: what they write too much, the next row or nobody reads. */
static void NAME(activations)(const struct network *net, const struct chunk *chunk,
                              const struct segment *segments, int64_t n_segments,
                              int64_t columns, float **hidden) {
    const int first_linear = net->linear && net->layers == 0;
    for (const struct segment *s = segments; s < segments + n_segments; s++)
        for (int64_t k = 0; k < net->widths[0]; k++) {
            const float centre = chunk->a[k * chunk->stride + s->centre];
            const float *b = chunk->b + k * chunk->stride + s->neighbour;
            float *out = hidden[0] + k * STRIDE + s->column;
            for (int64_t t = 0; t < s->length; t += LANES) {
                const V sum = NAME(load)(b + t) + centre;
                NAME(store)(out + t, first_linear ? sum : NAME(relu)(sum));
            }
        }
    for (int64_t l = 0; l < net->layers; l++)
        NAME(product)(&net->forward[l], columns, hidden[l], hidden[l + 1], net->bias[l], 0,
                      net->linear && l == net->layers - 1);
}

static void NAME(sum_block)(const struct network *net, const struct chunk *chunk,
                            const struct segment *segments, int64_t n_segments, int64_t columns,
                            struct scratch *scratch) {
    NAME(activations)(net, chunk, segments, n_segments, columns, scratch->hidden);
    const float *last = scratch->hidden[net->layers];
    const int64_t width = net->widths[net->layers];
    for (const struct segment *s = segments; s < segments + n_segments; s++)
        for (int64_t o = 0; o < width; o++) {
            const float *row = last + o * STRIDE + s->column;
            const float self = s->self >= 0 ? last[o * STRIDE + s->self] : 0;
            float *out = chunk->out + o * chunk->stride + s->centre;
            V sum = {0}, squares = {0};
            int64_t t = 0;
            if (net->moments == 1) {
                for (; t + LANES <= s->length; t += LANES) sum += NAME(load)(row + t);
            } else {
                for (; t + LANES <= s->length; t += LANES) {
                    const V value = NAME(load)(row + t);
                    sum += value, squares += value * value;
                }
            }
            if (t < s->length) {
                const V value = NAME(first)(NAME(load)(row + t), s->length - t);
                sum += value, squares += value * value;
            }
            *out += NAME(total)(sum) - self;
            if (net->moments == 2) out[width * chunk->stride] += NAME(total)(squares) - self * self;
        }
}

/* The larger of two, lane by lane; a NaN in either wins. */
static inline V NAME(larger)(V x, V y) {
    const M pick = (x > y) | (x != x);
    return (V)((pick & (M)x) | (~pick & (M)y));
}

/* The maximum over neighbours so far, and whose it is: the first of equal ones. */
static void NAME(max_block)(const struct network *net, const struct chunk *chunk,
                            const struct segment *segments, int64_t n_segments, int64_t columns,
                            struct scratch *scratch) {
    NAME(activations)(net, chunk, segments, n_segments, columns, scratch->hidden);
    const V lowest = (V){0} - __builtin_inff();
    for (const struct segment *s = segments; s < segments + n_segments; s++)
        for (int64_t o = 0; o < net->widths[net->layers]; o++) {
            float *row = scratch->hidden[net->layers] + o * STRIDE + s->column;
            const int64_t self = s->self >= 0 ? s->self - s->column : -1;
            if (self >= 0) row[self] = -__builtin_inff();
            V values = lowest;
            int64_t t = 0;
            for (; t + LANES <= s->length; t += LANES)
                values = NAME(larger)(NAME(load)(row + t), values);
            float value = -__builtin_inff();
            for (int lane = 0; lane < LANES; lane++)
                if (values[lane] > value || values[lane] != values[lane]) value = values[lane];
            for (; t < s->length; t++)
                if (row[t] > value || row[t] != row[t]) value = row[t];
            const int64_t at = o * chunk->stride + s->centre;
            const float held = chunk->out[at];
            if (held != held || (chunk->best[at] >= 0 && value <= held)) continue;
            for (t = 0; t < s->length; t++)
                if (t != self && (row[t] == value || row[t] != row[t])) {
                    chunk->out[at] = row[t], chunk->best[at] = s->neighbour + t;
                    break;
                }
        }
}

static void NAME(backward_block)(const struct network *net, const struct chunk *chunk,
                                 const struct segment *segments, int64_t n_segments,
                                 int64_t columns, struct scratch *scratch) {
    NAME(activations)(net, chunk, segments, n_segments, columns, scratch->hidden);
    const int64_t layers = net->layers;
    const struct segment *end = segments + n_segments;
    const int64_t filled = end[-1].column + end[-1].length;
    const float *last = scratch->hidden[layers];
    float *g = scratch->grad[layers];
    for (const struct segment *s = segments; s < end; s++)
        for (int64_t o = 0; o < net->widths[layers]; o++) {
            const float *of_sum = chunk->grad + o * chunk->stride + s->centre;
            const V grad = *of_sum - (V){0};
            const int64_t at = o * STRIDE + s->column;
            if (net->moments == 1) {
                for (int64_t t = 0; t < s->length; t += LANES)
                    NAME(store)(g + at + t, NAME(gated)(grad, NAME(load)(last + at + t)));
            } else {
                const float twice = 2 * of_sum[net->widths[layers] * chunk->stride];
                for (int64_t t = 0; t < s->length; t += LANES) {
                    const V value = NAME(load)(last + at + t);
                    NAME(store)(g + at + t, NAME(gated)(grad + twice * value, value));
                }
            }
            if (s->self >= 0) g[o * STRIDE + s->self] = 0;
        }
    for (int64_t o = 0; o < net->widths[layers]; o++)
        for (int64_t at = filled; at < columns; at++) g[o * STRIDE + at] = 0;
    for (int64_t l = layers - 1; l >= 0; l--) {
        NAME(outer)(net->widths[l + 1], net->widths[l], columns, scratch->grad[l + 1],
                    scratch->hidden[l], scratch->weight_sums[l], scratch->bias_sums[l]);
        NAME(product)(&net->backward[l], columns, scratch->grad[l + 1], scratch->grad[l], 0,
                      scratch->hidden[l], 0);
    }
    for (const struct segment *s = segments; s < end; s++)
        for (int64_t k = 0; k < net->widths[0]; k++) {
            const float *row = scratch->grad[0] + k * STRIDE + s->column;
            float *grad_b = chunk->grad_b + k * chunk->stride + s->neighbour;
            V sum = {0};
            for (int64_t t = 0; t < s->length; t += LANES) {
                const int64_t left = s->length - t;
                V part = NAME(load)(row + t);
                if (left < LANES) part = NAME(first)(part, left);
                sum += part;
                NAME(store)(grad_b + t, NAME(load)(grad_b + t) + part);
            }
            chunk->grad_a[k * chunk->stride + s->centre] += NAME(total)(sum);
        }
}

#undef V
#undef M
