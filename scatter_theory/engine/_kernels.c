/* Kernels of the fast engine for the CPU, compiled once per precision by _kernels.py with REAL, SQRT and f set.
 *
 * A filter on a grid of `source` frequencies, followed by sampling its output on `target` points, is a sparse matrix
 * with at most one entry per source frequency. It is kept as runs of consecutive frequencies,
 *     target[d + i] += w[i] source[s + i],  0 <= i < length.
 * Complex data are interleaved. Inside `propagate` LANES maps are treated side by side: every number is a vector of
 * LANES numbers, so that no butterfly needs a shuffle whatever the shape of the grid.
 */
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LANES 8
#define ALIGNMENT 64
#define LARGEST_RADIX 31

typedef REAL V __attribute__((vector_size(LANES * sizeof(REAL))));
typedef struct {
    V re, im;
} C;

typedef struct {
    const int64_t *first; /* runs of filter a: first[a] .. first[a + 1] - 1 */
    const int32_t *target, *source, *length;
    const int64_t *offset; /* index of the first weight of each run */
    const REAL *weights;
    int64_t is_complex;
} Runs;

/* Mixed radix plan: `count` radices with product n, twiddle factors stage after stage, roots of unity per radix. */
typedef struct {
    int64_t n, count;
    const int32_t *radix;
    const REAL *twiddles, *roots;
} Transform;

typedef struct {
    int64_t dimensions, target, source, filters;
    int64_t rows, columns;    /* target grid; dimensions == 1: rows * columns == target, split in four steps */
    Transform along_rows, along_columns;
    const REAL *between;      /* dimensions == 1 and rows > 1: e^(2 pi i t k / n), [t < rows][k < columns] */
    int64_t pooled_rows, pooled_columns;
    const REAL *pool_rows;    /* [rows][pooled_rows] */
    const REAL *pool_columns; /* [columns][pooled_columns]; dimensions == 1: see weights_of */
    int64_t pool_step, pool_width, pool_start;
    int64_t used_parts, used_size;
    const int64_t *used;      /* first and last + 1 of each interval of source frequencies that the filters use */
    const int32_t *place;     /* where each run starts when these intervals, used_size frequencies, lie side by side */
    const int64_t *band;      /* dimensions == 1: first sample and number of samples of each tile of outputs */
    Runs runs;
} Edge;

/* Spectra (batch, parents, source); the parents of one signal lie side by side, or are those that `chosen` lists. */
typedef struct {
    const REAL *data;
    int64_t batch, parents, stride; /* stride from signal to signal, in complex numbers */
    const int64_t *chosen;          /* NULL: 0 .. parents - 1 */
} Input;

/* What the lanes hold: map item * filters + filter each; lanes from `count` on repeat the last one. */
typedef struct {
    int64_t item[LANES], filter[LANES], count;
} Lanes;

/* Outputs of a pooling that are summed together, samples summed before they are added to the total. */
#define TILE 8
#define BLOCK 128
/* Points of which all lanes are copied before the next ones. */
#define POINTS 16
/* Parts in which the averages of a long line are summed, whatever the number of threads. */
#define SEGMENTS 8
/* Numbers that belong to one thread, before the next thread's. */
#define SPAN 512

/* Threads that treat the same LANES maps; one thread has maps of its own. */
typedef struct {
    int64_t index, size;
} Team;

static inline void wait(Team team) {
    if (team.size > 1) {
#pragma omp barrier
    }
}

/* The share of 0, ..., n - 1 of a thread, as one interval. */
static inline int64_t share(Team team, int64_t n) { return n * team.index / team.size; }
static inline int64_t share_end(Team team, int64_t n) { return n * (team.index + 1) / team.size; }

/* Likewise in spans dealt out in turns: for (p = span_of(...); p < to; p += span_step(...)) max(p, from) ... min(p + span_size(...), to). */
static inline int64_t span_size(Team team, int64_t n) { return team.size > 1 ? SPAN : n; }
static inline int64_t span_of(Team team, int64_t from, int64_t n) {
    int64_t first = from / span_size(team, n);
    return (first + (team.index - first % team.size + team.size) % team.size) * span_size(team, n);
}
static inline int64_t span_step(Team team, int64_t n) { return span_size(team, n) * team.size; }
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t greatest(int64_t a, int64_t b) { return a > b ? a : b; }

/* ------------------------------------------------------------------ scratch memory, one block per thread */

#define MAPPED ((size_t)1 << 20)

static __thread void *block = NULL;
static __thread size_t block_size = 0;

/* Large blocks come from the operating system and go back there: in the heap of the C library their holes would stay. */
static void release(void) {
    if (block_size >= MAPPED) munmap(block, block_size);
    else free(block);
    block = NULL;
    block_size = 0;
}

static void *scratch(size_t bytes) {
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes <= block_size) return block;
    release();
    if (bytes >= MAPPED) {
        block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) block = NULL;
    } else block = aligned_alloc(ALIGNMENT, bytes);
    block_size = block ? bytes : 0;
    return block;
}

/* ------------------------------------------------------------------ inverse transform of vectors of lanes */

static inline C times(V re, V im, const REAL *w) {
    C r = {re * w[0] - im * w[1], re * w[1] + im * w[0]};
    return r;
}

static void stage2(int64_t l, int64_t m, const C *restrict x, C *restrict y, const REAL *w) {
    for (int64_t p = 0; p < m; p++, w += 2)
        for (int64_t q = 0; q < l; q++) {
            C a = x[q + l * p], b = x[q + l * (p + m)];
            C *o = y + q + 2 * l * p;
            o[0].re = a.re + b.re;
            o[0].im = a.im + b.im;
            o[l] = times(a.re - b.re, a.im - b.im, w);
        }
}

static void stage3(int64_t l, int64_t m, const C *restrict x, C *restrict y, const REAL *w) {
    const REAL h = (REAL)0.5, s = (REAL)0.86602540378443864676;
    for (int64_t p = 0; p < m; p++, w += 4)
        for (int64_t q = 0; q < l; q++) {
            C a = x[q + l * p], b = x[q + l * (p + m)], c = x[q + l * (p + 2 * m)];
            C *o = y + q + 3 * l * p;
            V sr = b.re + c.re, si = b.im + c.im, dr = s * (b.re - c.re), di = s * (b.im - c.im);
            V ur = a.re - h * sr, ui = a.im - h * si;
            o[0].re = a.re + sr;
            o[0].im = a.im + si;
            o[l] = times(ur - di, ui + dr, w);
            o[2 * l] = times(ur + di, ui - dr, w + 2);
        }
}

static void stage4(int64_t l, int64_t m, const C *restrict x, C *restrict y, const REAL *w) {
    for (int64_t p = 0; p < m; p++, w += 6)
        for (int64_t q = 0; q < l; q++) {
            C a = x[q + l * p], b = x[q + l * (p + m)], c = x[q + l * (p + 2 * m)], d = x[q + l * (p + 3 * m)];
            C *o = y + q + 4 * l * p;
            V s0r = a.re + c.re, s0i = a.im + c.im, s1r = a.re - c.re, s1i = a.im - c.im;
            V s2r = b.re + d.re, s2i = b.im + d.im, s3r = b.re - d.re, s3i = b.im - d.im;
            o[0].re = s0r + s2r;
            o[0].im = s0i + s2i;
            o[l] = times(s1r - s3i, s1i + s3r, w);
            o[2 * l] = times(s0r - s2r, s0i - s2i, w + 2);
            o[3 * l] = times(s1r + s3i, s1i - s3r, w + 4);
        }
}

static void stage5(int64_t l, int64_t m, const C *restrict x, C *restrict y, const REAL *w) {
    const REAL c1 = (REAL)0.30901699437494742410, c2 = (REAL)-0.80901699437494742410;
    const REAL s1 = (REAL)0.95105651629515357212, s2 = (REAL)0.58778525229247312917;
    for (int64_t p = 0; p < m; p++, w += 8)
        for (int64_t q = 0; q < l; q++) {
            const C *i = x + q + l * p;
            C a = i[0], b = i[l * m], c = i[2 * l * m], d = i[3 * l * m], e = i[4 * l * m];
            C *o = y + q + 5 * l * p;
            V p1r = b.re + e.re, p1i = b.im + e.im, m1r = b.re - e.re, m1i = b.im - e.im;
            V p2r = c.re + d.re, p2i = c.im + d.im, m2r = c.re - d.re, m2i = c.im - d.im;
            V u1r = a.re + c1 * p1r + c2 * p2r, u1i = a.im + c1 * p1i + c2 * p2i;
            V u2r = a.re + c2 * p1r + c1 * p2r, u2i = a.im + c2 * p1i + c1 * p2i;
            V v1r = s1 * m1r + s2 * m2r, v1i = s1 * m1i + s2 * m2i;
            V v2r = s2 * m1r - s1 * m2r, v2i = s2 * m1i - s1 * m2i;
            o[0].re = a.re + p1r + p2r;
            o[0].im = a.im + p1i + p2i;
            o[l] = times(u1r - v1i, u1i + v1r, w);
            o[2 * l] = times(u2r - v2i, u2i + v2r, w + 2);
            o[3 * l] = times(u2r + v2i, u2i - v2r, w + 4);
            o[4 * l] = times(u1r + v1i, u1i - v1r, w + 6);
        }
}

/* Any odd r: outputs k and r - k share the sums over the pairs x_j + x_(r-j) and x_j - x_(r-j). */
static void stage(int64_t r, int64_t l, int64_t m, const C *restrict x, C *restrict y, const REAL *w,
                  const REAL *roots) {
    int64_t half = (r - 1) / 2;
    C plus[LARGEST_RADIX / 2 + 1], minus[LARGEST_RADIX / 2 + 1];
    for (int64_t p = 0; p < m; p++, w += 2 * (r - 1))
        for (int64_t q = 0; q < l; q++) {
            const C *in = x + q + l * p;
            C *o = y + q + r * l * p, total = in[0];
            for (int64_t j = 1; j <= half; j++) {
                C a = in[j * l * m], b = in[(r - j) * l * m];
                plus[j].re = a.re + b.re;
                plus[j].im = a.im + b.im;
                minus[j].re = a.re - b.re;
                minus[j].im = a.im - b.im;
                total.re += plus[j].re;
                total.im += plus[j].im;
            }
            o[0] = total;
            for (int64_t k = 1; k <= half; k++) {
                C even = in[0], odd;
                memset(&odd, 0, sizeof odd);
                for (int64_t j = 1, step = k; j <= half; j++, step = step + k >= r ? step + k - r : step + k) {
                    REAL c = roots[2 * step], s = roots[2 * step + 1];
                    even.re += c * plus[j].re;
                    even.im += c * plus[j].im;
                    odd.re += s * minus[j].re;
                    odd.im += s * minus[j].im;
                }
                o[k * l] = times(even.re - odd.im, even.im + odd.re, w + 2 * (k - 1));
                o[(r - k) * l] = times(even.re + odd.im, even.im - odd.re, w + 2 * (r - k - 1));
            }
        }
}

/* y[t] = sum_k x[k] e^(2 pi i t k / n), n numbers each; x may be y; a and b are scratch of n numbers. */
static void transform(const Transform *plan, const C *x, C *y, C *a, C *b) {
    const REAL *w = plan->twiddles, *roots = plan->roots;
    int64_t l = 1;
    if (plan->count == 0 || (plan->count == 1 && x == y)) {
        memcpy(plan->count ? a : y, x, sizeof(C) * plan->n);
        x = a;
    }
    for (int64_t i = 0; i < plan->count; i++) {
        int64_t r = plan->radix[i], m = plan->n / (l * r);
        C *o = i == plan->count - 1 ? y : (x == a ? b : a);
        if (r == 2) stage2(l, m, x, o, w);
        else if (r == 3) stage3(l, m, x, o, w);
        else if (r == 4) stage4(l, m, x, o, w);
        else if (r == 5) stage5(l, m, x, o, w);
        else stage(r, l, m, x, o, w, roots);
        w += 2 * (r - 1) * m;
        roots += 2 * r;
        l *= r;
        x = o;
    }
}

static inline V square_root(V s) {
    for (int q = 0; q < LANES; q++) s[q] = SQRT(s[q]);
    return s;
}

/* ------------------------------------------------------------------ one filter on LANES maps */

/* y = 0, in the spans of this thread. */
static void clear(Team team, C *y, int64_t n) {
    for (int64_t p = span_of(team, 0, n); p < n; p += span_step(team, n))
        memset(y + p, 0, sizeof(C) * (least(p + span_size(team, n), n) - p));
}

static void filter(const Edge *edge, Team team, int64_t a, const C *restrict x, C *restrict y) {
    const Runs *runs = &edge->runs;
    int64_t size = edge->target;
    clear(team, y, size);
    for (int64_t r = runs->first[a]; r < runs->first[a + 1]; r++) {
        int64_t start = runs->target[r], stop = start + runs->length[r];
        for (int64_t p = span_of(team, start, size); p < stop; p += span_step(team, size)) {
            int64_t from_t = greatest(p, start), n = least(p + span_size(team, size), stop) - from_t;
            C *to = y + from_t;
            const C *from = x + edge->place[r] + from_t - start;
            const REAL *w = runs->weights + ((runs->offset[r] + from_t - start) << runs->is_complex);
            if (runs->is_complex)
                for (int64_t i = 0; i < n; i++, w += 2) {
                    C term = times(from[i].re, from[i].im, w);
                    to[i].re += term.re;
                    to[i].im += term.im;
                }
            else
                for (int64_t i = 0; i < n; i++) {
                    to[i].re += w[i] * from[i].re;
                    to[i].im += w[i] * from[i].im;
                }
        }
    }
}

/* Adjoint: x += conj(w) y, for y with real and imaginary parts exchanged. */
static void adjoint(const Edge *edge, Team team, int64_t a, C *restrict x, const C *restrict y) {
    const Runs *runs = &edge->runs;
    for (int64_t r = runs->first[a]; r < runs->first[a + 1]; r++) {
        C *to = x + edge->place[r];
        const C *from = y + runs->target[r];
        /* A frequency of the source has one entry at most: the runs do not meet. */
        int64_t n = share_end(team, runs->length[r]);
        for (int64_t i = share(team, runs->length[r]); i < n; i++) {
            REAL w = runs->weights[(runs->offset[r] + i) << runs->is_complex];
            REAL v = runs->is_complex ? -runs->weights[2 * (runs->offset[r] + i) + 1] : 0;
            to[i].re += w * from[i].im - v * from[i].re;
            to[i].im += w * from[i].re + v * from[i].im;
        }
    }
}

/* Weights of sample i of a line for all outputs, one after another. Outputs that are shifts of each other by `pool_step`
 * samples share a table: sample r + pool_step * q has for output o the entry [r][pool_start - q + o], of `pool_width` per r.
 * Others have a matrix [sample][output], and pool_step is the number of samples. */
static inline const REAL *weights_of(const Edge *edge, int64_t i) {
    return edge->pool_columns + i % edge->pool_step * edge->pool_width + edge->pool_start - i / edge->pool_step;
}

/* TILE weighted sums of `length` rows of u, the weights of a row `stride` after those of the one before; summed in
 * blocks, to keep the digits. */
static void pool_tile(const V *u, int64_t length, const REAL *matrix, int64_t stride, int64_t width, V *total) {
    for (int64_t begin = 0; begin < length; begin += BLOCK) {
        int64_t end = least(begin + BLOCK, length);
        V sum[TILE];
        memset(sum, 0, sizeof sum);
        if (width == TILE)
            for (int64_t i = begin; i < end; i++)
                for (int64_t t = 0; t < TILE; t++) sum[t] += matrix[i * stride + t] * u[i];
        else
            for (int64_t i = begin; i < end; i++)
                for (int64_t t = 0; t < width; t++) sum[t] += matrix[i * stride + t] * u[i];
        for (int64_t t = 0; t < width; t++) total[t] += sum[t];
    }
}

/* Likewise of `length` samples of a line from `first` on, cyclic, for the outputs from o on. */
static void pool_line(const Edge *edge, const V *u, int64_t first, int64_t length, int64_t o, int64_t width, V *total) {
    while (length > 0) {
        first %= edge->target;
        int64_t part = least(length, least(edge->target - first, edge->pool_step - first % edge->pool_step));
        pool_tile(u + first, part, weights_of(edge, first) + o, edge->pool_width, width, total);
        first += part;
        length -= part;
    }
}

typedef struct {
    Team team;
    C *x, *sum, *y, *z, *column, *a, *b; /* the last three belong to a thread, the others to its team */
    V *u, *pooled, *line, *segments, *energies;
} Scratch;

/* Outputs of a tile are summed in SEGMENTS parts: [tile][segment][TILE]. */
static inline int64_t tiles_of(const Edge *edge) {
    return edge->dimensions == 1 ? (edge->pooled_columns + TILE - 1) / TILE : 0;
}

/* Scratch memory of a thread; u only where moduli are kept or averaged along a line. A team shares what its first thread has: the others call after it, with its Scratch. */
static Scratch workspace(const Edge *edge, Team team, int mixed, int gradient, int moduli, int spectrum, const Scratch *first) {
    int64_t longest = edge->rows > edge->columns ? edge->rows : edge->columns;
    int64_t outputs = edge->pooled_rows * edge->pooled_columns, segments = tiles_of(edge) * SEGMENTS * TILE;
    int64_t x = mixed ? 0 : edge->used_size, sum = gradient ? x : 0, z = gradient && spectrum ? edge->target : 0;
    int64_t u = gradient || moduli || (edge->dimensions == 1 && outputs > 0) ? edge->target : 0;
    size_t own = 3 * longest * sizeof(C);
    size_t complex_numbers = (size_t)x + sum + edge->target + z;
    size_t real_numbers = (size_t)u + outputs + edge->pooled_rows + edge->pooled_columns + 2 * TILE + segments +
                          (edge->dimensions == 1 ? edge->rows : 0);
    Scratch s;
    memset(&s, 0, sizeof s);
    if (first) s = *first;
    s.team = team;
    C *memory = scratch(own + (first ? 0 : complex_numbers * sizeof(C) + real_numbers * sizeof(V)));
    s.column = memory;
    s.a = s.column + longest;
    s.b = s.a + longest;
    if (first) return s;
    s.x = s.b + longest;
    s.sum = s.x + x;
    s.y = s.sum + sum;
    s.z = s.y + edge->target;
    s.u = (V *)(s.z + z);
    s.pooled = s.u + u;
    if (u == 0) s.u = NULL;
    s.line = s.pooled + outputs + TILE;
    s.segments = s.line + edge->pooled_rows + edge->pooled_columns + TILE;
    s.energies = s.segments + segments;
    return s;
}

static inline const REAL *spectrum_of(const Edge *edge, const Input *x, int64_t item) {
    int64_t parent = x->chosen ? x->chosen[item % x->parents] : item % x->parents;
    return x->data + 2 * (item / x->parents * x->stride + parent * edge->source);
}

/* One filter on consecutive maps. */
static Lanes same_filter(int64_t block, int64_t items, int64_t a) {
    Lanes lanes;
    lanes.count = items - block * LANES < LANES ? items - block * LANES : LANES;
    for (int64_t q = 0; q < LANES; q++) {
        lanes.item[q] = block * LANES + (q < lanes.count ? q : lanes.count - 1);
        lanes.filter[q] = a;
    }
    return lanes;
}

/* Consecutive pairs of map and filter: for fewer maps than lanes. */
static Lanes mixed_filters(int64_t block, int64_t items, int64_t filters) {
    Lanes lanes;
    int64_t pairs = items * filters;
    lanes.count = pairs - block * LANES < LANES ? pairs - block * LANES : LANES;
    for (int64_t q = 0; q < LANES; q++) {
        int64_t pair = block * LANES + (q < lanes.count ? q : lanes.count - 1);
        lanes.item[q] = pair / filters;
        lanes.filter[q] = pair % filters;
    }
    return lanes;
}

/* The frequencies that the filters use, of the lanes' maps side by side. */
static void load(const Edge *edge, Team team, const Input *x, const Lanes *lanes, C *to_lanes) {
    const REAL *from[LANES];
    for (int64_t q = 0; q < LANES; q++) from[q] = spectrum_of(edge, x, lanes->item[q]);
    for (int64_t part = 0; part < edge->used_parts; part++) {
        int64_t start = edge->used[2 * part], stop = edge->used[2 * part + 1];
        int64_t from_k = start + share(team, stop - start), end = start + share_end(team, stop - start);
        for (int64_t k = from_k; k < end; k += POINTS)
            for (int64_t q = 0; q < LANES; q++) {
                REAL *to = (REAL *)to_lanes + q;
                for (int64_t i = k; i < k + POINTS && i < end; i++) {
                    to[2 * LANES * (i - start)] = from[q][2 * i];
                    to[2 * LANES * (i - start) + LANES] = from[q][2 * i + 1];
                }
            }
        to_lanes += stop - start;
    }
}

/* Every lane with its own filter, straight from the spectra. */
static void filter_mixed(const Edge *edge, Team team, const Input *x, const Lanes *lanes, C *restrict y) {
    const Runs *runs = &edge->runs;
    int64_t size = edge->target;
    clear(team, y, size);
    for (int64_t q = 0; q < LANES; q++) {
        const REAL *source = spectrum_of(edge, x, lanes->item[q]);
        int64_t a = lanes->filter[q];
        for (int64_t r = runs->first[a]; r < runs->first[a + 1]; r++) {
            int64_t start = runs->target[r], stop = start + runs->length[r];
            for (int64_t p = span_of(team, start, size); p < stop; p += span_step(team, size)) {
                int64_t skip = greatest(p, start) - start, n = least(p + span_size(team, size), stop) - start - skip;
                REAL *to = (REAL *)(y + start + skip) + q;
                const REAL *from = source + 2 * (runs->source[r] + skip);
                const REAL *w = runs->weights + ((runs->offset[r] + skip) << runs->is_complex);
                for (int64_t i = 0; i < n; i++, to += 2 * LANES, from += 2) {
                    REAL c = runs->is_complex ? w[2 * i] : w[i], d = runs->is_complex ? w[2 * i + 1] : 0;
                    to[0] += c * from[0] - d * from[1];
                    to[LANES] += c * from[1] + d * from[0];
                }
            }
        }
    }
}

/* Adjoint of filter_mixed: sum (items, source) += conj(w) y, for y with real and imaginary parts exchanged. */
static void adjoint_mixed(const Edge *edge, Team team, const Lanes *lanes, REAL *sum, const C *restrict y) {
    const Runs *runs = &edge->runs;
    int64_t size = edge->source;
    for (int64_t q = 0; q < lanes->count; q++) {
        REAL *target = sum + 2 * lanes->item[q] * edge->source;
        int64_t a = lanes->filter[q];
        for (int64_t r = runs->first[a]; r < runs->first[a + 1]; r++) {
            int64_t start = runs->source[r], stop = start + runs->length[r];
            for (int64_t p = span_of(team, start, size); p < stop; p += span_step(team, size)) {
                int64_t skip = greatest(p, start) - start, n = least(p + span_size(team, size), stop) - start - skip;
                REAL *to = target + 2 * (start + skip);
                const REAL *from = (const REAL *)(y + runs->target[r] + skip) + q;
                const REAL *w = runs->weights + ((runs->offset[r] + skip) << runs->is_complex);
                for (int64_t i = 0; i < n; i++, from += 2 * LANES, to += 2) {
                    REAL c = runs->is_complex ? w[2 * i] : w[i], d = runs->is_complex ? -w[2 * i + 1] : 0;
                    to[0] += c * from[LANES] - d * from[0];
                    to[1] += c * from[0] + d * from[LANES];
                }
            }
        }
    }
}

/* LANES maps of `size` real numbers, one after another; lane q goes to out[q], if there is such a map. */
static void store_real(Team team, const V *lanes, REAL *const *out, int64_t size) {
    int64_t end = share_end(team, size);
    for (int64_t k = share(team, size); k < end; k += POINTS)
        for (int64_t q = 0; q < LANES && out[q]; q++) {
            const REAL *from = (const REAL *)lanes + q;
            for (int64_t i = k; i < k + POINTS && i < end; i++) out[q][i] = from[LANES * i];
        }
}

/* Likewise complex numbers, real and imaginary parts exchanged if `exchanged`. */
static void store_complex(Team team, const C *lanes, REAL *const *out, int64_t size, int exchanged) {
    int64_t end = share_end(team, size);
    for (int64_t k = share(team, size); k < end; k += POINTS)
        for (int64_t q = 0; q < LANES && out[q]; q++) {
            const REAL *re = (const REAL *)lanes + q + (exchanged ? LANES : 0);
            const REAL *im = (const REAL *)lanes + q + (exchanged ? 0 : LANES);
            for (int64_t i = k; i < k + POINTS && i < end; i++) {
                out[q][2 * i] = re[2 * LANES * i];
                out[q][2 * i + 1] = im[2 * LANES * i];
            }
        }
}

/* Where the maps of the lanes go, `size` numbers each: NULL for lanes that repeat another. */
static void targets(REAL *base, const Lanes *lanes, int64_t filters, int64_t size, REAL **out) {
    for (int64_t q = 0; q < LANES; q++)
        out[q] = q < lanes->count ? base + (lanes->item[q] * filters + lanes->filter[q]) * size : NULL;
}

/* The way back: all source frequencies of the lanes' maps, 0 where no filter uses them. */
static void unload(const Edge *edge, Team team, const C *lanes, REAL *const *out) {
    int64_t done = 0;
    for (int64_t part = 0; part <= edge->used_parts; part++) {
        int64_t start = part < edge->used_parts ? edge->used[2 * part] : edge->source;
        int64_t stop = part < edge->used_parts ? edge->used[2 * part + 1] : edge->source;
        REAL *to[LANES];
        for (int64_t q = 0; q < LANES; q++) {
            to[q] = out[q] ? out[q] + 2 * start : NULL;
            if (out[q] && team.index == 0) memset(out[q] + 2 * done, 0, sizeof(REAL) * 2 * (start - done));
        }
        store_complex(team, lanes, to, stop - start, 0);
        lanes += stop - start;
        done = stop;
    }
}

/* Threads of a team have rows and columns of their own: before to_space all of y must be there, after it each has its
 * rows; before to_frequency each needs its rows, after it all of y is there.
 *
 * Samples in space of LANES maps from their spectra y: rows transformed and columns left to the caller (two
 * dimensions), or all done, sample t in y[(t % rows) * columns + t / rows] (one dimension). */
static void to_space(const Edge *edge, Scratch s, C *y) {
    int64_t rows = edge->rows, columns = edge->columns;
    if (edge->dimensions == 1 && rows > 1)
        for (int64_t j = share(s.team, columns); j < share_end(s.team, columns); j++) {
            for (int64_t i = 0; i < rows; i++) s.column[i] = y[i * columns + j];
            transform(&edge->along_columns, s.column, s.column, s.a, s.b);
            for (int64_t i = 0; i < rows; i++)
                y[i * columns + j] = times(s.column[i].re, s.column[i].im, edge->between + 2 * (i * columns + j));
        }
    wait(s.team);
    for (int64_t i = share(s.team, rows); i < share_end(s.team, rows); i++)
        transform(&edge->along_rows, y + i * columns, y + i * columns, s.a, s.b);
}

/* The way back, from samples whose real and imaginary parts have been exchanged, so that the inverse transform acts as
 * the forward one: spectra, exchanged likewise. In two dimensions the columns have been transformed before. */
static void to_frequency(const Edge *edge, Scratch s, C *y) {
    int64_t rows = edge->rows, columns = edge->columns;
    for (int64_t i = share(s.team, rows); i < share_end(s.team, rows); i++)
        transform(&edge->along_rows, y + i * columns, y + i * columns, s.a, s.b);
    wait(s.team);
    if (edge->dimensions == 1 && rows > 1)
        for (int64_t j = share(s.team, columns); j < share_end(s.team, columns); j++) {
            for (int64_t i = 0; i < rows; i++)
                s.column[i] = times(y[i * columns + j].re, y[i * columns + j].im, edge->between + 2 * (i * columns + j));
            transform(&edge->along_columns, s.column, s.column, s.a, s.b);
            for (int64_t i = 0; i < rows; i++) y[i * columns + j] = s.column[i];
        }
    wait(s.team);
}

/* Averages of the line of moduli in u, in parts that do not depend on the number of threads. */
static void pool(const Edge *edge, Scratch s) {
    int64_t jobs = tiles_of(edge) * SEGMENTS, outputs = edge->pooled_columns;
    for (int64_t job = share(s.team, jobs); job < share_end(s.team, jobs); job++) {
        int64_t tile = job / SEGMENTS, segment = job % SEGMENTS;
        int64_t first = edge->band[2 * tile], length = edge->band[2 * tile + 1];
        int64_t begin = length * segment / SEGMENTS, end = length * (segment + 1) / SEGMENTS;
        V *sum = s.segments + job * TILE;
        memset(sum, 0, sizeof(V) * TILE);
        pool_line(edge, s.u, first + begin, end - begin, tile * TILE, least(TILE, outputs - tile * TILE), sum);
    }
    wait(s.team);
    for (int64_t o = share(s.team, outputs); o < share_end(s.team, outputs); o++) {
        const V *parts = s.segments + o / TILE * SEGMENTS * TILE + o % TILE;
        V total = parts[0];
        for (int64_t segment = 1; segment < SEGMENTS; segment++) total += parts[segment * TILE];
        s.pooled[o] = total;
    }
}

/* Modulus, energy and averages of the maps in y. With `keep` the moduli go to s.u, sample after sample, with `spectrum`
 * their spectra to y, real and imaginary parts exchanged. */
static V finish(const Edge *edge, Scratch s, int keep, int spectrum) {
    int64_t rows = edge->rows, columns = edge->columns, pr = edge->pooled_rows, pc = edge->pooled_columns;
    V total, zero;
    memset(&zero, 0, sizeof zero);
    total = zero;
    if (edge->dimensions == 1) {
        for (int64_t i = share(s.team, rows); i < share_end(s.team, rows); i++) {
            V part = zero;
            for (int64_t j = 0; j < columns; j++) {
                C *z = s.y + i * columns + j;
                V square = z->re * z->re + z->im * z->im;
                part += square;
                V modulus = square_root(square);
                if (s.u) s.u[i + rows * j] = modulus;
                if (spectrum) {
                    z->re = zero;
                    z->im = modulus;
                }
            }
            s.energies[i] = part;
        }
        wait(s.team);
        for (int64_t i = 0; i < rows; i++) total += s.energies[i];
        pool(edge, s);
    } else {
        memset(s.pooled, 0, sizeof(V) * pr * pc);
        for (int64_t j = 0; j < columns; j++) {
            for (int64_t i = 0; i < rows; i++) s.column[i] = s.y[i * columns + j];
            transform(&edge->along_columns, s.column, s.column, s.a, s.b);
            V *flat = (V *)s.a, part = zero;
            for (int64_t i = 0; i < rows; i++) {
                V square = s.column[i].re * s.column[i].re + s.column[i].im * s.column[i].im;
                part += square;
                flat[i] = square_root(square);
            }
            total += part;
            if (keep)
                for (int64_t i = 0; i < rows; i++) s.u[i * columns + j] = flat[i];
            memset(s.line, 0, sizeof(V) * pr);
            for (int64_t o = 0; o < pr; o += TILE)
                pool_tile(flat, rows, edge->pool_rows + o, pr, least(TILE, pr - o), s.line + o);
            for (int64_t o = 0; o < pr; o++)
                for (int64_t k = 0; k < pc; k++) s.pooled[o * pc + k] += edge->pool_columns[j * pc + k] * s.line[o];
            if (spectrum) {
                for (int64_t i = 0; i < rows; i++) {
                    s.column[i].re = zero;
                    s.column[i].im = flat[i];
                }
                transform(&edge->along_columns, s.column, s.column, s.a, s.b);
                for (int64_t i = 0; i < rows; i++) s.y[i * columns + j] = s.column[i];
            }
        }
    }
    if (spectrum) to_frequency(edge, s, s.y);
    else wait(s.team);
    return total;
}

/* The threads' memory; called by all of them. */
static Scratch crew(const Edge *edge, int together, int mixed, int gradient, int moduli, int spectrum, Scratch *shared,
                    int64_t *failed) {
    Team team = {together ? omp_get_thread_num() : 0, together ? omp_get_num_threads() : 1};
    Scratch s;
    memset(&s, 0, sizeof s);
    if (team.index == 0) s = workspace(edge, team, mixed, gradient, moduli, spectrum, NULL);
    if (together) {
        if (team.index == 0) *shared = s;
#pragma omp barrier
        if (team.index > 0) s = workspace(edge, team, mixed, gradient, moduli, spectrum, shared);
    }
    if (!s.column || !s.y) {
#pragma omp atomic write
        *failed = 1;
    }
#pragma omp barrier
    return s;
}

/* The next job: of a team the one after `job`, else the next one that nobody has. */
static int64_t following(Team team, int64_t job, int64_t *next) {
    int64_t mine;
    if (team.size > 1) return job + 1;
#pragma omp atomic capture
    mine = (*next)++;
    return mine;
}

/* Results of the lanes to their places. */
static void store(const Edge *edge, Scratch s, const Lanes *lanes, V energy, REAL *u, REAL *spectra, REAL *averages,
                  REAL *sums) {
    int64_t outputs = edge->pooled_rows * edge->pooled_columns;
    REAL *out[LANES];
    if (s.team.index == 0)
        for (int64_t q = 0; q < lanes->count; q++) {
            int64_t map = lanes->item[q] * edge->filters + lanes->filter[q];
            for (int64_t o = 0; o < outputs; o++) averages[map * outputs + o] = s.pooled[o][q];
            if (sums) sums[map] = energy[q];
        }
    if (u) {
        targets(u, lanes, edge->filters, edge->target, out);
        store_real(s.team, s.u, out, edge->target);
    }
    if (spectra) {
        targets(spectra, lanes, edge->filters, 2 * edge->target, out);
        store_complex(s.team, s.y, out, edge->target, 1);
    }
    wait(s.team);
}

/* Moduli u (items, filters, target), their spectra (items, filters, target), averages (items, filters, pooled) and sums
 * of squares (items, filters) of the filtered maps; all but the averages may be NULL. The filters are dealt out in
 * `parts`; with `together`, only in one dimension, all threads treat the same maps. Returns 1 without memory. */
int64_t propagate(const Edge *edge, const Input *x, REAL *u, REAL *spectra, REAL *averages, REAL *sums, int64_t parts,
                  int64_t together, int64_t threads) {
    int64_t items = x->batch * x->parents, mixed = items < LANES, failed = 0;
    int64_t blocks = ((mixed ? items * edge->filters : items) + LANES - 1) / LANES;
    int64_t per_part = (edge->filters + parts - 1) / parts, jobs = blocks * (mixed ? 1 : parts), next = 0;
    Scratch shared;
#pragma omp parallel num_threads(threads)
    {
        Scratch s = crew(edge, together, mixed, 0, u != NULL, spectra != NULL, &shared, &failed);
        int64_t loaded = -1, job = -1;
        while (!failed && (job = following(s.team, job, &next)) < jobs) {
            int64_t block = mixed ? job : job / parts, begin = mixed ? 0 : job % parts * per_part;
            int64_t end = mixed ? 1 : least(begin + per_part, edge->filters);
            for (int64_t a = begin; a < end; a++) {
                Lanes lanes = mixed ? mixed_filters(block, items, edge->filters) : same_filter(block, items, a);
                if (mixed) filter_mixed(edge, s.team, x, &lanes, s.y);
                else {
                    if (block != loaded) {
                        load(edge, s.team, x, &lanes, s.x);
                        wait(s.team);
                    }
                    loaded = block;
                    filter(edge, s.team, a, s.x, s.y);
                }
                wait(s.team);
                to_space(edge, s, s.y);
                V energy = finish(edge, s, u != NULL, spectra != NULL);
                store(edge, s, &lanes, energy, u, spectra, averages, sums);
            }
        }
    }
    return failed;
}

/* ------------------------------------------------------------------ gradient: everything above is computed anew */

/* Gradient of the moduli of a line, from that of the averages: the samples from `begin` to `end`. */
static void spread(const Edge *edge, Scratch s, int64_t begin, int64_t end) {
    memset(s.u + begin, 0, sizeof(V) * (end - begin));
    for (int64_t tile = 0; tile < tiles_of(edge); tile++) {
        int64_t o = tile * TILE, width = least(TILE, edge->pooled_columns - o);
        int64_t first = edge->band[2 * tile], last = first + edge->band[2 * tile + 1];
        for (int64_t turn = 0; turn < 2; turn++, first -= edge->target, last -= edge->target)
            for (int64_t t = greatest(first, begin); t < least(last, end); t++) {
                const REAL *w = weights_of(edge, t) + o;
                for (int64_t k = 0; k < width; k++) s.u[t] += w[k] * s.pooled[o + k];
            }
    }
}

/* g z / |z| + 2 h z, for the gradients g of the modulus and h of its square; the first is 0 where z = 0. Real and
 * imaginary part are exchanged. */
static inline C turned(C z, V g, V h) {
    V r = square_root(z.re * z.re + z.im * z.im);
    for (int q = 0; q < LANES; q++) g[q] = r[q] > 0 ? g[q] / r[q] : 0;
    g += h + h;
    C out = {g * z.im, g * z.re};
    return out;
}

/* s.u += gradients of the moduli from those of their spectra. */
static void from_spectra(const Edge *edge, Scratch s, const REAL *gradient, const Lanes *lanes) {
    int64_t rows = edge->rows, columns = edge->columns;
    int64_t end = share_end(s.team, edge->target);
    for (int64_t k = share(s.team, edge->target); k < end; k += POINTS)
        for (int64_t q = 0; q < LANES; q++) {
            const REAL *from = gradient + 2 * (lanes->item[q] * edge->filters + lanes->filter[q]) * edge->target;
            REAL *to = (REAL *)s.z + q;
            for (int64_t i = k; i < k + POINTS && i < end; i++) {
                to[2 * LANES * i] = from[2 * i];
                to[2 * LANES * i + LANES] = from[2 * i + 1];
            }
        }
    wait(s.team);
    to_space(edge, s, s.z);
    if (edge->dimensions == 1) {
        for (int64_t i = share(s.team, rows); i < share_end(s.team, rows); i++)
            for (int64_t j = 0; j < columns; j++) s.u[i + rows * j] += s.z[i * columns + j].re;
        return;
    }
    for (int64_t j = 0; j < columns; j++) {
        for (int64_t i = 0; i < rows; i++) s.column[i] = s.z[i * columns + j];
        transform(&edge->along_columns, s.column, s.column, s.a, s.b);
        for (int64_t i = 0; i < rows; i++) s.u[i * columns + j] += s.column[i].re;
    }
}

/* From the filtered maps in y to the gradients of their spectra, real and imaginary parts exchanged. */
static void back(const Edge *edge, Scratch s, const Lanes *lanes, const REAL *gu, const REAL *gspectra,
                 const REAL *gaverages, const REAL *gsums) {
    V h;
    for (int64_t q = 0; q < LANES; q++)
        h[q] = gsums ? gsums[lanes->item[q] * edge->filters + lanes->filter[q]] : 0;
    int64_t rows = edge->rows, columns = edge->columns, pr = edge->pooled_rows, pc = edge->pooled_columns;
    int64_t begin = share(s.team, edge->target), end = share_end(s.team, edge->target);
    if (s.team.index == 0)
        for (int64_t q = 0; q < LANES; q++) {
            const REAL *from = gaverages + (lanes->item[q] * edge->filters + lanes->filter[q]) * pr * pc;
            for (int64_t o = 0; o < pr * pc; o++) s.pooled[o][q] = from[o];
        }
    wait(s.team);
    if (edge->dimensions == 1) spread(edge, s, begin, end);
    else memset(s.u, 0, sizeof(V) * edge->target);
    if (gu)
        for (int64_t q = 0; q < lanes->count; q++) {
            const REAL *from = gu + (lanes->item[q] * edge->filters + lanes->filter[q]) * edge->target;
            for (int64_t t = begin; t < end; t++) s.u[t][q] += from[t];
        }
    if (gspectra) from_spectra(edge, s, gspectra, lanes);
    else wait(s.team);
    if (edge->dimensions == 1) {
        for (int64_t i = share(s.team, rows); i < share_end(s.team, rows); i++)
            for (int64_t j = 0; j < columns; j++)
                s.y[i * columns + j] = turned(s.y[i * columns + j], s.u[i + rows * j], h);
    } else {
        for (int64_t j = 0; j < columns; j++) {
            for (int64_t o = 0; o < pr; o++) {
                V line = s.pooled[o * pc] * edge->pool_columns[j * pc];
                for (int64_t k = 1; k < pc; k++) line += s.pooled[o * pc + k] * edge->pool_columns[j * pc + k];
                s.line[o] = line;
            }
            for (int64_t i = 0; i < rows; i++) s.column[i] = s.y[i * columns + j];
            transform(&edge->along_columns, s.column, s.column, s.a, s.b);
            for (int64_t i = 0; i < rows; i++) {
                V g = s.u[i * columns + j];
                for (int64_t o = 0; o < pr; o++) g += edge->pool_rows[i * pr + o] * s.line[o];
                s.column[i] = turned(s.column[i], g, h);
            }
            transform(&edge->along_columns, s.column, s.column, s.a, s.b);
            for (int64_t i = 0; i < rows; i++) s.y[i * columns + j] = s.column[i];
        }
    }
    to_frequency(edge, s, s.y);
}

/* Gradient gx (sheets, items, source), to be summed over the sheets, from those of the moduli, of their spectra, of
 * the averages and of the sums of squares; all but the averages may be NULL. There is one sheet, or one per thread if
 * there are fewer maps than lanes and the threads do not work together, as in `propagate`. */
int64_t propagate_gradient(const Edge *edge, const Input *x, const REAL *gu, const REAL *gspectra,
                           const REAL *gaverages, const REAL *gsums, REAL *gx, int64_t together, int64_t threads) {
    int64_t items = x->batch * x->parents, mixed = items < LANES, failed = 0, next = 0;
    int64_t blocks = ((mixed ? items * edge->filters : items) + LANES - 1) / LANES;
    Scratch shared;
#pragma omp parallel num_threads(threads)
    {
        Scratch s = crew(edge, together, mixed, 1, 1, gspectra != NULL, &shared, &failed);
        REAL *sheet = gx + (mixed && !together ? 2 * items * edge->source * omp_get_thread_num() : 0);
        if (mixed && s.team.index == 0) memset(sheet, 0, sizeof(REAL) * 2 * items * edge->source);
        for (int64_t block = -1; !failed && (block = following(s.team, block, &next)) < blocks;) {
            for (int64_t a = 0; a < (mixed ? 1 : edge->filters); a++) {
                Lanes lanes = mixed ? mixed_filters(block, items, edge->filters) : same_filter(block, items, a);
                if (mixed) filter_mixed(edge, s.team, x, &lanes, s.y);
                else {
                    if (a == 0) {
                        for (int64_t k = share(s.team, edge->used_size); k < share_end(s.team, edge->used_size); k++)
                            memset(s.sum + k, 0, sizeof(C));
                        load(edge, s.team, x, &lanes, s.x);
                        wait(s.team);
                    }
                    filter(edge, s.team, a, s.x, s.y);
                }
                wait(s.team);
                to_space(edge, s, s.y);
                back(edge, s, &lanes, gu, gspectra, gaverages, gsums);
                if (mixed) adjoint_mixed(edge, s.team, &lanes, sheet, s.y);
                else adjoint(edge, s.team, a, s.sum, s.y);
                wait(s.team);
            }
            if (mixed) continue;
            Lanes lanes = same_filter(block, items, 0);
            REAL *out[LANES];
            targets(gx, &lanes, 1, 2 * edge->source, out);
            unload(edge, s.team, s.sum, out);
            wait(s.team);
        }
    }
    return failed;
}

/* ------------------------------------------------------------------ maps one by one, for grids too large for lanes */

/* y (items, filters, target) = filtered spectra x (items, source). */
void fold(const Runs *runs, const REAL *x, REAL *y, int64_t items, int64_t filters, int64_t source,
          int64_t target, int64_t threads) {
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int64_t item = 0; item < items; item++)
        for (int64_t a = 0; a < filters; a++) {
            const REAL *from = x + 2 * source * item;
            REAL *to = y + 2 * target * (item * filters + a);
            memset(to, 0, sizeof(REAL) * 2 * target);
            for (int64_t r = runs->first[a]; r < runs->first[a + 1]; r++) {
                REAL *restrict p = to + 2 * (int64_t)runs->target[r];
                const REAL *restrict g = from + 2 * (int64_t)runs->source[r];
                const REAL *restrict w = runs->weights + (runs->offset[r] << runs->is_complex);
                int64_t n = runs->length[r];
                if (runs->is_complex)
                    for (int64_t i = 0; i < n; i++) {
                        p[2 * i] += w[2 * i] * g[2 * i] - w[2 * i + 1] * g[2 * i + 1];
                        p[2 * i + 1] += w[2 * i] * g[2 * i + 1] + w[2 * i + 1] * g[2 * i];
                    }
                else
                    for (int64_t i = 0; i < n; i++) {
                        p[2 * i] += w[i] * g[2 * i];
                        p[2 * i + 1] += w[i] * g[2 * i + 1];
                    }
            }
        }
}

/* Adjoint of fold: x (items, source) = sums over the filters. */
void unfold(const Runs *runs, REAL *x, const REAL *y, int64_t items, int64_t filters, int64_t source,
            int64_t target, int64_t threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t item = 0; item < items; item++) {
        REAL *to = x + 2 * source * item;
        memset(to, 0, sizeof(REAL) * 2 * source);
        for (int64_t a = 0; a < filters; a++) {
            const REAL *from = y + 2 * target * (item * filters + a);
            for (int64_t r = runs->first[a]; r < runs->first[a + 1]; r++) {
                REAL *restrict p = to + 2 * (int64_t)runs->source[r];
                const REAL *restrict g = from + 2 * (int64_t)runs->target[r];
                const REAL *restrict w = runs->weights + (runs->offset[r] << runs->is_complex);
                int64_t n = runs->length[r];
                for (int64_t i = 0; i < n; i++) {
                    REAL c = runs->is_complex ? w[2 * i] : w[i], d = runs->is_complex ? -w[2 * i + 1] : 0;
                    p[2 * i] += c * g[2 * i] - d * g[2 * i + 1];
                    p[2 * i + 1] += c * g[2 * i + 1] + d * g[2 * i];
                }
            }
        }
    }
}

/* u = |z| of n interleaved complex numbers. */
void modulus(const REAL *z, REAL *u, int64_t n, int64_t threads) {
#pragma omp parallel for simd schedule(static) num_threads(threads)
    for (int64_t i = 0; i < n; i++) u[i] = SQRT(z[2 * i] * z[2 * i] + z[2 * i + 1] * z[2 * i + 1]);
}
