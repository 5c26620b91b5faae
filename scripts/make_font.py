#!/usr/bin/env python3
"""Writes cli/font_table.h out of the X11 font misc-fixed 6x13 (public domain), as Debian's xfonts-base has it.

usage: scripts/make_font.py [6x13-ISO8859-1.pcf.gz] > cli/font_table.h
The PCF format: https://fontforge.org/docs/techref/pcf-format.html. ASCII 32..126, a byte a pixel row, leftmost pixel in bit 7."""
import gzip
import struct
import sys

WIDTH, HEIGHT, FIRST, LAST = 6, 13, 32, 126
ACCELERATORS, METRICS, BITMAPS, ENCODINGS = 1 << 1, 1 << 2, 1 << 3, 1 << 5
PATH = '/usr/share/fonts/X11/misc/6x13-ISO8859-1.pcf.gz'


def tables(data):
    """The tables of the file: {type: (format, bytes after the format word, byte order)}."""
    magic, count = struct.unpack_from('<4sI', data)
    assert magic == b'\1fcp', 'not a PCF font'
    found = {}
    for i in range(count):
        kind, form, _, offset = struct.unpack_from('<IIII', data, 8 + 16 * i)
        found[kind] = (form, data[offset + 4:], '>' if form & 4 else '<')
    return found


def metrics(table):
    """(left, right, width, ascent, descent) of each glyph."""
    form, data, order = table
    if form & 0x100:
        count = struct.unpack_from(order + 'H', data)[0]
        return [tuple(b - 128 for b in data[2 + 5 * i:7 + 5 * i]) for i in range(count)]
    count = struct.unpack_from(order + 'I', data)[0]
    return [struct.unpack_from(order + '5h', data, 4 + 12 * i) for i in range(count)]


def glyph_numbers(table):
    """{code: glyph number} for one-byte codes."""
    _, data, order = table
    low, high, low_row, high_row, _ = struct.unpack_from(order + '5h', data)
    assert low_row == high_row == 0
    return {code: struct.unpack_from(order + 'H', data, 10 + 2 * (code - low))[0] for code in range(low, high + 1)}


def rows(table, number, shape, font_ascent):
    """The glyph as HEIGHT bytes."""
    form, data, order = table
    assert form & 8, 'expected the most significant bit first'
    pad = 1 << (form & 3)
    unit = 1 << (form >> 4 & 3)
    assert unit == 1 or order == '>', 'scan units in the other byte order'
    left, right, _, ascent, descent = shape
    count = struct.unpack_from(order + 'I', data)[0]
    start = struct.unpack_from(order + 'I', data, 4 + 4 * number)[0] + 4 + 4 * count + 16
    stride = -(-(right - left) // (8 * pad)) * pad
    out = [0] * HEIGHT
    for y in range(ascent + descent):
        bits = data[start + y * stride] >> left if left >= 0 else data[start + y * stride] << -left & 255
        out[font_ascent - ascent + y] = bits & (255 << 8 - WIDTH & 255)
    return out


def main():
    with gzip.open(sys.argv[1] if len(sys.argv) > 1 else PATH) as file:
        found = tables(file.read())
    shapes, numbers = metrics(found[METRICS]), glyph_numbers(found[ENCODINGS])
    ascent = struct.unpack_from(found[ACCELERATORS][2] + 'I', found[ACCELERATORS][1], 8)[0]
    print('/* font_table.h - the X11 font misc-fixed 6x13 (public domain); made by scripts/make_font.py, do not edit. */')
    print(f'static const unsigned char font_table[{LAST - FIRST + 1}][{HEIGHT}] = {{')
    for code in range(FIRST, LAST + 1):
        glyph = rows(found[BITMAPS], numbers[code], shapes[numbers[code]], ascent)
        name = {'\\': 'backslash'}.get(chr(code), chr(code))
        print('    {' + ', '.join(f'0x{b:02x}' for b in glyph) + f'}}, /* {name} */')
    print('};')


main()
