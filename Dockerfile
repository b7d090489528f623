# The site in one image; which part of it runs is said by the command: the web (default), a worker, the scheduler.
# Nothing is written outside /tmp, so the root file system may be read-only.

FROM python:3.13-slim-trixie AS build
WORKDIR /srv/console
RUN python -m venv .venv
COPY requirements.txt .
RUN .venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement requirements.txt
COPY . .
# collectstatic reads the settings, which ask for keys: these sign and seal nothing and stay in this stage.
RUN ENV_FILE="" SECRET_KEY=only-to-collect-the-static-files-of-this-image-00000000 \
    TOKEN_KEYS=k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    .venv/bin/python manage.py collectstatic --noinput --verbosity 0 \
    && .venv/bin/python -m compileall -q -j 0 .

FROM python:3.13-slim-trixie
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin console
COPY --from=build /srv/console /srv/console
WORKDIR /srv/console
ENV PATH=/srv/console/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ENV_FILE=""
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-m", "config.probe", "http://127.0.0.1:8000/readyz"]
CMD ["python", "manage.py", "web", "--bind", "0.0.0.0:8000", "--no-access-log"]
