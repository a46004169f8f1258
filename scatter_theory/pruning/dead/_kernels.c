/* One pass over the outputs of an activation: everything that is counted of them, in the order of memory.

   The least and the greatest value of every unit say at the end whether it was dead, or on, at least once. */

#include <math.h>
#include <stdint.h>

#define BLOCK 1024 /* positions whose moduli are summed in single precision; blocks are summed in double precision */
#define ROWS 4     /* samples that are read together, so that the extremes are read and written less often */

typedef struct { int32_t dead[ROWS], on[ROWS], top[ROWS]; double magnitude[ROWS]; } tally;

/* One channel of `rows` samples, which are `step` apart. A comparison with NaN is false, so that NaN changes neither
   extreme; it makes the sum NaN, and then what is on is counted on its own. */
__attribute__((always_inline)) static inline void read(const float *restrict v, int rows, int64_t step, int64_t count,
                                                       float low, float high, int capped, float *restrict least,
                                                       float *restrict most, tally *all)
{
    for (int r = 0; r < rows; r++)
        all->dead[r] = all->on[r] = all->top[r] = 0, all->magnitude[r] = 0;
    for (int64_t start = 0; start < count; start += BLOCK) {
        int length = (int)(count - start < BLOCK ? count - start : BLOCK);
        const float *restrict block = v + start;
        float *restrict a = least + start, *restrict b = most + start;
        int32_t dead[ROWS] = {0}, top[ROWS] = {0};
        float sum[ROWS] = {0};
        for (int i = 0; i < length; i++) {
            float least_here = a[i], most_here = b[i];
            for (int r = 0; r < rows; r++) {
                float x = block[r * step + i];
                dead[r] += x <= low;
                if (capped)
                    top[r] += x >= high;
                least_here = x < least_here ? x : least_here;
                most_here = x > most_here ? x : most_here;
                sum[r] += fabsf(x);
            }
            a[i] = least_here;
            b[i] = most_here;
        }
        for (int r = 0; r < rows; r++) {
            all->dead[r] += dead[r];
            all->top[r] += top[r];
            all->magnitude[r] += sum[r];
        }
    }
    for (int r = 0; r < rows; r++)
        if (isnan(all->magnitude[r]))
            for (int64_t i = 0; i < count; i++)
                all->on[r] += v[r * step + i] > low;
        else
            all->on[r] = (int32_t)count - all->dead[r];
}

/* The channels from `first` to before `last`, of all samples. found: samples x (dead, silent). */
static void part(const float *v, int64_t samples, int64_t channels, int64_t positions, int64_t first, int64_t last,
                 float low, float high, int64_t *counts, double *magnitude, uint8_t *seen, int32_t *found,
                 float *extremes)
{
    int64_t units = channels * positions;
    int capped = high < INFINITY; /* where it is not, nothing is at the upper flat side */
    float *least = extremes, *most = extremes + units;
    for (int64_t i = first * positions; i < last * positions; i++) {
        least[i] = INFINITY;
        most[i] = -INFINITY;
    }
    for (int64_t b = 0, rows; b < samples; b += rows) {
        rows = samples - b < ROWS ? 1 : ROWS;
        for (int64_t c = first; c < last; c++) {
            const float *x = v + b * units + c * positions;
            float *low_end = least + c * positions, *high_end = most + c * positions;
            tally t;
            if (rows == 1)
                read(x, 1, units, positions, low, high, 1, low_end, high_end, &t);
            else if (capped)
                read(x, ROWS, units, positions, low, high, 1, low_end, high_end, &t);
            else
                read(x, ROWS, units, positions, low, high, 0, low_end, high_end, &t);
            for (int r = 0; r < rows; r++) {
                int32_t silent = t.dead[r] == positions;
                counts[c] += t.dead[r];
                counts[channels + c] += t.on[r];
                counts[2 * channels + c] += capped ? t.top[r] : 0;
                counts[3 * channels + c] += silent;
                magnitude[c] += t.magnitude[r];
                found[2 * (b + r)] += t.dead[r];
                found[2 * (b + r) + 1] += silent;
            }
        }
    }
    for (int64_t i = first * positions; i < last * positions; i++) {
        seen[i] |= least[i] <= low;
        seen[units + i] |= most[i] > low;
    }
}

/* v: samples x channels x positions. counts: (dead, on, high, silent) x channels; magnitude: channels;
   seen: (dead, on) x channels x positions, bytes; found: parts x samples x (dead, silent). All are added to.
   extremes: 2 x channels x positions, to work in. */
void count(const float *v, int64_t samples, int64_t channels, int64_t positions, float low, float high,
           int64_t *counts, double *magnitude, uint8_t *seen, int32_t *found, float *extremes, int64_t parts)
{
#pragma omp parallel for num_threads(parts) schedule(static)
    for (int64_t p = 0; p < parts; p++)
        part(v, samples, channels, positions, p * channels / parts, (p + 1) * channels / parts, low, high, counts,
             magnitude, seen, found + p * samples * 2, extremes);
}
