/* launch.c - which of how many ranks this process is.
 *
 * What:    rank and world of the config, or of the launcher that started the process, by the variables it sets for each of them.
 * Why so:  launchers nest, and each passes on what it was given: torchrun under srun (one agent a node) has Slurm's variables of
 *          the agent beside its own of the worker; mpirun inside a Slurm job likewise. So the one that started this very process
 *          has to be asked first, and that is the order of the table: torchrun starts nothing but trainers; Open MPI may have
 *          been started by a PMI or Slurm, never the other way round; Slurm is the outermost.
 *          A pair counts only if both are set: an interactive Slurm shell has SLURM_NTASKS and no SLURM_PROCID, and its process
 *          is no rank. Half of torchrun's pair alone is an error. A variable that is empty is not set.
 *          Kubernetes' indexed jobs know a process's index and not how many there are, so they are asked only where the config
 *          gives the world and asks for the rank.
 *          A wrong value is an error and never passed over: a process that took itself for alone would train on everything.
 * Threads: any; getenv is safe as long as nobody calls setenv meanwhile (POSIX).
 * Invariants: after LEAT_OK 1 <= world <= LEAT__MOST_RANKS and rank < world.
 * Sources: https://docs.pytorch.org/docs/stable/elastic/run.html,
 *          https://docs.open-mpi.org/en/v5.0.x/tuning-apps/environment-var.html,
 *          https://slurm.schedmd.com/srun.html, https://kubernetes.io/docs/concepts/workloads/controllers/job/ */
#include "loader/launch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/failure.h"
#include "stages/npy.h"

enum { SHOWN = 64 }; /* bytes of a wrong value in a message */

typedef struct launcher_names {
    const char *name, *rank, *world;
} launcher_names;

static const launcher_names launchers[] = {
    {"torchrun", "RANK", "WORLD_SIZE"},
    {"openmpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
    {"pmi", "PMI_RANK", "PMI_SIZE"},
    {"slurm", "SLURM_PROCID", "SLURM_NTASKS"},
};
static const char kubernetes[] = "JOB_COMPLETION_INDEX";

static const char *own_environment(const char *name)
{
    return getenv(name);
}

/* The variable's value, NULL if it is not set or empty. */
static const char *look_up(leat__launch_get get, const char *name)
{
    const char *value = get(name);
    return value && *value ? value : NULL;
}

/* The launcher that started this process; NULL: none did. */
static const launcher_names *find_launcher(leat__launch_get get)
{
    for (size_t i = 0; i < sizeof launchers / sizeof launchers[0]; i++) {
        if (look_up(get, launchers[i].rank) && look_up(get, launchers[i].world)) return &launchers[i];
    }
    return NULL;
}

/* torchrun's pair is set by nothing else in a shell: half of it is a launcher that was wanted and is not there. */
static leat_code check_halves(leat__launch_get get, leat_error *error)
{
    const char *rank = look_up(get, launchers[0].rank), *world = look_up(get, launchers[0].world);
    if (!rank == !world) return LEAT_OK;
    return leat__fail(error, LEAT_EINVAL, 0, "%s is set in the environment and %s is not: a launcher such as torchrun sets both; "
                      "set it, unset the other, or give rank and world in the config",
                      rank ? launchers[0].rank : launchers[0].world,
                      rank ? launchers[0].world : launchers[0].rank);
}

/* Reads a variable that is set: a whole number from low to high. because: why high is the bound, "" if that is plain. */
static leat_code read_number(leat__launch_get get, const char *name, uint32_t low, uint32_t high, const char *because,
                             uint32_t *number, leat_error *error)
{
    const char *text = look_up(get, name);
    char shown[4 * SHOWN + 1];
    int64_t value;
    assert(text && low <= high);
    size_t size = strlen(text);
    if (leat__parse_int((const uint8_t *)text, size, &value, NULL) == LEAT_OK && value >= low && value <= high) {
        *number = (uint32_t)value;
        return LEAT_OK;
    }
    leat__escape(shown, sizeof shown, text, size < SHOWN ? size : SHOWN);
    return leat__fail(error, LEAT_EINVAL, 0, "%s of the environment is '%s': a whole number from %u to %u would be right%s; or "
                      "give rank and world in the config", name, shown, low, high, because);
}

/* Rank and world of a launcher that was found. */
static leat_code read_launcher(leat__launch_get get, const launcher_names *names, uint32_t *rank, uint32_t *world,
                               leat_error *error)
{
    char because[64];
    leat_code code = read_number(get, names->world, 1, LEAT__MOST_RANKS, "", world, error);
    if (code) return code;
    snprintf(because, sizeof because, ", as %s is %u", names->world, *world);
    return read_number(get, names->rank, 0, *world - 1, because, rank, error);
}

/* The config gives the world and leaves the rank to the launcher. */
static leat_code find_rank(leat_config *config, leat__launch_get get, const char **name, leat_error *error)
{
    const launcher_names *names = find_launcher(get);
    uint32_t world = config->world, rank = 0;
    leat_code code = LEAT_OK;
    if (names) {
        code = read_launcher(get, names, &rank, &world, error);
        if (!code && world != config->world)
            return leat__fail(error, LEAT_EINVAL, 0, "world is %u and %s (%s) says %u: give the same number, or no world at all",
                              config->world, names->world, names->name, world);
    } else if (look_up(get, kubernetes)) {
        char because[48];
        snprintf(because, sizeof because, ", as world is %u", world);
        code = read_number(get, kubernetes, 0, world - 1, because, &rank, error);
    } else if (world > 1) {
        return leat__fail(error, LEAT_EINVAL, 0, "world is %u, and no launcher says which rank this is (RANK, "
                          "OMPI_COMM_WORLD_RANK, PMI_RANK or SLURM_PROCID, each with its count, or %s): give rank, 0 to %u",
                          world, kubernetes, world - 1);
    }
    if (code) return code;
    *name = names ? names->name : look_up(get, kubernetes) ? "kubernetes" : "config";
    config->rank = rank;
    return LEAT_OK;
}

/* The config gives the world. */
static leat_code use_config(leat_config *config, leat__launch_get get, const char **name, leat_error *error)
{
    uint32_t world = config->world;
    if (world > LEAT__MOST_RANKS)
        return leat__fail(error, LEAT_EINVAL, 0, "world is %u: 1 to %u would be right, or 0 for the launcher's", world,
                          LEAT__MOST_RANKS);
    if (config->rank == LEAT_RANK_OF_LAUNCHER) return find_rank(config, get, name, error);
    if (config->rank >= world)
        return leat__fail(error, LEAT_EINVAL, 0, "rank is %u: 0 to %u would be right, as world is %u", config->rank, world - 1,
                          world);
    *name = "config";
    return LEAT_OK;
}

/* The config leaves both to the launcher. */
static leat_code use_launcher(leat_config *config, leat__launch_get get, const char **name, leat_error *error)
{
    uint32_t rank = 0, world = 1;
    if (config->rank != 0 && config->rank != LEAT_RANK_OF_LAUNCHER)
        return leat__fail(error, LEAT_EINVAL, 0, "rank is %u and world is 0: give world as well, or neither for the launcher's",
                          config->rank);
    const launcher_names *names = find_launcher(get);
    leat_code code = names ? read_launcher(get, names, &rank, &world, error) : check_halves(get, error);
    if (code) return code;
    *name = names ? names->name : "";
    config->rank = rank;
    config->world = world;
    return LEAT_OK;
}

leat_code leat__launch(leat_config *config, leat__launch_get get, char launcher[24], leat_error *error)
{
    const char *name = "";
    if (!get) get = own_environment;
    leat_code code = (config->world > 0 ? use_config : use_launcher)(config, get, &name, error);
    if (code) return code;
    assert(config->world >= 1 && config->world <= LEAT__MOST_RANKS && config->rank < config->world);
    snprintf(launcher, 24, "%s", name);
    return LEAT_OK;
}
