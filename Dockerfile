# The hub as an image: code, migrations and what is in requirements.lock (with hashes). No secret and no data inside.
# The lock also holds the tools for tests; they are installed but never started here.
FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    HUB_DATA=/var/lib/hub

RUN groupadd --gid 10001 hub \
    && useradd --uid 10001 --gid hub --home-dir /var/lib/hub --shell /usr/sbin/nologin hub \
    && install -d -o hub -g hub -m 0700 /var/lib/hub

WORKDIR /opt/hub
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock

COPY pyproject.toml README.md ./
COPY hub ./hub
COPY migrations ./migrations
RUN pip install --no-deps --no-build-isolation --no-index -e . \
    && python -m compileall -q hub

USER hub
VOLUME /var/lib/hub
STOPSIGNAL SIGTERM
ENTRYPOINT ["hub"]
CMD ["work"]
