"""`manage.py flows list | show | export | picture --token <id>`: the flow pages for scripts and timers.

Exit codes: 0 all came and was written; 1 the server did not give it, or it cannot be drawn; 2 a wrong command line, or
a file that would be overwritten; 3 the token cannot be used: unknown, disabled, locked or refused; 4 a part of the
list: what came was written; 130 stopped by Ctrl-C, nothing was written. Source: docs/operations.md.
"""

import json
import logging
import os
import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext

from accounts.audit.actions import Action
from accounts.audit.context import acting_as
from accounts.audit.services import record
from rapidpro_integration import flow_asking, flow_texts, kept, output_files, selectors, services
from rapidpro_integration.checking import outcome_of
from rapidpro_integration.client.errors import AbstractRequestException
from rapidpro_integration.client.types import Flow
from rapidpro_integration.exports import FORMATS, file_name
from rapidpro_integration.flow_asking import OF_TOKEN, Came
from rapidpro_integration.flow_filters import FlowQuery, search
from rapidpro_integration.flow_forms import FlowFilterForm
from rapidpro_integration.flow_views import pretty_json
from rapidpro_integration.models import RapidProToken
from rapidpro_integration.output_files import OutputRefused
from rapidpro_integration.picture_views import UNDRAWN
from rapidpro_integration.pictures import reading, steps, svg
from rapidpro_integration.pictures.model import CannotDraw
from rapidpro_integration.problems import log_problem, problem_for
from rapidpro_integration.progress import Progress
from rapidpro_integration.stoppable import Stopped, run

SERVER, USAGE, TOKEN, PARTIAL, STOPPED = 1, 2, 3, 4, 130
_BYTE_ORDER_MARK = "\ufeff"
# What a terminal would obey; a file or a pipe gets every text as it came.
_OBEYED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|\r(?!\n)")

# Option: the field of the page's form that reads it, and what help says.
_FILTERS: dict[str, tuple[str, str]] = {
    "--name": ("q", "words that the name has, without case and accents"),
    "--label": ("label", "flows with this label"),
    "--type": ("type", "message, voice, background, survey, or - for none"),
    "--archived": ("archived", "yes or no"),
    "--modified-after": ("after", "modified on this day or later, as 2026-01-31"),
    "--modified-before": ("before", "modified on this day or earlier"),
    "--created-after": ("created_after", "created on this day or later"),
    "--created-before": ("created_before", "created on this day or earlier"),
    "--idle": ("idle", "not modified for so many days, and no run under way"),
    "--completed-from": ("rate_from", "at least so many per cent of its runs completed"),
    "--completed-to": ("rate_to", "at most so many per cent of its runs completed"),
    "--sort": ("sort", "a column, with a minus for the largest first, as --sort=-runs"),
}
_FLAGS: dict[str, tuple[str, str]] = {
    "--labels-too": ("labels_too", "look for the words of --name in labels too"),
    "--no-runs": ("no_runs", "flows without any run"),
}


class Command(BaseCommand):
    """Read flows with a saved token as its owner's pages do: the same checks, the same log, the same filters."""

    help = "List, show, export and draw the flows of a saved token. The token itself is never printed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the subcommands."""
        subcommands = parser.add_subparsers(dest="subcommand", required=True, metavar="<subcommand>")

        def add(name: str, work: Callable[..., None], formats: Sequence[str], text: str) -> ArgumentParser:
            subparser: ArgumentParser = subcommands.add_parser(name, help=text, description=text)
            subparser.set_defaults(work=work)
            subparser.add_argument("--token", required=True, metavar="ID", help="the id in the address of its page")
            subparser.add_argument("--format", choices=formats, default=formats[0], help=f"({formats[0]})")
            subparser.add_argument("--output", default="", metavar="FILE", help="a new file; - is the output")
            subparser.add_argument("--force", action="store_true", help="overwrite the file")
            subparser.add_argument("--quiet", action="store_true", help="say nothing but what goes wrong")
            subparser.add_argument("--zone", default="", metavar="NAME", help="of days and times (its owner's)")
            return subparser

        for subparser in (
            add("list", self.list, ("text", "csv", "json"), "List the flows that fit the filters."),
            add("export", self.export, tuple(FORMATS), "Save them as the page does, under its file name."),
        ):
            subparser.add_argument("--fresh", action="store_true", help="ask even if the site has a fresh list")
            for option, (field, text) in _FILTERS.items():
                subparser.add_argument(option, dest=field, default="", metavar="X", help=text.replace("%", "%%"))
            for option, (field, text) in _FLAGS.items():
                subparser.add_argument(option, dest=field, action="store_true", help=text)
        show = add("show", self.show, ("text", "json", "csv", "definition"), "Show one flow, or its definition.")
        picture = add("picture", self.picture, ("svg", "text"), "Draw one flow; as text it is the script.")
        for subparser in (show, picture):
            subparser.add_argument("flow", metavar="<flow uuid>")
        picture.add_argument("--language", default="", metavar="CODE", help="one of the flow's languages (its own)")

    def handle(self, *args: Any, work: Callable[..., None], subcommand: str, **options: Any) -> None:
        """Run the subcommand; whatever stands in the way is one sentence and an exit code."""
        try:
            self._check_output(options["output"], force=options["force"])
            token = _token(options.pop("token"))
            zone = _zone(options.pop("zone"), token)
            with acting_as(f"manage.py flows {subcommand}"), timezone.override(zone), _few_lines():
                try:
                    work(token, **options)
                except AbstractRequestException as error:
                    _end(error, token)
        except OutputRefused as refusal:
            raise CommandError(str(refusal), returncode=USAGE) from None
        except CannotDraw as refusal:
            title, advice = UNDRAWN[refusal.reason]
            raise CommandError(f"{title}. {advice}", returncode=SERVER) from None
        except (KeyboardInterrupt, Stopped):
            raise CommandError("Stopped. Nothing was written.", returncode=STOPPED) from None

    def list(self, token: RapidProToken, *, format: str, **options: Any) -> None:  # noqa: A002  # argparse's names
        """Print the flows that fit the filters."""
        query = _query(options)
        came, found = self._flows(token, query, format, options)
        zone = timezone.get_current_timezone()
        parts = flow_texts.table(found, zone) if format == "text" else FORMATS[format].write(found, zone)
        self._write(parts, options)
        self._tell(f"{len(found):,} of {len(came.flows.rows):,} flows, as of {_clock(came)}.", options)
        self._end_of(came)

    def export(self, token: RapidProToken, *, format: str, **options: Any) -> None:  # noqa: A002
        """Save the flows that fit the filters, in a file that is named as the page's."""
        query = _query(options)
        if options["output"] == "-" and format == "xlsx" and self.stdout.isatty():
            raise CommandError("A spreadsheet is nothing for a terminal: name a file.", returncode=USAGE)
        came, found = self._flows(token, query, format, options)
        zone = timezone.get_current_timezone()
        options["output"] = options["output"] or file_name(token, came.flows, format, zone)
        self._write(FORMATS[format].write(found, zone), options)
        self._tell(f"{len(found):,} flows, as of {_clock(came)}, are in {options['output']}.", options)
        self._end_of(came)

    def show(self, token: RapidProToken, *, format: str, flow: str, **options: Any) -> None:  # noqa: A002
        """Print what is known of one flow."""
        uuid = _uuid(flow, "<flow uuid>", "of a flow")
        zone = timezone.get_current_timezone()
        if format == "definition":
            found, definitions = run(flow_asking.adefinition(token, uuid))
            _there(found)
            flow_asking.definition_of(uuid, definitions)
            self._write([json.dumps(definitions.as_export(), indent=1), "\n"], options)
            return
        found = _there(run(flow_asking.aflow(token, uuid)))
        forms: dict[str, Callable[[], Iterable[str | bytes]]] = {
            "text": lambda: flow_texts.facts(found, zone),
            "json": lambda: [pretty_json(found.raw), "\n"],
            "csv": lambda: FORMATS["csv"].write([found], zone),
        }
        self._write(forms[format](), options)

    def picture(self, token: RapidProToken, *, format: str, flow: str, language: str, **options: Any) -> None:  # noqa: A002
        """Draw one flow, or tell its script."""
        uuid = _uuid(flow, "<flow uuid>", "of a flow")
        found, definitions = run(flow_asking.adefinition(token, uuid))
        name = _there(found).name
        drawable = reading.read(flow_asking.definition_of(uuid, definitions))
        if language and language not in drawable.languages:
            known = ", ".join(map(flow_texts.one_line, drawable.languages))
            raise CommandError(f"--language: the flow has {known}.", returncode=USAGE)
        told = steps.describe(drawable, gettext, language or drawable.language)
        if format == "text":
            self._write(flow_texts.script(told, name, gettext), options)
        else:
            self._write([svg.draw(told, name, gettext).file, "\n"], options)

    def _flows(
        self, token: RapidProToken, query: FlowQuery, form: str, options: dict[str, Any]
    ) -> tuple[Came, Sequence[Flow]]:
        """Return what came and what of it was wanted, after it was written down who takes it away."""
        last = kept.summaries([token]).get(token.pk)
        progress = Progress(self.stderr, last.flows if last else 0)
        on_page = (lambda count: None) if options["quiet"] else progress
        try:
            came = run(flow_asking.aflows(token, on_page, fresh=options["fresh"]))
        finally:
            progress.end()
        found = search(came.flows, query).flows
        record(Action.FLOWS_EXPORTED, token=token, details={"format": form, "flows": len(found)})
        return came, found

    def _check_output(self, output: str, *, force: bool) -> None:
        if output not in {"", "-"}:
            output_files.check_free(Path(output), force=force)

    def _write(self, parts: Iterable[str | bytes] | bytes, options: dict[str, Any]) -> None:
        if options["output"] not in {"", "-"}:
            some = [parts] if isinstance(parts, bytes) else parts
            output_files.write(Path(options["output"]), some, force=options["force"])
            return
        try:
            if isinstance(parts, bytes):
                sys.stdout.buffer.write(parts)
                sys.stdout.flush()
                return
            for part in parts:
                text = part if isinstance(part, str) else part.decode()
                text = text.removeprefix(_BYTE_ORDER_MARK)
                self.stdout.write(_OBEYED.sub("\ufffd", text) if self.stdout.isatty() else text, ending="")
            self.stdout.flush()
        except BrokenPipeError:
            # Whoever read has read enough, as `head` does. Python would complain once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _tell(self, sentence: str, options: dict[str, Any]) -> None:
        if not options["quiet"]:
            self.stderr.write(sentence, style_func=str)

    def _end_of(self, came: Came) -> None:
        """Say what is missing in a list, if anything is."""
        if came.is_whole:
            return
        reasons = [str(problem_for(came.error).title)] if came.error else []
        if came.flows.unreadable_count:
            reasons.append(f"{came.flows.unreadable_count:,} flows could not be read")
        if came.flows.stopped_because:
            reasons.append("the server's list is longer than we read, or repeats itself")
        raise CommandError(
            f"The list is not whole ({'; '.join(reasons)}): {len(came.flows.rows):,} flows came, and that is what was"
            " written.",
            returncode=PARTIAL,
        )


@contextmanager
def _few_lines() -> Iterator[None]:
    """Keep the client's line for each request out of the log: it would stand in the middle of the bar."""
    logger = logging.getLogger("rapidpro_integration.client")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)


def _clock(came: Came) -> str:
    return f"{timezone.localtime(came.flows.fetched_at):%Y-%m-%d %H:%M %Z}"


def _uuid(text: str, option: str, of_what: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise CommandError(f"{option}: {text[:80]!r} is not the id {of_what}, a UUID.", returncode=USAGE) from None


def _token(text: str) -> RapidProToken:
    token = selectors.find_token(_uuid(text, "--token", "of a token"))
    if token is None:
        raise CommandError(
            "There is no token of this id; it stands in the address of the token's page.", returncode=TOKEN
        )
    return token


def _zone(name: str, token: RapidProToken) -> ZoneInfo:
    if not name:
        return token.owner.zone
    if name not in available_timezones():
        raise CommandError(f"--zone: {name!r} is no time zone; name one as Africa/Nairobi.", returncode=USAGE)
    return ZoneInfo(name)


def _query(options: dict[str, Any]) -> FlowQuery:
    """Return what the options ask for, as the page's form reads it."""
    names = {field: option for option, (field, _) in (_FILTERS | _FLAGS).items()}
    form = FlowFilterForm({field: options[field] for field in names})
    if not form.is_valid():
        field, messages = next(iter(form.errors.items()))
        raise CommandError(f"{names[field]}: {' '.join(map(str, messages))}", returncode=USAGE)
    if options["sort"] and form.cleaned_data["sort"] != options["sort"]:
        raise CommandError(f"--sort: {options['sort']!r} is no column.", returncode=USAGE)
    return form.query()


def _there(flow: Flow | None) -> Flow:
    if flow is None:
        raise CommandError("The workspace has no flow of this uuid.", returncode=SERVER)
    return flow


def _end(error: AbstractRequestException, token: RapidProToken) -> NoReturn:
    """Write the problem down where the page would, and end with its sentence."""
    outcome = outcome_of(error)
    if error.kind in OF_TOKEN:
        kept.drop(token)
    services.record_refusal(token, outcome)
    log_problem(error, token, outcome.reference)
    problem = problem_for(error)
    status = f"HTTP status {error.status_code}, " if error.status_code else ""
    raise CommandError(
        f"{problem.title}. {problem.advice} ({status}reference {outcome.reference})",
        returncode=TOKEN if error.kind in OF_TOKEN else SERVER,
    ) from None
