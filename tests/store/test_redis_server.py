"""The bundled Redis server: started once, stopped cleanly, safe to kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

import hub
from hub.core.errors import SetupError
from hub.store import redis_server
from hub.store.redis_server import EmbeddedRedis

OTHER_PROCESS = """
import sys, time
from pathlib import Path
from hub.store.redis_server import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[1])).start()
print(server.pid, int(server.owned), flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: pytest's own may be too long for a socket, which has its own test."""
    with tempfile.TemporaryDirectory(prefix="hub-test-") as name:
        yield Path(name)


def ask(server: EmbeddedRedis) -> Redis:
    return Redis.from_url(server.url)


def other_process(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OTHER_PROCESS, str(folder)]
    env = {**os.environ, "PYTHONPATH": str(Path(hub.__file__).parents[1])}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, env=env)


def read_line(process: subprocess.Popen[str]) -> tuple[int, bool]:
    assert process.stdout is not None
    pid, owned = process.stdout.readline().split()
    return int(pid), owned == "1"


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def await_end(pid: int) -> None:
    deadline = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < deadline, "the server still runs"
        time.sleep(0.01)


def test_serves_on_a_private_socket_only_and_stops(folder: Path) -> None:
    with EmbeddedRedis(folder) as server:
        pid = server.pid
        assert server.owned
        assert server.url == f"unix://{folder}/redis.sock?db=0"
        with ask(server) as client:
            assert client.ping()
            assert client.config_get("port") == {"port": "0"}
            assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert server.socket.stat().st_mode & 0o777 == 0o700
        assert (folder / "redis").stat().st_mode & 0o777 == 0o700
        assert os.getsid(pid) != os.getsid(0), "Ctrl-C in our terminal must not reach it"
    assert not is_alive(pid)
    assert not server.socket.exists()
    server.stop()


def test_keeps_its_data_over_a_clean_stop(folder: Path) -> None:
    with EmbeddedRedis(folder) as server, ask(server) as client:
        client.set("kept", "yes")
    with EmbeddedRedis(folder) as server, ask(server) as client:
        assert client.get("kept") == b"yes"


def test_keeps_its_data_over_kill_9(folder: Path) -> None:
    server = EmbeddedRedis(folder).start()
    with ask(server) as client:
        client.mset({f"key{n}": n for n in range(1000)})
        time.sleep(1.2)  # appendfsync everysec
    first = server.pid
    os.kill(first, signal.SIGKILL)
    await_dead_child(server)
    assert server.start().pid != first, "the same object starts a dead server again"
    with ask(server) as client:
        assert client.dbsize() == 1000
    server.stop()


def await_dead_child(server: EmbeddedRedis) -> None:
    assert server._child is not None
    server._child.wait(10)


def test_a_running_server_is_used_and_left_alone(folder: Path) -> None:
    with EmbeddedRedis(folder) as first:
        with EmbeddedRedis(folder) as second:
            assert second.pid == first.pid
            assert not second.owned
        assert is_alive(first.pid)
        with ask(first) as client:
            assert client.ping()


def test_a_server_of_somebody_elses_make_is_used_and_left_alone(folder: Path) -> None:
    binary = next(redis_server._binaries())
    socket = folder / "redis.sock"
    command = [str(binary), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not socket.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with EmbeddedRedis(folder) as server:
            assert server.pid == process.pid
            assert not server.owned
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(10)


def test_a_stale_socket_and_stale_locks_are_no_hindrance(folder: Path) -> None:
    (folder / "redis").mkdir()
    (folder / "redis.sock").touch()
    (folder / "redis" / "server.lock").touch()
    (folder / "redis" / "owner.lock").touch()
    with EmbeddedRedis(folder) as server:
        assert server.owned


def test_two_processes_starting_at_once_end_with_one_server(folder: Path) -> None:
    processes = [other_process(folder) for _ in range(4)]
    try:
        found = [read_line(process) for process in processes]
        assert len({pid for pid, _ in found}) == 1
        assert sum(owned for _, owned in found) == 1
    finally:
        for process in processes:
            process.communicate("", timeout=30)
    await_end(found[0][0])


def test_two_threads_starting_at_once_end_with_one_server(folder: Path) -> None:
    servers = [EmbeddedRedis(folder) for _ in range(8)]
    threads = [threading.Thread(target=server.start) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({server.pid for server in servers}) == 1
    assert sum(server.owned for server in servers) == 1
    for server in servers:
        server.stop()


def test_the_server_of_a_killed_owner_is_taken_over(folder: Path) -> None:
    process = other_process(folder)
    pid, owned = read_line(process)
    assert owned
    process.kill()
    process.communicate()
    assert is_alive(pid)
    with EmbeddedRedis(folder) as server:
        assert (server.pid, server.owned) == (pid, True)
    await_end(pid)


def test_an_owner_whose_server_was_replaced_leaves_the_new_one_alone(folder: Path) -> None:
    old = EmbeddedRedis(folder).start()
    os.kill(old.pid, signal.SIGKILL)
    await_dead_child(old)
    with EmbeddedRedis(folder) as new:
        assert new.owned
        old.stop()
        with ask(new) as client:
            assert client.ping()


def test_a_server_that_ignores_shutdown_is_ended_by_signals(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = EmbeddedRedis(folder).start()
    pid = server.pid
    monkeypatch.setattr(redis_server, "STOP_PATIENCE", 1.0)
    os.kill(pid, signal.SIGSTOP)
    server.stop()
    assert not is_alive(pid)


def test_a_long_folder_has_its_socket_in_a_private_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    long = folder / ("x" * 60) / ("y" * 60)
    with EmbeddedRedis(long) as server:
        assert len(str(server.socket)) <= redis_server.LONGEST_PATH
        assert server.socket.parent.stat().st_mode & 0o777 == 0o700
        assert EmbeddedRedis(long).url == server.url
        assert EmbeddedRedis(folder / ("x" * 60) / ("z" * 60)).url != server.url
        with ask(server) as client:
            assert client.ping()


def test_a_private_place_open_to_others_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    long = folder / ("x" * 60) / ("y" * 60)
    EmbeddedRedis(long).socket.parent.chmod(0o755)
    with pytest.raises(SetupError, match="open to others"):
        EmbeddedRedis(long).start()


def test_a_folder_with_spaces_and_signs(folder: Path) -> None:
    with EmbeddedRedis(folder / "dane sklepu #1 żółć") as server, ask(server) as client:
        assert client.ping()


def test_a_machine_without_a_bundled_server_names_the_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "_binaries", lambda: iter(()))
    with pytest.raises(SetupError, match="HUB_REDIS_URL") as caught:
        EmbeddedRedis(folder).start()
    assert "redis://" in str(caught.value)


def test_a_binary_that_does_not_run_here_is_passed_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = next(redis_server._binaries())
    alien = folder / "alien"
    alien.write_bytes(b"\x7fELF nothing for this machine")
    alien.chmod(0o755)
    monkeypatch.setattr(redis_server, "_binaries", lambda: iter((alien, good)))
    with EmbeddedRedis(folder) as server:
        assert server.owned
    monkeypatch.setattr(redis_server, "_binaries", lambda: iter((alien,)))
    with pytest.raises(SetupError, match=r"alien: .*HUB_REDIS_URL|HUB_REDIS_URL.*alien"):
        EmbeddedRedis(folder).start()


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    (folder / "redis").mkdir()
    (folder / "redis" / "appendonlydir").write_text("not a folder")
    with pytest.raises(SetupError, match="HUB_REDIS_URL") as caught:
        EmbeddedRedis(folder).start()
    assert "appendonlydir" in caught.value.cause.lower() or "append" in caught.value.cause.lower()
    (folder / "redis" / "appendonlydir").unlink()
    with EmbeddedRedis(folder) as server:
        assert server.owned
