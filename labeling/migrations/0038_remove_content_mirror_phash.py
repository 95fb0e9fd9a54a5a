"""Mirrored copies are met by hashes of the small pictures, worked out when they are looked for."""

from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('labeling', '0037_content_measured_by'),
    ]

    operations = [
        migrations.RemoveField(model_name='content', name='mirror_phash'),
    ]
