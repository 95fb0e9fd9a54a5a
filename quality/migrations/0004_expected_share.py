"""What a check expects of its flags; of those raised before, its mark and score tell."""

from django.db import migrations, models
from django.db.models import Case, F, Value, When
from django.db.models.functions import Round


def fill(apps, schema_editor):
    rows = apps.get_model("quality", "Flag").objects.exclude(kind="manual")
    marked = Case(When(is_likely=True, then=Value(1.0)), default=Value(0.0))
    rows.filter(kind="label_error").update(expected=Round(F("score"), precision=2))
    ranked = rows.exclude(kind="label_error")
    ranked.update(expected=Round((F("score") + marked) / 2, precision=2))


class Migration(migrations.Migration):
    dependencies = [("quality", "0003_kinds_about_groups")]

    operations = [
        migrations.AddField(
            model_name="flag",
            name="expected",
            field=models.FloatField(
                default=0.5, help_text="share right that its check expects, before any decision"
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
