#!/usr/bin/python3
"""Runs a command on a terminal that is none: looks at what stands on its screen, and writes it as text and PNG.

    tests/record_view.py --size 80x24 --at 1,3,end --out /tmp/view -- leat fetch @list --to DIR

writes /tmp/view-1s.txt, -1s.png, ... of the screen after so many seconds and at the end. Test programs use `Screen` and `play`.
Debian: python3-pyte, python3-pil, fonts-dejavu-core."""
import argparse
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

import pyte
from PIL import Image, ImageDraw, ImageFont

FONT = '/usr/share/fonts/truetype/dejavu/DejaVuSansMono%s.ttf'
COLOURS = {'default': (208, 208, 208), 'red': (240, 100, 90), 'green': (90, 200, 110), 'brown': (225, 185, 80)}
BACKGROUND = (24, 26, 31)
FAINT = (125, 130, 140)


class Screen(pyte.HistoryScreen):
    """A screen that remembers what was ever faint: pyte knows no SGR 2."""

    def __init__(self, columns, lines):
        self.faint = set()
        self.faint_now = False
        super().__init__(columns, lines, history=2000)

    def select_graphic_rendition(self, *codes, **more):
        for code in codes or (0,):
            if code in (0, 1, 2):
                self.faint_now = code == 2
        super().select_graphic_rendition(*[code for code in codes if code != 2], **more)

    def draw(self, data):
        for char in data:
            spot = self.cursor.y, min(self.cursor.x, self.columns - 1)
            super().draw(char)
            (self.faint.add if self.faint_now else self.faint.discard)(spot)

    def index(self):
        if self.cursor.y == self.lines - 1:
            self.faint = {(y - 1, x) for y, x in self.faint if y > 0}
        super().index()

    def text(self):
        return '\n'.join(line.rstrip() for line in self.display).rstrip('\n') + '\n'

    def history_text(self):
        """Lines that have scrolled off, then the screen's."""
        gone = [''.join(line[x].data for x in range(self.columns)).rstrip() for line in self.history.top]
        return '\n'.join(gone + [self.text()])


def set_size(fd, columns, lines):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', lines, columns, 0, 0))


def play(command, columns, lines, look=None, every=0.05, env=None, stdout=None, timeout=120, unicode=True):
    """Runs command with stderr (and stdout, unless another is given) on a terminal. look(screen, seconds, process, resize) is
    called now and then and at the end (with process None). Returns the exit code, the screen and all bytes that came."""
    master, slave = pty.openpty()
    set_size(master, columns, lines)
    screen = Screen(columns, lines)
    stream = pyte.ByteStream(screen)
    world = {**os.environ, 'TERM': 'xterm-256color', 'LC_ALL': 'C.UTF-8' if unicode else 'C', **(env or {})}
    process = subprocess.Popen(command, stdin=slave, stdout=slave if stdout is None else stdout, stderr=slave, env=world,
                               start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(slave)
    begin, looked, data = time.monotonic(), 0, b''

    def resize(new_columns, new_lines):
        set_size(master, new_columns, new_lines)
        screen.resize(new_lines, new_columns)

    while time.monotonic() - begin < timeout:
        if select.select([master], [], [], every)[0]:
            try:
                chunk = os.read(master, 1 << 16)
            except OSError:
                chunk = b''
            if not chunk:
                break
            data += chunk
            stream.feed(chunk)
        if look and time.monotonic() - looked >= every:
            looked = time.monotonic()
            look(screen, looked - begin, process, resize)
    os.close(master)
    try:
        code = process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    if look:
        look(screen, time.monotonic() - begin, None, resize)
    return code, screen, data


def paint(screen, path, size=15):
    """The screen as a picture."""
    plain, bold = (ImageFont.truetype(FONT % kind, size) for kind in ('', '-Bold'))
    width, height = plain.getbbox('M' * 100)[2] / 100, size + 4
    image = Image.new('RGB', (int(width * screen.columns) + 16, height * screen.lines + 16), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for y in range(screen.lines):
        for x in range(screen.columns):
            char = screen.buffer[y][x]
            if char.data in ('', ' '):
                continue
            colour = FAINT if (y, x) in screen.faint else COLOURS.get(char.fg, COLOURS['default'])
            draw.text((8 + x * width, 8 + y * height), char.data, font=bold if char.bold else plain, fill=colour)
    image.save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--size', default='120x40')
    parser.add_argument('--at', default='end', help='seconds, or end, with commas between')
    parser.add_argument('--resize', default='', help='SECONDS:COLUMNSxLINES')
    parser.add_argument('--out', required=True)
    parser.add_argument('--ascii', action='store_true', help='a terminal without UTF-8')
    parser.add_argument('command', nargs='+')
    arguments = parser.parse_args()
    columns, lines = map(int, arguments.size.split('x'))
    wanted = arguments.at.split(',')
    moments = sorted(float(word) for word in wanted if word != 'end')
    when, _, new_size = arguments.resize.partition(':')

    def keep(screen, name):
        with open(f'{arguments.out}-{name}.txt', 'w', encoding='utf-8') as file:
            file.write(screen.text())
        paint(screen, f'{arguments.out}-{name}.png')

    def look(screen, seconds, process, resize):
        nonlocal when
        while moments and seconds >= moments[0]:
            keep(screen, f'{moments.pop(0):g}s')
        if process and when and seconds >= float(when):
            resize(*map(int, new_size.split('x')))
            when = ''

    code, screen, _ = play(arguments.command, columns, lines, look, unicode=not arguments.ascii, timeout=3600)
    if 'end' in wanted:
        keep(screen, 'end')
    return code


if __name__ == '__main__':
    sys.exit(main())
