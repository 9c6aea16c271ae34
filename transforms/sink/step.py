"""The settings of one WriteToTalonOne, which its expansions share."""

from dataclasses import dataclass

from beam_talonone.schemas.decoding.settings import Reading
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.transforms.mapping.result import Mapping
from beam_talonone.transforms.runtime.engines import EngineConfig


@dataclass(frozen=True)
class Step:
    """How elements become records (`kind`, `mapping`, `build`, `reading`), and how they are sent (`config`,
    `options`).

    `label` and `job` name the step and the run in dead letters.
    """

    label: str
    job: str
    kind: str
    mapping: Mapping | None
    build: BuildOptions
    reading: Reading
    config: EngineConfig
    options: SendOptions
