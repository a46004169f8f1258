/* Maps one by one, for grids too large for lanes. */

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
