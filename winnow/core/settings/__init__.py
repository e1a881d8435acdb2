"""The settings: small frozen groups, read once at the edge and passed in.

Sources, strongest first: arguments, environment (``WINNOW_`` with ``__`` between levels), ``winnow.toml`` in the
working directory (or the file that ``WINNOW_CONFIG`` names), defaults. An unknown setting is an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from winnow.core.errors import InvalidSettings
from winnow.core.settings.analytics import AnalyticsSettings
from winnow.core.settings.base import Endpoint, Group, sendable_key
from winnow.core.settings.embedding import BundledEmbedding, CustomEmbedding, Embedding, EncoderName
from winnow.core.settings.limits import LimitSettings
from winnow.core.settings.rerank import BundledRerank, Rerank
from winnow.core.settings.vectors import EdgeVectors, QdrantVectors, Vectors

PREFIX = "WINNOW_"
CONFIG_VARIABLE = "WINNOW_CONFIG"
KEY_VARIABLE = "WINNOW_API_KEY"
"""The key that commands send to a service which they reach by its URL."""
MIN_SECRET_CHARS = 32
_DEFAULTED = ("embedding", "rerank", "vectors")  # groups with one shape a provider, and a provider by default
_DISCRIMINATED = (*_DEFAULTED, "next_embedding")
BUNDLED_NAMES = ("english", "multilingual")  # of the bundled embedding models
DEFAULT_ENCODER = "default"  # the name of ``WINNOW_EMBEDDING__*`` beside those of ``WINNOW_EMBEDDINGS__<NAME>__*``
_PUBLIC = ("openai.com", "aliyuncs.com", "jina.ai", "cohere.com", "siliconflow.cn", "siliconflow.com", "dmxapi.cn")


class CatalogSettings(Group):
    """Where documents and the ledger are kept. Without a URL: SQLite in ``data_dir``/winnow.db."""

    url: SecretStr = SecretStr("")
    statement_seconds: float = Field(
        30.0, gt=0, description="time limit of a statement, and of a pause within a transaction, on PostgreSQL"
    )


class ServerSettings(Group):
    """The HTTP service."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    root_path: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="path prefix under which a proxy serves it, as `/search`; the proxy may strip it or not",
    )
    insecure: bool = Field(False, description="listen on addresses other than loopback without a key")
    bootstrap_key: SecretStr = Field(
        SecretStr(""), description="a secret of 32 characters or more: a key of all scopes"
    )
    bootstrap_key_file: Path | None = Field(None, description="a file with the bootstrap key in place of the setting")
    max_body_mb: int = Field(64, ge=1, description="largest request body, MiB")
    max_bodies_mb: int = Field(256, ge=1, description="all bodies under way, MiB; further ones are answered with 503")
    max_connections: int = Field(1000, ge=1, description="connections beyond which requests are answered with 503")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="hosts that requests may name, as `search.example.com` or `*.example.com`; unset: see below"
    )
    cors_origins: tuple[str, ...] = Field((), description="origins of other sites that may call from a browser")
    drain_seconds: float = Field(
        0.0, ge=0, description="seconds between SIGTERM, when readiness fails, and the end of new connections"
    )
    strict_models: bool = Field(
        False, description="answer 404 to a call of /v1/rerank or /v1/embeddings that names another model"
    )
    model_seconds: float = Field(60.0, gt=0, description="time limit of such a call")
    librechat_secret: SecretStr = Field(
        SecretStr(""), description="the JWT_SECRET of a LibreChat, whose server then keeps and searches its files here"
    )
    librechat_collection: str = Field("librechat", description="the collection of these files")

    _sendable_key = field_validator("bootstrap_key")(sendable_key)

    @field_validator("librechat_secret")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < MIN_SECRET_CHARS:
            raise ValueError(f"use {MIN_SECRET_CHARS} characters or more, here and in LibreChat: openssl rand -hex 32")
        return value

    @property
    def bootstrap_secret(self) -> str:
        """The bootstrap key, read from its file if one is named; empty for none.

        Raises:
            InvalidSettings: the file cannot be read, or the key is too short to be safe from guessing.
        """
        name, secret = f"{PREFIX}SERVER__BOOTSTRAP_KEY", self.bootstrap_key.get_secret_value()
        if self.bootstrap_key_file is not None:
            name += "_FILE"
            try:
                secret = sendable_key(SecretStr(self.bootstrap_key_file.read_text())).get_secret_value()
            except (OSError, ValueError) as error:
                raise InvalidSettings(f"{name}: {self.bootstrap_key_file} cannot be read: {error}") from error
        if (secret or self.bootstrap_key_file is not None) and len(secret) < MIN_SECRET_CHARS:
            raise InvalidSettings(f"{name}: use {MIN_SECRET_CHARS} characters or more: openssl rand -base64 48")
        return secret


class OperationsSettings(Group):
    """The port of health checks and metrics, of services and of workers."""

    host: str = Field("127.0.0.1", description="address of that port; it needs no key: let only operators reach it")
    port: int | None = Field(None, ge=0, le=65535, description="that port; unset: none, 0: a free one")
    stall_seconds: float = Field(
        300.0, gt=0, description="seconds without progress on claimed documents after which a worker counts as dead"
    )


class SearchSettings(Group):
    """The two stages."""

    budget_ms: float = Field(3000.0, gt=0, description="time limit of a search in ms unless the request sets another")
    embed_share: float = Field(
        0.3, gt=0, le=1, description="share of the budget for embedding, where words alone can answer instead"
    )
    rerank_top_k: int = Field(50, ge=1, le=1000, description="candidates that the second stage scores")
    max_concurrent: int | None = Field(
        None,
        ge=1,
        description="upper bound of the searches that run at once; unset: the measured latency decides",
    )
    embed_cache: int = Field(4096, ge=0, description="queries whose vectors are kept; 0 turns the cache off")


class IndexingSettings(Group):
    """The write path and the worker."""

    max_document_chars: int = Field(5_000_000, ge=1)
    max_backlog: int = Field(200_000, ge=1, description="pending documents beyond which uploads are answered with 429")
    batch_documents: int = Field(
        96,
        ge=1,
        le=1024,
        description="documents that a worker processes at a time, more while that is quick",
    )
    lease_seconds: float = Field(60.0, gt=0)
    max_attempts: int = Field(5, ge=1)
    keep_jobs_days: float = Field(30.0, gt=0, description="days that a finished job is kept")
    keep_audit_days: float = Field(365.0, gt=0, description="days that an event of the audit trail is kept")
    allowed_sources: tuple[str, ...] = Field(
        ("site:https://", "site:http://", "feed:https://", "feed:http://"),
        description="beginnings of the sources that may be kept by callers who do not administer the installation",
    )


class Settings(BaseSettings):
    """Everything that is in force in one process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Path("data")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["logfmt", "json", "text"] = "logfmt"
    tracing: bool = False
    embedding: Embedding = BundledEmbedding()
    embeddings: dict[EncoderName, Embedding] = Field(
        {}, description="further models that collections may choose, by name"
    )
    next_embedding: Embedding | None = Field(None, description="the model that collections are being changed to")
    rerank: Rerank = BundledRerank()
    vectors: Vectors = EdgeVectors()
    catalog: CatalogSettings = CatalogSettings()
    server: ServerSettings = ServerSettings()
    operations: OperationsSettings = OperationsSettings()
    search: SearchSettings = SearchSettings()
    indexing: IndexingSettings = IndexingSettings()
    limits: LimitSettings = LimitSettings()
    analytics: AnalyticsSettings = AnalyticsSettings()

    @model_validator(mode="before")
    @classmethod
    def _default_providers(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A group that sets only other keys keeps the default provider."""
        for name in _DEFAULTED:
            group = values.get(name)
            if isinstance(group, dict) and "provider" not in group:
                values[name] = {"provider": cls.model_fields[name].default.provider, **group}
        return values

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class calls with it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments over environment over ``winnow.toml``."""
        path = Path(os.environ.get(CONFIG_VARIABLE, "winnow.toml"))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path)

    @property
    def encoders(self) -> dict[str, Embedding]:
        """The embedding models that a collection may choose, by name; the first one is the default.

        Both bundled ones are there where the default is bundled.
        """
        first = self.embedding
        if not isinstance(first, BundledEmbedding):
            return {DEFAULT_ENCODER: first, **self.embeddings}
        english, multilingual = (first.model_copy(update={"model": name}) for name in BUNDLED_NAMES)
        if first.model == "multilingual":
            return {"multilingual": first, "english": english, **self.embeddings}
        return {"english": first, "multilingual": multilingual, **self.embeddings}

    def with_encoder(self, embedding: Embedding) -> Settings:
        """The settings with another embedding model in the place of the default one."""
        return self.model_copy(update={"embedding": embedding})

    @property
    def shares_catalog(self) -> bool:
        """Whether the catalog is a database server, which other processes use as well."""
        return not self.catalog_url.startswith("sqlite")

    @property
    def keeps_data(self) -> bool:
        """Whether anything lies in files that one process has to own."""
        return isinstance(self.vectors, EdgeVectors) or not self.shares_catalog

    @property
    def is_embedded(self) -> bool:
        """Whether documents and vectors both lie in ``data_dir``, which one process owns."""
        return isinstance(self.vectors, EdgeVectors) and not self.catalog.url.get_secret_value()

    @property
    def catalog_name(self) -> str:
        """The catalog's database as messages name it: without user, password and options."""
        parts = urlsplit(self.catalog_url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()

    @property
    def catalog_url(self) -> str:
        """The catalog's database URL with the default filled in; the driver is chosen by the catalog adapter."""
        return self.catalog.url.get_secret_value() or f"sqlite:///{self.data_dir / 'winnow.db'}"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; ``overrides`` are nested dictionaries that win over everything.

    Raises:
        InvalidSettings: a setting is unknown, has a wrong value or does not go with another; the message names each by
            its variable.
    """
    _refuse_unknown_variables()
    _refuse_empty_variables()
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        raise InvalidSettings(_explain(error)) from error
    if found := list(_contradictions(settings)):
        raise InvalidSettings("; ".join(found))
    return settings


def _contradictions(settings: Settings) -> Iterator[str]:
    """One line for each contradiction; it begins with the variable to change."""
    groups = {"EMBEDDING": settings.embedding, "NEXT_EMBEDDING": settings.next_embedding, "RERANK": settings.rerank}
    groups |= {f"EMBEDDINGS__{name.upper()}": each for name, each in settings.embeddings.items()}
    for name in settings.embeddings:
        if name == DEFAULT_ENCODER or (isinstance(settings.embedding, BundledEmbedding) and name in BUNDLED_NAMES):
            yield f"{PREFIX}EMBEDDINGS__{name.upper()}: the name is taken by WINNOW_EMBEDDING__*; choose another"
    if isinstance(settings.vectors, QdrantVectors) and not settings.catalog.url.get_secret_value():
        yield (
            f"{PREFIX}CATALOG__URL: the vectors are on a server, so the catalog needs a database that all processes "
            "share: set it to postgresql://USER:PASSWORD@HOST:5432/DATABASE, or, where one process does everything, to "
            f"sqlite:///{settings.data_dir / 'winnow.db'}"
        )
    embeddings = [each for each in (settings.embedding, settings.next_embedding) if each is not None]
    blind = [each.provider for each in embeddings if not isinstance(each, BundledEmbedding | CustomEmbedding)]
    if blind and isinstance(settings.rerank, BundledRerank):
        yield (
            "WINNOW_RERANK__PROVIDER: bundled needs token vectors, which only the bundled embedding model has, not "
            f"{blind[0]}; set it to vllm, torch, dashscope, another reranker, or none"
        )
    for name, group in groups.items():
        if not isinstance(group, Endpoint):
            continue
        hosts, key = [urlsplit(url).hostname or "" for url in group.urls], group.api_key.get_secret_value()
        needy = [host for host in hosts if any(host == domain or host.endswith(f".{domain}") for domain in _PUBLIC)]
        if needy and not key:
            yield f"{PREFIX}{name}__API_KEY: {needy[0]} needs a key"
        if key.casefold().startswith("bearer "):
            yield f"{PREFIX}{name}__API_KEY: leave out the word Bearer: __AUTH_SCHEME adds it"


def _refuse_empty_variables() -> None:
    """A variable that is set and empty is a template that was not filled in; the default would hide that."""
    empty = sorted(
        name
        for name, value in os.environ.items()
        if name.startswith(PREFIX) and not value.strip() and name != KEY_VARIABLE and not name.endswith("__INSTRUCT")
    )
    if empty:
        raise InvalidSettings(
            "; ".join(f"{name} is set and empty: fill it in, or do not set it to use the default" for name in empty)
        )


def _refuse_unknown_variables() -> None:
    known = set(Settings.model_fields)
    for name in os.environ:
        if not name.startswith(PREFIX) or name in {CONFIG_VARIABLE, KEY_VARIABLE}:
            continue
        group = name.removeprefix(PREFIX).split("__")[0].lower()
        if group not in known:
            options = ", ".join(sorted(f"{PREFIX}{field.upper()}" for field in known))
            raise InvalidSettings(f"unknown setting {name}; known are {options} (with __ between levels)")


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        group, *rest = (str(part) for part in item["loc"])
        if group in _DISCRIMINATED:
            rest = rest[1:]  # the first of them is the provider
        elif group == "embeddings":
            rest = [*rest[:1], *rest[2:]]  # a name, then the provider
        path = [group, *rest]
        lines.append(f"{PREFIX}{'__'.join(path).upper()}: {item['msg']}")
    return "; ".join(lines)
