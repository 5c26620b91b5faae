/* test_launch.c - rank and world: of the config, of every launcher, and what is refused. */
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "loader/launch.h"

/* "NAME=value" ..., NULL at the end: the environment that the function under test sees. */
static const char *const *variables;

static const char *get(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; variables[i]; i++) {
        if (strncmp(variables[i], name, length) == 0 && variables[i][length] == '=') return variables[i] + length + 1;
    }
    return NULL;
}

#define ELSE "; or give rank and world in the config"
#define OF_FOUR ": a whole number from 0 to 3 would be right, as WORLD_SIZE is 4" ELSE
#define OF_MANY ": a whole number from 1 to 1000000 would be right" ELSE

typedef struct launch_case {
    uint32_t world, rank;            /* of the config */
    const char *set[8];
    uint32_t found_rank, found_world;
    const char *launcher;            /* NULL: refused */
    const char *message;
} launch_case;

static const launch_case cases[] = {
    /* alone */
    {0, 0, {0}, 0, 1, "", NULL},
    {0, LEAT_RANK_OF_LAUNCHER, {0}, 0, 1, "", NULL},
    /* each launcher */
    {0, 0, {"RANK=3", "WORLD_SIZE=4"}, 3, 4, "torchrun", NULL},
    {0, LEAT_RANK_OF_LAUNCHER, {"RANK=3", "WORLD_SIZE=4"}, 3, 4, "torchrun", NULL},
    {0, 0, {"OMPI_COMM_WORLD_RANK=1", "OMPI_COMM_WORLD_SIZE=2"}, 1, 2, "openmpi", NULL},
    {0, 0, {"PMI_RANK=0", "PMI_SIZE=5"}, 0, 5, "pmi", NULL},
    {0, 0, {"SLURM_PROCID=16", "SLURM_NTASKS=17"}, 16, 17, "slurm", NULL},
    {0, 0, {"RANK=999999", "WORLD_SIZE=1000000"}, 999999, 1000000, "torchrun", NULL},
    /* the innermost one, whatever the order they stand in */
    {0, 0, {"SLURM_PROCID=1", "SLURM_NTASKS=2", "RANK=5", "WORLD_SIZE=16"}, 5, 16, "torchrun", NULL},
    {0, 0, {"SLURM_PROCID=0", "SLURM_NTASKS=1", "PMI_RANK=0", "PMI_SIZE=1", "OMPI_COMM_WORLD_RANK=2", "OMPI_COMM_WORLD_SIZE=3"},
     2, 3, "openmpi", NULL},
    {0, 0, {"SLURM_PROCID=0", "SLURM_NTASKS=1", "PMI_RANK=2", "PMI_SIZE=3"}, 2, 3, "pmi", NULL},
    {0, 0, {"OMPI_COMM_WORLD_RANK=2", "OMPI_COMM_WORLD_SIZE=3", "RANK=0", "WORLD_SIZE=1"}, 0, 1, "torchrun", NULL},
    /* half a pair is none, but for torchrun's alone, which is an error */
    {0, 0, {"SLURM_NTASKS=4"}, 0, 1, "", NULL},
    {0, 0, {"RANK=1", "OMPI_COMM_WORLD_SIZE=4", "SLURM_PROCID=2", "SLURM_NTASKS=4"}, 2, 4, "slurm", NULL},
    {0, 0, {"RANK=", "WORLD_SIZE=4", "PMI_RANK=1", "PMI_SIZE=2"}, 1, 2, "pmi", NULL},
    /* Kubernetes knows no world */
    {0, 0, {"JOB_COMPLETION_INDEX=2"}, 0, 1, "", NULL},
    {0, LEAT_RANK_OF_LAUNCHER, {"JOB_COMPLETION_INDEX=2"}, 0, 1, "", NULL},
    {4, LEAT_RANK_OF_LAUNCHER, {"JOB_COMPLETION_INDEX=2"}, 2, 4, "kubernetes", NULL},
    {4, LEAT_RANK_OF_LAUNCHER, {"JOB_COMPLETION_INDEX=0", "RANK=3", "WORLD_SIZE=4"}, 3, 4, "torchrun", NULL},
    {4, 1, {"JOB_COMPLETION_INDEX=2"}, 1, 4, "config", NULL},
    /* the config's own: the environment is not looked at */
    {4, 0, {0}, 0, 4, "config", NULL},
    {4, 3, {"RANK=1", "WORLD_SIZE=2"}, 3, 4, "config", NULL},
    {1, 0, {"RANK=wrong", "WORLD_SIZE=8"}, 0, 1, "config", NULL},
    {1, LEAT_RANK_OF_LAUNCHER, {0}, 0, 1, "config", NULL},
    {1000000, 999999, {0}, 999999, 1000000, "config", NULL},
    /* the config's world, the launcher's rank */
    {4, LEAT_RANK_OF_LAUNCHER, {"SLURM_PROCID=3", "SLURM_NTASKS=4"}, 3, 4, "slurm", NULL},
    /* refused */
    {0, 0, {"WORLD_SIZE=4"}, 0, 0, NULL, "WORLD_SIZE is set in the environment and RANK is not: a launcher such as torchrun sets both; set "
     "it, unset the other, or give rank and world in the config"},
    {0, 0, {"RANK=nonsense"}, 0, 0, NULL, "RANK is set in the environment and WORLD_SIZE is not: a launcher such as torchrun sets both; set "
     "it, unset the other, or give rank and world in the config"},
    {0, 0, {"RANK=x", "WORLD_SIZE=4"}, 0, 0, NULL,
     "RANK of the environment is 'x'" OF_FOUR},
    {0, 0, {"RANK=4", "WORLD_SIZE=4"}, 0, 0, NULL,
     "RANK of the environment is '4'" OF_FOUR},
    {0, 0, {"RANK=-1", "WORLD_SIZE=4"}, 0, 0, NULL,
     "RANK of the environment is '-1'" OF_FOUR},
    {0, 0, {"RANK=0", "WORLD_SIZE=0"}, 0, 0, NULL,
     "WORLD_SIZE of the environment is '0'" OF_MANY},
    {0, 0, {"RANK=0", "WORLD_SIZE=1000001"}, 0, 0, NULL,
     "WORLD_SIZE of the environment is '1000001'" OF_MANY},
    {0, 0, {"PMI_RANK=0", "PMI_SIZE=99999999999999999999"}, 0, 0, NULL,
     "PMI_SIZE of the environment is '99999999999999999999'" OF_MANY},
    {0, 0, {"SLURM_PROCID=0", "SLURM_NTASKS=4(x2)\x1b[2J"}, 0, 0, NULL,
     "SLURM_NTASKS of the environment is '4(x2)\\x1b[2J'" OF_MANY},
    {0, 3, {"RANK=0", "WORLD_SIZE=4"}, 0, 0, NULL, "rank is 3 and world is 0: give world as well, or neither for the launcher's"},
    {4, 4, {0}, 0, 0, NULL, "rank is 4: 0 to 3 would be right, as world is 4"},
    {1000001, 0, {0}, 0, 0, NULL, "world is 1000001: 1 to 1000000 would be right, or 0 for the launcher's"},
    {1000001, LEAT_RANK_OF_LAUNCHER, {0}, 0, 0, NULL, "world is 1000001: 1 to 1000000 would be right, or 0 for the launcher's"},
    {4, LEAT_RANK_OF_LAUNCHER, {"RANK=0", "WORLD_SIZE=2"}, 0, 0, NULL,
     "world is 4 and WORLD_SIZE (torchrun) says 2: give the same number, or no world at all"},
    {4, LEAT_RANK_OF_LAUNCHER, {"SLURM_PROCID=7", "SLURM_NTASKS=8"}, 0, 0, NULL,
     "world is 4 and SLURM_NTASKS (slurm) says 8: give the same number, or no world at all"},
    {4, LEAT_RANK_OF_LAUNCHER, {"JOB_COMPLETION_INDEX=4"}, 0, 0, NULL,
     "JOB_COMPLETION_INDEX of the environment is '4': a whole number from 0 to 3 would be right, as world is 4" ELSE},
    {4, LEAT_RANK_OF_LAUNCHER, {"RANK=1"}, 0, 0, NULL,
     "world is 4, and no launcher says which rank this is (RANK, OMPI_COMM_WORLD_RANK, PMI_RANK or SLURM_PROCID, each with its "
     "count, or JOB_COMPLETION_INDEX): give rank, 0 to 3"},
};
enum { CASES = sizeof cases / sizeof cases[0] };

START_TEST(rank_and_world)
{
    const launch_case *c = &cases[_i];
    leat_config config = {.world = c->world, .rank = c->rank, .seed = 5};
    char launcher[24] = "unchanged";
    leat_error error = {0};
    variables = c->set;
    leat_code code = leat__launch(&config, get, launcher, &error);
    if (c->launcher) {
        ck_assert_msg(code == LEAT_OK, "%s", error.message);
        ck_assert_str_eq(launcher, c->launcher);
        ck_assert_uint_eq(config.rank, c->found_rank);
        ck_assert_uint_eq(config.world, c->found_world);
    } else {
        ck_assert_int_eq(code, LEAT_EINVAL);
        ck_assert_int_eq(error.code, LEAT_EINVAL);
        ck_assert_str_eq(error.message, c->message);
        ck_assert_uint_eq(config.rank, c->rank); /* nothing half done */
        ck_assert_uint_eq(config.world, c->world);
    }
    ck_assert_uint_eq(config.seed, 5);
}
END_TEST

START_TEST(the_processs_own_environment)
{
    static const char *const names[] = {"RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"};
    leat_config config = LEAT_CONFIG_INIT;
    char launcher[24];
    leat_error error;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) unsetenv(names[i]);
    ck_assert_int_eq(leat__launch(&config, NULL, launcher, &error), LEAT_OK);
    ck_assert_str_eq(launcher, "");
    ck_assert_uint_eq(config.world, 1);
    setenv("RANK", "1", 1);
    setenv("WORLD_SIZE", "2", 1);
    config = (leat_config)LEAT_CONFIG_INIT;
    ck_assert_int_eq(leat__launch(&config, NULL, launcher, &error), LEAT_OK);
    ck_assert_str_eq(launcher, "torchrun");
    ck_assert_uint_eq(config.rank, 1);
    ck_assert_uint_eq(config.world, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("launch");
    TCase *tests = tcase_create("launch");
    tcase_add_loop_test(tests, rank_and_world, 0, CASES);
    tcase_add_test(tests, the_processs_own_environment);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
