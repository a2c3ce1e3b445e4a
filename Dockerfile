# One image for every role; the command says which: `clv worker`, `clv sink`, ...
FROM python:3.11-slim AS build

WORKDIR /build
RUN python -m venv /opt/clv
COPY requirements.lock ./
RUN /opt/clv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN /opt/clv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim

RUN useradd --uid 10001 --create-home --home-dir /home/clv --shell /usr/sbin/nologin clv \
    && install --directory --owner=clv --group=clv /var/lib/clv
COPY --from=build /opt/clv /opt/clv

ENV PATH=/opt/clv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CLV_DATA_DIR=/var/lib/clv \
    CLV_LOG_FORMAT=json
USER clv
WORKDIR /home/clv
VOLUME /var/lib/clv

# Healthy: the broker answers, the topics are right, the database has this build's tables.
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s --retries=3 CMD ["clv", "doctor"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["clv"]
CMD ["--help"]
