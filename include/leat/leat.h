/* leat.h - the whole public API of libleat: an async data-streaming pipeline for training data. */
#ifndef LEAT_LEAT_H
#define LEAT_LEAT_H

#include <leat/batch.h>
#include <leat/cache.h>
#include <leat/config.h>
#include <leat/error.h>
#include <leat/fetch.h>
#include <leat/index.h>
#include <leat/loader.h>
#include <leat/measure.h>
#include <leat/pack.h>
#include <leat/reader.h>
#include <leat/stats.h>
#include <leat/version.h>

#endif
