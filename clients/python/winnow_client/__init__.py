"""A typed client of the Winnow search service: ``AsyncClient``, ``Client``, and the types of their answers."""

from winnow_client.answers import Chunk as Chunk
from winnow_client.answers import Collection as Collection
from winnow_client.answers import Deletion as Deletion
from winnow_client.answers import Document as Document
from winnow_client.answers import DocumentKey as DocumentKey
from winnow_client.answers import DocumentPage as DocumentPage
from winnow_client.answers import Duplicate as Duplicate
from winnow_client.answers import Expanded as Expanded
from winnow_client.answers import Job as Job
from winnow_client.answers import JobFailure as JobFailure
from winnow_client.answers import JobPage as JobPage
from winnow_client.answers import Key as Key
from winnow_client.answers import ManyAnswer as ManyAnswer
from winnow_client.answers import Rejection as Rejection
from winnow_client.answers import Reranking as Reranking
from winnow_client.answers import Result as Result
from winnow_client.answers import Scored as Scored
from winnow_client.answers import SearchAnswer as SearchAnswer
from winnow_client.answers import Span as Span
from winnow_client.answers import Submission as Submission
from winnow_client.async_client import AsyncClient as AsyncClient
from winnow_client.calls import DocumentInput as DocumentInput
from winnow_client.calls import SearchOptions as SearchOptions
from winnow_client.client import Client as Client
from winnow_client.errors import Conflict as Conflict
from winnow_client.errors import ConnectionFailed as ConnectionFailed
from winnow_client.errors import Forbidden as Forbidden
from winnow_client.errors import InvalidRequest as InvalidRequest
from winnow_client.errors import NotFound as NotFound
from winnow_client.errors import RateLimited as RateLimited
from winnow_client.errors import Unauthorized as Unauthorized
from winnow_client.errors import Unavailable as Unavailable
from winnow_client.errors import WinnowApiError as WinnowApiError
from winnow_client.retries import Retries as Retries

__version__ = "0.1.0"
