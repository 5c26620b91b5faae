/* exif.h - the orientation of a picture, out of its EXIF block.
 *
 * Sources: CIPA DC-008 (EXIF 2.32) section 4.6.4, tag 0x0112; TIFF 6.0 section 2. Threads: any; nothing is shared. */
#ifndef LEAT__EXIF_H
#define LEAT__EXIF_H

#include <stddef.h>
#include <stdint.h>

/* Orientation 1..8 of a TIFF block, with or without "Exif\0\0" before it (the contents of JPEG's APP1 and PNG's eXIf);
 * 1 if it has none or the block is nonsense. Reads nothing outside of data[0 .. size). */
int leat__exif_orientation(const uint8_t *data, size_t size);

/* The same for a whole JPEG: finds the first APP1 segment that holds EXIF, before the first scan. */
int leat__exif_orientation_of_jpeg(const uint8_t *data, size_t size);

#endif
