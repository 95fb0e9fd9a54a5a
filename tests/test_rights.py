"""Every address, asked by every role: members are told which role is missing, others see nothing.

The addresses come from the resolver. A new one fails the test until it stands in ADDRESSES.
"""

import json
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from labeling.models import (
    Role,
)
from tests.factories import make_dataset, make_member
from tests.world import PEOPLE, World, all_names, make_clients, make_world

ANYBODY = ("anonymous", *PEOPLE)
MEMBERS = ANYBODY[2:]
REVIEWERS = ANYBODY[3:]
LEADS = ANYBODY[4:]
OWNERS = ANYBODY[5:]
STAFF = ANYBODY[6:]

# Who may, and how the address is asked.
ADDRESSES: dict[str, tuple[tuple[str, ...], str]] = {
    "login": (ANYBODY, "get"),
    "logout": (ANYBODY, "post"),
    "password_change": (PEOPLE, "get"),
    "password_change_done": (PEOPLE, "get"),
    "api_docs": (ANYBODY, "get"),
    "api-1:openapi-json": (ANYBODY, "get"),
    "api-1:create_dataset": (PEOPLE, "api post"),
    "api-1:add_items": (LEADS, "api post"),
    "api-1:list_items": (REVIEWERS, "api get"),
    "api-1:claim": (MEMBERS, "api post"),
    "api-1:annotate": (MEMBERS, "api post"),
    "api-1:renew": (MEMBERS, "api post"),
    "api-1:release": (MEMBERS, "api post"),
    "api-1:list_rounds": (REVIEWERS, "api get"),
    "api-1:create_round": (LEADS, "api post"),
    "api-1:extend_round": (LEADS, "api post"),
    "api-1:close_round": (LEADS, "api post"),
    "api-1:reopen_round": (LEADS, "api post"),
    "api-1:list_gold": (LEADS, "api get"),
    "api-1:use_as_gold": (LEADS, "api post"),
    "api-1:retire_gold": (LEADS, "api post"),
    "api-1:list_pauses": (LEADS, "api get"),
    "api-1:decide_pause": (LEADS, "api post"),
    "api-1:job": (REVIEWERS, "api get"),
    "api-1:list_runs": (REVIEWERS, "api get"),
    "api-1:train": (LEADS, "api post"),
    "api-1:list_flags": (REVIEWERS, "api get"),
    "api-1:decide": (REVIEWERS, "api post"),
    "api-1:export": (REVIEWERS, "api get"),
    "api-1:api-root": ((), "get"),
    "labeling:healthz": (ANYBODY, "get"),
    "quality:datasets": (PEOPLE, "get"),
    "labeling:new_dataset": (PEOPLE, "get"),
    "labeling:my_work": (PEOPLE, "get"),
    "labeling:account": (PEOPLE, "get"),
    "labeling:revoke_token": ((), "post"),  # only one's own; tests/labeling/test_members.py
    "labeling:invitation": (ANYBODY, "get"),
    "labeling:system": (STAFF, "get"),
    "labeling:inbox": (PEOPLE, "get"),
    "labeling:wish_mail": (PEOPLE, "post"),
    "labeling:set_webhook": (OWNERS, "post"),
    "labeling:try_webhook": (OWNERS, "post"),
    "labeling:remove_webhook": (OWNERS, "post"),
    "labeling:settings": (LEADS, "get"),
    "quality:success": (LEADS, "get"),
    "quality:blind": (LEADS, "get"),
    "quality:openings": (REVIEWERS, "get"),
    "labeling:retraining": (LEADS, "post"),
    "labeling:reviewing": (LEADS, "post"),
    "labeling:change_classes": (LEADS, "post"),
    "labeling:add_classes": (LEADS, "post"),
    "labeling:retire_class": (LEADS, "post"),
    "labeling:guideline": (LEADS, "post"),
    "labeling:import": (LEADS, "get"),
    "labeling:upload": (LEADS, "get"),
    "labeling:upload_files": (LEADS, "post"),
    "labeling:start_upload": (LEADS, "post"),
    "labeling:apply_upload": (LEADS, "post"),
    "quality:take_back": (LEADS, "get"),
    "quality:delete_dataset": (OWNERS, "get"),
    "quality:withdraw": (OWNERS, "get"),
    "quality:withdrawn": (LEADS, "get"),
    "labeling:archive_dataset": (OWNERS, "post"),
    "labeling:bring_back_dataset": (OWNERS, "post"),
    "labeling:read_upload_again": (LEADS, "post"),
    "labeling:upload_report": (LEADS, "get"),
    "labeling:media": (MEMBERS, "get"),
    "labeling:job": (REVIEWERS, "get"),
    "labeling:job_events": (REVIEWERS, "get"),
    "labeling:cancel_job": (LEADS, "post"),
    "labeling:retry_job": (LEADS, "post"),
    "labeling:annotate": (MEMBERS, "get"),
    "labeling:annotate_claims": (MEMBERS, "post"),
    "labeling:annotate_answers": (MEMBERS, "post"),
    "labeling:annotate_withdraw": (MEMBERS, "post"),
    "labeling:annotate_release": (MEMBERS, "post"),
    "labeling:annotate_renew": (MEMBERS, "post"),
    "labeling:annotate_skipped": (MEMBERS, "post"),
    "labeling:annotate_status": (MEMBERS, "get"),
    "labeling:annotate_standing": (MEMBERS, "post"),
    "labeling:annotate_question": (MEMBERS, "post"),
    "labeling:annotate_seen": (MEMBERS, "post"),
    "labeling:annotate_guideline": (MEMBERS, "get"),
    "labeling:annotate_mine": (MEMBERS, "get"),
    "labeling:replies_seen": (PEOPLE, "post"),
    "labeling:reply": (LEADS, "post"),
    "labeling:use_as_example": (LEADS, "post"),
    "labeling:drop_example": (LEADS, "post"),
    "labeling:crowd": (LEADS, "get"),
    "labeling:measure_crowd": (LEADS, "post"),
    "labeling:agreement": (LEADS, "get"),
    "labeling:readings": (LEADS, "get"),
    "labeling:declare": (LEADS, "post"),
    "labeling:crowd_answers": (LEADS, "get"),
    "labeling:work_record": (LEADS, "get"),
    "labeling:crowd_person": (LEADS, "get"),
    "labeling:rounds": (REVIEWERS, "get"),
    "labeling:new_round": (LEADS, "get"),
    "labeling:change_round": (LEADS, "get"),
    "labeling:pilot": (LEADS, "get"),
    "labeling:pilot_act": (LEADS, "post"),
    "labeling:decide_qualifying": (LEADS, "post"),
    "labeling:qualify_again": (MEMBERS, "post"),
    "labeling:round": (REVIEWERS, "get"),
    "labeling:close_round": (LEADS, "post"),
    "labeling:reopen_round": (LEADS, "post"),
    "labeling:extend_round": (LEADS, "post"),
    "labeling:gold": (LEADS, "get"),
    "labeling:use_labels_as_gold": (LEADS, "post"),
    "labeling:promote_agreed": (LEADS, "post"),
    "labeling:correct_gold": (LEADS, "post"),
    "labeling:retire_gold": (LEADS, "post"),
    "labeling:use_as_gold": (LEADS, "post"),
    "labeling:pauses": (LEADS, "get"),
    "labeling:decide_pause": (LEADS, "post"),
    "labeling:reply_to_pause": ((), "post"),  # only to one's own; tests/labeling/test_guards.py
    "labeling:members": (LEADS, "get"),
    "labeling:change_role": (LEADS, "post"),
    "labeling:remove_member": (LEADS, "post"),
    "labeling:revoke_invitation": (LEADS, "post"),
    "labeling:versions": (REVIEWERS, "get"),
    "labeling:freeze_version": (LEADS, "post"),
    "labeling:tag_version": (LEADS, "post"),
    "labeling:restore_version": (LEADS, "post"),
    "labeling:manifest": (REVIEWERS, "get"),
    "quality:version_difference": (REVIEWERS, "get"),
    "quality:overview": (REVIEWERS, "get"),
    "quality:log": (REVIEWERS, "get"),
    "quality:browse": (REVIEWERS, "get"),
    "quality:ask": (LEADS, "get"),
    "quality:loudest": (LEADS, "get"),
    "quality:loudest_after": (LEADS, "get"),
    "quality:loudest_sound": (LEADS, "get"),
    "quality:loudest_peaks": (LEADS, "get"),
    "quality:disputes": (LEADS, "get"),
    "quality:dispute_undo": (LEADS, "post"),
    "quality:dispute_answer": (LEADS, "post"),
    "quality:dispute_decide": (LEADS, "post"),
    "quality:selection": (REVIEWERS, "post"),
    "quality:selection_undo": (REVIEWERS, "post"),
    "quality:histogram": (REVIEWERS, "get"),
    "quality:browse_counts": (REVIEWERS, "get"),
    "quality:item": (REVIEWERS, "get"),
    "quality:item_in_files": (REVIEWERS, "get"),
    "quality:checks": (REVIEWERS, "get"),
    "quality:parts": (REVIEWERS, "get"),
    "quality:splits": (REVIEWERS, "get"),
    "quality:ties": (REVIEWERS, "get"),
    "quality:mend": (LEADS, "get"),
    "quality:divide": (LEADS, "get"),
    "quality:mend_undo": (LEADS, "post"),
    "quality:detect": (REVIEWERS, "post"),
    "quality:measure_again": (LEADS, "post"),
    "quality:review": (REVIEWERS, "get"),
    "quality:queue": (REVIEWERS, "get"),
    "quality:bulk": (REVIEWERS, "get"),
    "quality:merge_classes": (LEADS, "get"),
    "quality:merge_undo": (LEADS, "post"),
    "quality:second": (REVIEWERS, "get"),
    "quality:second_answer": (REVIEWERS, "post"),
    "quality:second_undo": (REVIEWERS, "post"),
    "quality:undo": (REVIEWERS, "post"),
    "quality:flag": (REVIEWERS, "get"),
    "quality:decide": (REVIEWERS, "post"),
    "quality:demo": (REVIEWERS, "get"),
    "quality:runs": (REVIEWERS, "get"),
    "quality:train": (LEADS, "post"),
    "quality:augmentation": (LEADS, "get"),
    "quality:augmented": (LEADS, "get"),
    "quality:run": (REVIEWERS, "get"),
    "quality:run_live": (REVIEWERS, "get"),
    "quality:run_cell": (REVIEWERS, "get"),
    "quality:run_closer": (REVIEWERS, "get"),
    "quality:predictions": (REVIEWERS, "get"),
    "quality:use_model": (REVIEWERS, "get"),
    "quality:try_model": (REVIEWERS, "post"),
    "quality:make_package": (REVIEWERS, "post"),
    "quality:model_zip": (REVIEWERS, "get"),
    "quality:before_after": (REVIEWERS, "get"),
    "quality:prove": (LEADS, "post"),
    "quality:contributions": (LEADS, "post"),
    "quality:changed_items": (REVIEWERS, "get"),
    "quality:compared": (REVIEWERS, "get"),
    "quality:export": (REVIEWERS, "get"),
    "quality:report": (REVIEWERS, "get"),
    "quality:report_file": (REVIEWERS, "get"),
    "quality:report_json": (REVIEWERS, "get"),
}
ABSENT, ROLE_NEEDED, NO_LOG_IN, BROKEN = 404, 403, (302, 401), 500
STAYS_HIDDEN = (
    *("labeling:job", "labeling:job_events", "labeling:cancel_job", "labeling:retry_job"),
    *("api-1:job", "api-1:decide"),
)
REFUSED = (401, 403, 404, 405)


def ask(clients: tuple[Client, Client], world: World, name: str) -> tuple[int, str]:
    """Return how an address answers; whatever it changes is taken back."""
    method = ADDRESSES[name][1]
    client = clients["api" in method]
    url, cookies = world.url(name), dict(client.cookies)
    with transaction.atomic():
        if method == "api post":
            sent = json.dumps(_sent(name, world))
            response = client.post(url, sent, content_type="application/json")
        elif method == "post":
            response = client.post(url)
        else:
            response = client.get(url)
        transaction.set_rollback(True)
    client.cookies.clear()  # logging out or joining does not last either
    client.cookies.update(cookies)
    return response.status_code, response.headers.get("Location", "")


def _sent(name: str, world: World) -> dict[str, Any]:
    if name == "api-1:annotate":
        made = {"client_id": "0b0e7b1c-52a3-4b6e-8a05-7a51a3a1c001", "answer": "unsure"}
        item = world.objects["quality:item"]
        return {**made, "round": world.objects["labeling:round"], "item": item}
    sent = {"name": "New", "media": "image", "action": "keep", "items": []}
    return {**sent, "keys": [], "user": "nobody", "act": "resume"}


def wrong(role: str, name: str, answer: tuple[int, str]) -> str:
    """Say what is wrong with an answer; empty when nothing is."""
    status, location = answer
    may = ADDRESSES[name][0]
    to_log_in = "/login/" in location and name != "logout"
    told = f"{name} for {role}: {status} {location}"
    if status >= BROKEN and status != 507:
        return f"{told}, broken"
    if role in may:
        return f"{told}, should be allowed" if status in REFUSED or to_log_in else ""
    if role == "anonymous" and (may or status != ABSENT):
        ok = status in NO_LOG_IN and (status == 401 or to_log_in)
        return "" if ok else f"{told}, should ask for a log-in"
    if role in MEMBERS and may and may != STAFF and status == ROLE_NEEDED:
        return ""
    hidden = role not in MEMBERS or not may or may == STAFF or name in STAYS_HIDDEN
    if not hidden:
        return f"{told}, should say which role is needed"
    return "" if status == ABSENT else f"{told}, should be absent"


@pytest.mark.django_db
def test_a_member_is_told_which_role_a_page_needs_and_who_gives_it(client):
    dataset = make_dataset("pets")
    make_member(dataset, Role.OWNER)
    client.force_login(make_member(dataset, Role.ANNOTATOR))
    page = client.get(reverse("quality:browse", args=["pets"]))
    owner = dataset.memberships.get(role=Role.OWNER).user.username
    assert page.status_code == ROLE_NEEDED
    assert "needs the role Reviewer or a higher one" in page.text
    assert "where you are Annotator" in page.text
    assert f"{owner} can give it to you" in page.text


def test_every_address_has_an_expectation():
    names = all_names()
    assert [name for name in names if name not in ADDRESSES] == []
    assert [name for name in ADDRESSES if name not in names] == []


@pytest.mark.django_db
def test_every_address_answers_every_role_as_it_should():
    world = make_world("mine")
    clients = make_clients(world)
    problems = [
        problem
        for name in ADDRESSES
        for role in ANYBODY
        if (problem := wrong(role, name, ask(clients[role], world, name)))
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.django_db
def test_what_belongs_to_another_dataset_is_absent_under_ones_own():
    mine, theirs = make_world("mine"), make_world("theirs")
    owner = make_clients(mine)["owner"]
    mixed = World(mine.dataset, mine.arguments, theirs.objects)
    answers = {name: ask(owner, mixed, name)[0] for name in theirs.objects}
    assert {name: status for name, status in answers.items() if status != ABSENT} == {}
