/* env.c - the real world's clock and randomness. */
#include "pipeline/env.h"

#include <sys/random.h>
#include <uv.h>

static uint64_t real_now_ns(void *user)
{
    (void)user;
    return uv_hrtime();
}

static uint64_t real_random(void *user)
{
    (void)user;
    uint64_t number;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) == sizeof number) return number;
    return uv_hrtime() * UINT64_C(0x9e3779b97f4a7c15); /* before the kernel's pool is ready: only spreads back-offs */
}

const leat__env *leat__env_real(void)
{
    static const leat__env real = {.now_ns = real_now_ns, .random = real_random};
    return &real;
}
