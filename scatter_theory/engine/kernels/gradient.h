/* Gradient of `propagate`: everything before is computed anew. */

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
