# One image for head, workers and submitters. The Ray version is part of its tag:
#   docker build -t protoscore:0.1.0-ray2.60.0 .
#   docker build -t protoscore:0.1.0-ray2.60.0-gpu --build-arg FLAVOUR=-gpu .
ARG FLAVOUR=
FROM rayproject/ray:2.60.0-py311${FLAVOUR}

# The base brings Ray and what its dashboard, job server and autoscaler need. Everything else is
# installed into the base's own Python, since that is the one its login shells and `ray` find.
# requirements.lock is the constraint: versions and hashes come from it, its test tools stay out.
# Ray is in it at the base's own version, so the installer finds it there and leaves it alone.
ENV UV_PYTHON=/home/ray/anaconda3/bin/python \
    UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1
USER ray
WORKDIR /home/ray/protoscore
COPY --chown=ray:users pyproject.toml requirements.lock ./
RUN uv pip install --require-hashes --constraint requirements.lock --requirement pyproject.toml

# The code comes last: a change of it alone rebuilds only what follows.
COPY --chown=ray:users README.md LICENSE ./
COPY --chown=ray:users protoscore ./protoscore
COPY --chown=ray:users scoring ./scoring
COPY --chown=ray:users ray_jobs ./ray_jobs
RUN uv pip install --no-deps .

# A plan imports all that a night does, and makes nothing: an image that cannot work is not built.
RUN protoscore plan --dataset digits --store /tmp/store
WORKDIR /home/ray
