"""What a case may say of itself, and how it is printed."""
import traceback


class Failure(Exception):
    """What is wrong, for the reader of the log."""


class Skip(Exception):
    """Why the case cannot be run here."""


class Tap:
    def __init__(self, first=1):
        self.number = first - 1
        self.failed = False

    def result(self, fine, name, note=''):
        """Of something that was run already."""
        self.number += 1
        self.failed = self.failed or not fine
        print(f"{'ok' if fine else 'not ok'} {self.number} - {name}{f' ({note})' if note else ''}", flush=True)

    def run(self, name, case, *args):
        """Runs the case, which returns a note or raises."""
        try:
            note = case(*args)
        except Skip as reason:
            self.number += 1
            print(f'ok {self.number} - {name} # SKIP {reason}', flush=True)
        except Exception as error:  # whatever it is, the other cases are run
            self.result(False, name)
            text = str(error) if isinstance(error, Failure) else traceback.format_exc()
            for line in text.splitlines():
                print(f'# {line}', flush=True)
        else:
            self.result(True, name, note)

    def end(self):
        print(f'1..{self.number}')
        return 1 if self.failed else 0
