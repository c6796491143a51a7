"""All pairs side by side, each with the recording application, and their results for cases."""

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import docker
import requests

from tests.lib.stack import Stack, run_stack
from tests.lib.template import Pair
from tests.pairs.project import OWN, PACKAGE, make_project, new_project

from .case import Case
from .observe import Observation, parse_log
from .wire import converse

APPLICATION = Path(__file__).parent / "app"
# A small body limit keeps cases near the limit cheap; some cases wait for the timeout.
SETTINGS = {"MAX_CONTENT_LENGTH": "65536", "REQUEST_TIMEOUT": "5"}
# Settings that turn optional features on.
FEATURES = {"COMPRESS": "on", "WEBSOCKETS": "on"}
# Starting more pairs in parallel is not faster on two cores.
AT_A_TIME = 2

Started = TypeVar("Started")


@dataclass
class Member:
    """One pair, with the records of its application and the log of its proxy."""

    stack: Stack
    name: str
    client: str = ""
    port: int = 0
    # The offset of the unread part of the record.
    place: int = 0
    log: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        network = self.stack.docker.networks.get(f"{self.stack.name}_default")
        self.client = network.attrs["IPAM"]["Config"][0]["Gateway"]
        self.port = self.stack.port
        self.stack.docker.close()
        threading.Thread(target=self.follow_log, daemon=True).start()

    def follow_log(self) -> None:
        """Store the proxy's log entries by request ID, until its container is removed."""
        client = docker.from_env(timeout=None)
        try:
            (found,) = client.containers.list(filters={"label": self.stack.labels("proxy")})
            rest = b""
            for part in found.logs(stream=True, follow=True):
                *lines, rest = (rest + part).split(b"\n")
                with self.arrived:
                    for entry in filter(None, map(parse_log, lines)):
                        self.log[entry["request_id"]] = entry
                    self.arrived.notify_all()
        except (docker.errors.DockerException, requests.RequestException, OSError):
            pass  # the stack was stopped
        finally:
            client.close()

    def run(self, case: Case) -> Observation:
        """Send a case; return its observation, without the log, which arrives later."""
        conversation = converse(self.port, case)
        return Observation(conversation, self.read_record(), client=self.client)

    def read_record(self) -> list[dict[str, str]]:
        """Return the application's records since the last call.

        A record is written before the response is sent, so there is no need to wait.
        """
        file = self.stack.folder / "seen" / "requests.jsonl"
        if not file.exists():
            return []
        with file.open("rb") as record:
            record.seek(self.place)
            text = record.read()
        whole = text[: text.rfind(b"\n") + 1]
        self.place += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def add_log(self, observations: Sequence[Observation], timeout: float = 2) -> None:
        """Wait for the proxy's log entries of the responses, and add them.

        Some responses have no entry, so the wait ends after ``timeout`` seconds.
        """
        wanted = {each for observation in observations for each in observation.ids}
        with self.arrived:
            self.arrived.wait_for(lambda: wanted <= self.log.keys(), timeout)
            for observation in observations:
                observation.logged = [
                    self.log[each] for each in observation.ids if each in self.log
                ]


@dataclass
class Fleet:
    """The running pairs."""

    members: list[Member]
    pool: ThreadPoolExecutor
    sent: int = 0

    def run(self, case: Case, *, with_log: bool = False) -> dict[str, Observation]:
        """Send a case to all pairs in parallel."""

        def one(member: Member) -> tuple[str, Observation]:
            observation = member.run(case)
            if with_log:
                member.add_log([observation])
            return member.name, observation

        self.sent += len(self.members)
        return dict(self.pool.map(one, self.members))

    def run_all(self, cases: Sequence[Case]) -> list[dict[str, Observation]]:
        """Send cases to each pair in sequence, without waiting for other pairs."""

        def all_of_them(member: Member) -> tuple[str, list[Observation]]:
            found = [member.run(case) for case in cases]
            member.add_log(found)
            return member.name, found

        self.sent += len(self.members) * len(cases)
        by_pair = dict(self.pool.map(all_of_them, self.members))
        return [
            {name: found[number] for name, found in by_pair.items()} for number in range(len(cases))
        ]

    def evidence(self, pairs: Iterable[str]) -> str:
        """Return the logs and the proxy's configuration of the first of these pairs."""
        first = next(iter(pairs))
        (member,) = [member for member in self.members if member.name == first]
        return f"=== {first}\n{member.stack.evidence()}"


@contextmanager
def side_by_side(
    make: Sequence[Callable[[], AbstractContextManager[Started]]], at_a_time: int
) -> Iterator[list[Started]]:
    """Enter contexts, ``at_a_time`` in parallel; always exit all that were entered."""
    entered: list[AbstractContextManager[Started]] = []

    def enter(one: Callable[[], AbstractContextManager[Started]]) -> Started:
        context = one()
        value = context.__enter__()
        entered.append(context)
        return value

    with ThreadPoolExecutor(at_a_time) as pool:
        futures = [pool.submit(enter, one) for one in make]
        try:
            yield [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
            wait(futures)
            list(pool.map(lambda context: context.__exit__(None, None, None), entered))


@contextmanager
def run_fleet(
    pairs: Sequence[Pair],
    folder: Path,
    *,
    mutation: tuple[str, int] | None = None,
    features: bool = False,
) -> Iterator[Fleet]:
    """Generate, build and start these pairs, and stop them at the end.

    An existing project is started too, with the name "project". ``mutation``: a pair's name and the
    number of the mutation to apply to it. ``features``: whether optional features are on.
    """
    os.environ.update(RECORDING_APPLICATION=str(APPLICATION), PACKAGE=PACKAGE)

    def start(pair: Pair, project: Path) -> AbstractContextManager[Stack]:
        name = f"differential-{project.name}-{os.getpid()}"
        return run_stack(pair, project, name, APPLICATION / "compose.yaml")

    # In sequence, because Cookiecutter changes the working directory.
    projects: dict[str, tuple[Pair, Path]] = {}
    for pair in pairs:
        broken = mutation[1] if mutation and mutation[0] == str(pair) else None
        make = new_project if OWN else partial(make_project, mutation=broken)
        projects[str(pair)] = pair, make(pair, folder / str(pair))
    if OWN:
        projects["project"] = OWN.pair, OWN.copy(folder)
    makers = []
    for pair, project in projects.values():
        # Written by the container's user.
        (project / "seen").mkdir()
        (project / "seen").chmod(0o777)
        settings = SETTINGS | (FEATURES if features else {})
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        (project / ".env").write_text("".join(lines), encoding="utf-8")
        makers.append(partial(start, pair, project))
    with (
        side_by_side(makers, AT_A_TIME) as stacks,
        ThreadPoolExecutor(len(stacks)) as pool,
    ):
        members = [Member(stack, name) for name, stack in zip(projects, stacks, strict=True)]
        yield Fleet(members, pool)
