/* Kernels of the fast engine for the CPU, compiled once per precision by _kernels.py with REAL, SQRT and f set.
 *
 * A filter on a grid of `source` frequencies, followed by sampling its output on `target` points, is a sparse matrix
 * with at most one entry per source frequency. It is kept as runs of consecutive frequencies,
 *     target[d + i] += w[i] source[s + i],  0 <= i < length.
 * Complex data are interleaved. Inside `propagate` LANES maps are treated side by side: every number is a vector of
 * LANES numbers, so that no butterfly needs a shuffle whatever the shape of the grid.
 */
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "types.h"
#include "scratch.h"
#include "transform.h"
#include "lanes.h"
#include "filter.h"
#include "pooling.h"
#include "forward.h"
#include "gradient.h"
#include "single.h"
