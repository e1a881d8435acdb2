"""``winnow rules``: synonyms, pinned and hidden documents, and stop-words of a collection, as YAML."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winnow.cli.command import configure, read_catalog, through_catalog
from winnow.cli.console import note, out, print_json
from winnow.cli.options import CollectionOption, DataDir, Json, Url, collection_path
from winnow.core.errors import InvalidRules

if TYPE_CHECKING:
    from pydantic import BaseModel

    from service.schemas.rules import RulesBody
    from winnow.core.principal import Principal
    from winnow.core.settings import Settings
    from winnow.ports import Catalog

app = typer.Typer(
    help="Synonyms, pinned and hidden results, and stop-words of a collection, as YAML.", no_args_is_help=True
)
Version = Annotated[
    int | None,
    typer.Option("--version", min=0, help="Replace this version only; refuse if the rules changed since.", metavar="N"),
]


@app.command("show")
def show_rules(collection: CollectionOption, url: Url = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Show the rules of a collection and their version."""
    answer = _read(collection, url, configure(data_dir))
    if json:
        print_json(answer)
        return
    counts = ", ".join(f"{len(answer[name]):,} {name.replace('_', '-')}" for name in answer if name != "version")
    note(f"{collection}: version {answer['version']}, {counts}")
    out().print(_yaml(answer), end="", markup=False, highlight=False, soft_wrap=True)


@app.command("export")
def export_rules(
    collection: CollectionOption,
    to: Annotated[Path | None, typer.Option("--to", help="File to write (default: stdout).", metavar="FILE")] = None,
    url: Url = None,
    data_dir: DataDir = None,
) -> None:
    """Write the rules of a collection as YAML, which `winnow rules import` reads."""
    answer = _read(collection, url, configure(data_dir))
    text = f"# rules of the collection {collection}, version {answer['version']}\n{_yaml(answer)}"
    if to is None:
        sys.stdout.write(text)
        return
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidRules(f"{to} cannot be written: {error.strerror}") from error
    note(f"version {answer['version']} of the rules of {collection} is in {to}")


@app.command("import")
def import_rules(
    file: Annotated[str, typer.Argument(help="YAML or JSON file with the rules; - for stdin.", metavar="FILE")],
    collection: CollectionOption,
    version: Version = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Replace all rules of a collection by those of a file."""
    body = _parsed(_text_of(file), file)
    if version is not None:
        body = body.model_copy(update={"version": version})

    async def keep(catalog: Catalog, asker: Principal) -> BaseModel:
        from service.schemas.rules import RulesView
        from winnow.operations.rules import keep_rules

        return RulesView.shown(await keep_rules(catalog, asker, collection, body.to_rules(), expected=body.version))

    sent = body.model_dump(mode="json", by_alias=True, exclude_none=True)
    answer = through_catalog(lambda client: client.call("PUT", _path(collection), sent), keep, url, configure(data_dir))
    if json:
        print_json(answer)
    else:
        note(f"{collection} has version {answer['version']} of its rules; searches follow them within a second")


@app.command("clear")
def clear_all(collection: CollectionOption, version: Version = None, url: Url = None, data_dir: DataDir = None) -> None:
    """Remove all rules of a collection."""

    async def clear(catalog: Catalog, asker: Principal) -> BaseModel:
        from service.schemas.rules import RulesView
        from winnow.operations.rules import clear_rules

        return RulesView.shown(await clear_rules(catalog, asker, collection, expected=version))

    sent = {"version": version}
    through_catalog(lambda client: client.call("PUT", _path(collection), sent), clear, url, configure(data_dir))
    note(f"{collection} has no rules any more")


def _read(collection: str, url: str | None, settings: Settings) -> dict[str, Any]:
    from service.reading import read_rules_of

    found: dict[str, Any] = read_catalog(
        _path(collection), lambda catalog, asker: read_rules_of(catalog, asker, collection), url, settings
    )
    return found


def _yaml(rules: dict[str, Any]) -> str:
    """The rules without their version, which a file that is imported elsewhere must not have."""
    import yaml

    shown = {name: rules[name] for name in ("synonyms", "pins", "hidden", "stop_words")}
    return yaml.safe_dump(shown, allow_unicode=True, sort_keys=False, width=120)


def _text_of(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidRules(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidRules(f"{file} is not UTF-8 text") from error


def _parsed(text: str, file: str) -> RulesBody:
    """The rules in a YAML text, in which every scalar is text: `no` is a word, and the language of Norway."""
    import yaml
    from pydantic import ValidationError

    from service.schemas.rules import RulesBody

    try:
        found = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - this loader makes nothing but text, lists, maps
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidRules(f"{file} is not YAML: {error}") from error
    if not isinstance(found, dict):
        raise InvalidRules(f"{file} has no rules: expected are synonyms, pins, hidden and stop_words")
    if str(version := found.get("version", "")).isdigit():
        found["version"] = int(version)
    try:
        return RulesBody.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = "unknown field" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise InvalidRules(f"{file}: {place}: {message}; docs/rules.md has the form of each rule") from error


def _path(collection: str) -> str:
    return f"{collection_path(collection)}/rules"
