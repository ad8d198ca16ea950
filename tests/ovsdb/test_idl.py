"""The replica of the database: what is read, what is written, who is in charge; over a real ovsdb-server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from ovs.poller import Poller
from reference import available
from stack import DatabaseServer

from fastpath.ovsdb.idl import Database, put


@pytest.fixture
def server() -> Iterator[DatabaseServer]:
    if not available():
        pytest.skip("the reference's database server is not installed")
    with DatabaseServer() as found:
        yield found


def turn(db: Database, until: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline
        db.run()
        poller = Poller()
        db.wait(poller)
        poller.timer_wait(50)
        poller.block()
    db.run()


def names(db: Database) -> set[str]:
    return {row.name for row in db.rows("Interface")}


def test_a_replica_is_ready_when_its_rows_came_not_when_its_lock_did(server: DatabaseServer) -> None:
    server.run("ovs-vsctl --no-wait add-br br0")
    db = Database(f"unix:{server.dir}/db.sock", lock="test")
    turn(db, lambda: db._idl is not None)
    replica = db._idl
    assert replica is not None and not db.is_ready
    session, held = replica._session, []
    take = session.recv

    def rows_come_last() -> object:         # what is not the lock's reply waits until the lock was granted
        while not db.has_lock and (message := take()) is not None:
            if message.id == replica._lock_request_id:
                return message
            held.append(message)
        return held.pop(0) if held else take()

    session.recv = rows_come_last
    turn(db, lambda: db.has_lock)
    assert db.is_ready == (names(db) == {"br0"})
    turn(db, lambda: db.is_ready)
    assert names(db) == {"br0"}
    db.close()


def test_rows_are_read_and_columns_written(server: DatabaseServer) -> None:
    server.run("ovs-vsctl --no-wait add-br br0 -- add-port br0 p1")
    db = Database(f"unix:{server.dir}/db.sock", lock="test")
    turn(db, lambda: db.is_ready and db.has_lock)
    assert names(db) == {"br0", "p1"} and not db.rows("NoSuch")
    (p1,) = [row for row in db.rows("Interface") if row.name == "p1"]
    writes = [put(p1, "ofport", 7), put(p1, "error", None), put(p1, "no_such_column", 1)]
    assert writes[1:] == [None, None] and writes[0] is not None
    ended: list[bool] = []
    db.write([writes[0]], done=lambda: ended.append(True))
    assert db.is_writing
    turn(db, lambda: not db.is_writing)
    assert ended == [True] and server.run("ovs-vsctl get interface p1 ofport") == "7\n"
    db.close()


def test_only_what_others_write_counts_as_a_change(server: DatabaseServer) -> None:
    db = Database(f"unix:{server.dir}/db.sock", lock="test")
    turn(db, lambda: db.is_ready and db.has_lock)
    server.run("ovs-vsctl --no-wait add-br br0")
    turn(db, lambda: len(db.rows("Bridge")) == 1)
    seen = db.seqno
    server.run("ovs-vsctl --no-wait set interface br0 ofport=3")
    (row,) = db.rows("Interface")
    turn(db, lambda: row.ofport == [3])
    assert db.seqno == seen
    server.run("ovs-vsctl --no-wait set interface br0 ofport_request=3")
    turn(db, lambda: row.ofport_request == [3])
    assert db.seqno != seen
    db.close()


def test_one_client_at_a_time_is_in_charge(server: DatabaseServer) -> None:
    first, second = (Database(f"unix:{server.dir}/db.sock", lock="test") for _ in range(2))
    turn(first, lambda: first.has_lock)
    turn(second, lambda: second.is_lock_contended)
    assert not second.has_lock
    first.close()
    turn(second, lambda: second.has_lock)
    second.close()


def test_the_replica_outlives_the_server_and_follows_the_next(server: DatabaseServer) -> None:
    server.run("ovs-vsctl --no-wait add-br br0")
    db = Database(f"unix:{server.dir}/db.sock", lock="test")
    turn(db, lambda: db.is_ready and db.has_lock)
    server.stop("ovsdb-server")
    for _ in range(3):
        db.run()
    assert [row.name for row in db.rows("Bridge")] == ["br0"]
    server.start_database()
    server.run("ovs-vsctl --no-wait add-br br1")
    turn(db, lambda: len(db.rows("Bridge")) == 2)
    db.close()
