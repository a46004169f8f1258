/* One pass over a binarised tensor: what the indicators count, in blocks that stay in the first-level cache.

   No operation here assumes finite numbers; reductions may be reordered. All sums are in double precision. */

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 1024

/* u^k for finite u >= 0 and 0 <= k <= 1, to a few units in the last place of float: 2^(k log2 u), the logarithm split
   into the exponent of u and the series of 2 artanh((m - 1) / (m + 1)) for its mantissa m in [sqrt(1/2), sqrt(2)).
   Where `wide` is 0, u must be 0 or in [FLT_MIN, 1e30], so that no number on the way leaves the normal range. */
static inline float power(float u, float k, int wide)
{
    int tiny = wide && u < FLT_MIN;
    float scaled = tiny ? u * 16777216.0f : u;
    int32_t bits, exponent;
    memcpy(&bits, &scaled, sizeof bits);
    exponent = (bits - 0x3f3504f3) >> 23;
    bits -= exponent << 23;
    float m;
    memcpy(&m, &bits, sizeof m);
    float e = (float)(tiny ? exponent - 24 : exponent);
    float s = (m - 1.0f) / (m + 1.0f), q = s * s;
    float part = k * s * (2.8853900818f + q * (0.9617966939f + q * (0.5770780164f + q * 0.4121985831f)));
    float whole = rintf(k * e + part);
    float x = fmaf(k, e, -whole) + part;
    float y = 1.0f + x * (0.6931471806f + x * (0.2402265070f + x * (0.0555041087f + x * (0.0096181291f
            + x * (0.0013333558f + x * 0.0001540353f)))));
    int32_t shift = (int32_t)whole, half = wide ? shift >> 1 : 0; /* 2^128 and 2^-149 are no floats */
    int32_t first = (half + 127) << 23, second = (shift - half + 127) << 23;
    float low, high;
    memcpy(&low, &first, sizeof low);
    memcpy(&high, &second, sizeof high);
    return u > 0.0f ? y * high * (wide ? low : 1.0f) : 0.0f;
}

/* A curve: slope * u up to a, u^k up to b, then a constant. */
typedef struct { float a, slope, k, b, above; } curve;

/* Sum of (1 - f(u))^2 over the finite u = |x| > floor of a block; all of them are finite if it is `plain`, and in the
   range of the quick power. */
__attribute__((always_inline)) static inline double deviations(const float *x, int count, curve c, float floor,
                                                               int line, int plain)
{
    float f[BLOCK];
    double total = 0;
    if (!line)
        for (int i = 0; i < count; i++)
            f[i] = power(fabsf(x[i]), c.k, !plain);
    for (int i = 0; i < count; i++) {
        float u = fabsf(x[i]);
        float y = u <= c.a ? c.slope * u : u > c.b ? c.above : line ? u : f[i];
        float d = (plain || u <= FLT_MAX) && u > floor ? 1.0f - y : 0.0f;
        total += (double)d * (double)d;
    }
    return total;
}

/* out: finite, saturated, inner; then the sum of (1 - f(u))^2 for each curve, without u = 0 if `skip_zero`. */
static void latent_part(const float *z, int64_t n, float inner, float outer, int64_t skip_zero, const curve *curves,
                        int64_t n_curves, double *out)
{
    const float least = FLT_MIN, most = 1e30f;
    uint32_t first, last;
    memcpy(&first, &least, sizeof first);
    memcpy(&last, &most, sizeof last);
    float floor = skip_zero ? 0.0f : -1.0f;
    for (int64_t j = 0; j < 3 + n_curves; j++)
        out[j] = 0;
    for (int64_t start = 0; start < n; start += BLOCK) {
        int count = (int)(n - start < BLOCK ? n - start : BLOCK);
        const float *x = z + start;
        int32_t finite = count, saturated = 0, within = 0;
        uint32_t low = UINT32_MAX, high = 0; /* the order of non-negative floats is that of their bits, NaN is last */
        for (int i = 0; i < count; i++) {
            uint32_t bits;
            memcpy(&bits, &x[i], sizeof bits);
            bits &= 0x7fffffff;
            low = bits - 1 < low ? bits - 1 : low; /* 0 does not count */
            high = bits > high ? bits : high;
            float u = fabsf(x[i]);
            saturated += u > outer;
            within += u <= inner;
        }
        int plain = low >= first - 1 && high <= last;
        if (!plain) {
            finite = saturated = 0;
            for (int i = 0; i < count; i++) {
                float u = fabsf(x[i]);
                finite += u <= FLT_MAX;
                saturated += u <= FLT_MAX && u > outer;
            }
        }
        out[0] += finite;
        out[1] += saturated;
        out[2] += within;
        for (int64_t j = 0; j < n_curves; j++) {
            int line = curves[j].k == 1.0f;
            if (line && plain)
                out[3 + j] += deviations(x, count, curves[j], floor, 1, 1);
            else if (line)
                out[3 + j] += deviations(x, count, curves[j], floor, 1, 0);
            else if (plain)
                out[3 + j] += deviations(x, count, curves[j], floor, 0, 1);
            else
                out[3 + j] += deviations(x, count, curves[j], floor, 0, 0);
        }
    }
}

/* Adds the moments of other numbers. */
static inline void join(double *number, double *mean, double *M2, double n, double m, double S)
{
    if (n == 0)
        return;
    double whole = *number + n, delta = m - *mean;
    *M2 += S + delta * delta * *number * n / whole;
    *mean += delta * n / whole;
    *number = whole;
}

/* out: number, mean and sum of squared deviations of the finite |g|.

   Each block is read once, about the mean of those before, the first one about its own: what is lost by that is small
   beside the squared distance of the means, which is part of the sum. */
static void gradient_part(const float *g, int64_t n, double *out)
{
    double number = 0, mean = 0, M2 = 0;
    for (int64_t start = 0; start < n; start += BLOCK) {
        int count = (int)(n - start < BLOCK ? n - start : BLOCK);
        const float *x = g + start;
        if (!number) {
            double sum = 0;
            int32_t finite = 0;
            for (int i = 0; i < count; i++) {
                float u = fabsf(x[i]);
                finite += u <= FLT_MAX;
                sum += (double)(u <= FLT_MAX ? u : 0.0f);
            }
            mean = finite ? sum / finite : 0.0;
        }
        int32_t finite = 0;
        double rest = 0, squares = 0;
        for (int i = 0; i < count; i++) {
            float u = fabsf(x[i]);
            double d = u <= FLT_MAX ? (double)u - mean : 0.0;
            finite += u <= FLT_MAX;
            rest += d;
            squares += d * d;
        }
        if (!finite)
            continue;
        double within = squares - rest * rest / finite;
        join(&number, &mean, &M2, finite, mean + rest / finite, within > 0 ? within : 0);
    }
    out[0] = number;
    out[1] = mean;
    out[2] = M2;
}

/* The same in parts, one per thread, each of whole blocks. */
static int64_t part(int64_t n, int64_t i, int64_t parts)
{
    int64_t blocks = (n + BLOCK - 1) / BLOCK, end = blocks * i / parts * BLOCK;
    return end < n ? end : n;
}

void latent(const float *z, int64_t n, float inner, float outer, int64_t skip_zero, const curve *curves,
            int64_t n_curves, int64_t parts, double *out)
{
    int64_t size = 3 + n_curves;
#pragma omp parallel for num_threads(parts) if (parts > 1)
    for (int64_t i = 0; i < parts; i++) {
        int64_t start = part(n, i, parts);
        latent_part(z + start, part(n, i + 1, parts) - start, inner, outer, skip_zero, curves, n_curves, out + i * size);
    }
    for (int64_t i = 1; i < parts; i++)
        for (int64_t j = 0; j < size; j++)
            out[j] += out[i * size + j];
}

void gradient(const float *g, int64_t n, int64_t parts, double *out)
{
#pragma omp parallel for num_threads(parts) if (parts > 1)
    for (int64_t i = 0; i < parts; i++) {
        int64_t start = part(n, i, parts);
        gradient_part(g + start, part(n, i + 1, parts) - start, out + 3 * i);
    }
    for (int64_t i = 1; i < parts; i++)
        join(&out[0], &out[1], &out[2], out[3 * i], out[3 * i + 1], out[3 * i + 2]);
}
