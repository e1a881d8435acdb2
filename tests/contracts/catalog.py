"""What every catalog does. A backend supplies the fixture ``catalog`` over the ``clock``, and passes."""

from __future__ import annotations

import pytest

from tests.contracts.catalog_access import KeyContract, ResultListContract, TrailContract
from tests.contracts.catalog_analytics import AnalyticsContract
from tests.contracts.catalog_collections import CollectionContract
from tests.contracts.catalog_data import FakeClock, make_collection
from tests.contracts.catalog_documents import DeletionContract, SubmissionContract
from tests.contracts.catalog_files import AttachmentContract, FileContract
from tests.contracts.catalog_integrity import IntegrityContract
from tests.contracts.catalog_jobs import JobListContract, RemovalContract, RetryCancelContract
from tests.contracts.catalog_rebuilds import RebuildContract
from tests.contracts.catalog_reembed import ReembedContract
from tests.contracts.catalog_rules import RulesContract
from tests.contracts.catalog_sources import KeptSourceContract
from tests.contracts.catalog_work import JobContract, LedgerContract
from winnow.ports import Catalog


class CatalogContract(
    CollectionContract,
    SubmissionContract,
    DeletionContract,
    LedgerContract,
    JobContract,
    IntegrityContract,
    JobListContract,
    RetryCancelContract,
    RemovalContract,
    ReembedContract,
    RebuildContract,
    RulesContract,
    KeyContract,
    FileContract,
    AttachmentContract,
    KeptSourceContract,
    ResultListContract,
    TrailContract,
    AnalyticsContract,
):
    """The whole port."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    async def docs(self, catalog: Catalog) -> Catalog:
        """A catalog with the collection ``docs``."""
        await catalog.collections.create(make_collection())
        return catalog
