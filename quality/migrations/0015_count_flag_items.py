from django.db import migrations

from labeling.triggers import count_writes
from quality.triggers import COUNTED


class Migration(migrations.Migration):
    dependencies = [
        ("quality", "0014_count_writes"),
    ]

    operations = [count_writes(COUNTED)]
