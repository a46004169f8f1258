/* Weighted sums of moduli: the outputs of a pooling. */

/* Weights of sample i of a line for all outputs, one after another. Outputs that are shifts of each other by `pool_step`
 * samples share a table: sample r + pool_step * q has for output o the entry [r][pool_start - q + o], of `pool_width` per r.
 * Others have a matrix [sample][output], and pool_step is the number of samples. */
static inline const REAL *weights_of(const Edge *edge, int64_t i) {
    return edge->pool_columns + i % edge->pool_step * edge->pool_width + edge->pool_start - i / edge->pool_step;
}

/* TILE weighted sums of `length` rows of u, the weights of a row `stride` after those of the one before; summed in
 * blocks, to keep the digits. */
static void pool_tile(const V *u, int64_t length, const REAL *matrix, int64_t stride, int64_t width, V *total) {
    for (int64_t begin = 0; begin < length; begin += BLOCK) {
        int64_t end = least(begin + BLOCK, length);
        V sum[TILE];
        memset(sum, 0, sizeof sum);
        if (width == TILE)
            for (int64_t i = begin; i < end; i++)
                for (int64_t t = 0; t < TILE; t++) sum[t] += matrix[i * stride + t] * u[i];
        else
            for (int64_t i = begin; i < end; i++)
                for (int64_t t = 0; t < width; t++) sum[t] += matrix[i * stride + t] * u[i];
        for (int64_t t = 0; t < width; t++) total[t] += sum[t];
    }
}

/* Likewise of `length` samples of a line from `first` on, cyclic, for the outputs from o on. */
static void pool_line(const Edge *edge, const V *u, int64_t first, int64_t length, int64_t o, int64_t width, V *total) {
    while (length > 0) {
        first %= edge->target;
        int64_t part = least(length, least(edge->target - first, edge->pool_step - first % edge->pool_step));
        pool_tile(u + first, part, weights_of(edge, first) + o, edge->pool_width, width, total);
        first += part;
        length -= part;
    }
}

/* Averages of the line of moduli in u, in parts that do not depend on the number of threads. */
static void pool(const Edge *edge, Scratch s) {
    int64_t jobs = tiles_of(edge) * SEGMENTS, outputs = edge->pooled_columns;
    for (int64_t job = share(s.team, jobs); job < share_end(s.team, jobs); job++) {
        int64_t tile = job / SEGMENTS, segment = job % SEGMENTS;
        int64_t first = edge->band[2 * tile], length = edge->band[2 * tile + 1];
        int64_t begin = length * segment / SEGMENTS, end = length * (segment + 1) / SEGMENTS;
        V *sum = s.segments + job * TILE;
        memset(sum, 0, sizeof(V) * TILE);
        pool_line(edge, s.u, first + begin, end - begin, tile * TILE, least(TILE, outputs - tile * TILE), sum);
    }
    wait(s.team);
    for (int64_t o = share(s.team, outputs); o < share_end(s.team, outputs); o++) {
        const V *parts = s.segments + o / TILE * SEGMENTS * TILE + o % TILE;
        V total = parts[0];
        for (int64_t segment = 1; segment < SEGMENTS; segment++) total += parts[segment * TILE];
        s.pooled[o] = total;
    }
}
