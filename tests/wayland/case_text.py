"""Text from an input method: what the field behind the wrapper is told, and what the input method of the host is told of it, must
be as without the wrapper."""
from seat import Seat
from tap import Failure

LONG = 'x' * 3900  # about what fits into one message
DOING = ('preedit h\N{LATIN SMALL LETTER O WITH DIAERESIS}re', 'apply', 'preedit e', 'delete 3 4', f'commit {LONG}', 'apply',
         'commit \N{HIRAGANA LETTER NE}\N{HIRAGANA LETTER KO}', 'apply')


def write(world, wrapper):
    """What both say, until the last of DOING has arrived."""
    host = world.sway()
    # The keyboard that gives the field the focus.
    Seat(world, host)
    method = world.start(host, [world.program('wl-text'), 'method'], wrapper=[])
    method.expect('ready')
    field = world.start(host, [world.program('wl-text'), 'input'], wrapper=wrapper)
    said = []

    def read(client, last):
        lines = []
        while not lines or not lines[-1].startswith(last):
            lines.append(client.line())
            if lines[-1] is None:
                raise Failure(f'it ends without "{last}": {lines}\n{client.said()}')
        said.append(lines)
    read(field, 'enter')
    read(method, 'done')
    for line in DOING:
        method.process.stdin.write(line.encode() + b'\n')
        method.process.stdin.flush()
        if line == 'apply':
            read(field, 'done')
    field.finish()
    read(method, 'done')
    method.finish()
    world.end_case()
    return said


def text(world):
    native, through = write(world, []), write(world, world.wrapper)
    if native != through:
        raise Failure(f'natively:\n{native}\nthrough the wrapper:\n{through}')
    expected = ['activate', 'surrounding a field of \N{LATIN SMALL LETTER U WITH DIAERESIS}nicode 11 2', 'cause 1']
    if [line for line in expected if line not in native[1]] or f'commit {LONG}' not in native[3]:
        raise Failure(f'natively:\n{native}')
    return f'{sum(map(len, native))} lines'


def cases(world):
    del world
    yield 'text_of_an_input_method_is_the_same', text
