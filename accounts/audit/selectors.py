"""Reads of the log: every one takes the owner first, so that another person's entry is never found."""

from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet

from accounts.audit.models import AuditEntry

ROWS_A_PAGE = 50


def entries_of(owner_id: int, token_id: UUID | None = None) -> QuerySet[AuditEntry]:
    """Return what the log holds of a person's account and tokens, newest first; of one token if it is given."""
    entries = AuditEntry.objects.filter(owner_id=owner_id)
    return entries if token_id is None else entries.filter(token_id=token_id)


def page_of(owner_id: int, token_id: UUID | None, number: str | None) -> Page[AuditEntry]:
    """Return a page of `entries_of`, with its rows read; the nearest one for a number that is none."""
    page = Paginator(entries_of(owner_id, token_id), ROWS_A_PAGE).get_page(number)
    page.object_list = list(page.object_list)
    return page


apage_of = sync_to_async(page_of)
