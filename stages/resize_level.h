/* resize_level.h - the kernels that are put together alike at every level of vectors, for a level's file to compile with its own
 * instructions: it has across_groups and pairs_of, and LEVEL says which instructions. Included once by each. */
LEVEL static void across(const leat__resize *resize, uint8_t *out)
{
    const uint32_t pairs = pairs_of(&resize->across);
    if (!resize->packed) leat__resize_across_far_avx2(resize, out);
    else if (resize->channels == 4) across_groups(resize, 4, pairs, out);
    else if (pairs == 2) across_groups(resize, 3, 2, out); /* the usual: a reduction by up to 2 */
    else across_groups(resize, 3, pairs, out);
}

/* ---- many taps ---- */

LEVEL static void add(const uint8_t *row, float weight, size_t count, float *sums)
{
    leat__resize_add_body(row, weight, count, sums);
}

LEVEL static void settle(const float *sums, unsigned channels, size_t columns, int16_t *planes, size_t plane)
{
    leat__resize_settle_body(sums, channels, columns, planes, plane);
}

LEVEL static void across_many(const leat__resize *resize, uint8_t *out)
{
    leat__resize_across_many_body(resize, out);
}
