/* Filters on LANES maps, and their adjoints. */

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
