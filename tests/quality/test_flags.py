"""Raising flags: what is found stands in the queue, what was settled stays settled."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from labeling.models import Content, Dataset, Item, Job, JobState, Upload
from labeling.services import jobs
from labeling.services.datasets import add_classes
from mlcore.neighbours import nearest
from quality.detectors import KINDS
from quality.doubts import Doubt
from quality.doubts.labels import most_candidates
from quality.models import Action, Flag, FlagState
from quality.queries.expected import expected_right
from quality.queries.flags import flag_rows, tally_of
from quality.queries.survey import Survey, survey_of
from quality.services import flags
from quality.services.decisions import decide_flag
from quality.services.flags import flag_items, raise_flags, store, subject_of
from tests.factories import make_dataset, make_item, make_member, make_user
from tests.quality.words import add_text, make_words

pytestmark = pytest.mark.django_db


def make_work(dataset: Dataset, **options: object) -> jobs.Work:
    job = jobs.open_job(kind="detect", dataset=dataset, options=options)
    claimed = jobs.claim(job.pk)
    assert claimed
    return jobs.Work(claimed)


def make_survey(dataset: Dataset) -> Survey:
    return survey_of(dataset)


def doubt(row: int = 0, **fields: object) -> Doubt:
    return Doubt(**{"rows": (row,), "score": 0.9, "reason": "looks wrong"} | fields)  # type: ignore[arg-type]


def raise_doubts(dataset: Dataset, *doubts: Doubt, kind: str = "label_error") -> dict[str, object]:
    work = make_work(dataset)
    found = store(work, survey_of(dataset), kind=KINDS[kind], doubts=doubts)
    jobs.cancel_job(job=work.job)
    return found


def test_a_doubt_becomes_one_open_flag_with_its_item():
    dataset = make_dataset()
    item = make_item(dataset, "a.png", "cat")
    raise_doubts(dataset, doubt(given="cat", suggested="dog"))
    flag = Flag.objects.get()
    assert (flag.state, flag.given, flag.suggested) == (FlagState.OPEN, "cat", "dog")
    assert list(flag.items.all()) == [item]


def test_an_open_flag_is_updated_when_raised_again():
    dataset = make_dataset()
    make_item(dataset, "a.png", "cat")
    raise_doubts(dataset, doubt(score=0.9))
    raise_doubts(dataset, doubt(score=0.4, reason="less sure now"))
    flag = Flag.objects.get()
    assert (flag.score, flag.reason) == (0.4, "less sure now")


def test_a_flag_that_is_no_longer_raised_is_gone_and_comes_back_as_the_same_row():
    dataset = make_dataset()
    make_item(dataset, "a.png", "cat")
    raise_doubts(dataset, doubt())
    raise_doubts(dataset)
    assert Flag.objects.get().state == FlagState.GONE
    raise_doubts(dataset, doubt())
    assert Flag.objects.get().state == FlagState.OPEN


@pytest.mark.parametrize("settled", [FlagState.DISMISSED, FlagState.DECIDED])
def test_a_settled_doubt_is_not_raised_again_whatever_its_score(settled):
    dataset = make_dataset()
    make_item(dataset, "a.png", "cat")
    raise_doubts(dataset, doubt(given="cat", suggested="dog", score=0.6))
    Flag.objects.update(state=settled)
    raise_doubts(dataset, doubt(given="cat", suggested="dog", score=0.99))
    assert Flag.objects.get().state == settled


@pytest.mark.parametrize("action", [Action.EXCLUDE, Action.RELABEL, Action.MOVE])
def test_a_doubt_is_raised_anew_once_its_item_is_what_it_was_before_the_decision(action):
    dataset = make_dataset()
    item = make_item(dataset, "a.png", "cat", split="train")
    was = {name: getattr(item, name) for name in ("label", "split", "excluded")}
    raise_doubts(dataset, doubt(given="cat", suggested="dog"))
    decided = Flag.objects.get()
    label = dataset.classes.get(name="dog") if action == Action.RELABEL else None
    decide_flag(flag=decided, action=action, reviewer=make_member(dataset), label=label)
    Item.objects.update(**was)  # as bringing a version back does it
    raise_doubts(dataset, doubt(given="cat", suggested="dog"))
    again = Flag.objects.get(state=FlagState.OPEN)
    assert (again.pk != decided.pk, again.subject) == (True, decided.subject)
    decide_flag(flag=again, action=Action.KEEP, reviewer=make_member(dataset))
    raise_doubts(dataset, doubt(given="cat", suggested="dog"))
    assert not Flag.objects.filter(state=FlagState.OPEN).exists()


def test_another_suggestion_is_another_doubt():
    dataset = make_dataset(classes=("cat", "dog", "cow"))
    make_item(dataset, "a.png", "cat")
    raise_doubts(dataset, doubt(given="cat", suggested="dog"))
    Flag.objects.update(state=FlagState.DISMISSED)
    raise_doubts(dataset, doubt(given="cat", suggested="cow"))
    assert Flag.objects.filter(state=FlagState.OPEN).get().suggested == "cow"


def test_a_check_that_runs_or_was_cut_off_is_not_said_to_have_never_been_there(client):
    dataset = make_dataset()
    make_item(dataset, "a.png", "cat")
    waiting = jobs.open_job(kind="detect", dataset=dataset)
    client.force_login(make_member(dataset))
    address = reverse("quality:checks", args=[dataset.slug])
    page = client.get(address).text
    assert page.count("waits in line") > 2
    assert "running now" not in page
    jobs.cancel_job(job=waiting)
    work = make_work(dataset)
    store(work, survey_of(dataset), kind=KINDS["label_error"], doubts=[doubt()])
    page = client.get(address).text
    assert page.count("running now") > 2
    assert ">never<" not in page
    jobs.cancel_job(job=work.job)
    page = client.get(address).text
    assert page.count("not to its end yet") == 1
    assert ">never<" in page


def test_the_subject_does_not_depend_on_the_order_of_keys():
    assert subject_of(["b", "a"]) == subject_of(["a", "b"])
    assert subject_of(["a", "b"]) != subject_of(["ab"])


def test_raising_costs_few_queries_however_many_flags(django_assert_max_num_queries):
    dataset = make_dataset()
    for number in range(40):
        make_item(dataset, f"{number}.png", "cat")
    survey, work = survey_of(dataset), make_work(dataset)
    kind = KINDS["label_error"]
    with django_assert_max_num_queries(12):
        store(work, survey, kind=kind, doubts=[doubt(row) for row in range(40)])


def test_candidates_are_bounded_and_go_on_after_those_that_were_settled():
    dataset = make_dataset()
    for number in range(6):
        make_item(dataset, f"{number}.png", "cat")
    doubts = [
        doubt(number, score=0.9 - number / 10, is_likely=number == 0, given="cat", suggested="dog")
        for number in range(6)
    ]
    two = replace(KINDS["label_error"], most_candidates=lambda n_items: 2)

    def check() -> list[str]:
        work = make_work(dataset)
        store(work, survey_of(dataset), kind=two, doubts=doubts)
        jobs.cancel_job(job=work.job)
        now_open = Flag.objects.filter(state=FlagState.OPEN)
        return sorted(now_open.values_list("items__key", flat=True))

    assert check() == ["0.png", "1.png", "2.png"]  # the expected error and two candidates
    Flag.objects.filter(items__key__in=["0.png", "1.png"]).update(state=FlagState.DECIDED)
    assert check() == ["2.png", "3.png"]
    Flag.objects.update(state=FlagState.DECIDED)
    assert check() == ["4.png", "5.png"]
    assert most_candidates(1_000) == 400
    assert most_candidates(1_000_000) == 20_000


def test_what_is_likely_follows_the_decisions_at_the_next_check():
    dataset, reviewer = make_dataset(), make_user()
    for number in range(26):
        make_item(dataset, f"{number:02}.png", "cat")
    doubts = [doubt(number, score=0.8, given="cat", suggested="dog") for number in range(26)]
    assert raise_doubts(dataset, *doubts)["likely"] == 26
    for flag in Flag.objects.order_by("pk")[:19]:
        decide_flag(flag=flag, reviewer=reviewer, action=Action.KEEP)
    assert raise_doubts(dataset, *doubts)["likely"] == 7  # too few decisions to know better
    decide_flag(flag=Flag.objects.order_by("pk")[19], reviewer=reviewer, action=Action.KEEP)
    assert raise_doubts(dataset, *doubts)["likely"] == 0
    left = expected_right(dataset, ["label_error"], tally=tally_of(dataset))
    assert left["label_error"].high < 3


def test_flags_whose_items_moved_on_are_not_expected_of_the_queue():
    dataset = make_dataset()
    items = [make_item(dataset, f"{number}.png", "cat") for number in range(8)]
    sure = [doubt(number, score=0.99) for number in range(5)]
    unsure = [doubt(number, score=0.01, is_likely=False) for number in range(5, 8)]
    raise_doubts(dataset, *sure, *unsure, kind="leakage")
    for item in items[:5]:  # taken out in the queue of copies, say
        Item.objects.filter(pk=item.pk).update(excluded="duplicate")
    left = expected_right(dataset, ["leakage"], tally=tally_of(dataset))
    assert left["leakage"].value < 1


def test_what_the_check_itself_expects_stays_beside_what_was_learned():
    dataset = make_dataset()
    for name in ("a.png", "b.png", "c.png"):
        make_item(dataset, name, "cat")
    raise_doubts(dataset, doubt(0, score=0.3, given="cat", suggested="dog", is_likely=False))
    raise_doubts(
        dataset, doubt(1, score=0.3), doubt(2, score=0.6, is_likely=False), kind="file_fault"
    )
    of_label, marked, candidate = Flag.objects.order_by("pk").values_list("expected", flat=True)
    assert of_label == pytest.approx(0.3, abs=0.03)
    assert marked == pytest.approx(0.65, abs=0.03)  # a score that only ranks: the mark says half
    assert candidate == pytest.approx(0.3, abs=0.03)


def copies(dataset: Dataset, *items: Item) -> None:
    content = items[0].content_id
    Item.objects.filter(pk__in=[item.pk for item in items]).update(content_id=content)


def test_one_flag_stands_for_a_whole_set_of_copies():
    dataset = make_dataset()
    first, second, third = (make_item(dataset, name, "cat") for name in ("a", "b", "c"))
    make_item(dataset, "d", "cat")
    copies(dataset, first, second, third)
    raise_doubts(dataset, *KINDS["near_duplicate"].find(survey_of(dataset)), kind="near_duplicate")
    flag = Flag.objects.get()
    assert set(flag.items.values_list("key", flat=True)) == {"a", "b", "c"}
    assert flag.flag_items.filter(role="keep").count() == 1
    rows = list(flag_rows(dataset))
    assert len(rows) == 3
    assert {(row["key"], row["other_key"]) for row in rows} == {("a", "b"), ("a", "c"), ("b", "c")}


def test_copies_across_splits_keep_the_test_copy():
    dataset = make_dataset()
    train = make_item(dataset, "a", "cat", split="train")
    test = make_item(dataset, "b", "dog", split="test")
    copies(dataset, train, test)
    (found,) = KINDS["leakage"].find(survey_of(dataset))
    assert dict(zip(found.rows, found.roles)) == {0: "copy", 1: "keep"}
    assert "label" not in found.reason


def test_a_source_in_two_splits_is_one_flag_about_all_its_items():
    dataset = make_dataset()
    for name, split in (("a", "train"), ("b", "train"), ("c", "test")):
        make_item(dataset, name, "cat", split=split, source_group="ann")
    for name in ("d", "e"):
        make_item(dataset, name, "cat", split="train", source_group=f"only {name}")
    (found,) = KINDS["leakage"].find(survey_of(dataset))
    assert (found.rows, found.roles) == ((0, 1, 2), ("train", "train", "test"))


def test_harmless_oddities_are_candidates_and_serious_ones_are_likely():
    dataset = make_dataset()
    make_item(dataset, "a.jpg", "cat", odd=[["exif_rotated", "Turned by the camera."]])
    make_item(dataset, "b.jpg", "cat", odd=[["wrong_extension", "A PNG named .jpg."]])
    turned, misnamed = KINDS["file_fault"].find(survey_of(dataset))
    assert not turned.is_likely
    assert misnamed.is_likely
    assert misnamed.score > turned.score


def test_what_comes_up_after_people_had_decided_is_told_by_the_queue_and_the_review(client):
    dataset = make_dataset()
    client.force_login(make_member(dataset))
    pages = [
        reverse("quality:queue", args=[dataset.slug, "file_fault"]),
        reverse("quality:review", args=[dataset.slug]),
    ]

    def check(key: str) -> list[bool]:
        make_item(dataset, key, "cat", odd=[["wrong_extension", "A PNG named .jpg."]])
        job = jobs.open_job(kind="detect", dataset=dataset, options={"kinds": ["file_fault"]})
        assert jobs.carry_out(job.pk, raise_flags)
        return ["1 more came up" in client.get(page).text for page in pages]

    assert check("a.jpg") == [False, False]
    assert check("b.jpg") == [False, False]  # nobody has decided anything there
    decide_flag(flag=Flag.objects.first(), reviewer=None, action="keep")
    assert check("c.jpg") == [True, True]


class Killed(jobs.Work):
    """An attempt that ends before what it would store second."""

    stored = 0

    def hold(self) -> None:
        if self.stored:
            raise KeyboardInterrupt
        self.stored += 1
        super().hold()


def test_what_a_killed_attempt_stored_counts_as_what_the_check_added():
    dataset = make_dataset()
    for key in "abc":
        make_item(dataset, key)
    raise_doubts(dataset, doubt(0), doubt(1))
    work = make_work(dataset)
    found = {"kind": KINDS["label_error"], "doubts": [doubt(0), doubt(2)]}
    with pytest.raises(KeyboardInterrupt):
        store(Killed(work.job), survey_of(dataset), **found)
    assert Flag.objects.filter(state=FlagState.OPEN).count() == 3, "the new one, none gone yet"
    Job.objects.filter(pk=work.job.pk).update(lease_until=timezone.now() - timedelta(minutes=1))
    again = jobs.Work(jobs.claim(work.job.pk))
    told = store(again, survey_of(dataset), **found)
    assert (told["open"], told["new"], told["gone"]) == (2, 1, 1)


def test_a_set_that_is_cut_tight_is_said_once_and_what_stands_out_is_a_candidate():
    dataset = make_dataset(media="audio")
    for number in range(40):
        clip = make_item(dataset, f"{number:02}.wav", "cat")
        onset = -0.5 if number == 7 else -7.0 - number / 10
        facts = {"edge_start_db": onset, "onset_start_db": onset, "frame_range_db": 30.0}
        Content.objects.filter(pk=clip.content_id).update(facts=facts)
    outcome = raise_flags(make_work(dataset, kinds=["cut_audio"]))
    flag = Flag.objects.get()
    assert flag.items.get().key == "07.wav"
    assert not flag.is_likely
    assert "100 % begin or end within 12 dB" in outcome["kinds"]["cut_audio"]["notice"]


@pytest.mark.parametrize("name", ["_silence_", "Background Noise", "_background_noise_"])
def test_clips_of_a_class_of_silence_are_not_called_silent(name):
    dataset = make_dataset(media="audio")
    add_classes(dataset=dataset, names=["cat", name])
    for key, label in (("quiet.wav", name), ("word.wav", "cat")):
        clip = make_item(dataset, key, label)
        Content.objects.filter(pk=clip.content_id).update(facts={"dbfs": -100.0})
    raise_flags(make_work(dataset, kinds=["silent_audio"]))
    assert Flag.objects.get().items.get().key == "word.wav"


def _clip(dataset, number, rate=8000, channels=1, **fields):
    clip = make_item(dataset, f"{number:02}.wav", "cat", **fields)
    facts = {"sample_rate": rate, "channels": channels}
    Content.objects.filter(pk=clip.content_id).update(facts=facts)
    return clip


def test_clips_of_another_format_than_nearly_all_wait_in_a_queue_of_their_own():
    dataset = make_dataset(media="audio")
    for number in range(40):
        _clip(dataset, number)
    _clip(dataset, 40, 44_100, 2)
    _clip(dataset, 41, odd=[["tiny", "Only 0.1 ms long."]])
    raise_flags(make_work(dataset, kinds=["odd_audio", "file_fault"]))
    told = list(Flag.objects.order_by("-score").values_list("kind", "items__key", "reason"))
    assert told == [
        ("odd_audio", "40.wav", "44.1 kHz stereo; 41 of 42 are 8 kHz mono."),
        ("odd_audio", "41.wav", "Only 0.1 ms long."),
    ]


def test_a_set_of_mixed_formats_and_what_could_not_be_read_are_said_once():
    dataset = make_dataset(media="audio")
    for number in range(40):
        _clip(dataset, number, (8000, 16_000)[number % 2])
    upload = Upload.objects.create(dataset=dataset, name="u", path="/nowhere")
    for name, code in (("a.wav", "zero_bytes"), ("b.wav", "unreadable"), ("c.zip", "nested")):
        upload.entries.create(name=name, outcome="rejected", code=code)
    outcome = raise_flags(make_work(dataset, kinds=["odd_audio"]))
    assert not Flag.objects.exists()
    notice = outcome["kinds"]["odd_audio"]["notice"]
    assert "20 x 8 kHz mono, 20 x 16 kHz mono" in notice
    assert "1 unreadable, 1 zero bytes" in notice


def test_people_flag_items_and_their_note_is_the_reason():
    dataset, user = make_dataset(), make_user()
    items = [make_item(dataset).pk, make_item(dataset).pk]
    opened = flag_items(dataset=dataset, items=items, note="blurred", by=user)
    assert opened == dict(Flag.objects.values_list("items", "pk"))
    assert opened.keys() == set(items)
    assert not flag_items(dataset=dataset, items=items[:1], note="very blurred", by=user)
    assert sorted(Flag.objects.values_list("reason", flat=True)) == ["blurred", "very blurred"]


def test_an_unknown_check_is_refused_in_words():
    with pytest.raises(jobs.Refused, match="no check named nonsense"):
        flags.kinds_for(make_dataset(), ["nonsense"])


def test_a_check_of_other_media_is_refused_in_words_when_it_is_named():
    with pytest.raises(jobs.Refused, match="holds images; silent_audio looks at something else"):
        flags.kinds_for(make_dataset(), ["label_error", "silent_audio"])


def test_checks_of_sound_are_not_run_on_images():
    names = {kind.name for kind in flags.kinds_for(make_dataset(), [])}
    assert "label_error" in names
    assert not any(name.endswith("_audio") for name in names)


def test_excluded_items_are_not_looked_at():
    dataset = make_dataset()
    make_item(dataset, "a", "cat", excluded="a copy")
    assert len(survey_of(dataset)) == 0
    assert Content.objects.count() == 1


@pytest.mark.parametrize(("words", "found"), [(4, 0), (30, 1)])
def test_only_texts_of_some_length_are_copies_by_likeness(words: int, found: int):
    dataset = make_dataset(media="text")
    for number in range(30):
        make_item(dataset, f"{number:02d}")
    Content.objects.update(facts={"words": words})
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(list("abcdefghij"), 30)) for _ in range(30)]
    texts[1] = f"{texts[0]} again"
    survey = replace(survey_of(dataset), texts=texts)
    assert len([pair for pair in survey.copies if pair.score > 0.5]) == found


def test_leaks_go_on_with_a_bounded_number_of_faint_likenesses_across_splits():
    dataset = make_dataset()
    for number in range(100):
        make_item(dataset, f"{number:03d}.png", "cat", split="test" if number % 2 else "train")
    rng = np.random.default_rng(4)
    for content in Content.objects.all():
        content.phash = f"{rng.integers(2**64, dtype=np.uint64):016x}"
        content.save()
    vectors = rng.normal(size=(100, 20))
    vectors[1] = vectors[0] + rng.normal(0, 0.3, 20)  # across the splits
    vectors[4] = vectors[2] + rng.normal(0, 0.3, 20)  # within train
    pictures = rng.uniform(0, 255, (100, 32 * 32)).astype(np.float32)
    survey = replace(survey_of(dataset), graph=nearest(vectors), thumbnails=pictures)
    kind, work = KINDS["leakage"], make_work(dataset)
    assert kind.find
    store(work, survey, kind=kind, doubts=kind.find(survey))
    first, second = Flag.objects.order_by("-score")  # 2 % of the items
    assert {first.is_likely, second.is_likely} == {False}
    assert sorted(first.items.values_list("key", flat=True)) == ["000.png", "001.png"]
    assert set(second.items.values_list("split", flat=True)) == {"train", "test"}
    assert first.reason.startswith("Perhaps the same thing is in test and in train.")


def test_a_near_copy_of_a_text_in_another_split_is_flagged_with_the_words_that_differ():
    dataset = make_words(items=30)
    text = "the old harbour near the bank where every new star is seen above the tide"
    for key, said, split in (("x", text, "train"), ("y", f"{text} again", "test")):
        add_text(dataset, key, text=said, label="sea", split=split)
    job = jobs.open_job(kind="detect", dataset=dataset)
    assert jobs.carry_out(job.pk, raise_flags).state == JobState.DONE
    flag = Flag.objects.get(dataset=dataset, kind="leakage", is_likely=True)
    assert sorted(row.item.key for row in flag.flag_items.select_related("item")) == ["x", "y"]
    assert "“again” is only in one" in flag.reason
