/* Which maps the lanes hold; maps to the lanes and back. */

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
