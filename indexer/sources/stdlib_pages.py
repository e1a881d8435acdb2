"""Public modules of the standard library and their pages under docs.python.org/3/library.

``tkinter`` is left out: hundreds of one-line docstrings that its pages do not list.
"""

from __future__ import annotations

import builtins
from typing import Final

_LIBRARY: Final = "https://docs.python.org/3/library/"

_OWN_PAGE: Final = """
abc argparse array ast asyncio atexit base64 bdb binascii bisect builtins bz2 calendar cmath cmd code codecs codeop
collections collections.abc colorsys compileall concurrent.futures configparser contextlib contextvars copy copyreg
csv ctypes curses curses.ascii curses.panel dataclasses datetime dbm decimal difflib dis doctest email email.charset
email.contentmanager email.encoders email.errors email.generator email.header email.headerregistry email.iterators
email.message email.mime email.parser email.policy email.utils ensurepip enum errno faulthandler fcntl filecmp
fileinput fnmatch fractions ftplib functools gc getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html
html.entities html.parser http http.client http.cookiejar http.cookies http.server imaplib importlib
importlib.metadata importlib.resources importlib.resources.abc inspect io ipaddress itertools json keyword linecache
locale logging logging.config logging.handlers lzma mailbox marshal math mimetypes mmap modulefinder multiprocessing
multiprocessing.shared_memory netrc numbers operator optparse os os.path pathlib pdb pickle pickletools pkgutil
platform plistlib poplib pprint profile pty pwd py_compile pyclbr pydoc queue quopri random re readline reprlib
resource rlcompleter runpy sched secrets select selectors shelve shlex shutil signal site smtplib socket socketserver
sqlite3 ssl stat statistics string stringprep struct subprocess symtable sys sys.monitoring sysconfig syslog tabnanny
tarfile tempfile termios textwrap threading time timeit token tokenize tomllib trace traceback tracemalloc tty turtle
types typing unicodedata unittest unittest.mock urllib urllib.error urllib.parse urllib.request urllib.response
urllib.robotparser uuid venv warnings wave weakref webbrowser wsgiref xml xml.dom xml.dom.minidom xml.dom.pulldom
xml.sax xml.sax.handler xmlrpc xmlrpc.client xmlrpc.server zipapp zipfile zipimport zlib zoneinfo
""".split()

_PARENT_PAGE: Final = """
concurrent.futures.process concurrent.futures.thread ctypes.util curses.textpad dbm.dumb email.mime.application
email.mime.audio email.mime.base email.mime.image email.mime.message email.mime.multipart email.mime.nonmultipart
email.mime.text importlib.abc importlib.machinery importlib.util json.decoder json.encoder multiprocessing.connection
multiprocessing.managers multiprocessing.pool multiprocessing.sharedctypes wsgiref.handlers wsgiref.headers
wsgiref.simple_server wsgiref.util wsgiref.validate
""".split()

PAGES: Final[dict[str, str]] = (
    {module: module for module in _OWN_PAGE}
    | {module: module.rpartition(".")[0] for module in _PARENT_PAGE}
    | {
        "cProfile": "profile",
        "pstats": "profile",
        "urllib.response": "urllib.request",
        "xml.etree.ElementTree": "xml.etree.elementtree",
        "xml.parsers.expat": "pyexpat",
        "xml.sax.saxutils": "xml.sax.utils",
        "xml.sax.xmlreader": "xml.sax.reader",
    }
)

_ASYNCIO: Final = {
    "base_events": "eventloop",
    "events": "eventloop",
    "exceptions": "exceptions",
    "futures": "future",
    "locks": "sync",
    "protocols": "protocol",
    "queues": "queue",
    "runners": "runner",
    "streams": "stream",
    "subprocess": "subprocess",
    "timeouts": "task",
    "transports": "protocol",
    "unix_events": "policy",
    "windows_events": "policy",
}
_STANDARD_TYPES: Final = "bytearray bytes complex dict float frozenset int list memoryview range set str tuple".split()
_IN_FUNCTIONS: Final = frozenset({"complex", "float", "int"})


def doc_url(module: str, name: str, defined_in: str) -> str:
    """Address of the documentation of ``name``, the qualified public name; ``defined_in``: the module of its source."""
    if name == module:
        return f"{_LIBRARY}{PAGES[module]}.html#module-{module}"
    if module == "builtins":
        return f"{_LIBRARY}{_builtin_page(name)}.html#{name}"
    page = PAGES[module]
    if module == "asyncio":
        page = f"asyncio-{_ASYNCIO.get(defined_in.rpartition('.')[2], 'task')}"
    return f"{_LIBRARY}{page}.html#{name}"


def _builtin_page(name: str) -> str:
    owner = name.partition(".")[0]
    value = getattr(builtins, owner)
    if isinstance(value, type) and issubclass(value, BaseException):
        return "exceptions"
    return "stdtypes" if owner in _STANDARD_TYPES and name not in _IN_FUNCTIONS else "functions"
