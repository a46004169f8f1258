/* Scratch memory: one block per thread, and what a team of threads shares of it. */

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
