"""`train NAME`: freeze a version, train under the protocol, predict every label out of sample."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import CommandError

from labeling.management.job_command import JobCommand
from labeling.queries.success import Choice, choice_of
from mlcore.protocols import SCHEMES, SEARCHES, TUNINGS
from quality.queries.protocols import asked_by_name
from quality.queries.runs import newest_done
from quality.queries.success import in_words
from quality.services import runs
from quality.services.features import backbone_named

UNSAID = "none was given (train --open-test)"  # a script asks whatever stands here: it is shown


class Command(JobCommand):
    help = "Train a small model on what people labelled and predict every item out of sample."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="the dataset's short name, as in its address")
        parser.add_argument(
            "--open-test",
            action="store_true",
            help="predict the sealed test items too; each look is counted and shown",
        )
        parser.add_argument(
            "--judged-by",
            choices=("auto", *SCHEMES),
            help="how predictions are made out of sample; without it as in the training before",
        )
        parser.add_argument(
            "--augment",
            metavar="CHANGES",
            help="changes of which each learned item has a copy, e.g. crop+shift, or off; "
            "without it as in the training before",
        )
        parser.add_argument(
            "--search",
            choices=[str(seconds or "off") for seconds in SEARCHES],
            help="seconds in which other heads and penalties are tried first; without it as in "
            "the training before",
        )
        parser.add_argument(
            "--tune",
            choices=[str(seconds or "off") for seconds in TUNINGS["image"]],
            help="seconds in which fine-tuning the top layers of the picture network is tried and "
            "kept unless clearly worse; without it as in the training before",
        )
        parser.add_argument(
            "--reason",
            default="",
            help="why the test items are opened, shown beside that look",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dataset = self.dataset(options["name"])
        named = {name: options[name] for name in ("judged_by", "augment", "search", "tune")}
        try:
            asked = asked_by_name(dataset, **named)
        except ValueError as unknown:
            raise CommandError(str(unknown)) from unknown
        if options["open_test"] and not options["reason"].strip():
            self.stderr.write("Test items are opened without a reason, and that is shown: --reason")
        before = newest_done(dataset)
        if before and backbone_named(dataset.media, before.backbone) is None:
            self.stderr.write(
                f"Run {before.number} learned from {before.backbone}, which cannot be made here; "
                "this one learns from something else. Is WINNOW_WEIGHTS set as for the server?"
            )
        asked |= {"open_test": options["open_test"], "reason": options["reason"].strip() or UNSAID}
        job = self.open_job("train", dataset, options=asked, queue="train")
        result = self.carry_out(job, runs.train).result
        self.report(options, result, _in_words(result, choice_of(dataset)))


def _in_words(result: dict[str, Any], choice: Choice | None) -> str:
    chosen = result.get("success")
    by = f"{chosen['title']} {in_words(chosen, choice)}, " if chosen and choice else ""
    score = (
        f"run {result['run']} of version v{result['version']}: {by}accuracy "
        f"{result['accuracy']:.3f} "
        f"({result['low']:.3f} to {result['high']:.3f}), majority class {result['baseline']:.3f}, "
        f"{result['asked']} of {result['n']} items predicted, "
        f"{result['backbone']}, {result['seconds']:.0f} s"
    )
    by_chosen = chosen["signal"]["found"] if chosen and "signal" in chosen else True
    if not (result["signal"] and by_chosen):
        score += "; no signal found: not clearly better than always saying the commonest class"
    if "test_accuracy" in result:
        score += (
            f"; test accuracy {result['test_accuracy']:.3f} on {result['test_n']} items, "
            f"opened {result['test_openings']} times so far"
        )
    return f"Nothing changed since {score}" if result["unchanged"] else score.capitalize()
