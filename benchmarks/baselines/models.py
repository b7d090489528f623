"""The rows of the baselines."""

import uuid

from django.conf import settings
from django.db import models


class Token(models.Model):
    """A sealed token of one person."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    label = models.CharField(max_length=80)
    server = models.CharField(max_length=255)
    sealed = models.BinaryField()

    class Meta:
        app_label = "baselines"
        db_table = "token"

    def __str__(self) -> str:
        return self.label


class PlainSession(models.Model):
    """A session of the program without Django: whose it is, in a column."""

    key = models.CharField(primary_key=True, max_length=40)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    expires_on = models.DateTimeField()

    class Meta:
        app_label = "baselines"
        db_table = "plain_session"

    def __str__(self) -> str:
        return self.key
