"""Members: invited once, never without an owner; secrets shown once; log-in locked and reset."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from labeling.models import ApiToken, Dataset, Invitation, Membership, Role, User
from labeling.services import members
from tests.factories import make_dataset, make_member, make_user

pytestmark = pytest.mark.django_db
NOW = timezone.now()
NEW_ACCOUNT = {"username": "ada", "password1": "horse staple 9", "password2": "horse staple 9"}


def make_link(dataset: Dataset, role: str = Role.REVIEWER) -> tuple[Invitation, str]:
    lead = make_member(dataset, Role.LEAD)
    row, token = members.invite(dataset=dataset, role=role, by=lead, now=NOW)
    return row, reverse("labeling:invitation", args=[token])


# ---- invitations ----


def test_a_lead_gets_a_link_that_is_shown_once_and_kept_as_its_hash(client):
    dataset = make_dataset()
    client.force_login(make_member(dataset, Role.LEAD))
    page = reverse("labeling:members", args=[dataset.slug])
    shown = client.post(page, {"role": "annotator", "note": "Ada"}).content.decode()
    token = shown.split("/invite/")[1].split("/")[0]
    (row,) = Invitation.objects.all()
    assert row.token_hash == members.hash_of(token)
    assert token not in client.get(page).content.decode()
    assert "Ada" in client.get(page).content.decode()


def test_a_link_makes_one_account_that_is_logged_in_and_a_member(client):
    dataset = make_dataset()
    _, link = make_link(dataset, Role.ANNOTATOR)
    assert "Make your account" in client.get(link).content.decode()
    response = client.post(link, NEW_ACCOUNT)
    assert response.url == reverse("labeling:my_work")
    assert client.get(response.url).status_code == 200
    member = Membership.objects.get(user__username="ada")
    assert (member.dataset, member.role) == (dataset, Role.ANNOTATOR)


def test_a_link_works_once(client):
    _, link = make_link(make_dataset(), Role.ANNOTATOR)
    client.post(link, NEW_ACCOUNT)
    client.logout()
    response = client.post(link, NEW_ACCOUNT | {"username": "eve"})
    assert response.status_code == 404
    assert "This link does not work" in response.content.decode()
    assert not User.objects.filter(username="eve").exists()


@pytest.mark.parametrize(
    "change", [{"expires_at": NOW - timedelta(seconds=1)}, {"revoked_at": NOW}]
)
def test_a_link_that_ran_out_or_was_taken_back_lets_nobody_in(client, change):
    dataset = make_dataset()
    row, link = make_link(dataset)
    Invitation.objects.filter(pk=row.pk).update(**change)
    assert client.get(link).status_code == 404
    with pytest.raises(members.InvitationGoneError):
        members.join(invitation=row, user=make_user(), now=NOW)


def test_a_weak_password_or_a_taken_name_makes_no_account_and_leaves_the_link_usable(client):
    dataset = make_dataset()
    make_user("ada")
    row, link = make_link(dataset)
    assert client.post(link, NEW_ACCOUNT).status_code == 422
    weak = {"username": "eve", "password1": "password", "password2": "password"}
    page = client.post(link, weak)
    assert page.status_code == 422
    assert "Required. 150 characters" not in page.text
    assert "At least 8 characters" in page.text
    row.refresh_from_db()
    assert row.used_at is None


def test_somebody_logged_in_joins_with_a_button_and_never_loses_a_higher_role(client):
    dataset = make_dataset()
    row, link = make_link(dataset, Role.ANNOTATOR)
    lead = make_member(dataset, Role.LEAD)
    client.force_login(lead)
    client.post(link)
    assert Membership.objects.get(user=lead).role == Role.LEAD
    row.refresh_from_db()
    assert row.used_at is None
    stranger = make_user()
    client.force_login(stranger)
    client.post(link)
    assert Membership.objects.get(user=stranger).role == Role.ANNOTATOR


def test_a_lead_cannot_invite_an_owner(client):
    dataset = make_dataset()
    client.force_login(make_member(dataset, Role.LEAD))
    response = client.post(reverse("labeling:members", args=[dataset.slug]), {"role": "owner"})
    assert response.status_code == 422
    assert not Invitation.objects.exists()


# ---- roles ----


def test_the_last_owner_is_neither_removed_nor_made_less(client):
    dataset = make_dataset()
    owner = make_member(dataset, Role.OWNER)
    row = Membership.objects.get(user=owner)
    with pytest.raises(members.LastOwnerError):
        members.remove_member(membership=row, viewer_role=Role.OWNER)
    with pytest.raises(members.LastOwnerError):
        members.change_role(membership=row, role=Role.LEAD, viewer_role=Role.OWNER)
    make_member(dataset, Role.OWNER)
    members.change_role(membership=row, role=Role.LEAD, viewer_role=Role.OWNER)


def test_the_only_owner_is_offered_nothing_that_would_be_refused(client):
    dataset = make_dataset()
    owner = make_member(dataset, Role.OWNER)
    client.force_login(owner)
    page = reverse("labeling:members", args=[dataset.slug])
    alone = client.get(page).content.decode()
    assert "make somebody else one before you go" in alone
    assert f"Role of {owner}" not in alone
    make_member(dataset, Role.OWNER)
    both = client.get(page).content.decode()
    assert "make somebody else one before you go" not in both
    assert f"Role of {owner}" in both


def test_a_lead_changes_others_but_neither_makes_nor_removes_owners():
    dataset = make_dataset()
    owner = Membership.objects.get(user=make_member(dataset, Role.OWNER))
    other = Membership.objects.get(user=make_member(dataset, Role.ANNOTATOR))
    members.change_role(membership=other, role=Role.LEAD, viewer_role=Role.LEAD)
    for row, role in [(other, Role.OWNER), (owner, Role.LEAD)]:
        with pytest.raises(members.NotAllowedError):
            members.change_role(membership=row, role=role, viewer_role=Role.LEAD)
    with pytest.raises(members.NotAllowedError):
        members.remove_member(membership=owner, viewer_role=Role.LEAD)


def test_the_page_removes_a_member_and_says_why_it_does_not(client):
    dataset = make_dataset()
    owner = make_member(dataset, Role.OWNER)
    other = Membership.objects.get(user=make_member(dataset, Role.REVIEWER))
    client.force_login(owner)
    mine = Membership.objects.get(user=owner)
    for row, words in [(other, "no longer a member"), (mine, "needs an owner")]:
        url = reverse("labeling:remove_member", args=[dataset.slug, row.pk])
        assert words in client.post(url, follow=True).content.decode()
    assert list(Membership.objects.filter(dataset=dataset)) == [mine]


# ---- tokens ----


def test_a_token_is_shown_once_kept_as_its_hash_and_ends_when_revoked(client):
    user = make_user()
    client.force_login(user)
    page = reverse("labeling:account")
    shown = client.post(page, {"name": "nightly"}).content.decode()
    secret = shown.split('id="new-token">')[1].split("<")[0]
    (row,) = ApiToken.objects.all()
    assert row.token_hash == members.hash_of(secret)
    assert secret not in client.get(page).content.decode()
    assert members.user_of_token(text=secret, now=NOW) == user
    assert ApiToken.objects.get().last_used_at == NOW
    client.post(reverse("labeling:revoke_token", args=[row.pk]))
    assert members.user_of_token(text=secret, now=NOW) is None


def test_nobody_ends_the_token_of_another_person(client):
    token, _ = members.make_token(user=make_user(), name="theirs")
    client.force_login(make_user())
    assert client.post(reverse("labeling:revoke_token", args=[token.pk])).status_code == 404


def test_a_token_of_a_person_who_may_not_log_in_does_not_work():
    user = make_user()
    _, text = members.make_token(user=user, name="a")
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert members.user_of_token(text=text, now=NOW) is None


# ---- log-in ----


def log_in(client, password: str):
    return client.post(reverse("login"), {"username": "ada", "password": password})


def test_repeated_failures_lock_the_log_in_and_the_page_says_how_to_get_in_again(client, capsys):
    make_user("ada")
    for _ in range(8):
        response = log_in(client, "wrong")
    assert response.status_code == 429
    words = response.content.decode()
    assert "15 min" in words
    assert "manage.py reset_password ada" in words
    assert log_in(client, "correct horse").status_code == 429
    call_command("reset_password", "ada")
    password = capsys.readouterr().out.strip()
    assert log_in(client, password).status_code == 302


def test_who_only_annotates_lands_on_their_work_after_log_in(client):
    dataset = make_dataset()
    make_member(dataset, Role.ANNOTATOR, "ada")
    assert log_in(client, "correct horse").url == reverse("labeling:my_work")
    client.logout()
    asked = {"username": "ada", "password": "correct horse", "next": "/account/"}
    assert client.post(reverse("login"), asked).url == "/account/"
    client.logout()
    asked["next"] = "/"
    assert client.post(reverse("login"), asked).url == reverse("labeling:my_work")
    client.logout()
    make_member(dataset, Role.LEAD, "eve")
    assert client.post(reverse("login"), {**asked, "username": "eve"}).url == "/"


def test_a_reset_password_ends_every_session(client):
    user = make_user("ada")
    client.force_login(user)
    call_command("reset_password", "ada")
    assert client.get(reverse("labeling:my_work")).status_code == 302


def test_resetting_an_unknown_user_is_refused():
    with pytest.raises(CommandError, match="no user 'nobody'"):
        call_command("reset_password", "nobody")


def test_the_password_is_changed_on_its_page(client):
    user = make_user("ada")
    client.force_login(user)
    new = {"old_password": "correct horse", "new_password1": "staple 77 battery"}
    response = client.post(
        reverse("password_change"), new | {"new_password2": "staple 77 battery"}, follow=True
    )
    assert response.status_code == 200
    user.refresh_from_db()
    assert user.check_password("staple 77 battery")
