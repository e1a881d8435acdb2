"""``winnow search``: one search and what each stage did."""

from __future__ import annotations

import logging
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from winnow.cli.command import ask, configure
from winnow.cli.console import out, print_json
from winnow.cli.options import CollectionOption, DataDir, Json, Tenant, Url, collection_path
from winnow.core.errors import InvalidFilter

SNIPPET_CHARS = 240
BAR_CELLS = 10


def search(
    query: Annotated[str, typer.Argument(help="The question or keywords.")],
    collection: CollectionOption,
    top_k: Annotated[int, typer.Option(help="Candidates of the first stage, 1 to 1000.")] = 100,
    top_n: Annotated[int, typer.Option(help="Results, 1 to 100.")] = 10,
    mode: Annotated[
        Literal["hybrid", "dense", "sparse"], typer.Option(help="How the first stage searches.")
    ] = "hybrid",
    filter: Annotated[
        str | None, typer.Option(help='Filter as JSON: \'{"type": "eq", "key": "lang", "value": "en"}\'.')
    ] = None,
    rerank: Annotated[bool, typer.Option(help="Run the second stage.")] = True,
    expand: Annotated[int, typer.Option(help="Neighbouring chunks whose text is returned as well, 0 to 10.")] = 0,
    max_tokens: Annotated[int | None, typer.Option(help="The most tokens of all texts together.")] = None,
    tenant: Tenant = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Search a collection and show how each stage ranked every result."""
    body = {"query": query, "top_k": top_k, "top_n": min(top_n, top_k), "mode": mode, "rerank": rerank}
    body |= {"expand": expand} if expand else {}
    body |= {} if max_tokens is None else {"max_tokens": max_tokens}
    body |= {} if tenant is None else {"tenant": tenant}
    settings = configure(data_dir)
    logging.getLogger().setLevel(logging.ERROR)  # the answer itself says which stage failed
    if filter is not None:
        body["filter"] = _filter(filter)
    path = f"{collection_path(collection)}/search"
    answer = ask(lambda client: client.call("POST", path, body), url, settings)
    if json:
        print_json(answer)
    else:
        _show(answer)


def _filter(text: str) -> Any:
    import orjson

    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidFilter(
            f'--filter is not valid JSON ({error}); example: {{"type": "eq", "key": "lang", "value": "en"}}'
        ) from error


def _show(answer: dict[str, Any]) -> None:
    console = out()
    if not answer["results"]:
        console.print(f"No results in {answer['collection']} for: {answer['query']}", markup=False)
    score = "relevance" if answer["score_kind"] == "relevance" else "retrieval"
    columns = (Column("#", justify="right"), Column(score, no_wrap=True), Column("first stage", no_wrap=True))
    body = Column("result", ratio=1, overflow="fold")
    table = Table(*columns, body, show_edge=False, pad_edge=False, expand=True, box=None, header_style="dim")
    for result in answer["results"]:
        table.add_row(str(result["rank"]), _score(result), _movement(result), _body(result))
    console.print(table)
    console.print(_stages(answer), style="dim", markup=False, soft_wrap=True)
    if judged := answer.get("answerable"):
        likely = judged["probability"] >= judged["threshold"]
        said = "the first result is probably right" if likely else "there is probably no answer here"
        style = "dim" if likely else "bold yellow"
        console.print(f"{said}: {judged['probability']:.0%} (calibrated on {judged['calibrated_on']})", style=style)
    if answer.get("tokens") is not None:
        packed = f"{answer['tokens']} tokens of {answer['tokenizer']}"
        console.print(f"{packed}, {answer['left_out']} results left out", style="dim", markup=False)
    if answer["degraded"]:
        console.print("degraded: a stage failed, see its reason above", style="bold yellow")


def _score(result: dict[str, Any]) -> str:
    score = result["relevance_score"]
    if score is None:
        return f"{result['retrieval_score']:.4f}"
    filled = round(score * BAR_CELLS)
    return f"{score:.2f} [green]{'━' * filled}[/green][dim]{'─' * (BAR_CELLS - filled)}[/dim]"


def _movement(result: dict[str, Any]) -> str:
    stages = result["stages"]
    before, now = stages["fused"]["rank"], result["rank"]
    arrow = (
        f"[green]▲{before - now}[/green]" if before > now else f"[red]▼{now - before}[/red]" if before < now else "="
    )
    arms = ", ".join(
        f"{label} {stages[arm]['rank']}" for arm, label in (("dense", "d"), ("sparse", "k")) if stages[arm] is not None
    )
    return f"{before} {arrow} [dim]({arms})[/dim]"


def _body(result: dict[str, Any]) -> Text:
    body = Text(result["title"] or result["document_id"], style="bold")
    if result["exact"]:
        body.append(f"  = {result['exact']}", style="not bold green")
    trail = " › ".join(result["chunk"]["headings"])
    if trail and trail != result["title"]:
        body.append(f"  {trail}", style="not bold dim")
    if result["url"]:
        body.append(f"\n{result['url']}", style="not bold blue")
    text = " ".join((result["text"] or "").split())
    body.append(f"\n{text[:SNIPPET_CHARS]}{'…' if len(text) > SNIPPET_CHARS else ''}\n", style="not bold")
    return body


def _stages(answer: dict[str, Any]) -> str:
    parts = []
    for name, stage in answer["stages"].items():
        part = f"{name} {stage['status']} {stage['ms']:.1f} ms"
        parts.append(part + (f" ({escape(stage['reason'])})" if stage.get("reason") else ""))
    return f"{' · '.join(parts)} · total {answer['took_ms']:.1f} ms · d = dense, k = keywords, = named by the query"
