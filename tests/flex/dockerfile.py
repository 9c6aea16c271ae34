"""Reads a Dockerfile, and carries out its steps in folders of this machine instead of in containers."""

import fnmatch
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """A stage: what it starts from, and its instructions as (word, rest) without comments and broken lines."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)


def read(path: Path) -> list[Stage]:
    """The stages of a Dockerfile, in their order."""
    text = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
    stages: list[Stage] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(name, base))
        else:
            stages[-1].steps.append((word, rest))
    return stages


def ignored(path: str, patterns: list[str]) -> bool:
    """Whether a .dockerignore leaves out the file `path`: the last pattern that fits it or its folder."""
    found = False
    parts = path.split("/")
    prefixes = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    for pattern in patterns:
        wanted = pattern.removeprefix("!")
        deep = wanted.startswith("**/")
        names = parts if deep else [one for one in prefixes if one.count("/") == wanted.count("/")]
        if any(fnmatch.fnmatchcase(name, wanted.removeprefix("**/")) for name in names):
            found = not pattern.startswith("!")
    return found


def context(root: Path, names: list[str], target: Path) -> None:
    """Lay the build context into `target`: of the files `names` under `root` those that .dockerignore lets through.
    Links stay links."""
    lines = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    for name in names:
        if not ignored(name, patterns):
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, place, follow_symlinks=False)


class Builder:
    """Builds stages: each has a folder that stands for its root, and an environment made by `environment(folder)`,
    which gives the PATH that its steps run with."""

    def __init__(self, stages, build_context, work, environment):
        self.stages = {stage.name: stage for stage in stages}
        self.roots: dict[str, Path] = {}
        self.ran: list[tuple[str, str, str]] = []
        self.left_out: list[tuple[str, str]] = []
        self.variables: dict[str, dict[str, str]] = {}
        self._context, self._work, self._environment = build_context, work, environment

    def build(self, name: str) -> Path:
        """Carry out all steps of a stage, and those of the stages that it needs; returns its root."""
        if name in self.roots:
            return self.roots[name]
        stage = self.stages[name]
        if stage.base in self.stages:
            root, variables = self.build(stage.base), dict(self.variables[stage.base])
        else:
            root, variables = self._work / name, {"PATH": self._environment(self._work / f"{name}-env")}
            root.mkdir()
        self.roots[name], self.variables[name] = root, variables
        folder = root
        for word, rest in stage.steps:
            if word == "WORKDIR":
                folder = root / rest.lstrip("/")
                folder.mkdir(parents=True, exist_ok=True)
            elif word == "ENV":
                variables.update(part.split("=", 1) for part in rest.split())
            elif word == "COPY":
                self._copy(rest, root, folder)
            elif word == "RUN":
                self._run(name, rest, root, folder)
        return root

    def _copy(self, rest: str, root: Path, folder: Path) -> None:
        *sources, target = [part for part in rest.split() if not part.startswith("--")]
        place = root / target.lstrip("/") if target.startswith("/") else folder / target
        origin = self._context
        if named := re.search(r"--from=(\S+)", rest):
            if not self.stages[named[1]].steps:
                return  # a program out of somebody else's image, which is not to be had here
            origin = self.build(named[1])
        for source in sources:
            path = origin / source.lstrip("/")
            if path.is_dir():
                shutil.copytree(path, place, symlinks=True, dirs_exist_ok=True)
            else:
                into = place / path.name if target.endswith("/") or place.is_dir() else place
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, into)

    def _run(self, name: str, command: str, root: Path, folder: Path) -> None:
        """The very words of the step; only absolute paths are led into the folder that stands for the root.

        What would change this machine, or needs Maven Central, is only noted.
        """
        if command.startswith("apt-get ") or "JavaJarServer" in command:
            self.left_out.append((name, command))
            return
        tops = {"/".join(["", path.name]) for one in self.roots.values() for path in one.iterdir()} | {"/wheels"}
        led = re.sub(rf"(?<![\w./-])({'|'.join(map(re.escape, sorted(tops)))})(?=[/\s]|$)", rf"{root}\1", command)
        ours = ("PYTHON", "VIRTUAL", "TALONONE")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        variables = {**kept, **self.variables[name]}
        done = subprocess.run(
            ["/bin/sh", "-c", led], check=False, cwd=folder, env=variables, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"RUN {command}\n{done.stdout}\n{done.stderr}")
        self.ran.append((name, command, done.stdout + done.stderr))
