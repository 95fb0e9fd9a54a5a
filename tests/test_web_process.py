"""The web process stays small: what only workers need is never loaded into it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("tensorflow", "keras", "librosa", "numba", "sklearn")
VISIT = """
import json, re, sys
from pathlib import Path
import config.asgi
import config.urls
from django.template import Engine
from django.test import Client

from labeling.models import Item, Content, Membership, User
from labeling.services import datasets, labels, versions
from quality.models import Run

reader = User.objects.create_user("maria", password="x", is_staff=True)
made = datasets.create_dataset(name="pets", media="image", classes=["cat", "dog"], by=reader)
content = Content.objects.create(sha256="0" * 64, type="png", mime="image/png", size=1)
Item.objects.create(
    dataset=made, key="a.png", content=content, split="train",
    label=made.classes.first(), label_source="import",
)
version, _ = versions.freeze_version(dataset=made)
Run.objects.create(dataset=made, number=1, version=version, protocol={}, backbone="b")
client = Client(headers={"host": "localhost"})
client.force_login(reader)
parsed = Engine.get_default().template_loaders[0].get_template_cache
at_start, seen = set(parsed), {}
for address in sys.argv[1].split():
    seen[address] = client.get(address).status_code
loaded = sorted(name for name in sys.argv[2].split() if name in sys.modules)
status = Path("/proc/self/status")
resident = re.search(r"VmRSS:\\s+(\\d+)", status.read_text()) if status.exists() else None
megabytes = int(resident[1]) / 1024 if resident else 0
late = sorted(set(parsed) - at_start)
print(json.dumps({"seen": seen, "loaded": loaded, "megabytes": megabytes, "late": late}))
"""
PAGES = ("", "browse/", "browse/?sort=suspicious", "browse/?flag=any", "browse/counts/",
         "browse/round/", "browse/histogram/", "items/1/", "rounds/new/", "import/", "settings/",
         "members/", "rounds/", "crowd/", "crowd/agreement/", "crowd/answers/", "disputes/",
         "runs/", "runs/1/", "runs/1/model/", "checks/", "review/", "review/label_error/",
         "versions/", "before-after/")  # fmt: skip
MOST_MEGABYTES = 150  # resident, after every page was asked for
ADDRESSES = ["/", "/account/", "/work/", "/system/", "/healthz", "/datasets/new/", "/api/docs",
             *(f"/d/pets/{page}" for page in PAGES)]  # fmt: skip


def test_the_web_process_stays_small_and_never_loads_what_only_workers_need(
    tmp_path: Path, redis_address: str, prepared: Callable[[Path], Path]
) -> None:
    environment = {**os.environ, "WINNOW_DATA": str(prepared(tmp_path))}
    environment |= {"DJANGO_SETTINGS_MODULE": "config.settings", "REDIS_URL": redis_address}
    environment.pop("DATABASE_URL", None)
    done = subprocess.run(
        [sys.executable, "-c", VISIT, " ".join(ADDRESSES), " ".join(HEAVY)],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["loaded"] == []
    assert found["megabytes"] <= MOST_MEGABYTES
    assert found["late"] == [], "templates that a page's first visitor waits for"
    assert set(found["seen"].values()) == {200}, found["seen"]
