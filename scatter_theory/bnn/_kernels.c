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

/* out: finite, saturated, inner; then the sum of (1 - f(u))^2 for each curve, without u = 0 if `skip_zero`. */
void latent(const float *z, int64_t n, float inner, float outer, int64_t skip_zero, const curve *curves,
            int64_t n_curves, double *out)
{
    float u[BLOCK], keep[BLOCK], f[BLOCK];
    for (int64_t j = 0; j < 3 + n_curves; j++)
        out[j] = 0;
    for (int64_t start = 0; start < n; start += BLOCK) {
        int count = (int)(n - start < BLOCK ? n - start : BLOCK);
        const float *x = z + start;
        int32_t finite = 0, saturated = 0, within = 0, odd = 0;
        for (int i = 0; i < count; i++) {
            float v = fabsf(x[i]);
            int is = v <= FLT_MAX;
            v = is ? v : 0.0f;
            u[i] = v;
            keep[i] = is && !(skip_zero && v == 0.0f) ? 1.0f : 0.0f;
            finite += is;
            saturated += v > outer;
            within += is && v <= inner;
        }
        for (int i = 0; i < count; i++)
            odd += (u[i] < FLT_MIN && u[i] > 0.0f) + (u[i] > 1e30f);
        out[0] += finite;
        out[1] += saturated;
        out[2] += within;
        for (int64_t j = 0; j < n_curves; j++) {
            curve c = curves[j];
            double total = 0;
            if (c.k == 1.0f)
                memcpy(f, u, sizeof f);
            else if (odd)
                for (int i = 0; i < count; i++)
                    f[i] = power(u[i], c.k, 1);
            else
                for (int i = 0; i < count; i++)
                    f[i] = power(u[i], c.k, 0);
            for (int i = 0; i < count; i++) {
                float y = u[i] <= c.a ? c.slope * u[i] : u[i] > c.b ? c.above : f[i];
                double d = (double)((1.0f - y) * keep[i]);
                total += d * d;
            }
            out[3 + j] += total;
        }
    }
}

/* out: number, mean and sum of squared deviations of the finite |g|. */
void gradient(const float *g, int64_t n, double *out)
{
    double number = 0, mean = 0, M2 = 0;
    float u[BLOCK], keep[BLOCK];
    for (int64_t start = 0; start < n; start += BLOCK) {
        int count = (int)(n - start < BLOCK ? n - start : BLOCK);
        int32_t finite = 0;
        double sum = 0, rest = 0, squares = 0;
        for (int i = 0; i < count; i++) {
            float v = fabsf(g[start + i]);
            int is = v <= FLT_MAX;
            u[i] = is ? v : 0.0f;
            keep[i] = is ? 1.0f : 0.0f;
            finite += is;
            sum += (double)u[i];
        }
        if (!finite)
            continue;
        double here = sum / finite;
        for (int i = 0; i < count; i++) {
            double d = ((double)u[i] - here) * (double)keep[i];
            rest += d;
            squares += d * d;
        }
        squares -= rest * rest / finite;
        here += rest / finite;
        double whole = number + finite, delta = here - mean;
        M2 += (squares > 0 ? squares : 0) + delta * delta * number * finite / whole;
        mean += delta * finite / whole;
        number = whole;
    }
    out[0] = number;
    out[1] = mean;
    out[2] = M2;
}
