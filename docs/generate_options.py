"""Write docs/reference/options.md and the metadata of the Flex Templates from the declared options, and the schemas
of BigQuery tables from the declared columns: `make docs`. A test fails if a file is out of date."""

import json
from pathlib import Path

from beam_talonone.pipelines.cli.command_table import COMMANDS
from beam_talonone.pipelines.cli.declared import MISSING, Declared, all_options
from beam_talonone.pipelines.distributed.template_parameters import TEMPLATES, Template
from beam_talonone.talonone.requests.output_columns import DEAD_LETTER_COLUMNS, RESULT_COLUMNS, table_schema

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "options.md"

TABLES = {"dead_letters": DEAD_LETTER_COLUMNS, "results": RESULT_COLUMNS}
"""The files in schemas/bigquery, without their ending."""

HEAD = """\
# Options

This page lists the options of all commands. `make docs` generates it from `pipelines/cli/parameters/`. To change the
page, change the declarations.

* `beam-talonone COMMAND --help` shows the options of one command, with examples. The actions of `mappings` have a
  help of their own: `beam-talonone mappings draft --help`.
* `beam-talonone --install-completion` sets up the completion in your shell. `--show-completion` prints its code.
* With `NO_COLOR` set, progress and reports have no colors.
* An option without a default is off, or has no value.
* An environment variable applies if you leave out its option.
* Options of Beam follow `--`. [runners.md](../runners.md) explains them.
* The [Flex Templates](../deploy-dataflow.md) take some of these options, under the same names with underscores.

The API key is never an option. Set `TALONONE_API_KEY`, or name a secret with `--api-key-secret`.
"""


def options_page() -> str:
    """The whole page: a section for each heading, a row for each option."""
    sections: dict[str, list[str]] = {"Program": []}
    for option, commands in all_options():
        sections.setdefault(option.section, []).append(_row(option, commands))
    return HEAD + "".join(
        f"\n## {title}\n\n| option | default | commands | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
        for title, rows in sections.items()
    )


def _row(option: Declared, commands: tuple[str, ...]) -> str:
    variable = getattr(option.info, "envvar", None)
    cells = (
        f"`{option.spelling}`",
        "required" if option.default is MISSING else _code(_default(option)),
        "all" if len(commands) == len(COMMANDS) else ", ".join(commands),
        f"{option.info.help} Environment variable: `{variable}`." if variable else str(option.info.help),
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(option: Declared) -> str:
    return "--" + option.name if option.default is True else option.shown_default


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def template_file(template: Template) -> Path:
    """Where the metadata of a template is."""
    return ROOT / "templates" / f"{template.command}.json"


def template_text(template: Template) -> str:
    """The metadata of a template as JSON."""
    return json.dumps(template.metadata(), indent=2) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(options_page(), encoding="utf-8")
    for each in TEMPLATES.values():
        template_file(each).write_text(template_text(each), encoding="utf-8")
    for name, columns in TABLES.items():
        schema = json.dumps(table_schema(columns), indent=2) + "\n"
        (ROOT / "schemas" / "bigquery" / f"{name}.json").write_text(schema, encoding="utf-8")
