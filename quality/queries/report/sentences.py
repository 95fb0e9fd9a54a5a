"""The sentences at the top of a report: a number, its interval, its queue and its minutes."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.templatetags.figures import minutes, points, share
from quality.queries.flags import Paces
from quality.queries.report.crowd import Crowd
from quality.queries.report.model import Bought, Learned
from quality.queries.report.queues import Queue
from quality.queries.success import Change, Figure

MOST_SENTENCES = 5


@dataclass(frozen=True)
class Sentence:
    """One sentence: `number` begins it; `queue` is where to go on, `seconds` what that takes."""

    number: str
    words: str
    value: float
    low: float
    high: float
    url: str
    queue: str
    queue_url: str
    waiting: int
    seconds: float | None

    @property
    def time(self) -> str:
        """Say how long the queue will take, once decisions have shown a pace."""
        if not self.waiting or self.seconds is None:
            return ""
        return _("about %(time)s") % {"time": minutes(self.seconds)}

    def __str__(self) -> str:
        parts = [f"{self.number} {self.words}", self.queue, self.time]
        return " · ".join(part for part in parts if part)


def sentences_of(
    *,
    learned: Learned | None,
    queues: Sequence[Queue],
    crowd: Crowd | None,
    bought: Bought | None,
    paces: Paces,
) -> list[Sentence]:
    """Return at most five: success, the dearest queues, agreement, what the work bought."""
    first = [_of_run(learned, paces)] if learned else []
    last = [_of_crowd(crowd)] if crowd and crowd.alpha else []
    last += [_of_work(bought, paces)] if bought else []
    waiting = [queue for queue in queues if queue.open]
    room = MOST_SENTENCES - len(first) - len(last)
    return first + [_of_queue(queue) for queue in waiting[:room]] + last


def _of_run(learned: Learned, paces: Paces) -> Sentence:
    words = _(
        "of %(n)s labelled items that run %(run)s on v%(version)s had not seen are read right "
        "(95 %% interval %(low)s to %(high)s); always saying the commonest class of what was "
        "learned from gives %(baseline)s."
    )
    own = learned.success[0] if learned.success and not learned.success[0].missing else None
    if own:
        words = _of_success(learned, own)
    if learned.verdict.no_signal:
        words = f"{words} {_('No signal was found.')}"
    worst = learned.most_confused[0] if learned.most_confused else None
    queue = _("“%(given)s” read as “%(predicted)s”: %(n)s items")
    value = own or learned.accuracy
    return Sentence(
        number=own.words if own else _percent(learned.accuracy.value),
        words=words
        % {
            "n": learned.n,
            "run": learned.run,
            "version": learned.version,
            "low": _percent(learned.accuracy.low),
            "high": _percent(learned.accuracy.high),
            "baseline": _percent(learned.figures[1].value.value),
        },
        value=value.value,
        low=value.low,
        high=value.high,
        url=learned.url if own else learned.right_url,
        queue=queue % {"given": worst.given, "predicted": worst.predicted, "n": worst.count}
        if worst
        else "",
        queue_url=worst.url if worst else "",
        waiting=worst.count if worst else 0,
        seconds=paces.seconds(worst.count, "label_error") if worst else None,
    )


def _of_success(learned: Learned, own: Figure) -> str:
    """Say the chosen metric; its number begins the sentence. To be filled in, so % is doubled."""
    majority = next((row for row in learned.success[1:] if not row.missing), None)
    words = _(
        "is what run %(run)s on v%(version)s has on %(n)s labelled items that it had not seen. "
        "%(title)s, 95 %% interval %(low)s to %(high)s."
    ) % {
        "run": learned.run,
        "version": learned.version,
        "n": learned.n,
        "title": own.title,
        "low": own.low_words,
        "high": own.high_words,
    }
    if majority:
        words += " " + _("%(title)s: %(value)s.") % {
            "title": majority.title, "value": majority.words
        }  # fmt: skip
    return f"{words} {learned.success_note}".strip().replace("%", "%%")


def _of_queue(queue: Queue) -> Sentence:
    expected, known = queue.expected, queue.right_share
    facts = {
        "open": queue.open,
        "title": queue.title,
        "low": f"{expected.low:.0f}",
        "high": f"{expected.high:.0f}",
    }
    words = _(
        "of %(open)s open doubts of the kind “%(title)s” are expected to be right (95 %% interval "
        "%(low)s to %(high)s); none is decided yet, so this is what the check believes."
    )
    if known:
        facts |= {"right": queue.right, "n": queue.decided}
        words = _(
            "of %(open)s open doubts of the kind “%(title)s” are expected to be right (95 %% "
            "interval %(low)s to %(high)s); of %(n)s decided so far %(right)s were."
        )
    return Sentence(
        number=f"{expected.value:.0f}",
        words=words % facts,
        value=expected.value,
        low=expected.low,
        high=expected.high,
        url=queue.url,
        queue=_("%(title)s: %(open)s open") % facts,
        queue_url=queue.url,
        waiting=queue.open,
        seconds=queue.seconds,
    )


def _of_crowd(crowd: Crowd) -> Sentence:
    assert crowd.alpha
    words = _(
        "is how far people agree (Krippendorff’s alpha, 95 %% interval %(low)s to %(high)s) about "
        "%(n)s items with two answers or more; 1 is full agreement, 0 chance."
    )
    limits = {"low": share(crowd.alpha.low), "high": share(crowd.alpha.high)}
    return Sentence(
        number=share(crowd.alpha.value),
        words=words % {"n": crowd.compared, **limits},
        value=crowd.alpha.value,
        low=crowd.alpha.low,
        high=crowd.alpha.high,
        url=crowd.url,
        queue=ngettext("%(n)s dispute", "%(n)s disputes", crowd.disputes) % {"n": crowd.disputes},
        queue_url=crowd.disputes_url,
        waiting=crowd.disputes,
        seconds=crowd.seconds,
    )


def _of_work(bought: Bought, paces: Paces) -> Sentence:
    on_test = _(
        "points of accuracy from v%(old)s to v%(new)s on the same %(n)s test items (95 %% interval "
        "%(low)s to %(high)s; %(before)s before, %(after)s after) for %(time)s of people’s work."
    )
    out_of_fold = _(
        "points of accuracy from v%(old)s to v%(new)s on the same %(n)s items, out of fold (95 %% "
        "interval %(low)s to %(high)s; %(before)s before, %(after)s after) for %(time)s of "
        "people’s work."
    )
    wrong, change = bought.items[1], bought.success or bought.difference
    facts = {
        "low": points(bought.difference.low),
        "high": points(bought.difference.high),
        "before": _percent(bought.before),
        "after": _percent(bought.after),
    }
    number, words = points(bought.difference.value), on_test if bought.is_test else out_of_fold
    if bought.success:
        facts = {**bought.success.words, "unit": bought.success.unit, "title": bought.success.title}
        number, words = facts["difference"], _chosen(bought.success, is_test=bought.is_test)
    newly_wrong = ngettext("%(n)s item newly wrong", "%(n)s items newly wrong", wrong.n)
    return Sentence(
        number=number,
        words=words
        % {
            "old": bought.old,
            "new": bought.new,
            "n": bought.n,
            "time": minutes(bought.seconds),
            **facts,
        },
        value=change.difference if isinstance(change, Change) else change.value,
        low=change.low,
        high=change.high,
        url=bought.url,
        queue=newly_wrong % {"n": wrong.n} if wrong.n else "",
        queue_url=wrong.url,
        waiting=wrong.n,
        seconds=paces.seconds(wrong.n, "label_error"),
    )


def _chosen(change: Change, *, is_test: bool) -> str:
    """Return how a change of the chosen metric is told; its number begins the sentence."""
    items = _("the same %(n)s test items") if is_test else _("the same %(n)s items, out of fold")
    lower = f" ({_('lower is better')})" if change.is_cost else ""
    return (
        f"{change.unit} "
        + _("from v%(old)s to v%(new)s on")
        + f" {items}. %(title)s{lower}: "
        + _(
            "%(before)s before, %(after)s after, 95 %% interval of the change %(low)s to %(high)s, "
            "for %(time)s of people’s work."
        )
    ).strip()


def _percent(share_of_one: float) -> str:
    return f"{100 * share_of_one:.1f} %"
