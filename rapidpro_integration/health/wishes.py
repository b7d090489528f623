"""Who wishes for the weekly mail."""

from asgiref.sync import sync_to_async

from rapidpro_integration.models import DigestWish


def wants_digest(person_id: int) -> bool:
    """Return whether the person has asked for the weekly mail."""
    return DigestWish.objects.filter(person_id=person_id, wanted=True).exists()


def set_digest(person_id: int, *, wanted: bool) -> None:
    """Keep the person's wish. Who takes it back and asks again within a week gets no second mail in that week."""
    DigestWish.objects.update_or_create(person_id=person_id, defaults={"wanted": wanted})


aset_digest = sync_to_async(set_digest)
