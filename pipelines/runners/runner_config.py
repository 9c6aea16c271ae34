"""A runner's settings from a file: Beam's own options by name, as after `--`, each explained where it stands."""

from pathlib import Path
from typing import Any

from beam_talonone.pipelines.runners.runner import beam_option_names
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.telemetry.error_text import error_text

MOST = 256 << 10
"""Bytes of such a file."""

SHAPE = "it has `runner: NAME` and `options:` with Beam's own options by name"


def runner_args(path: Path | None, typed: list[str] | None) -> tuple[str, ...]:
    """Beam's arguments: those of the file, and behind them what was typed, which wins. Raises ConfigurationError."""
    return (*(() if path is None else read_runner_config(path)), *(typed or ()))


def read_runner_config(path: Path) -> tuple[str, ...]:
    """The settings of a file, as a user types them after `--`. Raises ConfigurationError that names the file."""
    import yaml

    try:
        with path.open("rb") as file:
            data = file.read(MOST + 1)
        settings = yaml.safe_load(data.decode())
    except OSError as error:
        raise ConfigurationError(f"--runner-config {path}: {error.strerror}") from None
    except RecursionError:
        raise ConfigurationError(f"--runner-config {path} is nested too deep") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or a number that is none
        raise ConfigurationError(f"--runner-config {path} is not YAML: {error_text(error)}") from None
    if len(data) > MOST:
        raise ConfigurationError(f"--runner-config {path} is larger than {MOST >> 10} KiB")
    if not isinstance(settings, dict) or not isinstance(settings.get("runner"), str):
        raise ConfigurationError(f"--runner-config {path}: {SHAPE}")
    options = settings.get("options") or {}
    odd = sorted(str(name) for name in settings if name not in ("runner", "options"))
    _refuse_ours(path, [*odd, *(map(str, options) if isinstance(options, dict) else ())])
    if odd or not isinstance(options, dict):
        raise ConfigurationError(f"--runner-config {path}: {SHAPE}" + (f", and no {odd[0]!r}" if odd else ""))
    words = [word for name, value in options.items() for word in _words(path, str(name), value)]
    return (f"--runner={settings['runner']}", *words)


def _refuse_ours(path: Path, names: list[str]) -> None:
    """Raise ConfigurationError for a name that is an option of ours, and none of Beam's."""
    from beam_talonone.pipelines.cli.declared import all_options

    ours = {option.name for option, _ in all_options()}
    for name in names:
        word = name.replace("-", "_")
        if word in ours and f"--{word}" not in beam_option_names():
            raise ConfigurationError(
                f"--runner-config {path}: --{word.replace('_', '-')} is an option of beam-talonone, not of Beam:"
                " give it on the command line"
            )


def _words(path: Path, name: str, value: Any) -> list[str]:
    """An option as words: a list is given once for each, true is the option alone, and false or nothing none."""
    if isinstance(value, bool) or value is None:
        return [f"--{name}"] if value else []
    values = value if isinstance(value, list) else [value]
    if all(isinstance(item, str | float) or (isinstance(item, int) and abs(item) < 1 << 64) for item in values):
        return [f"--{name}={item}" for item in values]
    raise ConfigurationError(f"--runner-config {path}: {name} is a text, a number, true, false or a list of texts")
