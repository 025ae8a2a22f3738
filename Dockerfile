# One image for every process of Chainrule. The command chooses api, worker, scheduler or migrations.
# Targets: `chainrule` (default) and `chainrule-gpu` (with CuPy and its CUDA libraries).

# `make pin-images` sets it to a digest.
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /build
COPY requirements/bootstrap.lock requirements/runtime.lock requirements/
# The installer has an environment of its own, which is not part of the image.
RUN python -m venv /opt/installer \
    && /opt/installer/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --no-deps -r requirements/bootstrap.lock \
    && python -m venv --without-pip /opt/chainrule
ENV VIRTUAL_ENV=/opt/chainrule
RUN /opt/installer/bin/uv pip install --require-hashes --no-deps -r requirements/runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY api api
COPY chainrule chainrule
COPY core core
COPY migrations migrations
COPY worker worker
# The image has no git history: pass the version as --build-arg VERSION=0.2.0. Empty: the last release.
ARG VERSION=""
RUN SETUPTOOLS_SCM_PRETEND_VERSION=$VERSION \
    /opt/installer/bin/uv pip install --no-deps --no-build-isolation ./chainrule .

FROM ${PYTHON_IMAGE} AS base
# The user owns the home folder, so a new named volume on it is writable.
RUN groupadd --gid 10001 chainrule \
    && useradd --uid 10001 --gid 10001 --no-log-init \
        --home-dir /var/lib/chainrule --create-home --shell /usr/sbin/nologin chainrule
ENV PATH=/opt/chainrule/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CHAINRULE_DATA_DIR=/var/lib/chainrule
WORKDIR /var/lib/chainrule
USER 10001:10001
CMD ["python", "-m", "api"]

FROM base AS chainrule
COPY --from=build /opt/chainrule /opt/chainrule

FROM build AS build-gpu
COPY requirements/gpu.lock requirements/
RUN /opt/installer/bin/uv pip install --require-hashes --no-deps -r requirements/gpu.lock

FROM base AS chainrule-gpu
COPY --from=build-gpu /opt/chainrule /opt/chainrule

# The last stage is the default target of a build.
FROM chainrule
