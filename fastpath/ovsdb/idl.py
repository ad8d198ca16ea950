"""A replica of the Open_vSwitch database, and what is written to it.

The ``ovs`` package keeps the replica, reconnects and speaks JSON-RPC.  This adds what a switch needs: the
schema is asked of the server, so a database made by another version is served with the columns it has; the
columns only we write do not count as changes; and one transaction at a time takes all that waits.

Nothing here blocks: ``run`` does what can be done now, ``wait`` says what to wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ovs import jsonrpc
from ovs.db import idl

DATABASE = "Open_vSwitch"
# What only the switch writes: changes there are our own.
WRITE_ONLY = {
    "Open_vSwitch": ("cur_cfg", "statistics", "datapath_types", "iface_types", "dpdk_initialized",
                     "dpdk_version"),
    "Bridge": ("datapath_id", "datapath_version", "status", "rstp_status"),
    "Port": ("status", "rstp_status", "rstp_statistics", "statistics", "bond_active_slave"),
    "Interface": ("admin_state", "duplex", "link_speed", "link_state", "link_resets", "mac_in_use", "ifindex",
                  "mtu", "ofport", "statistics", "status", "error", "lacp_current", "cfm_fault",
                  "cfm_fault_status", "cfm_flap_count", "cfm_health", "cfm_remote_mpids",
                  "cfm_remote_opstate", "bfd_status"),
    "Controller": ("is_connected", "role", "status"),
    "Manager": ("is_connected", "status"),
    "Mirror": ("statistics",),
    "Datapath": ("capabilities",),
}
Row = Any                                   # ovs.db.idl.Row: its attributes are the columns
Write = Callable[[], None]
_ABSENT = object()


class _Replica(idl.Idl):  # type: ignore[misc]
    """The package's replica, with a count of the changes that others made.

    The package's own count goes up with every modification, whatever ``alert`` says of its columns.
    """

    n_changes = 0
    was_complete = False

    def run(self) -> bool:
        """Take in what the server sent.

        The package's own ``has_ever_connected`` is true as soon as the lock was granted, which may be before
        the first row came.
        """
        changed = bool(super().run())
        if self.state == self.IDL_S_MONITORING and not self.was_complete:
            self.was_complete = True
            self.n_changes += 1             # an empty database too is something to act upon
        return changed

    def notify(self, event: str, row: Row, updates: Row | None = None) -> None:
        """Count a row that came, went or was changed in columns others write; *updates* has old values."""
        row.__dict__.pop("_known", None)    # values made of what was stored before
        own = WRITE_ONLY.get(row._table.name, ())
        if event != idl.ROW_UPDATE or any(hasattr(updates, c) for c in row._table.columns if c not in own):
            self.n_changes += 1


class Database:
    """The database at *remote* (such as ``unix:/run/openvswitch/db.sock``), once it can be reached.

    Under *lock* one client at a time may be in charge: ``has_lock`` says whether it is this one.
    """

    def __init__(self, remote: str, *, lock: str) -> None:
        self._remote, self._lock_name = remote, lock
        self._asking: jsonrpc.Session | None = jsonrpc.Session.open(remote)
        self._asked = 0                     # the connection get_schema was sent on
        self._idl: _Replica | None = None
        self._txn: idl.Transaction | None = None
        self._done: list[Callable[[], None]] = []

    # -- turning -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Take in what the server sent."""
        if self._asking is not None:
            self._ask()
        if self._idl is not None:
            self._idl.run()
            if self._txn is not None:
                self._finish(self._txn.commit())

    def wait(self, poller: Any) -> None:
        """Have *poller* wake when there is something to do."""
        if self._asking is not None:
            self._asking.wait(poller)
            self._asking.recv_wait(poller)
        if self._idl is not None:
            self._idl.wait(poller)
            if self._txn is not None:
                self._txn.wait(poller)

    def close(self) -> None:
        """Hang up."""
        for session in (self._asking, self._idl):
            if session is not None:
                session.close()
        self._asking = self._idl = None

    def _ask(self) -> None:
        session = self._asking
        assert session is not None
        session.run()
        if not session.is_connected():
            return
        if self._asked != session.get_seqno():
            self._asked = session.get_seqno()
            session.send(jsonrpc.Message.create_request("get_schema", [DATABASE]))
        answer = session.recv()
        if answer is not None and answer.type == jsonrpc.Message.T_REPLY:
            self._open(answer.result)
            session.close()
            self._asking = None

    def _open(self, schema: Mapping[str, Any]) -> None:
        helper = idl.SchemaHelper(schema_json=schema)
        helper.register_all()
        self._idl = _Replica(self._remote, helper, leader_only=False)
        self._idl.set_lock(self._lock_name)

    # -- reading -----------------------------------------------------------------------------------

    @property
    def seqno(self) -> int:
        """Changes when anything in the database that is not ours alone has; 0 before the first time."""
        return 0 if self._idl is None else self._idl.n_changes

    @property
    def is_ready(self) -> bool:
        """Whether the replica was complete once: while the server is away it stays as it was."""
        return self._idl is not None and self._idl.was_complete

    @property
    def has_lock(self) -> bool:
        """Whether this client is in charge."""
        return self._idl is not None and bool(self._idl.has_lock)

    @property
    def is_lock_contended(self) -> bool:
        """Whether another client is in charge."""
        return self._idl is not None and bool(self._idl.is_lock_contended)

    @property
    def n_cells(self) -> int:
        """Columns of all rows there are."""
        tables = {} if self._idl is None else self._idl.tables
        return sum(len(table.rows) * len(table.columns) for table in tables.values())

    def rows(self, table: str) -> list[Row]:
        """The rows of *table*, none if the database has no such table."""
        if self._idl is None or table not in self._idl.tables:
            return []
        return list(self._idl.tables[table].rows.values())

    def root(self) -> Row | None:
        """The row of the switch itself."""
        return next(iter(self.rows(DATABASE)), None)

    def columns(self, table: str) -> Iterable[str]:
        """Columns of *table*."""
        return () if self._idl is None or table not in self._idl.tables else self._idl.tables[table].columns

    # -- writing -----------------------------------------------------------------------------------

    @property
    def is_writing(self) -> bool:
        """Whether a transaction is under way: no other can begin before it ended."""
        return self._txn is not None

    def write(self, writes: Iterable[Write], *, done: Callable[[], None] | None = None) -> None:
        """Make one transaction of *writes*, which assign to columns; *done* is called once it ended."""
        assert self._idl is not None and self._txn is None
        self._txn = idl.Transaction(self._idl)
        self._done = [done] if done is not None else []
        for assign in writes:
            assign()
        self._finish(self._txn.commit())

    def _finish(self, status: str) -> None:
        if status == idl.Transaction.INCOMPLETE:
            return
        self._txn = None
        done, self._done = self._done, []
        for call in done:
            call()


def get(row: Row, column: str, default: Any = None) -> Any:
    """Value of *column* of *row*, not to be changed; *default* if the database has no such column."""
    # The package makes a value anew at each reading, which takes long: a round reads all there is.
    if column in (row._changes or ()):      # not stored yet
        return getattr(row, column, default)
    known = row.__dict__.setdefault("_known", {})
    if column not in known:
        known[column] = getattr(row, column, default)
    return known[column]


def put(row: Row, column: str, value: Any) -> Write | None:
    """What writes *value* (None: the empty set) to *column* of *row*; None if it is there already or the
    database has no such column."""
    now = get(row, column, _ABSENT)
    if now is _ABSENT:
        return None
    new = [] if value is None else value
    if now == new or (isinstance(now, list) and not isinstance(new, list) and now == [new]):
        return None
    return lambda: setattr(row, column, new)
