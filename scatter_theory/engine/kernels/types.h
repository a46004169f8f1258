/* What every kernel works on: lanes, plans of an edge, and the shares of threads. */

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
