/* Filter, inverse transform, modulus and averages of one edge. */

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
