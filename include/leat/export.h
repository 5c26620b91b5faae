/* export.h - marks what the shared library exports; everything else is hidden (-fvisibility=hidden). */
#ifndef LEAT_EXPORT_H
#define LEAT_EXPORT_H

#if defined(__GNUC__)
#define LEAT_API __attribute__((visibility("default")))
#else
#define LEAT_API
#endif

#endif
