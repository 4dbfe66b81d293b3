/* Pseudo-experiments of counts, and the largest of their windows' tabled statistics; see kernel.py.

   Random numbers are those of xoshiro256** (arXiv:1805.01407), whole ones below a bound by
   Lemire's multiplication (arXiv:1805.10941), hypergeometric ones by the ratio of uniforms
   (Stadlober, J. Comput. Appl. Math. 31 (1990) 181), Poisson ones by alias tables (Vose, IEEE
   Trans. Softw. Eng. 17 (1991) 972). One thread; what a call draws depends on its state alone. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct random {
    uint64_t s[4];
};

static inline uint64_t rotated(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

static inline uint64_t bits(struct random *r) {
    uint64_t *s = r->s;
    const uint64_t result = rotated(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3];
    s[2] ^= t, s[3] = rotated(s[3], 45);
    return result;
}

/* Strictly between 0 and 1. */
static inline double uniform(struct random *r) {
    return ((double)(bits(r) >> 12) + 0.5) * 0x1p-52;
}

static inline uint64_t below(struct random *r, uint64_t bound) {
    unsigned __int128 product = (unsigned __int128)bits(r) * bound;
    if ((uint64_t)product < bound) {
        const uint64_t refused = -bound % bound;
        while ((uint64_t)product < refused) product = (unsigned __int128)bits(r) * bound;
    }
    return (uint64_t)(product >> 64);
}

/* log n!, from a table as far as it goes, and Stirling's series from there. */
struct factorials {
    const double *table;
    int64_t size;
};

static inline double log_factorial(const struct factorials *f, int64_t n) {
    if (n < f->size) return f->table[n];
    const double x = (double)n;
    return (x + 0.5) * log(x) - x + 0.91893853320467274178 + (1 / 12.0 - 1 / (360 * x * x)) / x;
}

enum { ONE_BY_ONE = 10 }; /* up to here it is quicker to draw each member of a sample */

/* How many of `few` kinds are in a sample of `sample` out of `total`, where few and sample are at
   most half of it, and few at most sample. */
static int64_t hypergeometric_core(struct random *r, const struct factorials *f, int64_t few,
                                   int64_t sample, int64_t total) {
    if (few <= ONE_BY_ONE) {
        int64_t found = 0;
        for (int64_t i = 0; i < few; i++)
            found += (int64_t)below(r, (uint64_t)(total - i)) < sample - found;
        return found;
    }
    const double t = (double)total, share = (double)few / t;
    const double mean = (double)sample * share;
    const double variance = mean * (1 - share) * (t - (double)sample) / (t - 1);
    /* The hat's half width: 2 sqrt(2/e) sigma + 3 - 2 sqrt(3/e). */
    const double width = 1.7155277699214135 * sqrt(variance + 0.5) + 0.8989161620588988;
    const int64_t rest = total - few - sample;
    const int64_t mode =
        (int64_t)(((double)sample + 1) * ((double)few + 1) / (t + 2));
    const double top = log_factorial(f, mode) + log_factorial(f, few - mode) +
                       log_factorial(f, sample - mode) + log_factorial(f, rest + mode);
    for (;;) {
        const double u = uniform(r);
        const double place = mean + 0.5 + width * (uniform(r) - 0.5) / u;
        if (place < 0 || place >= (double)few + 1) continue;
        const int64_t k = (int64_t)place;
        const double height = top - log_factorial(f, k) - log_factorial(f, few - k) -
                              log_factorial(f, sample - k) - log_factorial(f, rest + k);
        if (u * (4 - u) - 3 <= height) return k;  /* below 2 log u */
        if (u * (u - height) >= 1) continue;      /* above it */
        if (2 * log(u) <= height) return k;
    }
}

/* How many of `good` among `total` a sample holds. */
static int64_t hypergeometric(struct random *r, const struct factorials *f, int64_t good,
                              int64_t sample, int64_t total) {
    if (good <= 0 || sample <= 0) return 0;
    if (good >= total) return sample;
    if (sample >= total) return good;
    const int64_t kind = 2 * good <= total ? good : total - good;
    const int64_t drawn = 2 * sample <= total ? sample : total - sample;
    const int64_t found = kind <= drawn ? hypergeometric_core(r, f, kind, drawn, total)
                                        : hypergeometric_core(r, f, drawn, kind, total);
    /* From the rarer kind and the smaller part back to what was asked for. */
    const int64_t of_kind = drawn == sample ? found : kind - found;
    return kind == good ? of_kind : sample - of_kind;
}

/* -log local p of every window by its count, for each of the looks; rows of [looks][windows]. */
struct scan {
    int64_t looks, windows;
    const int32_t *start, *stop; /* [windows] */
    const int32_t *first, *last; /* first count that is tabled, last index of the table */
    const int64_t *offset;       /* of the table among all values */
    const double *values;
};

static double largest(const struct scan *scan, int64_t look, const int32_t *running) {
    const int32_t *first = scan->first + look * scan->windows;
    const int32_t *last = scan->last + look * scan->windows;
    const int64_t *offset = scan->offset + look * scan->windows;
    double best = 0;
    for (int64_t w = 0; w < scan->windows; w++) {
        int32_t place = running[scan->stop[w]] - running[scan->start[w]] - first[w];
        place = place < 0 ? 0 : place > last[w] ? last[w] : place;
        const double value = scan->values[offset[w] + place];
        best = value > best ? value : best;
    }
    return best;
}

/* Everything that events are dealt by. */
struct deal {
    int64_t toys, bins, patterns, parts;
    const int64_t *bound;     /* [parts + 1] bins between which patterns are dealt by themselves */
    const int64_t *every;     /* [bins] events */
    const int64_t *size;      /* [parts][patterns] events that bear each for certain */
    const int64_t *free;      /* [patterns] further ones, that may be in any part */
    const int64_t *direct;    /* [parts] patterns, the first ones, that are dealt event by event */
    const uint8_t *holds;     /* [looks][patterns] whether a pattern's events are in a look */
    struct factorials factorials;
    struct scan scan;
    double *out;              /* [toys][looks], or NULL */
    int32_t *counts;          /* [toys][patterns][bins], or NULL */
};

/* One part's patterns among its events: the first event by event, the others bin by bin. */
static void deal_part(struct random *r, const struct deal *d, int64_t part, const int64_t *size,
                      uint16_t *bin, int64_t *left, int32_t *count) {
    const int64_t bins = d->bins, low = d->bound[part], high = d->bound[part + 1];
    int64_t total = 0, dealt = 0, p = 0;
    for (int64_t m = low; m < high; m++) total += d->every[m];
    /* The first places of a shuffle. It may begin with the last toy's order: any will do. */
    for (; p < d->direct[part]; p++)
        for (const int64_t end = dealt + size[p]; dealt < end; dealt++) {
            const uint64_t other = dealt + below(r, (uint64_t)(total - dealt));
            const uint16_t m = bin[other];
            bin[other] = bin[dealt], bin[dealt] = m;
            count[p * bins + m]++;
        }
    if (p == d->patterns) return;
    for (int64_t m = low; m < high; m++) {
        left[m] = d->every[m];
        for (int64_t q = 0; q < p; q++) left[m] -= count[q * bins + m];
    }
    for (int64_t rest = total - dealt; p < d->patterns; rest -= size[p++]) {
        int64_t sample = size[p], behind = rest;
        for (int64_t m = low; m < high && sample > 0; m++) {
            const int64_t k = hypergeometric(r, &d->factorials, left[m], sample, behind);
            behind -= left[m], sample -= k, left[m] -= k;
            count[p * bins + m] = (int32_t)k;
        }
    }
}

/* How many events of each part bear each pattern in one toy: [parts][patterns]. */
static void shared_out(struct random *r, const struct deal *d, const int64_t *room, int64_t *size) {
    memcpy(size, d->size, d->parts * d->patterns * sizeof(int64_t));
    if (d->parts == 1) {
        for (int64_t p = 0; p < d->patterns; p++) size[p] += d->free[p];
        return;
    }
    for (int64_t p = 0; p < d->patterns; p++) {
        /* Among the events that no pattern has yet, nor will have for certain. */
        int64_t sample = d->free[p], behind = 0;
        int64_t left[d->parts];
        for (int64_t part = 0; part < d->parts; part++) {
            left[part] = room[part];
            for (int64_t q = 0; q < d->patterns; q++) left[part] -= size[part * d->patterns + q];
            behind += left[part];
        }
        for (int64_t part = 0; part < d->parts && sample > 0; part++) {
            const int64_t k = hypergeometric(r, &d->factorials, left[part], sample, behind);
            behind -= left[part], sample -= k;
            size[part * d->patterns + p] += k;
        }
    }
}

static int deal(struct random *random, const struct deal *d) {
    const int64_t bins = d->bins, cells = d->patterns * bins;
    int64_t total = 0;
    for (int64_t m = 0; m < bins; m++) total += d->every[m];
    uint16_t *bin = malloc((total + 1) * sizeof(uint16_t));
    int32_t *own = malloc((cells + 1) * sizeof(int32_t));
    int64_t *left = malloc((bins + 1) * sizeof(int64_t));
    int32_t *running = malloc((bins + 1) * sizeof(int32_t));
    int64_t *size = malloc((d->parts * d->patterns + 1) * sizeof(int64_t));
    int64_t *room = calloc(d->parts + 1, sizeof(int64_t));
    const int failed = bin == NULL || own == NULL || left == NULL || running == NULL ||
                       size == NULL || room == NULL;
    struct random state = *random;
    struct random *r = &state; /* a copy of our own stays in registers */
    for (int64_t part = 0; part < d->parts && !failed; part++)
        for (int64_t m = d->bound[part]; m < d->bound[part + 1]; m++) room[part] += d->every[m];
    if (!failed)
        for (int64_t m = 0, e = 0; m < bins; m++)
            for (int64_t k = 0; k < d->every[m]; k++) bin[e++] = (uint16_t)m;
    for (int64_t toy = 0; toy < d->toys && !failed; toy++) {
        int32_t *count = d->counts == NULL ? own : d->counts + toy * cells;
        memset(count, 0, cells * sizeof(int32_t));
        uint16_t *events = bin;
        shared_out(r, d, room, size);
        for (int64_t part = 0; part < d->parts; events += room[part++])
            deal_part(r, d, part, size + part * d->patterns, events, left, count);
        if (d->out == NULL) continue;
        for (int64_t look = 0; look < d->scan.looks; look++) {
            memset(running, 0, (bins + 1) * sizeof(int32_t));
            for (int64_t q = 0; q < d->patterns; q++)
                if (d->holds[look * d->patterns + q])
                    for (int64_t m = 0; m < bins; m++) running[m + 1] += count[q * bins + m];
            for (int64_t m = 0; m < bins; m++) running[m + 1] += running[m];
            d->out[toy * d->scan.looks + look] = largest(&d->scan, look, running);
        }
    }
    free(bin), free(own), free(left), free(running), free(size), free(room);
    return failed ? -1 : 0;
}

struct event {
    double weight;
    int64_t bin;
};

enum { AHEAD = 16 }; /* events looked up at a time, so that they come from memory side by side */

/* Events of different weight: each stays in its bin, and what it bears is dealt. */
static int deal_weighted(struct random *r, int64_t toys, int64_t events, int64_t bins,
                         int64_t patterns, const int64_t *size, const int64_t *bin,
                         const double *weight, double *sums, double *squares) {
    struct event *order = malloc((events + 1) * sizeof(struct event));
    if (order == NULL) return -1;
    for (int64_t e = 0; e < events; e++) order[e] = (struct event){weight[e], bin[e]};
    for (int64_t toy = 0; toy < toys; toy++) {
        int64_t dealt = 0;
        for (int64_t p = 0; p < patterns; p++, sums += bins, squares += bins)
            for (const int64_t end = dealt + size[p]; dealt < end;) {
                uint64_t other[AHEAD];
                const int64_t next = end - dealt < AHEAD ? end - dealt : AHEAD;
                for (int64_t i = 0; i < next; i++) {
                    other[i] = dealt + i + below(r, (uint64_t)(events - dealt - i));
                    __builtin_prefetch(order + other[i], 1);
                }
                for (int64_t i = 0; i < next; i++, dealt++) {
                    const struct event e = order[other[i]];
                    order[other[i]] = order[dealt], order[dealt] = e;
                    sums[e.bin] += e.weight;
                    squares[e.bin] += e.weight * e.weight;
                }
            }
    }
    free(order);
    return 0;
}

/* A row of two columns: with this chance (of 2^64) the entry itself, else another. */
struct alias {
    uint64_t chance;
    int64_t other;
};

static int alias_of(int64_t n, const double *probability, struct alias *table) {
    double *level = malloc((n + 1) * sizeof(double));
    int64_t *low = malloc((n + 1) * sizeof(int64_t)), *high = malloc((n + 1) * sizeof(int64_t));
    const int failed = level == NULL || low == NULL || high == NULL;
    int64_t lows = 0, highs = 0;
    for (int64_t i = 0; i < n && !failed; i++) {
        level[i] = probability[i] * (double)n;
        table[i] = (struct alias){UINT64_MAX, i};
        if (level[i] < 1)
            low[lows++] = i;
        else
            high[highs++] = i;
    }
    while (!failed && lows > 0 && highs > 0) {
        const int64_t i = low[--lows], j = high[highs - 1];
        table[i] = (struct alias){(uint64_t)(level[i] * 0x1p64), j};
        level[j] -= 1 - level[i];
        if (level[j] < 1) low[lows++] = j, highs--;
    }
    free(level), free(low), free(high);
    return failed ? -1 : 0;
}

struct poisson {
    int64_t toys, bins;
    const int64_t *base, *size, *offset; /* [bins] least count, counts, and where they are tabled */
    const struct alias *alias;
    struct scan scan;
    double *out;     /* [toys][looks], or NULL */
    int32_t *counts; /* [toys][bins], or NULL */
};

static int poisson(struct random *random, const struct poisson *p) {
    int32_t *running = calloc(p->bins + 1, sizeof(int32_t));
    if (running == NULL) return -1;
    struct random state = *random;
    for (int64_t toy = 0; toy < p->toys; toy++) {
        for (int64_t m = 0; m < p->bins; m++) {
            const unsigned __int128 product =
                (unsigned __int128)bits(&state) * (uint64_t)p->size[m];
            const int64_t row = (int64_t)(product >> 64);
            const struct alias *entry = p->alias + p->offset[m] + row;
            const int64_t k = (uint64_t)product < entry->chance ? row : entry->other;
            running[m + 1] = running[m] + (int32_t)(p->base[m] + k);
            if (p->counts != NULL) p->counts[toy * p->bins + m] = (int32_t)(p->base[m] + k);
        }
        if (p->out == NULL) continue;
        for (int64_t look = 0; look < p->scan.looks; look++)
            p->out[toy * p->scan.looks + look] = largest(&p->scan, look, running);
    }
    free(running);
    return 0;
}

/* Addresses come as integers: the caller holds the arrays, contiguous and of the right type. */
typedef unsigned long long address;
#define AT(type, a) ((type *)(uintptr_t)(a))

#define SCAN_FORMAT "LLKKKKKK"
#define SCAN_ARGUMENTS                                                                         \
    &looks, &windows, &start, &stop, &first, &last, &offset, &values
#define SCAN                                                                                   \
    {                                                                                          \
        .looks = looks, .windows = windows, .start = AT(const int32_t, start),                 \
        .stop = AT(const int32_t, stop), .first = AT(const int32_t, first),                    \
        .last = AT(const int32_t, last), .offset = AT(const int64_t, offset),                  \
        .values = AT(const double, values),                                                    \
    }

static PyObject *done(int status) {
    if (status != 0) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *py_deal(PyObject *self, PyObject *args) {
    (void)self;
    address seed, bound, every, size, spare, direct, holds, table;
    address start, stop, first, last, offset, values, out, counts;
    long long toys, bins, patterns, parts, table_size, looks, windows;
    if (!PyArg_ParseTuple(args, "KLLLLKKKKKKKL" SCAN_FORMAT "KK", &seed, &toys, &bins, &patterns,
                          &parts, &bound, &every, &size, &spare, &direct, &holds, &table, &table_size,
                          SCAN_ARGUMENTS, &out, &counts))
        return NULL;
    struct random random;
    memcpy(random.s, AT(const void, seed), sizeof random.s);
    const struct deal d = {
        .toys = toys,
        .bins = bins,
        .patterns = patterns,
        .parts = parts,
        .bound = AT(const int64_t, bound),
        .every = AT(const int64_t, every),
        .size = AT(const int64_t, size),
        .free = AT(const int64_t, spare),
        .direct = AT(const int64_t, direct),
        .holds = AT(const uint8_t, holds),
        .factorials = {AT(const double, table), table_size},
        .scan = SCAN,
        .out = AT(double, out),
        .counts = AT(int32_t, counts),
    };
    int status;
    Py_BEGIN_ALLOW_THREADS;
    status = deal(&random, &d);
    Py_END_ALLOW_THREADS;
    return done(status);
}

static PyObject *py_deal_weighted(PyObject *self, PyObject *args) {
    (void)self;
    address seed, size, bin, weight, sums, squares;
    long long toys, events, bins, patterns;
    if (!PyArg_ParseTuple(args, "KLLLLKKKKK", &seed, &toys, &events, &bins, &patterns, &size,
                          &bin, &weight, &sums, &squares))
        return NULL;
    struct random random;
    memcpy(random.s, AT(const void, seed), sizeof random.s);
    int status;
    Py_BEGIN_ALLOW_THREADS;
    status = deal_weighted(&random, toys, events, bins, patterns, AT(const int64_t, size),
                           AT(const int64_t, bin), AT(const double, weight), AT(double, sums),
                           AT(double, squares));
    Py_END_ALLOW_THREADS;
    return done(status);
}

static PyObject *py_alias(PyObject *self, PyObject *args) {
    (void)self;
    address probability, table;
    long long n;
    if (!PyArg_ParseTuple(args, "LKK", &n, &probability, &table)) return NULL;
    return done(alias_of(n, AT(const double, probability), AT(struct alias, table)));
}

static PyObject *py_poisson(PyObject *self, PyObject *args) {
    (void)self;
    address seed, base, size, rows, alias, start, stop, first, last, offset, values, out, counts;
    long long toys, bins, looks, windows;
    if (!PyArg_ParseTuple(args, "KLLKKKK" SCAN_FORMAT "KK", &seed, &toys, &bins, &base, &size,
                          &rows, &alias, SCAN_ARGUMENTS, &out, &counts))
        return NULL;
    struct random random;
    memcpy(random.s, AT(const void, seed), sizeof random.s);
    const struct poisson p = {
        .toys = toys,
        .bins = bins,
        .base = AT(const int64_t, base),
        .size = AT(const int64_t, size),
        .offset = AT(const int64_t, rows),
        .alias = AT(const struct alias, alias),
        .scan = SCAN,
        .out = AT(double, out),
        .counts = AT(int32_t, counts),
    };
    int status;
    Py_BEGIN_ALLOW_THREADS;
    status = poisson(&random, &p);
    Py_END_ALLOW_THREADS;
    return done(status);
}

static PyMethodDef methods[] = {
    {"deal", py_deal, METH_VARARGS, "Permutations of patterns among events that are counted."},
    {"deal_weighted", py_deal_weighted, METH_VARARGS, "The same among events of own weights."},
    {"alias", py_alias, METH_VARARGS, "The alias table of a discrete distribution."},
    {"poisson", py_poisson, METH_VARARGS, "Poisson counts of every bin."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_toys", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit__toys(void) { return PyModule_Create(&module); }
