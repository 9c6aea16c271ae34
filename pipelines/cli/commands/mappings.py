"""`beam-talonone mappings`: presets, and the tools to write your own mapping."""

from pathlib import Path

from beam_talonone.pipelines.cli.parameters.groups import with_groups
from beam_talonone.pipelines.cli.parameters.mappings import MappingsParameters
from beam_talonone.talonone.errors import ConfigurationError

INVALID = 3


@with_groups
def mappings(*, options: MappingsParameters) -> int:
    """List the presets, print one, draft a mapping from a sample, or try one on a sample. Nothing is sent."""
    action, words = options.action, options.words or []
    expected = {None: (), "show": ("NAME",), "draft": ("SAMPLE",), "try": ("FILE", "SAMPLE")}[action]
    if len(words) != len(expected):
        raise ConfigurationError(f"usage: beam-talonone mappings {' '.join([action or '', *expected])}".rstrip())
    if action is None:
        return _list()
    if action == "show":
        return _show(words[0])
    from beam_talonone.pipelines.mappings.sample import documents, guessed_sample

    if action == "draft":
        from beam_talonone.pipelines.mappings.draft import draft

        print(draft(*guessed_sample(Path(words[0]))), end="")
        return 0
    from beam_talonone.pipelines.cli.settings import mapping_of
    from beam_talonone.pipelines.mappings.trial import try_mapping

    mapping = mapping_of(words[0])
    if mapping is None:
        raise ConfigurationError("mappings try needs a mapping")
    lines, valid = try_mapping(mapping, documents(Path(words[1]), mapping.table), options.show)
    print(*lines, sep="\n")
    return 0 if valid else INVALID


def _list() -> int:
    from beam_talonone.transforms.mapping.mapping import FileMapping
    from beam_talonone.transforms.mapping.resolve import preset_text, presets

    names = presets()
    for name in names:
        print(f"{name:<{max(map(len, names))}}  {FileMapping(name, preset_text(name)).description}")
    return 0


def _show(name: str) -> int:
    from beam_talonone.transforms.mapping.errors import MappingFileError
    from beam_talonone.transforms.mapping.resolve import preset_text

    try:
        print(preset_text(name), end="")
    except MappingFileError as error:
        raise ConfigurationError(f"mappings show: {error}") from None
    return 0
