from django.db import migrations, models

from config.quiet_indexes import AddIndexQuietly, AddPostgresIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("rapidpro_integration", "0008_failed_checks"),
        ("django_tasks_database", "0003_dbtaskresult_enqueued_at_dbtaskresult_finished_at"),
    ]

    operations = [
        AddIndexQuietly(
            model_name="rapidprotoken",
            index=models.Index(fields=["created_on"], name="rapidpro_token_created"),
        ),
        AddIndexQuietly(
            model_name="rapidprotoken",
            index=models.Index(
                fields=["state"], condition=models.Q(("checked_on__isnull", True)), name="rapidpro_token_never_checked"
            ),
        ),
        AddIndexQuietly(
            model_name="rapidprotoken",
            index=models.Index(
                fields=["broken_since"],
                condition=models.Q(("broken_since__isnull", False)),
                name="rapidpro_token_broken_since",
            ),
        ),
        AddIndexQuietly(
            model_name="serverrequest",
            index=models.Index(fields=["asked_on"], name="rapidpro_server_request_asked"),
        ),
        AddPostgresIndex("rapidpro_task_enqueued", "django_tasks_database_dbtaskresult", "enqueued_at"),
    ]
