"""All tables at once: each after those that it names, with its columns, indexes and constraints.

Its name is the one that data folders have noted.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from labeling.triggers import count_writes
from quality.triggers import COUNTED


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('labeling', '0001_squashed_0035_hour_price'),
    ]

    operations = [
        migrations.CreateModel(
            name='Run',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='runs', to='labeling.dataset')),
                ('number', models.PositiveIntegerField()),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='labeling.version')),
                ('job', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to='labeling.job')),
                ('is_imported', models.BooleanField(default=False, help_text='probabilities of another system, not a training of ours')),
                ('protocol', models.JSONField(help_text='mlcore.training.Protocol as a dict, seed included')),
                ('backbone', models.CharField(max_length=120)),
                ('classes', models.JSONField(default=list, help_text='class names, column order of the arrays')),
                ('metrics', models.JSONField(default=dict, help_text='empty until the run is done')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ['-number'],
                'constraints': [models.UniqueConstraint(fields=('dataset', 'number'), name='one_run_a_number')],
            },
        ),
        migrations.CreateModel(
            name='Bulk',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='bulks', to='labeling.dataset')),
                ('kind', models.CharField(help_text='a row of detectors.py', max_length=30)),
                ('least_score', models.FloatField()),
                ('sample', models.JSONField(default=list, help_text='ids of flags, drawn at random')),
                ('by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
                ('action', models.CharField(blank=True, choices=[('keep', 'Keep'), ('relabel', 'Relabel'), ('exclude', 'Exclude'), ('merge', 'Merge copies'), ('move', 'Change the split'), ('round', 'Send to a round'), ('include', 'Include again'), ('tag', 'Tag'), ('flag', 'Flag'), ('confirm', 'It is so'), ('split', 'Split the class'), ('cut', 'Cut to the loudest second'), ('classes', 'Merge classes'), ('undo', 'Undo')], help_text='once decided', max_length=12)),
                ('test_confirmed', models.BooleanField(default=False)),
                ('result', models.JSONField(default=dict, help_text='how many were decided, and why not all')),
                ('is_undone', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['-pk'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('action', '')), fields=('dataset', 'kind'), name='one_open_sample_a_queue')],
            },
        ),
        migrations.CreateModel(
            name='TestOpening',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='test_openings', to='labeling.dataset')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='test_openings', to='quality.run')),
                ('by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
                ('reason', models.CharField(max_length=200)),
                ('at', models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            name='Comparison',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='comparisons', to='labeling.dataset')),
                ('old', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='quality.run')),
                ('new', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='quality.run')),
                ('job', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to='labeling.job')),
                ('result', models.JSONField(default=dict, help_text='empty until it is done')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('old', 'new'), name='one_comparison_a_pair')],
            },
        ),
        migrations.CreateModel(
            name='Flag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='flags', to='labeling.dataset')),
                ('kind', models.CharField(help_text='a row of detectors.py', max_length=30)),
                ('subject', models.CharField(help_text='stable digest of the sorted keys', max_length=64)),
                ('given', models.CharField(blank=True, help_text='label under doubt', max_length=100)),
                ('suggested', models.CharField(blank=True, max_length=100)),
                ('state', models.CharField(choices=[('open', 'Open'), ('decided', 'Decided'), ('dismissed', 'Dismissed'), ('waiting', 'Waiting for a second reviewer'), ('gone', 'No longer raised')], default='open', max_length=10)),
                ('score', models.FloatField(help_text='0 to 1, higher is more suspicious')),
                ('is_likely', models.BooleanField(default=True, help_text='expected right; else a candidate')),
                ('expected', models.FloatField(default=0.5, help_text='share right that its check expects, before any decision')),
                ('reason', models.CharField(max_length=500)),
                ('evidence', models.JSONField(default=dict)),
                ('run', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to='quality.run')),
                ('raised_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'indexes': [models.Index(models.F('dataset'), models.F('kind'), models.F('state'), models.OrderBy(models.F('score'), descending=True), models.F('id'), name='flag_queue'), models.Index(models.F('dataset'), models.F('state'), models.OrderBy(models.F('score'), descending=True), name='flag_worst'), models.Index(fields=['dataset', 'state', 'kind', 'given', 'is_likely', 'expected'], name='flag_counts')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'open')), fields=('dataset', 'kind', 'subject'), name='one_open_flag_of_a_kind'), models.CheckConstraint(condition=models.Q(('score__range', (0, 1))), name='flag_score_0_to_1')],
            },
        ),
        migrations.CreateModel(
            name='FlagItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('flag', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='flag_items', to='quality.flag')),
                ('item', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='flag_items', to='labeling.item')),
                ('role', models.CharField(default='item', help_text='item, keep, copy, train, test; part or example of a group', max_length=20)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('flag', 'item'), name='an_item_once_a_flag')],
            },
        ),
        migrations.AddField(
            model_name='flag',
            name='items',
            field=models.ManyToManyField(related_name='flags', through='quality.FlagItem', to='labeling.item'),
        ),
        migrations.CreateModel(
            name='Decision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='decisions', to='labeling.dataset')),
                ('flag', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='decisions', to='quality.flag')),
                ('by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
                ('action', models.CharField(choices=[('keep', 'Keep'), ('relabel', 'Relabel'), ('exclude', 'Exclude'), ('merge', 'Merge copies'), ('move', 'Change the split'), ('round', 'Send to a round'), ('include', 'Include again'), ('tag', 'Tag'), ('flag', 'Flag'), ('confirm', 'It is so'), ('split', 'Split the class'), ('cut', 'Cut to the loudest second'), ('classes', 'Merge classes'), ('undo', 'Undo')], max_length=12)),
                ('seconds', models.FloatField(default=0, help_text='from shown to decided')),
                ('before', models.JSONField(default=list, help_text='per item: key, label, split, excluded')),
                ('after', models.JSONField(default=list)),
                ('touches_test', models.BooleanField(default=False)),
                ('bulk', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='decisions', to='quality.bulk')),
                ('undoes', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='undone_by', to='quality.decision')),
                ('at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='Proposal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='proposals', to='labeling.dataset')),
                ('flag', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='proposals', to='quality.flag')),
                ('bulk', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='proposals', to='quality.bulk')),
                ('by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL)),
                ('action', models.CharField(choices=[('keep', 'Keep'), ('relabel', 'Relabel'), ('exclude', 'Exclude'), ('merge', 'Merge copies'), ('move', 'Change the split'), ('round', 'Send to a round'), ('include', 'Include again'), ('tag', 'Tag'), ('flag', 'Flag'), ('confirm', 'It is so'), ('split', 'Split the class'), ('cut', 'Cut to the loudest second'), ('classes', 'Merge classes'), ('undo', 'Undo')], max_length=12)),
                ('choice', models.JSONField(default=dict, help_text='what the action acts with')),
                ('seconds', models.FloatField(default=0, help_text='from shown to decided')),
                ('sample', models.JSONField(default=list, help_text='ids of flags that the second one looks at')),
                ('before', models.JSONField(default=list, help_text='per item that was selected; else empty')),
                ('after', models.JSONField(default=list, help_text='what these items would be')),
                ('undoes', models.ForeignKey(blank=True, help_text='the decision that would be taken back', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='undo_proposals', to='quality.decision')),
                ('state', models.CharField(choices=[('waiting', 'Waiting for a second reviewer'), ('agreed', 'Agreed'), ('disagreed', 'Disagreed: a lead settles it'), ('settled', 'Settled by a lead'), ('withdrawn', 'Withdrawn')], db_index=True, default='waiting', max_length=10)),
                ('second', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='second_opinions', to=settings.AUTH_USER_MODEL)),
                ('words', models.CharField(blank=True, help_text='why the second one disagrees', max_length=200)),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('answered_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ['pk'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('flag',), name='one_waiting_a_flag'), models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('bulk',), name='one_waiting_a_bulk'), models.UniqueConstraint(condition=models.Q(('state', 'waiting')), fields=('undoes',), name='one_waiting_a_undoes')],
            },
        ),
        migrations.AddField(
            model_name='decision',
            name='proposal',
            field=models.ForeignKey(blank=True, help_text='what a second reviewer answered before it took effect', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='decisions', to='quality.proposal'),
        ),
        count_writes(COUNTED),
    ]
