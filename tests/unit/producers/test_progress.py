"""What records of the topics tell about progress."""

from __future__ import annotations

import msgspec
import pytest

from clv.outcomes import ModelAnnounced, WatermarkPassed
from clv.topics import MODELS, TRAINING_EXAMPLES
from producers.pace import Progress
from producers.progress import read_progress

AT = "2024-01-02T00:00:00Z"
AT_MS = 1_704_153_600_000
PASSED = WatermarkPassed("e", 3, AT, "i", 7, {"applied": 1})


def _announced(name: str, through: str) -> bytes:
    return msgspec.json.encode(ModelAnnounced("e", name, "v", "d", through, "f", {}))


@pytest.mark.parametrize(
    ("topic", "value", "expected"),
    [
        pytest.param(TRAINING_EXAMPLES, msgspec.json.encode(PASSED), Progress("worker", AT_MS, 3), id="watermark"),
        pytest.param(MODELS, _announced("scorer", AT), Progress("scorer", AT_MS), id="scorer"),
        pytest.param(MODELS, _announced("btyd", AT), None, id="another-model"),
        pytest.param(MODELS, _announced("scorer", ""), None, id="prior"),
        pytest.param(TRAINING_EXAMPLES, b'{"type":"LabelMatured"}', None, id="example"),
        pytest.param(TRAINING_EXAMPLES, b'{"type":"WatermarkPassed"', None, id="cut"),
        pytest.param(MODELS, _announced("scorer", "soon"), None, id="bad-time"),
        pytest.param(MODELS, _announced("scorer", AT).replace(b"scorer", b"\xff"), None, id="not-utf-8"),
        pytest.param(MODELS, b'{"x": ' + b"[" * 20_000, None, id="too-deep"),
        pytest.param(TRAINING_EXAMPLES, None, None, id="tombstone"),
    ],
)
def test_only_watermarks_and_the_scorer_tell_of_progress(
    topic: str, value: bytes | None, expected: Progress | None
) -> None:
    """Everything else on the topics is passed over."""
    assert read_progress(topic, value) == expected
