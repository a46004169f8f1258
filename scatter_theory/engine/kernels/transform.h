/* Inverse transform of vectors of lanes, mixed radix. */

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
