"""``clv dlq``: records that could not be applied.

Example: ``clv dlq list --reason too_late``
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cli.letters import Letter

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
_JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_ID = Annotated[str, typer.Argument(metavar="ID", help="TOPIC/PARTITION/OFFSET, as `clv dlq list` shows it.")]
_SHOWN_CHARACTERS = 2_000


@app.command("list")
def show_all(
    *,
    reason: Annotated[str, typer.Option(help="Only those with this reason.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Show so many at most.")] = 50,
    is_json: _JSON = False,
) -> None:
    """List dead letters: where the record lay, why it was not applied, its size.

    Example:
        clv dlq list --reason too_late --limit 10
    """
    from cli.letters import read_letters

    counts: dict[str, int] = {}
    shown: list[dict[str, Any]] = []
    for letter in read_letters(reason=reason):
        counts[letter.reason] = counts.get(letter.reason, 0) + 1
        if len(shown) < limit:
            shown.append(_summary(letter))
    if is_json:
        typer.echo(json.dumps({"reasons": counts, "dead_letters": shown}, indent=2))
        return
    for row in shown:
        typer.echo(f"{row['id']:<28} {row['reason']:<22} {row['bytes']:>9,} bytes  {row['detail']}")
    total = sum(counts.values())
    typer.echo(f"{len(shown)} of {total} dead letters" if total else "no dead letters", err=True)


@app.command("show")
def show_one(
    letter_id: _ID,
    *,
    is_raw: Annotated[bool, typer.Option("--raw", help="The original bytes instead of their shape.")] = False,
    is_json: _JSON = False,
) -> None:
    """Show a dead letter; letters and digits of what was sent are masked, unless --raw is given.

    With --raw alone the value's bytes, and nothing else, go to standard output; in JSON they are Base64.

    Example:
        clv dlq show clv.orders.v1/2/1042
    """
    from cli.letters import find_letter
    from clv.masking import masked

    letter = find_letter(letter_id)
    if is_raw and not is_json:
        sys.stdout.buffer.write(letter.value or b"")
        sys.stdout.flush()
        return
    show = _as_base64 if is_raw else masked
    shown = _summary(letter) | {"key": show(letter.key), "value": show(letter.value)}
    if is_json:
        typer.echo(json.dumps(shown, indent=2))
        return
    for name, text in shown.items():
        typer.echo(f"{name:>8}  {str(text)[:_SHOWN_CHARACTERS]}")


@app.command("replay")
def replay(
    letter_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Which to send again.")] = None,
    *,
    reason: Annotated[str, typer.Option(help="All with this reason.")] = "",
    broker: Annotated[str, typer.Option(help="host:port [default: CLV_BROKER, else the running `clv up`].")] = "",
    is_json: _JSON = False,
) -> None:
    """Send dead letters again as they were: same bytes, same key, same partition.

    Useful once their cause is mended; those that fail again become new dead letters. The old ones stay.

    Example:
        clv dlq replay --reason foreign_currency
    """
    from cli.letters import find_letter, read_letters
    from cli.sending import with_broker
    from clv.errors import InputError
    from clv.settings import Settings
    from streams.letters import resend

    if bool(letter_ids) == bool(reason):
        raise InputError("say which dead letters: ids or a reason", "clv dlq list")
    letters = map(find_letter, letter_ids) if letter_ids else read_letters(reason=reason)
    sent = asyncio.run(resend(with_broker(Settings.from_env(), broker), letters))
    typer.echo(json.dumps({"sent": sent}) if is_json else f"{sent} records sent again")


def _summary(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "reason": letter.reason,
        "detail": letter.detail,
        "bytes": len(letter.value or b""),
    }


def _as_base64(data: bytes | None) -> str:
    import base64

    return base64.b64encode(data or b"").decode()
