"""The Flex Templates: which declared options each takes, and the metadata that Dataflow shows and checks."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from beam_talonone.pipelines.cli.declared import Declared, options_of
from beam_talonone.pipelines.cli.parameters.groups import TemplateParameter


@dataclass(frozen=True, kw_only=True)
class Template:
    """What a template takes: the options of `command` that have a TemplateParameter, and those of Beam in `beam`.

    `always` are words that the command always gets. `defaults` are options that Beam gets if the launcher does not
    set them: {concurrency} is that of the job.
    """

    command: str
    title: str
    description: str
    streaming: bool
    beam: dict[str, TemplateParameter]
    always: tuple[str, ...] = ()
    defaults: tuple[tuple[str, str], ...] = (("--runner", "DataflowRunner"),)

    @cached_property
    def options(self) -> tuple[tuple[Declared, TemplateParameter], ...]:
        """The options of the command that are parameters of the template, with what its metadata says of them."""
        return tuple((option, option.template) for option in options_of(self.command) if option.template)

    @cached_property
    def values(self) -> tuple[str, ...]:
        """The parameters with a value, named as the options are, with underscores."""
        return tuple(option.name for option, _ in self.options if not option.is_flag)

    @cached_property
    def flags(self) -> tuple[str, ...]:
        """The parameters that are true or false."""
        return tuple(option.name for option, _ in self.options if option.is_flag)

    @cached_property
    def lists(self) -> tuple[str, ...]:
        """The parameters whose value is several, with commas between them: a launcher gives each parameter once."""
        return tuple(option.name for option, parameter in self.options if parameter.several)

    @property
    def parameters(self) -> tuple[str, ...]:
        """All parameters, as in the template's metadata."""
        return (*self.values, *self.flags, *self.beam)

    def metadata(self) -> dict[str, Any]:
        """Dataflow's TemplateMetadata, with its names of fields."""
        return {
            "name": self.title,
            "description": self.description,
            "streaming": self.streaming,
            "supportsAtLeastOnce": self.streaming,
            "supportsExactlyOnce": self.streaming,
            "defaultStreamingMode": "EXACTLY_ONCE" if self.streaming else "UNSPECIFIED",
            "parameters": [
                *(_of_option(option, parameter, self.streaming) for option, parameter in self.options),
                *(_of_beam(name, parameter) for name, parameter in self.beam.items()),
            ],
        }


def _of_option(option: Declared, parameter: TemplateParameter, streaming: bool) -> dict[str, Any]:
    help_text = (streaming and parameter.stream_help) or parameter.help
    if option.shown_default:
        help_text += f" Default: {option.shown_default}."
    if option.is_flag:
        return _entry(option.name, parameter, help_text, "(true|false)", "BOOLEAN")
    if option.choices:
        choices = [{"value": choice, "label": choice} for choice in option.choices]
        entry = _entry(option.name, parameter, help_text, f"({'|'.join(option.choices)})", "ENUM")
        return entry | {"enumOptions": choices}
    return _entry(option.name, parameter, help_text, parameter.pattern, parameter.kind)


def _of_beam(name: str, parameter: TemplateParameter) -> dict[str, Any]:
    return _entry(name, parameter, parameter.help, parameter.pattern, parameter.kind)


def _entry(name: str, parameter: TemplateParameter, text: str, pattern: str | None, kind: str) -> dict[str, Any]:
    optional = {} if parameter.required else {"isOptional": True}
    entry = {"name": name, "label": parameter.label, "helpText": text}
    return {**entry, **optional, "regexes": [f"^{pattern}$"], "paramType": kind}


IMAGE = TemplateParameter(
    label="Image of the workers",
    help="The image of this template itself, with its tag or digest: launcher and workers run the same code.",
    pattern=r"[a-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9._-]+)+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[a-f0-9]{64})",
    required=True,
)
DISK = TemplateParameter(
    label="Disk of a worker (GB)",
    help="A worker stores on this disk what it is to send: up to 1.5 times the size of its shards as JSON.",
    pattern=r"[1-9][0-9]{1,4}",
    kind="NUMBER",
)
WORKERS = TemplateParameter(
    label="Workers",
    help="The most workers, each of which sends at its share of the rate. Set it here, and not as a setting of the "
    "job: the rate is divided by it when the job is launched. Default: 1.",
    pattern=r"[1-9][0-9]{0,3}",
    kind="NUMBER",
)

TEMPLATES = {
    "backfill": Template(
        command="backfill",
        title="Talon.One backfill",
        description="Sends orders, returns, profile changes, events and calls from files to Talon.One: once, in "
        "order for each customer, at the rate, resumable. It triggers live campaigns. Starting the template is the "
        "consent to that.",
        streaming=False,
        beam={"sdk_container_image": IMAGE, "disk_size_gb": DISK},
        # who starts a template has decided; and a launcher writes down what the job is, which starts later
        always=("--yes", "--no-wait"),
    ),
    "stream": Template(
        command="stream",
        title="Talon.One stream",
        description="Applies messages from Pub/Sub to Talon.One within seconds: in order for each customer, at the "
        "rate, nothing lost.",
        streaming=True,
        beam={"sdk_container_image": IMAGE, "max_num_workers": WORKERS},
        # the rate is that of each process, and an outcome is waited for on a harness thread (docs/runners.md)
        defaults=(
            ("--runner", "DataflowRunner"),
            ("--max_num_workers", "1"),
            ("--experiments", "no_use_multiple_sdk_containers"),
            ("--number_of_worker_harness_threads", "{concurrency}"),
        ),
    ),
}
