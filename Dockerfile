# The service as an image: docs/operate.md, "In a container"; why it is as it is: docs/decisions/040-the-image.md.
# Pin the base by its digest: --build-arg BASE=python:3.11-slim-trixie@sha256:...
ARG BASE=python:3.11-slim-trixie

FROM ${BASE} AS build
# run: what the service needs. extras: with all extras, tracing among them.
ARG REQUIREMENTS=run
# Models of AWS services that botocore keeps: what the service calls, and where credentials come from. Or: all
ARG AWS_SERVICES="cloudwatch firehose kinesis s3 secretsmanager signin sqs sso sso-oidc sts"
# Not before 1980: a wheel is a ZIP file.
ARG SOURCE_DATE_EPOCH=315532800
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python3 -m venv tools && python3 -m venv --without-pip /opt/penstock
COPY requirements/build.txt requirements/run.txt requirements/extras.txt requirements/
# A package index of one's own, and the authority that vouches for it, are secrets: they are in no layer.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca.pem,target=/run/secrets/ca.pem \
    tools/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/build.txt \
    && tools/bin/python -m pip --python /opt/penstock/bin/python install --quiet --no-compile --no-deps \
    --require-hashes --only-binary :all: -r "requirements/${REQUIREMENTS}.txt"
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY deploy/image/trim.py deploy/image/
RUN tools/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir wheels . \
    && tools/bin/python -m pip --python /opt/penstock/bin/python install --quiet --no-compile --no-deps --no-index \
    wheels/*.whl \
    && tools/bin/python -m deploy.image.trim /opt/penstock "${AWS_SERVICES}" "${SOURCE_DATE_EPOCH}" \
    && mkdir journal

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="penstock" \
    org.opencontainers.image.description="A streaming ingestion gateway for AWS that answers for every event." \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/penstock /opt/penstock
# Where a volume for the journal is mounted. No VOLUME: it would make one that goes with the container, unseen.
COPY --from=build --chown=10001:10001 /build/journal /var/lib/penstock
ENV PATH=/opt/penstock/bin:/usr/local/bin:/usr/bin:/bin \
    PENSTOCK_CONFIG=/etc/penstock/penstock.yaml \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /
USER 10001:10001
EXPOSE 8080 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/opt/penstock/bin/penstock", "healthcheck"]
ENTRYPOINT ["/opt/penstock/bin/penstock"]
CMD ["serve"]
