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
    const REAL *pool_rows;    /* [rows][pooled_rows]; dimensions == 1: [target][pooled_columns] in pool_columns */
    const REAL *pool_columns; /* [columns][pooled_columns] */
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

/* ------------------------------------------------------------------ scratch memory, one block per thread */

static __thread void *block = NULL;
static __thread size_t block_size = 0;

static void *scratch(size_t bytes) {
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes > block_size) {
        free(block);
        block = aligned_alloc(ALIGNMENT, bytes);
        block_size = block ? bytes : 0;
    }
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

static void filter(const Edge *edge, int64_t a, const C *restrict x, C *restrict y) {
    const Runs *runs = &edge->runs;
    memset(y, 0, sizeof(C) * edge->target);
    for (int64_t r = runs->first[a]; r < runs->first[a + 1]; r++) {
        C *to = y + runs->target[r];
        const C *from = x + edge->place[r];
        int64_t n = runs->length[r];
        if (runs->is_complex) {
            const REAL *w = runs->weights + 2 * runs->offset[r];
            for (int64_t i = 0; i < n; i++, w += 2) {
                C term = times(from[i].re, from[i].im, w);
                to[i].re += term.re;
                to[i].im += term.im;
            }
        } else {
            const REAL *w = runs->weights + runs->offset[r];
            for (int64_t i = 0; i < n; i++) {
                to[i].re += w[i] * from[i].re;
                to[i].im += w[i] * from[i].im;
            }
        }
    }
}

/* Adjoint: x += conj(w) y, for y with real and imaginary parts exchanged. */
static void adjoint(const Edge *edge, int64_t a, C *restrict x, const C *restrict y) {
    const Runs *runs = &edge->runs;
    for (int64_t r = runs->first[a]; r < runs->first[a + 1]; r++) {
        C *to = x + edge->place[r];
        const C *from = y + runs->target[r];
        int64_t n = runs->length[r];
        for (int64_t i = 0; i < n; i++) {
            REAL w = runs->weights[(runs->offset[r] + i) << runs->is_complex];
            REAL v = runs->is_complex ? -runs->weights[2 * (runs->offset[r] + i) + 1] : 0;
            to[i].re += w * from[i].im - v * from[i].re;
            to[i].im += w * from[i].re + v * from[i].im;
        }
    }
}

/* TILE weighted sums over `length` samples from `first` on, cyclic in n; summed in blocks, to keep the digits. */
static void pool_tile(const V *u, int64_t first, int64_t length, int64_t n, const REAL *matrix, int64_t stride,
                      int64_t width, V *out) {
    V total[TILE];
    memset(total, 0, sizeof total);
    while (length > 0) {
        int64_t part = length < BLOCK ? length : BLOCK;
        if (first + part > n) part = n - first;
        V sum[TILE];
        memset(sum, 0, sizeof sum);
        if (width == TILE)
            for (int64_t i = first; i < first + part; i++)
                for (int64_t t = 0; t < TILE; t++) sum[t] += matrix[i * stride + t] * u[i];
        else
            for (int64_t i = first; i < first + part; i++)
                for (int64_t t = 0; t < width; t++) sum[t] += matrix[i * stride + t] * u[i];
        for (int64_t t = 0; t < TILE; t++) total[t] += sum[t];
        first = first + part == n ? 0 : first + part;
        length -= part;
    }
    for (int64_t t = 0; t < width; t++) out[t] = total[t];
}

typedef struct {
    C *x, *sum, *y, *z, *column, *a, *b;
    V *u, *pooled, *line;
} Scratch;

static Scratch workspace(const Edge *edge, int mixed, int gradient, int spectrum) {
    int64_t longest = edge->rows > edge->columns ? edge->rows : edge->columns;
    int64_t outputs = edge->pooled_rows * edge->pooled_columns;
    int64_t x = mixed ? 0 : edge->used_size, sum = gradient ? x : 0, z = gradient && spectrum ? edge->target : 0;
    size_t complex_numbers = (size_t)x + sum + edge->target + z + 3 * longest;
    size_t real_numbers = (size_t)edge->target + outputs + edge->pooled_rows + edge->pooled_columns + 2 * TILE;
    Scratch s;
    s.x = scratch(complex_numbers * sizeof(C) + real_numbers * sizeof(V));
    s.sum = s.x + x;
    s.y = s.sum + sum;
    s.z = s.y + edge->target;
    s.column = s.z + z;
    s.a = s.column + longest;
    s.b = s.a + longest;
    s.u = (V *)(s.b + longest);
    s.pooled = s.u + edge->target;
    s.line = s.pooled + outputs + TILE;
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
static void load(const Edge *edge, const Input *x, const Lanes *lanes, C *to_lanes) {
    const REAL *from[LANES];
    for (int64_t q = 0; q < LANES; q++) from[q] = spectrum_of(edge, x, lanes->item[q]);
    for (int64_t part = 0; part < edge->used_parts; part++) {
        int64_t start = edge->used[2 * part], stop = edge->used[2 * part + 1];
        for (int64_t k = start; k < stop; k += POINTS)
            for (int64_t q = 0; q < LANES; q++) {
                REAL *to = (REAL *)to_lanes + q;
                for (int64_t i = k; i < k + POINTS && i < stop; i++) {
                    to[2 * LANES * (i - start)] = from[q][2 * i];
                    to[2 * LANES * (i - start) + LANES] = from[q][2 * i + 1];
                }
            }
        to_lanes += stop - start;
    }
}

/* Every lane with its own filter, straight from the spectra. */
static void filter_mixed(const Edge *edge, const Input *x, const Lanes *lanes, C *restrict y) {
    const Runs *runs = &edge->runs;
    memset(y, 0, sizeof(C) * edge->target);
    for (int64_t q = 0; q < LANES; q++) {
        const REAL *source = spectrum_of(edge, x, lanes->item[q]);
        int64_t a = lanes->filter[q];
        for (int64_t r = runs->first[a]; r < runs->first[a + 1]; r++) {
            REAL *to = (REAL *)(y + runs->target[r]) + q;
            const REAL *from = source + 2 * (int64_t)runs->source[r];
            const REAL *w = runs->weights + (runs->offset[r] << runs->is_complex);
            for (int64_t i = 0; i < runs->length[r]; i++, to += 2 * LANES, from += 2) {
                REAL c = runs->is_complex ? w[2 * i] : w[i], d = runs->is_complex ? w[2 * i + 1] : 0;
                to[0] += c * from[0] - d * from[1];
                to[LANES] += c * from[1] + d * from[0];
            }
        }
    }
}

/* Adjoint of filter_mixed: sum (items, source) += conj(w) y, for y with real and imaginary parts exchanged. */
static void adjoint_mixed(const Edge *edge, const Lanes *lanes, REAL *sum, const C *restrict y) {
    const Runs *runs = &edge->runs;
    for (int64_t q = 0; q < lanes->count; q++) {
        REAL *target = sum + 2 * lanes->item[q] * edge->source;
        int64_t a = lanes->filter[q];
        for (int64_t r = runs->first[a]; r < runs->first[a + 1]; r++) {
            REAL *to = target + 2 * (int64_t)runs->source[r];
            const REAL *from = (const REAL *)(y + runs->target[r]) + q;
            const REAL *w = runs->weights + (runs->offset[r] << runs->is_complex);
            for (int64_t i = 0; i < runs->length[r]; i++, from += 2 * LANES, to += 2) {
                REAL c = runs->is_complex ? w[2 * i] : w[i], d = runs->is_complex ? -w[2 * i + 1] : 0;
                to[0] += c * from[LANES] - d * from[0];
                to[1] += c * from[0] + d * from[LANES];
            }
        }
    }
}

/* LANES maps of `size` real numbers, one after another; lane q goes to out[q], if there is such a map. */
static void store_real(const V *lanes, REAL *const *out, int64_t size) {
    for (int64_t k = 0; k < size; k += POINTS)
        for (int64_t q = 0; q < LANES && out[q]; q++) {
            const REAL *from = (const REAL *)lanes + q;
            for (int64_t i = k; i < k + POINTS && i < size; i++) out[q][i] = from[LANES * i];
        }
}

/* Likewise complex numbers, real and imaginary parts exchanged if `exchanged`. */
static void store_complex(const C *lanes, REAL *const *out, int64_t size, int exchanged) {
    for (int64_t k = 0; k < size; k += POINTS)
        for (int64_t q = 0; q < LANES && out[q]; q++) {
            const REAL *re = (const REAL *)lanes + q + (exchanged ? LANES : 0);
            const REAL *im = (const REAL *)lanes + q + (exchanged ? 0 : LANES);
            for (int64_t i = k; i < k + POINTS && i < size; i++) {
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
static void unload(const Edge *edge, const C *lanes, REAL *const *out) {
    int64_t done = 0;
    for (int64_t part = 0; part <= edge->used_parts; part++) {
        int64_t start = part < edge->used_parts ? edge->used[2 * part] : edge->source;
        int64_t stop = part < edge->used_parts ? edge->used[2 * part + 1] : edge->source;
        REAL *to[LANES];
        for (int64_t q = 0; q < LANES; q++) {
            to[q] = out[q] ? out[q] + 2 * start : NULL;
            if (out[q]) memset(out[q] + 2 * done, 0, sizeof(REAL) * 2 * (start - done));
        }
        store_complex(lanes, to, stop - start, 0);
        lanes += stop - start;
        done = stop;
    }
}

/* Samples in space of LANES maps from their spectra y: rows transformed and columns left to the caller (two
 * dimensions), or all done, sample t in y[(t % rows) * columns + t / rows] (one dimension). */
static void to_space(const Edge *edge, Scratch s, C *y) {
    int64_t rows = edge->rows, columns = edge->columns;
    if (edge->dimensions == 1 && rows > 1)
        for (int64_t j = 0; j < columns; j++) {
            for (int64_t i = 0; i < rows; i++) s.column[i] = y[i * columns + j];
            transform(&edge->along_columns, s.column, s.column, s.a, s.b);
            for (int64_t i = 0; i < rows; i++)
                y[i * columns + j] = times(s.column[i].re, s.column[i].im, edge->between + 2 * (i * columns + j));
        }
    for (int64_t i = 0; i < rows; i++) transform(&edge->along_rows, y + i * columns, y + i * columns, s.a, s.b);
}

/* The way back, from samples whose real and imaginary parts have been exchanged, so that the inverse transform acts as
 * the forward one: spectra, exchanged likewise. In two dimensions the columns have been transformed before. */
static void to_frequency(const Edge *edge, Scratch s, C *y) {
    int64_t rows = edge->rows, columns = edge->columns;
    for (int64_t i = 0; i < rows; i++) transform(&edge->along_rows, y + i * columns, y + i * columns, s.a, s.b);
    if (edge->dimensions == 1 && rows > 1)
        for (int64_t j = 0; j < columns; j++) {
            for (int64_t i = 0; i < rows; i++)
                s.column[i] = times(y[i * columns + j].re, y[i * columns + j].im, edge->between + 2 * (i * columns + j));
            transform(&edge->along_columns, s.column, s.column, s.a, s.b);
            for (int64_t i = 0; i < rows; i++) y[i * columns + j] = s.column[i];
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
        for (int64_t i = 0; i < rows; i++) {
            V part = zero;
            for (int64_t j = 0; j < columns; j++) {
                C *z = s.y + i * columns + j;
                V square = z->re * z->re + z->im * z->im;
                part += square;
                s.u[i + rows * j] = square_root(square);
                if (spectrum) {
                    z->re = zero;
                    z->im = s.u[i + rows * j];
                }
            }
            total += part;
        }
        for (int64_t o = 0; o < pc; o += TILE)
            pool_tile(s.u, edge->band[o / TILE * 2], edge->band[o / TILE * 2 + 1], edge->target, edge->pool_columns + o,
                      pc, pc - o < TILE ? pc - o : TILE, s.pooled + o);
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
            for (int64_t o = 0; o < pr; o += TILE)
                pool_tile(flat, 0, rows, rows, edge->pool_rows + o, pr, pr - o < TILE ? pr - o : TILE, s.line + o);
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
    return total;
}

/* Results of the lanes to their places. */
static void store(const Edge *edge, Scratch s, const Lanes *lanes, V energy, REAL *u, REAL *spectra, REAL *averages,
                  REAL *sums) {
    int64_t outputs = edge->pooled_rows * edge->pooled_columns;
    REAL *out[LANES];
    for (int64_t q = 0; q < lanes->count; q++) {
        int64_t map = lanes->item[q] * edge->filters + lanes->filter[q];
        for (int64_t o = 0; o < outputs; o++) averages[map * outputs + o] = s.pooled[o][q];
        if (sums) sums[map] = energy[q];
    }
    if (u) {
        targets(u, lanes, edge->filters, edge->target, out);
        store_real(s.u, out, edge->target);
    }
    if (spectra) {
        targets(spectra, lanes, edge->filters, 2 * edge->target, out);
        store_complex(s.y, out, edge->target, 1);
    }
}

/* Moduli u (items, filters, target), their spectra (items, filters, target), averages (items, filters, pooled) and sums
 * of squares (items, filters) of the filtered maps; all but the averages may be NULL. The filters are dealt out in
 * `parts`. Returns 1 without memory. */
int64_t propagate(const Edge *edge, const Input *x, REAL *u, REAL *spectra, REAL *averages, REAL *sums, int64_t parts,
                  int64_t threads) {
    int64_t items = x->batch * x->parents, mixed = items < LANES, failed = 0;
    int64_t blocks = ((mixed ? items * edge->filters : items) + LANES - 1) / LANES;
    int64_t per_part = (edge->filters + parts - 1) / parts;
#pragma omp parallel num_threads(threads)
    {
        Scratch s = workspace(edge, mixed, 0, spectra != NULL);
        int64_t loaded = -1;
        if (!s.x) {
#pragma omp atomic write
            failed = 1;
        }
#pragma omp for schedule(dynamic, 1)
        for (int64_t job = 0; job < blocks * (mixed ? 1 : parts); job++) {
            if (!s.x) continue;
            if (mixed) {
                Lanes lanes = mixed_filters(job, items, edge->filters);
                filter_mixed(edge, x, &lanes, s.y);
                to_space(edge, s, s.y);
                V energy = finish(edge, s, u != NULL, spectra != NULL);
                store(edge, s, &lanes, energy, u, spectra, averages, sums);
                continue;
            }
            int64_t block = job / parts, begin = job % parts * per_part, end = begin + per_part;
            for (int64_t a = begin; a < end && a < edge->filters; a++) {
                Lanes lanes = same_filter(block, items, a);
                if (block != loaded) load(edge, x, &lanes, s.x);
                loaded = block;
                filter(edge, a, s.x, s.y);
                to_space(edge, s, s.y);
                V energy = finish(edge, s, u != NULL, spectra != NULL);
                store(edge, s, &lanes, energy, u, spectra, averages, sums);
            }
        }
    }
    return failed;
}

/* ------------------------------------------------------------------ gradient: everything above is computed anew */

/* Gradient of the moduli at sample (i, j), from that of the averages. */
static inline void spread(const Edge *edge, Scratch s) {
    int64_t pc = edge->pooled_columns;
    memset(s.u, 0, sizeof(V) * edge->target);
    for (int64_t o = 0; o < pc; o += TILE) {
        int64_t first = edge->band[o / TILE * 2], length = edge->band[o / TILE * 2 + 1], width = pc - o < TILE ? pc - o : TILE;
        for (int64_t i = 0; i < length; i++) {
            int64_t t = (first + i) % edge->target;
            for (int64_t k = 0; k < width; k++) s.u[t] += edge->pool_columns[t * pc + o + k] * s.pooled[o + k];
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
    for (int64_t k = 0; k < edge->target; k += POINTS)
        for (int64_t q = 0; q < LANES; q++) {
            const REAL *from = gradient + 2 * (lanes->item[q] * edge->filters + lanes->filter[q]) * edge->target;
            REAL *to = (REAL *)s.z + q;
            for (int64_t i = k; i < k + POINTS && i < edge->target; i++) {
                to[2 * LANES * i] = from[2 * i];
                to[2 * LANES * i + LANES] = from[2 * i + 1];
            }
        }
    to_space(edge, s, s.z);
    if (edge->dimensions == 1) {
        for (int64_t i = 0; i < rows; i++)
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
    for (int64_t q = 0; q < LANES; q++) {
        const REAL *from = gaverages + (lanes->item[q] * edge->filters + lanes->filter[q]) * pr * pc;
        for (int64_t o = 0; o < pr * pc; o++) s.pooled[o][q] = from[o];
    }
    if (edge->dimensions == 1) spread(edge, s);
    else memset(s.u, 0, sizeof(V) * edge->target);
    if (gu)
        for (int64_t q = 0; q < lanes->count; q++) {
            const REAL *from = gu + (lanes->item[q] * edge->filters + lanes->filter[q]) * edge->target;
            for (int64_t t = 0; t < edge->target; t++) s.u[t][q] += from[t];
        }
    if (gspectra) from_spectra(edge, s, gspectra, lanes);
    if (edge->dimensions == 1) {
        for (int64_t i = 0; i < rows; i++)
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
 * the averages and of the sums of squares; all but the averages may be NULL. There is one sheet, or one per thread if there are fewer maps than lanes. */
int64_t propagate_gradient(const Edge *edge, const Input *x, const REAL *gu, const REAL *gspectra,
                           const REAL *gaverages, const REAL *gsums, REAL *gx, int64_t threads) {
    int64_t items = x->batch * x->parents, mixed = items < LANES, failed = 0;
    int64_t blocks = ((mixed ? items * edge->filters : items) + LANES - 1) / LANES;
#pragma omp parallel num_threads(threads)
    {
        Scratch s = workspace(edge, mixed, 1, gspectra != NULL);
        REAL *sheet = gx + (mixed ? 2 * items * edge->source * omp_get_thread_num() : 0);
        if (!s.x) {
#pragma omp atomic write
            failed = 1;
        }
        if (mixed) memset(sheet, 0, sizeof(REAL) * 2 * items * edge->source);
#pragma omp for schedule(dynamic, 1)
        for (int64_t block = 0; block < blocks; block++) {
            if (!s.x) continue;
            if (mixed) {
                Lanes lanes = mixed_filters(block, items, edge->filters);
                filter_mixed(edge, x, &lanes, s.y);
                to_space(edge, s, s.y);
                back(edge, s, &lanes, gu, gspectra, gaverages, gsums);
                adjoint_mixed(edge, &lanes, sheet, s.y);
                continue;
            }
            memset(s.sum, 0, sizeof(C) * edge->used_size);
            for (int64_t a = 0; a < edge->filters; a++) {
                Lanes lanes = same_filter(block, items, a);
                if (a == 0) load(edge, x, &lanes, s.x);
                filter(edge, a, s.x, s.y);
                to_space(edge, s, s.y);
                back(edge, s, &lanes, gu, gspectra, gaverages, gsums);
                adjoint(edge, a, s.sum, s.y);
            }
            Lanes lanes = same_filter(block, items, 0);
            REAL *out[LANES];
            targets(gx, &lanes, 1, 2 * edge->source, out);
            unload(edge, s.sum, out);
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
