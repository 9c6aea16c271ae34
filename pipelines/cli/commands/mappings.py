"""`beam-talonone mappings`: presets, and the tools to write your own mapping."""

from beam_talonone.pipelines.cli.parameters.groups import with_groups
from beam_talonone.pipelines.cli.parameters.mappings import PresetParameters, SampleParameters, TrialParameters
from beam_talonone.pipelines.terminal.exit_codes import DEAD_LETTERS, FINISHED
from beam_talonone.talonone.errors import ConfigurationError


def mappings() -> int:
    """List the presets, print one, draft a mapping from a sample, or try one on a sample. Nothing is sent."""
    return list_presets()


def list_presets() -> int:
    """List the presets, which --mapping takes by name. This is also what `mappings` does alone."""
    from beam_talonone.transforms.mapping.mapping import FileMapping
    from beam_talonone.transforms.mapping.resolve import preset_text, presets

    names = presets()
    for name in names:
        print(f"{name:<{max(map(len, names))}}  {FileMapping(name, preset_text(name)).description}")
    return 0


@with_groups
def show(*, preset: PresetParameters) -> int:
    """Print a preset, to read it or to change a copy."""
    from beam_talonone.transforms.mapping.errors import MappingFileError
    from beam_talonone.transforms.mapping.resolve import preset_text

    try:
        print(preset_text(preset.name), end="")
    except MappingFileError as error:
        raise ConfigurationError(f"mappings show: {error}") from None
    return 0


@with_groups
def draft(*, source: SampleParameters) -> int:
    """Propose a mapping for the documents of a sample, with a comment where you have to decide."""
    from beam_talonone.pipelines.mappings.draft import draft as draft_of
    from beam_talonone.pipelines.mappings.recognize import recognize
    from beam_talonone.pipelines.mappings.sample import guessed_sample, notices_of_file
    from beam_talonone.pipelines.terminal.logs import notice

    documents, table = guessed_sample(source.sample)
    for line in (*notices_of_file(source.sample, documents), *recognize(documents).notices):
        notice(f"{source.sample}: {line}", severity="WARNING")
    print(draft_of(documents, table), end="")
    return 0


@with_groups
def try_mapping(*, trial: TrialParameters) -> int:
    """Show what a mapping makes of a sample: records, requests and problems. Exit code 3: some are invalid."""
    from beam_talonone.pipelines.cli.settings import mapping_of
    from beam_talonone.pipelines.mappings.sample import documents
    from beam_talonone.pipelines.mappings.trial import try_mapping as tried
    from beam_talonone.talonone.telemetry.logs import printable_line

    mapping = mapping_of(trial.mapping)
    if mapping is None:
        raise ConfigurationError("mappings try needs a mapping")
    lines, valid = tried(mapping, documents(trial.sample, mapping.table), trial.show)
    print(*map(printable_line, lines), sep="\n")
    return FINISHED if valid else DEAD_LETTERS


ACTIONS = {"list": list_presets, "show": show, "draft": draft, "try": try_mapping}
