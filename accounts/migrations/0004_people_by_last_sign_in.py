from django.db import migrations

from config.quiet_indexes import AddPostgresIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("accounts", "0003_signed_in_sessions"),
    ]

    operations = [
        # As staff's list of people is sorted: who never signed in comes last.
        AddPostgresIndex("accounts_user_last_login", "accounts_user", "last_login DESC NULLS LAST"),
    ]
