"""Put a running demo into every state that pages have to show; used by bench/looks.py.

Everything goes through the services and commands that people's pages call.
"""

import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from django.core.management import call_command
from django.utils import timezone

from labeling import storage
from labeling.models import Annotator, Dataset, Item, Job, LabelClass, Round, User
from labeling.services import crowd, datasets, gold, guards, jobs, members, questions, rounds
from labeling.services.annotations import annotator_for, record_annotation
from labeling.services.intake import importing
from labeling.services.versions import freeze_version
from quality.models import Action, Flag
from quality.services import decisions, withdrawing

MANAGE = Path(__file__).resolve().parent.parent / "manage.py"
TRAINING_SECONDS = 300.0  # after which a first fold is no longer waited for
PEOPLE = ("mira", "jonas", "ada")
SUBJECTS = {
    "card": ("My card was swallowed by the machine", "When does my new card arrive"),
    "transfer": ("The transfer to my brother has not arrived", "Why was my transfer refused"),
    "limit": ("How do I raise my daily limit", "What is the limit for a payment abroad"),
}


def furnish(password: str) -> None:
    """Add what the demo does not have: people, answers, decisions, and what went wrong."""
    lead = User.objects.get(username="lead")
    for user in User.objects.filter(username__in=("lead", "reviewer", "annotator")):
        user.set_password(password)
        user.save()
    User.objects.get_or_create(username="operator", defaults={"is_staff": True})
    digits = Dataset.objects.get(slug="digits")
    people = [_person(name, digits, lead) for name in PEOPLE]
    _answered_round(digits, people, lead)
    _verify_round(Dataset.objects.get(slug="tones"), lead)
    _stopped(digits, people[-1], lead)
    _failed_imports(lead)
    datasets.create_dataset(name="Nothing yet", media="image", by=lead)
    _texts(lead)
    _reviewed(Dataset.objects.get(slug="messages"), lead)
    job = jobs.open_job(kind="measure_crowd", dataset=digits)
    jobs.carry_out(job.pk, crowd.measure_crowd)
    _compared(digits, lead)
    for slug in ("digits", "tones", "messages"):
        _withdrawn(Dataset.objects.get(slug=slug), lead)


def invitation_link() -> str:
    """Make an invitation that nobody has used yet; returns its address."""
    dataset, lead = Dataset.objects.get(slug="digits"), User.objects.get(username="lead")
    _, token = members.invite(dataset=dataset, role="annotator", by=lead, now=timezone.now())
    return f"/invite/{token}/"


def _person(name: str, dataset: Dataset, lead: User) -> User:
    user, _ = User.objects.get_or_create(username=name)
    dataset.memberships.get_or_create(user=user, defaults={"role": "annotator"})
    members.make_token(user=user, name="script on the laptop")
    members.invite(dataset=dataset, role="reviewer", by=lead, now=timezone.now())
    return user


def _answered_round(dataset: Dataset, people: list[User], lead: User) -> None:
    labelled = dataset.items.filter(label__isnull=False, excluded="").order_by("key")
    keys = list(labelled.values_list("pk", flat=True))
    gold.use_labels_as_gold(items=keys[:30], dataset=dataset, by=lead, now=timezone.now())
    asking = rounds.make_round(
        dataset=dataset,
        name="Second look at digits before the summer release",
        kind="classify",
        items=keys[40:140],
        answers_wanted=2,
        gold_every=8,
        purpose="Are the new scans readable?",
        by=lead,
        deadline=timezone.now() + timedelta(days=3),
    )
    rng = random.Random(7)
    for user, count in zip(people, (80, 60, 12)):
        _answers(asking, annotator_for(dataset=dataset, user=user), count, rng)
    for text in ("Is a 7 with a bar a 7?", "May I say unsure when it is only half there?"):
        asked = questions.ask_lead(
            round=asking,
            annotator=annotator_for(dataset=dataset, user=people[0]),
            client_id=_uuid(rng),
            text=text,
            item=Item.objects.get(pk=keys[41]),
        )
    questions.reply_to(question=asked, text="Yes, please do.", by=lead, now=timezone.now())


def _uuid(rng: random.Random) -> uuid.UUID:
    return uuid.UUID(int=rng.getrandbits(128), version=4)


def _answers(asking: Round, annotator: Annotator, count: int, rng: random.Random) -> None:
    now = timezone.now()
    classes = list(asking.dataset.classes.all())
    for _ in range(count):
        for row in rounds.claim_items(round=asking, annotator=annotator, count=1, now=now):
            given = _given(row.item, classes, rng)
            record_annotation(
                round=asking,
                item=row.item_id,
                annotator=annotator,
                client_id=_uuid(rng),
                answer="class" if given else rng.choice(["unsure", "skip"]),
                label=given,
                seconds=rng.uniform(1, 4),
                now=now,
            )


def _given(item: Item, classes: list[LabelClass], rng: random.Random) -> LabelClass | None:
    return rng.choice([item.label] * 12 + [rng.choice(classes), None])


def _verify_round(dataset: Dataset, lead: User) -> None:
    keys = dataset.items.filter(label__isnull=False, excluded="").values_list("pk", flat=True)
    kinds = {"verify": "Is this what it says?", "classify": "A round that was closed"}
    for kind, name in kinds.items():
        asking = rounds.make_round(
            dataset=dataset, name=name, kind=kind, items=list(keys[:40]), answers_wanted=1, by=lead
        )
    rounds.close_round(asking=asking, now=timezone.now())


def _stopped(dataset: Dataset, user: User, lead: User) -> None:
    annotator, now = annotator_for(dataset=dataset, user=user), timezone.now()
    guards.warn_or_pause(annotator=annotator, kinds=["too fast", "one key"], now=now)
    guards.warn_or_pause(annotator=annotator, kinds=["too fast"], now=now)
    guards.answer_pause(annotator=annotator, text="My key was stuck, sorry.", by=user, now=now)


def _failed_imports(lead: User) -> None:
    """Make an import whose folder went away, and one whose table asks which column is which."""
    dataset = datasets.create_dataset(name="Letters", media="image", by=lead)
    with tempfile.TemporaryDirectory() as gone:
        _import(dataset, Path(gone), lead)
    folder = Path(tempfile.mkdtemp(prefix="winnow-looks-"))
    (folder / "list.csv").write_text(
        "Number;Word;Picture\n" + "".join(f"x{n};{'yn'[n % 2]};pic-{n}\n" for n in range(1, 9))
    )
    source = Dataset.objects.get(slug="digits").items.first().content
    for n in range(1, 9):
        (folder / f"image {n}.png").write_bytes(storage.read_bytes(source.sha256) + bytes([n]))
    _import(dataset, folder, lead)


def _import(dataset: Dataset, folder: Path, lead: User) -> None:
    _, job = importing.open_import(dataset=dataset, path=folder, by=lead)
    jobs.carry_out(job.pk, importing.import_upload)


def _texts(lead: User) -> None:
    rng = random.Random(3)
    rows = ["key,text,label"]
    for n in range(160):
        name = rng.choice(list(SUBJECTS))
        said = rng.choice(list(SUBJECTS)) if n % 15 == 0 else name
        rows.append(f"m{n},{rng.choice(SUBJECTS[name])} since number {rng.randint(1, 900)}?,{said}")
    folder = Path(tempfile.mkdtemp(prefix="winnow-looks-"))
    (folder / "messages.csv").write_text("\n".join(rows))
    call_command("import_dataset", "messages", str(folder), media="text", owner=lead.username)
    call_command("train", "messages")
    call_command("detect", "messages")


def _reviewed(dataset: Dataset, lead: User) -> None:
    """Decide the shortest queue to its last flag."""
    kinds = list(dataset.flags.filter(state="open").values_list("kind", flat=True).order_by())
    shortest = min(set(kinds), key=kinds.count)
    for flag in dataset.flags.filter(kind=shortest, state="open"):
        decisions.decide_flag(flag=flag, reviewer=lead, action=Action.KEEP, seconds=2.5)


def _withdrawn(dataset: Dataset, lead: User) -> None:
    """Withdraw consent for an item beside the worst label error, so that its queue shows it."""
    worst = dataset.flags.filter(kind="label_error", state="open").order_by("-score", "pk")[0]
    near = worst.evidence["neighbours"][0][0]
    job = withdrawing.open_withdrawal(dataset=dataset, items=[near], typed=dataset.slug, by=lead)
    jobs.carry_out(job.pk, withdrawing.withdraw)


def _compared(dataset: Dataset, lead: User) -> None:
    _relabel(dataset, lead, count=12)
    version, _ = freeze_version(dataset=dataset)
    call_command("prove", "digits", "1", str(version.number))


def _relabel(dataset: Dataset, lead: User, *, count: int) -> None:
    doubts = Flag.objects.filter(dataset=dataset, kind="label_error", state="open")
    for flag in doubts.exclude(suggested="").order_by("-score")[:count]:
        label = dataset.classes.get(name=flag.suggested)
        decisions.decide_flag(
            flag=flag, reviewer=lead, action=Action.RELABEL, label=label, seconds=3.0,
            test_confirmed=True,
        )  # fmt: skip


@contextmanager
def held_training(dataset: Dataset) -> Iterator[int]:
    """Train for real and hold still once a first fold is in the matrix; gives the run's number."""
    _relabel(dataset, User.objects.get(username="lead"), count=1)  # else nothing is new to train
    training = subprocess.Popen([sys.executable, str(MANAGE), "train", dataset.slug])
    try:
        _wait_for_a_fold(dataset, training)
        training.send_signal(signal.SIGSTOP)
        yield dataset.runs.order_by("-number")[0].number
    finally:
        training.send_signal(signal.SIGCONT)
        training.wait()


def _wait_for_a_fold(dataset: Dataset, training: "subprocess.Popen[bytes]") -> None:
    running = Job.objects.filter(dataset=dataset, kind="train", state="running")
    for _ in range(int(TRAINING_SECONDS / 0.02)):
        if training.poll() is not None:
            raise SystemExit(f"the training of {dataset.slug} ended before it was photographed")
        if any(job.detail.get("fold_scores") for job in running.all()):
            return
        time.sleep(0.02)
    raise SystemExit(f"no fold of {dataset.slug} was trained in {TRAINING_SECONDS:.0f} s")
