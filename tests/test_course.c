/* test_course.c - stages/course.c and walk.c: epochs, global batches, ranks and lanes against counting one by one (counting.h). */
#include "check_main.h"
#include "counting.h"
#include "stages/walk.h"

enum { MOST_SOURCES = 4 };

/* ---- settings, and their places by counting ---- */

typedef struct setting {
    leat__course_options options;
    origin *origins[MOST_SOURCES];
    const leat__order *orders[MOST_SOURCES];
    uint32_t lanes[MOST_SOURCES];
    double weights[MOST_SOURCES];
    leat__mix *mix;
    uint64_t together;      /* samples of all */
} setting;

typedef struct model_place {
    unsigned source;
    uint64_t segment, pass, position;
    uint64_t epoch, step, row;
    uint32_t rank;
    bool delivered;         /* not so where fewer samples than ranks are left */
} model_place;

typedef struct model {
    model_place *places;
    uint64_t count;         /* of all epochs that were asked for */
    uint64_t epoch, steps, dropped, padded;
} model;

static void random_setting(setting *s, uint32_t world)
{
    *s = (setting){.options = {.world = world, .rank = (uint32_t)draw(world),
                               .count = draw(3) ? 1 : (unsigned)(2 + draw(MOST_SOURCES - 1))}};
    for (unsigned i = 0; i < s->options.count; i++) {
        s->origins[i] = random_origin(i, world);
        s->orders[i] = s->origins[i]->order;
        s->lanes[i] = s->origins[i]->options.lanes;
        s->weights[i] = (double)(1 + draw(9)) / 2;
        s->together += s->origins[i]->samples;
    }
    if (s->options.count > 1) s->mix = new_mix(s->weights, s->options.count);
    s->options.orders = s->orders;
    s->options.lanes = s->lanes;
    s->options.weights = s->weights;
    s->options.batch = world + draw(draw(2) ? 6 : 60);
    s->options.remainder = (leat_remainder)draw(3);
    s->options.epoch_samples = draw(3) ? 0 : 1 + draw(2 * s->together);
    s->options.limit = draw(3) ? 0 : 1 + draw(s->together + 10);
    s->options.epochs = draw(4);
    s->options.first_epoch = draw(3);
    s->options.first_step = draw(2) ? 0 : draw(8);
}

static void setting_clear(setting *s)
{
    for (unsigned i = 0; i < s->options.count; i++) origin_free(s->origins[i]);
    leat__mix_free(s->mix);
}

static uint64_t samples_of_epoch(const setting *s)
{
    uint64_t samples = s->options.epoch_samples ? s->options.epoch_samples : s->together;
    return s->options.limit && s->options.limit < samples ? s->options.limit : samples;
}

/* The length of an epoch; returns how many places of its last batch, if that is short, are delivered. */
static uint64_t measure_epoch(const setting *s, model *m)
{
    uint64_t samples = samples_of_epoch(s), batch = s->options.batch, rest = samples % batch;
    bool drops = s->options.remainder == LEAT_REMAINDER_DROP || (s->options.remainder == LEAT_REMAINDER_SHORT &&
                                                                 rest < s->options.world);
    bool pads = s->options.remainder == LEAT_REMAINDER_PAD && rest;
    *m = (model){.epoch = samples, .dropped = drops ? rest : 0, .padded = pads ? batch - rest : 0};
    m->steps = samples / batch + (rest && !drops);
    if (pads) m->epoch += batch - rest;
    /* a rest that is too short for the ranks stays a part of the epoch: the next one begins where it does for other worlds */
    if (s->options.remainder == LEAT_REMAINDER_DROP) m->epoch -= rest;
    return drops ? 0 : rest;
}

/* Epoch after epoch, sample after sample: what each source has given so far is all that is remembered. */
static void fill_model(const setting *s, uint64_t epochs, model *m)
{
    uint64_t batch = s->options.batch, world = s->options.world, ordinal;
    uint64_t last = measure_epoch(s, m), whole = m->epoch / batch * batch;
    bool by_pass = s->options.count == 1 && !s->options.epoch_samples;
    m->places = room(m->epoch * epochs, sizeof *m->places);
    model_place next[MOST_SOURCES] = {{0}};
    for (uint64_t epoch = 0; epoch < epochs; epoch++) {
        if (by_pass && epoch) next[0] = (model_place){.segment = next[0].segment + 1, .pass = epoch};
        for (uint64_t i = 0; i < m->epoch; i++, m->count++) {
            unsigned source = s->mix ? leat__mix_source(s->mix, m->count, &ordinal) : 0;
            model_place *from = &next[source];
            if (from->position == (by_pass ? samples_of_epoch(s) : s->origins[source]->samples)) {
                from->segment++;
                from->pass += !by_pass;
                from->position = 0;
            }
            m->places[m->count] = (model_place){.source = source, .segment = from->segment, .pass = from->pass,
                                                .position = from->position++,
                                                .epoch = epoch, .step = i / batch, .row = i % batch / world,
                                                .rank = (uint32_t)(i % batch % world), .delivered = i < whole || last};
        }
    }
}

static bool is_own(const model *m, uint64_t place, uint32_t rank)
{
    return m->places[place].delivered && m->places[place].rank == rank;
}

static uint64_t begin_of(const setting *s, const model *m)
{
    uint64_t epoch = s->options.first_epoch * m->epoch, step = s->options.first_step;
    return epoch + (step < m->steps ? step * s->options.batch : m->epoch);
}

/* Makes the course of a setting. False if there is none: nothing is left of an epoch. */
static bool begin_course(const setting *s, leat__course *course, const model *m)
{
    leat_error error = {0};
    leat_code code = leat__course_init(course, &s->options, &error);
    if (code && m->steps) ck_abort_msg("case %llu: %s", (unsigned long long)number, error.message);
    if (!code) {
        holds(m->steps > 0);
        return true;
    }
    same(code, LEAT_EINVAL);
    holds(strstr(error.message, "that is not dropped: lower batch_size, or pad the remainder") != NULL);
    leat__course_clear(course);
    return false;
}

/* ---- course ---- */

static void check_figures(const leat__course *course, const setting *s, const model *m)
{
    same(course->steps, m->steps);
    same(course->dropped, m->dropped);
    same(course->padded, m->padded);
    same(course->begin, begin_of(s, m));
    same(course->end, s->options.epochs ? (s->options.first_epoch + s->options.epochs) * m->epoch : UINT64_MAX);
    for (unsigned i = 0; i < course->count; i++) holds(course->sources[i].used <= course->sources[i].cycle);
    uint64_t rows = 0;
    for (uint64_t slot = 0; slot < s->options.batch; slot++) rows += slot % s->options.world == s->options.rank;
    same(leat__course_rows(course), rows);
}

static void check_place(const leat__course *course, const model *m, uint64_t place)
{
    const model_place *expected = &m->places[place];
    leat__course_spot spot = leat__course_at(course, place);
    same(spot.source, expected->source);
    same(spot.segment, expected->segment);
    same(spot.position, expected->position);
    same(leat__course_pass(course, spot.source, spot.segment), expected->pass);
    holds(spot.position < leat__course_length(course, spot.source, spot.segment));
    same(leat__course_place(course, &spot), place);
    same(leat__course_epoch(course, place), expected->epoch);
    same(leat__course_is_own(course, place), is_own(m, place, course->rank));
}

/* The next own place and each source's next spot, from the last place to the first. */
static void check_what_follows(const leat__course *course, const model *m)
{
    uint64_t next = course->end, places[MOST_SOURCES];
    bool known = course->end <= m->count; /* what is behind the model's end is not */
    memset(places, 0xff, sizeof places);
    for (uint64_t place = known ? course->end : m->count; place-- > 0;) {
        if (is_own(m, place, course->rank)) {
            next = place;
            known = true;
        }
        if (known && place >= course->begin) same(leat__course_next(course, place), next);
        places[m->places[place].source] = place;
        for (unsigned s = 0; s < course->count; s++) {
            leat__course_spot spot = leat__course_from(course, s, place);
            same(spot.source, s);
            if (places[s] != UINT64_MAX) same(leat__course_place(course, &spot), places[s]);
            if (places[s] != UINT64_MAX) same(spot.segment, m->places[places[s]].segment);
        }
    }
    if (course->end != UINT64_MAX && course->begin <= course->end) same(leat__course_next(course, course->end), course->end);
}

/* The segments that have ended, counted. */
static void check_lengths(const leat__course *course, const model *m)
{
    uint64_t segments[MOST_SOURCES] = {0}, lengths[MOST_SOURCES] = {0};
    for (uint64_t place = 0; place < m->count; place++) {
        unsigned s = m->places[place].source;
        if (m->places[place].segment != segments[s]) {
            same(leat__course_length(course, s, segments[s]), lengths[s]);
            segments[s] = m->places[place].segment;
            lengths[s] = 0;
        }
        lengths[s]++;
    }
}

START_TEST(a_course_is_what_counting_says)
{
    for (uint64_t n = 0; n < cases(300); n++) {
        begin_case(n);
        setting s;
        model m;
        leat__course course;
        random_setting(&s, (uint32_t)(1 + draw(17)));
        fill_model(&s, s.options.first_epoch + s.options.epochs + 1, &m);
        if (begin_course(&s, &course, &m)) {
            check_figures(&course, &s, &m);
            for (uint64_t place = 0; place < m.count; place++) check_place(&course, &m, place);
            check_what_follows(&course, &m);
            check_lengths(&course, &m);
            leat__course_clear(&course);
        }
        free(m.places);
        setting_clear(&s);
    }
}
END_TEST

/* Each first step; one beyond the epoch's last is the next epoch's first. */
START_TEST(a_course_begins_at_each_step)
{
    for (uint64_t n = 0; n < cases(100); n++) {
        begin_case(n);
        setting s;
        model m;
        random_setting(&s, (uint32_t)(1 + draw(17)));
        s.options.epochs = 0;
        fill_model(&s, s.options.first_epoch + 2, &m);
        for (uint64_t step = 0; m.steps && step < m.steps + 3; step++) {
            bool beyond = step >= m.steps;
            leat__course course;
            s.options.first_step = step < m.steps + 2 ? step : UINT64_MAX;
            begin_course(&s, &course, &m);
            same(course.begin, begin_of(&s, &m));
            const model_place *first = &m.places[leat__course_next(&course, course.begin)];
            same(first->epoch, s.options.first_epoch + beyond);
            same(first->step, beyond ? 0 : step);
            same(first->row, 0);
            same(first->rank, s.options.rank);
            leat__course_clear(&course);
        }
        free(m.places);
        setting_clear(&s);
    }
}
END_TEST

/* An epoch that was the last one has nothing behind it. */
START_TEST(a_course_that_begins_at_its_end_is_over)
{
    for (uint64_t n = 0; n < cases(100); n++) {
        begin_case(n);
        setting s;
        model m;
        leat__course course;
        random_setting(&s, (uint32_t)(1 + draw(17)));
        measure_epoch(&s, &m);
        s.options.epochs = 1;
        s.options.first_step = m.steps + draw(3);
        if (begin_course(&s, &course, &m)) {
            same(course.begin, course.end);
            same(leat__course_next(&course, course.begin), course.end);
            for (uint32_t lane = 0; lane < s.lanes[0]; lane++) {
                leat__walk walk;
                leat__wanted wanted;
                holds(leat__walk_begin(&walk, &course, 0, lane));
                same(leat__walk_find(&walk, course.end, &wanted), LEAT__WALK_NONE);
                leat__walk_end(&walk);
            }
            leat__course_clear(&course);
        }
        setting_clear(&s);
    }
}
END_TEST

/* A course over one source of these counts. */
static leat_code try_course(const uint64_t *counts, uint64_t objects, leat__course_options options, leat__course *course,
                            leat_error *error)
{
    leat__order_options source = {.objects = objects, .counts = counts, .lanes = 1, .window = 1, .shuffled = true, .spread = 1};
    leat__order *order = leat__order_new(&source);
    const leat__order *orders[] = {order};
    options.orders = orders;
    options.lanes = (uint32_t[]){1};
    options.weights = (double[]){1};
    options.count = 1;
    leat_code code = leat__course_init(course, &options, error);
    leat__order_free(order); /* no pass is asked for here */
    return code;
}

static const struct refused_course {
    uint64_t counts[2];
    leat__course_options options;
    const char *message;
} refused_courses[] = {
    {{10, 0}, {.batch = 3, .world = 4}, "batch_size is 3 for 4 ranks: a rank would have no rows; give at least 4"},
    {{0, 0}, {.batch = 4, .world = 1}, "source 1 has no samples"},
    {{UINT64_C(1) << 62, 1}, {.batch = 4, .world = 1}, "the sources have more than 2^62 samples"},
    {{UINT64_C(1) << 63, UINT64_C(1) << 63}, {.batch = 4, .world = 1}, "the sources have more than 2^62 samples"},
    {{10, 0}, {.batch = 4, .world = 1, .epoch_samples = (UINT64_C(1) << 62) + 1}, "epoch_samples is over 2^62"},
    {{10, 0}, {.batch = 4, .world = 1, .first_epoch = UINT64_C(1) << 62},
     "epoch 4611686018427387904 of 10 samples is beyond what can be"},
    {{10, 0}, {.batch = 4, .world = 1, .first_epoch = UINT64_C(1) << 60}, "epoch 1152921504606846976 of 10 samples is beyond"},
    {{10, 0}, {.batch = 4, .world = 1, .first_epoch = UINT64_MAX}, "epoch 18446744073709551615 of 10 samples is beyond"},
    {{10, 0}, {.batch = 4, .world = 1, .first_epoch = 1, .epochs = UINT64_MAX}, "epoch 1 of 10 samples is beyond"},
    {{10, 0}, {.batch = 11, .world = 1, .remainder = LEAT_REMAINDER_DROP},
     "an epoch of 10 samples has no batch of 11 for 1 ranks that is not dropped: lower batch_size, or pad the remainder"},
    {{10, 0}, {.batch = 11, .world = 11}, "an epoch of 10 samples has no batch of 11 for 11 ranks that is not dropped"},
    {{10, 0}, {.batch = 11, .world = 4, .limit = 3}, "an epoch of 3 samples has no batch of 11 for 4 ranks"},
};

START_TEST(courses_are_refused)
{
    const struct refused_course *refused = &refused_courses[_i];
    leat__course course;
    leat_error error = {0};
    ck_assert_int_eq(try_course(refused->counts, 2, refused->options, &course, &error), LEAT_EINVAL);
    ck_assert_msg(strstr(error.message, refused->message) != NULL, "%s", error.message);
    leat__course_clear(&course);
    leat__course_clear(&course);
}
END_TEST

/* The farthest there is: nothing wraps around. */
START_TEST(the_last_places_there_can_be)
{
    const uint64_t counts[] = {3, 4}, far = UINT64_C(1) << 62;
    leat__course course;
    leat_error error;
    leat__course_options options = {.batch = 1000, .world = 17, .rank = 16, .epoch_samples = far, .epochs = 1};
    ck_assert_int_eq(try_course(counts, 2, options, &course, &error), LEAT_OK);
    same(course.end, far);
    for (uint64_t place = far - 2000; place < far; place++) {
        leat__course_spot spot = leat__course_at(&course, place);
        same(spot.segment, place / 7);
        same(spot.position, place % 7);
        same(leat__course_place(&course, &spot), place);
        uint64_t next = leat__course_next(&course, place);
        holds(next >= place && next <= far && (next == far || leat__course_is_own(&course, next)));
    }
    leat__course_clear(&course);
}
END_TEST

/* ---- ranks ---- */

/* What came at a place, and to how many ranks. */
typedef struct given {
    unsigned source;
    uint32_t times;
    uint64_t object, index;
} given;

static void give(const leat__course *course, uint64_t place, given *to)
{
    leat__course_spot spot = leat__course_at(course, place);
    leat__pass *pass = take_pass(course->sources[spot.source].order, leat__course_pass(course, spot.source, spot.segment));
    leat__stored stored = look_up(pass, leat__pass_spot(pass, spot.position));
    leat__pass_release(pass);
    *to = (given){.source = spot.source, .times = to->times + 1, .object = stored.object, .index = stored.index};
}

/* One rank's places: step after step, and as many steps as every other rank has. */
static void give_rank(const leat__course *course, uint64_t epochs, given *all)
{
    uint64_t steps = 0, row = 0;
    for (uint64_t place = leat__course_next(course, 0); place < course->end; place = leat__course_next(course, place + 1)) {
        uint64_t epoch = leat__course_epoch(course, place), in = place - epoch * course->epoch;
        uint64_t step = epoch * course->steps + in / course->batch;
        holds(in / course->batch < course->steps && (step == steps || step + 1 == steps));
        row = step == steps ? 0 : row + 1;
        if (step == steps) steps++;
        same(in % course->batch, row * course->world + course->rank);
        give(course, place, &all[place]);
    }
    same(steps, epochs * course->steps);
}

/* Two epochs of all ranks of a world; how many places that is. 0: there are none. */
static uint64_t give_world(setting *s, uint32_t world, given *all)
{
    uint64_t places = 0;
    s->options.world = world;
    for (unsigned i = 0; i < s->options.count; i++) { /* files go to lanes by the number of ranks */
        leat__order_free(s->origins[i]->order);
        s->origins[i]->options.spread = world;
        s->orders[i] = s->origins[i]->order = leat__order_new(&s->origins[i]->options);
    }
    for (s->options.rank = 0; s->options.rank < world; s->options.rank++) {
        leat__course course;
        leat_error error;
        if (leat__course_init(&course, &s->options, &error) == LEAT_OK) {
            give_rank(&course, 2, all);
            places = course.end;
        }
        leat__course_clear(&course);
    }
    return places;
}

START_TEST(global_batches_are_the_same_for_every_world)
{
    for (uint64_t n = 0; n < cases(60); n++) {
        begin_case(n);
        setting s;
        model m;
        random_setting(&s, 1);
        s.options.batch = 17 + draw(40);
        s.options.epochs = 2;
        s.options.first_epoch = s.options.first_step = 0;
        measure_epoch(&s, &m);
        uint64_t capacity = 2 * m.epoch, rest = samples_of_epoch(&s) % s.options.batch;
        given *alone = room(capacity, sizeof *alone), *ranks = room(capacity, sizeof *ranks);
        same(give_world(&s, 1, alone), m.steps ? capacity : 0);
        for (uint32_t world = 2; world <= 17; world++) {
            bool drops = s.options.remainder == LEAT_REMAINDER_SHORT && rest < world;
            memset(ranks, 0, capacity * sizeof *ranks);
            uint64_t places = give_world(&s, world, ranks);
            if (places) same(places, capacity);
            for (uint64_t place = 0; m.epoch && place < capacity; place++) {
                bool left_out = drops && place % m.epoch >= m.epoch - rest;
                same(alone[place].times, 1);
                same(ranks[place].times, !left_out);
                if (!left_out) same(ranks[place].object, alone[place].object);
                if (!left_out) holds(ranks[place].index == alone[place].index && ranks[place].source == alone[place].source);
            }
        }
        free(alone);
        free(ranks);
        setting_clear(&s);
    }
}
END_TEST

/* ---- walk ---- */

static leat__wanted wanted_at(const setting *s, const model *m, uint64_t place, uint32_t *lane)
{
    const model_place *at = &m->places[place];
    const model_sample *sample = &model_pass(s->origins[at->source], at->pass)[at->position];
    *lane = sample->lane;
    return (leat__wanted){.segment = at->segment, .n = sample->n, .place = place, .pass = at->pass,
                          .stored = {.object = sample->object, .index = sample->index, .base = sample->stored - sample->index}};
}

/* What a lane's walk is to find, by counting. gives: free. */
static leat__wanted *expected_of(const setting *s, const model *m, const leat__course *course, unsigned source, uint32_t lane,
                                 uint64_t *count)
{
    uint64_t end = course->end < m->count ? course->end : m->count;
    leat__wanted *expected = room(end, sizeof *expected);
    *count = 0;
    for (uint64_t place = course->begin; place < end; place++) {
        uint32_t in_lane;
        if (m->places[place].source != source || !is_own(m, place, course->rank)) continue;
        expected[*count] = wanted_at(s, m, place, &in_lane);
        *count += in_lane == lane;
    }
    return expected;
}

static void check_wanted(const leat__wanted *wanted, const leat__wanted *expected)
{
    same(wanted->place, expected->place);
    same(wanted->segment, expected->segment);
    same(wanted->n, expected->n);
    same(wanted->pass, expected->pass);
    same(wanted->stored.object, expected->stored.object);
    same(wanted->stored.index, expected->stored.index);
    same(wanted->stored.base, expected->stored.base);
}

/* Passes the sample that was found; leaps: now and then to some number behind it. Returns how many are passed. */
static uint64_t pass_by(leat__walk *walk, const leat__wanted *wanted, uint64_t left, bool leaps)
{
    uint64_t passed = 0, behind = wanted[0].n + draw(12);
    leat__walk_skip(walk, behind % (wanted[0].n + 1)); /* never back */
    if (!leaps || draw(3)) {
        leat__walk_on(walk);
        return 1;
    }
    leat__walk_skip(walk, behind);
    holds(walk->n == behind || (walk->n == walk->end && behind > walk->end));
    while (passed < left && wanted[passed].segment == wanted[0].segment && wanted[passed].n < behind) passed++;
    return passed;
}

/* By steps of `until`. Finding again finds the same. */
static void follow(leat__walk *walk, const leat__wanted *expected, uint64_t count, uint64_t end, uint64_t stride, bool leaps)
{
    uint64_t at = 0, until = walk->course->begin;
    leat__wanted wanted;
    do {
        until = stride < end - until ? until + 1 + draw(stride) : end;
        while (at < count && expected[at].place < until) {
            for (int again = 0; again < 2; again++) {
                same(leat__walk_find(walk, until, &wanted), LEAT__WALK_WANTED);
                check_wanted(&wanted, &expected[at]);
            }
            at += pass_by(walk, &expected[at], count - at, leaps);
        }
        same(leat__walk_find(walk, until, &wanted), LEAT__WALK_NONE);
    } while (until < end);
    same(at, count);
}

/* As follow(), of every lane of every source. */
static void follow_all(const setting *s, const model *m, const leat__course *course, uint64_t stride, bool leaps)
{
    uint64_t found = 0, own = 0, end = course->end < m->count ? course->end : m->count;
    for (unsigned source = 0; source < course->count; source++)
        for (uint32_t lane = 0; lane < s->lanes[source]; lane++) {
            uint64_t count;
            leat__wanted *expected = expected_of(s, m, course, source, lane, &count);
            leat__walk walk;
            holds(leat__walk_begin(&walk, course, source, lane));
            follow(&walk, expected, count, end, stride, leaps);
            leat__walk_end(&walk);
            free(expected);
            found += count;
        }
    for (uint64_t place = course->begin; place < end; place++) own += is_own(m, place, course->rank);
    same(found, own);
}

/* Cases of few enough passes to count them all. _i: at once, by single places, by some, with leaps. */
START_TEST(walks_of_all_lanes_give_the_ranks_places)
{
    static const uint64_t strides[] = {UINT64_MAX, 1, 40, 40};
    for (uint64_t n = 0; n < cases(_i == 1 ? 40 : 150); n++) {
        begin_case(n);
        setting s;
        model m;
        leat__course course;
        random_setting(&s, (uint32_t)(1 + draw(17)));
        if (s.options.count > 1 || s.options.epoch_samples) s.options.limit = 1 + draw(300);
        fill_model(&s, s.options.first_epoch + s.options.epochs + 1, &m);
        if (begin_course(&s, &course, &m)) {
            follow_all(&s, &m, &course, strides[_i], _i == 3);
            leat__course_clear(&course);
        }
        free(m.places);
        setting_clear(&s);
    }
}
END_TEST

/* Asked for what is stored, in any order. Positions behind the segment's end are never wanted. */
static void ask_segment(const setting *s, const model *m, const leat__course *course, uint64_t first)
{
    const model_place *begin = &m->places[first];
    origin *o = s->origins[begin->source];
    const model_sample *samples = model_pass(o, begin->pass);
    leat__pass *pass = take_pass(o->order, begin->pass);
    leat__window window = {0};
    uint64_t place = first, length = leat__course_length(course, begin->source, begin->segment);
    for (uint64_t position = 0; position < o->samples; position++) {
        const model_sample *sample = &samples[position];
        while (position < length && place < m->count && m->places[place].source != begin->source) place++;
        if (position < length && place == m->count) break; /* the model ends within the segment */
        bool expected = position < length && place >= course->begin && place < course->end && is_own(m, place, course->rank);
        uint64_t n;
        same(leat__walk_wants(course, begin->source, sample->lane, begin->segment, pass, &window, sample->stored, &n), expected);
        if (expected) same(n, sample->n);
        place++;
    }
    leat__pass_release(pass);
}

START_TEST(what_is_stored_is_wanted_when_it_is_a_place_of_the_ranks)
{
    for (uint64_t n = 0; n < cases(150); n++) {
        begin_case(n);
        setting s;
        model m;
        leat__course course;
        random_setting(&s, (uint32_t)(1 + draw(17)));
        if (s.options.count > 1 || s.options.epoch_samples) s.options.limit = 1 + draw(300);
        fill_model(&s, s.options.first_epoch + s.options.epochs + 1, &m);
        if (begin_course(&s, &course, &m)) {
            for (uint64_t place = 0; place < m.count; place++)
                if (m.places[place].position == 0) ask_segment(&s, &m, &course, place);
            leat__course_clear(&course);
        }
        free(m.places);
        setting_clear(&s);
    }
}
END_TEST
/* ---- a billion samples ---- */

/* 2,000 of one rank's places, each by the walk of its lane, which finds nothing before it. */
static void follow_walks(const leat__course *course, leat__order *order, leat__walk *walks)
{
    uint64_t place = leat__course_next(course, course->begin);
    for (int k = 0; k < 2000; k++, place = leat__course_next(course, place + 1)) {
        leat__course_spot spot = leat__course_at(course, place);
        leat__pass *pass = take_pass(order, spot.segment);
        leat__spot in_lane = leat__pass_spot(pass, spot.position);
        leat__stored stored = look_up(pass, in_lane);
        leat__wanted wanted;
        same(leat__walk_find(&walks[in_lane.lane], place, &wanted), LEAT__WALK_NONE);
        same(leat__walk_find(&walks[in_lane.lane], place + 1, &wanted), LEAT__WALK_WANTED);
        same(wanted.place, place);
        same(wanted.stored.object, stored.object);
        same(wanted.stored.index, stored.index);
        leat__walk_on(&walks[in_lane.lane]);
        leat__pass_release(pass);
    }
}

START_TEST(walks_from_the_middle_of_a_billion_samples)
{
    uint64_t *counts = room(BIG_SHARDS, sizeof *counts);
    leat__order *order = big_order(counts, _i);
    const leat__order *orders[] = {order};
    for (int i = 0; i < 6; i++) {
        leat__course_options options = {.orders = orders, .lanes = (uint32_t[]){BIG_LANES}, .weights = (double[]){1}, .count = 1,
                                        .batch = 256, .first_epoch = draw(1000000), .first_step = draw(3800000), .world = 7,
                                        .rank = (uint32_t)draw(7)};
        leat__course course;
        leat__walk walks[BIG_LANES];
        same(leat__course_init(&course, &options, NULL), LEAT_OK);
        for (uint32_t lane = 0; lane < BIG_LANES; lane++) holds(leat__walk_begin(&walks[lane], &course, 0, lane));
        follow_walks(&course, order, walks);
        for (uint32_t lane = 0; lane < BIG_LANES; lane++) leat__walk_end(&walks[lane]);
        leat__course_clear(&course);
    }
    leat__order_free(order);
    free(counts);
}
END_TEST
static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, walks_from_the_middle_of_a_billion_samples, 0, 2);
    tcase_add_test(tcase, a_course_is_what_counting_says);
    tcase_add_test(tcase, a_course_begins_at_each_step);
    tcase_add_test(tcase, a_course_that_begins_at_its_end_is_over);
    tcase_add_loop_test(tcase, courses_are_refused, 0, sizeof refused_courses / sizeof *refused_courses);
    tcase_add_test(tcase, the_last_places_there_can_be);
    tcase_add_test(tcase, global_batches_are_the_same_for_every_world);
    tcase_add_loop_test(tcase, walks_of_all_lanes_give_the_ranks_places, 0, 4);
    tcase_add_test(tcase, what_is_stored_is_wanted_when_it_is_a_place_of_the_ranks);
}

int main(void)
{
    Suite *suite = suite_create("course");
    TCase *tcase = tcase_create("arithmetic");
    tcase_set_timeout(tcase, 600);
    add_tests(tcase);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
