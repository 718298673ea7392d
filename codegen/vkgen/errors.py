"""What can be wrong with the inputs."""


class InputError(Exception):
    """A message for people: names the file, the place and the remedy."""
