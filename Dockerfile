# One image for head, workers and submitters. The Ray version is part of its tag:
#   docker build -t protoscore:0.1.0-ray2.60.0 .
#   docker build -t protoscore:0.1.0-ray2.60.0-gpu --build-arg FLAVOUR=-gpu .
ARG FLAVOUR=
FROM rayproject/ray:2.60.0-py311${FLAVOUR}

# The base image has Ray and everything its dashboard, job server and autoscaler need. The rest goes
# into the base's own Python, because login shells and `ray` use that one. Versions and hashes come
# from requirements.lock, which is only a constraint, so its test tools are not installed. The lock
# has the base's version of Ray, so the installer finds Ray in place and leaves it alone.
ENV UV_PYTHON=/home/ray/anaconda3/bin/python \
    UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1
USER ray
WORKDIR /home/ray/protoscore
COPY --chown=ray:users pyproject.toml requirements.lock ./
RUN uv pip install --require-hashes --constraint requirements.lock --requirement pyproject.toml

# The code comes last, so changing it rebuilds only the layers below.
COPY --chown=ray:users README.md LICENSE ./
COPY --chown=ray:users protoscore ./protoscore
COPY --chown=ray:users scoring ./scoring
COPY --chown=ray:users ray_jobs ./ray_jobs
RUN uv pip install --no-deps .

# A plan imports everything a night does and makes nothing, so a broken image fails to build.
RUN protoscore plan --dataset digits --store /tmp/store
WORKDIR /home/ray

# No Python that runs here imports from the folder that it is started in.
ENV PYTHONSAFEPATH=1
