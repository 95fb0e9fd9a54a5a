"""The private Redis starts wherever the data folder lies."""

from pathlib import Path

import redis

from config import redis_server


def test_redis_starts_in_a_folder_whose_name_has_spaces_and_quotes(tmp_path: Path) -> None:
    folder = tmp_path / 'My "own" data'
    process, url = redis_server.start(folder)
    try:
        redis.Redis.from_url(url).set("there", 1)
        assert list(folder.glob("appendonly*"))  # a folder since Redis 7, a file before
    finally:
        process.terminate()
        process.wait()
