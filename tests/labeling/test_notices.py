"""What a lead wants to know: in the inbox once, to a webhook signed and at least once, by mail."""

import hashlib
import hmac
import json
import re
import socketserver
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.urls import reverse
from django.utils import timezone

from labeling import tasks
from labeling.models import Notice, NoticeKind, Upload, Webhook
from labeling.queries import notices as queries
from labeling.services import guards, jobs, members, notices, questions
from labeling.services.annotations import annotator_for
from tests.factories import make_asking, make_dataset, make_item, make_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def pets():
    return make_dataset("pets")


@pytest.fixture
def lead(client, pets):
    client.user = make_member(pets, "owner", "olga")
    client.force_login(client.user)
    return client


@pytest.fixture
def receiver():
    """A program that takes notices; `status` is what it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.taken.append((dict(self.headers), body))
            self.send_response(self.server.status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.taken, server.status = [], 204
    server.url = f"http://127.0.0.1:{server.server_port}/take"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def tell(dataset, words="Something", about="it"):
    notices.tell(
        dataset=dataset,
        kind=NoticeKind.DONE,
        about=about,
        words=words,
        path="/",
        now=timezone.now(),
    )


def told(dataset):
    return list(dataset.notices.values_list("kind", "words").order_by("pk"))


def test_work_that_is_done_or_failed_is_told_once_and_small_work_only_when_it_failed(pets):
    for kind in ("train", "import_annotations", "detect"):
        jobs.carry_out(jobs.open_job(kind=kind, dataset=pets).pk, lambda work: {})

    def refuse(work):
        raise jobs.Refused("Nothing to do.")

    jobs.carry_out(jobs.open_job(kind="detect", dataset=pets).pk, refuse)
    done = [("done", "Training: done"), ("done", "Import of answers: done")]
    assert told(pets) == [*done, ("failed", "Checks: failed. Nothing to do.")]


def test_the_inbox_says_once_that_a_job_failed(lead, pets):
    def refuse(work):
        raise jobs.Refused("Nothing to do.")

    jobs.carry_out(jobs.open_job(kind="detect", dataset=pets).pk, refuse)
    page = lead.get(reverse("labeling:inbox")).text
    assert "Checks: failed" in page
    assert page.count("failed. Nothing to do.</") == 1


def test_imports_are_told_by_their_names_and_a_question_without_what_the_table_says(pets):
    def ask(work):
        raise jobs.Refused("b.csv: no column names the files. The first line: name=Ann Smith")

    for name, work in (("a.zip", lambda work: {}), ("b.csv", ask)):
        job = jobs.open_job(kind="import", dataset=pets)
        Upload.objects.create(dataset=pets, name=name, path="/nowhere", job=job)
        jobs.carry_out(job.pk, work)
    asked = "Import of b.csv: failed. b.csv: no column names the files."
    assert told(pets) == [("done", "Import of a.zip: done"), ("failed", asked)]


def test_what_somebody_watched_to_its_end_is_new_for_the_others_alone(client, lead, pets):
    other = make_member(pets, "lead", "otto")
    job = jobs.open_job(kind="import", dataset=pets)
    lead.get(reverse("labeling:job", args=[job.pk]), headers={"HX-Request": "true"})
    jobs.carry_out(job.pk, lambda work: {})
    assert (queries.unseen(client.user), queries.unseen(other)) == (1, 1)
    lead.get(reverse("labeling:job", args=[job.pk]), headers={"HX-Request": "true"})
    assert (queries.unseen(client.user), queries.unseen(other)) == (0, 1)
    assert "is-new" not in lead.get(reverse("labeling:inbox")).text
    client.force_login(other)
    assert "is-new" in client.get(reverse("labeling:inbox")).text


def test_questions_pauses_and_replies_reach_the_inbox_and_a_resent_question_once(lead, pets):
    asking = make_asking(pets, [make_item(pets)], name="pets")
    annotator = annotator_for(dataset=pets, user=make_member(pets, "annotator", "ann"))
    asked = {"round": asking, "annotator": annotator, "text": "Is a wolf a dog?"}
    key = questions.ask_lead(client_id="7b5d2f3e-0000-4000-8000-000000000001", **asked).client_id
    questions.ask_lead(client_id=key, **asked)
    for _ in range(2):
        guards.warn_or_pause(annotator=annotator, kinds=["too fast"], now=timezone.now())
    guards.answer_pause(
        annotator=annotator, text="I know them", by=annotator.user, now=timezone.now()
    )
    assert [words for _, words in told(pets)] == [
        "ann asks: Is a wolf a dog?",
        "ann was paused: too fast",
        "ann answers a pause: I know them",
    ]
    page = lead.get("/inbox/")
    assert page.text.count('class="is-new"') == 3
    assert reverse("labeling:pauses", args=["pets"]) in page.text
    assert 'class="is-new"' not in lead.get("/inbox/").text


def test_the_list_of_datasets_says_what_is_new_since_the_last_visit(lead, pets):
    tell(pets)
    assert lead.get("/").context["rows"][0].news == 1
    members.mark_visit(dataset=pets, user=lead.user, now=timezone.now())
    assert lead.get("/").context["rows"][0].news == 0
    tell(pets, about="another")
    assert lead.get("/").context["rows"][0].news == 1


def test_an_inbox_holds_only_what_its_owner_leads(client, pets):
    tell(pets)
    client.force_login(make_member(pets, "reviewer"))
    assert "Nothing yet" in client.get("/inbox/").text
    assert client.get("/").context["rows"][0].news == 0


def test_a_webhook_gets_signed_notices_from_now_on_each_once(lead, pets, receiver):
    tell(pets, "before there was one", about="old")
    said = lead.post(reverse("labeling:set_webhook", args=["pets"]), {"url": receiver.url},
                     follow=True).text  # fmt: skip
    assert "took a try" in said
    secret = Webhook.objects.get().secret
    assert secret in said
    shown = lead.get(reverse("labeling:settings", args=["pets"])).text
    assert secret not in shown
    assert f'value="{receiver.url}"' in shown
    tell(pets, "Training: done")
    tasks.tell_webhooks()
    tasks.tell_webhooks()
    tried, (headers, body) = receiver.taken
    assert json.loads(tried[1])["kind"] == "try"
    assert json.loads(body)["words"] == "Training: done"
    signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Winnow-Signature"] == f"sha256={signed}"
    assert headers["X-Winnow-Delivery"] == str(pets.notices.first().pk)


def test_what_a_webhook_did_not_take_is_sent_again_later_and_said_on_the_page(lead, pets, receiver):
    notices.set_webhook(dataset=pets, url=receiver.url, by=lead.user, now=timezone.now())
    receiver.status = 302  # a signed request is not sent on
    tell(pets)
    tasks.tell_webhooks()
    notice = pets.notices.get()
    assert (notice.attempts, notice.error) == (1, "It answered 302.")
    assert "It answered 302." in lead.get(reverse("labeling:settings", args=["pets"])).text
    tasks.tell_webhooks()
    assert len(receiver.taken) == 1  # not yet
    receiver.status = 200
    later = timezone.now() + notices.FIRST_WAIT + timedelta(seconds=1)
    assert notices.deliver(notice=notice.pk, now=later)
    assert not notices.deliver(notice=notice.pk, now=later)
    assert len(receiver.taken) == 2
    notices.remove_webhook(dataset=pets)
    tell(pets, about="another")
    tasks.tell_webhooks()
    assert len(receiver.taken) == 2


def test_an_address_that_is_none_stays_in_its_field_with_what_is_wanted(lead, pets):
    refused = lead.post(reverse("labeling:set_webhook", args=["pets"]), {"url": "http:/no where"})
    assert refused.status_code == 422
    assert 'value="http:/no where"' in refused.text
    assert "beginning with http:// or https://" in refused.text
    assert not Webhook.objects.exists()


def test_a_webhook_that_is_away_is_tried_once_a_round_and_holds_up_no_other(lead, pets, receiver):
    away, other = pets, make_dataset("birds")
    for dataset, url in ((away, "http://127.0.0.1:9/"), (other, receiver.url)):
        notices.set_webhook(dataset=dataset, url=url, by=lead.user, now=timezone.now())
    for about in ("one", "two", "three"):
        tell(away, about=about)
    tell(other)
    tasks.tell_webhooks()
    tasks.tell_webhooks()
    assert sorted(away.notices.values_list("attempts", flat=True)) == [0, 0, 1]
    assert len(receiver.taken) == 1


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b""])
def test_what_speaks_no_http_is_told_in_words(lead, pets, answer):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(65_536)
            self.request.sendall(answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        notices.set_webhook(dataset=pets, url=url, by=lead.user, now=timezone.now())
        tell(pets)
        tasks.tell_webhooks()
        server.shutdown()
    assert pets.notices.get().error.startswith("It could not be reached: ")


def test_an_address_with_a_password_in_it_is_told_in_words(lead, pets):
    url = "http://user:secret@127.0.0.1:9/"
    notices.set_webhook(dataset=pets, url=url, by=lead.user, now=timezone.now())
    tell(pets)
    tasks.tell_webhooks()
    assert pets.notices.get().error


def test_a_webhook_that_is_away_is_given_up_after_half_a_day(lead, pets):
    notices.set_webhook(dataset=pets, url="http://127.0.0.1:9/", by=lead.user, now=timezone.now())
    tell(pets)
    now = began = timezone.now()
    while (at := Notice.objects.get().next_attempt_at) is not None:
        now = max(now, at)
        notices.deliver(notice=Notice.objects.get().pk, now=now)
    assert Notice.objects.get().attempts == notices.MOST_ATTEMPTS
    assert timedelta(hours=6) < now - began < timedelta(days=1)


class Post(socketserver.StreamRequestHandler):
    """As much of SMTP as it takes to be given a mail."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.mails.append(b"".join(lines).decode())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 good\r\n")
            if word == b"QUIT":
                return


@pytest.fixture
def post(settings, monkeypatch):
    server = socketserver.TCPServer(("127.0.0.1", 0), Post)
    server.mails = []
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address
    settings.EMAIL_USE_TLS = False
    settings.DEFAULT_FROM_EMAIL = "winnow@example.org"
    settings.MAIL = {"host": "127.0.0.1"}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(queries, "COMMITTED", timedelta(0))
    yield server
    server.shutdown()
    server.server_close()


def test_what_another_transaction_may_still_precede_is_not_mailed_yet(lead, pets):
    notices.wish_mail(user=lead.user, wanted=True, email="o@x.org", now=timezone.now())
    tell(pets)
    assert queries.to_mail(lead.user, now=timezone.now()) == []
    later = timezone.now() + queries.COMMITTED
    assert [row.words for row in queries.to_mail(lead.user, now=later)] == ["Something"]


def test_who_wants_mail_gets_one_with_all_that_is_new(lead, pets, post):
    tell(pets, "too early")
    wish = {"email": "olga@example.org", "gets_mail": "on"}
    lead.post("/inbox/mail/", wish)
    tell(pets, "Training: done", about="one")
    tell(pets, "ann asks: why?", about="two")
    tasks.mail_notices()
    tasks.mail_notices()
    (mail,) = post.mails
    assert re.search("Subject: Winnow: 2 notices", mail)
    assert "Training: done" in mail
    assert "ann asks: why?" in mail
    assert "too early" not in mail
    lead.post("/inbox/mail/", {"email": "olga@example.org"})
    tell(pets, about="three")
    tasks.mail_notices()
    assert len(post.mails) == 1


def test_a_mail_that_could_not_be_sent_is_sent_by_the_next_beat(lead, pets, post, settings):
    lead.post("/inbox/mail/", {"email": "olga@example.org", "gets_mail": "on"})
    tell(pets, "Training: done")
    right, settings.EMAIL_PORT = settings.EMAIL_PORT, 9
    tasks.mail_notices()
    assert not post.mails
    settings.EMAIL_PORT = right
    tasks.mail_notices()
    assert "Training: done" in post.mails[0]
    assert "Give the address" in lead.post("/inbox/mail/", {"gets_mail": "on"}, follow=True).text
