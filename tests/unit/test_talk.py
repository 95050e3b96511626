"""Does the wire's layout put what happened in order, and what stays open beside it?"""

import json
import random
from dataclasses import dataclass, replace
from itertools import pairwise

from labkit.api.frames import Frame, build_frame, parse_frames
from labkit.api.http import Answer, Request
from labkit.api.record import Piece
from labkit.show.axis import LONGEST_GAP_PX
from labkit.show.talk import LINE_PX, Line, Picture, lay_out, read_talks, settle

ID = "ab" * 32


@dataclass(frozen=True)
class Said:
    """An exchange as a tap keeps it."""

    request: Request
    answer: Answer
    began_s: float
    head_s: float | None
    seconds: float
    finished: bool = True
    note: str = ""
    pieces: tuple[Piece, ...] = ()

    @property
    def frames(self) -> list[Frame]:
        return list(parse_frames([b"".join(one.data for one in self.pieces if one.direction == "down")]))


def say(method: str, target: str, begin: float, took: float, status: int = 200, **more: object) -> Said:
    body = json.dumps(more.pop("said")).encode() if "said" in more else b""
    head = more.pop("head_s", took)
    said = Said(Request(method, target, {}, b"", b""), Answer(status, "OK", {}, body, b""), begin, None, took)
    return replace(said, head_s=head, **more)  # type: ignore[arg-type]


def run(begin: float = 0.0, pings: int = 1, output_s: float = 0.5, early_s: float = 0.0) -> list[Said]:
    """`docker run --rm`: `output_s` after the start the container says hello, and `early_s` before the end of both."""
    pieces = (
        Piece(output_s + 0.1, "down", build_frame(1, b"hel")),
        Piece(output_s + 0.2, "down", build_frame(1, b"lo\n")),
    )
    at = f"/v1.41/containers/{ID}"
    return [
        *(say("HEAD", "/_ping", begin + 0.001 * number, 0.0005) for number in range(pings)),
        say("POST", "/v1.41/containers/create?name=box", begin + 0.01, 0.04, 201, said={"Id": ID}),
        say("POST", f"{at}/attach?stdout=1", begin + 0.051, output_s + 0.5 - early_s, 101, head_s=0.001, pieces=pieces),
        say("POST", f"{at}/wait", begin + 0.053, output_s + 0.6 - early_s, head_s=0.001, said={"StatusCode": 3}),
        say("POST", f"{at}/start", begin + 0.055, 0.3, 204),
    ]


def drawn(said: list[Said], lines: tuple[Line, ...] = (), *, settled: bool = False) -> Picture:
    talks = read_talks(said)
    return lay_out(*settle(talks, lines), to_scale=False) if settled else lay_out(talks, lines)


def check_run(picture: Picture) -> None:
    """Attach opens before wait, wait before start, output lies after the start, both tubes end with the container."""
    attach, wait = sorted(picture.tubes, key=lambda tube: tube.first)
    (life,) = picture.lives
    started = next(number for number, row in enumerate(picture.rows) if row.talks and row.talks[0].verb == "start")
    ended = next(row for row, state in life.states if state == "exited")
    said = [number for number, row in enumerate(picture.rows) if row.kind == "said"]

    assert ("attach", "wait") == (attach.talk.verb, wait.talk.verb)
    assert attach.first < wait.first < started < said[0] <= said[-1] < ended
    assert attach.last is not None and said[-1] < attach.last <= ended == wait.last
    assert len({attach.lane, wait.lane, life.lane}) == 3 == picture.lanes
    assert max(attach.lane, wait.lane) < life.lane


def test_the_wire_of_docker_run() -> None:
    """As it happened, and in the stored picture."""
    check_run(drawn(run()))
    check_run(drawn(run(), settled=True))


def test_a_container_passes_through_its_states() -> None:
    """Created by the answer to create, running with that to start, ended with what wait is told."""
    (life,) = drawn([*run(), say("DELETE", f"/v1.41/containers/{ID[:12]}", 2.0, 0.1, 204)]).lives

    assert ["created", "starting", "running", "exited", "gone"] == [state for _, state in life.states]
    assert sorted(row for row, _ in life.states) == [row for row, _ in life.states]


def test_the_stored_picture_is_the_same_in_each_run() -> None:
    """However fast the engine was, however output was cut, and whether it came before the answer to start."""
    lines = (Line("docker run", -0.1, 2.0), Line("ls", 3.0, 3.1))
    one, other = (
        [(row.kind, [str(one.one.request) for one in row.talks], row.line and row.line.text) for row in picture.rows]
        for picture in (
            drawn(run(), lines, settled=True),
            drawn(run(output_s=0.02, early_s=0.1), lines, settled=True),
        )
    )

    assert one == other and "line" == one[0][0] == one[-1][0]


def test_rows_are_in_order_and_to_scale() -> None:
    """A longer time is never drawn shorter, rows keep room for their words, and a silence that is squeezed is told."""
    random.seed(7)
    times = sorted(random.choice([0.001, 0.01, 0.1, 1.0, 100.0]) * random.random() for _ in range(40))
    picture = drawn([say("GET", "/x", at, 0.0001) for at in times])
    gaps = sorted((after.at_s - before.at_s, after.gap_px) for before, after in pairwise(picture.rows))

    assert all(before.at_s <= after.at_s for before, after in pairwise(picture.rows))
    assert all(shorter[1] <= longer[1] + 0.1 for shorter, longer in pairwise(gaps))
    assert all(0 <= gap <= LONGEST_GAP_PX for _, gap in gaps)
    for before, after in pairwise(picture.rows):
        if after.squeezed_s is None and after.gap_px:
            assert abs((after.at_s - before.at_s) * picture.px_per_s - LINE_PX - after.gap_px) < 0.1
        if after.squeezed_s is not None:
            assert after.squeezed_s == after.at_s - before.at_s


def test_a_container_runs_when_it_first_speaks() -> None:
    """Its words may come some milliseconds before the answer to its start; then it runs from there."""
    for output_s, first in ((0.0, "said"), (0.5, "answer")):
        picture = drawn(run(output_s=output_s))
        (life,) = picture.lives
        running = next(row for row, state in life.states if state == "running")
        said = next(number for number, row in enumerate(picture.rows) if row.kind == "said")
        assert running <= said and first == picture.rows[running].kind


def test_a_container_that_nobody_hears_runs_with_the_answer_to_its_start() -> None:
    """`docker start` attaches to nothing."""
    picture = drawn([say("POST", "/containers/box/start", 1.0, 0.3, 204)])

    assert ["created", "starting", "running"] == [state for _, state in picture.lives[0].states]


def test_what_ran_before_is_drawn_below_the_line_that_was_typed() -> None:
    """Beside that line stands how long it took."""
    said = [say("POST", f"/containers/{ID}/exec", 1.0, 0.1, 201, said={"Id": "e"})]
    said.append(say("POST", "/exec/e/start", 1.2, 0.1, 101, head_s=0.01))
    picture = drawn(said, (Line("docker exec box ls", 0.9, 1.4),))

    assert ["line", "running"] == [picture.rows[0].kind, picture.lives[0].states[0][1]]
    assert 1 == picture.lives[0].states[0][0]


def test_what_is_refused_does_not_stay_open() -> None:
    """It has an answer, and no tube that ends."""
    picture = drawn([say("POST", f"/containers/{ID}/{verb}", 1.0, 0.1, 404) for verb in ("attach", "wait")])

    assert () == picture.tubes and "end" not in [row.kind for row in picture.rows]


def test_what_is_still_open_has_no_end() -> None:
    """A tube of a container that still runs goes on, and so does the container."""
    said = run()
    said[2], said[3] = (replace(said[number], finished=False) for number in (2, 3))
    picture = drawn(said)

    assert [None, None] == [tube.last for tube in picture.tubes]
    assert "running" == picture.lives[0].states[-1][1]
    assert [None, None] == [tube.last for tube in drawn(said, settled=True).tubes]


def test_lanes_are_used_again() -> None:
    """One container after the other needs no more room than one; two at a time have lanes of their own."""
    later = [replace(one, began_s=one.began_s + 5) for one in renamed(run(), "cd" * 32)]
    beside = [replace(one, began_s=one.began_s + 0.2) for one in renamed(run(), "ef" * 32)]

    assert 3 == drawn([*run(), *later]).lanes
    both = drawn(sorted([*run(), *beside], key=lambda one: one.began_s))
    assert 6 == both.lanes == len({*(tube.lane for tube in both.tubes), *(life.lane for life in both.lives)})


def renamed(said: list[Said], identity: str) -> list[Said]:
    return [
        replace(
            one,
            request=one.request._replace(target=one.request.target.replace(ID, identity)),
            answer=one.answer._replace(body=one.answer.body.replace(ID.encode(), identity.encode())),
        )
        for one in said
    ]


def test_a_client_without_times_is_drawn_in_its_order() -> None:
    """Exchanges that do not tell when they began come one after the other."""
    said = [replace(say("GET", f"/{number}", 0.0, 0.01)) for number in range(3)]

    assert ["/0", "/1", "/2"] == [row.talks[0].path for row in drawn(said).rows if row.kind in ("request", "exchange")]
