"""Pictures that compositors hand out: PNG files and binary PPM files, held against each other pixel by pixel."""
import collections
import re
import struct
import zlib

TILE = 16  # pixels


def _unfilter(line, before, filter_type, step):
    for i in range(len(line)):
        left = line[i - step] if i >= step else 0
        up = before[i]
        corner = before[i - step] if i >= step else 0
        if filter_type == 1:
            guess = left
        elif filter_type == 2:
            guess = up
        elif filter_type == 3:
            guess = (left + up) // 2
        else:
            near = left + up - corner
            guess = min((left, up, corner), key=lambda value: abs(near - value))
        line[i] = line[i] + guess & 0xff


def _read_png(data):
    place, header, packed = 8, None, b''
    while place < len(data):
        size, kind = struct.unpack('>I4s', data[place:place + 8])
        body = data[place + 8:place + 8 + size]
        if kind == b'IHDR':
            header = struct.unpack('>IIBBBBB', body)
        elif kind == b'IDAT':
            packed += body
        place += 12 + size
    width, height, depth, color = header[:4]
    step = {2: 3, 6: 4}[color]
    if depth != 8 or header[6] != 0:
        raise ValueError('this kind of PNG is not known here')
    raw = zlib.decompress(packed)
    rows, before = [], bytearray(width * step)
    for y in range(height):
        start = y * (width * step + 1)
        line = bytearray(raw[start + 1:start + 1 + width * step])
        if raw[start]:
            _unfilter(line, before, raw[start], step)
        before = line
        rows.append(b''.join(bytes(line[i:i + 3]) for i in range(0, len(line), 4)) if step == 4 else bytes(line))
    return width, height, b''.join(rows)


def _read_ppm(data):
    width, height, pixels = re.fullmatch(rb'P6\s+(\d+)\s+(\d+)\s+255\s(.*)', data, re.DOTALL).groups()
    return int(width), int(height), pixels


def read(path):
    """(width, height, rows of red, green and blue) of a picture."""
    with open(path, 'rb') as file:
        data = file.read()
    return _read_png(data) if data.startswith(b'\x89PNG') else _read_ppm(data)


def colors(path):
    """Those that occur, (red, green, blue) each."""
    pixels = read(path)[2]
    return set(zip(pixels[::3], pixels[1::3], pixels[2::3]))


def is_same(one, other):
    """True for equal files, which is enough: each encoder writes equal pixels as equal bytes."""
    with open(one, 'rb') as first, open(other, 'rb') as second:
        return first.read() == second.read()


def tiles(path):
    """{(column, row): pixels} of squares of the picture."""
    width, height, pixels = read(path)
    rows = [pixels[i:i + width * 3] for i in range(0, len(pixels), width * 3)]
    return {(x, y): b''.join(row[x * 3 * TILE:(x + 1) * 3 * TILE] for row in rows[y * TILE:(y + 1) * TILE])
            for x in range((width + TILE - 1) // TILE) for y in range((height + TILE - 1) // TILE)}


def window(path, background):
    """What differs from the background: its (left, top, right, bottom), and {color: pixels} within. None: nothing does."""
    width, _, pixels = read(path)
    colors = list(zip(pixels[::3], pixels[1::3], pixels[2::3]))
    found = [i for i, color in enumerate(colors) if color != background]
    if not found:
        return None
    left, right = min(i % width for i in found), max(i % width for i in found)
    top, bottom = found[0] // width, found[-1] // width
    inside = collections.Counter()
    for y in range(top, bottom + 1):
        inside.update(colors[y * width + left:y * width + right + 1])
    return (left, top, right, bottom), inside


def differences(one, other):
    """What a reader wants to know of two pictures that differ."""
    width, height, first = read(one)
    other_width, other_height, second = read(other)
    if (width, height) != (other_width, other_height):
        return f'{width} x {height}, not {other_width} x {other_height}'
    wrong = [i // 3 for i in range(0, len(first), 3) if first[i:i + 3] != second[i:i + 3]]
    if not wrong:
        return 'no pixel differs'
    columns, rows = [i % width for i in wrong], [i // width for i in wrong]
    return (f'{len(wrong)} pixels differ, within ({min(columns)}, {min(rows)}) and ({max(columns)}, {max(rows)}); '
            f'see {one} and {other}')
